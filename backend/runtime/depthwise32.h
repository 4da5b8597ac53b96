/* backend/runtime/depthwise32.h - depthwise convolution of 32-bit floats over N,H,W,C: one filter a
 * channel, any size, stride and dilation. A sum is one chain of multiply-adds over the taps that
 * lie inside, in order, begun with the bias. */
#ifndef OX_BACKEND_RUNTIME_DEPTHWISE32_H
#define OX_BACKEND_RUNTIME_DEPTHWISE32_H

#include "backend/runtime/conv32.h"
#include "ir/ops/kernel_isa.h"

enum { OXR_DEPTHWISE32_TAPS = 256 }; /* most that a filter may have */

struct oxr_depthwise32 {
    enum ox_isa isa; /* as ox_isa_pick gave it */
    const struct ox_step_window *window;
    const float *filter, *bias; /* [taps][channels]; [channels] or NULL */
    const float *zeros;         /* a pixel of padding */
    size_t channels;
    float low, high;
    const struct oxr_act32 *act; /* NULL, or what the results go through instead of the clamp */
    struct oxr_conv_shape shape;
    const float *in;
    float *out;
};

/* Rows [begin, end) of the results of all images, counted through. */
void oxr_depthwise32_rows(const struct oxr_depthwise32 *d, size_t begin, size_t end);

#endif
