/* tests/unit/test_infer.c - shape inference across whole graphs: conditions, loops, sequences,
 * values known in part. What operators infer alone stands in their own suites. */
#include "ir/ir.h"
#include <check.h>
#include <ctype.h>
#include <onnxopt/model.h>
#include <stdio.h>
#include <stdlib.h>

static char last_id[64], last_text[700];
static int n_diags;
static ox_ctx *ctx;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    n_diags++;
    snprintf(last_id, sizeof last_id, "%s", d->id);
    snprintf(last_text, sizeof last_text, "%s", d->text);
}

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    n_diags = 0;
    last_id[0] = last_text[0] = 0;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

#define HEAD "<ir_version: 8, opset_import: [\"\" : 17, \"my\" : 1]> g "

static struct ox_model *parse(const char *text) {
    struct ox_model *m;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", last_text);
    ck_assert_msg(ox_model_verify(m) == OX_OK, "%s", last_text);
    return m;
}

/* Parsed and inferred, without a word. */
static struct ox_model *infer(const char *text) {
    struct ox_model *m = parse(text);
    ck_assert_msg(ox_model_infer(m, NULL) == OX_OK, "%s", last_text);
    ck_assert_msg(n_diags == 0, "%s", last_text);
    return m;
}

static struct ox_value *value_of(struct ox_model *m, const char *name) {
    for (uint32_t i = 0; i < m->n_values; i++)
        if (m->values[i]->name && strcmp(m->values[i]->name->text, name) == 0) return m->values[i];
    ck_abort_msg("no value '%s'", name);
}

/* The type, with "?" for every unnamed unknown. */
static const char *type_of(struct ox_model *m, const char *name) {
    static char text[200];
    size_t n = 0;
    ox_type_print(text, sizeof text, value_of(m, name)->type);
    for (const char *p = text; *p; p++) {
        text[n++] = *p;
        if (*p == '?')
            while (isdigit((unsigned char)p[1]))
                p++;
    }
    text[n] = 0;
    return text;
}

/* Of a value, two types: inferred once, and once more from what the first time left. */
static void expect_type(const char *text, const char *name, const char *type) {
    struct ox_model *m = infer(text);
    ck_assert_str_eq(type_of(m, name), type);
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    ck_assert_str_eq(type_of(m, name), type);
    ox_model_free(m);
}

/* ---- conditions ------------------------------------------------------------------------------ */

START_TEST(a_branch_that_is_not_taken_tells_nothing) {
    /* What exporters write for "squeeze if it is 1". */
    const char *squeeze = HEAD "(float[N,4,5] x) => (y) { one = Constant <value = int64[1] {1}> () "
                               "s = Shape (x) k = Gather (s, one) e = Equal (k, one)"
                               " y = If (e) <then_branch = t () => (a) { a = Squeeze (x, one) }, "
                               "else_branch = f () => (b) { b = Identity (x) }> }";
    expect_type(squeeze, "y", "float[N,4,5]");
    const char *taken = HEAD "(float[N,1,5] x) => (y) { one = Constant <value = int64[1] {1}> () s "
                             "= Shape (x) k = Gather (s, one) e = Equal (k, one)"
                             " y = If (e) <then_branch = t () => (a) { a = Squeeze (x, one) }, "
                             "else_branch = f () => (b) { b = Identity (x) }> }";
    expect_type(taken, "y", "float[N,5]");
}
END_TEST

START_TEST(branches_that_may_run_agree_as_far_as_they_do) {
    expect_type(HEAD "(float[N,4] x, float[N,5] z, bool c) => (y) {"
                     " y = If (c) <then_branch = t () => (a) { a = Relu (x) }, else_branch = f () "
                     "=> (b) { b = Relu (z) }> }",
                "y", "float[N,?]");
    expect_type(HEAD "(float[N,4] x, float[N] z, bool c) => (y) {"
                     " y = If (c) <then_branch = t () => (a) { a = Relu (x) }, else_branch = f () "
                     "=> (b) { b = Relu (z) }> }",
                "y", "float[]");
    /* Lists of them, and what is known of elements. */
    expect_type(HEAD "(float[N,4] x, float[N,5] z, bool c) => (y) { q = If (c) <then_branch = t () "
                     "=> (a) { a = SequenceConstruct (x) },"
                     " else_branch = f () => (b) { b = SequenceConstruct (z) }> i = Constant "
                     "<value = int64 {0}> () y = SequenceAt (q, i) }",
                "y", "float[N,?]");
    expect_type(HEAD "(float[N,4] x, float[M,4] z, bool c) => (y) { s = If (c) <then_branch = t () "
                     "=> (a) { a = Shape (x) },"
                     " else_branch = f () => (b) { b = Shape (z) }> y = ConstantOfShape (s) }",
                "y", "float[?,4]");
}
END_TEST

