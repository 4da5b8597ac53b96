/* ir/ops/op_heads.h - parameters of the attentions of com.microsoft, and the steps of their recipes
 * that the standard has not. */
#ifndef OX_IR_OPS_OP_HEADS_H
#define OX_IR_OPS_OP_HEADS_H

#include "ir/ops/recipe.h"

struct ox_heads_params {
    int64_t heads, kv_heads; /* >= 1; equal but for GroupQueryAttention */
    int64_t sizes[3];        /* of Q, K and V in Attention's product; all 0: equal thirds */
    float scale;             /* 0: 1 / sqrt(size of a head) */
    float softcap;           /* 0: none */
    float filter;            /* what is added to the scores of keys that a mask hides */
    float epsilon;           /* of the norms of queries and keys */
    bool causal;
    bool rotary, interleaved;
    bool shared; /* the cache is as long as it will ever be; how much of it is filled is an input */
    bool sinks;  /* smooth_softmax: every head has a sink of score 0 */
    int64_t window;    /* keys that a query sees up to its own; -1: all */
    int64_t scores_of; /* GroupQueryAttention's output 3: 1 before, 2 after the softmax */
};

struct ox_rotary_ms_params {
    int64_t heads, size; /* 0: not given */
    bool interleaved;
};

extern const struct ox_recipe_kind ox_heads_recipes[];
enum {
    OX_HEADS_ATTENTION,
    OX_HEADS_DECODER,
    OX_HEADS_DECODER_SELF,
    OX_HEADS_GATED,
    OX_HEADS_GROUPED,
    OX_HEADS_MULTI,
    OX_HEADS_PACKED,
    OX_HEADS_PACKED_MULTI,
    OX_HEADS_QUANTIZED,
    OX_HEADS_ROTARY
};

/* ---- steps ----------------------------------------------------------------------------------- */

/* Attributes of the step `attend`: scale, softcap (floats), causal, window, stage (ints; stage:
 * enum ox_attention_stage). */
struct ox_attend_in {
    ox_v q, k, v; /* [B,H,S,D], [B,G,T,D], [B,G,T,Dv] */
    ox_v bias;    /* broadcasts to [B,H,S,T]; T may be shorter: keys beyond are not seen */
    ox_v lengths; /* int64 [B]: keys that are there */
    ox_v offsets; /* int64 [1] or [B]: position of the first query among the keys */
    ox_v sinks;   /* [H] */
};
/* The result [B,S,H*Dv] and, where *scores is not NULL, the scores [B,H,S,T]. */
ox_v ox_rc_attend(struct ox_recipe *r, const struct ox_attend_in *in, ox_v *scores);

/* GroupQueryAttention's cache: `fresh` [B,G,S,D] behind the first keys of `past` [B,G,P,D] (or
 * none), as many as are before the first query. Its length is the larger of P and `total` (one
 * integer); the rest is 0. */
ox_v ox_rc_append(struct ox_recipe *r, ox_v fresh, ox_v past, ox_v lengths, ox_v total);
/* Positions [B,S] (int64) of the queries and the first of each batch item [B]; `lengths` (int32
 * [B]) are those of all keys, less 1. */
ox_v ox_rc_positions(struct ox_recipe *r, ox_v q, ox_v lengths, ox_v total, ox_v *first);

#endif
