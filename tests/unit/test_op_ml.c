/* tests/unit/test_op_ml.c - ai.onnx.ml. What the models here give was compared with ONNX Runtime's
 * answers. */
#include "ir/base/bytes.h"
#include "op_harness.h"

#include <math.h>
#include <string.h>

static void start(struct oh *h, const char *op, int opset) {
    oh_init(h, "Identity", opset, 1);
    h->op = ox_op_find("ai.onnx.ml", op);
    ck_assert_msg(h->op != NULL, "no operator %s", op);
}

static void strings_attr(struct oh *h, const char *name, size_t n, const struct ox_str *s) {
    oh_string(h, name, "");
    h->attrs[h->n_attrs - 1].type = OX_ATTR_STRINGS;
    h->attrs[h->n_attrs - 1].count = n;
    h->attrs[h->n_attrs - 1].v.strings = s;
}

static void fails(struct oh *h, size_t n_out, const char *id) {
    ck_assert_int_eq(oh_eval(h, n_out), OX_INVALID);
    ck_assert_str_eq(h->id, id);
    oh_fini(h);
}

static void expect_ints(const struct oh *h, size_t n, const int64_t *want) {
    ck_assert_int_eq(h->out[0]->dtype, OX_INT64);
    ck_assert_uint_eq(h->out[0]->count, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(((const int64_t *)h->out[0]->data)[i], want[i]);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static const struct ox_str abc[] = {{"a", 1}, {"b", 1}, {"", 0}};

START_TEST(labels_are_looked_up) {
    struct oh h;
    start(&h, "LabelEncoder", 2);
    OH_FLOATS(&h, "keys_floats", 1.5f, NAN, 0);
    OH_INTS(&h, "values_int64s", 7, 8, 9);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2), (float[]){NAN, 1.5f, -0.f, 3});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    expect_ints(&h, 4, (int64_t[]){8, 7, 9, -1});
    oh_fini(&h);
    start(&h, "LabelEncoder", 1); /* both ways: the strings' places */
    strings_attr(&h, "classes_strings", 3, abc);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, (int64_t[]){3},
                                       (struct ox_str[]){{"", 0}, {"a", 1}, {"x", 1}}),
                     OX_OK);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    expect_ints(&h, 3, (int64_t[]){2, 0, -1});
    oh_fini(&h);
    start(&h, "CategoryMapper", 1);
    strings_attr(&h, "cats_strings", 2, abc);
    OH_INTS(&h, "cats_int64s", 4, 5);
    oh_input_of(&h, OX_INT64, 0, NULL, (int64_t[]){5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert(((const struct ox_str *)h.out[0]->data)->len == 1 &&
              *((const struct ox_str *)h.out[0]->data)->ptr == 'b');
    oh_fini(&h);
}
END_TEST

START_TEST(tables_refuse_nonsense) {
    struct oh h;
    start(&h, "LabelEncoder", 2);
    OH_FLOATS(&h, "keys_floats", 1);
    OH_INTS(&h, "values_int64s", 7, 8);
    oh_input(&h, OX_FLOAT, OH_DIMS(1));
    fails(&h, 1, "wrong-attribute");
    start(&h, "LabelEncoder", 2);
    OH_FLOATS(&h, "keys_floats", 1);
    OH_INTS(&h, "values_int64s", 7);
    oh_input(&h, OX_INT64, OH_DIMS(1));
    fails(&h, 1, "wrong-attribute");
    start(&h, "OneHotEncoder", 1);
    OH_INTS(&h, "cats_int64s", 1, 2);
    oh_int(&h, "zeros", 0);
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){3});
    fails(&h, 1, "unknown-category");
    start(&h, "OneHotEncoder", 1);
    oh_input(&h, OX_INT64, OH_DIMS(1));
    fails(&h, 1, "wrong-attribute");
    start(&h, "LabelEncoder", 6);
    oh_input(&h, OX_INT64, OH_DIMS(1));
    ck_assert_int_eq(oh_eval(&h, 1), OX_UNSUPPORTED);
    ck_assert_str_eq(h.id, "newer-opset");
    oh_fini(&h);
    start(&h, "CastMap", 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1));
    fails(&h, 1, "wrong-type");
    start(&h, "DictVectorizer", 1);
    OH_INTS(&h, "int64_vocabulary", 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(1));
    fails(&h, 1, "wrong-type");
}
END_TEST

