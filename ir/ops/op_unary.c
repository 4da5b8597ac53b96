/* ir/ops/op_unary.c - the family of operators with one input and one output of its shape: what its
 * rows share. The kernels stand in unary_float.c and unary_int.c. */
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/unary_priv.h"

#define SIGNED_OR_FLOAT (OX_FLOATS | OX_SIGNEDS)

/* ---- what single rows add -------------------------------------------------------------------- */

static ox_status gelu_mode(struct ox_unary_params *p, const struct ox_call *call) {
    static const char *const forms[] = {"none", "tanh", NULL};
    return ox_attr_choice(&p->mode, call, "approximate", forms, 0);
}

static ox_status isinf_mode(struct ox_unary_params *p, const struct ox_call *call) {
    int64_t negative, positive;
    OX_TRY(ox_attr_int(&negative, call, "detect_negative", 1));
    OX_TRY(ox_attr_int(&positive, call, "detect_positive", 1));
    p->mode = (negative != 0 ? 1 : 0) | (positive != 0 ? 2 : 0);
    return OX_OK;
}

/* Opset 1 gave Selu's constants with five digits. */
static ox_status selu_mode(struct ox_unary_params *p, const struct ox_call *call) {
    if (call->opset >= 6) return OX_OK;
    OX_TRY(ox_attr_float(&p->alpha, call, "alpha", 1.6732f));
    return ox_attr_float(&p->beta, call, "gamma", 1.0507f);
}

static ox_status partial_neg(ox_dim *out, struct ox_dims *dims, ox_dim a) {
    return ox_dim_sub(out, dims, ox_dim_const(0), a);
}

static ox_status partial_abs(ox_dim *out, struct ox_dims *dims, ox_dim a) {
    if (!ox_dim_ge(a, 0)) {
        ox_dim minus;
        OX_TRY(partial_neg(&minus, dims, a));
        return ox_dim_max(out, dims, a, minus);
    }
    *out = a;
    return OX_OK;
}

static ox_status partial_relu(ox_dim *out, struct ox_dims *dims, ox_dim a) {
    return ox_dim_max(out, dims, a, ox_dim_const(0));
}

/* ---- the rows -------------------------------------------------------------------------------- */

