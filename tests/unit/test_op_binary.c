/* tests/unit/test_op_binary.c - the binary family and the broadcasting engine against plain index
 * arithmetic: random shapes, every type, the corners of integer arithmetic, the forms of old
 * opsets. */
#include "ir/base/bytes.h"
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

/* ---- references ------------------------------------------------------------------------------ */

#define REF(name, value)                                                                           \
    static double ref_##name(double x, double y) {                                                 \
        return value;                                                                              \
    }
REF(Add, x + y)
REF(Div, x / y)
REF(Equal, x == y)
REF(Greater, x > y)
REF(GreaterOrEqual, x >= y)
REF(Less, x < y)
REF(LessOrEqual, x <= y)
REF(Max, x > y ? x : y)
REF(Min, x < y ? x : y)
REF(Mul, x *y)
REF(PRelu, x < 0 ? x * y : x)
REF(Pow, pow(x, y))
REF(Sub, x - y)
REF(Mod, fmod(x, y))

struct row {
    const char *name;
    double (*reference)(double x, double y);
    int opset;
    bool boolean, one_way, positive;
};
static const struct row rows[] = {
    {"Add", ref_Add, 14, false, false, false},
    {"Div", ref_Div, 14, false, false, false},
    {"Equal", ref_Equal, 13, true, false, false},
    {"Greater", ref_Greater, 13, true, false, false},
    {"GreaterOrEqual", ref_GreaterOrEqual, 16, true, false, false},
    {"Less", ref_Less, 13, true, false, false},
    {"LessOrEqual", ref_LessOrEqual, 16, true, false, false},
    {"Max", ref_Max, 13, false, false, false},
    {"Min", ref_Min, 13, false, false, false},
    {"Mul", ref_Mul, 14, false, false, false},
    {"PRelu", ref_PRelu, 16, false, true, false},
    {"Pow", ref_Pow, 15, false, false, true},
    {"Sub", ref_Sub, 14, false, false, false},
    {"Mod", ref_Mod, 13, false, false, false},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- elements and shapes --------------------------------------------------------------------- */

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

/* Element of a tensor that output position `at` (of `rank` coordinates) sees. */
static size_t element_at(const ox_tensor *t, int rank, const int64_t *at) {
    size_t index = 0;
    for (int d = 0; d < t->rank; d++)
        index = index * (size_t)t->dims[d] + (t->dims[d] == 1 ? 0 : (size_t)at[rank - t->rank + d]);
    return index;
}

static bool next_position(int rank, const int64_t *dims, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        if (++at[d] < dims[d]) return true;
        at[d] = 0;
    }
    return false;
}

/* A shape that broadcasts with dims: some are 1, some in front are missing. */
static int thin_out(uint64_t *seed, int rank, const int64_t *dims, int64_t *thin) {
    int drop = rank > 0 ? (int)oh_pick(seed, (uint64_t)rank + 1) : 0;
    if (oh_pick(seed, 2)) drop = 0;
    for (int d = drop; d < rank; d++)
        thin[d - drop] = oh_pick(seed, 3) ? dims[d] : 1;
    return rank - drop;
}

static void random_shape(uint64_t *seed, int *rank, int64_t *dims) {
    static const int64_t sizes[] = {1, 2, 3, 5, 7, 16, 17, 31, 64};
    *rank = (int)oh_pick(seed, 6);
    size_t count = 1;
    for (int d = 0; d < *rank; d++) {
        dims[d] = sizes[oh_pick(seed, 9)];
        if (count * (size_t)dims[d] > 40000) dims[d] = 1;
        count *= (size_t)dims[d];
    }
    if (*rank && oh_pick(seed, 20) == 0) dims[oh_pick(seed, (uint64_t)*rank)] = 0;
}

static double tolerance_of(ox_dtype dtype) {
    return dtype == OX_DOUBLE    ? 1e-14
           : dtype == OX_FLOAT   ? 4e-7
           : dtype == OX_FLOAT16 ? 1e-3
                                 : 8e-3;
}

