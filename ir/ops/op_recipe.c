/* ir/ops/op_recipe.c - running recipes; see recipe.h. */
#include "ir/ops/recipe.h"

#include "ir/ops/convert.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"

bool ox_rc_ok(struct ox_recipe *r, ox_status status) {
    if (r->status == OX_OK) r->status = status;
    return r->status == OX_OK && !r->stopped;
}

static bool going(const struct ox_recipe *r) {
    return r->status == OX_OK && !r->stopped;
}

void ox_rc_stop(struct ox_recipe *r) {
    if (going(r) && !r->io)
        r->status = ox_fail(r->call->ctx, OX_INTERNAL, "recipe", NULL,
                            "%s is not known well enough", r->call->op->name);
    r->stopped = true;
}

/* ---- values ---------------------------------------------------------------------------------- */

static ox_v add_value(struct ox_recipe *r, struct ox_recipe_value value) {
    if (r->n == OX_RECIPE_VALUES) {
        if (value.owned) ox_tensor_unref((ox_tensor *)(uintptr_t)value.tensor);
        r->status = ox_fail(r->call->ctx, OX_UNSUPPORTED, "recipe", NULL, "%s has too many parts",
                            r->call->op->name);
        return OX_NO_V;
    }
    r->values[r->n] = value;
    return r->n++;
}

ox_v ox_rc_in(struct ox_recipe *r, size_t i) {
    const struct ox_call *call = r->call;
    if (!going(r) || i >= call->n_in || (call->present && !call->present[i])) return OX_NO_V;
    struct ox_recipe_value value = {.tensor = call->consts ? call->consts[i] : NULL};
    if (!r->io && !value.tensor) return OX_NO_V;
    if (r->io) {
        value.type = r->io->in[i];
        value.partial = r->io->in_values ? r->io->in_values[i] : NULL;
    }
    return add_value(r, value);
}

/* A tensor of the recipe's own: its type and elements are known to infer too. */
static ox_v add_constant(struct ox_recipe *r, ox_tensor *tensor) {
    struct ox_recipe_value value = {.tensor = tensor, .owned = true};
    if (r->io) r->status = ox_type_of(&value.type, r->io->arena, tensor);
    if (r->status == OX_OK && r->io && tensor->dtype == OX_INT64 && tensor->rank < 2) {
        struct ox_partial *partial;
        ox_dim *elems;
        if (!ox_rc_ok(r, ox_arena_alloc(r->io->arena, &partial, 1, sizeof *partial)) ||
            !ox_rc_ok(r, ox_arena_alloc(r->io->arena, &elems, tensor->count + 1, sizeof *elems))) {
            ox_tensor_unref(tensor);
            return OX_NO_V;
        }
        for (size_t i = 0; i < tensor->count; i++)
            elems[i] = ox_dim_const(((const int64_t *)tensor->data)[i]);
        *partial = (struct ox_partial){tensor->rank, tensor->count, elems};
        value.partial = partial;
    }
    return add_value(r, value);
}

ox_v ox_rc_ints(struct ox_recipe *r, size_t n, const int64_t *ints) {
    ox_tensor *tensor;
    if (!going(r)) return OX_NO_V;
    const int64_t dims[1] = {(int64_t)n};
    if (!ox_rc_ok(r,
                  ox_tensor_copy(&tensor, r->call->ctx, OX_INT64, 1, dims, ints, n * sizeof *ints)))
        return OX_NO_V;
    return add_constant(r, tensor);
}

ox_v ox_rc_number(struct ox_recipe *r, ox_dtype dtype, double number) {
    ox_tensor *wide, *tensor;
    if (!going(r)) return OX_NO_V;
    if (!ox_rc_ok(r,
                  ox_tensor_copy(&wide, r->call->ctx, OX_DOUBLE, 0, NULL, &number, sizeof number)))
        return OX_NO_V;
    ox_status status = ox_tensor_cast(&tensor, r->call->ctx, wide, dtype, true);
    ox_tensor_unref(wide);
    return ox_rc_ok(r, status) ? add_constant(r, tensor) : OX_NO_V;
}

static const struct ox_recipe_value *value_of(const struct ox_recipe *r, ox_v v) {
    static const struct ox_recipe_value none = {0};
    return v < 0 ? &none : &r->values[v];
}

ox_dtype ox_rc_dtype(const struct ox_recipe *r, ox_v v) {
    const struct ox_recipe_value *value = value_of(r, v);
    if (value->tensor) return value->tensor->dtype;
    return ox_type_is_tensor(value->type) ? value->type->dtype : OX_UNDEFINED;
}

