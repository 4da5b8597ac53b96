/* passes/quantize/quant_rules.c - the role of each node in quantization.
 *
 * The operator table's class decides; the small table here adds what only int8 kernels of ONNX
 * Runtime and XNNPACK can tell: which elementwise operators have one, and how the weights of the
 * weighted ones lie. */
#include "passes/quantize/quant_plan.h"

#include "ir/ops/params.h"
#include <stdalign.h>

enum shape_of_weight { NO_WEIGHT, CONV, CONV_TRANSPOSE, GEMM, MATMUL };

static const struct rule {
    const char *op;
    enum ox_qrole role;
    enum shape_of_weight weight;
    bool float_out; /* float output without leaving int8 */
    int since;      /* first opset in which the operator takes 8-bit integers */
} rules[] = {
    /* clang-format off */
    {"Add",               OX_QROLE_ELTWISE, NO_WEIGHT,      false, 1},
    {"AveragePool",       OX_QROLE_ELTWISE, NO_WEIGHT,      false, 1},
    {"Concat",            OX_QROLE_UNIFY,   NO_WEIGHT,      false, 4},
    {"Conv",              OX_QROLE_WEIGHT,  CONV,           false, 1},
    {"ConvTranspose",     OX_QROLE_WEIGHT,  CONV_TRANSPOSE, false, 1},
    {"Gemm",              OX_QROLE_WEIGHT,  GEMM,           true,  1},
    {"GlobalAveragePool", OX_QROLE_ELTWISE, NO_WEIGHT,      false, 1},
    {"LeakyRelu",         OX_QROLE_ELTWISE, NO_WEIGHT,      false, 1},
    {"MatMul",            OX_QROLE_WEIGHT,  MATMUL,         true,  1},
    {"MaxPool",           OX_QROLE_MOVE,    NO_WEIGHT,      false, 12},
    {"Mul",               OX_QROLE_ELTWISE, NO_WEIGHT,      false, 1},
    {"Pad",               OX_QROLE_MOVE,    NO_WEIGHT,      false, 13},
    {"Resize",            OX_QROLE_MOVE,    NO_WEIGHT,      false, 10},
    {"Sigmoid",           OX_QROLE_ELTWISE, NO_WEIGHT,      false, 1},
    /* clang-format on */
};

static const struct rule *rule_of(const struct ox_node *n) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (ox_node_is(n, rules[i].op)) return &rules[i];
    return NULL;
}

bool ox_qrole_data(enum ox_qrole role, size_t index) {
    switch (role) {
    case OX_QROLE_FLOAT:
        return false;
    case OX_QROLE_WEIGHT:
    case OX_QROLE_MOVE:
    case OX_QROLE_CLAMP:
        return index == 0;
    case OX_QROLE_PRODUCT:
    case OX_QROLE_ELTWISE:
    case OX_QROLE_UNIFY:
        return true;
    }
    return false;
}

int ox_qrole_channel_axis(const struct ox_node *n) {
    const struct rule *r = rule_of(n);
    return r && (r->weight == CONV || r->weight == CONV_TRANSPOSE) ? 1 : -1;
}

bool ox_qrole_float_out_free(const struct ox_node *n) {
    const struct rule *r = rule_of(n);
    return r && r->float_out;
}

/* ---- weighted operators ------------------------------------------------------------------------
 */

static ox_status decode(void *params, const struct ox_node *n) {
    struct ox_call_scratch scratch = {.ctx = n->graph->model->ctx};
    struct ox_call call;
    ox_status s = ox_node_call(&call, &scratch, n);
    if (s == OX_OK) s = n->op->decode(&call, params);
    ox_call_scratch_fini(&scratch);
    return s;
}

static ox_status conv_layout(struct ox_qlayout *l, int *axis, const ox_tensor *w,
                             const struct ox_node *n) {
    alignas(64) unsigned char params[OX_PARAMS_MAX] = {0};
    OX_TRY(decode(params, n));
    size_t m = (size_t)w->dims[0], inner = m ? w->count / m : 0,
           group = (size_t)((struct ox_conv_params *)params)->group;
    size_t per_group = (size_t)w->dims[1];
    *axis = 0;
    *l = (struct ox_qlayout){
        1,        m, inner, per_group ? inner / per_group : 1, group && m >= group ? m / group : 1,
        per_group};
    return OX_OK;
}

