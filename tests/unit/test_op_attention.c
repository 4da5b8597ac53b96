/* tests/unit/test_op_attention.c - attention against plain loops in double precision, and what
 * stands beside it in models of language: rotations, caches, root mean square, gates, states. */
#include "op_harness.h"

#include "ir/ops/attention.h"
#include <math.h>
#include <stdlib.h>

/* ---- attention ------------------------------------------------------------------------------- */

/* One call: 4 dims, everything optional that is not 0. */
struct shape {
    int64_t batch, heads, kv_heads, q_len, kv_len, qk_size, v_size, past, mask_cols;
    bool three, causal, bool_mask, float_mask, lengths;
    float softcap;
    int64_t left, right;
    int mode;
};

static double *numbers(size_t n) {
    double *v = calloc(n + 1, sizeof *v);
    ck_assert_ptr_nonnull(v);
    return v;
}

/* Element (b, h, i, d) of an input of 4 dims, or of 3 dims with the heads in the last. */
static float element(const ox_tensor *t, int64_t heads, int64_t b, int64_t h, int64_t i,
                     int64_t d) {
    const float *x = t->data;
    if (t->rank == 4) return x[((b * t->dims[1] + h) * t->dims[2] + i) * t->dims[3] + d];
    return x[(b * t->dims[1] + i) * t->dims[2] + h * (t->dims[2] / heads) + d];
}

/* Key or value j of all, the past first. */
static float cached(const struct oh *h, const struct shape *s, size_t input, int64_t b,
                    int64_t head, int64_t j, int64_t d) {
    if (j < s->past) return element(h->in[input + 3], 0, b, head, j, d);
    return element(h->in[input], s->kv_heads, b, head, j - s->past, d);
}

static bool sees(const struct oh *h, const struct shape *s, int64_t b, int64_t i, int64_t j) {
    const int64_t *lengths = s->lengths ? h->in[6]->data : NULL;
    int64_t at = i + (lengths ? lengths[b] - s->q_len : s->past);
    if (lengths && j >= lengths[b]) return false;
    if (s->causal && j > at) return false;
    if (s->left >= 0 && j < at - s->left) return false;
    if (s->right >= 0 && j > at + s->right) return false;
    if (s->mask_cols && j >= s->mask_cols) return false;
    if (s->bool_mask && !((const unsigned char *)h->in[3]->data)[i * s->mask_cols + j])
        return false;
    return true;
}

/* Scores of one query after bias and masks; row: minus infinity is not seen. */
static void reference_row(double *row, double *raw, const struct oh *h, const struct shape *s,
                          int64_t b, int64_t head, int64_t i) {
    for (int64_t j = 0; j < s->past + s->kv_len; j++) {
        double sum = 0;
        for (int64_t d = 0; d < s->qk_size; d++)
            sum += (double)element(h->in[0], s->heads, b, head, i, d) *
                   (double)cached(h, s, 1, b, head / (s->heads / s->kv_heads), j, d);
        sum /= sqrt((double)s->qk_size);
        raw[j] = sum;
        if (s->softcap != 0) sum = (double)s->softcap * tanh(sum / (double)s->softcap);
        if (s->float_mask && j < s->mask_cols)
            sum += (double)((const float *)h->in[3]->data)[i * s->mask_cols + j];
        row[j] = sees(h, s, b, i, j) ? sum : -INFINITY;
    }
}

static void softmax(double *row, int64_t n) {
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        max = row[j] > max ? row[j] : max;
    for (int64_t j = 0; j < n; j++) {
        row[j] = max == -INFINITY ? 0 : exp(row[j] - max);
        sum += row[j];
    }
    for (int64_t j = 0; j < n && sum > 0; j++)
        row[j] /= sum;
}

static void expect_attention(const struct oh *h, const struct shape *s) {
    int64_t n = s->past + s->kv_len;
    double *y = numbers((size_t)(s->batch * s->heads * s->q_len * s->v_size)),
           *scores = numbers((size_t)(s->batch * s->heads * s->q_len * n));
    double *row = numbers((size_t)n), *raw = numbers((size_t)n);
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t head = 0; head < s->heads; head++)
            for (int64_t i = 0; i < s->q_len; i++) {
                reference_row(row, raw, h, s, b, head, i);
                softmax(row, n);
                for (int64_t j = 0; j < n; j++)
                    scores[((b * s->heads + head) * s->q_len + i) * n + j] =
                        s->mode == 3 ? row[j] : raw[j];
                for (int64_t d = 0; d < s->v_size; d++) {
                    int64_t at = s->three ? ((b * s->q_len + i) * s->heads + head) * s->v_size + d
                                          : ((b * s->heads + head) * s->q_len + i) * s->v_size + d;
                    for (int64_t j = 0; j < n; j++)
                        if (row[j] > 0)
                            y[at] += row[j] * (double)cached(h, s, 2, b,
                                                             head / (s->heads / s->kv_heads), j, d);
                }
            }
    oh_expect_floats(h, 0, h->out[0]->count, y, 2e-6);
    if (h->n_out > 3) oh_expect_floats(h, 3, h->out[3]->count, scores, 2e-6);
    free(y);
    free(scores);
    free(row);
    free(raw);
}

