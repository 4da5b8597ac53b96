/* ir/ops/op_control.c - If, Loop and Scan: what their subgraphs must look like. Running them is the executor's affair. */
#include "ir/ops/op_control.h"
#include "ir/ops/op.h"

_Static_assert(sizeof(struct ox_control_params) <= OX_PARAMS_MAX, "parameters fit the driver's buffer");

static ox_status need_graph(const struct ox_call *call, const char *name)
{
    const struct ox_attr *a = ox_attr_find(call, name);
    if (!a || a->type != OX_ATTR_GRAPH) return ox_bad_attr(call, "attribute '%s' must be there and be a graph", name);
    return OX_OK;
}

ox_status ox_decode_if(const struct ox_call *call, void *params)
{
    struct ox_control_params *p = params;
    OX_TRY(need_graph(call, "then_branch"));
    OX_TRY(need_graph(call, "else_branch"));
    *p = (struct ox_control_params){2, {{"then_branch", 0, call->n_out}, {"else_branch", 0, call->n_out}}};
    return OX_OK;
}

ox_status ox_decode_loop(const struct ox_call *call, void *params)
{
    struct ox_control_params *p = params;
    size_t carried = call->n_in > 2 ? call->n_in - 2 : 0;
    OX_TRY(need_graph(call, "body"));
    if (call->n_out < carried)
        return ox_bad_shape(call, "%zu loop-carried values are given and %zu outputs are wanted", carried, call->n_out);
    *p = (struct ox_control_params){1, {{"body", carried + 2, call->n_out + 1}}};
    return OX_OK;
}

ox_status ox_decode_scan(const struct ox_call *call, void *params)
{
    struct ox_control_params *p = params;
    int64_t scanned;
    OX_TRY(need_graph(call, "body"));
    OX_TRY(ox_attr_int(&scanned, call, "num_scan_inputs", 0));
    /* Scan-8 has an optional first operand, the sequence lengths, which the body does not see. */
    size_t given = call->opset < 9 && call->n_in ? call->n_in - 1 : call->n_in;
    if (scanned < 1 || (uint64_t)scanned > given) return ox_bad_attr(call, "num_scan_inputs %lld of %zu inputs", (long long)scanned, given);
    *p = (struct ox_control_params){1, {{"body", given, call->n_out}}};
    return OX_OK;
}

/* Types come out of the subgraphs, which this layer cannot look into. */
ox_status ox_infer_control(const struct ox_call *call, const void *params, struct ox_infer *io)
{
    (void)call;
    (void)params;
    (void)io;
    return OX_OK;
}
