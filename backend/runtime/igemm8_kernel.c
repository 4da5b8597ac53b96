/* backend/runtime/igemm8_kernel.c - kernels of igemm8.h: portable, and AMX (with AVX-512 for what
 * follows the sums). Both give the same bits. */
#include "backend/runtime/igemm8_kernel.h"

#include <math.h>

enum { BLOCK = OXR_IGEMM8_BLOCK, HALF = 16 };

/* ---- gathering ---------------------------------------------------------------------------------
 */

/* From here on each function exists twice: with memcpy, and with the copy of the processor at hand.
 */
typedef void (*copy_fn)(int8_t *to, const int8_t *from, size_t n);
#define INLINE static inline __attribute__((always_inline))

/* The window of one output pixel, padding as the zero point. */
INLINE void fill_window(const struct oxr_igemm8_job *j, const int8_t *image, size_t oy, size_t ox,
                        int8_t *to, copy_fn copy) {
    const struct oxr_igemm8 *g = j->g;
    const struct ox_step_window *w = &g->task.window;
    const size_t ci = g->task.ci, channels = ci * g->task.groups;
    const int64_t x0 = (int64_t)ox * w->stride[1] - w->left;
    const bool whole = g->task.groups == 1 && w->dilation[1] == 1 && x0 >= 0 &&
                       x0 + w->kernel[1] <= (int64_t)j->width;
    for (uint32_t ky = 0; ky < w->kernel[0]; ky++) {
        const int64_t y = (int64_t)oy * w->stride[0] + (int64_t)ky * w->dilation[0] - w->top;
        const int8_t *line = image + y * (int64_t)(j->width * channels);
        const bool inside = y >= 0 && y < (int64_t)j->height;
        if (inside && whole) {
            copy(to, line + x0 * (int64_t)channels, w->kernel[1] * ci);
            to += w->kernel[1] * ci;
            continue;
        }
        for (uint32_t kx = 0; kx < w->kernel[1]; kx++, to += ci) {
            const int64_t x = x0 + (int64_t)kx * w->dilation[1];
            if (inside && x >= 0 && x < (int64_t)j->width)
                copy(to, line + x * (int64_t)channels, ci);
            else
                memset(to, g->task.in.zero, ci);
        }
    }
}

INLINE void fill(const struct oxr_igemm8_job *j, size_t group, size_t first, size_t count,
                 int8_t *to, copy_fn copy) {
    const struct oxr_igemm8 *g = j->g;
    const size_t channels = g->task.ci * g->task.groups, pixels = j->out_height * j->out_width;
    const int8_t *in = j->in + group * g->task.ci;
    if (g->direct) {
        for (size_t r = 0; r < count; r++)
            copy(to + r * g->stride, in + (first + r) * channels, g->k);
        return;
    }
    size_t image = first / pixels, oy = first % pixels / j->out_width, ox = first % j->out_width;
    for (size_t r = 0; r < count; r++, to += g->stride) {
        fill_window(j, in + image * j->height * j->width * channels, oy, ox, to, copy);
        if (++ox < j->out_width) continue;
        ox = 0;
        if (++oy < j->out_height) continue;
        oy = 0;
        image++;
    }
}

/* ---- portable ----------------------------------------------------------------------------------
 */

static void plain_copy(int8_t *to, const int8_t *from, size_t n) {
    memcpy(to, from, n);
}

static void plain_fill(const struct oxr_igemm8_job *j, size_t group, size_t first, size_t count,
                       int8_t *to) {
    fill(j, group, first, count, to, plain_copy);
}

static void plain_start(const struct oxr_igemm8 *g, struct oxr_igemm8_sums *s) {
    (void)g, (void)s;
}