static void operand(struct oh *h, uint64_t *seed, const struct shape *s, int64_t heads,
                    int64_t length, int64_t size) {
    if (s->three)
        oh_random(h, seed, 3, (int64_t[]){s->batch, length, heads * size});
    else
        oh_random(h, seed, 4, (int64_t[]){s->batch, heads, length, size});
}

static void inputs(struct oh *h, uint64_t *seed, const struct shape *s) {
    operand(h, seed, s, s->heads, s->q_len, s->qk_size);
    operand(h, seed, s, s->kv_heads, s->kv_len, s->qk_size);
    operand(h, seed, s, s->kv_heads, s->kv_len, s->v_size);
    if (s->bool_mask) {
        unsigned char *m = oh_input(h, OX_BOOL, 2, (int64_t[]){s->q_len, s->mask_cols});
        for (int64_t i = 0; i < s->q_len * s->mask_cols; i++)
            m[i] = oh_pick(seed, 3) > 0;
        for (int64_t j = 0; j < s->mask_cols; j++)
            m[j] = 0; /* the first query sees nothing */
    } else if (s->float_mask) {
        oh_random(h, seed, 2, (int64_t[]){s->q_len, s->mask_cols});
    } else {
        oh_absent(h);
    }
    if (s->past) {
        oh_random(h, seed, 4, (int64_t[]){s->batch, s->kv_heads, s->past, s->qk_size});
        oh_random(h, seed, 4, (int64_t[]){s->batch, s->kv_heads, s->past, s->v_size});
    } else if (s->lengths) {
        oh_absent(h);
        oh_absent(h);
        int64_t *n = oh_input(h, OX_INT64, 1, &s->batch);
        for (int64_t b = 0; b < s->batch; b++)
            n[b] = (int64_t)oh_pick(seed, (uint64_t)s->kv_len + 1);
    }
}

static const struct shape shapes[] = {
    /* batch heads kv q kv qk v past mask  three causal bool float lengths softcap left right mode
     */
    {2, 4, 4, 3, 5, 8, 8, 0, 0, false, false, false, false, false, 0, -1, -1, 0},
    {2, 4, 2, 3, 5, 8, 6, 0, 0, true, true, false, false, false, 0, -1, -1, 0},
    {1, 6, 1, 4, 4, 5, 3, 7, 0, true, true, false, false, false, 2.5f, -1, -1, 3},
    {2, 2, 2, 4, 9, 4, 4, 0, 9, false, false, true, false, false, 0, -1, -1, 3},
    {2, 2, 2, 4, 9, 4, 4, 0, 6, false, true, false, true, false, 1.5f, -1, -1, 0},
    {3, 2, 1, 4, 9, 4, 4, 0, 0, false, true, false, false, true, 0, -1, -1, 0},
    {2, 2, 2, 9, 9, 4, 4, 0, 0, false, false, false, false, false, 0, 2, 1, 0},
    {2, 2, 2, 5, 5, 4, 4, 6, 0, false, true, false, false, false, 0, 3, -1, 3},
    {1, 2, 1, 300, 1300, 16, 8, 0, 0, true, true, false, false, false, 0, -1, -1,
     -1}, /* many blocks */
    {1, 2, 2, 140, 900, 16, 8, 30, 0, false, false, false, false, false, 0, 200, 100, -1},
};

START_TEST(attends) {
    const struct shape *s = &shapes[_i];
    struct oh h;
    uint64_t seed = 77 + (uint64_t)_i;
    oh_init(&h, "Attention", 25, 1);
    if (s->three) oh_int(&h, "q_num_heads", s->heads);
    if (s->three) oh_int(&h, "kv_num_heads", s->kv_heads);
    oh_int(&h, "is_causal", s->causal);
    oh_float(&h, "softcap", s->softcap);
    oh_int(&h, "left_window_size", s->left);
    oh_int(&h, "right_window_size", s->right);
    oh_int(&h, "qk_matmul_output_mode", s->mode < 0 ? 0 : s->mode);
    inputs(&h, &seed, s);
    if (s->lengths) h.unwanted = 6;
    ck_assert_msg(oh_eval(&h, s->mode < 0 ? 1 : 4) == OX_OK, "%s: %s", h.id, h.text);
    expect_attention(&h, s);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}
