/* ir/ops/op_constant.c - operators that make tensors from little: Constant, ConstantOfShape, Range,
 * EyeLike. */
#include "ir/ops/mover.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/wide.h"
#include <math.h>

/* ---- Constant -------------------------------------------------------------------------------- */

ox_status ox_decode_constant(const struct ox_call *call, void *params) {
    static const struct {
        const char *name;
        enum ox_attr_type type;
        int since;
    } forms[] = {{"value", OX_ATTR_TENSOR, 1},         {"sparse_value", OX_ATTR_SPARSE_TENSOR, 11},
                 {"value_float", OX_ATTR_FLOAT, 12},   {"value_floats", OX_ATTR_FLOATS, 12},
                 {"value_int", OX_ATTR_INT, 12},       {"value_ints", OX_ATTR_INTS, 12},
                 {"value_string", OX_ATTR_STRING, 12}, {"value_strings", OX_ATTR_STRINGS, 12}};
    struct ox_constant_params *p = params;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct ox_attr *attr = ox_attr_find(call, forms[i].name);
        if (!attr) continue;
        if (p->value) return ox_bad_attr(call, "Constant has more than one value");
        if (attr->ref || attr->type != forms[i].type)
            return ox_bad_attr(call, "attribute '%s' of Constant is of another type",
                               forms[i].name);
        if (call->opset < forms[i].since)
            return ox_bad_attr(call, "attribute '%s' of Constant came with opset %d", forms[i].name,
                               forms[i].since);
        p->value = attr;
    }
    if (!p->value) return ox_bad_attr(call, "Constant has no value");
    return OX_OK;
}

static ox_status infer_ints(struct ox_infer *io, int rank, size_t count, const int64_t *ints) {
    ox_dim elems[OX_PARTIAL_MAX];
    if (count > OX_PARTIAL_MAX) return OX_OK;
    for (size_t i = 0; i < count; i++)
        elems[i] = ox_dim_const(ints[i]);
    return ox_infer_value(io, 0, rank, count, elems);
}

static ox_status infer_sparse(const struct ox_call *call, struct ox_infer *io,
                              const struct ox_sparse *sparse) {
    ox_dim dims[OX_MAX_RANK];
    if (!sparse || !sparse->values || sparse->rank < 0 || sparse->rank > OX_MAX_RANK)
        return ox_bad_attr(call, "attribute 'sparse_value' is incomplete");
    for (int i = 0; i < sparse->rank; i++)
        dims[i] = ox_dim_const(sparse->dims[i]);
    return ox_infer_tensor(io, 0, sparse->values->dtype, sparse->rank, dims);
}

ox_status ox_infer_constant(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_attr *a = ((const struct ox_constant_params *)params)->value;
    ox_dim count = ox_dim_const((int64_t)a->count);
    switch (a->type) {
    case OX_ATTR_FLOAT:
        return ox_infer_tensor(io, 0, OX_FLOAT, 0, NULL);
    case OX_ATTR_FLOATS:
        return ox_infer_tensor(io, 0, OX_FLOAT, 1, &count);
    case OX_ATTR_STRING:
        return ox_infer_tensor(io, 0, OX_STRING, 0, NULL);
    case OX_ATTR_STRINGS:
        return ox_infer_tensor(io, 0, OX_STRING, 1, &count);
    case OX_ATTR_INT:
        OX_TRY(ox_infer_tensor(io, 0, OX_INT64, 0, NULL));
        return infer_ints(io, 0, 1, &a->v.i);
    case OX_ATTR_INTS:
        OX_TRY(ox_infer_tensor(io, 0, OX_INT64, 1, &count));
        return infer_ints(io, 1, a->count, a->v.ints);
    case OX_ATTR_SPARSE_TENSOR:
        return infer_sparse(call, io, a->v.sparse ? a->v.sparse[0] : NULL);
    default:
        break;
    }
    const ox_tensor *t = a->v.t;
    OX_TRY(ox_type_of(&io->out[0], io->arena, t));
    if ((t->dtype != OX_INT64 && t->dtype != OX_INT32) || t->rank > 1 || t->count > OX_PARTIAL_MAX)
        return OX_OK;
    ox_dim elems[OX_PARTIAL_MAX];
    for (size_t i = 0; i < t->count; i++)
        elems[i] = ox_dim_const(ox_tensor_int(t, i));
    return ox_infer_value(io, 0, t->rank, t->count, elems);
}

