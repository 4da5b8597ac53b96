/* backend/runtime/gemm32.c - packing, blocking and sharing out of gemm32.h.
 *
 * Packed B: panels of two vectors of columns (the last one has a single one if that is enough),
 * each with all rows one after the other, filled up with zeros. Columns and depth are cut into
 * blocks of a size that stays in the second-level cache while all rows pass by; the part of A that
 * a tile reads of a block stays in the first-level cache while the block's panels pass by. In a
 * network, weights are not in any near cache when their turn comes: tiles fetch the block after
 * theirs, a share each, which is worth up to twice the speed where rows are few. */
#include "backend/runtime/gemm32.h"
#include "ir/ops/kernel_gemm.h"

#include <math.h>
#include <string.h>

enum {
    DEPTH = 448,            /* of a block; for 14 rows, half of a first-level cache */
    TILE_FLOATS = 6272,     /* so much of A for a tile of fewer rows, where nothing depends on it */
    BLOCK_FLOATS = 1 << 18, /* of B: half of a second-level cache */
    FEW_ROWS = 448, /* then a block is an eighth of that: it is not used so often that its being
                       fetched does not count */
    PIECES = 4,     /* for each thread, so that they end together */
    GM_MAX = 14,
    WIDE = 4 /* panels at a time where a row is alone and B near: one's two sums would wait for
                each other */
};

/* One panel's part of one block, by up to GM rows. */
struct tile {
    const float *a[GM_MAX]; /* where each row's part begins */
    size_t taps, k, tap_stride;
    const float *b;
    size_t b_stride;  /* to the next panel, for WIDE of them */
    const char *soon; /* part of B that is needed after this one: each step fetches from there, and
                         goes on by soon_step */
    size_t soon_step;
    float *c;
    size_t c_stride;
    const float *add;
    size_t add_stride, n; /* n: columns, at most two vectors */
    const float *bias;
    bool first, clamp; /* first: sums begin here, not with what C holds */
    float low, high;
};

typedef void (*tile_fn)(const struct tile *t);
struct kernels {
    size_t rows, vector;
    tile_fn tiles[GM_MAX][2]; /* [rows - 1][vectors - 1] */
    tile_fn wide;
};

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/gemm32.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/gemm32.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/gemm32.inc"
#undef OX_ISA_IS
#endif

