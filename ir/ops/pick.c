/* ir/ops/pick.c - elements of any type by number. */
#include "ir/ops/pick.h"
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"

ox_status ox_numbered(ox_tensor **out, ox_ctx *ctx, const ox_tensor *like, ox_dtype dtype,
                      int first) {
    void *data;
    OX_TRY(ox_tensor_new_raw(out, &data, ctx, dtype, like->rank, like->dims));
    for (size_t i = 0; i < like->count; i++) {
        if (dtype == OX_DOUBLE)
            ((double *)data)[i] = (double)i + first;
        else
            ((int64_t *)data)[i] = (int64_t)i + first;
    }
    return OX_OK;
}

ox_status ox_pick(ox_tensor **out, ox_ctx *ctx, const ox_tensor *x, const ox_tensor *at) {
    struct ox_view from;
    struct ox_sink sink;
    const int64_t *numbers = at->data;
    for (size_t i = 0; i < at->count; i++)
        if (numbers[i] < -1 || (numbers[i] >= 0 && (uint64_t)numbers[i] >= x->count))
            return OX_INTERNAL;
    OX_TRY(ox_view_open(&from, ctx, x));
    ox_status s = ox_sink_open(&sink, ctx, x->dtype, at->rank, at->dims);
    if (s == OX_OK) {
        for (size_t i = 0; i < at->count; i++)
            if (numbers[i] >= 0)
                memcpy(sink.data + i * sink.size, from.data + (size_t)numbers[i] * from.size,
                       sink.size);
        s = ox_sink_close(&sink, ctx, OX_OK, out);
    }
    ox_view_close(&from, ctx);
    return s;
}
