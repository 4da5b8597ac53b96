/* tests/unit/test_op_move.c - Transpose, Expand, Tile, DepthToSpace, SpaceToDepth, Concat, Split,
 * Slice, Pad.
 *
 * Each is compared, for random shapes and every width of element, with a loop over output
 * coordinates that says in one line where an element comes from. */
#include "op_elements.h"

#include <math.h>
#include <stdlib.h>

static uint64_t seed = 88172645463325252u;

static uint64_t pick(uint64_t n) {
    return oh_pick(&seed, n);
}

static ox_dtype any_dtype(void) {
    return oe_dtypes[pick(OE_DTYPES)];
}

static void expect_failure(struct oh *h, size_t n_out, const char *id) {
    ck_assert_int_eq(oh_eval(h, n_out), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

/* Output element i must be the number v. */
static void expect_element(const struct oh *h, size_t out, size_t i, uint64_t v) {
    const ox_tensor *t = h->out[out];
    uint64_t got = oe_get(t, i), want = oe_trim(t->dtype, v);
    if (got != want)
        ck_abort_msg("%s of %s: element %zu is %llu, expected %llu", h->op->name,
                     ox_dtype_name(t->dtype), i, (unsigned long long)got, (unsigned long long)want);
}

static void ok(struct oh *h, size_t n_out) {
    ck_assert_msg(oh_eval(h, n_out) == OX_OK, "%s: %s", h->op->name, h->text);
}

/* ---- Transpose ------------------------------------------------------------------------------- */

static void check_transpose(int rank, const int64_t *dims, const int64_t *perm, ox_dtype dtype,
                            int threads) {
    struct oh h;
    oh_init(&h, "Transpose", 13, threads);
    if (perm) oh_ints(&h, "perm", (size_t)rank, perm);
    oe_input(&h, dtype, rank, dims, 0);
    ok(&h, 1);
    ck_assert_int_eq(h.out[0]->rank, rank);
    for (size_t i = 0; i < h.out[0]->count; i++) {
        int64_t to[OX_MAX_RANK], from[OX_MAX_RANK];
        oe_coords(to, i, rank, h.out[0]->dims);
        for (int d = 0; d < rank; d++)
            from[perm ? perm[d] : rank - 1 - d] = to[d];
        expect_element(&h, 0, i, oe_index(from, rank, dims));
    }
    if (threads > 1) oh_same_with_threads(&h, 1);
    oh_fini(&h);
}

static void shuffle(int64_t *perm, int rank) {
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        int j = (int)pick((uint64_t)i + 1);
        int64_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
}

START_TEST(transpose_random) {
    for (int n = 0; n < 400; n++) {
        int64_t dims[6], perm[6];
        int rank = oe_dims(&seed, dims, 0, 5, 6);
        shuffle(perm, rank);
        check_transpose(rank, dims, pick(5) ? perm : NULL, any_dtype(), 1);
    }
}
END_TEST

START_TEST(transpose_large) {
    static const int64_t dims[] = {1, 19, 35, 18}, to_nhwc[] = {0, 2, 3, 1},
                         to_nchw[] = {0, 3, 1, 2}, heads[] = {0, 2, 1, 3}, back[] = {3, 2, 1, 0};
    for (size_t t = 0; t < OE_DTYPES; t++) {
        check_transpose(4, dims, to_nhwc, oe_dtypes[t], 3);
        check_transpose(4, dims, to_nchw, oe_dtypes[t], 3);
        check_transpose(4, dims, heads, oe_dtypes[t], 3);
        check_transpose(4, dims, back, oe_dtypes[t], 3);
    }
}
END_TEST

START_TEST(transpose_refuses) {
    static const struct {
        int n;
        int64_t perm[3];
        const char *id;
    } bad[] = {{2, {5, -7}, "wrong-attribute"},
               {2, {0, 0}, "wrong-attribute"},
               {2, {-1, 0}, "wrong-attribute"},
               {3, {0, 1, 2}, "shape-mismatch"},
               {1, {0}, "shape-mismatch"},
               {2, {INT64_MIN, 1}, "wrong-attribute"},
               {2, {INT64_MAX, 1}, "wrong-attribute"}};
    struct oh h;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oh_init(&h, "Transpose", 13, 1);
        oh_ints(&h, "perm", (size_t)bad[i].n, bad[i].perm);
        oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
        expect_failure(&h, 1, bad[i].id);
    }
    int64_t long_perm[65] = {0};
    oh_init(&h, "Transpose", 13, 1);
    oh_ints(&h, "perm", 65, long_perm);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    expect_failure(&h, 1, "wrong-attribute");
    oh_init(&h, "Transpose", 13, 1);
    OH_INTS(&h, "perm", 0, 2, 3, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 3, 0, 0), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a,c,d,3]");
    oh_fini(&h);
}
END_TEST