END_TEST

/* A sink takes its part of the softmax and gives nothing. */
START_TEST(sinks) {
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    float q[2] = {1, 2}, k[4] = {1, 0, 0, 1}, v[2] = {3, 5}, sink = 0.5f, y[1] = {0};
    struct ox_attention a = {.dtype = OX_FLOAT,
                             .batch = 1,
                             .heads = 1,
                             .kv_heads = 1,
                             .q_len = 1,
                             .kv_len = 2,
                             .qk_size = 2,
                             .v_size = 1,
                             .q = q,
                             .k = k,
                             .v = v,
                             .y = y,
                             .q_at = {2, 2, 2},
                             .k_at = {4, 4, 2},
                             .v_at = {2, 2, 1},
                             .y_at = {1, 1, 1},
                             .scale = 1,
                             .left = -1,
                             .right = -1,
                             .sinks = &sink};
    ck_assert_int_eq(ox_attention(ctx, &a), OX_OK);
    double sum = exp(1) + exp(2) + exp(0.5);
    ck_assert_double_lt(fabs((double)y[0] - (3 * exp(1) + 5 * exp(2)) / sum), 1e-6);
    ox_ctx_free(ctx);
}
END_TEST

static void refused(const char *id, int opset, size_t which) {
    struct oh h;
    uint64_t seed = 5;
    oh_init(&h, "Attention", opset, 1);
    if (which == 0) oh_int(&h, "q_num_heads", 3);
    if (which == 1) oh_int(&h, "qk_matmul_output_mode", 4);
    if (which == 2) oh_int(&h, "left_window_size", -2);
    oh_random(&h, &seed, 4, (int64_t[]){1, 2, 3, 4});
    oh_random(&h, &seed, 4, (int64_t[]){1, which == 3 ? 3 : 2, 3, 4});
    oh_random(&h, &seed, 4, (int64_t[]){1, which == 3 ? 3 : 2, which == 4 ? 4 : 3, 4});
    if (which == 5) oh_random(&h, &seed, 2, (int64_t[]){3, 5});
    if (which == 6) {
        oh_absent(&h);
        oh_random(&h, &seed, 4, (int64_t[]){1, 2, 3, 4});
        oh_absent(&h);
    }
    h.no_infer = true;
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, id);
    oh_fini(&h);
}

START_TEST(attention_refuses) {
    static const char *const ids[] = {"wrong-attribute", "wrong-attribute", "wrong-attribute",
                                      "shape-mismatch",  "shape-mismatch",  "shape-mismatch",
                                      "shape-mismatch"};
    refused(ids[_i], 25, (size_t)_i);
}
END_TEST

/* ---- what stands beside it --------------------------------------------------------------------
 */

START_TEST(rotates) {
    bool four = _i & 1, interleaved = _i & 2, positions = _i & 4;
    enum { B = 2, S = 3, H = 2, D = 6, R = 4, P = 5 };
    struct oh h;
    uint64_t seed = 3;
    double want[B * S * H * D];
    oh_init(&h, "RotaryEmbedding", 23, 1);
    oh_int(&h, "interleaved", interleaved);
    oh_int(&h, "rotary_embedding_dim", R);
    if (!four) oh_int(&h, "num_heads", H);
    const float *x = four ? oh_random(&h, &seed, 4, (int64_t[]){B, H, S, D})
                          : oh_random(&h, &seed, 3, (int64_t[]){B, S, H * D});
    int64_t by_place[3] = {B, S, R / 2}, by_position[2] = {P, R / 2};
    const float *c = oh_random(&h, &seed, positions ? 2 : 3, positions ? by_position : by_place);
    const float *s = oh_random(&h, &seed, positions ? 2 : 3, positions ? by_position : by_place);
    int64_t *at = positions ? oh_input(&h, OX_INT64, 2, (int64_t[]){B, S}) : NULL;
    for (int i = 0; at && i < B * S; i++)
        at[i] = (int64_t)oh_pick(&seed, P);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < S; i++)
            for (int head = 0; head < H; head++) {
                int row = (at ? (int)at[b * S + i] : b * S + i) * (R / 2);
                int from = four ? ((b * H + head) * S + i) * D : ((b * S + i) * H + head) * D;
                for (int d = 0; d < D; d++)
                    want[from + d] = (double)x[from + d];
                for (int k = 0; k < R / 2; k++) {
                    int p = from + (interleaved ? 2 * k : k),
                        q = from + (interleaved ? 2 * k + 1 : k + R / 2);
                    want[p] = (double)c[row + k] * (double)x[p] - (double)s[row + k] * (double)x[q];
                    want[q] = (double)s[row + k] * (double)x[p] + (double)c[row + k] * (double)x[q];
                }
            }
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, B * S * H * D, want, 1e-6);
    if (at) {
        at[0] = P;
        ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
        ck_assert_str_eq(h.id, "shape-mismatch");
    }
    oh_fini(&h);
}
END_TEST

