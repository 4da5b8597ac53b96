/* tests/unit/test_pick.c - operators that only choose elements do so for every type; arithmetic
 * that a type has not is refused. */
#include "op_harness.h"
#include <stdlib.h>
#include <string.h>

static void strings(struct oh *h, int rank, const int64_t *dims, const char *const *text) {
    struct ox_str s[8];
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    for (size_t i = 0; i < n; i++)
        s[i] = (struct ox_str){text[i], strlen(text[i])};
    ck_assert_int_eq(ox_tensor_strings(&h->in[h->n_in++], h->ctx, rank, dims, s), OX_OK);
}

static void expect_string(const struct oh *h, size_t i, const char *text) {
    const struct ox_str *s = (const struct ox_str *)h->out[0]->data + i;
    ck_assert_uint_eq(s->len, strlen(text));
    ck_assert(memcmp(s->ptr, text, s->len) == 0);
}

START_TEST(the_nearest_string) {
    struct oh h;
    oh_init(&h, "Resize", 19, 1);
    oh_string(&h, "mode", "nearest");
    strings(&h, OH_DIMS(2), (const char *const[]){"left", "right"});
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 1, (int64_t[]){4});
    expect_string(&h, 0, "left");
    expect_string(&h, 1, "left");
    expect_string(&h, 3, "right");
    oh_fini(&h);
}
END_TEST

START_TEST(half_a_string) {
    struct oh h;
    oh_init(&h, "Resize", 19, 1);
    oh_string(&h, "mode", "linear");
    strings(&h, OH_DIMS(2), (const char *const[]){"left", "right"});
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_UNSUPPORTED);
    ck_assert_str_eq(h.id, "no-arithmetic");
    oh_fini(&h);
}
END_TEST

START_TEST(a_grid_of_strings) {
    struct oh h;
    oh_init(&h, "GridSample", 20, 1);
    oh_string(&h, "mode", "nearest");
    oh_int(&h, "align_corners", 1);
    strings(&h, OH_DIMS(1, 1, 2, 2), (const char *const[]){"a", "b", "c", "d"});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 3, 2), (float[]){1, -1, -1, 1, 5, 5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    expect_string(&h, 0, "b");
    expect_string(&h, 1, "c");
    expect_string(&h, 2, ""); /* outside, padded with zeros */
    oh_fini(&h);
}
END_TEST

START_TEST(a_grid_of_integers) {
    struct oh h;
    oh_init(&h, "GridSample", 20, 1);
    oh_int(&h, "align_corners", 1);
    oh_input_of(&h, OX_INT32, OH_DIMS(1, 1, 1, 2), (int32_t[]){-3, 0});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1, 2), (float[]){0, 0});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, -1); /* -1.5 cut off */
    oh_fini(&h);
}
END_TEST

START_TEST(integers_scaled_by_floats) {
    struct oh h;
    oh_init(&h, "Gemm", 13, 1);
    oh_float(&h, "alpha", 0.5f);
    oh_float(&h, "beta", 0.25f);
    oh_input_of(&h, OX_INT32, OH_DIMS(1, 2), (int32_t[]){1, 2});
    oh_input_of(&h, OX_INT32, OH_DIMS(2, 1), (int32_t[]){3, 4});
    oh_input_of(&h, OX_INT32, OH_DIMS(1), (int32_t[]){5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, 6); /* 5.5 + 1.25 cut off */
    oh_fini(&h);
}
END_TEST

START_TEST(a_product_of_float8) {
    struct oh h;
    oh_init(&h, "QLinearMatMul", 21, 1);
    const uint8_t one = 0x38, two = 0x40, zero = 0; /* 1, 2, 0 as float8e4m3fn */
    oh_input_of(&h, OX_FLOAT8E4M3FN, OH_DIMS(1, 2), (uint8_t[]){one, two});
    oh_input_of(&h, OX_FLOAT, 0, NULL, (float[]){0.5f});
    oh_input_of(&h, OX_FLOAT8E4M3FN, 0, NULL, &zero);
    oh_input_of(&h, OX_FLOAT8E4M3FN, OH_DIMS(2, 1), (uint8_t[]){two, one});
    oh_input_of(&h, OX_FLOAT, 0, NULL, (float[]){2});
    oh_input_of(&h, OX_FLOAT8E4M3FN, 0, NULL, &zero);
    oh_input_of(&h, OX_FLOAT, 0, NULL, (float[]){2});
    oh_input_of(&h, OX_FLOAT8E4M3FN, 0, NULL, &zero);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(*(const uint8_t *)h.out[0]->data, two); /* (0.5 * 4 + 1 * 2) / 2 */
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("pick");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, the_nearest_string);
    tcase_add_test(tc, half_a_string);
    tcase_add_test(tc, a_grid_of_strings);
    tcase_add_test(tc, a_grid_of_integers);
    tcase_add_test(tc, integers_scaled_by_floats);
    tcase_add_test(tc, a_product_of_float8);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
