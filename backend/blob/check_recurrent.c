/* backend/blob/check_recurrent.c - proving LSTM and GRU steps. */
#include "backend/blob/step_check.h"

/* Operand i is a constant of floats with `rank` dims, none of them 0, the first of which are
 * `directions` and `rows`. */
static bool is_weight(const struct ox_step *step, size_t i, int rank, int64_t directions,
                      int64_t rows) {
    const ox_tensor *t = step->consts[i];
    return t && t->dtype == OX_FLOAT && t->rank == rank && t->count > 0 &&
           t->dims[0] == directions && t->dims[1] == rows;
}

ox_status ox_step_check_recurrent(ox_ctx *ctx, const struct ox_step *step) {
    static const int64_t gates[OX_STEP_CELLS] = {4, 3};
    const struct ox_step_recurrent_params *p = step->params;
    const ox_tensor *r = step->consts[2];
    if (p->cell >= OX_STEP_CELLS) return ox_bad_step(ctx, "cell %u", p->cell);
    if (p->directions < 1 || p->directions > 2 || p->backwards > 2 - p->directions)
        return ox_bad_step(ctx, "%u directions, backwards %u", p->directions, p->backwards);
    if (p->linear_reset > (p->cell == OX_STEP_GRU))
        return ox_bad_step(ctx, "flag %u", p->linear_reset);
    if (!step->present[0]) return ox_bad_step(ctx, "operand 0 is absent");
    if (!r || r->rank != 3 || r->dims[2] > INT32_MAX / 8)
        return ox_bad_step(ctx, "operand 2 must be a constant of rank 3");
    const int64_t rows = gates[p->cell] * r->dims[2], directions = p->directions;
    if (!is_weight(step, 1, 3, directions, rows) || !is_weight(step, 2, 3, directions, rows) ||
        step->consts[1]->dims[2] > INT32_MAX)
        return ox_bad_step(ctx, "weights do not fit each other");
    if (step->n_in > 3 && step->present[3] && !is_weight(step, 3, 2, directions, 2 * rows))
        return ox_bad_step(ctx, "bias does not fit its weights");
    if (p->cell != OX_STEP_LSTM && (step->n_out > 2 || (step->n_in > 5 && step->present[5])))
        return ox_bad_step(ctx, "GRU with a cell's state");
    return OX_OK;
}
