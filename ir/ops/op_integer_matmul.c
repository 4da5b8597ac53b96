/* ir/ops/op_integer_matmul.c - MatMulInteger and QLinearMatMul.
 *
 * Operands are widened to 16 bits with their zero points taken off, the second one turned on its
 * side, and multiplied exactly. Zero points and scales are single numbers, one for each row of the
 * first and column of the second operand, or tensors that say the same with more dims. */
#include "ir/ops/convert.h"
#include "ir/ops/integer_priv.h"
#include "ir/ops/kernel_dot.h"
#include "ir/ops/op_matmul.h"
#include "ir/ops/recipe.h"

ox_status ox_decode_integer_matmul(const struct ox_call *call, void *params) {
    (void)params;
    return ox_integer_check(call);
}

/* The types as MatMul's own inference would see them. */
ox_status ox_infer_integer_matmul(const struct ox_call *call, const void *params,
                                  struct ox_infer *io) {
    const struct ox_integer_kind *kind = call->op->family;
    ox_dtype result;
    (void)params;
    OX_TRY(ox_integer_infer_types(call, io, &result));
    const struct ox_type *in[2] = {NULL};
    const size_t from[2] = {0, kind->w};
    for (int i = 0; i < 2; i++)
        if (ox_in_rank(io, from[i]) >= 0)
            OX_TRY(ox_type_tensor(&in[i], io->arena, OX_FLOAT, io->in[from[i]]->rank,
                                  io->in[from[i]]->dims));
    const struct ox_type *out = NULL;
    struct ox_infer sub = {.arena = io->arena, .dims = io->dims, .in = in, .out = &out};
    struct ox_call matmul = *call;
    matmul.n_in = 2;
    matmul.n_out = 1;
    OX_TRY(ox_infer_matmul(&matmul, NULL, &sub));
    return ox_infer_tensor(io, 0, result, out->rank, out->dims);
}

/* ---- eval ------------------------------------------------------------------------------------ */

/* Dims under which a scale or zero point of an operand broadcasts to it: a vector belongs to the
 * rows of the first operand, to the columns of the second. */
struct spread {
    int rank;
    int64_t dims[OX_MAX_RANK];
};

static struct spread spread_of(const ox_tensor *t, bool rows) {
    struct spread s = {0};
    if (!t || t->count == 1) return s;
    s.rank = t->rank;
    memcpy(s.dims, t->dims, (size_t)t->rank * sizeof *s.dims);
    if (rows && t->rank == 1) {
        s.rank = 2;
        s.dims[1] = 1;
    }
    return s;
}

static ox_status widen(int16_t **out, const struct ox_call *call, const ox_tensor *x,
                       const ox_tensor *zp, bool rows) {
    struct spread s = spread_of(zp, rows);
    return ox_widen(out, call, x, zp, s.rank, s.dims);
}

/* to[n][k] from from[k][n]. */
static void turn(int16_t *to, const int16_t *from, size_t k, size_t n) {
    enum { TILE = 32 };
    for (size_t j = 0; j < n; j += TILE)
        for (size_t i = 0; i < k; i++)
            for (size_t jj = j; jj < n && jj < j + TILE; jj++)
                to[jj * k + i] = from[i * n + jj];
}

/* All products; sums has room for all. a and b are widened; each matrix of b is turned once. */
static ox_status multiply(const struct ox_call *call, const struct ox_matmul_shape *s,
                          const ox_tensor *x, const ox_tensor *w, const int16_t *a,
                          const int16_t *b, int32_t *sums) {
    size_t m = (size_t)s->m, n = (size_t)s->n, k = (size_t)s->k;
    int16_t *turned;
    OX_TRY(ox_alloc_raw(call->ctx, &turned, w->count, sizeof *turned));
    for (size_t at = 0; k * n != 0 && at < w->count; at += k * n)
        turn(turned + at, b + at, k, n);
    for (size_t item = 0; item < s->items; item++) {
        struct ox_dot dot = {m,
                             n,
                             k,
                             a + ox_matmul_at(s, x, item, m * k),
                             turned + ox_matmul_at(s, w, item, k * n),
                             sums + item * m * n,
                             n};
        ox_dot(call->ctx, &dot);
    }
    ox_free(call->ctx, turned);
    return OX_OK;
}

static ox_status sum_up(const struct ox_call *call, const struct ox_matmul_shape *s,
                        const ox_tensor *const *in, int32_t *sums) {
    const struct ox_integer_kind *kind = call->op->family;
    const ox_tensor *x = in[0], *w = in[kind->w];
    const ox_tensor *x_zp = ox_q_has(call, kind->x_zp) ? in[kind->x_zp] : NULL;
    const ox_tensor *w_zp = ox_q_has(call, kind->w_zp) ? in[kind->w_zp] : NULL;
    int16_t *a = NULL, *b = NULL;
    ox_status status = widen(&a, call, x, x_zp, true);
    if (status == OX_OK) status = widen(&b, call, w, w_zp, false);
    if (status == OX_OK) status = multiply(call, s, x, w, a, b, sums);
    ox_free(call->ctx, a);
    ox_free(call->ctx, b);
    return status;
}

