/* ir/ops/op_pad.c - Pad: each axis has a table that tells where an output index comes from. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/wide.h"

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status read_pads(struct ox_pad_params *p, const struct ox_call *call, size_t n,
                           const int64_t *ints, const ox_tensor *t) {
    if (n > 2 * OX_MAX_RANK || n % 2 != 0)
        return ox_bad_attr(call, "Pad has %zu pads, expected two for each axis", n);
    for (size_t i = 0; i < n; i++)
        p->pads[i] = ints ? ints[i] : ox_tensor_int(t, i);
    p->n = (int)n;
    p->known = true;
    return OX_OK;
}

ox_status ox_decode_pad(const struct ox_call *call, void *params) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
    struct ox_pad_params *p = params;
    int mode;
    OX_TRY(ox_attr_choice(&mode, call, "mode", modes, 0));
    if (mode == OX_PAD_WRAP && call->opset < 19)
        return ox_bad_attr(call, "Pad by wrapping came with opset 19");
    p->mode = (enum ox_pad_mode)mode;
    if (call->opset < 11) {
        const int64_t *ints;
        size_t n;
        OX_TRY(ox_attr_ints(&ints, &n, call, call->opset < 2 ? "paddings" : "pads"));
        if (n == SIZE_MAX) return ox_bad_attr(call, "Pad has no pads");
        OX_TRY(ox_attr_float(&p->value, call, "value", 0));
        p->has_value = true;
        return read_pads(p, call, n, ints, NULL);
    }
    if (!ox_has_input(call, 1))
        return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL, "Pad has no pads");
    if (call->opset >= 18)
        OX_TRY(ox_ints_input(&p->axes, call, 3));
    else if (call->n_in > 3)
        return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                       "axes of Pad came with opset 18");
    const ox_tensor *t = ox_const_input(call, 1);
    if (!t) return OX_OK;
    OX_TRY(ox_expect_index(call, 1, t->dtype));
    if (t->rank > 1 && !(t->rank == 2 && t->dims[0] == 1)) /* [1, 2 n] was allowed at first */
        return ox_bad_shape(call, "the pads of Pad are not a vector");
    return read_pads(p, call, t->count, NULL, t);
}

/* ---- infer ----------------------------------------------------------------------------------- */

/* axes to 0, 1, ... where not given; checks that as many pads are there. */
static ox_status pad_axes(struct ox_ints *axes, const struct ox_call *call, int n_pads, int rank) {
    if (!axes->given) {
        axes->n = rank;
        for (int i = 0; i < rank; i++)
            axes->at[i] = i;
    }
    if (n_pads != 2 * axes->n)
        return ox_bad_shape(call, "Pad of %d axes with %d pads", axes->n, n_pads);
    return ox_axes_resolve(axes, call, rank);
}