/* Half a step of the type's subnormals. */
static double tiny_of(ox_dtype dtype) {
    return dtype == OX_FLOAT16 ? 0x1p-25 : 0;
}

static void fill(struct oh *h, size_t i, uint64_t *seed, bool positive) {
    void *data;
    memcpy(&data, &h->in[i]->data, sizeof data);
    for (size_t k = 0; k < h->in[i]->count; k++) {
        double v = 3 * (double)oh_unit(seed);
        if (oh_pick(seed, 4) == 0) v = round(v);
        put(data, h->in[i]->dtype, k, positive ? fabs(v) + 0.01 : v);
    }
}

static void compare(const struct oh *h, const struct row *row) {
    const ox_tensor *x = h->in[0], *y = h->in[1], *z = h->out[0];
    int64_t at[OX_MAX_RANK] = {0};
    size_t k = 0;
    if (z->count == 0) return;
    do {
        double a = get(x->data, x->dtype, element_at(x, z->rank, at));
        double b = get(y->data, y->dtype, element_at(y, z->rank, at));
        double got = get(z->data, z->dtype, k++), want = row->reference(a, b);
        bool same = got == want || (isnan(got) && isnan(want)) ||
                    fabs(got - want) <= tolerance_of(x->dtype) * fabs(want) + tiny_of(z->dtype) ||
                    (z->dtype == OX_FLOAT16 && fabs(want) > 65519 && isinf(got));
        ck_assert_msg(same, "%s of %s %.9g and %.9g is %.9g, expected %.9g", row->name,
                      ox_dtype_name(x->dtype), a, b, got, want);
    } while (next_position(z->rank, z->dims, at));
    ck_assert_uint_eq(k, z->count);
}

/* ---- floats ---------------------------------------------------------------------------------- */

static const ox_dtype float_types[] = {OX_FLOAT, OX_DOUBLE, OX_FLOAT16, OX_BFLOAT16};

static void one_problem(const struct row *row, uint64_t *seed, ox_dtype dtype) {
    int rank;
    int64_t dims[OX_MAX_RANK], a[OX_MAX_RANK], b[OX_MAX_RANK];
    random_shape(seed, &rank, dims);
    int rank_a = rank, rank_b = thin_out(seed, rank, dims, b);
    memcpy(a, dims, sizeof a);
    if (!row->one_way) rank_a = thin_out(seed, rank, dims, a);
    struct oh h;
    oh_init(&h, row->name, row->opset, 1);
    if (strcmp(row->name, "Mod") == 0) oh_int(&h, "fmod", 1);
    oh_input(&h, dtype, rank_a, a);
    fill(&h, 0, seed, row->positive);
    oh_input(&h, dtype, rank_b, b);
    fill(&h, 1, seed, false);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", row->name, h.text);
    ck_assert_int_eq(h.out[0]->dtype, row->boolean ? OX_BOOL : dtype);
    ck_assert_int_eq(h.out[0]->rank, rank_a > rank_b ? rank_a : rank_b);
    compare(&h, row);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(agrees_with_the_formula_on_broadcast_shapes) {
    uint64_t seed = 1234 + (uint64_t)_i;
    for (int k = 0; k < 60; k++)
        one_problem(&rows[_i], &seed, float_types[k < 30 ? 0 : k % 4]);
}
END_TEST

START_TEST(large_operands_are_shared_among_threads) {
    const int64_t dims[] = {4, 50, 1000}, thin[] = {50, 1};
    uint64_t seed = 77;
    struct oh h;
    oh_init(&h, "Mul", 14, 4);
    oh_random(&h, &seed, 3, dims);
    oh_random(&h, &seed, 2, thin);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    compare(&h, &rows[9]);
    oh_same_with_threads(&h, 1);
    oh_fini(&h);
}
END_TEST

START_TEST(nan_and_signed_zero) {
    const float x[] = {NAN, 1, NAN, INFINITY, -INFINITY, 0.0f, 1, -1};
    const float y[] = {1, NAN, NAN, INFINITY, INFINITY, -0.0f, 0, 0};
    const int64_t dims[] = {8};
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].positive) continue; /* Pow: powf's own rules */
        struct oh h;
        oh_init(&h, rows[i].name, rows[i].opset, 1);
        if (strcmp(rows[i].name, "Mod") == 0) oh_int(&h, "fmod", 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        oh_input_of(&h, OX_FLOAT, 1, dims, y);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        for (size_t k = 0; k < 8; k++) {
            double got = get(h.out[0]->data, h.out[0]->dtype, k);
            double want = rows[i].reference((double)x[k], (double)y[k]);
            bool extreme = rows[i].reference == ref_Max || rows[i].reference == ref_Min;
            if (extreme && (isnan(x[k]) || isnan(y[k]))) want = NAN;
            ck_assert_msg(got == want || (isnan(got) && isnan(want)), "%s of %g and %g is %g",
                          rows[i].name, (double)x[k], (double)y[k], got);
        }
        oh_fini(&h);
    }
}
END_TEST

