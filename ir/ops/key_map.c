/* ir/ops/key_map.c - see key_map.h: open addressing, at most half full. */
#include "ir/ops/key_map.h"

#include <math.h>

struct ox_key ox_key_double(double d) {
    struct ox_key key = {NULL, 0};
    if (isnan(d)) d = (double)NAN;
    if (d == 0) d = 0; /* -0 too */
    memcpy(&key.bits, &d, sizeof d);
    return key;
}

static uint64_t mix(uint64_t h) {
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static uint64_t hash(struct ox_key key) {
    uint64_t h = mix(key.bits), part;
    size_t i = 0;
    if (!key.ptr) return h;
    for (; i + 8 <= key.bits; i += 8) {
        memcpy(&part, key.ptr + i, 8);
        h = mix(h ^ part);
    }
    for (part = 0; i < key.bits; i++)
        part = part << 8 | (unsigned char)key.ptr[i];
    return mix(h ^ part);
}

static bool same(struct ox_key a, struct ox_key b) {
    return a.bits == b.bits && (!a.ptr || memcmp(a.ptr, b.ptr, a.bits) == 0);
}

ox_status ox_key_map_init(struct ox_key_map *map, ox_ctx *ctx, size_t n) {
    size_t slots = 8;
    *map = (struct ox_key_map){0};
    while (slots / 2 < n && slots < SIZE_MAX / 4)
        slots *= 2;
    OX_TRY(ox_alloc(ctx, &map->values, slots, sizeof *map->values));
    ox_status s = ox_alloc(ctx, &map->keys, slots, sizeof *map->keys);
    if (s != OX_OK) {
        ox_key_map_fini(map, ctx);
        return s;
    }
    map->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        map->values[i] = SIZE_MAX;
    return OX_OK;
}

void ox_key_map_fini(struct ox_key_map *map, ox_ctx *ctx) {
    ox_free(ctx, map->keys);
    ox_free(ctx, map->values);
    *map = (struct ox_key_map){0};
}

static size_t find(const struct ox_key_map *map, struct ox_key key) {
    size_t i = (size_t)hash(key) & map->mask;
    while (map->values[i] != SIZE_MAX && !same(map->keys[i], key))
        i = (i + 1) & map->mask;
    return i;
}

size_t ox_key_map_put(struct ox_key_map *map, struct ox_key key, size_t value) {
    size_t i = find(map, key);
    if (map->values[i] != SIZE_MAX) return map->values[i];
    map->keys[i] = key;
    return map->values[i] = value;
}

size_t ox_key_map_get(const struct ox_key_map *map, struct ox_key key) {
    return map->values ? map->values[find(map, key)] : SIZE_MAX;
}
