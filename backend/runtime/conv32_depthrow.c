/* backend/runtime/conv32_depthrow.c - depthwise float convolutions with filters 3, 5 or 7 wide and
 * stride 1 or 2 across, row by row. Filters are read where they lie. Each output is one chain of
 * multiply-adds over the kernel's rows and columns, from the bias on. */
#include "backend/runtime/conv32.h"
#include "ir/ops/kernel_isa.h"

#include <pthreadpool.h>

/* What the outputs of one row have in common. */
struct row {
    const float *data; /* row of the image that the first row of the filter meets */
    const float *filter, *bias, *add;
    float *out;
    size_t rows, line; /* rows of the filter that meet the image; floats of a row of it */
    size_t width, channels;
    float low, high;
};

/* Some neighbouring outputs at all channels: the window of the first begins at column x, and it
 * goes to out + to. */
typedef void (*pixels_fn)(const struct row *r, int64_t x, size_t to);

/* Numbers of outputs that there are functions for; 14 with AVX-512 only. */
static const size_t counts[] = {14, 7, 2, 1};

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/depthrow32.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/depthrow32.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/depthrow32.inc"
#undef OX_ISA_IS
#endif

struct conv {
    const struct oxr_conv32 *what;
    const pixels_fn *pixels; /* by count */
    struct oxr_conv_shape s;
    const float *in, *add; /* of the run at hand */
    float *out;
};

static const pixels_fn *functions(const struct ox_step_window *w) {
    const size_t kernel = w->kernel[1] / 2 - 1, stride = w->stride[1] - 1;
#if OX_ISA_X86
    if (ox_isa_pick(OX_ISA_BEST) == OX_ISA_AVX512) return depthwise_avx512[kernel][stride];
    if (ox_isa_pick(OX_ISA_BEST) == OX_ISA_AVX2) return depthwise_avx2[kernel][stride];
#endif
    return depthwise_plain[kernel][stride];
}

/* 5x5 and 7x7 filters: twice as fast as the general way, which loads a pixel for each tap, and up
 * to five times as fast as XNNPACK's; 3x3 ones at 14 x 14 pixels and less: 1.3 times. Larger images
 * wait for memory, whatever the way. */
static bool suits(const struct oxr_conv32 *c) {
    const struct ox_step_window *w = &c->p->window;
    return c->p->depthwise && c->outputs == c->channels && w->dilation[0] == 1 &&
           w->dilation[1] == 1 && w->kernel[1] >= 3 && w->kernel[1] <= 7 && w->kernel[1] % 2 == 1 &&
           w->stride[1] <= 2;
}

static void destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

static ox_status create(void **state, const struct oxr_env *env, const struct oxr_conv32 *what) {
    struct conv *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->what = what;
    c->pixels = functions(&what->p->window);
    return OX_OK;
}

static ox_status reshape(void *state, const struct oxr_env *env, const struct oxr_conv_shape *s,
                         size_t *workspace) {
    struct conv *c = state;
    (void)env;
    c->s = *s;
    *workspace = 0;
    return OX_OK;
}

/* Row i of all images of the result. */
static void compute_row(const struct conv *c, size_t i) {
    const struct ox_step_window *w = &c->what->p->window;
    const size_t channels = c->what->channels, line = c->s.width * channels;
    const int64_t top = (int64_t)(i % c->s.out_height * w->stride[0]) - w->top,
                  height = (int64_t)c->s.height;
    const int64_t from = top < 0 ? -top : 0,
                  to = top + w->kernel[0] > height ? height - top : w->kernel[0];
    const size_t skipped = (size_t)(from < to ? from : 0), at = i * c->s.out_width * channels;
    const struct row r = {
        .data = c->in +
                (i / c->s.out_height * c->s.height + (from < to ? (size_t)(top + from) : 0)) * line,
        .filter = c->what->filter + skipped * w->kernel[1] * channels,
        .bias = c->what->bias,
        .add = c->add ? c->add + at : NULL,
        .out = c->out + at,
        .rows = from < to ? (size_t)(to - from) : 0,
        .line = line,
        .width = c->s.width,
        .channels = channels,
        .low = c->what->p->low,
        .high = c->what->p->high};
    for (size_t x = 0, k = 0; x < c->s.out_width; k++)
        for (; c->pixels[k] && x + counts[k] <= c->s.out_width; x += counts[k])
            c->pixels[k](&r, (int64_t)(x * w->stride[1]) - w->left, x * channels);
    if (c->what->act) oxr_act32_run(c->what->act, r.out, c->s.out_width * channels);
}

static void compute_rows(void *context, size_t first, size_t count) {
    for (size_t i = first; i < first + count; i++)
        compute_row(context, i);
}

static ox_status run(void *state, const struct oxr_env *env, const float *in, const float *add,
                     float *out, void *workspace) {
    struct conv *c = state;
    const size_t rows = c->s.images * c->s.out_height,
                 pieces = 4 * pthreadpool_get_threads_count(env->pool);
    (void)workspace;
    c->in = in;
    c->add = add;
    c->out = out;
    pthreadpool_parallelize_1d_tile_1d(env->pool, compute_rows, c, rows,
                                       (rows + pieces - 1) / pieces, 0);
    return OX_OK;
}

const struct oxr_conv32_way oxr_conv32_depthrow = {true, suits, create, reshape, run, destroy};
