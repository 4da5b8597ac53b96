/* ir/ops/op_slice.c - Concat, Split, Slice: joining and cutting along axes. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/wide.h"

/* ---- Concat ---------------------------------------------------------------------------------- */

ox_status ox_decode_concat(const struct ox_call *call, void *params) {
    struct ox_concat_params *p = params;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 1));
    if (call->opset >= 4 && !ox_attr_find(call, "axis"))
        return ox_bad_attr(call, "Concat has no axis");
    return OX_OK;
}

/* Element type of the inputs together: known as soon as one is. */
static ox_status joined_dtype(ox_dtype *out, const struct ox_call *call,
                              const struct ox_infer *io) {
    size_t first = 0;
    *out = OX_UNDEFINED;
    for (size_t i = 0; i < call->n_in; i++) {
        ox_dtype dtype = ox_in_dtype(io, i);
        OX_TRY(ox_expect_same_dtype(call, first, *out, i, dtype));
        if (*out == OX_UNDEFINED && dtype != OX_UNDEFINED) {
            *out = dtype;
            first = i;
        }
    }
    return OX_OK;
}

static ox_status infer_joined_value(const struct ox_call *call, struct ox_infer *io) {
    ox_dim elems[OX_PARTIAL_MAX];
    size_t count = 0;
    bool some = false;
    for (size_t i = 0; i < call->n_in; i++)
        some = some || ox_in_value(io, i);
    for (size_t i = 0; some && i < call->n_in; i++) {
        const struct ox_partial *v;
        OX_TRY(ox_in_elems(&v, io, i));
        if (!v || v->rank != 1 || v->count > OX_PARTIAL_MAX - count) return OX_OK;
        memcpy(elems + count, v->elems, v->count * sizeof *elems);
        count += v->count;
    }
    return some ? ox_infer_value(io, 0, 1, count, elems) : OX_OK;
}

/* dims become those of the inputs that agree; the axis becomes the sum. */
static ox_status join_dims(ox_dim *dims, const struct ox_call *call, struct ox_infer *io, int axis,
                           int rank) {
    ox_dim sum = ox_dim_const(0);
    bool first = true;
    for (size_t i = 0; i < call->n_in; i++) {
        if (ox_in_rank(io, i) < 0) {
            ox_dim any;
            OX_TRY(ox_dim_unknown(&any, io->dims));
            OX_TRY(ox_dim_add(&sum, io->dims, sum, any));
            continue;
        }
        const ox_dim *d = io->in[i]->dims;
        OX_TRY(ox_dim_add(&sum, io->dims, sum, d[axis]));
        for (int k = 0; k < rank; k++) {
            if (first)
                dims[k] = d[k];
            else if (k != axis)
                OX_TRY(ox_dim_unify(&dims[k], call, d[k]));
        }
        first = false;
    }
    dims[axis] = sum;
    return OX_OK;
}

ox_status ox_infer_concat(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_concat_params *p = params;
    int rank = -1, axis;
    ox_dtype dtype;
    ox_dim dims[OX_MAX_RANK];
    OX_TRY(joined_dtype(&dtype, call, io));
    for (size_t i = 0; i < call->n_in; i++) {
        int r = ox_in_rank(io, i);
        if (r >= 0 && rank >= 0 && r != rank)
            return ox_bad_shape(call, "Concat of tensors of rank %d and %d", rank, r);
        if (r >= 0) rank = r;
    }
    if (rank < 0) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    OX_TRY(join_dims(dims, call, io, axis, rank));
    OX_TRY(ox_infer_tensor(io, 0, dtype, rank, dims));
    return rank == 1 ? infer_joined_value(call, io) : OX_OK;
}

