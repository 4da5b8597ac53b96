/* ir/ops/op_recurrent.h - parameters of RNN, GRU and LSTM. */
#ifndef OX_IR_OPS_OP_RECURRENT_H
#define OX_IR_OPS_OP_RECURRENT_H

#include "ir/ops/op.h"

enum ox_cell { OX_CELL_RNN, OX_CELL_GRU, OX_CELL_LSTM, OX_CELLS };
extern const enum ox_cell ox_cells[OX_CELLS];

enum ox_activation {
    OX_ACT_RELU,
    OX_ACT_TANH,
    OX_ACT_SIGMOID,
    OX_ACT_AFFINE,
    OX_ACT_LEAKY_RELU,
    OX_ACT_THRESHOLDED_RELU,
    OX_ACT_SCALED_TANH,
    OX_ACT_HARD_SIGMOID,
    OX_ACT_ELU,
    OX_ACT_SOFTSIGN,
    OX_ACT_SOFTPLUS
};

struct ox_activate {
    enum ox_activation kind;
    double alpha, beta;
};

struct ox_recurrent_params {
    enum ox_cell cell;
    int directions;                  /* 1 or 2 */
    bool backwards;                  /* of a single direction */
    bool batch_first;                /* layout 1 */
    bool input_forget, linear_reset; /* LSTM; GRU: linear_before_reset */
    double clip;                     /* 0: none */
    int64_t hidden;                  /* 0: not given */
    struct ox_activate act[2][3];    /* f, g, h of each direction */
};

#endif
