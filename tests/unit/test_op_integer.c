/* tests/unit/test_op_integer.c - MatMulInteger, ConvInteger, QLinearMatMul and QLinearConv against
 * plain loops over 64-bit integers. */
#include "op_harness.h"

#include <math.h>

/* Bytes of either type, drawn over the whole range. */
static void fill_bytes(uint64_t *seed, void *data, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)data)[i] = (uint8_t)oh_pick(seed, 256);
}

static int get(const ox_tensor *t, size_t i) {
    return t->dtype == OX_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

static int saturated(double sum, double scale, int zp, ox_dtype dtype) {
    double y = (double)rintf((float)sum * (float)scale) + zp;
    int low = dtype == OX_INT8 ? -128 : 0;
    return y < low ? low : y > low + 255 ? low + 255 : (int)y;
}

/* ---- products -------------------------------------------------------------------------------- */

enum spread { ABSENT, NUMBER, VECTOR };

struct product {
    int64_t m, n, k, batch;
    ox_dtype a, b, y;
    enum spread a_zp, b_zp;
    bool b_has_batch;
};

static struct product random_product(uint64_t *seed) {
    static const ox_dtype types[] = {OX_UINT8, OX_INT8};
    return (struct product){1 + (int64_t)oh_pick(seed, 20), 1 + (int64_t)oh_pick(seed, 40),
                            (int64_t)oh_pick(seed, 200),    (int64_t)oh_pick(seed, 3),
                            types[oh_pick(seed, 2)],        types[oh_pick(seed, 2)],
                            types[oh_pick(seed, 2)],        (enum spread)oh_pick(seed, 3),
                            (enum spread)oh_pick(seed, 3),  oh_pick(seed, 2)};
}

static void add_spread(struct oh *h, uint64_t *seed, ox_dtype dtype, enum spread spread,
                       int64_t n) {
    const int64_t dims[] = {n};
    if (spread == ABSENT) {
        oh_absent(h);
        return;
    }
    void *data = oh_input(h, dtype, spread == VECTOR, dims);
    if (dtype == OX_FLOAT)
        for (size_t i = 0; i < h->in[h->n_in - 1]->count; i++)
            ((float *)data)[i] = 0.01f + 0.01f * (oh_unit(seed) + 1);
    else
        fill_bytes(seed, data, h->in[h->n_in - 1]->count);
}

static int point_at(const struct oh *h, size_t input, int64_t i) {
    const ox_tensor *t = input < h->n_in ? h->in[input] : NULL;
    return t ? get(t, t->count == 1 ? 0 : (size_t)i) : 0;
}

static float scale_at(const struct oh *h, size_t input, int64_t i) {
    const ox_tensor *t = h->in[input];
    return ((const float *)t->data)[t->count == 1 ? 0 : i];
}

static int64_t sum_at(const struct oh *h, const struct product *p, size_t b_input, size_t a_zp,
                      size_t b_zp, int64_t item, int64_t i, int64_t j) {
    int64_t sum = 0;
    const ox_tensor *a = h->in[0], *b = h->in[b_input];
    for (int64_t k = 0; k < p->k; k++) {
        size_t at_a = (size_t)((item * p->m + i) * p->k + k);
        size_t at_b = (size_t)(((p->b_has_batch ? item : 0) * p->k + k) * p->n + j);
        sum +=
            (int64_t)(get(a, at_a) - point_at(h, a_zp, i)) * (get(b, at_b) - point_at(h, b_zp, j));
    }
    return sum;
}

static void add_matrix(struct oh *h, uint64_t *seed, ox_dtype dtype, int64_t batch, int64_t rows,
                       int64_t cols) {
    const int64_t dims[] = {batch, rows, cols};
    void *data = oh_input(h, dtype, batch ? 3 : 2, dims + (batch == 0));
    fill_bytes(seed, data, h->in[h->n_in - 1]->count);
}

START_TEST(products_of_integers) {
    uint64_t seed = 2;
    for (int round = 0; round < 80; round++) {
        struct product p = random_product(&seed);
        struct oh h;
        if (p.batch == 0) p.b_has_batch = false;
        oh_init(&h, "MatMulInteger", 10, 1);
        add_matrix(&h, &seed, p.a, p.batch, p.m, p.k);
        add_matrix(&h, &seed, p.b, p.b_has_batch ? p.batch : 0, p.k, p.n);
        if (p.a_zp != ABSENT || p.b_zp != ABSENT) {
            add_spread(&h, &seed, p.a, p.a_zp, p.m);
            if (p.b_zp != ABSENT) add_spread(&h, &seed, p.b, p.b_zp, p.n);
        }
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        const int32_t *y = h.out[0]->data;
        ck_assert_int_eq(h.out[0]->dtype, OX_INT32);
        for (int64_t item = 0; item < (p.batch ? p.batch : 1); item++)
            for (int64_t i = 0; i < p.m; i++)
                for (int64_t j = 0; j < p.n; j++)
                    ck_assert_int_eq(y[(item * p.m + i) * p.n + j],
                                     sum_at(&h, &p, 1, 2, 3, item, i, j));
        oh_same_with_threads(&h, 3);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(products_of_quantized_numbers) {
    uint64_t seed = 3;
    for (int round = 0; round < 60; round++) {
        struct product p = random_product(&seed);
        enum spread a = p.a_zp == ABSENT ? NUMBER : p.a_zp, b = p.b_zp == ABSENT ? NUMBER : p.b_zp;
        struct oh h;
        if (p.batch == 0) p.b_has_batch = false;
        if (p.m == 1) a = NUMBER;
        if (p.n == 1) b = NUMBER;
        oh_init(&h, "QLinearMatMul", 10, 1);
        add_matrix(&h, &seed, p.a, p.batch, p.m, p.k);
        add_spread(&h, &seed, OX_FLOAT, a, p.m);
        add_spread(&h, &seed, p.a, a, p.m);
        add_matrix(&h, &seed, p.b, p.b_has_batch ? p.batch : 0, p.k, p.n);
        add_spread(&h, &seed, OX_FLOAT, b, p.n);
        add_spread(&h, &seed, p.b, b, p.n);
        add_spread(&h, &seed, OX_FLOAT, NUMBER, 1);
        add_spread(&h, &seed, p.y, NUMBER, 1);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        ck_assert_int_eq(h.out[0]->dtype, p.y);
        for (int64_t item = 0; item < (p.batch ? p.batch : 1); item++)
            for (int64_t i = 0; i < p.m; i++)
                for (int64_t j = 0; j < p.n; j++) {
                    float scale = scale_at(&h, 1, i) * scale_at(&h, 4, j) / scale_at(&h, 6, 0);
                    double sum = (double)sum_at(&h, &p, 3, 2, 5, item, i, j);
                    int want = saturated(sum, (double)scale, point_at(&h, 7, 0), p.y);
                    ck_assert_int_eq(get(h.out[0], (size_t)((item * p.m + i) * p.n + j)), want);
                }
        oh_same_with_threads(&h, 3);
        oh_fini(&h);
    }
}
END_TEST

/* A sum beyond 32 bits wraps; one that a chunk of the kernel alone would overflow does not. */
START_TEST(long_sums) {
    const int64_t a[] = {1, 40000}, b[] = {40000, 1};
    const uint8_t zp = 0;
    struct oh h;
    oh_init(&h, "MatMulInteger", 10, 1);
    memset(oh_input(&h, OX_UINT8, 2, a), 255, 40000);
    memset(oh_input(&h, OX_UINT8, 2, b), 255, 40000);
    oh_input_of(&h, OX_UINT8, 0, NULL, &zp);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, (int32_t)(uint32_t)(40000ull * 65025));
    oh_fini(&h);
}
END_TEST

START_TEST(vectors_times_matrices) {
    const int64_t k[] = {3}, kn[] = {3, 2};
    const uint8_t a[] = {1, 2, 3}, b[] = {1, 4, 2, 5, 3, 6};
    struct oh h;
    oh_init(&h, "MatMulInteger", 10, 1);
    oh_input_of(&h, OX_UINT8, 1, k, a);
    oh_input_of(&h, OX_UINT8, 2, kn, b);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 1, (int64_t[]){2});
    ck_assert_mem_eq(h.out[0]->data, ((int32_t[]){14, 32}), 8);
    oh_fini(&h);
    oh_init(&h, "MatMulInteger", 10, 1);
    oh_input_of(&h, OX_UINT8, 1, k, a);
    oh_input_of(&h, OX_UINT8, 1, k, b);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 0, NULL);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, 15);
    oh_fini(&h);
}
END_TEST

