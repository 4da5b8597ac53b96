/* ir/graph/graph.h - the graph: values, nodes, graphs, functions, model.
 *
 *   model ── main graph ── nodes (a doubly linked list in topological order, the last one is the
 * `ret` node) │           │             └─ operands: each is its own entry in the use list of the
 * value it reads │           ├─ inputs     (values without a definition) │           └─
 * initializers (values with a constant tensor) ├─ functions (bodies are graphs) └─ opset imports,
 * metadata
 *
 * Invariants, checked by ox_model_verify:
 *  - SSA: a value has one definition: a node output, a graph input, or an initializer.
 *  - A graph's last node is its `ret`: its operands are the graph's outputs, and it owns their
 * names and declared types. So a value read by `ret` is simply used; no pass asks whether it is a
 * graph output.
 *  - Nodes stand in topological order; a node in a subgraph may read values of enclosing graphs
 * that are defined before the node that holds the subgraph. Such captured values are ordinary
 * operands.
 *  - Ids of nodes and values are dense small integers per model (never reused): scratch of a pass
 * is an array of ox_model.n_nodes / n_values entries, never a field here.
 *  - An absent optional operand has value NULL; trailing absent operands are cut when reading.
 *  - A value's name is unique in the model-wide scope rules of ONNX only when written; inside, a
 * pass need not care: the writer makes names unique and gives graph outputs the names that `ret`
 * owns. Everything here lives in the model's arena, except tensors, which are counted.
 */
#ifndef OX_IR_GRAPH_GRAPH_H
#define OX_IR_GRAPH_GRAPH_H

#include "ir/graph/notes.h"
#include "ir/ops/op.h"

struct ox_node;
struct ox_value;
struct ox_graph;
struct ox_model;

/* An operand: an entry in its value's use list. Moved between values only by ox_use_set. */
struct ox_use {
    struct ox_value *value;      /* NULL: absent */
    struct ox_node *user;        /* use - user->in is which operand of it: ox_use_index */
    struct ox_use *next, **link; /* list of value->uses; link points at what points here */
};

struct ox_value {
    uint32_t id;
    uint32_t def_index; /* which output of def; which input or initializer of graph */
    uint32_t n_uses;
    bool is_input;
    bool
        declared; /* its type stood in the file (value_info): the writer states it again, refined */
    struct ox_use *uses;
    ox_name name;               /* may be NULL for a value made by a pass: the writer invents one */
    const struct ox_type *type; /* never NULL; kind UNKNOWN when nothing is known */
    struct ox_graph *graph;     /* where it is defined */
    struct ox_node *def;        /* defining node, or NULL for inputs and initializers */
    ox_tensor *init;            /* initializer, or default of an input; counted */
    struct ox_sparse *sparse;   /* sparse initializer (then init is NULL): opaque data */
    const struct ox_notes *notes; /* what else its TensorProto or ValueInfoProto says, or NULL */
};

/* Large models have many, and every pass looks at each: the first 64 bytes are what it asks for. */
struct ox_node {
    const struct ox_op *op; /* NULL: opaque (unknown operator, function call, or `ret`) */
    struct ox_graph *graph;
    struct ox_node *next;
    struct ox_use *in;     /* n_in operands, in one array */
    struct ox_value **out; /* n_out values; NULL: output not wanted */
    struct ox_attr *attrs; /* n_attrs */
    uint32_t n_in, n_out;
    uint32_t n_attrs;
    uint32_t id; /* index in model->nodes */
    uint64_t
        order; /* ascending along the list: who comes first in O(1); renumbered when a gap closes */
    struct ox_node *prev;
    uint32_t cap_in, cap_attrs;
    ox_name domain, type; /* as written; domain NULL for the default domain; `ret`: type NULL */
    ox_name name;
    struct ox_function *callee;   /* model-local function, or NULL */
    ox_name overload;             /* of the function called */
    int64_t offset;               /* byte offset in the model file + 1; 0: made by a pass */
    const struct ox_notes *notes; /* what else the file says, or NULL */
    struct ox_instance *instance; /* of a call, for inference and execution only; NULL: not made
                                     (ox_call_instance) */
};

/* A function's body with one call's attributes: no pass sees it and it is not written. */
struct ox_instance {
    struct ox_graph *graph;
    uint64_t stamp; /* what it was made from */
};

