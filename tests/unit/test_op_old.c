/* tests/unit/test_op_old.c - operators as opsets 1 to 10 wrote them: attributes that became inputs,
 * other defaults, other broadcasting. Each case is one call and what it gives. */
#include "op_harness.h"
#include <stdlib.h>

#define COUNT(...) (sizeof((double[]){__VA_ARGS__}) / sizeof(double))
#define DIMS(...) OH_DIMS(__VA_ARGS__)

static const float six[] = {1, 2, 3, 4, 5, 6};

static void in(struct oh *h, int rank, const int64_t *dims, const float *data) {
    oh_input_of(h, OX_FLOAT, rank, dims, data);
}

static void ints_in(struct oh *h, int64_t n, const int64_t *data) {
    oh_input_of(h, OX_INT64, DIMS(n), data);
}

static void add_axis(struct oh *h) { /* the operand lies along dim 0 */
    oh_int(h, "broadcast", 1);
    oh_int(h, "axis", 0);
    in(h, DIMS(2, 3), six);
    in(h, DIMS(2), (float[]){10, 20});
}
static void add_suffix(struct oh *h) {
    static const int64_t consumed[] = {0, 0};
    oh_ints(h, "consumed_inputs", 2, consumed);
    oh_int(h, "broadcast", 1);
    in(h, DIMS(2, 3), six);
    in(h, DIMS(3), (float[]){10, 20, 30});
}
static void add_unasked(struct oh *h) {
    in(h, DIMS(2, 3), six);
    in(h, DIMS(3), (float[]){10, 20, 30});
}
static void prelu_channels(struct oh *h) {
    in(h, DIMS(1, 2, 3), (float[]){-1, 2, -3, -4, 5, -6});
    in(h, DIMS(2), (float[]){2, 3});
}
static void concat_default(struct oh *h) { /* axis 1 */
    in(h, DIMS(1, 2), six);
    in(h, DIMS(1, 2), six + 2);
}
static void clip_attributes(struct oh *h) {
    oh_float(h, "min", 2);
    oh_float(h, "max", 4.5f);
    in(h, DIMS(6), six);
}
static void pad_paddings(struct oh *h) {
    static const int64_t pads[] = {0, 1, 1, 0};
    oh_ints(h, "paddings", 4, pads);
    oh_float(h, "value", 9);
    in(h, DIMS(1, 2), six);
}
static void pad_pads(struct oh *h) {
    static const int64_t pads[] = {0, 1, 1, 0};
    oh_ints(h, "pads", 4, pads);
    oh_string(h, "mode", "edge");
    in(h, DIMS(1, 2), six);
}
static void upsample_two_scales(struct oh *h) {
    oh_float(h, "height_scale", 1);
    oh_float(h, "width_scale", 2);
    in(h, DIMS(1, 1, 2, 2), six);
}
static void upsample_scales(struct oh *h) {
    static const float scales[] = {1, 1, 2, 1};
    oh_floats(h, "scales", 4, scales);
    in(h, DIMS(1, 1, 2, 2), six);
}
static void upsample_input(struct oh *h) {
    oh_string(h, "mode", "linear");
    in(h, DIMS(1, 1, 1, 2), six);
    in(h, DIMS(4), (float[]){1, 1, 1, 2});
}
static void resize_input(struct oh *h) {
    in(h, DIMS(1, 1, 1, 3), six);
    in(h, DIMS(4), (float[]){1, 1, 1, 2});
}
static void cast_word(struct oh *h) {
    oh_string(h, "to", "FLOAT");
    oh_input_of(h, OX_INT32, DIMS(2), (int32_t[]){-3, 4});
}
static void gemm_broadcast(struct oh *h) {
    oh_int(h, "broadcast", 1);
    oh_int(h, "transB", 1);
    in(h, DIMS(1, 2), six);
    in(h, DIMS(2, 2), six);
    in(h, DIMS(2), (float[]){10, 20});
}
static void norm_spatial(struct oh *h) { /* one mean and variance for each place */
    oh_int(h, "spatial", 0);
    oh_int(h, "is_test", 1);
    oh_float(h, "epsilon", 0);
    in(h, DIMS(1, 1, 2), six);
    in(h, DIMS(1, 2), (float[]){1, 2});
    in(h, DIMS(1, 2), (float[]){0, 10});
    in(h, DIMS(1, 2), (float[]){0, 1});
    in(h, DIMS(1, 2), (float[]){1, 4});
}
static void norm_trains(struct oh *h) { /* mean 2.5, variance 1.25 */
    oh_float(h, "epsilon", 3.75f - 2.75f);
    in(h, DIMS(4, 1), six);
    for (int i = 0; i < 4; i++)
        in(h, DIMS(1), i == 1 ? (float[]){0} : (float[]){1.5f});
}
static void reshape_attribute(struct oh *h) {
    static const int64_t shape[] = {0, -1};
    oh_ints(h, "shape", 2, shape);
    in(h, DIMS(2, 1, 3), six);
}
static void slice_attributes(struct oh *h) {
    static const int64_t starts[] = {-2}, ends[] = {1000}, axes[] = {1};
    oh_ints(h, "starts", 1, starts);
    oh_ints(h, "ends", 1, ends);
    oh_ints(h, "axes", 1, axes);
    in(h, DIMS(2, 3), six);
}
static void
split_input(struct oh *h) { /* opset 1 had the lengths as an input, of the data's type */
    in(h, DIMS(3), six);
    in(h, DIMS(2), (float[]){2, 1});
}
static void split_attribute(struct oh *h) {
    static const int64_t lengths[] = {2, 1};
    oh_ints(h, "split", 2, lengths);
    in(h, DIMS(3), six);
}
static void squeeze_attribute(struct oh *h) {
    static const int64_t axes[] = {2};
    oh_ints(h, "axes", 1, axes);
    in(h, DIMS(1, 2, 1), six);
}
static void unsqueeze_attribute(struct oh *h) {
    static const int64_t axes[] = {0, 2};
    oh_ints(h, "axes", 2, axes);
    in(h, DIMS(2), six);
}
static void top_attribute(struct oh *h) {
    oh_int(h, "k", 2);
    in(h, DIMS(6), six);
}
static void top_input(struct oh *h) {
    in(h, DIMS(6), six);
    ints_in(h, 1, (int64_t[]){1});
}
static void tile_axis(struct oh *h) { /* opset 1: copies, and the axis */
    in(h, DIMS(2, 1), six);
    in(h, DIMS(1), (float[]){2});
    in(h, DIMS(1), (float[]){1});
}
static void pool_pads(struct oh *h) { /* padding never counts */
    static const int64_t kernel[] = {2}, pads[] = {1, 0};
    oh_ints(h, "kernel_shape", 1, kernel);
    oh_ints(h, "pads", 2, pads);
    in(h, DIMS(1, 1, 3), six);
}
static void lp_pool(struct oh *h) { /* p is a number with a fraction */
    static const int64_t kernel[] = {2};
    oh_ints(h, "kernel_shape", 1, kernel);
    oh_float(h, "p", 1);
    in(h, DIMS(1, 1, 3), six);
}
static void global_lp_pool(struct oh *h) {
    oh_float(h, "p", 2);
    in(h, DIMS(1, 1, 2), (float[]){3, 4});
}
static void reduce_attribute(struct oh *h) {
    static const int64_t axes[] = {1};
    oh_ints(h, "axes", 1, axes);
    oh_int(h, "keepdims", 0);
    in(h, DIMS(2, 3), six);
}
static void softmax_flat(struct oh *h) { /* all dims from axis 1 on are one */
    in(h, DIMS(1, 2, 2), (float[]){0, 0, 0, 0});
}
static void dropout_test(struct oh *h) {
    oh_int(h, "is_test", 1);
    oh_float(h, "ratio", 0.9f);
    in(h, DIMS(3), six);
}
static void depth_first(struct oh *h) {
    oh_int(h, "blocksize", 2);
    in(h, DIMS(1, 4, 1, 1), six);
}
static void scatter(struct oh *h) {
    in(h, DIMS(3), six);
    ints_in(h, 2, (int64_t[]){2, 0});
    in(h, DIMS(2), (float[]){7, 8});
}
static void sum_of_three(struct oh *h) {
    static const int64_t consumed[] = {0, 0, 0};
    oh_ints(h, "consumed_inputs", 3, consumed);
    for (int i = 0; i < 3; i++)
        in(h, DIMS(2), six + i);
}
static void selu_defaults(struct oh *h) {
    in(h, DIMS(2), (float[]){1, -1});
}
static void hard_sigmoid_defaults(struct oh *h) {
    in(h, DIMS(3), (float[]){1, -1, 9});
}

