/* ir/base/dim_expr.c - polynomials over atoms: arithmetic, intervals, interning. See dim_priv.h. */
#include "ir/base/dim_priv.h"

/* ---- terms and polynomials ------------------------------------------------------------------- */

int ox_term_cmp(const struct ox_term *a, const struct ox_term *b) {
    if (a->degree != b->degree) return a->degree > b->degree ? -1 : 1;
    for (uint32_t i = 0; i < a->degree; i++)
        if (a->atoms[i] != b->atoms[i]) return a->atoms[i]->id < b->atoms[i]->id ? -1 : 1;
    return 0;
}

void ox_poly_set(struct ox_poly *p, ox_dim d) {
    p->k = d.k;
    p->n = d.e ? d.e->n : 0;
    if (p->n) memcpy(p->terms, d.e->terms, p->n * sizeof *p->terms);
}

bool ox_poly_add_term(struct ox_poly *p, int64_t coef, const struct ox_term *monomial) {
    if (coef == 0) return true;
    if (monomial->degree == 0) return !ox_add_i64(&p->k, p->k, coef);
    size_t i = 0;
    int cmp = 1;
    while (i < p->n && (cmp = ox_term_cmp(&p->terms[i], monomial)) < 0)
        i++;
    if (i < p->n && cmp == 0) {
        if (ox_add_i64(&p->terms[i].coef, p->terms[i].coef, coef)) return false;
        if (p->terms[i].coef == 0) {
            p->n--;
            memmove(&p->terms[i], &p->terms[i + 1], (p->n - i) * sizeof *p->terms);
        }
        return true;
    }
    if (p->n == OX_DIM_MAX_TERMS) return false;
    struct ox_term added = *monomial; /* may be one of p's own */
    added.coef = coef;
    memmove(&p->terms[i + 1], &p->terms[i], (p->n - i) * sizeof *p->terms);
    p->terms[i] = added;
    p->n++;
    return true;
}

bool ox_poly_add(struct ox_poly *p, const struct ox_poly *q, int64_t scale) {
    int64_t c;
    if (ox_mul_i64(&c, q->k, scale) || ox_add_i64(&p->k, p->k, c)) return false;
    for (size_t i = 0; i < q->n; i++) {
        if (ox_mul_i64(&c, q->terms[i].coef, scale)) return false;
        if (!ox_poly_add_term(p, c, &q->terms[i])) return false;
    }
    return true;
}

bool ox_term_mul(struct ox_term *out, const struct ox_term *a, const struct ox_term *b) {
    struct ox_term t = {0};
    if (a->degree + b->degree > OX_DIM_MAX_DEGREE) return false;
    if (ox_mul_i64(&t.coef, a->coef, b->coef)) return false;
    for (uint32_t i = 0, j = 0; i < a->degree || j < b->degree;) {
        bool from_a = j == b->degree || (i < a->degree && a->atoms[i]->id <= b->atoms[j]->id);
        t.atoms[t.degree++] = from_a ? a->atoms[i++] : b->atoms[j++];
    }
    *out = t;
    return true;
}

bool ox_term_div(struct ox_term *out, const struct ox_term *a, const struct ox_term *b) {
    struct ox_term t = {.coef = 1};
    uint32_t j = 0;
    for (uint32_t i = 0; i < a->degree; i++) {
        if (j < b->degree && a->atoms[i] == b->atoms[j])
            j++;
        else
            t.atoms[t.degree++] = a->atoms[i];
    }
    if (j != b->degree) return false;
    *out = t;
    return true;
}

bool ox_poly_mul(struct ox_poly *p, const struct ox_poly *a, const struct ox_poly *b) {
    static const struct ox_term one = {0};
    int64_t k;
    p->k = 0;
    p->n = 0;
    if (ox_mul_i64(&k, a->k, b->k)) return false;
    for (size_t i = 0; i <= a->n; i++) {
        struct ox_term s = i < a->n ? a->terms[i] : one;
        if (i == a->n) s.coef = a->k;
        if (s.coef == 0) continue;
        for (size_t j = 0; j <= b->n; j++) {
            struct ox_term t = j < b->n ? b->terms[j] : one;
            if (j == b->n) t.coef = b->k;
            if (t.coef == 0) continue;
            if (!ox_term_mul(&t, &s, &t) || !ox_poly_add_term(p, t.coef, &t)) return false;
        }
    }
    return true;
}

/* ---- intervals ------------------------------------------------------------------------------- */

