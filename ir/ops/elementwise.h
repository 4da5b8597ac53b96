/* ir/ops/elementwise.h - parameters of the operators that work element by element, and the tables
 * by which the shared functions of a family tell its rows apart. */
#ifndef OX_IR_OPS_ELEMENTWISE_H
#define OX_IR_OPS_ELEMENTWISE_H

#include "ir/ops/broadcast.h"
#include "ir/ops/convert.h"

/* clang-format off */
#define OX_UNARY_LIST(X) \
    X(Abs) X(Acos) X(Acosh) X(Asin) X(Asinh) X(Atan) X(Atanh) X(BitwiseNot) X(Ceil) X(Celu) \
    X(Cos) X(Cosh) X(Elu) X(Erf) X(Exp) X(Floor) X(Gelu) X(HardSigmoid) X(HardSwish) X(IsInf) \
    X(IsNaN) X(LeakyRelu) X(Log) X(Mish) X(Neg) X(Not) X(Reciprocal) X(Relu) X(Round) X(Selu) \
    X(Shrink) X(Sigmoid) X(Sign) X(Sin) X(Sinh) X(Softplus) X(Softsign) X(Sqrt) X(Swish) X(Tan) X(Tanh) \
    X(ThresholdedRelu)
#define OX_BINARY_LIST(X) \
    X(Add) X(And) X(BitShift) X(BitwiseAnd) X(BitwiseOr) X(BitwiseXor) X(Div) X(Equal) \
    X(Greater) X(GreaterOrEqual) X(Less) X(LessOrEqual) X(Mod) X(Mul) X(Or) X(PRelu) X(Pow) \
    X(Sub) X(Xor)
/* clang-format on */

enum ox_unary_op {
#define X(name) OX_UN_##name,
    OX_UNARY_LIST(X)
#undef X
        OX_UNARY_COUNT
};

enum ox_binary_op {
#define X(name) OX_BI_##name,
    OX_BINARY_LIST(X)
#undef X
        OX_BINARY_COUNT
};

/* One input, one output of the same shape. The meaning of alpha and beta is the operator's; for
 * those whose attributes have other names (Selu's gamma, Shrink's bias and lambd) the table says
 * which is which. */
struct ox_unary_params {
    float alpha, beta;
    int mode; /* Gelu: 1 is the tanh form; IsInf: bit 0 negative, bit 1 positive */
};

/* Before opset 7 the second operand was aligned to the first at `axis`, and only on request. */
struct ox_binary_params {
    bool legacy;    /* opset below 7: the rules of the next two fields hold */
    bool broadcast; /* attribute `broadcast` */
    bool has_axis;
    int64_t axis;
    int mode; /* Mod: attribute fmod; BitShift: 1 is right */
};

struct ox_variadic_params {
    bool same_shapes; /* before opset 8 there was no broadcasting */
};

struct ox_cast_params {
    ox_dtype to;
    struct ox_cast_rules rules;
};

struct ox_bitcast_params {
    ox_dtype to;
};

struct ox_swiglu_params {
    float alpha;
};

struct ox_castlike_params {
    struct ox_cast_rules rules;
};

struct ox_clip_params {
    bool has_min, has_max;     /* the bound is there */
    bool min_known, max_known; /* and is constant: then it is min, max */
    double min, max;
};

struct ox_dropout_params {
    float ratio; /* attribute, before opset 12 */
    enum { OX_TRAINING_NO, OX_TRAINING_YES, OX_TRAINING_UNKNOWN } training;
};

/* A row of the unary family. Kernels get a pointer to ox_unary_params as `arg`. */
struct ox_unary_kind {
    uint32_t types;           /* element types it takes: bit d is dtype d */
    ox_dtype out;             /* element type of the result; OX_UNDEFINED: that of the input */
    int cost;                 /* nanoseconds an element */
    ox_loop_fn f32, f64;      /* 16-bit floats go through f32 */
    const ox_loop_fn *ints;   /* by ox_int_index, or NULL */
    const char *alpha, *beta; /* attribute names, NULL: none */
    float alpha_dflt, beta_dflt;
    ox_status (*more)(struct ox_unary_params *p,
                      const struct ox_call *call); /* rest of decode, or NULL */
    ox_status (*partial)(ox_dim *out, struct ox_dims *dims,
                         ox_dim a); /* on integers known in part, or NULL */
};

struct ox_binary_kind {
    uint32_t types;
    ox_dtype out;
    int cost;
    ox_loop_fn f32, f64;
    const ox_loop_fn *ints;
    ox_status (*partial)(ox_dim *out, struct ox_dims *dims, ox_dim a,
                         ox_dim b); /* on integers known in part, or NULL */
    ox_status (*more)(struct ox_binary_params *p,
                      const struct ox_call *call); /* rest of decode, or NULL */
    bool one_way; /* the second operand is broadcast to the first, never the other way */
};

/* Max, Mean, Min and Sum: of any number of inputs, two at a time. */
struct ox_variadic_kind {
    uint32_t types;
    ox_loop_fn f32, f64;
    const ox_loop_fn *ints;
    bool mean; /* divide by the number of inputs in the end */
    ox_status (*partial)(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
};
enum ox_variadic_op { OX_VA_Max, OX_VA_Mean, OX_VA_Min, OX_VA_Sum, OX_VARIADIC_COUNT };

/* Position of an integer type in a table of eight kernels: int8, int16, int32, int64, then
 * unsigned; bool counts as uint8; -1 for others. */
static inline int ox_int_index(ox_dtype dtype) {
    switch (dtype) {
    case OX_INT8:
        return 0;
    case OX_INT16:
        return 1;
    case OX_INT32:
        return 2;
    case OX_INT64:
        return 3;
    case OX_BOOL:
    case OX_UINT8:
        return 4;
    case OX_UINT16:
        return 5;
    case OX_UINT32:
        return 6;
    case OX_UINT64:
        return 7;
    default:
        return -1;
    }
}

extern const struct ox_unary_kind ox_unary_kinds[OX_UNARY_COUNT];
extern const struct ox_variadic_kind ox_variadic_kinds[OX_VARIADIC_COUNT];
extern const struct ox_binary_kind ox_binary_kinds[OX_BINARY_COUNT];

#endif
