/* tests/unit/test_reader.c - messages into the IR: what arrives, and what is refused with which
 * diagnostic. Operators that the table does not know ("t::Op") keep these tests free of what
 * operators mean. */
#include "tests/unit/file_harness.h"

#include <stdio.h>

static struct ox_model *model;

/* ---- building -------------------------------------------------------------------------------- */

static void add(struct pb *graph, uint32_t field, struct pb message) {
    pb_msg(graph, field, &message);
}

static void node(struct pb *graph, const char *op, const char *in, const char *out) {
    add(graph, GRAPH_NODE, onnx_node(op, in, out));
}

/* A graph with input x and output y, both float[1,4]. */
static struct pb graph_xy(void) {
    struct pb g = {0};
    pb_str(&g, GRAPH_NAME, "g");
    add(&g, GRAPH_INPUT, onnx_value("x", 1, "1,4"));
    add(&g, GRAPH_OUTPUT, onnx_value("y", 1, "1,4"));
    return g;
}

/* The model with the test domain imported. */
static struct pb finish(struct pb *g) {
    struct pb m = onnx_model(8, 17, g);
    add(&m, MODEL_OPSET, onnx_opset("t", 1));
    return m;
}

static void accept(struct pb *g) {
    struct pb m = finish(g);
    ck_ok(front_load(&model, &m));
}

static void refuse(struct pb *g, const char *id) {
    struct pb m = finish(g);
    ck_fails(front_load(NULL, &m), OX_INVALID, id);
}

static struct ox_node *nth_node(const struct ox_graph *g, size_t n) {
    struct ox_node *x = ox_graph_begin(g);
    while (n--)
        x = ox_node_next(x);
    return x;
}

/* ---- the model ------------------------------------------------------------------------------- */

START_TEST(a_model_arrives_whole) {
    struct pb g = graph_xy(), m, meta = {0};
    pb_str(&g, GRAPH_DOC, "a graph");
    node(&g, "t::A", "x", "h");
    node(&g, "t::B", "h - x -", "y -"); /* absent operands in the middle and at the end */
    add(&g, GRAPH_INFO, onnx_value("h", 1, "1,N"));
    m = finish(&g);
    pb_str(&m, MODEL_PRODUCER, "me");
    pb_str(&meta, 1, "key");
    pb_str(&meta, 2, "");
    pb_msg(&m, MODEL_META, &meta);
    ck_ok(front_load(&model, &m));
    ck_assert_int_eq(model->ir_version, 8);
    ck_assert_str_eq(ox_name_text(model->producer), "me");
    ck_assert_uint_eq(model->meta->count, 1);
    ck_assert_str_eq(model->meta->at[0].key->text, "key");
    ck_assert_str_eq(model->meta->at[0].value->text, "");
    ck_assert_int_eq(ox_model_opset(model, NULL), 17);
    const struct ox_graph *gr = model->graph;
    ck_assert_str_eq(gr->doc->text, "a graph");
    ck_assert_uint_eq(gr->n_nodes, 2);
    const struct ox_node *b = nth_node(gr, 1);
    ck_assert_uint_eq(b->n_in, 3);
    ck_assert_str_eq(b->in[0].value->name->text, "h");
    ck_assert_ptr_null(b->in[1].value);
    ck_assert_ptr_eq(b->in[2].value, gr->inputs[0]);
    ck_assert_str_eq(b->domain->text, "t");
    ck_assert_ptr_null(b->op);
    ck_assert_ptr_null(ox_node_out(b, 1));
    ck_assert_int_gt(b->offset, nth_node(gr, 0)->offset);
    char text[64];
    ox_type_print(text, sizeof text, b->in[0].value->type);
    ck_assert_str_eq(text, "float[1,N]");
    ck_assert_str_eq(gr->outputs[0].name->text, "y");
    ck_assert_ptr_eq(gr->ret->in[0].value, b->out[0]);
    ox_model_free(model);
}
END_TEST

START_TEST(weights_are_slices) {
    static const float w[4] = {1, 2, 3, 4};
    struct pb g = graph_xy();
    add(&g, GRAPH_INIT, onnx_floats("w", "2,2", w, 4));
    node(&g, "t::A", "x w", "y");
    accept(&g);
    const ox_tensor *t = model->graph->inits[0]->init;
    size_t offset;
    ck_assert_mem_eq(t->data, w, sizeof w);
    ck_assert_uint_gt(ox_tensor_bytes(t, &offset)->size, sizeof w);
    ck_assert_uint_gt(offset, 0);
    ox_model_free(model);
}
END_TEST