/* ---- Expand and Tile ------------------------------------------------------------------------- */

START_TEST(expand_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[5], shape[5], from[5], to[5];
        int rank = oe_dims(&seed, dims, 0, 4, 4), count = (int)pick(5);
        for (int i = 0; i < rank; i++)
            if (pick(2)) dims[i] = 1;
        for (int i = 0; i < count; i++) {
            int at = i - (count - rank);
            bool free_dim = at < 0 || dims[at] == 1;
            shape[i] = free_dim ? 1 + (int64_t)pick(4) : pick(2) ? dims[at] : 1;
        }
        oh_init(&h, "Expand", 13, 1);
        oe_input(&h, any_dtype(), rank, dims, 3);
        oe_int64s(&h, count, shape);
        ok(&h, 1);
        int out_rank = rank > count ? rank : count;
        ck_assert_int_eq(h.out[0]->rank, out_rank);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, out_rank, h.out[0]->dims);
            for (int d = 0; d < rank; d++)
                from[d] = dims[d] == 1 ? 0 : to[d + out_rank - rank];
            expect_element(&h, 0, i, 3 + oe_index(from, rank, dims));
        }
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "Expand", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(3), 0);
    OE_INT64S(&h, 2);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Expand", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(1), 0);
    OE_INT64S(&h, -1);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Expand", 13, 1); /* 160 GB */
    oe_input(&h, OX_FLOAT, 0, NULL, 0);
    OE_INT64S(&h, 200000, 200000);
    ck_assert_int_eq(oh_eval(&h, 1), OX_NOMEM);
    oh_fini(&h);
    oh_init(&h, "Expand", 13, 1);
    oe_input(&h, OX_FLOAT, 0, NULL, 0);
    OE_INT64S(&h, INT64_MAX, INT64_MAX);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "Expand", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 1, 5), 0);
    OE_INT64S(&h, 1, 7, 5);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a,7,5]");
    oh_fini(&h);
}
END_TEST

START_TEST(tile_random) {
    for (int n = 0; n < 300; n++) {
        struct oh h;
        int64_t dims[5], repeats[5], from[5], to[5];
        int rank = oe_dims(&seed, dims, 0, 4, 4);
        for (int i = 0; i < rank; i++)
            repeats[i] = (int64_t)pick(4);
        oh_init(&h, "Tile", 13, 1);
        oe_input(&h, any_dtype(), rank, dims, 1);
        oe_int64s(&h, rank, repeats);
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank, h.out[0]->dims);
            for (int d = 0; d < rank; d++)
                from[d] = to[d] % dims[d];
            expect_element(&h, 0, i, 1 + oe_index(from, rank, dims));
        }
        oh_fini(&h);
    }
    struct oh h;
    oh_init(&h, "Tile", 1, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(1, 2), 5);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &(float){3});
    oh_input_of(&h, OX_FLOAT, 0, NULL, &(float){1});
    h.no_infer = true;
    ok(&h, 1);
    oh_expect_dims(&h, 0, OH_DIMS(1, 6));
    for (size_t i = 0; i < 6; i++)
        expect_element(&h, 0, i, 5 + i % 2);
    oh_fini(&h);
    static const struct {
        int n;
        int64_t repeats[2];
        ox_status status;
    } bad[] = {{1, {2}, OX_INVALID},
               {2, {2, -1}, OX_INVALID},
               {2, {INT64_MAX, 2}, OX_INVALID},
               {2, {1000000, 1000000}, OX_NOMEM}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oh_init(&h, "Tile", 13, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
        oe_int64s(&h, bad[i].n, bad[i].repeats);
        ck_assert_int_eq(oh_eval(&h, 1), bad[i].status);
        oh_fini(&h);
    }
}
END_TEST

/* ---- DepthToSpace and SpaceToDepth ------------------------------------------------------------
 */

