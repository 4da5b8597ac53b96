/* tests/unit/test_function.c - model-local functions: running calls, types through them, recursion
 * and growth. */
#include "ir/ir.h"
#include <check.h>
#include <onnxopt/model.h>
#include <stdio.h>

static char last_id[64], last_text[700];
static ox_ctx *ctx;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    snprintf(last_id, sizeof last_id, "%s", d->id);
    snprintf(last_text, sizeof last_text, "%s", d->text);
}

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    last_id[0] = last_text[0] = 0;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static struct ox_model *parse(const char *text) {
    struct ox_model *m;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", last_text);
    return m;
}

#define HEAD "<ir_version: 10, opset_import: [\"\" : 22, \"my\" : 1]> g "
#define FUNCTION "<domain: \"my\", opset_import: [\"\" : 22, \"my\" : 1]> "

/* The only output for the only input {1, -2}. */
static void expect_run(struct ox_model *m, float first, float second) {
    struct ox_runner r;
    ox_tensor *x, *y;
    ck_assert_int_eq(ox_tensor_copy(&x, ctx, OX_FLOAT, 1, (int64_t[]){2}, (float[]){1, -2}, 8),
                     OX_OK);
    ck_assert_msg(ox_exec_new(&r, m) == OX_OK, "%s", last_text);
    const ox_tensor *in[] = {x};
    ck_assert_msg(r.run(r.self, in, &y, NULL, NULL) == OX_OK, "%s", last_text);
    const float *v = y->data;
    ck_assert_float_eq(v[0], first);
    ck_assert_float_eq(v[1], second);
    r.free(r.self);
    ox_tensor_unref(x);
    ox_tensor_unref(y);
}

START_TEST(calls_run_with_their_own_attributes) {
    struct ox_model *m = parse(
        HEAD
        "(float[2] x) => (y) { a = my.leak <by = 0.5> (x) b = my.leak (a) c = my.twice (b) y = Add "
        "(c, a) }" FUNCTION
        "leak <by : float = 0.25> (a) => (b) { b = LeakyRelu <alpha : float = @by> (a) }" FUNCTION
        "twice (a) => (c) { b = my.leak <by = 2.0> (a) c = Add (b, b) }");
    ck_assert_int_eq(ox_model_check(m), OX_OK);
    expect_run(m, 3, -2); /* -2: -1, -0.25, -0.5, -1 in sum with -1 */
    ox_model_free(m);
}
END_TEST

/* The call of a function that has been changed is not what it was. */
START_TEST(changed_functions_run_changed) {
    struct ox_model *m = parse(HEAD "(float[2] x) => (y) { y = my.f (x) }" FUNCTION
                                    "f (a) => (b) { b = LeakyRelu <alpha = 0.5> (a) }");
    ck_assert_int_eq(ox_model_check(m), OX_OK);
    expect_run(m, 1, -1);
    ck_assert_int_eq(ox_node_set_float(ox_graph_begin(m->functions[0]->body), "alpha", 0.25f),
                     OX_OK);
    expect_run(m, 1, -0.5f);
    ox_model_free(m);
}
END_TEST

START_TEST(types_and_values_pass_through_calls) {
    struct ox_model *m = parse(
        HEAD "(float[N,6] x) => (y, z) { s = my.shape_of (x) y = Reshape (x, s) z = my.same (x) w "
             "= my.same (y) }" FUNCTION
             "shape_of (a) => (r) { s = Shape (a) two = Constant <value_ints = [2]> () half = Div "
             "(s, two) r = Concat <axis = 0> (s, two)"
             " zero = Constant <value_ints = [0]> () }" FUNCTION "same (a) => (b) { b = Neg (a) }");
    char text[100];
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    ox_type_print(text, sizeof text, m->graph->ret->in[0].value->type);
    ck_assert_str_eq(text, "float[N,6,2]");
    ox_type_print(text, sizeof text, m->graph->ret->in[1].value->type);
    ck_assert_str_eq(text, "float[N,6]");
    ox_model_free(m);
}
END_TEST

