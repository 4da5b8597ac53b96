/* tests/unit/model_same.c - see model_same.h. Values are matched where they are defined, and
 * operands must then be matched values: names alone would not show an edge that was moved to a
 * namesake in another scope. */
#include "model_same.h"

#include <stdio.h>
#include <stdlib.h>

struct matcher {
    uint32_t *other; /* by id in a: id + 1 in b */
};

static char difference[600];

static bool differ(const char *what, const char *a, const char *b) {
    snprintf(difference, sizeof difference, "%s: '%.200s' and '%.200s'", what, a, b);
    return false;
}

static bool same_count(const char *what, size_t a, size_t b) {
    char x[24], y[24];
    snprintf(x, sizeof x, "%zu", a);
    snprintf(y, sizeof y, "%zu", b);
    return a == b || differ(what, x, y);
}

/* Absent and empty names are the same. */
static bool same_name(const char *what, ox_name a, ox_name b) {
    return strcmp(ox_name_text(a), ox_name_text(b)) == 0 ||
           differ(what, ox_name_text(a), ox_name_text(b));
}

static bool same_raw(const char *what, struct ox_str a, struct ox_str b) {
    return (a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0)) ||
           differ(what, "raw bytes", "other raw bytes");
}

static bool same_pairs(const char *what, const struct ox_pairs *a, const struct ox_pairs *b) {
    size_t n = a ? a->count : 0;
    if (!same_count(what, n, b ? b->count : 0)) return false;
    for (size_t i = 0; i < n; i++)
        if (!same_name(what, a->at[i].key, b->at[i].key) ||
            !same_name(what, a->at[i].value, b->at[i].value) ||
            !same_raw(what, a->at[i].unknown, b->at[i].unknown))
            return false;
    return true;
}

static bool same_type_notes(const char *what, const struct ox_type_notes *a,
                            const struct ox_type_notes *b) {
    for (; a && b; a = a->elem, b = b->elem) {
        if (!same_name("denotation", a->denotation, b->denotation) ||
            !same_raw(what, a->unknown, b->unknown) ||
            !same_raw(what, a->kind_unknown, b->kind_unknown) ||
            !same_raw(what, a->shape_unknown, b->shape_unknown) ||
            !same_count("said of dims", a->dims != NULL, b->dims != NULL))
            return false;
        for (int i = 0; a->dims && i < a->rank; i++)
            if (!same_name("denotation of dim", a->dims[i].denotation, b->dims[i].denotation) ||
                !same_raw(what, a->dims[i].unknown, b->dims[i].unknown))
                return false;
    }
    return same_count("said of type", a != NULL, b != NULL);
}

static bool same_notes(const char *what, const struct ox_notes *x, const struct ox_notes *y,
                       size_t n_types, size_t n_labels) {
    const struct ox_notes *a = ox_notes_of(x), *b = ox_notes_of(y);
    if (!same_name("documentation", a->doc, b->doc) || !same_pairs(what, a->meta, b->meta) ||
        !same_raw(what, a->unknown, b->unknown) ||
        !same_count("said of types", a->types != NULL, b->types != NULL) ||
        !same_count("labels", a->labels != NULL, b->labels != NULL))
        return false;
    for (size_t i = 0; a->types && i < n_types; i++)
        if (!same_type_notes(what, a->types[i], b->types[i])) return false;
    for (size_t i = 0; a->labels && i < n_labels; i++)
        if (!same_name("name of tensor", a->labels[i].name, b->labels[i].name) ||
            !same_notes(what, a->labels[i].notes, b->labels[i].notes, 0, 0))
            return false;
    return true;
}

static bool same_dim(ox_dim a, ox_dim b) {
    char x[300], y[300];
    if (ox_dim_is_const(a) || ox_dim_is_const(b)) return ox_dim_same(a, b);
    if (!ox_dim_is_known(a) || !ox_dim_is_known(b)) return ox_dim_is_known(a) == ox_dim_is_known(b);
    ox_dim_print(x, sizeof x, a);
    ox_dim_print(y, sizeof y, b);
    return strcmp(x, y) == 0;
}

