/* ir/graph/reason_priv.h - why a value is not known: what reason.c and reason_probe.c share. */
#ifndef OX_IR_GRAPH_REASON_PRIV_H
#define OX_IR_GRAPH_REASON_PRIV_H

#include "ir/graph/infer_priv.h"

/* What is asked for, from little to much. */
enum ox_lack { OX_LACK_TYPE, OX_LACK_RANK, OX_LACK_DIM, OX_LACK_ELEMENTS, OX_LACK_NOTHING };

/* The first thing that a type does not tell; *dim (may be NULL): which dim it is, of a sequence's
 * elements where it is one. */
enum ox_lack ox_type_lack(int *dim, const struct ox_type *type);
/* Could the elements take part in shape arithmetic, and are not all known? */
OX_MUST_USE ox_status ox_elements_lack(bool *out, struct ox_shapes *s,
                                       const struct ox_value *value);

/* What a node's output would need to be known. */
struct ox_probe {
    struct ox_shapes *s;
    struct ox_node *node;
    size_t out;
    enum ox_lack lack;
    int dim;
};

enum ox_blame {
    OX_BLAME_OPERATOR,
    OX_BLAME_OPERAND_TYPE,
    OX_BLAME_OPERAND_ELEMENTS,
    OX_BLAME_CONTRADICTION
};

struct ox_verdict {
    enum ox_blame blame;
    size_t operand;
    const char *why; /* of the operator: what the row says, or NULL */
};

/* Asks the node's row again, with operands about which more is known than there is: the one that
 * makes the answer known is to blame; if none does, the operator is. */
OX_MUST_USE ox_status ox_probe_run(struct ox_verdict *out, const struct ox_probe *probe);

#endif
