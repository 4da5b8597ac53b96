/* passes/quantize/quant_plan.h - what will be quantized, and how: the plan that calibration fills,
 * the search changes, the simulation runs and the insertion carries out. The model is not touched
 * until then.
 *
 * Only the main graph is quantized. Each of its nodes has a role (quant_rules.c), and is `on` when
 * it will compute in int8 (ox_qplan_settle). Each activation is quantized in one of three ways:
 *   made     where it is made: every reader sees rounded values. Outputs of nodes that are on.
 *   read     by readers that are on; others see the float values. What float nodes and graph inputs
 * give to nodes that are on. not at all. A clamp (Relu, Clip) that alone reads a node's output is
 * part of that node: what is quantized is the clamp's output. */
#ifndef OX_PASSES_QUANTIZE_QUANT_PLAN_H
#define OX_PASSES_QUANTIZE_QUANT_PLAN_H

#include "ir/ir.h"
#include "passes/quantize/quant_weight.h"

enum ox_qrole {
    OX_QROLE_FLOAT,  /* never quantized */
    OX_QROLE_WEIGHT, /* constant weight, perhaps constant bias: Conv, ConvTranspose, Gemm, MatMul */
    OX_QROLE_PRODUCT, /* matrix product of two activations */
    OX_QROLE_ELTWISE, /* int8 in, int8 out, each with its own scale */
    OX_QROLE_MOVE,    /* output has input 0's scale; other inputs are not data */
    OX_QROLE_UNIFY,   /* inputs and output share a scale where that costs nothing */
    OX_QROLE_CLAMP    /* part of the node that makes its input */
};

/* Means and extremes of the channels of an activation that a weight is multiplied with. */
struct ox_qchannels {
    int axis; /* of channels: 1, or -1 for the last */
    size_t n; /* 0: nothing seen, or dims differ from sample to sample */
    double count, *sum, *squares;
};

#define OX_QGROUP_END UINT32_MAX

struct ox_qvalue {
    bool data;       /* a float tensor that is computed or given: it can be quantized */
    bool made, read; /* how it is quantized; at most one */
    uint32_t group;  /* id of the value that stands for all that share its scale: the smallest */
    uint32_t next;   /* id of the next of the group, ascending; OX_QGROUP_END after the last */
    bool seen;       /* it was computed in calibration */
    bool wants_channels;
    struct ox_hist hist;
    struct ox_qchannels channels;
    size_t elements;        /* largest number in a sample */
    struct ox_qparam param; /* of the group, copied to each member */
    struct ox_range range;
    ox_calibrator calibrator;   /* that gave it */
    struct ox_value *stands_in; /* after insertion: output of its DequantizeLinear */
};

/* A constant as insertion stored it. */
struct ox_qstored {
    bool there;
    ox_name name; /* of the float constant; may be NULL */
    size_t n_scales;
    float scale; /* the first */
    double db;   /* signal to noise of rounding it */
};

struct ox_qnode {
    struct ox_node *node;
    enum ox_qrole role;
    bool wanted; /* may be on */
    bool on;
    bool weight_only;    /* WEIGHT, not on, but its weight is rounded all the same; see settle */
    bool float_out;      /* on, but its output stays float */
    bool keep_float_out; /* asked for */
    bool runs;           /* can be simulated */
    bool tail;           /* no weighted node is reached from it */
    struct ox_qnode *part_of; /* a clamp that is part of this node, or NULL */
    const char *reason;       /* why it is not on, where it could be one that is */
    struct ox_value *data;    /* its operand 0 in the float model */
    struct ox_value *result;  /* its output 0 behind absorbed clamps */
    struct ox_qweight weight; /* WEIGHT; scales chosen when scale is not NULL */
    float *bias;              /* corrected bias, weight.n entries, or NULL: as it is in the model */
    struct ox_qstored stored_weight, stored_bias;
    double macs, cost; /* cost: what it takes to compute it in float rather than int8, in
                                 multiply-accumulates */
};

/* Options of the pass that the plan needs. */
struct ox_qoptions {
    ox_dtype activations; /* OX_UINT8 or OX_INT8 */
    int calibrator;       /* enum ox_calibrator, or OX_CALIB_AUTO */
    double percentile;
    bool per_channel, products;
};
#define OX_CALIB_AUTO 4

struct ox_qplan {
    ox_ctx *ctx;
    struct ox_model *model;
    struct ox_graph *graph;
    struct ox_qoptions options;
    size_t n_nodes, n_values; /* of the arrays: what the model had when the plan was made */
    struct ox_qnode *nodes;   /* by id; of other graphs: role FLOAT, node NULL */
    struct ox_qvalue *values; /* by id */
    struct ox_value *
        *leaves; /* values by which an answer is judged: float outputs, before they are joined */
    size_t n_leaves, cap_leaves;
};

/* ---- roles: quant_rules.c ----------------------------------------------------------------------
 */

/* Role of a node, and for WEIGHT the layout of its weight. *reason (for roles that come to nothing)
 * may be left alone. */
OX_MUST_USE ox_status ox_qrole_of(enum ox_qrole *role, struct ox_qlayout *layout, int *axis,
                                  const char **reason, const struct ox_node *node);
/* Is operand `index` data that is quantized, for this role? */
bool ox_qrole_data(enum ox_qrole role, size_t index);
/* Axis of channels of a weighted node's data: 1 or -1 (the last). */
int ox_qrole_channel_axis(const struct ox_node *node);
/* Can the operator give float from int8 without leaving int8 arithmetic (an int32 sum that is
 * scaled)? */
bool ox_qrole_float_out_free(const struct ox_node *node);

/* ---- the plan ----------------------------------------------------------------------------------
 */

OX_MUST_USE ox_status ox_qplan_new(struct ox_qplan **out, struct ox_model *model,
                                   const struct ox_qoptions *options);
void ox_qplan_free(struct ox_qplan *plan);
/* From `wanted` of all nodes to `on` of all nodes, and to `made` and `read` of all values. */
void ox_qplan_settle(struct ox_qplan *plan);
/* Puts together values that share a scale. After settling, once. */
void ox_qplan_group(struct ox_qplan *plan);
/* The node whose output the value is, behind clamps that are part of it; NULL for inputs, constants
 * and what is in between. */
struct ox_qnode *ox_qplan_maker(const struct ox_qplan *plan, const struct ox_value *v);
/* Does a node that is on read the value as data? */
bool ox_qplan_read_on(const struct ox_qplan *plan, const struct ox_value *v);

static inline struct ox_qnode *ox_qnode_of(const struct ox_qplan *plan, const struct ox_node *n) {
    return n && n->id < plan->n_nodes && plan->nodes[n->id].node ? &plan->nodes[n->id] : NULL;
}
static inline struct ox_qvalue *ox_qvalue_of(const struct ox_qplan *plan,
                                             const struct ox_value *v) {
    return v && v->id < plan->n_values ? &plan->values[v->id] : NULL;
}

#endif
