/* bad_graph.c - names, order, subgraphs and functions that do not make a graph, and models that
 * grow when they are run. */
#include "tests/badmodels/badmodels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- graphs ---------------------------------------------------------------------------------- */

static void g_cycle(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Add", "X b", "a");
    bad_node(&g, "Add", "X a", "b");
    bad_node(&g, "Relu", "b", "Y");
    bad_model(d, &g);
}

static void g_self_loop(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Add", "X Y", "Y");
    bad_model(d, &g);
}

static void g_dup_output(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "X", "Y");
    bad_node(&g, "Neg", "X", "Y");
    bad_model(d, &g);
}

static void g_dup_input(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_add(&g, GRAPH_INPUT, onnx_value("X", 1, "1,4"));
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void g_dup_initializer(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_weight(&g, "W", "4", 4);
    bad_weight(&g, "W", "4", 4);
    bad_node(&g, "Add", "X W", "Y");
    bad_model(d, &g);
}

static void g_output_is_input(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "X", "X");
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void g_undefined_input(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "nobody", "Y");
    bad_model(d, &g);
}

static void g_output_missing(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_add(&g, GRAPH_OUTPUT, onnx_value("Z", 1, "1,4"));
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void g_unsorted(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "b", "Y");
    bad_node(&g, "Neg", "a", "b");
    bad_node(&g, "Abs", "X", "a");
    bad_model(d, &g);
}

static void g_unsorted_subgraphs(struct bad_dir *d) {
    /* 20,000 subgraphs, each in need of sorting */
    struct pb g = bad_graph("1,4", "1,4"), m, o = onnx_opset("t", 1);
    for (int i = 0; i < 20000; i++) {
        char name[16];
        struct pb inner = {0}, n;
        bad_node(&inner, "Relu", "a", "b");
        bad_node(&inner, "Relu", "X", "a");
        bad_add(&inner, GRAPH_OUTPUT, onnx_value("b", 1, NULL));
        snprintf(name, sizeof name, i ? "y%d" : "Y", i);
        n = onnx_node("t::Hold", "X", name);
        onnx_attr_msg(&n, "g", 5, ATTR_G, &inner);
        pb_msg(&g, GRAPH_NODE, &n);
    }
    m = onnx_model(8, 17, &g);
    pb_msg(&m, MODEL_OPSET, &o);
    bad_write(d, "model.onnx", &m);
}

static void g_empty_graph(struct bad_dir *d) {
    struct pb g = {0};
    pb_str(&g, GRAPH_NAME, "g");
    bad_model(d, &g);
}

static void g_no_graph(struct bad_dir *d) {
    struct pb m = {0}, o = onnx_opset("", 17);
    pb_int(&m, MODEL_IR, 8);
    pb_msg(&m, MODEL_OPSET, &o);
    bad_write(d, "model.onnx", &m);
}

/* One Relu under another version. */
static void relu(struct bad_dir *d, int ir, int opset) {
    struct pb g = bad_graph("1,4", "1,4"), m;
    bad_node(&g, "Relu", "X", "Y");
    m = onnx_model(ir, opset, &g);
    bad_write(d, "model.onnx", &m);
}

static void g_no_opset(struct bad_dir *d) {
    relu(d, 8, 0);
}

static void g_opset_9999(struct bad_dir *d) {
    relu(d, 8, 9999);
}

static void g_opset_negative(struct bad_dir *d) {
    relu(d, 8, -1);
}

static void g_no_ir_version(struct bad_dir *d) {
    relu(d, 0, 17);
}

static void g_ir_version_huge(struct bad_dir *d) {
    relu(d, 2000000000, 17);
}

static void g_arity_few(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Add", "X", "Y");
    bad_model(d, &g);
}

static void g_arity_many(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "X X X", "Y");
    bad_model(d, &g);
}

static void g_arity_none(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Gemm", "", "Y");
    bad_model(d, &g);
}

static void g_unknown_op(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "com.evil::Pwn", "X", "Y");
    bad_model(d, &g);
}

static void g_name_8M(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), n = {0}, name = {0};
    static char piece[1 << 16];
    memset(piece, 'A', sizeof piece);
    for (int i = 0; i < 128; i++)
        pb_raw(&name, piece, sizeof piece);
    pb_bytes(&n, NODE_IN, name.data, name.len);
    pb_str(&n, NODE_OUT, "Y");
    pb_str(&n, NODE_OP, "Relu");
    pb_free(&name);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static void g_name_format(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "%s%s%s%n%n%999999999d", "Y");
    bad_model(d, &g);
}

