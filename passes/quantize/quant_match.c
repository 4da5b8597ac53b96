/* passes/quantize/quant_match.c - see quant_match.h. */
#include "passes/quantize/quant_match.h"

#include <math.h>

/* A channel whose deviation would have to grow more than this is as good as constant. */
#define GAIN_MAX 1000.0

struct ox_qmatched {
    const struct ox_norm_stat *noted;
    double count, *sum, *squares; /* of channels, since the mode was set */
    float *gain, *shift;
};

static void matched_free(struct ox_qmatched *m, ox_ctx *ctx) {
    if (!m) return;
    ox_free(ctx, m->sum);
    ox_free(ctx, m->squares);
    ox_free(ctx, m->gain);
    ox_free(ctx, m->shift);
    ox_free(ctx, m);
}

static ox_status matched_new(struct ox_qmatched **out, ox_ctx *ctx,
                             const struct ox_norm_stat *noted) {
    struct ox_qmatched *m;
    OX_TRY(ox_alloc(ctx, &m, 1, sizeof *m));
    m->noted = noted;
    ox_status s = ox_alloc(ctx, &m->sum, noted->n, sizeof *m->sum);
    if (s == OX_OK) s = ox_alloc(ctx, &m->squares, noted->n, sizeof *m->squares);
    if (s == OX_OK) s = ox_alloc(ctx, &m->gain, noted->n, sizeof *m->gain);
    if (s == OX_OK) s = ox_alloc(ctx, &m->shift, noted->n, sizeof *m->shift);
    if (s != OX_OK) {
        matched_free(m, ctx);
        return s;
    }
    for (size_t c = 0; c < noted->n; c++)
        m->gain[c] = 1;
    *out = m;
    return OX_OK;
}

/* Channels are dim 1 still: no pass moved them. */
static bool fits(const struct ox_norm_stat *noted, const struct ox_type *t) {
    return ox_type_is_tensor(t) && t->dtype == OX_FLOAT && t->rank >= 2 &&
           ox_dim_is_const(t->dims[1]) && (uint64_t)t->dims[1].k == noted->n;
}

ox_status ox_qmatch_init(struct ox_qmatch *match, const struct ox_qplan *plan,
                         const struct ox_norm_stats *norms) {
    *match = (struct ox_qmatch){.ctx = plan->ctx, .n_values = plan->n_values};
    OX_TRY(ox_alloc(plan->ctx, &match->values, plan->n_values, sizeof(struct ox_qmatched *)));
    ox_status s = OX_OK;
    for (const struct ox_node *n = ox_graph_begin(plan->graph); n && s == OX_OK;
         n = ox_node_next(n)) {
        const struct ox_value *v = ox_node_out(n, 0);
        const struct ox_norm_stat *noted = v ? ox_norm_stats_find(norms, v->name) : NULL;
        if (!noted || !fits(noted, v->type)) continue;
        s = matched_new(&match->values[v->id], plan->ctx, noted);
        match->n += s == OX_OK;
    }
    if (s != OX_OK) ox_qmatch_fini(match);
    return s;
}

void ox_qmatch_fini(struct ox_qmatch *match) {
    for (size_t i = 0; match->values && i < match->n_values; i++)
        matched_free(match->values[i], match->ctx);
    if (match->values) ox_free(match->ctx, match->values);
    *match = (struct ox_qmatch){0};
}

/* ---- one tensor --------------------------------------------------------------------------------
 */

struct job {
    struct ox_qmatched *m;
    const float *x;
    float *y;
    size_t outer, inner; /* x is [outer][n][inner] */
    uint32_t seed;
    bool sums, update;
};

static void update_channel(struct ox_qmatched *m, size_t c) {
    double mean = m->sum[c] / m->count, variance = fmax(0, m->squares[c] / m->count - mean * mean),
           want = m->noted->dev[c];
    double gain = variance > 0 ? want / sqrt(variance) : INFINITY;
    /* A deviation of zero, wanted and there, is fine. */
    if (want == 0) gain = 0;
    m->gain[c] = gain <= GAIN_MAX ? (float)gain : INFINITY;
    m->shift[c] = (float)(m->noted->mean[c] - (gain <= GAIN_MAX ? gain * mean : 0));
}

