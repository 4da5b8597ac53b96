/* tests/unit/test_text.c - the text form: what it accepts, what it says about the rest, and that it
 * prints what it read. */
#include "ir/text/text.h"
#include <onnxopt/model.h>
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct seen {
    int count, line;
    char id[64], text[700], file[100];
};

static void on_diag(void *user, const struct ox_diag *d) {
    struct seen *s = user;
    if (s->count++) return; /* the first is the cause */
    s->line = d->line;
    snprintf(s->id, sizeof s->id, "%s", d->id);
    snprintf(s->text, sizeof s->text, "%s", d->text);
    snprintf(s->file, sizeof s->file, "%s", d->file ? d->file : "");
}

static struct seen seen;
static ox_ctx *ctx;

static void setup(void) {
    struct ox_ctx_options o = {
        .size = sizeof o, .on_diag = on_diag, .diag_user = &seen, .threads = 1};
    memset(&seen, 0, sizeof seen);
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static struct ox_model *parse(const char *text) {
    struct ox_model *m = NULL;
    memset(&seen, 0, sizeof seen);
    ox_status status = ox_text_parse(&m, ctx, text, strlen(text), "test");
    ck_assert_msg(status == OX_OK, "line %d: %s\n%s", seen.line, seen.text, text);
    return m;
}

static char *print(const struct ox_model *m) {
    char *text;
    size_t len;
    ck_assert_int_eq(ox_text_print(&text, &len, m, NULL), OX_OK);
    ck_assert_uint_eq(strlen(text), len);
    return text;
}

/* print(parse(text)) is `expected` (NULL: anything), and a fixed point. */
static void check_prints(const char *text, const char *expected) {
    struct ox_model *m = parse(text);
    char *once = print(m);
    if (expected) ck_assert_str_eq(once, expected);
    struct ox_model *again = parse(once);
    char *twice = print(again);
    ck_assert_str_eq(once, twice);
    ox_free(ctx, once);
    ox_free(ctx, twice);
    ox_model_free(m);
    ox_model_free(again);
}

/* The text is refused at that line with a message that holds `what`. */
static void check_refused(const char *text, int line, const char *what) {
    struct ox_model *m = NULL;
    memset(&seen, 0, sizeof seen);
    ck_assert_int_eq(ox_text_parse(&m, ctx, text, strlen(text), "bad.onnxtxt"), OX_INVALID);
    ck_assert_msg(strstr(seen.text, what) != NULL, "expected '%s' in '%s'", what, seen.text);
    ck_assert_int_eq(seen.line, line);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_str_eq(seen.id, "text-syntax");
    ck_assert_str_eq(seen.file, "bad.onnxtxt");
    ck_assert_ptr_null(m);
}

START_TEST(a_model_becomes_a_graph) {
    struct ox_model *m =
        parse("<ir_version: 8, opset_import: [\"\" : 17, \"com.x\" : 1], producer_name: \"me\",\n"
              " model_version: 3, metadata_props: [\"k\" : \"v\", \"k2\" : \"\"]>\n"
              "agraph (float[N, 2] X, float[2, 1] W = {1, 2}) => (float[N, 10] C)\n"
              "<float[1] B = {0.5}, float[N,10] T> # comment\n"
              "{\n"
              "    T = MatMul(X, W)\n"
              "    [add] S = Add(T, B)\n"
              "    C = com.x.Softmax:fast <axis = -1>(S, , T)\n"
              "}\n");
    ck_assert_int_eq(m->ir_version, 8);
    ck_assert_int_eq(ox_model_opset(m, NULL), 17);
    ck_assert_str_eq(ox_name_text(m->producer), "me");
    ck_assert(m->has_model_version);
    ck_assert_int_eq(m->model_version, 3);
    ck_assert_uint_eq(m->meta->count, 2);
    const struct ox_graph *g = m->graph;
    ck_assert_str_eq(ox_name_text(g->name), "agraph");
    ck_assert_uint_eq(g->n_inputs, 2);
    ck_assert_ptr_nonnull(g->inputs[1]->init);
    ck_assert_uint_eq(g->n_inits, 1);
    ck_assert_uint_eq(g->n_nodes, 3);
    const struct ox_node *matmul = g->first, *add = matmul->next, *softmax = add->next;
    ck_assert(matmul->out[0]->declared);
    ck_assert_int_eq(matmul->out[0]->type->rank, 2);
    ck_assert(!add->out[0]->declared);
    ck_assert_str_eq(ox_name_text(add->name), "add");
    ck_assert_ptr_eq(add->in[1].value, g->inits[0]);
    ck_assert_str_eq(ox_name_text(softmax->domain), "com.x");
    ck_assert_str_eq(ox_name_text(softmax->type), "Softmax");
    ck_assert_str_eq(ox_name_text(softmax->overload), "fast");
    ck_assert_uint_eq(softmax->n_in, 3);
    ck_assert_ptr_null(softmax->in[1].value);
    ck_assert_ptr_eq(softmax->in[2].value, matmul->out[0]);
    ck_assert_int_eq(softmax->attrs[0].v.i, -1);
    ck_assert_ptr_eq(g->ret->in[0].value, softmax->out[0]);
    ck_assert_str_eq(ox_name_text(g->outputs[0].name), "C");
    ck_assert_int_eq(g->outputs[0].type->dims[1].k, 10);
    ox_model_free(m);
}
END_TEST

START_TEST(printing_is_canonical) {
    check_prints(
        "<ir_version:8,opset_import:[\"\":17]>g(float[N,2]x,y)=>(float[N,2]z){t=Add(x,y)z=Relu(t)}",
        "<\n   ir_version: 8,\n   opset_import: [\"\" : 17]\n>\n"
        "g (float[N,2] x, y) => (float[N,2] z)\n"
        "{\n"
        "   t = Add (x, y)\n"
        "   z = Relu (t)\n"
        "}\n");
    check_prints(
        "<ir_version:8,opset_import:[\"\":17]>g(float x)=>(z)<float[2]w={1,-2.5e-8},float[?,a]t>"
        "{[n]t,\"\",u=Foo<k=1,f=[1,2.5],e:ints=[],s=\"a\\\"b\\\\c\">(x,\"\",w) z=Bar(t,)}",
        "<\n   ir_version: 8,\n   opset_import: [\"\" : 17]\n>\n"
        "g (float x) => (z)\n"
        "<float[2] w = {1, -2.5e-08},\n"
        " float[?,a] t>\n"
        "{\n"
        "   [n] t, \"\", u = Foo <k = 1, f = [1.0, 2.5], e : ints = [], s = \"a\\\"b\\\\c\"> (x, "
        "\"\", w)\n"
        "   z = Bar (t)\n"
        "}\n");
}
END_TEST

START_TEST(names_that_are_no_identifiers_are_quoted) {
    check_prints("<ir_version:8,opset_import:[\"\":17]>\"a graph\" (float[\"batch size\"] "
                 "\"serving_default_input:0\", float \"float\")"
                 " => (\"out/1\") { [\"node;1\"] \"out/1\" = \"my-domain.x\".\"Op-1\":\"o 1\" "
                 "<\"at-tr\" = 1> (\"serving_default_input:0\", \"float\")}",
                 "<\n   ir_version: 8,\n   opset_import: [\"\" : 17]\n>\n"
                 "\"a graph\" (float[\"batch size\"] \"serving_default_input:0\", float \"float\") "
                 "=> (\"out/1\")\n"
                 "{\n"
                 "   [\"node;1\"] \"out/1\" = \"my-domain.x\".\"Op-1\":\"o 1\" <\"at-tr\" = 1> "
                 "(\"serving_default_input:0\", \"float\")\n"
                 "}\n");
}
END_TEST

/* One tensor literal as an initializer; the model must be freed by the caller. */
static struct ox_model *one_tensor(const char *literal, const ox_tensor **t) {
    char text[4000];
    snprintf(text, sizeof text, "g () => () <%s> { }", literal);
    struct ox_model *m = parse(text);
    *t = m->graph->inits[0]->init;
    return m;
}

static void check_bytes(const char *literal, ox_dtype dtype, size_t size, const void *bytes) {
    const ox_tensor *t;
    struct ox_model *m = one_tensor(literal, &t);
    ck_assert_int_eq(t->dtype, dtype);
    ck_assert_uint_eq(t->size, size);
    if (size) ck_assert_mem_eq(t->data, bytes, size);
    char *text = print(m);
    struct ox_model *again = parse(text);
    ck_assert_msg(ox_tensor_equal(t, again->graph->inits[0]->init), "%s", text);
    ox_free(ctx, text);
    ox_model_free(m);
    ox_model_free(again);
}

START_TEST(tensors_of_every_type) {
    check_bytes("float[3] w = {1, -0.0, 3.5e0}", OX_FLOAT, 12, (float[]){1, -0.0f, 3.5f});
    check_bytes("double[2] w = {0.1, -inf}", OX_DOUBLE, 16, (double[]){0.1, -(double)INFINITY});
    check_bytes("uint8[2] w = {0, 255}", OX_UINT8, 2, (uint8_t[]){0, 255});
    check_bytes("int8[2] w = {-128, 127}", OX_INT8, 2, (int8_t[]){-128, 127});
    check_bytes("uint16[2] w = {0, 65535}", OX_UINT16, 4, (uint16_t[]){0, 65535});
    check_bytes("int16[2] w = {-32768, 32767}", OX_INT16, 4, (int16_t[]){-32768, 32767});
    check_bytes("int32[2] w = {-2147483648, 2147483647}", OX_INT32, 8,
                (int32_t[]){INT32_MIN, INT32_MAX});
    check_bytes("uint32[2] w = {0, 4294967295}", OX_UINT32, 8, (uint32_t[]){0, UINT32_MAX});
    check_bytes("int64[2] w = {-9223372036854775808, 9223372036854775807}", OX_INT64, 16,
                (int64_t[]){INT64_MIN, INT64_MAX});
    check_bytes("uint64[2] w = {0, 18446744073709551615}", OX_UINT64, 16,
                (uint64_t[]){0, UINT64_MAX});
    check_bytes("bool[2] w = {0, 1}", OX_BOOL, 2, (uint8_t[]){0, 1});
    check_bytes("float16[3] w = {15360, 1.5, -inf}", OX_FLOAT16, 6,
                (uint16_t[]){0x3c00, 0x3e00, 0xfc00});
    check_bytes("bfloat16[2] w = {16256, -2.0}", OX_BFLOAT16, 4, (uint16_t[]){0x3f80, 0xc000});
    check_bytes("complex64[1] w = {1, -2}", OX_COMPLEX64, 8, (float[]){1, -2});
    check_bytes("complex128 w = {1.5, 0}", OX_COMPLEX128, 16, (double[]){1.5, 0});
    check_bytes("float8e4m3fn[2] w = {0, 255}", OX_FLOAT8E4M3FN, 2, (uint8_t[]){0, 255});
    check_bytes("float8e4m3fnuz w = {7}", OX_FLOAT8E4M3FNUZ, 1, (uint8_t[]){7});
    check_bytes("float8e5m2 w = {7}", OX_FLOAT8E5M2, 1, (uint8_t[]){7});
    check_bytes("float8e5m2fnuz w = {7}", OX_FLOAT8E5M2FNUZ, 1, (uint8_t[]){7});
    check_bytes("float8e8m0 w = {127}", OX_FLOAT8E8M0, 1, (uint8_t[]){127});
    check_bytes("uint4[3] w = {1, 15, 7}", OX_UINT4, 2, (uint8_t[]){0xf1, 0x07});
    check_bytes("int4[3] w = {-8, 7, -1}", OX_INT4, 2, (uint8_t[]){0x78, 0x0f});
    check_bytes("float4e2m1[2] w = {1, 15}", OX_FLOAT4E2M1, 1, (uint8_t[]){0xf1});
    check_bytes("uint2[5] w = {0, 1, 2, 3, 1}", OX_UINT2, 2, (uint8_t[]){0xe4, 0x01});
    check_bytes("int2[4] w = {-2, -1, 0, 1}", OX_INT2, 1, (uint8_t[]){0x4e});
    check_bytes("float[2,0,3] w = {}", OX_FLOAT, 0, "");
    check_bytes("float w = {nan}", OX_FLOAT, 4, (uint32_t[]){0x7fc00000});
    check_bytes("float[3] w = {-nan, nan(0x1), -nan(0x7fffff)}", OX_FLOAT, 12,
                (uint32_t[]){0xffc00000, 0x7f800001, 0xffffffff});
    check_bytes("double w = {nan(0xdeadbeef)}", OX_DOUBLE, 8, (uint64_t[]){0x7ff00000deadbeef});
    check_bytes("float[2] w = {Infinity, -INF}", OX_FLOAT, 8, (uint32_t[]){0x7f800000, 0xff800000});
    const ox_tensor *t;
    struct ox_model *m = one_tensor("string[3] w = {\"\", \"a\\\"\\\\b\", \"\n\xc3\xa9\x01\"}", &t);
    const struct ox_str *s = t->data;
    ck_assert_uint_eq(s[0].len, 0);
    ck_assert_uint_eq(s[1].len, 4);
    ck_assert_mem_eq(s[1].ptr, "a\"\\b", 4);
    ck_assert_mem_eq(s[2].ptr, "\n\xc3\xa9\x01", 4);
    char *text = print(m);
    struct ox_model *again = parse(text);
    ck_assert(ox_tensor_equal(t, again->graph->inits[0]->init));
    ox_free(ctx, text);
    ox_model_free(again);
    ox_model_free(m);
}
END_TEST

/* Bit patterns spread over all exponents. */
START_TEST(floats_read_back_to_the_same_bits) {
    enum { N = 20000 };
    void *data;
    ox_tensor *floats, *doubles;
    struct ox_model *m;
    ox_name name;
    struct ox_value *v;
    uint64_t x = 88172645463325252u;
    const int64_t dims[] = {N};
    ck_assert_int_eq(ox_model_new(&m, ctx), OX_OK);
    ck_assert_int_eq(ox_tensor_new(&floats, &data, ctx, OX_FLOAT, 1, dims), OX_OK);
    for (size_t i = 0; i < N; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        ((uint32_t *)data)[i] = (uint32_t)(x >> 32);
    }
    ck_assert_int_eq(ox_tensor_new(&doubles, &data, ctx, OX_DOUBLE, 1, dims), OX_OK);
    for (size_t i = 0; i < N; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        ((uint64_t *)data)[i] = i < 100 ? x >> (i % 52) : x;
    }
    ck_assert_int_eq(ox_model_name(&name, m, "f", 1), OX_OK);
    ck_assert_int_eq(ox_graph_add_init(&v, m->graph, name, floats), OX_OK);
    ck_assert_int_eq(ox_model_name(&name, m, "d", 1), OX_OK);
    ck_assert_int_eq(ox_graph_add_init(&v, m->graph, name, doubles), OX_OK);
    char *text = print(m);
    struct ox_model *again = parse(text);
    ck_assert(ox_tensor_equal(floats, again->graph->inits[0]->init));
    ck_assert(ox_tensor_equal(doubles, again->graph->inits[1]->init));
    ox_free(ctx, text);
    ox_model_free(m);
    ox_model_free(again);
}
END_TEST

/* A locale with a decimal comma must change nothing; skipped silently only where none is installed.
 */
START_TEST(the_process_locale_does_not_matter) {
    locale_t comma = newlocale(LC_ALL_MASK, "de_DE.UTF-8", (locale_t)0);
    locale_t former = comma ? uselocale(comma) : (locale_t)0;
    check_prints("g (x) => (y) <float w = {1.5}> { y = Foo<a = 2.25>(x, w) }",
                 "<\n   ir_version: 10,\n   opset_import: [\"\" : 22]\n>\n"
                 "g (x) => (y)\n<float w = {1.5}>\n{\n   y = Foo <a = 2.25> (x, w)\n}\n");
    if (comma) {
        ck_assert_ptr_eq(uselocale(former), comma);
        freelocale(comma);
    }
}
END_TEST

static const struct ox_attr *attr_of(const struct ox_node *node, const char *name,
                                     enum ox_attr_type type) {
    const struct ox_attr *a = ox_node_attr(node, name);
    ck_assert_msg(a && a->type == type, "attribute %s", name);
    return a;
}

START_TEST(attributes_of_every_type) {
    struct ox_model *m =
        parse("g (x) => (y) { y = Foo<i = 3, f = 0.625, f2 : float = 2, inf = -inf, s = \"str\", "
              "is = [1, -2], fs = [1, 2.5],\n"
              "ss = [\"a\", \"b\"], es : strings = [], t = float[2] name {1, 2}, t2 = int64 = {7}, "
              "ts = [float {1}, int8[1] {2}],\n"
              "tp = float[3,N], tps = [seq(float[]), map(int64, "
              "optional(sparse_tensor(double[2])))], r : ints = @other, r2 = @\"o p\"\n"
              "> (x) }");
    const struct ox_node *n = m->graph->first;
    const struct ox_attr *a;
    a = attr_of(n, "i", OX_ATTR_INT);
    ck_assert_int_eq(a->v.i, 3);
    a = attr_of(n, "f", OX_ATTR_FLOAT);
    ck_assert_float_eq(a->v.f, 0.625f);
    a = attr_of(n, "f2", OX_ATTR_FLOAT);
    ck_assert_float_eq(a->v.f, 2.0f);
    a = attr_of(n, "inf", OX_ATTR_FLOAT);
    ck_assert(isinf(a->v.f) && a->v.f < 0);
    a = attr_of(n, "s", OX_ATTR_STRING);
    ck_assert_mem_eq(a->v.s.ptr, "str", 3);
    a = attr_of(n, "is", OX_ATTR_INTS);
    ck_assert_uint_eq(a->count, 2);
    ck_assert_int_eq(a->v.ints[1], -2);
    a = attr_of(n, "fs", OX_ATTR_FLOATS);
    ck_assert_float_eq(a->v.floats[0], 1.0f);
    a = attr_of(n, "ss", OX_ATTR_STRINGS);
    ck_assert_uint_eq(a->v.strings[1].len, 1);
    a = attr_of(n, "es", OX_ATTR_STRINGS);
    ck_assert_uint_eq(a->count, 0);
    a = attr_of(n, "t", OX_ATTR_TENSOR);
    ck_assert_uint_eq(a->v.t->count, 2);
    a = attr_of(n, "t2", OX_ATTR_TENSOR);
    ck_assert_int_eq(a->v.t->dtype, OX_INT64);
    a = attr_of(n, "ts", OX_ATTR_TENSORS);
    ck_assert_int_eq(a->v.tensors[1]->dtype, OX_INT8);
    a = attr_of(n, "tp", OX_ATTR_TYPE_PROTO);
    ck_assert_int_eq(a->v.tp->rank, 2);
    a = attr_of(n, "tps", OX_ATTR_TYPE_PROTOS);
    ck_assert_int_eq(a->v.tps[0]->kind, OX_TYPE_SEQUENCE);
    ck_assert_int_eq(a->v.tps[0]->elem->rank, -1);
    ck_assert_int_eq(a->v.tps[1]->kind, OX_TYPE_MAP);
    ck_assert_int_eq(a->v.tps[1]->elem->elem->kind, OX_TYPE_SPARSE);
    a = attr_of(n, "r", OX_ATTR_INTS);
    ck_assert_str_eq(ox_name_text(a->ref), "other");
    a = attr_of(n, "r2", OX_ATTR_UNDEFINED);
    ck_assert_str_eq(ox_name_text(a->ref), "o p");
    char *text = print(m);
    check_prints(text, text);
    ox_free(ctx, text);
    ox_model_free(m);
}
END_TEST

START_TEST(subgraphs_capture) {
    const char *text = "<\n   ir_version: 10,\n   opset_import: [\"\" : 22]\n>\n"
                       "g (bool b, float[N] x) => (float[N] z)\n"
                       "{\n"
                       "   y = Neg (x)\n"
                       "   z = If (b) <then_branch = g1 () => (float[N] z_then) {\n"
                       "         t = Relu (y)\n"
                       "         z_then = Abs (t)\n"
                       "      }, else_branch = \"g 2\" () => (z_else)\n"
                       "      <float w = {1}> {\n"
                       "         t = Add (x, w)\n"
                       "         z_else = Abs (t)\n"
                       "      }>\n"
                       "}\n";
    check_prints(text, text);
    struct ox_model *m = parse(text);
    const struct ox_node *neg = m->graph->first, *branch = neg->next;
    const struct ox_graph *g1 = ox_node_attr(branch, "then_branch")->v.g,
                          *g2 = ox_node_attr(branch, "else_branch")->v.g;
    ck_assert_ptr_eq(g1->owner, branch);
    ck_assert_ptr_eq(g1->first->in[0].value, neg->out[0]);
    ck_assert_ptr_eq(g2->first->in[0].value, m->graph->inputs[1]);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ox_model_free(m);
    check_refused("g (c, x) => (z) {\n z = If (c) <then_branch = a () => (t) { t = Abs (x) },\n "
                  "else_branch = b () => (u) { u = Abs (t) }>\n}",
                  3, "nothing defines 't'");
}
END_TEST

START_TEST(functions_are_linked) {
    const char *text = "<\n   ir_version: 10,\n   opset_import: [\"\" : 22, \"my\" : 1]\n>\n"
                       "g (float[N] x) => (y)\n"
                       "{\n"
                       "   t = my.f <alpha = 0.5> (x)\n"
                       "   y = my.f:two (t)\n"
                       "}\n\n"
                       "<\n   domain: \"my\",\n   opset_import: [\"\" : 22]\n>\n"
                       "f <alpha, beta = 2.0> (a) => (b)\n"
                       "{\n"
                       "   b = LeakyRelu <alpha : float = @alpha> (a)\n"
                       "}\n\n"
                       "<\n   domain: \"my\",\n   overload: \"two\",\n   opset_import: [\"\" : "
                       "22],\n   doc_string: \"doc\"\n>\n"
                       "f (a) => (b)\n"
                       "{\n"
                       "   b = Relu (a)\n"
                       "}\n";
    check_prints(text, text);
    struct ox_model *m = parse(text);
    ck_assert_uint_eq(m->n_functions, 2);
    ck_assert_ptr_eq(m->graph->first->callee, m->functions[0]);
    ck_assert_ptr_eq(m->graph->first->next->callee, m->functions[1]);
    ck_assert_uint_eq(m->functions[0]->n_attrs, 1);
    ck_assert_uint_eq(m->functions[0]->n_defaults, 1);
    ck_assert_float_eq(m->functions[0]->defaults[0].v.f, 2.0f);
    ck_assert_ptr_eq(m->functions[0]->body->function, m->functions[0]);
    ox_model_free(m);
    check_refused("g (x) => (y) { y = f (x) }\nf (a) => (b) { b = Relu (x) }", 2,
                  "nothing defines 'x'");
}
END_TEST

START_TEST(types_of_every_kind) {
    check_prints("g (float a, float[] b, float[1,?,N,\"2*N + 1\"] c, seq(seq(int64)) d, "
                 "optional(float[N]) e, map(string, seq(float[])) f,"
                 "sparse_tensor(float[3]) h, opaque(a.b, c) i) => () { }",
                 "<\n   ir_version: 10,\n   opset_import: [\"\" : 22]\n>\n"
                 "g (float a, float[] b, float[1,?,N,\"2*N + 1\"] c, seq(seq(int64)) d, "
                 "optional(float[N]) e, map(string, seq(float[])) f, "
                 "sparse_tensor(float[3]) h, i) => ()\n{\n}\n");
}
END_TEST

/* As initializers, as attributes, in lists, and (as Constant) in functions. */
START_TEST(sparse_tensors) {
    check_prints("g (float[2,3] x) => (y) <sparse_tensor(float[2,3]) w = {float[2] {1.5, 2}, "
                 "int64[2] {0, 4}}, sparse_tensor(int8[4]) e = {int8[0] {}, int64[0,1] {}}>\n"
                 "{ y = Add(x, w) z = Foo <a = sparse_tensor(string[2]) {string[1] {\"s\"}, "
                 "int64[1,1] {1}}, l = [sparse_tensor(float[1]) {float[1] {3}, int64[1] {0}}], "
                 "n : sparse_tensors = []> () }",
                 "<\n   ir_version: 10,\n   opset_import: [\"\" : 22]\n>\n"
                 "g (float[2,3] x) => (y)\n<sparse_tensor(float[2,3]) w = {float[2] {1.5, 2}, "
                 "int64[2] {0, 4}},\n"
                 " sparse_tensor(int8[4]) e = {int8[0] {}, int64[0,1] {}}>\n{\n   y = Add (x, w)\n"
                 "   z = Foo <a = sparse_tensor(string[2]) {string[1] {\"s\"}, int64[1,1] {1}}, l "
                 "= [sparse_tensor(float[1]) {float[1] {3}, int64[1] {0}}], "
                 "n : sparse_tensors = []> ()\n}\n");
    check_refused("g () => () <sparse_tensor(float[3]) w = {float[1] {1}, int64[1] {3}}> { }", 1,
                  "the index 3 is outside");
    check_refused(
        "g () => () <sparse_tensor(float[2,3]) w = {float[1] {1}, int64[1,2] {1,-1}}> { }", 1,
        "the index -1 is outside");
    check_refused("g () => () <sparse_tensor(float[3]) w = {float[1] {1}, int64[2] {1, 2}}> { }", 1,
                  "do not fit");
    check_refused("g () => () <sparse_tensor(float[3]) w = {int8[1] {1}, int64[1] {1}}> { }", 1,
                  "do not fit");
    check_refused("g () => () <sparse_tensor(float[N]) w = {float[1] {1}, int64[1] {1}}> { }", 1,
                  "must be numbers");
    check_refused("g () => () <sparse_tensor(float[3]) w = {float[1] {1}}> { }", 1, "expected ','");
    check_refused(
        "g () => (y) { y = Foo <a = sparse_tensor(float[3]) {float[1] {1}, int32[1] {1}}> () }", 1,
        "do not fit");
    check_refused("g () => (y) { y = Foo <a : tensor = sparse_tensor(float[3]) {float[1] {1}, "
                  "int64[1] {1}}> () }",
                  1, "where the type says tensor");
}
END_TEST

START_TEST(bodies_of_rules) {
    const char *text =
        "y = Add (x, w)  z, u = Foo <g = b () => (r) { r = Relu (outer) }> (y, outer)";
    struct ox_model *m = NULL;
    ck_assert_int_eq(ox_text_parse_body(&m, ctx, text, strlen(text), 17, "rule"), OX_OK);
    ck_assert_int_eq(ox_model_opset(m, NULL), 17);
    ck_assert_uint_eq(m->graph->n_inputs, 3);
    ck_assert_str_eq(ox_name_text(m->graph->inputs[0]->name), "x");
    ck_assert_str_eq(ox_name_text(m->graph->inputs[1]->name), "w");
    ck_assert_str_eq(ox_name_text(m->graph->inputs[2]->name), "outer");
    ck_assert_uint_eq(m->graph->inputs[2]->n_uses, 2);
    ck_assert_uint_eq(m->graph->ret->n_in, 2);
    ck_assert_str_eq(ox_name_text(m->graph->outputs[1].name), "u");
    ox_model_free(m);
    memset(&seen, 0, sizeof seen);
    ck_assert_int_eq(ox_text_parse_body(&m, ctx, "y = Relu (y)", 12, 17, "rule"), OX_INVALID);
    ck_assert_int_eq(ox_text_parse_body(&m, ctx, "", 0, 17, "rule"), OX_INVALID);
}
END_TEST

START_TEST(errors_say_where_and_what) {
    check_refused("", 1, "found the end of the text");
    check_refused("g (x) => (y)\n{ y = Relu(z)\n}", 2, "nothing defines 'z'");
    check_refused("g (x) => (y)\n{ y = Relu(x) \n y = Relu(x) }", 3, "'y' is defined twice");
    check_refused("g (x, x) => (y) { }", 1, "'x' is defined twice");
    check_refused("g (x) => (y) { }", 1, "nothing defines the output 'y'");
    check_refused("g (x) > (y) { }", 1, "expected '=>' and the outputs, found '>'");
    check_refused("g (x) => (y) { y Relu(x) }", 1,
                  "expected a node, as in 'y = Relu(x)', found 'Relu'");
    check_refused("g (x) => (y) { y = Relu(x }", 1, "expected ')', found '}'");
    check_refused("g (x) => (y) { y = Relu(\"x) }", 1, "this string has no end");
    check_refused("g (x) => (y) { y = Foo<a = >(x) }", 1,
                  "expected the value of an attribute, found '>'");
    check_refused("g (x) => (y) { y = Foo<a = 1, a = 2>(x) }", 1, "attribute 'a' is given twice");
    check_refused("g (x) => (y) { y = Foo<a : int = 1.5>(x) }", 1,
                  "a float where the type says int");
    check_refused("g (x) => (y) { y = Foo<a : nothing = 1.5>(x) }", 1,
                  "expected the type of an attribute, found 'nothing'");
    check_refused("g (x) => (y) { y = Foo<a = []>(x) }", 1, "an empty list needs a type");
    check_refused("g (x) => (y) { y = Foo<a = [1, \"x\"]>(x) }", 1, "not of one type");
    check_refused("g (x) => (y) { y = Foo<a : int = [1]>(x) }", 1,
                  "a list where the type says int");
    check_refused("g (x) => (y) { y = Foo<a = 99999999999999999999>(x) }", 1,
                  "does not fit in 64 bits");
    check_refused("g (x) => (y) { y = Foo<a = 1e99>(x) }", 1, "is no float");
    check_refused("g (x) => (y) { y = Foo<a = -x>(x) }", 1, "a number");
    check_refused("g (float[-1] x) => () { }", 1, "cannot be negative");
    check_refused("g (flat[1] x) => () { }", 1, "expected ')', found '['");
    check_refused("g (seq(float x) => () { }", 1, "expected ')', found 'x'");
    check_refused("g () => () <float[2] w = {1}> { }", 1,
                  "1 elements where the dimensions ask for 2");
    check_refused("g () => () <float[2] w = {1,2,3}> { }", 1, "more than the 2 elements");
    check_refused("g () => () <float[2] w = {...}> { }", 1, "left out when it was printed");
    check_refused("g () => () <float[N] w = {1}> { }", 1, "must be numbers");
    check_refused("g () => () <float[] w = {1}> { }", 1, "needs dimensions");
    check_refused("g () => () <w = {1}> { }", 1, "needs a type");
    check_refused("g () => () <seq(float) w = {1}> { }", 1, "only tensors");
    check_refused("g () => () <uint8 w = {256}> { }", 1, "256 is no uint8");
    check_refused("g () => () <int4 w = {8}> { }", 1, "8 is no int4");
    check_refused("g () => () <bool w = {2}> { }", 1, "2 is no bool");
    check_refused("g () => () <int8 w = {1.5}> { }", 1, "expected an integer");
    check_refused("g () => () <float w = {\"a\"}> { }", 1, "expected a number");
    check_refused("g () => () <float[9223372036854775807,9223372036854775807] w = {1}> { }", 1,
                  "too large");
    check_refused("g () => () <float w = [\"location\": \"../x\"]> { }", 1,
                  "external data cannot be given");
    check_refused("<ir_version: x> g () => () { }", 1, "expected an integer, found 'x'");
    check_refused("<colour: 1> g () => () { }", 1, "expected a field of a model");
    check_refused("<opset_import: [\"\" : 1, \"ai.onnx\" : 2]> g () => () { }", 1,
                  "imported twice");
    check_refused("g (x) => (y) { y = Relu(x) } trailing", 1,
                  "expected '(' and the inputs of a function");
    check_refused("g (x) => (y) { y = Relu(x) } <ir_version: 3> f", 1,
                  "expected a field of a function");
}
END_TEST

/* A text of n copies of `piece`, refused without deep recursion and without much memory. */
static void check_bomb(const char *head, const char *piece, size_t n, const char *what) {
    size_t len = strlen(head), step = strlen(piece);
    char *text = malloc(len + n * step + 1);
    memcpy(text, head, len);
    for (size_t i = 0; i < n; i++)
        memcpy(text + len + i * step, piece, step);
    text[len + n * step] = 0;
    struct ox_model *m = NULL;
    memset(&seen, 0, sizeof seen);
    ck_assert_int_eq(ox_text_parse(&m, ctx, text, len + n * step, "bomb"), OX_INVALID);
    ck_assert_msg(strstr(seen.text, what) != NULL, "expected '%s' in '%s'", what, seen.text);
    free(text);
}

START_TEST(depth_is_bounded) {
    check_bomb("g () => () { ", "y = If <b = g () => () { ", 20000, "nested deeper than 32");
    check_bomb("g (", "seq(", 100000, "nested more than 32 deep");
    check_bomb("g () => () { y = Foo <a = ", "[", 100000, "expected the value of an attribute");
    check_bomb("g (float[", "1,", 100000, "more than 64 dimensions");
    check_bomb("g (", "-", 1000, "expected a name");
}
END_TEST

START_TEST(bytes_of_any_value_are_refused_or_read) {
    struct ox_model *m = NULL;
    const char nul[] = "g (x) => (y) { y = Foo<s = \"a\0b\">(x) }";
    ck_assert_int_eq(ox_text_parse(&m, ctx, nul, sizeof nul - 1, "nul"), OX_OK);
    ck_assert_uint_eq(m->graph->first->attrs[0].v.s.len, 3);
    ox_model_free(m);
    const char name[] = "g (\"a\0b\") => () { }";
    ck_assert_int_eq(ox_text_parse(&m, ctx, name, sizeof name - 1, "nul"), OX_INVALID);
    /* Every prefix of a text, and every single byte changed, ends in a status. */
    const char text[] = "<ir_version: 8, opset_import: [\"\" : 17]> g (float[N,2] x = {}, y) => "
                        "(z)\n<int4[3] w = {1,-2,3}>"
                        "{ [n] z = a.Foo:o <k = [1, 2.5], t = float {nan}> (x, , \"y\") "
                        "}\n<domain: \"a\"> Foo <q : float = 1> (a) => () { }";
    for (size_t i = 0; i < sizeof text; i++)
        if (ox_text_parse(&m, ctx, text, i, "cut") == OX_OK) ox_model_free(m);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char copy[sizeof text];
        for (int c = 0; c < 256; c += c < 128 ? 1 : 31) {
            memcpy(copy, text, sizeof text);
            copy[i] = (char)c;
            if (ox_text_parse(&m, ctx, copy, sizeof text - 1, "changed") == OX_OK) ox_model_free(m);
        }
    }
}
END_TEST

