/* tests/unit/test_op_matmul.c - MatMul, Gemm and Einsum against plain loops in double precision. */
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

static void unflatten(size_t i, int rank, const int64_t *dims, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(i % (size_t)dims[d]);
        i /= (size_t)dims[d];
    }
}

static double number(const ox_tensor *t, size_t i) {
    switch (t->dtype) {
    case OX_FLOAT:
        return (double)((const float *)t->data)[i];
    case OX_DOUBLE:
        return ((const double *)t->data)[i];
    case OX_INT32:
        return ((const int32_t *)t->data)[i];
    case OX_INT64:
        return (double)((const int64_t *)t->data)[i];
    case OX_UINT32:
        return ((const uint32_t *)t->data)[i];
    case OX_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    case OX_INT8:
        return ((const int8_t *)t->data)[i];
    case OX_UINT8:
        return ((const uint8_t *)t->data)[i];
    case OX_INT16:
        return ((const int16_t *)t->data)[i];
    case OX_UINT16:
        return ((const uint16_t *)t->data)[i];
    case OX_FLOAT16:
        return (double)ox_half_to_float(((const uint16_t *)t->data)[i]);
    default:
        return (double)ox_bfloat16_to_float(((const uint16_t *)t->data)[i]);
    }
}

/* An input of small whole numbers, so that every type computes exactly. */
static void add_whole(struct oh *h, uint64_t *seed, ox_dtype dtype, int rank, const int64_t *dims) {
    void *data = oh_input(h, dtype, rank, dims);
    for (size_t i = 0; i < h->in[h->n_in - 1]->count; i++) {
        int v = (int)oh_pick(seed, 7) - 3;
        switch (dtype) {
        case OX_FLOAT:
            ((float *)data)[i] = (float)v;
            break;
        case OX_DOUBLE:
            ((double *)data)[i] = v;
            break;
        case OX_INT32:
            ((int32_t *)data)[i] = v;
            break;
        case OX_INT64:
            ((int64_t *)data)[i] = v;
            break;
        case OX_UINT32:
            ((uint32_t *)data)[i] = (uint32_t)(v + 3);
            break;
        case OX_UINT64:
            ((uint64_t *)data)[i] = (uint64_t)(v + 3);
            break;
        case OX_INT8:
            ((int8_t *)data)[i] = (int8_t)v;
            break;
        case OX_UINT8:
            ((uint8_t *)data)[i] = (uint8_t)(v + 3);
            break;
        case OX_INT16:
            ((int16_t *)data)[i] = (int16_t)v;
            break;
        case OX_UINT16:
            ((uint16_t *)data)[i] = (uint16_t)(v + 3);
            break;
        case OX_FLOAT16:
            ((uint16_t *)data)[i] = ox_float_to_half((float)v);
            break;
        default:
            ((uint16_t *)data)[i] = ox_float_to_bfloat16((float)v);
            break;
        }
    }
}

/* ---- MatMul ---------------------------------------------------------------------------------- */

/* Element `at` of a batch of matrices, broadcast. */
static double matrix_element(const ox_tensor *t, int rank, const int64_t *batch_at, int64_t i,
                             int64_t j) {
    int64_t at = 0;
    for (int d = 0; d < t->rank - 2; d++) {
        int64_t k = batch_at[rank - (t->rank - 2) + d];
        at = at * t->dims[d] + (t->dims[d] == 1 ? 0 : k);
    }
    return number(t, (size_t)((at * t->dims[t->rank - 2] + i) * t->dims[t->rank - 1] + j));
}

static void check_matmul(const struct oh *h, double tolerance) {
    const ox_tensor *a = h->in[0], *b = h->in[1], *y = h->out[0];
    int batch = y->rank - 2;
    int64_t k = a->dims[a->rank - 1];
    for (size_t e = 0; e < y->count; e++) {
        int64_t at[OX_MAX_RANK];
        double sum = 0, magnitude = 1e-3;
        unflatten(e, y->rank, y->dims, at);
        for (int64_t x = 0; x < k; x++) {
            double term = matrix_element(a, batch, at, at[batch], x) *
                          matrix_element(b, batch, at, x, at[batch + 1]);
            sum += term;
            magnitude += fabs(term);
        }
        ck_assert_msg(fabs(number(y, e) - sum) <= tolerance * magnitude,
                      "element %zu is %g, expected %g", e, number(y, e), sum);
    }
}

