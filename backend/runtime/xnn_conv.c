/* backend/runtime/xnn_conv.c - convolutions over N,H,W,C (or N,L,C), int8, and XNNPACK's way of
 * those of floats: ordinary, grouped and depthwise. */
#include "backend/runtime/conv32.h"
#include "backend/runtime/depthwise8.h"
#include "backend/runtime/igemm8.h"
#include "backend/runtime/xnn_common.h"

#include <math.h>

/* An output tile reads all filters it needs for a few pixels; then the next pixels read them again.
 * Filters that do not stay in the second-level cache are therefore cut into parts by output
 * channels, one operator each, that write into one result next to each other. */
enum { PART_BYTES = 1 << 20, PART_ALIGN = 64 };

struct parts {
    size_t size, n; /* output channels of a part (the last may have fewer) */
    xnn_operator_t *ops;
};

static void end_parts(struct parts *p, ox_ctx *ctx) {
    for (size_t i = 0; p->ops && i < p->n; i++)
        if (p->ops[i]) xnn_delete_operator(p->ops[i]);
    ox_free(ctx, p->ops);
}

static ox_status cut(struct parts *p, ox_ctx *ctx, size_t outputs, uint32_t groups,
                     size_t filter_bytes) {
    size_t most = PART_BYTES / filter_bytes / PART_ALIGN * PART_ALIGN;
    p->size = outputs;
    p->n = 1;
    if (groups == 1 && most < outputs && outputs >= 2 * PART_ALIGN) {
        if (most < PART_ALIGN) most = PART_ALIGN;
        p->n = (outputs + most - 1) / most;
        p->size = (outputs / p->n + PART_ALIGN - 1) / PART_ALIGN *
                  PART_ALIGN; /* of about the same size */
        p->n = (outputs + p->size - 1) / p->size;
    }
    return ox_alloc(ctx, &p->ops, p->n, sizeof(xnn_operator_t));
}

/* Output channels of each group of part i. */
static size_t part_outputs(const struct parts *p, size_t i, size_t outputs, uint32_t groups) {
    const size_t left = outputs - i * p->size;
    return p->n == 1 ? outputs / groups : left < p->size ? left : p->size;
}

static ox_status agree(const struct oxr_env *env, const struct oxr_conv_shape *s, size_t height,
                       size_t width) {
    if (height == s->out_height && width == s->out_width) return OX_OK;
    return ox_fail(env->ctx, OX_INTERNAL, "bad-step", NULL, "convolution gives %zu x %zu", height,
                   width);
}

/* Geometry in the order that both create functions want it; strides are those of the whole result.
 */
#define GEOMETRY(w, groups, ci, co, channels, outputs)                                             \
    (w)->top, (w)->right, (w)->bottom, (w)->left, (w)->kernel[0], (w)->kernel[1], (w)->stride[0],  \
        (w)->stride[1], (w)->dilation[0], (w)->dilation[1], (groups), (ci), (co), (channels),      \
        (outputs)

/* ---- float -------------------------------------------------------------------------------------
 */

struct conv32 {
    const struct oxr_conv32 *what;
    struct parts parts;
    struct oxr_xnn_weights weights;
    size_t total; /* elements of the result */
};

static bool suits32(const struct oxr_conv32 *what) {
    (void)what;
    return true;
}

static void destroy32(void *state, const struct oxr_env *env) {
    struct conv32 *c = state;
    end_parts(&c->parts, env->ctx);
    ox_free(env->ctx, c);
}

/* What creating a part takes. */
struct part32 {
    const struct oxr_conv32 *what;
    size_t first, co;
};

static enum xnn_status create_part32(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op) {
    const struct part32 *t = arg;
    const struct oxr_conv32 *what = t->what;
    const struct ox_step_conv_params *p = what->p;
    const size_t ci = what->channels / p->groups,
                 filter = ci * p->window.kernel[0] * p->window.kernel[1];
    const float low = what->adds ? -INFINITY : p->low, high = what->adds ? INFINITY : p->high;
    return xnn_create_convolution2d_nhwc_f32(
        GEOMETRY(&p->window, p->groups, ci, t->co, what->channels, what->outputs),
        what->filter + t->first * filter, what->bias ? what->bias + t->first : NULL, low, high,
        p->depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, NULL, cache, op);
}

static ox_status create32(void **state, const struct oxr_env *env, const struct oxr_conv32 *what) {
    const struct ox_step_conv_params *p = what->p;
    const size_t ci = what->channels / p->groups,
                 filter = ci * p->window.kernel[0] * p->window.kernel[1];
    struct conv32 *c;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->what = what;
    OX_TRY(cut(&c->parts, env->ctx, what->outputs, p->groups, filter * sizeof(float)));
    for (size_t i = 0; i < c->parts.n; i++) {
        const size_t first = i * c->parts.size,
                     co = part_outputs(&c->parts, i, what->outputs, p->groups);
        OX_TRY(oxr_xnn_create(&c->parts.ops[i], &c->weights, env, what->step, (uint32_t)i,
                              create_part32, &(struct part32){what, first, co}, "convolution"));
    }
    return OX_OK;
}

