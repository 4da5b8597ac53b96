/* backend/runtime/winograd.c - see winograd.h. */
#include "backend/runtime/winograd.h"

enum { WIDTH_MAX = 32, ROWS_MOST = 14, POSITIONS_MAX = 36, TILE_MAX = 4 };

/* Where the pixels of a tile go. */
struct place {
    float *out;
    const float *add;
    size_t row_step, col_step; /* floats */
    size_t rows, cols;         /* those inside the result */
    float low, high;
};

/* Arrays of two: tiles of 2 and of 4. */
struct kernels {
    size_t vector, rows;
    void (*spread[2])(float *to, size_t step, const float *const *pixels, size_t channels);
    void (*gather[2])(const struct place *p, const float *products, const float *bias, size_t n);
    void (*filters[2])(float *to, size_t step, double g[9][WIDTH_MAX]);
    void (*tile[ROWS_MOST])(size_t k, const float *a, size_t a_step, const float *b, float *c,
                            size_t c_step, const float *next, size_t next_step);
};

/* 1, p, p^2 over the derivative; A^2 = 121/256, B^2 = 9/4, A^2 - B^2 = -455/256. */
#define AT_A (1 / (2 * 121 / 256.0 * (-455 / 256.0)))
#define AT_B (1 / (2 * 9 / 4.0 * (455 / 256.0)))
static const double rows2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
static const double rows4[6][3] = {
    {1 / (121 / 256.0 * 9 / 4.0), 0, 0},       {AT_A, AT_A * 11 / 16, AT_A * 121 / 256},
    {AT_A, -AT_A * 11 / 16, AT_A * 121 / 256}, {AT_B, AT_B * 3 / 2, AT_B * 9 / 4},
    {AT_B, -AT_B * 3 / 2, AT_B * 9 / 4},       {0, 0, 1}};

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/winograd.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/winograd.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/winograd.inc"
#undef OX_ISA_IS
#endif

static const struct kernels *kernels_of(enum ox_isa isa) {
#if OX_ISA_X86
    if (isa == OX_ISA_AVX512) return &kernels_avx512;
    if (isa == OX_ISA_AVX2) return &kernels_avx2;
#endif
    (void)isa;
    return &kernels_plain;
}

static size_t div_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t positions(const struct oxr_winograd *w) {
    return (w->tile + 2) * (w->tile + 2);
}

/* What a way costs, in multiply-adds at full speed. The rule was fitted to measurements of 60
 * shapes (3 to 512 channels, 1 to 512 outputs, 1 to 224 pixels wide) beside XNNPACK's direct
 * convolution, one thread, AVX-512:
 *
 *   - transforms cost 12 a value of a tile: with 8 channels this leaves a factor of 1.4 over a
 * direct convolution, with 3 nothing, from 64 on 3;
 *   - filters that do not stay in the second-level cache cost 20 a value to stream by (48 MB of
 * filters by turns). 512 channels, 7 x 7: m = 2 1.2 ms, and no less directly; 256 channels, 14 x
 * 14: m = 2 0.67 ms, directly 1.2 ms;
 *   - less than four tiles take the time of four. */
enum { TRANSFORM = 12, STREAM = 30, CACHED_BYTES = 5 << 18, FEW = 4 };

static double cost(size_t rows, size_t positions, size_t channels, size_t outputs) {
    const double filters = (double)positions * (double)channels * (double)outputs;
    return filters * ((double)rows + (filters * sizeof(float) > CACHED_BYTES ? STREAM : 0));
}

static double tile_cost(size_t m, size_t channels, size_t outputs, size_t images, size_t height,
                        size_t width) {
    const size_t side = m + 2, tiles = images * div_up(height, m) * div_up(width, m);
    return cost(tiles < FEW ? FEW : tiles, side * side, channels, outputs) +
           (double)TRANSFORM * (double)(tiles * side * side) *
               (double)(div_up(channels, 16) * 16 + outputs);
}

size_t oxr_winograd_choose(size_t channels, size_t outputs, size_t images, size_t height,
                           size_t width) {
    const size_t padded = div_up(outputs, 32) * 32;
    const double direct = cost(images * height * width, 9, channels, padded);
    const double two = tile_cost(2, channels, padded, images, height, width),
                 four = tile_cost(4, channels, padded, images, height, width);
    const size_t best = four < 0.9 * two ? 4 : 2; /* for about the same, half the memory */
    return 1.1 * (best == 4 ? four : two) < direct ? best : 0;
}

