/* tests/unit/op_elements.h - elements of any type seen as numbers, for tests of operators that move
 * data. */
#ifndef OX_TESTS_OP_ELEMENTS_H
#define OX_TESTS_OP_ELEMENTS_H

#include "op_harness.h"

/* A few types that together take every path: packed, 1, 2, 4, 8, 16 bytes, strings. */
extern const ox_dtype oe_dtypes[];
enum { OE_DTYPES = 9 };

/* Adds an input whose elements count up from `first` (modulo what the type holds). */
void oe_input(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims, uint64_t first);
/* The number that an element was made from. */
uint64_t oe_get(const ox_tensor *t, size_t i);
/* The number modulo what the type holds. */
uint64_t oe_trim(ox_dtype dtype, uint64_t v);
/* Random dims in [0, max], with rarely a 0. */
int oe_dims(uint64_t *seed, int64_t *dims, int min_rank, int max_rank, int64_t max);
/* Coordinates of flat index i, and back. */
void oe_coords(int64_t *coords, size_t i, int rank, const int64_t *dims);
size_t oe_index(const int64_t *coords, int rank, const int64_t *dims);
void oe_int64s(struct oh *h, int n, const int64_t *values); /* adds a vector input */
#define OE_INT64S(h, ...)                                                                          \
    oe_int64s(h, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                        \
              (int64_t[]){__VA_ARGS__})
void oe_int64(struct oh *h, int64_t value); /* adds a scalar input */

/* One symbolic inference: all dims of input 0 that are 0 here become symbols a, b, c, ... by
 * position; the types of outputs are returned as text, separated by blanks. Constants are all other
 * inputs. */
const char *oe_symbolic(struct oh *h, size_t n_out);

#endif
