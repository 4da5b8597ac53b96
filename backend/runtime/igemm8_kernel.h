/* backend/runtime/igemm8_kernel.h - what igemm8.c asks of a processor's kernel. */
#ifndef OX_BACKEND_RUNTIME_IGEMM8_KERNEL_H
#define OX_BACKEND_RUNTIME_IGEMM8_KERNEL_H

#include "backend/runtime/igemm8.h"

/* One block: `rows` <= 32 rows of A (memory for whole sixteens of them can be read) times `columns`
 * <= 32 packed columns. */
struct oxr_igemm8_block {
    const int8_t *a, *weights;
    size_t a_stride, rows, columns;
    const int32_t *bias;
    const float *factor, *shift;
    void *out;         /* int8 or float */
    size_t out_stride; /* in elements */
};

/* Sums of the block before: while those of the next one are being computed, results are made of
 * them. */
struct oxr_igemm8_sums {
    int32_t at[OXR_IGEMM8_BLOCK + 1][OXR_IGEMM8_BLOCK]
        __attribute__((aligned(64))); /* one row more: rows are finished by twos */
    struct oxr_igemm8_block waiting;  /* columns 0: none */
};

struct oxr_igemm8_kernel {
    void (*start)(const struct oxr_igemm8 *g,
                  struct oxr_igemm8_sums *s); /* before blocks, in the thread that computes them */
    void (*block)(const struct oxr_igemm8 *g, const struct oxr_igemm8_block *b,
                  struct oxr_igemm8_sums *s);
    void (*stop)(const struct oxr_igemm8 *g,
                 struct oxr_igemm8_sums *s); /* then all results are there */
    /* Rows [first, first + count) of a group's windows into `to`. */
    void (*fill)(const struct oxr_igemm8_job *j, size_t group, size_t first, size_t count,
                 int8_t *to);
};

#endif