START_TEST(maps_go_there_and_back) {
    struct oh h;
    ox_tensor *map;
    start(&h, "ZipMap", 1);
    h.no_infer = true;
    OH_INTS(&h, "classlabels_int64s", 3, 0);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2), (float[]){1, 2, 3, 4});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_SEQUENCE);
    ck_assert_uint_eq(h.out[0]->count, 2);
    map = ox_tensor_ref(ox_tensor_item(h.out[0], 1));
    ck_assert_int_eq(map->dtype, OX_MAP);
    struct oh d;
    for (int k = 0; k < 3; k++) {
        start(&d, k == 0 ? "DictVectorizer" : "CastMap", 1);
        d.no_infer = true;
        static const int64_t words[] = {0, 7, 3};
        if (k == 0) oh_ints(&d, "int64_vocabulary", 3, words);
        if (k == 2) oh_string(&d, "map_form", "SPARSE"), oh_int(&d, "max_map", 4);
        const ox_tensor *values = ox_tensor_item(map, 1), *keys = ox_tensor_item(map, 0);
        ox_tensor *parts[2];
        ck_assert_int_eq(
            ox_tensor_copy(&parts[0], d.ctx, OX_INT64, 1, keys->dims, keys->data, keys->size),
            OX_OK);
        ck_assert_int_eq(
            ox_tensor_copy(&parts[1], d.ctx, OX_FLOAT, 1, values->dims, values->data, values->size),
            OX_OK);
        ck_assert_int_eq(ox_tensor_list(&d.in[d.n_in++], d.ctx, OX_MAP, 2, parts), OX_OK);
        ox_tensor_unref(parts[0]);
        ox_tensor_unref(parts[1]);
        ck_assert_int_eq(oh_eval(&d, 1), OX_OK);
        static const double want[3][4] = {{4, 0, 3}, {4, 3}, {4, 0, 0, 3}};
        oh_expect_floats(&d, 0, k == 0 ? 3 : k == 1 ? 2 : 4, want[k], 0);
        oh_fini(&d);
    }
    ox_tensor_unref(map);
    oh_fini(&h);
    start(&h, "ZipMap", 1);
    OH_INTS(&h, "classlabels_int64s", 3, 0, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 2));
    fails(&h, 1, "shape-mismatch");
}
END_TEST

/* ---- features -------------------------------------------------------------------------------- */

START_TEST(features) {
    struct oh h;
    start(&h, "Normalizer", 1);
    oh_string(&h, "norm",
              "MAX"); /* the greatest, not the greatest absolute value; 0 divides nothing */
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3, 2), (float[]){-4, 2, 0, 0, -1, -2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 6, (double[]){-2, 1, 0, 0, 1, 2}, 1e-6);
    oh_fini(&h);
    start(&h, "Scaler", 1);
    OH_FLOATS(&h, "offset", 1);
    OH_FLOATS(&h, "scale", 2, 3);
    oh_input_of(&h, OX_INT32, OH_DIMS(1, 2), (int32_t[]){5, -5});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 2, (double[]){8, -18}, 1e-6);
    oh_fini(&h);
    start(&h, "Scaler", 1);
    OH_FLOATS(&h, "scale", 2, 3);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 3));
    fails(&h, 1, "shape-mismatch");
    start(&h, "Imputer", 1);
    OH_FLOATS(&h, "imputed_value_floats", 1, 2);
    oh_float(&h, "replaced_value_float", NAN);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2), (float[]){NAN, NAN, 3, INFINITY});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 4, (double[]){1, 2, 3, INFINITY}, 0);
    oh_fini(&h);
    start(&h, "Imputer", 1);
    OH_FLOATS(&h, "imputed_value_floats", 1);
    oh_input(&h, OX_INT64, OH_DIMS(2));
    fails(&h, 1, "wrong-type");
    start(&h, "FeatureVectorizer", 1);
    OH_INTS(&h, "inputdimensions", 1, 3);
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){1, 2});
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(1, 2), (double[]){3, 4});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 4, (double[]){1, 3, 4, 0}, 0);
    oh_fini(&h);
    start(&h, "ArrayFeatureExtractor", 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), (float[]){1, 2, 3});
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){2, 0});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 2, (int64_t[]){1, 2});
    oh_expect_floats(&h, 0, 2, (double[]){3, 1}, 0);
    oh_fini(&h);
    start(&h, "ArrayFeatureExtractor", 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(3));
    oh_input_of(&h, OX_INT64, OH_DIMS(1), (int64_t[]){3});
    fails(&h, 1, "shape-mismatch");
    start(&h, "Binarizer", 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), (float[]){0, NAN, INFINITY});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 3, (double[]){0, 0, 1}, 0);
    oh_fini(&h);
}
END_TEST

