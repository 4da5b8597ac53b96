/* ir/text/text_print.c - models into text.
 *
 * What the form cannot express is left out (doc strings below the model, metadata of parts, unknown
 * fields); where that would change the meaning, something is printed that cannot be parsed back:
 * {...}. */
#include "ir/text/text_out.h"

#include <stdio.h>

/* ---- attributes ------------------------------------------------------------------------------ */

static void put_graph(struct ox_text_out *o, const struct ox_graph *g);

/* A float that does not look like an integer. */
static void put_float_attr(struct ox_text_out *o, float f) {
    size_t from = o->len;
    ox_out_float(o, &f);
    bool digits = true;
    for (size_t i = from; i < o->len; i++)
        if (o->buf[i] != '-' && (o->buf[i] < '0' || o->buf[i] > '9')) digits = false;
    if (digits) ox_out(o, ".0");
}

static void put_type_or_gap(struct ox_text_out *o, const struct ox_type *t) {
    if (t && ox_out_has_type(t))
        ox_out_type(o, t);
    else
        ox_out(o, "{...}");
}

/* {values, where they are} */
static void put_sparse_parts(struct ox_text_out *o, const struct ox_sparse *s) {
    if (!s || !s->values || !s->indices) {
        ox_out(o, "{...}");
        return;
    }
    ox_out(o, "{");
    ox_out_tensor(o, s->values, NULL);
    ox_out(o, ", ");
    ox_out_tensor(o, s->indices, NULL);
    ox_out(o, "}");
}

/* The same with its type in front. */
static void put_sparse_value(struct ox_text_out *o, const struct ox_sparse *s) {
    if (s && s->values) {
        ox_out(o, "sparse_tensor(");
        ox_out(o, ox_dtype_name(s->values->dtype));
        for (int i = 0; i < s->rank; i++) {
            ox_out(o, i ? "," : "[");
            ox_out_int(o, s->dims[i]);
        }
        ox_out(o, s->rank ? "]) " : ") ");
    }
    put_sparse_parts(o, s);
}

static void put_list_item(struct ox_text_out *o, const struct ox_attr *a, size_t i) {
    switch (a->type) {
    case OX_ATTR_FLOATS:
        put_float_attr(o, a->v.floats[i]);
        break;
    case OX_ATTR_INTS:
        ox_out_int(o, a->v.ints[i]);
        break;
    case OX_ATTR_STRINGS:
        ox_out_quoted(o, a->v.strings[i].ptr, a->v.strings[i].len);
        break;
    case OX_ATTR_TENSORS:
        ox_out_tensor(o, a->v.tensors[i], NULL);
        break;
    case OX_ATTR_GRAPHS:
        put_graph(o, a->v.graphs[i]);
        break;
    case OX_ATTR_TYPE_PROTOS:
        put_type_or_gap(o, a->v.tps[i]);
        break;
    case OX_ATTR_SPARSE_TENSORS:
        put_sparse_value(o, a->v.sparse[i]);
        break;
    default:
        ox_out(o, "{...}");
        break;
    }
}

static void put_attr_value(struct ox_text_out *o, const struct ox_attr *a) {
    switch (a->type) {
    case OX_ATTR_FLOAT:
        put_float_attr(o, a->v.f);
        break;
    case OX_ATTR_INT:
        ox_out_int(o, a->v.i);
        break;
    case OX_ATTR_STRING:
        ox_out_quoted(o, a->v.s.ptr, a->v.s.len);
        break;
    case OX_ATTR_TENSOR:
        ox_out_tensor(o, a->v.t, NULL);
        break;
    case OX_ATTR_GRAPH:
        put_graph(o, a->v.g);
        break;
    case OX_ATTR_TYPE_PROTO:
        put_type_or_gap(o, a->v.tp);
        break;
    case OX_ATTR_SPARSE_TENSOR:
        put_sparse_value(o, a->v.sparse[0]);
        break;
    case OX_ATTR_UNDEFINED:
        ox_out(o, "{...}");
        break;
    default:
        ox_out(o, "[");
        for (size_t i = 0; i < a->count; i++) {
            ox_out(o, ox_out_separator(i));
            put_list_item(o, a, i);
        }
        ox_out(o, "]");
    }
}

