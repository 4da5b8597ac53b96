/* tests/unit/test_op_qlinear.c - the QLinear forms of float operators against the formula in
 * double. */
#include "op_harness.h"

#include <math.h>

static double ref_add(double x, double y) {
    return x + y;
}
static double ref_mul(double x, double y) {
    return x * y;
}
static double ref_sigmoid(double x, double y) {
    return 1 / (1 + exp(-x)) + 0 * y;
}
static double ref_leaky(double x, double y) {
    return (x < 0 ? 0.25 * x : x) + 0 * y;
}

static const struct {
    const char *name;
    double (*reference)(double x, double y);
    int n_data;
} rows[] = {{"QLinearAdd", ref_add, 2},
            {"QLinearMul", ref_mul, 2},
            {"QLinearSigmoid", ref_sigmoid, 1},
            {"QLinearLeakyRelu", ref_leaky, 1}};

static void start(struct oh *h, int row) {
    oh_init(h, "Add", 1, 1);
    h->op = ox_op_find("com.microsoft", rows[row].name);
    ck_assert_ptr_nonnull(h->op);
    if (rows[row].reference == ref_leaky) oh_float(h, "alpha", 0.25f);
}

static int code(const ox_tensor *t, size_t i) {
    return t->dtype == OX_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

START_TEST(agrees_with_the_formula) {
    const int64_t dims[] = {4, 16}, row_dims[] = {16};
    const float scales[] = {0.05f, 0.03f, 0.04f};
    uint64_t seed = 21;
    for (int round = 0; round < 4; round++) {
        ox_dtype dtype = round % 2 ? OX_INT8 : OX_UINT8;
        bool with_zp = round < 2;
        int n = rows[_i].n_data, zp = with_zp ? (dtype == OX_INT8 ? -7 : 120) : 0;
        uint8_t zp_code = (uint8_t)zp;
        struct oh h;
        start(&h, _i);
        for (int k = 0; k <= n; k++) {
            if (k < n) {
                uint8_t *x = oh_input(&h, dtype, k ? 1 : 2, k ? row_dims : dims);
                for (size_t i = 0; i < h.in[h.n_in - 1]->count; i++)
                    x[i] = (uint8_t)oh_pick(&seed, 256);
            }
            oh_input_of(&h, OX_FLOAT, 0, NULL, &scales[k]);
            if (with_zp)
                oh_input_of(&h, dtype, 0, NULL, &zp_code);
            else if (k < n)
                oh_absent(&h);
        }
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", rows[_i].name, h.text);
        ck_assert_int_eq(h.out[0]->dtype, dtype);
        oh_expect_dims(&h, 0, 2, dims);
        for (size_t i = 0; i < 64; i++) {
            double x = (code(h.in[0], i) - zp) * (double)scales[0];
            double y = n > 1 ? (code(h.in[3], i % 16) - zp) * (double)scales[1] : 0;
            double z = rows[_i].reference(x, y) / (double)scales[n] + zp;
            double low = dtype == OX_INT8 ? -128 : 0;
            z = z < low ? low : z > low + 255 ? low + 255 : z;
            /* within half a step, and what float arithmetic adds to it at a tie */
            ck_assert_msg(fabs(code(h.out[0], i) - z) <= 0.5001,
                          "%s: element %zu is %d, expected %g", rows[_i].name, i, code(h.out[0], i),
                          z);
        }
        oh_fini(&h);
    }
}
END_TEST

START_TEST(contradictions_are_refused) {
    const float one = 1, zero = 0;
    const int64_t two[] = {2};
    for (int bad = 0; bad < 4; bad++) {
        struct oh h;
        start(&h, _i);
        int n = rows[_i].n_data;
        for (int k = 0; k < n; k++) {
            oh_input(&h, bad == 0 && k == n - 1 ? OX_FLOAT : OX_UINT8, 0, NULL);
            oh_input_of(&h, OX_FLOAT, 0, NULL, bad == 1 ? &zero : &one);
            oh_input(&h, OX_UINT8, bad == 2, two);
        }
        if (bad != 3) oh_input_of(&h, OX_FLOAT, 0, NULL, &one); /* 3: no scale of the output */
        ck_assert_msg(oh_eval(&h, 1) == OX_INVALID, "%s: %d", rows[_i].name, bad);
        const char *const ids[] = {"wrong-type", "bad-scale", "shape-mismatch", "missing-input"};
        ck_assert_str_eq(h.id, ids[bad]);
        oh_fini(&h);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_qlinear");
    TCase *tests = tcase_create("qlinear");
    tcase_add_loop_test(tests, agrees_with_the_formula, 0, 4);
    tcase_add_loop_test(tests, contradictions_are_refused, 0, 4);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
