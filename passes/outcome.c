/* passes/outcome.c - see outcome.h. Everything lives in the outcome's own arena, so it outlives the
 * model. */
#include "passes/outcome.h"

#include <math.h>

struct pass_entry {
    const void *slot;
    struct ox_pass_report report;
    uint64_t *counts;
};

struct ox_outcome {
    ox_ctx *ctx;
    struct ox_arena arena;
    struct pass_entry *passes;
    size_t n_passes, cap_passes;
    struct ox_quant_report *quants;
    size_t n_quants, cap_quants;
    struct ox_quant_summary summary;
};

ox_status ox_outcome_new(ox_outcome **out, ox_ctx *ctx) {
    ox_outcome *o;
    OX_TRY(ox_alloc(ctx, &o, 1, sizeof *o));
    o->ctx = ctx;
    o->summary = (struct ox_quant_summary){.calibrator = "", .output_sqnr_db = (double)NAN};
    ox_arena_init(&o->arena, ctx);
    *out = o;
    return OX_OK;
}

void ox_outcome_free(ox_outcome *outcome) {
    if (!outcome) return;
    ox_free(outcome->ctx, outcome->passes);
    ox_free(outcome->ctx, outcome->quants);
    ox_arena_fini(&outcome->arena);
    ox_free(outcome->ctx, outcome);
}

static ox_status new_entry(struct pass_entry **out, ox_outcome *o, const void *slot,
                           const struct ox_pass *pass) {
    OX_TRY(OX_GROW(o->ctx, o->passes, o->n_passes, o->cap_passes));
    struct pass_entry *e = &o->passes[o->n_passes];
    OX_TRY(ox_arena_alloc(&o->arena, &e->counts, pass->n_counters, sizeof *e->counts));
    e->slot = slot;
    e->report = (struct ox_pass_report){
        .name = pass->name,
        .n_counters = pass->n_counters,
        .counters = pass->counters,
        .counts = e->counts,
    };
    o->n_passes++;
    *out = e;
    return OX_OK;
}

ox_status ox_outcome_add_pass(ox_outcome *outcome, const void *slot, const struct ox_pass_run *run,
                              double seconds) {
    struct pass_entry *e = NULL;
    for (size_t i = 0; i < outcome->n_passes; i++)
        if (outcome->passes[i].slot == slot) e = &outcome->passes[i];
    if (!e) OX_TRY(new_entry(&e, outcome, slot, run->pass));
    e->report.rewrites += run->rewrites;
    e->report.seconds += seconds;
    for (size_t i = 0; i < run->pass->n_counters; i++)
        e->counts[i] += run->counts[i];
    return OX_OK;
}

bool ox_outcome_pass(struct ox_pass_report *out, const ox_outcome *outcome, size_t index) {
    if (index >= outcome->n_passes) return false;
    *out = outcome->passes[index].report;
    return true;
}

static ox_status keep(const char **text, ox_outcome *o) {
    if (!*text) *text = "";
    return ox_arena_copy(&o->arena, text, *text, strlen(*text));
}

ox_status ox_outcome_add_quant(struct ox_outcome *outcome, const struct ox_quant_report *entry) {
    struct ox_quant_report e = *entry;
    OX_TRY(keep(&e.tensor, outcome));
    OX_TRY(keep(&e.op, outcome));
    OX_TRY(keep(&e.kind, outcome));
    OX_TRY(keep(&e.reason, outcome));
    OX_TRY(keep(&e.source, outcome));
    OX_TRY(keep(&e.calibrator, outcome));
    OX_TRY(OX_GROW(outcome->ctx, outcome->quants, outcome->n_quants, outcome->cap_quants));
    outcome->quants[outcome->n_quants++] = e;
    return OX_OK;
}

bool ox_outcome_quant(struct ox_quant_report *out, const ox_outcome *outcome, size_t index) {
    if (index >= outcome->n_quants) return false;
    *out = outcome->quants[index];
    return true;
}

ox_status ox_outcome_set_quant_summary(struct ox_outcome *outcome,
                                       const struct ox_quant_summary *summary) {
    outcome->summary = *summary;
    return keep(&outcome->summary.calibrator, outcome);
}

void ox_outcome_quant_summary(struct ox_quant_summary *out, const ox_outcome *outcome) {
    *out = outcome->summary;
}
