/* conf_compare.c - are two tensors the same result? */
#include "conf.h"

#include <inttypes.h>
#include <math.h>

/* Value of a 1 + e + m bit float with the given bias; infinities and NaN are the caller's. */
static double small_float(unsigned bits, int e_bits, int m_bits, int bias) {
    unsigned m = bits & ((1u << m_bits) - 1), e = (bits >> m_bits) & ((1u << e_bits) - 1);
    double v = e ? ldexp(1.0 + ldexp(m, -m_bits), (int)e - bias) : ldexp(m, 1 - bias - m_bits);
    return bits >> (e_bits + m_bits) ? -v : v;
}

static double float8(unsigned bits, ox_dtype dtype) {
    switch ((int)dtype) {
    case OX_FLOAT8E4M3FN:
        return (bits & 0x7f) == 0x7f ? NAN : small_float(bits, 4, 3, 7);
    case OX_FLOAT8E4M3FNUZ:
        return bits == 0x80 ? NAN : small_float(bits, 4, 3, 8);
    case OX_FLOAT8E5M2:
        if ((bits & 0x7f) > 0x7c) return NAN;
        if ((bits & 0x7f) == 0x7c) return bits & 0x80 ? -INFINITY : INFINITY;
        return small_float(bits, 5, 2, 15);
    case OX_FLOAT8E5M2FNUZ:
        return bits == 0x80 ? NAN : small_float(bits, 5, 2, 16);
    default:
        return bits == 0xff ? NAN : ldexp(1, (int)bits - 127); /* e8m0 */
    }
}

/* Element i of a tensor of a float type. */
static double float_at(const ox_tensor *t, size_t i) {
    const char *p = t->data;
    float f;
    double d;
    uint16_t h;
    switch ((int)t->dtype) {
    case OX_FLOAT:
        memcpy(&f, p + 4 * i, 4);
        return f;
    case OX_DOUBLE:
        memcpy(&d, p + 8 * i, 8);
        return d;
    case OX_FLOAT16:
        memcpy(&h, p + 2 * i, 2);
        return ox_half_to_float(h);
    case OX_BFLOAT16:
        memcpy(&h, p + 2 * i, 2);
        return ox_bfloat16_to_float(h);
    case OX_FLOAT4E2M1:
        return small_float(((unsigned char)p[i / 2] >> (i % 2 * 4)) & 15u, 2, 1, 1);
    default:
        return float8((unsigned char)p[i], t->dtype);
    }
}

static bool close_enough(double a, double e, double rtol, double atol) {
    if (isnan(e) || isnan(a)) return isnan(e) && isnan(a);
    if (isinf(e) || isinf(a)) return a == e;
    return fabs(a - e) <= atol + rtol * fabs(e);
}

static bool floats(char *why, size_t size, const ox_tensor *a, const ox_tensor *e, double rtol,
                   double atol) {
    size_t bad = 0, first = 0;
    for (size_t i = 0; i < e->count; i++)
        if (!close_enough(float_at(a, i), float_at(e, i), rtol, atol) && bad++ == 0) first = i;
    if (!bad) return true;
    snprintf(why, size, "%zu of %zu elements differ, first [%zu]: %.9g, expected %.9g", bad,
             e->count, first, float_at(a, first), float_at(e, first));
    return false;
}

/* Parts of a number that is not finite: NaN equals NaN, the same infinity equals itself, and what
 * stands beside them is not looked at more closely than that it is finite too. */
static bool same_special(double a, double e) {
    return isnan(e) ? isnan(a) : isinf(e) ? a == e : isfinite(a);
}

static bool complexes(char *why, size_t size, const ox_tensor *a, const ox_tensor *e, double rtol,
                      double atol) {
    ox_tensor x = *a, y = *e; /* the same bytes as twice as many real numbers */
    x.dtype = y.dtype = e->dtype == OX_COMPLEX64 ? OX_FLOAT : OX_DOUBLE;
    for (size_t i = 0; i < e->count; i++) {
        double er = float_at(&y, 2 * i), ei = float_at(&y, 2 * i + 1), ar = float_at(&x, 2 * i),
               ai = float_at(&x, 2 * i + 1);
        if (hypot(ar - er, ai - ei) <= atol + rtol * hypot(er, ei)) continue;
        bool finite = isfinite(er) && isfinite(ei);
        if (!finite && same_special(ar, er) && same_special(ai, ei)) continue;
        snprintf(why, size, "element %zu is %.9g%+.9gi, expected %.9g%+.9gi", i, ar, ai, er, ei);
        return false;
    }
    return true;
}

static bool strings(char *why, size_t size, const ox_tensor *a, const ox_tensor *e) {
    const struct ox_str *x = a->data, *y = e->data;
    for (size_t i = 0; i < e->count; i++) {
        if (x[i].len == y[i].len && (x[i].len == 0 || memcmp(x[i].ptr, y[i].ptr, x[i].len) == 0))
            continue;
        snprintf(why, size, "element %zu is \"%.*s\", expected \"%.*s\"", i, (int)x[i].len,
                 x[i].ptr, (int)y[i].len, y[i].ptr);
        return false;
    }
    return true;
}