START_TEST(opaque_fields_are_kept) {
    struct pb g = graph_xy(), m, q = {0}, n = onnx_node("t::A", "x", "y"), t = {0};
    pb_str(&n, 999, "node");
    pb_msg(&g, GRAPH_NODE, &n);
    pb_str(&q, 1, "y");
    pb_msg(&g, GRAPH_QUANT, &q);
    pb_str(&g, 998, "graph");
    m = finish(&g);
    pb_msg(&m, MODEL_TRAINING, &t);
    pb_str(&m, 997, "model");
    ck_ok(front_load(&model, &m));
    ck_assert_uint_eq(model->unknown.len, 2 + 1 + 5);
    ck_assert_mem_eq(model->unknown.ptr + 3, "model", 5);
    ck_assert_uint_eq(model->training.len, 3);
    ck_assert_uint_eq(model->graph->unknown.len, 2 + 1 + 5);
    ck_assert_uint_eq(model->graph->quant_annotation.len, 5);
    ck_assert_mem_eq(ox_graph_begin(model->graph)->notes->unknown.ptr + 3, "node", 4);
    ox_model_free(model);
}
END_TEST

START_TEST(a_model_needs_version_graph_and_opset) {
    struct pb g = graph_xy(), m;
    node(&g, "t::A", "x", "y");
    struct pb copy = {0};
    pb_raw(&copy, g.data, g.len);
    m = onnx_model(0, 17, &copy);
    ck_fails(front_load(NULL, &m), OX_INVALID, "bad-version");
    pb_raw(&copy, g.data, g.len);
    m = onnx_model(99, 17, &copy);
    ck_fails(front_load(NULL, &m), OX_UNSUPPORTED, "bad-version");
    pb_raw(&copy, g.data, g.len);
    m = onnx_model(8, 0, &copy);
    ck_fails(front_load(NULL, &m), OX_INVALID, "no-opset");
    pb_raw(&copy, g.data, g.len);
    m = onnx_model(8, OX_OPSET_MAX + 1, &copy);
    ck_fails(front_load(NULL, &m), OX_UNSUPPORTED, "bad-opset");
    pb_raw(&copy, g.data, g.len);
    m = onnx_model(8, 17, &copy);
    add(&m, MODEL_OPSET, onnx_opset("ai.onnx", 17)); /* the default domain under its other name */
    ck_fails(front_load(NULL, &m), OX_INVALID, "duplicate-name");
    pb_int(&m, MODEL_IR, 8);
    add(&m, MODEL_OPSET, onnx_opset("", 17));
    ck_fails(front_load(NULL, &m), OX_INVALID, "no-graph");
    pb_free(&g);
    ck_fails(front_load(NULL, &m), OX_INVALID, "not-a-model");
}
END_TEST

START_TEST(other_files_are_recognized) {
    struct pb b = {0};
    pb_raw(&b, "version https:\n", 15);
    ck_fails(front_load(NULL, &b), OX_INVALID, "not-a-model");
    ck_assert_ptr_nonnull(strstr(front.text, "git lfs pull"));
    pb_raw(&b, "\x89PNG\r\n", 6);
    ck_fails(front_load(NULL, &b), OX_INVALID, "not-a-model");
}
END_TEST

/* ---- names ----------------------------------------------------------------------------------- */

START_TEST(order_of_nodes_does_not_matter) {
    struct pb g = graph_xy();
    node(&g, "t::C", "b", "y");
    node(&g, "t::B", "a", "b");
    node(&g, "t::A", "x", "a");
    accept(&g);
    ck_assert_str_eq(nth_node(model->graph, 0)->type->text, "A");
    ck_assert_str_eq(nth_node(model->graph, 2)->type->text, "C");
    ox_model_free(model);
}
END_TEST

START_TEST(cycles_are_refused) {
    struct pb g = graph_xy();
    node(&g, "t::A", "b", "y");
    node(&g, "t::B", "y", "b");
    refuse(&g, "cycle");
    g = graph_xy();
    node(&g, "t::A", "y", "y");
    refuse(&g, "cycle");
}
END_TEST

