/* ir/ops/op_select.c - OneHot, NonZero, Compress, Trilu, ReverseSequence. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/wide.h"

/* ---- OneHot ---------------------------------------------------------------------------------- */

ox_status ox_decode_one_hot(const struct ox_call *call, void *params) {
    struct ox_one_hot_params *p = params;
    p->wraps = call->opset >= 11;
    return ox_attr_int(&p->axis, call, "axis", -1);
}

ox_status ox_infer_one_hot(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_one_hot_params *p = params;
    const ox_tensor *depth = ox_const_input(call, 1);
    int rank = ox_in_rank(io, 0), axis, n = 0;
    int64_t k;
    ox_dim dims[OX_MAX_RANK + 1];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_NUMBERS));
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_NUMBERS));
    OX_TRY(ox_expect_rank(call, 2, ox_in_rank(io, 2), 1, 1));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 2), -1, NULL);
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank + 1));
    if (rank == OX_MAX_RANK) return ox_bad_shape(call, "OneHot of rank %d", rank);
    for (int i = 0; i <= rank; i++) {
        if (i != axis)
            dims[i] = io->in[0]->dims[n++];
        else if (ox_in_value(io, 1) && ox_in_value(io, 1)->count == 1)
            dims[i] = ox_in_value(io, 1)->elems[0];
        else
            OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    }
    if (depth) {
        OX_TRY(ox_scalar_int(&k, call, "the depth", depth));
        if (k < 0) return ox_bad_attr(call, "OneHot with a depth of %lld", (long long)k);
        dims[axis] = ox_dim_const(k);
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 2), rank + 1, dims);
}

/* Index of an element as an integer, or -1 where it lights nothing. */
static int64_t hot_index(const ox_tensor *t, size_t i, int64_t depth, bool wraps) {
    union ox_wide v;
    size_t size = (size_t)ox_dtype_bits(t->dtype) / 8;
    ox_wide_kind kind = ox_wide_of(t->dtype);
    int64_t index;
    ox_wide_load(&v, t->dtype, (const unsigned char *)t->data + i * size, 1, 1);
    if (kind == OX_WIDE_F64) {
        if (!(v.f > -9e15 && v.f < 9e15)) return -1;
        index = (int64_t)v.f;
    } else {
        if (kind == OX_WIDE_U64 && v.u > INT64_MAX) return -1;
        index = v.i;
    }
    if (index < 0) index = wraps && index >= -depth ? index + depth : -1;
    return index < depth ? index : -1;
}

ox_status ox_eval_one_hot(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_one_hot_params *p = params;
    const ox_tensor *x = in[0], *values = in[2];
    int axis, n = 0;
    int64_t depth, dims[OX_MAX_RANK + 1];
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank + 1));
    OX_TRY(ox_scalar_int(&depth, call, "the depth", in[1]));
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_NUMBERS));
    if (depth < 0) return ox_bad_attr(call, "OneHot with a depth of %lld", (long long)depth);
    if (values->count != 2 || values->rank != 1)
        return ox_bad_shape(call, "the values of OneHot must be two, not %s",
                            ox_dims_text(values->rank, values->dims).text);
    for (int i = 0; i <= x->rank; i++)
        dims[i] = i == axis ? depth : x->dims[n++];
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&view, call->ctx, values));
    ox_status status = ox_sink_open(&sink, call->ctx, values->dtype, x->rank + 1, dims);
    if (status == OX_OK) {
        size_t size = sink.size, inner = (size_t)ox_count_of(x->rank - axis, x->dims + axis);
        ox_fill(sink.data, view.data, size, sink.count);
        for (size_t i = 0; sink.count > 0 && i < x->count; i++) {
            int64_t hot = hot_index(x, i, depth, p->wraps);
            if (hot < 0) continue;
            size_t at = (i / inner * (size_t)depth + (size_t)hot) * inner + i % inner;
            memcpy(sink.data + at * size, view.data + size, size);
        }
        status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return status;
}

/* ---- NonZero --------------------------------------------------------------------------------- */

ox_status ox_infer_non_zero(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dim dims[2];
    (void)call;
    (void)params;
    OX_TRY(ox_dim_unknown(&dims[1], io->dims));
    io->why = "how many elements are not zero is data";
    dims[0] = ox_dim_const(ox_in_rank(io, 0));
    if (ox_in_rank(io, 0) < 0) OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    return ox_infer_tensor(io, 0, OX_INT64, 2, dims);
}

