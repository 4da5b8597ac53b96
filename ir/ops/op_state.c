/* ir/ops/op_state.c - operators that carry a state from call to call: CausalConvWithState and
 * LinearAttention.
 *
 * Source: ONNX operator specification, opset 27. Both are computed in float, whatever the type of
 * the data. */
#include "ir/ops/op_args.h"
#include "ir/ops/op_narrow.h"
#include "ir/ops/op_priv.h"
#include <math.h>

#define STATE_TYPES (OX_BIT(OX_FLOAT) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16))

/* ---- CausalConvWithState --------------------------------------------------------------------- */

ox_status ox_decode_causal_conv(const struct ox_call *call, void *params) {
    static const char *const activations[] = {"none", "silu", "swish", NULL};
    int which;
    OX_TRY(ox_attr_choice(&which, call, "activation", activations, 0));
    ((struct ox_causal_conv_params *)params)->silu = which > 0;
    return OX_OK;
}

ox_status ox_infer_causal_conv(const struct ox_call *call, const void *params,
                               struct ox_infer *io) {
    (void)params;
    for (size_t i = 0; i < call->n_in; i++) {
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), STATE_TYPES));
        OX_TRY(ox_expect_same_dtype(call, 0, ox_in_dtype(io, 0), i, ox_in_dtype(io, i)));
    }
    OX_TRY(ox_expect_rank(call, 0, ox_in_rank(io, 0), 3, 3));
    OX_TRY(ox_expect_rank(call, 1, ox_in_rank(io, 1), 3, 3));
    OX_TRY(ox_infer_same(io, 0, 0));
    if (call->n_out < 2) return OX_OK;
    if (ox_in_rank(io, 0) < 0 || ox_in_rank(io, 1) < 0)
        return ox_infer_rank(io, 1, ox_in_dtype(io, 0), 3);
    ox_dim dims[3] = {io->in[0]->dims[0], io->in[0]->dims[1]};
    OX_TRY(ox_dim_sub(&dims[2], io->dims, io->in[1]->dims[2], ox_dim_const(1)));
    if (!ox_dim_ge(dims[2], 0)) OX_TRY(ox_dim_unknown(&dims[2], io->dims));
    return ox_infer_tensor(io, 1, ox_in_dtype(io, 0), 3, dims);
}

struct causal_conv {
    const float *x, *w, *bias, *past; /* bias and past may be NULL */
    float *y, *present;
    size_t channels, length, taps;
    bool silu;
};

/* Element i of a row that begins with the state (taps - 1 elements). */
static float padded(const struct causal_conv *c, size_t row, size_t i) {
    size_t state = c->taps - 1;
    if (i >= state) return c->x[row * c->length + i - state];
    return c->past ? c->past[row * state + i] : 0;
}

static void conv_rows(void *arg, size_t begin, size_t end) {
    const struct causal_conv *c = arg;
    for (size_t row = begin; row < end; row++) {
        const float *w = c->w + row % c->channels * c->taps;
        float bias = c->bias ? c->bias[row % c->channels] : 0;
        for (size_t i = 0; i < c->length; i++) {
            float sum = 0;
            for (size_t k = 0; k < c->taps; k++)
                sum += w[k] * padded(c, row, i + k);
            sum += bias;
            c->y[row * c->length + i] = c->silu ? sum / (1 + expf(-sum)) : sum;
        }
        for (size_t i = 0; c->present && i + 1 < c->taps; i++)
            c->present[row * (c->taps - 1) + i] = padded(c, row, c->length + i);
    }
}

static ox_status check_causal_conv(const struct ox_call *call, const ox_tensor *const *in) {
    const ox_tensor *x = in[0], *w = in[1], *bias = ox_has_input(call, 2) ? in[2] : NULL,
                    *past = ox_has_input(call, 3) ? in[3] : NULL;
    for (size_t i = 0; i < call->n_in; i++)
        if (in[i] && in[i]->dtype != OX_FLOAT)
            return ox_no_kernel(call, "%s has no kernel for %s", call->op->name,
                                ox_dtype_name(in[i]->dtype));
    if (x->rank != 3 || w->rank != 3 || w->dims[0] != x->dims[1] || w->dims[1] != 1 ||
        w->dims[2] < 1)
        return ox_bad_shape(call, "data %s and weight %s do not fit each other",
                            ox_dims_text(x->rank, x->dims).text,
                            ox_dims_text(w->rank, w->dims).text);
    if (bias && (bias->rank != 1 || bias->dims[0] != x->dims[1]))
        return ox_bad_shape(call, "bias is %s for %lld channels",
                            ox_dims_text(bias->rank, bias->dims).text, (long long)x->dims[1]);
    if (past && (past->rank != 3 || past->dims[0] != x->dims[0] || past->dims[1] != x->dims[1] ||
                 past->dims[2] != w->dims[2] - 1))
        return ox_bad_shape(call, "past_state is %s, expected [%lld,%lld,%lld]",
                            ox_dims_text(past->rank, past->dims).text, (long long)x->dims[0],
                            (long long)x->dims[1], (long long)w->dims[2] - 1);
    return OX_OK;
}

