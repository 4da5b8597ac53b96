/* ir/text/text_print.c - models into text.
 *
 * What the form cannot express is left out (doc strings below the model, metadata of parts, unknown fields); where that
 * would change the meaning, something is printed that cannot be parsed back: {...}. Failing is sticky: the printer
 * goes on and the first status is returned at the end. */
#include "ir/text/naming.h"
#include "ir/text/text_priv.h"

#include <stdio.h>

struct printer {
    ox_ctx *ctx;
    char *buf;
    size_t len, cap;
    ox_status status;
    int indent;
    ox_text_locale locale;
    const struct ox_naming *naming; /* NULL: a single node; values have the names they happen to have */
    struct ox_text_options options;
};

/* ---- bytes ------------------------------------------------------------------------------------- */

static void put_bytes(struct printer *o, const char *text, size_t len)
{
    if (o->status != OX_OK || len == 0) return;
    if (len > o->cap - o->len) {
        size_t cap = o->cap * 2 > o->len + len ? o->cap * 2 : o->len + len + 256;
        o->status = ox_resize(o->ctx, &o->buf, o->len, cap, 1);
        if (o->status != OX_OK) return;
        o->cap = cap;
    }
    memcpy(o->buf + o->len, text, len);
    o->len += len;
}

static void put(struct printer *o, const char *text)
{
    put_bytes(o, text, strlen(text));
}

static void put_int(struct printer *o, int64_t value)
{
    char buf[OX_TEXT_NUMBER_MAX];
    put_bytes(o, buf, (size_t)snprintf(buf, sizeof buf, "%lld", (long long)value));
}

static void put_uint(struct printer *o, uint64_t value)
{
    char buf[OX_TEXT_NUMBER_MAX];
    put_bytes(o, buf, (size_t)snprintf(buf, sizeof buf, "%llu", (unsigned long long)value));
}

static void put_line(struct printer *o)
{
    put(o, "\n");
    for (int i = 0; i < o->indent; i++) put(o, "   ");
}

static void put_quoted(struct printer *o, const char *text, size_t len)
{
    put(o, "\"");
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && text[i] != '"' && text[i] != '\\') continue;
        put_bytes(o, text + from, i - from);
        if (i < len) put(o, "\\");
        from = i;
    }
    put(o, "\"");
}

/* Quoted where it is no identifier or would be read as the beginning of a type or as a number. */
static void put_id(struct printer *o, const char *text, size_t len)
{
    if (ox_text_is_identifier(text, len) && !ox_text_is_type_word(text, len) && !ox_text_is_float_word(text, len))
        put_bytes(o, text, len);
    else
        put_quoted(o, text, len);
}

static void put_name(struct printer *o, ox_name name)
{
    put_id(o, ox_name_text(name), name ? name->len : 0);
}

static void put_value(struct printer *o, const struct ox_value *value)
{
    char buf[32];
    if (!value)
        put(o, "\"\"");
    else if (o->naming)
        put_name(o, ox_naming_value(o->naming, value));
    else if (value->name)
        put_name(o, value->name);
    else
        put_quoted(o, buf, (size_t)snprintf(buf, sizeof buf, "%%%u", (unsigned)value->id));
}

static const char *separator(size_t i)
{
    return i ? ", " : "";
}

/* ---- types ------------------------------------------------------------------------------------- */

/* The form has no word for an unknown type or element type. */
static bool type_has_text(const struct ox_type *t)
{
    if (!t) return false;
    for (; t; t = t->elem) {
        if (t->kind == OX_TYPE_UNKNOWN) return false;
        if ((t->kind == OX_TYPE_TENSOR || t->kind == OX_TYPE_SPARSE || t->kind == OX_TYPE_MAP) && t->dtype == OX_UNDEFINED)
            return false;
        if (t->kind != OX_TYPE_TENSOR && t->kind != OX_TYPE_SPARSE && !t->elem) return false;
    }
    return true;
}

