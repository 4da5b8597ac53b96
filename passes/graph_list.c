/* passes/graph_list.c - see graph_list.h. */
#include "passes/graph_list.h"

static ox_status add(void *arg, struct ox_graph *graph) {
    struct ox_graph_list *list = arg;
    OX_TRY(OX_GROW(list->ctx, list->at, list->n, list->cap));
    list->at[list->n++] = graph;
    return OX_OK;
}

ox_status ox_graph_list_init(struct ox_graph_list *list, struct ox_model *model) {
    *list = (struct ox_graph_list){.ctx = model->ctx};
    ox_status s = ox_model_each_graph(model, add, list);
    if (s != OX_OK) ox_graph_list_fini(list);
    return s;
}

void ox_graph_list_fini(struct ox_graph_list *list) {
    ox_free(list->ctx, list->at);
    list->at = NULL;
    list->n = list->cap = 0;
}
