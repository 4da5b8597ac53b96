/* ir/ops/op_fused.c - operators of com.microsoft that optimizers put in place of several of the
 * standard: products and convolutions with an activation, the forms of Gelu, products of integers
 * that end in floats, data with channels last. Normalizations: op_skip_norm.c. */
#include "ir/ops/op_fused.h"

#include "ir/ops/op_priv.h"
#include "ir/ops/op_skip_norm.h"

/* ---- activations ----------------------------------------------------------------------------- */

/* Which attributes of the operator the parameters are. */
static const struct {
    const char *name, *attrs[2];
} activations[] = {
    {"", {NULL}},
    {"Clip", {NULL}}, /* its parameters are inputs */
    {"Elu", {"alpha"}},
    {"Gelu", {NULL}},
    {"HardSigmoid", {"alpha", "beta"}},
    {"HardSwish", {NULL}},
    {"LeakyRelu", {"alpha"}},
    {"Relu", {NULL}},
    {"Selu", {"alpha", "gamma"}},
    {"Sigmoid", {NULL}},
    {"Softplus", {NULL}},
    {"Softsign", {NULL}},
    {"Tanh", {NULL}},
    {"ThresholdedRelu", {"alpha"}},
};
enum { SOFTMAX_FLATTENS = 11 }; /* the last opset whose Softmax is over all dims from its axis */
enum { CLIP = 1, N_ACTIVATIONS = sizeof activations / sizeof *activations };

static ox_status decode_activation(struct ox_fused_activation *a, const struct ox_call *call) {
    static const char *const singles[] = {"activation_alpha", "activation_beta",
                                          "activation_gamma"};
    const char *names[N_ACTIVATIONS + 1] = {NULL};
    const float *params;
    size_t count;
    for (int i = 0; i < N_ACTIVATIONS; i++)
        names[i] = activations[i].name;
    OX_TRY(ox_attr_choice(&a->kind, call, "activation", names, 0));
    OX_TRY(ox_attr_floats(&params, &count, call, "activation_params"));
    if (count == SIZE_MAX) {
        for (size_t i = 0; i < 3; i++)
            if (ox_attr_find(call, singles[i])) {
                OX_TRY(ox_attr_float(&a->params[i], call, singles[i], 0));
                a->n = i + 1;
            }
    } else if (count > 3) {
        return ox_bad_attr(call, "activation_params has %zu values, expected at most 3", count);
    } else {
        memcpy(a->params, params, count * sizeof *params);
        a->n = count;
    }
    if (a->kind == CLIP && a->n < 2)
        return ox_bad_attr(
            call, "activation Clip needs two parameters, the least and the greatest value");
    return OX_OK;
}

static ox_v activate(struct ox_recipe *r, const struct ox_fused_activation *a, ox_v v) {
    const char *op = activations[a->kind].name;
    if (a->kind == 0) return v;
    if (a->kind == CLIP)
        return OX_RC(r, op, v, ox_rc_like(r, ox_rc_number(r, OX_FLOAT, (double)a->params[0]), v),
                     ox_rc_like(r, ox_rc_number(r, OX_FLOAT, (double)a->params[1]), v));
    for (size_t i = 0; i < 2 && i < a->n && activations[a->kind].attrs[i]; i++)
        ox_rc_float(r, activations[a->kind].attrs[i], a->params[i]);
    return OX_RC(r, op, v);
}

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status flag(bool *out, const struct ox_call *call, const char *name) {
    int64_t value;
    OX_TRY(ox_attr_int(&value, call, name, 0));
    *out = value != 0;
    return OX_OK;
}

ox_status ox_decode_fused(const struct ox_call *call, void *params) {
    struct ox_fused_params *p = params;
    bool quick = strcmp(call->op->name, "QuickGelu") == 0;
    OX_TRY(decode_activation(&p->activation, call));
    OX_TRY(ox_attr_float(&p->alpha, call, "alpha", quick ? 1.702f : 1));
    OX_TRY(flag(&p->trans_a, call, "transA"));
    OX_TRY(flag(&p->trans_b, call, "transB"));
    OX_TRY(flag(&p->batch_a, call, "transBatchA"));
    return flag(&p->batch_b, call, "transBatchB");
}

