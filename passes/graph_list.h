/* passes/graph_list.h - all graphs of a model in an array, for passes that walk them more than once
 * or inner ones first. */
#ifndef OX_PASSES_GRAPH_LIST_H
#define OX_PASSES_GRAPH_LIST_H

#include "ir/ir.h"

struct ox_graph_list {
    ox_ctx *ctx;
    struct ox_graph **at; /* outer graphs before inner ones */
    size_t n, cap;
};

OX_MUST_USE ox_status ox_graph_list_init(struct ox_graph_list *list, struct ox_model *model);
void ox_graph_list_fini(struct ox_graph_list *list);

#endif
