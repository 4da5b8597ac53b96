/* ir/ops/op_fold.c - Col2Im and MaxUnpool: what puts the windows of an image, or the largest
 * element of each, back in their places. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/pick.h"
#include "ir/ops/wide.h"

/* ---- Col2Im ---------------------------------------------------------------------------------- */

ox_status ox_decode_fold(const struct ox_call *call, void *params) {
    return ox_window_decode(&((struct ox_fold_params *)params)->window, call);
}

/* Bool and strings cannot be added. */
#define SUMMABLE (OX_NUMBERS | OX_BIT(OX_COMPLEX64) | OX_BIT(OX_COMPLEX128))

/* Dims are N, C * block, L; of the image N, C and what input 1 says. */
ox_status ox_infer_col2im(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_partial *image = ox_in_value(io, 1), *block = ox_in_value(io, 2);
    ox_dim dims[OX_WINDOW_MAX + 2], area;
    ox_dtype dtype = ox_in_dtype(io, 0);
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 3, 3));
    for (size_t i = 1; i < 3; i++) {
        OX_TRY(ox_expect_index(call, i, ox_in_dtype(io, i)));
        OX_TRY(ox_expect_rank(call, i, ox_in_rank(io, i), 1, 1));
    }
    if (!image) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    if (image->count < 1 || image->count > OX_WINDOW_MAX || (block && block->count != image->count))
        return ox_bad_shape(call, "image_shape has %zu elements, block_shape %zu", image->count,
                            block ? block->count : 0);
    for (int i = 0; i < 2; i++)
        OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    if (ox_in_rank(io, 0) == 3) {
        dims[0] = io->in[0]->dims[0];
        if (block) {
            OX_TRY(ox_dim_product(&area, io, block->elems, (int)block->count));
            OX_TRY(ox_dim_floordiv(&dims[1], io->dims, io->in[0]->dims[1], area));
        }
    }
    for (size_t i = 0; i < image->count; i++) {
        dims[i + 2] = image->elems[i];
        if (!ox_dim_ge(dims[i + 2], 0)) OX_TRY(ox_dim_unknown(&dims[i + 2], io->dims));
    }
    return ox_infer_tensor(io, 0, dtype, (int)image->count + 2, dims);
}

struct fold {
    struct ox_window w;
    int64_t image[OX_WINDOW_MAX], blocks[OX_WINDOW_MAX], begin[OX_WINDOW_MAX];
    size_t area, count, plane; /* elements of a block; blocks; elements of an image's plane */
    size_t parts;              /* 2 for complex numbers */
    ox_wide_kind kind;
    const union ox_wide *x;
    union ox_wide *y;
};

/* Row-major place `at` in a space of dims. */
static void unravel(int64_t *index, size_t at, int rank, const int64_t *dims) {
    for (int d = rank - 1; d >= 0; d--) {
        index[d] = (int64_t)(at % (size_t)dims[d]);
        at /= (size_t)dims[d];
    }
}

static void add_wide(union ox_wide *a, union ox_wide b, ox_wide_kind kind) {
    if (kind == OX_WIDE_F64)
        a->f += b.f;
    else
        a->u += b.u; /* wraps, signed too */
}

/* Adds tap `tap` of block `block` of a plane to the image. */
static void add_block(const struct fold *f, union ox_wide *y, const union ox_wide *x,
                      const int64_t *tap, size_t block) {
    int64_t place[OX_WINDOW_MAX], to = 0;
    unravel(place, block, f->w.rank, f->blocks);
    for (int d = 0; d < f->w.rank; d++) {
        int64_t at = place[d] * f->w.strides[d] - f->begin[d] + tap[d] * f->w.dilations[d];
        if (at < 0 || at >= f->image[d]) return;
        to = to * f->image[d] + at;
    }
    for (size_t k = 0; k < f->parts; k++)
        add_wide(&y[(size_t)to * f->parts + k], x[block * f->parts + k], f->kind);
}

static void fold_planes(void *arg, size_t begin, size_t end) {
    const struct fold *f = arg;
    for (size_t p = begin; p < end; p++) {
        union ox_wide *y = f->y + p * f->plane * f->parts;
        for (size_t t = 0; t < f->area; t++) {
            const union ox_wide *x = f->x + (p * f->area + t) * f->count * f->parts;
            int64_t tap[OX_WINDOW_MAX];
            unravel(tap, t, f->w.rank, f->w.kernel);
            for (size_t b = 0; b < f->count; b++)
                add_block(f, y, x, tap, b);
        }
    }
}

