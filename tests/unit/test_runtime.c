/* tests/unit/test_runtime.c - programs and sessions: inputs, results, memory, threads, profiles. */
#include "tests/unit/blob_harness.h"

#include <check.h>
#include <onnxopt/passes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static char last_id[64];
static size_t allocations, fail_in = SIZE_MAX; /* how many allocations succeed from now on */

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    snprintf(last_id, sizeof last_id, "%s", d->id);
}

static void *counted_alloc(void *user, size_t size) {
    (void)user;
    allocations++;
    if (fail_in == 0) return NULL;
    if (fail_in != SIZE_MAX) fail_in--;
    return malloc(size);
}

static void *counted_resize(void *user, void *p, size_t size) {
    (void)user;
    allocations++;
    return realloc(p, size);
}

static void counted_release(void *user, void *p) {
    (void)user;
    free(p);
}

static ox_ctx *ctx;

static ox_ctx *new_ctx(int threads) {
    static const struct ox_allocator counting = {NULL, counted_alloc, counted_resize,
                                                 counted_release};
    struct ox_ctx_options o = {
        .size = sizeof o, .on_diag = on_diag, .threads = threads, .allocator = &counting};
    ox_ctx *c;
    ck_assert_int_eq(ox_ctx_new(&c, &o), OX_OK);
    return c;
}