START_TEST(depth_and_space) {
    struct oh h;
    for (int n = 0; n < 60; n++) {
        int64_t b = 1 + (int64_t)pick(3), c = 1 + (int64_t)pick(3), height = 1 + (int64_t)pick(4),
                w = 1 + (int64_t)pick(4);
        int64_t deep[4] = {2, c * b * b, height, w}, wide[4] = {2, c, height * b, w * b};
        bool crd = pick(2);
        ox_dtype dtype = any_dtype();
        oh_init(&h, "DepthToSpace", 13, 1);
        oh_int(&h, "blocksize", b);
        oh_string(&h, "mode", crd ? "CRD" : "DCR");
        oe_input(&h, dtype, 4, deep, 0);
        ok(&h, 1);
        oh_expect_dims(&h, 0, 4, wide);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            int64_t to[4];
            oe_coords(to, i, 4, wide);
            int64_t row = to[2] % b, col = to[3] % b;
            int64_t channel = crd ? (to[1] * b + row) * b + col : (row * b + col) * c + to[1];
            int64_t from[4] = {to[0], channel, to[2] / b, to[3] / b};
            expect_element(&h, 0, i, oe_index(from, 4, deep));
        }
        oh_fini(&h);
        oh_init(&h, "SpaceToDepth", 13, 1);
        oh_int(&h, "blocksize", b);
        oe_input(&h, dtype, 4, wide, 0);
        ok(&h, 1);
        oh_expect_dims(&h, 0, 4, deep);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            int64_t to[4];
            oe_coords(to, i, 4, deep);
            int64_t block = to[1] / c,
                    from[4] = {to[0], to[1] % c, to[2] * b + block / b, to[3] * b + block % b};
            expect_element(&h, 0, i, oe_index(from, 4, wide));
        }
        oh_fini(&h);
    }
    static const int64_t blocks[] = {0, -2, INT64_MAX, INT64_MIN, 4294967296};
    static const char *const ops[] = {"DepthToSpace", "SpaceToDepth"};
    for (size_t i = 0; i < 10; i++) {
        oh_init(&h, ops[i % 2], 13, 1);
        oh_int(&h, "blocksize", blocks[i / 2]);
        oe_input(&h, OX_FLOAT, OH_DIMS(1, 4, 2, 2), 0);
        expect_failure(&h, 1, "wrong-attribute");
    }
    for (size_t i = 0; i < 2; i++) {
        oh_init(&h, ops[i], 13, 1);
        oh_int(&h, "blocksize", 3);
        oe_input(&h, OX_FLOAT, OH_DIMS(1, 4, 2, 2), 0);
        expect_failure(&h, 1, "shape-mismatch");
        oh_init(&h, ops[i], 13, 1);
        oh_int(&h, "blocksize", 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(1, 4, 2), 0);
        expect_failure(&h, 1, "shape-mismatch");
    }
}
END_TEST

/* ---- Concat and Split ------------------------------------------------------------------------ */

START_TEST(concat_random) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[4], parts[5], to[4];
        int rank = oe_dims(&seed, dims, 1, 4, 5), axis = (int)pick((uint64_t)rank),
            inputs = 1 + (int)pick(5);
        ox_dtype dtype = any_dtype();
        oh_init(&h, "Concat", 13, 1);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        for (int i = 0; i < inputs; i++) {
            dims[axis] = parts[i] = (int64_t)pick(4);
            oe_input(&h, dtype, rank, dims, 100 * (uint64_t)i);
        }
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            int part = 0;
            oe_coords(to, i, rank, h.out[0]->dims);
            while (to[axis] >= parts[part])
                to[axis] -= parts[part++];
            dims[axis] = parts[part];
            expect_element(&h, 0, i, 100 * (uint64_t)part + oe_index(to, rank, dims));
        }
        oh_fini(&h);
    }
}
END_TEST

