/* passes/rules/rule_edit.c - the one door through which rules change a graph.
 *
 * An edit is prepared beside the graph: new nodes stand in the list before the root, but nothing
 * reads them yet. Then each is brought into the form of the opset and inferred, and the types of
 * what is replaced and what takes its place are compared. Only if all agree are uses moved; else
 * the new nodes are taken away again. Afterwards what has become dead goes at once, weights too,
 * because they may be large: nodes against the flow of data from what was replaced. */
#include "passes/rules/consts.h"
#include "passes/rules/rule_priv.h"

#include <stdio.h>

/* ---- what was matched ------------------------------------------------------------------------ */

struct ox_pass_run *ox_match_run(const struct ox_match *m) {
    return m->run;
}

static const struct ox_value *pattern_value(const struct ox_match *m, const char *name) {
    const struct ox_model *p = m->code->match;
    for (uint32_t i = 0; i < p->n_values; i++)
        if (ox_name_is(p->values[i]->name, name)) return p->values[i];
    return NULL;
}

struct ox_value *ox_match_value(const struct ox_match *m, const char *name) {
    const struct ox_value *v = pattern_value(m, name);
    return v ? m->values[v->id] : NULL;
}

ox_tensor *ox_match_const(const struct ox_match *m, const char *name) {
    return ox_value_const(ox_match_value(m, name));
}

const struct ox_type *ox_match_type(const struct ox_match *m, const char *name) {
    static const struct ox_type unknown = {.kind = OX_TYPE_UNKNOWN, .rank = -1};
    const struct ox_value *v = ox_match_value(m, name);
    return v ? v->type : &unknown;
}

struct ox_node *ox_match_node(const struct ox_match *m, const char *name) {
    const struct ox_model *p = m->code->match;
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (ox_name_is(p->nodes[i]->name, name)) return m->nodes[i];
    const struct ox_value *v = pattern_value(m, name);
    return v && v->def ? m->nodes[v->def->id] : NULL;
}

struct ox_node *ox_match_root(const struct ox_match *m) {
    return m->root;
}

ox_status ox_match_params(void *params, size_t size, const struct ox_match *m,
                          const struct ox_node *node) {
    struct ox_call call;
    struct ox_call_scratch scratch = {.ctx = m->ctx};
    memset(params, 0, size);
    if (node->op->params_size != size)
        return ox_rule_bad(m->ctx, m->code->rule, "parameters of another operator are asked for");
    ox_status s = ox_node_call(&call, &scratch, node);
    if (s == OX_OK) s = node->op->decode(&call, params);
    ox_call_scratch_fini(&scratch);
    return s;
}

const struct ox_partial *ox_match_known(const struct ox_match *m, const struct ox_value *value) {
    return m->shapes && value ? ox_shapes_value(m->shapes, value) : NULL;
}

ox_status ox_match_refuse(struct ox_match *m, const char *format, ...) {
    m->refused = true;
    if (!m->run->options->explain) return OX_OK;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ox_rewrite_missed(m->run, m->root, "%s: %s", m->code->rule->name, text);
    return OX_OK;
}

/* ---- what the replacement needs -------------------------------------------------------------- */

ox_status ox_match_bind(struct ox_match *m, const char *name, struct ox_value *value) {
    if (m->n_made == OX_RULE_MADE)
        return ox_rule_bad(m->ctx, m->code->rule, "too many names are made");
    m->made[m->n_made++] = (struct ox_made){name, value};
    return OX_OK;
}

ox_status ox_match_add_const(struct ox_value **out, struct ox_match *m, ox_tensor *tensor,
                             const struct ox_value *like) {
    struct ox_value *v;
    ox_status s = OX_GROW(m->ctx, m->inits_new, m->n_inits_new, m->cap_inits_new);
    if (s == OX_OK) s = ox_graph_add_init(&v, m->root->graph, like ? like->name : NULL, tensor);
    if (s != OX_OK) {
        ox_tensor_unref(tensor);
        return s;
    }
    if (like) {
        v->notes = like->notes;
    }
    m->inits_new[m->n_inits_new++] = v;
    *out = v;
    return OX_OK;
}

