/* backend/native/lower_util.h - what lowering functions ask of values and nodes, and constants that
 * they make. */
#ifndef OX_BACKEND_NATIVE_LOWER_UTIL_H
#define OX_BACKEND_NATIVE_LOWER_UTIL_H

#include "backend/native/lower.h"
#include "ir/ops/params.h"

#include <math.h>
#include <stddef.h>

#define LOWER(domain, op, function)                                                                \
    ox_status ox_lower_##function(struct ox_lower *lo, const struct ox_node *node, bool *claimed);
#include "backend/native/lower.def"
#undef LOWER

/* Room for the parameters of any operator. */
union ox_lower_room {
    char bytes[OX_PARAMS_MAX];
    max_align_t align;
};
/* What the row's decode makes of a node; false: it cannot (said in passes already). */
bool ox_lower_decode(union ox_lower_room *params, struct ox_lower *lo, const struct ox_node *node);

static inline ox_dtype ox_lower_dtype(const struct ox_value *v) {
    return v && ox_type_is_tensor(v->type) ? v->type->dtype : OX_UNDEFINED;
}
static inline int ox_lower_rank(const struct ox_value *v) {
    return v && ox_type_is_tensor(v->type) ? v->type->rank : -1;
}
/* Dim i, or -1. */
static inline int64_t ox_lower_dim(const struct ox_value *v, int i) {
    return i < ox_lower_rank(v) && ox_dim_is_const(v->type->dims[i]) ? v->type->dims[i].k : -1;
}
/* The node of the standard's operator `type` that makes v as its first output, or NULL. */
const struct ox_node *ox_lower_maker(const struct ox_value *v, const char *type);
static inline bool ox_lower_sole(const struct ox_value *v) {
    return v && v->n_uses == 1;
}

/* Channels last where somebody behind reads it so, else plain. */
unsigned ox_lower_followed(struct ox_lower *lo, const struct ox_value *v);

/* A constant, also one behind a DequantizeLinear (then computed now); *out, counted, is NULL where
 * v is neither. */
OX_MUST_USE ox_status ox_lower_float_const(ox_tensor **out, struct ox_lower *lo,
                                           const struct ox_value *v);
/* A single float, or false. */
bool ox_lower_scalar(float *out, struct ox_lower *lo, const struct ox_value *v);
/* A constant with the axes of `t` permuted. */
OX_MUST_USE ox_status ox_lower_permuted(ox_tensor **out, struct ox_lower *lo, const ox_tensor *t,
                                        const int *perm);

/* An 8-bit value behind a float one: real = scale * (int8 - zero), the int8 in `form` (|
 * OX_FORM_LAST where wished). */
struct ox_lower_quant {
    const struct ox_value *value;
    struct ox_step_quant q;
    unsigned form; /* OX_FORM_PLAIN or OX_FORM_SHIFTED (uint8) */
};
/* v is dequantized by one scale and zero point. */
bool ox_lower_dequantized(struct ox_lower_quant *out, struct ox_lower *lo,
                          const struct ox_value *v);
/* node is a QuantizeLinear to 8 bits by one scale and zero point; value is its result. */
bool ox_lower_quantizer(struct ox_lower_quant *out, struct ox_lower *lo,
                        const struct ox_node *node);
/* Constant int8 weights, zero point 0, with one scale each entry of axis (or one for all): *w
 * counted, int8; *scales counted, float[n]. Both NULL where v is not such a thing. */
OX_MUST_USE ox_status ox_lower_weights(ox_tensor **w, ox_tensor **scales, struct ox_lower *lo,
                                       const struct ox_value *v, int axis);
/* Bias as int32 in units of in * scales[i]; *out stays NULL where v is absent; *fits false where v
 * is no constant of n (or 1) values. */
OX_MUST_USE ox_status ox_lower_int_bias(ox_tensor **out, bool *fits, struct ox_lower *lo,
                                        const struct ox_value *v, float in,
                                        const ox_tensor *scales);
/* Can products with these scales be computed in int8? */
bool ox_lower_factors_fit(float in, const ox_tensor *scales, float out);

/* Elementwise operators between one 8-bit value and a QuantizeLinear, as a table. */
OX_MUST_USE ox_status ox_lower_table(struct ox_lower *lo, const struct ox_node *node,
                                     const struct ox_lower_quant *q, bool *claimed);

/* What only moves elements moves 8-bit ones as well, between a DequantizeLinear and a
 * QuantizeLinear by the same scale or another. */
OX_MUST_USE ox_status ox_lower_moved(struct ox_lower *lo, const struct ox_node *node,
                                     const struct ox_lower_quant *q, bool *claimed);
