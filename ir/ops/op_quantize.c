/* ir/ops/op_quantize.c - QuantizeLinear and DequantizeLinear: parameters, types, and the checks of
 * scales and zero points that keep a malformed model from being run. Kernels: op_quantize_eval.c.
 */
#include "ir/ops/convert.h"
#include "ir/ops/quantize_priv.h"
#include <math.h>

#define QUANTIZED                                                                                  \
    (OX_BIT(OX_INT8) | OX_BIT(OX_UINT8) | OX_BIT(OX_INT16) | OX_BIT(OX_UINT16) | OX_FLOAT8S |      \
     OX_BIT(OX_INT4) | OX_BIT(OX_UINT4) | OX_BIT(OX_INT2) | OX_BIT(OX_UINT2) |                     \
     OX_BIT(OX_FLOAT4E2M1))

/* ---- checks ---------------------------------------------------------------------------------- */

ox_status ox_check_scale(const struct ox_call *call, size_t i, const ox_tensor *scale) {
    OX_TRY(ox_expect_dtype(call, i, scale->dtype, OX_SCALE_TYPES));
    size_t bytes = (size_t)ox_dtype_bits(scale->dtype) / 8;
    for (size_t k = 0; k < scale->count; k++) {
        float s;
        int32_t whole;
        union {
            float f;
            char bytes[4];
        } aligned;
        memcpy(aligned.bytes, (const char *)scale->data + k * bytes, bytes);
        memcpy(&whole, aligned.bytes, sizeof whole);
        if (scale->dtype == OX_INT32)
            s = (float)whole;
        else
            ox_load_floats(&s, scale->dtype, aligned.bytes, 1);
        if (!(s > 0 && s < INFINITY))
            return ox_fail(call->ctx, OX_INVALID, "bad-scale", NULL,
                           "scale (input %zu) of %s is %g at element %zu, expected a positive "
                           "finite number",
                           i, call->op->name, (double)s, k);
    }
    return OX_OK;
}

ox_status ox_check_const_scale(const struct ox_call *call, size_t i) {
    const ox_tensor *scale = ox_q_const(call, i);
    return scale ? ox_check_scale(call, i, scale) : OX_OK;
}

/* Shapes are equal, leaving aside dims where both have one element. */
static bool fits(const ox_tensor *a, const ox_tensor *b) {
    if (a->count == 1 && b->count == 1) return true;
    if (a->rank != b->rank) return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d]) return false;
    return true;
}

ox_status ox_check_zero_point(const struct ox_call *call, size_t scale, size_t zp) {
    const ox_tensor *s = ox_q_const(call, scale), *z = ox_q_const(call, zp);
    if (!s || !z || fits(s, z)) return OX_OK;
    return ox_bad_shape(call, "zero point (input %zu) of %s is %s, its scale (input %zu) is %s", zp,
                        call->op->name, ox_dims_text(z->rank, z->dims).text, scale,
                        ox_dims_text(s->rank, s->dims).text);
}

ox_status ox_infer_zero_point(const struct ox_call *call, const struct ox_infer *io, size_t scale,
                              size_t zp) {
    if (!ox_q_has(call, zp) || ox_in_rank(io, scale) < 0 || ox_in_rank(io, zp) < 0) return OX_OK;
    const struct ox_type *s = io->in[scale], *z = io->in[zp];
    if (ox_type_count(s) == 1 && ox_type_count(z) == 1) return OX_OK;
    bool fit = s->rank == z->rank;
    for (int d = 0; fit && d < s->rank; d++)
        fit = !ox_dim_is_const(s->dims[d]) || !ox_dim_is_const(z->dims[d]) ||
              s->dims[d].k == z->dims[d].k;
    if (fit) return OX_OK;
    return ox_bad_shape(call, "zero point (input %zu) of %s is %s, its scale (input %zu) is %s", zp,
                        call->op->name, ox_sym_dims_text(z->rank, z->dims).text, scale,
                        ox_sym_dims_text(s->rank, s->dims).text);
}

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status decode_precision(ox_dtype *out, const struct ox_call *call) {
    int64_t precision;
    OX_TRY(ox_attr_int(&precision, call, "precision", OX_UNDEFINED));
    *out = (ox_dtype)precision;
    if (precision == OX_UNDEFINED ||
        (ox_dtype_valid(precision) && OX_REAL_TYPES & OX_BIT(precision)))
        return OX_OK;
    return ox_bad_attr(call, "precision is %lld, expected float, float16 or bfloat16",
                       (long long)precision);
}

