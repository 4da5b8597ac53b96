/* ir/base/hash64.h - XXH64 of a stream of bytes: tells contents apart, says nothing about who
 * wrote them. */
#ifndef OX_IR_BASE_HASH64_H
#define OX_IR_BASE_HASH64_H

#include <stddef.h>
#include <stdint.h>

struct ox_hash64 {
    uint64_t lane[4];
    uint64_t total;
    unsigned char rest[32]; /* total % 32 bytes that wait for more */
};

void ox_hash64_init(struct ox_hash64 *h); /* seed 0 */
void ox_hash64_add(struct ox_hash64 *h, const void *data, size_t size);
uint64_t ox_hash64_end(const struct ox_hash64 *h);

#endif
