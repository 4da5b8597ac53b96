/* ir/ops/random.c - see random.h. */
#include "ir/ops/random.h"

#include <math.h>

enum { N = OX_RANDOM_WORDS, M = 397 };

void ox_random_seed(struct ox_random *r, uint32_t seed) {
    r->words[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        r->words[i] = 1812433253u * (r->words[i - 1] ^ (r->words[i - 1] >> 30)) + i;
    r->next = N;
    r->has_spare = false;
}

/* The authors' initialization by an array, of two words here. */
void ox_random_seed64(struct ox_random *r, uint64_t seed) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t *w = r->words, i = 1;
    ox_random_seed(r, 19650218u);
    for (uint32_t k = 0; k < N; k++) {
        w[i] = (w[i] ^ ((w[i - 1] ^ (w[i - 1] >> 30)) * 1664525u)) + key[k % 2] + k % 2;
        if (++i == N) {
            w[0] = w[N - 1];
            i = 1;
        }
    }
    for (uint32_t k = 1; k < N; k++) {
        w[i] = (w[i] ^ ((w[i - 1] ^ (w[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i == N) {
            w[0] = w[N - 1];
            i = 1;
        }
    }
    w[0] = 0x80000000u;
}

static void next_block(struct ox_random *r) {
    uint32_t *w = r->words;
    for (int i = 0; i < N; i++) {
        uint32_t y = (w[i] & 0x80000000u) | (w[(i + 1) % N] & 0x7fffffffu);
        w[i] = w[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->next = 0;
}

static uint32_t next_word(struct ox_random *r) {
    if (r->next >= N) next_block(r);
    uint32_t y = r->words[r->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double ox_random_uniform(struct ox_random *r) {
    uint32_t high = next_word(r) >> 5, low = next_word(r) >> 6;
    return ((double)high * 67108864 + (double)low) / 9007199254740992.0;
}

double ox_random_normal(struct ox_random *r) {
    double x, y, square;
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    do {
        x = 2 * ox_random_uniform(r) - 1;
        y = 2 * ox_random_uniform(r) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double scale = sqrt(-2 * log(square) / square);
    r->has_spare = true;
    r->spare = scale * x;
    return scale * y;
}
