/* ir/graph/exec.h - running a model: the runner interface, and the reference executor that
 * implements it.
 *
 * A pass that must run a model (fold, calibrate, compare) is given a runner; the reference executor
 * is the default. The executor frees each intermediate tensor after its last use. */
#ifndef OX_IR_GRAPH_EXEC_H
#define OX_IR_GRAPH_EXEC_H

#include "ir/graph/graph.h"

/* Called with every value as it is computed (graph inputs first, initializers not); tensor is
 * borrowed. */
typedef ox_status (*ox_observe_fn)(void *user, const struct ox_value *value,
                                   const ox_tensor *tensor);

struct ox_runner {
    void *self;
    /* in: one tensor per input of the main graph (NULL: its initializer is used); out: n_outputs
     * entries, counted for the caller. observe may be NULL. */
    ox_status (*run)(void *self, const ox_tensor *const *in, ox_tensor **out, ox_observe_fn observe,
                     void *user);
    void (*free)(void *self);
};

/* Plans the main graph of `model` (borrowed, must not change while the runner lives). Opaque nodes
 * are OX_UNSUPPORTED, named. */
OX_MUST_USE ox_status ox_exec_new(struct ox_runner *out, struct ox_model *model);
/* Evaluates one node on constants (no subgraph needed): for folding. out: n_out entries. */
OX_MUST_USE ox_status ox_exec_node(const struct ox_node *node, const ox_tensor *const *in,
                                   ox_tensor **out);

#endif
