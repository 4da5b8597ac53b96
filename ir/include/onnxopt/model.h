/* onnxopt/model.h - a model in memory: what it contains, its text form, and running it.
 *
 * A model is made by onnxopt/load.h or ox_model_parse, changed by onnxopt/passes.h, written by
 * onnxopt/save.h. */
#ifndef ONNXOPT_MODEL_H
#define ONNXOPT_MODEL_H

#include <onnxopt/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ox_model ox_model;

void ox_model_free(ox_model *model);
/* Context the model was made with. */
ox_ctx *ox_model_ctx(const ox_model *model);

size_t ox_model_inputs(const ox_model *model); /* inputs that a caller must or may give: those that
                                                  are plain weights (IR < 4) are not counted */
size_t ox_model_outputs(const ox_model *model);
OX_MUST_USE ox_status ox_model_input(struct ox_port *out, ox_model *model, size_t index);
OX_MUST_USE ox_status ox_model_output(struct ox_port *out, ox_model *model, size_t index);

/* Size and cost of a model, all subgraphs and functions included. */
struct ox_model_stats {
    int64_t ir_version, opset; /* of the default domain; 0: not imported */
    size_t nodes;              /* Constant nodes not counted */
    size_t constants;          /* Constant nodes */
    size_t initializers;
    uint64_t parameters;   /* elements of initializers and constants */
    uint64_t weight_bytes; /* their bytes */
    uint64_t macs; /* multiply-accumulates of Conv, ConvTranspose, Gemm, MatMul and their quantized
                      forms in one run, with symbolic dims as 1 */
    size_t macs_unknown; /* such nodes whose shapes are not known */
    size_t subgraphs, functions;
    size_t values, unknown_values; /* inputs and what is computed; those whose type is not known in
                                      full (ox_model_unknowns says why) */
    size_t opaque_nodes;           /* nodes of operators that are not in the table */
    uint64_t file_bytes; /* of the file the model was read from, and its external data; 0: from
                            memory or text */
};
OX_MUST_USE ox_status ox_model_stats(struct ox_model_stats *out, ox_model *model);
/* Operators used: the i-th distinct (domain, type) in alphabetical order, with how often. False
 * when index is past the end. */
bool ox_model_op_count(const char **domain, const char **type, size_t *count, bool *known,
                       ox_model *model, size_t index);

/* ---- what is not known of a model's values ----------------------------------------------------
 */
/* A value whose type shape inference does not know in full, and where that begins: many values
 * behind one operator have one reason. */
struct ox_unknown {
    const char *name, *graph; /* of the value; "" where it has none */
    const char
        *type_text;   /* what is known: "float[N,?3]", "float[]" without rank, "?" without type */
    const char *part; /* the first that is missing: "type", "rank" or "dim" */
    int dim;          /* which dim; -1 for the other parts */
    const char
        *reason; /* stable: undeclared, given-by-caller, computed, data-dependent, unknown-operator,
                    not-followed, branches-differ, changing-steps, step-count, contradiction */
    const char *text;               /* the same in a few words */
    const char *domain, *op, *node; /* where it begins: operator, and name of the node or of its
                                       first output; NULL: an input of the model */
    const char *origin;             /* the value it begins with */
};
typedef void (*ox_unknown_fn)(void *user,
                              const struct ox_unknown *unknown); /* valid during the call */
/* Calls fn for each such value, subgraphs included, in the order of the file. Types are inferred
 * anew for it. */
OX_MUST_USE ox_status ox_model_unknowns(ox_model *model, ox_unknown_fn fn, void *user);

/* ONNX text form of a model; the caller frees it with ox_text_free. max_elements: larger tensors
 * are elided (0: none). */
OX_MUST_USE ox_status ox_model_text(char **out, size_t *len, const ox_model *model,
                                    size_t max_elements);
void ox_text_free(ox_ctx *ctx, char *text);
OX_MUST_USE ox_status ox_model_parse(ox_model **out, ox_ctx *ctx, const char *text, size_t len,
                                     const char *name);

/* Checks structure, operators and types. Loading does this already. */
OX_MUST_USE ox_status ox_model_check(ox_model *model);
/* Fixes a symbolic dim of the inputs to a number everywhere it occurs. */
OX_MUST_USE ox_status ox_model_set_dim(ox_model *model, const char *symbol, int64_t value);

/* ---- running with the reference executor ----------------------------------------------------- */
typedef struct ox_session ox_session;
/* The model is borrowed and must not change meanwhile. OX_UNSUPPORTED names the first node that
 * cannot run. */
OX_MUST_USE ox_status ox_session_new(ox_session **out, ox_model *model);
void ox_session_free(ox_session *session);
/* in: ox_model_inputs tensors (NULL: the default of the input); out: ox_model_outputs tensors,
 * counted for the caller. Wrong dtype or shape is OX_INVALID and names the input. */
OX_MUST_USE ox_status ox_session_run(ox_session *session, const ox_tensor *const *in,
                                     ox_tensor **out);

/* ---- the operator table ---------------------------------------------------------------------- */
struct ox_op_info {
    const char *domain, *name;
    int since, newest;
    uint32_t types; /* element types of the first input: bit d for dtype d; 0: no input */
    bool executable, foldable, quantizable;
};
/* False when index is past the end. Sorted by domain, then name. */
bool ox_op_info(struct ox_op_info *out, size_t index);

#ifdef __cplusplus
}
#endif
#endif
