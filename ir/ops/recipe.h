/* ir/ops/recipe.h - operators that are other operators put together.
 *
 * A recipe is written once and is both the inference and the kernel of its row: the body names
 * steps, and a step runs the infer function of its operator with types, or its kernel with tensors.
 * So a recipe says what an operator means, and everything that is said of the parts (checks,
 * threads, types) holds for the whole.
 *
 * Errors stick: after the first one all steps do nothing and give OX_NO_V, so that bodies need no
 * checks. An absent value is OX_NO_V as well. All values live until the recipe ends, or ox_rc_keep
 * drops them. */
#ifndef OX_IR_OPS_RECIPE_H
#define OX_IR_OPS_RECIPE_H

#include "ir/ops/op.h"

typedef int ox_v; /* a value of a recipe */
enum {
    OX_NO_V = -1,
    OX_RECIPE_OPSET = 21,
    OX_RECIPE_VALUES = 512,
    OX_RECIPE_ATTRS = 12,
    OX_RECIPE_TEXT = 24
};

struct ox_recipe_value {
    const struct ox_type *type;       /* infer; NULL: unknown */
    const struct ox_partial *partial; /* infer; NULL: unknown */
    const ox_tensor *tensor;          /* eval: the value; infer: if it is constant */
    bool owned;
};

struct ox_recipe {
    const struct ox_call *call;
    struct ox_infer *io; /* NULL: tensors are computed */
    ox_tensor **out;     /* where they go */
    ox_status status;
    bool stopped; /* what is needed is not known: nothing is said of the outputs that have not been
                     given yet */
    int opset;    /* of the steps, OX_RECIPE_OPSET unless a body sets another */
    size_t n_attrs; /* of the next step */
    struct ox_attr attrs[OX_RECIPE_ATTRS];
    struct ox_recipe_name {
        uint32_t hash, len; /* of struct ox_name_entry */
        char text[OX_RECIPE_TEXT];
    } names[OX_RECIPE_ATTRS];
    int n;
    struct ox_recipe_value values[OX_RECIPE_VALUES];
};

/* The family of a row whose infer and eval are `recipe`. */
struct ox_recipe_kind {
    void (*body)(struct ox_recipe *r, const void *params);
    int variant; /* the body's own */
};
static inline int ox_rc_variant(const struct ox_recipe *r) {
    return ((const struct ox_recipe_kind *)r->call->op->family)->variant;
}

/* ---- values ---------------------------------------------------------------------------------- */

ox_v ox_rc_in(struct ox_recipe *r, size_t i); /* input i of the node; OX_NO_V: absent */
/* A constant: one number of a float type (16-bit ones included) or integer type; a vector of int64.
 */
ox_v ox_rc_number(struct ox_recipe *r, ox_dtype dtype, double number);
ox_v ox_rc_ints(struct ox_recipe *r, size_t n, const int64_t *ints);
#define OX_RC_INTS(r, ...)                                                                         \
    ox_rc_ints(r, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

ox_dtype ox_rc_dtype(const struct ox_recipe *r, ox_v v); /* OX_UNDEFINED: not known */
int ox_rc_rank(const struct ox_recipe *r, ox_v v);       /* -1: not known */
/* Dim d (negative: from the end) of a value of known rank. */
ox_dim ox_rc_dim(const struct ox_recipe *r, ox_v v, int d);
/* The elements if they are known: always when tensors are computed, else NULL unless constant. */
const ox_tensor *ox_rc_tensor(const struct ox_recipe *r, ox_v v);

/* ---- steps ----------------------------------------------------------------------------------- */

/* Attributes of the next step. Texts and arrays must live until then. */
void ox_rc_int(struct ox_recipe *r, const char *name, int64_t value);
void ox_rc_float(struct ox_recipe *r, const char *name, float value);
void ox_rc_string(struct ox_recipe *r, const char *name, const char *value);
void ox_rc_int_list(struct ox_recipe *r, const char *name, size_t n, const int64_t *values);
/* The node's own attribute of this name, if it has it, passed on. */
void ox_rc_pass(struct ox_recipe *r, const char *name);

/* Runs an operator of the default domain. Trailing absent inputs are cut. */
ox_v ox_rc_step(struct ox_recipe *r, const char *op, size_t n_in, const ox_v *in);
#define OX_RC(r, op, ...)                                                                          \
    ox_rc_step(r, op, sizeof((ox_v[]){__VA_ARGS__}) / sizeof(ox_v), (ox_v[]){__VA_ARGS__})
/* Any row, also one that is not in the table, and all of its outputs. */
void ox_rc_run(struct ox_recipe *r, const struct ox_op *op, size_t n_in, const ox_v *in,
               size_t n_out, ox_v *out);

ox_v ox_rc_cast(struct ox_recipe *r, ox_v v, ox_dtype dtype);
/* 16-bit floats as 32-bit ones, so that rounding happens once, in the end; others as they are. */
ox_v ox_rc_wide(struct ox_recipe *r, ox_v v);
/* v as the element type of `like` (floats). */
ox_v ox_rc_like(struct ox_recipe *r, ox_v v, ox_v like);
ox_v ox_rc_reshape(struct ox_recipe *r, ox_v v, size_t n, const int64_t *dims);
#define OX_RC_RESHAPE(r, v, ...)                                                                   \
    ox_rc_reshape(r, v, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                        \
                  (int64_t[]){__VA_ARGS__})
ox_v ox_rc_transpose(struct ox_recipe *r, ox_v v, size_t n, const int64_t *perm);
#define OX_RC_TRANSPOSE(r, v, ...)                                                                 \
    ox_rc_transpose(r, v, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                      \
                    (int64_t[]){__VA_ARGS__})
/* Channels of a value of known rank from dim 1 to the end, or back; stops where the rank is not
 * known. */
ox_v ox_rc_channels_last(struct ox_recipe *r, ox_v v);
ox_v ox_rc_channels_first(struct ox_recipe *r, ox_v v);
/* Elements [begin, end) along an axis. */
ox_v ox_rc_slice(struct ox_recipe *r, ox_v v, int64_t axis, int64_t begin, int64_t end);
ox_v ox_rc_concat(struct ox_recipe *r, int64_t axis, size_t n, const ox_v *in);
/* v + bias where there is a bias, else v. */
ox_v ox_rc_add(struct ox_recipe *r, ox_v v, ox_v bias);

/* For loops: of the values made since there were `mark` (r->n) only these n are kept; kept[] gets
 * their new names. Values made before are left alone. */
void ox_rc_keep(struct ox_recipe *r, int mark, size_t n, ox_v *kept);

/* ---- outputs and checks ---------------------------------------------------------------------- */

bool ox_rc_wants(const struct ox_recipe *r, size_t i);
void ox_rc_out(struct ox_recipe *r, size_t i, ox_v v);
/* Nothing more can be said. When tensors are computed that is a failure of the recipe itself. */
void ox_rc_stop(struct ox_recipe *r);
/* Takes a status into the recipe; false: it has failed or stopped. */
bool ox_rc_ok(struct ox_recipe *r, ox_status status);
/* The node's input i must be there although the table's row cannot say so. */
ox_v ox_rc_need(struct ox_recipe *r, size_t i);
/* A value of this rank, or of one element: diagnostics name input i. Absent and unknown values
 * pass. */
void ox_rc_expect_rank(struct ox_recipe *r, size_t i, ox_v v, int rank);
void ox_rc_expect_one(struct ox_recipe *r, size_t i, ox_v v);

#endif