/* About normal, from a counter: no state, so the same element gets the same number each time. */
static double noise_at(uint32_t seed, size_t i) {
    double sum = -2;
    uint64_t z = ((uint64_t)seed << 32) ^ i;
    for (int k = 0; k < 4; k++) {
        z += 0x9e3779b97f4a7c15u;
        uint64_t r = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        r = (r ^ r >> 27) * 0x94d049bb133111ebu;
        sum += (double)(r >> 11) / 9007199254740992.0;
    }
    return sum * 1.7320508075688772; /* four uniforms have variance 1/3 */
}

static void match_channels(void *arg, size_t first, size_t last) {
    const struct job *j = arg;
    struct ox_qmatched *m = j->m;
    for (size_t c = first; c < last; c++) {
        for (size_t o = 0; o < j->outer && j->sums; o++) {
            const float *x = j->x + (o * m->noted->n + c) * j->inner;
            for (size_t i = 0; i < j->inner; i++) {
                if (!(fabsf(x[i]) <= FLT_MAX)) continue;
                m->sum[c] += x[i];
                m->squares[c] += (double)x[i] * x[i];
            }
        }
        if (j->update) update_channel(m, c);
        float gain = m->gain[c], shift = m->shift[c];
        double dev = m->noted->dev[c];
        for (size_t o = 0; o < j->outer; o++) {
            size_t at = (o * m->noted->n + c) * j->inner;
            for (size_t i = at; i < at + j->inner; i++)
                j->y[i] = gain < INFINITY ? gain * j->x[i] + shift
                                          : shift + (float)(dev * noise_at(j->seed, i));
        }
    }
}

ox_status ox_qmatch_apply(struct ox_qmatch *match, const struct ox_value *value,
                          ox_tensor **tensor) {
    struct ox_qmatched *m = value->id < match->n_values ? match->values[value->id] : NULL;
    const ox_tensor *t = *tensor;
    ox_tensor *y;
    void *data;
    if (!m || !t || t->dtype != OX_FLOAT || t->rank < 2 || (uint64_t)t->dims[1] != m->noted->n ||
        t->count == 0)
        return OX_OK;
    size_t outer = (size_t)t->dims[0], inner = t->count / m->noted->n / outer;
    bool learn = match->mode == OX_QMATCH_LEARN;
    OX_TRY(ox_tensor_new(&y, &data, match->ctx, OX_FLOAT, t->rank, t->dims));
    if (match->mode != OX_QMATCH_FIXED) m->count += (double)(outer * inner);
    struct job job = {m,    t->data, data, outer, inner, value->id, match->mode != OX_QMATCH_FIXED,
                      learn};
    ox_parallel(match->ctx, m->noted->n, 1 + 16384 / (outer * inner), match_channels, &job);
    ox_tensor_unref(*tensor);
    *tensor = y;
    return OX_OK;
}

void ox_qmatch_refine(struct ox_qmatch *match) {
    for (size_t i = 0; i < match->n_values; i++) {
        struct ox_qmatched *m = match->values[i];
        for (size_t c = 0; m && m->count > 0 && c < m->noted->n; c++) {
            update_channel(m, c);
            m->sum[c] = m->squares[c] = 0;
        }
        if (m) m->count = 0;
    }
    match->mode = OX_QMATCH_FIXED;
}

ox_status ox_qmatch_reach(bool **out, const struct ox_qmatch *match, const struct ox_qplan *plan) {
    OX_TRY(ox_alloc(plan->ctx, out, plan->n_values, sizeof **out));
    for (size_t i = 0; i < match->n_values; i++)
        (*out)[i] = match->values[i] != NULL;
    for (const struct ox_node *n = ox_graph_begin(plan->graph); n; n = ox_node_next(n)) {
        bool any = false;
        for (size_t i = 0; i < n->n_in; i++)
            any = any || (n->in[i].value && (*out)[n->in[i].value->id]);
        for (size_t i = 0; i < n->n_out && any; i++)
            if (n->out[i]) (*out)[n->out[i]->id] = true;
    }
    return OX_OK;
}
