/* tests/unit/test_gradient.c - what the pass `gradient` writes, against differences of the function
 * itself; second derivatives, other values than those named, and what it leaves alone. */
#include "ir/ir.h"
#include "ir/text/text.h"
#include <check.h>
#include <math.h>
#include <onnxopt/passes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 24 }; /* elements of a tensor */

static char warning[64];

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    snprintf(warning, sizeof warning, "%s", d->id);
}

static ox_ctx *new_ctx(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag};
    ox_ctx *ctx;
    warning[0] = '\0';
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    return ctx;
}

/* The body's model, after the pass. `head`: inputs and outputs. */
static struct ox_model *model_of(ox_ctx *ctx, int opset, const char *head, const char *body) {
    char text[900];
    struct ox_model *model;
    int n = snprintf(
        text, sizeof text,
        "<ir_version: 8, opset_import: [\"\" : %d, \"ai.onnx.preview.training\" : 1]> m %s { %s }",
        opset, head, body);
    ck_assert_uint_lt(n, sizeof text);
    ck_assert_msg(ox_text_parse(&model, ctx, text, (size_t)n, NULL) == OX_OK, "%s", text);
    const struct ox_optimize_options options = {.size = sizeof options, .pipeline = "gradient"};
    ck_assert_msg(ox_optimize(model, &options, NULL) == OX_OK, "%s: %s", body, warning);
    return model;
}

static bool has_gradient(const struct ox_model *model) {
    for (const struct ox_node *n = ox_graph_begin(model->graph); n; n = ox_node_next(n))
        if (ox_name_is(n->type, "Gradient")) return true;
    return false;
}

/* Inputs in, as many doubles as their types say; outputs out[i], up to MOST each. */
static void run(struct ox_model *model, double in[][MOST], double out[][MOST]) {
    struct ox_runner runner;
    const ox_tensor *given[4];
    ox_tensor *made[4];
    struct ox_graph *g = model->graph;
    ck_assert_int_eq(ox_exec_new(&runner, model), OX_OK);
    for (size_t i = 0; i < g->n_inputs; i++) {
        int64_t dims[8];
        ox_tensor *t;
        for (int d = 0; d < g->inputs[i]->type->rank; d++)
            dims[d] = g->inputs[i]->type->dims[d].k;
        size_t size = (size_t)ox_type_count(g->inputs[i]->type) * sizeof(double);
        ck_assert_int_eq(
            ox_tensor_copy(&t, model->ctx, OX_DOUBLE, g->inputs[i]->type->rank, dims, in[i], size),
            OX_OK);
        given[i] = t;
    }
    ck_assert_msg(runner.run(runner.self, given, made, NULL, NULL) == OX_OK,
                  "cannot be executed: %s", warning);
    for (size_t i = 0; i < g->ret->n_in; i++) {
        ck_assert_uint_le(made[i]->count, MOST);
        if (made[i]->count) memcpy(out[i], made[i]->data, made[i]->count * sizeof(double));
        ox_tensor_unref(made[i]);
    }
    for (size_t i = 0; i < g->n_inputs; i++)
        ox_tensor_unref((ox_tensor *)(uintptr_t)given[i]);
    runner.free(runner.self);
}

/* ---- each operator
 * -------------------------------------------------------------------------------- */

