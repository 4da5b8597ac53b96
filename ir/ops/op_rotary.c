/* ir/ops/op_rotary.c - RotaryEmbedding, and TensorScatter, which writes new keys and values into a
 * cache.
 *
 * Source: ONNX operator specification, RotaryEmbedding (opset 23), TensorScatter (opset 24). */
#include "ir/ops/mover.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"

/* ---- RotaryEmbedding ------------------------------------------------------------------------- */

ox_status ox_decode_rotary(const struct ox_call *call, void *params) {
    struct ox_rotary_params *p = params;
    int64_t interleaved;
    OX_TRY(ox_attr_int(&interleaved, call, "interleaved", 0));
    OX_TRY(ox_attr_int(&p->rotated, call, "rotary_embedding_dim", 0));
    OX_TRY(ox_attr_int(&p->heads, call, "num_heads", 0));
    p->interleaved = interleaved != 0;
    if (p->rotated < 0 || p->rotated % 2 != 0)
        return ox_bad_attr(call, "rotary_embedding_dim is %lld, expected an even number",
                           (long long)p->rotated);
    if (p->heads < 0) return ox_bad_attr(call, "num_heads is %lld", (long long)p->heads);
    return OX_OK;
}

ox_status ox_infer_rotary(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_rotary_params *p = params;
    int rank = ox_in_rank(io, 0);
    for (size_t i = 0; i < 3; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, ox_in_dtype(io, i)));
    }
    OX_TRY(ox_expect_rank(call, 0, rank, 3, 4));
    if (rank == 3 && p->heads == 0) return ox_bad_attr(call, "three dims need num_heads");
    return ox_infer_same(io, 0, 0);
}

/* The data as [batch, length, heads, size], wherever its elements lie. */
struct rotary {
    const float *x, *cos, *sin;
    float *y;
    const int64_t *positions; /* of [batch, length], or NULL: the caches have a row for each */
    size_t length, heads, size, half;
    size_t batch_at, length_at, head_at; /* distances */
    bool interleaved;
};

static void rotate(void *arg, size_t begin, size_t end) {
    const struct rotary *r = arg;
    size_t apart = r->interleaved ? 1 : r->half, step = r->interleaved ? 2 : 1;
    for (size_t i = begin; i < end; i++) {
        size_t place = i / r->heads;
        size_t at = place / r->length * r->batch_at + place % r->length * r->length_at +
                    i % r->heads * r->head_at;
        size_t row = (r->positions ? (size_t)r->positions[place] : place) * r->half;
        const float *x = r->x + at, *c = r->cos + row, *s = r->sin + row;
        float *y = r->y + at;
        for (size_t k = 0; k < r->half; k++) {
            float a = x[k * step], b = x[k * step + apart];
            y[k * step] = c[k] * a - s[k] * b;
            y[k * step + apart] = s[k] * a + c[k] * b;
        }
        for (size_t k = 2 * r->half; k < r->size; k++)
            y[k] = x[k];
    }
}

static ox_status place_data(struct rotary *r, const struct ox_call *call,
                            const struct ox_rotary_params *p, const ox_tensor *x) {
    const int64_t *d = x->dims;
    if (x->rank != 3 && x->rank != 4)
        return ox_bad_shape(call, "the data has rank %d, expected 3 or 4", x->rank);
    if (x->rank == 3 && (p->heads == 0 || d[2] % p->heads != 0))
        return ox_bad_attr(call, "%lld elements cannot be split into %lld heads", (long long)d[2],
                           (long long)p->heads);
    r->length = (size_t)d[x->rank - 2];
    r->heads = (size_t)(x->rank == 4 ? d[1] : p->heads);
    r->size = x->rank == 4 ? (size_t)d[3] : (size_t)d[2] / r->heads;
    r->length_at = x->rank == 4 ? r->size : r->heads * r->size;
    r->head_at = x->rank == 4 ? r->length * r->size : r->size;
    r->batch_at = r->length * r->heads * r->size;
    size_t rotated = p->rotated ? (size_t)p->rotated : r->size;
    if (rotated > r->size || rotated % 2 != 0)
        return ox_bad_shape(call, "%zu elements of a head of %zu cannot be rotated", rotated,
                            r->size);
    r->half = rotated / 2;
    return OX_OK;
}

