/* ir/ops/op_skip_norm.c - normalizations as optimizers of transformers write them:
 * SimplifiedLayerNormalization (by the root of the mean square), the ones that add a second branch
 * first, and the one that looks embeddings up first. */
#include "ir/ops/op_skip_norm.h"

#include "ir/ops/op_fused.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_skip_norm(const struct ox_call *call, void *params) {
    struct ox_skip_norm_params *p = params;
    bool simple = strcmp(call->op->name, "SimplifiedLayerNormalization") == 0;
    bool group = strstr(call->op->name, "GroupNorm") != NULL;
    int64_t last, activation;
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", simple || group ? 1e-5f : 1e-12f));
    OX_TRY(ox_attr_int(&last, call, "channels_last", 1));
    OX_TRY(ox_attr_int(&activation, call, "activation", 0));
    if (activation < 0 || activation > 1)
        return ox_bad_attr(call, "activation is %lld, expected 0 or 1", (long long)activation);
    p->channels_last = last != 0;
    p->silu = activation == 1;
    return ox_attr_int(&p->axis, call, "axis", -1);
}

/* y = x / sqrt(mean(x^2) + epsilon) * scale over the dims from the axis on; *inverse is the factor
 * before the scale. */
static ox_v rms(struct ox_recipe *r, const struct ox_skip_norm_params *p, ox_v x, ox_v scale,
                ox_v *inverse) {
    int64_t axes[OX_MAX_RANK];
    int rank = ox_rc_rank(r, x), axis, n = 0;
    *inverse = OX_NO_V;
    if (rank < 0 && p->axis >= 0) ox_rc_stop(r);
    if (rank >= 0 && !ox_rc_ok(r, ox_axis(&axis, r->call, "axis", p->axis, rank))) return OX_NO_V;
    int64_t first = p->axis < 0 ? p->axis : p->axis - rank;
    if (first < -OX_MAX_RANK || first >= 0)
        return OX_NO_V; /* axis 0 of nothing: already failed or stopped */
    for (int64_t a = first; a < 0; a++)
        axes[n++] = a;
    ox_v mean = OX_RC(r, "ReduceMean", OX_RC(r, "Mul", x, x), ox_rc_ints(r, (size_t)n, axes));
    ox_v epsilon = ox_rc_like(r, ox_rc_number(r, OX_FLOAT, (double)p->epsilon), mean);
    *inverse = OX_RC(r, "Reciprocal", OX_RC(r, "Sqrt", OX_RC(r, "Add", mean, epsilon)));
    return OX_RC(r, "Mul", OX_RC(r, "Mul", x, *inverse), scale);
}

/* Outputs: Y and the inverse of the root mean square, in float. */
void ox_rc_rms_norm(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0), scale = ox_rc_in(r, 1), inverse;
    ox_v y = rms(r, params, ox_rc_wide(r, x), ox_rc_like(r, ox_rc_wide(r, scale), ox_rc_wide(r, x)),
                 &inverse);
    ox_rc_out(r, 0, ox_rc_like(r, y, scale));
    ox_rc_out(r, 1, ox_rc_cast(r, inverse, OX_FLOAT));
}

/* input + skip + bias, wide. */
static ox_v joined(struct ox_recipe *r, size_t bias) {
    ox_v x = ox_rc_wide(r, ox_rc_in(r, 0)), skip = ox_rc_wide(r, ox_rc_in(r, 1));
    return ox_rc_add(r, OX_RC(r, "Add", x, skip), ox_rc_wide(r, ox_rc_in(r, bias)));
}

/* Inputs: input, skip, gamma, bias. Outputs: Y, nothing, the inverse root, the sum. */
void ox_rc_skip_rms_norm(struct ox_recipe *r, const void *params) {
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

static void layer_norm(struct ox_recipe *r, const struct ox_skip_norm_params *p, ox_v x, ox_v gamma,
                       ox_v beta, ox_v out[3]) {
    const ox_v in[3] = {x, ox_rc_wide(r, gamma), ox_rc_wide(r, beta)};
    ox_rc_float(r, "epsilon", p->epsilon);
    ox_rc_run(r, ox_op_find("", "LayerNormalization"), 3, in, 3, out);
}

/* Inputs: input, skip, gamma, beta, bias. Outputs: Y, mean, inverse of the deviation, the sum. */
void ox_rc_skip_norm(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0), sum = joined(r, 4), y[3];
    layer_norm(r, params, sum, ox_rc_in(r, 2), ox_rc_in(r, 3), y);
    ox_rc_out(r, 0, ox_rc_like(r, y[0], x));
    ox_rc_out(r, 1, y[1]);
    ox_rc_out(r, 2, y[2]);
    ox_rc_out(r, 3, ox_rc_like(r, sum, x));
}

/* Rows of the table of positions: those of the ids, or the first as many as the sequence is long.
 */
static ox_v positions(struct ox_recipe *r, ox_v ids, ox_v table, ox_v position_ids) {
    if (position_ids >= 0) return OX_RC(r, "Gather", table, position_ids);
    ox_v length = ox_rc_slice(r, OX_RC(r, "Shape", ids), 0, 1, 2);
    return OX_RC(r, "Slice", table, OX_RC_INTS(r, 0), length, OX_RC_INTS(r, 0));
}