static const struct {
    const char *a, *b, *t, *body; /* shapes; t = f(a, b) */
    int opset;
} cases[] = {
    {"2,3", "3", "2,3", "t = Add(a, b)", 12},
    {"2,3", "2,1", "2,3", "t = Sub(b, a)", 12},
    {"2,1", "4,1,3", "4,2,3", "t = Mul(a, b)", 9},
    {"2,1", "3", "2,3", "t = Div(a, b)", 17},
    {"2,3", "1", "2,3", "t = Pow(a, b)", 17},
    {"2,3", "1", "2,3", "u = Sub(a, b)  t = Abs(u)", 17},
    {"2,3", "1", "2,3", "u = Sub(a, b)  t = Relu(u)", 17},
    {"2,3", "2,3", "2,3", "c = Greater(a, b)  t = Where(c, a, b)", 17},
    {"2,3", "3", "2,3", "u = Cos(a)  v = Sin(b)  t = Sum(u, v, a)", 17},
    {"2,3", "3,2", "2,2", "t = MatMul(a, b)", 17},
    {"2,2,3", "3,2", "2,2,2", "t = MatMul(a, b)", 12},
    {"2,3", "2,2", "3,2", "u = Transpose(a)  t = MatMul(u, b)", 17},
    {"1,2,3", "1", "3,1,2", "u = Transpose<perm = [2, 0, 1]>(a)  t = Mul(u, b)", 17},
    {"2,3", "2,3", "2,3", "u = Exp(a)  v = Log(b)  t = Mul(u, v)", 17},
    {"2,3", "2,3", "2,3", "u = Sqrt(a)  v = Tanh(b)  t = Mul(u, v)", 17},
    {"2,3", "2,3", "2,3", "u = Sigmoid(a)  v = Softplus(b)  t = Mul(u, v)", 17},
    {"2,3", "2,3", "2,3", "u = Reciprocal(a)  v = Neg(b)  v2 = Identity(v)  t = Mul(u, v2)", 17},
    {"2,3", "2,1", "2,1", "u = ReduceSum<axes = [1]>(a)  t = Mul(u, b)", 12},
    {"2,3", "2,1", "2,1", "u = ReduceMean<axes = [1]>(a)  t = Mul(u, b)", 17},
    {"2,3", "2,1", "2,1", "u = ReduceMean<keepdims = 0>(a)  t = Mul(u, b)", 17},
    {"2,3", "6", "6", "s = Constant<value_ints = [-1]>()  u = Reshape(a, s)  t = Mul(u, b)", 13},
    {"2,3", "2,3", "2,3", "u = Flatten(a)  t = Mul(u, b)", 13},
    {"1,3", "3", "3", "s = Constant<value_ints = [0]>()  u = Squeeze(a, s)  t = Mul(u, b)", 13},
    {"3", "1,3", "1,3", "u = Unsqueeze<axes = [0]>(a)  t = Mul(u, b)", 12},
    {"1,3", "2,3", "2,3", "s = Constant<value_ints = [2, 3]>()  u = Expand(a, s)  t = Mul(u, b)",
     13},
    {"2,3", "3,4", "2,4", "t = Gemm(a, b)", 13},
    {"3,2", "4,3", "2,4", "t = Gemm<alpha = 0.5, transA = 1, transB = 1>(a, b)", 13},
    {"3,2", "3,2", "2,2", "t = Gemm<transA = 1>(a, b)", 9},
    {"2,3", "2", "2,2",
     "k = Constant<value = double[2,3] {1, -2, 3, 0.5, 5, -1}>()  t = Gemm<beta = 0.25, transB = "
     "1>(a, k, b)",
     13},
    {"1,2,3,3", "2,2,2,2", "1,2,2,2", "t = Conv(a, b)", 17},
    {"1,1,5,4", "2,1,2,2", "1,2,2,2", "t = Conv<strides = [2, 2]>(a, b)", 17},
    {"2,2,3,2", "2,1,2,1", "2,2,2,2", "t = Conv<group = 2>(a, b)", 12},
    {"1,4,3", "2,2,2", "1,2,2", "t = Conv<group = 2>(a, b)", 17},
    {"1,1,4,5", "1,1,2,2", "1,1,2,6", "t = Conv<dilations = [2, 1], pads = [0, 1, 0, 1]>(a, b)",
     17},
    {"1,2,6", "2,2,3", "1,2,2", "t = Conv<strides = [2]>(a, b)", 9},
    {"1,1,8", "1,1,2", "1,1,2", "t = Conv<strides = [5], pads = [1, 0], dilations = [2]>(a, b)",
     17},
    {"2,2,2,2", "2", "2,2,1,1",
     "k = Constant<value = double[2,2,2,2] {1,2,-3,4,5,6,-7,8,1,2,3,4,5,-6,7,8}>()  t = Conv(a, k, "
     "b)",
     17},
    {"2,3", "2,1", "2,7", "t = Concat<axis = 1>(a, b, a)", 17},
    {"2,3", "1,3", "4,3", "t = Concat<axis = -2>(b, a, b)", 9},
    {"2,3", "2,3", "2,3", "s = Softmax(a)  t = Mul(s, b)", 17},
    {"2,2,2", "2", "2,2,2", "s = LogSoftmax<axis = 0>(a)  t = Mul(s, b)", 13},
    {"1,2,3,3", "2,1,1", "1,2,2,2", "p = MaxPool<kernel_shape = [2, 2]>(a)  t = Mul(p, b)", 17},
    {"1,2,3,3", "2,1,1", "1,2,2,2",
     "p = MaxPool<kernel_shape = [2, 2], strides = [2, 2], pads = [1, 0, 0, 1]>(a)  t = Mul(p, b)",
     17},
    {"2,2,3,2", "2,1,1", "2,2,2,1", "p = AveragePool<kernel_shape = [2, 2]>(a)  t = Mul(p, b)", 17},
    {"1,2,4,3", "2,1,1", "1,2,2,2",
     "p = AveragePool<kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 0, 1], "
     "count_include_pad = 1>(a)  t = Mul(p, b)",
     17},
    {"2,2,3,2", "2,1,1", "2,2,1,1", "p = GlobalAveragePool(a)  t = Mul(p, b)", 17},
    {"4,2", "3,2", "3,2",
     "i = Constant<value_ints = [1, 1, -1]>()  u = Gather(a, i)  t = Mul(u, b)", 17},
    {"2,3", "2", "2",
     "l = Constant<value_ints = [2, 0]>()  u = SoftmaxCrossEntropyLoss<reduction = \"none\">(a, l) "
     " t = Mul(u, b)",
     13},
    {"2,3", "1", "1",
     "l = Constant<value_ints = [2, 0]>()  u = SoftmaxCrossEntropyLoss(a, l)  t = Mul(u, b)", 13},
    {"2,3", "1", "1",
     "l = Constant<value_ints = [1, 1]>()  u = SoftmaxCrossEntropyLoss<reduction = \"sum\">(a, l)  "
     "t = Mul(u, b)",
     17},
    {"2,3", "1", "2,3",
     "u = Sub(a, b)  v = LeakyRelu<alpha = 0.3>(u)  v2 = Elu<alpha = 0.7>(u)  t = Add(v, v2)", 17},
    {"2,3", "1", "2,3", "u = Sub(a, b)  v = Selu(u)  v2 = Softsign(u)  t = Mul(v, v2)", 17},
    {"2,3", "1", "2,3", "u = Sub(a, b)  v = Erf(u)  t = Mul(v, a)", 17},
    {"2,3", "1", "2,3", "u = Sub(a, b)  t = Gelu(u)", 20},
    {"2,3", "1", "2,3",
     "u = Div(a, b)  e = Constant<value = double[3] {-4.4, 0.3, 4.1}>()  v = Mul(u, e)  s = "
     "HardSwish(v)  h = HardSigmoid<alpha = 0.3>(v)  t = Add(s, h)",
     17},
    {"2,3", "1", "2,3", "s = Squeeze(b)  m = Constant<value = double {1.3}>()  t = Clip(a, s, m)",
     17},
    {"2,3", "1", "2,3", "s = Squeeze(b)  t = Clip(a, , s)", 12},
    {"2,3", "3", "2,3", "u = Sub(a, b)  t = PRelu(u, b)", 17},
    {"2,3", "3", "2,3", "u = Max(a, b)  v = Min(b, a)  t = Mul(u, v)", 17},
    {"2,3", "3", "2,3", "u = Mean(a, b, b)  v = Cast<to = 11>(u)  d = Dropout(v)  t = Mul(d, a)",
     17},
    {"2,3", "2,1", "2,1",
     "u = ReduceMax<axes = [1]>(a)  v = ReduceMin<axes = [1]>(a)  z = Sub(u, v)  t = Mul(z, b)",
     17},
    {"2,3", "2,1", "2,1",
     "u = ReduceL1<axes = [1]>(a)  v = ReduceL2<axes = [1]>(a)  z = Mul(u, v)  t = Mul(z, b)", 17},
    {"2,3", "2,1", "2,1",
     "u = ReduceLogSumExp<axes = [1]>(a)  v = ReduceSumSquare<axes = [1]>(a)  z = Mul(u, v)  t = "
     "Mul(z, b)",
     17},
    {"2,3", "2,3", "2,3", "u = Floor(a)  v = Mul(u, b)  t = Add(v, a)", 13},
};

