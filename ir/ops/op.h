/* ir/ops/op.h - what an operator is: one row of ops.def, and the three functions behind it.
 *
 *   decode  attributes + constant inputs + opset  ->  one typed parameter struct with defaults
 * filled in, or a diagnostic. The only place where attributes and opset versions are looked at.
 *   infer   parameters + input types (+ values known in part)  ->  output types (+ values).
 *   eval    parameters + input tensors  ->  output tensors. The reference kernel.
 *
 * A row may have a fourth, prepare: what eval needs and the attributes alone decide (trees, tables,
 * compiled patterns), made once for a node and used by every eval of it.
 *
 * This layer knows tensors, types and attributes, not graphs, so that the runtime can link it.
 * To add an operator: its row in ops.def, its functions in the family's file, its tests.
 */
#ifndef OX_IR_OPS_OP_H
#define OX_IR_OPS_OP_H

#include "ir/base/bytes.h"
#include "ir/base/type.h"

struct ox_graph; /* opaque here: the value of a graph attribute */
struct ox_notes; /* ir/graph/notes.h */

#define OX_OPSET_MAX                                                                               \
    28 /* newest opset of the default domain that the table has been checked against */
#define OX_OPSET_ML_MAX 5 /* the same of ai.onnx.ml */

enum ox_attr_type { /* numbers of AttributeProto.AttributeType */
                    OX_ATTR_UNDEFINED = 0,
                    OX_ATTR_FLOAT = 1,
                    OX_ATTR_INT = 2,
                    OX_ATTR_STRING = 3,
                    OX_ATTR_TENSOR = 4,
                    OX_ATTR_GRAPH = 5,
                    OX_ATTR_FLOATS = 6,
                    OX_ATTR_INTS = 7,
                    OX_ATTR_STRINGS = 8,
                    OX_ATTR_TENSORS = 9,
                    OX_ATTR_GRAPHS = 10,
                    OX_ATTR_SPARSE_TENSOR = 11,
                    OX_ATTR_SPARSE_TENSORS = 12,
                    OX_ATTR_TYPE_PROTO = 13,
                    OX_ATTR_TYPE_PROTOS = 14
};

struct ox_attr {
    ox_name name;
    enum ox_attr_type type;
    ox_name ref;  /* ref_attr_name inside a function body; then there is no value */
    size_t count; /* elements of the plural types; 1 for singular ones */
    union {
        float f;
        int64_t i;
        struct ox_str s;
        ox_tensor *t; /* counted by the attribute's owner */
        struct ox_graph *g;
        const float *floats;
        const int64_t *ints;
        const struct ox_str *strings;
        ox_tensor **tensors;
        struct ox_graph **graphs;
        const struct ox_type *tp;
        const struct ox_type *const *tps;
        struct ox_sparse **sparse; /* count entries, singular too */
    } v;
    const struct ox_notes *notes; /* what else the file says, or NULL */
};

/* A sparse tensor: carried as it is, expanded to be computed with. */
struct ox_sparse {
    ox_name name;
    ox_tensor *values, *indices;
    int rank;
    const int64_t *dims;
    const struct ox_notes
        *notes; /* of the SparseTensorProto; labels of values and indices; or NULL */
};
OX_MUST_USE ox_status ox_sparse_expand(ox_tensor **out, ox_ctx *ctx,
                                       const struct ox_sparse *sparse);

/* Traits of a row. */
enum {
    OX_PURE = 1 << 0,     /* same inputs, same outputs, no effect: may be folded, merged, removed */
    OX_RANDOM = 1 << 1,   /* never folded or merged; may be removed when unused */
    OX_STATEFUL = 1 << 2, /* never folded, merged or removed */
    OX_CONTROL = 1 << 3,  /* has subgraphs that run */
    OX_COMMUTES = 1 << 4, /* first two inputs may change places */
    OX_ELTWISE = 1 << 5,  /* output element i depends on (broadcast) input elements i only */
    OX_MOVES = 1 << 6,    /* output elements are a selection/permutation of input 0's elements
                             (Reshape, Transpose, MaxPool is not) */
    OX_HAS_WEIGHTS = 1 << 7, /* input 1 is a weight, input 2 a bias where present (Conv,
                                ConvTranspose, Gemm, MatMul) */
    OX_TRAINING = 1 << 9, /* pure unless input 2, the training mode, is or may be true (Dropout) */
    OX_LISTS =
        1 << 10, /* takes or makes sequences, optionals or maps; other kernels never see one */
    OX_UNPACKS = 1 << 11, /* makes a larger form of a constant (DequantizeLinear): never folded, or
                             compression would be undone */
    OX_ANY_OPTIONAL = 1 << 8 /* inputs beyond min_in may be absent anywhere, also in the middle */
};

