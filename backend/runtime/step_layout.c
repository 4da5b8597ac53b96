/* backend/runtime/step_layout.c - kernels that change the form of a tensor and not its values:
 * transpose, and the shift between uint8 and int8. Portable; also the smallest example of a native
 * step. */
#include "backend/runtime/plane.h"
#include "backend/runtime/step.h"
#include "ir/ops/mover.h"

/* ---- transpose ------------------------------------------------------------------------------- */

struct transpose {
    const struct ox_step_transpose_params *p;
    struct ox_strided loops;
    size_t size; /* bytes of an element */
    bool plane;  /* each sample is a matrix that is turned over */
    size_t samples, rows, cols;
};

/* The first axis stays and the others rotate. */
static bool rotates(struct transpose *t, const struct oxr_shape *in) {
    const int rank = (int)t->p->rank, by = rank > 2 ? t->p->perm[1] - 1 : 0;
    if (by <= 0 || t->p->perm[0] != 0 || (t->size != 1 && t->size != 4)) return false;
    for (int i = 1; i < rank; i++)
        if (t->p->perm[i] != 1 + (i - 1 + by) % (rank - 1)) return false;
    t->samples = (size_t)in->dims[0];
    t->rows = t->cols = 1;
    for (int i = 1; i < rank; i++) {
        size_t *part = i <= by ? &t->rows : &t->cols;
        if (in->dims[i] <= 0 || ox_mul_size(part, *part, (size_t)in->dims[i])) return false;
    }
    return true;
}

static ox_status transpose_create(void **state, const struct oxr_env *env,
                                  const struct ox_step *step) {
    struct transpose *t;
    OX_TRY(ox_alloc(env->ctx, &t, 1, sizeof *t));
    t->p = step->params;
    *state = t;
    return OX_OK;
}

static ox_status transpose_reshape(void *state, const struct oxr_env *env,
                                   const struct oxr_shape *in, struct oxr_shape *out,
                                   size_t *workspace) {
    struct transpose *t = state;
    int rank = (int)t->p->rank, bits = ox_dtype_bits(in->dtype);
    int64_t to[OX_STEP_RANK_MAX], from[OX_STEP_RANK_MAX];
    (void)workspace;
    if (in->rank != rank)
        return ox_fail(env->ctx, OX_INVALID, "shape-mismatch", NULL,
                       "transpose of rank %d, operand of rank %d", rank, in->rank);
    if (!ox_dtype_valid(in->dtype) || bits % 8 != 0 || in->dtype == OX_STRING)
        return ox_fail(env->ctx, OX_INVALID, "wrong-type", NULL, "transpose of %s",
                       ox_dtype_name(in->dtype));
    *out = (struct oxr_shape){.dtype = in->dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        out->dims[i] = in->dims[t->p->perm[i]];
    ox_row_major(to, rank, out->dims);
    ox_row_major(from, rank, in->dims);
    t->loops.rank = 0;
    for (int i = 0; i < rank; i++)
        ox_strided_add(&t->loops, out->dims[i], to[i], from[t->p->perm[i]]);
    t->size = (size_t)bits / 8;
    t->plane = rotates(t, in);
    return OX_OK;
}

struct turn_job {
    const struct transpose *t;
    const unsigned char *in;
    unsigned char *out;
};

static void turn_range(void *arg, size_t begin, size_t end) {
    const struct turn_job *j = arg;
    oxr_plane_turn(j->out, j->in, j->t->size, j->t->rows, j->t->cols, begin, end);
}

static ox_status transpose_run(void *state, const struct oxr_env *env, const void *const *in,
                               void *const *out, void *workspace) {
    struct transpose *t = state;
    (void)workspace;
    if (t->plane) {
        struct turn_job job = {t, in[0], out[0]};
        for (size_t i = 0; i < t->samples;
             i++, job.in += t->rows * t->cols * t->size, job.out += t->rows * t->cols * t->size)
            ox_parallel(env->ctx, t->cols, 16 + 16384 / t->rows, turn_range, &job);
        return OX_OK;
    }
    ox_strided_copy(env->ctx, out[0], in[0], t->size, &t->loops);
    return OX_OK;
}

static void transpose_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

const struct oxr_kernel oxr_kernel_transpose = {transpose_create, transpose_reshape, transpose_run,
                                                transpose_destroy, 0};

/* ---- shift ----------------------------------------------------------------------------------- */

struct shift {
    const struct ox_step_shift_params *p;
    size_t count;
};

static ox_status shift_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    struct shift *s;
    OX_TRY(ox_alloc(env->ctx, &s, 1, sizeof *s));
    s->p = step->params;
    *state = s;
    return OX_OK;
}

static ox_status shift_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct shift *s = state;
    (void)workspace;
    if (in->dtype != (s->p->to_signed ? OX_UINT8 : OX_INT8))
        return ox_fail(env->ctx, OX_INVALID, "wrong-type", NULL, "shift of %s",
                       ox_dtype_name(in->dtype));
    *out = *in;
    out->dtype = s->p->to_signed ? OX_INT8 : OX_UINT8;
    if (ox_shape_size(&s->count, NULL, in->dtype, in->rank, in->dims))
        return ox_fail(env->ctx, OX_INVALID, "bad-shape", NULL, "shift of too many elements");
    return OX_OK;
}

struct shift_job {
    unsigned char *out;
    const unsigned char *in;
};

static void shift_range(void *arg, size_t begin, size_t end) {
    struct shift_job *j = arg;
    for (size_t i = begin; i < end; i++)
        j->out[i] = j->in[i] ^ 0x80;
}

static ox_status shift_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    struct shift *s = state;
    struct shift_job job = {out[0], in[0]};
    (void)workspace;
    ox_parallel(env->ctx, s->count, 65536, shift_range, &job);
    return OX_OK;
}

static void shift_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

const struct oxr_kernel oxr_kernel_shift = {shift_create, shift_reshape, shift_run, shift_destroy,
                                            1};