START_TEST(names_are_defined_once) {
    static const float w = 1;
    struct pb g = graph_xy();
    node(&g, "t::A", "x", "y");
    node(&g, "t::B", "x", "y");
    refuse(&g, "duplicate-name");
    ck_assert_str_eq(front.op, "B");
    ck_assert_str_eq(front.graph, "g");
    ck_assert_int_gt(front.offset, 0);
    g = graph_xy();
    node(&g, "t::A", "x", "x");
    refuse(&g, "duplicate-name");
    g = graph_xy();
    node(&g, "t::A", "x", "y y");
    refuse(&g, "duplicate-name");
    g = graph_xy();
    add(&g, GRAPH_INPUT, onnx_value("x", 1, "1"));
    refuse(&g, "duplicate-name");
    g = graph_xy();
    add(&g, GRAPH_INIT, onnx_floats("w", "", &w, 1));
    add(&g, GRAPH_INIT, onnx_floats("w", "", &w, 1));
    refuse(&g, "duplicate-name");
    g = graph_xy();
    add(&g, GRAPH_INIT, onnx_floats("y", "", &w, 1));
    node(&g, "t::A", "x", "y");
    refuse(&g, "duplicate-name");
}
END_TEST

START_TEST(names_must_be_defined) {
    struct pb g = graph_xy();
    node(&g, "t::A", "nobody%s\n", "y");
    refuse(&g, "undefined-name");
    ck_assert_ptr_nonnull(strstr(front.text, "nobody%s\\x0a"));
    g = graph_xy();
    refuse(&g, "undefined-name"); /* the output */
    struct pb n = {0}, v = {0};
    g = graph_xy();
    pb_msg(&g, GRAPH_INPUT, &v);
    refuse(&g, "missing-name");
    g = graph_xy();
    pb_msg(&g, GRAPH_NODE, &n);
    refuse(&g, "missing-name");
}
END_TEST

START_TEST(an_initializer_may_be_an_inputs_default) {
    static const float w[4] = {1, 2, 3, 4};
    struct pb g = graph_xy();
    add(&g, GRAPH_INPUT, onnx_value("w", 1, "4"));
    add(&g, GRAPH_INIT, onnx_floats("w", "4", w, 4));
    node(&g, "t::A", "x w", "y");
    accept(&g);
    ck_assert_uint_eq(model->graph->n_inputs, 2);
    ck_assert_uint_eq(model->graph->n_inits, 0);
    ck_assert_mem_eq(model->graph->inputs[1]->init->data, w, sizeof w);
    ox_model_free(model);
    g = graph_xy();
    add(&g, GRAPH_INPUT, onnx_value("w", 7, "4"));
    add(&g, GRAPH_INIT, onnx_floats("w", "4", w, 4));
    refuse(&g, "wrong-type");
    g = graph_xy();
    add(&g, GRAPH_INPUT, onnx_value("w", 1, "5"));
    add(&g, GRAPH_INIT, onnx_floats("w", "4", w, 4));
    refuse(&g, "shape-mismatch");
}
END_TEST

/* ---- subgraphs ------------------------------------------------------------------------------- */

/* A node "t::If" with the graph as its attribute. */
static void holder(struct pb *outer, struct pb *inner, const char *in, const char *out) {
    struct pb n = onnx_node("t::If", in, out);
    onnx_attr_msg(&n, "body", 5, ATTR_G, inner);
    pb_msg(outer, GRAPH_NODE, &n);
}

START_TEST(subgraphs_capture_outer_values) {
    struct pb g = graph_xy(), inner = {0};
    pb_str(&inner, GRAPH_NAME, "inner");
    node(&inner, "t::B", "x a", "z");
    add(&inner, GRAPH_OUTPUT, onnx_value("z", 1, NULL));
    node(&g, "t::A", "x", "a");
    holder(&g, &inner, "x", "y");
    accept(&g);
    const struct ox_node *h = nth_node(model->graph, 1);
    const struct ox_graph *body = h->attrs[0].v.g;
    ck_assert_int_eq(body->depth, 1);
    ck_assert_ptr_eq(body->owner, h);
    ck_assert_ptr_eq(ox_graph_begin(body)->in[1].value, nth_node(model->graph, 0)->out[0]);
    ox_model_free(model);
}
END_TEST

