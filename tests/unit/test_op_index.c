/* tests/unit/test_op_index.c - Gather, GatherElements, GatherND, ScatterElements, Scatter,
 * ScatterND. */
#include "op_elements.h"

#include <math.h>
#include <stdlib.h>

static uint64_t seed = 6364136223846793005u;

static uint64_t pick(uint64_t n) {
    return oh_pick(&seed, n);
}

static void ok(struct oh *h) {
    ck_assert_msg(oh_eval(h, 1) == OX_OK, "%s: %s", h->op->name, h->text);
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

/* Adds an index input of int32 or int64 with values in [-dim, dim); returns its values, for the
 * caller to free. */
static int64_t *indices(struct oh *h, int rank, const int64_t *dims, int64_t dim) {
    bool narrow = pick(3) == 0;
    void *data = oh_input(h, narrow ? OX_INT32 : OX_INT64, rank, dims);
    size_t n = h->in[h->n_in - 1]->count;
    int64_t *values = calloc(n + 1, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        int64_t v = (int64_t)pick((uint64_t)(2 * dim)) - dim;
        if (narrow)
            ((int32_t *)data)[i] = (int32_t)v;
        else
            ((int64_t *)data)[i] = v;
        values[i] = v < 0 ? v + dim : v;
    }
    return values;
}

START_TEST(gather_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[4], idims[3], to[8], from[4];
        int rank = oe_dims(&seed, dims, 1, 4, 5), irank = oe_dims(&seed, idims, 0, 3, 4);
        int axis = (int)pick((uint64_t)rank);
        if (dims[axis] == 0) continue;
        oh_init(&h, "Gather", pick(2) ? 13 : 1, 1);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        oe_input(&h, oe_dtypes[pick(OE_DTYPES)], rank, dims, 0);
        int64_t *at = indices(&h, irank, idims, dims[axis]);
        ok(&h);
        ck_assert_int_eq(h.out[0]->rank, rank + irank - 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank + irank - 1, h.out[0]->dims);
            for (int d = 0; d < rank; d++)
                if (d != axis) from[d] = d < axis ? to[d] : to[d + irank - 1];
            from[axis] = at[oe_index(to + axis, irank, idims)];
            expect_element(&h, i, oe_index(from, rank, dims));
        }
        free(at);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(gather_refuses_and_infers) {
    struct oh h;
    static const int64_t bad[] = {3, -4, 1000000, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < 5; i++) {
        oh_init(&h, "Gather", 13, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
        oe_int64(&h, bad[i]);
        expect_failure(&h, "index-range");
    }
    oh_init(&h, "Gather", 13, 1);
    oh_int(&h, "axis", 2);
    oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
    oe_int64(&h, 0);
    expect_failure(&h, "wrong-attribute");
    oh_init(&h, "Gather", 13, 1);
    oe_input(&h, OX_FLOAT, 0, NULL, 0);
    oe_int64(&h, 0);
    expect_failure(&h, "shape-mismatch");
    oh_init(&h, "Gather", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
    oh_input(&h, OX_FLOAT, 0, NULL);
    expect_failure(&h, "wrong-type");
    oh_init(&h, "Gather", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 2), 0); /* nothing to gather from */
    oe_int64(&h, 0);
    expect_failure(&h, "index-range");
    oh_init(&h, "Gather", 13, 1);
    oh_int(&h, "axis", 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 0, 7), 0);
    OE_INT64S(&h, 1, 2);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a,2,7]");
    oh_fini(&h);
}
END_TEST

