/* ir/ops/op_pool_eval.c - kernels of pools.
 *
 * A row of outputs is computed at once, tap by tap, so that loops run along the row. Taps are
 * clipped to the data first: what a kernel costs is bounded by the data, whatever its attributes
 * say. */
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_pool.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include <float.h>
#include <math.h>

struct pool {
    enum ox_pool_kind kind;
    const struct ox_window *window;
    bool column_major, include_pad;
    float p;
    const void *x;
    void *y;
    int64_t *indices; /* or NULL */
    double *counts;   /* AveragePool: cells along the last dim, an output column */
    size_t planes, in_plane, out_plane;
    int rank;
    int64_t in[OX_WINDOW_MAX], out[OX_WINDOW_MAX], begin[OX_WINDOW_MAX], end[OX_WINDOW_MAX];
};

static inline double lp_term(double x, float p) {
    return p == 2 ? x * x : p == 1 ? fabs(x) : pow(fabs(x), (double)p);
}

static inline double lp_root(double sum, float p) {
    return p == 2 ? sqrt(sum) : p == 1 ? sum : pow(sum, 1 / (double)p);
}

/* Cells along dim d that the window at output position i averages over. */
static int64_t window_count(const struct pool *v, int d, int64_t i) {
    int64_t pos = i * v->window->strides[d] - v->begin[d], first, end;
    ox_window_clip(pos, v->window->dilations[d], v->window->kernel[d],
                   v->in[d] + (v->include_pad ? v->end[d] : 0), &first, &end);
    return v->include_pad ? end : end - first;
}

#define T float
#define N(name) name##_f32
#define LOWEST (-INFINITY)
#include "ir/ops/pool_body.inc"
#undef T
#undef N
#undef LOWEST
#define T double
#define N(name) name##_f64
#define LOWEST ((double)-INFINITY)
#include "ir/ops/pool_body.inc"
#undef T
#undef N
#undef LOWEST
#define T int8_t
#define N(name) name##_i8
#define LOWEST INT8_MIN
#include "ir/ops/pool_body.inc"
#undef T
#undef N
#undef LOWEST
#define T uint8_t
#define N(name) name##_u8
#define LOWEST 0
#include "ir/ops/pool_body.inc"
#undef T
#undef N
#undef LOWEST

static ox_status set_up(struct pool *v, const struct ox_call *call, const struct ox_pool_params *p,
                        const ox_tensor *x, ox_tensor **out) {
    *v = (struct pool){.kind = *(const enum ox_pool_kind *)call->op->family,
                       .window = &p->window,
                       .column_major = p->column_major,
                       .include_pad = p->count_include_pad,
                       .p = p->p,
                       .x = ox_elements(x),
                       .rank = p->window.rank,
                       .planes = 1,
                       .in_plane = 1,
                       .out_plane = 1};
    if (x->rank != v->rank + 2)
        return ox_bad_shape(call, "data %s with a kernel of %d dims",
                            ox_dims_text(x->rank, x->dims).text, v->rank);
    int64_t dims[OX_WINDOW_MAX + 2] = {x->dims[0], x->dims[1]};
    for (int i = 0; i < v->rank; i++)
        v->in[i] = x->dims[i + 2];
    OX_TRY(ox_window_resolve(&p->window, call, v->in, v->out, v->begin));
    for (int i = 0; i < v->rank; i++) {
        const struct ox_window *w = &p->window;
        int64_t span = (w->kernel[i] - 1) * w->dilations[i] + 1;
        int64_t total = v->out[i] > 0 ? (v->out[i] - 1) * w->strides[i] + span - v->in[i] : 0;
        bool same = w->auto_pad == OX_PAD_SAME_UPPER || w->auto_pad == OX_PAD_SAME_LOWER;
        v->end[i] = same ? (total > v->begin[i] ? total - v->begin[i] : 0) : w->end[i];
        dims[i + 2] = v->out[i];
    }
    OX_TRY(ox_tensor_new_raw(&out[0], &v->y, call->ctx, x->dtype, x->rank, dims));
    if (call->n_out > 1 && (!call->wanted || call->wanted[1])) {
        void *indices;
        OX_TRY(ox_tensor_new_raw(&out[1], &indices, call->ctx, OX_INT64, x->rank, dims));
        v->indices = indices;
    }
    v->planes = (size_t)x->dims[0] * (size_t)x->dims[1];
    for (int i = 0; i < v->rank; i++) {
        v->in_plane *= (size_t)v->in[i];
        v->out_plane *= (size_t)v->out[i];
    }
    return OX_OK;
}

