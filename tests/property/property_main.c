/* tests/property/property_main.c - what must hold for random valid graphs.
 *
 *     test_property [SEEDS [FIRST]]
 *
 *  - text:  parse(print(g)) prints as g does
 *  - file:  read(write(g)) prints as g does
 *  - passes: for each pass of the table, and the preset "default", the optimized model is valid and gives the same outputs
 *  - a limit of rewrites is kept, and what comes of it is valid, too */
#include "tests/property/random_graph.h"

#include "tests/golden/golden.h"

#include <onnxopt/load.h>
#include <onnxopt/save.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static ox_ctx *ctx;
static char dir[] = "/tmp/ox_property_XXXXXX";

static char *print(struct ox_model *m)
{
    char *text;
    size_t len;
    struct ox_text_options options = {0};
    if (ox_text_print(&text, &len, m, &options) != OX_OK) abort();
    return text;
}

static bool fail(uint64_t seed, const char *what, const char *pass, const char *why, struct ox_model *before)
{
    char *text = print(before);
    fprintf(stderr, "seed %llu: %s %s: %s\n%s\n", (unsigned long long)seed, what, pass, why, text);
    ox_free(ctx, text);
    return false;
}

static bool same_text(uint64_t seed, const char *what, struct ox_model *m, struct ox_model *again)
{
    char *a = print(m), *b = print(again);
    bool ok = strcmp(a, b) == 0;
    if (!ok) fail(seed, what, "", "another text", again);
    ox_free(ctx, a);
    ox_free(ctx, b);
    return ok;
}

static bool round_trips(uint64_t seed, struct ox_model *m)
{
    struct ox_model *again;
    char path[100], *text = print(m);
    bool ok = ox_text_parse(&again, ctx, text, strlen(text), "text") == OX_OK;
    ox_free(ctx, text);
    if (!ok) return fail(seed, "text", "", "does not parse", m);
    /* What was parsed has the names that printing invented; from there on nothing may change. */
    snprintf(path, sizeof path, "%s/m.onnx", dir);
    struct ox_model *read = NULL;
    ok = ox_model_verify(again) == OX_OK && ox_model_infer(again, NULL) == OX_OK && same_text(seed, "text", m, again);
    ok = ok && ox_model_save(again, path, NULL, NULL) == OX_OK && ox_model_load(&read, ctx, path, NULL) == OX_OK;
    if (!ok) fail(seed, "file", "", "not valid, or cannot be written and read", again);
    ok = ok && same_text(seed, "file", again, read);
    ox_model_free(read);
    ox_model_free(again);
    return ok;
}

static bool same_answers(uint64_t seed, const char *pass, struct ox_model *before, struct ox_model *after)
{
    ox_tensor **in, **a = NULL, **b = NULL;
    char why[300] = "cannot be executed";
    size_t n = before->graph->ret->n_in;
    if (golden_inputs(&in, before, seed) != OX_OK) abort();
    bool ok = golden_execute(&a, before, in) == OX_OK && golden_execute(&b, after, in) == OX_OK && golden_same(why, sizeof why, a, b, n, 1e-4);
    if (!ok) fail(seed, "outputs after", pass, why, before);
    golden_unref_all(ctx, in, before->graph->n_inputs);
    golden_unref_all(ctx, a, n);
    golden_unref_all(ctx, b, n);
    return ok;
}

static bool pass_keeps(uint64_t seed, struct ox_model *before, int64_t opset, size_t nodes, const char *pass, uint64_t limit)
{
    struct ox_model *after;
    ox_outcome *outcome = NULL;
    struct ox_optimize_options options = {.size = sizeof options, .pipeline = pass, .max_rewrites = limit};
    if (random_graph(&after, ctx, seed, nodes, opset) != OX_OK) abort();
    bool ok = ox_optimize(after, &options, &outcome) == OX_OK || fail(seed, "optimizing with", pass, "failed", before);
    ok = ok && (ox_model_verify(after) == OX_OK || fail(seed, "optimizing with", pass, "not valid", before));
    struct ox_pass_report r;
    uint64_t made = 0;
    for (size_t i = 0; ok && ox_outcome_pass(&r, outcome, i); i++) made += r.rewrites;
    if (ok && limit && made > limit) ok = fail(seed, "optimizing with", pass, "more rewrites than allowed", before);
    ok = ok && same_answers(seed, pass, before, after);
    ox_outcome_free(outcome);
    ox_model_free(after);
    return ok;
}

static bool check(uint64_t seed)
{
    struct ox_model *m;
    struct ox_pass_info info;
    int64_t opset = 13 + (int64_t)(seed % 5);
    size_t nodes = 5 + seed % 40;
    if (random_graph(&m, ctx, seed, nodes, opset) != OX_OK) abort();
    bool ok = (ox_model_verify(m) == OX_OK && ox_model_infer(m, NULL) == OX_OK) || fail(seed, "the graph", "", "is not valid", m);
    ok = ok && round_trips(seed, m);
    for (size_t i = 0; ok && ox_pass_info(&info, i); i++)
        if (strcmp(info.name, "quantize") != 0) ok = pass_keeps(seed, m, opset, nodes, info.name, 0);
    ok = ok && pass_keeps(seed, m, opset, nodes, "default", 0);
    ok = ok && pass_keeps(seed, m, opset, nodes, "default", 1 + seed % 7);
    ox_model_free(m);
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t seeds = argc > 1 ? strtoull(argv[1], NULL, 10) : 300, first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, wrong = 0;
    struct ox_ctx_options options = {.size = sizeof options, .on_diag = golden_on_diag, .threads = 1};
    char path[100];
    if (!mkdtemp(dir) || ox_ctx_new(&ctx, &options) != OX_OK) abort();
    for (uint64_t seed = first; seed < first + seeds && wrong < 5; seed++) wrong += !check(seed);
    ox_ctx_free(ctx);
    snprintf(path, sizeof path, "%s/m.onnx", dir);
    unlink(path);
    rmdir(dir);
    printf("%llu graphs, %llu wrong\n", (unsigned long long)seeds, (unsigned long long)wrong);
    return wrong > 0;
}
