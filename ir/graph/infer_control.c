/* ir/graph/infer_control.c - types across the border of subgraphs: what a control-flow node's
 * operands tell of its bodies' inputs, and the bodies' outputs of its own. The node has been
 * verified: its bodies are there and their arity fits. ONNX operator specification, "If", "Loop",
 * "Scan", "SequenceMap".
 *
 * A branch that a condition known by now does not take tells nothing, and no error in it counts:
 * exporters write both ways of doing a thing, one of which does not fit the shapes. */
#include "ir/graph/infer_priv.h"

#include "ir/ops/op_control.h"

static int kind_of(const struct ox_node *node) {
    return *(const int *)node->op->family;
}

static struct ox_graph *body_of(const struct ox_node *node, const char *name) {
    const struct ox_attr *a = ox_node_attr(node, name);
    return a && a->type == OX_ATTR_GRAPH ? a->v.g : NULL;
}

static size_t scan_inputs(const struct ox_node *node) {
    const struct ox_attr *a = ox_node_attr(node, "num_scan_inputs");
    return a && a->type == OX_ATTR_INT && a->v.i > 0 && (uint64_t)a->v.i <= node->n_in
               ? (size_t)a->v.i
               : 0;
}

static int64_t axis_of(const struct ox_node *node, const char *name, size_t i) {
    const struct ox_attr *a = ox_node_attr(node, name);
    return a && a->type == OX_ATTR_INTS && i < a->count ? a->v.ints[i] : 0;
}

/* ---- in -------------------------------------------------------------------------------------- */

/* The value has at least this element type; a type with more in it stays. */
static ox_status refine(struct ox_value *value, struct ox_arena *arena,
                        const struct ox_type *type) {
    bool conflict = false;
    const struct ox_type *merged;
    if (!type || type->kind == OX_TYPE_UNKNOWN) return OX_OK;
    OX_TRY(ox_type_merge(&merged, &conflict, arena, value->type, type));
    if (!conflict) value->type = merged;
    return OX_OK;
}

static ox_status refine_dtype(struct ox_value *value, struct ox_arena *arena,
                              const struct ox_value *from) {
    const struct ox_type *type;
    if (!from || from->type->kind != OX_TYPE_TENSOR)
        return from ? refine(value, arena, from->type) : OX_OK;
    if (value->type->kind == OX_TYPE_TENSOR && value->type->dtype != OX_UNDEFINED) return OX_OK;
    OX_TRY(ox_type_tensor(&type, arena, from->type->dtype, -1, NULL));
    return refine(value, arena, type);
}

/* One step along an axis. */
static ox_status refine_step(struct ox_value *value, struct ox_arena *arena,
                             const struct ox_value *from, int64_t axis) {
    const struct ox_type *t = from ? from->type : NULL, *type;
    ox_dim dims[OX_MAX_RANK];
    if (!ox_type_is_tensor(t)) return OX_OK;
    if (t->rank < 1 || axis < -t->rank || axis >= t->rank) return refine_dtype(value, arena, from);
    if (axis < 0) axis += t->rank;
    if (value->type->kind == OX_TYPE_TENSOR && value->type->rank == t->rank - 1 &&
        ox_type_is_static(value->type))
        return OX_OK;
    for (int i = 0, n = 0; i < t->rank; i++)
        if (i != axis) dims[n++] = t->dims[i];
    OX_TRY(ox_type_tensor(&type, arena, t->dtype, t->rank - 1, dims));
    return refine(value, arena, type);
}

/* The first two inputs of a loop's body are scalars. */
static ox_status enter_loop(const struct ox_graph *body, struct ox_arena *arena) {
    static const ox_dtype own[2] = {OX_INT64, OX_BOOL};
    for (size_t i = 0; i < 2 && i < body->n_inputs; i++) {
        const struct ox_type *type;
        if (ox_type_is_static(body->inputs[i]->type)) continue;
        OX_TRY(ox_type_tensor(&type, arena, own[i], 0, NULL));
        OX_TRY(refine(body->inputs[i], arena, type));
    }
    return OX_OK;
}

