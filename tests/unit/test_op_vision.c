/* tests/unit/test_op_vision.c - CenterCropPad, Col2Im, MaxUnpool, MaxRoiPool, DeformConv, Det,
 * MelWeightMatrix: against other operators, by hand, and what they refuse. */
#include "op_harness.h"
#include <math.h>
#include <stdlib.h>

static void expect_ok(struct oh *h) {
    ck_assert_msg(oh_eval(h, 1) == OX_OK, "%s", h->text);
}

/* Refused with a diagnostic, by eval and, where types alone tell, by inference. */
static void expect_bad(struct oh *h, const char *id) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

/* ---- CenterCropPad --------------------------------------------------------------------------- */

START_TEST(crop_and_pad) {
    struct oh h;
    oh_init(&h, "CenterCropPad", 18, 1);
    oh_input_of(&h, OX_INT16, OH_DIMS(3, 2), (int16_t[]){1, 2, 3, 4, 5, 6});
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){2, 5});
    expect_ok(&h);
    oh_expect_dims(&h, 0, OH_DIMS(2, 5));
    static const int16_t expected[10] = {0, 1, 2, 0, 0, 0, 3, 4, 0, 0};
    ck_assert_mem_eq(h.out[0]->data, expected, sizeof expected);
    oh_fini(&h);
}
END_TEST

START_TEST(crop_named_axis) {
    struct oh h;
    oh_init(&h, "CenterCropPad", 18, 1);
    OH_INTS(&h, "axes", -2);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(4, 1), (float[]){1, 2, NAN, 4});
    oh_input_of(&h, OX_INT32, OH_DIMS(1), (int32_t[]){2});
    expect_ok(&h);
    oh_expect_floats(&h, 0, 2, (double[]){2, NAN}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(crop_nothing) {
    struct oh h; /* to nothing, from nothing, and of no axis */
    oh_init(&h, "CenterCropPad", 18, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(3, 2));
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){0, 5});
    expect_ok(&h);
    oh_expect_dims(&h, 0, OH_DIMS(0, 5));
    oh_fini(&h);
    oh_init(&h, "CenterCropPad", 18, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(0, 2));
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){1, 2});
    expect_ok(&h);
    oh_expect_floats(&h, 0, 2, (double[]){0, 0}, 0);
    oh_fini(&h);
    oh_init(&h, "CenterCropPad", 18, 1);
    oh_input_of(&h, OX_FLOAT, 0, NULL, (float[]){7});
    oh_input(&h, OX_INT64, OH_DIMS(0));
    expect_ok(&h);
    oh_expect_floats(&h, 0, 1, (double[]){7}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(crop_refused) {
    static const struct {
        int64_t shape[2], n, axis;
    } cases[] = {{{1, -1}, 2, 9}, {{1}, 1, 9}, {{1, 1}, 2, 0}, {{1}, 1, 2}};
    struct oh h;
    oh_init(&h, "CenterCropPad", 18, 1);
    if (cases[_i].axis < 9) oh_ints(&h, "axes", 1, &cases[_i].axis);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 2));
    oh_input_of(&h, OX_INT64, OH_DIMS(cases[_i].n), cases[_i].shape);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(&h, 1, false), OX_INVALID);
    oh_fini(&h);
}
END_TEST

/* ---- Col2Im ---------------------------------------------------------------------------------- */

/* The transposed convolution whose weights place each channel of the data at a tap of its own adds
 * up the same. */
