/* ir/ops/op_variadic.c - Max, Mean, Min and Sum: of any number of inputs, broadcast together.
 *
 * The result is built up in place, two operands at a time from the left; 16-bit floats by way of a
 * float result, so that a sum is rounded once. */
#include "ir/ops/binary_priv.h"
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"

/* clang-format off */
const struct ox_variadic_kind ox_variadic_kinds[OX_VARIADIC_COUNT] = {
    [OX_VA_Max]  = {OX_NUMBERS, .f32 = ox_bi_max_f32, .f64 = ox_bi_max_f64, .ints = ox_bi_max_ints, .partial = ox_dim_max},
    [OX_VA_Mean] = {OX_FLOATS, .f32 = ox_bi_add_f32, .f64 = ox_bi_add_f64, .mean = true},
    [OX_VA_Min]  = {OX_NUMBERS, .f32 = ox_bi_min_f32, .f64 = ox_bi_min_f64, .ints = ox_bi_min_ints, .partial = ox_dim_min},
    [OX_VA_Sum]  = {OX_FLOATS, .f32 = ox_bi_add_f32, .f64 = ox_bi_add_f64},
};
/* clang-format on */

ox_status ox_decode_variadic(const struct ox_call *call, void *params) {
    struct ox_variadic_params *p = params;
    p->same_shapes = call->opset < 8;
    return OX_OK;
}

static ox_status infer_value(const struct ox_call *call, struct ox_infer *io, ox_dtype dtype) {
    const struct ox_variadic_kind *kind = call->op->family;
    if (!io->in_values || !kind->partial) return OX_OK;
    ox_dim elems[OX_PARTIAL_MAX];
    size_t count = 0;
    int rank = 0;
    for (size_t k = 0; k < call->n_in; k++) {
        const struct ox_partial *value = io->in_values[k];
        if (!value || value->count > OX_PARTIAL_MAX) return OX_OK;
        size_t wider = count == 1 || k == 0 ? value->count : count;
        if (value->count != 1 && value->count != wider) return OX_OK;
        for (size_t i = wider; i-- > 0;) {
            ox_dim b = value->elems[value->count == 1 ? 0 : i];
            if (k == 0)
                elems[i] = b;
            else
                OX_TRY(kind->partial(&elems[i], io->dims, elems[count == 1 ? 0 : i], b));
        }
        count = wider;
        if (value->rank > rank) rank = value->rank;
    }
    return ox_infer_number(io, 0, dtype, rank, count, elems);
}

ox_status ox_infer_variadic(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_variadic_kind *kind = call->op->family;
    const struct ox_variadic_params *p = params;
    ox_dtype dtype = OX_UNDEFINED;
    ox_dim dims[OX_MAX_RANK];
    int rank = 0;
    bool known = true;
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), kind->types));
        OX_TRY(ox_expect_same_dtype(call, 0, dtype, i, ox_in_dtype(io, i)));
        if (dtype == OX_UNDEFINED) dtype = ox_in_dtype(io, i);
        if (ox_in_rank(io, i) < 0) {
            known = false;
            continue;
        }
        if (p->same_shapes && i > 0 && known && ox_in_rank(io, i) != rank)
            return ox_bad_shape(
                call, "inputs 0 and %zu of %s have ranks %d and %d, expected equal shapes", i,
                call->op->name, rank, ox_in_rank(io, i));
        OX_TRY(ox_infer_broadcast(call, io, &rank, dims, io->in[i]->rank, io->in[i]->dims));
    }
    if (!known) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    OX_TRY(infer_value(call, io, dtype));
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}

/* ---- eval ------------------------------------------------------------------------------------ */

static bool same_dims(const ox_tensor *a, const ox_tensor *b) {
    size_t bytes = (size_t)a->rank * sizeof *a->dims;
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->dims, b->dims, bytes) == 0);
}

