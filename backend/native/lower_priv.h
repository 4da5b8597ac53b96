/* backend/native/lower_priv.h - a program while it is being made: frames of steps over provisional
 * slots, and constants. */
#ifndef OX_BACKEND_NATIVE_LOWER_PRIV_H
#define OX_BACKEND_NATIVE_LOWER_PRIV_H

#include "backend/blob/blob.h"
#include "backend/native/lower.h"

/* An operand's id is a constant's number with OX_BLOB_CONST_BIT, a provisional slot's number, or
 * OX_BLOB_NONE. */
struct ox_low_step {
    unsigned kind;
    const struct ox_node *node; /* NULL: a conversion of forms of an input of the graph */
    const char *why;            /* static; NULL: nothing is known */
    const void *params;         /* of a native step */
    size_t params_size;
    size_t n_in, n_out;
    uint32_t *in, *out;
    uint32_t *frames; /* generic: one for each graph attribute of the node, in order */
    size_t n_frames;
    uint32_t frame, at; /* where it stands in the end */
};

struct ox_low_frame {
    const struct ox_graph *graph;
    struct ox_low_step *holder; /* the step whose attribute it is; NULL: main */
    uint32_t parent;
    struct ox_low_step **steps; /* backwards while it is being lowered, then in order */
    size_t n_steps, cap_steps;
    uint32_t *in, *out; /* operands */
    size_t n_in, n_out;
    uint32_t slot, n_slots; /* final numbers of its slots */
};

struct ox_low_slot {
    uint32_t frame;
    uint32_t last; /* position of the last reader (or of the maker) in its own frame; UINT32_MAX: a
                      result of the frame */
    uint32_t number; /* final */
};

struct ox_low_const {
    ox_tensor *tensor; /* counted */
    uint64_t hash;
    uint32_t same; /* first constant with the same bytes: itself, or an earlier one */
};

/* By value id. */
struct ox_low_value {
    uint32_t slot[OX_FORMS];    /* operand + 1; 0: none yet */
    unsigned char wanted, made; /* masks of forms */
    const char *why;            /* why its maker is no native step */
};

struct ox_lower {
    ox_ctx *ctx;
    struct ox_model *model;
    struct ox_arena arena;
    struct ox_low_value *values;
    ox_tensor *
        *evaluated; /* by value id: Constant nodes that are no plain tensor, sparse initializers */
    struct ox_low_frame *frames;
    size_t n_frames, cap_frames;
    struct ox_low_slot *slots;
    size_t n_slots, cap_slots;
    struct ox_low_const *consts;
    size_t n_consts, cap_consts;
    uint32_t *const_table; /* open addressing by hash: constant + 1 */
    size_t cap_table;
    uint32_t frame;             /* being lowered */
    const struct ox_node *node; /* being asked about */
    struct ox_low_step **tile;  /* steps emitted for it */
    size_t n_tile, cap_tile;
};

OX_MUST_USE ox_status ox_lower_open(struct ox_lower *lo, struct ox_model *model);
void ox_lower_close(struct ox_lower *lo);
/* Lowers the main graph and everything in it. */
OX_MUST_USE ox_status ox_lower_run(struct ox_lower *lo);
/* Gives slots their numbers and finds their last readers. */
OX_MUST_USE ox_status ox_lower_settle(struct ox_lower *lo);
/* Number of an operand in the blob. */
uint32_t ox_lower_ref(const struct ox_lower *lo, uint32_t operand);
/* Is an input of the main graph one that a caller may give? */
static inline bool ox_lower_is_port(const struct ox_value *input) {
    return !ox_value_const(input);
}
/* A new step, not yet anywhere. Operands are copied. */
OX_MUST_USE ox_status ox_lower_new_step(struct ox_low_step **out, struct ox_lower *lo,
                                        unsigned kind, const struct ox_node *node, size_t n_in,
                                        const ox_operand *in, size_t n_out,
                                        const ox_operand *out_operands);
/* In the frame at hand, or another. */
OX_MUST_USE ox_status ox_lower_new_slot(uint32_t *out, struct ox_lower *lo, uint32_t frame);

#endif
