/* backend/native/lower.c - the walk: from the results of a graph backwards, asking lower.def about
 * each node that somebody wants; see lower.h. */
#include "backend/native/lower_priv.h"

#include <onnxopt/save.h>

/* ---- who lowers what ------------------------------------------------------------------------- */

#define LOWER(domain, op, function)                                                                \
    ox_status ox_lower_##function(struct ox_lower *lo, const struct ox_node *node, bool *claimed);
#include "backend/native/lower.def"
#undef LOWER

#define DOMAIN_ONNX ""
#define DOMAIN_MS "com.microsoft"
static const struct {
    const char *domain, *op;
    ox_lower_fn fn;
} rows[] = {
#define LOWER(domain, op, function) {DOMAIN_##domain, #op, ox_lower_##function},
#include "backend/native/lower.def"
#undef LOWER
    {NULL, NULL, NULL},
};

static int order(const char *domain, const char *op, size_t row) {
    int by_domain = strcmp(domain, rows[row].domain);
    return by_domain ? by_domain : strcmp(op, rows[row].op);
}

/* The first row of an operator; the others follow it. *n: how many; 0: the native path has none. */
static size_t find_rows(size_t *n, const char *domain, const char *op) {
    const size_t end = sizeof rows / sizeof *rows - 1;
    size_t low = 0, high = end;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (order(domain, op, mid) > 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (*n = 0; low + *n < end && order(domain, op, low + *n) == 0; ++*n) {
    }
    return low;
}

bool ox_native_lowers(const char *domain, const char *op) {
    size_t n;
    find_rows(&n, domain, op);
    return n > 0;
}

/* ---- steps ----------------------------------------------------------------------------------- */

ox_status ox_lower_new_step(struct ox_low_step **out, struct ox_lower *lo, unsigned kind,
                            const struct ox_node *node, size_t n_in, const ox_operand *in,
                            size_t n_out, const ox_operand *out_operands) {
    struct ox_low_step *s;
    OX_TRY(ox_arena_alloc(&lo->arena, &s, 1, sizeof *s));
    OX_TRY(ox_arena_alloc(&lo->arena, &s->in, n_in, sizeof *s->in));
    OX_TRY(ox_arena_alloc(&lo->arena, &s->out, n_out, sizeof *s->out));
    for (size_t i = 0; i < n_in; i++)
        s->in[i] = in[i].id;
    for (size_t i = 0; i < n_out; i++)
        s->out[i] = out_operands[i].id;
    s->kind = kind;
    s->node = node;
    s->n_in = n_in;
    s->n_out = n_out;
    *out = s;
    return OX_OK;
}

static ox_status put(struct ox_lower *lo, struct ox_low_step *step) {
    OX_TRY(OX_GROW(lo->ctx, lo->tile, lo->n_tile, lo->cap_tile));
    lo->tile[lo->n_tile++] = step;
    return OX_OK;
}

static ox_status check_native(struct ox_lower *lo, const struct ox_low_step *s) {
    const ox_tensor **consts;
    bool *present;
    OX_TRY(ox_arena_alloc(&lo->arena, &consts, s->n_in, sizeof *consts));
    OX_TRY(ox_arena_alloc(&lo->arena, &present, s->n_in, sizeof *present));
    for (size_t i = 0; i < s->n_in; i++) {
        present[i] = s->in[i] != OX_BLOB_NONE;
        if (present[i] && (s->in[i] & OX_BLOB_CONST_BIT))
            consts[i] = lo->consts[s->in[i] & ~OX_BLOB_CONST_BIT].tensor;
    }
    const struct ox_step step = {s->kind, s->params, s->n_in, s->n_out, present, consts, 0};
    if (ox_step_check(lo->ctx, &step) == OX_OK) return OX_OK;
    return ox_fail(lo->ctx, OX_INTERNAL, "bad-step", NULL,
                   "the lowering made a step that its check refuses");
}

ox_status ox_lower_step(struct ox_lower *lo, const struct ox_node *node, unsigned kind,
                        const void *params, size_t n_in, const ox_operand *in, size_t n_out,
                        const ox_operand *out) {
    const struct ox_step_kind_info *info = ox_step_kind_find(kind);
    struct ox_low_step *s;
    const char *copy;
    if (!info)
        return ox_fail(lo->ctx, OX_INTERNAL, "bad-step", NULL, "no kind of step has number %u",
                       kind);
    OX_TRY(ox_lower_new_step(&s, lo, kind, node, n_in, in, n_out, out));
    OX_TRY(ox_arena_copy(&lo->arena, &copy, params, info->params_size));
    s->params = copy;
    s->params_size = info->params_size;
    OX_TRY(check_native(lo, s));
    return put(lo, s);
}

/* ---- conversions ----------------------------------------------------------------------------- */

static ox_status shift_step(struct ox_lower *lo, const struct ox_node *node, bool to_signed,
                            ox_operand from, ox_operand to) {
    const struct ox_step_shift_params p = {.to_signed = to_signed};
    return ox_lower_step(lo, node, OX_STEP_SHIFT, &p, 1, &from, 1, &to);
}

static ox_status transpose_step(struct ox_lower *lo, const struct ox_node *node,
                                const struct ox_value *v, bool to_last, ox_operand from,
                                ox_operand to) {
    int rank = v->type->kind == OX_TYPE_TENSOR ? v->type->rank : -1;
    struct ox_step_transpose_params p = {.rank = (uint32_t)rank};
    if (rank < 3 || rank > OX_STEP_RANK_MAX)
        return ox_fail(lo->ctx, OX_INTERNAL, "bad-form", NULL, "channels last of rank %d", rank);
    for (int i = 1; i < rank - 1; i++)
        p.perm[to_last ? i : i + 1] = (uint8_t)(to_last ? i + 1 : i);
    p.perm[to_last ? rank - 1 : 1] = (uint8_t)(to_last ? 1 : rank - 1);
    return ox_lower_step(lo, node, OX_STEP_TRANSPOSE, &p, 1, &from, 1, &to);
}

/* One bit of the form at a time: from a form that is there to one that differs in one bit, and so
 * on. */
static ox_status convert(struct ox_lower *lo, const struct ox_node *node, const struct ox_value *v,
                         unsigned form) {
    struct ox_low_value *lv = &lo->values[v->id];
    unsigned from = form;
    ox_operand a, b;
    for (unsigned bits = 1; from == form && bits < OX_FORMS; bits++)
        if (lv->made >> (form ^ bits) & 1) from = form ^ bits;
    if (from == form)
        return ox_fail(lo->ctx, OX_INTERNAL, "bad-form", NULL, "value '%s' is made in no form",
                       ox_name_text(v->name));
    unsigned differs = from ^ form,
             next = differs == OX_FORM_LAST_SHIFTED ? from ^ OX_FORM_SHIFTED : form;
    OX_TRY(ox_lower_out(&b, lo, v, next));
    a.id = lv->slot[from] - 1;
    if ((from ^ next) == OX_FORM_SHIFTED)
        OX_TRY(shift_step(lo, node, next & OX_FORM_SHIFTED, a, b));
    else
        OX_TRY(transpose_step(lo, node, v, next & OX_FORM_LAST, a, b));
    return next == form ? OX_OK : convert(lo, node, v, form); /* once more at most */
}

static ox_status convert_all(struct ox_lower *lo, const struct ox_node *node,
                             const struct ox_value *v) {
    for (unsigned form = 0; v && form < OX_FORMS; form++) {
        const struct ox_low_value *lv = &lo->values[v->id];
        if (lv->made && (lv->wanted >> form & 1) && !(lv->made >> form & 1))
            OX_TRY(convert(lo, node, v, form));
    }
    return OX_OK;
}

/* ---- generic steps --------------------------------------------------------------------------- */

static ox_status lower_graph(struct ox_lower *lo, const struct ox_graph *graph,
                             struct ox_low_step *holder, uint32_t *frame);

struct nested {
    struct ox_lower *lo;
    struct ox_low_step *step;
};

static ox_status lower_nested(void *arg, struct ox_graph *graph) {
    struct nested *n = arg;
    return lower_graph(n->lo, graph, n->step, &n->step->frames[n->step->n_frames++]);
}

static size_t count_graphs(const struct ox_node *n) {
    size_t count = 0;
    for (size_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].type == OX_ATTR_GRAPH || n->attrs[i].type == OX_ATTR_GRAPHS)
            count += n->attrs[i].count;
    return count;
}

