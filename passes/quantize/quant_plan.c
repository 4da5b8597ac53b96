/* passes/quantize/quant_plan.c - making a plan of a model, and working out what follows from which
 * nodes may be quantized. */
#include "passes/quantize/quant_plan.h"

#include "passes/rules/consts.h"

#include <math.h>

/* An operand this much smaller than the output may be rounded for its sake (the gates of
 * squeeze-and-excitation). */
enum { SMALL_OPERAND = 16 };

/* ---- making ------------------------------------------------------------------------------------
 */

static bool is_float(const struct ox_value *v) {
    return ox_type_is_tensor(v->type) && v->type->dtype == OX_FLOAT;
}

static bool is_data(const struct ox_value *v) {
    return v && is_float(v) && !ox_value_const(v);
}

/* An integer says neither NaN nor infinity. */
static bool finite_weights(const struct ox_node *n) {
    for (size_t i = 1; i < n->n_in; i++) {
        const ox_tensor *t = ox_value_const(n->in[i].value);
        if (t && t->dtype == OX_FLOAT && !ox_const_finite(t)) return false;
    }
    return true;
}

static ox_status init_node(struct ox_qplan *plan, struct ox_node *n) {
    struct ox_qnode *q = &plan->nodes[n->id];
    struct ox_qlayout layout = {0};
    int axis = -1;
    q->node = n;
    OX_TRY(ox_qrole_of(&q->role, &layout, &axis, &q->reason, n));
    q->data = ox_node_in(n, 0);
    q->result = ox_node_out(n, 0);
    if (q->role == OX_QROLE_FLOAT) return OX_OK;
    if (!q->result || !is_float(q->result)) q->role = OX_QROLE_FLOAT;
    for (size_t i = 0; i < n->n_in; i++) {
        const struct ox_value *v = n->in[i].value;
        if (!v || !ox_qrole_data(q->role, i) || is_data(v)) continue;
        const ox_tensor *t = ox_value_const(v);
        if (t && t->count == 1 && t->dtype == OX_FLOAT && q->role == OX_QROLE_ELTWISE) continue;
        q->reason = t ? "an operand is constant" : "an operand is not float";
        q->role = OX_QROLE_FLOAT;
    }
    if (q->role == OX_QROLE_WEIGHT && !finite_weights(n)) {
        q->reason = "a weight is not finite";
        q->role = OX_QROLE_FLOAT;
    }
    if (q->role == OX_QROLE_WEIGHT)
        q->weight = (struct ox_qweight){
            .layout = layout, .axis = axis, .n = axis < 0 ? 1 : layout.channels};
    q->wanted = q->role != OX_QROLE_FLOAT;
    if (q->role == OX_QROLE_WEIGHT && axis >= 0 && !plan->options.per_channel) {
        q->weight.axis = -1;
        q->weight.n = 1;
    }
    if (q->role == OX_QROLE_PRODUCT && !plan->options.products) {
        q->wanted = false;
        q->reason = "products of activations were not asked for";
    }
    return OX_OK;
}

/* Clamps join the node before them, one after the other. */
static void absorb_clamps(struct ox_qplan *plan) {
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        struct ox_qnode *q = &plan->nodes[n->id], *clamp;
        if (q->role != OX_QROLE_WEIGHT && q->role != OX_QROLE_ELTWISE &&
            q->role != OX_QROLE_PRODUCT)
            continue;
        for (;;) {
            const struct ox_use *use = ox_value_single_use(q->result);
            if (!use || ox_use_index(use) != 0 || use->user->graph != plan->graph) break;
            clamp = ox_qnode_of(plan, use->user);
            if (!clamp || clamp->role != OX_QROLE_CLAMP) break;
            clamp->part_of = q;
            clamp->wanted = false;
            q->result = ox_node_out(use->user, 0);
        }
    }
}

static void find_runnable(struct ox_qplan *plan) {
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        struct ox_qnode *q = &plan->nodes[n->id];
        q->runs = n->op && n->op->eval && !(n->op->traits & OX_CONTROL);
        for (size_t i = 0; i < n->n_in && q->runs; i++) {
            const struct ox_value *v = n->in[i].value;
            if (!v || !v->def || ox_value_const(v)) continue;
            q->runs = v->def->graph == plan->graph && plan->nodes[v->def->id].runs;
        }
    }
}

