/* passes/upgrade/upgrade_rules.h - what has to change in a node for it to mean the same under a
 * newer opset. */
#ifndef OX_PASSES_UPGRADE_UPGRADE_RULES_H
#define OX_PASSES_UPGRADE_UPGRADE_RULES_H

#include "passes/pass.h"

enum { OX_UPGRADE_FROM = 7, OX_UPGRADE_TO = 13 };

/* Why the node cannot be brought from its opset to OX_UPGRADE_TO; NULL if it can. Nothing is
 * changed. */
const char *ox_upgrade_obstacle(const struct ox_node *node, int64_t opset);
/* Changes the node, or puts others in its place; *changed. To be called for nodes without obstacle,
 * before the model's opset is set. */
OX_MUST_USE ox_status ox_upgrade_node(bool *changed, struct ox_node *node, int64_t opset);

#endif