ox_status ox_match_make(struct ox_match *m, const char *name, ox_tensor *tensor,
                        const struct ox_value *like) {
    struct ox_value *v;
    OX_TRY(ox_match_add_const(&v, m, tensor, like));
    return ox_match_bind(m, name, v);
}

ox_status ox_match_add_ints(struct ox_value **out, struct ox_match *m, const int64_t *values,
                            size_t count) {
    ox_tensor *t;
    OX_TRY(ox_const_ints(&t, m->ctx, values, count));
    return ox_match_add_const(out, m, t, NULL);
}

ox_status ox_match_make_ints(struct ox_match *m, const char *name, const int64_t *values,
                             size_t count) {
    struct ox_value *v;
    OX_TRY(ox_match_add_ints(&v, m, values, count));
    return ox_match_bind(m, name, v);
}

ox_status ox_match_make_dims(struct ox_match *m, const char *name, const struct ox_type *x,
                             const struct ox_type *y) {
    int64_t spec[OX_MAX_RANK];
    bool rest = false, empty = false;
    for (int i = 0; i < y->rank; i++) {
        bool known = ox_dim_is_const(y->dims[i]);
        if (known && y->dims[i].k == 0) empty = true;
        if (known && y->dims[i].k > 0)
            spec[i] = y->dims[i].k;
        else if (i < x->rank && ox_dim_same(x->dims[i], y->dims[i]))
            spec[i] = 0;
        else if (!rest && !known)
            spec[i] = -1, rest = true;
        else
            return ox_match_refuse(
                m, "more than one dim is not known as a number or as a dim of the input");
    }
    if (rest && empty) return ox_match_refuse(m, "without elements a -1 says nothing");
    return ox_match_make_ints(m, name, spec, (size_t)y->rank);
}

static ox_status pending(struct ox_pending **out, struct ox_match *m, const char *label,
                         const char *attr, enum ox_attr_type type) {
    if (m->n_sets == OX_RULE_SETS)
        return ox_rule_bad(m->ctx, m->code->rule, "too many attributes are set");
    *out = &m->sets[m->n_sets++];
    **out = (struct ox_pending){.label = label, .attr = attr, .type = type};
    return OX_OK;
}

ox_status ox_match_set_int(struct ox_match *m, const char *label, const char *attr, int64_t value) {
    struct ox_pending *p;
    OX_TRY(pending(&p, m, label, attr, OX_ATTR_INT));
    p->i = value;
    return OX_OK;
}

ox_status ox_match_set_float(struct ox_match *m, const char *label, const char *attr, float value) {
    struct ox_pending *p;
    OX_TRY(pending(&p, m, label, attr, OX_ATTR_FLOAT));
    p->f = value;
    return OX_OK;
}

ox_status ox_match_set_ints(struct ox_match *m, const char *label, const char *attr,
                            const int64_t *values, size_t count) {
    struct ox_pending *p;
    int64_t *copy;
    OX_TRY(ox_arena_alloc(&m->model->arena, &copy, count, sizeof *copy));
    if (count) memcpy(copy, values, count * sizeof *copy);
    OX_TRY(pending(&p, m, label, attr, OX_ATTR_INTS));
    p->ints = copy;
    p->count = count;
    return OX_OK;
}

ox_status ox_match_drop(struct ox_match *m, const char *label, const char *attr) {
    struct ox_pending *p;
    return pending(&p, m, label, attr, OX_ATTR_UNDEFINED);
}

ox_status ox_match_add(struct ox_node **out, struct ox_match *m, const char *op, size_t n_in,
                       size_t n_out) {
    ox_name type;
    OX_TRY(OX_GROW(m->ctx, m->nodes_new, m->n_nodes_new, m->cap_nodes_new));
    OX_TRY(ox_model_name(&type, m->model, op, strlen(op)));
    OX_TRY(ox_node_new(out, m->root->graph, m->root, NULL, type, n_in, n_out));
    m->nodes_new[m->n_nodes_new++] = *out;
    return OX_OK;
}

