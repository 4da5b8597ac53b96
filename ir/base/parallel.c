/* ir/base/parallel.c - a small pool of worker threads for ox_parallel.
 *
 * Work is cut into chunks whose bounds depend on n and grain only, and workers take the next chunk
 * from a shared counter; which worker computes a chunk cannot be seen in the result, because each
 * item is computed alone. Workers sleep between calls. */
#include "ir/base/context.h"

#include "ir/base/context_priv.h"
#include <pthread.h>
#include <stdatomic.h>

struct ox_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    int n_workers; /* started, without the caller */
    uint64_t round;
    bool quit;
    int busy; /* workers that have not finished the round */
    /* the job of this round */
    ox_range_fn fn;
    void *arg;
    size_t n, chunk;
    atomic_size_t next;
    pthread_t workers[];
};

static void work(struct ox_pool *pool) {
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&pool->next, pool->chunk, memory_order_relaxed);
        if (begin >= pool->n) return;
        size_t end = pool->n - begin < pool->chunk ? pool->n : begin + pool->chunk;
        pool->fn(pool->arg, begin, end);
    }
}

static void *worker(void *arg) {
    struct ox_pool *pool = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->round == seen && !pool->quit)
            pthread_cond_wait(&pool->wake, &pool->lock);
        if (pool->quit) break;
        seen = pool->round;
        pthread_mutex_unlock(&pool->lock);
        work(pool);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0) pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts the workers; with fewer threads than asked for, or none, work still gets done. */
static void pool_start(ox_ctx *ctx) {
    struct ox_pool *pool;
    size_t want = (size_t)ctx->threads - 1;
    size_t bytes = sizeof *pool + want * sizeof pool->workers[0];
    pool = ctx->allocator.alloc(ctx->allocator.user, bytes);
    if (!pool) return;
    memset(pool, 0, bytes);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (size_t i = 0; i < want; i++) {
        if (pthread_create(&pool->workers[pool->n_workers], NULL, worker, pool) != 0) break;
        pool->n_workers++;
    }
    ctx->pool = pool;
}

void ox_pool_free(ox_ctx *ctx) {
    struct ox_pool *pool = ctx->pool;
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_workers; i++)
        pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    ctx->allocator.release(ctx->allocator.user, pool);
    ctx->pool = NULL;
}

/* Aims at a few chunks for each thread, so that an uneven load evens out. */
static size_t chunk_size(int threads, size_t n, size_t grain) {
    size_t parts = (size_t)threads * 4;
    size_t chunk = n / parts + (n % parts != 0);
    return chunk < grain ? grain : chunk;
}

void ox_ctx_share_work(ox_ctx *ctx, ox_share_fn share, void *user) {
    ctx->share = share;
    ctx->share_user = user;
}

void ox_parallel(ox_ctx *ctx, size_t n, size_t grain, ox_range_fn fn, void *arg) {
    if (n == 0) return;
    if (grain == 0) grain = 1;
    if (ctx->share) {
        ctx->share(ctx->share_user, n, grain, fn, arg);
        return;
    }
    if (ctx->threads > 1 && n > grain && !ctx->pool) pool_start(ctx);
    struct ox_pool *pool = ctx->pool;
    if (ctx->threads <= 1 || n <= grain || !pool || pool->n_workers == 0 || pool->fn) {
        fn(arg, 0, n);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->n = n;
    pool->chunk = chunk_size(pool->n_workers + 1, n, grain);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->busy = pool->n_workers;
    pool->round++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    work(pool);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pool->fn = NULL;
    pthread_mutex_unlock(&pool->lock);
}
