/* tests/unit/test_op_select.c - Clip, Where, Max, Mean, Min, Sum, Identity and Dropout. */
#include "ir/base/bytes.h"
#include "op_harness.h"

#include <math.h>

/* ---- Clip ------------------------------------------------------------------------------------ */

START_TEST(clip_of_floats) {
    const float x[] = {-2, -1, 0, 1, 2, INFINITY, -INFINITY, NAN}, low = -1, high = 1.5f;
    const int64_t dims[] = {8};
    const double both[] = {-1, -1, 0, 1, 1.5, 1.5, -1, NAN};
    const double below[] = {-1, -1, 0, 1, 2, INFINITY, -1, NAN};
    const double above[] = {-2, -1, 0, 1, 1.5, 1.5, -INFINITY, NAN};
    const double none[] = {-2, -1, 0, 1, 2, INFINITY, -INFINITY, NAN};
    for (int form = 0; form < 8; form++) {
        struct oh h;
        bool has_low = form & 1, has_high = form & 2, attributes = form & 4;
        oh_init(&h, "Clip", attributes ? 6 : 13, 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        if (attributes) {
            if (has_low) oh_float(&h, "min", low);
            if (has_high) oh_float(&h, "max", high);
        } else if (has_low || has_high) {
            if (has_low)
                oh_input_of(&h, OX_FLOAT, 0, NULL, &low);
            else
                oh_absent(&h);
            if (has_high) oh_input_of(&h, OX_FLOAT, 0, NULL, &high);
        }
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        oh_expect_floats(&h, 0, 8,
                         has_low    ? (has_high ? both : below)
                         : has_high ? above
                                    : none,
                         0);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(clip_with_crossed_bounds_gives_the_upper_one) {
    const float x[] = {-2, 0, 5}, low = 3, high = 1;
    const int64_t dims[] = {3};
    const double want[] = {1, 1, 1};
    struct oh h;
    oh_init(&h, "Clip", 13, 1);
    oh_input_of(&h, OX_FLOAT, 1, dims, x);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &low);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &high);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 3, want, 0);
    oh_fini(&h);
}
END_TEST

#define CLIP_INTS(T, type, lowest, highest)                                                        \
    do {                                                                                           \
        const T x[] = {lowest, 3, 9, highest}, low = 4, high = 8;                                  \
        const int64_t dims[] = {4};                                                                \
        for (int form = 0; form < 3; form++) {                                                     \
            const T want[3][4] = {{lowest, 3, 9, highest}, {4, 4, 9, highest}, {4, 4, 8, 8}};      \
            struct oh h;                                                                           \
            oh_init(&h, "Clip", 12, 1);                                                            \
            oh_input_of(&h, type, 1, dims, x);                                                     \
            if (form > 0) oh_input_of(&h, type, 0, NULL, &low);                                    \
            if (form > 1) oh_input_of(&h, type, 0, NULL, &high);                                   \
            ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);                                  \
            ck_assert_mem_eq(h.out[0]->data, want[form], sizeof want[form]);                       \
            oh_fini(&h);                                                                           \
        }                                                                                          \
    } while (0)

START_TEST(clip_of_integers) {
    CLIP_INTS(int8_t, OX_INT8, INT8_MIN, INT8_MAX);
    CLIP_INTS(int16_t, OX_INT16, INT16_MIN, INT16_MAX);
    CLIP_INTS(int32_t, OX_INT32, INT32_MIN, INT32_MAX);
    CLIP_INTS(int64_t, OX_INT64, INT64_MIN, INT64_MAX);
    CLIP_INTS(uint8_t, OX_UINT8, 0, UINT8_MAX);
    CLIP_INTS(uint16_t, OX_UINT16, 0, UINT16_MAX);
    CLIP_INTS(uint32_t, OX_UINT32, 0, UINT32_MAX);
    CLIP_INTS(uint64_t, OX_UINT64, 0, UINT64_MAX);
}
END_TEST

