/* tests/unit/test_op_recurrent.c - RNN, GRU and LSTM: directions, lengths and layouts against each
 * other, one cell by hand. */
#include "op_harness.h"
#include <math.h>
#include <stdlib.h>

enum { STEPS = 5, BATCH = 2, WIDTH = 3, HIDDEN = 4 };
static const struct {
    const char *op;
    int gates;
} cells[] = {{"RNN", 1}, {"GRU", 3}, {"LSTM", 4}};

/* A cell with seeded weights of two directions, of which `dirs` from `first` on are used. */
static void start(struct oh *h, int cell, const char *direction, int first, int dirs,
                  const float *x) {
    uint64_t seed = 42;
    static float w[2 * 4 * HIDDEN * WIDTH], r[2 * 4 * HIDDEN * HIDDEN], b[2 * 8 * HIDDEN];
    int g = cells[cell].gates * HIDDEN;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        w[i] = oh_unit(&seed);
    for (size_t i = 0; i < sizeof r / sizeof *r; i++)
        r[i] = oh_unit(&seed);
    for (size_t i = 0; i < sizeof b / sizeof *b; i++)
        b[i] = oh_unit(&seed);
    oh_init(h, cells[cell].op, 14, 1);
    oh_string(h, "direction", direction);
    oh_int(h, "hidden_size", HIDDEN);
    oh_input_of(h, OX_FLOAT, OH_DIMS(STEPS, BATCH, WIDTH), x);
    oh_input_of(h, OX_FLOAT, OH_DIMS(dirs, g, WIDTH), w + first * g * WIDTH);
    oh_input_of(h, OX_FLOAT, OH_DIMS(dirs, g, HIDDEN), r + first * g * HIDDEN);
    oh_input_of(h, OX_FLOAT, OH_DIMS(dirs, 2 * g), b + first * 2 * g);
}

static void run(struct oh *h) {
    ck_assert_msg(oh_eval(h, 2) == OX_OK, "%s: %s", h->op->name, h->text);
}

static const float *y(const struct oh *h) {
    return h->out[0]->data;
}

static void fill(float *x) {
    uint64_t seed = 7;
    for (int i = 0; i < STEPS * BATCH * WIDTH; i++)
        x[i] = oh_unit(&seed);
}

START_TEST(two_directions_are_two_runs) {
    float x[STEPS * BATCH * WIDTH];
    struct oh both, forward, backward;
    fill(x);
    start(&both, _i, "bidirectional", 0, 2, x);
    start(&forward, _i, "forward", 0, 1, x);
    start(&backward, _i, "reverse", 1, 1, x);
    run(&both), run(&forward), run(&backward);
    oh_expect_dims(&both, 0, OH_DIMS(STEPS, 2, BATCH, HIDDEN));
    oh_expect_dims(&both, 1, OH_DIMS(2, BATCH, HIDDEN));
    for (int t = 0; t < STEPS; t++)
        for (int k = 0; k < BATCH * HIDDEN; k++) {
            ck_assert(y(&both)[(2 * t) * BATCH * HIDDEN + k] ==
                      y(&forward)[t * BATCH * HIDDEN + k]);
            ck_assert(y(&both)[(2 * t + 1) * BATCH * HIDDEN + k] ==
                      y(&backward)[t * BATCH * HIDDEN + k]);
        }
    oh_fini(&both), oh_fini(&forward), oh_fini(&backward);
}
END_TEST

START_TEST(backward_is_forward_on_reversed_steps) {
    float x[STEPS * BATCH * WIDTH], reversed[STEPS * BATCH * WIDTH];
    struct oh a, b;
    fill(x);
    for (int t = 0; t < STEPS; t++)
        memcpy(reversed + t * BATCH * WIDTH, x + (STEPS - 1 - t) * BATCH * WIDTH,
               sizeof(float) * BATCH * WIDTH);
    start(&a, _i, "reverse", 0, 1, x);
    start(&b, _i, "forward", 0, 1, reversed);
    run(&a), run(&b);
    for (int t = 0; t < STEPS; t++)
        ck_assert(memcmp(y(&a) + t * BATCH * HIDDEN, y(&b) + (STEPS - 1 - t) * BATCH * HIDDEN,
                         sizeof(float) * BATCH * HIDDEN) == 0);
    oh_fini(&a), oh_fini(&b);
}
END_TEST