/* ---- Gelu ------------------------------------------------------------------------------------ */

static void gelu_of(struct ox_recipe *r, bool fast) {
    ox_v x = ox_rc_in(r, 0), v = ox_rc_add(r, ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1)));
    ox_rc_string(r, "approximate", fast ? "tanh" : "none");
    ox_rc_out(r, 0, ox_rc_like(r, OX_RC(r, "Gelu", v), x));
}
static void gelu(struct ox_recipe *r, const void *params) {
    (void)params;
    gelu_of(r, false);
}
static void fast_gelu(struct ox_recipe *r, const void *params) {
    (void)params;
    gelu_of(r, true);
}

/* x * sigmoid(alpha * x) */
static void quick_gelu(struct ox_recipe *r, const void *params) {
    const struct ox_fused_params *p = params;
    ox_v x = ox_rc_in(r, 0), v = ox_rc_wide(r, x);
    ox_v alpha = ox_rc_like(r, ox_rc_number(r, OX_FLOAT, (double)p->alpha), v);
    ox_rc_out(r, 0,
              ox_rc_like(r, OX_RC(r, "Mul", v, OX_RC(r, "Sigmoid", OX_RC(r, "Mul", v, alpha))), x));
}

/* ---- biases ---------------------------------------------------------------------------------- */

/* Inputs: data, bias, skip. */
static void bias_add(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v x = ox_rc_in(r, 0);
    ox_rc_expect_rank(r, 1, ox_rc_in(r, 1), 1);
    ox_v y = OX_RC(r, "Add", OX_RC(r, "Add", ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1))),
                   ox_rc_wide(r, ox_rc_in(r, 2)));
    ox_rc_out(r, 0, ox_rc_like(r, y, x));
}

/* The bias broadcasts to the data, whichever of its dims is_inner_broadcast says are 1. One softmax
 * over all dims from the axis. */
static void bias_softmax(struct ox_recipe *r, const void *params) {
    int64_t inner;
    (void)params;
    ox_v x = ox_rc_in(r, 0), bias = ox_rc_in(r, 1);
    if (!ox_attr_find(r->call, "is_inner_broadcast"))
        ox_rc_ok(r, ox_bad_attr(r->call, "attribute 'is_inner_broadcast' is missing"));
    if (!ox_rc_ok(r, ox_attr_int(&inner, r->call, "is_inner_broadcast", 0))) return;
    if (ox_rc_rank(r, bias) > ox_rc_rank(r, x) && ox_rc_rank(r, x) >= 0)
        ox_rc_ok(r, ox_bad_shape(r->call, "a bias of %d dims for data of %d", ox_rc_rank(r, bias),
                                 ox_rc_rank(r, x)));
    ox_v sum = OX_RC(r, "Add", ox_rc_wide(r, x), ox_rc_wide(r, bias));
    r->opset = SOFTMAX_FLATTENS;
    ox_rc_pass(r, "axis");
    ox_v y = OX_RC(r, "Softmax", sum);
    r->opset = OX_RECIPE_OPSET;
    ox_rc_out(r, 0, ox_rc_like(r, y, x));
}

/* The left half times the Gelu of the right half. */
static void bias_split_gelu(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v x = ox_rc_in(r, 0), sum = OX_RC(r, "Add", ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1)));
    ox_rc_expect_rank(r, 1, ox_rc_in(r, 1), 1);
    int rank = ox_rc_rank(r, sum);
    if (rank < 1 || !ox_dim_is_const(ox_rc_dim(r, sum, -1))) {
        ox_rc_stop(r);
        return;
    }
    int64_t width = ox_rc_dim(r, sum, -1).k;
    if (width % 2 != 0)
        ox_rc_ok(r, ox_bad_shape(r->call, "%s splits %lld columns", r->call->op->name,
                                 (long long)width));
    ox_v left = ox_rc_slice(r, sum, -1, 0, width / 2),
         right = ox_rc_slice(r, sum, -1, width / 2, width);
    ox_rc_out(r, 0, ox_rc_like(r, OX_RC(r, "Mul", left, OX_RC(r, "Gelu", right)), x));
}

/* ---- products -------------------------------------------------------------------------------- */

