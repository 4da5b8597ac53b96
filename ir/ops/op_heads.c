/* ir/ops/op_heads.c - the attentions of com.microsoft: Attention, MultiHeadAttention,
 * GroupQueryAttention, QAttention, those of one query (DecoderMasked*) and of batches without
 * padding (Packed*); RotaryEmbedding and GatedRelativePositionBias. Recipes that bring queries,
 * keys, values and masks to the form of the step `attend`.
 *
 * A mask hides a key by adding the attribute mask_filter_value to its score, which is not the same
 * as minus infinity where it hides all of them. All floats are 32 bits wide inside. */
#include "ir/ops/op_heads.h"

#include "ir/ops/attention.h"
#include "ir/ops/op_priv.h"
#include <float.h>

/* ---- decode ---------------------------------------------------------------------------------- */

static ox_status positive(int64_t *out, const struct ox_call *call, const char *name) {
    OX_TRY(ox_attr_int(out, call, name, 0));
    if (*out >= 1 && *out <= 1 << 20) return OX_OK;
    return ox_bad_attr(call, "%s of %s is %lld, expected 1 or more", name, call->op->name,
                       (long long)*out);
}

static ox_status flag(bool *out, const struct ox_call *call, const char *name, bool dflt) {
    int64_t value;
    OX_TRY(ox_attr_int(&value, call, name, dflt));
    *out = value != 0;
    return OX_OK;
}

static ox_status unsupported(const struct ox_call *call, const char *const *names) {
    for (; *names; names++) {
        const struct ox_attr *attr = ox_attr_find(call, *names);
        bool set =
            attr && (attr->type == OX_ATTR_INT
                         ? attr->v.i != 0
                         : attr->type == OX_ATTR_STRING && attr->v.s.len &&
                               !(attr->v.s.len == 4 && memcmp(attr->v.s.ptr, "NONE", 4) == 0));
        if (set) return ox_no_kernel(call, "%s with %s", call->op->name, *names);
    }
    return OX_OK;
}

ox_status ox_decode_heads(const struct ox_call *call, void *params) {
    static const char *const never[] = {"k_quant_type", "v_quant_type", "sliding_window_cache",
                                        NULL};
    struct ox_heads_params *p = params;
    const int64_t *sizes;
    size_t n_sizes;
    int variant = ((const struct ox_recipe_kind *)call->op->family)->variant;
    bool grouped = variant == OX_HEADS_GROUPED;
    OX_TRY(positive(&p->heads, call, "num_heads"));
    p->kv_heads = p->heads;
    if (grouped) OX_TRY(positive(&p->kv_heads, call, "kv_num_heads"));
    if (p->heads % p->kv_heads != 0)
        return ox_bad_attr(call, "num_heads is %lld, not a multiple of kv_num_heads %lld",
                           (long long)p->heads, (long long)p->kv_heads);
    OX_TRY(ox_attr_float(&p->scale, call, "scale", 0));
    OX_TRY(ox_attr_float(&p->softcap, call, "softcap", 0));
    OX_TRY(ox_attr_float(&p->filter, call, "mask_filter_value", -10000));
    OX_TRY(ox_attr_float(&p->epsilon, call, "qk_norm_epsilon", 1e-6f));
    OX_TRY(flag(&p->causal, call, grouped ? "causal" : "unidirectional", grouped));
    OX_TRY(flag(&p->rotary, call, "do_rotary", false));
    OX_TRY(flag(&p->interleaved, call, "rotary_interleaved", false));
    OX_TRY(flag(&p->sinks, call, "smooth_softmax", false));
    OX_TRY(ox_attr_int(&p->window, call, "local_window_size", -1));
    OX_TRY(ox_attr_int(&p->scores_of, call, "qk_output", 0));
    OX_TRY(flag(&p->shared, call, "past_present_share_buffer", false));
    OX_TRY(unsupported(call, never));
    if (p->shared && variant != OX_HEADS_DECODER && variant != OX_HEADS_DECODER_SELF)
        return ox_no_kernel(call, "%s with past_present_share_buffer", call->op->name);
    if (p->rotary && !grouped) return ox_no_kernel(call, "%s with do_rotary", call->op->name);
    OX_TRY(ox_attr_ints(&sizes, &n_sizes, call, "qkv_hidden_sizes"));
    if (n_sizes == SIZE_MAX) return OX_OK;
    bool fit = n_sizes == 3;
    for (size_t i = 0; fit && i < 3; i++) {
        p->sizes[i] = sizes[i];
        fit = sizes[i] >= 1 && sizes[i] <= (int64_t)1 << 40 && sizes[i] % p->heads == 0;
    }
    if (fit && p->sizes[0] == p->sizes[1]) return OX_OK;
    return ox_bad_attr(
        call, "qkv_hidden_sizes must be three multiples of num_heads, the first two equal");
}

