/* ir/ops/op_window.c - decoding and arithmetic of sliding windows; see op_window.h. */
#include "ir/ops/op_window.h"

#include "ir/ops/op_priv.h"

/* Numbers beyond this are refused, so that sums and products of a few of them cannot overflow by
 * accident: no tensor that fits in memory needs them. */
#define NUMBER_MAX ((int64_t)1 << 40)

static ox_status read_dims(struct ox_window *w, const struct ox_call *call, const char *name,
                           int64_t least, int64_t *out) {
    const int64_t *values;
    size_t count;
    OX_TRY(ox_attr_ints(&values, &count, call, name));
    if (count == SIZE_MAX) return OX_OK;
    if (count == 0 || count > OX_WINDOW_MAX)
        return ox_bad_attr(call, "%s has %zu values, expected 1 to %d", name, count, OX_WINDOW_MAX);
    OX_TRY(ox_window_rank(w, call, (int)count));
    for (size_t i = 0; i < count; i++) {
        if (values[i] < least || values[i] > NUMBER_MAX)
            return ox_bad_attr(call, "%s[%zu] is %lld, out of range", name, i,
                               (long long)values[i]);
        out[i] = values[i];
    }
    return OX_OK;
}

static ox_status read_pads(struct ox_window *w, const struct ox_call *call) {
    const int64_t *values;
    size_t count;
    OX_TRY(ox_attr_ints(&values, &count, call, "pads"));
    if (count == SIZE_MAX) return OX_OK;
    if (count == 0 || count % 2 != 0 || count > 2 * OX_WINDOW_MAX)
        return ox_bad_attr(call, "pads has %zu values, expected two for each spatial dim", count);
    OX_TRY(ox_window_rank(w, call, (int)(count / 2)));
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 0 || values[i] > NUMBER_MAX)
            return ox_bad_attr(call, "pads[%zu] is %lld, out of range", i, (long long)values[i]);
        if (w->auto_pad != OX_PAD_NOTSET) continue; /* exporters write both; auto_pad decides */
        if (i < count / 2)
            w->begin[i] = values[i];
        else
            w->end[i - count / 2] = values[i];
    }
    return OX_OK;
}

