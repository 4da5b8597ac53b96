/* ir/ops/op_integer.c - what the operators on quantized integers share: checks of their scales and
 * zero points, widening, and turning sums into the output. */
#include "ir/ops/convert.h"
#include "ir/ops/integer_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

const struct ox_integer_kind ox_integer_kinds[2] = {
    [OX_INT_PLAIN] = {.w = 1, .x_zp = 2, .w_zp = 3},
    [OX_INT_QLINEAR] = {.x_scale = 1,
                        .x_zp = 2,
                        .w = 3,
                        .w_scale = 4,
                        .w_zp = 5,
                        .y_scale = 6,
                        .y_zp = 7,
                        .bias = 8},
};

static const struct ox_integer_kind *kind_of(const struct ox_call *call) {
    return call->op->family;
}

/* ---- checks ---------------------------------------------------------------------------------- */

ox_status ox_integer_check(const struct ox_call *call) {
    const struct ox_integer_kind *kind = kind_of(call);
    const size_t scales[] = {kind->x_scale, kind->w_scale, kind->y_scale};
    const size_t points[] = {kind->x_zp, kind->w_zp, kind->y_zp};
    for (int i = 0; i < 3; i++) {
        if (scales[i] == 0) continue;
        OX_TRY(ox_check_const_scale(call, scales[i]));
        OX_TRY(ox_check_zero_point(call, scales[i], points[i]));
    }
    return OX_OK;
}

/* The types of one quantized input and its zero point. */
static ox_status check_pair(const struct ox_call *call, size_t x, ox_dtype x_type, size_t zp,
                            ox_dtype zp_type) {
    OX_TRY(ox_expect_dtype(call, x, x_type, OX_BYTES | OX_FLOAT8S));
    if (!ox_q_has(call, zp)) return OX_OK;
    OX_TRY(ox_expect_dtype(call, zp, zp_type, OX_BYTES | OX_FLOAT8S));
    return ox_expect_same_dtype(call, x, x_type, zp, zp_type);
}

/* types: one for each input, OX_UNDEFINED where not known. */
static ox_status check_types(const struct ox_call *call, const ox_dtype *types, ox_dtype *result) {
    const struct ox_integer_kind *kind = kind_of(call);
    OX_TRY(check_pair(call, 0, types[0], kind->x_zp, types[kind->x_zp]));
    OX_TRY(check_pair(call, kind->w, types[kind->w], kind->w_zp, types[kind->w_zp]));
    *result = OX_INT32;
    if (!kind->y_zp) return OX_OK;
    OX_TRY(ox_expect_dtype(call, kind->x_scale, types[kind->x_scale], OX_REAL_TYPES));
    OX_TRY(ox_expect_dtype(call, kind->w_scale, types[kind->w_scale], OX_REAL_TYPES));
    OX_TRY(ox_expect_dtype(call, kind->y_scale, types[kind->y_scale], OX_REAL_TYPES));
    OX_TRY(ox_expect_dtype(call, kind->y_zp, types[kind->y_zp], OX_BYTES | OX_FLOAT8S));
    *result = types[kind->y_zp];
    if (!ox_q_has(call, kind->bias)) return OX_OK;
    return ox_expect_dtype(call, kind->bias, types[kind->bias], OX_BIT(OX_INT32));
}

enum { MOST_INPUTS = 9 };

ox_status ox_integer_infer_types(const struct ox_call *call, const struct ox_infer *io,
                                 ox_dtype *result) {
    const struct ox_integer_kind *kind = kind_of(call);
    ox_dtype types[MOST_INPUTS] = {OX_UNDEFINED};
    for (size_t i = 0; i < call->n_in && i < MOST_INPUTS; i++)
        types[i] = ox_in_dtype(io, i);
    OX_TRY(check_types(call, types, result));
    if (!kind->x_scale) return OX_OK;
    OX_TRY(ox_infer_zero_point(call, io, kind->x_scale, kind->x_zp));
    OX_TRY(ox_infer_zero_point(call, io, kind->w_scale, kind->w_zp));
    return ox_infer_zero_point(call, io, kind->y_scale, kind->y_zp);
}

