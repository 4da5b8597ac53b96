/* ir/ops/op_args.c - reading integer arguments, and small steps of shape inference. See op_args.h.
 */
#include "ir/ops/op_args.h"
#include "ir/ops/op_priv.h"

/* ---- reading --------------------------------------------------------------------------------- */

int64_t ox_tensor_int(const ox_tensor *tensor, size_t i) {
    const unsigned char *data = tensor->data;
    if (tensor->dtype == OX_INT64) {
        int64_t v;
        memcpy(&v, data + 8 * i, 8);
        return v;
    }
    int32_t v;
    memcpy(&v, data + 4 * i, 4);
    return v;
}

ox_status ox_expect_index(const struct ox_call *call, size_t i, ox_dtype dtype) {
    return ox_expect_dtype(call, i, dtype, OX_BIT(OX_INT32) | OX_BIT(OX_INT64));
}

static ox_status too_many(const struct ox_call *call, const char *what, size_t n) {
    return ox_bad_attr(call, "%s has %zu elements, more than any tensor has dims", what, n);
}

ox_status ox_ints_attr(struct ox_ints *out, const struct ox_call *call, const char *name) {
    const int64_t *ints;
    size_t n;
    OX_TRY(ox_attr_ints(&ints, &n, call, name));
    out->given = out->known = n != SIZE_MAX;
    out->n = 0;
    if (!out->given) return OX_OK;
    if (n > OX_MAX_RANK) return too_many(call, name, n);
    out->n = (int)n;
    if (n) memcpy(out->at, ints, n * sizeof *ints);
    return OX_OK;
}

ox_status ox_ints_input(struct ox_ints *out, const struct ox_call *call, size_t i) {
    const ox_tensor *t = ox_const_input(call, i);
    out->given = ox_has_input(call, i);
    out->known = t != NULL;
    out->n = 0;
    if (!t) return OX_OK;
    OX_TRY(ox_expect_index(call, i, t->dtype));
    if (t->rank > 1)
        return ox_bad_shape(call, "input %zu of %s has rank %d, expected a vector", i,
                            call->op->name, t->rank);
    if (t->count > OX_MAX_RANK) return too_many(call, "an input", t->count);
    out->n = (int)t->count;
    for (int k = 0; k < out->n; k++)
        out->at[k] = ox_tensor_int(t, (size_t)k);
    return OX_OK;
}

struct ox_ints ox_ints_late(const struct ox_ints *ints, const struct ox_infer *io, size_t i) {
    struct ox_ints late = *ints;
    const struct ox_partial *v = ints->given && !ints->known ? ox_in_value(io, i) : NULL;
    if (!v || v->count > OX_MAX_RANK) return late;
    for (size_t k = 0; k < v->count; k++) {
        if (!ox_dim_is_const(v->elems[k])) return late;
        late.at[k] = v->elems[k].k;
    }
    late.n = (int)v->count;
    late.known = true;
    return late;
}

int ox_ints_count(const struct ox_ints *ints, const struct ox_infer *io, size_t i) {
    if (!ints->given || ints->known) return ints->n;
    const struct ox_type *t = io->in[i];
    if (!ox_type_is_tensor(t) || t->rank < 0) return -1;
    if (t->rank == 0) return 1;
    return ox_dim_is_const(t->dims[0]) && t->dims[0].k <= OX_MAX_RANK ? (int)t->dims[0].k : -1;
}

ox_status ox_axes_resolve(struct ox_ints *axes, const struct ox_call *call, int rank) {
    bool seen[OX_MAX_RANK] = {0};
    for (int k = 0; k < axes->n; k++) {
        int axis;
        OX_TRY(ox_axis(&axis, call, "an axis", axes->at[k], rank));
        if (seen[axis]) return ox_bad_attr(call, "axis %d is given twice", axis);
        seen[axis] = true;
        axes->at[k] = axis;
    }
    return OX_OK;
}

static bool float_to_int(int64_t *out, double v) {
    if (!(v >= -9007199254740992.0 && v <= 9007199254740992.0)) return false; /* NaN, too */
    *out = (int64_t)v;
    return (double)*out == v;
}

/* The first element of a tensor of any integer or float type. */
static bool first_int(int64_t *out, const ox_tensor *t) {
    union {
        float f;
        double d;
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        uint16_t u16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
    } v = {.i64 = 0};
    size_t size = (size_t)ox_dtype_bits(t->dtype) / 8;
    if (size == 0 || size > sizeof v) return false;
    memcpy(&v, t->data, size);
    switch (t->dtype) {
    case OX_INT8:
        *out = v.i8;
        return true;
    case OX_UINT8:
        *out = v.u8;
        return true;
    case OX_INT16:
        *out = v.i16;
        return true;
    case OX_UINT16:
        *out = v.u16;
        return true;
    case OX_INT32:
        *out = v.i32;
        return true;
    case OX_UINT32:
        *out = v.u32;
        return true;
    case OX_INT64:
        *out = v.i64;
        return true;
    case OX_UINT64:
        *out = v.i64;
        return v.i64 >= 0;
    case OX_FLOAT:
        return float_to_int(out, v.f);
    case OX_DOUBLE:
        return float_to_int(out, v.d);
    case OX_FLOAT16:
        return float_to_int(out, ox_half_to_float(v.u16));
    case OX_BFLOAT16:
        return float_to_int(out, ox_bfloat16_to_float(v.u16));
    default:
        return false;
    }
}