START_TEST(concat_refuses_and_infers) {
    struct oh h;
    oh_init(&h, "Concat", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    expect_failure(&h, 1, "wrong-attribute"); /* no axis */
    static const int64_t axes[] = {2, -3, INT64_MIN};
    for (size_t i = 0; i < 3; i++) {
        oh_init(&h, "Concat", 13, 1);
        oh_int(&h, "axis", axes[i]);
        oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
        expect_failure(&h, 1, "wrong-attribute");
    }
    oh_init(&h, "Concat", 13, 1);
    oh_int(&h, "axis", 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 4), 0);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Concat", 13, 1);
    oh_int(&h, "axis", 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Concat", 13, 1);
    oh_int(&h, "axis", 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    oe_input(&h, OX_INT32, OH_DIMS(2, 3), 0);
    expect_failure(&h, 1, "wrong-type");
    oh_init(&h, "Concat", 13, 1);
    oh_int(&h, "axis", 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 0, 4), 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3, 4), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[2,b + 3,4]");
    oh_fini(&h);
    oh_init(&h, "Concat", 13, 1); /* one part of a shape is known, of the other only the length */
    oh_int(&h, "axis", 0);
    oe_input(&h, OX_INT64, OH_DIMS(2), 0);
    OE_INT64S(&h, 12, 64);
    ck_assert_str_eq(oe_symbolic(&h, 1), "int64[4]={?0,?1,12,64}");
    oh_fini(&h);
}
END_TEST

START_TEST(split_random) {
    for (int n = 0; n < 200; n++) {
        struct oh h;
        int64_t dims[4], parts[6], to[4];
        int rank = oe_dims(&seed, dims, 1, 4, 5), axis = (int)pick((uint64_t)rank),
            outputs = 1 + (int)pick(5);
        int form = (int)pick(4);
        dims[axis] = 0;
        for (int i = 0; i < outputs; i++) {
            parts[i] = form == 0 ? 2 : (int64_t)pick(4);
            dims[axis] += parts[i];
        }
        int64_t chunk = (dims[axis] + outputs - 1) / outputs, rest = dims[axis];
        for (int i = 0; form == 3 && i < outputs; i++) {
            parts[i] = chunk < rest ? chunk : rest;
            rest -= parts[i];
        }
        oh_init(&h, "Split", form == 3 ? 18 : form == 1 ? 11 : 13, 1);
        oh_int(&h, "axis", pick(2) ? axis : axis - rank);
        if (form == 1) oh_ints(&h, "split", (size_t)outputs, parts);
        if (form == 3) oh_int(&h, "num_outputs", outputs);
        oe_input(&h, any_dtype(), rank, dims, 0);
        if (form == 2) oe_int64s(&h, outputs, parts);
        ok(&h, (size_t)outputs);
        int64_t begin = 0;
        for (int part = 0; part < outputs; begin += parts[part++]) {
            ck_assert_int_eq(h.out[part]->dims[axis], parts[part]);
            for (size_t i = 0; i < h.out[part]->count; i++) {
                oe_coords(to, i, rank, h.out[part]->dims);
                to[axis] += begin;
                expect_element(&h, (size_t)part, i, oe_index(to, rank, dims));
            }
        }
        oh_fini(&h);
    }
}
END_TEST

START_TEST(split_refuses_and_infers) {
    struct oh h;
    static const struct {
        int n;
        int64_t sizes[3];
    } bad[] = {
        {2, {3, 4}},        {2, {-1, 7}}, {3, {2, 2, 2}}, {1, {6}}, {2, {INT64_MAX, INT64_MAX}},
        {2, {INT64_MIN, 6}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oh_init(&h, "Split", 13, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(6), 0);
        oe_int64s(&h, bad[i].n, bad[i].sizes);
        expect_failure(&h, 2, "shape-mismatch");
    }
    oh_init(&h, "Split", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(7), 0);
    expect_failure(&h, 2, "shape-mismatch"); /* not even */
    oh_init(&h, "Split", 18, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(7), 0);
    expect_failure(&h, 2, "wrong-attribute"); /* neither sizes nor num_outputs */
    oh_init(&h, "Split", 18, 1);
    oh_int(&h, "num_outputs", INT64_MIN);
    oe_input(&h, OX_FLOAT, OH_DIMS(7), 0);
    expect_failure(&h, 2, "wrong-attribute");
    oh_init(&h, "Split", 13, 1);
    oh_int(&h, "axis", 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 0), 0);
    ck_assert_str_eq(oe_symbolic(&h, 2), "float[a,floor(b/2)] float[a,floor(b/2)]");
    oh_fini(&h);
    oh_init(&h, "Split", 13, 1);
    oh_int(&h, "axis", 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 0), 0);
    OE_INT64S(&h, 3, 4);
    ck_assert_str_eq(oe_symbolic(&h, 2), "float[a,3] float[a,4]");
    oh_fini(&h);
}
END_TEST

