/* ir/ops/attention.c - the attention engine; attention.h is its contract.
 *
 * The work is cut into tiles: up to ROWS queries of some pairs of batch item and head, against a
 * block of keys. For each tile: scores by one batched product, then row by row (attention_rows.inc)
 * masks, the running maximum and sum of the softmax, and weights in place of the scores; then a
 * product with the values on top of what the block before left. Where all scores of a row are
 * needed at once (they are asked for, or the softmax has a precision of its own), a block is as
 * long as the keys. */
#include "ir/ops/attention.h"

#include "ir/ops/convert.h"
#include "ir/ops/kernel_product.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/simd.h"
#include "ir/ops/vmath.h"

enum { ROWS = 128, KEYS = 512, TILE = 1 << 19, LANES = 16, ROUND_BLOCK = 256 };

struct tile {
    const struct ox_attention *a;
    bool whole;           /* the block is all keys */
    size_t pair, n_pairs; /* pairs b * heads + h */
    size_t i0, m;         /* queries */
    size_t j0, n, width;  /* keys; elements from row to row of s */
    void *s, *acc, *max, *sum;
    size_t *q_at, *k_at, *v_at, *s_at, *acc_at; /* of each pair */
};

struct row {
    size_t b, h, i;
};

static struct row row_of(const struct tile *t, size_t index) {
    size_t pair = t->pair + index / t->m;
    return (struct row){pair / t->a->heads, pair % t->a->heads, t->i0 + index % t->m};
}

static size_t mask_at(const struct ox_attention_mask_at *m, const struct row *r, size_t j) {
    return r->b * m->batch + r->h * m->head + r->i * m->row + (m->cols > j ? j * m->col : 0);
}

/* i + d where that stays within [0, top]. */
static size_t clamped(int64_t i, int64_t d, size_t top) {
    int64_t sum;
    if (ox_add_i64(&sum, i, d)) return d < 0 ? 0 : top;
    return sum < 0 ? 0 : (uint64_t)sum > top ? top : (size_t)sum;
}

/* Keys [*lo, *hi) of the tile, counted from its first, that the row's position lets it see. */
static void seen(size_t *lo, size_t *hi, const struct tile *t, const struct row *r) {
    const struct ox_attention *a = t->a;
    size_t first = 0, end = a->kv_len;
    int64_t offset = a->offsets ? a->offsets[r->b] : a->offset, at = 0;
    bool above = ox_add_i64(&at, (int64_t)r->i, offset); /* only a huge offset */
    if (above) at = INT64_MAX;
    if (a->lengths && (a->lengths[r->b] < 0 || (uint64_t)a->lengths[r->b] < end))
        end = a->lengths[r->b] < 0 ? 0 : (size_t)a->lengths[r->b];
    size_t next = at < -1 ? 0 : clamped(at, 1, a->kv_len);
    if (a->causal && next < end) end = next;
    if (a->right >= 0) {
        int64_t last;
        if (ox_add_i64(&last, at, a->right)) last = INT64_MAX - 1;
        next = last < -1 ? 0 : clamped(last, 1, a->kv_len);
        if (next < end) end = next;
    }
    if (a->left >= 0) first = clamped(at, -a->left, a->kv_len);
    if (first > end) first = end;
    *lo = first < t->j0 ? 0 : first - t->j0 < t->n ? first - t->j0 : t->n;
    *hi = end < t->j0 ? 0 : end - t->j0 < t->n ? end - t->j0 : t->n;
}

#define T float
#define ROW(name) name##_f32
#define EXP ox_vexp
#define TANH ox_vtanh
#include "ir/ops/attention_rows.inc"
#undef T
#undef ROW
#undef EXP
#undef TANH
#define T double
#define ROW(name) name##_f64
#define EXP exp
#define TANH tanh
#include "ir/ops/attention_rows.inc"
#undef T
#undef ROW
#undef EXP
#undef TANH

#define RANGE_FN(name)                                                                             \
    static void range_##name(void *arg, size_t begin, size_t end) {                                \
        const struct tile *t = arg;                                                                \
        for (size_t r = begin; r < end; r++) {                                                     \
            if (t->a->dtype == OX_FLOAT)                                                           \
                name##_f32(t, r);                                                                  \
            else                                                                                   \
                name##_f64(t, r);                                                                  \
        }                                                                                          \
    }
RANGE_FN(start)
RANGE_FN(row)
RANGE_FN(finish)

/* Scores of the tile, before they are scaled. */
static ox_status scores(ox_ctx *ctx, const struct tile *t) {
    const struct ox_attention *a = t->a;
    size_t size = (size_t)ox_dtype_bits(a->dtype) / 8;
    struct ox_product p = {
        .dtype = a->dtype,
        .m = t->m,
        .n = t->n,
        .k = a->qk_size,
        .a = (const char *)a->q + t->i0 * a->q_at.row * size,
        .a_rs = a->q_at.row,
        .a_cs = 1,
        .b = (const char *)a->k + t->j0 * a->k_at.row * size,
        .b_rs = 1,
        .b_cs = a->k_at.row,
        .c = t->s,
        .c_rs = t->width,
        .batch = t->n_pairs,
        .a_at = t->q_at,
        .b_at = t->k_at,
        .c_at = t->s_at,
    };
    return ox_product(ctx, &p);
}

