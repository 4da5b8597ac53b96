/* ir/ops/op_move.h - parameters of the operators that move, cut, join, repeat and pad. */
#ifndef OX_IR_OPS_OP_MOVE_H
#define OX_IR_OPS_OP_MOVE_H

#include "ir/ops/op_args.h"

/* Transpose: output dim i is input dim perm.at[i]; not given: the reverse order. Checked to be a
 * permutation. */
struct ox_transpose_params {
    struct ox_ints perm;
};

struct ox_expand_params {
    struct ox_ints shape; /* input 1 */
};

struct ox_tile_params {
    struct ox_ints repeats; /* input 1 from opset 6 */
};

struct ox_depth_to_space_params {
    int64_t block;
    bool crd; /* column-row-depth order */
};
struct ox_space_to_depth_params {
    int64_t block;
};

struct ox_concat_params {
    int64_t axis; /* as written */
};

struct ox_split_params {
    int64_t axis;           /* as written */
    bool given;             /* sizes are an attribute or an input; else parts are equal */
    const int64_t *attr;    /* count sizes, of the attribute */
    const ox_tensor *input; /* of the constant input */
    size_t count;
    int64_t parts; /* num_outputs; 0: as many as the node has outputs, evenly */
};

/* Slice: one entry for each of starts; axes not given: 0, 1, ...; steps not given: all 1. */
struct ox_slice_params {
    struct ox_ints starts, ends, axes, steps;
};

enum ox_pad_mode { OX_PAD_CONSTANT, OX_PAD_REFLECT, OX_PAD_EDGE, OX_PAD_WRAP };

struct ox_pad_params {
    enum ox_pad_mode mode;
    bool known; /* pads are filled in */
    int n;      /* pads: the first n / 2 are begins, then as many ends */
    int64_t pads[2 * OX_MAX_RANK];
    struct ox_ints axes; /* not given: all */
    bool has_value;      /* `value` is from an attribute (before opset 11); else input 2 */
    float value;
};

#endif
