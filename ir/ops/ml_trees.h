/* ir/ops/ml_trees.h - decision trees: attributes of any of the three forms into flat nodes, and
 * walking them.
 *
 * Nodes are numbered in the order of a walk that goes to the true side first, so that the next node
 * is mostly the next in memory. Every index has been checked and no path comes back to where it
 * was, so a walk ends. */
#ifndef OX_IR_OPS_ML_TREES_H
#define OX_IR_OPS_ML_TREES_H

#include "ir/ops/op_ml.h"

enum ox_tree_mode {
    OX_TREE_LEQ,
    OX_TREE_LT,
    OX_TREE_GTE,
    OX_TREE_GT,
    OX_TREE_EQ,
    OX_TREE_NEQ,
    OX_TREE_MEMBER,
    OX_TREE_LEAF
};

struct ox_tree_node {
    double split; /* MEMBER: number of its set */
    int32_t feature;
    int32_t next[2]; /* where false and true lead: a node, or ~leaf */
    uint8_t mode;
    bool missing_true; /* NaN counts as true */
};

struct ox_trees {
    struct ox_tree_node *nodes;
    int32_t *roots;     /* as next */
    size_t *leaf_begin; /* n_leaves + 1 entries: weights of a leaf */
    size_t *targets;
    double *weights;
    double *members;                             /* of all sets, each sorted */
    size_t *set_begin;                           /* n_sets + 1 entries */
    size_t n_nodes, n_roots, n_leaves, features; /* features: least width of a row */
    bool all_leq; /* no node asks anything but x <= split, NaN being false */
};

OX_MUST_USE ox_status ox_trees_build(struct ox_trees *trees, const struct ox_call *call,
                                     const struct ox_tree_params *params);
void ox_trees_free(struct ox_trees *trees, ox_ctx *ctx);
/* The leaf that a row ends in. */
size_t ox_tree_walk(const struct ox_trees *trees, int32_t root, const double *row);

#endif