/* Checks that all inputs fit and computes the output's dims. */
static ox_status concat_dims(int64_t *dims, int *axis, const struct ox_call *call,
                             const struct ox_concat_params *p, const ox_tensor *const *in) {
    const ox_tensor *x = in[0];
    OX_TRY(ox_axis(axis, call, "axis", p->axis, x->rank));
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    for (size_t i = 1; i < call->n_in; i++) {
        const ox_tensor *y = in[i];
        OX_TRY(ox_expect_same_dtype(call, 0, x->dtype, i, y->dtype));
        bool fits = y->rank == x->rank;
        for (int k = 0; fits && k < x->rank; k++)
            fits = k == *axis || y->dims[k] == x->dims[k];
        if (!fits || ox_add_i64(&dims[*axis], dims[*axis], y->dims[*axis]))
            return ox_bad_shape(call, "%s and %s cannot be joined along axis %d",
                                ox_dims_text(x->rank, x->dims).text,
                                ox_dims_text(y->rank, y->dims).text, *axis);
    }
    return OX_OK;
}

/* Copies x behind what stands in the sink so far along the axis. */
static ox_status append(struct ox_sink *sink, const struct ox_call *call, const ox_tensor *x,
                        int axis, int64_t *at, int64_t row) {
    struct ox_view view;
    struct ox_strided s = {.rank = 0};
    if (x->count == 0) return OX_OK;
    int64_t chunk = ox_count_of(x->rank - axis, x->dims + axis);
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_strided_add(&s, ox_count_of(axis, x->dims), row, chunk);
    ox_strided_add(&s, chunk, 1, 1);
    ox_strided_copy(call->ctx, sink->data + (size_t)*at * sink->size, view.data, sink->size, &s);
    ox_view_close(&view, call->ctx);
    *at += chunk;
    return OX_OK;
}

ox_status ox_eval_concat(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    int64_t dims[OX_MAX_RANK], at = 0;
    int axis, rank = in[0]->rank;
    struct ox_sink sink;
    OX_TRY(concat_dims(dims, &axis, call, params, in));
    if (call->n_in == 1) {
        out[0] = ox_tensor_ref(in[0]);
        return OX_OK;
    }
    OX_TRY(ox_sink_open(&sink, call->ctx, in[0]->dtype, rank, dims));
    ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && sink.count > 0 && i < call->n_in; i++)
        status = append(&sink, call, in[i], axis, &at, ox_count_of(rank - axis, dims + axis));
    return ox_sink_close(&sink, call->ctx, status, &out[0]);
}

/* ---- Split ----------------------------------------------------------------------------------- */

/* Element i as a size; -1 where it is none. */
static int64_t size_at(const ox_tensor *t, size_t i) {
    union ox_wide v;
    if (!(OX_FLOATS & OX_BIT(t->dtype))) return ox_tensor_int(t, i);
    size_t size = (size_t)ox_dtype_bits(t->dtype) / 8;
    ox_wide_load(&v, t->dtype, (const unsigned char *)t->data + i * size, 1, 1);
    return v.f >= 0 && v.f < 9e15 && v.f == (double)(int64_t)v.f ? (int64_t)v.f : -1;
}

/* Opset 1 had the sizes as an input of the data's type. */
static ox_status split_numbers(struct ox_split_params *p, const struct ox_call *call) {
    p->given = true;
    p->input = ox_const_input(call, 1);
    if (!p->input) return OX_OK;
    OX_TRY(
        ox_expect_dtype(call, 1, p->input->dtype, OX_FLOATS | OX_BIT(OX_INT32) | OX_BIT(OX_INT64)));
    if (p->input->rank > 1) return ox_bad_shape(call, "the sizes of Split are not a vector");
    p->count = p->input->count;
    return OX_OK;
}

