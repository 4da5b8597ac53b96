/* passes/rules/rule_sweep.c - applies rules to a model.
 *
 * Each graph is walked once from its first node to its last. After an edit the walk goes on at the
 * first new node, so that a change is seen by everything after it in the same walk; what comes
 * before it is seen by the next run of the pass (pipelines loop until nothing changes). A node is
 * tried against the rules whose root has its operator; a rule is compiled when the first such node
 * is met. So the work is proportional to the number of nodes and of edits. */
#include "passes/graph_list.h"
#include "passes/rules/rule_priv.h"

/* A rule that undoes another would go on for ever: edits of one run are bounded by the size of the
 * model. */
enum { EDITS_MIN = 1000, EDITS_PER_NODE = 16 };
/* Before, binary operators broadcast by an attribute only; the rules do not know that. */
enum { OPSET_MIN = 7 };

struct sweep {
    struct ox_match match;
    const struct ox_rule *rules;
    size_t n_rules;
    struct ox_rule_code **code; /* by rule; NULL: not compiled yet */
    uint32_t *first;            /* by index of the operator's row: its first rule + 1 */
    uint32_t *next;             /* by rule: next rule of the same operator + 1 */
    uint64_t edits_left;
};

static ox_status index_rules(struct sweep *s, ox_ctx *ctx) {
    OX_TRY(ox_alloc(ctx, &s->code, s->n_rules, sizeof *s->code));
    OX_TRY(ox_alloc(ctx, &s->next, s->n_rules, sizeof *s->next));
    OX_TRY(ox_alloc(ctx, &s->first, ox_op_count(), sizeof *s->first));
    for (size_t i = s->n_rules;
         i-- > 0;) { /* backwards, so that the chains are in the order of the table */
        char name[64];
        struct ox_str type = ox_rule_root_type(&s->rules[i]);
        if (type.len == 0 || type.len >= sizeof name)
            return ox_rule_bad(ctx, &s->rules[i], "no root");
        memcpy(name, type.ptr, type.len);
        name[type.len] = 0;
        const struct ox_op *op = ox_op_find("", name);
        if (!op) continue;
        size_t row = (size_t)(op - ox_op_at(0));
        s->next[i] = s->first[row];
        s->first[row] = (uint32_t)i + 1;
    }
    return OX_OK;
}

/* Tries the rules at a node until one fires. */
static ox_status visit(struct sweep *s, struct ox_node *node, int64_t opset) {
    struct ox_match *m = &s->match;
    if (!node->op) return OX_OK;
    size_t row = (size_t)(node->op - ox_op_at(0));
    for (uint32_t i = s->first[row]; i; i = s->next[i - 1]) {
        struct ox_rule_code **code = &s->code[i - 1];
        bool fired;
        if (!*code) OX_TRY(ox_rule_compile(code, m->run, &s->rules[i - 1]));
        if ((*code)->opset > opset) continue;
        OX_TRY(ox_match_try(&fired, m, *code, node));
        if (!fired) continue;
        ox_rewrite_done(m->run, (*code)->counter);
        s->edits_left--;
        return OX_OK;
    }
    return OX_OK;
}

/* Is the graph still part of the model? A node that was removed has no attributes left. */
static bool alive(const struct ox_graph *graph) {
    for (; graph->owner; graph = graph->owner->graph)
        if (graph->owner->n_attrs == 0) return false;
    return true;
}

static ox_status sweep_graph(struct sweep *s, struct ox_graph *graph) {
    struct ox_match *m = &s->match;
    int64_t opset = ox_node_opset(graph->ret);
    if (opset < OPSET_MIN) return OX_OK;
    s->edits_left = EDITS_MIN + (uint64_t)graph->n_nodes * EDITS_PER_NODE;
    for (struct ox_node *n = ox_graph_begin(graph); n && ox_rewrite_allowed(m->run);
         n = m->cursor) {
        m->cursor = ox_node_next(n);
        OX_TRY(visit(s, n, opset));
        if (s->edits_left > 0) continue;
        ox_report(m->ctx, OX_WARNING, "rewrite-limit", NULL,
                  "pass '%s' stopped: its rules seem to undo each other", m->run->pass->name);
        break;
    }
    return OX_OK;
}

/* Where no node has the operator of any root, nothing can fire, and a large model need not be
 * walked to see it. */
static bool any_root(const struct sweep *s) {
    for (size_t row = 0; row < ox_op_count(); row++)
        if (s->first[row] && s->match.model->n_by_op[row]) return true;
    return false;
}

static void sweep_fini(struct sweep *s, ox_ctx *ctx) {
    struct ox_match *m = &s->match;
    for (size_t i = 0; s->code && i < s->n_rules; i++)
        ox_rule_code_free(ctx, s->code[i]);
    ox_free(ctx, s->code);
    ox_free(ctx, s->next);
    ox_free(ctx, s->first);
    ox_free(ctx, m->nodes_new);
    ox_free(ctx, m->inits_new);
    ox_free(ctx, m->pairs);
    ox_free(ctx, m->dead);
}

ox_status ox_rules_run(struct ox_pass_run *run, const struct ox_rule *rules, size_t n_rules,
                       const struct ox_shapes *shapes) {
    struct sweep s = {
        .match = {.run = run, .ctx = run->ctx, .model = run->model, .shapes = shapes},
        .rules = rules,
        .n_rules = n_rules,
    };
    struct ox_graph_list graphs;
    OX_TRY(ox_graph_list_init(&graphs, run->model));
    ox_status status = index_rules(&s, run->ctx);
    bool any = status == OX_OK && any_root(&s);
    for (size_t i = 0; any && i < graphs.n && status == OX_OK; i++)
        if (alive(graphs.at[i])) status = sweep_graph(&s, graphs.at[i]);
    sweep_fini(&s, run->ctx);
    ox_graph_list_fini(&graphs);
    return status;
}
