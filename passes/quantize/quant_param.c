/* passes/quantize/quant_param.c - see quant_param.h. */
#include "passes/quantize/quant_param.h"

#include <math.h>

enum { GRAIN = 1 << 15 };

static int32_t low_of(ox_dtype dtype) {
    return dtype == OX_UINT8 ? 0 : -128;
}

float ox_scale_legal(double scale) {
    if (!(scale > OX_SCALE_MIN)) return OX_SCALE_MIN;
    return scale < OX_SCALE_MAX ? (float)scale : OX_SCALE_MAX;
}

struct ox_qparam ox_qparam_of(struct ox_range range, ox_dtype dtype) {
    double min = fmin(range.min, 0), max = fmax(range.max, 0);
    int32_t low = low_of(dtype);
    if (!(max - min > 0)) return (struct ox_qparam){dtype, 1, low + (dtype == OX_INT8 ? 128 : 0)};
    float scale = ox_scale_legal((max - min) / 255);
    double zero = rint(low - min / (double)scale);
    zero = fmin(fmax(zero, low), low + 255);
    return (struct ox_qparam){dtype, scale, (int32_t)zero};
}

struct ox_range ox_qparam_range(struct ox_qparam p) {
    int32_t low = low_of(p.dtype);
    return (struct ox_range){(float)(low - p.zero) * p.scale,
                             (float)(low + 255 - p.zero) * p.scale};
}

struct fake {
    float *out;
    const float *in;
    float scale, low, high; /* bounds of q - zero */
};

static void fake_range(void *arg, size_t begin, size_t end) {
    const struct fake *f = arg;
    float scale = f->scale, low = f->low, high = f->high;
    for (size_t i = begin; i < end; i++) {
        float q = rintf(f->in[i] / scale);
        q = q > low ? q
                    : low; /* false for NaN as well: it becomes the lower bound, then zero below */
        q = q < high ? q : high;
        f->out[i] = f->in[i] == f->in[i] ? q * scale : 0;
    }
}

void ox_fake_quant(ox_ctx *ctx, float *out, const float *in, size_t n, struct ox_qparam p) {
    int32_t low = low_of(p.dtype);
    struct fake f = {out, in, p.scale, (float)(low - p.zero), (float)(low + 255 - p.zero)};
    ox_parallel(ctx, n, GRAIN, fake_range, &f);
}

void ox_quantize(void *out, const float *in, size_t n, struct ox_qparam p) {
    float low = (float)(low_of(p.dtype) - p.zero), high = low + 255;
    uint8_t *bytes = out;
    for (size_t i = 0; i < n; i++) {
        float q = rintf(in[i] / p.scale);
        q = q > low ? q : low;
        q = q < high ? q : high;
        int32_t integer = (in[i] == in[i] ? (int32_t)q : 0) + p.zero;
        bytes[i] = (uint8_t)(integer & 255);
    }
}
