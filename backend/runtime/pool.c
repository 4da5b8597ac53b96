/* backend/runtime/pool.c - see pool.h. */
#include "backend/runtime/pool.h"

enum { SMALL_STEP = 64, SMALL_MAX = 1024, SMALL_CLASSES = SMALL_MAX / SMALL_STEP, STEPS_BITS = 3, FIRST_OCTAVE = 10 };

/* In front of each block, 64 bytes so that the block keeps its source's alignment. */
struct oxr_block {
    struct oxr_block *next;
    size_t size; /* of the block without this */
    unsigned class;
    char fill[64 - sizeof(void *) - sizeof(size_t) - sizeof(unsigned)];
};
_Static_assert(sizeof(struct oxr_block) == 64, "blocks stay aligned");

/* Class of a size, and the size that all blocks of it have. Eight classes between a power of two and the next. */
static unsigned class_of(size_t *rounded, size_t size)
{
    if (size <= SMALL_MAX) {
        unsigned c = (unsigned)((size + SMALL_STEP - 1) / SMALL_STEP);
        *rounded = (size_t)c * SMALL_STEP;
        return c;
    }
    unsigned octave = 63 - (unsigned)__builtin_clzll((unsigned long long)(size - 1)); /* 2^octave < size <= 2^(octave + 1) */
    size_t step = (size_t)1 << (octave - STEPS_BITS), over = size - ((size_t)1 << octave);
    size_t k = (over + step - 1) / step; /* 1 .. 8 */
    *rounded = ((size_t)1 << octave) + k * step;
    return SMALL_CLASSES + 1 + (octave - FIRST_OCTAVE) * (1u << STEPS_BITS) + (unsigned)k - 1;
}

static struct oxr_block *block_of(void *p)
{
    return (struct oxr_block *)p - 1;
}

static struct oxr_block *from_source(struct oxr_pool *pool, size_t size)
{
    struct oxr_block *b = NULL;
    ox_mute(pool->source, true);
    ox_status s = ox_alloc_raw(pool->source, &b, 1, size + sizeof *b);
    if (s != OX_OK) {
        oxr_pool_trim(pool);
        s = ox_alloc_raw(pool->source, &b, 1, size + sizeof *b);
    }
    ox_mute(pool->source, false);
    if (s != OX_OK) return NULL;
    pool->held += size + sizeof *b;
    pool->requests++;
    return b;
}

static void *pool_alloc(void *user, size_t size)
{
    struct oxr_pool *pool = user;
    size_t rounded;
    if (size > PTRDIFF_MAX / 2) return NULL;
    unsigned class = class_of(&rounded, size);
    struct oxr_block *b = pool->free[class];
    if (b) {
        pool->free[class] = b->next;
    } else {
        b = from_source(pool, rounded);
        if (!b) return NULL;
        b->size = rounded;
        b->class = class;
    }
    pool->used += b->size;
    if (pool->used > pool->peak) pool->peak = pool->used;
    return b + 1;
}

static void pool_release(void *user, void *p)
{
    struct oxr_pool *pool = user;
    struct oxr_block *b = block_of(p);
    pool->used -= b->size;
    b->next = pool->free[b->class];
    pool->free[b->class] = b;
}

static void *pool_resize(void *user, void *p, size_t size)
{
    void *q = pool_alloc(user, size);
    if (!q) return NULL;
    size_t keep = block_of(p)->size;
    memcpy(q, p, keep < size ? keep : size);
    pool_release(user, p);
    return q;
}

void oxr_pool_init(struct oxr_pool *pool, ox_ctx *source)
{
    *pool = (struct oxr_pool){.source = source};
}

void oxr_pool_trim(struct oxr_pool *pool)
{
    for (size_t i = 0; i < OXR_POOL_CLASSES; i++) {
        while (pool->free[i]) {
            struct oxr_block *b = pool->free[i];
            pool->free[i] = b->next;
            pool->held -= b->size + sizeof *b;
            ox_free(pool->source, b);
        }
    }
}

void oxr_pool_fini(struct oxr_pool *pool)
{
    oxr_pool_trim(pool);
}

struct ox_allocator oxr_pool_allocator(struct oxr_pool *pool)
{
    return (struct ox_allocator){pool, pool_alloc, pool_resize, pool_release};
}
