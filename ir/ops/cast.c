/* ir/ops/cast.c - ox_tensor_cast: elements of one type as elements of another.
 *
 * The standard leaves a number that does not fit an integer type undefined. Here a float is then
 * cut to the type's range (unless struct ox_cast_rules says otherwise) and NaN is 0, so that the
 * result is the same on every machine; an integer loses its high bits, as the standard asks. Work
 * goes in blocks of BLOCK elements, a whole number of bytes for types narrower than a byte. */
#include "ir/ops/cast_priv.h"
#include "ir/ops/convert.h"
#include "ir/ops/op.h"
#include "ir/ops/vmath.h"

enum { BLOCK = 1024 };

/* ---- the types that C has -------------------------------------------------------------------- */

/* X(suffix, C type); bool is told apart where it is the target, since all but 0 is true. */
/* clang-format off */
#define INT_TYPES(X)                                                                               \
    X(i8, int8_t) X(i16, int16_t) X(i32, int32_t) X(i64, int64_t)                                  \
    X(u8, uint8_t) X(u16, uint16_t) X(u32, uint32_t) X(u64, uint64_t)
/* clang-format on */
#define ALL_TYPES(X) X(f32, float) X(f64, double) INT_TYPES(X)

typedef void (*convert_fn)(void *to, const void *from, size_t n);

static inline int64_t to_i64(double x) {
    x = x != x ? 0 : x;
    return x >= 0x1p63 ? INT64_MAX : x < -0x1p63 ? INT64_MIN : (int64_t)x;
}

static inline uint64_t to_u64(double x) {
    return x >= 0x1p64 ? UINT64_MAX : x > 0 ? (uint64_t)x : 0;
}

/* To 32 bits and less by way of int32 or int64, both of which the bounds fit in. */
#define TO_SMALL(suffix, T, low, high)                                                             \
    static inline T to_##suffix(double x) {                                                        \
        x = x > (low) ? x : x != x ? 0 : (low);                                                    \
        return (T)(int64_t)(x < (high) ? x : (high));                                              \
    }
TO_SMALL(i8, int8_t, -128.0, 127.0)
TO_SMALL(i16, int16_t, -32768.0, 32767.0)
TO_SMALL(i32, int32_t, -0x1p31, 0x1p31 - 1)
TO_SMALL(u8, uint8_t, 0.0, 255.0)
TO_SMALL(u16, uint16_t, 0.0, 65535.0)
TO_SMALL(u32, uint32_t, 0.0, 0x1p32 - 1)

#define CONVERT(name, S, D, value)                                                                 \
    static void name(void *to, const void *from, size_t n) {                                       \
        const S *xs = from;                                                                        \
        D *ys = to;                                                                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            S x = xs[i];                                                                           \
            ys[i] = (D)(value);                                                                    \
        }                                                                                          \
    }

