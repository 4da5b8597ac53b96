/* passes/simplify/algebra.c - fewer or cheaper element-wise operators by the laws of arithmetic.
 *
 * Rules are exact unless their comment gives a bound. Relu(v) is max(v, 0) and Clip(v, lo, hi) is
 * min(max(v, lo), hi), so chains of them are one Clip whose bounds follow from the lattice laws;
 * NaN goes through all of them alike. */
#include "ir/ops/params.h"
#include "passes/rules/consts.h"
#include "passes/rules/rule.h"

#include <math.h>
#include <stdlib.h>

/* ---- chains of Relu and Clip -------------------------------------------------------------------
 */

struct bounds {
    double lo, hi;
};

/* Bounds of a Clip or Relu, infinite where it has none. False: not constant. */
static ox_status bounds_of(bool *known, struct bounds *out, struct ox_match *m, const char *node) {
    struct ox_clip_params p;
    struct ox_node *n = ox_match_node(m, node);
    *known = true;
    *out = (struct bounds){0, (double)INFINITY};
    if (ox_node_is(n, "Relu")) return OX_OK;
    OX_TRY(ox_match_params(&p, sizeof p, m, n));
    *known = (!p.has_min || p.min_known) && (!p.has_max || p.max_known);
    out->lo = p.has_min ? p.min : -(double)INFINITY;
    out->hi = p.has_max ? p.max : (double)INFINITY;
    return OX_OK;
}

/* `open` is the bound that bounds nothing. */
static ox_status make_bound(struct ox_match *m, const char *name, ox_dtype dtype, double value,
                            double open) {
    ox_tensor *t;
    if (value == open) return ox_match_bind(m, name, NULL);
    OX_TRY(ox_const_scalar(&t, ox_match_run(m)->ctx, dtype, value));
    return ox_match_make(m, name, t, NULL);
}

/* min(max(min(max(x, l1), h1), l2), h2) = min(max(x, max(l1, l2)), min(max(h1, l2), h2)) */
static ox_status clip_chain(struct ox_match *m) {
    struct bounds a, b;
    bool a_known, b_known;
    OX_TRY(bounds_of(&a_known, &a, m, "a"));
    OX_TRY(bounds_of(&b_known, &b, m, "y"));
    if (!a_known || !b_known) return ox_match_refuse(m, "a bound is not constant");
    ox_dtype dtype = ox_match_type(m, "x")->dtype;
    if (ox_dtype_bits(dtype) > 32 && dtype != OX_DOUBLE)
        return ox_match_refuse(m, "bounds of 64-bit integers");
    OX_TRY(make_bound(m, "lo", dtype, fmax(a.lo, b.lo), -(double)INFINITY));
    return make_bound(m, "hi", dtype, fmin(fmax(a.hi, b.lo), b.hi), (double)INFINITY);
}

static ox_status clip_is_relu(struct ox_match *m) {
    struct bounds b;
    bool known;
    OX_TRY(bounds_of(&known, &b, m, "y"));
    if (!known || b.lo != 0 || b.hi != (double)INFINITY)
        return ox_match_refuse(m, "the bounds are not 0 and infinity");
    return OX_OK;
}

/* Constant bounds of Min and Max are scalars for Clip. */
static ox_status scalar_like(struct ox_match *m, const char *name, const char *from) {
    const ox_tensor *c = ox_match_const(m, from);
    double v;
    ox_tensor *t;
    if (!ox_const_splat(&v, c)) return ox_match_refuse(m, "the bound is not one number");
    OX_TRY(ox_const_scalar(&t, ox_match_run(m)->ctx, c->dtype, v));
    return ox_match_make(m, name, t, ox_match_value(m, from));
}

static ox_status min_of_max(struct ox_match *m) /* min(max(x, l), h) is Clip */
{
    OX_TRY(scalar_like(m, "lo", "l"));
    return scalar_like(m, "hi", "h");
}

static ox_status max_of_min(struct ox_match *m) /* max(min(x, h), l) is Clip where l <= h */
{
    double l, h;
    if (!ox_const_splat(&l, ox_match_const(m, "l")) ||
        !ox_const_splat(&h, ox_match_const(m, "h")) || l > h)
        return ox_match_refuse(m, "the lower bound is above the upper");
    return min_of_max(m);
}

/* ---- casts ----------------------------------------------------------------------------------- */

/* Bits of integers that a type holds exactly; for floats those of the significand. */
static int exact_bits(ox_dtype t) {
    switch (t) {
    case OX_FLOAT:
        return 24;
    case OX_DOUBLE:
        return 53;
    case OX_FLOAT16:
        return 11;
    case OX_BFLOAT16:
        return 8;
    case OX_BOOL:
        return 1;
    default:
        return ox_dtype_is_integer(t) ? ox_dtype_bits(t) : 0;
    }
}