static ox_status enter_scan(const struct ox_node *node, const struct ox_graph *body,
                            struct ox_arena *arena) {
    size_t skip = ox_node_opset(node) < 9 ? 1 : 0, n_scanned = scan_inputs(node),
           n_state = node->n_in - skip - n_scanned;
    for (size_t i = skip ? 0 : n_state; i < body->n_inputs; i++) {
        const struct ox_value *from = ox_node_in(node, i + skip);
        if (skip)
            OX_TRY(refine_dtype(body->inputs[i], arena, from));
        else
            OX_TRY(refine_step(body->inputs[i], arena, from,
                               axis_of(node, "scan_input_axes", i - n_state)));
    }
    return OX_OK;
}

static ox_status enter_map(const struct ox_node *node, const struct ox_graph *body,
                           struct ox_arena *arena) {
    for (size_t i = 0; i < body->n_inputs; i++) {
        const struct ox_value *from = ox_node_in(node, i);
        if (!from) continue;
        OX_TRY(refine(body->inputs[i], arena,
                      from->type->kind == OX_TYPE_SEQUENCE ? from->type->elem : from->type));
    }
    return OX_OK;
}

/* ---- out ------------------------------------------------------------------------------------- */

static const struct ox_type *result(const struct ox_graph *body, size_t i) {
    return body && i < body->ret->n_in && body->ret->in[i].value ? body->ret->in[i].value->type
                                                                 : NULL;
}

/* A dim with an unnamed unknown in it stands for another number at each step: outside, it is a
 * number of its own. */
static ox_status outside(ox_dim *dim, struct ox_dims *dims) {
    return ox_dim_is_known(*dim) ? OX_OK : ox_dim_unknown(dim, dims);
}

/* A type with one more axis of unknown length, or of `length` elements when that is known. */
static ox_status stacked(const struct ox_type **out, struct ox_arena *arena, struct ox_dims *dims,
                         const struct ox_type *t, int64_t axis, const ox_dim *length) {
    ox_dim all[OX_MAX_RANK];
    *out = NULL;
    if (!ox_type_is_tensor(t)) return OX_OK;
    if (axis < 0) axis += t->rank + 1;
    if (t->rank < 0 || t->rank >= OX_MAX_RANK || axis < 0 || axis > t->rank)
        return ox_type_tensor(out, arena, t->dtype, -1, NULL);
    for (int i = 0, n = 0; i <= t->rank; i++) {
        if (i == axis && length) {
            all[i] = *length;
        } else if (i == axis) {
            OX_TRY(ox_dim_unknown(&all[i], dims));
        } else {
            all[i] = t->dims[n++];
            OX_TRY(outside(&all[i], dims));
        }
    }
    return ox_type_tensor(out, arena, t->dtype, t->rank + 1, all);
}

static ox_status learn_stacked(struct ox_shapes *s, struct ox_node *node, size_t i,
                               const struct ox_type *t, int64_t axis, const ox_dim *length) {
    const struct ox_type *type;
    if (!node->out[i]) return OX_OK;
    OX_TRY(stacked(&type, &s->arena, &s->model->dims, t, axis, length));
    return ox_infer_learn(s, node->out[i], type);
}

/* ---- If -------------------------------------------------------------------------------------- */

/* A truth value that is known by now: 0 or 1, else -1. */
static ox_status truth(int *out, struct ox_shapes *s, const struct ox_value *v) {
    const struct ox_partial *p;
    const ox_tensor *t = ox_value_const(v);
    *out = -1;
    if (!v) return OX_OK;
    if (t && t->dtype == OX_BOOL && t->count == 1) {
        *out = *(const unsigned char *)t->data != 0;
        return OX_OK;
    }
    OX_TRY(ox_infer_known(&p, s, v));
    if (p && p->count == 1 && ox_dim_is_const(p->elems[0])) *out = p->elems[0].k != 0;
    return OX_OK;
}

