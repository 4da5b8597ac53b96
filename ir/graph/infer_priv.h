/* ir/graph/infer_priv.h - what the files of the inference driver share.
 *
 *   infer.c          the walk over nodes
 *   infer_control.c  types across the border of subgraphs
 *   infer_loop.c     what a loop's carried values have in common at every step */
#ifndef OX_IR_GRAPH_INFER_PRIV_H
#define OX_IR_GRAPH_INFER_PRIV_H

#include "ir/graph/graph.h"

struct ox_shapes {
    ox_ctx *ctx;
    struct ox_arena arena;
    struct ox_model *model;
    const struct ox_partial **values; /* by value id */
    size_t n_values;
    struct ox_call_scratch scratch;
    const void **lists; /* four arrays of `cap` pointers: in, in_values, out, out_values */
    size_t cap;
    int maybe; /* branches around that may never run: what contradicts itself there is no error */
    int64_t trials; /* nodes that may yet be visited to try something out */
    bool trying;
};

OX_MUST_USE ox_status ox_infer_graph(void *shapes, struct ox_graph *graph);
/* The same of a branch that may never run. */
OX_MUST_USE ox_status ox_infer_maybe(struct ox_shapes *s, struct ox_graph *graph);
/* The value is of that type, as far as it tells more than is known; NULL: nothing. */
OX_MUST_USE ox_status ox_infer_learn(struct ox_shapes *s, struct ox_value *value,
                                     const struct ox_type *type);
/* Gives the value that type, kept in the model's own arena. */
OX_MUST_USE ox_status ox_infer_keep(struct ox_value *value, const struct ox_type *type);
/* What is known of the value's elements, or NULL. */
OX_MUST_USE ox_status ox_infer_known(const struct ox_partial **out, struct ox_shapes *s,
                                     const struct ox_value *value);

/* A node with bodies: what its operands tell of the bodies' inputs, the bodies, and what these tell
 * of its outputs. */
OX_MUST_USE ox_status ox_infer_bodies(struct ox_shapes *s, struct ox_node *node);
/* Body `body` of a loop whose carried values are the `n` operands from in[first], the body's inputs
 * from `to` and its outputs from `from`. Infers the body, and out[0 .. n) of the node. */
struct ox_carried {
    size_t n, first, to, from;
};
OX_MUST_USE ox_status ox_infer_loop(struct ox_shapes *s, struct ox_node *node,
                                    struct ox_graph *body, const struct ox_carried *carried);

#endif