struct ox_graph {
    struct ox_model *model;
    struct ox_node *owner; /* node whose attribute holds this subgraph; NULL for main graph and
                              function bodies */
    struct ox_function
        *function; /* function whose body this is, or of which it is an instance, or NULL */
    ox_name name, doc;
    int depth;                /* 0 main graph and function bodies */
    struct ox_value **inputs; /* in the declared order */
    size_t n_inputs, cap_inputs;
    struct ox_value **inits; /* initializers that are not inputs' defaults, in order of the file;
                                NULL holes after removal */
    size_t n_inits, cap_inits;
    struct ox_node *first, *ret; /* ret is the last node, always there */
    size_t n_nodes;              /* without ret */
    struct ox_output *outputs;   /* ret->n_in entries: what `ret` owns besides its operands */
    const struct ox_pairs *meta;
    struct ox_str
        quant_annotation; /* raw wire bytes of quantization_annotation entries, kept for writing */
    struct ox_str unknown;
};

/* Name and declared type of one graph output. */
struct ox_output {
    ox_name name;
    const struct ox_type *type;   /* as declared; kind UNKNOWN when undeclared */
    const struct ox_notes *notes; /* what else its ValueInfoProto says, or NULL */
};

struct ox_opset {
    ox_name domain; /* NULL: default */
    int64_t version;
    struct ox_str unknown; /* unknown fields of the import, kept for writing */
};

struct ox_function {
    ox_name domain, name, overload, doc;
    struct ox_graph *body; /* inputs and outputs by name, types unknown */
    ox_name *attrs;        /* attribute names without default */
    size_t n_attrs;
    struct ox_attr *defaults; /* attribute_proto: with default */
    size_t n_defaults;
    struct ox_opset *opsets;
    size_t n_opsets;
    const struct ox_pairs *meta;
    struct ox_str value_info; /* raw wire bytes, kept for writing */
    struct ox_str unknown;
};

struct ox_model {
    ox_ctx *ctx;
    struct ox_arena arena;
    struct ox_names names;
    struct ox_dims dims;
    ox_name file;        /* where it came from, for diagnostics */
    uint64_t file_bytes; /* bytes of the file and its external data */
    int64_t ir_version;
    struct ox_opset *opsets;
    size_t n_opsets;
    ox_name producer, producer_version, domain, doc;
    int64_t model_version;
    bool has_model_version;
    const struct ox_pairs *meta;
    struct ox_graph *graph; /* main */
    struct ox_function **functions;
    size_t n_functions;
    struct ox_str training; /* raw wire bytes of training_info entries */
    struct ox_str unknown;
    uint32_t *n_by_op;  /* by index of the row: at most so many nodes have it; 0: nobody needs to
                           look for one */
    size_t n_subgraphs; /* ever made: where there are none, nobody needs to look for them */
    uint32_t n_nodes, n_values; /* ids handed out */
    struct ox_node **nodes;     /* by id; removed ones stay, empty and unlinked */
    struct ox_value **values;   /* by id */
    size_t cap_nodes, cap_values;
    struct {
        ox_name domain, type;
        const struct ox_op *op;
    } op_cache[256];
};

/* ---- building -------------------------------------------------------------------------------- */

OX_MUST_USE ox_status ox_model_new(struct ox_model **out, ox_ctx *ctx);
void ox_model_free(struct ox_model *model);
/* Interns in the model's table. */
OX_MUST_USE ox_status ox_model_name(ox_name *out, struct ox_model *model, const char *text,
                                    size_t len);
int64_t ox_model_opset(const struct ox_model *model, ox_name domain); /* 0: not imported */
/* The version in force for a node: the function body's import before the model's. */
int64_t ox_node_opset(const struct ox_node *node);
OX_MUST_USE ox_status ox_model_set_opset(struct ox_model *model, ox_name domain, int64_t version);
/* Sets the callee of each node that calls one of the model's functions (the first that fits by
 * domain, name and overload). For readers, when all is read. */
OX_MUST_USE ox_status ox_model_link_calls(struct ox_model *model);

