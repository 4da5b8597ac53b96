/* tests/unit/test_quant_match.c - notes of BatchNormalization, and samples brought to them. */
#include "tests/unit/quant_harness.h"

#include "passes/quantize/guess_input.h"
#include "passes/quantize/synthetic.h"
#include <check.h>
#include <math.h>
#include <stdlib.h>

static struct quant_world w;
static struct ox_norm_stats norms;
static struct ox_qmatch match;

static void teardown(void) {
    ox_qmatch_fini(&match);
    ox_norm_stats_free(&norms, w.ctx);
    quant_world_close(&w);
}

/* Channel 2 does not vary whatever the input is; n is behind it all. */
static const char *const text =
    "<ir_version: 8, opset_import: [\"\" : 13]> main (float[1,1,16,16] x) => (float[1,1,16,16] y)\n"
    "<float[3,1,1,1] w = {1, -5, 0}, float[3] s = {0.5, -2, 1}, float[3] t = {1, -3, 7},\n"
    " float[3] mean = {0, 0, 0}, float[3] var = {1, 1, 1}, float[1,3,1,1] v = {1, 1, 1}> {\n"
    "a = Conv(x, w) n = BatchNormalization(a, s, t, mean, var) r = Relu(n) y = Conv(r, v) }";

static void start(void) {
    quant_world_open(&w, text);
    ck_assert_int_eq(ox_norm_stats_collect(&norms, w.model), OX_OK);
    quant_plan(&w);
    quant_samples(&w, 4);
    ck_assert_int_eq(ox_qmatch_init(&match, w.plan, &norms), OX_OK);
}

START_TEST(scale_and_bias_are_noted) {
    start();
    ck_assert(norms.any);
    ck_assert_uint_eq(norms.n, 1);
    const struct ox_norm_stat *s = ox_norm_stats_find(&norms, quant_value(&w, "n")->name);
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(s->n, 3);
    ck_assert_double_eq(s->mean[1], -3);
    ck_assert_double_eq(s->dev[1], 2); /* a deviation has no sign */
    ck_assert_ptr_null(ox_norm_stats_find(&norms, quant_value(&w, "a")->name));
    ck_assert_ptr_null(ox_norm_stats_find(&norms, NULL));
}
END_TEST

struct moments {
    double n, sum[3], squares[3];
};

static ox_status observe(void *user, const struct ox_value *v, const ox_tensor *t) {
    struct moments *m = user;
    if (v != quant_value(&w, "n")) return OX_OK;
    const float *x = t->data;
    for (size_t i = 0; i < t->count; i++) {
        m->sum[i / 256] += x[i];
        m->squares[i / 256] += (double)x[i] * x[i];
    }
    m->n += 256;
    return OX_OK;
}

START_TEST(channels_get_their_moments) {
    struct moments m = {0};
    ox_tensor *input[1];
    start();
    w.sim.match = &match;
    ck_assert_int_eq(ox_qstats_match(&w.sim, &w.data, 4), OX_OK);
    ck_assert_int_eq(match.mode, OX_QMATCH_FIXED);
    for (size_t k = 0; k < 4; k++) {
        ck_assert_int_eq(w.data.sample(w.data.self, k, input, NULL), OX_OK);
        ck_assert_int_eq(ox_qsim_float(&w.sim, (const ox_tensor *const *)input, false, observe, &m),
                         OX_OK);
        ox_tensor_unref(input[0]);
    }
    static const double mean[3] = {1, -3, 7}, dev[3] = {0.5, 2, 1};
    for (int c = 0; c < 2; c++) { /* exact over the samples they were learned from */
        ck_assert_double_eq_tol(m.sum[c] / m.n, mean[c], 1e-4);
        double variance = m.squares[c] / m.n - m.sum[c] / m.n * (m.sum[c] / m.n);
        ck_assert_double_eq_tol(sqrt(variance), dev[c], 1e-3);
    }
    /* a constant channel becomes a normal one */
    ck_assert_double_eq_tol(m.sum[2] / m.n, 7, 0.2);
    ck_assert_double_eq_tol(sqrt(m.squares[2] / m.n - m.sum[2] / m.n * (m.sum[2] / m.n)), 1, 0.2);
}
END_TEST

START_TEST(what_follows_is_matched_too) {
    bool *reach;
    start();
    ck_assert_int_eq(ox_qmatch_reach(&reach, &match, w.plan), OX_OK);
    ck_assert(reach[quant_value(&w, "n")->id] && reach[quant_value(&w, "r")->id]);
    ck_assert(reach[quant_value(&w, "y")->id]);
    ck_assert(!reach[quant_value(&w, "x")->id] && !reach[quant_value(&w, "a")->id]);
    ox_free(w.ctx, reach);
}
END_TEST

