/* backend/blob/blob_check.h - proving a blob: container, records, and flow of values.
 *
 * After both functions have returned OX_OK a reader may rely on this:
 *  - every offset, index and range in every record lies inside the section it is about; texts end
 * in NUL
 *  - constants have a valid type, the bytes that type and dims need, 64-byte alignment (of the
 * data, if the blob's is aligned) and slack behind them; string constants are well formed
 *  - slots and steps are divided among frames without gap; frames form a tree (no recursion) no
 * deeper than limits.max_subgraph_depth, and each but the first is named exactly once
 *  - every operand is a constant or a slot defined before it, in its own or an enclosing frame, and
 * not dropped since; every slot is defined at one place, and dropped at most once, by a step of its
 * own frame
 *  - kinds of steps are known, records of native steps have the right size
 *  - packed weights belong to native steps, each once a class, and lie one behind the other with
 * slack behind each Not proved here: what operators and native steps make of their attributes,
 * records and constants (the runtime asks them, one by one), and shapes, which kernels check when
 * they run. Time is linear in the size of the blob. */
#ifndef OX_BACKEND_BLOB_BLOB_CHECK_H
#define OX_BACKEND_BLOB_BLOB_CHECK_H

#include "backend/blob/blob.h"

/* Finds the sections of a blob of `size` bytes at `data` (8-byte aligned). file: for diagnostics,
 * or NULL. With `weights` false the hashes of the sections DATA and PACKED are not looked at, so
 * that opening touches no page of them. */
OX_MUST_USE ox_status ox_blob_open(struct ox_blob *out, ox_ctx *ctx, const void *data, size_t size,
                                   const char *file, bool weights);
OX_MUST_USE ox_status ox_blob_check(ox_ctx *ctx, const struct ox_blob *blob, const char *file);

#endif