ox_status ox_scalar_int(int64_t *out, const struct ox_call *call, const char *what,
                        const ox_tensor *tensor) {
    if (tensor->count != 1)
        return ox_bad_shape(call, "%s of %s must be a single number, not %s", what, call->op->name,
                            ox_dims_text(tensor->rank, tensor->dims).text);
    if (!first_int(out, tensor))
        return ox_bad_attr(call, "%s of %s is not an integer", what, call->op->name);
    return OX_OK;
}

ox_status ox_indices(int64_t **out, const struct ox_call *call, const ox_tensor *tensor,
                     int64_t dim) {
    int64_t *indices;
    if (tensor->dtype != OX_INT32 && tensor->dtype != OX_INT64)
        return ox_bad_type(call, "indices of %s are of type %s, expected int32 or int64",
                           call->op->name, ox_dtype_name(tensor->dtype));
    OX_TRY(ox_alloc_raw(call->ctx, &indices, tensor->count, sizeof *indices));
    for (size_t i = 0; i < tensor->count; i++) {
        int64_t index = ox_tensor_int(tensor, i);
        if (index < -dim || index >= dim) {
            ox_free(call->ctx, indices);
            return ox_fail(call->ctx, OX_INVALID, "index-range", NULL,
                           "index %lld of %s is out of range for a dim of %lld", (long long)index,
                           call->op->name, (long long)dim);
        }
        indices[i] = index < 0 ? index + dim : index;
    }
    *out = indices;
    return OX_OK;
}

/* ---- inference ------------------------------------------------------------------------------- */

ox_status ox_in_elems(const struct ox_partial **out, struct ox_infer *io, size_t i) {
    const struct ox_type *t = io->in[i];
    *out = ox_in_value(io, i);
    if (*out || !ox_type_is_tensor(t) || (t->dtype != OX_INT64 && t->dtype != OX_INT32))
        return OX_OK;
    if (t->rank > 1 || t->rank < 0) return OX_OK;
    int64_t count = ox_type_count(t);
    if (count < 0 || count > OX_PARTIAL_MAX) return OX_OK;
    struct ox_partial *value;
    ox_dim *elems;
    OX_TRY(ox_arena_alloc(io->arena, &value, 1, sizeof *value));
    OX_TRY(ox_arena_alloc(io->arena, &elems, (size_t)count, sizeof *elems));
    for (int64_t k = 0; k < count; k++)
        OX_TRY(ox_dim_unknown_int(&elems[k], io->dims));
    *value = (struct ox_partial){t->rank, (size_t)count, elems};
    *out = value;
    return OX_OK;
}

ox_status ox_expect_rank(const struct ox_call *call, size_t i, int rank, int min, int max) {
    if (rank < 0 || (rank >= min && (max < 0 || rank <= max))) return OX_OK;
    return ox_bad_shape(call, "input %zu of %s has rank %d, expected %s %d", i, call->op->name,
                        rank,
                        min == max   ? "exactly"
                        : rank < min ? "at least"
                                     : "at most",
                        rank < min ? min : max);
}

ox_status ox_infer_rank(struct ox_infer *io, size_t i, ox_dtype dtype, int rank) {
    ox_dim dims[OX_MAX_RANK];
    if (rank > OX_MAX_RANK) rank = -1;
    for (int k = 0; k < rank; k++)
        OX_TRY(ox_dim_unknown(&dims[k], io->dims));
    return ox_infer_tensor(io, i, dtype, rank, dims);
}

ox_status ox_dim_product(ox_dim *out, struct ox_infer *io, const ox_dim *dims, int n) {
    ox_dim product = ox_dim_const(1);
    for (int i = 0; i < n; i++)
        OX_TRY(ox_dim_mul(&product, io->dims, product, dims[i]));
    *out = product;
    return OX_OK;
}

ox_status ox_dim_unify(ox_dim *a, const struct ox_call *call, ox_dim b) {
    if (ox_dim_is_const(*a) && ox_dim_is_const(b)) {
        if (a->k == b.k) return OX_OK;
        return ox_bad_shape(call, "dims %lld and %lld of %s must be equal", (long long)a->k,
                            (long long)b.k, call->op->name);
    }
    if (ox_dim_is_const(*a)) return OX_OK;
    if (ox_dim_is_const(b) || (!ox_dim_is_known(*a) && ox_dim_is_known(b))) *a = b;
    return OX_OK;
}

ox_status ox_infer_pass_value(struct ox_infer *io) {
    const struct ox_partial *v = ox_in_value(io, 0);
    const struct ox_type *t = io->out[0];
    if (!v || !ox_type_is_tensor(t) || t->rank < 0 || t->rank > 1) return OX_OK;
    return ox_infer_value(io, 0, t->rank, v->count, v->elems);
}
