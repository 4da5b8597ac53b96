/* tests/unit/op_recorded.h - calls of operators that are told in a line of text, with outputs that
 * were recorded.
 *
 * Attributes: name=i3 name=f0.5 name=sRelu name=I1,2 name=F0.5,1, separated by blanks.
 * Inputs, separated by blanks: `-` is an absent one; else a type (f float, h float16, b bool, u8,
 * i8, i16, i32, i64), then [2,3]      numbers by a formula: (i * (2 * k + 3) + 5 * k) % 13 - 6,
 * times 0.25 for floats, where i is the element and k the input; codes of 8 bits are (i * 37 + k *
 * 11) % 256 [2,3]%7    integers: the same formula modulo 7 in place of 13, not shifted; floats:
 * that plus 1, times 0.125 =0.5       a single number (1,2,3)    a vector; (1,2,3,4)[2,2]  the same
 * with other dims */
#ifndef OX_TESTS_OP_RECORDED_H
#define OX_TESTS_OP_RECORDED_H

#include "op_harness.h"

struct oh_recorded {
    const char *domain, *op, *attrs, *in;
    size_t n_out;
    unsigned unwanted;    /* bit i: output i is not asked for */
    const char *expected; /* outputs as "2,3: 1 2 3 4 5 6; 2: 1 2", a type in front where it is not
                             float; NULL: they only must be made */
    double tolerance;     /* relative for floats, absolute for integers */
};

/* A call of this operator in h, which the caller finishes. The text must be well formed. */
void oh_tell(struct oh *h, const struct oh_recorded *c, int threads);
/* Runs the call and compares. */
void oh_expect_recorded(const struct oh_recorded *c);
/* Changes one thing of each input in turn: nothing may crash, leak, or fail without a diagnostic.
 */
void oh_spoil(const struct oh_recorded *c);

#endif