ox_status ox_decode_rotary_ms(const struct ox_call *call, void *params) {
    static const char *const never[] = {"is_packed_batching", NULL};
    struct ox_rotary_ms_params *p = params;
    OX_TRY(ox_attr_int(&p->heads, call, "num_heads", 0));
    OX_TRY(ox_attr_int(&p->size, call, "rotary_embedding_dim", 0));
    OX_TRY(flag(&p->interleaved, call, "interleaved", false));
    OX_TRY(unsupported(call, never));
    if (p->heads < 0 || p->size < 0 || p->size % 2 != 0)
        return ox_bad_attr(call, "num_heads %lld and rotary_embedding_dim %lld",
                           (long long)p->heads, (long long)p->size);
    if (p->size > 0 && p->heads == 0)
        return ox_bad_attr(call, "rotary_embedding_dim needs num_heads");
    return OX_OK;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static ox_v squeeze(struct ox_recipe *r, ox_v v, int64_t axis) {
    return v < 0 ? v : OX_RC(r, "Squeeze", v, OX_RC_INTS(r, axis));
}
static ox_v unsqueeze(struct ox_recipe *r, ox_v v, int64_t axis) {
    return v < 0 ? v : OX_RC(r, "Unsqueeze", v, OX_RC_INTS(r, axis));
}
/* Entry i along an axis, without that axis. */
static ox_v entry(struct ox_recipe *r, ox_v v, int64_t axis, int64_t i) {
    return squeeze(r, ox_rc_slice(r, v, axis, i, i + 1), axis);
}

/* The number that dim d is; stops where it is not known, and -1 then. */
static int64_t known_dim(struct ox_recipe *r, ox_v v, int d) {
    int rank = ox_rc_rank(r, v), least = d < 0 ? -d : d + 1;
    if (rank >= least && ox_dim_is_const(ox_rc_dim(r, v, d))) return ox_rc_dim(r, v, d).k;
    if (rank >= 0 && rank < least)
        ox_rc_ok(r, ox_bad_shape(r->call, "a tensor of %s has %d dims, expected at least %d",
                                 r->call->op->name, rank, least));
    ox_rc_stop(r);
    return -1;
}

/* [B,S,heads*D] as [B,heads,S,D]; input i of the node, for diagnostics. */
static ox_v split_heads(struct ox_recipe *r, ox_v v, int64_t heads, size_t i) {
    if (v < 0) return v;
    ox_rc_expect_rank(r, i, v, 3);
    int64_t width = known_dim(r, v, -1);
    if (width >= 0 && width % heads != 0)
        ox_rc_ok(
            r, ox_bad_shape(r->call,
                            "input %zu of %s has %lld columns, which is no multiple of %lld heads",
                            i, r->call->op->name, (long long)width, (long long)heads));
    return OX_RC_TRANSPOSE(r, OX_RC_RESHAPE(r, v, 0, 0, heads, width / heads), 0, 2, 1, 3);
}

/* Length of dim `axis` as a vector of one integer. */
static ox_v length_of(struct ox_recipe *r, ox_v v, int64_t axis) {
    return ox_rc_slice(r, OX_RC(r, "Shape", v), 0, axis, axis + 1);
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* 0 where `seen` is true, the filter where not. */
static ox_v hide(struct ox_recipe *r, const struct ox_heads_params *p, ox_v seen) {
    ox_v shown = ox_rc_cast(r, seen, OX_FLOAT),
         filter = ox_rc_number(r, OX_FLOAT, (double)p->filter);
    return OX_RC(r, "Mul", OX_RC(r, "Sub", ox_rc_number(r, OX_FLOAT, 1), shown), filter);
}

/* A mask of ends [B], or of ends and then begins [2B], for `keys` [B,H,T,D]. */
static ox_v mask_of_ends(struct ox_recipe *r, ox_v mask, ox_v keys) {
    int64_t batch = known_dim(r, keys, 0), n = known_dim(r, mask, 0);
    if (!ox_rc_ok(r, OX_OK)) return OX_NO_V;
    if (n != batch && n != 2 * batch) {
        ox_rc_ok(r, ox_fail(r->call->ctx, OX_UNSUPPORTED, "no-kernel", NULL,
                            "%s with a mask of %lld lengths for a batch of %lld", r->call->op->name,
                            (long long)n, (long long)batch));
        return OX_NO_V;
    }
    ox_v at = OX_RC(r, "Range", ox_rc_number(r, OX_INT64, 0), squeeze(r, length_of(r, keys, 2), 0),
                    ox_rc_number(r, OX_INT64, 1));
    ox_v lengths = unsqueeze(r, ox_rc_cast(r, mask, OX_INT64), 1);
    ox_v seen = OX_RC(r, "Less", at, ox_rc_slice(r, lengths, 0, 0, batch));
    if (n == 2 * batch && n > 0)
        seen = OX_RC(r, "And", seen,
                     OX_RC(r, "GreaterOrEqual", at, ox_rc_slice(r, lengths, 0, batch, n)));
    return seen;
}

/* What the mask (input i) adds to the scores: [B,1,1 or S,T]. */
static ox_v mask_bias(struct ox_recipe *r, const struct ox_heads_params *p, ox_v mask, ox_v keys,
                      size_t i) {
    int rank = ox_rc_rank(r, mask);
    if (mask < 0) return mask;
    if (!ox_rc_ok(r, ox_expect_dtype(r->call, i, ox_rc_dtype(r, mask), OX_BIT(OX_INT32))))
        return OX_NO_V;
    if (r->io) return OX_NO_V; /* types do not depend on it */
    if (rank == 1) return unsqueeze(r, unsqueeze(r, hide(r, p, mask_of_ends(r, mask, keys)), 1), 1);
    ox_v seen = OX_RC(r, "Greater", mask, ox_rc_number(r, OX_INT32, 0));
    if (rank == 2) return unsqueeze(r, unsqueeze(r, hide(r, p, seen), 1), 1);
    if (rank == 3) return unsqueeze(r, hide(r, p, seen), 1);
    ox_rc_ok(r, ox_fail(r->call->ctx, OX_UNSUPPORTED, "no-kernel", NULL,
                        "%s with a mask of %d dims", r->call->op->name, rank));
    return OX_NO_V;
}

static ox_v both(struct ox_recipe *r, ox_v a, ox_v b) {
    return a < 0 ? b : ox_rc_add(r, a, b);
}

static ox_v attend(struct ox_recipe *r, const struct ox_heads_params *p,
                   const struct ox_attend_in *in, int stage, ox_v *scores) {
    ox_rc_float(r, "scale", p->scale);
    ox_rc_float(r, "softcap", p->softcap);
    ox_rc_int(r, "causal", p->causal);
    ox_rc_int(r, "window", p->window);
    ox_rc_int(r, "stage", stage);
    return ox_rc_attend(r, in, scores);
}

/* ---- Attention ------------------------------------------------------------------------------- */

/* From the projected [B,S,Q+K+V]; past and present are [2,B,H,T,D]. */
static void attention_of(struct ox_recipe *r, const struct ox_heads_params *p, ox_v joined,
                         ox_v like, size_t mask, ox_v past, ox_v bias) {
    int64_t sizes[3] = {p->sizes[0], p->sizes[1], p->sizes[2]}, width = known_dim(r, joined, -1),
            at = 0;
    ox_v parts[3];
    if (!ox_rc_ok(r, OX_OK)) return;
    for (int i = 0; i < 3 && !p->sizes[0]; i++)
        sizes[i] = width / 3;
    if (sizes[0] + sizes[1] + sizes[2] != width) {
        ox_rc_ok(r,
                 ox_bad_shape(r->call, "the weights of %s have %lld columns, which are not %s",
                              r->call->op->name, (long long)width,
                              p->sizes[0] ? "the sum of qkv_hidden_sizes" : "three equal parts"));
        return;
    }
    for (int i = 0; i < 3; at += sizes[i++])
        parts[i] = split_heads(r, ox_rc_slice(r, joined, -1, at, at + sizes[i]), p->heads, 1);
    struct ox_attend_in in = {parts[0], parts[1], parts[2], OX_NO_V, OX_NO_V, OX_NO_V, OX_NO_V};
    if (past >= 0) {
        ox_rc_expect_rank(r, 4, past, 5);
        in.k = ox_rc_concat(r, 2, 2, (ox_v[]){entry(r, past, 0, 0), in.k});
        in.v = ox_rc_concat(r, 2, 2, (ox_v[]){entry(r, past, 0, 1), in.v});
        in.offsets = length_of(r, past, 3);
    }
    in.bias = both(r, mask_bias(r, p, ox_rc_in(r, mask), in.k, mask), bias);
    ox_rc_out(r, 0, ox_rc_like(r, attend(r, p, &in, OX_ATTENTION_PROBS, NULL), like));
    if (ox_rc_wants(r, 1))
        ox_rc_out(r, 1,
                  ox_rc_like(
                      r,
                      ox_rc_concat(r, 0, 2, (ox_v[]){unsqueeze(r, in.k, 0), unsqueeze(r, in.v, 0)}),
                      like));
}

/* Inputs: data, weights, bias, mask, past, bias of the scores. */
static void attention(struct ox_recipe *r, const void *params) {
    ox_v x = ox_rc_in(r, 0);
    ox_rc_expect_rank(r, 0, x, 3);
    ox_rc_expect_rank(r, 1, ox_rc_in(r, 1), 2);
    ox_v joined = OX_RC(r, "MatMul", ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1)));
    attention_of(r, params, ox_rc_add(r, joined, ox_rc_wide(r, ox_rc_in(r, 2))), x, 3,
                 ox_rc_wide(r, ox_rc_in(r, 4)), ox_rc_wide(r, ox_rc_in(r, 5)));
}