/* Nobody knows whether it runs: the executor says so if it does. */
START_TEST(contradictions_in_a_branch_are_left_to_those_who_run_it) {
    expect_type(HEAD "(float[N,4] x, bool c) => (y) { one = Constant <value = int64[1] {1}> ()"
                     " y = If (c) <then_branch = t () => (a) { a = Squeeze (x, one) }, else_branch "
                     "= f () => (b) { b = Identity (x) }> }",
                "y", "?");
    struct ox_model *m = parse(HEAD "(float[N,4] x) => (y) { one = Constant <value = int64[1] {1}> "
                                    "() yes = Constant <value = bool {1}> ()"
                                    " y = If (yes) <then_branch = t () => (a) { a = Squeeze (x, "
                                    "one) }, else_branch = f () => (b) { b = Identity (x) }> }");
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_INVALID);
    ck_assert_str_eq(last_id, "shape-mismatch");
    ox_model_free(m);
}
END_TEST

/* ---- loops ----------------------------------------------------------------------------------- */

#define LOOP(init, body)                                                                           \
    HEAD "(int64 n, bool go, float[N,4] x, float[1] one) => (y, z) { y, z = Loop (n, go, " init    \
         ") <body = b (i, c, s) => (d, t, u) { d = Identity (c) " body " }> }"

START_TEST(what_a_loop_carries_keeps_its_shape_if_every_step_does) {
    expect_type(LOOP("x", "t = Relu (s) u = Identity (t)"), "y", "float[N,4]");
    expect_type(LOOP("x", "t = Relu (s) u = Identity (t)"), "s", "float[N,4]");
    expect_type(LOOP("x", "t = Relu (s) u = Identity (t)"), "z", "float[?,N,4]");
}
END_TEST

START_TEST(what_grows_is_given_up_dim_by_dim) {
    expect_type(LOOP("x", "t = Concat <axis = 0> (s, s) u = Identity (one)"), "y", "float[?,4]");
    expect_type(LOOP("x", "t = Concat <axis = 0> (s, s) u = Identity (one)"), "t", "float[2*?,4]");
    /* Broadcast with something larger at the first step, and no longer after it. */
    expect_type(LOOP("one", "t = Add (s, x) u = Identity (one)"), "y", "float[]");
    expect_type(
        LOOP("x", "a = Constant <value = int64[1] {0}> () t = Unsqueeze (s, a) u = Identity (one)"),
        "y", "float[]");
    /* The second value follows the first only from the second step on. */
    const char *late = HEAD "(int64 n, bool go, float[3] x) => (a, b) { a, b = Loop (n, go, x, x) "
                            "<body = l (i, c, s, t) => (c, p, q)"
                            " { p = Concat <axis = 0> (s, s) q = Identity (s) }> }";
    expect_type(late, "a", "float[?]");
    expect_type(late, "b", "float[?]");
    /* Changing places. */
    const char *swap = HEAD "(int64 n, bool go, float[3,2] x, float[4,2] z) => (a, b) { a, b = "
                            "Loop (n, go, x, z) <body = l (i, c, s, t) => (c, t, s) {}> }";
    expect_type(swap, "a", "float[?,2]");
}
END_TEST

START_TEST(how_often_a_loop_runs) {
    const char *counted =
        HEAD "(float[N,4] x, float[] v) => (z) { zero = Constant <value = int64 {0}> () s = Shape "
             "(x) n = Gather (s, zero) no = Constant <value = float {0}> ()"
             " y, z = Loop (n, , no) <body = b (i, c, a) => (c, t, u) { t = Neg (a) u = Identity "
             "(x) }> }";
    expect_type(counted, "z", "float[N,N,4]");
    const char *stopped =
        HEAD "(float[N,4] x) => (z) { n = Constant <value = int64 {7}> () zero = Constant <value = "
             "int64 {3}> ()"
             " z = Loop (n) <body = b (i, c) => (d, u) { d = Less (i, zero) u = Identity (x) }> }";
    expect_type(stopped, "z", "float[?,N,4]");
    const char *never = HEAD "(float[N,4] x) => (z) { n = Constant <value = int64 {-7}> () z = "
                             "Loop (n) <body = b (i, c) => (c, u) { u = Identity (x) }> }";
    expect_type(never, "z", "float[0,N,4]");
}
END_TEST

