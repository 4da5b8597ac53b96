/* ir/ops/op_skip_norm.c - normalizations as optimizers of transformers write them: SimplifiedLayerNormalization (by the
 * root of the mean square), the ones that add a second branch first, and the one that looks embeddings up first. */
#include "ir/ops/op_skip_norm.h"

#include "ir/ops/op_fused.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_skip_norm(const struct ox_call *call, void *params)
{
    struct ox_skip_norm_params *p = params;
    bool simple = strcmp(call->op->name, "SimplifiedLayerNormalization") == 0;
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", simple ? 1e-5f : 1e-12f));
    return ox_attr_int(&p->axis, call, "axis", -1);
}

/* y = x / sqrt(mean(x^2) + epsilon) * scale over the dims from the axis on; *inverse is the factor before the scale. */
static ox_v rms(struct ox_recipe *r, const struct ox_skip_norm_params *p, ox_v x, ox_v scale, ox_v *inverse)
{
    int64_t axes[OX_MAX_RANK];
    int rank = ox_rc_rank(r, x), axis, n = 0;
    *inverse = OX_NO_V;
    if (rank < 0 && p->axis >= 0) ox_rc_stop(r);
    if (rank >= 0 && !ox_rc_ok(r, ox_axis(&axis, r->call, "axis", p->axis, rank))) return OX_NO_V;
    int64_t first = p->axis < 0 ? p->axis : p->axis - rank;
    if (first < -OX_MAX_RANK || first >= 0) return OX_NO_V; /* axis 0 of nothing: already failed or stopped */
    for (int64_t a = first; a < 0; a++)
        axes[n++] = a;
    ox_v mean = OX_RC(r, "ReduceMean", OX_RC(r, "Mul", x, x), ox_rc_ints(r, (size_t)n, axes));
    ox_v epsilon = ox_rc_like(r, ox_rc_number(r, OX_FLOAT, (double)p->epsilon), mean);
    *inverse = OX_RC(r, "Reciprocal", OX_RC(r, "Sqrt", OX_RC(r, "Add", mean, epsilon)));
    return OX_RC(r, "Mul", OX_RC(r, "Mul", x, *inverse), scale);
}

/* Outputs: Y and the inverse of the root mean square, in float. */
void ox_rc_rms_norm(struct ox_recipe *r, const void *params)
{
    ox_v x = ox_rc_in(r, 0), scale = ox_rc_in(r, 1), inverse;
    ox_v y = rms(r, params, ox_rc_wide(r, x), ox_rc_like(r, ox_rc_wide(r, scale), ox_rc_wide(r, x)), &inverse);
    ox_rc_out(r, 0, ox_rc_like(r, y, scale));
    ox_rc_out(r, 1, ox_rc_cast(r, inverse, OX_FLOAT));
}

/* input + skip + bias, wide. */
static ox_v joined(struct ox_recipe *r, size_t bias)
{
    ox_v x = ox_rc_wide(r, ox_rc_in(r, 0)), skip = ox_rc_wide(r, ox_rc_in(r, 1));
    return ox_rc_add(r, OX_RC(r, "Add", x, skip), ox_rc_wide(r, ox_rc_in(r, bias)));
}

/* Inputs: input, skip, gamma, bias. Outputs: Y, nothing, the inverse root, the sum. */
void ox_rc_skip_rms_norm(struct ox_recipe *r, const void *params)
{
    ox_v x = ox_rc_in(r, 0), sum = joined(r, 3), inverse;
    ox_v y = rms(r, params, sum, ox_rc_wide(r, ox_rc_in(r, 2)), &inverse);
    ox_rc_out(r, 0, ox_rc_like(r, y, x));
    if (ox_rc_wants(r, 1)) { /* declared, but there is no mean: zeros */
        ox_v zero = ox_rc_like(r, ox_rc_number(r, OX_FLOAT, 0), inverse);
        ox_rc_out(r, 1, ox_rc_cast(r, OX_RC(r, "Mul", inverse, zero), OX_FLOAT));
    }
    ox_rc_out(r, 2, ox_rc_cast(r, inverse, OX_FLOAT));
    ox_rc_out(r, 3, ox_rc_like(r, sum, x));
}

