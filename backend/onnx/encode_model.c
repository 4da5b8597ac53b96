/* backend/onnx/encode_model.c - what all messages share, functions, and the model. */
#include "backend/onnx/encode_priv.h"

/* Reading takes an empty text for an absent one, so it is none here either. */
void ox_encode_name(struct ox_encoder *e, enum ox_wire_field field, ox_name name) {
    if (name && name->len) ox_put_string(e->out, field, name->text, name->len);
}

void ox_encode_pairs(struct ox_encoder *e, enum ox_wire_field field, const struct ox_pairs *pairs) {
    for (size_t i = pairs ? pairs->count : 0; i-- > 0;) {
        uint64_t mark = e->out->size;
        ox_encode_raw(e, pairs->at[i].unknown);
        ox_encode_name(e, OX_F_PAIR_VALUE, pairs->at[i].value);
        ox_encode_name(e, OX_F_PAIR_KEY, pairs->at[i].key);
        ox_put_message(e->out, field, mark);
    }
}

void ox_encode_raw(struct ox_encoder *e, struct ox_str raw) {
    ox_put_bytes(e->out, raw.ptr, raw.len);
}

static void put_opsets(struct ox_encoder *e, enum ox_wire_field field,
                       const struct ox_opset *opsets, size_t n) {
    for (size_t i = n; i-- > 0;) {
        uint64_t mark = e->out->size;
        ox_encode_raw(e, opsets[i].unknown);
        ox_put_int(e->out, OX_F_OPSET_VERSION, opsets[i].version);
        /* The default domain is written as the empty name, as most exporters do. */
        ox_put_string(e->out, OX_F_OPSET_DOMAIN, ox_name_text(opsets[i].domain),
                      opsets[i].domain ? opsets[i].domain->len : 0);
        ox_put_message(e->out, field, mark);
    }
}

static void put_function(struct ox_encoder *e, const struct ox_function *f) {
    uint64_t mark = e->out->size;
    const struct ox_graph *g = f->body;
    ox_encode_raw(e, f->unknown);
    ox_encode_pairs(e, OX_F_FUNCTION_META, f->meta);
    ox_encode_name(e, OX_F_FUNCTION_OVERLOAD, f->overload);
    ox_encode_raw(e, f->value_info);
    for (size_t i = f->n_defaults; i-- > 0;)
        ox_encode_attr(e, OX_F_FUNCTION_DEFAULT, &f->defaults[i]);
    ox_put_string(e->out, OX_F_FUNCTION_DOMAIN, ox_name_text(f->domain),
                  f->domain ? f->domain->len : 0);
    put_opsets(e, OX_F_FUNCTION_OPSET, f->opsets, f->n_opsets);
    ox_encode_name(e, OX_F_FUNCTION_DOC, f->doc);
    ox_encode_nodes(e, OX_F_FUNCTION_NODE, g);
    for (size_t i = f->n_attrs; i-- > 0;)
        ox_encode_name(e, OX_F_FUNCTION_ATTRIBUTE, f->attrs[i]);
    for (size_t i = g->ret->n_in; i-- > 0;)
        ox_encode_name(e, OX_F_FUNCTION_OUTPUT, ox_naming_output(e->naming, g, i));
    for (size_t i = g->n_inputs; i-- > 0;)
        ox_encode_name(e, OX_F_FUNCTION_INPUT, ox_naming_value(e->naming, g->inputs[i]));
    ox_encode_name(e, OX_F_FUNCTION_NAME, f->name);
    ox_put_message(e->out, OX_F_MODEL_FUNCTION, mark);
}

ox_status ox_encode_model(struct ox_wire_out *out, const struct ox_model *m,
                          const struct ox_naming *naming, const struct ox_external_plan *plan) {
    struct ox_encoder e = {out, m, naming, plan};
    ox_encode_raw(&e, m->unknown);
    for (size_t i = m->n_functions; i-- > 0;)
        put_function(&e, m->functions[i]);
    ox_encode_raw(&e, m->training);
    ox_encode_pairs(&e, OX_F_MODEL_META, m->meta);
    put_opsets(&e, OX_F_MODEL_OPSET, m->opsets, m->n_opsets);
    ox_encode_graph(&e, OX_F_MODEL_GRAPH, m->graph);
    ox_encode_name(&e, OX_F_MODEL_DOC, m->doc);
    if (m->has_model_version) ox_put_int(out, OX_F_MODEL_VERSION, m->model_version);
    ox_encode_name(&e, OX_F_MODEL_DOMAIN, m->domain);
    ox_encode_name(&e, OX_F_MODEL_PRODUCER_VERSION, m->producer_version);
    ox_encode_name(&e, OX_F_MODEL_PRODUCER, m->producer);
    ox_put_int(out, OX_F_MODEL_IR_VERSION, m->ir_version);
    return out->status;
}
