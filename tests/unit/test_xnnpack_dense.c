/* tests/unit/test_xnnpack_dense.c - XNNPACK's matrix products against plain sums, at every level of
   instructions: fully connected in float, int8, and with rows quantized on the fly; products of two
   activations with broadcast batches. */
#include "xnn_harness.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

struct product {
    int m, k, n;
};

static struct product choose(struct xt *t) {
    return (struct product){xt_int(t, 1, xt_int(t, 0, 1) ? 70 : 18),
                            xt_int(t, 1, xt_int(t, 0, 1) ? 300 : 90),
                            xt_int(t, 1, xt_int(t, 0, 1) ? 200 : 40)};
}

static void dense_f32(struct xt *t) {
    struct product p = choose(t);
    size_t m = (size_t)p.m, k = (size_t)p.k, n = (size_t)p.n;
    bool in_out = xt_int(t, 0, 1); /* layout of the weights */
    float *x = xt_alloc(m * k, 4), *w = xt_alloc(k * n, 4), *b = xt_alloc(n, 4),
          *y = xt_alloc(m * n, 4);
    xt_floats(t, x, m * k);
    xt_floats(t, w, k * n);
    xt_floats(t, b, n);
    xt_describe(t, "fully connected f32 %dx%dx%d %d", p.m, p.k, p.n, in_out);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    XT_OK(xnn_create_fully_connected_nc_f32(k, n, k, n, w, b, -INFINITY, INFINITY,
                                            in_out ? XNN_FLAG_TRANSPOSE_WEIGHTS : 0, NULL, NULL,
                                            &op));
    XT_OK(xnn_reshape_fully_connected_nc_f32(op, m, pool));
    XT_OK(xnn_setup_fully_connected_nc_f32(op, x, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < m * n; i++) {
        double want = (double)b[i % n];
        for (size_t j = 0; j < k; j++)
            want +=
                (double)x[i / n * k + j] * (double)(in_out ? w[j * n + i % n] : w[i % n * k + j]);
        double off = fabs(want - (double)y[i]);
        if (!(off <= worst)) worst = off;
    }
    xt_judge(t, worst, 2e-5);
    free(x);
    free(w);
    free(b);
    free(y);
}

static void dense_s8(struct xt *t) {
    struct product p = choose(t);
    size_t m = (size_t)p.m, k = (size_t)p.k, n = (size_t)p.n;
    int8_t *x = xt_alloc(m * k, 1), *w = xt_alloc(k * n, 1), *y = xt_alloc(m * n, 1);
    int32_t *b = xt_alloc(n, 4);
    float *scale = xt_alloc(n, 4);
    xt_bytes(t, x, m * k, -128, 127);
    xt_bytes(t, w, k * n, -127, 127);
    for (size_t i = 0; i < n; i++) {
        b[i] = xt_int(t, -3000, 3000);
        scale[i] = 0.001f + 0.0001f * (float)(i % 13);
    }
    int zx = xt_int(t, -128, 127), zy = xt_int(t, -128, 127);
    int low = xt_int(t, 0, 2) ? -128 : -50, high = xt_int(t, 0, 2) ? 127 : 66;
    float sx = 0.02f, sy = 0.02f + 0.001f * (float)p.k;
    xt_describe(t, "fully connected s8 %dx%dx%d", p.m, p.k, p.n);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    XT_OK(xnn_create_fully_connected_nc_qs8_qc8w(k, n, k, n, (int8_t)zx, sx, scale, w, b,
                                                 (int8_t)zy, sy, (int8_t)low, (int8_t)high, 0, NULL,
                                                 NULL, &op));
    XT_OK(xnn_reshape_fully_connected_nc_qs8_qc8w(op, m, pool));
    XT_OK(xnn_setup_fully_connected_nc_qs8_qc8w(op, x, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < m * n; i++) {
        int64_t sum = b[i % n];
        for (size_t j = 0; j < k; j++)
            sum += (x[i / n * k + j] - zx) * w[i % n * k + j];
        double want = (double)sum * ((double)sx * (double)scale[i % n] / (double)sy) + zy;
        double off = xt_off(y[i], fmin(fmax(want, low), high));
        if (!(off <= worst)) worst = off;
    }
    xt_judge(t, worst, 1e-4);
    free(x);
    free(w);
    free(y);
    free(b);
    free(scale);
}

/* Each row is quantized by a scale and zero point of its own; the product must be that of the rows
   as quantized, and these must be near the rows given. */
static void dense_qd8(struct xt *t) {
    struct product p = choose(t);
    size_t m = (size_t)p.m, k = (size_t)p.k, n = (size_t)p.n;
    float *x = xt_alloc(m * k, 4), *b = xt_alloc(n, 4), *y = xt_alloc(m * n, 4),
          *scale = xt_alloc(n, 4);
    int8_t *w = xt_alloc(k * n, 1), *q = xt_alloc(m * k, 1);
    struct xnn_quantization_params *rows =
        xt_alloc(m + XNN_EXTRA_QUANTIZATION_PARAMS, sizeof *rows);
    xt_floats(t, x, m * k);
    xt_floats(t, b, n);
    xt_bytes(t, w, k * n, -127, 127);
    for (size_t i = 0; i < n; i++)
        scale[i] = 0.001f + 0.0001f * (float)(i % 13);
    xt_describe(t, "fully connected qd8 %dx%dx%d", p.m, p.k, p.n);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t convert = NULL, op = NULL;
    XT_OK(xnn_create_convert_nc_f32_qd8(0, &convert));
    XT_OK(xnn_reshape_convert_nc_f32_qd8(convert, m, k, k, k, pool));
    XT_OK(xnn_setup_convert_nc_f32_qd8(convert, x, q, rows));
    XT_OK(xnn_run_operator(convert, pool));
    XT_OK(xnn_delete_operator(convert));
    XT_OK(xnn_create_fully_connected_nc_qd8_f32_qc8w(k, n, k, n, scale, w, b, -INFINITY, INFINITY,
                                                     0, NULL, NULL, &op));
    XT_OK(xnn_reshape_fully_connected_nc_qd8_f32_qc8w(op, m, pool));
    XT_OK(xnn_setup_fully_connected_nc_qd8_f32_qc8w(op, q, y, rows));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double want = 0;
            for (size_t c = 0; c < k; c++)
                want += (q[i * k + c] - rows[i].zero_point) * w[j * k + c];
            want = want * (double)rows[i].scale * (double)scale[j] + (double)b[j];
            double off = fabs(want - (double)y[i * n + j]);
            if (!(off <= worst)) worst = off;
        }
    for (size_t i = 0; i < m * k; i++) {
        const struct xnn_quantization_params *r = &rows[i / k];
        double off = fabs((double)(q[i] - r->zero_point) * (double)r->scale - (double)x[i]);
        /* Half a step, and as much again where the zero point had to be rounded. */
        if (!(off <= 1.01 * (double)r->scale)) worst = INFINITY;
    }
    xt_judge(t, worst, 1e-4);
    free(x);
    free(b);
    free(y);
    free(scale);
    free(w);
    free(q);
    free(rows);
}

static void batch_f32(struct xt *t) {
    struct product p = choose(t);
    size_t m = (size_t)p.m, k = (size_t)p.k, n = (size_t)p.n;
    size_t a_dims[2] = {(size_t)xt_int(t, 1, 2), (size_t)xt_int(t, 1, 3)};
    size_t b_dims[2] = {xt_int(t, 0, 1) ? a_dims[0] : 1, xt_int(t, 0, 1) ? a_dims[1] : 1};
    bool swapped = xt_int(t, 0, 1);
    size_t na = a_dims[0] * a_dims[1], nb = b_dims[0] * b_dims[1];
    float *a = xt_alloc(na * m * k, 4), *b = xt_alloc(nb * k * n, 4), *y = xt_alloc(na * m * n, 4);
    xt_floats(t, a, na * m * k);
    xt_floats(t, b, nb * k * n);
    xt_describe(t, "batch product f32 %dx%dx%d of %zux%zu and %zux%zu, %d", p.m, p.k, p.n,
                a_dims[0], a_dims[1], b_dims[0], b_dims[1], swapped);
    pthreadpool_t pool = xt_pool(t);
    xnn_operator_t op = NULL;
    size_t size = 0, align = 0;
    XT_OK(xnn_create_batch_matrix_multiply_nc_f32(swapped ? XNN_FLAG_TRANSPOSE_B : 0, &op));
    XT_OK(xnn_reshape_batch_matrix_multiply_nc_f32(op, 2, a_dims, b_dims, m, k, n, &size, &align,
                                                   pool));
    void *space = xt_alloc(size, 1);
    XT_OK(xnn_setup_batch_matrix_multiply_nc_f32(op, space, a, b, y));
    XT_OK(xnn_run_operator(op, pool));
    XT_OK(xnn_delete_operator(op));
    double worst = 0;
    for (size_t i = 0; i < na * m * n; i++) {
        size_t batch = i / (m * n), row = i / n % m, col = i % n;
        size_t other = (b_dims[0] > 1 ? batch / a_dims[1] : 0) * b_dims[1] +
                       (b_dims[1] > 1 ? batch % a_dims[1] : 0);
        const float *ai = a + (batch * m + row) * k, *bi = b + other * k * n;
        double want = 0;
        for (size_t j = 0; j < k; j++)
            want += (double)ai[j] * (double)(swapped ? bi[col * k + j] : bi[j * n + col]);
        double off = fabs(want - (double)y[i]);
        if (!(off <= worst)) worst = off;
    }
    xt_judge(t, worst, 2e-5);
    free(space);
    free(a);
    free(b);
    free(y);
}

static void all(struct xt *t) {
    for (int i = 0; i < 40; i++) {
        dense_f32(t);
        dense_s8(t);
        dense_qd8(t);
        if (i % 2 == 0) batch_f32(t);
    }
}

START_TEST(matrix_products_are_right_at_every_level) {
    int levels, failed = xt_at_levels(all, &levels);
    ck_assert_int_gt(levels, 0);
    ck_assert_int_eq(failed, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("xnnpack_dense");
    TCase *c = tcase_create("levels");
    tcase_set_timeout(c, 150);
    tcase_add_test(c, matrix_products_are_right_at_every_level);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
