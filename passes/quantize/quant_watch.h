/* passes/quantize/quant_watch.h - calibration by the engine that the caller has given
 * (options.runner).
 *
 * The model is opened there once, with all values that calibration looks at as further outputs;
 * then a sample costs one run of it. Values whose histograms nobody needs are not among them, so
 * the engine fuses what it can. */
#ifndef OX_PASSES_QUANTIZE_QUANT_WATCH_H
#define OX_PASSES_QUANTIZE_QUANT_WATCH_H

#include "passes/quantize/quant_sim.h"

#include <onnxopt/passes.h>

struct ox_qwatch {
    const struct ox_model_runner *runner;
    struct ox_qplan *plan;
    void *opened; /* NULL: the engine does not run this model */
    struct ox_value **values;
    const ox_tensor **out; /* of the model itself, then of values */
    size_t n, n_own;
};

/* Opens the model with what `wanted` says. Where the engine refuses it, opened is NULL and all is
 * well. */
OX_MUST_USE ox_status ox_qwatch_init(struct ox_qwatch *w, struct ox_qplan *plan,
                                     const struct ox_model_runner *runner,
                                     bool (*wanted)(const struct ox_qplan *plan,
                                                    const struct ox_value *value));
void ox_qwatch_fini(struct ox_qwatch *w);
/* Runs a sample as ox_qsim_float does, and shows each of the values. */
OX_MUST_USE ox_status ox_qwatch_run(struct ox_qwatch *w, const ox_tensor *const *inputs,
                                    ox_qsim_observe observe, void *user);

#endif
