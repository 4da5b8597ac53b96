/* ir/ops/op_ml_trees.c - TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier: one engine
 * (ml_trees.h), three ways to write the attributes. Rows are walked a block at a time, tree by
 * tree, so that a tree stays in the cache; sums are held in doubles and always in the order of the
 * trees. Nodes are made of the attributes once (ox_prepare_trees). */
#include "ir/ops/convert.h"
#include "ir/ops/key_map.h"
#include "ir/ops/ml_scores.h"
#include "ir/ops/ml_trees.h"
#include "ir/ops/op_priv.h"

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status ints_of(const int64_t **ints, size_t *n, const struct ox_call *call,
                         const char *name) {
    OX_TRY(ox_attr_ints(ints, n, call, name));
    if (*n == SIZE_MAX) return ox_bad_attr(call, "attribute '%s' is missing", name);
    return OX_OK;
}

/* n integers, as many as the others. */
static ox_status ints_like(const int64_t **ints, size_t n, const struct ox_call *call,
                           const char *name, bool optional) {
    size_t count;
    OX_TRY(ox_attr_ints(ints, &count, call, name));
    if (count == SIZE_MAX && optional) return OX_OK;
    if (optional && count == 0) {
        *ints = NULL;
        return OX_OK;
    }
    if (count == n) return OX_OK;
    return ox_bad_attr(call, "attribute '%s' has %zu entries, expected %zu", name,
                       count == SIZE_MAX ? (size_t)0 : count, n);
}

static ox_status tensor_list(struct ox_ml_list *list, const struct ox_call *call, const char *name,
                             ox_dtypes allowed) {
    const ox_tensor *t;
    OX_TRY(ox_attr_tensor(&t, call, name));
    if (!t) return OX_OK;
    if (!(allowed & OX_BIT(t->dtype)))
        return ox_bad_attr(call, "attribute '%s' holds %s", name, ox_dtype_name(t->dtype));
    *list = (struct ox_ml_list){t->dtype, t->data, t->count};
    return OX_OK;
}

/* Floats, or since version 3 a tensor of doubles under another name. */
static ox_status floats_or_tensor(struct ox_ml_list *list, const struct ox_call *call,
                                  const char *name, const char *tensor) {
    const float *floats;
    size_t n;
    OX_TRY(ox_attr_floats(&floats, &n, call, name));
    *list = (struct ox_ml_list){OX_FLOAT, floats, n == SIZE_MAX ? 0 : n};
    if (call->opset < 3) return OX_OK;
    struct ox_ml_list other = {0};
    OX_TRY(tensor_list(&other, call, tensor, OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE)));
    if (other.n && list->n) return ox_bad_attr(call, "both '%s' and '%s' are there", name, tensor);
    if (other.n) *list = other;
    return OX_OK;
}

static ox_status same_length(const struct ox_call *call, const char *name, size_t n,
                             size_t wanted) {
    return n == wanted
               ? OX_OK
               : ox_bad_attr(call, "attribute '%s' has %zu entries, expected %zu", name, n, wanted);
}

/* What the two older forms share: nodes found by (tree, node), weights by the same pair. */
static ox_status decode_pairs(struct ox_tree_params *p, const struct ox_call *call,
                              const char *const *names) {
    const struct ox_str *modes;
    OX_TRY(ints_of(&p->nodes, &p->n_nodes, call, "nodes_nodeids"));
    OX_TRY(ints_like(&p->trees, p->n_nodes, call, "nodes_treeids", false));
    OX_TRY(ints_like(&p->features, p->n_nodes, call, "nodes_featureids", false));
    OX_TRY(ints_like(&p->yes, p->n_nodes, call, "nodes_truenodeids", false));
    OX_TRY(ints_like(&p->no, p->n_nodes, call, "nodes_falsenodeids", false));
    OX_TRY(ints_like(&p->missing, p->n_nodes, call, "nodes_missing_value_tracks_true", true));
    OX_TRY(ox_attr_strings(&modes, &p->modes.n, call, "nodes_modes"));
    p->modes.dtype = OX_STRING;
    p->modes.data = modes;
    OX_TRY(same_length(call, "nodes_modes", p->modes.n == SIZE_MAX ? 0 : p->modes.n, p->n_nodes));
    OX_TRY(floats_or_tensor(&p->splits, call, "nodes_values", "nodes_values_as_tensor"));
    OX_TRY(same_length(call, "nodes_values", p->splits.n, p->n_nodes));
    OX_TRY(floats_or_tensor(&p->weights, call, names[0], names[1]));
    OX_TRY(ints_like(&p->leaf_targets, p->weights.n, call, names[2], false));
    OX_TRY(ints_like(&p->leaf_nodes, p->weights.n, call, names[3], false));
    OX_TRY(ints_like(&p->leaf_trees, p->weights.n, call, names[4], false));
    OX_TRY(floats_or_tensor(&p->base, call, "base_values", "base_values_as_tensor"));
    return ox_post_attr(&p->post, call);
}