/* How quantization treats a row. */
enum ox_quant_class {
    OX_Q_NONE,    /* stays in float */
    OX_Q_WEIGHT,  /* Conv, Gemm, MatMul: int8 weight, int32 bias, quantized input and output */
    OX_Q_MOVE,    /* moves data: output has its input's scale (Reshape, Transpose, MaxPool, Gather,
                     Slice, ...) */
    OX_Q_UNIFY,   /* all inputs and the output share one scale (Concat, Pad?, Where, Min/Max) */
    OX_Q_ELTWISE, /* own scale per input and output (Add, Mul, Sub, AveragePool, GlobalAveragePool,
                     Resize linear, Sigmoid, ...) */
    OX_Q_CLAMP    /* Relu, Clip: absorbed in the range of what feeds it */
};

/* Largest parameter struct; a static assertion in each family checks its own. */
#define OX_PARAMS_MAX 4096

struct ox_op;

/* What decode, infer and eval see of a node. */
struct ox_call {
    ox_ctx *ctx;
    const struct ox_op *op;
    int opset; /* of the operator's domain */
    const struct ox_attr *attrs;
    size_t n_attrs;
    size_t n_in, n_out; /* as written in the node; trailing absent ones cut */
    const struct ox_tensor *const
        *consts; /* n_in entries, NULL where not constant or absent; NULL as a whole: none known */
    const bool *present;  /* n_in entries: the optional input is there */
    const bool *wanted;   /* n_out entries: the output has a name */
    const void *prepared; /* eval: what the row's prepare has made of this node; NULL: none is kept,
                             one is made for the call */
    uint64_t
        stream; /* where the numbers of a random operator without a seed start: the node's own */
};

/* What infer gets and gives, per value. */
struct ox_infer {
    struct ox_arena *arena; /* for dims, types and partial values of outputs */
    struct ox_dims *dims;
    const struct ox_type *const *in;           /* n_in entries; NULL: absent or unknown */
    const struct ox_partial *const *in_values; /* n_in entries; NULL: nothing known. Constants of up
                                                  to OX_PARTIAL_MAX integers are given here too */
    const struct ox_type **out;                /* n_out entries, preset to NULL (unknown) */
    const struct ox_partial **out_values;      /* n_out entries, preset to NULL */
    const char *why; /* preset to NULL; what an output's shape hangs on that no operand's type or
                        numbers tell: "how many ..." */
};

typedef ox_status (*ox_decode_fn)(const struct ox_call *call, void *params);
/* "Unknown" is never an error; a contradiction (wrong rank, dims that cannot fit, wrong dtype) is,
 * through ox_fail with OX_INVALID. */
typedef ox_status (*ox_infer_fn)(const struct ox_call *call, const void *params,
                                 struct ox_infer *io);
/* in: n_in entries, NULL where absent, data aligned. out: n_out entries; the kernel makes a new
 * tensor (ox_tensor_new) for each wanted one, or refs an input where nothing changes. Must check
 * every shape relation it relies on (infer may have known nothing); violations are OX_INVALID. On
 * failure the kernel need not free what it stored in out: the caller does. */
typedef ox_status (*ox_eval_fn)(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out);

/* Makes a state of the parameters, never of inputs (call->consts is not looked at), in memory of
 * call->ctx. It may borrow what attributes own: they outlive it. Never NULL on success; nothing is
 * left on failure. eval sees it in call->prepared and must not change it: several threads may be
 * reading it. eval may rely on there being one. */
typedef ox_status (*ox_prepare_fn)(const struct ox_call *call, const void *params, void **state);
typedef void (*ox_forget_fn)(void *state, ox_ctx *ctx);

struct ox_op {
    const char *domain; /* "" for the default domain */
    const char *name;
    int since, newest;  /* first version, version of the newest definition the row implements */
    uint32_t types;     /* bit d: the first operand may be of dtype d */
    int min_in, max_in; /* -1: no upper bound */
    int min_out, max_out;
    unsigned traits;
    enum ox_quant_class quant;
    size_t params_size;
    ox_decode_fn decode;   /* never NULL */
    ox_infer_fn infer;     /* never NULL */
    ox_eval_fn eval;       /* NULL: cannot be executed */
    ox_prepare_fn prepare; /* NULL: there is nothing to prepare */
    ox_forget_fn forget;   /* NULL as prepare is */
    const void *family; /* what a family's shared functions need to tell its rows apart, or NULL */
};

/* Row of an operator, or NULL: then the node is opaque. "ai.onnx" and "" are the same domain.
 * Binary search. */
const struct ox_op *ox_op_find(const char *domain, const char *name);
size_t ox_op_count(void);
const struct ox_op *ox_op_at(size_t index); /* sorted by domain, then name */

/* ---- helpers for decode ---------------------------------------------------------------------- */
/* Attribute by name, or NULL. */
const struct ox_attr *ox_attr_find(const struct ox_call *call, const char *name);
/* The typed readers: default when absent; OX_INVALID with a diagnostic when present with another
 * type. */
OX_MUST_USE ox_status ox_attr_int(int64_t *out, const struct ox_call *call, const char *name,
                                  int64_t dflt);
OX_MUST_USE ox_status ox_attr_float(float *out, const struct ox_call *call, const char *name,
                                    float dflt);
