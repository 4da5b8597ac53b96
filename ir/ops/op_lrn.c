/* ir/ops/op_lrn.c - LRN, LpNormalization, MeanVarianceNormalization. */
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_norm.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

/* All three keep type and shape. */
static ox_status infer_like(const struct ox_call *call, struct ox_infer *io) {
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    return ox_infer_same(io, 0, 0);
}

/* ---- local response -------------------------------------------------------------------------- */

ox_status ox_decode_lrn(const struct ox_call *call, void *params) {
    struct ox_lrn_params *p = params;
    OX_TRY(ox_attr_float(&p->alpha, call, "alpha", 1e-4f));
    OX_TRY(ox_attr_float(&p->beta, call, "beta", 0.75f));
    OX_TRY(ox_attr_float(&p->bias, call, "bias", 1));
    OX_TRY(ox_attr_int(&p->size, call, "size", 0));
    if (p->size < 1) return ox_bad_attr(call, "size is %lld", (long long)p->size);
    return OX_OK;
}

ox_status ox_infer_lrn(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    if (ox_in_rank(io, 0) >= 0 && ox_in_rank(io, 0) < 2)
        return ox_bad_shape(call, "the data has rank %d", ox_in_rank(io, 0));
    return infer_like(call, io);
}

struct lrn {
    const struct ox_lrn_params *p;
    const void *x;
    void *y;
    size_t channels, plane;
};

#define LRN_FN(T)                                                                                  \
    OX_CLONES static void add_squares_##T(T *y, const T *x, size_t n) {                            \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] += x[i] * x[i];                                                                   \
    }                                                                                              \
    static void lrn_##T(void *arg, size_t begin, size_t end) {                                     \
        const struct lrn *l = arg;                                                                 \
        size_t behind = (size_t)(l->p->size / 2), before = (size_t)((l->p->size - 1) / 2);         \
        for (size_t p = begin; p < end; p++) {                                                     \
            size_t c = p % l->channels, first = c > before ? c - before : 0;                       \
            size_t last = behind < l->channels - c ? c + behind : l->channels - 1;                 \
            const T *x = (const T *)l->x + p * l->plane;                                           \
            T *y = (T *)l->y + p * l->plane; /* zeros */                                           \
            for (size_t k = first; k <= last; k++)                                                 \
                add_squares_##T(y, (const T *)l->x + (p - c + k) * l->plane, l->plane);            \
            T factor = (T)l->p->alpha / (T)l->p->size;                                             \
            for (size_t i = 0; i < l->plane; i++)                                                  \
                y[i] = x[i] / (T)pow((double)((T)l->p->bias + factor * y[i]), (double)l->p->beta); \
        }                                                                                          \
    }
LRN_FN(float)
LRN_FN(double)
#undef LRN_FN

ox_status ox_eval_lrn(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    const ox_tensor *x = in[0];
    if (ox_is_narrow(x->dtype)) return ox_eval_wide(ox_eval_lrn, call, params, in, out, 1);
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    if (x->rank < 2) return ox_bad_shape(call, "the data has rank %d", x->rank);
    struct lrn l = {.p = params, .x = x->data, .channels = (size_t)x->dims[1]};
    OX_TRY(ox_tensor_new(&out[0], &l.y, call->ctx, x->dtype, x->rank, x->dims));
    if (x->count == 0) return OX_OK;
    size_t planes = (size_t)x->dims[0] * l.channels;
    l.plane = x->count / planes;
    ox_parallel(call->ctx, planes, 1 + 1000 / l.plane,
                x->dtype == OX_FLOAT ? lrn_float : lrn_double, &l);
    return OX_OK;
}

/* ---- Lp -------------------------------------------------------------------------------------- */

ox_status ox_decode_lp_norm(const struct ox_call *call, void *params) {
    struct ox_lp_norm_params *p = params;
    int64_t order;
    OX_TRY(ox_attr_int(&p->axis, call, "axis", -1));
    OX_TRY(ox_attr_int(&order, call, "p", 2));
    if (order != 1 && order != 2) return ox_bad_attr(call, "p is %lld", (long long)order);
    p->p = (int)order;
    return OX_OK;
}

ox_status ox_infer_lp_norm(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_lp_norm_params *p = params;
    int axis;
    if (ox_in_rank(io, 0) >= 0) OX_TRY(ox_axis(&axis, call, "axis", p->axis, ox_in_rank(io, 0)));
    return infer_like(call, io);
}

struct lp {
    int p;
    const void *x;
    void *y;
    size_t n, inner;
};

#define LP_FN(T)                                                                                   \
    static void lp_##T(void *arg, size_t begin, size_t end) {                                      \
        const struct lp *l = arg;                                                                  \
        for (size_t r = begin; r < end; r++) {                                                     \
            size_t at = r / l->inner * l->n * l->inner + r % l->inner;                             \
            const T *x = (const T *)l->x + at;                                                     \
            T *y = (T *)l->y + at;                                                                 \
            double sum = 0;                                                                        \
            for (size_t i = 0; i < l->n; i++) {                                                    \
                double v = (double)x[i * l->inner];                                                \
                sum += l->p == 1 ? fabs(v) : v * v;                                                \
            }                                                                                      \
            if (l->p == 2) sum = sqrt(sum);                                                        \
            for (size_t i = 0; i < l->n; i++) /* a norm of 0 gives zeros */                        \
                y[i * l->inner] = sum == 0 ? 0 : (T)((double)x[i * l->inner] / sum);               \
        }                                                                                          \
    }
