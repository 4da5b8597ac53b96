/* backend/native/lower_settle.c - beginning and end of a lowering: numbers of slots, and who reads
 * each of them last. */
#include "backend/native/lower_priv.h"

ox_status ox_lower_open(struct ox_lower *lo, struct ox_model *model) {
    *lo = (struct ox_lower){.ctx = model->ctx, .model = model};
    ox_arena_init(&lo->arena, model->ctx);
    OX_TRY(ox_alloc(lo->ctx, &lo->values, model->n_values, sizeof *lo->values));
    return ox_alloc(lo->ctx, &lo->evaluated, model->n_values, sizeof(ox_tensor *));
}

void ox_lower_close(struct ox_lower *lo) {
    for (size_t i = 0; lo->evaluated && i < lo->model->n_values; i++)
        ox_tensor_unref(lo->evaluated[i]);
    for (size_t i = 0; i < lo->n_consts; i++)
        ox_tensor_unref(lo->consts[i].tensor);
    for (size_t i = 0; i < lo->n_frames; i++)
        ox_free(lo->ctx, lo->frames[i].steps);
    ox_free(lo->ctx, lo->evaluated);
    ox_free(lo->ctx, lo->values);
    ox_free(lo->ctx, lo->frames);
    ox_free(lo->ctx, lo->slots);
    ox_free(lo->ctx, lo->consts);
    ox_free(lo->ctx, lo->const_table);
    ox_arena_fini(&lo->arena);
}

uint32_t ox_lower_ref(const struct ox_lower *lo, uint32_t operand) {
    return operand == OX_BLOB_NONE || (operand & OX_BLOB_CONST_BIT) ? operand
                                                                    : lo->slots[operand].number;
}

/* A reader in frame `frame` at position `at`: for the slot's own frame that is where the step
 * stands whose subgraphs hold the reader. */
static void read_at(struct ox_lower *lo, uint32_t operand, uint32_t frame, uint32_t at) {
    if (operand == OX_BLOB_NONE || (operand & OX_BLOB_CONST_BIT)) return;
    struct ox_low_slot *slot = &lo->slots[operand];
    while (frame != slot->frame && lo->frames[frame].holder) {
        at = lo->frames[frame].holder->at;
        frame = lo->frames[frame].parent;
    }
    if (at > slot->last) slot->last = at;
}

static void number_slots(struct ox_lower *lo) {
    uint32_t next = 0;
    for (size_t i = 0; i < lo->n_slots; i++)
        lo->frames[lo->slots[i].frame].n_slots++;
    for (size_t f = 0; f < lo->n_frames; f++) {
        lo->frames[f].slot = next;
        next += lo->frames[f].n_slots;
        lo->frames[f].n_slots = 0;
    }
    for (size_t i = 0; i < lo->n_slots; i++) {
        struct ox_low_frame *f = &lo->frames[lo->slots[i].frame];
        lo->slots[i].number = f->slot + f->n_slots++;
    }
}

ox_status ox_lower_settle(struct ox_lower *lo) {
    number_slots(lo);
    for (uint32_t f = 0; f < lo->n_frames; f++) {
        const struct ox_low_frame *frame = &lo->frames[f];
        for (size_t i = 0; i < frame->n_steps; i++) {
            const struct ox_low_step *s = frame->steps[i];
            for (size_t k = 0; k < s->n_in; k++)
                read_at(lo, s->in[k], f, s->at);
            for (size_t k = 0; k < s->n_out; k++)
                read_at(lo, s->out[k], f, s->at);
        }
        for (size_t i = 0; i < frame->n_out; i++)
            read_at(lo, frame->out[i], f, UINT32_MAX);
    }
    return OX_OK;
}
