/* tests/bench/bench_prepared.c - what it saves to make once what an operator's attributes decide:
 * trees, patterns, tables.
 *
 *   bench_prepared
 *
 * For each operator the best time of a call that makes its state anew, of a call that is given one,
 * and of making it. */
#include "ir/ops/op.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    DEPTH = 8,
    TREES = 500,
    PER_TREE = (2 << DEPTH) - 1,
    NODES = TREES * PER_TREE,
    LEAVES = TREES << DEPTH,
    ROWS = 32,
    FEATURES = 30,
    WORDS = 50000
};

static ox_ctx *ctx;
static struct ox_names names;
static struct ox_attr attrs[24];
static size_t n_attrs;
static uint32_t state = 1;

static void die(const char *what) {
    fprintf(stderr, "bench_prepared: %s\n", what);
    exit(1);
}

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    fprintf(stderr, "bench_prepared: %s\n", d->text);
}

static uint32_t pick(uint32_t n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + 1e-6 * (double)t.tv_nsec;
}

static void *need(size_t n, size_t size) {
    void *p = calloc(n, size);
    if (!p) die("no memory");
    return p;
}

static struct ox_attr *attr(const char *name, enum ox_attr_type type, size_t count) {
    struct ox_attr *a = &attrs[n_attrs++];
    *a = (struct ox_attr){.type = type, .count = count};
    if (ox_name_get(&a->name, &names, name, strlen(name)) != OX_OK) die("no memory");
    return a;
}

static int64_t *ints(const char *name, size_t n) {
    int64_t *v = need(n, sizeof *v);
    attr(name, OX_ATTR_INTS, n)->v.ints = v;
    return v;
}

static struct ox_str *strings(const char *name, size_t n) {
    struct ox_str *v = need(n, sizeof *v);
    attr(name, OX_ATTR_STRINGS, n)->v.strings = v;
    return v;
}

static float *floats(const char *name, size_t n) {
    float *v = need(n, sizeof *v);
    attr(name, OX_ATTR_FLOATS, n)->v.floats = v;
    return v;
}

static struct ox_str word(uint32_t i) {
    char *text = need(16, 1);
    int len = snprintf(text, 16, "word%u", i);
    return (struct ox_str){text, (size_t)len};
}

/* Best times of a call without and with a state. */
static void run(const char *label, const char *domain, const char *op, int opset,
                const ox_tensor *in) {
    struct ox_call call = {.ctx = ctx,
                           .op = ox_op_find(domain, op),
                           .opset = opset,
                           .attrs = attrs,
                           .n_attrs = n_attrs,
                           .n_in = 1,
                           .n_out = 1};
    void *prepared = NULL;
    double best[3] = {1e300, 1e300, 1e300};
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < 7; r++) {
            ox_tensor *out = NULL;
            call.prepared = k == 1 ? prepared : NULL;
            if (k == 2 || !prepared) ox_op_forget(call.op, prepared, ctx);
            double start = now();
            ox_status s = OX_OK;
            if (k == 2 || !prepared) s = ox_op_prepare(&prepared, &call);
            if (k == 2) best[2] = now() - start < best[2] ? now() - start : best[2];
            if (k == 2) continue;
            start = now();
            if (s == OX_OK) s = ox_op_eval(&call, &in, &out);
            double spent = now() - start;
            if (s != OX_OK) die(op);
            if (spent < best[k]) best[k] = spent;
            ox_tensor_unref(out);
        }
    ox_op_forget(call.op, prepared, ctx);
    printf("%-46s %10.4f %10.4f %10.4f %8.1f\n", label, best[0], best[1], best[2],
           best[0] / best[1]);
    n_attrs = 0;
}