/* ---- convolutions ---------------------------------------------------------------------------- */

struct problem {
    int64_t n, group, c, m, h, w, kh, kw, stride, dilation, pad;
    ox_dtype x, weight, y;
    bool per_channel, bias;
};

static struct problem random_problem(uint64_t *seed) {
    static const ox_dtype types[] = {OX_UINT8, OX_INT8};
    struct problem p = {.n = 1 + (int64_t)oh_pick(seed, 2), .group = 1 + (int64_t)oh_pick(seed, 3)};
    p.c = 1 + (int64_t)oh_pick(seed, 5);
    p.m = 1 + (int64_t)oh_pick(seed, 4);
    p.h = 3 + (int64_t)oh_pick(seed, 9);
    p.w = 3 + (int64_t)oh_pick(seed, 9);
    p.kh = 1 + (int64_t)oh_pick(seed, 3);
    p.kw = 1 + (int64_t)oh_pick(seed, 3);
    p.stride = 1 + (int64_t)oh_pick(seed, 2);
    p.dilation = 1 + (int64_t)(p.kh > 1 && p.h > 5 && p.w > 5 ? oh_pick(seed, 2) : 0);
    p.pad = (int64_t)oh_pick(seed, 2);
    p.x = types[oh_pick(seed, 2)];
    p.weight = types[oh_pick(seed, 2)];
    p.y = types[oh_pick(seed, 2)];
    p.per_channel = oh_pick(seed, 2);
    p.bias = oh_pick(seed, 2);
    return p;
}

