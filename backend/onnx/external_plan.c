/* backend/onnx/external_plan.c - see external_plan.h. */
#include "backend/onnx/external_plan.h"

enum { PAGE = 4096, PAGED_MIN = 1 << 20, LINE = 64 };

const struct ox_external_place *ox_external_place(const struct ox_external_plan *plan,
                                                  const ox_tensor *tensor) {
    if (!plan || !tensor || tensor->dtype == OX_STRING || tensor->size < plan->min ||
        tensor->size == 0)
        return NULL;
    uint32_t i = ox_ptr_map_get(&plan->by_data, tensor->data);
    while (i && plan->places[i - 1].tensor->size != tensor->size)
        i = plan->places[i - 1].next;
    return i ? &plan->places[i - 1] : NULL;
}

/* A function's body has no initializers, and what is inside it is better left alone. */
static bool in_function(const struct ox_graph *graph) {
    while (graph->owner)
        graph = graph->owner->graph;
    return graph->function != NULL;
}

static const ox_tensor *constant_of(const struct ox_node *node) {
    if (!node->type || !ox_node_is(node, "Constant") || node->n_out == 0 || !node->out[0] ||
        in_function(node->graph))
        return NULL;
    const struct ox_attr *a = ox_node_attr(node, "value");
    return a && !a->ref && a->type == OX_ATTR_TENSOR && node->n_attrs == 1 ? a->v.t : NULL;
}

const ox_tensor *ox_external_constant(const struct ox_external_plan *plan,
                                      const struct ox_node *node) {
    const ox_tensor *t = plan ? constant_of(node) : NULL;
    return t && ox_external_place(plan, t) ? t : NULL;
}

static ox_status add(struct ox_external_plan *plan, const ox_tensor *t) {
    if (!t || t->dtype == OX_STRING || t->size < plan->min || t->size == 0 ||
        ox_external_place(plan, t))
        return OX_OK;
    uint64_t align = t->size >= PAGED_MIN ? PAGE : LINE;
    uint64_t offset = (plan->size + align - 1) / align * align;
    if (plan->n_places == UINT32_MAX || offset > INT64_MAX - t->size)
        return ox_fail(plan->ctx, OX_NOMEM, "too-large", NULL,
                       "the weights are too large for one file");
    OX_TRY(OX_GROW(plan->ctx, plan->places, plan->n_places, plan->cap_places));
    plan->places[plan->n_places] =
        (struct ox_external_place){t, offset, ox_ptr_map_get(&plan->by_data, t->data)};
    OX_TRY(ox_ptr_map_set(&plan->by_data, t->data, (uint32_t)++plan->n_places));
    plan->size = offset + t->size;
    return OX_OK;
}

static ox_status add_graph(void *arg, struct ox_graph *graph) {
    struct ox_external_plan *plan = arg;
    if (in_function(graph)) return OX_OK;
    for (size_t i = 0; i < graph->n_inits; i++)
        if (graph->inits[i]) OX_TRY(add(plan, graph->inits[i]->init));
    for (size_t i = 0; i < graph->n_inputs; i++)
        OX_TRY(add(plan, graph->inputs[i]->init));
    for (const struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n))
        if (n->n_attrs == 1) OX_TRY(add(plan, constant_of(n)));
    return OX_OK;
}

ox_status ox_external_plan_init(struct ox_external_plan *plan, struct ox_model *model, size_t min) {
    *plan = (struct ox_external_plan){.ctx = model->ctx, .min = min};
    ox_ptr_map_init(&plan->by_data, model->ctx);
    ox_status status = ox_model_each_graph(model, add_graph, plan);
    if (status != OX_OK) ox_external_plan_fini(plan);
    return status;
}

void ox_external_plan_fini(struct ox_external_plan *plan) {
    ox_free(plan->ctx, plan->places);
    ox_free(plan->ctx, plan->location);
    ox_ptr_map_fini(&plan->by_data);
    plan->places = NULL;
    plan->location = NULL;
}