/* Numbers other than 0 (also -0), strings that are not empty. */
static bool is_set(const struct ox_view *view, ox_dtype dtype, size_t i) {
    const unsigned char *p = view->data + i * view->size;
    union ox_wide v;
    if (dtype == OX_STRING) {
        struct ox_str s;
        memcpy(&s, p, sizeof s);
        return s.len > 0;
    }
    if (ox_wide_of(dtype) != OX_WIDE_NONE) {
        ox_wide_load(&v, dtype, p, 1, 1);
        return ox_wide_of(dtype) == OX_WIDE_F64 ? v.f != 0 : v.u != 0;
    }
    for (size_t k = 0; k < view->size; k++)
        if (p[k] != 0) return true;
    return false;
}

static void list_coordinates(int64_t *y, size_t n, const ox_tensor *x, const struct ox_view *view) {
    size_t found = 0;
    for (size_t i = 0; i < x->count && found < n; i++) {
        if (!is_set(view, x->dtype, i)) continue;
        size_t rest = i;
        for (int d = x->rank - 1; d >= 0; d--) {
            y[(size_t)d * n + found] = (int64_t)(rest % (size_t)x->dims[d]);
            rest /= (size_t)x->dims[d];
        }
        found++;
    }
}

ox_status ox_eval_non_zero(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0];
    struct ox_view view;
    size_t n = 0;
    void *y;
    (void)params;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    for (size_t i = 0; i < x->count; i++)
        n += is_set(&view, x->dtype, i);
    int64_t dims[2] = {x->rank, (int64_t)n};
    ox_status status = ox_tensor_new(&out[0], &y, call->ctx, OX_INT64, 2, dims);
    if (status == OX_OK) list_coordinates(y, n, x, &view);
    ox_view_close(&view, call->ctx);
    return status;
}

/* ---- Compress -------------------------------------------------------------------------------- */

static ox_status decode_axis(bool *has, int64_t *axis, const struct ox_call *call) {
    *has = ox_attr_find(call, "axis") != NULL;
    return ox_attr_int(axis, call, "axis", 0);
}

ox_status ox_decode_compress(const struct ox_call *call, void *params) {
    struct ox_compress_params *p = params;
    return decode_axis(&p->has_axis, &p->axis, call);
}

ox_status ox_infer_compress(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_compress_params *p = params;
    int rank = ox_in_rank(io, 0), axis;
    const ox_tensor *marks = ox_const_input(call, 1);
    ox_dim dims[OX_MAX_RANK], count;
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_BIT(OX_BOOL)));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 1, 1));
    OX_TRY(ox_dim_unknown(&count, io->dims));
    io->why = "how many elements the condition picks is data";
    if (marks && marks->dtype == OX_BOOL) {
        count = ox_dim_const(0);
        for (size_t i = 0; i < marks->count; i++)
            count.k += ((const uint8_t *)marks->data)[i] != 0;
    }
    if (!p->has_axis) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 1, &count);
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    dims[axis] = count;
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

/* Copies the marked ones of `dim` slices of `row` bytes, `outer` times. */
static void pick_slices(unsigned char *to, const unsigned char *from, const ox_tensor *marks,
                        size_t outer, size_t dim, size_t row) {
    const uint8_t *marked = marks->data;
    for (size_t o = 0; o < outer; o++, from += dim * row) {
        for (size_t i = 0; i < marks->count; i++) {
            if (!marked[i]) continue;
            memcpy(to, from + i * row, row);
            to += row;
        }
    }
}

ox_status ox_eval_compress(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_compress_params *p = params;
    const ox_tensor *x = in[0], *marks = in[1];
    int axis = 0, rank = 1;
    int64_t dims[OX_MAX_RANK] = {(int64_t)x->count}, n = 0;
    OX_TRY(ox_expect_dtype(call, 1, marks->dtype, OX_BIT(OX_BOOL)));
    OX_TRY(ox_expect_rank(call, 1, marks->rank, 1, 1));
    if (p->has_axis) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
        rank = x->rank;
        memcpy(dims, x->dims, (size_t)rank * sizeof *dims);
    }
    int64_t dim = dims[axis];
    for (size_t i = 0; i < marks->count; i++)
        n += ((const uint8_t *)marks->data)[i] != 0;
    for (size_t i = (size_t)dim; i < marks->count; i++)
        if (((const uint8_t *)marks->data)[i])
            return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                           "Compress marks element %zu of a dim of %lld", i, (long long)dim);
    size_t outer = (size_t)ox_count_of(axis, dims);
    size_t row = (size_t)ox_count_of(rank - axis - 1, dims + axis + 1);
    dims[axis] = n;
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, rank, dims);
    if (status == OX_OK) {
        if (sink.count > 0)
            pick_slices(sink.data, view.data, marks, outer, (size_t)dim, row * view.size);
        status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return status;
}

/* ---- Trilu ----------------------------------------------------------------------------------- */

