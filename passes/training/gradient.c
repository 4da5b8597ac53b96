/* passes/training/gradient.c - Gradient (ai.onnx.preview.training) becomes the operators that
 * compute it: reverse-mode differentiation over the graph between the tensors that its attributes
 * name.
 *
 * Names in xs and zs say where that graph begins, y where it ends; the node's operands are the
 * values to put in the places of xs and zs. Nodes that depend on an operand which is another value
 * than the one named are copied, others are used as they are. Nodes are handled in order, so that a
 * second derivative finds the first one written out under its name. What the table of derivatives
 * cannot do leaves the node as it is, with a warning. */
#include "passes/graph_list.h"
#include "passes/pass.h"
#include "passes/rules/rule.h"
#include "passes/training/derivative.h"

enum { GRADIENTS };

/* One Gradient at work. Arrays are by id of the values there were before it. */
struct gradient {
    struct ox_pass_run *run;
    struct ox_graph *graph;
    struct ox_node *node;
    struct ox_value **named; /* xs, then zs: what the attributes name */
    struct ox_value *y;
    size_t n_xs, n_named, n_values;
    struct ox_value **stands; /* what takes a value's place; NULL: itself */
    struct ox_value **grads;  /* of y with respect to the value */
    bool *begins;             /* named in xs or zs */
    bool *inside;             /* y depends on it, without passing a beginning */
    bool *moves;              /* inside, and depends on one of xs */
    const char *stuck;        /* why it cannot be done */
    const struct ox_node *stuck_at;
};

static struct ox_value *standing(const struct gradient *g, struct ox_value *v) {
    return v && v->id < g->n_values && g->stands[v->id] ? g->stands[v->id] : v;
}

/* ---- what the attributes name -------------------------------------------------------------------
 */

static struct ox_value *find_named(const struct ox_graph *graph, struct ox_str name) {
    ox_name key = ox_name_find(&graph->model->names, name.ptr, name.len);
    if (!key) return NULL;
    for (size_t i = 0; i < graph->n_inputs; i++)
        if (graph->inputs[i]->name == key) return graph->inputs[i];
    for (size_t i = 0; i < graph->n_inits; i++)
        if (graph->inits[i] && graph->inits[i]->name == key) return graph->inits[i];
    for (const struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n))
        for (size_t i = 0; i < n->n_out; i++)
            if (n->out[i] && n->out[i]->name == key) return n->out[i];
    for (size_t i = 0; i < graph->ret->n_in; i++)
        if (graph->outputs[i].name == key) return graph->ret->in[i].value;
    return NULL;
}

static ox_status read_names(struct gradient *g) {
    const struct ox_attr *xs = ox_node_attr(g->node, "xs"), *zs = ox_node_attr(g->node, "zs"),
                         *y = ox_node_attr(g->node, "y");
    g->n_xs = xs->count;
    g->n_named = xs->count + (zs ? zs->count : 0);
    OX_TRY(ox_alloc(g->run->ctx, &g->named, g->n_named, sizeof *g->named));
    g->y = find_named(g->graph, y->v.s);
    if (!g->y) g->stuck = "y names no value of its graph";
    if (ox_model_opset(g->graph->model, NULL) < 9)
        g->stuck = "the operators it needs begin with opset 9";
    for (size_t i = 0; i < g->n_named; i++) {
        g->named[i] =
            find_named(g->graph, i < g->n_xs ? xs->v.strings[i] : zs->v.strings[i - g->n_xs]);
        if (!g->named[i] || !ox_node_in(g->node, i))
            g->stuck = "xs or zs name no value of its graph";
    }
    return OX_OK;
}

/* ---- the graph between
 * --------------------------------------------------------------------------- */

static void mark_inside(struct gradient *g) {
    for (size_t i = 0; i < g->n_named; i++) {
        g->begins[g->named[i]->id] = true;
        if (i < g->n_xs) g->moves[g->named[i]->id] = true;
        if (ox_node_in(g->node, i) != g->named[i])
            g->stands[g->named[i]->id] = ox_node_in(g->node, i);
    }
    g->inside[g->y->id] = true;
    for (struct ox_node *n = g->graph->ret->prev; n; n = n->prev) {
        bool used = false;
        for (size_t i = 0; i < n->n_out; i++)
            used = used || (n->out[i] && g->inside[n->out[i]->id] && !g->begins[n->out[i]->id]);
        for (size_t i = 0; used && i < n->n_in; i++)
            if (n->in[i].value) g->inside[n->in[i].value->id] = true;
    }
}

