/* ir/ops/op_shape.c - Shape, Size, Reshape, Flatten, Squeeze, Unsqueeze: no element is touched. */
#include "ir/ops/op_args.h"
#include "ir/ops/op_priv.h"

/* ---- Shape and Size -------------------------------------------------------------------------- */

ox_status ox_decode_shape(const struct ox_call *call, void *params) {
    struct ox_shape_params *p = params;
    p->start = 0;
    p->end = INT64_MAX;
    if (call->opset < 15) return OX_OK;
    OX_TRY(ox_attr_int(&p->start, call, "start", 0));
    return ox_attr_int(&p->end, call, "end", INT64_MAX);
}

/* The range as numbers in [0, rank], end not before start. */
static void shape_range(int *start, int *end, const struct ox_shape_params *p, int rank) {
    int64_t s = p->start < 0 ? p->start + rank : p->start;
    int64_t e = p->end < 0 ? p->end + rank : p->end;
    s = s < 0 ? 0 : s > rank ? rank : s;
    e = e < s ? s : e > rank ? rank : e;
    *start = (int)s;
    *end = (int)e;
}

ox_status ox_infer_shape(const struct ox_call *call, const void *params, struct ox_infer *io) {
    int rank = ox_in_rank(io, 0), start, end;
    (void)call;
    if (rank < 0) return ox_infer_rank(io, 0, OX_INT64, 1);
    shape_range(&start, &end, params, rank);
    ox_dim count = ox_dim_const(end - start);
    OX_TRY(ox_infer_tensor(io, 0, OX_INT64, 1, &count));
    if (start == end) return ox_infer_value(io, 0, 1, 0, NULL);
    return ox_infer_value(io, 0, 1, (size_t)(end - start), io->in[0]->dims + start);
}

ox_status ox_eval_shape(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    int start, end;
    shape_range(&start, &end, params, in[0]->rank);
    int64_t count = end - start;
    return ox_tensor_copy(&out[0], call->ctx, OX_INT64, 1, &count, in[0]->dims + start,
                          (size_t)count * sizeof count);
}

ox_status ox_infer_size(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)call;
    (void)params;
    OX_TRY(ox_infer_tensor(io, 0, OX_INT64, 0, NULL));
    if (ox_in_rank(io, 0) < 0) return OX_OK;
    ox_dim product;
    OX_TRY(ox_dim_product(&product, io, io->in[0]->dims, io->in[0]->rank));
    return ox_infer_value(io, 0, 0, 1, &product);
}

ox_status ox_eval_size(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    int64_t count = (int64_t)in[0]->count;
    (void)params;
    return ox_tensor_copy(&out[0], call->ctx, OX_INT64, 0, NULL, &count, sizeof count);
}

/* ---- Reshape --------------------------------------------------------------------------------- */

ox_status ox_decode_reshape(const struct ox_call *call, void *params) {
    struct ox_reshape_params *p = params;
    int64_t allowzero = 0;
    if (call->opset < 5) {
        OX_TRY(ox_ints_attr(&p->shape, call, "shape"));
    } else {
        if (!ox_has_input(call, 1))
            return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                           "Reshape has no shape input");
        OX_TRY(ox_ints_input(&p->shape, call, 1));
    }
    if (call->opset >= 14) OX_TRY(ox_attr_int(&allowzero, call, "allowzero", 0));
    p->allowzero = allowzero != 0;
    /* Before opset 5 the attribute may be left out; that leaves the shape as it is: see eval. */
    bool zero = false;
    int inferred = 0;
    for (int i = 0; p->shape.known && i < p->shape.n; i++) {
        if (p->shape.at[i] < -1)
            return ox_bad_shape(call, "element %d of Reshape's shape is %lld", i,
                                (long long)p->shape.at[i]);
        inferred += p->shape.at[i] == -1;
        zero = zero || p->shape.at[i] == 0;
    }
    if (inferred > 1) return ox_bad_shape(call, "Reshape's shape has -1 more than once");
    if (inferred && zero && p->allowzero)
        return ox_bad_shape(call, "Reshape's shape has both 0 and -1 although allowzero is set");
    return OX_OK;
}

/* What the shape's elements say, before -1 is resolved. */
struct reshape {
    int rank, inferred; /* position of -1, or -1 */
    bool open;          /* some element may turn out to be -1 or 0 */
    ox_dim dims[OX_MAX_RANK];
    bool copied[OX_MAX_RANK]; /* taken from the input at the same place */
};

