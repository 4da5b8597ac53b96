/* backend/runtime/shared.c - see shared.h.
 *
 * Blocks lie one behind the other in large chunks that come from the system directly: they belong
 * to no session's context, and whose thread packs them is chance. One lock guards lists and chunks;
 * a block that has been kept is never touched again, so reading needs none. */
#include "backend/runtime/shared.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* In front of each block, as large as the alignment. */
struct entry {
    struct entry *next; /* of the same step */
    size_t size;
    uint32_t part, layout;
    bool file;
};
_Static_assert(sizeof(struct entry) <= OXR_SHARED_ALIGN, "fits in front of a block");

struct chunk {
    struct chunk *former;
    size_t size, used;
};

enum { CHUNK_MIN = 1 << 18, CHUNK_MAX = 1 << 28, HUGE_PAGE = 1 << 21 };

struct oxr_shared {
    pthread_mutex_t lock;
    const struct ox_blob *blob;
    struct entry **steps; /* lists, by step */
    struct chunk *chunk;
    size_t packed;       /* bytes */
    char here[256];      /* class of processors */
    size_t first, count; /* records of the file that are for this class of processors */
};

static unsigned char *data_of(struct entry *e) {
    return (unsigned char *)e + OXR_SHARED_ALIGN;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

/* The file's records for processors like this one: they follow each other. */
static void choose_class(struct oxr_shared *s) {
    const struct ox_blob *b = s->blob;
    oxr_shared_class(s->here, sizeof s->here);
    while (s->first < b->n_packs &&
           strcmp(b->chars + b->strings[b->packs[s->first].class].at, s->here) != 0)
        s->first++;
    while (s->first + s->count < b->n_packs &&
           b->packs[s->first + s->count].class == b->packs[s->first].class)
        s->count++;
}

ox_status oxr_shared_open(struct oxr_shared **out, ox_ctx *ctx, const struct ox_blob *blob) {
    struct oxr_shared *s;
    OX_TRY(ox_alloc(ctx, &s, 1, sizeof *s));
    ox_status status = ox_alloc(ctx, &s->steps, blob->n_steps, sizeof *s->steps);
    if (status == OX_OK && pthread_mutex_init(&s->lock, NULL) != 0)
        status = ox_fail(ctx, OX_NOMEM, "no-memory", NULL, "no lock for packed weights");
    if (status != OX_OK) {
        ox_free(ctx, s->steps);
        ox_free(ctx, s);
        return status;
    }
    s->blob = blob;
    choose_class(s);
    *out = s;
    return OX_OK;
}

void oxr_shared_close(struct oxr_shared *s, ox_ctx *ctx) {
    if (!s) return;
    while (s->chunk) {
        struct chunk *former = s->chunk->former;
        munmap(s->chunk, s->chunk->size);
        s->chunk = former;
    }
    pthread_mutex_destroy(&s->lock);
    ox_free(ctx, s->steps);
    ox_free(ctx, s);
}

/* ---- blocks ------------------------------------------------------------------------------------
 */

void oxr_shared_lock(struct oxr_shared *s) {
    pthread_mutex_lock(&s->lock);
}

void oxr_shared_unlock(struct oxr_shared *s) {
    pthread_mutex_unlock(&s->lock);
}

static const void *find_in_file(const struct oxr_shared *s, const struct oxr_shared_key *key,
                                size_t size) {
    size_t low = s->first, high = s->first + s->count; /* sorted by step, then by part */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct ox_blob_pack *p = &s->blob->packs[middle];
        if (p->step < key->step || (p->step == key->step && p->part < key->part))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->first + s->count) return NULL;
    const struct ox_blob_pack *p = &s->blob->packs[low];
    const bool fits =
        p->step == key->step && p->part == key->part && p->layout == key->layout && p->size == size;
    return fits ? s->blob->packed + p->at : NULL;
}

const void *oxr_shared_find(struct oxr_shared *s, const struct oxr_shared_key *key, size_t size) {
    for (struct entry *e = s->steps[key->step]; e; e = e->next)
        if (e->part == key->part && e->layout == key->layout && e->size == size) return data_of(e);
    return find_in_file(s, key, size);
}

