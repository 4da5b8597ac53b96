/* ir/text/text_attr.c - attributes: name = value, name : type = value, name : type = @other.
 *
 * The type of a value follows from its look; an annotation is needed for empty lists and makes an
 * integer literal a float. A list of numbers with one float among them is a list of floats. */
#include "ir/text/text_priv.h"

/* One value, or one element of a list, before its place is known. Only the field that `type` says
 * is set. */
struct item {
    enum ox_attr_type type; /* a singular type */
    int64_t i;
    float f; /* of an INT, too: the value as a float */
    struct ox_str s;
    ox_tensor *t; /* counted */
    struct ox_sparse *sparse;
    struct ox_graph *g;
    const struct ox_type *tp;
};

struct items {
    struct item *at;
    size_t len, cap;
};

static enum ox_attr_type plural_of(enum ox_attr_type type) {
    switch (type) {
    case OX_ATTR_FLOAT:
        return OX_ATTR_FLOATS;
    case OX_ATTR_INT:
        return OX_ATTR_INTS;
    case OX_ATTR_STRING:
        return OX_ATTR_STRINGS;
    case OX_ATTR_TENSOR:
        return OX_ATTR_TENSORS;
    case OX_ATTR_GRAPH:
        return OX_ATTR_GRAPHS;
    case OX_ATTR_SPARSE_TENSOR:
        return OX_ATTR_SPARSE_TENSORS;
    case OX_ATTR_TYPE_PROTO:
        return OX_ATTR_TYPE_PROTOS;
    default:
        return OX_ATTR_UNDEFINED;
    }
}

static bool is_plural(enum ox_attr_type type) {
    return (type >= OX_ATTR_FLOATS && type <= OX_ATTR_GRAPHS) || type == OX_ATTR_SPARSE_TENSORS ||
           type == OX_ATTR_TYPE_PROTOS;
}

/* What was not handed on to an attribute. */
static void drop_item(struct item *item) {
    ox_tensor_unref(item->t);
    if (!item->sparse) return;
    ox_tensor_unref(item->sparse->values);
    ox_tensor_unref(item->sparse->indices);
}

/* ---- single values --------------------------------------------------------------------------- */

static ox_status item_number(struct item *out, struct ox_parser *p) {
    const struct ox_token *t = &p->lex.tok;
    out->type = t->kind == OX_TOK_INT ? OX_ATTR_INT : OX_ATTR_FLOAT;
    int shown = t->len > 40 ? 40 : (int)t->len;
    if (!ox_text_read_float(&out->f, p->locale, t->text, t->len))
        return ox_text_error(p, "%.*s is no float", shown, t->text);
    if (out->type == OX_ATTR_INT) return ox_parse_int(&out->i, p);
    return ox_lex_next(p);
}

/* A type, or a tensor literal that begins with one. */
static ox_status item_type(struct item *out, struct ox_parser *p) {
    const struct ox_type *type;
    bool equals;
    OX_TRY(ox_parse_type(&type, p));
    bool named = p->lex.tok.kind == OX_TOK_ID || p->lex.tok.kind == OX_TOK_STRING;
    if (named) {
        ox_name unused; /* a tensor in an attribute may have a name; it has no meaning */
        OX_TRY(ox_parse_id(&unused, p, "a name"));
    }
    OX_TRY(ox_tok_accept(&equals, p, '='));
    if (!named && !equals && !ox_tok_is(p, '{')) {
        out->type = OX_ATTR_TYPE_PROTO;
        out->tp = type;
        return OX_OK;
    }
    if (type->kind == OX_TYPE_SPARSE) {
        out->type = OX_ATTR_SPARSE_TENSOR;
        return ox_parse_sparse(&out->sparse, p, type);
    }
    out->type = OX_ATTR_TENSOR;
    return ox_parse_elements(&out->t, p, type);
}

static ox_status item_graph(struct item *out, struct ox_parser *p, struct ox_node *owner) {
    if (!owner) return ox_text_error(p, "a graph cannot be the default of an attribute");
    out->type = OX_ATTR_GRAPH;
    return ox_parse_graph(&out->g, p, owner);
}