/* XNNPACK adds nothing: where something is to be added, its result goes into the workspace first.
 */
static ox_status reshape32(void *state, const struct oxr_env *env, const struct oxr_conv_shape *s,
                           size_t *workspace) {
    struct conv32 *c = state;
    size_t most = 0, size = 0, align = 0, oh, ow;
    for (size_t i = 0; i < c->parts.n; i++) {
        OX_TRY(oxr_xnn_try(env->ctx,
                           xnn_reshape_convolution2d_nhwc_f32(c->parts.ops[i], s->images, s->height,
                                                              s->width, &size, &align, &oh, &ow,
                                                              env->pool),
                           "shape of a convolution"));
        OX_TRY(agree(env, s, oh, ow));
        if (size > most) most = size;
    }
    c->total = s->images * s->out_height * s->out_width * c->what->outputs;
    if (c->what->adds && (most > SIZE_MAX / 2 || ox_add_size(&most, (most + 63) / 64 * 64,
                                                             (c->total + 16) * sizeof(float))))
        return oxr_bad_shape(env, "too many elements");
    *workspace = most;
    return OX_OK;
}

static ox_status run32(void *state, const struct oxr_env *env, const float *in, const float *add,
                       float *out, void *workspace) {
    struct conv32 *c = state;
    const struct ox_step_conv_params *p = c->what->p;
    float *sums = add ? workspace : out;
    void *room = add ? sums + (c->total + 15) / 16 * 16 : workspace;
    for (size_t i = 0; i < c->parts.n; i++) {
        OX_TRY(oxr_xnn_try(
            env->ctx,
            xnn_setup_convolution2d_nhwc_f32(c->parts.ops[i], room, in, sums + i * c->parts.size),
            "operands of a convolution"));
        OX_TRY(oxr_xnn_try(env->ctx, xnn_run_operator(c->parts.ops[i], env->pool), "convolution"));
    }
    for (size_t i = 0; add && i < c->total; i++) {
        const float x = sums[i] + add[i];
        out[i] = x < p->low ? p->low : x > p->high ? p->high : x;
    }
    return OX_OK;
}

const struct oxr_conv32_way oxr_conv32_xnn = {false,     suits32, create32,
                                              reshape32, run32,   destroy32};

/* ---- int8 --------------------------------------------------------------------------------------
 */

struct conv8 {
    const struct ox_step_conv_s8_params *p;
    bool empty;
    size_t channels, outputs; /* of all groups */
    struct parts parts;
    struct oxr_xnn_weights weights;
    struct oxr_depthwise8 own; /* packed: our own kernel instead of operators */
    struct oxr_depthwise8_job job;
    size_t rows;               /* of all images of its result */
    struct oxr_igemm8 product; /* packed: likewise */
    struct oxr_igemm8_job pieces;
    size_t n_pieces;
};

static void destroy8(void *state, const struct oxr_env *env) {
    struct conv8 *c = state;
    if (!c) return;
    end_parts(&c->parts, env->ctx);
    oxr_depthwise8_release(&c->own, env->ctx);
    oxr_igemm8_release(&c->product, env->ctx);
    ox_free(env->ctx, c);
}

struct part8 {
    const struct conv8 *c;
    const struct ox_step *step;
    size_t i;
};

static enum xnn_status create_part8(void *arg, xnn_weights_cache_t cache, xnn_operator_t *op) {
    const struct conv8 *c = ((const struct part8 *)arg)->c;
    const struct ox_step *step = ((const struct part8 *)arg)->step;
    const size_t i = ((const struct part8 *)arg)->i;
    const struct ox_step_conv_s8_params *p = c->p;
    const int8_t *w = step->consts[1]->data;
    const float *scale = step->consts[2]->data;
    const int32_t *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    const size_t ci = c->channels / p->groups,
                 co = part_outputs(&c->parts, i, c->outputs, p->groups);
    const size_t first = i * c->parts.size, filter = ci * p->window.kernel[0] * p->window.kernel[1];
    return xnn_create_convolution2d_nhwc_qs8_qc8w(
        GEOMETRY(&p->window, p->groups, ci, co, c->channels, c->outputs), (int8_t)p->in.zero,
        p->in.scale, scale + first, w + first * filter, bias ? bias + first : NULL,
        (int8_t)p->out.zero, p->out.scale, (int8_t)p->low, (int8_t)p->high,
        p->depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, NULL, cache, op);
}

