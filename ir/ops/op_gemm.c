/* ir/ops/op_gemm.c - Gemm: alpha * A' * B' + beta * C. */
#include "ir/ops/broadcast.h"
#include "ir/ops/kernel_gemm.h"
#include "ir/ops/kernel_product.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"

#define GEMM_TYPES                                                                                 \
    (OX_FLOATS | OX_BIT(OX_INT32) | OX_BIT(OX_INT64) | OX_BIT(OX_UINT32) | OX_BIT(OX_UINT64))

/* Before opset 7 C was broadcast on request (attribute `broadcast`) only; where its shape fits,
 * what it meant is the same, so the attribute is not looked at. */
ox_status ox_decode_gemm(const struct ox_call *call, void *params) {
    struct ox_gemm_params *p = params;
    int64_t trans_a, trans_b;
    OX_TRY(ox_attr_float(&p->alpha, call, "alpha", 1));
    OX_TRY(ox_attr_float(&p->beta, call, "beta", 1));
    OX_TRY(ox_attr_int(&trans_a, call, "transA", 0));
    OX_TRY(ox_attr_int(&trans_b, call, "transB", 0));
    p->trans_a = trans_a != 0;
    p->trans_b = trans_b != 0;
    return OX_OK;
}

ox_status ox_infer_gemm(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_gemm_params *p = params;
    ox_dtype dtype = OX_UNDEFINED;
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), GEMM_TYPES));
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, ox_in_dtype(io, i)));
        if (dtype == OX_UNDEFINED) dtype = ox_in_dtype(io, i);
        int rank = ox_in_rank(io, i);
        if ((i < 2 && rank >= 0 && rank != 2) || rank > 2)
            return ox_bad_shape(call, "input %zu of Gemm has rank %d", i, rank);
    }
    ox_dim out[2], k[2] = {{0, NULL}, {0, NULL}};
    OX_TRY(ox_dim_unknown(&out[0], io->dims));
    OX_TRY(ox_dim_unknown(&out[1], io->dims));
    bool has_a = ox_in_rank(io, 0) == 2, has_b = ox_in_rank(io, 1) == 2;
    if (has_a) {
        out[0] = io->in[0]->dims[p->trans_a];
        k[0] = io->in[0]->dims[!p->trans_a];
    }
    if (has_b) {
        out[1] = io->in[1]->dims[!p->trans_b];
        k[1] = io->in[1]->dims[p->trans_b];
    }
    if (has_a && has_b && ox_dim_is_const(k[0]) && ox_dim_is_const(k[1]) && k[0].k != k[1].k)
        return ox_bad_shape(call, "the inner dims %lld and %lld differ", (long long)k[0].k,
                            (long long)k[1].k);
    int c_rank = call->n_in > 2 ? ox_in_rank(io, 2) : -1;
    for (int i = 0; i < c_rank; i++) { /* C must fit without widening the product */
        ox_dim c = io->in[2]->dims[c_rank - 1 - i], y = out[1 - i];
        if (ox_dim_is_const(c) && c.k != 1 && ox_dim_is_const(y) && c.k != y.k)
            return ox_bad_shape(call, "C %s cannot be broadcast to the product %s",
                                ox_sym_dims_text(c_rank, io->in[2]->dims).text,
                                ox_sym_dims_text(2, out).text);
    }
    return ox_infer_tensor(io, 0, dtype, 2, out);
}

/* ---- beta * C -------------------------------------------------------------------------------- */

#define FILL(T, expression)                                                                        \
    do {                                                                                           \
        T *to = y;                                                                                 \
        const T *from = c ? c->data : NULL;                                                        \
        for (size_t i = 0; i < m; i++)                                                             \
            for (size_t j = 0; j < n; j++) {                                                       \
                T v = from ? from[i * rs + j * cs] : (T)0;                                         \
                to[i * n + j] = expression;                                                        \
            }                                                                                      \
    } while (0)

