/* tests/property/property_main.c - what must hold for random valid graphs.
 *
 *     test_property [SEEDS [FIRST]]
 *
 *  - text:  parse(print(g)) prints as g does
 *  - file:  read(write(g)) prints as g does
 *  - passes: for each pass of the table, and the preset "default", the optimized model is valid and
 * gives the same outputs
 *  - native: compiled and run by the runtime, the graph and the optimized graph give the same
 * outputs as on the reference executor, and (every 16th) the same bits with 1, 2 and 4 threads
 *  - a limit of rewrites is kept, and what comes of it is valid, too */
#include "tests/property/random_graph.h"

#include "tests/golden/golden.h"

#include <onnxopt/load.h>
#include <onnxopt/runtime.h>
#include <onnxopt/save.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static ox_ctx *ctx;
static char dir[] = "/tmp/ox_property_XXXXXX";

static char *print(struct ox_model *m) {
    char *text;
    size_t len;
    struct ox_text_options options = {0};
    if (ox_text_print(&text, &len, m, &options) != OX_OK) abort();
    return text;
}

static bool fail(uint64_t seed, const char *what, const char *pass, const char *why,
                 struct ox_model *before) {
    char *text = print(before);
    fprintf(stderr, "seed %llu: %s %s: %s\n%s\n", (unsigned long long)seed, what, pass, why, text);
    ox_free(ctx, text);
    return false;
}

static bool same_text(uint64_t seed, const char *what, struct ox_model *m, struct ox_model *again) {
    char *a = print(m), *b = print(again);
    bool ok = strcmp(a, b) == 0;
    if (!ok) fail(seed, what, "", "another text", again);
    ox_free(ctx, a);
    ox_free(ctx, b);
    return ok;
}

static bool round_trips(uint64_t seed, struct ox_model *m) {
    struct ox_model *again;
    char path[100], *text = print(m);
    bool ok = ox_text_parse(&again, ctx, text, strlen(text), "text") == OX_OK;
    ox_free(ctx, text);
    if (!ok) return fail(seed, "text", "", "does not parse", m);
    /* What was parsed has the names that printing invented; from there on nothing may change. */
    snprintf(path, sizeof path, "%s/m.onnx", dir);
    struct ox_model *read = NULL;
    ok = ox_model_verify(again) == OX_OK && ox_model_infer(again, NULL) == OX_OK &&
         same_text(seed, "text", m, again);
    ok = ok && ox_model_save(again, path, NULL, NULL) == OX_OK &&
         ox_model_load(&read, ctx, path, NULL) == OX_OK;
    if (!ok) fail(seed, "file", "", "not valid, or cannot be written and read", again);
    ok = ok && same_text(seed, "file", again, read);
    ox_model_free(read);
    ox_model_free(again);
    return ok;
}

static bool same_answers(uint64_t seed, const char *pass, struct ox_model *before,
                         struct ox_model *after) {
    ox_tensor **in, **a = NULL, **b = NULL;
    char why[300] = "cannot be executed";
    size_t n = before->graph->ret->n_in;
    if (golden_inputs(&in, before, seed) != OX_OK) abort();
    bool ok = golden_execute(&a, before, in) == OX_OK && golden_execute(&b, after, in) == OX_OK &&
              golden_same(why, sizeof why, a, b, n, 1e-4);
    if (!ok) fail(seed, "outputs after", pass, why, before);
    golden_unref_all(ctx, in, before->graph->n_inputs);
    golden_unref_all(ctx, a, n);
    golden_unref_all(ctx, b, n);
    return ok;
}

static ox_status run_native(ox_tensor ***out, const oxr_program *program, ox_tensor **in,
                            int threads) {
    const struct oxr_session_options options = {.size = sizeof options, .threads = threads};
    oxr_session *session = NULL;
    *out = NULL;
    OX_TRY(oxr_session_new(&session, ctx, program, &options));
    ox_status s = ox_alloc(ctx, out, oxr_outputs(program), sizeof **out);
    if (s == OX_OK) s = oxr_call(session, (const ox_tensor *const *)in, *out);
    oxr_session_free(session);
    return s;
}

