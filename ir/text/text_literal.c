/* ir/text/text_literal.c - elements of tensors: {1, 2, 3}.
 *
 * Elements are what the standard's typed fields hold: numbers as such for integers and for 32 and
 * 64 bit floats, the bit pattern for narrower floats (float16 {15360} is 1.0; float16 {1.0}, with a
 * point, is accepted as well), pairs for complex numbers. Memory grows with the text, never with
 * what the dims claim. */
#include "ir/text/text_priv.h"

/* Elements as they come: `unit` bytes each, packed at the end for types narrower than a byte. */
struct elements {
    ox_ctx *ctx;
    unsigned char *data;
    size_t len, cap, unit; /* in units */
};

static ox_status push(struct elements *e, const void *unit) {
    if (e->len == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 16;
        OX_TRY(ox_resize(e->ctx, &e->data, e->len * e->unit, cap * e->unit, 1));
        e->cap = cap;
    }
    memcpy(e->data + e->len++ * e->unit, unit, e->unit);
    return OX_OK;
}

/* Smallest and largest integer literal of a type whose elements have at most 32 bits. Floats: their
 * bit patterns. */
static void literal_range(int64_t *min, int64_t *max, ox_dtype dtype) {
    int bits = ox_dtype_bits(dtype);
    bool is_signed = dtype == OX_INT2 || dtype == OX_INT4 || dtype == OX_INT8 ||
                     dtype == OX_INT16 || dtype == OX_INT32;
    *min = is_signed ? -((int64_t)1 << (bits - 1)) : 0;
    *max = dtype == OX_BOOL ? 1
           : is_signed      ? ((int64_t)1 << (bits - 1)) - 1
                            : ((int64_t)1 << bits) - 1;
}

static ox_status out_of_range(struct ox_parser *p, ox_dtype dtype) {
    const struct ox_token *t = &p->lex.tok;
    return ox_text_error(p, "%.*s is no %s", (int)(t->len > 60 ? 60 : t->len), t->text,
                         ox_dtype_name(dtype));
}

static ox_status push_int(struct elements *e, struct ox_parser *p, ox_dtype dtype) {
    const struct ox_token *t = &p->lex.tok;
    int64_t min, max, v;
    uint64_t u;
    if (t->kind != OX_TOK_INT) return ox_text_expected(p, "an integer");
    if (dtype == OX_UINT64) {
        if (!ox_text_read_uint(&u, t->text, t->len)) return out_of_range(p, dtype);
        return push(e, &u);
    }
    if (!ox_text_read_int(&v, t->text, t->len)) return out_of_range(p, dtype);
    if (dtype == OX_INT64) return push(e, &v);
    literal_range(&min, &max, dtype);
    if (v < min || v > max) return out_of_range(p, dtype);
    uint32_t low = (uint32_t)v;
    uint16_t low16 = (uint16_t)v;
    uint8_t low8 = (uint8_t)v;
    return push(e, e->unit == 4 ? (void *)&low : e->unit == 2 ? (void *)&low16 : (void *)&low8);
}

static bool is_number(const struct ox_token *t) {
    return t->kind == OX_TOK_INT || t->kind == OX_TOK_FLOAT ||
           (t->kind == OX_TOK_ID && ox_text_is_float_word(t->text, t->len));
}

static ox_status push_float(struct elements *e, struct ox_parser *p, ox_dtype dtype) {
    const struct ox_token *t = &p->lex.tok;
    float f;
    double d;
    if (!is_number(t)) return ox_text_expected(p, "a number");
    if (dtype == OX_DOUBLE || dtype == OX_COMPLEX128) {
        if (!ox_text_read_double(&d, p->locale, t->text, t->len)) return out_of_range(p, OX_DOUBLE);
        return push(e, &d);
    }
    if (!ox_text_read_float(&f, p->locale, t->text, t->len)) return out_of_range(p, OX_FLOAT);
    if (dtype != OX_FLOAT16 && dtype != OX_BFLOAT16) return push(e, &f);
    uint16_t h = dtype == OX_FLOAT16 ? ox_float_to_half(f) : ox_float_to_bfloat16(f);
    return push(e, &h);
}

static ox_status push_string(struct elements *e, struct ox_parser *p) {
    struct ox_str s;
    OX_TRY(ox_parse_string(&s, p));
    return push(e, &s);
}

static ox_status push_element(struct elements *e, struct ox_parser *p, ox_dtype dtype) {
    bool half = dtype == OX_FLOAT16 || dtype == OX_BFLOAT16;
    if (dtype == OX_STRING) return push_string(e, p);
    if (dtype == OX_FLOAT || dtype == OX_DOUBLE || dtype == OX_COMPLEX64 ||
        dtype == OX_COMPLEX128 || (half && p->lex.tok.kind != OX_TOK_INT))
        OX_TRY(push_float(e, p, dtype));
    else
        OX_TRY(push_int(e, p, dtype));
    return ox_lex_next(p);
}

static size_t unit_of(ox_dtype dtype) {
    if (dtype == OX_STRING) return sizeof(struct ox_str);
    if (dtype == OX_COMPLEX64) return 4;
    if (dtype == OX_COMPLEX128) return 8;
    int bits = ox_dtype_bits(dtype);
    return bits < 8 ? 1 : (size_t)bits / 8;
}

