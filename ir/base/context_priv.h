/* ir/base/context_priv.h - the context's fields, for the files of this folder only. */
#ifndef OX_IR_BASE_CONTEXT_PRIV_H
#define OX_IR_BASE_CONTEXT_PRIV_H

#include "ir/base/context.h"

enum { OX_THREADS_MAX = 256 };

struct ox_ctx {
    struct ox_allocator allocator;
    bool own_allocator; /* memory is not the caller's: large blocks may come from the system */
    ox_diag_fn on_diag;
    void *diag_user;
    ox_progress_fn on_progress;
    void *progress_user;
    struct ox_limits limits;
    int threads;
    uint64_t random_seed;
    size_t errors;
    struct ox_ctx *parent; /* ox_ctx_child; else NULL */
    size_t memory, memory_peak, refusals;
    const struct ox_place *place;
    int muted;
    ox_share_fn share; /* ox_ctx_share_work; else NULL */
    void *share_user;
    struct ox_pool *pool; /* workers, started by the first ox_parallel that needs them */
};

void ox_pool_free(ox_ctx *ctx);

#endif
