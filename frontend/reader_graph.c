/* frontend/reader_graph.c - GraphProto to ox_graph: names become edges.
 *
 * A graph is read in the order: inputs, initializers, all nodes with their outputs, then the nodes'
 * operands and attributes (subgraphs among them), then graph outputs. So the order of nodes in the
 * file does not matter; a graph in which some node reads what a later one makes is sorted at the
 * end, which also finds cycles. */
#include "frontend/reader_priv.h"

enum { ATTRIBUTES_MAX = 1024 };

/* ---- names ----------------------------------------------------------------------------------- */

ox_status ox_read_define(struct ox_reader *r, ox_name name, struct ox_value *value) {
    struct ox_value *former;
    OX_TRY(ox_scope_define(&former, &r->scopes, name, value));
    if (former)
        return ox_reader_bad(r, "duplicate-name", "'%s' is defined twice in one graph", name->text);
    return OX_OK;
}

ox_status ox_read_resolve(struct ox_value **out, struct ox_reader *r, const char *text,
                          const char *what) {
    ox_name name = ox_name_find(&r->model->names, text, strlen(text));
    *out = name ? ox_scope_find(&r->scopes, name) : NULL;
    if (!*out) return ox_reader_bad(r, "undefined-name", "%s '%.200s' is not defined", what, text);
    return OX_OK;
}

/* Notes that the graph in which `value` is made must be sorted if it is made at or after the node,
 * of that graph, at which (or in a subgraph of which) it is read. */
