/* backend/native/lower_norm8.c - QuantizeLinear of a BatchNormalization of joined tensors, as
 * networks have whose layers read all that came before them: what is 8-bit among the joined stays
 * so. A factor and a shift for each channel are a depthwise int8 convolution of one tap, and the
 * factor takes the scale of the operand that the channel comes from: so operands of unlike scales
 * are joined as they are. */
#include "backend/native/lower_util.h"

enum { PIECES_MAX = 64, WEIGHT = 127 };

struct piece {
    const struct ox_value *v;
    struct ox_lower_quant x; /* if ints */
    bool ints;
    int64_t first, channels;
};

struct norm8 {
    struct ox_lower *lo;
    const struct ox_node *node;
    const struct ox_lower_quant *q;
    const float *factor, *shift;
    float low, high;
    int32_t int_low, int_high;
    int rank, n;
    struct piece pieces[PIECES_MAX];
};

/* The pieces of v along axis 1; false: not all known, or none of them 8-bit. */
static bool look(struct norm8 *s, const struct ox_value *v, int64_t channels) {
    const struct ox_node *join = ox_lower_maker(v, "Concat");
    union ox_lower_room room;
    const struct ox_concat_params *c = (const void *)room.bytes;
    int64_t at = 0;
    bool ints = false;
    s->rank = ox_lower_rank(v);
    if (!join || !ox_lower_sole(v) || join->n_in > PIECES_MAX || (s->rank != 3 && s->rank != 4) ||
        !ox_lower_decode(&room, s->lo, join))
        return false;
    if (c->axis != 1 && c->axis + s->rank != 1) return false;
    for (s->n = 0; s->n < (int)join->n_in; s->n++) {
        struct piece *p = &s->pieces[s->n];
        *p = (struct piece){.v = ox_node_in(join, (size_t)s->n), .first = at};
        p->channels = ox_lower_dim(p->v, 1);
        if (p->channels < 1 || p->channels > channels - at || ox_lower_dtype(p->v) != OX_FLOAT ||
            ox_lower_rank(p->v) != s->rank)
            return false;
        p->ints = ox_lower_dequantized(&p->x, s->lo, p->v) &&
                  !ox_lower_value_const(s->lo, p->x.value) && ox_lower_rank(p->x.value) == s->rank;
        ints = ints || p->ints;
        at += p->channels;
    }
    return ints && at == channels;
}

/* A channel's weight, scale and bias: WEIGHT times the scale is the factor. Where the factor is
 * next to nothing beside the shift, the shift alone. */
static void channel(const struct norm8 *s, const struct piece *p, int64_t c, int8_t *w,
                    float *scale, int32_t *bias) {
    const double factor = (double)s->factor[c] * (double)p->x.q.scale, out = (double)s->q->q.scale,
                 unit = fabs(factor) / WEIGHT, units = (double)s->shift[c] / unit;
    if (unit / out >= 0x1p-31 && unit / out < 128 && fabs(units) < 0x1p29) {
        *w = factor < 0 ? -WEIGHT : WEIGHT;
        *scale = (float)unit;
        *bias = (int32_t)rint(units) - p->x.q.zero * *w;
    } else {
        const double alone = rint((double)s->shift[c] / out);
        *w = 0;
        *scale = (float)out;
        *bias = (int32_t)(alone < -4096 ? -4096 : alone > 4096 ? 4096 : alone);
    }
}

/* Factors that are too large for int8 steps, or no numbers. */
static bool extreme(const struct norm8 *s, int64_t channels) {
    for (int i = 0; i < s->n; i++)
        for (int64_t c = s->pieces[i].first;
             s->pieces[i].ints && c < s->pieces[i].first + s->pieces[i].channels; c++) {
            const double f = fabs((double)s->factor[c] * (double)s->pieces[i].x.q.scale) / WEIGHT /
                             (double)s->q->q.scale;
            if (!(f < 128) || !isfinite(s->shift[c]) || c >= channels) return true;
        }
    return false;
}

