/* ir/ops/op_roi_pool.c - MaxRoiPool: the largest element in each cell of a grid laid over a region
 * of an image.
 *
 * Corners are rounded to whole pixels, halves away from zero, and belong to the region; cells may
 * overlap by a pixel. (R. Girshick, Fast R-CNN, 2015; the standard leaves the rounding open.) */
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"
#include <math.h>

ox_status ox_decode_roi_pool(const struct ox_call *call, void *params) {
    struct ox_roi_pool_params *p = params;
    struct ox_ints shape;
    OX_TRY(ox_attr_float(&p->scale, call, "spatial_scale", 1));
    OX_TRY(ox_ints_attr(&shape, call, "pooled_shape"));
    if (!shape.given || shape.n != 2 || shape.at[0] < 1 || shape.at[1] < 1)
        return ox_bad_attr(call, "pooled_shape must be two lengths");
    p->height = shape.at[0];
    p->width = shape.at[1];
    return OX_OK;
}

ox_status ox_infer_roi_pool(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_roi_pool_params *p = params;
    ox_dim dims[4] = {{0, NULL}, {0, NULL}, ox_dim_const(p->height), ox_dim_const(p->width)};
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 4, 4));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 2, 2));
    for (int i = 0; i < 2; i++) { /* dim 0 from the regions, dim 1 from the image */
        if (ox_in_rank(io, (size_t)(1 - i)) < 0)
            OX_TRY(ox_dim_unknown(&dims[i], io->dims));
        else
            dims[i] = io->in[1 - i]->dims[i];
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 4, dims);
}

struct region {
    int64_t at[2];  /* first row, column; may be outside the image */
    double cell[2]; /* height and width of a cell */
};

/* A box is image, x1, y1, x2, y2. */
static ox_status read_region(struct region *r, const struct ox_call *call,
                             const struct ox_roi_pool_params *p, const double *box, size_t which,
                             int64_t images) {
    const int64_t cells[2] = {p->height, p->width};
    if (!(box[0] >= 0 && box[0] < (double)images))
        return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                       "region %zu of MaxRoiPool is of image %g", which, box[0]);
    for (int i = 0; i < 2; i++) {
        double first = round(box[2 - i] * (double)p->scale);
        double last = round(box[4 - i] * (double)p->scale);
        if (!(fabs(first) < 1e15 && fabs(last) < 1e15))
            return ox_bad_shape(call, "region %zu of MaxRoiPool goes from %g to %g", which, first,
                                last);
        double length = last - first + 1 > 1 ? last - first + 1 : 1;
        r->at[i] = (int64_t)first;
        r->cell[i] = length / (double)cells[i];
    }
    return OX_OK;
}

static int64_t clamp(int64_t v, int64_t most) {
    return v < 0 ? 0 : v > most ? most : v;
}

/* A cell that has no pixel is 0. */
static double cell_max(const struct region *r, const double *x, const int64_t *dims, int64_t row,
                       int64_t column) {
    const int64_t cell[2] = {row, column};
    int64_t first[2], end[2];
    double most = 0;
    for (int i = 0; i < 2; i++) {
        first[i] = clamp(r->at[i] + (int64_t)floor((double)cell[i] * r->cell[i]), dims[i]);
        end[i] = clamp(r->at[i] + (int64_t)ceil((double)(cell[i] + 1) * r->cell[i]), dims[i]);
    }
    if (first[0] < end[0] && first[1] < end[1]) most = -INFINITY;
    for (int64_t h = first[0]; h < end[0]; h++)
        for (int64_t w = first[1]; w < end[1]; w++) {
            double v = x[h * dims[1] + w];
            if (v > most || isnan(v)) most = v;
        }
    return most;
}

static ox_status roi_pool(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_roi_pool_params *p = params;
    const ox_tensor *x = in[0], *boxes = in[1];
    double *y;
    if (x->rank != 4 || boxes->rank != 2 || boxes->dims[1] != 5)
        return ox_bad_shape(call, "MaxRoiPool of %s by regions %s",
                            ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(boxes->rank, boxes->dims).text);
    const int64_t *d = x->dims;
    OX_TRY(ox_new_doubles(&y, call, out, 0, 4,
                          (int64_t[]){boxes->dims[0], d[1], p->height, p->width}));
    for (size_t i = 0; i < (size_t)boxes->dims[0]; i++) {
        const double *box = (const double *)boxes->data + 5 * i;
        struct region r;
        OX_TRY(read_region(&r, call, p, box, i, d[0]));
        for (int64_t c = 0; out[0]->count > 0 && c < d[1]; c++) {
            const double *plane = x->data;
            if (x->count > 0) plane += ((int64_t)box[0] * d[1] + c) * d[2] * d[3];
            for (int64_t k = 0; k < p->height * p->width; k++)
                *y++ = cell_max(&r, plane, d + 2, k / p->width, k % p->width);
        }
    }
    return OX_OK;
}

ox_status ox_eval_roi_pool(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, 1, in[1]->dtype));
    return ox_eval_doubles(roi_pool, call, params, in, out, 1, in[0]->dtype);
}
