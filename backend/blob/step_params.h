/* backend/blob/step_params.h - parameter records of native steps, as they lie in a blob: little-endian, fixed-size fields,
 * no padding that the compiler chooses (each struct's size is a multiple of 8 and asserted), 8-byte aligned in the file.
 *
 * Nothing in a record may be believed before its check function has seen it. A field that has been released keeps its meaning:
 * new meanings are new kinds. */
#ifndef OX_BACKEND_BLOB_STEP_PARAMS_H
#define OX_BACKEND_BLOB_STEP_PARAMS_H

#include <stdint.h>

enum { OX_STEP_RANK_MAX = 8 }; /* native steps know no tensor of a higher rank */

/* out = in with its axes permuted: out.dims[i] = in.dims[perm[i]]. Any element type of whole bytes. */
struct ox_step_transpose_params {
    uint32_t rank;
    uint8_t perm[OX_STEP_RANK_MAX];
    uint32_t zero;
};

/* uint8 q to int8 q - 128 (the same bits with the top one flipped) or back. */
struct ox_step_shift_params {
    uint32_t to_signed; /* 1: uint8 to int8; 0: int8 to uint8 */
    uint32_t zero;
};

_Static_assert(sizeof(struct ox_step_transpose_params) == 16, "part of the format");
_Static_assert(sizeof(struct ox_step_shift_params) == 8, "part of the format");

#endif
