/* ir/ops/key_map.h - from keys to positions: labels, categories, vocabularies, n-grams.
 *
 * A key is a string or a number; a map has keys of one sort. Floats are keys by value: 0 and -0 are
 * one, and so are all NaNs. Strings are borrowed. */
#ifndef OX_IR_OPS_KEY_MAP_H
#define OX_IR_OPS_KEY_MAP_H

#include "ir/base/context.h"

struct ox_key {
    const char *ptr; /* NULL: a number */
    uint64_t bits;   /* of the number, or the string's length */
};

struct ox_key_map {
    struct ox_key *keys; /* mask + 1 slots */
    size_t *values;      /* SIZE_MAX: empty */
    size_t mask;
};

static inline struct ox_key ox_key_string(struct ox_str s) {
    return (struct ox_key){s.len ? s.ptr : "", s.len};
}
static inline struct ox_key ox_key_int(int64_t i) {
    return (struct ox_key){NULL, (uint64_t)i};
}
struct ox_key ox_key_double(double d);

/* Room for n keys. */
OX_MUST_USE ox_status ox_key_map_init(struct ox_key_map *map, ox_ctx *ctx, size_t n);
void ox_key_map_fini(struct ox_key_map *map, ox_ctx *ctx);
/* The value of a key; one that is new gets `value`. No more keys than there was room asked for. */
size_t ox_key_map_put(struct ox_key_map *map, struct ox_key key, size_t value);
/* The value of a key; SIZE_MAX where there is none. */
size_t ox_key_map_get(const struct ox_key_map *map, struct ox_key key);

#endif
