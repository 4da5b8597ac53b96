/* bad_operator.c - attributes and constants that an operator must not believe. */
#include "tests/badmodels/badmodels.h"

#include <math.h>
#include <string.h>

#define INTS(...) ((int64_t[]){__VA_ARGS__}), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static void conv_ints(struct bad_dir *d, const char *attr, const int64_t *v, size_t n) {
    struct pb c = onnx_node("Conv", "X W", "Y"), g;
    onnx_attr_ints(&c, attr, v, n);
    g = bad_conv(c);
    bad_model(d, &g);
}

static void a_conv_kernel_string(struct bad_dir *d) {
    struct pb c = onnx_node("Conv", "X W", "Y"), g;
    onnx_attr_string(&c, "kernel_shape", "3x3");
    g = bad_conv(c);
    bad_model(d, &g);
}

static void a_type_vs_payload(struct bad_dir *d) {
    struct pb c = onnx_node("Conv", "X W", "Y"), a = {0}, g;
    pb_str(&a, ATTR_NAME, "strides");
    pb_str(&a, ATTR_S, "1,1");
    pb_int(&a, ATTR_TYPE, 7);
    pb_msg(&c, NODE_ATTR, &a);
    g = bad_conv(c);
    bad_model(d, &g);
}

static void a_duplicate(struct bad_dir *d) {
    struct pb c = onnx_node("Conv", "X W", "Y"), g;
    onnx_attr_ints(&c, "strides", INTS(1, 1));
    onnx_attr_ints(&c, "strides", INTS(2, 2));
    g = bad_conv(c);
    bad_model(d, &g);
}

static void a_conv_stride0(struct bad_dir *d) {
    conv_ints(d, "strides", INTS(0, 0));
}

static void a_conv_stride_negative(struct bad_dir *d) {
    conv_ints(d, "strides", INTS(-1, 1));
}

static void a_conv_dilation_huge(struct bad_dir *d) {
    conv_ints(d, "dilations", INTS(INT64_MAX, INT64_MAX));
}

static void a_conv_kernel_lies(struct bad_dir *d) {
    conv_ints(d, "kernel_shape", INTS(100, 100));
}

static void a_conv_pads_short(struct bad_dir *d) {
    conv_ints(d, "pads", INTS(1));
}

static void a_conv_pads_2G(struct bad_dir *d) {
    conv_ints(d, "pads", INTS(2147483648, 2147483648, 2147483648, 2147483648));
}

static void a_conv_pads_i64min(struct bad_dir *d) {
    conv_ints(d, "pads", INTS(INT64_MIN, INT64_MIN, INT64_MAX, INT64_MAX));
}

static void a_conv_group(struct bad_dir *d, int64_t group) {
    struct pb c = onnx_node("Conv", "X W", "Y"), g;
    onnx_attr_int(&c, "group", group);
    g = bad_conv(c);
    bad_model(d, &g);
}

static void a_conv_group0(struct bad_dir *d) {
    a_conv_group(d, 0);
}

static void a_conv_group_huge(struct bad_dir *d) {
    a_conv_group(d, INT64_MAX);
}

/* One node over X[1,4] with an attribute of integers. */
static void node_ints(struct bad_dir *d, const char *op, const char *attr, const int64_t *v,
                      size_t n) {
    struct pb g = bad_graph("1,4", NULL), x = onnx_node(op, "X", "Y");
    onnx_attr_ints(&x, attr, v, n);
    pb_msg(&g, GRAPH_NODE, &x);
    bad_model(d, &g);
}

static void node_int(struct bad_dir *d, const char *op, const char *attr, int64_t v) {
    struct pb g = bad_graph("1,4", NULL), x = onnx_node(op, "X", "Y");
    onnx_attr_int(&x, attr, v);
    pb_msg(&g, GRAPH_NODE, &x);
    bad_model(d, &g);
}

static void a_perm_oob(struct bad_dir *d) {
    node_ints(d, "Transpose", "perm", INTS(5, -7));
}

static void a_perm_duplicate(struct bad_dir *d) {
    node_ints(d, "Transpose", "perm", INTS(0, 0));
}

