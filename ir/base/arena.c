/* ir/base/arena.c - see arena.h. Blocks grow fourfold up to 4 MiB, of which only what is used costs
 * memory; a large allocation gets a block of its own. */
#include "ir/base/arena.h"

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 4 << 20, ALIGN = 8 };

struct ox_arena_block {
    struct ox_arena_block *next;
};

void ox_arena_init(struct ox_arena *arena, ox_ctx *ctx) {
    *arena = (struct ox_arena){.ctx = ctx};
}

void ox_arena_fini(struct ox_arena *arena) {
    for (struct ox_arena_block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        ox_free(arena->ctx, b);
    }
    ox_arena_init(arena, arena->ctx);
}

static ox_status add_block(struct ox_arena_block **out, struct ox_arena *arena, size_t room) {
    struct ox_arena_block *b;
    OX_TRY(ox_alloc(arena->ctx, &b, 1, sizeof *b + room));
    b->next = arena->blocks;
    arena->blocks = b;
    *out = b;
    return OX_OK;
}

ox_status ox_arena_alloc(struct ox_arena *arena, void *out_ptr, size_t count, size_t size) {
    size_t bytes;
    if (ox_mul_size(&bytes, count, size) || bytes > (size_t)PTRDIFF_MAX - LARGEST_BLOCK)
        return ox_fail(arena->ctx, OX_NOMEM, "out-of-memory", NULL, "no memory for %zu x %zu bytes",
                       count, size);
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (bytes == 0) bytes = ALIGN;
    arena->total += bytes;
    struct ox_arena_block *b = arena->blocks;
    void *p;
#ifdef OX_ARENA_DEBUG
    OX_TRY(add_block(&b, arena, bytes));
    p = b + 1;
#else
    if (b && arena->size - arena->used >= bytes) {
        p = (char *)(b + 1) + arena->used;
        arena->used += bytes;
    } else if (b && bytes > LARGEST_BLOCK / 4) {
        /* Behind the current block, which stays the one that is filled. */
        struct ox_arena_block *own;
        OX_TRY(add_block(&own, arena, bytes));
        arena->blocks = b;
        own->next = b->next;
        b->next = own;
        p = own + 1;
    } else {
        size_t room = arena->size ? arena->size * 4 : FIRST_BLOCK;
        if (room > LARGEST_BLOCK) room = LARGEST_BLOCK;
        if (room < bytes) room = bytes;
        OX_TRY(add_block(&b, arena, room));
        arena->size = room;
        arena->used = bytes;
        p = b + 1;
    }
#endif
    memcpy(out_ptr, &p, sizeof p);
    return OX_OK;
}

struct ox_arena_mark ox_arena_mark(const struct ox_arena *arena) {
    return (struct ox_arena_mark){arena->blocks, arena->used};
}

/* Only within the newest block: what a step takes beyond it is rare, and goes with the arena. */
void ox_arena_rewind(struct ox_arena *arena, struct ox_arena_mark mark) {
#ifndef OX_ARENA_DEBUG
    if (!mark.block || arena->blocks != mark.block) return;
    memset((char *)(mark.block + 1) + mark.used, 0, arena->used - mark.used);
    arena->total -= arena->used - mark.used;
    arena->used = mark.used;
#else
    (void)arena;
    (void)mark;
#endif
}

ox_status ox_arena_copy(struct ox_arena *arena, const char **out, const void *data, size_t len) {
    char *p;
    size_t size;
    if (ox_add_size(&size, len, 1)) size = SIZE_MAX;
    OX_TRY(ox_arena_alloc(arena, &p, size, 1));
    if (len) memcpy(p, data, len);
    *out = p;
    return OX_OK;
}
