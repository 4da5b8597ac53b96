/* ir/ops/op_moe.c - MoE and QMoE of com.microsoft: each token goes through the few experts that its
 * router scores choose, and gets the sum of what they say by their shares. An expert is two
 * products with an activation between them (three, where a gate has its own).
 *
 * Experts are visited in their order and a token's sum is in that order too, so the number of
 * threads changes nothing. Codes of QMoE are dequantized strip by strip, inside the product. */
#include "ir/ops/convert.h"
#include "ir/ops/kernel_gemm.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include <math.h>

const bool ox_moe_quantized[2] = {false, true};

/* Inputs by what they are, for both operators; ABSENT: the operator has none. */
enum { INPUT, ROUTER, ABSENT = 99 };
struct layer_inputs {
    size_t weights, scales, bias, zero_points;
};
static const struct layer_inputs plain_inputs[3] = {
    {2, ABSENT, 3, ABSENT}, {4, ABSENT, 5, ABSENT}, {6, ABSENT, 7, ABSENT}};
static const struct layer_inputs coded_inputs[3] = {{2, 3, 4, 11}, {5, 6, 7, 12}, {8, 9, 10, 13}};
enum {
    SHARES = 14
}; /* QMoE: what the experts' results are multiplied with, where that is not the router's */

static const struct layer_inputs *inputs_of(const struct ox_call *call) {
    return *(const bool *)call->op->family ? coded_inputs : plain_inputs;
}

/* ---- decode, infer --------------------------------------------------------------------------- */

ox_status ox_decode_moe(const struct ox_call *call, void *params) {
    static const char *const activations[] = {"relu", "gelu", "silu", "swiglu", "identity", NULL};
    static const char *const types[] = {"int", NULL};
    struct ox_moe_params *p = params;
    int64_t fusion, normalize, sparse, bits = 0;
    int activation, type;
    OX_TRY(ox_attr_choice(&activation, call, "activation_type", activations, OX_MOE_RELU));
    OX_TRY(ox_attr_float(&p->alpha, call, "activation_alpha", 1));
    OX_TRY(ox_attr_float(&p->beta, call, "activation_beta", 0));
    OX_TRY(ox_attr_float(&p->limit, call, "swiglu_limit", INFINITY));
    OX_TRY(ox_attr_int(&fusion, call, "swiglu_fusion", 0));
    OX_TRY(ox_attr_int(&p->k, call, "k", 1));
    OX_TRY(ox_attr_int(&normalize, call, "normalize_routing_weights", 0));
    OX_TRY(ox_attr_int(&sparse, call, "use_sparse_mixer", 0));
    if (fusion < 0 || fusion > 2)
        return ox_bad_attr(call, "swiglu_fusion is %lld, expected 0, 1 or 2", (long long)fusion);
    if (p->k < 1) return ox_bad_attr(call, "k is %lld, expected 1 or more", (long long)p->k);
    if (sparse) return ox_no_kernel(call, "%s with use_sparse_mixer", call->op->name);
    if (*(const bool *)call->op->family) {
        const struct ox_attr *quant = ox_attr_find(call, "quant_type");
        OX_TRY(ox_attr_int(&bits, call, "expert_weight_bits", 4));
        OX_TRY(ox_attr_int(&p->block, call, "block_size", 0));
        if (bits != 2 && bits != 4 && bits != 8)
            return ox_bad_attr(call, "expert_weight_bits is %lld, expected 2, 4 or 8",
                               (long long)bits);
        if (p->block < 0 || (p->block & (p->block - 1)) != 0 || (p->block && p->block < 16))
            return ox_bad_attr(call, "block_size is %lld, expected a power of two of at least 16",
                               (long long)p->block);
        if (quant && quant->type == OX_ATTR_STRING &&
            !(quant->v.s.len == 3 && memcmp(quant->v.s.ptr, "int", 3) == 0))
            return ox_no_kernel(call, "%s with quant_type %.*s", call->op->name,
                                quant->v.s.len > 20 ? 20 : (int)quant->v.s.len, quant->v.s.ptr);
        OX_TRY(ox_attr_choice(&type, call, "quant_type", types, 0));
    }
    p->activation = (enum ox_moe_activation)activation;
    p->fusion = p->activation == OX_MOE_SWIGLU ? (int)fusion : 0;
    p->normalize = normalize != 0;
    p->bits = (int)bits;
    return OX_OK;
}

