/* tests/unit/xnn_harness.c - see xnn_harness.h */
#include "xnn_harness.h"
#include "isa_levels.h"
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

enum { ABSENT = 77 };

_Noreturn static void child(int level, void (*body)(struct xt *t)) {
    struct xt t = {.random = 88172645463325252u};
    if (!cpuinfo_initialize()) _exit(3);
    if (!isa_level_set(level)) _exit(ABSENT);
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
    for (int level = 0; level < isa_levels(); level++) {
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0) return isa_levels();
        if (pid == 0) child(level, body);
        int status;
        if (waitpid(pid, &status, 0) != pid) return isa_levels();
        if (WIFEXITED(status) && WEXITSTATUS(status) == ABSENT) continue;
        ++*ran;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        fprintf(stderr, "  bad at level %s\n", isa_level_name(level));
        failed++;
    }
    return failed;
}
