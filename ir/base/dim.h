/* ir/base/dim.h - dimensions that are numbers or symbolic expressions.
 *
 * A dim is k + e: a plain number where e is NULL, else an interned expression in canonical form (a
 * sum of products of atoms with integer coefficients; an atom is a named symbol, an unnamed
 * unknown, or a floor division, modulus, minimum or maximum of two dims that does not simplify
 * further). Because expressions are interned, two dims are known to be equal exactly when both
 * fields are. Arithmetic never fails for overflow: it returns a fresh unknown instead, which equals
 * nothing but itself. All symbols stand for integers >= 0 (they are dims of tensors);
 * ox_dim_unknown_int is the exception.
 */
#ifndef OX_IR_BASE_DIM_H
#define OX_IR_BASE_DIM_H

#include "ir/base/name.h"

typedef struct ox_dim {
    int64_t k;
    const struct ox_expr *e; /* NULL: the number k */
} ox_dim;

/* Owner of expressions: one per model (and one per session). */
struct ox_dims {
    struct ox_arena arena;
    const struct ox_expr **slots; /* interning table */
    size_t used, cap;
    uint32_t next_unknown;
};

void ox_dims_init(struct ox_dims *dims, ox_ctx *ctx);
void ox_dims_fini(struct ox_dims *dims);

static inline ox_dim ox_dim_const(int64_t k) {
    return (ox_dim){k, NULL};
}
static inline bool ox_dim_is_const(ox_dim d) {
    return d.e == NULL;
}
static inline bool ox_dim_same(ox_dim a, ox_dim b) {
    return a.k == b.k && a.e == b.e;
}

/* Each of these stores its result in *out and fails with OX_NOMEM only. */
OX_MUST_USE ox_status ox_dim_symbol(ox_dim *out, struct ox_dims *dims, ox_name name);
OX_MUST_USE ox_status ox_dim_unknown(ox_dim *out, struct ox_dims *dims); /* fresh, >= 0 */
OX_MUST_USE ox_status ox_dim_unknown_int(
    ox_dim *out, struct ox_dims *dims); /* fresh, any sign (an element of a shape tensor) */
OX_MUST_USE ox_status ox_dim_add(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
OX_MUST_USE ox_status ox_dim_sub(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
OX_MUST_USE ox_status ox_dim_mul(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
OX_MUST_USE ox_status
ox_dim_floordiv(ox_dim *out, struct ox_dims *dims, ox_dim a,
                ox_dim b); /* exact when it divides: (6*N)/3 = 2*N; b = 0: unknown */
OX_MUST_USE ox_status ox_dim_ceildiv(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
OX_MUST_USE ox_status ox_dim_mod(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
OX_MUST_USE ox_status ox_dim_min(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);
OX_MUST_USE ox_status ox_dim_max(ox_dim *out, struct ox_dims *dims, ox_dim a, ox_dim b);

/* What is known of the sign: true only where it follows for every value of the symbols. */
bool ox_dim_ge(ox_dim a, int64_t bound);
/* The symbol's name if the dim is exactly one named symbol, else NULL. */
ox_name ox_dim_name(ox_dim d);
/* True if the expression has no unnamed unknown in it. */
bool ox_dim_is_known(ox_dim d);
/* Number of the unnamed unknown that the dim is exactly, or -1. Numbers ascend in the order of
 * making: those of the unknowns made from now on are at least dims->next_unknown. */
int64_t ox_dim_unnamed(ox_dim d);
/* Writes text such as "12", "batch", "2*batch + 1", "?3" (snprintf's contract). */
size_t ox_dim_print(char *buf, size_t size, ox_dim d);
/* Value under an assignment of numbers to symbols: `value` returns true and stores the number of a
 * named symbol. False: some symbol has no value, or a division by zero or an overflow. */
bool ox_dim_eval(int64_t *out, ox_dim d, bool (*value)(void *user, ox_name name, int64_t *out),
                 void *user);

#endif
