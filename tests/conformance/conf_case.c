/* conf_case.c - runs one case: load, execute, compare with what was recorded, and once more after
 * the default pipeline. */
#include "conf.h"

#include <onnxopt/load.h>
#include <onnxopt/passes.h>
#include <stdlib.h>
#include <time.h>

/* The first error of a context. */
struct first_error {
    char text[360];
    bool opset; /* the model is of an operator set that is not implemented yet */
};

static void keep_first(void *user, const struct ox_diag *d) {
    struct first_error *e = user;
    if (d->severity != OX_ERROR || e->text[0]) return;
    snprintf(e->text, sizeof e->text, "%s%s[%s] %s", d->op ? d->op : "", d->op ? ": " : "", d->id,
             d->text);
    e->opset = strcmp(d->id, "bad-opset") == 0;
}

static void verdict(struct conf_case *c, enum conf_verdict v, const char *format, ...)
    OX_PRINTF(3, 4);
static void verdict(struct conf_case *c, enum conf_verdict v, const char *format, ...) {
    va_list args;
    c->verdict = v;
    va_start(args, format);
    vsnprintf(c->reason, sizeof c->reason, format, args);
    va_end(args);
}

static void excuse(struct conf_case *c) {
    const char *why = c->verdict == CONF_FAIL ? conf_erratum(c->name) : NULL;
    if (why) verdict(c, CONF_SKIP, "%s", why);
}

/* ---- what is in the model -------------------------------------------------------------------- */

static void note_op(struct conf_case *c, const struct ox_node *n) {
    const char *domain = ox_name_text(n->domain), *type = ox_name_text(n->type);
    for (size_t i = 0; i < c->n_ops; i++)
        if (strcmp(c->ops[i].name, type) == 0 && strcmp(c->ops[i].domain, domain) == 0) return;
    c->ops = conf_realloc(c->ops, (c->n_ops + 1) * sizeof *c->ops);
    struct conf_op *op = &c->ops[c->n_ops++];
    snprintf(op->domain, sizeof op->domain, "%s", domain);
    snprintf(op->name, sizeof op->name, "%s", type);
    op->opset = (int)ox_node_opset(n);
}

/* Is chance at work in this node? Dropout is, where it trains without a seed; with one, its numbers
 * are the reference implementation's. */
static bool is_random(const struct ox_node *n) {
    return n->op && ((n->op->traits & OX_RANDOM) || ((n->op->traits & OX_TRAINING) &&
                                                     !ox_node_pure(n) && !ox_node_attr(n, "seed")));
}

static ox_status look_at_graph(void *arg, struct ox_graph *graph) {
    struct conf_case *c = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        if (!n->callee) note_op(c, n);
        if (is_random(n)) c->random = true;
    }
    return OX_OK;
}

/* A tensor, a sequence or an optional: what data can be read and compared for. */
static bool is_plain(const struct ox_type *t) {
    while (t && (t->kind == OX_TYPE_SEQUENCE || t->kind == OX_TYPE_OPTIONAL))
        t = t->elem;
    return !t || t->kind == OX_TYPE_UNKNOWN || t->kind == OX_TYPE_TENSOR;
}

/* What the executor lacks, named by the first thing that needs it; NULL: nothing. */
static bool lacks(struct conf_case *c, const struct ox_model *model) {
    const struct ox_graph *g = model->graph;
    if (ox_model_opset(model, NULL) > OX_OPSET_MAX) {
        verdict(c, CONF_SKIP, "opset %d", (int)ox_model_opset(model, NULL));
        return true;
    }
    for (const struct ox_node *n = ox_graph_begin(g); n; n = ox_node_next(n)) {
        const char *domain = ox_name_text(n->domain), *dot = *domain ? "." : "";
        if (n->op && (n->op->eval || (n->op->traits & OX_CONTROL))) continue;
        if (n->callee)
            verdict(c, CONF_SKIP, "function %s%s%s", domain, dot, ox_name_text(n->type));
        else
            verdict(c, CONF_SKIP, "operator %s%s%s", domain, dot, ox_name_text(n->type));
        return true;
    }
    for (size_t i = 0; i < g->n_inputs + g->ret->n_in; i++) {
        const struct ox_type *t =
            i < g->n_inputs ? g->inputs[i]->type : g->outputs[i - g->n_inputs].type;
        if (is_plain(t)) continue;
        verdict(c, CONF_SKIP, "input or output that is a map or a sparse tensor");
        return true;
    }
    return false;
}

