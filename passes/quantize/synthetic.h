/* passes/quantize/synthetic.h - made-up samples, for models that come without data. */
#ifndef OX_PASSES_QUANTIZE_SYNTHETIC_H
#define OX_PASSES_QUANTIZE_SYNTHETIC_H

#include "ir/ir.h"

#include <onnxopt/dataset.h>

/* Seeded samples for the inputs of a model, in several styles; see the file. The caller calls
 * out->free(out->self). */
OX_MUST_USE ox_status ox_synthetic_open(struct ox_dataset *out, struct ox_model *model,
                                        uint64_t seed, size_t count);

#endif