static void find_tails(struct ox_qplan *plan) {
    for (struct ox_node *n = plan->graph->ret->prev; n; n = n->prev) {
        struct ox_qnode *q = &plan->nodes[n->id];
        q->tail = true;
        for (size_t i = 0; i < n->n_out; i++)
            for (const struct ox_use *u = n->out[i] ? n->out[i]->uses : NULL; u; u = u->next) {
                const struct ox_qnode *r = ox_qnode_of(plan, u->user);
                if (ox_node_is_ret(u->user) && u->user->graph == plan->graph) continue;
                if (!r || !r->tail || r->role == OX_QROLE_WEIGHT || r->role == OX_QROLE_PRODUCT)
                    q->tail = false;
            }
    }
}

/* ---- leaves ------------------------------------------------------------------------------------
 */

struct walk {
    struct ox_qplan *plan;
    bool *visited;
    const struct ox_value **stack;
    size_t n, cap;
};

static ox_status visit(struct walk *w, const struct ox_value *v) {
    if (!v || v->id >= w->plan->n_values || w->visited[v->id] || ox_value_const(v)) return OX_OK;
    w->visited[v->id] = true;
    OX_TRY(OX_GROW(w->plan->ctx, w->stack, w->n, w->cap));
    w->stack[w->n++] = v;
    return OX_OK;
}

/* Outputs that were only joined or moved from others are judged by those: a detector's boxes must
 * not drown its scores. What is not float is judged by what it is computed from. */
static ox_status walk_back(struct walk *w) {
    struct ox_qplan *plan = w->plan;
    while (w->n) {
        const struct ox_value *v = w->stack[--w->n];
        const struct ox_node *d = v->def;
        const struct ox_qnode *q = ox_qnode_of(plan, d);
        if (!d || !q) continue;
        bool moves = q->role == OX_QROLE_UNIFY || (d->op && d->op->traits & OX_MOVES);
        if (!moves && is_float(v) && q->runs) {
            OX_TRY(OX_GROW(plan->ctx, plan->leaves, plan->n_leaves, plan->cap_leaves));
            plan->leaves[plan->n_leaves++] = plan->model->values[v->id];
            continue;
        }
        for (size_t i = 0; i < d->n_in; i++)
            OX_TRY(visit(w, d->in[i].value));
    }
    return OX_OK;
}

static ox_status find_leaves(struct ox_qplan *plan) {
    struct walk w = {.plan = plan};
    OX_TRY(ox_alloc(plan->ctx, &w.visited, plan->n_values, sizeof *w.visited));
    ox_status s = OX_OK;
    for (size_t i = 0; i < plan->graph->ret->n_in && s == OX_OK; i++)
        s = visit(&w, plan->graph->ret->in[i].value);
    if (s == OX_OK) s = walk_back(&w);
    ox_free(plan->ctx, w.visited);
    ox_free(plan->ctx, w.stack);
    return s;
}

static ox_status make(struct ox_qplan *plan) {
    OX_TRY(ox_alloc(plan->ctx, &plan->nodes, plan->n_nodes, sizeof *plan->nodes));
    OX_TRY(ox_alloc(plan->ctx, &plan->values, plan->n_values, sizeof *plan->values));
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n))
        OX_TRY(init_node(plan, n));
    absorb_clamps(plan);
    find_runnable(plan);
    find_tails(plan);
    for (size_t i = 0; i < plan->n_values; i++) {
        plan->values[i].group = (uint32_t)i;
        plan->values[i].next = OX_QGROUP_END;
        plan->values[i].data =
            plan->model->values[i]->graph == plan->graph && is_data(plan->model->values[i]);
    }
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        const struct ox_qnode *q = &plan->nodes[n->id];
        if (q->role != OX_QROLE_WEIGHT) continue;
        struct ox_qvalue *v = ox_qvalue_of(plan, ox_node_in(n, 0));
        v->wants_channels = true;
        v->channels.axis = ox_qrole_channel_axis(n);
    }
    return find_leaves(plan);
}

ox_status ox_qplan_new(struct ox_qplan **out, struct ox_model *model,
                       const struct ox_qoptions *options) {
    struct ox_qplan *plan;
    OX_TRY(ox_alloc(model->ctx, &plan, 1, sizeof *plan));
    *plan = (struct ox_qplan){.ctx = model->ctx,
                              .model = model,
                              .graph = model->graph,
                              .options = *options,
                              .n_nodes = model->n_nodes,
                              .n_values = model->n_values};
    ox_status s = make(plan);
    if (s == OX_OK)
        *out = plan;
    else
        ox_qplan_free(plan);
    return s;
}