static void plain_block(const struct oxr_igemm8 *g, const struct oxr_igemm8_block *b,
                        struct oxr_igemm8_sums *s) {
    const struct oxr_igemm8_task *t = &g->task;
    const size_t tile = g->chunk * HALF;
    (void)s;
    for (size_t r = 0; r < b->rows; r++)
        for (size_t c = 0; c < b->columns; c++) {
            uint32_t sum = (uint32_t)b->bias[c];
            for (size_t k = 0; k < g->k; k++)
                sum += (uint32_t)(b->a[r * b->a_stride + k] *
                                  b->weights[k / g->chunk * 2 * tile + c / HALF * tile +
                                             k % g->chunk / 4 * 64 + c % HALF * 4 + k % 4]);
            const float v = (float)(int32_t)sum * b->factor[c];
            if (t->real) {
                const float y = fmaf((float)(int32_t)sum, b->factor[c], b->shift[c]);
                ((float *)b->out)[r * b->out_stride + c] = fminf(fmaxf(y, t->floor), t->ceiling);
            } else {
                const float top = (float)(t->high - t->out.zero),
                            bottom = (float)(t->low - t->out.zero);
                ((int8_t *)b->out)[r * b->out_stride + c] = (int8_t)(nearbyintf(v < bottom ? bottom
                                                                                : v > top  ? top
                                                                                           : v) +
                                                                     (float)t->out.zero);
            }
        }
}

const struct oxr_igemm8_kernel *oxr_igemm8_portable(void) {
    static const struct oxr_igemm8_kernel kernel = {plain_start, plain_block, plain_start,
                                                    plain_fill};
    return &kernel;
}

/* ---- AMX ---------------------------------------------------------------------------------------
 */

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,amx-tile,amx-int8")))

/* Compilers' own functions for tiles do not say that they read and write memory. Tiles 0 to 3:
 * sums, two by two; 4 and 5: rows; 6 and 7: columns. */
#define TILE_LOAD(tile, from, stride)                                                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile                                            \
                     :                                                                             \
                     : "r"(from), "r"((size_t)(stride))                                            \
                     : "memory")
#define TILE_STORE(tile, to, stride)                                                               \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)"                                        \
                     :                                                                             \
                     : "r"(to), "r"((size_t)(stride))                                              \
                     : "memory")
