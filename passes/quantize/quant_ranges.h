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
 * that may be spent. Where the outputs are of no use with any of them, they say little about a
 * range; then least square error it is, but for what stands out alone. */
OX_MUST_USE ox_status ox_qranges_choose(struct ox_qsim *sim, const struct ox_dataset *data,
                                        size_t samples, double work);

#endif