/* Inputs: codes, weights, bias, two scales, mask, two zero points, past. */
static void quantized(struct ox_recipe *r, const void *params) {
    ox_v bias = ox_rc_in(r, 2),
         scale = OX_RC(r, "Mul", ox_rc_wide(r, ox_rc_in(r, 3)), ox_rc_wide(r, ox_rc_in(r, 4)));
    ox_rc_expect_rank(r, 0, ox_rc_in(r, 0), 3);
    ox_rc_expect_rank(r, 1, ox_rc_in(r, 1), 2);
    ox_rc_expect_one(r, 3, ox_rc_in(r, 3));
    ox_v sums =
        OX_RC(r, "MatMulInteger", ox_rc_in(r, 0), ox_rc_in(r, 1), ox_rc_in(r, 6), ox_rc_in(r, 7));
    ox_v joined = OX_RC(r, "Mul", ox_rc_cast(r, sums, OX_FLOAT), scale);
    attention_of(r, params, ox_rc_add(r, joined, ox_rc_wide(r, bias)), bias, 5,
                 ox_rc_wide(r, ox_rc_in(r, 8)), OX_NO_V);
}

/* ---- MultiHeadAttention ---------------------------------------------------------------------- */

/* Input i: [B,S,H*D] plus its part of the bias, as [B,H,S,D]; keys and values that are so already
 * have no bias. */
static ox_v with_bias(struct ox_recipe *r, const struct ox_heads_params *p, ox_v v, size_t i,
                      ox_v bias, int64_t at, int64_t end) {
    if (i > 0 && ox_rc_rank(r, v) == 4) return v;
    return split_heads(r, ox_rc_add(r, v, ox_rc_slice(r, bias, 0, at, end)), p->heads, i);
}

/* Part i of [B,S,H,n,D] as [B,S,H*D]. */
static ox_v part(struct ox_recipe *r, ox_v packed, int64_t i) {
    ox_v v = entry(r, packed, 3, i);
    int64_t heads = known_dim(r, packed, 2), size = known_dim(r, packed, 4);
    return ox_rc_ok(r, OX_OK) ? OX_RC_RESHAPE(r, v, 0, 0, heads * size) : OX_NO_V;
}

