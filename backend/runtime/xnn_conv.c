/* backend/runtime/xnn_conv.c - convolutions over N,H,W,C (or N,L,C), float and int8, ordinary, grouped and depthwise. */
#include "backend/runtime/xnn_common.h"

struct conv {
    const struct ox_step_window *window;
    xnn_operator_t op;
    bool s8, empty;
    int64_t channels, outputs; /* of all groups */
};

static void conv_destroy(void *state, const struct oxr_env *env)
{
    struct conv *c = state;
    if (!c) return;
    if (c->op) xnn_delete_operator(c->op);
    ox_free(env->ctx, c);
}

static const void *const_data(const struct ox_step *step, size_t i)
{
    return i < step->n_in && step->consts[i] ? step->consts[i]->data : NULL;
}

/* Geometry in the order that both create functions want it. */
#define GEOMETRY(w, groups, ci, co)                                                                                                       \
    (w)->top, (w)->right, (w)->bottom, (w)->left, (w)->kernel[0], (w)->kernel[1], (w)->stride[0], (w)->stride[1], (w)->dilation[0],       \
        (w)->dilation[1], (groups), (ci), (co), (size_t)(groups) * (ci), (size_t)(groups) * (co)

static ox_status create_f32(struct conv *c, const struct oxr_env *env, const struct ox_step *step)
{
    const struct ox_step_conv_params *p = step->params;
    const int64_t *d = step->consts[1]->dims;
    size_t ci = p->depthwise ? 1 : (size_t)d[3], co = (size_t)(p->depthwise ? d[3] : d[0]) / p->groups;
    c->window = &p->window;
    c->channels = (int64_t)(p->groups * ci);
    c->outputs = (int64_t)(p->groups * co);
    return oxr_xnn_try(env->ctx,
                       xnn_create_convolution2d_nhwc_f32(GEOMETRY(c->window, p->groups, ci, co), step->consts[1]->data, const_data(step, 2), p->low,
                                                         p->high, p->depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, NULL, NULL, &c->op),
                       "convolution");
}

static ox_status create_s8(struct conv *c, const struct oxr_env *env, const struct ox_step *step)
{
    const struct ox_step_conv_s8_params *p = step->params;
    const int64_t *d = step->consts[1]->dims;
    size_t ci = p->depthwise ? 1 : (size_t)d[3], co = (size_t)(p->depthwise ? d[3] : d[0]) / p->groups;
    c->window = &p->window;
    c->s8 = true;
    c->channels = (int64_t)(p->groups * ci);
    c->outputs = (int64_t)(p->groups * co);
    return oxr_xnn_try(env->ctx,
                       xnn_create_convolution2d_nhwc_qs8_qc8w(GEOMETRY(c->window, p->groups, ci, co), (int8_t)p->in.zero, p->in.scale,
                                                              step->consts[2]->data, step->consts[1]->data, const_data(step, 3), (int8_t)p->out.zero,
                                                              p->out.scale, (int8_t)p->low, (int8_t)p->high,
                                                              p->depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, NULL, NULL, &c->op),
                       "convolution");
}

static ox_status conv_create(void **state, const struct oxr_env *env, const struct ox_step *step)
{
    struct conv *c;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    return step->kind == OX_STEP_CONV_S8 ? create_s8(c, env, step) : create_f32(c, env, step);
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
    enum xnn_status s = c->s8 ? xnn_reshape_convolution2d_nhwc_qs8_qc8w(c->op, (size_t)in->dims[0], (size_t)height, (size_t)width, &size, &align, &oh, &ow, env->pool)
                              : xnn_reshape_convolution2d_nhwc_f32(c->op, (size_t)in->dims[0], (size_t)height, (size_t)width, &size, &align, &oh, &ow, env->pool);
    OX_TRY(oxr_xnn_try(env->ctx, s, "shape of a convolution"));
    if (oh != (size_t)tall || ow != (size_t)wide) return ox_fail(env->ctx, OX_INTERNAL, "bad-step", NULL, "convolution gives %zu x %zu", oh, ow);
    *workspace = size;
    return OX_OK;
}

static ox_status conv_run(void *state, const struct oxr_env *env, const void *const *in, void *const *out, void *workspace)
{
    struct conv *c = state;
    if (c->empty) return OX_OK;
    OX_TRY(oxr_xnn_try(env->ctx,
                       c->s8 ? xnn_setup_convolution2d_nhwc_qs8_qc8w(c->op, workspace, in[0], out[0])
                             : xnn_setup_convolution2d_nhwc_f32(c->op, workspace, in[0], out[0]),
                       "operands of a convolution"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(c->op, env->pool), "convolution");
}

const struct oxr_kernel oxr_kernel_conv = {conv_create, conv_reshape, conv_run, conv_destroy, 0};
const struct oxr_kernel oxr_kernel_conv_s8 = {conv_create, conv_reshape, conv_run, conv_destroy, 0};