static ox_status add_values(ox_ctx *ctx, const struct tile *t) {
    const struct ox_attention *a = t->a;
    size_t size = (size_t)ox_dtype_bits(a->dtype) / 8;
    struct ox_product p = {
        .dtype = a->dtype,
        .m = t->m,
        .n = a->v_size,
        .k = t->n,
        .a = t->s,
        .a_rs = t->width,
        .a_cs = 1,
        .b = (const char *)a->v + t->j0 * a->v_at.row * size,
        .b_rs = a->v_at.row,
        .b_cs = 1,
        .c = t->acc,
        .c_rs = a->v_size,
        .add = true,
        .batch = t->n_pairs,
        .a_at = t->s_at,
        .b_at = t->v_at,
        .c_at = t->acc_at,
    };
    return ox_product(ctx, &p);
}

/* Does any row of the tile see any of its keys, as far as positions tell? */
static bool sees_any(const struct tile *t) {
    const struct ox_attention *a = t->a;
    if (a->scores || (!a->causal && !a->lengths && a->left < 0 && a->right < 0)) return true;
    for (size_t r = 0; r < t->n_pairs * t->m; r++) {
        size_t lo, hi;
        struct row row = row_of(t, r);
        seen(&lo, &hi, t, &row);
        if (lo < hi) return true;
    }
    return false;
}

static void place_pairs(struct tile *t) {
    const struct ox_attention *a = t->a;
    for (size_t p = 0; p < t->n_pairs; p++) {
        size_t b = (t->pair + p) / a->heads, h = (t->pair + p) % a->heads;
        size_t g = h / (a->heads / a->kv_heads);
        t->q_at[p] = b * a->q_at.batch + h * a->q_at.head;
        t->k_at[p] = b * a->k_at.batch + g * a->k_at.head;
        t->v_at[p] = b * a->v_at.batch + g * a->v_at.head;
        t->s_at[p] = p * t->m * t->width;
        t->acc_at[p] = p * t->m * a->v_size;
    }
}

/* One group of rows against all keys. */
static ox_status run_rows(ox_ctx *ctx, struct tile *t) {
    const struct ox_attention *a = t->a;
    size_t rows = t->n_pairs * t->m, grain = 1 + 4096 / (t->width + a->v_size);
    place_pairs(t);
    t->j0 = t->n = 0;
    ox_parallel(ctx, rows, grain, range_start, t);
    for (; t->j0 < a->kv_len; t->j0 += t->width) {
        t->n = a->kv_len - t->j0 < t->width ? a->kv_len - t->j0 : t->width;
        if (!sees_any(t)) continue;
        OX_TRY(scores(ctx, t));
        ox_parallel(ctx, rows, grain, range_row, t);
        OX_TRY(add_values(ctx, t));
    }
    ox_parallel(ctx, rows, grain, range_finish, t);
    return OX_OK;
}

static ox_status allocate(ox_ctx *ctx, struct tile *t, size_t rows, size_t pairs) {
    size_t size = (size_t)ox_dtype_bits(t->a->dtype) / 8, s_size, acc_size;
    size_t n = rows * pairs; /* small: at most ROWS times what fits a tile */
    if (ox_mul_size(&s_size, n, t->width) || ox_mul_size(&acc_size, n, t->a->v_size))
        return OX_NOMEM;
    OX_TRY(ox_alloc_raw(ctx, &t->s, s_size, size));
    OX_TRY(ox_alloc_raw(ctx, &t->acc, acc_size, size));
    OX_TRY(ox_alloc_raw(ctx, &t->max, n, size));
    OX_TRY(ox_alloc_raw(ctx, &t->sum, n, size));
    OX_TRY(ox_alloc_raw(ctx, &t->q_at, pairs, 5 * sizeof(size_t)));
    t->k_at = t->q_at + pairs;
    t->v_at = t->k_at + pairs;
    t->s_at = t->v_at + pairs;
    t->acc_at = t->s_at + pairs;
    return OX_OK;
}

ox_status ox_attention(ox_ctx *ctx, const struct ox_attention *a) {
    size_t pairs = a->batch * a->heads, rows = a->q_len < ROWS ? a->q_len : ROWS, at_once;
    if (pairs == 0 || rows == 0) return OX_OK;
    struct tile t = {.a = a, .whole = a->scores || ox_is_narrow(a->softmax_dtype)};
    t.width = t.whole || a->kv_len < KEYS ? a->kv_len : KEYS;
    at_once = TILE / (rows * (t.width + a->v_size + 1));
    at_once = at_once < 1 ? 1 : at_once < pairs ? at_once : pairs;
    ox_status s = allocate(ctx, &t, rows, at_once);
    for (t.pair = 0; t.pair < pairs && s == OX_OK; t.pair += at_once) {
        t.n_pairs = pairs - t.pair < at_once ? pairs - t.pair : at_once;
        for (t.i0 = 0; t.i0 < a->q_len && s == OX_OK; t.i0 += rows) {
            t.m = a->q_len - t.i0 < rows ? a->q_len - t.i0 : rows;
            s = run_rows(ctx, &t);
        }
    }
    ox_free(ctx, t.s);
    ox_free(ctx, t.acc);
    ox_free(ctx, t.max);
    ox_free(ctx, t.sum);
    ox_free(ctx, t.q_at);
    return s;
}
