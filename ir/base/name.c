/* ir/base/name.c - see name.h: open addressing with linear probing, at most half full. */
#include "ir/base/name.h"

#include <sys/random.h>

/* The hash stands here, so that a search looks at few names and a larger table is filled without
 * looking at any. */
struct ox_name_slot {
    uint32_t hash;
    uint32_t number; /* id + 1; 0: free */
};

void ox_names_init(struct ox_names *names, ox_ctx *ctx) {
    *names = (struct ox_names){.seed = 0x9e3779b97f4a7c15u};
    ox_arena_init(&names->arena, ctx);
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed) names->seed = seed;
}

void ox_names_fini(struct ox_names *names) {
    ox_free(names->arena.ctx, names->slots);
    ox_free(names->arena.ctx, names->names);
    ox_arena_fini(&names->arena);
    names->slots = NULL;
    names->names = NULL;
    names->used = names->cap = names->cap_names = 0;
}

/* Multiply-rotate over 8 bytes at a time, keyed by the seed in every step. */
static uint32_t hash(uint64_t seed, const char *text, size_t len) {
    uint64_t h = seed ^ len;
    while (len > 0) {
        uint64_t w = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&w, text, n);
        h = (h ^ w) * 0xff51afd7ed558ccdu;
        h = (h ^ h >> 29) + seed;
        text += n;
        len -= n;
    }
    h = (h ^ h >> 32) * 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(h ^ h >> 32);
}

/* Where the name is, or the free slot where it belongs. */
static struct ox_name_slot *slot_of(const struct ox_names *names, uint32_t h, const char *text,
                                    size_t len) {
    size_t i = h & (names->cap - 1);
    for (;; i = (i + 1) & (names->cap - 1)) {
        struct ox_name_slot *s = &names->slots[i];
        if (s->number == 0) return s;
        if (s->hash != h) continue;
        ox_name n = names->names[s->number - 1];
        if (n->len == len && memcmp(n->text, text, len) == 0) return s;
    }
}

static ox_status rehash(struct ox_names *names) {
    size_t cap = names->cap ? names->cap * 2 : 64;
    struct ox_name_slot *slots, *old = names->slots;
    OX_TRY(ox_alloc(names->arena.ctx, &slots, cap, sizeof *slots));
    for (size_t i = 0; i < names->cap; i++) {
        if (old[i].number == 0) continue;
        size_t to = old[i].hash & (cap - 1);
        while (slots[to].number)
            to = (to + 1) & (cap - 1);
        slots[to] = old[i];
    }
    names->slots = slots;
    names->cap = cap;
    ox_free(names->arena.ctx, old);
    return OX_OK;
}

ox_name ox_name_find(const struct ox_names *names, const char *text, size_t len) {
    if (names->cap == 0) return NULL;
    uint32_t number = slot_of(names, hash(names->seed, text, len), text, len)->number;
    return number ? names->names[number - 1] : NULL;
}

static ox_status add(struct ox_names *names, struct ox_name_slot *slot, uint32_t h,
                     const char *text, size_t len) {
    struct ox_name_entry *n;
    if (names->used >= UINT32_MAX - 1)
        return ox_fail(names->arena.ctx, OX_NOMEM, "too-many-names", NULL, "too many names");
    OX_TRY(OX_GROW(names->arena.ctx, names->names, names->used, names->cap_names));
    OX_TRY(ox_arena_alloc(&names->arena, &n, 1, sizeof *n + len + 1));
    n->id = (uint32_t)names->used;
    n->len = (uint32_t)len;
    if (len) memcpy(n->text, text, len);
    names->names[names->used++] = n;
    *slot = (struct ox_name_slot){h, (uint32_t)names->used};
    return OX_OK;
}

ox_status ox_name_get(ox_name *out, struct ox_names *names, const char *text, size_t len) {
    if (len >= UINT32_MAX || (len && memchr(text, 0, len)))
        return ox_fail(names->arena.ctx, OX_INVALID, "bad-name", NULL,
                       "a name is too long or holds a NUL byte");
    if (names->used * 2 >= names->cap) OX_TRY(rehash(names));
    uint32_t h = hash(names->seed, text, len);
    struct ox_name_slot *slot = slot_of(names, h, text, len);
    if (!slot->number) OX_TRY(add(names, slot, h, text, len));
    *out = names->names[slot->number - 1];
    return OX_OK;
}

uint64_t ox_names_hash(const struct ox_names *names, ox_name a, ox_name b, ox_name c) {
    uint64_t ids[3] = {a ? a->id + 1u : 0u, b ? b->id + 1u : 0u, c ? c->id + 1u : 0u};
    return hash(names->seed, (const char *)ids, sizeof ids);
}

ox_status ox_name_map_set(struct ox_name_map *map, ox_name name, uint32_t value) {
    if (name->id >= map->cap) {
        size_t cap = map->cap ? map->cap : 64;
        while (cap <= name->id)
            cap *= 2;
        OX_TRY(ox_resize(map->ctx, &map->values, map->cap, cap, sizeof *map->values));
        map->cap = cap;
    }
    map->values[name->id] = value;
    return OX_OK;
}

void ox_name_map_fini(struct ox_name_map *map) {
    ox_free(map->ctx, map->values);
    *map = (struct ox_name_map){.ctx = map->ctx};
}