START_TEST(gather_elements_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[4], idims[4], to[4];
        int rank = oe_dims(&seed, dims, 1, 4, 5), axis = (int)pick((uint64_t)rank);
        if (dims[axis] == 0) continue;
        for (int d = 0; d < rank; d++)
            idims[d] = d == axis ? (int64_t)pick(7) : (int64_t)pick((uint64_t)dims[d] + 1);
        oh_init(&h, "GatherElements", 13, 1);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        oe_input(&h, oe_dtypes[pick(OE_DTYPES)], rank, dims, 0);
        int64_t *at = indices(&h, rank, idims, dims[axis]);
        ok(&h);
        oh_expect_dims(&h, 0, rank, idims);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank, idims);
            to[axis] = at[i];
            expect_element(&h, i, oe_index(to, rank, dims));
        }
        free(at);
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "GatherElements", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
    oh_input(&h, OX_INT64, OH_DIMS(1, 3));
    expect_failure(&h, "shape-mismatch");
    oh_init(&h, "GatherElements", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
    oh_input_of(&h, OX_INT64, OH_DIMS(1, 2), (int64_t[]){0, 3});
    expect_failure(&h, "index-range");
    oh_init(&h, "GatherElements", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
    oh_input(&h, OX_INT64, OH_DIMS(2));
    expect_failure(&h, "shape-mismatch");
}
END_TEST

/* Index tuples for dims[first .. first + k), in a tensor of the given dims whose last is k. */
static int64_t *tuples(struct oh *h, int rank, const int64_t *idims, const int64_t *dims) {
    int64_t *data = oh_input(h, OX_INT64, rank, idims), k = idims[rank - 1];
    size_t n = h->in[h->n_in - 1]->count;
    int64_t *values = calloc(n + 1, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        int64_t dim = dims[i % (size_t)k];
        data[i] = (int64_t)pick((uint64_t)(2 * dim)) - dim;
        values[i] = data[i] < 0 ? data[i] + dim : data[i];
    }
    return values;
}

START_TEST(gather_nd_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[5], idims[4], to[10], from[5];
        int rank = oe_dims(&seed, dims, 1, 5, 4), batch = (int)pick((uint64_t)rank > 2 ? 2 : 1);
        int irank = batch + 1 + (int)pick(2), k = 1 + (int)pick((uint64_t)(rank - batch));
        bool empty = false;
        for (int d = 0; d < rank; d++)
            empty = empty || dims[d] == 0;
        if (empty) continue;
        for (int d = 0; d < irank; d++)
            idims[d] = d < batch ? dims[d] : d == irank - 1 ? k : (int64_t)pick(4);
        oh_init(&h, "GatherND", 12, 1);
        oh_int(&h, "batch_dims", batch);
        oe_input(&h, oe_dtypes[pick(OE_DTYPES)], rank, dims, 0);
        int64_t *at = tuples(&h, irank, idims, dims + batch);
        ok(&h);
        int out_rank = irank - 1 + rank - batch - k;
        ck_assert_int_eq(h.out[0]->rank, out_rank);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, out_rank, h.out[0]->dims);
            for (int d = 0; d < batch; d++)
                from[d] = to[d];
            for (int d = 0; d < k; d++)
                from[batch + d] = at[oe_index(to, irank - 1, idims) * (size_t)k + (size_t)d];
            for (int d = batch + k; d < rank; d++)
                from[d] = to[irank - 1 + d - batch - k];
            expect_element(&h, i, oe_index(from, rank, dims));
        }
        free(at);
        oh_fini(&h);
    }
    static const struct {
        int rank;
        int64_t dims[2], at[4], batch;
        const char *id;
    } bad[] = {{2, {1, 2}, {3, 0}, 0, "index-range"},
               {2, {1, 2}, {0, -3}, 0, "index-range"},
               {2, {1, 3}, {0, 0, 0}, 0, "shape-mismatch"},
               {2, {1, 1}, {0}, 1, "shape-mismatch"},
               {1, {1}, {0}, 1, "shape-mismatch"},
               {2, {1, 1}, {0}, -1, "wrong-attribute"},
               {2, {1, 1}, {0}, INT64_MAX, "wrong-attribute"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct oh h;
        oh_init(&h, "GatherND", 13, 1);
        oh_int(&h, "batch_dims", bad[i].batch);
        oe_input(&h, OX_FLOAT, OH_DIMS(3, 2), 0);
        oh_input_of(&h, OX_INT64, bad[i].rank, bad[i].dims, bad[i].at);
        expect_failure(&h, bad[i].id);
    }
}
END_TEST