/* ---- Slice ----------------------------------------------------------------------------------- */

/* First index and count of dim[start:end:step], step by step as the standard words it. */
static int64_t slice_of(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *list) {
    int64_t n = 0;
    if (start < 0) start += dim;
    if (end < 0) end += dim;
    if (step > 0) {
        start = start < 0 ? 0 : start > dim ? dim : start;
        end = end < 0 ? 0 : end > dim ? dim : end;
        for (int64_t i = start; i < end; i += step)
            list[n++] = i;
    } else {
        start = start < 0 ? 0 : start > dim - 1 ? dim - 1 : start;
        end = end < -1 ? -1 : end > dim - 1 ? dim - 1 : end;
        for (int64_t i = start; i > end && dim > 0; i += step)
            list[n++] = i;
    }
    return n;
}

START_TEST(slice_random) {
    for (int n = 0; n < 600; n++) {
        struct oh h;
        int64_t dims[4], axes[4], starts[4], ends[4], steps[4], lists[4][8], counts[4], to[4],
            from[4];
        int rank = oe_dims(&seed, dims, 1, 4, 6), used = (int)pick((uint64_t)rank + 1),
            opset = pick(4) ? 13 : 9;
        shuffle(axes, rank);
        for (int d = 0; d < rank; d++)
            counts[d] = slice_of(dims[d], 0, dims[d], 1, lists[d]);
        for (int i = 0; i < used; i++) {
            starts[i] = (int64_t)pick(16) - 8;
            ends[i] = (int64_t)pick(16) - 8;
            steps[i] = opset < 10 ? 1 : (int64_t)pick(3) + 1;
            if (opset >= 10 && pick(2)) steps[i] = -steps[i];
            counts[axes[i]] = slice_of(dims[axes[i]], starts[i], ends[i], steps[i], lists[axes[i]]);
            if (pick(2)) axes[i] -= rank;
        }
        oh_init(&h, "Slice", opset, 1);
        oe_input(&h, any_dtype(), rank, dims, 0);
        if (opset < 10) {
            oh_ints(&h, "starts", (size_t)used, starts);
            oh_ints(&h, "ends", (size_t)used, ends);
            oh_ints(&h, "axes", (size_t)used, axes);
        } else {
            oe_int64s(&h, used, starts);
            oe_int64s(&h, used, ends);
            oe_int64s(&h, used, axes);
            oe_int64s(&h, used, steps);
        }
        ok(&h, 1);
        oh_expect_dims(&h, 0, rank, counts);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            oe_coords(to, i, rank, counts);
            for (int d = 0; d < rank; d++)
                from[d] = lists[d][to[d]];
            expect_element(&h, 0, i, oe_index(from, rank, dims));
        }
        oh_fini(&h);
    }
}
END_TEST

static void slice(struct oh *h, int64_t start, int64_t end, int64_t axis, int64_t step) {
    oh_init(h, "Slice", 13, 1);
    oe_input(h, OX_FLOAT, OH_DIMS(0, 8), 0);
    oe_int64s(h, 1, &start);
    oe_int64s(h, 1, &end);
    oe_int64s(h, 1, &axis);
    oe_int64s(h, 1, &step);
}

START_TEST(slice_extremes) {
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -9,       -8, -1, 0, 1, 8,
                                   9,         INT64_MAX - 1, INT64_MAX};
    static const int64_t steps[] = {INT64_MIN, -3, -1, 1, 3, INT64_MAX};
    for (size_t s = 0; s < 11; s++)
        for (size_t e = 0; e < 11; e++)
            for (size_t t = 0; t < 6; t++) {
                struct oh h;
                oh_init(&h, "Slice", 13, 1);
                oe_input(&h, OX_UINT8, OH_DIMS(8), 0);
                oe_int64s(&h, 1, &ends[s]);
                oe_int64s(&h, 1, &ends[e]);
                oh_absent(&h);
                oe_int64s(&h, 1, &steps[t]);
                ok(&h, 1);
                for (size_t i = 0; i < h.out[0]->count; i++)
                    ck_assert_uint_lt(oe_get(h.out[0], i), 8);
                oh_fini(&h);
            }
}
END_TEST

