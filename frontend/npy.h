/* frontend/npy.h - arrays in NumPy's .npy format, versions 1 to 3.
 *
 * The header is a Python literal; here it has a fixed grammar and is parsed without recursion or
 * evaluation. Object and structured arrays are refused: nothing is ever unpickled. */
#ifndef OX_FRONTEND_NPY_H
#define OX_FRONTEND_NPY_H

#include "ir/base/bytes.h"

/* True if the bytes begin like a .npy file. */
bool ox_npy_magic(const void *data, size_t size);
/* The array that `size` bytes at `offset` of `bytes` hold, all of them: a slice where they are in C
 * order and little-endian, else converted. */
OX_MUST_USE ox_status ox_npy_read(ox_tensor **out, ox_ctx *ctx, struct ox_bytes *bytes,
                                  size_t offset, size_t size, const struct ox_place *place);

#endif