/* clang-format off */
#define F(name) .f32 = ox_un_##name##_f32, .f64 = ox_un_##name##_f64
#define I(name) .ints = ox_un_##name##_ints
const struct ox_unary_kind ox_unary_kinds[OX_UNARY_COUNT] = {
    [OX_UN_Abs]             = {OX_NUMBERS, .cost = 1, F(abs), I(abs), .partial = partial_abs},
    [OX_UN_Acos]            = {OX_FLOATS, .cost = 15, F(acos)},
    [OX_UN_Acosh]           = {OX_FLOATS, .cost = 20, F(acosh)},
    [OX_UN_Asin]            = {OX_FLOATS, .cost = 15, F(asin)},
    [OX_UN_Asinh]           = {OX_FLOATS, .cost = 20, F(asinh)},
    [OX_UN_Atan]            = {OX_FLOATS, .cost = 15, F(atan)},
    [OX_UN_Atanh]           = {OX_FLOATS, .cost = 20, F(atanh)},
    [OX_UN_BitwiseNot]      = {OX_INTEGERS, .cost = 1, I(invert)},
    [OX_UN_Ceil]            = {OX_FLOATS, .cost = 1, F(ceil)},
    [OX_UN_Celu]            = {OX_FLOATS, .cost = 2, F(celu), .alpha = "alpha", .alpha_dflt = 1.0f},
    [OX_UN_Cos]             = {OX_FLOATS, .cost = 15, F(cos)},
    [OX_UN_Cosh]            = {OX_FLOATS, .cost = 20, F(cosh)},
    [OX_UN_Elu]             = {OX_FLOATS, .cost = 2, F(elu), .alpha = "alpha", .alpha_dflt = 1.0f},
    [OX_UN_Erf]             = {OX_NUMBERS, .cost = 3, F(erf), I(erf)},
    [OX_UN_Exp]             = {OX_FLOATS, .cost = 2, F(exp)},
    [OX_UN_Floor]           = {OX_FLOATS, .cost = 1, F(floor)},
    [OX_UN_Gelu]            = {OX_FLOATS, .cost = 4, F(gelu), .more = gelu_mode},
    [OX_UN_HardSigmoid]     = {OX_FLOATS, .cost = 1, F(hardsigmoid), .alpha = "alpha", .alpha_dflt = 0.2f, .beta = "beta", .beta_dflt = 0.5f},
    [OX_UN_HardSwish]       = {OX_FLOATS, .cost = 1, F(hardswish)},
    [OX_UN_IsInf]           = {OX_FLOATS | OX_FLOAT8S, OX_BOOL, .cost = 1, F(isinf), .more = isinf_mode},
    [OX_UN_IsNaN]           = {OX_FLOATS | OX_FLOAT8S, OX_BOOL, .cost = 1, F(isnan)},
    [OX_UN_LeakyRelu]       = {OX_FLOATS, .cost = 1, F(leakyrelu), .alpha = "alpha", .alpha_dflt = 0.01f},
    [OX_UN_Log]             = {OX_FLOATS, .cost = 3, F(log)},
    [OX_UN_Mish]            = {OX_FLOATS, .cost = 3, F(mish)},
    [OX_UN_Neg]             = {SIGNED_OR_FLOAT, .cost = 1, F(neg), I(neg), .partial = partial_neg},
    [OX_UN_Not]             = {OX_BIT(OX_BOOL), .cost = 1, I(not)},
    [OX_UN_Reciprocal]      = {OX_FLOATS, .cost = 1, F(reciprocal)},
    [OX_UN_Relu]            = {SIGNED_OR_FLOAT, .cost = 1, F(relu), I(relu), .partial = partial_relu},
    [OX_UN_Round]           = {OX_FLOATS, .cost = 1, F(round)},
    [OX_UN_Selu]            = {OX_FLOATS, .cost = 2, F(selu), .alpha = "alpha", .alpha_dflt = 1.67326319217681884765625f, .beta = "gamma", .beta_dflt = 1.05070102214813232421875f, .more = selu_mode},
    [OX_UN_Shrink]          = {OX_NUMBERS, .cost = 1, F(shrink), I(shrink), .alpha = "lambd", .alpha_dflt = 0.5f, .beta = "bias", .beta_dflt = 0.0f},
    [OX_UN_Sigmoid]         = {OX_FLOATS, .cost = 3, F(sigmoid)},
    [OX_UN_Sign]            = {OX_NUMBERS, .cost = 1, F(sign), I(sign)},
    [OX_UN_Sin]             = {OX_FLOATS, .cost = 15, F(sin)},
    [OX_UN_Sinh]            = {OX_FLOATS, .cost = 20, F(sinh)},
    [OX_UN_Softplus]        = {OX_FLOATS, .cost = 4, F(softplus)},
    [OX_UN_Softsign]        = {OX_FLOATS, .cost = 1, F(softsign)},
    [OX_UN_Sqrt]            = {OX_FLOATS, .cost = 2, F(sqrt)},
    [OX_UN_Swish]           = {OX_FLOATS, .cost = 3, F(swish), .alpha = "alpha", .alpha_dflt = 1.0f},
    [OX_UN_Tan]             = {OX_FLOATS, .cost = 20, F(tan)},
    [OX_UN_Tanh]            = {OX_FLOATS, .cost = 3, F(tanh)},
    [OX_UN_ThresholdedRelu] = {OX_FLOATS, .cost = 1, F(thresholdedrelu), .alpha = "alpha", .alpha_dflt = 1.0f},
};
#undef F
#undef I
/* clang-format on */