START_TEST(clip_of_halves_and_doubles) {
    const uint16_t x[] = {0xc000, 0x3c00, 0x7bff, 0x7c00}, high = 0x4000; /* -2, 1, 65504, inf; 2 */
    const uint16_t want[] = {0xc000, 0x3c00, 0x4000, 0x4000};
    const double d[] = {-2, 1, 1e300, INFINITY}, top = 2, want_d[] = {-2, 1, 2, 2};
    const int64_t dims[] = {4};
    struct oh h;
    oh_init(&h, "Clip", 13, 1);
    oh_input_of(&h, OX_FLOAT16, 1, dims, x);
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &high);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_mem_eq(h.out[0]->data, want, sizeof want);
    oh_fini(&h);
    oh_init(&h, "Clip", 13, 1);
    oh_input_of(&h, OX_DOUBLE, 1, dims, d);
    oh_absent(&h);
    oh_input_of(&h, OX_DOUBLE, 0, NULL, &top);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_mem_eq(h.out[0]->data, want_d, sizeof want_d);
    oh_fini(&h);
}
END_TEST

START_TEST(clip_refuses_bad_bounds) {
    const int64_t dims[] = {4}, two[] = {2};
    struct oh h;
    oh_init(&h, "Clip", 13, 1);
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_input(&h, OX_FLOAT, 1, two);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "bound (input 1) of Clip is [2], expected one element");
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "Clip", 13, 1);
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_input(&h, OX_DOUBLE, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-type");
    oh_fini(&h);
}
END_TEST

/* ---- Where ----------------------------------------------------------------------------------- */

static size_t element_at(const ox_tensor *t, int rank, const int64_t *dims, size_t k) {
    size_t index = 0, step = 1;
    for (int d = rank - 1; d >= 0; d--) {
        size_t at = k % (size_t)dims[d];
        k /= (size_t)dims[d];
        int own = d - (rank - t->rank);
        if (own < 0) continue;
        index += t->dims[own] == 1 ? 0 : at * step;
        step *= (size_t)t->dims[own];
    }
    return index;
}

/* Shapes of condition, x and y in all combinations of full, row, column and scalar; elements of 1
 * to 16 bytes. */
START_TEST(where_on_broadcast_shapes) {
    static const ox_dtype types[] = {OX_INT8,  OX_FLOAT16,    OX_FLOAT,
                                     OX_INT64, OX_COMPLEX128, OX_BOOL};
    const int64_t dims[] = {5, 40};
    const int64_t shapes[4][2] = {{5, 40}, {1, 40}, {5, 1}, {1, 1}};
    uint64_t seed = 8;
    for (int k = 0; k < 64; k++) {
        struct oh h;
        ox_dtype type = types[k % 6];
        size_t size = (size_t)ox_dtype_bits(type) / 8;
        oh_init(&h, "Where", 16, 1);
        uint8_t *c = oh_input(&h, OX_BOOL, 2, shapes[k % 4]);
        for (size_t i = 0; i < h.in[0]->count; i++)
            c[i] = (uint8_t)oh_pick(&seed, 2);
        for (int in = 1; in < 3; in++) {
            uint8_t *bytes = oh_input(&h, type, 2, shapes[(in == 1 ? k / 4 : k / 16) % 4]);
            for (size_t i = 0; i < h.in[in]->size; i++)
                bytes[i] = (uint8_t)(type == OX_BOOL ? in - 1 : (int)oh_pick(&seed, 256));
        }
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        const ox_tensor *z = h.out[0];
        for (size_t i = 0; i < z->count; i++) {
            const ox_tensor *from = h.in[c[element_at(h.in[0], 2, z->dims, i)] ? 1 : 2];
            const char *want = (const char *)from->data + element_at(from, 2, z->dims, i) * size;
            ck_assert_mem_eq((const char *)z->data + i * size, want, size);
        }
        if (k == 0) oh_expect_dims(&h, 0, 2, dims);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(where_of_strings) {
    const uint8_t c[] = {1, 0, 1};
    const int64_t dims[] = {3};
    const struct ox_str x[] = {{"yes", 3}}, y[] = {{"a", 1}, {"b", 1}, {"", 0}};
    struct oh h;
    oh_init(&h, "Where", 9, 1);
    oh_input_of(&h, OX_BOOL, 1, dims, c);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 0, NULL, x), OX_OK);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, dims, y), OX_OK);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    const struct ox_str *z = h.out[0]->data;
    ck_assert(z[0].len == 3 && memcmp(z[0].ptr, "yes", 3) == 0);
    ck_assert(z[1].len == 1 && z[1].ptr[0] == 'b');
    ck_assert(z[2].len == 3);
    oh_fini(&h);
}
END_TEST

