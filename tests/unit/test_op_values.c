/* tests/unit/test_op_values.c - arithmetic on integers that are known in part: what shape subgraphs
 * are made of. */
#include "op_harness.h"

#include <stdio.h>

/* One call of inference with vectors of dims as inputs. */
struct values {
    ox_ctx *ctx;
    struct ox_names names;
    struct ox_arena arena;
    struct ox_dims dims;
    ox_dim n, m; /* symbols N and M */
    const struct ox_partial *in[4];
    const struct ox_type *types[4];
    size_t n_in;
    struct ox_attr attr;
    size_t n_attrs;
    const ox_tensor *consts[4];
    const struct ox_partial *out;
    const struct ox_type *type;
};

static void init(struct values *v) {
    *v = (struct values){0};
    ck_assert_int_eq(ox_ctx_new(&v->ctx, NULL), OX_OK);
    ox_names_init(&v->names, v->ctx);
    ox_arena_init(&v->arena, v->ctx);
    ox_dims_init(&v->dims, v->ctx);
    ox_name name;
    ck_assert_int_eq(ox_name_get(&name, &v->names, "N", 1), OX_OK);
    ck_assert_int_eq(ox_dim_symbol(&v->n, &v->dims, name), OX_OK);
    ck_assert_int_eq(ox_name_get(&name, &v->names, "M", 1), OX_OK);
    ck_assert_int_eq(ox_dim_symbol(&v->m, &v->dims, name), OX_OK);
}

static void fini(struct values *v) {
    ox_dims_fini(&v->dims);
    ox_arena_fini(&v->arena);
    ox_names_fini(&v->names);
    ox_ctx_free(v->ctx);
}

static void input(struct values *v, ox_dtype dtype, int rank, size_t count, const ox_dim *elems) {
    struct ox_partial *value;
    ox_dim *copy, dim = ox_dim_const((int64_t)count);
    ck_assert_int_eq(ox_arena_alloc(&v->arena, &value, 1, sizeof *value), OX_OK);
    ck_assert_int_eq(ox_arena_alloc(&v->arena, &copy, count, sizeof *copy), OX_OK);
    memcpy(copy, elems, count * sizeof *copy);
    *value = (struct ox_partial){rank, count, copy};
    v->in[v->n_in] = value;
    ck_assert_int_eq(ox_type_tensor(&v->types[v->n_in++], &v->arena, dtype, rank, &dim), OX_OK);
}

static void attribute(struct values *v, const char *name, int64_t i) {
    v->attr = (struct ox_attr){.type = OX_ATTR_INT, .count = 1, .v.i = i};
    ck_assert_int_eq(ox_name_get(&v->attr.name, &v->names, name, strlen(name)), OX_OK);
    v->n_attrs = 1;
}

static void infer(struct values *v, const char *op) {
    struct ox_call call = {.ctx = v->ctx,
                           .op = ox_op_find("", op),
                           .opset = 21,
                           .n_in = v->n_in,
                           .n_out = 1,
                           .attrs = &v->attr,
                           .n_attrs = v->n_attrs,
                           .consts = v->consts};
    struct ox_infer io = {&v->arena, &v->dims, v->types, v->in, &v->type, &v->out, NULL};
    ck_assert_msg(ox_op_infer(&call, &io) == OX_OK, "%s", op);
    ck_assert_ptr_nonnull(v->type);
}

/* The elements printed, with commas; "-" where nothing is known, "?" for an unknown element. */
static void expect(struct values *v, const char *op, const char *text) {
    char got[300] = "";
    size_t len = 0;
    infer(v, op);
    for (size_t i = 0; v->out && i < v->out->count; i++) {
        char elem[64] = "?";
        if (ox_dim_is_known(v->out->elems[i])) ox_dim_print(elem, sizeof elem, v->out->elems[i]);
        len += (size_t)snprintf(got + len, sizeof got - len, "%s%s", i ? "," : "", elem);
    }
    ck_assert_msg(strcmp(v->out ? got : "-", text) == 0, "%s: %s, expected %s", op,
                  v->out ? got : "-", text);
}

#define K(n) ox_dim_const(n)

static void two(struct values *v, ox_dtype dtype, size_t na, const ox_dim *a, size_t nb,
                const ox_dim *b) {
    init(v);
    input(v, dtype, 1, na, a);
    input(v, dtype, 1, nb, b);
}

