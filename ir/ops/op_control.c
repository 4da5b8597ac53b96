/* ir/ops/op_control.c - If, Loop, Scan and SequenceMap: what their subgraphs must look like. Types
 * come out of the subgraphs, which this layer cannot look into, so there is nothing to infer here;
 * running them is the executor's affair. */
#include "ir/ops/control_flex.h"
#include "ir/ops/op_priv.h"

const int ox_control_kinds[OX_CONTROL_KINDS] = {OX_CONTROL_IF, OX_CONTROL_LOOP, OX_CONTROL_SCAN,
                                                OX_CONTROL_SEQUENCE_MAP, OX_CONTROL_FLEX};

static ox_status need_graph(const struct ox_call *call, const char *name) {
    const struct ox_attr *a = ox_attr_find(call, name);
    if (!a || a->type != OX_ATTR_GRAPH)
        return ox_bad_attr(call, "attribute '%s' must be there and be a graph", name);
    return OX_OK;
}

static ox_status decode_if(const struct ox_call *call, struct ox_control_params *p) {
    OX_TRY(need_graph(call, "then_branch"));
    OX_TRY(need_graph(call, "else_branch"));
    *p = (struct ox_control_params){
        2, {{"then_branch", 0, call->n_out}, {"else_branch", 0, call->n_out}}};
    return OX_OK;
}

static ox_status decode_loop(const struct ox_call *call, struct ox_control_params *p) {
    size_t carried = call->n_in > 2 ? call->n_in - 2 : 0;
    OX_TRY(need_graph(call, "body"));
    if (call->n_out < carried)
        return ox_bad_shape(call, "%zu loop-carried values are given and %zu outputs are wanted",
                            carried, call->n_out);
    *p = (struct ox_control_params){1, {{"body", carried + 2, call->n_out + 1}}};
    return OX_OK;
}

static ox_status decode_scan(const struct ox_call *call, struct ox_control_params *p) {
    int64_t scanned;
    OX_TRY(need_graph(call, "body"));
    OX_TRY(ox_attr_int(&scanned, call, "num_scan_inputs", 0));
    /* Scan-8 has an optional first operand, the sequence lengths, which the body does not see. */
    size_t lengths = call->opset < 9 && call->n_in ? 1 : 0, given = call->n_in - lengths;
    for (size_t i = lengths; i < call->n_in; i++)
        if (!call->present[i]) return ox_bad_shape(call, "input %zu is absent but not optional", i);
    if (scanned < 1 || (uint64_t)scanned > given)
        return ox_bad_attr(call, "num_scan_inputs is %lld where %zu inputs are given",
                           (long long)scanned, given);
    *p = (struct ox_control_params){1, {{"body", given, call->n_out}}};
    return OX_OK;
}

static ox_status decode_sequence_map(const struct ox_call *call, struct ox_control_params *p) {
    OX_TRY(need_graph(call, "body"));
    *p = (struct ox_control_params){1, {{"body", call->n_in, call->n_out}}};
    return OX_OK;
}

ox_status ox_decode_control(const struct ox_call *call, void *params) {
    switch (*(const int *)call->op->family) {
    case OX_CONTROL_IF:
        return decode_if(call, params);
    case OX_CONTROL_LOOP:
        return decode_loop(call, params);
    case OX_CONTROL_SCAN:
        return decode_scan(call, params);
    case OX_CONTROL_FLEX:
        return ox_decode_flex(call, params);
    default:
        return decode_sequence_map(call, params);
    }
}
