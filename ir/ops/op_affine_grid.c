/* ir/ops/op_affine_grid.c - AffineGrid: the places that an affine map takes a regular grid to, for
 * GridSample. */
#include "ir/ops/op_args.h"
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_affine_grid(const struct ox_call *call, void *params) {
    int64_t align;
    OX_TRY(ox_attr_int(&align, call, "align_corners", 0));
    ((struct ox_affine_grid_params *)params)->align = align != 0;
    return OX_OK;
}

/* size is N, C, then 2 or 3 lengths; the grid N, those lengths, and a coordinate for each. */
ox_status ox_infer_affine_grid(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    const struct ox_partial *size;
    ox_dim dims[5];
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_in_elems(&size, io, 1));
    if (!size) return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), -1, NULL);
    if (size->count != 4 && size->count != 5)
        return ox_bad_shape(call, "size has %zu elements, expected 4 or 5", size->count);
    int n = (int)size->count;
    dims[0] = size->elems[0];
    for (int i = 2; i < n; i++)
        dims[i - 1] = size->elems[i];
    dims[n - 1] = ox_dim_const(n - 2);
    for (int i = 0; i < n; i++)
        if (!ox_dim_ge(dims[i], 0)) OX_TRY(ox_dim_unknown(&dims[i], io->dims));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), n, dims);
}

static double place(bool align, int64_t i, int64_t n) {
    if (!align) return (2 * (double)i + 1) / (double)n - 1;
    return n > 1 ? 2 * (double)i / (double)(n - 1) - 1 : 0;
}

static ox_status affine_grid(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_affine_grid_params *p = params;
    const ox_tensor *theta = in[0], *size = in[1];
    int64_t dims[5];
    double *y;
    OX_TRY(ox_expect_index(call, 1, size->dtype));
    int n = (int)size->count - 2;
    if (size->rank != 1 || (n != 2 && n != 3))
        return ox_bad_shape(call, "size has %zu elements, expected 4 or 5", size->count);
    dims[0] = ox_tensor_int(size, 0);
    for (int i = 0; i < n; i++)
        dims[i + 1] = ox_tensor_int(size, (size_t)i + 2);
    dims[n + 1] = n;
    if (theta->rank != 3 || theta->dims[0] != dims[0] || theta->dims[1] != n ||
        theta->dims[2] != n + 1)
        return ox_bad_shape(call, "theta is %s for %lld grids of %d dims",
                            ox_dims_text(theta->rank, theta->dims).text, (long long)dims[0], n);
    OX_TRY(ox_new_doubles(&y, call, out, 0, n + 2, dims));
    for (size_t i = 0; i < out[0]->count / (size_t)n; i++) {
        double at[4]; /* x, y, z, 1: the last dim first */
        size_t rest = i;
        for (int d = n; d > 0; d--) {
            at[n - d] = place(p->align, (int64_t)(rest % (size_t)dims[d]), dims[d]);
            rest /= (size_t)dims[d];
        }
        at[n] = 1;
        const double *t = (const double *)theta->data + rest * (size_t)(n * (n + 1));
        for (int r = 0; r < n; r++)
            for (int c = 0; c <= n; c++)
                y[i * (size_t)n + (size_t)r] += t[r * (n + 1) + c] * at[c];
    }
    return OX_OK;
}

ox_status ox_eval_affine_grid(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    return ox_eval_doubles(affine_grid, call, params, in, out, 1, in[0]->dtype);
}