START_TEST(a_capture_orders_the_outer_graph) {
    struct pb g = graph_xy(), inner = {0};
    node(&inner, "t::B", "a", "z");
    add(&inner, GRAPH_OUTPUT, onnx_value("z", 1, NULL));
    holder(&g, &inner, "x", "y"); /* reads a, which is made later */
    node(&g, "t::A", "x", "a");
    accept(&g);
    ck_assert_str_eq(nth_node(model->graph, 0)->type->text, "A");
    ox_model_free(model);
    g = graph_xy();
    node(&inner, "t::B", "y", "z"); /* what the holder itself makes */
    add(&inner, GRAPH_OUTPUT, onnx_value("z", 1, NULL));
    holder(&g, &inner, "x", "y");
    refuse(&g, "cycle");
}
END_TEST

START_TEST(inner_names_do_not_leak) {
    struct pb g = graph_xy(), inner = {0};
    node(&inner, "t::B", "x", "z");
    add(&inner, GRAPH_OUTPUT, onnx_value("z", 1, NULL));
    holder(&g, &inner, "x", "h");
    node(&g, "t::A", "z", "y");
    refuse(&g, "undefined-name");
    g = graph_xy(); /* the same name in two branches, and hiding an outer one */
    for (int i = 0; i < 2; i++) {
        node(&inner, "t::B", "x", "a");
        add(&inner, GRAPH_OUTPUT, onnx_value("a", 1, NULL));
        holder(&g, &inner, "x", i ? "y" : "h");
    }
    node(&g, "t::A", "x", "a");
    accept(&g);
    const struct ox_graph *body = nth_node(model->graph, 1)->attrs[0].v.g;
    ck_assert_ptr_eq(body->ret->in[0].value, ox_graph_begin(body)->out[0]);
    ox_model_free(model);
}
END_TEST

START_TEST(a_bodys_input_is_no_initializer) {
    static const float w = 1;
    for (int ir = 3; ir <= 8; ir += 5) {
        struct pb g = graph_xy(), inner = {0}, m;
        add(&inner, GRAPH_INPUT, onnx_value("w", 1, ""));
        add(&inner, GRAPH_INPUT, onnx_value("i", 1, ""));
        add(&inner, GRAPH_INIT, onnx_floats("w", "", &w, 1));
        node(&inner, "t::B", "w i", "z");
        add(&inner, GRAPH_OUTPUT, onnx_value("z", 1, NULL));
        holder(&g, &inner, "x", "y");
        m = onnx_model(ir, 12, &g);
        add(&m, MODEL_OPSET, onnx_opset("t", 1));
        if (ir == 8) {
            ck_fails(front_load(NULL, &m), OX_INVALID, "duplicate-name");
        } else { /* before version 4 it had to be listed */
            ck_ok(front_load(&model, &m));
            const struct ox_graph *body = ox_graph_begin(model->graph)->attrs[0].v.g;
            ck_assert_uint_eq(body->n_inputs, 1);
            ck_assert_uint_eq(body->n_inits, 1);
            ox_model_free(model);
        }
    }
}
END_TEST

START_TEST(depth_of_subgraphs_is_limited) {
    for (int depth = 31; depth <= 33; depth += 2) {
        struct pb inner = {0};
        node(&inner, "t::B", "x", "y0");
        add(&inner, GRAPH_OUTPUT, onnx_value("y0", 1, NULL));
        for (int i = 1; i < depth; i++) {
            char name[16];
            struct pb outer = {0};
            snprintf(name, sizeof name, "y%d", i);
            holder(&outer, &inner, "x", name);
            add(&outer, GRAPH_OUTPUT, onnx_value(name, 1, NULL));
            inner = outer;
        }
        struct pb g = graph_xy(), m;
        holder(&g, &inner, "x", "y");
        m = finish(&g);
        if (depth == 31) {
            ck_ok(front_load(&model, &m));
            ox_model_free(model);
        } else {
            ck_fails(front_load(NULL, &m), OX_INVALID,
                     "over-limit"); /* messages first: three for each graph */
        }
    }
}
END_TEST

/* ---- attributes ------------------------------------------------------------------------------ */

