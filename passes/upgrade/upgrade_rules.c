/* passes/upgrade/upgrade_rules.c - changes of operators between opsets 7 and 13.
 *
 * Most new versions of an operator only take more types or have one more attribute with the old
 * behaviour as its default. The others are here: attributes that became inputs, the axis of
 * Softmax, mask types, and operators under new names. Source: the changelog of the ONNX standard.
 */
#include "passes/upgrade/upgrade_rules.h"

#include "passes/rules/consts.h"

/* ---- attributes that became inputs -------------------------------------------------------------
 */

enum kind {
    INTS,
    INT,
    FLOATS,
    FLOAT,
    FLOAT_OF_DATA
}; /* vector, vector of one, vector, scalar, scalar of input 0's type */

static const struct move {
    const char *op;
    int since; /* opset with the input */
    const char *attr;
    size_t input;
    enum kind kind;
} moves[] = {
    /* clang-format off */
    {"Clip",      11, "min",    1, FLOAT_OF_DATA},
    {"Clip",      11, "max",    2, FLOAT_OF_DATA},
    {"Dropout",   12, "ratio",  1, FLOAT},
    {"Pad",       11, "pads",   1, INTS},
    {"Pad",       11, "value",  2, FLOAT_OF_DATA},
    {"ReduceSum", 13, "axes",   1, INTS},
    {"Slice",     10, "starts", 1, INTS},
    {"Slice",     10, "ends",   2, INTS},
    {"Slice",     10, "axes",   3, INTS},
    {"Split",     13, "split",  1, INTS},
    {"Squeeze",   13, "axes",   1, INTS},
    {"TopK",      10, "k",      1, INT},
    {"Unsqueeze", 13, "axes",   1, INTS},
    {"Upsample",   9, "scales", 1, FLOATS},
    /* clang-format on */
};

static const struct move *move_of(size_t *from, const struct ox_node *n, int64_t opset) {
    for (; *from < sizeof moves / sizeof moves[0]; ++*from)
        if (opset < moves[*from].since && ox_node_is(n, moves[*from].op)) return &moves[(*from)++];
    return NULL;
}

static ox_dtype data_dtype(const struct ox_node *n) {
    const struct ox_value *v = ox_node_in(n, 0);
    return v && ox_type_is_tensor(v->type) ? v->type->dtype : OX_UNDEFINED;
}

static const char *move_obstacle(const struct ox_node *n, int64_t opset) {
    size_t i = 0;
    for (const struct move *m; (m = move_of(&i, n, opset));) {
        const struct ox_attr *a = ox_node_attr(n, m->attr);
        if (!a) continue;
        if (a->ref) return "an attribute is a parameter of a function";
        if (m->kind == FLOAT_OF_DATA && !ox_const_readable(data_dtype(n)))
            return "the type of its input is not known";
    }
    return NULL;
}

static ox_status attr_tensor(ox_tensor **out, const struct ox_node *n, const struct ox_attr *a,
                             enum kind kind) {
    ox_ctx *ctx = n->graph->model->ctx;
    int64_t count = (int64_t)a->count;
    switch (kind) {
    case INTS:
        return ox_const_ints(out, ctx, a->v.ints, a->count);
    case INT:
        return ox_const_ints(out, ctx, &a->v.i, 1);
    case FLOATS:
        return ox_tensor_copy(out, ctx, OX_FLOAT, 1, &count, a->v.floats, a->count * sizeof(float));
    case FLOAT:
        return ox_const_scalar(out, ctx, OX_FLOAT, (double)a->v.f);
    case FLOAT_OF_DATA:
        return ox_const_scalar(out, ctx, data_dtype(n), (double)a->v.f);
    }
    return OX_INTERNAL;
}

static ox_status set_const_input(struct ox_node *n, size_t index, ox_tensor *tensor) {
    struct ox_value *v;
    ox_status s = ox_graph_add_init(&v, n->graph, NULL, tensor);
    if (s != OX_OK) {
        ox_tensor_unref(tensor);
        return s;
    }
    while (n->n_in <= index)
        OX_TRY(ox_node_add_input(n, NULL));
    ox_use_set(&n->in[index], v);
    return OX_OK;
}

static ox_status move_attrs(bool *changed, struct ox_node *n, int64_t opset) {
    size_t i = 0;
    for (const struct move *m; (m = move_of(&i, n, opset));) {
        const struct ox_attr *a = ox_node_attr(n, m->attr);
        ox_tensor *t;
        if (!a) continue;
        OX_TRY(attr_tensor(&t, n, a, m->kind));
        OX_TRY(set_const_input(n, m->input, t));
        ox_node_drop_attr(n, m->attr);
        *changed = true;
    }
    return OX_OK;
}

