/* passes/fuse/fuse_matmul.c - what stands around a matrix product goes into it: Add makes it a
 * Gemm, factors and shifts per column (or per row) go into a constant operand, transposes into
 * Gemm's flags.
 *
 *   (x W) s     = x (W s)        s per column of W          (x s) W     = x (s W)               s
 * per row of W (x W + b) s = x (W s) + b s                             (x s + t) W + c = x (s W) +
 * (c + t W)
 *
 * Bound: as in fuse_conv.c, weights are computed in double and rounded once. */
#include "ir/ops/params.h"
#include "passes/fuse/affine.h"
#include "passes/rules/consts.h"

/* The constant operand w of the product [mm], seen as `batch` matrices of k rows and n columns (or
 * n and k where `flip`). */
struct matrix {
    const ox_tensor *w;
    size_t batch, k, n;
    bool flip;
    float alpha, beta;
};

static ox_status read_matrix(bool *fits, struct matrix *a, struct ox_match *m) {
    struct ox_node *node = ox_match_node(m, "mm");
    *fits = false;
    *a = (struct matrix){.w = ox_match_const(m, "w"), .batch = 1, .alpha = 1, .beta = 1};
    if (a->w->rank < 2 || a->w->count == 0 || !ox_const_readable(a->w->dtype))
        return ox_match_refuse(m, "the weight is not a matrix");
    if (!ox_affine_may_copy(ox_match_value(m, "w")))
        return ox_match_refuse(m, "the weight has other uses");
    a->k = (size_t)a->w->dims[a->w->rank - 2];
    a->n = (size_t)a->w->dims[a->w->rank - 1];
    a->batch = a->w->count / (a->k * a->n);
    if (ox_node_is(node, "Gemm")) {
        struct ox_gemm_params p;
        OX_TRY(ox_match_params(&p, sizeof p, m, node));
        a->flip = p.trans_b;
        a->alpha = p.alpha;
        a->beta = p.beta;
        if (a->flip) {
            size_t k = a->n;
            a->n = a->k;
            a->k = k;
        }
    }
    *fits = true;
    return OX_OK;
}

static ox_status scale_matrix(struct ox_match *m, const struct matrix *a, const double *factor,
                              bool by_row) {
    ox_tensor *t;
    bool first = by_row != a->flip; /* the factor is told by the first dim of each matrix */
    size_t d0 = a->flip ? a->n : a->k, d1 = a->flip ? a->k : a->n;
    OX_TRY(ox_const_scale(&t, ox_match_run(m)->ctx, a->w, first ? a->batch : a->batch * d0,
                          first ? d0 : d1, first ? d1 : 1, factor));
    return ox_affine_make(m, "w2", t, ox_match_value(m, "w"));
}

/* Gemm's C as one number per column, times beta. */
static ox_status columns(bool *fits, double **out, struct ox_match *m, const struct matrix *a) {
    const ox_tensor *c = ox_match_const(m, "b");
    ox_ctx *ctx = ox_match_run(m)->ctx;
    *fits = true;
    if (!c) return ox_alloc(ctx, out, a->n, sizeof **out);
    OX_TRY(ox_const_per_channel(fits, out, ctx, c, 2, 1, a->n));
    if (!*fits) return ox_match_refuse(m, "the bias is not one number a column");
    for (size_t i = 0; i < a->n; i++)
        (*out)[i] *= (double)a->beta;
    return OX_OK;
}

static ox_status make_columns(struct ox_match *m, const struct matrix *a, const double *c) {
    ox_tensor *t;
    int64_t dims[1] = {(int64_t)a->n};
    OX_TRY(ox_const_from_doubles(&t, ox_match_run(m)->ctx, a->w->dtype, 1, dims, c));
    OX_TRY(ox_match_drop(m, "mm", "beta"));
    return ox_affine_make(m, "b2", t, ox_match_value(m, "b"));
}

/* ---- behind a Gemm or MatMul -------------------------------------------------------------------
 */

