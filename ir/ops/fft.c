/* ir/ops/fft.c - see fft.h.
 *
 * Lengths of small prime factors: Stockham's form of the mixed-radix algorithm, which needs no
 * reordering. Others: L. Bluestein's chirp transform (1970). Roots of unity are computed from
 * reduced angles, so that those on the axes and diagonals are exact. */
#include "ir/ops/fft.h"

#include <math.h>

#define PI 3.14159265358979323846

enum { FACTOR_MAX = 13 }; /* largest prime for which a step is the definition itself */

/* exp(2 pi i k / n), k < n <= 2^28. The angle is brought to the first quarter, then to its half. */
static void root(double *out, size_t k, size_t n) {
    size_t quarter = 4 * k / n, rest = 4 * k - quarter * n;
    bool high = 2 * rest > n;
    double angle = PI / 2 * (double)(high ? n - rest : rest) / (double)n;
    double c = high ? sin(angle) : cos(angle), s = high ? cos(angle) : sin(angle);
    for (; quarter > 0; quarter--) {
        double t = c;
        c = -s;
        s = t;
    }
    out[0] = c;
    out[1] = s;
}

/* ---- small factors --------------------------------------------------------------------------- */

/* Factors of n, fours first; false: a prime above FACTOR_MAX is among them. */
static bool factorize(struct ox_fft *f) {
    size_t n = f->n;
    f->n_factors = 0;
    for (; n % 4 == 0; n /= 4)
        f->factors[f->n_factors++] = 4;
    for (size_t p = 2; p <= FACTOR_MAX; p++)
        for (; n % p == 0; n /= p)
            f->factors[f->n_factors++] = p;
    return n == 1;
}

/* a times the conjugate of the root at `at`. */
static inline void turn(const struct ox_fft *f, double *out, const double *a, size_t at) {
    const double *w = f->roots + 2 * at;
    double re = a[0] * w[0] + a[1] * w[1], im = a[1] * w[0] - a[0] * w[1];
    out[0] = re;
    out[1] = im;
}

/* Transforms of r points from v to out, by definition; `unit`: n / r. */
static inline void small_transform(const struct ox_fft *f, double *out, const double *v, size_t r,
                                   size_t unit) {
    if (r == 2) {
        out[0] = v[0] + v[2], out[1] = v[1] + v[3];
        out[2] = v[0] - v[2], out[3] = v[1] - v[3];
        return;
    }
    if (r == 4) {
        double ar = v[0] + v[4], ai = v[1] + v[5], br = v[0] - v[4], bi = v[1] - v[5];
        double cr = v[2] + v[6], ci = v[3] + v[7], dr = v[2] - v[6], di = v[3] - v[7];
        out[0] = ar + cr, out[1] = ai + ci;
        out[2] = br + di, out[3] = bi - dr;
        out[4] = ar - cr, out[5] = ai - ci;
        out[6] = br - di, out[7] = bi + dr;
        return;
    }
    for (size_t k = 0; k < r; k++) {
        double re = v[0], im = v[1];
        for (size_t j = 1; j < r; j++) {
            double t[2];
            turn(f, t, v + 2 * j, j * k % r * unit);
            re += t[0];
            im += t[1];
        }
        out[2 * k] = re;
        out[2 * k + 1] = im;
    }
}

/* One factor r: x is m * r groups of `step` pairs, m = n / (r * step). */
static void pass(const struct ox_fft *f, double *y, const double *x, size_t r, size_t step) {
    size_t m = f->n / (r * step);
    for (size_t p = 0; p < m; p++) {
        for (size_t q = 0; q < step; q++) {
            double v[2 * FACTOR_MAX], t[2 * FACTOR_MAX];
            for (size_t j = 0; j < r; j++) {
                v[2 * j] = x[2 * (q + step * (p + m * j))];
                v[2 * j + 1] = x[2 * (q + step * (p + m * j)) + 1];
            }
            small_transform(f, t, v, r, f->n / r);
            for (size_t k = 0; k < r; k++)
                turn(f, &y[2 * (q + step * (r * p + k))], t + 2 * k, p * k * step);
        }
    }
}