static const struct kernels *find(enum ox_isa isa) {
#if OX_ISA_X86
    if (isa == OX_ISA_AVX512) return &kernels_avx512;
    if (isa == OX_ISA_AVX2) return &kernels_avx2;
#else
    (void)isa;
#endif
    return &kernels_plain;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t parts(size_t n, size_t size) {
    return n / size + (n % size != 0);
}

/* ---- packing -----------------------------------------------------------------------------------
 */

size_t oxr_gemm32_size(enum ox_isa isa, size_t rows, size_t columns) {
    const size_t vector = find(isa)->vector;
    return rows * parts(columns, vector) * vector;
}

void oxr_gemm32_pack(enum ox_isa isa, float *packed, size_t rows, size_t columns, const float *b,
                     size_t row_stride, size_t column_stride) {
    const size_t vector = find(isa)->vector;
    for (size_t j = 0; j < columns; j += 2 * vector) {
        const size_t n = least(columns - j, 2 * vector), width = parts(n, vector) * vector;
        if (row_stride == 1) {
            ox_pack_transposed(packed, width, b + j * column_stride, column_stride, n, rows, 1);
            packed += rows * width;
            continue;
        }
        for (size_t i = 0; i < rows; i++, packed += width) {
            for (size_t x = 0; x < n; x++)
                packed[x] = b[i * row_stride + (j + x) * column_stride];
            for (size_t x = n; x < width; x++)
                packed[x] = 0;
        }
    }
}

/* ---- blocks ------------------------------------------------------------------------------------
 */

/* Columns [j0, j1), which begin at a panel, and depth [first, first + taps * k): whole taps, or a
 * part of one. */
struct block {
    size_t j0, j1, first, taps, k;
    size_t offset; /* of a row's part, in A */
};

/* Rows [i0, i1) and columns [j0, j1) that one thread computes. */
struct part {
    const struct kernels *kernels;
    const struct oxr_gemm32 *g;
    const struct oxr_gemm32_rows *r;
    size_t i0, i1, j0, j1;
    size_t panel, most, floats; /* columns of a panel; depth of a block, its size */
};

static size_t block_depth(const struct block *b) {
    return b->taps * b->k;
}

/* The first block that begins there. */
static struct block block_at(const struct part *p, size_t j, size_t first) {
    const size_t k = p->g->k, tap = first / k, at = first % k;
    struct block b = {.j0 = j, .first = first, .taps = 1, .offset = tap * p->r->tap_stride + at};
    if (k > p->most) {
        b.k = least(k - at, parts(k, parts(k, p->most))); /* parts of about the same size */
    } else {
        b.k = k;
        b.taps = least(p->g->taps - tap, parts(p->g->taps, parts(p->g->taps, p->most / k)));
    }
    const size_t columns = p->floats / block_depth(&b) / p->panel * p->panel;
    b.j1 = least(p->j1, j + (columns < p->panel ? p->panel : columns));
    return b;
}

/* The one after it; j0 is p->j1 where there is none. Depth runs first. */
static struct block block_after(const struct part *p, const struct block *b) {
    const size_t first = b->first + block_depth(b);
    struct block next = {.j0 = p->j1};
    if (first < p->g->taps * p->g->k) {
        next = block_at(p, b->j0, first);
        next.j1 = b->j1;
    } else if (b->j1 < p->j1) {
        next = block_at(p, b->j1, 0);
    }
    return next;
}

static const float *packed_at(const struct part *p, size_t j, size_t d) {
    const size_t vectors = parts(least(p->g->n - j, p->panel), p->kernels->vector);
    return p->g->b + j * p->g->taps * p->g->k + d * vectors * p->kernels->vector;
}

/* What tile s of `tiles` fetches meanwhile from panel j of block b: of the next block its share, so
 * that it is in the second-level cache when its turn comes. Processors do not look ahead beyond a
 * page. The very first block is fetched panel by panel. */
static void look_ahead(struct tile *t, const struct part *p, const struct block *b,
                       const struct block *next, size_t j, size_t s, size_t tiles) {
    const size_t line = p->panel * sizeof(float), to = next->j0 + (j - b->j0);
    const bool cold = s == 0 && (tiles == 1 || (b->first == 0 && b->j0 == p->j0));
    t->soon = (const char *)t->b;
    t->soon_step = 0;
    if (p->g->near) return;
    if (cold && j + p->panel < b->j1) {
        t->soon = (const char *)packed_at(p, j + p->panel, b->first);
        t->soon_step = line;
    } else if (to < next->j1) {
        const size_t bytes = block_depth(next) * line;
        t->soon = (const char *)packed_at(p, to, next->first) + bytes * s / tiles;
        t->soon_step = bytes / tiles / block_depth(b);
    }
}

/* Columns from j on that one call computes, of a tile of mr rows. */
static size_t width_at(const struct part *p, const struct block *b, size_t j, size_t mr) {
    const size_t wide = WIDE * p->panel;
    return p->g->near && mr == 1 && j + wide <= least(b->j1, p->g->n) ? wide : p->panel;
}

static void run_block(const struct part *p, const struct block *b, const struct block *next) {
    const struct kernels *kernels = p->kernels;
    const struct oxr_gemm32 *g = p->g;
    const struct oxr_gemm32_rows *r = p->r;
    const size_t rows = p->i1 - p->i0, tiles = parts(rows, kernels->rows);
    const bool end = b->first + block_depth(b) == g->taps * g->k;
    struct tile t = {.taps = b->taps,
                     .k = b->k,
                     .tap_stride = r->tap_stride,
                     .c_stride = r->c_stride,
                     .add_stride = r->add_stride,
                     .first = b->first == 0};
    t.b_stride = p->panel * g->taps * g->k;
    t.low = g->low;
    t.high = g->high;
    t.clamp = end && (g->low > -INFINITY || g->high < INFINITY);
    for (size_t s = 0; s < tiles; s++) {
        const size_t from = p->i0 + rows * s / tiles, mr = p->i0 + rows * (s + 1) / tiles - from;
        for (size_t i = 0; i < mr; i++)
            t.a[i] = (r->each ? r->each[from + i] : r->a + (from + i) * r->a_stride) + b->offset;
        for (size_t j = b->j0, width; j < b->j1; j += width) {
            width = width_at(p, b, j, mr);
            t.n = least(g->n - j, p->panel);
            t.b = packed_at(p, j, b->first);
            t.bias = g->bias ? g->bias + j : NULL;
            t.c = r->c + from * r->c_stride + j;
            t.add = r->add && t.first ? r->add + from * r->add_stride + j : NULL;
            look_ahead(&t, p, b, next, j, s, tiles);
            if (width > p->panel)
                kernels->wide(&t);
            else
                kernels->tiles[mr - 1][t.n > kernels->vector](&t);
        }
        for (size_t i = 0; end && g->act && i < mr; i++)
            oxr_act32_run(g->act, r->c + (from + i) * r->c_stride + b->j0,
                          least(b->j1, g->n) - b->j0);
    }
}

static void run_part(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r, size_t i0,
                     size_t i1, size_t j0, size_t j1) {
    const struct kernels *kernels = find(g->isa);
    struct part p = {kernels, g,
                     r,       i0,
                     i1,      j0,
                     j1,      2 * kernels->vector,
                     DEPTH,   i1 - i0 > FEW_ROWS ? BLOCK_FLOATS : BLOCK_FLOATS / 8};
    if (i0 >= i1 || j0 >= j1 || g->taps * g->k == 0) return;
    /* What is to be added comes at the end of the first block, so that block must not depend on
     * rows. */
    const size_t rows = parts(i1 - i0, parts(i1 - i0, kernels->rows));
    if (!r->add && rows * DEPTH < TILE_FLOATS) p.most = TILE_FLOATS / rows;
    for (struct block b = block_at(&p, j0, 0), next; b.j0 < j1; b = next) {
        next = block_after(&p, &b);
        run_block(&p, &b, &next);
    }
}

void oxr_gemm32_run(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r) {
    run_part(g, r, 0, r->m, 0, g->n);
}

/* ---- threads -----------------------------------------------------------------------------------
 */

#if OX_XNNPACK
#include <pthreadpool.h>

struct job {
    const struct oxr_gemm32 *g;
    const struct oxr_gemm32_rows *r;
    size_t rows, columns; /* of a piece */
};

static void piece(void *context, size_t i, size_t j) {
    const struct job *job = context;
    run_part(job->g, job->r, i * job->rows, least((i + 1) * job->rows, job->r->m), j * job->columns,
             least((j + 1) * job->columns, job->g->n));
}

void oxr_gemm32_run_all(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r,
                        struct pthreadpool *pool) {
    const struct kernels *kernels = find(g->isa);
    const size_t threads = pthreadpool_get_threads_count(pool), wanted = PIECES * threads,
                 panel = 2 * kernels->vector;
    const size_t tiles = parts(r->m, kernels->rows), panels = parts(g->n, panel);
    if (threads < 2 || tiles == 0 || panels == 0) {
        oxr_gemm32_run(g, r);
        return;
    }
    /* A large B is cut by columns: then each thread reads its part only. */
    const bool wide = g->taps * g->k * g->n > BLOCK_FLOATS;
    const size_t across = least(panels, wide ? wanted : parts(wanted, least(tiles, wanted)));
    const size_t down = least(tiles, parts(wanted, across));
    struct job job = {g, r, parts(tiles, down) * kernels->rows, parts(panels, across) * panel};
    pthreadpool_parallelize_2d(pool, piece, &job, parts(r->m, job.rows), parts(g->n, job.columns),
                               0);
}
#else
void oxr_gemm32_run_all(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r,
                        struct pthreadpool *pool) {
    (void)pool;
    oxr_gemm32_run(g, r);
}
#endif
