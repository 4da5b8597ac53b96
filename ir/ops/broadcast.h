/* ir/ops/broadcast.h - the engine that walks tensors of different shapes together.
 *
 * A kernel is a loop over n elements of up to three operands, each of which is either a vector or
 * one element for the whole loop. The engine merges adjoining dims so that these loops are as long
 * as possible, copies operands into small buffers where they would still be too short, and shares
 * the work among threads. Elements must be whole bytes. */
#ifndef OX_IR_OPS_BROADCAST_H
#define OX_IR_OPS_BROADCAST_H

#include "ir/ops/op.h"

#define OX_BCAST_MAX_IN 3

/* in[i] points to n elements, or to one where bit i of `one` is set. Where an operand is the output
 * itself (accumulation) out equals its pointer; otherwise they do not overlap. */
typedef void (*ox_loop_fn)(void *out, const void *const *in, unsigned one, size_t n,
                           const void *arg);

struct ox_loop_operand {
    const void *data;
    size_t size; /* bytes of an element: 1, 2, 4, 8 or 16 */
    int rank;
    const int64_t *dims;
};
static inline struct ox_loop_operand ox_loop_operand(const ox_tensor *t) {
    return (struct ox_loop_operand){t->data, (size_t)ox_dtype_bits(t->dtype) / 8, t->rank, t->dims};
}

/* Runs fn over a whole output of the given dims, to which every operand's dims must broadcast (see
 * ox_broadcast and ox_broadcasts_to). `cost`: nanoseconds an element takes, roughly; it sets how
 * little work is worth a thread. */
void ox_run_loop(ox_ctx *ctx, ox_loop_fn fn, const void *arg, size_t cost, void *out,
                 size_t out_size, int rank, const int64_t *dims, size_t n_in,
                 const struct ox_loop_operand *in);

/* The same for one operand and output of n elements without broadcasting. */
void ox_run_map(ox_ctx *ctx, ox_loop_fn fn, const void *arg, size_t cost, void *out,
                size_t out_size, const void *in, size_t in_size, size_t n);

/* True if dims_b can be broadcast to dims without changing them. */
bool ox_broadcasts_to(int rank, const int64_t *dims, int rank_b, const int64_t *dims_b);

#endif
