/* backend/runtime/pool.c - see pool.h. */
#include "backend/runtime/pool.h"

enum {
    SMALL_STEP = 64,
    SMALL_MAX = 1024,
    SMALL_CLASSES = SMALL_MAX / SMALL_STEP,
    STEPS_BITS = 3,
    FIRST_OCTAVE = 10
};
enum { OFTEN = 3 /* times that a plan may be broken before there is none any more */ };
#define ARENA_FIRST ((size_t)1 << 20)
#define ARENA_MOST ((size_t)1 << 30) /* beyond, arenas are no larger than needed */
#define ARENA_HUGE ((size_t)1 << 22) /* from here on, on huge pages */

/* In front of each block, 64 bytes so that the block keeps its source's alignment. */
struct oxr_block {
    struct oxr_block *next;
    size_t size;             /* of the block without this */
    struct oxr_arena *arena; /* NULL: it belongs to a list */
    uint64_t run;
    unsigned class;
    uint32_t number; /* in its run's trace */
    char fill[64 - 2 * sizeof(void *) - sizeof(size_t) - sizeof(uint64_t) - 2 * sizeof(unsigned)];
};
_Static_assert(sizeof(struct oxr_block) == 64, "blocks stay aligned");

/* A stretch of memory for the blocks of runs, which lie behind this. */
struct oxr_arena {
    struct oxr_arena *next;
    size_t size, live; /* bytes; blocks that have not been released */
    char fill[64 - sizeof(void *) - 2 * sizeof(size_t)];
};
_Static_assert(sizeof(struct oxr_arena) == 64, "blocks stay aligned");

/* Class of a size, and the size that all blocks of it have. Eight classes between a power of two
 * and the next. */
static unsigned class_of(size_t *rounded, size_t size) {
    if (size <= SMALL_MAX) {
        unsigned c = (unsigned)((size + SMALL_STEP - 1) / SMALL_STEP);
        *rounded = (size_t)c * SMALL_STEP;
        return c;
    }
    unsigned octave =
        63 - (unsigned)__builtin_clzll(
                 (unsigned long long)(size - 1)); /* 2^octave < size <= 2^(octave + 1) */
    size_t step = (size_t)1 << (octave - STEPS_BITS), over = size - ((size_t)1 << octave);
    size_t k = (over + step - 1) / step; /* 1 .. 8 */
    *rounded = ((size_t)1 << octave) + k * step;
    return SMALL_CLASSES + 1 + (octave - FIRST_OCTAVE) * (1u << STEPS_BITS) + (unsigned)k - 1;
}

static struct oxr_block *block_of(void *p) {
    return (struct oxr_block *)p - 1;
}

/* An address sanitizer sees blocks of an arena as it sees those of malloc. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(POISONED)
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
#define HIDE(p, size) __asan_poison_memory_region((p), (size))
#define SHOW(p, size) __asan_unpoison_memory_region((p), (size))
#else
#define HIDE(p, size) ((void)(p), (void)(size))
#define SHOW(p, size) ((void)(p), (void)(size))
#endif

/* Zeroed memory comes on huge pages, where it is much. */
static void *try_source(struct oxr_pool *pool, size_t size, bool zeroed) {
    void *p = NULL;
    ox_mute(pool->source, true);
    ox_status s =
        zeroed ? ox_alloc(pool->source, &p, 1, size) : ox_alloc_raw(pool->source, &p, 1, size);
    ox_mute(pool->source, false);
    return s == OX_OK ? p : NULL;
}

static void *from_source(struct oxr_pool *pool, size_t size, bool zeroed) {
    void *p = try_source(pool, size, zeroed);
    if (!p) {
        oxr_pool_trim(pool);
        p = try_source(pool, size, zeroed);
    }
    if (!p) return NULL;
    pool->held += size;
    pool->requests++;
    return p;
}

static void to_source(struct oxr_pool *pool, void *p, size_t size) {
    pool->held -= size;
    ox_free(pool->source, p);
}

/* ---- arenas ------------------------------------------------------------------------------------
 */

static struct oxr_arena *add_arena(struct oxr_pool *pool, size_t size) {
    struct oxr_arena *a = from_source(pool, size + sizeof *a, size >= ARENA_HUGE),
                     **at = &pool->arenas;
    if (!a) return NULL;
    while (*at && (*at)->size > size)
        at = &(*at)->next;
    *a = (struct oxr_arena){.next = *at, .size = size};
    HIDE(a + 1, size);
    return *at = a;
}