/* int8 to int8 of another scale, as a table; *out is `in` where both are the same. */
OX_MUST_USE ox_status ox_lower_requantize(ox_operand *out, struct ox_lower *lo,
                                          const struct ox_node *node, ox_operand in,
                                          struct ox_step_quant from, struct ox_step_quant to);

/* A BatchNormalization of joined tensors, some of which are 8-bit. */
OX_MUST_USE ox_status ox_lower_norm8(struct ox_lower *lo, const struct ox_node *node,
                                     const struct ox_lower_quant *q, bool *claimed);
/* Factors and shifts of n channels ([n], counted); both NULL where something is not constant. */
OX_MUST_USE ox_status ox_lower_fold_norm(ox_tensor **w, ox_tensor **bias, struct ox_lower *lo,
                                         const struct ox_node *norm, double epsilon, int64_t n);

/* A clamp behind a product: bounds of Relu or Clip node `act` (NULL: none). False: not constant. */
bool ox_lower_bounds(float *low, float *high, struct ox_lower *lo, const struct ox_node *act);
/* The same in the integers of a result; false where nothing would be left. */
bool ox_lower_int_bounds(int32_t *low, int32_t *high, struct ox_lower *lo,
                         const struct ox_node *act, struct ox_step_quant out);

/* Products with an addition and an activation behind, claimed together at `last`, whose first
 * output they make. With q, the result is int8. `add` is what is added, of the dims of the result;
 * it and `act` may be NULL. fn and q do not meet. */
struct ox_lower_tail {
    const struct ox_node *last, *act;
    const struct ox_lower_quant *q;
    const struct ox_value *add;
    uint32_t fn; /* enum ox_step_act, with no act */
};
OX_MUST_USE ox_status ox_lower_conv_tail(struct ox_lower *lo, const struct ox_node *conv,
                                         const struct ox_lower_tail *tail, bool *claimed);
/* A BatchNormalization by constants: a factor and a shift for each channel. */
OX_MUST_USE ox_status ox_lower_norm_tail(struct ox_lower *lo, const struct ox_node *norm,
                                         const struct ox_lower_tail *tail, bool *claimed);
OX_MUST_USE ox_status ox_lower_dense_tail(struct ox_lower *lo, const struct ox_node *dense,
                                          const struct ox_lower_tail *tail, bool *claimed);

/* An Add of a product that nobody else reads and a tensor of the same dims. `tail` says what comes
 * behind the Add. */
OX_MUST_USE ox_status ox_lower_sum_tail(struct ox_lower *lo, const struct ox_node *sum,
                                        const struct ox_lower_tail *tail, bool *claimed);

/* What the activation `node` is applied to, if nobody else reads that; else NULL. *act: enum
 * ox_step_act. */
const struct ox_value *ox_lower_act_of(uint32_t *act, struct ox_lower *lo,
                                       const struct ox_node *node);
/* The activation of x that ends in `node`, together with the product that makes x. */
OX_MUST_USE ox_status ox_lower_act_tail(struct ox_lower *lo, const struct ox_node *node,
                                        const struct ox_value *x, uint32_t act, bool *claimed);

/* Window of a pool or convolution over 1 or 2 dims; false: of another rank, or SAME padding that
 * depends on unknown dims. `v` is the data. */
bool ox_lower_window(struct ox_step_window *out, struct ox_lower *lo, const struct ox_node *node,
                     const struct ox_window *w, const struct ox_value *v, const int64_t *kernel);

/* A pool that suits, or why not (static text). */
struct ox_lower_pool {
    struct ox_step_pool_params p;
};
const char *ox_lower_pool_look(struct ox_lower_pool *out, struct ox_lower *lo,
                               const struct ox_node *node);
bool ox_lower_pool_ceil(struct ox_step_window *w, const struct ox_node *node,
                        const struct ox_value *x);
/* A mean over all spatial dims of floats, which stay as dims of 1. */
bool ox_lower_is_mean(struct ox_lower *lo, const struct ox_node *node);
/* Where axis `axis` (maybe negative) of `rank` stands in a form. */
uint32_t ox_lower_axis_in(int64_t axis, int rank, unsigned form);

/* Makes operands of a weight's scales and bias (NULL: absent). Both counts are taken over whatever
 * `status`, that of the step before, is; it is returned where it is a failure. */
OX_MUST_USE ox_status ox_lower_scales_and_bias(ox_operand *scales_in, ox_operand *bias_in,
                                               struct ox_lower *lo, ox_status status,
                                               ox_tensor *scales, ox_tensor *bias);

#endif
