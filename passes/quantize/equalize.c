/* passes/quantize/equalize.c - the pass: channels between two layers are brought to one size, so
 * that one scale suits all of them.
 *
 * What a rectifier, a pool or a join makes of a tensor grows in proportion to it. So a channel may
 * be divided by s > 0 where it is made (weights and bias of a convolution or product, gains of a
 * normalization), if all that read it multiply by s (the weights of their input channel). With
 * s = sqrt(a / w), a the size of the channel and w the largest weight it meets, both sides get the
 * same share of what is uneven (Nagel et al. 2019; between a normalization and products it is what
 * SmoothQuant does, Xiao et al. 2022). s is rounded to a power of two: then every product and sum
 * is what it was, bit by bit but for numbers near the limits of float, and no result changes. */
#include "passes/pass.h"
#include "passes/quantize/quant_plan.h"

#include <math.h>

enum { PAIRS, CHANNELS };
enum { DEPTH_MAX = 16, EXPONENT_MAX = 8 };
#define DEVIATIONS 3.0 /* of a normal variable: its size, next to its mean */

struct reader {
    struct ox_node *node;
    struct ox_qlayout layout;
    size_t offset; /* of our channels among its input channels */
};

struct pair {
    struct ox_pass_run *run;
    struct ox_node *maker;
    const struct ox_value *made;
    struct ox_qlayout layout; /* of a weight; channels 0: operands 1 and 2 (or the one of Mul) are
                                 gains and shifts, one number a channel */
    int axis;                 /* of channels: 1, or -1 for the last */
    size_t n, first, last;    /* channels; operands of maker that are divided: [first, last] */
    struct reader *readers;
    size_t n_readers, cap_readers;
    double *size, *weight; /* of each channel */
    float *factor;         /* s */
};

/* A float constant that nobody else reads. */
static ox_tensor *own(const struct ox_value *v) {
    return v && v->init && !v->is_input && v->n_uses == 1 && v->init->dtype == OX_FLOAT ? v->init
                                                                                        : NULL;
}

/* ---- readers -----------------------------------------------------------------------------------
 */

static bool grows_in_proportion(const struct ox_node *n, int axis) {
    static const char *const anywhere[] = {"Relu", "LeakyRelu"}, *const channels_stay[] = {
                                                                     "MaxPool", "AveragePool",
                                                                     "GlobalAveragePool",
                                                                     "GlobalMaxPool"};
    if (n->n_out > 1 && n->out[1] && n->out[1]->n_uses) return false;
    for (size_t i = 0; i < sizeof anywhere / sizeof *anywhere; i++)
        if (ox_node_is(n, anywhere[i])) return true;
    for (size_t i = 0; i < sizeof channels_stay / sizeof *channels_stay && axis == 1; i++)
        if (ox_node_is(n, channels_stay[i])) return true;
    return false;
}

/* Channels of the operands of Concat before operand `index`. */
static bool concat_offset(size_t *offset, const struct ox_node *n, size_t index, int axis) {
    const struct ox_attr *a = ox_node_attr(n, "axis");
    if (axis != 1 || !ox_node_is(n, "Concat") || !a || a->type != OX_ATTR_INT || a->v.i != 1)
        return false;
    for (size_t i = 0; i < index; i++) {
        const struct ox_type *t = n->in[i].value->type;
        if (!ox_type_is_tensor(t) || t->rank < 2 || !ox_dim_is_const(t->dims[1])) return false;
        *offset += (size_t)t->dims[1].k;
    }
    return true;
}