ox_status ox_window_decode(struct ox_window *w, const struct ox_call *call) {
    static const char *const words[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
    *w = (struct ox_window){.rank = -1};
    for (int i = 0; i < OX_WINDOW_MAX; i++)
        w->kernel[i] = w->strides[i] = w->dilations[i] = 1;
    OX_TRY(ox_attr_choice(&w->auto_pad, call, "auto_pad", words, OX_PAD_NOTSET));
    OX_TRY(read_dims(w, call, "kernel_shape", 1, w->kernel));
    w->has_kernel = w->rank > 0;
    OX_TRY(read_dims(w, call, "strides", 1, w->strides));
    OX_TRY(read_dims(w, call, "dilations", 1, w->dilations));
    OX_TRY(read_pads(w, call));
    int64_t ceil_mode;
    OX_TRY(ox_attr_int(&ceil_mode, call, "ceil_mode", 0));
    w->ceil_mode = ceil_mode != 0;
    return OX_OK;
}

ox_status ox_window_rank(struct ox_window *w, const struct ox_call *call, int rank) {
    if (rank < 1 || rank > OX_WINDOW_MAX)
        return ox_bad_shape(call, "%s needs 1 to %d spatial dims, there are %d", call->op->name,
                            OX_WINDOW_MAX, rank);
    if (w->rank >= 0 && w->rank != rank)
        return ox_bad_shape(call, "%s has %d spatial dims in one place and %d in another",
                            call->op->name, w->rank, rank);
    w->rank = rank;
    return OX_OK;
}

ox_status ox_window_kernel(struct ox_window *w, const struct ox_call *call, int rank,
                           const int64_t *kernel) {
    OX_TRY(ox_window_rank(w, call, rank));
    for (int i = 0; i < rank; i++) {
        if (w->has_kernel && w->kernel[i] != kernel[i])
            return ox_bad_shape(call, "kernel_shape is %s, the weight's kernel is %s",
                                ox_dims_text(rank, w->kernel).text,
                                ox_dims_text(rank, kernel).text);
        if (kernel[i] < 1 || kernel[i] > NUMBER_MAX)
            return ox_bad_shape(call, "the weight has the kernel %s",
                                ox_dims_text(rank, kernel).text);
        w->kernel[i] = kernel[i];
    }
    w->has_kernel = true;
    return OX_OK;
}

/* dilation * (kernel - 1) + 1 */
static ox_status extent(int64_t *out, const struct ox_window *w, const struct ox_call *call,
                        int i) {
    if (ox_mul_i64(out, w->dilations[i], w->kernel[i] - 1) || *out >= (int64_t)1 << 60)
        return ox_bad_attr(call, "a kernel of %lld with dilation %lld is too large",
                           (long long)w->kernel[i], (long long)w->dilations[i]);
    ++*out;
    return OX_OK;
}

/* One output dim of a known input dim. */
static ox_status resolve_dim(const struct ox_window *w, const struct ox_call *call, int i,
                             int64_t in, int64_t *out, int64_t *begin) {
    int64_t span, stride = w->strides[i];
    OX_TRY(extent(&span, w, call, i));
    if (in > (int64_t)1 << 60) return ox_bad_shape(call, "a dim of %lld", (long long)in);
    if (w->auto_pad == OX_PAD_SAME_UPPER || w->auto_pad == OX_PAD_SAME_LOWER) {
        *out = in / stride + (in % stride != 0);
        int64_t total = *out > 0 ? (*out - 1) * stride + span - in : 0;
        if (total < 0) total = 0;
        *begin = w->auto_pad == OX_PAD_SAME_UPPER ? total / 2 : total - total / 2;
        return OX_OK;
    }
    *begin = w->begin[i];
    int64_t room = in + w->begin[i] + w->end[i] - span;
    if (room < 0) {
        *out = 0;
        if (in == 0) return OX_OK;
        return ox_bad_shape(call, "the kernel spans %lld but the padded data has only %lld",
                            (long long)span, (long long)(room + span));
    }
    *out = room / stride + 1;
    if (w->ceil_mode && w->auto_pad == OX_PAD_NOTSET) {
        /* a window that would start in the padding behind the data does not count */
        int64_t starts = in + w->begin[i];
        *out += room % stride != 0;
        if (*out > starts / stride + (starts % stride != 0))
            *out = starts / stride + (starts % stride != 0);
    }
    return OX_OK;
}

ox_status ox_window_resolve(const struct ox_window *w, const struct ox_call *call,
                            const int64_t *in, int64_t *out, int64_t *begin) {
    for (int i = 0; i < w->rank; i++)
        OX_TRY(resolve_dim(w, call, i, in[i], &out[i], &begin[i]));
    return OX_OK;
}

/* (in + add) / stride rounded down, plus 1. */
static ox_status windows(ox_dim *out, struct ox_dims *dims, ox_dim in, int64_t add,
                         int64_t stride) {
    OX_TRY(ox_dim_add(out, dims, in, ox_dim_const(add)));
    OX_TRY(ox_dim_floordiv(out, dims, *out, ox_dim_const(stride)));
    return ox_dim_add(out, dims, *out, ox_dim_const(1));
}

ox_status ox_window_infer(const struct ox_window *w, const struct ox_call *call,
                          struct ox_infer *io, const ox_dim *in, ox_dim *out) {
    for (int i = 0; i < w->rank; i++) {
        ox_dim stride = ox_dim_const(w->strides[i]);
        int64_t span, number, begin;
        if (ox_dim_is_const(in[i])) {
            OX_TRY(resolve_dim(w, call, i, in[i].k, &number, &begin));
            out[i] = ox_dim_const(number);
            continue;
        }
        OX_TRY(extent(&span, w, call, i));
        int64_t pads = w->begin[i] + w->end[i] - span;
        if (w->auto_pad == OX_PAD_SAME_UPPER || w->auto_pad == OX_PAD_SAME_LOWER) {
            OX_TRY(ox_dim_ceildiv(&out[i], io->dims, in[i], stride));
        } else if (!w->ceil_mode || w->auto_pad == OX_PAD_VALID) {
            OX_TRY(windows(&out[i], io->dims, in[i], pads, stride.k));
        } else if (w->end[i] + stride.k <= span) {
            OX_TRY(windows(&out[i], io->dims, in[i], pads + stride.k - 1, stride.k));
        } else { /* as many windows as start before the padding behind the data */
            ox_dim room;
            OX_TRY(ox_dim_add(&room, io->dims, in[i], ox_dim_const(w->begin[i])));
            OX_TRY(ox_dim_ceildiv(&out[i], io->dims, room, stride));
        }
    }
    return OX_OK;
}

ox_status ox_window_output(const struct ox_call *call, struct ox_infer *io, ox_dtype dtype,
                           int rank, const ox_dim *dims) {
    int64_t numbers[OX_MAX_RANK];
    size_t count, bytes;
    bool known = rank >= 0;
    for (int i = 0; i < rank; i++) {
        known = known && ox_dim_is_const(dims[i]);
        numbers[i] = dims[i].k;
    }
    if (known && ox_shape_size(&count, &bytes, dtype, rank, numbers))
        return ox_bad_shape(call, "the output %s is too large", ox_dims_text(rank, numbers).text);
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}
