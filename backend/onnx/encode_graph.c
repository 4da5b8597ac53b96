/* backend/onnx/encode_graph.c - attributes, nodes and graphs. */
#include "backend/onnx/encode_priv.h"

/* ---- attributes ------------------------------------------------------------------------------ */

static const struct ox_label *label_of(const struct ox_attr *a, size_t i) {
    const struct ox_label *labels = ox_notes_of(a->notes)->labels;
    return labels ? &labels[i] : NULL;
}

static const struct ox_type_notes *type_notes(const struct ox_notes *notes, size_t i) {
    return notes && notes->types ? notes->types[i] : NULL;
}

/* As the value of an attribute a TypeProto is there even if nothing is known of the type. */
static void put_type(struct ox_encoder *e, enum ox_wire_field field, const struct ox_type *t,
                     const struct ox_type_notes *notes) {
    uint64_t before = e->out->size;
    ox_encode_type(e, field, t, notes);
    if (e->out->size == before) ox_put_string(e->out, field, "", 0);
}

static void put_singular(struct ox_encoder *e, const struct ox_attr *a) {
    switch (a->type) {
    case OX_ATTR_FLOAT:
        ox_put_float(e->out, OX_F_ATTR_F, a->v.f);
        break;
    case OX_ATTR_INT:
        ox_put_int(e->out, OX_F_ATTR_I, a->v.i);
        break;
    case OX_ATTR_STRING:
        ox_put_string(e->out, OX_F_ATTR_S, a->v.s.ptr, a->v.s.len);
        break;
    case OX_ATTR_TENSOR:
        ox_encode_tensor(e, OX_F_ATTR_T, a->v.t, label_of(a, 0));
        break;
    case OX_ATTR_GRAPH:
        ox_encode_graph(e, OX_F_ATTR_G, a->v.g);
        break;
    case OX_ATTR_TYPE_PROTO:
        put_type(e, OX_F_ATTR_TP, a->v.tp, type_notes(a->notes, 0));
        break;
    default:
        break;
    }
}

static void put_element(struct ox_encoder *e, const struct ox_attr *a, size_t i) {
    switch (a->type) {
    case OX_ATTR_FLOATS:
        ox_put_float(e->out, OX_F_ATTR_FLOATS, a->v.floats[i]);
        break;
    case OX_ATTR_INTS:
        ox_put_int(e->out, OX_F_ATTR_INTS, a->v.ints[i]);
        break;
    case OX_ATTR_STRINGS:
        ox_put_string(e->out, OX_F_ATTR_STRINGS, a->v.strings[i].ptr, a->v.strings[i].len);
        break;
    case OX_ATTR_TENSORS:
        ox_encode_tensor(e, OX_F_ATTR_TENSORS, a->v.tensors[i], label_of(a, i));
        break;
    case OX_ATTR_GRAPHS:
        ox_encode_graph(e, OX_F_ATTR_GRAPHS, a->v.graphs[i]);
        break;
    case OX_ATTR_TYPE_PROTOS:
        put_type(e, OX_F_ATTR_TYPE_PROTOS, a->v.tps[i], type_notes(a->notes, i));
        break;
    default:
        break;
    }
}

/* The value in the one field that its type uses; that field's number may lie before or behind the
 * others'. */
static void put_value(struct ox_encoder *e, const struct ox_attr *a, bool behind) {
    bool is_type = a->type == OX_ATTR_TYPE_PROTO || a->type == OX_ATTR_TYPE_PROTOS;
    if (a->ref || a->type == OX_ATTR_SPARSE_TENSOR || a->type == OX_ATTR_SPARSE_TENSORS ||
        is_type != behind)
        return;
    put_singular(e, a);
    for (size_t i = a->count; i-- > 0;)
        put_element(e, a, i);
}

static void put_sparse(struct ox_encoder *e, const struct ox_attr *a) {
    enum ox_wire_field field =
        a->type == OX_ATTR_SPARSE_TENSOR ? OX_F_ATTR_SPARSE : OX_F_ATTR_SPARSES;
    if (a->ref || (a->type != OX_ATTR_SPARSE_TENSOR && a->type != OX_ATTR_SPARSE_TENSORS)) return;
    for (size_t i = a->count; i-- > 0;)
        ox_encode_sparse(e, field, a->v.sparse[i], a->v.sparse[i]->name);
}