ox_status ox_infer_pad(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_pad_params *p = params;
    struct ox_ints axes = ox_ints_late(&p->axes, io, 3);
    int rank = ox_in_rank(io, 0), n = p->n;
    const struct ox_partial *late = NULL;
    ox_dim dims[OX_MAX_RANK];
    if (!p->known) late = ox_in_value(io, 1);
    if (late) n = (int)late->count;
    if (rank < 0 || (!p->known && !late) || (axes.given && !axes.known))
        return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank);
    OX_TRY(pad_axes(&axes, call, n, rank));
    memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    for (int i = 0; i < axes.n; i++) {
        ox_dim *d = &dims[axes.at[i]];
        for (int k = i; k < n; k += axes.n)
            OX_TRY(ox_dim_add(d, io->dims, *d, late ? late->elems[k] : ox_dim_const(p->pads[k])));
        if (ox_dim_is_const(*d) && d->k < 0)
            return ox_bad_shape(call, "Pad leaves %lld elements of axis %lld", (long long)d->k,
                                (long long)axes.at[i]);
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

/* ---- eval ------------------------------------------------------------------------------------ */

struct pad {
    int rank;
    int64_t dims[OX_MAX_RANK];  /* of the output */
    int64_t steps[OX_MAX_RANK]; /* of the input, in elements */
    int64_t *map[OX_MAX_RANK];  /* input index for each output index, -1: the value */
    int64_t run_begin,
        run_end; /* stretch of the last axis that comes from input indices in a row */
    const unsigned char *from;
    unsigned char *to;
    size_t size;
    unsigned char value[16];
};

/* Where index i of the cropped input's axis of n elements comes from; i may lie outside on both
 * sides. */
static int64_t source(enum ox_pad_mode mode, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    switch (mode) {
    case OX_PAD_EDGE:
        return i < 0 ? 0 : n - 1;
    case OX_PAD_WRAP:
        i %= n;
        return i < 0 ? i + n : i;
    case OX_PAD_REFLECT:
        if (n == 1) return 0;
        i %= 2 * (n - 1);
        if (i < 0) i += 2 * (n - 1);
        return i < n ? i : 2 * (n - 1) - i;
    default:
        return -1;
    }
}

/* Negative pads crop first. */
static ox_status pad_axis(const struct ox_call *call, const struct ox_pad_params *p, int64_t *map,
                          int64_t dim, int64_t begin, int64_t end) {
    int64_t crop = begin < 0 ? -begin : 0, n = dim - crop + (end < 0 ? end : 0);
    int64_t total = dim + begin + end, lead = begin > 0 ? begin : 0;
    if (n <= 0 && total > 0 && p->mode != OX_PAD_CONSTANT)
        return ox_bad_shape(call, "Pad has nothing to repeat along an axis of %lld",
                            (long long)dim);
    for (int64_t i = 0; i < total; i++) {
        int64_t at = source(p->mode, i - lead, n < 0 ? 0 : n);
        map[i] = at < 0 ? -1 : at + crop;
    }
    return OX_OK;
}

/* The longest beginning stretch of consecutive indices from the first that is not padding. */
static void find_run(struct pad *s, int64_t begin) {
    const int64_t *map = s->map[s->rank - 1];
    int64_t n = s->dims[s->rank - 1];
    s->run_begin = begin > 0 ? (begin < n ? begin : n) : 0;
    s->run_end = s->run_begin;
    while (s->run_end < n && map[s->run_end] >= 0 &&
           map[s->run_end] == map[s->run_begin] + (s->run_end - s->run_begin))
        s->run_end++;
}

static void pad_row(const struct pad *s, unsigned char *to, const unsigned char *from) {
    const int64_t *map = s->map[s->rank - 1];
    int64_t n = s->dims[s->rank - 1];
    for (int64_t i = 0; i < n; i++) {
        if (i == s->run_begin && s->run_end > i) {
            memcpy(to + (size_t)i * s->size, from + (size_t)map[i] * s->size,
                   (size_t)(s->run_end - i) * s->size);
            i = s->run_end - 1;
            continue;
        }
        memcpy(to + (size_t)i * s->size, map[i] < 0 ? s->value : from + (size_t)map[i] * s->size,
               s->size);
    }
}

static void pad_rows(void *arg, size_t begin, size_t end) {
    const struct pad *s = arg;
    size_t n = (size_t)s->dims[s->rank - 1];
    for (size_t row = begin; row < end; row++) {
        size_t rest = row;
        int64_t at = 0;
        bool outside = false;
        for (int d = s->rank - 2; d >= 0; d--) {
            int64_t index = s->map[d][rest % (size_t)s->dims[d]];
            rest /= (size_t)s->dims[d];
            outside = outside || index < 0;
            at += index * s->steps[d];
        }
        unsigned char *to = s->to + row * n * s->size;
        if (outside)
            ox_fill(to, s->value, s->size, n);
        else
            pad_row(s, to, s->from + at * (int64_t)s->size);
    }
}

/* The bytes of the value that pads, in a type of whole bytes; strings: the string of input 2. */
static ox_status pad_value(struct pad *s, const struct ox_call *call, const struct ox_pad_params *p,
                           const ox_tensor *x, const ox_tensor *value) {
    memset(s->value, 0, sizeof s->value);
    if (p->mode != OX_PAD_CONSTANT) return OX_OK;
    if (p->has_value) {
        union ox_wide v = ox_wide_from_double(x->dtype, (double)p->value);
        if (ox_wide_of(x->dtype) != OX_WIDE_NONE) ox_wide_store(s->value, x->dtype, &v, 1);
        return OX_OK;
    }
    if (!value) return OX_OK;
    OX_TRY(ox_expect_same_dtype(call, 0, x->dtype, 2, value->dtype));
    if (value->count != 1)
        return ox_bad_shape(call, "the value of Pad must be a single one, not %s",
                            ox_dims_text(value->rank, value->dims).text);
    struct ox_view view;
    OX_TRY(ox_view_open(&view, call->ctx, value));
    memcpy(s->value, view.data, view.size);
    ox_view_close(&view, call->ctx);
    return OX_OK;
}

/* Dims of the output, checked to be ones that a tensor can have; *entries is their sum. */
static ox_status padded_dims(int64_t *dims, size_t *entries, const struct ox_call *call,
                             const struct ox_pad_params *p, const struct ox_ints *axes,
                             const ox_tensor *x) {
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    for (int i = 0; i < axes->n; i++) {
        int64_t *d = &dims[axes->at[i]], begin = p->pads[i], end = p->pads[axes->n + i];
        if (begin == INT64_MIN || end == INT64_MIN || ox_add_i64(d, *d, begin) ||
            ox_add_i64(d, *d, end) || *d < 0)
            return ox_bad_shape(call, "Pad by %lld and %lld of axis %lld of %s", (long long)begin,
                                (long long)end, (long long)axes->at[i],
                                ox_dims_text(x->rank, x->dims).text);
    }
    size_t count;
    if (ox_shape_size(&count, NULL, x->dtype, x->rank, dims))
        return ox_bad_shape(call, "Pad makes too many elements");
    *entries = 0;
    for (int i = 0; i < x->rank; i++)
        if (ox_add_size(entries, *entries, (size_t)dims[i]))
            return ox_bad_shape(call, "Pad makes too many elements");
    return OX_OK;
}

static ox_status pad_tables(struct pad *s, const struct ox_call *call,
                            const struct ox_pad_params *p, const struct ox_ints *axes,
                            const ox_tensor *x, int64_t *maps) {
    int64_t begins[OX_MAX_RANK] = {0}, ends[OX_MAX_RANK] = {0};
    for (int i = 0; i < axes->n; i++) {
        begins[axes->at[i]] = p->pads[i];
        ends[axes->at[i]] = p->pads[axes->n + i];
    }
    for (int i = 0; i < s->rank; i++) {
        s->map[i] = maps;
        maps += s->dims[i];
        OX_TRY(pad_axis(call, p, s->map[i], x->dims[i], begins[i], ends[i]));
    }
    find_run(s, begins[s->rank - 1]);
    return OX_OK;
}

static ox_status run_pad(struct pad *s, const struct ox_call *call, const struct ox_pad_params *p,
                         const struct ox_ints *axes, const ox_tensor *x, struct ox_sink *sink,
                         size_t entries) {
    int64_t *maps;
    size_t row = (size_t)s->dims[s->rank - 1];
    OX_TRY(ox_alloc_raw(call->ctx, &maps, entries, sizeof *maps));
    ox_status status = pad_tables(s, call, p, axes, x, maps);
    if (status == OX_OK) {
        s->to = sink->data;
        s->size = sink->size;
        ox_parallel(call->ctx, sink->count / row, ox_copy_grain(row * s->size), pad_rows, s);
    }
    ox_free(call->ctx, maps);
    return status;
}

ox_status ox_eval_pad(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    const struct ox_pad_params *p = params;
    const ox_tensor *x = in[0];
    struct ox_ints axes = p->axes;
    struct pad s = {.rank = x->rank};
    struct ox_view view;
    struct ox_sink sink;
    size_t entries;
    OX_TRY(pad_axes(&axes, call, p->n, x->rank));
    if (x->rank == 0) {
        out[0] = ox_tensor_ref(x);
        return OX_OK;
    }
    OX_TRY(padded_dims(s.dims, &entries, call, p, &axes, x));
    OX_TRY(pad_value(&s, call, p, x, call->n_in > 2 ? in[2] : NULL));
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_row_major(s.steps, x->rank, x->dims);
    s.from = view.data;
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, x->rank, s.dims);
    if (status == OX_OK) {
        if (sink.count > 0) status = run_pad(&s, call, p, &axes, x, &sink, entries);
        status = ox_sink_close(&sink, call->ctx, status, &out[0]);
    }
    ox_view_close(&view, call->ctx);
    return status;
}