/* Full trees of DEPTH decisions: node k of a tree leads to 2k+1 and 2k+2. */
static void trees(const ox_tensor *x) {
    int64_t *tree = ints("nodes_treeids", NODES), *node = ints("nodes_nodeids", NODES),
            *feature = ints("nodes_featureids", NODES);
    int64_t *yes = ints("nodes_truenodeids", NODES), *no = ints("nodes_falsenodeids", NODES);
    int64_t *of_node = ints("target_nodeids", LEAVES), *of_tree = ints("target_treeids", LEAVES);
    struct ox_str *mode = strings("nodes_modes", NODES);
    float *split = floats("nodes_values", NODES), *weight = floats("target_weights", LEAVES);
    ints("target_ids", LEAVES);
    size_t leaf = 0;
    for (size_t i = 0; i < NODES; i++) {
        size_t k = i % PER_TREE;
        tree[i] = (int64_t)(i / PER_TREE);
        node[i] = (int64_t)k;
        mode[i] = (struct ox_str){"LEAF", 4};
        if (k < PER_TREE / 2) {
            mode[i] = (struct ox_str){"BRANCH_LEQ", 10};
            feature[i] = pick(FEATURES);
            split[i] = (float)pick(1000);
            yes[i] = (int64_t)(2 * k + 1);
            no[i] = (int64_t)(2 * k + 2);
        } else {
            of_node[leaf] = node[i];
            of_tree[leaf] = tree[i];
            weight[leaf++] = (float)pick(1000);
        }
    }
    run("TreeEnsembleRegressor, 255,500 nodes, 32 rows", "ai.onnx.ml", "TreeEnsembleRegressor", 1,
        x);
}

static void encoder(const ox_tensor *words) {
    struct ox_str *keys = strings("keys_strings", WORDS);
    int64_t *values = ints("values_int64s", WORDS);
    for (uint32_t i = 0; i < WORDS; i++) {
        keys[i] = word(i);
        values[i] = i;
    }
    run("LabelEncoder, 50,000 words, 32 strings", "ai.onnx.ml", "LabelEncoder", 2, words);
}

static void tfidf(const ox_tensor *words) {
    struct ox_str *pool = strings("pool_strings", WORDS);
    int64_t *indexes = ints("ngram_indexes", WORDS);
    ints("ngram_counts", 1);
    for (uint32_t i = 0; i < WORDS; i++) {
        pool[i] = word(i);
        indexes[i] = i % 100;
    }
    attr("mode", OX_ATTR_STRING, 1)->v.s = (struct ox_str){"TF", 2};
    attr("min_gram_length", OX_ATTR_INT, 1)->v.i = 1;
    attr("max_gram_length", OX_ATTR_INT, 1)->v.i = 1;
    attr("max_skip_count", OX_ATTR_INT, 1)->v.i = 0;
    run("TfIdfVectorizer, 50,000 words, 32 strings", "", "TfIdfVectorizer", 9, words);
}

static void regex(const ox_tensor *words) {
    static const char pattern[] = "[a-z]+(19|20)[0-9]{2}|(word[0-9]+)";
    attr("pattern", OX_ATTR_STRING, 1)->v.s = (struct ox_str){pattern, sizeof pattern - 1};
    run("RegexFullMatch, 32 strings", "", "RegexFullMatch", 20, words);
}

int main(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    if (ox_ctx_new(&ctx, &o) != OX_OK) return 1;
    ox_names_init(&names, ctx);
    ox_tensor *x, *words;
    void *data;
    struct ox_str some[ROWS];
    if (ox_tensor_new(&x, &data, ctx, OX_FLOAT, 2, (int64_t[]){ROWS, FEATURES}) != OX_OK)
        die("no memory");
    for (size_t i = 0; i < ROWS * FEATURES; i++)
        ((float *)data)[i] = (float)pick(1000);
    for (int i = 0; i < ROWS; i++)
        some[i] = word(pick(2 * WORDS));
    if (ox_tensor_strings(&words, ctx, 1, (int64_t[]){ROWS}, some) != OX_OK) die("no memory");
    printf("%-46s %10s %10s %10s %8s\n", "milliseconds a call", "anew", "prepared", "preparing",
           "ratio");
    trees(x);
    encoder(words);
    tfidf(words);
    regex(words);
    ox_tensor_unref(x);
    ox_tensor_unref(words);
    ox_names_fini(&names);
    ox_ctx_free(ctx);
    return 0; /* attributes live as long as the process */
}
