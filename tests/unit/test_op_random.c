/* tests/unit/test_op_random.c - the random operators and Dropout in training: known numbers,
 * moments, repetition, refusals. */
#include "op_harness.h"
#include <math.h>
#include <stdlib.h>

static void expect_ok(struct oh *h, size_t n_out) {
    ck_assert_msg(oh_eval(h, n_out) == OX_OK, "%s", h->text);
}

/* The reference implementation's numbers of seed 0. */
START_TEST(known_numbers) {
    static const int64_t three[] = {3};
    static const struct {
        const char *op;
        double at[3];
    } cases[] = {{"RandomUniform", {0.5488135039, 0.7151893664, 0.6027633761}},
                 {"RandomNormal", {1.7640523460, 0.4001572084, 0.9787379841}}};
    struct oh h;
    oh_init(&h, cases[_i].op, 1, 1);
    oh_float(&h, "seed", 0);
    oh_ints(&h, "shape", 1, three);
    expect_ok(&h, 1);
    oh_expect_floats(&h, 0, 3, cases[_i].at, 1e-7);
    oh_fini(&h);
}
END_TEST

/* Mean and standard deviation of many; the same again; others with another seed. */
START_TEST(moments) {
    static const int64_t many[] = {100, 1000};
    static const struct {
        const char *op, *a, *b;
        double mean, deviation;
    } cases[] = {{"RandomUniform", "low", "high", 2.0, 1.7320508},
                 {"RandomNormal", "mean", "scale", -1.0, 5.0}};
    struct oh h, again;
    for (int k = 0; k < 2; k++) {
        struct oh *o = k ? &again : &h;
        oh_init(o, cases[_i].op, 22, 1);
        oh_float(o, cases[_i].a, -1);
        oh_float(o, cases[_i].b, 5);
        oh_ints(o, "shape", 2, many);
        oh_float(o, "seed", k ? 1e9f : -3.5f);
        expect_ok(o, 1);
    }
    const float *y = h.out[0]->data;
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        sum += (double)y[i];
        squares += ((double)y[i] - cases[_i].mean) * ((double)y[i] - cases[_i].mean);
    }
    ck_assert_double_eq_tol(sum / 1e5, cases[_i].mean, 0.06);
    ck_assert_double_eq_tol(sqrt(squares / 1e5), cases[_i].deviation, 0.06);
    ck_assert(!ox_tensor_equal(h.out[0], again.out[0]));
    oh_same_with_threads(&h, 3);
    oh_fini(&h), oh_fini(&again);
}
END_TEST

