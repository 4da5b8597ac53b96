/* ir/text/naming.c - see naming.h. Outer graphs are named before inner ones, so an inner name gives
 * way. */
#include "ir/text/naming.h"

#include <stdio.h>

enum { STEM_MAX = 1000 }; /* bytes; keeps invented names below any limit on the length of names */

/* Takes a name of the model in the scope at hand. False: it is taken already, or NULL. */
static ox_status claim(bool *ok, struct ox_naming *n, ox_name name) {
    *ok = name && name->len && !ox_name_map_get(&n->taken, name);
    if (!*ok) return OX_OK;
    OX_TRY(OX_GROW(n->ctx, n->stack, n->n_stack, n->cap_stack));
    OX_TRY(ox_name_map_set(&n->taken, name, 1));
    n->stack[n->n_stack++] = name;
    return OX_OK;
}

/* Cuts between two characters of UTF-8. */
static size_t stem_length(const char *text) {
    size_t len = strlen(text);
    if (len <= STEM_MAX) return len;
    len = STEM_MAX;
    while (len > 1 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* A name that nothing has: not the model, because it is looked for there, and no other invented
 * one, because a stem gives each number once and the number is what follows the last underscore. */
static ox_status invent(ox_name *out, struct ox_naming *n, const char *text) {
    ox_name stem;
    *out = NULL;
    if (!text[0]) text = "value";
    OX_TRY(ox_name_get(&stem, &n->own, text, stem_length(text)));
    uint32_t number = ox_name_map_get(&n->counters, stem);
    while (!*out) {
        char candidate[STEM_MAX + 16];
        int len = snprintf(candidate, sizeof candidate, "%s_%u", stem->text, (unsigned)++number);
        if (ox_name_find(&n->model->names, candidate, (size_t)len)) continue;
        OX_TRY(ox_name_get(out, &n->own, candidate, (size_t)len));
    }
    return ox_name_map_set(&n->counters, stem, number);
}

static const char *stem_of(const struct ox_value *v) {
    if (v->name && v->name->len) return v->name->text;
    return v->def ? ox_name_text(v->def->type) : "constant";
}

/* Gives a value its own name, or an invented one. */
static ox_status name_value(struct ox_naming *n, const struct ox_value *v) {
    bool ok;
    ox_name *name = &n->of_value[v->id];
    if (*name) return OX_OK;
    OX_TRY(claim(&ok, n, v->name));
    if (!ok) return invent(name, n, stem_of(v));
    *name = v->name;
    return OX_OK;
}

static ox_status name_inputs(struct ox_naming *n, const struct ox_graph *g) {
    for (size_t i = 0; i < g->n_inputs; i++) {
        OX_TRY(name_value(n, g->inputs[i]));
        if (g == n->model->graph && n->of_value[g->inputs[i]->id] != g->inputs[i]->name)
            return ox_fail(n->ctx, OX_INVALID, "name-clash", NULL,
                           "graph input %zu '%s' cannot have its name", i,
                           ox_name_text(g->inputs[i]->name));
    }
    return OX_OK;
}

/* May take the name of the output it feeds: a node's output, or an initializer that has that name
 * anyway. */
static bool can_take(const struct ox_naming *n, const struct ox_graph *g, const struct ox_value *v,
                     ox_name name, bool own) {
    if (v->graph != g || v->is_input || n->of_value[v->id]) return false;
    return own ? v->name == name : v->def != NULL;
}

/* First those values that have the name of an output they feed, so that a value that feeds two
 * outputs keeps its own. */
static ox_status name_fed_outputs(struct ox_naming *n, const struct ox_graph *g, ox_name *names,
                                  bool own) {
    for (size_t i = 0; i < g->ret->n_in; i++) {
        const struct ox_value *v = g->ret->in[i].value;
        bool ok;
        if (names[i] || !can_take(n, g, v, g->outputs[i].name, own)) continue;
        OX_TRY(claim(&ok, n, g->outputs[i].name));
        if (ok) n->of_value[v->id] = names[i] = g->outputs[i].name;
    }
    return OX_OK;
}

/* Outputs that are an input of the same name, or need an alias. */
static ox_status name_other_outputs(struct ox_naming *n, const struct ox_graph *g, ox_name *names) {
    for (size_t i = 0; i < g->ret->n_in; i++) {
        const struct ox_value *v = g->ret->in[i].value;
        ox_name wanted = g->outputs[i].name;
        bool ok;
        if (names[i]) continue;
        if (v->graph == g && v->is_input && n->of_value[v->id] == wanted) {
            names[i] = wanted;
            continue;
        }
        OX_TRY(claim(&ok, n, wanted));
        names[i] = wanted;
        if (ok) continue;
        if (g == n->model->graph && wanted)
            return ox_fail(n->ctx, OX_INVALID, "name-clash", NULL,
                           "graph output %zu '%s' cannot have its name", i, wanted->text);
        if (can_take(n, g, v, NULL, false)) {
            OX_TRY(name_value(
                n, v)); /* the names of a subgraph's outputs are free: take the value's */
            names[i] = n->of_value[v->id];
        } else {
            OX_TRY(invent(&names[i], n, ox_name_text(wanted)));
        }
    }
    return OX_OK;
}

static ox_status name_outputs(struct ox_naming *n, const struct ox_graph *g) {
    ox_name *names;
    OX_TRY(ox_arena_alloc(&n->arena, &names, g->ret->n_in, sizeof(ox_name)));
    n->of_ret[g->ret->id] = names;
    for (size_t i = 0; i < g->ret->n_in; i++)
        if (!g->ret->in[i].value)
            return ox_fail(n->ctx, OX_INVALID, "no-output", NULL,
                           "graph output '%s' is never produced", ox_name_text(g->outputs[i].name));
    OX_TRY(name_fed_outputs(n, g, names, true));
    OX_TRY(name_fed_outputs(n, g, names, false));
    return name_other_outputs(n, g, names);
}

static ox_status name_graph(struct ox_naming *n, const struct ox_graph *g, int depth);

static ox_status name_subgraphs(struct ox_naming *n, const struct ox_node *node, int depth) {
    for (size_t i = 0; i < node->n_attrs; i++) {
        const struct ox_attr *a = &node->attrs[i];
        if (a->ref) continue;
        if (a->type == OX_ATTR_GRAPH && a->v.g) OX_TRY(name_graph(n, a->v.g, depth + 1));
        for (size_t j = 0; a->type == OX_ATTR_GRAPHS && j < a->count; j++)
            OX_TRY(name_graph(n, a->v.graphs[j], depth + 1));
    }
    return OX_OK;
}

static ox_status name_graph(struct ox_naming *n, const struct ox_graph *g, int depth) {
    size_t mark = n->n_stack;
    if (depth > ox_ctx_limits(n->ctx)->max_subgraph_depth)
        return ox_fail(n->ctx, OX_INVALID, "too-deep", NULL,
                       "subgraphs are nested deeper than %d (limit max_subgraph_depth)",
                       ox_ctx_limits(n->ctx)->max_subgraph_depth);
    OX_TRY(name_inputs(n, g));
    OX_TRY(name_outputs(n, g));
    for (size_t i = 0; i < g->n_inits; i++)
        if (g->inits[i]) OX_TRY(name_value(n, g->inits[i]));
    for (const struct ox_node *node = ox_graph_begin(g); node; node = ox_node_next(node))
        for (size_t i = 0; i < node->n_out; i++)
            if (node->out[i]) OX_TRY(name_value(n, node->out[i]));
    for (const struct ox_node *node = ox_graph_begin(g); node; node = ox_node_next(node))
        if (node->n_attrs) OX_TRY(name_subgraphs(n, node, depth));
    while (n->n_stack > mark)
        OX_TRY(ox_name_map_set(&n->taken, n->stack[--n->n_stack], 0));
    return OX_OK;
}

ox_status ox_naming_init(struct ox_naming *naming, const struct ox_model *model) {
    *naming = (struct ox_naming){.ctx = model->ctx, .model = model};
    ox_names_init(&naming->own, model->ctx);
    ox_arena_init(&naming->arena, model->ctx);
    naming->taken.ctx = naming->counters.ctx = model->ctx;
    ox_status status = ox_alloc(model->ctx, &naming->of_value, model->n_values, sizeof(ox_name));
    if (status == OX_OK)
        status = ox_alloc(model->ctx, &naming->of_ret, model->n_nodes, sizeof(ox_name *));
    if (status == OX_OK) status = name_graph(naming, model->graph, 0);
    for (size_t i = 0; i < model->n_functions && status == OX_OK; i++)
        status = name_graph(naming, model->functions[i]->body, 0);
    ox_name_map_fini(&naming->taken);
    ox_name_map_fini(&naming->counters);
    ox_free(model->ctx, naming->stack);
    naming->stack = NULL;
    if (status != OX_OK) ox_naming_fini(naming);
    return status;
}

void ox_naming_fini(struct ox_naming *naming) {
    ox_free(naming->ctx, naming->of_value);
    ox_free(naming->ctx, naming->of_ret);
    ox_arena_fini(&naming->arena);
    ox_names_fini(&naming->own);
    naming->of_value = NULL;
    naming->of_ret = NULL;
}
