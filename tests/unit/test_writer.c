/* tests/unit/test_writer.c - models into ONNX protobuf: nothing is lost, and the bytes are
 * canonical. */
#include "backend/onnx/encode.h"
#include "ir/text/text.h"
#include "model_same.h"
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <onnx-ml.pb-c.h>
#include <onnxopt/load.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char first_error[700];
static ox_ctx *ctx;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    if (d->severity == OX_ERROR && !first_error[0])
        snprintf(first_error, sizeof first_error, "%s", d->text);
}

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    first_error[0] = 0;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

struct bytes {
    unsigned char *data;
    size_t size;
};

static struct bytes encode_with(const struct ox_model *m, const struct ox_external_plan *plan) {
    struct ox_naming naming;
    struct ox_wire_out out;
    ox_wire_out_init(&out, ctx);
    ck_assert_msg(ox_naming_init(&naming, m) == OX_OK, "%s", first_error);
    ck_assert_int_eq(ox_encode_model(&out, m, &naming, plan), OX_OK);
    struct bytes b = {malloc(out.size + 1), 0};
    for (size_t i = out.n_pieces; i-- > 0;) {
        memcpy(b.data + b.size, out.pieces[i].data, out.pieces[i].size);
        b.size += out.pieces[i].size;
    }
    ck_assert_uint_eq(b.size, out.size);
    ox_wire_out_fini(&out);
    ox_naming_fini(&naming);
    return b;
}

static struct bytes encode(const struct ox_model *m) {
    return encode_with(m, NULL);
}

static struct ox_model *decode(const struct bytes *b) {
    ox_model *m = NULL;
    struct ox_load_options o = {.size = sizeof o, .no_check = true};
    ox_status status = ox_model_load_memory(&m, ctx, b->data, b->size, "written", NULL, &o);
    ck_assert_msg(status == OX_OK, "cannot read what was written: %s", first_error);
    return m;
}

/* A model read from its text, written, read and written again. */
static struct ox_model *round_trip(const char *text) {
    struct ox_model *m = NULL;
    first_error[0] = 0;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", first_error);
    struct bytes once = encode(m);
    struct ox_model *back = decode(&once);
    const char *d = model_difference(m, back);
    ck_assert_msg(!d, "%s\n%s", d, text);
    struct bytes twice = encode(back);
    ck_assert_uint_eq(once.size, twice.size);
    ck_assert_mem_eq(once.data, twice.data, once.size);
    free(once.data);
    free(twice.data);
    ox_model_free(back);
    return m;
}

/* ---- the table of field numbers -------------------------------------------------------------- */

static void check_field(const ProtobufCMessageDescriptor *message, const char *name,
                        unsigned number, enum ox_wire_type type) {
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(message, name);
    ck_assert_msg(f != NULL, "%s has no field %s", message->name, name);
    ck_assert_msg(f->id == number, "%s.%s is %u", message->name, name, f->id);
    enum ox_wire_type wire = OX_WT_LEN;
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_ENUM:
        wire = OX_WT_VARINT;
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        wire = OX_WT_32;
        break;
    default:
        break;
    }
    ck_assert_msg((f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) == 0, "%s.%s is packed", message->name,
                  name);
    ck_assert_msg(wire == type, "%s.%s has another wire type", message->name, name);
}

