/* backend/runtime/depthwise32.c - see depthwise32.h. A few neighbouring pixels are computed at a
 * time, so that a tap's weights are read once for all. Inside an image the pixels of a tap lie at
 * equal distances; at its edges each has a pointer, to zeros where there is padding. Rows of taps
 * that are padding as a whole are left out. */
#include "backend/runtime/depthwise32.h"

#include <string.h>

enum { PIXELS_MAX = 7 };

struct block {
    const float *taps[OXR_DEPTHWISE32_TAPS * PIXELS_MAX]; /* at channel 0 */
    size_t filter_at[OXR_DEPTHWISE32_TAPS];               /* where each tap's weights begin */
    size_t n_taps, step, n; /* n: pixels, at most as many as the set takes at a time */
    bool apart;
    float low, high;
    float *out;
};

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/depthwise32.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/depthwise32.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/depthwise32.inc"
#undef OX_ISA_IS
#endif

static size_t at_a_time(enum ox_isa isa) {
    return isa == OX_ISA_AVX512 ? 7 : 4;
}

static void pixels(const struct oxr_depthwise32 *d, const struct block *b) {
#if OX_ISA_X86
    if (d->isa == OX_ISA_AVX512) {
        pixels_avx512(d, b);
        return;
    }
    if (d->isa == OX_ISA_AVX2) {
        pixels_avx2(d, b);
        return;
    }
#endif
    pixels_plain(d, b);
}

/* The lines that the taps of output row y read; *n of them, first taps in kernel order. */
struct lines {
    const float *at[OXR_DEPTHWISE32_TAPS];
    size_t ky[OXR_DEPTHWISE32_TAPS], n;
};

static void find_lines(struct lines *l, const struct oxr_depthwise32 *d, const float *image,
                       size_t y) {
    const struct ox_step_window *w = d->window;
    l->n = 0;
    for (size_t ky = 0; ky < w->kernel[0]; ky++) {
        const int64_t line = (int64_t)(y * w->stride[0] + ky * w->dilation[0]) - w->top;
        if (line < 0 || line >= (int64_t)d->shape.height) continue;
        l->at[l->n] = image + (size_t)line * d->shape.width * d->channels;
        l->ky[l->n++] = ky;
    }
}

/* Pixels of a row from x on. */
static void find_taps(struct block *b, const struct lines *l, const struct oxr_depthwise32 *d,
                      size_t x) {
    const size_t most = at_a_time(d->isa);
    const struct ox_step_window *w = d->window;
    const int64_t first = (int64_t)(x * w->stride[1]) - w->left,
                  last = first +
                         (int64_t)((most - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1]);
    b->apart = first < 0 || last >= (int64_t)d->shape.width || b->n < most;
    b->step = w->stride[1] * d->channels;
    b->n_taps = 0;
    for (size_t i = 0; i < l->n; i++)
        for (size_t kx = 0; kx < w->kernel[1]; kx++, b->n_taps++) {
            const int64_t column = first + (int64_t)(kx * w->dilation[1]);
            b->filter_at[b->n_taps] = (l->ky[i] * w->kernel[1] + kx) * d->channels;
            if (!b->apart) b->taps[b->n_taps] = l->at[i] + (size_t)column * d->channels;
            for (size_t p = 0; b->apart && p < most; p++) {
                const int64_t at = column + (int64_t)(p * w->stride[1]);
                b->taps[b->n_taps * most + p] = p < b->n && at >= 0 && at < (int64_t)d->shape.width
                                                    ? l->at[i] + (size_t)at * d->channels
                                                    : d->zeros;
            }
        }
}

void oxr_depthwise32_rows(const struct oxr_depthwise32 *d, size_t begin, size_t end) {
    const struct oxr_conv_shape *s = &d->shape;
    struct block b;
    struct lines l;
    const size_t most = at_a_time(d->isa);
    b.low = d->low;
    b.high = d->high;
    for (size_t row = begin; row < end; row++) {
        const size_t floats = s->out_width * d->channels;
        float *out = d->out + row * floats;
        find_lines(&l, d, d->in + row / s->out_height * s->height * s->width * d->channels,
                   row % s->out_height);
        for (size_t x = 0; x < s->out_width; x += most) {
            b.n = s->out_width - x < most ? s->out_width - x : most;
            b.out = out + x * d->channels;
            find_taps(&b, &l, d, x);
            pixels(d, &b);
        }
        if (d->act) oxr_act32_run(d->act, out, floats);
    }
}