/* The caches are rows by position, or one row for each element of [batch, length]. */
static ox_status place_caches(struct rotary *r, const struct ox_call *call,
                              const ox_tensor *const *in) {
    const ox_tensor *positions = ox_has_input(call, 3) ? in[3] : NULL;
    size_t places = (size_t)in[0]->dims[0] * r->length;
    for (size_t i = 1; i < 3; i++) {
        const ox_tensor *c = in[i];
        bool fits = c->rank == (positions ? 2 : 3) && (size_t)c->dims[c->rank - 1] == r->half;
        if (fits && !positions)
            fits = c->dims[0] == in[0]->dims[0] && (size_t)c->dims[1] == r->length;
        if (!fits)
            return ox_bad_shape(call, "input %zu is %s, which does not fit %zu rotations%s", i,
                                ox_dims_text(c->rank, c->dims).text, r->half,
                                positions ? " by position" : "");
    }
    if (!positions) return OX_OK;
    if (positions->dtype != OX_INT64 || positions->rank != 2 ||
        positions->dims[0] != in[0]->dims[0] || positions->count != places)
        return ox_bad_shape(call, "position_ids is %s, expected int64 of [%lld,%zu]",
                            ox_dims_text(positions->rank, positions->dims).text,
                            (long long)in[0]->dims[0], r->length);
    r->positions = ox_elements(positions);
    for (size_t i = 0; i < places; i++)
        for (size_t c = 1; c < 3; c++)
            if (r->positions[i] < 0 || r->positions[i] >= in[c]->dims[0])
                return ox_bad_shape(call, "position %lld is not in the cache of %lld",
                                    (long long)r->positions[i], (long long)in[c]->dims[0]);
    return OX_OK;
}

static ox_status eval_rotary(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_rotary_params *p = params;
    struct rotary r = {.interleaved = p->interleaved};
    void *y;
    for (size_t i = 0; i < 3; i++)
        if (in[i]->dtype != OX_FLOAT)
            return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                                ox_dtype_name(in[i]->dtype));
    OX_TRY(place_data(&r, call, p, in[0]));
    OX_TRY(place_caches(&r, call, in));
    OX_TRY(ox_tensor_new_raw(&out[0], &y, call->ctx, OX_FLOAT, in[0]->rank, in[0]->dims));
    r.x = ox_elements(in[0]);
    r.cos = ox_elements(in[1]);
    r.sin = ox_elements(in[2]);
    r.y = y;
    if (in[0]->count) ox_parallel(call->ctx, in[0]->count / r.size, 1 + 8192 / r.size, rotate, &r);
    return OX_OK;
}

ox_status ox_eval_rotary(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(eval_rotary, call, params, in, out, 1);
    return eval_rotary(call, params, in, out);
}

/* ---- TensorScatter --------------------------------------------------------------------------- */

ox_status ox_decode_tensor_scatter(const struct ox_call *call, void *params) {
    static const char *const modes[] = {"linear", "circular", NULL};
    struct ox_tensor_scatter_params *p = params;
    int mode;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", -2));
    OX_TRY(ox_attr_choice(&mode, call, "mode", modes, 0));
    p->circular = mode == 1;
    return OX_OK;
}

static ox_status cache_axis(int *axis, const struct ox_call *call,
                            const struct ox_tensor_scatter_params *p, int rank) {
    OX_TRY(ox_axis(axis, call, "axis", p->axis, rank));
    if (*axis == 0)
        return ox_bad_attr(call, "axis is %lld, which is the batch", (long long)p->axis);
    return OX_OK;
}

