/* ir/ops/op_order.c - TopK and Unique: what sorts. Numbers are compared by ox_wide_key, so NaN is
 * the greatest and equal to itself, and the order is total. */
#include "ir/ops/mover.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/wide.h"

/* ---- TopK ------------------------------------------------------------------------------------ */

ox_status ox_decode_top_k(const struct ox_call *call, void *params) {
    struct ox_top_k_params *p = params;
    int64_t largest = 1, sorted;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", -1));
    p->k = -1;
    if (call->opset >= 11) {
        OX_TRY(ox_attr_int(&largest, call, "largest", 1));
        OX_TRY(ox_attr_int(&sorted, call, "sorted",
                           1)); /* sorted is one of the orders that unsorted allows */
    }
    p->largest = largest != 0;
    if (call->opset < 10) {
        if (!ox_attr_find(call, "k")) return ox_bad_attr(call, "TopK has no k");
        OX_TRY(ox_attr_int(&p->k, call, "k", 0));
    } else {
        const ox_tensor *k = ox_const_input(call, 1);
        if (!ox_has_input(call, 1))
            return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL, "TopK has no k");
        if (!k) return OX_OK;
        OX_TRY(ox_expect_index(call, 1, k->dtype));
        OX_TRY(ox_scalar_int(&p->k, call, "k", k));
    }
    if (p->k < 0) return ox_bad_attr(call, "TopK with a k of %lld", (long long)p->k);
    return OX_OK;
}

ox_status ox_infer_top_k(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_top_k_params *p = params;
    int rank = ox_in_rank(io, 0), axis;
    ox_dim dims[OX_MAX_RANK], k = ox_dim_const(p->k);
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_NUMBERS));
    if (rank >= 0) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
        memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
        if (p->k < 0 && ox_in_value(io, 1) && ox_in_value(io, 1)->count == 1)
            k = ox_in_value(io, 1)->elems[0];
        else if (p->k < 0)
            OX_TRY(ox_dim_unknown(&k, io->dims));
        if (ox_dim_is_const(k) && ox_dim_is_const(dims[axis]) && k.k > dims[axis].k)
            return ox_bad_shape(call, "TopK takes %lld of %lld", (long long)k.k,
                                (long long)dims[axis].k);
        dims[axis] = k;
    }
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims));
    return call->n_out > 1 ? ox_infer_tensor(io, 1, OX_INT64, rank, dims) : OX_OK;
}

/* Greater keys first; of equal ones the lower index. */
struct ranked {
    uint64_t key;
    int64_t index;
};

static bool before(const struct ranked *a, const struct ranked *b) {
    return a->key != b->key ? a->key > b->key : a->index < b->index;
}

/* Restores the heap whose top is the last in order, below position i. */
static void sift(struct ranked *heap, size_t n, size_t i) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1])) child++;
        if (!before(&heap[i], &heap[child])) return;
        struct ranked t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
    }
}

struct top_k {
    const ox_tensor *x;
    const unsigned char *data;
    unsigned char *values;
    int64_t *indices;
    size_t k, dim, inner, size;
    bool largest;
    ox_wide_kind kind;
    struct ranked *heaps; /* k for each line */
};

/* Keeps the best k of a line in a heap, then sorts the heap in place. */
static void top_line(const struct top_k *t, size_t line) {
    struct ranked *heap = t->heaps + line * t->k;
    size_t start = line / t->inner * t->dim * t->inner + line % t->inner, kept = 0;
    union ox_wide stretch[64];
    for (size_t i = 0; i < t->dim; i++) {
        size_t left = t->dim - i < 64 ? t->dim - i : 64;
        if (i % 64 == 0)
            ox_wide_load(stretch, t->x->dtype, t->data + (start + i * t->inner) * t->size,
                         (ptrdiff_t)t->inner, left);
        uint64_t key = ox_wide_key(t->kind, stretch[i % 64]);
        struct ranked r = {t->largest ? key : ~key, (int64_t)i};
        if (kept < t->k) {
            heap[kept++] = r;
            for (size_t j = kept == t->k ? kept / 2 : 0; j-- > 0;)
                sift(heap, kept, j);
        } else if (before(&r, &heap[0])) {
            heap[0] = r;
            sift(heap, kept, 0);
        }
    }
    for (size_t n = kept; n-- > 1;) {
        struct ranked last = heap[0];
        heap[0] = heap[n];
        heap[n] = last;
        sift(heap, n, 0);
    }
    size_t to = line / t->inner * t->k * t->inner + line % t->inner;
    for (size_t i = 0; i < kept; i++, to += t->inner) {
        size_t from = start + (size_t)heap[i].index * t->inner;
        if (t->values) memcpy(t->values + to * t->size, t->data + from * t->size, t->size);
        if (t->indices) t->indices[to] = heap[i].index;
    }
}

static void top_lines(void *arg, size_t begin, size_t end) {
    for (; begin < end; begin++)
        top_line(arg, begin);
}

