/* backend/runtime/pool.h - memory of a session: where all of it comes from, and why a second run
 * takes none.
 *
 * Behind the allocator of the session's context, so that everything is planned or recycled:
 * tensors, scratch of kernels, workspaces.
 *
 *   small blocks  and what is requested outside of runs go back to a list of their size and are
 * given out again from there; sizes are rounded up (by an eighth at most), so the same requests are
 * served from the lists the second time runs          between oxr_pool_begin and oxr_pool_end,
 * larger blocks lie in an arena. The first run with some shapes finds places as it goes (the
 * smallest hole that is large enough) and leaves a trace; from that come the places of later runs
 * with these shapes (memory_plan.h). These are used as long as requests and releases are the same
 * ones in the same order; from where they are not, blocks come from the lists, and the next run is
 * traced again
 *
 * A run's results stay in the arena until they are released; while somebody keeps one, the next run
 * uses another arena. */
#ifndef OX_BACKEND_RUNTIME_POOL_H
#define OX_BACKEND_RUNTIME_POOL_H

#include "backend/runtime/memory_plan.h"

enum { OXR_POOL_CLASSES = 512, OXR_POOL_PLANS = 8, OXR_POOL_HOLES = 256 };

struct oxr_block;
struct oxr_arena;

/* The plan for one set of shapes. */
struct oxr_pool_plan {
    int64_t *key; /* NULL: unused */
    size_t n_key;
    struct oxr_trace trace; /* what is expected */
    size_t *offsets, bytes;
    unsigned broken; /* how often it did not come true; then it is made anew */
    bool valid;
    uint64_t used; /* the run that used it last */
};

struct oxr_hole {
    struct oxr_arena *arena;
    size_t at, size;
};

enum oxr_pool_mode { OXR_POOL_LISTS, OXR_POOL_TRACING, OXR_POOL_PLANNED };

struct oxr_pool {
    ox_ctx *source; /* where memory comes from */
    struct oxr_block *free[OXR_POOL_CLASSES];
    size_t held, used, peak, requests,
        planned; /* planned: bytes of the arena that the last run's plan takes; 0: it had none */

    enum oxr_pool_mode mode;
    bool paused, diverged;
    uint64_t run;
    struct oxr_arena *arenas; /* the largest first */
    struct oxr_pool_plan plans[OXR_POOL_PLANS], *plan;
    struct oxr_arena *arena; /* of the plan at hand */
    size_t at;               /* events of it that have come true */
    struct oxr_trace trace;
    struct oxr_hole
        holes[OXR_POOL_HOLES]; /* while tracing; in order of addresses within an arena */
    size_t n_holes;
};

void oxr_pool_init(struct oxr_pool *pool, ox_ctx *source);
/* Gives back what is free. All blocks must have been released. */
void oxr_pool_fini(struct oxr_pool *pool);
/* Gives back what is not in use. */
void oxr_pool_trim(struct oxr_pool *pool);
struct ox_allocator oxr_pool_allocator(struct oxr_pool *pool);

/* A run begins, whose requests depend on `key` (shapes of inputs), or ends. */
void oxr_pool_begin(struct oxr_pool *pool, const int64_t *key, size_t n_key);
void oxr_pool_end(struct oxr_pool *pool, bool succeeded);
/* What is requested while paused is not part of runs (what happens once, or when shapes change). */
void oxr_pool_pause(struct oxr_pool *pool, bool on);

#endif
