/* ir/ops/op_binary.c - the family of operators with two inputs that are broadcast together: what
 * its rows share. The kernels stand in binary_float.c and binary_int.c. */
#include "ir/ops/binary_priv.h"
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"

/* ---- values known in part -------------------------------------------------------------------- */

/* Integer division rounds toward zero, which is the floor only where the sign is known. */
static ox_status partial_div(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    if (ox_dim_ge(a, 0) && ox_dim_ge(b, 1)) return ox_dim_floordiv(out, dims, a, b);
    return ox_dim_unknown_int(out, dims);
}

static ox_status partial_mod(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    if (ox_dim_ge(a, 0) && ox_dim_ge(b, 1)) return ox_dim_mod(out, dims, a, b);
    return ox_dim_unknown_int(out, dims);
}

/* Truth values are 0 and 1. `less`: the answer where a < b, and so on. */
static ox_status compare(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b, int less, int equal,
                         int greater) {
    ox_dim difference;
    OX_TRY(ox_dim_sub(&difference, dims, a, b));
    ox_dim minus;
    OX_TRY(ox_dim_sub(&minus, dims, b, a));
    bool ge = ox_dim_ge(difference, 0), le = ox_dim_ge(minus, 0);
    if (ox_dim_same(a, b) || (ge && le))
        *out = ox_dim_const(equal);
    else if (ox_dim_ge(difference, 1) || (ge && greater == equal))
        *out = ox_dim_const(greater);
    else if (ox_dim_ge(minus, 1) || (le && less == equal))
        *out = ox_dim_const(less);
    else
        return ox_dim_unknown_int(out, dims);
    return OX_OK;
}

static ox_status partial_equal(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return compare(out, dims, a, b, 0, 1, 0);
}
static ox_status partial_greater(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return compare(out, dims, a, b, 0, 0, 1);
}
static ox_status partial_greaterorequal(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return compare(out, dims, a, b, 0, 1, 1);
}
static ox_status partial_less(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return compare(out, dims, a, b, 1, 0, 0);
}
static ox_status partial_lessorequal(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return compare(out, dims, a, b, 1, 1, 0);
}

/* ---- what single rows add -------------------------------------------------------------------- */

static ox_status mod_mode(struct ox_binary_params *p, const struct ox_call *call) {
    int64_t fmod;
    OX_TRY(ox_attr_int(&fmod, call, "fmod", 0));
    if (fmod != 0 && fmod != 1)
        return ox_bad_attr(call, "fmod is %lld, expected 0 or 1", (long long)fmod);
    p->mode = (int)fmod;
    return OX_OK;
}

static ox_status shift_mode(struct ox_binary_params *p, const struct ox_call *call) {
    static const char *const directions[] = {"LEFT", "RIGHT", NULL};
    OX_TRY(ox_attr_choice(&p->mode, call, "direction", directions, -1));
    if (p->mode < 0) return ox_bad_attr(call, "BitShift needs the attribute 'direction'");
    return OX_OK;
}

/* Before opset 7 a slope of more than one element had one for each channel. */
static ox_status prelu_mode(struct ox_binary_params *p, const struct ox_call *call) {
    if (call->opset < 7) {
        p->broadcast = true;
        p->has_axis = true;
        p->axis = 1;
    }
    return OX_OK;
}

/* ---- the rows -------------------------------------------------------------------------------- */

