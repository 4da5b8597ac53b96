/* backend/native/lower_table.c - what elementwise operators make of one 8-bit value until it is 8
 * bits again, on however many ways, is a table of 256 entries: x * sigmoid(x), with the sigmoid
 * quantized on its way, is one step. */
#include "backend/native/lower_util.h"

enum { NODES_MAX = 40, LEVELS = 3 };

/* The operators between a source and a QuantizeLinear. */
struct cone {
    struct ox_lower *lo;
    const struct ox_node *root;
    struct ox_lower_quant source;
    int visits, n; /* n: of what follows */
    const struct ox_value *made[NODES_MAX];
    ox_tensor *values[NODES_MAX]; /* counted */
};

static bool elementwise(const struct ox_node *n) {
    if (!n->op || n->n_out != 1 || n->n_in < 1 || n->n_in > 3) return false;
    if (ox_node_is(n, "QuantizeLinear") || ox_node_is(n, "DequantizeLinear"))
        return true; /* by one number: see leads */
    return (n->op->traits & OX_PURE) && (n->op->traits & OX_ELTWISE);
}

/* Does v depend on nothing but the source and single numbers? */
static bool leads(struct cone *c, const struct ox_value *v) {
    const ox_tensor *t;
    if (!v || v == c->source.value) return true;
    t = ox_lower_value_const(c->lo, v);
    if (t) return t->count == 1;
    if (!v->def || v->def_index != 0 || !elementwise(v->def) || ++c->visits >= NODES_MAX)
        return false;
    for (size_t i = 0; i < v->def->n_in; i++)
        if (!leads(c, ox_node_in(v->def, i))) return false;
    return true;
}

/* Tries the 8-bit values behind `level` other ones as the source of all. */
static bool find(struct cone *c, const struct ox_node *node, int level) {
    for (size_t i = 0; i < node->n_in; i++) {
        const struct ox_value *v = ox_node_in(node, i);
        if (!v || !v->def || v->def_index != 0 || !elementwise(v->def) ||
            ox_lower_value_const(c->lo, v) || ++c->visits >= NODES_MAX)
            continue;
        if (!ox_lower_dequantized(&c->source, c->lo, v)) {
            if (find(c, v->def, level)) return true;
        } else if (level > 0) {
            const struct ox_value *q = c->source.value;
            if (q->def && q->def_index == 0 && ox_node_is(q->def, "QuantizeLinear") &&
                find(c, q->def, level - 1))
                return true;
        } else if (!ox_lower_value_const(c->lo, c->source.value)) {
            c->visits = 0;
            if (leads(c, c->root->out[0])) return true;
        }
    }
    return false;
}

static bool find_source(struct cone *c) {
    for (int level = 0; level < LEVELS; level++) {
        c->visits = 0;
        if (find(c, c->root, level)) return true;
    }
    return false;
}

static ox_status keep(struct cone *c, const struct ox_value *v, ox_tensor *t) {
    c->made[c->n] = v;
    c->values[c->n++] = t;
    return OX_OK;
}

/* The 256 values of v, by the operators' own kernels: entries are exactly what the nodes give.
 * Constants come as scalars, whatever their rank: values are a vector here. Owned by the cone;
 * NULL: a kernel refuses. */
static ox_status values_of(const ox_tensor **out, struct cone *c, const struct ox_value *v) {
    struct ox_call_scratch scratch = {.ctx = ox_lower_model(c->lo)->ctx};
    const ox_tensor *in[3] = {NULL, NULL, NULL};
    ox_tensor *result = NULL;
    struct ox_call call;
    *out = NULL;
    for (int i = 0; i < c->n && !*out; i++)
        if (c->made[i] == v) *out = c->values[i];
    if (*out || c->n == NODES_MAX) return OX_OK;
    const ox_tensor *number = ox_lower_value_const(c->lo, v);
    if (number) {
        OX_TRY(ox_tensor_reshape(&result, scratch.ctx, number, 0, NULL));
        *out = result;
        return keep(c, v, result);
    }
    for (size_t i = 0; i < v->def->n_in; i++) {
        const struct ox_value *operand = ox_node_in(v->def, i);
        if (!operand) continue;
        OX_TRY(values_of(&in[i], c, operand));
        if (!in[i]) return OX_OK;
    }
    if (c->n == NODES_MAX) return OX_OK;
    ox_mute(scratch.ctx, true);
    ox_status status = ox_node_call(&call, &scratch, v->def);
    if (status == OX_OK) status = ox_op_eval(&call, in, &result);
    ox_call_scratch_fini(&scratch);
    ox_mute(scratch.ctx, false);
    if (status != OX_OK) return status == OX_NOMEM ? status : OX_OK;
    *out = result;
    return keep(c, v, result);
}

static ox_status bytes_of_source(struct cone *c) {
    const int64_t dims[] = {256};
    const unsigned char flip = c->source.form == OX_FORM_SHIFTED
                                   ? 128
                                   : 0; /* entry i answers the bits i of the shifted value */
    unsigned char *data;
    ox_tensor *t;
    OX_TRY(ox_tensor_new(&t, (void **)&data, ox_lower_model(c->lo)->ctx,
                         ox_lower_dtype(c->source.value), 1, dims));
    for (int i = 0; i < 256; i++)
        data[i] = (unsigned char)(i ^ flip);
    return keep(c, c->source.value, t);
}

static ox_status make_table(ox_tensor **out, struct cone *c, const struct ox_lower_quant *q) {
    const int64_t dims[] = {256};
    const ox_tensor *t = NULL;
    unsigned char *data;
    *out = NULL;
    OX_TRY(bytes_of_source(c));
    OX_TRY(values_of(&t, c, c->root->out[0]));
    if (!t || t->rank != 1 || t->count != 256 || ox_dtype_bits(t->dtype) != 8) return OX_OK;
    OX_TRY(ox_tensor_new(out, (void **)&data, ox_lower_model(c->lo)->ctx, OX_INT8, 1, dims));
    for (int i = 0; i < 256; i++)
        data[i] = ((const unsigned char *)t->data)[i] ^ (q->form == OX_FORM_SHIFTED ? 128 : 0);
    return OX_OK;
}

ox_status ox_lower_table(struct ox_lower *lo, const struct ox_node *node,
                         const struct ox_lower_quant *q, bool *claimed) {
    const struct ox_step_table_params p = {0};
    struct cone c = {.lo = lo, .root = node};
    ox_operand in[2], out;
    ox_tensor *entries = NULL;
    if (!find_source(&c) || ox_lower_rank(c.source.value) < 0 ||
        ox_lower_rank(c.source.value) != ox_lower_rank(q->value))
        return OX_OK;
    ox_status status = make_table(&entries, &c, q);
    for (int i = 0; i < c.n; i++)
        ox_tensor_unref(c.values[i]);
    OX_TRY(status);
    if (!entries) return OX_OK;
    OX_TRY(ox_lower_const(&in[1], lo, entries));
    unsigned form = ox_lower_followed(lo, q->value);
    OX_TRY(ox_lower_in(&in[0], lo, c.source.value, c.source.form | form));
    OX_TRY(ox_lower_out(&out, lo, q->value, q->form | form));
    *claimed = true;
    return ox_lower_step(lo, node, OX_STEP_TABLE, &p, 2, in, 1, &out);
}