START_TEST(field_numbers_are_those_of_the_schema) {
#define X(constant, message, field, number, type)                                                  \
    check_field(&onnx__##message##__descriptor, #field, number, type);
    OX_WIRE_FIELDS(X)
#undef X
}
END_TEST

/* ---- models ---------------------------------------------------------------------------------- */

START_TEST(models_come_back_as_they_were) {
    static const char *const texts[] = {
        "g (float[N,3] x) => (float[N,3] y) <float[3] w = {1, 2, 3}, float[?,3] t> { t = Add (x, "
        "w) [last] y = Relu (t) }",
        "<ir_version: 8, opset_import: [\"\" : 17, \"com.x\" : 3], producer_name: \"p\", "
        "producer_version: \"1\", domain: \"d\",\n"
        " model_version: 7, doc_string: \"doc\", metadata_props: [\"k\" : \"v\", \"empty\" : "
        "\"\"]>\n"
        "\"a graph\" (float[\"batch size\"] \"in:0\", float[2] d = {3, 4}) => (y, u) { y, \"\", u "
        "= com.x.Foo:over (\"in:0\", \"\", d) }",
        "g (x) => (y) { y = Foo <f = 0.0, f2 = -0.0, i = 0, m = -5, s = \"\", is = [-1, 0, "
        "9223372036854775807], fs = [0.5, nan],\n"
        " ss = [\"\", \"b\"], e : ints = [], ef : floats = [], t = float[2] {1, 2}, ts = [int8 "
        "{1}, string[2] {\"a\", \"\"}],\n"
        " tp = float[3,N], tps = [seq(float[]), map(int64, optional(sparse_tensor(double[2])))]> "
        "(x) }",
        "g (bool b, float[N] x) => (z) { y = Neg (x) z = If (b) <then_branch = g1 () => (float[N] "
        "t) { t = Relu (y) },\n"
        " else_branch = g2 () => (t) <float w = {1}> { u = Add (x, w) t = Abs (u) }> }",
        "g (x) => (y) { y = my.f <a = 1.5> (x) }\n"
        "<domain: \"my\", opset_import: [\"\" : 20], doc_string: \"d\"> f <a, b = 2> (p) => (q) { "
        "q = LeakyRelu <alpha : float = @a> (p) }\n"
        "<domain: \"my\", overload: \"o\", opset_import: [\"\" : 20]> f (p) => (q) { q = Relu (p) "
        "}",
        "g (x) => (x) { }",
        "g (float x, seq(int64[2]) s, optional(float[]) o, map(string, float) m, "
        "sparse_tensor(float[3]) p, float[] u, v) => (y) { y = Foo (x, s, o, m, p, u, v) }",
        "g () => (float[0,3] w) <float[0,3] w = {}, int4[3] q = {-8, 7, 1}, uint2[5] r = "
        "{0,1,2,3,1}, float16[2] h = {1.0, -2.5}, string[2] s = {\"\", \"x\"}, complex64 c = {1, "
        "2}> { }",
        "<ir_version: 3, opset_import: [\"\" : 8]> g (float[2] x, float[2] w = {1, 2}) => (y) { y "
        "= Add (x, w) }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ox_model_free(round_trip(texts[i]));
}
END_TEST

START_TEST(every_element_type_comes_back) {
    for (int d = 1; d < OX_DTYPE_COUNT; d++) {
        char text[200];
        bool complex = d == OX_COMPLEX64 || d == OX_COMPLEX128;
        snprintf(text, sizeof text, "g (%s[N] x) => (y) <%s[3] w = {%s}> { y = Foo (x, w) }",
                 ox_dtype_name((ox_dtype)d), ox_dtype_name((ox_dtype)d),
                 d == OX_STRING ? "\"a\", \"\", \"c\""
                 : complex      ? "1, 0, 0, 1, 1, 1"
                                : "1, 0, 1");
        ox_model_free(round_trip(text));
    }
}
END_TEST

/* What the text form cannot say, set by hand: written, read and written again. */
START_TEST(what_nobody_understands_is_kept) {
    const char *text =
        "g (float[2] x, float[2] d) => (float[2] y, z) <float[2] w = {1, 2}, float[2] t> {\n"
        "t = Add <a = 1> (x, w) y = my.f (t)\n"
        "z = Foo <tp: type_proto = seq(float[N]), tt: tensor = float[1] {1}> (x, d) }\n"
        "<domain: \"my\", opset_import: [\"\" : 20]> f (p) => (q) { q = Relu (p) }";
    struct ox_model *m = NULL;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", first_error);
    static const char varint[] = "\xc0\x3e\x05", field[] = "\xca\x3e\x03"
                                                           "abc"; /* fields 1000 and 1001 */
    static const char training[] = "\xa2\x01\x02\x22\x00", annotation[] = "\x72\x03\x0a\x01t",
                      info[] = "\x62\x03\x0a\x01p";
    const struct ox_str a = {varint, 3}, b = {field, 6};
    struct {
        size_t count;
        struct {
            ox_name key, value;
            struct ox_str unknown;
        } at[1];
    } * pairs;
    ox_name doc;
    ck_assert_int_eq(ox_model_name(&doc, m, "some words", 10), OX_OK);
    ck_assert_int_eq(ox_arena_alloc(&m->arena, &pairs, 1, sizeof *pairs), OX_OK);
    pairs->count = 1;
    pairs->at[0].key = pairs->at[0].value = doc;
    pairs->at[0].unknown = a;
    const struct ox_pairs *meta = (const void *)pairs;
    struct ox_graph *g = m->graph;
    struct ox_node *add = g->first, *foo = g->ret->prev;
    const struct ox_dim_notes dim = {doc, b};
    const struct ox_type_notes of_tensor = {doc, a, b, a, 1, &dim, NULL},
                               of_list = {doc, b, a, {NULL, 0}, -1, NULL, &of_tensor};
    const struct ox_type_notes *const tensor_types[] = {&of_tensor}, *const list_types[] = {
                                                                         &of_list};
    const struct ox_notes plain = {.doc = doc, .meta = meta, .unknown = b},
                          attr = {.doc = doc, .unknown = a},
                          typed = {.doc = doc, .meta = meta, .unknown = a, .types = tensor_types};
    const struct ox_label label = {doc, &plain};
    const struct ox_notes with_types = {.types = list_types}, with_label = {.labels = &label},
                          with_default = {.types = tensor_types,
                                          .labels = &(struct ox_label){NULL, &plain}};
    m->unknown = g->unknown = a;
    m->functions[0]->unknown = b;
    m->opsets[0].unknown = m->functions[0]->opsets[0].unknown = b;
    g->doc = doc;
    g->meta = m->functions[0]->meta = meta;
    add->notes = g->inits[0]->notes = &plain;
    add->attrs[0].notes = &attr;
    add->out[0]->notes = g->inputs[0]->notes = g->outputs[0].notes = &typed;
    foo->attrs[0].notes = &with_types;
    foo->attrs[1].notes = &with_label;
    g->inputs[1]->notes = &with_default;
    g->inputs[1]->init = ox_tensor_ref(g->inits[0]->init);
    m->training = (struct ox_str){training, sizeof training - 1};
    g->quant_annotation = (struct ox_str){annotation, sizeof annotation - 1};
    m->functions[0]->value_info = (struct ox_str){info, sizeof info - 1};
    struct bytes once = encode(m);
    struct ox_model *back = decode(&once);
    const char *d = model_difference(m, back);
    ck_assert_msg(!d, "%s", d);
    struct bytes twice = encode(back);
    ck_assert_uint_eq(once.size, twice.size);
    ck_assert_mem_eq(once.data, twice.data, once.size);
    free(once.data);
    free(twice.data);
    ox_model_free(m);
    ox_model_free(back);
}
END_TEST

/* ---- what passes may have done --------------------------------------------------------------- */

static struct ox_model *parse(const char *text) {
    struct ox_model *m = NULL;
    first_error[0] = 0;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", first_error);
    return m;
}

/* The written form of a model, as text. */
static void check_written(const struct ox_model *m, const char *expected) {
    struct bytes b = encode(m);
    struct ox_model *back = decode(&b);
    char *text;
    ck_assert_int_eq(ox_text_print(&text, NULL, back, NULL), OX_OK);
    const char *graph = strstr(text, ">\n") + 2;
    ck_assert_str_eq(graph, expected);
    ox_free(ctx, text);
    /* The text form follows the same rules. */
    ck_assert_int_eq(ox_text_print(&text, NULL, m, NULL), OX_OK);
    ck_assert_str_eq(strstr(text, ">\n") + 2, expected);
    ox_free(ctx, text);
    free(b.data);
    ox_model_free(back);
}

START_TEST(outputs_keep_their_names) {
    /* The output moves to another value: that one gets the name, the former one an invented one. */
    struct ox_model *m = parse("g (x) => (y) { t = Neg (x) y = Relu (t) u = Abs (y) }");
    struct ox_node *abs = m->graph->ret->prev;
    ox_use_set(&m->graph->ret->in[0], abs->out[0]);
    check_written(m, "g (x) => (y)\n{\n   t = Neg (x)\n   y_1 = Relu (t)\n   y = Abs (y_1)\n}\n");
    /* One value feeds two outputs. */
    ox_name z;
    ck_assert_int_eq(ox_model_name(&z, m, "z", 1), OX_OK);
    ck_assert_int_eq(ox_graph_add_output(m->graph, abs->out[0], z, NULL), OX_OK);
    check_written(m, "g (x) => (y, z)\n{\n   t = Neg (x)\n   y_1 = Relu (t)\n   y = Abs (y_1)\n   "
                     "z = Identity (y)\n}\n");
    ox_use_set(&m->graph->ret->in[0], m->graph->inputs[0]);
    check_written(m, "g (x) => (y, z)\n{\n   t = Neg (x)\n   y_1 = Relu (t)\n   z = Abs (y_1)\n   "
                     "y = Identity (x)\n}\n");
    ox_model_free(m);
}
END_TEST

START_TEST(a_value_that_has_an_outputs_name_keeps_it) {
    struct ox_model *m = parse("g (x) => (a, b) { a = Neg (x) b = Abs (x) }");
    ox_use_set(&m->graph->ret->in[0], m->graph->ret->in[1].value); /* b feeds both */
    check_written(m,
                  "g (x) => (a, b)\n{\n   a_1 = Neg (x)\n   b = Abs (x)\n   a = Identity (b)\n}\n");
    ox_model_free(m);
}
END_TEST

START_TEST(initializers_and_captures_feed_outputs_through_identity) {
    struct ox_model *m = parse("g (c, x) => (y) <float w = {1}> { t = Neg (x) y = If (c) "
                               "<then_branch = a () => (r) { r = Abs (t) }> }");
    struct ox_graph *then = m->graph->first->next->attrs[0].v.g;
    ox_use_set(&then->ret->in[0], m->graph->first->out[0]);
    ox_node_remove(then->first);
    check_written(m, "g (c, x) => (y)\n<float w = {1}>\n{\n   t = Neg (x)\n   y = If (c) "
                     "<then_branch = a () => (r) {\n         r = Identity (t)\n      }>\n}\n");
    ox_use_set(&m->graph->ret->in[0], m->graph->inits[0]);
    ox_node_remove(m->graph->ret->prev);
    check_written(
        m, "g (c, x) => (float y)\n<float w = {1}>\n{\n   t = Neg (x)\n   y = Identity (w)\n}\n");
    ox_model_free(m);
}
END_TEST

START_TEST(names_are_made_unique_and_invented) {
    struct ox_model *m = parse("g (x) => (y) { a = Neg (x) b = Neg (a) c = If (b) <then_branch = s "
                               "() => (r) { q = Abs (a) r = Abs (q) }> y = Abs (c) }");
    struct ox_node *first = m->graph->first, *second = first->next, *branch = second->next;
    struct ox_graph *then = branch->attrs[0].v.g;
    second->out[0]->name = first->out[0]->name;        /* two of a name */
    branch->out[0]->name = NULL;                       /* none */
    then->first->out[0]->name = first->out[0]->name;   /* shadows */
    then->outputs[0].name = m->graph->inputs[0]->name; /* shadows, too */
    check_written(
        m, "g (x) => (y)\n{\n   a = Neg (x)\n   a_1 = Neg (a)\n   If_1 = If (a_1) <then_branch = s "
           "() => (r) {\n         a_2 = Abs (a)\n         r = Abs (a_2)\n      }>\n"
           "   y = Abs (If_1)\n}\n");
    ox_model_free(m);
}
END_TEST

/* A name that is not taken yet, but will be further down, is not invented either. */
START_TEST(invented_names_leave_later_ones_alone) {
    struct ox_model *m =
        parse("g (x) => (y) { a = Neg (x) b = Neg (a) a_1 = Abs (b) y = Abs (a_1) }");
    m->graph->first->next->out[0]->name = m->graph->first->out[0]->name;
    check_written(m, "g (x) => (y)\n{\n   a = Neg (x)\n   a_2 = Neg (a)\n   a_1 = Abs (a_2)\n"
                     "   y = Abs (a_1)\n}\n");
    ox_model_free(m);
}
END_TEST

START_TEST(old_models_list_their_initializers) {
    struct ox_model *m = parse("<ir_version: 3, opset_import: [\"\" : 8]> g (float[1] x, float[1] "
                               "w = {1}) => (y) { t = Add (x, w) y = Abs (t) }");
    void *data;
    ox_tensor *t;
    struct ox_value *v;
    const int64_t one = 1;
    ck_assert_int_eq(ox_tensor_new(&t, &data, ctx, OX_FLOAT, 1, &one), OX_OK);
    ck_assert_int_eq(ox_graph_add_init(&v, m->graph, NULL, t), OX_OK);
    ox_use_set(&m->graph->first->in[1], v);
    struct bytes b = encode(m);
    struct ox_model *back = decode(&b);
    ck_assert_uint_eq(back->graph->n_inputs, 3);
    ck_assert_uint_eq(back->graph->n_inits, 0);
    ck_assert_str_eq(ox_name_text(back->graph->inputs[2]->name), "constant_1");
    ck_assert_ptr_nonnull(back->graph->inputs[2]->init);
    struct bytes again = encode(back);
    ck_assert_uint_eq(b.size, again.size);
    ck_assert_mem_eq(b.data, again.data, b.size);
    free(b.data);
    free(again.data);
    ox_model_free(m);
    ox_model_free(back);
}
END_TEST

START_TEST(functions_get_constant_nodes) {
    struct ox_model *m = parse("g (x) => (y) { y = my.f (x) }\n<domain: \"my\", opset_import: "
                               "[\"\" : 20]> f (p) => (q) { q = Add (p, p) }");
    void *data;
    ox_tensor *t;
    struct ox_value *v;
    ck_assert_int_eq(ox_tensor_new(&t, &data, ctx, OX_FLOAT, 0, NULL), OX_OK);
    ck_assert_int_eq(ox_graph_add_init(&v, m->functions[0]->body, NULL, t), OX_OK);
    ox_use_set(&m->functions[0]->body->first->in[1], v);
    check_written(
        m, "g (x) => (y)\n{\n   y = my.f (x)\n}\n\n<\n   domain: \"my\",\n   opset_import: [\"\" : "
           "20]\n>\nf (p) => (q)\n{\n"
           "   constant_1 = Constant <value = float {0}> ()\n   q = Add (p, constant_1)\n}\n");
    ox_model_free(m);
}
END_TEST

/* ONNX Runtime refuses a tensor type without an element type. */
START_TEST(types_known_in_part_are_left_out) {
    struct ox_model *m = parse(
        "g (float[2] x) => (float[2] y) <float[2] t> { t = com.x.Foo (x) y = com.x.Foo (t) }");
    const struct ox_type *type;
    ck_assert_int_eq(ox_type_tensor(&type, &m->arena, OX_UNDEFINED, 0, NULL), OX_OK);
    m->graph->first->out[0]->type = m->graph->outputs[0].type = type;
    struct bytes b = encode(m);
    Onnx__ModelProto *p = onnx__model_proto__unpack(NULL, b.size, b.data);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(p->graph->value_info[0]->type);
    ck_assert_ptr_nonnull(p->graph->output[0]->type); /* what is known of the value itself */
    onnx__model_proto__free_unpacked(p, NULL);
    free(b.data);
    ox_model_free(m);
}
END_TEST

START_TEST(declared_types_stay_and_follow_what_is_known) {
    struct ox_model *m =
        parse("g (float[2] x) => (y) <float[?] t> { t = Neg (x) u = Abs (t) y = Relu (u) }");
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    check_written(m, "g (float[2] x) => (float[2] y)\n<float[2] t>\n{\n   t = Neg (x)\n   u = Abs "
                     "(t)\n   y = Relu (u)\n}\n");
    ox_model_free(m);
}
END_TEST

/* ---- the official test data, compared message by message with what was read ------------------ */

static bool is_default_domain(const char *s) {
    return !s || !*s || strcmp(s, "ai.onnx") == 0;
}

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);

static bool same_one(const ProtobufCFieldDescriptor *f, const void *a, const void *b) {
    const char *const *s = a, *const *t = b;
    const ProtobufCBinaryData *x = a, *y = b;
    const ProtobufCMessage *const *m = a, *const *n = b;
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (strstr(f->name, "domain"))
            return is_default_domain(*s) ? is_default_domain(*t) : *t && strcmp(*s, *t) == 0;
        return strcmp(*s ? *s : "", *t ? *t : "") == 0;
    case PROTOBUF_C_TYPE_BYTES:
        return x->len == y->len && (!x->len || memcmp(x->data, y->data, x->len) == 0);
    case PROTOBUF_C_TYPE_MESSAGE:
        return *m && *n ? same_message(*m, *n) : !*m && !*n;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return memcmp(a, b, 8) == 0;
    default:
        return memcmp(a, b, 4) == 0;
    }
}

