/* ir/ops/op_batch_norm.c - BatchNormalization, all versions. */
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_norm.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include <math.h>

/* Version 1 and 6 name the mode (is_test), 7 and 9 are in training mode when statistics are asked
 * for, 14 and later have an attribute again. */
ox_status ox_decode_batch_norm(const struct ox_call *call, void *params) {
    struct ox_batch_norm_params *p = params;
    int64_t spatial, is_test, training;
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", 1e-5f));
    OX_TRY(ox_attr_float(&p->momentum, call, "momentum", 0.9f));
    OX_TRY(ox_attr_int(&spatial, call, "spatial", 1));
    OX_TRY(ox_attr_int(&is_test, call, "is_test", 0));
    OX_TRY(ox_attr_int(&training, call, "training_mode", 0));
    bool statistics = false;
    for (size_t i = 1; i < call->n_out; i++)
        statistics = statistics || !call->wanted || call->wanted[i];
    p->spatial = call->opset >= 9 || spatial != 0;
    p->training = call->opset >= 14 ? training != 0 : call->opset >= 7 ? statistics : is_test == 0;
    if (call->opset >= 14 && call->n_out > 3)
        return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                       "BatchNormalization has %zu outputs, expected at most 3", call->n_out);
    return OX_OK;
}

/* Dim i of the statistics' shape for data of this type: the channels, or (not spatial) all but the
 * batch. */
static int statistics_rank(const struct ox_batch_norm_params *p, int rank) {
    return p->spatial || rank < 2 ? 1 : rank - 1;
}

ox_status ox_infer_batch_norm(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_batch_norm_params *p = params;
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_FLOATS));
        if (call->opset < 14)
            OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, ox_in_dtype(io, i)));
    }
    OX_TRY(ox_infer_same(io, 0, 0));
    for (size_t i = 1; i < call->n_out; i++)
        OX_TRY(ox_infer_same(io, i, i % 2 == 1 ? 3 : 4));
    int rank = ox_in_rank(io, 0);
    if (rank < 0) return OX_OK;
    if (rank == 0) return ox_bad_shape(call, "the data is a scalar");
    int own = statistics_rank(p, rank);
    for (size_t i = 1; i < 5; i++) {
        int r = ox_in_rank(io, i);
        if (r < 0) continue;
        if (r != own) return ox_bad_shape(call, "input %zu has rank %d, expected %d", i, r, own);
        for (int d = 0; d < own; d++) {
            ox_dim x = rank < 2 ? ox_dim_const(1) : io->in[0]->dims[d + 1], s = io->in[i]->dims[d];
            if (ox_dim_is_const(x) && ox_dim_is_const(s) && x.k != s.k)
                return ox_bad_shape(call, "input %zu is %s, the data %s", i,
                                    ox_sym_dims_text(own, io->in[i]->dims).text,
                                    ox_sym_dims_text(rank, io->in[0]->dims).text);
        }
    }
    return OX_OK;
}

struct job {
    ox_dtype dtype;
    const void *x;
    void *y;
    size_t batch, channels, plane;
    double *factor, *offset; /* of each channel: y = x * factor + offset */
    double *mean, *variance; /* of the batch */
};

#define FUNCTIONS(T)                                                                               \
    OX_CLONES static void scale_##T(T *y, const T *x, size_t n, T factor, T offset) {              \
        for (size_t i = 0; i < n; i++)                                                             \
            y[i] = x[i] * factor + offset;                                                         \
    }                                                                                              \
    static void planes_##T(void *arg, size_t begin, size_t end) {                                  \
        const struct job *j = arg;                                                                 \
        for (size_t p = begin; p < end; p++)                                                       \
            scale_##T((T *)j->y + p * j->plane, (const T *)j->x + p * j->plane, j->plane,          \
                      (T)j->factor[p % j->channels], (T)j->offset[p % j->channels]);               \
    }                                                                                              \
    static void statistics_##T(void *arg, size_t begin, size_t end) {                              \
        const struct job *j = arg;                                                                 \
        for (size_t c = begin; c < end; c++) {                                                     \
            double sum = 0, squares = 0, n = (double)j->batch * (double)j->plane;                  \
            for (size_t b = 0; b < j->batch; b++) {                                                \
                const T *x = (const T *)j->x + (b * j->channels + c) * j->plane;                   \
                for (size_t i = 0; i < j->plane; i++)                                              \
                    sum += (double)x[i];                                                           \
            }                                                                                      \
            j->mean[c] = sum / n;                                                                  \
            for (size_t b = 0; b < j->batch; b++) {                                                \
                const T *x = (const T *)j->x + (b * j->channels + c) * j->plane;                   \
                for (size_t i = 0; i < j->plane; i++)                                              \
                    squares += ((double)x[i] - j->mean[c]) * ((double)x[i] - j->mean[c]);          \
            }                                                                                      \
            j->variance[c] = squares / n;                                                          \
        }                                                                                          \
    }
FUNCTIONS(float)
FUNCTIONS(double)
#undef FUNCTIONS

