/* backend/native/lower_act.c - activations that go into the product in front of them: x *
 * sigmoid(x) and the like behind Conv, Gemm, MatMul and sums of them. */
#include "backend/native/lower_util.h"

static bool is_swish(struct ox_lower *lo, const struct ox_node *node) {
    union ox_lower_room room;
    const struct ox_unary_params *u = (const void *)room.bytes;
    return ox_lower_decode(&room, lo, node) && u->alpha == 1;
}

const struct ox_value *ox_lower_act_of(uint32_t *act, struct ox_lower *lo,
                                       const struct ox_node *node) {
    const struct ox_value *x = ox_node_in(node, 0);
    if (ox_lower_dtype(x) != OX_FLOAT) return NULL;
    *act = OX_STEP_ACT_SWISH;
    for (size_t i = 0; i < 2 && ox_node_is(node, "Mul") && node->n_in == 2; i++) {
        const struct ox_value *gate = ox_node_in(node, 1 - i);
        const struct ox_node *sigmoid = ox_lower_maker(gate, "Sigmoid");
        x = ox_node_in(node, i);
        if (sigmoid && ox_lower_sole(gate) && ox_node_in(sigmoid, 0) == x && x->n_uses == 2)
            return x;
    }
    if (!ox_lower_sole(x)) return NULL;
    if (ox_node_is(node, "Swish")) return is_swish(lo, node) ? x : NULL;
    *act = ox_node_is(node, "HardSwish") ? OX_STEP_ACT_HARDSWISH : OX_STEP_ACT_SIGMOID;
    return ox_node_is(node, "HardSwish") || ox_node_is(node, "Sigmoid") ? x : NULL;
}

ox_status ox_lower_act_tail(struct ox_lower *lo, const struct ox_node *node,
                            const struct ox_value *x, uint32_t act, bool *claimed) {
    const struct ox_lower_tail tail = {.last = node, .fn = act};
    const struct ox_node *maker = x->def;
    if (!maker || x->def_index != 0) return OX_OK;
    if (ox_node_is(maker, "Conv")) return ox_lower_conv_tail(lo, maker, &tail, claimed);
    if (ox_node_is(maker, "Add")) OX_TRY(ox_lower_sum_tail(lo, maker, &tail, claimed));
    if (!*claimed &&
        (ox_node_is(maker, "Gemm") || ox_node_is(maker, "MatMul") || ox_node_is(maker, "Add")))
        return ox_lower_dense_tail(lo, maker, &tail, claimed);
    return OX_OK;
}

ox_status ox_lower_act(struct ox_lower *lo, const struct ox_node *node, bool *claimed) {
    uint32_t act;
    const struct ox_value *x = ox_lower_act_of(&act, lo, node);
    return x ? ox_lower_act_tail(lo, node, x, act, claimed) : OX_OK;
}
