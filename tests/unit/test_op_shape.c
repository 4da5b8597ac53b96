/* tests/unit/test_op_shape.c - Shape, Size, Reshape, Flatten, Squeeze, Unsqueeze, Constant,
 * ConstantOfShape, Range, EyeLike. */
#include "op_elements.h"

#include <math.h>
#include <stdlib.h>

#define EXPECT_INTS(h, ...)                                                                        \
    expect_ints(h, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})
static void expect_ints(const struct oh *h, size_t n, const int64_t *expected) {
    ck_assert_int_eq(h->out[0]->dtype, OX_INT64);
    ck_assert_uint_eq(h->out[0]->count, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(((const int64_t *)h->out[0]->data)[i], expected[i]);
}

static void expect_failure(struct oh *h, size_t n_out, const char *id) {
    ck_assert_int_eq(oh_eval(h, n_out), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

START_TEST(shape_and_size) {
    struct oh h;
    oh_init(&h, "Shape", 13, 1);
    oe_input(&h, OX_INT4, OH_DIMS(2, 0, 5), 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    EXPECT_INTS(&h, 2, 0, 5);
    oh_fini(&h);
    static const struct {
        int64_t start, end;
        int n;
        int64_t expected[3];
    } cases[] = {{0, 9, 3, {2, 3, 5}},          {1, 3, 2, {3, 5}}, {-1, 9, 1, {5}},
                 {-9, -1, 2, {2, 3}},           {2, 1, 0, {0}},    {INT64_MIN, INT64_MIN, 0, {0}},
                 {INT64_MAX, INT64_MAX, 0, {0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oh_init(&h, "Shape", 21, 1);
        oh_int(&h, "start", cases[i].start);
        oh_int(&h, "end", cases[i].end);
        oe_input(&h, OX_STRING, OH_DIMS(2, 3, 5), 0);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        expect_ints(&h, (size_t)cases[i].n, cases[i].expected);
        oh_fini(&h);
    }
    oh_init(&h, "Size", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3, 5), 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    EXPECT_INTS(&h, 30);
    oh_fini(&h);
    oh_init(&h, "Shape", 15, 1);
    oh_int(&h, "start", 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 3, 0), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "int64[2]={3,c}");
    oh_fini(&h);
    oh_init(&h, "Size", 15, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 3, 0), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "int64={3*a*c}");
    oh_fini(&h);
}
END_TEST

static void reshape(struct oh *h, int opset, int rank, const int64_t *dims, int n,
                    const int64_t *to) {
    oh_init(h, "Reshape", opset, 1);
    oe_input(h, OX_FLOAT, rank, dims, 0);
    oe_int64s(h, n, to);
}

START_TEST(reshape_values) {
    struct oh h;
    static const struct {
        int n;
        int64_t to[4];
        int rank;
        int64_t dims[4];
    } cases[] = {{2, {6, 4}, 2, {6, 4}},
                 {2, {-1, 4}, 2, {6, 4}},
                 {3, {0, -1, 2}, 3, {2, 6, 2}},
                 {1, {-1}, 1, {24}},
                 {4, {0, 0, 0, 1}, 4, {2, 3, 4, 1}},
                 {3, {0, 0, -1}, 3, {2, 3, 4}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t t = 0; t < OE_DTYPES; t++) {
            oh_init(&h, "Reshape", 14, 1);
            oe_input(&h, oe_dtypes[t], OH_DIMS(2, 3, 4), 0);
            oe_int64s(&h, cases[i].n, cases[i].to);
            ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
            oh_expect_dims(&h, 0, cases[i].rank, cases[i].dims);
            for (size_t k = 0; k < 24; k++)
                ck_assert_uint_eq(oe_get(h.out[0], k), oe_trim(oe_dtypes[t], k));
            oh_fini(&h);
        }
    }
    reshape(&h, 13, OH_DIMS(1, 1), 0, NULL); /* to a scalar */
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 0, NULL);
    oh_fini(&h);
    reshape(&h, 14, OH_DIMS(0, 3), 2, (int64_t[]){3, 0});
    oh_int(&h, "allowzero", 1);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(3, 0));
    oh_fini(&h);
    oh_init(&h, "Reshape", 1, 1); /* the shape was an attribute */
    OH_INTS(&h, "shape", -1, 2);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(3, 2));
    oh_fini(&h);
}
END_TEST

START_TEST(reshape_refuses) {
    struct oh h;
    static const struct {
        int n;
        int64_t to[4];
    } cases[] = {{2, {-1, -1}},
                 {2, {5, 5}},
                 {2, {-1, 5}},
                 {2, {-2, 3}},
                 {4, {2, 3, 1, 0}},
                 {1, {INT64_MIN}},
                 {3, {INT64_MAX, INT64_MAX, -1}},
                 {3, {INT64_MAX, 2, 3}},
                 {2, {4294967296, 4294967296}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reshape(&h, 13, OH_DIMS(2, 3, 1), cases[i].n, cases[i].to);
        expect_failure(&h, 1, "shape-mismatch");
    }
    reshape(&h, 13, OH_DIMS(0, 3), 2, (int64_t[]){0, -1}); /* 0 / 0 */
    expect_failure(&h, 1, "shape-mismatch");
    reshape(&h, 14, OH_DIMS(0, 3), 2, (int64_t[]){0, -1});
    oh_int(&h, "allowzero", 1);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Reshape", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    oe_input(&h, OX_FLOAT, OH_DIMS(2), 0);
    expect_failure(&h, 1, "wrong-type");
    oh_init(&h, "Reshape", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3), 0);
    expect_failure(&h, 1, "wrong-arity");
}
END_TEST

START_TEST(reshape_symbols) {
    struct oh h;
    static const struct {
        int rank;
        int64_t dims[4];
        int n;
        int64_t to[4];
        const char *expected;
    } cases[] = {{3, {0, 12, 64}, 2, {0, -1}, "float[a,768]"},
                 {3, {0, 12, 64}, 2, {-1, 768}, "float[a,768]"},
                 {3, {0, 0, 768}, 4, {0, 0, 12, 64}, "float[a,b,12,64]"},
                 {3, {0, 0, 768}, 4, {0, -1, 12, 64}, "float[a,b,12,64]"},
                 {3, {0, 0, 768}, 2, {-1, 768}, "float[a*b,768]"},
                 {4, {0, 8, 0, 0}, 3, {0, 8, -1}, "float[a,8,c*d]"},
                 {4, {0, 8, 0, 0}, 1, {-1}, "float[8*a*c*d]"},
                 {2, {0, 6}, 2, {2, -1}, "float[2,3*a]"},
                 {2, {0, 6}, 2, {4, -1}, "float[4,a + floor(a/2)]"},
                 {2, {4, 6}, 2, {5, -1}, "shape-mismatch"},
                 {2, {4, 6}, 3, {0, 0, 0}, "shape-mismatch"},
                 {2, {4, 6}, 2, {3, 7}, "shape-mismatch"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reshape(&h, 13, cases[i].rank, cases[i].dims, cases[i].n, cases[i].to);
        ck_assert_str_eq(oe_symbolic(&h, 1), cases[i].expected);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(flatten) {
    struct oh h;
    static const struct {
        int64_t axis, left, right;
    } cases[] = {{0, 1, 24}, {1, 2, 12}, {2, 6, 4}, {3, 24, 1}, {-1, 6, 4}, {-3, 1, 24}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        oh_init(&h, "Flatten", 13, 1);
        oh_int(&h, "axis", cases[i].axis);
        oe_input(&h, OX_UINT2, OH_DIMS(2, 3, 4), 0);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, OH_DIMS(cases[i].left, cases[i].right));
        oh_fini(&h);
    }
    static const int64_t bad[] = {4, -4, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        oh_init(&h, "Flatten", 13, 1);
        oh_int(&h, "axis", bad[i]);
        oe_input(&h, OX_FLOAT, OH_DIMS(2, 3, 4), 0);
        expect_failure(&h, 1, "wrong-attribute");
    }
    oh_init(&h, "Flatten", 9, 1);
    oh_int(&h, "axis", -1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 3, 4), 0);
    expect_failure(&h, 1, "wrong-attribute");
    oh_init(&h, "Flatten", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 0, 7), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a,7*b]");
    oh_fini(&h);
}
END_TEST

START_TEST(squeeze_and_unsqueeze) {
    struct oh h;
    for (int opset = 11; opset <= 13; opset += 2) {
        oh_init(&h, "Squeeze", opset, 1);
        static const int64_t gone[] = {-3, 0}, added[] = {-1, 0, 2};
        if (opset == 11) oh_ints(&h, "axes", 2, gone);
        oe_input(&h, OX_INT4, OH_DIMS(1, 1, 3, 1), 0);
        if (opset == 13) OE_INT64S(&h, -3, 0);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, OH_DIMS(3, 1));
        oh_fini(&h);
        oh_init(&h, "Unsqueeze", opset, 1);
        if (opset == 11) oh_ints(&h, "axes", 3, added);
        oe_input(&h, OX_STRING, OH_DIMS(2, 3), 0);
        if (opset == 13) OE_INT64S(&h, -1, 0, 2);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, OH_DIMS(1, 2, 1, 3, 1));
        oh_fini(&h);
    }
    oh_init(&h, "Squeeze", 13, 1); /* no axes: all that are 1 */
    oe_input(&h, OX_FLOAT, OH_DIMS(1, 2, 1), 0);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(2));
    oh_fini(&h);
    static const struct {
        const char *op;
        int64_t axes[2];
        const char *id;
    } bad[] = {
        {"Squeeze", {1, 0}, "shape-mismatch"},    {"Squeeze", {0, 3}, "wrong-attribute"},
        {"Squeeze", {0, -3}, "wrong-attribute"},  {"Squeeze", {0, INT64_MIN}, "wrong-attribute"},
        {"Unsqueeze", {0, 0}, "wrong-attribute"}, {"Unsqueeze", {0, -5}, "wrong-attribute"},
        {"Unsqueeze", {5, 1}, "wrong-attribute"}, {"Unsqueeze", {INT64_MAX, 1}, "wrong-attribute"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oh_init(&h, bad[i].op, 13, 1);
        oe_input(&h, OX_FLOAT, OH_DIMS(1, 2, 1), 0);
        oe_int64s(&h, 2, bad[i].axes);
        expect_failure(&h, 1, bad[i].id);
    }
    oh_init(&h, "Unsqueeze", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(1, 2, 1), 0);
    int64_t many[64] = {0};
    oe_int64s(&h, 64, many);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "Squeeze", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 1), 0);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[]"); /* whether a is 1 cannot be told */
    oh_fini(&h);
    oh_init(&h, "Squeeze", 13, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(0, 1, 0), 0);
    OE_INT64S(&h, 1);
    ck_assert_str_eq(oe_symbolic(&h, 1), "float[a,c]");
    oh_fini(&h);
}
END_TEST