static void a_axis_i64min(struct bad_dir *d) {
    node_int(d, "Softmax", "axis", INT64_MIN);
}

static void a_axis_rank(struct bad_dir *d) {
    node_int(d, "Softmax", "axis", 2);
}

static void a_cast_to_999(struct bad_dir *d) {
    node_int(d, "Cast", "to", 999);
}

/* A node with a second input of int64 constants. */
static void with_ints(struct bad_dir *d, const char *op, const char *in, const int64_t *v,
                      size_t n) {
    struct pb g = bad_graph("1,4", NULL), t = onnx_tensor("c", 7, "");
    pb_free(&t);
    pb_int(&t, TENSOR_DIMS, (int64_t)n);
    pb_int(&t, TENSOR_TYPE, 7);
    pb_str(&t, TENSOR_NAME, "c");
    pb_bytes(&t, TENSOR_RAW, v, n * sizeof *v);
    pb_msg(&g, GRAPH_INIT, &t);
    bad_node(&g, op, in, "Y");
    bad_model(d, &g);
}

static void a_reshape_two_m1(struct bad_dir *d) {
    with_ints(d, "Reshape", "X c", INTS(-1, -1));
}

static void a_reshape_overflow(struct bad_dir *d) {
    with_ints(d, "Reshape", "X c", INTS(4294967296, 4294967296));
}

static void a_reshape_count(struct bad_dir *d) {
    with_ints(d, "Reshape", "X c", INTS(5));
}

static void a_unsqueeze_axis(struct bad_dir *d) {
    with_ints(d, "Unsqueeze", "X c", INTS(1000));
}

static void a_expand_negative(struct bad_dir *d) {
    with_ints(d, "Expand", "X c", INTS(-5, 4));
}

static void a_tile_negative(struct bad_dir *d) {
    with_ints(d, "Tile", "X c", INTS(-1, 1));
}

static void a_pad_i64min(struct bad_dir *d) {
    with_ints(d, "Pad", "X c", INTS(INT64_MIN, INT64_MIN, 0, 0));
}

static void a_gather_const_oob(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL);
    bad_weight(&g, "W", "4", 4);
    bad_add(&g, GRAPH_INIT, onnx_int64s("i", "1", (int64_t[]){1000000}, 1));
    bad_node(&g, "Gather", "W i", "Y");
    bad_model(d, &g);
}

static void a_slice_step0(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL);
    bad_add(&g, GRAPH_INIT, onnx_int64s("s", "1", (int64_t[]){0}, 1));
    bad_add(&g, GRAPH_INIT, onnx_int64s("e", "1", (int64_t[]){4}, 1));
    bad_add(&g, GRAPH_INIT, onnx_int64s("a", "1", (int64_t[]){1}, 1));
    bad_node(&g, "Slice", "X s e a s", "Y"); /* steps = starts = 0 */
    bad_model(d, &g);
}

static void a_split_sum_wraps(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL), n = onnx_node("Split", "X c", "Y Z");
    bad_add(&g, GRAPH_INIT, onnx_int64s("c", "2", (int64_t[]){INT64_MAX, -INT64_MAX + 4}, 2));
    onnx_attr_int(&n, "axis", 1);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static void resize(struct bad_dir *d, const float *scales) {
    struct pb g = bad_graph("1,1,4,4", NULL);
    bad_add(&g, GRAPH_INIT, onnx_floats("s", "4", scales, 4));
    bad_node(&g, "Resize", "X - s", "Y");
    bad_model(d, &g);
}

static void a_resize_scales_nan(struct bad_dir *d) {
    resize(d, (const float[]){1, 1, NAN, INFINITY});
}

static void a_resize_scales_huge(struct bad_dir *d) {
    resize(d, (const float[]){1, 1, 1e30f, 1e30f});
}

static void a_resize_scales_negative(struct bad_dir *d) {
    resize(d, (const float[]){1, 1, -1, 0});
}

static void a_matmul_mismatch(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL);
    bad_weight(&g, "W", "5,3", 15);
    bad_node(&g, "MatMul", "X W", "Y");
    bad_model(d, &g);
}

