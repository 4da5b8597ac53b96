/* ir/ops/op_sequence.c - sequences and optionals: making them, taking from them, changing them.
 * They are lists of tensors (OX_SEQUENCE, OX_OPTIONAL); an operator never changes a list but makes
 * a new one of the same counted items. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"

/* ---- helpers --------------------------------------------------------------------------------- */

static ox_status need_sequence(const struct ox_call *call, const ox_tensor *t, size_t i) {
    if (t && t->dtype == OX_SEQUENCE) return OX_OK;
    return ox_bad_type(call, "input %zu is a %s, expected a sequence", i,
                       t ? ox_dtype_name(t->dtype) : "missing value");
}

/* A position in [-count, count), or up to count itself where one can insert. */
static ox_status position(size_t *out, const struct ox_call *call, const ox_tensor *t, size_t count,
                          bool end_too) {
    if ((t->dtype != OX_INT64 && t->dtype != OX_INT32) || t->count != 1)
        return ox_bad_type(call, "a position is one integer, this is %s%s", ox_dtype_name(t->dtype),
                           ox_dims_text(t->rank, t->dims).text);
    int64_t p = t->dtype == OX_INT64 ? *(const int64_t *)t->data : *(const int32_t *)t->data,
            n = (int64_t)count;
    if (p < -n || p > n || (p == n && !end_too))
        return ox_bad_shape(call, "position %lld in a sequence of %zu", (long long)p, count);
    *out = (size_t)(p < 0 ? p + n : p);
    return OX_OK;
}

static ox_status list_type(const struct ox_type **out, struct ox_infer *io, enum ox_type_kind kind,
                           const struct ox_type *elem) {
    struct ox_type *t;
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN, .rank = -1};
    OX_TRY(ox_arena_alloc(io->arena, &t, 1, sizeof *t));
    *t = (struct ox_type){.kind = kind, .rank = -1, .elem = elem ? elem : &unknown};
    *out = t;
    return OX_OK;
}

static const struct ox_type *elem_of(const struct ox_infer *io, size_t i, enum ox_type_kind kind) {
    const struct ox_type *t = io->in[i];
    return t && t->kind == kind && t->elem && t->elem->kind != OX_TYPE_UNKNOWN ? t->elem : NULL;
}

/* ---- SequenceEmpty, SequenceConstruct -------------------------------------------------------- */

ox_status ox_decode_sequence_empty(const struct ox_call *call, void *params) {
    struct ox_sequence_empty_params *p = params;
    int64_t dtype;
    OX_TRY(ox_attr_int(&dtype, call, "dtype", OX_FLOAT));
    if (!ox_dtype_valid(dtype))
        return ox_bad_attr(call, "dtype %lld is no element type", (long long)dtype);
    p->dtype = (ox_dtype)dtype;
    return OX_OK;
}

ox_status ox_infer_sequence_empty(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    const struct ox_sequence_empty_params *p = params;
    const struct ox_type *elem;
    (void)call;
    io->why = "an empty sequence does not say what shape its elements will have";
    OX_TRY(ox_type_tensor(&elem, io->arena, p->dtype, -1, NULL));
    return list_type(&io->out[0], io, OX_TYPE_SEQUENCE, elem);
}

ox_status ox_eval_sequence_empty(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    (void)in;
    return ox_tensor_list(&out[0], call->ctx, OX_SEQUENCE, 0, NULL);
}

ox_status ox_infer_sequence_construct(const struct ox_call *call, const void *params,
                                      struct ox_infer *io) {
    const struct ox_type *elem = io->in[0];
    (void)params;
    for (size_t i = 1; i < call->n_in && elem; i++)
        OX_TRY(ox_type_common(&elem, io->arena, io->dims, elem, io->in[i]));
    return list_type(&io->out[0], io, OX_TYPE_SEQUENCE, elem);
}

/* A list of the inputs; counts are not touched by the cast. */
static ox_status list_of(ox_tensor **out, const struct ox_call *call, ox_dtype kind, size_t count,
                         const ox_tensor *const *items) {
    ox_tensor **copy;
    OX_TRY(ox_alloc(call->ctx, &copy, count, sizeof(ox_tensor *)));
    for (size_t i = 0; i < count; i++)
        copy[i] = (ox_tensor *)(uintptr_t)items[i];
    ox_status s = ox_tensor_list(out, call->ctx, kind, count, copy);
    ox_free(call->ctx, copy);
    return s;
}

