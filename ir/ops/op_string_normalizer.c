/* ir/ops/op_string_normalizer.c - StringNormalizer: drops stop words, changes the case of what
 * stays.
 *
 * Stop words are whole elements. With is_case_sensitive they are compared as they are written,
 * without it after both have been brought to the case asked for (lower case where none is). The
 * attribute `locale` changes nothing: see text_case.h. */
#include "ir/ops/key_map.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_string_normalizer(const struct ox_call *call, void *params) {
    static const char *const actions[] = {"NONE", "LOWER", "UPPER", NULL};
    struct ox_string_normalizer_params *p = params;
    int64_t sensitive;
    int action;
    struct ox_str locale;
    OX_TRY(ox_attr_choice(&action, call, "case_change_action", actions, OX_CASE_NONE));
    OX_TRY(ox_attr_int(&sensitive, call, "is_case_sensitive", 0));
    OX_TRY(ox_attr_strings(&p->stops, &p->n_stops, call, "stopwords"));
    OX_TRY(ox_attr_string(&locale, call, "locale", ""));
    if (p->n_stops == SIZE_MAX) p->n_stops = 0;
    p->action = (enum ox_text_case)action;
    p->case_sensitive = sensitive != 0;
    return OX_OK;
}

ox_status ox_infer_string_normalizer(const struct ox_call *call, const void *params,
                                     struct ox_infer *io) {
    const struct ox_string_normalizer_params *p = params;
    int rank = ox_in_rank(io, 0);
    ox_dim dims[2];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_BIT(OX_STRING)));
    if (rank < 0) return ox_infer_tensor(io, 0, OX_STRING, -1, NULL);
    if (rank != 1 && rank != 2)
        return ox_bad_shape(call, "the input has rank %d, expected [C] or [1,C]", rank);
    const ox_dim *in = io->in[0]->dims;
    if (rank == 2 && ox_dim_is_const(in[0]) && in[0].k != 1)
        return ox_bad_shape(call, "the input is %s, expected [C] or [1,C]",
                            ox_sym_dims_text(rank, in).text);
    dims[0] = ox_dim_const(1);
    /* Nothing is dropped without stop words; but an empty input becomes one empty string. */
    if (p->n_stops == 0 && ox_dim_ge(in[rank - 1], 1))
        dims[rank - 1] = in[rank - 1];
    else
        OX_TRY(ox_dim_unknown(&dims[rank - 1], io->dims));
    io->why = "how many words are left depends on data";
    return ox_infer_tensor(io, 0, OX_STRING, rank, dims);
}

/* n strings in another case; *to and *bytes from ox_alloc. */
static ox_status change_all(struct ox_str **to, char **bytes, const struct ox_call *call,
                            const struct ox_str *from, size_t n, enum ox_text_case which) {
    size_t total = 0;
    *bytes = NULL;
    OX_TRY(ox_alloc(call->ctx, to, n, sizeof **to));
    ox_status s = OX_OK;
    for (size_t i = 0; s == OX_OK && i < n; i++) {
        (*to)[i].len = ox_text_change_case(NULL, from[i], which);
        if (ox_add_size(&total, total, (*to)[i].len))
            s = ox_fail(call->ctx, OX_NOMEM, "out-of-memory", NULL, "the strings are too long");
    }
    if (s == OX_OK) s = ox_alloc_raw(call->ctx, bytes, total, 1);
    if (s != OX_OK) {
        ox_free(call->ctx, *to);
        *to = NULL;
        return s;
    }
    char *at = *bytes;
    for (size_t i = 0; i < n; i++) {
        (*to)[i].ptr = at;
        at += ox_text_change_case(at, from[i], which);
    }
    return OX_OK;
}

struct changed {
    struct ox_str *stops, *compared, *shown;
    char *bytes[3];
};

static ox_status normalize(ox_tensor **out, const struct ox_call *call,
                           const struct ox_string_normalizer_params *p, const ox_tensor *t,
                           struct changed *c, struct ox_key_map *stops) {
    enum ox_text_case compare = p->case_sensitive           ? OX_CASE_NONE
                                : p->action == OX_CASE_NONE ? OX_CASE_LOWER
                                                            : p->action;
    static const struct ox_str empty = {"", 0};
    size_t kept = 0;
    int64_t dims[2] = {1, 1};
    OX_TRY(change_all(&c->stops, &c->bytes[0], call, p->stops, p->n_stops, compare));
    OX_TRY(change_all(&c->compared, &c->bytes[1], call, t->data, t->count, compare));
    OX_TRY(change_all(&c->shown, &c->bytes[2], call, t->data, t->count, p->action));
    OX_TRY(ox_key_map_init(stops, call->ctx, p->n_stops));
    for (size_t i = 0; i < p->n_stops; i++)
        ox_key_map_put(stops, ox_key_string(c->stops[i]), i);
    for (size_t i = 0; i < t->count; i++)
        if (ox_key_map_get(stops, ox_key_string(c->compared[i])) == SIZE_MAX)
            c->shown[kept++] = c->shown[i];
    dims[t->rank - 1] = kept ? (int64_t)kept : 1;
    return ox_tensor_strings(out, call->ctx, t->rank, dims, kept ? c->shown : &empty);
}

ox_status ox_eval_string_normalizer(const struct ox_call *call, const void *params,
                                    const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *t = in[0];
    struct changed c = {0};
    struct ox_key_map stops = {0};
    OX_TRY(ox_expect_dtype(call, 0, t->dtype, OX_BIT(OX_STRING)));
    if (t->rank < 1 || t->rank > 2 || (t->rank == 2 && t->dims[0] != 1))
        return ox_bad_shape(call, "the input is %s, expected [C] or [1,C]",
                            ox_dims_text(t->rank, t->dims).text);
    ox_status s = normalize(&out[0], call, params, t, &c, &stops);
    ox_key_map_fini(&stops, call->ctx);
    ox_free(call->ctx, c.stops);
    ox_free(call->ctx, c.compared);
    ox_free(call->ctx, c.shown);
    for (int i = 0; i < 3; i++)
        ox_free(call->ctx, c.bytes[i]);
    return s;
}
