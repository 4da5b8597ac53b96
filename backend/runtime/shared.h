/* backend/runtime/shared.h - packed weights, shared by all sessions of a program.
 *
 * What a kernel lays out anew from its constants is found by step, part and layout, or packed: once
 * in a program, whatever the number of its sessions and the threads they are made in. It is found
 * in the file, too, if that has a section of packed weights for this class of processors; then it
 * is used where it is mapped, so that processes share its pages.
 *
 * A file is not to be trusted: its blocks are taken only where layout and size are what the kernel
 * would have packed, so a kernel never reads outside of one; what is in them must be numbers alone,
 * never an offset or a count. */
#ifndef OX_BACKEND_RUNTIME_SHARED_H
#define OX_BACKEND_RUNTIME_SHARED_H

#include "backend/blob/blob.h"
#include "backend/runtime/step.h"

enum { OXR_SHARED_ALIGN = 64, OXR_SHARED_SLACK = 64 /* readable bytes behind a block */ };

struct oxr_shared;

/* What a block is found by. Parts of a step are numbered by its kernel; layout tells apart what a
 * kernel may pack differently, by instruction set or by version of its code. */
struct oxr_shared_key {
    size_t step; /* its number */
    uint32_t part, layout;
};

/* Writes the packed weights to `to`, all `size` bytes that were asked for. */
typedef void (*oxr_pack_fn)(void *to, void *arg);
/* Finds or packs the weights of a step: 64-byte aligned, never changed, as long-lived as the
 * program. Any session, any thread. Do not call it from fn. */
/* Work in fn may be shared out by the session's context. */
OX_MUST_USE ox_status oxr_shared_pack(const void **packed, const struct oxr_env *env,
                                      const struct oxr_shared_key *key, size_t size, oxr_pack_fn fn,
                                      void *arg);

/* Made when a program is opened, ended after its last session; `blob` has been checked and outlives
 * it. */
OX_MUST_USE ox_status oxr_shared_open(struct oxr_shared **out, ox_ctx *ctx,
                                      const struct ox_blob *blob);
void oxr_shared_close(struct oxr_shared *shared, ox_ctx *ctx);

/* ---- for who packs in several steps (XNNPACK) --------------------------------------------------
 */

/* Nobody else finds or packs in between. */
void oxr_shared_lock(struct oxr_shared *shared);
void oxr_shared_unlock(struct oxr_shared *shared);
/* A block made in this program, or one of the file whose size is this, or NULL. */
const void *oxr_shared_find(struct oxr_shared *shared, const struct oxr_shared_key *key,
                            size_t size);
/* Room for a block, which becomes one by oxr_shared_keep; else the room is given out again. NULL:
 * no memory. */
void *oxr_shared_reserve(struct oxr_shared *shared, size_t size);
/* file: may be written into a file's section of packed weights, and will be looked for there. */
void oxr_shared_keep(struct oxr_shared *shared, const struct oxr_shared_key *key, void *room,
                     size_t size, bool file);

/* ---- for who writes files ----------------------------------------------------------------------
 */

struct oxr_shared_block {
    struct oxr_shared_key key;
    const void *data;
    size_t size;
};
/* The block after `before` (NULL: the first) in order of steps and parts, of those that may be in a
 * file. */
bool oxr_shared_next(struct oxr_shared_block *out, struct oxr_shared *shared,
                     const struct oxr_shared_key *before);
/* Bytes that were packed in this program. */
size_t oxr_shared_made(struct oxr_shared *shared);

/* Of the file's blocks, bytes for this processor. */
uint64_t oxr_shared_filed(const struct oxr_shared *shared);
/* oxr_shared_class as it was when the program was opened. */
const char *oxr_shared_here(const struct oxr_shared *shared);

/* The class of processors whose packed weights are the same, as text: the architecture and what of
 * it decides on layouts, and which build of XNNPACK. At most `size` bytes. */
void oxr_shared_class(char *out, size_t size);

#endif
