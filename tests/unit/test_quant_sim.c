/* tests/unit/test_quant_sim.c - running a plan in float, and with some of its quantizers. */
#include "tests/unit/quant_harness.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct quant_world w;
static ox_tensor *input[1];

static void teardown(void) {
    ox_tensor_unref(input[0]);
    input[0] = NULL;
    quant_world_close(&w);
}

static void start(const char *text, bool calibrate) {
    quant_world_open(&w, text);
    quant_plan(&w);
    quant_samples(&w, 4);
    if (calibrate) quant_calibrate(&w);
    ck_assert_int_eq(w.data.sample(w.data.self, 1, input, NULL), OX_OK);
    ck_assert_int_eq(ox_qsim_float(&w.sim, (const ox_tensor *const *)input, true, NULL, NULL),
                     OX_OK);
}

static const char *const two =
    "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,1,5,4] x) => (float[1,1,5,4] y)\n"
    "<float[1,1,1,1] w = {1}, float[1,1,1,1] v = {0.7}> { a = Conv(x, w) y = Conv(a, v) }";

START_TEST(float_runs_compute_the_model) {
    start(two, false);
    const ox_tensor *y = w.sim.ref[quant_value(&w, "y")->id];
    ck_assert_uint_eq(y->count, 20);
    for (size_t i = 0; i < 20; i++)
        ck_assert(((const float *)y->data)[i] == w.samples[20 + i] * 0.7f);
    /* an element and a product for each output of each of two nodes */
    ck_assert_double_eq(w.sim.work, 40);
}
END_TEST

START_TEST(no_quantizer_no_noise) {
    start(two, true);
    double noise = 7;
    bool *values = calloc(w.plan->n_values, sizeof *values),
         *weights = calloc(w.plan->n_nodes, sizeof *weights);
    ck_assert_int_eq(ox_qsim_quant(&w.sim, &(struct ox_qmask){values, weights}, &noise, NULL, NULL),
                     OX_OK);
    ck_assert(noise == 0);
    free(values);
    free(weights);
}
END_TEST

START_TEST(one_quantizer_makes_its_own_noise) {
    start(two, true);
    double noise, expected = 0;
    bool *values = calloc(w.plan->n_values, sizeof *values),
         *weights = calloc(w.plan->n_nodes, sizeof *weights);
    const struct ox_value *a = quant_value(&w, "a");
    values[a->id] = true;
    ck_assert_int_eq(ox_qsim_quant(&w.sim, &(struct ox_qmask){values, weights}, &noise, NULL, NULL),
                     OX_OK);
    struct ox_qparam p = w.plan->values[a->id].param;
    for (size_t i = 0; i < 20; i++) {
        float x = w.samples[20 + i], q;
        ox_fake_quant(w.ctx, &q, &x, 1, p);
        double d = (double)(q * 0.7f) - x * 0.7f;
        expected += d * d;
    }
    ck_assert_double_gt(noise, 0);
    ck_assert_double_eq_tol(noise, expected, 1e-9);
    free(values);
    free(weights);
}
END_TEST

START_TEST(whole_plans_stay_within_half_a_step) {
    start(two, true);
    double noise, signal;
    ck_assert_int_eq(ox_qsim_quant(&w.sim, &(struct ox_qmask){0}, &noise, NULL, NULL), OX_OK);
    ox_qsim_signal(&w.sim, &signal);
    double step = quant_qvalue(&w, "x")->param.scale; /* three roundings of about this size */
    ck_assert_double_gt(noise, 0);
    ck_assert_double_lt(noise, 20 * step * step);
    ck_assert_double_gt(ox_decibels(signal, noise), 35);
}
END_TEST

START_TEST(signal_is_around_the_mean) {
    start(two, false);
    const float *y = w.sim.ref[quant_value(&w, "y")->id]->data;
    double mean = 0, sum = 0, signal;
    for (int i = 0; i < 20; i++)
        mean += y[i] / 20.0;
    for (int i = 0; i < 20; i++)
        sum += (y[i] - mean) * (y[i] - mean);
    ox_qsim_signal(&w.sim, &signal);
    ck_assert_double_eq_tol(signal, sum, 1e-5);
}
END_TEST

START_TEST(what_cannot_run_is_left_out) {
    start("<ir_version: 8, opset_import: [\"\" : 13, \"far\" : 1]> main (float[1,2] x) => "
          "(float[1,2] y, float[1,2] z)\n"
          "<float[2,2] w = {1, 2, 3, 4}> { y = MatMul(x, w) u = far.Odd(x) z = Relu(u) }",
          true);
    ck_assert(quant_qnode(&w, "y")->on);
    ck_assert_ptr_nonnull(w.sim.ref[quant_value(&w, "y")->id]);
    ck_assert_ptr_null(w.sim.ref[quant_value(&w, "z")->id]);
    ck_assert(!quant_qvalue(&w, "z")->seen);
}
END_TEST

START_TEST(decibels_end_somewhere) {
    start(two, false);
    ck_assert_double_eq_tol(ox_decibels(100, 1), 20, 1e-12);
    ck_assert_double_eq(ox_decibels(1, 0), 200);
    ck_assert_double_eq(ox_decibels(0, 0), 200);
    ck_assert_double_eq(ox_decibels(0, 1), -200);
    ck_assert(isnan(ox_decibels(NAN, 0)));
}
END_TEST

START_TEST(costs_of_products_are_their_depth) {
    start("<ir_version: 8, opset_import: [\"\" : 13]> main (float[2,3,4] x) => (float[2,3,3] y, "
          "float[2,3,5] z)\n"
          "<float[4,5] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2}> {\n"
          "t = Transpose<perm=[0,2,1]>(x) y = MatMul(x, t) z = MatMul(x, w) }",
          false);
    ck_assert_double_eq(w.sim.work, 24 + 18 * 4 + 30 * 4);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_sim");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, float_runs_compute_the_model);
    tcase_add_test(t, no_quantizer_no_noise);
    tcase_add_test(t, one_quantizer_makes_its_own_noise);
    tcase_add_test(t, whole_plans_stay_within_half_a_step);
    tcase_add_test(t, signal_is_around_the_mean);
    tcase_add_test(t, what_cannot_run_is_left_out);
    tcase_add_test(t, decibels_end_somewhere);
    tcase_add_test(t, costs_of_products_are_their_depth);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