static ox_status gemm_behind(struct ox_match *m) {
    struct matrix w;
    struct ox_affine a;
    double *c;
    bool fits;
    OX_TRY(read_matrix(&fits, &w, m));
    if (!fits) return OX_OK;
    OX_TRY(ox_affine_of(&fits, &a, m, ox_match_root(m), ox_match_value(m, "y"), 2, 1, w.n));
    if (!fits) return OX_OK;
    ox_status s = columns(&fits, &c, m, &w);
    if (s == OX_OK && fits) {
        for (size_t i = 0; i < w.n; i++)
            c[i] = c[i] * a.scale[i] + a.shift[i];
        s = make_columns(m, &w, c);
        ox_free(a.ctx, c);
        if (s == OX_OK) s = scale_matrix(m, &w, a.scale, false);
    }
    ox_affine_free(&a);
    return s;
}

/* A factor per column behind MatMul, or behind MatMul and Add: then the bias gets it by a node that
 * is folded. */
static ox_status matmul_behind(struct ox_match *m) {
    struct matrix w;
    struct ox_affine a;
    bool fits;
    const struct ox_type *y = ox_match_type(m, "y");
    OX_TRY(read_matrix(&fits, &w, m));
    if (!fits) return OX_OK;
    if (y->rank < 1) return ox_match_refuse(m, "the rank is not known");
    OX_TRY(ox_affine_of(&fits, &a, m, ox_match_root(m), ox_match_value(m, "y"), y->rank, -1, w.n));
    if (!fits) return OX_OK;
    ox_status s = a.shifts ? ox_match_refuse(m, "MatMul takes no shift")
                           : scale_matrix(m, &w, a.scale, false);
    ox_affine_free(&a);
    return s;
}

/* ---- before ------------------------------------------------------------------------------------
 */

static ox_status before(struct ox_match *m) {
    struct matrix w;
    struct ox_affine a;
    double *c;
    bool fits, gemm = ox_node_is(ox_match_root(m), "Gemm");
    const struct ox_type *x = ox_match_type(m, "x");
    OX_TRY(read_matrix(&fits, &w, m));
    if (!fits) return OX_OK;
    if (x->rank < 1 || !ox_dim_same(x->dims[x->rank - 1], ox_dim_const((int64_t)w.k)))
        return ox_match_refuse(m, "its input's columns are not known");
    OX_TRY(ox_affine_of(&fits, &a, m, ox_match_node(m, "a"), ox_match_value(m, "x"), x->rank, -1,
                        w.k));
    if (!fits) return OX_OK;
    ox_status s = OX_OK;
    if (!gemm && a.shifts) {
        s = ox_match_refuse(m, "MatMul takes no shift");
    } else if (gemm) {
        struct ox_gemm_params p;
        s = ox_match_params(&p, sizeof p, m, ox_match_root(m));
        if (s == OX_OK && p.trans_a)
            s = ox_match_refuse(m, "the input is transposed"), fits = false;
        if (s == OX_OK && fits) s = columns(&fits, &c, m, &w);
        if (s == OX_OK && fits) {
            for (size_t j = 0; j < w.n; j++)
                for (size_t i = 0; i < w.k; i++)
                    if (a.shift[i] != 0)
                        c[j] += (double)w.alpha * a.shift[i] *
                                ox_const_at(w.w, w.flip ? j * w.k + i : i * w.n + j);
            s = make_columns(m, &w, c);
            ox_free(a.ctx, c);
        }
    }
    if (s == OX_OK && fits && !(a.shifts && !gemm)) s = scale_matrix(m, &w, a.scale, true);
    ox_affine_free(&a);
    return s;
}

/* ---- forms -------------------------------------------------------------------------------------
 */

static ox_status two_dims(struct ox_match *m) {
    const struct ox_type *x = ox_match_type(m, "x"), *w = ox_match_type(m, "w");
    if (x->rank != 2 || w->rank != 2) return ox_match_refuse(m, "not a product of two matrices");
    return OX_OK;
}

/* Gemm without C, or with beta 0, takes the summand as it is. */
static ox_status gemm_takes(struct ox_match *m) {
    OX_TRY(ox_match_drop(m, "mm", "beta"));
    return OX_OK;
}

static bool swaps_two(const struct ox_node *transpose) {
    const struct ox_attr *a = ox_node_attr(transpose, "perm");
    return !a || (a->type == OX_ATTR_INTS && a->count == 2 && a->v.ints[0] == 1);
}