static ox_status parse_item(struct item *out, struct ox_parser *p, struct ox_node *owner) {
    const struct ox_token *t = &p->lex.tok;
    struct ox_token next;
    *out = (struct item){.type = OX_ATTR_UNDEFINED};
    switch (t->kind) {
    case OX_TOK_INT:
    case OX_TOK_FLOAT:
        return item_number(out, p);
    case OX_TOK_STRING:
        OX_TRY(ox_tok_peek(&next, p));
        if (next.kind == OX_TOK_PUNCT && next.punct == '(') return item_graph(out, p, owner);
        out->type = OX_ATTR_STRING;
        return ox_parse_string(&out->s, p);
    case OX_TOK_ID:
        if (ox_text_is_float_word(t->text, t->len)) return item_number(out, p);
        if (ox_text_is_type_word(t->text, t->len)) return item_type(out, p);
        return item_graph(out, p, owner);
    default:
        return ox_text_expected(p, "the value of an attribute");
    }
}

/* ---- into the attribute ---------------------------------------------------------------------- */

#define ITEMS_INTO(p, list, field, member)                                                         \
    do {                                                                                           \
        OX_TRY(ox_arena_alloc(&(p)->model->arena, &(field), (list)->len, sizeof *(field)));        \
        for (size_t n = 0; n < (list)->len; n++)                                                   \
            (field)[n] = (list)->at[n].member;                                                     \
    } while (0)

static ox_status store_numbers(struct ox_attr *attr, struct ox_parser *p,
                               const struct items *list) {
    float *floats;
    int64_t *ints;
    if (attr->type == OX_ATTR_FLOATS) {
        ITEMS_INTO(p, list, floats, f);
        attr->v.floats = floats;
    } else {
        ITEMS_INTO(p, list, ints, i);
        attr->v.ints = ints;
    }
    return OX_OK;
}

/* attr->type is a plural type that all elements have. Tensors change owner. */
static ox_status store_list(struct ox_attr *attr, struct ox_parser *p, struct items *list) {
    struct ox_str *strings;
    ox_tensor **tensors;
    const struct ox_type **types;
    switch (attr->type) {
    case OX_ATTR_FLOATS:
    case OX_ATTR_INTS:
        OX_TRY(store_numbers(attr, p, list));
        break;
    case OX_ATTR_STRINGS:
        ITEMS_INTO(p, list, strings, s);
        attr->v.strings = strings;
        break;
    case OX_ATTR_TENSORS:
        ITEMS_INTO(p, list, tensors, t);
        attr->v.tensors = tensors;
        for (size_t n = 0; n < list->len; n++)
            list->at[n].t = NULL;
        break;
    case OX_ATTR_GRAPHS:
        ITEMS_INTO(p, list, attr->v.graphs, g);
        break;
    case OX_ATTR_TYPE_PROTOS:
        ITEMS_INTO(p, list, types, tp);
        attr->v.tps = types;
        break;
    case OX_ATTR_SPARSE_TENSORS:
        ITEMS_INTO(p, list, attr->v.sparse, sparse);
        for (size_t n = 0; n < list->len; n++)
            list->at[n].sparse = NULL;
        break;
    default:
        break;
    }
    attr->count = list->len;
    return OX_OK;
}

static ox_status store_single(struct ox_attr *attr, struct ox_parser *p, struct item *item) {
    if (attr->type == OX_ATTR_SPARSE_TENSOR) {
        OX_TRY(ox_arena_alloc(&p->model->arena, &attr->v.sparse, 1, sizeof(struct ox_sparse *)));
        attr->v.sparse[0] = item->sparse;
        item->sparse = NULL;
    }
    attr->count = 1;
    switch (attr->type) {
    case OX_ATTR_FLOAT:
        attr->v.f = item->f;
        break;
    case OX_ATTR_INT:
        attr->v.i = item->i;
        break;
    case OX_ATTR_STRING:
        attr->v.s = item->s;
        break;
    case OX_ATTR_TENSOR:
        attr->v.t = item->t;
        break;
    case OX_ATTR_GRAPH:
        attr->v.g = item->g;
        break;
    case OX_ATTR_TYPE_PROTO:
        attr->v.tp = item->tp;
        break;
    default:
        break;
    }
    item->t = NULL;
    return OX_OK;
}

/* The type that all elements have (numbers: float if one is), UNDEFINED where they are unlike. */
static enum ox_attr_type common_type(const struct items *list, enum ox_attr_type start) {
    enum ox_attr_type type = start;
    for (size_t n = 0; n < list->len; n++) {
        enum ox_attr_type t = list->at[n].type;
        if (n == 0 && type == OX_ATTR_UNDEFINED) type = t;
        if (type == OX_ATTR_INT && t == OX_ATTR_FLOAT && start == OX_ATTR_UNDEFINED) type = t;
        if (t != type && !(type == OX_ATTR_FLOAT && t == OX_ATTR_INT)) return OX_ATTR_UNDEFINED;
    }
    return type;
}

