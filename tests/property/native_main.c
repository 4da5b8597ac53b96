/* tests/property/native_main.c - the native runtime against the reference executor on random
 * networks, at each level of instructions.
 *
 *     test_native_random [--graphs N] [--first SEED] [--kind float|int8] [--level NAME] [--threads
 * none|turns|all] [--text]
 *
 * Of each network: it compiles; the runtime's outputs differ from the reference's by no more than
 * random_net_bounds says, at each level; they are the same bits when the session runs again, and
 * with 1, 2 and 4 threads: that at one level by turns, since threads mostly wait for each other in
 * networks so small, or at all levels, or nowhere. --text prints the networks. A network that is
 * wrong is printed with its seed. The exit code is 1 if one was.
 *
 * The parent computes what is expected for some networks at a time; then a child process for each
 * level runs them. */
#include "tests/golden/golden.h"
#include "tests/property/random_net.h"
#include "tests/unit/isa_levels.h"

#include "passes/rules/consts.h"

#include <math.h>
#include <onnxopt/passes.h>
#include <onnxopt/runtime.h>
#include <onnxopt/save.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if OX_XNNPACK
#include <cpuinfo.h>
#endif

enum { BATCH = 50, MOST_WRONG = 5, ABSENT = 77 };

struct options {
    uint64_t graphs, first;
    int level; /* -1: all */
    bool kinds[2], text;
    enum { NONE, TURNS, ALL } threads;
};

struct network {
    uint64_t seed;
    enum rg_kind kind;
    void *blob;
    size_t size, n_in, n_out;
    ox_tensor **in, **expected;
    double *bounds;
};

static ox_ctx *ctx;
static const char *const kind_names[] = {"float", "int8"};

static void print(const struct network *n) {
    struct ox_model *m;
    struct ox_text_options options = {0};
    char *text;
    size_t len;
    if (random_net(&m, ctx, n->kind, n->seed) != OX_OK ||
        ox_text_print(&text, &len, m, &options) != OX_OK)
        abort();
    fprintf(stderr, "# seed %llu, %s\n%s\n", (unsigned long long)n->seed, kind_names[n->kind],
            text);
    ox_free(ctx, text);
    ox_model_free(m);
}

static bool wrong(const struct network *n, const char *level, const char *why) {
    fprintf(stderr, "seed %llu, %s, level %s: %s\n", (unsigned long long)n->seed,
            kind_names[n->kind], level, why);
    print(n);
    return false;
}

/* ---- what is expected --------------------------------------------------------------------------
 */

/* Every other network goes through the optimizer before it is compiled, as a user's does. */
static bool prepare(struct network *n, uint64_t seed, enum rg_kind kind) {
    struct ox_model *m;
    *n = (struct network){.seed = seed, .kind = kind};
    ox_status s = random_net(&m, ctx, kind, seed);
    if (s == OX_OK) s = random_net_inputs(&n->in, &n->n_in, ctx, kind, seed);
    if (s == OX_OK) s = golden_execute(&n->expected, m, n->in);
    if (s == OX_OK) {
        n->n_out = m->graph->ret->n_in;
        s = random_net_bounds(&n->bounds, ctx, kind, seed, n->in, n->expected, n->n_out);
    }
    if (s == OX_OK && seed % 2 == 0) s = ox_optimize(m, NULL, NULL);
    if (s == OX_OK) s = ox_native_build(&n->blob, &n->size, m);
    ox_model_free(m);
    return s == OX_OK || wrong(n, "none", "fails before it is run");
}

static void discard(struct network *n) {
    golden_unref_all(ctx, n->in, n->in ? n->n_in : 0);
    golden_unref_all(ctx, n->expected, n->expected ? n->n_out : 0);
    ox_native_free(ctx, n->blob);
    free(n->bounds);
}

static double largest(const ox_tensor *t) {
    double most = 0;
    for (size_t i = 0; ox_dtype_is_float(t->dtype) && i < t->count; i++)
        most = fmax(most, fabs(ox_const_at(t, i)));
    return most;
}

