/* frontend/reader_function.c - FunctionProto to ox_function, and which function calls which.
 *
 * All functions are declared before any node is read, so that nodes find them; bodies follow. Calls
 * are collected meanwhile, from subgraphs too, and at the end the graph of calls must be without
 * cycle and not deeper than 100. Functions are not inlined here. */
#include "frontend/reader_priv.h"

enum { CALL_DEPTH_MAX = 100 };

/* ---- finding --------------------------------------------------------------------------------- */

static size_t find_slot(const struct ox_reader *r, ox_name domain, ox_name name, ox_name overload) {
    size_t mask = r->cap_function_slots - 1,
           i = ox_names_hash(&r->model->names, name, domain, overload) & mask;
    for (; r->function_slots[i]; i = (i + 1) & mask) {
        const struct ox_function *f = r->model->functions[r->function_slots[i] - 1];
        if (f->name == name && f->domain == domain && f->overload == overload) break;
    }
    return i;
}

ox_status ox_read_call(struct ox_reader *r, struct ox_node *node) {
    if (!r->function_slots) return OX_OK;
    size_t slot = find_slot(r, node->domain, node->type, node->overload);
    if (!r->function_slots[slot]) return OX_OK;
    size_t index = r->function_slots[slot] - 1;
    const Onnx__FunctionProto *p = r->function_protos[index];
    if (node->n_in > p->n_input || node->n_out > p->n_output)
        return ox_reader_bad(r, "wrong-arity",
                             "a call with %u inputs and %u outputs of a function with %zu and %zu",
                             node->n_in, node->n_out, p->n_input, p->n_output);
    node->callee = r->model->functions[index];
    node->op = NULL;
    if (!r->function) return OX_OK;
    OX_TRY(OX_GROW(r->ctx, r->calls, r->n_calls, r->cap_calls));
    r->calls[r->n_calls++] = (struct ox_call_edge){r->function_index, index};
    return OX_OK;
}

/* ---- declaring ------------------------------------------------------------------------------- */

static ox_status declare(struct ox_reader *r, size_t index, const Onnx__FunctionProto *p) {
    struct ox_function *f;
    OX_TRY(ox_arena_alloc(&r->model->arena, &f, 1, sizeof *f));
    OX_TRY(ox_read_domain(&f->domain, r, p->domain));
    OX_TRY(ox_read_name(&f->name, r, p->name));
    OX_TRY(ox_read_name(&f->overload, r, p->overload));
    if (!f->name) return ox_reader_bad(r, "missing-name", "a function has no name");
    OX_TRY(ox_graph_new(&f->body, r->model, NULL));
    f->body->function = f;
    f->body->name = f->name;
    size_t slot = find_slot(r, f->domain, f->name, f->overload);
    if (r->function_slots[slot])
        return ox_reader_bad(r, "duplicate-name", "function '%s' is defined twice", f->name->text);
    r->model->functions[index] = f;
    r->model->n_functions = index + 1;
    r->function_slots[slot] = index + 1;
    return OX_OK;
}

ox_status ox_declare_functions(struct ox_reader *r, size_t n, Onnx__FunctionProto *const *protos) {
    size_t max = ox_ctx_limits(r->ctx)->max_functions;
    if (n == 0) return OX_OK;
    if (n > max)
        return ox_reader_bad(r, "over-limit",
                             "the model has %zu functions, more than %zu (limit max_functions)", n,
                             max);
    r->function_protos = (const Onnx__FunctionProto *const *)protos;
    for (r->cap_function_slots = 16; r->cap_function_slots < n * 2;)
        r->cap_function_slots *= 2;
    OX_TRY(ox_alloc(r->ctx, &r->function_slots, r->cap_function_slots, sizeof *r->function_slots));
    OX_TRY(ox_arena_alloc(&r->model->arena, &r->model->functions, n, sizeof(struct ox_function *)));
    for (size_t i = 0; i < n; i++)
        OX_TRY(declare(r, i, protos[i]));
    return OX_OK;
}

void ox_functions_fini(struct ox_reader *r) {
    ox_free(r->ctx, r->function_slots);
    ox_free(r->ctx, r->calls);
}

/* ---- reading --------------------------------------------------------------------------------- */

static ox_status read_attributes(struct ox_function *f, struct ox_reader *r,
                                 const Onnx__FunctionProto *p) {
    OX_TRY(ox_arena_alloc(&r->model->arena, &f->attrs, p->n_attribute, sizeof(ox_name)));
    for (size_t i = 0; i < p->n_attribute; i++) {
        OX_TRY(ox_read_name(&f->attrs[i], r, p->attribute[i]));
        if (!f->attrs[i])
            return ox_reader_bad(r, "missing-name", "an attribute of a function has no name");
    }
    f->n_attrs = p->n_attribute;
    OX_TRY(
        ox_arena_alloc(&r->model->arena, &f->defaults, p->n_attribute_proto, sizeof *f->defaults));
    for (size_t i = 0; i < p->n_attribute_proto; i++) {
        struct ox_attr *a =
            &f->defaults[f->n_defaults++]; /* counted first: a failure inside is cleaned up */
        OX_TRY(ox_read_name(&a->name, r, p->attribute_proto[i]->name));
        if (!a->name)
            return ox_reader_bad(r, "missing-name", "an attribute of a function has no name");
        OX_TRY(ox_read_attr(a, r, NULL, p->attribute_proto[i]));
    }
    return OX_OK;
}

