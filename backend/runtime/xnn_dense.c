/* backend/runtime/xnn_dense.c - XNNPACK's products of floats with constant weights. */
#include "backend/runtime/xnn_common.h"

#include <math.h>

/* A float product streams its packed weights once for every few rows. Cut into parts whose weights
 * stay in the second-level cache it is up to twice as fast; the parts write into one result, next
 * to each other. */
enum { PART_BYTES = 1 << 20, PART_ALIGN = 64 };

struct dense {
    bool empty;
    int64_t k, n;
    size_t part, n_parts; /* outputs of a part (the last may have fewer) */
    xnn_operator_t *ops;
    struct oxr_xnn_weights weights;
    const struct ox_step_dense_params
        *adds; /* something is added: XNNPACK's result goes into the workspace first */
    size_t total;
};

static void dense_destroy(void *state, const struct oxr_env *env) {
    struct dense *d = state;
    if (!d) return;
    for (size_t i = 0; d->ops && i < d->n_parts; i++)
        if (d->ops[i]) xnn_delete_operator(d->ops[i]);
    ox_free(env->ctx, d->ops);
    ox_free(env->ctx, d);
}

/* What creating a part takes. */
struct part {
    const struct dense *d;
    const struct ox_step *step;
    size_t first, count;
};

static enum xnn_status create_f32(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op) {
    const struct part *t = arg;
    const struct dense *d = t->d;
    const struct ox_step *step = t->step;
    const struct ox_step_dense_params *p = step->params;
    const size_t k = (size_t)d->k, n = (size_t)d->n;
    const float *w = step->consts[1]->data,
                *bias = step->n_in > 2 && step->consts[2] ? step->consts[2]->data : NULL;
    return xnn_create_fully_connected_nc_f32(
        k, t->count, k, n, w + t->first * k, bias ? bias + t->first : NULL,
        d->adds ? -INFINITY : p->low, d->adds ? INFINITY : p->high, 0, NULL, cache, op);
}

static ox_status dense_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    struct dense *d;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &d, 1, sizeof *d));
    *state = d;
    if (step->n_in > 3 && step->present[3]) d->adds = step->params;
    d->n = step->consts[1]->dims[0];
    d->k = step->consts[1]->dims[1];
    d->part = (size_t)d->n;
    d->n_parts = 1;
    size_t rows = PART_BYTES / sizeof(float) / (size_t)d->k / PART_ALIGN * PART_ALIGN;
    if (rows > 0 && rows < d->part) {
        d->n_parts = (d->part + rows - 1) / rows;
        d->part = ((size_t)d->n / d->n_parts + PART_ALIGN) / PART_ALIGN *
                  PART_ALIGN; /* parts of about the same size */
        d->n_parts = ((size_t)d->n + d->part - 1) / d->part;
    }
    OX_TRY(ox_alloc(env->ctx, &d->ops, d->n_parts, sizeof(xnn_operator_t)));
    for (size_t i = 0; i < d->n_parts; i++) {
        const size_t first = i * d->part,
                     count = (size_t)d->n - first < d->part ? (size_t)d->n - first : d->part;
        OX_TRY(oxr_xnn_create(&d->ops[i], &d->weights, env, step->number, (uint32_t)i, create_f32,
                              &(struct part){d, step, first, count}, "product"));
    }
    return OX_OK;
}

static ox_status dense_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct dense *d = state;
    const int last = in->rank - 1;
    size_t rows;
    if (in->dtype != OX_FLOAT) return oxr_bad_type(env, in, "product");
    if (in->rank < 1 || in->dims[last] != d->k)
        return oxr_bad_shape(env, "product of rank %d, weights for %lld", in->rank,
                             (long long)d->k);
    *out = *in;
    out->dims[last] = d->n;
    if (!oxr_count(&rows, in, 0, last) || ox_mul_size(&d->total, rows, (size_t)d->n) ||
        (d->adds && ox_mul_size(workspace, d->total, sizeof(float))))
        return oxr_bad_shape(env, "too many elements");
    if (d->adds) OX_TRY(oxr_like(env, &in[3], out, "what is added to a product"));
    d->empty = rows == 0;
    for (size_t i = 0; i < d->n_parts && !d->empty; i++)
        OX_TRY(oxr_xnn_try(env->ctx, xnn_reshape_fully_connected_nc_f32(d->ops[i], rows, env->pool),
                           "shape of a product"));
    return OX_OK;
}

static ox_status dense_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    struct dense *d = state;
    float *sums = d->adds ? workspace : out[0];
    for (size_t i = 0; i < d->n_parts && !d->empty; i++) {
        OX_TRY(oxr_xnn_try(env->ctx,
                           xnn_setup_fully_connected_nc_f32(d->ops[i], in[0], sums + i * d->part),
                           "operands of a product"));
        OX_TRY(oxr_xnn_try(env->ctx, xnn_run_operator(d->ops[i], env->pool), "product"));
    }
    for (size_t i = 0; d->adds && i < d->total; i++) {
        const float x = sums[i] + ((const float *)in[3])[i];
        ((float *)out[0])[i] = x < d->adds->low    ? d->adds->low
                               : x > d->adds->high ? d->adds->high
                                                   : x;
    }
    return OX_OK;
}

const struct oxr_kernel oxr_xnn_dense = {dense_create, dense_reshape, dense_run, dense_destroy, 4};