/* ---- nodes in place of a node ------------------------------------------------------------------
 */

static ox_status add_node(struct ox_node **out, struct ox_node *like, const char *type, size_t n_in,
                          struct ox_value *x) {
    ox_name name;
    OX_TRY(ox_model_name(&name, like->graph->model, type, strlen(type)));
    OX_TRY(ox_node_new(out, like->graph, like, NULL, name, n_in, 1));
    ox_use_set(&(*out)->in[0], x);
    (*out)->offset = like->offset;
    return OX_OK;
}

/* Output 0 of `by` takes the place of the node's. */
static void replace(struct ox_node *n, struct ox_node *by) {
    struct ox_value *old = n->out[0], *fresh = by->out[0];
    by->name = n->name;
    by->notes = n->notes;
    fresh->name = old->name;
    fresh->type = old->type;
    fresh->declared = old->declared;
    ox_value_replace(old, fresh);
    ox_node_remove(n);
}

/* ---- Softmax, LogSoftmax, Hardmax --------------------------------------------------------------
 */

static bool is_softmax(const struct ox_node *n) {
    return ox_node_is(n, "Softmax") || ox_node_is(n, "LogSoftmax") || ox_node_is(n, "Hardmax");
}

static int64_t int_attr(const struct ox_node *n, const char *name, int64_t dflt) {
    const struct ox_attr *a = ox_node_attr(n, name);
    return a && a->type == OX_ATTR_INT ? a->v.i : dflt;
}

/* Before opset 13 all dims from `axis` on were one. That is what the newer form does if all of them
 * but one are 1: which one, or -1. */
