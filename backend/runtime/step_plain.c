/* backend/runtime/step_plain.c - small portable kernels: joining tensors, means over spatial dims,
 * 8-bit tables. */
#include "backend/runtime/step.h"

#include <math.h>

#define bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define bad_type(env, shape, what)                                                                 \
    ox_fail((env)->ctx, OX_INVALID, "wrong-type", NULL, "%s of %s", (what),                        \
            ox_dtype_name((shape)->dtype))

static void plain_destroy(void *state, const struct oxr_env *env) {
    ox_free(env->ctx, state);
}

/* Product of dims[from..to). False: it overflows. */
static bool count_of(size_t *count, const struct oxr_shape *shape, int from, int to) {
    *count = 1;
    for (int i = from; i < to; i++)
        if (shape->dims[i] < 0 || ox_mul_size(count, *count, (size_t)shape->dims[i])) return false;
    return true;
}

/* ---- concat ------------------------------------------------------------------------------------
 */

struct concat {
    uint32_t axis;
    size_t n, outer, row; /* row: bytes of the result in one of `outer` */
    size_t *widths;       /* n: bytes of each operand's piece of a row */
};

static ox_status concat_create(void **state, const struct oxr_env *env,
                               const struct ox_step *step) {
    const struct ox_step_concat_params *p = step->params;
    struct concat *c;
    OX_TRY(ox_alloc(env->ctx, &c, 1, sizeof *c));
    *state = c;
    c->axis = p->axis;
    c->n = step->n_in;
    return ox_alloc(env->ctx, &c->widths, c->n, sizeof *c->widths);
}

static void concat_destroy(void *state, const struct oxr_env *env) {
    struct concat *c = state;
    if (!c) return;
    ox_free(env->ctx, c->widths);
    ox_free(env->ctx, c);
}

static ox_status concat_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                                struct oxr_shape *out, size_t *workspace) {
    struct concat *c = state;
    const int axis = (int)c->axis, rank = in->rank, bits = ox_dtype_bits(in->dtype);
    size_t total;
    (void)workspace;
    if (!ox_dtype_valid(in->dtype) || bits % 8 != 0 || in->dtype == OX_STRING)
        return bad_type(env, in, "concat");
    if (axis >= rank) return bad_shape(env, "concat of rank %d over axis %d", rank, axis);
    *out = *in;
    out->dims[axis] = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (in[i].dtype != in->dtype || in[i].rank != rank)
            return bad_shape(env, "concat of unlike operands");
        for (int d = 0; d < rank; d++)
            if (d != axis && in[i].dims[d] != in->dims[d])
                return bad_shape(env, "concat of %lld and %lld", (long long)in->dims[d],
                                 (long long)in[i].dims[d]);
        if (in[i].dims[axis] < 0 || ox_add_i64(&out->dims[axis], out->dims[axis], in[i].dims[axis]))
            return bad_shape(env, "too many elements");
    }
    if (ox_shape_size(NULL, &total, out->dtype, rank, out->dims) ||
        !count_of(&c->outer, out, 0, axis))
        return bad_shape(env, "too many elements");
    c->row = c->outer ? total / c->outer : 0;
    for (size_t i = 0; i < c->n; i++) {
        if (ox_shape_size(NULL, &total, in[i].dtype, rank, in[i].dims))
            return bad_shape(env, "too many elements");
        c->widths[i] = c->outer ? total / c->outer : 0;
    }
    return OX_OK;
}

struct concat_job {
    const struct concat *c;
    const void *const *in;
    unsigned char *out;
};

static void concat_rows(void *arg, size_t begin, size_t end) {
    const struct concat_job *j = arg;
    unsigned char *to = j->out + begin * j->c->row;
    for (size_t r = begin; r < end; r++)
        for (size_t i = 0; i < j->c->n; i++) {
            size_t width = j->c->widths[i];
            const unsigned char *from = width ? (const unsigned char *)j->in[i] + r * width : to;
            if (from != to)
                memcpy(to, from,
                       width); /* in place: a single operand, which is the result already */
            to += width;
        }
}

static ox_status concat_run(void *state, const struct oxr_env *env, const void *const *in,
                            void *const *out, void *workspace) {
    struct concat *c = state;
    struct concat_job job = {c, in, out[0]};
    (void)workspace;
    if (c->row) ox_parallel(env->ctx, c->outer, 1 + 65536 / c->row, concat_rows, &job);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_concat = {concat_create, concat_reshape, concat_run,
                                             concat_destroy, 1};

/* ---- mean --------------------------------------------------------------------------------------
 */

struct mean {
    const struct ox_step_mean_params *p;
    ox_dtype dtype;
    size_t batch, positions, channels;
};

static ox_status mean_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    struct mean *m;
    OX_TRY(ox_alloc(env->ctx, &m, 1, sizeof *m));
    m->p = step->params;
    *state = m;
    return OX_OK;
}

static ox_status mean_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                              struct oxr_shape *out, size_t *workspace) {
    struct mean *m = state;
    const int last = in->rank - 1;
    size_t total;
    (void)workspace;
    if (in->dtype != OX_FLOAT && in->dtype != OX_INT8) return bad_type(env, in, "mean");
    if (in->rank < 3 || !count_of(&total, in, 0, in->rank) || !count_of(&m->positions, in, 1, last))
        return bad_shape(env, "mean of rank %d", in->rank);
    *out = *in;
    for (int i = 1; i < last; i++)
        out->dims[i] = 1;
    m->dtype = in->dtype;
    m->batch = (size_t)in->dims[0];
    m->channels = (size_t)in->dims[last];
    if (m->positions == 0) return bad_shape(env, "mean of nothing");
    /* Sums of int8 stay in 32 bits. */
    if (m->positions > (1 << 23)) return bad_shape(env, "mean of %zu values", m->positions);
    if (m->dtype == OX_INT8 && ox_mul_size(workspace, m->batch * m->channels, sizeof(int32_t)))
        return bad_shape(env, "too many elements");
    return OX_OK;
}

