/* ir/graph/infer_control.h - types across the border of subgraphs: what a control-flow node's operands tell of its bodies' inputs,
 * and the bodies' outputs of its own. The node has been verified: its bodies are there and their arity fits. */
#ifndef OX_IR_GRAPH_INFER_CONTROL_H
#define OX_IR_GRAPH_INFER_CONTROL_H

#include "ir/graph/graph.h"

/* Refines the types of the bodies' inputs. A value that a loop carries may change its shape from step to step: only its
 * element type is certain. */
OX_MUST_USE ox_status ox_infer_enter(struct ox_node *node, struct ox_arena *arena);
/* Type of output i, NULL when nothing is known, from the types of the bodies' outputs. */
OX_MUST_USE ox_status ox_infer_leave(const struct ox_type **out, const struct ox_node *node, size_t i, struct ox_arena *arena, struct ox_dims *dims);

#endif
