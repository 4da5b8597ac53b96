/* ir/base/dim.c - arithmetic on dims: what simplifies, and what is known of signs. See dim.h.
 *
 * Identities used (a, b, c, q, r integers, c > 0; floor division):
 *   floor((q*b + r) / b) = q + floor(r / b)          floor(g*a / (g*b)) = floor(a / b)
 *   floor((floor(a/c) + r) / b) = floor((a + c*r) / (b*c)), b > 0
 *   ceil(a / b) = floor((a + b - 1) / b), b > 0      (g*a + r) mod (g*c) = g*((a + floor(r/g)) mod
 * c) + r mod g min(a + c, b + c) = min(a, b) + c, likewise max
 */
#include "ir/base/dim_priv.h"

/* ---- sums and products ----------------------------------------------------------------------- */

static bool both_nonneg(ox_dim a, ox_dim b) {
    return ox_dim_ge(a, 0) && ox_dim_ge(b, 0);
}

ox_status ox_dim_add(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    int64_t k;
    if ((!a.e || !b.e) && !ox_add_i64(&k, a.k, b.k)) { /* a constant needs no new expression */
        *out = (ox_dim){k, a.e ? a.e : b.e};
        return OX_OK;
    }
    struct ox_poly p, q;
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    if (!ox_poly_add(&p, &q, 1)) return ox_dim_give_up(out, dims, both_nonneg(a, b));
    return ox_dim_of_poly(out, dims, &p);
}

ox_status ox_dim_sub(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    struct ox_poly p, q;
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    if (!ox_poly_add(&p, &q, -1)) return ox_dim_give_up(out, dims, false);
    return ox_dim_of_poly(out, dims, &p);
}

ox_status ox_dim_mul(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    struct ox_poly p, q, product;
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    if (!ox_poly_mul(&product, &p, &q)) return ox_dim_give_up(out, dims, both_nonneg(a, b));
    return ox_dim_of_poly(out, dims, &product);
}

/* ---- division -------------------------------------------------------------------------------- */

static const struct ox_term one_term; /* the empty monomial */

static uint64_t magnitude(int64_t v) {
    return v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
}