static const char *weight_layout(struct ox_qlayout *l, int *axis, enum shape_of_weight shape,
                                 const ox_tensor *w, const struct ox_node *n) {
    const struct ox_attr *trans = ox_node_attr(n, "transB");
    size_t d0 = (size_t)w->dims[0], d1 = (size_t)w->dims[1];
    if (shape == CONV_TRANSPOSE) {
        *axis = 1;
        *l = (struct ox_qlayout){d0, d1, d0 && d1 ? w->count / d0 / d1 : 0, 1, d1, 0};
        l->taps = l->inner ? l->inner : 1;
    } else if (shape == GEMM && trans && trans->type == OX_ATTR_INT && trans->v.i) {
        *axis = 0;
        *l = (struct ox_qlayout){1, d0, d1, 1, d0, 0};
    } else if (w->rank == 2) {
        *axis = 1;
        *l = (struct ox_qlayout){d0, d1, 1, 1, d1, 0};
    } else { /* a stack of matrices */
        size_t columns = (size_t)w->dims[w->rank - 1];
        *axis = -1;
        *l = (struct ox_qlayout){columns ? w->count / columns : 0, columns, 1, 1, columns, 0};
    }
    return NULL;
}

static bool attr_is_one(const struct ox_node *n, const char *name) {
    const struct ox_attr *a = ox_node_attr(n, name);
    return !a || (a->type == OX_ATTR_FLOAT && a->v.f == 1.0f);
}

static const char *weight_obstacle(enum shape_of_weight shape, const ox_tensor *w,
                                   const struct ox_qlayout *l, const struct ox_node *n) {
    const ox_tensor *bias = ox_value_const(ox_node_in(n, 2));
    if (ox_node_in(n, 2) && !bias) return "the bias is not constant";
    if (bias && bias->dtype != OX_FLOAT) return "the bias is not float";
    if (w->count == 0) return "the weight is empty";
    if (shape == GEMM && !(attr_is_one(n, "alpha") && attr_is_one(n, "beta")))
        return "alpha or beta is not 1";
    size_t outputs = shape == CONV_TRANSPOSE ? bias ? bias->count : 0 : l->channels;
    if (bias && bias->count != outputs) return "the bias is not one number a channel";
    return NULL;
}

static ox_status weighted(enum ox_qrole *role, struct ox_qlayout *layout, int *axis,
                          const char **reason, const struct rule *rule, const struct ox_node *n) {
    const ox_tensor *w = ox_value_const(ox_node_in(n, 1));
    *role = OX_QROLE_FLOAT;
    if (!w) {
        *reason = "the weight is not constant";
        if (rule->weight == MATMUL && !ox_value_const(ox_node_in(n, 0))) *role = OX_QROLE_PRODUCT;
        return OX_OK;
    }
    if (w->dtype != OX_FLOAT) {
        *reason = "the weight is not float";
        return OX_OK;
    }
    if (w->rank < (rule->weight == CONV || rule->weight == CONV_TRANSPOSE ? 3 : 2)) {
        *reason = "the weight is a vector";
        return OX_OK;
    }
    if (rule->weight == CONV)
        OX_TRY(conv_layout(layout, axis, w, n));
    else
        weight_layout(layout, axis, rule->weight, w, n);
    *reason = weight_obstacle(rule->weight, w, layout, n);
    if (!*reason) *role = OX_QROLE_WEIGHT;
    return OX_OK;
}

ox_status ox_qrole_of(enum ox_qrole *role, struct ox_qlayout *layout, int *axis,
                      const char **reason, const struct ox_node *n) {
    *role = OX_QROLE_FLOAT;
    if (!n->op || n->op->quant == OX_Q_NONE) return OX_OK;
    const struct rule *rule = rule_of(n);
    if (rule && ox_node_opset(n) < rule->since) {
        *reason = "not for 8-bit integers in this opset";
        return OX_OK;
    }
    if (n->op->quant == OX_Q_CLAMP)
        *role = OX_QROLE_CLAMP;
    else if (n->op->quant == OX_Q_WEIGHT && rule)
        return weighted(role, layout, axis, reason, rule, n);
    else if (rule)
        *role = rule->role;
    else if (n->op->quant == OX_Q_MOVE)
        *role = OX_QROLE_MOVE;
    return OX_OK;
}