static void put_attr(struct ox_text_out *o, const struct ox_attr *a) {
    ox_out_name(o, a->name);
    const char *type = ox_text_attr_type(a->type);
    if (type && (a->ref || a->count == 0)) {
        ox_out(o, " : ");
        ox_out(o, type);
    }
    ox_out(o, " = ");
    if (a->ref) {
        ox_out(o, "@");
        ox_out_name(o, a->ref);
    } else {
        put_attr_value(o, a);
    }
}

static void put_attrs(struct ox_text_out *o, const struct ox_attr *attrs, size_t n) {
    ox_out(o, " <");
    for (size_t i = 0; i < n; i++) {
        ox_out(o, ox_out_separator(i));
        put_attr(o, &attrs[i]);
    }
    ox_out(o, ">");
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void put_value(struct ox_text_out *o, const struct ox_value *value) {
    char buf[32];
    if (!value)
        ox_out(o, "\"\"");
    else if (o->naming)
        ox_out_name(o, ox_naming_value(o->naming, value));
    else if (value->name)
        ox_out_name(o, value->name);
    else
        ox_out_quoted(o, buf, (size_t)snprintf(buf, sizeof buf, "%%%u", (unsigned)value->id));
}

static void put_domain(struct ox_text_out *o, ox_name domain) {
    const char *part = domain->text, *dot;
    bool plain = true;
    for (dot = strchr(part, '.'); dot; part = dot + 1, dot = strchr(part, '.'))
        if (!ox_text_is_identifier(part, (size_t)(dot - part))) plain = false;
    if (plain && ox_text_is_identifier(part, strlen(part)))
        ox_out(o, domain->text);
    else
        ox_out_quoted(o, domain->text, domain->len);
    ox_out(o, ".");
}

static void put_operands(struct ox_text_out *o, const struct ox_node *node) {
    ox_out(o, " (");
    for (size_t i = 0; i < node->n_in; i++) {
        ox_out(o, ox_out_separator(i));
        put_value(o, node->in[i].value);
    }
    ox_out(o, ")");
}

static ox_status count_graph(void *arg, struct ox_graph *graph) {
    (void)graph;
    ++*(size_t *)arg;
    return OX_OK;
}

static void put_node(struct ox_text_out *o, const struct ox_node *node) {
    size_t graphs = 0;
    (void)!ox_node_each_graph(node, count_graph, &graphs);
    if (node->name) {
        ox_out(o, "[");
        ox_out_name(o, node->name);
        ox_out(o, "] ");
    }
    for (size_t i = 0; i < node->n_out; i++) {
        ox_out(o, ox_out_separator(i));
        put_value(o, node->out[i]);
    }
    ox_out(o, node->n_out ? " = " : "= ");
    if (node->domain && node->domain->len) put_domain(o, node->domain);
    ox_out_name(o, node->type);
    if (node->overload && node->overload->len) {
        ox_out(o, ":");
        ox_out_name(o, node->overload);
    }
    if (node->n_attrs && !graphs) put_attrs(o, node->attrs, node->n_attrs);
    put_operands(o, node);
    if (node->n_attrs && graphs) put_attrs(o, node->attrs, node->n_attrs);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static void put_inputs(struct ox_text_out *o, const struct ox_graph *g) {
    ox_out(o, "(");
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct ox_value *v = g->inputs[i];
        ox_out(o, ox_out_separator(i));
        ox_out_info(o, v->type, ox_naming_value(o->naming, v));
        if (!v->init) continue;
        ox_out(o, " = ");
        ox_out_elements(o, v->init);
    }
    ox_out(o, ")");
}

static void put_outputs(struct ox_text_out *o, const struct ox_graph *g) {
    ox_out(o, "(");
    for (size_t i = 0; i < g->ret->n_in; i++) {
        const struct ox_type *type = g->outputs[i].type;
        if (!g->function && !ox_out_has_type(type))
            type = g->ret->in[i].value->type; /* not declared, but known */
        ox_out(o, ox_out_separator(i));
        ox_out_info(o, type, ox_naming_output(o->naming, g, i));
    }
    ox_out(o, ")");
}

static bool is_output(const struct ox_text_out *o, const struct ox_graph *g,
                      const struct ox_value *v) {
    for (const struct ox_use *u = v->uses; u; u = u->next)
        if (u->user == g->ret && !ox_naming_is_alias(o->naming, g, ox_use_index(u))) return true;
    return false;
}

/* One entry of the list between < and >, which is left out when it stays empty. */
static void begin_entry(struct ox_text_out *o, size_t *n) {
    ox_out_line(o);
    ox_out(o, *n ? " " : "<");
    ++*n;
}

static void put_infos(struct ox_text_out *o, const struct ox_graph *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->n_inits && !g->function; i++) {
        const struct ox_value *v = g->inits[i];
        if (!v || (!v->init && !v->sparse)) continue;
        begin_entry(o, &n);
        if (v->init) {
            ox_out_tensor(o, v->init, ox_naming_value(o->naming, v));
        } else {
            ox_out_info(o, v->type, ox_naming_value(o->naming, v));
            ox_out(o, " = ");
            put_sparse_parts(o, v->sparse);
        }
        ox_out(o, ",");
    }
    for (const struct ox_node *node = ox_graph_begin(g); node; node = ox_node_next(node))
        for (size_t i = 0; i < node->n_out; i++) {
            const struct ox_value *v = node->out[i];
            if (!v || !(v->declared || o->options.all_types) || !ox_out_has_type(v->type) ||
                is_output(o, g, v))
                continue;
            begin_entry(o, &n);
            ox_out_info(o, v->type, ox_naming_value(o->naming, v));
            ox_out(o, ",");
        }
    if (n && o->status == OX_OK) o->buf[o->len - 1] = '>'; /* in place of the last comma */
}

