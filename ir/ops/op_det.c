/* ir/ops/op_det.c - Det and (of com.microsoft) Inverse: square matrices, by elimination with the
 * largest pivot of each column. */
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"
#include <math.h>

ox_status ox_infer_det(const struct ox_call *call, const void *params, struct ox_infer *io) {
    int rank = ox_in_rank(io, 0);
    ox_dim side;
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, rank, 2, -1));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    side = io->in[0]->dims[rank - 1];
    OX_TRY(ox_dim_unify(&side, call, io->in[0]->dims[rank - 2]));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank - 2, io->in[0]->dims);
}

static size_t pivot_row(const double *a, size_t n, size_t column) {
    size_t best = column;
    for (size_t r = column; r < n; r++) {
        if (isnan(a[r * n + column])) return r; /* it must reach the product */
        if (fabs(a[r * n + column]) > fabs(a[best * n + column])) best = r;
    }
    return best;
}

/* Destroys the n x n matrix. */
static double determinant(double *a, size_t n) {
    double product = 1;
    for (size_t c = 0; c < n; c++) {
        size_t p = pivot_row(a, n, c);
        double pivot = a[p * n + c];
        product *= p == c ? pivot : -pivot;
        if (pivot == 0) return 0;
        for (size_t k = c; p != c && k < n; k++) {
            double t = a[p * n + k];
            a[p * n + k] = a[c * n + k];
            a[c * n + k] = t;
        }
        for (size_t r = c + 1; r < n; r++) {
            double factor = a[r * n + c] / pivot;
            for (size_t k = c + 1; k < n; k++)
                a[r * n + k] -= factor * a[c * n + k];
        }
    }
    return product;
}

static ox_status det(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                     ox_tensor **out) {
    const ox_tensor *x = in[0];
    double *y, *work;
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 2, -1));
    if (x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return ox_bad_shape(call, "the matrices of %s are not square",
                            ox_dims_text(x->rank, x->dims).text);
    size_t n = (size_t)x->dims[x->rank - 1];
    OX_TRY(ox_new_doubles(&y, call, out, 0, x->rank - 2, x->dims));
    OX_TRY(ox_alloc_raw(call->ctx, &work, x->count > 0 ? n * n : 0, sizeof *work));
    for (size_t i = 0; i < out[0]->count; i++) {
        if (n > 0) memcpy(work, (const double *)x->data + i * n * n, n * n * sizeof *work);
        y[i] = determinant(work, n);
    }
    ox_free(call->ctx, work);
    return OX_OK;
}

ox_status ox_eval_det(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    return ox_eval_doubles(det, call, params, in, out, 1, in[0]->dtype);
}

/* ---- Inverse --------------------------------------------------------------------------------- */

ox_status ox_infer_inverse(const struct ox_call *call, const void *params, struct ox_infer *io) {
    int rank = ox_in_rank(io, 0);
    ox_dim dims[OX_MAX_RANK];
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_rank(call, 0, rank, 2, -1));
    if (rank < 0) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    OX_TRY(ox_dim_unify(&dims[rank - 1], call, dims[rank - 2]));
    dims[rank - 2] = dims[rank - 1];
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

static void swap_rows(double *a, size_t n, size_t r, size_t s) {
    for (size_t k = 0; r != s && k < n; k++) {
        double t = a[r * n + k];
        a[r * n + k] = a[s * n + k];
        a[s * n + k] = t;
    }
}

/* Destroys the n x n matrix a; y begins as the unit matrix. A matrix that has no inverse gives
 * infinities and NaN. */
static void invert(double *y, double *a, size_t n) {
    for (size_t c = 0; c < n; c++) {
        size_t p = pivot_row(a, n, c);
        swap_rows(a, n, p, c);
        swap_rows(y, n, p, c);
        double pivot = a[c * n + c];
        for (size_t k = 0; k < n; k++) {
            a[c * n + k] /= pivot;
            y[c * n + k] /= pivot;
        }
        for (size_t r = 0; r < n; r++) {
            double factor = a[r * n + c];
            for (size_t k = 0; r != c && k < n; k++) {
                a[r * n + k] -= factor * a[c * n + k];
                y[r * n + k] -= factor * y[c * n + k];
            }
        }
    }
}

static ox_status inverse(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const ox_tensor *x = in[0];
    double *y, *work;
    (void)params;
    OX_TRY(ox_expect_rank(call, 0, x->rank, 2, -1));
    if (x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return ox_bad_shape(call, "the matrices of %s are not square",
                            ox_dims_text(x->rank, x->dims).text);
    size_t n = (size_t)x->dims[x->rank - 1];
    OX_TRY(ox_new_doubles(&y, call, out, 0, x->rank, x->dims));
    OX_TRY(ox_alloc_raw(call->ctx, &work, x->count > 0 ? n * n : 0, sizeof *work));
    for (size_t i = 0; i < x->count; i += n * n) {
        memcpy(work, (const double *)x->data + i, n * n * sizeof *work);
        for (size_t k = 0; k < n; k++)
            y[i + k * (n + 1)] = 1;
        invert(y + i, work, n);
    }
    ox_free(call->ctx, work);
    return OX_OK;
}

ox_status ox_eval_inverse(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    return ox_eval_doubles(inverse, call, params, in, out, 1, in[0]->dtype);
}
