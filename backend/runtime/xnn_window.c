/* backend/runtime/xnn_window.c - pools and bilinear resizing over N,H,W,C. */
#include "backend/runtime/xnn_common.h"

#include <math.h>

struct windowed {
    const struct ox_step_pool_params *pool;
    const struct ox_step_resize_params *resize;
    xnn_operator_t op;
    ox_dtype dtype; /* the operator's; made when the first operand is seen */
    bool empty;
};

static void windowed_destroy(void *state, const struct oxr_env *env) {
    struct windowed *s = state;
    if (!s) return;
    if (s->op) xnn_delete_operator(s->op);
    ox_free(env->ctx, s);
}

static ox_status windowed_create(void **state, const struct oxr_env *env,
                                 const struct ox_step *step) {
    struct windowed *s;
    OX_TRY(oxr_xnn_start(env->ctx));
    OX_TRY(ox_alloc(env->ctx, &s, 1, sizeof *s));
    *state = s;
    if (step->kind == OX_STEP_POOL)
        s->pool = step->params;
    else
        s->resize = step->params;
    return OX_OK;
}

#define WINDOW(w)                                                                                  \
    (w)->top, (w)->right, (w)->bottom, (w)->left, (w)->kernel[0], (w)->kernel[1], (w)->stride[0],  \
        (w)->stride[1]

static enum xnn_status make_op(struct windowed *s, ox_dtype dtype) {
    if (s->resize) {
        static const uint32_t flags[] = {0, XNN_FLAG_ALIGN_CORNERS,
                                         XNN_FLAG_TENSORFLOW_LEGACY_MODE};
        const struct ox_step_resize_params *p = s->resize;
        return dtype == OX_FLOAT ? xnn_create_resize_bilinear2d_nhwc_f32(p->height, p->width,
                                                                         flags[p->coords], &s->op)
                                 : xnn_create_resize_bilinear2d_nhwc_s8(p->height, p->width,
                                                                        flags[p->coords], &s->op);
    }
    const struct ox_step_window *w = &s->pool->window;
    if (s->pool->mode == OX_STEP_POOL_AVERAGE)
        return xnn_create_average_pooling2d_nhwc_f32(WINDOW(w), -INFINITY, INFINITY, 0, &s->op);
    if (dtype == OX_FLOAT)
        return xnn_create_max_pooling2d_nhwc_f32(WINDOW(w), w->dilation[0], w->dilation[1],
                                                 -INFINITY, INFINITY, 0, &s->op);
    return xnn_create_max_pooling2d_nhwc_s8(WINDOW(w), w->dilation[0], w->dilation[1], INT8_MIN,
                                            INT8_MAX, 0, &s->op);
}

/* The type decides which operator it is. */
static ox_status choose_op(struct windowed *s, const struct oxr_env *env, ox_dtype dtype) {
    if (s->op && s->dtype == dtype) return OX_OK;
    if (s->op) xnn_delete_operator(s->op);
    s->op = NULL;
    s->dtype = dtype;
    return oxr_xnn_try(env->ctx, make_op(s, dtype), "window");
}

/* Each window must meet some data: otherwise there is no maximum, and no mean. */
static bool extent(int64_t *out, int64_t in, uint32_t before, uint32_t after, uint32_t kernel,
                   uint32_t dilation, uint32_t stride) {
    int64_t reach = (int64_t)dilation * (kernel - 1) + 1, room = in + before + after - reach;
    if (in < 1 || in > INT32_MAX || room < 0 || before >= reach) return false;
    *out = room / stride + 1;
    return (*out - 1) * stride - before < in;
}

static ox_status pool_shape(struct windowed *s, const struct oxr_env *env,
                            const struct oxr_shape *in, struct oxr_shape *out) {
    const struct ox_step_window *w = &s->pool->window;
    const int last = in->rank - 1;
    int64_t height = in->rank == 4 ? in->dims[1] : 1, tall;
    if (in->rank != 4 && in->rank != 3) return oxr_bad_shape(env, "pool of rank %d", in->rank);
    if (!extent(&tall, height, w->top, w->bottom, w->kernel[0], w->dilation[0], w->stride[0]) ||
        !extent(&out->dims[last - 1], in->dims[last - 1], w->left, w->right, w->kernel[1],
                w->dilation[1], w->stride[1]) ||
        (in->rank == 3 && tall != 1))
        return oxr_bad_shape(env, "pool of %lld x %lld, kernel %u x %u", (long long)height,
                             (long long)in->dims[last - 1], w->kernel[0], w->kernel[1]);
    if (in->rank == 4) out->dims[1] = tall;
    return OX_OK;
}

