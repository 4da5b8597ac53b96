/* passes/rules/consts.c - see consts.h. */
#include "passes/rules/consts.h"

#include "ir/base/element.h"
#include <math.h>

bool ox_const_readable(ox_dtype dtype) {
    switch (dtype) {
    case OX_FLOAT:
    case OX_DOUBLE:
    case OX_FLOAT16:
    case OX_BFLOAT16:
    case OX_BOOL:
        return true;
    default:
        return ox_dtype_is_integer(dtype) && ox_dtype_bits(dtype) >= 8;
    }
}

double ox_const_at(const ox_tensor *tensor, size_t index) {
    return ox_tensor_at(tensor, index);
}

ox_status ox_const_doubles(double **out, ox_ctx *ctx, const ox_tensor *tensor) {
    double *d;
    OX_TRY(ox_alloc_raw(ctx, &d, tensor->count, sizeof *d));
    for (size_t i = 0; i < tensor->count; i++)
        d[i] = ox_element_read(tensor->data, tensor->dtype, i);
    *out = d;
    return OX_OK;
}

ox_status ox_const_from_doubles(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                                const int64_t *dims, const double *elems) {
    void *data;
    ox_tensor *t;
    OX_TRY(ox_tensor_new(&t, &data, ctx, dtype, rank, dims));
    for (size_t i = 0; i < t->count; i++)
        ox_element_write(data, dtype, i, elems[i]);
    *out = t;
    return OX_OK;
}

bool ox_const_splat(double *out, const ox_tensor *tensor) {
    if (tensor->count == 0 || !ox_const_readable(tensor->dtype)) return false;
    double first = ox_const_at(tensor, 0);
    for (size_t i = 1; i < tensor->count; i++)
        if (ox_const_at(tensor, i) != first) return false;
    *out = first;
    return first == first;
}

bool ox_const_finite(const ox_tensor *tensor) {
    if (tensor->dtype == OX_FLOAT) { /* without a branch, so that it is fast on large weights */
        const char *from = tensor->data;
        unsigned found = 0;
        for (size_t i = 0; i < tensor->count; i++) {
            uint32_t bits;
            memcpy(&bits, from + i * sizeof bits, sizeof bits);
            found |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        return !found;
    }
    for (size_t i = 0; i < tensor->count; i++)
        if (!isfinite(ox_element_read(tensor->data, tensor->dtype, i))) return false;
    return true;
}

ox_status ox_const_scale(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor, size_t outer,
                         size_t n, size_t inner, const double *factor) {
    void *data;
    ox_tensor *t;
    OX_TRY(ox_tensor_new(&t, &data, ctx, tensor->dtype, tensor->rank, tensor->dims));
    for (size_t o = 0, i = 0; o < outer; o++) {
        for (size_t c = 0; c < n; c++) {
            double f = factor[c];
            size_t end = i + inner;
            if (tensor->dtype ==
                OX_FLOAT) { /* the common case, kept apart so that the loop is tight */
                const char *from = tensor->data;
                for (float v, *to = data; i < end; i++) {
                    memcpy(&v, from + i * sizeof v, sizeof v);
                    to[i] = (float)((double)v * f);
                }
            } else {
                for (; i < end; i++)
                    ox_element_write(data, tensor->dtype, i,
                                     ox_element_read(tensor->data, tensor->dtype, i) * f);
            }
        }
    }
    *out = t;
    return OX_OK;
}

ox_status ox_const_scalar(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, double value) {
    return ox_const_from_doubles(out, ctx, dtype, 0, NULL, &value);
}

ox_status ox_const_ints(ox_tensor **out, ox_ctx *ctx, const int64_t *values, size_t count) {
    int64_t dims[1] = {(int64_t)count};
    return ox_tensor_copy(out, ctx, OX_INT64, 1, dims, values, count * sizeof *values);
}

ox_status ox_const_per_channel(bool *fits, double **out, ox_ctx *ctx, const ox_tensor *tensor,
                               int rank, int axis, size_t n) {
    int at = axis - (rank - tensor->rank); /* the tensor's dim that meets the axis */
    *fits = false;
    if (tensor->rank > rank || !ox_const_readable(tensor->dtype)) return OX_OK;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1 && (i != at || (size_t)tensor->dims[i] != n)) return OX_OK;
    OX_TRY(ox_alloc(ctx, out, n, sizeof **out));
    for (size_t i = 0; i < n; i++)
        (*out)[i] = ox_const_at(tensor, tensor->count == 1 ? 0 : i);
    *fits = true;
    return OX_OK;
}
