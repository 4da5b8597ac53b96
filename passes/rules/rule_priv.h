/* passes/rules/rule_priv.h - what the files of the rule engine share.
 *
 * rule_compile.c  text of a rule -> struct ox_rule_code (rule_when.c reads the conditions)
 * rule_match.c    a node of the graph and a rule -> struct ox_match, or no match
 * rule_edit.c     a match and its replacement -> changed graph, or the graph as it was
 * rule_forms.c    new nodes in the form that the opset wants
 * rule_sweep.c    all of this for each node of a model */
#ifndef OX_PASSES_RULES_RULE_PRIV_H
#define OX_PASSES_RULES_RULE_PRIV_H

#include "passes/rules/rule.h"

enum { OX_RULE_NODES = 32, OX_RULE_VALUES = 64, OX_RULE_MADE = 8, OX_RULE_SETS = 8 };

enum ox_clause_kind {
    OX_WHEN_CONST,
    OX_WHEN_SCALAR,
    OX_WHEN_IS,
    OX_WHEN_LIKE,
    OX_WHEN_FLOAT,
    OX_WHEN_INT,
    OX_WHEN_NUMBER,
    OX_WHEN_BOOL,
    OX_WHEN_TENSOR
};

struct ox_clause {
    enum ox_clause_kind kind;
    uint32_t a, b; /* ids of values of the match */
    double number;
    const char *text; /* for --explain */
    size_t len;
};

/* Where a value of the replacement comes from. */
struct ox_source {
    enum { OX_SOURCE_NODE, OX_SOURCE_MATCH, OX_SOURCE_MADE } kind;
    uint32_t id; /* of the match's value */
};

/* A compiled rule. Ids of the pattern models' values and nodes are small, so that they index the
 * arrays here and in ox_match. */
struct ox_rule_code {
    const struct ox_rule *rule;
    size_t counter;
    struct ox_model *match, *replace; /* replace: NULL where there is none or only aliases */
    const struct ox_node *root;       /* of match */
    uint64_t shared;                  /* bit: id of a value that may have other uses */
    int64_t opset;
    struct ox_clause *clauses;
    size_t n_clauses;
    uint32_t alias[OX_RULE_VALUES]; /* by index of the root's output: id of the value that takes its
                                       place */
    bool aliases;
    struct ox_source sources[OX_RULE_VALUES]; /* by id of the replacement's value */
    uint32_t
        outputs[OX_RULE_VALUES]; /* by index of the root's output: id of the replacement's value */
    const struct ox_node
        *labels[OX_RULE_NODES]; /* by id of the replacement's node: match's node of that label */
};

OX_MUST_USE ox_status ox_rule_compile(struct ox_rule_code **out, struct ox_pass_run *run,
                                      const struct ox_rule *rule);
void ox_rule_code_free(ox_ctx *ctx, struct ox_rule_code *code);
/* Type of the root's operator, as it stands in the text. */
struct ox_str ox_rule_root_type(const struct ox_rule *rule);
/* Failing because a rule of ours is wrong: OX_INTERNAL. */
ox_status ox_rule_bad(ox_ctx *ctx, const struct ox_rule *rule, const char *what);

OX_MUST_USE ox_status ox_when_compile(struct ox_rule_code *code, ox_ctx *ctx);

struct ox_made {
    const char *name;
    struct ox_value *value;
};

struct ox_pending { /* an attribute of the replacement's node [label] */
    const char *label, *attr;
    enum ox_attr_type type; /* OX_ATTR_UNDEFINED: dropped */
    int64_t i;
    float f;
    int64_t *ints;
    size_t count;
};

struct ox_pair {
    struct ox_value *old, *by;
};

/* A match at hand and the edit that is being prepared. One per sweep, used again for each match. */
struct ox_match {
    struct ox_pass_run *run;
    ox_ctx *ctx;
    struct ox_model *model;
    const struct ox_shapes *shapes;
    struct ox_call_scratch scratch;
    const struct ox_rule_code *code;
    struct ox_node *root;
    struct ox_node *nodes[OX_RULE_NODES];    /* by id of the match's node */
    struct ox_value *values[OX_RULE_VALUES]; /* by id of the match's value */
    uint64_t bound;
    struct ox_made made[OX_RULE_MADE];
    size_t n_made;
    struct ox_pending sets[OX_RULE_SETS];
    size_t n_sets;
    bool refused;
    /* The edit. */
    struct ox_node **nodes_new;
    size_t n_nodes_new, cap_nodes_new;
    struct ox_value **inits_new;
    size_t n_inits_new, cap_inits_new;
    struct ox_pair *pairs;
    size_t n_pairs, cap_pairs;
    struct ox_node **dead; /* stack */
    size_t n_dead, cap_dead;
    struct ox_node *cursor; /* the node that the sweep visits next */
};

/* Tries a rule at a node. *fired: the graph was changed. */
OX_MUST_USE ox_status ox_match_try(bool *fired, struct ox_match *m, const struct ox_rule_code *code,
                                   struct ox_node *root);
/* Do the conditions hold? If not, *failed is the first that does not. */
bool ox_when_holds(const struct ox_match *m, const struct ox_clause **failed);
/* Prepares, checks and makes the edit; *done is false where the match was refused. */
OX_MUST_USE ox_status ox_edit_run(bool *done, struct ox_match *m);
/* Operands that the opset in force wants as attributes become attributes. */
OX_MUST_USE ox_status ox_forms_adapt(bool *fits, struct ox_match *m, struct ox_node *node);

#endif