static void random_matmul(uint64_t *seed) {
    int64_t batch[3], a[5], b[5], out[5];
    int rank = (int)oh_pick(seed, 4), a_rank = 0, b_rank = 0;
    int64_t m = (int64_t)oh_pick(seed, 20), n = (int64_t)oh_pick(seed, 50),
            k = (int64_t)oh_pick(seed, 40);
    int a_from = rank ? (int)oh_pick(seed, (uint64_t)rank + 1) : 0,
        b_from = a_from ? 0
                 : rank ? (int)oh_pick(seed, (uint64_t)rank + 1)
                        : 0;
    for (int d = 0; d < rank; d++) {
        batch[d] = oh_pick(seed, 9) ? 1 + (int64_t)oh_pick(seed, 3) : 0;
        int which = (int)oh_pick(seed, 3); /* which operand is broadcast */
        if (d >= a_from) a[a_rank++] = which == 1 && d >= b_from ? 1 : batch[d];
        if (d >= b_from) b[b_rank++] = which == 2 && d >= a_from ? 1 : batch[d];
        out[d] = batch[d];
    }
    a[a_rank++] = m, a[a_rank++] = k;
    b[b_rank++] = k, b[b_rank++] = n;
    out[rank] = m, out[rank + 1] = n;
    struct oh h;
    oh_init(&h, "MatMul", 13, 1);
    oh_random(&h, seed, a_rank, a);
    oh_random(&h, seed, b_rank, b);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    oh_expect_dims(&h, 0, rank + 2, out);
    check_matmul(&h, 1e-6);
    oh_same_with_threads(&h, 2);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(random_products) {
    uint64_t seed = 300 + (uint64_t)_i;
    for (int i = 0; i < 100; i++)
        random_matmul(&seed);
}
END_TEST

START_TEST(products_of_vectors) {
    struct oh h;
    oh_init(&h, "MatMul", 9, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), (float[]){1, 2, 3});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), (float[]){4, 5, 6});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 0, NULL);
    oh_expect_floats(&h, 0, 1, (double[]){32}, 0);
    oh_fini(&h);
    oh_init(&h, "MatMul", 9, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){1, 10});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2, 1), (float[]){1, 2, 3, 4});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(2, 1));
    oh_expect_floats(&h, 0, 2, (double[]){21, 43}, 0);
    oh_fini(&h);
    oh_init(&h, "MatMul", 9, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 1, 2), (float[]){1, 2, 3, 4});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){1, 10});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(2, 1));
    oh_expect_floats(&h, 0, 2, (double[]){21, 43}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(all_types_multiply) {
    static const ox_dtype types[] = {OX_DOUBLE, OX_INT32,   OX_INT64,   OX_UINT32,
                                     OX_UINT64, OX_FLOAT16, OX_BFLOAT16};
    uint64_t seed = 9;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct oh h;
        oh_init(&h, "MatMul", 13, 2);
        add_whole(&h, &seed, types[i], OH_DIMS(2, 5, 7));
        add_whole(&h, &seed, types[i], OH_DIMS(2, 7, 3));
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        ck_assert_int_eq(h.out[0]->dtype, types[i]);
        check_matmul(&h, 0);
        oh_fini(&h);
    }
}
END_TEST

/* ---- Gemm ------------------------------------------------------------------------------------ */

static void random_gemm(uint64_t *seed, ox_dtype dtype) {
    int64_t m = 1 + (int64_t)oh_pick(seed, 20), n = 1 + (int64_t)oh_pick(seed, 40),
            k = (int64_t)oh_pick(seed, 30);
    bool trans_a = oh_pick(seed, 2), trans_b = oh_pick(seed, 2),
         exact = dtype != OX_FLOAT && dtype != OX_DOUBLE;
    float alpha = exact              ? 1
                  : oh_pick(seed, 4) ? 0.5f
                                     : 0,
          beta = exact              ? (float)oh_pick(seed, 2)
                 : oh_pick(seed, 3) ? 2
                                    : 0;
    const int64_t c_dims[7][2] = {{m, n}, {1, n}, {m, 1}, {1, 1}, {n, 0}, {1, 0}, {0, 0}};
    const int c_ranks[7] = {2, 2, 2, 2, 1, 1, 0};
    struct oh h;
    oh_init(&h, "Gemm", 13, 1);
    add_whole(&h, seed, dtype, OH_DIMS(trans_a ? k : m, trans_a ? m : k));
    add_whole(&h, seed, dtype, OH_DIMS(trans_b ? n : k, trans_b ? k : n));
    size_t which = oh_pick(seed, 8);
    if (which < 7) add_whole(&h, seed, dtype, c_ranks[which], c_dims[which]);
    if (trans_a) oh_int(&h, "transA", 1);
    if (trans_b) oh_int(&h, "transB", 1);
    if (alpha != 1) oh_float(&h, "alpha", alpha);
    if (beta != 1) oh_float(&h, "beta", beta);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    oh_expect_dims(&h, 0, OH_DIMS(m, n));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t x = 0; x < k; x++)
                sum += number(h.in[0], (size_t)(trans_a ? x * m + i : i * k + x)) *
                       number(h.in[1], (size_t)(trans_b ? j * k + x : x * n + j));
            sum *= (double)alpha;
            if (which < 7) {
                const ox_tensor *c = h.in[2];
                bool wide = c->rank > 0 && c->dims[c->rank - 1] == n && n > 1,
                     high = c->rank > 1 && c->dims[0] == m && m > 1;
                sum += (double)beta *
                       number(c, (size_t)((high ? i * (wide ? n : 1) : 0) + (wide ? j : 0)));
            }
            ck_assert_double_eq(number(h.out[0], (size_t)(i * n + j)), sum);
        }
    }
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(random_gemms) {
    static const ox_dtype types[] = {OX_FLOAT, OX_FLOAT,  OX_DOUBLE, OX_INT32,
                                     OX_INT64, OX_UINT32, OX_UINT64, OX_FLOAT16};
    uint64_t seed = 71;
    for (int i = 0; i < 160; i++)
        random_gemm(&seed, types[i % 8]);
}
END_TEST