static ox_status eval_causal_conv(const struct ox_call *call, const void *params,
                                  const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_causal_conv_params *p = params;
    void *y, *present = NULL;
    OX_TRY(check_causal_conv(call, in));
    int64_t dims[3] = {in[0]->dims[0], in[0]->dims[1], in[1]->dims[2] - 1};
    OX_TRY(ox_tensor_new_raw(&out[0], &y, call->ctx, OX_FLOAT, 3, in[0]->dims));
    if (call->n_out > 1) OX_TRY(ox_tensor_new_raw(&out[1], &present, call->ctx, OX_FLOAT, 3, dims));
    struct causal_conv c = {ox_elements(in[0]),
                            ox_elements(in[1]),
                            ox_has_input(call, 2) ? ox_elements(in[2]) : NULL,
                            ox_has_input(call, 3) ? ox_elements(in[3]) : NULL,
                            y,
                            present,
                            (size_t)dims[1],
                            (size_t)in[0]->dims[2],
                            (size_t)in[1]->dims[2],
                            p->silu};
    if (in[0]->count || (out[1] && out[1]->count))
        ox_parallel(call->ctx, (size_t)dims[0] * (size_t)dims[1],
                    1 + 10000 / (c.length * c.taps + 1), conv_rows, &c);
    return OX_OK;
}

ox_status ox_eval_causal_conv(const struct ox_call *call, const void *params,
                              const ox_tensor *const *in, ox_tensor **out) {
    if (ox_is_narrow(in[0]->dtype)) return ox_eval_wide(eval_causal_conv, call, params, in, out, 3);
    return eval_causal_conv(call, params, in, out);
}

/* ---- LinearAttention ------------------------------------------------------------------------- */

enum { QUERY, KEY, VALUE, PAST, DECAY, BETA };

ox_status ox_decode_linear_attention(const struct ox_call *call, void *params) {
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta", NULL};
    struct ox_linear_attention_params *p = params;
    int rule;
    OX_TRY(ox_attr_choice(&rule, call, "update_rule", rules, 3));
    p->gated = rule == 1 || rule == 3;
    p->delta = rule >= 2;
    OX_TRY(ox_attr_float(&p->scale, call, "scale", 0));
    OX_TRY(ox_attr_int(&p->heads, call, "q_num_heads", 0));
    OX_TRY(ox_attr_int(&p->kv_heads, call, "kv_num_heads", 0));
    if (p->heads < 1 || p->kv_heads < 1 || p->heads % p->kv_heads != 0)
        return ox_bad_attr(call, "q_num_heads is %lld, kv_num_heads %lld", (long long)p->heads,
                           (long long)p->kv_heads);
    if (p->gated != ox_has_input(call, DECAY))
        return ox_bad_shape(call, "update_rule %s%s decay", rules[rule],
                            p->gated ? " needs" : " takes no");
    if (p->delta != ox_has_input(call, BETA))
        return ox_bad_shape(call, "update_rule %s%s beta", rules[rule],
                            p->delta ? " needs" : " takes no");
    return OX_OK;
}

ox_status ox_infer_linear_attention(const struct ox_call *call, const void *params,
                                    struct ox_infer *io) {
    const struct ox_linear_attention_params *p = params;
    ox_dtype dtype = ox_in_dtype(io, 0),
             state = ox_has_input(call, PAST) ? ox_in_dtype(io, PAST) : dtype;
    ox_dim dims[4], size;
    for (size_t i = 0; i < call->n_in; i++)
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), STATE_TYPES));
    for (size_t i = 0; i < 3; i++)
        OX_TRY(ox_expect_rank(call, i, ox_in_rank(io, i), 3, 3));
    if (ox_in_rank(io, QUERY) < 0 || ox_in_rank(io, VALUE) < 0) {
        OX_TRY(ox_infer_rank(io, 0, dtype, 3));
        return call->n_out > 1 ? ox_infer_rank(io, 1, state, 4) : OX_OK;
    }
    const ox_dim *q = io->in[QUERY]->dims;
    OX_TRY(ox_dim_floordiv(&size, io->dims, io->in[VALUE]->dims[2], ox_dim_const(p->kv_heads)));
    dims[0] = q[0];
    dims[1] = q[1];
    OX_TRY(ox_dim_mul(&dims[2], io->dims, size, ox_dim_const(p->heads)));
    OX_TRY(ox_infer_tensor(io, 0, dtype, 3, dims));
    if (call->n_out < 2) return OX_OK;
    dims[1] = ox_dim_const(p->kv_heads);
    OX_TRY(ox_dim_floordiv(&dims[2], io->dims, q[2], ox_dim_const(p->heads)));
    dims[3] = size;
    return ox_infer_tensor(io, 1, state, 4, dims);
}