#define TILE_PRODUCT(sum, row, column)                                                             \
    __asm__ volatile("tdpbssd %tmm" #column ", %tmm" #row ", %tmm" #sum)

/* Writes more than asked: what follows is written later, or is room behind the last row. */
TARGET INLINE void masked_copy(int8_t *to, const int8_t *from, size_t n) {
    for (; n >= 64; n -= 64, to += 64, from += 64)
        _mm512_storeu_si512(to, _mm512_loadu_si512(from));
    if (n > 32)
        _mm512_storeu_si512(to, _mm512_maskz_loadu_epi8(((__mmask64)1 << n) - 1, from));
    else if (n)
        _mm256_storeu_si256((__m256i *)(void *)to,
                            _mm256_maskz_loadu_epi8((__mmask32)(((__mmask64)1 << n) - 1), from));
}

TARGET static void amx_fill(const struct oxr_igemm8_job *j, size_t group, size_t first,
                            size_t count, int8_t *to) {
    fill(j, group, first, count, to, masked_copy);
}

TARGET static void amx_start(const struct oxr_igemm8 *g, struct oxr_igemm8_sums *s) {
    struct {
        uint8_t palette, row, zero[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.bytes[i] = i == 4 || i == 5 ? (uint16_t)g->chunk : 64;
        c.rows[i] = i >= 6 ? (uint8_t)(g->chunk / 4) : 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(c) : "memory");
    s->waiting.columns = 0;
}

/* Sums of one or two times sixteen rows and columns into tiles; rows and columns too many are
 * computed in vain. */
TARGET INLINE void multiply(const struct oxr_igemm8 *g, const struct oxr_igemm8_block *b) {
    const size_t chunk = g->chunk, step = b->a_stride;
    const int8_t *a = b->a, *low = b->rows > HALF ? a + HALF * step : a, *w = b->weights;
    TILE_LOAD(0, b->bias, 0);
    TILE_LOAD(1, b->bias + HALF, 0);
    if (b->rows <= HALF) {
        for (size_t i = 0; i < g->chunks; i++, a += chunk, w += 2 * HALF * chunk) {
            TILE_LOAD(4, a, step);
            TILE_LOAD(6, w, 64);
            TILE_LOAD(7, w + HALF * chunk, 64);
            TILE_PRODUCT(0, 4, 6);
            TILE_PRODUCT(1, 4, 7);
        }
        return;
    }
    TILE_LOAD(2, b->bias, 0);
    if (b->columns <= HALF) {
        for (size_t i = 0; i < g->chunks; i++, a += chunk, low += chunk, w += 2 * HALF * chunk) {
            TILE_LOAD(4, a, step);
            TILE_LOAD(6, w, 64);
            TILE_LOAD(5, low, step);
            TILE_PRODUCT(0, 4, 6);
            TILE_PRODUCT(2, 5, 6);
        }
        return;
    }
    TILE_LOAD(3, b->bias + HALF, 0);
    for (size_t i = 0; i < g->chunks; i++, a += chunk, low += chunk, w += 2 * HALF * chunk) {
        TILE_LOAD(4, a, step);
        TILE_LOAD(6, w, 64);
        TILE_LOAD(7, w + HALF * chunk, 64);
        TILE_PRODUCT(0, 4, 6);
        TILE_LOAD(5, low, step);
        TILE_PRODUCT(1, 4, 7);
        TILE_PRODUCT(2, 5, 6);
        TILE_PRODUCT(3, 5, 7);
    }
}

TARGET INLINE void store(struct oxr_igemm8_sums *s, const struct oxr_igemm8_block *b) {
    TILE_STORE(0, &s->at[0][0], sizeof *s->at);
    if (b->columns > HALF) TILE_STORE(1, &s->at[0][HALF], sizeof *s->at);
    if (b->rows > HALF) TILE_STORE(2, &s->at[HALF][0], sizeof *s->at);
    if (b->columns > HALF && b->rows > HALF) TILE_STORE(3, &s->at[HALF][HALF], sizeof *s->at);
    s->waiting = *b;
}

struct end {
    __m512 factor[2], top;
    __m512i zero, low, high;
};

TARGET INLINE __m512i scaled(const int32_t *sums, const struct end *e, int half, bool tame) {
    const __m512 v =
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums + half * HALF)), e->factor[half]);
    return _mm512_cvtps_epi32(tame ? v : _mm512_min_ps(v, e->top));
}

/* Two rows of 32 bytes. Packing works within quarters of a register; the permutation puts them in
 * order. */
TARGET INLINE __m512i narrow(const int32_t (*sums)[BLOCK], const struct end *e, bool tame) {
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i a = _mm512_packs_epi32(scaled(sums[0], e, 0, tame), scaled(sums[0], e, 1, tame));
    const __m512i b = _mm512_packs_epi32(scaled(sums[1], e, 0, tame), scaled(sums[1], e, 1, tame));
    const __m512i q =
        _mm512_packs_epi16(_mm512_adds_epi16(a, e->zero), _mm512_adds_epi16(b, e->zero));
    return _mm512_max_epi8(_mm512_min_epi8(_mm512_permutexvar_epi32(order, q), e->high), e->low);
}