static void unpack(struct ox_recipe *r, ox_v parts[3]) {
    if (ox_rc_rank(r, parts[0]) < 0 || (parts[1] >= 0 && ox_rc_rank(r, parts[1]) < 0))
        ox_rc_stop(r);
    if (ox_rc_rank(r, parts[0]) == 5) {
        ox_v packed = parts[0];
        for (int i = 0; i < 3; i++)
            parts[i] = part(r, packed, i);
    } else if (parts[1] >= 0 && ox_rc_rank(r, parts[1]) == 5) {
        ox_v packed = parts[1];
        parts[1] = part(r, packed, 0);
        parts[2] = part(r, packed, 1);
    }
    if (ox_rc_ok(r, OX_OK) && (parts[1] < 0 || parts[2] < 0))
        ox_rc_ok(r, ox_fail(r->call->ctx, OX_INVALID, "missing-input", NULL,
                            "%s has no keys or no values", r->call->op->name));
}

/* Inputs: query, key, value, bias, mask, bias of the scores, past key and value, two of beam
 * search. */
static void multi_head(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v parts[3], bias = ox_rc_wide(r, ox_rc_in(r, 3)), past_k = ox_rc_wide(r, ox_rc_in(r, 6)),
                   past_v = ox_rc_wide(r, ox_rc_in(r, 7)), qk;
    ox_v like = ox_rc_in(r, 0);
    for (size_t i = 0; i < 3; i++)
        parts[i] = ox_rc_wide(r, ox_rc_in(r, i));
    if (ox_rc_in(r, 8) >= 0 || ox_rc_in(r, 9) >= 0) {
        ox_rc_ok(r, ox_no_kernel(r->call, "%s with a cache that beams share", r->call->op->name));
        return;
    }
    unpack(r, parts);
    ox_rc_expect_rank(r, 3, bias, 1);
    int64_t q_size = bias >= 0 ? known_dim(r, parts[0], -1) : 0;
    struct ox_attend_in in = {with_bias(r, p, parts[0], 0, bias, 0, q_size),
                              with_bias(r, p, parts[1], 1, bias, q_size, 2 * q_size),
                              with_bias(r, p, parts[2], 2, bias, 2 * q_size, INT64_MAX),
                              OX_NO_V,
                              OX_NO_V,
                              OX_NO_V,
                              OX_NO_V};
    if (past_k >= 0 && past_v >= 0) {
        in.k = ox_rc_concat(r, 2, 2, (ox_v[]){past_k, in.k});
        in.v = ox_rc_concat(r, 2, 2, (ox_v[]){past_v, in.v});
        in.offsets = length_of(r, past_k, 2);
    }
    in.bias = both(r, mask_bias(r, p, ox_rc_in(r, 4), in.k, 4), ox_rc_wide(r, ox_rc_in(r, 5)));
    ox_rc_out(r, 0,
              ox_rc_like(r, attend(r, p, &in, OX_ATTENTION_BIASED, ox_rc_wants(r, 3) ? &qk : NULL),
                         like));
    ox_rc_out(r, 1, ox_rc_like(r, in.k, like));
    ox_rc_out(r, 2, ox_rc_like(r, in.v, like));
    if (ox_rc_wants(r,
                    3)) /* keys behind a query have the lowest score there is, not minus infinity */
        ox_rc_out(
            r, 3,
            ox_rc_like(r, OX_RC(r, "Max", qk, ox_rc_number(r, OX_FLOAT, (double)-FLT_MAX)), like));
}

/* ---- one query ------------------------------------------------------------------------------- */

enum { TENSOR_SCATTER = 24 }; /* the opset that brought it */

/* The query's own key and value behind those of the past: all of the cache, or its first `filled`
 * and then the new one. */
static void with_past(struct ox_recipe *r, const struct ox_heads_params *p, struct ox_attend_in *in,
                      ox_v past_k, ox_v past_v, ox_v filled, ox_v *total) {
    *total = OX_NO_V;
    if (!p->shared) {
        if (past_k >= 0) in->k = ox_rc_concat(r, 2, 2, (ox_v[]){past_k, in->k});
        if (past_v >= 0) in->v = ox_rc_concat(r, 2, 2, (ox_v[]){past_v, in->v});
        return;
    }
    filled = ox_rc_cast(r, OX_RC_RESHAPE(r, filled, 1), OX_INT64);
    *total = OX_RC(r, "Add", filled, ox_rc_number(r, OX_INT64, 1));
    ox_v each = OX_RC(r, "Expand", filled, length_of(r, in->q, 0));
    r->opset = TENSOR_SCATTER;
    in->k = OX_RC(r, "TensorScatter", past_k, in->k, each);
    in->v = OX_RC(r, "TensorScatter", past_v, in->v, each);
    r->opset = OX_RECIPE_OPSET;
    in->lengths = OX_RC(r, "Expand", *total, length_of(r, in->q, 0));
}

static void one_query(struct ox_recipe *r, ox_v q, ox_v beams, size_t past_length, bool shared) {
    if (beams >= 0)
        ox_rc_ok(r, ox_no_kernel(r->call, "%s with a cache that beams share", r->call->op->name));
    if (shared) ox_rc_need(r, past_length);
    if (shared) ox_rc_expect_one(r, past_length, ox_rc_in(r, past_length));
    if (!ox_rc_ok(r, ox_expect_dtype(r->call, past_length, ox_rc_dtype(r, ox_rc_in(r, past_length)),
                                     OX_BIT(OX_INT32))))
        return;
    if (ox_rc_rank(r, q) == 4 && ox_dim_is_const(ox_rc_dim(r, q, 2)) && ox_rc_dim(r, q, 2).k != 1)
        ox_rc_ok(r, ox_bad_shape(r->call, "%s has %lld queries, expected one", r->call->op->name,
                                 (long long)ox_rc_dim(r, q, 2).k));
}

