/* tests/unit/test_wire.c - the wire walker: what it lets through, what it cuts out, what it
 * refuses. */
#include "frontend/wire.h"
#include "tests/unit/file_harness.h"

#include <onnx-ml.pb-c.h>
#include <stdlib.h>

static struct ox_wire wire;

static ox_status unpack(const struct pb *b) {
    return ox_wire_unpack(&wire, front.ctx, &onnx__model_proto__descriptor, b->data, b->len, "f");
}

/* Expects a refusal with this id, and frees the bytes. */
static void refuse(struct pb *b, const char *id) {
    ck_fails(unpack(b), OX_INVALID, id);
    pb_free(b);
}

static struct pb small_model(void) {
    struct pb g = {0}, n = onnx_node("Relu", "x", "y");
    pb_msg(&g, GRAPH_NODE, &n);
    pb_str(&g, GRAPH_NAME, "g");
    return onnx_model(8, 17, &g);
}

START_TEST(payloads_stay_in_the_file) {
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    static const double doubles[2] = {7, 8};
    struct pb g = {0}, t = onnx_floats("w", "2,3", data, 6), u = onnx_tensor("v", 11, "2"), p = {0};
    pb_bytes(&u, TENSOR_DOUBLES, doubles, sizeof doubles);
    pb_msg(&g, GRAPH_INIT, &t);
    pb_msg(&g, GRAPH_INIT, &u);
    p = onnx_model(8, 17, &g);
    ck_ok(unpack(&p));
    const Onnx__ModelProto *m = (const Onnx__ModelProto *)wire.root;
    ck_assert_uint_eq(m->graph->n_initializer, 2);
    const Onnx__TensorProto *w = m->graph->initializer[0], *v = m->graph->initializer[1];
    ck_assert(!w->has_raw_data);
    ck_assert_uint_eq(v->n_double_data, 0);
    const struct ox_wire_cut *c = ox_wire_first(&wire, &w->base, TENSOR_RAW);
    ck_assert_ptr_nonnull(c);
    ck_assert_uint_eq(c->size, sizeof data);
    ck_assert_mem_eq(p.data + c->offset, data, sizeof data);
    ck_assert_ptr_null(ox_wire_next(&wire, c));
    c = ox_wire_first(&wire, &v->base, TENSOR_DOUBLES);
    ck_assert_mem_eq(p.data + c->offset, doubles, sizeof doubles);
    ck_assert_ptr_null(ox_wire_first(&wire, &v->base, TENSOR_RAW));
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

START_TEST(float_data_may_come_in_pieces) {
    static const float data[3] = {1, 2, 3};
    struct pb g = {0}, t = onnx_tensor("w", 1, "3"), p;
    pb_bytes(&t, TENSOR_FLOATS, data, 8);
    pb_float(&t, TENSOR_FLOATS, data[2]); /* not packed */
    pb_msg(&g, GRAPH_INIT, &t);
    p = onnx_model(8, 17, &g);
    ck_ok(unpack(&p));
    const Onnx__ModelProto *m = (const Onnx__ModelProto *)wire.root;
    const struct ox_wire_cut *c =
        ox_wire_first(&wire, &m->graph->initializer[0]->base, TENSOR_FLOATS);
    ck_assert_uint_eq(c->size, 8);
    c = ox_wire_next(&wire, c);
    ck_assert_uint_eq(c->size, 4);
    ck_assert_mem_eq(p.data + c->offset, &data[2], 4);
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

START_TEST(unknown_fields_are_kept_per_message) {
    struct pb p = small_model(), g = {0}, extra = {0};
    pb_str(&extra, 1000, "hello");
    pb_int(&extra, 1001, 5);
    pb_tag(&extra, 1002, 1);
    pb_raw(&extra, "12345678", 8);
    pb_tag(&extra, 0x1fffffff, 1); /* the number that the walker uses itself */
    pb_raw(&extra, "\0\0\0\0\0\0\0\0", 8);
    pb_raw(&p, extra.data, extra.len);
    (void)g;
    ck_ok(unpack(&p));
    struct ox_arena arena;
    struct ox_str kept;
    ox_arena_init(&arena, front.ctx);
    ck_ok(ox_wire_copy(&kept, &wire, &arena, wire.root, OX_WIRE_UNKNOWN));
    ck_assert_uint_eq(kept.len, extra.len);
    ck_assert_mem_eq(kept.ptr, extra.data, extra.len);
    ox_arena_fini(&arena);
    ox_wire_fini(&wire);
    pb_free(&extra);
    pb_free(&p);
}
END_TEST

START_TEST(whole_fields_are_cut_but_checked) {
    struct pb p = small_model(), t = {0}, g = {0};
    pb_str(&g, GRAPH_NAME, "init");
    pb_msg(&t, 1, &g);
    size_t before = p.len;
    pb_msg(&p, MODEL_TRAINING, &t);
    ck_ok(unpack(&p));
    const Onnx__ModelProto *m = (const Onnx__ModelProto *)wire.root;
    ck_assert_uint_eq(m->n_training_info, 0);
    const struct ox_wire_cut *c = ox_wire_first(&wire, wire.root, MODEL_TRAINING);
    ck_assert_uint_eq(c->offset, before);
    ck_assert_uint_eq(c->size, p.len - before);
    ox_wire_fini(&wire);
    p.data[p.len - 5] = 0x7f; /* the name inside now claims to be longer than its graph */
    refuse(&p, "bad-protobuf");
}
END_TEST

START_TEST(nodes_and_tensors_know_their_place) {
    struct pb p = small_model();
    ck_ok(unpack(&p));
    const Onnx__ModelProto *m = (const Onnx__ModelProto *)wire.root;
    int64_t at = ox_wire_offset(&wire, &m->graph->node[0]->base);
    ck_assert_int_gt(at, 0);
    ck_assert_int_eq(p.data[at - 1], NODE_IN << 3 | 2); /* offset + 1 */
    ck_assert_int_eq(ox_wire_offset(&wire, &m->graph->base), 0);
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

/* ---- refused --------------------------------------------------------------------------------- */

START_TEST(numbers_must_fit) {
    struct pb p = {0};
    pb_raw(&p, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11); /* 10 bytes: fits */
    pb_int(&p, 5, 1);
    ck_ok(unpack(&p));
    ck_assert_int_eq(((const Onnx__ModelProto *)wire.root)->ir_version, INT64_MIN);
    ox_wire_fini(&wire);
    pb_free(&p);
    pb_raw(&p, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 11); /* bit 64 */
    refuse(&p, "bad-protobuf");
    pb_raw(&p, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12);
    refuse(&p, "bad-protobuf");
    pb_raw(&p, "\x08\x80", 2); /* ends inside */
    refuse(&p, "bad-protobuf");
}
END_TEST

START_TEST(lengths_must_fit) {
    static const char *const ends[] = {("\x3a\x05"
                                        "ab"),
                                       "\x3a\xff\xff\xff\xff\x07",
                                       "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"};
    static const size_t sizes[] = {4, 6, 11};
    for (size_t i = 0; i < 3; i++) {
        struct pb p = {0};
        pb_raw(&p, ends[i], sizes[i]);
        refuse(&p, "bad-protobuf");
    }
    struct pb inner = {0}, p = {0};
    pb_raw(&inner,
           "\x12\x04"
           "abc",
           5); /* a string one byte longer than the graph that holds it */
    pb_msg(&p, MODEL_GRAPH, &inner);
    pb_raw(&p, "x", 1);
    refuse(&p, "bad-protobuf");
}
END_TEST

START_TEST(tags_must_be_possible) {
    static const char *const tags[] = {
        "\x00\x01", "\x3b\x01", "\x3c", "\x3e", "\x3f", "\x80\x00", "\xf8\xff\xff\xff\x1f\x01"};
    static const size_t sizes[] = {2, 2, 1, 1, 1, 2, 6};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        struct pb p = {0};
        pb_raw(&p, tags[i], sizes[i]);
        refuse(&p, "bad-protobuf");
    }
}
END_TEST

START_TEST(wire_types_must_fit_the_schema) {
    struct pb p = {0};
    pb_int(&p, MODEL_GRAPH, 1);
    refuse(&p, "bad-protobuf");
    pb_str(&p, MODEL_IR, "8");
    refuse(&p, "bad-protobuf");
    pb_tag(&p, MODEL_PRODUCER, 5);
    pb_raw(&p, "abcd", 4);
    refuse(&p, "bad-protobuf");
    struct pb g = {0}, t = {0};
    pb_bytes(&t, TENSOR_FLOATS, "12345", 5); /* not a multiple of 4 */
    pb_msg(&g, GRAPH_INIT, &t);
    p = onnx_model(8, 17, &g);
    refuse(&p, "bad-protobuf");
    pb_bytes(&t, TENSOR_DIMS, "\x01\x80", 2); /* the last number of the array is cut off */
    pb_msg(&g, GRAPH_INIT, &t);
    p = onnx_model(8, 17, &g);
    refuse(&p, "bad-protobuf");
}
END_TEST

START_TEST(packed_and_unpacked_are_the_same) {
    static const int64_t v[3] = {1, 300, 70000};
    struct pb g = {0}, t = {0}, p;
    pb_packed(&t, TENSOR_DIMS, v, 2);
    pb_packed(&t, TENSOR_DIMS, NULL, 0);
    pb_int(&t, TENSOR_DIMS, v[2]);
    pb_msg(&g, GRAPH_INIT, &t);
    p = onnx_model(8, 17, &g);
    ck_ok(unpack(&p));
    const Onnx__TensorProto *x = ((const Onnx__ModelProto *)wire.root)->graph->initializer[0];
    ck_assert_uint_eq(x->n_dims, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(x->dims[i], v[i]);
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

START_TEST(what_is_single_comes_once) {
    struct pb p = small_model(), g = {0};
    pb_msg(&p, MODEL_GRAPH, &g);
    refuse(&p, "bad-protobuf");
    struct pb t = onnx_tensor("w", 1, "");
    pb_bytes(&t, TENSOR_RAW, "1234", 4);
    pb_bytes(&t, TENSOR_RAW, "5678", 4);
    pb_msg(&g, GRAPH_INIT, &t);
    p = onnx_model(8, 17, &g);
    refuse(&p, "bad-protobuf");
    /* a oneof with two members: dim_value and dim_param */
    struct pb d = {0}, shape = {0}, tensor = {0}, type = {0}, v = {0};
    pb_int(&d, 1, 3);
    pb_str(&d, 2, "N");
    pb_msg(&shape, 1, &d);
    pb_msg(&tensor, 2, &shape);
    pb_msg(&type, 1, &tensor);
    pb_msg(&v, 2, &type);
    pb_msg(&g, GRAPH_INPUT, &v);
    p = onnx_model(8, 17, &g);
    refuse(&p, "bad-protobuf");
    /* a scalar may come twice: the last one counts */
    pb_int(&p, MODEL_IR, 1);
    pb_int(&p, MODEL_IR, 9);
    ck_ok(unpack(&p));
    ck_assert_int_eq(((const Onnx__ModelProto *)wire.root)->ir_version, 9);
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

START_TEST(strings_hold_no_zero_byte) {
    struct pb p = {0};
    pb_bytes(&p, MODEL_PRODUCER, "a\0b", 3);
    refuse(&p, "bad-protobuf");
    pb_bytes(&p, MODEL_PRODUCER, "\xff\xfe", 2); /* not UTF-8, but a string all the same */
    ck_ok(unpack(&p));
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

/* ---- limits: the last allowed and the first refused -------------------------------------------
 */

/* A model whose messages are nested `depth` deep: model, then graphs, nodes and attributes in turn.
 */
static struct pb nested(int depth) {
    static const uint32_t up[] = {ATTR_G, GRAPH_NODE, NODE_ATTR};
    struct pb inner = {0};
    for (int level = depth; level > 1; level--) {
        struct pb outer = {0};
        pb_msg(&outer, level == 2 ? (uint32_t)MODEL_GRAPH : up[(level - 2) % 3], &inner);
        inner = outer;
    }
    return inner;
}

START_TEST(depth_is_limited) {
    struct pb p = nested(100);
    ck_ok(unpack(&p));
    ox_wire_fini(&wire);
    pb_free(&p);
    p = nested(101);
    refuse(&p, "over-limit");
}
END_TEST

static void begin_small(void) {
    front_begin_with(&(struct ox_limits){
        .max_nodes = 3, .max_name_bytes = 10, .max_heap_per_file = 20000, .max_file_bytes = 5000});
}

START_TEST(nodes_are_limited) {
    for (size_t n = 3; n <= 4; n++) {
        struct pb g = {0}, p;
        for (size_t i = 0; i < n; i++) {
            struct pb x = onnx_node("Relu", "x", "y");
            pb_msg(&g, GRAPH_NODE, &x);
        }
        p = onnx_model(8, 17, &g);
        if (n == 4) {
            refuse(&p, "over-limit");
        } else {
            ck_ok(unpack(&p));
            ox_wire_fini(&wire);
            pb_free(&p);
        }
    }
}
END_TEST

START_TEST(names_are_limited_but_not_texts) {
    struct pb p = {0};
    pb_str(&p, MODEL_PRODUCER, "0123456789");
    pb_str(&p, 6, "a doc_string may be longer");
    ck_ok(unpack(&p));
    ox_wire_fini(&wire);
    pb_free(&p);
    pb_str(&p, MODEL_PRODUCER, "0123456789a");
    refuse(&p, "over-limit");
}
END_TEST

START_TEST(memory_is_limited) {
    struct pb g = {0}, p;
    for (int i = 0; i < 200; i++) { /* 2 bytes each, some hundred unpacked */
        struct pb v = {0};
        pb_msg(&g, GRAPH_INPUT, &v);
    }
    p = onnx_model(8, 17, &g);
    ck_fails(unpack(&p), OX_NOMEM, "over-budget");
    pb_free(&p);
}
END_TEST

START_TEST(files_are_limited) {
    struct pb p = {0};
    char text[5000] = {0};
    pb_bytes(&p, 2000, text, sizeof text);
    refuse(&p, "over-limit");
}
END_TEST

/* What is booked before unpacking is at least what protobuf-c then takes. */
START_TEST(the_estimate_covers_what_is_taken) {
    struct pb g = {0}, p;
    for (int i = 0; i < 3000; i++) {
        struct pb n = onnx_node("Op", i % 3 ? "a b c" : "", "d");
        onnx_attr_int(&n, "k", i);
        if (i % 5 == 0) onnx_attr_ints(&n, "p", (int64_t[]){1, 2, 3, 4}, 4);
        if (i % 7 == 0) pb_str(&n, NODE_DOC, "a text that is a little longer than the others");
        pb_msg(&g, GRAPH_NODE, &n);
    }
    p = onnx_model(8, 17, &g);
    ck_ok(unpack(&p));
    size_t taken = wire.arena.total;
    ox_wire_fini(&wire);
    /* with a budget of what was taken it is refused, because the estimate is above it */
    front_end();
    front_begin_with(&(struct ox_limits){.max_heap_per_file = taken - 1});
    ck_fails(unpack(&p), OX_NOMEM, "over-budget");
    front_end();
    front_begin_with(
        &(struct ox_limits){.max_heap_per_file = taken * 4}); /* but not absurdly far */
    ck_ok(unpack(&p));
    ox_wire_fini(&wire);
    pb_free(&p);
}
END_TEST

START_TEST(every_prefix_of_a_message_is_handled) {
    struct pb g = {0}, n = onnx_node("Conv", "x w", "y"), p;
    onnx_attr_ints(&n, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    pb_msg(&g, GRAPH_NODE, &n);
    struct pb t = onnx_floats("w", "2", (float[]){1, 2}, 2), v = onnx_value("x", 1, "N,3");
    pb_msg(&g, GRAPH_INIT, &t);
    pb_msg(&g, GRAPH_INPUT, &v);
    p = onnx_model(8, 17, &g);
    size_t ok = 0;
    for (size_t len = 0; len < p.len; len++) {
        unsigned char *exact =
            malloc(len ? len : 1); /* so that a sanitizer sees a read beyond it */
        memcpy(exact, p.data, len);
        if (ox_wire_unpack(&wire, front.ctx, &onnx__model_proto__descriptor, exact, len, "f") ==
            OX_OK) {
            ok++;
            ox_wire_fini(&wire);
        }
        free(exact);
    }
    ck_assert_uint_eq(ok, 3); /* nothing, the version, the version and the opset */
    pb_free(&p);
}
END_TEST

int main(void) {
    Suite *s = suite_create("wire");
    TCase *t = tcase_create("default limits");
    tcase_add_checked_fixture(t, front_begin, front_end);
    tcase_add_test(t, payloads_stay_in_the_file);
    tcase_add_test(t, float_data_may_come_in_pieces);
    tcase_add_test(t, unknown_fields_are_kept_per_message);
    tcase_add_test(t, whole_fields_are_cut_but_checked);
    tcase_add_test(t, nodes_and_tensors_know_their_place);
    tcase_add_test(t, numbers_must_fit);
    tcase_add_test(t, lengths_must_fit);
    tcase_add_test(t, tags_must_be_possible);
    tcase_add_test(t, wire_types_must_fit_the_schema);
    tcase_add_test(t, packed_and_unpacked_are_the_same);
    tcase_add_test(t, what_is_single_comes_once);
    tcase_add_test(t, strings_hold_no_zero_byte);
    tcase_add_test(t, depth_is_limited);
    tcase_add_test(t, the_estimate_covers_what_is_taken);
    tcase_add_test(t, every_prefix_of_a_message_is_handled);
    suite_add_tcase(s, t);
    t = tcase_create("small limits");
    tcase_add_checked_fixture(t, begin_small, front_end);
    tcase_add_test(t, nodes_are_limited);
    tcase_add_test(t, names_are_limited_but_not_texts);
    tcase_add_test(t, memory_is_limited);
    tcase_add_test(t, files_are_limited);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