/* Position in the dense tensor of the i-th value, or -1 where it lies outside. */
static int64_t sparse_position(const struct ox_sparse *s, const int64_t *strides, size_t i,
                               size_t total) {
    int64_t at = 0;
    if (s->indices->rank == 1) {
        at = ox_tensor_int(s->indices, i);
        return at >= 0 && (size_t)at < total ? at : -1;
    }
    for (int d = 0; d < s->rank; d++) {
        int64_t index = ox_tensor_int(s->indices, i * (size_t)s->rank + (size_t)d);
        if (index < 0 || index >= s->dims[d]) return -1;
        at += index * strides[d];
    }
    return at;
}

static ox_status sparse_bad(ox_ctx *ctx, const char *what) {
    return ox_fail(ctx, OX_INVALID, "bad-tensor", NULL, "a sparse tensor %s", what);
}

static ox_status spread(ox_ctx *ctx, const struct ox_sparse *s, const struct ox_view *values,
                        struct ox_sink *sink) {
    int64_t strides[OX_MAX_RANK];
    ox_row_major(strides, s->rank, s->dims);
    for (size_t i = 0; i < s->values->count; i++) {
        int64_t at = sparse_position(s, strides, i, sink->count);
        if (at < 0) return sparse_bad(ctx, "has an index out of range");
        memcpy(sink->data + (size_t)at * sink->size, values->data + i * sink->size, sink->size);
    }
    return OX_OK;
}

ox_status ox_sparse_expand(ox_tensor **out, ox_ctx *ctx, const struct ox_sparse *s) {
    if (!s || !s->values || !s->indices || s->indices->dtype != OX_INT64 || s->values->rank != 1 ||
        s->rank < 0 || s->rank > OX_MAX_RANK)
        return sparse_bad(ctx, "is incomplete");
    const ox_tensor *at = s->indices;
    size_t n = s->values->count;
    bool linear = at->rank == 1 && at->count == n;
    bool tuples = at->rank == 2 && at->dims[0] == (int64_t)n && at->dims[1] == s->rank;
    if (!linear && !tuples)
        return sparse_bad(ctx, "has indices and values that do not fit each other");
    struct ox_view values;
    struct ox_sink sink;
    OX_TRY(ox_view_open(&values, ctx, s->values));
    ox_status status = ox_sink_open(&sink, ctx, s->values->dtype, s->rank, s->dims);
    if (status == OX_OK) status = ox_sink_close(&sink, ctx, spread(ctx, s, &values, &sink), out);
    ox_view_close(&values, ctx);
    return status;
}

ox_status ox_eval_constant(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_attr *a = ((const struct ox_constant_params *)params)->value;
    int64_t count = (int64_t)a->count;
    ox_ctx *ctx = call->ctx;
    (void)in;
    switch (a->type) {
    case OX_ATTR_FLOAT:
        return ox_tensor_copy(out, ctx, OX_FLOAT, 0, NULL, &a->v.f, sizeof a->v.f);
    case OX_ATTR_FLOATS:
        return ox_tensor_copy(out, ctx, OX_FLOAT, 1, &count, a->v.floats, a->count * sizeof(float));
    case OX_ATTR_INT:
        return ox_tensor_copy(out, ctx, OX_INT64, 0, NULL, &a->v.i, sizeof a->v.i);
    case OX_ATTR_INTS:
        return ox_tensor_copy(out, ctx, OX_INT64, 1, &count, a->v.ints, a->count * sizeof(int64_t));
    case OX_ATTR_STRING:
        return ox_tensor_strings(out, ctx, 0, NULL, &a->v.s);
    case OX_ATTR_STRINGS:
        return ox_tensor_strings(out, ctx, 1, &count, a->v.strings);
    case OX_ATTR_SPARSE_TENSOR:
        return ox_sparse_expand(out, call->ctx, a->v.sparse ? a->v.sparse[0] : NULL);
    default:
        out[0] = ox_tensor_ref(a->v.t);
        return OX_OK;
    }
}

/* ---- ConstantOfShape ------------------------------------------------------------------------- */

