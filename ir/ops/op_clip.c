/* ir/ops/op_clip.c - Clip: bounds were attributes before opset 11 and are inputs since. */
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

static bool has(const struct ox_call *call, size_t i) {
    return i < call->n_in && (!call->present || call->present[i]);
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* Bounds as elements of the type in question; the type's own extremes where there is none. */
struct bounds {
    union {
        float f32;
        double f64;
        int64_t i64;
        uint64_t u64;
    } low, high;
};

/* Min(high, Max(x, low)); NaN passes. */
#define LOOP(fn, T, member)                                                                        \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const struct bounds *bounds = arg;                                                         \
        const T *xs = in[0], low = (T)bounds->low.member, high = (T)bounds->high.member;           \
        T *ys = out;                                                                               \
        (void)one;                                                                                 \
        for (size_t i = 0; i < n; i++) {                                                           \
            T x = xs[i];                                                                           \
            x = x < low ? low : x;                                                                 \
            ys[i] = x > high ? high : x;                                                           \
        }                                                                                          \
    }
LOOP(clip_f32, float, f32)
LOOP(clip_f64, double, f64)
LOOP(clip_i8, int8_t, i64)
LOOP(clip_i16, int16_t, i64)
LOOP(clip_i32, int32_t, i64)
LOOP(clip_i64, int64_t, i64)
LOOP(clip_u8, uint8_t, u64)
LOOP(clip_u16, uint16_t, u64)
LOOP(clip_u32, uint32_t, u64)
LOOP(clip_u64, uint64_t, u64)
static const ox_loop_fn int_loops[] = {clip_i8, clip_i16, clip_i32, clip_i64,
                                       clip_u8, clip_u16, clip_u32, clip_u64};

enum { CHUNK = 256 };

struct narrow {
    struct bounds bounds;
    ox_dtype dtype;
};

static void clip_narrow(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    const struct narrow *narrow = arg;
    const uint16_t *xs = in[0];
    uint16_t *ys = out;
    float wide[CHUNK];
    const void *operand[] = {wide};
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        ox_load_floats(wide, narrow->dtype, xs + done, count);
        clip_f32(wide, operand, one, count, &narrow->bounds);
        ox_store_floats(ys + done, narrow->dtype, wide, count);
    }
}

/* ---- decode and infer ------------------------------------------------------------------------ */

/* A bound that is constant, for those who ask what a Clip does: *known stays false for odd tensors,
 * which eval refuses. */
static ox_status constant_bound(bool *known, double *value, const struct ox_call *call,
                                const ox_tensor *t) {
    ox_tensor *wide;
    if (t->count != 1 || !(OX_BIT(t->dtype) & OX_NUMBERS)) return OX_OK;
    OX_TRY(ox_tensor_cast(&wide, call->ctx, t, OX_DOUBLE, true));
    memcpy(value, wide->data, sizeof *value);
    *known = true;
    ox_tensor_unref(wide);
    return OX_OK;
}

ox_status ox_decode_clip(const struct ox_call *call, void *params) {
    struct ox_clip_params *p = params;
    if (call->opset < 11) {
        float low, high;
        OX_TRY(ox_attr_float(&low, call, "min", 0));
        OX_TRY(ox_attr_float(&high, call, "max", 0));
        p->has_min = p->min_known = ox_attr_find(call, "min") != NULL;
        p->has_max = p->max_known = ox_attr_find(call, "max") != NULL;
        p->min = (double)low;
        p->max = (double)high;
        return OX_OK;
    }
    p->has_min = has(call, 1);
    p->has_max = has(call, 2);
    if (p->has_min && call->consts && call->consts[1])
        OX_TRY(constant_bound(&p->min_known, &p->min, call, call->consts[1]));
    if (p->has_max && call->consts && call->consts[2])
        OX_TRY(constant_bound(&p->max_known, &p->max, call, call->consts[2]));
    return OX_OK;
}

ox_status ox_infer_clip(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_NUMBERS));
    for (size_t i = 1; i < call->n_in; i++) {
        if (!has(call, i)) continue;
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, ox_in_dtype(io, i)));
        int64_t count = ox_type_is_tensor(io->in[i]) ? ox_type_count(io->in[i]) : -1;
        if (count >= 0 && count != 1)
            return ox_bad_shape(call, "bound (input %zu) of Clip has %lld elements, expected one",
                                i, (long long)count);
    }
    return ox_infer_same(io, 0, 0);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Widens one bound to the member that the type's loop reads. */
