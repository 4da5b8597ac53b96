/* ir/ops/op_control.h - parameters of operators that have subgraphs. */
#ifndef OX_IR_OPS_OP_CONTROL_H
#define OX_IR_OPS_OP_CONTROL_H

#include <stddef.h>

/* The graph attributes an operator must have, and how many inputs and outputs each must have given the node's own. */
struct ox_control_params {
    size_t n_graphs;
    struct {
        const char *attr;
        size_t n_in, n_out;
    } graphs[2];
};

#endif