ox_status ox_decode_constant_of_shape(const struct ox_call *call, void *params) {
    struct ox_constant_of_shape_params *p = params;
    OX_TRY(ox_attr_tensor(&p->value, call, "value"));
    if (p->value && p->value->count != 1)
        return ox_bad_attr(call, "the value of ConstantOfShape has %zu elements, expected one",
                           p->value->count);
    return OX_OK;
}

/* The output's elements where the value is an integer and the shape is a short vector. */
static ox_status fill_value(const struct ox_call *call, const ox_tensor *value,
                            struct ox_infer *io) {
    const struct ox_type *t = io->out[0];
    int64_t count = ox_type_count(t), v;
    ox_dim elems[OX_PARTIAL_MAX];
    if (!value || t->rank > 1 || count < 0 || count > OX_PARTIAL_MAX) return OX_OK;
    if (value->dtype != OX_INT64 && value->dtype != OX_INT32) return OX_OK;
    OX_TRY(ox_scalar_int(&v, call, "the value", value));
    for (int64_t i = 0; i < count; i++)
        elems[i] = ox_dim_const(v);
    return ox_infer_value(io, 0, t->rank, (size_t)count, elems);
}

ox_status ox_infer_constant_of_shape(const struct ox_call *call, const void *params,
                                     struct ox_infer *io) {
    const struct ox_constant_of_shape_params *p = params;
    const struct ox_partial *shape;
    ox_dtype dtype = p->value ? p->value->dtype : OX_FLOAT;
    ox_dim dims[OX_MAX_RANK];
    OX_TRY(ox_expect_index(call, 0, ox_in_dtype(io, 0)));
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 0, 1));
    OX_TRY(ox_in_elems(&shape, io, 0));
    if (!shape) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    if (shape->count > OX_MAX_RANK)
        return ox_bad_shape(call, "ConstantOfShape of rank %zu", shape->count);
    for (size_t i = 0; i < shape->count; i++) {
        dims[i] = shape->elems[i];
        if (ox_dim_is_const(dims[i]) && dims[i].k < 0)
            return ox_bad_shape(call, "a dim of ConstantOfShape is %lld", (long long)dims[i].k);
    }
    OX_TRY(ox_infer_tensor(io, 0, dtype, (int)shape->count, dims));
    return fill_value(call, p->value, io);
}

/* A vector of sizes as dims. */
static ox_status read_dims(int *rank, int64_t *dims, const struct ox_call *call,
                           const ox_tensor *t) {
    OX_TRY(ox_expect_index(call, 0, t->dtype));
    if (t->rank > 1 || t->count > OX_MAX_RANK)
        return ox_bad_shape(call, "a shape must be a vector of at most %d numbers", OX_MAX_RANK);
    *rank = (int)t->count;
    for (int i = 0; i < *rank; i++) {
        dims[i] = ox_tensor_int(t, (size_t)i);
        if (dims[i] < 0) return ox_bad_shape(call, "a dim of a shape is %lld", (long long)dims[i]);
    }
    return OX_OK;
}

struct fill {
    unsigned char *data;
    const void *value;
    size_t size;
};

static void fill_range(void *arg, size_t begin, size_t end) {
    const struct fill *f = arg;
    ox_fill(f->data + begin * f->size, f->value, f->size, end - begin);
}

ox_status ox_eval_constant_of_shape(const struct ox_call *call, const void *params,
                                    const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_constant_of_shape_params *p = params;
    int64_t dims[OX_MAX_RANK];
    int rank;
    struct ox_sink sink;
    struct ox_view value;
    OX_TRY(read_dims(&rank, dims, call, in[0]));
    if (!p->value) return ox_tensor_new(&out[0], NULL, call->ctx, OX_FLOAT, rank, dims);
    OX_TRY(ox_view_open(&value, call->ctx, p->value));
    ox_status status = ox_sink_open(&sink, call->ctx, p->value->dtype, rank, dims);
    if (status == OX_OK) {
        static const unsigned char zero[16];
        struct fill f = {sink.data, value.data, sink.size};
        if (memcmp(value.data, zero, sink.size) !=
            0) /* room is zero already, and need not be touched */
            ox_parallel(call->ctx, sink.count, ox_copy_grain(sink.size), fill_range, &f);
        status = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
    }
    ox_view_close(&value, call->ctx);
    return status;
}