static void setup(void) {
    last_id[0] = 0;
    ctx = new_ctx(1);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

/* A program and what it stands on. */
struct made {
    unsigned char *blob;
    size_t size;
    oxr_program *program;
    oxr_session *session;
};

static struct made make(const char *text, int threads) {
    struct made m;
    struct ox_model *model = blob_model(ctx, text);
    blob_build(&m.blob, &m.size, model);
    ox_model_free(model);
    ck_assert_int_eq(oxr_program_open_memory(&m.program, ctx, m.blob, m.size, NULL), OX_OK);
    ck_assert_int_eq(
        oxr_session_new(&m.session, ctx, m.program,
                        &(struct oxr_session_options){.size = sizeof(struct oxr_session_options),
                                                      .threads = threads}),
        OX_OK);
    return m;
}

static void unmake(struct made *m) {
    oxr_session_free(m->session);
    oxr_program_free(m->program);
    ox_native_free(ctx, m->blob);
}

static ox_tensor *floats(int rank, const int64_t *dims) {
    ox_tensor *t;
    void *data;
    ck_assert_int_eq(ox_tensor_new(&t, &data, ctx, OX_FLOAT, rank, dims), OX_OK);
    for (size_t i = 0; i < t->count; i++)
        ((float *)data)[i] = (float)(i % 17) * 0.25f - 2;
    return t;
}

static void bind_made_up(struct made *m, oxr_session *session, ox_ctx *c) {
    struct ox_port port;
    for (size_t i = 0; oxr_input(&port, m->program, i); i++) {
        ox_tensor *t = blob_input(c, &port, i + 1);
        ck_assert_int_eq(oxr_bind(session, i, t), OX_OK);
        ox_tensor_unref(t);
    }
}

START_TEST(the_second_run_allocates_nothing) {
    struct made m = make(blob_texts[_i], 1);
    struct oxr_memory first, later;
    bind_made_up(&m, m.session, ctx);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    oxr_session_memory(&first, m.session);
    size_t before = allocations;
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(oxr_run(m.session), OX_OK);
    oxr_session_memory(&later, m.session);
    ck_assert_uint_eq(allocations, before);
    ck_assert_uint_eq(first.requests, later.requests);
    ck_assert_uint_eq(first.held, later.held);
    ck_assert_uint_le(later.used, later.peak);
    ck_assert_uint_gt(first.peak, 0);
    unmake(&m);
}
END_TEST

START_TEST(memory_is_as_planned) {
    struct made m = make(blob_texts[_i], 1);
    struct oxr_memory rehearsed, ran;
    oxr_session *other;
    bool fixed;
    ck_assert_int_eq(oxr_rehearse(m.session, &fixed), OX_OK);
    oxr_session_memory(&rehearsed, m.session);
    ck_assert_int_eq(oxr_session_new(&other, ctx, m.program,
                                     &(struct oxr_session_options){
                                         .size = sizeof(struct oxr_session_options), .threads = 1}),
                     OX_OK);
    struct ox_port port;
    for (size_t i = 0; oxr_input(&port, m.program, i); i++) { /* the same shapes, other numbers */
        int64_t dims[OX_MAX_RANK];
        ox_tensor *x;
        void *data;
        if (oxr_input_has_default(m.program, i)) continue;
        for (int k = 0; k < port.rank; k++)
            dims[k] = port.dims[k] < 0 ? 1 : port.dims[k];
        ck_assert_int_eq(ox_tensor_new(&x, &data, ctx, port.dtype, port.rank, dims), OX_OK);
        for (size_t k = 0; k < x->count && port.dtype == OX_FLOAT; k++)
            ((float *)data)[k] = (float)k;
        ck_assert_int_eq(oxr_bind(other, i, x), OX_OK);
        ox_tensor_unref(x);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(oxr_run(other), OX_OK);
    oxr_session_memory(&ran, other);
    ck_assert_uint_eq(ran.planned, rehearsed.planned);
    oxr_session_free(other);
    unmake(&m);
}
END_TEST

/* Results of a run that are the inputs of the next one stay what they are, although they lie in the
 * arena. */
START_TEST(results_may_be_fed_back) {
    struct made m =
        make("<ir_version: 8, opset_import: [\"\" : 17]> m (float[N,2048] x) => (float[N,2048] y) "
             "<float one = {1}> "
             "{ a = Add(x, one) b = Exp(a) c = Log(b) d = Mul(c, one) y = Identity(d) }",
             1);
    ox_tensor *x = floats(2, (int64_t[]){3, 2048});
    ck_assert_int_eq(oxr_bind(m.session, 0, x), OX_OK);
    size_t before = 0;
    for (int i = 1; i <= 12; i++) {
        ck_assert_int_eq(oxr_run(m.session), OX_OK);
        ox_tensor *y = ox_tensor_ref((ox_tensor *)(uintptr_t)oxr_result(m.session, 0));
        for (size_t k = 0; k < y->count; k++)
            ck_assert_float_eq_tol(((const float *)y->data)[k],
                                   ((const float *)x->data)[k] + (float)i, 1e-4f);
        ck_assert_int_eq(oxr_bind(m.session, 0, y), OX_OK);
        ox_tensor_unref(y);
        if (i == 6) before = allocations;
    }
    ck_assert_uint_eq(allocations, before);
    struct oxr_memory memory;
    oxr_session_memory(&memory, m.session);
    ck_assert_uint_ge(memory.planned, x->size); /* the result lies there, too */
    ck_assert_uint_le(memory.planned, memory.held);
    ox_tensor_unref(x);
    unmake(&m);
}
END_TEST

START_TEST(shapes_may_change_and_come_back) {
    struct made m = make(blob_texts[0], 1);
    float one[3] = {0};
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
        for (int64_t n = 1; n <= 3; n++) {
            ox_tensor *x = floats(4, (int64_t[]){n, 2, 6, 6});
            ck_assert_int_eq(oxr_bind(m.session, 0, x), OX_OK);
            ox_tensor_unref(x);
            if (round == 2 && n == 1) before = allocations;
            size_t own = allocations; /* the input's */
            ck_assert_int_eq(oxr_run(m.session), OX_OK);
            if (round == 2) ck_assert_uint_eq(allocations, own);
            const ox_tensor *y = oxr_result(m.session, 0);
            ck_assert_int_eq(y->dims[0], n);
            if (round == 0 && n == 1) memcpy(one, y->data, sizeof one);
            ck_assert_mem_eq(one, y->data, sizeof one); /* the first row, whatever the batch */
        }
    }
    ck_assert_uint_gt(before, 0);
    unmake(&m);
}
END_TEST

START_TEST(wrong_and_missing_inputs_are_named) {
    struct made m = make(blob_texts[0], 1);
    ox_tensor *x = floats(4, (int64_t[]){1, 3, 6, 6}), *y = floats(3, (int64_t[]){2, 6, 6}),
              *good = floats(4, (int64_t[]){1, 2, 6, 6});
    ck_assert_int_eq(oxr_run(m.session), OX_INVALID);
    ck_assert_str_eq(last_id, "no-input");
    ck_assert_int_eq(oxr_bind(m.session, 0, x), OX_INVALID);
    ck_assert_str_eq(last_id, "wrong-input");
    ck_assert_int_eq(oxr_bind(m.session, 0, y), OX_INVALID);
    ck_assert_int_eq(oxr_bind(m.session, 1, good), OX_USAGE);
    ck_assert_ptr_null(oxr_result(m.session, 0));
    ck_assert_int_eq(oxr_bind(m.session, 0, good), OX_OK);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    ck_assert_ptr_nonnull(oxr_result(m.session, 0));
    ck_assert_ptr_null(oxr_result(m.session, 1));
    ox_tensor_unref(x);
    ox_tensor_unref(y);
    ox_tensor_unref(good);
    unmake(&m);
}
END_TEST

#define HEAD "<ir_version: 8, opset_import: [\"\" : 17]> g "

START_TEST(a_session_survives_a_failing_run) {
    struct made m = make(
        HEAD "(float[N] a, float[M] b) => (float[K] y) { r = Relu(a)  s = Exp(r)  y = Add(s, b) }",
        1);
    ox_tensor *two = floats(1, (int64_t[]){2}), *three = floats(1, (int64_t[]){3});
    ck_assert_int_eq(oxr_bind(m.session, 0, two), OX_OK);
    ck_assert_int_eq(oxr_bind(m.session, 1, three), OX_OK);
    ck_assert_int_eq(oxr_run(m.session), OX_INVALID);
    ck_assert_str_eq(last_id, "shape-mismatch");
    ck_assert_ptr_null(oxr_result(m.session, 0));
    ck_assert_int_eq(oxr_bind(m.session, 0, three), OX_OK);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    ck_assert_uint_eq(oxr_result(m.session, 0)->count, 3);
    ox_tensor_unref(two);
    ox_tensor_unref(three);
    unmake(&m);
}
END_TEST

START_TEST(defaults_hold_until_something_is_bound) {
    struct made m =
        make(HEAD "(float[3] x, float[3] d = {10, 20, 30}) => (float[3] y) { y = Add(x, d) }", 1);
    ox_tensor *x = floats(1, (int64_t[]){3});
    ck_assert(!oxr_input_has_default(m.program, 0) && oxr_input_has_default(m.program, 1));
    ck_assert_int_eq(oxr_bind(m.session, 0, x), OX_OK);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    ck_assert_float_eq(((const float *)oxr_result(m.session, 0)->data)[2], 30 - 1.5f);
    ck_assert_int_eq(oxr_bind(m.session, 1, x), OX_OK);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    ck_assert_float_eq(((const float *)oxr_result(m.session, 0)->data)[2], -3);
    ck_assert_int_eq(oxr_bind(m.session, 1, NULL), OX_OK);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    ck_assert_float_eq(((const float *)oxr_result(m.session, 0)->data)[2], 30 - 1.5f);
    ox_tensor_unref(x);
    unmake(&m);
}
END_TEST

START_TEST(what_the_caller_and_the_program_own_is_never_written_to) {
    struct made m = make(HEAD "(float[64] x) => (float[64] y, float[64] z) <float[1] k = {3}> { a "
                              "= Relu(x)  b = Neg(a)  y = Abs(b)  c = Mul(k, x)  z = Relu(c) }",
                         1);
    ox_tensor *x = floats(1, (int64_t[]){64}), *same = floats(1, (int64_t[]){64});
    unsigned char *copy = malloc(m.size);
    memcpy(copy, m.blob, m.size);
    ck_assert_int_eq(oxr_bind(m.session, 0, x), OX_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(oxr_run(m.session), OX_OK);
        for (size_t k = 0; k < 64; k++) {
            float v = ((const float *)same->data)[k];
            ck_assert_float_eq(((const float *)oxr_result(m.session, 0)->data)[k], v > 0 ? v : 0);
            ck_assert_float_eq(((const float *)oxr_result(m.session, 1)->data)[k],
                               v > 0 ? 3 * v : 0);
        }
    }
    ck_assert(ox_tensor_equal(x, same));
    ck_assert_mem_eq(copy, m.blob, m.size);
    free(copy);
    ox_tensor_unref(x);
    ox_tensor_unref(same);
    unmake(&m);
}
END_TEST

static void count_event(void *user, const struct oxr_event *e) {
    size_t *counts = user;
    ck_assert_int_le(e->start, e->end);
    counts[e->step]++;
}

START_TEST(profiles_tell_every_step) {
    struct made m = make(blob_texts[1], 1);
    struct oxr_program_stats stats;
    struct oxr_step_info info;
    size_t counts[64] = {0}, in_main = 0;
    oxr_program_stats(&stats, m.program);
    ck_assert_uint_le(stats.steps, 64);
    bind_made_up(&m, m.session, ctx);
    oxr_profile(m.session, count_event, counts);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    oxr_profile(m.session, NULL, NULL);
    ck_assert_int_eq(oxr_run(m.session), OX_OK);
    for (size_t i = 0; oxr_step_info(&info, m.program, i); i++) {
        if (info.graph == 0) ck_assert_uint_eq(counts[i], 1);
        if (strcmp(info.op, "Identity") != 0 && info.graph > 0 && counts[i] == 3)
            in_main++; /* the loop's body ran three times */
    }
    ck_assert_uint_ge(in_main, 2);
    ck_assert(!oxr_step_info(&info, m.program, stats.steps));
    unmake(&m);
}
END_TEST

/* Compiles, opens and runs; what was made is ended. */
static ox_status whole_way(struct ox_model *model) {
    void *blob = NULL;
    size_t size = 0;
    oxr_program *program = NULL;
    oxr_session *session = NULL;
    struct ox_port port;
    ox_status s = ox_native_build(&blob, &size, model);
    if (s == OX_OK) s = oxr_program_open_memory(&program, ctx, blob, size, NULL);
    if (s == OX_OK) s = oxr_session_new(&session, ctx, program, NULL);
    for (size_t i = 0; s == OX_OK && oxr_input(&port, program, i); i++) {
        ox_tensor *t = blob_input(ctx, &port, i + 1);
        s = t ? oxr_bind(session, i, t) : OX_NOMEM;
        ox_tensor_unref(t);
    }
    if (s == OX_OK) s = oxr_run(session);
    if (s == OX_OK) s = oxr_run(session);
    oxr_session_free(session);
    oxr_program_free(program);
    ox_native_free(ctx, blob);
    return s;
}

START_TEST(no_memory_at_any_point_is_an_error_and_leaves_nothing) {
    struct ox_model *model = blob_model(ctx, blob_texts[_i]);
    ck_assert_int_eq(whole_way(model), OX_OK); /* names are interned by now */
    size_t before = ox_ctx_memory(ctx), n = 0;
    for (ox_status s = OX_NOMEM; s != OX_OK; n++) {
        fail_in = n;
        s = whole_way(model);
        fail_in = SIZE_MAX;
        ck_assert_msg(s == OX_OK || s == OX_NOMEM, "allocation %zu fails: status %d", n, (int)s);
        ck_assert_uint_eq(ox_ctx_memory(ctx), before);
    }
    ck_assert_uint_gt(n, 50);
    ox_model_free(model);
}
END_TEST

/* ---- threads --------------------------------------------------------------------------------- */

/* A small network, its weights made by operators that the optimizer folds. */
static struct ox_model *network(void) {
    static const char *const text = HEAD
        "(float[1,8,40,40] x) => (float[1,16,20,20] y, float[1,16,20,1] s, float[1,16,20,20] m)"
        "{ sw = Constant <value = int64[4] {16,8,3,3}> ()  sd = Constant <value = int64[4] "
        "{16,1,3,3}> ()  sk = Constant <value = int64[2] {20,20}> ()"
        "  lw = Constant <value = float {1152}> ()  ld = Constant <value = float {144}> ()  lk = "
        "Constant <value = float {400}> ()"
        "  zero = Constant <value = float {0}> ()  one = Constant <value = float {1}> ()"
        "  rw = Range(zero, lw, one)  rd = Range(zero, ld, one)  rk = Range(zero, lk, one)"
        "  tw = Sin(rw)  td = Sin(rd)  tk = Sin(rk)"
        "  w = Reshape(tw, sw)  d = Reshape(td, sd)  k = Reshape(tk, sk)"
        "  a = Conv <pads = [1,1,1,1], strides = [2,2]> (x, w)  b = Conv <pads = [1,1,1,1], group "
        "= 16> (a, d)"
        "  c = Add(a, b)  y = Sigmoid(c)  axes = Constant <value = int64[1] {3}> ()  s = ReduceSum "
        "<keepdims = 1> (y, axes)"
        "  m = MatMul(y, k) }";
    struct ox_model *m = blob_model(ctx, text);
    ck_assert_int_eq(ox_optimize(m, NULL, NULL), OX_OK); /* the weights become constants */
    return m;
}

START_TEST(results_do_not_depend_on_threads) {
    struct ox_model *model = network();
    unsigned char *blob;
    size_t size;
    oxr_program *program;
    ox_tensor *x = floats(4, (int64_t[]){1, 8, 40, 40}), *first[3] = {0}, *out[3];
    blob_build(&blob, &size, model);
    ck_assert_int_eq(oxr_program_open_memory(&program, ctx, blob, size, NULL), OX_OK);
    for (int threads = 1; threads <= 4; threads++) {
        oxr_session *session;
        ck_assert_int_eq(
            oxr_session_new(&session, ctx, program,
                            &(struct oxr_session_options){
                                .size = sizeof(struct oxr_session_options), .threads = threads}),
            OX_OK);
        for (int round = 0; round < 3; round++) {
            ck_assert_int_eq(oxr_call(session, (const ox_tensor *const[]){x}, out), OX_OK);
            for (int i = 0; i < 3; i++) {
                if (!first[i]) first[i] = ox_tensor_ref(out[i]);
                ck_assert_msg(ox_tensor_equal(first[i], out[i]),
                              "output %d differs with %d threads", i, threads);
                ox_tensor_unref(out[i]);
            }
        }
        oxr_session_free(session);
    }
    for (int i = 0; i < 3; i++)
        ox_tensor_unref(first[i]);
    ox_tensor_unref(x);
    oxr_program_free(program);
    ox_native_free(ctx, blob);
    ox_model_free(model);
}
END_TEST

struct worker {
    const oxr_program *program;
    const float *input;
    size_t n_bytes, output;
    int rank;
    const int64_t *dims;
    float result[16 * 20];
    bool ok;
};

/* Own context, own session, one program. */
static void *work(void *arg) {
    struct worker *w = arg;
    struct ox_ctx_options o = {.size = sizeof o, .threads = 1};
    ox_ctx *own;
    oxr_session *session = NULL;
    ox_tensor *x = NULL;
    if (ox_ctx_new(&own, &o) != OX_OK) return NULL;
    w->ok = oxr_session_new(&session, own, w->program, NULL) == OX_OK &&
            ox_tensor_copy(&x, own, OX_FLOAT, w->rank, w->dims, w->input, w->n_bytes) == OX_OK &&
            oxr_bind(session, 0, x) == OX_OK;
    for (int i = 0; i < 20 && w->ok; i++)
        w->ok = oxr_run(session) == OX_OK;
    const ox_tensor *y = w->ok ? oxr_result(session, w->output) : NULL;
    if (y) memcpy(w->result, y->data, y->size < sizeof w->result ? y->size : sizeof w->result);
    ox_tensor_unref(x);
    oxr_session_free(session);
    ox_ctx_free(own);
    return NULL;
}

/* Four sessions at once give the same output; the model is freed. */
static void share(struct ox_model *model, int rank, const int64_t *dims, size_t output) {
    unsigned char *blob;
    size_t size;
    oxr_program *program;
    ox_tensor *x = floats(rank, dims);
    struct worker w[4];
    pthread_t threads[4];
    blob_build(&blob, &size, model);
    ck_assert_int_eq(oxr_program_open_memory(&program, ctx, blob, size, NULL), OX_OK);
    for (int i = 0; i < 4; i++) {
        w[i] = (struct worker){.program = program,
                               .input = x->data,
                               .n_bytes = x->size,
                               .rank = rank,
                               .dims = dims,
                               .output = output};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        ck_assert(w[i].ok);
        ck_assert_mem_eq(w[i].result, w[0].result, sizeof w[0].result);
    }
    ox_tensor_unref(x);
    oxr_program_free(program);
    ox_native_free(ctx, blob);
    ox_model_free(model);
}

START_TEST(sessions_of_several_threads_share_a_program) {
    share(network(), 4, (int64_t[]){1, 8, 40, 40}, 1);
}
END_TEST

/* Trees, patterns and n-grams are made when the program is opened, and read by all at once. */
START_TEST(sessions_of_several_threads_share_what_is_prepared) {
    for (size_t output = 0; output < 3; output++)
        share(blob_model(ctx, blob_texts[4]), 2, (int64_t[]){60, 2}, output);
}
END_TEST

int main(void) {
    Suite *s = suite_create("runtime");
    TCase *t = tcase_create("runtime");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, the_second_run_allocates_nothing, 0, 5);
    tcase_add_loop_test(t, memory_is_as_planned, 0, 4);
    tcase_add_test(t, results_may_be_fed_back);
    tcase_add_test(t, shapes_may_change_and_come_back);
    tcase_add_test(t, wrong_and_missing_inputs_are_named);
    tcase_add_test(t, a_session_survives_a_failing_run);
    tcase_add_test(t, defaults_hold_until_something_is_bound);
    tcase_add_test(t, what_the_caller_and_the_program_own_is_never_written_to);
    tcase_add_test(t, profiles_tell_every_step);
    tcase_add_loop_test(t, no_memory_at_any_point_is_an_error_and_leaves_nothing, 0, 5);
    tcase_add_test(t, results_do_not_depend_on_threads);
    tcase_add_test(t, sessions_of_several_threads_share_a_program);
    tcase_add_test(t, sessions_of_several_threads_share_what_is_prepared);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
