/* ir/ops/op_binary.c - the family of operators with two inputs that are broadcast together. */
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

/* ---- kernels --------------------------------------------------------------------------------- */

/* A loop over n elements: x and y are the operands, `value` the result. Three bodies, so that each is
 * vectorized without a gather. */
#define LOOP(fn, T, R, value)                                                                      \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg)                                                      \
    {                                                                                              \
        const T *xs = in[0], *ys = in[1];                                                          \
        R *zs = out;                                                                               \
        (void)arg;                                                                                 \
        if (one == 1) {                                                                            \
            T x = xs[0];                                                                           \
            for (size_t i = 0; i < n; i++) {                                                       \
                T y = ys[i];                                                                       \
                zs[i] = (R)(value);                                                                \
            }                                                                                      \
        } else if (one == 2) {                                                                     \
            T y = ys[0];                                                                           \
            for (size_t i = 0; i < n; i++) {                                                       \
                T x = xs[i];                                                                       \
                zs[i] = (R)(value);                                                                \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t i = 0; i < n; i++) {                                                       \
                T x = xs[i], y = ys[i];                                                            \
                zs[i] = (R)(value);                                                                \
            }                                                                                      \
        }                                                                                          \
    }

#define FLOAT_LOOPS(name, value)                                                                   \
    LOOP(name##_f32, float, float, value)                                                          \
    LOOP(name##_f64, double, double, value)

/* Where signed and unsigned give the same bits, because overflow wraps. */
#define WRAPPING_LOOPS(name, value)                                                                \
    LOOP(name##_1, uint8_t, uint8_t, value)                                                        \
    LOOP(name##_2, uint16_t, uint16_t, value)                                                      \
    LOOP(name##_4, uint32_t, uint32_t, value)                                                      \
    LOOP(name##_8, uint64_t, uint64_t, value)
#define WRAPPING_TABLE(name)                                                                       \
    {                                                                                              \
        name##_1, name##_2, name##_4, name##_8, name##_1, name##_2, name##_4, name##_8             \
    }

#define INT_LOOPS(name, svalue, uvalue)                                                            \
    LOOP(name##_i8, int8_t, int8_t, svalue)                                                        \
    LOOP(name##_i16, int16_t, int16_t, svalue)                                                     \
    LOOP(name##_i32, int32_t, int32_t, svalue)                                                     \
    LOOP(name##_i64, int64_t, int64_t, svalue)                                                     \
    LOOP(name##_u8, uint8_t, uint8_t, uvalue)                                                      \
    LOOP(name##_u16, uint16_t, uint16_t, uvalue)                                                   \
    LOOP(name##_u32, uint32_t, uint32_t, uvalue)                                                   \
    LOOP(name##_u64, uint64_t, uint64_t, uvalue)
#define INT_TABLE(name)                                                                            \
    {                                                                                              \
        name##_i8, name##_i16, name##_i32, name##_i64, name##_u8, name##_u16, name##_u32,          \
            name##_u64                                                                             \
    }

FLOAT_LOOPS(add, x + y)
WRAPPING_LOOPS(add, (uint64_t)x + y)
static const ox_loop_fn add_ints[] = WRAPPING_TABLE(add);

FLOAT_LOOPS(sub, x - y)
WRAPPING_LOOPS(sub, (uint64_t)x - y)
static const ox_loop_fn sub_ints[] = WRAPPING_TABLE(sub);

FLOAT_LOOPS(mul, x * y)
WRAPPING_LOOPS(mul, (uint64_t)x * y)
static const ox_loop_fn mul_ints[] = WRAPPING_TABLE(mul);

/* Integers: toward zero. Division by zero gives 0, and the smallest number over -1 itself: neither traps. */
FLOAT_LOOPS(div, x / y)
INT_LOOPS(div, y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y, y == 0 ? 0 : x / y)
static const ox_loop_fn div_ints[] = INT_TABLE(div);

/* ---- values known in part -------------------------------------------------------------------- */

/* Integer division rounds toward zero, which is the floor only where the sign is known. */
static ox_status partial_div(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b)
{
    if (ox_dim_ge(a, 0) && ox_dim_ge(b, 1)) return ox_dim_floordiv(out, dims, a, b);
    return ox_dim_unknown_int(out, dims);
}

/* clang-format off */
const struct ox_binary_kind ox_binary_kinds[OX_BINARY_COUNT] = {
    [OX_BI_Add] = {.types = OX_NUMBERS, .cost = 1, .f32 = add_f32, .f64 = add_f64, .ints = add_ints, .partial = ox_dim_add},
    [OX_BI_Div] = {.types = OX_NUMBERS, .cost = 2, .f32 = div_f32, .f64 = div_f64, .ints = div_ints, .partial = partial_div},
    [OX_BI_Mul] = {.types = OX_NUMBERS, .cost = 1, .f32 = mul_f32, .f64 = mul_f64, .ints = mul_ints, .partial = ox_dim_mul},
    [OX_BI_Sub] = {.types = OX_NUMBERS, .cost = 1, .f32 = sub_f32, .f64 = sub_f64, .ints = sub_ints, .partial = ox_dim_sub},
};
/* clang-format on */

/* ---- 16-bit floats --------------------------------------------------------------------------- */

struct narrow {
    ox_loop_fn f32;
    bool half;
};

static void widen(float *to, const uint16_t *from, size_t n, bool half)
{
    for (size_t i = 0; i < n; i++)
        to[i] = half ? ox_half_to_float(from[i]) : ox_bfloat16_to_float(from[i]);
}

static void narrow_loop(void *out, const void *const *in, unsigned one, size_t n, const void *arg)
{
    const struct narrow *narrow = arg;
    const uint16_t *xs = in[0], *ys = in[1];
    uint16_t *zs = out;
    float x[256], y[256], z[256];
    for (size_t done = 0; done < n; done += 256) {
        size_t count = n - done < 256 ? n - done : 256;
        widen(x, one & 1 ? xs : xs + done, one & 1 ? 1 : count, narrow->half);
        widen(y, one & 2 ? ys : ys + done, one & 2 ? 1 : count, narrow->half);
        const void *operands[] = {x, y};
        narrow->f32(z, operands, one, count, NULL);
        for (size_t i = 0; i < count; i++)
            zs[done + i] = narrow->half ? ox_float_to_half(z[i]) : ox_float_to_bfloat16(z[i]);
    }
}

/* ---- decode and infer ------------------------------------------------------------------------ */

ox_status ox_decode_binary(const struct ox_call *call, void *params)
{
    struct ox_binary_params *p = params;
    p->legacy = call->opset < 7 && call->op->since < 7;
    if (!p->legacy) return OX_OK;
    int64_t broadcast;
    OX_TRY(ox_attr_int(&broadcast, call, "broadcast", 0));
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    p->broadcast = broadcast != 0;
    p->has_axis = ox_attr_find(call, "axis") != NULL;
    return OX_OK;
}

/* How many dims of 1 to add behind the second operand's dims, so that today's rules do what opset 1 to
 * 6 say: the operand lies along the first one's dims from `axis` on. */
static ox_status legacy_padding(int *padding, const struct ox_call *call,
                                const struct ox_binary_params *p, int rank_a, int rank_b)
{
    *padding = 0;
    if (!p->legacy || !p->broadcast || !p->has_axis || rank_b == 0) return OX_OK;
    int axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank_a));
    if (rank_b > rank_a - axis)
        return ox_bad_shape(call, "input 1 has rank %d, more than input 0 has dims from axis %d on",
                            rank_b, axis);
    *padding = rank_a - axis - rank_b;
    return OX_OK;
}

static ox_status infer_dims(const struct ox_call *call, const struct ox_binary_params *p,
                            struct ox_infer *io, ox_dtype dtype)
{
    const struct ox_type *a = io->in[0], *b = io->in[1];
    if (!ox_type_is_tensor(a) || !ox_type_is_tensor(b) || a->rank < 0 || b->rank < 0)
        return ox_infer_tensor(io, 0, dtype, -1, NULL);
    ox_dim dims[OX_MAX_RANK], padded[OX_MAX_RANK];
    int rank = a->rank, padding;
    if (p->legacy && !p->broadcast && a->rank != b->rank)
        return ox_bad_shape(call, "ranks %d and %d differ, and broadcast is not set", a->rank,
                            b->rank);
    OX_TRY(legacy_padding(&padding, call, p, a->rank, b->rank));
    memcpy(dims, a->dims, (size_t)a->rank * sizeof *dims);
    memcpy(padded, b->dims, (size_t)b->rank * sizeof *dims);
    for (int i = 0; i < padding; i++)
        padded[b->rank + i] = ox_dim_const(1);
    OX_TRY(ox_infer_broadcast(call, io, &rank, dims, b->rank + padding, padded));
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}

static ox_status infer_value(const struct ox_binary_kind *kind, struct ox_infer *io)
{
    const struct ox_partial *a = io->in_values ? io->in_values[0] : NULL;
    const struct ox_partial *b = io->in_values ? io->in_values[1] : NULL;
    if (!kind->partial || !a || !b) return OX_OK;
    size_t count = a->count == 1 ? b->count : a->count;
    if ((b->count != 1 && b->count != count) || count > OX_PARTIAL_MAX) return OX_OK;
    ox_dim elems[OX_PARTIAL_MAX];
    for (size_t i = 0; i < count; i++)
        OX_TRY(kind->partial(&elems[i], io->dims, a->elems[a->count == 1 ? 0 : i],
                             b->elems[b->count == 1 ? 0 : i]));
    return ox_infer_value(io, 0, a->rank > b->rank ? a->rank : b->rank, count, elems);
}

ox_status ox_infer_binary(const struct ox_call *call, const void *params, struct ox_infer *io)
{
    const struct ox_binary_kind *kind = call->op->family;
    ox_dtype a = ox_in_dtype(io, 0), b = ox_in_dtype(io, 1);
    OX_TRY(ox_expect_dtype(call, 0, a, kind->types));
    OX_TRY(ox_expect_dtype(call, 1, b, kind->types));
    OX_TRY(ox_expect_same_dtype(call, 0, a, 1, b));
    ox_dtype dtype = kind->out != OX_UNDEFINED ? kind->out : a != OX_UNDEFINED ? a : b;
    OX_TRY(infer_dims(call, params, io, dtype));
    return infer_value(kind, io);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Dims of the result, and of the second operand after legacy padding (padded has room for OX_MAX_RANK). */
static ox_status eval_dims(const struct ox_call *call, const struct ox_binary_params *p,
                           const ox_tensor *a, const ox_tensor *b, int *rank, int64_t *dims,
                           int *rank_b, int64_t *padded)
{
    int padding;
    if (p->legacy && !p->broadcast &&
        (a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *dims) != 0))
        return ox_bad_shape(call, "shapes %s and %s differ, and broadcast is not set",
                            ox_dims_text(a->rank, a->dims).text,
                            ox_dims_text(b->rank, b->dims).text);
    OX_TRY(legacy_padding(&padding, call, p, a->rank, b->rank));
    *rank = a->rank;
    if (a->rank > 0) memcpy(dims, a->dims, (size_t)a->rank * sizeof *dims);
    *rank_b = b->rank + padding;
    if (b->rank > 0) memcpy(padded, b->dims, (size_t)b->rank * sizeof *dims);
    for (int i = b->rank; i < *rank_b; i++)
        padded[i] = 1;
    return ox_broadcast(call, rank, dims, *rank_b, padded);
}

ox_status ox_eval_binary(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out)
{
    const struct ox_binary_kind *kind = call->op->family;
    const ox_tensor *a = in[0], *b = in[1];
    OX_TRY(ox_expect_dtype(call, 0, a->dtype, kind->types));
    OX_TRY(ox_expect_same_dtype(call, 0, a->dtype, 1, b->dtype));
    int rank, rank_b;
    int64_t dims[OX_MAX_RANK], dims_b[OX_MAX_RANK];
    OX_TRY(eval_dims(call, params, a, b, &rank, dims, &rank_b, dims_b));

    struct narrow narrow = {kind->f32, a->dtype == OX_FLOAT16};
    const void *arg = NULL;
    ox_loop_fn fn = NULL;
    int which = ox_int_index(a->dtype);
    if (a->dtype == OX_FLOAT) {
        fn = kind->f32;
    } else if (a->dtype == OX_DOUBLE) {
        fn = kind->f64;
    } else if (which >= 0) {
        fn = kind->ints ? kind->ints[which] : NULL;
    } else if (a->dtype == OX_FLOAT16 || a->dtype == OX_BFLOAT16) {
        fn = narrow_loop;
        arg = &narrow;
    }
    if (!fn)
        return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                            ox_dtype_name(a->dtype));
    ox_dtype result = kind->out == OX_UNDEFINED ? a->dtype : kind->out;
    void *data;
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, result, rank, dims));
    struct ox_operand operands[2] = {ox_operand(a), ox_operand(b)};
    operands[1].rank = rank_b;
    operands[1].dims = dims_b;
    ox_run_loop(call->ctx, fn, arg, (size_t)kind->cost, data, (size_t)ox_dtype_bits(result) / 8,
                rank, dims, 2, operands);
    return OX_OK;
}