ox_status ox_eval_sequence_construct(const struct ox_call *call, const void *params,
                                     const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    for (size_t i = 1; i < call->n_in; i++)
        if (in[i]->dtype != in[0]->dtype)
            return ox_bad_type(call, "items are %s and %s", ox_dtype_name(in[0]->dtype),
                               ox_dtype_name(in[i]->dtype));
    return list_of(&out[0], call, OX_SEQUENCE, call->n_in, in);
}

/* ---- SequenceAt, SequenceLength, SequenceInsert, SequenceErase ------------------------------- */

/* Unnamed unknowns in the type of a sequence's elements stand for another number in each element:
 * in the one taken out, for a number of its own. */
ox_status ox_infer_sequence_at(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    const struct ox_type *t = elem_of(io, 0, OX_TYPE_SEQUENCE);
    ox_dim dims[OX_MAX_RANK];
    (void)call;
    (void)params;
    io->out[0] = t;
    io->why = "elements of the sequence may differ in shape";
    if (!ox_type_is_tensor(t) || t->rank < 0) return OX_OK;
    for (int i = 0; i < t->rank; i++) {
        dims[i] = t->dims[i];
        if (!ox_dim_is_known(dims[i])) OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    }
    return ox_infer_tensor(io, 0, t->dtype, t->rank, dims);
}

ox_status ox_eval_sequence_at(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    size_t at;
    (void)params;
    OX_TRY(need_sequence(call, in[0], 0));
    OX_TRY(position(&at, call, in[1], in[0]->count, false));
    out[0] = ox_tensor_ref(ox_tensor_item(in[0], at));
    return OX_OK;
}

ox_status ox_infer_sequence_length(const struct ox_call *call, const void *params,
                                   struct ox_infer *io) {
    (void)call;
    (void)params;
    return ox_infer_tensor(io, 0, OX_INT64, 0, NULL);
}

ox_status ox_eval_sequence_length(const struct ox_call *call, const void *params,
                                  const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    OX_TRY(need_sequence(call, in[0], 0));
    int64_t n = (int64_t)in[0]->count;
    return ox_tensor_copy(&out[0], call->ctx, OX_INT64, 0, NULL, &n, sizeof n);
}

ox_status ox_infer_sequence_insert(const struct ox_call *call, const void *params,
                                   struct ox_infer *io) {
    const struct ox_type *elem;
    (void)call;
    (void)params;
    OX_TRY(ox_type_common(&elem, io->arena, io->dims, elem_of(io, 0, OX_TYPE_SEQUENCE), io->in[1]));
    return list_type(&io->out[0], io, OX_TYPE_SEQUENCE, elem);
}

ox_status ox_eval_sequence_insert(const struct ox_call *call, const void *params,
                                  const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    OX_TRY(need_sequence(call, in[0], 0));
    size_t n = in[0]->count, at = n;
    const ox_tensor **items;
    if (call->n_in > 2 && in[2]) OX_TRY(position(&at, call, in[2], n, true));
    if (n && ox_tensor_item(in[0], 0)->dtype != in[1]->dtype)
        return ox_bad_type(call, "a %s into a sequence of %s", ox_dtype_name(in[1]->dtype),
                           ox_dtype_name(ox_tensor_item(in[0], 0)->dtype));
    OX_TRY(ox_alloc(call->ctx, &items, n + 1, sizeof *items));
    for (size_t i = 0; i <= n; i++)
        items[i] = i == at ? in[1] : ox_tensor_item(in[0], i < at ? i : i - 1);
    ox_status s = list_of(&out[0], call, OX_SEQUENCE, n + 1, items);
    ox_free(call->ctx, items);
    return s;
}

ox_status ox_infer_sequence_erase(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    (void)call;
    (void)params;
    return list_type(&io->out[0], io, OX_TYPE_SEQUENCE, elem_of(io, 0, OX_TYPE_SEQUENCE));
}

ox_status ox_eval_sequence_erase(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    OX_TRY(need_sequence(call, in[0], 0));
    size_t n = in[0]->count, at = n ? n - 1 : 0;
    const ox_tensor **items;
    if (n == 0) return ox_bad_shape(call, "the sequence is empty");
    if (call->n_in > 1 && in[1]) OX_TRY(position(&at, call, in[1], n, false));
    OX_TRY(ox_alloc(call->ctx, &items, n, sizeof *items));
    for (size_t i = 0; i + 1 < n; i++)
        items[i] = ox_tensor_item(in[0], i < at ? i : i + 1);
    ox_status s = list_of(&out[0], call, OX_SEQUENCE, n - 1, items);
    ox_free(call->ctx, items);
    return s;
}