/* An operand of FusedMatMul as MatMul wants it. Vectors have nothing to transpose. */
static ox_v operand(struct ox_recipe *r, ox_v v, bool trans, bool batch) {
    int64_t perm[OX_MAX_RANK];
    int rank = ox_rc_rank(r, v);
    if (!trans && !batch) return v;
    if (rank < 0) {
        ox_rc_stop(r);
        return OX_NO_V;
    }
    if (rank < 2) return v;
    for (int d = 0; d < rank; d++)
        perm[d] = d;
    if (batch) { /* the matrix is made of the first dim and the last */
        for (int d = 0; d < rank - 2; d++)
            perm[d] = d + 1;
        perm[rank - 2] = 0;
    }
    if (trans) {
        int64_t last = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = last;
    }
    return ox_rc_transpose(r, v, (size_t)rank, perm);
}

static void fused_matmul(struct ox_recipe *r, const void *params) {
    const struct ox_fused_params *p = params;
    ox_v a = ox_rc_in(r, 0), x = operand(r, ox_rc_wide(r, a), p->trans_a, p->batch_a);
    ox_v y =
        OX_RC(r, "MatMul", x, operand(r, ox_rc_wide(r, ox_rc_in(r, 1)), p->trans_b, p->batch_b));
    if (p->alpha != 1)
        y = OX_RC(r, "Mul", y, ox_rc_like(r, ox_rc_number(r, OX_FLOAT, (double)p->alpha), y));
    ox_rc_out(r, 0, ox_rc_like(r, activate(r, &p->activation, y), a));
}

static void fused_gemm(struct ox_recipe *r, const void *params) {
    static const char *const passed[] = {"alpha", "beta", "transA", "transB"};
    const struct ox_fused_params *p = params;
    ox_v a = ox_rc_in(r, 0), in[3];
    for (size_t i = 0; i < 3; i++)
        in[i] = ox_rc_wide(r, ox_rc_in(r, i));
    for (size_t i = 0; i < 4; i++)
        ox_rc_pass(r, passed[i]);
    ox_rc_out(r, 0, ox_rc_like(r, activate(r, &p->activation, ox_rc_step(r, "Gemm", 3, in)), a));
}

/* ---- products of integers -------------------------------------------------------------------- */

/* (a - a_zp)(b - b_zp) * scale + bias as floats; the zero points and the bias may be absent. */
static ox_v scaled_product(struct ox_recipe *r, ox_v a, ox_v b, ox_v a_zp, ox_v b_zp, ox_v scale,
                           ox_v bias) {
    ox_v sums = ox_rc_cast(r, OX_RC(r, "MatMulInteger", a, b, a_zp, b_zp), OX_FLOAT);
    return ox_rc_add(r, OX_RC(r, "Mul", sums, ox_rc_cast(r, scale, OX_FLOAT)),
                     ox_rc_cast(r, bias, OX_FLOAT));
}

static void matmul_to_float(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v a_scale = ox_rc_in(r, 2), b_scale = ox_rc_in(r, 3);
    ox_rc_expect_one(r, 2, a_scale);
    ox_rc_expect_one(r, 4, ox_rc_in(r, 4));
    ox_v y = scaled_product(r, ox_rc_in(r, 0), ox_rc_in(r, 1), ox_rc_in(r, 4), ox_rc_in(r, 5),
                            OX_RC(r, "Mul", a_scale, b_scale), ox_rc_in(r, 6));
    ox_rc_out(r, 0, ox_rc_like(r, y, a_scale));
}

static void matmul_dynamic(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v x = ox_rc_in(r, 0), a[3] = {OX_NO_V, OX_NO_V, OX_NO_V};
    ox_rc_run(r, ox_op_find("", "DynamicQuantizeLinear"), 1, &x, 3, a);
    ox_rc_out(r, 0,
              scaled_product(r, a[0], ox_rc_in(r, 1), a[2], ox_rc_in(r, 3),
                             OX_RC(r, "Mul", a[1], ox_rc_in(r, 2)), ox_rc_in(r, 4)));
}

/* Inputs: A, B with scale and zero point each, C of integers, scale and zero point of the output
 * (absent: floats). */