/* Gives back arenas without live blocks, but `keep`. */
static void drop_arenas(struct oxr_pool *pool, const struct oxr_arena *keep) {
    for (struct oxr_arena **at = &pool->arenas; *at;) {
        struct oxr_arena *a = *at;
        if (a == keep || a->live) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        SHOW(a + 1, a->size);
        to_source(pool, a, a->size + sizeof *a);
    }
}

/* The smallest that is large enough; unused: without live blocks. */
static struct oxr_arena *find_arena(const struct oxr_pool *pool, size_t size, bool unused) {
    struct oxr_arena *best = NULL;
    for (struct oxr_arena *a = pool->arenas; a && a->size >= size; a = a->next)
        if (!unused || a->live == 0) best = a;
    return best;
}

static bool add_hole(struct oxr_pool *pool, struct oxr_arena *arena, size_t at, size_t size) {
    size_t i = 0;
    struct oxr_hole *h = pool->holes;
    while (i < pool->n_holes && (h[i].arena != arena || h[i].at < at))
        i++;           /* holes of an arena ascend */
    size_t before = i; /* the last one of this arena before it */
    while (before > 0 && h[before - 1].arena != arena)
        before--;
    if (before > 0 && h[before - 1].at + h[before - 1].size == at) {
        struct oxr_hole *b = &h[before - 1];
        b->size += size;
        if (i < pool->n_holes && h[i].arena == arena && b->at + b->size == h[i].at) {
            b->size += h[i].size;
            memmove(&h[i], &h[i + 1], (--pool->n_holes - i) * sizeof *h);
        }
        return true;
    }
    if (i < pool->n_holes && h[i].arena == arena && at + size == h[i].at) {
        h[i].at = at;
        h[i].size += size;
        return true;
    }
    if (pool->n_holes == OXR_POOL_HOLES) return false; /* lost until the run ends */
    memmove(&h[i + 1], &h[i], (pool->n_holes++ - i) * sizeof *h);
    h[i] = (struct oxr_hole){arena, at, size};
    return true;
}

/* A place for `need` bytes in the smallest hole, or in a new arena twice as large as the last one.
 */
static bool take_hole(struct oxr_arena **arena, size_t *at, struct oxr_pool *pool, size_t need) {
    struct oxr_hole *best = NULL;
    for (size_t i = 0; i < pool->n_holes; i++)
        if (pool->holes[i].size >= need && (!best || pool->holes[i].size < best->size))
            best = &pool->holes[i];
    if (!best) {
        size_t size = pool->arenas ? 2 * pool->arenas->size : ARENA_FIRST;
        if (pool->n_holes == OXR_POOL_HOLES || size > ARENA_MOST) size = need;
        struct oxr_arena *a = add_arena(pool, size < need ? need : size);
        if (!a && size > need) a = add_arena(pool, need);
        if (!a) return false;
        *arena = a;
        *at = 0;
        return a->size == need || add_hole(pool, a, need, a->size - need);
    }
    *arena = best->arena;
    *at = best->at;
    best->at += need;
    best->size -= need;
    if (best->size == 0)
        memmove(best, best + 1, (size_t)(pool->holes + --pool->n_holes - best) * sizeof *best);
    return true;
}

static struct oxr_block *block_at(struct oxr_pool *pool, struct oxr_arena *arena, size_t at,
                                  size_t need, uint32_t number) {
    struct oxr_block *b = (struct oxr_block *)(void *)((char *)(arena + 1) + at);
    SHOW(b, need);
    *b = (struct oxr_block){
        .size = need - sizeof *b, .arena = arena, .run = pool->run, .number = number};
    arena->live++;
    return b;
}

