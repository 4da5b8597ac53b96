/* tests/unit/test_dim.c - symbolic dims: what simplifies, and that simplifying never changes a
 * value. */
#include "ir/base/dim.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static ox_ctx *ctx;
static struct ox_names names;
static struct ox_dims dims;
static uint64_t seed;

static void setup(void) {
    ck_assert_int_eq(ox_ctx_new(&ctx, NULL), OX_OK);
    ox_names_init(&names, ctx);
    ox_dims_init(&dims, ctx);
    seed = 12345;
}

static void teardown(void) {
    ox_dims_fini(&dims);
    ox_names_fini(&names);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static uint32_t rnd(uint32_t n) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % n;
}

static ox_dim num(int64_t k) {
    return ox_dim_const(k);
}

static ox_dim sym(const char *text) {
    ox_name name;
    ox_dim d;
    ck_assert_int_eq(ox_name_get(&name, &names, text, strlen(text)), OX_OK);
    ck_assert_int_eq(ox_dim_symbol(&d, &dims, name), OX_OK);
    return d;
}

typedef ox_status (*op_fn)(ox_dim *, struct ox_dims *, ox_dim, ox_dim);
static const op_fn ops[] = {ox_dim_add,     ox_dim_sub, ox_dim_mul, ox_dim_floordiv,
                            ox_dim_ceildiv, ox_dim_mod, ox_dim_min, ox_dim_max};
enum { ADD, SUB, MUL, FLOORDIV, CEILDIV, MOD, MIN, MAX, N_OPS };

static ox_dim do_op(int op, ox_dim a, ox_dim b) {
    ox_dim d;
    ck_assert_int_eq(ops[op](&d, &dims, a, b), OX_OK);
    return d;
}

#define add(a, b) do_op(ADD, a, b)
#define sub(a, b) do_op(SUB, a, b)
#define mul(a, b) do_op(MUL, a, b)
#define quo(a, b) do_op(FLOORDIV, a, b)
#define ceil_quo(a, b) do_op(CEILDIV, a, b)
#define mod(a, b) do_op(MOD, a, b)
#define min(a, b) do_op(MIN, a, b)
#define max(a, b) do_op(MAX, a, b)

static void assert_text(ox_dim d, const char *expected) {
    char buf[256];
    size_t n = ox_dim_print(buf, sizeof buf, d);
    ck_assert_uint_eq(n, strlen(buf));
    ck_assert_str_eq(buf, expected);
}

#define assert_same(a, b) ck_assert(ox_dim_same(a, b))

START_TEST(numbers) {
    assert_same(add(num(3), num(4)), num(7));
    assert_same(mul(num(-3), num(4)), num(-12));
    assert_same(quo(num(-7), num(2)), num(-4));
    assert_same(quo(num(7), num(-2)), num(-4));
    assert_same(ceil_quo(num(7), num(2)), num(4));
    assert_same(ceil_quo(num(7), num(-2)), num(-3));
    assert_same(mod(num(-7), num(3)), num(2));
    assert_same(mod(num(7), num(-3)), num(-2));
    assert_same(min(num(2), num(3)), num(2));
    assert_same(max(num(2), num(3)), num(3));
    assert_text(num(INT64_MIN), "-9223372036854775808");
}
END_TEST

START_TEST(sums_and_products_are_canonical) {
    ox_dim n = sym("n"), m = sym("m");
    assert_same(add(n, m), add(m, n));
    assert_same(mul(n, m), mul(m, n));
    assert_same(sub(add(n, m), m), n);
    assert_same(sub(n, n), num(0));
    assert_same(mul(add(n, num(1)), add(n, num(-1))), sub(mul(n, n), num(1)));
    assert_same(mul(n, num(0)), num(0));
    assert_text(add(mul(num(2), n), num(1)), "2*n + 1");
    assert_text(sub(num(3), n), "-n + 3");
    assert_text(mul(mul(n, m), num(-4)), "-4*n*m");
    assert_text(sub(mul(n, n), m), "n*n - m");
    ck_assert_ptr_eq(ox_dim_name(n), ox_name_find(&names, "n", 1));
    ck_assert_ptr_null(ox_dim_name(add(n, num(1))));
    ck_assert_ptr_null(ox_dim_name(num(1)));
    ck_assert(ox_dim_same(sym("n"), n));
}
END_TEST

