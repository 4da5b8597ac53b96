/* tests/unit/test_quant_bias.c - the mean error of rounded weights goes into the bias. */
#include "tests/unit/quant_harness.h"

#include "passes/quantize/quant_bias.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct quant_world w;

static void teardown(void) {
    quant_world_close(&w);
}

static void calibrate(const char *text, float mean) {
    quant_world_open(&w, text);
    ck_assert_int_eq(ox_qbias_prepare(w.model), OX_OK);
    ck_assert_int_eq(ox_model_infer(w.model, NULL), OX_OK);
    quant_plan(&w);
    quant_samples(&w, 4);
    for (size_t i = 0; i < 4 * w.size; i++)
        w.samples[i] += mean;
    quant_calibrate(&w);
    ck_assert_int_eq(ox_qbias_correct(w.plan), OX_OK);
}

static double mean_of(size_t channel, size_t channels) {
    size_t each = w.size / channels;
    double sum = 0;
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < each; i++)
            sum += w.samples[k * w.size + channel * each + i];
    return sum / (double)(4 * each);
}

static const char *const conv =
    "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,2,4,4] x) => (float[1,2,4,4] y)\n"
    "<float[2,2,1,1] w = {1, 0.3337, -0.77, 2.001}, float[2] b = {0.5, -0.5}> { y = Conv(x, w, b) "
    "}";

START_TEST(expected_outputs_stay) {
    static const float weights[4] = {1, 0.3337f, -0.77f, 2.001f}, biases[2] = {0.5f, -0.5f};
    float rounded[4];
    calibrate(conv, 3);
    const struct ox_qnode *q = quant_qnode(&w, "y");
    ck_assert_ptr_nonnull(q->bias);
    ox_qweight_apply(w.ctx, &q->weight, weights, NULL, rounded);
    for (size_t c = 0; c < 2; c++) {
        double shift = 0;
        for (size_t i = 0; i < 2; i++)
            shift += ((double)rounded[c * 2 + i] - weights[c * 2 + i]) * mean_of(i, 2);
        ck_assert_double_gt(fabs(shift), 1e-5);
        ck_assert_double_eq_tol(q->bias[c], biases[c] - shift, 1e-6);
    }
}
END_TEST

START_TEST(taps_on_padding_count_less) {
    /* a kernel of 3 with a pad of 1 at both ends of 4 columns: outer taps see data at 3 of 4 */
    calibrate(
        "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,1,1,4] x) => (float[1,1,1,4] y)\n"
        "<float[1,1,1,3] w = {1, 0.3337, 0.1234}, float[1] b = {0}> {\n"
        "y = Conv<pads=[0,1,0,1]>(x, w, b) }",
        5);
    static const float weights[3] = {1, 0.3337f, 0.1234f};
    static const double part[3] = {0.75, 1, 0.75};
    float rounded[3];
    const struct ox_qnode *q = quant_qnode(&w, "y");
    ox_qweight_apply(w.ctx, &q->weight, weights, NULL, rounded);
    double shift = 0;
    for (size_t i = 0; i < 3; i++)
        shift += ((double)rounded[i] - weights[i]) * mean_of(0, 1) * part[i];
    ck_assert_double_gt(fabs(shift), 1e-5);
    ck_assert_double_eq_tol(q->bias[0], -shift, 1e-6);
}
END_TEST

START_TEST(missing_biases_come_and_go) {
    quant_world_open(
        &w,
        "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,2,4,4] x) => (float[1,2,4,4] y, "
        "float[1,2,4,4] z)\n"
        "<float[2,2,1,1] w = {1,2,3,4}, float[2] b = {0,0}> { y = Conv(x, w) z = Conv(x, w, b) }");
    const struct ox_node *y = quant_value(&w, "y")->def, *z = quant_value(&w, "z")->def;
    ck_assert_int_eq(ox_qbias_prepare(w.model), OX_OK);
    const ox_tensor *b = ox_value_const(ox_node_in(y, 2));
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq(b->count, 2);
    ck_assert(((const float *)b->data)[0] == 0 && ((const float *)b->data)[1] == 0);
    ox_qbias_tidy(w.model);
    ck_assert_ptr_null(ox_node_in(y, 2));
    ck_assert_ptr_nonnull(ox_node_in(z, 2)); /* the model's own stays, zeros or not */
}
END_TEST

START_TEST(what_is_not_known_is_not_corrected) {
    quant_world_open(&w, conv);
    quant_plan(&w);
    ck_assert_int_eq(ox_qstats_weights(w.plan, false), OX_OK);
    ck_assert_int_eq(ox_qbias_correct(w.plan), OX_OK); /* no sample was seen */
    ck_assert_ptr_null(quant_qnode(&w, "y")->bias);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_bias");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, expected_outputs_stay);
    tcase_add_test(t, taps_on_padding_count_less);
    tcase_add_test(t, missing_biases_come_and_go);
    tcase_add_test(t, what_is_not_known_is_not_corrected);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