static ox_status eval_dims(const struct ox_call *call, const struct ox_variadic_params *p,
                           const ox_tensor *const *in, int *rank, int64_t *dims) {
    const struct ox_variadic_kind *kind = call->op->family;
    *rank = 0;
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, kind->types));
        OX_TRY(ox_expect_same_dtype(call, 0, in[0]->dtype, i, in[i]->dtype));
        if (p->same_shapes && !same_dims(in[0], in[i]))
            return ox_bad_shape(call, "inputs 0 and %zu of %s are %s and %s, expected equal shapes",
                                i, call->op->name, ox_dims_text(in[0]->rank, in[0]->dims).text,
                                ox_dims_text(in[i]->rank, in[i]->dims).text);
        OX_TRY(ox_broadcast(call, rank, dims, in[i]->rank, in[i]->dims));
    }
    return OX_OK;
}

static ox_loop_fn kernel_of(const struct ox_variadic_kind *kind, ox_dtype dtype) {
    int which = ox_int_index(dtype);
    if (dtype == OX_FLOAT) return kind->f32;
    if (dtype == OX_DOUBLE) return kind->f64;
    return kind->ints && which >= 0 ? kind->ints[which] : NULL;
}

/* in[0] op in[1] op ... for operands of the result's type. */
static ox_status fold(const struct ox_call *call, ox_loop_fn fn, const ox_tensor *const *in,
                      int rank, const int64_t *dims, ox_tensor **out) {
    void *data;
    size_t size = (size_t)ox_dtype_bits(in[0]->dtype) / 8;
    OX_TRY(ox_tensor_new(out, &data, call->ctx, in[0]->dtype, rank, dims));
    struct ox_loop_operand operands[2] = {ox_loop_operand(in[0]), ox_loop_operand(in[1])};
    for (size_t i = 1; i < call->n_in; i++) {
        operands[1] = ox_loop_operand(in[i]);
        ox_run_loop(call->ctx, fn, NULL, 1, data, size, rank, dims, 2, operands);
        operands[0] = (struct ox_loop_operand){data, size, rank, dims};
    }
    return OX_OK;
}

static void divide(const struct ox_call *call, ox_tensor *sum) {
    float count32 = (float)call->n_in;
    double count64 = (double)call->n_in;
    bool wide = sum->dtype == OX_DOUBLE;
    union {
        const void *read;
        void *write;
    } data = {.read = sum->data}; /* ours alone so far */
    struct ox_loop_operand operands[2] = {
        ox_loop_operand(sum), {wide ? (void *)&count64 : &count32, wide ? 8 : 4, 0, NULL}};
    ox_run_loop(call->ctx, wide ? ox_bi_div_f64 : ox_bi_div_f32, NULL, 1, data.write, wide ? 8 : 4,
                sum->rank, sum->dims, 2, operands);
}

/* Widens 16-bit floats, computes, narrows. `wide` has room for n_in tensors. */
static ox_status eval_narrow(const struct ox_call *call, const ox_tensor *const *in, int rank,
                             const int64_t *dims, ox_tensor **wide, ox_tensor **out) {
    const struct ox_variadic_kind *kind = call->op->family;
    ox_tensor *result = NULL;
    ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < call->n_in; i++)
        status = ox_tensor_cast(&wide[i], call->ctx, in[i], OX_FLOAT, true);
    if (status == OX_OK)
        status = fold(call, kind->f32, (const ox_tensor *const *)wide, rank, dims, &result);
    if (status == OX_OK && kind->mean) divide(call, result);
    if (status == OX_OK) status = ox_tensor_cast(out, call->ctx, result, in[0]->dtype, true);
    for (size_t i = 0; i < call->n_in; i++)
        ox_tensor_unref(wide[i]);
    ox_tensor_unref(result);
    return status;
}

ox_status ox_eval_variadic(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_variadic_kind *kind = call->op->family;
    int rank;
    int64_t dims[OX_MAX_RANK];
    OX_TRY(eval_dims(call, params, in, &rank, dims));
    if (call->n_in == 1) {
        out[0] = ox_tensor_ref(in[0]);
        return OX_OK;
    }
    ox_loop_fn fn = kernel_of(kind, in[0]->dtype);
    if (!fn) {
        ox_tensor **wide;
        OX_TRY(ox_alloc(call->ctx, &wide, call->n_in, sizeof *wide));
        ox_status status = eval_narrow(call, in, rank, dims, wide, &out[0]);
        ox_free(call->ctx, wide);
        return status;
    }
    OX_TRY(fold(call, fn, in, rank, dims, &out[0]));
    if (kind->mean) divide(call, out[0]);
    return OX_OK;
}