static ox_status check_types(const struct ox_call *call, size_t i, ox_dtype dtype, ox_dtype x) {
    const ox_dtypes floats = OX_BIT(OX_FLOAT) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16);
    const struct layer_inputs *layers = inputs_of(call);
    bool coded = layers == coded_inputs, codes = false, scales = false;
    for (int k = 0; coded && k < 3; k++) {
        codes = codes || i == layers[k].weights || i == layers[k].zero_points;
        scales = scales || i == layers[k].scales;
    }
    if (codes) return ox_expect_dtype(call, i, dtype, OX_BIT(OX_UINT8));
    OX_TRY(ox_expect_dtype(call, i, dtype, floats));
    return scales ? OX_OK : ox_expect_same_dtype(call, 0, x, i, dtype);
}

ox_status ox_infer_moe(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    for (size_t i = 0; i < call->n_in; i++)
        if (io->in[i] && i <= SHARES)
            OX_TRY(check_types(call, i, ox_in_dtype(io, i), ox_in_dtype(io, 0)));
    OX_TRY(ox_expect_rank(call, INPUT, ox_in_rank(io, INPUT), 2, 3));
    OX_TRY(ox_expect_rank(call, ROUTER, ox_in_rank(io, ROUTER), 2, 2));
    return ox_infer_same(io, 0, 0);
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* One product of every expert: rows are outputs, columns inputs. */
struct layer {
    size_t rows, cols, expert; /* the expert at hand */
    const float *weights, *bias;
    const unsigned char *codes, *zero_points;
    const float *scales;
    size_t block, blocks; /* columns that share a scale; how many such there are in a row */
    unsigned bits;
};

static unsigned code_at(const unsigned char *codes, size_t i, unsigned bits) {
    unsigned per = 8 / bits;
    return codes[i / per] >> (i % per * bits) & ((1u << bits) - 1);
}

/* Zero points lie as the scales do, packed along their last dim. */
static float zero_point(const struct layer *l, size_t row, size_t block, bool by_block) {
    size_t per = 8 / l->bits;
    if (!l->zero_points) return (float)(1u << (l->bits - 1));
    if (by_block)
        return (float)code_at(l->zero_points +
                                  (l->expert * l->rows + row) * ((l->blocks + per - 1) / per),
                              block, l->bits);
    return (float)code_at(l->zero_points + l->expert * ((l->rows + per - 1) / per), row, l->bits);
}

static void unpack_strip(const void *arg, enum ox_isa isa, float *dst, size_t width, size_t batch,
                         size_t k0, size_t k1, size_t j0, size_t j1) {
    const struct layer *l = arg;
    (void)isa;
    (void)batch;
    for (size_t j = j0; j < j0 + width; j++)
        for (size_t k = k0; k < k1;) {
            size_t block = k / l->block, end = (block + 1) * l->block,
                   row = l->expert * l->rows + j;
            if (end > k1) end = k1;
            float scale = j < j1 ? l->scales[row * l->blocks + block] : 0,
                  zp = j < j1 ? zero_point(l, j, block, l->block < l->cols) : 0;
            for (; k < end; k++)
                dst[(k - k0) * width + (j - j0)] =
                    j < j1 ? ((float)code_at(l->codes, row * l->cols + k, l->bits) - zp) * scale
                           : 0;
        }
}

/* y [n, rows] = x [n, cols] times the expert's weights, and the bias. */
static ox_status apply(ox_ctx *ctx, const struct layer *l, float *y, const float *x, size_t n) {
    for (size_t i = 0; l->bias && i < n; i++)
        memcpy(y + i * l->rows, l->bias + l->expert * l->rows, l->rows * sizeof *y);
    if (n == 0 || l->rows == 0) return OX_OK;
    struct ox_gemm g = {.m = n,
                        .n = l->rows,
                        .k = l->cols,
                        .a = x,
                        .a_rs = l->cols,
                        .a_cs = 1,
                        .c = y,
                        .c_rs = l->rows,
                        .add = l->bias != NULL};
    if (l->codes) {
        g.pack = unpack_strip;
        g.pack_arg = l;
    } else {
        g.b = l->weights + l->expert * l->rows * l->cols;
        g.b_rs = 1;
        g.b_cs = l->cols;
    }
    return ox_gemm(ctx, &g);
}

static const ox_tensor *input_at(const struct ox_call *call, const ox_tensor *const *in, size_t i) {
    return i < call->n_in ? in[i] : NULL;
}

static ox_status wrong(const struct ox_call *call, const char *what, const ox_tensor *t,
                       size_t experts, size_t rows, size_t cols) {
    return ox_bad_shape(call, "%s %s for %zu experts of %zu outputs and %zu inputs", what,
                        t ? ox_dims_text(t->rank, t->dims).text : "are absent", experts, rows,
                        cols);
}

static bool has_dims(const ox_tensor *t, int rank, size_t a, size_t b, size_t c) {
    return t->rank == rank && (size_t)t->dims[0] == a && (rank < 2 || (size_t)t->dims[1] == b) &&
           (rank < 3 || (size_t)t->dims[2] == c);
}

static ox_status open_layer(struct layer *l, const struct ox_call *call,
                            const struct ox_moe_params *p, const ox_tensor *const *in, int which,
                            size_t experts, size_t rows, size_t cols) {
    const struct layer_inputs *at = &inputs_of(call)[which];
    const ox_tensor *w = input_at(call, in, at->weights), *b = input_at(call, in, at->bias),
                    *s = input_at(call, in, at->scales), *z = input_at(call, in, at->zero_points);
    size_t per = p->bits ? 8 / (size_t)p->bits : 1;
    *l = (struct layer){.rows = rows,
                        .cols = cols,
                        .bits = (unsigned)p->bits,
                        .block = p->block ? (size_t)p->block
                                 : cols   ? cols
                                          : 1};
    if (!w || cols % per != 0 || !has_dims(w, 3, experts, rows, cols / per))
        return wrong(call, "weights", w, experts, rows, cols);
    if (b && !has_dims(b, 2, experts, rows, 0))
        return wrong(call, "biases", b, experts, rows, cols);
    l->bias = b ? ox_elements(b) : NULL;
    if (!p->bits) {
        l->weights = ox_elements(w);
        return OX_OK;
    }
    if (cols % l->block != 0)
        return ox_bad_shape(call, "%zu inputs of an expert are no multiple of the blocks of %zu",
                            cols, l->block);
    l->blocks = cols / l->block;
    bool flat = s && s->rank == 2 && l->blocks == 1;
    if (!s || (!flat && !has_dims(s, 3, experts, rows, l->blocks)) ||
        (flat && !has_dims(s, 2, experts, rows, 0)))
        return wrong(call, "scales", s, experts, rows, cols);
    bool by_block = l->block < cols;
    if (z && !(by_block ? has_dims(z, 3, experts, rows, (l->blocks + per - 1) / per)
                        : has_dims(z, 2, experts, (rows + per - 1) / per, 0)))
        return wrong(call, "zero points", z, experts, rows, cols);
    l->codes = ox_elements(w);
    l->scales = ox_elements(s);
    l->zero_points = z ? ox_elements(z) : NULL;
    return OX_OK;
}

/* ---- routing --------------------------------------------------------------------------------- */

struct mixture {
    const struct ox_moe_params *p;
    struct layer up, down, gate; /* fc1, fc2, fc3 */
    bool gated;                  /* there is a gate of its own */
    size_t tokens, width, experts, k;
    size_t *chosen;                /* [tokens, k] */
    float *share;                  /* [tokens, k] */
    float *softmax;                /* of one token */
    float *x, *hidden, *other, *y; /* of the tokens of one expert */
    size_t *rows;                  /* which tokens these are */
};

/* The k largest of a token's scores, the first of equal ones; shares are the softmax over all
 * experts, or what `shares` says. */
static void route(struct mixture *m, size_t token, const float *scores, const float *shares) {
    size_t *chosen = m->chosen + token * m->k;
    float *share = m->share + token * m->k, most = -INFINITY, sum = 0, total = 0;
    for (size_t e = 0; e < m->experts; e++)
        most = scores[e] > most ? scores[e] : most;
    for (size_t e = 0; e < m->experts; e++)
        sum += m->softmax[e] = expf(scores[e] - most);
    for (size_t n = 0; n < m->k; n++) {
        size_t best = m->experts;
        for (size_t e = 0; e < m->experts; e++) {
            bool taken = false;
            for (size_t i = 0; i < n; i++)
                taken = taken || chosen[i] == e;
            if (!taken && (best == m->experts || scores[e] > scores[best])) best = e;
        }
        chosen[n] = best;
        share[n] = shares ? shares[best] : m->softmax[best] / sum;
        total += share[n];
    }
    /* ONNX Runtime's QMoE takes the softmax of the chosen alone, whatever the attribute says. */
    bool normalize = m->p->normalize || (m->p->bits && !shares);
    for (size_t n = 0; normalize && n < m->k; n++)
        share[n] /= total;
}

/* ---- an expert ------------------------------------------------------------------------------- */

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

static float activate(enum ox_moe_activation a, float x) {
    switch (a) {
    case OX_MOE_RELU:
        return x > 0 || isnan(x) ? x : 0;
    case OX_MOE_GELU:
        return .5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    case OX_MOE_SILU:
        return x * sigmoid(x);
    default:
        return x;
    }
}

static float swiglu(const struct ox_moe_params *p, float gate, float value) {
    gate = gate > p->limit ? p->limit : gate;
    value = value > p->limit ? p->limit : value < -p->limit ? -p->limit : value;
    return gate * sigmoid(p->alpha * gate) * (value + p->beta);
}

/* What the second product gets, [n, inner], in place of what the first made. */
static void between(const struct mixture *m, size_t n) {
    const struct ox_moe_params *p = m->p;
    size_t inner = m->down.cols;
    float *h = m->hidden;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < inner; k++) {
            const float *row = m->hidden + i * m->up.rows,
                        *other = m->gated ? m->other + i * inner : NULL;
            if (p->fusion == 1)
                *h++ =
                    swiglu(p, row[2 * k],
                           row[2 * k + 1]); /* what is overwritten has been read: h runs behind */
            else if (p->fusion == 2)
                m->other[i * inner + k] = swiglu(p, row[k], row[inner + k]);
            else if (p->activation == OX_MOE_SWIGLU)
                *h++ = swiglu(p, row[k], other[k]);
            else
                *h++ = activate(p->activation, row[k]) * (other ? other[k] : 1);
        }
    if (p->fusion == 2 && n > 0 && inner > 0)
        memcpy(m->hidden, m->other, n * inner * sizeof *m->hidden);
}

