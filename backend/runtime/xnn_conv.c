/* backend/runtime/xnn_conv.c - convolutions over N,H,W,C (or N,L,C), float and int8, ordinary, grouped and depthwise. */
#include "backend/runtime/depthwise8.h"
#include "backend/runtime/xnn_common.h"

/* An output tile reads all filters it needs for a few pixels; then the next pixels read them again. Filters that do not stay in the second-level
 * cache are therefore cut into parts by output channels, one operator each, that write into one result next to each other. */
enum { PART_BYTES = 1 << 20, PART_ALIGN = 64 };

struct conv {
    const struct ox_step_window *window;
    bool s8, empty;
    int64_t channels, outputs; /* of all groups */
    size_t part, n_parts;      /* output channels of a part (the last may have fewer) */
    xnn_operator_t *ops;
    struct oxr_depthwise8 own; /* packed: our own kernel instead of operators */
    struct oxr_depthwise8_job job;
    size_t rows; /* of all images of its result */
};

static void conv_destroy(void *state, const struct oxr_env *env)
{
    struct conv *c = state;
    if (!c) return;
    for (size_t i = 0; c->ops && i < c->n_parts; i++)
        if (c->ops[i]) xnn_delete_operator(c->ops[i]);
    ox_free(env->ctx, c->ops);
    oxr_depthwise8_release(&c->own, env->ctx);
    ox_free(env->ctx, c);
}

static const void *const_data(const struct ox_step *step, size_t i)
{
    return i < step->n_in && step->consts[i] ? step->consts[i]->data : NULL;
}

/* Geometry in the order that both create functions want it; strides are those of the whole result. */
#define GEOMETRY(c, groups, ci, co)                                                                                                       \
    (c)->window->top, (c)->window->right, (c)->window->bottom, (c)->window->left, (c)->window->kernel[0], (c)->window->kernel[1],        \
        (c)->window->stride[0], (c)->window->stride[1], (c)->window->dilation[0], (c)->window->dilation[1], (groups), (ci), (co),        \
        (size_t)(c)->channels, (size_t)(c)->outputs