static ox_status read_body(struct ox_function *f, struct ox_reader *r,
                           const Onnx__FunctionProto *p) {
    for (size_t i = 0; i < p->n_input; i++) {
        ox_name name;
        struct ox_value *value;
        OX_TRY(ox_read_name(&name, r, p->input[i]));
        if (!name) return ox_reader_bad(r, "missing-name", "an input of a function has no name");
        OX_TRY(ox_graph_add_input(&value, f->body, name, NULL));
        OX_TRY(ox_read_define(r, name, value));
    }
    OX_TRY(ox_read_nodes(f->body, r, p->n_node, p->node));
    for (size_t i = 0; i < p->n_output; i++) {
        ox_name name;
        struct ox_value *value;
        OX_TRY(ox_read_name(&name, r, p->output[i]));
        if (!name) return ox_reader_bad(r, "missing-name", "an output of a function has no name");
        OX_TRY(ox_read_resolve(&value, r, p->output[i], "function output"));
        OX_TRY(ox_graph_add_output(f->body, value, name, NULL));
    }
    return OX_OK;
}

static ox_status read_function(struct ox_reader *r, size_t index) {
    enum { VALUE_INFO = 12 };
    const Onnx__FunctionProto *p = r->function_protos[index];
    struct ox_function *f = r->model->functions[index];
    r->function = f;
    r->function_index = index;
    r->unsorted[0] = false;
    r->place.graph = f->name->text;
    OX_TRY(ox_read_name(&f->doc, r, p->doc_string));
    OX_TRY(ox_read_pairs(&f->meta, r, p->n_metadata_props, p->metadata_props));
    OX_TRY(ox_wire_copy(&f->value_info, &r->wire, &r->model->arena, &p->base, VALUE_INFO));
    OX_TRY(ox_read_unknown(&f->unknown, r, &p->base));
    OX_TRY(ox_read_opsets(&f->opsets, &f->n_opsets, r, p->n_opset_import, p->opset_import));
    OX_TRY(read_attributes(f, r, p));
    ox_scope_open(&r->scopes);
    OX_TRY(read_body(f, r, p));
    ox_scope_close(&r->scopes);
    return r->unsorted[0] ? ox_graph_sort(f->body) : OX_OK;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Kahn's algorithm from the functions that nobody calls down to those that call nobody, with the
 * length of the longest chain of calls that ends at each. Edges are grouped by caller. */
struct call_graph {
    size_t *first;   /* n + 1: where a caller's edges begin in `edges` */
    size_t *edges;   /* callees */
    size_t *waiting; /* calls of a function that are not yet accounted for */
    size_t *depth;
    size_t *queue;
};

static ox_status check_chains(struct ox_reader *r, struct call_graph *g, size_t n) {
    size_t done = 0, queued = 0;
    for (size_t i = 0; i < r->n_calls; i++) {
        g->first[r->calls[i].caller + 1]++;
        g->waiting[r->calls[i].callee]++;
    }
    for (size_t i = 0; i < n; i++)
        g->first[i + 1] += g->first[i];
    for (size_t i = 0; i < n; i++)
        g->depth[i] = g->first[i]; /* for now: where the next edge goes */
    for (size_t i = 0; i < r->n_calls; i++)
        g->edges[g->depth[r->calls[i].caller]++] = r->calls[i].callee;
    for (size_t i = 0; i < n; i++) {
        g->depth[i] = 1;
        if (!g->waiting[i]) g->queue[queued++] = i;
    }
    for (; done < queued; done++) {
        size_t at = g->queue[done];
        const char *name = r->model->functions[at]->name->text;
        if (g->depth[at] > CALL_DEPTH_MAX)
            return ox_reader_bad(r, "over-limit",
                                 "calls of functions are nested deeper than %d, at '%s'",
                                 CALL_DEPTH_MAX, name);
        for (size_t i = g->first[at]; i < g->first[at + 1]; i++) {
            size_t to = g->edges[i];
            if (g->depth[to] < g->depth[at] + 1) g->depth[to] = g->depth[at] + 1;
            if (--g->waiting[to] == 0) g->queue[queued++] = to;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (g->waiting[i])
            return ox_reader_bad(r, "recursive-function",
                                 "function '%s' calls itself, directly or through others",
                                 r->model->functions[i]->name->text);
    return OX_OK;
}

static ox_status check_calls(struct ox_reader *r) {
    struct call_graph g = {0};
    size_t n = r->model->n_functions;
    ox_status s = ox_alloc(r->ctx, &g.first, n + 1, sizeof *g.first);
    if (s == OX_OK) s = ox_alloc(r->ctx, &g.edges, r->n_calls, sizeof *g.edges);
    if (s == OX_OK) s = ox_alloc(r->ctx, &g.waiting, n, sizeof *g.waiting);
    if (s == OX_OK) s = ox_alloc(r->ctx, &g.depth, n, sizeof *g.depth);
    if (s == OX_OK) s = ox_alloc(r->ctx, &g.queue, n, sizeof *g.queue);
    if (s == OX_OK) s = check_chains(r, &g, n);
    ox_free(r->ctx, g.first);
    ox_free(r->ctx, g.edges);
    ox_free(r->ctx, g.waiting);
    ox_free(r->ctx, g.depth);
    ox_free(r->ctx, g.queue);
    return s;
}

ox_status ox_read_functions(struct ox_reader *r) {
    for (size_t i = 0; i < r->model->n_functions; i++)
        OX_TRY(read_function(r, i));
    r->function = NULL;
    r->place.graph = NULL;
    return check_calls(r);
}
