/* tests/unit/test_op_choose.c - OneHot, NonZero, Compress, Trilu, ReverseSequence, TopK, Unique,
 * ArgMax, ArgMin, CumSum. */
#include "op_elements.h"

#include "ir/base/bytes.h"
#include <math.h>
#include <stdlib.h>

static uint64_t seed = 1442695040888963407u;

static uint64_t pick(uint64_t n) {
    return oh_pick(&seed, n);
}

static void ok(struct oh *h, size_t n_out) {
    ck_assert_msg(oh_eval(h, n_out) == OX_OK, "%s: %s", h->op->name, h->text);
}

static void expect_failure(struct oh *h, const char *id) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

static void expect_element(const struct oh *h, size_t i, uint64_t v) {
    uint64_t got = oe_get(h->out[0], i), want = oe_trim(h->out[0]->dtype, v);
    if (got != want)
        ck_abort_msg("%s of %s: element %zu is %llu, expected %llu", h->op->name,
                     ox_dtype_name(h->out[0]->dtype), i, (unsigned long long)got,
                     (unsigned long long)want);
}

#define EXPECT_INTS(h, out, ...)                                                                   \
    expect_ints(h, out, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                        \
                (int64_t[]){__VA_ARGS__})
static void expect_ints(const struct oh *h, size_t out, size_t n, const int64_t *expected) {
    ck_assert_int_eq(h->out[out]->dtype, OX_INT64);
    ck_assert_uint_eq(h->out[out]->count, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(((const int64_t *)h->out[out]->data)[i], expected[i]);
}

/* ---- OneHot ---------------------------------------------------------------------------------- */

START_TEST(one_hot) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[3], to[4], depth = (int64_t)pick(5);
        int rank = oe_dims(&seed, dims, 0, 3, 3), axis = (int)pick((uint64_t)rank + 1);
        ox_dtype dtype = oe_dtypes[pick(OE_DTYPES)];
        bool floats = pick(2);
        oh_init(&h, "OneHot", 11, 1);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank - 1);
        void *data = oh_input(&h, floats ? OX_FLOAT : OX_INT64, rank, dims);
        int64_t values[27];
        for (size_t i = 0; i < h.in[0]->count; i++) {
            values[i] = (int64_t)pick(14) - 7;
            if (floats)
                ((float *)data)[i] = (float)values[i];
            else
                ((int64_t *)data)[i] = values[i];
        }
        oe_int64(&h, depth);
        oe_input(&h, dtype, OH_DIMS(2), 0);
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank + 1, h.out[0]->dims);
            int64_t level = to[axis];
            for (int d = axis; d < rank; d++)
                to[d] = to[d + 1];
            int64_t v = values[oe_index(to, rank, dims)];
            expect_element(&h, i, v == level || v + depth == level);
        }
        oh_fini(&h);
    }
    struct oh h;
    static const float odd[] = {NAN, INFINITY, -1e30f, 1};
    oh_init(&h, "OneHot", 9, 1); /* before opset 11 negative indices light nothing */
    oh_input_of(&h, OX_FLOAT, OH_DIMS(5), (float[]){odd[0], odd[1], odd[2], odd[3], -1});
    oh_input_of(&h, OX_FLOAT, 0, NULL, &(float){2});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){0, 1});
    ok(&h, 1);
    oh_expect_floats(&h, 0, 10, (double[]){0, 0, 0, 0, 0, 0, 0, 1, 0, 0}, 0);
    oh_fini(&h);
    static const int64_t axes[] = {2, -3, INT64_MIN};
    for (size_t i = 0; i < 3; i++) {
        oh_init(&h, "OneHot", 11, 1);
        oh_int(&h, "axis", axes[i]);
        oe_input(&h, OX_INT64, OH_DIMS(2), 0);
        oe_int64(&h, 3);
        oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
        expect_failure(&h, "wrong-attribute");
    }
    static const struct {
        int64_t depth, values;
        ox_status status;
    } bad[] = {{-1, 2, OX_INVALID},
               {3, 3, OX_INVALID},
               {INT64_MAX, 2, OX_INVALID},
               {INT64_C(1) << 40, 2, OX_NOMEM}};
    for (size_t i = 0; i < 4; i++) {
        oh_init(&h, "OneHot", 11, 1);
        oe_input(&h, OX_INT64, OH_DIMS(2), 0);
        oe_int64(&h, bad[i].depth);
        oe_input(&h, OX_FLOAT, OH_DIMS(bad[i].values), 0);
        ck_assert_int_eq(oh_eval(&h, 1), bad[i].status);
        oh_fini(&h);
    }
}
END_TEST