START_TEST(quotients_simplify) {
    ox_dim n = sym("n"), m = sym("m"), h = sym("h");
    assert_same(quo(mul(num(6), n), num(3)), mul(num(2), n));
    assert_same(quo(mul(mul(n, m), num(49)), mul(m, num(7))), mul(n, num(7)));
    assert_same(quo(mul(add(n, num(1)), m), add(n, num(1))), m);
    assert_same(quo(mul(add(n, m), add(h, num(2))), add(h, num(2))), add(n, m));
    assert_same(quo(mul(num(3), n), mul(num(2), n)), num(1));
    assert_same(quo(n, n), num(1));
    assert_same(quo(add(mul(num(4), n), num(3)), num(4)), n);
    assert_same(quo(n, add(n, num(1))), num(0));
    assert_same(quo(quo(n, num(2)), num(3)), quo(n, num(6)));
    /* Two strided windows: ((h - 1)/2 + 1 - 1)/2 + 1. */
    ox_dim once = add(quo(sub(h, num(1)), num(2)), num(1));
    ox_dim twice = add(quo(sub(once, num(1)), num(2)), num(1));
    assert_same(once, ceil_quo(h, num(2)));
    assert_same(twice, ceil_quo(h, num(4)));
    assert_text(twice, "floor((h + 3)/4)");
    assert_text(quo(n, mul(m, num(2))), "floor(n/(2*m))");
    assert_same(quo(n, num(-2)), quo(mul(n, num(-1)), num(2)));
    ck_assert(!ox_dim_is_known(quo(n, num(0))));
    ck_assert(!ox_dim_is_known(mod(n, num(0))));
}
END_TEST

START_TEST(remainders_and_extrema_simplify) {
    ox_dim n = sym("n"), m = sym("m");
    assert_same(mod(mul(num(6), n), num(3)), num(0));
    assert_same(mod(add(mul(num(6), n), num(5)), num(3)), num(2));
    assert_same(mod(mul(n, m), m), num(0));
    assert_text(mod(add(mul(num(2), n), num(5)), num(4)), "2*mod(n, 2) + 1");
    assert_same(min(n, add(n, num(1))), n);
    assert_same(max(n, add(n, m)), add(n, m));
    assert_same(max(n, num(0)), n);
    assert_same(max(n, num(-5)), n);
    assert_same(min(quo(n, num(2)), n), quo(n, num(2)));
    assert_same(min(min(n, num(7)), num(3)), min(n, num(3)));
    assert_same(min(min(n, m), n), min(m, n));
    assert_same(min(add(n, num(1)), num(5)), add(min(n, num(4)), num(1)));
    assert_same(min(mul(num(2), n), num(4)), mul(num(2), min(n, num(2))));
    assert_text(max(sub(n, num(1)), num(0)), "max(n, 1) - 1");
}
END_TEST

START_TEST(signs_are_proved_not_guessed) {
    ox_dim n = sym("n"), m = sym("m"), u, i;
    ck_assert_int_eq(ox_dim_unknown(&u, &dims), OX_OK);
    ck_assert_int_eq(ox_dim_unknown_int(&i, &dims), OX_OK);
    ck_assert(ox_dim_ge(n, 0) && !ox_dim_ge(n, 1));
    ck_assert(ox_dim_ge(u, 0) && !ox_dim_ge(i, 0));
    ck_assert(ox_dim_ge(add(mul(n, m), num(3)), 3));
    ck_assert(!ox_dim_ge(sub(n, m), 0));
    ck_assert(ox_dim_ge(sub(n, quo(n, num(2))), 0));
    ck_assert(ox_dim_ge(sub(n, mul(num(2), quo(n, num(2)))), 0));
    ck_assert(!ox_dim_ge(sub(n, mul(num(2), quo(n, num(2)))), 1));
    ck_assert(ox_dim_ge(sub(n, min(n, m)), 0));
    ck_assert(ox_dim_ge(sub(max(n, m), n), 0));
    ck_assert(ox_dim_ge(sub(num(4), mod(n, num(4))), 1));
    ck_assert(!ox_dim_is_known(u) && ox_dim_is_known(n) && !ox_dim_is_known(add(n, u)));
    ck_assert(!ox_dim_same(u, i));
    assert_same(sub(u, u), num(0));
}
END_TEST

START_TEST(overflow_and_size_become_unknown) {
    ox_dim n = sym("n"), d = n;
    ck_assert(!ox_dim_is_known(mul(num(INT64_MAX), num(2))));
    ck_assert(ox_dim_ge(mul(num(INT64_MAX), num(2)), 0));
    ck_assert(!ox_dim_is_known(sub(num(INT64_MIN), num(1))));
    ck_assert(!ox_dim_is_known(quo(num(INT64_MIN), num(-1))));
    ck_assert(!ox_dim_is_known(mul(mul(n, num(INT64_MAX)), num(3))));
    for (int i = 0; i < 40; i++)
        d = mul(d, d); /* degree */
    ck_assert(!ox_dim_is_known(d));
    d = n;
    for (int i = 0; i < 1000; i++) { /* nesting */
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        d = quo(add(mul(d, sym(name)), sym("k")), sym("q"));
    }
    d = num(0);
    for (int i = 0; i < 1000; i++) { /* terms */
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        d = add(d, sym(name));
    }
    ck_assert(!ox_dim_is_known(d));
    char small[4];
    memset(small, 'x', sizeof small);
    ck_assert_uint_eq(ox_dim_print(small, sizeof small, sym("batch")), 5);
    ck_assert_str_eq(small, "bat");
    ck_assert_uint_eq(ox_dim_print(NULL, 0, sym("batch")), 5);
}
END_TEST

/* ---- random expressions ---------------------------------------------------------------------- */

static bool value_of(void *user, ox_name name, int64_t *out) {
    const int64_t *values = user;
    *out = values[name->text[0] - 'a'];
    return true;
}