static size_t width_of(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

static bool same_field(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *a,
                       const ProtobufCMessage *b) {
    const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t in_a, in_b;
        memcpy(&in_a, (const char *)a + f->quantifier_offset, sizeof in_a);
        memcpy(&in_b, (const char *)b + f->quantifier_offset, sizeof in_b);
        if (in_a != in_b || in_a != f->id) return in_a == in_b;
    }
    if (f->label != PROTOBUF_C_LABEL_REPEATED) return same_one(f, x, y);
    size_t n, n_b;
    memcpy(&n, (const char *)a + f->quantifier_offset, sizeof n);
    memcpy(&n_b, (const char *)b + f->quantifier_offset, sizeof n);
    const char *p, *q;
    memcpy(&p, x, sizeof p);
    memcpy(&q, y, sizeof q);
    /* Absent operands at the end say nothing. */
    while (a->descriptor == &onnx__node_proto__descriptor && f->type == PROTOBUF_C_TYPE_STRING &&
           n > n_b && !*((char *const *)(const void *)p)[n - 1])
        n--;
    if (n != n_b) return false;
    for (size_t i = 0; i < n; i++)
        if (!same_one(f, p + i * width_of(f->type), q + i * width_of(f->type))) return false;
    return true;
}

static const char *where;

/* Not compared: how a tensor's elements are stored (the structural comparison does), an attribute's
 * tensor's name, and the order of value_info. */
