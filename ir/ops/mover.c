/* ir/ops/mover.c - moving elements of any type; see mover.h. */
#include "ir/ops/mover.h"

/* ---- views and sinks ------------------------------------------------------------------------- */

static bool is_packed(ox_dtype dtype) {
    return ox_dtype_bits(dtype) < 8;
}

ox_status ox_view_open(struct ox_view *view, ox_ctx *ctx, const ox_tensor *tensor) {
    *view = (struct ox_view){tensor->data, (size_t)ox_dtype_bits(tensor->dtype) / 8, NULL};
    if (!is_packed(tensor->dtype)) return OX_OK;
    view->size = 1;
    OX_TRY(ox_alloc_raw(ctx, &view->own, tensor->count, 1));
    ox_unpack_bits(view->own, tensor->data, tensor->count, tensor->dtype);
    view->data = view->own;
    return OX_OK;
}

void ox_view_close(struct ox_view *view, ox_ctx *ctx) {
    if (view->own) ox_free(ctx, view->own);
    *view = (struct ox_view){0};
}

ox_status ox_sink_open(struct ox_sink *sink, ox_ctx *ctx, ox_dtype dtype, int rank,
                       const int64_t *dims) {
    void *data;
    *sink = (struct ox_sink){.size = (size_t)ox_dtype_bits(dtype) / 8};
    OX_TRY(ox_tensor_new(&sink->tensor, &data, ctx, dtype, rank, dims));
    sink->data = data;
    sink->count = sink->tensor->count;
    if (!is_packed(dtype)) return OX_OK;
    sink->size = 1;
    sink->packed = data;
    ox_status s = ox_alloc(ctx, &sink->own, sink->count, 1);
    if (s != OX_OK) ox_tensor_unref(sink->tensor);
    sink->data = sink->own;
    return s;
}

ox_status ox_sink_close(struct ox_sink *sink, ox_ctx *ctx, ox_status status, ox_tensor **out) {
    ox_tensor *t = sink->tensor;
    if (status == OX_OK && t->dtype == OX_STRING) {
        status = ox_tensor_strings(out, ctx, t->rank, t->dims, t->data);
        ox_tensor_unref(t);
        return status;
    }
    if (sink->own) {
        if (status == OX_OK) ox_pack_bits(sink->packed, sink->own, sink->count, t->dtype);
        ox_free(ctx, sink->own);
    }
    if (status == OX_OK)
        *out = t;
    else
        ox_tensor_unref(t);
    return status;
}

void ox_row_major(int64_t *strides, int rank, const int64_t *dims) {
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride =
            (int64_t)((uint64_t)stride * (uint64_t)dims[i]); /* beside a dim of 0 anything may be */
    }
}

/* ---- loops over one size of element -----------------------------------------------------------
 */

struct wide {
    uint64_t low, high;
};

/* Elements may be unaligned (a row of bytes seen as words), hence memcpy of a constant size. */
#define LINE(name, T)                                                                              \
    static void line_##name(unsigned char *dst, const unsigned char *src, ptrdiff_t step,          \
                            size_t n) {                                                            \
        if (step == 0) {                                                                           \
            T v;                                                                                   \
            memcpy(&v, src, sizeof v);                                                             \
            for (size_t i = 0; i < n; i++)                                                         \
                memcpy(dst + i * sizeof(T), &v, sizeof v);                                         \
            return;                                                                                \
        }                                                                                          \
        step *= (ptrdiff_t)sizeof(T);                                                              \
        for (size_t i = 0; i < n; i++, src += step, dst += sizeof(T))                              \
            memcpy(dst, src, sizeof(T));                                                           \
    }

enum { TILE = 16 };