static ox_status reshape_elem(struct reshape *r, const struct ox_call *call, struct ox_infer *io,
                              bool allowzero, int i, ox_dim elem) {
    int rank = ox_in_rank(io, 0);
    r->dims[i] = elem;
    if (ox_dim_is_const(elem) && elem.k == -1) {
        if (r->inferred >= 0) return ox_bad_shape(call, "Reshape's shape has -1 more than once");
        r->inferred = i;
    } else if (ox_dim_is_const(elem) && elem.k < 0) {
        return ox_bad_shape(call, "element %d of Reshape's shape is %lld", i, (long long)elem.k);
    } else if (ox_dim_is_const(elem) && elem.k == 0 && !allowzero) {
        if (rank >= 0 && i >= rank)
            return ox_bad_shape(call, "Reshape's shape copies dim %d of an input of rank %d", i,
                                rank);
        r->copied[i] = rank >= 0;
        r->open = r->open || rank < 0;
        if (rank < 0) return ox_dim_unknown(&r->dims[i], io->dims);
        r->dims[i] = io->in[0]->dims[i];
    } else if (!ox_dim_is_const(elem) && !ox_dim_ge(elem, 0)) {
        r->open = true; /* may be -1 */
        return ox_dim_unknown(&r->dims[i], io->dims);
    }
    return OX_OK;
}

/* product(input) / product(other dims), leaving out what is copied on both sides. */
static ox_status resolve_inferred(struct reshape *r, const struct ox_call *call,
                                  struct ox_infer *io) {
    const struct ox_type *x = io->in[0];
    ox_dim whole = ox_dim_const(1), rest = ox_dim_const(1);
    if (ox_in_rank(io, 0) < 0 || r->open) return ox_dim_unknown(&r->dims[r->inferred], io->dims);
    for (int i = 0; i < x->rank; i++)
        if (i >= r->rank || !r->copied[i]) OX_TRY(ox_dim_mul(&whole, io->dims, whole, x->dims[i]));
    for (int i = 0; i < r->rank; i++)
        if (i != r->inferred && !r->copied[i])
            OX_TRY(ox_dim_mul(&rest, io->dims, rest, r->dims[i]));
    if (ox_dim_is_const(rest) && rest.k == 0)
        return ox_dim_unknown(&r->dims[r->inferred], io->dims);
    if (ox_dim_is_const(rest) && ox_dim_is_const(whole) && whole.k % rest.k != 0)
        return ox_bad_shape(call, "%lld elements of %s cannot be reshaped to rows of %lld",
                            (long long)whole.k, ox_sym_dims_text(x->rank, x->dims).text,
                            (long long)rest.k);
    return ox_dim_floordiv(&r->dims[r->inferred], io->dims, whole, rest);
}

static ox_status check_counts(const struct ox_call *call, const struct ox_type *from,
                              const struct ox_type *to) {
    int64_t a = ox_type_count(from), b = ox_type_count(to);
    bool too_many = a >= 0 && b < 0 && ox_type_is_static(to); /* more than can be counted */
    if (!too_many && (a < 0 || b < 0 || a == b)) return OX_OK;
    return ox_bad_shape(call, "%s cannot be reshaped to %s",
                        ox_sym_dims_text(from->rank, from->dims).text,
                        ox_sym_dims_text(to->rank, to->dims).text);
}

static ox_status infer_reshape(const struct ox_call *call, struct ox_infer *io, bool allowzero,
                               size_t count, const ox_dim *elems) {
    struct reshape r = {.rank = (int)count, .inferred = -1};
    if (count > OX_MAX_RANK) return ox_bad_shape(call, "Reshape to rank %zu", count);
    for (int i = 0; i < r.rank; i++)
        OX_TRY(reshape_elem(&r, call, io, allowzero, i, elems[i]));
    if (r.inferred >= 0) OX_TRY(resolve_inferred(&r, call, io));
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), r.rank, r.dims));
    OX_TRY(check_counts(call, io->in[0], io->out[0]));
    return ox_infer_pass_value(io);
}

ox_status ox_infer_reshape(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_reshape_params *p = params;
    if (call->opset < 5) {
        if (!p->shape.given) return ox_infer_same(io, 0, 0);
        ox_dim elems[OX_MAX_RANK];
        for (int i = 0; i < p->shape.n; i++)
            elems[i] = ox_dim_const(p->shape.at[i]);
        return infer_reshape(call, io, false, (size_t)p->shape.n, elems);
    }
    const struct ox_partial *shape;
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 0, 1));
    OX_TRY(ox_in_elems(&shape, io, 1));
    if (!shape) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    return infer_reshape(call, io, p->allowzero, shape->count, shape->elems);
}