ox_status ox_decode_split(const struct ox_call *call, void *params) {
    struct ox_split_params *p = params;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    if (call->opset < 2 && ox_has_input(call, 1)) return split_numbers(p, call);
    if (call->opset < 13) {
        OX_TRY(ox_attr_ints(&p->attr, &p->count, call, "split"));
        p->given = p->count != SIZE_MAX;
        if (ox_has_input(call, 1))
            return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                           "Split takes its sizes as an attribute in opset %d", call->opset);
        return OX_OK;
    }
    p->given = ox_has_input(call, 1);
    p->input = ox_const_input(call, 1);
    if (p->input) {
        OX_TRY(ox_expect_index(call, 1, p->input->dtype));
        if (p->input->rank > 1) return ox_bad_shape(call, "the sizes of Split are not a vector");
        p->count = p->input->count;
    }
    if (call->opset < 18) return OX_OK;
    OX_TRY(ox_attr_int(&p->parts, call, "num_outputs", 0));
    if (p->given && p->parts) return ox_bad_attr(call, "Split has both sizes and num_outputs");
    if (!p->given && (p->parts < 1 || (uint64_t)p->parts < call->n_out))
        return ox_bad_attr(call, "Split with num_outputs %lld has %zu outputs", (long long)p->parts,
                           call->n_out);
    return OX_OK;
}

static int64_t split_size(const struct ox_split_params *p, size_t i) {
    return p->attr ? p->attr[i] : size_at(p->input, i);
}

/* The sizes that are told: as many as outputs, none negative; *sum of all. */
static ox_status check_sizes(int64_t *sum, const struct ox_call *call,
                             const struct ox_split_params *p) {
    *sum = 0;
    if (p->count != call->n_out)
        return ox_bad_shape(call, "Split has %zu sizes and %zu outputs", p->count, call->n_out);
    for (size_t i = 0; i < p->count; i++)
        if (split_size(p, i) < 0 || ox_add_i64(sum, *sum, split_size(p, i)))
            return ox_bad_shape(call, "size %zu of Split is %lld", i, (long long)split_size(p, i));
    return OX_OK;
}

/* Size of part i of a dim of `total` where sizes are not told; false: it does not come out even. */
static bool equal_part(int64_t *size, const struct ox_call *call, const struct ox_split_params *p,
                       int64_t total, size_t i) {
    int64_t parts = p->parts ? p->parts : (int64_t)call->n_out;
    int64_t chunk = total / parts + (total % parts != 0), before;
    if (!p->parts && total % parts != 0) return false;
    if (ox_mul_i64(&before, chunk, (int64_t)i) || before > total) before = total;
    *size = total - before < chunk ? total - before : chunk;
    return true;
}

static ox_status equal_dim(ox_dim *out, const struct ox_call *call, struct ox_infer *io,
                           const struct ox_split_params *p, ox_dim total, size_t i) {
    int64_t parts = p->parts ? p->parts : (int64_t)call->n_out, size;
    if (ox_dim_is_const(total) && total.k >= 0) {
        if (!equal_part(&size, call, p, total.k, i))
            return ox_bad_shape(call, "a dim of %lld cannot be split evenly in %lld",
                                (long long)total.k, (long long)parts);
        *out = ox_dim_const(size);
        return OX_OK;
    }
    if (!p->parts) return ox_dim_floordiv(out, io->dims, total, ox_dim_const(parts));
    ox_dim chunk, rest;
    OX_TRY(ox_dim_ceildiv(&chunk, io->dims, total, ox_dim_const(parts)));
    OX_TRY(ox_dim_mul(&rest, io->dims, chunk, ox_dim_const((int64_t)i)));
    OX_TRY(ox_dim_sub(&rest, io->dims, total, rest));
    OX_TRY(ox_dim_min(out, io->dims, chunk, rest));
    return ox_dim_max(out, io->dims, *out, ox_dim_const(0));
}

/* Elements [begin, begin + size) of what is known of the input. */
static ox_status split_value(struct ox_infer *io, size_t i, ox_dim size, size_t *begin) {
    const struct ox_partial *v = ox_in_value(io, 0);
    if (!v || v->rank != 1 || !ox_dim_is_const(size)) return OX_OK;
    if (size.k < 0 || (size_t)size.k > v->count - *begin) return OX_OK;
    size_t from = *begin;
    *begin += (size_t)size.k;
    return ox_infer_value(io, i, 1, (size_t)size.k, v->elems + from);
}

