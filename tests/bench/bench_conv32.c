/* tests/bench/bench_conv32.c - the ways in which float convolutions are computed side by side, on
 * one thread, shape by shape.
 *
 *   bench_conv32 [SIZE CHANNELS OUTPUTS KERNEL STRIDE GROUPS]
 *
 * Ways take turns; printed is the best time of each in microseconds, and how many times as fast as
 * XNNPACK's the first that suits is. Each turn has other weights out of 48 MB, since in a network
 * the same ones come back only after all others have been read. Never fails on time. */
#include "backend/runtime/conv32.h"
#include "backend/runtime/shared.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct shape {
    size_t size, channels, outputs;
    uint32_t kernel, stride, groups;
};

static const struct shape shapes[] = {
    {56, 64, 64, 3, 1, 1},       {28, 128, 128, 3, 1, 1},   {14, 256, 256, 3, 1, 1},
    {7, 512, 512, 3, 1, 1}, /* ResNet */
    {56, 128, 32, 3, 1, 1},      {28, 128, 32, 3, 1, 1},    {14, 128, 32, 3, 1, 1},
    {7, 128, 32, 3, 1, 1}, /* DenseNet */
    {55, 16, 64, 3, 1, 1},       {27, 32, 128, 3, 1, 1},    {13, 48, 192, 3, 1, 1},
    {13, 64, 256, 3, 1, 1}, /* SqueezeNet */
    {104, 32, 32, 3, 1, 1},      {52, 48, 48, 3, 1, 1},     {26, 96, 96, 3, 1, 1},
    {13, 192, 192, 3, 1, 1},                                                       /* YOLOX */
    {224, 3, 64, 7, 2, 1},       {224, 3, 32, 3, 2, 1},     {224, 3, 64, 3, 2, 1}, /* first ones */
    {56, 64, 128, 3, 2, 1},      {56, 128, 128, 3, 2, 1},   {28, 256, 256, 3, 2, 1},
    {14, 512, 512, 3, 2, 1}, /* strides */
    {112, 96, 96, 3, 2, 96},     {112, 32, 32, 3, 1, 32},   {56, 144, 144, 3, 1, 144},
    {14, 576, 576, 3, 1, 576}, /* depthwise */
    {56, 144, 144, 5, 2, 144},   {28, 240, 240, 5, 1, 240}, {14, 672, 672, 5, 1, 672},
    {7, 1152, 1152, 5, 1, 1152}, {56, 96, 96, 7, 1, 96},    {28, 192, 192, 7, 1, 192},
    {14, 384, 384, 7, 1, 384},   {7, 768, 768, 7, 1, 768}, /* ConvNeXt */
};

static const struct {
    const char *name;
    const struct oxr_conv32_way *way;
} ways[] = {{"Winograd", &oxr_conv32_winograd},
            {"depthrow", &oxr_conv32_depthrow},
            {"depthwise", &oxr_conv32_depthwise},
            {"product", &oxr_conv32_gemm},
            {"XNNPACK", &oxr_conv32_xnn}};
enum { WAYS = sizeof ways / sizeof *ways, COPIES = 64, BYTES = 48 << 20 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(bool ok) {
    if (!ok) exit(1);
}

static float *floats(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof *p + 191) / 64 * 64);
    uint32_t seed = 1;
    need(p);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (float)(seed >> 8) / (float)(1 << 24) - 0.5f;
    }
    return p;
}

/* Best time of a way in microseconds; below 0: it does not suit. */
static double measure(const struct oxr_conv32_way *way, ox_ctx *ctx, const struct oxr_conv32 *what,
                      const struct oxr_conv_shape *shape, size_t copies, const float *in,
                      float *out) {
    struct ox_blob blob = {.n_steps = COPIES}; /* without packed weights */
    struct oxr_env env = {.ctx = ctx};
    struct oxr_conv32 each[COPIES];
    void *states[COPIES], *workspace;
    size_t room = 0;
    double best = 1e9, spent = 0;
    if (!way->suits(what)) return -1;
    need(oxr_shared_open(&env.shared, ctx, &blob) == OX_OK);
    for (size_t i = 0; i < copies; i++) {
        size_t bytes = 0;
        each[i] = *what;
        each[i].step = i;
        need(way->create(&states[i], &env, &each[i]) == OX_OK &&
             way->reshape(states[i], &env, shape, &bytes) == OX_OK);
        if (bytes > room) room = bytes;
    }
    workspace = aligned_alloc(64, (room + 127) / 64 * 64);
    need(workspace);
    for (size_t i = 0; i < 5 + copies || (spent < 0.2 && i < 2000); i++) {
        const double start = now();
        need(way->run(states[i % copies], &env, in, NULL, out, workspace) == OX_OK);
        const double time = now() - start;
        spent += time;
        if (time < best) best = time;
    }
    for (size_t i = 0; i < copies; i++)
        way->destroy(states[i], &env);
    oxr_shared_close(env.shared, ctx);
    free(workspace);
    return best * 1e6;
}

static void run(ox_ctx *ctx, const struct shape *s) {
    const uint32_t pad = s->kernel / 2;
    const size_t side = (s->size + 2 * pad - s->kernel) / s->stride + 1,
                 per_group = s->channels / s->groups,
                 filter = s->outputs * per_group * s->kernel * s->kernel;
    const struct ox_step_conv_params p = {
        .window = {{s->kernel, s->kernel}, {s->stride, s->stride}, {1, 1}, pad, pad, pad, pad},
        .groups = s->groups,
        .depthwise = s->groups > 1,
        .low = 0,
        .high = INFINITY};
    float *in = floats(s->size * s->size * s->channels), *out = floats(side * side * s->outputs),
          *w = floats(filter), *bias = floats(s->outputs);
    const struct oxr_conv32 what = {
        .p = &p, .channels = s->channels, .outputs = s->outputs, .filter = w, .bias = bias};
    const struct oxr_conv_shape shape = {1, s->size, s->size, side, side};
    const size_t wanted = BYTES / (filter * sizeof(float)) + 1;
    double first = 0, time = 0;
    printf("%3zu x %-3zu %4zu -> %-4zu %ux%u/%u", s->size, s->size, s->channels, s->outputs,
           s->kernel, s->kernel, s->stride);
    for (size_t i = 0; i < WAYS; i++) {
        time = measure(ways[i].way, ctx, &what, &shape, wanted < COPIES ? wanted : COPIES, in, out);
        if (time >= 0 && first <= 0) first = time;
        if (time < 0)
            printf("  %s %8s", ways[i].name, "-");
        else
            printf("  %s %8.1f", ways[i].name, time);
    }
    printf("  %5.2f\n", time / first);
    free(in);
    free(out);
    free(w);
    free(bias);
}

int main(int argc, char **argv) {
    ox_ctx *ctx;
    need(ox_ctx_new(&ctx, &(struct ox_ctx_options){.size = sizeof(struct ox_ctx_options),
                                                   .threads = 1}) == OX_OK);
    if (argc == 7) {
        size_t n[6];
        for (int i = 0; i < 6; i++)
            n[i] = strtoul(argv[i + 1], NULL, 10);
        run(ctx, &(struct shape){n[0], n[1], n[2], (uint32_t)n[3], (uint32_t)n[4], (uint32_t)n[5]});
    } else {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            run(ctx, &shapes[i]);
    }
    ox_ctx_free(ctx);
    return 0;
}