ox_status ox_decode_quantize(const struct ox_call *call, void *params) {
    struct ox_quantize_params *p = params;
    int64_t out, saturate;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 1));
    OX_TRY(ox_attr_int(&p->block, call, "block_size", 0));
    OX_TRY(ox_attr_int(&out, call, "output_dtype", 0));
    OX_TRY(ox_attr_int(&saturate, call, "saturate", 1));
    if (p->block < 0)
        return ox_bad_attr(call, "block_size is %lld, expected 0 or more", (long long)p->block);
    if (out != 0 && !ox_dtype_valid(out))
        return ox_bad_attr(call, "output_dtype is %lld, which is no element type", (long long)out);
    p->precision = OX_FLOAT;
    if (call->op->domain[0] == '\0' && call->opset >= 23)
        OX_TRY(decode_precision(&p->precision, call));
    p->out = (ox_dtype)out;
    p->saturate = saturate != 0;
    OX_TRY(ox_check_const_scale(call, 1));
    return ox_check_zero_point(call, 1, 2);
}

/* ---- infer ----------------------------------------------------------------------------------- */

/* The scale's dims against the data's, as far as both are known. */
static ox_status infer_scale(const struct ox_call *call, const struct ox_quantize_params *p,
                             const struct ox_infer *io) {
    const struct ox_type *x = io->in[0], *s = io->in[1];
    if (ox_in_rank(io, 0) < 0 || ox_in_rank(io, 1) < 0 || ox_type_count(s) == 1) return OX_OK;
    int axis;
    if (p->block == 0 && s->rank > 1)
        return ox_bad_shape(call, "scale of %s is %s, expected a number or a vector",
                            call->op->name, ox_sym_dims_text(s->rank, s->dims).text);
    if (p->block == 0 && s->rank == 0) return OX_OK;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    bool fit = p->block == 0 || s->rank == x->rank;
    for (int d = 0; fit && d < s->rank; d++) {
        ox_dim want = x->dims[p->block == 0 ? axis : d], have = s->dims[d];
        if (!ox_dim_is_const(want) || !ox_dim_is_const(have)) continue;
        int64_t expected = want.k;
        if (p->block > 0 && d == axis) expected = want.k / p->block + (want.k % p->block != 0);
        fit = have.k == expected;
    }
    if (fit) return OX_OK;
    return ox_bad_shape(call, "scale of %s is %s, which does not fit data of %s along axis %d%s",
                        call->op->name, ox_sym_dims_text(s->rank, s->dims).text,
                        ox_sym_dims_text(x->rank, x->dims).text, axis,
                        p->block > 0 ? " in blocks" : "");
}

static ox_status infer_result(const struct ox_call *call, const struct ox_quantize_params *p,
                              struct ox_infer *io, ox_dtype dtype) {
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_SCALE_TYPES));
    OX_TRY(infer_scale(call, p, io));
    OX_TRY(ox_infer_zero_point(call, io, 1, 2));
    if (!ox_type_is_tensor(io->in[0])) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    return ox_infer_tensor(io, 0, dtype, io->in[0]->rank, io->in[0]->dims);
}

/* uint8 unless the zero point or the attribute says otherwise; both must say the same. */
static ox_status quantized_type(ox_dtype *out, const struct ox_call *call,
                                const struct ox_quantize_params *p, ox_dtype zp) {
    *out = p->out != OX_UNDEFINED ? p->out : OX_UINT8;
    if (!(QUANTIZED & OX_BIT(*out)))
        return ox_bad_attr(call, "output_dtype is %s, which is no quantized type",
                           ox_dtype_name(*out));
    if (!ox_q_has(call, 2)) return OX_OK;
    OX_TRY(ox_expect_dtype(call, 2, zp, QUANTIZED));
    if (p->out != OX_UNDEFINED && zp != OX_UNDEFINED && zp != p->out)
        return ox_bad_type(call, "zero point is %s, output_dtype is %s", ox_dtype_name(zp),
                           ox_dtype_name(p->out));
    if (p->out == OX_UNDEFINED) *out = zp;
    return OX_OK;
}

#define HIGH_PRECISION (OX_REAL_TYPES | OX_BIT(OX_INT32))
#define DEQUANTIZABLE (QUANTIZED | OX_BIT(OX_INT32))

ox_status ox_infer_quantize(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dtype dtype, zp = call->n_in > 2 ? ox_in_dtype(io, 2) : OX_UNDEFINED;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), HIGH_PRECISION));
    OX_TRY(quantized_type(&dtype, call, params, zp));
    return infer_result(call, params, io, dtype);
}

