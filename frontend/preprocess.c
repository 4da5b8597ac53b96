/* frontend/preprocess.c - see preprocess.h. */
#include "frontend/preprocess.h"

#include "ir/base/bytes.h"
#include <math.h>

#define bad_spec(ctx, ...) ox_fail((ctx), OX_USAGE, "bad-preprocess", NULL, __VA_ARGS__)
#define bad_input(ctx, place, ...) ox_fail((ctx), OX_INVALID, "wrong-sample", (place), __VA_ARGS__)

enum { SIDE_MAX = 65536 };

/* ---- the specification ----------------------------------------------------------------------- */

/* One "key=value". */
struct item {
    ox_ctx *ctx;
    const char *key, *value;
};

static ox_status wrong_value(const struct item *i, const char *expected) {
    return bad_spec(i->ctx, "preprocessing key '%s' has the value '%s'; expected: %s", i->key,
                    i->value, expected);
}

static bool parse_side(size_t *out, const char **text) {
    size_t v = 0;
    const char *p = *text;
    for (; *p >= '0' && *p <= '9' && v <= SIDE_MAX; p++)
        v = v * 10 + (size_t)(*p - '0');
    if (p == *text || v == 0 || v > SIDE_MAX) return false;
    *out = v;
    *text = p;
    return true;
}

/* "224" or "240x320" (height x width). One number is a square unless `shorter`: then only the
 * shorter side is meant. */
static ox_status parse_size(struct ox_prep_size *out, const struct item *i, bool shorter) {
    struct ox_prep_size s = {0, 0};
    const char *p = i->value;
    bool ok = parse_side(&s.height, &p);
    if (ok && *p == 'x') {
        p++;
        ok = parse_side(&s.width, &p);
    } else if (ok && !shorter) {
        s.width = s.height;
    }
    if (!ok || *p) return wrong_value(i, "N or HEIGHTxWIDTH, from 1 to 65536");
    *out = s;
    return OX_OK;
}

/* A decimal number of at most 15 digits, which one division or multiplication of exact doubles
 * rounds correctly; strtod would depend on the caller's locale. */
