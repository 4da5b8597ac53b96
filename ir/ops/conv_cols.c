/* ir/ops/conv_cols.c - columns of a convolution; see conv_cols.h. */
#include "ir/ops/conv_cols.h"

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/conv_cols.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/conv_cols.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/conv_cols.inc"
#undef OX_ISA_IS
#endif

typedef void (*copy_fn)(float *dst, size_t dst_step, const float *src, size_t src_step,
                        size_t stride, size_t n, size_t lo, size_t hi, size_t count);

/* Neighbouring output positions in one row of the output. */
struct stretch {
    int64_t at[OX_WINDOW_MAX]; /* of the first */
    size_t n;
};

static size_t first_at_least(size_t k, size_t tap, size_t taps) {
    return k > tap ? (k - tap + taps - 1) / taps : 0;
}

/* Where the row that a tap sees begins within a channel; false: in the padding. */
static bool tap_row(const struct ox_conv_cols *c, const struct stretch *s, const int64_t *tap,
                    int64_t *row) {
    *row = 0;
    for (int d = 0; d < c->rank - 1; d++) {
        int64_t pos = s->at[d] * c->strides[d] - c->begin[d] + tap[d] * c->dilations[d];
        if (pos < 0 || pos >= c->in[d]) return false;
        *row = *row * c->in[d] + pos;
    }
    *row *= c->in[c->rank - 1];
    return true;
}

static void pack_stretch(const struct ox_conv_cols *c, copy_fn copy, float *dst, size_t width,
                         const float *x, size_t k0, size_t k1, const struct stretch *s) {
    int last = c->rank - 1;
    int64_t tap[OX_WINDOW_MAX] = {0}, stride = c->strides[last], dim = c->in[last];
    for (size_t t = 0; t < c->taps; t++) {
        size_t c0 = first_at_least(k0, t, c->taps), c1 = first_at_least(k1, t, c->taps);
        if (c0 < c1) {
            int64_t pos = s->at[last] * stride - c->begin[last] + tap[last] * c->dilations[last];
            int64_t row, lo = 0, hi = 0, n = (int64_t)s->n;
            const float *src = x;
            if (tap_row(c, s, tap, &row)) ox_window_clip(pos, stride, n, dim, &lo, &hi);
            if (lo < hi) src = x + c0 * c->plane + (size_t)(row + pos + lo * stride);
            copy(dst + (c0 * c->taps + t - k0) * width, c->taps * width, src, c->plane,
                 (size_t)stride, s->n, (size_t)lo, (size_t)hi, c1 - c0);
        }
        for (int d = last; d >= 0 && ++tap[d] == c->kernel[d]; d--)
            tap[d] = 0;
    }
}

void ox_conv_cols_pack(const void *arg, enum ox_isa isa, float *dst, size_t width, size_t batch,
                       size_t k0, size_t k1, size_t j0, size_t j1) {
    const struct ox_conv_cols *c = arg;
    copy_fn copy = copy_plain;
#if OX_ISA_X86
    if (isa == OX_ISA_AVX2) copy = copy_avx2;
    if (isa == OX_ISA_AVX512) copy = copy_avx512;
#else
    (void)isa;
#endif
    struct stretch s;
    size_t rest = j0, last = (size_t)c->rank - 1;
    for (int d = c->rank - 1; d >= 0; d--) {
        s.at[d] = (int64_t)(rest % (size_t)c->out[d]);
        rest /= (size_t)c->out[d];
    }
    for (size_t j = j0; j < j1; j += s.n) {
        s.n = (size_t)(c->out[last] - s.at[last]);
        if (s.n > j1 - j) s.n = j1 - j;
        pack_stretch(c, copy, dst + (j - j0), width, c->x + c->x_at[batch], k0, k1, &s);
        s.at[last] = 0;
        for (int d = c->rank - 2; d >= 0 && ++s.at[d] == c->out[d]; d--)
            s.at[d] = 0;
    }
    if (j1 - j0 < width)
        for (size_t k = 0; k < k1 - k0; k++)
            memset(dst + k * width + (j1 - j0), 0, (width - (j1 - j0)) * sizeof *dst);
}
