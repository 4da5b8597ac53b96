/* ir/ops/wide.c - loading and storing wide numbers; see wide.h. */
#include "ir/ops/wide.h"

#include "ir/ops/elementwise.h"
#include <math.h>

ox_wide_kind ox_wide_of(ox_dtype dtype) {
    switch (dtype) {
    case OX_FLOAT:
    case OX_DOUBLE:
    case OX_FLOAT16:
    case OX_BFLOAT16:
        return OX_WIDE_F64;
    case OX_INT8:
    case OX_INT16:
    case OX_INT32:
    case OX_INT64:
        return OX_WIDE_I64;
    case OX_UINT8:
    case OX_UINT16:
    case OX_UINT32:
    case OX_UINT64:
    case OX_BOOL:
        return OX_WIDE_U64;
    default:
        return OX_WIDE_NONE;
    }
}

#define LOAD(T, field, value)                                                                      \
    do {                                                                                           \
        const T *x = src;                                                                          \
        if (step == 1)                                                                             \
            for (size_t i = 0; i < n; i++)                                                         \
                out[i].field = value(x[i]);                                                        \
        else                                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                out[i].field = value(x[(ptrdiff_t)i * step]);                                      \
    } while (0)
#define PLAIN(x) (x)
#define TRUTH(x) ((x) != 0)

void ox_wide_load(union ox_wide *out, ox_dtype dtype, const void *src, ptrdiff_t step, size_t n) {
    switch (dtype) {
    case OX_FLOAT:
        LOAD(float, f, (double));
        break;
    case OX_DOUBLE:
        LOAD(double, f, PLAIN);
        break;
    case OX_FLOAT16:
        LOAD(uint16_t, f, (double)ox_half_to_float);
        break;
    case OX_BFLOAT16:
        LOAD(uint16_t, f, (double)ox_bfloat16_to_float);
        break;
    case OX_INT8:
        LOAD(int8_t, i, PLAIN);
        break;
    case OX_INT16:
        LOAD(int16_t, i, PLAIN);
        break;
    case OX_INT32:
        LOAD(int32_t, i, PLAIN);
        break;
    case OX_INT64:
        LOAD(int64_t, i, PLAIN);
        break;
    case OX_UINT8:
        LOAD(uint8_t, u, PLAIN);
        break;
    case OX_UINT16:
        LOAD(uint16_t, u, PLAIN);
        break;
    case OX_UINT32:
        LOAD(uint32_t, u, PLAIN);
        break;
    case OX_UINT64:
        LOAD(uint64_t, u, PLAIN);
        break;
    case OX_BOOL:
        LOAD(uint8_t, u, TRUTH);
        break;
    default:
        break;
    }
}

#define STORE(T, value)                                                                            \
    do {                                                                                           \
        T *y = dst;                                                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = (T)(value);                                                                     \
    } while (0)

void ox_wide_store(void *dst, ox_dtype dtype, const union ox_wide *in, size_t n) {
    switch (dtype) {
    case OX_FLOAT:
        STORE(float, in[i].f);
        break;
    case OX_DOUBLE:
        STORE(double, in[i].f);
        break;
    case OX_FLOAT16:
        STORE(uint16_t, ox_float_to_half((float)in[i].f));
        break;
    case OX_BFLOAT16:
        STORE(uint16_t, ox_float_to_bfloat16((float)in[i].f));
        break;
    case OX_INT8:
    case OX_UINT8:
        STORE(uint8_t, in[i].u);
        break;
    case OX_INT16:
    case OX_UINT16:
        STORE(uint16_t, in[i].u);
        break;
    case OX_INT32:
    case OX_UINT32:
        STORE(uint32_t, in[i].u);
        break;
    case OX_INT64:
    case OX_UINT64:
        STORE(uint64_t, in[i].u);
        break;
    case OX_BOOL:
        STORE(uint8_t, in[i].u != 0);
        break;
    default:
        break;
    }
}

union ox_wide ox_wide_small(ox_wide_kind kind, int v) {
    union ox_wide w = {.i = v};
    if (kind == OX_WIDE_F64) w.f = v;
    return w;
}

double ox_wide_to_double(ox_wide_kind kind, union ox_wide v) {
    return kind == OX_WIDE_F64 ? v.f : kind == OX_WIDE_I64 ? (double)v.i : (double)v.u;
}

union ox_wide ox_wide_least(ox_dtype dtype) {
    switch (dtype) {
    case OX_INT8:
        return (union ox_wide){.i = INT8_MIN};
    case OX_INT16:
        return (union ox_wide){.i = INT16_MIN};
    case OX_INT32:
        return (union ox_wide){.i = INT32_MIN};
    case OX_INT64:
        return (union ox_wide){.i = INT64_MIN};
    default:
        break;
    }
    if (ox_wide_of(dtype) == OX_WIDE_F64) return (union ox_wide){.f = -INFINITY};
    return (union ox_wide){.u = 0};
}

union ox_wide ox_wide_greatest(ox_dtype dtype) {
    switch (dtype) {
    case OX_INT8:
        return (union ox_wide){.i = INT8_MAX};
    case OX_INT16:
        return (union ox_wide){.i = INT16_MAX};
    case OX_INT32:
        return (union ox_wide){.i = INT32_MAX};
    case OX_INT64:
        return (union ox_wide){.i = INT64_MAX};
    case OX_UINT8:
        return (union ox_wide){.u = UINT8_MAX};
    case OX_UINT16:
        return (union ox_wide){.u = UINT16_MAX};
    case OX_UINT32:
        return (union ox_wide){.u = UINT32_MAX};
    case OX_UINT64:
        return (union ox_wide){.u = UINT64_MAX};
    case OX_BOOL:
        return (union ox_wide){.u = 1};
    default:
        return (union ox_wide){.f = INFINITY};
    }
}

union ox_wide ox_wide_from_double(ox_dtype dtype, double v) {
    ox_wide_kind kind = ox_wide_of(dtype);
    union ox_wide least = ox_wide_least(dtype), most = ox_wide_greatest(dtype);
    if (kind == OX_WIDE_F64) return (union ox_wide){.f = v};
    if (isnan(v)) return (union ox_wide){.u = 0};
    if (v <= ox_wide_to_double(kind, least)) return least;
    if (v >= ox_wide_to_double(kind, most)) return most;
    if (kind == OX_WIDE_I64) return (union ox_wide){.i = (int64_t)v};
    return (union ox_wide){.u = (uint64_t)v};
}

uint64_t ox_wide_key(ox_wide_kind kind, union ox_wide v) {
    const uint64_t sign = UINT64_C(1) << 63;
    if (kind == OX_WIDE_U64) return v.u;
    if (kind == OX_WIDE_I64) return v.u ^ sign;
    if (isnan(v.f)) return UINT64_MAX;
    if (v.f == 0) return sign;
    return v.u & sign ? ~v.u : v.u | sign;
}