/* ---- filters -----------------------------------------------------------------------------------
 */

struct packing {
    const struct oxr_winograd *w;
    const float *filters;
    float *to;
};

static void pack_groups(void *arg, size_t begin, size_t end) {
    const struct packing *p = arg;
    const struct oxr_winograd *w = p->w;
    const struct kernels *k = kernels_of(w->isa);
    const size_t c = w->channels, step = c * w->width;
    double g[9][WIDTH_MAX];
    for (size_t group = begin; group < end; group++) {
        const size_t first = group * w->width, n = min_size(w->width, w->outputs - first);
        float *to = p->to + group * positions(w) * step;
        memset(g, 0, sizeof g);
        for (size_t i = 0; i < c; i++) {
            const float *from = p->filters + first * 9 * c + i;
            for (size_t o = 0; o < n; o++)
                for (size_t tap = 0; tap < 9; tap++)
                    g[tap][o] = (double)from[(9 * o + tap) * c];
            k->filters[w->tile == 4](to + i * w->width, step, g);
        }
    }
}

ox_status oxr_winograd_start(struct oxr_winograd *w, ox_ctx *ctx, const float *bias,
                             size_t channels, size_t outputs, size_t tile, enum ox_isa isa) {
    const enum ox_isa use = ox_isa_pick(isa);
    *w = (struct oxr_winograd){.isa = use,
                               .tile = tile,
                               .channels = channels,
                               .outputs = outputs,
                               .width = 2 * kernels_of(use)->vector};
    const size_t groups = div_up(outputs, w->width);
    size_t n;
    if (ox_mul_size(&n, groups * w->width, channels) || ox_mul_size(&n, n, positions(w)))
        return ox_fail(ctx, OX_NOMEM, "no-memory", NULL, "filters too large");
    w->floats = n;
    OX_TRY(ox_alloc(ctx, &w->bias, groups * w->width, sizeof *w->bias));
    OX_TRY(ox_alloc(ctx, &w->zeros, channels, sizeof *w->zeros));
    if (bias) memcpy(w->bias, bias, outputs * sizeof *bias);
    return OX_OK;
}

void oxr_winograd_lay(const struct oxr_winograd *w, ox_ctx *ctx, float *to, const float *filters) {
    struct packing p = {w, filters, to};
    ox_parallel(ctx, div_up(w->outputs, w->width), 1, pack_groups, &p);
}

ox_status oxr_winograd_pack(struct oxr_winograd *w, ox_ctx *ctx, const float *filters,
                            const float *bias, size_t channels, size_t outputs, size_t tile,
                            enum ox_isa isa) {
    OX_TRY(oxr_winograd_start(w, ctx, bias, channels, outputs, tile, isa));
    OX_TRY(ox_alloc_raw(ctx, &w->own, w->floats, sizeof *w->own));
    oxr_winograd_lay(w, ctx, w->own, filters);
    w->filters = w->own;
    return OX_OK;
}

void oxr_winograd_release(struct oxr_winograd *w, ox_ctx *ctx) {
    ox_free(ctx, w->own);
    ox_free(ctx, w->bias);
    ox_free(ctx, w->zeros);
    *w = (struct oxr_winograd){0};
}

/* ---- a block of tiles --------------------------------------------------------------------------
 */

/* Bytes that a block may take of the second-level cache; the rest is for the filters that stream
 * by. */
enum { BLOCK_BYTES = 1 << 20 };

bool oxr_winograd_plan(struct oxr_winograd_job *j, size_t threads) {
    const struct oxr_winograd *w = j->w;
    const size_t vector = w->width / 2, groups = div_up(w->outputs, w->width);
    const size_t down = div_up(j->out_height, w->tile);
    j->across = div_up(j->out_width, w->tile);
    if (ox_mul_size(&j->tiles, down, j->across) || ox_mul_size(&j->tiles, j->tiles, j->images))
        return false;
    /* A line more than a power of two has, so that rows of a product do not meet in the same lines
     * of the cache. */
    j->spread_step = positions(w) * div_up(w->channels, vector) * vector + 16;
    j->product_step = positions(w) * w->width + 16;
    const size_t tile_bytes = (j->spread_step + j->product_step) * sizeof(float),
                 most = BLOCK_BYTES / tile_bytes;
    const size_t rows = kernels_of(w->isa)->rows;
    j->blocks = div_up(j->tiles, most < rows ? rows : most);
    if (j->blocks < threads) j->blocks = min_size(threads, div_up(j->tiles, 2 * rows));
    if (j->blocks == 0) j->blocks = 1;
    j->parts = threads > 1 && j->blocks < 4 * threads
                   ? min_size(div_up(4 * threads, j->blocks), div_up(groups, 2))
                   : 1;
    j->scratch = (div_up(j->tiles, j->blocks) * tile_bytes + 63) / 64 * 64;
    return true;
}