/* Wide numbers hold any product of two int64; +-WIDE_INF mean no bound, and are so far out that
 * adding a few finite numbers leaves them beyond every int64. */
typedef __int128 wide;
#define WIDE_INF ((wide)1 << 100)

static wide wide_clamp(wide v) {
    return v > WIDE_INF ? WIDE_INF : v < -WIDE_INF ? -WIDE_INF : v;
}

static wide wide_of(int64_t v) {
    return v == OX_DIM_NO_LO ? -WIDE_INF : v == OX_DIM_NO_HI ? WIDE_INF : v;
}

static wide wide_mul(wide a, wide b) {
    if (a == 0 || b == 0) return 0;
    bool huge = a >= WIDE_INF || a <= -WIDE_INF || b >= WIDE_INF || b <= -WIDE_INF;
    if (!huge) return wide_clamp(a * b);
    return (a < 0) != (b < 0) ? -WIDE_INF : WIDE_INF;
}

/* A bound that int64 cannot hold becomes the nearest true statement. */
static int64_t lo_of(wide v) {
    return v <= INT64_MIN ? OX_DIM_NO_LO : v >= INT64_MAX ? INT64_MAX - 1 : (int64_t)v;
}

static int64_t hi_of(wide v) {
    return v >= INT64_MAX ? OX_DIM_NO_HI : v <= INT64_MIN ? INT64_MIN + 1 : (int64_t)v;
}

static void range_mul(int64_t *lo, int64_t *hi, int64_t blo, int64_t bhi) {
    wide c[4] = {wide_mul(wide_of(*lo), wide_of(blo)), wide_mul(wide_of(*lo), wide_of(bhi)),
                 wide_mul(wide_of(*hi), wide_of(blo)), wide_mul(wide_of(*hi), wide_of(bhi))};
    wide least = c[0], most = c[0];
    for (int i = 1; i < 4; i++) {
        if (c[i] < least) least = c[i];
        if (c[i] > most) most = c[i];
    }
    *lo = lo_of(least);
    *hi = hi_of(most);
}

void ox_term_range(int64_t *lo, int64_t *hi, const struct ox_term *t) {
    *lo = *hi = 1;
    for (uint32_t i = 0; i < t->degree; i++)
        range_mul(lo, hi, t->atoms[i]->lo, t->atoms[i]->hi);
    range_mul(lo, hi, t->coef, t->coef);
}

static void terms_range(int64_t *lo, int64_t *hi, int64_t k, const struct ox_term *terms,
                        size_t n) {
    wide l = k, h = k;
    for (size_t i = 0; i < n; i++) {
        int64_t tlo, thi;
        ox_term_range(&tlo, &thi, &terms[i]);
        l = wide_clamp(l + wide_of(tlo));
        h = wide_clamp(h + wide_of(thi));
    }
    *lo = lo_of(l);
    *hi = hi_of(h);
}

void ox_poly_range(int64_t *lo, int64_t *hi, const struct ox_poly *p) {
    terms_range(lo, hi, p->k, p->terms, p->n);
}

void ox_dim_range(int64_t *lo, int64_t *hi, ox_dim d) {
    if (!d.e) {
        *lo = *hi = d.k;
        return;
    }
    *lo = d.e->lo == OX_DIM_NO_LO ? OX_DIM_NO_LO : lo_of((wide)d.e->lo + d.k);
    *hi = d.e->hi == OX_DIM_NO_HI ? OX_DIM_NO_HI : hi_of((wide)d.e->hi + d.k);
}

void ox_range_floordiv(int64_t *lo, int64_t *hi, int64_t alo, int64_t ahi, int64_t blo,
                       int64_t bhi) {
    *lo = OX_DIM_NO_LO;
    *hi = OX_DIM_NO_HI;
    if (blo == 0) blo = 1;
    if (blo < 1 || bhi < blo) return;
    if (alo != OX_DIM_NO_LO) {
        if (alo < 0)
            *lo = ox_floor_div(alo, blo);
        else
            *lo = bhi == OX_DIM_NO_HI ? 0 : alo / bhi;
    }
    if (ahi != OX_DIM_NO_HI) {
        if (ahi >= 0)
            *hi = ahi / blo;
        else
            *hi = bhi == OX_DIM_NO_HI ? -1 : ox_floor_div(ahi, bhi);
    }
}

