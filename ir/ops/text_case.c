/* ir/ops/text_case.c - see text_case.h. The tables are made by tools/make_case_table.py. */
#include "ir/ops/text_case.h"

struct case_run { /* characters first, first + step, ... last become themselves + distance */
    int32_t first, last, step, distance;
};
struct case_long { /* one that becomes two or three; the third may be 0 */
    int32_t from, first, second, third;
};
struct case_range {
    int32_t first, last;
};
#include "ir/ops/case_table.inc"

#define COUNT(table) (sizeof table / sizeof *(table))
enum { SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2 };

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

int32_t ox_utf8_next(struct ox_str text, size_t *at) {
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text.ptr + *at;
    size_t left = text.len - *at, n = *p < 0x80   ? 1
                                      : *p < 0xc2 ? 0
                                      : *p < 0xe0 ? 2
                                      : *p < 0xf0 ? 3
                                      : *p < 0xf5 ? 4
                                                  : 0;
    int32_t c = n == 1 ? *p : (int32_t)(*p & (0x7fu >> n));
    bool ok = n > 0 && n <= left;
    for (size_t i = 1; ok && i < n; i++) {
        ok = (p[i] & 0xc0) == 0x80;
        c = c << 6 | (p[i] & 0x3f);
    }
    ok = ok && c >= least[n] && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
    *at += ok ? n : 1;
    return ok ? c : -1;
}

static size_t put(char *to, int32_t c) {
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (!to) return n;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)(n == 1 ? c : (0xf00 >> n & 0xff) | c);
    return n;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static int32_t in_runs(const struct case_run *runs, size_t n, int32_t c) {
    size_t low = 0;
    while (n > 0) { /* the first run that does not end in front of c */
        size_t half = n / 2;
        if (runs[low + half].last < c) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    const struct case_run *r = &runs[low];
    return c >= r->first && c <= r->last && (c - r->first) % r->step == 0 ? c + r->distance : c;
}

static bool in_ranges(const struct case_range *ranges, size_t n, int32_t c) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ranges[mid].last < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && c >= ranges[low].first;
}

static const struct case_long *in_longs(const struct case_long *longs, size_t n, int32_t c) {
    for (size_t i = 0; i < n; i++)
        if (longs[i].from == c) return &longs[i];
    return NULL;
}

/* ---- the end of a word ----------------------------------------------------------------------- */

static bool is_cased(int32_t c) {
    return in_ranges(cased, COUNT(cased), c);
}
static bool is_ignorable(int32_t c) {
    return in_ranges(ignorable, COUNT(ignorable), c);
}

/* A letter in front of it, none behind, each time looking through marks and the like. */
static bool ends_word(struct ox_str text, size_t begin, size_t end) {
    bool before = false;
    for (size_t at = begin; at > 0;) {
        size_t start = at - 1, next;
        while (start > 0 && at - start < 4 && ((unsigned char)text.ptr[start] & 0xc0) == 0x80)
            start--;
        next = start;
        int32_t c = ox_utf8_next(text, &next);
        at = start;
        if (is_ignorable(c)) continue;
        before = is_cased(c);
        break;
    }
    while (before && end < text.len) {
        int32_t c = ox_utf8_next(text, &end);
        if (!is_ignorable(c)) return !is_cased(c);
    }
    return before;
}

static size_t change(char *to, int32_t c, bool upper) {
    const struct case_long *l = upper ? in_longs(to_upper_long, COUNT(to_upper_long), c)
                                      : in_longs(to_lower_long, COUNT(to_lower_long), c);
    size_t n = 0;
    if (!l)
        return put(to, upper ? in_runs(to_upper, COUNT(to_upper), c)
                             : in_runs(to_lower, COUNT(to_lower), c));
    const int32_t parts[] = {l->first, l->second, l->third};
    for (size_t i = 0; i < 3 && parts[i]; i++)
        n += put(to ? to + n : NULL, parts[i]);
    return n;
}

size_t ox_text_change_case(char *to, struct ox_str text, enum ox_text_case which) {
    size_t n = 0;
    for (size_t at = 0, start = 0; at < text.len; start = at) {
        char *here = to ? to + n : NULL;
        int32_t c = ox_utf8_next(text, &at);
        if (c < 0 || which == OX_CASE_NONE) {
            if (here) memcpy(here, text.ptr + start, at - start);
            n += at - start;
        } else if (c == SIGMA && which == OX_CASE_LOWER && ends_word(text, start, at)) {
            n += put(here, FINAL_SIGMA);
        } else if (c < 0x80) { /* most text, without tables */
            bool turns = which == OX_CASE_UPPER ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
            if (here) *here = (char)(turns ? c ^ 0x20 : c);
            n++;
        } else {
            n += change(here, c, which == OX_CASE_UPPER);
        }
    }
    return n;
}