/* ---- NonZero and Compress -------------------------------------------------------------------- */

START_TEST(non_zero) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[4], coords[4];
        int rank = oe_dims(&seed, dims, 1, 4, 4);
        ox_dtype dtype = oe_dtypes[pick(OE_DTYPES - 1)]; /* strings: below */
        oh_init(&h, "NonZero", 13, 1);
        oe_input(&h, dtype, rank, dims, pick(3) ? 0 : 1);
        h.no_infer = true;
        ok(&h, 1);
        size_t found = 0, total = 0;
        for (size_t i = 0; i < h.in[0]->count; i++)
            total += oe_get(h.in[0], i) != 0;
        oh_expect_dims(&h, 0, OH_DIMS(rank, (int64_t)total));
        for (size_t i = 0; i < h.in[0]->count; i++) {
            if (oe_get(h.in[0], i) == 0) continue;
            oe_coords(coords, i, rank, dims);
            for (int d = 0; d < rank; d++)
                ck_assert_int_eq(((const int64_t *)h.out[0]->data)[(size_t)d * total + found],
                                 coords[d]);
            found++;
        }
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "NonZero", 13, 1);
    h.no_infer = true;
    oh_input_of(&h, OX_FLOAT, OH_DIMS(4), (float[]){-0.0f, NAN, 0, 1e-40f});
    ok(&h, 1);
    EXPECT_INTS(&h, 0, 1, 3);
    oh_fini(&h);
    oh_init(&h, "NonZero", 13, 1); /* a scalar has no coordinates */
    h.no_infer = true;
    oh_input_of(&h, OX_FLOAT, 0, NULL, &(float){1});
    ok(&h, 1);
    oh_expect_dims(&h, 0, OH_DIMS(0, 1));
    oh_fini(&h);
    oh_init(&h, "NonZero", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 3), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "int64[2,?0]");
    oh_fini(&h);
}
END_TEST

START_TEST(compress) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[4], to[4];
        int rank = oe_dims(&seed, dims, 1, 4, 5), axis = (int)pick((uint64_t)rank);
        bool flat = pick(3) == 0;
        int64_t length = flat ? 1 : dims[axis], kept[700], n_kept = 0;
        for (int d = 0; flat && d < rank; d++)
            length *= dims[d];
        oh_init(&h, "Compress", 11, 1);
        if (!flat) oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        oe_input(&h, oe_dtypes[pick(OE_DTYPES)], rank, dims, 0);
        int64_t marks = (int64_t)pick((uint64_t)length + 1);
        uint8_t *marked = oh_input(&h, OX_BOOL, 1, &marks);
        for (int64_t i = 0; i < marks; i++)
            if ((marked[i] = (uint8_t)pick(2)) != 0) kept[n_kept++] = i;
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            if (flat) {
                expect_element(&h, i, (uint64_t)kept[i]);
                continue;
            }
            oe_coords(to, i, rank, h.out[0]->dims);
            to[axis] = kept[to[axis]];
            expect_element(&h, i, oe_index(to, rank, dims));
        }
        ck_assert_int_eq(h.out[0]->dims[flat ? 0 : axis], n_kept);
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "Compress", 11, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
    oh_input_of(&h, OX_BOOL, OH_DIMS(3), "\0\0\1");
    expect_failure(&h, "index-range");
    oh_init(&h, "Compress", 11, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
    oe_input(&h, OX_INT64, OH_DIMS(2), 0);
    expect_failure(&h, "wrong-type");
}
END_TEST

