/* passes/rules/rule_when.c - the conditions of rules: "c is 1; x like y; opset 13". See rule.h for
 * what they mean. */
#include "passes/rules/consts.h"
#include "passes/rules/rule_priv.h"

#include <stdlib.h>

static const struct {
    const char *word;
    enum ox_clause_kind kind;
} kinds[] = {
    {"const", OX_WHEN_CONST}, {"scalar", OX_WHEN_SCALAR}, {"is", OX_WHEN_IS},
    {"like", OX_WHEN_LIKE},   {"float", OX_WHEN_FLOAT},   {"int", OX_WHEN_INT},
    {"bool", OX_WHEN_BOOL},   {"number", OX_WHEN_NUMBER}, {"tensor", OX_WHEN_TENSOR},
};

/* ---- reading --------------------------------------------------------------------------------- */

struct words {
    char at[3][64];
    size_t n;
};

static bool split_words(struct words *w, const char *text, size_t len) {
    const char *end = text + len;
    w->n = 0;
    for (;;) {
        while (text < end && *text == ' ')
            text++;
        if (text == end) return w->n > 0;
        size_t n = 0;
        while (text + n < end && text[n] != ' ')
            n++;
        if (w->n == 3 || n >= sizeof w->at[0]) return false;
        memcpy(w->at[w->n], text, n);
        w->at[w->n++][n] = 0;
        text += n;
    }
}

static const struct ox_value *named(const struct ox_rule_code *code, const char *name) {
    for (uint32_t i = 0; i < code->match->n_values; i++)
        if (ox_name_is(code->match->values[i]->name, name)) return code->match->values[i];
    return NULL;
}

static bool read_clause(struct ox_rule_code *code, const char *text, size_t len) {
    struct words w;
    char *end;
    if (!split_words(&w, text, len) || w.n < 2) return false;
    if (strcmp(w.at[0], "opset") == 0) {
        int64_t opset = strtol(w.at[1], &end, 10);
        if (opset > code->opset) code->opset = opset;
        return *end == 0;
    }
    const struct ox_value *a = named(code, w.at[0]), *b = w.n == 3 ? named(code, w.at[2]) : NULL;
    if (!a) return false;
    if (strcmp(w.at[1], "shared") == 0) {
        code->shared |= (uint64_t)1 << a->id;
        return true;
    }
    struct ox_clause *c = &code->clauses[code->n_clauses];
    *c = (struct ox_clause){.a = a->id, .b = b ? b->id : 0, .text = text, .len = len};
    size_t k = 0;
    while (k < sizeof kinds / sizeof kinds[0] && strcmp(kinds[k].word, w.at[1]) != 0)
        k++;
    if (k == sizeof kinds / sizeof kinds[0]) return false;
    c->kind = kinds[k].kind;
    code->n_clauses++;
    if (c->kind == OX_WHEN_LIKE) return b != NULL;
    if (c->kind != OX_WHEN_IS) return w.n == 2;
    c->number = strtod(w.at[2], &end);
    return w.n == 3 && *end == 0;
}

ox_status ox_when_compile(struct ox_rule_code *code, ox_ctx *ctx) {
    const char *p = code->rule->when;
    size_t n = 1;
    if (!p) return OX_OK;
    for (const char *q = p; *q; q++)
        if (*q == ';') n++;
    OX_TRY(ox_alloc(ctx, &code->clauses, n, sizeof *code->clauses));
    while (*p) {
        while (*p == ' ')
            p++;
        size_t len = strcspn(p, ";");
        if (!read_clause(code, p, len)) return ox_rule_bad(ctx, code->rule, p);
        p += len;
        if (*p) p++;
    }
    return OX_OK;
}

/* ---- deciding -------------------------------------------------------------------------------- */

static bool is_float(ox_dtype t) {
    return t == OX_FLOAT || t == OX_DOUBLE || t == OX_FLOAT16 || t == OX_BFLOAT16;
}

static bool holds(const struct ox_match *m, const struct ox_clause *c) {
    struct ox_value *a = m->values[c->a], *b = m->values[c->b];
    double v;
    if (!a) return c->kind != OX_WHEN_IS && c->kind != OX_WHEN_SCALAR;
    const struct ox_type *t = a->type;
    const ox_tensor *k = ox_value_const(a);
    bool tensor = t->kind == OX_TYPE_TENSOR;
    switch (c->kind) {
    case OX_WHEN_CONST:
        return k != NULL;
    case OX_WHEN_SCALAR:
        return k && k->count == 1;
    case OX_WHEN_IS:
        return k && ox_const_splat(&v, k) && v == c->number;
    case OX_WHEN_LIKE:
        return b && tensor && t->dtype && t->rank >= 0 && ox_type_same(t, b->type);
    case OX_WHEN_FLOAT:
        return tensor && is_float(t->dtype);
    case OX_WHEN_INT:
        return tensor && ox_dtype_is_integer(t->dtype);
    case OX_WHEN_NUMBER:
        return tensor && (is_float(t->dtype) || ox_dtype_is_integer(t->dtype));
    case OX_WHEN_BOOL:
        return tensor && t->dtype == OX_BOOL;
    case OX_WHEN_TENSOR:
        return tensor && t->dtype && t->rank >= 0;
    }
    return false;
}

bool ox_when_holds(const struct ox_match *m, const struct ox_clause **failed) {
    for (size_t i = 0; i < m->code->n_clauses; i++) {
        if (holds(m, &m->code->clauses[i])) continue;
        *failed = &m->code->clauses[i];
        return false;
    }
    return true;
}