/* Pieces [from, to), all 8-bit. */
static ox_status ints(ox_operand out, const struct norm8 *s, int from, int to) {
    const int64_t first = s->pieces[from].first,
                  n = s->pieces[to - 1].first + s->pieces[to - 1].channels - first,
                  dims[] = {1, 1, 1, n};
    const struct ox_step_concat_params join = {.axis = (uint32_t)s->rank - 1};
    const struct ox_step_conv_s8_params p = {.window = {{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0},
                                             .groups = (uint32_t)n,
                                             .depthwise = 1,
                                             .in = {1, 0},
                                             .out = s->q->q,
                                             .low = s->int_low,
                                             .high = s->int_high};
    ox_ctx *ctx = ox_lower_model(s->lo)->ctx;
    ox_operand in[PIECES_MAX],
        conv[4] = {OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE, OX_OPERAND_NONE};
    ox_tensor *w, *scales, *bias;
    int8_t *wd;
    float *sd;
    int32_t *bd;
    OX_TRY(ox_tensor_new(&w, (void **)&wd, ctx, OX_INT8, 4, dims));
    OX_TRY(ox_lower_const(&conv[1], s->lo, w));
    OX_TRY(ox_tensor_new(&scales, (void **)&sd, ctx, OX_FLOAT, 1, &n));
    OX_TRY(ox_lower_const(&conv[2], s->lo, scales));
    OX_TRY(ox_tensor_new(&bias, (void **)&bd, ctx, OX_INT32, 1, &n));
    for (int i = from; i < to; i++)
        for (int64_t c = s->pieces[i].first; c < s->pieces[i].first + s->pieces[i].channels; c++)
            channel(s, &s->pieces[i], c, &wd[c - first], &sd[c - first], &bd[c - first]);
    OX_TRY(ox_lower_const(&conv[3], s->lo, bias));
    for (int i = from; i < to; i++)
        OX_TRY(ox_lower_in(&in[i - from], s->lo, s->pieces[i].x.value,
                           s->pieces[i].x.form | OX_FORM_LAST));
    conv[0] = in[0];
    if (to - from > 1) {
        OX_TRY(ox_lower_temp(&conv[0], s->lo));
        OX_TRY(ox_lower_step(s->lo, s->node, OX_STEP_CONCAT, &join, (size_t)(to - from), in, 1,
                             &conv[0]));
    }
    return ox_lower_step(s->lo, s->node, OX_STEP_CONV_S8, &p, 4, conv, 1, &out);
}

/* A piece of floats. */
static ox_status floats(ox_operand out, const struct norm8 *s, const struct piece *piece) {
    const int64_t n = piece->channels, dims[] = {1, 1, 1, n};
    const struct ox_step_conv_params p = {.window = {{1, 1}, {1, 1}, {1, 1}, 0, 0, 0, 0},
                                          .groups = (uint32_t)n,
                                          .depthwise = 1,
                                          .low = s->low,
                                          .high = s->high};
    const struct ox_step_quantize_params to = {s->q->q};
    ox_ctx *ctx = ox_lower_model(s->lo)->ctx;
    ox_operand in[3], scaled;
    ox_tensor *w, *bias;
    OX_TRY(ox_tensor_copy(&w, ctx, OX_FLOAT, 4, dims, s->factor + piece->first,
                          (size_t)n * sizeof *s->factor));
    OX_TRY(ox_lower_const(&in[1], s->lo, w));
    OX_TRY(ox_tensor_copy(&bias, ctx, OX_FLOAT, 1, &n, s->shift + piece->first,
                          (size_t)n * sizeof *s->shift));
    OX_TRY(ox_lower_const(&in[2], s->lo, bias));
    OX_TRY(ox_lower_in(&in[0], s->lo, piece->v, OX_FORM_LAST));
    OX_TRY(ox_lower_temp(&scaled, s->lo));
    OX_TRY(ox_lower_step(s->lo, s->node, OX_STEP_CONV, &p, 3, in, 1, &scaled));
    return ox_lower_step(s->lo, s->node, OX_STEP_QUANTIZE, &to, 1, &scaled, 1, &out);
}

static int run_end(const struct norm8 *s, int i) {
    int to = i + 1;
    while (s->pieces[i].ints && to < s->n && s->pieces[to].ints)
        to++;
    return to;
}

static ox_status emit(const struct norm8 *s) {
    const struct ox_step_concat_params join = {.axis = (uint32_t)s->rank - 1};
    ox_operand out, parts[PIECES_MAX];
    const bool whole = run_end(s, 0) == s->n;
    size_t n = 0;
    OX_TRY(ox_lower_out(&out, s->lo, s->q->value, s->q->form | OX_FORM_LAST));
    for (int i = 0, to; i < s->n; i = to, n++) {
        to = run_end(s, i);
        parts[n] = out;
        if (!whole) OX_TRY(ox_lower_temp(&parts[n], s->lo));
        OX_TRY(s->pieces[i].ints ? ints(parts[n], s, i, to) : floats(parts[n], s, &s->pieces[i]));
    }
    return whole ? OX_OK : ox_lower_step(s->lo, s->node, OX_STEP_CONCAT, &join, n, parts, 1, &out);
}

ox_status ox_lower_norm8(struct ox_lower *lo, const struct ox_node *node,
                         const struct ox_lower_quant *q, bool *claimed) {
    struct norm8 s = {.lo = lo, .node = node, .q = q};
    const struct ox_value *v = ox_node_in(node, 0);
    const struct ox_node *norm = ox_lower_maker(v, "BatchNormalization"),
                         *act = norm ? NULL : ox_lower_maker(v, "Relu");
    union ox_lower_room room;
    const struct ox_batch_norm_params *b = (const void *)room.bytes;
    ox_tensor *w, *bias;
    if (act && ox_lower_sole(v)) {
        v = ox_node_in(act, 0);
        norm = ox_lower_maker(v, "BatchNormalization");
    }
    if (!norm || !ox_lower_sole(v) || norm->n_in != 5 || !ox_lower_decode(&room, lo, norm) ||
        b->training || !b->spatial)
        return OX_OK;
    const double epsilon = (double)b->epsilon;
    const int64_t channels = ox_lower_dim(v, 1);
    if (channels < 2 || channels > 1 << 20 || !look(&s, ox_node_in(norm, 0), channels))
        return OX_OK;
    if (!ox_lower_bounds(&s.low, &s.high, lo, act) ||
        !ox_lower_int_bounds(&s.int_low, &s.int_high, lo, act, q->q))
        return OX_OK;
    ox_status status = ox_lower_fold_norm(&w, &bias, lo, norm, epsilon, channels);
    if (status == OX_OK && w) {
        s.factor = w->data;
        s.shift = bias->data;
        *claimed = !extreme(&s, channels);
        if (*claimed) status = emit(&s);
    }
    ox_tensor_unref(w);
    ox_tensor_unref(bias);
    return status;
}
