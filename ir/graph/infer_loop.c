/* ir/graph/infer_loop.c - what the values that a loop carries have in common at every step.
 *
 * A carried value may change its shape from step to step. So the body is tried with what is known
 * of the first step's values; what comes out otherwise than it went in is given up (a dim, the
 * rank, everything but the element type), until what comes out is what went in: then it holds for
 * all steps, by induction. Each trial knows less than the one before it, so there are few. Nothing
 * that a trial says is kept: types are as before when it is over, and diagnostics are those of the
 * last walk.
 *
 * What the file declares of a body's inputs is believed. */
#include "ir/graph/infer_priv.h"

enum { ROUNDS = 5 };

struct saved {
    struct ox_value *value;
    const struct ox_type *type;
};

struct loop {
    struct ox_shapes *s;
    struct ox_node *node;
    struct ox_graph *body;
    const struct ox_carried *c;
    const struct ox_type **guess; /* c->n: types of the carried values, in s->arena */
    int64_t first_unknown;        /* unknowns from here on were made here */
    struct saved *saved;          /* everything in the body, its inputs first */
    size_t n_saved, cap_saved;
};

/* ---- what is known before ----------------------------------------------------------------------
 */

static ox_status save(struct loop *l, struct ox_value *value) {
    if (!value) return OX_OK;
    OX_TRY(OX_GROW(l->s->ctx, l->saved, l->n_saved, l->cap_saved));
    l->saved[l->n_saved++] = (struct saved){value, value->type};
    return OX_OK;
}

/* Recursion is bounded by limits.max_subgraph_depth, and for calls by what ox_model_expand refuses.
 */
static ox_status save_graph(void *arg, struct ox_graph *graph) {
    for (size_t i = 0; i < graph->n_inputs; i++)
        OX_TRY(save(arg, graph->inputs[i]));
    for (struct ox_node *n = ox_graph_begin(graph); n; n = ox_node_next(n)) {
        for (size_t i = 0; i < n->n_out; i++)
            OX_TRY(save(arg, n->out[i]));
        if (n->instance) OX_TRY(save_graph(arg, n->instance->graph));
        if (n->n_attrs) OX_TRY(ox_node_each_graph(n, save_graph, arg));
    }
    return OX_OK;
}

static void restore(struct loop *l) {
    for (size_t i = 0; i < l->n_saved; i++)
        l->saved[i].value->type = l->saved[i].type;
}

static struct ox_value *input(const struct loop *l, size_t i) {
    return l->c->to + i < l->body->n_inputs ? l->body->inputs[l->c->to + i] : NULL;
}

static const struct ox_type *output(const struct loop *l, size_t i) {
    const struct ox_value *v = ox_node_in(l->body->ret, l->c->from + i);
    return v ? v->type : NULL;
}

static const struct ox_type *initial(const struct loop *l, size_t i) {
    const struct ox_value *v = ox_node_in(l->node, l->c->first + i);
    return v && v->type->kind != OX_TYPE_UNKNOWN ? v->type : NULL;
}

/* A type that says what kind of value it is, and no shape. */
static ox_status shapeless(const struct ox_type **out, struct ox_arena *arena,
                           const struct ox_type *type) {
    struct ox_type *t;
    *out = NULL;
    if (!type || type->kind == OX_TYPE_UNKNOWN || type->kind == OX_TYPE_SPARSE) return OX_OK;
    if (type->kind == OX_TYPE_TENSOR) return ox_type_tensor(out, arena, type->dtype, -1, NULL);
    OX_TRY(ox_arena_alloc(arena, &t, 1, sizeof *t));
    *t = *type;
    if (type->elem) OX_TRY(shapeless(&t->elem, arena, type->elem));
    if (!t->elem) return OX_OK;
    *out = t;
    return OX_OK;
}

/* What is declared, and what else `type` says. */
static ox_status believe(const struct ox_type **out, struct loop *l, size_t i,
                         const struct ox_type *type) {
    const struct ox_type *declared = input(l, i)->type;
    bool conflict = false;
    *out = declared;
    return type ? ox_type_merge(out, &conflict, &l->s->arena, declared, type) : OX_OK;
}

/* guess: of the first step's values, or no shapes at all. False in *assumes: nothing beyond what is
 * certain. */
static ox_status begin(bool *assumes, struct loop *l, bool shapes) {
    *assumes = false;
    for (size_t i = 0; i < l->c->n; i++) {
        const struct ox_type *from = initial(l, i), *least;
        if (!input(l, i)) continue;
        OX_TRY(shapeless(&least, &l->s->arena, from));
        OX_TRY(believe(&least, l, i, least));
        l->guess[i] = least;
        if (!shapes) continue;
        OX_TRY(believe(&l->guess[i], l, i, from));
        if (!ox_type_same(least, l->guess[i])) *assumes = true;
    }
    return OX_OK;
}

/* ---- trying ---------------------------------------------------------------------------------- */

static ox_status widen(const struct ox_type **out, struct loop *l, const struct ox_type *guess,
                       const struct ox_type *found);

