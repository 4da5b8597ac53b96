/* tests/unit/test_op_sample.c - GridSample, RoiAlign and NonMaxSuppression: identities, hostile
 * numbers, refusals. The values of ordinary cases are those of the conformance tests. */
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

static const char *const modes[] = {"linear", "nearest", "cubic"};
static const char *const paddings[] = {"zeros", "border", "reflection"};

START_TEST(a_grid_of_pixel_centres_is_the_image) {
    for (int m = 0; m < 9; m++) {
        struct oh h;
        uint64_t seed = 7;
        float coords[2 * 12];
        double expected[24];
        oh_init(&h, "GridSample", 20, 2);
        oh_string(&h, "mode", modes[m / 3]);
        oh_string(&h, "padding_mode", paddings[m % 3]);
        oh_int(&h, "align_corners", 1);
        const float *x = oh_random(&h, &seed, OH_DIMS(1, 2, 3, 4));
        for (int i = 0; i < 24; i++)
            expected[i] = (double)x[i];
        for (int i = 0; i < 12; i++) {
            coords[2 * i] = (float)(i % 4) / 3 * 2 - 1;
            coords[2 * i + 1] = (float)(i / 4) - 1;
        }
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 3, 4, 2), coords);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_floats(&h, 0, 24, expected, 1e-6);
        oh_same_with_threads(&h, 1);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(grids_far_outside) {
    static const float far[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 1e9f, -3.5f, 0};
    for (int m = 0; m < 18; m++) {
        struct oh h;
        oh_init(&h, "GridSample", 22, 1);
        oh_string(&h, "mode", modes[m / 3 % 3]);
        oh_string(&h, "padding_mode", paddings[m % 3]);
        oh_int(&h, "align_corners", m / 9);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 4), (float[]){1, 1, 1, 1});
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 8, 1), far);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        for (int i = 0; i < 7;
             i++) /* of a constant image: the constant, or zero where that is padded */
            ck_assert_float_eq_tol(((const float *)h.out[0]->data)[i], m % 3 == 0 ? 0.0f : 1.0f,
                                   1e-5f);
        ck_assert_float_eq_tol(((const float *)h.out[0]->data)[7], 1, 1e-5f);
        oh_fini(&h);
    }
}
END_TEST

static void expect_failure(struct oh *h, const char *id) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

START_TEST(grid_sample_refuses) {
    struct oh h;
    static const struct { int64_t dims[4]; } grids[] = {{{2, 3, 3, 2}}, {{1, 3, 3, 3}}};
    for (int i = 0; i < 2; i++) {
        oh_init(&h, "GridSample", 16, 1);
        oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 2));
        oh_input(&h, OX_FLOAT, 4, grids[i].dims);
        expect_failure(&h, "shape-mismatch");
    }
    oh_init(&h, "GridSample", 16, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 0, 2)); /* nothing to read from */
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 1, 2));
    expect_failure(&h, "shape-mismatch");
    oh_init(&h, "GridSample", 16, 1);
    oh_string(&h, "mode", "linear"); /* named so from opset 20 */
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 2));
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 1, 2));
    expect_failure(&h, "wrong-attribute");
}
END_TEST

static void roi(struct oh *h, float x1, float y1, float x2, float y2, int64_t image,
                int64_t ratio) {
    static const float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    oh_init(h, "RoiAlign", 16, 1);
    oh_int(h, "output_height", 2);
    oh_int(h, "output_width", 2);
    oh_int(h, "sampling_ratio", ratio);
    oh_input_of(h, OX_FLOAT, OH_DIMS(1, 1, 4, 4), ones);
    oh_input_of(h, OX_FLOAT, OH_DIMS(1, 4), (float[]){x1, y1, x2, y2});
    oh_input_of(h, OX_INT64, OH_DIMS(1), &image);
}

START_TEST(roi_align) {
    struct oh h;
    roi(&h, 0.5f, 0.5f, 3, 3, 0, 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 4, (double[]){1, 1, 1, 1}, 1e-6);
    oh_fini(&h);
    roi(&h, 100, 100, 104, 104, 0, 2); /* beside the image */
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 4, (double[]){0, 0, 0, 0}, 0);
    oh_fini(&h);
    roi(&h, NAN, 0, 1, INFINITY, 0, 2);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);
    roi(&h, 0, 0, 1e30f, 1e30f, 0, 0); /* as many samples as pixels: refused */
    expect_failure(&h, "shape-mismatch");
    roi(&h, 0, 0, NAN, 1, 0, 0);
    expect_failure(&h, "shape-mismatch");
    roi(&h, 0, 0, 1, 1, 1, 0);
    expect_failure(&h, "index-range");
    roi(&h, 0, 0, 1, 1, -1, 0);
    expect_failure(&h, "index-range");
    roi(&h, 0, 0, 1, 1, 0, INT64_MAX);
    expect_failure(&h, "wrong-attribute");
}
END_TEST

START_TEST(non_max_suppression) {
    struct oh h;
    /* Two that overlap, one apart, one with no score at all, one with no area. */
    static const float boxes[] = {0, 0, 2, 2, 0, 0.5f, 2, 2, 5, 5, 7, 7, 8, 8, 9, 9, 3, 3, 3, 3};
    static const float scores[] = {0.5f, 0.9f, 0.1f, NAN, 0.2f};
    for (int64_t most = 0; most <= 5; most++) {
        static const int64_t expected[] = {1, 4, 2};
        oh_init(&h, "NonMaxSuppression", 11, 1);
        h.no_infer = true;
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 5, 4), boxes);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 5), scores);
        oh_input_of(&h, OX_INT64, 0, NULL, &most);
        oh_input_of(&h, OX_FLOAT, 0, NULL, &(float){0.5f});
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, OH_DIMS(most < 3 ? most : 3, 3));
        for (int64_t i = 0; i < h.out[0]->dims[0]; i++)
            ck_assert_int_eq(((const int64_t *)h.out[0]->data)[3 * i + 2], expected[i]);
        oh_fini(&h);
    }
    oh_init(&h, "NonMaxSuppression", 11, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 5, 4));
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 4));
    expect_failure(&h, "shape-mismatch");
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_sample");
    TCase *t = tcase_create("op_sample");
    tcase_add_test(t, a_grid_of_pixel_centres_is_the_image);
    tcase_add_test(t, grids_far_outside);
    tcase_add_test(t, grid_sample_refuses);
    tcase_add_test(t, roi_align);
    tcase_add_test(t, non_max_suppression);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
