/* ir/base/ptr_map.h - a hash table from pointers (interned names, graphs) to small numbers.
 *
 * Keys are never removed; a caller that wants to forget one sets its number back to 0. Nothing
 * iterates over the table, so addresses never influence output. */
#ifndef OX_IR_BASE_PTR_MAP_H
#define OX_IR_BASE_PTR_MAP_H

#include "ir/base/context.h"

struct ox_ptr_map {
    ox_ctx *ctx;
    const void **keys; /* cap entries, a power of two; NULL: free */
    uint32_t *values;
    size_t used, cap;
};

static inline void ox_ptr_map_init(struct ox_ptr_map *map, ox_ctx *ctx) {
    *map = (struct ox_ptr_map){.ctx = ctx};
}

static inline void ox_ptr_map_fini(struct ox_ptr_map *map) {
    ox_free(map->ctx, map->keys);
    ox_free(map->ctx, map->values);
    ox_ptr_map_init(map, map->ctx);
}

static inline size_t ox_ptr_map_slot(const struct ox_ptr_map *map, const void *key) {
    uint64_t h = (uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h >> 32) & (map->cap - 1);
    while (map->keys[i] && map->keys[i] != key)
        i = (i + 1) & (map->cap - 1);
    return i;
}

/* 0 where the key was never set. */
static inline uint32_t ox_ptr_map_get(const struct ox_ptr_map *map, const void *key) {
    if (!map->cap) return 0;
    size_t i = ox_ptr_map_slot(map, key);
    return map->keys[i] ? map->values[i] : 0;
}

/* Cannot fail for a key that was set before. */
static inline OX_MUST_USE ox_status ox_ptr_map_set(struct ox_ptr_map *map, const void *key,
                                                   uint32_t value) {
    size_t i = map->cap ? ox_ptr_map_slot(map, key) : 0;
    bool known = map->cap && map->keys[i];
    if (!known && map->used * 2 >= map->cap) {
        struct ox_ptr_map bigger = {.ctx = map->ctx, .cap = map->cap ? map->cap * 2 : 64};
        OX_TRY(ox_alloc(map->ctx, &bigger.keys, bigger.cap, sizeof *bigger.keys));
        ox_status status = ox_alloc(map->ctx, &bigger.values, bigger.cap, sizeof *bigger.values);
        if (status) {
            ox_free(map->ctx, bigger.keys);
            return status;
        }
        for (size_t from = 0; from < map->cap; from++) {
            if (!map->keys[from]) continue;
            size_t to = ox_ptr_map_slot(&bigger, map->keys[from]);
            bigger.keys[to] = map->keys[from];
            bigger.values[to] = map->values[from];
        }
        bigger.used = map->used;
        ox_ptr_map_fini(map);
        *map = bigger;
        i = ox_ptr_map_slot(map, key);
    }
    if (!known) map->used++;
    map->keys[i] = key;
    map->values[i] = value;
    return OX_OK;
}

#endif
