/* tests/unit/xnn_harness.c - see xnn_harness.h */
#include "xnn_harness.h"
#include <cpuinfo.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int xt_int(struct xt *t, int low, int high) {
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return low + (int)((t->random >> 20) % (uint64_t)(high - low + 1));
}

float xt_float(struct xt *t) {
    return (float)xt_int(t, -1024, 1024) / 1024;
}

pthreadpool_t xt_pool(struct xt *t) {
    return xt_int(t, 0, 1) ? t->pool : NULL;
}

void *xt_alloc(size_t count, size_t size) {
    size_t bytes = (count * size + 256 + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes);
    if (!p) abort();
    return memset(p, 0, bytes);
}

void xt_floats(struct xt *t, float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = xt_float(t);
}

void xt_bytes(struct xt *t, int8_t *x, size_t n, int low, int high) {
    for (size_t i = 0; i < n; i++)
        x[i] = (int8_t)xt_int(t, low, high);
}

void xt_describe(struct xt *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(t->what, sizeof t->what, format, args);
    va_end(args);
}

void xt_judge(struct xt *t, double worst, double tolerance) {
    t->cases++;
    if (worst <= tolerance) return; /* NaN goes on */
    if (t->bad++ < 3) fprintf(stderr, "    %s: off by %g, allowed %g\n", t->what, worst, tolerance);
}

double xt_off(int got, double want) {
    double off = fabs(got - want) - 0.5;
    return off > 0 ? off : 0;
}

void xt_broken(struct xt *t, const char *call, int status) {
    fprintf(stderr, "    %s: %.60s gave %d\n", t->what, call, status);
    _exit(3);
}

/* ------------------------------------------------------------------------------------- levels */
#if CPUINFO_ARCH_X86_64
static void no_amx(void) {
    cpuinfo_isa.amx_int8 = cpuinfo_isa.amx_tile = false;
}
static void no_vnni(void) {
    cpuinfo_isa.avx512vnni = cpuinfo_isa.gfni = cpuinfo_isa.avx512vbmi = false;
    cpuinfo_isa.avx512fp16 = false;
}
static void no_avx512(void) {
    cpuinfo_isa.avx512f = cpuinfo_isa.avx512bw = cpuinfo_isa.avx512dq = false;
    cpuinfo_isa.avx512vl = cpuinfo_isa.avx512cd = false;
}
static void no_avxvnni(void) {
    cpuinfo_isa.avxvnni = false;
}
static void no_avx2(void) {
    cpuinfo_isa.avx2 = cpuinfo_isa.fma3 = cpuinfo_isa.f16c = false;
}
static void no_avx(void) {
    cpuinfo_isa.avx = false;
}
static void no_sse4(void) {
    cpuinfo_isa.sse4_1 = cpuinfo_isa.sse4_2 = cpuinfo_isa.ssse3 = false;
}
static bool has_amx(void) {
    return cpuinfo_isa.amx_int8;
}
static bool has_vnni(void) {
    return cpuinfo_isa.avx512vnni;
}
static bool has_avx512(void) {
    return cpuinfo_isa.avx512f && cpuinfo_isa.avx512bw;
}
static bool has_avxvnni(void) {
    return cpuinfo_isa.avxvnni;
}
static bool has_avx2(void) {
    return cpuinfo_isa.avx2;
}
static bool has_avx(void) {
    return cpuinfo_isa.avx;
}
static bool has_sse4(void) {
    return cpuinfo_isa.sse4_1;
}

/* Each level is the one before without what tells it apart. */
static const struct {
    const char *name;
    bool (*has)(void);
    void (*forget)(void);
} levels[] = {
    {"amx", has_amx, no_amx},          {"avx512vnni", has_vnni, no_vnni},
    {"avx512", has_avx512, no_avx512}, {"avxvnni", has_avxvnni, no_avxvnni},
    {"avx2", has_avx2, no_avx2},       {"avx", has_avx, no_avx},
    {"sse4", has_sse4, no_sse4},       {"sse2", NULL, NULL},
};
static const int level_count = sizeof levels / sizeof levels[0];

static const char *level_name(int i) {
    return levels[i].name;
}
static bool level_set(int level) {
    if (levels[level].has && !levels[level].has()) return false;
    for (int i = 0; i < level; i++)
        levels[i].forget();
    return true;
}
#else
static const int level_count = 1;
static const char *level_name(int i) {
    (void)i;
    return "native";
}
static bool level_set(int level) {
    (void)level;
    return true;
}
#endif

enum { ABSENT = 77 };

_Noreturn static void child(int level, void (*body)(struct xt *t)) {
    struct xt t = {.random = 88172645463325252u};
    if (!cpuinfo_initialize()) _exit(3);
    if (!level_set(level)) _exit(ABSENT);
    if (xnn_initialize(NULL) != xnn_status_success) _exit(3);
    t.pool = pthreadpool_create(2);
    if (!t.pool) _exit(3);
    for (int i = 0; i < 16; i++)
        xt_int(&t, 0, 1);
    body(&t);
    if (t.bad) fprintf(stderr, "    %d of %d cases are bad\n", t.bad, t.cases);
    pthreadpool_destroy(t.pool);
    _exit(t.bad || !t.cases);
}

int xt_at_levels(void (*body)(struct xt *t), int *ran) {
    int failed = 0;
    *ran = 0;
    for (int level = 0; level < level_count; level++) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0) return level_count;
        if (pid == 0) child(level, body);
        int status;
        if (waitpid(pid, &status, 0) != pid) return level_count;
        if (WIFEXITED(status) && WEXITSTATUS(status) == ABSENT) continue;
        ++*ran;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        fprintf(stderr, "  bad at level %s\n", level_name(level));
        failed++;
    }
    return failed;
}