static ox_status run_expert(struct mixture *m, const struct ox_call *call, size_t expert,
                            const float *x, float *out) {
    size_t n = 0;
    for (size_t t = 0; t < m->tokens; t++)
        for (size_t i = 0; i < m->k; i++)
            if (m->chosen[t * m->k + i] == expert && m->share[t * m->k + i] != 0)
                m->rows[n++] = t * m->k + i;
    for (size_t i = 0; i < n; i++)
        memcpy(m->x + i * m->width, x + m->rows[i] / m->k * m->width, m->width * sizeof *x);
    m->up.expert = m->down.expert = m->gate.expert = expert;
    OX_TRY(apply(call->ctx, &m->up, m->hidden, m->x, n));
    if (m->gated) OX_TRY(apply(call->ctx, &m->gate, m->other, m->x, n));
    between(m, n);
    OX_TRY(apply(call->ctx, &m->down, m->y, m->hidden, n));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m->width; k++)
            out[m->rows[i] / m->k * m->width + k] += m->share[m->rows[i]] * m->y[i * m->width + k];
    return OX_OK;
}

/* ---- eval ------------------------------------------------------------------------------------ */

static ox_status take(const struct ox_call *call, void *out, size_t a, size_t b, size_t size) {
    size_t n;
    if (ox_mul_size(&n, a, b))
        return ox_bad_shape(call, "the experts of %s are too large", call->op->name);
    return ox_alloc(call->ctx, out, n, size);
}

