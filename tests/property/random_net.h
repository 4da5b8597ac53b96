/* tests/property/random_net.h - random networks for comparing engines: the operators of vision and
 * language models in all their variants, odd sizes, fusable blocks, control flow, recurrence,
 * unknown dims; and how far engines may be apart on them.
 *
 * A network is its seed: the same one gives the same graph, and the same ids of values. */
#ifndef RANDOM_NET_H
#define RANDOM_NET_H

#include "ir/ir.h"

enum rg_kind { RG_FLOAT, RG_INT8 };

/* Some dims of inputs are unknown in every third network. Outputs: all values that nothing reads.
 */
ox_status random_net(struct ox_model **out, ox_ctx *ctx, enum rg_kind kind, uint64_t seed);
/* Inputs, from the seed, whatever dims are unknown. Unref them with golden_unref_all. */
ox_status random_net_inputs(ox_tensor ***out, size_t *count, ox_ctx *ctx, enum rg_kind kind,
                            uint64_t seed);

/* Bounds for what another engine may compute, derived by experiment: the network runs again with
 * every input and every result on the way moved by as much as one operator may be off: RG_ROUNDING
 * of the tensor's largest magnitude (nothing where results are exact), or the step that the maker
 * has named. What its outputs move, times RG_MARGIN, is the bound. */
#define RG_ROUNDING (1.0 / (1 << 19)) /* 32 half units of the last place */
#define RG_MARGIN 4.0
enum { RG_DRAWS = 3 };
/* *bounds (from malloc): for each of n_out outputs the largest difference of an element that is
 * allowed. `expected`: the outputs of the network as it is. */
ox_status random_net_bounds(double **bounds, ox_ctx *ctx, enum rg_kind kind, uint64_t seed,
                            ox_tensor **in, ox_tensor **expected, size_t n_out);

#endif
