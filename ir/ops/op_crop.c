/* ir/ops/op_crop.c - CenterCropPad: cuts or pads each axis to a given length, evenly on both sides.
 */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_center_crop(const struct ox_call *call, void *params) {
    struct ox_center_crop_params *p = params;
    return ox_ints_attr(&p->axes, call, "axes");
}

/* The axes that input 1 speaks of. */
static ox_status named_axes(struct ox_ints *axes, const struct ox_call *call,
                            const struct ox_center_crop_params *p, int rank, size_t lengths) {
    *axes = p->axes;
    if (!axes->given) {
        *axes = (struct ox_ints){.given = true, .known = true, .n = rank};
        for (int i = 0; i < rank; i++)
            axes->at[i] = i;
    }
    OX_TRY(ox_axes_resolve(axes, call, rank));
    if ((size_t)axes->n == lengths) return OX_OK;
    return ox_bad_shape(call, "shape has %zu elements for %d axes", lengths, axes->n);
}

ox_status ox_infer_center_crop(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    const struct ox_partial *shape = ox_in_value(io, 1);
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    struct ox_ints axes;
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 1, 1));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    const struct ox_center_crop_params *p = params;
    size_t n = shape ? shape->count : p->axes.given ? (size_t)p->axes.n : (size_t)rank;
    OX_TRY(named_axes(&axes, call, p, rank, n));
    if (rank > 0) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    for (int i = 0; i < axes.n; i++) {
        ox_dim *d = &dims[axes.at[i]];
        if (shape && ox_dim_is_const(shape->elems[i]) && shape->elems[i].k < 0)
            return ox_bad_shape(call, "shape[%d] is %lld", i, (long long)shape->elems[i].k);
        if (shape && ox_dim_ge(shape->elems[i], 0))
            *d = shape->elems[i];
        else
            OX_TRY(ox_dim_unknown(d, io->dims));
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

/* Where what both sides have in common begins, when `less` elements are centred in `more`. */
static int64_t margin(int64_t more, int64_t less) {
    return more > less ? (more - less) / 2 : 0;
}

ox_status ox_eval_center_crop(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0], *shape = in[1];
    int64_t dims[OX_MAX_RANK], from[OX_MAX_RANK], to[OX_MAX_RANK];
    struct ox_ints axes;
    OX_TRY(ox_expect_index(call, 1, shape->dtype));
    OX_TRY(ox_expect_rank(call, 1, shape->rank, 1, 1));
    OX_TRY(named_axes(&axes, call, params, x->rank, shape->count));
    if (x->rank > 0) memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    for (int i = 0; i < axes.n; i++) {
        dims[axes.at[i]] = ox_tensor_int(shape, (size_t)i);
        if (dims[axes.at[i]] < 0)
            return ox_bad_shape(call, "shape[%d] is %lld", i, (long long)dims[axes.at[i]]);
    }
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, x->rank, dims);
    if (status == OX_OK) {
        struct ox_strided s = {0};
        int64_t source = 0, target = 0;
        ox_row_major(from, x->rank, x->dims);
        ox_row_major(to, x->rank, dims);
        bool any = sink.count > 0 && x->count > 0;
        for (int i = 0; any && i < x->rank; i++) {
            source += margin(x->dims[i], dims[i]) * from[i];
            target += margin(dims[i], x->dims[i]) * to[i];
            ox_strided_add(&s, x->dims[i] < dims[i] ? x->dims[i] : dims[i], to[i], from[i]);
        }
        if (any)
            ox_strided_copy(call->ctx, sink.data + (size_t)target * view.size,
                            view.data + (size_t)source * view.size, view.size, &s);
        status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return status;
}
