/* ir/ops/op_table.c - the operator table: ops.def expanded, looked up, and driven.
 *
 * Everything about a call that does not depend on the operator is checked here once: number of
 * inputs and outputs, absent inputs, opset, alignment. So families may rely on it. */
#include "ir/ops/op_priv.h"

/* Words of the table's columns. */
enum {
    PURE = OX_PURE,
    RANDOM = OX_RANDOM,
    STATEFUL = OX_STATEFUL,
    CONTROL = OX_CONTROL,
    COMMUTES = OX_COMMUTES,
    ELTWISE = OX_ELTWISE,
    MOVES = OX_MOVES,
    HAS_WEIGHTS = OX_HAS_WEIGHTS,
    TRAINING = OX_TRAINING,
    LISTS = OX_LISTS,
    UNPACKS = OX_UNPACKS,
    ANY_OPTIONAL = OX_ANY_OPTIONAL
};
/* Words of the column of types. FLOAT, NUMBER, ... are the sets that the standard uses again and
 * again; CLASSIC is what all tensors could be before types of less than a byte came. */
enum {
    NONE = 0,
    FLOAT32 = 1 << OX_FLOAT,
    DOUBLE = 1 << OX_DOUBLE,
    FLOAT16 = 1 << OX_FLOAT16,
    BFLOAT16 = 1 << OX_BFLOAT16,
    FLOAT = FLOAT32 | DOUBLE | FLOAT16 | BFLOAT16,
    FLOAT8 =
        1 << OX_FLOAT8E4M3FN | 1 << OX_FLOAT8E4M3FNUZ | 1 << OX_FLOAT8E5M2 | 1 << OX_FLOAT8E5M2FNUZ,
    UINT8 = 1 << OX_UINT8,
    INT16 = 1 << OX_INT16,
    INT32 = 1 << OX_INT32,
    INT64 = 1 << OX_INT64,
    BYTE = 1 << OX_INT8 | UINT8,
    INDEX = INT32 | INT64,
    UNSIGNED = UINT8 | 1 << OX_UINT16 | 1 << OX_UINT32 | 1 << OX_UINT64,
    INT = 1 << OX_INT8 | INT16 | INT32 | INT64 | UNSIGNED,
    NUMBER = FLOAT | INT,
    SIGNED = FLOAT | 1 << OX_INT8 | INT16 | INT32 | INT64,
    WIDE = FLOAT | INDEX | 1 << OX_UINT32 | 1 << OX_UINT64,
    BOOL = 1 << OX_BOOL,
    STRING = 1 << OX_STRING,
    COMPLEX = 1 << OX_COMPLEX64 | 1 << OX_COMPLEX128,
    CLASSIC = NUMBER | BOOL | STRING | COMPLEX,
    INT2 = 1 << OX_INT2 | 1 << OX_UINT2,
    NARROW = INT2 | 1 << OX_INT4 | 1 << OX_UINT4,
    ALL = CLASSIC | NARROW | FLOAT8 | 1 << OX_FLOAT4E2M1 | 1 << OX_FLOAT8E8M0,
    QUANTIZED = NARROW | BYTE | INT16 | 1 << OX_UINT16 | INT32 | FLOAT8 | 1 << OX_FLOAT4E2M1
};
#define T(types) types
#define OX_DOMAIN_ONNX ""
#define OX_DOMAIN_ML "ai.onnx.ml"
#define OX_DOMAIN_ML_PREVIEW "ai.onnx.preview"
#define OX_DOMAIN_ML_TRAINING "ai.onnx.preview.training"
#define OX_DOMAIN_MS "com.microsoft"
#define ox_nil (*(const char *)0) /* its address is NULL */
#define ox_eval_none NULL         /* in the row: cannot be executed */

static const struct ox_op table[] = {
#define OP_PREPARED(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits,  \
                    decode, infer, eval, quant, family, prepare)                                   \
    OP_FULL(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits, decode,  \
            infer, eval, quant, family, ox_prepare_##prepare, ox_forget_##prepare)
#define OP(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits, decode,   \
           infer, eval, quant, family)                                                             \
    OP_FULL(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits, decode,  \
            infer, eval, quant, family, NULL, NULL)
