/* tests/unit/test_op_sequence.c - sequences and optionals, through small models in the text form.
 */
#include "ir/ir.h"
#include <check.h>
#include <onnxopt/model.h>
#include <stdio.h>

static char last_text[700];
static ox_ctx *ctx;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    snprintf(last_text, sizeof last_text, "%s", d->text);
}

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

/* Runs `body` on a = [[1,2],[3,4]] and b = [[5,6]] (floats) and i (an int64); the outputs are y and
 * whatever `outputs` adds. */
static ox_status run(ox_tensor **out, const char *outputs, const char *body, int64_t i) {
    char text[2000];
    struct ox_model *m;
    struct ox_runner r;
    ox_tensor *in[3];
    snprintf(text, sizeof text,
             "<ir_version: 8, opset_import: [\"\" : 18]> g (float[2,2] a, float[1,2] b, int64 i) "
             "=> (%s) { %s }",
             outputs, body);
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", last_text);
    ck_assert_msg(ox_model_check(m) == OX_OK, "%s", last_text);
    ck_assert_msg(ox_exec_new(&r, m) == OX_OK, "%s", last_text);
    ck_assert_int_eq(
        ox_tensor_copy(&in[0], ctx, OX_FLOAT, 2, (int64_t[]){2, 2}, (float[]){1, 2, 3, 4}, 16),
        OX_OK);
    ck_assert_int_eq(
        ox_tensor_copy(&in[1], ctx, OX_FLOAT, 2, (int64_t[]){1, 2}, (float[]){5, 6}, 8), OX_OK);
    ck_assert_int_eq(ox_tensor_copy(&in[2], ctx, OX_INT64, 0, NULL, &i, 8), OX_OK);
    ox_status s = r.run(r.self, (const ox_tensor *const *)in, out, NULL, NULL);
    r.free(r.self);
    for (int k = 0; k < 3; k++)
        ox_tensor_unref(in[k]);
    ox_model_free(m);
    return s;
}

static void expect(const char *outputs, const char *body, int64_t i, int rank, const int64_t *dims,
                   const float *want) {
    ox_tensor *y;
    ck_assert_msg(run(&y, outputs, body, i) == OX_OK, "%s", last_text);
    ck_assert_int_eq(y->rank, rank);
    for (int d = 0; d < rank; d++)
        ck_assert_int_eq(y->dims[d], dims[d]);
    for (size_t k = 0; k < y->count; k++)
        ck_assert_float_eq(((const float *)y->data)[k], want[k]);
    ox_tensor_unref(y);
}

START_TEST(construct_at_insert_erase) {
    static const char body[] = "s = SequenceConstruct(a, b) t = SequenceInsert(s, a, i) u = "
                               "SequenceErase(t) y = SequenceAt(u, i)";
    expect("float[N,2] y", body, 0, 2, (int64_t[]){2, 2}, (float[]){1, 2, 3, 4});
    expect("float[N,2] y", body, 1, 2, (int64_t[]){2, 2}, (float[]){1, 2, 3, 4});
    expect("float[N,2] y", "s = SequenceConstruct(a, b) y = SequenceAt(s, i)", -1, 2,
           (int64_t[]){1, 2}, (float[]){5, 6});
    ox_tensor *y;
    ck_assert_int_eq(run(&y, "float[N,2] y", "s = SequenceConstruct(a, b) y = SequenceAt(s, i)", 2),
                     OX_INVALID);
    ck_assert_str_eq(last_text, "position 2 in a sequence of 2");
    ck_assert_int_eq(run(&y, "float[N,2] y",
                         "s = SequenceConstruct(a) t = SequenceErase(s) u = SequenceErase(t) y = "
                         "SequenceAt(u, i)",
                         0),
                     OX_INVALID);
    ck_assert_str_eq(last_text, "the sequence is empty");
}
END_TEST

START_TEST(lengths_and_types) {
    ox_tensor *y;
    ck_assert_int_eq(run(&y, "int64 y",
                         "s = SequenceEmpty <dtype = 1> () t = SequenceInsert(s, a) u = "
                         "SequenceInsert(t, b, i) y = SequenceLength(u)",
                         0),
                     OX_OK);
    ck_assert_int_eq(*(const int64_t *)y->data, 2);
    ox_tensor_unref(y);
    ck_assert_int_eq(run(&y, "int64 y", "s = SequenceConstruct(a, i) y = SequenceLength(s)", 0),
                     OX_INVALID);
    ck_assert_str_eq(last_text, "items are float and int64");
}
END_TEST

/* A loop that wraps a list into a list in each step must not make one that only deep recursion can
 * free. */
START_TEST(nesting_is_bounded) {
    ox_tensor *y;
    static const char body[] = "c = Constant <value = bool {1}> () s = SequenceConstruct(a) "
                               "y = Loop (i, c, s) <body = g (int64 k, bool go, seq(float[2,2]) q) "
                               "=> (bool on, seq(float[2,2]) r) "
                               "{ on = Identity(go) r = SequenceConstruct(q) }>";
    ck_assert_int_eq(run(&y, "seq(float[2,2]) y", body, 7), OX_OK);
    ox_tensor_unref(y);
    ck_assert_int_eq(run(&y, "seq(float[2,2]) y", body, 300000), OX_INVALID);
    ck_assert_str_eq(last_text, "lists in lists, more than 8 deep");
}
END_TEST

/* Parts of a negative size are no type. */
START_TEST(negative_parts) {
    ox_tensor *y;
    static const char body[] = "n = Constant <value = int64[2] {-3, -3}> () s = SplitToSequence(a, "
                               "n) k = SequenceAt(s, i) y = Relu(k)";
    ck_assert_int_eq(run(&y, "float[N,M] y", body, 0), OX_INVALID);
    ck_assert_str_eq(last_text, "the parts do not add up to the 2 elements of the axis");
}
END_TEST

