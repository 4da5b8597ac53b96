/* backend/runtime/workers.h - the threads of a session: one pool for XNNPACK's operators and our
 * own kernels.
 *
 * Without XNNPACK there is none, and the session's context starts workers of its own. */
#ifndef OX_BACKEND_RUNTIME_WORKERS_H
#define OX_BACKEND_RUNTIME_WORKERS_H

#include "ir/base/context.h"

struct pthreadpool;

struct oxr_workers {
    struct pthreadpool *pool; /* NULL: the calling thread alone, or the context's own */
    bool busy;                /* inside a call: further ones run serially */
};

/* Starts the threads that `ctx` is to have, and makes its ox_parallel use them. `workers` must stay
 * where it is until ox_ctx_free. */
void oxr_workers_start(struct oxr_workers *workers, ox_ctx *ctx);
void oxr_workers_end(struct oxr_workers *workers);

#endif
