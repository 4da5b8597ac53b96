/* backend/runtime/step_scale.c - a normalization by constants: a factor and a shift for each
 * channel, and bounds; over tensors that are joined by channels on the way, so that what is joined
 * for it alone never lies in memory. */
#include "backend/runtime/step.h"
#include "ir/ops/kernel_isa.h"

enum { GRAIN = 8192 /* elements worth sharing out */ };

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/scale32.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/scale32.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/scale32.inc"
#undef OX_ISA_IS
#endif

typedef void (*scale_fn)(float *to, const float *x, const float *factor, const float *shift,
                         size_t n, float low, float high);

struct scale {
    const struct ox_step_scale_params *p;
    const float *factor, *shift;
    scale_fn fn;
    size_t channels, rows, n, *widths; /* of each of n parts */
};

static scale_fn find(enum ox_isa isa) {
#if OX_ISA_X86
    if (isa == OX_ISA_AVX512) return scale_avx512;
    if (isa == OX_ISA_AVX2) return scale_avx2;
#else
    (void)isa;
#endif
    return scale_plain;
}

static void scale_destroy(void *state, const struct oxr_env *env) {
    struct scale *s = state;
    if (!s) return;
    ox_free(env->ctx, s->widths);
    ox_free(env->ctx, s);
}

static ox_status scale_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    struct scale *s;
    OX_TRY(ox_alloc(env->ctx, &s, 1, sizeof *s));
    *state = s;
    s->p = step->params;
    s->factor = step->consts[0]->data;
    s->shift = step->consts[1]->data;
    s->channels = (size_t)step->consts[0]->dims[0];
    s->fn = find(ox_isa_pick(OX_ISA_BEST));
    s->n = step->n_in - 2;
    return ox_alloc(env->ctx, &s->widths, s->n, sizeof *s->widths);
}

#define bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)

static ox_status scale_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct scale *s = state;
    const struct oxr_shape *first = in + 2;
    const int last = first->rank - 1;
    size_t bytes, channels = 0;
    (void)workspace;
    if (last < 0) return bad_shape(env, "normalization of a number");
    *out = *first;
    out->dims[last] = (int64_t)s->channels;
    for (size_t i = 0; i < s->n; i++) {
        const struct oxr_shape *part = first + i;
        if (part->dtype != OX_FLOAT)
            return ox_fail(env->ctx, OX_INVALID, "wrong-type", NULL, "normalization of %s",
                           ox_dtype_name(part->dtype));
        if (part->rank != first->rank ||
            memcmp(part->dims, first->dims, (size_t)last * sizeof part->dims[0]) != 0)
            return bad_shape(env, "normalization of unlike operands");
        s->widths[i] = (size_t)part->dims[last];
        if (part->dims[last] < 0 || s->widths[i] > s->channels - channels)
            return bad_shape(env, "normalization of more than %zu channels", s->channels);
        channels += s->widths[i];
    }
    if (channels != s->channels)
        return bad_shape(env, "normalization of %zu channels instead of %zu", channels,
                         s->channels);
    if (ox_shape_size(NULL, &bytes, OX_FLOAT, out->rank, out->dims))
        return bad_shape(env, "too many elements");
    s->rows = bytes / sizeof(float) / s->channels;
    return OX_OK;
}

struct scale_job {
    const struct scale *s;
    const void *const *in;
    float *out;
};

static void scale_rows(void *arg, size_t begin, size_t end) {
    const struct scale_job *j = arg;
    const struct scale *s = j->s;
    for (size_t row = begin; row < end; row++) {
        float *to = j->out + row * s->channels;
        for (size_t i = 0, at = 0; i < s->n; at += s->widths[i++]) {
            const size_t n = s->widths[i];
            if (n)
                s->fn(to + at, (const float *)j->in[i] + row * n, s->factor + at, s->shift + at, n,
                      s->p->low, s->p->high);
        }
    }
}

static ox_status scale_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    const struct scale *s = state;
    struct scale_job job = {s, in + 2, out[0]};
    (void)workspace;
    ox_parallel(env->ctx, s->rows, 1 + GRAIN / s->channels, scale_rows, &job);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_scale = {scale_create, scale_reshape, scale_run, scale_destroy,
                                            3};
