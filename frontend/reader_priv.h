/* frontend/reader_priv.h - what the files of the reader share.
 *
 *   wire.c            file -> checked messages, weights left in the file
 *   reader.c          entry points; the model and its own fields
 *   reader_graph.c    graphs, nodes, initializers, names
 *   reader_attr.c     attributes
 *   reader_function.c functions and who calls whom
 *   reader_type.c     types
 *   reader_tensor.c   tensors
 *
 * Everything here trusts what wire.c has checked (no NUL in strings, bounded depth and counts) and
 * nothing else. Diagnostics get their place from reader.place, which the reader keeps at the thing
 * it is reading. */
#ifndef OX_FRONTEND_READER_PRIV_H
#define OX_FRONTEND_READER_PRIV_H

#include "frontend/external.h"
#include "frontend/scope.h"
#include "frontend/wire.h"
#include <onnx-ml.pb-c.h>

/* Where tensors come from. */
struct ox_tensor_source {
    ox_ctx *ctx;
    const struct ox_wire *wire;
    struct ox_bytes *bytes; /* what the wire was read from; tensors are slices of it */
    struct ox_external *external;
    const struct ox_place *place; /* of the tensor being read, for diagnostics */
};

OX_MUST_USE ox_status ox_read_tensor(ox_tensor **out, const struct ox_tensor_source *source,
                                     const Onnx__TensorProto *proto);

/* Function calls: function `caller` has a node that calls `callee` (indices). */
struct ox_call_edge {
    size_t caller, callee;
};

struct ox_reader {
    ox_ctx *ctx;
    struct ox_model *model;
    struct ox_wire wire;
    struct ox_external external;
    struct ox_tensor_source tensors;
    struct ox_place place;
    struct ox_scopes scopes;
    bool *unsorted;               /* by depth of graph: a node reads what a later node makes */
    struct ox_function *function; /* whose body is being read, or NULL */
    size_t function_index;
    size_t *function_slots; /* hash table of functions: index + 1; power of two, NULL if there are
                               none */
    size_t cap_function_slots;
    const Onnx__FunctionProto *const *function_protos;
    struct ox_call_edge *calls;
    size_t n_calls, cap_calls;
    bool warned_domain; /* said once per file */
};

#define ox_reader_bad(r, id, ...) ox_fail((r)->ctx, OX_INVALID, (id), &(r)->place, __VA_ARGS__)

/* ---- reader.c: small things ---- */
/* NULL and "" become NULL. */
OX_MUST_USE ox_status ox_read_name(ox_name *out, struct ox_reader *r, const char *text);
OX_MUST_USE ox_status ox_read_domain(ox_name *out, struct ox_reader *r, const char *text);
OX_MUST_USE ox_status ox_read_pairs(const struct ox_pairs **out, struct ox_reader *r, size_t n,
                                    Onnx__StringStringEntryProto *const *entries);
OX_MUST_USE ox_status ox_read_unknown(struct ox_str *out, struct ox_reader *r,
                                      const ProtobufCMessage *message);
/* What a message says besides what the IR understands. `type` (may be NULL) is its declared type.
 * *out stays as it is where there is nothing to note. */
OX_MUST_USE ox_status ox_read_notes(const struct ox_notes **out, struct ox_reader *r,
                                    const char *doc, size_t n_meta,
                                    Onnx__StringStringEntryProto *const *meta,
                                    const ProtobufCMessage *message, const Onnx__TypeProto *type);
/* Name and notes of a tensor that is no value of its own. */
OX_MUST_USE ox_status ox_read_label(struct ox_label *out, struct ox_reader *r,
                                    const Onnx__TensorProto *p);
/* Makes *out, which may be NULL, say these labels as well; they are copied. */
OX_MUST_USE ox_status ox_read_add_labels(const struct ox_notes **out, struct ox_reader *r,
                                         const struct ox_label *labels, size_t n);
/* The same for types, which are kept as they are. */
OX_MUST_USE ox_status ox_read_add_types(const struct ox_notes **out, struct ox_reader *r,
                                        const struct ox_type_notes *const *types);
OX_MUST_USE ox_status ox_read_opsets(struct ox_opset **out, size_t *n_out, struct ox_reader *r,
                                     size_t n, Onnx__OperatorSetIdProto *const *imports);

/* ---- reader_type.c ---- */
/* proto NULL: unknown. */
OX_MUST_USE ox_status ox_read_type(const struct ox_type **out, struct ox_reader *r,
                                   const Onnx__TypeProto *proto);
/* Denotations and unknown fields; NULL where there are none. For a type that ox_read_type accepts.
 */
OX_MUST_USE ox_status ox_read_type_notes(const struct ox_type_notes **out, struct ox_reader *r,
                                         const Onnx__TypeProto *proto);

/* ---- reader_graph.c ---- */
OX_MUST_USE ox_status ox_read_graph(struct ox_graph *graph, struct ox_reader *r,
                                    const Onnx__GraphProto *proto);
/* The nodes and outputs of a graph whose inputs and initializers are defined in the open scope. */
OX_MUST_USE ox_status ox_read_nodes(struct ox_graph *graph, struct ox_reader *r, size_t n,
                                    Onnx__NodeProto *const *protos);
OX_MUST_USE ox_status ox_read_define(struct ox_reader *r, ox_name name, struct ox_value *value);
/* The value a name means here; unknown names are OX_INVALID. */
OX_MUST_USE ox_status ox_read_resolve(struct ox_value **out, struct ox_reader *r, const char *text,
                                      const char *what);
OX_MUST_USE ox_status ox_read_sparse(struct ox_sparse **out, struct ox_reader *r,
                                     const Onnx__SparseTensorProto *proto);

/* ---- reader_attr.c ---- */
/* Into a zeroed attribute of a node (or, node NULL, a default of a function). */
OX_MUST_USE ox_status ox_read_attr(struct ox_attr *out, struct ox_reader *r, struct ox_node *node,
                                   const Onnx__AttributeProto *proto);

/* ---- reader_function.c ---- */
OX_MUST_USE ox_status ox_declare_functions(struct ox_reader *r, size_t n,
                                           Onnx__FunctionProto *const *protos);
OX_MUST_USE ox_status ox_read_functions(struct ox_reader *r);
/* Lets a node call the function it names, if there is one. */
OX_MUST_USE ox_status ox_read_call(struct ox_reader *r, struct ox_node *node);
void ox_functions_fini(struct ox_reader *r);

#endif