static void atom_range(int64_t *lo, int64_t *hi, enum ox_expr_kind kind, ox_dim a, ox_dim b) {
    int64_t alo, ahi, blo, bhi;
    *lo = OX_DIM_NO_LO;
    *hi = OX_DIM_NO_HI;
    if (kind == OX_EXPR_SYMBOL || kind == OX_EXPR_UNKNOWN) *lo = 0;
    if (kind < OX_EXPR_FLOORDIV) return;
    ox_dim_range(&alo, &ahi, a);
    ox_dim_range(&blo, &bhi, b);
    if (kind == OX_EXPR_FLOORDIV) {
        ox_range_floordiv(lo, hi, alo, ahi, blo, bhi);
    } else if (kind == OX_EXPR_MOD) {
        if (blo < 0) return;
        *lo = 0;
        if (bhi != OX_DIM_NO_HI) *hi = bhi > 0 ? bhi - 1 : 0;
        if (alo >= 0 && ahi < *hi) *hi = ahi;
    } else if (kind == OX_EXPR_MIN) {
        *lo = alo < blo ? alo : blo;
        *hi = ahi < bhi ? ahi : bhi;
    } else {
        *lo = alo > blo ? alo : blo;
        *hi = ahi > bhi ? ahi : bhi;
    }
}

/* ---- interning ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
    return h ^ (h >> 32);
}

static uint64_t mix_dim(uint64_t h, ox_dim d) {
    return mix(mix(h, (uint64_t)d.k), d.e ? d.e->id : UINT32_MAX);
}

/* The table's address is the seed: it cannot be known to a file, and the table is never iterated.
 */
static uint32_t expr_hash(const struct ox_dims *dims, const struct ox_expr *key,
                          const struct ox_term *terms) {
    uint64_t h = mix((uint64_t)(uintptr_t)dims, key->kind);
    h = mix(h, (uint64_t)(uintptr_t)key->name);
    h = mix(h, key->number);
    h = mix_dim(mix_dim(h, key->a), key->b);
    for (size_t i = 0; i < key->n; i++) {
        h = mix(h, (uint64_t)terms[i].coef);
        for (uint32_t j = 0; j < terms[i].degree; j++)
            h = mix(h, terms[i].atoms[j]->id);
        h = mix(h, terms[i].degree);
    }
    return (uint32_t)(h ^ (h >> 29));
}

static bool expr_same(const struct ox_expr *e, const struct ox_expr *key,
                      const struct ox_term *terms) {
    if (e->hash != key->hash || e->kind != key->kind || e->name != key->name ||
        e->number != key->number || e->n != key->n || !ox_dim_same(e->a, key->a) ||
        !ox_dim_same(e->b, key->b))
        return false;
    for (size_t i = 0; i < e->n; i++)
        if (e->terms[i].coef != terms[i].coef || ox_term_cmp(&e->terms[i], &terms[i]) != 0)
            return false;
    return true;
}

static void weigh_dim(struct ox_expr *e, ox_dim d) {
    if (!d.e) return;
    e->weight += d.e->weight;
    e->known = e->known && d.e->known;
    if (d.e->depth >= e->depth) e->depth = d.e->depth + 1;
}

static void weigh(struct ox_expr *e, const struct ox_term *terms) {
    e->known = e->kind != OX_EXPR_UNKNOWN && e->kind != OX_EXPR_UNKNOWN_INT;
    e->depth = 0;
    e->weight = 1;
    weigh_dim(e, e->a);
    weigh_dim(e, e->b);
    for (size_t i = 0; i < e->n; i++) {
        e->weight++;
        for (uint32_t j = 0; j < terms[i].degree; j++) {
            const struct ox_expr *atom = terms[i].atoms[j];
            e->weight += atom->weight;
            e->known = e->known && atom->known;
            if (atom->depth > e->depth) e->depth = atom->depth;
        }
    }
}

static ox_status table_grow(struct ox_dims *dims) {
    size_t cap = dims->cap ? dims->cap * 2 : 64;
    const struct ox_expr **slots;
    OX_TRY(ox_alloc(dims->arena.ctx, &slots, cap, sizeof *slots));
    for (size_t i = 0; i < dims->cap; i++) {
        const struct ox_expr *e = dims->slots[i];
        if (!e) continue;
        size_t at = e->hash & (cap - 1);
        while (slots[at])
            at = (at + 1) & (cap - 1);
        slots[at] = e;
    }
    ox_free(dims->arena.ctx, dims->slots);
    dims->slots = slots;
    dims->cap = cap;
    return OX_OK;
}

/* The one expression equal to key (whose terms stand apart); *out is NULL where it would be too
 * heavy. */
