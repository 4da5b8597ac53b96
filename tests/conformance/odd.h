/* odd.h - one random change to a model or its inputs, for odd_main.c. */
#ifndef OX_TESTS_ODD_H
#define OX_TESTS_ODD_H

#include "conf.h"

struct odd_random {
    uint64_t state;
};

/* A stream that depends on these three only. */
struct odd_random odd_seed(const char *name, uint64_t seed, size_t round);

/* Changes one thing and says what. False: there is nothing to change in the way that was drawn. */
bool odd_change(char *what, size_t size, struct ox_model *model, struct conf_tensors *in,
                struct odd_random *random);
/* Gives the only node's first operand another type, and (together) all inputs of the model that had
 * the same. False: the row does not have that type, or there is no such operand. */
bool odd_retype(char *what, size_t size, struct ox_model *model, struct conf_tensors *in,
                ox_dtype dtype, bool together);
/* Is the change one that the executor may refuse before any node runs (an input of the model)? */
bool odd_change_is_outside(const char *what);

#endif