static void qgemm(struct ox_recipe *r, const void *params) {
    const struct ox_fused_params *p = params;
    ox_v a = ox_rc_in(r, 0), b = ox_rc_in(r, 3), scale = ox_rc_in(r, 7);
    ox_rc_expect_rank(r, 0, a, 2);
    ox_rc_expect_rank(r, 3, b, 2);
    ox_rc_expect_one(r, 1, ox_rc_in(r, 1));
    ox_rc_expect_one(r, 2, ox_rc_in(r, 2));
    if (p->trans_a) a = OX_RC_TRANSPOSE(r, a, 1, 0);
    if (p->trans_b) b = OX_RC_TRANSPOSE(r, b, 1, 0);
    ox_v sums = ox_rc_add(r, OX_RC(r, "MatMulInteger", a, b, ox_rc_in(r, 2), ox_rc_in(r, 5)),
                          ox_rc_in(r, 6));
    ox_v by = OX_RC(r, "Mul", OX_RC(r, "Mul", ox_rc_in(r, 1), ox_rc_in(r, 4)),
                    ox_rc_number(r, OX_FLOAT, (double)p->alpha));
    ox_v y = OX_RC(r, "Mul", ox_rc_cast(r, sums, OX_FLOAT), by);
    ox_rc_expect_one(r, 7, scale);
    if (scale >= 0) y = OX_RC(r, "QuantizeLinear", y, scale, ox_rc_in(r, 8));
    ox_rc_out(r, 0, y);
}

static void gemm_fast_gelu(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v x = ox_rc_in(r, 0),
         y = OX_RC(r, "MatMul", ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1)));
    y = ox_rc_add(r, y, ox_rc_wide(r, ox_rc_in(r, 2)));
    ox_rc_string(r, "approximate", "tanh");
    ox_rc_out(r, 0, ox_rc_like(r, OX_RC(r, "Gelu", y), x));
}

static void matmul_integer16(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_rc_out(r, 0,
              OX_RC(r, "MatMul", ox_rc_cast(r, ox_rc_in(r, 0), OX_INT32),
                    ox_rc_cast(r, ox_rc_in(r, 1), OX_INT32)));
}

/* Inputs: A with zero point, B with zero point. */
static void mul_integer(struct ox_recipe *r, const void *params) {
    ox_v v[2];
    (void)params;
    for (size_t i = 0; i < 2; i++) {
        ox_v zp = ox_rc_cast(r, ox_rc_in(r, 2 * i + 1), OX_INT32);
        ox_rc_expect_one(r, 2 * i + 1, zp);
        v[i] = ox_rc_cast(r, ox_rc_need(r, 2 * i), OX_INT32);
        if (zp >= 0) v[i] = OX_RC(r, "Sub", v[i], zp);
    }
    ox_rc_out(r, 0, ox_rc_step(r, "Mul", 2, v));
}

