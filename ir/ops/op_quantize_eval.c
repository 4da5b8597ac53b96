/* ir/ops/op_quantize_eval.c - the arithmetic of QuantizeLinear and DequantizeLinear.
 *
 * All of it is in float: x / scale rounded to nearest even, plus the zero point, cut to the type's
 * range (NaN gives the lowest number); and (x - zero point) * scale. Other types are converted
 * before and after. */
#include "ir/ops/convert.h"
#include "ir/ops/quantize_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

struct ox_int_range ox_int_range(ox_dtype dtype) {
    bool is_signed = dtype == OX_INT16 || dtype == OX_INT8 || dtype == OX_INT4 || dtype == OX_INT2;
    float span = (float)(1 << ox_dtype_bits(dtype));
    float low = is_signed ? -span / 2 : 0;
    return (struct ox_int_range){low, low + span - 1};
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* s is the scale, z the zero point of element x. Scales are one for the whole loop, or one each;
 * the zero points likewise, or are one where scales are many. */
#define LOOP(fn, T, R, A, value)                                                                   \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg) {                                                    \
        const T *xs = in[0];                                                                       \
        const float *ss = in[1], *zs = in[2];                                                      \
        const A p = *(const A *)arg;                                                               \
        R *ys = out;                                                                               \
        (void)p;                                                                                   \
        if (one == 6) {                                                                            \
            float s = ss[0], z = zs[0];                                                            \
            for (size_t i = 0; i < n; i++) {                                                       \
                T x = xs[i];                                                                       \
                ys[i] = (R)(value);                                                                \
            }                                                                                      \
        } else if (one == 0) {                                                                     \
            for (size_t i = 0; i < n; i++) {                                                       \
                float s = ss[i], z = zs[i];                                                        \
                T x = xs[i];                                                                       \
                ys[i] = (R)(value);                                                                \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t i = 0; i < n; i++) {                                                       \
                float s = ss[one & 2 ? 0 : i], z = zs[one & 4 ? 0 : i];                            \
                T x = xs[one & 1 ? 0 : i];                                                         \
                ys[i] = (R)(value);                                                                \
            }                                                                                      \
        }                                                                                          \
    }

static inline int32_t quantized(float x, float s, float z, float low, float high) {
    float y = rintf(x / s) + z;
    y = y > low ? y : low;
    return (int32_t)(y < high ? y : high);
}

LOOP(q_u8, float, uint8_t, struct ox_int_range, quantized(x, s, z, p.low, p.high))
LOOP(q_i8, float, int8_t, struct ox_int_range, quantized(x, s, z, p.low, p.high))
LOOP(q_u16, float, uint16_t, struct ox_int_range, quantized(x, s, z, p.low, p.high))
LOOP(q_i16, float, int16_t, struct ox_int_range, quantized(x, s, z, p.low, p.high))

struct narrow {
    ox_dtype dtype;
    bool saturate;
};
LOOP(q_narrow, float, uint8_t, struct narrow, ox_float_to_narrow(p.dtype, x / s + z, p.saturate))

LOOP(divide, float, float, char, ((void)z, x / s))

LOOP(dq_u8, uint8_t, float, char, ((float)x - z) * s)
LOOP(dq_i8, int8_t, float, char, ((float)x - z) * s)
LOOP(dq_u16, uint16_t, float, char, ((float)x - z) * s)
LOOP(dq_i16, int16_t, float, char, ((float)x - z) * s)
LOOP(dq_i32, int32_t, float, char, ((float)x - z) * s)
LOOP(dq_f32, float, float, char, (x - z) * s)

/* ---- scales and zero points ------------------------------------------------------------------ */

static const float zero = 0.0f;

/* Scales and zero points as floats, and as operands of a loop. */
struct grid {
    ox_tensor *scale, *zp;
    float *repeated; /* both, where the last block is shorter */
    struct ox_loop_operand operands[3];
};

static void repeat(float *to, const float *from, const struct ox_scales *at) {
    int64_t blocks = at->scale_dims[1], inner = at->dims[2];
    for (int64_t o = 0; o < at->dims[0]; o++)
        for (int64_t a = 0; a < at->dims[1]; a++, to += inner)
            memcpy(to, from + (o * blocks + a / at->ragged) * inner, (size_t)inner * sizeof *to);
}