/* a combined with b by reduction r, for numbers small enough to be exact everywhere. */
static double combined(int r, double a, double b) {
    switch (r) {
    case 0:
        return b;
    case 1:
        return a + b;
    case 2:
        return a * b;
    case 3:
        return a > b ? a : b;
    default:
        return a < b ? a : b;
    }
}

static const char *const reductions[] = {"none", "add", "mul", "max", "min"};

static void number_input(struct oh *h, bool ints, int rank, const int64_t *dims, double *values) {
    void *data = oh_input(h, ints ? OX_INT16 : OX_FLOAT, rank, dims);
    for (size_t i = 0; i < h->in[h->n_in - 1]->count; i++) {
        values[i] = (double)pick(7) - 3;
        if (ints)
            ((int16_t *)data)[i] = (int16_t)values[i];
        else
            ((float *)data)[i] = (float)values[i];
    }
}

static void expect_numbers(const struct oh *h, bool ints, const double *values) {
    for (size_t i = 0; i < h->out[0]->count; i++) {
        double got =
            ints ? ((const int16_t *)h->out[0]->data)[i] : ((const float *)h->out[0]->data)[i];
        ck_assert_msg(got == values[i], "%s: element %zu is %g, expected %g", h->op->name, i, got,
                      values[i]);
    }
}

START_TEST(scatter_elements_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[3], idims[3], to[3];
        double data[125], updates[512];
        int rank = oe_dims(&seed, dims, 1, 3, 5), axis = (int)pick((uint64_t)rank),
            r = (int)pick(5);
        bool ints = pick(2);
        if (dims[axis] == 0) continue;
        for (int d = 0; d < rank; d++)
            idims[d] = (int64_t)pick((uint64_t)dims[d] + 1);
        oh_init(&h, r == 0 && pick(2) ? "Scatter" : "ScatterElements", 18, 1);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        if (r) oh_string(&h, "reduction", reductions[r]);
        number_input(&h, ints, rank, dims, data);
        int64_t *at = indices(&h, rank, idims, dims[axis]);
        number_input(&h, ints, rank, idims, updates);
        ok(&h);
        oh_expect_dims(&h, 0, rank, dims);
        for (size_t i = 0; i < h.in[1]->count; i++) {
            oe_coords(to, i, rank, idims);
            to[axis] = at[i];
            double *place = &data[oe_index(to, rank, dims)];
            *place = combined(r, *place, updates[i]);
        }
        expect_numbers(&h, ints, data);
        free(at);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(scatter_nd_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[3], idims[3], udims[6];
        double data[125], updates[512];
        int rank = oe_dims(&seed, dims, 1, 3, 5), irank = 1 + (int)pick(3), r = (int)pick(5);
        int k = 1 + (int)pick((uint64_t)rank), un = 0;
        bool ints = pick(2), empty = false;
        for (int d = 0; d < rank; d++)
            empty = empty || dims[d] == 0;
        if (empty) continue;
        for (int d = 0; d < irank; d++)
            idims[d] = d == irank - 1 ? k : 1 + (int64_t)pick(3);
        for (int d = 0; d < irank - 1; d++)
            udims[un++] = idims[d];
        for (int d = k; d < rank; d++)
            udims[un++] = dims[d];
        oh_init(&h, "ScatterND", 18, 1);
        if (r) oh_string(&h, "reduction", reductions[r]);
        number_input(&h, ints, rank, dims, data);
        int64_t *at = tuples(&h, irank, idims, dims);
        number_input(&h, ints, un, udims, updates);
        ok(&h);
        size_t count = h.in[1]->count / (size_t)k, row = h.in[2]->count / count;
        for (size_t i = 0; i < count; i++) {
            size_t place = oe_index(at + i * (size_t)k, k, dims) * row;
            for (size_t j = 0; j < row; j++)
                data[place + j] = combined(r, data[place + j], updates[i * row + j]);
        }
        expect_numbers(&h, ints, data);
        free(at);
        oh_fini(&h);
    }
}
END_TEST