LP_FN(float)
LP_FN(double)
#undef LP_FN

ox_status ox_eval_lp_norm(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_lp_norm_params *p = params;
    const ox_tensor *x = in[0];
    if (ox_is_narrow(x->dtype)) return ox_eval_wide(ox_eval_lp_norm, call, params, in, out, 1);
    int axis;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, x->rank));
    struct lp l = {.p = p->p, .x = x->data, .n = (size_t)x->dims[axis], .inner = 1};
    OX_TRY(ox_tensor_new_raw(&out[0], &l.y, call->ctx, x->dtype, x->rank, x->dims));
    if (x->count == 0) return OX_OK;
    for (int d = axis + 1; d < x->rank; d++)
        l.inner *= (size_t)x->dims[d];
    ox_parallel(call->ctx, x->count / l.n, 1 + 10000 / l.n,
                x->dtype == OX_FLOAT ? lp_float : lp_double, &l);
    return OX_OK;
}

/* ---- mean and variance ----------------------------------------------------------------------- */

ox_status ox_decode_mean_variance_norm(const struct ox_call *call, void *params) {
    struct ox_mean_variance_norm_params *p = params;
    OX_TRY(ox_attr_ints(&p->axes, &p->n_axes, call, "axes"));
    if (p->n_axes == SIZE_MAX) p->axes = NULL;
    if (p->axes && p->n_axes > OX_MAX_RANK)
        return ox_bad_attr(call, "axes has %zu values", p->n_axes);
    return OX_OK;
}

/* Which dims are averaged over. */
static ox_status mark_axes(bool *reduced, const struct ox_call *call,
                           const struct ox_mean_variance_norm_params *p, int rank) {
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes = p->axes ? p->axes : usual;
    size_t n = p->axes ? p->n_axes : 3;
    for (int d = 0; d < rank; d++)
        reduced[d] = false;
    for (size_t i = 0; i < n; i++) {
        int axis;
        OX_TRY(ox_axis(&axis, call, "axes", axes[i], rank));
        reduced[axis] = true;
    }
    return OX_OK;
}

ox_status ox_infer_mean_variance_norm(const struct ox_call *call, const void *params,
                                      struct ox_infer *io) {
    bool reduced[OX_MAX_RANK];
    if (ox_in_rank(io, 0) >= 0) OX_TRY(mark_axes(reduced, call, params, ox_in_rank(io, 0)));
    return infer_like(call, io);
}

/* Goes through all elements; kept[i] is the number of the mean that element belongs to. */
struct walk {
    const ox_tensor *x;
    size_t stride[OX_MAX_RANK]; /* within the means; 0 along averaged dims */
    int64_t at[OX_MAX_RANK];
    size_t mean;
};

static void step(struct walk *w) {
    for (int d = w->x->rank - 1; d >= 0; d--) {
        w->mean += w->stride[d];
        if (++w->at[d] < w->x->dims[d]) return;
        w->mean -= w->stride[d] * (size_t)w->at[d];
        w->at[d] = 0;
    }
}

static double element(const ox_tensor *x, size_t i) {
    return x->dtype == OX_FLOAT ? (double)((const float *)x->data)[i]
                                : ((const double *)x->data)[i];
}

ox_status ox_eval_mean_variance_norm(const struct ox_call *call, const void *params,
                                     const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *x = in[0];
    if (ox_is_narrow(x->dtype))
        return ox_eval_wide(ox_eval_mean_variance_norm, call, params, in, out, 1);
    bool reduced[OX_MAX_RANK];
    void *y;
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, OX_FLOATS));
    OX_TRY(mark_axes(reduced, call, params, x->rank));
    OX_TRY(ox_tensor_new_raw(&out[0], &y, call->ctx, x->dtype, x->rank, x->dims));
    if (x->count == 0) return OX_OK;
    struct walk w = {.x = x};
    size_t means = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        w.stride[d] = reduced[d] ? 0 : means;
        if (!reduced[d]) means *= (size_t)x->dims[d];
    }
    double *mean, *deviation, n = (double)x->count / (double)means;
    OX_TRY(ox_alloc(call->ctx, &mean, means, 2 * sizeof *mean));
    deviation = mean + means;
    for (size_t i = 0; i < x->count; i++, step(&w))
        mean[w.mean] += element(x, i);
    for (size_t m = 0; m < means; m++)
        mean[m] /= n;
    for (size_t i = 0; i < x->count; i++, step(&w)) {
        double away = element(x, i) - mean[w.mean];
        deviation[w.mean] += away * away;
    }
    for (size_t m = 0; m < means; m++)
        deviation[m] = sqrt(deviation[m] / n) + 1e-9; /* the standard's function body adds this */
    for (size_t i = 0; i < x->count; i++, step(&w)) {
        double v = (element(x, i) - mean[w.mean]) / deviation[w.mean];
        if (x->dtype == OX_FLOAT)
            ((float *)y)[i] = (float)v;
        else
            ((double *)y)[i] = v;
    }
    ox_free(call->ctx, mean);
    return OX_OK;
}