START_TEST(scatters_into_cache) {
    static const int64_t at[2] = {3, 1};
    struct oh h;
    uint64_t seed = 9;
    oh_init(&h, "TensorScatter", 24, 1);
    if (_i) oh_string(&h, "mode", "circular");
    const float *cache = oh_random(&h, &seed, 4, (int64_t[]){2, 2, _i ? 4 : 5, 3});
    const float *update = oh_random(&h, &seed, 4, (int64_t[]){2, 2, 2, 3});
    oh_input_of(&h, OX_INT64, 1, (int64_t[]){2}, at);
    double want[2 * 2 * 5 * 3];
    size_t max = _i ? 4 : 5;
    for (size_t i = 0; i < 12 * max; i++)
        want[i] = (double)cache[i];
    for (size_t row = 0; row < 4; row++)
        for (size_t i = 0; i < 2; i++)
            for (size_t d = 0; d < 3; d++)
                want[(row * max + ((size_t)at[row / 2] + i) % max) * 3 + d] =
                    (double)update[(row * 2 + i) * 3 + d];
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 12 * max, want, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(write_beyond_cache) {
    struct oh h;
    uint64_t seed = 9;
    oh_init(&h, "TensorScatter", 24, 1);
    oh_random(&h, &seed, 3, (int64_t[]){1, 4, 3});
    oh_random(&h, &seed, 3, (int64_t[]){1, 2, 3});
    oh_input_of(&h, OX_INT64, 1, (int64_t[]){1}, (int64_t[]){_i ? -1 : 3});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "shape-mismatch");
    oh_fini(&h);
}
END_TEST

START_TEST(rms) {
    struct oh h;
    uint64_t seed = 4;
    double want[24];
    oh_init(&h, "RMSNormalization", 23, 1);
    oh_int(&h, "axis", 1);
    oh_float(&h, "epsilon", 0.01f);
    const float *x = oh_random(&h, &seed, 3, (int64_t[]){2, 3, 4}),
                *w = oh_random(&h, &seed, 1, (int64_t[]){4});
    for (size_t r = 0; r < 2; r++) {
        double square = 0;
        for (size_t i = 0; i < 12; i++)
            square += (double)x[r * 12 + i] * (double)x[r * 12 + i] / 12;
        for (size_t i = 0; i < 12; i++)
            want[r * 12 + i] = (double)x[r * 12 + i] / sqrt(square + 0.01) * (double)w[i % 4];
    }
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 24, want, 1e-6);
    oh_fini(&h);
}
END_TEST

START_TEST(gates) {
    struct oh h;
    uint64_t seed = 6;
    double want[35];
    oh_init(&h, "SwiGLU", 28, 1);
    oh_float(&h, "alpha", 1.7f);
    const float *a = oh_random(&h, &seed, 2, (int64_t[]){5, 7}),
                *b = oh_random(&h, &seed, 2, (int64_t[]){5, 7});
    for (size_t i = 0; i < 35; i++)
        want[i] = (double)a[i] / (1 + exp(-1.7 * (double)a[i])) * (double)b[i];
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 35, want, 1e-6);
    oh_fini(&h);
    oh_init(&h, "SwiGLU", 28, 1);
    oh_random(&h, &seed, 2, (int64_t[]){5, 7});
    oh_random(&h, &seed, 2, (int64_t[]){5, 1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID); /* no broadcasting */
    oh_fini(&h);
}
END_TEST

