/* ir/ops/op_text.c - StringConcat, StringSplit, RegexFullMatch: strings are UTF-8, and joined and
 * cut as bytes. */
#include "ir/codec/pattern.h"
#include "ir/ops/op_priv.h"

#define STRINGS OX_BIT(OX_STRING)

/* ---- StringConcat ---------------------------------------------------------------------------- */

ox_status ox_infer_string_concat(const struct ox_call *call, const void *params,
                                 struct ox_infer *io) {
    ox_dim dims[OX_MAX_RANK];
    int rank = ox_in_rank(io, 0), other = ox_in_rank(io, 1);
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), STRINGS));
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), STRINGS));
    if (rank < 0 || other < 0) return ox_infer_tensor(io, 0, OX_STRING, -1, NULL);
    if (rank) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    OX_TRY(ox_infer_broadcast(call, io, &rank, dims, other, io->in[1]->dims));
    return ox_infer_tensor(io, 0, OX_STRING, rank, dims);
}

/* Which element of t stands at flat position i of an output of these dims. */
static size_t broadcast_at(const ox_tensor *t, size_t i, int rank, const int64_t *dims) {
    size_t at = 0, step = 1;
    for (int d = rank - 1, k = t->rank - 1; k >= 0; d--, k--) {
        size_t c = i % (size_t)dims[d];
        i /= (size_t)dims[d];
        if (t->dims[k] != 1) at += c * step;
        step *= (size_t)t->dims[k];
    }
    return at;
}

/* Concatenations of all pairs: lengths first, then the bytes in one block, which ox_tensor_strings
 * copies. */
static ox_status concat(ox_tensor **out, const struct ox_call *call, const ox_tensor *x,
                        const ox_tensor *y, int rank, const int64_t *dims, size_t n,
                        struct ox_str *strings) {
    const struct ox_str *a = x->data, *b = y->data;
    size_t total = 0;
    char *bytes;
    for (size_t i = 0; i < n; i++) {
        size_t p = a[broadcast_at(x, i, rank, dims)].len, q = b[broadcast_at(y, i, rank, dims)].len;
        if (ox_add_size(&strings[i].len, p, q) || ox_add_size(&total, total, strings[i].len))
            return ox_fail(call->ctx, OX_NOMEM, "out-of-memory", NULL, "the strings are too long");
    }
    OX_TRY(ox_alloc_raw(call->ctx, &bytes, total, 1));
    char *to = bytes;
    for (size_t i = 0; i < n; i++) {
        struct ox_str p = a[broadcast_at(x, i, rank, dims)], q = b[broadcast_at(y, i, rank, dims)];
        strings[i].ptr = to;
        if (p.len) memcpy(to, p.ptr, p.len);
        if (q.len) memcpy(to + p.len, q.ptr, q.len);
        to += strings[i].len;
    }
    ox_status s = ox_tensor_strings(out, call->ctx, rank, dims, strings);
    ox_free(call->ctx, bytes);
    return s;
}

ox_status ox_eval_string_concat(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    int64_t dims[OX_MAX_RANK];
    int rank = in[0]->rank;
    size_t count, bytes;
    struct ox_str *strings;
    (void)params;
    for (size_t i = 0; i < 2; i++)
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, STRINGS));
    if (rank) memcpy(dims, in[0]->dims, (size_t)rank * sizeof *dims);
    OX_TRY(ox_broadcast(call, &rank, dims, in[1]->rank, in[1]->dims));
    if (ox_shape_size(&count, &bytes, OX_STRING, rank, dims))
        return ox_bad_shape(call, "the result is too large");
    OX_TRY(ox_alloc(call->ctx, &strings, count, sizeof *strings));
    ox_status s = concat(&out[0], call, in[0], in[1], rank, dims, count, strings);
    ox_free(call->ctx, strings);
    return s;
}

/* ---- StringSplit ----------------------------------------------------------------------------- */

ox_status ox_decode_string_split(const struct ox_call *call, void *params) {
    struct ox_string_split_params *p = params;
    OX_TRY(ox_attr_string(&p->delimiter, call, "delimiter", ""));
    return ox_attr_int(&p->maxsplit, call, "maxsplit", -1);
}

ox_status ox_infer_string_split(const struct ox_call *call, const void *params,
                                struct ox_infer *io) {
    ox_dim dims[OX_MAX_RANK];
    int rank = ox_in_rank(io, 0);
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), STRINGS));
    if (rank < 0 || rank == OX_MAX_RANK) {
        OX_TRY(ox_infer_tensor(io, 0, OX_STRING, -1, NULL));
        return call->n_out > 1 ? ox_infer_tensor(io, 1, OX_INT64, -1, NULL) : OX_OK;
    }
    if (rank) memcpy(dims, io->in[0]->dims, (size_t)rank * sizeof *dims);
    OX_TRY(ox_dim_unknown(&dims[rank], io->dims));
    io->why = "into how many pieces a text splits depends on data";
    OX_TRY(ox_infer_tensor(io, 0, OX_STRING, rank + 1, dims));
    return call->n_out > 1 ? ox_infer_tensor(io, 1, OX_INT64, rank, dims) : OX_OK;
}

