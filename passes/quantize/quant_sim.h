/* passes/quantize/quant_sim.h - runs the model in float, and as the plan would quantize it.
 *
 * One sample is loaded at a time: every activation of the float run is kept, and simulations of the
 * same sample start where the first rounding is, so that trying a single quantizer costs what is
 * behind it. What cannot be executed, and all that depends on it, is left out: the rest of such a
 * model is still calibrated. Nodes are evaluated by the kernels of the operator table, so results
 * do not depend on the number of threads. */
#ifndef OX_PASSES_QUANTIZE_QUANT_SIM_H
#define OX_PASSES_QUANTIZE_QUANT_SIM_H

#include "passes/quantize/quant_match.h"
#include "passes/quantize/quant_plan.h"

struct ox_qsim {
    struct ox_qplan *plan;
    struct ox_qmatch
        *match;      /* applied to what nodes give, in both kinds of runs; NULL: nothing is */
    ox_tensor **ref; /* by value id: of the float run; NULL: constant, not computed, or not kept */
    ox_tensor *
        *now; /* by value id: of the simulation, where it differs; freed after its last reader */
    ox_tensor **edge; /* by value id: rounded for readers that are on */
    uint32_t *left;   /* by value id: readers to come */
    struct ox_call_scratch scratch;
    const ox_tensor **in;
    ox_tensor **out;
    size_t cap;
    uint64_t bytes; /* of all activations of the sample loaded last */
    double work;    /* multiply-accumulates and elements of one float run */
};

/* Which quantizers of the plan act; a NULL list: all of them. */
struct ox_qmask {
    const bool *values, *weights; /* by value id, by node id */
};

typedef ox_status (*ox_qsim_observe)(void *user, const struct ox_value *value,
                                     const ox_tensor *tensor);

OX_MUST_USE ox_status ox_qsim_init(struct ox_qsim *sim, struct ox_qplan *plan);
void ox_qsim_fini(struct ox_qsim *sim);
/* Runs a sample in float: one tensor per graph input, NULL: its default. observe (may be NULL) is
 * shown each value. Tensors are kept for simulations if `keep`, until the next run. */
OX_MUST_USE ox_status ox_qsim_float(struct ox_qsim *sim, const ox_tensor *const *inputs, bool keep,
                                    ox_qsim_observe observe, void *user);
/* Runs the kept sample with some of the plan's quantizers. noise[l] gets the square error of leaf
 * l, summed. observe is shown each value that may differ, before readers' rounding. */
OX_MUST_USE ox_status ox_qsim_quant(struct ox_qsim *sim, const struct ox_qmask *mask, double *noise,
                                    ox_qsim_observe observe, void *user);
/* Of the kept sample: signal[l] gets the sum of squares of leaf l around its mean. */
void ox_qsim_signal(const struct ox_qsim *sim, double *signal);
/* Signal to noise, both sums of squares, in decibels: -200 to 200, which stands for "exact". NaN
 * where there is nothing to compare. */
double ox_decibels(double signal, double noise);
/* Sum of squares of a - b, of equal count; in double, in a fixed order. */
double ox_square_distance(const float *a, const float *b, size_t n);

#endif