static ox_status add_reader(struct pair *p, const struct ox_use *u, size_t offset, bool *fits) {
    struct reader r = {.node = u->user, .offset = offset};
    enum ox_qrole role;
    int axis;
    const char *reason = NULL;
    *fits = false;
    if (ox_use_index(u) != 0 || !u->user->op || u->user->op->quant != OX_Q_WEIGHT) return OX_OK;
    OX_TRY(ox_qrole_of(&role, &r.layout, &axis, &reason, u->user));
    const ox_tensor *w = own(ox_node_in(u->user, 1));
    const struct ox_qlayout *l = &r.layout;
    if (role != OX_QROLE_WEIGHT || !w || ox_qrole_channel_axis(u->user) != p->axis || !l->outer ||
        !l->channels || !l->inner)
        return OX_OK;
    if (w->rank > 2 && p->axis == -1) return OX_OK; /* a stack of matrices */
    if (ox_qlayout_input(l, l->outer - 1, l->channels - 1, l->inner - 1) < offset + p->n - 1)
        return OX_OK;
    OX_TRY(OX_GROW(p->run->ctx, p->readers, p->n_readers, p->cap_readers));
    p->readers[p->n_readers++] = r;
    *fits = true;
    return OX_OK;
}

static ox_status find_readers(struct pair *p, const struct ox_value *v, size_t offset, int depth,
                              bool *fits) {
    *fits = depth < DEPTH_MAX && v->n_uses > 0;
    for (const struct ox_use *u = v->uses; u && *fits; u = u->next) {
        size_t at = offset;
        if (u->user->graph != p->maker->graph || ox_node_is_ret(u->user))
            *fits = false;
        else if (grows_in_proportion(u->user, p->axis) ||
                 concat_offset(&at, u->user, ox_use_index(u), p->axis))
            OX_TRY(find_readers(p, u->user->out[0], at, depth + 1, fits));
        else
            OX_TRY(add_reader(p, u, at, fits));
    }
    return OX_OK;
}

/* ---- makers ------------------------------------------------------------------------------------
 */

static size_t channels_of(const struct ox_value *v, int axis) {
    const struct ox_type *t = v->type;
    if (!ox_type_is_tensor(t) || t->dtype != OX_FLOAT || t->rank < 2) return 0;
    ox_dim d = t->dims[axis < 0 ? t->rank - 1 : axis];
    return ox_dim_is_const(d) && d.k > 0 ? (size_t)d.k : 0;
}

static ox_status as_weighted(struct pair *p, bool *fits) {
    enum ox_qrole role;
    int axis;
    const char *reason = NULL;
    OX_TRY(ox_qrole_of(&role, &p->layout, &axis, &reason, p->maker));
    p->axis = ox_qrole_channel_axis(p->maker);
    p->n = channels_of(p->made, p->axis);
    p->first = 1;
    p->last = ox_node_in(p->maker, 2) ? 2 : 1;
    const ox_tensor *w = own(ox_node_in(p->maker, 1)), *b = own(ox_node_in(p->maker, 2));
    *fits = role == OX_QROLE_WEIGHT && p->n && p->layout.channels == p->n && w &&
            (p->last == 1 || (b && b->count == p->n)) && (w->rank == 2 || p->axis == 1);
    return OX_OK;
}

static bool as_gain(struct pair *p) {
    const struct ox_attr *a = ox_node_attr(p->maker, "axis");
    bool layer = ox_node_is(p->maker, "LayerNormalization"),
         batch = ox_node_is(p->maker, "BatchNormalization");
    p->axis = batch ? 1 : -1;
    p->n = channels_of(p->made, p->axis);
    p->first = 1;
    p->last = ox_node_in(p->maker, 2) ? 2 : 1;
    if (ox_node_is(p->maker, "Mul"))
        p->first = p->last = own(ox_node_in(p->maker, 0)) ? 0 : 1;
    else if ((!layer && !batch) ||
             (layer && a && a->v.i != -1 && a->v.i != p->made->type->rank - 1))
        return false;
    for (size_t i = p->first; i <= p->last; i++) {
        const ox_tensor *t = own(ox_node_in(p->maker, i));
        if (!t || t->count != p->n || (t->rank > 0 && (size_t)t->dims[t->rank - 1] != p->n))
            return false;
    }
    return p->n > 0;
}