START_TEST(constant_forms) {
    struct oh h;
    oh_init(&h, "Constant", 13, 1);
    oh_int(&h, "value_int", -7);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    EXPECT_INTS(&h, -7);
    oh_expect_dims(&h, 0, 0, NULL);
    oh_fini(&h);
    oh_init(&h, "Constant", 13, 1);
    OH_INTS(&h, "value_ints", 3, 1);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    EXPECT_INTS(&h, 3, 1);
    ck_assert_str_eq(oe_symbolic(&h, 1), "int64[2]={3,1}");
    oh_fini(&h);
    oh_init(&h, "Constant", 13, 1);
    OH_FLOATS(&h, "value_floats", 0.5f, 2);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 2, (double[]){0.5, 2}, 0);
    oh_fini(&h);
    oh_init(&h, "Constant", 13, 1);
    oh_float(&h, "value_float", 0.25f);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 1, (double[]){0.25}, 0);
    oh_fini(&h);
    oh_init(&h, "Constant", 13, 1);
    oh_string(&h, "value_string", "77");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_STRING);
    ck_assert_uint_eq(oe_get(h.out[0], 0), 77);
    oh_fini(&h);
    oh_init(&h, "Constant", 13, 1);
    expect_failure(&h, 1, "wrong-attribute");
    oh_init(&h, "Constant", 13, 1);
    oh_float(&h, "value_float", 1);
    oh_int(&h, "value_int", 1);
    expect_failure(&h, 1, "wrong-attribute");
    oh_init(&h, "Constant", 11, 1);
    oh_int(&h, "value_int", 1);
    expect_failure(&h, 1, "wrong-attribute");
    oh_init(&h, "Constant", 13, 1);
    oh_string(&h, "value_int", "1");
    expect_failure(&h, 1, "wrong-attribute");
}
END_TEST

