/* frontend/scope.h - which value a name means while a model is read: a stack of scopes, inner names
 * first.
 *
 * A graph opens a scope, its subgraphs open theirs inside it. Names are numbered, so the table
 * is an array; every step is O(1). */
#ifndef OX_FRONTEND_SCOPE_H
#define OX_FRONTEND_SCOPE_H

#include "ir/graph/graph.h"

struct ox_binding {
    ox_name name;
    struct ox_value *value;
    size_t level;    /* of the scope it belongs to */
    uint32_t hidden; /* index + 1 of the binding of an outer scope that this one hides */
};

struct ox_scopes {
    ox_ctx *ctx;
    struct ox_binding *bindings;
    size_t n_bindings, cap_bindings;
    struct ox_name_map innermost; /* index + 1 of a name's binding */
    size_t level;                 /* 0: no scope is open */
};

void ox_scopes_init(struct ox_scopes *scopes, ox_ctx *ctx);
void ox_scopes_fini(struct ox_scopes *scopes);
void ox_scope_open(struct ox_scopes *scopes);
void ox_scope_close(struct ox_scopes *scopes);
/* *former gets the value that the name already has in this very scope (then nothing is changed), or
 * NULL. */
OX_MUST_USE ox_status ox_scope_define(struct ox_value **former, struct ox_scopes *scopes,
                                      ox_name name, struct ox_value *value);
/* The value in the innermost scope that knows the name, or NULL. */
struct ox_value *ox_scope_find(const struct ox_scopes *scopes, ox_name name);
/* The value in the innermost scope itself, or NULL. */
struct ox_value *ox_scope_find_own(const struct ox_scopes *scopes, ox_name name);

#endif