/* clang-format off */
#define F(name) .f32 = ox_bi_##name##_f32, .f64 = ox_bi_##name##_f64
#define I(name) .ints = ox_bi_##name##_ints
#define COMPARED(name) .out = OX_BOOL, .cost = 1, F(name), I(name), .partial = partial_##name
#define PRELU_TYPES (OX_FLOATS | OX_BIT(OX_INT32) | OX_BIT(OX_INT64) | OX_BIT(OX_UINT32) | OX_BIT(OX_UINT64))
const struct ox_binary_kind ox_binary_kinds[OX_BINARY_COUNT] = {
    [OX_BI_Add]            = {OX_NUMBERS, .cost = 1, F(add), I(add), .partial = ox_dim_add},
    [OX_BI_And]            = {OX_BIT(OX_BOOL), .cost = 1, I(and)},
    [OX_BI_BitShift]       = {OX_UNSIGNEDS, .cost = 1, I(shift), .more = shift_mode},
    [OX_BI_BitwiseAnd]     = {OX_INTEGERS, .cost = 1, I(and)},
    [OX_BI_BitwiseOr]      = {OX_INTEGERS, .cost = 1, I(or)},
    [OX_BI_BitwiseXor]     = {OX_INTEGERS, .cost = 1, I(xor)},
    [OX_BI_Div]            = {OX_NUMBERS, .cost = 1, F(div), I(div), .partial = partial_div},
    [OX_BI_Equal]          = {OX_NUMBERS | OX_BIT(OX_BOOL) | OX_BIT(OX_STRING), COMPARED(equal)},
    [OX_BI_Greater]        = {OX_NUMBERS, COMPARED(greater)},
    [OX_BI_GreaterOrEqual] = {OX_NUMBERS, COMPARED(greaterorequal)},
    [OX_BI_Less]           = {OX_NUMBERS, COMPARED(less)},
    [OX_BI_LessOrEqual]    = {OX_NUMBERS, COMPARED(lessorequal)},
    [OX_BI_Mod]            = {OX_NUMBERS, .cost = 10, F(mod), I(mod), .partial = partial_mod, .more = mod_mode},
    [OX_BI_Mul]            = {OX_NUMBERS, .cost = 1, F(mul), I(mul), .partial = ox_dim_mul},
    [OX_BI_Or]             = {OX_BIT(OX_BOOL), .cost = 1, I(or)},
    [OX_BI_PRelu]          = {PRELU_TYPES, .cost = 1, F(prelu), I(prelu), .more = prelu_mode, .one_way = true},
    [OX_BI_Pow]            = {OX_NUMBERS, .cost = 10, F(pow), I(pow)},
    [OX_BI_Sub]            = {OX_NUMBERS, .cost = 1, F(sub), I(sub), .partial = ox_dim_sub},
    [OX_BI_Xor]            = {OX_BIT(OX_BOOL), .cost = 1, I(xor)},
};
#undef F
#undef I
#undef COMPARED
/* clang-format on */

static const struct ox_binary_kind *kind_of(const struct ox_call *call) {
    return call->op->family;
}

/* ---- decode ---------------------------------------------------------------------------------- */

ox_status ox_decode_binary(const struct ox_call *call, void *params) {
    struct ox_binary_params *p = params;
    p->legacy = call->opset < 7 && call->op->since < 7;
    if (p->legacy) {
        int64_t broadcast;
        OX_TRY(ox_attr_int(&broadcast, call, "broadcast", 0));
        OX_TRY(ox_attr_int(&p->axis, call, "axis", 0));
        p->broadcast = broadcast != 0;
        p->has_axis = ox_attr_find(call, "axis") != NULL;
    }
    return kind_of(call)->more ? kind_of(call)->more(p, call) : OX_OK;
}

/* ---- dims ------------------------------------------------------------------------------------ */

/* How many dims of 1 to add behind the second operand's dims, so that today's rules do what those
 * of opset 1 to 6 say: the operand lies along the first one's dims from `axis` on. */
static ox_status legacy_padding(int *padding, const struct ox_call *call,
                                const struct ox_binary_params *p, int rank_a, int rank_b) {
    *padding = 0;
    if (!p->legacy || !p->broadcast || !p->has_axis || rank_b == 0) return OX_OK;
    int axis;
    OX_TRY(ox_axis(&axis, call, "axis", p->axis, rank_a));
    if (rank_b > rank_a - axis)
        return ox_bad_shape(call, "input 1 has rank %d, more than input 0 has dims from axis %d on",
                            rank_b, axis);
    *padding = rank_a - axis - rank_b;
    return OX_OK;
}

/* A slope of one element has no axis. */
static bool single(const struct ox_type *t) {
    return t->rank == 0 || (t->rank == 1 && ox_dim_is_const(t->dims[0]) && t->dims[0].k == 1);
}