/* Resolves 0 and -1 against the dims of x. */
static ox_status reshape_dims(int64_t *dims, const struct ox_call *call,
                              const struct ox_reshape_params *p, const ox_tensor *x) {
    int inferred = -1;
    int64_t rest = 1;
    for (int i = 0; i < p->shape.n; i++) {
        dims[i] = p->shape.at[i];
        if (dims[i] == -1) {
            inferred = i;
            continue;
        }
        if (dims[i] == 0 && !p->allowzero) {
            if (i >= x->rank)
                return ox_bad_shape(call, "Reshape's shape copies dim %d of an input of rank %d", i,
                                    x->rank);
            dims[i] = x->dims[i];
        }
        if (ox_mul_i64(&rest, rest, dims[i]) && inferred < 0)
            rest = 0; /* fails below or on making it */
    }
    if (inferred < 0) return OX_OK;
    if (rest <= 0 || x->count % (size_t)rest != 0)
        return ox_bad_shape(call, "%s cannot be reshaped to %s",
                            ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(p->shape.n, p->shape.at).text);
    dims[inferred] = (int64_t)(x->count / (size_t)rest);
    return OX_OK;
}

/* The same elements under other dims; a diagnostic that shows both where the counts differ. */
static ox_status reshaped(ox_tensor **out, const struct ox_call *call, const ox_tensor *x, int rank,
                          const int64_t *dims) {
    size_t count;
    if (ox_shape_size(&count, NULL, x->dtype, rank, dims) || count != x->count)
        return ox_bad_shape(call, "%s cannot be reshaped to %s",
                            ox_dims_text(x->rank, x->dims).text, ox_dims_text(rank, dims).text);
    return ox_tensor_reshape(out, call->ctx, x, rank, dims);
}

ox_status ox_eval_reshape(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_reshape_params *p = params;
    int64_t dims[OX_MAX_RANK];
    if (!p->shape.given) {
        out[0] = ox_tensor_ref(in[0]);
        return OX_OK;
    }
    OX_TRY(reshape_dims(dims, call, p, in[0]));
    return reshaped(&out[0], call, in[0], p->shape.n, dims);
}

/* ---- Flatten --------------------------------------------------------------------------------- */

ox_status ox_decode_flatten(const struct ox_call *call, void *params) {
    struct ox_flatten_params *p = params;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 1));
    if (call->opset < 11 && p->axis < 0)
        return ox_bad_attr(call, "Flatten's axis is %lld; negative ones came with opset 11",
                           (long long)p->axis);
    return OX_OK;
}

/* Number of dims that go to the left. */
static ox_status flatten_axis(int *axis, const struct ox_call *call,
                              const struct ox_flatten_params *p, int rank) {
    if (p->axis == rank) {
        *axis = rank;
        return OX_OK;
    }
    return ox_axis(axis, call, "axis", p->axis, rank);
}

ox_status ox_infer_flatten(const struct ox_call *call, const void *params, struct ox_infer *io) {
    int rank = ox_in_rank(io, 0), axis;
    if (rank < 0) return ox_infer_rank(io, 0, ox_in_dtype(io, 0), 2);
    OX_TRY(flatten_axis(&axis, call, params, rank));
    ox_dim dims[2];
    OX_TRY(ox_dim_product(&dims[0], io, io->in[0]->dims, axis));
    OX_TRY(ox_dim_product(&dims[1], io, axis < rank ? io->in[0]->dims + axis : NULL, rank - axis));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), 2, dims);
}

ox_status ox_eval_flatten(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0];
    int axis;
    OX_TRY(flatten_axis(&axis, call, params, x->rank));
    int64_t dims[2] = {1, 1};
    for (int i = 0; i < x->rank; i++)
        if (ox_mul_i64(&dims[i >= axis], dims[i >= axis], x->dims[i])) /* beside a dim of 0 */
            return ox_bad_shape(call, "%s is too large to flatten",
                                ox_dims_text(x->rank, x->dims).text);
    return reshaped(&out[0], call, x, 2, dims);
}

/* ---- Squeeze and Unsqueeze ------------------------------------------------------------------- */

static ox_status decode_axes(struct ox_ints *axes, const struct ox_call *call) {
    if (call->opset >= 13) return ox_ints_input(axes, call, 1);
    return ox_ints_attr(axes, call, "axes");
}

ox_status ox_decode_squeeze(const struct ox_call *call, void *params) {
    return decode_axes(&((struct ox_squeeze_params *)params)->axes, call);
}

ox_status ox_decode_unsqueeze(const struct ox_call *call, void *params) {
    struct ox_unsqueeze_params *p = params;
    OX_TRY(decode_axes(&p->axes, call));
    if (!p->axes.given) return ox_bad_attr(call, "Unsqueeze has no axes");
    return OX_OK;
}

/* Without axes: whether dim i goes; false in *sure where that cannot be told. */
static bool is_one(ox_dim d, bool *sure) {
    if (ox_dim_is_const(d)) return d.k == 1;
    if (!ox_dim_ge(d, 2)) *sure = false;
    return false;
}

