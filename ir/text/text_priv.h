/* ir/text/text_priv.h - what the files of the text form share.
 *
 * Text flows: lexer (text_lex.c) -> types, literals, attributes (text_type.c, text_literal.c,
 * text_attr.c)
 * -> nodes and graphs (text_graph.c) -> functions, models (text_model.c). Numbers go both ways in
 * text_number.c; printing is text_print.c. */
#ifndef OX_IR_TEXT_TEXT_PRIV_H
#define OX_IR_TEXT_TEXT_PRIV_H

#include "ir/base/ptr_map.h"
#include "ir/text/text.h"
#include <locale.h>

/* ---- numbers --------------------------------------------------------------------------------- */

/* Numbers are read and printed as in the C locale, whatever locale the process has set. */
typedef locale_t ox_text_locale;
OX_MUST_USE ox_status ox_text_locale_new(ox_text_locale *out, ox_ctx *ctx);
void ox_text_locale_free(ox_text_locale locale);

enum { OX_TEXT_NUMBER_MAX = 40 }; /* room for any number printed, with its NUL */
/* The shortest text that reads back to the same bits (NaN payloads included). Returns its length.
 */
size_t ox_text_print_float(char *buf, ox_text_locale locale, float value);
size_t ox_text_print_double(char *buf, ox_text_locale locale, double value);
/* False: not a number as a whole, or finite text beyond the type's range. */
bool ox_text_read_float(float *out, ox_text_locale locale, const char *text, size_t len);
bool ox_text_read_double(double *out, ox_text_locale locale, const char *text, size_t len);
bool ox_text_read_int(int64_t *out, const char *text, size_t len);
bool ox_text_read_uint(uint64_t *out, const char *text, size_t len);
/* "inf", "infinity" or "nan" in any case: an identifier that is a number. */
bool ox_text_is_float_word(const char *text, size_t len);
/* A letter or '_', then letters, digits and '_'. */
bool ox_text_is_identifier(const char *text, size_t len);
/* Words that begin a type: "float", "seq", "map", ... */
bool ox_text_is_type_word(const char *text, size_t len);
/* Names of attribute types ("ints"), by enum ox_attr_type; NULL for OX_ATTR_UNDEFINED. */
const char *ox_text_attr_type(enum ox_attr_type type);

/* ---- lexer ----------------------------------------------------------------------------------- */

enum ox_token_kind {
    OX_TOK_END,
    OX_TOK_ID,     /* identifier, keywords and inf/nan included */
    OX_TOK_STRING, /* text is what stands between the quotes */
    OX_TOK_INT,
    OX_TOK_FLOAT, /* has a point or an exponent, or is -inf, -nan, nan(0x...) */
    OX_TOK_ARROW, /* => */
    OX_TOK_PUNCT  /* any other single character */
};

struct ox_token {
    enum ox_token_kind kind;
    char punct;
    bool escaped; /* string with backslashes in it */
    const char *text;
    size_t len;
    int line;
};

struct ox_lexer {
    const char *p, *end;
    int line;
    struct ox_token tok; /* the token at hand */
};

/* A name in scope. Bindings are a stack; a graph pops its own when it ends. */
struct ox_binding {
    ox_name name;
    struct ox_value *value;     /* NULL: only declared so far (value_info) */
    const struct ox_type *type; /* declared type, or NULL */
    uint32_t shadowed;          /* index + 1 of the binding that this one hides */
    size_t scope;               /* number of the graph it belongs to */
};

struct ox_parser {
    ox_ctx *ctx;
    const char *name; /* of the text, for diagnostics */
    struct ox_lexer lex;
    ox_text_locale locale;
    struct ox_model *model;
    struct ox_binding *bindings;
    size_t n_bindings, cap_bindings;
    struct ox_ptr_map newest; /* name -> index + 1 of its newest binding */
    size_t scope, n_scopes;
    struct ox_graph *free_names; /* graph that gets an input for each name nothing defines, or NULL:
                                    that is an error */
    size_t n_nodes;
    char *scratch; /* for strings without their escapes */
    size_t cap_scratch;
};

/* All parse functions start with lex.tok as the first token of what they read and leave it on the
 * first behind. */
OX_MUST_USE ox_status ox_lex_next(struct ox_parser *p);
/* "expected <what>, found <the token at hand>" */
ox_status ox_text_expected(struct ox_parser *p, const char *what);
ox_status ox_text_error(struct ox_parser *p, const char *format, ...) OX_PRINTF(2, 3);
static inline bool ox_tok_is(const struct ox_parser *p, char punct) {
    return p->lex.tok.kind == OX_TOK_PUNCT && p->lex.tok.punct == punct;
}
bool ox_tok_is_word(const struct ox_token *t, const char *word);
OX_MUST_USE ox_status ox_tok_take(struct ox_parser *p, char punct); /* or fail */
OX_MUST_USE ox_status ox_tok_accept(bool *taken, struct ox_parser *p,
                                    char punct); /* if it is there */
/* Token after the one at hand, which stays. */
OX_MUST_USE ox_status ox_tok_peek(struct ox_token *out, const struct ox_parser *p);
OX_MUST_USE ox_status ox_parse_int(int64_t *out, struct ox_parser *p);
/* A string's bytes without escapes, copied into the model's arena. */
OX_MUST_USE ox_status ox_parse_string(struct ox_str *out, struct ox_parser *p);
/* A string as a name. */
OX_MUST_USE ox_status ox_parse_string_name(ox_name *out, struct ox_parser *p);
/* Identifier or string; `what` names it in the diagnostic. An empty string gives the name "". */
OX_MUST_USE ox_status ox_parse_id(ox_name *out, struct ox_parser *p, const char *what);

/* ---- pieces ---------------------------------------------------------------------------------- */

OX_MUST_USE ox_status ox_parse_type(const struct ox_type **out, struct ox_parser *p);
/* {type {...}, int64[..] {...}}: the values of a sparse tensor of this type and where they are.
 * *out is set first: its owner releases what it has of tensors, on failure too. */
OX_MUST_USE ox_status ox_parse_sparse(struct ox_sparse **out, struct ox_parser *p,
                                      const struct ox_type *type);
/* {1, 2, 3} for a tensor type with numeric dims; the caller owns the result. */
OX_MUST_USE ox_status ox_parse_elements(ox_tensor **out, struct ox_parser *p,
                                        const struct ox_type *type);
/* <name = value, ...> of a node. */
OX_MUST_USE ox_status ox_parse_attrs(struct ox_parser *p, struct ox_node *node);
/* : type = value, into a zeroed attribute (name set). owner: node for subgraphs; NULL: graphs are
 * not allowed here. */
OX_MUST_USE ox_status ox_parse_attr_value(struct ox_attr *attr, struct ox_parser *p,
                                          struct ox_node *owner);
/* [label] outputs = op <attributes> (operands), appended to a graph. */
OX_MUST_USE ox_status ox_parse_node(struct ox_parser *p, struct ox_graph *graph);
/* (inputs) => (outputs) <infos> { nodes } into an empty graph, in a scope of its own. */
OX_MUST_USE ox_status ox_parse_body(struct ox_parser *p, struct ox_graph *graph);
/* name, then a body. */
OX_MUST_USE ox_status ox_parse_graph(struct ox_graph **out, struct ox_parser *p,
                                     struct ox_node *owner);

#endif
