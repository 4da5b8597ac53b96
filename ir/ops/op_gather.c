/* ir/ops/op_gather.c - Gather, GatherElements, GatherND. All indices are checked and resolved to
 * offsets first; the copying loops then have nothing left to check. */
#include "ir/ops/mover.h"
#include "ir/ops/offsets.h"
#include "ir/ops/op_priv.h"

/* ---- copying rows to where offsets say --------------------------------------------------------
 */

struct rows {
    unsigned char *to;
    const unsigned char *from;
    const int64_t *offsets; /* n of them, in rows */
    size_t n, row;          /* row: bytes */
    size_t batch;           /* bytes of the source that one round of offsets refers to */
};

static void copy_rows(void *arg, size_t begin, size_t end) {
    const struct rows *r = arg;
    for (size_t i = begin; i < end; i++) {
        const unsigned char *base = r->from + i / r->n * r->batch;
        const unsigned char *from = base + (size_t)r->offsets[i % r->n] * r->row;
        unsigned char *to = r->to + i * r->row;
        switch (r->row) { /* single elements: no call */
        case 1:
            *to = *from;
            break;
        case 2:
            memcpy(to, from, 2);
            break;
        case 4:
            memcpy(to, from, 4);
            break;
        case 8:
            memcpy(to, from, 8);
            break;
        default:
            memcpy(to, from, r->row);
            break;
        }
    }
}

/* `outer` rounds of n rows of `row` elements. */
static void gather_rows(ox_ctx *ctx, struct ox_sink *sink, const struct ox_view *view,
                        const int64_t *offsets, size_t outer, size_t n, size_t row, size_t batch) {
    struct rows r = {sink->data, view->data, offsets, n, row * view->size, batch * view->size};
    if (sink->count > 0) ox_parallel(ctx, outer * n, ox_copy_grain(r.row), copy_rows, &r);
}

/* ---- Gather ---------------------------------------------------------------------------------- */

ox_status ox_decode_gather(const struct ox_call *call, void *params) {
    return ox_attr_int(&((struct ox_gather_params *)params)->axis, call, "axis", 0);
}

/* Elements of a vector that is known in part, at indices that are known. */
static ox_status gather_value(const struct ox_call *call, struct ox_infer *io) {
    const struct ox_partial *v = ox_in_value(io, 0), *at = ox_in_value(io, 1);
    ox_dim elems[OX_PARTIAL_MAX];
    if (!v || !at || v->rank != 1 || at->count > OX_PARTIAL_MAX) return OX_OK;
    for (size_t i = 0; i < at->count; i++) {
        if (!ox_dim_is_const(at->elems[i])) return OX_OK;
        int64_t index = at->elems[i].k, n = (int64_t)v->count;
        if (index < -n || index >= n)
            return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                           "index %lld of Gather is out of range for a dim of %lld",
                           (long long)index, (long long)n);
        elems[i] = v->elems[index < 0 ? index + n : index];
    }
    return ox_infer_value(io, 0, at->rank, at->count, elems);
}

ox_status ox_infer_gather(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_gather_params *p = params;
    int rank = ox_in_rank(io, 0), rank_i = ox_in_rank(io, 1), axis, n = 0;
    ox_dim dims[2 * OX_MAX_RANK];
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_rank(call, 0, rank, 1, -1));
    if (rank >= 0) OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    if (rank < 0 || rank_i < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    if (rank + rank_i - 1 > OX_MAX_RANK)
        return ox_bad_shape(call, "Gather to rank %d", rank + rank_i - 1);
    for (int i = 0; i < axis; i++)
        dims[n++] = io->in[0]->dims[i];
    for (int i = 0; i < rank_i; i++)
        dims[n++] = io->in[1]->dims[i];
    for (int i = axis + 1; i < rank; i++)
        dims[n++] = io->in[0]->dims[i];
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), n, dims));
    return gather_value(call, io);
}

/* One large entry along the first axis is a part of the data: no copy, where that keeps it aligned.
 */
static bool part_suits(const ox_tensor *x) {
    size_t part = x->dims[0] > 0 ? x->size / (size_t)x->dims[0] : 0, offset;
    return ox_dtype_valid(x->dtype) && x->dtype != OX_STRING && part >= 4096 && part % 64 == 0 &&
           ox_tensor_bytes(x, &offset) != NULL;
}

static ox_status take_part(ox_tensor **out, const struct ox_call *call, const ox_tensor *x, int n,
                           const int64_t *dims, int64_t index) {
    size_t part = x->size / (size_t)x->dims[0], offset;
    struct ox_bytes *bytes = ox_tensor_bytes(x, &offset);
    return ox_tensor_slice(out, call->ctx, x->dtype, n, dims, bytes, offset + part * (size_t)index,
                           part);
}

