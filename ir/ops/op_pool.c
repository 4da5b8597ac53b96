/* ir/ops/op_pool.c - what pools mean: parameters and types. Kernels: op_pool_eval.c. */
#include "ir/ops/op_pool.h"

#include "ir/ops/op_priv.h"

const enum ox_pool_kind ox_pool_kinds[OX_POOL_KINDS] = {OX_POOL_MAX, OX_POOL_AVERAGE, OX_POOL_LP};

static enum ox_pool_kind kind_of(const struct ox_call *call) {
    return *(const enum ox_pool_kind *)call->op->family;
}

static ox_dtypes allowed(const struct ox_call *call) {
    bool bytes = kind_of(call) == OX_POOL_MAX && strcmp(call->op->name, "MaxPool") == 0;
    return OX_FLOATS | (bytes ? OX_BIT(OX_INT8) | OX_BIT(OX_UINT8) : 0);
}

/* p is a float in version 1 and an integer since. */
static ox_status read_p(float *p, const struct ox_call *call) {
    const struct ox_attr *attr = ox_attr_find(call, "p");
    int64_t number = 2;
    if (attr && attr->type == OX_ATTR_FLOAT) {
        OX_TRY(ox_attr_float(p, call, "p", 2));
    } else {
        OX_TRY(ox_attr_int(&number, call, "p", 2));
        *p = (float)number;
    }
    if (*p > 0 && *p <= 1000) return OX_OK; /* NaN fails too */
    return ox_bad_attr(call, "p is %g", (double)*p);
}

ox_status ox_decode_pool(const struct ox_call *call, void *params) {
    struct ox_pool_params *p = params;
    int64_t include, order;
    OX_TRY(ox_window_decode(&p->window, call));
    if (!p->window.has_kernel) return ox_bad_attr(call, "attribute 'kernel_shape' is missing");
    OX_TRY(ox_attr_int(&include, call, "count_include_pad", 0));
    OX_TRY(ox_attr_int(&order, call, "storage_order", 0));
    p->count_include_pad = include != 0;
    p->column_major = order != 0;
    return read_p(&p->p, call);
}

ox_status ox_decode_global_pool(const struct ox_call *call, void *params) {
    struct ox_global_pool_params *p = params;
    return read_p(&p->p, call);
}

ox_status ox_infer_pool(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_pool_params *p = params;
    struct ox_window w = p->window;
    ox_dim dims[OX_WINDOW_MAX + 2];
    ox_dtype dtype = ox_in_dtype(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, dtype, allowed(call)));
    int rank = ox_in_rank(io, 0);
    if (rank >= 0) {
        OX_TRY(ox_window_rank(&w, call, rank - 2));
        dims[0] = io->in[0]->dims[0];
        dims[1] = io->in[0]->dims[1];
        OX_TRY(ox_window_infer(&w, call, io, io->in[0]->dims + 2, dims + 2));
    }
    OX_TRY(ox_window_output(call, io, dtype, rank, dims));
    return call->n_out > 1 ? ox_infer_tensor(io, 1, OX_INT64, rank, dims) : OX_OK;
}

ox_status ox_infer_global_pool(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    (void)params;
    ox_dim dims[OX_MAX_RANK];
    ox_dtype dtype = ox_in_dtype(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, dtype, OX_FLOATS));
    int rank = ox_in_rank(io, 0);
    if (rank >= 0 && rank < 3)
        return ox_bad_shape(call, "%s needs spatial dims, the data has rank %d", call->op->name,
                            rank);
    for (int i = 0; i < rank; i++)
        dims[i] = i < 2 ? io->in[0]->dims[i] : ox_dim_const(1);
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}