struct mean_job {
    const struct mean *m;
    const void *in;
    void *out;
    int32_t *sums;
};

/* A range of channels of all samples: row by row, so that memory is read in its order. */
static void mean_float(void *arg, size_t begin, size_t end) {
    const struct mean_job *j = arg;
    const size_t c = j->m->channels, n = j->m->positions;
    const float part = 1 / (float)n;
    for (size_t b = 0; b < j->m->batch; b++) {
        const float *in = (const float *)j->in + b * n * c;
        float *out = (float *)j->out + b * c;
        for (size_t i = begin; i < end; i++)
            out[i] = 0;
        for (size_t p = 0; p < n; p++)
            for (size_t i = begin; i < end; i++)
                out[i] += in[p * c + i];
        for (size_t i = begin; i < end; i++)
            out[i] *= part;
    }
}

static void mean_int8(void *arg, size_t begin, size_t end) {
    const struct mean_job *j = arg;
    const size_t c = j->m->channels, n = j->m->positions;
    const double factor = (double)j->m->p->in.scale / (double)j->m->p->out.scale / (double)n;
    for (size_t b = 0; b < j->m->batch; b++) {
        const int8_t *in = (const int8_t *)j->in + b * n * c;
        int8_t *out = (int8_t *)j->out + b * c;
        int32_t *sum = j->sums + b * c;
        for (size_t i = begin; i < end; i++)
            sum[i] = 0;
        for (size_t p = 0; p < n; p++)
            for (size_t i = begin; i < end; i++)
                sum[i] += in[p * c + i];
        for (size_t i = begin; i < end; i++) {
            double v = nearbyint(((double)sum[i] - (double)n * j->m->p->in.zero) * factor) +
                       j->m->p->out.zero;
            out[i] = (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
        }
    }
}

static ox_status mean_run(void *state, const struct oxr_env *env, const void *const *in,
                          void *const *out, void *workspace) {
    struct mean *m = state;
    struct mean_job job = {m, in[0], out[0], workspace};
    size_t work = m->batch * m->positions;
    if (work)
        ox_parallel(env->ctx, m->channels, 64 + 32768 / work,
                    m->dtype == OX_FLOAT ? mean_float : mean_int8, &job);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_mean = {mean_create, mean_reshape, mean_run, plain_destroy, 0};

/* ---- table -------------------------------------------------------------------------------------
 */

struct table {
    const ox_tensor *entries;
    size_t count;
};

static ox_status table_create(void **state, const struct oxr_env *env, const struct ox_step *step) {
    struct table *t;
    OX_TRY(ox_alloc(env->ctx, &t, 1, sizeof *t));
    t->entries = step->consts[1];
    *state = t;
    return OX_OK;
}

static ox_status table_reshape(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                               struct oxr_shape *out, size_t *workspace) {
    struct table *t = state;
    (void)workspace;
    if (in->dtype != OX_INT8 && in->dtype != OX_UINT8) return bad_type(env, in, "table");
    if (!count_of(&t->count, in, 0, in->rank)) return bad_shape(env, "too many elements");
    *out = *in;
    out->dtype = t->entries->dtype;
    return OX_OK;
}

struct table_job {
    const unsigned char *in, *entries;
    unsigned char *out;
};

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
/* All 256 entries fit in four registers. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static size_t
look_up_vbmi(unsigned char *out, const unsigned char *in, const unsigned char *entries,
             size_t begin, size_t end) {
    const __m512i t0 = _mm512_loadu_si512(entries), t1 = _mm512_loadu_si512(entries + 64);
    const __m512i t2 = _mm512_loadu_si512(entries + 128), t3 = _mm512_loadu_si512(entries + 192);
    for (; begin + 64 <= end; begin += 64) {
        __m512i x = _mm512_loadu_si512(in + begin);
        __m512i low = _mm512_permutex2var_epi8(t0, x, t1),
                high = _mm512_permutex2var_epi8(t2, x, t3);
        _mm512_storeu_si512(out + begin, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
    }
    return begin;
}
static size_t look_up(unsigned char *out, const unsigned char *in, const unsigned char *entries,
                      size_t begin, size_t end) {
    return __builtin_cpu_supports("avx512vbmi") ? look_up_vbmi(out, in, entries, begin, end)
                                                : begin;
}
#else
static size_t look_up(unsigned char *out, const unsigned char *in, const unsigned char *entries,
                      size_t begin, size_t end) {
    (void)out, (void)in, (void)entries, (void)end;
    return begin;
}
#endif

static void table_range(void *arg, size_t begin, size_t end) {
    const struct table_job *j = arg;
    for (size_t i = look_up(j->out, j->in, j->entries, begin, end); i < end; i++)
        j->out[i] = j->entries[j->in[i]];
}

static ox_status table_run(void *state, const struct oxr_env *env, const void *const *in,
                           void *const *out, void *workspace) {
    struct table *t = state;
    struct table_job job = {in[0], t->entries->data, out[0]};
    (void)workspace;
    ox_parallel(env->ctx, t->count, 65536, table_range, &job);
    return OX_OK;
}

const struct oxr_kernel oxr_kernel_table = {table_create, table_reshape, table_run, plain_destroy,
                                            1};
