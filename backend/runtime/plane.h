/* backend/runtime/plane.h - a matrix turned over: what moving channels to the end, and back, is. */
#ifndef OX_BACKEND_RUNTIME_PLANE_H
#define OX_BACKEND_RUNTIME_PLANE_H

#include <stddef.h>

/* out[c][r] = in[r][c] for all r < rows and first <= c < last, elements of `size` bytes (1 or 4),
 * `cols` a row of in. */
void oxr_plane_turn(void *out, const void *in, size_t size, size_t rows, size_t cols, size_t first,
                    size_t last);

#endif
