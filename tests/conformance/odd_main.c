/* odd_main.c - odd calls of every operator: the models of the official tests with one thing in them
 * changed.
 *
 *     conformance_odd [ROOT...] [--only PREFIX,...] [--rounds N] [--from K] [--seed S] [--types]
 * [--verbose]
 *
 * Each round loads a case afresh, changes one attribute, operand, output or tensor at random
 * (odd_change.c), then verifies, infers and runs the model. What must hold of each round, whatever
 * was changed:
 *   - it ends, within a time limit and a memory limit, without a signal and without a word from a
 * sanitizer;
 *   - what fails has reported an error, and an error of a node's call names its operator;
 *   - what was computed has the type, shape and values that inference said;
 *   - what ran gives the same after the pipeline "default";
 *   - all memory is given back.
 * With --types, a round is the same call in another element type instead: each that the operator's
 * row names must be taken. A round depends on the case's name, the seed and its number only. Rounds
 * run in a child process, so that one that dies costs itself only; `--only CASE --from K --rounds
 * 1` runs it again. */
#include "odd.h"

#include <onnxopt/load.h>
#include <onnxopt/passes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUND_SECONDS = 20, MEMORY = 1 << 28, TENSOR = 1 << 24 };

/* What the child tells the parent. */
struct tally {
    size_t round; /* the one at work */
    size_t ran, refused, wrong;
    char change[200];
};

struct errors {
    size_t count;
    bool named; /* one of them names an operator */
    bool type;  /* the first is about a type that is not taken */
    char text[300];
};

struct args {
    const char *roots[4];
    size_t n_roots;
    const char *only;
    size_t rounds, from;
    uint64_t seed;
    bool types, verbose;
};

static void count_errors(void *user, const struct ox_diag *d) {
    struct errors *e = user;
    if (d->severity != OX_ERROR) return;
    if (e->count == 0)
        e->type = strcmp(d->id, "wrong-type") == 0 || strcmp(d->id, "no-kernel") == 0;
    if (e->count++ == 0)
        snprintf(e->text, sizeof e->text, "%s: [%s] %s", d->op ? d->op : "-", d->id, d->text);
    if (d->op) e->named = true;
}

/* ---- one round ------------------------------------------------------------------------------- */

static void wrong(struct conf_case *c, struct tally *t, const char *what, const char *text) {
    t->wrong++;
    printf("odd %s %zu: %s: %s: %s\n", c->name, t->round, t->change, what, text);
}

static ox_status find_random(void *arg, struct ox_graph *graph) {
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n))
        if (n->op &&
            ((n->op->traits & OX_RANDOM) || ((n->op->traits & OX_TRAINING) && !ox_node_pure(n))))
            *(bool *)arg = true;
    return OX_OK;
}

/* The pipeline "default" must leave the answers as they were: what ran must run, and give the same.
 */
static void check_default(struct conf_case *c, struct ox_model *model,
                          const struct conf_tensors *in, const struct conf_tensors *expected,
                          struct tally *t, const struct errors *e) {
    char why[300];
    bool random = false;
    struct conf_tensors out = {0};
    struct conf_watch watch = {.c = c, .agrees = true};
    (void)!ox_model_each_graph(model, find_random, &random);
    ox_status s = ox_optimize(model, NULL, NULL);
    if (s == OX_OK) s = conf_execute(&out, model, in, &watch);
    if (s != OX_OK) wrong(c, t, "does not run after the pipeline default", e->text);
    for (size_t i = 0; i < expected->n && s == OX_OK; i++) {
        double slack = 1e-6 * conf_range(expected->at[i]);
        if (conf_compare(why, sizeof why, out.at[i], expected->at[i], c->rtol, c->atol + slack,
                         !random))
            continue;
        wrong(c, t, "other answers after the pipeline default", why);
        break;
    }
    conf_tensors_free(&out);
}

/* Verifies, infers, runs, and runs again when optimized. */
static ox_status go(struct conf_case *c, struct ox_model *model, const struct conf_tensors *in,
                    struct tally *t, const struct errors *e) {
    struct conf_tensors out = {0};
    struct ox_shapes *shapes = NULL;
    OX_TRY(ox_model_verify(model));
    OX_TRY(ox_model_infer(model, &shapes));
    struct conf_watch watch = {.c = c, .shapes = shapes, .agrees = true};
    ox_status s = conf_execute(&out, model, in, &watch);
    ox_shapes_free(shapes);
    if (!watch.agrees) wrong(c, t, "inference", c->broken);
    if (s == OX_OK) check_default(c, model, in, &out, t, e);
    conf_tensors_free(&out);
    return s;
}

/* What must hold of a round whose change is made. */
static void judge(struct conf_case *c, struct tally *t, const struct args *a, ox_status s,
                  const struct errors *e) {
    if (s == OX_OK)
        t->ran++;
    else
        t->refused++;
    if (s != OX_OK && e->count == 0 && s != OX_NOMEM) wrong(c, t, "fails without an error", "");
    if (s == OX_INVALID && e->count && !e->named && !odd_change_is_outside(t->change))
        wrong(c, t, "the error names no operator", e->text);
    if (s == OX_OK && e->count) wrong(c, t, "an error was reported, and it went on", e->text);
    if (a->types && e->type)
        wrong(c, t, "the row has the type, the kernel does not take it", e->text);
    if (a->verbose)
        printf("%s %zu: %s: %s %s\n", c->name, t->round, t->change, ox_status_text(s), e->text);
}

