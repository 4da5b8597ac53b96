/* ir/ops/kernel_norm.h - mean and variance of a row, and rows brought to mean 0 and variance 1. */
#ifndef OX_IR_OPS_KERNEL_NORM_H
#define OX_IR_OPS_KERNEL_NORM_H

#include "ir/base/context.h"

/* Sums are 64-bit, two passes (mean, then squares of differences), in an order that depends on n
 * only. */
void ox_moments_f32(const float *x, size_t n, double *mean, double *variance);
void ox_moments_f64(const double *x, size_t n, double *mean, double *variance);
/* y[i] = (x[i] - mean) * inverse, the subtraction in the data's own type. */
void ox_standardize_f32(float *y, const float *x, size_t n, float mean, float inverse);
void ox_standardize_f64(double *y, const double *x, size_t n, double mean, double inverse);
/* y[i] = y[i] * scale[i] + bias[i] (bias may be NULL). */
void ox_scale_rows_f32(float *y, size_t n, const float *scale, const float *bias);
void ox_scale_rows_f64(double *y, size_t n, const double *scale, const double *bias);
/* y[i] = y[i] * scale + bias. */
void ox_scale_all_f32(float *y, size_t n, float scale, float bias);
void ox_scale_all_f64(double *y, size_t n, double scale, double bias);

#endif