START_TEST(functions_have_opsets_of_their_own) {
    struct ox_model *m = parse(HEAD "(float[2] x) => (y) { y = my.old (x) }<domain: \"my\", "
                                    "opset_import: [\"\" : 9]> old (a) => (b) "
                                    "{ b = Clip <min = -1.5, max = 0.5> (a) }");
    ck_assert_int_eq(ox_model_check(m), OX_OK);
    expect_run(m, 0.5f, -1.5f);
    ox_model_free(m);
}
END_TEST

START_TEST(recursion_is_refused) {
    struct ox_model *m =
        parse(HEAD "(x) => (y) { y = my.f (x) }" FUNCTION "f (a) => (b) { b = my.g (a) }" FUNCTION
                   "g (a) => (b) { b = my.f (a) }");
    struct ox_runner r;
    ck_assert_int_eq(ox_model_verify(m), OX_INVALID);
    ck_assert_str_eq(last_id, "recursive-function");
    ck_assert_int_eq(ox_exec_new(&r, m), OX_INVALID);
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    ox_model_free(m);
}
END_TEST

/* Thirty functions that call the next one four times: 4^30 nodes. */
START_TEST(explosions_are_refused) {
    static char text[8000];
    size_t n = (size_t)snprintf(text, sizeof text,
                                HEAD "(float[2] x) => (y) { y = my.f0 (x) z = my.f0 (x) }");
    for (int i = 0; i < 30; i++)
        n += (size_t)snprintf(
            text + n, sizeof text - n,
            FUNCTION
            "f%d (a) => (e) { b = my.f%d (a) c = my.f%d (b) d = my.f%d (c) e = my.f%d (d) }",
            i, i + 1, i + 1, i + 1, i + 1);
    snprintf(text + n, sizeof text - n, FUNCTION "f30 (a) => (b) { b = Neg (a) }");
    struct ox_model *m = parse(text);
    struct ox_runner r;
    struct ox_expansion size;
    ck_assert_int_eq(ox_model_check(m), OX_OK);
    ck_assert_int_eq(ox_model_expanded(&size, m), OX_OK);
    ck_assert(!size.recursive && !size.fits && size.nodes > (size_t)1 << 60);
    ck_assert(!ox_node_removable(ox_graph_begin(m->graph)));
    ck_assert_int_eq(ox_exec_new(&r, m), OX_UNSUPPORTED);
    ck_assert_str_eq(last_id, "too-large");
    ox_model_free(m);
}
END_TEST

/* Calls in calls: each is one more to recur into. */
START_TEST(chains_have_an_end) {
    static char text[60000];
    struct ox_expansion size;
    int length = _i ? 1000 : 199;
    size_t n = (size_t)snprintf(text, sizeof text, HEAD "(float[2] x) => (y) { y = my.f0 (x) }");
    for (int i = 0; i < length - 1; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "<domain: \"my\"> f%d (a) => (b) { b = my.f%d (a) }", i, i + 1);
    snprintf(text + n, sizeof text - n, FUNCTION "f%d (a) => (b) { b = Neg (a) }", length - 1);
    struct ox_model *m = parse(text);
    ck_assert_int_eq(ox_model_check(m), OX_OK);
    ck_assert_int_eq(ox_model_expanded(&size, m), OX_OK);
    ck_assert_int_eq(size.fits, !_i);
    if (size.fits) expect_run(m, -1, 2);
    ox_model_free(m);
}
END_TEST

START_TEST(wrong_calls_are_refused) {
    struct ox_model *m = parse(HEAD "(float[2] x) => (y) { y = my.f (x, x) }" FUNCTION
                                    "f (a) => (b) { b = Neg (a) }");
    struct ox_runner r;
    ck_assert_int_eq(ox_exec_new(&r, m), OX_INVALID);
    ck_assert_str_eq(last_id, "wrong-arity");
    ox_model_free(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("function");
    TCase *t = tcase_create("function");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, calls_run_with_their_own_attributes);
    tcase_add_test(t, changed_functions_run_changed);
    tcase_add_test(t, types_and_values_pass_through_calls);
    tcase_add_test(t, functions_have_opsets_of_their_own);
    tcase_add_test(t, recursion_is_refused);
    tcase_add_test(t, explosions_are_refused);
    tcase_add_loop_test(t, chains_have_an_end, 0, 2);
    tcase_add_test(t, wrong_calls_are_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
