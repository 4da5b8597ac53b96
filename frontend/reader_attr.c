/* frontend/reader_attr.c - AttributeProto to ox_attr.
 *
 * The type says which field is in use; any other field that carries something is a contradiction
 * and refused, because two readers could take two different values from it. Values of zero may be
 * absent, as proto3 writers leave them out. */
#include "frontend/reader_priv.h"

/* Bit of each type whose field carries something. */
static unsigned payloads(const Onnx__AttributeProto *p) {
    const struct {
        enum ox_attr_type type;
        bool there;
    } all[] = {
        {OX_ATTR_FLOAT, p->has_f},
        {OX_ATTR_INT, p->has_i},
        {OX_ATTR_STRING, p->has_s},
        {OX_ATTR_TENSOR, p->t != NULL},
        {OX_ATTR_GRAPH, p->g != NULL},
        {OX_ATTR_SPARSE_TENSOR, p->sparse_tensor != NULL},
        {OX_ATTR_TYPE_PROTO, p->tp != NULL},
        {OX_ATTR_FLOATS, p->n_floats > 0},
        {OX_ATTR_INTS, p->n_ints > 0},
        {OX_ATTR_STRINGS, p->n_strings > 0},
        {OX_ATTR_TENSORS, p->n_tensors > 0},
        {OX_ATTR_GRAPHS, p->n_graphs > 0},
        {OX_ATTR_SPARSE_TENSORS, p->n_sparse_tensors > 0},
        {OX_ATTR_TYPE_PROTOS, p->n_type_protos > 0},
    };
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].there) bits |= 1u << all[i].type;
    return bits;
}

static ox_status check_payload(struct ox_reader *r, const Onnx__AttributeProto *p, bool has_ref) {
    int type = p->has_type ? (int)p->type : 0;
    const char *name = p->name ? p->name : "";
    if (type <= OX_ATTR_UNDEFINED || type > OX_ATTR_TYPE_PROTOS)
        return ox_reader_bad(r, "bad-attribute", "attribute '%s' has the type %d", name, type);
    unsigned own = 1u << type, bits = payloads(p);
    if (has_ref && bits)
        return ox_reader_bad(r, "bad-attribute", "attribute '%s' has both a reference and a value",
                             name);
    if (bits & ~own)
        return ox_reader_bad(r, "bad-attribute",
                             "attribute '%s' of type %d has a value of another type", name, type);
    const unsigned needed = 1u << OX_ATTR_TENSOR | 1u << OX_ATTR_GRAPH |
                            1u << OX_ATTR_SPARSE_TENSOR | 1u << OX_ATTR_TYPE_PROTO;
    if (!has_ref && (own & needed) && !bits)
        return ox_reader_bad(r, "bad-attribute", "attribute '%s' has no value", name);
    return OX_OK;
}

/* An array copied to the model's arena. */
static ox_status copy_array(void *out_ptr, struct ox_reader *r, const void *data, size_t count,
                            size_t size) {
    void *p;
    OX_TRY(ox_arena_alloc(&r->model->arena, &p, count, size));
    if (count) memcpy(p, data, count * size);
    memcpy(out_ptr, &p, sizeof p);
    return OX_OK;
}

static ox_status read_string(struct ox_str *out, struct ox_reader *r,
                             const ProtobufCBinaryData *bytes) {
    OX_TRY(ox_arena_copy(&r->model->arena, &out->ptr, bytes->data, bytes->len));
    out->len = bytes->len;
    return OX_OK;
}

static ox_status read_strings(struct ox_attr *out, struct ox_reader *r,
                              const Onnx__AttributeProto *p) {
    struct ox_str *strings;
    OX_TRY(ox_arena_alloc(&r->model->arena, &strings, p->n_strings, sizeof *strings));
    for (size_t i = 0; i < p->n_strings; i++)
        OX_TRY(read_string(&strings[i], r, &p->strings[i]));
    out->v.strings = strings;
    return OX_OK;
}