START_TEST(like_another) {
    struct oh h;
    oh_init(&h, "RandomNormalLike", 1, 1);
    oh_int(&h, "dtype", OX_DOUBLE);
    oh_input(&h, OX_INT32, OH_DIMS(2, 0, 3));
    expect_ok(&h, 1);
    oh_expect_dims(&h, 0, OH_DIMS(2, 0, 3));
    ck_assert_int_eq(h.out[0]->dtype, OX_DOUBLE);
    oh_fini(&h);
    oh_init(&h, "RandomUniformLike", 22, 1);
    oh_input(&h, OX_FLOAT16, 0, NULL);
    expect_ok(&h, 1);
    ck_assert_int_eq(h.out[0]->dtype, OX_FLOAT16);
    oh_fini(&h);
    oh_init(&h, "RandomUniformLike", 22, 1); /* a type to draw in must be named */
    oh_input(&h, OX_INT32, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-type");
    oh_fini(&h);
}
END_TEST

START_TEST(shape_refused) {
    static const int64_t bad[] = {2, -1}, huge[] = {INT64_MAX, INT64_MAX};
    struct oh h;
    oh_init(&h, "RandomUniform", 22, 1);
    if (_i == 1) oh_ints(&h, "shape", 2, bad);
    if (_i == 2) oh_ints(&h, "shape", 2, huge);
    if (_i == 3) oh_int(&h, "dtype", OX_INT32);
    ck_assert_int_ne(oh_eval(&h, 1), OX_OK);
    if (_i < 2 || _i == 3) ck_assert_str_eq(h.id, "wrong-attribute");
    oh_fini(&h);
}
END_TEST

START_TEST(bernoulli) {
    struct oh h;
    oh_init(&h, "Bernoulli", 15, 1);
    oh_int(&h, "dtype", OX_BOOL);
    float *p = oh_input(&h, OX_FLOAT, OH_DIMS(5, 10000));
    for (int i = 0; i < 50000; i++)
        p[i] = (float)(i / 10000) * 0.25f;
    p[0] = NAN, p[1] = -1, p[49999] = 3;
    expect_ok(&h, 1);
    const uint8_t *y = h.out[0]->data;
    for (int row = 0; row < 5; row++) {
        int ones = 0;
        for (int i = 0; i < 10000; i++)
            ones += y[row * 10000 + i];
        ck_assert_int_le(abs(ones - row * 2500), row % 4 ? 150 : 0);
    }
    oh_fini(&h);
    oh_init(&h, "Bernoulli", 22, 1);
    oh_input(&h, OX_INT32, OH_DIMS(1));
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(multinomial) {
    struct oh h;
    oh_init(&h, "Multinomial", 7, 1);
    oh_int(&h, "sample_size", 8000);
    oh_int(&h, "dtype", OX_INT64);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 3),
                (float[]){0, 0.6931472f, 1.6094379f, -INFINITY, 5, -INFINITY});
    expect_ok(&h, 1);
    oh_expect_dims(&h, 0, OH_DIMS(2, 8000));
    const int64_t *y = h.out[0]->data;
    int counts[3] = {0};
    for (int i = 0; i < 8000; i++) {
        ck_assert(y[i] >= 0 && y[i] < 3);
        counts[y[i]]++;
        ck_assert_int_eq(y[8000 + i], 1);
    }
    for (int c = 0; c < 3; c++) /* 1 : 2 : 5 */
        ck_assert_int_le(abs(counts[c] - (int[]){1000, 2000, 5000}[c]), 150);
    oh_fini(&h);
}
END_TEST

START_TEST(multinomial_refused) {
    static const float rows[][2] = {{NAN, 0}, {-INFINITY, -INFINITY}, {INFINITY, 0}};
    struct oh h;
    oh_init(&h, "Multinomial", 22, 1);
    if (_i == 4) oh_int(&h, "sample_size", -1);
    if (_i < 3)
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 2), rows[_i]);
    else
        oh_input(&h, OX_FLOAT, OH_DIMS(2, 0)); /* no outcome at all */
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

/* What is kept is scaled, what is dropped is 0; the mask says which. */
START_TEST(dropout_trains) {
    struct oh h;
    oh_init(&h, "Dropout", 22, 1);
    if (_i) oh_int(&h, "seed", _i == 1 ? 7 : -7);
    float *x = oh_input(&h, OX_FLOAT, OH_DIMS(10000));
    for (int i = 0; i < 10000; i++)
        x[i] = (float)(i + 1);
    oh_input_of(&h, OX_FLOAT, 0, NULL, (float[]){0.75f});
    oh_input_of(&h, OX_BOOL, 0, NULL, (uint8_t[]){1});
    expect_ok(&h, 2);
    const float *y = h.out[0]->data;
    const uint8_t *mask = h.out[1]->data;
    int kept = 0;
    for (int i = 0; i < 10000; i++) {
        ck_assert(y[i] == (mask[i] ? 4 * x[i] : 0));
        kept += mask[i];
    }
    ck_assert_int_le(abs(kept - 2500), 150);
    oh_fini(&h);
}
END_TEST

START_TEST(dropout_refused) {
    static const float ratios[] = {1, -0.5f, NAN};
    struct oh h;
    oh_init(&h, "Dropout", 13, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(2));
    oh_input_of(&h, OX_FLOAT, 0, NULL, &ratios[_i]);
    oh_input_of(&h, OX_BOOL, 0, NULL, (uint8_t[]){1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "shape-mismatch");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_random");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, known_numbers, 0, 2);
    tcase_add_loop_test(tc, moments, 0, 2);
    tcase_add_test(tc, like_another);
    tcase_add_loop_test(tc, shape_refused, 0, 4);
    tcase_add_test(tc, bernoulli);
    tcase_add_test(tc, multinomial);
    tcase_add_loop_test(tc, multinomial_refused, 0, 5);
    tcase_add_loop_test(tc, dropout_trains, 0, 3);
    tcase_add_loop_test(tc, dropout_refused, 0, 3);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
