/* backend/runtime/xnn_dense8.c - int8 products with constant weights, with results in int8 or
 * float: by our own kernel where the processor has one, else by XNNPACK. */
#include "backend/runtime/igemm8.h"
#include "backend/runtime/xnn_common.h"

struct dense8 {
    const struct ox_step_dense_s8_params *s8; /* one of the two */
    const struct ox_step_dense_s8f_params *s8f;
    size_t k, n, rows, n_pieces;
    struct oxr_igemm8 product; /* packed: our own kernel */
    struct oxr_igemm8_job pieces;
    xnn_operator_t op;
    struct oxr_xnn_weights weights;
};

static void dense8_destroy(void *state, const struct oxr_env *env) {
    struct dense8 *d = state;
    if (!d) return;
    if (d->op) xnn_delete_operator(d->op);
    oxr_igemm8_release(&d->product, env->ctx);
    ox_free(env->ctx, d);
}

static ox_status dense8_pack(struct dense8 *d, const struct oxr_env *env,
                             const struct ox_step *step, const struct oxr_igemm8_kernel *kernel) {
    struct oxr_igemm8_task task = {.window = {{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0},
                                   .groups = 1,
                                   .ci = d->k,
                                   .co = d->n,
                                   .weights = step->consts[1]->data,
                                   .scales = step->consts[2]->data,
                                   .real = d->s8f != NULL};
    const void *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    if (d->s8f) {
        task.in = d->s8f->in;
        task.shift = bias;
        task.floor = d->s8f->low;
        task.ceiling = d->s8f->high;
    } else {
        task.in = d->s8->in;
        task.out = d->s8->out;
        task.bias = bias;
        task.low = d->s8->low;
        task.high = d->s8->high;
    }
    d->pieces = (struct oxr_igemm8_job){
        .g = &d->product, .height = 1, .width = 1, .out_height = 1, .out_width = 1};
    return oxr_igemm8_pack(&d->product, env->ctx, kernel, &task);
}

/* XNNPACK has products with float results for data that is quantized row by row as it comes; here
 * all rows have the same scale and zero point. */
static enum xnn_status dense8_create_op(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op) {
    const struct ox_step *step = *(const struct ox_step **)arg;
    const size_t n = (size_t)step->consts[1]->dims[0], k = (size_t)step->consts[1]->dims[1];
    const void *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    const int8_t *w = step->consts[1]->data;
    const float *scales = step->consts[2]->data;
    if (step->kind == OX_STEP_DENSE_S8F) {
        const struct ox_step_dense_s8f_params *f = step->params;
        return xnn_create_fully_connected_nc_qd8_f32_qc8w(k, n, k, n, scales, w, bias, f->low,
                                                          f->high, 0, NULL, cache, op);
    }
    const struct ox_step_dense_s8_params *p = step->params;
    return xnn_create_fully_connected_nc_qs8_qc8w(
        k, n, k, n, (int8_t)p->in.zero, p->in.scale, scales, w, bias, (int8_t)p->out.zero,
        p->out.scale, (int8_t)p->low, (int8_t)p->high, 0, NULL, cache, op);
}

static ox_status dense8_create(void **state, const struct oxr_env *env,
                               const struct ox_step *step) {
    const struct oxr_igemm8_kernel *kernel = oxr_xnn_amx() ? oxr_igemm8_best() : NULL;
    struct dense8 *d;
    OX_TRY(ox_alloc(env->ctx, &d, 1, sizeof *d));
    *state = d;
    if (step->kind == OX_STEP_DENSE_S8)
        d->s8 = step->params;
    else
        d->s8f = step->params;
    d->n = (size_t)step->consts[1]->dims[0];
    d->k = (size_t)step->consts[1]->dims[1];
    if (kernel) return dense8_pack(d, env, step, kernel);
    OX_TRY(oxr_xnn_start(env->ctx));
    return oxr_xnn_create(&d->op, &d->weights, env, step->number, 0, dense8_create_op, &step,
                          "product");
}

static ox_status dense8_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                                struct oxr_shape *out, size_t *workspace) {
    struct dense8 *d = state;
    const int last = in->rank - 1;
    size_t total;
    if (in->dtype != OX_INT8) return oxr_bad_type(env, in, "product");
    if (in->rank < 1 || in->dims[last] != (int64_t)d->k)
        return oxr_bad_shape(env, "product of rank %d, weights for %zu", in->rank, d->k);
    *out = *in;
    out->dtype = d->s8f ? OX_FLOAT : OX_INT8;
    out->dims[last] = (int64_t)d->n;
    if (!oxr_count(&d->rows, in, 0, last) || ox_mul_size(&total, d->rows, d->n) ||
        d->rows > SIZE_MAX / 64)
        return oxr_bad_shape(env, "too many elements");
    if (d->rows == 0) return OX_OK;
    if (d->product.weights) {
        d->pieces.rows = d->rows;
        if (!oxr_igemm8_cut(&d->pieces, pthreadpool_get_threads_count(env->pool), &d->n_pieces,
                            workspace))
            return oxr_bad_shape(env, "too many elements");
        return OX_OK;
    }
    if (d->s8)
        return oxr_xnn_try(env->ctx,
                           xnn_reshape_fully_connected_nc_qs8_qc8w(d->op, d->rows, env->pool),
                           "shape of a product");
    *workspace = (d->rows + XNN_EXTRA_QUANTIZATION_PARAMS) * sizeof(struct xnn_quantization_params);
    return oxr_xnn_try(env->ctx,
                       xnn_reshape_fully_connected_nc_qd8_f32_qc8w(d->op, d->rows, env->pool),
                       "shape of a product");
}

static ox_status dense8_setup(struct dense8 *d, const struct oxr_env *env, const int8_t *in,
                              void *out, void *workspace) {
    struct xnn_quantization_params *rows = workspace;
    if (d->s8)
        return oxr_xnn_try(env->ctx, xnn_setup_fully_connected_nc_qs8_qc8w(d->op, in, out),
                           "operands of a product");
    for (size_t i = 0; i < d->rows + XNN_EXTRA_QUANTIZATION_PARAMS; i++)
        rows[i] = (struct xnn_quantization_params){.zero_point = d->s8f->in.zero,
                                                   .scale = d->s8f->in.scale};
    return oxr_xnn_try(env->ctx, xnn_setup_fully_connected_nc_qd8_f32_qc8w(d->op, in, out, rows),
                       "operands of a product");
}

static ox_status dense8_run(void *state, const struct oxr_env *env, const void *const *in,
                            void *const *out, void *workspace) {
    struct dense8 *d = state;
    if (d->rows == 0) return OX_OK;
    if (d->product.weights) {
        d->pieces.in = in[0];
        d->pieces.out = out[0];
        d->pieces.scratch = workspace;
        pthreadpool_parallelize_1d_with_thread(env->pool, oxr_igemm8_piece, &d->pieces, d->n_pieces,
                                               0);
        return OX_OK;
    }
    OX_TRY(dense8_setup(d, env, in[0], out[0], workspace));
    return oxr_xnn_try(env->ctx, xnn_run_operator(d->op, env->pool), "product");
}

const struct oxr_kernel oxr_kernel_dense_s8 = {dense8_create, dense8_reshape, dense8_run,
                                               dense8_destroy, 0};
const struct oxr_kernel oxr_kernel_dense_s8f = {dense8_create, dense8_reshape, dense8_run,
                                                dense8_destroy, 0};