/* What is said of the tensors and types that the attribute holds. */
static ox_status read_notes(struct ox_attr *out, struct ox_reader *r,
                            const Onnx__AttributeProto *p) {
    bool singular = out->type == OX_ATTR_TENSOR && p->t;
    size_t n_tensors = singular ? 1 : out->type == OX_ATTR_TENSORS ? p->n_tensors : 0;
    struct ox_label *labels = NULL;
    OX_TRY(ox_read_notes(&out->notes, r, p->doc_string, 0, NULL, &p->base,
                         out->type == OX_ATTR_TYPE_PROTO ? p->tp : NULL));
    for (size_t i = 0; i < n_tensors; i++) {
        struct ox_label label = {0};
        OX_TRY(ox_read_label(&label, r, singular ? p->t : p->tensors[i]));
        if (!label.name && !label.notes) continue;
        if (!labels) OX_TRY(ox_arena_alloc(&r->model->arena, &labels, n_tensors, sizeof *labels));
        labels[i] = label;
    }
    return labels ? ox_read_add_labels(&out->notes, r, labels, n_tensors) : OX_OK;
}

static ox_status read_type_notes(struct ox_attr *out, struct ox_reader *r,
                                 const Onnx__AttributeProto *p) {
    const struct ox_type_notes **types = NULL, *one;
    for (size_t i = 0; i < p->n_type_protos; i++) {
        OX_TRY(ox_read_type_notes(&one, r, p->type_protos[i]));
        if (one && !types)
            OX_TRY(ox_arena_alloc(&r->model->arena, &types, p->n_type_protos,
                                  sizeof(struct ox_type_notes *)));
        if (one) types[i] = one;
    }
    return types ? ox_read_add_types(&out->notes, r, types) : OX_OK;
}

/* The array is stored before it is filled, so that a failure in the middle leaks nothing. */
static ox_status read_tensors(struct ox_attr *out, struct ox_reader *r,
                              const Onnx__AttributeProto *p) {
    ox_tensor **tensors;
    OX_TRY(ox_arena_alloc(&r->model->arena, &tensors, p->n_tensors, sizeof(ox_tensor *)));
    out->v.tensors = tensors;
    for (size_t i = 0; i < p->n_tensors; i++)
        OX_TRY(ox_read_tensor(&tensors[i], &r->tensors, p->tensors[i]));
    return OX_OK;
}

static ox_status read_sparse(struct ox_attr *out, struct ox_reader *r, size_t n,
                             Onnx__SparseTensorProto *const *protos) {
    OX_TRY(ox_arena_alloc(&r->model->arena, &out->v.sparse, n, sizeof(struct ox_sparse *)));
    for (size_t i = 0; i < n; i++)
        OX_TRY(ox_read_sparse(&out->v.sparse[i], r, protos[i]));
    return OX_OK;
}

static ox_status read_types(struct ox_attr *out, struct ox_reader *r,
                            const Onnx__AttributeProto *p) {
    const struct ox_type **types;
    OX_TRY(ox_arena_alloc(&r->model->arena, &types, p->n_type_protos, sizeof(struct ox_type *)));
    for (size_t i = 0; i < p->n_type_protos; i++)
        OX_TRY(ox_read_type(&types[i], r, p->type_protos[i]));
    out->v.tps = types;
    return read_type_notes(out, r, p);
}

/* Recursion: reader of graph, of node, of attribute, of graph. Its depth is that of subgraphs,
 * which ox_graph_new limits. */
static ox_status read_graph(struct ox_graph **out, struct ox_reader *r, struct ox_node *node,
                            const Onnx__GraphProto *proto) {
    if (!node)
        return ox_fail(r->ctx, OX_UNSUPPORTED, "bad-attribute", &r->place,
                       "a function has a graph as default of an attribute");
    OX_TRY(ox_graph_new(out, r->model, node));
    struct ox_place outer = r->place;
    OX_TRY(ox_read_graph(*out, r, proto));
    r->place = outer;
    return OX_OK;
}