static ox_status find_pair(struct pair *p, bool *fits) {
    *fits = false;
    p->made = ox_node_out(p->maker, 0);
    if (!p->made || !p->maker->op) return OX_OK;
    for (size_t i = 1; i < p->maker->n_out; i++)
        if (p->maker->out[i] && p->maker->out[i]->n_uses) return OX_OK;
    if (p->maker->op->quant == OX_Q_WEIGHT) {
        OX_TRY(as_weighted(p, fits));
    } else {
        *fits = as_gain(p);
    }
    return *fits ? find_readers(p, p->made, 0, 0, fits) : OX_OK;
}

/* ---- sizes -------------------------------------------------------------------------------------
 */

/* Channel of an element of the maker's operand. */
static size_t made_channel(const struct pair *p, size_t operand, size_t i) {
    return p->layout.channels && operand == 1 ? i / p->layout.inner % p->layout.channels : i;
}

static ox_status floats(const float **out, ox_tensor **hold, ox_ctx *ctx, const ox_tensor *t) {
    OX_TRY(ox_tensor_aligned(hold, ctx, t));
    *out = (*hold)->data;
    return OX_OK;
}

/* Sizes of channels: as noted behind a BatchNormalization; else a guess from what makes them, for
 * inputs of deviation one. */
static ox_status measure_sizes(struct pair *p) {
    const struct ox_norm_stat *noted = ox_norm_stats_find(p->run->norms, p->made->name);
    for (size_t c = 0; c < p->n && noted && noted->n == p->n; c++)
        p->size[c] = fabs(noted->mean[c]) + DEVIATIONS * noted->dev[c];
    if (noted && noted->n == p->n) return OX_OK;
    ox_tensor *hold;
    const float *x;
    OX_TRY(floats(&x, &hold, p->run->ctx, p->maker->in[p->first].value->init));
    for (size_t i = 0; i < hold->count; i++)
        p->size[made_channel(p, p->first, i)] += (double)x[i] * x[i];
    ox_tensor_unref(hold);
    for (size_t c = 0; c < p->n; c++)
        p->size[c] = DEVIATIONS * sqrt(p->size[c]);
    if (p->last == p->first) return OX_OK;
    OX_TRY(floats(&x, &hold, p->run->ctx, p->maker->in[p->last].value->init));
    for (size_t c = 0; c < p->n; c++)
        p->size[c] += fabs((double)x[c]);
    ox_tensor_unref(hold);
    return OX_OK;
}

struct element {
    size_t at, channel;
};

/* Calls for each element of a reader's weight that meets one of our channels. */
static void each_element(const struct pair *p, const struct reader *r,
                         void (*visit)(void *, struct element), void *user) {
    const struct ox_qlayout *l = &r->layout;
    for (size_t o = 0; o < l->outer; o++)
        for (size_t c = 0; c < l->channels; c++)
            for (size_t i = 0; i < l->inner; i++) {
                size_t input = ox_qlayout_input(l, o, c, i);
                if (input < r->offset || input >= r->offset + p->n) continue;
                visit(user,
                      (struct element){(o * l->channels + c) * l->inner + i, input - r->offset});
            }
}

struct weights {
    const float *x;
    float *y;
    const struct pair *p;
};

static void see_weight(void *user, struct element e) {
    const struct weights *w = user;
    double x = fabs((double)w->x[e.at]);
    if (x > w->p->weight[e.channel]) w->p->weight[e.channel] = x;
}

static ox_status measure_weights(struct pair *p) {
    for (size_t i = 0; i < p->n_readers; i++) {
        ox_tensor *hold;
        struct weights w = {.p = p};
        OX_TRY(floats(&w.x, &hold, p->run->ctx, p->readers[i].node->in[1].value->init));
        each_element(p, &p->readers[i], see_weight, &w);
        ox_tensor_unref(hold);
    }
    return OX_OK;
}

/* Returns how many channels change. Factors are relative to their geometric mean: the tensor as a
 * whole keeps its size. */
