/* tests/unit/test_graph.c - editing primitives, order, verification, inference and execution of
 * graphs. */
#include "ir/ir.h"
#include <check.h>
#include <onnxopt/model.h>
#include <stdio.h>
#include <stdlib.h>

static char last_id[64], last_text[700], last_node[256];
static int n_diags;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    n_diags++;
    snprintf(last_id, sizeof last_id, "%s", d->id);
    snprintf(last_text, sizeof last_text, "%s", d->text);
    snprintf(last_node, sizeof last_node, "%s", d->node ? d->node : "");
}

static ox_ctx *ctx;

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    n_diags = 0;
    last_id[0] = last_text[0] = last_node[0] = 0;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static struct ox_model *parse(const char *text) {
    struct ox_model *m;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", last_text);
    return m;
}

#define HEAD "<ir_version: 8, opset_import: [\"\" : 17]> g "

static ox_name name_of(struct ox_model *m, const char *text) {
    ox_name n;
    ck_assert_int_eq(ox_model_name(&n, m, text, strlen(text)), OX_OK);
    return n;
}

static struct ox_node *node_at(struct ox_model *m, int i) {
    struct ox_node *n = ox_graph_begin(m->graph);
    while (i-- > 0)
        n = ox_node_next(n);
    return n;
}

START_TEST(edges_move_in_use_lists) {
    struct ox_model *m =
        parse(HEAD "(float[2] x) => (float[2] y) { a = Relu(x) b = Neg(a) y = Add(a, b) }");
    struct ox_node *relu = node_at(m, 0), *neg = node_at(m, 1), *add = node_at(m, 2);
    ck_assert_uint_eq(relu->out[0]->n_uses, 2);
    ck_assert_ptr_null(ox_value_single_use(relu->out[0]));
    ck_assert_ptr_eq(ox_value_single_use(neg->out[0])->user, add);
    ox_value_replace(relu->out[0], m->graph->inputs[0]);
    ck_assert_uint_eq(relu->out[0]->n_uses, 0);
    ck_assert_uint_eq(m->graph->inputs[0]->n_uses, 3);
    ox_node_remove(relu);
    ck_assert_uint_eq(m->graph->inputs[0]->n_uses, 2);
    ck_assert_uint_eq(m->graph->n_nodes, 2);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(ox_node_add_input(add, neg->out[0]), OX_OK);
    ck_assert_uint_eq(neg->out[0]->n_uses, 21);
    for (struct ox_use *u = neg->out[0]->uses; u; u = u->next)
        ck_assert_ptr_eq(*u->link, u);
    while (add->n_in > 2) {
        ox_use_set(&add->in[add->n_in - 1], NULL);
        ox_node_trim_inputs(add);
    }
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ox_model_free(m);
}
END_TEST

START_TEST(order_survives_many_insertions_at_one_place) {
    struct ox_model *m = parse(HEAD "(float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }");
    struct ox_node *neg = node_at(m, 1);
    ox_name identity = name_of(m, "Identity");
    struct ox_value *last = m->graph->inputs[0];
    for (int i = 0; i < 500; i++) {
        struct ox_node *n;
        ck_assert_int_eq(ox_node_new(&n, m->graph, neg, NULL, identity, 1, 1), OX_OK);
        ox_use_set(&n->in[0], last);
        last = n->out[0];
    }
    ox_use_set(&neg->in[0], last);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ck_assert_uint_eq(m->graph->n_nodes, 502);
    ck_assert(ox_value_visible(last, neg));
    ck_assert(!ox_value_visible(neg->out[0], last->def));
    ox_model_free(m);
}
END_TEST

/* Builds the nodes of `text` in reverse order by moving each to the front. */
START_TEST(sorting_restores_order_and_finds_cycles) {
    struct ox_model *m = parse(
        HEAD "(float[2] x) => (float[2] z) { a = Relu(x) b = Neg(a) c = Abs(b) z = Add(c, a) }");
    struct ox_node *z = node_at(m, 3), *a = node_at(m, 0);
    for (int i = 1; i < 4; i++)
        ox_node_move(node_at(m, i), node_at(m, 0));
    ck_assert_ptr_eq(node_at(m, 0), z);
    ck_assert_int_eq(ox_model_verify(m), OX_INVALID);
    ck_assert_str_eq(last_id, "not-dominated");
    ck_assert_int_eq(ox_graph_sort(m->graph), OX_OK);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ck_assert_ptr_eq(node_at(m, 0), a);
    ck_assert_ptr_eq(node_at(m, 3), z);
    ox_use_set(&a->in[0], z->out[0]);
    ck_assert_int_eq(ox_graph_sort(m->graph), OX_INVALID);
    ck_assert_str_eq(last_id, "cycle");
    ox_model_free(m);
}
END_TEST