/* ---- Einsum ---------------------------------------------------------------------------------- */

/* Sums over all labels of an equation without ellipsis, one by one. */
static void check_einsum(const struct oh *h, const char *terms, const char *out) {
    int64_t dims[128] = {0}, at[128] = {0};
    const char *starts[OH_MAX] = {terms};
    size_t n = 1;
    for (const char *c = terms; *c; c++)
        if (*c == ',') starts[n++] = c + 1;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < h->in[i]->rank; k++)
            if (dims[(int)starts[i][k]] < 2) dims[(int)starts[i][k]] = h->in[i]->dims[k];
    double *expected = calloc(h->out[0]->count + 1, sizeof *expected);
    bool empty = false, done = false;
    for (int l = 0; l < 128; l++)
        for (const char *c = terms; *c; c++)
            empty = empty || (*c == l && l != ',' && dims[l] == 0);
    while (!empty && !done) {
        double term = 1;
        size_t to = 0;
        for (size_t i = 0; i < n; i++) {
            size_t from = 0;
            for (int k = 0; k < h->in[i]->rank; k++)
                from = from * (size_t)h->in[i]->dims[k] +
                       (h->in[i]->dims[k] == 1 ? 0 : (size_t)at[(int)starts[i][k]]);
            term *= number(h->in[i], from);
        }
        for (const char *c = out; *c; c++)
            to = to * (size_t)dims[(int)*c] + (size_t)at[(int)*c];
        expected[to] += term;
        done = true;
        for (int l = 0; done && l < 128; l++) {
            if (dims[l] == 0) continue;
            if (++at[l] < dims[l])
                done = false;
            else
                at[l] = 0;
        }
    }
    for (size_t i = 0; i < h->out[0]->count; i++)
        ck_assert_msg(fabs(number(h->out[0], i) - expected[i]) <= 1e-5 * (1 + fabs(expected[i])),
                      "%s->%s: element %zu is %g, expected %g", terms, out, i, number(h->out[0], i),
                      expected[i]);
    free(expected);
}

static const struct einsum_case {
    const char *equation, *terms, *out;
    int ranks[3];
    int64_t dims[3][4];
} einsum_cases[] = {
    {"ij,jk->ik", "ij,jk", "ik", {2, 2}, {{3, 4}, {4, 5}}},
    {" i j , j k ", "ij,jk", "ik", {2, 2}, {{3, 4}, {4, 5}}},
    {"bhqd,bhkd->bhqk", "bhqd,bhkd", "bhqk", {4, 4}, {{2, 3, 4, 5}, {2, 3, 6, 5}}},
    {"bij,bjk->bki", "bij,bjk", "bki", {3, 3}, {{2, 3, 4}, {2, 4, 5}}},
    {"ij->ji", "ij", "ji", {2}, {{3, 4}}},
    {"ij->", "ij", "", {2}, {{3, 4}}},
    {"ij->j", "ij", "j", {2}, {{3, 4}}},
    {"ii->i", "ii", "i", {2}, {{4, 4}}},
    {"ii", "ii", "", {2}, {{4, 4}}},
    {"i,j->ij", "i,j", "ij", {1, 1}, {{3}, {4}}},
    {"i,i", "i,i", "", {1, 1}, {{5}, {5}}},
    {"i,->i", "i,", "i", {1, 0}, {{5}, {0}}},
    {"ij,jk,kl->il", "ij,jk,kl", "il", {2, 2, 2}, {{2, 3}, {3, 4}, {4, 5}}},
    {"ij,kj,lj->ikl", "ij,kj,lj", "ikl", {2, 2, 2}, {{2, 3}, {4, 3}, {5, 3}}},
    {"Ba,aB", "Ba,aB", "", {2, 2}, {{2, 3}, {3, 2}}},
    {"ba", "ba", "ab", {2}, {{2, 3}}},
    {"ij,jk->ik", "ij,jk", "ik", {2, 2}, {{3, 1}, {4, 5}}},
    {"ij,jk->ik", "ij,jk", "ik", {2, 2}, {{3, 0}, {0, 5}}},
    {"iji,j->ij", "iji,j", "ij", {3, 1}, {{3, 2, 3}, {2}}},
    {"ij,kl->ik", "ij,kl", "ik", {2, 2}, {{3, 2}, {4, 5}}},
};

