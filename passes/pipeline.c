/* passes/pipeline.c - pipeline text into a list of steps, and running them.
 *
 *   pipeline = item { "," item }
 *   item     = pass [ "{" key "=" value { ";" key "=" value } "}" ] | preset | "loop(" pipeline ")"
 *
 * A loop is a pair of steps, begin and end, that jumps back while its round changed something.
 * After every pass that changed the model it is verified and its types are inferred anew; a failure
 * names the pass. */
#include "passes/outcome.h"
#include "passes/pass_table.h"

#include <time.h>

enum { ROUNDS_MAX = 32, NESTING_MAX = 8 };

struct step {
    enum { PASS_STEP, LOOP_BEGIN, LOOP_END } kind;
    const struct ox_pass *pass;
    struct ox_pass_arg *args;
    size_t n_args;
    size_t partner; /* of LOOP_END: its LOOP_BEGIN */
};

struct pipeline {
    ox_ctx *ctx;
    struct ox_names names; /* of options; also owns their text */
    struct step *steps;
    size_t n, cap;
    int depth;
};

/* ---- parsing --------------------------------------------------------------------------------- */

struct cursor {
    const char *text, *at;
    int presets; /* nesting of preset texts */
};

static ox_status syntax(struct pipeline *p, const struct cursor *c, const char *what) {
    return ox_fail(p->ctx, OX_USAGE, "bad-pipeline", NULL, "pipeline \"%s\", column %zu: %s",
                   c->text, (size_t)(c->at - c->text) + 1, what);
}

static void skip_space(struct cursor *c) {
    while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n')
        c->at++;
}

static size_t word(const struct cursor *c) {
    size_t n = 0;
    while ((c->at[n] >= 'a' && c->at[n] <= 'z') || (c->at[n] >= 'A' && c->at[n] <= 'Z') ||
           (c->at[n] >= '0' && c->at[n] <= '9') || c->at[n] == '_' || c->at[n] == '-')
        n++;
    return n;
}

static ox_status add_step(struct step **out, struct pipeline *p, struct step step) {
    OX_TRY(OX_GROW(p->ctx, p->steps, p->n, p->cap));
    p->steps[p->n] = step;
    *out = &p->steps[p->n++];
    return OX_OK;
}

static ox_status parse_args(struct pipeline *p, struct cursor *c, struct step *step) {
    struct ox_pass_arg args[64];
    size_t n = 0;
    c->at++; /* { */
    for (;;) {
        skip_space(c);
        if (*c->at == '}') break;
        size_t key = word(c);
        if (key == 0 || c->at[key] != '=') return syntax(p, c, "expected key=value");
        const char *value = c->at + key + 1;
        size_t len = strcspn(value, ";}");
        if (value[len] == 0) return syntax(p, c, "'{' is never closed");
        if (n == sizeof args / sizeof args[0]) return syntax(p, c, "too many options");
        OX_TRY(ox_name_get(&args[n].key, &p->names, c->at, key));
        OX_TRY(ox_name_get(&args[n].value, &p->names, value, len));
        n++;
        c->at = value + len;
        if (*c->at == ';') c->at++;
    }
    c->at++; /* } */
    OX_TRY(ox_arena_alloc(&p->names.arena, &step->args, n, sizeof *args));
    if (n) memcpy(step->args, args, n * sizeof *args);
    step->n_args = n;
    return OX_OK;
}

static ox_status parse_list(struct pipeline *p, struct cursor *c);

static ox_status parse_loop(struct pipeline *p, struct cursor *c) {
    struct step *step;
    size_t begin = p->n;
    if (p->depth == NESTING_MAX) return syntax(p, c, "loops are nested too deep");
    c->at += strlen("loop(");
    OX_TRY(add_step(&step, p, (struct step){.kind = LOOP_BEGIN}));
    p->depth++;
    OX_TRY(parse_list(p, c));
    p->depth--;
    if (*c->at != ')') return syntax(p, c, "expected ',' or ')'");
    c->at++;
    return add_step(&step, p, (struct step){.kind = LOOP_END, .partner = begin});
}

/* Options are known by the row's text: "key=default: what; ...". */
static bool option_exists(const struct ox_pass *pass, const char *key) {
    size_t len = strlen(key);
    for (const char *o = pass->options; *o;) {
        while (*o == ' ')
            o++;
        if (strncmp(o, key, len) == 0 && o[len] == '=') return true;
        o += strcspn(o, ";");
        if (*o) o++;
    }
    return false;
}

static ox_status parse_item(struct pipeline *p, struct cursor *c) {
    struct step *step;
    skip_space(c);
    size_t len = word(c);
    if (len == 0) return syntax(p, c, "expected the name of a pass");
    if (len == 4 && strncmp(c->at, "loop(", 5) == 0) return parse_loop(p, c);
    const char *preset = ox_preset_find(c->at, len);
    if (preset) {
        struct cursor inner = {preset, preset, c->presets + 1};
        if (inner.presets > NESTING_MAX) return syntax(p, c, "presets are nested too deep");
        c->at += len;
        return parse_list(p, &inner);
    }
    const struct ox_pass *pass = ox_pass_find(c->at, len);
    if (!pass) return syntax(p, c, "no such pass or preset");
    c->at += len;
    OX_TRY(add_step(&step, p, (struct step){.kind = PASS_STEP, .pass = pass}));
    if (*c->at != '{') return OX_OK;
    struct step filled = *step;
    OX_TRY(parse_args(p, c, &filled));
    *step = filled;
    for (size_t i = 0; i < filled.n_args; i++)
        if (!option_exists(pass, filled.args[i].key->text))
            return ox_fail(p->ctx, OX_USAGE, "no-such-option", NULL, "pass '%s' has no option '%s'",
                           pass->name, filled.args[i].key->text);
    return OX_OK;
}

