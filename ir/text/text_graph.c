/* ir/text/text_graph.c - nodes and graphs.
 *
 * One pass: the graph is built while the text is read, so a name must be defined before it is used,
 * as the standard asks. Names are looked up in the graph at hand, then in the graphs around it
 * (subgraphs capture). */
#include "ir/text/text_priv.h"

/* ---- names in scope -------------------------------------------------------------------------- */

static ox_status bind(struct ox_parser *p, ox_name name, struct ox_value *value,
                      const struct ox_type *type) {
    OX_TRY(OX_GROW(p->ctx, p->bindings, p->n_bindings, p->cap_bindings));
    if (p->n_bindings >= UINT32_MAX) return ox_text_error(p, "too many names");
    p->bindings[p->n_bindings] =
        (struct ox_binding){name, value, type, ox_ptr_map_get(&p->newest, name), p->scope};
    OX_TRY(ox_ptr_map_set(&p->newest, name, (uint32_t)p->n_bindings + 1));
    p->n_bindings++;
    return OX_OK;
}

/* The binding of a name in the graph at hand, or NULL. */
static struct ox_binding *own_binding(struct ox_parser *p, ox_name name) {
    uint32_t i = ox_ptr_map_get(&p->newest, name);
    return i && p->bindings[i - 1].scope == p->scope ? &p->bindings[i - 1] : NULL;
}

/* The value a name stands for here, or NULL. */
static struct ox_value *lookup(struct ox_parser *p, ox_name name) {
    uint32_t i = ox_ptr_map_get(&p->newest, name);
    while (i && !p->bindings[i - 1].value)
        i = p->bindings[i - 1].shadowed;
    return i ? p->bindings[i - 1].value : NULL;
}

static ox_status leave_scope(struct ox_parser *p, size_t mark, size_t outer) {
    while (p->n_bindings > mark) {
        const struct ox_binding *b = &p->bindings[--p->n_bindings];
        OX_TRY(ox_ptr_map_set(&p->newest, b->name,
                              b->shadowed)); /* the key is there: no memory is needed */
    }
    p->scope = outer;
    return OX_OK;
}

static void declare_type(struct ox_value *value, const struct ox_type *type) {
    value->declared = true;
    if (value->type->kind == OX_TYPE_UNKNOWN) value->type = type;
}

/* Makes `value` what its name stands for in the graph at hand. */
static ox_status define(struct ox_parser *p, struct ox_value *value) {
    struct ox_binding *b = own_binding(p, value->name);
    if (!b) return bind(p, value->name, value, NULL);
    if (b->value) return ox_text_error(p, "'%s' is defined twice", value->name->text);
    b->value = value;
    declare_type(value, b->type);
    return OX_OK;
}