static bool same_type(const char *what, const struct ox_type *a, const struct ox_type *b) {
    const struct ox_type *x = a, *y = b;
    for (; x && y; x = x->elem, y = y->elem) {
        bool dense = x->kind == OX_TYPE_TENSOR || x->kind == OX_TYPE_SPARSE;
        bool same = x->kind == y->kind && x->dtype == y->dtype && (!dense || x->rank == y->rank);
        for (int i = 0; same && dense && i < x->rank; i++)
            same = same_dim(x->dims[i], y->dims[i]);
        if (!same) break;
    }
    if (!x && !y) return true;
    char s[300], t[300];
    ox_type_print(s, sizeof s, a);
    ox_type_print(t, sizeof t, b);
    return differ(what, s, t);
}

static bool same_tensor(const char *what, const ox_tensor *a, const ox_tensor *b) {
    if (!a != !b) return differ(what, a ? "a tensor" : "none", b ? "a tensor" : "none");
    return !a || ox_tensor_equal(a, b) || differ(what, "a tensor", "another tensor");
}

static bool same_sparse(const char *what, const struct ox_sparse *a, const struct ox_sparse *b) {
    if (!a != !b) return differ(what, a ? "sparse" : "none", b ? "sparse" : "none");
    return !a || (same_name(what, a->name, b->name) && same_tensor(what, a->values, b->values) &&
                  same_tensor(what, a->indices, b->indices) &&
                  same_notes(what, a->notes, b->notes, 0, 2) &&
                  same_count(what, (size_t)a->rank, (size_t)b->rank) &&
                  memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static bool same_graph(struct matcher *m, const struct ox_graph *a, const struct ox_graph *b);

static bool same_value(struct matcher *m, const struct ox_value *a, const struct ox_value *b) {
    if (!a != !b) return differ("output", a ? "wanted" : "absent", b ? "wanted" : "absent");
    if (!a) return true;
    m->other[a->id] = b->id + 1;
    if (!same_name("name of value", a->name, b->name)) return false;
    const char *name = ox_name_text(a->name);
    return same_type(name, a->type, b->type) && same_tensor(name, a->init, b->init) &&
           same_sparse(name, a->sparse, b->sparse) &&
           same_notes(name, a->notes, b->notes, 1, a->is_input) &&
           same_count("declared", a->declared, b->declared);
}

static bool same_attr(struct matcher *m, const struct ox_attr *a, const struct ox_attr *b) {
    const char *name = ox_name_text(a->name);
    if (!same_name("name of attribute", a->name, b->name) || !same_count(name, a->type, b->type) ||
        !same_name(name, a->ref, b->ref) ||
        !same_notes(name, a->notes, b->notes, a->count, a->count))
        return false;
    if (a->ref) return true;
    if (!same_count(name, a->count, b->count)) return false;
    bool same = true;
    for (size_t i = 0; i < a->count && same; i++)
        switch (a->type) {
        case OX_ATTR_UNDEFINED:
            break;
        case OX_ATTR_FLOAT:
            same = memcmp(&a->v.f, &b->v.f, sizeof a->v.f) == 0;
            break;
        case OX_ATTR_INT:
            same = a->v.i == b->v.i;
            break;
        case OX_ATTR_STRING:
            same = same_raw(name, a->v.s, b->v.s);
            break;
        case OX_ATTR_TENSOR:
            same = same_tensor(name, a->v.t, b->v.t);
            break;
        case OX_ATTR_GRAPH:
            same = same_graph(m, a->v.g, b->v.g);
            break;
        case OX_ATTR_FLOATS:
            same = memcmp(&a->v.floats[i], &b->v.floats[i], sizeof(float)) == 0;
            break;
        case OX_ATTR_INTS:
            same = a->v.ints[i] == b->v.ints[i];
            break;
        case OX_ATTR_STRINGS:
            same = same_raw(name, a->v.strings[i], b->v.strings[i]);
            break;
        case OX_ATTR_TENSORS:
            same = same_tensor(name, a->v.tensors[i], b->v.tensors[i]);
            break;
        case OX_ATTR_GRAPHS:
            same = same_graph(m, a->v.graphs[i], b->v.graphs[i]);
            break;
        case OX_ATTR_SPARSE_TENSOR:
        case OX_ATTR_SPARSE_TENSORS:
            same = same_sparse(name, a->v.sparse[i], b->v.sparse[i]);
            break;
        case OX_ATTR_TYPE_PROTO:
            same = same_type(name, a->v.tp, b->v.tp);
            break;
        case OX_ATTR_TYPE_PROTOS:
            same = same_type(name, a->v.tps[i], b->v.tps[i]);
            break;
        }
    return same || (difference[0] ? false : differ(name, "a value", "another value"));
}

static bool same_operands(struct matcher *m, const struct ox_node *a, const struct ox_node *b) {
    if (!same_count("operands", a->n_in, b->n_in)) return false;
    for (size_t i = 0; i < a->n_in; i++) {
        const struct ox_value *x = a->in[i].value, *y = b->in[i].value;
        if (!x && !y) continue;
        if (!x || !y || m->other[x->id] != y->id + 1)
            return differ("operand", x ? ox_name_text(x->name) : "absent",
                          y ? ox_name_text(y->name) : "absent");
    }
    return true;
}

static bool same_node(struct matcher *m, const struct ox_node *a, const struct ox_node *b) {
    if (!same_name("domain", a->domain, b->domain) || !same_name("operator", a->type, b->type) ||
        !same_name("overload", a->overload, b->overload) ||
        !same_name("name of node", a->name, b->name) ||
        !same_notes("node", a->notes, b->notes, 0, 0) || !same_operands(m, a, b) ||
        !same_count("outputs", a->n_out, b->n_out) ||
        !same_count("attributes", a->n_attrs, b->n_attrs) ||
        !same_count("called function", a->callee != NULL, b->callee != NULL))
        return false;
    for (size_t i = 0; i < a->n_attrs; i++)
        if (!same_attr(m, &a->attrs[i], &b->attrs[i])) return false;
    for (size_t i = 0; i < a->n_out; i++)
        if (!same_value(m, a->out[i], b->out[i])) return false;
    return true;
}

static bool same_inits(struct matcher *m, const struct ox_graph *a, const struct ox_graph *b) {
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a->n_inits && !a->inits[i])
            i++;
        while (j < b->n_inits && !b->inits[j])
            j++;
        if (i == a->n_inits || j == b->n_inits)
            return same_count("initializers", i == a->n_inits, j == b->n_inits);
        if (!same_value(m, a->inits[i], b->inits[j])) return false;
    }
}