START_TEST(verification_reports_all_problems_at_their_place) {
    struct ox_model *m =
        parse(HEAD "(float[2] x) => (float[2] y) { a = Relu(x) b = Neg(a) y = Add(a, b) }");
    struct ox_node *relu = node_at(m, 0), *neg = node_at(m, 1);
    neg->name = name_of(m, "the negation");
    ox_use_set(&neg->in[0], NULL);
    ox_use_set(&relu->in[0], NULL);
    ox_use_set(&m->graph->ret->in[0], NULL);
    n_diags = 0;
    ck_assert_int_eq(ox_model_verify(m), OX_INVALID);
    ck_assert_int_eq(n_diags, 3);
    ck_assert_str_eq(last_id, "no-output");
    ox_model_free(m);
}
END_TEST

START_TEST(opsets_are_checked) {
    struct ox_model *m = parse("<ir_version: 8, opset_import: [\"\" : 99]> g (float[2] x) => "
                               "(float[2] y) { y = Relu(x) }");
    ck_assert_int_eq(ox_model_verify(m), OX_UNSUPPORTED);
    ck_assert_str_eq(last_id, "opset-too-new");
    ox_model_free(m);
}
END_TEST

START_TEST(inference_keeps_symbols_and_overrules_what_is_wrong) {
    struct ox_model *m = parse(HEAD "(float[N,4] x, float[4] w) => (float[N,4] y) <float[7,7] b> { "
                                    "a = Relu(x) b = Add(a, w) y = Neg(b) }");
    char text[100];
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_OK);
    ox_type_print(text, sizeof text, node_at(m, 2)->out[0]->type);
    ck_assert_str_eq(text, "float[N,4]");
    ck_assert_str_eq(last_id, "shape-conflict");
    ox_type_print(text, sizeof text, node_at(m, 1)->out[0]->type);
    ck_assert_str_eq(text, "float[N,4]");
    ck_assert_int_eq(ox_model_set_dim(m, "N", 3), OX_OK);
    ox_type_print(text, sizeof text, node_at(m, 2)->out[0]->type);
    ck_assert_str_eq(text, "float[3,4]");
    ck_assert_int_eq(ox_model_set_dim(m, "N", 3), OX_USAGE);
    ox_model_free(m);
}
END_TEST

START_TEST(contradictions_are_errors_with_the_node) {
    struct ox_model *m =
        parse(HEAD "(float[2,3] x, float[4] w) => (float[2,3] y) { y = Add(x, w) }");
    ck_assert_int_eq(ox_model_infer(m, NULL), OX_INVALID);
    ck_assert_str_eq(last_id, "shape-mismatch");
    ck_assert_str_eq(last_node, "y");
    ox_model_free(m);
}
END_TEST

struct trace {
    int n;
    char names[200];
};

static ox_status observe(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct trace *trace = user;
    (void)t;
    trace->n++;
    strncat(trace->names, ox_name_text(v->name), sizeof trace->names - strlen(trace->names) - 1);
    strncat(trace->names, " ", sizeof trace->names - strlen(trace->names) - 1);
    return OX_OK;
}

START_TEST(the_executor_runs_and_lets_go) {
    struct ox_model *m =
        parse(HEAD "(float[2] x) => (float[2] y, float[2] x2) <float[2] w = {10, 20}> "
                   "{ a = Relu(x) b = Add(a, w) y = Mul(b, b) x2 = Neg(x) }");
    struct ox_runner r;
    ck_assert_int_eq(ox_exec_new(&r, m), OX_OK);
    ox_tensor *x, *out[2];
    struct trace trace = {0};
    ck_assert_int_eq(ox_tensor_copy(&x, ctx, OX_FLOAT, 1, (int64_t[]){2}, (float[]){-1, 2}, 8),
                     OX_OK);
    ck_assert_int_eq(r.run(r.self, (const ox_tensor *const[]){x}, out, observe, &trace), OX_OK);
    const float *y = out[0]->data, *x2 = out[1]->data;
    ck_assert_float_eq(y[0], 100);
    ck_assert_float_eq(y[1], 484);
    ck_assert_float_eq(x2[0], 1);
    ck_assert_str_eq(trace.names, "x a b y x2 ");
    ox_tensor_unref(out[0]);
    ox_tensor_unref(out[1]);
    ck_assert_int_eq(r.run(r.self, (const ox_tensor *const[]){NULL}, out, NULL, NULL), OX_INVALID);
    ck_assert_str_eq(last_id, "no-input");
    r.free(r.self);
    ox_tensor_unref(x);
    ox_model_free(m);
}
END_TEST