/* ---- Trilu and ReverseSequence --------------------------------------------------------------- */

START_TEST(trilu) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[4], k = (int64_t)pick(12) - 6, to[4];
        int rank = oe_dims(&seed, dims, 2, 4, 5);
        bool upper = pick(2);
        oh_init(&h, "Trilu", 14, 1);
        oh_int(&h, "upper", upper);
        oe_input(&h, oe_dtypes[pick(OE_DTYPES - 1)], rank, dims, 0);
        if (pick(8) == 0)
            k = 0;
        else
            oe_int64(&h, k);
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank, dims);
            int64_t off = to[rank - 1] - to[rank - 2];
            bool kept = upper ? off >= k : off <= k;
            expect_element(&h, i, kept ? i : 0);
        }
        oh_fini(&h);
    }
    struct oh h;
    static const int64_t far[] = {INT64_MIN, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        oh_init(&h, "Trilu", 14, 1);
        oh_int(&h, "upper", i / 2);
        oe_input(&h, OX_UINT8, OH_DIMS(2, 3), 1);
        oe_int64(&h, far[i % 2]);
        ok(&h, 1);
        for (size_t k = 0; k < 6; k++)
            expect_element(&h, k, (i / 2 == 1) == (far[i % 2] < 0) ? k + 1 : 0);
        oh_fini(&h);
    }
    oh_init(&h, "Trilu", 14, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(3), 0);
    expect_failure(&h, "shape-mismatch");
}
END_TEST

START_TEST(reverse_sequence) {
    for (int n = 0; n < 100; n++) {
        struct oh h;
        int64_t dims[4], to[4], lens[5];
        int rank = oe_dims(&seed, dims, 2, 4, 5), batch_axis = (int)pick(2);
        oh_init(&h, "ReverseSequence", 10, 1);
        oh_int(&h, "batch_axis", batch_axis);
        oh_int(&h, "time_axis", 1 - batch_axis);
        oe_input(&h, oe_dtypes[pick(OE_DTYPES)], rank, dims, 0);
        for (int64_t b = 0; b < dims[batch_axis]; b++)
            lens[b] = (int64_t)pick((uint64_t)dims[1 - batch_axis] + 1);
        oe_int64s(&h, (int)dims[batch_axis], lens);
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank, dims);
            int64_t *t = &to[1 - batch_axis], len = lens[to[batch_axis]];
            if (*t < len) *t = len - 1 - *t;
            expect_element(&h, i, oe_index(to, rank, dims));
        }
        oh_fini(&h);
    }
    static const struct {
        int64_t batch, time, lens[2];
        int n;
        const char *id;
    } bad[] = {{1, 0, {4, 0}, 2, "index-range"},
               {1, 0, {0, -1}, 2, "index-range"},
               {1, 0, {1}, 1, "shape-mismatch"},
               {0, 0, {1, 1}, 2, "wrong-attribute"},
               {2, 1, {1, 1}, 2, "wrong-attribute"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct oh h;
        oh_init(&h, "ReverseSequence", 10, 1);
        oh_int(&h, "batch_axis", bad[i].batch);
        oh_int(&h, "time_axis", bad[i].time);
        oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
        oe_int64s(&h, bad[i].n, bad[i].lens);
        expect_failure(&h, bad[i].id);
    }
}
END_TEST

/* ---- TopK, ArgMax, ArgMin -------------------------------------------------------------------- */

