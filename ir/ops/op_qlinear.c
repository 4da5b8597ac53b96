/* ir/ops/op_qlinear.c - the operators of com.microsoft that are a float operator between
 * DequantizeLinear and QuantizeLinear: QLinearAdd and its relatives. They are computed as just
 * that.
 *
 * Data comes in triples of codes, scale and zero point; a zero point may be absent and is 0 then.
 * Scales and zero points are single numbers. */
#include "ir/ops/op_quantize.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/recipe.h"

#define BYTES (OX_BIT(OX_INT8) | OX_BIT(OX_UINT8))

ox_status ox_decode_qlinear(const struct ox_call *call, void *params) {
    struct ox_qlinear_params *p = params;
    int64_t last;
    OX_TRY(ox_attr_int(&last, call, "channels_last", 0));
    OX_TRY(ox_attr_int(&p->opset, call, "opset", OX_RECIPE_OPSET));
    p->channels_last = last != 0;
    if (p->opset < 1 || p->opset > OX_OPSET_MAX)
        return ox_bad_attr(call, "opset is %lld, which %s is not known in", (long long)p->opset,
                           call->op->name);
    return OX_OK;
}

/* The triple at input i as floats. */
static ox_v floats(struct ox_recipe *r, size_t i) {
    ox_v x = ox_rc_need(r, i), scale = ox_rc_need(r, i + 1), zp = ox_rc_in(r, i + 2);
    if (!ox_rc_ok(r, ox_expect_dtype(r->call, i, ox_rc_dtype(r, x), BYTES))) return OX_NO_V;
    ox_rc_expect_one(r, i + 1, scale);
    return OX_RC(r, "DequantizeLinear", x, scale, zp);
}

/* Floats as codes of the scale and zero point at input i; codes are of the type of `like` where
 * there is no zero point. */
static ox_v codes(struct ox_recipe *r, ox_v v, size_t i, ox_dtype like) {
    ox_v scale = ox_rc_need(r, i), zp = ox_rc_in(r, i + 1);
    ox_rc_expect_one(r, i, scale);
    if (zp >= 0 && !ox_rc_ok(r, ox_expect_same_dtype(r->call, 0, like, i + 1, ox_rc_dtype(r, zp))))
        return OX_NO_V;
    if (zp < 0) {
        if (like == OX_UNDEFINED) ox_rc_stop(r);
        ox_rc_int(r, "output_dtype", (int64_t)like);
    }
    return OX_RC(r, "QuantizeLinear", v, scale, zp);
}

static void elementwise(struct ox_recipe *r, const char *op, size_t n) {
    ox_v in[2] = {OX_NO_V, OX_NO_V};
    for (size_t i = 0; i < n; i++)
        in[i] = floats(r, 3 * i);
    ox_rc_pass(r, "alpha"); /* LeakyRelu */
    ox_dtype dtype = ox_rc_dtype(r, ox_rc_in(r, 0));
    if (n > 1 &&
        !ox_rc_ok(r, ox_expect_same_dtype(r->call, 0, dtype, 3, ox_rc_dtype(r, ox_rc_in(r, 3)))))
        return;
    ox_rc_out(r, 0, codes(r, ox_rc_step(r, op, n, in), 3 * n, dtype));
}

static void add(struct ox_recipe *r, const void *params) {
    (void)params;
    elementwise(r, "Add", 2);
}
static void mul(struct ox_recipe *r, const void *params) {
    (void)params;
    elementwise(r, "Mul", 2);
}
static void leaky_relu(struct ox_recipe *r, const void *params) {
    (void)params;
    elementwise(r, "LeakyRelu", 1);
}
static void sigmoid(struct ox_recipe *r, const void *params) {
    (void)params;
    elementwise(r, "Sigmoid", 1);
}

static void pool(struct ox_recipe *r, const void *params) {
    static const char *const passed[] = {"auto_pad",     "ceil_mode", "count_include_pad",
                                         "kernel_shape", "pads",      "strides"};
    const struct ox_qlinear_params *p = params;
    bool global = ox_rc_variant(r);
    ox_v x = floats(r, 0);
    if (p->channels_last) x = ox_rc_channels_first(r, x);
    for (size_t i = 0; !global && i < sizeof passed / sizeof *passed; i++)
        ox_rc_pass(r, passed[i]);
    ox_v y = OX_RC(r, global ? "GlobalAveragePool" : "AveragePool", x);
    if (p->channels_last) y = ox_rc_channels_last(r, y);
    ox_rc_out(r, 0, codes(r, y, 3, ox_rc_dtype(r, ox_rc_in(r, 0))));
}