START_TEST(col2im_is_a_transposed_convolution) {
    struct oh fold, conv;
    uint64_t seed = 11;
    double expected[2 * 5 * 6];
    oh_init(&conv, "ConvTranspose", 11, 1);
    OH_INTS(&conv, "strides", 2, 1);
    OH_INTS(&conv, "pads", 1, 0, 0, 2);
    OH_INTS(&conv, "dilations", 1, 2);
    float *x = oh_random(&conv, &seed, OH_DIMS(1, 12, 3, 4)), data[12 * 12];
    memcpy(data, x, sizeof data);
    float *w = oh_input(&conv, OX_FLOAT, OH_DIMS(12, 2, 2, 3));
    for (int k = 0; k < 12; k++)
        w[k * 12 + k] = 1;
    expect_ok(&conv);
    oh_expect_dims(&conv, 0, OH_DIMS(1, 2, 5, 6));
    for (int i = 0; i < 60; i++)
        expected[i] = (double)((const float *)conv.out[0]->data)[i];
    oh_init(&fold, "Col2Im", 18, 2);
    OH_INTS(&fold, "strides", 2, 1);
    OH_INTS(&fold, "pads", 1, 0, 0, 2);
    OH_INTS(&fold, "dilations", 1, 2);
    oh_input_of(&fold, OX_FLOAT, OH_DIMS(1, 12, 12), data);
    oh_input_of(&fold, OX_INT64, OH_DIMS(2), (int64_t[]){5, 6});
    oh_input_of(&fold, OX_INT64, OH_DIMS(2), (int64_t[]){2, 3});
    expect_ok(&fold);
    oh_expect_dims(&fold, 0, OH_DIMS(1, 2, 5, 6));
    oh_expect_floats(&fold, 0, 60, expected, 1e-6);
    oh_same_with_threads(&fold, 1);
    oh_fini(&fold), oh_fini(&conv);
}
END_TEST

START_TEST(col2im_other_types) {
    struct oh h;
    oh_init(&h, "Col2Im", 18, 1);
    oh_input_of(&h, OX_UINT8, OH_DIMS(1, 2, 2), (uint8_t[]){200, 1, 100, 3});
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){3});
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){2});
    expect_ok(&h);
    ck_assert_mem_eq(h.out[0]->data, ((uint8_t[]){200, 101, 3}), 3);
    oh_fini(&h);
    oh_init(&h, "Col2Im", 18, 1);
    oh_input_of(&h, OX_COMPLEX64, OH_DIMS(1, 2, 2), (float[]){1, 2, 3, 4, 5, 6, 7, 8});
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){3});
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){2});
    expect_ok(&h);
    ck_assert_mem_eq(h.out[0]->data, ((float[]){1, 2, 8, 10, 7, 8}), 24);
    oh_fini(&h);
}
END_TEST

START_TEST(col2im_refused) {
    static const struct {
        int64_t channels, blocks, image, block;
    } cases[] = {{3, 2, 3, 2}, {2, 3, 3, 2},         {2, 2, 3, 0},        {2, 2, -3, 2},
                 {2, 2, 1, 2}, {2, 2, INT64_MAX, 2}, {2, 2, 3, INT64_MAX}};
    struct oh h;
    oh_init(&h, "Col2Im", 18, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, cases[_i].channels, cases[_i].blocks));
    oh_input_of(&h, OX_INT64, OH_DIMS(1), &cases[_i].image);
    oh_input_of(&h, OX_INT64, OH_DIMS(1), &cases[_i].block);
    expect_bad(&h, "shape-mismatch");
}
END_TEST

/* ---- MaxUnpool ------------------------------------------------------------------------------- */

/* What was largest in its window is back in its place, all else is 0. */
START_TEST(unpool_undoes_pool) {
    struct oh pool, h;
    uint64_t seed = 8;
    oh_init(&pool, "MaxPool", 12, 1);
    OH_INTS(&pool, "kernel_shape", 2, 2);
    OH_INTS(&pool, "strides", 2, 2);
    const float *x = oh_random(&pool, &seed, OH_DIMS(2, 3, 4, 6));
    ck_assert_int_eq(oh_eval(&pool, 2), OX_OK);
    oh_init(&h, "MaxUnpool", 11, 1);
    OH_INTS(&h, "kernel_shape", 2, 2);
    OH_INTS(&h, "strides", 2, 2);
    oh_input_of(&h, OX_FLOAT, 4, pool.out[0]->dims, pool.out[0]->data);
    oh_input_of(&h, OX_INT64, 4, pool.out[0]->dims, pool.out[1]->data);
    if (_i) oh_input_of(&h, OX_INT64, OH_DIMS(4), (int64_t[]){2, 3, 4, 6});
    expect_ok(&h);
    oh_expect_dims(&h, 0, OH_DIMS(2, 3, 4, 6));
    const float *y = h.out[0]->data;
    int kept = 0;
    for (int i = 0; i < 144; i++) {
        ck_assert(y[i] == 0 || y[i] == x[i]);
        kept += y[i] != 0;
    }
    ck_assert_int_eq(kept, 36);
    oh_fini(&pool), oh_fini(&h);
}
END_TEST