START_TEST(attributes_of_all_kinds) {
    struct pb g = graph_xy(), n = onnx_node("t::A", "x", "y"), a = {0}, t;
    onnx_attr_int(&n, "i", -5);
    onnx_attr_ints(&n, "ints", (int64_t[]){1, INT64_MIN}, 2);
    onnx_attr_string(&n, "s", "text");
    pb_str(&a, ATTR_NAME, "strings");
    pb_bytes(&a, ATTR_STRINGS, "a\0b", 3); /* bytes, not names: a zero is allowed */
    pb_bytes(&a, ATTR_STRINGS, "", 0);
    pb_int(&a, ATTR_TYPE, 8);
    pb_msg(&n, NODE_ATTR, &a);
    pb_str(&a, ATTR_NAME, "f");
    pb_float(&a, ATTR_F, 0.5f);
    pb_int(&a, ATTR_TYPE, 1);
    pb_msg(&n, NODE_ATTR, &a);
    pb_str(&a, ATTR_NAME, "zero"); /* as a proto3 writer leaves out a zero */
    pb_int(&a, ATTR_TYPE, 2);
    pb_msg(&n, NODE_ATTR, &a);
    t = onnx_int64s("", "2", (int64_t[]){3, 4}, 2);
    onnx_attr_msg(&n, "t", 4, ATTR_T, &t);
    t = onnx_value("", 1, "2");
    pb_msg(&g, GRAPH_NODE, &n);
    pb_free(&t);
    accept(&g);
    const struct ox_node *x = ox_graph_begin(model->graph);
    ck_assert_uint_eq(x->n_attrs, 7);
    ck_assert_int_eq(ox_node_attr(x, "i")->v.i, -5);
    ck_assert_int_eq(ox_node_attr(x, "ints")->v.ints[1], INT64_MIN);
    ck_assert_mem_eq(ox_node_attr(x, "s")->v.s.ptr, "text", 4);
    ck_assert_uint_eq(ox_node_attr(x, "strings")->count, 2);
    ck_assert_mem_eq(ox_node_attr(x, "strings")->v.strings[0].ptr, "a\0b", 3);
    ck_assert(ox_node_attr(x, "f")->v.f == 0.5f);
    ck_assert_int_eq(ox_node_attr(x, "zero")->v.i, 0);
    ck_assert_int_eq(((const int64_t *)ox_node_attr(x, "t")->v.t->data)[1], 4);
    ox_model_free(model);
}
END_TEST

/* A model whose only node has this attribute. */
static struct pb with_attr(struct pb *attr) {
    struct pb g = graph_xy(), n = onnx_node("t::A", "x", "y");
    pb_msg(&n, NODE_ATTR, attr);
    pb_msg(&g, GRAPH_NODE, &n);
    return g;
}

START_TEST(attributes_must_agree_with_themselves) {
    struct pb a = {0}, g;
    pb_str(&a, ATTR_NAME, "k");
    pb_int(&a, ATTR_I, 1); /* no type */
    g = with_attr(&a);
    refuse(&g, "bad-attribute");
    pb_str(&a, ATTR_NAME, "k");
    pb_int(&a, ATTR_TYPE, 15);
    g = with_attr(&a);
    refuse(&g, "bad-attribute");
    pb_str(&a, ATTR_NAME, "k");
    pb_int(&a, ATTR_TYPE, 7);
    pb_str(&a, ATTR_S, "x");
    g = with_attr(&a);
    refuse(&g, "bad-attribute");
    pb_str(&a, ATTR_NAME, "k");
    pb_int(&a, ATTR_TYPE, 2);
    pb_int(&a, ATTR_I, 1);
    pb_float(&a, ATTR_F, 1);
    g = with_attr(&a);
    refuse(&g, "bad-attribute");
    pb_str(&a, ATTR_NAME, "k");
    pb_int(&a, ATTR_TYPE, 5); /* a graph that is not there */
    g = with_attr(&a);
    refuse(&g, "bad-attribute");
    pb_str(&a, ATTR_NAME, "k");
    pb_str(&a, ATTR_REF, "r"); /* not in a function */
    pb_int(&a, ATTR_TYPE, 2);
    g = with_attr(&a);
    refuse(&g, "bad-attribute");
    g = graph_xy();
    struct pb n = onnx_node("t::A", "x", "y");
    onnx_attr_int(&n, "k", 1);
    onnx_attr_int(&n, "k", 2);
    pb_msg(&g, GRAPH_NODE, &n);
    refuse(&g, "duplicate-name");
}
END_TEST

/* ---- types ----------------------------------------------------------------------------------- */