/* Inputs: query (or all three side by side), key, value, mask, bias of the scores, past key and
 * value, length of the past, two of beam search, bias. Keys of another sequence have their heads
 * split already, and nothing is kept of them. */
static void decoder(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v like = ox_rc_in(r, 0), q = ox_rc_wide(r, like), k = ox_rc_wide(r, ox_rc_in(r, 1)),
         v = ox_rc_wide(r, ox_rc_in(r, 2)), bias = ox_rc_wide(r, ox_rc_in(r, 10));
    ox_v past_k = ox_rc_wide(r, ox_rc_in(r, 5)), past_v = ox_rc_wide(r, ox_rc_in(r, 6)), total, qk;
    bool across = k >= 0 && ox_rc_rank(r, k) == 4;
    if ((k < 0) != (v < 0)) ox_rc_need(r, k < 0 ? 1 : 2);
    if (k >= 0 && ox_rc_rank(r, k) < 0) ox_rc_stop(r);
    int64_t width = known_dim(r, q, -1);
    if (k < 0) {
        if (ox_rc_ok(r, OX_OK) && width % 3 != 0)
            ox_rc_ok(r, ox_bad_shape(r->call, "%lld columns are not queries, keys and values",
                                     (long long)width));
        width /= 3;
        k = ox_rc_slice(r, q, -1, width, 2 * width);
        v = ox_rc_slice(r, q, -1, 2 * width, 3 * width);
        q = ox_rc_slice(r, q, -1, 0, width);
    }
    ox_rc_expect_rank(r, 10, bias, 1);
    struct ox_attend_in in = {with_bias(r, p, q, 0, bias, 0, width),
                              with_bias(r, p, k, 1, bias, width, 2 * width),
                              with_bias(r, p, v, 2, bias, 2 * width, INT64_MAX),
                              OX_NO_V,
                              OX_NO_V,
                              OX_NO_V,
                              OX_NO_V};
    one_query(r, in.q, ox_rc_in(r, 9), 7, p->shared && !across);
    total = OX_NO_V;
    if (!across) with_past(r, p, &in, past_k, past_v, ox_rc_in(r, 7), &total);
    in.bias = both(r, mask_bias(r, p, ox_rc_in(r, 3), in.k, 3), ox_rc_wide(r, ox_rc_in(r, 4)));
    ox_rc_out(r, 0,
              ox_rc_like(r, attend(r, p, &in, OX_ATTENTION_BIASED, ox_rc_wants(r, 3) ? &qk : NULL),
                         like));
    ox_rc_out(r, 1, ox_rc_like(r, in.k, like));
    ox_rc_out(r, 2, ox_rc_like(r, in.v, like));
    if (!ox_rc_wants(r, 3)) return;
    if (total >= 0) qk = OX_RC(r, "Slice", qk, OX_RC_INTS(r, 0), total, OX_RC_INTS(r, -1));
    ox_rc_out(r, 3, ox_rc_like(r, qk, like));
}

/* Inputs: data, weights, bias, mask, past, bias of the scores, length of the past, two of beam
 * search. */
static void decoder_self(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v x = ox_rc_in(r, 0), past = ox_rc_wide(r, ox_rc_need(r, 4)), total, parts[3];
    ox_rc_expect_rank(r, 0, x, 3);
    ox_rc_expect_rank(r, 1, ox_rc_in(r, 1), 2);
    ox_rc_expect_rank(r, 4, past, 5);
    ox_v joined = ox_rc_add(r, OX_RC(r, "MatMul", ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1))),
                            ox_rc_wide(r, ox_rc_in(r, 2)));
    int64_t width = known_dim(r, joined, -1);
    if (ox_rc_ok(r, OX_OK) && width % 3 != 0)
        ox_rc_ok(
            r, ox_bad_shape(r->call,
                            "the weights of %s have %lld columns, which are not three equal parts",
                            r->call->op->name, (long long)width));
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(
            r, ox_rc_slice(r, joined, -1, i * (width / 3), (i + 1) * (width / 3)), p->heads, 1);
    struct ox_attend_in in = {parts[0], parts[1], parts[2], OX_NO_V, OX_NO_V, OX_NO_V, OX_NO_V};
    one_query(r, in.q, ox_rc_in(r, 8), 6, p->shared);
    with_past(r, p, &in, entry(r, past, 0, 0), entry(r, past, 0, 1), ox_rc_in(r, 6), &total);
    in.bias = both(r, mask_bias(r, p, ox_rc_in(r, 3), in.k, 3), ox_rc_wide(r, ox_rc_in(r, 5)));
    ox_rc_out(r, 0, ox_rc_like(r, attend(r, p, &in, OX_ATTENTION_PROBS, NULL), x));
    ox_rc_out(
        r, 1,
        ox_rc_like(r, ox_rc_concat(r, 0, 2, (ox_v[]){unsqueeze(r, in.k, 0), unsqueeze(r, in.v, 0)}),
                   x));
}

/* ---- without padding ------------------------------------------------------------------------- */

struct packing {
    ox_v offsets; /* [B,S]: where in the batch with padding each token is, those of padding last */
    ox_v places;  /* [tokens] of these, int64 */
    ox_v lengths; /* [B] */
};

/* `ends` [B+1]: sums of the lengths up to each item. */
static struct packing packing_of(struct ox_recipe *r, ox_v rows, size_t offsets, size_t ends) {
    struct packing at = {.offsets = ox_rc_cast(r, ox_rc_need(r, offsets), OX_INT64)};
    ox_v sums = ox_rc_cast(r, ox_rc_need(r, ends), OX_INT64);
    ox_rc_expect_rank(r, offsets, at.offsets, 2);
    ox_rc_expect_rank(r, ends, sums, 1);
    at.places = OX_RC(r, "Slice", OX_RC_RESHAPE(r, at.offsets, -1), OX_RC_INTS(r, 0),
                      length_of(r, rows, 0), OX_RC_INTS(r, 0));
    at.lengths =
        OX_RC(r, "Sub", ox_rc_slice(r, sums, 0, 1, INT64_MAX), ox_rc_slice(r, sums, 0, 0, -1));
    return at;
}

