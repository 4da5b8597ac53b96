/* ir/ops/kernel_depthwise.c - depthwise convolution; see kernel_depthwise.h.
 *
 * Each input plane is copied once into a padded plane whose rows are split by column modulo the
 * stride, so that every tap of the kernel reads contiguous floats and no tap has to look at
 * borders. */
#include "ir/ops/kernel_depthwise.h"

#include <stdatomic.h>

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/kernel_depthwise.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/kernel_depthwise.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "ir/ops/kernel_depthwise.inc"
#undef OX_ISA_IS
#endif

enum {
    VECTOR_MAX = 16,
    PLANE_MAX = 1 << 20, /* floats of a padded plane and slack */
    TAPS_MAX = 1 << 12
};

typedef void (*rows_fn)(float *y, size_t rows, size_t n, const float *const *at, size_t step,
                        const float *w, size_t taps, float start);

struct job {
    const struct ox_depthwise *d;
    rows_fn rows;
    size_t plane_h; /* rows of the padded plane */
    size_t phase_w; /* floats of one phase (columns equal modulo the stride) of a row */
    size_t row;     /* floats of a row: all phases */
    size_t each;    /* bytes of a worker's scratch */
    unsigned char *scratch;
    atomic_size_t next;
};

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The compiler turns a stride that it knows into shuffles. */
static void take_every(float *to, const float *from, size_t n, size_t stride) {
    if (stride == 2)
        for (size_t i = 0; i < n; i++)
            to[i] = from[2 * i];
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[stride * i];
}

/* Fills the padded plane: zeros where there is no data. */
static void fill(const struct job *j, float *plane, const float *x) {
    const struct ox_depthwise *d = j->d;
    memset(plane, 0, (j->plane_h * j->row + VECTOR_MAX) * sizeof *plane);
    for (size_t r = 0; r < j->plane_h; r++) {
        if (r < d->pad_h || r - d->pad_h >= d->in_h) continue;
        const float *from = x + (r - d->pad_h) * d->in_w;
        float *to = plane + r * j->row;
        if (d->stride_w == 1) {
            if (d->pad_w < j->phase_w)
                memcpy(to + d->pad_w, from, min_size(d->in_w, j->phase_w - d->pad_w) * sizeof *to);
            continue;
        }
        for (size_t p = 0; p < d->stride_w; p++) {
            /* column i of the phase is input column i * stride + p - pad */
            size_t i = d->pad_w > p ? (d->pad_w - p + d->stride_w - 1) / d->stride_w : 0;
            size_t c = i * d->stride_w + p - d->pad_w;
            if (i >= j->phase_w || c >= d->in_w) continue;
            size_t n = (d->in_w - c + d->stride_w - 1) / d->stride_w;
            take_every(to + p * j->phase_w + i, from + c, min_size(n, j->phase_w - i), d->stride_w);
        }
    }
}

static void run_input(const struct job *j, float *plane, const float **at, size_t in) {
    const struct ox_depthwise *d = j->d;
    size_t taps = d->k_h * d->k_w;
    fill(j, plane, d->x + in * d->in_h * d->in_w);
    for (size_t ky = 0; ky < d->k_h; ky++) {
        for (size_t kx = 0; kx < d->k_w; kx++) {
            size_t column = kx * d->dilation_w;
            at[ky * d->k_w + kx] = plane + ky * d->dilation_h * j->row +
                                   column % d->stride_w * j->phase_w + column / d->stride_w;
        }
    }
    for (size_t p = in * d->planes_per_in; p < (in + 1) * d->planes_per_in; p++) {
        size_t kernel = p % d->kernels;
        j->rows(d->y + p * d->out_h * d->out_w, d->out_h, d->out_w, at, d->stride_h * j->row,
                d->w + kernel * taps, taps, d->bias ? d->bias[kernel] : 0);
    }
}

static void run_workers(void *arg, size_t begin, size_t end) {
    struct job *j = arg;
    size_t taps = j->d->k_h * j->d->k_w, inputs = j->d->planes / j->d->planes_per_in, in;
    for (size_t worker = begin; worker < end; worker++) {
        unsigned char *mine = j->scratch + worker * j->each;
        const float **at = (const float **)(void *)mine;
        float *plane = (float *)(void *)(mine + (taps * sizeof *at + 63) / 64 * 64);
        while ((in = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed)) < inputs)
            run_input(j, plane, at, in);
    }
}

/* The padded plane's size; false: too large. */
static bool measure(struct job *j) {
    const struct ox_depthwise *d = j->d;
    size_t span, floats;
    if (d->k_h > TAPS_MAX || d->k_w > TAPS_MAX || d->k_h * d->k_w > TAPS_MAX) return false;
    if (ox_mul_size(&j->plane_h, d->out_h - 1, d->stride_h) ||
        ox_mul_size(&span, d->k_h - 1, d->dilation_h) ||
        ox_add_size(&j->plane_h, j->plane_h, span + 1) || j->plane_h > PLANE_MAX)
        return false;
    if (ox_mul_size(&span, d->k_w - 1, d->dilation_w) || span > PLANE_MAX || d->out_w > PLANE_MAX ||
        d->stride_w > PLANE_MAX)
        return false;
    j->phase_w = d->out_w + span / d->stride_w;
    j->row = j->phase_w * d->stride_w;
    return !ox_mul_size(&floats, j->plane_h, j->row) && floats <= PLANE_MAX;
}

bool ox_depthwise(ox_status *status, ox_ctx *ctx, const struct ox_depthwise *d) {
    *status = OX_OK;
    if (d->planes == 0 || d->out_h == 0 || d->out_w == 0) return true;
    struct job j = {.d = d, .rows = rows_plain};
    if (!measure(&j)) return false;
#if OX_ISA_X86
    enum ox_isa isa = ox_isa_pick(d->isa);
    if (isa == OX_ISA_AVX2) j.rows = rows_avx2;
    if (isa == OX_ISA_AVX512) j.rows = rows_avx512;
#endif
    size_t taps = d->k_h * d->k_w;
    size_t workers = min_size((size_t)ox_ctx_threads(ctx), d->planes / d->planes_per_in);
    j.each = (taps * sizeof(float *) + 63) / 64 * 64 +
             ((j.plane_h * j.row + VECTOR_MAX) * sizeof(float) + 63) / 64 * 64;
    atomic_init(&j.next, 0);
    *status = ox_alloc_raw(ctx, &j.scratch, workers, j.each);
    if (*status != OX_OK) return true;
    ox_parallel(ctx, workers, 1, run_workers, &j);
    ox_free(ctx, j.scratch);
    return true;
}