ox_status ox_infer_split(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_split_params *p = params;
    const struct ox_partial *told = call->opset >= 13 && p->given ? ox_in_value(io, 1) : NULL;
    int rank = ox_in_rank(io, 0), axis;
    bool sized = p->attr || p->input;
    ox_dim dims[OX_MAX_RANK];
    int64_t sum;
    size_t begin = 0;
    if (sized) OX_TRY(check_sizes(&sum, call, p));
    if (told && told->count != call->n_out)
        return ox_bad_shape(call, "Split has %zu sizes and %zu outputs", told->count, call->n_out);
    if (rank >= 0) OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
    if (rank > 0) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    if (sized && rank >= 0 && ox_dim_is_const(dims[axis]) && dims[axis].k != sum)
        return ox_bad_shape(call, "sizes of Split sum to %lld, the dim is %lld", (long long)sum,
                            (long long)dims[axis].k);
    for (size_t i = 0; i < call->n_out; i++) {
        if (rank < 0) {
            OX_TRY(ox_infer_tensor(io, i, ox_in_dtype(io, 0), -1, NULL));
            continue;
        }
        if (sized)
            dims[axis] = ox_dim_const(split_size(p, i));
        else if (told)
            dims[axis] = told->elems[i];
        else if (p->given)
            OX_TRY(ox_dim_unknown(&dims[axis], io->dims));
        else
            OX_TRY(equal_dim(&dims[axis], call, io, p, io->in[0]->dims[axis], i));
        OX_TRY(ox_infer_tensor(io, i, ox_in_dtype(io, 0), rank, dims));
        if (rank == 1) OX_TRY(split_value(io, i, dims[0], &begin));
    }
    return OX_OK;
}

/* Part of x that starts `at` along the axis. */
static ox_status cut(ox_tensor **out, const struct ox_call *call, const struct ox_view *view,
                     const ox_tensor *x, int axis, int64_t at, int64_t size) {
    int64_t dims[OX_MAX_RANK];
    struct ox_sink sink;
    struct ox_strided s = {.rank = 0};
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    dims[axis] = size;
    OX_TRY(ox_sink_open(&sink, call->ctx, x->dtype, x->rank, dims));
    if (sink.count > 0) {
        int64_t inner = ox_count_of(x->rank - axis - 1, x->dims + axis + 1);
        ox_strided_add(&s, ox_count_of(axis, x->dims), size * inner, x->dims[axis] * inner);
        ox_strided_add(&s, size * inner, 1, 1);
        ox_strided_copy(call->ctx, sink.data, view->data + (size_t)(at * inner) * view->size,
                        view->size, &s);
    }
    return ox_sink_close(&sink, call->ctx, OX_OK, out);
}

ox_status ox_eval_split(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    const struct ox_split_params *p = params;
    const ox_tensor *x = in[0];
    int axis;
    int64_t at = 0, size = 0;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    if (p->given) {
        OX_TRY(check_sizes(&size, call, p));
        if (size != x->dims[axis])
            return ox_bad_shape(call, "sizes of Split sum to %lld, the dim is %lld",
                                (long long)size, (long long)x->dims[axis]);
    } else if (!equal_part(&size, call, p, x->dims[axis], 0)) {
        return ox_bad_shape(call, "a dim of %lld cannot be split evenly in %zu",
                            (long long)x->dims[axis], call->n_out);
    }
    struct ox_view view;
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < call->n_out; i++) {
        if (p->given)
            size = split_size(p, i);
        else
            (void)equal_part(&size, call, p, x->dims[axis], i); /* checked above for all */
        if (!call->wanted || call->wanted[i]) status = cut(&out[i], call, &view, x, axis, at, size);
        at += size;
    }
    ox_view_close(&view, call->ctx);
    return status;
}

/* ---- Slice ----------------------------------------------------------------------------------- */