/* One change, made and tried. *retry (may be NULL): set instead of judging where a type is not
 * taken. */
static void attempt(struct conf_case *c, struct tally *t, const struct args *a, bool *retry) {
    struct errors errors = {0};
    struct ox_model *model = NULL;
    struct conf_tensors in = {0}, expected = {0};
    const struct ox_ctx_options options = {
        .size = sizeof options,
        .on_diag = count_errors,
        .diag_user = &errors,
        .threads = 1,
        .limits = {.max_tensor_bytes = TENSOR, .max_memory = MEMORY}};
    ox_ctx *ctx;
    if (ox_ctx_new(&ctx, &options) != OX_OK) return;
    c->broken[0] = 0;
    snprintf(t->change, sizeof t->change, "nothing");
    if (ox_model_load(&model, ctx, c->model, NULL) == OX_OK &&
        conf_data_load(&in, &expected, c, 0, model) == OX_OK) {
        struct odd_random random = odd_seed(c->name, a->seed, t->round);
        bool changed = a->types ? odd_retype(t->change, sizeof t->change, model, &in,
                                             (ox_dtype)t->round, retry != NULL)
                                : odd_change(t->change, sizeof t->change, model, &in, &random);
        errors = (struct errors){0};
        if (changed) {
            ox_status s = go(c, model, &in, t, &errors);
            if (retry && errors.type)
                *retry = true;
            else
                judge(c, t, a, s, &errors);
        }
    }
    conf_tensors_free(&in);
    conf_tensors_free(&expected);
    ox_model_free(model);
    if (ox_ctx_memory(ctx)) wrong(c, t, "memory is left when all is freed", errors.text);
    ox_ctx_free(ctx);
}

/* Which operands share the first one's type is for the standard to say: together it must fit, or
 * else alone. */
static void round_of(struct conf_case *c, struct tally *t, const struct args *a) {
    bool retry = false;
    attempt(c, t, a, a->types ? &retry : NULL);
    if (retry) attempt(c, t, a, NULL);
}

/* ---- rounds in a child ----------------------------------------------------------------------- */

static void child(struct conf_case *c, struct tally *t, const struct args *a) {
    for (; t->round < a->from + a->rounds; t->round++) {
        alarm(ROUND_SECONDS);
        round_of(c, t, a);
    }
    fflush(stdout);
    _exit(0);
}

static void run_case(struct conf_case *c, struct tally *t, const struct args *a) {
    t->round = a->from;
    while (t->round < a->from + a->rounds) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid < 0) exit(2);
        if (pid == 0) child(c, t, a);
        if (waitpid(pid, &status, 0) != pid) exit(2);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
        t->wrong++;
        printf("odd %s %zu: %s: %s %d\n", c->name, t->round, t->change,
               WIFSIGNALED(status) ? "signal" : "exit status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        t->round++;
    }
}

static bool parse(struct args *a, int argc, char **argv) {
    *a = (struct args){.rounds = 10};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--only") == 0 && more)
            a->only = argv[++i];
        else if (strcmp(argv[i], "--rounds") == 0 && more)
            a->rounds = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--from") == 0 && more)
            a->from = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && more)
            a->seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--types") == 0)
            a->types = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            a->verbose = true;
        else if (argv[i][0] == '-' || a->n_roots == sizeof a->roots / sizeof a->roots[0])
            return false;
        else
            a->roots[a->n_roots++] = argv[i];
    }
    if (a->types) {
        a->from = 1;
        a->rounds = OX_DTYPE_COUNT - 1;
    }
    if (a->n_roots == 0) a->roots[a->n_roots++] = OX_ONNX_TESTDATA;
    return true;
}

int main(int argc, char **argv) {
    struct args a;
    struct conf_cases cases = {0};
    if (!parse(&a, argc, argv)) {
        fputs("usage: conformance_odd [ROOT...] [--only PREFIX,...] [--rounds N] [--from K] "
              "[--seed S] [--types] [--verbose]\n",
              stderr);
        return 2;
    }
    struct tally *t =
        mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) return 2;
    for (size_t i = 0; i < a.n_roots; i++) {
        if (conf_walk(&cases, a.roots[i], a.only)) continue;
        fprintf(stderr, "conformance_odd: cannot read %s\n", a.roots[i]);
        return 2;
    }
    for (size_t i = 0; i < cases.n; i++)
        run_case(&cases.at[i], t, &a);
    printf("%zu cases, %zu rounds each: %zu ran, %zu were refused, %zu wrong\n", cases.n, a.rounds,
           t->ran, t->refused, t->wrong);
    int rc = t->wrong != 0 || t->ran == 0;
    conf_cases_free(&cases);
    munmap(t, sizeof *t);
    return rc;
}