START_TEST(an_input_of_bytes_is_told_by_the_notes) {
    double amplitude;
    start();
    ck_assert_int_eq(ox_guess_amplitude(&amplitude, &w.sim, &norms, 0), OX_OK);
    ck_assert_double_eq(amplitude, 1);
    norms.list[0].dev[0] = 40; /* as if the convolution had seen numbers of 0 to 255 */
    norms.list[0].dev[1] = 200;
    ck_assert_int_eq(ox_guess_amplitude(&amplitude, &w.sim, &norms, 0), OX_OK);
    ck_assert_double_eq(amplitude, 64);
}
END_TEST

/* ---- samples out of nothing ---------------------------------------------------------------------
 */

static ox_tensor *made_up(struct ox_dataset *d, size_t index, size_t input) {
    ox_tensor *inputs[4] = {0}, *t;
    ck_assert_int_eq(d->sample(d->self, index, inputs, NULL), OX_OK);
    t = ox_tensor_ref(inputs[input]);
    for (size_t i = 0; i < 4; i++)
        ox_tensor_unref(inputs[i]);
    return t;
}

static bool same(const ox_tensor *a, const ox_tensor *b) {
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

START_TEST(samples_depend_on_seed_and_index_only) {
    struct ox_dataset d, e;
    start();
    ck_assert_int_eq(ox_synthetic_open(&d, w.model, 5, 3, 1), OX_OK);
    ck_assert_int_eq(ox_synthetic_open(&e, w.model, 6, 3, 1), OX_OK);
    ck_assert_uint_eq(d.count, 3);
    ox_tensor *a = made_up(&d, 1, 0), *b = made_up(&d, 1, 0), *c = made_up(&d, 2, 0),
              *f = made_up(&e, 1, 0);
    ck_assert_uint_eq(a->count, 256);
    ck_assert(same(a, b) && !same(a, c) && !same(a, f));
    ox_tensor *all[] = {a, b, c, f};
    for (int i = 0; i < 4; i++)
        ox_tensor_unref(all[i]);
    d.free(d.self);
    e.free(e.self);
}
END_TEST

START_TEST(amplitudes_are_those_of_images_or_bytes) {
    struct ox_dataset d;
    start();
    for (int bytes = 0; bytes < 2; bytes++) {
        float low = 0, high = 0;
        ck_assert_int_eq(ox_synthetic_open(&d, w.model, 5, 4, bytes ? 64 : 1), OX_OK);
        for (size_t k = 0; k < 4; k++) {
            ox_tensor *t = made_up(&d, k, 0);
            const float *x = t->data;
            for (size_t i = 0; i < t->count; i++) {
                low = fminf(low, x[i]);
                high = fmaxf(high, x[i]);
            }
            ox_tensor_unref(t);
        }
        ck_assert_float_le(high, bytes ? 255.001f : 2.5f);
        ck_assert_float_ge(high, bytes ? 64 : 0.9f);
        ck_assert_float_ge(low, bytes ? -128 : -2.5f);
        ck_assert_float_lt(low, bytes ? -30 : -0.5f);
        d.free(d.self);
    }
}
END_TEST

START_TEST(indices_fit_their_table) {
    struct ox_dataset d;
    quant_world_open(&w, "<ir_version: 8, opset_import: [\"\" : 13]> main (int64[1,n] ids, "
                         "float[1,2] m) => (float[1,n,2] y)\n"
                         "<float[5,2] table = {1,2,3,4,5,6,7,8,9,10}> { y = Gather(table, ids) }");
    ck_assert_int_eq(ox_synthetic_open(&d, w.model, 0, 2, 1), OX_OK);
    bool seen[5] = {0};
    for (size_t k = 0; k < 2; k++) {
        ox_tensor *t = made_up(&d, k, 0);
        ck_assert_int_eq(t->rank, 2);
        ck_assert_int_eq(t->dims[1], 32); /* a dim that is not known */
        for (size_t i = 0; i < t->count; i++) {
            int64_t id = ((const int64_t *)t->data)[i];
            ck_assert(id >= 0 && id < 5);
            seen[id] = true;
        }
        ox_tensor_unref(t);
    }
    ck_assert(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);
    d.free(d.self);
}
END_TEST

START_TEST(text_cannot_be_made_up) {
    struct ox_dataset d;
    ox_tensor *inputs[1] = {0};
    quant_world_open(&w, "<ir_version: 8, opset_import: [\"\" : 13]> main (string[1] s) => "
                         "(string[1] y) { y = Identity(s) }");
    ck_assert_int_eq(ox_synthetic_open(&d, w.model, 0, 2, 1), OX_OK);
    ck_assert_int_eq(d.sample(d.self, 0, inputs, NULL), OX_UNSUPPORTED);
    d.free(d.self);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quant_match");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, NULL, teardown);
    tcase_add_test(t, scale_and_bias_are_noted);
    tcase_add_test(t, channels_get_their_moments);
    tcase_add_test(t, what_follows_is_matched_too);
    tcase_add_test(t, an_input_of_bytes_is_told_by_the_notes);
    tcase_add_test(t, samples_depend_on_seed_and_index_only);
    tcase_add_test(t, amplitudes_are_those_of_images_or_bytes);
    tcase_add_test(t, indices_fit_their_table);
    tcase_add_test(t, text_cannot_be_made_up);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
