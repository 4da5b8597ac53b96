/* backend/runtime/step_conv.c - float convolutions over N,H,W,C (or N,L,C): shapes, and which way
 * they are computed. */
#include "backend/runtime/conv32.h"
#include "backend/runtime/xnn_common.h"

static const struct oxr_conv32_way *const ways[] = {&oxr_conv32_winograd, &oxr_conv32_gemm,
                                                    &oxr_conv32_depthrow, &oxr_conv32_depthwise,
                                                    &oxr_conv32_xnn};
enum { DIRECT = 1 /* from here on */, PIECE = 8192 };

struct conv {
    struct oxr_conv32 what;
    const struct oxr_conv32_way *way;
    void *state;
    bool empty;
    struct oxr_act32 act;
    size_t total; /* elements of the result */
};

static void conv_destroy(void *state, const struct oxr_env *env) {
    struct conv *c = state;
    if (!c) return;
    if (c->state) c->way->destroy(c->state, env);
    ox_free(env->ctx, c);
}

/* The first way that suits of those from `from` on. */
static const struct oxr_conv32_way *pick(const struct oxr_conv32 *c, size_t from) {
    while (!ways[from]->suits(c))
        from++;
    return ways[from];
}

const struct oxr_conv32_way *oxr_conv32_direct(const struct oxr_conv32 *c) {
    return pick(c, DIRECT);
}

static const void *const_data(const struct ox_step *step, size_t i) {
    return i < step->n_in && step->consts[i] ? step->consts[i]->data : NULL;
}

static ox_status conv_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    const struct ox_step_conv_params *p = step->params;
    const int64_t *d = step->consts[1]->dims;
    struct conv *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->what.p = p;
    c->what.channels = p->groups * (p->depthwise ? 1 : (size_t)d[3]);
    c->what.outputs = (size_t)(p->depthwise ? d[3] : d[0]);
    c->what.filter = const_data(step, 1);
    c->what.bias = const_data(step, 2);
    c->what.step = step->number;
    c->what.direct = env->direct;
    c->what.adds = step->n_in > 3 && step->present[3];
    c->way = pick(&c->what, 0);
    c->act = oxr_act32(p->act);
    if (c->act.loop && c->way->acts) c->what.act = &c->act;
    return c->way->create(&c->state, env, &c->what);
}

/* Output extent along one dim; false: the window does not fit, or the extent is beyond all measure.
 */
static bool extent(int64_t *out, int64_t in, uint32_t before, uint32_t after, uint32_t kernel,
                   uint32_t dilation, uint32_t stride) {
    int64_t room = in + before + after - ((int64_t)dilation * (kernel - 1) + 1);
    if (in < 0 || in > INT32_MAX || room < 0) return false;
    *out = room / stride + 1;
    return true;
}

ox_status oxr_conv_reshape(struct oxr_conv_shape *shape, bool *empty, struct oxr_shape *out,
                           const struct oxr_env *env, const struct oxr_shape *in,
                           const struct ox_step_window *w, size_t channels, size_t outputs) {
    const int last = in->rank - 1;
    size_t total;
    if (in->rank != 4 && in->rank != 3)
        return oxr_bad_shape(env, "convolution of rank %d", in->rank);
    if (in->dims[last] != (int64_t)channels)
        return oxr_bad_shape(env, "convolution of %lld channels, filter for %zu",
                             (long long)in->dims[last], channels);
    *out = *in;
    out->dims[last] = (int64_t)outputs;
    int64_t height = in->rank == 4 ? in->dims[1] : 1, width = in->dims[last - 1], tall, wide;
    if (in->dims[0] > INT32_MAX ||
        !extent(&tall, height, w->top, w->bottom, w->kernel[0], w->dilation[0], w->stride[0]) ||
        !extent(&wide, width, w->left, w->right, w->kernel[1], w->dilation[1], w->stride[1]))
        return oxr_bad_shape(env, "convolution of %lld x %lld, kernel %u x %u", (long long)height,
                             (long long)width, w->kernel[0], w->kernel[1]);
    if (in->rank == 4)
        out->dims[1] = tall;
    else if (tall != 1)
        return oxr_bad_shape(env, "convolution of rank 3 with a tall window");
    out->dims[last - 1] = wide;
    if (!oxr_count(&total, out, 0, out->rank)) return oxr_bad_shape(env, "too many elements");
    *empty = total == 0 || height == 0 || width == 0;
    if (!*empty)
        *shape = (struct oxr_conv_shape){(size_t)in->dims[0], (size_t)height, (size_t)width,
                                         (size_t)tall, (size_t)wide};
    return OX_OK;
}

static ox_status conv_shapes(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                             struct oxr_shape *out, size_t *workspace) {
    struct conv *c = state;
    struct oxr_conv_shape shape;
    if (in->dtype != OX_FLOAT) return oxr_bad_type(env, in, "convolution");
    OX_TRY(oxr_conv_reshape(&shape, &c->empty, out, env, in, &c->what.p->window, c->what.channels,
                            c->what.outputs));
    if (c->what.adds) OX_TRY(oxr_like(env, &in[3], out, "what is added to a convolution"));
    if (c->empty) return OX_OK;
    c->total = shape.images * shape.out_height * shape.out_width * c->what.outputs;
    return c->way->reshape(c->state, env, &shape, workspace);
}

struct pass {
    const struct oxr_act32 *act;
    float *x;
};

static void act(void *context, size_t first, size_t count) {
    const struct pass *p = context;
    oxr_act32_run(p->act, p->x + first, count);
}

static ox_status conv_run(void *state, const struct oxr_env *env, const void *const *in,
                          void *const *out, void *workspace) {
    struct conv *c = state;
    struct pass after = {&c->act, out[0]};
    if (c->empty) return OX_OK;
    OX_TRY(c->way->run(c->state, env, in[0], c->what.adds ? in[3] : NULL, out[0], workspace));
    if (c->act.loop && !c->way->acts)
        pthreadpool_parallelize_1d_tile_1d(env->pool, act, &after, c->total, PIECE, 0);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_conv = {conv_create, conv_shapes, conv_run, conv_destroy, 4};