/* What two values known in part have in common. */
static ox_status same_values(const struct ox_partial **out, struct ox_shapes *s,
                             const struct ox_partial *a, const struct ox_partial *b) {
    struct ox_partial *p;
    ox_dim *elems;
    *out = a;
    if (a == b) return OX_OK;
    *out = NULL;
    if (!a || !b || a->rank != b->rank || a->count != b->count) return OX_OK;
    OX_TRY(ox_arena_alloc(&s->arena, &p, 1, sizeof *p));
    OX_TRY(ox_arena_alloc(&s->arena, &elems, a->count, sizeof *elems));
    for (size_t i = 0; i < a->count; i++) {
        elems[i] = a->elems[i];
        if (!ox_dim_same(a->elems[i], b->elems[i]))
            OX_TRY(ox_dim_unknown_int(&elems[i], &s->model->dims));
    }
    *p = (struct ox_partial){a->rank, a->count, elems};
    *out = p;
    return OX_OK;
}

static ox_status leave_if(struct ox_shapes *s, struct ox_value *out, const struct ox_value *a,
                          const struct ox_value *b) {
    const struct ox_type *type;
    const struct ox_partial *known_a, *known_b, *known;
    OX_TRY(ox_type_common(&type, &s->arena, &s->model->dims, a->type, b->type));
    OX_TRY(ox_infer_learn(s, out, type));
    OX_TRY(ox_infer_known(&known_a, s, a));
    OX_TRY(ox_infer_known(&known_b, s, b));
    OX_TRY(same_values(&known, s, known_a, known_b));
    if (out->id < s->n_values) s->values[out->id] = known;
    return OX_OK;
}

static ox_status infer_if(struct ox_shapes *s, struct ox_node *node) {
    struct ox_graph *branch[2] = {body_of(node, "else_branch"), body_of(node, "then_branch")};
    int taken;
    if (!branch[0] || !branch[1]) return OX_OK;
    OX_TRY(truth(&taken, s, ox_node_in(node, 0)));
    for (int i = 1; i >= 0; i--)
        OX_TRY(i == taken ? ox_infer_graph(s, branch[i]) : ox_infer_maybe(s, branch[i]));
    for (size_t i = 0; i < node->n_out; i++) {
        const struct ox_value *a = ox_node_in(branch[taken != 0]->ret, i),
                              *b = ox_node_in(branch[taken > 0]->ret, i);
        if (node->out[i] && a && b) OX_TRY(leave_if(s, node->out[i], a, b));
    }
    return OX_OK;
}

/* ---- Loop, Scan, SequenceMap -------------------------------------------------------------------
 */

/* Does the loop go on until its trips are over? The condition it starts with is true, and the body
 * gives back what it is given, or true. */
static ox_status goes_on(bool *out, struct ox_shapes *s, const struct ox_node *node,
                         const struct ox_graph *body) {
    const struct ox_value *v = ox_node_in(body->ret, 0);
    int start = 1, next;
    *out = false;
    if (ox_node_in(node, 1)) OX_TRY(truth(&start, s, ox_node_in(node, 1)));
    while (v && v->def && ox_node_is(v->def, "Identity"))
        v = ox_node_in(v->def, 0);
    if (start != 1 || !v) return OX_OK;
    OX_TRY(truth(&next, s, v));
    *out = next == 1 || (body->n_inputs > 1 && v == body->inputs[1]);
    return OX_OK;
}

/* How often the loop runs, as a dim; false in *known where that cannot be said. */
static ox_status trips(bool *known, ox_dim *out, struct ox_shapes *s, const struct ox_node *node,
                       const struct ox_graph *body) {
    const struct ox_partial *p = NULL;
    OX_TRY(goes_on(known, s, node, body));
    if (*known && ox_node_in(node, 0)) OX_TRY(ox_infer_known(&p, s, ox_node_in(node, 0)));
    *known = p && p->count == 1;
    return *known ? ox_dim_max(out, &s->model->dims, p->elems[0], ox_dim_const(0)) : OX_OK;
}