static bool is_signed(ox_dtype t) {
    return t == OX_INT2 || t == OX_INT4 || t == OX_INT8 || t == OX_INT16 || t == OX_INT32 ||
           t == OX_INT64 || ox_dtype_is_float(t);
}

/* Does every value of type a stand in type b unchanged? */
static bool widens(ox_dtype a, ox_dtype b) {
    if (a == b) return true;
    if (!exact_bits(a) || !exact_bits(b) || b == OX_BOOL) return false;
    if (ox_dtype_is_float(a))
        return (a == OX_FLOAT16 && b == OX_FLOAT) || b == OX_DOUBLE ||
               (a == OX_BFLOAT16 && b == OX_FLOAT);
    if (ox_dtype_is_float(b)) return exact_bits(a) - (is_signed(a) ? 1 : 0) <= exact_bits(b);
    if (is_signed(a) && !is_signed(b)) return false;
    return exact_bits(a) + (!is_signed(a) && is_signed(b) ? 1 : 0) <= exact_bits(b);
}

/* Cast(Cast(x, B), C) = Cast(x, C) where x's type stands in B. As text a number looks different in
 * each type. */
static ox_status cast_chain(struct ox_match *m) {
    ox_dtype a = ox_match_type(m, "x")->dtype, b = ox_match_type(m, "a")->dtype;
    if (a != b && ox_match_type(m, "y")->dtype == OX_STRING)
        return ox_match_refuse(m, "the result is text");
    return widens(a, b) ? OX_OK : ox_match_refuse(m, "the first Cast may change values");
}

/* ---- constants ---------------------------------------------------------------------------------
 */

/* x / c = x * (1 / c) where every c is a power of two whose reciprocal is a normal number of the
 * type. */
static ox_status exact_reciprocal(struct ox_match *m) {
    const ox_tensor *c = ox_match_const(m, "c");
    double *v, limit = c->dtype == OX_FLOAT16 ? 14 : c->dtype == OX_DOUBLE ? 1000 : 126;
    ox_ctx *ctx = ox_match_run(m)->ctx;
    ox_tensor *t;
    OX_TRY(ox_const_doubles(&v, ctx, c));
    bool exact = true;
    for (size_t i = 0; i < c->count && exact; i++) {
        int e;
        exact = fabs(frexp(v[i], &e)) == 0.5 && abs(e) < (int)limit;
        v[i] = 1 / v[i];
    }
    ox_status s = exact ? ox_const_from_doubles(&t, ctx, c->dtype, c->rank, c->dims, v)
                        : ox_match_refuse(m, "1/c is not exact");
    ox_free(ctx, v);
    return s == OX_OK && exact ? ox_match_make(m, "r", t, ox_match_value(m, "c")) : s;
}

/* (x * c) * d = x * (c * d) with a constant no larger than the larger of both. Bound: 3 roundings
 * instead of 2, each 2^-24 of the result; products that leave the normal numbers are refused. */
static ox_status multiply_constants(struct ox_match *m) {
    const ox_tensor *c = ox_match_const(m, "c"), *d = ox_match_const(m, "d");
    if (c->count != 1 && d->count != 1)
        return ox_match_refuse(m, "both constants have more than one element");
    if (c->dtype != d->dtype || !ox_dtype_is_float(c->dtype) || !ox_const_readable(c->dtype))
        return ox_match_refuse(m, "not floats");
    const ox_tensor *big = c->count == 1 && (d->count != 1 || d->rank > c->rank) ? d : c,
                    *one = big == c ? d : c;
    if (one->rank > big->rank)
        return ox_match_refuse(m, "the constant of one element has more dims");
    double factor = ox_const_at(one, 0);
    for (size_t i = 0; i < big->count; i++) {
        double v = fabs(ox_const_at(big, i) * factor);
        if (v != 0 && !(v > 1e-4 && v < 1e4))
            return ox_match_refuse(m, "the product is very small or large");
    }
    ox_tensor *t;
    OX_TRY(ox_const_scale(&t, ox_match_run(m)->ctx, big, 1, 1, big->count, &factor));
    return ox_match_make(m, "e", t, NULL);
}