/* A node that makes something of the graph between. */
static bool is_inside(const struct gradient *g, const struct ox_node *n) {
    bool inside = false;
    for (size_t i = 0; i < n->n_out; i++)
        inside = inside || (n->out[i] && n->out[i]->id < g->n_values && g->inside[n->out[i]->id] &&
                            !g->begins[n->out[i]->id]);
    return inside;
}

/* The forward computation with the operands in their places. */
static ox_status go_forward(struct gradient *g) {
    const struct ox_node *last = g->graph->ret->prev;
    for (struct ox_node *n = ox_graph_begin(g->graph), *next; n && !g->stuck; n = next) {
        bool changed = false, moves = false;
        next = n == last ? NULL : ox_node_next(n);
        if (!is_inside(g, n)) continue;
        for (size_t i = 0; i < n->n_in; i++) {
            struct ox_value *v = n->in[i].value;
            changed = changed || standing(g, v) != v;
            moves = moves || (v && g->moves[v->id]);
        }
        if (moves && !ox_derivative_find(n)) {
            g->stuck = "no derivative is known of";
            g->stuck_at = n;
        }
        struct ox_node *copy = NULL;
        if (changed && !n->op) {
            g->stuck = "nothing is known of";
            g->stuck_at = n;
        } else if (changed && (n->op->traits & OX_CONTROL)) {
            g->stuck = "it would have to copy the bodies of";
            g->stuck_at = n;
        }
        if (changed && !g->stuck) {
            OX_TRY(ox_node_new(&copy, g->graph, NULL, n->domain, n->type, n->n_in, n->n_out));
            OX_TRY(ox_match_copy_attrs(copy, n));
            for (size_t i = 0; i < n->n_in; i++)
                ox_use_set(&copy->in[i], standing(g, n->in[i].value));
            OX_TRY(ox_node_infer(copy));
        }
        for (size_t i = 0; i < n->n_out; i++) {
            if (!n->out[i]) continue;
            g->moves[n->out[i]->id] = moves && i == 0;
            if (copy) g->stands[n->out[i]->id] = copy->out[i];
        }
    }
    return OX_OK;
}

static ox_status add_to(struct gradient *g, struct ox_value *v, struct ox_value *more) {
    struct ox_value **grad = &g->grads[v->id];
    if (*grad)
        return ox_derivative_node(grad, g->graph, "Add", 2, (struct ox_value *[]){*grad, more});
    *grad = more;
    return OX_OK;
}

static ox_status differentiate(struct gradient *g, struct ox_node *n) {
    const struct ox_derivative *d = ox_derivative_find(n);
    struct ox_value **operands;
    OX_TRY(ox_alloc(g->run->ctx, &operands, n->n_in, sizeof *operands));
    for (size_t i = 0; i < n->n_in; i++)
        operands[i] = standing(g, n->in[i].value);
    ox_status s = OX_OK;
    for (size_t i = 0; i < n->n_in && s == OX_OK; i++) {
        struct ox_value *v = n->in[i].value, *more;
        if (!v || !g->moves[v->id] || ox_derivative_zero(d, i)) continue;
        s = ox_derivative_build(&more, d, n, i, operands, standing(g, n->out[0]),
                                g->grads[n->out[0]->id]);
        if (s == OX_OK) s = add_to(g, v, more);
    }
    ox_free(g->run->ctx, operands);
    if (s != OX_UNSUPPORTED) return s;
    g->stuck = "dims are not known well enough for";
    g->stuck_at = n;
    return OX_OK;
}

/* Gradients, from y back to the beginnings. `last`: the last node there was before. */
static ox_status go_back(struct gradient *g, struct ox_node *last) {
    const struct ox_type *type = standing(g, g->y)->type;
    if (!ox_type_is_tensor(type) || !ox_dtype_is_float(type->dtype)) {
        g->stuck = "the type of y is not known to be a float";
        return OX_OK;
    }
    OX_TRY(ox_derivative_fill(&g->grads[g->y->id], standing(g, g->y), 1));
    for (struct ox_node *n = last; n && !g->stuck; n = n->prev) {
        struct ox_value *y = ox_node_out(n, 0);
        if (n != g->node && is_inside(g, n) && y && g->moves[y->id] && g->grads[y->id])
            OX_TRY(differentiate(g, n));
    }
    return OX_OK;
}