/* ---- Range ----------------------------------------------------------------------------------- */

#define RANGE_TYPES (OX_FLOATS | OX_BIT(OX_INT16) | OX_BIT(OX_INT32) | OX_BIT(OX_INT64))

/* Known elements where all three are numbers. */
static ox_status range_value(struct ox_infer *io, int64_t start, int64_t delta, ox_dim count) {
    ox_dim elems[OX_PARTIAL_MAX];
    if (!ox_dim_is_const(count) || count.k > OX_PARTIAL_MAX) return OX_OK;
    for (int64_t i = 0; i < count.k; i++)
        elems[i] = ox_dim_const(start + i * delta); /* between start and limit */
    return ox_infer_value(io, 0, 1, (size_t)count.k, elems);
}

/* max(0, ceil((limit - start) / delta)); too many to count: INT64_MAX. */
static ox_status range_count(int64_t *count, const struct ox_call *call, const union ox_wide *v,
                             ox_wide_kind kind) {
    *count = 0;
    if (kind == OX_WIDE_F64) {
        double n = ceil((v[1].f - v[0].f) / v[2].f);
        if (v[2].f == 0 || isnan(n))
            return ox_bad_attr(call, "Range from %g to %g by %g has no length", v[0].f, v[1].f,
                               v[2].f);
        if (n > 0) *count = n < 9e18 ? (int64_t)n : INT64_MAX;
        return OX_OK;
    }
    if (v[2].i == 0) return ox_bad_attr(call, "Range with a delta of 0");
    bool up = v[2].i > 0;
    if (up ? v[1].i <= v[0].i : v[1].i >= v[0].i) return OX_OK;
    uint64_t span = up ? (uint64_t)v[1].i - (uint64_t)v[0].i : (uint64_t)v[0].i - (uint64_t)v[1].i;
    uint64_t by = up ? (uint64_t)v[2].i : 0 - (uint64_t)v[2].i;
    uint64_t n = (span - 1) / by + 1;
    *count = n < INT64_MAX ? (int64_t)n : INT64_MAX;
    return OX_OK;
}

/* Of constants that are no integers, too. */
static ox_status infer_range_consts(const struct ox_call *call, struct ox_infer *io,
                                    ox_dtype dtype) {
    union ox_wide v[3];
    for (size_t i = 0; i < 3; i++) {
        const ox_tensor *t = ox_const_input(call, i);
        uint64_t aligned;
        if (!t || t->count != 1 || t->dtype != dtype || t->size > sizeof aligned)
            return ox_infer_rank(io, 0, dtype, 1);
        memcpy(&aligned, t->data, t->size);
        ox_wide_load(&v[i], dtype, &aligned, 1, 1);
    }
    int64_t n;
    OX_TRY(range_count(&n, call, v, ox_wide_of(dtype)));
    ox_dim count = ox_dim_const(n);
    return ox_infer_tensor(io, 0, dtype, 1, &count);
}

ox_status ox_infer_range(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    ox_dtype dtype = ox_in_dtype(io, 0);
    const struct ox_partial *v[3];
    for (size_t i = 0; i < 3; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), RANGE_TYPES));
        OX_TRY(ox_expect_same_dtype(call, 0, dtype, i, ox_in_dtype(io, i)));
        v[i] = ox_in_value(io, i);
        if (v[i] && v[i]->count != 1)
            return ox_bad_shape(call, "input %zu of Range is not a scalar", i);
    }
    if (!v[0] || !v[1] || !v[2]) return infer_range_consts(call, io, dtype);
    ox_dim start = v[0]->elems[0], limit = v[1]->elems[0], delta = v[2]->elems[0], count;
    if (ox_dim_is_const(delta) && delta.k == 0) return ox_bad_attr(call, "Range with a delta of 0");
    if (!ox_dim_is_known(start) || !ox_dim_is_known(limit) || !ox_dim_is_const(delta))
        return ox_infer_rank(io, 0, dtype, 1);
    OX_TRY(ox_dim_sub(&count, io->dims, limit, start));
    OX_TRY(ox_dim_ceildiv(&count, io->dims, count, delta));
    OX_TRY(ox_dim_max(&count, io->dims, count, ox_dim_const(0)));
    OX_TRY(ox_infer_tensor(io, 0, dtype, 1, &count));
    if (!ox_dim_is_const(start)) return OX_OK;
    return range_value(io, start.k, delta.k, count);
}