#define FROM_FLOATS(s, S)                                                                          \
    CONVERT(s##_to_f32, S, float, x)                                                               \
    CONVERT(s##_to_f64, S, double, x)                                                              \
    CONVERT(s##_to_i8, S, int8_t, to_i8((double)x))                                                \
    CONVERT(s##_to_i16, S, int16_t, to_i16((double)x))                                             \
    CONVERT(s##_to_i32, S, int32_t, to_i32((double)x))                                             \
    CONVERT(s##_to_i64, S, int64_t, to_i64((double)x))                                             \
    CONVERT(s##_to_u8, S, uint8_t, to_u8((double)x))                                               \
    CONVERT(s##_to_u16, S, uint16_t, to_u16((double)x))                                            \
    CONVERT(s##_to_u32, S, uint32_t, to_u32((double)x))                                            \
    CONVERT(s##_to_u64, S, uint64_t, to_u64((double)x))                                            \
    CONVERT(s##_to_bool, S, uint8_t, x != 0)
FROM_FLOATS(f32, float)
FROM_FLOATS(f64, double)

#define FROM_INTS(s, S)                                                                            \
    CONVERT(s##_to_f32, S, float, x)                                                               \
    CONVERT(s##_to_f64, S, double, x)                                                              \
    CONVERT(s##_to_i8, S, int8_t, x)                                                               \
    CONVERT(s##_to_i16, S, int16_t, x)                                                             \
    CONVERT(s##_to_i32, S, int32_t, x)                                                             \
    CONVERT(s##_to_i64, S, int64_t, x)                                                             \
    CONVERT(s##_to_u8, S, uint8_t, x)                                                              \
    CONVERT(s##_to_u16, S, uint16_t, x)                                                            \
    CONVERT(s##_to_u32, S, uint32_t, x)                                                            \
    CONVERT(s##_to_u64, S, uint64_t, x)                                                            \
    CONVERT(s##_to_bool, S, uint8_t, x != 0)
INT_TYPES(FROM_INTS)

enum { N_PLAIN = 11 }; /* the ten types and bool */

/* Index in the tables below; -1: not a type that C has. */
static int plain_index(ox_dtype dtype) {
    switch (dtype) {
    case OX_FLOAT:
        return 0;
    case OX_DOUBLE:
        return 1;
    case OX_INT8:
        return 2;
    case OX_INT16:
        return 3;
    case OX_INT32:
        return 4;
    case OX_INT64:
        return 5;
    case OX_UINT8:
        return 6;
    case OX_UINT16:
        return 7;
    case OX_UINT32:
        return 8;
    case OX_UINT64:
        return 9;
    case OX_BOOL:
        return 10;
    default:
        return -1;
    }
}

#define ROW(s, S)                                                                                  \
    {s##_to_f32, s##_to_f64, s##_to_i8,  s##_to_i16, s##_to_i32, s##_to_i64,                       \
     s##_to_u8,  s##_to_u16, s##_to_u32, s##_to_u64, s##_to_bool},
static const convert_fn plain[N_PLAIN][N_PLAIN] = {ALL_TYPES(ROW) ROW(u8, uint8_t)};
#undef ROW

static void convert_plain(void *to, ox_dtype to_type, const void *from, ox_dtype from_type,
                          size_t n) {
    plain[plain_index(from_type)][plain_index(to_type)](to, from, n);
}

/* ---- rounding once --------------------------------------------------------------------------- */

/* Double to float, where the last bit is set if anything was lost ("round to odd"): rounding
 * that to half the precision or less gives what rounding the double itself would have given. */
static float double_to_odd(double x) {
    float f = (float)x;
    double back = f;
    if (back == x || x != x) return f;
    uint32_t u = ox_bits_of(f);
    if (u & 1) return f;
    /* f is one of the two neighbours of x; the other one has an odd last bit. */
    bool away = fabs(back) < fabs(x);
    return ox_float_of(away ? u + 1 : u - 1);
}

/* An integer as a double that rounds to any narrow float as the integer would: beyond 53 bits, the
 * lost ones leave their trace in the last bit. */
static double u64_to_odd(uint64_t x) {
    if (x >> 53 == 0) return (double)x;
    return (double)((x >> 11) | ((x & 0x7ff) != 0)) * 0x1p11;
}

static void to_odd_floats(float *to, const void *from, ox_dtype type, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double x;
        if (type == OX_DOUBLE) {
            x = ((const double *)from)[i];
        } else if (type == OX_UINT64) {
            x = u64_to_odd(((const uint64_t *)from)[i]);
        } else {
            int64_t v = ((const int64_t *)from)[i];
            x = v < 0 ? -u64_to_odd(0 - (uint64_t)v) : u64_to_odd((uint64_t)v);
        }
        to[i] = double_to_odd(x);
    }
}

/* Plain elements as floats on the way to a narrow float. */
static void plain_to_floats(float *to, const void *from, ox_dtype type, size_t n) {
    if (type == OX_INT32 || type == OX_UINT32) {
        double wide[BLOCK];
        convert_plain(wide, OX_DOUBLE, from, type, n);
        to_odd_floats(to, wide, OX_DOUBLE, n);
    } else if (type == OX_DOUBLE || type == OX_INT64 || type == OX_UINT64) {
        to_odd_floats(to, from, type, n);
    } else {
        convert_plain(to, OX_FLOAT, from, type, n);
    }
}

/* ---- one block ------------------------------------------------------------------------------- */

struct cast {
    const unsigned char *from;
    unsigned char *to;
    ox_dtype from_type, to_type;
    size_t count;
    struct ox_cast_rules rules;
};

union block {
    uint64_t align;
    uint8_t bytes[BLOCK * 8];
    float floats[BLOCK];
};

static bool is_narrow_float(ox_dtype dtype) {
    return ox_dtype_is_float(dtype) && dtype != OX_FLOAT && dtype != OX_DOUBLE;
}

/* Makes a block's elements plain: *from and *type are changed to what is in `buffer`, if need be.
 */
static void load_block(const void **from, ox_dtype *type, union block *buffer, size_t n) {
    if (*type == OX_FLOAT4E2M1) {
        uint8_t codes[BLOCK];
        ox_unpack_bits(codes, *from, n, OX_UINT4);
        for (size_t i = 0; i < n; i++)
            buffer->floats[i] = ox_narrow_to_float(OX_FLOAT4E2M1, codes[i]);
        *type = OX_FLOAT;
    } else if (is_narrow_float(*type)) {
        ox_load_floats(buffer->floats, *type, *from, n);
        *type = OX_FLOAT;
    } else if (ox_dtype_bits(*type) < 8) {
        ox_unpack_bits(buffer->bytes, *from, n, *type);
        *type = *type == OX_INT4 || *type == OX_INT2 ? OX_INT8 : OX_UINT8;
    } else {
        return;
    }
    *from = buffer;
}

/* Plain elements to integers of 2 or 4 bits: floats are rounded and cut (or lose high bits too),
 * integers lose high bits. */
static void store_small_ints(void *to, ox_dtype to_type, const void *from, ox_dtype type, size_t n,
                             bool wraps) {
    int8_t codes[BLOCK];
    if (wraps && type == OX_DOUBLE) {
        for (size_t i = 0; i < n; i++)
            codes[i] = (int8_t)(to_i64(((const double *)from)[i]) & 0x7f);
    } else if (wraps && type == OX_FLOAT) {
        for (size_t i = 0; i < n; i++)
            codes[i] = (int8_t)(to_i64((double)((const float *)from)[i]) & 0x7f);
    } else if (type == OX_FLOAT || type == OX_DOUBLE) {
        int bits = ox_dtype_bits(to_type);
        bool is_signed = to_type == OX_INT4 || to_type == OX_INT2;
        float low = is_signed ? -(float)(1 << (bits - 1)) : 0.0f,
              high = low + (float)(1 << bits) - 1.0f;
        float floats[BLOCK];
        convert_plain(floats, OX_FLOAT, from, type, n);
        for (size_t i = 0; i < n; i++) {
            float x = rintf(floats[i]);
            x = x > low ? x : x != x ? 0 : low;
            codes[i] = (int8_t)(x < high ? x : high);
        }
    } else {
        convert_plain(codes, OX_INT8, from, type, n);
    }
    ox_pack_bits(to, codes, n, to_type);
}

static void store_block(void *to, const struct cast *cast, const void *from, ox_dtype type,
                        size_t n) {
    ox_dtype to_type = cast->to_type;
    if (is_narrow_float(to_type)) {
        float floats[BLOCK];
        uint8_t codes[BLOCK];
        plain_to_floats(floats, from, type, n);
        if (to_type == OX_FLOAT16 || to_type == OX_BFLOAT16) {
            ox_store_floats(to, to_type, floats, n);
            return;
        }
        for (size_t i = 0; i < n; i++)
            codes[i] = to_type == OX_FLOAT8E8M0
                           ? ox_float_to_e8m0(floats[i], cast->rules.saturate, cast->rules.round)
                           : ox_float_to_narrow(to_type, floats[i], cast->rules.saturate);
        if (to_type == OX_FLOAT4E2M1)
            ox_pack_bits(to, codes, n, OX_UINT4);
        else
            memcpy(to, codes, n);
    } else if (ox_dtype_bits(to_type) < 8) {
        store_small_ints(to, to_type, from, type, n, cast->rules.wraps);
    } else {
        convert_plain(to, to_type, from, type, n);
    }
}

static void cast_blocks(void *arg, size_t begin, size_t end) {
    const struct cast *cast = arg;
    union block buffer;
    for (size_t b = begin; b < end; b++) {
        size_t first = b * BLOCK, n = cast->count - first < BLOCK ? cast->count - first : BLOCK;
        const void *from = cast->from + first / 8 * (size_t)ox_dtype_bits(cast->from_type);
        unsigned char *to = cast->to + first / 8 * (size_t)ox_dtype_bits(cast->to_type);
        ox_dtype type = cast->from_type;
        load_block(&from, &type, &buffer, n);
        store_block(to, cast, from, type, n);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool is_complex(ox_dtype dtype) {
    return dtype == OX_COMPLEX64 || dtype == OX_COMPLEX128;
}

ox_status ox_tensor_cast(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor, ox_dtype dtype,
                         bool saturate) {
    return ox_tensor_cast_by(out, ctx, tensor, dtype,
                             &(struct ox_cast_rules){.saturate = saturate});
}

ox_status ox_tensor_cast_by(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor, ox_dtype dtype,
                            const struct ox_cast_rules *rules) {
    if (tensor->dtype == dtype) return ox_tensor_aligned(out, ctx, tensor);
    if (is_complex(dtype) || is_complex(tensor->dtype))
        return ox_fail(ctx, OX_UNSUPPORTED, "no-kernel", NULL,
                       "a cast from %s to %s is not defined", ox_dtype_name(tensor->dtype),
                       ox_dtype_name(dtype));
    if (dtype == OX_STRING) return ox_cast_to_strings(out, ctx, tensor);
    if (tensor->dtype == OX_STRING) return ox_cast_from_strings(out, ctx, tensor, dtype, rules);
    ox_tensor *from; /* constants that decode looks at lie in the file as they do */
    void *data;
    OX_TRY(ox_tensor_aligned(&from, ctx, tensor));
    ox_status s = ox_tensor_new(out, &data, ctx, dtype, tensor->rank, tensor->dims);
    if (s == OX_OK) {
        struct cast cast = {from->data, data, tensor->dtype, dtype, tensor->count, *rules};
        ox_parallel(ctx, (tensor->count + BLOCK - 1) / BLOCK, 32, cast_blocks, &cast);
    }
    ox_tensor_unref(from);
    return s;
}
