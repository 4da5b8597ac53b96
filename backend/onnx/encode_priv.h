/* backend/onnx/encode_priv.h - what the encoders share. Each puts one message, its fields from the
 * last to the first. */
#ifndef OX_BACKEND_ONNX_ENCODE_PRIV_H
#define OX_BACKEND_ONNX_ENCODE_PRIV_H

#include "backend/onnx/encode.h"

struct ox_encoder {
    struct ox_wire_out *out;
    const struct ox_model *model;
    const struct ox_naming *naming;
    const struct ox_external_plan *plan;
};

/* Absent (NULL) names, pairs and raw bytes put nothing. */
void ox_encode_name(struct ox_encoder *e, enum ox_wire_field field, ox_name name);
void ox_encode_pairs(struct ox_encoder *e, enum ox_wire_field field, const struct ox_pairs *pairs);
/* Fields kept as they were read, tags included. */
void ox_encode_raw(struct ox_encoder *e, struct ox_str raw);

/* Nothing where the type, or the type of its elements, is unknown. `notes` may be NULL, and what
 * they say of dims counts only where the rank is still the same. */
void ox_encode_type(struct ox_encoder *e, enum ox_wire_field field, const struct ox_type *type,
                    const struct ox_type_notes *notes);

/* `label` (may be NULL): what the tensor is called and carries besides its elements. */
void ox_encode_tensor(struct ox_encoder *e, enum ox_wire_field field, const ox_tensor *tensor,
                      const struct ox_label *label);
void ox_encode_sparse(struct ox_encoder *e, enum ox_wire_field field,
                      const struct ox_sparse *sparse, ox_name name);

void ox_encode_attr(struct ox_encoder *e, enum ox_wire_field field, const struct ox_attr *attr);
/* All nodes of a graph, with the Constant and Identity nodes that its form needs. */
void ox_encode_nodes(struct ox_encoder *e, enum ox_wire_field field, const struct ox_graph *graph);
void ox_encode_graph(struct ox_encoder *e, enum ox_wire_field field, const struct ox_graph *graph);

#endif