static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b) {
    for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &a->descriptor->fields[i];
        bool tensor = a->descriptor == &onnx__tensor_proto__descriptor;
        if (tensor && (strstr(f->name, "_data") || strcmp(f->name, "name") == 0 ||
                       strcmp(f->name, "doc_string") == 0))
            continue;
        if (strcmp(f->name, "value_info") == 0 || strcmp(f->name, "initializer") == 0) continue;
        if (same_field(f, a, b)) continue;
        if (!where) where = f->name;
        return false;
    }
    return true;
}

static struct bytes read_file(const char *path) {
    struct bytes b = {NULL, 0};
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f) return b;
    if (fstat(fileno(f), &st) == 0 && (b.data = malloc((size_t)st.st_size + 1)))
        b.size = fread(b.data, 1, (size_t)st.st_size, f);
    fclose(f);
    return b;
}

/* 1 if the model could be read. */
static int check_file(const char *path) {
    struct bytes file = read_file(path);
    struct ox_load_options o = {.size = sizeof o, .no_check = true};
    ox_model *m = NULL;
    if (!file.data ||
        ox_model_load_memory(&m, ctx, file.data, file.size, path, NULL, &o) != OX_OK) {
        free(file.data);
        return 0;
    }
    struct bytes once = encode(m);
    struct ox_model *back = decode(&once);
    const char *d = model_difference(m, back);
    ck_assert_msg(!d, "%s: %s", path, d);
    struct bytes twice = encode(back);
    ck_assert_msg(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0,
                  "%s: another write, other bytes", path);
    ProtobufCMessage *was =
        protobuf_c_message_unpack(&onnx__model_proto__descriptor, NULL, file.size, file.data);
    ProtobufCMessage *is =
        protobuf_c_message_unpack(&onnx__model_proto__descriptor, NULL, once.size, once.data);
    where = NULL;
    ck_assert_msg(was && is && same_message(was, is), "%s: %s differs", path, where);
    protobuf_c_message_free_unpacked(was, NULL);
    protobuf_c_message_free_unpacked(is, NULL);
    /* And through the text form, which has no room for documentation and the like. */
    char *text, *again;
    size_t len;
    struct ox_model *parsed = NULL;
    ck_assert_int_eq(ox_text_print(&text, &len, m, NULL), OX_OK);
    ck_assert_msg(ox_text_parse(&parsed, ctx, text, len, path) == OX_OK, "%s: %s", path,
                  first_error);
    ck_assert_int_eq(ox_text_print(&again, NULL, parsed, NULL), OX_OK);
    ck_assert_str_eq(text, again);
    ox_free(ctx, text);
    ox_free(ctx, again);
    ox_model_free(parsed);
    free(file.data);
    free(once.data);
    free(twice.data);
    ox_model_free(m);
    ox_model_free(back);
    return 1;
}

