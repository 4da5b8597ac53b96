/* passes/quantize/quant_stats.h - what calibration observes of a plan's activations, and the
 * parameters that follow. */
#ifndef OX_PASSES_QUANTIZE_QUANT_STATS_H
#define OX_PASSES_QUANTIZE_QUANT_STATS_H

#include "passes/quantize/quant_sim.h"

#include <onnxopt/dataset.h>
#include <onnxopt/passes.h>

/* Runs the samples in float, one after the other, into the plan's histograms and channel
 * statistics. *used: how many. Memory does not depend on their number. runner (may be NULL) runs
 * all but the first, which tells sizes and costs. */
OX_MUST_USE ox_status ox_qstats_collect(struct ox_qsim *sim, const struct ox_dataset *data,
                                        const struct ox_model_runner *runner, size_t *used);
/* Learns how made-up samples are to be shifted and scaled (sim->match), from up to `samples` of
 * them, in two rounds: the second one sees each layer behind what the first one found. */
OX_MUST_USE ox_status ox_qstats_match(struct ox_qsim *sim, const struct ox_dataset *data,
                                      size_t samples);
/* Multiply-accumulates and costs of nodes, from the sizes that were seen. */
void ox_qstats_costs(struct ox_qplan *plan);
/* Range and parameters of every value that is quantized, by one calibrator. */
OX_MUST_USE ox_status ox_qstats_params(struct ox_qplan *plan, ox_calibrator calibrator);
/* Range of the group of a value by one calibrator. */
OX_MUST_USE ox_status ox_qstats_range(struct ox_range *out, const struct ox_qplan *plan,
                                      uint32_t group, ox_calibrator calibrator);
/* Sets the parameters of all of a group; the calibrator is for the report. */
void ox_qstats_set(struct ox_qplan *plan, uint32_t group, struct ox_range range,
                   ox_calibrator calibrator);
/* Scales of the weights of all nodes that may be on; errors are weighed by what calibration saw. */
OX_MUST_USE ox_status ox_qstats_weights(struct ox_qplan *plan, bool search);

#endif
