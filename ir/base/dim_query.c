/* ir/base/dim_query.c - what can be asked of a dim: sign, name, text, value. See dim.h.
 *
 * Recursion here follows the nesting of quotients, remainders and extrema, which is bounded by
 * OX_DIM_MAX_DEPTH and OX_DIM_MAX_WEIGHT when an expression is made.
 */
#include "ir/base/dim_priv.h"

#include "ir/base/text_buf.h"
#include <stdio.h>

/* ---- signs ----------------------------------------------------------------------------------- */

/* P / scale <= the number in question, scale = slack + 1: that number is an integer, so P >= -slack
 * is enough for it to be >= 0. `budget` bounds the substitutions of one question. */
struct proof {
    struct ox_poly p;
    int64_t slack;
};

static bool prove(const struct proof *s, int depth, int *budget);

/* The term at i without its atom at j. */
static struct ox_term without(const struct ox_term *t, uint32_t j) {
    struct ox_term rest = *t;
    rest.degree--;
    memmove(&rest.atoms[j], &rest.atoms[j + 1], (rest.degree - j) * sizeof *rest.atoms);
    return rest;
}

/* next = scale * s with the term at i taken away and rest * value in its place. */
static bool substitute(struct proof *next, const struct proof *s, size_t i,
                       const struct ox_term *rest, const struct ox_poly *value, int64_t scale) {
    struct ox_poly zero = {.k = 0}, factor = {.n = 1, .terms = {*rest}}, product;
    int64_t minus, slack;
    if (rest->degree == 0) factor = (struct ox_poly){.k = rest->coef};
    next->p = zero;
    if (!ox_poly_add(&next->p, &s->p, scale)) return false;
    if (ox_mul_i64(&minus, s->p.terms[i].coef, scale) || ox_mul_i64(&minus, minus, -1))
        return false;
    if (!ox_poly_add_term(&next->p, minus, &s->p.terms[i])) return false;
    if (!ox_poly_mul(&product, &factor, value) || !ox_poly_add(&next->p, &product, 1)) return false;
    if (ox_add_i64(&slack, s->slack, 1) || ox_mul_i64(&slack, slack, scale)) return false;
    next->slack = slack - 1;
    return true;
}

/* c * floor(x / c) lies in [x - c + 1, x]: the end that makes the whole least. */
static bool try_quotient(const struct proof *s, size_t i, const struct ox_term *rest,
                         const struct ox_expr *atom, int depth, int *budget) {
    struct proof next;
    struct ox_poly value;
    if (atom->b.e || atom->b.k <= 0) return false;
    ox_poly_set(&value, atom->a);
    if (rest->coef > 0 && ox_add_i64(&value.k, value.k, 1 - atom->b.k)) return false;
    return substitute(&next, s, i, rest, &value, atom->b.k) && prove(&next, depth, budget);
}

/* An extremum is one of its operands; where the bound it gives helps, either operand will do. */
static bool try_extremum(const struct proof *s, size_t i, const struct ox_term *rest,
                         const struct ox_expr *atom, int depth, int *budget) {
    struct proof next;
    struct ox_poly value;
    bool either = (rest->coef < 0) == (atom->kind == OX_EXPR_MIN);
    ox_poly_set(&value, atom->a);
    bool first = substitute(&next, s, i, rest, &value, 1) && prove(&next, depth, budget);
    if (first == either) return first;
    ox_poly_set(&value, atom->b);
    return substitute(&next, s, i, rest, &value, 1) && prove(&next, depth, budget);
}

static bool prove(const struct proof *s, int depth, int *budget) {
    int64_t lo, hi;
    ox_poly_range(&lo, &hi, &s->p);
    if (lo != OX_DIM_NO_LO && lo >= -s->slack) return true;
    if (hi != OX_DIM_NO_HI && hi < -s->slack) return false;
    for (size_t i = 0; depth > 0 && i < s->p.n; i++) {
        for (uint32_t j = 0; j < s->p.terms[i].degree; j++) {
            const struct ox_expr *atom = s->p.terms[i].atoms[j];
            if (atom->kind < OX_EXPR_FLOORDIV || atom->kind == OX_EXPR_MOD) continue;
            struct ox_term rest = without(&s->p.terms[i], j), positive = rest;
            positive.coef = 1;
            ox_term_range(&lo, &hi, &positive);
            if (lo < 0) continue;
            if (--*budget < 0) return false;
            bool proved = atom->kind == OX_EXPR_FLOORDIV
                              ? try_quotient(s, i, &rest, atom, depth - 1, budget)
                              : try_extremum(s, i, &rest, atom, depth - 1, budget);
            if (proved) return true;
        }
    }
    return false;
}

bool ox_poly_nonneg(const struct ox_poly *p) {
    struct proof s = {.p = *p, .slack = 0};
    int budget = 32;
    return prove(&s, 4, &budget);
}