ox_status ox_match_replace(struct ox_match *m, struct ox_value *old, struct ox_value *by) {
    OX_TRY(OX_GROW(m->ctx, m->pairs, m->n_pairs, m->cap_pairs));
    m->pairs[m->n_pairs++] = (struct ox_pair){old, by};
    return OX_OK;
}

/* Copies what an attribute holds into another model's (or the same model's) arena. */
static ox_status copy_attr(struct ox_node *to, const struct ox_attr *from) {
    struct ox_arena *arena = &to->graph->model->arena;
    struct ox_attr *a, value = *from;
    ox_name name;
    OX_TRY(ox_model_name(&name, to->graph->model, from->name->text, from->name->len));
    switch (from->type) {
    case OX_ATTR_FLOAT:
    case OX_ATTR_INT:
        break;
    case OX_ATTR_STRING: {
        const char *text;
        OX_TRY(ox_arena_copy(arena, &text, from->v.s.ptr, from->v.s.len));
        value.v.s.ptr = text;
        break;
    }
    case OX_ATTR_INTS: {
        int64_t *ints;
        OX_TRY(ox_arena_alloc(arena, &ints, from->count, sizeof *ints));
        if (from->count) memcpy(ints, from->v.ints, from->count * sizeof *ints);
        value.v.ints = ints;
        break;
    }
    case OX_ATTR_FLOATS: {
        float *floats;
        OX_TRY(ox_arena_alloc(arena, &floats, from->count, sizeof *floats));
        if (from->count) memcpy(floats, from->v.floats, from->count * sizeof *floats);
        value.v.floats = floats;
        break;
    }
    case OX_ATTR_TENSOR:
        value.v.t = ox_tensor_ref(from->v.t);
        break;
    default:
        return ox_fail(to->graph->model->ctx, OX_INTERNAL, "bad-rule", NULL,
                       "an attribute of this type cannot be copied");
    }
    ox_status s = ox_node_add_attr(&a, to, name);
    if (s != OX_OK) {
        ox_attr_release(&value);
        return s;
    }
    value.name = name;
    *a = value;
    return OX_OK;
}

ox_status ox_match_copy_attrs(struct ox_node *to, const struct ox_node *from) {
    for (size_t i = 0; i < from->n_attrs; i++)
        if (!ox_node_attr(to, from->attrs[i].name->text)) OX_TRY(copy_attr(to, &from->attrs[i]));
    return OX_OK;
}

/* ---- a replacement given as text ------------------------------------------------------------- */

static ox_status set_pending(const struct ox_match *m, struct ox_node *node, const char *label) {
    for (size_t i = 0; i < m->n_sets; i++) {
        const struct ox_pending *p = &m->sets[i];
        if (strcmp(p->label, label) != 0) continue;
        switch (p->type) {
        case OX_ATTR_INT:
            OX_TRY(ox_node_set_int(node, p->attr, p->i));
            break;
        case OX_ATTR_FLOAT:
            OX_TRY(ox_node_set_float(node, p->attr, p->f));
            break;
        case OX_ATTR_INTS:
            OX_TRY(ox_node_set_ints(node, p->attr, p->ints, p->count));
            break;
        default:
            ox_node_drop_attr(node, p->attr);
        }
    }
    return OX_OK;
}

/* The graph's value for a value of the replacement; nodes before have their outputs in `made`, by
 * id of the replacement's value. */
