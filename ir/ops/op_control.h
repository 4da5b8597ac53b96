/* ir/ops/op_control.h - parameters of operators that have subgraphs. */
#ifndef OX_IR_OPS_OP_CONTROL_H
#define OX_IR_OPS_OP_CONTROL_H

#include "ir/ops/op.h"

/* The graph attributes an operator must have, and how many inputs and outputs each must have given
 * the node's own. */
struct ox_control_params {
    size_t n_graphs;
    struct {
        const char *attr;
        size_t n_in, n_out;
    } graphs[2];
};

enum {
    OX_CONTROL_IF,
    OX_CONTROL_LOOP,
    OX_CONTROL_SCAN,
    OX_CONTROL_SEQUENCE_MAP,
    OX_CONTROL_FLEX,
    OX_CONTROL_KINDS
};
extern const int ox_control_kinds[OX_CONTROL_KINDS];

#endif