START_TEST(lists_are_carried) {
    const char *list = HEAD
        "(int64 n, bool go, float[N,4] x) => (y) { e = SequenceConstruct (x) y = Loop (n, go, e)"
        " <body = b (i, c, s) => (c, t) { t = SequenceInsert (s, x) }> }";
    expect_type(list, "y", "seq(float[N,4])");
    const char *growing = HEAD "(int64 n, bool go, float[N,4] x) => (y) { e = SequenceConstruct "
                               "(x) zero = Constant <value = int64 {0}> () y = Loop (n, go, e)"
                               " <body = b (i, c, s) => (c, t) { a = SequenceAt (s, zero) d = "
                               "Concat <axis = 0> (a, a) t = SequenceInsert (s, d) }> }";
    expect_type(growing, "y", "seq(float[?,4])");
}
END_TEST

START_TEST(scans_carry_too) {
    expect_type(HEAD "(float[4] s, float[T,4] x) => (y, z) { y, z = Scan <num_scan_inputs = 1, "
                     "body = b (a, r) => (t, u) { t = Add (a, r) u = Neg (t) }> (s, x) }",
                "y", "float[4]");
    expect_type(HEAD "(float[4] s, float[T,4] x) => (y, z) { y, z = Scan <num_scan_inputs = 1, "
                     "body = b (a, r) => (t, u) { t = Add (a, r) u = Neg (t) }> (s, x) }",
                "z", "float[T,4]");
}
END_TEST

/* A warning of the body is said once, not once a trial; an error is one still. */
START_TEST(trials_are_silent) {
    struct ox_model *m =
        parse(HEAD "(int64 n, bool go, float[3] x, float[3] w) => (y) { y = Loop (n, go, x) <body "
                   "= b (i, c, s) => (c, t)"
                   " <float[9] r> { r = Relu (w) a = Concat <axis = 0> (s, r) t = Neg (a) }> }");
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    ck_assert_int_eq(n_diags, 1);
    ck_assert_str_eq(last_id, "shape-conflict");
    ck_assert_str_eq(type_of(m, "y"), "float[?]");
    ox_model_free(m);
    m = parse(HEAD "(int64 n, bool go, float[3] x, float[4] w) => (y) { y = Loop (n, go, x) <body "
                   "= b (i, c, s) => (c, t) { r = Add (x, w) t = Add (s, r) }> }");
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_INVALID);
    ck_assert_str_eq(last_id, "shape-mismatch");
    ox_model_free(m);
}
END_TEST

/* Loops in loops: the work is bounded, whatever is given up for it. */
START_TEST(nested_loops_end) {
    enum { DEPTH = 20 };
    static char text[20000];
    size_t n =
        (size_t)snprintf(text, sizeof text, HEAD "(int64 n, bool go, float[3] s0) => (t0) { ");
    for (int d = 0; d < DEPTH; d++)
        n +=
            (size_t)snprintf(text + n, sizeof text - n,
                             "t%d = Loop (n, go, s%d) <body = b%d (i%d, c%d, s%d) => (c%d, r%d) { ",
                             d, d, d, d, d, d + 1, d, d);
    n += (size_t)snprintf(text + n, sizeof text - n, "t%d = Concat <axis = 0> (s%d, s%d) ", DEPTH,
                          DEPTH, DEPTH);
    for (int d = DEPTH - 1; d >= 0; d--)
        n += (size_t)snprintf(text + n, sizeof text - n, "r%d = Identity (t%d) }> ", d, d + 1);
    snprintf(text + n, sizeof text - n, "}");
    struct ox_model *m = infer(text);
    ck_assert_msg(strcmp(type_of(m, "t0"), "float[?]") == 0 ||
                      strcmp(type_of(m, "t0"), "float[]") == 0,
                  "%s", type_of(m, "t0"));
    ox_model_free(m);
}
END_TEST

/* ---- numbers known in part ------------------------------------------------------------------- */