static void scatter(struct oh *h, const char *op, int opset, const char *reduction, ox_dtype dtype,
                    int rank, const int64_t *dims, const int64_t *at, int urank,
                    const int64_t *udims) {
    oh_init(h, op, opset, 1);
    if (reduction) oh_string(h, "reduction", reduction);
    oe_input(h, dtype, OH_DIMS(2, 3), 0);
    oh_input_of(h, OX_INT64, rank, dims, at);
    oe_input(h, dtype, urank, udims, 2);
}

START_TEST(scatter_types_and_refusals) {
    struct oh h;
    for (size_t t = 0; t < OE_DTYPES; t++) { /* moving works for every type */
        scatter(&h, "ScatterND", 13, NULL, oe_dtypes[t], OH_DIMS(1, 1), (int64_t[]){1},
                OH_DIMS(1, 3));
        ok(&h);
        static const uint64_t expected[] = {0, 1, 2, 2, 3, 4};
        for (size_t i = 0; i < 6; i++)
            expect_element(&h, i, expected[i]);
        oh_fini(&h);
    }
    scatter(&h, "ScatterND", 13, NULL, OX_FLOAT, OH_DIMS(1, 1), (int64_t[]){2}, OH_DIMS(1, 3));
    expect_failure(&h, "index-range");
    scatter(&h, "ScatterND", 13, NULL, OX_FLOAT, OH_DIMS(1, 3), (int64_t[]){0, 0, 0}, OH_DIMS(1));
    expect_failure(&h, "shape-mismatch");
    scatter(&h, "ScatterND", 13, NULL, OX_FLOAT, OH_DIMS(1, 1), (int64_t[]){0}, OH_DIMS(1, 2));
    expect_failure(&h, "shape-mismatch");
    scatter(&h, "ScatterElements", 13, NULL, OX_FLOAT, OH_DIMS(1, 2), (int64_t[]){0, 2},
            OH_DIMS(1, 2));
    expect_failure(&h, "index-range");
    scatter(&h, "ScatterElements", 13, NULL, OX_FLOAT, OH_DIMS(1, 2), (int64_t[]){0, 1},
            OH_DIMS(2, 1));
    expect_failure(&h, "shape-mismatch");
    scatter(&h, "ScatterElements", 13, NULL, OX_FLOAT, OH_DIMS(1, 4), (int64_t[]){0, 1, 0, 1},
            OH_DIMS(1, 4));
    expect_failure(&h, "shape-mismatch");
    scatter(&h, "ScatterElements", 16, "max", OX_FLOAT, OH_DIMS(1, 1), (int64_t[]){0},
            OH_DIMS(1, 1));
    expect_failure(&h, "wrong-attribute");
    scatter(&h, "ScatterElements", 18, "sum", OX_FLOAT, OH_DIMS(1, 1), (int64_t[]){0},
            OH_DIMS(1, 1));
    expect_failure(&h, "wrong-attribute");
    scatter(&h, "ScatterElements", 18, "add", OX_STRING, OH_DIMS(1, 1), (int64_t[]){0},
            OH_DIMS(1, 1));
    ck_assert_int_eq(oh_eval(&h, 1), OX_UNSUPPORTED);
    oh_fini(&h);
    oh_init(&h, "ScatterND", 18, 1); /* NaN is not lost in a maximum */
    oh_string(&h, "reduction", "max");
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){NAN, 1});
    oh_input_of(&h, OX_INT64, OH_DIMS(2, 1), (int64_t[]){0, 1});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){5, NAN});
    ok(&h);
    oh_expect_floats(&h, 0, 2, (double[]){NAN, NAN}, 0);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_index");
    TCase *t = tcase_create("op_index");
    tcase_add_test(t, gather_random);
    tcase_add_test(t, gather_refuses_and_infers);
    tcase_add_test(t, gather_elements_random);
    tcase_add_test(t, gather_nd_random);
    tcase_add_test(t, scatter_elements_random);
    tcase_add_test(t, scatter_nd_random);
    tcase_add_test(t, scatter_types_and_refusals);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
