/* tests/unit/test_op_unary.c - the unary family against plain double formulas, in every type. */
#include "ir/base/bytes.h"
#include "ir/ops/vmath.h"
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

/* ---- references: one element, attributes a and b --------------------------------------------- */

#define REF(name, value)                                                                           \
    static double ref_##name(double x, double a, double b) {                                       \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        return value;                                                                              \
    }
static double clamp01(double x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}
static double log1pexp(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
REF(Abs, fabs(x))
REF(Acos, acos(x))
REF(Acosh, acosh(x))
REF(Asin, asin(x))
REF(Asinh, asinh(x))
REF(Atan, atan(x))
REF(Atanh, atanh(x))
REF(Ceil, ceil(x))
REF(Celu, x > 0 ? x : a * expm1(x / a))
REF(Cos, cos(x))
REF(Cosh, cosh(x))
REF(Elu, x < 0 ? a * expm1(x) : x)
REF(Erf, erf(x))
REF(Exp, exp(x))
REF(Floor, floor(x))
REF(Gelu, 0.5 * x * (1 + erf(x / sqrt(2))))
REF(HardSigmoid, clamp01(a *x + b))
REF(HardSwish, x *clamp01(x / 6 + 0.5))
REF(IsInf, isinf(x) != 0)
REF(IsNaN, isnan(x) != 0)
REF(LeakyRelu, x < 0 ? a * x : x)
REF(Log, log(x))
REF(Mish, x *tanh(log1pexp(x)))
REF(Neg, -x)
REF(Reciprocal, 1 / x)
REF(Relu, x < 0 ? 0 : x)
REF(Round, nearbyint(x))
REF(Selu, x > 0 ? b * x : b * a * expm1(x))
REF(Shrink, x<-a ? x + b : x> a ? x - b : 0)
REF(Sigmoid, 1 / (1 + exp(-x)))
REF(Sign, x > 0 ? 1 : x < 0 ? -1 : x)
REF(Sin, sin(x))
REF(Sinh, sinh(x))
REF(Softplus, log1pexp(x))
REF(Softsign, x / (1 + fabs(x)))
REF(Sqrt, sqrt(x))
REF(Swish, x / (1 + exp(-a * x)))
REF(Tan, tan(x))
REF(Tanh, tanh(x))
REF(ThresholdedRelu, x > a ? x : 0)

struct row {
    const char *name;
    double (*reference)(double x, double a, double b);
    int opset;
    const char *alpha, *beta; /* attribute names */
    float a, b;               /* their defaults */
    double low, high;         /* where the numbers are drawn from */
};
#define R(name, opset)                                                                             \
    { #name, ref_##name, opset, NULL, NULL, 0, 0, -8, 8 }
#define A(name, opset, a)                                                                          \
    { #name, ref_##name, opset, "alpha", NULL, a, 0, -8, 8 }
static const struct row rows[] = {
    R(Abs, 13),
    {"Acos", ref_Acos, 7, NULL, NULL, 0, 0, -1, 1},
    {"Acosh", ref_Acosh, 9, NULL, NULL, 0, 0, 1, 9},
    {"Asin", ref_Asin, 7, NULL, NULL, 0, 0, -1, 1},
    R(Asinh, 9),
    R(Atan, 7),
    {"Atanh", ref_Atanh, 9, NULL, NULL, 0, 0, -0.99, 0.99},
    R(Ceil, 13),
    A(Celu, 12, 1.0f),
    R(Cos, 7),
    R(Cosh, 9),
    A(Elu, 6, 1.0f),
    R(Erf, 13),
    R(Exp, 13),
    R(Floor, 13),
    R(Gelu, 20),
    {"HardSigmoid", ref_HardSigmoid, 6, "alpha", "beta", 0.2f, 0.5f, -8, 8},
    R(HardSwish, 14),
    R(IsInf, 10),
    R(IsNaN, 13),
    A(LeakyRelu, 6, 0.01f),
    {"Log", ref_Log, 13, NULL, NULL, 0, 0, 0.01, 20},
    R(Mish, 18),
    R(Neg, 13),
    {"Reciprocal", ref_Reciprocal, 13, NULL, NULL, 0, 0, 0.1, 10},
    R(Relu, 14),
    R(Round, 11),
    {"Selu", ref_Selu, 6, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f,
     -8, 8},
    {"Shrink", ref_Shrink, 9, "lambd", "bias", 0.5f, 0.0f, -2, 2},
    R(Sigmoid, 13),
    R(Sign, 13),
    R(Sin, 7),
    R(Sinh, 9),
    R(Softplus, 1),
    R(Softsign, 1),
    {"Sqrt", ref_Sqrt, 13, NULL, NULL, 0, 0, 0, 100},
    {"Swish", ref_Swish, 24, "alpha", NULL, 1.0f, 0, -8, 8},
    {"Tan", ref_Tan, 7, NULL, NULL, 0, 0, -1.4, 1.4},
    R(Tanh, 13),
    A(ThresholdedRelu, 10, 1.0f),
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- elements -------------------------------------------------------------------------------- */

static void put(void *data, ox_dtype dtype, size_t i, double x) {
    switch (dtype) {
    case OX_FLOAT:
        ((float *)data)[i] = (float)x;
        break;
    case OX_DOUBLE:
        ((double *)data)[i] = x;
        break;
    case OX_FLOAT16:
        ((uint16_t *)data)[i] = ox_float_to_half((float)x);
        break;
    default:
        ((uint16_t *)data)[i] = ox_float_to_bfloat16((float)x);
        break;
    }
}

static double get(const void *data, ox_dtype dtype, size_t i) {
    switch (dtype) {
    case OX_FLOAT:
        return (double)((const float *)data)[i];
    case OX_DOUBLE:
        return ((const double *)data)[i];
    case OX_FLOAT16:
        return (double)ox_half_to_float(((const uint16_t *)data)[i]);
    case OX_BOOL:
        return ((const uint8_t *)data)[i];
    default:
        return (double)ox_bfloat16_to_float(((const uint16_t *)data)[i]);
    }
}

static double tolerance_of(ox_dtype dtype) {
    return dtype == OX_DOUBLE    ? 1e-14
           : dtype == OX_FLOAT   ? 5e-7
           : dtype == OX_FLOAT16 ? 1e-3
                                 : 8e-3;
}

static void compare(const struct oh *h, const struct row *row, double a, double b) {
    const ox_tensor *x = h->in[0], *y = h->out[0];
    ck_assert_uint_eq(y->count, x->count);
    for (size_t i = 0; i < x->count; i++) {
        double v = get(x->data, x->dtype, i), got = get(y->data, y->dtype, i);
        double want = row->reference(v, a, b), error = fabs(got - want);
        if (isnan(want) && isnan(got)) continue;
        if (got == want) continue;
        ck_assert_msg(error <= tolerance_of(x->dtype) * (fabs(want) + 0.1),
                      "%s of %s %.9g is %.9g, expected %.9g", row->name, ox_dtype_name(x->dtype), v,
                      got, want);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const ox_dtype float_types[] = {OX_FLOAT, OX_DOUBLE, OX_FLOAT16, OX_BFLOAT16};

START_TEST(agrees_with_the_formula_in_every_float_type) {
    const struct row *row = &rows[_i];
    uint64_t seed = 99 + (uint64_t)_i;
    for (size_t t = 0; t < 4; t++) {
        const int64_t dims[] = {3, 1, 337};
        struct oh h;
        oh_init(&h, row->name, row->opset, 1);
        void *data = oh_input(&h, float_types[t], 3, dims);
        for (size_t i = 0; i < h.in[0]->count; i++) {
            double u = ((double)oh_unit(&seed) + 1) / 2;
            put(data, float_types[t], i, row->low + u * (row->high - row->low));
        }
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", row->name, h.text);
        oh_expect_dims(&h, 0, 3, dims);
        compare(&h, row, (double)row->a, (double)row->b);
        oh_same_with_threads(&h, 3);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(special_floats) {
    const struct row *row = &rows[_i];
    const double values[] = {0.0, -0.0, INFINITY, -INFINITY, NAN,  0.5,   -0.5, 1.5,
                             2.5, -2.5, 1e-40,    -1e-40,    3e38, -3e38, 88.5, -100};
    const int64_t dims[] = {16};
    for (size_t t = 0; t < 2; t++) {
        struct oh h;
        oh_init(&h, row->name, row->opset, 1);
        void *data = oh_input(&h, float_types[t], 1, dims);
        for (size_t i = 0; i < 16; i++)
            put(data, float_types[t], i, values[i]);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const ox_tensor *y = h.out[0];
        for (size_t i = 0; i < 16; i++) {
            double v = get(data, float_types[t], i), got = get(y->data, y->dtype, i);
            double want = row->reference(v, (double)row->a, (double)row->b);
            if (float_types[t] == OX_FLOAT) want = (double)(float)want;
            /* Formulas that multiply by an infinite argument say NaN where the limit is 0. */
            bool limit = v == -INFINITY && isnan(want);
            bool same = isnan(want)
                            ? isnan(got) || limit
                            : got == want || fabs(got - want) <= 1e-6 * (fabs(want) + 1e-36);
            ck_assert_msg(same, "%s of %s %g is %g, expected %g", row->name,
                          ox_dtype_name(float_types[t]), v, got, want);
        }
        oh_fini(&h);
    }
}
END_TEST

START_TEST(attributes_are_used) {
    const struct row *row = &rows[_i];
    if (!row->alpha) return;
    const int64_t dims[] = {64};
    uint64_t seed = 5;
    struct oh h;
    oh_init(&h, row->name, row->opset, 1);
    oh_float(&h, row->alpha, 0.75f);
    if (row->beta) oh_float(&h, row->beta, 0.25f);
    float *x = oh_random(&h, &seed, 1, dims);
    for (int i = 0; i < 64; i++)
        x[i] *= 3;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    compare(&h, row, 0.75, 0.25);
    oh_fini(&h);
}
END_TEST

START_TEST(empty_and_scalar) {
    const struct row *row = &rows[_i];
    const int64_t empty[] = {2, 0, 3};
    struct oh h;
    oh_init(&h, row->name, row->opset, 2);
    oh_input(&h, OX_FLOAT, 3, empty);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 3, empty);
    oh_fini(&h);
    oh_init(&h, row->name, row->opset, 2);
    *(float *)oh_input(&h, OX_FLOAT, 0, NULL) = 1.0f;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 0, NULL);
    compare(&h, row, (double)row->a, (double)row->b);
    oh_fini(&h);
}
END_TEST

START_TEST(other_types_are_refused) {
    const struct row *row = &rows[_i];
    const int64_t dims[] = {2};
    struct oh h;
    oh_init(&h, row->name, row->opset, 1);
    oh_input(&h, OX_BOOL, 1, dims);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-type");
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
}
END_TEST

/* ---- single rows ----------------------------------------------------------------------------- */

START_TEST(gelu_tanh_form) {
    struct oh h;
    uint64_t seed = 3;
    const int64_t dims[] = {100};
    double want[100];
    oh_init(&h, "Gelu", 20, 1);
    oh_string(&h, "approximate", "tanh");
    float *x = oh_random(&h, &seed, 1, dims);
    for (int i = 0; i < 100; i++) {
        x[i] *= 4;
        double v = (double)x[i];
        want[i] =
            0.5 * v * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (v + 0.044715 * v * v * v)));
    }
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 100, want, 1e-6);
    oh_fini(&h);
}
END_TEST

START_TEST(isinf_can_look_at_one_sign) {
    const float x[] = {INFINITY, -INFINITY, 1, NAN};
    const int64_t dims[] = {4};
    for (int mode = 0; mode < 4; mode++) {
        struct oh h;
        oh_init(&h, "IsInf", 20, 1);
        oh_int(&h, "detect_negative", mode & 1);
        oh_int(&h, "detect_positive", mode >> 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const uint8_t *y = h.out[0]->data;
        ck_assert_int_eq(h.out[0]->dtype, OX_BOOL);
        ck_assert_int_eq(y[0], mode >> 1);
        ck_assert_int_eq(y[1], mode & 1);
        ck_assert_int_eq(y[2] + y[3], 0);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(isnan_and_isinf_of_float8) {
    const uint8_t codes[] = {0x7f, 0xff, 0x7e, 0x00, 0x7c, 0xfc, 0x80};
    const int64_t dims[] = {7};
    const struct {
        ox_dtype dtype;
        uint8_t nan[7], inf[7];
    } cases[] = {{OX_FLOAT8E4M3FN, {1, 1, 0, 0, 0, 0, 0}, {0}},
                 {OX_FLOAT8E4M3FNUZ, {0, 0, 0, 0, 0, 0, 1}, {0}},
                 {OX_FLOAT8E5M2, {1, 1, 1, 0, 0, 0, 0}, {0, 0, 0, 0, 1, 1, 0}},
                 {OX_FLOAT8E5M2FNUZ, {0, 0, 0, 0, 0, 0, 1}, {0}}};
    for (size_t c = 0; c < 4; c++) {
        for (int which = 0; which < 2; which++) {
            struct oh h;
            oh_init(&h, which ? "IsInf" : "IsNaN", 20, 1);
            oh_input_of(&h, cases[c].dtype, 1, dims, codes);
            ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
            ck_assert_mem_eq(h.out[0]->data, which ? cases[c].inf : cases[c].nan, 7);
            oh_fini(&h);
        }
    }
}
END_TEST

START_TEST(old_selu_has_rounded_constants) {
    struct oh h;
    oh_init(&h, "Selu", 1, 1);
    *(float *)oh_input(&h, OX_FLOAT, 0, NULL) = 1.0f;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert(*(const float *)h.out[0]->data == 1.0507f);
    oh_fini(&h);
}
END_TEST

/* The kernels are compiled for several instruction sets, this file for the plain one. */
START_TEST(bits_do_not_depend_on_the_instruction_set) {
    static const struct {
        const char *name;
        float (*plain)(float);
    } cases[] = {{"Exp", ox_vexp},   {"Log", ox_vlog}, {"Sigmoid", ox_vsigmoid},
                 {"Tanh", ox_vtanh}, {"Erf", ox_verf}, {"Softplus", ox_vsoftplus}};
    const int64_t dims[] = {50021};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct oh h;
        oh_init(&h, cases[k].name, 13, 1);
        float *x = oh_input(&h, OX_FLOAT, 1, dims);
        for (uint32_t i = 0; i < 50021; i++)
            x[i] = ox_float_of(i * 85861u);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const float *y = h.out[0]->data;
        for (int i = 0; i < 50021; i++) {
            float want = cases[k].plain(x[i]);
            ck_assert_msg(ox_bits_of(y[i]) == ox_bits_of(want) || (isnan(y[i]) && isnan(want)),
                          "%s(%a) is %a, expected %a", cases[k].name, (double)x[i], (double)y[i],
                          (double)want);
        }
        oh_fini(&h);
    }
}
END_TEST

/* ---- integers -------------------------------------------------------------------------------- */

#define EXPECT_INTS(op, opset, T, type, ...)                                                       \
    do {                                                                                           \
        const T both[][6] = {__VA_ARGS__};                                                         \
        const int64_t dims[] = {6};                                                                \
        struct oh h;                                                                               \
        oh_init(&h, op, opset, 1);                                                                 \
        oh_input_of(&h, type, 1, dims, both[0]);                                                   \
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", op, h.text);                              \
        ck_assert_int_eq(h.out[0]->dtype, type);                                                   \
        ck_assert_msg(memcmp(h.out[0]->data, both[1], sizeof both[1]) == 0, "%s of %s", op,        \
                      ox_dtype_name(type));                                                        \
        oh_fini(&h);                                                                               \
    } while (0)

START_TEST(integers) {
    EXPECT_INTS("Abs", 13, int8_t, OX_INT8, {0, 5, -5, 127, -127, -128}, {0, 5, 5, 127, 127, -128});
    EXPECT_INTS("Abs", 13, int16_t, OX_INT16, {0, 5, -5, 300, -300, -32768},
                {0, 5, 5, 300, 300, -32768});
    EXPECT_INTS("Abs", 13, int32_t, OX_INT32, {0, 5, -5, 70000, -70000, INT32_MIN},
                {0, 5, 5, 70000, 70000, INT32_MIN});
    EXPECT_INTS("Abs", 13, int64_t, OX_INT64, {0, 5, -5, INT64_MAX, -INT64_MAX, INT64_MIN},
                {0, 5, 5, INT64_MAX, INT64_MAX, INT64_MIN});
    EXPECT_INTS("Abs", 13, uint8_t, OX_UINT8, {0, 5, 255, 1, 2, 3}, {0, 5, 255, 1, 2, 3});
    EXPECT_INTS("Abs", 13, uint64_t, OX_UINT64, {0, 5, UINT64_MAX, 1, 2, 3},
                {0, 5, UINT64_MAX, 1, 2, 3});
    EXPECT_INTS("Neg", 13, int8_t, OX_INT8, {0, 5, -5, 127, -127, -128},
                {0, -5, 5, -127, 127, -128});
    EXPECT_INTS("Neg", 13, int64_t, OX_INT64, {0, 5, -5, INT64_MAX, -INT64_MAX, INT64_MIN},
                {0, -5, 5, -INT64_MAX, INT64_MAX, INT64_MIN});
    EXPECT_INTS("Sign", 13, int32_t, OX_INT32, {0, 5, -5, 1, -1, INT32_MIN}, {0, 1, -1, 1, -1, -1});
    EXPECT_INTS("Sign", 13, uint16_t, OX_UINT16, {0, 5, 65535, 1, 2, 3}, {0, 1, 1, 1, 1, 1});
    EXPECT_INTS("Relu", 14, int32_t, OX_INT32, {0, 5, -5, 1, -1, INT32_MIN}, {0, 5, 0, 1, 0, 0});
    EXPECT_INTS("BitwiseNot", 18, uint8_t, OX_UINT8, {0, 1, 255, 128, 7, 85},
                {255, 254, 0, 127, 248, 170});
    EXPECT_INTS("BitwiseNot", 18, int32_t, OX_INT32, {0, -1, 1, 2, 3, INT32_MAX},
                {-1, 0, -2, -3, -4, INT32_MIN});
    EXPECT_INTS("Not", 1, uint8_t, OX_BOOL, {0, 1, 1, 0, 1, 0}, {1, 0, 0, 1, 0, 1});
    EXPECT_INTS("Shrink", 9, int16_t, OX_INT16, {0, 1, -1, 2, -2, 300}, {0, 1, -1, 2, -2, 300});
    EXPECT_INTS("Erf", 13, int32_t, OX_INT32, {0, 9, -9, 6, -6, 1}, {0, 1, -1, 1, -1, 0});
}
END_TEST

START_TEST(signed_only_rows_refuse_unsigned) {
    const int64_t dims[] = {2};
    const char *const names[] = {"Neg", "Relu"};
    for (int i = 0; i < 2; i++) {
        struct oh h;
        oh_init(&h, names[i], 14, 1);
        oh_input(&h, OX_UINT32, 1, dims);
        ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
        oh_fini(&h);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_unary");
    TCase *tests = tcase_create("unary");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, agrees_with_the_formula_in_every_float_type, 0, ROWS);
    tcase_add_loop_test(tests, special_floats, 0, ROWS);
    tcase_add_loop_test(tests, attributes_are_used, 0, ROWS);
    tcase_add_loop_test(tests, empty_and_scalar, 0, ROWS);
    tcase_add_loop_test(tests, other_types_are_refused, 0, ROWS);
    tcase_add_test(tests, gelu_tanh_form);
    tcase_add_test(tests, isinf_can_look_at_one_sign);
    tcase_add_test(tests, isnan_and_isinf_of_float8);
    tcase_add_test(tests, old_selu_has_rounded_constants);
    tcase_add_test(tests, bits_do_not_depend_on_the_instruction_set);
    tcase_add_test(tests, integers);
    tcase_add_test(tests, signed_only_rows_refuse_unsigned);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