static ox_status lower_generic(struct ox_lower *lo, const struct ox_node *n) {
    struct ox_low_step *s;
    ox_operand *in, *out;
    if (!n->op || (!n->op->eval && !(n->op->traits & OX_CONTROL)))
        return ox_fail(lo->ctx, OX_UNSUPPORTED, "cannot-run", NULL,
                       "operator %s%s%s cannot be executed%s", ox_name_text(n->domain),
                       n->domain ? "::" : "", ox_name_text(n->type),
                       n->callee ? " (a model-local function: inline it first)" : "");
    OX_TRY(ox_arena_alloc(&lo->arena, &in, n->n_in, sizeof *in));
    OX_TRY(ox_arena_alloc(&lo->arena, &out, n->n_out, sizeof *out));
    for (size_t i = 0; i < n->n_in; i++)
        OX_TRY(ox_lower_in(&in[i], lo, n->in[i].value, OX_FORM_PLAIN));
    for (size_t i = 0; i < n->n_out; i++) {
        out[i] = OX_OPERAND_NONE;
        if (ox_lower_wanted(lo, n->out[i]))
            OX_TRY(ox_lower_out(&out[i], lo, n->out[i], OX_FORM_PLAIN));
    }
    OX_TRY(ox_lower_new_step(&s, lo, OX_BLOB_GENERIC, n, n->n_in, in, n->n_out, out));
    for (size_t i = 0; i < n->n_out && !s->why; i++)
        if (n->out[i]) s->why = lo->values[n->out[i]->id].why;
    OX_TRY(put(lo, s));
    OX_TRY(ox_arena_alloc(&lo->arena, &s->frames, count_graphs(n), sizeof *s->frames));
    struct nested nested = {lo, s};
    return ox_node_each_graph(n, lower_nested, &nested);
}

