/* ir/ops/op_deform.c - DeformConv: a convolution each of whose taps reads the image at a place of
 * its own, between elements too (Dai et al., 2017; with weights for the taps, Zhu et al., 2018).
 *
 * What the taps of some output places read is laid out in rows first; a row times the weights is
 * then the output at one place. Offsets are hostile numbers: they become integers only when they
 * are known to be inside the image. */
#include "ir/ops/mover.h"
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"
#include <math.h>

ox_status ox_decode_deform_conv(const struct ox_call *call, void *params) {
    struct ox_deform_conv_params *p = params;
    OX_TRY(ox_window_decode(&p->window, call));
    OX_TRY(ox_attr_int(&p->group, call, "group", 1));
    OX_TRY(ox_attr_int(&p->offset_group, call, "offset_group", 1));
    if (p->group < 1 || p->offset_group < 1)
        return ox_bad_attr(call, "group is %lld, offset_group %lld", (long long)p->group,
                           (long long)p->offset_group);
    return OX_OK;
}

ox_status ox_infer_deform_conv(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    struct ox_window w = ((const struct ox_deform_conv_params *)params)->window;
    int rank = ox_in_rank(io, 0), rank_w = ox_in_rank(io, 1), rank_o = ox_in_rank(io, 2);
    ox_dim dims[OX_WINDOW_MAX + 2];
    ox_dtype dtype = ox_in_dtype(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, dtype, OX_FLOATS));
    for (size_t i = 1; i < call->n_in; i++)
        OX_TRY(ox_expect_same_dtype(call, 0, dtype, i, ox_in_dtype(io, i)));
    if (rank < 0) rank = rank_w >= 0 ? rank_w : rank_o;
    if (rank < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    OX_TRY(ox_window_rank(&w, call, rank - 2));
    for (size_t i = 0; i < 3; i++)
        OX_TRY(ox_expect_rank(call, i, ox_in_rank(io, i), rank, rank));
    for (int i = 0; i < rank; i++)
        OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    if (rank_o >= 0) {
        dims[0] = io->in[2]->dims[0];
        memcpy(dims + 2, io->in[2]->dims + 2, (size_t)(rank - 2) * sizeof *dims);
    }
    if (ox_in_rank(io, 0) >= 0) dims[0] = io->in[0]->dims[0];
    if (rank_w >= 0) dims[1] = io->in[1]->dims[0];
    return ox_window_output(call, io, dtype, rank, dims);
}

enum { PLACES = 1024 }; /* output places whose rows are in memory at once, at least */

struct deform {
    struct ox_window w;
    int64_t in[OX_WINDOW_MAX], out[OX_WINDOW_MAX], begin[OX_WINDOW_MAX], steps[OX_WINDOW_MAX];
    size_t channels, maps, group, offset_group; /* channels in, out */
    size_t taps, plane, places;                 /* of the kernel, of the image, of the output */
    const double *x, *weight, *offset, *bias, *mask; /* of one image; bias and mask may be NULL */
    double *rows, *y;
    size_t first; /* output place of rows[0] */
};

/* Where tap t of offset group g reads for an output place; false: nowhere near the image. */
static bool tap_place(const struct deform *f, double *at, size_t g, size_t t, size_t place) {
    size_t rank = (size_t)f->w.rank, rest_tap = t, rest_place = place;
    for (size_t d = rank; d-- > 0;) {
        int64_t tap = (int64_t)(rest_tap % (size_t)f->w.kernel[d]);
        int64_t i = (int64_t)(rest_place % (size_t)f->out[d]);
        rest_tap /= (size_t)f->w.kernel[d];
        rest_place /= (size_t)f->out[d];
        at[d] = (double)(i * f->w.strides[d] - f->begin[d] + tap * f->w.dilations[d]) +
                f->offset[((g * f->taps + t) * rank + d) * f->places + place];
        if (!(at[d] > -1 && at[d] < (double)f->in[d])) return false;
    }
    return true;
}

struct corner {
    int64_t offset;
    double weight;
};

/* Elements around a place, with their shares; what is outside has none. */
static size_t corners(const struct deform *f, struct corner *c, const double *at) {
    size_t n = 1;
    c[0] = (struct corner){0, 1};
    for (int d = 0; d < f->w.rank; d++) {
        int64_t low = (int64_t)floor(at[d]);
        double share = at[d] - (double)low;
        size_t m = n;
        for (size_t i = 0; i < n; i++) { /* high ones behind, low ones in place */
            if (share > 0 && low + 1 < f->in[d])
                c[m++] =
                    (struct corner){c[i].offset + (low + 1) * f->steps[d], c[i].weight * share};
        }
        if (low >= 0) {
            for (size_t i = 0; i < n; i++)
                c[i] = (struct corner){c[i].offset + low * f->steps[d], c[i].weight * (1 - share)};
        } else {
            memmove(c, c + n, (m - n) * sizeof *c);
            m -= n;
        }
        n = m;
    }
    return n;
}

#define RANK_MAX 8 /* 256 corners */

static void fill_row(const struct deform *f, double *row, size_t place) {
    struct corner c[1 << RANK_MAX];
    double at[OX_WINDOW_MAX];
    size_t own = f->channels / f->offset_group;
    for (size_t g = 0; g < f->offset_group; g++) {
        for (size_t t = 0; t < f->taps; t++) {
            size_t n = tap_place(f, at, g, t, place) ? corners(f, c, at) : 0;
            double mask = f->mask ? f->mask[(g * f->taps + t) * f->places + place] : 1;
            for (size_t k = g * own; k < (g + 1) * own; k++) {
                double sum = 0;
                for (size_t i = 0; i < n; i++)
                    sum += c[i].weight * f->x[k * f->plane + (size_t)c[i].offset];
                row[k * f->taps + t] = sum * mask;
            }
        }
    }
}