START_TEST(printing_can_leave_out_elements_and_add_types) {
    struct ox_model *m = parse("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}, float v = "
                               "{3}> { t = Add(x, w) y = Mul(t, v) }");
    char *text;
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    struct ox_text_options o = {.max_elements = 1, .all_types = true};
    ck_assert_int_eq(ox_text_print(&text, NULL, m, &o), OX_OK);
    ck_assert_ptr_nonnull(strstr(text, "<float[2] w = {...},\n float v = {3},\n float[2] t>\n"));
    ox_free(ctx, text);
    ck_assert_int_eq(ox_text_print_node(&text, NULL, m->graph->first), OX_OK);
    ck_assert_str_eq(text, "t = Add (x, w)");
    ox_free(ctx, text);
    ox_model_free(m);
}
END_TEST

START_TEST(the_public_functions_check_and_infer) {
    ox_model *m = NULL;
    const char *good = "g (float[2,3] x) => (y) { y = Relu (x) }",
               *bad = "g (x) => (y) { y = Relu (x, x, x) }";
    ck_assert_int_eq(ox_model_parse(&m, ctx, good, strlen(good), "good"), OX_OK);
    ck_assert_int_eq(((struct ox_model *)m)->graph->first->out[0]->type->rank, 2);
    char *text;
    size_t len;
    ck_assert_int_eq(ox_model_text(&text, &len, m, 0), OX_OK);
    ck_assert_uint_eq(strlen(text), len);
    ox_text_free(ctx, text);
    ox_model_free(m);
    m = NULL;
    ck_assert_int_eq(ox_model_parse(&m, ctx, bad, strlen(bad), "bad"), OX_INVALID);
    ck_assert_ptr_null(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("text");
    TCase *c = tcase_create("text");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_model_becomes_a_graph);
    tcase_add_test(c, printing_is_canonical);
    tcase_add_test(c, names_that_are_no_identifiers_are_quoted);
    tcase_add_test(c, tensors_of_every_type);
    tcase_add_test(c, floats_read_back_to_the_same_bits);
    tcase_add_test(c, the_process_locale_does_not_matter);
    tcase_add_test(c, attributes_of_every_type);
    tcase_add_test(c, subgraphs_capture);
    tcase_add_test(c, functions_are_linked);
    tcase_add_test(c, types_of_every_kind);
    tcase_add_test(c, sparse_tensors);
    tcase_add_test(c, bodies_of_rules);
    tcase_add_test(c, errors_say_where_and_what);
    tcase_add_test(c, depth_is_bounded);
    tcase_add_test(c, bytes_of_any_value_are_refused_or_read);
    tcase_add_test(c, printing_can_leave_out_elements_and_add_types);
    tcase_add_test(c, the_public_functions_check_and_infer);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
