/* ir/codec/image_webp.c - WebP by libwebp. It takes its working memory from the system: up to 16
 * bytes a pixel, held against the context's limit beforehand. */
#include "ir/codec/image_priv.h"

#include <webp/decode.h>

ox_status ox_image_read_webp(const struct ox_image_job *job) {
    WebPBitstreamFeatures f;
    if (WebPGetFeatures(job->data, job->size, &f) != VP8_STATUS_OK)
        return ox_bad_image(job, "damaged WebP: no header");
    if (f.has_animation) return ox_bad_image(job, "an animated WebP is not one image");
    size_t width = f.width > 0 ? (size_t)f.width : 0, height = f.height > 0 ? (size_t)f.height : 0;
    OX_TRY(ox_image_room(job, width, height, 16));
    OX_TRY(ox_image_init(job->out, job->ctx, width, height, 3, job->place));
    if (!WebPDecodeRGBInto(job->data, job->size, job->out->pixels, 3 * width * height,
                           (int)(3 * width)))
        return ox_bad_image(job, "damaged WebP: its pixels cannot be decoded");
    return OX_OK;
}
