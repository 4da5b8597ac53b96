/* ir/codec/pattern_syntax.c - RE2's syntax into PCRE2's: what RE2 has not is refused, what it
 * writes differently is rewritten, all else is copied.
 *
 * RE2 has no backreferences, lookaround, atomic groups, possessive quantifiers, conditionals,
 * recursion, verbs, comments, \C (one byte; it has it, but a byte of UTF-8 text means nothing), \K,
 * \G, \R, \X, \h, \N. \v is the vertical tab, \s does not contain it, octal escapes begin with any
 * digit but 8 and 9, a brace that does not make a repetition is itself, and one repetition counts
 * to 1000 at most. */
#include "ir/codec/pattern_priv.h"

#include <stdio.h>

enum { REPEAT_MAX = 1000 };

struct syntax {
    ox_ctx *ctx;
    const char *start, *at, *end;
    char *out;
    size_t len, cap;
};

#define refuse(s, ...) ox_fail((s)->ctx, OX_INVALID, "bad-pattern", NULL, __VA_ARGS__)

static ox_status put_char(struct syntax *s, char c) {
    OX_TRY(OX_GROW(s->ctx, s->out, s->len, s->cap));
    s->out[s->len++] = c;
    return OX_OK;
}

static ox_status put_text(struct syntax *s, const char *text) {
    for (; *text; text++)
        OX_TRY(put_char(s, *text));
    return OX_OK;
}

static bool left(const struct syntax *s, size_t n) {
    return (size_t)(s->end - s->at) > n;
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static ox_status put_code(struct syntax *s, unsigned code) {
    char text[16];
    snprintf(text, sizeof text, "\\x{%x}", code);
    return put_text(s, text);
}

/* ---- escapes --------------------------------------------------------------------------------- */

/* \0 to \7: up to three octal digits; but a digit alone is a backreference. */
static ox_status octal(struct syntax *s) {
    char first = *s->at;
    if (first > '7' || (first != '0' && (!left(s, 1) || s->at[1] < '0' || s->at[1] > '7')))
        return refuse(s, "backreferences (\\%c) are not in RE2's syntax", first);
    unsigned code = 0;
    for (int n = 0; n < 3 && s->at < s->end && *s->at >= '0' && *s->at <= '7'; n++, s->at++)
        code = 8 * code + (unsigned)(*s->at - '0');
    return put_code(s, code);
}

static int hex_digit(char c) {
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* After "\x": two digits, or any in braces. */
static ox_status hexadecimal(struct syntax *s) {
    unsigned code = 0;
    int n = 0;
    bool braces = s->at < s->end && *s->at == '{';
    s->at += braces;
    for (; s->at < s->end && hex_digit(*s->at) >= 0 && (braces || n < 2); s->at++, n++) {
        code = 16 * code + (unsigned)hex_digit(*s->at);
        if (code > 0x10ffff) break;
    }
    bool ok = code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) && (braces ? n > 0 : n == 2);
    if (ok && braces) ok = s->at < s->end && *s->at++ == '}';
    return ok ? put_code(s, code)
              : refuse(s, "\\x needs two hexadecimal digits, or a character's number in braces");
}

/* \pL, \p{Greek}, \p{^Greek}: copied. */
static ox_status property(struct syntax *s, char letter) {
    OX_TRY(put_char(s, '\\'));
    OX_TRY(put_char(s, letter));
    bool braces = s->at < s->end && *s->at == '{';
    while (s->at < s->end) {
        OX_TRY(put_char(s, *s->at++));
        if (!braces || s->at[-1] == '}') return OX_OK;
    }
    return refuse(s, "\\%c needs a class of characters", letter);
}

/* \Q ... \E: everything is itself. */
static ox_status quoted(struct syntax *s) {
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\\' && left(s, 1) && s->at[1] == 'E') {
            s->at += 2;
            return OX_OK;
        }
        if ((unsigned char)*s->at < 0x80 && !is_letter(*s->at) && !is_digit(*s->at))
            OX_TRY(put_char(s, '\\'));
        OX_TRY(put_char(s, *s->at));
    }
    return OX_OK;
}