static ox_status repeat_both(struct grid *grid, ox_ctx *ctx, const struct ox_scales *at) {
    size_t n = (size_t)at->dims[0] * (size_t)at->dims[1] * (size_t)at->dims[2];
    OX_TRY(ox_alloc_raw(ctx, &grid->repeated, n, 2 * sizeof *grid->repeated));
    repeat(grid->repeated, grid->scale->data, at);
    grid->operands[1].data = grid->repeated;
    if (grid->zp) {
        repeat(grid->repeated + n, grid->zp->data, at);
        grid->operands[2].data = grid->repeated + n;
    }
    return OX_OK;
}

static ox_status grid_open(struct grid *grid, ox_ctx *ctx, const struct ox_scales *at,
                           const ox_tensor *scale, const ox_tensor *zp) {
    *grid = (struct grid){0};
    OX_TRY(ox_tensor_cast(&grid->scale, ctx, scale, OX_FLOAT, true));
    if (zp) OX_TRY(ox_tensor_cast(&grid->zp, ctx, zp, OX_FLOAT, true));
    const int64_t *dims = at->ragged ? at->dims : at->scale_dims;
    grid->operands[1] = (struct ox_loop_operand){grid->scale->data, sizeof(float), at->rank, dims};
    grid->operands[2] = (struct ox_loop_operand){&zero, sizeof(float), 0, NULL};
    if (zp) {
        grid->operands[2] = grid->operands[1];
        grid->operands[2].data = grid->zp->data;
    }
    return at->ragged ? repeat_both(grid, ctx, at) : OX_OK;
}

static void grid_close(struct grid *grid, ox_ctx *ctx) {
    ox_tensor_unref(grid->scale);
    ox_tensor_unref(grid->zp);
    ox_free(ctx, grid->repeated);
}

/* Runs a kernel on x (seen with at->dims) and the grid. */
static void run(ox_ctx *ctx, ox_loop_fn fn, const void *arg, void *out, size_t out_size,
                const struct ox_scales *at, struct grid *grid, const void *x, size_t x_size) {
    grid->operands[0] = (struct ox_loop_operand){x, x_size, at->rank, at->dims};
    ox_run_loop(ctx, fn, arg, 1, out, out_size, at->rank, at->dims, 3, grid->operands);
}

/* ---- quantize -------------------------------------------------------------------------------- */

/* Codes of one byte or two to `to`. */
static void quantize_into(void *to, ox_ctx *ctx, const struct ox_scales *at, struct grid *grid,
                          const ox_tensor *x, ox_dtype dtype, bool saturate) {
    if (ox_dtype_is_float(dtype)) {
        struct narrow narrow = {dtype, saturate};
        run(ctx, q_narrow, &narrow, to, 1, at, grid, x->data, sizeof(float));
        return;
    }
    struct ox_int_range range = ox_int_range(dtype);
    bool is_signed = range.low < 0, wide = ox_dtype_bits(dtype) == 16;
    ox_loop_fn fn = wide ? (is_signed ? q_i16 : q_u16) : is_signed ? q_i8 : q_u8;
    run(ctx, fn, &range, to, wide ? 2 : 1, at, grid, x->data, sizeof(float));
}

static ox_status quantize_float(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                                struct grid *grid, const ox_tensor *x, ox_dtype dtype,
                                bool saturate) {
    void *data;
    OX_TRY(ox_tensor_new(out, &data, ctx, dtype, x->rank, x->dims));
    if (ox_dtype_bits(dtype) >= 8) {
        quantize_into(data, ctx, at, grid, x, dtype, saturate);
        return OX_OK;
    }
    void *codes;
    OX_TRY(ox_alloc_raw(ctx, &codes, x->count, 1));
    quantize_into(codes, ctx, at, grid, x, dtype, saturate);
    ox_pack_bits(data, codes, x->count, dtype == OX_FLOAT4E2M1 ? OX_UINT4 : dtype);
    ox_free(ctx, codes);
    return OX_OK;
}

ox_status ox_run_quantize(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                          const ox_tensor *x, const ox_tensor *scale, const ox_tensor *zp,
                          ox_dtype dtype, bool saturate) {
    struct grid grid;
    ox_tensor *floats = NULL;
    ox_status status = grid_open(&grid, ctx, at, scale, zp);
    if (status == OX_OK) status = ox_tensor_cast(&floats, ctx, x, OX_FLOAT, true);
    if (status == OX_OK) status = quantize_float(out, ctx, at, &grid, floats, dtype, saturate);
    ox_tensor_unref(floats);
    grid_close(&grid, ctx);
    return status;
}