/* A block of the run at hand; NULL: it must come from elsewhere. */
static struct oxr_block *from_arena(struct oxr_pool *pool, size_t size) {
    const size_t need = (size + 63) / 64 * 64 + sizeof(struct oxr_block);
    struct oxr_arena *arena;
    size_t at;
    if (pool->mode == OXR_POOL_PLANNED) {
        const struct oxr_trace *t = &pool->plan->trace;
        const uint32_t number = pool->at < t->n_events ? t->events[pool->at] : OXR_PLAN_RELEASE;
        if ((number & OXR_PLAN_RELEASE) || t->sizes[number] != need) {
            pool->diverged = true;
            pool->mode = OXR_POOL_LISTS;
            return NULL;
        }
        pool->at++;
        return block_at(pool, pool->arena, pool->plan->offsets[number], need, number);
    }
    const uint32_t number = oxr_trace_request(&pool->trace, pool->source, need);
    if (pool->trace.lost || !take_hole(&arena, &at, pool, need)) {
        pool->trace.lost = true;
        pool->mode = OXR_POOL_LISTS;
        return NULL;
    }
    return block_at(pool, arena, at, need, number);
}

static void to_arena(struct oxr_pool *pool, struct oxr_block *b) {
    const struct oxr_block was = *b;
    b->arena->live--;
    HIDE(b, was.size + sizeof was);
    if (was.run != pool->run) return;
    if (pool->mode == OXR_POOL_TRACING) {
        oxr_trace_release(&pool->trace, pool->source, was.number);
        (void)add_hole(pool, was.arena, (size_t)((char *)b - (char *)(was.arena + 1)),
                       was.size + sizeof was);
    } else if (pool->mode == OXR_POOL_PLANNED) {
        const struct oxr_trace *t = &pool->plan->trace;
        if (pool->at < t->n_events && t->events[pool->at] == (was.number | OXR_PLAN_RELEASE)) {
            pool->at++;
        } else {
            pool->diverged = true;
            pool->mode = OXR_POOL_LISTS;
        }
    }
}

/* ---- runs --------------------------------------------------------------------------------------
 */

static struct oxr_pool_plan *find_plan(struct oxr_pool *pool, const int64_t *key, size_t n_key) {
    struct oxr_pool_plan *oldest = &pool->plans[0];
    for (size_t i = 0; i < OXR_POOL_PLANS; i++) {
        struct oxr_pool_plan *p = &pool->plans[i];
        if (p->key && p->n_key == n_key && memcmp(p->key, key, n_key * sizeof *key) == 0) return p;
        if (p->used < oldest->used) oldest = p;
    }
    return oldest;
}

static void end_plan(struct oxr_pool *pool, struct oxr_pool_plan *p) {
    oxr_trace_end(&p->trace, pool->source);
    ox_free(pool->source, p->key);
    ox_free(pool->source, p->offsets);
    *p = (struct oxr_pool_plan){0};
}

static void start_tracing(struct oxr_pool *pool) {
    pool->mode = OXR_POOL_TRACING;
    pool->n_holes = 0;
    for (struct oxr_arena *a = pool->arenas; a && pool->n_holes < OXR_POOL_HOLES; a = a->next)
        if (a->live == 0) pool->holes[pool->n_holes++] = (struct oxr_hole){a, 0, a->size};
}

void oxr_pool_begin(struct oxr_pool *pool, const int64_t *key, size_t n_key) {
    struct oxr_pool_plan *p = find_plan(pool, key, n_key);
    pool->run++;
    pool->at = 0;
    pool->diverged = false;
    pool->plan = p;
    pool->planned = 0;
    if (!p->key || p->n_key != n_key || memcmp(p->key, key, n_key * sizeof *key) != 0) {
        end_plan(pool, p);
        ox_mute(pool->source, true);
        if (ox_alloc(pool->source, &p->key, n_key, sizeof *key) == OX_OK) {
            memcpy(p->key, key, n_key * sizeof *key);
            p->n_key = n_key;
        }
        ox_mute(pool->source, false);
    }
    p->used = pool->run;
    if (!p->key || p->broken > OFTEN) return;
    if (!p->valid) {
        start_tracing(pool);
        return;
    }
    pool->arena = find_arena(pool, p->bytes, true);
    if (!pool->arena) pool->arena = add_arena(pool, p->bytes);
    if (!pool->arena) return;
    pool->mode = OXR_POOL_PLANNED;
    pool->planned = p->bytes;
}

