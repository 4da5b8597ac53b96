/* ir/ops/op_ml_svm.c - SVMClassifier and SVMRegressor, as libsvm writes its models.
 *
 * With support vectors, a classifier compares each pair of classes: coefficients are [classes - 1,
 * vectors], where the row of a vector's own class is left out; each pair's winner gets a vote.
 * Probabilities come from pairs by the second method of Wu, Lin and Weng (2004). Without support
 * vectors the model is linear: one row of coefficients a class. */
#include "ir/ops/key_map.h"
#include "ir/ops/ml_scores.h"
#include "ir/ops/op_priv.h"

#include <math.h>

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status floats_of(const float **floats, size_t *n, const struct ox_call *call,
                           const char *name) {
    OX_TRY(ox_attr_floats(floats, n, call, name));
    if (*n == SIZE_MAX) *n = 0;
    return OX_OK;
}

static ox_status decode_svm(struct ox_svm_params *p, const struct ox_call *call) {
    static const char *const kernels[] = {"LINEAR", "POLY", "RBF", "SIGMOID", NULL};
    const float *params;
    size_t n;
    int kernel;
    OX_TRY(ox_attr_choice(&kernel, call, "kernel_type", kernels, OX_KERNEL_LINEAR));
    OX_TRY(floats_of(&params, &n, call, "kernel_params"));
    OX_TRY(floats_of(&p->coefficients, &p->n_coefficients, call, "coefficients"));
    OX_TRY(floats_of(&p->vectors, &p->n_vectors, call, "support_vectors"));
    OX_TRY(floats_of(&p->rho, &p->n_rho, call, "rho"));
    p->kernel = (enum ox_kernel)kernel;
    if (n != 0 && n < 3)
        return ox_bad_attr(call, "kernel_params has %zu entries, expected gamma, coef0 and degree",
                           n);
    if (n)
        p->gamma = (double)params[0], p->coef0 = (double)params[1], p->degree = (double)params[2];
    if (p->n_coefficients == 0) return ox_bad_attr(call, "attribute 'coefficients' is missing");
    if (p->n_rho == 0) return ox_bad_attr(call, "attribute 'rho' is missing");
    return ox_post_attr(&p->post, call);
}

static ox_status check_vectors(const struct ox_svm_params *p, const struct ox_call *call,
                               size_t coefficients, size_t rho) {
    if (p->n_vectors % p->rows || p->n_vectors == 0)
        return ox_bad_attr(call, "%zu numbers for %zu support vectors", p->n_vectors, p->rows);
    if (p->n_coefficients < coefficients)
        return ox_bad_attr(call, "%zu coefficients, expected %zu", p->n_coefficients, coefficients);
    if (p->n_rho < rho) return ox_bad_attr(call, "%zu values of rho, expected %zu", p->n_rho, rho);
    return OX_OK;
}

ox_status ox_decode_svm_regressor(const struct ox_call *call, void *params) {
    struct ox_svm_params *p = params;
    int64_t rows, one;
    OX_TRY(decode_svm(p, call));
    OX_TRY(ox_attr_int(&rows, call, "n_supports", 0));
    OX_TRY(ox_attr_int(&one, call, "one_class", 0));
    if (rows < 0) return ox_bad_attr(call, "n_supports is %lld", (long long)rows);
    p->rows = (size_t)rows;
    p->one_class = one != 0;
    return rows ? check_vectors(p, call, p->rows, 1) : OX_OK;
}

