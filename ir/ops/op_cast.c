/* ir/ops/op_cast.c - Cast, CastLike and BitCast. */
#include "ir/ops/convert.h"
#include "ir/ops/op_priv.h"

#define CAST_TYPES (OX_ANY_TYPE & ~(OX_BIT(OX_COMPLEX64) | OX_BIT(OX_COMPLEX128)))

/* Before opset 6 the type was spelled out, in capitals. */
static ox_dtype dtype_named(struct ox_str name) {
    for (int d = 1; d < OX_DTYPE_COUNT; d++) {
        const char *text = ox_dtype_name((ox_dtype)d);
        size_t i = 0;
        while (i < name.len && text[i] && (name.ptr[i] | 0x20) == (text[i] | 0x20))
            i++;
        if (i == name.len && text[i] == '\0') return (ox_dtype)d;
    }
    return OX_UNDEFINED;
}

static ox_status decode_rules(struct ox_cast_rules *rules, const struct ox_call *call) {
    static const char *const rounds[] = {"up", "down", "nearest", NULL}; /* as enum ox_e8m0_round */
    int64_t saturate;
    int round;
    OX_TRY(ox_attr_int(&saturate, call, "saturate", 1));
    OX_TRY(ox_attr_choice(&round, call, "round_mode", rounds, OX_E8M0_UP));
    *rules = (struct ox_cast_rules){saturate != 0, call->opset >= 24, (enum ox_e8m0_round)round};
    return OX_OK;
}

ox_status ox_decode_cast(const struct ox_call *call, void *params) {
    struct ox_cast_params *p = params;
    int64_t to;
    OX_TRY(decode_rules(&p->rules, call));
    if (!ox_attr_find(call, "to")) return ox_bad_attr(call, "Cast needs the attribute 'to'");
    if (call->opset < 6) {
        struct ox_str name;
        OX_TRY(ox_attr_string(&name, call, "to", ""));
        to = dtype_named(name);
    } else {
        OX_TRY(ox_attr_int(&to, call, "to", 0));
    }
    if (!ox_dtype_valid(to) || !(CAST_TYPES & OX_BIT(to)))
        return ox_bad_attr(call, "attribute 'to' is %lld, which is no type that Cast makes",
                           (long long)to);
    p->to = (ox_dtype)to;
    return OX_OK;
}

/* Integers stay what they are where all of them surely fit the new type. */
static ox_status infer_value(struct ox_infer *io, ox_dtype from, ox_dtype to) {
    const struct ox_partial *value = io->in_values ? io->in_values[0] : NULL;
    if (!value || (to != OX_INT64 && to != OX_INT32)) return OX_OK;
    if (from != OX_INT64 && from != OX_INT32 && from != OX_BOOL) return OX_OK;
    return ox_infer_number(io, 0, to, value->rank, value->count, value->elems);
}

static ox_status infer_to(const struct ox_call *call, struct ox_infer *io, ox_dtype to) {
    ox_dtype from = ox_in_dtype(io, 0);
    OX_TRY(ox_expect_dtype(call, 0, from, CAST_TYPES));
    OX_TRY(infer_value(io, from, to));
    if (!ox_type_is_tensor(io->in[0])) return ox_infer_tensor(io, 0, to, -1, NULL);
    return ox_infer_tensor(io, 0, to, io->in[0]->rank, io->in[0]->dims);
}

ox_status ox_infer_cast(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_cast_params *p = params;
    return infer_to(call, io, p->to);
}

ox_status ox_eval_cast(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                       ox_tensor **out) {
    const struct ox_cast_params *p = params;
    return ox_tensor_cast_by(&out[0], call->ctx, in[0], p->to, &p->rules);
}

/* ---- CastLike -------------------------------------------------------------------------------- */

ox_status ox_decode_castlike(const struct ox_call *call, void *params) {
    return decode_rules(&((struct ox_castlike_params *)params)->rules, call);
}

ox_status ox_infer_castlike(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), CAST_TYPES));
    return infer_to(call, io, ox_in_dtype(io, 1));
}

ox_status ox_eval_castlike(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_castlike_params *p = params;
    return ox_tensor_cast_by(&out[0], call->ctx, in[0], in[1]->dtype, &p->rules);
}

/* ---- BitCast --------------------------------------------------------------------------------- */

#define BIT_TYPES (OX_ANY_TYPE & ~OX_BIT(OX_STRING))

ox_status ox_decode_bitcast(const struct ox_call *call, void *params) {
    int64_t to;
    OX_TRY(ox_attr_int(&to, call, "to", OX_UNDEFINED));
    if (!ox_dtype_valid(to) || !(BIT_TYPES & OX_BIT(to)))
        return ox_bad_attr(call, "attribute 'to' is %lld, which is no type that BitCast makes",
                           (long long)to);
    ((struct ox_bitcast_params *)params)->to = (ox_dtype)to;
    return OX_OK;
}

static ox_status check_width(const struct ox_call *call, ox_dtype from, ox_dtype to) {
    OX_TRY(ox_expect_dtype(call, 0, from, BIT_TYPES));
    if (from == OX_UNDEFINED || ox_dtype_bits(from) == ox_dtype_bits(to)) return OX_OK;
    return ox_bad_type(call, "the bits of %s cannot be those of %s", ox_dtype_name(from),
                       ox_dtype_name(to));
}

ox_status ox_infer_bitcast(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dtype to = ((const struct ox_bitcast_params *)params)->to;
    OX_TRY(check_width(call, ox_in_dtype(io, 0), to));
    if (!ox_type_is_tensor(io->in[0])) return ox_infer_tensor(io, 0, to, -1, NULL);
    return ox_infer_tensor(io, 0, to, io->in[0]->rank, io->in[0]->dims);
}

ox_status ox_eval_bitcast(const struct ox_call *call, const void *params,
                          const ox_tensor *const *in, ox_tensor **out) {
    ox_dtype to = ((const struct ox_bitcast_params *)params)->to;
    OX_TRY(check_width(call, in[0]->dtype, to));
    return ox_tensor_copy(&out[0], call->ctx, to, in[0]->rank, in[0]->dims, in[0]->data,
                          in[0]->size);
}
