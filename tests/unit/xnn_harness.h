/* tests/unit/xnn_harness.h - what the differential tests of XNNPACK share: seeded random numbers,
   padded buffers, and a child process for each level of instructions that this CPU has. XNNPACK
   chooses its kernels once in a process, from what cpuinfo says; a level is forced by making
   cpuinfo forget the better ones before XNNPACK starts. */
#ifndef OX_TESTS_XNN_HARNESS_H
#define OX_TESTS_XNN_HARNESS_H

#include <pthreadpool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xnnpack.h>

/* State of one child: a random stream and two pools, without and with a second thread. */
struct xt {
    uint64_t random;
    pthreadpool_t pool;
    int cases, bad;
    char what[160]; /* the case at hand, for messages */
};

int xt_int(struct xt *t, int low, int high); /* low <= n <= high */
float xt_float(struct xt *t);                /* in [-1, 1], multiples of 1/1024 */
pthreadpool_t xt_pool(struct xt *t);         /* none, or the one with two threads */

/* Zeroed, with the room behind that XNNPACK may read; aborts when memory is short. */
void *xt_alloc(size_t count, size_t size);
void xt_floats(struct xt *t, float *x, size_t n);
void xt_bytes(struct xt *t, int8_t *x, size_t n, int low, int high);

/* Counts the case, as bad unless every |got - want| is at most the tolerance, and says so. */
void xt_judge(struct xt *t, double worst, double tolerance);
void xt_describe(struct xt *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Distance of an 8-bit result from the real number that it should be the nearest to. */
double xt_off(int got, double want);

/* XNNPACK calls must succeed. */
#define XT_OK(call)                                                                                \
    do {                                                                                           \
        enum xnn_status status_ = (call);                                                          \
        if (status_ != xnn_status_success) xt_broken(t, #call, (int)status_);                      \
    } while (0)
_Noreturn void xt_broken(struct xt *t, const char *call, int status);

/* Runs the body in a child process at each level; names those where a case was bad. Returns how
   many levels failed; *levels is how many there were. */
int xt_at_levels(void (*body)(struct xt *t), int *levels);

#endif
