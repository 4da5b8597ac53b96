/* backend/onnx/external_plan.h - which tensors go to the data file, and where in it.
 *
 * Payloads of initializers and of Constant nodes (which then are written as initializers) of at
 * least `min` bytes, in the order of the graph. Tensors over the same bytes share one place. Large
 * ones begin at a page, so that a reader may map each by itself. */
#ifndef OX_BACKEND_ONNX_EXTERNAL_PLAN_H
#define OX_BACKEND_ONNX_EXTERNAL_PLAN_H

#include "ir/base/ptr_map.h"
#include "ir/graph/graph.h"

struct ox_external_place {
    const ox_tensor *tensor; /* borrowed */
    uint64_t offset;
    uint32_t next; /* index + 1 of another place that begins at the same address */
};

struct ox_external_plan {
    ox_ctx *ctx;
    size_t min;
    struct ox_external_place *places; /* ascending offsets */
    size_t n_places, cap_places;
    struct ox_ptr_map by_data; /* address -> index + 1 */
    uint64_t size;             /* of the file */
    char *location; /* name of the file, beside the model; set when its content is known */
};

OX_MUST_USE ox_status ox_external_plan_init(struct ox_external_plan *plan, struct ox_model *model,
                                            size_t min);
void ox_external_plan_fini(struct ox_external_plan *plan);
/* Place of a tensor, or NULL: it stays in the model. plan may be NULL. */
const struct ox_external_place *ox_external_place(const struct ox_external_plan *plan,
                                                  const ox_tensor *tensor);
/* The tensor of a Constant node that is written as an initializer because its tensor has a place;
 * else NULL. */
const ox_tensor *ox_external_constant(const struct ox_external_plan *plan,
                                      const struct ox_node *node);

#endif