static ox_status intern(const struct ox_expr **out, struct ox_dims *dims, struct ox_expr *key,
                        const struct ox_term *terms) {
    if (dims->used * 4 >= dims->cap * 3) OX_TRY(table_grow(dims));
    key->hash = expr_hash(dims, key, terms);
    size_t at = key->hash & (dims->cap - 1);
    for (; dims->slots[at]; at = (at + 1) & (dims->cap - 1)) {
        if (expr_same(dims->slots[at], key, terms)) {
            *out = dims->slots[at];
            return OX_OK;
        }
    }
    weigh(key, terms);
    if (key->weight > OX_DIM_MAX_WEIGHT || key->depth > OX_DIM_MAX_DEPTH) {
        *out = NULL;
        return OX_OK;
    }
    if (key->kind == OX_EXPR_SUM)
        terms_range(&key->lo, &key->hi, 0, terms, key->n);
    else
        atom_range(&key->lo, &key->hi, key->kind, key->a, key->b);
    struct ox_expr *e;
    OX_TRY(ox_arena_alloc(&dims->arena, &e, 1, sizeof *e + key->n * sizeof *terms));
    memcpy(e, key, sizeof *e);
    if (key->n) memcpy(e->terms, terms, key->n * sizeof *terms);
    e->id = (uint32_t)dims->used++;
    dims->slots[at] = e;
    *out = e;
    return OX_OK;
}

ox_status ox_dim_of_poly(ox_dim *out, struct ox_dims *dims, const struct ox_poly *p) {
    struct ox_expr key = {.kind = OX_EXPR_SUM, .n = p->n};
    const struct ox_expr *e;
    if (p->n == 0) {
        *out = ox_dim_const(p->k);
        return OX_OK;
    }
    OX_TRY(intern(&e, dims, &key, p->terms));
    if (!e) {
        int64_t lo, hi;
        ox_poly_range(&lo, &hi, p);
        return ox_dim_give_up(out, dims, lo >= 0);
    }
    *out = (ox_dim){p->k, e};
    return OX_OK;
}

/* The sum that is just this atom. */
static ox_status dim_of_atom(ox_dim *out, struct ox_dims *dims, struct ox_expr *key) {
    const struct ox_expr *atom, *sum = NULL;
    OX_TRY(intern(&atom, dims, key, NULL));
    if (atom) {
        struct ox_term term = {.coef = 1, .degree = 1, .atoms = {atom}};
        struct ox_expr sum_key = {.kind = OX_EXPR_SUM, .n = 1};
        OX_TRY(intern(&sum, dims, &sum_key, &term));
    }
    if (!sum) {
        int64_t lo, hi;
        atom_range(&lo, &hi, key->kind, key->a, key->b);
        return ox_dim_give_up(out, dims, lo >= 0);
    }
    *out = (ox_dim){0, sum};
    return OX_OK;
}

ox_status ox_dim_atom(ox_dim *out, struct ox_dims *dims, enum ox_expr_kind kind, ox_dim a,
                      ox_dim b) {
    struct ox_expr key = {.kind = kind, .a = a, .b = b};
    return dim_of_atom(out, dims, &key);
}

ox_status ox_dim_symbol(ox_dim *out, struct ox_dims *dims, ox_name name) {
    struct ox_expr key = {.kind = OX_EXPR_SYMBOL, .name = name};
    return dim_of_atom(out, dims, &key);
}

ox_status ox_dim_give_up(ox_dim *out, struct ox_dims *dims, bool nonneg) {
    struct ox_expr key = {.kind = nonneg ? OX_EXPR_UNKNOWN : OX_EXPR_UNKNOWN_INT,
                          .number = dims->next_unknown++};
    return dim_of_atom(out, dims, &key);
}

ox_status ox_dim_unknown(ox_dim *out, struct ox_dims *dims) {
    return ox_dim_give_up(out, dims, true);
}

ox_status ox_dim_unknown_int(ox_dim *out, struct ox_dims *dims) {
    return ox_dim_give_up(out, dims, false);
}

void ox_dims_init(struct ox_dims *dims, ox_ctx *ctx) {
    *dims = (struct ox_dims){0};
    ox_arena_init(&dims->arena, ctx);
}

void ox_dims_fini(struct ox_dims *dims) {
    ox_free(dims->arena.ctx, dims->slots);
    ox_arena_fini(&dims->arena);
    *dims = (struct ox_dims){0};
}