TARGET INLINE void finish_rows(const struct oxr_igemm8_block *b, const int32_t (*sums)[BLOCK],
                               const struct end *e, bool tame, bool whole) {
    const __mmask32 mask = whole ? ~(__mmask32)0 : ((__mmask32)1 << b->columns) - 1;
    int8_t *out = b->out;
    size_t r = 0;
    for (; r + 2 <= b->rows; r += 2, out += 2 * b->out_stride) {
        const __m512i q = narrow(sums + r, e, tame);
        _mm256_mask_storeu_epi8(out, mask, _mm512_castsi512_si256(q));
        _mm256_mask_storeu_epi8(out + b->out_stride, mask, _mm512_extracti64x4_epi64(q, 1));
    }
    if (r < b->rows)
        _mm256_mask_storeu_epi8(out, mask, _mm512_castsi512_si256(narrow(sums + r, e, tame)));
}

TARGET static void finish_int8(const struct oxr_igemm8 *g, const struct oxr_igemm8_block *b,
                               const int32_t (*sums)[BLOCK]) {
    const struct oxr_igemm8_task *t = &g->task;
    const struct end e = {{_mm512_loadu_ps(b->factor), _mm512_loadu_ps(b->factor + HALF)},
                          _mm512_set1_ps((float)(t->high - t->out.zero)),
                          _mm512_set1_epi16((short)t->out.zero),
                          _mm512_set1_epi8((char)t->low),
                          _mm512_set1_epi8((char)t->high)};
    if (!g->tame)
        finish_rows(b, sums, &e, false, b->columns == BLOCK);
    else if (b->columns == BLOCK)
        finish_rows(b, sums, &e, true, true);
    else
        finish_rows(b, sums, &e, true, false);
}

TARGET static void finish_float(const struct oxr_igemm8_task *t, const struct oxr_igemm8_block *b,
                                const int32_t (*sums)[BLOCK]) {
    const __m512 floor = _mm512_set1_ps(t->floor), ceiling = _mm512_set1_ps(t->ceiling);
    for (size_t half = 0; half * HALF < b->columns; half++) {
        const size_t n = b->columns - half * HALF;
        const __mmask16 mask = n >= HALF ? 0xffff : (__mmask16)((1u << n) - 1);
        const __m512 factor = _mm512_loadu_ps(b->factor + half * HALF),
                     shift = _mm512_loadu_ps(b->shift + half * HALF);
        float *out = (float *)b->out + half * HALF;
        for (size_t r = 0; r < b->rows; r++, out += b->out_stride) {
            const __m512 v = _mm512_fmadd_ps(
                _mm512_cvtepi32_ps(_mm512_loadu_si512(sums[r] + half * HALF)), factor, shift);
            _mm512_mask_storeu_ps(out, mask, _mm512_min_ps(_mm512_max_ps(v, floor), ceiling));
        }
    }
}

TARGET INLINE void finish(const struct oxr_igemm8 *g, const struct oxr_igemm8_sums *s) {
    if (s->waiting.columns == 0) return;
    if (g->task.real)
        finish_float(&g->task, &s->waiting, (const int32_t(*)[BLOCK])s->at);
    else
        finish_int8(g, &s->waiting, (const int32_t(*)[BLOCK])s->at);
}

/* Results of the block before are made while the products of this one are under way: each alone
 * takes about as long. */
TARGET static void amx_block(const struct oxr_igemm8 *g, const struct oxr_igemm8_block *b,
                             struct oxr_igemm8_sums *s) {
    multiply(g, b);
    finish(g, s);
    store(s, b);
}

TARGET static void amx_stop(const struct oxr_igemm8 *g, struct oxr_igemm8_sums *s) {
    finish(g, s);
    __asm__ volatile("tilerelease" : : : "memory");
}

/* Does the processor have AMX for int8, and does the kernel let us use it? */
static bool amx_here(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 24 & 1) || !(d >> 25 & 1)) return false;
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl")) return false;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

const struct oxr_igemm8_kernel *oxr_igemm8_best(void) {
    static const struct oxr_igemm8_kernel kernel = {amx_start, amx_block, amx_stop, amx_fill};
    return amx_here() ? &kernel : NULL;
}
#else
const struct oxr_igemm8_kernel *oxr_igemm8_best(void) {
    return NULL;
}
#endif