/* ---- linear models and support vectors ------------------------------------------------------- */

START_TEST(linear_models) {
    struct oh h;
    start(&h, "LinearRegressor", 1);
    OH_FLOATS(&h, "coefficients", 1, 2, 3, 4);
    OH_FLOATS(&h, "intercepts", 10, 20);
    oh_int(&h, "targets", 2);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(2), (double[]){1, -1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 2, (double[]){9, 19}, 1e-6);
    oh_fini(&h);
    start(&h, "LinearClassifier", 1); /* one score, two labels */
    OH_FLOATS(&h, "coefficients", .1f, .2f);
    OH_FLOATS(&h, "intercepts", .1f);
    OH_INTS(&h, "classlabels_ints", 3, 7);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2), (float[]){1, 2, -3, .5f});
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    expect_ints(&h, 2, (int64_t[]){7, 3});
    oh_expect_floats(&h, 1, 4, (double[]){.4, .6, 1.1, -.1}, 1e-6);
    oh_fini(&h);
    start(&h, "LinearRegressor", 1);
    OH_FLOATS(&h, "coefficients", 1, 2, 3);
    oh_int(&h, "targets", 2);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 2));
    fails(&h, 1, "wrong-attribute");
    start(&h, "LinearRegressor", 1);
    OH_FLOATS(&h, "coefficients", 1, 2);
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 3));
    fails(&h, 1, "shape-mismatch");
}
END_TEST

START_TEST(support_vectors) {
    struct oh h;
    start(&h, "SVMRegressor", 1);
    oh_string(&h, "kernel_type", "RBF");
    OH_FLOATS(&h, "kernel_params", .5f, 0, 0);
    OH_FLOATS(&h, "coefficients", 2, -1);
    OH_FLOATS(&h, "support_vectors", 0, 0, 1, 1);
    OH_FLOATS(&h, "rho", .25f);
    oh_int(&h, "n_supports", 2);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 2), (float[]){1, 1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 1, (double[]){2 * exp(-1) - 1 + .25}, 1e-6);
    oh_fini(&h);
    start(&h, "SVMClassifier", 1);
    OH_FLOATS(&h, "coefficients", 1, -1);
    OH_FLOATS(&h, "support_vectors", 1, 2);
    OH_FLOATS(&h, "rho", .5f);
    OH_INTS(&h, "vectors_per_class", 1, 1);
    OH_INTS(&h, "classlabels_ints", 5, 6);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 1), (float[]){0, 1});
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    expect_ints(&h, 2, (int64_t[]){5, 6});
    oh_expect_floats(&h, 1, 4, (double[]){-.5, .5, .5, -.5}, 1e-6);
    oh_fini(&h);
    start(&h, "SVMClassifier", 1); /* vectors_per_class of another file */
    OH_FLOATS(&h, "coefficients", 1, -1);
    OH_FLOATS(&h, "support_vectors", 1, 2);
    OH_FLOATS(&h, "rho", .5f);
    OH_INTS(&h, "vectors_per_class", INT64_MAX, 1);
    OH_INTS(&h, "classlabels_ints", 5, 6);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 1));
    fails(&h, 2, "wrong-attribute");
}
END_TEST

/* ---- trees ----------------------------------------------------------------------------------- */