ox_status ox_eval_top_k(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    const struct ox_top_k_params *p = params;
    const ox_tensor *x = in[0];
    int axis;
    int64_t dims[OX_MAX_RANK];
    void *values = NULL, *indices = NULL;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_NUMBERS));
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    memcpy(dims, x->dims, (size_t)x->rank * sizeof *dims);
    if (p->k > dims[axis])
        return ox_bad_shape(call, "TopK takes %lld of %lld", (long long)p->k,
                            (long long)dims[axis]);
    dims[axis] = p->k;
    if (!call->wanted || call->wanted[0])
        OX_TRY(ox_tensor_new(&out[0], &values, call->ctx, x->dtype, x->rank, dims));
    if (call->n_out > 1 && (!call->wanted || call->wanted[1]))
        OX_TRY(ox_tensor_new(&out[1], &indices, call->ctx, OX_INT64, x->rank, dims));
    if (x->count == 0 || p->k == 0) return OX_OK;
    struct top_k t = {.x = x,
                      .data = x->data,
                      .values = values,
                      .indices = indices,
                      .k = (size_t)p->k,
                      .dim = (size_t)x->dims[axis],
                      .inner = (size_t)ox_count_of(x->rank - axis - 1, x->dims + axis + 1),
                      .size = (size_t)ox_dtype_bits(x->dtype) / 8,
                      .largest = p->largest,
                      .kind = ox_wide_of(x->dtype)};
    size_t lines = x->count / t.dim;
    OX_TRY(ox_alloc_raw(call->ctx, &t.heaps, lines * t.k, sizeof *t.heaps)); /* at most x->count */
    ox_parallel(call->ctx, lines, 4096 / t.dim + 1, top_lines, &t);
    ox_free(call->ctx, t.heaps);
    return OX_OK;
}

/* ---- Unique ---------------------------------------------------------------------------------- */

ox_status ox_decode_unique(const struct ox_call *call, void *params) {
    struct ox_unique_params *p = params;
    int64_t sorted;
    p->has_axis = ox_attr_find(call, "axis") != NULL;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
    OX_TRY(ox_attr_int(&sorted, call, "sorted", 1));
    p->sorted = sorted != 0;
    return OX_OK;
}

ox_status ox_infer_unique(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_unique_params *p = params;
    int rank = p->has_axis ? ox_in_rank(io, 0) : 1, axis = 0;
    ox_dim dims[OX_MAX_RANK], count, length;
    OX_TRY(ox_dim_unknown(&count, io->dims));
    OX_TRY(ox_dim_unknown(&length, io->dims));
    io->why = "how many elements differ from each other is data";
    if (p->has_axis && rank >= 0) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank));
        memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
        length = dims[axis];
    } else if (!p->has_axis && ox_in_rank(io, 0) >= 0) {
        OX_TRY(ox_dim_product(&length, io, io->in[0]->dims, ox_in_rank(io, 0)));
    }
    if (rank >= 0) dims[axis] = count;
    OX_TRY(ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims));
    for (size_t i = 1; i < call->n_out; i++)
        OX_TRY(ox_infer_tensor(io, i, OX_INT64, 1, i == 2 ? &length : &count));
    return OX_OK;
}

/* `dim` slices of outer x inner elements each. */
struct slices {
    const struct ox_view *view;
    ox_dtype dtype;
    ox_wide_kind kind;
    size_t dim, outer, inner;
};

static int compare_strings(const unsigned char *a, const unsigned char *b) {
    struct ox_str s, t;
    memcpy(&s, a, sizeof s);
    memcpy(&t, b, sizeof t);
    size_t n = s.len < t.len ? s.len : t.len;
    int order = n ? memcmp(s.ptr, t.ptr, n) : 0;
    return order ? order : (s.len > t.len) - (s.len < t.len);
}

static int compare_elements(const struct slices *s, size_t i, size_t j) {
    const unsigned char *a = s->view->data + i * s->view->size,
                        *b = s->view->data + j * s->view->size;
    if (s->dtype == OX_STRING) return compare_strings(a, b);
    if (s->kind == OX_WIDE_NONE)
        return memcmp(a, b, s->view->size); /* no order: any that is total */
    union ox_wide v, w;
    ox_wide_load(&v, s->dtype, a, 1, 1);
    ox_wide_load(&w, s->dtype, b, 1, 1);
    uint64_t x = ox_wide_key(s->kind, v), y = ox_wide_key(s->kind, w);
    return (x > y) - (x < y);
}

static int compare_slices(const struct slices *s, size_t i, size_t j) {
    for (size_t o = 0; o < s->outer; o++) {
        for (size_t k = 0; k < s->inner; k++) {
            int order = compare_elements(s, (o * s->dim + i) * s->inner + k,
                                         (o * s->dim + j) * s->inner + k);
            if (order) return order;
        }
    }
    return 0;
}

/* Sorts n slice numbers by content, equal ones by number; room has as many places. Merge sort,
 * bottom up. */
