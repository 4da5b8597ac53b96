/* ir/ops/kernel_dot.c - see kernel_dot.h. Rows of b are taken in panels that stay in the cache
 * while all rows of a pass by; the inner loop is the one that compilers turn into multiply-add of
 * pairs. */
#include "ir/ops/kernel_dot.h"
#include "ir/ops/simd.h"

enum { PANEL_BYTES = 128 * 1024, K_MAX = 16384 }; /* K_MAX * 255^2 is below 2^31 */

/* One row of a against `rows` rows of b; adds to c. */
OX_CLONES static void dot_rows(int32_t *c, const int16_t *a, const int16_t *b, size_t b_rs,
                               size_t rows, size_t k) {
    for (size_t j = 0; j < rows; j++) {
        const int16_t *row = b + j * b_rs;
        int32_t sum = 0;
        for (size_t i = 0; i < k; i++)
            sum += (int32_t)a[i] * (int32_t)row[i];
        c[j] = (int32_t)((uint32_t)c[j] + (uint32_t)sum);
    }
}

/* Columns [begin, end) of c. */
static void dot_columns(void *arg, size_t begin, size_t end) {
    const struct ox_dot *d = arg;
    size_t panel = PANEL_BYTES / (d->k * sizeof *d->b + 1) + 1;
    for (size_t i = 0; i < d->m; i++)
        memset(d->c + i * d->c_rs + begin, 0, (end - begin) * sizeof *d->c);
    for (size_t j = begin; j < end; j += panel) {
        size_t rows = end - j < panel ? end - j : panel;
        for (size_t i = 0; i < d->m; i++)
            for (size_t k = 0; k < d->k; k += K_MAX)
                dot_rows(d->c + i * d->c_rs + j, d->a + i * d->k + k, d->b + j * d->k + k, d->k,
                         rows, d->k - k < K_MAX ? d->k - k : K_MAX);
    }
}

void ox_dot(ox_ctx *ctx, const struct ox_dot *dot) {
    struct ox_dot d = *dot;
    size_t grain = 200000 / (d.m * d.k + 1) + 1; /* multiply-adds that are worth a thread */
    if (d.m == 0 || d.n == 0) return;
    ox_parallel(ctx, d.n, grain, dot_columns, &d);
}