START_TEST(sessions_check_what_they_are_given) {
    struct ox_model *m = parse(HEAD "(float[N,2] x) => (float[N,2] y) { y = Neg(x) }");
    ox_session *s;
    ox_tensor *x, *out[1];
    ck_assert_int_eq(ox_session_new(&s, m), OX_OK);
    ck_assert_int_eq(ox_tensor_new(&x, NULL, ctx, OX_FLOAT, 2, (int64_t[]){5, 3}), OX_OK);
    ck_assert_int_eq(ox_session_run(s, (const ox_tensor *const[]){x}, out), OX_INVALID);
    ck_assert_str_eq(last_text, "input 'x' is float[N,2] and was given float[5,3]");
    ox_tensor_unref(x);
    ck_assert_int_eq(ox_tensor_new(&x, NULL, ctx, OX_FLOAT, 2, (int64_t[]){0, 2}), OX_OK);
    ck_assert_int_eq(ox_session_run(s, (const ox_tensor *const[]){x}, out), OX_OK);
    ck_assert_uint_eq(out[0]->count, 0);
    ox_tensor_unref(out[0]);
    ox_tensor_unref(x);
    ox_session_free(s);
    ox_model_free(m);
}
END_TEST

START_TEST(opaque_nodes_are_kept_and_not_run) {
    struct ox_model *m = parse("<ir_version: 8, opset_import: [\"\" : 17, \"custom\" : 1]> g "
                               "(float[2] x) => (float[2] y) { a = custom.Odd(x) y = Neg(a) }");
    struct ox_runner r;
    ck_assert_msg(ox_model_check(m) == OX_OK, "%s", last_text);
    ck_assert_int_eq(ox_exec_new(&r, m), OX_UNSUPPORTED);
    ck_assert(!ox_node_removable(node_at(m, 0)));
    ck_assert(ox_node_pure(node_at(m, 1)));
    struct ox_model_stats stats;
    ck_assert_int_eq(ox_model_stats(&stats, m), OX_OK);
    ck_assert_uint_eq(stats.opaque_nodes, 1);
    const char *domain, *type;
    size_t count;
    bool known;
    ck_assert(ox_model_op_count(&domain, &type, &count, &known, m, 0) && strcmp(type, "Neg") == 0 &&
              known);
    ck_assert(ox_model_op_count(&domain, &type, &count, &known, m, 1) && strcmp(type, "Odd") == 0 &&
              !known);
    ck_assert(!ox_model_op_count(&domain, &type, &count, &known, m, 2));
    ox_model_free(m);
}
END_TEST

START_TEST(subgraphs_capture_and_are_checked) {
    struct ox_model *m = parse(HEAD "(bool c, float[2] x) => (float[2] y) { a = Neg(x) y = If (c) "
                                    "<then_branch = t () => (float[2] u) { u = Relu(a) }, "
                                    "else_branch = e () => (float[2] v) { v = Abs(a) }> }");
    struct ox_node *neg = node_at(m, 0), *branch = node_at(m, 1);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ck_assert_uint_eq(neg->out[0]->n_uses, 2);
    ox_node_move(branch, neg);
    ck_assert_int_eq(ox_model_verify(m), OX_INVALID);
    ck_assert_str_eq(last_id, "not-dominated");
    ck_assert_int_eq(ox_graph_sort(m->graph), OX_OK);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ox_value_replace(branch->out[0], neg->out[0]);
    ox_node_remove(branch);
    ck_assert_uint_eq(neg->out[0]->n_uses, 1);
    ck_assert_int_eq(ox_model_verify(m), OX_OK);
    ox_model_free(m);
}
END_TEST

static ox_tensor *run1(struct ox_model *m, const ox_tensor *const *in) {
    struct ox_runner r;
    ox_tensor *out[4];
    ck_assert_msg(ox_model_check(m) == OX_OK, "%s", last_text);
    ck_assert_int_eq(ox_exec_new(&r, m), OX_OK);
    ck_assert_msg(r.run(r.self, in, out, NULL, NULL) == OX_OK, "%s", last_text);
    for (size_t i = 1; i < m->graph->ret->n_in; i++)
        ox_tensor_unref(out[i]);
    r.free(r.self);
    return out[0];
}

START_TEST(branches_run_and_captured_values_live_as_long_as_needed) {
    struct ox_model *m =
        parse(HEAD "(bool c, float[2] x) => (float[2] y) { a = Neg(x) b = If (c) <then_branch = t "
                   "() => (float[2] u) { u = Add(a, a) }, "
                   "else_branch = e () => (float[2] v) { v = Abs(a) }> d = If (c) <then_branch = t "
                   "() => (float[2] u) { u = Neg(a) }, "
                   "else_branch = e () => (float[2] v) { v = Identity(a) }> y = Sub(b, d) }");
    ox_tensor *x, *c, *y;
    ck_assert_int_eq(ox_tensor_copy(&x, ctx, OX_FLOAT, 1, (int64_t[]){2}, (float[]){1, -2}, 8),
                     OX_OK);
    for (int i = 0; i < 2; i++) {
        unsigned char flag = (unsigned char)i;
        ck_assert_int_eq(ox_tensor_copy(&c, ctx, OX_BOOL, 0, NULL, &flag, 1), OX_OK);
        y = run1(m, (const ox_tensor *const[]){c, x});
        const float *v = y->data;
        ck_assert_float_eq(v[0], i ? -3 : 2);
        ck_assert_float_eq(v[1], i ? 6 : 0);
        ox_tensor_unref(y);
        ox_tensor_unref(c);
    }
    ox_tensor_unref(x);
    ox_model_free(m);
}
END_TEST