static ox_status flip(struct ox_match *m, const char *attr) {
    struct ox_gemm_params p;
    OX_TRY(ox_match_params(&p, sizeof p, m, ox_match_root(m)));
    if (!swaps_two(ox_match_node(m, "t")))
        return ox_match_refuse(m, "the Transpose does not swap two dims");
    return ox_match_set_int(m, "mm", attr, strcmp(attr, "transA") == 0 ? !p.trans_a : !p.trans_b);
}

static ox_status flip_a(struct ox_match *m) {
    return flip(m, "transA");
}

static ox_status flip_b(struct ox_match *m) {
    return flip(m, "transB");
}

/* clang-format off */
#define GEMM_BEHIND(counter, root) \
    {counter, "[mm] y = Gemm(x, w, b)  z = " root, "w const; b const; y float", "[mm] z = Gemm(x, w2, b2)", gemm_behind}
#define GEMM_BEFORE(counter, node) \
    {counter, "a = " node "  [mm] y = Gemm(a, w, b)", "w const; b const; x float", "[mm] y = Gemm(x, w2, b2)", before}

static const struct ox_rule rules[] = {
    {"gemm", "a = MatMul(x, w)  y = Add(a, b)", "y like a; a float", "y = Gemm(x, w, b)", two_dims},
    {"gemm", "[mm] a = Gemm(x, w)  y = Add(a, b)", "y like a; a float", "[mm] y = Gemm(x, w, b)", gemm_takes},

    GEMM_BEHIND("bn-behind", "BatchNormalization(y, s, t, mean, var)"),
    GEMM_BEHIND("mul-behind", "Mul(y, c)"),
    GEMM_BEHIND("mul-behind", "Div(y, c)"),
    GEMM_BEHIND("add-behind", "Add(y, c)"),
    GEMM_BEHIND("add-behind", "Sub(y, c)"),
    GEMM_BEHIND("add-behind", "Sub(c, y)"),
    GEMM_BEFORE("bn-before", "BatchNormalization(x, s, t, mean, var)"),
    GEMM_BEFORE("mul-before", "Mul(x, c)"),
    GEMM_BEFORE("mul-before", "Div(x, c)"),
    GEMM_BEFORE("add-before", "Add(x, c)"),
    GEMM_BEFORE("add-before", "Sub(x, c)"),
    GEMM_BEFORE("add-before", "Sub(c, x)"),

    {"mul-behind", "[mm] y = MatMul(x, w)  z = Mul(y, c)", "w const; y float", "[mm] z = MatMul(x, w2)", matmul_behind},
    {"mul-behind", "[mm] y = MatMul(x, w)  z = Div(y, c)", "w const; y float", "[mm] z = MatMul(x, w2)", matmul_behind},
    {"mul-behind", "[mm] p = MatMul(x, w)  [add] y = Add(p, b)  z = Mul(y, c)", "w const; b const; c const; y float",
     "[mm] p = MatMul(x, w2)  b2 = Mul(b, c)  [add] z = Add(p, b2)", matmul_behind},
    {"mul-behind", "[mm] p = MatMul(x, w)  [add] y = Add(p, b)  z = Div(y, c)", "w const; b const; c const; y float",
     "[mm] p = MatMul(x, w2)  b2 = Div(b, c)  [add] z = Add(p, b2)", matmul_behind},
    {"mul-before", "a = Mul(x, c)  [mm] y = MatMul(a, w)", "w const; x float", "[mm] y = MatMul(x, w2)", before},
    {"mul-before", "a = Div(x, c)  [mm] y = MatMul(a, w)", "w const; x float", "[mm] y = MatMul(x, w2)", before},

    {"transpose", "t = Transpose(x)  [mm] y = Gemm(t, w, b)", NULL, "[mm] y = Gemm(x, w, b)", flip_a},
    {"transpose", "t = Transpose(w)  [mm] y = Gemm(x, t, b)", NULL, "[mm] y = Gemm(x, w, b)", flip_b},
};
/* clang-format on */

ox_status ox_pass_fuse_matmul(struct ox_pass_run *run) {
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