/* Tokens [T,width] as a batch [B,S,width] with zeros for padding. */
static ox_v with_padding(struct ox_recipe *r, const struct packing *at, ox_v rows) {
    ox_v width = length_of(r, rows, 1), all = OX_RC_RESHAPE(r, OX_RC(r, "Size", at->offsets), 1);
    ox_v zeros = OX_RC(r, "ConstantOfShape", ox_rc_concat(r, 0, 2, (ox_v[]){all, width}));
    ox_v flat = OX_RC(r, "ScatterND", zeros, unsqueeze(r, at->places, 1), rows);
    ox_v dims = ox_rc_concat(r, 0, 2, (ox_v[]){OX_RC(r, "Shape", at->offsets), width});
    return OX_RC(r, "Reshape", flat, dims);
}

static void packed_of(struct ox_recipe *r, const struct ox_heads_params *p, ox_v parts[3],
                      const struct packing *at, ox_v bias, ox_v like) {
    struct ox_attend_in in = {split_heads(r, with_padding(r, at, parts[0]), p->heads, 0),
                              split_heads(r, with_padding(r, at, parts[1]), p->heads, 1),
                              split_heads(r, with_padding(r, at, parts[2]), p->heads, 2),
                              bias,
                              at->lengths,
                              OX_NO_V,
                              OX_NO_V};
    ox_v y = attend(r, p, &in, OX_ATTENTION_PROBS, NULL);
    int64_t width = known_dim(r, y, -1);
    if (ox_rc_ok(r, OX_OK))
        ox_rc_out(
            r, 0,
            ox_rc_like(r, OX_RC(r, "Gather", OX_RC_RESHAPE(r, y, -1, width), at->places), like));
}

/* Inputs: tokens, weights, bias, offsets, ends, bias of the scores. */
static void packed(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v x = ox_rc_in(r, 0), parts[3];
    ox_rc_expect_rank(r, 0, x, 2);
    ox_rc_expect_rank(r, 1, ox_rc_in(r, 1), 2);
    ox_v joined = ox_rc_add(r, OX_RC(r, "MatMul", ox_rc_wide(r, x), ox_rc_wide(r, ox_rc_in(r, 1))),
                            ox_rc_wide(r, ox_rc_in(r, 2)));
    int64_t width = known_dim(r, joined, -1), at = 0;
    for (int i = 0; i < 3; i++) {
        int64_t size = p->sizes[0] ? p->sizes[i] : width / 3;
        parts[i] = ox_rc_slice(r, joined, -1, at, at + size);
        at += size;
    }
    if (ox_rc_ok(r, OX_OK) && at != width)
        ox_rc_ok(r, ox_bad_shape(r->call, "the weights of %s have %lld columns", r->call->op->name,
                                 (long long)width));
    struct packing where = packing_of(r, x, 3, 4);
    packed_of(r, p, parts, &where, ox_rc_wide(r, ox_rc_in(r, 5)), x);
}

/* Inputs: query (or all three, [tokens,heads,3,D]), key, value, bias, offsets, ends, bias of the
 * scores. */
static void packed_multi(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v x = ox_rc_in(r, 0), parts[3], bias = ox_rc_wide(r, ox_rc_in(r, 3));
    for (size_t i = 0; i < 3; i++)
        parts[i] = ox_rc_wide(r, ox_rc_in(r, i));
    if (ox_rc_rank(r, x) < 0) ox_rc_stop(r);
    if (ox_rc_rank(r, x) == 4) {
        ox_v all = parts[0];
        int64_t width = known_dim(r, all, 1) * known_dim(r, all, 3);
        for (int i = 0; i < 3 && ox_rc_ok(r, OX_OK); i++)
            parts[i] = OX_RC_RESHAPE(r, entry(r, all, 2, i), 0, width);
    } else {
        ox_rc_expect_rank(r, 0, x, 2);
        for (size_t i = 1; i < 3; i++)
            ox_rc_need(r, i);
    }
    ox_rc_expect_rank(r, 3, bias, 1);
    int64_t size = bias >= 0 ? known_dim(r, parts[0], -1) : 0;
    for (int i = 0; i < 3 && bias >= 0; i++)
        parts[i] = ox_rc_add(r, parts[i],
                             ox_rc_slice(r, bias, 0, i * size, i < 2 ? (i + 1) * size : INT64_MAX));
    struct packing where = packing_of(r, x, 4, 5);
    packed_of(r, p, parts, &where, ox_rc_wide(r, ox_rc_in(r, 6)), x);
}

/* ---- GatedRelativePositionBias --------------------------------------------------------------- */

/* Inputs: queries [B,S,H*D], their bias, biases by position [1,H,S,S], weights [D,W] and bias [W]
 * of the gates, factor [1,H,1,1], offsets. Half of the W numbers make one gate, half the other: u *
 * (r * factor - 1) + 2 scales the biases of a query's row. */