/* clang-format off */
static const struct ox_rule rules[] = {
    {"clip-chain", "a = Relu(x)  y = Clip(a, lo1, hi1)",           "x number; a shared", "y = Clip(x, lo, hi)", clip_chain},
    {"clip-chain", "a = Clip(x, lo1, hi1)  y = Relu(a)",           "x number; a shared", "y = Clip(x, lo, hi)", clip_chain},
    {"clip-chain", "a = Clip(x, lo1, hi1)  y = Clip(a, lo2, hi2)", "x number; a shared", "y = Clip(x, lo, hi)", clip_chain},
    {"clip-relu",  "y = Clip(x, lo, hi)",                          "x float",            "y = Relu(x)",         clip_is_relu},
    {"min-max",    "a = Max(x, l)  y = Min(a, h)", "x float; l const; h const; y like x", "y = Clip(x, lo, hi)", min_of_max},
    {"min-max",    "a = Min(x, h)  y = Max(a, l)", "x float; l const; h const; y like x", "y = Clip(x, lo, hi)", max_of_min},
    {"min-max",    "a = Max(l, x)  y = Min(a, h)", "x float; l const; h const; y like x", "y = Clip(x, lo, hi)", min_of_max},
    {"min-max",    "a = Max(x, l)  y = Min(h, a)", "x float; l const; h const; y like x", "y = Clip(x, lo, hi)", min_of_max},
    {"min-max",    "y = Max(x, l)",                "x float; l is 0; y like x",           "y = Relu(x)",         NULL},
    {"min-max",    "y = Max(l, x)",                "x float; l is 0; y like x",           "y = Relu(x)",         NULL},

    {"double",     "a = Neg(x)  y = Neg(a)",                       "a shared",           "y -> x", NULL},
    {"double",     "a = Not(x)  y = Not(a)",                       "a shared",           "y -> x", NULL},
    {"double",     "a = BitwiseNot(x)  y = BitwiseNot(a)",         "a shared",           "y -> x", NULL},
    /* Bound: two roundings, 2^-23 of x; but where 1/x overflows (subnormal x) the original gives 0. */
    {"double",     "a = Reciprocal(x)  y = Reciprocal(a)",         "a shared",           "y -> x", NULL},

    {"idempotent", "a = Relu(x)  y = Relu(a)",                     "a shared",           "y -> a", NULL},
    {"idempotent", "a = Abs(x)  y = Abs(a)",                       "a shared",           "y -> a", NULL},
    {"idempotent", "a = Sign(x)  y = Sign(a)",                     "a shared",           "y -> a", NULL},
    {"idempotent", "a = Ceil(x)  y = Ceil(a)",                     "a shared",           "y -> a", NULL},
    {"idempotent", "a = Ceil(x)  y = Floor(a)",                    "a shared",           "y -> a", NULL},
    {"idempotent", "a = Ceil(x)  y = Round(a)",                    "a shared",           "y -> a", NULL},
    {"idempotent", "a = Floor(x)  y = Ceil(a)",                    "a shared",           "y -> a", NULL},
    {"idempotent", "a = Floor(x)  y = Floor(a)",                   "a shared",           "y -> a", NULL},
    {"idempotent", "a = Floor(x)  y = Round(a)",                   "a shared",           "y -> a", NULL},
    {"idempotent", "a = Round(x)  y = Ceil(a)",                    "a shared",           "y -> a", NULL},
    {"idempotent", "a = Round(x)  y = Floor(a)",                   "a shared",           "y -> a", NULL},
    {"idempotent", "a = Round(x)  y = Round(a)",                   "a shared",           "y -> a", NULL},
    {"idempotent", "a = Neg(x)  y = Abs(a)",                       "a shared",           "y = Abs(x)", NULL},
    /* What is never negative is not changed by Relu. */
    {"idempotent", "a = Abs(x)  y = Relu(a)",                      "a shared",           "y -> a", NULL},
    {"idempotent", "a = Sigmoid(x)  y = Relu(a)",                  "a shared",           "y -> a", NULL},
    {"idempotent", "a = Softmax(x)  y = Relu(a)",                  "a shared",           "y -> a", NULL},
    {"idempotent", "a = Softplus(x)  y = Relu(a)",                 "a shared",           "y -> a", NULL},
    {"idempotent", "a = Exp(x)  y = Relu(a)",                      "a shared",           "y -> a", NULL},
    {"idempotent", "a = Sqrt(x)  y = Relu(a)",                     "a shared",           "y -> a", NULL},
    {"idempotent", "a = HardSigmoid(x)  y = Relu(a)",              "a shared",           "y -> a", NULL},

    {"cast-chain", "a = Cast(x)  [c] y = Cast(a)",                 "x tensor; a tensor; y tensor; a shared", "[c] y = Cast(x)", cast_chain},
    {"where-not",  "n = Not(c)  y = Where(n, a, b)",               "n shared",           "y = Where(c, b, a)", NULL},

    {"reciprocal", "y = Div(x, c)",                                "x float; c const",   "y = Mul(x, r)", exact_reciprocal},
    {"mul-chain",  "a = Mul(x, c)  y = Mul(a, d)",                 "c const; d const",   "y = Mul(x, e)", multiply_constants},
};
/* clang-format on */

ox_status ox_pass_algebra(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
