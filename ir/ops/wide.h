/* ir/ops/wide.h - numbers of every type seen as one of three wide ones: double, int64, uint64.
 *
 * What sums, compares or sorts loads a stretch of elements into wide ones, works on those, and
 * stores back. So there is one loop per operation instead of one per operation and type, and sums
 * of floats are held in doubles. */
#ifndef OX_IR_OPS_WIDE_H
#define OX_IR_OPS_WIDE_H

#include "ir/ops/op.h"

typedef enum ox_wide_kind { OX_WIDE_NONE, OX_WIDE_F64, OX_WIDE_I64, OX_WIDE_U64 } ox_wide_kind;

union ox_wide {
    double f;
    int64_t i;
    uint64_t u;
};

/* NONE for strings, complex numbers and the types below 16 bits that are not integers or bool. */
ox_wide_kind ox_wide_of(ox_dtype dtype);
/* n elements, `step` elements apart, to wide ones in a row. */
void ox_wide_load(union ox_wide *out, ox_dtype dtype, const void *src, ptrdiff_t step, size_t n);
/* n wide numbers to elements in a row. Integers wrap; floats round to nearest even. */
void ox_wide_store(void *dst, ox_dtype dtype, const union ox_wide *in, size_t n);
/* The number 1 of a type, or 0 (false) where v is 0. */
union ox_wide ox_wide_small(ox_wide_kind kind, int v);
/* Truncates toward zero to the kind of `dtype`; what does not fit becomes the nearest that does,
 * NaN 0. */
union ox_wide ox_wide_from_double(ox_dtype dtype, double v);
double ox_wide_to_double(ox_wide_kind kind, union ox_wide v);
/* Least and greatest number of a type; infinities for floats. */
union ox_wide ox_wide_least(ox_dtype dtype);
union ox_wide ox_wide_greatest(ox_dtype dtype);

/* A key that orders numbers of one kind as unsigned integers do: NaN above all others and equal to
 * itself, -0 equal to 0. */
uint64_t ox_wide_key(ox_wide_kind kind, union ox_wide v);

#endif