/* A bound that does not bind, or numbers out of range: nothing can be said of the elements. */
static bool judged(const struct network *n, size_t i) {
    double most = largest(n->expected[i]);
    return isfinite(most) && n->bounds[i] <= (n->kind == RG_INT8 ? 0.2 : 0.02) * most +
                                                 1e-30; /* steps of int8 add up */
}

static size_t count_unjudged(const struct network *n) {
    size_t count = 0;
    for (size_t i = 0; i < n->n_out; i++)
        count += !judged(n, i);
    return count;
}

/* ---- at a level --------------------------------------------------------------------------------
 */

static bool same_shape(const ox_tensor *a, const ox_tensor *b) {
    if (!a || !b || a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

static bool same_bits(const ox_tensor *a, const ox_tensor *b) {
    return same_shape(a, b) && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static bool agrees(char *why, size_t size, const struct network *n, ox_tensor *const *got) {
    for (size_t i = 0; i < n->n_out; i++) {
        double worst = 0;
        if (!same_shape(n->expected[i], got[i])) {
            snprintf(why, size, "output %zu has another shape", i);
            return false;
        }
        if (!judged(n, i)) continue;
        for (size_t k = 0; k < got[i]->count; k++) {
            double d = fabs(ox_const_at(n->expected[i], k) - ox_const_at(got[i], k));
            worst = d > worst || isnan(d) ? d : worst;
        }
        if (worst <= n->bounds[i]) continue;
        snprintf(why, size, "output %zu is off by %g where %g is allowed; its largest number is %g",
                 i, worst, n->bounds[i], largest(n->expected[i]));
        return false;
    }
    return true;
}

static ox_status run(ox_tensor **out, oxr_program *program, const struct network *n, int threads,
                     int times) {
    const struct oxr_session_options options = {.size = sizeof options, .threads = threads};
    oxr_session *session = NULL;
    ox_status s = oxr_session_new(&session, ctx, program, &options);
    for (int i = 0; i < times && s == OX_OK; i++) {
        for (size_t k = 0; k < n->n_out; k++) {
            ox_tensor_unref(out[k]);
            out[k] = NULL;
        }
        s = oxr_call(session, (const ox_tensor *const *)n->in, out);
    }
    oxr_session_free(session);
    return s;
}

static bool check(const struct network *n, const char *level, int most_threads) {
    oxr_program *program = NULL;
    ox_tensor *one[512] = {NULL}, *more[512] = {NULL};
    char why[300] = "";
    if (n->n_out > 512) return wrong(n, level, "too many outputs for the test");
    bool ok = oxr_program_open_memory(&program, ctx, n->blob, n->size, NULL) == OX_OK &&
              run(one, program, n, 1, 1) == OX_OK;
    if (!ok) snprintf(why, sizeof why, "cannot be run");
    ok = ok && agrees(why, sizeof why, n, one);
    for (int threads = 1; ok && threads <= most_threads;
         threads *= 2) { /* one thread: for the second time */
        ok = run(more, program, n, threads, threads == 1 ? 2 : 1) == OX_OK;
        for (size_t i = 0; ok && i < n->n_out; i++)
            ok = same_bits(one[i], more[i]);
        if (!ok)
            snprintf(why, sizeof why, "%d threads, %d times: other bits", threads,
                     threads == 1 ? 2 : 1);
    }
    for (size_t i = 0; i < n->n_out; i++) {
        ox_tensor_unref(one[i]);
        ox_tensor_unref(more[i]);
    }
    oxr_program_free(program);
    return ok || wrong(n, level, why);
}

_Noreturn static void child(const struct network *list, size_t n, int level, int threads) {
    size_t bad = 0;
#if OX_XNNPACK
    if (!cpuinfo_initialize()) _exit(3);
#endif
    if (!isa_level_set(level)) _exit(ABSENT);
    for (size_t i = 0; i < n && bad < MOST_WRONG; i++) {
        bool turn = threads == ALL ||
                    (threads == TURNS && list[i].seed % (uint64_t)isa_levels() == (uint64_t)level);
        bad += !check(&list[i], isa_level_name(level), turn ? 4 : 1);
    }
    fflush(NULL);
    _exit(bad > 0);
}

/* False where a network is wrong. *there: the CPU has the level. */
static bool at_level(const struct network *list, size_t n, int level, int threads, bool *there) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) child(list, n, level, threads);
    if (pid < 0 || waitpid(pid, &status, 0) != pid) abort();
    *there = !(WIFEXITED(status) && WEXITSTATUS(status) == ABSENT);
    if (*there && WIFSIGNALED(status))
        fprintf(stderr, "level %s: signal %d in one of the seeds %llu to %llu\n",
                isa_level_name(level), WTERMSIG(status), (unsigned long long)list[0].seed,
                (unsigned long long)list[n - 1].seed);
    return !*there || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static bool parse(struct options *o, int argc, char **argv) {
    *o = (struct options){
        .graphs = 60, .first = 1, .level = -1, .kinds = {true, true}, .threads = TURNS};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--text") == 0) {
            o->text = true;
            continue;
        }
        if (strcmp(argv[i], "--graphs") == 0)
            o->graphs = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            o->first = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = *value == 'a' ? ALL : *value == 'n' ? NONE : TURNS;
        else if (strcmp(argv[i], "--kind") == 0)
            for (int k = 0; k < 2; k++)
                o->kinds[k] = strcmp(value, kind_names[k]) == 0;
        else if (strcmp(argv[i], "--level") == 0)
            for (int k = 0; k < isa_levels(); k++)
                o->level = strcmp(value, isa_level_name(k)) == 0 ? k : o->level;
        else
            return false;
        i++;
    }
    return (o->kinds[0] || o->kinds[1]) && o->graphs > 0;
}