static ox_status widen_list(const struct ox_type **out, struct loop *l, const struct ox_type *guess,
                            const struct ox_type *found) {
    struct ox_type *t;
    const struct ox_type *elem = NULL;
    *out = NULL;
    if (guess->elem && found->elem) OX_TRY(widen(&elem, l, guess->elem, found->elem));
    if (!elem) return OX_OK;
    OX_TRY(ox_arena_alloc(&l->s->arena, &t, 1, sizeof *t));
    *t = *guess;
    t->elem = elem;
    *out = t;
    return OX_OK;
}

/* What holds of both; dims that were given up already stay. NULL: nothing. */
static ox_status widen(const struct ox_type **out, struct loop *l, const struct ox_type *guess,
                       const struct ox_type *found) {
    ox_dim dims[OX_MAX_RANK];
    *out = NULL;
    if (!found || found->kind != guess->kind || guess->kind == OX_TYPE_UNKNOWN)
        return shapeless(out, &l->s->arena, guess);
    if (guess->kind == OX_TYPE_SEQUENCE || guess->kind == OX_TYPE_OPTIONAL)
        return widen_list(out, l, guess, found);
    if (guess->kind != OX_TYPE_TENSOR) {
        if (ox_type_same(guess, found)) *out = guess;
        return OX_OK;
    }
    if (guess->rank < 0 || guess->rank != found->rank) return shapeless(out, &l->s->arena, guess);
    for (int d = 0; d < guess->rank; d++) {
        dims[d] = guess->dims[d];
        bool given_up = ox_dim_unnamed(dims[d]) >= l->first_unknown;
        if (!given_up && !ox_dim_same(dims[d], found->dims[d]))
            OX_TRY(ox_dim_unknown(&dims[d], &l->s->model->dims));
    }
    return ox_type_tensor(out, &l->s->arena, guess->dtype, guess->rank, dims);
}

static ox_status walk(struct loop *l) {
    for (size_t i = 0; i < l->c->n; i++)
        if (input(l, i)) OX_TRY(ox_infer_keep(input(l, i), l->guess[i]));
    return ox_infer_graph(l->s, l->body);
}

/* One step with what is guessed; *stable: it comes out again. */
static ox_status try_step(bool *stable, struct loop *l) {
    struct ox_shapes *s = l->s;
    bool outer = s->trying;
    s->trying = true;
    ox_mute(s->ctx, true);
    ox_status status = walk(l);
    ox_mute(s->ctx, false);
    s->trying = outer;
    *stable = status == OX_OK;
    for (size_t i = 0; i < l->c->n && status == OX_OK; i++) {
        const struct ox_type *found = output(l, i), *next;
        if (!input(l, i)) continue;
        const struct ox_type *declared = l->saved[l->c->to + i].type;
        status = widen(&next, l, l->guess[i], found);
        bool conflict = false;
        if (status == OX_OK && next)
            status = ox_type_merge(&next, &conflict, &s->arena, declared, next);
        if (status != OX_OK) break;
        if (!next) next = declared;
        if (!ox_type_same(next, l->guess[i])) *stable = false;
        l->guess[i] = next;
    }
    restore(l);
    return status;
}

static ox_status settle(struct loop *l) {
    bool assumes, stable;
    OX_TRY(begin(&assumes, l, true));
    if (!assumes) return OX_OK;
    for (int round = 0; round < ROUNDS && l->s->trials > 0; round++) {
        ox_status status = try_step(&stable, l);
        if (status != OX_OK && status != OX_INVALID) return status;
        if (status == OX_INVALID) break; /* the last walk says what it is, if it is still there */
        if (stable) return OX_OK;
    }
    return begin(&assumes, l, false);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static ox_status leave(struct loop *l, size_t i) {
    const struct ox_type *first = initial(l, i), *last = output(l, i), *type = NULL;
    if (!ox_node_out(l->node, i)) return OX_OK;
    if (first && last) OX_TRY(ox_type_common(&type, &l->s->arena, &l->s->model->dims, first, last));
    if (!type) OX_TRY(shapeless(&type, &l->s->arena, last));
    return ox_infer_learn(l->s, ox_node_out(l->node, i), type);
}

ox_status ox_infer_loop(struct ox_shapes *s, struct ox_node *node, struct ox_graph *body,
                        const struct ox_carried *carried) {
    struct loop l = {.s = s,
                     .node = node,
                     .body = body,
                     .c = carried,
                     .first_unknown = s->model->dims.next_unknown};
    if (carried->n == 0) return ox_infer_graph(s, body);
    ox_status status = ox_alloc(s->ctx, &l.guess, carried->n, sizeof *l.guess);
    if (status == OX_OK) status = save_graph(&l, body);
    if (status == OX_OK) status = settle(&l);
    if (status == OX_OK) status = walk(&l);
    for (size_t i = 0; i < carried->n && status == OX_OK; i++)
        status = leave(&l, i);
    ox_free(s->ctx, l.saved);
    ox_free(s->ctx, l.guess);
    return status;
}