/* Element i of a tensor of integers of at least a byte, or booleans. */
static int64_t int_at(const ox_tensor *t, size_t i) {
    int bits = ox_dtype_bits(t->dtype);
    const unsigned char *p = t->data;
    int64_t v = 0;
    if (bits >= 8) {
        memcpy(&v, p + i * (size_t)bits / 8, (size_t)bits / 8);
    } else {
        size_t at = i * (size_t)bits;
        v = (p[at / 8] >> (at % 8)) & ((1 << bits) - 1);
    }
    bool is_signed = t->dtype == OX_INT8 || t->dtype == OX_INT16 || t->dtype == OX_INT32 ||
                     t->dtype == OX_INT4 || t->dtype == OX_INT2;
    if (is_signed && v >> (bits - 1)) v -= (int64_t)1 << bits;
    return v;
}

static bool integers(char *why, size_t size, const ox_tensor *a, const ox_tensor *e) {
    size_t bad = 0, first = 0;
    for (size_t i = 0; i < e->count; i++)
        if (int_at(a, i) != int_at(e, i) && bad++ == 0) first = i;
    if (!bad) return true;
    snprintf(why, size, "%zu of %zu elements differ, first [%zu]: %" PRId64 ", expected %" PRId64,
             bad, e->count, first, int_at(a, first), int_at(e, first));
    return false;
}

/* bfloat16 recorded as the bits of uint16, and by cutting bits off instead of rounding: the
 * official runner compares the bits as numbers, with its relative tolerance. */
static bool recorded_bits(char *why, size_t size, const ox_tensor *a, const ox_tensor *e,
                          double rtol, double atol) {
    ox_tensor bits = *a;
    bits.dtype = OX_UINT16;
    for (size_t i = 0; i < e->count; i++) {
        int64_t x = int_at(&bits, i), y = int_at(e, i);
        if (close_enough((double)x, (double)y, rtol, atol)) continue;
        snprintf(why, size, "element %zu has the bits %" PRId64 ", expected %" PRId64, i, x, y);
        return false;
    }
    return true;
}

static void shape_text(char *buf, size_t size, const ox_tensor *t) {
    size_t n = (size_t)snprintf(buf, size, "%s[", ox_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && n + 24 < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%" PRId64, i ? "," : "", t->dims[i]);
    snprintf(buf + n, size - n, "]");
}

double conf_range(const ox_tensor *t) {
    double range = 0;
    for (size_t i = 0; ox_dtype_is_float(t->dtype) && i < t->count; i++) {
        double v = fabs(float_at(t, i));
        if (isfinite(v) && v > range) range = v;
    }
    return range;
}

static bool is_list(const ox_tensor *t) {
    return t->dtype == OX_SEQUENCE || t->dtype == OX_OPTIONAL || t->dtype == OX_MAP;
}

static bool lists(char *why, size_t size, const ox_tensor *a, const ox_tensor *e, double rtol,
                  double atol, bool values) {
    if (a->dtype != e->dtype || a->count != e->count) {
        snprintf(why, size, "%s of %zu, expected %s of %zu", ox_dtype_name(a->dtype), a->count,
                 ox_dtype_name(e->dtype), e->count);
        return false;
    }
    for (size_t i = 0; i < e->count; i++) {
        char text[260];
        if (conf_compare(text, sizeof text, ox_tensor_item(a, i), ox_tensor_item(e, i), rtol, atol,
                         values))
            continue;
        snprintf(why, size, "item %zu: %s", i, text);
        return false;
    }
    return true;
}

bool conf_compare(char *why, size_t size, const ox_tensor *a, const ox_tensor *e, double rtol,
                  double atol, bool values) {
    if (is_list(a) || is_list(e)) return lists(why, size, a, e, rtol, atol, values);
    bool as_bits = a->dtype == OX_BFLOAT16 && e->dtype == OX_UINT16;
    bool same = (a->dtype == e->dtype || as_bits) && a->rank == e->rank;
    for (int i = 0; same && i < e->rank; i++)
        same = a->dims[i] == e->dims[i];
    if (!same) {
        char x[160], y[160];
        shape_text(x, sizeof x, a);
        shape_text(y, sizeof y, e);
        snprintf(why, size, "%s, expected %s", x, y);
        return false;
    }
    if (!values) return true;
    if (as_bits) return recorded_bits(why, size, a, e, rtol, atol);
    if (e->dtype == OX_STRING) return strings(why, size, a, e);
    if (e->dtype == OX_COMPLEX64 || e->dtype == OX_COMPLEX128)
        return complexes(why, size, a, e, rtol, atol);
    if (ox_dtype_is_float(e->dtype)) return floats(why, size, a, e, rtol, atol);
    return integers(why, size, a, e);
}