START_TEST(slice_refuses_and_infers) {
    struct oh h;
    static const struct {
        int64_t v[4];
        const char *id;
    } bad[] = {{{0, 1, 0, 0}, "wrong-attribute"},
               {{0, 1, 2, 1}, "wrong-attribute"},
               {{0, 1, -3, 1}, "wrong-attribute"},
               {{0, 1, INT64_MIN, 1}, "wrong-attribute"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        slice(&h, bad[i].v[0], bad[i].v[1], bad[i].v[2], bad[i].v[3]);
        expect_failure(&h, 1, bad[i].id);
    }
    oh_init(&h, "Slice", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(8), 0);
    OE_INT64S(&h, 0, 0);
    OE_INT64S(&h, 1, 1);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Slice", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(8), 0);
    OE_INT64S(&h, 0);
    OE_INT64S(&h, 1, 1);
    expect_failure(&h, 1, "wrong-attribute");
    oh_init(&h, "Slice", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(8, 8), 0);
    OE_INT64S(&h, 0, 0);
    OE_INT64S(&h, 1, 1);
    OE_INT64S(&h, 0, -2);
    expect_failure(&h, 1, "wrong-attribute"); /* an axis twice */
    static const struct {
        int64_t v[4];
        const char *expected;
    } cases[] = {{{0, INT64_MAX, 0, 1}, "float[a,8]"},
                 {{1, INT64_MAX, 0, 1}, "float[max(a, 1) - 1,8]"},
                 {{0, -1, 0, 1}, "float[max(a, 1) - 1,8]"},
                 {{-1, INT64_MAX, 0, 1}, "float[min(a, 1),8]"},
                 {{0, 5, 0, 1}, "float[min(a, 5),8]"},
                 {{0, INT64_MAX, 0, 2}, "float[floor((a + 1)/2),8]"},
                 {{-1, INT64_MIN, 0, -1}, "float[a,8]"},
                 {{2, 6, 1, 3}, "float[a,2]"},
                 {{INT64_MAX, INT64_MAX, 0, 1}, "float[0,8]"},
                 {{-3, -1, 1, 1}, "float[a,2]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slice(&h, cases[i].v[0], cases[i].v[1], cases[i].v[2], cases[i].v[3]);
        ck_assert_str_eq(oe_symbolic(&h, 1), cases[i].expected);
        oh_fini(&h);
    }
}
END_TEST

/* ---- Pad ------------------------------------------------------------------------------------- */

/* Where index i of a cropped axis of n comes from; -1: the value. */
static int64_t pad_source(int mode, int64_t i, int64_t n) {
    while (i < 0 || i >= n) {
        if (mode == 0) return -1;
        if (mode == 1) i = i < 0 ? -i : 2 * (n - 1) - i;
        if (mode == 2) i = i < 0 ? 0 : n - 1;
        if (mode == 3) i += i < 0 ? n : -n;
        if (mode == 1 && n == 1) i = 0;
    }
    return i;
}

START_TEST(pad_random) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    for (int n = 0; n < 500; n++) {
        struct oh h;
        int64_t dims[4], pads[8], axes[4], full[8] = {0}, to[4], from[4];
        int rank = oe_dims(&seed, dims, 1, 4, 5), mode = (int)pick(4),
            used = (int)pick((uint64_t)rank + 1);
        bool with_axes = pick(2), with_value = mode == 0 && pick(2);
        ox_dtype dtype = any_dtype();
        if (!with_axes) used = rank;
        shuffle(axes, rank);
        for (int i = 0; i < rank; i++)
            if (!with_axes) axes[i] = i;
        bool fits = true;
        for (int i = 0; i < used; i++) {
            int64_t d = dims[axes[i]];
            pads[i] = (int64_t)pick(9) - 2;
            pads[used + i] = (int64_t)pick(9) - 2;
            int64_t kept =
                d + (pads[i] < 0 ? pads[i] : 0) + (pads[used + i] < 0 ? pads[used + i] : 0);
            if (kept <= 0) fits = false; /* cropped to nothing: looked at below */
            full[axes[i]] = pads[i];
            full[rank + axes[i]] = pads[used + i];
            if (with_axes && pick(2)) axes[i] -= rank;
        }
        if (!fits) continue;
        oh_init(&h, "Pad", 21, 1);
        oh_string(&h, "mode", modes[mode]);
        oe_input(&h, dtype, rank, dims, 0);
        oe_int64s(&h, 2 * used, pads);
        if (with_value) oe_input(&h, dtype, 0, NULL, 1);
        if (with_axes && !with_value) oh_absent(&h);
        if (with_axes) oe_int64s(&h, used, axes);
        ok(&h, 1);
        for (size_t i = 0; i < h.out[0]->count; i++) {
            bool outside = false;
            oe_coords(to, i, rank, h.out[0]->dims);
            for (int d = 0; d < rank; d++) {
                int64_t crop = full[d] < 0 ? -full[d] : 0, lead = full[d] > 0 ? full[d] : 0;
                int64_t kept = dims[d] - crop + (full[rank + d] < 0 ? full[rank + d] : 0);
                from[d] = pad_source(mode, to[d] - lead, kept);
                outside = outside || from[d] < 0;
                from[d] += crop;
            }
            expect_element(&h, 0, i, outside ? with_value : oe_index(from, rank, dims));
        }
        oh_fini(&h);
    }
}
END_TEST

static void pad(struct oh *h, const char *mode, int n, const int64_t *pads) {
    oh_init(h, "Pad", 13, 1);
    oh_string(h, "mode", mode);
    oe_input(h, OX_FLOAT, OH_DIMS(2, 3), 0);
    oe_int64s(h, n, pads);
}

START_TEST(pad_forms_and_refusals) {
    struct oh h;
    for (int opset = 1; opset <= 2; opset++) { /* attributes */
        oh_init(&h, "Pad", opset, 1);
        OH_INTS(&h, opset == 1 ? "paddings" : "pads", 0, 1, 0, 0);
        oh_float(&h, "value", 0.5f);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1), &(float){2});
        ok(&h, 1);
        oh_expect_floats(&h, 0, 2, (double[]){0.5, 2}, 0);
        oh_fini(&h);
    }
    static const struct {
        const char *mode;
        int n;
        int64_t pads[6];
        const char *id;
    } bad[] = {{"constant", 3, {0, 0, 0}, "wrong-attribute"},
               {"constant", 6, {0}, "shape-mismatch"},
               {"constant", 4, {-3, 0, 0, 0}, "shape-mismatch"},
               {"constant", 4, {INT64_MAX, 0, INT64_MAX, 0}, "shape-mismatch"},
               {"constant", 4, {INT64_MIN, 0, 0, 0}, "shape-mismatch"},
               {"edge", 4, {-2, 0, 3, 0}, "shape-mismatch"},
               {"mirror", 4, {0}, "wrong-attribute"},
               {"wrap", 4, {0}, "wrong-attribute"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pad(&h, bad[i].mode, bad[i].n, bad[i].pads);
        expect_failure(&h, 1, bad[i].id);
    }
    pad(&h, "constant", 4, (int64_t[]){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
    ck_assert_int_ne(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);
    pad(&h, "constant", 4, (int64_t[]){0, 0, 0, 1});
    oe_input(&h, OX_INT32, 0, NULL, 0);
    expect_failure(&h, 1, "wrong-type");
    pad(&h, "constant", 4, (int64_t[]){0, 0, 0, 1});
    oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
    expect_failure(&h, 1, "shape-mismatch");
    pad(&h, "constant", 4, (int64_t[]){-2, 0, 2, 0}); /* nothing of the input is left */
    ok(&h, 1);
    oh_expect_floats(&h, 0, 6, (double[6]){0}, 0);
    oh_fini(&h);
    oh_init(&h, "Pad", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 3), 0);
    OE_INT64S(&h, 1, 1, 2, 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a + 3,4]");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_move");
    TCase *t = tcase_create("op_move");
    tcase_add_test(t, transpose_random);
    tcase_add_test(t, transpose_large);
    tcase_add_test(t, transpose_refuses);
    tcase_add_test(t, expand_random);
    tcase_add_test(t, tile_random);
    tcase_add_test(t, depth_and_space);
    tcase_add_test(t, concat_random);
    tcase_add_test(t, concat_refuses_and_infers);
    tcase_add_test(t, split_random);
    tcase_add_test(t, split_refuses_and_infers);
    tcase_add_test(t, slice_random);
    tcase_add_test(t, slice_extremes);
    tcase_add_test(t, slice_refuses_and_infers);
    tcase_add_test(t, pad_random);
    tcase_add_test(t, pad_forms_and_refusals);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