static void set_bound(void *member, ox_dtype dtype, const void *element) {
    switch (dtype) {
    case OX_FLOAT:
        memcpy(member, element, 4);
        break;
    case OX_FLOAT16:
    case OX_BFLOAT16:
        ox_load_floats(member, dtype, element, 1);
        break;
    case OX_INT8:
        *(int64_t *)member = *(const int8_t *)element;
        break;
    case OX_INT16:
        *(int64_t *)member = *(const int16_t *)element;
        break;
    case OX_INT32:
        *(int64_t *)member = *(const int32_t *)element;
        break;
    case OX_UINT8:
        *(uint64_t *)member = *(const uint8_t *)element;
        break;
    case OX_UINT16:
        *(uint64_t *)member = *(const uint16_t *)element;
        break;
    case OX_UINT32:
        *(uint64_t *)member = *(const uint32_t *)element;
        break;
    default:
        memcpy(member, element, 8);
        break;
    }
}

/* The widest interval of a type: nothing is clipped. Infinity, not the largest number: it passes
 * too. */
static struct bounds open_bounds(ox_dtype dtype) {
    struct bounds b = {.low.u64 = 0, .high.u64 = UINT64_MAX};
    int bits = ox_dtype_bits(dtype);
    if (dtype == OX_DOUBLE) {
        b.low.f64 = -INFINITY;
        b.high.f64 = INFINITY;
    } else if (ox_dtype_is_float(dtype)) {
        b.low.f32 = -INFINITY;
        b.high.f32 = INFINITY;
    } else if (ox_int_index(dtype) < 4) {
        b.low.i64 = bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
        b.high.i64 = -(b.low.i64 + 1);
    }
    return b;
}

static ox_status eval_bounds(struct bounds *b, const struct ox_call *call,
                             const struct ox_clip_params *p, const ox_tensor *const *in) {
    ox_dtype dtype = in[0]->dtype;
    *b = open_bounds(dtype);
    if (call->opset < 11) {
        if (!ox_dtype_is_float(dtype))
            return ox_bad_type(call, "Clip takes floats before opset 11, found %s",
                               ox_dtype_name(dtype));
        if (p->has_min && dtype == OX_DOUBLE) b->low.f64 = p->min;
        if (p->has_max && dtype == OX_DOUBLE) b->high.f64 = p->max;
        if (p->has_min && dtype != OX_DOUBLE) b->low.f32 = (float)p->min;
        if (p->has_max && dtype != OX_DOUBLE) b->high.f32 = (float)p->max;
        return OX_OK;
    }
    for (size_t i = 1; i < call->n_in; i++) {
        if (!in[i]) continue;
        OX_TRY(ox_expect_same_dtype(call, 0, dtype, i, in[i]->dtype));
        if (in[i]->count != 1)
            return ox_bad_shape(call, "bound (input %zu) of Clip is %s, expected one element", i,
                                ox_dims_text(in[i]->rank, in[i]->dims).text);
        set_bound(i == 1 ? (void *)&b->low : (void *)&b->high, dtype, in[i]->data);
    }
    return OX_OK;
}

ox_status ox_eval_clip(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    const ox_tensor *x = in[0];
    struct narrow arg = {.dtype = x->dtype};
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_NUMBERS));
    OX_TRY(eval_bounds(&arg.bounds, call, params, in));
    int which = ox_int_index(x->dtype);
    ox_loop_fn fn = x->dtype == OX_FLOAT    ? clip_f32
                    : x->dtype == OX_DOUBLE ? clip_f64
                    : which >= 0            ? int_loops[which]
                                            : clip_narrow;
    const void *loop_arg = fn == clip_narrow ? (const void *)&arg : &arg.bounds;
    void *data;
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, x->dtype, x->rank, x->dims));
    size_t size = (size_t)ox_dtype_bits(x->dtype) / 8;
    ox_run_map(call->ctx, fn, loop_arg, 1, data, size, x->data, size, x->count);
    return OX_OK;
}