struct linear_attention {
    const float *q, *k, *v, *decay, *beta; /* decay and beta may be NULL */
    float *y, *state;                      /* state: [batch, kv_heads, k_size, v_size] */
    float *row;                            /* of v_size, for each pair of batch item and kv head */
    size_t length, heads, kv_heads, k_size, v_size, decays,
        betas; /* decays, betas: in the last dim */
    float scale;
};

/* The state forgets, and takes in what the key does not yet say of the value. */
static void update_state(const struct linear_attention *a, size_t pair, size_t t) {
    size_t b = pair / a->kv_heads, h = pair % a->kv_heads, at = b * a->length + t, n = a->v_size;
    const float *k = a->k + (at * a->kv_heads + h) * a->k_size,
                *v = a->v + (at * a->kv_heads + h) * n;
    float *state = a->state + pair * a->k_size * n, *row = a->row + pair * n;
    for (size_t d = 0; a->decay && d < a->k_size; d++) {
        size_t which = a->decays == a->kv_heads ? h : h * a->k_size + d;
        float g = expf(a->decay[at * a->decays + which]);
        for (size_t m = 0; m < n; m++)
            state[d * n + m] *= g;
    }
    memcpy(row, v, n * sizeof *row);
    if (a->beta) {
        float beta = a->beta[at * a->betas + (a->betas == 1 ? 0 : h)];
        for (size_t d = 0; d < a->k_size; d++)
            for (size_t m = 0; m < n; m++)
                row[m] -= state[d * n + m] * k[d];
        for (size_t m = 0; m < n; m++)
            row[m] *= beta;
    }
    for (size_t d = 0; d < a->k_size; d++)
        for (size_t m = 0; m < n; m++)
            state[d * n + m] += k[d] * row[m];
}

static void read_state(const struct linear_attention *a, size_t pair, size_t t) {
    size_t b = pair / a->kv_heads, h = pair % a->kv_heads, at = b * a->length + t, n = a->v_size,
           group = a->heads / a->kv_heads;
    const float *state = a->state + pair * a->k_size * n;
    for (size_t g = h * group; g < (h + 1) * group; g++) {
        const float *q = a->q + (at * a->heads + g) * a->k_size;
        float *y = a->y + (at * a->heads + g) * n;
        memset(y, 0, n * sizeof *y);
        for (size_t d = 0; d < a->k_size; d++)
            for (size_t m = 0; m < n; m++)
                y[m] += q[d] * state[d * n + m];
        for (size_t m = 0; m < n; m++)
            y[m] *= a->scale;
    }
}

static void attend(void *arg, size_t begin, size_t end) {
    const struct linear_attention *a = arg;
    for (size_t pair = begin; pair < end; pair++)
        for (size_t t = 0; t < a->length; t++) {
            update_state(a, pair, t);
            read_state(a, pair, t);
        }
}