ox_status ox_decode_svm_classifier(const struct ox_call *call, void *params) {
    struct ox_svm_params *p = params;
    size_t n_classes, n_b, pairs, expected;
    OX_TRY(decode_svm(p, call));
    OX_TRY(ox_ml_list_attr(&p->labels, call, "classlabels_ints", "classlabels_strings"));
    OX_TRY(floats_of(&p->prob_a, &p->n_prob, call, "prob_a"));
    OX_TRY(floats_of(&p->prob_b, &n_b, call, "prob_b"));
    OX_TRY(ox_attr_ints(&p->per_class, &n_classes, call, "vectors_per_class"));
    if (n_classes == SIZE_MAX) n_classes = 0;
    size_t n = p->labels.n;
    if (n == 0 || n > 65535) return ox_bad_attr(call, "%zu class labels", n);
    for (size_t i = 0; i < n_classes; i++) {
        if (p->per_class[i] < 0 || (uint64_t)p->per_class[i] > p->n_vectors)
            return ox_bad_attr(call, "vectors_per_class[%zu] is %lld", i,
                               (long long)p->per_class[i]);
        p->rows += (size_t)p->per_class[i];
    }
    if (p->rows == 0)
        return p->n_coefficients % n
                   ? ox_bad_attr(call, "%zu coefficients for %zu classes", p->n_coefficients, n)
                   : OX_OK;
    if (n_classes != n || n < 2)
        return ox_bad_attr(call, "vectors_per_class has %zu entries for %zu classes", n_classes, n);
    pairs = n * (n - 1) / 2;
    if (ox_mul_size(&expected, n - 1, p->rows)) return ox_bad_attr(call, "too many coefficients");
    if (p->n_prob != n_b || (p->n_prob && p->n_prob < pairs))
        return ox_bad_attr(call, "prob_a has %zu entries and prob_b %zu, expected %zu", p->n_prob,
                           n_b, pairs);
    return check_vectors(p, call, expected, pairs);
}

/* ---- infer ----------------------------------------------------------------------------------- */

static size_t pairs_of(const struct ox_svm_params *p) {
    return p->labels.n * (p->labels.n - 1) / 2;
}

/* Scores of a row: one a class, or one a pair of more than two classes. */
static size_t scores_of(const struct ox_svm_params *p) {
    return p->rows && !p->n_prob && p->labels.n > 2 ? pairs_of(p) : p->labels.n;
}

ox_status ox_infer_svm_classifier(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    const struct ox_svm_params *p = params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS));
    OX_TRY(ox_ml_infer_rows(call, io, 0, p->labels.dtype, -1));
    return ox_ml_infer_rows(call, io, 1, OX_FLOAT, (int64_t)scores_of(p));
}

ox_status ox_infer_svm_regressor(const struct ox_call *call, const void *params,
                                 struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS));
    return ox_ml_infer_rows(call, io, 0, OX_FLOAT, 1);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static double kernel(const struct ox_svm_params *p, enum ox_kernel kind, const double *x,
                     const float *v, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - (double)v[i];
        sum += kind == OX_KERNEL_RBF ? d * d : x[i] * (double)v[i];
    }
    switch (kind) {
    case OX_KERNEL_POLY:
        return pow(p->gamma * sum + p->coef0, p->degree);
    case OX_KERNEL_RBF:
        return exp(-p->gamma * sum);
    case OX_KERNEL_SIGMOID:
        return tanh(p->gamma * sum + p->coef0);
    default:
        return sum;
    }
}

struct svm {
    const struct ox_svm_params *p;
    struct ox_ml_rows rows;
    size_t vectors; /* rows of `from` */
    const float *from;
    enum ox_kernel kind;
    double *kernels; /* [rows, vectors] */
};

static void compute_kernels(void *arg, size_t begin, size_t end) {
    const struct svm *m = arg;
    for (size_t row = begin; row < end; row++)
        for (size_t v = 0; v < m->vectors; v++)
            m->kernels[row * m->vectors + v] =
                kernel(m->p, m->kind, m->rows.data + row * m->rows.width,
                       m->from + v * m->rows.width, m->rows.width);
}

/* Kernels of all rows with all support vectors, or dot products with each row of coefficients. */
static ox_status open_svm(struct svm *m, const struct ox_call *call, const struct ox_svm_params *p,
                          const ox_tensor *x, size_t linear_rows) {
    size_t n, numbers = p->rows ? p->n_vectors : p->n_coefficients;
    m->p = p;
    m->vectors = p->rows ? p->rows : linear_rows;
    m->from = p->rows ? p->vectors : p->coefficients;
    m->kind = p->rows ? p->kernel : OX_KERNEL_LINEAR;
    OX_TRY(ox_ml_rows_open(&m->rows, call, x));
    if (m->rows.width != numbers / m->vectors)
        return ox_bad_shape(call, "rows of %zu numbers, the model is for %zu", m->rows.width,
                            numbers / m->vectors);
    if (ox_mul_size(&n, m->rows.n, m->vectors)) return ox_bad_shape(call, "too many rows");
    OX_TRY(ox_alloc(call->ctx, &m->kernels, n, sizeof *m->kernels));
    ox_parallel(call->ctx, m->rows.n, 65536 / numbers + 1, compute_kernels, m);
    return OX_OK;
}

