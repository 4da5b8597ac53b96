/* backend/runtime/xnn_dense.c - products with constant weights, float and int8. */
#include "backend/runtime/xnn_common.h"

#include <math.h>

/* A float product streams its packed weights once for every few rows. Cut into parts whose weights stay in the second-level cache it is up to
 * twice as fast; the parts write into one result, next to each other. */
enum { PART_BYTES = 1 << 20, PART_ALIGN = 64 };

struct dense {
    bool s8, empty;
    int64_t k, n;
    size_t part, n_parts; /* outputs of a part (the last may have fewer) */
    xnn_operator_t *ops;
    struct oxr_xnn_weights weights;
    const struct ox_step_dense_params *adds; /* something is added: XNNPACK's result goes into the workspace first */
    size_t total;
};

static void dense_destroy(void *state, const struct oxr_env *env)
{
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

static enum xnn_status create_f32(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op)
{
    const struct part *t = arg;
    const struct dense *d = t->d;
    const struct ox_step *step = t->step;
    const struct ox_step_dense_params *p = step->params;
    const size_t k = (size_t)d->k, n = (size_t)d->n;
    const float *w = step->consts[1]->data, *bias = step->n_in > 2 && step->consts[2] ? step->consts[2]->data : NULL;
    return xnn_create_fully_connected_nc_f32(k, t->count, k, n, w + t->first * k, bias ? bias + t->first : NULL, d->adds ? -INFINITY : p->low,
                                             d->adds ? INFINITY : p->high, 0, NULL, cache, op);
}

static enum xnn_status create_s8(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op)
{
    const struct part *t = arg;
    const struct ox_step *step = t->step;
    const struct ox_step_dense_s8_params *p = step->params;
    const size_t k = (size_t)t->d->k, n = (size_t)t->d->n;
    const int32_t *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    return xnn_create_fully_connected_nc_qs8_qc8w(k, n, k, n, (int8_t)p->in.zero, p->in.scale, step->consts[2]->data, step->consts[1]->data, bias,
                                                  (int8_t)p->out.zero, p->out.scale, (int8_t)p->low, (int8_t)p->high, 0, NULL, cache, op);
}

static ox_status dense_create(void **state, const struct oxr_env *env, const struct ox_step *step)
{
    struct dense *d;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &d, 1, sizeof *d));
    *state = d;
    d->s8 = step->kind == OX_STEP_DENSE_S8;
    if (!d->s8 && step->n_in > 3 && step->present[3]) d->adds = step->params;
    d->n = step->consts[1]->dims[0];
    d->k = step->consts[1]->dims[1];
    d->part = (size_t)d->n;
    d->n_parts = 1;
    size_t rows = PART_BYTES / sizeof(float) / (size_t)d->k / PART_ALIGN * PART_ALIGN;
    if (!d->s8 && rows > 0 && rows < d->part) {
        d->n_parts = (d->part + rows - 1) / rows;
        d->part = ((size_t)d->n / d->n_parts + PART_ALIGN) / PART_ALIGN * PART_ALIGN; /* parts of about the same size */
        d->n_parts = ((size_t)d->n + d->part - 1) / d->part;
    }
    OX_TRY(ox_alloc(env->ctx, &d->ops, d->n_parts, sizeof(xnn_operator_t)));
    for (size_t i = 0; i < d->n_parts; i++) {
        const size_t first = i * d->part, count = (size_t)d->n - first < d->part ? (size_t)d->n - first : d->part;
        OX_TRY(oxr_xnn_create(&d->ops[i], &d->weights, env, step->number, (uint32_t)i, d->s8 ? create_s8 : create_f32, &(struct part){d, step, first, count}, "product"));
    }
    return OX_OK;
}

static ox_status dense_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in, struct oxr_shape *out, size_t *workspace)
{
    struct dense *d = state;
    const int last = in->rank - 1;
    size_t rows;
    if (in->dtype != (d->s8 ? OX_INT8 : OX_FLOAT)) return oxr_bad_type(env, in, "product");
    if (in->rank < 1 || in->dims[last] != d->k) return oxr_bad_shape(env, "product of rank %d, weights for %lld", in->rank, (long long)d->k);
    *out = *in;
    out->dims[last] = d->n;
    if (!oxr_count(&rows, in, 0, last) || ox_mul_size(&d->total, rows, (size_t)d->n) || (d->adds && ox_mul_size(workspace, d->total, sizeof(float))))
        return oxr_bad_shape(env, "too many elements");
    if (d->adds) OX_TRY(oxr_like(env, &in[3], out, "what is added to a product"));
    d->empty = rows == 0;
    for (size_t i = 0; i < d->n_parts && !d->empty; i++)
        OX_TRY(oxr_xnn_try(env->ctx,
                           d->s8 ? xnn_reshape_fully_connected_nc_qs8_qc8w(d->ops[i], rows, env->pool) : xnn_reshape_fully_connected_nc_f32(d->ops[i], rows, env->pool),
                           "shape of a product"));
    return OX_OK;
}

