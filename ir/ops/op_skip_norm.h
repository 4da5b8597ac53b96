/* ir/ops/op_skip_norm.h - recipes of the normalizations of com.microsoft, for the table in
 * op_fused.c. */
#ifndef OX_IR_OPS_OP_SKIP_NORM_H
#define OX_IR_OPS_OP_SKIP_NORM_H

#include "ir/ops/recipe.h"

void ox_rc_embed_norm(struct ox_recipe *r, const void *params);
void ox_rc_group_norm(struct ox_recipe *r, const void *params);
void ox_rc_qembed_norm(struct ox_recipe *r, const void *params);
void ox_rc_rms_norm(struct ox_recipe *r, const void *params);
void ox_rc_skip_group_norm(struct ox_recipe *r, const void *params);
void ox_rc_skip_norm(struct ox_recipe *r, const void *params);
void ox_rc_skip_rms_norm(struct ox_recipe *r, const void *params);

#endif