START_TEST(loops_carry_state_and_collect) {
    /* state doubles; collected is the iteration number plus a captured value */
    struct ox_model *m = parse(HEAD "(int64 n, float[1] x) => (float[N] all, float[1] last) { k = "
                                    "Neg(x) last, all = Loop (n, , x) <body = b "
                                    "(int64 i, bool go, float[1] s) => (bool go2, float[1] s2, "
                                    "float o) { go2 = Identity(go) s2 = Add(s, s) "
                                    "f = Cast <to = 1> (i) p = Add(f, k) o = Squeeze(p) }> }");
    ox_tensor *n, *x, *y;
    int64_t trips = 3;
    ck_assert_int_eq(ox_tensor_copy(&n, ctx, OX_INT64, 0, NULL, &trips, 8), OX_OK);
    ck_assert_int_eq(ox_tensor_copy(&x, ctx, OX_FLOAT, 1, (int64_t[]){1}, (float[]){10}, 4), OX_OK);
    y = run1(m, (const ox_tensor *const[]){n, x});
    const float *v = y->data;
    ck_assert_uint_eq(y->count, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_float_eq(v[i], (float)(i - 10));
    ox_tensor_unref(y);
    ox_tensor_unref(n);
    trips = 0;
    ck_assert_int_eq(ox_tensor_copy(&n, ctx, OX_INT64, 0, NULL, &trips, 8), OX_OK);
    y = run1(m, (const ox_tensor *const[]){n, x});
    ck_assert_uint_eq(y->count, 0);
    ox_tensor_unref(y);
    ox_tensor_unref(n);
    ox_tensor_unref(x);
    ox_model_free(m);
}
END_TEST

START_TEST(scans_step_along_axes) {
    struct ox_model *m = parse(HEAD "(float[1] s, float[2,3] x) => (float[2,3] y, float[1] t) { t, "
                                    "y = Scan <num_scan_inputs = 1, scan_input_axes = [1], "
                                    "scan_output_axes = [1], scan_input_directions = [1], body = b "
                                    "(float[1] a, float[2] c) => (float[1] a2, float[2] d) "
                                    "{ m = ReduceSum(c) a2 = Add(a, m) d = Mul(c, a2) }> (s, x) }");
    ox_tensor *s, *x, *y;
    ck_assert_int_eq(ox_tensor_copy(&s, ctx, OX_FLOAT, 1, (int64_t[]){1}, (float[]){1}, 4), OX_OK);
    ck_assert_int_eq(
        ox_tensor_copy(&x, ctx, OX_FLOAT, 2, (int64_t[]){2, 3}, (float[]){1, 2, 3, 4, 5, 6}, 24),
        OX_OK);
    y = run1(m, (const ox_tensor *const[]){s, x});
    /* steps, last column first: sums 9, 7, 5; states 10, 17, 22 */
    const float want[6] = {30, 34, 22, 60, 85, 88}, *v = y->data;
    ck_assert_uint_eq(y->count, 6);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(v[i], want[i]);
    ox_tensor_unref(y);
    ox_tensor_unref(s);
    ox_tensor_unref(x);
    ox_model_free(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("graph");
    TCase *t = tcase_create("graph");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, edges_move_in_use_lists);
    tcase_add_test(t, order_survives_many_insertions_at_one_place);
    tcase_add_test(t, sorting_restores_order_and_finds_cycles);
    tcase_add_test(t, verification_reports_all_problems_at_their_place);
    tcase_add_test(t, opsets_are_checked);
    tcase_add_test(t, inference_keeps_symbols_and_overrules_what_is_wrong);
    tcase_add_test(t, contradictions_are_errors_with_the_node);
    tcase_add_test(t, the_executor_runs_and_lets_go);
    tcase_add_test(t, sessions_check_what_they_are_given);
    tcase_add_test(t, opaque_nodes_are_kept_and_not_run);
    tcase_add_test(t, subgraphs_capture_and_are_checked);
    tcase_add_test(t, branches_run_and_captured_values_live_as_long_as_needed);
    tcase_add_test(t, loops_carry_state_and_collect);
    tcase_add_test(t, scans_step_along_axes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
