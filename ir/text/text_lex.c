/* ir/text/text_lex.c - text into tokens, and the small parse functions that every other one uses.
 *
 * The text is `len` bytes that may hold anything, NUL included; the lexer never looks beyond them.
 * Comments run from
 * '#' to the end of the line. In a string a backslash stands for the character behind it, whatever
 * that is. */
#include "ir/text/text_priv.h"

#include <limits.h>
#include <stdio.h>

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct ox_place place_at(const struct ox_parser *p, int line) {
    return (struct ox_place){.file = p->name, .line = line};
}

ox_status ox_text_error(struct ox_parser *p, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct ox_place place = place_at(p, p->lex.tok.line);
    return ox_fail(p->ctx, OX_INVALID, "text-syntax", &place, "%s", text);
}

ox_status ox_text_expected(struct ox_parser *p, const char *what) {
    const struct ox_token *t = &p->lex.tok;
    if (t->kind == OX_TOK_END)
        return ox_text_error(p, "expected %s, found the end of the text", what);
    int shown = t->len > 40 ? 40 : (int)t->len;
    const char *quote = t->kind == OX_TOK_STRING ? "\"" : "";
    return ox_text_error(p, "expected %s, found '%s%.*s%s%s'", what, quote, shown, t->text,
                         (size_t)shown < t->len ? "..." : "", quote);
}

static void skip_space(struct ox_lexer *lex) {
    while (lex->p < lex->end) {
        if (*lex->p == '#') {
            while (lex->p < lex->end && *lex->p != '\n')
                lex->p++;
        } else if (is_space(*lex->p)) {
            if (*lex->p == '\n' && lex->line < INT_MAX) lex->line++;
            lex->p++;
        } else {
            return;
        }
    }
}

/* Behind the opening quote. False: the text ends before the string does. */
static bool lex_string(struct ox_lexer *lex, struct ox_token *t) {
    t->kind = OX_TOK_STRING;
    t->text = ++lex->p;
    while (lex->p < lex->end && *lex->p != '"') {
        if (*lex->p == '\\') {
            t->escaped = true;
            if (++lex->p == lex->end) return false;
        }
        if (*lex->p == '\n' && lex->line < INT_MAX) lex->line++;
        lex->p++;
    }
    t->len = (size_t)(lex->p - t->text);
    return lex->p++ < lex->end;
}

/* The "(0x...)" behind nan. */
static void lex_payload(struct ox_lexer *lex) {
    const char *q = lex->p;
    if (lex->end - q < 5 || memcmp(q, "(0x", 3) != 0) return;
    for (q += 3; q < lex->end && *q != ')'; q++)
        if (!is_digit(*q) && !(*q >= 'a' && *q <= 'f')) return;
    if (q < lex->end) lex->p = q + 1;
}

static void lex_word(struct ox_lexer *lex, struct ox_token *t) {
    t->kind = OX_TOK_ID;
    while (lex->p < lex->end && (is_letter(*lex->p) || is_digit(*lex->p)))
        lex->p++;
    if (lex->p - t->text == 3 && memcmp(t->text, "nan", 3) == 0) lex_payload(lex);
    t->len = (size_t)(lex->p - t->text);
    if (t->len > 3 && t->text[t->len - 1] == ')') t->kind = OX_TOK_FLOAT;
}

/* At a digit, or at '-' with a digit or letter behind it. False: -word that is no number. */
static bool lex_number(struct ox_lexer *lex, struct ox_token *t) {
    t->kind = OX_TOK_INT;
    if (*lex->p == '-') lex->p++;
    if (is_letter(*lex->p)) {
        struct ox_token word = {.text = lex->p};
        lex_word(lex, &word);
        t->kind = OX_TOK_FLOAT;
        t->len = (size_t)(lex->p - t->text);
        return word.kind == OX_TOK_FLOAT || ox_text_is_float_word(word.text, word.len);
    }
    while (lex->p < lex->end && (is_digit(*lex->p) || (*lex->p == '.' && t->kind == OX_TOK_INT))) {
        if (*lex->p == '.') t->kind = OX_TOK_FLOAT;
        lex->p++;
    }
    if (lex->p < lex->end && (*lex->p == 'e' || *lex->p == 'E')) {
        t->kind = OX_TOK_FLOAT;
        lex->p++;
        if (lex->p < lex->end && (*lex->p == '+' || *lex->p == '-')) lex->p++;
        while (lex->p < lex->end && is_digit(*lex->p))
            lex->p++;
    }
    t->len = (size_t)(lex->p - t->text);
    return true;
}