/* Where the pixels that tile t reads lie. */
static void find_pixels(const float *pixels[POSITIONS_MAX], const struct oxr_winograd_job *j,
                        size_t t) {
    const struct oxr_winograd *w = j->w;
    const size_t m = w->tile, side = m + 2, row = t / j->across,
                 per_image = div_up(j->out_height, m), c = w->channels;
    /* Wraps below 0 in the padding; then it is not less than the extent. */
    const size_t y0 = row % per_image * m - j->top, x0 = t % j->across * m - j->left;
    const float *image = j->in + row / per_image * j->height * j->width * c;
    for (size_t i = 0; i < side; i++)
        for (size_t k = 0; k < side; k++)
            pixels[i * side + k] = y0 + i < j->height && x0 + k < j->width
                                       ? image + ((y0 + i) * j->width + x0 + k) * c
                                       : w->zeros;
}

static struct place find_place(const struct oxr_winograd_job *j, size_t t, size_t output) {
    const size_t m = j->w->tile, row = t / j->across, per_image = div_up(j->out_height, m),
                 y = row % per_image * m, x = t % j->across * m;
    const size_t at =
        ((row / per_image * j->out_height + y) * j->out_width + x) * j->w->outputs + output;
    return (struct place){.out = j->out + at,
                          .add = j->add ? j->add + at : NULL,
                          .row_step = j->out_width * j->w->outputs,
                          .col_step = j->w->outputs,
                          .rows = min_size(m, j->out_height - y),
                          .cols = min_size(m, j->out_width - x),
                          .low = j->low,
                          .high = j->high};
}

void oxr_winograd_item(const struct oxr_winograd_job *j, size_t item, void *workspace) {
    const struct oxr_winograd *w = j->w;
    const struct kernels *k = kernels_of(w->isa);
    const size_t block = item / j->parts, part = item % j->parts, kind = w->tile == 4;
    const size_t t0 = block * j->tiles / j->blocks, n = (block + 1) * j->tiles / j->blocks - t0;
    const size_t groups = div_up(w->outputs, w->width), g0 = part * groups / j->parts,
                 g1 = (part + 1) * groups / j->parts;
    const size_t step = div_up(w->channels, k->vector) * k->vector, strips = div_up(n, k->rows),
                 matrix = w->channels * w->width;
    float *spread = workspace, *products = spread + n * j->spread_step;
    const float *pixels[POSITIONS_MAX];
    for (size_t t = 0; t < n; t++) {
        find_pixels(pixels, j, t0 + t);
        k->spread[kind](spread + t * j->spread_step, step, pixels, w->channels);
    }
    for (size_t g = g0; g < g1; g++) {
        const float *filter = w->filters + g * positions(w) * matrix;
        for (size_t p = 0; p < positions(w); p++, filter += matrix)
            for (size_t i = 0; i < strips; i++) {
                const size_t first = i * n / strips, rows = (i + 1) * n / strips - first;
                /* The first strip fetches the next matrix, the first two half of it each; behind
                 * the last there is none. */
                const float *next = i < 2 && (g + 1 < groups || p + 1 < positions(w))
                                        ? filter + matrix + i * (matrix / 2)
                                        : filter;
                k->tile[rows - 1](
                    w->channels, spread + first * j->spread_step + p * step, j->spread_step, filter,
                    products + first * j->product_step + p * w->width, j->product_step, next,
                    i >= 2        ? 0
                    : strips == 1 ? w->width
                                  : k->vector);
            }
        for (size_t t = 0; t < n; t++) {
            const struct place place = find_place(j, t0 + t, g * w->width);
            k->gather[kind](&place, products + t * j->product_step, w->bias + g * w->width,
                            min_size(w->width, w->outputs - g * w->width));
        }
    }
}