/* Reads the shapes and compares them with the data. */
static ox_status fold_shapes(struct fold *f, const struct ox_call *call, const ox_tensor *const *in,
                             int64_t *dims) {
    const ox_tensor *x = in[0], *image = in[1], *block = in[2];
    int64_t kernel[OX_WINDOW_MAX];
    for (size_t i = 1; i < 3; i++)
        OX_TRY(ox_expect_index(call, i, in[i]->dtype));
    if (x->rank != 3 || image->rank != 1 || block->rank != 1 || image->count != block->count ||
        image->count < 1 || image->count > OX_WINDOW_MAX)
        return ox_bad_shape(call, "%zu lengths of the image and %zu of the block, for data %s",
                            image->count, block->count, ox_dims_text(x->rank, x->dims).text);
    int n = (int)image->count;
    for (int i = 0; i < n; i++) {
        f->image[i] = ox_tensor_int(image, (size_t)i);
        kernel[i] = ox_tensor_int(block, (size_t)i);
        if (f->image[i] < 1)
            return ox_bad_shape(call, "image_shape[%d] is %lld", i, (long long)f->image[i]);
    }
    OX_TRY(ox_window_kernel(&f->w, call, n, kernel));
    OX_TRY(ox_window_resolve(&f->w, call, f->image, f->blocks, f->begin));
    size_t area = 1, count = 1, plane = 1;
    bool huge = false;
    for (int i = 0; i < n; i++) {
        huge = ox_mul_size(&area, area, (size_t)kernel[i]) || huge;
        huge = ox_mul_size(&count, count, (size_t)f->blocks[i]) || huge;
        huge = ox_mul_size(&plane, plane, (size_t)f->image[i]) || huge;
        dims[i + 2] = f->image[i];
    }
    if (huge || (uint64_t)x->dims[1] % area != 0 || (uint64_t)x->dims[2] != count)
        return ox_bad_shape(call, "data %s is not %zu blocks %s of an image %s",
                            ox_dims_text(3, x->dims).text, count, ox_dims_text(n, kernel).text,
                            ox_dims_text(n, f->image).text);
    dims[0] = x->dims[0];
    dims[1] = x->dims[1] / (int64_t)area;
    f->area = area;
    f->count = count;
    f->plane = plane;
    return OX_OK;
}

static ox_status fold(struct fold *f, const struct ox_call *call, const ox_tensor *x, ox_dtype part,
                      void *y, size_t count) {
    union ox_wide *wide_x, *wide_y;
    size_t planes = count / f->plane, n, m;
    if (ox_mul_size(&n, x->count, f->parts) || ox_mul_size(&m, count, f->parts))
        return ox_bad_shape(call, "the image is too large");
    OX_TRY(ox_alloc_raw(call->ctx, &wide_x, n, sizeof *wide_x));
    ox_status status = ox_alloc(call->ctx, &wide_y, m, sizeof *wide_y);
    if (status == OX_OK) {
        ox_wide_load(wide_x, part, x->data, 1, n);
        f->x = wide_x;
        f->y = wide_y;
        ox_parallel(call->ctx, planes, 1 + 10000 / (f->area * f->count + 1), fold_planes, f);
        ox_wide_store(y, part, wide_y, m);
        ox_free(call->ctx, wide_y);
    }
    ox_free(call->ctx, wide_x);
    return status;
}

ox_status ox_eval_col2im(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    struct fold f = {.w = ((const struct ox_fold_params *)params)->window, .parts = 1};
    int64_t dims[OX_WINDOW_MAX + 2];
    const ox_tensor *x = in[0];
    ox_dtype part = x->dtype;
    void *y;
    if (!(SUMMABLE & OX_BIT(x->dtype)))
        return ox_no_arithmetic(call, "Col2Im cannot sum elements of type %s",
                                ox_dtype_name(x->dtype));
    if (x->dtype == OX_COMPLEX64 || x->dtype == OX_COMPLEX128) {
        part = x->dtype == OX_COMPLEX64 ? OX_FLOAT : OX_DOUBLE;
        f.parts = 2;
    }
    f.kind = ox_wide_of(part);
    OX_TRY(fold_shapes(&f, call, in, dims));
    OX_TRY(ox_tensor_new(&out[0], &y, call->ctx, x->dtype, f.w.rank + 2, dims));
    if (out[0]->count == 0) return OX_OK;
    return fold(&f, call, x, part, y, out[0]->count);
}

/* ---- MaxUnpool ------------------------------------------------------------------------------- */

ox_status ox_decode_unpool(const struct ox_call *call, void *params) {
    struct ox_unpool_params *p = params;
    OX_TRY(ox_window_decode(&p->window, call));
    if (!p->window.has_kernel) return ox_bad_attr(call, "attribute 'kernel_shape' is missing");
    return OX_OK;
}

/* Length of the pooled dim's source: (in - 1) * stride - pads + kernel. Numbers of a window are
 * below 2^41. */