#define CASE(op, opset, setup, ...)                                                                \
    {                                                                                              \
        op, opset, setup, COUNT(__VA_ARGS__), {                                                    \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
/* clang-format off */
static const struct {
    const char *op;
    int opset;
    void (*setup)(struct oh *h);
    size_t n;
    double expected[9]; /* of output 0 */
} cases[] = {
    CASE("Add", 1, add_suffix, 11, 22, 33, 14, 25, 36),
    CASE("Add", 6, add_axis, 11, 12, 13, 24, 25, 26),
    CASE("Sub", 6, add_axis, -9, -8, -7, -16, -15, -14),
    CASE("PRelu", 6, prelu_channels, -2, 2, -6, -12, 5, -18),
    CASE("Concat", 1, concat_default, 1, 2, 3, 4),
    CASE("Concat", 3, concat_default, 1, 2, 3, 4),
    CASE("Clip", 1, clip_attributes, 2, 2, 3, 4, 4.5, 4.5),
    CASE("Clip", 6, clip_attributes, 2, 2, 3, 4, 4.5, 4.5),
    CASE("Pad", 1, pad_paddings, 9, 1, 2, 9, 9, 9),
    CASE("Pad", 2, pad_pads, 1, 1, 2, 1, 1, 2),
    CASE("Upsample", 1, upsample_two_scales, 1, 1, 2, 2, 3, 3, 4, 4),
    CASE("Upsample", 7, upsample_scales, 1, 2, 1, 2, 3, 4, 3, 4),
    CASE("Upsample", 9, upsample_input, 1, 1.5, 2, 2),
    CASE("Resize", 10, resize_input, 1, 1, 2, 2, 3, 3),
    CASE("Cast", 1, cast_word, -3, 4),
    CASE("Gemm", 1, gemm_broadcast, 15, 31),
    CASE("Gemm", 6, gemm_broadcast, 15, 31),
    CASE("BatchNormalization", 1, norm_spatial, 1, 11),
    CASE("BatchNormalization", 6, norm_spatial, 1, 11),
    CASE("BatchNormalization", 7, norm_spatial, 1, 11),
    CASE("BatchNormalization", 6, norm_trains, -1.5, -0.5, 0.5, 1.5),
    CASE("Reshape", 1, reshape_attribute, 1, 2, 3, 4, 5, 6),
    CASE("Slice", 1, slice_attributes, 2, 3, 5, 6),
    CASE("Split", 1, split_input, 1, 2),
    CASE("Split", 1, split_attribute, 1, 2),
    CASE("Split", 2, split_attribute, 1, 2),
    CASE("Squeeze", 1, squeeze_attribute, 1, 2),
    CASE("Unsqueeze", 1, unsqueeze_attribute, 1, 2),
    CASE("TopK", 1, top_attribute, 6, 5),
    CASE("TopK", 10, top_input, 6),
    CASE("Tile", 1, tile_axis, 1, 1, 2, 2),
    CASE("AveragePool", 1, pool_pads, 1, 1.5, 2.5),
    CASE("LpPool", 1, lp_pool, 3, 5),
    CASE("GlobalLpPool", 1, global_lp_pool, 5),
    CASE("ReduceSum", 1, reduce_attribute, 6, 15),
    CASE("ReduceMax", 1, reduce_attribute, 3, 6),
    CASE("Softmax", 1, softmax_flat, 0.25, 0.25, 0.25, 0.25),
    CASE("LogSoftmax", 11, softmax_flat, -1.3862944, -1.3862944, -1.3862944, -1.3862944),
    CASE("Hardmax", 1, softmax_flat, 1, 0, 0, 0),
    CASE("Dropout", 1, dropout_test, 1, 2, 3),
    CASE("Dropout", 7, dropout_test, 1, 2, 3),
    CASE("DepthToSpace", 1, depth_first, 1, 2, 3, 4),
    CASE("Scatter", 9, scatter, 8, 2, 7),
    CASE("Sum", 1, sum_of_three, 6, 9),
    CASE("Mean", 6, sum_of_three, 2, 3),
    CASE("Max", 1, sum_of_three, 3, 4),
    CASE("Selu", 1, selu_defaults, 1.0507, -1.1112877),
    CASE("HardSigmoid", 1, hard_sigmoid_defaults, 0.7, 0.3, 1),
};
/* clang-format on */

START_TEST(old_form) {
    struct oh h;
    bool split = !strcmp(cases[_i].op, "Split"), top = !strcmp(cases[_i].op, "TopK");
    oh_init(&h, cases[_i].op, cases[_i].opset, 1);
    cases[_i].setup(&h);
    ck_assert_msg(oh_eval(&h, split || top ? 2 : 1) == OX_OK, "%s-%d: %s", cases[_i].op,
                  cases[_i].opset, h.text);
    oh_expect_floats(&h, 0, cases[_i].n, cases[_i].expected, 1e-5);
    oh_fini(&h);
}
END_TEST

START_TEST(no_broadcast_unasked) {
    struct oh h;
    oh_init(&h, "Add", 6, 1);
    add_unasked(&h);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "shape-mismatch");
    oh_fini(&h);
}
END_TEST

/* The mask of opset 1 to 9 is of the data's type. */
START_TEST(dropout_mask) {
    struct oh h;
    oh_init(&h, "Dropout", 6, 1);
    dropout_test(&h);
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    ck_assert_int_eq(h.out[1]->dtype, OX_FLOAT);
    oh_fini(&h);
}
END_TEST

/* is_test of opset 1 and 6: written out as 0 the model trains, as 1 or absent it does not. */
START_TEST(dropout_is_test) {
    for (int is_test = -1; is_test <= 1; is_test++) {
        struct oh h;
        int dropped = 0;
        oh_init(&h, "Dropout", 6, 1);
        if (is_test >= 0) oh_int(&h, "is_test", is_test);
        oh_float(&h, "ratio", 0.75f);
        float *x = oh_input(&h, OX_FLOAT, OH_DIMS(4000));
        for (int i = 0; i < 4000; i++)
            x[i] = (float)(i + 1);
        ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
        const float *y = h.out[0]->data, *mask = h.out[1]->data;
        for (int i = 0; i < 4000; i++) {
            ck_assert(mask[i] == 0 || mask[i] == 1);
            ck_assert(y[i] == (is_test == 0 ? 4 * mask[i] * x[i] : x[i]));
            dropped += mask[i] == 0;
        }
        ck_assert_int_le(abs(dropped - (is_test == 0 ? 3000 : 0)), 150);
        oh_fini(&h);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_old");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, old_form, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, no_broadcast_unasked);
    tcase_add_test(tc, dropout_mask);
    tcase_add_test(tc, dropout_is_test);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