static double value(const ox_tensor *t, size_t i) {
    return t->dtype == OX_FLOAT ? (double)((const float *)t->data)[i]
                                : ((const double *)t->data)[i];
}

static ox_status statistics_output(ox_tensor **out, ox_ctx *ctx, const ox_tensor *like,
                                   const double *values) {
    void *data;
    OX_TRY(ox_tensor_new_raw(out, &data, ctx, like->dtype, like->rank, like->dims));
    for (size_t i = 0; i < like->count; i++) {
        if (like->dtype == OX_FLOAT)
            ((float *)data)[i] = (float)values[i];
        else
            ((double *)data)[i] = values[i];
    }
    return OX_OK;
}

static bool wanted(const struct ox_call *call, size_t i) {
    return i < call->n_out && (!call->wanted || call->wanted[i]);
}

/* Running statistics after the batch. Without training they are what came in. */
static ox_status running(const struct ox_call *call, const struct ox_batch_norm_params *p,
                         const struct job *j, const ox_tensor *const *in, ox_tensor **out) {
    double *values;
    OX_TRY(ox_alloc_raw(call->ctx, &values, j->channels, sizeof *values));
    ox_status status = OX_OK;
    for (size_t o = 1; status == OX_OK && o < 5; o++) {
        if (!wanted(call, o)) continue;
        const ox_tensor *before = in[o % 2 == 1 ? 3 : 4];
        const double *batch = o % 2 == 1 ? j->mean : j->variance;
        for (size_t c = 0; c < j->channels; c++) {
            double old = value(before, c), momentum = (double)p->momentum;
            values[c] = !p->training ? old
                        : o > 2      ? batch[c] /* saved_mean, saved_var */
                                     : old * momentum + batch[c] * (1 - momentum);
        }
        status = statistics_output(&out[o], call->ctx, before, values);
    }
    ox_free(call->ctx, values);
    return status;
}

static ox_status check(const struct ox_call *call, const struct ox_batch_norm_params *p,
                       const ox_tensor *const *in) {
    const ox_tensor *x = in[0];
    if (x->rank == 0) return ox_bad_shape(call, "the data is a scalar");
    int own = statistics_rank(p, x->rank);
    int64_t one = 1;
    const int64_t *dims = x->rank < 2 ? &one : x->dims + 1;
    for (size_t i = 0; i < 5; i++) {
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, OX_FLOATS));
        if (i == 0 || (in[i]->rank == own && memcmp(in[i]->dims, dims, (size_t)own * 8) == 0))
            continue;
        return ox_bad_shape(call, "input %zu is %s, the data %s", i,
                            ox_dims_text(in[i]->rank, in[i]->dims).text,
                            ox_dims_text(x->rank, x->dims).text);
    }
    return OX_OK;
}

static ox_status run(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                     ox_tensor **out) {
    const struct ox_batch_norm_params *p = params;
    const ox_tensor *x = in[0];
    OX_TRY(check(call, p, in));
    struct job j = {
        .dtype = x->dtype, .x = x->data, .batch = (size_t)x->dims[0], .channels = in[1]->count};
    OX_TRY(ox_tensor_new_raw(&out[0], &j.y, call->ctx, x->dtype, x->rank, x->dims));
    j.plane = x->count ? x->count / (j.batch * j.channels) : 0;
    OX_TRY(ox_alloc(call->ctx, &j.factor, j.channels, 4 * sizeof *j.factor));
    j.offset = j.factor + j.channels;
    j.mean = j.offset + j.channels;
    j.variance = j.mean + j.channels;
    bool is_float = x->dtype == OX_FLOAT;
    if (p->training)
        ox_parallel(call->ctx, j.channels, 1 + 20000 / (j.batch * j.plane + 1),
                    is_float ? statistics_float : statistics_double, &j);
    for (size_t c = 0; c < j.channels; c++) {
        double mean = p->training ? j.mean[c] : value(in[3], c);
        double variance = p->training ? j.variance[c] : value(in[4], c);
        j.factor[c] = value(in[1], c) / sqrt(variance + (double)p->epsilon);
        j.offset[c] = value(in[2], c) - mean * j.factor[c];
    }
    if (j.plane > 0)
        ox_parallel(call->ctx, j.batch * j.channels, 1 + 20000 / j.plane,
                    is_float ? planes_float : planes_double, &j);
    ox_status status = running(call, p, &j, in, out);
    ox_free(call->ctx, j.factor);
    return status;
}

ox_status ox_eval_batch_norm(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    bool narrow = ox_is_narrow(in[0]->dtype);
    OX_TRY(ox_eval_wide(run, call, params, in, out, narrow));
    for (size_t o = 1; o < call->n_out; o++) { /* statistics have a type of their own */
        ox_tensor *rounded;
        ox_dtype dtype = in[o % 2 == 1 ? 3 : 4]->dtype;
        if (!out[o] || !ox_is_narrow(dtype)) continue;
        OX_TRY(ox_tensor_to(&rounded, call->ctx, out[o], dtype));
        ox_tensor_unref(out[o]);
        out[o] = rounded;
    }
    return OX_OK;
}
