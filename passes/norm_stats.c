/* passes/norm_stats.c - see norm_stats.h. */
#include "passes/norm_stats.h"

#include "passes/rules/consts.h"
#include <math.h>
#include <stdlib.h>

static void entry_free(struct ox_norm_stat *e, ox_ctx *ctx) {
    ox_free(ctx, e->mean);
    ox_free(ctx, e->dev);
}

static bool all_finite(const double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

/* Defaults of inputs too: they are what the model was trained with. */
static const ox_tensor *numbers(const struct ox_value *v) {
    const ox_tensor *t = v ? ox_value_const(v) : NULL;
    return t || !v ? t : v->init;
}

static ox_status note(struct ox_norm_stats *out, ox_ctx *ctx, const struct ox_node *n) {
    const ox_tensor *scale = numbers(ox_node_in(n, 1)), *bias = numbers(ox_node_in(n, 2));
    const struct ox_value *y = ox_node_out(n, 0);
    if (!scale || !bias || !y || !y->name || scale->count != bias->count || scale->count == 0 ||
        !ox_const_readable(scale->dtype) || !ox_const_readable(bias->dtype))
        return OX_OK;
    struct ox_norm_stat e = {.value = y->name, .n = scale->count};
    ox_status s = ox_const_doubles(&e.mean, ctx, bias);
    if (s == OX_OK) s = ox_const_doubles(&e.dev, ctx, scale);
    for (size_t i = 0; i < e.n && s == OX_OK; i++)
        e.dev[i] = fabs(e.dev[i]);
    if (s == OX_OK && all_finite(e.mean, e.n) && all_finite(e.dev, e.n)) {
        s = OX_GROW(ctx, out->list, out->n, out->cap);
        if (s == OX_OK) {
            out->list[out->n++] = e;
            return OX_OK;
        }
    }
    entry_free(&e, ctx);
    return s;
}

static int by_name(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)((const struct ox_norm_stat *)a)->value,
              y = (uintptr_t)((const struct ox_norm_stat *)b)->value;
    return x < y ? -1 : x > y;
}

ox_status ox_norm_stats_collect(struct ox_norm_stats *out, const struct ox_model *model) {
    *out = (struct ox_norm_stats){0};
    for (const struct ox_node *n = ox_graph_begin(model->graph); n; n = ox_node_next(n)) {
        if (!ox_node_is(n, "BatchNormalization")) continue;
        out->any = true;
        ox_status s = note(out, model->ctx, n);
        if (s == OX_OK) continue;
        ox_norm_stats_free(out, model->ctx);
        return s;
    }
    /* By address: only for finding, nothing depends on the order. */
    if (out->n) qsort(out->list, out->n, sizeof *out->list, by_name);
    return OX_OK;
}

void ox_norm_stats_free(struct ox_norm_stats *stats, ox_ctx *ctx) {
    for (size_t i = 0; i < stats->n; i++)
        entry_free(&stats->list[i], ctx);
    ox_free(ctx, stats->list);
    *stats = (struct ox_norm_stats){0};
}

const struct ox_norm_stat *ox_norm_stats_find(const struct ox_norm_stats *stats, ox_name value) {
    struct ox_norm_stat key = {.value = value};
    return value && stats->n ? bsearch(&key, stats->list, stats->n, sizeof key, by_name) : NULL;
}