ox_status ox_integer_eval_types(const struct ox_call *call, const ox_tensor *const *in,
                                ox_dtype *result) {
    const struct ox_integer_kind *kind = kind_of(call);
    ox_dtype types[MOST_INPUTS] = {OX_UNDEFINED};
    for (size_t i = 0; i < call->n_in && i < MOST_INPUTS; i++)
        if (in[i]) types[i] = in[i]->dtype;
    OX_TRY(check_types(call, types, result));
    const ox_dtype all[] = {types[0], types[kind->w], *result};
    for (int i = 0; i < 3; i++)
        if (ox_dtype_is_float(all[i]))
            return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                                ox_dtype_name(all[i]));
    return OX_OK;
}

ox_status ox_integer_number(float *out, const struct ox_call *call, size_t i, const ox_tensor *t) {
    if (t->count != 1)
        return ox_fail(call->ctx, OX_UNSUPPORTED, "no-kernel", NULL,
                       "input %zu of %s is %s; only a single number is supported", i,
                       call->op->name, ox_dims_text(t->rank, t->dims).text);
    ox_tensor *wide;
    OX_TRY(ox_tensor_cast(&wide, call->ctx, t, OX_FLOAT, true));
    memcpy(out, wide->data, sizeof *out);
    ox_tensor_unref(wide);
    return OX_OK;
}

/* ---- widening -------------------------------------------------------------------------------- */

#define WIDEN(fn, T)                                                                               \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const T *xs = in[0], *zs = in[1];                                                          \
        int16_t *ys = out;                                                                         \
        (void)arg;                                                                                 \
        if (one == 2) {                                                                            \
            int16_t z = zs[0];                                                                     \
            for (size_t i = 0; i < n; i++)                                                         \
                ys[i] = (int16_t)(xs[i] - z);                                                      \
        } else {                                                                                   \
            for (size_t i = 0; i < n; i++)                                                         \
                ys[i] = (int16_t)(xs[one & 1 ? 0 : i] - zs[i]);                                    \
        }                                                                                          \
    }
WIDEN(widen_u8, uint8_t)
WIDEN(widen_i8, int8_t)

ox_status ox_widen(int16_t **out, const struct ox_call *call, const ox_tensor *x,
                   const ox_tensor *zp, int zp_rank, const int64_t *zp_dims) {
    static const uint8_t zero = 0;
    struct ox_loop_operand operands[2] = {ox_loop_operand(x), {&zero, 1, 0, NULL}};
    if (zp) operands[1] = (struct ox_loop_operand){zp->data, 1, zp_rank, zp_dims};
    if (zp && !ox_broadcasts_to(x->rank, x->dims, zp_rank, zp_dims))
        return ox_bad_shape(call, "zero point %s does not fit %s",
                            ox_dims_text(zp->rank, zp->dims).text,
                            ox_dims_text(x->rank, x->dims).text);
    OX_TRY(ox_alloc_raw(call->ctx, out, x->count, sizeof **out));
    ox_run_loop(call->ctx, x->dtype == OX_INT8 ? widen_i8 : widen_u8, NULL, 1, *out, sizeof **out,
                x->rank, x->dims, 2, operands);
    return OX_OK;
}

/* ---- sums to outputs ------------------------------------------------------------------------- */

struct target {
    float scale, zp, low, high;
};

#define REQUANTIZE(fn, T)                                                                          \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const int32_t *sums = in[0];                                                               \
        const float *xs = in[1], *ws = in[2];                                                      \
        const struct target t = *(const struct target *)arg;                                       \
        T *ys = out;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            float scale = xs[one & 2 ? 0 : i] * ws[one & 4 ? 0 : i] / t.scale;                     \
            float y = rintf((float)sums[one & 1 ? 0 : i] * scale) + t.zp;                          \
            y = y > t.low ? y : t.low;                                                             \
            ys[i] = (T)(int32_t)(y < t.high ? y : t.high);                                         \
        }                                                                                          \
    }
REQUANTIZE(requantize_u8, uint8_t)
REQUANTIZE(requantize_i8, int8_t)

void ox_requantize(ox_ctx *ctx, const struct ox_requantize *r, void *out) {
    struct ox_int_range range = ox_int_range(r->dtype);
    struct target target = {r->y_scale, r->y_zp, range.low, range.high};
    struct ox_loop_operand operands[3] = {
        {r->sums, sizeof *r->sums, r->rank, r->dims}, r->x_scale, r->w_scale};
    ox_run_loop(ctx, r->dtype == OX_INT8 ? requantize_i8 : requantize_u8, &target, 2, out, 1,
                r->rank, r->dims, 3, operands);
}