static void put_dim(struct printer *o, ox_dim d)
{
    char buf[256];
    if (ox_dim_is_const(d)) {
        put_int(o, d.k);
    } else if (ox_dim_name(d)) {
        put_name(o, ox_dim_name(d));
    } else {
        size_t len = ox_dim_print(buf, sizeof buf, d);
        if (ox_dim_is_known(d) && len < sizeof buf)
            put_quoted(o, buf, len); /* an expression, read back as one symbol */
        else
            put(o, "?");
    }
}

static void put_type(struct printer *o, const struct ox_type *t)
{
    size_t open = 0;
    for (; t->kind >= OX_TYPE_SEQUENCE; t = t->elem, open++) {
        put(o, t->kind == OX_TYPE_SEQUENCE ? "seq(" : t->kind == OX_TYPE_MAP ? "map(" : "optional(");
        if (t->kind != OX_TYPE_MAP) continue;
        put(o, ox_dtype_name(t->dtype));
        put(o, ", ");
    }
    if (t->kind == OX_TYPE_SPARSE) put(o, "sparse_tensor("), open++;
    put(o, ox_dtype_name(t->dtype));
    if (t->rank < 0) put(o, "[]");
    for (int i = 0; i < t->rank; i++) {
        put(o, i ? "," : "[");
        put_dim(o, t->dims[i]);
    }
    if (t->rank > 0) put(o, "]");
    while (open--) put(o, ")");
}

/* type? name */
static void put_info(struct printer *o, const struct ox_type *type, ox_name name)
{
    if (type && type_has_text(type)) {
        put_type(o, type);
        put(o, " ");
    }
    put_name(o, name);
}

/* ---- tensors ------------------------------------------------------------------------------------- */

static void put_float(struct printer *o, const void *at)
{
    char buf[OX_TEXT_NUMBER_MAX];
    float f;
    memcpy(&f, at, 4);
    put_bytes(o, buf, ox_text_print_float(buf, o->locale, f));
}

static void put_double(struct printer *o, const void *at)
{
    char buf[OX_TEXT_NUMBER_MAX];
    double d;
    memcpy(&d, at, 8);
    put_bytes(o, buf, ox_text_print_double(buf, o->locale, d));
}

/* An integer of 8 to 64 bits, or the bit pattern of a narrow float. */
static void put_integer(struct printer *o, ox_dtype dtype, const void *at)
{
    int64_t i64;
    uint64_t u64;
    int32_t i32;
    uint32_t u32;
    int16_t i16;
    uint16_t u16;
    switch (dtype) {
    case OX_INT64: memcpy(&i64, at, 8); put_int(o, i64); break;
    case OX_UINT64: memcpy(&u64, at, 8); put_uint(o, u64); break;
    case OX_INT32: memcpy(&i32, at, 4); put_int(o, i32); break;
    case OX_UINT32: memcpy(&u32, at, 4); put_int(o, u32); break;
    case OX_INT16: memcpy(&i16, at, 2); put_int(o, i16); break;
    case OX_UINT16:
    case OX_FLOAT16:
    case OX_BFLOAT16: memcpy(&u16, at, 2); put_int(o, u16); break;
    case OX_INT8: put_int(o, *(const signed char *)at); break;
    default: put_int(o, *(const unsigned char *)at); break;
    }
}

/* Element i, which for types narrower than a byte shares it with others. */
static void put_packed(struct printer *o, const ox_tensor *t, size_t i)
{
    size_t per = 8 / (size_t)ox_dtype_bits(t->dtype), width = 8 / per, start = i % per;
    unsigned char byte = ((const unsigned char *)t->data)[i / per], all[8];
    byte = (unsigned char)(byte >> start * width);
    ox_unpack_bits(all, &byte, 1, t->dtype);
    put_integer(o, t->dtype == OX_INT4 || t->dtype == OX_INT2 ? OX_INT8 : OX_UINT8, all);
}

