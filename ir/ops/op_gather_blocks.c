/* ir/ops/op_gather_blocks.c - GatherBlockQuantized of com.microsoft: Gather from a table of codes,
 * then DequantizeLinear in blocks. Codes, scales and zero points are gathered alike, so only what
 * is asked for is dequantized. */
#include "ir/ops/op_nbits.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_gather_blocks(const struct ox_call *call, void *params) {
    struct ox_gather_blocks_params *p = params;
    int64_t bits;
    OX_TRY(ox_attr_int(&p->gather_axis, call, "gather_axis", 0));
    OX_TRY(ox_attr_int(&p->quantize_axis, call, "quantize_axis", 1));
    OX_TRY(ox_attr_int(&p->block, call, "block_size", 128));
    OX_TRY(ox_attr_int(&bits, call, "bits", 4));
    if (bits != 2 && bits != 4 && bits != 8)
        return ox_bad_attr(call, "bits is %lld, expected 2, 4 or 8", (long long)bits);
    if (p->block < 16 || (p->block & (p->block - 1)) != 0)
        return ox_bad_attr(call, "block_size is %lld, expected a power of two of at least 16",
                           (long long)p->block);
    p->bits = (int)bits;
    return OX_OK;
}

/* ---- a step of its own: bytes to the codes in them, along the last dim ------------------------
 */

struct unpack_params {
    int bits;
};

static ox_status decode_unpack(const struct ox_call *call, void *params) {
    int64_t bits;
    OX_TRY(ox_attr_int(&bits, call, "bits", 8));
    ((struct unpack_params *)params)->bits = (int)bits;
    return OX_OK;
}

static ox_status infer_unpack(const struct ox_call *call, const void *params, struct ox_infer *io) {
    ox_dim dims[OX_MAX_RANK];
    int rank = ox_in_rank(io, 0);
    (void)call;
    for (int d = 0; d < rank; d++)
        dims[d] = io->in[0]->dims[d];
    if (rank > 0)
        OX_TRY(ox_dim_mul(&dims[rank - 1], io->dims, dims[rank - 1],
                          ox_dim_const(8 / ((const struct unpack_params *)params)->bits)));
    return ox_infer_tensor(io, 0, OX_UINT8, rank, dims);
}

static ox_status eval_unpack(const struct ox_call *call, const void *params,
                             const ox_tensor *const *in, ox_tensor **out) {
    int bits = ((const struct unpack_params *)params)->bits, rank = in[0]->rank;
    int64_t dims[OX_MAX_RANK];
    void *codes;
    for (int d = 0; d < rank; d++)
        dims[d] = in[0]->dims[d];
    if (rank == 0 || ox_mul_i64(&dims[rank - 1], dims[rank - 1], 8 / bits))
        return ox_bad_shape(call, "data of %s cannot be unpacked",
                            ox_dims_text(rank, in[0]->dims).text);
    OX_TRY(ox_tensor_new(&out[0], &codes, call->ctx, OX_UINT8, rank, dims));
    ox_unpack_bits(codes, in[0]->data, out[0]->count, bits == 4 ? OX_UINT4 : OX_UINT2);
    return OX_OK;
}

static const struct ox_op unpack_op = {.domain = "com.microsoft",
                                       .name = "GatherBlockQuantized",
                                       .since = 1,
                                       .newest = 1,
                                       .min_in = 1,
                                       .max_in = 1,
                                       .min_out = 1,
                                       .max_out = 1,
                                       .traits = OX_PURE,
                                       .params_size = sizeof(struct unpack_params),
                                       .decode = decode_unpack,
                                       .infer = infer_unpack,
                                       .eval = eval_unpack};

/* ---- the recipe ------------------------------------------------------------------------------ */

static ox_v unpacked(struct ox_recipe *r, ox_v bytes, int bits) {
    ox_v codes;
    if (bytes < 0 || bits == 8) return bytes;
    ox_rc_int(r, "bits", bits);
    ox_rc_run(r, &unpack_op, 1, &bytes, 1, &codes);
    return codes;
}

static ox_v gathered(struct ox_recipe *r, ox_v from, ox_v indices, int axis) {
    if (from < 0) return from;
    ox_rc_int(r, "axis", axis);
    return OX_RC(r, "Gather", from, indices);
}

/* Zero points packed along the last dim may have codes beyond the last block. */
static ox_v cut_like(struct ox_recipe *r, ox_v zps, ox_v scales, int bits) {
    if (zps < 0 || bits == 8) return zps;
    ox_v blocks = ox_rc_slice(r, OX_RC(r, "Shape", scales), 0, -1, INT64_MAX);
    return OX_RC(r, "Slice", zps, OX_RC_INTS(r, 0), blocks, OX_RC_INTS(r, -1));
}

static void body(struct ox_recipe *r, const void *params) {
    const struct ox_gather_blocks_params *p = params;
    ox_v data = ox_rc_in(r, 0), indices = ox_rc_in(r, 1), scales = ox_rc_in(r, 2),
         zps = ox_rc_in(r, 3);
    int rank = ox_rc_rank(r, data), n = ox_rc_rank(r, indices), from, block_axis;
    if (rank < 0 || n < 0 || ox_rc_dtype(r, data) == OX_UNDEFINED) ox_rc_stop(r);
    if (!ox_rc_ok(r, OX_OK)) return;
    ox_rc_expect_rank(r, 2, scales, rank);
    if (!ox_rc_ok(r, ox_axis(&from, r->call, "gather_axis", p->gather_axis, rank)) ||
        !ox_rc_ok(r, ox_axis(&block_axis, r->call, "quantize_axis", p->quantize_axis, rank)))
        return;
    bool bytes = ox_rc_dtype(r, data) == OX_UINT8;
    if (from == block_axis || (bytes && (from != 0 || block_axis != rank - 1))) {
        ox_rc_ok(r, ox_bad_attr(r->call, "gather_axis is %d, quantize_axis %d; they must differ%s",
                                from, block_axis,
                                bytes ? " and be the first and the last for packed data" : ""));
        return;
    }
    ox_v codes = gathered(r, data, indices, from);
    ox_v by = gathered(r, scales, indices, from), off = gathered(r, zps, indices, from);
    if (bytes) {
        codes = unpacked(r, codes, p->bits);
        off = cut_like(r, unpacked(r, off, p->bits), by, p->bits);
        if (zps < 0)
            codes = OX_RC(r, "Sub", ox_rc_cast(r, codes, OX_INT32),
                          ox_rc_number(r, OX_INT32, 1 << (p->bits - 1)));
    }
    ox_rc_int(r, "axis", block_axis > from ? block_axis + n - 1 : block_axis);
    ox_rc_int(r, "block_size", p->block);
    ox_rc_out(r, 0, OX_RC(r, "DequantizeLinear", codes, by, off));
}

const struct ox_recipe_kind ox_gather_blocks_recipe = {body, 0};