static void gated(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v like = ox_rc_in(r, 0), weights = ox_rc_wide(r, ox_rc_in(r, 3)),
         one = ox_rc_number(r, OX_FLOAT, 1);
    if (ox_rc_in(r, 6) >= 0)
        ox_rc_ok(r, ox_no_kernel(r->call, "%s of tokens without padding", r->call->op->name));
    ox_rc_expect_rank(r, 2, ox_rc_in(r, 2), 4);
    ox_rc_expect_rank(r, 3, weights, 2);
    ox_v q = split_heads(r, OX_RC(r, "Add", ox_rc_wide(r, like), ox_rc_wide(r, ox_rc_in(r, 1))),
                         p->heads, 0);
    ox_v both_gates =
        OX_RC(r, "Add", OX_RC(r, "MatMul", q, weights), ox_rc_wide(r, ox_rc_in(r, 4)));
    int64_t width = known_dim(r, weights, 1);
    if (ox_rc_ok(r, OX_OK) && width % 2 != 0)
        ox_rc_ok(r, ox_bad_shape(r->call, "the gates of %s have %lld columns", r->call->op->name,
                                 (long long)width));
    both_gates = OX_RC_RESHAPE(r, both_gates, 0, 0, -1, 2, width / 2);
    ox_rc_int(r, "keepdims", 0);
    ox_v gates = OX_RC(r, "Sigmoid", OX_RC(r, "ReduceSum", both_gates, OX_RC_INTS(r, -1)));
    ox_v u = ox_rc_slice(r, gates, -1, 0, 1),
         by = OX_RC(r, "Mul", ox_rc_slice(r, gates, -1, 1, 2), ox_rc_wide(r, ox_rc_in(r, 5)));
    ox_v scale =
        OX_RC(r, "Add", OX_RC(r, "Mul", u, OX_RC(r, "Sub", by, one)), ox_rc_number(r, OX_FLOAT, 2));
    ox_rc_out(r, 0, ox_rc_like(r, OX_RC(r, "Mul", scale, ox_rc_wide(r, ox_rc_in(r, 2))), like));
}

/* ---- rotation -------------------------------------------------------------------------------- */

/* Every second element, or half of the elements, of the last dim of [..., size]. */
static ox_v half(struct ox_recipe *r, ox_v x, int64_t size, bool interleaved, int which) {
    if (!interleaved) return ox_rc_slice(r, x, -1, which * (size / 2), (which + 1) * (size / 2));
    return OX_RC(r, "Slice", x, OX_RC_INTS(r, which), OX_RC_INTS(r, size), OX_RC_INTS(r, -1),
                 OX_RC_INTS(r, 2));
}

/* Turns the first elements of each row of x [B,H,S,D], as many as the caches are wide, twice, by
 * the angles of the positions [B,S]. */
static ox_v rotated(struct ox_recipe *r, ox_v x, ox_v positions, ox_v cos_cache, ox_v sin_cache,
                    bool interleaved) {
    int64_t size = 2 * known_dim(r, cos_cache, -1), width = known_dim(r, x, -1);
    ox_rc_expect_rank(r, 0, x, 4);
    if (!ox_rc_ok(r, OX_OK)) return OX_NO_V;
    if (size > width) {
        ox_rc_ok(r, ox_bad_shape(r->call, "%s rotates %lld elements of heads of %lld",
                                 r->call->op->name, (long long)size, (long long)width));
        return OX_NO_V;
    }
    ox_v c = unsqueeze(r, OX_RC(r, "Gather", cos_cache, positions), 1),
         s = unsqueeze(r, OX_RC(r, "Gather", sin_cache, positions), 1);
    ox_v a = half(r, x, size, interleaved, 0), b = half(r, x, size, interleaved, 1);
    ox_v y[3] = {OX_RC(r, "Sub", OX_RC(r, "Mul", a, c), OX_RC(r, "Mul", b, s)),
                 OX_RC(r, "Add", OX_RC(r, "Mul", a, s), OX_RC(r, "Mul", b, c))};
    if (interleaved) {
        y[0] = ox_rc_concat(r, -1, 2, (ox_v[]){unsqueeze(r, y[0], -1), unsqueeze(r, y[1], -1)});
        y[0] = OX_RC_RESHAPE(r, y[0], 0, 0, 0, size);
    }
    size_t n = interleaved ? 1 : 2;
    if (size < width) y[n++] = ox_rc_slice(r, x, -1, size, width);
    return ox_rc_concat(r, -1, n, y);
}

/* Inputs: data [B,S,H*D] or [B,H,S,D], positions [1] (of the first) or [B,S], caches. An attribute
 * `scale` is declared, but ONNX Runtime, whose operator it is, does not use it, so neither does
 * this. */
static void rotary(struct ox_recipe *r, const void *params) {
    const struct ox_rotary_ms_params *p = params;
    ox_v x = ox_rc_in(r, 0), at = ox_rc_in(r, 1), c = ox_rc_wide(r, ox_rc_in(r, 2)),
         s = ox_rc_wide(r, ox_rc_in(r, 3)), v = ox_rc_wide(r, x);
    int rank = ox_rc_rank(r, x);
    ox_rc_expect_rank(r, 2, c, 2);
    ox_rc_expect_rank(r, 3, s, 2);
    if (rank < 0 || ox_rc_rank(r, at) < 0) ox_rc_stop(r);
    if (rank != 4) ox_rc_expect_rank(r, 0, x, 3);
    int64_t size = p->size ? p->size : 2 * known_dim(r, c, -1), width = known_dim(r, x, -1);
    if (!ox_rc_ok(r, OX_OK)) return;
    int64_t heads = p->heads ? p->heads : size ? width / size : 0;
    if (rank == 3) {
        if (heads < 1 || width % heads != 0) {
            ox_rc_ok(r, ox_bad_shape(r->call, "%lld columns cannot be split into %lld heads",
                                     (long long)width, (long long)heads));
            return;
        }
        v = split_heads(r, v, heads, 0);
    }
    if (ox_rc_rank(r, at) != 2) { /* one position, that of the first */
        ox_rc_expect_one(r, 1, at);
        ox_v n = squeeze(r, length_of(r, v, 2), 0);
        ox_v range =
            OX_RC(r, "Range", ox_rc_number(r, OX_INT64, 0), n, ox_rc_number(r, OX_INT64, 1));
        at = unsqueeze(r, OX_RC(r, "Add", range, OX_RC_RESHAPE(r, at, 1)), 0);
    }
    v = rotated(r, v, at, c, s, p->interleaved);
    if (rank == 3) v = OX_RC_RESHAPE(r, OX_RC_TRANSPOSE(r, v, 0, 2, 1, 3), 0, 0, width);
    ox_rc_out(r, 0, ox_rc_like(r, v, x));
}

