/* ir/ops/op_ml.h - parameters of the operators of ai.onnx.ml. Arrays are borrowed from attributes.
 */
#ifndef OX_IR_OPS_OP_ML_H
#define OX_IR_OPS_OP_ML_H

#include "ir/ops/op.h"

/* Numbers as TreeEnsemble has them. */
enum ox_post {
    OX_POST_NONE,
    OX_POST_SOFTMAX,
    OX_POST_LOGISTIC,
    OX_POST_SOFTMAX_ZERO,
    OX_POST_PROBIT
};

/* Labels, keys, values: an attribute of ints, floats or strings, or a tensor's elements (which may
 * be unaligned). */
struct ox_ml_list {
    ox_dtype dtype;
    const void *data; /* NULL: the integers 0, 1, 2, ... */
    size_t n;
};

/* ---- tables ---- */
struct ox_encode_params { /* LabelEncoder, CategoryMapper */
    struct ox_ml_list keys, values;
    bool both_ways; /* from values to keys where the input is of the values' type */
    struct ox_str default_string;
    int64_t default_int;
    float default_float;
    const ox_tensor *default_tensor; /* of one element, or NULL */
};
struct ox_one_hot_encoder_params {
    struct ox_ml_list cats;
    bool zeros; /* what is in no category gives zeros; else it is an error */
};
struct ox_zip_map_params {
    struct ox_ml_list labels;
};
struct ox_dict_params {
    struct ox_ml_list words;
};
struct ox_cast_map_params {
    ox_dtype to;
    bool sparse;
    int64_t max_map;
};

/* ---- features ---- */
struct ox_binarizer_params {
    float threshold;
};
struct ox_scaler_params {
    const float *offset, *scale; /* NULL: 0 and 1 */
    size_t n_offset, n_scale;
};
struct ox_imputer_params {
    const float *floats; /* or ints */
    const int64_t *ints;
    size_t n;
    float replaced_float;
    int64_t replaced_int;
};
struct ox_feature_vectorizer_params {
    const int64_t *widths;
    size_t n; /* SIZE_MAX: as wide as they are */
};
enum ox_row_norm { OX_ROW_MAX, OX_ROW_L1, OX_ROW_L2 };
struct ox_normalizer_params {
    enum ox_row_norm norm;
};

/* ---- models ---- */
struct ox_linear_params {
    const float *coefficients, *intercepts; /* intercepts may be NULL */
    size_t n_coefficients, targets;
    struct ox_ml_list labels; /* of a classifier */
    enum ox_post post;
};
enum ox_kernel { OX_KERNEL_LINEAR, OX_KERNEL_POLY, OX_KERNEL_RBF, OX_KERNEL_SIGMOID };
struct ox_svm_params {
    const float *coefficients, *vectors, *rho, *prob_a, *prob_b;
    size_t n_coefficients, n_vectors, n_rho, n_prob; /* n_vectors: numbers, not rows */
    const int64_t *per_class; /* of a classifier: support vectors of each class */
    size_t rows;              /* support vectors; 0: a linear model */
    struct ox_ml_list labels;
    enum ox_kernel kernel;
    double gamma, coef0, degree;
    bool one_class;
    enum ox_post post;
};

enum ox_tree_aggregate { OX_TREE_AVERAGE, OX_TREE_SUM, OX_TREE_MIN, OX_TREE_MAX };
/* All three forms of tree ensembles; ml_trees.h makes nodes of it. */
struct ox_tree_params {
    bool flat; /* TreeEnsemble: nodes and leaves by position; else by the pair (tree, node) */
    enum ox_tree_aggregate aggregate;
    enum ox_post post;
    size_t targets, n_nodes, n_leaves, n_roots, n_members;
    struct ox_ml_list splits, weights, base, members, modes; /* modes: numbers or names */
    const int64_t *features, *yes, *no, *missing;            /* missing may be NULL */
    const int64_t *yes_leaf, *no_leaf, *roots;               /* flat only */
    const int64_t *trees, *nodes;                            /* not flat: of nodes */
    const int64_t *leaf_trees, *leaf_nodes;                  /* not flat: of weights */
    const int64_t *leaf_targets;
    struct ox_ml_list labels; /* of a classifier */
};

#endif
