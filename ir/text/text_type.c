/* ir/text/text_type.c - types: float[N,3,?], int64 (rank 0), float[] (unknown rank), seq(...),
 * optional(...), map(key, ...), sparse_tensor(...), opaque(...). */
#include "ir/text/text_priv.h"

enum { TYPE_DEPTH_MAX = 32 };

static ox_status parse_type(const struct ox_type **out, struct ox_parser *p, int depth);

/* The element type whose name is at hand, or OX_UNDEFINED. */
static ox_dtype dtype_word(const struct ox_parser *p) {
    for (int d = 1; d < OX_DTYPE_COUNT; d++)
        if (ox_tok_is_word(&p->lex.tok, ox_dtype_name((ox_dtype)d))) return (ox_dtype)d;
    return OX_UNDEFINED;
}

static ox_status parse_dim(ox_dim *out, struct ox_parser *p) {
    const struct ox_token *t = &p->lex.tok;
    if (t->kind == OX_TOK_INT) {
        int64_t k;
        if (t->text[0] == '-') return ox_text_error(p, "a dimension cannot be negative");
        OX_TRY(ox_parse_int(&k, p));
        *out = ox_dim_const(k);
        return OX_OK;
    }
    if (ox_tok_is(p, '?')) {
        OX_TRY(ox_dim_unknown(out, &p->model->dims));
        return ox_lex_next(p);
    }
    ox_name name;
    OX_TRY(ox_parse_id(&name, p, "a dimension (a number, a name or '?')"));
    if (name->len == 0) return ox_dim_unknown(out, &p->model->dims);
    return ox_dim_symbol(out, &p->model->dims, name);
}

static ox_status make_tensor(const struct ox_type **out, struct ox_parser *p, ox_dtype dtype,
                             int rank, const ox_dim *dims, bool sparse) {
    OX_TRY(ox_type_tensor(out, &p->model->arena, dtype, rank, dims));
    if (!sparse) return OX_OK;
    struct ox_type *t;
    OX_TRY(ox_arena_alloc(&p->model->arena, &t, 1, sizeof *t));
    *t = **out;
    t->kind = OX_TYPE_SPARSE;
    *out = t;
    return OX_OK;
}

/* prim-type [dims] */
static ox_status parse_tensor(const struct ox_type **out, struct ox_parser *p, bool sparse) {
    ox_dtype dtype = dtype_word(p);
    if (!dtype) return ox_text_expected(p, "an element type");
    OX_TRY(ox_lex_next(p));
    bool taken;
    OX_TRY(ox_tok_accept(&taken, p, '['));
    if (!taken) return make_tensor(out, p, dtype, 0, NULL, sparse);
    OX_TRY(ox_tok_accept(&taken, p, ']'));
    if (taken) return make_tensor(out, p, dtype, -1, NULL, sparse);
    ox_dim dims[OX_MAX_RANK];
    int rank = 0;
    do {
        if (rank == OX_MAX_RANK) return ox_text_error(p, "more than %d dimensions", OX_MAX_RANK);
        OX_TRY(parse_dim(&dims[rank++], p));
        OX_TRY(ox_tok_accept(&taken, p, ','));
    } while (taken);
    OX_TRY(ox_tok_take(p, ']'));
    return make_tensor(out, p, dtype, rank, dims, sparse);
}

/* Opaque types are not modelled: they stay an unknown type. */
static ox_status parse_opaque(const struct ox_type **out, struct ox_parser *p) {
    struct ox_type *t;
    OX_TRY(ox_arena_alloc(&p->model->arena, &t, 1, sizeof *t));
    t->rank = -1;
    while (!ox_tok_is(p, ')')) {
        if (p->lex.tok.kind != OX_TOK_ID && !ox_tok_is(p, '.') && !ox_tok_is(p, ','))
            return ox_text_expected(p, "the name of an opaque type");
        OX_TRY(ox_lex_next(p));
    }
    *out = t;
    return OX_OK;
}

/* What stands between the parentheses behind seq, optional and map. */
static ox_status parse_container(const struct ox_type **out, struct ox_parser *p,
                                 enum ox_type_kind kind, int depth) {
    ox_dtype key = OX_UNDEFINED;
    if (kind == OX_TYPE_MAP) {
        key = dtype_word(p);
        if (!key) return ox_text_expected(p, "an element type for the keys of the map");
        OX_TRY(ox_lex_next(p));
        OX_TRY(ox_tok_take(p, ','));
    }
    const struct ox_type *elem;
    OX_TRY(parse_type(&elem, p, depth + 1));
    struct ox_type *t;
    OX_TRY(ox_arena_alloc(&p->model->arena, &t, 1, sizeof *t));
    *t = (struct ox_type){.kind = kind, .dtype = key, .rank = -1, .elem = elem};
    *out = t;
    return OX_OK;
}

static ox_status parse_type(const struct ox_type **out, struct ox_parser *p, int depth) {
    if (depth > TYPE_DEPTH_MAX)
        return ox_text_error(p, "types are nested more than %d deep", TYPE_DEPTH_MAX);
    if (dtype_word(p)) return parse_tensor(out, p, false);
    bool seq = ox_tok_is_word(&p->lex.tok, "seq"),
         optional = ox_tok_is_word(&p->lex.tok, "optional"),
         map = ox_tok_is_word(&p->lex.tok, "map"),
         sparse = ox_tok_is_word(&p->lex.tok, "sparse_tensor"),
         opaque = ox_tok_is_word(&p->lex.tok, "opaque");
    if (!seq && !optional && !map && !sparse && !opaque) return ox_text_expected(p, "a type");
    OX_TRY(ox_lex_next(p));
    OX_TRY(ox_tok_take(p, '('));
    if (sparse)
        OX_TRY(parse_tensor(out, p, true));
    else if (opaque)
        OX_TRY(parse_opaque(out, p));
    else
        OX_TRY(parse_container(out, p,
                               seq        ? OX_TYPE_SEQUENCE
                               : optional ? OX_TYPE_OPTIONAL
                                          : OX_TYPE_MAP,
                               depth));
    return ox_tok_take(p, ')');
}

ox_status ox_parse_type(const struct ox_type **out, struct ox_parser *p) {
    return parse_type(out, p, 0);
}