/* Two calls on the halves of a sequence give what one call on the whole gives. */
static void expect_parts(const char *op, size_t past,
                         void (*configure)(struct oh *h, uint64_t seed, int64_t first,
                                           int64_t end)) {
    struct oh whole, part;
    oh_init(&whole, op, 27, 1);
    configure(&whole, 11, 0, 6);
    ck_assert_msg(oh_eval(&whole, 2) == OX_OK, "%s", whole.text);
    ox_tensor *state = NULL;
    for (int64_t first = 0; first < 6; first += 3) {
        oh_init(&part, op, 27, 1);
        configure(&part, 11, first, first + 3);
        if (state) {
            ox_tensor_unref(part.in[past]);
            part.in[past] = NULL;
            part.n_in = part.n_in > past + 1 ? part.n_in : past;
            size_t n_in = part.n_in;
            part.n_in = past;
            oh_input_of(&part, OX_FLOAT, state->rank, state->dims, state->data);
            part.n_in = n_in > past + 1 ? n_in : past + 1;
            ox_tensor_unref(state);
        }
        ck_assert_msg(oh_eval(&part, 2) == OX_OK, "%s", part.text);
        ck_assert_int_eq(ox_tensor_copy(&state, whole.ctx, OX_FLOAT, part.out[1]->rank,
                                        part.out[1]->dims, part.out[1]->data, part.out[1]->size),
                         OX_OK);
        oh_fini(&part);
    }
    const float *a = state->data, *b = whole.out[1]->data;
    for (size_t i = 0; i < state->count; i++)
        ck_assert_double_lt(fabs((double)a[i] - (double)b[i]), 1e-5);
    ox_tensor_unref(state);
    oh_fini(&whole);
}

/* Steps [first, end) of a sequence of 6: elements are a function of the step. */
static void steps(struct oh *h, int64_t first, int64_t end, int64_t width, double phase) {
    float *x = oh_input(h, OX_FLOAT, 3, (int64_t[]){1, end - first, width});
    for (int64_t t = first; t < end; t++)
        for (int64_t d = 0; d < width; d++)
            x[(t - first) * width + d] = (float)sin((double)(t * width + d) * 0.7 + phase);
}

static void linear_attention(struct oh *h, uint64_t seed, int64_t first, int64_t end) {
    (void)seed;
    oh_int(h, "q_num_heads", 4);
    oh_int(h, "kv_num_heads", 2);
    for (int i = 0; i < 3; i++)
        steps(h, first, end, i == 0 ? 12 : i == 1 ? 6 : 10, i);
    oh_absent(h);
    steps(h, first, end, 2, 3);
    steps(h, first, end, 1, 4);
}

START_TEST(linear_attention_carries_state) {
    expect_parts("LinearAttention", 3, linear_attention);
}
END_TEST

START_TEST(causal_conv) {
    struct oh h;
    uint64_t seed = 8;
    double want[10], state[4];
    oh_init(&h, "CausalConvWithState", 27, 1);
    oh_string(&h, "activation", "silu");
    const float *x = oh_random(&h, &seed, 3, (int64_t[]){1, 2, 5}),
                *w = oh_random(&h, &seed, 3, (int64_t[]){2, 1, 3});
    const float *bias = oh_random(&h, &seed, 1, (int64_t[]){2}),
                *past = oh_random(&h, &seed, 3, (int64_t[]){1, 2, 2});
    for (int c = 0; c < 2; c++) {
        double line[7];
        for (int i = 0; i < 7; i++)
            line[i] = i < 2 ? (double)past[c * 2 + i] : (double)x[c * 5 + i - 2];
        for (int i = 0; i < 5; i++) {
            double sum = (double)bias[c];
            for (int k = 0; k < 3; k++)
                sum += (double)w[c * 3 + k] * line[i + k];
            want[c * 5 + i] = sum / (1 + exp(-sum));
        }
        state[c * 2] = line[5];
        state[c * 2 + 1] = line[6];
    }
    ck_assert_int_eq(oh_eval(&h, 2), OX_OK);
    oh_expect_floats(&h, 0, 10, want, 1e-6);
    oh_expect_floats(&h, 1, 4, state, 0);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_attention");
    TCase *t = tcase_create("attention");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, attends, 0, sizeof shapes / sizeof shapes[0]);
    tcase_add_test(t, sinks);
    tcase_add_loop_test(t, attention_refuses, 0, 7);
    tcase_add_loop_test(t, rotates, 0, 8);
    tcase_add_loop_test(t, scatters_into_cache, 0, 2);
    tcase_add_loop_test(t, write_beyond_cache, 0, 2);
    tcase_add_test(t, rms);
    tcase_add_test(t, gates);
    tcase_add_test(t, linear_attention_carries_state);
    tcase_add_test(t, causal_conv);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
