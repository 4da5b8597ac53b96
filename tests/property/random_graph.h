/* tests/property/random_graph.h - random valid graphs: nodes of common operators on small tensors
 * of known shapes, with constants as exporters make them, grown one node at a time; a node whose
 * inference fails is taken away again. */
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "ir/ir.h"

/* A model of about `nodes` nodes in opset `opset` from a seed. Its outputs are all values that
 * nothing reads. */
ox_status random_graph(struct ox_model **out, ox_ctx *ctx, uint64_t seed, size_t nodes,
                       int64_t opset);

#endif