static size_t run_batch(struct network *list, size_t n, const struct options *o, size_t *ran) {
    size_t bad = 0;
    for (int level = 0; level < isa_levels(); level++) {
        bool there;
        if (o->level >= 0 && o->level != level) continue;
        bad += !at_level(list, n, level, o->threads, &there);
        ran[level] += there ? n : 0;
    }
    return bad;
}

int main(int argc, char **argv) {
    struct ox_ctx_options options = {
        .size = sizeof options, .on_diag = golden_on_diag, .threads = 1};
    struct options o;
    struct network list[BATCH];
    size_t n = 0, bad = 0, outputs = 0, unjudged = 0, ran[16] = {0};
    if (!parse(&o, argc, argv) || ox_ctx_new(&ctx, &options) != OX_OK) {
        fprintf(stderr, "usage: test_native_random [--graphs N] [--first SEED] [--kind float|int8] "
                        "[--level NAME] [--threads none|turns|all] [--text]\n");
        return 2;
    }
    for (uint64_t i = 0; i < o.graphs && bad < MOST_WRONG; i++) {
        enum rg_kind kind =
            o.kinds[RG_FLOAT] && (!o.kinds[RG_INT8] || i % 2 == 0) ? RG_FLOAT : RG_INT8;
        bool ready = prepare(&list[n++], o.first + i, kind);
        if (o.text) print(&list[n - 1]);
        if (ready) {
            outputs += list[n - 1].n_out;
            unjudged += count_unjudged(&list[n - 1]);
        } else {
            bad++;
            discard(&list[--n]);
        }
        if (n < BATCH && i + 1 < o.graphs) continue;
        if (n > 0) bad += run_batch(list, n, &o, ran);
        while (n > 0)
            discard(&list[--n]);
    }
    while (n > 0)
        discard(&list[--n]);
    ox_ctx_free(ctx);
    for (int level = 0; level < isa_levels(); level++)
        if (ran[level]) printf("%-10s %zu networks\n", isa_level_name(level), ran[level]);
    printf("%zu outputs, %zu of them without a bound that binds; %s\n", outputs, unjudged,
           bad ? "WRONG" : "all right");
    return bad > 0;
}