ox_status ox_eval_gather(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_gather_params *p = params;
    const ox_tensor *x = in[0];
    int axis, n = 0;
    int64_t dims[2 * OX_MAX_RANK], *indices;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 1, -1));
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    for (int i = 0; i < axis; i++)
        dims[n++] = x->dims[i];
    for (int i = 0; i < in[1]->rank; i++)
        dims[n++] = in[1]->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[n++] = x->dims[i];
    OX_TRY(ox_indices(&indices, call, in[1], x->dims[axis]));
    if (axis == 0 && in[1]->count == 1 && part_suits(x)) {
        ox_status sliced = take_part(&out[0], call, x, n, dims, indices[0]);
        ox_free(call->ctx, indices);
        return sliced;
    }
    struct ox_view view;
    struct ox_sink sink;
    ox_status status = ox_view_open(&view, call->ctx, x);
    if (status == OX_OK) {
        status = ox_sink_open(&sink, call->ctx, x->dtype, n, dims);
        if (status == OX_OK) {
            size_t outer = (size_t)ox_count_of(axis, x->dims), count = in[1]->count;
            size_t row = sink.count ? sink.count / outer / count : 0;
            gather_rows(call->ctx, &sink, &view, indices, outer, count, row,
                        row * (size_t)x->dims[axis]);
            status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
        }
        ox_view_close(&view, call->ctx);
    }
    ox_free(call->ctx, indices);
    return status;
}

/* ---- GatherElements -------------------------------------------------------------------------- */

ox_status ox_decode_gather_elements(const struct ox_call *call, void *params) {
    return ox_attr_int(&((struct ox_gather_elements_params *)params)->axis, call, "axis", 0);
}

ox_status ox_infer_gather_elements(const struct ox_call *call, const void *params,
                                   struct ox_infer *io) {
    const struct ox_gather_elements_params *p = params;
    int rank = ox_in_rank(io, 0), rank_i = ox_in_rank(io, 1), axis;
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_rank(call, 0, rank, 1, -1));
    if (rank >= 0) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
        OX_TRY(ox_expect_rank(call, 1, rank_i, rank, rank));
    }
    if (rank_i < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank);
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank_i, io->in[1]->dims);
}

ox_status ox_element_offsets(int64_t **out, const struct ox_call *call, const ox_tensor *data,
                             const ox_tensor *at, int axis) {
    int64_t strides[OX_MAX_RANK], coord[OX_MAX_RANK] = {0}, *offsets, base = 0;
    bool fits = at->rank == data->rank;
    for (int d = 0; fits && d < data->rank; d++)
        fits = d == axis || at->dims[d] <= data->dims[d];
    if (!fits)
        return ox_bad_shape(call, "indices %s of %s do not fit data %s along axis %d",
                            ox_dims_text(at->rank, at->dims).text, call->op->name,
                            ox_dims_text(data->rank, data->dims).text, axis);
    OX_TRY(ox_indices(&offsets, call, at, data->dims[axis]));
    ox_row_major(strides, data->rank, data->dims);
    for (size_t i = 0; i < at->count; i++) {
        offsets[i] = base + offsets[i] * strides[axis];
        for (int d = at->rank - 1; d >= 0; d--) {
            int64_t stride = d == axis ? 0 : strides[d];
            base += stride;
            if (++coord[d] < at->dims[d]) break;
            base -= stride * at->dims[d];
            coord[d] = 0;
        }
    }
    *out = offsets;
    return OX_OK;
}

ox_status ox_eval_gather_elements(const struct ox_call *call, const void *params,
                                  const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_gather_elements_params *p = params;
    int64_t *offsets;
    int axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, in[0]->rank));
    OX_TRY(ox_element_offsets(&offsets, call, in[0], in[1], axis));
    struct ox_view view;
    struct ox_sink sink;
    ox_status status = ox_view_open(&view, call->ctx, in[0]);
    if (status == OX_OK) {
        status = ox_sink_open(&sink, call->ctx, in[0]->dtype, in[1]->rank, in[1]->dims);
        if (status == OX_OK) {
            gather_rows(call->ctx, &sink, &view, offsets, 1, sink.count, 1, 0);
            status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
        }
        ox_view_close(&view, call->ctx);
    }
    ox_free(call->ctx, offsets);
    return status;
}

/* ---- GatherND -------------------------------------------------------------------------------- */

ox_status ox_decode_gather_nd(const struct ox_call *call, void *params) {
    struct ox_gather_nd_params *p = params;
    if (call->opset < 12) return OX_OK;
    OX_TRY(ox_attr_int(&p->batch_dims, call, "batch_dims", 0));
    if (p->batch_dims < 0 || p->batch_dims >= OX_MAX_RANK)
        return ox_bad_attr(call, "attribute 'batch_dims' is %lld", (long long)p->batch_dims);
    return OX_OK;
}

