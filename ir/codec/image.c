/* ir/codec/image.c - see image.h: which format it is, and what all of them share. */
#include "ir/codec/image_priv.h"

/* Where the bytes that tell a format stand. */
struct mark {
    size_t at, size;
    const char *bytes;
};

static const struct format {
    struct mark marks[2]; /* all of them must be there */
    ox_status (*read)(const struct ox_image_job *job);
} formats[] = {
    {{{0, 8, "\x89PNG\r\n\x1a\n"}}, ox_image_read_png},
    {{{0, 3, "\xff\xd8\xff"}}, ox_image_read_jpeg},
    {{{0, 12, "\0\0\0\x0cjP  \r\n\x87\n"}}, ox_image_read_jp2},
    {{{0, 4, "\xff\x4f\xff\x51"}}, ox_image_read_jp2},
    {{{0, 4, "II*\0"}}, ox_image_read_tiff},
    {{{0, 4, "MM\0*"}}, ox_image_read_tiff},
    {{{0, 4, "II+\0"}}, ox_image_read_tiff},
    {{{0, 4, "MM\0+"}}, ox_image_read_tiff},
    {{{0, 4, "RIFF"}, {8, 4, "WEBP"}}, ox_image_read_webp},
    {{{0, 2, "BM"}}, ox_image_read_bmp},
    {{{0, 2, "P1"}}, ox_image_read_pnm},
    {{{0, 2, "P2"}}, ox_image_read_pnm},
    {{{0, 2, "P3"}}, ox_image_read_pnm},
    {{{0, 2, "P4"}}, ox_image_read_pnm},
    {{{0, 2, "P5"}}, ox_image_read_pnm},
    {{{0, 2, "P6"}}, ox_image_read_pnm},
};

static bool has_mark(const struct ox_image_job *job, const struct mark *m) {
    return m->size == 0 ||
           (job->size >= m->at + m->size && memcmp(job->data + m->at, m->bytes, m->size) == 0);
}

ox_status ox_image_read(struct ox_image *out, ox_ctx *ctx, const void *data, size_t size,
                        const struct ox_place *place) {
    struct ox_image_job job = {ctx, place, out, data, size};
    *out = (struct ox_image){0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!has_mark(&job, &formats[i].marks[0]) || !has_mark(&job, &formats[i].marks[1]))
            continue;
        ox_status s = formats[i].read(&job);
        if (s != OX_OK) ox_image_fini(out, ctx);
        return s;
    }
    return ox_bad_image(&job, "not a PNG, JPEG, JPEG 2000, TIFF, WebP, BMP or PNM image");
}

ox_status ox_image_room(const struct ox_image_job *job, size_t width, size_t height, size_t bytes) {
    size_t limit = ox_ctx_limits(job->ctx)->max_memory, used = ox_ctx_memory(job->ctx), need;
    if (ox_mul_size(&need, width, height) || need > OX_IMAGE_PIXELS_MAX)
        return ox_bad_image(job, "an image of %zu x %zu pixels, more than %zu in all", width,
                            height, OX_IMAGE_PIXELS_MAX);
    if (limit == 0 || (used <= limit && need <= (limit - used) / bytes)) return OX_OK;
    return ox_fail(job->ctx, OX_NOMEM, "out-of-memory", job->place,
                   "an image of %zu x %zu pixels takes more memory than the limit leaves", width,
                   height);
}

void ox_image_fini(struct ox_image *image, ox_ctx *ctx) {
    ox_free(ctx, image->pixels);
    *image = (struct ox_image){0};
}

ox_status ox_image_init(struct ox_image *out, ox_ctx *ctx, size_t width, size_t height,
                        size_t channels, const struct ox_place *place) {
    size_t pixels;
    if (width == 0 || height == 0 || ox_mul_size(&pixels, width, height) ||
        pixels > OX_IMAGE_PIXELS_MAX)
        return ox_fail(ctx, OX_INVALID, "bad-image", place,
                       "an image of %zu x %zu pixels, more than %zu in all", width, height,
                       OX_IMAGE_PIXELS_MAX);
    *out = (struct ox_image){width, height, channels, NULL};
    return ox_alloc(ctx, &out->pixels, pixels, channels);
}

ox_status ox_image_set_channels(struct ox_image *image, ox_ctx *ctx, size_t channels) {
    struct ox_image to;
    if (image->channels == channels) return OX_OK;
    OX_TRY(ox_image_init(&to, ctx, image->width, image->height, channels, NULL));
    size_t n = image->width * image->height;
    const unsigned char *from = image->pixels;
    for (size_t i = 0; i < n; i++) {
        if (channels == 3) {
            memset(to.pixels + 3 * i, from[i], 3);
        } else { /* .299, .587, .114 in units of 2^-16, rounded */
            const unsigned char *p = from + 3 * i;
            to.pixels[i] =
                (unsigned char)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
        }
    }
    ox_image_fini(image, ctx);
    *image = to;
    return OX_OK;
}
