/* ir/ops/op_infer.c - helpers of infer functions, and the checks and texts of diagnostics that
 * infer and eval share. */
#include "ir/ops/op_priv.h"
#include <stdio.h>

/* Numbers that no tensor can have for dims are a contradiction like any other. */
static ox_status check_size(const struct ox_infer *io, ox_dtype dtype, int rank,
                            const ox_dim *dims) {
    int64_t numbers[OX_MAX_RANK];
    if (rank > OX_MAX_RANK) return OX_OK;
    for (int i = 0; i < rank; i++) {
        if (!ox_dim_is_const(dims[i])) return OX_OK;
        numbers[i] = dims[i].k;
    }
    if (rank <= 0 || !ox_shape_size(NULL, NULL, dtype ? dtype : OX_UINT8, rank, numbers))
        return OX_OK;
    return ox_fail(io->arena->ctx, OX_INVALID, "shape-mismatch", NULL,
                   "the output %s has more elements than memory can hold",
                   ox_sym_dims_text(rank, dims).text);
}

ox_status ox_infer_tensor(struct ox_infer *io, size_t i, ox_dtype dtype, int rank,
                          const ox_dim *dims) {
    OX_TRY(check_size(io, dtype, rank, dims));
    return ox_type_tensor(&io->out[i], io->arena, dtype, rank, dims);
}

ox_status ox_infer_same(struct ox_infer *io, size_t i, size_t j) {
    io->out[i] = io->in[j];
    return OX_OK;
}

ox_status ox_infer_value(struct ox_infer *io, size_t i, int rank, size_t count,
                         const ox_dim *elems) {
    if (!io->out_values || rank > 1 || count > OX_PARTIAL_MAX) return OX_OK;
    struct ox_partial *value;
    ox_dim *copy;
    OX_TRY(ox_arena_alloc(io->arena, &value, 1, sizeof *value));
    OX_TRY(ox_arena_alloc(io->arena, &copy, count, sizeof *copy));
    if (count > 0) memcpy(copy, elems, count * sizeof *copy);
    *value = (struct ox_partial){rank, count, copy};
    io->out_values[i] = value;
    return OX_OK;
}

ox_status ox_infer_number(struct ox_infer *io, size_t i, ox_dtype dtype, int rank, size_t count,
                          const ox_dim *elems) {
    if (dtype != OX_INT64 && dtype != OX_INT32 && dtype != OX_BOOL) return OX_OK;
    for (size_t k = 0; dtype == OX_INT32 && k < count; k++)
        if (ox_dim_is_const(elems[k]) && (elems[k].k < INT32_MIN || elems[k].k > INT32_MAX))
            return OX_OK;
    return ox_infer_value(io, i, rank, count, elems);
}

/* ---- broadcasting of types ------------------------------------------------------------------- */

static ox_status broadcast_dim(const struct ox_call *call, struct ox_infer *io, ox_dim *a,
                               ox_dim b) {
    if (ox_dim_same(*a, b) || (ox_dim_is_const(b) && b.k == 1)) return OX_OK;
    if (ox_dim_is_const(*a) && a->k == 1) {
        *a = b;
        return OX_OK;
    }
    if (ox_dim_is_const(*a) && ox_dim_is_const(b))
        return ox_bad_shape(call, "dims %lld and %lld cannot be broadcast together",
                            (long long)a->k, (long long)b.k);
    /* A dim that is never 1 is the result's: the other must be equal to it or 1. */
    if (ox_dim_is_const(*a) || ox_dim_ge(*a, 2)) return OX_OK;
    if (ox_dim_is_const(b) || ox_dim_ge(b, 2)) {
        *a = b;
        return OX_OK;
    }
    /* Dims that are 0 together, such as n and min(n, 512): a 1 gives way to the other, so the
     * greater one it is. */
    ox_dim some_a, some_b;
    OX_TRY(ox_dim_min(&some_a, io->dims, *a, ox_dim_const(1)));
    OX_TRY(ox_dim_min(&some_b, io->dims, b, ox_dim_const(1)));
    if (ox_dim_same(some_a, some_b)) return ox_dim_max(a, io->dims, *a, b);
    io->why = "of two dims that are broadcast, either may be the other's or 1";
    return ox_dim_unknown(a, io->dims);
}

ox_status ox_infer_broadcast(const struct ox_call *call, struct ox_infer *io, int *rank,
                             ox_dim *dims, int rank_b, const ox_dim *dims_b) {
    if (rank_b > *rank) {
        int shift = rank_b - *rank;
        memmove(dims + shift, dims, (size_t)*rank * sizeof *dims);
        for (int i = 0; i < shift; i++)
            dims[i] = ox_dim_const(1);
        *rank = rank_b;
    }
    int offset = *rank - rank_b;
    for (int i = 0; i < rank_b; i++)
        OX_TRY(broadcast_dim(call, io, &dims[offset + i], dims_b[i]));
    return OX_OK;
}

/* ---- element types --------------------------------------------------------------------------- */

ox_status ox_expect_dtype(const struct ox_call *call, size_t i, ox_dtype dtype, ox_dtypes allowed) {
    if (dtype == OX_UNDEFINED || (allowed & OX_BIT(dtype))) return OX_OK;
    return ox_bad_type(call, "input %zu of %s is of type %s, which the operator does not take", i,
                       call->op->name, ox_dtype_name(dtype));
}

ox_status ox_expect_same_dtype(const struct ox_call *call, size_t i, ox_dtype a, size_t j,
                               ox_dtype b) {
    if (a == OX_UNDEFINED || b == OX_UNDEFINED || a == b) return OX_OK;
    return ox_bad_type(call, "inputs %zu and %zu of %s are of types %s and %s, expected the same",
                       i, j, call->op->name, ox_dtype_name(a), ox_dtype_name(b));
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Adds one dim to "[a,b"; false when it no longer fits before "...]". */
static bool add_dim(struct ox_dims_text *out, size_t *len, const char *dim, bool first) {
    size_t need = strlen(dim) + !first;
    if (*len + need + sizeof ",...]" > sizeof out->text) {
        memcpy(out->text + *len, ",...", sizeof ",...");
        *len += 4;
        return false;
    }
    if (!first) out->text[(*len)++] = ',';
    memcpy(out->text + *len, dim, strlen(dim) + 1);
    *len += strlen(dim);
    return true;
}

struct ox_dims_text ox_sym_dims_text(int rank, const ox_dim *dims) {
    struct ox_dims_text out = {"["};
    size_t len = 1;
    bool more = true;
    for (int i = 0; more && i < rank; i++) {
        char dim[64];
        ox_dim_print(dim, sizeof dim, dims[i]);
        more = add_dim(&out, &len, dim, i == 0);
    }
    out.text[len] = ']';
    return out;
}

struct ox_dims_text ox_dims_text(int rank, const int64_t *dims) {
    struct ox_dims_text out = {"["};
    size_t len = 1;
    bool more = true;
    for (int i = 0; more && i < rank; i++) {
        char dim[24];
        snprintf(dim, sizeof dim, "%lld", (long long)dims[i]);
        more = add_dim(&out, &len, dim, i == 0);
    }
    out.text[len] = ']';
    return out;
}