static int64_t single_axis(const struct ox_type *t, int64_t axis) {
    int64_t found = -1;
    if (!ox_type_is_tensor(t) || t->rank < 0) return -1;
    if (axis < 0) axis += t->rank;
    if (axis < 0 || axis >= t->rank) return -1;
    for (int64_t i = axis; i < t->rank; i++) {
        if (ox_dim_is_const(t->dims[i]) && t->dims[i].k == 1) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found >= 0 ? found : axis;
}

/* y = Softmax(x) becomes y = Reshape(Softmax<axis=1>(Flatten<axis>(x)), Shape(x)). */
static ox_status flatten_softmax(struct ox_node *n, int64_t axis) {
    struct ox_value *x = n->in[0].value;
    struct ox_node *flat, *soft, *shape, *back;
    OX_TRY(add_node(&flat, n, "Flatten", 1, x));
    OX_TRY(ox_node_set_int(flat, "axis", axis));
    OX_TRY(add_node(&soft, n, n->type->text, 1, flat->out[0]));
    OX_TRY(ox_node_set_int(soft, "axis", 1));
    OX_TRY(add_node(&shape, n, "Shape", 1, x));
    OX_TRY(add_node(&back, n, "Reshape", 2, soft->out[0]));
    ox_use_set(&back->in[1], shape->out[0]);
    replace(n, back);
    return OX_OK;
}

static ox_status upgrade_softmax(bool *changed, struct ox_node *n) {
    int64_t axis = int_attr(n, "axis", 1), single = single_axis(n->in[0].value->type, axis);
    *changed = true;
    return single >= 0 ? ox_node_set_int(n, "axis", single) : flatten_softmax(n, axis);
}

/* ---- Upsample and Resize -----------------------------------------------------------------------
 */

static const char *upsample_obstacle(const struct ox_node *n, int64_t opset) {
    const struct ox_attr *scales = ox_node_attr(n, "scales");
    if (opset < 9 && (!scales || scales->type != OX_ATTR_FLOATS))
        return "its scales are not in the form of opset 7";
    return NULL;
}

/* Both mapped coordinates as "asymmetric" does, and the nearest below. */
static ox_status upgrade_resize(bool *changed, struct ox_node *n) {
    const struct ox_attr *mode = ox_node_attr(n, "mode");
    char text[32] = "nearest";
    struct ox_node *r;
    if (mode && mode->type == OX_ATTR_STRING && mode->v.s.len < sizeof text) {
        memcpy(text, mode->v.s.ptr, mode->v.s.len);
        text[mode->v.s.len] = 0;
        if (strcmp(text, "bilinear") == 0) memcpy(text, "linear", 7);
    }
    OX_TRY(add_node(&r, n, "Resize", 3, n->in[0].value));
    ox_use_set(&r->in[2], n->in[1].value);
    OX_TRY(ox_node_set_string(r, "mode", text));
    OX_TRY(ox_node_set_string(r, "coordinate_transformation_mode", "asymmetric"));
    OX_TRY(ox_node_set_string(r, "nearest_mode", "floor"));
    replace(n, r);
    *changed = true;
    return OX_OK;
}

/* ---- others ------------------------------------------------------------------------------------
 */

static ox_status rename_scatter(bool *changed, struct ox_node *n) {
    struct ox_node *r;
    OX_TRY(add_node(&r, n, "ScatterElements", 3, n->in[0].value));
    ox_use_set(&r->in[1], n->in[1].value);
    ox_use_set(&r->in[2], n->in[2].value);
    OX_TRY(ox_node_set_int(r, "axis", int_attr(n, "axis", 0)));
    replace(n, r);
    *changed = true;
    return OX_OK;
}

/* Operators that the table may lack and that mean the same in opsets 7 to 13. */
static bool unchanged(const struct ox_node *n) {
    static const char *const names[] = {"ConvInteger",
                                        "Det",
                                        "DynamicQuantizeLinear",
                                        "GRU",
                                        "LSTM",
                                        "MatMulInteger",
                                        "MaxRoiPool",
                                        "MaxUnpool",
                                        "MeanVarianceNormalization",
                                        "NonMaxSuppression",
                                        "QLinearConv",
                                        "QLinearMatMul",
                                        "RNN",
                                        "RandomNormal",
                                        "RandomNormalLike",
                                        "RandomUniform",
                                        "RandomUniformLike",
                                        "ReverseSequence",
                                        "RoiAlign",
                                        "StringNormalizer",
                                        "TfIdfVectorizer"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (ox_node_is(n, names[i])) return true;
    return false;
}

/* Is it changed by what its attributes say? */
static bool is_reshaped(const struct ox_node *n, int64_t opset) {
    return is_softmax(n) || ox_node_is(n, "Upsample") || (ox_node_is(n, "Resize") && opset < 11) ||
           ox_node_is(n, "Scatter") || (ox_node_is(n, "BatchNormalization") && opset < 9);
}

const char *ox_upgrade_obstacle(const struct ox_node *n, int64_t opset) {
    if (n->domain || n->callee) return NULL;
    if (!n->op) return unchanged(n) ? NULL : "the operator is not known";
    if (ox_node_is(n, "BatchNormalization") && opset < 9 && int_attr(n, "spatial", 1) != 1)
        return "statistics that are not per channel";
    if (ox_node_is(n, "Dropout") && opset < 10 && n->n_out > 1 && n->out[1] && n->out[1]->n_uses)
        return "the mask of Dropout has another type";
    if (ox_node_is(n, "Scan") && opset < 9) return "Scan of opset 8 works on batches";
    if (ox_node_is(n, "Upsample") && upsample_obstacle(n, opset))
        return upsample_obstacle(n, opset);
    if (is_reshaped(n, opset))
        for (size_t i = 0; i < n->n_attrs; i++)
            if (n->attrs[i].ref) return "an attribute is a parameter of a function";
    return move_obstacle(n, opset);
}

/* ONNX Runtime fuses Slices of opset 10 and later, and names what it makes after the node that
 * feeds them: without a name, all alike. */
static void name_node(struct ox_node *n) {
    if (n && (!n->name || n->name->len == 0) && n->n_out && n->out[0]) n->name = n->out[0]->name;
}

ox_status ox_upgrade_node(bool *changed, struct ox_node *n, int64_t opset) {
    *changed = false;
    if (n->domain || n->callee) return OX_OK;
    OX_TRY(move_attrs(changed, n, opset));
    if (*changed && n->in[0].value) name_node(n->in[0].value->def);
    if (*changed) name_node(n);
    if (ox_node_is(n, "Upsample") || (ox_node_is(n, "Resize") && opset < 11))
        return upgrade_resize(changed, n);
    if (ox_node_is(n, "Scatter")) return rename_scatter(changed, n);
    if (is_softmax(n) && opset < 13) return upgrade_softmax(changed, n);
    if (ox_node_is(n, "BatchNormalization") && opset < 9 && ox_node_attr(n, "spatial")) {
        ox_node_drop_attr(n, "spatial");
        *changed = true;
    }
    return OX_OK;
}
