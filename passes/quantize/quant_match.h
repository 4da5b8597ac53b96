/* passes/quantize/quant_match.h - brings made-up samples to the statistics that BatchNormalization
 * noted in training.
 *
 * What a network makes of made-up inputs drifts away, layer by layer, from what it makes of real
 * ones, and ranges drift with it. Where a BatchNormalization was, mean and deviation of each
 * channel over the real data are known (passes/norm_stats.h): there each channel is shifted and
 * scaled to have them, so that every layer reads inputs whose first two moments are right, and
 * everything in between (rectifiers, sums, pools, joins) follows by computing it. The simulation
 * of the plan applies the same shifts and factors. A channel that made-up samples leave constant
 * gets normal noise of the noted mean and deviation instead: then its range is that of a Gaussian.
 */
#ifndef OX_PASSES_QUANTIZE_QUANT_MATCH_H
#define OX_PASSES_QUANTIZE_QUANT_MATCH_H

#include "passes/norm_stats.h"
#include "passes/quantize/quant_plan.h"

struct ox_qmatched; /* of one value */

struct ox_qmatch {
    ox_ctx *ctx;
    struct ox_qmatched **values; /* by value id; NULL: not noted, or nothing to match */
    size_t n_values;             /* of the array */
    size_t n;                    /* that are matched */
    enum { OX_QMATCH_FIXED, OX_QMATCH_LEARN, OX_QMATCH_REFINE } mode;
};

/* Which values of the plan were noted. The notes must outlive it. */
OX_MUST_USE ox_status ox_qmatch_init(struct ox_qmatch *match, const struct ox_qplan *plan,
                                     const struct ox_norm_stats *norms);
void ox_qmatch_fini(struct ox_qmatch *match);
/* A value that was just computed: replaces *tensor where it is matched. In mode LEARN it first
 * takes the tensor into what it knows; in mode REFINE what was learned is used as it is, and the
 * tensor is noted for ox_qmatch_refine. */
OX_MUST_USE ox_status ox_qmatch_apply(struct ox_qmatch *match, const struct ox_value *value,
                                      ox_tensor **tensor);
/* After samples in mode REFINE: what they showed is what is applied from now on; mode FIXED. */
void ox_qmatch_refine(struct ox_qmatch *match);
/* Values that follow from matched ones, or are matched: *out by value id, from ox_alloc. */
OX_MUST_USE ox_status ox_qmatch_reach(bool **out, const struct ox_qmatch *match,
                                      const struct ox_qplan *plan);

#endif