START_TEST(axes_that_are_not_known_are_counted) {
    expect_type(HEAD "(float[N,4,5] x, int64[1] a) => (y) { y = ReduceSum <keepdims = 0> (x, a) }",
                "y", "float[?,?]");
    expect_type(HEAD "(float[N,4,1] x, int64[1] a) => (y) { y = ReduceSum (x, a) }", "y",
                "float[?,?,1]");
    expect_type(HEAD "(float[N,4,5] x, int64[3] a) => (y) { y = ReduceSum <keepdims = 0> (x, a) }",
                "y", "float");
    expect_type(HEAD "(float[N,4,5] x, int64[0] a) => (y) { y = ReduceSum <keepdims = 0> (x, a) }",
                "y", "float");
    expect_type(
        HEAD
        "(float[N,4,5] x, int64[0] a) => (y) { y = ReduceSum <noop_with_empty_axes = 1> (x, a) }",
        "y", "float[N,4,5]");
    expect_type(HEAD "(float[N,4,5] x, int64[K] a) => (y) { y = ReduceSum <keepdims = 0> (x, a) }",
                "y", "float[]");
    expect_type(HEAD "(float[N,4,1] x, int64[2] a) => (y) { y = Squeeze (x, a) }", "y", "float[?]");
    expect_type(HEAD "(float[N,4,1] x, int64[2] a) => (y) { y = Unsqueeze (x, a) }", "y",
                "float[?,?,?,?,?]");
    expect_type(HEAD "(float[N,4,1] x, int64[200] a) => (y) { y = Unsqueeze (x, a) }", "y",
                "float[]");
    /* Without axes a dim that may be 1 may go. */
    expect_type(HEAD "(float[N,4,1] x) => (y) { y = Squeeze (x) }", "y", "float[]");
    expect_type(HEAD "(float[3,4,1] x) => (y) { y = Squeeze (x) }", "y", "float[3,4]");
}
END_TEST

START_TEST(elements_of_a_sequence_may_differ) {
    const char *two =
        HEAD "(float[N,4] x, float[M,4] w) => (y) { q = SequenceConstruct (x, w) i = Constant "
             "<value = int64 {0}> () j = Constant <value = int64 {1}> ()"
             " a = SequenceAt (q, i) b = SequenceAt (q, j) y = Concat <axis = 0> (a, b) }";
    expect_type(two, "y", "float[? + ?,4]");
}
END_TEST

/* ---- reasons --------------------------------------------------------------------------------- */

struct asked {
    const char *name, *part, *reason, *op, *origin;
    int dim, seen, total;
};

static void compare(void *user, const struct ox_unknown *u) {
    struct asked *a = user;
    a->total++;
    if (strcmp(u->name, a->name) != 0) return;
    a->seen++;
    ck_assert_str_eq(u->reason, a->reason);
    ck_assert_str_eq(u->part, a->part);
    ck_assert_str_eq(u->op ? u->op : "", a->op);
    ck_assert_str_eq(u->origin, a->origin);
    ck_assert_int_eq(u->dim, a->dim);
    ck_assert(strlen(u->text) > 5);
}

/* The value lacks `part` (of dim `dim`), for this reason, which begins at the value `origin` that
 * `op` makes ("": an input of the model). */
static void expect_reason(const char *text, const char *name, const char *part, int dim,
                          const char *reason, const char *op, const char *origin) {
    struct ox_model *m = infer(text);
    struct asked a = {name, part, reason, op, origin, dim, 0, 0};
    struct ox_model_stats stats;
    for (int again = 0; again < 2; again++) {
        a.seen = a.total = 0;
        ck_assert_int_eq(ox_model_unknowns(m, compare, &a), OX_OK);
        ck_assert_msg(a.seen == 1, "'%s' has %d reasons", name, a.seen);
        ck_assert_int_eq(ox_model_stats(&stats, m), OX_OK);
        ck_assert_uint_eq(stats.unknown_values, (size_t)a.total); /* every one has a reason */
    }
    ox_model_free(m);
}