static ox_status read_graphs(struct ox_attr *out, struct ox_reader *r, struct ox_node *node,
                             const Onnx__AttributeProto *p) {
    struct ox_graph **graphs;
    OX_TRY(ox_arena_alloc(&r->model->arena, &graphs, p->n_graphs, sizeof(struct ox_graph *)));
    for (size_t i = 0; i < p->n_graphs; i++)
        OX_TRY(read_graph(&graphs[i], r, node, p->graphs[i]));
    out->v.graphs = graphs;
    return OX_OK;
}

static size_t value_count(const Onnx__AttributeProto *p, enum ox_attr_type type) {
    switch (type) {
    case OX_ATTR_FLOATS:
        return p->n_floats;
    case OX_ATTR_INTS:
        return p->n_ints;
    case OX_ATTR_STRINGS:
        return p->n_strings;
    case OX_ATTR_TENSORS:
        return p->n_tensors;
    case OX_ATTR_GRAPHS:
        return p->n_graphs;
    case OX_ATTR_SPARSE_TENSORS:
        return p->n_sparse_tensors;
    case OX_ATTR_TYPE_PROTOS:
        return p->n_type_protos;
    default:
        return 1;
    }
}

static ox_status read_value(struct ox_attr *out, struct ox_reader *r, struct ox_node *node,
                            const Onnx__AttributeProto *p) {
    switch (out->type) {
    case OX_ATTR_FLOAT:
        out->v.f = p->f;
        return OX_OK;
    case OX_ATTR_INT:
        out->v.i = p->i;
        return OX_OK;
    case OX_ATTR_STRING:
        return read_string(&out->v.s, r, &p->s);
    case OX_ATTR_TENSOR:
        return ox_read_tensor(&out->v.t, &r->tensors, p->t);
    case OX_ATTR_GRAPH:
        return read_graph(&out->v.g, r, node, p->g);
    case OX_ATTR_SPARSE_TENSOR:
        return read_sparse(out, r, 1, &p->sparse_tensor);
    case OX_ATTR_TYPE_PROTO:
        return ox_read_type(&out->v.tp, r, p->tp);
    case OX_ATTR_FLOATS:
        return copy_array(&out->v.floats, r, p->floats, p->n_floats, sizeof *p->floats);
    case OX_ATTR_INTS:
        return copy_array(&out->v.ints, r, p->ints, p->n_ints, sizeof *p->ints);
    case OX_ATTR_STRINGS:
        return read_strings(out, r, p);
    case OX_ATTR_TENSORS:
        return read_tensors(out, r, p);
    case OX_ATTR_GRAPHS:
        return read_graphs(out, r, node, p);
    case OX_ATTR_SPARSE_TENSORS:
        return read_sparse(out, r, p->n_sparse_tensors, p->sparse_tensors);
    case OX_ATTR_TYPE_PROTOS:
        return read_types(out, r, p);
    case OX_ATTR_UNDEFINED:
        break;
    }
    return ox_fail(r->ctx, OX_INTERNAL, "bad-attribute", &r->place, "an attribute without a type");
}

ox_status ox_read_attr(struct ox_attr *out, struct ox_reader *r, struct ox_node *node,
                       const Onnx__AttributeProto *p) {
    OX_TRY(ox_read_name(&out->ref, r, p->ref_attr_name));
    OX_TRY(check_payload(r, p, out->ref != NULL));
    if (out->ref && !r->function)
        return ox_reader_bad(
            r, "bad-attribute",
            "attribute '%s' refers to a function's attribute, but is in no function",
            ox_name_text(out->name));
    out->type = (enum ox_attr_type)p->type;
    OX_TRY(read_notes(out, r, p));
    if (out->ref) return OX_OK;
    out->count = value_count(p, out->type);
    return read_value(out, r, node, p);
}