/* The numeric dims of a tensor literal's type, and how many units they ask for. */
static ox_status literal_dims(int64_t *dims, size_t *units, struct ox_parser *p,
                              const struct ox_type *type) {
    if (type->kind != OX_TYPE_TENSOR)
        return ox_text_error(p, "only tensors can be given as literals");
    if (type->rank < 0)
        return ox_text_error(p, "a tensor literal needs dimensions (none at all for a scalar)");
    for (int i = 0; i < type->rank; i++) {
        if (!ox_dim_is_const(type->dims[i]))
            return ox_text_error(p, "the dimensions of a tensor literal must be numbers");
        dims[i] = type->dims[i].k;
    }
    size_t bytes;
    if (ox_shape_size(units, &bytes, type->dtype, type->rank, dims))
        return ox_text_error(p, "the tensor is too large");
    if (type->dtype == OX_COMPLEX64 || type->dtype == OX_COMPLEX128)
        *units *= 2; /* their bytes did not overflow */
    return OX_OK;
}

static ox_status parse_list(struct elements *e, struct ox_parser *p, ox_dtype dtype,
                            size_t wanted) {
    OX_TRY(ox_tok_take(p, '{'));
    if (ox_tok_is(p, '.'))
        return ox_text_error(p, "the elements of this tensor were left out when it was printed");
    bool more = !ox_tok_is(p, '}');
    while (more) {
        if (e->len == wanted)
            return ox_text_error(p, "more than the %zu elements that the dimensions ask for",
                                 wanted);
        OX_TRY(push_element(e, p, dtype));
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    if (!ox_tok_is(p, '}')) return ox_text_expected(p, "',' or '}'");
    if (e->len != wanted)
        return ox_text_error(p, "%zu elements where the dimensions ask for %zu", e->len, wanted);
    return ox_lex_next(p);
}

static ox_status finish(ox_tensor **out, struct ox_parser *p, const struct elements *e,
                        const struct ox_type *type, const int64_t *dims) {
    if (type->dtype == OX_STRING)
        return ox_tensor_strings(out, p->ctx, type->rank, dims,
                                 (const struct ox_str *)(const void *)e->data);
    void *data;
    OX_TRY(ox_tensor_new(out, &data, p->ctx, type->dtype, type->rank, dims));
    if (ox_dtype_bits(type->dtype) < 8)
        ox_pack_bits(data, e->data, e->len, type->dtype);
    else if (e->len)
        memcpy(data, e->data, e->len * e->unit);
    return OX_OK;
}

ox_status ox_parse_elements(ox_tensor **out, struct ox_parser *p, const struct ox_type *type) {
    int64_t dims[OX_MAX_RANK];
    size_t wanted;
    OX_TRY(literal_dims(dims, &wanted, p, type));
    if (ox_tok_is(p, '['))
        return ox_text_error(p, "external data cannot be given in the text form; expected '{'");
    struct elements e = {.ctx = p->ctx, .unit = unit_of(type->dtype)};
    ox_status status = parse_list(&e, p, type->dtype, wanted);
    if (status == OX_OK) status = finish(out, p, &e, type, dims);
    ox_free(p->ctx, e.data);
    return status;
}

/* ---- sparse tensors -------------------------------------------------------------------------- */

static ox_status parse_part(ox_tensor **out, struct ox_parser *p) {
    const struct ox_type *type;
    OX_TRY(ox_parse_type(&type, p));
    return ox_parse_elements(out, p, type);
}

ox_status ox_parse_sparse(struct ox_sparse **out, struct ox_parser *p, const struct ox_type *type) {
    int64_t dims[OX_MAX_RANK], *kept;
    size_t total;
    struct ox_type dense = *type;
    dense.kind = OX_TYPE_TENSOR;
    OX_TRY(literal_dims(dims, &total, p, &dense));
    OX_TRY(ox_arena_alloc(&p->model->arena, out, 1, sizeof **out));
    OX_TRY(ox_arena_alloc(&p->model->arena, &kept, (size_t)type->rank, sizeof *kept));
    if (type->rank) memcpy(kept, dims, (size_t)type->rank * sizeof *kept);
    struct ox_sparse *s = *out;
    s->rank = type->rank;
    s->dims = kept;
    OX_TRY(ox_tok_take(p, '{'));
    OX_TRY(parse_part(&s->values, p));
    OX_TRY(ox_tok_take(p, ','));
    OX_TRY(parse_part(&s->indices, p));
    const ox_tensor *v = s->values, *at = s->indices;
    if (v->dtype != type->dtype || v->rank != 1 || at->dtype != OX_INT64 || at->rank < 1 ||
        at->rank > 2 || at->dims[0] != v->dims[0] || (at->rank == 2 && at->dims[1] != s->rank))
        return ox_text_error(p, "values and indices do not fit the sparse tensor, or each other");
    for (size_t i = 0; i < at->count; i++) {
        int64_t index = ((const int64_t *)at->data)[i];
        if (index < 0 ||
            (uint64_t)index >= (at->rank == 1 ? total : (uint64_t)dims[i % (size_t)s->rank]))
            return ox_text_error(p, "the index %lld is outside of the sparse tensor",
                                 (long long)index);
    }
    return ox_tok_take(p, '}');
}
