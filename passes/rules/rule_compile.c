/* passes/rules/rule_compile.c - rules from text to something that can be matched. */
#include "passes/rules/rule_priv.h"

ox_status ox_rule_bad(ox_ctx *ctx, const struct ox_rule *rule, const char *what) {
    return ox_fail(ctx, OX_INTERNAL, "bad-rule", NULL, "rule '%s' \"%s\": %s", rule->name,
                   rule->match, what);
}

struct ox_str ox_rule_root_type(const struct ox_rule *rule) {
    const char *after = rule->match;
    int depth = 0;
    for (const char *p = rule->match; *p; p++) {
        if (*p == '<') depth++;
        if (*p == '>') depth--;
        if (*p == '=' && depth == 0) after = p + 1;
    }
    while (*after == ' ')
        after++;
    size_t len = 0;
    while ((after[len] >= 'A' && after[len] <= 'Z') || (after[len] >= 'a' && after[len] <= 'z') ||
           (after[len] >= '0' && after[len] <= '9'))
        len++;
    return (struct ox_str){after, len};
}

static const struct ox_value *find_value(const struct ox_model *model, const char *name) {
    for (uint32_t i = 0; i < model->n_values; i++)
        if (ox_name_is(model->values[i]->name, name)) return model->values[i];
    return NULL;
}

static const struct ox_node *find_label(const struct ox_model *model, ox_name label) {
    for (uint32_t i = 0; label && i < model->n_nodes; i++)
        if (ox_name_is(model->nodes[i]->name, label->text)) return model->nodes[i];
    return NULL;
}

static ox_status parse_body(struct ox_model **out, bool *known, struct ox_pass_run *run,
                            const struct ox_rule *rule, const char *text) {
    OX_TRY(ox_text_parse_body(out, run->ctx, text, strlen(text), OX_OPSET_MAX, rule->name));
    struct ox_model *m = *out;
    if (m->n_values > OX_RULE_VALUES || m->n_nodes > OX_RULE_NODES)
        return ox_rule_bad(run->ctx, rule, "too large");
    *known = true;
    for (struct ox_node *n = ox_graph_begin(m->graph); n; n = ox_node_next(n))
        if (!n->op) *known = false;
    return OX_OK;
}

/* ---- replacement ----------------------------------------------------------------------------- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The word at *p, which moves behind it and the spaces after it. */
static bool take_word(char *out, size_t size, const char **p) {
    size_t n = 0;
    while (**p == ' ')
        ++*p;
    for (; is_word(**p); ++*p) {
        if (n + 1 >= size) return false;
        out[n++] = **p;
    }
    out[n] = 0;
    while (**p == ' ')
        ++*p;
    return n > 0;
}

/* "y -> x, z -> w" */
static ox_status compile_aliases(struct ox_rule_code *code, ox_ctx *ctx) {
    const char *p = code->rule->replace;
    size_t n = 0;
    for (;;) {
        char from[64], to[64];
        if (!take_word(from, sizeof from, &p) || strncmp(p, "->", 2) != 0)
            return ox_rule_bad(ctx, code->rule, "expected y -> x");
        p += 2;
        if (!take_word(to, sizeof to, &p)) return ox_rule_bad(ctx, code->rule, "expected y -> x");
        const struct ox_value *y = find_value(code->match, from), *x = find_value(code->match, to);
        if (!y || !x || y->def != code->root)
            return ox_rule_bad(ctx, code->rule, "y -> x: no such names, or y is not the root's");
        code->alias[y->def_index] = x->id;
        n++;
        if (*p != ',') break;
        p++;
    }
    if (*p || n != code->root->n_out)
        return ox_rule_bad(ctx, code->rule, "not every output of the root is replaced");
    code->aliases = true;
    return OX_OK;
}

static ox_status compile_nodes(struct ox_rule_code *code, struct ox_pass_run *run) {
    const struct ox_rule *rule = code->rule;
    bool known;
    OX_TRY(parse_body(&code->replace, &known, run, rule, rule->replace));
    if (!known) code->opset = INT64_MAX;
    for (uint32_t i = 0; i < code->replace->n_values; i++) {
        const struct ox_value *v = code->replace->values[i];
        const struct ox_value *same =
            v->def ? NULL : find_value(code->match, ox_name_text(v->name));
        if (v->def)
            code->sources[i].kind = OX_SOURCE_NODE;
        else if (same)
            code->sources[i] = (struct ox_source){OX_SOURCE_MATCH, same->id};
        else if (rule->make)
            code->sources[i].kind = OX_SOURCE_MADE;
        else
            return ox_rule_bad(run->ctx, rule, "the replacement uses a name that nothing makes");
    }
    for (size_t i = 0; i < code->root->n_out; i++) {
        const struct ox_value *v =
            find_value(code->replace, ox_name_text(code->root->out[i]->name));
        if (!v)
            return ox_rule_bad(run->ctx, rule,
                               "the replacement does not define an output of the root");
        code->outputs[i] = v->id;
    }
    for (struct ox_node *n = ox_graph_begin(code->replace->graph); n; n = ox_node_next(n)) {
        code->labels[n->id] = find_label(code->match, n->name);
        if (n->op && n->op->since > code->opset) code->opset = n->op->since;
    }
    return OX_OK;
}

/* ---- the rule ---------------------------------------------------------------------------------
 */

static ox_status find_counter(struct ox_rule_code *code, const struct ox_pass_run *run) {
    for (size_t i = 0; i < run->pass->n_counters; i++) {
        if (strcmp(run->pass->counters[i], code->rule->name) != 0) continue;
        code->counter = i;
        return OX_OK;
    }
    return ox_rule_bad(run->ctx, code->rule, "the pass's row has no counter of this name");
}

static ox_status compile(struct ox_rule_code *code, struct ox_pass_run *run) {
    const struct ox_rule *rule = code->rule;
    OX_TRY(find_counter(code, run));
    bool known;
    OX_TRY(parse_body(&code->match, &known, run, rule, rule->match));
    if (!known) code->opset = INT64_MAX; /* of another build of the table: never fires */
    code->root = code->match->graph->ret->prev;
    if (!code->root) return ox_rule_bad(run->ctx, rule, "no nodes");
    for (struct ox_node *n = ox_graph_begin(code->match->graph); n != code->root;
         n = ox_node_next(n))
        for (size_t i = 0; i < n->n_out; i++)
            if (n->out[i]->n_uses == 0)
                return ox_rule_bad(run->ctx, rule, "a node does not lead to the root");
    OX_TRY(ox_when_compile(code, run->ctx));
    if (!rule->replace) return rule->make ? OX_OK : ox_rule_bad(run->ctx, rule, "nothing to do");
    return strstr(rule->replace, "->") ? compile_aliases(code, run->ctx) : compile_nodes(code, run);
}

ox_status ox_rule_compile(struct ox_rule_code **out, struct ox_pass_run *run,
                          const struct ox_rule *rule) {
    struct ox_rule_code *code;
    OX_TRY(ox_alloc(run->ctx, &code, 1, sizeof *code));
    code->rule = rule;
    ox_status s = compile(code, run);
    if (s != OX_OK) {
        ox_rule_code_free(run->ctx, code);
        return s;
    }
    *out = code;
    return OX_OK;
}

void ox_rule_code_free(ox_ctx *ctx, struct ox_rule_code *code) {
    if (!code) return;
    ox_model_free(code->match);
    ox_model_free(code->replace);
    ox_free(ctx, code->clauses);
    ox_free(ctx, code);
}