static void put_element(struct printer *o, const ox_tensor *t, size_t i)
{
    const char *data = t->data;
    const struct ox_str *strings = t->data;
    int bits = ox_dtype_bits(t->dtype);
    const char *at = data + i * (size_t)bits / 8;
    switch (t->dtype) {
    case OX_STRING: put_quoted(o, strings[i].ptr, strings[i].len); break;
    case OX_FLOAT: put_float(o, at); break;
    case OX_DOUBLE: put_double(o, at); break;
    case OX_COMPLEX64:
        put_float(o, at);
        put(o, ", ");
        put_float(o, at + 4);
        break;
    case OX_COMPLEX128:
        put_double(o, at);
        put(o, ", ");
        put_double(o, at + 8);
        break;
    default:
        if (bits < 8)
            put_packed(o, t, i);
        else
            put_integer(o, t->dtype, at);
    }
}

static void put_elements(struct printer *o, const ox_tensor *t)
{
    if (o->options.max_elements && t->count > o->options.max_elements) {
        put(o, "{...}");
        return;
    }
    put(o, "{");
    for (size_t i = 0; i < t->count && o->status == OX_OK; i++) {
        put(o, separator(i));
        put_element(o, t, i);
    }
    put(o, "}");
}

/* type name = {...}, or type {...} without a name */
static void put_tensor(struct printer *o, const ox_tensor *t, ox_name name)
{
    put(o, ox_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        put(o, i ? "," : "[");
        put_int(o, t->dims[i]);
    }
    put(o, t->rank ? "] " : " ");
    if (name) put_name(o, name);
    if (name) put(o, " = ");
    put_elements(o, t);
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static void put_graph(struct printer *o, const struct ox_graph *g);

/* A float that does not look like an integer. */
static void put_float_attr(struct printer *o, float f)
{
    size_t from = o->len;
    put_float(o, &f);
    bool digits = true;
    for (size_t i = from; i < o->len; i++)
        if (o->buf[i] != '-' && (o->buf[i] < '0' || o->buf[i] > '9')) digits = false;
    if (digits) put(o, ".0");
}

static void put_type_or_gap(struct printer *o, const struct ox_type *t)
{
    if (t && type_has_text(t))
        put_type(o, t);
    else
        put(o, "{...}");
}

static void put_list_item(struct printer *o, const struct ox_attr *a, size_t i)
{
    switch (a->type) {
    case OX_ATTR_FLOATS: put_float_attr(o, a->v.floats[i]); break;
    case OX_ATTR_INTS: put_int(o, a->v.ints[i]); break;
    case OX_ATTR_STRINGS: put_quoted(o, a->v.strings[i].ptr, a->v.strings[i].len); break;
    case OX_ATTR_TENSORS: put_tensor(o, a->v.tensors[i], NULL); break;
    case OX_ATTR_GRAPHS: put_graph(o, a->v.graphs[i]); break;
    case OX_ATTR_TYPE_PROTOS: put_type_or_gap(o, a->v.tps[i]); break;
    default: put(o, "{...}"); break; /* sparse tensors have no text */
    }
}

static void put_attr_value(struct printer *o, const struct ox_attr *a)
{
    switch (a->type) {
    case OX_ATTR_FLOAT: put_float_attr(o, a->v.f); break;
    case OX_ATTR_INT: put_int(o, a->v.i); break;
    case OX_ATTR_STRING: put_quoted(o, a->v.s.ptr, a->v.s.len); break;
    case OX_ATTR_TENSOR: put_tensor(o, a->v.t, NULL); break;
    case OX_ATTR_GRAPH: put_graph(o, a->v.g); break;
    case OX_ATTR_TYPE_PROTO: put_type_or_gap(o, a->v.tp); break;
    case OX_ATTR_UNDEFINED:
    case OX_ATTR_SPARSE_TENSOR: put(o, "{...}"); break;
    default:
        put(o, "[");
        for (size_t i = 0; i < a->count; i++) {
            put(o, separator(i));
            put_list_item(o, a, i);
        }
        put(o, "]");
    }
}

static void put_attr(struct printer *o, const struct ox_attr *a)
{
    put_name(o, a->name);
    const char *type = ox_text_attr_type(a->type);
    if (type && (a->ref || a->count == 0 || a->type == OX_ATTR_SPARSE_TENSOR || a->type == OX_ATTR_SPARSE_TENSORS)) {
        put(o, " : ");
        put(o, type);
    }
    put(o, " = ");
    if (a->ref) {
        put(o, "@");
        put_name(o, a->ref);
    } else {
        put_attr_value(o, a);
    }
}

static void put_attrs(struct printer *o, const struct ox_attr *attrs, size_t n)
{
    put(o, " <");
    for (size_t i = 0; i < n; i++) {
        put(o, separator(i));
        put_attr(o, &attrs[i]);
    }
    put(o, ">");
}

/* ---- nodes --------------------------------------------------------------------------------------- */

static void put_domain(struct printer *o, ox_name domain)
{
    const char *part = domain->text, *dot;
    bool plain = true;
    for (dot = strchr(part, '.'); dot; part = dot + 1, dot = strchr(part, '.'))
        if (!ox_text_is_identifier(part, (size_t)(dot - part))) plain = false;
    if (plain && ox_text_is_identifier(part, strlen(part)))
        put(o, domain->text);
    else
        put_quoted(o, domain->text, domain->len);
    put(o, ".");
}

static void put_operands(struct printer *o, const struct ox_node *node)
{
    put(o, " (");
    for (size_t i = 0; i < node->n_in; i++) {
        put(o, separator(i));
        put_value(o, node->in[i].value);
    }
    put(o, ")");
}

static ox_status count_graph(void *arg, struct ox_graph *graph)
{
    (void)graph;
    ++*(size_t *)arg;
    return OX_OK;
}

static void put_node(struct printer *o, const struct ox_node *node)
{
    size_t graphs = 0;
    (void)!ox_node_each_graph(node, count_graph, &graphs);
    if (node->name) {
        put(o, "[");
        put_name(o, node->name);
        put(o, "] ");
    }
    for (size_t i = 0; i < node->n_out; i++) {
        put(o, separator(i));
        put_value(o, node->out[i]);
    }
    put(o, node->n_out ? " = " : "= ");
    if (node->domain && node->domain->len) put_domain(o, node->domain);
    put_name(o, node->type);
    if (node->overload && node->overload->len) {
        put(o, ":");
        put_name(o, node->overload);
    }
    if (node->n_attrs && !graphs) put_attrs(o, node->attrs, node->n_attrs);
    put_operands(o, node);
    if (node->n_attrs && graphs) put_attrs(o, node->attrs, node->n_attrs);
}

/* ---- graphs -------------------------------------------------------------------------------------- */

static void put_inputs(struct printer *o, const struct ox_graph *g)
{
    put(o, "(");
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct ox_value *v = g->inputs[i];
        put(o, separator(i));
        put_info(o, v->type, ox_naming_value(o->naming, v));
        if (!v->init) continue;
        put(o, " = ");
        put_elements(o, v->init);
    }
    put(o, ")");
}