static void sparse_constant(struct oh *h, struct ox_sparse *sparse, struct ox_sparse **list,
                            int rank, const int64_t *dims, const int64_t *at, int at_rank,
                            const int64_t *at_dims) {
    int64_t n = 2;
    oh_init(h, "Constant", 13, 1);
    *sparse = (struct ox_sparse){.rank = rank, .dims = dims};
    ck_assert_int_eq(ox_tensor_copy(&sparse->values, h->ctx, OX_FLOAT, 1, &n, (float[]){5, 6}, 8),
                     OX_OK);
    ck_assert_int_eq(
        ox_tensor_copy(&sparse->indices, h->ctx, OX_INT64, at_rank, at_dims, at,
                       sizeof *at * (size_t)(at_rank == 2 ? at_dims[0] * at_dims[1] : at_dims[0])),
        OX_OK);
    *list = sparse;
    oh_int(h, "sparse_value", 0);
    h->attrs[0].type = OX_ATTR_SPARSE_TENSOR;
    h->attrs[0].v.sparse = list;
}

START_TEST(constant_sparse) {
    struct oh h;
    struct ox_sparse s, *list;
    static const struct {
        int rank;
        int64_t dims[2], at[4];
        bool ok;
    } cases[] = {{1, {2}, {1, 5}, true},           {1, {2}, {1, 6}, false},
                 {1, {2}, {-1, 5}, false},         {2, {2, 2}, {0, 1, 1, 2}, true},
                 {2, {2, 2}, {0, 1, 2, 0}, false}, {2, {2, 2}, {0, 3, 1, 0}, false},
                 {2, {2, 1}, {0, 3}, false},       {1, {1}, {0}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sparse_constant(&h, &s, &list, 2, (int64_t[]){2, 3}, cases[i].at, cases[i].rank,
                        cases[i].dims);
        ck_assert_int_eq(oh_eval(&h, 1), cases[i].ok ? OX_OK : OX_INVALID);
        if (cases[i].ok) oh_expect_floats(&h, 0, 6, (double[]){0, 5, 0, 0, 0, 6}, 0);
        ox_tensor_unref(s.values);
        ox_tensor_unref(s.indices);
        oh_fini(&h);
    }
}
END_TEST

static void constant_of_shape(struct oh *h, ox_dtype dtype, const void *value, size_t size, int n,
                              const int64_t *dims) {
    int64_t one = 1;
    oh_init(h, "ConstantOfShape", 20, 1);
    oh_int(h, "value", 0);
    h->attrs[0].type = OX_ATTR_TENSOR;
    ck_assert_int_eq(ox_tensor_copy(&h->attrs[0].v.t, h->ctx, dtype, 1, &one, value, size), OX_OK);
    oe_int64s(h, n, dims);
}

START_TEST(constant_of_shape_values) {
    struct oh h;
    int64_t eleven = 11;
    uint8_t three = 3;
    constant_of_shape(&h, OX_INT64, &eleven, 8, 2, (int64_t[]){2, 2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    EXPECT_INTS(&h, 11, 11, 11, 11);
    ox_tensor_unref(h.attrs[0].v.t);
    oh_fini(&h);
    constant_of_shape(&h, OX_INT64, &eleven, 8, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 0, NULL);
    EXPECT_INTS(&h, 11);
    ox_tensor_unref(h.attrs[0].v.t);
    oh_fini(&h);
    constant_of_shape(&h, OX_UINT4, &three, 1, 1, (int64_t[]){5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(oe_get(h.out[0], i), 3);
    ox_tensor_unref(h.attrs[0].v.t);
    oh_fini(&h);
    oh_init(&h, "ConstantOfShape", 9, 1);
    OE_INT64S(&h, 3);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 3, (double[]){0, 0, 0}, 0);
    oh_fini(&h);
    oh_init(&h, "ConstantOfShape", 9, 1);
    OE_INT64S(&h, 3, -1);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "ConstantOfShape", 9, 1); /* 64 GiB: refused, not tried */
    OE_INT64S(&h, 131072, 131072);
    ck_assert_int_eq(oh_eval(&h, 1), OX_NOMEM);
    oh_fini(&h);
    oh_init(&h, "ConstantOfShape", 9, 1);
    OE_INT64S(&h, INT64_MAX, INT64_MAX);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

static ox_status range(struct oh *h, ox_dtype dtype, double start, double limit, double delta) {
    const double v[3] = {start, limit, delta};
    oh_init(h, "Range", 11, 1);
    for (int i = 0; i < 3; i++) {
        if (dtype == OX_INT64) {
            oe_int64(h, (int64_t)v[i]);
        } else if (dtype == OX_FLOAT) {
            oh_input_of(h, OX_FLOAT, 0, NULL, &(float){(float)v[i]});
        } else {
            oh_input_of(h, OX_INT16, 0, NULL, &(int16_t){(int16_t)v[i]});
        }
    }
    h->no_infer =
        dtype != OX_INT64; /* the length of others follows from values that are not tracked */
    return oh_eval(h, 1);
}

START_TEST(range_values) {
    struct oh h;
    ck_assert_int_eq(range(&h, OX_INT64, 3, 9, 3), OX_OK);
    EXPECT_INTS(&h, 3, 6);
    oh_fini(&h);
    ck_assert_int_eq(range(&h, OX_INT64, 10, 4, -2), OX_OK);
    EXPECT_INTS(&h, 10, 8, 6);
    oh_fini(&h);
    ck_assert_int_eq(range(&h, OX_INT64, 10, 4, 2), OX_OK);
    ck_assert_uint_eq(h.out[0]->count, 0);
    oh_fini(&h);
    ck_assert_int_eq(range(&h, OX_FLOAT, 1, 2.25, 0.5), OX_OK);
    oh_expect_floats(&h, 0, 3, (double[]){1, 1.5, 2}, 0);
    oh_fini(&h);
    ck_assert_int_eq(range(&h, OX_INT16, 5, -6, -5), OX_OK);
    ck_assert_uint_eq(h.out[0]->count, 3);
    ck_assert_int_eq(((const int16_t *)h.out[0]->data)[2], -5);
    oh_fini(&h);
    static const struct {
        ox_dtype dtype;
        double v[3];
        ox_status status;
    } bad[] = {{OX_INT64, {0, 5, 0}, OX_INVALID},       {OX_FLOAT, {0, 5, 0}, OX_INVALID},
               {OX_FLOAT, {0, NAN, 1}, OX_INVALID},     {OX_FLOAT, {0, 1, NAN}, OX_INVALID},
               {OX_INT64, {0, 1e12, 1}, OX_NOMEM},      {OX_FLOAT, {0, INFINITY, 1}, OX_INVALID},
               {OX_FLOAT, {0, 1e30, 1e-30}, OX_INVALID}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(range(&h, bad[i].dtype, bad[i].v[0], bad[i].v[1], bad[i].v[2]),
                         bad[i].status);
        oh_fini(&h);
    }
    oh_init(&h, "Range", 11, 1); /* the whole int64 line in two steps */
    oe_int64(&h, INT64_MIN);
    oe_int64(&h, INT64_MAX);
    oe_int64(&h, INT64_MAX);
    h.no_infer = true;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    EXPECT_INTS(&h, INT64_MIN, -1, INT64_MAX - 1);
    oh_fini(&h);
    oh_init(&h, "Range", 11, 1);
    OE_INT64S(&h, 1, 2);
    oe_int64(&h, 1);
    oe_int64(&h, 1);
    expect_failure(&h, 1, "shape-mismatch");
}
END_TEST

START_TEST(eye_like) {
    struct oh h;
    for (int64_t k = -4; k <= 5; k++) {
        oh_init(&h, "EyeLike", 9, 1);
        oh_int(&h, "k", k);
        oh_int(&h, "dtype", OX_INT64);
        oe_input(&h, OX_BOOL, OH_DIMS(3, 4), 0);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        for (int64_t i = 0; i < 12; i++)
            ck_assert_int_eq(((const int64_t *)h.out[0]->data)[i], i % 4 - i / 4 == k);
        oh_fini(&h);
    }
    static const int64_t far[] = {INT64_MIN, INT64_MAX};
    for (int i = 0; i < 2; i++) {
        oh_init(&h, "EyeLike", 22, 1);
        oh_int(&h, "k", far[i]);
        oe_input(&h, OX_FLOAT, OH_DIMS(2, 2), 9);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_floats(&h, 0, 4, (double[]){0, 0, 0, 0}, 0);
        oh_fini(&h);
    }
    oh_init(&h, "EyeLike", 9, 1);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 2, 2), 0);
    expect_failure(&h, 1, "shape-mismatch");
    oh_init(&h, "EyeLike", 9, 1);
    oh_int(&h, "dtype", OX_STRING);
    oe_input(&h, OX_FLOAT, OH_DIMS(2, 2), 0);
    expect_failure(&h, 1, "wrong-attribute");
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_shape");
    TCase *t = tcase_create("op_shape");
    tcase_add_test(t, shape_and_size);
    tcase_add_test(t, reshape_values);
    tcase_add_test(t, reshape_refuses);
    tcase_add_test(t, reshape_symbols);
    tcase_add_test(t, flatten);
    tcase_add_test(t, squeeze_and_unsqueeze);
    tcase_add_test(t, constant_forms);
    tcase_add_test(t, constant_sparse);
    tcase_add_test(t, constant_of_shape_values);
    tcase_add_test(t, range_values);
    tcase_add_test(t, eye_like);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