/* x <= 0 ? leaf 1 : (x <= 5 ? leaf 3 : leaf 4), by pairs; `yes` may be bent. */
static int64_t yes[5], feature[5];
static void tree(struct oh *h, const char *aggregate) {
    static const int64_t zeros[5], ids[] = {0, 1, 2, 3, 4}, no[] = {2, 0, 4, 0, 0},
                                   leaves[] = {1, 3, 4};
    static const float values[] = {0, 0, 5, 0, 0}, weights[] = {10, 20, 40};
    static const struct ox_str modes[] = {
        {"BRANCH_LEQ", 10}, {"LEAF", 4}, {"BRANCH_LEQ", 10}, {"LEAF", 4}, {"LEAF", 4}};
    yes[0] = 1, yes[2] = 3, feature[0] = feature[2] = 0;
    start(h, "TreeEnsembleRegressor", 1);
    oh_ints(h, "nodes_treeids", 5, zeros);
    oh_ints(h, "nodes_nodeids", 5, ids);
    oh_ints(h, "nodes_featureids", 5, feature);
    oh_ints(h, "nodes_truenodeids", 5, yes);
    oh_ints(h, "nodes_falsenodeids", 5, no);
    oh_floats(h, "nodes_values", 5, values);
    strings_attr(h, "nodes_modes", 5, modes);
    oh_floats(h, "target_weights", 3, weights);
    oh_ints(h, "target_nodeids", 3, leaves);
    oh_ints(h, "target_treeids", 3, zeros);
    oh_ints(h, "target_ids", 3, zeros);
    oh_string(h, "aggregate_function", aggregate);
    oh_input_of(h, OX_FLOAT, OH_DIMS(5, 1), (float[]){-1, 0, 3, 9, NAN});
}

START_TEST(trees_are_walked) {
    struct oh h;
    static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    for (int k = 0; k < 4; k++) {
        tree(&h, aggregates[k]);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        oh_expect_dims(&h, 0, 2, (int64_t[]){5, 1});
        oh_expect_floats(&h, 0, 5, (double[]){10, 10, 20, 40, 40}, 0);
        oh_same_with_threads(&h, 3);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(broken_trees_are_refused) {
    struct oh h;
    static const int64_t bent[] = {0, 2, -1, 9, INT64_MAX}; /* to the root; to itself; nowhere */
    for (size_t k = 0; k < sizeof bent / sizeof *bent; k++) {
        tree(&h, "SUM");
        yes[2] = bent[k];
        fails(&h, 1, "wrong-attribute");
    }
    tree(&h, "SUM");
    feature[2] = 1; /* rows have one */
    fails(&h, 1, "shape-mismatch");
    tree(&h, "SUM");
    feature[2] = -1;
    fails(&h, 1, "wrong-attribute");
    tree(&h, "MEDIAN");
    fails(&h, 1, "wrong-attribute");
    tree(&h, "SUM");
    h.attrs[5].count = 4; /* nodes_values is short */
    fails(&h, 1, "wrong-attribute");
}
END_TEST

/* Values as the comparison with ONNX Runtime gave them: labels 3 and 7, all weights of one class.
 */
START_TEST(classifier_of_two_classes) {
    static const struct ox_str modes[] = {{"BRANCH_LEQ", 10}, {"LEAF", 4}, {"LEAF", 4}};
    static const int64_t zeros[3], ids[] = {0, 1, 2}, to_one[] = {1, 0, 0}, to_two[] = {2, 0, 0},
                                   labels[] = {3, 7};
    static const float values[3], weights[2][2] = {{.2f, .7f}, {-.2f, .7f}};
    static const double want[2][4] = {{.3, .7, .8, .2},
                                      {.33181226, .66818774, .54983395, .45016605}};
    for (int mixed = 0; mixed < 2; mixed++) {
        struct oh h;
        start(&h, "TreeEnsembleClassifier", 3);
        oh_ints(&h, "nodes_treeids", 3, zeros);
        oh_ints(&h, "nodes_nodeids", 3, ids);
        oh_ints(&h, "nodes_featureids", 3, zeros);
        oh_ints(&h, "nodes_truenodeids", 3, to_one);
        oh_ints(&h, "nodes_falsenodeids", 3, to_two);
        oh_floats(&h, "nodes_values", 3, values);
        strings_attr(&h, "nodes_modes", 3, modes);
        oh_ints(&h, "class_treeids", 2, zeros);
        oh_ints(&h, "class_nodeids", 2, ids + 1);
        oh_ints(&h, "class_ids", 2, zeros);
        oh_floats(&h, "class_weights", 2, weights[mixed]);
        oh_ints(&h, "classlabels_int64s", 2, labels);
        oh_string(&h, "post_transform", "LOGISTIC");
        oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 1), (float[]){1, -1});
        ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
        expect_ints(&h, 2, (int64_t[]){7, 3});
        oh_expect_floats(&h, 1, 4, want[mixed], 1e-6);
        oh_fini(&h);
    }
}
END_TEST

