/* ir/ops/op_sample.c - GridSample and RoiAlign: interpolated reads at places that a tensor names.
 * Coordinates are hostile numbers: no conversion to an integer happens before they are known to be
 * in range. */
#include "ir/ops/convert.h"
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/pick.h"
#include "ir/ops/wide.h"
#include <math.h>

/* All elements as doubles. From ox_alloc. */
static ox_status as_doubles(double **out, const struct ox_call *call, const ox_tensor *t) {
    double *values;
    union ox_wide stretch[256];
    size_t size = (size_t)ox_dtype_bits(t->dtype) / 8;
    OX_TRY(ox_alloc_raw(call->ctx, &values, t->count, sizeof *values));
    for (size_t i = 0; i < t->count; i += 256) {
        size_t n = t->count - i < 256 ? t->count - i : 256;
        ox_wide_load(stretch, t->dtype, (const unsigned char *)t->data + i * size, 1, n);
        for (size_t k = 0; k < n; k++)
            values[i + k] = stretch[k].f;
    }
    *out = values;
    return OX_OK;
}

static void store_double(void *to, ox_dtype dtype, size_t i, double v) {
    union ox_wide wide = {.f = v};
    ox_wide_store((unsigned char *)to + i * ((size_t)ox_dtype_bits(dtype) / 8), dtype, &wide, 1);
}

/* ---- GridSample ------------------------------------------------------------------------------ */

ox_status ox_decode_grid_sample(const struct ox_call *call, void *params) {
    static const char *const old_modes[] = {"bilinear", "nearest", "bicubic", NULL};
    static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    struct ox_grid_sample_params *p = params;
    int mode, padding;
    int64_t align;
    OX_TRY(ox_attr_choice(&mode, call, "mode", call->opset < 20 ? old_modes : modes, 0));
    OX_TRY(ox_attr_choice(&padding, call, "padding_mode", paddings, 0));
    OX_TRY(ox_attr_int(&align, call, "align_corners", 0));
    p->mode = (enum ox_grid_mode)mode;
    p->padding = (enum ox_grid_padding)padding;
    p->align_corners = align != 0;
    return OX_OK;
}

enum { SPACE_MAX = 3, TAPS_MAX = 4 };

ox_status ox_infer_grid_sample(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    int rank = ox_in_rank(io, 0), rank_g = ox_in_rank(io, 1);
    ox_dim dims[OX_MAX_RANK];
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, rank, 3, SPACE_MAX + 2));
    if (rank >= 0) OX_TRY(ox_expect_rank(call, 1, rank_g, rank, rank));
    if (rank < 0 || rank_g < 0)
        return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank < 0 ? rank_g : rank);
    memcpy(dims, io->in[0]->dims, 2 * sizeof *dims);
    OX_TRY(ox_dim_unify(&dims[0], call, io->in[1]->dims[0]));
    for (int i = 2; i < rank; i++)
        dims[i] = io->in[1]->dims[i - 1];
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

struct grid {
    const struct ox_grid_sample_params *p;
    int space;
    int64_t dims[SPACE_MAX], strides[SPACE_MAX];
};

/* Mirrors v between lo and hi as often as needed. */
static double reflect(double v, double lo, double hi) {
    double range = hi - lo;
    if (range <= 0) return lo;
    double d = fmod(v < lo ? lo - v : v - lo, 2 * range);
    return d <= range ? lo + d : hi - (d - range);
}