static bool parse_number(double *out, const char **text) {
    static const double power[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = *text;
    bool negative = *p == '-', point = false;
    double digits = 0;
    int n = 0, behind = 0;
    for (p += negative; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        digits = digits * 10 + (*p - '0');
        n++;
        behind += point;
    }
    if (n == 0 || n > 15) return false;
    *out = (negative ? -digits : digits) / power[behind];
    *text = p;
    return true;
}

/* Numbers with ':' between them, one for all channels or one for each. */
static ox_status parse_vector(double *out, size_t *n, const struct item *i) {
    const char *p = i->value;
    for (*n = 0; *n < OX_PREP_CHANNELS;) {
        if (!parse_number(&out[*n], &p)) break;
        ++*n;
        if (*p == 0) return OX_OK;
        if (*p++ != ':') break;
    }
    return wrong_value(i, "a number, or one number for each channel with ':' between them");
}

/* A word from a NULL-terminated list. */
static ox_status parse_choice(int *out, const struct item *i, const char *const *words,
                              const char *expected) {
    for (*out = 0; words[*out]; ++*out)
        if (strcmp(words[*out], i->value) == 0) return OX_OK;
    return wrong_value(i, expected);
}

static ox_status parse_filter(struct ox_prep *p, const struct item *i) {
    for (int f = 0; ox_filter_name(f); f++)
        if (strcmp(ox_filter_name(f), i->value) == 0) {
            p->filter = (enum ox_filter)f;
            return OX_OK;
        }
    return wrong_value(i, "bilinear, bicubic, lanczos, box or nearest");
}

static ox_status parse_layout(struct ox_prep *p, const struct item *i) {
    static const char *const words[] = {"auto", "nchw", "nhwc", NULL};
    int choice;
    OX_TRY(parse_choice(&choice, i, words, "nchw or nhwc"));
    p->layout = choice;
    return OX_OK;
}

static ox_status parse_colour(struct ox_prep *p, const struct item *i) {
    static const char *const words[] = {"auto", "rgb", "bgr", "grey", "gray", "y", NULL};
    int choice;
    OX_TRY(parse_choice(&choice, i, words, "rgb, bgr or grey"));
    p->colour = choice > OX_COLOUR_GREY ? OX_COLOUR_GREY : choice;
    return OX_OK;
}

static ox_status parse_item(struct ox_prep *p, const struct item *i) {
    double number[OX_PREP_CHANNELS];
    size_t n;
    if (strcmp(i->key, "resize") == 0) return parse_size(&p->resize, i, true);
    if (strcmp(i->key, "fit") == 0) return parse_size(&p->fit, i, false);
    if (strcmp(i->key, "crop") == 0) return parse_size(&p->crop, i, false);
    if (strcmp(i->key, "filter") == 0) return parse_filter(p, i);
    if (strcmp(i->key, "layout") == 0) return parse_layout(p, i);
    if (strcmp(i->key, "colour") == 0 || strcmp(i->key, "color") == 0) return parse_colour(p, i);
    if (strcmp(i->key, "mean") == 0) return parse_vector(p->mean, &p->n_mean, i);
    if (strcmp(i->key, "std") == 0) {
        OX_TRY(parse_vector(p->std, &p->n_std, i));
        for (n = 0; n < p->n_std; n++)
            if (fabs(p->std[n]) < 1e-30) return wrong_value(i, "numbers other than 0");
        return OX_OK;
    }
    if (strcmp(i->key, "scale") == 0) {
        OX_TRY(parse_vector(number, &n, i));
        if (n != 1 || fabs(number[0]) < 1e-30) return wrong_value(i, "a number other than 0");
        p->scale = number[0];
        return OX_OK;
    }
    if (strcmp(i->key, "pad") == 0) {
        OX_TRY(parse_vector(number, &n, i));
        if (n != 1 || number[0] < 0 || number[0] > 255)
            return wrong_value(i, "a number from 0 to 255");
        p->pad = (int)number[0];
        return OX_OK;
    }
    return bad_spec(i->ctx,
                    "unknown preprocessing key '%s'; known are resize, fit, crop, filter, pad, "
                    "scale, mean, std, layout, colour",
                    i->key);
}

ox_status ox_prep_parse(struct ox_prep *out, ox_ctx *ctx, const char *spec) {
    struct ox_prep p = {.filter = OX_FILTER_BILINEAR};
    char text[128];
    while (spec && *spec) {
        size_t n = strcspn(spec, ",");
        if (n >= sizeof text)
            return bad_spec(ctx, "a preprocessing key is too long: '%.100s'", spec);
        memcpy(text, spec, n);
        text[n] = 0;
        char *equals = strchr(text, '=');
        if (!equals) return bad_spec(ctx, "preprocessing: '%s' is not of the form key=value", text);
        *equals = 0;
        OX_TRY(parse_item(&p, &(struct item){ctx, text, equals + 1}));
        spec += n;
        if (*spec == ',') spec++;
    }
    if (p.resize.height && p.fit.height)
        return bad_spec(ctx, "preprocessing: 'resize' and 'fit' exclude each other");
    *out = p;
    return OX_OK;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static bool is_channels(int64_t dim) {
    return dim == 1 || dim == 3;
}

/* Where channels, height and width stand in the target's dims; -1: nowhere. */
static void find_axes(int *c, int *h, int *w, const struct ox_prep_target *t,
                      const struct ox_prep *p) {
    int first = t->rank - 3; /* of the three, behind a batch dimension if there is one */
    *c = *h = *w = -1;
    if (t->rank < 3 || t->rank > 4) return;
    bool nhwc = p->layout == OX_LAYOUT_NHWC ||
                (p->layout == OX_LAYOUT_AUTO && !is_channels(t->dims[first]) &&
                 is_channels(t->dims[first + 2]));
    *c = nhwc ? first + 2 : first;
    *h = nhwc ? first : first + 1;
    *w = nhwc ? first + 1 : first + 2;
    if (t->rank == 3 && !is_channels(t->dims[*c]) &&
        p->layout == OX_LAYOUT_AUTO) { /* a batch of planes: [N,H,W] */
        *c = -1;
        *h = 1;
        *w = 2;
    }
}

static size_t known_dim(const struct ox_prep_target *t, int axis) {
    return axis >= 0 && t->dims[axis] > 0 ? (size_t)t->dims[axis] : 0;
}

/* The size that the specification leads to, as far as it does not depend on the image. */
static struct ox_prep_size final_size(const struct ox_prep *p) {
    if (p->crop.height) return p->crop;
    if (p->fit.height) return p->fit;
    if (p->resize.width) return p->resize;
    return (struct ox_prep_size){0, 0};
}

ox_status ox_prep_plan(struct ox_prep_target *t, ox_ctx *ctx, const struct ox_prep *p) {
    int c, h, w;
    find_axes(&c, &h, &w, t, p);
    t->nhwc = c >= 0 ? c > h : p->layout == OX_LAYOUT_NHWC;
    t->channels = known_dim(t, c);
    t->height = known_dim(t, h);
    t->width = known_dim(t, w);
    if (t->channels > 3 || t->channels == 2)
        return bad_input(ctx, NULL, "input '%s' has %zu channels; images have 1 or 3", t->name,
                         t->channels);
    if (p->colour != OX_COLOUR_AUTO) {
        size_t wanted = p->colour == OX_COLOUR_GREY ? 1 : 3;
        if (t->channels && t->channels != wanted)
            return bad_input(ctx, NULL,
                             "input '%s' has %zu channels, but the preprocessing gives %zu",
                             t->name, t->channels, wanted);
        t->channels = wanted;
    }
    if (c < 0 && h >= 0) t->channels = 1;
    struct ox_prep_size size = final_size(p);
    if (size.height &&
        ((t->height && t->height != size.height) || (t->width && t->width != size.width)))
        return bad_input(
            ctx, NULL,
            "input '%s' is %zu high and %zu wide, but the preprocessing gives %zu and %zu", t->name,
            t->height, t->width, size.height, size.width);
    if (size.height) {
        t->height = size.height;
        t->width = size.width;
    }
    if ((p->n_mean > 1 && t->channels && p->n_mean != t->channels) ||
        (p->n_std > 1 && t->channels && p->n_std != t->channels))
        return bad_input(
            ctx, NULL, "input '%s' has %zu channels, but mean or std has another number of values",
            t->name, t->channels);
    return OX_OK;
}

/* ---- size ------------------------------------------------------------------------------------ */

/* Places the image in one of another size: centred or in the upper left corner, cut or padded. */
static ox_status place_image(struct ox_image *image, ox_ctx *ctx, size_t height, size_t width,
                             bool centred, int pad) {
    struct ox_image to;
    size_t c = image->channels;
    if (height == image->height && width == image->width) return OX_OK;
    OX_TRY(ox_image_init(&to, ctx, width, height, c, NULL));
    memset(to.pixels, pad, width * height * c);
    /* Where the image's corner comes to lie; halves are rounded to even, as round() does in Python.
     */
    long top = centred ? lrint(((double)height - (double)image->height) / 2.0) : 0;
    long left = centred ? lrint(((double)width - (double)image->width) / 2.0) : 0;
    for (size_t y = 0; y < height; y++) {
        long from_y = (long)y - top;
        if (from_y < 0 || from_y >= (long)image->height) continue;
        long begin = left > 0 ? left : 0, end = left + (long)image->width;
        if (end > (long)width) end = (long)width;
        if (begin < end)
            memcpy(to.pixels + (y * width + (size_t)begin) * c,
                   image->pixels + ((size_t)from_y * image->width + (size_t)(begin - left)) * c,
                   (size_t)(end - begin) * c);
    }
    ox_image_fini(image, ctx);
    *image = to;
    return OX_OK;
}

/* The shorter side becomes n, the longer one follows, rounded down. */
static ox_status resize_shorter(struct ox_image *image, ox_ctx *ctx, size_t n,
                                enum ox_filter filter) {
    size_t w = image->width, h = image->height;
    return w <= h ? ox_image_resize(image, ctx, n, n * h / w, filter)
                  : ox_image_resize(image, ctx, n * w / h, n, filter);
}

static size_t at_least_1(double v) {
    return v < 1.0 ? 1 : (size_t)v;
}

/* As large as fits into height x width without distortion (`cover`: as small as covers it). */
static ox_status resize_within(struct ox_image *image, ox_ctx *ctx, size_t height, size_t width,
                               bool cover, enum ox_filter filter) {
    double sy = (double)height / (double)image->height, sx = (double)width / (double)image->width;
    double s = cover == (sy > sx) ? sy : sx;
    size_t w = at_least_1(rint((double)image->width * s)),
           h = at_least_1(rint((double)image->height * s));
    return ox_image_resize(image, ctx, w, h, filter);
}

static ox_status apply_size(struct ox_image *image, ox_ctx *ctx, const struct ox_prep *p,
                            const struct ox_prep_target *t) {
    if (p->resize.height && p->resize.width)
        OX_TRY(ox_image_resize(image, ctx, p->resize.width, p->resize.height, p->filter));
    else if (p->resize.height)
        OX_TRY(resize_shorter(image, ctx, p->resize.height, p->filter));
    if (p->fit.height) {
        OX_TRY(resize_within(image, ctx, p->fit.height, p->fit.width, false, p->filter));
        OX_TRY(place_image(image, ctx, p->fit.height, p->fit.width, false, p->pad));
    }
    if (p->crop.height)
        OX_TRY(place_image(image, ctx, p->crop.height, p->crop.width, true, p->pad));
    bool told = p->resize.height || p->fit.height || p->crop.height;
    if (told || !t->height || !t->width) return OX_OK;
    /* Nothing was said: cover the input's size, cut what is over. */
    OX_TRY(resize_within(image, ctx, t->height, t->width, true, p->filter));
    return place_image(image, ctx, t->height, t->width, true, p->pad);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* One sample before it becomes a tensor: element (c, y, x) stands at c * sc + y * sy + x * sx. */
struct planes {
    const void *data;
    ox_dtype dtype;
    size_t channels, height, width;
    size_t sc, sy, sx;
};

static double load(const struct planes *p, size_t at) {
    const char *d = p->data;
#define CASE(id, type)                                                                             \
    case id: {                                                                                     \
        type v;                                                                                    \
        memcpy(&v, d + at * sizeof v, sizeof v);                                                   \
        return (double)v;                                                                          \
    }
    switch (p->dtype) {
        CASE(OX_UINT8, uint8_t)
        CASE(OX_INT8, int8_t)
        CASE(OX_UINT16, uint16_t)
        CASE(OX_INT16, int16_t)
        CASE(OX_UINT32, uint32_t)
        CASE(OX_INT32, int32_t)
        CASE(OX_UINT64, uint64_t)
        CASE(OX_INT64, int64_t)
        CASE(OX_FLOAT, float)
        CASE(OX_DOUBLE, double)
    default:
        return ((const uint8_t *)p->data)[at] ? 1 : 0; /* bool */
    }
#undef CASE
}

static bool is_number(ox_dtype dtype) {
    switch (dtype) {
    case OX_UINT8:
    case OX_INT8:
    case OX_UINT16:
    case OX_INT16:
    case OX_UINT32:
    case OX_INT32:
    case OX_UINT64:
    case OX_INT64:
    case OX_FLOAT:
    case OX_DOUBLE:
    case OX_BOOL:
        return true;
    default:
        return false;
    }
}

static double saturate(double v, double low, double high) {
    if (!(v > low)) return low; /* NaN too */
    return v > high ? high : rint(v);
}

static void store(void *data, ox_dtype dtype, size_t at, double v) {
    switch (dtype) {
    case OX_DOUBLE:
        ((double *)data)[at] = v;
        break;
    case OX_FLOAT16:
        ((uint16_t *)data)[at] = ox_float_to_half((float)v);
        break;
    case OX_BFLOAT16:
        ((uint16_t *)data)[at] = ox_float_to_bfloat16((float)v);
        break;
    case OX_UINT8:
        ((uint8_t *)data)[at] = (uint8_t)saturate(v, 0, UINT8_MAX);
        break;
    case OX_INT8:
        ((int8_t *)data)[at] = (int8_t)saturate(v, INT8_MIN, INT8_MAX);
        break;
    case OX_INT32:
        ((int32_t *)data)[at] = (int32_t)saturate(v, INT32_MIN, INT32_MAX);
        break;
    case OX_INT64:
        ((int64_t *)data)[at] = (int64_t)saturate(v, -9.0e18, 9.0e18);
        break;
    default:
        ((float *)data)[at] = (float)v;
        break;
    }
}

static bool can_store(ox_dtype dtype) {
    switch (dtype) {
    case OX_FLOAT:
    case OX_DOUBLE:
    case OX_FLOAT16:
    case OX_BFLOAT16:
    case OX_UINT8:
    case OX_INT8:
    case OX_INT32:
    case OX_INT64:
        return true;
    default:
        return false;
    }
}

/* Dims of the tensor: the target's, with what it leaves open taken from the sample. */
static ox_status output_dims(int *rank, int64_t *dims, ox_ctx *ctx, const struct ox_prep_target *t,
                             const struct planes *p, const struct ox_place *place) {
    int64_t c = (int64_t)p->channels, h = (int64_t)p->height, w = (int64_t)p->width;
    int64_t natural[4] = {1, t->nhwc ? h : c, t->nhwc ? w : h, t->nhwc ? c : w};
    size_t have = p->channels * p->height * p->width, need;
    *rank = t->rank < 0 ? 4 : t->rank;
    bool open = false;
    for (int i = 0; i < *rank; i++) {
        dims[i] = t->rank < 0 ? natural[i] : t->dims[i];
        if (dims[i] >= 0) continue;
        if (*rank == 4 || *rank == 3) {
            dims[i] = natural[i + 4 - *rank];
        } else { /* [N, features] and the like: one sample, whose elements go where there is room
                    first */
            dims[i] = i > 0 && !open ? (int64_t)have : 1;
            open = open || i > 0;
        }
    }
    if (ox_shape_size(&need, NULL, OX_UINT8, *rank, dims) || need != have)
        return bad_input(
            ctx, place,
            "a sample of %zu x %zu x %zu (channels, height, width) does not fit input '%s'",
            p->channels, p->height, p->width, t->name);
    return OX_OK;
}

static ox_status make_tensor(ox_tensor **out, ox_ctx *ctx, const struct ox_prep *prep,
                             const struct ox_prep_target *t, const struct planes *p,
                             double default_scale, const struct ox_place *place) {
    int rank;
    int64_t dims[OX_MAX_RANK];
    void *data;
    if (!can_store(t->dtype))
        return bad_input(ctx, place, "input '%s' is %s; images cannot become that", t->name,
                         ox_dtype_name(t->dtype));
    if ((prep->n_mean > 1 && prep->n_mean != p->channels) ||
        (prep->n_std > 1 && prep->n_std != p->channels))
        return bad_input(
            ctx, place, "the sample has %zu channels, but mean or std has another number of values",
            p->channels);
    OX_TRY(output_dims(&rank, dims, ctx, t, p, place));
    OX_TRY(ox_tensor_new(out, &data, ctx, t->dtype, rank, dims));
    double scale = prep->scale != 0                ? prep->scale
                   : ox_dtype_is_integer(t->dtype) ? 1
                                                   : default_scale;
    size_t c_step = t->nhwc ? 1 : p->height * p->width, x_step = t->nhwc ? p->channels : 1;
    for (size_t c = 0; c < p->channels; c++) {
        double mean = prep->n_mean ? prep->mean[prep->n_mean > 1 ? c : 0] : 0,
               std = prep->n_std ? prep->std[prep->n_std > 1 ? c : 0] : 1;
        size_t from_c = prep->colour == OX_COLOUR_BGR ? p->channels - 1 - c : c;
        for (size_t y = 0; y < p->height; y++)
            for (size_t x = 0; x < p->width; x++) {
                double v = load(p, from_c * p->sc + y * p->sy + x * p->sx);
                store(data, t->dtype, c * c_step + (y * p->width + x) * x_step,
                      (v / scale - mean) / std);
            }
    }
    return OX_OK;
}

ox_status ox_prep_image(ox_tensor **out, ox_ctx *ctx, const struct ox_prep *prep,
                        const struct ox_prep_target *t, struct ox_image *image,
                        const struct ox_place *place) {
    ox_status s = t->channels ? ox_image_set_channels(image, ctx, t->channels) : OX_OK;
    if (s == OX_OK) s = apply_size(image, ctx, prep, t);
    if (s == OX_OK) {
        size_t c = image->channels;
        const struct planes p = {image->pixels,    OX_UINT8, c, image->height, image->width, 1,
                                 image->width * c, c};
        s = make_tensor(out, ctx, prep, t, &p, 255, place);
    }
    ox_image_fini(image, ctx);
    return s;
}

/* How an array's elements are channels, rows and columns. */
static struct planes view(const ox_tensor *a) {
    struct planes p = {a->data, a->dtype, 1, 1, 1, 0, 0, 1};
    if (a->rank == 3 && !is_channels(a->dims[2]) && is_channels(a->dims[0])) {
        p.channels = (size_t)a->dims[0];
        p.height = (size_t)a->dims[1];
        p.width = (size_t)a->dims[2];
        p.sc = p.height * p.width;
        p.sy = p.width;
    } else {
        if (a->rank == 3) p.channels = (size_t)a->dims[2];
        if (a->rank >= 2) p.height = (size_t)a->dims[0];
        if (a->rank >= 1) p.width = (size_t)a->dims[a->rank >= 2 ? 1 : 0];
        p.sc = 1;
        p.sx = p.channels;
        p.sy = p.width * p.channels;
    }
    return p;
}

ox_status ox_prep_array(ox_tensor **out, ox_ctx *ctx, const struct ox_prep *prep,
                        const struct ox_prep_target *t, const ox_tensor *a,
                        const struct ox_place *place) {
    if (!is_number(a->dtype))
        return bad_input(ctx, place, "%s cannot be preprocessed", ox_dtype_name(a->dtype));
    if (a->rank > 3 || a->count == 0)
        return bad_input(
            ctx, place,
            "a sample of rank %d cannot be preprocessed; it must be [H,W], [H,W,C] or [C,H,W]",
            a->rank);
    struct planes p = view(a);
    bool pixels = a->dtype == OX_UINT8 && a->rank >= 2 && is_channels((int64_t)p.channels);
    if (!pixels) return make_tensor(out, ctx, prep, t, &p, 1, place);
    struct ox_image image;
    OX_TRY(ox_image_init(&image, ctx, p.width, p.height, p.channels, place));
    const unsigned char *from = a->data;
    for (size_t y = 0, n = 0; y < p.height; y++)
        for (size_t x = 0; x < p.width; x++)
            for (size_t c = 0; c < p.channels; c++)
                image.pixels[n++] = from[c * p.sc + y * p.sy + x * p.sx];
    return ox_prep_image(out, ctx, prep, t, &image, place);
}