static ox_status check_out_float(const struct ox_call *call, const struct ox_quantize_params *p) {
    if (p->out == OX_UNDEFINED || (OX_REAL_TYPES & OX_BIT(p->out))) return OX_OK;
    return ox_bad_attr(call, "output_dtype is %s, expected a float type", ox_dtype_name(p->out));
}

/* The scale's type, unless that is none to compute with. */
static ox_dtype dequantized_type(const struct ox_quantize_params *p, ox_dtype scale) {
    if (p->out != OX_UNDEFINED || scale == OX_UNDEFINED) return p->out;
    return OX_REAL_TYPES & OX_BIT(scale) ? scale : OX_FLOAT;
}

ox_status ox_infer_dequantize(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_quantize_params *p = params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), DEQUANTIZABLE));
    if (ox_q_has(call, 2))
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), 2, ox_in_dtype(io, 2)));
    OX_TRY(check_out_float(call, p));
    return infer_result(call, p, io, dequantized_type(p, ox_in_dtype(io, 1)));
}

/* ---- what eval needs ------------------------------------------------------------------------- */

/* Where each element's scale is. Everything that infer may not have known is checked here. The
 * dims' products are at most x's count, which exists. */
static ox_status place_scales(struct ox_scales *at, const struct ox_call *call,
                              const struct ox_quantize_params *p, const ox_tensor *x,
                              const ox_tensor *s) {
    *at = (struct ox_scales){1, {(int64_t)x->count}, {1}, 0};
    if (s->count == 1) return OX_OK;
    int axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    bool blocked = p->block > 0;
    int64_t dim = x->dims[axis], blocks = blocked ? dim / p->block + (dim % p->block != 0) : dim;
    bool fit = s->rank == (blocked ? x->rank : 1);
    for (int d = 0; fit && d < s->rank; d++)
        fit = s->dims[d] == (!blocked || d == axis ? blocks : x->dims[d]);
    if (!fit)
        return ox_bad_shape(call, "scale of %s is %s, which does not fit data of %s along axis %d",
                            call->op->name, ox_dims_text(s->rank, s->dims).text,
                            ox_dims_text(x->rank, x->dims).text, axis);
    int64_t outer = 1, inner = 1;
    for (int d = 0; d < axis; d++)
        outer *= x->dims[d];
    for (int d = axis + 1; d < x->rank; d++)
        inner *= x->dims[d];
    if (!blocked)
        *at = (struct ox_scales){3, {outer, dim, inner}, {1, dim, 1}, 0};
    else if (dim % p->block == 0)
        *at = (struct ox_scales){4, {outer, blocks, p->block, inner}, {outer, blocks, 1, inner}, 0};
    else
        *at = (struct ox_scales){3, {outer, dim, inner}, {outer, blocks, inner}, p->block};
    return OX_OK;
}

ox_status ox_eval_quantize(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_quantize_params *p = params;
    struct ox_scales at;
    ox_dtype dtype;
    const ox_tensor *zp = call->n_in > 2 ? in[2] : NULL;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, HIGH_PRECISION));
    OX_TRY(quantized_type(&dtype, call, p, zp ? zp->dtype : OX_UNDEFINED));
    OX_TRY(place_scales(&at, call, p, in[0], in[1]));
    ox_dtype precision = p->precision == OX_UNDEFINED && OX_REAL_TYPES & OX_BIT(in[1]->dtype)
                             ? in[1]->dtype
                             : p->precision;
    if (precision != OX_FLOAT16 && precision != OX_BFLOAT16)
        return ox_run_quantize(&out[0], call->ctx, &at, in[0], in[1], zp, dtype, p->saturate);
    ox_tensor *quotients, *ones;
    OX_TRY(ox_run_divide(&quotients, &ones, call->ctx, &at, in[0], in[1], precision));
    ox_status status =
        ox_run_quantize(&out[0], call->ctx, &at, quotients, ones, zp, dtype, p->saturate);
    ox_tensor_unref(quotients);
    ox_tensor_unref(ones);
    return status;
}

ox_status ox_eval_dequantize(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_quantize_params *p = params;
    struct ox_scales at;
    const ox_tensor *zp = call->n_in > 2 ? in[2] : NULL;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, DEQUANTIZABLE));
    if (zp) OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, 2, zp->dtype));
    OX_TRY(place_scales(&at, call, p, in[0], in[1]));
    ox_dtype dtype = dequantized_type(p, in[1]->dtype);
    OX_TRY(check_out_float(call, p));
    return ox_run_dequantize(&out[0], call->ctx, &at, in[0], in[1], zp, dtype);
}