/* The stack of no steps, whose axis is counted from the back. */
START_TEST(scan_of_no_steps) {
    ox_tensor *y;
    static const char body[] = "z = Constant <value = int64[1] {0}> () e = Slice(a, z, z, z) "
                               "y = Scan (e) <num_scan_inputs = 1, scan_output_axes = [-1], body = "
                               "g (float[2] p) => (float[2] q) { q = Relu(p) }>";
    ck_assert_msg(run(&y, "float[N,M] y", body, 0) == OX_OK, "%s", last_text);
    ck_assert_int_eq(y->rank, 2);
    ck_assert_int_eq(y->dims[0], 2);
    ck_assert_int_eq(y->dims[1], 0);
    ox_tensor_unref(y);
}
END_TEST

/* An axis is not cut to 32 bits, of which all are 0 here. */
START_TEST(scan_axis_beyond_all_ranks) {
    ox_tensor *y;
    static const char body[] =
        "y = Scan (a) <num_scan_inputs = 1, scan_output_axes = [4294967296], body = g (float[2] p) "
        "=> (float[2] q) { q = Relu(p) }>";
    ck_assert_int_eq(run(&y, "float[N,M] y", body, 0), OX_INVALID);
    ck_assert_str_eq(last_text, "output axis 4294967296 for rank 2");
}
END_TEST

START_TEST(split_and_concat) {
    expect("float[N,M] y", "s = SplitToSequence <axis = 1> (a) y = SequenceAt(s, i)", 1, 2,
           (int64_t[]){2, 1}, (float[]){2, 4});
    expect("float[N] y", "s = SplitToSequence <axis = 1, keepdims = 0> (a) y = SequenceAt(s, i)", 0,
           1, (int64_t[]){2}, (float[]){1, 3});
    expect("float[N,2] y", "s = SplitToSequence(a, i) y = SequenceAt(s, i)", 1, 2,
           (int64_t[]){1, 2}, (float[]){3, 4});
    ox_tensor *y;
    ck_assert_int_eq(run(&y, "float[N,2] y", "s = SplitToSequence(a, i) y = SequenceAt(s, i)", -1),
                     OX_INVALID);
    ck_assert_str_eq(last_text, "parts of -1 elements");
}
END_TEST

START_TEST(concat_joins_and_stacks) {
    expect("float[N,2] y", "s = SequenceConstruct(a, b) y = ConcatFromSequence <axis = 0> (s)", 0,
           2, (int64_t[]){3, 2}, (float[]){1, 2, 3, 4, 5, 6});
    expect("float[N,M,K] y",
           "s = SequenceConstruct(a, a) y = ConcatFromSequence <axis = -1, new_axis = 1> (s)", 0, 3,
           (int64_t[]){2, 2, 2}, (float[]){1, 1, 2, 2, 3, 3, 4, 4});
    ox_tensor *y;
    ck_assert_int_eq(run(&y, "float[N,M] y",
                         "s = SequenceConstruct(a, b) y = ConcatFromSequence <axis = 1> (s)", 0),
                     OX_INVALID);
    ck_assert_str_eq(last_text, "item 1 does not fit item 0 of the sequence");
}
END_TEST

START_TEST(optionals_hold_or_do_not) {
    ox_tensor *y[2];
    ck_assert_int_eq(run(y, "bool y, bool z",
                         "o = Optional(a) y = OptionalHasElement(o) z = OptionalHasElement()", 0),
                     OX_OK);
    ck_assert_int_eq(*(const unsigned char *)y[0]->data, 1);
    ck_assert_int_eq(*(const unsigned char *)y[1]->data, 0);
    ox_tensor_unref(y[0]);
    ox_tensor_unref(y[1]);
    expect("float[N,2] y", "o = Optional(b) y = OptionalGetElement(o)", 0, 2, (int64_t[]){1, 2},
           (float[]){5, 6});
    expect("float[N,2] y", "y = OptionalGetElement(b)", 0, 2, (int64_t[]){1, 2}, (float[]){5, 6});
}
END_TEST

START_TEST(sequence_map_runs_its_body_on_each_item) {
    expect("float[N,2] y",
           "s = SequenceConstruct(a, b) t = SequenceMap (s, b) <body = g (float[N,2] p, float[1,2] "
           "q) => (float[N,2] r) { r = Add(p, q) }> "
           "y = ConcatFromSequence <axis = 0> (t)",
           0, 2, (int64_t[]){3, 2}, (float[]){6, 8, 8, 10, 10, 12});
}
END_TEST

START_TEST(other_operators_refuse_lists) {
    ox_tensor *y;
    ck_assert_int_eq(run(&y, "float[N,2] y", "s = SequenceConstruct(a, b) y = Transpose(s)", 0),
                     OX_INVALID);
    ck_assert_str_eq(last_text, "input 0 is a sequence, expected a tensor");
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_sequence");
    TCase *t = tcase_create("op_sequence");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, construct_at_insert_erase);
    tcase_add_test(t, lengths_and_types);
    tcase_add_test(t, nesting_is_bounded);
    tcase_add_test(t, negative_parts);
    tcase_add_test(t, scan_of_no_steps);
    tcase_add_test(t, scan_axis_beyond_all_ranks);
    tcase_add_test(t, split_and_concat);
    tcase_add_test(t, concat_joins_and_stacks);
    tcase_add_test(t, optionals_hold_or_do_not);
    tcase_add_test(t, sequence_map_runs_its_body_on_each_item);
    tcase_add_test(t, other_operators_refuse_lists);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
