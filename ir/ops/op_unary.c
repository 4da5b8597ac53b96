/* ir/ops/op_unary.c - the family of operators with one input and one output of its shape. */
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

/* ---- kernels --------------------------------------------------------------------------------- */

/* A loop over n elements: x is the element, p the parameters, `value` the result. */
#define LOOP(fn, T, R, value)                                                                      \
    OX_CLONES static void fn(void *out, const void *const *in, unsigned one, size_t n,             \
                             const void *arg)                                                      \
    {                                                                                              \
        const T *xs = in[0];                                                                       \
        R *ys = out;                                                                               \
        const struct ox_unary_params *p = arg;                                                     \
        (void)one;                                                                                 \
        (void)p;                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            T x = xs[i];                                                                           \
            ys[i] = (R)(value);                                                                    \
        }                                                                                          \
    }

#define FLOAT_LOOPS(name, value32, value64)                                                        \
    LOOP(name##_f32, float, float, value32)                                                        \
    LOOP(name##_f64, double, double, value64)

/* U is the unsigned type of T's width, in which overflow wraps. */
#define SIGNED_LOOPS(name, value)                                                                  \
    LOOP(name##_i8, int8_t, int8_t, value)                                                         \
    LOOP(name##_i16, int16_t, int16_t, value)                                                      \
    LOOP(name##_i32, int32_t, int32_t, value)                                                      \
    LOOP(name##_i64, int64_t, int64_t, value)
#define SIGNED_TABLE(name) name##_i8, name##_i16, name##_i32, name##_i64

LOOP(same_1, uint8_t, uint8_t, x)
LOOP(same_2, uint16_t, uint16_t, x)
LOOP(same_4, uint32_t, uint32_t, x)
LOOP(same_8, uint64_t, uint64_t, x)
#define UNSIGNED_SAME same_1, same_2, same_4, same_8

FLOAT_LOOPS(abs, fabsf(x), fabs(x))
SIGNED_LOOPS(abs, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
static const ox_loop_fn abs_ints[] = {SIGNED_TABLE(abs), UNSIGNED_SAME};

FLOAT_LOOPS(neg, -x, -x)
SIGNED_LOOPS(neg, 0 - (uint64_t)x)
static const ox_loop_fn neg_ints[8] = {SIGNED_TABLE(neg)};

FLOAT_LOOPS(relu, x < 0 ? 0 : x, x < 0 ? 0 : x)
SIGNED_LOOPS(relu, x < 0 ? 0 : x)
static const ox_loop_fn relu_ints[] = {SIGNED_TABLE(relu), UNSIGNED_SAME};

FLOAT_LOOPS(sqrt, sqrtf(x), sqrt(x))

/* clang-format off */
const struct ox_unary_kind ox_unary_kinds[OX_UNARY_COUNT] = {
    [OX_UN_Abs] = {.types = OX_NUMBERS, .cost = 1, .f32 = abs_f32, .f64 = abs_f64, .ints = abs_ints},
    [OX_UN_Neg] = {.types = OX_FLOATS | OX_SIGNEDS, .cost = 1, .f32 = neg_f32, .f64 = neg_f64, .ints = neg_ints},
    [OX_UN_Relu] = {.types = OX_FLOATS | OX_SIGNEDS, .cost = 1, .f32 = relu_f32, .f64 = relu_f64, .ints = relu_ints},
    [OX_UN_Sqrt] = {.types = OX_FLOATS, .cost = 2, .f32 = sqrt_f32, .f64 = sqrt_f64},
};
/* clang-format on */

/* ---- 16-bit floats --------------------------------------------------------------------------- */

struct narrow {
    ox_loop_fn f32;
    const void *params;
    ox_dtype dtype, out;
};

/* Widens a stretch, applies the float kernel, narrows the result. */
static void narrow_loop(void *out, const void *const *in, unsigned one, size_t n, const void *arg)
{
    const struct narrow *narrow = arg;
    const uint16_t *xs = in[0];
    uint16_t *ys = out;
    float wide[256], result[256];
    for (size_t done = 0; done < n; done += 256) {
        size_t count = n - done < 256 ? n - done : 256;
        bool half = narrow->dtype == OX_FLOAT16;
        for (size_t i = 0; i < count; i++)
            wide[i] = half ? ox_half_to_float(xs[done + i]) : ox_bfloat16_to_float(xs[done + i]);
        const void *operand[] = {wide};
        narrow->f32(result, operand, one, count, narrow->params);
        for (size_t i = 0; i < count; i++)
            ys[done + i] = half ? ox_float_to_half(result[i]) : ox_float_to_bfloat16(result[i]);
    }
}

/* ---- decode, infer, eval --------------------------------------------------------------------- */

ox_status ox_decode_unary(const struct ox_call *call, void *params)
{
    const struct ox_unary_kind *kind = call->op->family;
    struct ox_unary_params *p = params;
    if (kind->alpha) OX_TRY(ox_attr_float(&p->alpha, call, kind->alpha, kind->alpha_dflt));
    if (kind->beta) OX_TRY(ox_attr_float(&p->beta, call, kind->beta, kind->beta_dflt));
    return OX_OK;
}

ox_status ox_infer_unary(const struct ox_call *call, const void *params, struct ox_infer *io)
{
    const struct ox_unary_kind *kind = call->op->family;
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), kind->types));
    if (kind->out == OX_UNDEFINED || !ox_type_is_tensor(io->in[0])) return ox_infer_same(io, 0, 0);
    return ox_infer_tensor(io, 0, kind->out, io->in[0]->rank, io->in[0]->dims);
}

ox_status ox_eval_unary(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out)
{
    const struct ox_unary_kind *kind = call->op->family;
    const ox_tensor *x = in[0];
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, kind->types));
    ox_dtype result = kind->out == OX_UNDEFINED ? x->dtype : kind->out;
    void *data;
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, result, x->rank, x->dims));
    struct narrow narrow = {kind->f32, params, x->dtype, result};
    ox_loop_fn fn = NULL;
    const void *arg = params;
    int which = ox_int_index(x->dtype);
    if (x->dtype == OX_FLOAT) {
        fn = kind->f32;
    } else if (x->dtype == OX_DOUBLE) {
        fn = kind->f64;
    } else if (which >= 0) {
        fn = kind->ints ? kind->ints[which] : NULL;
    } else if (x->dtype == OX_FLOAT16 || x->dtype == OX_BFLOAT16) {
        fn = narrow_loop;
        arg = &narrow;
    }
    if (!fn)
        return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                            ox_dtype_name(x->dtype));
    ox_run_map(call->ctx, fn, arg, (size_t)kind->cost, data, (size_t)ox_dtype_bits(result) / 8,
               x->data, (size_t)ox_dtype_bits(x->dtype) / 8, x->count);
    return OX_OK;
}
