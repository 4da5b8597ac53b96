/* tests/unit/blob_harness.h - models and blobs for the tests of the native path. */
#ifndef BLOB_HARNESS_H
#define BLOB_HARNESS_H

#include "ir/ir.h"

#include <onnxopt/runtime.h>
#include <onnxopt/save.h>

/* Model texts that together use every feature of the format: control flow and captures, lists,
 * strings, packed elements, attributes of all kinds, absent operands, defaults, symbolic dims,
 * metadata. Ends with NULL. */
extern const char *const blob_texts[];

/* Aborts where the text is no model. */
struct ox_model *blob_model(ox_ctx *ctx, const char *text);
/* Aborts where it cannot be compiled. *data from ox_native_build. */
void blob_build(unsigned char **data, size_t *size, struct ox_model *model);
/* Makes all hashes right again after an edit. The section table must be possible. */
void blob_seal(unsigned char *data, size_t size);
/* Opens, and where that succeeds runs once on inputs made up for its ports; whatever happens is
 * fine. Returns what opening said. */
ox_status blob_try(ox_ctx *ctx, const unsigned char *data, size_t size);
/* Inputs for the ports: numbers from a seed, symbolic dims 2. The caller unrefs. NULL: cannot be
 * made up. */
ox_tensor *blob_input(ox_ctx *ctx, const struct ox_port *port, uint64_t seed);

#endif