/* The trace becomes the plan of its shapes. */
static bool make_plan(struct oxr_pool *pool, struct oxr_pool_plan *p) {
    ox_free(pool->source, p->offsets);
    p->offsets = NULL;
    if (pool->trace.lost ||
        ox_alloc(pool->source, &p->offsets, pool->trace.n_blocks, sizeof *p->offsets) != OX_OK)
        return false;
    if (oxr_plan_place(p->offsets, &p->bytes, &pool->trace, pool->source) != OX_OK) return false;
    oxr_trace_end(&p->trace, pool->source);
    p->trace = pool->trace;
    pool->trace = (struct oxr_trace){0};
    return true;
}

void oxr_pool_end(struct oxr_pool *pool, bool succeeded) {
    struct oxr_pool_plan *p = pool->plan;
    const bool traced = p->key && !p->valid && p->broken <= OFTEN,
               broken = pool->diverged ||
                        (pool->mode == OXR_POOL_PLANNED && pool->at != p->trace.n_events);
    pool->mode = OXR_POOL_LISTS;
    pool->plan = NULL;
    if (!succeeded) {
        oxr_trace_end(&pool->trace, pool->source);
        return;
    }
    if (broken) {
        p->valid = false;
        p->broken++;
        pool->planned = 0;
    }
    if (!traced) return;
    ox_mute(pool->source, true);
    p->valid = make_plan(pool, p);
    oxr_trace_end(&pool->trace, pool->source);
    ox_mute(pool->source, false);
    if (!p->valid) {
        p->broken++;
        return;
    }
    pool->planned = p->bytes;
    struct oxr_arena *arena = find_arena(pool, p->bytes, false);
    drop_arenas(pool, arena);
    if (!arena) (void)add_arena(pool, p->bytes);
}

void oxr_pool_pause(struct oxr_pool *pool, bool on) {
    pool->paused = on;
}

/* ---- the allocator -----------------------------------------------------------------------------
 */

static struct oxr_block *from_lists(struct oxr_pool *pool, size_t size) {
    size_t rounded;
    const unsigned class = class_of(&rounded, size);
    struct oxr_block *b = pool->free[class];
    if (b) {
        pool->free[class] = b->next;
        return b;
    }
    b = from_source(pool, rounded + sizeof *b, false);
    if (b) *b = (struct oxr_block){.size = rounded, .class = class};
    return b;
}

static void *pool_alloc(void *user, size_t size) {
    struct oxr_pool *pool = user;
    struct oxr_block *b = NULL;
    if (size > PTRDIFF_MAX / 2) return NULL;
    if (size > SMALL_MAX && pool->mode != OXR_POOL_LISTS && !pool->paused)
        b = from_arena(pool, size);
    if (!b) b = from_lists(pool, size);
    if (!b) return NULL;
    pool->used += b->size;
    if (pool->used > pool->peak) pool->peak = pool->used;
    return b + 1;
}

static void pool_release(void *user, void *p) {
    struct oxr_pool *pool = user;
    struct oxr_block *b = block_of(p);
    pool->used -= b->size;
    if (b->arena) {
        to_arena(pool, b);
        return;
    }
    b->next = pool->free[b->class];
    pool->free[b->class] = b;
}

static void *pool_resize(void *user, void *p, size_t size) {
    void *q = pool_alloc(user, size);
    if (!q) return NULL;
    size_t keep = block_of(p)->size;
    memcpy(q, p, keep < size ? keep : size);
    pool_release(user, p);
    return q;
}

void oxr_pool_init(struct oxr_pool *pool, ox_ctx *source) {
    *pool = (struct oxr_pool){.source = source};
}

void oxr_pool_trim(struct oxr_pool *pool) {
    if (pool->mode == OXR_POOL_LISTS) drop_arenas(pool, pool->plan ? pool->arena : NULL);
    for (size_t i = 0; i < OXR_POOL_CLASSES; i++) {
        while (pool->free[i]) {
            struct oxr_block *b = pool->free[i];
            pool->free[i] = b->next;
            to_source(pool, b, b->size + sizeof *b);
        }
    }
}

void oxr_pool_fini(struct oxr_pool *pool) {
    pool->plan = NULL;
    oxr_pool_trim(pool);
    oxr_trace_end(&pool->trace, pool->source);
    for (size_t i = 0; i < OXR_POOL_PLANS; i++)
        end_plan(pool, &pool->plans[i]);
}

struct ox_allocator oxr_pool_allocator(struct oxr_pool *pool) {
    return (struct ox_allocator){pool, pool_alloc, pool_resize, pool_release};
}
