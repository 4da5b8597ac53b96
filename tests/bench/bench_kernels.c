/* tests/bench/bench_kernels.c - speed of the compute-heavy kernels, shape by shape.
 *
 *   bench_kernels [THREADS]      default 1
 *
 * Prints the best of several runs, with one thread in processor time, else in elapsed time; never
 * fails on time. Figures are multiply-accumulates counted as two operations, except where a line
 * gives GB/s (bytes read and written once). */
#include "ir/ops/kernel_gemm.h"
#include "ir/ops/op.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_IN = 5 };

struct bench {
    const char *label, *op;
    int opset;
    int n_in;
    int ranks[MAX_IN];
    int64_t dims[MAX_IN][4];
    int64_t stride, pad, group, kernel; /* attributes, 0: not given */
    double flops;                       /* 0: report bytes */
};

static double now(bool alone) {
    struct timespec t;
    clock_gettime(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "bench_kernels: %s\n", what);
    exit(1);
}

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    fprintf(stderr, "bench_kernels: %s\n", d->text);
}

/* Calls the operator often enough for a stable best time. */
static double best_time(const struct ox_call *call, const ox_tensor *const *in, size_t *out_bytes) {
    double best = 1e9, spent = 0;
    bool alone = ox_ctx_threads(call->ctx) == 1;
    for (int run = 0; run < 4 || (spent < 0.3 && run < 300); run++) {
        ox_tensor *out[5] = {NULL};
        double start = now(alone);
        if (ox_op_eval(call, in, out) != OX_OK) die("an operator failed");
        double time = now(alone) - start;
        *out_bytes = out[0]->size;
        for (size_t i = 0; i < call->n_out; i++)
            ox_tensor_unref(out[i]);
        spent += time;
        if (time < best) best = time;
    }
    return best;
}

static size_t add_pair(struct ox_attr *attrs, size_t n, struct ox_names *names, const char *name,
                       const int64_t *values, size_t count) {
    attrs[n] = (struct ox_attr){.type = OX_ATTR_INTS, .count = count, .v.ints = values};
    if (ox_name_get(&attrs[n].name, names, name, strlen(name)) != OX_OK) die("no memory");
    return n + 1;
}

static void run(ox_ctx *ctx, struct ox_names *names, const struct bench *b) {
    struct ox_attr attrs[4];
    size_t n = 0, bytes = 0, out_bytes;
    int64_t strides[2] = {b->stride, b->stride}, kernel[2] = {b->kernel, b->kernel};
    int64_t pads[4] = {b->pad, b->pad, b->pad, b->pad};
    if (b->stride) n = add_pair(attrs, n, names, "strides", strides, 2);
    if (b->pad) n = add_pair(attrs, n, names, "pads", pads, 4);
    if (b->kernel) n = add_pair(attrs, n, names, "kernel_shape", kernel, 2);
    if (b->group > 1) {
        n = add_pair(attrs, n, names, "group", NULL, 1);
        attrs[n - 1].type = OX_ATTR_INT;
        attrs[n - 1].v.i = b->group;
    }
    ox_tensor *in[MAX_IN];
    uint32_t seed = 1;
    for (int i = 0; i < b->n_in; i++) {
        void *data;
        if (ox_tensor_new(&in[i], &data, ctx, OX_FLOAT, b->ranks[i], b->dims[i]) != OX_OK)
            die("no memory");
        for (size_t k = 0; k < in[i]->count; k++) {
            seed = seed * 1664525u + 1013904223u;
            ((float *)data)[k] = (float)(seed >> 8) / (float)(1 << 24);
        }
        bytes += in[i]->size;
    }
    struct ox_call call = {.ctx = ctx,
                           .op = ox_op_find("", b->op),
                           .opset = b->opset,
                           .attrs = attrs,
                           .n_attrs = n,
                           .n_in = (size_t)b->n_in,
                           .n_out = 1};
    if (!call.op) die("an operator is missing");
    double time = best_time(&call, (const ox_tensor *const *)in, &out_bytes);
    if (b->flops > 0)
        printf("%-38s %9.3f ms %8.1f GFLOP/s\n", b->label, time * 1e3, b->flops / time * 1e-9);
    else
        printf("%-38s %9.3f ms %8.1f GB/s\n", b->label, time * 1e3,
               (double)(bytes + out_bytes) / time * 1e-9);
    for (int i = 0; i < b->n_in; i++)
        ox_tensor_unref(in[i]);
}

/* clang-format off */
#define CONV(label, c, h, m, k, s, p, g) \
    {label, "Conv", 13, 3, {4, 4, 1}, {{1, c, h, h}, {m, (c) / (g), k, k}, {m}}, s, p, g, 0, \
     2.0 * (m) * (((h) + 2 * (p) - (k)) / (s) + 1) * (((h) + 2 * (p) - (k)) / (s) + 1) * (c) / (g) * (k) * (k)}
