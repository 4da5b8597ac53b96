/* ir/ops/cast_string.c - numbers to strings and back, for Cast.
 *
 * A float is written with as few digits as read back to the same number. Reading takes what the
 * standard names: plain and scientific notation, INF, +INF, -INF and NaN in any case. The C
 * library's functions are used in the "C" locale's way only as far as the process leaves it so. */
#include "ir/ops/cast_priv.h"
#include "ir/ops/convert.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER = 32 }; /* bytes that hold any number as text */

/* ---- to strings ------------------------------------------------------------------------------ */

/* Is this text, read as an element of the type, the number it was printed from? */
static bool reads_back(const char *text, ox_dtype dtype, double x) {
    if (dtype == OX_DOUBLE) return strtod(text, NULL) == x;
    float f = strtof(text, NULL), element;
    ox_store_floats(&element, dtype, &f, 1);
    ox_load_floats(&f, dtype, &element, 1);
    return (double)f == x;
}

static void print_float(char *text, double x, ox_dtype dtype) {
    if (x != x) {
        snprintf(text, NUMBER, "NaN");
    } else if (isinf(x)) {
        snprintf(text, NUMBER, "%s", x > 0 ? "INF" : "-INF");
    } else {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, NUMBER, "%.*g", digits, x);
            if (reads_back(text, dtype, x)) return;
        }
    }
}

/* Element i of a tensor whose elements are double, float, int64 or uint64 now and were of type
 * `original`. */
static void print_element(char *text, const ox_tensor *t, ox_dtype original, size_t i) {
    switch (t->dtype) {
    case OX_INT64:
        snprintf(text, NUMBER, "%" PRId64, ((const int64_t *)t->data)[i]);
        break;
    case OX_UINT64:
        snprintf(text, NUMBER, "%" PRIu64, ((const uint64_t *)t->data)[i]);
        break;
    case OX_FLOAT:
        print_float(text, (double)((const float *)t->data)[i], original);
        break;
    default:
        print_float(text, ((const double *)t->data)[i], original);
        break;
    }
}

/* The type through which a number is printed. */
static ox_dtype printed_type(ox_dtype dtype) {
    if (dtype == OX_DOUBLE || dtype == OX_UINT64) return dtype;
    return ox_dtype_is_float(dtype) ? OX_FLOAT : OX_INT64;
}

static ox_status print_all(ox_tensor **out, ox_ctx *ctx, const ox_tensor *numbers,
                           ox_dtype original, char (*texts)[NUMBER], struct ox_str *strings) {
    for (size_t i = 0; i < numbers->count; i++) {
        if (original == OX_BOOL)
            snprintf(texts[i], NUMBER, "%s",
                     ((const int64_t *)numbers->data)[i] ? "True" : "False");
        else
            print_element(texts[i], numbers, original, i);
        strings[i] = (struct ox_str){texts[i], strlen(texts[i])};
    }
    return ox_tensor_strings(out, ctx, numbers->rank, numbers->dims, strings);
}

ox_status ox_cast_to_strings(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor) {
    ox_tensor *numbers;
    OX_TRY(ox_tensor_cast(&numbers, ctx, tensor, printed_type(tensor->dtype), true));
    char(*texts)[NUMBER] = NULL;
    struct ox_str *strings = NULL;
    ox_status status = ox_alloc(ctx, &texts, tensor->count, sizeof *texts);
    if (status == OX_OK) status = ox_alloc(ctx, &strings, tensor->count, sizeof *strings);
    if (status == OX_OK) status = print_all(out, ctx, numbers, tensor->dtype, texts, strings);
    ox_free(ctx, texts);
    ox_free(ctx, strings);
    ox_tensor_unref(numbers);
    return status;
}

/* ---- from strings ---------------------------------------------------------------------------- */

static bool equal_nocase(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return false;
    return *a == *b;
}

/* Hexadecimal and the C library's other spellings are not the standard's. */
static bool is_decimal(const char *text) {
    bool digit = false;
    for (const char *c = text; *c; c++) {
        if (isdigit((unsigned char)*c))
            digit = true;
        else if (!strchr("+-.eE", *c))
            return false;
    }
    return digit;
}

static bool parse_double(double *out, const char *text) {
    if (equal_nocase(text, "inf") || equal_nocase(text, "+inf")) {
        *out = INFINITY;
    } else if (equal_nocase(text, "-inf")) {
        *out = -INFINITY;
    } else if (equal_nocase(text, "nan")) {
        *out = NAN;
    } else {
        char *end;
        if (!is_decimal(text)) return false;
        *out = strtod(text, &end);
        return *end == '\0';
    }
    return true;
}

/* Integers are read as such where they are written so: a double would lose the low bits. */
static bool parse_int(int64_t *out, const char *text, bool is_unsigned) {
    char *end;
    if (!is_decimal(text)) return false;
    errno = 0;
    if (is_unsigned && text[0] != '-')
        *out = (int64_t)strtoull(text, &end, 10);
    else
        *out = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

struct parsed {
    ox_tensor *ints, *doubles;
    int64_t *i64;
    double *f64;
};

static ox_status parse_all(struct parsed *p, ox_ctx *ctx, const ox_tensor *tensor, bool integer,
                           bool is_unsigned) {
    const struct ox_str *strings = tensor->data;
    for (size_t i = 0; i < tensor->count; i++) {
        char text[256];
        size_t len = strings[i].len;
        bool ok = len < sizeof text;
        if (ok) {
            memcpy(text, strings[i].ptr, len);
            text[len] = '\0';
            if (integer) {
                ok = parse_int(&p->i64[i], text, is_unsigned);
                if (!ok && parse_double(&p->f64[i], text)) {
                    ok = fabs(p->f64[i]) < 0x1p63;
                    p->i64[i] = ok ? (int64_t)p->f64[i] : 0;
                }
            } else {
                ok = parse_double(&p->f64[i], text);
            }
        }
        if (!ok)
            return ox_fail(ctx, OX_INVALID, "not-a-number", NULL,
                           "string '%.*s' at element %zu is not a number of the wanted type",
                           len > 40 ? 40 : (int)len, len ? strings[i].ptr : "", i);
    }
    return OX_OK;
}

ox_status ox_cast_from_strings(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                               ox_dtype dtype, const struct ox_cast_rules *rules) {
    bool integer = ox_dtype_is_integer(dtype) || dtype == OX_BOOL;
    struct parsed p = {0};
    void *i64, *f64;
    OX_TRY(ox_tensor_new(&p.ints, &i64, ctx, OX_INT64, tensor->rank, tensor->dims));
    ox_status status = ox_tensor_new(&p.doubles, &f64, ctx, OX_DOUBLE, tensor->rank, tensor->dims);
    if (status == OX_OK) {
        p.i64 = i64;
        p.f64 = f64;
        status = parse_all(&p, ctx, tensor, integer, dtype == OX_UINT64);
    }
    if (status == OX_OK)
        status = ox_tensor_cast_by(out, ctx, integer ? p.ints : p.doubles, dtype, rules);
    ox_tensor_unref(p.ints);
    ox_tensor_unref(p.doubles);
    return status;
}