static void g_name_escapes(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_node(&g, "Relu", "\033[2J\033]0;owned\007\r\b\x7f", "Y");
    bad_model(d, &g);
}

/* ---- subgraphs ------------------------------------------------------------------------------- */

/* A branch with one node and its output, of any type. */
static struct pb branch(const char *op, const char *in, const char *out) {
    struct pb b = {0};
    pb_str(&b, GRAPH_NAME, "branch");
    bad_node(&b, op, in, out);
    bad_add(&b, GRAPH_OUTPUT, onnx_value(out, 1, NULL));
    return b;
}

static struct pb if_graph(struct pb *then, struct pb *otherwise) {
    struct pb g = bad_graph("1,4", "1,4"), n = onnx_node("If", "c", "Y"),
              c = onnx_tensor("c", 9, "");
    pb_bytes(&c, TENSOR_RAW, "\1", 1);
    pb_msg(&g, GRAPH_INIT, &c);
    onnx_attr_msg(&n, "then_branch", 5, ATTR_G, then);
    if (otherwise) onnx_attr_msg(&n, "else_branch", 5, ATTR_G, otherwise);
    pb_msg(&g, GRAPH_NODE, &n);
    return g;
}

static void s_capture_undefined(struct bad_dir *d) {
    struct pb a = branch("Relu", "ghost", "a"), b = branch("Relu", "X", "b"), g = if_graph(&a, &b);
    bad_model(d, &g);
}

static void s_capture_own_output(struct bad_dir *d) {
    struct pb a = branch("Relu", "Y", "a"), b = branch("Relu", "X", "b"), g = if_graph(&a, &b);
    bad_model(d, &g);
}

static void s_if_no_else(struct bad_dir *d) {
    struct pb a = branch("Relu", "X", "a"), g = if_graph(&a, NULL);
    bad_model(d, &g);
}

static void s_if_outputs_differ(struct bad_dir *d) {
    struct pb a = branch("Relu", "X", "a"), b = branch("Relu", "X", "b"), g;
    bad_node(&b, "Relu", "X", "b2");
    bad_add(&b, GRAPH_OUTPUT, onnx_value("b2", 1, NULL));
    g = if_graph(&a, &b);
    bad_model(d, &g);
}