static ox_status open_mixture(struct mixture *m, const struct ox_call *call,
                              const ox_tensor *const *in) {
    const struct ox_moe_params *p = m->p;
    const struct layer_inputs *at = inputs_of(call);
    const ox_tensor *x = in[INPUT], *router = in[ROUTER], *down = input_at(call, in, at[1].weights);
    OX_TRY(ox_expect_rank(call, INPUT, x->rank, 2, 3));
    OX_TRY(ox_expect_rank(call, ROUTER, router->rank, 2, 2));
    OX_TRY(ox_expect_rank(call, at[1].weights, down->rank, 3, 3));
    m->width = (size_t)x->dims[x->rank - 1];
    if (ox_mul_size(&m->tokens, (size_t)x->dims[0], x->rank == 3 ? (size_t)x->dims[1] : 1))
        return ox_bad_shape(call, "too many tokens");
    m->experts = (size_t)router->dims[1];
    m->k = (size_t)p->k;
    if ((size_t)router->dims[0] != m->tokens || m->experts < m->k)
        return ox_bad_shape(call, "router scores %s for %zu tokens and %zu experts each",
                            ox_dims_text(2, router->dims).text, m->tokens, m->k);
    size_t inner = (size_t)down->dims[2] * (p->bits ? 8 / (size_t)p->bits : 1);
    m->gated = input_at(call, in, at[2].weights) != NULL;
    if (m->gated == (p->fusion != 0) && (m->gated || p->activation == OX_MOE_SWIGLU))
        return ox_bad_shape(call, "%s with swiglu_fusion %d has %s third product", call->op->name,
                            p->fusion, m->gated ? "a" : "no");
    OX_TRY(open_layer(&m->up, call, p, in, 0, m->experts, p->fusion ? 2 * inner : inner, m->width));
    OX_TRY(open_layer(&m->down, call, p, in, 1, m->experts, m->width, inner));
    if (m->gated) OX_TRY(open_layer(&m->gate, call, p, in, 2, m->experts, inner, m->width));
    return OX_OK;
}

