/* ir/graph/model_api.c - the public face of a model (onnxopt/model.h): ports, statistics, sessions,
 * the operator table. */
#include "ir/graph/exec.h"

#include <onnxopt/model.h>
#include <stdio.h>

/* ---- ports ----------------------------------------------------------------------------------- */

/* Inputs that a caller gives: not the weights that IR < 4 lists as inputs too. */
static bool is_port(const struct ox_value *v) {
    return !ox_value_const(v);
}

size_t ox_model_inputs(const ox_model *model) {
    size_t n = 0;
    for (size_t i = 0; i < model->graph->n_inputs; i++)
        n += is_port(model->graph->inputs[i]);
    return n;
}

size_t ox_model_outputs(const ox_model *model) {
    return model->graph->ret->n_in;
}

static ox_status describe(struct ox_port *out, ox_model *model, ox_name name,
                          const struct ox_type *type) {
    char text[512];
    const char *kept;
    struct ox_port p = {.name = ox_name_text(name), .rank = -1};
    size_t len = ox_type_print(text, sizeof text, type);
    if (len >= sizeof text) len = sizeof text - 1;
    OX_TRY(ox_arena_copy(&model->arena, &kept, text, len));
    p.type_text = kept;
    if (type->kind == OX_TYPE_TENSOR) {
        p.dtype = type->dtype;
        p.rank = type->rank;
    }
    if (p.rank > 0) {
        int64_t *dims;
        const char **symbols;
        OX_TRY(ox_arena_alloc(&model->arena, &dims, (size_t)p.rank, sizeof *dims));
        OX_TRY(ox_arena_alloc(&model->arena, &symbols, (size_t)p.rank, sizeof *symbols));
        for (int i = 0; i < p.rank; i++) {
            ox_name symbol = ox_dim_name(type->dims[i]);
            dims[i] = ox_dim_is_const(type->dims[i]) ? type->dims[i].k : -1;
            symbols[i] = symbol ? symbol->text : NULL;
        }
        p.dims = dims;
        p.symbols = symbols;
    }
    *out = p;
    return OX_OK;
}

ox_status ox_model_input(struct ox_port *out, ox_model *model, size_t index) {
    for (size_t i = 0; i < model->graph->n_inputs; i++) {
        const struct ox_value *v = model->graph->inputs[i];
        if (is_port(v) && index-- == 0) return describe(out, model, v->name, v->type);
    }
    return ox_fail(model->ctx, OX_USAGE, "no-such-input", NULL, "the model has no such input");
}

ox_status ox_model_output(struct ox_port *out, ox_model *model, size_t index) {
    const struct ox_graph *g = model->graph;
    if (index >= g->ret->n_in)
        return ox_fail(model->ctx, OX_USAGE, "no-such-output", NULL,
                       "the model has no such output");
    const struct ox_type *type = g->outputs[index].type;
    if (type->kind == OX_TYPE_UNKNOWN && g->ret->in[index].value)
        type = g->ret->in[index].value->type;
    return describe(out, model, g->outputs[index].name, type);
}

/* ---- checking -------------------------------------------------------------------------------- */

ox_status ox_model_check(ox_model *model) {
    OX_TRY(ox_model_verify(model));
    return ox_model_infer(model, NULL);
}

/* A type with `symbol` fixed; other symbolic dims of a computed value are left to inference. */
static ox_status fix_type(const struct ox_type **type, struct ox_arena *arena, ox_name symbol,
                          int64_t value, bool computed) {
    const struct ox_type *t = *type;
    ox_dim dims[OX_MAX_RANK];
    bool changed = false, lost = false;
    if (t->kind != OX_TYPE_TENSOR || t->rank <= 0) return OX_OK;
    for (int i = 0; i < t->rank; i++) {
        dims[i] = t->dims[i];
        if (ox_dim_name(dims[i]) == symbol) {
            dims[i] = ox_dim_const(value);
            changed = true;
        } else if (computed && !ox_dim_is_const(dims[i])) {
            lost = true;
        }
    }
    if (lost) return ox_type_tensor(type, arena, t->dtype, -1, NULL);
    return changed ? ox_type_tensor(type, arena, t->dtype, t->rank, dims) : OX_OK;
}

ox_status ox_model_set_dim(ox_model *model, const char *symbol, int64_t value) {
    ox_name name = ox_name_find(&model->names, symbol, strlen(symbol));
    struct ox_graph *g = model->graph;
    bool found = false;
    for (size_t i = 0; name && i < g->n_inputs; i++)
        for (int d = 0; d < g->inputs[i]->type->rank; d++)
            if (ox_dim_name(g->inputs[i]->type->dims[d]) == name) found = true;
    if (!found)
        return ox_fail(model->ctx, OX_USAGE, "no-such-dim", NULL,
                       "no input has a dimension named '%s'", symbol);
    if (value < 0)
        return ox_fail(model->ctx, OX_USAGE, "bad-dim", NULL, "a dimension cannot be %lld",
                       (long long)value);
    for (uint32_t i = 0; i < model->n_values; i++)
        OX_TRY(fix_type(&model->values[i]->type, &model->arena, name, value,
                        model->values[i]->def != NULL));
    for (size_t i = 0; i < g->ret->n_in; i++)
        OX_TRY(fix_type(&g->outputs[i].type, &model->arena, name, value, false));
    return ox_model_infer(model, NULL);
}