static size_t choose_factors(struct pair *p) {
    double logs = 0;
    size_t valid = 0, changed = 0;
    for (size_t c = 0; c < p->n; c++) {
        double s = p->size[c] / p->weight[c];
        p->size[c] = s > 0 && s < INFINITY ? log2(s) / 2 : NAN;
        if (isnan(p->size[c])) continue;
        logs += p->size[c];
        valid++;
    }
    for (size_t c = 0; c < p->n; c++) {
        double exponent = isnan(p->size[c]) ? 0 : rint(p->size[c] - logs / (double)valid);
        exponent = fmin(fmax(exponent, -EXPONENT_MAX), EXPONENT_MAX);
        p->factor[c] = (float)ldexp(1, (int)exponent);
        changed += exponent != 0;
    }
    return changed;
}

/* ---- carrying out ------------------------------------------------------------------------------
 */

/* The constant becomes another; it has one reader. */
static void replace(struct ox_value *v, ox_tensor *t) {
    ox_tensor_unref(v->init);
    v->init = t;
}

static ox_status divide_made(struct pair *p, size_t operand) {
    struct ox_value *v = p->maker->in[operand].value;
    ox_tensor *t, *hold;
    const float *x;
    void *data;
    OX_TRY(floats(&x, &hold, p->run->ctx, v->init));
    ox_status s = ox_tensor_new(&t, &data, p->run->ctx, OX_FLOAT, hold->rank, hold->dims);
    for (size_t i = 0; i < hold->count && s == OX_OK; i++)
        ((float *)data)[i] = x[i] / p->factor[made_channel(p, operand, i)];
    ox_tensor_unref(hold);
    if (s == OX_OK) replace(v, t);
    return s;
}

static void scale_weight(void *user, struct element e) {
    const struct weights *w = user;
    w->y[e.at] *= w->p->factor[e.channel];
}

static ox_status multiply_read(struct pair *p, const struct reader *r) {
    struct ox_value *v = r->node->in[1].value;
    struct weights w = {.p = p};
    ox_tensor *t;
    void *data;
    OX_TRY(ox_tensor_new(&t, &data, p->run->ctx, OX_FLOAT, v->init->rank, v->init->dims));
    memcpy(data, v->init->data, v->init->size);
    w.y = data;
    each_element(p, r, scale_weight, &w);
    replace(v, t);
    return OX_OK;
}

static ox_status equalize(struct pair *p) {
    for (size_t i = p->first; i <= p->last; i++)
        OX_TRY(divide_made(p, i));
    for (size_t i = 0; i < p->n_readers; i++)
        OX_TRY(multiply_read(p, &p->readers[i]));
    const struct ox_norm_stat *noted = ox_norm_stats_find(p->run->norms, p->made->name);
    for (size_t c = 0; noted && c < p->n && c < noted->n; c++) {
        noted->mean[c] /= p->factor[c];
        noted->dev[c] /= p->factor[c];
    }
    return OX_OK;
}

static ox_status try_node(struct ox_pass_run *run, struct ox_node *n) {
    struct pair p = {.run = run, .maker = n};
    size_t changed = 0;
    bool fits;
    ox_status s = find_pair(&p, &fits);
    if (s == OX_OK && fits && p.n_readers) {
        s = ox_alloc(run->ctx, &p.size, p.n, sizeof *p.size);
        if (s == OX_OK) s = ox_alloc(run->ctx, &p.weight, p.n, sizeof *p.weight);
        if (s == OX_OK) s = ox_alloc(run->ctx, &p.factor, p.n, sizeof *p.factor);
        if (s == OX_OK) s = measure_sizes(&p);
        if (s == OX_OK) s = measure_weights(&p);
        if (s == OX_OK) changed = choose_factors(&p);
        if (changed) s = equalize(&p);
        if (s == OX_OK && changed) {
            ox_rewrite_done(run, PAIRS);
            run->counts[CHANNELS] += changed;
        }
    }
    ox_free(run->ctx, p.readers);
    ox_free(run->ctx, p.size);
    ox_free(run->ctx, p.weight);
    ox_free(run->ctx, p.factor);
    return s;
}

ox_status ox_pass_equalize(struct ox_pass_run *run) {
    for (struct ox_node *n = ox_graph_begin(run->model->graph); n; n = ox_node_next(n)) {
        if (!ox_rewrite_allowed(run)) return OX_OK;
        OX_TRY(try_node(run, n));
    }
    return OX_OK;
}