START_TEST(inputs_that_declare_too_little) {
    expect_reason(HEAD "(float[?,3] x) => (y) { a = Relu (x) y = Exp (a) }", "y", "dim", 0,
                  "undeclared", "", "x");
    expect_reason(HEAD "(float[] x) => (y) { a = Relu (x) y = Exp (a) }", "y", "rank", -1,
                  "undeclared", "", "x");
    expect_reason(HEAD "(x) => (y) { a = Relu (x) y = Exp (a) }", "y", "type", -1, "undeclared", "",
                  "x");
    expect_reason(HEAD "(float[?,3] x, float[3,?] w) => (y) { y = MatMul (x, w) }", "y", "dim", 0,
                  "undeclared", "", "x");
    expect_reason(HEAD "(float[N,3] x, float[3,?] w) => (y) { y = MatMul (x, w) }", "y", "dim", 1,
                  "undeclared", "", "w");
}
END_TEST

START_TEST(numbers_that_decide_a_shape) {
    const char *given = "given-by-caller";
    expect_reason(HEAD "(float[N,3] x, int64[2] s) => (y) { a = Reshape (x, s) y = Exp (a) }", "y",
                  "dim", 0, given, "", "s");
    expect_reason(HEAD "(float[N,3] x, int64[K] s) => (y) { a = Reshape (x, s) y = Exp (a) }", "y",
                  "rank", -1, given, "", "s");
    expect_reason(HEAD "(float[N,3] x, int64[2] s) => (y) { y = Expand (x, s) }", "y", "dim", 0,
                  given, "", "s");
    expect_reason(HEAD "(float[N,3] x, int64[2] s) => (y) { y = Tile (x, s) }", "y", "dim", 0,
                  given, "", "s");
    expect_reason(HEAD "(int64[2] s) => (y) { y = ConstantOfShape (s) }", "y", "dim", 0, given, "",
                  "s");
    expect_reason(HEAD "(float[N,3] x, int64[1] s, int64[1] e) => (y) { a = Constant <value = "
                       "int64[1] {1}> () y = Slice (x, s, e, a) }",
                  "y", "dim", 1, given, "", "s");
    expect_reason(HEAD "(float[N,3] x, int64[1] s) => (y, i) { y, i = TopK (x, s) }", "y", "dim", 1,
                  given, "", "s");
    expect_reason(HEAD "(float[N,3] x, int64[1] a) => (y) { y = ReduceSum <keepdims = 0> (x, a) }",
                  "y", "dim", 0, given, "", "a");
    expect_reason(HEAD "(float[N,3,4,5] x, float[4] s) => (y) { y = Resize (x, , s) }", "y", "dim",
                  0, given, "", "s");
    expect_reason(HEAD "(int64 a, int64 b) => (y) { one = Constant <value = int64 {1}> () c = Add "
                       "(a, b) y = Range (a, c, one) }",
                  "y", "dim", 0, given, "", "a"); /* both: the first is named */
    /* Through arithmetic, and from data. */
    expect_reason(HEAD "(float[N,3] x, int64[1] s) => (y) { t = Constant <value = int64[1] {3}> () "
                       "u = Mul (s, t) v = Concat <axis = 0> (u, t) y = Reshape (x, v) }",
                  "y", "dim", 0, given, "", "s");
    expect_reason(HEAD "(float[N,3] x, float[1] s) => (y) { t = Constant <value = int64[1] {3}> () "
                       "u = Cast <to = 7> (s) v = Concat <axis = 0> (u, t) y = Reshape (x, v) }",
                  "y", "dim", 0, "computed", "Cast", "u");
    expect_reason(
        HEAD "(float[N,3] x, float[7] s) => (y) { u = ArgMax <keepdims = 0> (s) z = Constant "
             "<value = int64 {0}> () o = Constant <value = int64 {1}> () y = Range (z, u, o) }",
        "y", "dim", 0, "computed", "ArgMax", "u");
}
END_TEST

