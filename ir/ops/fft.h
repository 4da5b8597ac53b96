/* ir/ops/fft.h - discrete Fourier transforms of any length in double precision, n log n operations
 * each. */
#ifndef OX_IR_OPS_FFT_H
#define OX_IR_OPS_FFT_H

#include "ir/ops/op.h"

#define OX_FFT_MAX ((size_t)1 << 27) /* longest transform */

/* A plan: made once for a length, used for many transforms, by one thread at a time. */
struct ox_fft {
    size_t n;
    int n_factors;
    size_t factors[64]; /* of n, each small; none where n has a large prime factor */
    double *roots;      /* n pairs: cos and sin of 2 pi k / n */
    double *other;      /* n pairs to work in */
    /* With a large prime factor (Bluestein): a convolution with a chirp, by transforms of a power
     * of two. */
    struct ox_fft *inner;
    double *chirp,
        *spectrum;  /* n pairs: cos and sin of pi k^2 / n; inner->n pairs: what to multiply with */
    double *padded; /* inner->n pairs */
};

/* 1 <= n <= OX_FFT_MAX. On failure there is nothing to free. */
OX_MUST_USE ox_status ox_fft_init(struct ox_fft *f, ox_ctx *ctx, size_t n);
void ox_fft_fini(struct ox_fft *f, ox_ctx *ctx);
/* x: n pairs of real and imaginary part, transformed in place: X[k] = sum of x[j] exp(-2 pi i j k /
 * n). */
void ox_fft_run(const struct ox_fft *f, double *x);

#endif