static void put_outputs(struct printer *o, const struct ox_graph *g)
{
    put(o, "(");
    for (size_t i = 0; i < g->ret->n_in; i++) {
        const struct ox_type *type = g->outputs[i].type;
        if (!g->function && !type_has_text(type)) type = g->ret->in[i].value->type; /* not declared, but known */
        put(o, separator(i));
        put_info(o, type, ox_naming_output(o->naming, g, i));
    }
    put(o, ")");
}

static bool is_output(const struct printer *o, const struct ox_graph *g, const struct ox_value *v)
{
    for (const struct ox_use *u = v->uses; u; u = u->next)
        if (u->user == g->ret && !ox_naming_is_alias(o->naming, g, u->index)) return true;
    return false;
}

/* One entry of the list between < and >, which is left out when it stays empty. */
static void begin_entry(struct printer *o, size_t *n)
{
    put_line(o);
    put(o, *n ? " " : "<");
    ++*n;
}

static void put_infos(struct printer *o, const struct ox_graph *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_inits && !g->function; i++) {
        const struct ox_value *v = g->inits[i];
        if (!v || !v->init) continue;
        begin_entry(o, &n);
        put_tensor(o, v->init, ox_naming_value(o->naming, v));
        put(o, ",");
    }
    for (const struct ox_node *node = ox_graph_begin(g); node; node = ox_node_next(node))
        for (size_t i = 0; i < node->n_out; i++) {
            const struct ox_value *v = node->out[i];
            if (!v || !(v->declared || o->options.all_types) || !type_has_text(v->type) || is_output(o, g, v)) continue;
            begin_entry(o, &n);
            put_info(o, v->type, ox_naming_value(o->naming, v));
            put(o, ",");
        }
    if (n && o->status == OX_OK) o->buf[o->len - 1] = '>'; /* in place of the last comma */
}

