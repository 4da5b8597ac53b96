/* backend/runtime/workers.c - see workers.h. */
#include "backend/runtime/workers.h"

#if OX_XNNPACK
#include <pthreadpool.h>

struct job {
    ox_range_fn fn;
    void *arg;
};

static void tile(void *context, size_t begin, size_t count) {
    const struct job *job = context;
    job->fn(job->arg, begin, begin + count);
}

/* Bounds of the pieces do not influence results: each item is computed alone (ox_parallel's
 * contract). */
static void share(void *user, size_t n, size_t grain, ox_range_fn fn, void *arg) {
    struct oxr_workers *w = user;
    struct job job = {fn, arg};
    if (w->busy || n <= grain) {
        fn(arg, 0, n);
        return;
    }
    size_t parts = pthreadpool_get_threads_count(w->pool) * 4, piece = n / parts + (n % parts != 0);
    w->busy = true;
    pthreadpool_parallelize_1d_tile_1d(w->pool, tile, &job, n, piece < grain ? grain : piece, 0);
    w->busy = false;
}

void oxr_workers_start(struct oxr_workers *w, ox_ctx *ctx) {
    *w = (struct oxr_workers){0};
    if (ox_ctx_threads(ctx) <= 1) return;
    w->pool = pthreadpool_create((size_t)ox_ctx_threads(ctx));
    if (w->pool) ox_ctx_share_work(ctx, share, w);
}

void oxr_workers_end(struct oxr_workers *w) {
    if (w->pool) pthreadpool_destroy(w->pool);
    w->pool = NULL;
}

#else

void oxr_workers_start(struct oxr_workers *w, ox_ctx *ctx) {
    (void)ctx;
    *w = (struct oxr_workers){0};
}

void oxr_workers_end(struct oxr_workers *w) {
    (void)w;
}

#endif