START_TEST(types_of_values) {
    struct pb g = graph_xy(), v = {0}, seq = {0}, type = {0}, tensor = {0};
    pb_int(&tensor, 1, 7);
    pb_msg(&type, 1, &tensor);
    pb_msg(&seq, 1, &type);
    pb_msg(&type, 4, &seq);
    pb_str(&v, 1, "s");
    pb_msg(&v, 2, &type);
    pb_msg(&g, GRAPH_INPUT, &v);
    add(&g, GRAPH_INPUT, onnx_value("u", 1, NULL));
    add(&g, GRAPH_INPUT, onnx_value("m", 1, "-1,0,batch")); /* -1: an old habit for "unknown" */
    pb_str(&v, 1, "untyped");
    pb_msg(&g, GRAPH_INPUT, &v);
    node(&g, "t::A", "x", "y");
    accept(&g);
    struct ox_value **in = model->graph->inputs;
    ck_assert_int_eq(in[1]->type->kind, OX_TYPE_SEQUENCE);
    ck_assert_int_eq(in[1]->type->elem->dtype, OX_INT64);
    ck_assert_int_eq(in[1]->type->elem->rank, -1);
    ck_assert_int_eq(in[2]->type->rank, -1);
    ck_assert_int_eq(in[3]->type->rank, 3);
    ck_assert(!ox_dim_is_const(in[3]->type->dims[0]));
    ck_assert(ox_dim_same(in[3]->type->dims[1], ox_dim_const(0)));
    ck_assert_str_eq(ox_name_text(ox_dim_name(in[3]->type->dims[2])), "batch");
    ck_assert_int_eq(in[4]->type->kind, OX_TYPE_UNKNOWN);
    ox_model_free(model);
    static const char *const bad[] = {
        "-2", "4294967296,4294967296",
        ("1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
         "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1")};
    for (size_t i = 0; i < 3; i++) {
        g = graph_xy();
        add(&g, GRAPH_INPUT, onnx_value("b", 1, bad[i]));
        refuse(&g, "bad-shape");
    }
    g = graph_xy();
    add(&g, GRAPH_INPUT, onnx_value("b", 27, "1"));
    refuse(&g, "wrong-type");
}
END_TEST

/* ---- functions ------------------------------------------------------------------------------- */

/* A function `name` (one input a, one output b) whose body is one node of type `op`. */
static void function(struct pb *m, const char *name, const char *op, const char *ref) {
    struct pb f = {0}, n = onnx_node(op, "a", "b"), a = {0};
    pb_str(&f, FUNCTION_NAME, name);
    pb_str(&f, FUNCTION_DOMAIN, "t");
    pb_str(&f, FUNCTION_INPUT, "a");
    pb_str(&f, FUNCTION_OUTPUT, "b");
    if (ref) {
        pb_str(&f, FUNCTION_ATTR, ref);
        pb_str(&a, ATTR_NAME, "alpha");
        pb_str(&a, ATTR_REF, ref);
        pb_int(&a, ATTR_TYPE, 1);
        pb_msg(&n, NODE_ATTR, &a);
    }
    pb_msg(&f, FUNCTION_NODE, &n);
    add(&f, FUNCTION_OPSET, onnx_opset("t", 1));
    pb_msg(m, MODEL_FUNCTION, &f);
}

static struct pb caller(const char *op) {
    struct pb g = graph_xy();
    node(&g, op, "x", "y");
    return finish(&g);
}

START_TEST(functions_are_found_and_kept) {
    struct pb m = caller("t::F");
    function(&m, "F", "t::G", NULL);
    function(&m, "G", "t::Plain", "beta");
    ck_ok(front_load(&model, &m));
    ck_assert_uint_eq(model->n_functions, 2);
    const struct ox_function *f = model->functions[0], *g = model->functions[1];
    ck_assert_ptr_eq(ox_graph_begin(model->graph)->callee, f);
    ck_assert_ptr_eq(ox_graph_begin(f->body)->callee, g);
    ck_assert_ptr_null(ox_graph_begin(g->body)->callee);
    ck_assert_str_eq(ox_graph_begin(g->body)->attrs[0].ref->text, "beta");
    ck_assert_ptr_eq(f->body->function, f);
    ck_assert_str_eq(f->body->inputs[0]->name->text, "a");
    ck_assert_str_eq(g->attrs[0]->text, "beta");
    ck_assert_int_eq(f->opsets[0].version, 1);
    ox_model_free(model);
}
END_TEST