static ox_status mix(struct mixture *m, const struct ox_call *call, const ox_tensor *const *in,
                     ox_tensor **out) {
    const ox_tensor *shares = m->p->bits ? input_at(call, in, SHARES) : NULL;
    size_t routes;
    void *data;
    if (shares && !has_dims(shares, 2, m->tokens, m->experts, 0))
        return ox_bad_shape(call, "router weights %s",
                            ox_dims_text(shares->rank, shares->dims).text);
    OX_TRY(ox_tensor_new(&out[0], &data, call->ctx, OX_FLOAT, in[INPUT]->rank, in[INPUT]->dims));
    if (ox_mul_size(&routes, m->tokens, m->k)) return ox_bad_shape(call, "too many tokens");
    OX_TRY(ox_alloc(call->ctx, &m->chosen, routes, sizeof *m->chosen));
    OX_TRY(ox_alloc(call->ctx, &m->share, routes, sizeof *m->share));
    OX_TRY(ox_alloc(call->ctx, &m->softmax, m->experts, sizeof *m->softmax));
    OX_TRY(ox_alloc(call->ctx, &m->rows, m->tokens, sizeof *m->rows));
    OX_TRY(take(call, &m->x, m->tokens, m->width, sizeof(float)));
    OX_TRY(take(call, &m->y, m->tokens, m->width, sizeof(float)));
    OX_TRY(take(call, &m->hidden, m->tokens, m->up.rows, sizeof(float)));
    OX_TRY(take(call, &m->other, m->tokens, m->gated || m->p->fusion == 2 ? m->down.cols : 0,
                sizeof(float)));
    const float *scores = ox_elements(in[ROUTER]), *of = shares ? ox_elements(shares) : NULL;
    for (size_t t = 0; t < m->tokens; t++)
        route(m, t, scores + t * m->experts, of ? of + t * m->experts : NULL);
    for (size_t e = 0; e < m->experts && m->tokens && m->width; e++)
        OX_TRY(run_expert(m, call, e, ox_elements(in[INPUT]), data));
    return OX_OK;
}

static ox_status eval_float(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    struct mixture m = {.p = params};
    ox_status s = open_mixture(&m, call, in);
    if (s == OX_OK) s = mix(&m, call, in, out);
    ox_free(call->ctx, m.chosen);
    ox_free(call->ctx, m.share);
    ox_free(call->ctx, m.softmax);
    ox_free(call->ctx, m.rows);
    ox_free(call->ctx, m.x);
    ox_free(call->ctx, m.y);
    ox_free(call->ctx, m.hidden);
    ox_free(call->ctx, m.other);
    return s;
}

ox_status ox_eval_moe(const struct ox_call *call, const void *params, const ox_tensor *const *in,
                      ox_tensor **out) {
    if (call->n_in > SHARES + 1)
        return ox_no_kernel(call, "%s with scales of floats of 4 or 8 bits", call->op->name);
    bool narrow = false;
    for (size_t i = 0; i < call->n_in; i++) {
        if (in[i]) OX_TRY(check_types(call, i, in[i]->dtype, in[0]->dtype));
        narrow = narrow || (in[i] && ox_is_narrow(in[i]->dtype));
    }
    if (!in[INPUT] || !in[ROUTER] || !input_at(call, in, inputs_of(call)[1].weights))
        return ox_fail(call->ctx, OX_INVALID, "missing-input", NULL,
                       "%s lacks data, scores or weights", call->op->name);
    if (narrow)
        return ox_eval_wide(eval_float, call, params, in, out, ox_is_narrow(in[0]->dtype) ? 1 : 0);
    return eval_float(call, params, in, out);
}
