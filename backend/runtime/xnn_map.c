/* backend/runtime/xnn_map.c - element by element: binary operators with broadcasting, unary ones,
 * quantizing and back; softmax. */
#include "backend/runtime/xnn_common.h"

#include <math.h>

struct map {
    xnn_operator_t op;
    ox_dtype in, out;
    bool empty;
};

static void map_destroy(void *state, const struct oxr_env *env) {
    struct map *m = state;
    if (!m) return;
    if (m->op) xnn_delete_operator(m->op);
    ox_free(env->ctx, m);
}

static ox_status map_new(struct map **out, void **state, const struct oxr_env *env, ox_dtype from,
                         ox_dtype to) {
    struct map *m;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &m, 1, sizeof *m));
    *out = *state = m;
    m->in = from;
    m->out = to;
    return OX_OK;
}

/* ---- binary ------------------------------------------------------------------------------------
 */

static const enum xnn_binary_operator binaries[OX_STEP_BINARY_OPS] = {
    [OX_STEP_ADD] = xnn_binary_add,      [OX_STEP_SUB] = xnn_binary_subtract,
    [OX_STEP_MUL] = xnn_binary_multiply, [OX_STEP_DIV] = xnn_binary_divide,
    [OX_STEP_MAX] = xnn_binary_maximum,  [OX_STEP_MIN] = xnn_binary_minimum,
};

static struct xnn_quantization_params quant(struct ox_step_quant q) {
    return (struct xnn_quantization_params){.zero_point = q.zero, .scale = q.scale};
}

static ox_status binary_create(void **state, const struct oxr_env *env,
                               const struct ox_step *step) {
    const struct ox_step_binary_params *p = step->params;
    struct map *m;
    OX_TRY(map_new(&m, state, env, OX_FLOAT, OX_FLOAT));
    return oxr_xnn_try(env->ctx,
                       xnn_create_binary_elementwise_nd(binaries[p->op], xnn_datatype_fp32, NULL,
                                                        NULL, NULL, 0, &m->op),
                       "binary operator");
}

static ox_status binary_s8_create(void **state, const struct oxr_env *env,
                                  const struct ox_step *step) {
    const struct ox_step_binary_s8_params *p = step->params;
    struct xnn_quantization_params a = quant(p->a), b = quant(p->b), out = quant(p->out);
    struct map *m;
    OX_TRY(map_new(&m, state, env, OX_INT8, OX_INT8));
    return oxr_xnn_try(env->ctx,
                       xnn_create_binary_elementwise_nd(binaries[p->op], xnn_datatype_qint8, &a, &b,
                                                        &out, 0, &m->op),
                       "binary operator");
}

/* Dims of an operand for XNNPACK, which knows fewer dims than we do: leading ones are cut. */
static bool cut_dims(size_t *dims, size_t *rank, const struct oxr_shape *s) {
    int first = 0;
    while (first < s->rank && s->rank - first > XNN_MAX_TENSOR_DIMS && s->dims[first] == 1)
        first++;
    *rank = (size_t)(s->rank - first);
    for (int i = first; i < s->rank && *rank <= XNN_MAX_TENSOR_DIMS; i++)
        dims[i - first] = (size_t)s->dims[i];
    return *rank <= XNN_MAX_TENSOR_DIMS;
}