static ox_status resolve(struct ox_value **out, const struct ox_match *m,
                         struct ox_value *const *made, const struct ox_value *v) {
    const struct ox_source *source = &m->code->sources[v->id];
    if (source->kind == OX_SOURCE_NODE) {
        *out = made[v->id];
        return OX_OK;
    }
    if (source->kind == OX_SOURCE_MATCH) {
        *out = m->values[source->id];
        return OX_OK;
    }
    for (size_t i = 0; i < m->n_made; i++) {
        if (!ox_name_is(v->name, m->made[i].name)) continue;
        *out = m->made[i].value;
        return OX_OK;
    }
    return ox_rule_bad(m->ctx, m->code->rule, "a name of the replacement was not made");
}

/* A new value gets the name of the value whose place it takes, and what was said about it. */
static void inherit(struct ox_value *value, const struct ox_value *from) {
    if (!from || value->name) return;
    value->name = from->name;
    value->notes = from->notes;
    value->declared = from->declared;
}

static ox_status instantiate(struct ox_match *m, struct ox_value **made,
                             const struct ox_node *form) {
    struct ox_node *n;
    const struct ox_node *label = m->code->labels[form->id],
                         *old = label ? m->nodes[label->id] : NULL;
    OX_TRY(ox_match_add(&n, m, form->type->text, form->n_in, form->n_out));
    for (size_t i = 0; i < form->n_in; i++) {
        struct ox_value *v = NULL;
        if (form->in[i].value) OX_TRY(resolve(&v, m, made, form->in[i].value));
        ox_use_set(&n->in[i], v);
    }
    ox_node_trim_inputs(n);
    for (size_t i = 0; i < form->n_out; i++) {
        made[form->out[i]->id] = n->out[i];
        inherit(n->out[i], ox_match_value(m, ox_name_text(form->out[i]->name)));
    }
    OX_TRY(ox_match_copy_attrs(n, form));
    if (old) {
        OX_TRY(ox_match_copy_attrs(n, old));
        n->name = old->name;
        n->notes = old->notes;
        n->offset = old->offset;
    }
    return form->name ? set_pending(m, n, form->name->text) : OX_OK;
}

static ox_status edit_text(struct ox_match *m) {
    const struct ox_rule_code *code = m->code;
    struct ox_value *made[OX_RULE_VALUES] = {0};
    if (!code->aliases)
        for (struct ox_node *f = ox_graph_begin(code->replace->graph); f; f = ox_node_next(f))
            OX_TRY(instantiate(m, made, f));
    for (size_t i = 0; i < code->root->n_out; i++) {
        struct ox_value *by = code->aliases ? m->values[code->alias[i]] : made[code->outputs[i]];
        OX_TRY(ox_match_replace(m, m->root->out[i], by));
    }
    return OX_OK;
}

/* ---- checking and making the edit -------------------------------------------------------------
 */

static ox_status infer_new(bool *fits, struct ox_match *m, struct ox_node *node) {
    ox_mute(m->ctx, true);
    ox_status s = ox_node_infer(node);
    ox_mute(m->ctx, false);
    if (s == OX_INVALID || s == OX_UNSUPPORTED) {
        *fits = false;
        return ox_match_refuse(m, "the replacement '%s' does not fit the types here",
                               node->type->text);
    }
    return s;
}

/* The more precise of both types is what the new value gets. */
static ox_status agree(bool *fits, struct ox_match *m, const struct ox_pair *p) {
    bool conflict = false;
    const struct ox_type *type;
    if (!p->by) return ox_rule_bad(m->ctx, m->code->rule, "an output is replaced by nothing");
    OX_TRY(ox_type_merge(&type, &conflict, &m->model->arena, p->by->type, p->old->type));
    if (conflict) {
        *fits = false;
        return ox_match_refuse(m, "the replacement has another type than '%s'",
                               ox_name_text(p->old->name));
    }
    if (ox_type_same(type, p->by->type)) return OX_OK;
    if (p->by->is_input && p->by->graph == m->model->graph) {
        *fits = false;
        return ox_match_refuse(m, "'%s' would change the type of the model's input",
                               ox_name_text(p->old->name));
    }
    p->by->type = type;
    return OX_OK;
}