#define OP_FULL(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits,      \
                decode, infer, eval, quant, family, prepare, forget)                               \
    {OX_DOMAIN_##domain,                                                                           \
     #name,                                                                                        \
     since,                                                                                        \
     newest,                                                                                       \
     (uint32_t)(types),                                                                            \
     min_in,                                                                                       \
     max_in,                                                                                       \
     min_out,                                                                                      \
     max_out,                                                                                      \
     traits,                                                                                       \
     OX_Q_##quant,                                                                                 \
     sizeof(struct ox_##decode##_params),                                                          \
     ox_decode_##decode,                                                                           \
     ox_infer_##infer,                                                                             \
     ox_eval_##eval,                                                                               \
     prepare,                                                                                      \
     forget,                                                                                       \
     &ox_##family},
#include "ir/ops/ops.def"
#undef OP_FULL
#undef OP
};

#define OP(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits, decode,   \
           infer, eval, quant, family)                                                             \
    _Static_assert(sizeof(struct ox_##decode##_params) <= OX_PARAMS_MAX, "params of " #name);
#include "ir/ops/ops.def"
#undef OP

ox_status ox_decode_none(const struct ox_call *call, void *params) {
    (void)call;
    (void)params;
    return OX_OK;
}

ox_status ox_infer_none(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)call;
    (void)params;
    (void)io;
    return OX_OK;
}

size_t ox_op_count(void) {
    return sizeof table / sizeof *table;
}

const struct ox_op *ox_op_at(size_t index) {
    return index < ox_op_count() ? &table[index] : NULL;
}

const struct ox_op *ox_op_find(const char *domain, const char *name) {
    if (!domain || strcmp(domain, "ai.onnx") == 0) domain = "";
    size_t low = 0, high = ox_op_count();
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(domain, table[mid].domain);
        if (order == 0) order = strcmp(name, table[mid].name);
        if (order == 0) return &table[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* ---- drivers --------------------------------------------------------------------------------- */

static ox_status check_count(const struct ox_call *call, const char *what, size_t n, int min,
                             int max) {
    if (n >= (size_t)min && (max < 0 || n <= (size_t)max)) return OX_OK;
    const char *kind = n < (size_t)min ? "at least" : "at most";
    return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL, "%s has %zu %ss, expected %s %d",
                   call->op->name, n, what, kind, n < (size_t)min ? min : max);
}

static ox_status check_call(const struct ox_call *call) {
    const struct ox_op *op = call->op;
    if (call->opset < op->since)
        return ox_fail(call->ctx, OX_INVALID, "wrong-opset", NULL,
                       "%s exists since opset %d, the model uses opset %d", op->name, op->since,
                       call->opset);
    if (op->domain[0] == '\0' && call->opset > OX_OPSET_MAX)
        return ox_fail(call->ctx, OX_UNSUPPORTED, "newer-opset", NULL,
                       "opset %d is newer than %d, the newest that %s is known in", call->opset,
                       OX_OPSET_MAX, op->name);
    if (strcmp(op->domain, OX_DOMAIN_ML) == 0 && call->opset > OX_OPSET_ML_MAX)
        return ox_fail(call->ctx, OX_UNSUPPORTED, "newer-opset", NULL,
                       "opset %d of ai.onnx.ml is newer than %d, the newest that %s is known in",
                       call->opset, OX_OPSET_ML_MAX, op->name);
    OX_TRY(check_count(call, "input", call->n_in, op->min_in, op->max_in));
    OX_TRY(check_count(call, "output", call->n_out, op->min_out, op->max_out));
    for (size_t i = 0; call->present && i < call->n_in; i++) {
        bool optional = i >= (size_t)op->min_in && (op->traits & OX_ANY_OPTIONAL);
        if (!call->present[i] && !optional)
            return ox_fail(call->ctx, OX_INVALID, "missing-input", NULL,
                           "input %zu of %s is absent but not optional", i, op->name);
    }
    return OX_OK;
}

/* Parameters of one call; every struct in params.h fits. */
union param_buffer {
    max_align_t align;
    unsigned char bytes[OX_PARAMS_MAX];
};

static ox_status decode(const struct ox_call *call, union param_buffer *params) {
    OX_TRY(check_call(call));
    memset(params->bytes, 0, call->op->params_size);
    return call->op->decode(call, params->bytes);
}

ox_status ox_op_check(const struct ox_call *call) {
    OX_UNINITIALIZED union param_buffer params; /* decode clears what it uses */
    return decode(call, &params);
}

ox_status ox_op_infer(const struct ox_call *call, struct ox_infer *io) {
    OX_UNINITIALIZED union param_buffer params; /* decode clears what it uses */
    OX_TRY(decode(call, &params));
    return call->op->infer(call, params.bytes, io);
}

ox_status ox_op_prepare(void **state, const struct ox_call *call) {
    OX_UNINITIALIZED union param_buffer params; /* decode clears what it uses */
    *state = NULL;
    if (!call->op->prepare) return OX_OK;
    OX_TRY(decode(call, &params));
    return call->op->prepare(call, params.bytes, state);
}

void ox_op_forget(const struct ox_op *op, void *state, ox_ctx *ctx) {
    if (state) op->forget(state, ctx);
}

/* The kernel with the state it needs: the one the caller keeps, or one for this call only. */
static ox_status eval_prepared(struct ox_call *call, const void *params, const ox_tensor *const *in,
                               ox_tensor **out) {
    void *state = NULL;
    if (!call->op->prepare || call->prepared) return call->op->eval(call, params, in, out);
    OX_TRY(call->op->prepare(call, params, &state));
    call->prepared = state;
    ox_status status = call->op->eval(call, params, in, out);
    ox_op_forget(call->op, state, call->ctx);
    call->prepared = NULL;
    return status;
}

/* Does the evaluation itself, with inputs that are aligned. All inputs being at hand, they are the
 * constants that decode may look at. */
static ox_status evaluate(const struct ox_call *call, const ox_tensor *const *in, ox_tensor **out) {
    OX_UNINITIALIZED union param_buffer params; /* decode clears what it uses */
    struct ox_call with_inputs = *call;
    with_inputs.consts = in;
    OX_TRY(decode(&with_inputs, &params));
    if (!call->op->eval) return ox_no_kernel(call, "%s cannot be executed", call->op->name);
    for (size_t i = 0; !(call->op->traits & OX_LISTS) && i < call->n_in; i++)
        if (in[i] && in[i]->dtype > OX_DTYPE_COUNT)
            return ox_bad_type(call, "input %zu is a %s, expected a tensor", i,
                               ox_dtype_name(in[i]->dtype));
    OX_TRY(eval_prepared(&with_inputs, params.bytes, in, out));
    for (size_t i = 0; i < call->n_out; i++)
        if (!out[i] && (!call->wanted || call->wanted[i]))
            return ox_fail(call->ctx, OX_INTERNAL, "no-output", NULL, "%s did not make output %zu",
                           call->op->name, i);
    return OX_OK;
}

/* Elements narrower than a byte and strings have no alignment to ask for. */
static bool is_aligned(const ox_tensor *t) {
    size_t bytes = (size_t)ox_dtype_bits(t->dtype) / 8;
    if (t->dtype == OX_STRING || t->dtype == OX_COMPLEX64 || t->dtype == OX_COMPLEX128) bytes = 8;
    return bytes < 2 || t->size == 0 || (uintptr_t)t->data % bytes == 0;
}

enum { FEW = 16 };

ox_status ox_op_eval(const struct ox_call *call, const ox_tensor *const *in, ox_tensor **out) {
    for (size_t i = 0; i < call->n_out; i++)
        out[i] = NULL;
    bool aligned = true;
    for (size_t i = 0; i < call->n_in; i++)
        if (in[i] && !is_aligned(in[i])) aligned = false;

    ox_status status = OX_OK;
    if (aligned) {
        status = evaluate(call, in, out);
    } else {
        ox_tensor *few[FEW] = {0};
        ox_tensor **copies = few;
        if (call->n_in > FEW) OX_TRY(ox_alloc(call->ctx, &copies, call->n_in, sizeof *copies));
        for (size_t i = 0; status == OX_OK && i < call->n_in; i++)
            if (in[i]) status = ox_tensor_aligned(&copies[i], call->ctx, in[i]);
        if (status == OX_OK) status = evaluate(call, (const ox_tensor *const *)copies, out);
        for (size_t i = 0; i < call->n_in; i++)
            ox_tensor_unref(copies[i]);
        if (copies != few) ox_free(call->ctx, copies);
    }
    if (status != OX_OK) {
        for (size_t i = 0; i < call->n_out; i++) {
            ox_tensor_unref(out[i]);
            out[i] = NULL;
        }
    }
    return status;
}