/* The element that stands for index i of an axis of n; -1: zero. */
static int64_t padded(const struct grid *g, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (g->p->padding == OX_GRID_ZEROS) return -1;
    if (g->p->padding == OX_GRID_BORDER) return i < 0 ? 0 : n - 1;
    double lo = g->p->align_corners ? 0 : -0.5,
           hi = g->p->align_corners ? (double)n - 1 : (double)n - 0.5;
    i = (int64_t)rint(reflect((double)i, lo, hi));
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static double cubic_weight(double x) {
    const double a = -0.75;
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Elements and weights along one axis for a coordinate in [-1, 1]; returns how many. */
static int axis_taps(const struct grid *g, int64_t *at, double *weights, double x, int64_t n) {
    double v = g->p->align_corners ? (x + 1) / 2 * (double)(n - 1) : ((x + 1) * (double)n - 1) / 2;
    double lo = g->p->align_corners ? 0 : -0.5,
           hi = g->p->align_corners ? (double)n - 1 : (double)n - 0.5;
    if (g->p->mode == OX_GRID_NEAREST) v = rint(v);
    if (!(fabs(v) < 1e15)) { /* also NaN: far outside */
        if (g->p->padding == OX_GRID_ZEROS) return 0;
        v = v > 0 ? hi : lo;
    }
    if (v < lo || v > hi) {
        if (g->p->padding == OX_GRID_BORDER) v = v < 0 ? 0 : (double)(n - 1);
        if (g->p->padding == OX_GRID_REFLECTION) v = reflect(v, lo, hi);
    }
    if (g->p->mode == OX_GRID_NEAREST) {
        at[0] = padded(g, (int64_t)rint(v), n);
        weights[0] = 1;
        return 1;
    }
    int64_t base = (int64_t)floor(v), first = g->p->mode == OX_GRID_CUBIC ? base - 1 : base;
    int taps = g->p->mode == OX_GRID_CUBIC ? 4 : 2;
    for (int i = 0; i < taps; i++) {
        double distance = v - (double)(first + i);
        at[i] = padded(g, first + i, n);
        weights[i] = taps == 4 ? cubic_weight(distance) : 1 - fabs(distance);
    }
    return taps;
}

struct tap {
    int64_t offset;
    double weight;
};

/* All combinations of the axes' taps that are not zero; coordinates come with the last axis first.
 */
static size_t all_taps(const struct grid *g, struct tap *taps, const double *coords) {
    size_t n = 1;
    taps[0] = (struct tap){0, 1};
    for (int d = 0; d < g->space; d++) {
        int64_t at[TAPS_MAX];
        double weights[TAPS_MAX];
        struct tap next[TAPS_MAX * TAPS_MAX * TAPS_MAX];
        int count = axis_taps(g, at, weights, coords[g->space - 1 - d], g->dims[d]);
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < count; k++)
                if (at[k] >= 0)
                    next[m++] = (struct tap){taps[i].offset + at[k] * g->strides[d],
                                             taps[i].weight * weights[k]};
        n = m;
        memcpy(taps, next, n * sizeof *taps);
    }
    return n;
}

static ox_status grid_dims(const struct ox_call *call, int64_t *dims, const ox_tensor *x,
                           const ox_tensor *grid) {
    OX_TRY(ox_expect_dtype(call, 1, grid->dtype, OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, x->rank, 3, SPACE_MAX + 2));
    bool fits = grid->rank == x->rank && grid->dims[0] == x->dims[0] &&
                grid->dims[x->rank - 1] == x->rank - 2;
    for (int i = 2; fits && i < x->rank; i++)
        fits = x->dims[i] > 0 || grid->count == 0;
    if (!fits)
        return ox_bad_shape(call, "GridSample of %s by a grid %s",
                            ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(grid->rank, grid->dims).text);
    memcpy(dims, x->dims, 2 * sizeof *dims);
    for (int i = 2; i < x->rank; i++)
        dims[i] = grid->dims[i - 1];
    return OX_OK;
}

struct grid_work {
    struct grid g;
    const double *x, *coords;
    void *y;
    ox_dtype dtype;
    size_t channels, plane, points; /* points: of one image */
};

static void sample_points(void *arg, size_t begin, size_t end) {
    const struct grid_work *w = arg;
    struct tap taps[TAPS_MAX * TAPS_MAX * TAPS_MAX];
    for (size_t i = begin; i < end; i++) {
        size_t image = i / w->points, point = i % w->points;
        size_t n = all_taps(&w->g, taps, w->coords + i * (size_t)w->g.space);
        for (size_t c = 0; c < w->channels; c++) {
            const double *x = w->x + (image * w->channels + c) * w->plane;
            double sum = 0;
            for (size_t t = 0; t < n; t++)
                sum += taps[t].weight * x[taps[t].offset];
            store_double(w->y, w->dtype, (image * w->channels + c) * w->points + point, sum);
        }
    }
}

static ox_status sample(const struct ox_call *call, const struct ox_grid_sample_params *p,
                        const ox_tensor *x, const ox_tensor *grid, const int64_t *dims,
                        ox_tensor **out) {
    double *values, *coords;
    void *y;
    OX_TRY(ox_tensor_new(out, &y, call->ctx, x->dtype, x->rank, dims));
    if ((*out)->count == 0) return OX_OK;
    struct grid_work w = {.y = y, .dtype = x->dtype, .channels = (size_t)x->dims[1]};
    w.g.p = p;
    w.g.space = x->rank - 2;
    memcpy(w.g.dims, x->dims + 2, (size_t)w.g.space * sizeof *dims);
    ox_row_major(w.g.strides, w.g.space, w.g.dims);
    w.plane = (size_t)ox_count_of(w.g.space, w.g.dims);
    w.points = (size_t)ox_count_of(w.g.space, dims + 2);
    OX_TRY(as_doubles(&values, call, x));
    ox_status status = as_doubles(&coords, call, grid);
    if (status == OX_OK) {
        w.x = values;
        w.coords = coords;
        ox_parallel(call->ctx, w.points * (size_t)x->dims[0], 2048 / (w.channels + 1) + 1,
                    sample_points, &w);
        ox_free(call->ctx, coords);
    }
    ox_free(call->ctx, values);
    return status;
}

/* Types without arithmetic: the nearest element's number, 1 for the first; 0 is what lies outside.
 */
static ox_status sample_numbered(const struct ox_call *call, const struct ox_grid_sample_params *p,
                                 const ox_tensor *x, const ox_tensor *grid, const int64_t *dims,
                                 ox_tensor **out) {
    ox_tensor *numbers = NULL, *near = NULL, *at = NULL;
    void *data;
    ox_status s = ox_numbered(&numbers, call->ctx, x, OX_DOUBLE, 1);
    if (s == OX_OK) s = sample(call, p, numbers, grid, dims, &near);
    if (s == OX_OK) s = ox_tensor_new_raw(&at, &data, call->ctx, OX_INT64, x->rank, dims);
    for (size_t i = 0; s == OX_OK && i < at->count; i++)
        ((int64_t *)data)[i] = (int64_t)((const double *)near->data)[i] - 1;
    if (s == OX_OK) s = ox_pick(out, call->ctx, x, at);
    ox_tensor_unref(numbers);
    ox_tensor_unref(near);
    ox_tensor_unref(at);
    return s;
}

/* Integers are interpolated in 64-bit floats, and what lies behind the point is cut off. */
static ox_status sample_integers(const struct ox_call *call, const struct ox_grid_sample_params *p,
                                 const ox_tensor *x, const ox_tensor *grid, const int64_t *dims,
                                 ox_tensor **out) {
    ox_tensor *wide = NULL, *result = NULL;
    ox_status s = ox_tensor_cast(&wide, call->ctx, x, OX_DOUBLE, true);
    if (s == OX_OK) s = sample(call, p, wide, grid, dims, &result);
    if (s == OX_OK) s = ox_tensor_cast(out, call->ctx, result, x->dtype, true);
    ox_tensor_unref(wide);
    ox_tensor_unref(result);
    return s;
}

ox_status ox_eval_grid_sample(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_grid_sample_params *p = params;
    const ox_tensor *x = in[0];
    int64_t dims[OX_MAX_RANK];
    OX_TRY(grid_dims(call, dims, x, in[1]));
    if (OX_FLOATS & OX_BIT(x->dtype)) return sample(call, p, x, in[1], dims, &out[0]);
    if (p->mode == OX_GRID_NEAREST) return sample_numbered(call, p, x, in[1], dims, &out[0]);
    if (OX_INTEGERS & OX_BIT(x->dtype)) return sample_integers(call, p, x, in[1], dims, &out[0]);
    return ox_no_arithmetic(call, "GridSample of %s can only take the nearest element",
                            ox_dtype_name(x->dtype));
}

/* ---- RoiAlign -------------------------------------------------------------------------------- */

enum {
    SAMPLES_MAX = 1024
}; /* along one axis of a bin; more is nothing but a way to keep us busy */

ox_status ox_decode_roi_align(const struct ox_call *call, void *params) {
    static const char *const modes[] = {"avg", "max", NULL};
    static const char *const places[] = {"half_pixel", "output_half_pixel", NULL};
    struct ox_roi_align_params *p = params;
    int mode, place = 1;
    OX_TRY(ox_attr_choice(&mode, call, "mode", modes, 0));
    if (call->opset >= 16)
        OX_TRY(ox_attr_choice(&place, call, "coordinate_transformation_mode", places, 0));
    OX_TRY(ox_attr_int(&p->height, call, "output_height", 1));
    OX_TRY(ox_attr_int(&p->width, call, "output_width", 1));
    OX_TRY(ox_attr_int(&p->ratio, call, "sampling_ratio", 0));
    OX_TRY(ox_attr_float(&p->scale, call, "spatial_scale", 1));
    p->max = mode == 1;
    p->half_pixel = place == 0;
    if (p->height < 1 || p->width < 1 || p->ratio < 0 || p->ratio > SAMPLES_MAX)
        return ox_bad_attr(call, "RoiAlign to %lld x %lld with a sampling ratio of %lld",
                           (long long)p->height, (long long)p->width, (long long)p->ratio);
    return OX_OK;
}

ox_status ox_infer_roi_align(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_roi_align_params *p = params;
    ox_dim dims[4];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 4, 4));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 2, 2));
    OX_TRY(ox_expect_rank(call, 2, ox_in_rank(io, 2), 1, 1));
    for (int i = 0; i < 2; i++) { /* dim 0 from the boxes, dim 1 from the image */
        if (ox_in_rank(io, (size_t)(1 - i)) < 0)
            OX_TRY(ox_dim_unknown(&dims[i], io->dims));
        else
            dims[i] = io->in[1 - i]->dims[i];
    }
    dims[2] = ox_dim_const(p->height);
    dims[3] = ox_dim_const(p->width);
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 4, dims);
}

