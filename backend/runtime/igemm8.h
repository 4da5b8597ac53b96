/* backend/runtime/igemm8.h - products of int8 with constant weights: convolutions over N,H,W,C of
 * any window, grouped ones too, and dense layers, with results in int8 or float.
 *
 * A block of 32 output pixels times 32 output channels is computed at once: the bytes that each
 * pixel's window covers lie side by side in a row (gathered into a scratch buffer, or where they
 * are if the window is one pixel), weights are packed in the order they are read. Groups of few
 * channels are joined to groups of 32 whose weights are zero where they belong to different ones.
 *
 * There is a kernel for AMX, and a portable one that shows what it must compute (slower than
 * XNNPACK's, so never chosen by itself). */
#ifndef OX_BACKEND_RUNTIME_IGEMM8_H
#define OX_BACKEND_RUNTIME_IGEMM8_H

#include "backend/runtime/step.h"

enum { OXR_IGEMM8_BLOCK = 32 };

struct oxr_igemm8_kernel;
/* For this processor; NULL: none that is worth it. */
const struct oxr_igemm8_kernel *oxr_igemm8_best(void);
const struct oxr_igemm8_kernel *oxr_igemm8_portable(void);

/* What is multiplied, and what is made of the sums. */
struct oxr_igemm8_task {
    struct ox_step_window window; /* dense: all ones, no padding */
    size_t groups, ci, co;        /* ci, co: of one group */
    const int8_t *weights;        /* [groups * co][kernel][ci] */
    const float *scales;          /* of each output */
    const int32_t *bias;          /* or NULL */
    struct ox_step_quant in;
    bool real; /* float results: sums * in.scale * scales + shift, clamped to floor and ceiling */
    const float *shift; /* or NULL */
    float floor, ceiling;
    struct ox_step_quant out; /* int8 results, clamped to low and high */
    int32_t low, high;
};

/* Packed weights. Zero: none. */
struct oxr_igemm8 {
    const struct oxr_igemm8_kernel *kernel;
    struct oxr_igemm8_task task; /* of joined groups; its pointers are not read after packing */
    size_t k;                    /* bytes of a window of one group */
    size_t chunk,
        chunks;      /* multiplied at once (a multiple of 4, at most 64), and how many of them */
    size_t blocks;   /* of 32 output channels in one group */
    size_t stride;   /* of rows in the scratch buffer */
    bool tame;       /* no sum times its factor leaves the range of 32 bits */
    bool direct;     /* rows are read where they lie */
    int8_t *weights; /* [groups][blocks][chunks][2][chunk / 4][16][4] */
    int32_t *bias;   /* [groups][blocks][32], with the share of the input's zero point */
    float *factor, *shift; /* the same */
};

/* On failure, and in the end, release. */
OX_MUST_USE ox_status oxr_igemm8_pack(struct oxr_igemm8 *g, ox_ctx *ctx,
                                      const struct oxr_igemm8_kernel *kernel,
                                      const struct oxr_igemm8_task *task);
void oxr_igemm8_release(struct oxr_igemm8 *g, ox_ctx *ctx);

struct oxr_igemm8_job {
    const struct oxr_igemm8 *g;
    size_t height, width, out_height, out_width; /* of one image; dense: 1 */
    size_t rows;                                 /* output pixels of all images */
    size_t tall, steps; /* how it is cut: rows gathered at once, and how often a piece does */
    size_t row_pieces, column_pieces; /* of each group */
    const int8_t *in;
    void *out;
    char *scratch;
    size_t scratch_each; /* bytes, for each thread */
};
/* Cuts the work for so many threads: from g, extents and rows to the number of pieces; *workspace
 * is the size of `scratch`. False: it overflows. */
OX_MUST_USE bool oxr_igemm8_cut(struct oxr_igemm8_job *job, size_t threads, size_t *pieces,
                                size_t *workspace);
/* Piece `piece` by thread number `thread`. */
void oxr_igemm8_piece(void *job, size_t thread, size_t piece);

#endif