START_TEST(unpool_refused) {
    static const struct {
        int64_t index, wide;
        const char *id;
    } cases[] = {{4, 0, "index-range"},
                 {-1, 0, "index-range"},
                 {0, 3, "shape-mismatch"},
                 {0, INT64_MAX, "out-of-memory"}};
    struct oh h;
    oh_init(&h, "MaxUnpool", 9, 1);
    OH_INTS(&h, "kernel_shape", 2);
    OH_INTS(&h, "strides", 2);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 2));
    oh_input_of(&h, OX_INT64, OH_DIMS(1, 1, 2), (int64_t[]){0, cases[_i].index});
    if (cases[_i].wide) oh_input_of(&h, OX_INT64, OH_DIMS(3), (int64_t[]){1, 1, cases[_i].wide});
    ck_assert_int_ne(oh_eval(&h, 1), OX_OK);
    if (_i < 3) ck_assert_str_eq(h.id, cases[_i].id);
    oh_fini(&h);
}
END_TEST

/* ---- MaxRoiPool ------------------------------------------------------------------------------ */

START_TEST(roi_pool) {
    struct oh h;
    float x[16];
    for (int i = 0; i < 16; i++)
        x[i] = (float)i;
    oh_init(&h, "MaxRoiPool", 1, 1);
    OH_INTS(&h, "pooled_shape", 2, 2);
    oh_float(&h, "spatial_scale", 0.5f);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 4, 4), x);
    /* columns 1 to 3, rows 0 to 2; one pixel; behind the image */
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3, 5),
                (float[]){0, 2, 0, 6, 4, 0, 4, 4, 4, 4, 0, 100, 100, 120, 120});
    expect_ok(&h);
    oh_expect_dims(&h, 0, OH_DIMS(3, 1, 2, 2));
    oh_expect_floats(&h, 0, 12, (double[]){6, 7, 10, 11, 10, 10, 10, 10, 0, 0, 0, 0}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(roi_pool_refused) {
    static const float boxes[][5] = {{1, 0, 0, 1, 1},
                                     {-1, 0, 0, 1, 1},
                                     {NAN, 0, 0, 1, 1},
                                     {0, 0, 0, INFINITY, 1},
                                     {0, NAN, 0, 1, 1}};
    struct oh h;
    oh_init(&h, "MaxRoiPool", 22, 1);
    OH_INTS(&h, "pooled_shape", 1, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 2));
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 5), boxes[_i]);
    expect_bad(&h, _i < 3 ? "index-range" : "shape-mismatch");
    oh_init(&h, "MaxRoiPool", 22, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 2));
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 5));
    expect_bad(&h, "wrong-attribute");
}
END_TEST

/* ---- DeformConv ------------------------------------------------------------------------------ */

/* Without offsets it is Conv; a mask of 2 doubles it. */
START_TEST(deform_conv_without_offsets) {
    struct oh conv, h;
    uint64_t seed = 21;
    double expected[2 * 4 * 3 * 4];
    float bias[4] = {1, 2, 3, 4};
    oh_init(&conv, "Conv", 11, 1);
    oh_init(&h, "DeformConv", 19, 2);
    static const int64_t strides[] = {2, 1}, pads[] = {1, 0, 0, 2}, dilations[] = {1, 2};
    for (int k = 0; k < 2; k++) {
        struct oh *o = k ? &h : &conv;
        oh_int(o, "group", 2);
        oh_ints(o, "strides", 2, strides);
        oh_ints(o, "pads", 4, pads);
        oh_ints(o, "dilations", 2, dilations);
    }
    float *x = oh_random(&conv, &seed, OH_DIMS(2, 4, 6, 6));
    float *w = oh_random(&conv, &seed, OH_DIMS(4, 2, 2, 3));
    oh_input_of(&conv, OX_FLOAT, OH_DIMS(4), bias);
    expect_ok(&conv);
    oh_expect_dims(&conv, 0, OH_DIMS(2, 4, 3, 4));
    oh_int(&h, "offset_group", 2);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 4, 6, 6), x);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(4, 2, 2, 3), w);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 24, 3, 4));
    oh_input_of(&h, OX_FLOAT, OH_DIMS(4), bias);
    if (_i) {
        float *mask = oh_input(&h, OX_FLOAT, OH_DIMS(2, 12, 3, 4));
        for (int i = 0; i < 288; i++)
            mask[i] = 2;
    }
    expect_ok(&h);
    for (int i = 0; i < 96; i++) {
        expected[i] = (double)((const float *)conv.out[0]->data)[i];
        if (_i) expected[i] = 2 * expected[i] - (double)bias[i / 12 % 4];
    }
    oh_expect_floats(&h, 0, 96, expected, 1e-5);
    oh_same_with_threads(&h, 1);
    oh_fini(&conv), oh_fini(&h);
}
END_TEST

