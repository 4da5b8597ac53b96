/* passes/twins.h - finds, of equal things met one after another, the first: for passes that keep
 * one of them.
 *
 * A hash table of pointers. What "equal" means, and whether the first may stand for the other where
 * that is, the caller's function says. Equal things that cannot stand for each other (they are in
 * graphs beside each other) are strangers: at most a few of one hash are kept, newer ones taking
 * the place of older ones, so that many small graphs do not cost the square of their number. */
#ifndef OX_PASSES_TWINS_H
#define OX_PASSES_TWINS_H

#include "ir/ir.h"

struct ox_twins {
    ox_ctx *ctx;
    struct ox_twin {
        uint64_t hash;
        void *item;
    } * slots;
    size_t cap, used;
};

/* May `first` stand for `item`? */
typedef bool (*ox_twins_fn)(const void *arg, const void *first, const void *item);

/* *first: an earlier item with this hash that may stand for `item`, or NULL; then `item` is kept
 * for later ones. */
OX_MUST_USE ox_status ox_twins_meet(void *first, struct ox_twins *twins, uint64_t hash, void *item,
                                    ox_twins_fn fn, const void *arg);
void ox_twins_fini(struct ox_twins *twins);

static inline uint64_t ox_hash_mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9fb21c651e98df25u;
    return h ^ h >> 32;
}

#endif