/* A few distinct values, so that ties are common. */
static void fill(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims, double *values) {
    unsigned char *data = oh_input(h, dtype, rank, dims);
    for (size_t i = 0; i < h->in[h->n_in - 1]->count; i++) {
        double v = (double)pick(9) - 4;
        if (dtype == OX_UINT8) v = v < 0 ? -v + 200 : v;
        values[i] = v;
        switch (dtype) {
        case OX_FLOAT:
            ((float *)data)[i] = (float)v;
            break;
        case OX_DOUBLE:
            ((double *)data)[i] = v;
            break;
        case OX_FLOAT16:
            ((uint16_t *)data)[i] = ox_float_to_half((float)v);
            break;
        case OX_INT32:
            ((int32_t *)data)[i] = (int32_t)v;
            break;
        case OX_INT64:
            ((int64_t *)data)[i] = (int64_t)v;
            break;
        default:
            data[i] = (unsigned char)v;
            break;
        }
    }
}

static const ox_dtype orderable[] = {OX_FLOAT, OX_DOUBLE, OX_FLOAT16, OX_INT32, OX_INT64, OX_UINT8};

START_TEST(top_k) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[3], to[3], from[3];
        double values[3 * 512];
        int rank = oe_dims(&seed, dims, 1, 3, n % 10 == 0 ? 11 : 5),
            axis = (int)pick((uint64_t)rank);
        int64_t k = (int64_t)pick((uint64_t)dims[axis] + 1);
        bool largest = pick(2);
        oh_init(&h, "TopK", 11, 3);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        oh_int(&h, "largest", largest);
        fill(&h, orderable[pick(6)], rank, dims, values);
        oe_int64s(&h, 1, &k);
        ok(&h, 2);
        for (size_t i = 0; i < h.out[1]->count; i++) {
            oe_coords(to, i, rank, h.out[1]->dims);
            memcpy(from, to, sizeof from);
            int64_t index = ((const int64_t *)h.out[1]->data)[i], better = 0;
            from[axis] = index;
            double v = values[oe_index(from, rank, dims)];
            expect_element(&h, i, oe_get(h.in[0], oe_index(from, rank, dims)));
            for (from[axis] = 0; from[axis] < dims[axis];
                 from[axis]++) { /* as many are better as stand before */
                double w = values[oe_index(from, rank, dims)];
                better += (largest ? w > v : w < v) || (w == v && from[axis] < index);
            }
            ck_assert_int_eq(better, to[axis]);
        }
        oh_same_with_threads(&h, 1);
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "TopK", 1, 1);
    oh_int(&h, "k", 2);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(4), (float[]){0, NAN, -0.0f, -1});
    ok(&h, 2);
    EXPECT_INTS(&h, 1, 1, 0); /* NaN is the greatest; 0 equals -0 */
    oh_fini(&h);
    static const int64_t bad[] = {-1, 4, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        oh_init(&h, "TopK", 11, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(3), 0);
        oe_int64s(&h, 1, &bad[i]);
        ck_assert_int_eq(oh_eval(&h, 2), OX_INVALID);
        oh_fini(&h);
    }
    oh_init(&h, "TopK", 11, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 100), 0);
    OE_INT64S(&h, 5);
    ck_assert_str_eq(oe_symbolic(&h, 2), "float[a,5] int64[a,5]");
    oh_fini(&h);
}
END_TEST