static void convolve_places(void *arg, size_t begin, size_t end) {
    const struct deform *f = arg;
    size_t width = f->channels * f->taps, share = width / f->group, maps = f->maps / f->group;
    for (size_t i = begin; i < end; i++) {
        double *row = f->rows + i * width;
        fill_row(f, row, f->first + i);
        for (size_t m = 0; m < f->maps; m++) {
            const double *part = row + m / maps * share, *weight = f->weight + m * share;
            double sum = f->bias ? f->bias[m] : 0;
            for (size_t k = 0; k < share; k++)
                sum += part[k] * weight[k];
            f->y[m * f->places + f->first + i] = sum;
        }
    }
}

static bool has_dims(const ox_tensor *t, int64_t batch, size_t second, const struct deform *f) {
    bool fits = t->rank == f->w.rank + 2 && t->dims[0] == batch && t->dims[1] == (int64_t)second;
    for (int i = 0; fits && i < f->w.rank; i++)
        fits = t->dims[i + 2] == f->out[i];
    return fits;
}

static ox_status deform_shapes(struct deform *f, const struct ox_call *call,
                               const ox_tensor *const *in) {
    const ox_tensor *x = in[0], *w = in[1], *bias = call->n_in > 3 ? in[3] : NULL;
    const ox_tensor *mask = call->n_in > 4 ? in[4] : NULL;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 3, RANK_MAX + 2));
    OX_TRY(ox_expect_rank(call, 1, w->rank, x->rank, x->rank));
    OX_TRY(ox_window_kernel(&f->w, call, x->rank - 2, w->dims + 2));
    f->channels = (size_t)x->dims[1];
    f->maps = (size_t)w->dims[0];
    size_t channels;
    if (ox_mul_size(&channels, (size_t)w->dims[1], f->group) || channels != f->channels ||
        f->maps % f->group != 0 || f->channels % f->offset_group != 0)
        return ox_bad_shape(call, "data %s, weight %s, group %zu, offset_group %zu",
                            ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(w->rank, w->dims).text, f->group, f->offset_group);
    memcpy(f->in, x->dims + 2, (size_t)f->w.rank * sizeof *f->in);
    OX_TRY(ox_window_resolve(&f->w, call, f->in, f->out, f->begin));
    ox_row_major(f->steps, f->w.rank, f->in);
    f->taps = (size_t)ox_count_of(f->w.rank, f->w.kernel);
    f->plane = (size_t)ox_count_of(f->w.rank, f->in);
    f->places = (size_t)ox_count_of(f->w.rank, f->out);
    size_t count;
    bool huge = ox_mul_size(&count, f->taps, f->offset_group) ||
                ox_mul_size(&channels, count, (size_t)f->w.rank);
    if (huge || !has_dims(in[2], x->dims[0], channels, f) ||
        (mask && !has_dims(mask, x->dims[0], count, f)) ||
        (bias && (bias->rank != 1 || (size_t)bias->dims[0] != f->maps)))
        return ox_bad_shape(call, "offset %s, mask %s, bias %s for an output of %s places",
                            ox_dims_text(in[2]->rank, in[2]->dims).text,
                            mask ? ox_dims_text(mask->rank, mask->dims).text : "none",
                            bias ? ox_dims_text(bias->rank, bias->dims).text : "none",
                            ox_dims_text(f->w.rank, f->out).text);
    return OX_OK;
}

static ox_status deform_conv(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_deform_conv_params *p = params;
    const ox_tensor *mask = call->n_in > 4 ? in[4] : NULL;
    struct deform f = {.w = p->window,
                       .group = (size_t)p->group,
                       .offset_group = (size_t)p->offset_group,
                       .weight = in[1]->data};
    int64_t dims[OX_WINDOW_MAX + 2];
    double *y;
    OX_TRY(deform_shapes(&f, call, in));
    dims[0] = in[0]->dims[0];
    dims[1] = (int64_t)f.maps;
    memcpy(dims + 2, f.out, (size_t)f.w.rank * sizeof *dims);
    OX_TRY(ox_new_doubles(&y, call, out, 0, f.w.rank + 2, dims));
    if (out[0]->count == 0) return OX_OK;
    size_t width, step = f.places < PLACES ? f.places : PLACES;
    if (ox_mul_size(&width, f.channels, f.taps)) return ox_bad_shape(call, "too many taps");
    if (call->n_in > 3 && in[3]) f.bias = in[3]->data;
    OX_TRY(ox_alloc_raw(call->ctx, &f.rows, width, step * sizeof *f.rows));
    for (size_t n = 0; n < (size_t)dims[0]; n++) {
        f.y = y + n * f.maps * f.places;
        f.x = in[0]->count ? (const double *)in[0]->data + n * f.channels * f.plane : NULL;
        f.offset = (const double *)in[2]->data + n * (in[2]->count / (size_t)dims[0]);
        if (mask) f.mask = (const double *)mask->data + n * (mask->count / (size_t)dims[0]);
        for (f.first = 0; f.first < f.places; f.first += step) {
            size_t count = f.places - f.first < step ? f.places - f.first : step;
            ox_parallel(call->ctx, count, 1 + 20000 / (width * (f.maps + 4) + 1), convolve_places,
                        &f);
        }
    }
    ox_free(call->ctx, f.rows);
    return OX_OK;
}

ox_status ox_eval_deform_conv(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    for (size_t i = 0; i < call->n_in; i++) {
        if (!in[i]) continue;
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_FLOATS));
        OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, i, in[i]->dtype));
    }
    return ox_eval_doubles(deform_conv, call, params, in, out, 1, in[0]->dtype);
}