/* ---- sessions -------------------------------------------------------------------------------- */

struct ox_session {
    ox_model *model;
    struct ox_runner runner;
    const ox_tensor **in; /* one entry per declared input */
};

ox_status ox_session_new(ox_session **out, ox_model *model) {
    struct ox_session *s;
    OX_TRY(ox_alloc(model->ctx, &s, 1, sizeof *s));
    s->model = model;
    ox_status status = ox_alloc(model->ctx, &s->in, model->graph->n_inputs, sizeof *s->in);
    if (status == OX_OK) status = ox_exec_new(&s->runner, model);
    if (status != OX_OK) {
        ox_session_free(s);
        return status;
    }
    *out = s;
    return OX_OK;
}

void ox_session_free(ox_session *session) {
    if (!session) return;
    ox_ctx *ctx = session->model->ctx;
    if (session->runner.free) session->runner.free(session->runner.self);
    ox_free(ctx, session->in);
    ox_free(ctx, session);
}

/* Is the value of the type, as far as the type says? Lists are compared with all that is in them:
 * types nest to 32. */
static bool fits(const struct ox_type *type, const ox_tensor *t) {
    if (type->kind == OX_TYPE_UNKNOWN) return true;
    if (type->kind == OX_TYPE_SEQUENCE || type->kind == OX_TYPE_OPTIONAL) {
        bool fit = t->dtype == (type->kind == OX_TYPE_SEQUENCE ? OX_SEQUENCE : OX_OPTIONAL);
        for (size_t i = 0; fit && i < t->count; i++)
            fit = fits(type->elem, ox_tensor_item(t, i));
        return fit;
    }
    if (type->kind == OX_TYPE_MAP)
        return t->dtype == OX_MAP && t->count == 2 && ox_tensor_item(t, 0)->dtype == type->dtype &&
               (!ox_type_is_tensor(type->elem) || ox_tensor_item(t, 1)->dtype == type->elem->dtype);
    bool fit = type->kind == OX_TYPE_TENSOR &&
               (type->dtype == OX_UNDEFINED || type->dtype == t->dtype) &&
               (type->rank < 0 || type->rank == t->rank);
    for (int i = 0; fit && i < type->rank; i++)
        if (ox_dim_is_const(type->dims[i]) && type->dims[i].k != t->dims[i]) fit = false;
    return fit;
}

static ox_status check_input(ox_ctx *ctx, const struct ox_value *v, const ox_tensor *t) {
    const struct ox_type *type = v->type;
    if (fits(type, t)) return OX_OK;
    char want[256], got[256];
    size_t n = (size_t)snprintf(got, sizeof got, "%s[", ox_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && n < sizeof got - 24; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%lld", i ? "," : "",
                              (long long)t->dims[i]);
    snprintf(got + n, sizeof got - n, "]");
    ox_type_print(want, sizeof want, type);
    return ox_fail(ctx, OX_INVALID, "wrong-input", NULL, "input '%s' is %s and was given %s",
                   ox_name_text(v->name), want, got);
}

ox_status ox_session_run(ox_session *session, const ox_tensor *const *in, ox_tensor **out) {
    struct ox_graph *g = session->model->graph;
    size_t port = 0;
    for (size_t i = 0; i < g->n_inputs; i++) {
        session->in[i] = is_port(g->inputs[i]) ? in[port++] : NULL;
        if (session->in[i]) OX_TRY(check_input(session->model->ctx, g->inputs[i], session->in[i]));
    }
    ox_status s = session->runner.run(session->runner.self, session->in, out, NULL, NULL);
    for (size_t i = 0; s != OX_OK && i < g->ret->n_in; i++) {
        ox_tensor_unref(out[i]);
        out[i] = NULL;
    }
    return s;
}

/* ---- the operator table ---------------------------------------------------------------------- */

bool ox_op_info(struct ox_op_info *out, size_t index) {
    const struct ox_op *op = ox_op_at(index);
    if (!op) return false;
    *out = (struct ox_op_info){
        .domain = op->domain,
        .name = op->name,
        .since = op->since,
        .newest = op->newest,
        .types = op->types,
        .executable = op->eval || (op->traits & OX_CONTROL),
        .foldable = op->eval != NULL && (op->traits & (OX_PURE | OX_TRAINING)) != 0,
        .quantizable = op->quant != OX_Q_NONE,
    };
    return true;
}