static ox_status pool_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                              struct oxr_shape *out, size_t *workspace) {
    struct windowed *s = state;
    size_t total, size = 0, align = 0, oh = 0, ow = 0;
    const int last = in->rank - 1;
    if (in->dtype != OX_FLOAT && (in->dtype != OX_INT8 || s->pool->mode != OX_STEP_POOL_MAX))
        return oxr_bad_type(env, in, "pool");
    *out = *in;
    OX_TRY(pool_shape(s, env, in, out));
    if (!oxr_count(&total, out, 0, out->rank)) return oxr_bad_shape(env, "too many elements");
    s->empty = total == 0;
    if (s->empty) return OX_OK;
    OX_TRY(choose_op(s, env, in->dtype));
    size_t n = (size_t)in->dims[0], h = in->rank == 4 ? (size_t)in->dims[1] : 1,
           w = (size_t)in->dims[last - 1], c = (size_t)in->dims[last];
    enum xnn_status status;
    if (s->pool->mode == OX_STEP_POOL_AVERAGE)
        status = xnn_reshape_average_pooling2d_nhwc_f32(s->op, n, h, w, c, c, c, &size, &align, &oh,
                                                        &ow, env->pool);
    else if (in->dtype == OX_FLOAT)
        status = xnn_reshape_max_pooling2d_nhwc_f32(s->op, n, h, w, c, c, c, &oh, &ow, env->pool);
    else
        status = xnn_reshape_max_pooling2d_nhwc_s8(s->op, n, h, w, c, c, c, &oh, &ow, env->pool);
    OX_TRY(oxr_xnn_try(env->ctx, status, "shape of a pool"));
    if (ow != (size_t)out->dims[last - 1] || (in->rank == 4 && oh != (size_t)out->dims[1]))
        return ox_fail(env->ctx, OX_INTERNAL, "bad-step", NULL, "pool gives %zu x %zu", oh, ow);
    *workspace = size;
    return OX_OK;
}

static ox_status pool_run(void *state, const struct oxr_env *env, const void *const *in,
                          void *const *out, void *workspace) {
    struct windowed *s = state;
    enum xnn_status status;
    if (s->empty) return OX_OK;
    if (s->pool->mode == OX_STEP_POOL_AVERAGE)
        status = xnn_setup_average_pooling2d_nhwc_f32(s->op, workspace, in[0], out[0]);
    else if (s->dtype == OX_FLOAT)
        status = xnn_setup_max_pooling2d_nhwc_f32(s->op, in[0], out[0]);
    else
        status = xnn_setup_max_pooling2d_nhwc_s8(s->op, in[0], out[0]);
    OX_TRY(oxr_xnn_try(env->ctx, status, "operands of a pool"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(s->op, env->pool), "pool");
}

static ox_status resize_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                                struct oxr_shape *out, size_t *workspace) {
    struct windowed *s = state;
    size_t total, size = 0, align = 0;
    if (in->dtype != OX_FLOAT && in->dtype != OX_INT8) return oxr_bad_type(env, in, "resize");
    if (in->rank != 4 || in->dims[1] < 1 || in->dims[2] < 1)
        return oxr_bad_shape(env, "resize of rank %d", in->rank);
    *out = *in;
    out->dims[1] = s->resize->height;
    out->dims[2] = s->resize->width;
    if (!oxr_count(&total, out, 0, 4) || in->dims[1] >= 1 << 24 || in->dims[2] >= 1 << 24)
        return oxr_bad_shape(env, "too many elements");
    s->empty = total == 0;
    if (s->empty) return OX_OK;
    OX_TRY(choose_op(s, env, in->dtype));
    size_t n = (size_t)in->dims[0], h = (size_t)in->dims[1], w = (size_t)in->dims[2],
           c = (size_t)in->dims[3];
    OX_TRY(oxr_xnn_try(env->ctx,
                       in->dtype == OX_FLOAT
                           ? xnn_reshape_resize_bilinear2d_nhwc_f32(s->op, n, h, w, c, c, c, &size,
                                                                    &align, env->pool)
                           : xnn_reshape_resize_bilinear2d_nhwc_s8(s->op, n, h, w, c, c, c, &size,
                                                                   &align, env->pool),
                       "shape of a resize"));
    *workspace = size;
    return OX_OK;
}

static ox_status resize_run(void *state, const struct oxr_env *env, const void *const *in,
                            void *const *out, void *workspace) {
    struct windowed *s = state;
    if (s->empty) return OX_OK;
    OX_TRY(oxr_xnn_try(env->ctx,
                       s->dtype == OX_FLOAT
                           ? xnn_setup_resize_bilinear2d_nhwc_f32(s->op, workspace, in[0], out[0])
                           : xnn_setup_resize_bilinear2d_nhwc_s8(s->op, workspace, in[0], out[0]),
                       "operands of a resize"));
    return oxr_xnn_try(env->ctx, xnn_run_operator(s->op, env->pool), "resize");
}

const struct oxr_kernel oxr_kernel_pool = {windowed_create, pool_reshape, pool_run,
                                           windowed_destroy, 0};
const struct oxr_kernel oxr_kernel_resize = {windowed_create, resize_reshape, resize_run,
                                             windowed_destroy, 0};
