/* ir/graph/exec_slice.c - see exec_slice.h. Strings are moved as pairs of pointer and length and copied at the end. */
#include "ir/graph/exec_slice.h"

/* Elements before and behind an axis. */
static void split(const ox_tensor *t, int axis, size_t *outer, size_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++) *outer *= (size_t)t->dims[i];
    for (int i = axis + 1; i < t->rank; i++) *inner *= (size_t)t->dims[i];
}

/* Elements of 8 bits and more, lists excluded, can be copied. */
static ox_status check_kind(ox_ctx *ctx, const ox_tensor *t)
{
    if (ox_dtype_valid(t->dtype) && ox_dtype_bits(t->dtype) >= 8) return OX_OK;
    return ox_fail(ctx, OX_UNSUPPORTED, "no-kernel", NULL, "loops over %s tensors are not implemented", ox_dtype_name(t->dtype));
}

/* A tensor of these elements; strings need copies of their own. Frees `data`. */
static ox_status finish(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank, const int64_t *dims, void *data, size_t size)
{
    ox_status s = dtype == OX_STRING ? ox_tensor_strings(out, ctx, rank, dims, data) : ox_tensor_copy(out, ctx, dtype, rank, dims, data, size);
    ox_free(ctx, data);
    return s;
}

ox_status ox_exec_step(ox_tensor **out, ox_ctx *ctx, const ox_tensor *t, int axis, int64_t index)
{
    int64_t dims[OX_MAX_RANK];
    size_t outer, inner;
    char *data;
    OX_TRY(check_kind(ctx, t));
    size_t bytes = (size_t)ox_dtype_bits(t->dtype) / 8, length = (size_t)t->dims[axis];
    split(t, axis, &outer, &inner);
    for (int i = 0, n = 0; i < t->rank; i++)
        if (i != axis) dims[n++] = t->dims[i];
    OX_TRY(ox_alloc_raw(ctx, &data, outer * inner, bytes));
    for (size_t o = 0; o < outer && inner; o++)
        memcpy(data + o * inner * bytes, (const char *)t->data + (o * length + (size_t)index) * inner * bytes, inner * bytes);
    return finish(out, ctx, t->dtype, t->rank - 1, dims, data, outer * inner * bytes);
}

ox_status ox_exec_stack(ox_tensor **out, ox_ctx *ctx, ox_tensor *const *items, size_t count, int axis)
{
    const ox_tensor *first = items[0];
    int64_t dims[OX_MAX_RANK + 1];
    size_t outer = 1, inner = 1, total;
    char *data;
    OX_TRY(check_kind(ctx, first));
    size_t bytes = (size_t)ox_dtype_bits(first->dtype) / 8;
    for (size_t i = 1; i < count; i++)
        if (items[i]->dtype != first->dtype || items[i]->rank != first->rank ||
            (first->rank && memcmp(items[i]->dims, first->dims, (size_t)first->rank * sizeof dims[0]) != 0))
            return ox_fail(ctx, OX_INVALID, "shape-mismatch", NULL, "an output of a loop changes its type or shape in iteration %zu", i);
    for (int i = 0; i < axis; i++) outer *= (size_t)first->dims[i];
    for (int i = axis; i < first->rank; i++) inner *= (size_t)first->dims[i];
    for (int i = 0, n = 0; i <= first->rank; i++) dims[i] = i == axis ? (int64_t)count : first->dims[n++];
    if (first->rank == OX_MAX_RANK || ox_mul_size(&total, count, first->count))
        return ox_fail(ctx, OX_INVALID, "bad-shape", NULL, "the outputs of a loop are too large to put together");
    OX_TRY(ox_alloc_raw(ctx, &data, total, bytes));
    for (size_t o = 0; o < outer && inner; o++)
        for (size_t i = 0; i < count; i++)
            memcpy(data + (o * count + i) * inner * bytes, (const char *)items[i]->data + o * inner * bytes, inner * bytes);
    return finish(out, ctx, first->dtype, first->rank + 1, dims, data, total * bytes);
}
