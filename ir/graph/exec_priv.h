/* ir/graph/exec_priv.h - the executor's state, shared by the files that run plain nodes and nodes with subgraphs. */
#ifndef OX_IR_GRAPH_EXEC_PRIV_H
#define OX_IR_GRAPH_EXEC_PRIV_H

#include "ir/graph/exec.h"

/* A node with subgraphs keeps a value of its own graph alive that they read. */
struct ox_capture {
    uint32_t node;
    struct ox_value *value;
};

struct ox_exec {
    ox_ctx *ctx;
    struct ox_model *model;
    size_t n_values;
    ox_tensor **aligned;         /* by value id: constants whose bytes in the file are not aligned for their type */
    ox_tensor **env;             /* by value id: tensors computed and still needed */
    uint32_t *uses;              /* by value id: operands in its own graph, and captures */
    uint32_t *left;              /* by value id: of these, still to come */
    struct ox_capture *captures; /* sorted by node, then value */
    size_t n_captures, cap_captures;
    struct ox_call_scratch scratch;
    const ox_tensor **in;        /* operands of the plain node at hand */
    ox_tensor **out;
    size_t widest;
    ox_observe_fn observe;
    void *user;
};

/* Runs a graph once. in: n_inputs tensors whose counts are taken over (also on failure); out: one per output of the graph,
 * counted for the caller, NULL on failure. */
OX_MUST_USE ox_status ox_exec_graph(struct ox_exec *e, const struct ox_graph *graph, ox_tensor **in, ox_tensor **out);
/* Tensor of a value that has been computed or is constant; borrowed, NULL if there is none. */
const ox_tensor *ox_exec_lookup(const struct ox_exec *e, const struct ox_value *value);
/* Runs a node with the trait CONTROL; out has n_out entries, counted for the caller. */
OX_MUST_USE ox_status ox_exec_control(struct ox_exec *e, const struct ox_node *node, ox_tensor **out);

#endif
