/* passes/quantize/synthetic.h - made-up samples, for models that come without data. */
#ifndef OX_PASSES_QUANTIZE_SYNTHETIC_H
#define OX_PASSES_QUANTIZE_SYNTHETIC_H

#include "ir/ir.h"

#include <onnxopt/dataset.h>

/* Seeded samples for the inputs of a model. Float inputs of rank 4 get fields with the spectrum of
 * photographs, others noise; what indexes a table gets indices of that table. `amplitude` (1:
 * values of about -1 to 1; 64: about those of bytes) scales float inputs. The caller calls
 * out->free(out->self). */
OX_MUST_USE ox_status ox_synthetic_open(struct ox_dataset *out, struct ox_model *model,
                                        uint64_t seed, size_t count, double amplitude);

#endif