static bool same_outputs(const struct ox_graph *a, const struct ox_graph *b) {
    for (size_t i = 0; i < a->ret->n_in; i++) {
        const struct ox_output *x = &a->outputs[i], *y = &b->outputs[i];
        if (!same_name("name of graph output", x->name, y->name) ||
            !same_type("type of graph output", x->type, y->type) ||
            !same_notes("graph output", x->notes, y->notes, 1, 0))
            return false;
    }
    return true;
}

static bool same_graph(struct matcher *m, const struct ox_graph *a, const struct ox_graph *b) {
    if (!same_name("name of graph", a->name, b->name) ||
        !same_name("documentation of graph", a->doc, b->doc) ||
        !same_count("inputs", a->n_inputs, b->n_inputs) ||
        !same_pairs("metadata of graph", a->meta, b->meta) ||
        !same_raw("quantization_annotation", a->quant_annotation, b->quant_annotation) ||
        !same_raw("unknown fields of graph", a->unknown, b->unknown))
        return false;
    for (size_t i = 0; i < a->n_inputs; i++)
        if (!same_value(m, a->inputs[i], b->inputs[i])) return false;
    if (!same_inits(m, a, b)) return false;
    const struct ox_node *x = a->first, *y = b->first;
    for (; x != a->ret && y != b->ret; x = x->next, y = y->next)
        if (!same_node(m, x, y)) return false;
    return same_count("nodes", a->n_nodes, b->n_nodes) && same_operands(m, a->ret, b->ret) &&
           same_outputs(a, b);
}

