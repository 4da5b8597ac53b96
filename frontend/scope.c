/* frontend/scope.c - see scope.h. */
#include "frontend/scope.h"

void ox_scopes_init(struct ox_scopes *scopes, ox_ctx *ctx) {
    *scopes = (struct ox_scopes){.ctx = ctx, .innermost.ctx = ctx};
}

void ox_scopes_fini(struct ox_scopes *scopes) {
    ox_free(scopes->ctx, scopes->bindings);
    ox_name_map_fini(&scopes->innermost);
    ox_scopes_init(scopes, scopes->ctx);
}

void ox_scope_open(struct ox_scopes *scopes) {
    scopes->level++;
}

void ox_scope_close(struct ox_scopes *s) {
    while (s->n_bindings > 0 && s->bindings[s->n_bindings - 1].level == s->level) {
        const struct ox_binding *b = &s->bindings[--s->n_bindings];
        (void)!ox_name_map_set(&s->innermost, b->name, b->hidden); /* it is there */
    }
    s->level--;
}

ox_status ox_scope_define(struct ox_value **former, struct ox_scopes *s, ox_name name,
                          struct ox_value *value) {
    *former = NULL;
    if (s->n_bindings >= UINT32_MAX - 1)
        return ox_fail(s->ctx, OX_NOMEM, "too-many-values", NULL, "too many names are in scope");
    OX_TRY(OX_GROW(s->ctx, s->bindings, s->n_bindings, s->cap_bindings));
    uint32_t hidden = ox_name_map_get(&s->innermost, name);
    if (hidden && s->bindings[hidden - 1].level == s->level) {
        *former = s->bindings[hidden - 1].value;
        return OX_OK;
    }
    OX_TRY(ox_name_map_set(&s->innermost, name, (uint32_t)s->n_bindings + 1));
    s->bindings[s->n_bindings++] = (struct ox_binding){name, value, s->level, hidden};
    return OX_OK;
}

static const struct ox_binding *find(const struct ox_scopes *s, ox_name name) {
    uint32_t i = ox_name_map_get(&s->innermost, name);
    return i ? &s->bindings[i - 1] : NULL;
}

struct ox_value *ox_scope_find(const struct ox_scopes *scopes, ox_name name) {
    const struct ox_binding *b = find(scopes, name);
    return b ? b->value : NULL;
}

struct ox_value *ox_scope_find_own(const struct ox_scopes *scopes, ox_name name) {
    const struct ox_binding *b = find(scopes, name);
    return b && b->level == scopes->level ? b->value : NULL;
}
