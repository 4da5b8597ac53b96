/* ir/codec/image_priv.h - one reader a format. Each gets a zeroed image and may leave pixels in it
 * when it fails: the caller drops them. */
#ifndef OX_IR_CODEC_IMAGE_PRIV_H
#define OX_IR_CODEC_IMAGE_PRIV_H

#include "ir/codec/image.h"

/* The bytes of a file, where diagnostics about it belong, and what comes out. */
struct ox_image_job {
    ox_ctx *ctx;
    const struct ox_place *place;
    struct ox_image *out;
    const unsigned char *data;
    size_t size;
};

#define ox_bad_image(job, ...)                                                                     \
    ox_fail((job)->ctx, OX_INVALID, "bad-image", (job)->place, __VA_ARGS__)

static inline unsigned ox_le16(const unsigned char *p) {
    return p[0] | (unsigned)p[1] << 8;
}
static inline uint32_t ox_le32(const unsigned char *p) {
    return ox_le16(p) | (uint32_t)ox_le16(p + 2) << 16;
}

/* OX_NOMEM if a library that does not take its memory from the context would have to take so many
 * bytes a pixel and the context's limit leaves no room for them. */
OX_MUST_USE ox_status ox_image_room(const struct ox_image_job *job, size_t width, size_t height,
                                    size_t bytes);

ox_status ox_image_read_bmp(const struct ox_image_job *job);
ox_status ox_image_read_jp2(const struct ox_image_job *job);
ox_status ox_image_read_jpeg(const struct ox_image_job *job);
ox_status ox_image_read_png(const struct ox_image_job *job);
ox_status ox_image_read_pnm(const struct ox_image_job *job);
ox_status ox_image_read_tiff(const struct ox_image_job *job);
ox_status ox_image_read_webp(const struct ox_image_job *job);

#endif