/* ---- integers -------------------------------------------------------------------------------- */

#define EXPECT(op, opset, T, type, R, rtype, n, xs, ys, zs, setup)                                 \
    do {                                                                                           \
        const T x[] = xs, y[] = ys;                                                                \
        const R z[] = zs;                                                                          \
        const int64_t dims[] = {n};                                                                \
        struct oh h;                                                                               \
        oh_init(&h, op, opset, 1);                                                                 \
        setup;                                                                                     \
        oh_input_of(&h, type, 1, dims, x);                                                         \
        oh_input_of(&h, type, 1, dims, y);                                                         \
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", op, h.text);                              \
        ck_assert_int_eq(h.out[0]->dtype, rtype);                                                  \
        const R *got = h.out[0]->data;                                                             \
        for (int k = 0; k < n; k++)                                                                \
            ck_assert_msg(got[k] == z[k], "%s of %s: element %d is %lld", op, ox_dtype_name(type), \
                          k, (long long)got[k]);                                                   \
        oh_fini(&h);                                                                               \
    } while (0)
#define L(...)                                                                                     \
    { __VA_ARGS__ }

START_TEST(integer_arithmetic_wraps) {
    EXPECT("Add", 14, int8_t, OX_INT8, int8_t, OX_INT8, 3, L(127, -128, 5), L(1, -1, 6),
           L(-128, 127, 11), );
    EXPECT("Sub", 14, uint8_t, OX_UINT8, uint8_t, OX_UINT8, 3, L(0, 255, 5), L(1, 1, 6),
           L(255, 254, 255), );
    EXPECT("Mul", 14, int16_t, OX_INT16, int16_t, OX_INT16, 3, L(300, -200, 7), L(300, 200, 6),
           L(24464, 25536, 42), );
    EXPECT("Mul", 14, int32_t, OX_INT32, int32_t, OX_INT32, 2, L(65536, -7), L(65536, 6),
           L(0, -42), );
    EXPECT("Add", 14, int64_t, OX_INT64, int64_t, OX_INT64, 2, L(INT64_MAX, INT64_MIN), L(1, -1),
           L(INT64_MIN, INT64_MAX), );
    EXPECT("Mul", 14, uint64_t, OX_UINT64, uint64_t, OX_UINT64, 2, L(UINT64_MAX, 3), L(2, 5),
           L(UINT64_MAX - 1, 15), );
    EXPECT("Sub", 14, uint32_t, OX_UINT32, uint32_t, OX_UINT32, 2, L(0, 9), L(1, 5),
           L(UINT32_MAX, 4), );
    EXPECT("Add", 14, uint16_t, OX_UINT16, uint16_t, OX_UINT16, 2, L(65535, 9), L(1, 5),
           L(0, 14), );
}
END_TEST

START_TEST(integer_division_never_traps) {
    EXPECT("Div", 14, int32_t, OX_INT32, int32_t, OX_INT32, 6, L(7, -7, 7, -7, 5, INT32_MIN),
           L(2, 2, -2, -2, 0, -1), L(3, -3, -3, 3, 0, INT32_MIN), );
    EXPECT("Div", 14, int64_t, OX_INT64, int64_t, OX_INT64, 3, L(INT64_MIN, 9, INT64_MIN),
           L(-1, 0, 2), L(INT64_MIN, 0, INT64_MIN / 2), );
    EXPECT("Div", 14, int8_t, OX_INT8, int8_t, OX_INT8, 3, L(-128, 9, 100), L(-1, 0, 7),
           L(-128, 0, 14), );
    EXPECT("Div", 14, int16_t, OX_INT16, int16_t, OX_INT16, 2, L(-32768, 9), L(-1, 4),
           L(-32768, 2), );
    EXPECT("Div", 14, uint8_t, OX_UINT8, uint8_t, OX_UINT8, 3, L(255, 9, 3), L(2, 0, 7),
           L(127, 0, 0), );
    EXPECT("Div", 14, uint64_t, OX_UINT64, uint64_t, OX_UINT64, 2, L(UINT64_MAX, 9), L(2, 0),
           L(UINT64_MAX / 2, 0), );
}
END_TEST

START_TEST(modulo) {
    /* Like Python's: the sign of the divisor. */
    EXPECT("Mod", 13, int32_t, OX_INT32, int32_t, OX_INT32, 7, L(-4, 7, 5, 4, -7, 8, 6),
           L(2, -3, 8, -2, 3, 5, 0), L(0, -2, 5, 0, 2, 3, 0), );
    /* Like C's fmod: that of the dividend. */
    EXPECT("Mod", 13, int32_t, OX_INT32, int32_t, OX_INT32, 7, L(-4, 7, 5, 4, -7, 8, 6),
           L(2, -3, 8, -2, 3, 5, 0), L(0, 1, 5, 0, -1, 3, 0), oh_int(&h, "fmod", 1));
    EXPECT("Mod", 13, int64_t, OX_INT64, int64_t, OX_INT64, 2, L(INT64_MIN, INT64_MIN), L(-1, 10),
           L(0, 2), );
    EXPECT("Mod", 13, int8_t, OX_INT8, int8_t, OX_INT8, 2, L(-128, -7), L(-1, 5), L(0, 3), );
    EXPECT("Mod", 13, uint16_t, OX_UINT16, uint16_t, OX_UINT16, 2, L(65535, 7), L(10, 0),
           L(5, 0), );
}
END_TEST

START_TEST(modulo_of_floats_needs_fmod) {
    struct oh h;
    oh_init(&h, "Mod", 13, 1);
    oh_input(&h, OX_FLOAT, 0, NULL);
    oh_input(&h, OX_FLOAT, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "Mod of float needs the attribute fmod=1");
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(shifts_and_bits) {
    EXPECT("BitShift", 11, uint8_t, OX_UINT8, uint8_t, OX_UINT8, 5, L(16, 4, 1, 255, 3),
           L(1, 2, 3, 8, 200), L(32, 16, 8, 0, 0), oh_string(&h, "direction", "LEFT"));
    EXPECT("BitShift", 11, uint64_t, OX_UINT64, uint64_t, OX_UINT64, 4, L(16, UINT64_MAX, 1, 7),
           L(1, 63, 64, UINT64_MAX), L(8, 1, 0, 0), oh_string(&h, "direction", "RIGHT"));
    EXPECT("BitShift", 11, uint16_t, OX_UINT16, uint16_t, OX_UINT16, 2, L(16, 65535), L(1, 15),
           L(8, 1), oh_string(&h, "direction", "RIGHT"));
    EXPECT("BitShift", 11, uint32_t, OX_UINT32, uint32_t, OX_UINT32, 2, L(1, 1), L(31, 32),
           L(0x80000000u, 0), oh_string(&h, "direction", "LEFT"));
    EXPECT("BitwiseAnd", 18, uint8_t, OX_UINT8, uint8_t, OX_UINT8, 2, L(12, 255), L(10, 7),
           L(8, 7), );
    EXPECT("BitwiseOr", 18, int32_t, OX_INT32, int32_t, OX_INT32, 2, L(12, -1), L(10, 7),
           L(14, -1), );
    EXPECT("BitwiseXor", 18, int64_t, OX_INT64, int64_t, OX_INT64, 2, L(12, -1), L(10, 7),
           L(6, -8), );
    EXPECT("And", 7, uint8_t, OX_BOOL, uint8_t, OX_BOOL, 4, L(0, 0, 1, 1), L(0, 1, 0, 1),
           L(0, 0, 0, 1), );
    EXPECT("Or", 7, uint8_t, OX_BOOL, uint8_t, OX_BOOL, 4, L(0, 0, 1, 1), L(0, 1, 0, 1),
           L(0, 1, 1, 1), );
    EXPECT("Xor", 7, uint8_t, OX_BOOL, uint8_t, OX_BOOL, 4, L(0, 0, 1, 1), L(0, 1, 0, 1),
           L(0, 1, 1, 0), );
}
END_TEST

START_TEST(comparisons_of_integers) {
    EXPECT("Less", 13, int64_t, OX_INT64, uint8_t, OX_BOOL, 3, L(INT64_MIN, 5, 6),
           L(INT64_MAX, 5, -6), L(1, 0, 0), );
    EXPECT("Greater", 13, uint64_t, OX_UINT64, uint8_t, OX_BOOL, 2, L(UINT64_MAX, 5), L(1, 6),
           L(1, 0), );
    EXPECT("Greater", 13, int8_t, OX_INT8, uint8_t, OX_BOOL, 2, L(-1, 5), L(1, -6), L(0, 1), );
    EXPECT("LessOrEqual", 16, int32_t, OX_INT32, uint8_t, OX_BOOL, 3, L(1, 5, 7), L(1, 6, 6),
           L(1, 1, 0), );
    EXPECT("GreaterOrEqual", 16, uint8_t, OX_UINT8, uint8_t, OX_BOOL, 3, L(1, 5, 255), L(1, 6, 6),
           L(1, 0, 1), );
    EXPECT("Equal", 13, int16_t, OX_INT16, uint8_t, OX_BOOL, 2, L(-1, 5), L(-1, 6), L(1, 0), );
    EXPECT("Equal", 13, uint8_t, OX_BOOL, uint8_t, OX_BOOL, 2, L(1, 0), L(1, 1), L(1, 0), );
    EXPECT("Max", 13, int8_t, OX_INT8, int8_t, OX_INT8, 2, L(-1, 5), L(-3, 6), L(-1, 6), );
    EXPECT("Min", 13, uint32_t, OX_UINT32, uint32_t, OX_UINT32, 2, L(UINT32_MAX, 5), L(3, 6),
           L(3, 5), );
    EXPECT("PRelu", 16, int32_t, OX_INT32, int32_t, OX_INT32, 3, L(-4, 5, INT32_MIN), L(3, 6, 2),
           L(-12, 5, 0), );
    EXPECT("PRelu", 16, uint64_t, OX_UINT64, uint64_t, OX_UINT64, 2, L(4, 5), L(3, 6), L(4, 5), );
}
END_TEST

START_TEST(strings_compare) {
    const int64_t dims[] = {3}, one[] = {1};
    const struct ox_str x[] = {{"a", 1}, {"", 0}, {"abc", 3}}, y[] = {{"abc", 3}};
    struct oh h;
    oh_init(&h, "Equal", 19, 1);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, dims, x), OX_OK);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, one, y), OX_OK);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_mem_eq(h.out[0]->data, ((uint8_t[]){0, 0, 1}), 3);
    oh_fini(&h);
}
END_TEST