START_TEST(arithmetic) {
    static const struct {
        const char *op, *text;
    } cases[] = {{"Add", "N + 6,8"},      {"Sub", "N - 6,4"},     {"Mul", "6*N,12"},
                 {"Div", "floor(N/6),3"}, {"Max", "max(N, 6),6"}, {"Min", "min(N, 6),2"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct values v;
        init(&v);
        input(&v, OX_INT64, 1, 2, (ox_dim[]){v.n, K(6)});
        input(&v, OX_INT64, 1, 2, (ox_dim[]){K(6), K(2)});
        expect(&v, cases[k].op, cases[k].text);
        fini(&v);
    }
}
END_TEST

START_TEST(expressions_come_back_exactly) {
    struct values v;
    ox_dim want, six = K(6);
    init(&v);
    input(&v, OX_INT64, 1, 1, &v.n);
    input(&v, OX_INT64, 0, 1, &six);
    infer(&v, "Mul");
    ck_assert_int_eq(ox_dim_mul(&want, &v.dims, v.n, six), OX_OK);
    ck_assert(ox_dim_same(v.out->elems[0], want));
    ck_assert_int_eq(v.out->rank, 1);
    /* (6 * N) / 6 is N again. */
    v.in[0] = v.out;
    v.out = NULL;
    infer(&v, "Div");
    ck_assert(ox_dim_same(v.out->elems[0], v.n));
    fini(&v);
}
END_TEST

START_TEST(division_and_modulus_need_signs) {
    struct values v;
    two(&v, OX_INT64, 3, (ox_dim[]){K(7), K(-7), K(7)}, 3, (ox_dim[]){K(2), K(2), K(0)});
    expect(&v, "Div", "3,?,?"); /* toward zero, which the floor is not */
    fini(&v);
    two(&v, OX_INT64, 2, (ox_dim[]){K(7), K(-7)}, 1, (ox_dim[]){K(3)});
    expect(&v, "Mod", "1,?");
    fini(&v);
}
END_TEST

START_TEST(comparisons_are_zeros_and_ones) {
    struct values v;
    init(&v);
    ox_dim more;
    ck_assert_int_eq(ox_dim_add(&more, &v.dims, v.n, K(1)), OX_OK);
    input(&v, OX_INT64, 1, 5, (ox_dim[]){v.n, v.n, more, K(-1), v.n});
    input(&v, OX_INT64, 1, 5, (ox_dim[]){v.n, more, v.n, v.n, v.m});
    expect(&v, "Equal", "1,0,0,0,?");
    expect(&v, "Less", "0,1,0,1,?");
    expect(&v, "LessOrEqual", "1,1,0,1,?");
    expect(&v, "Greater", "0,0,1,0,?");
    expect(&v, "GreaterOrEqual", "1,0,1,0,?");
    ck_assert_int_eq(v.type->dtype, OX_BOOL);
    fini(&v);
}
END_TEST

/* What exporters write for Expand: Where(Equal(shape, -1), ones, shape). */
START_TEST(where_chooses_elements) {
    struct values v;
    init(&v);
    input(&v, OX_INT64, 1, 3, (ox_dim[]){K(-1), v.n, K(4)});
    input(&v, OX_INT64, 0, 1, (ox_dim[]){K(-1)});
    infer(&v, "Equal");
    const struct ox_partial *equal = v.out, *shape = v.in[0];
    const struct ox_type *bools = v.type, *ints = v.types[0];
    v.n_in = 0;
    v.out = NULL;
    input(&v, OX_INT64, 1, 3, (ox_dim[]){K(1), K(1), K(1)}); /* becomes input 1 */
    v.in[1] = v.in[0];
    v.types[1] = v.types[0];
    v.in[0] = equal;
    v.types[0] = bools;
    v.in[2] = shape;
    v.types[2] = ints;
    v.n_in = 3;
    expect(&v, "Where", "1,N,4");
    fini(&v);
}
END_TEST

START_TEST(where_with_a_constant_condition) {
    struct values v;
    const uint8_t choose[] = {1, 0};
    const int64_t dims[] = {2};
    const ox_dim dim = K(2);
    ox_tensor *c;
    init(&v);
    ck_assert_int_eq(ox_tensor_copy(&c, v.ctx, OX_BOOL, 1, dims, choose, 2), OX_OK);
    v.consts[0] = c;
    ck_assert_int_eq(ox_type_tensor(&v.types[v.n_in++], &v.arena, OX_BOOL, 1, &dim), OX_OK);
    input(&v, OX_INT64, 1, 2, (ox_dim[]){v.n, v.n});
    input(&v, OX_INT64, 0, 1, (ox_dim[]){K(5)});
    expect(&v, "Where", "N,5");
    ox_tensor_unref(c);
    fini(&v);
}
END_TEST

START_TEST(one_input) {
    struct values v;
    init(&v);
    input(&v, OX_INT64, 1, 3, (ox_dim[]){v.n, K(-5), K(5)});
    expect(&v, "Identity", "N,-5,5");
    expect(&v, "Abs", "N,5,5");
    expect(&v, "Relu", "N,0,5");
    attribute(&v, "to", OX_INT32);
    expect(&v, "Cast", "N,-5,5");
    v.out = NULL;
    attribute(&v, "to", OX_FLOAT);
    expect(&v, "Cast", "-");
    v.n_attrs = 0;
    infer(&v, "Neg");
    ck_assert(v.out->elems[1].k == 5 && v.out->elems[2].k == -5);
    fini(&v);
}
END_TEST

/* int32 wraps where the symbols do not: then nothing is said. */
START_TEST(narrow_integers_that_overflow_are_not_known) {
    struct values v;
    two(&v, OX_INT32, 1, (ox_dim[]){K(INT32_MAX)}, 1, (ox_dim[]){K(1)});
    expect(&v, "Add", "-");
    expect(&v, "Sub", "2147483646");
    fini(&v);
    init(&v);
    input(&v, OX_INT32, 1, 1, (ox_dim[]){K(INT32_MIN)});
    expect(&v, "Neg", "-");
    fini(&v);
    init(&v);
    input(&v, OX_INT64, 1, 1, (ox_dim[]){K((int64_t)1 << 40)});
    attribute(&v, "to", OX_INT32);
    expect(&v, "Cast", "-");
    fini(&v);
    two(&v, OX_INT64, 1, (ox_dim[]){K(INT64_MAX)}, 1, (ox_dim[]){K(2)});
    expect(&v, "Mul", "?");
    fini(&v);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_values");
    TCase *tests = tcase_create("values");
    tcase_add_test(tests, arithmetic);
    tcase_add_test(tests, expressions_come_back_exactly);
    tcase_add_test(tests, division_and_modulus_need_signs);
    tcase_add_test(tests, comparisons_are_zeros_and_ones);
    tcase_add_test(tests, where_chooses_elements);
    tcase_add_test(tests, where_with_a_constant_condition);
    tcase_add_test(tests, one_input);
    tcase_add_test(tests, narrow_integers_that_overflow_are_not_known);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
