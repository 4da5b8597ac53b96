/* ir/text/text_model.c - headers, functions and whole models: the entry points of the parser. */
#include "ir/text/text_priv.h"

/* ---- headers of models and functions --------------------------------------------------------- */

struct opsets {
    struct ox_opset *at;
    size_t len, cap;
};

/* ["domain" : version, ...] */
static ox_status parse_opsets(struct opsets *list, struct ox_parser *p) {
    bool more;
    OX_TRY(ox_tok_take(p, '['));
    for (more = !ox_tok_is(p, ']'); more;) {
        struct ox_opset o = {0};
        OX_TRY(ox_parse_string_name(&o.domain, p));
        o.domain = ox_domain_norm(o.domain);
        OX_TRY(ox_tok_take(p, ':'));
        OX_TRY(ox_parse_int(&o.version, p));
        if (o.version < 1) return ox_text_error(p, "an opset version is at least 1");
        for (size_t i = 0; i < list->len; i++)
            if (list->at[i].domain == o.domain)
                return ox_text_error(p, "the domain '%s' is imported twice",
                                     ox_name_text(o.domain));
        OX_TRY(OX_GROW(p->ctx, list->at, list->len, list->cap));
        list->at[list->len++] = o;
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, ']');
}

static ox_status keep_opsets(struct ox_opset **out, size_t *n, struct ox_parser *p) {
    struct opsets list = {0};
    ox_status status = parse_opsets(&list, p);
    if (status == OX_OK) status = ox_arena_alloc(&p->model->arena, out, list.len, sizeof **out);
    if (status == OX_OK) {
        *n = list.len;
        if (list.len) memcpy(*out, list.at, list.len * sizeof *list.at);
    }
    ox_free(p->ctx, list.at);
    return status;
}

struct pairs {
    struct {
        ox_name key, value;
    } * at;
    size_t len, cap;
};

/* ["key" : "value", ...] */
static ox_status parse_pairs(struct pairs *list, struct ox_parser *p) {
    bool more;
    OX_TRY(ox_tok_take(p, '['));
    for (more = !ox_tok_is(p, ']'); more;) {
        OX_TRY(OX_GROW(p->ctx, list->at, list->len, list->cap));
        OX_TRY(ox_parse_string_name(&list->at[list->len].key, p));
        OX_TRY(ox_tok_take(p, ':'));
        OX_TRY(ox_parse_string_name(&list->at[list->len].value, p));
        list->len++;
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, ']');
}

static ox_status keep_pairs(const struct ox_pairs **out, struct ox_parser *p) {
    struct pairs list = {0};
    struct ox_pairs *pairs = NULL;
    ox_status status = parse_pairs(&list, p);
    if (status == OX_OK)
        status = ox_arena_alloc(&p->model->arena, &pairs, 1,
                                sizeof *pairs + list.len * sizeof pairs->at[0]);
    for (size_t i = 0; i < list.len && status == OX_OK; i++) {
        pairs->at[i].key = list.at[i].key;
        pairs->at[i].value = list.at[i].value;
        pairs->count = list.len;
    }
    ox_free(p->ctx, list.at);
    *out = pairs && pairs->count ? pairs : NULL;
    return status;
}

