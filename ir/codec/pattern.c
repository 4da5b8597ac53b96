/* ir/codec/pattern.c - see pattern.h. PCRE2 takes its memory from the context. */
#include "ir/codec/pattern_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    STEPS_MAX = 5 * 1000 * 1000, /* of backtracking, for one string */
    HEAP_MAX = 64 * 1024         /* KiB */
};

struct ox_pattern {
    ox_ctx *ctx;
    pcre2_general_context *general;
    pcre2_code *code;
    pcre2_match_context *limits;
};

static void *take(size_t size, void *user) {
    void *p;
    return ox_alloc(user, &p, size, 1) == OX_OK ? p : NULL;
}

static void give(void *p, void *user) {
    ox_free(user, p);
}

static ox_status compile(struct ox_pattern *p, const char *text, size_t len) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_compile_context *c = pcre2_compile_context_create(p->general);
    if (!c) return OX_NOMEM;
    pcre2_set_newline(c, PCRE2_NEWLINE_LF);
    /* A capture costs memory for each step back and nobody asks for what it holds. */
    p->code = pcre2_compile((PCRE2_SPTR)text, len,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED |
                                PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                                PCRE2_NO_AUTO_CAPTURE | PCRE2_DUPNAMES,
                            &error, &offset, c);
    pcre2_compile_context_free(c);
    if (p->code) return OX_OK;
    if (error == PCRE2_ERROR_HEAP_FAILED) return OX_NOMEM;
    PCRE2_UCHAR message[120] = "";
    pcre2_get_error_message(error, message, sizeof message);
    return ox_fail(p->ctx, OX_INVALID, "bad-pattern", NULL,
                   "the pattern is no regular expression: %s", (const char *)message);
}

static ox_status prepare(struct ox_pattern *p, struct ox_str text) {
    char *translated;
    size_t len;
    OX_TRY(ox_pattern_translate(&translated, &len, p->ctx, text));
    p->general = pcre2_general_context_create(take, give, p->ctx);
    ox_status s = p->general ? compile(p, translated, len) : OX_NOMEM;
    ox_free(p->ctx, translated);
    OX_TRY(s);
    p->limits = pcre2_match_context_create(p->general);
    if (!p->limits) return OX_NOMEM;
    pcre2_set_match_limit(p->limits, STEPS_MAX);
    pcre2_set_heap_limit(p->limits, HEAP_MAX);
    return OX_OK;
}

ox_status ox_pattern_new(struct ox_pattern **out, ox_ctx *ctx, struct ox_str text) {
    struct ox_pattern *p;
    OX_TRY(ox_alloc(ctx, &p, 1, sizeof *p));
    p->ctx = ctx;
    ox_status s = prepare(p, text);
    if (s == OX_OK)
        *out = p;
    else
        ox_pattern_free(p);
    return s;
}

void ox_pattern_free(struct ox_pattern *p) {
    if (!p) return;
    pcre2_match_context_free(p->limits);
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->general);
    ox_free(p->ctx, p);
}

static ox_status match_one(bool *out, const struct ox_pattern *p, ox_ctx *ctx,
                           pcre2_match_data *match, struct ox_str s) {
    const char *text = s.len ? s.ptr : "";
    int rc = pcre2_match(p->code, (PCRE2_SPTR)text, s.len, 0, 0, match, p->limits);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(match);
    /* Bytes that are not UTF-8 split the string for PCRE2: a part that matches is not all of it. */
    *out = rc >= 0 && ends[0] == 0 && ends[1] == s.len;
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return OX_OK;
    if (rc == PCRE2_ERROR_NOMEMORY) return OX_NOMEM; /* reported where it was refused */
    return ox_fail(
        ctx, OX_UNSUPPORTED, "pattern-limit", NULL,
        "to match '%.*s%s' takes more than the %d steps or %d MiB that a pattern may take",
        s.len > 40 ? 40 : (int)s.len, text, s.len > 40 ? "..." : "", STEPS_MAX, HEAP_MAX / 1024);
}

/* What a match writes to is made here, in memory of `ctx`: the pattern stays as it is and can be
 * shared. */
ox_status ox_pattern_full_matches(bool *out, const struct ox_pattern *p, ox_ctx *ctx, size_t n,
                                  const struct ox_str *strings) {
    pcre2_general_context *general = pcre2_general_context_create(take, give, ctx);
    pcre2_match_data *match = general ? pcre2_match_data_create(1, general) : NULL;
    ox_status s = match ? OX_OK : OX_NOMEM;
    for (size_t i = 0; s == OX_OK && i < n; i++)
        s = match_one(&out[i], p, ctx, match, strings[i]);
    pcre2_match_data_free(match);
    pcre2_general_context_free(general);
    return s;
}