/* Sizes of the heads, and everything that must fit them. */
static ox_status measure(struct linear_attention *a, const struct ox_call *call,
                         const struct ox_linear_attention_params *p, const ox_tensor *const *in) {
    int64_t batch = in[QUERY]->rank ? in[QUERY]->dims[0] : 0,
            length = in[QUERY]->rank > 1 ? in[QUERY]->dims[1] : 0;
    for (size_t i = 0; i < call->n_in; i++) {
        if (!ox_has_input(call, i) || i == PAST) continue;
        OX_TRY(ox_expect_dtype(call, i, in[i]->dtype, STATE_TYPES));
        if (in[i]->rank != 3 || in[i]->dims[0] != batch || in[i]->dims[1] != length)
            return ox_bad_shape(call, "input %zu is %s, expected [%lld,%lld,*]", i,
                                ox_dims_text(in[i]->rank, in[i]->dims).text, (long long)batch,
                                (long long)length);
    }
    int64_t q = in[QUERY]->dims[2], k = in[KEY]->dims[2], v = in[VALUE]->dims[2];
    if (q % p->heads || k % p->kv_heads || v % p->kv_heads || q / p->heads != k / p->kv_heads)
        return ox_bad_shape(call,
                            "queries of %lld, keys of %lld and values of %lld elements cannot be "
                            "split into %lld and %lld heads",
                            (long long)q, (long long)k, (long long)v, (long long)p->heads,
                            (long long)p->kv_heads);
    a->length = (size_t)length;
    a->heads = (size_t)p->heads;
    a->kv_heads = (size_t)p->kv_heads;
    a->k_size = (size_t)(k / p->kv_heads);
    a->v_size = (size_t)(v / p->kv_heads);
    a->decays = p->gated ? (size_t)in[DECAY]->dims[2] : 0;
    a->betas = p->delta ? (size_t)in[BETA]->dims[2] : 0;
    if ((p->gated && a->decays != a->kv_heads && a->decays != a->kv_heads * a->k_size) ||
        (p->delta && a->betas != a->kv_heads && a->betas != 1))
        return ox_bad_shape(call, "decay of %zu and beta of %zu elements for %zu heads", a->decays,
                            a->betas, a->kv_heads);
    a->scale = p->scale != 0 ? p->scale : (float)(1 / sqrt((double)a->k_size));
    return OX_OK;
}

/* The state in float, to be worked on in place. */
static ox_status start_state(struct linear_attention *a, ox_tensor **state,
                             const struct ox_call *call, const ox_tensor *past, int64_t batch) {
    int64_t dims[4] = {batch, (int64_t)a->kv_heads, (int64_t)a->k_size, (int64_t)a->v_size};
    void *data;
    if (past && (past->rank != 4 || memcmp(past->dims, dims, sizeof dims) != 0))
        return ox_bad_shape(call, "past_state is %s, expected %s",
                            ox_dims_text(past->rank, past->dims).text, ox_dims_text(4, dims).text);
    OX_TRY(ox_tensor_new(state, &data, call->ctx, OX_FLOAT, 4, dims));
    a->state = data;
    if (!past) return OX_OK;
    ox_tensor *wide;
    OX_TRY(ox_expect_dtype(call, PAST, past->dtype, STATE_TYPES));
    OX_TRY(ox_tensor_to(&wide, call->ctx, past, OX_FLOAT));
    if (past->count) memcpy(data, wide->data, wide->size);
    ox_tensor_unref(wide);
    return OX_OK;
}

static ox_status run_linear_attention(struct linear_attention *a, ox_tensor **wide,
                                      ox_tensor **state, const struct ox_call *call,
                                      const ox_tensor *const *in, ox_tensor **y) {
    const float **operands[] = {&a->q, &a->k, &a->v, NULL, &a->decay, &a->beta};
    int64_t batch = in[QUERY]->dims[0],
            dims[3] = {batch, (int64_t)a->length, (int64_t)(a->heads * a->v_size)};
    void *data;
    for (size_t i = 0; i < call->n_in; i++) {
        if (i == PAST || !ox_has_input(call, i)) continue;
        OX_TRY(ox_tensor_to(&wide[i], call->ctx, in[i], OX_FLOAT));
        *operands[i] = ox_elements(wide[i]);
    }
    OX_TRY(start_state(a, state, call, ox_has_input(call, PAST) ? in[PAST] : NULL, batch));
    OX_TRY(ox_tensor_new(y, &data, call->ctx, OX_FLOAT, 3, dims));
    a->y = data;
    size_t pairs = (size_t)batch * a->kv_heads;
    OX_TRY(ox_alloc(call->ctx, &a->row, pairs, a->v_size * sizeof *a->row));
    if (a->v_size && a->length) ox_parallel(call->ctx, pairs, 1, attend, a);
    return OX_OK;
}

ox_status ox_eval_linear_attention(const struct ox_call *call, const void *params,
                                   const ox_tensor *const *in, ox_tensor **out) {
    struct linear_attention a = {.row = NULL};
    ox_tensor *wide[6] = {NULL}, *state = NULL, *y = NULL;
    OX_TRY(measure(&a, call, params, in));
    ox_status s = run_linear_attention(&a, wide, &state, call, in, &y);
    if (s == OX_OK) s = ox_tensor_to(&out[0], call->ctx, y, in[QUERY]->dtype);
    if (s == OX_OK && call->n_out > 1)
        s = ox_tensor_to(&out[1], call->ctx, state,
                         ox_has_input(call, PAST) ? in[PAST]->dtype : in[QUERY]->dtype);
    for (size_t i = 0; i < 6; i++)
        ox_tensor_unref(wide[i]);
    ox_tensor_unref(state);
    ox_tensor_unref(y);
    ox_free(call->ctx, a.row);
    return s;
}