/* ---- SVMRegressor ---------------------------------------------------------------------------- */

ox_status ox_eval_svm_regressor(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_svm_params *p = params;
    struct svm m = {0};
    double *scores = NULL;
    ox_status s = open_svm(&m, call, p, in[0], 1);
    if (s == OX_OK) s = ox_alloc(call->ctx, &scores, m.rows.n, sizeof *scores);
    for (size_t row = 0; s == OX_OK && row < m.rows.n; row++) {
        double sum = (double)p->rho[0];
        for (size_t v = 0; v < m.vectors; v++)
            sum += m.kernels[row * m.vectors + v] * (p->rows ? (double)p->coefficients[v] : 1);
        scores[row] = !p->one_class ? sum : sum > 0 ? 1 : -1;
    }
    if (s == OX_OK) s = ox_ml_matrix(&out[0], call, OX_FLOAT, scores, m.rows.n, 1);
    ox_ml_rows_close(&m.rows);
    ox_free(call->ctx, m.kernels);
    ox_free(call->ctx, scores);
    return s;
}

/* ---- SVMClassifier --------------------------------------------------------------------------- */

struct scratch {
    double *pairs; /* scores of pairs */
    double *votes; /* of classes */
    double *r, *q; /* [classes, classes] */
    double *qp;    /* [classes] */
};

static void compare_pairs(struct scratch *w, const struct ox_svm_params *p, const double *k) {
    size_t n = p->labels.n, pair = 0, begin_i = 0;
    for (size_t i = 0; i < n; i++)
        w->votes[i] = 0;
    for (size_t i = 0; i < n; begin_i += (size_t)p->per_class[i++]) {
        size_t begin_j = begin_i + (size_t)p->per_class[i];
        for (size_t j = i + 1; j < n; begin_j += (size_t)p->per_class[j++], pair++) {
            double sum = (double)p->rho[pair];
            for (size_t v = begin_i; v < begin_i + (size_t)p->per_class[i]; v++)
                sum += (double)p->coefficients[(j - 1) * p->rows + v] * k[v];
            for (size_t v = begin_j; v < begin_j + (size_t)p->per_class[j]; v++)
                sum += (double)p->coefficients[i * p->rows + v] * k[v];
            w->pairs[pair] = sum;
            w->votes[sum > 0 ? i : j] += 1;
        }
    }
}

/* Minimizes the sum of (r_ji p_i - r_ij p_j)^2 over probabilities p that add up to 1, one
 * coordinate after the other. */
static void couple(double *prob, struct scratch *w, size_t n) {
    double *q = w->q, *qp = w->qp, eps = .005 / (double)n;
    for (size_t i = 0; i < n; i++) {
        prob[i] = 1 / (double)n;
        q[i * n + i] = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == i) continue;
            q[i * n + i] += w->r[j * n + i] * w->r[j * n + i];
            q[i * n + j] = -w->r[j * n + i] * w->r[i * n + j];
        }
    }
    for (size_t turn = 0; turn < 100; turn++) {
        double pqp = 0, worst = 0;
        for (size_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (size_t j = 0; j < n; j++)
                qp[i] += q[i * n + j] * prob[j];
            pqp += prob[i] * qp[i];
        }
        for (size_t i = 0; i < n; i++)
            worst = fmax(worst, fabs(qp[i] - pqp));
        if (worst < eps) return;
        for (size_t i = 0; i < n; i++) {
            double step = (pqp - qp[i]) / q[i * n + i], scale = 1 / (1 + step);
            prob[i] += step;
            pqp = (pqp + step * (step * q[i * n + i] + 2 * qp[i])) * scale * scale;
            for (size_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[i * n + j]) * scale;
                prob[j] *= scale;
            }
        }
    }
}