/* One tap that moves: between elements, half outside, far outside, nowhere. */
START_TEST(deform_conv_places) {
    static const struct {
        float offset;
        double expected;
    } cases[] = {{0, 10}, {1.25f, 22.5}, {2, 30},    {2.5f, 15},     {-0.25f, 7.5},
                 {3, 0},  {-1, 0},       {1e30f, 0}, {-INFINITY, 0}, {NAN, 0}};
    struct oh h;
    oh_init(&h, "DeformConv", 22, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 3), (float[]){10, 20, 30});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1), (float[]){1});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 3), (float[]){cases[_i].offset, 0, 0});
    expect_ok(&h);
    oh_expect_floats(&h, 0, 3, (double[]){cases[_i].expected, 20, 30}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(deform_conv_refused) {
    static const int64_t offsets[][3] = {{1, 2, 3}, {2, 1, 3}, {1, 1, 2}};
    struct oh h;
    oh_init(&h, "DeformConv", 22, 1);
    if (_i == 3) oh_int(&h, "group", 0);
    if (_i == 4) oh_int(&h, "group", INT64_MAX);
    if (_i == 5) oh_int(&h, "offset_group", 2);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 3));
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 1));
    oh_input(&h, OX_FLOAT, 3, _i < 3 ? offsets[_i] : (int64_t[]){1, 1, 3});
    expect_bad(&h, _i == 3 ? "wrong-attribute" : "shape-mismatch");
}
END_TEST

/* ---- Det ------------------------------------------------------------------------------------- */

START_TEST(det_of_a_product) {
    struct oh a, b, c;
    uint64_t seed = 4;
    struct oh *all[] = {&a, &b, &c};
    float product[36], *m[2];
    for (int i = 0; i < 3; i++) {
        oh_init(all[i], "Det", 11, 1);
        if (i < 2) m[i] = oh_random(all[i], &seed, OH_DIMS(6, 6));
    }
    for (int i = 0; i < 36; i++) {
        double sum = 0;
        for (int k = 0; k < 6; k++)
            sum += (double)m[0][i / 6 * 6 + k] * (double)m[1][k * 6 + i % 6];
        product[i] = (float)sum;
    }
    oh_input_of(&c, OX_FLOAT, OH_DIMS(6, 6), product);
    double d[3];
    for (int i = 0; i < 3; i++) {
        expect_ok(all[i]);
        oh_expect_dims(all[i], 0, 0, NULL);
        d[i] = (double)*(const float *)all[i]->out[0]->data;
    }
    ck_assert_double_eq_tol(d[2], d[0] * d[1], 1e-5);
    for (int i = 0; i < 3; i++)
        oh_fini(all[i]);
}
END_TEST

START_TEST(det_special) {
    static const struct {
        float m[4];
        double expected;
    } cases[] = {{{0, 1, 1, 0}, -1},
                 {{1, 2, 2, 4}, 0},
                 {{NAN, 1, 1, 1}, NAN},
                 {{1, 1, NAN, 1}, NAN},
                 {{INFINITY, 0, 0, 2}, INFINITY}};
    struct oh h;
    oh_init(&h, "Det", 22, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 2, 2), cases[_i].m);
    expect_ok(&h);
    oh_expect_floats(&h, 0, 1, &cases[_i].expected, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(det_of_nothing) {
    struct oh h;
    oh_init(&h, "Det", 11, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 0, 0));
    expect_ok(&h);
    oh_expect_floats(&h, 0, 2, (double[]){1, 1}, 0); /* the empty product */
    oh_fini(&h);
    oh_init(&h, "Det", 11, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 3));
    expect_bad(&h, "shape-mismatch");
    oh_init(&h, "Det", 11, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(2));
    expect_bad(&h, "shape-mismatch");
    oh_init(&h, "Det", 11, 1);
    oh_input(&h, OX_INT32, OH_DIMS(2, 2));
    expect_bad(&h, "wrong-type");
}
END_TEST

