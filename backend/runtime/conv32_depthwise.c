/* backend/runtime/conv32_depthwise.c - depthwise convolutions of floats by our own kernel
 * (depthwise32.h). */
#include "backend/runtime/depthwise32.h"

#include <pthreadpool.h>

struct conv {
    struct oxr_depthwise32 d;
    float *zeros;
    size_t rows;
};

/* With vectors of 16, 1.2 to 2 times as fast as XNNPACK's, which reads weights again for each
 * pixel. */
static bool suits(const struct oxr_conv32 *c) {
    const struct ox_step_window *w = &c->p->window;
    return c->p->depthwise && c->channels == c->outputs && !c->adds &&
           w->kernel[0] <= OXR_DEPTHWISE32_TAPS && w->kernel[1] <= OXR_DEPTHWISE32_TAPS &&
           w->kernel[0] * w->kernel[1] <= OXR_DEPTHWISE32_TAPS &&
           ox_isa_pick(OX_ISA_BEST) != OX_ISA_PLAIN;
}

static void destroy(void *state, const struct oxr_env *env) {
    struct conv *c = state;
    ox_free(env->ctx, c->zeros);
    ox_free(env->ctx, c);
}

static ox_status create(void **state, const struct oxr_env *env, const struct oxr_conv32 *what) {
    struct conv *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    OX_TRY(ox_alloc(env->ctx, &c->zeros, what->channels, sizeof *c->zeros));
    c->d = (struct oxr_depthwise32){.isa = ox_isa_pick(OX_ISA_BEST),
                                    .window = &what->p->window,
                                    .filter = what->filter,
                                    .bias = what->bias,
                                    .zeros = c->zeros,
                                    .channels = what->channels,
                                    .low = what->p->low,
                                    .high = what->p->high,
                                    .act = what->act};
    return OX_OK;
}

static ox_status reshape(void *state, const struct oxr_env *env, const struct oxr_conv_shape *s,
                         size_t *workspace) {
    struct conv *c = state;
    (void)env, (void)workspace;
    c->d.shape = *s;
    c->rows = s->images * s->out_height;
    return OX_OK;
}

static void rows(void *context, size_t first, size_t count) {
    oxr_depthwise32_rows(context, first, first + count);
}

static ox_status run(void *state, const struct oxr_env *env, const float *in, const float *add,
                     float *out, void *workspace) {
    struct conv *c = state;
    const size_t pieces = 4 * pthreadpool_get_threads_count(env->pool);
    (void)add, (void)workspace;
    c->d.in = in;
    c->d.out = out;
    pthreadpool_parallelize_1d_tile_1d(env->pool, rows, &c->d, c->rows,
                                       (c->rows + pieces - 1) / pieces, 0);
    return OX_OK;
}

const struct oxr_conv32_way oxr_conv32_depthwise = {true, suits, create, reshape, run, destroy};
