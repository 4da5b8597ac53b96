/* ir/ops/kernel_gemm.c - blocking, packing and sharing out of the matrix product.
 *
 * C is cut into tiles of rows and columns, the items that threads take. Within an item, k runs in
 * blocks: the block's part of B is packed into strips of two vectors' width, which stay in the
 * first-level cache while strips of A pass by. A is packed once for all items where it is the same
 * for the whole batch and not huge. */
#include "ir/ops/kernel_gemm.h"

#include <stdatomic.h>

#define GM_MAX 14
typedef void (*tile_fn)(size_t k, const float *a, size_t a_rs, const float *b, size_t b_step,
                        float *c, size_t c_rs, const float *init);
typedef void (*pack_rows_fn)(float *dst, size_t width, const float *src, size_t rs, size_t count,
                             size_t n);

struct gemm_kernels {
    size_t mr, vw; /* rows of a full tile; floats in a vector */
    pack_rows_fn pack_rows;
    tile_fn tiles[GM_MAX][2][2]; /* [rows - 1][A is read as it is][vectors - 1] */
};

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/kernel_gemm.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/kernel_gemm.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/kernel_gemm.inc"
#undef OX_ISA_IS
#endif

enum {
    BLOCK_N = 512,         /* columns of an item */
    BLOCK_M = 448,         /* rows that pass by one strip of B */
    DIRECT_A_STRIPS = 8,   /* so few strips of columns do not pay for packing A */
    PACKED_A_MAX = 1 << 24 /* floats: a larger A is packed piecewise */
};

struct plan {
    const struct ox_gemm *g;
    const struct gemm_kernels *kernels;
    enum ox_isa isa;
    float alpha;
    size_t strips;           /* of A; strip s has the rows [m * s / strips, m * (s + 1) / strips) */
    size_t blocks_k, step_k; /* k is cut into blocks of step_k */
    size_t tiles_m, tiles_n, step_n; /* an item: strips / tiles_m strips by step_n columns */
    size_t items;
    bool direct_a;   /* A is read as it is */
    float *packed_a; /* all of A, or NULL */
    float *scratch;  /* of all workers */
    size_t scratch_each, scratch_a;
    atomic_size_t next;
};

static size_t div_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}
static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t strip_row(const struct plan *p, size_t strip) {
    /* m * strip / strips without overflow: the first m % strips strips are one row higher */
    size_t low = p->g->m / p->strips, extra = p->g->m % p->strips;
    return strip * low + min_size(strip, extra);
}

/* ---- packing --------------------------------------------------------------------------------- */

/* A block of 4 by 4. */
static inline void pack_4x4(float *dst, size_t width, const float *src, size_t rs, float scale) {
#if OX_ISA_X86
    __m128 s = _mm_set1_ps(scale);
    __m128 r0 = _mm_loadu_ps(src), r1 = _mm_loadu_ps(src + rs);
    __m128 r2 = _mm_loadu_ps(src + 2 * rs), r3 = _mm_loadu_ps(src + 3 * rs);
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    _mm_storeu_ps(dst, _mm_mul_ps(s, r0));
    _mm_storeu_ps(dst + width, _mm_mul_ps(s, r1));
    _mm_storeu_ps(dst + 2 * width, _mm_mul_ps(s, r2));
    _mm_storeu_ps(dst + 3 * width, _mm_mul_ps(s, r3));
#else
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < 4; i++)
            dst[k * width + i] = scale * src[i * rs + k];
#endif
}

/* Up to 3 rows; count is a multiple of 4. */
static void pack_rest(float *dst, size_t width, const float *src, size_t rs, size_t rows,
                      size_t count, float scale) {
    for (size_t k = 0; k < count; k += 4) {
        float block[16];
        for (size_t i = 0; i < rows; i++)
            for (size_t x = 0; x < 4; x++)
                block[4 * x + i] = scale * src[i * rs + k + x];
        for (size_t x = 0; x < 4; x++)
            memcpy(dst + (k + x) * width, block + 4 * x, rows * sizeof *dst);
    }
}