/* One bilinear read: four elements with weights, or none where the place is outside. */
static int bilinear(struct tap *taps, double y, double x, int64_t h, int64_t w) {
    if (!(y >= -1 && y <= (double)h && x >= -1 && x <= (double)w)) return 0;
    y = y < 0 ? 0 : y > (double)(h - 1) ? (double)(h - 1) : y;
    x = x < 0 ? 0 : x > (double)(w - 1) ? (double)(w - 1) : x;
    int64_t y0 = (int64_t)y, x0 = (int64_t)x, y1 = y0 < h - 1 ? y0 + 1 : y0,
            x1 = x0 < w - 1 ? x0 + 1 : x0;
    double v = y - (double)y0, u = x - (double)x0;
    taps[0] = (struct tap){y0 * w + x0, (1 - v) * (1 - u)};
    taps[1] = (struct tap){y0 * w + x1, (1 - v) * u};
    taps[2] = (struct tap){y1 * w + x0, v * (1 - u)};
    taps[3] = (struct tap){y1 * w + x1, v * u};
    return 4;
}

struct roi {
    double y, x, bin_h, bin_w; /* of the first bin; size of each */
    int64_t ny, nx;            /* samples in a bin */
};

static ox_status make_roi(struct roi *r, const struct ox_call *call,
                          const struct ox_roi_align_params *p, const double *box) {
    double shift = p->half_pixel ? 0.5 : 0, scale = (double)p->scale;
    double h = (box[3] - box[1]) * scale, w = (box[2] - box[0]) * scale;
    r->x = box[0] * scale - shift;
    r->y = box[1] * scale - shift;
    if (!p->half_pixel) {
        h = h > 1 ? h : 1;
        w = w > 1 ? w : 1;
    }
    r->bin_h = h / (double)p->height;
    r->bin_w = w / (double)p->width;
    double ny = p->ratio ? (double)p->ratio : ceil(r->bin_h),
           nx = p->ratio ? (double)p->ratio : ceil(r->bin_w);
    if (!(ny <= SAMPLES_MAX && nx <= SAMPLES_MAX))
        return ox_bad_shape(call, "a box of RoiAlign is %g x %g", h, w);
    r->ny = ny > 0 ? (int64_t)ny : 0;
    r->nx = nx > 0 ? (int64_t)nx : 0;
    return OX_OK;
}

