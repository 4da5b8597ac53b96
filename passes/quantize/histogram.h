/* passes/quantize/histogram.h - a streaming histogram whose range grows, and the ranges that
 * calibrators read from it.
 *
 * Bins are as wide as a power of two and lie on multiples of their width, so widening them merges
 * pairs exactly: the final state depends on the values seen and not on their order, grouping or on
 * the thread count. The width is always the smallest at which everything seen fits. Memory is one
 * array, however many samples there are. Exact zeros are counted apart: they are the spike that
 * rectifiers make, and every quantizer represents them exactly. NaNs and infinities are counted and
 * otherwise ignored. */
#ifndef OX_PASSES_QUANTIZE_HISTOGRAM_H
#define OX_PASSES_QUANTIZE_HISTOGRAM_H

#include "ir/base/context.h"

enum { OX_HIST_BINS = 2048 };

struct ox_hist {
    uint64_t *bins; /* OX_HIST_BINS counts, or NULL before the first non-zero value */
    int exponent;   /* bins are 2^exponent wide */
    int64_t base;   /* bins[i] covers [(base + i), (base + i + 1)) * 2^exponent */
    uint64_t count; /* finite values other than zero: the sum of bins */
    uint64_t zeros, nonfinite;
    float min, max; /* of all finite values; 0, 0 when there are none */
};

void ox_hist_fini(ox_ctx *ctx, struct ox_hist *hist);
/* Adds n values. */
OX_MUST_USE ox_status ox_hist_add(ox_ctx *ctx, struct ox_hist *hist, const float *values, size_t n);
/* Adds what another histogram has seen, exactly as if its values had been added (calibration in
 * shards). */
OX_MUST_USE ox_status ox_hist_merge(ox_ctx *ctx, struct ox_hist *hist, const struct ox_hist *other);

/* ---- calibrators ----------------------------------------------------------------------------- */

typedef enum ox_calibrator {
    OX_CALIB_MINMAX,
    OX_CALIB_PERCENTILE,
    OX_CALIB_ENTROPY,
    OX_CALIB_MSE
} ox_calibrator;

struct ox_range {
    float min, max;
};

struct ox_calibrate_options {
    ox_calibrator calibrator;
    int levels; /* of the quantizer: 256 */
    double
        percentile; /* in (50, 100]: mass that stays inside, half of the rest is cut on each side */
    bool symmetric; /* the range will be made symmetric around zero */
};

/* A range [min, max], min <= 0 <= max, in which to quantize what the histogram has seen. A range of
 * a histogram that has seen nothing, or nothing but zeros, is [0, 0]. minmax      everything seen
 *   percentile  the given part of the mass
 *   entropy     least Kullback-Leibler divergence of the quantized from the original distribution
 * over the ranges that clip both sides at one magnitude (the method of 8-bit inference in TensorRT)
 *   mse         least expected square error: the variance of rounding inside, (step^2)/12, plus
 * what is cut off */
OX_MUST_USE ox_status ox_hist_range(struct ox_range *out, ox_ctx *ctx, const struct ox_hist *hist,
                                    const struct ox_calibrate_options *options);
/* Expected square error per value (zeros counted) of quantizing in a range. */
double ox_hist_error(const struct ox_hist *hist, struct ox_range range, int levels);
/* Mean of squares of the finite values, from the bins. */
double ox_hist_power(const struct ox_hist *hist);

#endif
