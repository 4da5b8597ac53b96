/* ir/text/text_number.c - numbers between text and bits, and the small vocabularies of the text
 * form. */
#include "ir/text/text_priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

ox_status ox_text_locale_new(ox_text_locale *out, ox_ctx *ctx) {
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (locale == (locale_t)0)
        return ox_fail(ctx, OX_NOMEM, "out-of-memory", NULL, "no memory for the C locale");
    *out = locale;
    return OX_OK;
}

void ox_text_locale_free(ox_text_locale locale) {
    if (locale != (locale_t)0) freelocale(locale);
}

/* NaNs other than the two default ones carry their payload, which the official form cannot express.
 */
static size_t print_nan(char *buf, bool negative, uint64_t payload, uint64_t dflt) {
    const char *sign = negative ? "-" : "";
    int n = payload == dflt ? snprintf(buf, OX_TEXT_NUMBER_MAX, "%snan", sign)
                            : snprintf(buf, OX_TEXT_NUMBER_MAX, "%snan(0x%llx)", sign,
                                       (unsigned long long)payload);
    return (size_t)n;
}

size_t ox_text_print_float(char *buf, ox_text_locale locale, float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (isnan(value)) return print_nan(buf, bits >> 31, bits & 0x7fffff, 0x400000);
    locale_t former = uselocale(locale);
    int n = 0;
    /* Six digits always survive a round trip from text; subnormals may need fewer. */
    for (int digits = isnormal(value) ? 6 : 1; digits <= 9; digits++) {
        n = snprintf(buf, OX_TEXT_NUMBER_MAX, "%.*g", digits, (double)value);
        float back = strtof(buf, NULL);
        if (memcmp(&back, &value, 4) == 0) break;
    }
    uselocale(former);
    return (size_t)n;
}

size_t ox_text_print_double(char *buf, ox_text_locale locale, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    if (isnan(value)) return print_nan(buf, bits >> 63, bits & 0xfffffffffffffu, 0x8000000000000u);
    locale_t former = uselocale(locale);
    int n = 0;
    for (int digits = isnormal(value) ? 15 : 1; digits <= 17; digits++) {
        n = snprintf(buf, OX_TEXT_NUMBER_MAX, "%.*g", digits, value);
        double back = strtod(buf, NULL);
        if (memcmp(&back, &value, 8) == 0) break;
    }
    uselocale(former);
    return (size_t)n;
}

/* nan(0x...) with a payload that fits, sign in front. */
static bool read_nan(uint64_t *payload, bool *negative, const char *text, size_t len,
                     uint64_t max) {
    *negative = len && text[0] == '-';
    if (*negative) text++, len--;
    if (len < 8 || memcmp(text, "nan(0x", 6) != 0 || text[len - 1] != ')') return false;
    uint64_t v = 0;
    for (size_t i = 6; i < len - 1; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0 || v > max >> 4) return false;
        v = v << 4 | (uint64_t)digit;
    }
    *payload = v;
    return v > 0 && v <= max;
}

enum { DIGITS_MAX = 1000 }; /* more than any double needs to be written exactly */

/* What strto* reads beyond the form's grammar (hex floats, leading blanks, '+') never gets here:
 * the lexer cut the text. */
static bool copy_number(char *buf, const char *text, size_t len) {
    if (len == 0 || len > DIGITS_MAX) return false;
    memcpy(buf, text, len);
    buf[len] = 0;
    return true;
}

bool ox_text_read_float(float *out, ox_text_locale locale, const char *text, size_t len) {
    uint64_t payload;
    bool negative;
    if (read_nan(&payload, &negative, text, len, 0x7fffff)) {
        uint32_t bits = (uint32_t)negative << 31 | 0x7f800000u | (uint32_t)payload;
        memcpy(out, &bits, 4);
        return true;
    }
    char buf[DIGITS_MAX + 1], *end;
    if (!copy_number(buf, text, len)) return false;
    locale_t former = uselocale(locale);
    errno = 0;
    float value = strtof(buf, &end);
    bool ok = end == buf + len && !(errno == ERANGE && isinf(value));
    uselocale(former);
    *out = value;
    return ok;
}

bool ox_text_read_double(double *out, ox_text_locale locale, const char *text, size_t len) {
    uint64_t payload;
    bool negative;
    if (read_nan(&payload, &negative, text, len, 0xfffffffffffffu)) {
        uint64_t bits = (uint64_t)negative << 63 | 0x7ff0000000000000u | payload;
        memcpy(out, &bits, 8);
        return true;
    }
    char buf[DIGITS_MAX + 1], *end;
    if (!copy_number(buf, text, len)) return false;
    locale_t former = uselocale(locale);
    errno = 0;
    double value = strtod(buf, &end);
    bool ok = end == buf + len && !(errno == ERANGE && isinf(value));
    uselocale(former);
    *out = value;
    return ok;
}

bool ox_text_read_uint(uint64_t *out, const char *text, size_t len) {
    uint64_t v = 0;
    if (len == 0) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool ox_text_read_int(int64_t *out, const char *text, size_t len) {
    bool negative = len && text[0] == '-';
    uint64_t v;
    if (!ox_text_read_uint(&v, text + negative, len - negative)) return false;
    if (v > (uint64_t)INT64_MAX + negative) return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* ---- vocabularies ---------------------------------------------------------------------------- */

static bool is_word(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

bool ox_text_is_float_word(const char *text, size_t len) {
    static const char *const words[] = {"inf", "infinity", "nan"};
    for (size_t w = 0; w < 3; w++) {
        size_t i = 0;
        if (strlen(words[w]) != len) continue;
        while (i < len && (text[i] | 0x20) == words[w][i])
            i++;
        if (i == len) return true;
    }
    return false;
}

bool ox_text_is_identifier(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return len > 0;
}

bool ox_text_is_type_word(const char *text, size_t len) {
    static const char *const words[] = {"seq", "map", "optional", "sparse_tensor", "opaque"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(text, len, words[i])) return true;
    for (int d = 1; d < OX_DTYPE_COUNT; d++)
        if (is_word(text, len, ox_dtype_name((ox_dtype)d))) return true;
    return false;
}

const char *ox_text_attr_type(enum ox_attr_type type) {
    static const char *const names[] = {NULL,
                                        "float",
                                        "int",
                                        "string",
                                        "tensor",
                                        "graph",
                                        "floats",
                                        "ints",
                                        "strings",
                                        "tensors",
                                        "graphs",
                                        "sparse_tensor",
                                        "sparse_tensors",
                                        "type_proto",
                                        "type_protos"};
    return (size_t)type < sizeof names / sizeof *names ? names[type] : NULL;
}