/* Optimizing reorders sums: numbers that cancel to nearly nothing keep an error relative to what
 * they cancelled from. */
#define ROUNDING 1e-6

/* ---- running --------------------------------------------------------------------------------- */

/* False: why says which output differs. Outputs that were not recorded are not compared. slack:
 * what is allowed besides, as a share of the largest number expected. values: else types and shapes
 * only. */
static bool same_outputs(char *why, size_t size, const struct conf_case *c,
                         const struct conf_tensors *actual, const struct conf_tensors *expected,
                         double slack, bool values) {
    for (size_t i = 0; i < expected->n; i++) {
        char text[300];
        if (!expected->at[i]) continue;
        if (i >= actual->n || !actual->at[i]) {
            snprintf(why, size, "output %zu: missing", i);
            return false;
        }
        if (conf_compare(text, sizeof text, actual->at[i], expected->at[i], c->rtol,
                         c->atol + slack * conf_range(expected->at[i]), values))
            continue;
        snprintf(why, size, "output %zu: %s", i, text);
        return false;
    }
    return true;
}

/* Loads the case's model into *out with its errors in *errors. */
static ox_status load(struct ox_model **out, ox_ctx **ctx, struct first_error *errors,
                      const struct conf_case *c, int threads) {
    const struct ox_ctx_options options = {
        .size = sizeof options, .on_diag = keep_first, .diag_user = errors, .threads = threads};
    memset(errors, 0, sizeof *errors);
    if (ox_ctx_new(ctx, &options) != OX_OK) {
        *ctx = NULL;
        return OX_NOMEM;
    }
    return ox_model_load(out, *ctx, c->model, NULL);
}

static void leave(struct conf_case *c, ox_ctx *ctx) {
    if (!ctx) return;
    if (ox_ctx_memory(ctx))
        verdict(c, CONF_FAIL, "%zu bytes are left when all is freed", ox_ctx_memory(ctx));
    ox_ctx_free(ctx);
}

/* The native path must give what the executor gave. */
static void check_native(struct conf_case *c, struct ox_model *model, const struct conf_tensors *in,
                         const struct conf_tensors *expected, const struct first_error *errors) {
    struct conf_tensors out = {0};
    char why[330] = "";
    ox_status s = conf_native_run(&out, model, in);
    if (s == OX_OK && same_outputs(why, sizeof why, c, &out, expected, ROUNDING, true)) {
        c->checks |= CONF_NATIVE;
    } else {
        c->native_differs = true;
        if (!c->broken[0])
            snprintf(c->broken, sizeof c->broken, "native: %s",
                     s == OX_OK        ? why
                     : errors->text[0] ? errors->text
                                       : ox_status_text(s));
    }
    conf_tensors_free(&out);
}

/* One set of data through the model as it was read and through the optimized one. */
static void run_set(struct conf_case *c, struct ox_model *model, struct ox_model *optimized,
                    size_t set, const struct first_error *errors, struct conf_watch *watch,
                    struct conf_watch *watch_optimized) {
    struct conf_tensors in = {0}, expected = {0}, out = {0}, out_optimized = {0};
    char why[330];
    ox_status s = conf_data_load(&in, &expected, c, set, model);
    if (s == OX_UNSUPPORTED)
        verdict(c, CONF_SKIP, "%s", errors->text);
    else if (s != OX_OK)
        verdict(c, CONF_FAIL, "data set %zu: %s", set, errors->text);
    if (s == OX_OK) {
        bool made_up = !c->data && !c->light;
        s = conf_execute(&out, model, &in, watch);
        if (s == OX_INVALID && made_up)
            verdict(c, CONF_SKIP, "made-up inputs do not fit: %s", errors->text);
        else if (s != OX_OK)
            verdict(c, s == OX_UNSUPPORTED ? CONF_SKIP : CONF_FAIL, "%s", errors->text);
        else if (!same_outputs(why, sizeof why, c, &out, &expected, 0, !c->random))
            verdict(c, CONF_FAIL, "%s", why);
    }
    if (s == OX_OK && optimized) {
        s = conf_execute(&out_optimized, optimized, &in, watch_optimized);
        if (s == OX_OK && same_outputs(why, sizeof why, c, &out_optimized, &out, ROUNDING, true)) {
            c->checks |= CONF_DEFAULT;
        } else {
            c->checks &= ~(unsigned)CONF_DEFAULT;
            if (!c->broken[0])
                snprintf(c->broken, sizeof c->broken, "default: %s",
                         s == OX_OK ? why : ox_status_text(s));
        }
    }
    if (s == OX_OK && c->verdict == CONF_PASS) check_native(c, model, &in, &out, errors);
    conf_tensors_free(&in);
    conf_tensors_free(&expected);
    conf_tensors_free(&out);
    conf_tensors_free(&out_optimized);
}