/* ---- SplitToSequence ------------------------------------------------------------------------- */

ox_status ox_decode_split_to_sequence(const struct ox_call *call, void *params) {
    struct ox_split_to_sequence_params *p = params;
    int64_t keep;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    OX_TRY(ox_attr_int(&keep, call, "keepdims", 1));
    p->keepdims = keep != 0;
    return OX_OK;
}

ox_status ox_infer_split_to_sequence(const struct ox_call *call, const void *params,
                                     struct ox_infer *io) {
    const struct ox_split_to_sequence_params *p = params;
    const struct ox_type *t = io->in[0], *elem;
    const struct ox_partial *sizes = call->n_in > 1 ? io->in_values[1] : NULL;
    bool given = call->n_in > 1 && (!call->present || call->present[1]);
    ox_dim dims[OX_MAX_RANK];
    int axis, n = 0;
    if (!ox_type_is_tensor(t)) return OX_OK;
    if (t->rank < 0) {
        OX_TRY(ox_type_tensor(&elem, io->arena, t->dtype, -1, NULL));
        return list_type(&io->out[0], io, OX_TYPE_SEQUENCE, elem);
    }
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, t->rank));
    for (int i = 0; i < t->rank; i++) {
        if (i != axis)
            dims[n++] = t->dims[i];
        else if (given)
            OX_TRY(ox_dim_unknown(&dims[n++], io->dims));
        else if (p->keepdims)
            dims[n++] = ox_dim_const(1);
    }
    /* Parts of one size that divides the axis: each is known. */
    if (given && sizes && sizes->count > 0 && ox_dim_is_const(sizes->elems[0])) {
        bool same = (sizes->rank == 1 && sizes->elems[0].k >= 0) ||
                    (ox_dim_is_const(t->dims[axis]) && sizes->elems[0].k > 0 &&
                     t->dims[axis].k % sizes->elems[0].k == 0);
        for (size_t i = 1; i < sizes->count; i++)
            if (!ox_dim_same(sizes->elems[i], sizes->elems[0])) same = false;
        if (same) dims[axis] = sizes->elems[0];
    }
    OX_TRY(ox_type_tensor(&elem, io->arena, t->dtype, n, dims));
    return list_type(&io->out[0], io, OX_TYPE_SEQUENCE, elem);
}

/* Elements [begin, begin + length) of an axis; with drop, the axis (of length 1) is left out. */
static ox_status cut(ox_tensor **out, const struct ox_call *call, const ox_tensor *t, int axis,
                     int64_t begin, int64_t length, bool drop) {
    struct ox_view view;
    struct ox_sink sink;
    struct ox_strided loops = {0};
    int64_t dims[OX_MAX_RANK], inner = ox_count_of(t->rank - axis - 1, t->dims + axis + 1);
    int n = 0;
    for (int i = 0; i < t->rank; i++)
        if (i != axis || !drop) dims[n++] = i == axis ? length : t->dims[i];
    OX_TRY(ox_view_open(&view, call->ctx, t));
    ox_status s = ox_sink_open(&sink, call->ctx, t->dtype, n, dims);
    if (s == OX_OK) {
        ox_strided_add(&loops, ox_count_of(axis, t->dims), length * inner, t->dims[axis] * inner);
        ox_strided_add(&loops, length * inner, 1, 1);
        if (sink.count)
            ox_strided_copy(call->ctx, sink.data, view.data + (size_t)(begin * inner) * view.size,
                            view.size, &loops);
        s = ox_sink_close(&sink, call->ctx, OX_OK, out);
    }
    ox_view_close(&view, call->ctx);
    return s;
}