/* ---- narrow floats --------------------------------------------------------------------------- */

struct narrow {
    ox_loop_fn f32;
    const void *params;
    ox_dtype dtype;
    bool narrows; /* the result is of the input's type; else the kernel's result is stored as it is
                   */
};

enum { CHUNK = 256 };

/* Widens a stretch, applies the float kernel, narrows the result. */
static void narrow_loop(void *out, const void *const *in, unsigned one, size_t n, const void *arg) {
    const struct narrow *narrow = arg;
    size_t bytes = (size_t)ox_dtype_bits(narrow->dtype) / 8;
    float wide[CHUNK], result[CHUNK];
    for (size_t done = 0; done < n; done += CHUNK) {
        size_t count = n - done < CHUNK ? n - done : CHUNK;
        ox_load_floats(wide, narrow->dtype, (const char *)in[0] + done * bytes, count);
        const void *operand[] = {wide};
        if (narrow->narrows) {
            narrow->f32(result, operand, one, count, narrow->params);
            ox_store_floats((char *)out + done * bytes, narrow->dtype, result, count);
        } else {
            narrow->f32((char *)out + done, operand, one, count, narrow->params);
        }
    }
}

/* ---- decode, infer, eval --------------------------------------------------------------------- */

ox_status ox_decode_unary(const struct ox_call *call, void *params) {
    const struct ox_unary_kind *kind = call->op->family;
    struct ox_unary_params *p = params;
    if (kind->alpha) OX_TRY(ox_attr_float(&p->alpha, call, kind->alpha, kind->alpha_dflt));
    if (kind->beta) OX_TRY(ox_attr_float(&p->beta, call, kind->beta, kind->beta_dflt));
    return kind->more ? kind->more(p, call) : OX_OK;
}

ox_status ox_infer_unary(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_unary_kind *kind = call->op->family;
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), kind->types));
    const struct ox_partial *x = io->in_values ? io->in_values[0] : NULL;
    if (kind->partial && x && x->count <= OX_PARTIAL_MAX) {
        ox_dim elems[OX_PARTIAL_MAX];
        for (size_t i = 0; i < x->count; i++)
            OX_TRY(kind->partial(&elems[i], io->dims, x->elems[i]));
        OX_TRY(ox_infer_number(io, 0, ox_in_dtype(io, 0), x->rank, x->count, elems));
    }
    if (kind->out == OX_UNDEFINED) return ox_infer_same(io, 0, 0);
    if (!ox_type_is_tensor(io->in[0])) return ox_infer_tensor(io, 0, kind->out, -1, NULL);
    return ox_infer_tensor(io, 0, kind->out, io->in[0]->rank, io->in[0]->dims);
}

ox_status ox_eval_unary(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    const struct ox_unary_kind *kind = call->op->family;
    const ox_tensor *x = in[0];
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, kind->types));
    ox_dtype result = kind->out == OX_UNDEFINED ? x->dtype : kind->out;
    struct narrow narrow = {kind->f32, params, x->dtype, kind->out == OX_UNDEFINED};
    ox_loop_fn fn = NULL;
    const void *arg = params;
    int which = ox_int_index(x->dtype);
    if (x->dtype == OX_FLOAT) {
        fn = kind->f32;
    } else if (x->dtype == OX_DOUBLE) {
        fn = kind->f64;
    } else if (which >= 0) {
        fn = kind->ints ? kind->ints[which] : NULL;
    } else if (kind->f32) {
        fn = narrow_loop;
        arg = &narrow;
    }
    if (!fn)
        return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                            ox_dtype_name(x->dtype));
    void *data;
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, result, x->rank, x->dims));
    ox_run_map(call->ctx, fn, arg, (size_t)kind->cost, data, (size_t)ox_dtype_bits(result) / 8,
               x->data, (size_t)ox_dtype_bits(x->dtype) / 8, x->count);
    return OX_OK;
}