ox_status ox_decode_tree_classifier(const struct ox_call *call, void *params) {
    static const char *const names[] = {"class_weights", "class_weights_as_tensor", "class_ids",
                                        "class_nodeids", "class_treeids"};
    struct ox_tree_params *p = params;
    OX_TRY(ox_ml_list_attr(&p->labels, call, "classlabels_int64s", "classlabels_strings"));
    if (p->labels.n == 0) return ox_bad_attr(call, "there are no class labels");
    p->targets = p->labels.n;
    p->aggregate = OX_TREE_SUM;
    return decode_pairs(p, call, names);
}

static ox_status read_targets(struct ox_tree_params *p, const struct ox_call *call) {
    int64_t targets;
    OX_TRY(ox_attr_int(&targets, call, "n_targets", 1));
    if (targets < 1) return ox_bad_attr(call, "n_targets is %lld", (long long)targets);
    p->targets = (size_t)targets;
    return OX_OK;
}

ox_status ox_decode_tree_regressor(const struct ox_call *call, void *params) {
    static const char *const names[] = {"target_weights", "target_weights_as_tensor", "target_ids",
                                        "target_nodeids", "target_treeids"};
    static const char *const aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX", NULL};
    struct ox_tree_params *p = params;
    int aggregate;
    OX_TRY(ox_attr_choice(&aggregate, call, "aggregate_function", aggregates, OX_TREE_SUM));
    p->aggregate = (enum ox_tree_aggregate)aggregate;
    OX_TRY(read_targets(p, call));
    OX_TRY(decode_pairs(p, call, names));
    if (p->base.n && p->base.n != p->targets && p->base.n != 1)
        return same_length(call, "base_values", p->base.n, p->targets);
    return OX_OK;
}

ox_status ox_decode_tree_ensemble(const struct ox_call *call, void *params) {
    const ox_dtypes floats = OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE) | OX_BIT(OX_FLOAT16);
    struct ox_tree_params *p = params;
    int64_t aggregate, post;
    p->flat = true;
    OX_TRY(ints_of(&p->features, &p->n_nodes, call, "nodes_featureids"));
    OX_TRY(ints_like(&p->yes, p->n_nodes, call, "nodes_truenodeids", false));
    OX_TRY(ints_like(&p->no, p->n_nodes, call, "nodes_falsenodeids", false));
    OX_TRY(ints_like(&p->yes_leaf, p->n_nodes, call, "nodes_trueleafs", false));
    OX_TRY(ints_like(&p->no_leaf, p->n_nodes, call, "nodes_falseleafs", false));
    OX_TRY(ints_like(&p->missing, p->n_nodes, call, "nodes_missing_value_tracks_true", true));
    OX_TRY(tensor_list(&p->modes, call, "nodes_modes", OX_BIT(OX_UINT8)));
    OX_TRY(same_length(call, "nodes_modes", p->modes.n, p->n_nodes));
    OX_TRY(tensor_list(&p->splits, call, "nodes_splits", floats));
    OX_TRY(same_length(call, "nodes_splits", p->splits.n, p->n_nodes));
    OX_TRY(tensor_list(&p->weights, call, "leaf_weights", floats));
    p->n_leaves = p->weights.n;
    OX_TRY(ints_like(&p->leaf_targets, p->n_leaves, call, "leaf_targetids", false));
    OX_TRY(tensor_list(&p->members, call, "membership_values", floats));
    OX_TRY(ints_of(&p->roots, &p->n_roots, call, "tree_roots"));
    OX_TRY(read_targets(p, call));
    OX_TRY(ox_attr_int(&aggregate, call, "aggregate_function", OX_TREE_SUM));
    OX_TRY(ox_attr_int(&post, call, "post_transform", OX_POST_NONE));
    if (aggregate < 0 || aggregate > OX_TREE_MAX)
        return ox_bad_attr(call, "aggregate_function is %lld, expected 0 to 3",
                           (long long)aggregate);
    if (post < 0 || post > OX_POST_PROBIT)
        return ox_bad_attr(call, "post_transform is %lld, expected 0 to 4", (long long)post);
    p->aggregate = (enum ox_tree_aggregate)aggregate;
    p->post = (enum ox_post)post;
    return OX_OK;
}

/* ---- infer ----------------------------------------------------------------------------------- */

ox_status ox_infer_tree_classifier(const struct ox_call *call, const void *params,
                                   struct ox_infer *io) {
    const struct ox_tree_params *p = params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS));
    OX_TRY(ox_ml_infer_rows(call, io, 0, p->labels.dtype, -1));
    return ox_ml_infer_rows(call, io, 1, OX_FLOAT, (int64_t)p->targets);
}