#define MATMUL(label, m, n, k) \
    {label, "MatMul", 13, 2, {2, 2}, {{m, k}, {k, n}}, 0, 0, 0, 0, 2.0 * (m) * (n) * (k)}
static const struct bench benches[] = {
    CONV("conv 7x7/2 3-64 @224 (resnet stem)",   3, 224,   64, 7, 2, 3, 1),
    CONV("conv 3x3/2 3-32 @224 (mobilenet stem)", 3, 224,  32, 3, 2, 1, 1),
    CONV("conv 3x3 64-64 @56",                  64,  56,   64, 3, 1, 1, 1),
    CONV("conv 3x3 128-128 @28",               128,  28,  128, 3, 1, 1, 1),
    CONV("conv 3x3 256-256 @14",               256,  14,  256, 3, 1, 1, 1),
    CONV("conv 3x3 512-512 @7",                512,   7,  512, 3, 1, 1, 1),
    CONV("conv 3x3/2 128-128 @56",             128,  56,  128, 3, 2, 1, 1),
    CONV("conv 1x1 64-256 @56",                 64,  56,  256, 1, 1, 0, 1),
    CONV("conv 1x1/2 256-512 @56",             256,  56,  512, 1, 2, 0, 1),
    CONV("conv 1x1 16-96 @112",                 16, 112,   96, 1, 1, 0, 1),
    CONV("conv 1x1 96-24 @56",                  96,  56,   24, 1, 1, 0, 1),
    CONV("conv 1x1 960-320 @7",                960,   7,  320, 1, 1, 0, 1),
    CONV("conv 1x1 320-1280 @7",               320,   7, 1280, 1, 1, 0, 1),
    CONV("conv 3x3 32 groups of 4 @56",        128,  56,  128, 3, 1, 1, 32),
    CONV("depthwise 3x3 96 @112",               96, 112,   96, 3, 1, 1, 96),
    CONV("depthwise 3x3/2 96 @112",             96, 112,   96, 3, 2, 1, 96),
    CONV("depthwise 3x3 576 @14",              576,  14,  576, 3, 1, 1, 576),
    CONV("depthwise 5x5 240 @28",              240,  28,  240, 5, 1, 2, 240),
    CONV("depthwise 7x7 96 @56",                96,  56,   96, 7, 1, 3, 96),
    MATMUL("matmul 1024 1024 1024",   1024, 1024, 1024),
    MATMUL("matmul 197 768 768",       197,  768,  768),
    MATMUL("matmul 197 3072 768",      197, 3072,  768),
    MATMUL("matmul 1 768 768",           1,  768,  768),
    {"matmul 12 x 197 197 64", "MatMul", 13, 2, {3, 3}, {{12, 197, 64}, {12, 64, 197}}, 0, 0, 0, 0, 24.0 * 197 * 197 * 64},
    {"transposed conv 4x4/2 64-32 @32", "ConvTranspose", 13, 2, {4, 4}, {{1, 64, 32, 32}, {64, 32, 4, 4}}, 2, 1, 0, 0, 2.0 * 64 * 32 * 16 * 32 * 32},
    {"max pool 3x3/2 64 @112", "MaxPool", 12, 1, {4}, {{1, 64, 112, 112}}, 2, 1, 0, 3, 0},
    {"average pool 3x3 192 @35", "AveragePool", 11, 1, {4}, {{1, 192, 35, 35}}, 1, 1, 0, 3, 0},
    {"global average pool 1280 @7", "GlobalAveragePool", 11, 1, {4}, {{1, 1280, 7, 7}}, 0, 0, 0, 0, 0},
    {"batch normalization 64 @112", "BatchNormalization", 9, 5, {4, 1, 1, 1, 1}, {{1, 64, 112, 112}, {64}, {64}, {64}, {64}}, 0, 0, 0, 0, 0},
    {"layer normalization 197 x 768", "LayerNormalization", 17, 3, {3, 1, 1}, {{1, 197, 768}, {768}, {768}}, 0, 0, 0, 0, 0},
    {"softmax 12 x 197 x 197", "Softmax", 13, 1, {3}, {{12, 197, 197}}, 0, 0, 0, 0, 0},
};
/* clang-format on */

int main(int argc, char **argv) {
    static const char *const sets[] = {"", "plain", "AVX2 and FMA", "AVX-512"};
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag};
    o.threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    ox_ctx *ctx = NULL;
    if (o.threads < 1 || ox_ctx_new(&ctx, &o) != OX_OK) die("usage: bench_kernels [THREADS]");
    struct ox_names names;
    ox_names_init(&names, ctx);
    printf("%d threads, %s\n", ox_ctx_threads(ctx), sets[ox_isa_pick(OX_ISA_BEST)]);
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++)
        run(ctx, &names, &benches[i]);
    ox_names_fini(&names);
    ox_ctx_free(ctx);
    return 0;
}