START_TEST(where_refuses_other_conditions) {
    const int64_t dims[] = {3};
    struct oh h;
    oh_init(&h, "Where", 9, 1);
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_input(&h, OX_FLOAT, 1, dims);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "input 0 of Where is of type float, which the operator does not take");
    oh_fini(&h);
}
END_TEST

/* ---- Max, Mean, Min, Sum --------------------------------------------------------------------- */

START_TEST(variadic_of_three) {
    const float a[] = {1, 5, 3, 7}, b[] = {4, 2}, c = 3;
    const int64_t dims[] = {2, 2}, row[] = {2};
    const double max[] = {4, 5, 4, 7}, min[] = {1, 2, 3, 2}, sum[] = {8, 10, 10, 12};
    const double mean[] = {8 / 3.0, 10 / 3.0, 10 / 3.0, 4};
    const struct {
        const char *name;
        const double *want;
    } cases[] = {{"Max", max}, {"Min", min}, {"Sum", sum}, {"Mean", mean}};
    for (int k = 0; k < 4; k++) {
        struct oh h;
        oh_init(&h, cases[k].name, 13, 1);
        oh_input_of(&h, OX_FLOAT, 0, NULL, &c);
        oh_input_of(&h, OX_FLOAT, 2, dims, a);
        oh_input_of(&h, OX_FLOAT, 1, row, b);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        oh_expect_dims(&h, 0, 2, dims);
        oh_expect_floats(&h, 0, 4, cases[k].want, 1e-7);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(variadic_of_one_and_of_many) {
    const int64_t dims[] = {3};
    for (size_t n = 1; n <= 10; n += 9) {
        struct oh h;
        oh_init(&h, "Sum", 8, 1);
        for (size_t i = 0; i < n; i++) {
            float *x = oh_input(&h, OX_FLOAT, 1, dims);
            x[0] = 1;
            x[1] = (float)i;
            x[2] = -2;
        }
        const double want[] = {(double)n, (double)(n * (n - 1) / 2), -2.0 * (double)n};
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_floats(&h, 0, 3, want, 0);
        oh_fini(&h);
    }
}
END_TEST

/* Sums of halves are rounded once: 2048 + 1 + 1 is 2050, though 2048 + 1 rounds to 2048. */
START_TEST(variadic_of_halves) {
    const uint16_t big = 0x6800, small = 0x3c00;
    struct oh h;
    oh_init(&h, "Sum", 13, 1);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &big);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &small);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &small);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const uint16_t *)h.out[0]->data, 0x6801);
    oh_fini(&h);
    oh_init(&h, "Mean", 13, 1);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &small);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &small);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const uint16_t *)h.out[0]->data, 0x3c00);
    oh_fini(&h);
}
END_TEST

