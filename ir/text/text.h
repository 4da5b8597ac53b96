/* ir/text/text.h - the official ONNX text form (onnx/docs/Syntax.md) to and from the IR.
 * One text form is used for dumps, tests and rules. */
#ifndef OX_IR_TEXT_TEXT_H
#define OX_IR_TEXT_TEXT_H

#include "ir/graph/graph.h"

struct ox_text_options {
    size_t max_elements; /* larger tensors are printed as {...}, which cannot be parsed back; 0: no
                            limit */
    bool all_types; /* state the type of every value that has one, not only of those declared in the
                       file */
};

/* Text of a whole model / one graph / one node: NUL-terminated, *out from ox_alloc (caller frees
 * with ox_free). Floats are printed so that they read back to the same bits. parse(print(m)) equals
 * m in every field the form can express. */
OX_MUST_USE ox_status ox_text_print(char **out, size_t *len, const struct ox_model *model,
                                    const struct ox_text_options *options);
OX_MUST_USE ox_status ox_text_print_node(char **out, size_t *len, const struct ox_node *node);
/* Parses a model: `<ir_version: 8, opset_import: ["" : 17]> name (float[N,3] x) => (float[N,3] y)
 * <float[3] w = {1,2,3}> { y = Add(x, w) }`, functions after it. Errors carry the line; recursion
 * is bounded by limits.max_subgraph_depth. `name` is used in diagnostics. The result is not
 * verified. */
OX_MUST_USE ox_status ox_text_parse(struct ox_model **out, ox_ctx *ctx, const char *text,
                                    size_t len, const char *name);
/* Parses only the body of a graph, `y = Add(x, w)  z = Relu(y)`, as rules write it: names that
 * nothing defines become inputs in order of appearance, and the last node's outputs become the
 * outputs. */
OX_MUST_USE ox_status ox_text_parse_body(struct ox_model **out, ox_ctx *ctx, const char *text,
                                         size_t len, int64_t opset, const char *name);

#endif
