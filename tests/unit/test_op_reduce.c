/* tests/unit/test_op_reduce.c - the Reduce operators against sums in long double, over random
 * shapes, axes and types. */
#include "op_elements.h"

#include "ir/base/bytes.h"
#include <math.h>
#include <stdlib.h>

static uint64_t seed = 1181783497276652981u;

static uint64_t pick(uint64_t n) {
    return oh_pick(&seed, n);
}

static const char *const ops[] = {"ReduceL1",  "ReduceL2",       "ReduceLogSum", "ReduceLogSumExp",
                                  "ReduceMax", "ReduceMean",     "ReduceMin",    "ReduceProd",
                                  "ReduceSum", "ReduceSumSquare"};
enum { L1, L2, LOG_SUM, LOG_SUM_EXP, MAX, MEAN, MIN, PROD, SUM, SUM_SQUARE, N_OPS };

/* What the operator is by its definition. */
static long double reference(int op, size_t n, const long double *x) {
    long double acc = op == PROD ? 1 : op == MAX ? -INFINITY : op == MIN ? INFINITY : 0;
    for (size_t i = 0; i < n; i++) {
        switch (op) {
        case L1:
            acc += fabsl(x[i]);
            break;
        case L2:
        case SUM_SQUARE:
            acc += x[i] * x[i];
            break;
        case LOG_SUM_EXP:
            acc += expl(x[i]);
            break;
        case MAX:
            acc = x[i] > acc ? x[i] : acc;
            break;
        case MIN:
            acc = x[i] < acc ? x[i] : acc;
            break;
        case PROD:
            acc *= x[i];
            break;
        default:
            acc += x[i];
            break;
        }
    }
    return op == L2                             ? sqrtl(acc)
           : op == MEAN                         ? acc / (long double)n
           : op == LOG_SUM || op == LOG_SUM_EXP ? logl(acc)
                                                : acc;
}

static const ox_dtype types[] = {OX_FLOAT, OX_DOUBLE, OX_FLOAT16, OX_BFLOAT16, OX_INT32,
                                 OX_INT64, OX_UINT32, OX_UINT64,  OX_INT8,     OX_UINT8};
enum { N_TYPES = 10 };

