/* tests/unit/test_type.c - types of values: text, counts, merging. */
#include "ir/base/type.h"
#include <check.h>
#include <stdlib.h>

static ox_ctx *ctx;
static struct ox_names names;
static struct ox_dims dims;
static struct ox_arena arena;

static void setup(void) {
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    ox_names_init(&names, ctx);
    ox_dims_init(&dims, ctx);
    ox_arena_init(&arena, ctx);
}

static void teardown(void) {
    ox_arena_fini(&arena);
    ox_dims_fini(&dims);
    ox_names_fini(&names);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static ox_dim sym(const char *text) {
    ox_name name;
    ox_dim d;
    ck_assert_int_eq(ox_name_get(&name, &names, text, strlen(text)), OX_OK);
    ck_assert_int_eq(ox_dim_symbol(&d, &dims, name), OX_OK);
    return d;
}

static ox_dim unknown(void) {
    ox_dim d;
    ck_assert_int_eq(ox_dim_unknown(&d, &dims), OX_OK);
    return d;
}

static const struct ox_type *tensor(ox_dtype dtype, int rank, ox_dim a, ox_dim b) {
    const struct ox_type *t;
    ox_dim d[2] = {a, b};
    ck_assert_int_eq(ox_type_tensor(&t, &arena, dtype, rank, d), OX_OK);
    return t;
}

static ox_dim num(int64_t k) {
    return ox_dim_const(k);
}

static void assert_text(const struct ox_type *t, const char *expected) {
    char buf[100];
    ck_assert_uint_eq(ox_type_print(buf, sizeof buf, t), strlen(expected));
    ck_assert_str_eq(buf, expected);
    for (size_t size = 1; size < strlen(expected); size++) { /* cut anywhere */
        char small[100];
        memset(small, 'x', sizeof small);
        ck_assert_uint_eq(ox_type_print(small, size, t), strlen(expected));
        ck_assert_int_eq(strncmp(small, expected, size - 1), 0);
        ck_assert_int_eq(small[size - 1], 0);
        ck_assert_int_eq(small[size], 'x');
    }
}

START_TEST(text_is_that_of_the_onnx_text_form) {
    const struct ox_type *t = tensor(OX_FLOAT, 2, sym("N"), num(224));
    struct ox_type seq = {.kind = OX_TYPE_SEQUENCE, .elem = t},
                   opt = {.kind = OX_TYPE_OPTIONAL, .elem = &seq};
    struct ox_type map = {.kind = OX_TYPE_MAP, .dtype = OX_STRING, .elem = t}, sparse = *t;
    sparse.kind = OX_TYPE_SPARSE;
    assert_text(t, "float[N,224]");
    assert_text(tensor(OX_INT64, 0, num(0), num(0)), "int64");
    assert_text(tensor(OX_BFLOAT16, -1, num(0), num(0)), "bfloat16[]");
    assert_text(&seq, "seq(float[N,224])");
    assert_text(&opt, "optional(seq(float[N,224]))");
    assert_text(&map, "map(string, float[N,224])");
    assert_text(&sparse, "sparse_tensor(float[N,224])");
    assert_text(NULL, "?");
}
END_TEST

START_TEST(counts) {
    ck_assert_int_eq(ox_type_count(tensor(OX_FLOAT, 2, num(3), num(4))), 12);
    ck_assert_int_eq(ox_type_count(tensor(OX_FLOAT, 0, num(3), num(4))), 1);
    ck_assert_int_eq(ox_type_count(tensor(OX_FLOAT, 2, num(INT64_MAX), num(0))), 0);
    ck_assert_int_eq(ox_type_count(tensor(OX_FLOAT, 2, num(INT64_MAX), num(3))), -1);
    ck_assert_int_eq(ox_type_count(tensor(OX_FLOAT, 2, sym("N"), num(0))), -1);
    ck_assert_int_eq(ox_type_count(tensor(OX_FLOAT, -1, num(0), num(0))), -1);
    ck_assert_int_eq(ox_type_count(NULL), -1);
    ck_assert(ox_type_is_static(tensor(OX_FLOAT, 1, num(1), num(1))));
    ck_assert(!ox_type_is_static(tensor(OX_FLOAT, 1, sym("N"), num(1))));
    ox_tensor *t;
    int64_t shape[2] = {2, 5};
    const struct ox_type *type;
    ck_assert_int_eq(ox_tensor_new(&t, NULL, ctx, OX_INT8, 2, shape), OX_OK);
    ck_assert_int_eq(ox_type_of(&type, &arena, t), OX_OK);
    ck_assert(ox_type_same(type, tensor(OX_INT8, 2, num(2), num(5))));
    ox_tensor_unref(t);
}
END_TEST

static const struct ox_type *merge(const struct ox_type *a, const struct ox_type *b,
                                   bool expect_conflict) {
    const struct ox_type *t;
    bool conflict = !expect_conflict;
    ck_assert_int_eq(ox_type_merge(&t, &conflict, &arena, a, b), OX_OK);
    ck_assert_int_eq(conflict, expect_conflict);
    if (conflict) ck_assert_ptr_eq(t, a);
    return t;
}

START_TEST(merging_takes_the_more_precise) {
    ox_dim n = sym("N"), u = unknown();
    const struct ox_type *a = tensor(OX_FLOAT, 2, n, num(4)), *b = tensor(OX_FLOAT, 2, num(7), u);
    const struct ox_type *open = tensor(OX_UNDEFINED, -1, n, n),
                         *c = tensor(OX_FLOAT, 2, unknown(), unknown());
    assert_text(merge(a, b, false), "float[7,4]");
    assert_text(merge(b, a, false), "float[7,4]");
    assert_text(merge(c, a, false), "float[N,4]");
    assert_text(merge(a, tensor(OX_FLOAT, 2, sym("M"), num(4)), false), "float[N,4]");
    ck_assert(ox_type_same(merge(open, a, false), a));
    ck_assert(ox_type_same(merge(a, open, false), a));
    ck_assert_ptr_eq(merge(NULL, a, false), a);
    ck_assert_ptr_eq(merge(a, NULL, false), a);
    ck_assert_ptr_null(merge(NULL, NULL, false));
    (void)merge(a, tensor(OX_DOUBLE, 2, n, num(4)), true);
    (void)merge(a, tensor(OX_FLOAT, 1, n, num(4)), true);
    (void)merge(a, tensor(OX_FLOAT, 2, n, num(5)), true);
    (void)merge(a, tensor(OX_FLOAT, 2, num(-1), num(4)), true); /* N is never negative */
    struct ox_type sa = {.kind = OX_TYPE_SEQUENCE, .elem = a},
                   sb = {.kind = OX_TYPE_SEQUENCE, .elem = b};
    struct ox_type none = {.kind = OX_TYPE_SEQUENCE};
    assert_text(merge(&sa, &sb, false), "seq(float[7,4])");
    assert_text(merge(&none, &sb, false), "seq(float[7,?0])");
    (void)merge(&sa, a, true);
    struct ox_type sc = {.kind = OX_TYPE_SEQUENCE, .elem = tensor(OX_INT8, 0, n, n)};
    (void)merge(&sa, &sc, true);
}
END_TEST

int main(void) {
    Suite *s = suite_create("type");
    TCase *t = tcase_create("type");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, text_is_that_of_the_onnx_text_form);
    tcase_add_test(t, counts);
    tcase_add_test(t, merging_takes_the_more_precise);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
