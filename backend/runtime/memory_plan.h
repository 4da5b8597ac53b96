/* backend/runtime/memory_plan.h - where the memory of a run lies: offsets in one arena, from what a
 * run of the same shapes took and gave back.
 *
 * A trace lists a run's requests and releases in order. Blocks whose lives do not overlap may share
 * bytes: the largest block is placed first, each at the smallest gap that it fits in between those
 * placed already that live at the same time. */
#ifndef OX_BACKEND_RUNTIME_MEMORY_PLAN_H
#define OX_BACKEND_RUNTIME_MEMORY_PLAN_H

#include "ir/base/context.h"

enum {
    OXR_PLAN_BLOCKS = 4096,    /* most that are planned: placing takes the square of that */
    OXR_PLAN_RELEASE = 1 << 30 /* in an event: the block is released, else requested */
};

struct oxr_trace {
    uint32_t *events; /* a block's number, in order of requests, and whether it is released */
    size_t n_events, cap_events;
    size_t *sizes; /* of blocks; multiples of 64 */
    size_t n_blocks, cap_sizes;
    bool lost; /* too long, or no memory for it */
};

/* A block of `size` is requested: its number. */
uint32_t oxr_trace_request(struct oxr_trace *trace, ox_ctx *ctx, size_t size);
void oxr_trace_release(struct oxr_trace *trace, ox_ctx *ctx, uint32_t block);
void oxr_trace_end(struct oxr_trace *trace, ox_ctx *ctx);

/* Offsets for all blocks of a trace (those that are not released live to its end), and how many
 * bytes they take together. */
OX_MUST_USE ox_status oxr_plan_place(size_t *offsets, size_t *bytes, const struct oxr_trace *trace,
                                     ox_ctx *ctx);

#endif