static void probabilities(double *prob, struct scratch *w, const struct ox_svm_params *p) {
    size_t n = p->labels.n, pair = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, pair++) {
            double v =
                1 - ox_logistic(w->pairs[pair] * (double)p->prob_a[pair] + (double)p->prob_b[pair]);
            v = fmin(fmax(v, 1e-7), 1 - 1e-7);
            w->r[i * n + j] = v;
            w->r[j * n + i] = 1 - v;
        }
    couple(prob, w, n);
}

/* A linear model of two classes whose coefficients are all positive says "second" from 1/2 on. */
static size_t judge_linear(const double *s, const struct ox_svm_params *p) {
    size_t best = ox_argmax(s, p->labels.n);
    bool positive = p->labels.n == 2 && s[best] >= .5;
    for (size_t i = 0; positive && i < p->n_coefficients; i++)
        positive = p->coefficients[i] >= 0;
    return positive ? 1 : best;
}

static void classify_row(double *s, size_t *id, struct scratch *w, const struct ox_svm_params *p,
                         const double *k) {
    size_t n = p->labels.n;
    if (p->rows == 0) {
        for (size_t i = 0; i < n; i++)
            s[i] = k[i] + (double)p->rho[0];
        *id = judge_linear(s, p);
        ox_post_transform(s, n, p->post);
        return;
    }
    compare_pairs(w, p, k);
    *id = ox_argmax(w->votes, n);
    if (p->n_prob) {
        probabilities(s, w, p);
    } else if (n == 2) { /* one score for two classes */
        ox_post_binary(s, w->pairs[0], p->post == OX_POST_NONE, p->post);
        return;
    } else {
        memcpy(s, w->pairs, pairs_of(p) * sizeof *s);
    }
    ox_post_transform(s, scores_of(p), p->post);
}

static ox_status classify(ox_tensor **out, const struct ox_call *call, struct svm *m,
                          double *scores, size_t *ids, struct scratch *w) {
    const struct ox_svm_params *p = m->p;
    size_t n = p->labels.n, width = scores_of(p);
    if (p->rows) {
        OX_TRY(ox_alloc(call->ctx, &w->pairs, pairs_of(p), sizeof *w->pairs));
        OX_TRY(ox_alloc(call->ctx, &w->votes, n, sizeof *w->votes));
        OX_TRY(ox_alloc(call->ctx, &w->qp, n, sizeof *w->qp));
        OX_TRY(ox_alloc(call->ctx, &w->r, p->n_prob ? n * n : 0, sizeof *w->r));
        OX_TRY(ox_alloc(call->ctx, &w->q, p->n_prob ? n * n : 0, sizeof *w->q));
    }
    for (size_t row = 0; row < m->rows.n; row++)
        classify_row(scores + row * width, &ids[row], w, p, m->kernels + row * m->vectors);
    OX_TRY(ox_ml_labels(&out[0], call, &p->labels, ids, m->rows.n));
    return call->n_out > 1 ? ox_ml_matrix(&out[1], call, OX_FLOAT, scores, m->rows.n, width)
                           : OX_OK;
}

ox_status ox_eval_svm_classifier(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_svm_params *p = params;
    struct svm m = {0};
    struct scratch w = {0};
    double *scores = NULL;
    size_t *ids = NULL, n = 0;
    ox_status s = open_svm(&m, call, p, in[0], p->labels.n);
    if (s == OX_OK && ox_mul_size(&n, m.rows.n, scores_of(p)))
        s = ox_bad_shape(call, "the result is too large");
    if (s == OX_OK) s = ox_alloc(call->ctx, &scores, n, sizeof *scores);
    if (s == OX_OK) s = ox_alloc(call->ctx, &ids, m.rows.n, sizeof *ids);
    if (s == OX_OK) s = classify(out, call, &m, scores, ids, &w);
    ox_ml_rows_close(&m.rows);
    void *all[] = {m.kernels, scores, ids, w.pairs, w.votes, w.qp, w.r, w.q};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ox_free(call->ctx, all[i]);
    return s;
}
