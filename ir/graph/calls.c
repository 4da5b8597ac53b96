/* ir/graph/calls.c - which nodes call which model-local function. */
#include "ir/base/ptr_map.h"
#include "ir/graph/graph.h"

struct linker {
    struct ox_model *model;
    struct ox_ptr_map by_name; /* function name -> index + 1 of the first of that name */
    uint32_t *next;            /* by index: index + 1 of the next function of the same name */
};

static ox_status link_graph(void *arg, struct ox_graph *graph) {
    struct linker *l = arg;
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        n->callee = NULL;
        for (uint32_t i = ox_ptr_map_get(&l->by_name, n->type); i && !n->callee;
             i = l->next[i - 1]) {
            struct ox_function *f = l->model->functions[i - 1];
            bool overload = n->overload == f->overload ||
                            (!ox_name_text(n->overload)[0] && !ox_name_text(f->overload)[0]);
            if (overload && ox_domain_norm(f->domain) == n->domain) n->callee = f;
        }
        if (n->callee) n->op = NULL; /* a model's own function comes before the table's operator */
    }
    return OX_OK;
}

static ox_status index_functions(struct linker *l) {
    struct ox_model *m = l->model;
    OX_TRY(ox_alloc(m->ctx, &l->next, m->n_functions, sizeof *l->next));
    for (size_t i = m->n_functions; i-- > 0;) {
        if (!m->functions[i]->name) continue;
        l->next[i] = ox_ptr_map_get(&l->by_name, m->functions[i]->name);
        OX_TRY(ox_ptr_map_set(&l->by_name, m->functions[i]->name, (uint32_t)i + 1));
    }
    return OX_OK;
}

ox_status ox_model_link_calls(struct ox_model *model) {
    if (model->n_functions == 0) return OX_OK;
    struct linker l = {.model = model};
    ox_ptr_map_init(&l.by_name, model->ctx);
    ox_status status = index_functions(&l);
    if (status == OX_OK) status = ox_model_each_graph(model, link_graph, &l);
    ox_ptr_map_fini(&l.by_name);
    ox_free(model->ctx, l.next);
    return status;
}