ox_status ox_lex_next(struct ox_parser *p) {
    struct ox_lexer *lex = &p->lex;
    skip_space(lex);
    lex->tok = (struct ox_token){.text = lex->p, .line = lex->line};
    struct ox_token *t = &lex->tok;
    if (lex->p == lex->end) return OX_OK; /* OX_TOK_END */
    char c = *lex->p, next = lex->end - lex->p > 1 ? lex->p[1] : 0;
    if (c == '"') {
        if (lex_string(lex, t)) return OX_OK;
        return ox_text_error(p, "this string has no end");
    }
    if (is_letter(c)) {
        lex_word(lex, t);
        return OX_OK;
    }
    if (is_digit(c) || (c == '-' && (is_digit(next) || is_letter(next)))) {
        if (lex_number(lex, t)) return OX_OK;
        return ox_text_expected(p, "a number");
    }
    t->kind = c == '=' && next == '>' ? OX_TOK_ARROW : OX_TOK_PUNCT;
    t->len = t->kind == OX_TOK_ARROW ? 2 : 1;
    t->punct = c;
    lex->p += t->len;
    return OX_OK;
}

ox_status ox_tok_peek(struct ox_token *out, const struct ox_parser *p) {
    struct ox_parser ahead = *p;
    OX_TRY(ox_lex_next(&ahead));
    *out = ahead.lex.tok;
    return OX_OK;
}

bool ox_tok_is_word(const struct ox_token *t, const char *word) {
    return t->kind == OX_TOK_ID && t->len == strlen(word) && memcmp(t->text, word, t->len) == 0;
}

ox_status ox_tok_take(struct ox_parser *p, char punct) {
    char what[] = {'\'', punct, '\'', 0};
    if (!ox_tok_is(p, punct)) return ox_text_expected(p, what);
    return ox_lex_next(p);
}

ox_status ox_tok_accept(bool *taken, struct ox_parser *p, char punct) {
    *taken = ox_tok_is(p, punct);
    return *taken ? ox_lex_next(p) : OX_OK;
}

ox_status ox_parse_int(int64_t *out, struct ox_parser *p) {
    const struct ox_token *t = &p->lex.tok;
    if (t->kind != OX_TOK_INT) return ox_text_expected(p, "an integer");
    if (!ox_text_read_int(out, t->text, t->len))
        return ox_text_error(p, "%.*s does not fit in 64 bits", (int)(t->len > 40 ? 40 : t->len),
                             t->text);
    return ox_lex_next(p);
}

/* The string at hand without its escapes: a slice of the text, or of the parser's scratch. */
static ox_status unescape(struct ox_str *out, struct ox_parser *p) {
    const struct ox_token *t = &p->lex.tok;
    if (t->kind != OX_TOK_STRING) return ox_text_expected(p, "a string");
    *out = (struct ox_str){t->text, t->len};
    if (!t->escaped) return OX_OK;
    if (t->len > p->cap_scratch) {
        OX_TRY(ox_resize(p->ctx, &p->scratch, 0, t->len, 1));
        p->cap_scratch = t->len;
    }
    size_t n = 0;
    for (size_t i = 0; i < t->len; i++) {
        if (t->text[i] == '\\') i++;
        p->scratch[n++] = t->text[i];
    }
    *out = (struct ox_str){p->scratch, n};
    return OX_OK;
}

ox_status ox_parse_string(struct ox_str *out, struct ox_parser *p) {
    struct ox_str s;
    OX_TRY(unescape(&s, p));
    const char *copy;
    OX_TRY(ox_arena_copy(&p->model->arena, &copy, s.ptr, s.len));
    *out = (struct ox_str){copy, s.len};
    return ox_lex_next(p);
}

static ox_status to_name(ox_name *out, struct ox_parser *p, const char *text, size_t len) {
    if (len > ox_ctx_limits(p->ctx)->max_name_bytes)
        return ox_text_error(p, "a name of %zu bytes is longer than the limit of %zu", len,
                             ox_ctx_limits(p->ctx)->max_name_bytes);
    if (len && memchr(text, 0, len)) return ox_text_error(p, "a name must not hold a NUL byte");
    OX_TRY(ox_model_name(out, p->model, text, len));
    return ox_lex_next(p);
}

ox_status ox_parse_string_name(ox_name *out, struct ox_parser *p) {
    struct ox_str s;
    OX_TRY(unescape(&s, p));
    if (s.len && memchr(s.ptr, 0, s.len))
        return ox_text_error(p, "this string must not hold a NUL byte");
    OX_TRY(ox_model_name(out, p->model, s.ptr, s.len));
    return ox_lex_next(p);
}

ox_status ox_parse_id(ox_name *out, struct ox_parser *p, const char *what) {
    const struct ox_token *t = &p->lex.tok;
    if (t->kind == OX_TOK_ID) return to_name(out, p, t->text, t->len);
    if (t->kind != OX_TOK_STRING) return ox_text_expected(p, what);
    struct ox_str s;
    OX_TRY(unescape(&s, p));
    return to_name(out, p, s.ptr, s.len);
}
