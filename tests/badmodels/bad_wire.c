/* bad_wire.c - well-formed models as a control, and protobuf that is not. */
#include "tests/badmodels/badmodels.h"

#include <stdio.h>
#include <string.h>

/* ---- controls -------------------------------------------------------------------------------- */

static struct pb linear(void) {
    struct pb g = bad_graph("1,4", "1,3");
    bad_weight(&g, "W", "4,3", 12);
    bad_weight(&g, "B", "3", 3);
    bad_node(&g, "MatMul", "X W", "H");
    bad_node(&g, "Add", "H B", "Y");
    return g;
}

static void c_linear(struct bad_dir *d) {
    struct pb g = linear();
    bad_model(d, &g);
}

/* Every message with its fields in descending order. */
static void c_fields_shuffled(struct bad_dir *d) {
    struct pb m = {0}, g = {0}, n = {0}, t = {0}, o = onnx_opset("", 17);
    float w[12] = {1, 2, 3};
    pb_str(&n, NODE_OP, "MatMul");
    pb_str(&n, NODE_OUT, "Y");
    pb_str(&n, NODE_IN, "X");
    pb_str(&n, NODE_IN, "W");
    pb_bytes(&t, TENSOR_RAW, w, sizeof w);
    pb_str(&t, TENSOR_NAME, "W");
    pb_int(&t, TENSOR_TYPE, 1);
    pb_int(&t, TENSOR_DIMS, 4);
    pb_int(&t, TENSOR_DIMS, 3);
    bad_add(&g, GRAPH_OUTPUT, onnx_value("Y", 1, "1,3"));
    bad_add(&g, GRAPH_INPUT, onnx_value("X", 1, "1,4"));
    pb_msg(&g, GRAPH_INIT, &t);
    pb_str(&g, GRAPH_NAME, "g");
    pb_msg(&g, GRAPH_NODE, &n);
    pb_msg(&m, MODEL_OPSET, &o);
    pb_msg(&m, MODEL_GRAPH, &g);
    pb_int(&m, MODEL_IR, 8);
    bad_write(d, "model.onnx", &m);
}

static void c_zero_dim(struct bad_dir *d) {
    struct pb g = linear();
    bad_add(&g, GRAPH_INIT, onnx_tensor("unused", 1, "0,4"));
    bad_model(d, &g);
}

static void c_unknown_field(struct bad_dir *d) {
    struct pb g = linear(), m;
    pb_str(&g, 1000, "graph");
    m = onnx_model(8, 17, &g);
    pb_str(&m, 1000, "model");
    pb_int(&m, 1001, 7);
    bad_write(d, "model.onnx", &m);
}

static void c_qdq(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    float scale = 0.1f;
    struct pb z = onnx_tensor("z", 2, "");
    pb_bytes(&z, TENSOR_RAW, "\x80", 1);
    bad_add(&g, GRAPH_INIT, onnx_floats("s", "", &scale, 1));
    pb_msg(&g, GRAPH_INIT, &z);
    bad_node(&g, "QuantizeLinear", "X s z", "q");
    bad_node(&g, "DequantizeLinear", "q s z", "Y");
    bad_model(d, &g);
}

/* n Relu nodes one behind the other. */
static struct pb chain(int n) {
    struct pb g = bad_graph("1,4", "1,4");
    char in[16] = "X", out[16];
    for (int i = 0; i < n; i++) {
        snprintf(out, sizeof out, i == n - 1 ? "Y" : "h%d", i);
        bad_node(&g, "Relu", in, out);
        memcpy(in, out, sizeof in);
    }
    return g;
}

static void c_chain_20k(struct bad_dir *d) {
    struct pb g = chain(20000);
    bad_model(d, &g);
}

static void g_chain_200k(struct bad_dir *d) {
    struct pb g = chain(200000);
    bad_model(d, &g);
}

/* A local function that is called twice. */
static void c_function(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), m, f = {0}, o = onnx_opset("f", 1),
              fo = onnx_opset("", 17);
    bad_node(&g, "f::F", "X", "h");
    bad_node(&g, "f::F", "h", "Y");
    pb_str(&f, FUNCTION_NAME, "F");
    pb_str(&f, FUNCTION_DOMAIN, "f");
    pb_str(&f, FUNCTION_INPUT, "a");
    pb_str(&f, FUNCTION_OUTPUT, "b");
    bad_add(&f, FUNCTION_NODE, onnx_node("Relu", "a", "b"));
    pb_msg(&f, FUNCTION_OPSET, &fo);
    m = onnx_model(8, 17, &g);
    pb_msg(&m, MODEL_OPSET, &o);
    pb_msg(&m, MODEL_FUNCTION, &f);
    bad_write(d, "model.onnx", &m);
}

/* One that takes images, for the cases with images. */
static void c_image(struct bad_dir *d) {
    struct pb g = bad_graph("1,3,4,4", "1,2,4,4");
    bad_weight(&g, "W", "2,3,1,1", 6);
    bad_node(&g, "Conv", "X W", "Y");
    bad_model(d, &g);
}