static ox_status binary_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                                struct oxr_shape *out, size_t *workspace) {
    struct map *m = state;
    const struct oxr_shape *a = &in[0], *b = &in[1];
    size_t da[XNN_MAX_TENSOR_DIMS], db[XNN_MAX_TENSOR_DIMS], ra, rb, total;
    (void)workspace;
    if (a->dtype != m->in) return oxr_bad_type(env, a, "binary operator");
    if (b->dtype != m->in) return oxr_bad_type(env, b, "binary operator");
    int rank = a->rank > b->rank ? a->rank : b->rank;
    *out = (struct oxr_shape){.dtype = m->out, .rank = rank};
    for (int i = 0; i < rank; i++) {
        int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        int64_t x = ia < 0 ? 1 : a->dims[ia], y = ib < 0 ? 1 : b->dims[ib];
        if (x != y && x != 1 && y != 1)
            return oxr_bad_shape(env, "dims %lld and %lld do not broadcast", (long long)x,
                                 (long long)y);
        out->dims[i] = x == 1 ? y : x;
    }
    if (!oxr_count(&total, out, 0, rank) || !cut_dims(da, &ra, a) || !cut_dims(db, &rb, b))
        return oxr_bad_shape(env, "binary operator of rank %d", rank);
    m->empty = total == 0;
    if (m->empty) return OX_OK;
    return oxr_xnn_try(env->ctx,
                       xnn_reshape_binary_elementwise_nd(m->op, ra, da, rb, db, env->pool),
                       "shape of a binary operator");
}

static ox_status binary_run(void *state, const struct oxr_env *env, const void *const *in,
                            void *const *out, void *workspace) {
    struct map *m = state;
    (void)workspace;
    if (m->empty) return OX_OK;
    OX_TRY(oxr_xnn_try(env->ctx, xnn_setup_binary_elementwise_nd(m->op, in[0], in[1], out[0]),
                       "operands of a binary operator"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(m->op, env->pool), "binary operator");
}

const struct oxr_kernel oxr_kernel_binary = {binary_create, binary_reshape, binary_run, map_destroy,
                                             1};
const struct oxr_kernel oxr_kernel_binary_s8 = {binary_s8_create, binary_reshape, binary_run,
                                                map_destroy, 1};

/* ---- unary -------------------------------------------------------------------------------------
 */

static const enum xnn_unary_operator unaries[OX_STEP_UNARY_OPS] = {
    [OX_STEP_CLAMP] = xnn_unary_clamp,
    [OX_STEP_ABS] = xnn_unary_abs,
    [OX_STEP_ROUND] = xnn_unary_bankers_rounding,
    [OX_STEP_CEIL] = xnn_unary_ceiling,
    [OX_STEP_FLOOR] = xnn_unary_floor,
    [OX_STEP_ELU] = xnn_unary_elu,
    [OX_STEP_GELU] = xnn_unary_gelu,
    [OX_STEP_HARDSWISH] = xnn_unary_hardswish,
    [OX_STEP_LEAKY_RELU] = xnn_unary_leaky_relu,
    [OX_STEP_LOG] = xnn_unary_log,
    [OX_STEP_NEG] = xnn_unary_negate,
    [OX_STEP_SIGMOID] = xnn_unary_sigmoid,
    [OX_STEP_SQRT] = xnn_unary_square_root,
    [OX_STEP_TANH] = xnn_unary_tanh,
};

static ox_status unary_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    const struct ox_step_unary_params *p = step->params;
    union xnn_unary_params u;
    struct map *m;
    memset(&u, 0, sizeof u);
    if (p->op == OX_STEP_CLAMP) {
        u.clamp.min = p->low;
        u.clamp.max = p->high;
    } else if (p->op == OX_STEP_ELU) {
        u.elu.alpha = p->low;
    } else if (p->op == OX_STEP_LEAKY_RELU) {
        u.leaky_relu.negative_slope = p->low;
    }
    OX_TRY(map_new(&m, state, env, OX_FLOAT, OX_FLOAT));
    return oxr_xnn_try(env->ctx,
                       xnn_create_unary_elementwise_nc(unaries[p->op], xnn_datatype_fp32,
                                                       xnn_datatype_fp32, &u, NULL, NULL, 0,
                                                       &m->op),
                       "unary operator");
}

static ox_status quantize_create(void **state, const struct oxr_env *env,
                                 const struct ox_step *step) {
    const struct ox_step_quantize_params *p = step->params;
    struct xnn_quantization_params out = quant(p->out);
    struct map *m;
    OX_TRY(map_new(&m, state, env, OX_FLOAT, OX_INT8));
    return oxr_xnn_try(env->ctx,
                       xnn_create_unary_elementwise_nc(xnn_unary_convert, xnn_datatype_fp32,
                                                       xnn_datatype_qint8, NULL, NULL, &out, 0,
                                                       &m->op),
                       "quantize");
}