static bool add_chunk(struct oxr_shared *s, size_t need) {
    size_t size = s->chunk ? CHUNK_MIN * 16 : s->blob->n_data, page = 4096;
    if (size < CHUNK_MIN) size = CHUNK_MIN;
    if (size > CHUNK_MAX) size = CHUNK_MAX;
    if (need > SIZE_MAX / 2) return false;
    if (size < need + OXR_SHARED_ALIGN) size = need + OXR_SHARED_ALIGN;
    size = (size + page - 1) / page * page;
    struct chunk *c = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED) return false;
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_PAGE)
        (void)madvise(c, size, MADV_HUGEPAGE); /* packing is half page faults else */
#endif
    *c = (struct chunk){s->chunk, size, OXR_SHARED_ALIGN};
    s->chunk = c;
    return true;
}

static size_t room_for(size_t size) {
    return (size + OXR_SHARED_ALIGN - 1) / OXR_SHARED_ALIGN * OXR_SHARED_ALIGN + OXR_SHARED_ALIGN +
           OXR_SHARED_SLACK;
}

void *oxr_shared_reserve(struct oxr_shared *s, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    const size_t need = room_for(size);
    if ((!s->chunk || s->chunk->size - s->chunk->used < need) && !add_chunk(s, need)) return NULL;
    return (unsigned char *)s->chunk + s->chunk->used + OXR_SHARED_ALIGN;
}

void oxr_shared_keep(struct oxr_shared *s, const struct oxr_shared_key *key, void *room,
                     size_t size, bool file) {
    struct entry *e = (void *)((unsigned char *)room - OXR_SHARED_ALIGN);
    *e = (struct entry){s->steps[key->step], size, key->part, key->layout, file};
    s->steps[key->step] = e;
    s->chunk->used += room_for(size);
    s->packed += size;
}

ox_status oxr_shared_pack(const void **packed, const struct oxr_env *env,
                          const struct oxr_shared_key *key, size_t size, oxr_pack_fn fn,
                          void *arg) {
    struct oxr_shared *s = env->shared;
    oxr_shared_lock(s);
    *packed = oxr_shared_find(s, key, size);
    if (!*packed) {
        void *room = oxr_shared_reserve(s, size);
        if (room) {
            fn(room, arg);
            oxr_shared_keep(s, key, room, size, true);
            *packed = room;
        }
    }
    oxr_shared_unlock(s);
    return *packed ? OX_OK
                   : ox_fail(env->ctx, OX_NOMEM, "no-memory", NULL, "packed weights of %zu bytes",
                             size);
}

#if !OX_XNNPACK
void oxr_shared_class(char *out, size_t size) {
    snprintf(out, size, "own kernels"); /* whose layouts tell instruction sets apart */
}
#endif

/* ---- what is told ------------------------------------------------------------------------------
 */

static bool next(struct oxr_shared_block *out, const struct oxr_shared *s,
                 const struct oxr_shared_key *before) {
    for (size_t step = before ? before->step : 0; step < s->blob->n_steps; step++) {
        struct entry *best = NULL;
        for (struct entry *e = s->steps[step]; e; e = e->next) {
            const bool later = !before || step > before->step || e->part > before->part;
            if (e->file && later && (!best || e->part < best->part)) best = e;
        }
        if (!best) continue;
        *out =
            (struct oxr_shared_block){{step, best->part, best->layout}, data_of(best), best->size};
        return true;
    }
    return false;
}

bool oxr_shared_next(struct oxr_shared_block *out, struct oxr_shared *s,
                     const struct oxr_shared_key *before) {
    oxr_shared_lock(s);
    const bool found = next(out, s, before);
    oxr_shared_unlock(s);
    return found;
}

size_t oxr_shared_made(struct oxr_shared *s) {
    oxr_shared_lock(s);
    const size_t made = s->packed;
    oxr_shared_unlock(s);
    return made;
}

uint64_t oxr_shared_filed(const struct oxr_shared *s) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += s->blob->packs[s->first + i].size;
    return sum;
}

const char *oxr_shared_here(const struct oxr_shared *s) {
    return s->here;
}