/* *out borrows the attribute's string; dflt may be NULL (then out->ptr is NULL when absent). */
OX_MUST_USE ox_status ox_attr_string(struct ox_str *out, const struct ox_call *call,
                                     const char *name, const char *dflt);
/* *ints borrows; *count is SIZE_MAX when the attribute is absent. */
OX_MUST_USE ox_status ox_attr_ints(const int64_t **ints, size_t *count, const struct ox_call *call,
                                   const char *name);
OX_MUST_USE ox_status ox_attr_floats(const float **floats, size_t *count,
                                     const struct ox_call *call, const char *name);
OX_MUST_USE ox_status ox_attr_strings(const struct ox_str **strings, size_t *count,
                                      const struct ox_call *call, const char *name);
OX_MUST_USE ox_status ox_attr_tensor(const ox_tensor **out, const struct ox_call *call,
                                     const char *name);
/* Index of a string attribute in a NULL-terminated list of allowed values; anything else is
 * OX_INVALID. */
OX_MUST_USE ox_status ox_attr_choice(int *out, const struct ox_call *call, const char *name,
                                     const char *const *allowed, int dflt);
/* axis in [-rank, rank-1] to [0, rank-1]; OX_INVALID otherwise. what names it in the diagnostic
 * ("axis"). */
OX_MUST_USE ox_status ox_axis(int *out, const struct ox_call *call, const char *what, int64_t axis,
                              int rank);
/* Reads an integer constant tensor (int64 or int32, rank 0 or 1) into numbers; OX_INVALID for other
 * types. *out from ox_alloc, caller frees. */
OX_MUST_USE ox_status ox_tensor_ints(int64_t **out, size_t *count, ox_ctx *ctx,
                                     const ox_tensor *tensor);

/* ---- helpers for infer and eval -------------------------------------------------------------- */
/* Failing with "shape-mismatch", "wrong-type", "wrong-attribute": the place (node, op) is added by
 * the caller's driver. */
#define ox_bad_shape(call, ...)                                                                    \
    ox_fail((call)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define ox_bad_type(call, ...) ox_fail((call)->ctx, OX_INVALID, "wrong-type", NULL, __VA_ARGS__)
#define ox_bad_attr(call, ...)                                                                     \
    ox_fail((call)->ctx, OX_INVALID, "wrong-attribute", NULL, __VA_ARGS__)
#define ox_no_kernel(call, ...) ox_fail((call)->ctx, OX_UNSUPPORTED, "no-kernel", NULL, __VA_ARGS__)

/* out[i] gets a tensor type made of these parts. */
OX_MUST_USE ox_status ox_infer_tensor(struct ox_infer *io, size_t i, ox_dtype dtype, int rank,
                                      const ox_dim *dims);
/* out[i] is of in[j]'s type (unknown if that is). */
OX_MUST_USE ox_status ox_infer_same(struct ox_infer *io, size_t i, size_t j);
/* Multidirectional broadcast of two dims/shapes: 1 gives way; equal symbols stay; a number > 1 wins
 * over a symbol; two unlike numbers: OX_INVALID. */
OX_MUST_USE ox_status ox_infer_broadcast(const struct ox_call *call, struct ox_infer *io, int *rank,
                                         ox_dim *dims, int rank_b, const ox_dim *dims_b);
/* The same for numbers; *rank and dims are merged in place (dims has room for OX_MAX_RANK). */
OX_MUST_USE ox_status ox_broadcast(const struct ox_call *call, int *rank, int64_t *dims, int rank_b,
                                   const int64_t *dims_b);
/* dtype of an input type, OX_UNDEFINED when unknown. */
static inline ox_dtype ox_in_dtype(const struct ox_infer *io, size_t i) {
    return ox_type_is_tensor(io->in[i]) ? io->in[i]->dtype : OX_UNDEFINED;
}
static inline int ox_in_rank(const struct ox_infer *io, size_t i) {
    return ox_type_is_tensor(io->in[i]) ? io->in[i]->rank : -1;
}

/* Runs decode, then infer or eval, with a parameter buffer of its own; checks arity and, for eval,
 * alignment of inputs. The one door for graph-level drivers and the runtime. */
OX_MUST_USE ox_status ox_op_check(const struct ox_call *call); /* arity and decode only */
OX_MUST_USE ox_status ox_op_infer(const struct ox_call *call, struct ox_infer *io);
OX_MUST_USE ox_status ox_op_eval(const struct ox_call *call, const ox_tensor *const *in,
                                 ox_tensor **out);
/* For who evaluates a node more than once: *state goes into call.prepared each time. NULL where the
 * row prepares nothing. The context of the evaluations may be another one; the attributes must be
 * the same and must live. */
OX_MUST_USE ox_status ox_op_prepare(void **state, const struct ox_call *call);
void ox_op_forget(const struct ox_op *op, void *state,
                  ox_ctx *ctx); /* state may be NULL; ctx: that of ox_op_prepare */

#endif
