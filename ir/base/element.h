/* ir/base/element.h - elements of tensors one at a time, whatever their type. */
#ifndef OX_IR_BASE_ELEMENT_H
#define OX_IR_BASE_ELEMENT_H

#include "ir/base/bytes.h"

#include <math.h>

/* Data from files may be unaligned, hence memcpy. */
#define OX_READ(type)                                                                              \
    {                                                                                              \
        type v;                                                                                    \
        memcpy(&v, (const char *)data + i * sizeof v, sizeof v);                                   \
        return (double)v;                                                                          \
    }
#define OX_WRITE(type)                                                                             \
    {                                                                                              \
        type w = (type)v;                                                                          \
        memcpy((char *)data + i * sizeof w, &w, sizeof w);                                         \
        return;                                                                                    \
    }

/* Element i as a double; NaN where the type has no numbers or is narrower than a byte. */
static inline double ox_element_read(const void *data, ox_dtype dtype, size_t i) {
    uint16_t h;
    switch (dtype) {
    case OX_FLOAT:
        OX_READ(float)
    case OX_DOUBLE:
        OX_READ(double)
    case OX_INT64:
        OX_READ(int64_t)
    case OX_INT32:
        OX_READ(int32_t)
    case OX_INT16:
        OX_READ(int16_t)
    case OX_INT8:
        OX_READ(int8_t)
    case OX_UINT64:
        OX_READ(uint64_t)
    case OX_UINT32:
        OX_READ(uint32_t)
    case OX_UINT16:
        OX_READ(uint16_t)
    case OX_UINT8:
    case OX_BOOL:
        OX_READ(uint8_t)
    case OX_FLOAT16:
        memcpy(&h, (const char *)data + i * 2, 2);
        return (double)ox_half_to_float(h);
    case OX_BFLOAT16:
        memcpy(&h, (const char *)data + i * 2, 2);
        return (double)ox_bfloat16_to_float(h);
    default:
        return (double)NAN;
    }
}

/* Nothing where ox_element_read gives NaN. Integers must be in range. */
static inline void ox_element_write(void *data, ox_dtype dtype, size_t i, double v) {
    uint16_t h;
    switch (dtype) {
    case OX_FLOAT:
        OX_WRITE(float)
    case OX_DOUBLE:
        OX_WRITE(double)
    case OX_INT64:
        OX_WRITE(int64_t)
    case OX_INT32:
        OX_WRITE(int32_t)
    case OX_INT16:
        OX_WRITE(int16_t)
    case OX_INT8:
        OX_WRITE(int8_t)
    case OX_UINT64:
        OX_WRITE(uint64_t)
    case OX_UINT32:
        OX_WRITE(uint32_t)
    case OX_UINT16:
        OX_WRITE(uint16_t)
    case OX_UINT8:
    case OX_BOOL:
        OX_WRITE(uint8_t)
    case OX_FLOAT16:
        h = ox_float_to_half((float)v);
        memcpy((char *)data + i * 2, &h, 2);
        return;
    case OX_BFLOAT16:
        h = ox_float_to_bfloat16((float)v);
        memcpy((char *)data + i * 2, &h, 2);
        return;
    default:
        return;
    }
}

#undef OX_READ
#undef OX_WRITE

#endif