ox_status ox_infer_tree_regressor(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_ML_NUMBERS));
    return ox_ml_infer_rows(call, io, 0, OX_FLOAT,
                            (int64_t)((const struct ox_tree_params *)params)->targets);
}

ox_status ox_infer_tree_ensemble(const struct ox_call *call, const void *params,
                                 struct ox_infer *io) {
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0),
                           OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE) | OX_BIT(OX_FLOAT16)));
    return ox_ml_infer_rows(call, io, 0, ox_in_dtype(io, 0),
                            (int64_t)((const struct ox_tree_params *)params)->targets);
}

/* ---- what is prepared ------------------------------------------------------------------------ */

/* How a classifier of at most two classes reads its scores. */
struct verdict {
    bool binary; /* all weights are for one class: a score below the mark stands for the other */
    size_t id;   /* that class */
    bool mixed;  /* some weight is negative: the mark is 0 and not 1/2 */
};

static struct verdict verdict_of(const struct ox_trees *trees, const struct ox_tree_params *p) {
    struct verdict v = {p->targets <= 2, 0, false};
    for (size_t i = 0; i < p->weights.n; i++) {
        if (i && p->leaf_targets[i] != p->leaf_targets[0]) v.binary = false;
        if (trees->weights[i] < 0) v.mixed = true;
    }
    if (p->weights.n) v.id = (size_t)p->leaf_targets[0];
    return v;
}

struct prepared {
    struct ox_trees trees;
    struct verdict verdict; /* classifiers */
};

void ox_forget_trees(void *state, ox_ctx *ctx) {
    struct prepared *made = state;
    ox_trees_free(&made->trees, ctx);
    ox_free(ctx, made);
}

ox_status ox_prepare_trees(const struct ox_call *call, const void *params, void **state) {
    struct prepared *made;
    OX_TRY(ox_alloc(call->ctx, &made, 1, sizeof *made));
    ox_status s = ox_trees_build(&made->trees, call, params);
    if (s != OX_OK) {
        ox_free(call->ctx, made);
        return s;
    }
    made->verdict = verdict_of(&made->trees, params);
    *state = made;
    return OX_OK;
}

/* ---- scores of all trees --------------------------------------------------------------------- */

enum { BLOCK = 32 }; /* rows that a tree sees in a row */

struct forest {
    const struct ox_trees *trees;
    const struct ox_tree_params *p;
    struct ox_ml_rows rows;
    double *scores; /* [rows, targets] */
    bool *has;      /* some tree had a say */
};

static void add(struct forest *f, size_t row, size_t leaf) {
    const struct ox_trees *t = f->trees;
    double *s = f->scores + row * f->p->targets;
    bool *has = f->has + row * f->p->targets;
    for (size_t k = t->leaf_begin[leaf]; k < t->leaf_begin[leaf + 1]; k++) {
        size_t to = t->targets[k];
        double w = t->weights[k];
        if (f->p->aggregate == OX_TREE_MIN)
            s[to] = has[to] && s[to] <= w ? s[to] : w;
        else if (f->p->aggregate == OX_TREE_MAX)
            s[to] = has[to] && s[to] >= w ? s[to] : w;
        else
            s[to] += w;
        has[to] = true;
    }
}

static void walk_rows(void *arg, size_t begin, size_t end) {
    struct forest *f = arg;
    for (size_t first = begin; first < end; first += BLOCK) {
        size_t last = end - first < BLOCK ? end : first + BLOCK;
        for (size_t k = 0; k < f->trees->n_roots; k++)
            for (size_t row = first; row < last; row++)
                add(f, row,
                    ox_tree_walk(f->trees, f->trees->roots[k], f->rows.data + row * f->rows.width));
    }
}

static ox_status open_forest(struct forest *f, const struct ox_call *call,
                             const struct ox_tree_params *p, const ox_tensor *x) {
    size_t n;
    f->p = p;
    f->trees = &((const struct prepared *)call->prepared)->trees;
    OX_TRY(ox_ml_rows_open(&f->rows, call, x));
    if (f->trees->features > f->rows.width)
        return ox_bad_shape(call, "the trees ask for feature %zu, rows have %zu",
                            f->trees->features - 1, f->rows.width);
    if (ox_mul_size(&n, f->rows.n, p->targets))
        return ox_bad_shape(call, "the result is too large");
    OX_TRY(ox_alloc(call->ctx, &f->scores, n, sizeof *f->scores));
    OX_TRY(ox_alloc(call->ctx, &f->has, n, sizeof *f->has));
    ox_parallel(call->ctx, f->rows.n, 4096 / (f->trees->n_roots + 1) + 1, walk_rows, f);
    return OX_OK;
}