void ox_qplan_free(struct ox_qplan *plan) {
    if (!plan) return;
    ox_ctx *ctx = plan->ctx;
    for (size_t i = 0; plan->nodes && i < plan->n_nodes; i++) {
        ox_qweight_fini(ctx, &plan->nodes[i].weight);
        ox_free(ctx, plan->nodes[i].bias);
    }
    for (size_t i = 0; plan->values && i < plan->n_values; i++) {
        ox_hist_fini(ctx, &plan->values[i].hist);
        ox_free(ctx, plan->values[i].channels.sum);
        ox_free(ctx, plan->values[i].channels.squares);
    }
    ox_free(ctx, plan->nodes);
    ox_free(ctx, plan->values);
    ox_free(ctx, plan->leaves);
    ox_free(ctx, plan);
}

/* ---- settling ----------------------------------------------------------------------------------
 */

struct ox_qnode *ox_qplan_maker(const struct ox_qplan *plan, const struct ox_value *v) {
    struct ox_qnode *q = ox_qnode_of(plan, v->def);
    if (!q) return NULL;
    if (q->part_of) return q->part_of->result == v ? q->part_of : NULL;
    return q->result == v || v->def_index > 0 ? q : NULL;
}

bool ox_qplan_read_on(const struct ox_qplan *plan, const struct ox_value *v) {
    for (const struct ox_use *u = v->uses; u; u = u->next) {
        const struct ox_qnode *q = ox_qnode_of(plan, u->user);
        if (q && q->on && ox_qrole_data(q->role, ox_use_index(u))) return true;
    }
    return false;
}

static bool made_int8(const struct ox_qplan *plan, const struct ox_value *v) {
    const struct ox_qnode *q = ox_qplan_maker(plan, v);
    return q && q->on && !q->float_out;
}

static bool read_by_on_only(const struct ox_qplan *plan, const struct ox_node *n) {
    for (size_t i = 0; i < n->n_out; i++)
        for (const struct ox_use *u = n->out[i] ? n->out[i]->uses : NULL; u; u = u->next) {
            const struct ox_qnode *q = ox_qnode_of(plan, u->user);
            if (!q || !q->on || !ox_qrole_data(q->role, ox_use_index(u))) return false;
        }
    return true;
}

static bool any_output_read_on(const struct ox_qplan *plan, const struct ox_qnode *q) {
    if (q->node->n_out == 1) return ox_qplan_read_on(plan, q->result);
    for (size_t i = 0; i < q->node->n_out; i++)
        if (q->node->out[i] && ox_qplan_read_on(plan, q->node->out[i])) return true;
    return false;
}

static bool operands_allow(const struct ox_qplan *plan, const struct ox_qnode *q, bool small_ones) {
    size_t made = 0;
    for (size_t i = 0; i < q->node->n_in; i++) {
        const struct ox_value *v = q->node->in[i].value;
        const struct ox_qvalue *qv = ox_qvalue_of(plan, v);
        if (!v || ox_value_const(v)) continue;
        if (made_int8(plan, v)) {
            made++;
            continue;
        }
        const struct ox_qvalue *out = ox_qvalue_of(plan, q->result);
        if (!small_ones || !qv->seen || qv->elements * SMALL_OPERAND > out->elements) return false;
    }
    return made > 0;
}

/* Can the node be on, given who else is? */
static bool allowed(const struct ox_qplan *plan, const struct ox_qnode *q) {
    for (size_t i = 0; i < q->node->n_in; i++) {
        const struct ox_value *v = q->node->in[i].value;
        if (v && ox_qrole_data(q->role, i) && !ox_value_const(v) && !ox_qvalue_of(plan, v)->seen)
            return false;
    }
    if (!ox_qvalue_of(plan, q->result)->seen) return false;
    switch (q->role) {
    case OX_QROLE_FLOAT:
        return false;
    case OX_QROLE_WEIGHT:
    case OX_QROLE_PRODUCT:
        return true;
    case OX_QROLE_ELTWISE:
        return operands_allow(plan, q, true) && any_output_read_on(plan, q);
    case OX_QROLE_UNIFY:
        return operands_allow(plan, q, false) && any_output_read_on(plan, q);
    case OX_QROLE_MOVE:
    case OX_QROLE_CLAMP:
        return any_output_read_on(plan, q) &&
               (made_int8(plan, q->node->in[0].value) || read_by_on_only(plan, q->node));
    }
    return false;
}