/* ---- not a model ------------------------------------------------------------------------------
 */

static void p_empty(struct bad_dir *d) {
    struct pb b = {0};
    bad_write(d, "model.onnx", &b);
}

static void p_garbage(struct bad_dir *d) {
    struct pb b = {0};
    uint32_t seed = 12345;
    for (int i = 0; i < 4096; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned char c = (unsigned char)(seed >> 24);
        pb_raw(&b, &c, 1);
    }
    bad_write(d, "model.onnx", &b);
}

static void p_not_onnx_png(struct bad_dir *d) {
    struct pb b = {0};
    pb_raw(&b, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0", 29);
    bad_write(d, "model.onnx", &b);
}

static void p_git_lfs_pointer(struct bad_dir *d) {
    static const char text[] =
        "version https:"
        "/"
        "/git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 4096\n";
    struct pb b = {0};
    pb_raw(&b, text, sizeof text - 1);
    bad_write(d, "model.onnx", &b);
}

static void p_html(struct bad_dir *d) {
    static const char text[] = "<!DOCTYPE html><html><body>404 Not Found</body></html>\n";
    struct pb b = {0};
    pb_raw(&b, text, sizeof text - 1);
    bad_write(d, "model.onnx", &b);
}

/* ---- lengths, numbers, tags ---------------------------------------------------------------------
 */

static void p_truncated(struct bad_dir *d) {
    struct pb g = linear(), m = onnx_model(8, 17, &g);
    m.len -= 20;
    bad_write(d, "model.onnx", &m);
}

/* A version and an opset, and then these bytes. */
static void tail(struct bad_dir *d, const char *bytes, size_t n) {
    struct pb m = {0}, o = onnx_opset("", 17);
    pb_int(&m, MODEL_IR, 8);
    pb_msg(&m, MODEL_OPSET, &o);
    pb_raw(&m, bytes, n);
    bad_write(d, "model.onnx", &m);
}

static void p_len_past_end(struct bad_dir *d) {
    tail(d,
         "\x3a\xff\xff\xff\xff\x07"
         "0123456789",
         16);
}

static void p_len_2_64(struct bad_dir *d) {
    tail(d,
         "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
         "0123456789",
         21);
}

static void p_varint_11bytes(struct bad_dir *d) {
    struct pb m = {0};
    pb_raw(&m, "\x08\x88\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12);
    bad_write(d, "model.onnx", &m);
}

static void p_varint_cut(struct bad_dir *d) {
    tail(d, "\x28\x80\x80", 3);
}

static void p_field_zero(struct bad_dir *d) {
    tail(d,
         "\x02\x01"
         "a",
         3);
}

static void p_group(struct bad_dir *d) {
    tail(d, "\x3b\x08\x01\x3c", 4);
}

static void p_wire_type_7(struct bad_dir *d) {
    tail(d, "\x3f\x01", 2);
}

static void p_wrong_wiretype(struct bad_dir *d) {
    tail(d, "\x38\x01", 2); /* the graph as a number */
}

static void p_nul_in_name(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), n = {0};
    pb_bytes(&n, NODE_IN, "X\0a", 3);
    pb_str(&n, NODE_OUT, "Y");
    pb_str(&n, NODE_OP, "Relu");
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static void p_two_graphs(struct bad_dir *d) {
    struct pb g = linear(), h = linear(), m = onnx_model(8, 17, &g);
    pb_msg(&m, MODEL_GRAPH, &h);
    bad_write(d, "model.onnx", &m);
}

/* ---- bombs ----------------------------------------------------------------------------------- */

/* Graphs, nodes and attributes inside one another. */
static struct pb nested(int levels) {
    struct pb g = {0};
    for (int i = 0; i < levels; i++) {
        struct pb a = {0}, n = {0}, outer = {0};
        pb_msg(&a, ATTR_G, &g);
        pb_msg(&n, NODE_ATTR, &a);
        pb_msg(&outer, GRAPH_NODE, &n);
        g = outer;
    }
    return g;
}

static void p_nest_graph_4k(struct bad_dir *d) {
    struct pb g = nested(4000);
    bad_model(d, &g);
}

static void p_nest_type_10k(struct bad_dir *d) {
    struct pb type = {0}, v = {0}, g = {0};
    for (int i = 0; i < 10000; i++) {
        struct pb seq = {0}, outer = {0};
        pb_msg(&seq, 1, &type);
        pb_msg(&outer, 4, &seq);
        type = outer;
    }
    pb_str(&v, 1, "X");
    pb_msg(&v, 2, &type);
    pb_msg(&g, GRAPH_INPUT, &v);
    bad_model(d, &g);
}

static void repeat(struct pb *b, const char *bytes, size_t n, size_t times) {
    for (size_t i = 0; i < times; i++)
        pb_raw(b, bytes, n);
}

static void p_empty_nodes_4M(struct bad_dir *d) {
    struct pb g = {0};
    repeat(&g, "\x0a\x00", 2, 4000000);
    bad_model(d, &g);
}

static void p_empty_attributes_2M(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), n = onnx_node("Relu", "X", "Y");
    repeat(&n, "\x2a\x00", 2, 2000000);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static void p_unknown_fields_4M(struct bad_dir *d) {
    struct pb g = linear(), m = onnx_model(8, 17, &g);
    repeat(&m, "\xc0\x3e\x01", 3, 4000000); /* field 1000 */
    bad_write(d, "model.onnx", &m);
}

static void p_packed_dims_8M(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), t = {0}, dims = {0};
    repeat(&dims, "\x01", 1, 8000000);
    pb_msg(&t, TENSOR_DIMS, &dims);
    pb_int(&t, TENSOR_TYPE, 1);
    pb_str(&t, TENSOR_NAME, "W");
    pb_bytes(&t, TENSOR_RAW, "\0\0\0\0", 4);
    pb_msg(&g, GRAPH_INIT, &t);
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void p_merge_graph_150k(struct bad_dir *d) {
    struct pb m = {0}, o = onnx_opset("", 17);
    pb_int(&m, MODEL_IR, 8);
    pb_msg(&m, MODEL_OPSET, &o);
    repeat(&m, "\x3a\x02\x0a\x00", 4, 150000);
    bad_write(d, "model.onnx", &m);
}

static void p_strings_1M(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), n = onnx_node("Relu", "X", "Y");
    repeat(&n, "\x0a\x00", 2, 1000000); /* empty input names */
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static const struct bad_case cases[] = {
    ONNX_CASE(c_linear, ACCEPT, "MatMul and Add, raw_data"),
    ONNX_CASE(c_fields_shuffled, ACCEPT, "fields of every message in descending order"),
    ONNX_CASE(c_zero_dim, ACCEPT, "an unused initializer without elements"),
    ONNX_CASE(c_unknown_field, ACCEPT, "unknown fields"),
    ONNX_CASE(c_qdq, ACCEPT, "QuantizeLinear and DequantizeLinear"),
    ONNX_CASE(c_chain_20k, ACCEPT, "20,000 nodes in a chain"),
    ONNX_CASE(c_function, CLEAN, "a local function called twice"),
    ONNX_CASE(c_image, ACCEPT, "a convolution over an image"),
    ONNX_CASE(p_empty, REJECT, "a file of 0 bytes"),
    ONNX_CASE(p_garbage, REJECT, "4 KiB of noise"),
    ONNX_CASE(p_not_onnx_png, REJECT, "a PNG"),
    ONNX_CASE(p_git_lfs_pointer, REJECT, "a Git LFS pointer"),
    ONNX_CASE(p_html, REJECT, "an error page"),
    ONNX_CASE(p_truncated, REJECT, "20 bytes are missing"),
    ONNX_CASE(p_len_past_end, REJECT, "a length of 2^31 - 1"),
    ONNX_CASE(p_len_2_64, REJECT, "a length of 2^64 - 1"),
    ONNX_CASE(p_varint_11bytes, REJECT, "a number of 11 bytes"),
    ONNX_CASE(p_varint_cut, REJECT, "a number cut off by the end"),
    ONNX_CASE(p_field_zero, REJECT, "field number 0"),
    ONNX_CASE(p_group, REJECT, "a group"),
    ONNX_CASE(p_wire_type_7, REJECT, "wire type 7"),
    ONNX_CASE(p_wrong_wiretype, REJECT, "the graph as a number"),
    ONNX_CASE(p_nul_in_name, REJECT, "a name with a zero byte"),
    ONNX_CASE(p_two_graphs, REJECT, "the graph given twice"),
    ONNX_CASE(p_nest_graph_4k, REJECT, "4,000 graphs inside one another"),
    ONNX_CASE(p_nest_type_10k, REJECT, "10,000 sequence types inside one another"),
    ONNX_CASE(p_empty_nodes_4M, BOUND(512, 10), "4,000,000 empty nodes"),
    ONNX_CASE(p_empty_attributes_2M, BOUND(512, 10), "2,000,000 empty attributes of one node"),
    ONNX_CASE(p_unknown_fields_4M, BOUND(512, 10), "4,000,000 unknown fields"),
    ONNX_CASE(p_packed_dims_8M, BOUND(512, 10), "a tensor of 8,000,000 dims"),
    ONNX_CASE(p_merge_graph_150k, BOUND(512, 10), "the graph given 150,000 times"),
    ONNX_CASE(p_strings_1M, BOUND(512, 10), "a node of 1,000,000 inputs"),
    ONNX_CASE(g_chain_200k, BOUND(1024, 20), "200,000 nodes in a chain"),
};
const struct bad_list bad_wire_cases = {cases, sizeof cases / sizeof cases[0]};