/* ---- Pow with a type of its own for the exponent ----------------------------------------------
 */

#define EXPECT_POW(T, type, U, utype, n, xs, ys, zs)                                               \
    do {                                                                                           \
        const T x[] = xs, z[] = zs;                                                                \
        const U y[] = ys;                                                                          \
        const int64_t dims[] = {n};                                                                \
        struct oh h;                                                                               \
        oh_init(&h, "Pow", 15, 1);                                                                 \
        oh_input_of(&h, type, 1, dims, x);                                                         \
        oh_input_of(&h, utype, 1, dims, y);                                                        \
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "Pow: %s", h.text);                                 \
        ck_assert_int_eq(h.out[0]->dtype, type);                                                   \
        const T *got = h.out[0]->data;                                                             \
        for (int k = 0; k < n; k++)                                                                \
            ck_assert_msg(got[k] == z[k], "Pow of %s and %s: element %d is %g",                    \
                          ox_dtype_name(type), ox_dtype_name(utype), k, (double)got[k]);           \
        oh_fini(&h);                                                                               \
    } while (0)

START_TEST(powers_of_mixed_types) {
    EXPECT_POW(float, OX_FLOAT, int64_t, OX_INT64, 3, L(2, 3, -2), L(3, 0, 3), L(8, 1, -8));
    EXPECT_POW(float, OX_FLOAT, uint8_t, OX_UINT8, 2, L(2, 3), L(10, 2), L(1024, 9));
    EXPECT_POW(int64_t, OX_INT64, float, OX_FLOAT, 3, L(2, 9, 2), L(3, 0.5, 0.5), L(8, 3, 1));
    EXPECT_POW(int64_t, OX_INT64, int64_t, OX_INT64, 7, L(3, -1, -1, 0, 0, 2, 1),
               L(39, -3, -2, -1, 0, 64, -9), L(4052555153018976267, -1, 1, 0, 1, 0, 1));
    EXPECT_POW(int32_t, OX_INT32, int32_t, OX_INT32, 3, L(3, 2, -3), L(4, 40, 3), L(81, 0, -27));
    EXPECT_POW(double, OX_DOUBLE, float, OX_FLOAT, 2, L(4, 0.5), L(1.5, -2), L(8, 4));
}
END_TEST

