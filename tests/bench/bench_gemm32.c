/* tests/bench/bench_gemm32.c - our product of floats with constant weights beside XNNPACK's, on one
 * thread, shape by shape.
 *
 *   bench_gemm32 [M K N]
 *
 * Runs take turns; printed is the best of each in GFLOP/s, and their ratio. Each run has other
 * weights out of 48 MB, since in a network the same ones come back only after all others have been
 * read. Never fails on time. */
#include "backend/runtime/gemm32.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xnnpack.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *floats(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof *p + 128) / 64 * 64);
    uint32_t seed = 1;
    if (!p) exit(1);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (float)(seed >> 8) / (float)(1 << 24) - 0.5f;
    }
    return p;
}

enum { COPIES = 64, BYTES = 48 << 20 };

static double peer(const float *a, const float *w, const float *bias, float *c, size_t m, size_t k,
                   size_t n, xnn_operator_t *op) {
    if (!*op &&
        (xnn_create_fully_connected_nc_f32(k, n, k, n, w, bias, 0, INFINITY, 0, NULL, NULL, op) ||
         xnn_reshape_fully_connected_nc_f32(*op, m, NULL) ||
         xnn_setup_fully_connected_nc_f32(*op, a, c)))
        exit(1);
    const double start = now();
    if (xnn_run_operator(*op, NULL)) exit(1);
    return now() - start;
}

static void run(size_t m, size_t k, size_t n) {
    const enum ox_isa isa = ox_isa_pick(OX_ISA_BEST);
    const size_t size = oxr_gemm32_size(isa, k, n), wanted = BYTES / (size * sizeof(float)) + 1,
                 copies = wanted < COPIES ? wanted : COPIES;
    float *a = floats(m * k), *w = floats(n * k), *bias = floats(n), *c = floats(m * n),
          *packed = floats(size * copies);
    const struct oxr_gemm32_rows r = {.a = a, .a_stride = k, .c = c, .c_stride = n, .m = m};
    const double work = 2e-9 * (double)m * (double)k * (double)n;
    xnn_operator_t ops[COPIES] = {0};
    double ours = 1e9, theirs = 1e9, spent = 0;
    for (size_t i = 0; i < copies; i++)
        oxr_gemm32_pack(isa, packed + i * size, k, n, w, 1, k);
    for (size_t i = 0; i < 20 + copies || (spent < 0.4 && i < 5000); i++) {
        const struct oxr_gemm32 g = {.isa = isa,
                                     .taps = 1,
                                     .k = k,
                                     .n = n,
                                     .b = packed + i % copies * size,
                                     .bias = bias,
                                     .low = 0,
                                     .high = INFINITY};
        double t = peer(a, w, bias, c, m, k, n, &ops[i % copies]);
        if (t < theirs) theirs = t;
        const double start = now();
        oxr_gemm32_run(&g, &r);
        t = now() - start;
        if (t < ours) ours = t;
        spent += t + theirs;
    }
    printf("%5zu x %5zu x %5zu  ours %7.1f  XNNPACK %7.1f GFLOP/s  ratio %.2f\n", m, k, n,
           work / ours, work / theirs, theirs / ours);
    for (size_t i = 0; i < copies; i++)
        xnn_delete_operator(ops[i]);
    free(a);
    free(w);
    free(bias);
    free(c);
    free(packed);
}

int main(int argc, char **argv) {
    static const size_t shapes[][3] = {
        {3136, 64, 64},    {3136, 64, 256},        {3136, 256, 64},  {784, 512, 128},
        {784, 128, 512},   {196, 1024, 256},       {196, 256, 1024}, {49, 2048, 512},
        {49, 512, 2048},   {197, 768, 768},        {197, 768, 3072}, {197, 3072, 768},
        {128, 768, 768},   {128, 768, 50257 / 16}, {12544, 16, 96},  {3136, 24, 144},
        {3136, 144, 24},   {784, 116, 116},        {3136, 58, 58},   {49, 960, 320},
        {1, 768, 768},     {1, 1280, 1000},        {1, 4096, 4096},  {4, 768, 768},
        {1024, 1024, 1024}};
    if (xnn_initialize(NULL)) return 1;
    if (argc == 4)
        run(strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    else
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            run(shapes[i][0], shapes[i][1], shapes[i][2]);
    return 0;
}
