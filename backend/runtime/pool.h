/* backend/runtime/pool.h - memory of a session: blocks go back to a list of their size and are given out again.
 *
 * Behind the allocator of the session's context, so that everything is recycled: tensors, scratch of kernels, workspaces. Blocks are never
 * split or merged; sizes are rounded up (by an eighth at most), so the same requests in the same order are served from the lists
 * the second time, whatever came between: that is what makes a session's second run free of allocations. */
#ifndef OX_BACKEND_RUNTIME_POOL_H
#define OX_BACKEND_RUNTIME_POOL_H

#include "ir/base/context.h"

enum { OXR_POOL_CLASSES = 512 };

struct oxr_pool {
    ox_ctx *source; /* where blocks come from */
    struct oxr_block *free[OXR_POOL_CLASSES];
    size_t held, used, peak, requests;
};

void oxr_pool_init(struct oxr_pool *pool, ox_ctx *source);
/* Gives back what is free. All blocks must have been released. */
void oxr_pool_fini(struct oxr_pool *pool);
/* Gives back what is not in use. */
void oxr_pool_trim(struct oxr_pool *pool);
struct ox_allocator oxr_pool_allocator(struct oxr_pool *pool);

#endif