static ox_status round_to(ox_tensor **out, ox_ctx *ctx, const ox_tensor *x, ox_dtype precision) {
    ox_tensor *narrow;
    OX_TRY(ox_tensor_cast(&narrow, ctx, x, precision, true));
    ox_status status = ox_tensor_cast(out, ctx, narrow, OX_FLOAT, true);
    ox_tensor_unref(narrow);
    return status;
}

/* The quotient of two numbers of at most 11 bits, rounded to a float's 24 and then to theirs, is
 * their quotient rounded once. */
static ox_status divide_rounded(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                                const ox_tensor *x, const ox_tensor *scale, ox_dtype precision) {
    struct grid grid;
    ox_tensor *exact = NULL;
    void *data;
    ox_status status = grid_open(&grid, ctx, at, scale, NULL);
    if (status == OX_OK) status = ox_tensor_new(&exact, &data, ctx, OX_FLOAT, x->rank, x->dims);
    if (status == OX_OK) {
        run(ctx, divide, "", data, sizeof(float), at, &grid, x->data, sizeof(float));
        status = round_to(out, ctx, exact, precision);
    }
    ox_tensor_unref(exact);
    grid_close(&grid, ctx);
    return status;
}

ox_status ox_run_divide(ox_tensor **quotients, ox_tensor **ones, ox_ctx *ctx,
                        const struct ox_scales *at, const ox_tensor *x, const ox_tensor *scale,
                        ox_dtype precision) {
    ox_tensor *floats = NULL, *scales = NULL;
    void *data;
    *quotients = NULL;
    ox_status status = round_to(&floats, ctx, x, precision);
    if (status == OX_OK) status = round_to(&scales, ctx, scale, precision);
    if (status == OX_OK) status = divide_rounded(quotients, ctx, at, floats, scales, precision);
    if (status == OX_OK)
        status = ox_tensor_new(ones, &data, ctx, OX_FLOAT, scale->rank, scale->dims);
    if (status == OX_OK)
        for (size_t i = 0; i < scale->count; i++)
            ((float *)data)[i] = 1;
    else
        ox_tensor_unref(*quotients);
    ox_tensor_unref(floats);
    ox_tensor_unref(scales);
    return status;
}

/* ---- dequantize ------------------------------------------------------------------------------ */

/* The elements as whole bytes: x itself, or *widened, which the caller drops. */
static ox_status widen(ox_tensor **widened, ox_ctx *ctx, const ox_tensor *x) {
    ox_dtype dtype = x->dtype;
    if (ox_dtype_is_float(dtype)) return ox_tensor_cast(widened, ctx, x, OX_FLOAT, true);
    if (ox_dtype_bits(dtype) < 8) dtype = dtype == OX_INT4 || dtype == OX_INT2 ? OX_INT8 : OX_UINT8;
    return ox_tensor_cast(widened, ctx, x, dtype, true);
}

static ox_status dequantize_wide(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                                 struct grid *grid, const ox_tensor *x) {
    ox_loop_fn fn;
    switch (x->dtype) {
    case OX_UINT8:
        fn = dq_u8;
        break;
    case OX_INT8:
        fn = dq_i8;
        break;
    case OX_UINT16:
        fn = dq_u16;
        break;
    case OX_INT16:
        fn = dq_i16;
        break;
    case OX_INT32:
        fn = dq_i32;
        break;
    default:
        fn = dq_f32;
        break;
    }
    void *data;
    OX_TRY(ox_tensor_new(out, &data, ctx, OX_FLOAT, x->rank, x->dims));
    /* These loops have no argument; theirs is a char that they do not look at. */
    run(ctx, fn, "", data, sizeof(float), at, grid, x->data, (size_t)ox_dtype_bits(x->dtype) / 8);
    return OX_OK;
}

ox_status ox_run_dequantize(ox_tensor **out, ox_ctx *ctx, const struct ox_scales *at,
                            const ox_tensor *x, const ox_tensor *scale, const ox_tensor *zp,
                            ox_dtype dtype) {
    struct grid grid;
    ox_tensor *wide = NULL, *floats = NULL;
    ox_status status = grid_open(&grid, ctx, at, scale, zp);
    if (status == OX_OK) status = widen(&wide, ctx, x);
    if (status == OX_OK) status = dequantize_wide(&floats, ctx, at, &grid, wide);
    if (status == OX_OK) status = ox_tensor_cast(out, ctx, floats, dtype, true);
    ox_tensor_unref(wide);
    ox_tensor_unref(floats);
    grid_close(&grid, ctx);
    return status;
}