static double roi_bin(const struct ox_roi_align_params *p, const struct roi *r, const double *x,
                      int64_t h, int64_t w, int64_t row, int64_t column) {
    double total = 0;
    bool first = true;
    for (int64_t i = 0; i < r->ny * r->nx; i++) {
        struct tap taps[4];
        double y = r->y + ((double)row + ((double)(i / r->nx) + 0.5) / (double)r->ny) * r->bin_h;
        double at =
            r->x + ((double)column + ((double)(i % r->nx) + 0.5) / (double)r->nx) * r->bin_w;
        int n = bilinear(taps, y, at, h, w);
        double sum = 0, most = 0;
        for (int k = 0; k < n; k++) {
            double v = taps[k].weight * x[taps[k].offset];
            sum += v;
            most = k == 0 || v > most ? v : most;
        }
        if (!p->max)
            total += sum;
        else if (first ||
                 most >
                     total) /* the standard's maximum is over weighted elements, not over reads */
            total = most;
        first = false;
    }
    int64_t count = r->ny * r->nx;
    return p->max || count == 0 ? total : total / (double)count;
}

static ox_status check_roi_align(const struct ox_call *call, const ox_tensor *const *in) {
    const ox_tensor *x = in[0], *rois = in[1], *batch = in[2];
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    OX_TRY(ox_expect_dtype(call, 1, rois->dtype, OX_FLOATS));
    OX_TRY(ox_expect_index(call, 2, batch->dtype));
    OX_TRY(ox_expect_rank(call, 0, x->rank, 4, 4));
    if (rois->rank != 2 || rois->dims[1] != 4 || batch->rank != 1 ||
        batch->dims[0] != rois->dims[0])
        return ox_bad_shape(call, "RoiAlign with boxes %s of images %s",
                            ox_dims_text(rois->rank, rois->dims).text,
                            ox_dims_text(batch->rank, batch->dims).text);
    for (size_t i = 0; i < batch->count; i++)
        if (ox_tensor_int(batch, i) < 0 || ox_tensor_int(batch, i) >= x->dims[0])
            return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                           "box %zu of RoiAlign is of image %lld", i,
                           (long long)ox_tensor_int(batch, i));
    return OX_OK;
}