/* At the character behind a backslash. *empty: it stands for no character (\Q, \E, \b, ...). */
static ox_status escape(struct syntax *s, bool in_class, bool *empty) {
    *empty = false;
    if (s->at == s->end) return refuse(s, "the pattern ends in a backslash");
    char c = *s->at;
    if (is_digit(c)) return octal(s);
    s->at++;
    if (!is_letter(c)) {
        if (c == '_' || (unsigned char)c >= 0x80)
            return refuse(s, "there is nothing to escape in front of '%c'", c == '_' ? c : '?');
        OX_TRY(put_char(s, '\\'));
        return put_char(s, c);
    }
    switch (c) {
    case 'x':
        return hexadecimal(s);
    case 'p':
    case 'P':
        return property(s, c);
    case 'v':
        return put_code(s, 0x0b);
    case 's':
        return put_text(s, in_class ? "\\t\\n\\f\\r\\x20" : "[\\t\\n\\f\\r\\x20]");
    case 'S':
        if (!in_class) return put_text(s, "[^\\t\\n\\f\\r\\x20]");
        return put_text(s, "\\x00-\\x08\\x0b\\x0e-\\x1f\\x21-\\x{10ffff}");
    case 'a':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'd':
    case 'D':
    case 'w':
    case 'W':
        OX_TRY(put_char(s, '\\'));
        return put_char(s, c);
    case 'A':
    case 'z':
    case 'b':
    case 'B':
        if (in_class) break;
        *empty = c != 'z' && c != 'A'; /* repeating \b is an error in neither */
        OX_TRY(put_char(s, '\\'));
        return put_char(s, c);
    case 'Q':
        if (in_class) break;
        return quoted(s);
    case 'E':
        *empty = true;
        return OX_OK; /* without \Q: nothing */
    default:
        break;
    }
    return refuse(s, "\\%c%s is not in RE2's syntax", c, in_class ? " between brackets" : "");
}

/* ---- classes --------------------------------------------------------------------------------- */

/* "[:name:]" at s->at? Copies it. */
static ox_status named_class(struct syntax *s, bool *done) {
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    *done = false;
    if (!left(s, 1) || s->at[1] != ':') return OX_OK;
    const char *from = s->at + 2;
    if (from < s->end && *from == '^') from++;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if ((size_t)(s->end - from) < n + 2 || memcmp(from, names[i], n) || from[n] != ':' ||
            from[n + 1] != ']')
            continue;
        for (const char *end = from + n + 2; s->at < end; s->at++)
            OX_TRY(put_char(s, *s->at));
        *done = true;
        return OX_OK;
    }
    for (const char *p = from; p + 1 < s->end; p++)
        if (p[0] == ':' && p[1] == ']')
            return refuse(s, "an unknown class of characters between [: and :]");
    return OX_OK;
}

/* From the opening bracket to the closing one. */
static ox_status class_of(struct syntax *s) {
    OX_TRY(put_char(s, *s->at++));
    if (s->at < s->end && *s->at == '^') OX_TRY(put_char(s, *s->at++));
    for (bool first = true; s->at < s->end; first = false) {
        char c = *s->at;
        bool done = false, empty;
        if (c == ']' && !first) {
            s->at++;
            return put_char(s, ']');
        }
        if (c == '[') OX_TRY(named_class(s, &done));
        if (done) continue;
        s->at++;
        if (c == '\\') {
            OX_TRY(escape(s, true, &empty));
        } else {
            if (c == '[' || c == ']') OX_TRY(put_char(s, '\\'));
            OX_TRY(put_char(s, c));
        }
    }
    return refuse(s, "a bracket is not closed");
}

/* ---- groups and repetitions ------------------------------------------------------------------ */

static ox_status name_of(struct syntax *s) {
    const char *start = s->at;
    while (s->at < s->end && (is_letter(*s->at) || is_digit(*s->at) || *s->at == '_'))
        s->at++;
    if (s->at == start || s->at == s->end || *s->at != '>')
        return refuse(s, "a group's name is not well-formed");
    s->at++;
    /* Names are of no use here: the group need not even capture. */
    return put_text(s, "(?:");
}