/* The target is t times w, so that no gradient is all ones. */
START_TEST(against_differences) {
    char head[300], body[600];
    double in[3][MOST], out[3][MOST], up[3][MOST], down[3][MOST];
    const double step = 1e-5;
    ox_ctx *ctx = new_ctx();
    snprintf(head, sizeof head,
             "(double[%s] a, double[%s] b, double[%s] w) => (double[%s] y, double[%s] da, "
             "double[%s] db)",
             cases[_i].a, cases[_i].b, cases[_i].t, cases[_i].t, cases[_i].a, cases[_i].b);
    snprintf(body, sizeof body,
             "%s  y = Mul(t, w)  da, db = ai.onnx.preview.training.Gradient<xs = [\"a\", \"b\"], "
             "zs = [\"w\"], y = \"y\">(a, b, w)",
             cases[_i].body);
    struct ox_model *model = model_of(ctx, cases[_i].opset, head, body);
    ck_assert(!has_gradient(model));
    uint32_t seed = 5;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < MOST; k++) {
            seed = seed * 1664525u + 1013904223u;
            in[i][k] = 0.6 + (double)(seed >> 8) / (1 << 24);
        }
    run(model, in, out);
    size_t n = (size_t)ox_type_count(model->graph->inputs[2]->type);
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < (size_t)ox_type_count(model->graph->inputs[i]->type); k++) {
            double slope = 0, at = in[i][k];
            in[i][k] = at + step;
            run(model, in, up);
            in[i][k] = at - step;
            run(model, in, down);
            in[i][k] = at;
            for (size_t e = 0; e < n; e++)
                slope += (up[0][e] - down[0][e]) / (2 * step);
            ck_assert_msg(fabs(slope - out[1 + i][k]) < 1e-7,
                          "%s: element %zu of input %d: %g, expected %g", cases[_i].body, k, i,
                          out[1 + i][k], slope);
        }
    ox_model_free(model);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

