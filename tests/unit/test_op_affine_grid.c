/* tests/unit/test_op_affine_grid.c - AffineGrid against GridSample. */
#include "op_harness.h"
#include <stdlib.h>

static const char *const modes[] = {"linear", "nearest", "cubic"}, *const paddings[] = {
                                                                       "zeros", "border",
                                                                       "reflection"};

/* The grid of the identity reads every element where it lies. */
START_TEST(identity_grid_gives_the_image_back) {
    struct oh grid, sample;
    uint64_t seed = 3;
    int align = _i % 2;
    oh_init(&grid, "AffineGrid", 20, 1);
    oh_int(&grid, "align_corners", align);
    oh_input_of(&grid, OX_FLOAT, OH_DIMS(1, 2, 3), (float[]){1, 0, 0, 0, 1, 0});
    oh_input_of(&grid, OX_INT64, OH_DIMS(4), (int64_t[]){1, 2, 3, 5});
    ck_assert_msg(oh_eval(&grid, 1) == OX_OK, "%s", grid.text);
    oh_expect_dims(&grid, 0, OH_DIMS(1, 3, 5, 2));
    oh_init(&sample, "GridSample", 20, 1);
    oh_int(&sample, "align_corners", align);
    oh_string(&sample, "mode", modes[_i / 2 % 3]);
    oh_string(&sample, "padding_mode", paddings[_i / 6]);
    const float *x = oh_random(&sample, &seed, OH_DIMS(1, 2, 3, 5));
    oh_input_of(&sample, OX_FLOAT, OH_DIMS(1, 3, 5, 2), grid.out[0]->data);
    ck_assert_msg(oh_eval(&sample, 1) == OX_OK, "%s", sample.text);
    double expected[30];
    for (int i = 0; i < 30; i++)
        expected[i] = (double)x[i];
    oh_expect_floats(&sample, 0, 30, expected, 2e-6);
    oh_fini(&grid), oh_fini(&sample);
}
END_TEST

START_TEST(shapes_that_do_not_fit) {
    struct oh h;
    oh_init(&h, "AffineGrid", 20, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 2, 3));
    oh_input_of(&h, OX_INT64, OH_DIMS(4), (int64_t[]){2, 2, 3, 5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "AffineGrid", 20, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 2, 3));
    oh_input_of(&h, OX_INT64, OH_DIMS(4), (int64_t[]){1, 2, -3, 5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_affine_grid");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, identity_grid_gives_the_image_back, 0, 18);
    tcase_add_test(tc, shapes_that_do_not_fit);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
