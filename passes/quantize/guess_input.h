/* passes/quantize/guess_input.h - how large the numbers are that a model expects, guessed from its
 * weights. */
#ifndef OX_PASSES_QUANTIZE_GUESS_INPUT_H
#define OX_PASSES_QUANTIZE_GUESS_INPUT_H

#include "passes/quantize/quant_sim.h"

/* Which of two amplitudes (ox_synthetic_open) suits the model. Where BatchNormalization noted the
 * deviations of its first activations (norms), the amplitude that gives those. Else training makes
 * what a convolution adds to its bias vary about as much as biases do (with BatchNormalization
 * folded in, both are of the size of its scale). Inputs that are a hundred times too small leave
 * constants, and inputs that are too large drown the biases. 1 where there is nothing to tell. */
OX_MUST_USE ox_status ox_guess_amplitude(double *out, struct ox_qsim *sim,
                                         const struct ox_norm_stats *norms, uint64_t seed);

#endif
