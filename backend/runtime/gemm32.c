/* backend/runtime/gemm32.c - packing, blocking and sharing out of gemm32.h.
 *
 * Packed B: panels of two vectors of columns (the last one has a single one if that is enough), each with all rows one after the other, filled up with
 * zeros. Columns and depth are cut into blocks of a size that stays in the second-level cache while all rows pass by; the part of A that a tile
 * reads of a block stays in the first-level cache while the block's panels pass by. */
#include "backend/runtime/gemm32.h"

#include <math.h>
#include <string.h>

enum {
    DEPTH = 448,            /* of a block; for 14 rows, half of a first-level cache */
    TILE_FLOATS = 6272,     /* so much of A for a tile of fewer rows, where nothing depends on it */
    BLOCK_FLOATS = 1 << 18, /* of B: half of a second-level cache */
    PIECES = 4,             /* for each thread, so that they end together */
    GM_MAX = 14
};

/* One panel's part of one block, by up to GM rows. */
struct tile {
    const float *a[GM_MAX]; /* where each row's part begins */
    size_t taps, k, tap_stride;
    const float *b;
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

static const struct kernels *find(enum ox_isa isa)
{
#if OX_ISA_X86
    if (isa == OX_ISA_AVX512) return &kernels_avx512;
    if (isa == OX_ISA_AVX2) return &kernels_avx2;
#else
    (void)isa;
#endif
    return &kernels_plain;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t parts(size_t n, size_t size)
{
    return n / size + (n % size != 0);
}

/* ---- packing ----------------------------------------------------------------------------------- */

size_t oxr_gemm32_size(enum ox_isa isa, size_t rows, size_t columns)
{
    const size_t vector = find(isa)->vector;
    return rows * parts(columns, vector) * vector;
}

void oxr_gemm32_pack(enum ox_isa isa, float *packed, size_t rows, size_t columns, const float *b, size_t row_stride, size_t column_stride)
{
    const size_t vector = find(isa)->vector;
    for (size_t j = 0; j < columns; j += 2 * vector) {
        const size_t n = least(columns - j, 2 * vector), width = parts(n, vector) * vector;
        for (size_t i = 0; i < rows; i++, packed += width) {
            for (size_t x = 0; x < n; x++) packed[x] = b[i * row_stride + (j + x) * column_stride];
            for (size_t x = n; x < width; x++) packed[x] = 0;
        }
    }
}

/* ---- blocks ------------------------------------------------------------------------------------ */

/* Depth [first, first + taps * k): whole taps, or a part of one. */
struct depth {
    size_t first, taps, k, offset; /* offset: of a row's part, in A */
    bool begin, end;               /* first and last block */
};

/* Rows [i0, i1) of one block of depth and the columns [j0, j1), which begin at a panel. */
static void run_block(const struct kernels *kernels, const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r, const struct depth *d, size_t i0, size_t i1,
                      size_t j0, size_t j1)
{
    const size_t panel = 2 * kernels->vector, tiles = parts(i1 - i0, kernels->rows), depth = g->taps * g->k;
    struct tile t = {.taps = d->taps, .k = d->k, .tap_stride = r->tap_stride, .c_stride = r->c_stride, .add_stride = r->add_stride, .first = d->begin};
    t.low = g->low;
    t.high = g->high;
    t.clamp = d->end && (g->low > -INFINITY || g->high < INFINITY);
    for (size_t s = 0; s < tiles; s++) {
        const size_t from = i0 + (i1 - i0) * s / tiles, mr = i0 + (i1 - i0) * (s + 1) / tiles - from;
        for (size_t i = 0; i < mr; i++) t.a[i] = (r->each ? r->each[from + i] : r->a + (from + i) * r->a_stride) + d->offset;
        for (size_t j = j0; j < j1; j += panel) {
            t.n = least(g->n - j, panel);
            const size_t vectors = parts(t.n, kernels->vector);
            t.b = g->b + j * depth + d->first * vectors * kernels->vector;
            t.bias = g->bias ? g->bias + j : NULL;
            t.c = r->c + from * r->c_stride + j;
            t.add = r->add && d->begin ? r->add + from * r->add_stride + j : NULL;
            kernels->tiles[mr - 1][vectors - 1](&t);
        }
    }
}

/* The block that follows; d->taps is 0 before the first. */
static void next_depth(struct depth *d, const struct oxr_gemm32 *g, size_t tap_stride, size_t most)
{
    const size_t first = d->first + d->taps * d->k, tap = g->k ? first / g->k : 0, k = g->k ? first % g->k : 0;
    d->first = first;
    d->begin = first == 0;
    d->offset = tap * tap_stride + k;
    if (g->k >= most) {
        d->taps = 1;
        d->k = least(g->k - k, parts(g->k, parts(g->k, most)));
    } else {
        const size_t blocks = parts(g->taps, most / (g->k ? g->k : 1));
        d->taps = least(g->taps - tap, parts(g->taps, blocks));
        d->k = g->k;
    }
    d->end = first + d->taps * d->k == g->taps * g->k;
}

static void run_part(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r, size_t i0, size_t i1, size_t j0, size_t j1)
{
    const struct kernels *kernels = find(g->isa);
    const size_t panel = 2 * kernels->vector, tiles = parts(i1 - i0, kernels->rows);
    if (i0 >= i1 || j0 >= j1) return;
    /* What is to be added comes at the end of the first block, so that block must not depend on rows. */
    const size_t rows = parts(i1 - i0, tiles), most = r->add || rows * DEPTH > TILE_FLOATS ? DEPTH : TILE_FLOATS / rows;
    struct depth d = {0};
    for (size_t j = j0; j < j1;) {
        next_depth(&d, g, r->tap_stride, most);
        const size_t columns = BLOCK_FLOATS / (d.taps * d.k + 1) / panel * panel;
        const size_t end = columns < panel ? j + panel : j + columns;
        for (;; next_depth(&d, g, r->tap_stride, most)) {
            run_block(kernels, g, r, &d, i0, i1, j, least(end, j1));
            if (d.end) break;
        }
        j = end;
        d = (struct depth){0};
    }
}

void oxr_gemm32_run(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r)
{
    run_part(g, r, 0, r->m, 0, g->n);
}

/* ---- threads ----------------------------------------------------------------------------------- */

#if OX_XNNPACK
#include <pthreadpool.h>

struct job {
    const struct oxr_gemm32 *g;
    const struct oxr_gemm32_rows *r;
    size_t rows, columns; /* of a piece */
};

static void piece(void *context, size_t i, size_t j)
{
    const struct job *job = context;
    run_part(job->g, job->r, i * job->rows, least((i + 1) * job->rows, job->r->m), j * job->columns, least((j + 1) * job->columns, job->g->n));
}

void oxr_gemm32_run_all(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r, struct pthreadpool *pool)
{
    const struct kernels *kernels = find(g->isa);
    const size_t threads = pthreadpool_get_threads_count(pool), wanted = PIECES * threads, panel = 2 * kernels->vector;
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
    pthreadpool_parallelize_2d(pool, piece, &job, parts(r->m, job.rows), parts(g->n, job.columns), 0);
}
#else
void oxr_gemm32_run_all(const struct oxr_gemm32 *g, const struct oxr_gemm32_rows *r, struct pthreadpool *pool)
{
    (void)pool;
    oxr_gemm32_run(g, r);
}
#endif