static uint64_t gcd_u64(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static uint64_t terms_gcd(const struct ox_poly *p, uint64_t g) {
    for (size_t i = 0; i < p->n; i++)
        g = gcd_u64(g, magnitude(p->terms[i].coef));
    return g;
}

/* Divides every coefficient by g > 0, which divides those of the terms; the constant is floored. */
static void divide_content(struct ox_poly *p, int64_t g) {
    for (size_t i = 0; i < p->n; i++)
        p->terms[i].coef /= g;
    p->k = ox_floor_div(p->k, g);
}

/* r = q*b + (new r), taking from each term of r as much as the leading term of b allows.
 * b's leading coefficient is positive. False: overflow, or too many steps. */
static bool divide(struct ox_poly *q, struct ox_poly *r, const struct ox_poly *b) {
    struct ox_term lead = b->n ? b->terms[0] : one_term, t;
    int64_t lead_coef = b->n ? lead.coef : b->k;
    size_t i = 0;
    q->n = 0;
    q->k = 0;
    for (int steps = 0; i < r->n && steps < 4 * OX_DIM_MAX_TERMS; steps++) {
        int64_t c = ox_floor_div(r->terms[i].coef, lead_coef);
        if (c == 0 || !ox_term_div(&t, &r->terms[i], &lead)) {
            i++;
            continue;
        }
        int64_t taken;
        if (ox_mul_i64(&taken, c, lead_coef)) return false;
        bool gone = r->terms[i].coef == taken;
        t.coef = c;
        if (!ox_poly_add_term(q, c, &t)) return false;
        for (size_t j = 0; j <= b->n; j++) {
            struct ox_term s = j < b->n ? b->terms[j] : one_term;
            int64_t minus;
            if (j == b->n) s.coef = b->k;
            if (s.coef == 0) continue;
            if (!ox_term_mul(&s, &s, &t) || ox_mul_i64(&minus, s.coef, -1)) return false;
            if (!ox_poly_add_term(r, minus, &s)) return false;
        }
        if (!gone) i++;
    }
    if (i < r->n) return false;
    if (b->n == 0) {
        int64_t c = ox_floor_div(r->k, lead_coef);
        r->k = ox_floor_mod(r->k, lead_coef);
        if (ox_add_i64(&q->k, q->k, c)) return false;
    }
    return true;
}

static void negate(struct ox_poly *p) {
    p->k = -p->k;
    for (size_t i = 0; i < p->n; i++)
        p->terms[i].coef = -p->terms[i].coef;
}

/* True if negating would overflow. */
static bool has_int_min(const struct ox_poly *p) {
    bool found = p->k == INT64_MIN;
    for (size_t i = 0; i < p->n; i++)
        found = found || p->terms[i].coef == INT64_MIN;
    return found;
}

/* The largest monomial that divides all terms of both; empty where one of them has a constant. */
static struct ox_term common_monomial(const struct ox_poly *a, const struct ox_poly *b) {
    struct ox_term common = {0};
    if (a->k || b->k || a->n == 0 || b->n == 0) return common;
    common = b->terms[0];
    for (size_t i = 0; i < a->n + b->n; i++) {
        const struct ox_term *t = i < a->n ? &a->terms[i] : &b->terms[i - a->n];
        uint32_t kept = 0;
        for (uint32_t j = 0, l = 0; j < common.degree && l < t->degree;) {
            if (common.atoms[j] == t->atoms[l]) {
                common.atoms[kept++] = common.atoms[j++];
                l++;
            } else if (common.atoms[j]->id < t->atoms[l]->id) {
                j++;
            } else {
                l++;
            }
        }
        common.degree = kept;
    }
    return common;
}

static void divide_monomial(struct ox_poly *p, const struct ox_term *m) {
    struct ox_poly r = {.k = p->k};
    for (size_t i = 0; i < p->n; i++) {
        struct ox_term t;
        int64_t coef = p->terms[i].coef;
        if (ox_term_div(&t, &p->terms[i], m))
            (void)ox_poly_add_term(&r, coef, &t); /* no new terms */
    }
    *p = r;
}

/* Divides a and b by what both have in common: floor(a / b) stays, b's sign too. */
static void cancel(struct ox_poly *a, struct ox_poly *b) {
    uint64_t g = gcd_u64(terms_gcd(a, magnitude(a->k)), terms_gcd(b, magnitude(b->k)));
    if (g > 1 && g <= INT64_MAX) {
        divide_content(a, (int64_t)g);
        divide_content(b, (int64_t)g);
    }
    struct ox_term m = common_monomial(a, b);
    if (m.degree) {
        divide_monomial(a, &m);
        divide_monomial(b, &m);
    }
}

/* floor((floor(x/c) + rest) / b) to floor((x + c*rest) / (b*c)), where a has exactly one such
 * quotient. True if it was done. */
static bool unnest(struct ox_poly *a, struct ox_poly *b) {
    const struct ox_expr *found = NULL;
    if (b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        for (uint32_t j = 0; j < a->terms[i].degree; j++) {
            const struct ox_expr *atom = a->terms[i].atoms[j];
            if (atom->kind != OX_EXPR_FLOORDIV) continue;
            bool alone = a->terms[i].degree == 1 && a->terms[i].coef == 1;
            if (found || !alone || atom->b.e || atom->b.k <= 0) return false;
            found = atom;
        }
    }
    if (!found) return false;
    struct ox_poly p;
    struct ox_term t = {.coef = 1, .degree = 1, .atoms = {found}};
    int64_t scale = found->b.k, bc;
    ox_poly_set(&p, found->a);
    if (!ox_poly_add_term(a, -1, &t)) return false;
    if (ox_mul_i64(&bc, b->k, scale) || !ox_poly_add(&p, a, scale)) {
        (void)ox_poly_add_term(a, 1, &t); /* as it was */
        return false;
    }
    *a = p;
    b->k = bc;
    return true;
}

/* 0 <= a < b, proved. */
static bool below(const struct ox_poly *a, const struct ox_poly *b) {
    struct ox_poly d = *b;
    if (!ox_poly_nonneg(a) || !ox_poly_add(&d, a, -1)) return false;
    return !ox_add_i64(&d.k, d.k, -1) && ox_poly_nonneg(&d);
}

/* True if the interval of floor(a / b) is one number. */
static bool one_quotient(int64_t *q, const struct ox_poly *a, const struct ox_poly *b) {
    int64_t alo, ahi, blo, bhi, lo, hi;
    ox_poly_range(&alo, &ahi, a);
    ox_poly_range(&blo, &bhi, b);
    ox_range_floordiv(&lo, &hi, alo, ahi, blo, bhi);
    *q = lo;
    if (lo == hi) return true;
    *q = 0;
    return below(a, b);
}

/* Brings a to a remainder and adds the quotient to *whole. False: overflow. Sets *done where
 * nothing remains. `a` and `b` are the numerator and denominator still to be divided afterwards. */
static bool reduce(struct ox_poly *whole, struct ox_poly *a, struct ox_poly *b, bool *done) {
    struct ox_poly q, r;
    *done = false;
    for (int round = 0; round < 2 * OX_DIM_MAX_DEPTH; round++) {
        cancel(a, b);
        r = *a;
        bool monomial = b->n + (b->k != 0) == 1;
        /* By a sum only what comes out even: partial quotients would make the expression longer. */
        if (divide(&q, &r, b) && (monomial || (r.n == 0 && r.k == 0))) {
            if (!ox_poly_add(whole, &q, 1)) return false;
            *a = r;
        }
        if (a->n == 0 && a->k == 0) {
            *done = true;
            return true;
        }
        if (b->n == 0) { /* only the terms count: floor absorbs the constant */
            uint64_t g = terms_gcd(a, magnitude(b->k));
            if (g > 1 && g <= INT64_MAX) {
                divide_content(a, (int64_t)g);
                b->k /= (int64_t)g;
                if (b->k == 1) continue;
            }
        } else {
            cancel(a, b);
            if (b->n == 0) continue;
        }
        if (!unnest(a, b)) break;
    }
    int64_t c;
    if (one_quotient(&c, a, b)) {
        *done = true;
        return !ox_add_i64(&whole->k, whole->k, c);
    }
    return true;
}

ox_status ox_dim_floordiv(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    struct ox_poly p, q, whole = {.k = 0};
    bool nonneg = both_nonneg(a, b), done;
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    if ((q.n == 0 && q.k == 0) || has_int_min(&p) || has_int_min(&q))
        return ox_dim_give_up(out, dims, nonneg);
    if ((q.n ? q.terms[0].coef : q.k) < 0) {
        negate(&p);
        negate(&q);
    }
    if (!reduce(&whole, &p, &q, &done)) return ox_dim_give_up(out, dims, nonneg);
    ox_dim w, rest;
    OX_TRY(ox_dim_of_poly(&w, dims, &whole));
    if (done) {
        *out = w;
        return OX_OK;
    }
    OX_TRY(ox_dim_of_poly(&a, dims, &p));
    OX_TRY(ox_dim_of_poly(&b, dims, &q));
    OX_TRY(ox_dim_atom(&rest, dims, OX_EXPR_FLOORDIV, a, b));
    return ox_dim_add(out, dims, w, rest);
}

ox_status ox_dim_ceildiv(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    if (!b.e && b.k < 0 && b.k != INT64_MIN) {
        OX_TRY(ox_dim_sub(&a, dims, ox_dim_const(0), a));
        b.k = -b.k;
    }
    if (ox_dim_ge(b, 1)) {
        ox_dim sum;
        OX_TRY(ox_dim_add(&sum, dims, a, b));
        OX_TRY(ox_dim_add(&sum, dims, sum, ox_dim_const(-1)));
        return ox_dim_floordiv(out, dims, sum, b);
    }
    /* The sign of b is open: ceil(a/b) = -floor(-a/b) holds for both. */
    OX_TRY(ox_dim_sub(&a, dims, ox_dim_const(0), a));
    OX_TRY(ox_dim_floordiv(&a, dims, a, b));
    return ox_dim_sub(out, dims, ox_dim_const(0), a);
}

ox_status ox_dim_mod(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    struct ox_poly p, q, unused;
    bool nonneg = both_nonneg(a, b);
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    if ((q.n == 0 && q.k == 0) || has_int_min(&p) || has_int_min(&q))
        return ox_dim_give_up(out, dims, nonneg);
    bool negative = (q.n ? q.terms[0].coef : q.k) < 0;
    if (negative) { /* a mod b = -(-a mod -b) */
        negate(&p);
        negate(&q);
    }
    struct ox_poly r = p;
    bool monomial = q.n + (q.k != 0) == 1;
    if (divide(&unused, &r, &q) && (monomial || (r.n == 0 && r.k == 0))) p = r;
    /* The constant may be split only where the divisor is known to be positive. */
    uint64_t g = terms_gcd(&q, terms_gcd(&p, magnitude(q.k)));
    if (q.n && !ox_poly_nonneg(&q)) g = gcd_u64(g, magnitude(p.k));
    int64_t scale = 1, offset = 0, c;
    if (g > 1 && g <= INT64_MAX) {
        scale = (int64_t)g;
        offset = ox_floor_mod(p.k, scale);
        divide_content(&p, scale);
        divide_content(&q, scale);
    }
    ox_dim rest;
    OX_TRY(ox_dim_of_poly(&a, dims, &p));
    OX_TRY(ox_dim_of_poly(&b, dims, &q));
    if (one_quotient(&c, &p, &q)) {
        OX_TRY(ox_dim_mul(&rest, dims, b, ox_dim_const(c)));
        OX_TRY(ox_dim_sub(&rest, dims, a, rest));
    } else {
        OX_TRY(ox_dim_atom(&rest, dims, OX_EXPR_MOD, a, b));
    }
    OX_TRY(ox_dim_mul(&rest, dims, rest, ox_dim_const(negative ? -scale : scale)));
    return ox_dim_add(out, dims, rest, ox_dim_const(negative ? -offset : offset));
}

/* ---- minimum and maximum --------------------------------------------------------------------- */

/* a - b >= 0, proved. */
static bool not_less(ox_dim a, ox_dim b) {
    struct ox_poly p, q;
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    return ox_poly_add(&p, &q, -1) && ox_poly_nonneg(&p);
}

/* The operand that is the extremum, if one is known to be; else NULL. */
static const ox_dim *winner(enum ox_expr_kind kind, const ox_dim *a, const ox_dim *b) {
    if (not_less(*a, *b)) return kind == OX_EXPR_MAX ? a : b;
    if (not_less(*b, *a)) return kind == OX_EXPR_MAX ? b : a;
    return NULL;
}

/* Is d the atom extremum(x, y) + k? Then its operands, k added. */
static bool is_extremum(enum ox_expr_kind kind, ox_dim d, ox_dim *x, ox_dim *y) {
    if (!d.e || d.e->n != 1) return false;
    const struct ox_term *t = &d.e->terms[0];
    if (t->coef != 1 || t->degree != 1 || t->atoms[0]->kind != kind) return false;
    *x = t->atoms[0]->a;
    *y = t->atoms[0]->b;
    return !ox_add_i64(&x->k, x->k, d.k) && !ox_add_i64(&y->k, y->k, d.k);
}

/* extremum(extremum(x, y), b) to extremum(w, rest) where b and one of x, y can be compared. */
static bool flatten(enum ox_expr_kind kind, ox_dim *a, ox_dim *b) {
    ox_dim x, y;
    const ox_dim *w;
    if (!is_extremum(kind, *a, &x, &y)) return false;
    if ((w = winner(kind, &x, b)) != NULL) {
        *a = *w;
        *b = y;
        return true;
    }
    if ((w = winner(kind, &y, b)) != NULL) {
        *a = *w;
        *b = x;
        return true;
    }
    return false;
}

/* The atom in its one form: constant or younger operand second, common offset and factor outside.
 */
static ox_status extremum_atom(ox_dim *out, struct ox_dims *dims, enum ox_expr_kind kind, ox_dim a,
                               ox_dim b) {
    if (!a.e || (b.e && b.e->id < a.e->id)) {
        ox_dim t = a;
        a = b;
        b = t;
    }
    struct ox_poly p, q;
    int64_t offset = a.k, scale = 1;
    ox_poly_set(&p, a);
    ox_poly_set(&q, b);
    p.k = 0;
    if (__builtin_sub_overflow(q.k, offset, &q.k))
        return ox_dim_give_up(out, dims, both_nonneg(a, b));
    uint64_t g = terms_gcd(&q, terms_gcd(&p, magnitude(q.k)));
    if (g > 1 && g <= INT64_MAX) {
        scale = (int64_t)g;
        divide_content(&p, scale);
        divide_content(&q, scale);
    }
    OX_TRY(ox_dim_of_poly(&a, dims, &p));
    OX_TRY(ox_dim_of_poly(&b, dims, &q));
    OX_TRY(ox_dim_atom(&a, dims, kind, a, b));
    OX_TRY(ox_dim_mul(&a, dims, a, ox_dim_const(scale)));
    return ox_dim_add(out, dims, a, ox_dim_const(offset));
}

static ox_status extremum(ox_dim *out, struct ox_dims *dims, enum ox_expr_kind kind, ox_dim a,
                          ox_dim b) {
    for (int round = 0; round < 2 * OX_DIM_MAX_DEPTH; round++) {
        const ox_dim *w = winner(kind, &a, &b);
        if (w) {
            *out = *w;
            return OX_OK;
        }
        if (!flatten(kind, &a, &b) && !flatten(kind, &b, &a)) break;
    }
    return extremum_atom(out, dims, kind, a, b);
}

ox_status ox_dim_min(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return extremum(out, dims, OX_EXPR_MIN, a, b);
}

ox_status ox_dim_max(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b) {
    return extremum(out, dims, OX_EXPR_MAX, a, b);
}