START_TEST(what_operators_find_in_data) {
    const char *data = "data-dependent";
    expect_reason(HEAD "(float[N,3] x) => (y) { a = NonZero (x) b = Transpose (a) y = Neg (b) }",
                  "b", "dim", 0, data, "NonZero", "a");
    /* Its shape goes on as a number, and comes back as a shape. */
    expect_reason(HEAD
                  "(float[N,3] x) => (y) { a = NonZero (x) s = Shape (a) y = ConstantOfShape (s) }",
                  "y", "dim", 1, data, "NonZero", "a");
    expect_reason(HEAD "(float[9] x) => (y) { y = Unique (x) }", "y", "dim", 0, data, "Unique",
                  "y");
    expect_reason(HEAD "(float[1,9,4] b, float[1,2,9] s) => (y) { y = NonMaxSuppression (b, s) }",
                  "y", "dim", 0, data, "NonMaxSuppression", "y");
    expect_reason(HEAD "(float[N,4,1] x) => (y) { a = Squeeze (x) y = Relu (a) }", "y", "rank", -1,
                  data, "Squeeze", "a");
    expect_reason(HEAD "(float[N] x, float[M] w) => (y) { a = Add (x, w) y = Relu (a) }", "y",
                  "dim", 0, data, "Add", "a");
    expect_reason(HEAD "(float[3] x, float[4] w) => (y) { q = SequenceConstruct (x, w) i = "
                       "Constant <value = int64 {0}> () y = SequenceAt (q, i) }",
                  "y", "dim", 0, data, "SequenceConstruct", "q");
    expect_reason(HEAD "(float[N] x) => (y) { e = SequenceEmpty () q = SequenceInsert (e, x) y = "
                       "ConcatFromSequence <axis = 0> (q) }",
                  "y", "rank", -1, data, "SequenceEmpty", "e");
    expect_reason(HEAD "(float[N,3] x, float[9] p) => (y) { z = Constant <value = float {0}> () c "
                       "= Greater (p, z) y = Compress (x, c) }",
                  "y", "dim", 0, "computed", "Greater", "c");
}
END_TEST

START_TEST(operators_and_functions_that_are_not_followed) {
    expect_reason(HEAD "(float[N,3] x) => (y) { a = my.Foo (x) y = Relu (a) }", "y", "type", -1,
                  "unknown-operator", "Foo", "a");
    const char *function = "<domain: \"my\", opset_import: [\"\" : 17, \"my\" : 1]> ";
    char text[600];
    /* In the body of one that is: the node there. */
    snprintf(text, sizeof text,
             HEAD "(float[N,3] x) => (y) { a = my.f (x) y = Relu (a) } %sf (p) => (q) { n = "
                  "NonZero (p) q = Cast <to = 1> (n) }",
             function);
    expect_reason(text, "y", "dim", 1, "data-dependent", "NonZero", "n");
}
END_TEST

/* Not verified, which would refuse it. */
START_TEST(functions_that_call_themselves) {
    const char *text = HEAD "(float[N,3] x) => (y) { a = my.f (x) y = Relu (a) } <domain: \"my\", "
                            "opset_import: [\"\" : 17, \"my\" : 1]> f (a) => (b) { b = my.f (a) }";
    struct asked a = {"y", "type", "not-followed", "f", "a", -1, 0, 0};
    struct ox_model *m;
    ck_assert_int_eq(ox_text_parse(&m, ctx, text, strlen(text), "test"), OX_OK);
    ck_assert_int_eq(ox_model_unknowns(m, compare, &a), OX_OK);
    ck_assert_int_eq(a.seen, 1);
    ox_model_free(m);
}
END_TEST

START_TEST(conditions_and_loops) {
    expect_reason(HEAD "(float[N,4] x, float[N] z, bool c) => (y) {"
                       " a = If (c) <then_branch = t () => (p) { p = Relu (x) }, else_branch = f "
                       "() => (q) { q = Relu (z) }> y = Neg (a) }",
                  "y", "rank", -1, "branches-differ", "If", "a");
    /* Another's shape decides: that of the first. */
    expect_reason(HEAD "(float[N,4] x, float[N] z, bool c) => (y) {"
                       " a = If (c) <then_branch = t () => (p) { p = Relu (x) }, else_branch = f "
                       "() => (q) { q = Relu (z) }> s = Shape (a) n = Size (s)"
                       " two = Constant <value = int64 {2}> () e = Equal (n, two)"
                       " y = If (e) <then_branch = t2 () => (u) { u = Relu (x) }, else_branch = f2 "
                       "() => (v) { v = Relu (z) }> }",
                  "y", "rank", -1, "branches-differ", "If", "a");
    expect_reason(HEAD "(float[N,4] x, bool c) => (y) { y = If (c) <then_branch = t () => (p) { p "
                       "= NonZero (x) }, else_branch = f () => (q) { q = NonZero (x) }> }",
                  "y", "dim", 1, "data-dependent", "NonZero", "p");
    expect_reason(HEAD "(float[N,4] x, bool c) => (y) { one = Constant <value = int64[1] {1}> ()"
                       " y = If (c) <then_branch = t () => (p) { p = Squeeze (x, one) }, "
                       "else_branch = f () => (q) { q = Identity (x) }> }",
                  "y", "type", -1, "contradiction", "Squeeze", "p");
    expect_reason(LOOP("x", "t = Concat <axis = 0> (s, s) u = Identity (one)"), "y", "dim", 0,
                  "changing-steps", "Loop", "s");
    expect_reason(LOOP("x", "t = Relu (s) u = Identity (one)"), "z", "dim", 0, "step-count", "Loop",
                  "z");
    expect_reason(LOOP("x", "t = Relu (s) u = NonZero (s)"), "u", "dim", 1, "data-dependent",
                  "NonZero", "u");
    const char *counter =
        HEAD "(int64 n, bool go) => (z) { z = Loop (n, go) <body = b (i, c) => (c, u) { o = "
             "Constant <value = int64[1] {-1}> () j = Reshape (i, o) u = ConstantOfShape (j) }> }";
    expect_reason(counter, "u", "dim", 0, "changing-steps", "Loop", "i");
}
END_TEST