START_TEST(arg_max_and_min) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[3], from[3];
        double values[3 * 512];
        int rank = oe_dims(&seed, dims, 1, 3, n % 10 == 0 ? 11 : 5),
            axis = (int)pick((uint64_t)rank);
        bool least = pick(2), last = pick(2), keep = pick(2);
        if (dims[axis] == 0) continue;
        oh_init(&h, least ? "ArgMin" : "ArgMax", 13, 3);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        oh_int(&h, "select_last_index", last);
        oh_int(&h, "keepdims", keep);
        fill(&h, orderable[pick(6)], rank, dims, values);
        ok(&h, 1);
        int64_t lines[3];
        memcpy(lines, dims, sizeof lines);
        lines[axis] = 1;
        ck_assert_int_eq(h.out[0]->rank, keep ? rank : rank - 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(from, i, rank, lines);
            int64_t best = -1;
            double v = 0;
            for (from[axis] = 0; from[axis] < dims[axis]; from[axis]++) {
                double w = values[oe_index(from, rank, dims)];
                bool better = best < 0 || (least ? w < v : w > v) || (last && w == v);
                if (better) best = from[axis];
                if (better) v = w;
            }
            ck_assert_int_eq(((const int64_t *)h.out[0]->data)[i], best);
        }
        oh_same_with_threads(&h, 1);
        oh_fini(&h);
    }
    static const char *const ops[] = {"ArgMax", "ArgMin"};
    for (int i = 0; i < 2; i++) {
        struct oh h;
        oh_init(&h, ops[i], 13, 1);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(5), (float[]){-INFINITY, 3, NAN, NAN, INFINITY});
        ok(&h, 1);
        EXPECT_INTS(&h, 0, 2); /* NaN wins, the first of them */
        oh_fini(&h);
        oh_init(&h, ops[i], 13, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(0, 2), 0);
        expect_failure(&h, "shape-mismatch");
        oh_init(&h, ops[i], 13, 1);
        oh_int(&h, "axis", INT64_MIN);
        oe_input(&h, OX_FLOAT, OH_DIMS(1, 2), 0);
        expect_failure(&h, "wrong-attribute");
    }
}
END_TEST

/* ---- Unique ---------------------------------------------------------------------------------- */

START_TEST(unique) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[3];
        double values[125];
        int rank = oe_dims(&seed, dims, 1, 3, 4);
        bool sorted = pick(2);
        oh_init(&h, "Unique", 11, 1);
        oh_int(&h, "sorted", sorted);
        h.no_infer = true;
        fill(&h, orderable[pick(6)], rank, dims, values);
        ok(&h, 4);
        size_t count = h.in[0]->count, groups = h.out[0]->count;
        const int64_t *first = h.out[1]->data, *inverse = h.out[2]->data, *counts = h.out[3]->data;
        int64_t total = 0;
        ck_assert_uint_eq(h.out[2]->count, count);
        for (size_t g = 0; g < groups; g++) {
            expect_element(&h, g, oe_get(h.in[0], (size_t)first[g]));
            total += counts[g];
            for (int64_t i = 0; i < first[g]; i++)
                ck_assert(values[i] != values[first[g]]);
            if (g > 0 && sorted) ck_assert(values[first[g - 1]] < values[first[g]]);
            if (g > 0 && !sorted) ck_assert_int_lt(first[g - 1], first[g]);
        }
        ck_assert_int_eq(total, (int64_t)count);
        for (size_t i = 0; i < count; i++)
            ck_assert(values[i] == values[first[inverse[i]]]);
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "Unique", 11, 1);
    oh_int(&h, "axis", 1);
    h.no_infer = true;
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 4, 2),
                (float[]){1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 0, 1, 2, 1, 0, 1});
    ok(&h, 4);
    oh_expect_dims(&h, 0, OH_DIMS(2, 3, 2));
    oh_expect_floats(&h, 0, 12, (double[]){0, 1, 1, 1, 2, 1, 0, 1, 1, 1, 2, 1}, 0);
    EXPECT_INTS(&h, 1, 1, 0, 2);
    EXPECT_INTS(&h, 2, 1, 0, 2, 0);
    EXPECT_INTS(&h, 3, 2, 1, 1);
    oh_fini(&h);
    oh_init(&h, "Unique", 11, 1); /* strings, NaN and both zeros */
    h.no_infer = true;
    oe_input(&h, OX_STRING, OH_DIMS(12), 0);
    ok(&h, 2);
    EXPECT_INTS(&h, 1, 0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9);
    oh_fini(&h);
    oh_init(&h, "Unique", 11, 1);
    h.no_infer = true;
    oh_input_of(&h, OX_FLOAT, OH_DIMS(5), (float[]){NAN, 0, -0.0f, NAN, -1});
    ok(&h, 2);
    EXPECT_INTS(&h, 1, 4, 1, 0);
    oh_fini(&h);
    oh_init(&h, "Unique", 11, 1); /* slices without elements */
    oh_int(&h, "axis", 0);
    h.no_infer = true;
    oe_input(&h, OX_FLOAT, OH_DIMS(3, 0), 0);
    ok(&h, 1);
    oh_expect_dims(&h, 0, OH_DIMS(1, 0));
    oh_fini(&h);
}
END_TEST