/* A Loop with this body, M and a condition of true. */
static void loop(struct bad_dir *d, struct pb *body, int64_t trips) {
    struct pb g = bad_graph("1,4", "1,4"), n = onnx_node("Loop", "M c X", "Y"),
              c = onnx_tensor("c", 9, "");
    bad_add(&g, GRAPH_INIT, onnx_int64s("M", "", &trips, 1));
    pb_bytes(&c, TENSOR_RAW, "\1", 1);
    pb_msg(&g, GRAPH_INIT, &c);
    onnx_attr_msg(&n, "body", 5, ATTR_G, body);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static struct pb loop_body(void) {
    struct pb b = {0};
    pb_str(&b, GRAPH_NAME, "body");
    bad_add(&b, GRAPH_INPUT, onnx_value("i", 7, ""));
    bad_add(&b, GRAPH_INPUT, onnx_value("k", 9, ""));
    bad_add(&b, GRAPH_INPUT, onnx_value("v", 1, "1,4"));
    bad_node(&b, "Identity", "k", "k2");
    bad_node(&b, "Neg", "v", "v2");
    bad_add(&b, GRAPH_OUTPUT, onnx_value("k2", 9, ""));
    bad_add(&b, GRAPH_OUTPUT, onnx_value("v2", 1, "1,4"));
    return b;
}

static void s_loop_body_inputs(struct bad_dir *d) {
    struct pb b = {0};
    pb_str(&b, GRAPH_NAME, "body");
    loop(d, &b, 3);
}

static void s_body_input_initialized(struct bad_dir *d) {
    struct pb b = loop_body();
    bad_weight(&b, "v", "1,4", 4);
    loop(d, &b, 3);
}

static void b_loop_forever(struct bad_dir *d) {
    struct pb b = loop_body();
    loop(d, &b, INT64_MAX);
}

/* Ifs nested this deep, both branches alike. */
static struct pb ifs(int depth) {
    struct pb b = branch("Relu", "X", "y0");
    for (int i = 1; i <= depth; i++) {
        struct pb outer = {0}, copy = {0}, n;
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        n = onnx_node("If", "c", name);
        pb_raw(&copy, b.data, b.len);
        onnx_attr_msg(&n, "then_branch", 5, ATTR_G, &b);
        pb_free(&copy);
        copy = branch("Neg", "X", "z");
        onnx_attr_msg(&n, "else_branch", 5, ATTR_G, &copy);
        pb_msg(&outer, GRAPH_NODE, &n);
        bad_add(&outer, GRAPH_OUTPUT, onnx_value(name, 1, NULL));
        b = outer;
    }
    return b;
}

static void b_if_depth24(struct bad_dir *d) {
    struct pb a = ifs(24), b = branch("Relu", "X", "b"), g = if_graph(&a, &b);
    bad_model(d, &g);
}

static void s_depth_40(struct bad_dir *d) {
    struct pb a = ifs(40), b = branch("Relu", "X", "b"), g = if_graph(&a, &b);
    bad_model(d, &g);
}

static void s_graph_on_relu(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), n = onnx_node("Relu", "X", "Y"),
              b = branch("Relu", "X", "b");
    onnx_attr_msg(&n, "body", 5, ATTR_G, &b);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

/* ---- functions ------------------------------------------------------------------------------- */

/* f::name(a) -> b with these nodes. */
static void function(struct pb *m, const char *name, struct pb *nodes) {
    struct pb f = {0}, o = onnx_opset("f", 1), p = onnx_opset("", 17);
    pb_str(&f, FUNCTION_NAME, name);
    pb_str(&f, FUNCTION_DOMAIN, "f");
    pb_str(&f, FUNCTION_INPUT, "a");
    pb_str(&f, FUNCTION_OUTPUT, "b");
    pb_raw(&f, nodes->data, nodes->len);
    pb_free(nodes);
    pb_msg(&f, FUNCTION_OPSET, &o);
    pb_msg(&f, FUNCTION_OPSET, &p);
    pb_msg(m, MODEL_FUNCTION, &f);
}

static void function_of(struct pb *m, const char *name, const char *op) {
    struct pb nodes = {0};
    bad_add(&nodes, FUNCTION_NODE, onnx_node(op, "a", "b"));
    function(m, name, &nodes);
}

/* A model that calls an operator of domain f. */
static struct pb caller(const char *op, const char *in, const char *out) {
    struct pb g = bad_graph("1,4", "1,4"), m, o = onnx_opset("f", 1);
    bad_node(&g, op, in, out);
    m = onnx_model(8, 17, &g);
    pb_msg(&m, MODEL_OPSET, &o);
    return m;
}

static void f_recursive(struct bad_dir *d) {
    struct pb m = caller("f::F", "X", "Y");
    function_of(&m, "F", "f::F");
    bad_write(d, "model.onnx", &m);
}

static void f_mutual(struct bad_dir *d) {
    struct pb m = caller("f::F", "X", "Y");
    function_of(&m, "F", "f::G");
    function_of(&m, "G", "f::F");
    bad_write(d, "model.onnx", &m);
}

static void f_recursive_unused(struct bad_dir *d) {
    struct pb m = caller("Relu", "X", "Y");
    function_of(&m, "F", "f::F");
    bad_write(d, "model.onnx", &m);
}

static void f_recursive_in_if(struct bad_dir *d) {
    struct pb m = caller("f::F", "X", "Y"), nodes = {0}, a = branch("f::F", "a", "t"),
              b = branch("Relu", "a", "e");
    struct pb n = onnx_node("If", "c", "b"), c = onnx_node("Constant", "", "c"),
              v = onnx_tensor("", 9, "");
    pb_bytes(&v, TENSOR_RAW, "\1", 1);
    onnx_attr_msg(&c, "value", 4, ATTR_T, &v);
    onnx_attr_msg(&n, "then_branch", 5, ATTR_G, &a);
    onnx_attr_msg(&n, "else_branch", 5, ATTR_G, &b);
    pb_msg(&nodes, FUNCTION_NODE, &c);
    pb_msg(&nodes, FUNCTION_NODE, &n);
    function(&m, "F", &nodes);
    bad_write(d, "model.onnx", &m);
}

static void f_arity(struct bad_dir *d) {
    struct pb m = caller("f::F", "X X X", "Y Z");
    function_of(&m, "F", "Relu");
    bad_write(d, "model.onnx", &m);
}

static void f_duplicate(struct bad_dir *d) {
    struct pb m = caller("f::F", "X", "Y");
    function_of(&m, "F", "Relu");
    function_of(&m, "F", "Neg");
    bad_write(d, "model.onnx", &m);
}

static void f_undefined_output(struct bad_dir *d) {
    struct pb m = caller("f::F", "X", "Y"), nodes = {0};
    bad_add(&nodes, FUNCTION_NODE, onnx_node("Relu", "a", "other"));
    function(&m, "F", &nodes);
    bad_write(d, "model.onnx", &m);
}

static void f_chain_5000(struct bad_dir *d) {
    struct pb m = caller("f::F0", "X", "Y");
    for (int i = 0; i < 5000; i++) {
        char name[16], op[16];
        snprintf(name, sizeof name, "F%d", i);
        snprintf(op, sizeof op, i == 4999 ? "Relu" : "f::F%d", i + 1);
        function_of(&m, name, op);
    }
    bad_write(d, "model.onnx", &m);
}

static void b_func_laughs(struct bad_dir *d) {
    struct pb m = caller("f::F0", "X", "Y");
    for (int i = 0; i < 40; i++) {
        char name[16], op[16];
        struct pb nodes = {0};
        snprintf(name, sizeof name, "F%d", i);
        snprintf(op, sizeof op, i == 39 ? "Relu" : "f::F%d", i + 1);
        bad_add(&nodes, FUNCTION_NODE, onnx_node(op, "a", "h"));
        bad_add(&nodes, FUNCTION_NODE, onnx_node(op, "h", "b"));
        function(&m, name, &nodes);
    }
    bad_write(d, "model.onnx", &m);
}

/* ---- models that grow when constants are computed
 * ------------------------------------------------ */

static void b_constantofshape(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "131072,131072");
    bad_add(&g, GRAPH_INIT, onnx_int64s("s", "2", (int64_t[]){131072, 131072}, 2));
    bad_node(&g, "ConstantOfShape", "s", "Y");
    bad_model(d, &g);
}

