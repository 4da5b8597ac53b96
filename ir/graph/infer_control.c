/* ir/graph/infer_control.c - see infer_control.h; ONNX operator specification, "If", "Loop", "Scan", "SequenceMap". */
#include "ir/graph/infer_control.h"

#include "ir/ops/op_control.h"

static int kind_of(const struct ox_node *node)
{
    return *(const int *)node->op->family;
}

static const struct ox_graph *body_of(const struct ox_node *node, const char *name)
{
    const struct ox_attr *a = ox_node_attr(node, name);
    return a && a->type == OX_ATTR_GRAPH ? a->v.g : NULL;
}

static size_t scan_inputs(const struct ox_node *node)
{
    const struct ox_attr *a = ox_node_attr(node, "num_scan_inputs");
    return a && a->type == OX_ATTR_INT && a->v.i > 0 && (uint64_t)a->v.i <= node->n_in ? (size_t)a->v.i : 0;
}

static int64_t axis_of(const struct ox_node *node, const char *name, size_t i)
{
    const struct ox_attr *a = ox_node_attr(node, name);
    return a && a->type == OX_ATTR_INTS && i < a->count ? a->v.ints[i] : 0;
}

/* ---- in -------------------------------------------------------------------------------------- */

/* The value has at least this element type; a type with more in it stays. */
static ox_status refine(struct ox_value *value, struct ox_arena *arena, const struct ox_type *type)
{
    bool conflict = false;
    const struct ox_type *merged;
    if (!type || type->kind == OX_TYPE_UNKNOWN) return OX_OK;
    OX_TRY(ox_type_merge(&merged, &conflict, arena, value->type, type));
    if (!conflict) value->type = merged;
    return OX_OK;
}

static ox_status refine_dtype(struct ox_value *value, struct ox_arena *arena, const struct ox_value *from)
{
    const struct ox_type *type;
    if (!from || from->type->kind != OX_TYPE_TENSOR) return from ? refine(value, arena, from->type) : OX_OK;
    if (value->type->kind == OX_TYPE_TENSOR && value->type->dtype != OX_UNDEFINED) return OX_OK;
    OX_TRY(ox_type_tensor(&type, arena, from->type->dtype, -1, NULL));
    return refine(value, arena, type);
}

/* One step along an axis. */
static ox_status refine_step(struct ox_value *value, struct ox_arena *arena, const struct ox_value *from, int64_t axis)
{
    const struct ox_type *t = from ? from->type : NULL, *type;
    ox_dim dims[OX_MAX_RANK];
    if (!ox_type_is_tensor(t)) return OX_OK;
    if (t->rank < 1 || axis < -t->rank || axis >= t->rank) return refine_dtype(value, arena, from);
    if (axis < 0) axis += t->rank;
    if (value->type->kind == OX_TYPE_TENSOR && value->type->rank == t->rank - 1 && ox_type_is_static(value->type)) return OX_OK;
    for (int i = 0, n = 0; i < t->rank; i++)
        if (i != axis) dims[n++] = t->dims[i];
    OX_TRY(ox_type_tensor(&type, arena, t->dtype, t->rank - 1, dims));
    return refine(value, arena, type);
}

static ox_status enter_loop(const struct ox_node *node, const struct ox_graph *body, struct ox_arena *arena)
{
    static const ox_dtype own[2] = {OX_INT64, OX_BOOL};
    for (size_t i = 0; i < body->n_inputs; i++) {
        const struct ox_type *type;
        if (i >= 2) {
            OX_TRY(refine_dtype(body->inputs[i], arena, ox_node_in(node, i)));
            continue;
        }
        if (body->inputs[i]->type->kind == OX_TYPE_TENSOR) continue;
        OX_TRY(ox_type_tensor(&type, arena, own[i], -1, NULL));
        OX_TRY(refine(body->inputs[i], arena, type));
    }
    return OX_OK;
}

static ox_status enter_scan(const struct ox_node *node, const struct ox_graph *body, struct ox_arena *arena)
{
    size_t skip = ox_node_opset(node) < 9 ? 1 : 0, n_scanned = scan_inputs(node), n_state = node->n_in - skip - n_scanned;
    for (size_t i = 0; i < body->n_inputs; i++) {
        const struct ox_value *from = ox_node_in(node, i + skip);
        if (i < n_state || skip)
            OX_TRY(refine_dtype(body->inputs[i], arena, from));
        else
            OX_TRY(refine_step(body->inputs[i], arena, from, axis_of(node, "scan_input_axes", i - n_state)));
    }
    return OX_OK;
}

static ox_status enter_map(const struct ox_node *node, const struct ox_graph *body, struct ox_arena *arena)
{
    for (size_t i = 0; i < body->n_inputs; i++) {
        const struct ox_value *from = ox_node_in(node, i);
        if (!from) continue;
        OX_TRY(refine(body->inputs[i], arena, from->type->kind == OX_TYPE_SEQUENCE ? from->type->elem : from->type));
    }
    return OX_OK;
}