ox_status ox_decode_slice(const struct ox_call *call, void *params) {
    struct ox_slice_params *p = params;
    if (call->opset < 10) {
        OX_TRY(ox_ints_attr(&p->starts, call, "starts"));
        OX_TRY(ox_ints_attr(&p->ends, call, "ends"));
        OX_TRY(ox_ints_attr(&p->axes, call, "axes"));
        if (!p->starts.given || !p->ends.given)
            return ox_bad_attr(call, "Slice has no starts or no ends");
    } else {
        if (call->n_in < 3)
            return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                           "Slice needs starts and ends");
        OX_TRY(ox_ints_input(&p->starts, call, 1));
        OX_TRY(ox_ints_input(&p->ends, call, 2));
        OX_TRY(ox_ints_input(&p->axes, call, 3));
        OX_TRY(ox_ints_input(&p->steps, call, 4));
    }
    for (int i = 0; i < p->steps.n; i++)
        if (p->steps.at[i] == 0) return ox_bad_attr(call, "step %d of Slice is 0", i);
    const struct ox_ints *first = &p->starts, *others[] = {&p->ends, &p->axes, &p->steps};
    for (size_t i = 0; i < 3; i++)
        if (first->known && others[i]->known && others[i]->n != first->n)
            return ox_bad_attr(call, "Slice has %d starts, but %d ends, axes or steps", first->n,
                               others[i]->n);
    return OX_OK;
}

/* Number of elements of a slice of a known dim, and where it begins. */
static int64_t slice_range(int64_t *start, int64_t dim, int64_t from, int64_t to, int64_t step) {
    int64_t s = from < 0 ? (from < -dim ? -1 : from + dim) : from;
    int64_t e = to < 0 ? (to < -dim ? -1 : to + dim) : to;
    int64_t last = step > 0 ? dim : dim - 1; /* the greatest that either is clamped to */
    s = s < 0 ? 0 : s;
    s = s > last ? last : s;
    e = e > last ? last : e;
    *start = s;
    uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    int64_t span = step > 0 ? e - s : s - e;
    return span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / by + 1);
}

/* A constant that is meant as "up to the end", however long the dim is. */
static bool is_far(ox_dim d) {
    return ox_dim_is_const(d) && (d.k >= INT32_MAX || d.k <= -INT32_MAX);
}

enum side { BEFORE_ZERO, FROM_ZERO, UNCLEAR };
static enum side side_of(ox_dim d) {
    if (ox_dim_is_const(d)) return d.k < 0 ? BEFORE_ZERO : FROM_ZERO;
    return ox_dim_ge(d, 0) ? FROM_ZERO : UNCLEAR;
}

/* max(0, ceil(length / step)). */
static ox_status stepped(ox_dim *out, struct ox_infer *io, ox_dim length, int64_t step) {
    OX_TRY(ox_dim_ceildiv(out, io->dims, length, ox_dim_const(step)));
    return ox_dim_max(out, io->dims, *out, ox_dim_const(0));
}

/* Length of dim[start:end:step], step > 0. Clamping the start from above and the end from below can
 * be left out: both only make lengths negative that the last step makes 0. */
static ox_status forward(ox_dim *out, struct ox_infer *io, ox_dim dim, ox_dim start, ox_dim end,
                         int64_t step) {
    enum side s = side_of(start), e = side_of(end);
    ox_dim length, stop = dim;
    if (s == UNCLEAR || e == UNCLEAR) return ox_dim_unknown(out, io->dims);
    if (e == BEFORE_ZERO)
        OX_TRY(ox_dim_add(&stop, io->dims, is_far(end) ? ox_dim_const(0) : dim,
                          is_far(end) ? ox_dim_const(0) : end));
    else if (!is_far(end))
        OX_TRY(ox_dim_min(&stop, io->dims, dim, end));
    if (is_far(start)) {
        if (s == FROM_ZERO) {
            *out = ox_dim_const(0);
            return OX_OK;
        }
        return stepped(out, io, stop, step);
    }
    if (s == BEFORE_ZERO) {
        /* stop - max(dim + start, 0) = min(stop - dim - start, stop) */
        OX_TRY(ox_dim_sub(&length, io->dims, stop, dim));
        OX_TRY(ox_dim_sub(&length, io->dims, length, start));
        OX_TRY(ox_dim_min(&length, io->dims, length, stop));
    } else {
        OX_TRY(ox_dim_sub(&length, io->dims, stop, start));
    }
    return stepped(out, io, length, step);
}