static ox_status infer_loop(struct ox_shapes *s, struct ox_node *node) {
    struct ox_graph *body = body_of(node, "body");
    size_t n = node->n_in > 2 ? node->n_in - 2 : 0;
    bool known;
    ox_dim length;
    if (!body) return OX_OK;
    OX_TRY(enter_loop(body, &s->model->arena));
    OX_TRY(ox_infer_loop(s, node, body, &(struct ox_carried){n, 2, 2, 1}));
    OX_TRY(trips(&known, &length, s, node, body));
    for (size_t i = n; i < node->n_out; i++)
        OX_TRY(learn_stacked(s, node, i, result(body, i + 1), 0, known ? &length : NULL));
    return OX_OK;
}

/* The axis that the first scanned operand is cut along. */
static const ox_dim *scan_length(const struct ox_node *node, size_t n_state) {
    const struct ox_value *first = ox_node_in(node, n_state);
    int64_t axis = axis_of(node, "scan_input_axes", 0);
    if (!first || !ox_type_is_tensor(first->type)) return NULL;
    if (axis < 0) axis += first->type->rank;
    return axis >= 0 && axis < first->type->rank ? &first->type->dims[axis] : NULL;
}

/* Scan-8 has a batch in front of everything. */
static ox_status infer_batched_scan(struct ox_shapes *s, struct ox_node *node,
                                    struct ox_graph *body) {
    OX_TRY(ox_infer_graph(s, body));
    for (size_t i = 0; i < node->n_out; i++) {
        const struct ox_type *t = result(body, i);
        if (!node->out[i] || !ox_type_is_tensor(t)) continue;
        OX_TRY(ox_type_tensor(&t, &s->arena, t->dtype, -1, NULL));
        OX_TRY(ox_infer_learn(s, node->out[i], t));
    }
    return OX_OK;
}

static ox_status infer_scan(struct ox_shapes *s, struct ox_node *node) {
    struct ox_graph *body = body_of(node, "body");
    size_t n_scanned = scan_inputs(node), n = node->n_in - n_scanned;
    bool batched = ox_node_opset(node) < 9;
    if (!body) return OX_OK;
    if (!batched || n > 0) OX_TRY(enter_scan(node, body, &s->model->arena));
    if (batched) return infer_batched_scan(s, node, body);
    OX_TRY(ox_infer_loop(s, node, body, &(struct ox_carried){n, 0, 0, 0}));
    for (size_t i = n; i < node->n_out; i++)
        OX_TRY(learn_stacked(s, node, i, result(body, i), axis_of(node, "scan_output_axes", i - n),
                             n_scanned ? scan_length(node, n) : NULL));
    return OX_OK;
}

static ox_status infer_map(struct ox_shapes *s, struct ox_node *node) {
    struct ox_graph *body = body_of(node, "body");
    if (!body) return OX_OK;
    OX_TRY(enter_map(node, body, &s->model->arena));
    OX_TRY(ox_infer_graph(s, body));
    for (size_t i = 0; i < node->n_out; i++) {
        struct ox_type *sequence;
        const struct ox_type *t = result(body, i);
        if (!node->out[i] || !t || t->kind == OX_TYPE_UNKNOWN) continue;
        OX_TRY(ox_arena_alloc(&s->arena, &sequence, 1, sizeof *sequence));
        *sequence = (struct ox_type){.kind = OX_TYPE_SEQUENCE, .rank = -1, .elem = t};
        OX_TRY(ox_infer_learn(s, node->out[i], sequence));
    }
    return OX_OK;
}

/* Recursion is bounded by limits.max_subgraph_depth, which holds for every graph that is made. */
ox_status ox_infer_bodies(struct ox_shapes *s, struct ox_node *node) {
    if (!node->op || !(node->op->traits & OX_CONTROL))
        return ox_node_each_graph(node, ox_infer_graph, s);
    switch (kind_of(node)) {
    case OX_CONTROL_IF:
        return infer_if(s, node);
    case OX_CONTROL_LOOP:
        return infer_loop(s, node);
    case OX_CONTROL_SCAN:
        return infer_scan(s, node);
    case OX_CONTROL_FLEX:
        return ox_node_each_graph(node, ox_infer_graph, s); /* the row tells */
    default:
        return infer_map(s, node);
    }
}