static ox_status infer_dims(const struct ox_call *call, const struct ox_binary_params *p,
                            struct ox_infer *io, ox_dtype dtype) {
    const struct ox_type *a = io->in[0], *b = io->in[1];
    bool known = ox_type_is_tensor(a) && ox_type_is_tensor(b) && a->rank >= 0 && b->rank >= 0;
    if (!known && kind_of(call)->one_way && ox_in_rank(io, 0) >= 0) return ox_infer_same(io, 0, 0);
    if (!known) return ox_infer_tensor(io, 0, dtype, -1, NULL);
    ox_dim dims[OX_MAX_RANK], padded[OX_MAX_RANK];
    int rank = a->rank, padding = 0;
    if (p->legacy && !p->broadcast && a->rank != b->rank)
        return ox_bad_shape(call, "ranks %d and %d differ, and broadcast is not set", a->rank,
                            b->rank);
    if (!single(b)) OX_TRY(legacy_padding(&padding, call, p, a->rank, b->rank));
    if (a->rank > 0) memcpy(dims, a->dims, (size_t)a->rank * sizeof *dims);
    if (b->rank > 0) memcpy(padded, b->dims, (size_t)b->rank * sizeof *dims);
    for (int i = 0; i < padding; i++)
        padded[b->rank + i] = ox_dim_const(1);
    OX_TRY(ox_infer_broadcast(call, io, &rank, dims, b->rank + padding, padded));
    if (kind_of(call)->one_way) {
        for (int i = 0; i < rank; i++)
            if (rank > a->rank ||
                (ox_dim_is_const(a->dims[i]) && !ox_dim_same(a->dims[i], dims[i])))
                return ox_bad_shape(call, "input 1 is %s, which cannot be broadcast to %s",
                                    ox_sym_dims_text(b->rank, b->dims).text,
                                    ox_sym_dims_text(a->rank, a->dims).text);
        return ox_infer_tensor(io, 0, dtype, a->rank, a->dims);
    }
    return ox_infer_tensor(io, 0, dtype, rank, dims);
}

/* Dims of the result, and of the second operand after legacy padding (dims have room for
 * OX_MAX_RANK). */
static ox_status eval_dims(const struct ox_call *call, const struct ox_binary_params *p,
                           const ox_tensor *a, const ox_tensor *b, int *rank, int64_t *dims,
                           int *rank_b, int64_t *padded) {
    int padding = 0;
    if (p->legacy && !p->broadcast &&
        (a->rank != b->rank ||
         (a->rank > 0 && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *dims) != 0)))
        return ox_bad_shape(call, "shapes %s and %s differ, and broadcast is not set",
                            ox_dims_text(a->rank, a->dims).text,
                            ox_dims_text(b->rank, b->dims).text);
    if (b->count != 1) OX_TRY(legacy_padding(&padding, call, p, a->rank, b->rank));
    *rank = a->rank;
    if (a->rank > 0) memcpy(dims, a->dims, (size_t)a->rank * sizeof *dims);
    *rank_b = b->rank + padding;
    if (b->rank > 0) memcpy(padded, b->dims, (size_t)b->rank * sizeof *dims);
    for (int i = b->rank; i < *rank_b; i++)
        padded[i] = 1;
    if (kind_of(call)->one_way && !ox_broadcasts_to(*rank, dims, *rank_b, padded))
        return ox_bad_shape(call, "input 1 is %s, which cannot be broadcast to %s",
                            ox_dims_text(b->rank, b->dims).text,
                            ox_dims_text(a->rank, a->dims).text);
    return ox_broadcast(call, rank, dims, *rank_b, padded);
}

/* ---- infer ----------------------------------------------------------------------------------- */

static ox_status infer_value(const struct ox_binary_kind *kind, struct ox_infer *io,
                             ox_dtype dtype) {
    const struct ox_partial *a = io->in_values ? io->in_values[0] : NULL;
    const struct ox_partial *b = io->in_values ? io->in_values[1] : NULL;
    if (!kind->partial || !a || !b) return OX_OK;
    size_t count = a->count == 1 ? b->count : a->count;
    if ((b->count != 1 && b->count != count) || count > OX_PARTIAL_MAX) return OX_OK;
    ox_dim elems[OX_PARTIAL_MAX];
    for (size_t i = 0; i < count; i++)
        OX_TRY(kind->partial(&elems[i], io->dims, a->elems[a->count == 1 ? 0 : i],
                             b->elems[b->count == 1 ? 0 : i]));
    return ox_infer_number(io, 0, dtype, a->rank > b->rank ? a->rank : b->rank, count, elems);
}

static ox_status check_types(const struct ox_call *call, const struct ox_binary_params *p,
                             ox_dtype a, ox_dtype b) {
    const struct ox_binary_kind *kind = kind_of(call);
    OX_TRY(ox_expect_dtype(call, 0, a, kind->types));
    OX_TRY(ox_expect_dtype(call, 1, b, kind->types));
    OX_TRY(ox_expect_same_dtype(call, 0, a, 1, b));
    if (kind->more == mod_mode && p->mode == 0 && ox_dtype_is_float(a))
        return ox_bad_attr(call, "Mod of %s needs the attribute fmod=1", ox_dtype_name(a));
    return OX_OK;
}

