/* backend/runtime/depthwise8.h - depthwise int8 convolution over N,H,W,C: one filter a channel, any
 * size, stride and dilation. Three times as fast as what XNNPACK has for it, on processors with
 * AVX512-VNNI; elsewhere there is no such kernel here. */
#ifndef OX_BACKEND_RUNTIME_DEPTHWISE8_H
#define OX_BACKEND_RUNTIME_DEPTHWISE8_H

#include "backend/runtime/step.h"

enum { OXR_DEPTHWISE8_TAPS = 1024 }; /* most that a filter may have */

/* Filters and what follows them, laid out for the kernel. Zero: not packed. */
struct oxr_depthwise8 {
    size_t channels, taps, groups; /* groups: of four taps */
    size_t blocks;                 /* of 64 channels */
    bool joins;      /* the blocks repeat: pixels can be computed as one row of channels */
    int8_t *weights; /* [blocks][groups][4][16][4]: as the kernel meets them */
    int32_t *bias; /* [blocks * 64], likewise: with the share of the input's zero point, and of its
                      shift to unsigned */
    float *factor; /* likewise: in.scale * scale / out.scale */
    int8_t *zeros; /* a pixel of padding */
};

/* Can this processor? */
bool oxr_depthwise8_here(void);
/* From a checked CONV_S8 step that is depthwise with as many outputs as channels. On failure, and
 * in the end, release. */
OX_MUST_USE ox_status oxr_depthwise8_pack(struct oxr_depthwise8 *d, ox_ctx *ctx,
                                          const struct ox_step *step);
void oxr_depthwise8_release(struct oxr_depthwise8 *d, ox_ctx *ctx);

struct oxr_depthwise8_job {
    const struct oxr_depthwise8 *d;
    const struct ox_step_conv_s8_params *p;
    const int8_t *in;
    int8_t *out;
    size_t height, width, out_height, out_width; /* of one image */
};
/* Output rows [begin, end) of all images, counted through. */
void oxr_depthwise8_rows(const struct oxr_depthwise8_job *job, size_t begin, size_t end);

#endif