ox_status ox_eval_matmul_integer(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    struct ox_matmul_shape s;
    ox_dtype result;
    void *sums;
    (void)params;
    OX_TRY(ox_integer_eval_types(call, in, &result));
    OX_TRY(ox_matmul_shape(&s, call, in[0], in[1]));
    OX_TRY(ox_tensor_new(&out[0], &sums, call->ctx, OX_INT32, s.rank, s.dims));
    return sum_up(call, &s, in, sums);
}

/* A scale as an operand of floats that broadcasts to the product. */
static ox_status scale_operand(struct ox_loop_operand *operand, struct spread *spread,
                               ox_tensor **floats, const struct ox_call *call,
                               const struct ox_matmul_shape *s, const ox_tensor *scale, bool rows) {
    OX_TRY(ox_tensor_cast(floats, call->ctx, scale, OX_FLOAT, true));
    *spread = spread_of(scale, rows);
    if (!ox_broadcasts_to(s->rank, s->dims, spread->rank, spread->dims))
        return ox_bad_shape(call, "scale %s does not fit a product of %s",
                            ox_dims_text(scale->rank, scale->dims).text,
                            ox_dims_text(s->rank, s->dims).text);
    *operand = (struct ox_loop_operand){(*floats)->data, sizeof(float), spread->rank, spread->dims};
    return OX_OK;
}

static ox_status finish(const struct ox_call *call, const struct ox_matmul_shape *s,
                        const ox_tensor *const *in, const int32_t *sums, ox_tensor **scales,
                        ox_dtype dtype, ox_tensor **out) {
    struct ox_requantize r = {.sums = sums, .rank = s->rank, .dims = s->dims, .dtype = dtype};
    struct spread spreads[2];
    OX_TRY(scale_operand(&r.x_scale, &spreads[0], &scales[0], call, s, in[1], true));
    OX_TRY(scale_operand(&r.w_scale, &spreads[1], &scales[1], call, s, in[4], false));
    OX_TRY(ox_integer_number(&r.y_scale, call, 6, in[6]));
    OX_TRY(ox_integer_number(&r.y_zp, call, 7, in[7]));
    void *data;
    OX_TRY(ox_tensor_new(out, &data, call->ctx, dtype, s->rank, s->dims));
    ox_requantize(call->ctx, &r, data);
    return OX_OK;
}

/* ---- 8-bit floats: by what the operator means
 * ---------------------------------------------------- */

/* A scale of one element holds for the whole tensor; a vector goes along an axis: rows of A and Y,
 * columns of B. */
static ox_v scaled(struct ox_recipe *r, const char *op, ox_v v, size_t scale, int64_t axis) {
    ox_rc_int(r, "axis", axis);
    return OX_RC(r, op, v, ox_rc_in(r, scale), ox_rc_in(r, scale + 1));
}

static void float8_product(struct ox_recipe *r, const void *params) {
    (void)params;
    ox_v a = scaled(r, "DequantizeLinear", ox_rc_in(r, 0), 1, -2),
         b = scaled(r, "DequantizeLinear", ox_rc_in(r, 3), 4, -1);
    ox_v y = OX_RC(r, "MatMul", ox_rc_wide(r, a), ox_rc_wide(r, b));
    ox_rc_out(r, 0, scaled(r, "QuantizeLinear", ox_rc_like(r, y, ox_rc_in(r, 6)), 6, -2));
}

static bool is_float8(const ox_tensor *t) {
    return (OX_FLOAT8S & OX_BIT(t->dtype)) != 0;
}

static ox_status qlinear_float8(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    static const struct ox_recipe_kind kind = {.body = float8_product};
    struct ox_op op = *call->op;
    struct ox_call of_recipe = *call;
    op.family = &kind;
    of_recipe.op = &op;
    return ox_eval_recipe(&of_recipe, params, in, out);
}

ox_status ox_eval_qlinear_matmul(const struct ox_call *call, const void *params,
                                 const ox_tensor *const *in, ox_tensor **out) {
    struct ox_matmul_shape s;
    ox_dtype dtype;
    int32_t *sums = NULL;
    ox_tensor *scales[2] = {NULL};
    if (is_float8(in[0]) || is_float8(in[3]) || is_float8(in[7]))
        return qlinear_float8(call, params, in, out);
    OX_TRY(ox_integer_eval_types(call, in, &dtype));
    OX_TRY(ox_matmul_shape(&s, call, in[0], in[3]));
    size_t count, bytes;
    if (ox_shape_size(&count, &bytes, OX_INT32, s.rank, s.dims))
        return ox_bad_shape(call, "the product %s is too large", ox_dims_text(s.rank, s.dims).text);
    OX_TRY(ox_alloc_raw(call->ctx, &sums, count, sizeof *sums));
    ox_status status = sum_up(call, &s, in, sums);
    if (status == OX_OK) status = finish(call, &s, in, sums, scales, dtype, &out[0]);
    ox_tensor_unref(scales[0]);
    ox_tensor_unref(scales[1]);
    ox_free(call->ctx, sums);
    return status;
}
