/* backend/blob/step_params.h - parameter records of native steps, as they lie in a blob:
 * little-endian, fixed-size fields, no padding that the compiler chooses (each struct's size is a
 * multiple of 8 and asserted), 8-byte aligned in the file.
 *
 * Nothing in a record may be believed before its check function has seen it. A field that has been
 * released keeps its meaning: new meanings are new kinds. */
#ifndef OX_BACKEND_BLOB_STEP_PARAMS_H
#define OX_BACKEND_BLOB_STEP_PARAMS_H

#include <stdint.h>

enum { OX_STEP_RANK_MAX = 8 }; /* native steps know no tensor of a higher rank */

/* out = in with its axes permuted: out.dims[i] = in.dims[perm[i]]. Any element type of whole bytes.
 */
struct ox_step_transpose_params {
    uint32_t rank;
    uint8_t perm[OX_STEP_RANK_MAX];
    uint32_t zero;
};

/* uint8 q to int8 q - 128 (the same bits with the top one flipped) or back. */
struct ox_step_shift_params {
    uint32_t to_signed; /* 1: uint8 to int8; 0: int8 to uint8 */
    uint32_t zero;
};

/* Joins operands along an axis. */
struct ox_step_concat_params {
    uint32_t axis;
    uint32_t zero;
};

/* int8: real = scale * (q - zero). */
struct ox_step_quant {
    float scale;
    int32_t zero;
};

/* Mean over the spatial dims of N,spatial...,C; the result is N,1...,C. Float, or int8 by these
 * scales (unused for float). */
struct ox_step_mean_params {
    struct ox_step_quant in, out;
};

/* Elements of one byte, each replaced by the entry of operand 1 (256 bytes) that its bits name; the
 * result's type is operand 1's. */
struct ox_step_table_params {
    uint64_t zero;
};

/* Sliding window over N,H,W,C, or over N,L,C as if H were 1. */
struct ox_step_window {
    uint32_t kernel[2], stride[2], dilation[2]; /* down, across */
    uint32_t top, right, bottom, left;          /* padding */
};

/* What a sum goes through where it is not clamped; the bounds are infinite then. */
enum ox_step_act {
    OX_STEP_ACT_NONE,
    OX_STEP_ACT_SIGMOID,
    OX_STEP_ACT_SWISH /* x * sigmoid(x) */,
    OX_STEP_ACT_HARDSWISH,
    OX_STEP_ACTS
};

/* Operands: data; filter [O,kh,kw,C/groups], or [1,kh,kw,O] where depthwise is 1 (then groups ==
 * C); bias [O]; a tensor like the result, which is added to it before the clamp. */
struct ox_step_conv_params {
    struct ox_step_window window;
    uint32_t groups, depthwise;
    float low, high; /* the result is clamped */
    uint32_t act, zero;
};

/* Operands: data; filter as above, int8, zero point 0; a scale for each of O; bias [O], int32 in
 * units of in.scale * its scale. */
struct ox_step_conv_s8_params {
    struct ox_step_window window;
    uint32_t groups, depthwise;
    struct ox_step_quant in, out;
    int32_t low, high; /* the result is clamped */
};

/* Operands: data [...,K]; weights [N,K]; bias [N]; a tensor like the result, which is added to it
 * before the clamp. The result is [...,N]. */
struct ox_step_dense_params {
    float low, high;
    uint32_t act, zero;
};

/* As conv_s8. */
struct ox_step_dense_s8_params {
    struct ox_step_quant in, out;
    int32_t low, high;
};

/* As dense_s8, but the result is float, and the bias too. */
struct ox_step_dense_s8f_params {
    struct ox_step_quant in;
    float low, high;
};

/* Product of the last two dims, the others broadcast; rank >= 2 both. */
struct ox_step_matmul_params {
    uint32_t transposed_b; /* operand 1 is [...,N,K] */
    uint32_t zero;
};

enum ox_step_pool_mode {
    OX_STEP_POOL_MAX,
    OX_STEP_POOL_AVERAGE /* of what is not padding; float only */
};
/* bottom and right padding may make the window end later than needed (ceil_mode). Dilation and
 * padding exclude each other. */
struct ox_step_pool_params {
    struct ox_step_window window;
    uint32_t mode, zero;
};
/* XNNPACK 2024-11 finds an element to stand for a padded one only where the window is dense, or the
 * padding such that the result has the size of the data: elsewhere it reads outside of it. */
static inline int ox_step_pool_strays(const struct ox_step_pool_params *p) {
    const struct ox_step_window *w = &p->window;
    return (w->dilation[0] > 1 || w->dilation[1] > 1) &&
           (w->top || w->right || w->bottom || w->left);
}

enum ox_step_binary_op {
    OX_STEP_ADD,
    OX_STEP_SUB,
    OX_STEP_MUL,
    OX_STEP_DIV,
    OX_STEP_MAX,
    OX_STEP_MIN,
    OX_STEP_BINARY_OPS
};
/* With broadcasting. */
struct ox_step_binary_params {
    uint32_t op, zero;
};

/* ADD, SUB and MUL of int8. */
struct ox_step_binary_s8_params {
    uint32_t op, zero;
    struct ox_step_quant a, b, out;
};

enum ox_step_unary_op {
    OX_STEP_CLAMP,
    OX_STEP_ABS,
    OX_STEP_ROUND,
    OX_STEP_CEIL,
    OX_STEP_FLOOR,
    OX_STEP_ELU,
    OX_STEP_GELU,
    OX_STEP_HARDSWISH,
    OX_STEP_LEAKY_RELU,
    OX_STEP_LOG,
    OX_STEP_NEG,
    OX_STEP_SIGMOID,
    OX_STEP_SQRT,
    OX_STEP_TANH,
    OX_STEP_UNARY_OPS
};
struct ox_step_unary_params {
    uint32_t op, zero;
    float low, high; /* CLAMP: bounds; ELU, LEAKY_RELU: low is alpha */
};