static ox_status parse_list(struct pipeline *p, struct cursor *c) {
    for (;;) {
        OX_TRY(parse_item(p, c));
        skip_space(c);
        if (*c->at != ',') return OX_OK;
        c->at++;
    }
}

static ox_status parse(struct pipeline *p, const char *text) {
    struct cursor c = {text, text, 0};
    skip_space(&c);
    if (*c.at == 0) return OX_OK; /* an empty pipeline changes nothing */
    OX_TRY(parse_list(p, &c));
    return *c.at ? syntax(p, &c, "expected ','") : OX_OK;
}

/* ---- running --------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static ox_status check_after(struct ox_pass_run *run) {
    ox_status s = OX_OK;
    if (!run->options->no_verify) s = ox_model_verify(run->model);
    const struct ox_shapes *shapes;
    if (s == OX_OK) s = ox_pass_shapes_now(&shapes, run);
    if (s == OX_OK || s == OX_NOMEM || s == OX_CANCELLED) return s;
    return ox_fail(run->ctx, OX_INTERNAL, "broken-by-pass", NULL,
                   "pass '%s' left the model invalid; please report this", run->pass->name);
}

static ox_status run_pass(struct ox_pass_run *run, const struct step *step, ox_outcome *outcome) {
    run->pass = step->pass;
    run->args = step->args;
    run->n_args = step->n_args;
    run->rewrites = 0;
    OX_TRY(ox_alloc(run->ctx, &run->counts, step->pass->n_counters + 1, sizeof *run->counts));
    double begin = now();
    ox_status s = step->pass->run(run);
    if (s == OX_OK && run->rewrites > 0) s = check_after(run);
    if (s == OX_OK) s = ox_outcome_add_pass(outcome, step, run, now() - begin);
    ox_free(run->ctx, run->counts);
    if (s == OX_OK && run->options->after_pass)
        run->options->after_pass(run->options->user, step->pass->name, run->model);
    return s;
}

static ox_status run_steps(const struct pipeline *p, struct ox_pass_run *run, ox_outcome *outcome) {
    uint64_t total = 0, at_begin[NESTING_MAX + 1] = {0};
    int rounds[NESTING_MAX + 1] = {0}, depth = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct step *s = &p->steps[i];
        if (s->kind == LOOP_BEGIN) {
            at_begin[++depth] = total;
            rounds[depth] = 1;
        } else if (s->kind == LOOP_END) {
            bool changed = total > at_begin[depth] && *run->rewrites_left > 0;
            if (changed && rounds[depth] == ROUNDS_MAX)
                ox_report(run->ctx, OX_WARNING, "loop-limit", NULL,
                          "a loop of the pipeline still changes the model after %d rounds",
                          ROUNDS_MAX);
            if (changed && rounds[depth]++ < ROUNDS_MAX) {
                at_begin[depth] = total;
                i = s->partner;
            } else {
                depth--;
            }
        } else {
            OX_TRY(run_pass(run, s, outcome));
            total += run->rewrites;
        }
    }
    return OX_OK;
}

/* Names of the inputs that a caller gives: weights that IR versions before 4 list there are none.
 */
static ox_status name_inputs(struct ox_pass_run *run) {
    const struct ox_graph *g = run->model->graph;
    ox_name *names;
    OX_TRY(ox_alloc(run->ctx, &names, g->n_inputs, sizeof *names));
    for (size_t i = 0; i < g->n_inputs; i++)
        if (!ox_value_const(g->inputs[i])) names[run->n_input_names++] = g->inputs[i]->name;
    run->input_names = names;
    return OX_OK;
}

ox_status ox_optimize(ox_model *model, const struct ox_optimize_options *options,
                      ox_outcome **out) {
    struct ox_optimize_options o = {0};
    if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (!o.pipeline) o.pipeline = "default";
    if (!o.fold_budget) o.fold_budget = 65536;
    uint64_t left = o.max_rewrites ? o.max_rewrites : UINT64_MAX;
    int64_t growth = o.fold_budget > INT64_MAX ? INT64_MAX : (int64_t)o.fold_budget;
    struct pipeline p = {.ctx = model->ctx};
    ox_outcome *outcome = NULL;
    ox_names_init(&p.names, model->ctx);
    ox_status s = parse(&p, o.pipeline);
    if (s == OX_OK) s = ox_outcome_new(&outcome, model->ctx);
    struct ox_norm_stats norms = {
        0}; /* passes remove them, so they are noted before the first one */
    struct ox_pass_run run = {.model = model,
                              .ctx = model->ctx,
                              .options = &o,
                              .outcome = outcome,
                              .rewrites_left = &left,
                              .growth_left = &growth,
                              .norms = &norms};
    if (s == OX_OK) s = name_inputs(&run);
    if (s == OX_OK) s = ox_norm_stats_collect(&norms, model);
    if (s == OX_OK) s = run_steps(&p, &run, outcome);
    ox_norm_stats_free(&norms, model->ctx);
    ox_shapes_free(run.shapes);
    ox_free(model->ctx, (void *)(uintptr_t)run.input_names);
    ox_free(model->ctx, p.steps);
    ox_names_fini(&p.names);
    if (s == OX_OK && out)
        *out = outcome;
    else
        ox_outcome_free(outcome);
    return s;
}