static void reduce_mean(struct ox_recipe *r, const void *params) {
    enum { AXES_ARE_ATTRIBUTE = 13 };
    (void)params;
    ox_v x = floats(r, 0);
    ox_rc_pass(r, "axes");
    ox_rc_pass(r, "keepdims");
    r->opset = AXES_ARE_ATTRIBUTE;
    ox_v y = OX_RC(r, "ReduceMean", x);
    r->opset = OX_RECIPE_OPSET;
    ox_rc_out(r, 0, codes(r, y, 3, ox_rc_dtype(r, ox_rc_in(r, 0))));
}

static void softmax(struct ox_recipe *r, const void *params) {
    const struct ox_qlinear_params *p = params;
    ox_v x = floats(r, 0);
    ox_rc_pass(r, "axis");
    r->opset = (int)p->opset;
    ox_v y = OX_RC(r, "Softmax", x);
    r->opset = OX_RECIPE_OPSET;
    ox_rc_out(r, 0, codes(r, y, 3, ox_rc_dtype(r, ox_rc_in(r, 0))));
}

static void where(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v x = floats(r, 1), y = floats(r, 4), z = OX_RC(r, "Where", ox_rc_need(r, 0), x, y);
    ox_rc_out(r, 0, codes(r, z, 7, ox_rc_dtype(r, ox_rc_in(r, 1))));
}

/* Inputs: scale and zero point of the output, then triples. */
static void concat(struct ox_recipe *r, const void *params) {
    enum { MOST = 100 };
    ox_v in[MOST];
    size_t n = (r->call->n_in - 2) / 3;
    (void)params;
    if (r->call->n_in % 3 != 2 || n > MOST) {
        ox_rc_ok(r, ox_fail(r->call->ctx, OX_INVALID, "wrong-arity", NULL,
                            "%s has %zu inputs, expected two and then up to %d triples",
                            r->call->op->name, r->call->n_in, MOST));
        return;
    }
    for (size_t i = 0; i < n; i++)
        in[i] = floats(r, 2 + 3 * i);
    ox_rc_pass(r, "axis");
    ox_v y = ox_rc_step(r, "Concat", n, in);
    ox_rc_out(r, 0, codes(r, y, 0, ox_rc_dtype(r, ox_rc_need(r, 1))));
}

/* As in the standard's domain, but the data may have its channels last (the weight has not). */
static void conv(struct ox_recipe *r, const void *params) {
    static const char *const passed[] = {"auto_pad",     "dilations", "group",
                                         "kernel_shape", "pads",      "strides"};
    const struct ox_qlinear_params *p = params;
    ox_v in[9];
    size_t n = r->call->n_in;
    for (size_t i = 0; i < n; i++)
        in[i] = ox_rc_in(r, i);
    if (p->channels_last) in[0] = ox_rc_channels_first(r, in[0]);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        ox_rc_pass(r, passed[i]);
    ox_v y = ox_rc_step(r, "QLinearConv", n, in);
    ox_rc_out(r, 0, p->channels_last ? ox_rc_channels_last(r, y) : y);
}

const struct ox_recipe_kind ox_qlinear_recipes[OX_QLINEAR_COUNT] = {
    [OX_QLINEAR_ADD] = {add, 0},          [OX_QLINEAR_AVERAGE_POOL] = {pool, 0},
    [OX_QLINEAR_CONCAT] = {concat, 0},    [OX_QLINEAR_CONV] = {conv, 0},
    [OX_QLINEAR_GLOBAL_POOL] = {pool, 1}, [OX_QLINEAR_LEAKY_RELU] = {leaky_relu, 0},
    [OX_QLINEAR_MUL] = {mul, 0},          [OX_QLINEAR_REDUCE_MEAN] = {reduce_mean, 0},
    [OX_QLINEAR_SIGMOID] = {sigmoid, 0},  [OX_QLINEAR_SOFTMAX] = {softmax, 0},
    [OX_QLINEAR_WHERE] = {where, 0},
};