/* Elementwise operators that are computed together: X(number, name); the numbers are part of the
 * format. Those of ir/ops, by their names. */
/* clang-format off */
#define OX_STEP_CHAIN_UNARY(X) \
    X(0, Abs) X(1, Ceil) X(2, Celu) X(3, Cos) X(4, Elu) X(5, Erf) X(6, Exp) X(7, Floor) \
    X(8, Gelu) X(9, HardSigmoid) X(10, HardSwish) X(11, LeakyRelu) X(12, Log) X(13, Mish) \
    X(14, Neg) X(15, Reciprocal) X(16, Relu) X(17, Round) X(18, Selu) X(19, Sigmoid) X(20, Sign) \
    X(21, Sin) X(22, Softplus) X(23, Softsign) X(24, Sqrt) X(25, Swish) X(26, Tanh) \
    X(27, ThresholdedRelu)
/* clang-format on */
#define OX_STEP_CHAIN_BINARY(X) X(64, Add) X(65, Div) X(66, Mul) X(67, Pow) X(68, PRelu) X(69, Sub)
#define OX_STEP_CHAIN_VARIADIC(X) X(80, Max) X(81, Min)

enum { OX_STEP_CHAIN_OPS = 12, OX_STEP_CHAIN_NUMBERS = 16, OX_STEP_CHAIN_INPUTS = 16 };
/* An operand is an operand of the step, a number of the record, or the result of an operation
 * before. */
enum {
    OX_STEP_CHAIN_NUMBER = OX_STEP_CHAIN_INPUTS,
    OX_STEP_CHAIN_RESULT = OX_STEP_CHAIN_NUMBER + OX_STEP_CHAIN_NUMBERS
};
struct ox_step_chain_op {
    uint8_t op, a, b,
        mode;          /* b: 0 of operators with one operand; mode: 1 is the tanh form of Gelu */
    float alpha, beta; /* what the operator has as attributes */
};
/* Floats of any number of dims, with broadcasting. The last operation's result is the step's. */
struct ox_step_chain_params {
    uint32_t n_ops, n_numbers;
    float numbers[OX_STEP_CHAIN_NUMBERS];
    struct ox_step_chain_op ops[OX_STEP_CHAIN_OPS];
};

/* softmax(scale * Q K^T + mask) V. Operands: Q [batch, heads, rows, size], K, V, and a mask (or
 * nothing) that broadcasts to [batch, heads, rows of Q, rows of K]; the first dim may lack in Q, K
 * and V. Those whose bit in rows_first is set are [batch, rows, heads, size]. */
enum { OX_STEP_ATTENTION_RESULT = 8 /* bit of the result; 1, 2 and 4: Q, K, V */ };
struct ox_step_attention_params {
    uint32_t rows_first;
    float scale;
};

/* Entries of the last dim in another order, or some of them: out[.., i] = in[.., operand 1 [i]],
 * which is a constant int32 [n]. Floats. */
struct ox_step_channels_params {
    uint64_t zero;
};

/* Operands: factors [C], shifts [C], and tensors that are joined over the last dim to one of C
 * channels, times the factors plus the shifts. */
struct ox_step_scale_params {
    float low, high; /* the result is clamped */
};

enum ox_step_cell { OX_STEP_LSTM, OX_STEP_GRU, OX_STEP_CELLS };
/* LSTM and GRU as the standard has them, with their usual functions and layout 0. Operands: X
 * [steps, batch, inputs]; W [directions, gates * hidden, inputs] and R [directions, gates * hidden,
 * hidden], constants; B [directions, 2 * gates * hidden], constant, or nothing; the first h and
 * (LSTM) c [directions, batch, hidden], or nothing: zeros. Results: Y [steps, directions, batch,
 * hidden], the last h, and (LSTM) the last c. */
struct ox_step_recurrent_params {
    uint32_t cell, directions; /* 1 or 2 */
    uint32_t backwards;        /* of a single direction: 1 */
    uint32_t linear_reset;     /* GRU: 1 is linear_before_reset */
};

/* Over the last dim. */
struct ox_step_softmax_params {
    uint64_t zero;
};

enum ox_step_coords { OX_STEP_HALF_PIXEL, OX_STEP_ALIGN_CORNERS, OX_STEP_ASYMMETRIC };
/* Bilinear, of N,H,W,C, to H x W; float or int8. */
struct ox_step_resize_params {
    uint32_t height, width, coords, zero;
};

/* Float to int8, and back. */
struct ox_step_quantize_params {
    struct ox_step_quant out;
};
struct ox_step_dequantize_params {
    struct ox_step_quant in;
};

_Static_assert(sizeof(struct ox_step_concat_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_mean_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_table_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_conv_params) == 64, "part of the format");
_Static_assert(sizeof(struct ox_step_conv_s8_params) == 72, "part of the format");
_Static_assert(sizeof(struct ox_step_dense_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_dense_s8_params) == 24, "part of the format");
_Static_assert(sizeof(struct ox_step_dense_s8f_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_matmul_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_pool_params) == 48, "part of the format");
_Static_assert(sizeof(struct ox_step_binary_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_binary_s8_params) == 32, "part of the format");
_Static_assert(sizeof(struct ox_step_unary_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_chain_params) == 216, "part of the format");
_Static_assert(sizeof(struct ox_step_attention_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_channels_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_scale_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_recurrent_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_softmax_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_resize_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_quantize_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_dequantize_params) == 8, "part of the format");
_Static_assert(sizeof(struct ox_step_transpose_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_shift_params) == 8, "part of the format");

#endif
