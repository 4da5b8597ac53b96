/* backend/runtime/winograd.h - float convolution with 3x3 filters, stride 1 and dilation 1 over
 * N,H,W,C, in a quarter of the multiplications: F(m x m, 3x3) of Lavin and Gray, "Fast Algorithms
 * for Convolutional Neural Networks" (2015), m = 2 or 4.
 *
 *   tiles     the result is cut into tiles of m x m pixels, each computed from (m+2) x (m+2) pixels
 * of the data spread    a tile of the data, transformed along both axes: (m+2)^2 values of each
 * channel (`positions`) multiply  at each position a matrix product: tiles x channels by channels x
 * outputs gather    products transformed back along both axes; what follows the convolution is done
 * there
 *
 * A block of tiles is spread for all channels, then outputs go by a group at a time: filters stream
 * by once for a block, and everything else stays in the second-level cache. An element's sums run
 * over the channels in ascending order, whatever the block: results do not depend on the number of
 * threads, nor on which instruction set with a fused multiply-add runs.
 *
 * Error. The points of interpolation are 0, +-1 and infinity for m = 2; 0, +-11/16, +-3/2 and
 * infinity for m = 4. That points matter is shown by Barabasz, Anderson, Soodhalter and Gregg,
 * "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks"
 * (2018). These were the best but for 0.2 % of all pairs of sixteenths from 1/4 to 2, normally
 * distributed data, and products of them are exact in float; with the usual 0, +-1, +-2 the root
 * mean square of the error is 2.2 times as large. It is twice that of a direct sum in float with m
 * = 4, and less than a direct sum's with m = 2. Outputs of a tile share their error: it is in
 * proportion to what all of them are made of, and so may be large beside one that is made of
 * little.
 *
 * A NaN or an infinity of the data makes NaN of all m x m pixels of each tile that reads it, where
 * a direct sum reaches 3 x 3 pixels; finite data above about FLT_MAX / 100 may overflow to the
 * same. */
#ifndef OX_BACKEND_RUNTIME_WINOGRAD_H
#define OX_BACKEND_RUNTIME_WINOGRAD_H

#include "backend/runtime/step.h"
#include "ir/ops/kernel_isa.h"

/* On normally distributed data the error of each output is at most this times the root of the
 * number of channels, in units of the root of the sum of the squares of the products it is the sum
 * of: enforced by tests/unit/test_winograd.c. */
#define OXR_WINOGRAD_ERROR2 3e-7 /* tiles of 2 */
#define OXR_WINOGRAD_ERROR4 1e-6 /* tiles of 4 */

/* Filters laid out for the kernel. Zero: not packed. */
struct oxr_winograd {
    enum ox_isa isa;
    size_t tile; /* m */
    size_t channels, outputs;
    size_t width;         /* outputs of a group: two vectors */
    const float *filters; /* [groups][positions][channels][width] */
    float *own;           /* the same, where they are not somebody else's */
    size_t floats;        /* of filters */
    float *bias;          /* [groups][width] */
    float *zeros;         /* a pixel of padding */
};

/* The best tile for a convolution of so many channels whose result is images x height x width
 * pixels of `outputs`; 0: a direct convolution is as fast. */
size_t oxr_winograd_choose(size_t channels, size_t outputs, size_t images, size_t height,
                           size_t width);

/* From filters [outputs][3][3][channels], and bias [outputs] or NULL. `isa` is the best allowed;
 * threads of `ctx` share the work. On failure, and in the end, release. */
OX_MUST_USE ox_status oxr_winograd_pack(struct oxr_winograd *w, ox_ctx *ctx, const float *filters,
                                        const float *bias, size_t channels, size_t outputs,
                                        size_t tile, enum ox_isa isa);
void oxr_winograd_release(struct oxr_winograd *w, ox_ctx *ctx);

/* The same in two parts, for filters that are kept elsewhere: all but the filters, then these into
 * `to`, with room for w->floats. Afterwards set w->filters. */
OX_MUST_USE ox_status oxr_winograd_start(struct oxr_winograd *w, ox_ctx *ctx, const float *bias,
                                         size_t channels, size_t outputs, size_t tile,
                                         enum ox_isa isa);
void oxr_winograd_lay(const struct oxr_winograd *w, ox_ctx *ctx, float *to, const float *filters);

struct oxr_winograd_job {
    const struct oxr_winograd *w;
    const float *in, *add; /* add: of the result's shape, added before the clamp; NULL: nothing */
    float *out;
    size_t images, height, width, out_height, out_width, top,
        left; /* of padding: what is beyond height and width is 0 */
    float low, high;
    /* set by plan */
    size_t across, tiles;             /* tiles in a row of them, in all */
    size_t blocks, parts;             /* items: a block of tiles by a part of the groups */
    size_t scratch;                   /* bytes of workspace of a thread, a multiple of 64 */
    size_t spread_step, product_step; /* floats from tile to tile */
};
/* Cuts a job, whose shapes are set, into items for so many threads. False: too large. */
bool oxr_winograd_plan(struct oxr_winograd_job *job, size_t threads);
/* Item i < blocks * parts; the workspace is the thread's own, aligned to 64 bytes. */
void oxr_winograd_item(const struct oxr_winograd_job *job, size_t i, void *workspace);

#endif
