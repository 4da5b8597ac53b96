/* ir/ops/attention.h - the attention engine: softmax(scale * Q K^T, masked) V for all heads, for
 * every operator that is an attention of some kind.
 *
 * Queries of head h use the keys and values of head h / (heads / kv_heads). The keys are taken in
 * blocks whose softmax is put together on the way, so the matrix of scores never exists as a whole
 * unless it is asked for. Each number is computed in an order that the shapes alone decide: the
 * number of threads does not change the result.
 *
 * What a query does not see counts as a score of minus infinity. A query that sees no key at all
 * gives zeros. */
#ifndef OX_IR_OPS_ATTENTION_H
#define OX_IR_OPS_ATTENTION_H

#include "ir/base/context.h"

/* Element d of row i of head h of batch item b is data[b * batch + h * head + i * row + d]. So the
 * layouts [B,H,S,D] and [B,S,H*D], and a part of a wider row, need no copy. Counts elements. */
struct ox_attention_at {
    size_t batch, head, row;
};

/* The same for masks, whose dims may be broadcast: a stride of 0. Keys from `cols` on are not seen
 * (a mask may be shorter than the keys). */
struct ox_attention_mask_at {
    size_t batch, head, row, col, cols;
};

/* What `scores` gets, in the order in which it is computed. */
enum ox_attention_stage {
    OX_ATTENTION_RAW,    /* scale * Q K^T */
    OX_ATTENTION_CAPPED, /* after softcap */
    OX_ATTENTION_BIASED, /* after bias and masks */
    OX_ATTENTION_PROBS   /* after softmax */
};

/* Zero-initialize and set what is needed; left and right must be set (-1: no bound). */
struct ox_attention {
    ox_dtype dtype;                /* OX_FLOAT or OX_DOUBLE: of everything here that has no type */
    size_t batch, heads, kv_heads; /* heads is a multiple of kv_heads */
    size_t q_len, kv_len;          /* kv_len: all keys, those of the past included */
    size_t qk_size, v_size;        /* of a head */
    const void *q, *k, *v;
    void *y;
    struct ox_attention_at q_at, k_at, v_at, y_at;
    double scale;
    double softcap; /* s becomes softcap * tanh(s / softcap); 0: none */

    const void *bias; /* added to the scores; NULL: none */
    struct ox_attention_mask_at bias_at;
    const unsigned char *allowed; /* 0: not seen; NULL: none */
    struct ox_attention_mask_at allowed_at;
    const int64_t *lengths; /* keys of each batch item, of kv_len that are there; NULL: all */

    /* Query i stands at i + offset. It sees key j where (causal) j <= that, and j >= that - left, j
     * <= that + right. May be negative: then the first queries see nothing. */
    bool causal;
    int64_t left, right;
    int64_t offset;
    const int64_t *offsets; /* one for each batch item, in place of `offset`; NULL: none */

    const void *sinks; /* for each head a score that takes part in the softmax and has no value;
                          NULL: none */

    /* Floats of 16 bits: scores are rounded to it before the softmax, probabilities after it.
     * OX_UNDEFINED: no rounding. */
    ox_dtype softmax_dtype;

    void *scores; /* [batch][heads][q_len][kv_len]; NULL: not wanted */
    enum ox_attention_stage stage;
};

/* The caller has checked all shapes. Fails with OX_NOMEM only. */
OX_MUST_USE ox_status ox_attention(ox_ctx *ctx, const struct ox_attention *a);

#endif