ox_status ox_infer_enter(struct ox_node *node, struct ox_arena *arena)
{
    const struct ox_graph *body = body_of(node, "body");
    if (!body) return OX_OK;
    switch (kind_of(node)) {
    case OX_CONTROL_LOOP: return enter_loop(node, body, arena);
    case OX_CONTROL_SCAN: return node->n_in > scan_inputs(node) || ox_node_opset(node) >= 9 ? enter_scan(node, body, arena) : OX_OK;
    case OX_CONTROL_SEQUENCE_MAP: return enter_map(node, body, arena);
    default: return OX_OK;
    }
}

/* ---- out ------------------------------------------------------------------------------------- */

static const struct ox_type *result(const struct ox_graph *body, size_t i)
{
    return body && i < body->ret->n_in && body->ret->in[i].value ? body->ret->in[i].value->type : NULL;
}

/* What two branches agree on. */
static ox_status either(const struct ox_type **out, struct ox_arena *arena, struct ox_dims *dims, const struct ox_type *a, const struct ox_type *b)
{
    ox_dim common[OX_MAX_RANK];
    *out = NULL;
    if (!a || !b || a->kind != b->kind || a->dtype != b->dtype) return OX_OK;
    if (a->kind != OX_TYPE_TENSOR) {
        if (ox_type_same(a, b)) *out = a;
        return OX_OK;
    }
    if (a->rank < 0 || a->rank != b->rank) return ox_type_tensor(out, arena, a->dtype, -1, NULL);
    for (int i = 0; i < a->rank; i++) {
        common[i] = a->dims[i];
        if (!ox_dim_same(a->dims[i], b->dims[i])) OX_TRY(ox_dim_unknown(&common[i], dims));
    }
    return ox_type_tensor(out, arena, a->dtype, a->rank, common);
}

/* A type with one more axis of unknown length, or of `length` elements when that is known. */
static ox_status stacked(const struct ox_type **out, struct ox_arena *arena, struct ox_dims *dims, const struct ox_type *t, int64_t axis,
                         const ox_dim *length)
{
    ox_dim all[OX_MAX_RANK];
    *out = NULL;
    if (!ox_type_is_tensor(t)) return OX_OK;
    if (axis < 0) axis += t->rank + 1;
    if (t->rank < 0 || t->rank >= OX_MAX_RANK || axis < 0 || axis > t->rank) return ox_type_tensor(out, arena, t->dtype, -1, NULL);
    for (int i = 0, n = 0; i <= t->rank; i++) {
        if (i != axis)
            all[i] = t->dims[n++];
        else if (length)
            all[i] = *length;
        else
            OX_TRY(ox_dim_unknown(&all[i], dims));
    }
    return ox_type_tensor(out, arena, t->dtype, t->rank + 1, all);
}

static ox_status dtype_only(const struct ox_type **out, struct ox_arena *arena, const struct ox_type *t)
{
    if (ox_type_is_tensor(t)) return ox_type_tensor(out, arena, t->dtype, -1, NULL);
    *out = t;
    return OX_OK;
}

static ox_status leave_loop(const struct ox_type **out, const struct ox_node *node, size_t i, struct ox_arena *arena, struct ox_dims *dims)
{
    size_t n_state = node->n_in > 2 ? node->n_in - 2 : 0;
    const struct ox_type *t = result(body_of(node, "body"), i + 1);
    return i < n_state ? dtype_only(out, arena, t) : stacked(out, arena, dims, t, 0, NULL);
}

static ox_status leave_scan(const struct ox_type **out, const struct ox_node *node, size_t i, struct ox_arena *arena, struct ox_dims *dims)
{
    size_t n_scanned = scan_inputs(node), n_state = node->n_in - n_scanned;
    const struct ox_type *t = result(body_of(node, "body"), i);
    if (ox_node_opset(node) < 9) return dtype_only(out, arena, t);
    if (i < n_state) return dtype_only(out, arena, t);
    const struct ox_value *first = n_scanned ? ox_node_in(node, n_state) : NULL;
    int64_t axis = axis_of(node, "scan_input_axes", 0);
    const ox_dim *length = NULL;
    if (first && ox_type_is_tensor(first->type) && first->type->rank > 0 && axis >= -first->type->rank && axis < first->type->rank)
        length = &first->type->dims[axis < 0 ? axis + first->type->rank : axis];
    return stacked(out, arena, dims, t, axis_of(node, "scan_output_axes", i - n_state), length);
}

ox_status ox_infer_leave(const struct ox_type **out, const struct ox_node *node, size_t i, struct ox_arena *arena, struct ox_dims *dims)
{
    struct ox_type *sequence;
    const struct ox_type *t;
    *out = NULL;
    switch (kind_of(node)) {
    case OX_CONTROL_IF: return either(out, arena, dims, result(body_of(node, "then_branch"), i), result(body_of(node, "else_branch"), i));
    case OX_CONTROL_LOOP: return leave_loop(out, node, i, arena, dims);
    case OX_CONTROL_SCAN: return leave_scan(out, node, i, arena, dims);
    case OX_CONTROL_FLEX: return OX_OK; /* the row tells */
    default:
        t = result(body_of(node, "body"), i);
        if (!t || t->kind == OX_TYPE_UNKNOWN) return OX_OK;
        OX_TRY(ox_arena_alloc(arena, &sequence, 1, sizeof *sequence));
        *sequence = (struct ox_type){.kind = OX_TYPE_SEQUENCE, .rank = -1, .elem = t};
        *out = sequence;
        return OX_OK;
    }
}