static void close_forest(struct forest *f, ox_ctx *ctx) {
    ox_ml_rows_close(&f->rows);
    ox_free(ctx, f->scores);
    ox_free(ctx, f->has);
}

static double base_at(const struct ox_tree_params *p, size_t i) {
    const unsigned char *data = p->base.data;
    float f;
    double d;
    if (p->base.dtype == OX_DOUBLE) return memcpy(&d, data + 8 * i, 8), d;
    return memcpy(&f, data + 4 * i, 4), (double)f;
}

/* ---- regression ------------------------------------------------------------------------------ */

static void finish_regression(struct forest *f) {
    const struct ox_tree_params *p = f->p;
    for (size_t row = 0; row < f->rows.n; row++) {
        double *s = f->scores + row * p->targets;
        for (size_t k = 0; k < p->targets; k++) {
            if (p->aggregate == OX_TREE_AVERAGE && f->trees->n_roots)
                s[k] /= (double)f->trees->n_roots;
            if (p->base.n == p->targets) s[k] += base_at(p, k);
        }
        ox_post_transform(s, p->targets, p->post);
    }
}

static ox_status regress(ox_tensor **out, const struct ox_call *call,
                         const struct ox_tree_params *p, const ox_tensor *x, ox_dtype dtype) {
    struct forest f = {0};
    ox_status s = open_forest(&f, call, p, x);
    if (s == OX_OK) {
        finish_regression(&f);
        s = ox_ml_matrix(out, call, dtype, f.scores, f.rows.n, p->targets);
    }
    close_forest(&f, call->ctx);
    return s;
}

ox_status ox_eval_tree_regressor(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    return regress(&out[0], call, params, in[0], OX_FLOAT);
}

ox_status ox_eval_tree_ensemble(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    ox_tensor *x = NULL;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype,
                           OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE) | OX_BIT(OX_FLOAT16)));
    if (in[0]->dtype == OX_FLOAT16) OX_TRY(ox_tensor_cast(&x, call->ctx, in[0], OX_FLOAT, true));
    ox_status s = regress(&out[0], call, params, x ? x : in[0], in[0]->dtype);
    ox_tensor_unref(x);
    return s;
}

/* ---- classification -------------------------------------------------------------------------- */

/* One score for two classes (or for one, whose label is then 0 or 1). */
static size_t judge_one(double *s, const struct ox_tree_params *p, const struct verdict *v) {
    double score = s[v->id];
    if (p->base.n == 1) score += p->base.n ? base_at(p, 0) : 0;
    if (p->base.n == 2) score += base_at(p, v->id);
    if (p->targets == 1) {
        s[0] = score;
        ox_post_transform(s, 1, p->post);
        return score > 0 ? OX_LABEL_ONE : OX_LABEL_NONE;
    }
    bool second = score > (v->mixed ? 0 : .5);
    if (v->id == 0) {
        ox_post_binary(s, score, v->mixed, p->post);
    } else {
        s[0] = 0;
        s[1] = score;
        ox_post_transform(s, 2, p->post);
    }
    return second;
}

/* Of classes for which no tree spoke, none wins, unless there is a base value. */
static size_t judge_many(double *s, const bool *has, const struct ox_tree_params *p) {
    size_t best = SIZE_MAX;
    for (size_t k = 0; k < p->targets; k++) {
        if (k < p->base.n) s[k] += base_at(p, k);
        if ((has[k] || k < p->base.n) && (best == SIZE_MAX || s[k] > s[best])) best = k;
    }
    ox_post_transform(s, p->targets, p->post);
    return best == SIZE_MAX ? 0 : best;
}

static ox_status classify(ox_tensor **out, const struct ox_call *call, struct forest *f,
                          size_t *ids) {
    const struct ox_tree_params *p = f->p;
    const struct verdict *v = &((const struct prepared *)call->prepared)->verdict;
    for (size_t row = 0; row < f->rows.n; row++) {
        double *s = f->scores + row * p->targets;
        ids[row] = v->binary ? judge_one(s, p, v) : judge_many(s, f->has + row * p->targets, p);
    }
    OX_TRY(ox_ml_labels(&out[0], call, &p->labels, ids, f->rows.n));
    return call->n_out > 1 ? ox_ml_matrix(&out[1], call, OX_FLOAT, f->scores, f->rows.n, p->targets)
                           : OX_OK;
}

ox_status ox_eval_tree_classifier(const struct ox_call *call, const void *params,
                                  const ox_tensor *const *in, ox_tensor **out) {
    struct forest f = {0};
    size_t *ids = NULL;
    ox_status s = open_forest(&f, call, params, in[0]);
    if (s == OX_OK) s = ox_alloc(call->ctx, &ids, f.rows.n, sizeof *ids);
    if (s == OX_OK) s = classify(out, call, &f, ids);
    ox_free(call->ctx, ids);
    close_forest(&f, call->ctx);
    return s;
}