ox_status ox_lower_move(struct ox_lower *lo, const struct ox_node *n, ox_operand data,
                        size_t result, ox_operand to) {
    struct ox_low_step *s;
    ox_operand *in, *out;
    OX_TRY(ox_arena_alloc(&lo->arena, &in, n->n_in, sizeof *in));
    OX_TRY(ox_arena_alloc(&lo->arena, &out, n->n_out, sizeof *out));
    in[0] = data;
    for (size_t i = 1; i < n->n_in; i++)
        OX_TRY(ox_lower_in(&in[i], lo, n->in[i].value, OX_FORM_PLAIN));
    for (size_t i = 0; i < n->n_out; i++)
        out[i] = i == result ? to : OX_OPERAND_NONE;
    OX_TRY(ox_lower_new_step(&s, lo, OX_BLOB_GENERIC, n, n->n_in, in, n->n_out, out));
    return put(lo, s);
}

/* ---- the walk -------------------------------------------------------------------------------- */

static bool is_wanted(const struct ox_lower *lo, const struct ox_node *n) {
    for (size_t i = 0; i < n->n_out; i++)
        if (ox_lower_wanted(lo, n->out[i])) return true;
    return !ox_node_removable(n);
}

static ox_status claim(struct ox_lower *lo, const struct ox_node *n) {
    bool claimed = false;
    size_t n_rows = 0, first = n->op ? find_rows(&n_rows, n->op->domain, n->op->name) : 0;
    for (size_t i = 0; i < n_rows && !claimed; i++)
        OX_TRY(rows[first + i].fn(lo, n, &claimed));
    return claimed ? OX_OK : lower_generic(lo, n);
}

/* The tile's steps go to the frame, last first. */
static ox_status push_tile(struct ox_lower *lo, struct ox_low_step **tile, size_t n) {
    struct ox_low_frame *f = &lo->frames[lo->frame];
    while (n-- > 0) {
        OX_TRY(OX_GROW(lo->ctx, f->steps, f->n_steps, f->cap_steps));
        f->steps[f->n_steps++] = tile[n];
    }
    return OX_OK;
}

/* A tile is made while the tile of the node that holds this graph is still open: it is put aside.
 */
static ox_status with_tile(struct ox_lower *lo,
                           ox_status (*fn)(struct ox_lower *lo, const void *arg), const void *arg) {
    struct ox_low_step **outer = lo->tile;
    size_t n = lo->n_tile, cap = lo->cap_tile;
    lo->tile = NULL;
    lo->n_tile = lo->cap_tile = 0;
    ox_status s = fn(lo, arg);
    if (s == OX_OK) s = push_tile(lo, lo->tile, lo->n_tile);
    ox_free(lo->ctx, lo->tile);
    lo->tile = outer;
    lo->n_tile = n;
    lo->cap_tile = cap;
    return s;
}