/* Distances of each row of A to each row of B. */
static void cdist(struct ox_recipe *r, const void *params) {
    struct ox_str metric;
    (void)params;
    if (!ox_rc_ok(r, ox_attr_string(&metric, r->call, "metric", "sqeuclidean"))) return;
    bool root = metric.len == 9 && memcmp(metric.ptr, "euclidean", 9) == 0;
    if (!root && !(metric.len == 11 && memcmp(metric.ptr, "sqeuclidean", 11) == 0)) {
        ox_rc_ok(r, ox_bad_attr(r->call, "metric is not sqeuclidean or euclidean"));
        return;
    }
    ox_v a = ox_rc_in(r, 0), b = ox_rc_in(r, 1);
    ox_rc_expect_rank(r, 0, a, 2);
    ox_rc_expect_rank(r, 1, b, 2);
    ox_v apart = OX_RC(r, "Sub", OX_RC(r, "Unsqueeze", a, OX_RC_INTS(r, 1)),
                       OX_RC(r, "Unsqueeze", b, OX_RC_INTS(r, 0)));
    ox_rc_int(r, "keepdims", 0);
    ox_v y = OX_RC(r, "ReduceSumSquare", apart, OX_RC_INTS(r, 2));
    ox_rc_out(r, 0, root ? OX_RC(r, "Sqrt", y) : y);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* The axis is a number in a tensor. */
static void expand_dims(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v axis = ox_rc_in(r, 1);
    ox_rc_expect_one(r, 1, axis);
    if (!ox_rc_ok(r, ox_expect_dtype(r->call, 1, ox_rc_dtype(r, axis), OX_BIT(OX_INT32)))) return;
    ox_rc_out(
        r, 0,
        OX_RC(r, "Unsqueeze", ox_rc_in(r, 0), OX_RC_RESHAPE(r, ox_rc_cast(r, axis, OX_INT64), 1)));
}

/* The pads may be a matrix of one row. */
static void pad(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v pads = ox_rc_in(r, 1);
    if (ox_rc_rank(r, pads) == 2) pads = OX_RC_RESHAPE(r, pads, -1);
    ox_rc_pass(r, "mode");
    ox_rc_out(r, 0, OX_RC(r, "Pad", ox_rc_in(r, 0), pads, ox_rc_in(r, 2)));
}

/* Bounds and step are numbers or vectors of one. */
static void range(struct ox_recipe *r, const void *params) {
    ox_v v[3];
    (void)params;
    for (size_t i = 0; i < 3; i++) {
        v[i] = ox_rc_in(r, i);
        ox_rc_expect_one(r, i, v[i]);
        if (ox_rc_rank(r, v[i]) == 1) v[i] = OX_RC(r, "Squeeze", v[i]);
    }
    if (v[2] < 0 && ox_rc_dtype(r, v[0]) == OX_UNDEFINED) ox_rc_stop(r);
    if (v[2] < 0 && ox_rc_ok(r, OX_OK)) v[2] = ox_rc_number(r, ox_rc_dtype(r, v[0]), 1);
    ox_rc_out(r, 0, ox_rc_step(r, "Range", 3, v));
}

/* ---- windows --------------------------------------------------------------------------------- */

static const char *const conv_attrs[] = {"auto_pad",     "dilations", "group",
                                         "kernel_shape", "pads",      "strides"};
enum { N_CONV_ATTRS = sizeof conv_attrs / sizeof *conv_attrs };

/* Input 3 is added before the activation. */
static ox_v conv(struct ox_recipe *r, const struct ox_fused_params *p, ox_v x, ox_v z) {
    ox_v w = ox_rc_wide(r, ox_rc_in(r, 1)), bias = ox_rc_wide(r, ox_rc_in(r, 2));
    for (size_t i = 0; i < N_CONV_ATTRS; i++)
        ox_rc_pass(r, conv_attrs[i]);
    return activate(r, &p->activation,
                    ox_rc_add(r, OX_RC(r, "Conv", ox_rc_wide(r, x), w, bias), ox_rc_wide(r, z)));
}

static void fused_conv(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0);
    ox_rc_out(r, 0, ox_rc_like(r, conv(r, params, x, ox_rc_in(r, 3)), x));
}

static void nhwc_conv(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0), z = ox_rc_channels_first(r, ox_rc_in(r, 3));
    ox_v y = conv(r, params, ox_rc_channels_first(r, x), z);
    ox_rc_out(r, 0, ox_rc_like(r, ox_rc_channels_last(r, y), x));
}

static void nhwc_max_pool(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v x = ox_rc_channels_first(r, ox_rc_in(r, 0));
    for (size_t i = 0; i < N_CONV_ATTRS; i++)
        if (strcmp(conv_attrs[i], "group") != 0) ox_rc_pass(r, conv_attrs[i]);
    ox_rc_pass(r, "ceil_mode");
    ox_rc_out(r, 0, ox_rc_channels_last(r, OX_RC(r, "MaxPool", x)));
}

#define bias_gelu gelu
#define embed_norm ox_rc_embed_norm
#define group_norm ox_rc_group_norm
#define qembed_norm ox_rc_qembed_norm
#define skip_group_norm ox_rc_skip_group_norm
#define rms_norm ox_rc_rms_norm
#define skip_norm ox_rc_skip_norm
#define skip_rms_norm ox_rc_skip_rms_norm
#define X(name) [OX_FUSED_##name] = {name, 0},
const struct ox_recipe_kind ox_fused_recipes[OX_FUSED_COUNT] = {OX_FUSED_LIST(X)};
#undef X