static void cut(struct conv *c, uint32_t groups, size_t filter_bytes)
{
    size_t n = (size_t)c->outputs, most = PART_BYTES / filter_bytes / PART_ALIGN * PART_ALIGN;
    c->part = n;
    c->n_parts = 1;
    if (groups != 1 || most >= n || n < 2 * PART_ALIGN) return;
    if (most < PART_ALIGN) most = PART_ALIGN;
    c->n_parts = (n + most - 1) / most;
    c->part = (n / c->n_parts + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN; /* of about the same size */
    c->n_parts = (n + c->part - 1) / c->part;
}

static ox_status create_f32(struct conv *c, size_t i, const struct oxr_env *env, const struct ox_step *step, size_t ci, size_t co)
{
    const struct ox_step_conv_params *p = step->params;
    const float *w = step->consts[1]->data, *bias = const_data(step, 2);
    size_t first = i * c->part, filter = ci * p->window.kernel[0] * p->window.kernel[1];
    return oxr_xnn_try(env->ctx,
                       xnn_create_convolution2d_nhwc_f32(GEOMETRY(c, p->groups, ci, co), w + first * filter, bias ? bias + first : NULL, p->low, p->high,
                                                         p->depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, NULL, NULL, &c->ops[i]),
                       "convolution");
}

static ox_status create_s8(struct conv *c, size_t i, const struct oxr_env *env, const struct ox_step *step, size_t ci, size_t co)
{
    const struct ox_step_conv_s8_params *p = step->params;
    const int8_t *w = step->consts[1]->data;
    const float *scale = step->consts[2]->data;
    const int32_t *bias = const_data(step, 3);
    size_t first = i * c->part, filter = ci * p->window.kernel[0] * p->window.kernel[1];
    return oxr_xnn_try(env->ctx,
                       xnn_create_convolution2d_nhwc_qs8_qc8w(GEOMETRY(c, p->groups, ci, co), (int8_t)p->in.zero, p->in.scale, scale + first, w + first * filter,
                                                              bias ? bias + first : NULL, (int8_t)p->out.zero, p->out.scale, (int8_t)p->low, (int8_t)p->high,
                                                              p->depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, NULL, NULL, &c->ops[i]),
                       "convolution");
}

static ox_status conv_create(void **state, const struct oxr_env *env, const struct ox_step *step)
{
    const int64_t *d = step->consts[1]->dims;
    struct conv *c;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->s8 = step->kind == OX_STEP_CONV_S8;
    const struct ox_step_conv_params *f = step->params;
    const struct ox_step_conv_s8_params *q = step->params;
    c->window = c->s8 ? &q->window : &f->window;
    uint32_t groups = c->s8 ? q->groups : f->groups, depthwise = c->s8 ? q->depthwise : f->depthwise;
    size_t ci = depthwise ? 1 : (size_t)d[3];
    c->channels = (int64_t)(groups * ci);
    c->outputs = depthwise ? d[3] : d[0];
    if (c->s8 && depthwise && c->channels == c->outputs && q->window.kernel[0] * q->window.kernel[1] <= OXR_DEPTHWISE8_TAPS && oxr_depthwise8_here()) {
        c->job.d = &c->own;
        c->job.p = q;
        return oxr_depthwise8_pack(&c->own, env->ctx, step);
    }
    cut(c, groups, step->consts[1]->size / (size_t)c->outputs);
    OX_TRY(ox_alloc(env->ctx, &c->ops, c->n_parts, sizeof(xnn_operator_t)));
    for (size_t i = 0; i < c->n_parts; i++) {
        size_t first = i * c->part, co = c->n_parts == 1 ? (size_t)c->outputs / groups : (size_t)c->outputs - first < c->part ? (size_t)c->outputs - first : c->part;
        OX_TRY(c->s8 ? create_s8(c, i, env, step, ci, co) : create_f32(c, i, env, step, ci, co));
    }
    return OX_OK;
}

/* Output extent along one dim; false: the window does not fit, or the extent is beyond all measure. */
static bool extent(int64_t *out, int64_t in, uint32_t before, uint32_t after, uint32_t kernel, uint32_t dilation, uint32_t stride)
{
    int64_t room = in + before + after - ((int64_t)dilation * (kernel - 1) + 1);
    if (in < 0 || in > INT32_MAX || room < 0) return false;
    *out = room / stride + 1;
    return true;
}

static ox_status conv_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in, struct oxr_shape *out, size_t *workspace)
{
    struct conv *c = state;
    const struct ox_step_window *w = c->window;
    const int last = in->rank - 1;
    size_t size = 0, align = 0, oh, ow, total;
    if (in->dtype != (c->s8 ? OX_INT8 : OX_FLOAT)) return oxr_bad_type(env, in, "convolution");
    if (in->rank != 4 && in->rank != 3) return oxr_bad_shape(env, "convolution of rank %d", in->rank);
    if (in->dims[last] != c->channels) return oxr_bad_shape(env, "convolution of %lld channels, filter for %lld", (long long)in->dims[last], (long long)c->channels);
    *out = *in;
    out->dims[last] = c->outputs;
    int64_t height = in->rank == 4 ? in->dims[1] : 1, width = in->dims[last - 1], tall, wide;
    if (in->dims[0] > INT32_MAX || !extent(&tall, height, w->top, w->bottom, w->kernel[0], w->dilation[0], w->stride[0]) ||
        !extent(&wide, width, w->left, w->right, w->kernel[1], w->dilation[1], w->stride[1]))
        return oxr_bad_shape(env, "convolution of %lld x %lld, kernel %u x %u", (long long)height, (long long)width, w->kernel[0], w->kernel[1]);
    if (in->rank == 4)
        out->dims[1] = tall;
    else if (tall != 1)
        return oxr_bad_shape(env, "convolution of rank 3 with a tall window");
    out->dims[last - 1] = wide;
    if (!oxr_count(&total, out, 0, out->rank)) return oxr_bad_shape(env, "too many elements");
    c->empty = total == 0 || height == 0 || width == 0;
    if (c->empty) return OX_OK;
    const size_t n = (size_t)in->dims[0], h = (size_t)height, wd = (size_t)width;
    c->job.height = h;
    c->job.width = wd;
    c->job.out_height = (size_t)tall;
    c->job.out_width = (size_t)wide;
    c->rows = n * (size_t)tall;
    for (size_t i = 0; i < c->n_parts; i++) {
        enum xnn_status s = c->s8 ? xnn_reshape_convolution2d_nhwc_qs8_qc8w(c->ops[i], n, h, wd, &size, &align, &oh, &ow, env->pool)
                                  : xnn_reshape_convolution2d_nhwc_f32(c->ops[i], n, h, wd, &size, &align, &oh, &ow, env->pool);
        OX_TRY(oxr_xnn_try(env->ctx, s, "shape of a convolution"));
        if (oh != (size_t)tall || ow != (size_t)wide) return ox_fail(env->ctx, OX_INTERNAL, "bad-step", NULL, "convolution gives %zu x %zu", oh, ow);
        if (size > *workspace) *workspace = size;
    }
    return OX_OK;
}

static void own_rows(void *job, size_t first, size_t count)
{
    oxr_depthwise8_rows(job, first, first + count);
}

static ox_status conv_run(void *state, const struct oxr_env *env, const void *const *in, void *const *out, void *workspace)
{
    struct conv *c = state;
    if (c->own.weights && !c->empty) {
        const size_t pieces = 4 * pthreadpool_get_threads_count(env->pool);
        c->job.in = in[0];
        c->job.out = out[0];
        pthreadpool_parallelize_1d_tile_1d(env->pool, own_rows, &c->job, c->rows, (c->rows + pieces - 1) / pieces, 0);
        return OX_OK;
    }
    for (size_t i = 0; i < c->n_parts && !c->empty; i++) {
        OX_TRY(oxr_xnn_try(env->ctx,
                           c->s8 ? xnn_setup_convolution2d_nhwc_qs8_qc8w(c->ops[i], workspace, in[0], (int8_t *)out[0] + i * c->part)
                                 : xnn_setup_convolution2d_nhwc_f32(c->ops[i], workspace, in[0], (float *)out[0] + i * c->part),
                           "operands of a convolution"));
        OX_TRY(oxr_xnn_try(env->ctx, xnn_run_operator(c->ops[i], env->pool), "convolution"));
    }
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_conv = {conv_create, conv_reshape, conv_run, conv_destroy, 0};
const struct oxr_kernel oxr_kernel_conv_s8 = {conv_create, conv_reshape, conv_run, conv_destroy, 0};