/* ---- GroupQueryAttention --------------------------------------------------------------------- */

static ox_v normed(struct ox_recipe *r, const struct ox_heads_params *p, ox_v x, ox_v weight) {
    if (weight < 0) return x;
    ox_rc_float(r, "epsilon", p->epsilon);
    return OX_RC(r, "SimplifiedLayerNormalization", x, ox_rc_wide(r, weight));
}

/* Queries, keys and values as [B,heads,S,D]. */
static void grouped_parts(struct ox_recipe *r, const struct ox_heads_params *p, ox_v parts[3]) {
    ox_v x = ox_rc_wide(r, ox_rc_in(r, 0)), k = ox_rc_wide(r, ox_rc_in(r, 1)),
         v = ox_rc_wide(r, ox_rc_in(r, 2));
    int64_t all = p->heads + 2 * p->kv_heads;
    if (k >= 0 || v >= 0) {
        parts[0] = split_heads(r, x, p->heads, 0);
        parts[1] = split_heads(r, k, p->kv_heads, 1);
        parts[2] = split_heads(r, v, p->kv_heads, 2);
        if (k < 0 || v < 0) ox_rc_need(r, k < 0 ? 1 : 2);
        return;
    }
    x = split_heads(r, x, all, 0);
    parts[0] = ox_rc_slice(r, x, 1, 0, p->heads);
    parts[1] = ox_rc_slice(r, x, 1, p->heads, p->heads + p->kv_heads);
    parts[2] = ox_rc_slice(r, x, 1, p->heads + p->kv_heads, all);
}

/* Inputs: query, key, value, past key and value, lengths less 1, total length, caches of cos and
 * sin, positions, bias of the scores, sinks, scales of the cache, norms of queries and keys. */
static void grouped(struct ox_recipe *r, const void *params) {
    const struct ox_heads_params *p = params;
    ox_v like = ox_rc_in(r, 0), parts[3], lengths = ox_rc_need(r, 5), total = ox_rc_need(r, 6),
         own = ox_rc_in(r, 9), first, scores;
    grouped_parts(r, p, parts);
    if (ox_rc_in(r, 12) >= 0 || ox_rc_in(r, 13) >= 0)
        ox_rc_ok(r, ox_no_kernel(r->call, "%s with a quantized cache", r->call->op->name));
    parts[0] = normed(r, p, parts[0], ox_rc_in(r, 14));
    parts[1] = normed(r, p, parts[1], ox_rc_in(r, 15));
    ox_v at = ox_rc_positions(r, parts[0], lengths, total, &first);
    for (int i = 0; p->rotary && i < 2; i++)
        parts[i] = rotated(r, parts[i], own >= 0 ? own : at, ox_rc_wide(r, ox_rc_need(r, 7)),
                           ox_rc_wide(r, ox_rc_need(r, 8)), p->interleaved);
    struct ox_attend_in in = {
        parts[0],
        ox_rc_append(r, parts[1], ox_rc_wide(r, ox_rc_in(r, 3)), lengths, total),
        ox_rc_append(r, parts[2], ox_rc_wide(r, ox_rc_in(r, 4)), lengths, total),
        ox_rc_wide(r, ox_rc_in(r, 10)),
        OX_NO_V,
        first,
        ox_rc_wide(r, ox_rc_in(r, 11))};
    in.lengths = OX_RC(r, "Add", ox_rc_cast(r, lengths, OX_INT64), ox_rc_number(r, OX_INT64, 1));
    if (p->sinks && in.sinks < 0)
        in.sinks = OX_RC(r, "Expand", ox_rc_number(r, OX_FLOAT, 0), OX_RC_INTS(r, p->heads));
    bool wants = ox_rc_wants(r, 3);
    int stage = p->scores_of == 2 ? OX_ATTENTION_PROBS : OX_ATTENTION_BIASED;
    ox_rc_out(r, 0, ox_rc_like(r, attend(r, p, &in, stage, wants ? &scores : NULL), like));
    ox_rc_out(r, 1, ox_rc_like(r, in.k, like));
    ox_rc_out(r, 2, ox_rc_like(r, in.v, like));
    if (wants && p->scores_of != 2) /* of keys that are not seen there is no score: 0 */
        scores = OX_RC(r, "Where", OX_RC(r, "IsInf", scores), ox_rc_number(r, OX_FLOAT, 0), scores);
    if (wants) ox_rc_out(r, 3, ox_rc_like(r, scores, like));
}

#define KIND(which, body) [OX_HEADS_##which] = {body, OX_HEADS_##which}
const struct ox_recipe_kind ox_heads_recipes[] = {
    KIND(ATTENTION, attention), KIND(DECODER, decoder),           KIND(DECODER_SELF, decoder_self),
    KIND(GATED, gated),         KIND(GROUPED, grouped),           KIND(MULTI, multi_head),
    KIND(PACKED, packed),       KIND(PACKED_MULTI, packed_multi), KIND(QUANTIZED, quantized),
    KIND(ROTARY, rotary),
};