void ox_encode_attr(struct ox_encoder *e, enum ox_wire_field field, const struct ox_attr *a) {
    uint64_t mark = e->out->size;
    const struct ox_notes *notes = ox_notes_of(a->notes);
    ox_encode_raw(e, notes->unknown);
    put_sparse(e, a);
    ox_encode_name(e, OX_F_ATTR_REF, a->ref);
    if (a->type != OX_ATTR_UNDEFINED) ox_put_int(e->out, OX_F_ATTR_TYPE, a->type);
    put_value(e, a, true);
    ox_encode_name(e, OX_F_ATTR_DOC, notes->doc);
    put_value(e, a, false);
    ox_encode_name(e, OX_F_ATTR_NAME, a->name);
    ox_put_message(e->out, field, mark);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void put_value_name(struct ox_encoder *e, enum ox_wire_field field,
                           const struct ox_value *value) {
    ox_name name = value ? ox_naming_value(e->naming, value) : NULL;
    ox_put_string(e->out, field, ox_name_text(name),
                  name ? name->len : 0); /* absent: the empty name */
}

static void put_node(struct ox_encoder *e, enum ox_wire_field field, const struct ox_node *n) {
    uint64_t mark = e->out->size;
    size_t n_in = n->n_in, n_out = n->n_out;
    const struct ox_notes *notes = ox_notes_of(n->notes);
    while (n_in && !n->in[n_in - 1].value)
        n_in--;
    while (n_out && !n->out[n_out - 1])
        n_out--;
    ox_encode_raw(e, notes->unknown);
    ox_encode_pairs(e, OX_F_NODE_META, notes->meta);
    ox_encode_name(e, OX_F_NODE_OVERLOAD, n->overload);
    ox_encode_name(e, OX_F_NODE_DOMAIN, n->domain);
    ox_encode_name(e, OX_F_NODE_DOC, notes->doc);
    for (size_t i = n->n_attrs; i-- > 0;)
        ox_encode_attr(e, OX_F_NODE_ATTRIBUTE, &n->attrs[i]);
    ox_encode_name(e, OX_F_NODE_OP_TYPE, n->type);
    ox_encode_name(e, OX_F_NODE_NAME, n->name);
    for (size_t i = n_out; i-- > 0;)
        put_value_name(e, OX_F_NODE_OUTPUT, n->out[i]);
    for (size_t i = n_in; i-- > 0;)
        put_value_name(e, OX_F_NODE_INPUT, n->in[i].value);
    ox_put_message(e->out, field, mark);
}

/* y = Identity(x) behind the nodes, where an output cannot be the value itself. */
static void put_alias(struct ox_encoder *e, enum ox_wire_field field, const struct ox_graph *g,
                      size_t i) {
    uint64_t mark = e->out->size;
    ox_put_string(e->out, OX_F_NODE_OP_TYPE, "Identity", 8);
    ox_encode_name(e, OX_F_NODE_OUTPUT, ox_naming_output(e->naming, g, i));
    put_value_name(e, OX_F_NODE_INPUT, g->ret->in[i].value);
    ox_put_message(e->out, field, mark);
}

/* An initializer of a function's body, which has no place for one. */
static void put_constant(struct ox_encoder *e, enum ox_wire_field field, const struct ox_value *v) {
    ox_name none = NULL;
    uint64_t mark = e->out->size;
    uint64_t attr = e->out->size;
    ox_put_int(e->out, OX_F_ATTR_TYPE, v->init ? OX_ATTR_TENSOR : OX_ATTR_SPARSE_TENSOR);
    if (v->init)
        ox_encode_tensor(e, OX_F_ATTR_T, v->init, &(struct ox_label){NULL, v->notes});
    else
        ox_encode_sparse(e, OX_F_ATTR_SPARSE, v->sparse, none);
    ox_put_string(e->out, OX_F_ATTR_NAME, v->init ? "value" : "sparse_value", v->init ? 5 : 12);
    ox_put_message(e->out, OX_F_NODE_ATTRIBUTE, attr);
    ox_put_string(e->out, OX_F_NODE_OP_TYPE, "Constant", 8);
    put_value_name(e, OX_F_NODE_OUTPUT, v);
    ox_put_message(e->out, field, mark);
}

void ox_encode_nodes(struct ox_encoder *e, enum ox_wire_field field, const struct ox_graph *g) {
    for (size_t i = g->ret->n_in; i-- > 0;)
        if (ox_naming_is_alias(e->naming, g, i)) put_alias(e, field, g, i);
    for (const struct ox_node *n = g->ret->prev; n && e->out->status == OX_OK; n = n->prev)
        if (!ox_external_constant(e->plan, n)) put_node(e, field, n);
    for (size_t i = g->n_inits; g->function && i-- > 0;)
        if (g->inits[i]) put_constant(e, field, g->inits[i]);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void put_info(struct ox_encoder *e, enum ox_wire_field field, ox_name name,
                     const struct ox_type *type, const struct ox_notes *said) {
    uint64_t mark = e->out->size;
    const struct ox_notes *notes = ox_notes_of(said);
    ox_encode_raw(e, notes->unknown);
    ox_encode_pairs(e, OX_F_INFO_META, notes->meta);
    ox_encode_name(e, OX_F_INFO_DOC, notes->doc);
    ox_encode_type(e, OX_F_INFO_TYPE, type, type_notes(said, 0));
    ox_encode_name(e, OX_F_INFO_NAME, name);
    ox_put_message(e->out, field, mark);
}

/* A value that is written under the name of an output of its graph: its type stands there. */
static bool is_output(struct ox_encoder *e, const struct ox_value *v) {
    for (const struct ox_use *u = v->uses; u; u = u->next)
        if (u->user == v->graph->ret && !ox_naming_is_alias(e->naming, v->graph, ox_use_index(u)))
            return true;
    return false;
}

static void put_value_infos(struct ox_encoder *e, const struct ox_graph *g) {
    for (const struct ox_node *n = g->ret->prev; n; n = n->prev)
        for (size_t i = n->n_out; i-- > 0;) {
            const struct ox_value *v = n->out[i];
            if (!v || !v->declared || is_output(e, v) || ox_external_constant(e->plan, n)) continue;
            put_info(e, OX_F_GRAPH_VALUE_INFO, ox_naming_value(e->naming, v), v->type, v->notes);
        }
}

static void put_outputs(struct ox_encoder *e, const struct ox_graph *g) {
    for (size_t i = g->ret->n_in; i-- > 0;) {
        const struct ox_output *o = &g->outputs[i];
        bool known = o->type && o->type->kind != OX_TYPE_UNKNOWN &&
                     !(o->type->kind == OX_TYPE_TENSOR && !o->type->dtype);
        const struct ox_type *type = known ? o->type : g->ret->in[i].value->type;
        put_info(e, OX_F_GRAPH_OUTPUT, ox_naming_output(e->naming, g, i), type, o->notes);
    }
}

/* Before IR version 4 every initializer is listed as an input, too, also those that a pass made. */
static void put_listed_initializers(struct ox_encoder *e, const struct ox_graph *g) {
    if (e->model->ir_version >= 4) return;
    for (const struct ox_node *n = g->ret->prev; n; n = n->prev)
        if (ox_external_constant(e->plan, n))
            put_info(e, OX_F_GRAPH_INPUT, ox_naming_value(e->naming, n->out[0]), n->out[0]->type,
                     NULL);
    for (size_t i = g->n_inits; i-- > 0;) {
        const struct ox_value *v = g->inits[i];
        if (v && v->init)
            put_info(e, OX_F_GRAPH_INPUT, ox_naming_value(e->naming, v), v->type, NULL);
    }
}

static void put_inputs(struct ox_encoder *e, const struct ox_graph *g) {
    put_listed_initializers(e, g);
    for (size_t i = g->n_inputs; i-- > 0;) {
        const struct ox_value *v = g->inputs[i];
        put_info(e, OX_F_GRAPH_INPUT, ox_naming_value(e->naming, v), v->type, v->notes);
    }
}

/* In the order of the inputs, for those models that list all initializers there: defaults of
 * inputs, initializers, constants that became one. */
static void put_initializers(struct ox_encoder *e, const struct ox_graph *g) {
    for (const struct ox_node *n = e->plan ? g->ret->prev : NULL; n; n = n->prev) {
        const ox_tensor *t = ox_external_constant(e->plan, n);
        const struct ox_label label = {.name = t ? ox_naming_value(e->naming, n->out[0]) : NULL};
        if (t) ox_encode_tensor(e, OX_F_GRAPH_INITIALIZER, t, &label);
    }
    for (size_t i = g->n_inits; i-- > 0;) {
        const struct ox_value *v = g->inits[i];
        if (!v || !v->init) continue;
        const struct ox_label label = {ox_naming_value(e->naming, v), v->notes};
        ox_encode_tensor(e, OX_F_GRAPH_INITIALIZER, v->init, &label);
    }
    for (size_t i = g->n_inputs; i-- > 0;) {
        const struct ox_value *v = g->inputs[i];
        const struct ox_label *said = ox_notes_of(v->notes)->labels;
        const struct ox_label label = {ox_naming_value(e->naming, v), said ? said->notes : NULL};
        if (v->init) ox_encode_tensor(e, OX_F_GRAPH_INITIALIZER, v->init, &label);
    }
}

static void put_sparse_initializers(struct ox_encoder *e, const struct ox_graph *g) {
    for (size_t i = g->n_inits; i-- > 0;)
        if (g->inits[i] && g->inits[i]->sparse)
            ox_encode_sparse(e, OX_F_GRAPH_SPARSE, g->inits[i]->sparse,
                             ox_naming_value(e->naming, g->inits[i]));
}

/* ---- graphs ---------------------------------------------------------------------------------- */

/* Recursion is bounded: naming has refused graphs that are nested too deeply. */
void ox_encode_graph(struct ox_encoder *e, enum ox_wire_field field, const struct ox_graph *g) {
    uint64_t mark = e->out->size;
    ox_encode_raw(e, g->unknown);
    ox_encode_pairs(e, OX_F_GRAPH_META, g->meta);
    put_sparse_initializers(e, g);
    ox_encode_raw(e, g->quant_annotation);
    put_value_infos(e, g);
    put_outputs(e, g);
    put_inputs(e, g);
    ox_encode_name(e, OX_F_GRAPH_DOC, g->doc);
    put_initializers(e, g);
    ox_encode_name(e, OX_F_GRAPH_NAME, g->name);
    ox_encode_nodes(e, OX_F_GRAPH_NODE, g);
    ox_put_message(e->out, field, mark);
}