void ox_pack_transposed(float *dst, size_t width, const float *src, size_t rs, size_t rows,
                        size_t count, float scale) {
    size_t rows4 = rows & ~(size_t)3, count4 = count & ~(size_t)3;
    for (size_t k = 0; k < count4; k += 4)
        for (size_t i = 0; i < rows4; i += 4)
            pack_4x4(dst + k * width + i, width, src + i * rs + k, rs, scale);
    if (rows4 < rows)
        pack_rest(dst + rows4, width, src + rows4 * rs, rs, rows - rows4, count4, scale);
    for (size_t k = count4; k < count; k++)
        for (size_t i = 0; i < rows; i++)
            dst[k * width + i] = scale * src[i * rs + k];
    if (rows < width)
        for (size_t k = 0; k < count; k++)
            memset(dst + k * width + rows, 0, (width - rows) * sizeof *dst);
}

/* Strips [s0,s1) of a block of A, one behind the other, each k by k: dst[k * rows + i]. */
static void pack_a(const struct plan *p, float *dst, const float *a, size_t s0, size_t s1,
                   size_t k0, size_t k1) {
    const struct ox_gemm *g = p->g;
    for (size_t s = s0; s < s1; s++) {
        size_t row = strip_row(p, s), rows = strip_row(p, s + 1) - row, count = k1 - k0;
        const float *src = a + row * g->a_rs + k0 * g->a_cs;
        if (g->a_cs == 1) {
            ox_pack_transposed(dst, rows, src, g->a_rs, rows, count, p->alpha);
        } else {
            for (size_t k = 0; k < count; k++)
                for (size_t i = 0; i < rows; i++)
                    dst[k * rows + i] = p->alpha * src[i * g->a_rs + k * g->a_cs];
        }
        dst += rows * count;
    }
}

static void pack_b(const struct plan *p, float *dst, size_t width, size_t batch, const float *b,
                   size_t k0, size_t k1, size_t j0, size_t j1) {
    const struct ox_gemm *g = p->g;
    if (g->pack) {
        g->pack(g->pack_arg, p->isa, dst, width, batch, k0, k1, j0, j1);
        return;
    }
    const float *src = b + k0 * g->b_rs + j0 * g->b_cs;
    if (g->b_cs == 1) {
        p->kernels->pack_rows(dst, width, src, g->b_rs, k1 - k0, j1 - j0);
    } else if (g->b_rs == 1) {
        ox_pack_transposed(dst, width, src, g->b_cs, j1 - j0, k1 - k0, 1);
    } else {
        for (size_t k = 0; k < k1 - k0; k++)
            for (size_t j = 0; j < width; j++)
                dst[k * width + j] = j < j1 - j0 ? src[k * g->b_rs + j * g->b_cs] : 0;
    }
}

/* ---- an item --------------------------------------------------------------------------------- */

static const float zeros[GM_MAX];

/* A strip of B as tiles see it. */
struct strip_b {
    const float *at;
    size_t step;  /* from one k to the next */
    size_t width; /* one or two vectors */
    size_t j0, n; /* columns */
};

/* A tile whose columns are fewer than the vectors': through a buffer. */
static void edge_tile(tile_fn tile, size_t rows, size_t k, const float *a, size_t a_rs,
                      const struct strip_b *b, float *out, size_t c_rs, const float *init) {
    float edge[GM_MAX * 2 * 16];
    for (size_t i = 0; !init && i < rows; i++)
        memcpy(edge + i * b->width, out + i * c_rs, b->n * sizeof *edge);
    tile(k, a, a_rs, b->at, b->step, edge, b->width, init);
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * c_rs, edge + i * b->width, b->n * sizeof *edge);
}

/* Strips [s0,s1) of A, packed or (with direct_a) as they are, by one strip of B. */
static void multiply(const struct plan *p, size_t batch, const float *a, size_t s0, size_t s1,
                     size_t k0, size_t k1, const struct strip_b *b) {
    const struct ox_gemm *g = p->g;
    size_t vw = p->kernels->vw;
    float *c = g->c + (g->c_at ? g->c_at[batch] : 0) + b->j0;
    const float *bias = g->bias ? g->bias + (g->bias_at ? g->bias_at[batch] : 0) : NULL;
    bool load = k0 > 0 || g->add;
    for (size_t s = s0; s < s1; s++) {
        size_t row = strip_row(p, s), rows = strip_row(p, s + 1) - row;
        tile_fn tile = p->kernels->tiles[rows - 1][p->direct_a][b->width > vw];
        const float *init = load ? NULL : bias ? bias + row : zeros;
        float *out = c + row * g->c_rs;
        if (b->n == b->width)
            tile(k1 - k0, a, g->a_rs, b->at, b->step, out, g->c_rs, init);
        else
            edge_tile(tile, rows, k1 - k0, a, g->a_rs, b, out, g->c_rs, init);
        a += rows * (p->direct_a ? g->a_rs : k1 - k0);
    }
}