/* A function has no initializers: they become Constant nodes. */
static void put_constants(struct printer *o, const struct ox_graph *g)
{
    for (size_t i = 0; i < g->n_inits && g->function; i++) {
        if (!g->inits[i] || !g->inits[i]->init) continue;
        put_line(o);
        put_name(o, ox_naming_value(o->naming, g->inits[i]));
        put(o, " = Constant <value = ");
        put_tensor(o, g->inits[i]->init, NULL);
        put(o, "> ()");
    }
}

static void put_aliases(struct printer *o, const struct ox_graph *g)
{
    for (size_t i = 0; i < g->ret->n_in; i++) {
        if (!ox_naming_is_alias(o->naming, g, i)) continue;
        put_line(o);
        put_name(o, ox_naming_output(o->naming, g, i));
        put(o, " = Identity (");
        put_value(o, g->ret->in[i].value);
        put(o, ")");
    }
}

static void put_sparse(struct printer *o, const struct ox_graph *g)
{
    for (size_t i = 0; i < g->n_inits; i++) {
        if (!g->inits[i] || !g->inits[i]->sparse) continue;
        put_line(o);
        put(o, "# sparse initializer, which has no text: ");
        put_value(o, g->inits[i]);
    }
}

static void put_body(struct printer *o, const struct ox_graph *g)
{
    put_inputs(o, g);
    put(o, " => ");
    put_outputs(o, g);
    put_infos(o, g);
    if (o->indent)
        put(o, " {");
    else
        put(o, "\n{");
    o->indent++;
    put_sparse(o, g);
    put_constants(o, g);
    for (const struct ox_node *node = ox_graph_begin(g); node && o->status == OX_OK; node = ox_node_next(node)) {
        put_line(o);
        put_node(o, node);
    }
    put_aliases(o, g);
    o->indent--;
    put_line(o);
    put(o, "}");
}

static void put_graph(struct printer *o, const struct ox_graph *g)
{
    if (!o->naming) {
        put(o, "{...}"); /* a single node is printed without what is in it */
        return;
    }
    put_name(o, g->name);
    put(o, " ");
    o->indent++;
    put_body(o, g);
    o->indent--;
}

/* ---- functions and models -------------------------------------------------------------------------- */

static void put_opsets(struct printer *o, const struct ox_opset *opsets, size_t n)
{
    put(o, "[");
    for (size_t i = 0; i < n; i++) {
        put(o, separator(i));
        put_quoted(o, ox_name_text(opsets[i].domain), opsets[i].domain ? opsets[i].domain->len : 0);
        put(o, " : ");
        put_int(o, opsets[i].version);
    }
    put(o, "]");
}