static void run_sets(struct conf_case *c, struct ox_model *model, struct ox_model *optimized,
                     const struct first_error *errors) {
    struct ox_shapes *shapes = NULL, *shapes_optimized = NULL;
    if (ox_model_infer(model, &shapes) != OX_OK) shapes = NULL;
    if (optimized && ox_model_infer(optimized, &shapes_optimized) != OX_OK) shapes_optimized = NULL;
    struct conf_watch watch = {.c = c, .shapes = shapes, .agrees = true};
    struct conf_watch watch_optimized = {.c = c, .shapes = shapes_optimized, .agrees = true};
    size_t sets = conf_data_sets(c);
    unsigned kept = CONF_DEFAULT;
    for (size_t i = 0; i < sets && c->verdict == CONF_PASS; i++) {
        watch.n_symbols = watch_optimized.n_symbols = 0;
        run_set(c, model, optimized, i, errors, &watch, &watch_optimized);
        kept &= c->checks;
    }
    c->checks = (c->checks & ~(unsigned)CONF_DEFAULT) | kept;
    if (c->native_differs) c->checks &= ~(unsigned)CONF_NATIVE; /* in some set of data */
    if (c->verdict == CONF_PASS && watch.agrees && watch_optimized.agrees) c->checks |= CONF_TYPES;
    ox_shapes_free(shapes);
    ox_shapes_free(shapes_optimized);
}

/* The case's model after the pipeline "default", or NULL. */
static struct ox_model *optimize(struct conf_case *c, ox_ctx **ctx, struct first_error *errors,
                                 int threads) {
    struct ox_model *model = NULL;
    ox_status s = load(&model, ctx, errors, c, threads);
    if (s == OX_OK) s = ox_optimize(model, NULL, NULL);
    if (s == OX_OK) return model;
    if (!c->broken[0]) snprintf(c->broken, sizeof c->broken, "default: %s", errors->text);
    ox_model_free(model);
    return NULL;
}

/* Gradient is not executed: a pass writes it out. Where that fails, `lacks` names it. */
static void write_out_gradients(struct ox_model *model) {
    for (const struct ox_node *n = ox_graph_begin(model->graph); n; n = ox_node_next(n)) {
        if (!ox_name_is(n->type, "Gradient")) continue;
        const struct ox_optimize_options options = {.size = sizeof options, .pipeline = "gradient"};
        (void)!ox_optimize(model, &options, NULL);
        return;
    }
}

void conf_run(struct conf_case *c, int threads) {
    struct first_error errors, errors_optimized;
    struct ox_model *model = NULL;
    ox_ctx *ctx = NULL, *ctx_optimized = NULL;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    c->verdict = CONF_PASS;
    ox_status s = load(&model, &ctx, &errors, c, threads);
    if (s != OX_OK) {
        verdict(c, errors.opset ? CONF_SKIP : CONF_FAIL, "load: %s", errors.text);
        excuse(c);
    } else {
        (void)!ox_model_each_graph(model, look_at_graph, c);
        conf_check_text(c, model);
        conf_check_write(c, model);
        write_out_gradients(model);
        if (!lacks(c, model)) {
            struct ox_model *optimized = optimize(c, &ctx_optimized, &errors_optimized, threads);
            run_sets(c, model, optimized, &errors);
            ox_model_free(optimized);
            excuse(c);
        }
        ox_model_free(model);
    }
    leave(c, ctx);
    leave(c, ctx_optimized);
    clock_gettime(CLOCK_MONOTONIC, &end);
    c->seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
}
