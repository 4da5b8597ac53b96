/* passes/training/derivative_priv.h - between derivative.c, which has the table and reads its
 * expressions, and derivative_steps.c, which has the helpers that take more than a line. */
#ifndef OX_PASSES_TRAINING_DERIVATIVE_PRIV_H
#define OX_PASSES_TRAINING_DERIVATIVE_PRIV_H

#include "passes/training/derivative.h"

struct ox_derivative_builder {
    struct ox_graph *graph;
    const struct ox_node *node;
    struct ox_value *const *operands;
    struct ox_value *y, *dy;
    size_t index; /* of the operand asked for */
};

/* A node before ret of the graph, and its output, once its attributes are there. */
OX_MUST_USE ox_status ox_derivative_begin(struct ox_node **out, struct ox_graph *graph,
                                          const char *op, size_t n_in, struct ox_value *const *in);
OX_MUST_USE ox_status ox_derivative_end(struct ox_value **out, struct ox_node *node);
/* Takes over the count of tensor. */
OX_MUST_USE ox_status ox_derivative_constant(struct ox_value **out, struct ox_graph *graph,
                                             ox_tensor *tensor);
/* A scalar of dy's type. */
OX_MUST_USE ox_status ox_derivative_number(struct ox_value **out,
                                           const struct ox_derivative_builder *b, double number);

/* Can the helper do this node? */
bool ox_derivative_fits_concat(const struct ox_node *n);
bool ox_derivative_fits_conv(const struct ox_node *n);
bool ox_derivative_fits_gather(const struct ox_node *n);
bool ox_derivative_fits_loss(const struct ox_node *n);
bool ox_derivative_fits_max_pool(const struct ox_node *n);
bool ox_derivative_fits_pool(const struct ox_node *n);

typedef ox_status ox_derivative_helper(struct ox_value **out, const struct ox_derivative_builder *b,
                                       struct ox_value *x);
ox_derivative_helper ox_derivative_conv_data;    /* x, the gradient of Conv, as that of its data */
ox_derivative_helper ox_derivative_conv_weights; /* and of its weights */
ox_derivative_helper ox_derivative_sum_channels; /* all dims but 1 summed up */
ox_derivative_helper ox_derivative_pool;         /* AveragePool */
ox_derivative_helper ox_derivative_max_pool;     /* MaxPool: to where the largest was */
ox_derivative_helper ox_derivative_part;         /* Concat: what belongs to the operand asked for */
ox_derivative_helper ox_derivative_scattered;    /* Gather: sums at the indices */
ox_derivative_helper ox_derivative_sum_axis;     /* sum along the attribute axis, kept as 1 */
ox_derivative_helper ox_derivative_loss;         /* SoftmaxCrossEntropyLoss */

#endif