int ox_rc_rank(const struct ox_recipe *r, ox_v v) {
    const struct ox_recipe_value *value = value_of(r, v);
    if (value->tensor) return value->tensor->rank;
    return ox_type_is_tensor(value->type) ? value->type->rank : -1;
}

ox_dim ox_rc_dim(const struct ox_recipe *r, ox_v v, int d) {
    const struct ox_recipe_value *value = value_of(r, v);
    int rank = ox_rc_rank(r, v);
    if (d < 0) d += rank;
    if (d < 0 || d >= rank) return ox_dim_const(0); /* after a failure */
    return value->tensor ? ox_dim_const(value->tensor->dims[d]) : value->type->dims[d];
}

const ox_tensor *ox_rc_tensor(const struct ox_recipe *r, ox_v v) {
    return value_of(r, v)->tensor;
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* Names are looked up by their text, so one that nobody interned will do. */
static struct ox_attr *add_attr(struct ox_recipe *r, const char *name, enum ox_attr_type type,
                                size_t count) {
    size_t len = strlen(name);
    if (!going(r)) return NULL;
    if (r->n_attrs == OX_RECIPE_ATTRS || len >= OX_RECIPE_TEXT) {
        r->status =
            ox_fail(r->call->ctx, OX_INTERNAL, "recipe", NULL, "no room for attribute '%s'", name);
        return NULL;
    }
    struct ox_recipe_name *entry = &r->names[r->n_attrs];
    entry->len = (uint32_t)len;
    memcpy(entry->text, name, len + 1);
    struct ox_attr *attr = &r->attrs[r->n_attrs++];
    *attr = (struct ox_attr){.name = (ox_name)(const void *)entry, .type = type, .count = count};
    return attr;
}

void ox_rc_int(struct ox_recipe *r, const char *name, int64_t value) {
    struct ox_attr *attr = add_attr(r, name, OX_ATTR_INT, 1);
    if (attr) attr->v.i = value;
}
void ox_rc_float(struct ox_recipe *r, const char *name, float value) {
    struct ox_attr *attr = add_attr(r, name, OX_ATTR_FLOAT, 1);
    if (attr) attr->v.f = value;
}
void ox_rc_string(struct ox_recipe *r, const char *name, const char *value) {
    struct ox_attr *attr = add_attr(r, name, OX_ATTR_STRING, 1);
    if (attr) attr->v.s = (struct ox_str){value, strlen(value)};
}
void ox_rc_int_list(struct ox_recipe *r, const char *name, size_t n, const int64_t *values) {
    struct ox_attr *attr = add_attr(r, name, OX_ATTR_INTS, n);
    if (attr) attr->v.ints = values;
}

void ox_rc_pass(struct ox_recipe *r, const char *name) {
    const struct ox_attr *own = ox_attr_find(r->call, name);
    struct ox_attr *attr = own ? add_attr(r, name, own->type, own->count) : NULL;
    if (!attr) return;
    ox_name text = attr->name;
    *attr = *own;
    attr->name = text;
}

/* ---- steps ----------------------------------------------------------------------------------- */

enum { MOST_IN = 128, MOST_OUT = 8 };

static ox_status infer_step(struct ox_recipe *r, struct ox_call *sub, const ox_v *in,
                            struct ox_recipe_value *made) {
    const struct ox_type *types[MOST_IN], *out[MOST_OUT] = {NULL};
    const struct ox_partial *values[MOST_IN], *out_values[MOST_OUT] = {NULL};
    for (size_t i = 0; i < sub->n_in; i++) {
        types[i] = value_of(r, in[i])->type;
        values[i] = value_of(r, in[i])->partial;
    }
    struct ox_infer io = {r->io->arena, r->io->dims, types, values, out, out_values, NULL};
    OX_TRY(ox_op_infer(sub, &io));
    if (io.why) r->io->why = io.why;
    for (size_t i = 0; i < sub->n_out; i++) {
        made[i].type = out[i];
        made[i].partial = out_values[i];
    }
    return OX_OK;
}

static ox_status eval_step(struct ox_call *sub, const ox_tensor *const *in,
                           struct ox_recipe_value *made) {
    ox_tensor *out[MOST_OUT] = {NULL};
    OX_TRY(ox_op_eval(sub, in, out));
    for (size_t i = 0; i < sub->n_out; i++)
        made[i] = (struct ox_recipe_value){.tensor = out[i], .owned = true};
    return OX_OK;
}

void ox_rc_run(struct ox_recipe *r, const struct ox_op *op, size_t n_in, const ox_v *in,
               size_t n_out, ox_v *out) {
    const ox_tensor *tensors[MOST_IN];
    bool present[MOST_IN];
    struct ox_recipe_value made[MOST_OUT] = {{0}};
    for (size_t i = 0; i < n_out; i++)
        out[i] = OX_NO_V;
    while (n_in > 0 && in[n_in - 1] < 0)
        n_in--;
    if (!going(r)) return;
    if (!op || n_in > MOST_IN || n_out > MOST_OUT) {
        r->status = ox_fail(r->call->ctx, OX_UNSUPPORTED, "recipe", NULL,
                            "a part of %s with %zu inputs", r->call->op->name, n_in);
        return;
    }
    for (size_t i = 0; i < n_in; i++) {
        tensors[i] = ox_rc_tensor(r, in[i]);
        present[i] = in[i] >= 0;
    }
    struct ox_call sub = {.ctx = r->call->ctx,
                          .op = op,
                          .opset = r->opset,
                          .attrs = r->attrs,
                          .n_attrs = r->n_attrs,
                          .n_in = n_in,
                          .n_out = n_out,
                          .consts = tensors,
                          .present = present};
    ox_status status = r->io ? infer_step(r, &sub, in, made) : eval_step(&sub, tensors, made);
    r->n_attrs = 0;
    if (!ox_rc_ok(r, status)) return;
    for (size_t i = 0; i < n_out; i++)
        out[i] = add_value(r, made[i]);
}

ox_v ox_rc_step(struct ox_recipe *r, const char *op, size_t n_in, const ox_v *in) {
    ox_v out;
    ox_rc_run(r, ox_op_find("", op), n_in, in, 1, &out);
    return out;
}

ox_v ox_rc_cast(struct ox_recipe *r, ox_v v, ox_dtype dtype) {
    if (v < 0 || ox_rc_dtype(r, v) == dtype) return v;
    ox_rc_int(r, "to", (int64_t)dtype);
    return OX_RC(r, "Cast", v);
}

ox_v ox_rc_wide(struct ox_recipe *r, ox_v v) {
    return ox_is_narrow(ox_rc_dtype(r, v)) ? ox_rc_cast(r, v, OX_FLOAT) : v;
}

ox_v ox_rc_like(struct ox_recipe *r, ox_v v, ox_v like) {
    if (v < 0 || ox_rc_dtype(r, v) == ox_rc_dtype(r, like)) return v;
    return OX_RC(r, "CastLike", v, like);
}

ox_v ox_rc_reshape(struct ox_recipe *r, ox_v v, size_t n, const int64_t *dims) {
    return v < 0 ? v : OX_RC(r, "Reshape", v, ox_rc_ints(r, n, dims));
}

ox_v ox_rc_transpose(struct ox_recipe *r, ox_v v, size_t n, const int64_t *perm) {
    if (v < 0) return v;
    ox_rc_int_list(r, "perm", n, perm);
    return OX_RC(r, "Transpose", v);
}

/* perm moves dim `from` to `to`. */
static ox_v move_dim(struct ox_recipe *r, ox_v v, bool to_last) {
    int64_t perm[OX_MAX_RANK];
    int rank = ox_rc_rank(r, v);
    if (v < 0) return v;
    if (rank < 0) {
        ox_rc_stop(r);
        return OX_NO_V;
    }
    if (rank < 3) return v; /* no spatial dims, nothing to move */
    for (int d = 0; d < rank; d++)
        perm[d] = d == 0 ? 0 : to_last ? (d == rank - 1 ? 1 : d + 1) : d == 1 ? rank - 1 : d - 1;
    return ox_rc_transpose(r, v, (size_t)rank, perm);
}
ox_v ox_rc_channels_last(struct ox_recipe *r, ox_v v) {
    return move_dim(r, v, true);
}
ox_v ox_rc_channels_first(struct ox_recipe *r, ox_v v) {
    return move_dim(r, v, false);
}

ox_v ox_rc_slice(struct ox_recipe *r, ox_v v, int64_t axis, int64_t begin, int64_t end) {
    if (v < 0) return v;
    return OX_RC(r, "Slice", v, OX_RC_INTS(r, begin), OX_RC_INTS(r, end), OX_RC_INTS(r, axis));
}

ox_v ox_rc_concat(struct ox_recipe *r, int64_t axis, size_t n, const ox_v *in) {
    ox_rc_int(r, "axis", axis);
    return ox_rc_step(r, "Concat", n, in);
}

ox_v ox_rc_add(struct ox_recipe *r, ox_v v, ox_v bias) {
    return bias < 0 ? v : OX_RC(r, "Add", v, bias);
}

void ox_rc_keep(struct ox_recipe *r, int mark, size_t n, ox_v *kept) {
    struct ox_recipe_value values[MOST_OUT] = {{0}};
    for (size_t i = 0; i < n; i++) {
        if (kept[i] < mark) continue;
        values[i] = r->values[kept[i]];
        if (values[i].owned) ox_tensor_ref(values[i].tensor);
    }
    for (int i = mark; i < r->n; i++)
        if (r->values[i].owned) ox_tensor_unref((ox_tensor *)(uintptr_t)r->values[i].tensor);
    r->n = mark;
    for (size_t i = 0; i < n; i++)
        if (kept[i] >= mark) kept[i] = add_value(r, values[i]);
}

/* ---- outputs and checks ---------------------------------------------------------------------- */

bool ox_rc_wants(const struct ox_recipe *r, size_t i) {
    return i < r->call->n_out && (!r->call->wanted || r->call->wanted[i]);
}

void ox_rc_out(struct ox_recipe *r, size_t i, ox_v v) {
    if (!going(r) || v < 0 || i >= r->call->n_out) return;
    if (r->io) {
        r->io->out[i] = r->values[v].type;
        if (r->io->out_values) r->io->out_values[i] = r->values[v].partial;
    } else if (ox_rc_wants(r, i) && !r->out[i]) {
        r->out[i] = ox_tensor_ref(r->values[v].tensor);
    }
}

ox_v ox_rc_need(struct ox_recipe *r, size_t i) {
    ox_v v = ox_rc_in(r, i);
    if (v < 0 && going(r))
        r->status = ox_fail(r->call->ctx, OX_INVALID, "missing-input", NULL,
                            "input %zu of %s is absent but not optional", i, r->call->op->name);
    return v;
}

static const char *dims_text(char *to, size_t size, const struct ox_recipe *r, ox_v v) {
    ox_dim dims[OX_MAX_RANK];
    int rank = ox_rc_rank(r, v);
    for (int d = 0; d < rank; d++)
        dims[d] = ox_rc_dim(r, v, d);
    struct ox_dims_text text = ox_sym_dims_text(rank, dims);
    size_t n = strlen(text.text);
    if (n >= size) n = size - 1;
    memcpy(to, text.text, n);
    to[n] = '\0';
    return to;
}

void ox_rc_expect_rank(struct ox_recipe *r, size_t i, ox_v v, int rank) {
    char text[120];
    if (!going(r) || v < 0 || ox_rc_rank(r, v) < 0 || ox_rc_rank(r, v) == rank) return;
    r->status = ox_bad_shape(r->call, "input %zu of %s is %s, expected %d dims", i,
                             r->call->op->name, dims_text(text, sizeof text, r, v), rank);
}

void ox_rc_expect_one(struct ox_recipe *r, size_t i, ox_v v) {
    char text[120];
    int rank = ox_rc_rank(r, v);
    bool one = true;
    if (!going(r) || v < 0 || rank < 0) return;
    for (int d = 0; d < rank; d++)
        one = one && (!ox_dim_is_const(ox_rc_dim(r, v, d)) || ox_rc_dim(r, v, d).k == 1);
    if (one) return;
    r->status = ox_bad_shape(r->call, "input %zu of %s is %s, expected one number", i,
                             r->call->op->name, dims_text(text, sizeof text, r, v));
}

/* ---- the two functions of a row -------------------------------------------------------------- */

static ox_status finish(struct ox_recipe *r) {
    for (int i = 0; i < r->n; i++)
        if (r->values[i].owned) ox_tensor_unref((ox_tensor *)(uintptr_t)r->values[i].tensor);
    return r->status;
}

ox_status ox_infer_recipe(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_recipe_kind *kind = call->op->family;
    struct ox_recipe r = {.call = call, .io = io, .opset = OX_RECIPE_OPSET};
    kind->body(&r, params);
    return finish(&r);
}

ox_status ox_eval_recipe(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                         ox_tensor **out) {
    const struct ox_recipe_kind *kind = call->op->family;
    struct ox_call with_inputs = *call;
    with_inputs.consts = in;
    struct ox_recipe r = {.call = &with_inputs, .out = out, .opset = OX_RECIPE_OPSET};
    kind->body(&r, params);
    return finish(&r);
}