/* Sizes of the parts: *sizes from ox_alloc. */
static ox_status part_sizes(int64_t **sizes, size_t *count, const struct ox_call *call,
                            const ox_tensor *given, int64_t length) {
    if (given && given->rank > 0) {
        int64_t sum = 0;
        OX_TRY(ox_tensor_ints(sizes, count, call->ctx, given));
        bool bad = false;
        for (size_t i = 0; i < *count; i++)
            if ((*sizes)[i] < 0 || ox_add_i64(&sum, sum, (*sizes)[i])) bad = true;
        if (!bad && sum == length) return OX_OK;
        ox_free(call->ctx, *sizes);
        return ox_bad_shape(call, "the parts do not add up to the %lld elements of the axis",
                            (long long)length);
    }
    int64_t each = 1;
    if (given) {
        int64_t *one;
        size_t n;
        OX_TRY(ox_tensor_ints(&one, &n, call->ctx, given));
        each = n == 1 ? one[0] : 0;
        ox_free(call->ctx, one);
    }
    if (each < 1) return ox_bad_shape(call, "parts of %lld elements", (long long)each);
    *count = (size_t)(length / each + (length % each != 0));
    OX_TRY(ox_alloc(call->ctx, sizes, *count, sizeof **sizes));
    for (size_t i = 0; i < *count; i++)
        (*sizes)[i] = (int64_t)i < length / each ? each : length % each;
    return OX_OK;
}

ox_status ox_eval_split_to_sequence(const struct ox_call *call, const void *params,
                                    const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_split_to_sequence_params *p = params;
    const ox_tensor *given = call->n_in > 1 ? in[1] : NULL;
    int axis;
    int64_t *sizes, begin = 0;
    size_t count, made = 0;
    ox_tensor **items;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, in[0]->rank));
    OX_TRY(part_sizes(&sizes, &count, call, given, in[0]->dims[axis]));
    items = NULL;
    ox_status s = ox_alloc(call->ctx, &items, count, sizeof(ox_tensor *));
    while (s == OX_OK && made < count) {
        s = cut(&items[made], call, in[0], axis, begin, sizes[made], !given && !p->keepdims);
        if (s == OX_OK) begin += sizes[made++];
    }
    if (s == OX_OK) s = ox_tensor_list(&out[0], call->ctx, OX_SEQUENCE, count, items);
    for (size_t i = 0; i < made; i++)
        ox_tensor_unref(items[i]);
    ox_free(call->ctx, items);
    ox_free(call->ctx, sizes);
    return s;
}

/* ---- ConcatFromSequence ---------------------------------------------------------------------- */

ox_status ox_decode_concat_from_sequence(const struct ox_call *call, void *params) {
    struct ox_concat_from_sequence_params *p = params;
    int64_t fresh;
    if (!ox_attr_find(call, "axis")) return ox_bad_attr(call, "attribute 'axis' is missing");
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    OX_TRY(ox_attr_int(&fresh, call, "new_axis", 0));
    p->new_axis = fresh != 0;
    return OX_OK;
}

ox_status ox_infer_concat_from_sequence(const struct ox_call *call, const void *params,
                                        struct ox_infer *io) {
    const struct ox_concat_from_sequence_params *p = params;
    const struct ox_type *elem = elem_of(io, 0, OX_TYPE_SEQUENCE);
    ox_dim dims[OX_MAX_RANK];
    int axis;
    if (!ox_type_is_tensor(elem)) return OX_OK;
    io->why = "how many elements the sequence has is not known";
    if (elem->rank < 0 || elem->rank + p->new_axis > OX_MAX_RANK)
        return ox_infer_tensor(io, 0, elem->dtype, -1, NULL);
    int rank = elem->rank + p->new_axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    for (int i = 0, n = 0; i < rank; i++) {
        if (i != axis || !p->new_axis) dims[i] = elem->dims[n++];
        if (i == axis) OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    }
    return ox_infer_tensor(io, 0, elem->dtype, rank, dims);
}

static ox_status check_items(int64_t *total, const struct ox_call *call, const ox_tensor *list,
                             int axis, bool new_axis) {
    const ox_tensor *first = ox_tensor_item(list, 0);
    *total = 0;
    for (size_t i = 0; i < list->count; i++) {
        const ox_tensor *t = ox_tensor_item(list, i);
        bool fits = t->dtype == first->dtype && t->rank == first->rank && ox_dtype_valid(t->dtype);
        for (int d = 0; fits && d < t->rank; d++)
            if ((new_axis || d != axis) && t->dims[d] != first->dims[d]) fits = false;
        if (!fits) return ox_bad_shape(call, "item %zu does not fit item 0 of the sequence", i);
        if (ox_add_i64(total, *total, new_axis ? 1 : t->dims[axis]))
            return ox_bad_shape(call, "the result is too large");
    }
    return OX_OK;
}