/* The model with all calls expanded. */
struct ox_expansion {
    size_t nodes; /* of the main graph, those of subgraphs and calls included; SIZE_MAX: too many to
                     count */
    bool recursive; /* a function calls itself */
    bool fits;      /* not recursive, within limits.max_nodes, and not too many calls in calls */
};
OX_MUST_USE ox_status ox_model_expanded(struct ox_expansion *out, struct ox_model *model);
/* Instance of a call, made anew where the call or the function has changed since. Attributes that
 * refer to the function's parameters have the call's values or defaults, absent operands are
 * absent, outputs that the call does not want are not there. */
OX_MUST_USE ox_status ox_call_instance(struct ox_graph **out, struct ox_node *call);
void ox_call_drop_instance(struct ox_node *call);
/* Instances for all calls that are reached from the main graph. Refuses what ox_model_expanded says
 * does not fit. */
OX_MUST_USE ox_status ox_model_expand(struct ox_model *model);
/* The call goes, the function's nodes come in its place. The caller sees to it that opsets agree.
 */
OX_MUST_USE ox_status ox_call_inline(struct ox_node *call);

/* A new graph with its `ret` and nothing else. owner may be NULL. */
OX_MUST_USE ox_status ox_graph_new(struct ox_graph **out, struct ox_model *model,
                                   struct ox_node *owner);
OX_MUST_USE ox_status ox_graph_add_input(struct ox_value **out, struct ox_graph *graph,
                                         ox_name name, const struct ox_type *type);
/* Takes over the caller's count of `tensor`. Its type is the tensor's. NULL: the caller sets
 * `sparse` and the type. */
OX_MUST_USE ox_status ox_graph_add_init(struct ox_value **out, struct ox_graph *graph, ox_name name,
                                        ox_tensor *tensor);
OX_MUST_USE ox_status ox_graph_add_output(struct ox_graph *graph, struct ox_value *value,
                                          ox_name name, const struct ox_type *type);

/* An input with a default stops being an input: its default becomes a plain initializer. */
OX_MUST_USE ox_status ox_graph_fix_input(struct ox_value *input);

/* A node with n_in absent operands and n_out unnamed wanted outputs of unknown type, linked before
 * `before` (NULL: before ret). `type` is looked up in the operator table under `domain`. */
OX_MUST_USE ox_status ox_node_new(struct ox_node **out, struct ox_graph *graph,
                                  struct ox_node *before, ox_name domain, ox_name type, size_t n_in,
                                  size_t n_out);
OX_MUST_USE ox_status ox_node_add_input(struct ox_node *node,
                                        struct ox_value *value); /* appends an operand */
/* Room for `n` attributes in all, where it is known how many there will be. */
OX_MUST_USE ox_status ox_node_reserve_attrs(struct ox_node *node, size_t n);
/* A zeroed attribute appended to the node, to be filled; an attribute of that name is replaced. */
OX_MUST_USE ox_status ox_node_add_attr(struct ox_attr **out, struct ox_node *node, ox_name name);
OX_MUST_USE ox_status ox_node_set_int(struct ox_node *node, const char *name, int64_t value);
OX_MUST_USE ox_status ox_node_set_float(struct ox_node *node, const char *name, float value);
OX_MUST_USE ox_status ox_node_set_string(struct ox_node *node, const char *name, const char *value);
OX_MUST_USE ox_status ox_node_set_ints(struct ox_node *node, const char *name,
                                       const int64_t *values, size_t count);
void ox_node_drop_attr(struct ox_node *node, const char *name);
const struct ox_attr *ox_node_attr(const struct ox_node *node, const char *name);
/* Gives up the tensors an attribute counts (its memory belongs to the arena). */
void ox_attr_release(struct ox_attr *attr);

/* ---- editing: the primitives everything else is made of ----------------------------------------
 */

void ox_use_set(struct ox_use *use, struct ox_value *value); /* the one way to move an edge; O(1) */
void ox_value_replace(struct ox_value *value, struct ox_value *by); /* all uses, O(uses) */
void ox_node_remove(
    struct ox_node *node); /* outputs must be unused; operands are released, subgraphs too */
void ox_node_move(struct ox_node *node, struct ox_node *before); /* within its graph */
void ox_value_remove_init(struct ox_value *value); /* unused initializer: its tensor is released */
void ox_node_trim_inputs(struct ox_node *node);    /* cuts trailing absent operands */
OX_MUST_USE ox_status ox_graph_sort(
    struct ox_graph *graph); /* topological, stable (Kahn, iterative); a cycle is OX_INVALID */

/* ---- reading --------------------------------------------------------------------------------- */

