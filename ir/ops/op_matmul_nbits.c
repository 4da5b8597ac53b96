/* ir/ops/op_matmul_nbits.c - MatMulNBits of com.microsoft: the product with a matrix whose weights
 * are codes of 2, 4 or 8 bits; and MatMulBnb4, whose codes of 4 bits stand for the numbers of a
 * table.
 *
 * Row j of the weights holds column j of B: blocks of codes, low bits first, each with a scale and
 * a zero point. B never exists as a whole: the product asks for strips of it when it needs them,
 * and they are dequantized then. */
#include "ir/ops/convert.h"
#include "ir/ops/kernel_gemm.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_nbits.h"
#include "ir/ops/op_priv.h"

enum { WEIGHTS = 1, SCALES, ZERO_POINTS, GROUPS, BIAS };

static ox_status required(int64_t *out, const struct ox_call *call, const char *name) {
    OX_TRY(ox_attr_int(out, call, name, 0));
    if (*out >= 1 && *out <= (int64_t)1 << 40) return OX_OK;
    return ox_bad_attr(call, "%s of %s is %lld, expected 1 or more", name, call->op->name,
                       (long long)*out);
}

ox_status ox_decode_matmul_nbits(const struct ox_call *call, void *params) {
    struct ox_matmul_nbits_params *p = params;
    int64_t bits;
    OX_TRY(required(&p->k, call, "K"));
    OX_TRY(required(&p->n, call, "N"));
    OX_TRY(required(&p->block, call, "block_size"));
    OX_TRY(ox_attr_int(&bits, call, "bits", 4));
    if (bits != 2 && bits != 4 && bits != 8)
        return ox_bad_attr(call, "bits is %lld, expected 2, 4 or 8", (long long)bits);
    if (p->block < 16 || (p->block & (p->block - 1)) != 0)
        return ox_bad_attr(call, "block_size is %lld, expected a power of two of at least 16",
                           (long long)p->block);
    p->bits = (int)bits;
    return OX_OK;
}

static int64_t n_blocks(const struct ox_matmul_nbits_params *p) {
    return (p->k + p->block - 1) / p->block;
}

/* Elements that the inputs must have; 0: input i has none of its own rule here. */
static int64_t expected(const struct ox_matmul_nbits_params *p, size_t i, bool packed) {
    int64_t blocks = n_blocks(p), row = blocks, count;
    switch (i) {
    case WEIGHTS:
        row = blocks * (p->block * p->bits / 8);
        break;
    case SCALES:
        break;
    case ZERO_POINTS:
        row = packed ? (blocks * p->bits + 7) / 8 : blocks;
        break;
    case GROUPS:
        return p->k;
    default:
        return p->n;
    }
    return ox_mul_i64(&count, row, p->n) ? -1 : count;
}

static ox_status check_type(const struct ox_call *call, size_t i, ox_dtype dtype, ox_dtype a) {
    const ox_dtypes floats = OX_BIT(OX_FLOAT) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16);
    if (i == WEIGHTS) return ox_expect_dtype(call, i, dtype, OX_BIT(OX_UINT8));
    if (i == GROUPS) return ox_expect_dtype(call, i, dtype, OX_BIT(OX_INT32));
    if (i == ZERO_POINTS) return ox_expect_dtype(call, i, dtype, floats | OX_BIT(OX_UINT8));
    OX_TRY(ox_expect_dtype(call, i, dtype, floats));
    return ox_expect_same_dtype(call, 0, a, i, dtype);
}

static ox_status wrong_count(const struct ox_call *call, const struct ox_matmul_nbits_params *p,
                             size_t i, const char *text) {
    return ox_bad_shape(
        call,
        "input %zu of %s is %s, which does not fit K %lld, N %lld, %d bits and blocks of %lld", i,
        call->op->name, text, (long long)p->k, (long long)p->n, p->bits, (long long)p->block);
}