START_TEST(short_sequences_stop_and_pad_with_zeros) {
    float x[STEPS * BATCH * WIDTH];
    struct oh a, b;
    fill(x);
    start(&a, _i, "forward", 0, 1, x);
    oh_input_of(&a, OX_INT32, OH_DIMS(BATCH), (int32_t[]){2, STEPS});
    start(&b, _i, "forward", 0, 1, x);
    run(&a), run(&b);
    for (int t = 0; t < STEPS; t++)
        for (int k = 0; k < HIDDEN; k++)
            ck_assert(y(&a)[t * BATCH * HIDDEN + k] == (t < 2 ? y(&b)[t * BATCH * HIDDEN + k] : 0));
    ck_assert(memcmp(a.out[1]->data, y(&a) + BATCH * HIDDEN, sizeof(float) * HIDDEN) == 0);
    oh_fini(&a), oh_fini(&b);
}
END_TEST

START_TEST(an_lstm_by_hand) {
    struct oh h;
    oh_init(&h, "LSTM", 14, 1);
    oh_int(&h, "hidden_size", 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1), (float[]){2});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 4, 1), (float[]){0.5f, -0.25f, 1, 0.75f}); /* i o f c */
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 4, 1), (float[]){1, 1, 1, 1});
    oh_absent(&h), oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1), (float[]){0.5f});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 1), (float[]){-1});
    ck_assert_msg(oh_eval(&h, 3) == OX_OK, "%s", h.text);
    double i = 1 / (1 + exp(-1.5)), o = 1 / (1 + exp(-0.0)), f = 1 / (1 + exp(-2.5)),
           c = f * -1 + i * tanh(2.0);
    oh_expect_floats(&h, 0, 1, (double[]){o * tanh(c)}, 1e-6);
    oh_expect_floats(&h, 2, 1, (double[]){c}, 1e-6);
    oh_fini(&h);
}
END_TEST

START_TEST(wrong_shapes_and_words) {
    float x[STEPS * BATCH * WIDTH] = {0};
    struct oh h;
    start(&h, _i, "forward", 0, 2, x);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "shape-mismatch");
    oh_fini(&h);
    start(&h, _i, "sideways", 0, 1, x);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    start(&h, _i, "forward", 0, 1, x);
    oh_input_of(&h, OX_INT32, OH_DIMS(BATCH), (int32_t[]){2, STEPS + 1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

/* Dims of a tensor without elements are bounded by nothing: they must not be multiplied. */
START_TEST(weights_without_elements_have_any_size) {
    const int64_t sizes[] = {INT64_MAX, INT64_MAX / 2, INT64_MAX / 4 + 1};
    for (size_t i = 0; i < 3; i++) {
        struct oh h;
        float x[STEPS * BATCH * WIDTH] = {0};
        oh_init(&h, cells[_i].op, 14, 1);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(STEPS, BATCH, WIDTH), x);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(0, sizes[i], WIDTH), NULL);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(0, 1, sizes[i]), NULL);
        ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
        oh_fini(&h);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_recurrent");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, two_directions_are_two_runs, 0, 3);
    tcase_add_loop_test(tc, backward_is_forward_on_reversed_steps, 0, 3);
    tcase_add_loop_test(tc, short_sequences_stop_and_pad_with_zeros, 0, 3);
    tcase_add_test(tc, an_lstm_by_hand);
    tcase_add_loop_test(tc, wrong_shapes_and_words, 0, 3);
    tcase_add_loop_test(tc, weights_without_elements_have_any_size, 0, 3);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