static void run_small(const struct ox_fft *f, double *x) {
    double *from = x, *to = f->other;
    size_t step = 1;
    for (int i = 0; i < f->n_factors; i++) {
        pass(f, to, from, f->factors[i], step);
        step *= f->factors[i];
        double *t = from;
        from = to;
        to = t;
    }
    if (from != x) memcpy(x, from, 2 * f->n * sizeof *x);
}

/* ---- any factor ------------------------------------------------------------------------------ */

static ox_status init_chirp(struct ox_fft *f, ox_ctx *ctx) {
    size_t n = f->n, m = 1;
    while (m < 2 * n - 1)
        m *= 2;
    OX_TRY(ox_alloc(ctx, &f->inner, 1, sizeof *f->inner));
    OX_TRY(ox_fft_init(f->inner, ctx, m));
    OX_TRY(ox_alloc(ctx, &f->chirp, n, 2 * sizeof(double)));
    OX_TRY(ox_alloc(ctx, &f->spectrum, m, 2 * sizeof(double)));
    OX_TRY(ox_alloc(ctx, &f->padded, m, 2 * sizeof(double)));
    for (size_t k = 0, square = 0; k < n; k++) {
        root(f->chirp + 2 * k, square, 2 * n);
        square = (square + 2 * k + 1) % (2 * n); /* k^2 modulo 2 n */
        memcpy(f->spectrum + 2 * k, f->chirp + 2 * k, 2 * sizeof(double));
        if (k > 0) memcpy(f->spectrum + 2 * (m - k), f->chirp + 2 * k, 2 * sizeof(double));
    }
    ox_fft_run(f->inner, f->spectrum);
    return OX_OK;
}

/* a times b, or times its conjugate. */
static inline void times(double *a, const double *b, bool conjugate) {
    double c = b[0], s = conjugate ? -b[1] : b[1], re = a[0] * c - a[1] * s;
    a[1] = a[0] * s + a[1] * c;
    a[0] = re;
}

static void run_chirp(const struct ox_fft *f, double *x) {
    size_t n = f->n, m = f->inner->n;
    double *p = f->padded;
    memcpy(p, x, 2 * n * sizeof *p);
    memset(p + 2 * n, 0, 2 * (m - n) * sizeof *p);
    for (size_t k = 0; k < n; k++)
        times(p + 2 * k, f->chirp + 2 * k, true);
    ox_fft_run(f->inner, p);
    for (size_t k = 0; k < m;
         k++) { /* the conjugate of the product: the inverse transform is a forward one */
        times(p + 2 * k, f->spectrum + 2 * k, false);
        p[2 * k + 1] = -p[2 * k + 1];
    }
    ox_fft_run(f->inner, p);
    for (size_t k = 0; k < n; k++) {
        x[2 * k] = p[2 * k] / (double)m;
        x[2 * k + 1] = -p[2 * k + 1] / (double)m;
        times(x + 2 * k, f->chirp + 2 * k, true);
    }
}

/* ---- plans ----------------------------------------------------------------------------------- */

static ox_status init(struct ox_fft *f, ox_ctx *ctx) {
    if (!factorize(f)) return init_chirp(f, ctx);
    OX_TRY(ox_alloc(ctx, &f->roots, f->n, 2 * sizeof(double)));
    OX_TRY(ox_alloc(ctx, &f->other, f->n, 2 * sizeof(double)));
    for (size_t k = 0; k < f->n; k++)
        root(f->roots + 2 * k, k, f->n);
    return OX_OK;
}

ox_status ox_fft_init(struct ox_fft *f, ox_ctx *ctx, size_t n) {
    *f = (struct ox_fft){.n = n};
    ox_status status = init(f, ctx);
    if (status != OX_OK) ox_fft_fini(f, ctx);
    return status;
}

void ox_fft_fini(struct ox_fft *f, ox_ctx *ctx) {
    if (f->inner) ox_fft_fini(f->inner, ctx); /* a power of two: it has no inner one */
    ox_free(ctx, f->inner);
    ox_free(ctx, f->roots);
    ox_free(ctx, f->other);
    ox_free(ctx, f->chirp);
    ox_free(ctx, f->spectrum);
    ox_free(ctx, f->padded);
    *f = (struct ox_fft){0};
}

void ox_fft_run(const struct ox_fft *f, double *x) {
    if (f->inner)
        run_chirp(f, x);
    else
        run_small(f, x);
}
