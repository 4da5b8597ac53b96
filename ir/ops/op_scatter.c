/* ir/ops/op_scatter.c - ScatterElements (once named Scatter) and ScatterND: updates in the order of
 * their indices, one after the other, so that the last of two for the same place wins. */
#include "ir/ops/mover.h"
#include "ir/ops/offsets.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/pick.h"
#include "ir/ops/wide.h"

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status decode_reduction(enum ox_scatter_reduction *out, const struct ox_call *call) {
    static const char *const names[] = {"none", "add", "mul", "max", "min", NULL};
    int reduction = OX_SCATTER_NONE;
    if (call->opset >= 16) OX_TRY(ox_attr_choice(&reduction, call, "reduction", names, 0));
    if (reduction > OX_SCATTER_MUL && call->opset < 18)
        return ox_bad_attr(call, "reduction '%s' came with opset 18", names[reduction]);
    *out = (enum ox_scatter_reduction)reduction;
    return OX_OK;
}

ox_status ox_decode_scatter_elements(const struct ox_call *call, void *params) {
    struct ox_scatter_elements_params *p = params;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    return decode_reduction(&p->reduction, call);
}

ox_status ox_decode_scatter_nd(const struct ox_call *call, void *params) {
    return decode_reduction(&((struct ox_scatter_nd_params *)params)->reduction, call);
}

/* ---- infer ----------------------------------------------------------------------------------- */

ox_status ox_infer_scatter_elements(const struct ox_call *call, const void *params,
                                    struct ox_infer *io) {
    const struct ox_scatter_elements_params *p = params;
    int rank = ox_in_rank(io, 0), axis;
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), 2, ox_in_dtype(io, 2)));
    OX_TRY(ox_expect_rank(call, 0, rank, 1, -1));
    if (rank >= 0) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
        OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), rank, rank));
        OX_TRY(ox_expect_rank(call, 2, ox_in_rank(io, 2), rank, rank));
    }
    return ox_infer_same(io, 0, 0);
}

ox_status ox_infer_scatter_nd(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), 2, ox_in_dtype(io, 2)));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 1, -1));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 1, -1));
    return ox_infer_same(io, 0, 0);
}

/* ---- eval ------------------------------------------------------------------------------------ */

static union ox_wide combine(enum ox_scatter_reduction reduction, ox_wide_kind kind,
                             union ox_wide a, union ox_wide b) {
    bool more = kind == OX_WIDE_F64 ? b.f > a.f : kind == OX_WIDE_I64 ? b.i > a.i : b.u > a.u;
    bool less = kind == OX_WIDE_F64 ? b.f < a.f : kind == OX_WIDE_I64 ? b.i < a.i : b.u < a.u;
    bool nan = kind == OX_WIDE_F64 && b.f != b.f;
    switch (reduction) {
    case OX_SCATTER_ADD:
        if (kind == OX_WIDE_F64)
            a.f += b.f;
        else
            a.u += b.u;
        return a;
    case OX_SCATTER_MUL:
        if (kind == OX_WIDE_F64)
            a.f *= b.f;
        else
            a.u *= b.u;
        return a;
    case OX_SCATTER_MAX:
        return more || nan ? b : a;
    case OX_SCATTER_MIN:
        return less || nan ? b : a;
    default:
        return b;
    }
}

/* n elements of src into those of dst. */
static void merge(unsigned char *dst, const unsigned char *src, size_t size, size_t n,
                  ox_dtype dtype, enum ox_scatter_reduction reduction) {
    if (reduction == OX_SCATTER_NONE) {
        memcpy(dst, src, n * size);
        return;
    }
    ox_wide_kind kind = ox_wide_of(dtype);
    union ox_wide a[128], b[128];
    while (n > 0) {
        size_t part = n < 128 ? n : 128;
        ox_wide_load(a, dtype, dst, 1, part);
        ox_wide_load(b, dtype, src, 1, part);
        for (size_t i = 0; i < part; i++)
            a[i] = combine(reduction, kind, a[i], b[i]);
        ox_wide_store(dst, dtype, a, part);
        dst += part * size;
        src += part * size;
        n -= part;
    }
}