/* ---- models ---------------------------------------------------------------------------------- */

static bool same_opsets(const struct ox_opset *a, size_t n, const struct ox_opset *b, size_t n_b) {
    if (!same_count("operator sets", n, n_b)) return false;
    for (size_t i = 0; i < n; i++)
        if (!same_name("domain of operator set", a[i].domain, b[i].domain) ||
            !same_count("operator set", (size_t)a[i].version, (size_t)b[i].version) ||
            !same_raw("unknown fields of operator set", a[i].unknown, b[i].unknown))
            return false;
    return true;
}

static bool same_function(struct matcher *m, const struct ox_function *a,
                          const struct ox_function *b) {
    if (!same_name("domain of function", a->domain, b->domain) ||
        !same_name("function", a->name, b->name) ||
        !same_name("overload", a->overload, b->overload) ||
        !same_name("documentation of function", a->doc, b->doc) ||
        !same_count("attributes of function", a->n_attrs, b->n_attrs) ||
        !same_count("defaults of function", a->n_defaults, b->n_defaults) ||
        !same_opsets(a->opsets, a->n_opsets, b->opsets, b->n_opsets) ||
        !same_pairs("metadata of function", a->meta, b->meta) ||
        !same_raw("value_info of function", a->value_info, b->value_info) ||
        !same_raw("unknown fields of function", a->unknown, b->unknown))
        return false;
    for (size_t i = 0; i < a->n_attrs; i++)
        if (!same_name("attribute of function", a->attrs[i], b->attrs[i])) return false;
    for (size_t i = 0; i < a->n_defaults; i++)
        if (!same_attr(m, &a->defaults[i], &b->defaults[i])) return false;
    return same_graph(m, a->body, b->body);
}

static bool same_model(struct matcher *m, const struct ox_model *a, const struct ox_model *b) {
    if (!same_count("ir_version", (size_t)a->ir_version, (size_t)b->ir_version) ||
        !same_opsets(a->opsets, a->n_opsets, b->opsets, b->n_opsets) ||
        !same_name("producer", a->producer, b->producer) ||
        !same_name("producer_version", a->producer_version, b->producer_version) ||
        !same_name("domain", a->domain, b->domain) || !same_name("doc_string", a->doc, b->doc) ||
        !same_count("has model_version", a->has_model_version, b->has_model_version) ||
        !same_count("model_version", (size_t)a->model_version, (size_t)b->model_version) ||
        !same_pairs("metadata", a->meta, b->meta) ||
        !same_raw("training_info", a->training, b->training) ||
        !same_raw("unknown fields", a->unknown, b->unknown) || !same_graph(m, a->graph, b->graph) ||
        !same_count("functions", a->n_functions, b->n_functions))
        return false;
    for (size_t i = 0; i < a->n_functions; i++)
        if (!same_function(m, a->functions[i], b->functions[i])) return false;
    return true;
}

const char *model_difference(const struct ox_model *a, const struct ox_model *b) {
    struct matcher m = {calloc(a->n_values + 1, sizeof(uint32_t))};
    difference[0] = 0;
    bool same = m.other && same_model(&m, a, b);
    free(m.other);
    return same ? NULL : difference[0] ? difference : "something";
}
