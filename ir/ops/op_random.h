/* ir/ops/op_random.h - parameters of the random operators, and where their numbers start. */
#ifndef OX_IR_OPS_OP_RANDOM_H
#define OX_IR_OPS_OP_RANDOM_H

#include "ir/ops/op_args.h"
#include "ir/ops/random.h"

/* RandomNormal, RandomUniform, and those that are like another tensor. */
enum ox_random_kind { OX_RANDOM_NORMAL, OX_RANDOM_UNIFORM, OX_RANDOM_KINDS };
extern const enum ox_random_kind
    ox_random_kinds[OX_RANDOM_KINDS]; /* what rows name as their family */

struct ox_random_params {
    ox_dtype dtype;       /* OX_UNDEFINED: the input's */
    float a, b;           /* mean and scale, or low and high */
    struct ox_ints shape; /* not given: the input's */
};
struct ox_bernoulli_params {
    ox_dtype dtype; /* OX_UNDEFINED: the input's */
};
struct ox_multinomial_params {
    ox_dtype dtype;
    int64_t samples;
};

/* Starts the numbers of a call: from its attribute `seed` (a whole number below 2^32 gives the
 * reference implementation's numbers), else from call->stream. */
OX_MUST_USE ox_status ox_random_start(struct ox_random *r, const struct ox_call *call);

#endif