/* The same for step < 0: from min(start, dim - 1) down to, not including, max(end, -1). */
static ox_status backward(ox_dim *out, struct ox_infer *io, ox_dim dim, ox_dim start, ox_dim end,
                          int64_t step) {
    enum side s = side_of(start), e = side_of(end);
    ox_dim first, stop = ox_dim_const(-1), length;
    if (s == UNCLEAR || e == UNCLEAR || step == INT64_MIN || (s == BEFORE_ZERO && is_far(start)))
        return ox_dim_unknown(out, io->dims);
    OX_TRY(ox_dim_sub(&first, io->dims, dim, ox_dim_const(1)));
    if (s == BEFORE_ZERO) { /* clamped to 0, but an empty dim stays empty */
        ox_dim back;
        OX_TRY(ox_dim_add(&back, io->dims, dim, start));
        OX_TRY(ox_dim_max(&back, io->dims, back, ox_dim_const(0)));
        OX_TRY(ox_dim_min(&first, io->dims, first, back));
    } else if (!is_far(start)) {
        OX_TRY(ox_dim_min(&first, io->dims, first, start));
    }
    if (is_far(end) && e == FROM_ZERO) {
        *out = ox_dim_const(0);
        return OX_OK;
    }
    if (!is_far(end)) {
        if (e == BEFORE_ZERO) OX_TRY(ox_dim_add(&end, io->dims, dim, end));
        OX_TRY(ox_dim_max(&stop, io->dims, end, ox_dim_const(-1)));
    }
    OX_TRY(ox_dim_sub(&length, io->dims, first, stop));
    return stepped(out, io, length, -step);
}

static ox_status slice_dim(ox_dim *dim, struct ox_infer *io, ox_dim start, ox_dim end,
                           int64_t step) {
    if (ox_dim_is_const(*dim) && ox_dim_is_const(start) && ox_dim_is_const(end)) {
        int64_t at;
        *dim = ox_dim_const(slice_range(&at, dim->k, start.k, end.k, step));
        return OX_OK;
    }
    return step > 0 ? forward(dim, io, *dim, start, end, step)
                    : backward(dim, io, *dim, start, end, step);
}

/* Starts and ends in infer: what decode knows, or known in part. */
static ox_status bounds(const struct ox_partial **out, const struct ox_ints *ints,
                        struct ox_infer *io, size_t i, struct ox_partial *room, ox_dim *elems) {
    if (!ints->known) return ox_in_elems(out, io, i);
    for (int k = 0; k < ints->n; k++)
        elems[k] = ox_dim_const(ints->at[k]);
    *room = (struct ox_partial){1, (size_t)ints->n, elems};
    *out = room;
    return OX_OK;
}

/* What is known of the elements of a sliced vector. */
static ox_status slice_value(struct ox_infer *io, const struct ox_partial *starts,
                             const struct ox_partial *ends, int64_t step) {
    const struct ox_partial *v = ox_in_value(io, 0);
    ox_dim elems[OX_PARTIAL_MAX];
    if (!v || v->rank != 1 || !ox_dim_is_const(starts->elems[0]) ||
        !ox_dim_is_const(ends->elems[0]))
        return OX_OK;
    int64_t start,
        n = slice_range(&start, (int64_t)v->count, starts->elems[0].k, ends->elems[0].k, step);
    for (int64_t i = 0; i < n; i++)
        elems[i] = v->elems[start + i * step];
    return ox_infer_value(io, 0, 1, (size_t)n, elems);
}

