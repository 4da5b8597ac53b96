/* passes/simplify/identity.c - nodes that compute nothing. */
#include "passes/rules/rule.h"

static const struct ox_rule rules[] = {
    {"identity", "y = Identity(x)", NULL, "y -> x", NULL},
    {"add-zero", "y = Add(x, c)", "c is 0; x like y", "y -> x", NULL},
    {"mul-one", "y = Mul(x, c)", "c is 1; x like y", "y -> x", NULL},
};

ox_status ox_pass_identity(struct ox_pass_run *run)
{
    return ox_rules_run(run, rules, sizeof rules / sizeof rules[0], NULL);
}