static ox_status dense_run(void *state, const struct oxr_env *env, const void *const *in, void *const *out, void *workspace)
{
    struct dense *d = state;
    float *sums = d->adds ? workspace : out[0];
    for (size_t i = 0; i < d->n_parts && !d->empty; i++) {
        OX_TRY(oxr_xnn_try(env->ctx,
                           d->s8 ? xnn_setup_fully_connected_nc_qs8_qc8w(d->ops[i], in[0], out[0]) : xnn_setup_fully_connected_nc_f32(d->ops[i], in[0], sums + i * d->part),
                           "operands of a product"));
        OX_TRY(oxr_xnn_try(env->ctx, xnn_run_operator(d->ops[i], env->pool), "product"));
    }
    for (size_t i = 0; d->adds && i < d->total; i++) {
        const float x = sums[i] + ((const float *)in[3])[i];
        ((float *)out[0])[i] = x < d->adds->low ? d->adds->low : x > d->adds->high ? d->adds->high : x;
    }
    return OX_OK;
}

const struct oxr_kernel oxr_xnn_dense = {dense_create, dense_reshape, dense_run, dense_destroy, 4};
const struct oxr_kernel oxr_kernel_dense_s8 = {dense_create, dense_reshape, dense_run, dense_destroy, 0};

/* ---- int8 products with float results ---------------------------------------------------------- */

/* XNNPACK has these for data that is quantized row by row as it comes; here all rows have the same scale and zero point. */
struct to_float {
    const struct ox_step_dense_s8f_params *p;
    int64_t k, n;
    size_t rows;
    xnn_operator_t op;
    struct oxr_xnn_weights weights;
};

static void to_float_destroy(void *state, const struct oxr_env *env)
{
    struct to_float *d = state;
    if (!d) return;
    if (d->op) xnn_delete_operator(d->op);
    ox_free(env->ctx, d);
}

static enum xnn_status to_float_make(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op)
{
    const struct ox_step *step = *(const struct ox_step **)arg;
    const struct ox_step_dense_s8f_params *p = step->params;
    const size_t n = (size_t)step->consts[1]->dims[0], k = (size_t)step->consts[1]->dims[1];
    const float *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    return xnn_create_fully_connected_nc_qd8_f32_qc8w(k, n, k, n, step->consts[2]->data, step->consts[1]->data, bias, p->low, p->high, 0, NULL, cache, op);
}

static ox_status to_float_create(void **state, const struct oxr_env *env, const struct ox_step *step)
{
    struct to_float *d;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &d, 1, sizeof *d));
    *state = d;
    d->p = step->params;
    d->n = step->consts[1]->dims[0];
    d->k = step->consts[1]->dims[1];
    return oxr_xnn_create(&d->op, &d->weights, env, step->number, 0, to_float_make, &step, "product");
}

static ox_status to_float_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in, struct oxr_shape *out, size_t *workspace)
{
    struct to_float *d = state;
    const int last = in->rank - 1;
    size_t total;
    if (in->dtype != OX_INT8) return oxr_bad_type(env, in, "product");
    if (in->rank < 1 || in->dims[last] != d->k) return oxr_bad_shape(env, "product of rank %d, weights for %lld", in->rank, (long long)d->k);
    *out = *in;
    out->dtype = OX_FLOAT;
    out->dims[last] = d->n;
    if (!oxr_count(&d->rows, in, 0, last) || ox_mul_size(&total, d->rows, (size_t)d->n) || d->rows > SIZE_MAX / 64) return oxr_bad_shape(env, "too many elements");
    if (d->rows == 0) return OX_OK;
    *workspace = (d->rows + XNN_EXTRA_QUANTIZATION_PARAMS) * sizeof(struct xnn_quantization_params);
    return oxr_xnn_try(env->ctx, xnn_reshape_fully_connected_nc_qd8_f32_qc8w(d->op, d->rows, env->pool), "shape of a product");
}

static ox_status to_float_run(void *state, const struct oxr_env *env, const void *const *in, void *const *out, void *workspace)
{
    struct to_float *d = state;
    struct xnn_quantization_params *rows = workspace;
    if (d->rows == 0) return OX_OK;
    for (size_t i = 0; i < d->rows + XNN_EXTRA_QUANTIZATION_PARAMS; i++) rows[i] = (struct xnn_quantization_params){.zero_point = d->p->in.zero, .scale = d->p->in.scale};
    OX_TRY(oxr_xnn_try(env->ctx, xnn_setup_fully_connected_nc_qd8_f32_qc8w(d->op, in[0], out[0], rows), "operands of a product"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(d->op, env->pool), "product");
}

const struct oxr_kernel oxr_kernel_dense_s8f = {to_float_create, to_float_reshape, to_float_run, to_float_destroy, 0};