static void sort_slices(const struct slices *s, int64_t *order, int64_t *room, size_t n) {
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            size_t mid = low + width < n ? low + width : n,
                   high = mid + width < n ? mid + width : n;
            size_t i = low, j = mid;
            for (size_t k = low; k < high; k++) {
                bool left = j == high ||
                            (i < mid && compare_slices(s, (size_t)order[i], (size_t)order[j]) <= 0);
                room[k] = order[left ? i++ : j++];
            }
        }
        memcpy(order, room, n * sizeof *order);
    }
}

/* What Unique finds: arrays of `dim` entries, of which `count` are used where not said otherwise.
 */
struct unique {
    int64_t *order, *room; /* dim entries */
    int64_t *first;        /* slice where a group is met first */
    int64_t *counts;
    int64_t *inverse; /* dim entries: group of each slice */
    size_t count;
};

/* Groups in ascending order of content. */
static void group_slices(struct unique *u, const struct slices *s) {
    for (size_t i = 0; i < s->dim; i++)
        u->order[i] = (int64_t)i;
    sort_slices(s, u->order, u->room, s->dim);
    for (size_t i = 0; i < s->dim; i++) {
        int64_t slice = u->order[i];
        if (i == 0 || compare_slices(s, (size_t)u->order[i - 1], (size_t)slice) != 0) {
            u->first[u->count] = slice;
            u->counts[u->count++] = 0;
        }
        u->counts[u->count - 1]++;
        u->inverse[slice] = (int64_t)u->count - 1;
    }
}

/* Puts groups in the order in which they are met. */
static void order_by_first(struct unique *u, size_t dim) {
    int64_t *rank = u->room; /* new number of a group */
    size_t met = 0;
    for (size_t i = 0; i < dim; i++)
        if (u->first[u->inverse[i]] == (int64_t)i) rank[u->inverse[i]] = (int64_t)met++;
    for (size_t i = 0; i < dim; i++)
        u->inverse[i] = rank[u->inverse[i]];
    memset(u->counts, 0, u->count * sizeof *u->counts);
    for (size_t i = dim; i-- > 0;) {
        u->first[u->inverse[i]] = (int64_t)i;
        u->counts[u->inverse[i]]++;
    }
}

static ox_status unique_values(ox_tensor **out, const struct ox_call *call, const struct unique *u,
                               const struct slices *s, int rank, int64_t *dims, int axis) {
    struct ox_sink sink;
    dims[axis] = (int64_t)u->count;
    OX_TRY(ox_sink_open(&sink, call->ctx, s->dtype, rank, dims));
    size_t row = s->inner * sink.size;
    for (size_t o = 0; sink.count > 0 && o < s->outer; o++)
        for (size_t i = 0; i < u->count; i++)
            memcpy(sink.data + (o * u->count + i) * row,
                   s->view->data + (o * s->dim + (size_t)u->first[i]) * row, row);
    return ox_sink_close(&sink, call->ctx, OX_OK, out);
}

static ox_status unique_outputs(ox_tensor **out, const struct ox_call *call, const struct unique *u,
                                const struct slices *s, int rank, int64_t *dims, int axis) {
    const int64_t *parts[] = {NULL, u->first, u->inverse, u->counts};
    if (!call->wanted || call->wanted[0])
        OX_TRY(unique_values(&out[0], call, u, s, rank, dims, axis));
    for (size_t i = 1; i < call->n_out; i++) {
        int64_t n = (int64_t)(i == 2 ? s->dim : u->count);
        if (call->wanted && !call->wanted[i]) continue;
        OX_TRY(ox_tensor_copy(&out[i], call->ctx, OX_INT64, 1, &n, parts[i], (size_t)n * sizeof n));
    }
    return OX_OK;
}

ox_status ox_eval_unique(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_unique_params *p = params;
    const ox_tensor *x = in[0];
    int axis = 0, rank = 1;
    int64_t dims[OX_MAX_RANK] = {(int64_t)x->count}, *arrays;
    if (p->has_axis) {
        OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
        rank = x->rank;
        memcpy(dims, x->dims, (size_t)rank * sizeof *dims);
    }
    struct ox_view view;
    struct slices s = {.view = &view,
                       .dtype = x->dtype,
                       .kind = ox_wide_of(x->dtype),
                       .dim = (size_t)dims[axis],
                       .outer = (size_t)ox_count_of(axis, dims),
                       .inner = (size_t)ox_count_of(rank - axis - 1, dims + axis + 1)};
    if (x->count == 0 && s.dim > 0)
        s.outer = s.inner = 0; /* slices without elements are all equal */
    OX_TRY(ox_view_open(&view, call->ctx, x));
    ox_status status = ox_alloc(call->ctx, &arrays, s.dim, 5 * sizeof *arrays);
    if (status == OX_OK) {
        struct unique u = {
            arrays, arrays + s.dim, arrays + 2 * s.dim, arrays + 3 * s.dim, arrays + 4 * s.dim, 0};
        group_slices(&u, &s);
        if (!p->sorted) order_by_first(&u, s.dim);
        status = unique_outputs(out, call, &u, &s, rank, dims, axis);
        ox_free(call->ctx, arrays);
    }
    ox_view_close(&view, call->ctx);
    return status;
}