static ox_status dequantize_create(void **state, const struct oxr_env *env,
                                   const struct ox_step *step) {
    const struct ox_step_dequantize_params *p = step->params;
    struct xnn_quantization_params in = quant(p->in);
    struct map *m;
    OX_TRY(map_new(&m, state, env, OX_INT8, OX_FLOAT));
    return oxr_xnn_try(env->ctx,
                       xnn_create_unary_elementwise_nc(xnn_unary_convert, xnn_datatype_qint8,
                                                       xnn_datatype_fp32, NULL, &in, NULL, 0,
                                                       &m->op),
                       "dequantize");
}

static ox_status unary_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct map *m = state;
    size_t total;
    (void)workspace;
    if (in->dtype != m->in) return oxr_bad_type(env, in, "unary operator");
    *out = *in;
    out->dtype = m->out;
    if (!oxr_count(&total, in, 0, in->rank)) return oxr_bad_shape(env, "too many elements");
    m->empty = total == 0;
    if (m->empty) return OX_OK;
    return oxr_xnn_try(env->ctx, xnn_reshape_unary_elementwise_nc(m->op, total, 1, 1, 1, env->pool),
                       "shape of a unary operator");
}

static ox_status unary_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    struct map *m = state;
    (void)workspace;
    if (m->empty) return OX_OK;
    OX_TRY(oxr_xnn_try(env->ctx, xnn_setup_unary_elementwise_nc(m->op, in[0], out[0]),
                       "operands of a unary operator"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(m->op, env->pool), "unary operator");
}

const struct oxr_kernel oxr_kernel_unary = {unary_create, unary_reshape, unary_run, map_destroy, 1};
const struct oxr_kernel oxr_kernel_quantize = {quantize_create, unary_reshape, unary_run,
                                               map_destroy, 0};
const struct oxr_kernel oxr_kernel_dequantize = {dequantize_create, unary_reshape, unary_run,
                                                 map_destroy, 0};

/* ---- softmax -----------------------------------------------------------------------------------
 */

static ox_status softmax_create(void **state, const struct oxr_env *env,
                                const struct ox_step *step) {
    struct map *m;
    (void)step;
    OX_TRY(map_new(&m, state, env, OX_FLOAT, OX_FLOAT));
    return oxr_xnn_try(env->ctx, xnn_create_softmax_nc_f32(0, &m->op), "softmax");
}

static ox_status softmax_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                                 struct oxr_shape *out, size_t *workspace) {
    struct map *m = state;
    size_t rows;
    (void)workspace;
    if (in->dtype != OX_FLOAT) return oxr_bad_type(env, in, "softmax");
    if (in->rank < 1 || !oxr_count(&rows, in, 0, in->rank - 1))
        return oxr_bad_shape(env, "softmax of rank %d", in->rank);
    *out = *in;
    size_t n = (size_t)in->dims[in->rank - 1];
    m->empty = rows == 0 || n == 0;
    if (m->empty) return OX_OK;
    return oxr_xnn_try(env->ctx, xnn_reshape_softmax_nc_f32(m->op, n, n, n, rows, env->pool),
                       "shape of softmax");
}

static ox_status softmax_run(void *state, const struct oxr_env *env, const void *const *in,
                             void *const *out, void *workspace) {
    struct map *m = state;
    (void)workspace;
    if (m->empty) return OX_OK;
    OX_TRY(oxr_xnn_try(env->ctx, xnn_setup_softmax_nc_f32(m->op, in[0], out[0]),
                       "operands of softmax"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(m->op, env->pool), "softmax");
}

const struct oxr_kernel oxr_kernel_softmax = {softmax_create, softmax_reshape, softmax_run,
                                              map_destroy, 0};