static bool native_agrees(uint64_t seed, const char *what, struct ox_model *m) {
    ox_tensor **in, **reference = NULL, **one = NULL, **more = NULL;
    oxr_program *program = NULL;
    void *blob = NULL;
    size_t size, n = m->graph->ret->n_in;
    char why[300] = "fails";
    if (golden_inputs(&in, m, seed) != OX_OK) abort();
    bool ok = golden_execute(&reference, m, in) == OX_OK &&
              ox_native_build(&blob, &size, m) == OX_OK &&
              oxr_program_open_memory(&program, ctx, blob, size, NULL) == OX_OK &&
              run_native(&one, program, in, 1) == OX_OK &&
              golden_same(why, sizeof why, reference, one, n, 1e-4);
    for (int threads = 2; ok && threads <= 4 && seed % 16 == 0;
         threads += 2) { /* idle threads spin: few of these */
        ok = run_native(&more, program, in, threads) == OX_OK;
        for (size_t i = 0; ok && i < n; i++)
            if (!ox_tensor_equal(one[i], more[i])) {
                ok = false;
                snprintf(why, sizeof why, "output %zu depends on the number of threads", i);
            }
        golden_unref_all(ctx, more, more ? n : 0);
        more = NULL;
    }
    if (!ok) fail(seed, "native", what, why, m);
    golden_unref_all(ctx, in, m->graph->n_inputs);
    golden_unref_all(ctx, reference, n);
    golden_unref_all(ctx, one, one ? n : 0);
    oxr_program_free(program);
    ox_native_free(ctx, blob);
    return ok;
}

static bool pass_keeps(uint64_t seed, struct ox_model *before, int64_t opset, size_t nodes,
                       const char *pass, uint64_t limit) {
    struct ox_model *after;
    ox_outcome *outcome = NULL;
    struct ox_optimize_options options = {
        .size = sizeof options, .pipeline = pass, .max_rewrites = limit};
    if (random_graph(&after, ctx, seed, nodes, opset) != OX_OK) abort();
    bool ok = ox_optimize(after, &options, &outcome) == OX_OK ||
              fail(seed, "optimizing with", pass, "failed", before);
    ok = ok && (ox_model_verify(after) == OX_OK ||
                fail(seed, "optimizing with", pass, "not valid", before));
    struct ox_pass_report r;
    uint64_t made = 0;
    for (size_t i = 0; ok && ox_outcome_pass(&r, outcome, i); i++)
        made += r.rewrites;
    if (ok && limit && made > limit)
        ok = fail(seed, "optimizing with", pass, "more rewrites than allowed", before);
    ok = ok && same_answers(seed, pass, before, after);
    if (ok && !limit && strcmp(pass, "default") == 0) ok = native_agrees(seed, "optimized", after);
    ox_outcome_free(outcome);
    ox_model_free(after);
    return ok;
}

static bool check(uint64_t seed) {
    struct ox_model *m;
    struct ox_pass_info info;
    int64_t opset = 13 + (int64_t)(seed % 5);
    size_t nodes = 5 + seed % 40;
    if (random_graph(&m, ctx, seed, nodes, opset) != OX_OK) abort();
    bool ok = (ox_model_verify(m) == OX_OK && ox_model_infer(m, NULL) == OX_OK) ||
              fail(seed, "the graph", "", "is not valid", m);
    ok = ok && round_trips(seed, m);
    ok = ok && native_agrees(seed, "as it is", m);
    for (size_t i = 0; ok && ox_pass_info(&info, i); i++)
        if (strcmp(info.name, "quantize") != 0)
            ok = pass_keeps(seed, m, opset, nodes, info.name, 0);
    ok = ok && pass_keeps(seed, m, opset, nodes, "default", 0);
    ok = ok && pass_keeps(seed, m, opset, nodes, "default", 1 + seed % 7);
    ox_model_free(m);
    return ok;
}

int main(int argc, char **argv) {
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 300,
             first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, wrong = 0;
    struct ox_ctx_options options = {
        .size = sizeof options, .on_diag = golden_on_diag, .threads = 1};
    char path[100];
    if (!mkdtemp(dir) || ox_ctx_new(&ctx, &options) != OX_OK) abort();
    for (uint64_t seed = first; seed < first + seeds && wrong < 5; seed++)
        wrong += !check(seed);
    ox_ctx_free(ctx);
    snprintf(path, sizeof path, "%s/m.onnx", dir);
    unlink(path);
    rmdir(dir);
    printf("%llu graphs, %llu wrong\n", (unsigned long long)seeds, (unsigned long long)wrong);
    return wrong > 0;
}