/* How many elements of each row of the mask are 1; zeros where there is no mask. */
static ox_v mask_index(struct ox_recipe *r, ox_v ids, ox_v mask) {
    ox_v counted = mask >= 0 ? mask : ids,
         as = ox_rc_like(r, ox_rc_number(r, OX_INT32, mask >= 0), counted);
    ox_v ones = ox_rc_cast(r, OX_RC(r, "Equal", counted, as), OX_INT32);
    if (mask < 0) ones = OX_RC(r, "Mul", ones, ox_rc_number(r, OX_INT32, 0));
    ox_rc_int(r, "keepdims", 0);
    return OX_RC(r, "ReduceSum", ones, OX_RC_INTS(r, 1));
}

/* What is left to do with the sum of the embeddings. Outputs: Y, the mask's lengths, the sum. */
static void embedded(struct ox_recipe *r, const void *params, ox_v sum, ox_v gamma, ox_v beta,
                     ox_v like) {
    ox_v y[3];
    layer_norm(r, params, sum, gamma, beta, y);
    ox_rc_out(r, 0, like < 0 ? y[0] : ox_rc_like(r, y[0], like));
    if (ox_rc_wants(r, 1)) ox_rc_out(r, 1, mask_index(r, ox_rc_in(r, 0), ox_rc_in(r, 7)));
    ox_rc_out(r, 2, like < 0 ? sum : ox_rc_like(r, sum, like));
}

static void check_ids(struct ox_recipe *r) {
    static const size_t matrices[] = {0, 1, 2, 3, 4, 7};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        ox_rc_expect_rank(r, matrices[i], ox_rc_in(r, matrices[i]), 2);
}

/* Inputs: ids, segment ids, tables of words, positions and segments, gamma, beta, mask, position
 * ids. */
void ox_rc_embed_norm(struct ox_recipe *r, const void *params) {
    ox_v ids = ox_rc_in(r, 0), segments = ox_rc_in(r, 1), words = ox_rc_need(r, 2);
    check_ids(r);
    ox_v sum = ox_rc_wide(r, OX_RC(r, "Gather", words, ids));
    sum = OX_RC(r, "Add", sum, ox_rc_wide(r, positions(r, ids, ox_rc_need(r, 3), ox_rc_in(r, 8))));
    if (segments >= 0)
        sum = OX_RC(r, "Add", sum, ox_rc_wide(r, OX_RC(r, "Gather", ox_rc_need(r, 4), segments)));
    embedded(r, params, sum, ox_rc_need(r, 5), ox_rc_need(r, 6), words);
}

/* Codes of table i (the five of inputs 2 to 6) as floats; scales are inputs 8 to 12, zero points 13
 * to 17. */
static ox_v floats(struct ox_recipe *r, ox_v codes, size_t i) {
    ox_v scale = ox_rc_need(r, 8 + i), zp = ox_rc_need(r, 13 + i);
    ox_rc_expect_one(r, 8 + i, scale);
    return codes < 0 ? codes : OX_RC(r, "DequantizeLinear", codes, scale, zp);
}

/* The same with tables of codes. */
void ox_rc_qembed_norm(struct ox_recipe *r, const void *params) {
    ox_v ids = ox_rc_in(r, 0), segments = ox_rc_in(r, 1);
    check_ids(r);
    ox_v sum = floats(r, OX_RC(r, "Gather", ox_rc_need(r, 2), ids), 0);
    sum = OX_RC(r, "Add", sum, floats(r, positions(r, ids, ox_rc_need(r, 3), OX_NO_V), 1));
    if (segments >= 0)
        sum = OX_RC(r, "Add", sum, floats(r, OX_RC(r, "Gather", ox_rc_need(r, 4), segments), 2));
    embedded(r, params, sum, floats(r, ox_rc_need(r, 5), 3), floats(r, ox_rc_need(r, 6), 4),
             OX_NO_V);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void group_norm(struct ox_recipe *r, const struct ox_skip_norm_params *p, ox_v x,
                       ox_v like) {
    ox_v v = p->channels_last ? ox_rc_channels_first(r, x) : x;
    const struct ox_attr *groups = ox_attr_find(r->call, "groups");
    ox_rc_int(r, "num_groups", groups && groups->type == OX_ATTR_INT ? groups->v.i : 0);
    ox_rc_float(r, "epsilon", p->epsilon);
    v = OX_RC(r, "GroupNormalization", v, ox_rc_wide(r, ox_rc_in(r, 1)),
              ox_rc_wide(r, ox_rc_in(r, 2)));
    if (p->silu) v = OX_RC(r, "Mul", v, OX_RC(r, "Sigmoid", v));
    ox_rc_out(r, 0, ox_rc_like(r, p->channels_last ? ox_rc_channels_last(r, v) : v, like));
}

void ox_rc_group_norm(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0);
    group_norm(r, params, ox_rc_wide(r, x), x);
}

/* Inputs: data [N,H,W,C], gamma, beta, skip (the same, or [N,C] for all of an image), bias.
 * Outputs: Y and the sum. */
void ox_rc_skip_group_norm(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0), skip = ox_rc_wide(r, ox_rc_in(r, 3));
    ox_rc_expect_rank(r, 0, x, 4);
    if (ox_rc_rank(r, skip) == 2) skip = OX_RC(r, "Unsqueeze", skip, OX_RC_INTS(r, 1, 2));
    ox_v sum = ox_rc_add(r, OX_RC(r, "Add", ox_rc_wide(r, x), skip), ox_rc_wide(r, ox_rc_in(r, 4)));
    group_norm(r, params, sum, x);
    ox_rc_out(r, 1, ox_rc_like(r, sum, x));
}
