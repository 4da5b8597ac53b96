/* tests/unit/test_op_edges.c - the edges of each family in one table: nothing at all, one number,
 * NaN and infinities, integers that wrap, dims of 0; and what must be refused. Each call is
 * inferred too (op_harness.h), and spoiled. */
#include "op_recorded.h"

#include "ir/base/bytes.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of opset 17. Expected: "dims: numbers" of output 0, as op_recorded.h has it, nan and inf
 * included. */
static const struct {
    const char *op, *attrs, *in, *expected;
} cases[] = {
    /* nothing */
    {"ReduceSum", "", "f[0,3] i64(0)", "1,3: 0 0 0"},
    {"ReduceSum", "keepdims=i0", "f[2,0] i64(1)", "2: 0 0"},
    {"ReduceProd", "axes=I0", "f[0,3]", "1,3: 1 1 1"},
    {"ReduceSumSquare", "axes=I1 keepdims=i0", "f[2,0]", "2: 0 0"},
    {"ReduceL1", "axes=I0", "f[0]", "1: 0"},
    {"ReduceMax", "axes=I0", "f[0,2]", "1,2: -inf -inf"},
    {"ReduceMin", "axes=I0", "f[0,2]", "1,2: inf inf"},
    {"ReduceLogSumExp", "axes=I0", "f[0,2]", "1,2: -inf -inf"},
    {"ReduceMean", "axes=I0", "f[2,0]", "1,0:"},
    {"Gemm", "", "f[2,0] f[0,3]", "2,3: 0 0 0 0 0 0"},
    {"Gemm", "beta=f2", "f[2,0] f[0,3] f(1,2,3)", "2,3: 2 4 6 2 4 6"},
    {"MatMul", "", "f[2,0] f[0,1]", "2,1: 0 0"},
    {"MatMul", "", "f[0,2,3] f[3,1]", "0,2,1:"},
    {"Einsum", "equation=sij,jk->ik", "f[2,0] f[0,2]", "2,2: 0 0 0 0"},
    {"Concat", "axis=i0", "f[0,2] f(1,2)[1,2]", "1,2: 1 2"},
    {"Conv", "", "f[0,1,3,3] f[1,1,2,2]", "0,1,2,2:"},
    {"ConvTranspose", "", "f[0,1,3] f[1,2,2]", "0,2,4:"},
    {"MaxPool", "kernel_shape=I2,2", "f[0,1,3,3]", "0,1,2,2:"},
    {"AveragePool", "kernel_shape=I2", "f[0,1,3]", "0,1,2:"},
    {"GlobalAveragePool", "", "f[0,2,3]", "0,2,1:"},
    {"BatchNormalization", "", "f[0,2,3] f(1,1) f(0,0) f(0,0) f(1,1)", "0,2,3:"},
    {"LayerNormalization", "", "f[0,3] f(1,1,1)", "0,3:"},
    {"InstanceNormalization", "", "f[0,2,3] f(1,1) f(0,0)", "0,2,3:"},
    {"LRN", "size=i3", "f[0,2,3,3]", "0,2,3,3:"},
    {"Softmax", "", "f[0,3]", "0,3:"},
    {"Softmax", "", "f[3,0]", "3,0:"},
    {"LogSoftmax", "axis=i0", "f[0,3]", "0,3:"},
    {"Gather", "", "f[2,3] i64[0]", "0,3:"},
    {"GatherElements", "axis=i1", "f[2,3] i64[2,0]", "2,0:"},
    {"Where", "", "b[0] f=1 f=2", "0:"},
    {"Transpose", "perm=I1,0", "f[0,3]", "3,0:"},
    {"Reshape", "", "f[0,3] i64(-1,3)", "0,3:"},
    {"Expand", "", "f[1] i64(0,1)", "0,1:"},
    {"Tile", "", "f[2] i64(0)", "0:"},
    {"Pad", "", "f[0] i64(1,1) f=7", "2: 7 7"},
    {"Slice", "", "f[3] i64(2) i64(1)", "0:"},
    {"Split", "num_outputs=i1", "f[0,2] i64(0)", "0,2:"},
    {"Squeeze", "", "f[1,0] i64(0)", "0:"},
    {"CumSum", "", "f[0,2] i64=0", "0,2:"},
    {"TopK", "", "f[0,3] i64(2)", "0,2:"},
    {"TopK", "", "f[2,3] i64(0)", "2,0:"},
    {"Range", "", "f=1 f=1 f=1", "0:"},
    {"Trilu", "", "f[0,3]", "0,3:"},
    {"Det", "", "f[2,0,0]", "2: 1 1"},
    {"DepthToSpace", "blocksize=i2", "f[0,4,1,1]", "0,1,2,2:"},
    {"ScatterElements", "", "f(1,2) i64[0] f[0]", "2: 1 2"},
    {"ScatterND", "", "f(1,2) i64[0,1] f[0]", "2: 1 2"},
    {"Sum", "", "f[0] f[1]", "0:"},
    {"PRelu", "", "f[0,2] f(1,2)", "0,2:"},
    {"Resize", "mode=slinear", "f[0,1,2,2] - f(1,1,2,2)", "0,1,4,4:"},
    {"LpNormalization", "", "f[0,3]", "0,3:"},
    {"Compress", "", "f[3] b(0,0,0)", "0:"},
    {"Dropout", "", "f[0]", "0:"},
    {"Hardmax", "", "f[0,3]", "0,3:"},
    {"GridSample", "", "f[1,1,2,2] f[1,0,2,2]", "1,1,0,2:"},
    /* one number */
    {"Relu", "", "f=-1", ": 0"},
    {"Identity", "", "f=3", ": 3"},
    {"Transpose", "", "f=3", ": 3"},
    {"Flatten", "axis=i0", "f=3", "1,1: 3"},
    {"Unsqueeze", "", "f=3 i64(0,1)", "1,1: 3"},
    {"ReduceSum", "", "f=3", ": 3"},
    {"ReduceMax", "", "f=3", ": 3"},
    {"Expand", "", "f=3 i64(2)", "2: 3 3"},
    {"Where", "", "b=1 f=3 f=4", ": 3"},
    {"Clip", "", "f=3 f=4", ": 4"},
    {"Gather", "", "f(1,2) i64=1", ": 2"},
    {"Reshape", "", "f[1,1] i64[0]", ": -1.5"},
    /* NaN, infinities, signs */
    {"Relu", "", "f(nan,inf,-inf,-1)", "4: nan inf 0 0"},
    {"Clip", "", "f(nan,inf,-inf) f=-1 f=1", "3: nan 1 -1"},
    {"Max", "", "f(nan,1,inf) f(1,nan,-inf)", "3: nan nan inf"},
    {"Min", "", "f(nan,1,inf) f(1,nan,-inf)", "3: nan nan -inf"},
    {"Softmax", "", "f(-inf,0)", "2: 0 1"},
    {"Softmax", "", "f(inf,0)", "2: nan nan"},
    {"Softmax", "", "f(1000,1000)", "2: 0.5 0.5"},
    {"LogSoftmax", "", "f(-inf,0)", "2: -inf 0"},
    {"Sigmoid", "", "f(inf,-inf,nan,-1000)", "4: 1 0 nan 0"},
    {"Tanh", "", "f(inf,-inf,nan)", "3: 1 -1 nan"},
    {"Softplus", "", "f(1000,-1000,nan)", "3: 1000 0 nan"},
    {"Exp", "", "f(1000,-1000,-inf)", "3: inf 0 0"},
    {"Log", "", "f(0,-1,inf)", "3: -inf nan inf"},
    {"Sqrt", "", "f(-1,inf,0)", "3: nan inf 0"},
    {"Reciprocal", "", "f(0,inf)", "2: inf 0"},
    {"Div", "", "f(1,-1,0) f(0,0,0)", "3: inf -inf nan"},
    {"Pow", "", "f(0,-1,nan,2) f(0,0.5,0,inf)", "4: 1 nan 1 inf"},
    {"Round", "", "f(0.5,1.5,2.5,-2.5,inf)", "5: 0 2 2 -2 inf"},
    {"Floor", "", "f(-0.5,inf,nan)", "3: -1 inf nan"},
    {"Erf", "", "f(inf,-inf,nan)", "3: 1 -1 nan"},
    {"MatMul", "", "f(inf,1)[1,2] f(0,1)[2,1]", "1,1: nan"},
    {"ReduceMax", "", "f(1,nan,2)", "1: nan"},
    {"ReduceSum", "", "f(inf,-inf)", "1: nan"},
    {"ReduceLogSumExp", "", "f(-inf,-inf)", "1: -inf"},
    {"ReduceLogSumExp", "", "f(1000,1000)", "1: 1000.6931"},
    {"MaxPool", "kernel_shape=I2", "f(-inf,-inf,3)[1,1,3]", "1,1,2: -inf 3"},
    {"LeakyRelu", "alpha=f0.5", "f(nan,-inf,inf)", "3: nan -inf inf"},
    {"Elu", "", "f(-inf,inf)", "2: -1 inf"},
    {"CumSum", "", "f(inf,-inf,1) i64=0", "3: inf nan nan"},
    /* integers that wrap */
    {"Add", "", "i32(2147483647) i32(1)", "i32 1: -2147483648"},
    {"Sub", "", "i32(-2147483648) i32(1)", "i32 1: 2147483647"},
    {"Mul", "", "i32(65536) i32(65536)", "i32 1: 0"},
    {"Neg", "", "i32(-2147483648)", "i32 1: -2147483648"},
    {"Abs", "", "i32(-2147483648)", "i32 1: -2147483648"},
    {"Add", "", "u8(255) u8(1)", "u8 1: 0"},
    {"BitShift", "direction=sLEFT", "u8(1,1) u8(7,8)", "u8 2: 128 0"},
    {"ReduceSum", "", "i32(2147483647,1)", "i32 1: -2147483648"},
    {"MatMul", "", "i32(65536)[1,1] i32(32768)[1,1]", "i32 1,1: -2147483648"},
    {"CumSum", "", "i32(2147483647,1) i64=0", "i32 2: 2147483647 -2147483648"},
};