static void add_attributes(struct oh *h, const struct problem *p, int64_t *lists) {
    const int64_t values[] = {p->stride, p->stride, p->dilation, p->dilation,
                              p->pad,    p->pad,    p->pad,      p->pad};
    memcpy(lists, values, sizeof values);
    oh_ints(h, "strides", 2, lists);
    oh_ints(h, "dilations", 2, lists + 2);
    oh_ints(h, "pads", 4, lists + 4);
    oh_int(h, "group", p->group);
}

static int64_t conv_at(const struct oh *h, const struct problem *p, size_t w_input, size_t x_zp,
                       size_t w_zp, int64_t n, int64_t m, int64_t y, int64_t x) {
    int64_t sum = 0, group = m / p->m;
    for (int64_t c = 0; c < p->c; c++)
        for (int64_t i = 0; i < p->kh; i++)
            for (int64_t j = 0; j < p->kw; j++) {
                int64_t iy = y * p->stride - p->pad + i * p->dilation;
                int64_t ix = x * p->stride - p->pad + j * p->dilation;
                if (iy < 0 || ix < 0 || iy >= p->h || ix >= p->w) continue;
                int64_t at = ((n * p->group * p->c + group * p->c + c) * p->h + iy) * p->w + ix;
                int64_t at_w = ((m * p->c + c) * p->kh + i) * p->kw + j;
                sum += (int64_t)(get(h->in[0], (size_t)at) - point_at(h, x_zp, 0)) *
                       (get(h->in[w_input], (size_t)at_w) - point_at(h, w_zp, m));
            }
    return sum;
}

static void add_image(struct oh *h, uint64_t *seed, const struct problem *p) {
    const int64_t dims[] = {p->n, p->group * p->c, p->h, p->w};
    void *data = oh_input(h, p->x, 4, dims);
    fill_bytes(seed, data, h->in[h->n_in - 1]->count);
}

static void add_weight(struct oh *h, uint64_t *seed, const struct problem *p) {
    const int64_t dims[] = {p->group * p->m, p->c, p->kh, p->kw};
    void *data = oh_input(h, p->weight, 4, dims);
    fill_bytes(seed, data, h->in[h->n_in - 1]->count);
}