START_TEST(einsums_without_ellipsis) {
    static const ox_dtype types[] = {OX_FLOAT, OX_DOUBLE, OX_INT32,  OX_INT64,  OX_INT16,
                                     OX_INT8,  OX_UINT8,  OX_UINT16, OX_FLOAT16};
    uint64_t seed = 5;
    for (size_t i = 0; i < sizeof einsum_cases / sizeof *einsum_cases; i++) {
        const struct einsum_case *c = &einsum_cases[i];
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            struct oh h;
            oh_init(&h, "Einsum", 12, 2);
            size_t n = 1;
            for (const char *s = c->terms; *s; s++)
                n += *s == ',';
            for (size_t o = 0; o < n; o++)
                add_whole(&h, &seed, types[k], c->ranks[o], c->dims[o]);
            oh_string(&h, "equation", c->equation);
            ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", c->equation, h.text);
            ck_assert_int_eq(h.out[0]->rank, (int)strlen(c->out));
            bool wraps =
                types[k] == OX_UINT8 || types[k] == OX_INT8; /* some sums leave the range */
            if (!wraps) check_einsum(&h, c->terms, c->out);
            oh_same_with_threads(&h, 3);
            oh_fini(&h);
        }
    }
}
END_TEST

START_TEST(einsums_with_ellipsis) {
    static const struct {
        const char *equation, *terms, *out; /* written out for the plain loop */
        int ranks[2];
        int64_t dims[2][4];
    } cases[] = {
        {"...ij,...jk->...ik", "abij,abjk", "abik", {4, 4}, {{2, 3, 2, 4}, {2, 3, 4, 2}}},
        {"...ij,...jk", "abij,abjk", "abik", {4, 4}, {{2, 3, 2, 4}, {2, 3, 4, 2}}},
        {"...ij,...jk->...ik", "abij,bjk", "abik", {4, 3}, {{2, 3, 2, 4}, {3, 4, 2, 0}}},
        {"i...->...i", "iab", "abi", {3}, {{2, 3, 4}}},
        {"...i->...", "abi", "ab", {3}, {{2, 3, 4}}},
        {"...ii->...i", "aii", "ai", {3}, {{2, 3, 3}}},
        {"i...j,j->i...", "iabj,j", "iab", {4, 1}, {{2, 3, 1, 4}, {4}}},
        {"...,...->...", "ab,ab", "ab", {2, 2}, {{2, 3}, {1, 3}}},
    };
    uint64_t seed = 6;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oh h;
        oh_init(&h, "Einsum", 12, 1);
        for (int o = 0; o < 2 && (o == 0 || cases[i].ranks[o]); o++)
            add_whole(&h, &seed, OX_FLOAT, cases[i].ranks[o], cases[i].dims[o]);
        oh_string(&h, "equation", cases[i].equation);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s: %s", cases[i].equation, h.text);
        ck_assert_int_eq(h.out[0]->rank, (int)strlen(cases[i].out));
        check_einsum(&h, cases[i].terms, cases[i].out);
        oh_fini(&h);
    }
}
END_TEST

/* ---- wrong inputs ---------------------------------------------------------------------------- */

