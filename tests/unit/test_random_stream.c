/* tests/unit/test_random_stream.c - random nodes without a seed: each has numbers of its own,
 * others each time a body runs, and all of them again in the next run. */
#include "ir/ir.h"
#include "ir/text/text.h"
#include <check.h>
#include <stdlib.h>

static const char model_text[] =
    "<ir_version: 8, opset_import: [\"\" : 17]> m () => (float[3] a, float[3] b, float[4,3] c) {"
    "  n = Constant<value_int = 4>()"
    "  a = RandomUniform<shape = [3]>()"
    "  c = Loop<body = g (int64 i, bool k) => (bool k2, float[3] r) { k2 = Identity(k)  r = "
    "RandomUniform<shape = [3]>() }>(n)"
    "  b = RandomUniform<shape = [3]>()"
    "}";

START_TEST(streams) {
    ox_ctx *ctx;
    struct ox_model *model;
    struct ox_runner runner;
    ox_tensor *first[3], *again[3];
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    ck_assert_int_eq(ox_text_parse(&model, ctx, model_text, sizeof model_text - 1, NULL), OX_OK);
    ck_assert_int_eq(ox_exec_new(&runner, model), OX_OK);
    ck_assert_int_eq(runner.run(runner.self, NULL, first, NULL, NULL), OX_OK);
    ck_assert_int_eq(runner.run(runner.self, NULL, again, NULL, NULL), OX_OK);
    float all[18]; /* six times three numbers, no two alike */
    for (size_t i = 0, at = 0; i < 3; at += first[i++]->count) {
        ck_assert(ox_tensor_equal(first[i], again[i]));
        memcpy(all + at, first[i]->data, first[i]->size);
    }
    for (int i = 0; i < 18; i++)
        for (int k = 0; k < i; k++)
            ck_assert(all[i] != all[k]);
    for (size_t i = 0; i < 3; i++)
        ox_tensor_unref(first[i]), ox_tensor_unref(again[i]);
    runner.free(runner.self);
    ox_model_free(model);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

int main(void) {
    Suite *s = suite_create("random_stream");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, streams);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
