/* backend/onnx/encode.h - a model as ONNX protobuf.
 *
 * Canonical: fields in ascending order, defaults of the schema's optional fields written when the
 * model has them, payloads as raw_data. So the same model always gives the same bytes, and a
 * written model that is read and written again is the same file. See backend/README.md for what is
 * kept. */
#ifndef OX_BACKEND_ONNX_ENCODE_H
#define OX_BACKEND_ONNX_ENCODE_H

#include "backend/onnx/external_plan.h"
#include "backend/onnx/wire_out.h"
#include "ir/text/naming.h"

/* Builds the whole message in `out` (initialized). plan: which tensors lie in a second file; NULL:
 * none. The model and the plan must not change before `out` is written. */
OX_MUST_USE ox_status ox_encode_model(struct ox_wire_out *out, const struct ox_model *model,
                                      const struct ox_naming *naming,
                                      const struct ox_external_plan *plan);

#endif