/* An n x m tile: rows of the source, m elements side by side, `step` apart, become columns. */
#define TRANSPOSE(name, T)                                                                         \
    static void tile_##name(unsigned char *dst, size_t dst_step, const unsigned char *src,         \
                            ptrdiff_t src_step, size_t n, size_t m) {                              \
        T tile[TILE][TILE];                                                                        \
        if (n == TILE && m == TILE) {                                                              \
            for (size_t i = 0; i < TILE; i++, src += src_step)                                     \
                memcpy(tile[i], src, sizeof tile[i]);                                              \
            for (size_t j = 0; j < TILE; j++, dst += dst_step) {                                   \
                T row[TILE];                                                                       \
                for (size_t i = 0; i < TILE; i++)                                                  \
                    row[i] = tile[i][j];                                                           \
                memcpy(dst, row, sizeof row);                                                      \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (size_t i = 0; i < n; i++, src += src_step)                                            \
            for (size_t j = 0; j < m; j++)                                                         \
                memcpy(dst + j * dst_step + i * sizeof(T), src + j * sizeof(T), sizeof(T));        \
    }

#define SIZES(X) X(1, uint8_t) X(2, uint16_t) X(4, uint32_t) X(8, uint64_t) X(16, struct wide)
SIZES(LINE)
SIZES(TRANSPOSE)
#undef LINE
#undef TRANSPOSE

typedef void (*line_fn)(unsigned char *, const unsigned char *, ptrdiff_t, size_t);
typedef void (*tile_fn)(unsigned char *, size_t, const unsigned char *, ptrdiff_t, size_t, size_t);

static line_fn line_of(size_t size) {
    switch (size) {
    case 1:
        return line_1;
    case 2:
        return line_2;
    case 4:
        return line_4;
    case 8:
        return line_8;
    default:
        return line_16;
    }
}

static tile_fn tile_of(size_t size) {
    switch (size) {
    case 1:
        return tile_1;
    case 2:
        return tile_2;
    case 4:
        return tile_4;
    case 8:
        return tile_8;
    default:
        return tile_16;
    }
}

void ox_fill(void *dst, const void *value, size_t size, size_t n) {
    line_of(size)(dst, value, 0, n);
}

/* ---- the strided copy ------------------------------------------------------------------------ */

/* Loops in order, without those of length 1, neighbours merged; distances in bytes. The last loop
 * (and the last but one where `tiled`) is done by `line` or `tile`; all others are walked. */
struct walk {
    int rank; /* walked loops */
    int64_t dims[2 * OX_MAX_RANK], dst[2 * OX_MAX_RANK], src[2 * OX_MAX_RANK];
    unsigned char *to;
    const unsigned char *from;
    size_t size;
    int64_t n, src_step; /* the last loop; its dst_step is size. src_step counts elements */
    int64_t m, dst_row; /* tiled: the loop along which the source is contiguous; dst_row in bytes */
    bool contiguous, tiled;
    line_fn line;
    tile_fn tile;
};

static void merge(struct walk *w, const struct ox_strided *s) {
    w->rank = 0;
    for (int i = 0; i < s->rank; i++) {
        if (s->dims[i] == 1) continue;
        int last = w->rank - 1;
        if (last >= 0 && w->dst[last] == s->dst[i] * s->dims[i] &&
            w->src[last] == s->src[i] * s->dims[i]) {
            w->dims[last] *= s->dims[i];
            w->dst[last] = s->dst[i];
            w->src[last] = s->src[i];
            continue;
        }
        w->dims[w->rank] = s->dims[i];
        w->dst[w->rank] = s->dst[i];
        w->src[w->rank++] = s->src[i];
    }
    if (w->rank == 0) {
        w->dims[0] = w->dst[0] = w->src[0] = 1;
        w->rank = 1;
    }
}

/* A short contiguous last loop becomes one larger element, if all distances allow. */
static void widen(struct walk *w) {
    int last = w->rank - 1;
    int64_t n = w->dims[last];
    if (last == 0 || w->dst[last] != 1 || w->src[last] != 1) return;
    if (n > 16 || (n & (n - 1)) != 0 || (size_t)n * w->size > 16) return;
    for (int i = 0; i < last; i++)
        if (w->dst[i] % n != 0 || w->src[i] % n != 0) return;
    w->rank--;
    w->size *= (size_t)n;
    for (int i = 0; i < w->rank; i++) {
        w->dst[i] /= n;
        w->src[i] /= n;
    }
}

static void drop_loop(struct walk *w, int at) {
    w->rank--;
    for (int i = at; i < w->rank; i++) {
        w->dims[i] = w->dims[i + 1];
        w->dst[i] = w->dst[i + 1];
        w->src[i] = w->src[i + 1];
    }
}

/* Chooses what the innermost loops do and takes them off the walk. */
static void choose(struct walk *w) {
    int64_t size = (int64_t)w->size;
    int last = w->rank - 1, along = -1, inner = last;
    for (int i = 0; i < w->rank; i++) /* what the destination has innermost: writes in a row */
        if (w->dst[i] == 1) inner = i;
    if (inner != last) { /* never with dims in the destination's order; walk that one last */
        int64_t dim = w->dims[inner], dst = w->dst[inner], src = w->src[inner];
        drop_loop(w, inner);
        w->dims[w->rank] = dim;
        w->dst[w->rank] = dst;
        w->src[w->rank++] = src;
    }
    w->n = w->dims[last];
    w->src_step = w->src[last];
    if (w->dst[last] != 1) { /* elements far apart on both sides: one at a time */
        w->n = 1;
        w->src_step = 1;
        last++;
    }
    w->contiguous = w->src_step == 1;
    for (int i = 0; !w->contiguous && i < last; i++)
        if (w->src[i] == 1 && w->dims[i] > 1) along = i;
    w->rank = last;
    w->tiled = along >= 0 && w->n > 1;
    if (w->tiled) {
        w->m = w->dims[along];
        w->dst_row = w->dst[along] * size;
        drop_loop(w, along);
    }
    for (int i = 0; i < w->rank; i++) {
        w->dst[i] *= size;
        w->src[i] *= size;
    }
    w->line = line_of(w->size);
    w->tile = tile_of(w->size);
}

struct at {
    int64_t coord[2 * OX_MAX_RANK];
    unsigned char *to;
    const unsigned char *from;
};

static void seek(struct at *at, const struct walk *w, size_t index) {
    at->to = w->to;
    at->from = w->from;
    for (int i = w->rank - 1; i >= 0; i--) {
        at->coord[i] = (int64_t)(index % (size_t)w->dims[i]);
        index /= (size_t)w->dims[i];
        at->to += at->coord[i] * w->dst[i];
        at->from += at->coord[i] * w->src[i];
    }
}

static void step(struct at *at, const struct walk *w) {
    for (int i = w->rank - 1; i >= 0; i--) {
        at->to += w->dst[i];
        at->from += w->src[i];
        if (++at->coord[i] < w->dims[i]) return;
        at->to -= w->dst[i] * w->dims[i];
        at->from -= w->src[i] * w->dims[i];
        at->coord[i] = 0;
    }
}

static void copy_rows(void *arg, size_t begin, size_t end) {
    const struct walk *w = arg;
    struct at at;
    seek(&at, w, begin);
    for (; begin < end; begin++) {
        if (w->contiguous)
            memcpy(at.to, at.from, (size_t)w->n * w->size);
        else
            w->line(at.to, at.from, (ptrdiff_t)w->src_step, (size_t)w->n);
        step(&at, w);
    }
}

/* An item is a strip of TILE rows of the destination. */
static void copy_strips(void *arg, size_t begin, size_t end) {
    const struct walk *w = arg;
    struct at at;
    size_t strips = ((size_t)w->m + TILE - 1) / TILE, strip = begin % strips;
    ptrdiff_t src_row = (ptrdiff_t)w->src_step * (ptrdiff_t)w->size;
    seek(&at, w, begin / strips);
    for (; begin < end; begin++) {
        size_t j = strip * TILE, m = (size_t)w->m - j < TILE ? (size_t)w->m - j : TILE;
        unsigned char *to = at.to + (ptrdiff_t)j * w->dst_row;
        const unsigned char *from = at.from + j * w->size;
        for (size_t i = 0; i < (size_t)w->n; i += TILE) {
            size_t n = (size_t)w->n - i < TILE ? (size_t)w->n - i : TILE;
            w->tile(to + i * w->size, (size_t)w->dst_row, from + (ptrdiff_t)i * src_row, src_row, n,
                    m);
        }
        if (++strip == strips) {
            strip = 0;
            step(&at, w);
        }
    }
}

void ox_strided_copy(ox_ctx *ctx, void *dst, const void *src, size_t size,
                     const struct ox_strided *strided) {
    struct walk w = {.to = dst, .from = src, .size = size};
    for (int i = 0; i < strided->rank; i++)
        if (strided->dims[i] == 0) return;
    merge(&w, strided);
    widen(&w);
    choose(&w);
    size_t items = 1;
    for (int i = 0; i < w.rank; i++)
        items *= (size_t)w.dims[i];
    if (w.tiled) {
        size_t strips = ((size_t)w.m + TILE - 1) / TILE;
        ox_parallel(ctx, items * strips, ox_copy_grain((size_t)w.n * TILE * w.size), copy_strips,
                    &w);
    } else {
        ox_parallel(ctx, items, ox_copy_grain((size_t)w.n * w.size), copy_rows, &w);
    }
}
