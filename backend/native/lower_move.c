/* backend/native/lower_move.c - what only moves elements, between 8-bit values: no float is made of
 * them on the way. */
#include "backend/native/lower_util.h"

/* The node that moves, behind the value that a QuantizeLinear reads; *result is which of its
 * outputs that is. Others may read it too, then it moves floats for them and integers here: that is
 * still less than making integers of the floats. */
static const struct ox_node *mover(struct ox_lower_quant *x, struct ox_lower *lo,
                                   const struct ox_value *v) {
    const struct ox_node *n = v ? v->def : NULL;
    if (!n || !n->op || !(n->op->traits & OX_MOVES) || !(n->op->traits & OX_PURE) ||
        (n->op->traits & OX_CONTROL) || !n->op->eval)
        return NULL;
    if (n->n_in < 1 || !ox_lower_dequantized(x, lo, ox_node_in(n, 0)) ||
        ox_lower_value_const(lo, x->value))
        return NULL;
    return n;
}

/* A Transpose to channels last, or back, of a value that is there in the other form. 0: neither. */
static int turn(struct ox_lower *lo, const struct ox_node *n, const struct ox_lower_quant *q) {
    union ox_lower_room room;
    const struct ox_transpose_params *t = (const void *)room.bytes;
    const int rank = ox_lower_rank(q->value);
    bool to_last = true, to_first = true;
    if (!ox_node_is(n, "Transpose") || rank < 3 || rank > OX_STEP_RANK_MAX ||
        !ox_lower_decode(&room, lo, n) || !t->perm.given)
        return 0;
    for (int i = 0; i < rank; i++) {
        to_last = to_last && t->perm.at[i] == (i == 0 ? 0 : i == rank - 1 ? 1 : i + 1);
        to_first = to_first && t->perm.at[i] == (i == 0 ? 0 : i == 1 ? rank - 1 : i - 1);
    }
    const bool wanted_last = ox_lower_followed(lo, q->value) == OX_FORM_LAST;
    return to_last && !wanted_last ? 1 : to_first && wanted_last ? 2 : 0;
}

ox_status ox_lower_moved(struct ox_lower *lo, const struct ox_node *node,
                         const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_step_concat_params copy = {0};
    struct ox_lower_quant x;
    ox_operand in, out;
    const struct ox_value *v = ox_node_in(node, 0);
    const struct ox_node *n = mover(&x, lo, v);
    if (!n) return OX_OK;
    const int turned = turn(lo, n, q);
    OX_TRY(ox_lower_in(&in, lo, x.value, turned == 1 ? x.form | OX_FORM_LAST : x.form));
    OX_TRY(ox_lower_requantize(&in, lo, node, in, x.q, q->q));
    OX_TRY(ox_lower_out(&out, lo, q->value, turned == 2 ? q->form | OX_FORM_LAST : q->form));
    *claimed = true;
    if (turned) return ox_lower_step(lo, node, OX_STEP_CONCAT, &copy, 1, &in, 1, &out);
    return ox_lower_move(lo, n, in, v->def_index, out);
}
