/* backend/native/lower.h - from nodes to steps.
 *
 * Nodes are visited from the last to the first, and only those whose results somebody wants. At
 * each, the functions of lower.def are asked in turn. One that takes the node emits the steps that
 * compute *all wanted outputs of that node*, reading whatever values it likes from further up: so a
 * cluster is matched at its last node, backwards (Relu: "is my input a Conv that nobody else
 * reads?"). What a cluster reads past is not wanted by it, and nodes that nobody wants in the end
 * are never emitted: nothing has to be marked as taken, and a DequantizeLinear shared by three
 * clusters disappears once all three read the integers behind it. (A node inside a cluster that is
 * read by others as well would be computed twice: check ox_value.n_uses where that hurts.)
 *
 * Forms. A value may exist in several forms: as it is (plain), channels last (axis 1 moved to the
 * end; rank >= 3), shifted (uint8 as int8 with 128 taken off), or both. A function says in which
 * form it reads an operand and in which it makes a result. Where a form is wanted that was not
 * made, a transpose or shift step is put behind the maker, once for all readers; for constants it
 * is done here. ox_lower_wanted tells which forms the readers behind want, so that an elementwise
 * operator can follow them.
 *
 *   ox_status ox_lower_relu(struct ox_lower *lo, const struct ox_node *node, bool *claimed)
 *   {
 *       unsigned form = ox_lower_wanted(lo, node->out[0]) >> OX_FORM_LAST & 1 ? OX_FORM_LAST :
 * OX_FORM_PLAIN; struct ox_step_clamp_params p = {...}; ox_operand in, out; if (<type or rank not
 * known, or not ours>) return ox_lower_decline(lo, node, "input is float16");
 *       OX_TRY(ox_lower_in(&in, lo, ox_node_in(node, 0), form));
 *       OX_TRY(ox_lower_out(&out, lo, node->out[0], form));
 *       *claimed = true;
 *       return ox_lower_step(lo, node, OX_STEP_CLAMP, &p, 1, &in, 1, &out);
 *   }
 *
 * Decide before asking for operands: ox_lower_in makes a value wanted, and there is no taking back.
 */
#ifndef OX_BACKEND_NATIVE_LOWER_H
#define OX_BACKEND_NATIVE_LOWER_H

#include "backend/blob/step_check.h"
#include "ir/ir.h"

struct ox_lower; /* one model on its way */

/* Forms of a value; a set of them is a mask of 1 << form. */
enum {
    OX_FORM_PLAIN = 0,
    OX_FORM_LAST = 1,
    OX_FORM_SHIFTED = 2,
    OX_FORM_LAST_SHIFTED = OX_FORM_LAST | OX_FORM_SHIFTED,
    OX_FORMS = 4
};

/* A constant or a slot, or nothing. */
typedef struct ox_operand {
    uint32_t id;
} ox_operand;
#define OX_OPERAND_NONE ((ox_operand){UINT32_MAX})

/* Lowers `node`, or leaves *claimed false having asked for nothing. Failing is for trouble
 * (memory), not for nodes that do not suit. */
typedef ox_status (*ox_lower_fn)(struct ox_lower *lo, const struct ox_node *node, bool *claimed);

struct ox_model *ox_lower_model(const struct ox_lower *lo);
/* Notes why a native step was not possible (static text), for `onnxopt info`, and returns OX_OK. */
ox_status ox_lower_decline(struct ox_lower *lo, const struct ox_node *node, const char *why);

/* What is known of a value. Constant behind it, or NULL: initializers and Constant nodes (aligned,
 * never sparse). */
const ox_tensor *ox_lower_value_const(struct ox_lower *lo, const struct ox_value *value);
/* Forms in which steps behind read the value. */
unsigned ox_lower_wanted(const struct ox_lower *lo, const struct ox_value *value);

/* The value (NULL: absent) in a form, to be read. */
OX_MUST_USE ox_status ox_lower_in(ox_operand *out, struct ox_lower *lo,
                                  const struct ox_value *value, unsigned form);
/* A constant of the function's own making (repacked weights); the count of `tensor` is taken over,
 * also on failure. Equal ones are stored once. */
OX_MUST_USE ox_status ox_lower_const(ox_operand *out, struct ox_lower *lo, ox_tensor *tensor);
/* Where an output of the node at hand is put, in one form; once per value. */
OX_MUST_USE ox_status ox_lower_out(ox_operand *out, struct ox_lower *lo,
                                   const struct ox_value *value, unsigned form);
/* A slot between two steps of the same claim. */
OX_MUST_USE ox_status ox_lower_temp(ox_operand *out, struct ox_lower *lo);
/* Emits a step; steps of one claim run in the order they are emitted. `params` is the kind's record
 * (copied, and checked at once: a record that its check function refuses is OX_INTERNAL). `node`
 * names it in profiles. */
OX_MUST_USE ox_status ox_lower_step(struct ox_lower *lo, const struct ox_node *node, unsigned kind,
                                    const void *params, size_t n_in, const ox_operand *in,
                                    size_t n_out, const ox_operand *out);
/* Emits node's own kernel on other data than its operand 0, for one result. */
OX_MUST_USE ox_status ox_lower_move(struct ox_lower *lo, const struct ox_node *node,
                                    ox_operand data, size_t result, ox_operand to);

#endif