static void expect_invalid(struct oh *h) {
    ck_assert_int_eq(oh_eval(h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(h, 1, false), OX_INVALID);
    ck_assert_int_eq(oh_infer(h, 1, true), OX_INVALID);
    oh_fini(h);
}

static void two(struct oh *h, const char *op, ox_dtype a, int a_rank, const int64_t *a_dims,
                ox_dtype b, int b_rank, const int64_t *b_dims) {
    oh_init(h, op, 13, 1);
    oh_input(h, a, a_rank, a_dims);
    oh_input(h, b, b_rank, b_dims);
}

START_TEST(wrong_products) {
    struct oh h;
    two(&h, "MatMul", OX_FLOAT, OH_DIMS(1, 4), OX_FLOAT, OH_DIMS(5, 3)), expect_invalid(&h);
    two(&h, "MatMul", OX_FLOAT, OH_DIMS(4), OX_FLOAT, OH_DIMS(5)), expect_invalid(&h);
    two(&h, "MatMul", OX_FLOAT, 0, NULL, OX_FLOAT, OH_DIMS(1, 3)), expect_invalid(&h);
    two(&h, "MatMul", OX_FLOAT, OH_DIMS(2, 1, 4), OX_FLOAT, OH_DIMS(3, 4, 1)), expect_invalid(&h);
    two(&h, "MatMul", OX_FLOAT, OH_DIMS(1, 4), OX_DOUBLE, OH_DIMS(4, 3)), expect_invalid(&h);
    two(&h, "MatMul", OX_BOOL, OH_DIMS(1, 4), OX_BOOL, OH_DIMS(4, 3)), expect_invalid(&h);
    two(&h, "Gemm", OX_FLOAT, OH_DIMS(1, 4), OX_FLOAT, OH_DIMS(5, 3)), expect_invalid(&h);
    two(&h, "Gemm", OX_FLOAT, OH_DIMS(1, 4, 1), OX_FLOAT, OH_DIMS(4, 3)), expect_invalid(&h);
    two(&h, "Gemm", OX_FLOAT, OH_DIMS(2, 4), OX_FLOAT, OH_DIMS(4, 3));
    oh_input(&h, OX_FLOAT, OH_DIMS(2)), expect_invalid(&h);
    two(&h, "Gemm", OX_FLOAT, OH_DIMS(2, 4), OX_FLOAT, OH_DIMS(4, 3));
    oh_input(&h, OX_FLOAT, OH_DIMS(1, 2, 3)), expect_invalid(&h);
}
END_TEST

START_TEST(wrong_equations) {
    static const char *const equations[] = {
        "ij",          "ij,jk,kl->il", "ij,jk->iz", "ij,jk->ii", "i1,jk->i",    "ij,jk-ik",
        "ij,jk->ik,",  "ij,..jk->ik",  "ijk,jk->i", "i,jk->ik",  "......ij,jk", "",
        "ij,jk->i->k", "ij,jj->i",     "ij.,jk->ik"};
    for (size_t i = 0; i < sizeof equations / sizeof *equations; i++) {
        struct oh h;
        two(&h, "Einsum", OX_FLOAT, OH_DIMS(3, 4), OX_FLOAT, OH_DIMS(4, 5));
        oh_string(&h, "equation", equations[i]);
        ck_assert_msg(oh_eval(&h, 1) == OX_INVALID, "accepts %s", equations[i]);
        ck_assert_msg(oh_infer(&h, 1, false) == OX_INVALID, "inference accepts %s", equations[i]);
        oh_fini(&h);
    }
    struct oh h;
    two(&h, "Einsum", OX_FLOAT, OH_DIMS(3, 4), OX_FLOAT, OH_DIMS(3, 5)),
        oh_string(&h, "equation", "ij,jk"), expect_invalid(&h);
    two(&h, "Einsum", OX_FLOAT, OH_DIMS(3, 4), OX_FLOAT, OH_DIMS(4, 5)), expect_invalid(&h);
    /* sums that need not be multiplied out, and an output that no memory holds */
    oh_init(&h, "Einsum", 13, 1);
    int64_t n = 1 << 16;
    for (int i = 0; i < 5; i++)
        oh_input(&h, OX_INT8, 1, &n);
    oh_string(&h, "equation", "a,b,c,d,e->");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    h.n_attrs = 0;
    oh_string(&h, "equation", "a,b,c,d,e->abcde");
    ck_assert_int_ne(oh_eval(&h, 1), OX_OK);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_matmul");
    TCase *t = tcase_create("op_matmul");
    tcase_add_loop_test(t, random_products, 0, 2);
    tcase_add_test(t, products_of_vectors);
    tcase_add_test(t, all_types_multiply);
    tcase_add_test(t, random_gemms);
    tcase_add_test(t, einsums_without_ellipsis);
    tcase_add_test(t, einsums_with_ellipsis);
    tcase_add_test(t, wrong_products);
    tcase_add_test(t, wrong_equations);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