/* ---- whole graphs
 * --------------------------------------------------------------------------------- */

/* a^3 at another value than a, while y itself stays at a. */
START_TEST(at_another_value) {
    double in[2][MOST] = {{2, 3}, {5, 7}}, out[2][MOST];
    ox_ctx *ctx = new_ctx();
    struct ox_model *model =
        model_of(ctx, 13, "(double[2] a, double[2] x) => (double[2] y, double[2] d)",
                 "t = Mul(a, a)  y = Mul(t, a)  d = ai.onnx.preview.training.Gradient<xs = "
                 "[\"a\"], y = \"y\">(x)");
    run(model, in, out);
    ck_assert(out[0][0] == 8 && out[0][1] == 27 && out[1][0] == 75 && out[1][1] == 147);
    ox_model_free(model);
    ox_ctx_free(ctx);
}
END_TEST

/* With respect to something in the middle, which then counts as given. */
START_TEST(in_the_middle) {
    double in[1][MOST] = {{2, 3}}, out[1][MOST];
    ox_ctx *ctx = new_ctx();
    struct ox_model *model =
        model_of(ctx, 13, "(double[2] a) => (double[2] d)",
                 "t = Mul(a, a)  y = Mul(t, t)  d = ai.onnx.preview.training.Gradient<xs = "
                 "[\"t\"], y = \"y\">(t)");
    run(model, in, out);
    ck_assert(out[0][0] == 8 && out[0][1] == 18); /* 2 t */
    ox_model_free(model);
    ox_ctx_free(ctx);
}
END_TEST