ox_status ox_infer_slice(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_slice_params *p = params;
    struct ox_ints axes = ox_ints_late(&p->axes, io, 3), steps = ox_ints_late(&p->steps, io, 4);
    const struct ox_partial *starts, *ends;
    struct ox_partial rooms[2];
    ox_dim start_elems[OX_MAX_RANK], end_elems[OX_MAX_RANK], dims[OX_MAX_RANK];
    int rank = ox_in_rank(io, 0);
    if (rank < 0 || (axes.given && !axes.known))
        return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank);
    OX_TRY(bounds(&starts, &p->starts, io, 1, &rooms[0], start_elems));
    OX_TRY(bounds(&ends, &p->ends, io, 2, &rooms[1], end_elems));
    if (rank > 0) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    size_t n = starts ? starts->count : axes.known ? (size_t)axes.n : SIZE_MAX;
    if (n == SIZE_MAX) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), rank);
    if (n > (size_t)rank || (ends && ends->count != n) || (axes.known && (size_t)axes.n != n) ||
        (steps.known && (size_t)steps.n != n))
        return ox_bad_shape(
            call, "Slice of rank %d with %zu starts, and ends, axes or steps that do not fit", rank,
            n);
    if (axes.known) OX_TRY(ox_axes_resolve(&axes, call, rank));
    for (size_t i = 0; i < n; i++) {
        int64_t axis = axes.known ? axes.at[i] : (int64_t)i, step = steps.known ? steps.at[i] : 1;
        if (step == 0) return ox_bad_attr(call, "step %zu of Slice is 0", i);
        if (!starts || !ends || (steps.given && !steps.known))
            OX_TRY(ox_dim_unknown(&dims[axis], io->dims));
        else
            OX_TRY(slice_dim(&dims[axis], io, starts->elems[i], ends->elems[i], step));
    }
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims));
    if (rank != 1 || !starts || !ends || (steps.given && !steps.known)) return OX_OK;
    if (n == 0) return ox_infer_pass_value(io);
    return slice_value(io, starts, ends, steps.known ? steps.at[0] : 1);
}

ox_status ox_eval_slice(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    const struct ox_slice_params *p = params;
    const ox_tensor *x = in[0];
    struct ox_ints axes = p->axes;
    int64_t dims[OX_MAX_RANK], from[OX_MAX_RANK], to[OX_MAX_RANK], first = 0;
    int64_t starts[OX_MAX_RANK] = {0}, steps[OX_MAX_RANK];
    if (p->starts.n > x->rank)
        return ox_bad_shape(call, "Slice of rank %d with %d starts", x->rank, p->starts.n);
    OX_TRY(ox_axes_resolve(&axes, call, x->rank));
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i];
        steps[i] = 1;
    }
    for (int i = 0; i < p->starts.n; i++) {
        int axis = axes.given ? (int)axes.at[i] : i;
        steps[axis] = p->steps.given ? p->steps.at[i] : 1;
        dims[axis] =
            slice_range(&starts[axis], x->dims[axis], p->starts.at[i], p->ends.at[i], steps[axis]);
    }
    struct ox_view view;
    struct ox_sink sink;
    struct ox_strided s = {.rank = 0};
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_sink_open(&sink, call->ctx, x->dtype, x->rank, dims);
    if (status == OX_OK && sink.count > 0) {
        ox_row_major(from, x->rank, x->dims);
        ox_row_major(to, x->rank, dims);
        for (int i = 0; i < x->rank; i++) {
            first += starts[i] * from[i];
            ox_strided_add(&s, dims[i], to[i], dims[i] == 1 ? 0 : from[i] * steps[i]);
        }
        ox_strided_copy(call->ctx, sink.data, view.data + (size_t)first * view.size, view.size, &s);
    }
    if (status == OX_OK) status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    ox_view_close(&view, call->ctx);
    return status;
}
