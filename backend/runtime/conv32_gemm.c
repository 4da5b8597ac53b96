/* backend/runtime/conv32_gemm.c - float convolutions as products: output pixels by taps and
 * channels, times the filters.
 *
 * A row of a window is contiguous in N,H,W,C, so a window is as many pieces as the kernel is high,
 * and rows of the product are windows where they lie. Only padding has to be made: the data is then
 * copied into a frame of zeros first. */
#include "backend/runtime/conv32.h"
#include "backend/runtime/gemm32_shared.h"

#include <pthreadpool.h>

struct conv {
    const struct oxr_conv32 *what;
    struct oxr_gemm32 g;
    struct oxr_conv_shape s;
    bool padded, straight; /* straight: pixels are rows, one after the other */
    size_t line, image;    /* floats of a line and an image, with padding */
    size_t rows_at;        /* in the workspace: pointers to windows */
};

/* Measured with AVX-512 and filters that are not near (bench_conv32): 0.9 (short sums) to 1.05
 * times XNNPACK's speed, and up to three times where filters are large or outputs are few. Dilated
 * rows of a window are not contiguous. */
static bool suits(const struct oxr_conv32 *c) {
    return c->p->groups == 1 && !c->p->depthwise &&
           (c->p->window.dilation[1] == 1 || c->p->window.kernel[1] == 1) &&
           ox_isa_pick(OX_ISA_BEST) != OX_ISA_PLAIN;
}

static void destroy(void *state, const struct oxr_env *env) {
    struct conv *c = state;
    ox_free(env->ctx, c);
}

static ox_status create(void **state, const struct oxr_env *env, const struct oxr_conv32 *what) {
    const struct ox_step_window *w = &what->p->window;
    const size_t k = w->kernel[1] * what->channels, depth = w->kernel[0] * k;
    struct conv *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->what = what;
    c->g = (struct oxr_gemm32){ox_isa_pick(OX_ISA_BEST),
                               w->kernel[0],
                               k,
                               what->outputs,
                               NULL,
                               what->bias,
                               what->p->low,
                               what->p->high,
                               what->act,
                               false};
    OX_TRY(
        oxr_gemm32_shared(&c->g.b, env, what->step, c->g.isa, depth, what->outputs, what->filter));
    c->padded = w->top || w->right || w->bottom || w->left;
    c->straight = !c->padded && w->kernel[0] == 1 && w->kernel[1] == 1 && w->stride[0] == 1 &&
                  w->stride[1] == 1;
    return OX_OK;
}

static ox_status reshape(void *state, const struct oxr_env *env, const struct oxr_conv_shape *s,
                         size_t *workspace) {
    struct conv *c = state;
    const struct ox_step_window *w = &c->what->p->window;
    size_t floats, pointers;
    c->s = *s;
    c->line = (s->width + w->left + w->right) * c->what->channels;
    if (ox_mul_size(&c->image, s->height + w->top + w->bottom, c->line) ||
        ox_mul_size(&floats, c->image, s->images * sizeof(float)) ||
        ox_mul_size(&pointers, s->images * s->out_height * s->out_width, sizeof(float *)) ||
        ox_add_size(workspace, floats + 64, pointers))
        return ox_fail(env->ctx, OX_INVALID, "shape-mismatch", NULL, "too many elements");
    c->rows_at = c->padded ? (floats + 63) / 64 * 64 : 0;
    *workspace = c->straight ? 0 : c->rows_at + pointers;
    return OX_OK;
}

/* ---- running -----------------------------------------------------------------------------------
 */

struct job {
    const struct conv *c;
    const float *in;
    float *frame;
    const float **rows;
};

/* Line y of image i within its frame. */
static void fill_line(void *context, size_t i, size_t y) {
    const struct job *j = context;
    const struct ox_step_window *w = &j->c->what->p->window;
    const size_t channels = j->c->what->channels, width = j->c->s.width * channels;
    float *to = j->frame + i * j->c->image + y * j->c->line;
    if (y < w->top || y - w->top >= j->c->s.height) {
        memset(to, 0, j->c->line * sizeof *to);
        return;
    }
    memset(to, 0, w->left * channels * sizeof *to);
    memcpy(to + w->left * channels, j->in + (i * j->c->s.height + y - w->top) * width,
           width * sizeof *to);
    memset(to + w->left * channels + width, 0, w->right * channels * sizeof *to);
}

/* Where the windows of row y of image i's result lie. */
static void find_windows(void *context, size_t i, size_t y) {
    const struct job *j = context;
    const struct ox_step_window *w = &j->c->what->p->window;
    const float *from =
        (j->c->padded ? j->frame : j->in) + i * j->c->image + y * w->stride[0] * j->c->line;
    const float **to = j->rows + (i * j->c->s.out_height + y) * j->c->s.out_width;
    for (size_t x = 0; x < j->c->s.out_width; x++)
        to[x] = from + x * w->stride[1] * j->c->what->channels;
}

static ox_status run(void *state, const struct oxr_env *env, const float *in, const float *add,
                     float *out, void *workspace) {
    struct conv *c = state;
    const struct oxr_conv_shape *s = &c->s;
    struct oxr_gemm32_rows r = {.a = in,
                                .a_stride = c->g.k,
                                .c = out,
                                .c_stride = c->g.n,
                                .add = add,
                                .add_stride = c->g.n};
    r.m = s->images * s->out_height * s->out_width;
    r.tap_stride = c->what->p->window.dilation[0] * c->line;
    if (!c->straight) {
        struct job j = {c, in, workspace, (const float **)(void *)((char *)workspace + c->rows_at)};
        const struct ox_step_window *w = &c->what->p->window;
        if (c->padded)
            pthreadpool_parallelize_2d(env->pool, fill_line, &j, s->images,
                                       s->height + w->top + w->bottom, 0);
        pthreadpool_parallelize_2d(env->pool, find_windows, &j, s->images, s->out_height, 0);
        r.each = j.rows;
    }
    oxr_gemm32_run_all(&c->g, &r, env->pool);
    return OX_OK;
}

const struct oxr_conv32_way oxr_conv32_gemm = {true, suits, create, reshape, run, destroy};
