/* backend/runtime/step_channels.c - channels, which are last, in another order or some of them:
 * what is split and shuffled between convolutions. */
#include "backend/runtime/step.h"

enum { WORK = 16384 /* elements that are worth a thread */ };

struct channels {
    const int32_t *from;
    size_t n, width, rows; /* of the result; of the data */
    int32_t most;
    bool run; /* they follow each other */
};

static ox_status channels_create(void **state, const struct oxr_env *env,
                                 const struct ox_step *step) {
    struct channels *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->from = step->consts[1]->data;
    c->n = step->consts[1]->count;
    c->run = true;
    for (size_t i = 0; i < c->n; i++) {
        if (c->from[i] > c->most) c->most = c->from[i];
        c->run = c->run && (size_t)c->from[i] == (size_t)c->from[0] + i;
    }
    return OX_OK;
}

static void channels_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

static ox_status channels_reshape(void *state, const struct oxr_env *env,
                                  const struct oxr_shape *in, struct oxr_shape *out,
                                  size_t *workspace) {
    struct channels *c = state;
    const int last = in->rank - 1;
    size_t total;
    (void)workspace;
    if (in->dtype != OX_FLOAT)
        return ox_fail(env->ctx, OX_INVALID, "wrong-type", NULL, "channels of %s",
                       ox_dtype_name(in->dtype));
    if (last < 0 || in->dims[last] <= c->most)
        return ox_fail(env->ctx, OX_INVALID, "shape-mismatch", NULL, "channel %d of rank %d",
                       c->most, in->rank);
    *out = *in;
    out->dims[last] = (int64_t)c->n;
    if (ox_shape_size(&total, NULL, OX_FLOAT, out->rank, out->dims) ||
        ox_shape_size(&c->rows, NULL, OX_FLOAT, last, out->dims))
        return ox_fail(env->ctx, OX_INVALID, "shape-mismatch", NULL, "too many elements");
    if (total == 0) c->rows = 0;
    c->width = (size_t)in->dims[last];
    return OX_OK;
}

struct channels_job {
    const struct channels *c;
    const float *in;
    float *out;
};

static void pick_rows(void *arg, size_t begin, size_t end) {
    const struct channels_job *j = arg;
    const size_t n = j->c->n;
    const int32_t *from = j->c->from;
    for (size_t r = begin; r < end; r++) {
        const float *in = j->in + r * j->c->width;
        float *out = j->out + r * n;
        if (j->c->run)
            memcpy(out, in + from[0], n * sizeof *out);
        else
            for (size_t i = 0; i < n; i++)
                out[i] = in[from[i]];
    }
}

static ox_status channels_run(void *state, const struct oxr_env *env, const void *const *in,
                              void *const *out, void *workspace) {
    const struct channels *c = state;
    struct channels_job job = {c, in[0], out[0]};
    (void)workspace;
    ox_parallel(env->ctx, c->rows, 1 + WORK / c->n, pick_rows, &job);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_channels = {channels_create, channels_reshape, channels_run,
                                               channels_destroy, 0};
