/* ir/graph/sort.c - topological order of a graph's nodes, by depth-first search without recursion.
 *
 * Nodes are visited in their present order and each is put behind what it needs, so a graph that is
 * sorted already keeps its order, and the result depends on the input only. A node also needs what
 * the nodes inside its subgraphs capture. O(V + E). */
#include "ir/graph/graph.h"

enum { NEW, OPEN, DONE };

struct sorter {
    struct ox_graph *graph;
    struct ox_node **nodes; /* in present order; index by position() */
    size_t n;
    uint32_t *first, *edges; /* edges[first[i] .. first[i+1]): positions that node i needs */
    unsigned char *state;
    uint32_t *stack, *next; /* positions being visited; next edge of each */
};

/* Where a node stands, by its order, which sort() has renumbered. A table by node id would make the
 * cost of a small subgraph that of the whole model. */
static uint64_t order_at(size_t position) {
    return ((uint64_t)position + 1) << 20;
}

static uint32_t position(const struct ox_node *node) {
    return (uint32_t)((node->order >> 20) - 1);
}

/* The node of `graph` in which a use takes place: the user itself or the holder of the subgraph it
 * is in. */
static struct ox_node *holder(const struct ox_graph *graph, struct ox_node *user) {
    while (user && user->graph != graph)
        user = user->graph->owner;
    return user;
}

/* Calls count or store for each edge; with edges == NULL it only counts into first[]. */
static bool each_edge(struct sorter *s, uint32_t *fill) {
    bool sorted = true;
    for (size_t i = 0; i < s->n; i++) {
        const struct ox_node *def = s->nodes[i];
        for (size_t o = 0; o < def->n_out; o++) {
            if (!def->out[o]) continue;
            for (struct ox_use *u = def->out[o]->uses; u; u = u->next) {
                struct ox_node *user = holder(s->graph, u->user);
                if (!user || ox_node_is_ret(user)) continue;
                uint32_t at = position(user);
                if (at <= i) sorted = false;
                if (fill)
                    s->edges[fill[at]++] = (uint32_t)i;
                else
                    s->first[at + 1]++;
            }
        }
    }
    return sorted;
}

static ox_status cycle(const struct sorter *s, uint32_t at) {
    struct ox_place place;
    ox_node_place(&place, s->nodes[at]);
    return ox_fail(s->graph->model->ctx, OX_INVALID, "cycle", &place,
                   "the node needs its own output: the graph has a cycle");
}

/* Emits everything `root` needs, then root, in front of `ret`. */
static ox_status visit(struct sorter *s, uint32_t root) {
    size_t depth = 0;
    s->stack[depth] = root;
    s->next[depth++] = s->first[root];
    s->state[root] = OPEN;
    while (depth > 0) {
        uint32_t at = s->stack[depth - 1];
        if (s->next[depth - 1] == s->first[at + 1]) {
            s->state[at] = DONE;
            ox_node_move(s->nodes[at], s->graph->ret);
            depth--;
            continue;
        }
        uint32_t need = s->edges[s->next[depth - 1]++];
        if (s->state[need] == DONE) continue;
        if (s->state[need] == OPEN) return cycle(s, need);
        s->state[need] = OPEN;
        s->stack[depth] = need;
        s->next[depth++] = s->first[need];
    }
    return OX_OK;
}

static ox_status sort(struct sorter *s) {
    ox_ctx *ctx = s->graph->model->ctx;
    size_t n = s->n;
    OX_TRY(ox_alloc(ctx, &s->nodes, n, sizeof(struct ox_node *)));
    OX_TRY(ox_alloc(ctx, &s->first, n + 1, sizeof *s->first));
    uint32_t at = 0;
    for (struct ox_node *x = ox_graph_begin(s->graph); x; x = ox_node_next(x)) {
        x->order = order_at(at);
        s->nodes[at++] = x;
    }
    s->graph->ret->order = order_at(n);
    if (each_edge(s, NULL)) return OX_OK;
    for (size_t i = 0; i < n; i++)
        s->first[i + 1] += s->first[i];
    uint32_t *fill;
    OX_TRY(ox_alloc(ctx, &s->edges, s->first[n], sizeof *s->edges));
    OX_TRY(ox_alloc(ctx, &s->state, n, 1));
    OX_TRY(ox_alloc(ctx, &s->stack, n, sizeof *s->stack));
    OX_TRY(ox_alloc(ctx, &s->next, n, sizeof *s->next));
    fill = s->next; /* free until the visits begin */
    memcpy(fill, s->first, n * sizeof *fill);
    (void)each_edge(s, fill);
    for (uint32_t i = 0; i < n; i++)
        if (s->state[i] == NEW) OX_TRY(visit(s, i));
    return OX_OK;
}

ox_status ox_graph_sort(struct ox_graph *graph) {
    ox_ctx *ctx = graph->model->ctx;
    struct sorter s = {.graph = graph, .n = graph->n_nodes};
    ox_status status = sort(&s);
    ox_free(ctx, s.nodes);
    ox_free(ctx, s.first);
    ox_free(ctx, s.edges);
    ox_free(ctx, s.state);
    ox_free(ctx, s.stack);
    ox_free(ctx, s.next);
    return status;
}
