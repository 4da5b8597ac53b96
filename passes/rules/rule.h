/* passes/rules/rule.h - rewrite rules as data.
 *
 * A rule says what to look for and what to put in its place, both in ONNX text:
 *
 *     {"conv-bn", "[conv] y = Conv(x, w, b)  z = BatchNormalization(y, scale, shift, mean, var)",
 *      "w const; b const; scale const; shift const; mean const; var const",
 *      "[conv] z = Conv(x, w2, b2)", conv_bn}
 *
 * match    Nodes of the default domain; the last one is the root, and the others must lead to it. A
 * name that no node defines is a capture: it stands for any value, the same one wherever it occurs.
 * An operand that the operator table calls optional may be absent in the graph; its capture is then
 * NULL, and conditions on it hold. A node written without any operand, `Concat()`, stands for any
 * operands and outputs. The first two operands of an operator that commutes are tried in both
 * orders. Values between the nodes of a match must have no other use, unless declared `shared`;
 * outputs that the rule does not write must be unused. Attributes written are required to be
 * present and equal. when     Conditions, separated by ';', all of which must hold: w const w is a
 * constant            c is 1      every element of the constant c equals this number c scalar a
 * constant of one element  x like y    the types are known to be the same, dims included x float
 * element type is float, double, float16 or bfloat16; likewise `x int`, `x bool`, `x number` (both)
 *              x tensor        its element type and rank are known
 *              y shared        the value y inside the match may have other uses
 *              opset 13        the opset in force is at least this
 * replace  Either nodes, which define the outputs of the match's root by the same names, or `y ->
 * x` for each output: the value x takes y's place. A node takes over attributes, name and metadata
 * of the match's node of the same [label], a value the name of the match's value of the same name.
 *          Names that neither the match nor the replacement defines are made by `make`. Operands
 * are written in the form of the newest opset; they become attributes where the model's opset wants
 * that. NULL: `make` makes the change itself. make     Checks the rest and computes new constants
 * and attributes. ox_match_refuse leaves the graph as it is. May be NULL.
 *
 * A rule whose replacement uses an operator that the model's opset does not have yet does not fire.
 * Nor does one whose replacement is found to have another type than what it replaces. `name` is the
 * counter of the pass's row under which a rule is counted. See rule_sweep.c for how rules are
 * applied to a model. */
#ifndef OX_PASSES_RULES_RULE_H
#define OX_PASSES_RULES_RULE_H

#include "passes/pass.h"

struct ox_match;
typedef ox_status (*ox_rule_fn)(struct ox_match *m);

struct ox_rule {
    const char *name, *match, *when, *replace;
    ox_rule_fn make;
};

/* Applies rules to the whole model, subgraphs and function bodies included, until none of them
 * fires on a walk over the nodes. `shapes` (may be NULL) is what is known of integer values; new
 * values are not in it. */
OX_MUST_USE ox_status ox_rules_run(struct ox_pass_run *run, const struct ox_rule *rules,
                                   size_t n_rules, const struct ox_shapes *shapes);

/* ---- for `make`: what was matched ------------------------------------------------------------ */

struct ox_pass_run *ox_match_run(const struct ox_match *m);
/* A value of the match by its name; NULL where an optional operand is absent. */
struct ox_value *ox_match_value(const struct ox_match *m, const char *name);
ox_tensor *ox_match_const(const struct ox_match *m, const char *name); /* its constant, or NULL */
const struct ox_type *ox_match_type(const struct ox_match *m, const char *name); /* never NULL */
/* A node of the match by its [label], or the node that makes the named value. */
struct ox_node *ox_match_node(const struct ox_match *m, const char *name);
struct ox_node *ox_match_root(const struct ox_match *m);
/* Decodes a node into its row's parameter struct, whose size must be given. */
OX_MUST_USE ox_status ox_match_params(void *params, size_t size, const struct ox_match *m,
                                      const struct ox_node *node);
/* What is known of an integer value, NULL when nothing is. */
const struct ox_partial *ox_match_known(const struct ox_match *m, const struct ox_value *value);

/* Leaves the graph as it is: `return ox_match_refuse(m, "why")`. The reason is told under
 * --explain. Returns OX_OK. */
ox_status ox_match_refuse(struct ox_match *m, const char *format, ...) OX_PRINTF(2, 3);

/* ---- for `make`: what the replacement needs ----------------------------------------------------
 */

/* The replacement's name `name` is a new constant; takes over the caller's count of `tensor`, also
 * on failure. Named after value `like` (may be NULL). */
OX_MUST_USE ox_status ox_match_make(struct ox_match *m, const char *name, ox_tensor *tensor,
                                    const struct ox_value *like);
OX_MUST_USE ox_status ox_match_make_ints(struct ox_match *m, const char *name,
                                         const int64_t *values, size_t count);
/* Reshape's operand that brings a tensor of type x to type y: numbers, 0 for "as in x", at most one
 * -1. Refuses where that cannot say it. */
OX_MUST_USE ox_status ox_match_make_dims(struct ox_match *m, const char *name,
                                         const struct ox_type *x, const struct ox_type *y);
/* The replacement's name `name` is this value (NULL: an absent operand), which must be visible at
 * the root. */
OX_MUST_USE ox_status ox_match_bind(struct ox_match *m, const char *name, struct ox_value *value);
/* The replacement's node [label] gets an attribute; values are copied. */
OX_MUST_USE ox_status ox_match_set_int(struct ox_match *m, const char *label, const char *attr,
                                       int64_t value);
OX_MUST_USE ox_status ox_match_set_float(struct ox_match *m, const char *label, const char *attr,
                                         float value);
OX_MUST_USE ox_status ox_match_set_ints(struct ox_match *m, const char *label, const char *attr,
                                        const int64_t *values, size_t count);
OX_MUST_USE ox_status ox_match_drop(struct ox_match *m, const char *label,
                                    const char *attr); /* not taken over from the match */

/* ---- for `make` without a replacement text: editing by hand ------------------------------------
 */

/* A new node of the default domain before the root. */
OX_MUST_USE ox_status ox_match_add(struct ox_node **out, struct ox_match *m, const char *op,
                                   size_t n_in, size_t n_out);
/* A new constant in the root's graph; takes over the count of `tensor`, also on failure. */
OX_MUST_USE ox_status ox_match_add_const(struct ox_value **out, struct ox_match *m,
                                         ox_tensor *tensor, const struct ox_value *like);
OX_MUST_USE ox_status ox_match_add_ints(struct ox_value **out, struct ox_match *m,
                                        const int64_t *values, size_t count);
/* Attributes of a node are copied to another, but those it has already. */
OX_MUST_USE ox_status ox_match_copy_attrs(struct ox_node *to, const struct ox_node *from);
/* `by` takes the place of `old`, with its name where it has none of its own. All replacements are
 * made when `make` has returned without refusing, and only if the types of all pairs agree; new
 * nodes are brought into the form that the opset wants and inferred before that. */
OX_MUST_USE ox_status ox_match_replace(struct ox_match *m, struct ox_value *old,
                                       struct ox_value *by);

#endif