/* Columns [j0,j1) by strips [s0,s1) for one block of k. */
static void block(const struct plan *p, float *scratch, size_t batch, size_t s0, size_t s1,
                  size_t k0, size_t k1, size_t j0, size_t j1) {
    const struct ox_gemm *g = p->g;
    size_t vw = p->kernels->vw, nr = 2 * vw;
    const float *a = g->a + (g->a_at ? g->a_at[batch] : 0);
    const float *b = g->pack ? NULL : g->b + (g->b_at ? g->b_at[batch] : 0);
    float *packed_a = scratch, *packed_b = scratch + p->scratch_a;
    /* Few rows do not pay for copying B. */
    bool direct = !g->pack && g->b_cs == 1 && s1 - s0 <= 2;
    size_t rows_per = BLOCK_M / p->kernels->mr;
    for (size_t from = s0; from < s1; from += rows_per) {
        size_t to = min_size(from + rows_per, s1);
        const float *strips;
        if (p->direct_a) {
            strips = a + strip_row(p, from) * g->a_rs + k0;
        } else if (p->packed_a) {
            strips = p->packed_a + k0 * g->m + strip_row(p, from) * (k1 - k0);
        } else {
            pack_a(p, packed_a, a, from, to, k0, k1);
            strips = packed_a;
        }
        for (size_t j = j0; j < j1; j += nr) {
            struct strip_b sb = {.j0 = j, .n = min_size(nr, j1 - j)};
            sb.width = sb.step = sb.n <= vw ? vw : nr;
            float *dst = packed_b + (j - j0) * (k1 - k0);
            sb.at = dst;
            if (direct && sb.n == sb.width) {
                sb.at = b + k0 * g->b_rs + j;
                sb.step = g->b_rs;
            } else if (from == s0) {
                pack_b(p, dst, sb.width, batch, b, k0, k1, j, j + sb.n);
            }
            multiply(p, batch, strips, from, to, k0, k1, &sb);
        }
    }
}

static void run_item(const struct plan *p, float *scratch, size_t item) {
    const struct ox_gemm *g = p->g;
    size_t tile_n = item % p->tiles_n, rest = item / p->tiles_n;
    size_t tile_m = rest % p->tiles_m, batch = rest / p->tiles_m;
    size_t j0 = tile_n * p->step_n, j1 = min_size(j0 + p->step_n, g->n);
    size_t per = div_up(p->strips, p->tiles_m);
    size_t s0 = min_size(tile_m * per, p->strips), s1 = min_size(s0 + per, p->strips);
    for (size_t kb = 0; kb < p->blocks_k; kb++) {
        size_t k0 = min_size(kb * p->step_k, g->k), k1 = min_size(k0 + p->step_k, g->k);
        block(p, scratch, batch, s0, s1, k0, k1, j0, j1);
    }
}