static ox_status pack8(struct conv8 *c, const struct oxr_env *env, const struct ox_step *step,
                       const struct oxr_igemm8_kernel *kernel) {
    const struct ox_step_conv_s8_params *p = c->p;
    const struct oxr_igemm8_task task = {
        .window = p->window,
        .groups = p->groups,
        .ci = c->channels / p->groups,
        .co = c->outputs / p->groups,
        .weights = step->consts[1]->data,
        .scales = step->consts[2]->data,
        .bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL,
        .in = p->in,
        .out = p->out,
        .low = p->low,
        .high = p->high};
    c->pieces.g = &c->product;
    return oxr_igemm8_pack(&c->product, env->ctx, kernel, &task);
}

static ox_status create8(void **state, const struct oxr_env *env, const struct ox_step *step) {
    const struct ox_step_conv_s8_params *p = step->params;
    const int64_t *d = step->consts[1]->dims;
    struct conv8 *c;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->p = p;
    c->channels = p->groups * (p->depthwise ? 1 : (size_t)d[3]);
    c->outputs = (size_t)(p->depthwise ? d[3] : d[0]);
    if (p->depthwise && c->channels == c->outputs &&
        p->window.kernel[0] * p->window.kernel[1] <= OXR_DEPTHWISE8_TAPS && oxr_depthwise8_here()) {
        c->job.d = &c->own;
        c->job.p = p;
        return oxr_depthwise8_pack(&c->own, env->ctx, step);
    }
    const struct oxr_igemm8_kernel *kernel =
        !p->depthwise && oxr_xnn_amx() ? oxr_igemm8_best() : NULL;
    if (kernel) return pack8(c, env, step, kernel);
    OX_TRY(cut(&c->parts, env->ctx, c->outputs, p->groups, step->consts[1]->size / c->outputs));
    for (size_t i = 0; i < c->parts.n; i++)
        OX_TRY(oxr_xnn_create(&c->parts.ops[i], &c->weights, env, step->number, (uint32_t)i,
                              create_part8, &(struct part8){c, step, i}, "convolution"));
    return OX_OK;
}

static ox_status reshape8(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                          struct oxr_shape *out, size_t *workspace) {
    struct conv8 *c = state;
    struct oxr_conv_shape s;
    size_t size = 0, align = 0, oh, ow;
    if (in->dtype != OX_INT8) return oxr_bad_type(env, in, "convolution");
    OX_TRY(oxr_conv_reshape(&s, &c->empty, out, env, in, &c->p->window, c->channels, c->outputs));
    if (c->empty) return OX_OK;
    c->job.height = s.height;
    c->job.width = s.width;
    c->job.out_height = s.out_height;
    c->job.out_width = s.out_width;
    c->rows = s.images * s.out_height;
    if (c->product.weights) {
        c->pieces.height = s.height;
        c->pieces.width = s.width;
        c->pieces.out_height = s.out_height;
        c->pieces.out_width = s.out_width;
        c->pieces.rows = c->rows * s.out_width;
        if (!oxr_igemm8_cut(&c->pieces, pthreadpool_get_threads_count(env->pool), &c->n_pieces,
                            workspace))
            return oxr_bad_shape(env, "too many elements");
    }
    for (size_t i = 0; i < c->parts.n; i++) {
        OX_TRY(oxr_xnn_try(env->ctx,
                           xnn_reshape_convolution2d_nhwc_qs8_qc8w(c->parts.ops[i], s.images,
                                                                   s.height, s.width, &size, &align,
                                                                   &oh, &ow, env->pool),
                           "shape of a convolution"));
        OX_TRY(agree(env, &s, oh, ow));
        if (size > *workspace) *workspace = size;
    }
    return OX_OK;
}

static void own_rows(void *job, size_t first, size_t count) {
    oxr_depthwise8_rows(job, first, first + count);
}

static ox_status run8(void *state, const struct oxr_env *env, const void *const *in,
                      void *const *out, void *workspace) {
    struct conv8 *c = state;
    if (c->own.weights && !c->empty) {
        const size_t pieces = 4 * pthreadpool_get_threads_count(env->pool);
        c->job.in = in[0];
        c->job.out = out[0];
        pthreadpool_parallelize_1d_tile_1d(env->pool, own_rows, &c->job, c->rows,
                                           (c->rows + pieces - 1) / pieces, 0);
        return OX_OK;
    }
    if (c->product.weights && !c->empty) {
        c->pieces.in = in[0];
        c->pieces.out = out[0];
        c->pieces.scratch = workspace;
        pthreadpool_parallelize_1d_with_thread(env->pool, oxr_igemm8_piece, &c->pieces, c->n_pieces,
                                               0);
        return OX_OK;
    }
    for (size_t i = 0; i < c->parts.n && !c->empty; i++) {
        OX_TRY(
            oxr_xnn_try(env->ctx,
                        xnn_setup_convolution2d_nhwc_qs8_qc8w(c->parts.ops[i], workspace, in[0],
                                                              (int8_t *)out[0] + i * c->parts.size),
                        "operands of a convolution"));
        OX_TRY(oxr_xnn_try(env->ctx, xnn_run_operator(c->parts.ops[i], env->pool), "convolution"));
    }
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_conv_s8 = {create8, reshape8, run8, destroy8, 0};
