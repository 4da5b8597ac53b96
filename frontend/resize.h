/* frontend/resize.h - scaling images as the Python Imaging Library does, to the bit: the same
 * windows, the same weights in 22-bit fixed point, rows before columns. Models are trained behind
 * that scaler, so another one costs accuracy. */
#ifndef OX_FRONTEND_RESIZE_H
#define OX_FRONTEND_RESIZE_H

#include "ir/codec/image.h"

enum ox_filter {
    OX_FILTER_BILINEAR,
    OX_FILTER_BICUBIC,
    OX_FILTER_LANCZOS,
    OX_FILTER_BOX,
    OX_FILTER_NEAREST,
    OX_FILTER_COUNT
};

/* "bilinear", ...; NULL past the end. */
const char *ox_filter_name(int filter);
/* In place. All filters but nearest average over all source pixels when they shrink. */
OX_MUST_USE ox_status ox_image_resize(struct ox_image *image, ox_ctx *ctx, size_t width,
                                      size_t height, enum ox_filter filter);

#endif