struct range {
    union ox_wide start, delta;
    ox_wide_kind kind;
    ox_dtype dtype;
    unsigned char *data;
};

static void range_part(void *arg, size_t begin, size_t end) {
    const struct range *r = arg;
    size_t size = (size_t)ox_dtype_bits(r->dtype) / 8;
    union ox_wide stretch[256];
    while (begin < end) {
        size_t n = end - begin < 256 ? end - begin : 256;
        for (size_t i = 0; i < n; i++) {
            if (r->kind == OX_WIDE_F64)
                stretch[i].f = r->start.f + (double)(begin + i) * r->delta.f;
            else
                stretch[i].u = r->start.u + (begin + i) * r->delta.u;
        }
        ox_wide_store(r->data + begin * size, r->dtype, stretch, n);
        begin += n;
    }
}

ox_status ox_eval_range(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    static const char *const names[] = {"start", "limit", "delta"};
    union ox_wide v[3];
    (void)params;
    for (size_t i = 0; i < 3; i++) {
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, RANGE_TYPES));
        OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, i, in[i]->dtype));
        if (in[i]->count != 1)
            return ox_bad_shape(call, "%s of Range must be a single number, not %s", names[i],
                                ox_dims_text(in[i]->rank, in[i]->dims).text);
        ox_wide_load(&v[i], in[i]->dtype, in[i]->data, 1, 1);
    }
    struct range r = {v[0], v[2], ox_wide_of(in[0]->dtype), in[0]->dtype, NULL};
    int64_t count;
    void *data;
    OX_TRY(range_count(&count, call, v, r.kind));
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, in[0]->dtype, 1, &count));
    r.data = data;
    ox_parallel(call->ctx, (size_t)count, 16384, range_part, &r);
    return OX_OK;
}

/* ---- EyeLike --------------------------------------------------------------------------------- */

#define EYE_TYPES (OX_NUMBERS | OX_BIT(OX_BOOL))

ox_status ox_decode_eye_like(const struct ox_call *call, void *params) {
    struct ox_eye_like_params *p = params;
    int64_t dtype;
    OX_TRY(ox_attr_int(&dtype, call, "dtype", OX_UNDEFINED));
    OX_TRY(ox_attr_int(&p->k, call, "k", 0));
    if (dtype != OX_UNDEFINED && (!ox_dtype_valid(dtype) || !(EYE_TYPES & OX_BIT(dtype))))
        return ox_bad_attr(call, "EyeLike makes no elements of data type %lld", (long long)dtype);
    p->dtype = (ox_dtype)dtype;
    return OX_OK;
}

ox_status ox_infer_eye_like(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_eye_like_params *p = params;
    ox_dtype dtype = p->dtype ? p->dtype : ox_in_dtype(io, 0);
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 2, 2));
    if (ox_in_rank(io, 0) < 0) return ox_infer_rank(io, 0, dtype, 2);
    return ox_infer_tensor(io, 0, dtype, 2, io->in[0]->dims);
}

ox_status ox_eval_eye_like(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_eye_like_params *p = params;
    ox_dtype dtype = p->dtype ? p->dtype : in[0]->dtype;
    void *data;
    OX_TRY(ox_expect_rank(call, 0, in[0]->rank, 2, 2));
    OX_TRY(ox_expect_dtype(call, 0, dtype, EYE_TYPES));
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, dtype, 2, in[0]->dims));
    int64_t rows = in[0]->dims[0], cols = in[0]->dims[1];
    if (p->k <= -rows || p->k >= cols) return OX_OK; /* the diagonal is outside */
    int64_t row = p->k < 0 ? -p->k : 0, col = p->k > 0 ? p->k : 0;
    size_t size = (size_t)ox_dtype_bits(dtype) / 8;
    union ox_wide one = ox_wide_small(ox_wide_of(dtype), 1);
    for (; row < rows && col < cols; row++, col++)
        ox_wide_store((unsigned char *)data + (size_t)(row * cols + col) * size, dtype, &one, 1);
    return OX_OK;
}
