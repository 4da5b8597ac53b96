/* ir/text/naming.h - the names under which values are written.
 *
 * Inside, values are pointers and a name is a label that a pass need not care about. The ONNX
 * standard joins nodes by name, so whoever writes a model (the text form, the ONNX writer) needs
 * for each value a name that is unique in its graph, the graphs around it and the graphs inside it,
 * and the names of graph outputs must be those that `ret` owns:
 *  - Inputs and outputs of the main graph have exactly their names.
 *  - A value that feeds an output takes the output's name. Where that cannot be (it feeds two
 * outputs, it is an input or an initializer of another name, or it is captured) the output is an
 * alias: an Identity is to be written behind the nodes.
 *  - Every other value keeps its name, unless it has none or an earlier one in scope has the same:
 * then a name is invented, STEM_<n>, that is not used in the model. The stem is the name or the
 * operator that makes the value. The result depends on the model only. */
#ifndef OX_IR_TEXT_NAMING_H
#define OX_IR_TEXT_NAMING_H

#include "ir/graph/graph.h"

struct ox_naming {
    ox_ctx *ctx;
    const struct ox_model *model;
    struct ox_names own; /* invented names */
    struct ox_arena arena;
    ox_name *of_value; /* by value id; NULL: not written */
    ox_name **of_ret;  /* by id of a `ret` node: names of its outputs */
    /* While naming: */
    struct ox_name_map taken;    /* name of the model -> 1: used in this graph or one around it */
    struct ox_name_map counters; /* stem (in `own`) -> last number given out */
    ox_name *stack;              /* the names taken, outermost graph first */
    size_t n_stack, cap_stack;
};

/* Names all values of a model, which must not change until ox_naming_fini. Two main graph inputs or
 * outputs that cannot both have their names are OX_INVALID. */
OX_MUST_USE ox_status ox_naming_init(struct ox_naming *naming, const struct ox_model *model);
void ox_naming_fini(struct ox_naming *naming);

static inline ox_name ox_naming_value(const struct ox_naming *naming,
                                      const struct ox_value *value) {
    return naming->of_value[value->id];
}
static inline ox_name ox_naming_output(const struct ox_naming *naming, const struct ox_graph *graph,
                                       size_t i) {
    return naming->of_ret[graph->ret->id][i];
}
/* True: output i needs an Identity from its value. */
static inline bool ox_naming_is_alias(const struct ox_naming *naming, const struct ox_graph *graph,
                                      size_t i) {
    return ox_naming_output(naming, graph, i) != ox_naming_value(naming, graph->ret->in[i].value);
}

#endif