ox_status ox_decode_trilu(const struct ox_call *call, void *params) {
    int64_t upper;
    OX_TRY(ox_attr_int(&upper, call, "upper", 1));
    ((struct ox_trilu_params *)params)->upper = upper != 0;
    return OX_OK;
}

ox_status ox_infer_trilu(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 2, -1));
    return ox_infer_same(io, 0, 0);
}

struct trilu {
    unsigned char *to;
    const unsigned char *from;
    size_t size;
    int64_t rows, cols, k;
    bool upper;
};

static void trilu_rows(void *arg, size_t begin, size_t end) {
    const struct trilu *t = arg;
    for (size_t i = begin; i < end; i++) {
        /* Column where the diagonal crosses the row, clamped to the row. */
        int64_t row = (int64_t)(i % (size_t)t->rows), edge = t->upper ? row + t->k : row + t->k + 1;
        edge = edge < 0 ? 0 : edge > t->cols ? t->cols : edge;
        size_t at = i * (size_t)t->cols + (t->upper ? (size_t)edge : 0);
        size_t n = t->upper ? (size_t)(t->cols - edge) : (size_t)edge;
        memcpy(t->to + at * t->size, t->from + at * t->size, n * t->size);
    }
}

ox_status ox_eval_trilu(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    const ox_tensor *x = in[0];
    int64_t k = 0;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 2, -1));
    if (call->n_in > 1 && in[1]) OX_TRY(ox_scalar_int(&k, call, "k", in[1]));
    struct trilu t = {.rows = x->dims[x->rank - 2],
                      .cols = x->dims[x->rank - 1],
                      .upper = ((const struct ox_trilu_params *)params)->upper};
    t.k = k < -t.rows ? -t.rows : k > t.cols ? t.cols : k; /* beyond lies nothing else */
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, x->rank, x->dims);
    if (status == OX_OK) {
        t.to = sink.data;
        t.from = view.data;
        t.size = view.size;
        if (sink.count > 0)
            ox_parallel(call->ctx, x->count / (size_t)t.cols,
                        ox_copy_grain((size_t)t.cols * t.size), trilu_rows, &t);
        status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return status;
}

/* ---- ReverseSequence ------------------------------------------------------------------------- */

ox_status ox_decode_reverse_sequence(const struct ox_call *call, void *params) {
    struct ox_reverse_sequence_params *p = params;
    int64_t batch, time;
    OX_TRY(ox_attr_int(&batch, call, "batch_axis", 1));
    OX_TRY(ox_attr_int(&time, call, "time_axis", 0));
    if ((batch != 0 && batch != 1) || time != 1 - batch)
        return ox_bad_attr(call, "ReverseSequence with batch axis %lld and time axis %lld",
                           (long long)batch, (long long)time);
    p->batch_axis = (int)batch;
    p->time_axis = (int)time;
    return OX_OK;
}

ox_status ox_infer_reverse_sequence(const struct ox_call *call, const void *params,
                                    struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 2, -1));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 1, 1));
    return ox_infer_same(io, 0, 0);
}

ox_status ox_eval_reverse_sequence(const struct ox_call *call, const void *params,
                                   const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_reverse_sequence_params *p = params;
    const ox_tensor *x = in[0], *lens = in[1];
    OX_TRY(ox_expect_rank(call, 0, x->rank, 2, -1));
    OX_TRY(ox_expect_index(call, 1, lens->dtype));
    int64_t batch = x->dims[p->batch_axis], time = x->dims[p->time_axis];
    if (lens->rank != 1 || lens->dims[0] != batch)
        return ox_bad_shape(call, "ReverseSequence of %lld sequences with %zu lengths",
                            (long long)batch, lens->count);
    for (size_t i = 0; i < lens->count; i++)
        if (ox_tensor_int(lens, i) < 0 || ox_tensor_int(lens, i) > time)
            return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                           "ReverseSequence of %lld steps of %lld",
                           (long long)ox_tensor_int(lens, i), (long long)time);
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, x->rank, x->dims);
    if (status == OX_OK) {
        size_t row = (size_t)ox_count_of(x->rank - 2, x->dims + 2) * view.size;
        size_t b_step = p->batch_axis == 0 ? (size_t)time : 1,
               t_step = p->batch_axis == 0 ? 1 : (size_t)batch;
        for (int64_t b = 0; sink.count > 0 && b < batch; b++) {
            int64_t len = ox_tensor_int(lens, (size_t)b);
            for (int64_t t = 0; t < time; t++) {
                int64_t from = t < len ? len - 1 - t : t;
                memcpy(sink.data + ((size_t)b * b_step + (size_t)t * t_step) * row,
                       view.data + ((size_t)b * b_step + (size_t)from * t_step) * row, row);
            }
        }
        status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return status;
}
