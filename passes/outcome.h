/* passes/outcome.h - what a pipeline tells of itself; read through onnxopt/passes.h. */
#ifndef OX_PASSES_OUTCOME_H
#define OX_PASSES_OUTCOME_H

#include "passes/pass.h"

OX_MUST_USE ox_status ox_outcome_new(ox_outcome **out, ox_ctx *ctx);
/* Adds a run of a pass: to the entry that an earlier run of it in the same loop made, or to a new
 * one. `slot` identifies the place in the pipeline. */
OX_MUST_USE ox_status ox_outcome_add_pass(ox_outcome *outcome, const void *slot,
                                          const struct ox_pass_run *run, double seconds);

#endif
