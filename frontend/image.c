/* frontend/image.c - see image.h. */
#include "frontend/image.h"

static bool is_png(const void *data, size_t size) {
    return size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static bool is_jpeg(const void *data, size_t size) {
    return size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

bool ox_image_magic(const void *data, size_t size) {
    return is_png(data, size) || is_jpeg(data, size);
}

ox_status ox_image_read(struct ox_image *out, ox_ctx *ctx, const void *data, size_t size,
                        const struct ox_place *place) {
    *out = (struct ox_image){0};
    ox_status s;
    if (is_png(data, size))
        s = ox_image_read_png(out, ctx, data, size, place);
    else if (is_jpeg(data, size))
        s = ox_image_read_jpeg(out, ctx, data, size, place);
    else
        s = ox_fail(ctx, OX_INVALID, "bad-image", place, "neither a PNG nor a JPEG image");
    if (s != OX_OK) ox_image_fini(out, ctx);
    return s;
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