static void in_order(void *user, const struct ox_unknown *u) {
    char *text = user;
    snprintf(text + strlen(text), 100 - strlen(text), "%s ", u->name);
}

START_TEST(reasons_come_in_the_order_of_the_model) {
    struct ox_model *m =
        infer(HEAD "(float[?] x, bool c, float[3] k) => (y) { a = Relu (x) b = If (c) <then_branch "
                   "= t () => (p) { p = Neg (a) }, else_branch = f () => (q) { q = Abs (a) }>"
                   " d = Relu (k) y = Neg (b) }");
    char text[100] = "";
    ck_assert_int_eq(ox_model_unknowns(m, in_order, text), OX_OK);
    ck_assert_str_eq(text, "x a p q b y ");
    ox_model_free(m);
}
END_TEST

START_TEST(ranges_of_constants_that_are_no_integers) {
#define RANGE(start, limit, delta)                                                                 \
    HEAD "() => (y) { a = Constant <value = float {" start                                         \
         "}> () b = Constant <value = float {" limit "}> () c = Constant <value = float {" delta   \
         "}> () y = Range (a, b, c) }"
    expect_type(RANGE("0", "1", "0.25"), "y", "float[4]");
    expect_type(RANGE("0", "1.1", "0.25"), "y", "float[5]");
    expect_type(RANGE("1", "0", "0.25"), "y", "float[0]");
    expect_type(RANGE("1", "0", "-0.5"), "y", "float[2]");
    struct ox_model *m = parse(RANGE("0", "1", "0"));
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_INVALID);
    ox_model_free(m);
    n_diags = 0;
    expect_reason(HEAD "(int64 n) => (y) { a = Constant <value = float {0}> () b = Cast <to = 1> "
                       "(n) c = Constant <value = float {1}> () y = Range (a, b, c) }",
                  "y", "dim", 0, "computed", "Cast", "b");
}
END_TEST

int main(void) {
    Suite *s = suite_create("infer");
    TCase *t = tcase_create("infer");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_branch_that_is_not_taken_tells_nothing);
    tcase_add_test(t, branches_that_may_run_agree_as_far_as_they_do);
    tcase_add_test(t, contradictions_in_a_branch_are_left_to_those_who_run_it);
    tcase_add_test(t, what_a_loop_carries_keeps_its_shape_if_every_step_does);
    tcase_add_test(t, what_grows_is_given_up_dim_by_dim);
    tcase_add_test(t, how_often_a_loop_runs);
    tcase_add_test(t, lists_are_carried);
    tcase_add_test(t, scans_carry_too);
    tcase_add_test(t, trials_are_silent);
    tcase_add_test(t, nested_loops_end);
    tcase_add_test(t, axes_that_are_not_known_are_counted);
    tcase_add_test(t, elements_of_a_sequence_may_differ);
    tcase_add_test(t, ranges_of_constants_that_are_no_integers);
    tcase_add_test(t, inputs_that_declare_too_little);
    tcase_add_test(t, numbers_that_decide_a_shape);
    tcase_add_test(t, what_operators_find_in_data);
    tcase_add_test(t, operators_and_functions_that_are_not_followed);
    tcase_add_test(t, functions_that_call_themselves);
    tcase_add_test(t, conditions_and_loops);
    tcase_add_test(t, reasons_come_in_the_order_of_the_model);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