static ox_status tile_of_node(struct ox_lower *lo, const void *arg) {
    const struct ox_node *n = arg;
    struct ox_place place;
    ox_node_place(&place, n);
    const struct ox_place *former = ox_place_set(lo->ctx, &place);
    ox_status s = claim(lo, n);
    for (size_t i = 0; i < n->n_out && s == OX_OK; i++) {
        const struct ox_low_value *lv = n->out[i] ? &lo->values[n->out[i]->id] : NULL;
        if (lv && lv->wanted && !lv->made)
            s = ox_fail(lo->ctx, OX_INTERNAL, "bad-step", NULL,
                        "output %zu is wanted and was not made", i);
        if (s == OX_OK) s = convert_all(lo, n, n->out[i]);
    }
    ox_place_set(lo->ctx, former);
    return s;
}

static ox_status tile_of_inputs(struct ox_lower *lo, const void *arg) {
    const struct ox_graph *g = arg;
    for (size_t i = 0; i < g->n_inputs; i++)
        OX_TRY(convert_all(lo, NULL, g->inputs[i]));
    return OX_OK;
}

static ox_status lower_inputs(struct ox_lower *lo, const struct ox_graph *g) {
    uint32_t *in;
    size_t n = 0;
    OX_TRY(ox_arena_alloc(&lo->arena, &in, g->n_inputs, sizeof *in));
    for (size_t i = 0; i < g->n_inputs; i++) {
        ox_operand slot;
        if (lo->frame == 0 && !ox_lower_is_port(g->inputs[i])) continue;
        OX_TRY(ox_lower_out(&slot, lo, g->inputs[i], OX_FORM_PLAIN));
        in[n++] = slot.id;
    }
    lo->frames[lo->frame].in = in;
    lo->frames[lo->frame].n_in = n;
    return OX_OK;
}

static ox_status lower_outputs(struct ox_lower *lo, const struct ox_graph *g) {
    uint32_t *out;
    OX_TRY(ox_arena_alloc(&lo->arena, &out, g->ret->n_in, sizeof *out));
    for (size_t i = 0; i < g->ret->n_in; i++) {
        ox_operand slot;
        if (!g->ret->in[i].value)
            return ox_fail(lo->ctx, OX_INVALID, "no-output", NULL,
                           "output '%s' of graph '%s' has no value",
                           ox_name_text(g->outputs[i].name), ox_name_text(g->name));
        OX_TRY(ox_lower_in(&slot, lo, g->ret->in[i].value, OX_FORM_PLAIN));
        out[i] = slot.id;
    }
    lo->frames[lo->frame].out = out;
    lo->frames[lo->frame].n_out = g->ret->n_in;
    return OX_OK;
}

static ox_status lower_nodes(struct ox_lower *lo, const struct ox_graph *g) {
    OX_TRY(lower_outputs(lo, g));
    for (const struct ox_node *n = g->ret->prev; n; n = n->prev)
        if (is_wanted(lo, n)) OX_TRY(with_tile(lo, tile_of_node, n));
    OX_TRY(lower_inputs(lo, g));
    return with_tile(lo, tile_of_inputs, g);
}

static ox_status lower_graph(struct ox_lower *lo, const struct ox_graph *graph,
                             struct ox_low_step *holder, uint32_t *frame) {
    uint32_t outer = lo->frame;
    OX_TRY(OX_GROW(lo->ctx, lo->frames, lo->n_frames, lo->cap_frames));
    lo->frames[lo->n_frames] =
        (struct ox_low_frame){.graph = graph, .holder = holder, .parent = outer};
    lo->frame = (uint32_t)lo->n_frames++;
    if (frame) *frame = lo->frame;
    ox_status s = lower_nodes(lo, graph);
    struct ox_low_frame *f = &lo->frames[lo->frame];
    for (size_t i = 0, j = f->n_steps; s == OX_OK && j > i + 1; i++) {
        j--;
        struct ox_low_step *step = f->steps[i];
        f->steps[i] = f->steps[j];
        f->steps[j] = step;
    }
    for (size_t i = 0; i < f->n_steps; i++) {
        f->steps[i]->frame = lo->frame;
        f->steps[i]->at = (uint32_t)i;
    }
    lo->frame = outer;
    return s;
}

ox_status ox_lower_run(struct ox_lower *lo) {
    return lower_graph(lo, lo->model->graph, NULL, NULL);
}
