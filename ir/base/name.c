/* ir/base/name.c - see name.h: open addressing with linear probing, at most half full. */
#include "ir/base/name.h"

#include <sys/random.h>

void ox_names_init(struct ox_names *names, ox_ctx *ctx)
{
    *names = (struct ox_names){.seed = 0x9e3779b97f4a7c15u};
    ox_arena_init(&names->arena, ctx);
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed) names->seed = seed;
}

void ox_names_fini(struct ox_names *names)
{
    ox_free(names->arena.ctx, names->slots);
    ox_arena_fini(&names->arena);
    names->slots = NULL;
    names->used = names->cap = 0;
}

/* Multiply-rotate over 8 bytes at a time, keyed by the seed in every step. */
static uint32_t hash(uint64_t seed, const char *text, size_t len)
{
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

static ox_name *slot_of(const struct ox_names *names, uint32_t h, const char *text, size_t len)
{
    size_t i = h & (names->cap - 1);
    for (;; i = (i + 1) & (names->cap - 1)) {
        ox_name n = names->slots[i];
        if (!n || (n->hash == h && n->len == len && memcmp(n->text, text, len) == 0))
            return &names->slots[i];
    }
}

static ox_status rehash(struct ox_names *names)
{
    size_t cap = names->cap ? names->cap * 2 : 64, old_cap = names->cap;
    ox_name *slots, *old = names->slots;
    OX_TRY(ox_alloc(names->arena.ctx, &slots, cap, sizeof *slots));
    names->slots = slots;
    names->cap = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i]) *slot_of(names, old[i]->hash, old[i]->text, old[i]->len) = old[i];
    ox_free(names->arena.ctx, old);
    return OX_OK;
}

ox_name ox_name_find(const struct ox_names *names, const char *text, size_t len)
{
    if (names->cap == 0) return NULL;
    return *slot_of(names, hash(names->seed, text, len), text, len);
}

ox_status ox_name_get(ox_name *out, struct ox_names *names, const char *text, size_t len)
{
    if (len >= UINT32_MAX || (len && memchr(text, 0, len)))
        return ox_fail(names->arena.ctx, OX_INVALID, "bad-name", NULL, "a name is too long or holds a NUL byte");
    if (names->used * 2 >= names->cap) OX_TRY(rehash(names));
    uint32_t h = hash(names->seed, text, len);
    ox_name *slot = slot_of(names, h, text, len);
    if (!*slot) {
        struct ox_name_entry *n;
        OX_TRY(ox_arena_alloc(&names->arena, &n, 1, sizeof *n + len + 1));
        n->hash = h;
        n->len = (uint32_t)len;
        if (len) memcpy(n->text, text, len);
        *slot = n;
        names->used++;
    }
    *out = *slot;
    return OX_OK;
}