static void layer_norm(struct ox_recipe *r, const struct ox_skip_norm_params *p, ox_v x, ox_v gamma, ox_v beta, ox_v out[3])
{
    const ox_v in[3] = {x, ox_rc_wide(r, gamma), ox_rc_wide(r, beta)};
    ox_rc_float(r, "epsilon", p->epsilon);
    ox_rc_run(r, ox_op_find("", "LayerNormalization"), 3, in, 3, out);
}

/* Inputs: input, skip, gamma, beta, bias. Outputs: Y, mean, inverse of the deviation, the sum. */
void ox_rc_skip_norm(struct ox_recipe *r, const void *params)
{
    ox_v x = ox_rc_in(r, 0), sum = joined(r, 4), y[3];
    layer_norm(r, params, sum, ox_rc_in(r, 2), ox_rc_in(r, 3), y);
    ox_rc_out(r, 0, ox_rc_like(r, y[0], x));
    ox_rc_out(r, 1, y[1]);
    ox_rc_out(r, 2, y[2]);
    ox_rc_out(r, 3, ox_rc_like(r, sum, x));
}

/* Rows of the table of positions: those of the ids, or the first as many as the sequence is long. */
static ox_v positions(struct ox_recipe *r, ox_v ids, ox_v table, ox_v position_ids)
{
    if (position_ids >= 0) return OX_RC(r, "Gather", table, position_ids);
    ox_v length = ox_rc_slice(r, OX_RC(r, "Shape", ids), 0, 1, 2);
    return OX_RC(r, "Slice", table, OX_RC_INTS(r, 0), length, OX_RC_INTS(r, 0));
}

/* How many elements of each row of the mask are 1; zeros where there is no mask. */
static ox_v mask_index(struct ox_recipe *r, ox_v ids, ox_v mask)
{
    ox_v counted = mask >= 0 ? mask : ids, as = ox_rc_like(r, ox_rc_number(r, OX_INT32, mask >= 0), counted);
    ox_v ones = ox_rc_cast(r, OX_RC(r, "Equal", counted, as), OX_INT32);
    if (mask < 0) ones = OX_RC(r, "Mul", ones, ox_rc_number(r, OX_INT32, 0));
    ox_rc_int(r, "keepdims", 0);
    return OX_RC(r, "ReduceSum", ones, OX_RC_INTS(r, 1));
}

/* Inputs: ids, segment ids, tables of words, positions and segments, gamma, beta, mask, position ids. Outputs: Y, the mask's
 * lengths, the sum of the embeddings. */
void ox_rc_embed_norm(struct ox_recipe *r, const void *params)
{
    ox_v ids = ox_rc_in(r, 0), segments = ox_rc_in(r, 1), words = ox_rc_need(r, 2), y[3];
    ox_rc_expect_rank(r, 0, ids, 2);
    ox_rc_expect_rank(r, 1, segments, 2);
    ox_rc_expect_rank(r, 7, ox_rc_in(r, 7), 2);
    for (size_t i = 2; i < 5; i++)
        ox_rc_expect_rank(r, i, ox_rc_in(r, i), 2);
    ox_v sum = ox_rc_wide(r, OX_RC(r, "Gather", words, ids));
    sum = OX_RC(r, "Add", sum, ox_rc_wide(r, positions(r, ids, ox_rc_need(r, 3), ox_rc_in(r, 8))));
    if (segments >= 0) sum = OX_RC(r, "Add", sum, ox_rc_wide(r, OX_RC(r, "Gather", ox_rc_need(r, 4), segments)));
    layer_norm(r, params, sum, ox_rc_need(r, 5), ox_rc_need(r, 6), y);
    ox_rc_out(r, 0, ox_rc_like(r, y[0], words));
    if (ox_rc_wants(r, 1)) ox_rc_out(r, 1, mask_index(r, ids, ox_rc_in(r, 7)));
    ox_rc_out(r, 2, ox_rc_like(r, sum, words));
}