static void check_order(struct ox_reader *r, const struct ox_value *value,
                        const struct ox_node *reader) {
    if (!value->def) return;
    while (reader->graph != value->graph)
        reader = reader->graph->owner;
    if (value->def->order >= reader->order) r->unsorted[value->graph->depth] = true;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Documentation and the like of a value that is described by a ValueInfoProto. */
static ox_status describe(struct ox_value *value, struct ox_reader *r,
                          const Onnx__ValueInfoProto *p) {
    return ox_read_notes(&value->notes, r, p->doc_string, p->n_metadata_props, p->metadata_props,
                         &p->base, p->type);
}

static ox_status read_input(struct ox_graph *graph, struct ox_reader *r,
                            const Onnx__ValueInfoProto *p) {
    ox_name name;
    struct ox_value *value;
    const struct ox_type *type;
    OX_TRY(ox_read_name(&name, r, p->name));
    if (!name) return ox_reader_bad(r, "missing-name", "a graph input has no name");
    OX_TRY(ox_read_type(&type, r, p->type));
    OX_TRY(ox_graph_add_input(&value, graph, name, type));
    OX_TRY(ox_read_define(r, name, value));
    return describe(value, r, p);
}

/* An initializer that is also an input of the main graph is the input's default. A subgraph's
 * inputs are always passed, so there it is a mistake. */
static ox_status set_default(struct ox_reader *r, struct ox_value *input, ox_tensor *tensor) {
    const char *name = ox_name_text(input->name);
    const struct ox_type *type = input->type;
    if (input->init) return ox_reader_bad(r, "duplicate-name", "'%s' is initialized twice", name);
    if (input->graph->depth > 0)
        return ox_reader_bad(r, "duplicate-name",
                             "'%s' is an input and an initializer of a subgraph", name);
    if (type->kind != OX_TYPE_UNKNOWN && type->kind != OX_TYPE_TENSOR)
        return ox_reader_bad(r, "wrong-type", "input '%s' is not a tensor, but its initializer is",
                             name);
    if (type->dtype != OX_UNDEFINED && type->dtype != tensor->dtype && type->kind == OX_TYPE_TENSOR)
        return ox_reader_bad(r, "wrong-type", "input '%s' is %s, but its initializer is %s", name,
                             ox_dtype_name(type->dtype), ox_dtype_name(tensor->dtype));
    const struct ox_type *actual;
    bool conflict = false;
    OX_TRY(ox_type_of(&actual, &r->model->arena, tensor));
    OX_TRY(ox_type_merge(&actual, &conflict, &r->model->arena, actual, type));
    if (conflict)
        return ox_reader_bad(r, "shape-mismatch",
                             "input '%s' and its initializer have different shapes", name);
    if (r->model->ir_version < 4 || type->kind == OX_TYPE_UNKNOWN || !type->dtype)
        input->type = actual;
    input->init = ox_tensor_ref(tensor);
    return OX_OK;
}

static ox_status place_initializer(struct ox_graph *graph, struct ox_reader *r,
                                   const Onnx__TensorProto *p, ox_name name, ox_tensor *tensor) {
    struct ox_value *value = ox_scope_find_own(&r->scopes, name);
    if (value && value->is_input) {
        OX_TRY(set_default(r, value, tensor));
    } else {
        OX_TRY(ox_graph_add_init(&value, graph, name, tensor));
        ox_tensor_ref(tensor); /* the value has its own count now, the caller keeps his */
        OX_TRY(ox_read_define(r, name, value));
    }
    struct ox_label label = {0};
    OX_TRY(ox_read_label(&label, r, p));
    label.name = NULL; /* the value's own */
    if (!value->is_input) value->notes = label.notes;
    return value->is_input && label.notes ? ox_read_add_labels(&value->notes, r, &label, 1) : OX_OK;
}

static ox_status read_initializer(struct ox_graph *graph, struct ox_reader *r,
                                  const Onnx__TensorProto *p) {
    ox_name name;
    ox_tensor *tensor;
    r->place.offset = ox_wire_offset(&r->wire, &p->base);
    OX_TRY(ox_read_name(&name, r, p->name));
    if (!name) return ox_reader_bad(r, "missing-name", "an initializer has no name");
    r->place.node = name->text;
    r->place.op = "initializer";
    OX_TRY(ox_read_tensor(&tensor, &r->tensors, p));
    ox_status s = place_initializer(graph, r, p, name, tensor);
    ox_tensor_unref(tensor);
    r->place.node = r->place.op = NULL;
    return s;
}

/* Indices must be in range, or whoever expands the tensor writes out of bounds. */
static ox_status check_sparse(struct ox_reader *r, const struct ox_sparse *s) {
    size_t total;
    const ox_tensor *v = s->values, *x = s->indices;
    if (ox_shape_size(&total, NULL, v->dtype, s->rank, s->dims))
        return ox_reader_bad(r, "bad-shape", "a sparse tensor has impossible dims");
    if (v->rank != 1 || x->dtype != OX_INT64 || x->rank < 1 || x->rank > 2 ||
        x->dims[0] != v->dims[0] || (x->rank == 2 && x->dims[1] != s->rank))
        return ox_reader_bad(r, "bad-tensor",
                             "a sparse tensor's values and indices do not fit each other");
    for (size_t i = 0; i < x->count; i++) {
        int64_t at;
        memcpy(&at, (const char *)x->data + i * sizeof at, sizeof at); /* may be unaligned */
        uint64_t limit = x->rank == 1 ? total : (uint64_t)s->dims[i % (size_t)s->rank];
        if (at < 0 || (uint64_t)at >= limit)
            return ox_reader_bad(r, "bad-tensor", "a sparse tensor has the index %lld",
                                 (long long)at);
    }
    return OX_OK;
}

/* Labels of the values (whose name is the tensor's) and of the indices. */
static ox_status read_sparse_notes(const struct ox_notes **out, struct ox_reader *r,
                                   const Onnx__SparseTensorProto *p) {
    struct ox_label labels[2] = {0};
    OX_TRY(ox_read_notes(out, r, NULL, 0, NULL, &p->base, NULL));
    OX_TRY(ox_read_label(&labels[0], r, p->values));
    OX_TRY(ox_read_label(&labels[1], r, p->indices));
    labels[0].name = NULL;
    if (!labels[0].notes && !labels[1].name && !labels[1].notes) return OX_OK;
    return ox_read_add_labels(out, r, labels, 2);
}

ox_status ox_read_sparse(struct ox_sparse **out, struct ox_reader *r,
                         const Onnx__SparseTensorProto *p) {
    struct ox_sparse *s;
    int64_t *dims;
    if (!p->values || !p->indices)
        return ox_reader_bad(r, "bad-tensor", "a sparse tensor lacks values or indices");
    if (p->n_dims > OX_MAX_RANK)
        return ox_reader_bad(r, "bad-shape", "a sparse tensor has rank %zu, more than %d",
                             p->n_dims, OX_MAX_RANK);
    OX_TRY(ox_arena_alloc(&r->model->arena, &s, 1, sizeof *s));
    OX_TRY(ox_arena_alloc(&r->model->arena, &dims, p->n_dims, sizeof *dims));
    if (p->n_dims) memcpy(dims, p->dims, p->n_dims * sizeof *dims);
    s->rank = (int)p->n_dims;
    s->dims = dims;
    *out = s; /* from here on its owner releases the tensors */
    OX_TRY(ox_read_name(&s->name, r, p->values->name));
    OX_TRY(ox_read_tensor(&s->values, &r->tensors, p->values));
    OX_TRY(ox_read_tensor(&s->indices, &r->tensors, p->indices));
    OX_TRY(read_sparse_notes(&s->notes, r, p));
    return check_sparse(r, s);
}

static ox_status read_sparse_initializer(struct ox_graph *graph, struct ox_reader *r,
                                         const Onnx__SparseTensorProto *p) {
    ox_name name;
    struct ox_value *value;
    struct ox_type *type;
    ox_dim *dims;
    OX_TRY(ox_read_name(&name, r, p->values ? p->values->name : NULL));
    if (!name) return ox_reader_bad(r, "missing-name", "a sparse initializer has no name");
    OX_TRY(ox_graph_add_init(&value, graph, name, NULL));
    OX_TRY(ox_read_sparse(&value->sparse, r, p));
    const struct ox_sparse *s = value->sparse;
    OX_TRY(ox_arena_alloc(&r->model->arena, &type, 1, sizeof *type));
    OX_TRY(ox_arena_alloc(&r->model->arena, &dims, (size_t)s->rank, sizeof *dims));
    for (int i = 0; i < s->rank; i++)
        dims[i] = ox_dim_const(s->dims[i]);
    *type = (struct ox_type){
        .kind = OX_TYPE_SPARSE, .dtype = s->values->dtype, .rank = s->rank, .dims = dims};
    value->type = type;
    return ox_read_define(r, name, value);
}

/* Declared types of values inside; of names that nothing defines here there is nothing to say. */
static ox_status read_value_info(struct ox_reader *r, const Onnx__ValueInfoProto *p) {
    ox_name name = p->name ? ox_name_find(&r->model->names, p->name, strlen(p->name)) : NULL;
    struct ox_value *value = name ? ox_scope_find_own(&r->scopes, name) : NULL;
    const struct ox_type *type;
    OX_TRY(ox_read_type(&type, r, p->type)); /* checked in any case */
    if (!value) return OX_OK;
    if (value->type->kind == OX_TYPE_UNKNOWN) value->type = type;
    if (value->is_input || value->init || value->sparse) return OX_OK;
    value->declared = true;
    return describe(value, r, p);
}

static ox_status read_output(struct ox_graph *graph, struct ox_reader *r,
                             const Onnx__ValueInfoProto *p) {
    struct ox_value *value;
    ox_name name;
    const struct ox_type *type;
    OX_TRY(ox_read_name(&name, r, p->name));
    if (!name) return ox_reader_bad(r, "missing-name", "a graph output has no name");
    OX_TRY(ox_read_resolve(&value, r, p->name, "graph output"));
    OX_TRY(ox_read_type(&type, r, p->type));
    OX_TRY(ox_graph_add_output(graph, value, name, type));
    if (value->def && value->graph == graph && value->type->kind == OX_TYPE_UNKNOWN)
        value->type = type;
    struct ox_output *output = &graph->outputs[graph->ret->n_in - 1];
    return ox_read_notes(&output->notes, r, p->doc_string, p->n_metadata_props, p->metadata_props,
                         &p->base, p->type);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void place_node(struct ox_reader *r, const Onnx__NodeProto *p, const struct ox_node *node) {
    r->place.offset = ox_wire_offset(&r->wire, &p->base);
    r->place.node = node ? ox_name_text(node->name) : p->name;
    r->place.op = node ? ox_name_text(node->type) : p->op_type;
}

static ox_status define_outputs(struct ox_reader *r, struct ox_node *node,
                                const Onnx__NodeProto *p) {
    for (size_t i = 0; i < p->n_output; i++) {
        ox_name name;
        OX_TRY(ox_read_name(&name, r, p->output[i]));
        if (!name) {
            node->out[i] = NULL;
            continue;
        }
        node->out[i]->name = name;
        OX_TRY(ox_read_define(r, name, node->out[i]));
    }
    return OX_OK;
}

/* The node with its outputs; operands stay absent until all nodes are there. */
static ox_status declare_node(struct ox_graph *graph, struct ox_reader *r,
                              const Onnx__NodeProto *p) {
    struct ox_node *node;
    ox_name domain, type;
    size_t max = ox_ctx_limits(r->ctx)->max_node_io;
    place_node(r, p, NULL);
    if (p->n_input > max || p->n_output > max)
        return ox_reader_bad(
            r, "over-limit",
            "a node has %zu inputs and %zu outputs, more than %zu (limit max_node_io)", p->n_input,
            p->n_output, max);
    OX_TRY(ox_read_domain(&domain, r, p->domain));
    OX_TRY(ox_read_name(&type, r, p->op_type));
    if (!type) return ox_reader_bad(r, "missing-name", "a node has no operator type");
    OX_TRY(ox_node_new(&node, graph, NULL, domain, type, p->n_input, p->n_output));
    node->offset = r->place.offset;
    OX_TRY(ox_read_name(&node->name, r, p->name));
    OX_TRY(ox_read_name(&node->overload, r, p->overload));
    OX_TRY(ox_read_notes(&node->notes, r, p->doc_string, p->n_metadata_props, p->metadata_props,
                         &p->base, NULL));
    OX_TRY(define_outputs(r, node, p));
    return ox_read_call(r, node);
}

static ox_status connect_inputs(struct ox_reader *r, struct ox_node *node,
                                const Onnx__NodeProto *p) {
    for (size_t i = 0; i < p->n_input; i++) {
        struct ox_value *value;
        if (!p->input[i] || !p->input[i][0]) continue;
        OX_TRY(ox_read_resolve(&value, r, p->input[i], "input"));
        check_order(r, value, node);
        ox_use_set(&node->in[i], value);
    }
    ox_node_trim_inputs(node);
    return OX_OK;
}

static ox_status read_attributes(struct ox_reader *r, struct ox_node *node,
                                 const Onnx__NodeProto *p) {
    if (p->n_attribute > ATTRIBUTES_MAX)
        return ox_reader_bad(r, "over-limit", "a node has %zu attributes, more than %d",
                             p->n_attribute, ATTRIBUTES_MAX);
    OX_TRY(ox_node_reserve_attrs(node, p->n_attribute));
    for (size_t i = 0; i < p->n_attribute; i++) {
        ox_name name;
        struct ox_attr *attr;
        OX_TRY(ox_read_name(&name, r, p->attribute[i]->name));
        if (!name) return ox_reader_bad(r, "missing-name", "an attribute has no name");
        size_t n = node->n_attrs;
        OX_TRY(ox_node_add_attr(&attr, node, name));
        if (node->n_attrs == n)
            return ox_reader_bad(r, "duplicate-name", "attribute '%s' is given twice", name->text);
        OX_TRY(ox_read_attr(attr, r, node, p->attribute[i]));
    }
    return OX_OK;
}

/* A node's operator belongs to a version; without one its meaning is open. */
static ox_status check_domain(struct ox_reader *r, const struct ox_node *node) {
    if (node->callee || ox_node_opset(node) > 0) return OX_OK;
    if (!node->domain)
        return ox_reader_bad(r, "no-opset", "the model does not import the default operator set");
    if (!r->warned_domain)
        ox_report(r->ctx, OX_WARNING, "no-opset", &r->place,
                  "the model does not import the operator set of domain '%s'",
                  ox_name_text(node->domain));
    r->warned_domain = true;
    return OX_OK;
}

ox_status ox_read_nodes(struct ox_graph *graph, struct ox_reader *r, size_t n,
                        Onnx__NodeProto *const *protos) {
    for (size_t i = 0; i < n; i++)
        OX_TRY(declare_node(graph, r, protos[i]));
    struct ox_node *node = ox_graph_begin(graph);
    for (size_t i = 0; i < n; i++, node = ox_node_next(node)) {
        place_node(r, protos[i], node);
        OX_TRY(check_domain(r, node));
        OX_TRY(connect_inputs(r, node, protos[i]));
        OX_TRY(read_attributes(r, node, protos[i]));
    }
    r->place.offset = 0;
    r->place.node = r->place.op = NULL;
    return OX_OK;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static ox_status read_inputs(struct ox_graph *graph, struct ox_reader *r, const Onnx__GraphProto *p,
                             bool only_new) {
    for (size_t i = 0; i < p->n_input; i++) {
        const char *text = p->input[i]->name ? p->input[i]->name : "";
        ox_name name = ox_name_find(&r->model->names, text, strlen(text));
        struct ox_value *former = name && only_new ? ox_scope_find_own(&r->scopes, name) : NULL;
        if (!former || former->is_input) OX_TRY(read_input(graph, r, p->input[i]));
    }
    return OX_OK;
}

static ox_status read_initializers(struct ox_graph *graph, struct ox_reader *r,
                                   const Onnx__GraphProto *p) {
    for (size_t i = 0; i < p->n_initializer; i++)
        OX_TRY(read_initializer(graph, r, p->initializer[i]));
    r->place.offset = 0;
    for (size_t i = 0; i < p->n_sparse_initializer; i++)
        OX_TRY(read_sparse_initializer(graph, r, p->sparse_initializer[i]));
    return OX_OK;
}

/* Before IR version 4 every initializer had to be listed as an input. Of a subgraph, whose inputs
 * are passed by position, such an input is no input at all. */
static ox_status read_graph_values(struct ox_graph *graph, struct ox_reader *r,
                                   const Onnx__GraphProto *p) {
    bool old = r->model->ir_version < 4 && graph->depth > 0;
    if (old) OX_TRY(read_initializers(graph, r, p));
    OX_TRY(read_inputs(graph, r, p, old));
    return old ? OX_OK : read_initializers(graph, r, p);
}

ox_status ox_read_graph(struct ox_graph *graph, struct ox_reader *r, const Onnx__GraphProto *p) {
    enum { QUANTIZATION_ANNOTATION = 14 };
    r->unsorted[graph->depth] = false;
    r->place.node = r->place.op = NULL;
    OX_TRY(ox_read_name(&graph->name, r, p->name));
    r->place.graph = ox_name_text(graph->name);
    OX_TRY(ox_read_name(&graph->doc, r, p->doc_string));
    OX_TRY(ox_read_pairs(&graph->meta, r, p->n_metadata_props, p->metadata_props));
    OX_TRY(ox_wire_copy(&graph->quant_annotation, &r->wire, &r->model->arena, &p->base,
                        QUANTIZATION_ANNOTATION));
    OX_TRY(ox_read_unknown(&graph->unknown, r, &p->base));
    ox_scope_open(&r->scopes);
    OX_TRY(read_graph_values(graph, r, p));
    OX_TRY(ox_read_nodes(graph, r, p->n_node, p->node));
    for (size_t i = 0; i < p->n_output; i++)
        OX_TRY(read_output(graph, r, p->output[i]));
    for (size_t i = 0; i < p->n_value_info; i++)
        OX_TRY(read_value_info(r, p->value_info[i]));
    ox_scope_close(&r->scopes);
    return r->unsorted[graph->depth] ? ox_graph_sort(graph) : OX_OK;
}