ox_status ox_eval_concat_from_sequence(const struct ox_call *call, const void *params,
                                       const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_concat_from_sequence_params *p = params;
    struct ox_sink sink;
    int64_t dims[OX_MAX_RANK + 1], total, at = 0;
    int axis;
    OX_TRY(need_sequence(call, in[0], 0));
    if (in[0]->count == 0) return ox_bad_shape(call, "the sequence is empty");
    const ox_tensor *first = ox_tensor_item(in[0], 0);
    int rank = first->rank + p->new_axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    OX_TRY(check_items(&total, call, in[0], axis, p->new_axis));
    for (int i = 0, n = 0; i < rank; i++)
        dims[i] = i == axis && p->new_axis ? total : first->dims[n++];
    dims[axis] = total;
    OX_TRY(ox_sink_open(&sink, call->ctx, first->dtype, rank, dims));
    int64_t inner = ox_count_of(rank - axis - 1, dims + axis + 1), outer = ox_count_of(axis, dims);
    ox_status s = OX_OK;
    for (size_t i = 0; i < in[0]->count && s == OX_OK; i++) {
        const ox_tensor *t = ox_tensor_item(in[0], i);
        int64_t length = p->new_axis ? 1 : t->dims[axis];
        struct ox_view view;
        struct ox_strided loops = {0};
        s = ox_view_open(&view, call->ctx, t);
        if (s != OX_OK) break;
        ox_strided_add(&loops, outer, total * inner, length * inner);
        ox_strided_add(&loops, length * inner, 1, 1);
        if (t->count)
            ox_strided_copy(call->ctx, sink.data + (size_t)(at * inner) * sink.size, view.data,
                            view.size, &loops);
        ox_view_close(&view, call->ctx);
        at += length;
    }
    return ox_sink_close(&sink, call->ctx, s, out);
}

/* ---- optionals ------------------------------------------------------------------------------- */

ox_status ox_decode_optional(const struct ox_call *call, void *params) {
    struct ox_optional_params *p = params;
    const struct ox_attr *a = ox_attr_find(call, "type");
    if (a && a->type != OX_ATTR_TYPE_PROTO)
        return ox_bad_attr(call, "attribute 'type' must be a type");
    p->type = a ? a->v.tp : NULL;
    if (!a && call->n_in == 0) return ox_bad_attr(call, "an empty optional needs attribute 'type'");
    return OX_OK;
}

ox_status ox_infer_optional(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_optional_params *p = params;
    return list_type(&io->out[0], io, OX_TYPE_OPTIONAL,
                     call->n_in && io->in[0] ? io->in[0] : p->type);
}

ox_status ox_eval_optional(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    return list_of(&out[0], call, OX_OPTIONAL, call->n_in && in[0] ? 1 : 0, in);
}

ox_status ox_infer_optional_has_element(const struct ox_call *call, const void *params,
                                        struct ox_infer *io) {
    (void)call;
    (void)params;
    return ox_infer_tensor(io, 0, OX_BOOL, 0, NULL);
}

/* Since opset 18 the input may be absent, a tensor or a sequence, too. */
ox_status ox_eval_optional_has_element(const struct ox_call *call, const void *params,
                                       const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    const ox_tensor *t = call->n_in ? in[0] : NULL;
    unsigned char has = t && (t->dtype != OX_OPTIONAL || t->count > 0);
    return ox_tensor_copy(&out[0], call->ctx, OX_BOOL, 0, NULL, &has, 1);
}

ox_status ox_infer_optional_get_element(const struct ox_call *call, const void *params,
                                        struct ox_infer *io) {
    (void)call;
    (void)params;
    const struct ox_type *t = io->in[0];
    io->out[0] = t && t->kind == OX_TYPE_OPTIONAL ? elem_of(io, 0, OX_TYPE_OPTIONAL) : t;
    return OX_OK;
}

ox_status ox_eval_optional_get_element(const struct ox_call *call, const void *params,
                                       const ox_tensor *const *in, ox_tensor **out) {
    (void)params;
    const ox_tensor *t = in[0]->dtype == OX_OPTIONAL ? ox_tensor_item(in[0], 0) : in[0];
    if (!t) return ox_bad_shape(call, "the optional is empty");
    out[0] = ox_tensor_ref(t);
    return OX_OK;
}
