/* ir/ops/op_shape.h - parameters of the operators that make, read or change shapes. */
#ifndef OX_IR_OPS_OP_SHAPE_H
#define OX_IR_OPS_OP_SHAPE_H

#include "ir/ops/op_args.h"

/* Shape: the dims [start, end), as written: negative counts from the back, then clamped. */
struct ox_shape_params {
    int64_t start, end; /* end is INT64_MAX when absent */
};

struct ox_reshape_params {
    struct ox_ints shape; /* attribute before opset 5, then input 1 */
    bool allowzero;
};

struct ox_flatten_params {
    int64_t axis; /* as written */
};

/* Squeeze and Unsqueeze: the axes as written; unknown while they are an input that is not constant.
 */
struct ox_squeeze_params {
    struct ox_ints axes;
};
struct ox_unsqueeze_params {
    struct ox_ints axes;
};

/* Constant: the one attribute that holds the value. */
struct ox_constant_params {
    const struct ox_attr *value;
};

struct ox_constant_of_shape_params {
    const ox_tensor *value; /* one element; NULL: float 0 */
};

struct ox_eye_like_params {
    ox_dtype dtype; /* OX_UNDEFINED: the input's */
    int64_t k;
};

#endif