static bool is_space(int32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Where the next white space (or, with `space` false, something else) begins, at `at` or behind;
 * s.len: nowhere. */
static size_t skip(struct ox_str s, size_t at, bool space) {
    while (at < s.len) {
        size_t next = at;
        if (is_space(ox_utf8_next(s, &next)) == space) return at;
        at = next;
    }
    return at;
}

static size_t find(struct ox_str s, size_t at, struct ox_str what) {
    for (; s.len - at >= what.len; at++)
        if (memcmp(s.ptr + at, what.ptr, what.len) == 0) return at;
    return s.len;
}

/* Parts of a string; written to `to` unless that is NULL. White space at both ends belongs to no
 * part, but the rest that is left after maxsplit splits keeps what is at its end. */
static size_t split(struct ox_str *to, struct ox_str s, const struct ox_string_split_params *p) {
    bool blanks = p->delimiter.len == 0;
    size_t n = 0, at = blanks ? skip(s, 0, false) : 0;
    if (blanks && at == s.len) return 0;
    for (;;) {
        bool last = p->maxsplit >= 0 && (uint64_t)p->maxsplit <= n;
        size_t end = last ? s.len : blanks ? skip(s, at, true) : find(s, at, p->delimiter);
        if (to) to[n] = (struct ox_str){s.len ? s.ptr + at : "", end - at};
        n++;
        if (last || end == s.len) return n;
        at = blanks ? skip(s, end, false) : end + p->delimiter.len;
        if (blanks && at == s.len) return n;
    }
}

static ox_status split_all(ox_tensor **parts, const struct ox_call *call,
                           const struct ox_string_split_params *p, const ox_tensor *t,
                           const int64_t *counts, int64_t most) {
    int64_t dims[OX_MAX_RANK];
    const struct ox_str *strings = t->data;
    struct ox_str *all;
    size_t total, bytes;
    (void)counts;
    if (t->rank == OX_MAX_RANK)
        return ox_bad_shape(call, "the result has more than %d dims", OX_MAX_RANK);
    if (t->rank) memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
    dims[t->rank] = most;
    if (ox_shape_size(&total, &bytes, OX_STRING, t->rank + 1, dims))
        return ox_bad_shape(call, "the result is too large");
    OX_TRY(ox_alloc(call->ctx, &all, total, sizeof *all));
    for (size_t i = 0; i < t->count; i++)
        split(all + i * (size_t)most, strings[i], p);
    for (size_t i = 0; i < total; i++)
        if (!all[i].ptr) all[i].ptr = "";
    ox_status s = ox_tensor_strings(parts, call->ctx, t->rank + 1, dims, all);
    ox_free(call->ctx, all);
    return s;
}

ox_status ox_eval_string_split(const struct ox_call *call, const void *params,
                               const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_string_split_params *p = params;
    const struct ox_str *strings = in[0]->data;
    ox_tensor *lengths;
    void *data;
    int64_t *counts, most = 0;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, STRINGS));
    OX_TRY(ox_tensor_new(&lengths, &data, call->ctx, OX_INT64, in[0]->rank, in[0]->dims));
    counts = data;
    for (size_t i = 0; i < in[0]->count; i++) {
        counts[i] = (int64_t)split(NULL, strings[i], p);
        if (counts[i] > most) most = counts[i];
    }
    ox_status s = split_all(&out[0], call, p, in[0], counts, most);
    if (s == OX_OK && call->n_out > 1)
        out[1] = lengths;
    else
        ox_tensor_unref(lengths);
    return s;
}

/* ---- RegexFullMatch -------------------------------------------------------------------------- */

/* Compiles the pattern to see whether it is one, so that a bad pattern is found before the model
 * runs; once it has been prepared, it is known to be. */
ox_status ox_decode_regex(const struct ox_call *call, void *params) {
    struct ox_regex_params *p = params;
    struct ox_pattern *pattern;
    if (!ox_attr_find(call, "pattern")) return ox_bad_attr(call, "attribute 'pattern' is missing");
    OX_TRY(ox_attr_string(&p->pattern, call, "pattern", ""));
    if (call->prepared) return OX_OK;
    OX_TRY(ox_pattern_new(&pattern, call->ctx, p->pattern));
    ox_pattern_free(pattern);
    return OX_OK;
}

ox_status ox_infer_regex(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), STRINGS));
    const struct ox_type *t = io->in[0];
    return ox_infer_tensor(io, 0, OX_BOOL, ox_in_rank(io, 0),
                           ox_type_is_tensor(t) ? t->dims : NULL);
}

ox_status ox_prepare_regex(const struct ox_call *call, const void *params, void **state) {
    struct ox_pattern *pattern;
    OX_TRY(ox_pattern_new(&pattern, call->ctx, ((const struct ox_regex_params *)params)->pattern));
    *state = pattern;
    return OX_OK;
}

void ox_forget_regex(void *state, ox_ctx *ctx) {
    (void)ctx; /* a pattern knows its own */
    ox_pattern_free(state);
}

ox_status ox_eval_regex(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                        ox_tensor **out) {
    void *data;
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, STRINGS));
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, OX_BOOL, in[0]->rank, in[0]->dims));
    return ox_pattern_full_matches(data, call->prepared, call->ctx, in[0]->count, in[0]->data);
}