static void b_expand(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "200000,200000");
    bad_weight(&g, "one", "", 1);
    bad_add(&g, GRAPH_INIT, onnx_int64s("s", "2", (int64_t[]){200000, 200000}, 2));
    bad_node(&g, "Expand", "one s", "Y");
    bad_model(d, &g);
}

static void b_range(struct bad_dir *d) {
    struct pb g = {0};
    pb_str(&g, GRAPH_NAME, "g");
    bad_add(&g, GRAPH_INPUT, onnx_value("X", 1, "1,4"));
    bad_add(&g, GRAPH_OUTPUT, onnx_value("Y", 7, NULL));
    bad_add(&g, GRAPH_INIT, onnx_int64s("a", "", (int64_t[]){0}, 1));
    bad_add(&g, GRAPH_INIT, onnx_int64s("b", "", (int64_t[]){1000000000000}, 1));
    bad_add(&g, GRAPH_INIT, onnx_int64s("c", "", (int64_t[]){1}, 1));
    bad_node(&g, "Range", "a b c", "Y");
    bad_model(d, &g);
}

static void b_concat_doubling(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL);
    char in[32] = "w w", out[16];
    bad_weight(&g, "w", "1024", 1024);
    for (int i = 0; i < 40; i++) {
        snprintf(out, sizeof out, i == 39 ? "Y" : "h%d", i);
        struct pb n = onnx_node("Concat", in, out);
        onnx_attr_int(&n, "axis", 0);
        pb_msg(&g, GRAPH_NODE, &n);
        snprintf(in, sizeof in, "%s %s", out, out);
    }
    bad_model(d, &g);
}

static void b_tile(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", NULL);
    bad_weight(&g, "w", "1024", 1024);
    bad_add(&g, GRAPH_INIT, onnx_int64s("r", "1", (int64_t[]){1000000000}, 1));
    bad_node(&g, "Tile", "w r", "Y");
    bad_model(d, &g);
}

static void b_diamonds(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"); /* 2^60 paths from X to Y */
    char in[16] = "X", out[16], pair[40];
    for (int i = 0; i < 60; i++) {
        snprintf(out, sizeof out, i == 59 ? "Y" : "h%d", i);
        snprintf(pair, sizeof pair, "%s %s", in, in);
        bad_node(&g, "Add", pair, out);
        memcpy(in, out, sizeof in);
    }
    bad_model(d, &g);
}

