/* ir/base/dim_priv.h - expressions behind symbolic dims: shared by the files dim*.c only.
 *
 * An expression is interned: a sum (what ox_dim.e points to) or an atom (what a sum's terms
 * multiply). Everything is bounded when it is made: terms, degree, nesting and total weight, so
 * that no walk over an expression is long or deep, whatever a file asks for.
 */
#ifndef OX_IR_BASE_DIM_PRIV_H
#define OX_IR_BASE_DIM_PRIV_H

#include "ir/base/dim.h"

enum ox_expr_kind {
    OX_EXPR_SUM,
    OX_EXPR_SYMBOL,
    OX_EXPR_UNKNOWN,     /* >= 0 */
    OX_EXPR_UNKNOWN_INT, /* any sign */
    OX_EXPR_FLOORDIV,
    OX_EXPR_MOD,
    OX_EXPR_MIN,
    OX_EXPR_MAX
};

#define OX_DIM_MAX_TERMS 64
#define OX_DIM_MAX_DEGREE 8
#define OX_DIM_MAX_DEPTH 12
#define OX_DIM_MAX_WEIGHT 512 /* atoms and terms of the expression written out in full */

/* coef * atoms[0] * atoms[1] ...; atoms ascend by id, a power is a repetition. */
struct ox_term {
    int64_t coef; /* never 0 */
    uint32_t degree;
    const struct ox_expr *atoms[OX_DIM_MAX_DEGREE];
};

#define OX_DIM_NO_LO INT64_MIN
#define OX_DIM_NO_HI INT64_MAX

struct ox_expr {
    enum ox_expr_kind kind;
    uint32_t hash;
    uint32_t id;     /* order of creation: makes term order independent of addresses */
    uint32_t number; /* unknowns */
    uint32_t depth, weight;
    bool known; /* no unnamed unknown inside */
    int64_t lo, hi;
    ox_name name; /* symbol */
    ox_dim a, b;  /* floordiv, mod, min, max */
    size_t n;     /* sum: terms, descending in the order of ox_term_cmp */
    struct ox_term terms[];
};

/* A sum in the making, with its constant. */
struct ox_poly {
    int64_t k;
    size_t n;
    struct ox_term terms[OX_DIM_MAX_TERMS];
};

/* Graded lexicographic order, larger first: an order that multiplication keeps, as division needs.
 */
int ox_term_cmp(const struct ox_term *a, const struct ox_term *b);
void ox_poly_set(struct ox_poly *p, ox_dim d);
/* These return false on overflow or when a bound is exceeded; then *p is unspecified. */
bool ox_poly_add_term(struct ox_poly *p, int64_t coef, const struct ox_term *monomial);
bool ox_poly_add(struct ox_poly *p, const struct ox_poly *q, int64_t scale);
bool ox_poly_mul(struct ox_poly *p, const struct ox_poly *a, const struct ox_poly *b);
bool ox_term_mul(struct ox_term *out, const struct ox_term *a, const struct ox_term *b);
/* out = a / b where every atom of b is in a (coefficients are left alone). */
bool ox_term_div(struct ox_term *out, const struct ox_term *a, const struct ox_term *b);

/* Interval of values; OX_DIM_NO_LO and OX_DIM_NO_HI stand for no bound. */
void ox_poly_range(int64_t *lo, int64_t *hi, const struct ox_poly *p);
void ox_term_range(int64_t *lo, int64_t *hi, const struct ox_term *t); /* with its coefficient */
void ox_dim_range(int64_t *lo, int64_t *hi, ox_dim d);
/* Interval of floor(a / b), a and b within theirs; where b = 0 is possible nothing is claimed for
 * it. */
void ox_range_floordiv(int64_t *lo, int64_t *hi, int64_t alo, int64_t ahi, int64_t blo,
                       int64_t bhi);
/* True only if p >= 0 follows for all values of its symbols. */
bool ox_poly_nonneg(const struct ox_poly *p);

/* The dim of a polynomial; an unknown where it is too heavy. */
OX_MUST_USE ox_status ox_dim_of_poly(ox_dim *out, struct ox_dims *dims, const struct ox_poly *p);
/* The dim that is one atom of kind floordiv, mod, min or max; an unknown where it is too heavy. */
OX_MUST_USE ox_status ox_dim_atom(ox_dim *out, struct ox_dims *dims, enum ox_expr_kind kind,
                                  ox_dim a, ox_dim b);
/* A fresh unknown that is >= 0 only if so told. */
OX_MUST_USE ox_status ox_dim_give_up(ox_dim *out, struct ox_dims *dims, bool nonneg);

/* floor(a / b) and a mod b for b > 0. a must not be INT64_MIN / -1. */
static inline int64_t ox_floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
static inline int64_t ox_floor_mod(int64_t a, int64_t b) {
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

#endif