static ox_status align_rois(const struct ox_call *call, const struct ox_roi_align_params *p,
                            const ox_tensor *const *in, const double *x, const double *boxes,
                            void *y) {
    const int64_t *d = in[0]->dims;
    size_t to = 0, plane = (size_t)(d[2] * d[3]);
    for (size_t i = 0; i < in[2]->count; i++) {
        struct roi r;
        OX_TRY(make_roi(&r, call, p, boxes + 4 * i));
        const double *image = x + (size_t)ox_tensor_int(in[2], i) * (size_t)d[1] * plane;
        for (int64_t c = 0; c < d[1]; c++)
            for (int64_t bin = 0; bin < p->height * p->width; bin++)
                store_double(y, in[0]->dtype, to++,
                             roi_bin(p, &r, image + (size_t)c * plane, d[2], d[3], bin / p->width,
                                     bin % p->width));
    }
    return OX_OK;
}

ox_status ox_eval_roi_align(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_roi_align_params *p = params;
    double *x, *boxes;
    void *y;
    OX_TRY(check_roi_align(call, in));
    int64_t dims[4] = {in[1]->dims[0], in[0]->dims[1], p->height, p->width};
    OX_TRY(ox_tensor_new(&out[0], &y, call->ctx, in[0]->dtype, 4, dims));
    if (out[0]->count == 0) return OX_OK;
    if (in[0]->count == 0) return ox_bad_shape(call, "RoiAlign of an empty image");
    OX_TRY(as_doubles(&x, call, in[0]));
    ox_status status = as_doubles(&boxes, call, in[1]);
    if (status == OX_OK) {
        status = align_rois(call, p, in, x, boxes, y);
        ox_free(call->ctx, boxes);
    }
    ox_free(call->ctx, x);
    return status;
}