/* Refused, with a diagnostic. */
static const struct {
    const char *op, *attrs, *in;
} wrong[] = {
    {"Concat", "axis=i5", "f[2] f[2]"},
    {"Concat", "axis=i0", "f=1 f=2"},
    {"Concat", "axis=i0", "f[2] i32[2]"},
    {"Softmax", "axis=i2", "f[2,2]"},
    {"Softmax", "axis=i-3", "f[2,2]"},
    {"Softmax", "", "i32[2]"},
    {"Transpose", "perm=I0,0", "f[2,2]"},
    {"Transpose", "perm=I0", "f[2,2]"},
    {"Transpose", "perm=I0,2", "f[2,2]"},
    {"Conv", "strides=I0,1", "f[1,1,3,3] f[1,1,2,2]"},
    {"Conv", "group=i0", "f[1,1,3,3] f[1,1,2,2]"},
    {"Conv", "group=i2", "f[1,3,3,3] f[2,1,2,2]"},
    {"Conv", "pads=I-1,0,0,0", "f[1,1,3,3] f[1,1,2,2]"},
    {"Conv", "", "f[1,2,3,3] f[1,1,2,2]"},
    {"Conv", "", "f[3,3] f[1,1,2,2]"},
    {"Conv", "auto_pad=sNONE", "f[1,1,3] f[1,1,2]"},
    {"Conv", "kernel_shape=I3,3", "f[1,1,3,3] f[1,1,2,2]"},
    {"MaxPool", "", "f[1,1,3,3]"},
    {"MaxPool", "kernel_shape=I0,1", "f[1,1,3,3]"},
    {"MaxPool", "kernel_shape=I2", "f[1,1,3,3]"},
    {"AveragePool", "kernel_shape=I2,2 strides=I1,-1", "f[1,1,3,3]"},
    {"LRN", "size=i0", "f[1,2,3,3]"},
    {"Flatten", "axis=i4", "f[2,2]"},
    {"Cast", "to=i99", "f[2]"},
    {"Cast", "", "f[2]"},
    {"Gather", "axis=i2", "f[2,2] i64(0)"},
    {"Gather", "", "f[2,2] i64(2)"},
    {"Gather", "", "f[2,2] i64(-3)"},
    {"Gather", "", "f[2,2] f(0)"},
    {"Gather", "", "f=1 i64(0)"},
    {"GatherElements", "", "f[2] i64[1,1]"},
    {"GatherND", "", "f[2] i64(5)"},
    {"GatherND", "batch_dims=i3", "f[2] i64(0)"},
    {"MatMul", "", "f[2,3] f[2,3]"},
    {"MatMul", "", "f=1 f[2]"},
    {"Gemm", "", "f[2,3] f[2,3]"},
    {"Gemm", "", "f[2] f[2,3]"},
    {"Gemm", "", "f[2,3] f[3,2] f[3]"},
    {"Reshape", "", "f[2,3] i64(4)"},
    {"Reshape", "", "f[2,3] i64(-1,-1)"},
    {"Reshape", "", "f[2,3] i64(-2,3)"},
    {"Reshape", "", "f[0,3] i64(0,-1)"},
    {"Expand", "", "f[2] i64(3)"},
    {"Expand", "", "f[2] i64(-1)"},
    {"Tile", "", "f[2] i64(1,1)"},
    {"Tile", "", "f[2] i64(-1)"},
    {"Pad", "", "f[2] i64(1)"},
    {"Pad", "mode=sreflect", "f[0] i64(1,1)"},
    {"Slice", "", "f[3] i64(0) i64(1) i64(3)"},
    {"Slice", "", "f[3] i64(0) i64(1) i64(0) i64(0)"},
    {"Split", "axis=i3", "f[4]"},
    {"Split", "", "f[4] i64(1,1)"},
    {"Split", "", "f[4] i64(-1,5)"},
    {"Squeeze", "", "f[2] i64(0)"},
    {"Unsqueeze", "", "f[2] i64(0,0)"},
    {"Unsqueeze", "", "f[2] i64(5)"},
    {"TopK", "", "f[2,3] i64(4)"},
    {"TopK", "", "f[2,3] i64(-1)"},
    {"TopK", "", "f=1 i64(1)"},
    {"ArgMax", "axis=i1", "f[2,0]"},
    {"ArgMin", "axis=i4", "f[2]"},
    {"ReduceSum", "", "f[2] i64(3)"},
    {"Range", "", "f=0 f=1 f=0"},
    {"OneHot", "", "i64(0) i64=-1 f(0,1)"},
    {"CumSum", "", "f[2] i64=2"},
    {"Trilu", "", "f[2]"},
    {"Det", "", "f[2,3]"},
    {"DepthToSpace", "blocksize=i0", "f[1,4,1,1]"},
    {"DepthToSpace", "blocksize=i3", "f[1,4,1,1]"},
    {"SpaceToDepth", "blocksize=i2", "f[1,1,3,2]"},
    {"ScatterElements", "", "f[2] i64(2) f(1)"},
    {"ScatterND", "", "f[2] i64(7)[1,1] f(1)"},
    {"Where", "", "f[2] f[2] f[2]"},
    {"Where", "", "b[2] f[2] i32[2]"},
    {"Where", "", "b[2] f[3] f[2]"},
    {"Add", "", "f[2] f[3]"},
    {"Add", "", "f[2] i32[2]"},
    {"Add", "", "b[2] b[2]"},
    {"Relu", "", "b[2]"},
    {"Not", "", "f[2]"},
    {"Clip", "", "f[2] f(1,2)"},
    {"BatchNormalization", "", "f[1,2,2] f[3] f[2] f[2] f[2]"},
    {"LayerNormalization", "axis=i2", "f[2,3] f[3]"},
    {"LayerNormalization", "", "f[2,3] f[2]"},
    {"InstanceNormalization", "", "f[1,2,2] f[1] f[2]"},
    {"Einsum", "equation=sij,jk", "f[2,3] f[2,3]"},
    {"Einsum", "equation=si?", "f[2]"},
    {"Resize", "mode=scubist", "f[1,1,2,2] - f(1,1,2,2)"},
    {"Resize", "", "f[1,1,2,2] - f(1,1,-1,2)"},
    {"GridSample", "mode=sx", "f[1,1,2,2] f[1,1,1,2]"},
    {"GridSample", "", "f[1,1,2,2] f[1,1,1,3]"},
    {"RoiAlign", "", "f[1,1,2,2] f[1,3] i64(0)"},
    {"NonMaxSuppression", "", "f[1,2,3] f[1,1,2]"},
    {"QuantizeLinear", "", "f[2] f=0"},
    {"DequantizeLinear", "", "f[2] f=1"},
    {"ConvInteger", "", "f[1,1,3] u8[1,1,2]"},
    {"LSTM", "hidden_size=i2", "f[2,1,2] f[1,8,3] f[1,8,2]"},
    {"GRU", "hidden_size=i2 direction=sup", "f[2,1,2] f[1,6,2] f[1,6,2]"},
    {"RNN", "", "f[2,1] f[1,2,2] f[1,2,2]"},
    {"DFT", "axis=i5", "f[1,4,1]"},
    {"STFT", "", "f[1,4,1] i64=0 - i64=2"},
    {"Hardmax", "axis=i3", "f[2]"},
    {"Compress", "axis=i2", "f[2] b(1)"},
    {"EyeLike", "", "f[2,2,2]"},
    {"ReverseSequence", "", "f[2,2] i64(9,1)"},
    {"Mod", "", "f(1) f(1)"},
    {"BitShift", "direction=sUP", "u8(1) u8(1)"},
    {"Bernoulli", "dtype=i8", "f(0.5)"},
};