static inline size_t ox_use_index(const struct ox_use *use) {
    return (size_t)(use - use->user->in);
}
static inline bool ox_node_is_ret(const struct ox_node *n) {
    return n == n->graph->ret;
}
/* Iterate: for (n = ox_graph_begin(g); n; n = ox_node_next(n)), ret excluded; safe against removal
 * of n if next is taken first. */
static inline struct ox_node *ox_graph_begin(const struct ox_graph *g) {
    return g->first == g->ret ? NULL : g->first;
}
static inline struct ox_node *ox_node_next(const struct ox_node *n) {
    return n->next == n->graph->ret ? NULL : n->next;
}
static inline struct ox_value *ox_node_in(const struct ox_node *n, size_t i) {
    return i < n->n_in ? n->in[i].value : NULL;
}
static inline struct ox_value *ox_node_out(const struct ox_node *n, size_t i) {
    return i < n->n_out ? n->out[i] : NULL;
}
bool ox_node_is(const struct ox_node *node,
                const char *type); /* default domain only; for rules and tests */
/* The domain with "" and "ai.onnx" both as NULL. */
ox_name ox_domain_norm(ox_name domain);
/* Constant tensor behind a value: an initializer (also an input's default where ir_version < 4,
 * when such inputs cannot be overridden), or what a Constant node with a tensor `value` holds; else
 * NULL. Borrowed. */
ox_tensor *ox_value_const(const struct ox_value *value);
struct ox_use *ox_value_single_use(const struct ox_value *value); /* its only use, or NULL */
/* True if a is defined where b can see it and before it (dominates), subgraphs included. */
bool ox_value_visible(const struct ox_value *value, const struct ox_node *at);
/* Inside a function body: some attribute stands for what a call gives. Such a node cannot be
 * decoded before it is expanded. */
bool ox_node_is_template(const struct ox_node *node);
void ox_node_place(struct ox_place *place, const struct ox_node *node); /* for diagnostics */
/* Fills a call for a node: constants, presence, opset. Arrays are taken from *scratch, kept for the
 * next call by the owner. */
struct ox_call_scratch {
    ox_ctx *ctx;
    const struct ox_tensor **consts;
    bool *flags;
    size_t cap;
};
OX_MUST_USE ox_status ox_node_call(struct ox_call *call, struct ox_call_scratch *scratch,
                                   const struct ox_node *node);
void ox_call_scratch_fini(struct ox_call_scratch *scratch);
/* May the node be removed when unused / folded and merged? From the row's traits, attributes and
 * mode; opaque nodes: no. A node with subgraphs is pure if everything in them is, a call if
 * everything in the function is. */
bool ox_node_removable(const struct ox_node *node);
bool ox_node_pure(const struct ox_node *node);

/* Subgraphs: calls fn for each graph attribute of the node. */
OX_MUST_USE ox_status ox_node_each_graph(const struct ox_node *node,
                                         ox_status (*fn)(void *arg, struct ox_graph *graph),
                                         void *arg);
/* Main graph, all subgraphs, all function bodies; outer before inner. Iterative, bounded by
 * limits.max_subgraph_depth. */
OX_MUST_USE ox_status ox_model_each_graph(struct ox_model *model,
                                          ox_status (*fn)(void *arg, struct ox_graph *graph),
                                          void *arg);

/* ---- checking, inferring, running ---------------------------------------------------------------
 */

/* Structure (invariants above), arity and attributes (each row's decode). Reports up to 20
 * problems, then fails OX_INVALID. */
OX_MUST_USE ox_status ox_model_verify(struct ox_model *model);
/* Infers types and known values of the whole model, in place (value->type is refined, never made
 * less precise; a declared type that contradicts what follows from the operators is reported as a
 * warning "shape-conflict" and overruled). Contradictions inside are OX_INVALID. */
struct ox_shapes; /* partial values by value id; valid until the model changes */
OX_MUST_USE ox_status ox_model_infer(struct ox_model *model,
                                     struct ox_shapes **out /* may be NULL */);
const struct ox_partial *ox_shapes_value(const struct ox_shapes *shapes,
                                         const struct ox_value *value);
void ox_shapes_free(struct ox_shapes *shapes);
/* Infers one node anew (a pass has just made it). */
OX_MUST_USE ox_status ox_node_infer(struct ox_node *node);

#endif
