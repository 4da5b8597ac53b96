/* tests/unit/test_op_loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss beyond the
 * conformance cases. */
#include "op_harness.h"
#include <math.h>
#include <stdlib.h>

static void start(struct oh *h, const char *op, const float *scores, const int64_t *labels,
                  const char *reduction) {
    oh_init(h, op, 13, 1);
    oh_string(h, "reduction", reduction);
    oh_input_of(h, OX_FLOAT, OH_DIMS(3, 2), scores);
    oh_input_of(h, OX_INT64, OH_DIMS(3), labels);
}

static const float scores[] = {-1, -2, -3, -4, -5, -6};

START_TEST(mean_is_over_the_weights_that_count) {
    struct oh h;
    start(&h, "NegativeLogLikelihoodLoss", scores, (int64_t[]){0, 7, 1}, "mean");
    oh_int(&h, "ignore_index", 7);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){2, 0.5f});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 0, NULL);
    oh_expect_floats(&h, 0, 1, (double[]){(1 * 2 + 6 * 0.5) / 2.5}, 1e-6);
    oh_fini(&h);
}
END_TEST

START_TEST(large_scores_do_not_overflow) {
    struct oh h;
    oh_init(&h, "SoftmaxCrossEntropyLoss", 13, 1);
    oh_string(&h, "reduction", "none");
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 2), (float[]){1000, 0});
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){1});
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    oh_expect_floats(&h, 0, 1, (double[]){1000}, 1e-6);
    oh_expect_floats(&h, 1, 2, (double[]){0, -1000}, 1e-6);
    oh_fini(&h);
}
END_TEST

START_TEST(labels_are_checked) {
    struct oh h;
    start(&h, "SoftmaxCrossEntropyLoss", scores, (int64_t[]){0, -1, 1}, "sum");
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "shape-mismatch");
    oh_fini(&h);
    oh_init(&h, "NegativeLogLikelihoodLoss", 13, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3, 2), scores);
    oh_input(&h, OX_INT64, OH_DIMS(2));
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    start(&h, "NegativeLogLikelihoodLoss", scores, (int64_t[]){0, 0, 1}, "median");
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-attribute");
    oh_fini(&h);
}
END_TEST

START_TEST(weights_are_floats) {
    struct oh h;
    start(&h, "NegativeLogLikelihoodLoss", scores, (int64_t[]){0, 0, 1}, "sum");
    oh_input_of(&h, OX_BOOL, OH_DIMS(2), (char[]){1, 1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-type");
    oh_fini(&h);
}
END_TEST

START_TEST(nothing_to_lose) {
    struct oh h;
    oh_init(&h, "NegativeLogLikelihoodLoss", 13, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(0, 4));
    oh_input(&h, OX_INT64, OH_DIMS(0));
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert(isnan(*(const float *)h.out[0]->data));
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_loss");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, mean_is_over_the_weights_that_count);
    tcase_add_test(tc, large_scores_do_not_overflow);
    tcase_add_test(tc, labels_are_checked);
    tcase_add_test(tc, weights_are_floats);
    tcase_add_test(tc, nothing_to_lose);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