/* At '('. */
static ox_status group(struct syntax *s) {
    s->at++;
    if (s->at == s->end || *s->at != '?') {
        if (s->at < s->end && *s->at == '*')
            return refuse(s, "there is nothing to repeat in front of '*'");
        return put_text(s, "(?:");
    }
    s->at++;
    if (left(s, 1) && s->at[0] == 'P' && s->at[1] == '<') return s->at += 2, name_of(s);
    if (left(s, 1) && s->at[0] == '<' && s->at[1] != '=' && s->at[1] != '!')
        return s->at += 1, name_of(s);
    if (s->at < s->end && (*s->at == '=' || *s->at == '!' || *s->at == '<'))
        return refuse(s, "lookaround is not in RE2's syntax");
    OX_TRY(put_text(s, "(?"));
    for (bool minus = false; s->at < s->end; s->at++) {
        char c = *s->at;
        bool flag = c == 'i' || c == 'm' || c == 's' || c == 'U';
        if (!flag && c != ':' && c != ')' && !(c == '-' && !minus)) break;
        minus = minus || c == '-';
        OX_TRY(put_char(s, c));
        if (c != ':' && c != ')') continue;
        s->at++;
        return OX_OK;
    }
    return refuse(s, "a group that begins with (?%.*s is not in RE2's syntax",
                  s->at < s->end ? 1 : 0, s->at);
}

/* {n}, {n,} or {n,m} at s->at? Then *end is behind it. */
static bool repetition(const struct syntax *s, const char **end, long *least, long *most) {
    const char *p = s->at + 1;
    long v[2] = {0, -1};
    for (int i = 0; i < 2; i++) {
        const char *start = p;
        if (i == 1) v[1] = p < s->end && is_digit(*p) ? 0 : -1;
        for (; p < s->end && is_digit(*p); p++)
            if (v[i] <= REPEAT_MAX) v[i] = 10 * v[i] + (*p - '0');
        if (i == 0 && p == start) return false;
        if (i == 0 && p < s->end && *p == ',') {
            p++;
            continue;
        }
        if (i == 0) v[1] = v[0];
        break;
    }
    if (p == s->end || *p != '}') return false;
    *end = p + 1;
    *least = v[0];
    *most = v[1];
    return true;
}

/* A quantifier at s->at, if there is one. *item: there is something in front of it; afterwards,
 * false. */
static ox_status quantifier(struct syntax *s, bool *item, bool *done) {
    const char *end = s->at + 1;
    long least = 0, most = 0;
    char c = *s->at;
    *done = c == '*' || c == '+' || c == '?' || (c == '{' && repetition(s, &end, &least, &most));
    if (!*done) return OX_OK;
    if (!*item) return refuse(s, "there is nothing to repeat in front of '%c'", c);
    if (least > REPEAT_MAX || most > REPEAT_MAX || (most >= 0 && least > most))
        return refuse(s, "a repetition must be of at most %d times, and not from more to less",
                      REPEAT_MAX);
    while (s->at < end)
        OX_TRY(put_char(s, *s->at++));
    if (s->at < s->end && *s->at == '?') OX_TRY(put_char(s, *s->at++));
    *item = false; /* "a**", and "a*+" which PCRE2 takes for possessive, are errors */
    return OX_OK;
}

static ox_status translate(struct syntax *s) {
    bool item = false, done, empty;
    while (s->at < s->end) {
        char c = *s->at;
        OX_TRY(quantifier(s, &item, &done));
        if (done) continue;
        item = c != '(' && c != '|';
        if (c == '(') {
            OX_TRY(group(s));
        } else if (c == '[') {
            OX_TRY(class_of(s));
        } else if (c == '\\') {
            s->at++;
            OX_TRY(escape(s, false, &empty));
            item = !empty;
        } else {
            if (c == '{' || c == '}') OX_TRY(put_char(s, '\\'));
            OX_TRY(put_char(s, c));
            s->at++;
        }
    }
    return OX_OK;
}

ox_status ox_pattern_translate(char **out, size_t *len, ox_ctx *ctx, struct ox_str text) {
    const char *start = text.len ? text.ptr : "";
    struct syntax s = {.ctx = ctx, .start = start, .at = start, .end = start + text.len};
    OX_TRY(ox_alloc(ctx, &s.out, 16, 1));
    s.cap = 16;
    ox_status status = translate(&s);
    if (status != OX_OK) {
        ox_free(ctx, s.out);
        return status;
    }
    *out = s.out;
    *len = s.len;
    return OX_OK;
}
