/* passes/quantize/quant_measure.h - how far the quantized model is from the float one, tensor by
 * tensor.
 *
 * The float model is gone once the plan is carried out, so up to OX_QMEASURE_ELEMENTS elements of
 * each quantized activation and of each output, evenly spread, are kept from its runs on a few
 * samples. Then the quantized model runs on the same samples by the reference executor, and the
 * same elements are compared. */
#ifndef OX_PASSES_QUANTIZE_QUANT_MEASURE_H
#define OX_PASSES_QUANTIZE_QUANT_MEASURE_H

#include "passes/quantize/quant_sim.h"

#include <onnxopt/dataset.h>

enum { OX_QMEASURE_ELEMENTS = 4096, OX_QMEASURE_SAMPLES = 4 };

struct ox_qmeasure {
    struct ox_qplan *plan;
    const struct ox_dataset *data;
    size_t n_samples;
    size_t index[OX_QMEASURE_SAMPLES]; /* of the samples in the data set */
    float **kept[OX_QMEASURE_SAMPLES]; /* by value id; then n_outputs of the graph */
    size_t *count[OX_QMEASURE_SAMPLES];
    size_t n_outputs;
    double *noise, *signal; /* by value id, then by output */
    bool *measured;         /* by value id, then by output */
    double worst_output_db; /* NaN: not measured */
};

/* Chooses samples and runs them in float. */
OX_MUST_USE ox_status ox_qmeasure_float(struct ox_qmeasure *m, struct ox_qsim *sim,
                                        const struct ox_dataset *data, size_t samples);
/* After insertion: runs the quantized model. A model that cannot be executed as a whole is not
 * measured. */
OX_MUST_USE ox_status ox_qmeasure_quantized(struct ox_qmeasure *m);
/* In place of both, before insertion: simulates the plan, with the activations matched to noted
 * statistics as they were when ranges were chosen. */
OX_MUST_USE ox_status ox_qmeasure_simulated(struct ox_qmeasure *m, struct ox_qsim *sim,
                                            const struct ox_dataset *data, size_t samples);
/* Of value v; NaN where not measured. Capped at 200, which stands for "exact". */
double ox_qmeasure_db(const struct ox_qmeasure *m, uint32_t value);
void ox_qmeasure_fini(struct ox_qmeasure *m);

#endif