/* A function has no initializers: they become Constant nodes. */
static void put_constants(struct ox_text_out *o, const struct ox_graph *g) {
    for (size_t i = 0; i < g->n_inits && g->function; i++) {
        const struct ox_value *v = g->inits[i];
        if (!v || (!v->init && !v->sparse)) continue;
        ox_out_line(o);
        ox_out_name(o, ox_naming_value(o->naming, v));
        ox_out(o, v->init ? " = Constant <value = " : " = Constant <sparse_value = ");
        if (v->init)
            ox_out_tensor(o, v->init, NULL);
        else
            put_sparse_value(o, v->sparse);
        ox_out(o, "> ()");
    }
}

static void put_aliases(struct ox_text_out *o, const struct ox_graph *g) {
    for (size_t i = 0; i < g->ret->n_in; i++) {
        if (!ox_naming_is_alias(o->naming, g, i)) continue;
        ox_out_line(o);
        ox_out_name(o, ox_naming_output(o->naming, g, i));
        ox_out(o, " = Identity (");
        put_value(o, g->ret->in[i].value);
        ox_out(o, ")");
    }
}

static void put_body(struct ox_text_out *o, const struct ox_graph *g) {
    put_inputs(o, g);
    ox_out(o, " => ");
    put_outputs(o, g);
    put_infos(o, g);
    if (o->indent)
        ox_out(o, " {");
    else
        ox_out(o, "\n{");
    o->indent++;
    put_constants(o, g);
    for (const struct ox_node *node = ox_graph_begin(g); node && o->status == OX_OK;
         node = ox_node_next(node)) {
        ox_out_line(o);
        put_node(o, node);
    }
    put_aliases(o, g);
    o->indent--;
    ox_out_line(o);
    ox_out(o, "}");
}

static void put_graph(struct ox_text_out *o, const struct ox_graph *g) {
    if (!o->naming) {
        ox_out(o, "{...}"); /* a single node is printed without what is in it */
        return;
    }
    ox_out_name(o, g->name);
    ox_out(o, " ");
    o->indent++;
    put_body(o, g);
    o->indent--;
}

/* ---- functions and models -------------------------------------------------------------------- */

static void put_opsets(struct ox_text_out *o, const struct ox_opset *opsets, size_t n) {
    ox_out(o, "[");
    for (size_t i = 0; i < n; i++) {
        ox_out(o, ox_out_separator(i));
        ox_out_quoted(o, ox_name_text(opsets[i].domain),
                      opsets[i].domain ? opsets[i].domain->len : 0);
        ox_out(o, " : ");
        ox_out_int(o, opsets[i].version);
    }
    ox_out(o, "]");
}

