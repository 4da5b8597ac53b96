/* tests/unit/test_quant_plan.c - roles, what follows from which nodes are wanted, shared scales. */
#include "tests/unit/quant_harness.h"

#include <check.h>
#include <stdlib.h>

static struct quant_world w;

static void teardown(void) {
    quant_world_close(&w);
}

static void open_and_calibrate(const char *text) {
    quant_world_open(&w, text);
    quant_plan(&w);
    quant_samples(&w, 2);
    quant_calibrate(&w);
}

static const char *const chain =
    "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,1,4,4] x) => (float[1,1,4,4] y)\n"
    "<float[2,1,1,1] w = {1, 2}, float[2] b = {0.5, -0.5}, float[1,2,1,1] v = {1, -1}> {\n"
    "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v) }";

START_TEST(clamps_join_what_they_follow) {
    open_and_calibrate(chain);
    ck_assert_int_eq(quant_qnode(&w, "a")->role, OX_QROLE_WEIGHT);
    ck_assert_int_eq(quant_qnode(&w, "r")->role, OX_QROLE_CLAMP);
    ck_assert_ptr_eq(quant_qnode(&w, "r")->part_of, quant_qnode(&w, "a"));
    ck_assert_ptr_eq(quant_qnode(&w, "a")->result, quant_value(&w, "r"));
    ck_assert(quant_qvalue(&w, "r")->made && !quant_qvalue(&w, "r")->read);
    ck_assert(!quant_qvalue(&w, "a")->made); /* inside the node: not rounded */
    ck_assert(quant_qvalue(&w, "x")->read && !quant_qvalue(&w, "x")->made);
    ck_assert_ptr_eq(ox_qplan_maker(w.plan, quant_value(&w, "r")), quant_qnode(&w, "a"));
    ck_assert_ptr_null(ox_qplan_maker(w.plan, quant_value(&w, "a")));
    ck_assert(quant_qvalue(&w, "r")->range.min == 0);
}
END_TEST

START_TEST(a_node_in_float_changes_its_neighbours) {
    open_and_calibrate(chain);
    quant_qnode(&w, "a")->wanted = false;
    ox_qplan_settle(w.plan);
    ck_assert(!quant_qnode(&w, "a")->on && quant_qnode(&w, "y")->on);
    ck_assert(!quant_qvalue(&w, "x")->read); /* nobody that is on reads it */
    ck_assert(quant_qvalue(&w, "r")->read && !quant_qvalue(&w, "r")->made);
    ck_assert(!quant_qnode(&w, "a")->weight_only);
    quant_qnode(&w, "a")->wanted = true;
    quant_qnode(&w, "y")->wanted = false;
    ox_qplan_settle(w.plan);
    ck_assert(quant_qnode(&w, "a")->on && !quant_qnode(&w, "y")->on);
    /* its data is int8 all the same, so its weight is stored as int8 */
    ck_assert(quant_qvalue(&w, "r")->made && quant_qnode(&w, "y")->weight_only);
}
END_TEST

START_TEST(last_products_give_float) {
    open_and_calibrate(
        "<ir_version: 8, opset_import: [\"\" : 13]> main (float[2,3] x) => (float[2,2] y)\n"
        "<float[3,4] w = {1,2,3,4,5,6,7,8,9,1,2,3}, float[4,2] v = {1,2,3,4,5,6,7,8}> {\n"
        "a = MatMul(x, w) y = MatMul(a, v) }");
    ck_assert(quant_qnode(&w, "a")->on && !quant_qnode(&w, "a")->float_out);
    ck_assert(quant_qnode(&w, "y")->on && quant_qnode(&w, "y")->float_out);
    ck_assert(!quant_qvalue(&w, "y")->made && quant_qvalue(&w, "a")->made);
    ck_assert(quant_qnode(&w, "y")->tail && !quant_qnode(&w, "a")->tail);
    /* [2,3] x [3,4]: 3 for each of 8 outputs */
    ck_assert_double_eq(quant_qnode(&w, "a")->macs, 24);
}
END_TEST

START_TEST(moved_and_joined_data_share_a_scale) {
    open_and_calibrate(
        "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,1,4,4] x) => (float[1,1,2,2] y)\n"
        "<float[1,1,1,1] w = {1}, float[1,1,1,1] u = {3}, float[1,2,1,1] v = {1, 1}> {\n"
        "a = Conv(x, w) b = Conv(x, u) c = Concat<axis=1>(a, b)\n"
        "p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c) y = Conv(p, v) }");
    uint32_t group = quant_qvalue(&w, "a")->group;
    ck_assert_uint_eq(quant_qvalue(&w, "b")->group, group);
    ck_assert_uint_eq(quant_qvalue(&w, "c")->group, group);
    ck_assert_uint_eq(quant_qvalue(&w, "p")->group, group);
    ck_assert_uint_ne(quant_qvalue(&w, "y")->group, group);
    ck_assert(quant_qvalue(&w, "a")->param.scale == quant_qvalue(&w, "p")->param.scale);
    size_t members = 0; /* each is in the list, once, ascending */
    for (uint32_t i = group; i != OX_QGROUP_END; i = w.plan->values[i].next, members++)
        ck_assert(w.plan->values[i].next == OX_QGROUP_END || w.plan->values[i].next > i);
    ck_assert_uint_eq(members, 4);
}
END_TEST

START_TEST(reasons_are_given) {
    open_and_calibrate("<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,2] x) => "
                       "(float[1,2] y, float[1,2] u)\n"
                       "<float[2,2] w = {1, inf, 3, 4}, float[2,2] z = {1, 2, 3, 4}> {\n"
                       "y = MatMul(x, w) u = Gemm<alpha=2.0>(x, z) }");
    ck_assert_int_eq(quant_qnode(&w, "y")->role, OX_QROLE_FLOAT);
    ck_assert_str_eq(quant_qnode(&w, "y")->reason, "a weight is not finite");
    ck_assert_str_eq(quant_qnode(&w, "u")->reason, "alpha or beta is not 1");
    ck_assert(!quant_qvalue(&w, "x")->read);
}
END_TEST

START_TEST(joined_outputs_are_judged_apart) {
    open_and_calibrate(
        "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,2] x) => (float[1,4] y)\n"
        "<float[2,2] w = {1, 2, 3, 4}> {\n"
        "a = MatMul(x, w) b = Sigmoid(a) c = Tanh(a) y = Concat<axis=1>(b, c) }");
    ck_assert_uint_eq(w.plan->n_leaves, 2);
    bool b = false, c = false;
    for (size_t i = 0; i < 2; i++) {
        b = b || w.plan->leaves[i] == quant_value(&w, "b");
        c = c || w.plan->leaves[i] == quant_value(&w, "c");
    }
    ck_assert(b && c);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_plan");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, clamps_join_what_they_follow);
    tcase_add_test(t, a_node_in_float_changes_its_neighbours);
    tcase_add_test(t, last_products_give_float);
    tcase_add_test(t, moved_and_joined_data_share_a_scale);
    tcase_add_test(t, reasons_are_given);
    tcase_add_test(t, joined_outputs_are_judged_apart);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