static void put_field(struct printer *o, const char *key, ox_name value)
{
    if (!value) return;
    put(o, ",\n   ");
    put(o, key);
    put(o, ": ");
    put_quoted(o, value->text, value->len);
}

static void put_function(struct printer *o, const struct ox_function *f)
{
    put(o, "<\n   domain: ");
    put_quoted(o, ox_name_text(f->domain), f->domain ? f->domain->len : 0);
    put_field(o, "overload", f->overload);
    put(o, ",\n   opset_import: ");
    put_opsets(o, f->opsets, f->n_opsets);
    put_field(o, "doc_string", f->doc);
    put(o, "\n>\n");
    put_name(o, f->name);
    if (f->n_attrs || f->n_defaults) put(o, " <");
    for (size_t i = 0; i < f->n_attrs; i++) {
        put(o, separator(i));
        put_name(o, f->attrs[i]);
    }
    for (size_t i = 0; i < f->n_defaults; i++) {
        put(o, separator(f->n_attrs + i));
        put_attr(o, &f->defaults[i]);
    }
    put(o, f->n_attrs || f->n_defaults ? "> " : " ");
    put_body(o, f->body);
    put(o, "\n");
}

static void put_meta(struct printer *o, const struct ox_pairs *pairs)
{
    if (!pairs || !pairs->count) return;
    put(o, ",\n   metadata_props: [");
    for (size_t i = 0; i < pairs->count; i++) {
        put(o, separator(i));
        put_quoted(o, pairs->at[i].key->text, pairs->at[i].key->len);
        put(o, ": ");
        put_quoted(o, pairs->at[i].value->text, pairs->at[i].value->len);
    }
    put(o, "]");
}

static void put_model(struct printer *o, const struct ox_model *m)
{
    put(o, "<\n   ir_version: ");
    put_int(o, m->ir_version);
    put(o, ",\n   opset_import: ");
    put_opsets(o, m->opsets, m->n_opsets);
    put_field(o, "producer_name", m->producer);
    put_field(o, "producer_version", m->producer_version);
    put_field(o, "domain", m->domain);
    if (m->has_model_version) {
        put(o, ",\n   model_version: ");
        put_int(o, m->model_version);
    }
    put_field(o, "doc_string", m->doc);
    put_meta(o, m->meta);
    put(o, "\n>\n");
    put_name(o, m->graph->name);
    put(o, " ");
    put_body(o, m->graph);
    put(o, "\n");
    for (size_t i = 0; i < m->n_functions; i++) {
        put(o, "\n");
        put_function(o, m->functions[i]);
    }
}

static ox_status finish(struct printer *o, char **out, size_t *len)
{
    ox_text_locale_free(o->locale);
    put_bytes(o, "", 1);
    if (o->status != OX_OK) {
        ox_free(o->ctx, o->buf);
        return o->status;
    }
    *out = o->buf;
    if (len) *len = o->len - 1;
    return OX_OK;
}

ox_status ox_text_print(char **out, size_t *len, const struct ox_model *model, const struct ox_text_options *options)
{
    struct printer o = {.ctx = model->ctx};
    struct ox_naming naming;
    if (options) o.options = *options;
    OX_TRY(ox_naming_init(&naming, model));
    o.naming = &naming;
    o.status = ox_text_locale_new(&o.locale, model->ctx);
    put_model(&o, model);
    ox_naming_fini(&naming);
    return finish(&o, out, len);
}

ox_status ox_text_print_node(char **out, size_t *len, const struct ox_node *node)
{
    struct printer o = {.ctx = node->graph->model->ctx, .options.max_elements = 16};
    o.status = ox_text_locale_new(&o.locale, o.ctx);
    put_node(&o, node);
    return finish(&o, out, len);
}
