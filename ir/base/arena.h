/* ir/base/arena.h - memory that is freed all at once.
 *
 * A model's nodes, values, attributes and types live in its arena: they are small, many, and die
 * together. With OX_ARENA_DEBUG each allocation is its own malloc, so that sanitizers see overruns.
 */
#ifndef OX_IR_BASE_ARENA_H
#define OX_IR_BASE_ARENA_H

#include "ir/base/context.h"

struct ox_arena {
    ox_ctx *ctx;
    struct ox_arena_block *blocks; /* newest first */
    size_t used, size;             /* of the newest block */
    size_t total;                  /* bytes handed out */
};

void ox_arena_init(struct ox_arena *arena, ox_ctx *ctx);
void ox_arena_fini(struct ox_arena *arena);
/* Zeroed, aligned to 8. */
OX_MUST_USE ox_status ox_arena_alloc(struct ox_arena *arena, void *out_ptr, size_t count,
                                     size_t size);
/* Where the arena stands, and giving back what was taken since: for results of one step that nobody
 * keeps. A mark is good until the arena is rewound to an older one. */
struct ox_arena_mark {
    struct ox_arena_block *block;
    size_t used;
};
struct ox_arena_mark ox_arena_mark(const struct ox_arena *arena);
void ox_arena_rewind(struct ox_arena *arena, struct ox_arena_mark mark);
/* A copy with a NUL behind it. */
OX_MUST_USE ox_status ox_arena_copy(struct ox_arena *arena, const char **out, const void *data,
                                    size_t len);

#endif