START_TEST(convolutions_of_integers) {
    uint64_t seed = 4;
    for (int round = 0; round < 60; round++) {
        struct problem p = random_problem(&seed);
        int64_t lists[8];
        struct oh h;
        oh_init(&h, "ConvInteger", 10, 1);
        add_attributes(&h, &p, lists);
        add_image(&h, &seed, &p);
        add_weight(&h, &seed, &p);
        add_spread(&h, &seed, p.x, NUMBER, 1);
        add_spread(&h, &seed, p.weight, p.per_channel ? VECTOR : NUMBER, p.group * p.m);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        const ox_tensor *out = h.out[0];
        const int32_t *y = out->data;
        ck_assert_int_eq(out->dims[1], p.group * p.m);
        for (size_t i = 0; i < out->count; i++) {
            int64_t ow = out->dims[3], oh = out->dims[2], at = (int64_t)i;
            int64_t want = conv_at(&h, &p, 1, 2, 3, at / (ow * oh * out->dims[1]),
                                   at / (ow * oh) % out->dims[1], at / ow % oh, at % ow);
            ck_assert_int_eq(y[i], want);
        }
        oh_same_with_threads(&h, 3);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(convolutions_of_quantized_numbers) {
    uint64_t seed = 5;
    for (int round = 0; round < 60; round++) {
        struct problem p = random_problem(&seed);
        int64_t lists[8], channels[] = {p.group * p.m};
        struct oh h;
        enum spread spread = p.per_channel ? VECTOR : NUMBER;
        oh_init(&h, "QLinearConv", 10, 1);
        add_attributes(&h, &p, lists);
        add_image(&h, &seed, &p);
        add_spread(&h, &seed, OX_FLOAT, NUMBER, 1);
        add_spread(&h, &seed, p.x, NUMBER, 1);
        add_weight(&h, &seed, &p);
        add_spread(&h, &seed, OX_FLOAT, spread, channels[0]);
        add_spread(&h, &seed, p.weight, spread, channels[0]);
        add_spread(&h, &seed, OX_FLOAT, NUMBER, 1);
        add_spread(&h, &seed, p.y, NUMBER, 1);
        int32_t *bias = p.bias ? oh_input(&h, OX_INT32, 1, channels) : NULL;
        for (int64_t i = 0; bias && i < channels[0]; i++)
            bias[i] = (int32_t)oh_pick(&seed, 20000) - 10000;
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        const ox_tensor *out = h.out[0];
        for (size_t i = 0; i < out->count; i++) {
            int64_t ow = out->dims[3], oh = out->dims[2], at = (int64_t)i,
                    m = at / (ow * oh) % out->dims[1];
            int64_t sum =
                conv_at(&h, &p, 3, 2, 5, at / (ow * oh * out->dims[1]), m, at / ow % oh, at % ow);
            float scale = scale_at(&h, 1, 0) * scale_at(&h, 4, m) / scale_at(&h, 6, 0);
            if (bias) sum += bias[m];
            ck_assert_int_eq(get(out, i),
                             saturated((double)sum, (double)scale, point_at(&h, 7, 0), p.y));
        }
        oh_fini(&h);
    }
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

START_TEST(contradictions_are_refused) {
    const int64_t mk[] = {2, 3}, kn[] = {4, 2}, two[] = {2}, x[] = {1, 1, 4, 4}, w[] = {3, 1, 2, 2};
    const float zero = 0, one = 1;
    struct oh h;
    oh_init(&h, "MatMulInteger", 10, 1); /* inner dims */
    oh_input(&h, OX_UINT8, 2, mk);
    oh_input(&h, OX_UINT8, 2, kn);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "MatMulInteger", 10, 1); /* types */
    oh_input(&h, OX_FLOAT, 2, mk);
    oh_input(&h, OX_UINT8, 2, mk);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "ConvInteger", 10, 1); /* two zero points for three channels */
    oh_input(&h, OX_UINT8, 4, x);
    oh_input(&h, OX_UINT8, 4, w);
    oh_absent(&h);
    oh_input(&h, OX_UINT8, 1, two);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "[2] holds neither one number nor one for each of 3 channels");
    oh_fini(&h);
    for (int bad = 1; bad <= 6;
         bad++) { /* scale 0, wherever it stands; zero point that is not the scale's */
        if (bad == 2 || bad == 3 || bad == 5) continue;
        oh_init(&h, "QLinearConv", 10, 1);
        oh_input(&h, OX_UINT8, 4, x);
        oh_input_of(&h, OX_FLOAT, 0, NULL, bad == 1 ? &zero : &one);
        oh_input(&h, OX_UINT8, 0, NULL);
        oh_input(&h, OX_UINT8, 4, w);
        oh_input_of(&h, OX_FLOAT, 0, NULL, bad == 4 ? &zero : &one);
        oh_input(&h, OX_UINT8, 0, NULL);
        oh_input_of(&h, OX_FLOAT, 0, NULL, bad == 6 ? &zero : &one);
        oh_input(&h, OX_UINT8, 0, NULL);
        ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
        ck_assert_str_eq(h.id, "bad-scale");
        oh_fini(&h);
    }
    oh_init(&h, "QLinearConv", 10, 1);
    oh_input(&h, OX_UINT8, 4, x);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    oh_input(&h, OX_UINT8, 1, two);
    oh_input(&h, OX_UINT8, 4, w);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    oh_input(&h, OX_UINT8, 0, NULL);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    oh_input(&h, OX_UINT8, 0, NULL);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text,
                     "zero point (input 2) of QLinearConv is [2], its scale (input 1) is []");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_integer");
    TCase *tests = tcase_create("integer");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, products_of_integers);
    tcase_add_test(tests, products_of_quantized_numbers);
    tcase_add_test(tests, long_sums);
    tcase_add_test(tests, vectors_times_matrices);
    tcase_add_test(tests, convolutions_of_integers);
    tcase_add_test(tests, convolutions_of_quantized_numbers);
    tcase_add_test(tests, contradictions_are_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