static ox_status check(bool *fits, struct ox_match *m) {
    *fits = true;
    for (size_t i = 0; i < m->n_nodes_new && *fits; i++) {
        OX_TRY(ox_forms_adapt(fits, m, m->nodes_new[i]));
        if (*fits) OX_TRY(infer_new(fits, m, m->nodes_new[i]));
    }
    for (size_t i = 0; i < m->n_pairs && *fits; i++)
        OX_TRY(agree(fits, m, &m->pairs[i]));
    return OX_OK;
}

static void drop_unused_inits(struct ox_match *m) {
    for (size_t i = 0; i < m->n_inits_new; i++)
        if (m->inits_new[i]->n_uses == 0) ox_value_remove_init(m->inits_new[i]);
}

static int64_t bytes_of(const struct ox_value *init) {
    return init->init ? (int64_t)init->init->size : 0;
}

/* Takes the new nodes away again. They are read by each other at most, the later by none. */
static void roll_back(struct ox_match *m) {
    for (size_t i = m->n_nodes_new; i-- > 0;)
        ox_node_remove(m->nodes_new[i]);
    drop_unused_inits(m);
}

static bool unused(const struct ox_node *node) {
    for (size_t i = 0; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->n_uses > 0) return false;
    return true;
}

static ox_status push_dead(struct ox_match *m, struct ox_node *node) {
    if (node->n_out == 0 || !unused(node) || !ox_node_removable(node)) return OX_OK;
    OX_TRY(OX_GROW(m->ctx, m->dead, m->n_dead, m->cap_dead));
    m->dead[m->n_dead++] = node;
    return OX_OK;
}

/* Removes nodes that are on the stack and what only they needed. */
static ox_status bury(struct ox_match *m) {
    while (m->n_dead > 0) {
        struct ox_node *n = m->dead[--m->n_dead];
        if (n->n_out == 0) continue; /* was there twice */
        for (size_t i = 0; i < n->n_in; i++) {
            struct ox_value *v = n->in[i].value;
            if (!v) continue;
            ox_use_set(&n->in[i], NULL);
            if (v->n_uses > 0) continue;
            if (v->def) {
                OX_TRY(push_dead(m, v->def));
            } else if (!v->is_input) {
                ox_rewrite_grew(m->run, -bytes_of(v));
                ox_value_remove_init(v);
            }
        }
        if (n == m->cursor) m->cursor = ox_node_next(n);
        ox_node_remove(n);
    }
    return OX_OK;
}

static void move_uses(struct ox_match *m) {
    for (size_t i = 0; i < m->n_pairs; i++) {
        struct ox_value *old = m->pairs[i].old, *by = m->pairs[i].by;
        inherit(by, old);
        ox_value_replace(old, by);
    }
}

static ox_status commit(struct ox_match *m) {
    struct ox_node *first = m->n_nodes_new ? m->nodes_new[0] : NULL;
    move_uses(m);
    drop_unused_inits(m);
    for (size_t i = 0; i < m->n_inits_new; i++)
        ox_rewrite_grew(m->run, bytes_of(m->inits_new[i]));
    if (first) m->cursor = first;
    for (size_t i = 0; i < m->n_pairs; i++)
        if (m->pairs[i].old->def) OX_TRY(push_dead(m, m->pairs[i].old->def));
    return bury(m);
}

ox_status ox_edit_run(bool *done, struct ox_match *m) {
    bool fits = false;
    *done = false;
    m->n_made = m->n_sets = m->n_nodes_new = m->n_inits_new = m->n_pairs = m->n_dead = 0;
    m->refused = false;
    ox_status s = m->code->rule->make ? m->code->rule->make(m) : OX_OK;
    if (s == OX_OK && !m->refused && m->code->rule->replace) s = edit_text(m);
    if (s == OX_OK && !m->refused) s = check(&fits, m);
    if (s != OX_OK || !fits) {
        roll_back(m);
        return s;
    }
    *done = true;
    return commit(m);
}
