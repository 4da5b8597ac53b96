/* ir/ops/op_ml_linear.c - LinearRegressor and LinearClassifier: rows times coefficients [targets,
 * features], plus intercepts; sums in doubles, in the order of the features. */
#include "ir/ops/key_map.h"
#include "ir/ops/ml_scores.h"
#include "ir/ops/op_priv.h"

static ox_status decode_linear(struct ox_linear_params *p, const struct ox_call *call) {
    OX_TRY(ox_attr_floats(&p->coefficients, &p->n_coefficients, call, "coefficients"));
    if (p->n_coefficients == SIZE_MAX || p->n_coefficients == 0)
        return ox_bad_attr(call, "attribute 'coefficients' is missing");
    OX_TRY(ox_attr_floats(&p->intercepts, &p->targets, call, "intercepts"));
    if (p->targets == SIZE_MAX) p->targets = 0;
    if (p->targets == 0) p->intercepts = NULL;
    return ox_post_attr(&p->post, call);
}

static ox_status fits(const struct ox_linear_params *p, const struct ox_call *call) {
    if (p->targets && p->n_coefficients % p->targets == 0) return OX_OK;
    return ox_bad_attr(call, "%zu coefficients for %zu targets", p->n_coefficients, p->targets);
}

ox_status ox_decode_linear_regressor(const struct ox_call *call, void *params) {
    struct ox_linear_params *p = params;
    int64_t targets;
    OX_TRY(decode_linear(p, call));
    OX_TRY(ox_attr_int(&targets, call, "targets", 1));
    if (targets < 1 || (p->targets && p->targets != (size_t)targets))
        return ox_bad_attr(call, "%zu intercepts for %lld targets", p->targets, (long long)targets);
    p->targets = (size_t)targets;
    return fits(p, call);
}

/* As many scores as intercepts; without any, as many as labels. */
ox_status ox_decode_linear_classifier(const struct ox_call *call, void *params) {
    struct ox_linear_params *p = params;
    OX_TRY(decode_linear(p, call));
    OX_TRY(ox_ml_list_attr(&p->labels, call, "classlabels_ints", "classlabels_strings"));
    if (p->targets == 0) p->targets = p->labels.n;
    if (p->targets > 1 && p->labels.n < p->targets)
        return ox_bad_attr(call, "%zu labels for %zu classes", p->labels.n, p->targets);
    return fits(p, call);
}

static bool two_of_one(const struct ox_linear_params *p) {
    return p->targets == 1 && p->labels.n == 2;
}

static ox_status expect_features(const struct ox_linear_params *p, const struct ox_call *call,
                                 struct ox_infer *io) {
    int rank = ox_in_rank(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS));
    OX_TRY(ox_expect_rank(call, 0, rank, 1, 2));
    size_t features = p->n_coefficients / p->targets;
    if (rank > 0 && ox_dim_is_const(io->in[0]->dims[rank - 1]) &&
        (uint64_t)io->in[0]->dims[rank - 1].k != features)
        return ox_bad_shape(call, "rows of %lld numbers, coefficients for %zu",
                            (long long)io->in[0]->dims[rank - 1].k, features);
    return OX_OK;
}

ox_status ox_infer_linear_regressor(const struct ox_call *call, const void *params,
                                    struct ox_infer *io) {
    const struct ox_linear_params *p = params;
    OX_TRY(expect_features(p, call, io));
    return ox_ml_infer_rows(call, io, 0, OX_FLOAT, (int64_t)p->targets);
}

ox_status ox_infer_linear_classifier(const struct ox_call *call, const void *params,
                                     struct ox_infer *io) {
    const struct ox_linear_params *p = params;
    OX_TRY(expect_features(p, call, io));
    OX_TRY(ox_ml_infer_rows(call, io, 0, p->labels.dtype, -1));
    return ox_ml_infer_rows(call, io, 1, OX_FLOAT, two_of_one(p) ? 2 : (int64_t)p->targets);
}