ox_status ox_infer_gather_nd(const struct ox_call *call, const void *params, struct ox_infer *io) {
    int batch = (int)((const struct ox_gather_nd_params *)params)->batch_dims, n = 0;
    int rank = ox_in_rank(io, 0), rank_i = ox_in_rank(io, 1);
    ox_dim dims[2 * OX_MAX_RANK];
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_rank(call, 0, rank, batch + 1, -1));
    OX_TRY(ox_expect_rank(call, 1, rank_i, batch + 1, -1));
    if (rank < 0 || rank_i < 0 || !ox_dim_is_const(io->in[1]->dims[rank_i - 1]))
        return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    int64_t k = io->in[1]->dims[rank_i - 1].k;
    if (k < 0 || k > rank - batch)
        return ox_bad_shape(call, "GatherND of rank %d with indices of %lld", rank - batch,
                            (long long)k);
    for (int i = 0; i < rank_i - 1; i++) {
        dims[n++] = io->in[1]->dims[i];
        if (i < batch) OX_TRY(ox_dim_unify(&dims[i], call, io->in[0]->dims[i]));
    }
    for (int i = batch + (int)k; i < rank; i++)
        dims[n++] = io->in[0]->dims[i];
    if (n > OX_MAX_RANK) return ox_bad_shape(call, "GatherND to rank %d", n);
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), n, dims);
}

ox_status ox_tuple_offsets(int64_t **out, const struct ox_call *call, const ox_tensor *data,
                           const ox_tensor *at, int first, int k) {
    int64_t *offsets;
    size_t tuples = (size_t)ox_count_of(at->rank - 1, at->dims);
    OX_TRY(ox_expect_index(call, 1, at->dtype));
    OX_TRY(ox_alloc_raw(call->ctx, &offsets, tuples, sizeof *offsets));
    for (size_t i = 0; i < tuples; i++) {
        uint64_t offset = 0; /* wraps only where data is empty */
        for (int j = 0; j < k; j++) {
            int64_t dim = data->dims[first + j],
                    index = ox_tensor_int(at, i * (size_t)k + (size_t)j);
            if (index < -dim || index >= dim) {
                ox_free(call->ctx, offsets);
                return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                               "index %lld of %s is out of range for a dim of %lld",
                               (long long)index, call->op->name, (long long)dim);
            }
            offset = offset * (uint64_t)dim + (uint64_t)(index < 0 ? index + dim : index);
        }
        offsets[i] = (int64_t)offset;
    }
    *out = offsets;
    return OX_OK;
}

/* Shapes of GatherND: *k indices in a tuple, the output's dims. */
static ox_status gather_nd_dims(int *k, int *n, int64_t *dims, const struct ox_call *call,
                                int batch, const ox_tensor *x, const ox_tensor *at) {
    OX_TRY(ox_expect_rank(call, 0, x->rank, batch + 1, -1));
    OX_TRY(ox_expect_rank(call, 1, at->rank, batch + 1, -1));
    int64_t last = at->dims[at->rank - 1];
    bool fits = last <= x->rank - batch;
    for (int i = 0; i < batch; i++)
        fits = fits && x->dims[i] == at->dims[i];
    if (!fits)
        return ox_bad_shape(call, "GatherND of %s with indices %s",
                            ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(at->rank, at->dims).text);
    *k = (int)last;
    *n = 0;
    for (int i = 0; i < at->rank - 1; i++)
        dims[(*n)++] = at->dims[i];
    for (int i = batch + *k; i < x->rank; i++)
        dims[(*n)++] = x->dims[i];
    return OX_OK;
}

ox_status ox_eval_gather_nd(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    int batch = (int)((const struct ox_gather_nd_params *)params)->batch_dims, k, n;
    const ox_tensor *x = in[0], *at = in[1];
    int64_t dims[2 * OX_MAX_RANK], *offsets;
    OX_TRY(gather_nd_dims(&k, &n, dims, call, batch, x, at));
    OX_TRY(ox_tuple_offsets(&offsets, call, x, at, batch, k));
    struct ox_view view;
    struct ox_sink sink;
    ox_status status = ox_view_open(&view, call->ctx, x);
    if (status == OX_OK) {
        status = ox_sink_open(&sink, call->ctx, x->dtype, n, dims);
        if (status == OX_OK && sink.count > 0) {
            /* Offsets differ from batch to batch: make them relative to the whole. */
            size_t tuples = (size_t)ox_count_of(at->rank - 1, at->dims);
            size_t per_batch = tuples / (size_t)ox_count_of(batch, x->dims);
            int64_t batch_rows = ox_count_of(k, x->dims + batch);
            for (size_t i = 0; i < tuples; i++)
                offsets[i] += (int64_t)(i / per_batch) * batch_rows;
            gather_rows(call->ctx, &sink, &view, offsets, 1, tuples, sink.count / tuples, 0);
        }
        if (status == OX_OK) status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
        ox_view_close(&view, call->ctx);
    }
    ox_free(call->ctx, offsets);
    return status;
}
