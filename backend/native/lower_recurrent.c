/* backend/native/lower_recurrent.c - LSTM and GRU with constant weights and the usual functions. */
#include "backend/native/lower_util.h"
#include "ir/ops/op_recurrent.h"

enum { INPUTS = 6 };

/* X W R B, the first h and c, of the operator's inputs. */
static const size_t inputs[INPUTS] = {0, 1, 2, 3, 5, 6};

static bool is_usual(const struct ox_recurrent_params *p) {
    for (int d = 0; d < p->directions; d++)
        for (int i = 0; i < (p->cell == OX_CELL_LSTM ? 3 : 2); i++)
            if (p->act[d][i].kind != (i ? OX_ACT_TANH : OX_ACT_SIGMOID)) return false;
    return p->clip == 0 && !p->input_forget;
}

static bool is_weight(struct ox_lower *lo, const struct ox_value *v, int rank, int64_t directions,
                      int64_t rows) {
    const ox_tensor *t = v ? ox_lower_value_const(lo, v) : NULL;
    return t && t->dtype == OX_FLOAT && t->rank == rank && t->count > 0 &&
           t->dims[0] == directions && t->dims[1] == rows;
}

/* Why not (static text), or NULL. */
static const char *look(struct ox_step_recurrent_params *out, struct ox_lower *lo,
                        const struct ox_node *node) {
    union ox_lower_room room;
    const struct ox_recurrent_params *p = (const void *)room.bytes;
    const struct ox_value *w = ox_node_in(node, 1), *r = ox_node_in(node, 2),
                          *bias = ox_node_in(node, 3);
    if (!ox_lower_decode(&room, lo, node)) return "attributes depend on something";
    if (p->batch_first) return "batch comes first";
    if (!is_usual(p)) return "functions are not the usual ones, or clipped";
    if (ox_lower_dtype(ox_node_in(node, 0)) != OX_FLOAT) return "not of type float";
    if (ox_node_in(node, 4) || ox_node_in(node, 7)) return "lengths or peepholes are given";
    const int64_t directions = p->directions, hidden = ox_lower_dim(r, 2),
                  rows = (p->cell == OX_CELL_LSTM ? 4 : 3) * hidden;
    if (hidden < 1 || hidden > INT32_MAX / 8 || (p->hidden && p->hidden != hidden))
        return "hidden size is not known";
    if (!is_weight(lo, w, 3, directions, rows) || !is_weight(lo, r, 3, directions, rows) ||
        ox_lower_dim(w, 2) > INT32_MAX)
        return "weights are not constant";
    if (bias && !is_weight(lo, bias, 2, directions, 2 * rows)) return "bias is not constant";
    out->cell = p->cell == OX_CELL_LSTM ? OX_STEP_LSTM : OX_STEP_GRU;
    out->directions = (uint32_t)p->directions;
    out->backwards = p->backwards;
    out->linear_reset = p->linear_reset;
    return NULL;
}

ox_status ox_lower_recurrent(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    struct ox_step_recurrent_params p = {0};
    ox_operand in[INPUTS], out[3];
    const char *why = look(&p, lo, node);
    if (why) return ox_lower_decline(lo, node, why);
    const size_t n_out = p.cell == OX_STEP_LSTM ? 3 : 2;
    for (size_t i = 0; i < INPUTS; i++)
        OX_TRY(ox_lower_in(&in[i], lo, ox_node_in(node, inputs[i]), OX_FORM_PLAIN));
    for (size_t i = 0; i < n_out; i++) {
        out[i] = OX_OPERAND_NONE;
        if (i < node->n_out && ox_lower_wanted(lo, node->out[i]))
            OX_TRY(ox_lower_out(&out[i], lo, node->out[i], OX_FORM_PLAIN));
    }
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_RECURRENT, &p, INPUTS, in, n_out, out);
}