static const struct bad_case cases[] = {
    ONNX_CASE(g_cycle, REJECT, "two nodes that feed each other"),
    ONNX_CASE(g_self_loop, REJECT, "a node that feeds itself"),
    ONNX_CASE(g_dup_output, REJECT, "two nodes make the same value"),
    ONNX_CASE(g_dup_input, REJECT, "two inputs of one name"),
    ONNX_CASE(g_dup_initializer, REJECT, "two initializers of one name"),
    ONNX_CASE(g_output_is_input, REJECT, "a node makes the graph's input"),
    ONNX_CASE(g_undefined_input, REJECT, "a node reads what nobody makes"),
    ONNX_CASE(g_output_missing, REJECT, "nobody makes the graph's output"),
    ONNX_CASE(g_unsorted, CLEAN, "nodes in reverse order"),
    ONNX_CASE(g_unsorted_subgraphs, BOUND(512, 10), "20,000 subgraphs out of order"),
    ONNX_CASE(g_empty_graph, CLEAN, "a graph without anything"),
    ONNX_CASE(g_no_graph, REJECT, "no graph"),
    ONNX_CASE(g_no_opset, REJECT, "no operator set"),
    ONNX_CASE(g_opset_9999, REJECT, "operator set 9999"),
    ONNX_CASE(g_opset_negative, REJECT, "operator set -1"),
    ONNX_CASE(g_no_ir_version, REJECT, "no IR version"),
    ONNX_CASE(g_ir_version_huge, REJECT, "IR version 2,000,000,000"),
    ONNX_CASE(g_arity_few, REJECT, "Add of one value"),
    ONNX_CASE(g_arity_many, REJECT, "Relu of three values"),
    ONNX_CASE(g_arity_none, REJECT, "Gemm of nothing"),
    ONNX_CASE(g_unknown_op, CLEAN, "an unknown operator"),
    ONNX_CASE(g_name_8M, BOUND(512, 10), "a name of 8 MiB"),
    ONNX_CASE(g_name_format, REJECT, "a name of printf directives"),
    ONNX_CASE(g_name_escapes, REJECT, "a name of terminal escapes"),
    ONNX_CASE(s_capture_undefined, REJECT, "a branch reads what nobody makes"),
    ONNX_CASE(s_capture_own_output, REJECT, "a branch reads what its If makes"),
    ONNX_CASE(s_if_no_else, REJECT, "If without else_branch"),
    ONNX_CASE(s_if_outputs_differ, REJECT, "branches with one and two outputs"),
    ONNX_CASE(s_loop_body_inputs, REJECT, "a Loop body without inputs"),
    ONNX_CASE(s_body_input_initialized, REJECT, "a Loop body's input is an initializer"),
    ONNX_CASE(s_depth_40, REJECT, "40 Ifs inside one another"),
    ONNX_CASE(s_graph_on_relu, CLEAN, "Relu with a subgraph"),
    ONNX_CASE(f_recursive, REJECT, "a function calls itself"),
    ONNX_CASE(f_mutual, REJECT, "two functions call each other"),
    ONNX_CASE(f_recursive_unused, REJECT, "a recursive function that nobody calls"),
    ONNX_CASE(f_recursive_in_if, REJECT, "a function calls itself inside an If"),
    ONNX_CASE(f_arity, REJECT, "a call with too many inputs and outputs"),
    ONNX_CASE(f_duplicate, REJECT, "a function defined twice"),
    ONNX_CASE(f_undefined_output, REJECT, "a function's output is not made"),
    ONNX_CASE(f_chain_5000, REJECT, "5,000 functions that call the next"),
    ONNX_CASE(b_loop_forever, BOUND(512, 10), "a Loop without end"),
    ONNX_CASE(b_if_depth24, BOUND(256, 5), "24 Ifs inside one another"),
    ONNX_CASE(b_func_laughs, BOUND(512, 10), "2^40 nodes if inlined"),
    ONNX_CASE(b_constantofshape, BOUND(512, 10), "a constant of 64 GiB"),
    ONNX_CASE(b_expand, BOUND(512, 10), "a constant of 160 GB"),
    ONNX_CASE(b_range, BOUND(512, 10), "a range of 10^12 numbers"),
    ONNX_CASE(b_concat_doubling, BOUND(512, 10), "a constant doubled 40 times"),
    ONNX_CASE(b_tile, BOUND(512, 10), "a constant of 4 TB"),
    ONNX_CASE(b_diamonds, BOUND(512, 10), "2^60 paths"),
};
const struct bad_list bad_graph_cases = {cases, sizeof cases / sizeof cases[0]};
