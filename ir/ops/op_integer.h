/* ir/ops/op_integer.h - parameters of the operators that compute on quantized integers. */
#ifndef OX_IR_OPS_OP_INTEGER_H
#define OX_IR_OPS_OP_INTEGER_H

#include "ir/ops/op_conv.h"
#include "ir/ops/recipe.h"

/* QLinear forms of float operators (com.microsoft). */
struct ox_qlinear_params {
    bool channels_last; /* pools and convolutions */
    int64_t opset;      /* whose Softmax it is */
};
enum {
    OX_QLINEAR_ADD,
    OX_QLINEAR_AVERAGE_POOL,
    OX_QLINEAR_CONCAT,
    OX_QLINEAR_CONV,
    OX_QLINEAR_GLOBAL_POOL,
    OX_QLINEAR_LEAKY_RELU,
    OX_QLINEAR_MUL,
    OX_QLINEAR_REDUCE_MEAN,
    OX_QLINEAR_SIGMOID,
    OX_QLINEAR_SOFTMAX,
    OX_QLINEAR_WHERE,
    OX_QLINEAR_COUNT
};
extern const struct ox_recipe_kind ox_qlinear_recipes[OX_QLINEAR_COUNT];

struct ox_integer_conv_params {
    struct ox_conv_params conv;
};

struct ox_integer_matmul_params {
    char unused; /* decode only checks */
};

/* Where the inputs of a row are; 0: it has no such input (input 0 is the data). */
struct ox_integer_kind {
    size_t x_scale, x_zp, w, w_scale, w_zp, y_scale, y_zp, bias;
};
extern const struct ox_integer_kind ox_integer_kinds[2]; /* the integer form, the QLinear form */
enum { OX_INT_PLAIN, OX_INT_QLINEAR };

#endif
