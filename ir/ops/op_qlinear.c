/* ir/ops/op_qlinear.c - operators of com.microsoft that are a float operator between DequantizeLinear and
 * QuantizeLinear: QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu.
 *
 * They are computed as just that. Inputs come in triples of data, scale and zero point, and last the scale and the
 * zero point of the output; a zero point may be absent and is 0 then. */
#include "ir/ops/integer_priv.h"

const struct ox_qlinear_kind ox_qlinear_kinds[OX_QLINEAR_COUNT] = {
    [OX_QLINEAR_ADD] = {"Add", 2},
    [OX_QLINEAR_LEAKY_RELU] = {"LeakyRelu", 1},
    [OX_QLINEAR_MUL] = {"Mul", 2},
    [OX_QLINEAR_SIGMOID] = {"Sigmoid", 1},
};

enum { FLOAT_OPSET = 21, MOST_DATA = 2 };

static const struct ox_qlinear_kind *kind_of(const struct ox_call *call) { return call->op->family; }

/* The same call of the float operator; the caller sets what it knows of the inputs. */
static struct ox_call float_call(const struct ox_call *call)
{
    struct ox_call sub = *call;
    sub.op = ox_op_find("", kind_of(call)->op);
    sub.opset = FLOAT_OPSET;
    sub.n_in = kind_of(call)->n_data;
    sub.consts = NULL;
    sub.present = NULL;
    return sub;
}

/* Data and scales must be there; only zero points may be left out, which the table cannot say. */
static ox_status need(const struct ox_call *call, size_t i)
{
    if (ox_q_has(call, i)) return OX_OK;
    return ox_fail(call->ctx, OX_INVALID, "missing-input", NULL,
                   "input %zu of %s is absent but not optional", i, call->op->name);
}

ox_status ox_decode_qlinear(const struct ox_call *call, void *params)
{
    (void)params;
    size_t n = kind_of(call)->n_data;
    for (size_t i = 0; i <= n; i++) {
        size_t scale = i < n ? 3 * i + 1 : 3 * n;
        OX_TRY(need(call, scale));
        if (i < n) OX_TRY(need(call, 3 * i));
        OX_TRY(ox_check_const_scale(call, scale));
        OX_TRY(ox_check_zero_point(call, scale, scale + 1));
    }
    struct ox_call sub = float_call(call);
    return ox_op_check(&sub);
}

static ox_status check_types(const struct ox_call *call, const ox_dtype *types, ox_dtype *result)
{
    size_t n = kind_of(call)->n_data, y_scale = 3 * n, y_zp = 3 * n + 1;
    for (size_t i = 0; i < n; i++) {
        OX_TRY(ox_expect_dtype(call, 3 * i, types[3 * i], OX_BYTES));
        OX_TRY(ox_expect_same_dtype(call, 0, types[0], 3 * i, types[3 * i]));
        OX_TRY(ox_expect_dtype(call, 3 * i + 1, types[3 * i + 1], OX_BIT(OX_FLOAT)));
        if (ox_q_has(call, 3 * i + 2))
            OX_TRY(ox_expect_same_dtype(call, 3 * i, types[3 * i], 3 * i + 2, types[3 * i + 2]));
    }
    OX_TRY(ox_expect_dtype(call, y_scale, types[y_scale], OX_BIT(OX_FLOAT)));
    if (ox_q_has(call, y_zp)) OX_TRY(ox_expect_same_dtype(call, 0, types[0], y_zp, types[y_zp]));
    *result = types[0];
    return OX_OK;
}

enum { MOST_INPUTS = 3 * MOST_DATA + 2 };

ox_status ox_infer_qlinear(const struct ox_call *call, const void *params, struct ox_infer *io)
{
    ox_dtype types[MOST_INPUTS] = {OX_UNDEFINED}, result;
    const struct ox_type *in[MOST_DATA] = {NULL}, *out = NULL;
    (void)params;
    for (size_t i = 0; i < call->n_in; i++)
        types[i] = ox_in_dtype(io, i);
    OX_TRY(check_types(call, types, &result));
    for (size_t i = 0; i < kind_of(call)->n_data; i++)
        if (ox_in_rank(io, 3 * i) >= 0)
            OX_TRY(ox_type_tensor(&in[i], io->arena, OX_FLOAT, io->in[3 * i]->rank,
                                  io->in[3 * i]->dims));
    struct ox_call sub = float_call(call);
    struct ox_infer sub_io = {.arena = io->arena, .dims = io->dims, .in = in, .out = &out};
    OX_TRY(ox_op_infer(&sub, &sub_io));
    if (!ox_type_is_tensor(out)) return ox_infer_tensor(io, 0, result, -1, NULL);
    return ox_infer_tensor(io, 0, result, out->rank, out->dims);
}

/* One number for the whole tensor: all that these operators have. */
static ox_status whole(struct ox_scales *at, const struct ox_call *call, const ox_tensor *x,
                       const ox_tensor *scale)
{
    *at = (struct ox_scales){1, {(int64_t)x->count}, {1}, 0};
    if (scale->count == 1) return OX_OK;
    return ox_bad_shape(call, "scale of %s is %s, expected one number", call->op->name,
                        ox_dims_text(scale->rank, scale->dims).text);
}

static const ox_tensor *optional(const struct ox_call *call, const ox_tensor *const *in, size_t i)
{
    return i < call->n_in ? in[i] : NULL;
}

static ox_status compute(const struct ox_call *call, const ox_tensor *const *in,
                         ox_tensor **floats, ox_tensor **result, ox_tensor **out)
{
    size_t n = kind_of(call)->n_data;
    struct ox_scales at;
    for (size_t i = 0; i < n; i++) {
        OX_TRY(whole(&at, call, in[3 * i], in[3 * i + 1]));
        OX_TRY(ox_run_dequantize(&floats[i], call->ctx, &at, in[3 * i], in[3 * i + 1],
                                 optional(call, in, 3 * i + 2), OX_FLOAT));
    }
    struct ox_call sub = float_call(call);
    OX_TRY(ox_op_eval(&sub, (const ox_tensor *const *)floats, result));
    OX_TRY(whole(&at, call, *result, in[3 * n]));
    return ox_run_quantize(out, call->ctx, &at, *result, in[3 * n], optional(call, in, 3 * n + 1),
                           in[0]->dtype, true);
}

ox_status ox_eval_qlinear(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out)
{
    ox_dtype types[MOST_INPUTS] = {OX_UNDEFINED}, result_type;
    ox_tensor *floats[MOST_DATA] = {NULL}, *result = NULL;
    (void)params;
    for (size_t i = 0; i < call->n_in; i++)
        if (in[i]) types[i] = in[i]->dtype;
    OX_TRY(check_types(call, types, &result_type));
    ox_status status = compute(call, in, floats, &result, &out[0]);
    for (size_t i = 0; i < MOST_DATA; i++)
        ox_tensor_unref(floats[i]);
    ox_tensor_unref(result);
    return status;
}
