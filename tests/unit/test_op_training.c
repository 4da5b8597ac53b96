/* tests/unit/test_op_training.c - one step of Adagrad, Adam and Momentum worked out by hand, two
 * tensors at once, refusals. */
#include "op_harness.h"
#include <math.h>
#include <stdlib.h>

static void start(struct oh *h, const char *op, float rate, int64_t t) {
    oh_init(h, "Add", 1, 1);
    h->op = ox_op_find("ai.onnx.preview.training", op);
    ck_assert_ptr_nonnull(h->op);
    oh_input_of(h, OX_FLOAT, 0, NULL, &rate);
    oh_input_of(h, OX_INT64, 0, NULL, &t);
}

static void one(struct oh *h, float v) {
    oh_input_of(h, OX_FLOAT, OH_DIMS(1), &v);
}

static void expect_ok(struct oh *h, size_t n_out) {
    ck_assert_msg(oh_eval(h, n_out) == OX_OK, "%s", h->text);
}

START_TEST(adagrad) {
    struct oh h;
    start(&h, "Adagrad", 0.5f, 2);
    oh_float(&h, "decay_factor", 0.5f);
    oh_float(&h, "norm_coefficient", 1);
    oh_float(&h, "epsilon", 1);
    one(&h, 1), one(&h, 2), one(&h, 7); /* g = 3, h = 16 */
    expect_ok(&h, 2);
    oh_expect_floats(&h, 0, 1, (double[]){1 - 0.25 * 3 / 5}, 1e-6);
    oh_expect_floats(&h, 1, 1, (double[]){16}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(adam) {
    struct oh h;
    start(&h, "Adam", 0.5f, _i);
    oh_float(&h, "alpha", 0.5f);
    oh_float(&h, "beta", 0.75f);
    oh_float(&h, "epsilon", 0);
    oh_float(&h, "norm_coefficient_post", 0.5f);
    one(&h, 1), one(&h, 4), one(&h, 2), one(&h, 0); /* v = 3, h = 4 */
    expect_ok(&h, 3);
    double rate = _i ? 0.5 * sqrt(1 - pow(0.75, _i)) / (1 - pow(0.5, _i)) : 0.5;
    oh_expect_floats(&h, 0, 1, (double[]){0.5 * (1 - rate * 3 / 2)}, 1e-6);
    oh_expect_floats(&h, 1, 1, (double[]){3}, 0);
    oh_expect_floats(&h, 2, 1, (double[]){4}, 0);
    oh_fini(&h);
}
END_TEST

/* Two tensors of unlike shapes; the first step takes the gradient in full. */
START_TEST(momentum) {
    bool nesterov = _i % 2, first = _i / 2;
    struct oh h;
    start(&h, "Momentum", 0.5f, first ? 0 : 3);
    oh_float(&h, "alpha", 0.5f);
    oh_float(&h, "beta", 0.25f);
    oh_float(&h, "norm_coefficient", 0);
    oh_string(&h, "mode", nesterov ? "nesterov" : "standard");
    one(&h, 1);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(0, 2), NULL);
    one(&h, 4);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(0, 2), NULL);
    one(&h, 2);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(0, 2), NULL);
    expect_ok(&h, 4);
    double v = 1 + (first ? 4 : 1);
    oh_expect_floats(&h, 0, 1, (double[]){1 - 0.5 * (nesterov ? 4 + 0.5 * v : v)}, 1e-6);
    oh_expect_dims(&h, 1, OH_DIMS(0, 2));
    oh_expect_floats(&h, 2, 1, &v, 1e-6);
    ck_assert_int_eq(h.out[3]->dtype, OX_DOUBLE);
    oh_fini(&h);
}
END_TEST

START_TEST(refused) {
    struct oh h;
    start(&h, _i == 0 ? "Momentum" : "Adagrad", 1, 0);
    one(&h, 1), one(&h, 1);
    if (_i == 1) oh_input(&h, OX_FLOAT, OH_DIMS(2));
    if (_i == 2) oh_input(&h, OX_INT32, OH_DIMS(1));
    if (_i == 0 || _i >= 3) one(&h, 1);
    if (_i == 3) one(&h, 1);
    static const char *const ids[] = {"wrong-attribute", "shape-mismatch", "wrong-type",
                                      "wrong-arity", "wrong-arity"};
    ck_assert_int_eq(oh_eval(&h, _i == 4 ? 3 : 2), OX_INVALID);
    ck_assert_str_eq(h.id, ids[_i]);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_training");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, adagrad);
    tcase_add_loop_test(tc, adam, 0, 3);
    tcase_add_loop_test(tc, momentum, 0, 4);
    tcase_add_loop_test(tc, refused, 0, 5);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
