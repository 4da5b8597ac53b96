/* passes/rules/rule_forms.c - new nodes in the form that the opset in force wants.
 *
 * Rules are written in the newest form, in which most parameters are operands. In older opsets some
 * of them are attributes: the reverse of what `decode` does, and like it the one place where this
 * is known. */
#include "passes/rules/rule_priv.h"

enum form { INTS, FLOAT, INT };

static const struct {
    const char *op;
    size_t operand;
    const char *attr;
    enum form form;
    int since; /* the opset in which it became an operand */
} forms[] = {
    {"Clip", 1, "min", FLOAT, 11},
    {"Clip", 2, "max", FLOAT, 11},
    {"Dropout", 1, "ratio", FLOAT, 12},
    {"Pad", 1, "pads", INTS, 11},
    {"Pad", 2, "value", FLOAT, 11},
    {"ReduceL1", 1, "axes", INTS, 18},
    {"ReduceL2", 1, "axes", INTS, 18},
    {"ReduceLogSum", 1, "axes", INTS, 18},
    {"ReduceLogSumExp", 1, "axes", INTS, 18},
    {"ReduceMax", 1, "axes", INTS, 18},
    {"ReduceMean", 1, "axes", INTS, 18},
    {"ReduceMin", 1, "axes", INTS, 18},
    {"ReduceProd", 1, "axes", INTS, 18},
    {"ReduceSum", 1, "axes", INTS, 13},
    {"ReduceSumSquare", 1, "axes", INTS, 18},
    {"Slice", 1, "starts", INTS, 10},
    {"Slice", 2, "ends", INTS, 10},
    {"Slice", 3, "axes", INTS, 10},
    {"Split", 1, "split", INTS, 13},
    {"Squeeze", 1, "axes", INTS, 13},
    {"TopK", 1, "k", INT, 10},
    {"Unsqueeze", 1, "axes", INTS, 13},
};

static ox_status set_attr(bool *fits, struct ox_match *m, struct ox_node *node, size_t row,
                          const ox_tensor *t) {
    const char *attr = forms[row].attr;
    if (forms[row].form == FLOAT) {
        if (!t || t->count != 1 || t->dtype != OX_FLOAT) {
            *fits = false;
            return ox_match_refuse(m, "the opset wants '%s' of %s as a constant float", attr,
                                   forms[row].op);
        }
        float f;
        memcpy(&f, t->data, sizeof f);
        return ox_node_set_float(node, attr, f);
    }
    if (!t || t->rank > 1 || (t->dtype != OX_INT64 && t->dtype != OX_INT32) ||
        (forms[row].form == INT && t->count != 1)) {
        *fits = false;
        return ox_match_refuse(m, "the opset wants '%s' of %s as constant integers", attr,
                               forms[row].op);
    }
    int64_t *ints;
    size_t count;
    OX_TRY(ox_tensor_ints(&ints, &count, m->ctx, t));
    ox_status s = forms[row].form == INT ? ox_node_set_int(node, attr, ints[0])
                                         : ox_node_set_ints(node, attr, ints, count);
    ox_free(m->ctx, ints);
    return s;
}

ox_status ox_forms_adapt(bool *fits, struct ox_match *m, struct ox_node *node) {
    int64_t opset = ox_node_opset(node);
    if (node->domain || !node->op) return OX_OK;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0] && *fits; i++) {
        if (opset >= forms[i].since || strcmp(forms[i].op, node->op->name) != 0) continue;
        struct ox_value *v = ox_node_in(node, forms[i].operand);
        if (!v) continue;
        OX_TRY(set_attr(fits, m, node, i, ox_value_const(v)));
        if (*fits) ox_use_set(&node->in[forms[i].operand], NULL);
    }
    ox_node_trim_inputs(node);
    if (opset < node->op->since) {
        *fits = false;
        return ox_match_refuse(m, "opset %lld has no %s", (long long)opset, node->op->name);
    }
    return OX_OK;
}