START_TEST(the_official_models_come_back) {
    char path[1000];
    int read = 0, total = 0;
    static const char *const folders[] = {"node", "simple", "pytorch-operator"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        snprintf(path, sizeof path, "%s/%s", OX_ONNX_TESTDATA, folders[i]);
        DIR *dir = opendir(path);
        ck_assert_ptr_nonnull(dir);
        for (struct dirent *e; (e = readdir(dir));) {
            if (e->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s/%s/model.onnx", OX_ONNX_TESTDATA, folders[i],
                     e->d_name);
            first_error[0] = 0;
            read += check_file(path);
            total++;
        }
        closedir(dir);
    }
    ck_assert_int_gt(total, 1000);
    ck_assert_msg(read > total * 95 / 100, "only %d of %d could be read", read, total);
}
END_TEST

int main(void) {
    Suite *s = suite_create("writer");
    TCase *c = tcase_create("writer");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, field_numbers_are_those_of_the_schema);
    tcase_add_test(c, models_come_back_as_they_were);
    tcase_add_test(c, every_element_type_comes_back);
    tcase_add_test(c, what_nobody_understands_is_kept);
    tcase_add_test(c, outputs_keep_their_names);
    tcase_add_test(c, a_value_that_has_an_outputs_name_keeps_it);
    tcase_add_test(c, initializers_and_captures_feed_outputs_through_identity);
    tcase_add_test(c, names_are_made_unique_and_invented);
    tcase_add_test(c, invented_names_leave_later_ones_alone);
    tcase_add_test(c, old_models_list_their_initializers);
    tcase_add_test(c, functions_get_constant_nodes);
    tcase_add_test(c, types_known_in_part_are_left_out);
    tcase_add_test(c, declared_types_stay_and_follow_what_is_known);
    tcase_add_test(c, the_official_models_come_back);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