static ox_status unpooled(int64_t *out, const struct ox_call *call, const struct ox_window *w,
                          int d, int64_t in) {
    if (ox_mul_i64(out, in - 1, w->strides[d]) ||
        ox_add_i64(out, *out, w->kernel[d] - w->begin[d] - w->end[d]) || *out < 0)
        return ox_bad_shape(call, "dim %d cannot be unpooled from %lld", d + 2, (long long)in);
    return OX_OK;
}

ox_status ox_infer_max_unpool(const struct ox_call *call, const void *params, struct ox_infer *io) {
    struct ox_window w = ((const struct ox_unpool_params *)params)->window;
    const struct ox_partial *shape = ox_has_input(call, 2) ? ox_in_value(io, 2) : NULL;
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_WINDOW_MAX + 2];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_BIT(OX_INT64)));
    if (rank < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), w.rank + 2);
    OX_TRY(ox_expect_rank(call, 0, rank, 3, OX_WINDOW_MAX + 2));
    OX_TRY(ox_window_rank(&w, call, rank - 2));
    memcpy(dims, io->in[0]->dims, 2 * sizeof *dims);
    if (shape && shape->count != (size_t)rank)
        return ox_bad_shape(call, "output_shape has %zu elements, expected %d", shape->count, rank);
    for (int i = 0; i < rank; i++) {
        if (shape && ox_dim_ge(shape->elems[i], 0)) {
            dims[i] = shape->elems[i];
        } else if (ox_has_input(call, 2) || (i >= 2 && !ox_dim_is_const(io->in[0]->dims[i]))) {
            OX_TRY(ox_dim_unknown(&dims[i], io->dims));
        } else if (i >= 2) {
            int64_t k;
            OX_TRY(unpooled(&k, call, &w, i - 2, io->in[0]->dims[i].k));
            dims[i] = ox_dim_const(k);
        }
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

/* Indices count within the shape that the attributes give; a larger output_shape adds zeros behind
 * it. */
static ox_status unpool_shapes(int64_t *source, int64_t *dims, const struct ox_call *call,
                               struct ox_window *w, const ox_tensor *const *in) {
    const ox_tensor *x = in[0], *shape = call->n_in > 2 ? in[2] : NULL;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 3, OX_WINDOW_MAX + 2));
    OX_TRY(ox_window_rank(w, call, x->rank - 2));
    if (in[1]->rank != x->rank || memcmp(in[1]->dims, x->dims, (size_t)x->rank * 8) != 0)
        return ox_bad_shape(call, "indices %s for data %s",
                            ox_dims_text(in[1]->rank, in[1]->dims).text,
                            ox_dims_text(x->rank, x->dims).text);
    for (int i = 0; i < x->rank; i++) {
        source[i] = x->dims[i];
        if (i >= 2) OX_TRY(unpooled(&source[i], call, w, i - 2, x->dims[i]));
    }
    memcpy(dims, source, (size_t)x->rank * sizeof *dims);
    if (!shape) return OX_OK;
    OX_TRY(ox_expect_dtype(call, 2, shape->dtype, OX_BIT(OX_INT64)));
    if (shape->rank != 1 || shape->count != (size_t)x->rank)
        return ox_bad_shape(call, "output_shape has %zu elements, expected %d", shape->count,
                            x->rank);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = ox_tensor_int(shape, (size_t)i);
        if (dims[i] < source[i])
            return ox_bad_shape(call, "output_shape[%d] is %lld, less than %lld", i,
                                (long long)dims[i], (long long)source[i]);
    }
    return OX_OK;
}

ox_status ox_eval_max_unpool(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    struct ox_window w = ((const struct ox_unpool_params *)params)->window;
    const ox_tensor *x = in[0];
    int64_t source[OX_WINDOW_MAX + 2], dims[OX_WINDOW_MAX + 2], steps[OX_WINDOW_MAX + 2];
    size_t total, bytes, size = (size_t)ox_dtype_bits(x->dtype) / 8;
    void *data;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    OX_TRY(ox_expect_dtype(call, 1, in[1]->dtype, OX_BIT(OX_INT64)));
    OX_TRY(unpool_shapes(source, dims, call, &w, in));
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, x->dtype, x->rank, dims));
    if (ox_shape_size(&total, &bytes, x->dtype, x->rank, source)) return OX_INTERNAL;
    ox_row_major(steps, x->rank, dims);
    for (size_t i = 0; i < x->count; i++) {
        int64_t index = ox_tensor_int(in[1], i), place[OX_WINDOW_MAX + 2], to = 0;
        if (index < 0 || (uint64_t)index >= total)
            return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                           "index %zu of MaxUnpool is %lld of %zu", i, (long long)index, total);
        unravel(place, (size_t)index, x->rank, source);
        for (int d = 0; d < x->rank; d++)
            to += place[d] * steps[d];
        memcpy((unsigned char *)data + (size_t)to * size, (const unsigned char *)x->data + i * size,
               size);
    }
    return OX_OK;
}
