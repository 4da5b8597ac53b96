/* tests/unit/test_quant_search.c - finding what disturbs the outputs, and leaving it in float. */
#include "tests/unit/quant_harness.h"

#include "passes/quantize/quant_ranges.h"
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct quant_world w;

static void teardown(void) {
    quant_world_close(&w);
}

/* What b reads ranges over +-100, but only the small numbers matter in the end: the large ones are
 * cut off by Clip in float. The other branch is harmless. */
static const char *const culprit =
    "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,2,8,8] x) => (float[1,2,8,8] y)\n"
    "<float[2,2,1,1] w = {100,0,0,100}, float[2,2,1,1] v = {1,0,0,1}, float[2,2,1,1] u = "
    "{1,0,0,1},\n"
    " float low = {-1}, float high = {1}> {\n"
    "a = Conv(x, w) b = Conv(a, v) t = Tanh(b) c = Conv(x, u) y = Sub(t, c) }";

static void open(size_t samples) {
    quant_world_open(&w, culprit);
    quant_plan(&w);
    quant_samples(&w, samples);
    quant_calibrate(&w);
}

START_TEST(the_culprit_goes_to_float) {
    struct ox_qsearch_result r;
    open(3);
    struct ox_qsearch_options o = {.target_db = 60, .float_share = 0.7, .work = 1e9};
    ck_assert_int_eq(ox_qsearch(&r, &w.sim, &w.data, 3, &o), OX_OK);
    ck_assert_uint_ge(r.floated, 1);
    ck_assert_double_gt(r.after_db, r.before_db + 3);
    ck_assert_double_le(r.float_share, 0.7);
    ck_assert_double_gt(r.float_share, 0);
    ck_assert(!quant_qnode(&w, "a")->on || !quant_qnode(&w, "b")->on);
    ck_assert(quant_qnode(&w, "c")->on);
    const struct ox_qnode *off =
        quant_qnode(&w, "b")->on ? quant_qnode(&w, "a") : quant_qnode(&w, "b");
    ck_assert_str_eq(off->reason, "its rounding disturbs the outputs most");
}
END_TEST

START_TEST(nothing_goes_that_may_not) {
    struct ox_qsearch_result r;
    open(3);
    struct ox_qsearch_options o = {.target_db = 60, .float_share = 0, .work = 1e9};
    ck_assert_int_eq(ox_qsearch(&r, &w.sim, &w.data, 3, &o), OX_OK);
    ck_assert_uint_eq(r.floated, 0);
    ck_assert_double_eq(r.float_share, 0);
    ck_assert(quant_qnode(&w, "a")->on && quant_qnode(&w, "b")->on && quant_qnode(&w, "c")->on);
    ck_assert_double_eq_tol(r.after_db, r.before_db, 1e-9);
}
END_TEST

START_TEST(good_enough_is_left_alone) {
    struct ox_qsearch_result r;
    open(3);
    struct ox_qsearch_options o = {.target_db = 5, .float_share = 1, .work = 1e9};
    ck_assert_int_eq(ox_qsearch(&r, &w.sim, &w.data, 3, &o), OX_OK);
    ck_assert_double_gt(r.before_db, 5);
    ck_assert_uint_eq(r.floated, 0);
}
END_TEST

/* A budget that is too small for every unit alone: groups are measured, and the worst ones split.
 */
START_TEST(groups_find_it_too) {
    enum { LINKS = 20 };
    char text[4000];
    int n = snprintf(
        text, sizeof text,
        "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,2,8,8] x) => (float[1,2,8,8] y)\n"
        "<float[2,2,1,1] w = {100,0,0,100}, float[2,2,1,1] v = {1,0,0,1}> {\n"
        "a = Conv(x, w) b = Conv(a, v) t = Tanh(b) c0 = Relu(x)\n");
    for (int i = 1; i <= LINKS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "c%d = Conv(c%d, v) ", i, i - 1);
    snprintf(text + n, sizeof text - (size_t)n, "y = Sub(t, c%d) }", LINKS);
    struct ox_qsearch_result r;
    quant_world_open(&w, text);
    quant_plan(&w);
    quant_samples(&w, 8);
    quant_calibrate(&w);
    struct ox_qsearch_options o = {.target_db = 60, .float_share = 0.2, .work = 6 * w.sim.work};
    ck_assert_int_eq(ox_qsearch(&r, &w.sim, &w.data, 8, &o), OX_OK);
    ck_assert(!quant_qnode(&w, "a")->on || !quant_qnode(&w, "b")->on);
    ck_assert_double_gt(r.after_db, r.before_db + 3);
}
END_TEST

START_TEST(the_output_says_which_range) {
    /* One number a sample is large, and saturates: least square error would make room for it. */
    quant_world_open(&w, "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,1,64,64] x) => "
                         "(float[1,1,64,64] y)\n"
                         "<float[1,1,1,1] w = {1}> { a = Conv(x, w) y = Tanh(a) }");
    quant_plan(&w);
    w.plan->options.percentile = 99;
    quant_samples(&w, 2);
    w.samples[100] = w.samples[4096 + 2000] = 100;
    quant_calibrate(&w);
    const struct ox_value *a = quant_value(&w, "a");
    struct ox_range mse;
    ck_assert_int_eq(ox_qstats_range(&mse, w.plan, a->id, OX_CALIB_MSE), OX_OK);
    ck_assert_float_gt(mse.max, 50);
    ck_assert_int_eq(ox_qranges_choose(&w.sim, &w.data, 2, 1e9), OX_OK);
    ck_assert_int_ne(w.plan->values[a->id].calibrator, OX_CALIB_MSE);
    ck_assert_int_ne(w.plan->values[a->id].calibrator, OX_CALIB_MINMAX);
    ck_assert_float_lt(w.plan->values[a->id].range.max, 10);
    ck_assert(w.plan->values[a->id].param.scale < 0.1f);
}
END_TEST

START_TEST(without_budget_one_calibrator_serves_all) {
    open(2);
    ck_assert_int_eq(ox_qranges_choose(&w.sim, &w.data, 2, 0), OX_OK);
    ck_assert_int_eq(quant_qvalue(&w, "a")->calibrator, quant_qvalue(&w, "c")->calibrator);
    ck_assert_int_eq(quant_qvalue(&w, "a")->calibrator, quant_qvalue(&w, "x")->calibrator);
    ck_assert(quant_qvalue(&w, "a")->param.scale > 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_search");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, the_culprit_goes_to_float);
    tcase_add_test(t, nothing_goes_that_may_not);
    tcase_add_test(t, good_enough_is_left_alone);
    tcase_add_test(t, groups_find_it_too);
    tcase_add_test(t, the_output_says_which_range);
    tcase_add_test(t, without_budget_one_calibrator_serves_all);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