/* BatchNormalization over 3 channels whose variance is the caller's. */
static void batch_norm(struct bad_dir *d, const float *variance, const char *dims, size_t n) {
    struct pb g = bad_graph("1,3,4,4", NULL);
    bad_weight(&g, "s", "3", 3);
    bad_weight(&g, "b", "3", 3);
    bad_weight(&g, "m", "3", 3);
    bad_add(&g, GRAPH_INIT, onnx_floats("v", dims, variance, n));
    bad_node(&g, "BatchNormalization", "X s b m v", "Y");
    bad_model(d, &g);
}

static void a_bn_negvar(struct bad_dir *d) {
    batch_norm(d, (const float[]){-1, -1, -1}, "3", 3);
}

static void a_bn_lengths(struct bad_dir *d) {
    batch_norm(d, (const float[]){1, 1}, "2", 2);
}

static void a_concat_shapes(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL), n = onnx_node("Concat", "X W", "Y");
    bad_weight(&g, "W", "2,3", 6);
    onnx_attr_int(&n, "axis", 0);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static void a_pool_kernel0(struct bad_dir *d) {
    struct pb g = bad_graph("1,1,4,4", NULL), n = onnx_node("MaxPool", "X", "Y");
    onnx_attr_ints(&n, "kernel_shape", INTS(0, 0));
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

/* ---- quantization ---------------------------------------------------------------------------- */

/* DequantizeLinear of int8 weights [4,3] with these scales and zero points, times X. */
static void dequantize(struct bad_dir *d, const float *scales, size_t n_scales, size_t n_zeros,
                       int64_t axis) {
    struct pb g = bad_graph("1,4", NULL), w = onnx_tensor("q", 3, "4,3"), s = {0}, z = {0}, n;
    static const unsigned char zeros[512];
    pb_bytes(&w, TENSOR_RAW, "\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c", 12);
    if (n_scales > 1) pb_int(&s, TENSOR_DIMS, (int64_t)n_scales);
    pb_int(&s, TENSOR_TYPE, 1);
    pb_str(&s, TENSOR_NAME, "s");
    pb_bytes(&s, TENSOR_RAW, scales, n_scales * sizeof *scales);
    if (n_zeros > 1) pb_int(&z, TENSOR_DIMS, (int64_t)n_zeros);
    pb_int(&z, TENSOR_TYPE, 3);
    pb_str(&z, TENSOR_NAME, "z");
    pb_bytes(&z, TENSOR_RAW, zeros, n_zeros);
    pb_msg(&g, GRAPH_INIT, &w);
    pb_msg(&g, GRAPH_INIT, &s);
    pb_msg(&g, GRAPH_INIT, &z);
    n = onnx_node("DequantizeLinear", "q s z", "W");
    onnx_attr_int(&n, "axis", axis);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_node(&g, "MatMul", "X W", "Y");
    bad_model(d, &g);
}

static void q_scale_zero(struct bad_dir *d) {
    dequantize(d, (const float[]){0}, 1, 1, 1);
}

static void q_scale_nan(struct bad_dir *d) {
    dequantize(d, (const float[]){NAN}, 1, 1, 1);
}

static void q_scale_inf(struct bad_dir *d) {
    dequantize(d, (const float[]){INFINITY}, 1, 1, 1);
}

static void q_scale_negative(struct bad_dir *d) {
    dequantize(d, (const float[]){-0.5f}, 1, 1, 1);
}

static void q_per_axis_short(struct bad_dir *d) {
    dequantize(d, (const float[]){1, 1}, 2, 2, 1);
}

static void q_axis_oob(struct bad_dir *d) {
    dequantize(d, (const float[]){1, 1, 1}, 3, 3, 7);
}

static void q_zp_shape(struct bad_dir *d) {
    dequantize(d, (const float[]){1}, 1, 300, 1);
}

static void q_weights_nan(struct bad_dir *d) {
    float w[12];
    for (int i = 0; i < 12; i++)
        w[i] = NAN;
    struct pb g = bad_matmul(onnx_floats("W", "4,3", w, 12));
    bad_model(d, &g);
}

static const struct bad_case cases[] = {
    ONNX_CASE(a_conv_kernel_string, REJECT, "kernel_shape is a string"),
    ONNX_CASE(a_type_vs_payload, REJECT, "strides says integers and has a string"),
    ONNX_CASE(a_duplicate, REJECT, "strides given twice"),
    ONNX_CASE(a_conv_stride0, REJECT, "strides 0"),
    ONNX_CASE(a_conv_stride_negative, REJECT, "strides -1"),
    ONNX_CASE(a_conv_dilation_huge, REJECT, "dilations 2^63 - 1"),
    ONNX_CASE(a_conv_kernel_lies, REJECT, "kernel_shape of another size than the weight"),
    ONNX_CASE(a_conv_pads_short, REJECT, "one pad instead of four"),
    ONNX_CASE(a_conv_pads_2G, REJECT, "pads of 2^31"),
    ONNX_CASE(a_conv_pads_i64min, REJECT, "pads of -2^63 and 2^63 - 1"),
    ONNX_CASE(a_conv_group0, REJECT, "group 0"),
    ONNX_CASE(a_conv_group_huge, REJECT, "group 2^63 - 1"),
    ONNX_CASE(a_perm_oob, REJECT, "perm 5, -7"),
    ONNX_CASE(a_perm_duplicate, REJECT, "perm 0, 0"),
    ONNX_CASE(a_axis_i64min, REJECT, "axis -2^63"),
    ONNX_CASE(a_axis_rank, REJECT, "axis = rank"),
    ONNX_CASE(a_cast_to_999, REJECT, "Cast to type 999"),
    ONNX_CASE(a_reshape_two_m1, REJECT, "Reshape to -1, -1"),
    ONNX_CASE(a_reshape_overflow, REJECT, "Reshape to 2^64 elements"),
    ONNX_CASE(a_reshape_count, REJECT, "Reshape of 4 elements to 5"),
    ONNX_CASE(a_unsqueeze_axis, REJECT, "Unsqueeze at axis 1000"),
    ONNX_CASE(a_expand_negative, REJECT, "Expand to -5"),
    ONNX_CASE(a_tile_negative, REJECT, "Tile by -1"),
    ONNX_CASE(a_pad_i64min, REJECT, "Pad by -2^63"),
    ONNX_CASE(a_gather_const_oob, CLEAN, "Gather of a constant out of range"),
    ONNX_CASE(a_slice_step0, REJECT, "Slice with step 0"),
    ONNX_CASE(a_split_sum_wraps, REJECT, "Split into 2^63 - 1 and a negative part"),
    ONNX_CASE(a_resize_scales_nan, REJECT, "Resize by NaN and infinity"),
    ONNX_CASE(a_resize_scales_huge, REJECT, "Resize by 10^30"),
    ONNX_CASE(a_resize_scales_negative, REJECT, "Resize by -1"),
    ONNX_CASE(a_matmul_mismatch, REJECT, "MatMul of 4 and 5"),
    ONNX_CASE(a_bn_negvar, CLEAN, "a negative variance"),
    ONNX_CASE(a_bn_lengths, REJECT, "a variance of 2 for 3 channels"),
    ONNX_CASE(a_concat_shapes, REJECT, "Concat of 4 and 3 columns"),
    ONNX_CASE(a_pool_kernel0, REJECT, "MaxPool over 0 elements"),
    ONNX_CASE(q_scale_zero, REJECT, "scale 0"),
    ONNX_CASE(q_scale_nan, REJECT, "scale NaN"),
    ONNX_CASE(q_scale_inf, REJECT, "scale infinity"),
    ONNX_CASE(q_scale_negative, REJECT, "scale -0.5"),
    ONNX_CASE(q_per_axis_short, REJECT, "2 scales for 3 channels"),
    ONNX_CASE(q_axis_oob, REJECT, "scales along axis 7"),
    ONNX_CASE(q_zp_shape, REJECT, "one scale, 300 zero points"),
    ONNX_CASE(q_weights_nan, CLEAN, "weights that are NaN"),
};
const struct bad_list bad_operator_cases = {cases, sizeof cases / sizeof cases[0]};