ox_status ox_infer_matmul_nbits(const struct ox_call *call, const void *params,
                                struct ox_infer *io) {
    const struct ox_matmul_nbits_params *p = params;
    ox_dim dims[OX_MAX_RANK];
    int rank = ox_in_rank(io, 0);
    for (size_t i = 0; i < call->n_in; i++) {
        ox_dtype dtype = ox_in_dtype(io, i);
        if (!io->in[i]) continue;
        OX_TRY(check_type(call, i, dtype, ox_in_dtype(io, 0)));
        int64_t count = ox_type_is_tensor(io->in[i]) ? ox_type_count(io->in[i]) : -1;
        if (i > 0 && count >= 0 && dtype != OX_UNDEFINED &&
            count != expected(p, i, dtype == OX_UINT8))
            return wrong_count(call, p, i, ox_sym_dims_text(io->in[i]->rank, io->in[i]->dims).text);
    }
    if (rank == 0) return ox_bad_shape(call, "the data of %s is a scalar", call->op->name);
    for (int d = 0; d < rank; d++)
        dims[d] = d == rank - 1 ? ox_dim_const(p->n) : io->in[0]->dims[d];
    if (rank > 0 && ox_dim_is_const(io->in[0]->dims[rank - 1]) &&
        io->in[0]->dims[rank - 1].k != p->k)
        return ox_bad_shape(call, "the last dim of the data is %lld, K is %lld",
                            (long long)io->in[0]->dims[rank - 1].k, (long long)p->k);
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

/* ---- eval ------------------------------------------------------------------------------------ */

struct weights {
    const unsigned char *codes;
    const float *scales;
    const unsigned char *zp_codes; /* packed zero points, or NULL */
    const float *zps;              /* or these, or NULL */
    const int32_t *groups;         /* block whose scale belongs to each k, or NULL */
    size_t block, blocks, row,
        zp_row; /* elements of a block, blocks of a row; bytes of a row of codes and zero points */
    unsigned bits;
};

static inline unsigned code_at(const unsigned char *row, size_t i, unsigned bits) {
    unsigned per = 8 / bits;
    return row[i / per] >> (i % per * bits) & ((1u << bits) - 1);
}

static float zero_point(const struct weights *w, size_t j, size_t block) {
    if (w->zp_codes) return (float)code_at(w->zp_codes + j * w->zp_row, block, w->bits);
    if (w->zps) return w->zps[j * w->blocks + block];
    return (float)(1u << (w->bits - 1));
}

/* Column j of the strip: dst[(k - k0) * width] for k in [k0, k1). */
static void unpack_column(const struct weights *w, float *dst, size_t width, size_t j, size_t k0,
                          size_t k1) {
    const unsigned char *row = w->codes + j * w->row;
    for (size_t k = k0; k < k1;) {
        size_t own = k / w->block, block = w->groups ? (size_t)w->groups[k] : own;
        size_t end = w->groups ? k + 1 : (own + 1) * w->block;
        if (end > k1) end = k1;
        float scale = w->scales[j * w->blocks + block], zp = zero_point(w, j, block);
        float *to = dst + (k - k0) * width;
        switch (w->bits) {
        case 4:
            for (; k < end; k++, to += width)
                *to = ((float)(row[k / 2] >> (k % 2 * 4) & 15) - zp) * scale;
            break;
        case 8:
            for (; k < end; k++, to += width)
                *to = ((float)row[k] - zp) * scale;
            break;
        default:
            for (; k < end; k++, to += width)
                *to = ((float)code_at(row, k, w->bits) - zp) * scale;
            break;
        }
    }
}

static void unpack_strip(const void *arg, enum ox_isa isa, float *dst, size_t width, size_t batch,
                         size_t k0, size_t k1, size_t j0, size_t j1) {
    (void)isa;
    (void)batch;
    for (size_t j = j0; j < j1; j++)
        unpack_column(arg, dst + (j - j0), width, j, k0, k1);
    for (size_t k = 0; j1 - j0 < width && k < k1 - k0; k++)
        memset(dst + k * width + (j1 - j0), 0, (width - (j1 - j0)) * sizeof *dst);
}

static ox_status check_inputs(const struct ox_call *call, const struct ox_matmul_nbits_params *p,
                              const ox_tensor *const *in) {
    for (size_t i = 0; i < call->n_in; i++) {
        if (!in[i]) continue;
        OX_TRY(check_type(call, i, in[i]->dtype, in[0]->dtype));
        if (i > 0 && (int64_t)in[i]->count != expected(p, i, in[i]->dtype == OX_UINT8))
            return wrong_count(call, p, i, ox_dims_text(in[i]->rank, in[i]->dims).text);
    }
    if (in[0]->rank == 0 || in[0]->dims[in[0]->rank - 1] != p->k)
        return ox_bad_shape(call, "the data is %s, K is %lld",
                            ox_dims_text(in[0]->rank, in[0]->dims).text, (long long)p->k);
    const ox_tensor *groups = call->n_in > GROUPS ? in[GROUPS] : NULL;
    for (size_t i = 0; groups && i < groups->count; i++) {
        int32_t block = ((const int32_t *)groups->data)[i];
        if (block < 0 || block >= n_blocks(p))
            return ox_fail(call->ctx, OX_INVALID, "bad-index", NULL,
                           "group %d of element %zu is outside of the %lld blocks", (int)block, i,
                           (long long)n_blocks(p));
    }
    return OX_OK;
}

static ox_status run(const struct ox_call *call, const struct ox_matmul_nbits_params *p,
                     const ox_tensor *const *in, const float *zps, ox_tensor **out) {
    const ox_tensor *zp = call->n_in > ZERO_POINTS ? in[ZERO_POINTS] : NULL,
                    *groups = call->n_in > GROUPS ? in[GROUPS] : NULL;
    const ox_tensor *bias = call->n_in > BIAS ? in[BIAS] : NULL;
    struct weights w = {.codes = in[WEIGHTS]->data,
                        .scales = in[SCALES]->data,
                        .zps = zps,
                        .bits = (unsigned)p->bits,
                        .groups = groups ? groups->data : NULL,
                        .block = (size_t)p->block,
                        .blocks = (size_t)n_blocks(p)};
    w.row = w.blocks * (w.block * w.bits / 8);
    w.zp_row = (w.blocks * w.bits + 7) / 8;
    if (zp && zp->dtype == OX_UINT8) w.zp_codes = zp->data;
    int64_t dims[OX_MAX_RANK];
    for (int d = 0; d < in[0]->rank; d++)
        dims[d] = d == in[0]->rank - 1 ? p->n : in[0]->dims[d];
    void *y;
    OX_TRY(ox_tensor_new_raw(&out[0], &y, call->ctx, OX_FLOAT, in[0]->rank, dims));
    if (out[0]->count == 0) return OX_OK;
    size_t n = (size_t)p->n, m = out[0]->count / n;
    for (size_t i = 0; bias && i < m; i++)
        memcpy((float *)y + i * n, bias->data, n * sizeof(float));
    struct ox_gemm g = {.m = m,
                        .n = n,
                        .k = (size_t)p->k,
                        .a = in[0]->data,
                        .a_rs = (size_t)p->k,
                        .a_cs = 1,
                        .c = y,
                        .c_rs = n,
                        .add = bias != NULL,
                        .pack = unpack_strip,
                        .pack_arg = &w};
    return ox_gemm(call->ctx, &g);
}

static ox_status eval_float(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    const ox_tensor *zp = call->n_in > ZERO_POINTS ? in[ZERO_POINTS] : NULL;
    if (!zp || zp->dtype == OX_UINT8) return run(call, params, in, NULL, out);
    ox_tensor *wide;
    OX_TRY(ox_tensor_cast(&wide, call->ctx, zp, OX_FLOAT, true));
    ox_status status = run(call, params, in, wide->data, out);
    ox_tensor_unref(wide);
    return status;
}

ox_status ox_eval_matmul_nbits(const struct ox_call *call, const void *params,
                               const ox_tensor *const *in, ox_tensor **out) {
    OX_TRY(check_inputs(call, params, in));
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(eval_float, call, params, in, out, 1);
    return eval_float(call, params, in, out);
}

/* ---- MatMulBnb4 ------------------------------------------------------------------------------ */

/* What a code stands for, in parts of its block's largest magnitude. FP4: a sign, and eight
 * magnitudes, the larger ones twelfths and sixths (bitsandbytes); NF4: quantiles of the normal
 * distribution (QLoRA). */
static const float bnb4_values[2][16] = {
    {0, 0.0625f / 12, 8 / 12.f, 1, 4 / 12.f, 6 / 12.f, 2 / 12.f, 3 / 12.f, -0.f, -0.0625f / 12,
     -8 / 12.f, -1, -4 / 12.f, -6 / 12.f, -2 / 12.f, -3 / 12.f},
    {-1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
     -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f,
     0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
     0.7229568362236023f, 1},
};

ox_status ox_decode_matmul_bnb4(const struct ox_call *call, void *params) {
    struct ox_matmul_bnb4_params *p = params;
    int64_t type, trans;
    OX_TRY(required(&p->k, call, "K"));
    OX_TRY(required(&p->n, call, "N"));
    OX_TRY(required(&p->block, call, "block_size"));
    if (p->block < 16 || (p->block & (p->block - 1)) != 0)
        return ox_bad_attr(call, "block_size is %lld, expected a power of two of at least 16",
                           (long long)p->block);
    if (!ox_attr_find(call, "quant_type"))
        return ox_bad_attr(call, "attribute 'quant_type' is missing");
    OX_TRY(ox_attr_int(&type, call, "quant_type", 0));
    if (type != 0 && type != 1)
        return ox_bad_attr(call, "quant_type is %lld, expected 0 (FP4) or 1 (NF4)",
                           (long long)type);
    OX_TRY(ox_attr_int(&trans, call, "transB", 1));
    p->values = bnb4_values[type];
    p->trans = trans != 0;
    return ox_mul_i64(&p->count, p->k, p->n) ? ox_bad_attr(call, "K and N are too large") : OX_OK;
}

/* Inputs: data, codes, largest magnitudes. */
static ox_status check_bnb4(const struct ox_call *call, const struct ox_matmul_bnb4_params *p,
                            size_t i, ox_dtype dtype, ox_dtype a, int64_t count, int64_t last) {
    const int64_t wanted = i == 1 ? (p->count - 1) / 2 + 1 : (p->count - 1) / p->block + 1,
                  inner = p->trans ? p->k : p->n;
    OX_TRY(check_type(call, i, dtype, a));
    if (i == 0 && last >= 0 && last != inner)
        return ox_bad_shape(call, "the last dim of the data is %lld, expected %lld",
                            (long long)last, (long long)inner);
    if (i == 0 || count < 0 || count == wanted) return OX_OK;
    return ox_bad_shape(
        call, "input %zu of %s has %lld elements, K %lld, N %lld and blocks of %lld need %lld", i,
        call->op->name, (long long)count, (long long)p->k, (long long)p->n, (long long)p->block,
        (long long)wanted);
}

ox_status ox_infer_matmul_bnb4(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    const struct ox_matmul_bnb4_params *p = params;
    ox_dim dims[OX_MAX_RANK];
    int rank = ox_in_rank(io, 0);
    if (rank == 0) return ox_bad_shape(call, "the data of %s is a scalar", call->op->name);
    for (size_t i = 0; i < 3; i++) {
        const struct ox_type *t = io->in[i];
        int64_t last = -1, count = ox_type_is_tensor(t) ? ox_type_count(t) : -1;
        if (i == 0 && rank > 0 && ox_dim_is_const(t->dims[rank - 1])) last = t->dims[rank - 1].k;
        if (t && ox_in_dtype(io, i) != OX_UNDEFINED)
            OX_TRY(check_bnb4(call, p, i, ox_in_dtype(io, i), ox_in_dtype(io, 0), count, last));
    }
    for (int d = 0; d < rank; d++)
        dims[d] = d == rank - 1 ? ox_dim_const(p->trans ? p->n : p->k) : io->in[0]->dims[d];
    return ox_infer_tensor(io, 0, ox_in_dtype(io, 0), rank, dims);
}

struct bnb4 {
    const struct ox_matmul_bnb4_params *p;
    const unsigned char *codes;
    const float *most;
};

static void bnb4_strip(const void *arg, enum ox_isa isa, float *dst, size_t width, size_t batch,
                       size_t k0, size_t k1, size_t j0, size_t j1) {
    const struct bnb4 *w = arg;
    const size_t row = (size_t)w->p->k, block = (size_t)w->p->block;
    (void)isa;
    (void)batch;
    for (size_t k = k0; k < k1; k++, dst += width) {
        for (size_t j = j0; j < j1; j++) {
            size_t at = w->p->trans ? j * row + k
                                    : k * row + j; /* the first of two codes is in the high bits */
            dst[j - j0] =
                w->p->values[w->codes[at / 2] >> (at % 2 ? 0 : 4) & 15] * w->most[at / block];
        }
        memset(dst + (j1 - j0), 0, (width - (j1 - j0)) * sizeof *dst);
    }
}

static ox_status eval_bnb4(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_matmul_bnb4_params *p = params;
    const struct bnb4 w = {p, in[1]->data, in[2]->data};
    int64_t dims[OX_MAX_RANK];
    void *y;
    size_t n = (size_t)(p->trans ? p->n : p->k), k = (size_t)(p->trans ? p->k : p->n);
    for (int d = 0; d < in[0]->rank; d++)
        dims[d] = d == in[0]->rank - 1 ? (int64_t)n : in[0]->dims[d];
    OX_TRY(ox_tensor_new(&out[0], &y, call->ctx, OX_FLOAT, in[0]->rank, dims));
    if (out[0]->count == 0) return OX_OK;
    const struct ox_gemm g = {.m = out[0]->count / n,
                              .n = n,
                              .k = k,
                              .a = in[0]->data,
                              .a_rs = k,
                              .a_cs = 1,
                              .c = y,
                              .c_rs = n,
                              .pack = bnb4_strip,
                              .pack_arg = &w};
    return ox_gemm(call->ctx, &g);
}

ox_status ox_eval_matmul_bnb4(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    if (in[0]->rank == 0) return ox_bad_shape(call, "the data of %s is a scalar", call->op->name);
    for (size_t i = 0; i < 3; i++)
        OX_TRY(check_bnb4(call, params, i, in[i]->dtype, in[0]->dtype, (int64_t)in[i]->count,
                          i ? -1 : in[0]->dims[in[0]->rank - 1]));
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(eval_bnb4, call, params, in, out, 1);
    return eval_bnb4(call, params, in, out);
}
