/* ir/ops/op_loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 * Input 0 has a score for each class along dim 1, input 1 the class of each position (dim 1 left
 * out), input 2 weights of the classes. The mean is over the weights of the labels that count. */
#include "ir/ops/op_args.h"
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"
#include <math.h>

ox_status ox_decode_loss(const struct ox_call *call, void *params) {
    static const char *const words[] = {"mean", "sum", "none", NULL};
    struct ox_loss_params *p = params;
    int reduction;
    OX_TRY(ox_attr_choice(&reduction, call, "reduction", words, OX_LOSS_MEAN));
    p->reduction = (enum ox_loss_reduction)reduction;
    p->ignores = ox_attr_find(call, "ignore_index") != NULL;
    return ox_attr_int(&p->ignored, call, "ignore_index", 0);
}

ox_status ox_infer_loss(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_loss_params *p = params;
    ox_dim dims[OX_MAX_RANK];
    ox_dtype dtype = ox_in_dtype(io, 0);
    int rank = ox_in_rank(io, 0), labels = ox_in_rank(io, 1), n = 0;
    OX_TRY(ox_expect_dtype(call, 0, dtype, OX_FLOATS));
    OX_TRY(ox_expect_index(call, 1, ox_in_dtype(io, 1)));
    if (call->n_in > 2) OX_TRY(ox_expect_dtype(call, 2, ox_in_dtype(io, 2), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, rank, 2, -1));
    if (rank >= 0 && labels >= 0 && labels != rank - 1)
        return ox_bad_shape(call, "scores of rank %d and labels of rank %d", rank, labels);
    if (call->n_out > 1) OX_TRY(ox_infer_same(io, 1, 0));
    if (p->reduction != OX_LOSS_NONE) return ox_infer_tensor(io, 0, dtype, 0, NULL);
    for (int i = 0; rank >= 0 && i < rank; i++) {
        if (i == 1) continue;
        dims[n] = io->in[0]->dims[i];
        if (labels >= 0) OX_TRY(ox_dim_unify(&dims[n], call, io->in[1]->dims[n]));
        n++;
    }
    return ox_infer_tensor(io, 0, dtype, rank < 0 ? -1 : n, dims);
}

struct loss {
    const double *scores, *weights; /* weights may be NULL */
    const ox_tensor *labels;
    size_t batch, classes, inner;
};

static ox_status check_shapes(struct loss *l, const struct ox_call *call,
                              const ox_tensor *const *in) {
    const ox_tensor *x = in[0], *labels = in[1], *w = call->n_in > 2 ? in[2] : NULL;
    OX_TRY(ox_expect_index(call, 1, labels->dtype));
    if (w)
        OX_TRY(
            ox_expect_dtype(call, 2, w->dtype,
                            OX_FLOATS)); /* doubles by now: any other type came through as it was */
    bool fits = x->rank >= 2 && labels->rank == x->rank - 1;
    for (int i = 0; fits && i < labels->rank; i++)
        fits = labels->dims[i] == x->dims[i ? i + 1 : 0];
    if (!fits)
        return ox_bad_shape(call, "scores %s and labels %s", ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(labels->rank, labels->dims).text);
    if (w && (w->rank != 1 || w->dims[0] != x->dims[1]))
        return ox_bad_shape(call, "weights %s for %lld classes",
                            ox_dims_text(w->rank, w->dims).text, (long long)x->dims[1]);
    *l = (struct loss){.scores = x->data,
                       .weights = w ? w->data : NULL,
                       .labels = labels,
                       .classes = (size_t)x->dims[1]};
    l->batch = (size_t)x->dims[0];
    l->inner = l->batch ? labels->count / l->batch : 0;
    return OX_OK;
}

/* Losses of all labels (into `each`, or summed), from log probabilities in the layout of the
 * scores. */
static ox_status lose(const struct loss *l, const struct ox_call *call,
                      const struct ox_loss_params *p, const double *logs, double *each,
                      double *total, double *weight) {
    *total = *weight = 0;
    for (size_t i = 0; i < l->labels->count; i++) {
        int64_t label = ox_tensor_int(l->labels, i);
        double w = 0, v = 0;
        if (!p->ignores || label != p->ignored) {
            if (label < 0 || (uint64_t)label >= l->classes)
                return ox_bad_shape(call, "label %lld where there are %zu classes",
                                    (long long)label, l->classes);
            w = l->weights ? l->weights[label] : 1;
            v = -logs[(i / l->inner * l->classes + (size_t)label) * l->inner + i % l->inner] * w;
        }
        if (each) each[i] = v;
        *total += v;
        *weight += w;
    }
    return OX_OK;
}

static ox_status reduce(const struct loss *l, const struct ox_call *call,
                        const struct ox_loss_params *p, const double *logs, ox_tensor **out) {
    double *data, total, weight;
    bool each = p->reduction == OX_LOSS_NONE;
    OX_TRY(ox_new_doubles(&data, call, out, 0, each ? l->labels->rank : 0, l->labels->dims));
    OX_TRY(lose(l, call, p, logs, each ? data : NULL, &total, &weight));
    if (p->reduction == OX_LOSS_SUM) data[0] = total;
    if (p->reduction == OX_LOSS_MEAN) data[0] = total / weight;
    return OX_OK;
}

static ox_status nll(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                     ox_tensor **out) {
    struct loss l;
    OX_TRY(check_shapes(&l, call, in));
    return reduce(&l, call, params, l.scores, out);
}

ox_status ox_eval_nll_loss(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    return ox_eval_doubles(nll, call, params, in, out, 1, in[0]->dtype);
}

static void log_softmax(double *to, const struct loss *l) {
    for (size_t b = 0; b < l->batch; b++)
        for (size_t k = 0; k < l->inner; k++) {
            const double *x = l->scores + b * l->classes * l->inner + k;
            double *y = to + b * l->classes * l->inner + k, most = -INFINITY, sum = 0;
            for (size_t c = 0; c < l->classes; c++)
                if (x[c * l->inner] > most) most = x[c * l->inner];
            for (size_t c = 0; c < l->classes; c++)
                sum += exp(x[c * l->inner] - most);
            for (size_t c = 0; c < l->classes; c++)
                y[c * l->inner] = x[c * l->inner] - most - log(sum);
        }
}

static ox_status cross_entropy(const struct ox_call *call, const void *params,
                               const ox_tensor *const *in, ox_tensor **out) {
    struct loss l;
    ox_tensor *logs;
    void *data;
    OX_TRY(check_shapes(&l, call, in));
    OX_TRY(ox_tensor_new(&logs, &data, call->ctx, OX_DOUBLE, in[0]->rank, in[0]->dims));
    log_softmax(data, &l);
    ox_status s = reduce(&l, call, params, data, out);
    if (s == OX_OK && call->n_out > 1 && (!call->wanted || call->wanted[1]))
        out[1] = ox_tensor_ref(logs);
    ox_tensor_unref(logs);
    return s;
}

ox_status ox_eval_cross_entropy(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    return ox_eval_doubles(cross_entropy, call, params, in, out, 3, in[0]->dtype);
}