bool ox_dim_ge(ox_dim a, int64_t bound) {
    int64_t lo, hi;
    if (!a.e) return a.k >= bound;
    ox_dim_range(&lo, &hi, a);
    if (lo >= bound) return true;
    if (hi < bound) return false;
    struct ox_poly p;
    ox_poly_set(&p, a);
    return !__builtin_sub_overflow(p.k, bound, &p.k) && ox_poly_nonneg(&p);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The atom that the dim is, and nothing else; or NULL. */
static const struct ox_expr *lone_atom(ox_dim d) {
    if (!d.e || d.k != 0 || d.e->n != 1) return NULL;
    const struct ox_term *t = &d.e->terms[0];
    return t->coef == 1 && t->degree == 1 ? t->atoms[0] : NULL;
}

ox_name ox_dim_name(ox_dim d) {
    const struct ox_expr *atom = lone_atom(d);
    return atom && atom->kind == OX_EXPR_SYMBOL ? atom->name : NULL;
}

int64_t ox_dim_unnamed(ox_dim d) {
    const struct ox_expr *atom = lone_atom(d);
    return atom && (atom->kind == OX_EXPR_UNKNOWN || atom->kind == OX_EXPR_UNKNOWN_INT)
               ? (int64_t)atom->number
               : -1;
}

bool ox_dim_is_known(ox_dim d) {
    return !d.e || d.e->known;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_number(struct ox_text_buf *t, uint64_t v) {
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)v);
    ox_text_buf_put(t, digits);
}

static uint64_t magnitude(int64_t v) {
    return v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
}

static void put_dim(struct ox_text_buf *t, ox_dim d);

static void put_atom(struct ox_text_buf *t, const struct ox_expr *atom) {
    static const char *const call[] = {[OX_EXPR_FLOORDIV] = "floor(",
                                       [OX_EXPR_MOD] = "mod(",
                                       [OX_EXPR_MIN] = "min(",
                                       [OX_EXPR_MAX] = "max("};
    if (atom->kind == OX_EXPR_SYMBOL) {
        ox_text_buf_put(t, ox_name_text(atom->name));
        return;
    }
    if (atom->kind < OX_EXPR_FLOORDIV) {
        ox_text_buf_put(t, "?");
        put_number(t, atom->number);
        return;
    }
    bool quotient = atom->kind == OX_EXPR_FLOORDIV;
    bool wrap_a = quotient && atom->a.e && (atom->a.k != 0 || atom->a.e->n > 1);
    bool wrap_b = quotient && atom->b.e &&
                  (atom->b.k != 0 || atom->b.e->n > 1 || atom->b.e->terms[0].coef != 1 ||
                   atom->b.e->terms[0].degree > 1);
    ox_text_buf_put(t, call[atom->kind]);
    ox_text_buf_put(t, wrap_a ? "(" : "");
    put_dim(t, atom->a);
    ox_text_buf_put(t, wrap_a ? ")" : "");
    ox_text_buf_put(t, quotient ? "/" : ", ");
    ox_text_buf_put(t, wrap_b ? "(" : "");
    put_dim(t, atom->b);
    ox_text_buf_put(t, wrap_b ? ")" : "");
    ox_text_buf_put(t, ")");
}

static void put_sign(struct ox_text_buf *t, bool first, bool negative) {
    ox_text_buf_put(t, first ? (negative ? "-" : "") : (negative ? " - " : " + "));
}

static void put_dim(struct ox_text_buf *t, ox_dim d) {
    size_t n = d.e ? d.e->n : 0;
    for (size_t i = 0; i < n; i++) {
        const struct ox_term *term = &d.e->terms[i];
        uint64_t coef = magnitude(term->coef);
        put_sign(t, i == 0, term->coef < 0);
        if (coef != 1) put_number(t, coef);
        for (uint32_t j = 0; j < term->degree; j++) {
            if (j > 0 || coef != 1) ox_text_buf_put(t, "*");
            put_atom(t, term->atoms[j]);
        }
    }
    if (n == 0 || d.k != 0) {
        put_sign(t, n == 0, d.k < 0);
        put_number(t, magnitude(d.k));
    }
}

size_t ox_dim_print(char *buf, size_t size, ox_dim d) {
    struct ox_text_buf t = {buf, size, 0};
    put_dim(&t, d);
    return ox_text_buf_end(&t);
}

/* ---- values ---------------------------------------------------------------------------------- */

typedef bool (*value_fn)(void *user, ox_name name, int64_t *out);

static bool eval_atom(int64_t *out, const struct ox_expr *atom, value_fn value, void *user) {
    int64_t a, b;
    if (atom->kind == OX_EXPR_SYMBOL) return value(user, atom->name, out);
    if (atom->kind < OX_EXPR_FLOORDIV) return false;
    if (!ox_dim_eval(&a, atom->a, value, user) || !ox_dim_eval(&b, atom->b, value, user))
        return false;
    if (atom->kind == OX_EXPR_MIN) {
        *out = a < b ? a : b;
    } else if (atom->kind == OX_EXPR_MAX) {
        *out = a > b ? a : b;
    } else {
        if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
        *out = atom->kind == OX_EXPR_FLOORDIV ? ox_floor_div(a, b) : ox_floor_mod(a, b);
    }
    return true;
}

bool ox_dim_eval(int64_t *out, ox_dim d, value_fn value, void *user) {
    int64_t sum = d.k;
    for (size_t i = 0; d.e && i < d.e->n; i++) {
        const struct ox_term *t = &d.e->terms[i];
        int64_t product = t->coef, v;
        for (uint32_t j = 0; j < t->degree; j++)
            if (!eval_atom(&v, t->atoms[j], value, user) || ox_mul_i64(&product, product, v))
                return false;
        if (ox_add_i64(&sum, sum, product)) return false;
    }
    *out = sum;
    return true;
}