static ox_tensor *tensor_attr(struct oh *h, const char *name, ox_dtype dtype, int64_t n,
                              const void *data, size_t size) {
    ox_tensor *t;
    ck_assert_int_eq(ox_tensor_copy(&t, h->ctx, dtype, 1, &n, data, size), OX_OK);
    oh_string(h, name, "");
    h->attrs[h->n_attrs - 1].type = OX_ATTR_TENSOR;
    h->attrs[h->n_attrs - 1].v.t = t;
    return t;
}

/* x in {1, 4} ? leaf 0 : (x > 2 ? leaf 1 : leaf 0); `to`: where node 1 goes if its question is
 * true, a leaf or a node. */
static ox_status by_position(int64_t to, int64_t leaf) {
    static const int64_t column[2], no[] = {1, 0}, no_leaf[] = {0, 1}, targets[] = {0, 1}, roots[1];
    int64_t to_yes[] = {0, to}, yes_leaf[] = {1, leaf};
    struct oh h;
    ox_tensor *t[4];
    start(&h, "TreeEnsemble", 5);
    oh_ints(&h, "nodes_featureids", 2, column);
    oh_ints(&h, "nodes_truenodeids", 2, to_yes);
    oh_ints(&h, "nodes_falsenodeids", 2, no);
    oh_ints(&h, "nodes_trueleafs", 2, yes_leaf);
    oh_ints(&h, "nodes_falseleafs", 2, no_leaf);
    oh_ints(&h, "leaf_targetids", 2, targets);
    oh_ints(&h, "tree_roots", 1, roots);
    oh_int(&h, "n_targets", 2);
    t[0] = tensor_attr(&h, "nodes_modes", OX_UINT8, 2, (uint8_t[]){6, 3}, 2);
    t[1] = tensor_attr(&h, "nodes_splits", OX_DOUBLE, 2, (double[]){0, 2}, 16);
    t[2] = tensor_attr(&h, "leaf_weights", OX_DOUBLE, 2, (double[]){5, 6}, 16);
    t[3] = tensor_attr(&h, "membership_values", OX_DOUBLE, 3, (double[]){4, 1, NAN}, 24);
    oh_input_of(&h, OX_DOUBLE, OH_DIMS(4, 1), (double[]){1, 4, 3, 2});
    ox_status s = oh_eval(&h, 1);
    if (s == OX_OK) {
        static const double want[] = {5, 0, 5, 0, 0, 6, 5, 0};
        oh_expect_dims(&h, 0, 2, (int64_t[]){4, 2});
        for (int i = 0; i < 8; i++)
            ck_assert_double_eq(((const double *)h.out[0]->data)[i], want[i]);
    } else {
        ck_assert_str_eq(h.id, "wrong-attribute");
    }
    for (int i = 0; i < 4; i++)
        ox_tensor_unref(t[i]);
    oh_fini(&h);
    return s;
}

START_TEST(trees_by_position) {
    ck_assert_int_eq(by_position(1, 1), OX_OK);
    ck_assert_int_eq(by_position(0, 0), OX_INVALID); /* back to the root */
    ck_assert_int_eq(by_position(1, 0), OX_INVALID); /* to itself */
    ck_assert_int_eq(by_position(2, 1), OX_INVALID); /* no such leaf */
    ck_assert_int_eq(by_position(-1, 0), OX_INVALID);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_ml");
    TCase *t = tcase_create("op_ml");
    tcase_add_test(t, labels_are_looked_up);
    tcase_add_test(t, tables_refuse_nonsense);
    tcase_add_test(t, maps_go_there_and_back);
    tcase_add_test(t, features);
    tcase_add_test(t, linear_models);
    tcase_add_test(t, support_vectors);
    tcase_add_test(t, trees_are_walked);
    tcase_add_test(t, broken_trees_are_refused);
    tcase_add_test(t, classifier_of_two_classes);
    tcase_add_test(t, trees_by_position);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