static long double get(const ox_tensor *t, size_t i) {
    switch (t->dtype) {
    case OX_FLOAT:
        return ((const float *)t->data)[i];
    case OX_DOUBLE:
        return ((const double *)t->data)[i];
    case OX_FLOAT16:
        return ox_half_to_float(((const uint16_t *)t->data)[i]);
    case OX_BFLOAT16:
        return ox_bfloat16_to_float(((const uint16_t *)t->data)[i]);
    case OX_INT32:
        return ((const int32_t *)t->data)[i];
    case OX_INT64:
        return ((const int64_t *)t->data)[i];
    case OX_UINT32:
        return ((const uint32_t *)t->data)[i];
    case OX_UINT64:
        return ((const uint64_t *)t->data)[i];
    case OX_INT8:
        return ((const int8_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

static bool is_signed(ox_dtype dtype) {
    return ox_dtype_is_float(dtype) || dtype == OX_INT8 || dtype == OX_INT32 || dtype == OX_INT64;
}

static void fill(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims, int64_t range,
                 bool positive) {
    unsigned char *data = oh_input(h, dtype, rank, dims);
    for (size_t i = 0; i < h->in[0]->count; i++) {
        int64_t v =
            (int64_t)pick((uint64_t)range) + (positive || !is_signed(dtype) ? 1 : -range / 2);
        switch (dtype) {
        case OX_FLOAT:
            ((float *)data)[i] = (float)v / 4;
            break;
        case OX_DOUBLE:
            ((double *)data)[i] = (double)v / 4;
            break;
        case OX_FLOAT16:
            ((uint16_t *)data)[i] = ox_float_to_half((float)v / 4);
            break;
        case OX_BFLOAT16:
            ((uint16_t *)data)[i] = ox_float_to_bfloat16((float)v / 4);
            break;
        case OX_INT32:
        case OX_UINT32:
            ((int32_t *)data)[i] = (int32_t)v;
            break;
        case OX_INT64:
        case OX_UINT64:
            ((int64_t *)data)[i] = v;
            break;
        default:
            data[i] = (unsigned char)v;
            break;
        }
    }
}

static void expect_close(const struct oh *h, int op, size_t i, long double want) {
    ox_dtype dtype = h->out[0]->dtype;
    long double got = get(h->out[0], i), error;
    if (!ox_dtype_is_float(dtype)) {
        want = truncl(want);
        error = fabsl(got - want);
        /* Logarithms and roots may fall on either side of an integer. */
        bool either = op == L2 || op == LOG_SUM || op == LOG_SUM_EXP;
        if (error != 0 && !(either && error == 1))
            ck_abort_msg("%s of %s: element %zu is %Lg, expected %Lg", h->op->name,
                         ox_dtype_name(dtype), i, got, want);
        return;
    }
    long double tolerance = dtype == OX_FLOAT16    ? 1e-3L
                            : dtype == OX_BFLOAT16 ? 8e-3L
                            : dtype == OX_FLOAT    ? 1e-6L
                                                   : 1e-13L;
    bool same = got == want || (isnan(got) && isnan(want));
    if (!same && !(fabsl(got - want) <= tolerance * (fabsl(want) + 1)))
        ck_abort_msg("%s of %s: element %zu is %Lg, expected %Lg", h->op->name,
                     ox_dtype_name(dtype), i, got, want);
}

/* Compares every output with the reference over the elements that share its kept coordinates. */
static void check(struct oh *h, int op, int rank, const int64_t *dims, const bool *gone) {
    int64_t lines[OX_MAX_RANK], from[OX_MAX_RANK];
    size_t count = h->in[0]->count, n_out = h->out[0]->count, share = n_out ? count / n_out : 0;
    long double *all = calloc(count + 1, sizeof *all);
    size_t *have = calloc(n_out + 1, sizeof *have);
    for (int d = 0; d < rank; d++)
        lines[d] = gone[d] ? 1 : dims[d];
    for (size_t i = 0; i < count; i++) {
        oe_coords(from, i, rank, dims);
        for (int d = 0; d < rank; d++)
            if (gone[d]) from[d] = 0;
        size_t o = oe_index(from, rank, lines);
        all[o * share + have[o]++] = get(h->in[0], i);
    }
    for (size_t o = 0; o < n_out; o++)
        if (share > 0 || ox_dtype_is_float(h->in[0]->dtype))
            expect_close(h, op, o, reference(op, share, all + o * share));
    free(have);
    free(all);
}

START_TEST(reduce_random) {
    for (int n = 0; n < 1500; n++) {
        struct oh h;
        int64_t dims[5], axes[5];
        int rank = oe_dims(&seed, dims, 0, 5, n % 20 == 0 ? 6 : 3), op = n % N_OPS, used = 0;
        bool gone[5] = {0}, keep = pick(2), input = op == SUM ? pick(2) : 0;
        ox_dtype dtype = types[pick(N_TYPES)];
        int opset = input ? 13 : pick(2) ? 18 : 11;
        for (int d = 0; d < rank; d++) {
            gone[d] = pick(2);
            if (gone[d]) axes[used++] = pick(2) ? d : d - rank;
        }
        for (int d = 0; used == 0 && d < rank; d++)
            gone[d] = true; /* no axes: all */
        oh_init(&h, ops[op], opset, 1);
        oh_int(&h, "keepdims", keep);
        bool by_input = opset >= (op == SUM ? 13 : 18);
        if (!by_input && used) oh_ints(&h, "axes", (size_t)used, axes);
        fill(&h, dtype, rank, dims, op == PROD ? 3 : 12, op == LOG_SUM);
        if (by_input && (used || pick(2))) oe_int64s(&h, used, axes);
        bool wraps = !ox_dtype_is_float(dtype) && (op == PROD || ox_dtype_bits(dtype) == 8);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", ops[op], h.text);
        if (!wraps || op == MAX || op == MIN) check(&h, op, rank, dims, gone);
        int kept = 0;
        for (int d = 0; d < rank; d++)
            if (!gone[d] || keep) ck_assert_int_eq(h.out[0]->dims[kept++], gone[d] ? 1 : dims[d]);
        ck_assert_int_eq(h.out[0]->rank, kept);
        oh_fini(&h);
    }
}
END_TEST

/* Shapes that cross the engine's tiles and parts; threads must not change a bit. */
START_TEST(reduce_large) {
    static const struct {
        int rank;
        int64_t dims[3];
        bool gone[3];
    } cases[] = {{2, {3, 700}, {false, true}},
                 {2, {50, 300}, {true, false}},
                 {1, {70000}, {true}},
                 {2, {66000, 2}, {true, false}},
                 {3, {2, 300, 20}, {true, false, true}},
                 {3, {7, 300, 3}, {false, true, false}},
                 {2, {2, 66000}, {false, true}},
                 {3, {5, 7, 513}, {false, false, true}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int op = 0; op < N_OPS; op++) {
            struct oh h;
            int64_t axes[3];
            int used = 0;
            for (int d = 0; d < cases[c].rank; d++)
                if (cases[c].gone[d]) axes[used++] = d;
            oh_init(&h, ops[op], 11, 3);
            oh_ints(&h, "axes", (size_t)used, axes);
            float *x = oh_random(&h, &seed, cases[c].rank, cases[c].dims);
            for (size_t i = 0; i < h.in[0]->count; i++)
                if (op == LOG_SUM || op == PROD) x[i] = 1 + x[i] * (op == PROD ? 1e-4f : 0.5f);
            ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
            oh_same_with_threads(&h, 1);
            if (h.in[0]->count < 60000 || op == MAX || op == MEAN)
                check(&h, op, cases[c].rank, cases[c].dims, cases[c].gone);
            oh_fini(&h);
        }
    }
}
END_TEST

/* 0.1 added a million times: a float accumulator would be off in the third digit. */
START_TEST(sums_are_stable) {
    struct oh h;
    oh_init(&h, "ReduceSum", 13, 2);
    float *x = oh_input(&h, OX_FLOAT, OH_DIMS(1000000));
    for (size_t i = 0; i < 1000000; i++)
        x[i] = 0.1f;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert(*(const float *)h.out[0]->data == (float)(1000000 * (double)0.1f));
    oh_fini(&h);
}
END_TEST

static void vector(struct oh *h, const char *op, int opset, int n, const float *x) {
    int64_t dim = n;
    oh_init(h, op, opset, 1);
    oh_input_of(h, OX_FLOAT, 1, &dim, x);
}

START_TEST(special_values) {
    struct oh h;
    static const struct {
        const char *op;
        float x[3];
        double expected;
    } cases[] = {{"ReduceMax", {1, NAN, 2}, NAN},
                 {"ReduceMin", {NAN, 1, 2}, NAN},
                 {"ReduceMax", {-INFINITY, -INFINITY, -INFINITY}, -INFINITY},
                 {"ReduceMean", {INFINITY, 1, 2}, INFINITY},
                 {"ReduceLogSumExp", {1000, 1000, 1000}, 1001.0986122886681},
                 {"ReduceLogSumExp", {-1000, -1000, -1000}, -998.9013877113319},
                 {"ReduceLogSumExp", {INFINITY, 1, 2}, INFINITY},
                 {"ReduceLogSumExp", {-INFINITY, -INFINITY, -INFINITY}, -INFINITY},
                 {"ReduceLogSumExp", {-INFINITY, 0, 0}, 0.6931471805599453},
                 {"ReduceLogSumExp", {NAN, 0, 0}, NAN},
                 {"ReduceL2", {3e30f, 4e30f, 0}, 5e30},
                 {"ReduceSum", {INFINITY, -INFINITY, 0}, NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vector(&h, cases[i].op, 11, 3, cases[i].x);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_floats(&h, 0, 1, &cases[i].expected, 1e-6);
        oh_fini(&h);
    }
    static const double empty[] = {0, 0, -INFINITY, -INFINITY, -INFINITY, NAN, INFINITY, 1, 0, 0};
    for (int op = 0; op < N_OPS; op++) { /* nothing to reduce */
        vector(&h, ops[op], 11, 0, NULL);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_floats(&h, 0, 1, &empty[op], 0);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(integers_and_bools) {
    struct oh h;
    oh_init(&h, "ReduceSum", 13, 1); /* wraps */
    oh_input_of(&h, OX_INT32, OH_DIMS(2), (int32_t[]){INT32_MAX, 2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, INT32_MIN + 1);
    oh_fini(&h);
    oh_init(&h, "ReduceProd", 13, 1);
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){INT64_MAX, 2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int64_t *)h.out[0]->data, -2);
    oh_fini(&h);
    oh_init(&h, "ReduceL1", 13, 1);
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){INT64_MIN, 1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int64_t *)h.out[0]->data, INT64_MIN + 1);
    oh_fini(&h);
    oh_init(&h, "ReduceMean", 13, 1); /* toward zero */
    oh_input_of(&h, OX_INT32, OH_DIMS(2), (int32_t[]){-3, -4});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, -3);
    oh_fini(&h);
    oh_init(&h, "ReduceMax", 13, 1); /* exact beyond 2^53 */
    oh_input_of(&h, OX_UINT64, OH_DIMS(3), (uint64_t[]){UINT64_MAX - 1, UINT64_MAX, 5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(*(const uint64_t *)h.out[0]->data, UINT64_MAX);
    oh_fini(&h);
    oh_init(&h, "ReduceMin", 13, 1);
    oh_input_of(&h, OX_INT64, OH_DIMS(0), NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int64_t *)h.out[0]->data, INT64_MAX);
    oh_fini(&h);
    static const struct {
        const char *op;
        uint8_t x[2], expected;
    } bools[] = {{"ReduceMax", {0, 1}, 1},
                 {"ReduceMax", {0, 0}, 0},
                 {"ReduceMin", {0, 1}, 0},
                 {"ReduceMin", {1, 1}, 1}};
    for (size_t i = 0; i < 4; i++) {
        oh_init(&h, bools[i].op, 20, 1);
        oh_input_of(&h, OX_BOOL, OH_DIMS(2), bools[i].x);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        ck_assert_uint_eq(*(const uint8_t *)h.out[0]->data, bools[i].expected);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(axes_and_refusals) {
    struct oh h;
    for (int op = 0; op < N_OPS; op++) { /* no axes, and that means none */
        static const double expected[] = {2, 2, -HUGE_VAL, -2, -2, -2, -2, -2, -2, 4};
        oh_init(&h, ops[op], 18, 1);
        oh_int(&h, "noop_with_empty_axes", 1);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){-2, -2});
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, OH_DIMS(2));
        double both[2] = {op == LOG_SUM ? NAN : expected[op], op == LOG_SUM ? NAN : expected[op]};
        oh_expect_floats(&h, 0, 2, both, 1e-6);
        oh_fini(&h);
    }
    static const struct {
        int64_t axes[2];
    } bad[] = {{{0, 2}}, {{0, -3}}, {{0, 0}}, {{1, -1}}, {{0, INT64_MIN}}, {{0, INT64_MAX}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oh_init(&h, "ReduceSum", 13, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
        oe_int64s(&h, 2, bad[i].axes);
        ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
        ck_assert_str_eq(h.id, "wrong-attribute");
        oh_fini(&h);
    }
    oh_init(&h, "ReduceSum", 13, 1);
    oe_input(&h, OX_STRING, OH_DIMS(2), 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-type");
    oh_fini(&h);
    oh_init(&h, "ReduceMax", 13, 1); /* axes are not yet an input */
    oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
    OE_INT64S(&h, 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-arity");
    oh_fini(&h);
    oh_init(&h, "ReduceMean", 18, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 8, 0, 0), 0);
    OE_INT64S(&h, -1, 2);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a,8,1,1]");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_reduce");
    TCase *t = tcase_create("op_reduce");
    tcase_add_test(t, reduce_random);
    tcase_add_test(t, reduce_large);
    tcase_add_test(t, sums_are_stable);
    tcase_add_test(t, special_values);
    tcase_add_test(t, integers_and_bools);
    tcase_add_test(t, axes_and_refusals);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