static bool wants_float_out(const struct ox_qplan *plan, const struct ox_qnode *q) {
    if (q->role != OX_QROLE_WEIGHT && q->role != OX_QROLE_PRODUCT) return false;
    if (q->keep_float_out) return true;
    return (q->role == OX_QROLE_PRODUCT || ox_qrole_float_out_free(q->node)) &&
           !ox_qplan_read_on(plan, q->result);
}

void ox_qplan_settle(struct ox_qplan *plan) {
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        q->on = q->node && q->wanted && !q->part_of;
        q->float_out = false;
    }
    /* Nodes only ever go off, and outputs only ever become float, so this ends. */
    for (bool changed = true; changed;) {
        changed = false;
        for (struct ox_node *n = plan->graph->ret->prev; n; n = n->prev) {
            struct ox_qnode *q = &plan->nodes[n->id];
            if (!q->on) continue;
            bool on = allowed(plan, q), float_out = q->float_out || wants_float_out(plan, q);
            if (on && float_out == q->float_out) continue;
            q->on = on;
            q->float_out = float_out;
            changed = true;
        }
    }
    for (size_t i = 0; i < plan->n_values; i++) {
        struct ox_qvalue *v = &plan->values[i];
        v->made = v->data && made_int8(plan, plan->model->values[i]);
        v->read = v->data && !v->made && ox_qplan_read_on(plan, plan->model->values[i]);
    }
    /* ONNX Runtime up to 1.21 rounds float weights behind a DequantizeLinear by itself, with one
     * scale for all channels. It leaves weights alone that have scales per channel already; the
     * arithmetic is in float then. */
    for (size_t i = 0; i < plan->n_nodes; i++) {
        struct ox_qnode *q = &plan->nodes[i];
        q->weight_only =
            q->node && q->role == OX_QROLE_WEIGHT && !q->on && plan->values[q->data->id].made;
    }
}

/* ---- scales in common --------------------------------------------------------------------------
 */

static uint32_t root(struct ox_qplan *plan, uint32_t id) {
    while (plan->values[id].group != id)
        id = plan->values[id].group = plan->values[plan->values[id].group].group;
    return id;
}

static void join(struct ox_qplan *plan, const struct ox_value *a, const struct ox_value *b) {
    uint32_t x = root(plan, a->id), y = root(plan, b->id);
    if (x < y)
        plan->values[y].group = x;
    else
        plan->values[x].group = y;
}

/* Joining an operand of Concat to its output spares a rounding. It costs precision where the
 * operand is much smaller than the output and others read it as well. */
static bool joins(const struct ox_qplan *plan, const struct ox_value *operand,
                  const struct ox_value *out) {
    const struct ox_hist *a = &plan->values[operand->id].hist, *b = &plan->values[out->id].hist;
    double narrow = fmax(a->max, 0) - fmin(a->min, 0), wide = fmax(b->max, 0) - fmin(b->min, 0);
    return operand->n_uses == 1 || narrow * 2 >= wide;
}

void ox_qplan_group(struct ox_qplan *plan) {
    for (struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        const struct ox_qnode *q = &plan->nodes[n->id];
        if (!q->on) continue;
        if (q->role == OX_QROLE_MOVE || q->role == OX_QROLE_CLAMP)
            for (size_t i = 0; i < n->n_out; i++)
                if (n->out[i]) join(plan, n->in[0].value, n->out[i]);
        if (q->role == OX_QROLE_UNIFY)
            for (size_t i = 0; i < n->n_in; i++)
                if (joins(plan, n->in[i].value, q->result)) join(plan, n->in[i].value, q->result);
    }
    /* Roots are the smallest of their groups, so going down each list grows at its front, behind
     * the root. */
    for (size_t i = plan->n_values; i-- > 0;) {
        struct ox_qvalue *v = &plan->values[i];
        uint32_t top = v->group = root(plan, (uint32_t)i);
        if (top == i) continue;
        v->next = plan->values[top].next;
        plan->values[top].next = (uint32_t)i;
    }
}