static enum ox_attr_type singular_of(enum ox_attr_type plural) {
    for (int t = OX_ATTR_FLOAT; t <= OX_ATTR_TYPE_PROTO; t++)
        if (plural_of((enum ox_attr_type)t) == plural) return (enum ox_attr_type)t;
    return OX_ATTR_UNDEFINED;
}

static ox_status parse_items(struct items *list, struct ox_parser *p, struct ox_node *owner) {
    bool more = !ox_tok_is(p, ']');
    while (more) {
        OX_TRY(OX_GROW(p->ctx, list->at, list->len, list->cap));
        list->len++;
        OX_TRY(parse_item(&list->at[list->len - 1], p, owner));
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, ']');
}

static ox_status finish_list(struct ox_attr *attr, struct ox_parser *p, struct items *list) {
    enum ox_attr_type wanted = attr->type;
    if (wanted && !is_plural(wanted))
        return ox_text_error(p, "a list where the type says %s", ox_text_attr_type(wanted));
    if (list->len == 0 && !wanted)
        return ox_text_error(p, "an empty list needs a type, as in 'axes : ints = []'");
    enum ox_attr_type common = common_type(list, wanted ? singular_of(wanted) : OX_ATTR_UNDEFINED);
    if (!common)
        return ox_text_error(p, "the elements of this list are not of one type%s%s",
                             wanted ? ", " : "", wanted ? ox_text_attr_type(wanted) : "");
    attr->type = plural_of(common);
    return store_list(attr, p, list);
}

static ox_status parse_list(struct ox_attr *attr, struct ox_parser *p, struct ox_node *owner) {
    struct items list = {0};
    ox_status status = parse_items(&list, p, owner);
    if (status == OX_OK) status = finish_list(attr, p, &list);
    for (size_t n = 0; n < list.len; n++)
        drop_item(&list.at[n]);
    ox_free(p->ctx, list.at);
    return status;
}

static ox_status parse_single(struct ox_attr *attr, struct ox_parser *p, struct ox_node *owner) {
    struct item item;
    enum ox_attr_type wanted = attr->type;
    ox_status status = parse_item(&item, p, owner);
    if (status != OX_OK) {
        drop_item(&item);
        return status;
    }
    if (wanted == OX_ATTR_FLOAT && item.type == OX_ATTR_INT) item.type = OX_ATTR_FLOAT;
    if (wanted && wanted != item.type) {
        drop_item(&item);
        return ox_text_error(p, "a %s where the type says %s", ox_text_attr_type(item.type),
                             ox_text_attr_type(wanted));
    }
    attr->type = item.type;
    status = store_single(attr, p, &item);
    drop_item(&item);
    return status;
}

static ox_status parse_annotation(enum ox_attr_type *out, struct ox_parser *p) {
    for (int t = OX_ATTR_FLOAT; t <= OX_ATTR_TYPE_PROTOS; t++) {
        if (!ox_tok_is_word(&p->lex.tok, ox_text_attr_type((enum ox_attr_type)t))) continue;
        *out = (enum ox_attr_type)t;
        return ox_lex_next(p);
    }
    return ox_text_expected(p, "the type of an attribute");
}

/* On failure the attribute may have a type and no value: ox_attr_release copes with that. */
ox_status ox_parse_attr_value(struct ox_attr *attr, struct ox_parser *p, struct ox_node *owner) {
    bool taken;
    OX_TRY(ox_tok_accept(&taken, p, ':'));
    if (taken) OX_TRY(parse_annotation(&attr->type, p));
    OX_TRY(ox_tok_take(p, '='));
    OX_TRY(ox_tok_accept(&taken, p, '@'));
    if (taken) return ox_parse_id(&attr->ref, p, "the name of an attribute");
    OX_TRY(ox_tok_accept(&taken, p, '['));
    return taken ? parse_list(attr, p, owner) : parse_single(attr, p, owner);
}

ox_status ox_parse_attrs(struct ox_parser *p, struct ox_node *node) {
    bool more;
    OX_TRY(ox_tok_accept(&more, p, '<'));
    if (!more) return OX_OK;
    while (more) {
        ox_name name;
        struct ox_attr *attr;
        OX_TRY(ox_parse_id(&name, p, "the name of an attribute"));
        for (size_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].name == name)
                return ox_text_error(p, "attribute '%s' is given twice", name->text);
        OX_TRY(ox_node_add_attr(&attr, node, name));
        OX_TRY(ox_parse_attr_value(attr, p, node));
        OX_TRY(ox_tok_accept(&more, p, ','));
    }
    return ox_tok_take(p, '>');
}