/* Of the sum over (a b)^2: 2 a b^2; of that once more, the gradient of its sum. */
START_TEST(second_derivative) {
    double in[2][MOST] = {{2, 3}, {5, 7}}, out[4][MOST];
    ox_ctx *ctx = new_ctx();
    struct ox_model *model = model_of(
        ctx, 13,
        "(double[2] a, double[2] b) => (double[2] d, double[2] daa, double[2] dab, double[2] dc)",
        "c = Neg(a)  d, dc = ai.onnx.preview.training.Gradient<xs = [\"a\", \"c\"], zs = [\"b\"], "
        "y = \"y\">(a, c, b)  "
        "t = Mul(a, b)  u = Mul(t, t)  y = ReduceSum(u)  daa, dab = "
        "ai.onnx.preview.training.Gradient<xs = [\"a\", \"b\"], y = \"d\">(a, b)");
    ck_assert(!has_gradient(model));
    run(model, in, out);
    for (int i = 0; i < 2; i++) {
        double a = in[0][i], b = in[1][i];
        ck_assert(out[0][i] == 2 * a * b * b && out[1][i] == 2 * b * b && out[2][i] == 4 * a * b &&
                  out[3][i] == 0);
    }
    ox_model_free(model);
    ox_ctx_free(ctx);
}
END_TEST

/* What cannot be done stays, and a warning says why. */
START_TEST(left_alone) {
    static const char *const bodies[] = {
        "y = Hardmax(a)  d = ai.onnx.preview.training.Gradient<xs = [\"a\"], y = \"y\">(a)",
        "y = Neg(a)  d = ai.onnx.preview.training.Gradient<xs = [\"nothing\"], y = \"y\">(a)",
        "y = Neg(a)  d = ai.onnx.preview.training.Gradient<xs = [\"a\"], y = \"nothing\">(a)",
        "c = Cast<to = 7>(a)  y = Neg(c)  d = ai.onnx.preview.training.Gradient<xs = [\"a\"], y = "
        "\"y\">(a)",
        "y, z = Split(a)  d = ai.onnx.preview.training.Gradient<xs = [\"a\"], y = \"z\">(a)",
        "s = Constant<value_ints = [1, 1, -1]>()  e = Reshape(a, s)  y = MaxPool<kernel_shape = "
        "[2]>(e)  d = ai.onnx.preview.training.Gradient<xs = [\"a\"], y = \"y\">(a)",
        "y = Neg(n)  d = ai.onnx.preview.training.Gradient<xs = [\"n\"], y = \"w\">(n)  w = Mul(n, "
        "a)",
    };
    ox_ctx *ctx = new_ctx();
    struct ox_model *model =
        model_of(ctx, 13, "(double[2] a, double[N] n) => (double[2] d)", bodies[_i]);
    ck_assert(has_gradient(model));
    ck_assert_str_eq(warning, "no-derivative");
    ox_model_free(model);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradient");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, against_differences, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, at_another_value);
    tcase_add_test(tc, in_the_middle);
    tcase_add_test(tc, second_derivative);
    tcase_add_loop_test(tc, left_alone, 0, 7);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