ox_status ox_eval_pool(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    const ox_tensor *x = in[0];
    if (ox_is_narrow(x->dtype)) return ox_eval_wide(ox_eval_pool, call, params, in, out, 1);
    ox_dtypes bytes = OX_BIT(OX_INT8) | OX_BIT(OX_UINT8);
    bool is_max = *(const enum ox_pool_kind *)call->op->family == OX_POOL_MAX;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS | (is_max ? bytes : 0)));
    struct pool v;
    OX_TRY(set_up(&v, call, params, x, out));
    if (out[0]->count == 0) return OX_OK;
    size_t width = (size_t)v.out[v.rank - 1];
    if (v.kind == OX_POOL_AVERAGE) {
        OX_TRY(ox_alloc_raw(call->ctx, &v.counts, width, sizeof *v.counts));
        for (size_t i = 0; i < width; i++)
            v.counts[i] = (double)window_count(&v, v.rank - 1, (int64_t)i);
    }
    ox_range_fn fn = x->dtype == OX_FLOAT    ? planes_f32
                     : x->dtype == OX_DOUBLE ? planes_f64
                     : x->dtype == OX_INT8   ? planes_i8
                                             : planes_u8;
    ox_parallel(call->ctx, v.planes, 1 + 4000 / v.out_plane, fn, &v);
    ox_free(call->ctx, v.counts);
    return OX_OK;
}

/* ---- global ---------------------------------------------------------------------------------- */

struct global {
    enum ox_pool_kind kind;
    float p;
    ox_dtype dtype;
    const void *x;
    void *y;
    size_t n; /* elements of a plane */
};

enum { LANES = 16 };

/* Sums have a fixed order: 16 lanes, then their sum. 64-bit sums, for planes may be large. */
#define GLOBAL_FN(T)                                                                               \
    OX_CLONES static double global_##T(const T *x, size_t n, enum ox_pool_kind kind, float p) {    \
        double lanes[LANES], sum = 0;                                                              \
        size_t whole = n / LANES * LANES;                                                          \
        for (int l = 0; l < LANES; l++)                                                            \
            lanes[l] = kind == OX_POOL_MAX ? (double)-INFINITY : 0;                                \
        for (size_t i = 0; i < whole; i += LANES) {                                                \
            if (kind == OX_POOL_MAX) {                                                             \
                for (size_t l = 0; l < LANES; l++)                                                 \
                    lanes[l] = (double)x[i + l] > lanes[l] ? (double)x[i + l] : lanes[l];          \
            } else if (kind == OX_POOL_AVERAGE) {                                                  \
                for (size_t l = 0; l < LANES; l++)                                                 \
                    lanes[l] += (double)x[i + l];                                                  \
            } else {                                                                               \
                for (size_t l = 0; l < LANES; l++)                                                 \
                    lanes[l] += lp_term((double)x[i + l], p);                                      \
            }                                                                                      \
        }                                                                                          \
        for (size_t i = whole; i < n; i++) {                                                       \
            double v = (double)x[i], *lane = &lanes[i - whole];                                    \
            *lane = kind == OX_POOL_MAX       ? (v > *lane ? v : *lane)                            \
                    : kind == OX_POOL_AVERAGE ? *lane + v                                          \
                                              : *lane + lp_term(v, p);                             \
        }                                                                                          \
        if (kind == OX_POOL_MAX) sum = lanes[0];                                                   \
        for (int l = 0; l < LANES; l++)                                                            \
            sum = kind != OX_POOL_MAX ? sum + lanes[l] : lanes[l] > sum ? lanes[l] : sum;          \
        if (kind == OX_POOL_AVERAGE) sum /= (double)n;                                             \
        return kind == OX_POOL_LP ? lp_root(sum, p) : sum;                                         \
    }
GLOBAL_FN(float)
GLOBAL_FN(double)

static void global_planes(void *arg, size_t begin, size_t end) {
    const struct global *g = arg;
    for (size_t i = begin; i < end; i++) {
        if (g->dtype == OX_FLOAT)
            ((float *)g->y)[i] =
                (float)global_float((const float *)g->x + i * g->n, g->n, g->kind, g->p);
        else
            ((double *)g->y)[i] =
                global_double((const double *)g->x + i * g->n, g->n, g->kind, g->p);
    }
}

ox_status ox_eval_global_pool(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_global_pool_params *p = params;
    const ox_tensor *x = in[0];
    if (ox_is_narrow(x->dtype)) return ox_eval_wide(ox_eval_global_pool, call, params, in, out, 1);
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    if (x->rank < 3)
        return ox_bad_shape(call, "%s needs spatial dims, the data is %s", call->op->name,
                            ox_dims_text(x->rank, x->dims).text);
    int64_t dims[OX_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < 2 ? x->dims[i] : 1;
    struct global g = {.kind = *(const enum ox_pool_kind *)call->op->family,
                       .p = p->p,
                       .dtype = x->dtype,
                       .x = ox_elements(x)};
    OX_TRY(ox_tensor_new_raw(&out[0], &g.y, call->ctx, x->dtype, x->rank, dims));
    if (out[0]->count == 0) return OX_OK;
    g.n = x->count / out[0]->count;
    ox_parallel(call->ctx, out[0]->count, 1 + 20000 / (g.n + 1), global_planes, &g);
    return OX_OK;
}