ox_status ox_infer_binary(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_binary_kind *kind = kind_of(call);
    ox_dtype a = ox_in_dtype(io, 0), b = ox_in_dtype(io, 1);
    OX_TRY(check_types(call, params, a, b));
    ox_dtype dtype = kind->out != OX_UNDEFINED ? kind->out : a != OX_UNDEFINED ? a : b;
    OX_TRY(infer_dims(call, params, io, dtype));
    return infer_value(kind, io, dtype);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Kernel for two operands of the same type; NULL if there is none. *narrow is filled for 16-bit
 * floats. */
static ox_loop_fn kernel_of(const struct ox_binary_kind *kind, ox_dtype dtype,
                            struct ox_bi_narrow *narrow) {
    int which = ox_int_index(dtype);
    narrow->f32 = NULL;
    if (dtype == OX_FLOAT) return kind->f32;
    if (dtype == OX_DOUBLE) return kind->f64;
    if (dtype == OX_STRING) return ox_bi_equal_str; /* the only row that takes strings */
    if (which >= 0) return kind->ints ? kind->ints[which] : NULL;
    if (!kind->f32) return NULL;
    narrow->f32 = kind->f32;
    narrow->dtype = dtype;
    narrow->result = kind->out == OX_UNDEFINED ? dtype : kind->out;
    return ox_bi_narrow_loop;
}

static ox_status run(const struct ox_call *call, const struct ox_binary_params *p,
                     const ox_tensor *a, const ox_tensor *b, ox_tensor **out) {
    const struct ox_binary_kind *kind = kind_of(call);
    int rank, rank_b;
    int64_t dims[OX_MAX_RANK], dims_b[OX_MAX_RANK];
    OX_TRY(eval_dims(call, p, a, b, &rank, dims, &rank_b, dims_b));
    struct ox_bi_narrow narrow = {.params = p};
    ox_loop_fn fn = kernel_of(kind, a->dtype, &narrow);
    if (!fn)
        return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                            ox_dtype_name(a->dtype));
    ox_dtype result = kind->out == OX_UNDEFINED ? a->dtype : kind->out;
    void *data;
    OX_TRY(ox_tensor_new(out, &data, call->ctx, result, rank, dims));
    struct ox_loop_operand operands[2] = {ox_loop_operand(a), ox_loop_operand(b)};
    operands[1].rank = rank_b;
    operands[1].dims = dims_b;
    const void *arg = narrow.f32 ? (const void *)&narrow : p;
    ox_run_loop(call->ctx, fn, arg, (size_t)kind->cost, data, (size_t)ox_dtype_bits(result) / 8,
                rank, dims, 2, operands);
    return OX_OK;
}

ox_status ox_eval_binary(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    OX_TRY(check_types(call, params, in[0]->dtype, in[1]->dtype));
    return run(call, params, in[0], in[1], out);
}

/* ---- Pow: the exponent has a type of its own ------------------------------------------------- */

#define POW_BASES (OX_FLOATS | OX_BIT(OX_INT32) | OX_BIT(OX_INT64))

ox_status ox_infer_pow(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dtype x = ox_in_dtype(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, x, POW_BASES));
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_NUMBERS));
    return infer_dims(call, params, io, x);
}

/* Computes in `type` what is asked for in the base's type. */
static ox_status pow_in(const struct ox_call *call, const void *params, ox_dtype type,
                        const ox_tensor *x, const ox_tensor *y, ox_tensor **out) {
    ox_tensor *base = NULL, *exponent = NULL, *result = NULL;
    ox_status status = ox_tensor_cast(&base, call->ctx, x, type, true);
    if (status == OX_OK) status = ox_tensor_cast(&exponent, call->ctx, y, type, true);
    if (status == OX_OK) status = run(call, params, base, exponent, &result);
    if (status == OX_OK) status = ox_tensor_cast(out, call->ctx, result, x->dtype, true);
    ox_tensor_unref(base);
    ox_tensor_unref(exponent);
    ox_tensor_unref(result);
    return status;
}

ox_status ox_eval_pow(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    const ox_tensor *x = in[0], *y = in[1];
    OX_TRY(ox_expect_dtype(call, 0, x->dtype, POW_BASES));
    OX_TRY(ox_expect_dtype(call, 1, y->dtype, OX_NUMBERS));
    bool integers = ox_dtype_is_integer(x->dtype) && ox_dtype_is_integer(y->dtype);
    bool wide = x->dtype == OX_DOUBLE || y->dtype == OX_DOUBLE || ox_dtype_is_integer(x->dtype);
    return pow_in(call, params, integers ? OX_INT64 : wide ? OX_DOUBLE : OX_FLOAT, x, y, out);
}