/* ---- one node
 * ------------------------------------------------------------------------------------- */

/* The gradients take the places of the node's outputs, and their names. */
static ox_status put_in_place(struct gradient *g) {
    for (size_t i = 0; i < g->node->n_out && i < g->n_xs; i++) {
        struct ox_value *old = g->node->out[i], *by = g->grads[g->named[i]->id];
        if (!old) continue;
        if (!by) OX_TRY(ox_derivative_fill(&by, ox_node_in(g->node, i), 0));
        if (by->name)
            OX_TRY(ox_derivative_node(&by, g->graph, "Identity", 1,
                                      &by)); /* two xs may have one gradient */
        by->name = old->name;
        ox_value_replace(old, by);
    }
    ox_node_remove(g->node);
    return ox_graph_sort(g->graph);
}

static ox_status expand(struct gradient *g) {
    struct ox_node *last = g->graph->ret->prev;
    OX_TRY(read_names(g));
    if (g->stuck) return OX_OK;
    OX_TRY(ox_alloc(g->run->ctx, &g->stands, g->n_values, 2 * sizeof *g->stands));
    OX_TRY(ox_alloc(g->run->ctx, &g->begins, g->n_values, 3 * sizeof *g->begins));
    g->grads = g->stands + g->n_values;
    g->inside = g->begins + g->n_values;
    g->moves = g->inside + g->n_values;
    mark_inside(g);
    OX_TRY(go_forward(g));
    if (!g->stuck) OX_TRY(go_back(g, last));
    if (g->stuck) return OX_OK;
    OX_TRY(put_in_place(g));
    ox_rewrite_done(g->run, GRADIENTS);
    return OX_OK;
}

static ox_status expand_node(struct ox_pass_run *run, struct ox_node *node) {
    struct gradient g = {
        .run = run, .graph = node->graph, .node = node, .n_values = run->model->n_values};
    struct ox_place place;
    ox_node_place(&place, node);
    const struct ox_place *former = ox_place_set(run->ctx, &place);
    ox_status s = expand(&g);
    if (s == OX_OK && g.stuck)
        ox_report(run->ctx, OX_WARNING, "no-derivative", &place,
                  "the gradient stays as it is: %s%s%s", g.stuck, g.stuck_at ? " " : "",
                  g.stuck_at ? ox_name_text(g.stuck_at->type) : "");
    ox_place_set(run->ctx, former);
    ox_free(run->ctx, g.named);
    ox_free(run->ctx, g.stands);
    ox_free(run->ctx, g.begins);
    return s;
}

static bool is_gradient(const struct ox_node *n) {
    return n->op && !n->callee && ox_name_is(n->domain, "ai.onnx.preview.training") &&
           ox_name_is(n->type, "Gradient") && !ox_node_is_template(n);
}

struct node_list {
    struct ox_node **at;
    size_t n, cap;
};

/* All of them, in order: rewriting one sorts its graph anew. */
static ox_status list_gradients(struct node_list *list, struct ox_pass_run *run,
                                const struct ox_graph *graph) {
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        if (!is_gradient(n)) continue;
        OX_TRY(OX_GROW(run->ctx, list->at, list->n, list->cap));
        list->at[list->n++] = n;
    }
    return OX_OK;
}

ox_status ox_pass_gradient(struct ox_pass_run *run) {
    struct ox_graph_list graphs;
    struct node_list list = {0};
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status s = OX_OK;
    for (size_t i = 0; i < graphs.n && s == OX_OK; i++)
        s = list_gradients(&list, run, graphs.at[i]);
    if (s == OX_OK && list.n > 0) s = ox_model_infer(run->model, NULL);
    for (size_t i = 0; i < list.n && s == OX_OK && ox_rewrite_allowed(run); i++)
        s = expand_node(run, list.at[i]);
    ox_free(run->ctx, list.at);
    ox_graph_list_fini(&graphs);
    return s;
}
