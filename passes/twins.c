/* passes/twins.c - see twins.h: open addressing with linear probing, at most half full. */
#include "passes/twins.h"

enum { STRANGERS_MAX = 8, FIRST_CAP = 256 };

static ox_status grow(struct ox_twins *t) {
    if (t->used * 2 < t->cap) return OX_OK;
    size_t cap = t->cap ? t->cap * 2 : FIRST_CAP;
    struct ox_twin *slots, *old = t->slots;
    OX_TRY(ox_alloc(t->ctx, &slots, cap, sizeof *slots));
    for (size_t i = 0; i < t->cap; i++) {
        if (!old[i].item) continue;
        size_t at = old[i].hash & (cap - 1);
        while (slots[at].item)
            at = (at + 1) & (cap - 1);
        slots[at] = old[i];
    }
    ox_free(t->ctx, old);
    t->slots = slots;
    t->cap = cap;
    return OX_OK;
}

ox_status ox_twins_meet(void *first, struct ox_twins *t, uint64_t hash, void *item, ox_twins_fn fn,
                        const void *arg) {
    void *found = NULL;
    OX_TRY(grow(t));
    size_t at = hash & (t->cap - 1), strangers = 0, oldest = 0;
    for (; t->slots[at].item; at = (at + 1) & (t->cap - 1)) {
        if (t->slots[at].hash != hash) continue;
        if (fn(arg, t->slots[at].item, item)) {
            found = t->slots[at].item;
            break;
        }
        if (strangers++ == 0) oldest = at;
        if (strangers == STRANGERS_MAX) break;
    }
    memcpy(first, &found, sizeof found);
    if (found) return OX_OK;
    if (strangers == STRANGERS_MAX) {
        t->slots[oldest].item = item;
        return OX_OK;
    }
    t->slots[at] = (struct ox_twin){hash, item};
    t->used++;
    return OX_OK;
}

void ox_twins_fini(struct ox_twins *t) {
    ox_free(t->ctx, t->slots);
    t->slots = NULL;
    t->cap = t->used = 0;
}
