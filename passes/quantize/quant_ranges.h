/* passes/quantize/quant_ranges.h - the calibrator `auto`: ranges chosen by what they do to the
 * outputs.
 *
 * Which calibrator suits depends on what later layers make of an activation: a few large numbers
 * may be noise, or all that matters. So calibrators are tried in simulation, on a few samples: all
 * activations by the same one first, and then, while the budget lasts, each activation alone. */
#ifndef OX_PASSES_QUANTIZE_QUANT_RANGES_H
#define OX_PASSES_QUANTIZE_QUANT_RANGES_H

#include "passes/quantize/quant_sim.h"

#include <onnxopt/dataset.h>

/* Sets range, parameters and calibrator of every group of activations. `work`: multiply-accumulates
 * that may be spent. *unsure: the outputs are so bad that they say little about any one range; then
 * ox_qranges_again is worth calling when what is worst has been left in float. */
OX_MUST_USE ox_status ox_qranges_choose(struct ox_qsim *sim, const struct ox_dataset *data,
                                        size_t samples, double work, bool *unsure);
/* Tries once more whether one calibrator for all activations is better than what is set. */
OX_MUST_USE ox_status ox_qranges_again(struct ox_qsim *sim, const struct ox_dataset *data,
                                       size_t samples);

#endif