START_TEST(usual_scalar_powers) {
    const float x[] = {3, -2, 0.5f, 0, -0.0f, INFINITY, -INFINITY, NAN}, y[] = {2, 3, 0.5f, -1, 1};
    const int64_t dims[] = {8};
    for (size_t k = 0; k < 5; k++) {
        struct oh h;
        oh_init(&h, "Pow", 15, 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        oh_input_of(&h, OX_FLOAT, 0, NULL, &y[k]);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const float *got = h.out[0]->data;
        for (size_t i = 0; i < 8; i++) {
            float want = (float)pow((double)x[i], (double)y[k]);
            ck_assert_msg(got[i] == want || (isnan(got[i]) && isnan(want)), "%g ^ %g is %g",
                          (double)x[i], (double)y[k], (double)got[i]);
            ck_assert_int_eq(signbit(got[i]) != 0 && !isnan(want),
                             signbit(want) != 0 && !isnan(want));
        }
        oh_fini(&h);
    }
}
END_TEST

/* ---- old opsets ------------------------------------------------------------------------------ */

START_TEST(axis_of_old_opsets) {
    const int64_t a[] = {2, 3, 4}, b[] = {3}, bad[] = {4};
    struct oh h;
    oh_init(&h, "Add", 6, 1);
    oh_int(&h, "broadcast", 1);
    oh_int(&h, "axis", 1);
    oh_input(&h, OX_FLOAT, 3, a);
    float *y = oh_input(&h, OX_FLOAT, 1, b);
    for (int i = 0; i < 3; i++)
        y[i] = (float)i + 1;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    const float *z = h.out[0]->data;
    for (int i = 0; i < 24; i++)
        ck_assert(z[i] == (float)(i / 4 % 3) + 1);
    oh_fini(&h);

    oh_init(&h, "Mul", 6, 1); /* without axis: the last dims */
    oh_int(&h, "broadcast", 1);
    oh_input(&h, OX_FLOAT, 3, a);
    oh_input(&h, OX_FLOAT, 1, bad);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);

    oh_init(&h, "Sub", 6, 1); /* without broadcast */
    oh_input(&h, OX_FLOAT, 3, a);
    oh_input(&h, OX_FLOAT, 1, bad);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "shapes [2,3,4] and [4] differ, and broadcast is not set");
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);

    oh_init(&h, "Add", 6, 1); /* an axis that is none */
    oh_int(&h, "broadcast", 1);
    oh_int(&h, "axis", 3);
    oh_input(&h, OX_FLOAT, 3, a);
    oh_input(&h, OX_FLOAT, 1, b);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);

    oh_init(&h, "PRelu", 6, 1); /* a slope for each channel */
    float *x = oh_input(&h, OX_FLOAT, 3, a);
    y = oh_input(&h, OX_FLOAT, 1, b);
    for (int i = 0; i < 24; i++)
        x[i] = -1;
    for (int i = 0; i < 3; i++)
        y[i] = (float)i + 1;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    z = h.out[0]->data;
    for (int i = 0; i < 24; i++)
        ck_assert(z[i] == -(float)(i / 4 % 3) - 1);
    oh_fini(&h);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

