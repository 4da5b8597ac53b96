/* backend/runtime/conv32_winograd.c - float convolutions with 3x3 filters and stride 1 by
 * Winograd's method where the shape at hand lets it win, else by the best direct way. Filters are
 * laid out when a shape first asks for it: what a session does not use takes no memory. */
#include "backend/runtime/conv32.h"
#include "backend/runtime/shared.h"
#include "backend/runtime/winograd.h"

#include <pthreadpool.h>

struct conv {
    const struct oxr_conv32 *what;
    struct oxr_winograd w;
    struct oxr_winograd_job job;
    const struct oxr_conv32_way *direct;
    void *state; /* of the direct way; NULL: not created */
    bool directly;
};

/* Where even an image of good size would go the direct way, there is nothing to choose. */
static bool suits(const struct oxr_conv32 *c) {
    const struct ox_step_window *w = &c->p->window;
    return !c->direct && c->p->groups == 1 && !c->p->depthwise && w->kernel[0] == 3 &&
           w->kernel[1] == 3 && w->stride[0] == 1 && w->stride[1] == 1 && w->dilation[0] == 1 &&
           w->dilation[1] == 1 && oxr_winograd_choose(c->channels, c->outputs, 1, 64, 64) != 0;
}

static void destroy(void *state, const struct oxr_env *env) {
    struct conv *c = state;
    if (c->state) c->direct->destroy(c->state, env);
    oxr_winograd_release(&c->w, env->ctx);
    ox_free(env->ctx, c);
}

static ox_status create(void **state, const struct oxr_env *env, const struct oxr_conv32 *what) {
    struct conv *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->what = what;
    c->direct = oxr_conv32_direct(what);
    return OX_OK;
}

enum { LAYOUT = 0x77670100 }; /* of this version of winograd.c; the instruction set is added */

struct source {
    const struct oxr_winograd *w;
    const struct oxr_env *env;
    const float *filter;
};

static void lay(void *to, void *arg) {
    const struct source *s = arg;
    oxr_winograd_lay(s->w, s->env->ctx, to, s->filter);
}

static ox_status lay_out(struct conv *c, const struct oxr_env *env, size_t tile) {
    const struct oxr_conv32 *what = c->what;
    const void *block = NULL;
    oxr_winograd_release(&c->w, env->ctx);
    OX_TRY(oxr_winograd_start(&c->w, env->ctx, what->bias, what->channels, what->outputs, tile,
                              OX_ISA_BEST));
    const struct oxr_shared_key key = {what->step, (uint32_t)tile, LAYOUT + (uint32_t)c->w.isa};
    ox_status s = oxr_shared_pack(&block, env, &key, c->w.floats * sizeof(float), lay,
                                  &(struct source){&c->w, env, what->filter});
    if (s != OX_OK) oxr_winograd_release(&c->w, env->ctx);
    c->w.filters = block;
    return s;
}

static ox_status by_tiles(struct conv *c, const struct oxr_env *env, const struct oxr_conv_shape *s,
                          size_t tile, size_t *workspace) {
    const struct oxr_conv32 *what = c->what;
    const size_t threads = pthreadpool_get_threads_count(env->pool);
    if (c->w.tile != tile) OX_TRY(lay_out(c, env, tile));
    c->job = (struct oxr_winograd_job){.w = &c->w,
                                       .images = s->images,
                                       .height = s->height,
                                       .width = s->width,
                                       .out_height = s->out_height,
                                       .out_width = s->out_width,
                                       .top = what->p->window.top,
                                       .left = what->p->window.left,
                                       .low = what->p->low,
                                       .high = what->p->high};
    if (!oxr_winograd_plan(&c->job, threads) || ox_mul_size(workspace, c->job.scratch, threads))
        return ox_fail(env->ctx, OX_INVALID, "shape-mismatch", NULL, "too many elements");
    return OX_OK;
}

static ox_status reshape(void *state, const struct oxr_env *env, const struct oxr_conv_shape *s,
                         size_t *workspace) {
    struct conv *c = state;
    const size_t tile = oxr_winograd_choose(c->what->channels, c->what->outputs, s->images,
                                            s->out_height, s->out_width);
    c->directly = tile == 0;
    if (!c->directly) return by_tiles(c, env, s, tile, workspace);
    if (!c->state) OX_TRY(c->direct->create(&c->state, env, c->what));
    return c->direct->reshape(c->state, env, s, workspace);
}

struct task {
    const struct oxr_winograd_job *job;
    char *workspace;
};

static void item(void *context, size_t thread, size_t i) {
    const struct task *t = context;
    oxr_winograd_item(t->job, i, t->workspace + thread * t->job->scratch);
}

static ox_status run(void *state, const struct oxr_env *env, const float *in, const float *add,
                     float *out, void *workspace) {
    struct conv *c = state;
    if (c->directly) return c->direct->run(c->state, env, in, add, out, workspace);
    struct task t = {&c->job, workspace};
    c->job.in = in;
    c->job.add = add;
    c->job.out = out;
    pthreadpool_parallelize_1d_with_thread(env->pool, item, &t, c->job.blocks * c->job.parts, 0);
    return OX_OK;
}

const struct oxr_conv32_way oxr_conv32_winograd = {false, suits, create, reshape, run, destroy};