/* The value of `key : value` in a model's header. */
static ox_status parse_model_key(struct ox_parser *p, const struct ox_token *key) {
    struct ox_model *m = p->model;
    const struct {
        const char *key;
        ox_name *to;
    } strings[] = {
        {"producer_name", &m->producer},
        {"producer_version", &m->producer_version},
        {"domain", &m->domain},
        {"doc_string", &m->doc},
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (ox_tok_is_word(key, strings[i].key)) return ox_parse_string_name(strings[i].to, p);
    if (ox_tok_is_word(key, "ir_version")) return ox_parse_int(&m->ir_version, p);
    if (ox_tok_is_word(key, "opset_import")) return keep_opsets(&m->opsets, &m->n_opsets, p);
    if (ox_tok_is_word(key, "metadata_props")) return keep_pairs(&m->meta, p);
    if (!ox_tok_is_word(key, "model_version")) {
        p->lex.tok = *key;
        return ox_text_expected(
            p, "a field of a model (ir_version, opset_import, producer_name, ...)");
    }
    m->has_model_version = true;
    return ox_parse_int(&m->model_version, p);
}

static ox_status parse_function_key(struct ox_parser *p, struct ox_function *f,
                                    const struct ox_token *key) {
    if (ox_tok_is_word(key, "opset_import")) return keep_opsets(&f->opsets, &f->n_opsets, p);
    if (ox_tok_is_word(key, "domain")) return ox_parse_string_name(&f->domain, p);
    if (ox_tok_is_word(key, "overload")) return ox_parse_string_name(&f->overload, p);
    if (ox_tok_is_word(key, "doc_string")) return ox_parse_string_name(&f->doc, p);
    p->lex.tok = *key;
    return ox_text_expected(p,
                            "a field of a function (domain, overload, opset_import, doc_string)");
}

/* <key : value, ...>; function NULL: of the model. *there tells if it was there at all. */
static ox_status parse_header(bool *there, struct ox_parser *p, struct ox_function *function) {
    bool more;
    OX_TRY(ox_tok_accept(&more, p, '<'));
    *there = more;
    while (more) {
        struct ox_token key = p->lex.tok;
        if (key.kind != OX_TOK_ID) return ox_text_expected(p, "the name of a field");
        OX_TRY(ox_lex_next(p));
        OX_TRY(ox_tok_take(p, ':'));
        if (function)
            OX_TRY(parse_function_key(p, function, &key));
        else
            OX_TRY(parse_model_key(p, &key));
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return *there ? ox_tok_take(p, '>') : OX_OK;
}

/* ---- functions ------------------------------------------------------------------------------- */

struct function_attrs {
    ox_name *plain;
    size_t n_plain, cap_plain;
    struct ox_attr *dflt; /* counted like any attribute */
    size_t len, cap;
};

/* <name, name : type = default, ...> */
static ox_status parse_function_attrs(struct function_attrs *a, struct ox_parser *p) {
    bool more;
    OX_TRY(ox_tok_accept(&more, p, '<'));
    if (!more) return OX_OK;
    while (more) {
        ox_name name;
        OX_TRY(ox_parse_id(&name, p, "the name of an attribute"));
        if (ox_tok_is(p, ':') || ox_tok_is(p, '=')) {
            OX_TRY(OX_GROW(p->ctx, a->dflt, a->len, a->cap));
            a->dflt[a->len++].name = name;
            OX_TRY(ox_parse_attr_value(&a->dflt[a->len - 1], p, NULL));
        } else {
            OX_TRY(OX_GROW(p->ctx, a->plain, a->n_plain, a->cap_plain));
            a->plain[a->n_plain++] = name;
        }
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, '>');
}

static ox_status keep_function_attrs(struct ox_function *f, struct ox_parser *p,
                                     struct function_attrs *a) {
    struct ox_attr *dflt;
    OX_TRY(ox_arena_alloc(&p->model->arena, &f->attrs, a->n_plain, sizeof *f->attrs));
    OX_TRY(ox_arena_alloc(&p->model->arena, &dflt, a->len, sizeof *dflt));
    f->n_attrs = a->n_plain;
    if (a->n_plain) memcpy(f->attrs, a->plain, a->n_plain * sizeof *a->plain);
    if (a->len) memcpy(dflt, a->dflt, a->len * sizeof *a->dflt);
    f->defaults = dflt;
    f->n_defaults = a->len;
    a->len = 0; /* the function owns them now */
    return OX_OK;
}

static ox_status parse_function(struct ox_parser *p, struct ox_function *f) {
    struct function_attrs attrs = {0};
    bool there;
    OX_TRY(parse_header(&there, p, f));
    f->domain = ox_domain_norm(f->domain);
    if (f->overload && f->overload->len == 0) f->overload = NULL;
    OX_TRY(ox_parse_id(&f->name, p, "the name of a function"));
    ox_status status = parse_function_attrs(&attrs, p);
    if (status == OX_OK) status = keep_function_attrs(f, p, &attrs);
    for (size_t i = 0; i < attrs.len; i++)
        ox_attr_release(&attrs.dflt[i]);
    ox_free(p->ctx, attrs.dflt);
    ox_free(p->ctx, attrs.plain);
    OX_TRY(status);
    if (!ox_tok_is(p, '(')) return ox_text_expected(p, "'(' and the inputs of a function");
    OX_TRY(ox_graph_new(&f->body, p->model, NULL));
    f->body->function = f;
    f->body->name = f->name;
    return ox_parse_body(p, f->body);
}

/* The model's list grows by doubling inside its arena. */
static ox_status add_function(struct ox_function **out, struct ox_parser *p) {
    struct ox_model *m = p->model;
    size_t n = m->n_functions;
    if (n >= ox_ctx_limits(p->ctx)->max_functions)
        return ox_text_error(p, "more than %zu functions", ox_ctx_limits(p->ctx)->max_functions);
    if ((n & (n - 1)) == 0) {
        struct ox_function **list;
        OX_TRY(ox_arena_alloc(&m->arena, &list, n ? n * 2 : 1, sizeof(struct ox_function *)));
        if (n) memcpy(list, m->functions, n * sizeof(struct ox_function *));
        m->functions = list;
    }
    OX_TRY(ox_arena_alloc(&m->arena, out, 1, sizeof **out));
    m->functions[m->n_functions++] = *out;
    return OX_OK;
}

/* ---- models ---------------------------------------------------------------------------------- */

/* Without a header a model is of the opset that goes with this IR version and that runtimes of
 * today read, so that a test or a rule can be short. */
enum { IR_VERSION = 10, OPSET = 22 };

static ox_status set_version(struct ox_model *m, int64_t opset) {
    m->ir_version = IR_VERSION;
    return ox_model_set_opset(m, NULL, opset);
}

static ox_status parse_model(struct ox_parser *p) {
    struct ox_model *m = p->model;
    bool there;
    OX_TRY(parse_header(&there, p, NULL));
    if (!there) OX_TRY(set_version(m, OPSET));
    OX_TRY(ox_parse_id(&m->graph->name, p, "the name of the graph"));
    OX_TRY(ox_parse_body(p, m->graph));
    while (p->lex.tok.kind != OX_TOK_END) {
        struct ox_function *f;
        OX_TRY(add_function(&f, p));
        OX_TRY(parse_function(p, f));
    }
    return ox_model_link_calls(m);
}

static ox_status parse_rule_body(struct ox_parser *p) {
    struct ox_graph *graph = p->model->graph;
    struct ox_node *last;
    p->free_names = graph;
    p->scope = p->n_scopes = 1;
    while (p->lex.tok.kind != OX_TOK_END)
        OX_TRY(ox_parse_node(p, graph));
    last = graph->ret->prev;
    if (!last) return ox_text_expected(p, "a node");
    for (size_t i = 0; i < last->n_out; i++)
        if (last->out[i])
            OX_TRY(ox_graph_add_output(graph, last->out[i], last->out[i]->name, NULL));
    return OX_OK;
}

/* Runs `parse` on a new model. */
static ox_status parse_text(struct ox_model **out, ox_ctx *ctx, const char *text, size_t len,
                            int64_t opset, const char *name,
                            ox_status (*parse)(struct ox_parser *)) {
    struct ox_parser p = {
        .ctx = ctx, .name = name, .lex = {.p = text, .end = text + len, .line = 1}};
    OX_TRY(ox_model_new(&p.model, ctx));
    ox_ptr_map_init(&p.newest, ctx);
    ox_status status = ox_text_locale_new(&p.locale, ctx);
    if (status == OX_OK && name)
        status = ox_model_name(&p.model->file, p.model, name, strlen(name));
    if (status == OX_OK && opset) status = set_version(p.model, opset);
    if (status == OX_OK) status = ox_lex_next(&p);
    if (status == OX_OK) status = parse(&p);
    p.model->file_bytes = len;
    ox_text_locale_free(p.locale);
    ox_ptr_map_fini(&p.newest);
    ox_free(ctx, p.bindings);
    ox_free(ctx, p.scratch);
    if (status == OX_OK)
        *out = p.model;
    else
        ox_model_free(p.model);
    return status;
}

ox_status ox_text_parse(struct ox_model **out, ox_ctx *ctx, const char *text, size_t len,
                        const char *name) {
    return parse_text(out, ctx, text, len, 0, name, parse_model);
}

ox_status ox_text_parse_body(struct ox_model **out, ox_ctx *ctx, const char *text, size_t len,
                             int64_t opset, const char *name) {
    return parse_text(out, ctx, text, len, opset, name, parse_rule_body);
}