ox_status ox_infer_squeeze(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_squeeze_params *p = params;
    struct ox_ints axes = ox_ints_late(&p->axes, io, 1);
    int rank = ox_in_rank(io, 0), kept = 0;
    bool gone[OX_MAX_RANK] = {0}, sure = true;
    ox_dim dims[OX_MAX_RANK];
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    if (axes.given && !axes.known) { /* no axis is named twice */
        int n = ox_ints_count(&axes, io, 1);
        return ox_infer_rank(io, 0, ox_in_dtype(io, 0), n < 0 || n > rank ? -1 : rank - n);
    }
    if (axes.given) OX_TRY(ox_axes_resolve(&axes, call, rank));
    for (int i = 0; i < rank && !axes.given; i++)
        gone[i] = is_one(io->in[0]->dims[i], &sure);
    for (int i = 0; i < axes.n; i++) {
        ox_dim d = io->in[0]->dims[axes.at[i]];
        if ((ox_dim_is_const(d) && d.k != 1) || ox_dim_ge(d, 2))
            return ox_bad_shape(call, "Squeeze of axis %lld of %s, which is not 1",
                                (long long)axes.at[i],
                                ox_sym_dims_text(rank, io->in[0]->dims).text);
        gone[axes.at[i]] = true;
    }
    if (!sure) io->why = "without axes, whether an axis goes hangs on a dim that may be 1";
    if (!sure) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    for (int i = 0; i < rank; i++)
        if (!gone[i]) dims[kept++] = io->in[0]->dims[i];
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), kept, dims));
    return ox_infer_pass_value(io);
}

ox_status ox_eval_squeeze(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_squeeze_params *p = params;
    const ox_tensor *x = in[0];
    struct ox_ints axes = p->axes;
    bool gone[OX_MAX_RANK] = {0};
    int64_t dims[OX_MAX_RANK];
    int kept = 0;
    if (axes.given) OX_TRY(ox_axes_resolve(&axes, call, x->rank));
    for (int i = 0; i < x->rank && !axes.given; i++)
        gone[i] = x->dims[i] == 1;
    for (int i = 0; i < axes.n; i++) {
        if (x->dims[axes.at[i]] != 1)
            return ox_bad_shape(call, "Squeeze of axis %lld of %s, which is not 1",
                                (long long)axes.at[i], ox_dims_text(x->rank, x->dims).text);
        gone[axes.at[i]] = true;
    }
    for (int i = 0; i < x->rank; i++)
        if (!gone[i]) dims[kept++] = x->dims[i];
    return reshaped(&out[0], call, x, kept, dims);
}

/* Marks where the new dims stand in the output. */
static ox_status unsqueeze_places(bool *added, const struct ox_call *call, struct ox_ints *axes,
                                  int rank) {
    if (rank + axes->n > OX_MAX_RANK)
        return ox_bad_shape(call, "Unsqueeze to rank %d", rank + axes->n);
    OX_TRY(ox_axes_resolve(axes, call, rank + axes->n));
    for (int i = 0; i < axes->n; i++)
        added[axes->at[i]] = true;
    return OX_OK;
}

ox_status ox_infer_unsqueeze(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_unsqueeze_params *p = params;
    struct ox_ints axes = ox_ints_late(&p->axes, io, 1);
    int rank = ox_in_rank(io, 0), from = 0;
    bool added[OX_MAX_RANK] = {0};
    ox_dim dims[OX_MAX_RANK];
    if (rank < 0 || !axes.known) {
        int n = ox_ints_count(&axes, io, 1);
        return ox_infer_rank(io, 0, ox_in_dtype(io, 0),
                             rank < 0 || n < 0 || n > OX_MAX_RANK - rank ? -1 : rank + n);
    }
    OX_TRY(unsqueeze_places(added, call, &axes, rank));
    for (int i = 0; i < rank + axes.n; i++)
        dims[i] = added[i] ? ox_dim_const(1) : io->in[0]->dims[from++];
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank + axes.n, dims));
    return ox_infer_pass_value(io);
}

ox_status ox_eval_unsqueeze(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_unsqueeze_params *p = params;
    const ox_tensor *x = in[0];
    struct ox_ints axes = p->axes;
    bool added[OX_MAX_RANK] = {0};
    int64_t dims[OX_MAX_RANK];
    int from = 0;
    OX_TRY(unsqueeze_places(added, call, &axes, x->rank));
    for (int i = 0; i < x->rank + axes.n; i++)
        dims[i] = added[i] ? 1 : x->dims[from++];
    return reshaped(&out[0], call, x, x->rank + axes.n, dims);
}