static struct oh_recorded recorded(const char *op, const char *attrs, const char *in) {
    return (struct oh_recorded){"", op, attrs, in, 1, 0, NULL, 0};
}

static double element(const ox_tensor *t, size_t i) {
    if (t->dtype == OX_FLOAT) return (double)((const float *)t->data)[i];
    if (t->dtype == OX_INT32) return ((const int32_t *)t->data)[i];
    return ((const uint8_t *)t->data)[i];
}

START_TEST(edges) {
    struct oh h;
    const struct oh_recorded c = recorded(cases[_i].op, cases[_i].attrs, cases[_i].in);
    const char *at = strchr(cases[_i].expected, ':'), *dims = cases[_i].expected;
    int rank = 0;
    oh_tell(&h, &c, 1);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s (%s %s): %s", c.op, c.attrs, c.in, h.text);
    const ox_tensor *t = h.out[0];
    if (*dims == 'i' || *dims == 'u') dims = strchr(dims, ' ');
    for (char *end; dims < at; dims = *end == ',' ? end + 1 : end, rank++) {
        int64_t dim = strtoll(dims, &end, 10);
        ck_assert_msg(rank < t->rank && t->dims[rank] == dim, "%s (%s %s): dim %d", c.op, c.attrs,
                      c.in, rank);
    }
    ck_assert_msg(rank == t->rank, "%s (%s %s): rank %d", c.op, c.attrs, c.in, t->rank);
    at++;
    for (size_t i = 0; i < t->count; i++) {
        char *end;
        double expected = strtod(at, &end), actual = element(t, i);
        ck_assert_ptr_ne(end, at);
        at = end;
        bool same = isnan(expected)
                        ? isnan(actual)
                        : expected == actual || fabs(expected - actual) <= 1e-6 * fabs(expected);
        ck_assert_msg(same, "%s (%s %s): element %zu is %g, expected %g", c.op, c.attrs, c.in, i,
                      actual, expected);
    }
    ck_assert_str_eq(at, "");
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}
END_TEST

/* Not those with windows, nor Slice: of data that is smaller than the window nothing is left, and
 * dims that are known as "x - 1" do not say so; starts of one type and ends of another are cut but
 * not inferred. */
START_TEST(spoiled) {
    static const char *const not [] = {"AveragePool", "Conv", "ConvTranspose", "MaxPool", "Slice"};
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        if (strcmp(cases[_i].op, not [i]) == 0) return;
    const struct oh_recorded c = recorded(cases[_i].op, cases[_i].attrs, cases[_i].in);
    oh_spoil(&c);
}
END_TEST

START_TEST(refused) {
    struct oh h;
    const struct oh_recorded c = recorded(wrong[_i].op, wrong[_i].attrs, wrong[_i].in);
    oh_tell(&h, &c, 1);
    ox_status s = oh_eval(&h, 1);
    ck_assert_msg((s == OX_INVALID || s == OX_UNSUPPORTED) && h.id[0], "%s (%s %s): status %d",
                  c.op, c.attrs, c.in, (int)s);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_edges");
    TCase *tests = tcase_create("edges");
    tcase_add_loop_test(tests, edges, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(tests, spoiled, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(tests, refused, 0, sizeof wrong / sizeof *wrong);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