/* Starts the output with beta * C, or zeros. c may be NULL. */
static void start(void *y, size_t m, size_t n, ox_dtype dtype, const ox_tensor *c, float beta) {
    bool wide = c && c->rank > 0 && c->dims[c->rank - 1] != 1;
    bool high = c && c->rank > 1 && c->dims[0] != 1;
    size_t cs = wide, rs = high ? (wide ? n : 1) : 0;
    switch (dtype) {
    case OX_FLOAT:
        FILL(float, v *beta);
        break;
    case OX_DOUBLE:
        FILL(double, v *(double)beta);
        break;
    case OX_INT32: /* beta is 1 with integers */
    case OX_UINT32:
        FILL(uint32_t, v);
        break;
    default:
        FILL(uint64_t, v);
        break;
    }
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Integers scaled by floats: in 64-bit floats, and what lies behind the point is cut off in the
 * end. */
static ox_status scaled_integers(const struct ox_call *call, const struct ox_gemm_params *p,
                                 const ox_tensor *const *in, ox_tensor **out) {
    ox_tensor *own[3] = {NULL}, *result = NULL;
    const ox_tensor *wide[3] = {NULL};
    ox_status s = OX_OK;
    for (size_t i = 0; s == OX_OK && i < call->n_in && i < 3; i++) {
        if (in[i]) s = ox_tensor_cast(&own[i], call->ctx, in[i], OX_DOUBLE, true);
        wide[i] = own[i];
    }
    if (s == OX_OK) s = ox_eval_gemm(call, p, wide, &result);
    if (s == OX_OK) s = ox_tensor_cast(out, call->ctx, result, in[0]->dtype, true);
    ox_tensor_unref(result);
    for (size_t i = 0; i < 3; i++)
        ox_tensor_unref(own[i]);
    return s;
}

ox_status ox_eval_gemm(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    const struct ox_gemm_params *p = params;
    const ox_tensor *a = in[0], *b = in[1], *c = call->n_in > 2 ? in[2] : NULL;
    if (ox_is_narrow(a->dtype)) return ox_eval_wide(ox_eval_gemm, call, params, in, out, 1);
    OX_TRY(ox_expect_dtype(call, 0, a->dtype, GEMM_TYPES));
    OX_TRY(ox_expect_same_dtype(call, 0, a->dtype, 1, b->dtype));
    if (c) OX_TRY(ox_expect_same_dtype(call, 0, a->dtype, 2, c->dtype));
    if (a->rank != 2 || b->rank != 2)
        return ox_bad_shape(call, "Gemm of %s and %s", ox_dims_text(a->rank, a->dims).text,
                            ox_dims_text(b->rank, b->dims).text);
    int64_t dims[2] = {a->dims[p->trans_a], b->dims[!p->trans_b]};
    size_t m = (size_t)dims[0], n = (size_t)dims[1], k = (size_t)a->dims[!p->trans_a];
    if (a->dims[!p->trans_a] != b->dims[p->trans_b])
        return ox_bad_shape(call, "the inner dims %lld and %lld differ",
                            (long long)a->dims[!p->trans_a], (long long)b->dims[p->trans_b]);
    if (c && !ox_broadcasts_to(2, dims, c->rank, c->dims))
        return ox_bad_shape(call, "C %s cannot be broadcast to the product %s",
                            ox_dims_text(c->rank, c->dims).text, ox_dims_text(2, dims).text);
    bool integers = ox_dtype_is_integer(a->dtype);
    if (integers && (p->alpha != 1 || (p->beta != 1 && p->beta != 0)))
        return scaled_integers(call, p, in, out);
    void *y;
    OX_TRY(ox_tensor_new_raw(&out[0], &y, call->ctx, a->dtype, 2, dims));
    if (out[0]->count == 0) return OX_OK;
    bool add = c && p->beta != 0;
    if (add || p->alpha == 0) start(y, m, n, a->dtype, add ? c : NULL, p->beta);
    if (p->alpha == 0) return OX_OK;

    size_t a_rs = p->trans_a ? 1 : k, a_cs = p->trans_a ? m : 1;
    size_t b_rs = p->trans_b ? 1 : n, b_cs = p->trans_b ? k : 1;
    if (a->dtype == OX_FLOAT) {
        struct ox_gemm g = {.m = m,
                            .n = n,
                            .k = k,
                            .a = a->data,
                            .a_rs = a_rs,
                            .a_cs = a_cs,
                            .b = b->data,
                            .b_rs = b_rs,
                            .b_cs = b_cs,
                            .c = y,
                            .c_rs = n,
                            .alpha = p->alpha,
                            .add = add};
        return ox_gemm(call->ctx, &g);
    }
    struct ox_product g = {.dtype = a->dtype,
                           .m = m,
                           .n = n,
                           .k = k,
                           .a = a->data,
                           .a_rs = a_rs,
                           .a_cs = a_cs,
                           .b = b->data,
                           .b_rs = b_rs,
                           .b_cs = b_cs,
                           .c = y,
                           .c_rs = n,
                           .add = add,
                           .batch = 1};
    if (p->alpha == 1) return ox_product(call->ctx, &g);
    /* alpha scales the product only, and only 64-bit floats are left */
    ox_tensor *scaled;
    void *to;
    const double *from = a->data;
    OX_TRY(ox_tensor_new_raw(&scaled, &to, call->ctx, OX_DOUBLE, 2, a->dims));
    for (size_t i = 0; i < a->count; i++)
        ((double *)to)[i] = (double)p->alpha * from[i];
    g.a = to;
    ox_status status = ox_product(call->ctx, &g);
    ox_tensor_unref(scaled);
    return status;
}