/* ---- eval ------------------------------------------------------------------------------------ */

struct product {
    const struct ox_linear_params *p;
    struct ox_ml_rows rows;
    double *scores; /* rows of `width`, of which `targets` are filled in here */
    size_t width;
};

static void multiply(void *arg, size_t begin, size_t end) {
    const struct product *m = arg;
    const struct ox_linear_params *p = m->p;
    for (size_t row = begin; row < end; row++) {
        const double *x = m->rows.data + row * m->rows.width;
        for (size_t t = 0; t < p->targets; t++) {
            const float *c = p->coefficients + t * m->rows.width;
            double sum = p->intercepts ? (double)p->intercepts[t] : 0;
            for (size_t i = 0; i < m->rows.width; i++)
                sum += x[i] * (double)c[i];
            m->scores[row * m->width + t] = sum;
        }
    }
}

static ox_status open_product(struct product *m, const struct ox_call *call,
                              const struct ox_linear_params *p, const ox_tensor *x, size_t width) {
    size_t n;
    m->p = p;
    m->width = width;
    OX_TRY(ox_ml_rows_open(&m->rows, call, x));
    if (m->rows.width != p->n_coefficients / p->targets)
        return ox_bad_shape(call, "rows of %zu numbers, coefficients for %zu", m->rows.width,
                            p->n_coefficients / p->targets);
    if (ox_mul_size(&n, m->rows.n, width)) return ox_bad_shape(call, "the result is too large");
    OX_TRY(ox_alloc(call->ctx, &m->scores, n, sizeof *m->scores));
    ox_parallel(call->ctx, m->rows.n, 65536 / p->n_coefficients + 1, multiply, m);
    return OX_OK;
}

ox_status ox_eval_linear_regressor(const struct ox_call *call, const void *params,
                                   const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_linear_params *p = params;
    struct product m = {0};
    ox_status s = open_product(&m, call, p, in[0], p->targets);
    for (size_t row = 0; s == OX_OK && row < m.rows.n; row++)
        ox_post_transform(m.scores + row * p->targets, p->targets, p->post);
    if (s == OX_OK) s = ox_ml_matrix(&out[0], call, OX_FLOAT, m.scores, m.rows.n, p->targets);
    ox_ml_rows_close(&m.rows);
    ox_free(call->ctx, m.scores);
    return s;
}

/* The label is chosen by the scores themselves; the transforms come after. */
static ox_status classify(ox_tensor **out, const struct ox_call *call, struct product *m,
                          size_t *ids) {
    const struct ox_linear_params *p = m->p;
    for (size_t row = 0; row < m->rows.n; row++) {
        double *s = m->scores + row * m->width;
        if (p->targets == 1)
            ids[row] = two_of_one(p) ? s[0] > 0 : s[0] > 0 ? OX_LABEL_ONE : OX_LABEL_NONE;
        else
            ids[row] = ox_argmax(s, p->targets);
        if (two_of_one(p))
            ox_post_binary(s, s[0], false, p->post);
        else
            ox_post_transform(s, p->targets, p->post);
    }
    OX_TRY(ox_ml_labels(&out[0], call, &p->labels, ids, m->rows.n));
    return call->n_out > 1 ? ox_ml_matrix(&out[1], call, OX_FLOAT, m->scores, m->rows.n, m->width)
                           : OX_OK;
}

ox_status ox_eval_linear_classifier(const struct ox_call *call, const void *params,
                                    const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_linear_params *p = params;
    struct product m = {0};
    size_t *ids = NULL;
    ox_status s = open_product(&m, call, p, in[0], two_of_one(p) ? 2 : p->targets);
    if (s == OX_OK) s = ox_alloc(call->ctx, &ids, m.rows.n, sizeof *ids);
    if (s == OX_OK) s = classify(out, call, &m, ids);
    ox_ml_rows_close(&m.rows);
    ox_free(call->ctx, m.scores);
    ox_free(call->ctx, ids);
    return s;
}