START_TEST(functions_do_not_recur) {
    struct pb m = caller("t::F");
    function(&m, "F", "t::F", NULL);
    ck_fails(front_load(NULL, &m), OX_INVALID, "recursive-function");
    m = caller("t::F");
    function(&m, "F", "t::G", NULL);
    function(&m, "G", "t::F", NULL);
    ck_fails(front_load(NULL, &m), OX_INVALID, "recursive-function");
    /* hidden in a subgraph */
    struct pb f = {0}, n = onnx_node("t::If", "a", "b"), inner = {0};
    node(&inner, "t::F", "a", "z");
    add(&inner, GRAPH_OUTPUT, onnx_value("z", 1, NULL));
    onnx_attr_msg(&n, "body", 5, ATTR_G, &inner);
    pb_str(&f, FUNCTION_NAME, "F");
    pb_str(&f, FUNCTION_DOMAIN, "t");
    pb_str(&f, FUNCTION_INPUT, "a");
    pb_str(&f, FUNCTION_OUTPUT, "b");
    pb_msg(&f, FUNCTION_NODE, &n);
    m = caller("t::F");
    pb_msg(&m, MODEL_FUNCTION, &f);
    ck_fails(front_load(NULL, &m), OX_INVALID, "recursive-function");
}
END_TEST

START_TEST(chains_of_calls_are_limited) {
    for (int length = 100; length <= 101; length++) {
        struct pb m = caller("t::F0");
        for (int i = 0; i < length; i++) {
            char name[16], op[16];
            snprintf(name, sizeof name, "F%d", i);
            snprintf(op, sizeof op, "t::F%d", i + 1);
            function(&m, name, op, NULL);
        }
        if (length == 100) {
            ck_ok(front_load(&model, &m));
            ox_model_free(model);
        } else {
            ck_fails(front_load(NULL, &m), OX_INVALID, "over-limit");
        }
    }
}
END_TEST

START_TEST(calls_must_fit) {
    struct pb g = graph_xy(), m;
    node(&g, "t::F", "x x", "y");
    m = finish(&g);
    function(&m, "F", "t::Plain", NULL);
    ck_fails(front_load(NULL, &m), OX_INVALID, "wrong-arity");
    g = graph_xy();
    node(&g, "t::F", "x", "y z");
    m = finish(&g);
    function(&m, "F", "t::Plain", NULL);
    ck_fails(front_load(NULL, &m), OX_INVALID, "wrong-arity");
    m = caller("t::F");
    function(&m, "F", "t::Plain", NULL);
    function(&m, "F", "t::Plain", NULL);
    ck_fails(front_load(NULL, &m), OX_INVALID, "duplicate-name");
}
END_TEST

int main(void) {
    Suite *s = suite_create("reader");
    TCase *t = tcase_create("reader");
    tcase_add_checked_fixture(t, front_begin, front_end);
    tcase_add_test(t, a_model_arrives_whole);
    tcase_add_test(t, weights_are_slices);
    tcase_add_test(t, opaque_fields_are_kept);
    tcase_add_test(t, a_model_needs_version_graph_and_opset);
    tcase_add_test(t, other_files_are_recognized);
    tcase_add_test(t, order_of_nodes_does_not_matter);
    tcase_add_test(t, cycles_are_refused);
    tcase_add_test(t, names_are_defined_once);
    tcase_add_test(t, names_must_be_defined);
    tcase_add_test(t, an_initializer_may_be_an_inputs_default);
    tcase_add_test(t, subgraphs_capture_outer_values);
    tcase_add_test(t, a_capture_orders_the_outer_graph);
    tcase_add_test(t, inner_names_do_not_leak);
    tcase_add_test(t, a_bodys_input_is_no_initializer);
    tcase_add_test(t, depth_of_subgraphs_is_limited);
    tcase_add_test(t, attributes_of_all_kinds);
    tcase_add_test(t, attributes_must_agree_with_themselves);
    tcase_add_test(t, types_of_values);
    tcase_add_test(t, functions_are_found_and_kept);
    tcase_add_test(t, functions_do_not_recur);
    tcase_add_test(t, chains_of_calls_are_limited);
    tcase_add_test(t, calls_must_fit);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