/* ---- MelWeightMatrix ------------------------------------------------------------------------- */

static void mel_inputs(struct oh *h, int64_t bands, int64_t length, int64_t rate, float low,
                       float high) {
    oh_init(h, "MelWeightMatrix", 17, 1);
    oh_input_of(h, OX_INT64, 0, NULL, &bands);
    oh_input_of(h, OX_INT64, 0, NULL, &length);
    oh_input_of(h, OX_INT64, 0, NULL, &rate);
    oh_input_of(h, OX_FLOAT, 0, NULL, &low);
    oh_input_of(h, OX_FLOAT, 0, NULL, &high);
}

/* Every band rises to 1 and falls again, at a later bin than the band before. */
START_TEST(mel_triangles) {
    struct oh h;
    mel_inputs(&h, 8, 256, 8000, 20, 4000);
    expect_ok(&h);
    oh_expect_dims(&h, 0, OH_DIMS(129, 8));
    const float *y = h.out[0]->data;
    int last = -1;
    for (int b = 0; b < 8; b++) {
        int top = 0;
        for (int i = 0; i < 129; i++)
            if (y[i * 8 + b] > y[top * 8 + b]) top = i;
        ck_assert(y[top * 8 + b] == 1);
        ck_assert_int_gt(top, last);
        for (int i = 1; i < 129; i++)
            ck_assert(i <= top ? y[i * 8 + b] >= y[(i - 1) * 8 + b]
                               : y[i * 8 + b] <= y[(i - 1) * 8 + b]);
        last = top;
    }
    oh_fini(&h);
}
END_TEST

START_TEST(mel_edges) {
    struct oh h; /* bands above the spectrum have nothing */
    mel_inputs(&h, 2, 4, 100, 1000, 1e9f);
    expect_ok(&h);
    oh_expect_floats(&h, 0, 6, (double[]){0, 0, 0, 0, 0, 0}, 0);
    oh_fini(&h);
    mel_inputs(&h, 0, 0, 1, 0, 0);
    expect_ok(&h);
    oh_expect_dims(&h, 0, OH_DIMS(1, 0));
    oh_fini(&h);
    mel_inputs(&h, -1, 4, 100, 0, 10);
    expect_bad(&h, "shape-mismatch");
    mel_inputs(&h, 2, 4, 0, 0, 10);
    expect_bad(&h, "shape-mismatch");
    mel_inputs(&h, 2, 4, 100, NAN, 10);
    expect_bad(&h, "shape-mismatch");
    mel_inputs(&h, 2, 4, 100, 20, 10);
    expect_bad(&h, "shape-mismatch");
    mel_inputs(&h, INT64_MAX, INT64_MAX, 100, 0, 10);
    ck_assert_int_ne(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_vision");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, crop_and_pad);
    tcase_add_test(tc, crop_named_axis);
    tcase_add_test(tc, crop_nothing);
    tcase_add_loop_test(tc, crop_refused, 0, 4);
    tcase_add_test(tc, col2im_is_a_transposed_convolution);
    tcase_add_test(tc, col2im_other_types);
    tcase_add_loop_test(tc, col2im_refused, 0, 7);
    tcase_add_loop_test(tc, unpool_undoes_pool, 0, 2);
    tcase_add_loop_test(tc, unpool_refused, 0, 4);
    tcase_add_test(tc, roi_pool);
    tcase_add_loop_test(tc, roi_pool_refused, 0, 5);
    tcase_add_loop_test(tc, deform_conv_without_offsets, 0, 2);
    tcase_add_loop_test(tc, deform_conv_places, 0, 10);
    tcase_add_loop_test(tc, deform_conv_refused, 0, 6);
    tcase_add_test(tc, det_of_a_product);
    tcase_add_loop_test(tc, det_special, 0, 5);
    tcase_add_test(tc, det_of_nothing);
    tcase_add_test(tc, mel_triangles);
    tcase_add_test(tc, mel_edges);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
