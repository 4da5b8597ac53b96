/* tests/unit/test_op_table.c - the table of operators and what its drivers check for all of them.
 */
#include "op_harness.h"

#include <string.h>

START_TEST(rows_are_sorted_and_found) {
    ck_assert_uint_gt(ox_op_count(), 50);
    for (size_t i = 0; i < ox_op_count(); i++) {
        const struct ox_op *op = ox_op_at(i), *former = i ? ox_op_at(i - 1) : NULL;
        if (former) {
            int order = strcmp(former->domain, op->domain);
            if (order == 0) order = strcmp(former->name, op->name);
            ck_assert_msg(order < 0, "row %s '%s' stands behind %s '%s'", op->domain, op->name,
                          former->domain, former->name);
        }
        ck_assert_ptr_eq(ox_op_find(op->domain, op->name), op);
    }
    ck_assert_ptr_null(ox_op_at(ox_op_count()));
    ck_assert_ptr_null(ox_op_find("", "NoSuchOperator"));
    ck_assert_ptr_null(ox_op_find("org.example", "Add"));
    ck_assert_ptr_eq(ox_op_find("ai.onnx", "Add"), ox_op_find("", "Add"));
}
END_TEST

START_TEST(rows_are_consistent) {
    for (size_t i = 0; i < ox_op_count(); i++) {
        const struct ox_op *op = ox_op_at(i);
        ck_assert_msg(op->since >= 1 && op->since <= op->newest, "%s: versions %d to %d", op->name,
                      op->since, op->newest);
        if (op->domain[0] == '\0') ck_assert_int_le(op->newest, OX_OPSET_MAX);
        ck_assert_msg(op->max_in < 0 || op->min_in <= op->max_in, "%s: inputs", op->name);
        ck_assert_msg(op->max_out < 0 || op->min_out <= op->max_out, "%s: outputs", op->name);
        ck_assert_uint_le(op->params_size, OX_PARAMS_MAX);
        ck_assert(op->decode && op->infer);
        /* Effects exclude one another. */
        unsigned effects = op->traits & (OX_PURE | OX_RANDOM | OX_STATEFUL | OX_TRAINING);
        ck_assert_msg((effects & (effects - 1)) == 0, "%s: effects %x", op->name, effects);
        if (op->traits & OX_COMMUTES) ck_assert_int_ge(op->max_in < 0 ? 2 : op->max_in, 2);
    }
}
END_TEST

START_TEST(arity_is_checked) {
    const int64_t dims[] = {2};
    struct oh h;
    oh_init(&h, "Add", 14, 1);
    oh_input(&h, OX_FLOAT, 1, dims);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-arity");
    ck_assert_str_eq(h.text, "Add has 1 inputs, expected at least 2");
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_input(&h, OX_FLOAT, 1, dims);
    ck_assert_int_eq(oh_check(&h, 1), OX_OK);
    ck_assert_int_eq(oh_check(&h, 2), OX_INVALID);
    ck_assert_str_eq(h.text, "Add has 2 outputs, expected at most 1");
    oh_input(&h, OX_FLOAT, 1, dims);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(absent_inputs_are_checked) {
    const int64_t dims[] = {2};
    struct oh h;
    oh_init(&h, "Add", 14, 1);
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_absent(&h);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "missing-input");
    oh_fini(&h);
    oh_init(&h, "Sum", 13, 1); /* variadic, but none may be left out */
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_absent(&h);
    oh_input(&h, OX_FLOAT, 1, dims);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "Clip", 13, 1); /* optional in the middle */
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_absent(&h);
    oh_input(&h, OX_FLOAT, 0, dims);
    ck_assert_int_eq(oh_check(&h, 1), OX_OK);
    oh_fini(&h);
}
END_TEST

START_TEST(opsets_are_checked) {
    struct oh h;
    oh_init(&h, "Gelu", 19, 1);
    oh_input(&h, OX_FLOAT, 0, NULL);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-opset");
    ck_assert_str_eq(h.text, "Gelu exists since opset 20, the model uses opset 19");
    h.opset = 20;
    ck_assert_int_eq(oh_check(&h, 1), OX_OK);
    h.opset = OX_OPSET_MAX + 1;
    ck_assert_int_eq(oh_check(&h, 1), OX_UNSUPPORTED);
    ck_assert_str_eq(h.id, "newer-opset");
    oh_fini(&h);
}
END_TEST

START_TEST(unaligned_inputs_are_copied) {
    struct oh h;
    const int64_t dims[] = {3};
    unsigned char raw[13] = {0};
    const float values[] = {1, -2, 3};
    oh_init(&h, "Neg", 13, 1);
    memcpy(raw + 1, values, sizeof values);
    struct ox_bytes *bytes;
    ck_assert_int_eq(ox_bytes_new(&bytes, h.ctx, sizeof raw), OX_OK);
    memcpy(bytes->data, raw, sizeof raw);
    ox_tensor *slice, *out = NULL;
    ck_assert_int_eq(ox_tensor_slice(&slice, h.ctx, OX_FLOAT, 1, dims, bytes, 1, 12), OX_OK);
    ck_assert_uint_ne((uintptr_t)slice->data % 4, 0);
    struct ox_call call = {.ctx = h.ctx, .op = h.op, .opset = 13, .n_in = 1, .n_out = 1};
    const ox_tensor *in[] = {slice};
    ck_assert_int_eq(ox_op_eval(&call, in, &out), OX_OK);
    const float *y = out->data;
    ck_assert(y[0] == -1 && y[1] == 2 && y[2] == -3);
    ox_tensor_unref(out);
    ox_tensor_unref(slice);
    ox_bytes_unref(bytes);
    oh_fini(&h);
}
END_TEST

START_TEST(attributes_are_typed) {
    struct oh h;
    oh_init(&h, "LeakyRelu", 16, 1);
    oh_input(&h, OX_FLOAT, 0, NULL);
    oh_int(&h, "alpha", 1);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-attribute");
    ck_assert_str_eq(h.text, "attribute 'alpha' is of type int, expected float");
    oh_fini(&h);
    oh_init(&h, "Gelu", 20, 1);
    oh_input(&h, OX_FLOAT, 0, NULL);
    oh_string(&h, "approximate", "cubic");
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "attribute 'approximate' is 'cubic', expected one of: none, tanh");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_table");
    TCase *tests = tcase_create("table");
    tcase_add_test(tests, rows_are_sorted_and_found);
    tcase_add_test(tests, rows_are_consistent);
    tcase_add_test(tests, arity_is_checked);
    tcase_add_test(tests, absent_inputs_are_checked);
    tcase_add_test(tests, opsets_are_checked);
    tcase_add_test(tests, unaligned_inputs_are_copied);
    tcase_add_test(tests, attributes_are_typed);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