static int64_t floor_div(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

/* The operator on numbers, straight from its definition. */
static bool apply(int64_t *out, int op, int64_t a, int64_t b) {
    if ((op == FLOORDIV || op == CEILDIV || op == MOD) && b == 0) return false;
    switch (op) {
    case ADD:
        *out = a + b;
        break;
    case SUB:
        *out = a - b;
        break;
    case MUL:
        *out = a * b;
        break;
    case FLOORDIV:
        *out = floor_div(a, b);
        break;
    case CEILDIV:
        *out = -floor_div(-a, b);
        break;
    case MOD:
        *out = a - b * floor_div(a, b);
        break;
    case MIN:
        *out = a < b ? a : b;
        break;
    default:
        *out = a > b ? a : b;
        break;
    }
    return *out > -1000000 && *out < 1000000; /* far from overflow, else the sample is dropped */
}

enum { SAMPLES = 24, SYMBOLS = 3 };
static int64_t assignment[SAMPLES][SYMBOLS];

struct both {
    ox_dim d;
    int64_t v[SAMPLES];
    bool ok[SAMPLES];
};

static struct both random_expr(int depth) {
    struct both r = {.d = num(0)};
    if (depth == 0 || rnd(6) == 0) {
        int s = (int)rnd(SYMBOLS + 2);
        int64_t k = (int64_t)rnd(14) - 4;
        const char *const text[] = {"a", "b", "c"};
        r.d = s < SYMBOLS ? sym(text[s]) : num(k);
        for (int i = 0; i < SAMPLES; i++) {
            r.v[i] = s < SYMBOLS ? assignment[i][s] : k;
            r.ok[i] = true;
        }
        return r;
    }
    struct both x = random_expr(depth - 1), y = random_expr(depth - 1);
    int op = (int)rnd(N_OPS);
    r.d = do_op(op, x.d, y.d);
    for (int i = 0; i < SAMPLES; i++)
        r.ok[i] = x.ok[i] && y.ok[i] && apply(&r.v[i], op, x.v[i], y.v[i]);
    return r;
}

START_TEST(simplifying_keeps_values) {
    int known = 0, compared = 0, proved = 0, rounds = 20000;
    for (int i = 0; i < SAMPLES; i++)
        for (int s = 0; s < SYMBOLS; s++)
            assignment[i][s] = i < 8 ? (i >> s) & 1 : (int64_t)rnd(i < 16 ? 6 : 60);
    for (int n = 0; n < rounds; n++) {
        struct both e = random_expr(1 + (int)rnd(4));
        char text[512];
        ox_dim_print(text, sizeof text, e.d);
        int64_t bound = (int64_t)rnd(9) - 4;
        bool ge = ox_dim_ge(e.d, bound);
        if (ox_dim_is_known(e.d)) known++;
        if (ge && e.d.e) proved++;
        for (int i = 0; i < SAMPLES; i++) {
            int64_t v;
            if (!e.ok[i]) continue;
            if (ge) ck_assert_msg(e.v[i] >= bound, "%s: %lld", text, (long long)e.v[i]);
            if (!ox_dim_is_known(e.d)) continue;
            ck_assert_msg(ox_dim_eval(&v, e.d, value_of, assignment[i]), "%s", text);
            ck_assert_msg(v == e.v[i], "%s is %lld, not %lld", text, (long long)v,
                          (long long)e.v[i]);
            compared++;
        }
    }
    /* The comparison must not be empty: most expressions are kept, many signs are known. */
    ck_assert_int_gt(known, rounds * 3 / 4);
    ck_assert_int_gt(compared, rounds * 5);
    ck_assert_int_gt(proved, rounds / 20);
}
END_TEST

START_TEST(shape_identities_hold) {
    for (int n = 0; n < 2000; n++) {
        ox_dim a = sym("a"), b = sym("b");
        ox_dim x = add(mul(num((int64_t)rnd(5) + 1), a), num((int64_t)rnd(7)));
        ox_dim y = mul(add(b, num((int64_t)rnd(3))), num((int64_t)rnd(4) + 1));
        ox_dim k = num((int64_t)rnd(9) + 1), c = num((int64_t)rnd(9) + 1);
        assert_same(quo(mul(x, y), y), x);
        assert_same(quo(mul(mul(x, y), k), mul(x, k)), y);
        assert_same(quo(add(mul(x, k), num((int64_t)rnd((uint32_t)k.k))), k), x);
        assert_same(quo(quo(x, k), c), quo(x, mul(k, c)));
        assert_same(sub(add(x, y), x), y);
        assert_same(mod(mul(x, y), y), num(0));
        assert_same(add(min(x, k), num(3)), min(add(x, num(3)), add(k, num(3))));
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("dim");
    TCase *t = tcase_create("dim");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, numbers);
    tcase_add_test(t, sums_and_products_are_canonical);
    tcase_add_test(t, quotients_simplify);
    tcase_add_test(t, remainders_and_extrema_simplify);
    tcase_add_test(t, signs_are_proved_not_guessed);
    tcase_add_test(t, overflow_and_size_become_unknown);
    tcase_add_test(t, simplifying_keeps_values);
    tcase_add_test(t, shape_identities_hold);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