/* ---- CumSum ---------------------------------------------------------------------------------- */

/* Half of the calls multiply: products of five of these numbers are exact in every type. */
START_TEST(cum_sum) {
    static const ox_dtype types[] = {OX_FLOAT, OX_DOUBLE, OX_FLOAT16, OX_INT32, OX_INT64};
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[3], to[3];
        double values[125];
        int rank = oe_dims(&seed, dims, 1, 3, 5), axis = (int)pick((uint64_t)rank);
        bool exclusive = pick(2), reverse = pick(2);
        ox_dtype dtype = types[pick(5)];
        bool product = pick(2);
        oh_init(&h, product ? "CumProd" : "CumSum", product ? 26 : 14, 1);
        oh_int(&h, "exclusive", exclusive);
        oh_int(&h, "reverse", reverse);
        fill(&h, dtype, rank, dims, values);
        oe_int64(&h, pick(2) ? axis : axis - rank);
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank, dims);
            int64_t at = to[axis];
            double sum = product, got;
            for (to[axis] = 0; to[axis] < dims[axis]; to[axis]++) {
                bool in = reverse ? to[axis] >= at : to[axis] <= at;
                if (!in || (exclusive && to[axis] == at)) continue;
                double value = values[oe_index(to, rank, dims)];
                sum = product ? sum * value : sum + value;
            }
            switch (dtype) {
            case OX_FLOAT:
                got = ((const float *)h.out[0]->data)[i];
                break;
            case OX_DOUBLE:
                got = ((const double *)h.out[0]->data)[i];
                break;
            case OX_FLOAT16:
                got = ox_half_to_float(((const uint16_t *)h.out[0]->data)[i]);
                break;
            case OX_INT32:
                got = ((const int32_t *)h.out[0]->data)[i];
                break;
            default:
                got = (double)((const int64_t *)h.out[0]->data)[i];
                break;
            }
            ck_assert_msg(got == sum, "%s: %g, expected %g", h.op->name, got, sum);
        }
        oh_fini(&h);
    }
    static const int64_t axes[] = {1, -2, INT64_MIN};
    for (size_t i = 0; i < 3; i++) {
        struct oh h;
        oh_init(&h, "CumSum", 14, 1);
        oe_input(&h, OX_INT32, OH_DIMS(3), INT32_MAX);
        oe_int64(&h, axes[i]);
        expect_failure(&h, "wrong-attribute");
    }
    struct oh h; /* sums wrap */
    oh_init(&h, "CumSum", 14, 1);
    oh_input_of(&h, OX_INT32, OH_DIMS(2), (int32_t[]){INT32_MAX, 1});
    oe_int64(&h, 0);
    ok(&h, 1);
    ck_assert_int_eq(((const int32_t *)h.out[0]->data)[1], INT32_MIN);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_choose");
    TCase *t = tcase_create("op_choose");
    tcase_add_test(t, one_hot);
    tcase_add_test(t, non_zero);
    tcase_add_test(t, compress);
    tcase_add_test(t, trilu);
    tcase_add_test(t, reverse_sequence);
    tcase_add_test(t, top_k);
    tcase_add_test(t, arg_max_and_min);
    tcase_add_test(t, unique);
    tcase_add_test(t, cum_sum);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