/* out = data, then for each of n offsets a row of updates. */
static ox_status scatter(ox_tensor **out, const struct ox_call *call, const ox_tensor *data,
                         const ox_tensor *updates, const int64_t *offsets, size_t n,
                         enum ox_scatter_reduction reduction) {
    struct ox_view from, with;
    struct ox_sink sink;
    if (reduction != OX_SCATTER_NONE && ox_wide_of(data->dtype) == OX_WIDE_NONE)
        return ox_no_arithmetic(call, "%s cannot combine elements of type %s", call->op->name,
                                ox_dtype_name(data->dtype));
    OX_TRY(ox_view_open(&from, call->ctx, data));
    ox_status status = ox_view_open(&with, call->ctx, updates);
    if (status == OX_OK) {
        status = ox_sink_open(&sink, call->ctx, data->dtype, data->rank, data->dims);
        if (status == OX_OK) {
            size_t row = n ? updates->count / n : 0, bytes = row * sink.size;
            if (sink.count) memcpy(sink.data, from.data, sink.count * sink.size);
            for (size_t i = 0; row > 0 && i < n; i++)
                merge(sink.data + (size_t)offsets[i] * bytes, with.data + i * bytes, sink.size, row,
                      data->dtype, reduction);
            status = ox_sink_close(&sink, call->ctx, OX_OK, out);
        }
        ox_view_close(&with, call->ctx);
    }
    ox_view_close(&from, call->ctx);
    return status;
}

static ox_status shapes_differ(const struct ox_call *call, const ox_tensor *const *in) {
    return ox_bad_shape(call, "%s of data %s, indices %s and updates %s", call->op->name,
                        ox_dims_text(in[0]->rank, in[0]->dims).text,
                        ox_dims_text(in[1]->rank, in[1]->dims).text,
                        ox_dims_text(in[2]->rank, in[2]->dims).text);
}

ox_status ox_eval_scatter_elements(const struct ox_call *call, const void *params,
                                   const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_scatter_elements_params *p = params;
    const ox_tensor *at = in[1], *updates = in[2];
    int64_t *offsets;
    int axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, in[0]->rank));
    OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, 2, updates->dtype));
    bool same = at->rank == updates->rank;
    for (int i = 0; same && i < at->rank; i++)
        same = at->dims[i] == updates->dims[i];
    if (!same) return shapes_differ(call, in);
    OX_TRY(ox_element_offsets(&offsets, call, in[0], at, axis));
    ox_status status = scatter(&out[0], call, in[0], updates, offsets, at->count, p->reduction);
    ox_free(call->ctx, offsets);
    return status;
}

/* updates must be indices[:-1] followed by data[k:]. */
static bool updates_fit(const ox_tensor *x, const ox_tensor *at, const ox_tensor *updates) {
    if (x->rank < 1 || at->rank < 1 || at->dims[at->rank - 1] > x->rank) return false;
    int k = (int)at->dims[at->rank - 1], n = at->rank - 1;
    if (updates->rank != n + x->rank - k) return false;
    for (int i = 0; i < updates->rank; i++)
        if (updates->dims[i] != (i < n ? at->dims[i] : x->dims[i - n + k])) return false;
    return true;
}

ox_status ox_eval_scatter_nd(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_scatter_nd_params *p = params;
    const ox_tensor *at = in[1];
    int64_t *offsets;
    OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, 2, in[2]->dtype));
    if (!updates_fit(in[0], at, in[2])) return shapes_differ(call, in);
    OX_TRY(ox_tuple_offsets(&offsets, call, in[0], at, 0, (int)at->dims[at->rank - 1]));
    size_t tuples = (size_t)ox_count_of(at->rank - 1, at->dims);
    ox_status status = scatter(&out[0], call, in[0], in[2], offsets, tuples, p->reduction);
    ox_free(call->ctx, offsets);
    return status;
}
