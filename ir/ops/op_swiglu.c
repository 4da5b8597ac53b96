/* ir/ops/op_swiglu.c - SwiGLU: A * sigmoid(alpha * A) * B, element by element, without
 * broadcasting.
 *
 * Source: ONNX operator specification, opset 28. */
#include "ir/ops/op_args.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/simd.h"
#include "ir/ops/vmath.h"

ox_status ox_decode_swiglu(const struct ox_call *call, void *params) {
    return ox_attr_float(&((struct ox_swiglu_params *)params)->alpha, call, "alpha", 1);
}

ox_status ox_infer_swiglu(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_FLOATS));
    OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), 1, ox_in_dtype(io, 1)));
    int rank = ox_in_rank(io, 0) >= 0 ? ox_in_rank(io, 0) : ox_in_rank(io, 1);
    ox_dim dims[OX_MAX_RANK];
    if (rank < 0) return ox_infer_same(io, 0, 0);
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), rank, rank));
    for (int d = 0; d < rank; d++) {
        bool first = ox_in_rank(io, 0) >= 0;
        dims[d] = io->in[first ? 0 : 1]->dims[d];
        if (first && ox_in_rank(io, 1) >= 0)
            OX_TRY(ox_dim_unify(&dims[d], call, io->in[1]->dims[d]));
    }
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

OX_CLONES static void gate_f32(void *out, const void *const *in, unsigned one, size_t n,
                               const void *arg) {
    const float *a = in[0], *b = in[1], alpha = *(const float *)arg;
    float *y = out;
    for (size_t i = 0; i < n; i++) {
        float x = a[one & 1 ? 0 : i];
        y[i] = x * ox_vsigmoid(alpha * x) * b[one & 2 ? 0 : i];
    }
}

static void gate_f64(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    const double *a = in[0], *b = in[1];
    double *y = out, alpha = (double)*(const float *)arg;
    for (size_t i = 0; i < n; i++) {
        double x = a[one & 1 ? 0 : i];
        y[i] = x / (1 + exp(-alpha * x)) * b[one & 2 ? 0 : i];
    }
}

ox_status ox_eval_swiglu(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const ox_tensor *a = in[0], *b = in[1];
    void *y;
    if (ox_is_narrow(a->dtype)) return ox_eval_wide(ox_eval_swiglu, call, params, in, out, 1);
    OX_TRY(ox_expect_dtype(call, 0, a->dtype, OX_FLOATS));
    OX_TRY(ox_expect_same_dtype(call, 0, a->dtype, 1, b->dtype));
    if (a->rank != b->rank ||
        (a->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) != 0))
        return ox_bad_shape(call, "gate %s and value %s must have one shape",
                            ox_dims_text(a->rank, a->dims).text,
                            ox_dims_text(b->rank, b->dims).text);
    OX_TRY(ox_tensor_new_raw(&out[0], &y, call->ctx, a->dtype, a->rank, a->dims));
    struct ox_loop_operand operands[2] = {ox_loop_operand(a), ox_loop_operand(b)};
    ox_run_loop(call->ctx, a->dtype == OX_FLOAT ? gate_f32 : gate_f64,
                &((const struct ox_swiglu_params *)params)->alpha, 4, y, operands[0].size, a->rank,
                a->dims, 2, operands);
    return OX_OK;
}
