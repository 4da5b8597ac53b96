/* passes/quantize/quant_bias.h - bias correction: the mean error that rounded weights make is taken
 * off the bias. */
#ifndef OX_PASSES_QUANTIZE_QUANT_BIAS_H
#define OX_PASSES_QUANTIZE_QUANT_BIAS_H

#include "passes/quantize/quant_plan.h"

/* Gives every weighted node that could have a bias one of zeros, so that there is something to
 * correct. Before the plan is made. */
OX_MUST_USE ox_status ox_qbias_prepare(struct ox_model *model);
/* Corrects the biases of all nodes whose weights have scales and whose input means are known: the
 * expected output of the rounded weights becomes that of the weights. */
OX_MUST_USE ox_status ox_qbias_correct(struct ox_qplan *plan);
/* Takes biases that are still all zeros out again, for nodes that were left as they are. */
void ox_qbias_tidy(struct ox_model *model);

#endif
