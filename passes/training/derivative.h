/* passes/training/derivative.h - how operators are differentiated: a table, and what builds nodes
 * from it. */
#ifndef OX_PASSES_TRAINING_DERIVATIVE_H
#define OX_PASSES_TRAINING_DERIVATIVE_H

#include "ir/ir.h"

struct ox_derivative;

/* The table's entry for a node that it can do, or NULL. */
const struct ox_derivative *ox_derivative_find(const struct ox_node *node);
/* Is the derivative with respect to operand i zero everywhere? */
bool ox_derivative_zero(const struct ox_derivative *d, size_t i);

/* Builds, before ret, what dy (the gradient of the node's output 0) contributes to the gradient of
 * operand i. operands and y are the values to differentiate at; all of known types. The result has
 * the operand's shape. OX_UNSUPPORTED without a diagnostic: dims are not known well enough to undo
 * broadcasting. */
OX_MUST_USE ox_status ox_derivative_build(struct ox_value **out, const struct ox_derivative *d,
                                          const struct ox_node *node, size_t i,
                                          struct ox_value *const *operands, struct ox_value *y,
                                          struct ox_value *dy);
/* A tensor of y's shape and type filled with a number. */
OX_MUST_USE ox_status ox_derivative_fill(struct ox_value **out, struct ox_value *y, double number);
/* A node of one output before ret of the graph, with its type inferred; n_in operands. */
OX_MUST_USE ox_status ox_derivative_node(struct ox_value **out, struct ox_graph *graph,
                                         const char *op, size_t n_in, struct ox_value *const *in);

#endif