static void put_field(struct ox_text_out *o, const char *key, ox_name value) {
    if (!value) return;
    ox_out(o, ",\n   ");
    ox_out(o, key);
    ox_out(o, ": ");
    ox_out_quoted(o, value->text, value->len);
}

static void put_function(struct ox_text_out *o, const struct ox_function *f) {
    ox_out(o, "<\n   domain: ");
    ox_out_quoted(o, ox_name_text(f->domain), f->domain ? f->domain->len : 0);
    put_field(o, "overload", f->overload);
    ox_out(o, ",\n   opset_import: ");
    put_opsets(o, f->opsets, f->n_opsets);
    put_field(o, "doc_string", f->doc);
    ox_out(o, "\n>\n");
    ox_out_name(o, f->name);
    if (f->n_attrs || f->n_defaults) ox_out(o, " <");
    for (size_t i = 0; i < f->n_attrs; i++) {
        ox_out(o, ox_out_separator(i));
        ox_out_name(o, f->attrs[i]);
    }
    for (size_t i = 0; i < f->n_defaults; i++) {
        ox_out(o, ox_out_separator(f->n_attrs + i));
        put_attr(o, &f->defaults[i]);
    }
    ox_out(o, f->n_attrs || f->n_defaults ? "> " : " ");
    put_body(o, f->body);
    ox_out(o, "\n");
}

static void put_meta(struct ox_text_out *o, const struct ox_pairs *pairs) {
    if (!pairs || !pairs->count) return;
    ox_out(o, ",\n   metadata_props: [");
    for (size_t i = 0; i < pairs->count; i++) {
        ox_out(o, ox_out_separator(i));
        ox_out_quoted(o, pairs->at[i].key->text, pairs->at[i].key->len);
        ox_out(o, ": ");
        ox_out_quoted(o, pairs->at[i].value->text, pairs->at[i].value->len);
    }
    ox_out(o, "]");
}

static void put_model(struct ox_text_out *o, const struct ox_model *m) {
    ox_out(o, "<\n   ir_version: ");
    ox_out_int(o, m->ir_version);
    ox_out(o, ",\n   opset_import: ");
    put_opsets(o, m->opsets, m->n_opsets);
    put_field(o, "producer_name", m->producer);
    put_field(o, "producer_version", m->producer_version);
    put_field(o, "domain", m->domain);
    if (m->has_model_version) {
        ox_out(o, ",\n   model_version: ");
        ox_out_int(o, m->model_version);
    }
    put_field(o, "doc_string", m->doc);
    put_meta(o, m->meta);
    ox_out(o, "\n>\n");
    ox_out_name(o, m->graph->name);
    ox_out(o, " ");
    put_body(o, m->graph);
    ox_out(o, "\n");
    for (size_t i = 0; i < m->n_functions; i++) {
        ox_out(o, "\n");
        put_function(o, m->functions[i]);
    }
}

static ox_status finish(struct ox_text_out *o, char **out, size_t *len) {
    ox_text_locale_free(o->locale);
    ox_out_bytes(o, "", 1);
    if (o->status != OX_OK) {
        ox_free(o->ctx, o->buf);
        return o->status;
    }
    *out = o->buf;
    if (len) *len = o->len - 1;
    return OX_OK;
}

ox_status ox_text_print(char **out, size_t *len, const struct ox_model *model,
                        const struct ox_text_options *options) {
    struct ox_text_out o = {.ctx = model->ctx};
    struct ox_naming naming;
    if (options) o.options = *options;
    OX_TRY(ox_naming_init(&naming, model));
    o.naming = &naming;
    o.status = ox_text_locale_new(&o.locale, model->ctx);
    put_model(&o, model);
    ox_naming_fini(&naming);
    return finish(&o, out, len);
}

ox_status ox_text_print_node(char **out, size_t *len, const struct ox_node *node) {
    struct ox_text_out o = {.ctx = node->graph->model->ctx, .options.max_elements = 16};
    o.status = ox_text_locale_new(&o.locale, o.ctx);
    put_node(&o, node);
    return finish(&o, out, len);
}
