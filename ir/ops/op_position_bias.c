/* ir/ops/op_position_bias.c - RelativePositionBias of com.microsoft: what T5 adds to the scores of
 * attention, by how far a key is from the query. Near distances have a bucket each, far ones share
 * buckets that grow with the logarithm. */
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include <math.h>

enum { TABLE, QUERIES, KEYS };

ox_status ox_decode_position_bias(const struct ox_call *call, void *params) {
    struct ox_position_bias_params *p = params;
    int64_t both;
    OX_TRY(ox_attr_int(&both, call, "is_bidirectional", 0));
    OX_TRY(ox_attr_int(&p->max_distance, call, "max_distance", 0));
    if (p->max_distance < 1)
        return ox_bad_attr(call, "max_distance is %lld, expected 1 or more",
                           (long long)p->max_distance);
    p->both_ways = both != 0;
    return OX_OK;
}

ox_status ox_infer_position_bias(const struct ox_call *call, const void *params,
                                 struct ox_infer *io) {
    const ox_dtypes floats = OX_BIT(OX_FLOAT) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16);
    ox_dim dims[4] = {ox_dim_const(1)};
    (void)params;
    OX_TRY(ox_expect_dtype(call, TABLE, ox_in_dtype(io, TABLE), floats));
    OX_TRY(ox_expect_rank(call, TABLE, ox_in_rank(io, TABLE), 2, 2));
    for (size_t i = QUERIES; i <= KEYS; i++) {
        const struct ox_partial *n = io->in_values[i];
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), OX_BIT(OX_INT64)));
        if (n && n->count == 1 && !(ox_dim_is_const(n->elems[0]) && n->elems[0].k < 0))
            dims[1 + i] = n->elems[0];
        else
            OX_TRY(ox_dim_unknown(&dims[1 + i], io->dims));
    }
    if (ox_in_rank(io, TABLE) == 2)
        dims[1] = io->in[TABLE]->dims[1];
    else
        OX_TRY(ox_dim_unknown(&dims[1], io->dims));
    return ox_infer_tensor(io, 0, ox_in_dtype(io, TABLE), 4, dims);
}

/* The bucket of a key `distance` behind (positive) or before the query. */
static int64_t bucket_of(const struct ox_position_bias_params *p, int64_t distance,
                         int64_t buckets) {
    int64_t first = 0;
    if (p->both_ways) {
        buckets /= 2;
        if (distance > 0) first = buckets;
    }
    if (distance < 0) distance = -distance;
    int64_t near = buckets / 2;
    if (distance < near) return first + distance;
    float share = logf((float)distance / (float)near) / logf((float)p->max_distance / (float)near);
    int64_t far = near + (int64_t)(share * (float)(buckets - near));
    return first + (far < buckets ? far : buckets - 1);
}

static ox_status one_length(int64_t *out, const struct ox_call *call, const ox_tensor *t,
                            size_t i) {
    OX_TRY(ox_expect_dtype(call, i, t->dtype, OX_BIT(OX_INT64)));
    if (t->count != 1)
        return ox_bad_shape(call, "input %zu is %s, expected one length", i,
                            ox_dims_text(t->rank, t->dims).text);
    *out = *(const int64_t *)t->data;
    return *out >= 0 ? OX_OK : ox_bad_shape(call, "a length is %lld", (long long)*out);
}

/* The table is [buckets, heads] by its dims, but its elements lie head by head. */
static ox_status fill(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    const struct ox_position_bias_params *p = params;
    const ox_tensor *table = in[TABLE];
    int64_t queries, keys, buckets = table->dims[0], heads = table->dims[1],
                           near = (p->both_ways ? buckets / 2 : buckets) / 2;
    void *data;
    OX_TRY(one_length(&queries, call, in[QUERIES], QUERIES));
    OX_TRY(one_length(&keys, call, in[KEYS], KEYS));
    if (queries != keys)
        return ox_no_kernel(call, "%s of %lld queries and %lld keys", call->op->name,
                            (long long)queries, (long long)keys);
    if (near < 1 || near >= p->max_distance)
        return ox_bad_shape(call, "%lld buckets cannot tell distances up to %lld",
                            (long long)buckets, (long long)p->max_distance);
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, OX_FLOAT, 4,
                         (const int64_t[]){1, heads, queries, keys}));
    float *to = data;
    const float *from = table->data;
    for (int64_t q = 0; q < queries && heads > 0; q++)
        for (int64_t k = 0; k < keys; k++) {
            int64_t bucket = bucket_of(p, k - q, buckets);
            for (int64_t h = 0; h < heads; h++)
                to[(h * queries + q) * keys + k] = from[h * buckets + bucket];
        }
    return OX_OK;
}

ox_status ox_eval_position_bias(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(ox_expect_dtype(call, TABLE, in[TABLE]->dtype,
                           OX_BIT(OX_FLOAT) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16)));
    OX_TRY(ox_expect_rank(call, TABLE, in[TABLE]->rank, 2, 2));
    if (ox_is_narrow(in[TABLE]->dtype)) return ox_eval_wide(fill, call, params, in, out, 1);
    return fill(call, params, in, out);
}