static ox_status declare(struct ox_parser *p, ox_name name, const struct ox_type *type) {
    struct ox_binding *b = own_binding(p, name);
    if (b && b->type) return ox_text_error(p, "the type of '%s' is given twice", name->text);
    if (!b) return bind(p, name, NULL, type);
    b->type = type;
    declare_type(b->value, type);
    return OX_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* A list of names, "" for an absent one: a, b, "", c. Official leniency: nothing before a comma is
 * an absent one, and a comma may end the list. */
struct names {
    ox_name *at;
    size_t len, cap;
};

static ox_status parse_names(struct names *list, struct ox_parser *p) {
    bool more = true;
    while (more) {
        ox_name name = NULL;
        bool there = p->lex.tok.kind == OX_TOK_ID || p->lex.tok.kind == OX_TOK_STRING;
        if (there)
            OX_TRY(ox_parse_id(&name, p, "a name"));
        else if (!ox_tok_is(p, ','))
            return OX_OK;
        if (list->len >= ox_ctx_limits(p->ctx)->max_node_io)
            return ox_text_error(p, "more than %zu names in a list",
                                 ox_ctx_limits(p->ctx)->max_node_io);
        OX_TRY(OX_GROW(p->ctx, list->at, list->len, list->cap));
        list->at[list->len++] = name && name->len ? name : NULL;
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return OX_OK;
}

/* domain.sub.Op:overload */
static ox_status parse_operator(ox_name *domain, ox_name *type, ox_name *overload,
                                struct ox_parser *p) {
    bool dot, colon;
    *domain = *overload = NULL;
    OX_TRY(ox_parse_id(type, p, "an operator"));
    OX_TRY(ox_tok_accept(&dot, p, '.'));
    while (dot) {
        char joined[1024];
        size_t n = *domain ? (*domain)->len + 1 : 0;
        if (n + (*type)->len > sizeof joined) return ox_text_error(p, "this domain is too long");
        if (*domain) {
            memcpy(joined, (*domain)->text, n);
            joined[n - 1] = '.';
        }
        memcpy(joined + n, (*type)->text, (*type)->len);
        OX_TRY(ox_model_name(domain, p->model, joined, n + (*type)->len));
        OX_TRY(ox_parse_id(type, p, "an operator"));
        OX_TRY(ox_tok_accept(&dot, p, '.'));
    }
    if ((*type)->len == 0) return ox_text_error(p, "an operator needs a name");
    OX_TRY(ox_tok_accept(&colon, p, ':'));
    if (colon) OX_TRY(ox_parse_id(overload, p, "an overload"));
    return OX_OK;
}

/* The value behind the name of an operand; a body's free names become inputs, wherever they turn up
 * first. */
static ox_status find_operand(struct ox_value **out, struct ox_parser *p, ox_name name) {
    *out = name ? lookup(p, name) : NULL;
    if (*out || !name) return OX_OK;
    struct ox_graph *g = p->free_names;
    if (!g) return ox_text_error(p, "nothing defines '%s' before this line", name->text);
    for (size_t i = 0; i < g->n_inputs && !*out; i++)
        if (g->inputs[i]->name == name)
            *out = g->inputs[i]; /* first seen in a subgraph that has ended */
    if (*out) return OX_OK;
    OX_TRY(ox_graph_add_input(out, g, name, NULL));
    return bind(p, name, *out, NULL);
}

static ox_status parse_operands(struct ox_parser *p, struct ox_node *node) {
    struct names list = {0};
    ox_status status = ox_tok_take(p, '(');
    if (status == OX_OK) status = parse_names(&list, p);
    for (size_t i = 0; i < list.len && status == OX_OK; i++) {
        struct ox_value *value;
        status = find_operand(&value, p, list.at[i]);
        if (status == OX_OK) status = ox_node_add_input(node, value);
    }
    ox_free(p->ctx, list.at);
    if (status == OX_OK) status = ox_tok_take(p, ')');
    ox_node_trim_inputs(node);
    return status;
}

static ox_status name_outputs(struct ox_parser *p, struct ox_node *node,
                              const struct names *outputs) {
    for (size_t i = 0; i < node->n_out; i++) {
        if (!outputs->at[i]) {
            node->out[i] = NULL;
            continue;
        }
        node->out[i]->name = outputs->at[i];
        OX_TRY(define(p, node->out[i]));
    }
    while (node->n_out && !node->out[node->n_out - 1])
        node->n_out--;
    return OX_OK;
}

/* What follows the outputs of a node and its '='. */
static ox_status parse_call(struct ox_parser *p, struct ox_graph *graph, ox_name label,
                            const struct names *outputs) {
    ox_name domain, type, overload;
    struct ox_node *node;
    OX_TRY(parse_operator(&domain, &type, &overload, p));
    if (++p->n_nodes > ox_ctx_limits(p->ctx)->max_nodes)
        return ox_text_error(p, "more than %zu nodes", ox_ctx_limits(p->ctx)->max_nodes);
    OX_TRY(ox_node_new(&node, graph, NULL, domain, type, 0, outputs->len));
    node->name = label;
    node->overload = overload;
    OX_TRY(ox_parse_attrs(p, node));
    OX_TRY(parse_operands(p, node));
    if (node->n_attrs == 0)
        OX_TRY(ox_parse_attrs(p, node)); /* they may stand behind the operands */
    return name_outputs(p, node, outputs);
}

ox_status ox_parse_node(struct ox_parser *p, struct ox_graph *graph) {
    struct names outputs = {0};
    ox_name label = NULL;
    bool labelled;
    OX_TRY(ox_tok_accept(&labelled, p, '['));
    if (labelled && !ox_tok_is(p, ']')) OX_TRY(ox_parse_id(&label, p, "the name of a node"));
    if (labelled) OX_TRY(ox_tok_take(p, ']'));
    ox_status status = parse_names(&outputs, p);
    if (status == OX_OK)
        status =
            ox_tok_is(p, '=') ? ox_lex_next(p) : ox_text_expected(p, "a node, as in 'y = Relu(x)'");
    if (status == OX_OK)
        status = parse_call(p, graph, label && label->len ? label : NULL, &outputs);
    ox_free(p->ctx, outputs.at);
    return status;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static bool at_type(const struct ox_parser *p) {
    return p->lex.tok.kind == OX_TOK_ID && ox_text_is_type_word(p->lex.tok.text, p->lex.tok.len);
}

/* type? name */
static ox_status parse_value_info(ox_name *name, const struct ox_type **type, struct ox_parser *p) {
    *type = NULL;
    if (at_type(p)) OX_TRY(ox_parse_type(type, p));
    OX_TRY(ox_parse_id(name, p, "a name"));
    return (*name)->len ? OX_OK : ox_text_error(p, "a value needs a name");
}

static ox_status parse_tensor(ox_tensor **out, struct ox_parser *p, const struct ox_type *type) {
    if (!type) return ox_text_error(p, "a tensor needs a type before its name");
    return ox_parse_elements(out, p, type);
}

/* (type? name = {default}?, ...) */
static ox_status parse_inputs(struct ox_parser *p, struct ox_graph *graph) {
    bool more;
    OX_TRY(ox_tok_take(p, '('));
    for (more = !ox_tok_is(p, ')'); more;) {
        ox_name name;
        const struct ox_type *type;
        struct ox_value *input;
        bool given;
        OX_TRY(parse_value_info(&name, &type, p));
        OX_TRY(ox_graph_add_input(&input, graph, name, type));
        OX_TRY(define(p, input));
        OX_TRY(ox_tok_accept(&given, p, '='));
        if (given) OX_TRY(parse_tensor(&input->init, p, type));
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, ')');
}

/* Outputs stand before what defines them. */
struct outputs {
    struct ox_output *at;
    size_t len, cap;
};

static ox_status parse_outputs(struct outputs *list, struct ox_parser *p) {
    bool more;
    OX_TRY(ox_tok_take(p, '('));
    for (more = !ox_tok_is(p, ')'); more;) {
        OX_TRY(OX_GROW(p->ctx, list->at, list->len, list->cap));
        OX_TRY(parse_value_info(&list->at[list->len].name, &list->at[list->len].type, p));
        list->len++;
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, ')');
}

static ox_status add_outputs(struct ox_parser *p, struct ox_graph *graph,
                             const struct outputs *list) {
    for (size_t i = 0; i < list->len; i++) {
        const struct ox_output *o = &list->at[i];
        struct ox_value *value = lookup(p, o->name);
        if (!value) return ox_text_error(p, "nothing defines the output '%s'", o->name->text);
        if (o->type && value->graph == graph && value->type->kind == OX_TYPE_UNKNOWN)
            value->type = o->type;
        OX_TRY(ox_graph_add_output(graph, value, o->name, o->type));
    }
    return OX_OK;
}

/* <type name = {...} | type name, ...>: initializers and types of values that nodes define. */
static ox_status parse_infos(struct ox_parser *p, struct ox_graph *graph) {
    bool more;
    OX_TRY(ox_tok_accept(&more, p, '<'));
    if (!more) return OX_OK;
    for (more = !ox_tok_is(p, '>'); more;) {
        ox_name name;
        const struct ox_type *type;
        struct ox_value *value;
        ox_tensor *tensor;
        bool given;
        OX_TRY(parse_value_info(&name, &type, p));
        OX_TRY(ox_tok_accept(&given, p, '='));
        if (given && type && type->kind == OX_TYPE_SPARSE) {
            OX_TRY(ox_graph_add_init(&value, graph, name, NULL));
            value->type = type;
            OX_TRY(ox_parse_sparse(&value->sparse, p, type));
            OX_TRY(define(p, value));
        } else if (given) {
            OX_TRY(parse_tensor(&tensor, p, type));
            ox_status status = ox_graph_add_init(&value, graph, name, tensor);
            if (status != OX_OK) ox_tensor_unref(tensor);
            OX_TRY(status);
            OX_TRY(define(p, value));
        } else if (type) {
            OX_TRY(declare(p, name, type));
        }
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, '>');
}

/* inputs => outputs <infos> { nodes }, in a scope of its own. */
static ox_status parse_parts(struct ox_parser *p, struct ox_graph *graph, struct outputs *outputs) {
    if (ox_tok_is(p, '(')) OX_TRY(parse_inputs(p, graph));
    if (p->lex.tok.kind != OX_TOK_ARROW) return ox_text_expected(p, "'=>' and the outputs");
    OX_TRY(ox_lex_next(p));
    OX_TRY(parse_outputs(outputs, p));
    OX_TRY(parse_infos(p, graph));
    OX_TRY(ox_tok_take(p, '{'));
    while (!ox_tok_is(p, '}'))
        OX_TRY(ox_parse_node(p, graph));
    OX_TRY(add_outputs(p, graph, outputs));
    return ox_lex_next(p);
}

ox_status ox_parse_body(struct ox_parser *p, struct ox_graph *graph) {
    struct outputs outputs = {0};
    size_t mark = p->n_bindings, outer = p->scope;
    p->scope = ++p->n_scopes;
    ox_status status = parse_parts(p, graph, &outputs);
    ox_free(p->ctx, outputs.at);
    OX_TRY(status);
    return leave_scope(p, mark, outer);
}

ox_status ox_parse_graph(struct ox_graph **out, struct ox_parser *p, struct ox_node *owner) {
    struct ox_graph *graph;
    ox_name name;
    OX_TRY(ox_parse_id(&name, p, "the name of a graph"));
    if (!ox_tok_is(p, '(') && p->lex.tok.kind != OX_TOK_ARROW)
        return ox_text_expected(p, "'(' and the inputs of a graph");
    OX_TRY(ox_graph_new(&graph, p->model, owner));
    graph->name = name;
    *out = graph;
    return ox_parse_body(p, graph);
}