START_TEST(variadic_before_opset_8_does_not_broadcast) {
    const int64_t a[] = {2, 2}, b[] = {2}, c[] = {1, 2};
    const char *const names[] = {"Max", "Mean", "Min", "Sum"};
    for (int k = 0; k < 4; k++) {
        struct oh h;
        oh_init(&h, names[k], 6, 1);
        oh_input(&h, OX_FLOAT, 2, a);
        oh_input(&h, OX_FLOAT, 1, b);
        ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
        ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
        oh_fini(&h);
        oh_init(&h, names[k], 6, 1);
        oh_input(&h, OX_FLOAT, 2, a);
        oh_input(&h, OX_FLOAT, 2, c);
        ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(sum_refuses_integers) {
    struct oh h;
    oh_init(&h, "Sum", 13, 1);
    oh_input(&h, OX_INT32, 0, NULL);
    oh_input(&h, OX_INT32, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

/* ---- Identity and Dropout -------------------------------------------------------------------- */

START_TEST(identity_shares_its_input) {
    static const ox_dtype types[] = {OX_FLOAT, OX_INT4, OX_COMPLEX64, OX_BOOL, OX_FLOAT8E5M2};
    const int64_t dims[] = {3};
    for (int k = 0; k < 5; k++) {
        struct oh h;
        oh_init(&h, "Identity", 21, 1);
        oh_input(&h, types[k], 1, dims);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        ck_assert_ptr_eq(h.out[0], h.in[0]);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(dropout_drops_nothing_in_inference) {
    const float x[] = {1, 2, 3}, ratio = 0.5f;
    const uint8_t no = 0;
    const int64_t dims[] = {3};
    const double want[] = {1, 2, 3};
    static const int opsets[] = {6, 7, 10, 12, 13, 22};
    for (int k = 0; k < 6; k++) {
        struct oh h;
        oh_init(&h, "Dropout", opsets[k], 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        if (opsets[k] < 12)
            oh_float(&h, "ratio", 0.5f);
        else if (k % 2)
            oh_input_of(&h, OX_FLOAT, 0, NULL, &ratio);
        else
            oh_absent(&h);
        if (opsets[k] >= 12) oh_input_of(&h, OX_BOOL, 0, NULL, &no);
        ck_assert_msg(oh_eval(&h, 2) == OX_OK, "%s", h.text);
        oh_expect_floats(&h, 0, 3, want, 0);
        ck_assert_int_eq(h.out[1]->dtype, opsets[k] < 10 ? OX_FLOAT : OX_BOOL);
        for (size_t i = 0; i < 3; i++)
            if (opsets[k] < 10)
                ck_assert(((const float *)h.out[1]->data)[i] == 1);
            else
                ck_assert_int_eq(((const uint8_t *)h.out[1]->data)[i], 1);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(dropout_in_training) {
    const uint8_t yes = 1;
    const float none = 0, half = 0.5f;
    const int64_t dims[] = {3};
    struct oh h;
    oh_init(&h, "Dropout", 13, 1);
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &half);
    oh_input_of(&h, OX_BOOL, 0, NULL, &yes);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK); /* what it drops: test_op_random */
    ck_assert_int_eq(h.op->traits & (OX_PURE | OX_TRAINING), OX_TRAINING);
    oh_fini(&h);
    oh_init(&h, "Dropout", 13, 1); /* of nothing */
    oh_input(&h, OX_FLOAT, 1, dims);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &none);
    oh_input_of(&h, OX_BOOL, 0, NULL, &yes);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_select");
    TCase *tests = tcase_create("select");
    tcase_add_test(tests, clip_of_floats);
    tcase_add_test(tests, clip_with_crossed_bounds_gives_the_upper_one);
    tcase_add_test(tests, clip_of_integers);
    tcase_add_test(tests, clip_of_halves_and_doubles);
    tcase_add_test(tests, clip_refuses_bad_bounds);
    tcase_add_test(tests, where_on_broadcast_shapes);
    tcase_add_test(tests, where_of_strings);
    tcase_add_test(tests, where_refuses_other_conditions);
    tcase_add_test(tests, variadic_of_three);
    tcase_add_test(tests, variadic_of_one_and_of_many);
    tcase_add_test(tests, variadic_of_halves);
    tcase_add_test(tests, variadic_before_opset_8_does_not_broadcast);
    tcase_add_test(tests, sum_refuses_integers);
    tcase_add_test(tests, identity_shares_its_input);
    tcase_add_test(tests, dropout_drops_nothing_in_inference);
    tcase_add_test(tests, dropout_in_training);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
