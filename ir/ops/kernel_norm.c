/* ir/ops/kernel_norm.c - see kernel_norm.h. */
#include "ir/ops/kernel_norm.h"

#include "ir/ops/simd.h"

enum { LANES = 16 };

#define FUNCTIONS(T, name)                                                                         \
    OX_CLONES void ox_moments_##name(const T *x, size_t n, double *mean, double *variance) {       \
        double lanes[LANES] = {0}, sum = 0, m;                                                     \
        size_t whole = n / LANES * LANES;                                                          \
        for (size_t i = 0; i < whole; i += LANES)                                                  \
            for (size_t l = 0; l < LANES; l++)                                                     \
                lanes[l] += (double)x[i + l];                                                      \
        for (size_t i = whole; i < n; i++)                                                         \
            lanes[i - whole] += (double)x[i];                                                      \
        for (size_t l = 0; l < LANES; l++) {                                                       \
            sum += lanes[l];                                                                       \
            lanes[l] = 0;                                                                          \
        }                                                                                          \
        m = sum / (double)n;                                                                       \
        for (size_t i = 0; i < whole; i += LANES)                                                  \
            for (size_t l = 0; l < LANES; l++)                                                     \
                lanes[l] += ((double)x[i + l] - m) * ((double)x[i + l] - m);                       \
        for (size_t i = whole; i < n; i++)                                                         \
            lanes[i - whole] += ((double)x[i] - m) * ((double)x[i] - m);                           \
        sum = 0;                                                                                   \
        for (size_t l = 0; l < LANES; l++)                                                         \
            sum += lanes[l];                                                                       \
        *mean = m;                                                                                 \
        *variance = sum / (double)n;                                                               \
    }                                                                                              \
    OX_CLONES void ox_standardize_##name(T *y, const T *x, size_t n, T mean, T inverse) {          \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = (x[i] - mean) * inverse;                                                        \
    }                                                                                              \
    OX_CLONES void ox_scale_rows_##name(T *y, size_t n, const T *scale, const T *bias) {           \
        if (bias)                                                                                  \
            for (size_t i = 0; i < n; i++)                                                         \
                y[i] = y[i] * scale[i] + bias[i];                                                  \
        else                                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                y[i] *= scale[i];                                                                  \
    }                                                                                              \
    OX_CLONES void ox_scale_all_##name(T *y, size_t n, T scale, T bias) {                          \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = y[i] * scale + bias;                                                            \
    }
FUNCTIONS(float, f32)
FUNCTIONS(double, f64)
