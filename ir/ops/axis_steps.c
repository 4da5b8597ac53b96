/* ir/ops/axis_steps.c - see axis_steps.h. */
#include "ir/ops/axis_steps.h"

#include "ir/ops/mover.h"

static ox_status check_kind(ox_ctx *ctx, const ox_tensor *t) {
    if (ox_dtype_valid(t->dtype)) return OX_OK;
    return ox_fail(ctx, OX_INVALID, "wrong-type", NULL, "a %s cannot be taken apart along an axis",
                   ox_dtype_name(t->dtype));
}

ox_status ox_axis_step(ox_tensor **out, ox_ctx *ctx, const ox_tensor *t, int axis, int64_t index) {
    int64_t dims[OX_MAX_RANK];
    struct ox_view view;
    struct ox_sink sink;
    OX_TRY(check_kind(ctx, t));
    int64_t outer = ox_count_of(axis, t->dims),
            inner = ox_count_of(t->rank - axis - 1, t->dims + axis + 1), length = t->dims[axis];
    for (int i = 0, n = 0; i < t->rank; i++)
        if (i != axis) dims[n++] = t->dims[i];
    OX_TRY(ox_view_open(&view, ctx, t));
    ox_status s = ox_sink_open(&sink, ctx, t->dtype, t->rank - 1, dims);
    if (s == OX_OK) {
        struct ox_strided loops = {0};
        ox_strided_add(&loops, outer, inner, length * inner);
        ox_strided_add(&loops, inner, 1, 1);
        if (sink.count)
            ox_strided_copy(ctx, sink.data, view.data + (size_t)(index * inner) * view.size,
                            view.size, &loops);
        s = ox_sink_close(&sink, ctx, OX_OK, out);
    }
    ox_view_close(&view, ctx);
    return s;
}

/* Copies item `index` of `count` to its places. */
static ox_status place(struct ox_sink *sink, ox_ctx *ctx, const ox_tensor *item, int axis,
                       size_t index, size_t count) {
    struct ox_view view;
    struct ox_strided loops = {0};
    int64_t inner = ox_count_of(item->rank - axis, item->dims + axis);
    OX_TRY(ox_view_open(&view, ctx, item));
    ox_strided_add(&loops, ox_count_of(axis, item->dims), (int64_t)count * inner, inner);
    ox_strided_add(&loops, inner, 1, 1);
    if (item->count)
        ox_strided_copy(ctx, sink->data + index * (size_t)inner * sink->size, view.data, view.size,
                        &loops);
    ox_view_close(&view, ctx);
    return OX_OK;
}

ox_status ox_axis_stack(ox_tensor **out, ox_ctx *ctx, ox_tensor *const *items, size_t count,
                        int axis) {
    const ox_tensor *first = items[0];
    int64_t dims[OX_MAX_RANK + 1];
    struct ox_sink sink;
    OX_TRY(check_kind(ctx, first));
    for (size_t i = 1; i < count; i++)
        if (items[i]->dtype != first->dtype || items[i]->rank != first->rank ||
            (first->rank &&
             memcmp(items[i]->dims, first->dims, (size_t)first->rank * sizeof dims[0]) != 0))
            return ox_fail(ctx, OX_INVALID, "shape-mismatch", NULL,
                           "an output of a loop changes its type or shape in iteration %zu", i);
    for (int i = 0, n = 0; i <= first->rank; i++)
        dims[i] = i == axis ? (int64_t)count : first->dims[n++];
    OX_TRY(ox_sink_open(&sink, ctx, first->dtype, first->rank + 1, dims));
    ox_status s = OX_OK;
    for (size_t i = 0; i < count && s == OX_OK; i++)
        s = place(&sink, ctx, items[i], axis, i, count);
    return ox_sink_close(&sink, ctx, s, out);
}