/* Each worker has its own scratch and takes items until there are none. */
static void run_workers(void *arg, size_t begin, size_t end) {
    struct plan *p = arg;
    for (size_t worker = begin; worker < end; worker++) {
        float *scratch = p->scratch + worker * p->scratch_each;
        size_t item;
        while ((item = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->items)
            run_item(p, scratch, item);
    }
}

static void pack_whole_a(void *arg, size_t begin, size_t end) {
    struct plan *p = arg;
    for (size_t kb = 0; kb < p->blocks_k; kb++) {
        size_t k0 = min_size(kb * p->step_k, p->g->k), k1 = min_size(k0 + p->step_k, p->g->k);
        pack_a(p, p->packed_a + k0 * p->g->m + strip_row(p, begin) * (k1 - k0), p->g->a, begin, end,
               k0, k1);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void plan_tiles(struct plan *p, size_t batch, size_t threads) {
    size_t nr = 2 * p->kernels->vw, n = p->g->n, want = threads > 1 ? 4 * threads : 1;
    p->tiles_n = div_up(n, BLOCK_N);
    if (batch * p->tiles_n <
        want) /* narrower tiles, but not so narrow that A is read for too little */
        p->tiles_n = min_size(div_up(want, batch), div_up(n, 4 * nr));
    if (p->tiles_n == 0) p->tiles_n = 1;
    p->step_n = div_up(div_up(n, p->tiles_n), nr) * nr;
    p->tiles_n = div_up(n, p->step_n);
    p->tiles_m = 1;
    if (batch * p->tiles_n < want)
        p->tiles_m = min_size(div_up(want, batch * p->tiles_n), div_up(p->strips, 2));
    p->items = batch * p->tiles_n * p->tiles_m;
}

/* A product without an inner dim; then A and B may be NULL. */
static void write_start(const struct ox_gemm *g, size_t batch) {
    float *c = g->c + (g->c_at ? g->c_at[batch] : 0);
    for (size_t i = 0; !g->add && i < g->m; i++)
        for (size_t j = 0; j < g->n; j++)
            c[i * g->c_rs + j] = g->bias ? g->bias[(g->bias_at ? g->bias_at[batch] : 0) + i] : 0;
}

/* One row times a matrix that is stored by columns is that matrix' rows times a column: nothing to
 * copy. */
static bool turn(struct ox_gemm *to, const struct ox_gemm *g) {
    if (g->m != 1 || g->pack || g->b_rs != 1 || g->n < 2 || g->bias) return false;
    if (g->alpha != 0 && g->alpha != 1) return false;
    *to = *g;
    to->m = g->n;
    to->n = 1;
    to->a = g->b;
    to->a_rs = g->b_cs;
    to->a_cs = 1;
    to->a_at = g->b_at;
    to->b = g->a;
    to->b_rs = g->a_cs;
    to->b_cs = 1;
    to->b_at = g->a_at;
    to->c_rs = 1;
    return true;
}

ox_status ox_gemm(ox_ctx *ctx, const struct ox_gemm *given) {
    struct ox_gemm turned;
    const struct ox_gemm *g = turn(&turned, given) ? &turned : given;
    size_t batch = g->batch ? g->batch : 1, threads = (size_t)ox_ctx_threads(ctx);
    if (g->m == 0 || g->n == 0) return OX_OK;
    if (g->k == 0) {
        for (size_t i = 0; i < batch; i++)
            write_start(g, i);
        return OX_OK;
    }
    struct plan p = {.g = g, .alpha = g->alpha == 0 ? 1 : g->alpha};
    p.isa = ox_isa_pick(g->isa);
    p.kernels = &kernels_plain;
#if OX_ISA_X86
    if (p.isa == OX_ISA_AVX2) p.kernels = &kernels_avx2;
    if (p.isa == OX_ISA_AVX512) p.kernels = &kernels_avx512;
#endif
    p.strips = div_up(g->m, p.kernels->mr);
    p.blocks_k = div_up(g->k, OX_GEMM_BLOCK_K);
    p.step_k = div_up(g->k, p.blocks_k);
    plan_tiles(&p, batch, threads);
    atomic_init(&p.next, 0);

    float *packed = NULL;
    size_t count;
    p.direct_a = g->a_cs == 1 && p.alpha == 1 &&
                 div_up(g->n, 2 * p.kernels->vw) * (g->a_at ? 1 : batch) <= DIRECT_A_STRIPS;
    bool whole =
        !p.direct_a && !g->a_at && !ox_mul_size(&count, g->m, g->k) && count <= PACKED_A_MAX;
    if (whole) OX_TRY(ox_alloc_raw(ctx, &packed, count, sizeof *packed));
    size_t workers = min_size(threads, p.items);
    size_t rows = min_size(g->m, BLOCK_M + p.kernels->mr);
    p.scratch_a = whole || p.direct_a ? 0 : div_up(rows * p.step_k, 16) * 16;
    p.scratch_each = p.scratch_a + div_up(p.step_n * p.step_k, 16) * 16;
    ox_status status = ox_alloc_raw(ctx, &p.scratch, workers * p.scratch_each, sizeof *p.scratch);
    if (status == OX_OK) {
        if (whole) {
            p.packed_a = packed;
            ox_parallel(ctx, p.strips, 1 + 65536 / (p.kernels->mr * (g->k + 1)), pack_whole_a, &p);
        }
        ox_parallel(ctx, workers, 1, run_workers, &p);
        ox_free(ctx, p.scratch);
    }
    ox_free(ctx, packed);
    return status;
}
