/* passes/rules/rule_match.c - does a rule's pattern stand at a node of the graph?
 *
 * A pattern is walked from its root against the flow of data. Where an operator commutes, its first
 * two operands are tried as written and exchanged: which way each such node is read is one bit of a
 * number, in the order in which the walk meets them. When the walk fails after the first k choices,
 * all numbers with the same first k bits fail, so they are skipped. */
#include "passes/rules/rule_priv.h"

struct walk {
    struct ox_match *m;
    uint32_t choices; /* bit i: the i-th commuting node is read with its operands exchanged */
    int used;         /* choices made so far */
};

static bool same_attr(const struct ox_attr *want, const struct ox_node *node) {
    const struct ox_attr *have = ox_node_attr(node, want->name->text);
    if (!have || have->ref || have->type != want->type || have->count != want->count) return false;
    switch (want->type) {
    case OX_ATTR_INT:
        return have->v.i == want->v.i;
    case OX_ATTR_FLOAT:
        return have->v.f == want->v.f;
    case OX_ATTR_STRING:
        return have->v.s.len == want->v.s.len &&
               memcmp(have->v.s.ptr, want->v.s.ptr, want->v.s.len) == 0;
    case OX_ATTR_INTS:
        return want->count == 0 ||
               memcmp(have->v.ints, want->v.ints, want->count * sizeof(int64_t)) == 0;
    default:
        return false;
    }
}

/* Outputs that the rule does not write must not be read by anyone. */
static bool outputs_fit(const struct ox_node *want, const struct ox_node *node) {
    if (node->n_out < want->n_out) return false;
    for (size_t i = 0; i < node->n_out; i++) {
        bool written = i < want->n_out;
        if (written && !node->out[i]) return false;
        if (!written && node->out[i] && node->out[i]->n_uses > 0) return false;
    }
    return true;
}

static bool match_node(struct walk *w, const struct ox_node *want, struct ox_node *node);

static bool match_value(struct walk *w, const struct ox_value *want, struct ox_value *value) {
    struct ox_match *m = w->m;
    uint64_t bit = (uint64_t)1 << want->id;
    if (m->bound & bit) return m->values[want->id] == value;
    if (!want->def) {
        m->bound |= bit;
        m->values[want->id] = value;
        return true;
    }
    if (!value || !value->def || value->def_index != want->def_index ||
        value->graph != m->root->graph)
        return false;
    if (value->n_uses != want->n_uses && !(m->code->shared & bit)) return false;
    return match_node(w, want->def, value->def);
}

static bool match_operands(struct walk *w, const struct ox_node *want, struct ox_node *node,
                           bool exchanged) {
    if (node->n_in > want->n_in) return false;
    for (size_t i = 0; i < want->n_in; i++) {
        size_t at = exchanged && i < 2 ? 1 - i : i;
        const struct ox_value *p = want->in[i].value;
        struct ox_value *v = ox_node_in(node, at);
        if (!p) {
            if (v) return false;
        } else if (!v && (int)i < node->op->min_in) {
            return false;
        } else if (!match_value(w, p, v)) {
            return false;
        }
    }
    return true;
}

static bool match_node(struct walk *w, const struct ox_node *want, struct ox_node *node) {
    struct ox_match *m = w->m;
    if (node->op != want->op) return false;
    for (size_t i = 0; i < want->n_attrs; i++)
        if (!same_attr(&want->attrs[i], node)) return false;
    m->nodes[want->id] = node;
    bool bare = want->n_in == 0;
    if (!bare && !outputs_fit(want, node)) return false;
    for (size_t i = 0; i < want->n_out && i < node->n_out; i++) {
        m->values[want->out[i]->id] = node->out[i];
        m->bound |= (uint64_t)1 << want->out[i]->id;
    }
    if (bare) return true;
    bool exchanged = false;
    if (want->op->traits & OX_COMMUTES && want->n_in >= 2) exchanged = w->choices >> w->used++ & 1;
    return match_operands(w, want, node, exchanged);
}

static void explain(const struct ox_match *m, const struct ox_clause *failed) {
    ox_rewrite_missed(m->run, m->root, "%s: not so: %.*s", m->code->rule->name, (int)failed->len,
                      failed->text);
}

/* The pattern stands here: conditions, then the edit. */
static ox_status fire(bool *fired, struct ox_match *m) {
    const struct ox_clause *failed;
    if (!ox_when_holds(m, &failed)) {
        explain(m, failed);
        return OX_OK;
    }
    return ox_edit_run(fired, m);
}

ox_status ox_match_try(bool *fired, struct ox_match *m, const struct ox_rule_code *code,
                       struct ox_node *root) {
    struct walk w = {.m = m};
    *fired = false;
    m->code = code;
    m->root = root;
    for (;;) {
        w.used = 0;
        m->bound = 0;
        if (match_node(&w, code->root, root)) {
            OX_TRY(fire(fired, m));
            if (*fired) return OX_OK;
        }
        /* The next number whose first `used` bits differ: add one at the last choice made, carrying
         * towards the first. */
        int at = w.used - 1;
        while (at >= 0 && w.choices >> at & 1)
            at--;
        if (at < 0) return OX_OK;
        w.choices = (w.choices & (((uint32_t)1 << at) - 1)) | (uint32_t)1 << at;
    }
}
