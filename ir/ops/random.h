/* ir/ops/random.h - numbers for the random operators.
 *
 * The generator is the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), read as the
 * standard's reference implementation reads it: the same seed gives the same numbers as there. It
 * is a value: nothing is shared, and a run that starts from the same seed repeats. */
#ifndef OX_IR_OPS_RANDOM_H
#define OX_IR_OPS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

enum { OX_RANDOM_WORDS = 624 };

struct ox_random {
    uint32_t words[OX_RANDOM_WORDS];
    int next;
    bool has_spare; /* normal numbers are made in pairs */
    double spare;
};

/* Where the numbers of a node of that name start (FNV-1a). */
static inline uint64_t ox_random_stream(const char *name) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

void ox_random_seed(struct ox_random *r, uint32_t seed);
/* All 64 bits count. */
void ox_random_seed64(struct ox_random *r, uint64_t seed);
/* Uniform in [0, 1), 53 bits. */
double ox_random_uniform(struct ox_random *r);
/* Standard normal: the polar method. */
double ox_random_normal(struct ox_random *r);

#endif
