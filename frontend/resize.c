/* frontend/resize.c - see resize.h.
 *
 * One dimension at a time: output sample i is a weighted sum of the input samples under a window
 * around its centre. The window is as wide as the filter's support, stretched by the scale when
 * shrinking. */
#include "frontend/resize.h"

#include <math.h>

enum { PRECISION = 32 - 8 - 2 }; /* 8 bits of pixel and two of overshoot are left of an int32 */

static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic convolution with a = -1/2. */
static double bicubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x) {
    const double pi = 3.14159265358979323846;
    return x == 0.0 ? 1.0 : sin(x * pi) / (x * pi);
}

static double lanczos(double x) {
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static const struct {
    const char *name;
    double support;
    double (*weight)(double x);
} filters[OX_FILTER_COUNT] = {
    [OX_FILTER_BILINEAR] = {"bilinear", 1.0, bilinear},
    [OX_FILTER_BICUBIC] = {"bicubic", 2.0, bicubic},
    [OX_FILTER_LANCZOS] = {"lanczos", 3.0, lanczos},
    [OX_FILTER_BOX] = {"box", 0.5, box},
    [OX_FILTER_NEAREST] = {"nearest", 0, NULL},
};

const char *ox_filter_name(int filter) {
    return filter >= 0 && filter < OX_FILTER_COUNT ? filters[filter].name : NULL;
}

/* Windows of all output samples of one dimension. */
struct windows {
    size_t out;
    size_t room;   /* weights per window */
    size_t *first; /* first input sample */
    size_t *count;
    int32_t *weights; /* out x room */
};

static void windows_free(struct windows *w, ox_ctx *ctx) {
    ox_free(ctx, w->first);
    ox_free(ctx, w->count);
    ox_free(ctx, w->weights);
}

static void fill_window(struct windows *w, size_t i, size_t in, double scale, double support,
                        enum ox_filter filter, double *weights) {
    double stretch = scale < 1.0 ? 1.0 : scale, centre = ((double)i + 0.5) * scale, sum = 0;
    double low = centre - support + 0.5, high = centre + support + 0.5;
    size_t first = low < 0 ? 0 : (size_t)low, end = (size_t)high;
    if (end > in) end = in;
    w->first[i] = first;
    w->count[i] = end - first;
    for (size_t k = 0; k < w->count[i]; k++) {
        weights[k] = filters[filter].weight(((double)(k + first) - centre + 0.5) * (1.0 / stretch));
        sum += weights[k];
    }
    for (size_t k = 0; k < w->count[i]; k++) {
        double v = (sum != 0.0 ? weights[k] / sum : weights[k]) * (double)(1 << PRECISION);
        w->weights[i * w->room + k] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
    }
}

static ox_status windows_init(struct windows *w, ox_ctx *ctx, size_t in, size_t out,
                              enum ox_filter filter) {
    double scale = (double)in / (double)out,
           support = filters[filter].support * (scale < 1.0 ? 1.0 : scale);
    double *weights = NULL;
    *w = (struct windows){.out = out, .room = (size_t)ceil(support) * 2 + 1};
    ox_status s = ox_alloc(ctx, &w->first, out, sizeof *w->first);
    if (s == OX_OK) s = ox_alloc(ctx, &w->count, out, sizeof *w->count);
    if (s == OX_OK) s = ox_alloc(ctx, &w->weights, out, w->room * sizeof *w->weights);
    if (s == OX_OK) s = ox_alloc(ctx, &weights, w->room, sizeof *weights);
    for (size_t i = 0; i < out && s == OX_OK; i++)
        fill_window(w, i, in, scale, support, filter, weights);
    ox_free(ctx, weights);
    if (s != OX_OK) windows_free(w, ctx);
    return s;
}

static unsigned char clip(int32_t v) {
    v >>= PRECISION;
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* One output sample: `stride` bytes between input samples. */
static unsigned char apply(const struct windows *w, size_t i, const unsigned char *from,
                           size_t stride) {
    const int32_t *weights = w->weights + i * w->room;
    int32_t sum = 1 << (PRECISION - 1);
    from += w->first[i] * stride;
    for (size_t k = 0; k < w->count[i]; k++)
        sum += from[k * stride] * weights[k];
    return clip(sum);
}

static void scale_rows(struct ox_image *to, const struct ox_image *from, const struct windows *w) {
    size_t c = from->channels;
    for (size_t y = 0; y < to->height; y++)
        for (size_t x = 0; x < to->width; x++)
            for (size_t k = 0; k < c; k++)
                to->pixels[(y * to->width + x) * c + k] =
                    apply(w, x, from->pixels + y * from->width * c + k, c);
}

static void scale_columns(struct ox_image *to, const struct ox_image *from,
                          const struct windows *w) {
    size_t row = from->width * from->channels;
    for (size_t y = 0; y < to->height; y++)
        for (size_t x = 0; x < row; x++)
            to->pixels[y * row + x] = apply(w, y, from->pixels + x, row);
}

static ox_status scale(struct ox_image *image, ox_ctx *ctx, size_t width, size_t height,
                       enum ox_filter filter) {
    struct windows w;
    struct ox_image to;
    bool rows = width != image->width;
    OX_TRY(
        windows_init(&w, ctx, rows ? image->width : image->height, rows ? width : height, filter));
    ox_status s = ox_image_init(&to, ctx, width, height, image->channels, NULL);
    if (s == OX_OK) {
        (rows ? scale_rows : scale_columns)(&to, image, &w);
        ox_image_fini(image, ctx);
        *image = to;
    }
    windows_free(&w, ctx);
    return s;
}

/* The sample under each output sample's centre. Centres are summed up one by one: rounding
 * included, as the original. */
static ox_status nearest_table(size_t **out, ox_ctx *ctx, size_t in, size_t n) {
    double step = (double)in / (double)n, centre = step * 0.5;
    OX_TRY(ox_alloc(ctx, out, n, sizeof **out));
    for (size_t i = 0; i < n; i++, centre += step)
        (*out)[i] = (size_t)centre < in ? (size_t)centre : in - 1;
    return OX_OK;
}

static ox_status nearest(struct ox_image *image, ox_ctx *ctx, size_t width, size_t height) {
    struct ox_image to = {0};
    size_t *columns = NULL, *rows = NULL, c = image->channels;
    ox_status s = nearest_table(&columns, ctx, image->width, width);
    if (s == OX_OK) s = nearest_table(&rows, ctx, image->height, height);
    if (s == OX_OK) s = ox_image_init(&to, ctx, width, height, c, NULL);
    for (size_t y = 0; y < height && s == OX_OK; y++)
        for (size_t x = 0; x < width; x++)
            memcpy(to.pixels + (y * width + x) * c,
                   image->pixels + (rows[y] * image->width + columns[x]) * c, c);
    ox_free(ctx, columns);
    ox_free(ctx, rows);
    if (s != OX_OK) return s;
    ox_image_fini(image, ctx);
    *image = to;
    return OX_OK;
}

ox_status ox_image_resize(struct ox_image *image, ox_ctx *ctx, size_t width, size_t height,
                          enum ox_filter filter) {
    if (width == image->width && height == image->height) return OX_OK;
    if (filter == OX_FILTER_NEAREST) return nearest(image, ctx, width, height);
    if (width != image->width) OX_TRY(scale(image, ctx, width, image->height, filter));
    return height != image->height ? scale(image, ctx, width, height, filter) : OX_OK;
}