ox_status ox_infer_tensor_scatter(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    int axis, rank = ox_in_rank(io, 0);
    OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), 1, ox_in_dtype(io, 1)));
    if (rank >= 0) OX_TRY(cache_axis(&axis, call, params, rank));
    if (rank >= 0) OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), rank, rank));
    return ox_infer_same(io, 0, 0);
}

/* Where each batch item's update begins. *at is NULL for 0. */
static ox_status write_places(const int64_t **at, const struct ox_call *call,
                              const struct ox_tensor_scatter_params *p, const ox_tensor *const *in,
                              int axis) {
    const ox_tensor *t = ox_has_input(call, 2) ? in[2] : NULL;
    int64_t max = in[0]->dims[axis], length = in[1]->dims[axis];
    *at = NULL;
    if (!t) return OX_OK;
    if (t->dtype != OX_INT64 || t->rank != 1 || t->dims[0] != in[0]->dims[0])
        return ox_bad_shape(call, "write_indices is %s, expected %lld int64",
                            ox_dims_text(t->rank, t->dims).text, (long long)in[0]->dims[0]);
    *at = ox_elements(t);
    for (size_t i = 0; i < t->count; i++)
        if ((*at)[i] < 0 || (p->circular ? max > 0 && (*at)[i] >= max : (*at)[i] > max - length))
            return ox_bad_shape(call, "write index %lld of %lld rows in a cache of %lld",
                                (long long)(*at)[i], (long long)length, (long long)max);
    return OX_OK;
}

static ox_status check_update(const struct ox_call *call, const ox_tensor *cache,
                              const ox_tensor *update, int axis) {
    bool fits = cache->rank == update->rank && cache->dtype == update->dtype;
    for (int d = 0; fits && d < cache->rank; d++)
        fits = d == axis ? update->dims[d] <= cache->dims[d] : update->dims[d] == cache->dims[d];
    if (fits) return OX_OK;
    return ox_bad_shape(call, "an update of %s does not fit a cache of %s",
                        ox_dims_text(update->rank, update->dims).text,
                        ox_dims_text(cache->rank, cache->dims).text);
}

/* Rows of `row` bytes: outer x length of them are written. */
static void write_rows(struct ox_sink *sink, const struct ox_view *update, const ox_tensor *cache,
                       const ox_tensor *news, int axis, const int64_t *at) {
    size_t row = sink->size * (size_t)ox_count_of(cache->rank - axis - 1, cache->dims + axis + 1);
    size_t max = (size_t)cache->dims[axis], length = (size_t)news->dims[axis],
           outer = (size_t)ox_count_of(axis, cache->dims);
    size_t per_batch = cache->dims[0] ? outer / (size_t)cache->dims[0] : 1;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < length; i++) {
            size_t to = ((at ? (size_t)at[o / per_batch] : 0) + i) % max;
            memcpy(sink->data + (o * max + to) * row, update->data + (o * length + i) * row, row);
        }
}

ox_status ox_eval_tensor_scatter(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    int axis;
    const int64_t *at;
    struct ox_view cache, update;
    struct ox_sink sink;
    OX_TRY(cache_axis(&axis, call, params, in[0]->rank));
    OX_TRY(check_update(call, in[0], in[1], axis));
    OX_TRY(write_places(&at, call, params, in, axis));
    OX_TRY(ox_view_open(&cache, call->ctx, in[0]));
    ox_status s = ox_view_open(&update, call->ctx, in[1]);
    if (s == OX_OK) {
        s = ox_sink_open(&sink, call->ctx, in[0]->dtype, in[0]->rank, in[0]->dims);
        if (s == OX_OK) {
            if (in[0]->count) memcpy(sink.data, cache.data, sink.count * sink.size);
            if (in[1]->count) write_rows(&sink, &update, in[0], in[1], axis, at);
            s = ox_sink_close(&sink, call->ctx, OX_OK, &out[0]);
        }
        ox_view_close(&update, call->ctx);
    }
    ox_view_close(&cache, call->ctx);
    return s;
}
