/* tests/unit/test_op_signal.c - windows, DFT, STFT: there and back, the table of windows, refusals.
 */
#include "op_harness.h"
#include <math.h>
#include <stdlib.h>

START_TEST(inverse_undoes_the_transform) {
    static const int64_t lengths[] = {1, 2, 5, 8, 12};
    struct oh there, back;
    uint64_t seed = 5;
    int64_t n = lengths[_i];
    oh_init(&there, "DFT", 20, 1);
    const float *x = oh_random(&there, &seed, OH_DIMS(2, n, 3, 2));
    oh_absent(&there);
    oh_input_of(&there, OX_INT64, 0, NULL, (int64_t[]){1});
    ck_assert_msg(oh_eval(&there, 1) == OX_OK, "%s", there.text);
    oh_init(&back, "DFT", 17, 1);
    oh_int(&back, "inverse", 1);
    oh_input_of(&back, OX_FLOAT, OH_DIMS(2, n, 3, 2), there.out[0]->data);
    ck_assert_msg(oh_eval(&back, 1) == OX_OK, "%s", back.text);
    double expected[2 * 12 * 3 * 2];
    for (int64_t i = 0; i < 2 * n * 6; i++)
        expected[i] = (double)x[i];
    oh_expect_floats(&back, 0, (size_t)(2 * n * 6), expected, 1e-5);
    oh_fini(&there), oh_fini(&back);
}
END_TEST

START_TEST(one_side_of_a_padded_impulse) {
    struct oh h;
    oh_init(&h, "DFT", 17, 1);
    oh_int(&h, "onesided", 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 2, 1), (float[]){1, 1});
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){4});
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    oh_expect_dims(&h, 0, OH_DIMS(1, 3, 2));
    oh_expect_floats(&h, 0, 6, (double[]){2, 0, 1, -1, 0, 0}, 1e-6);
    oh_fini(&h);
}
END_TEST

/* A real signal from one side of its spectrum: the length as it follows from the bins (even), or as
 * given. */
START_TEST(real_signal_from_one_side) {
    static const int64_t lengths[] = {2, 8, 10, 7, 9, 1, 17};
    int64_t n = lengths[_i];
    struct oh there, back;
    uint64_t seed = 6;
    double expected[2 * 17 * 3];
    oh_init(&there, "DFT", 20, 1);
    oh_int(&there, "onesided", 1);
    const float *x = oh_random(&there, &seed, OH_DIMS(2, n, 3, 1));
    oh_absent(&there);
    oh_input_of(&there, OX_INT64, 0, NULL, (int64_t[]){1});
    ck_assert_msg(oh_eval(&there, 1) == OX_OK, "%s", there.text);
    oh_expect_dims(&there, 0, OH_DIMS(2, n / 2 + 1, 3, 2));
    oh_init(&back, "DFT", 19, 1);
    oh_int(&back, "onesided", 1);
    oh_int(&back, "inverse", 1);
    oh_input_of(&back, OX_FLOAT, OH_DIMS(2, n / 2 + 1, 3, 2), there.out[0]->data);
    if (n % 2) oh_input_of(&back, OX_INT64, 0, NULL, &n);
    ck_assert_msg(oh_eval(&back, 1) == OX_OK, "%s", back.text);
    oh_expect_dims(&back, 0, OH_DIMS(2, n, 3, 1));
    for (int64_t i = 0; i < 6 * n; i++)
        expected[i] = (double)x[i];
    oh_expect_floats(&back, 0, (size_t)(6 * n), expected, 1e-6);
    oh_fini(&there), oh_fini(&back);
}
END_TEST

/* No points at all: of nothing, of one bin, or asked for. */
START_TEST(transform_of_no_points) {
    struct oh h;
    oh_init(&h, "DFT", 17, 1);
    if (_i == 1) oh_int(&h, "onesided", 1), oh_int(&h, "inverse", 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, _i == 0 ? 0 : 1, 2));
    if (_i > 1)
        oh_input_of(&h, OX_INT64, 0, NULL, _i == 2 ? (int64_t[]){0} : (int64_t[]){INT64_MAX});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "shape-mismatch");
    oh_fini(&h);
}
END_TEST

START_TEST(frames_of_a_signal) {
    struct oh h;
    oh_init(&h, "STFT", 17, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 5, 1), (float[]){1, 2, 3, 4, 5});
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){2});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){1, 0.5f});
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    oh_expect_dims(&h, 0, OH_DIMS(1, 2, 2, 2));
    oh_expect_floats(&h, 0, 8, (double[]){2, 0, 0, 0, 5, 0, 1, 0}, 1e-6);
    oh_fini(&h);
}
END_TEST

START_TEST(windows) {
    static const struct {
        const char *op;
        double at[4]; /* periodic, 4 points */
    } cases[] = {{"HannWindow", {0, 0.5, 1, 0.5}},
                 {"HammingWindow", {4.0 / 46, 25.0 / 46, 1, 25.0 / 46}},
                 {"BlackmanWindow", {0, 0.34, 1, 0.34}}};
    struct oh h;
    oh_init(&h, cases[_i].op, 17, 1);
    oh_input_of(&h, OX_INT32, 0, NULL, (int32_t[]){4});
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    oh_expect_floats(&h, 0, 4, cases[_i].at, 1e-6);
    oh_fini(&h);
    oh_init(&h, cases[_i].op, 17, 1);
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){-1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, cases[_i].op, 17, 1);
    oh_int(&h, "output_datatype", 8);
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(frames_longer_than_the_signal) {
    struct oh h;
    oh_init(&h, "STFT", 17, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 5, 1));
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){_i});
    oh_absent(&h);
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){6});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_signal");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, inverse_undoes_the_transform, 0, 5);
    tcase_add_test(tc, one_side_of_a_padded_impulse);
    tcase_add_loop_test(tc, real_signal_from_one_side, 0, 7);
    tcase_add_loop_test(tc, transform_of_no_points, 0, 4);
    tcase_add_test(tc, frames_of_a_signal);
    tcase_add_loop_test(tc, windows, 0, 3);
    tcase_add_loop_test(tc, frames_longer_than_the_signal, 0, 2);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
