/* backend/runtime/memory_plan.c - see memory_plan.h. */
#include "backend/runtime/memory_plan.h"

#include <stdlib.h>

uint32_t oxr_trace_request(struct oxr_trace *t, ox_ctx *ctx, size_t size) {
    const uint32_t block = (uint32_t)t->n_blocks;
    if (t->lost) return 0;
    if (t->n_blocks == OXR_PLAN_BLOCKS ||
        OX_GROW(ctx, t->events, t->n_events, t->cap_events) != OX_OK ||
        OX_GROW(ctx, t->sizes, t->n_blocks, t->cap_sizes) != OX_OK) {
        t->lost = true;
        return 0;
    }
    t->events[t->n_events++] = block;
    t->sizes[t->n_blocks++] = size;
    return block;
}

void oxr_trace_release(struct oxr_trace *t, ox_ctx *ctx, uint32_t block) {
    if (t->lost) return;
    if (OX_GROW(ctx, t->events, t->n_events, t->cap_events) != OX_OK)
        t->lost = true;
    else
        t->events[t->n_events++] = block | OXR_PLAN_RELEASE;
}

void oxr_trace_end(struct oxr_trace *t, ox_ctx *ctx) {
    ox_free(ctx, t->events);
    ox_free(ctx, t->sizes);
    *t = (struct oxr_trace){0};
}

/* ---- placing -----------------------------------------------------------------------------------
 */

struct block {
    size_t size, begin, end, offset; /* lives from event `begin` to before event `end` */
    uint32_t number;
};

static int largest_first(const void *a, const void *b) {
    const struct block *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static void place(struct block *b, const struct block *const *placed, size_t n) {
    size_t low = 0, best = SIZE_MAX, at = 0;
    for (size_t i = 0; i < n; i++) { /* in order of offsets */
        const struct block *p = placed[i];
        if (p->end <= b->begin || b->end <= p->begin) continue;
        if (p->offset >= low && p->offset - low >= b->size && p->offset - low < best) {
            best = p->offset - low;
            at = low;
        }
        if (p->offset + p->size > low) low = p->offset + p->size;
    }
    b->offset = best == SIZE_MAX ? low : at;
}

static size_t place_all(size_t *offsets, struct block *blocks, const struct block **placed,
                        size_t n) {
    size_t bytes = 0;
    qsort(blocks, n, sizeof *blocks, largest_first);
    for (size_t i = 0; i < n; i++) {
        struct block *b = &blocks[i];
        size_t k = i;
        place(b, placed, i);
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = b;
        offsets[b->number] = b->offset;
        if (b->offset + b->size > bytes) bytes = b->offset + b->size;
    }
    return bytes;
}

ox_status oxr_plan_place(size_t *offsets, size_t *bytes, const struct oxr_trace *t, ox_ctx *ctx) {
    struct block *blocks;
    const struct block **placed;
    *bytes = 0;
    if (t->n_blocks == 0) return OX_OK;
    OX_TRY(ox_alloc(ctx, &blocks, t->n_blocks, sizeof *blocks));
    ox_status s = ox_alloc(ctx, &placed, t->n_blocks, sizeof *placed);
    if (s == OX_OK) {
        for (size_t i = 0; i < t->n_blocks; i++)
            blocks[i] =
                (struct block){.size = t->sizes[i], .end = t->n_events, .number = (uint32_t)i};
        for (size_t i = 0; i < t->n_events; i++) {
            const uint32_t number = t->events[i] & ~(uint32_t)OXR_PLAN_RELEASE;
            if (t->events[i] & OXR_PLAN_RELEASE)
                blocks[number].end = i;
            else
                blocks[number].begin = i;
        }
        *bytes = place_all(offsets, blocks, placed, t->n_blocks);
        ox_free(ctx, placed);
    }
    ox_free(ctx, blocks);
    return s;
}
