/* ir/codec/image.h - image files into pixels: PNG, JPEG, JPEG 2000, TIFF, WebP, BMP and PNM.
 *
 * Pixels are 8 bits, one (grey) or three (RGB) to a pixel, without padding between rows; alpha is
 * dropped, 16 bits are rounded to 8, and colour profiles, gamma and orientation tags are ignored,
 * as most training pipelines do. Of files with several pictures the first is read; an animation is
 * refused.
 *
 * The bytes are untrusted: dimensions are held against a budget before anything is decoded. */
#ifndef OX_IR_CODEC_IMAGE_H
#define OX_IR_CODEC_IMAGE_H

#include "ir/base/context.h"

#define OX_IMAGE_PIXELS_MAX ((size_t)64 << 20) /* 64 megapixels: 192 MiB as RGB */

struct ox_image {
    size_t width, height;
    size_t channels;       /* 1 or 3 */
    unsigned char *pixels; /* from ox_alloc */
};

/* An image of any of the formats, told apart by content. place (may be NULL) says where the bytes
 * are from. */
OX_MUST_USE ox_status ox_image_read(struct ox_image *out, ox_ctx *ctx, const void *data,
                                    size_t size, const struct ox_place *place);
void ox_image_fini(struct ox_image *image, ox_ctx *ctx);
/* Reserves pixels for dimensions that a file declares; too many are OX_INVALID. */
OX_MUST_USE ox_status ox_image_init(struct ox_image *out, ox_ctx *ctx, size_t width, size_t height,
                                    size_t channels, const struct ox_place *place);
/* In place, to 1 or 3 channels. Grey is ITU-R BT.601 luma. */
OX_MUST_USE ox_status ox_image_set_channels(struct ox_image *image, ox_ctx *ctx, size_t channels);

#endif
