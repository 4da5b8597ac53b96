/* passes/quantize/quant_insert.h - carries a plan out: QuantizeLinear and DequantizeLinear into the
 * model. */
#ifndef OX_PASSES_QUANTIZE_QUANT_INSERT_H
#define OX_PASSES_QUANTIZE_QUANT_INSERT_H

#include "passes/quantize/quant_plan.h"

/* Every activation that is `made` or `read` gets one pair; weights of nodes that are on become int8
 * initializers behind DequantizeLinear, biases int32 ones whose scale is that of the data times
 * that of the weight. Clamps that rounding does as well go. The plan is of no use afterwards,
 * except for its parameters. counts: pairs, weights, biases and clamps. */
struct ox_qinsert_counts {
    uint64_t pairs, weights, biases, clamps;
};
OX_MUST_USE ox_status ox_qplan_insert(struct ox_qplan *plan, struct ox_qinsert_counts *counts);
/* Widens the scales of weights until every bias fits an int32 with room for the sum. Before weights
 * are rounded. */
OX_MUST_USE ox_status ox_qplan_fit_biases(struct ox_qplan *plan);

#endif