static void expect_error(const char *op, int opset, ox_dtype ta, int ra, const int64_t *a,
                         ox_dtype tb, int rb, const int64_t *b, const char *id, const char *text) {
    struct oh h;
    oh_init(&h, op, opset, 1);
    oh_input(&h, ta, ra, a);
    oh_input(&h, tb, rb, b);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, id);
    ck_assert_str_eq(h.text, text);
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    ck_assert_str_eq(h.id, id);
    oh_fini(&h);
}

START_TEST(contradictions_are_told) {
    const int64_t a[] = {2, 3}, b[] = {4, 3}, c[] = {2, 2, 3};
    expect_error("Add", 14, OX_FLOAT, 2, a, OX_FLOAT, 2, b, "shape-mismatch",
                 "[2,3] and [4,3] cannot be broadcast together");
    expect_error("Add", 14, OX_FLOAT, 2, a, OX_DOUBLE, 2, a, "wrong-type",
                 "inputs 0 and 1 of Add are of types float and double, expected the same");
    expect_error("And", 7, OX_BOOL, 2, a, OX_FLOAT, 2, a, "wrong-type",
                 "input 1 of And is of type float, which the operator does not take");
    expect_error("Mul", 14, OX_STRING, 2, a, OX_STRING, 2, a, "wrong-type",
                 "input 0 of Mul is of type string, which the operator does not take");
    expect_error("Pow", 15, OX_UINT8, 2, a, OX_FLOAT, 2, a, "wrong-type",
                 "input 0 of Pow is of type uint8, which the operator does not take");
    expect_error("PRelu", 16, OX_FLOAT, 2, a, OX_FLOAT, 3, c, "shape-mismatch",
                 "input 1 is [2,2,3], which cannot be broadcast to [2,3]");
}
END_TEST

START_TEST(bitshift_needs_a_direction) {
    struct oh h;
    oh_init(&h, "BitShift", 11, 1);
    oh_input(&h, OX_UINT8, 0, NULL);
    oh_input(&h, OX_UINT8, 0, NULL);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-attribute");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_binary");
    TCase *tests = tcase_create("binary");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, agrees_with_the_formula_on_broadcast_shapes, 0, ROWS);
    tcase_add_test(tests, large_operands_are_shared_among_threads);
    tcase_add_test(tests, nan_and_signed_zero);
    tcase_add_test(tests, integer_arithmetic_wraps);
    tcase_add_test(tests, integer_division_never_traps);
    tcase_add_test(tests, modulo);
    tcase_add_test(tests, modulo_of_floats_needs_fmod);
    tcase_add_test(tests, shifts_and_bits);
    tcase_add_test(tests, comparisons_of_integers);
    tcase_add_test(tests, strings_compare);
    tcase_add_test(tests, powers_of_mixed_types);
    tcase_add_test(tests, usual_scalar_powers);
    tcase_add_test(tests, axis_of_old_opsets);
    tcase_add_test(tests, contradictions_are_told);
    tcase_add_test(tests, bitshift_needs_a_direction);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
