/* frontend/scope.c - see scope.h. */
#include "frontend/scope.h"

void ox_scopes_init(struct ox_scopes *scopes, ox_ctx *ctx) {
    *scopes = (struct ox_scopes){.ctx = ctx};
}

void ox_scopes_fini(struct ox_scopes *scopes) {
    ox_free(scopes->ctx, scopes->bindings);
    ox_free(scopes->ctx, scopes->slots);
    ox_free(scopes->ctx, scopes->keys);
    ox_scopes_init(scopes, scopes->ctx);
}

/* Slot of a name: where it is, or where it would go. There is always a free one. */
static size_t find_slot(const struct ox_scopes *s, ox_name name) {
    size_t mask = s->cap_slots - 1, i = name->hash & mask;
    while (s->keys[i] && s->keys[i] != name)
        i = (i + 1) & mask;
    return i;
}

static ox_status grow_slots(struct ox_scopes *s) {
    struct ox_scopes bigger = *s;
    bigger.cap_slots = s->cap_slots ? s->cap_slots * 2 : 64;
    OX_TRY(ox_alloc(s->ctx, &bigger.slots, bigger.cap_slots, sizeof *bigger.slots));
    ox_status status = ox_alloc(s->ctx, &bigger.keys, bigger.cap_slots, sizeof *bigger.keys);
    if (status != OX_OK) {
        ox_free(s->ctx, bigger.slots);
        return status;
    }
    for (size_t i = 0; i < s->cap_slots; i++) {
        if (!s->keys[i]) continue;
        size_t to = find_slot(&bigger, s->keys[i]);
        bigger.keys[to] = s->keys[i];
        bigger.slots[to] = s->slots[i];
    }
    ox_free(s->ctx, s->slots);
    ox_free(s->ctx, s->keys);
    *s = bigger;
    return OX_OK;
}

void ox_scope_open(struct ox_scopes *scopes) {
    scopes->level++;
}

void ox_scope_close(struct ox_scopes *s) {
    while (s->n_bindings > 0 && s->bindings[s->n_bindings - 1].level == s->level) {
        const struct ox_binding *b = &s->bindings[--s->n_bindings];
        s->slots[find_slot(s, b->name)] = b->hidden;
    }
    s->level--;
}

ox_status ox_scope_define(struct ox_value **former, struct ox_scopes *s, ox_name name,
                          struct ox_value *value) {
    *former = NULL;
    if ((s->n_keys + 1) * 2 > s->cap_slots) OX_TRY(grow_slots(s));
    OX_TRY(OX_GROW(s->ctx, s->bindings, s->n_bindings, s->cap_bindings));
    size_t slot = find_slot(s, name), hidden = s->slots[slot];
    if (hidden && s->bindings[hidden - 1].level == s->level) {
        *former = s->bindings[hidden - 1].value;
        return OX_OK;
    }
    if (!s->keys[slot]) s->n_keys++;
    s->keys[slot] = name;
    s->bindings[s->n_bindings] = (struct ox_binding){name, value, s->level, hidden};
    s->slots[slot] = ++s->n_bindings;
    return OX_OK;
}

static const struct ox_binding *find(const struct ox_scopes *s, ox_name name) {
    if (!s->cap_slots) return NULL;
    size_t slot = find_slot(s, name);
    return s->keys[slot] && s->slots[slot] ? &s->bindings[s->slots[slot] - 1] : NULL;
}

struct ox_value *ox_scope_find(const struct ox_scopes *scopes, ox_name name) {
    const struct ox_binding *b = find(scopes, name);
    return b ? b->value : NULL;
}

struct ox_value *ox_scope_find_own(const struct ox_scopes *scopes, ox_name name) {
    const struct ox_binding *b = find(scopes, name);
    return b && b->level == scopes->level ? b->value : NULL;
}
