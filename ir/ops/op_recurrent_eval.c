/* ir/ops/op_recurrent_eval.c - the kernel of RNN, GRU and LSTM.
 *
 * Each (direction, batch entry) is computed by itself, step by step, in 64-bit floats; the weights,
 * which are most of the bytes, are read where they lie, as they are (those of 16 bits are widened
 * once). A step is a dot product a gate. Gates stand in the standard's order: RNN i; GRU z r h;
 * LSTM i o f c. */
#include "ir/ops/convert.h"
#include "ir/ops/op_args.h"
#include "ir/ops/op_doubles.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/op_recurrent.h"
#include "ir/ops/simd.h"
#include <math.h>

struct recurrent {
    const struct ox_recurrent_params *p;
    const ox_tensor *lengths;
    const double *x, *peep, *h0, *c0; /* peep, h0, c0 may be NULL */
    size_t steps, batch, width, hidden, gates;
    const ox_tensor *w,
        *r;              /* [directions][gates * hidden][width or hidden], OX_FLOAT or OX_DOUBLE */
    double *bias;        /* [directions][2 * gates * hidden] */
    double *scratch;     /* per (direction, batch): state, cell, two rows of gates */
    double *y, *yh, *yc; /* wanted outputs or NULL */
};

static double activate(const struct ox_activate *a, double x) {
    switch (a->kind) {
    case OX_ACT_RELU:
        return x > 0 ? x : 0;
    case OX_ACT_TANH:
        return tanh(x);
    case OX_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case OX_ACT_AFFINE:
        return a->alpha * x + a->beta;
    case OX_ACT_LEAKY_RELU:
        return x < 0 ? a->alpha * x : x;
    case OX_ACT_THRESHOLDED_RELU:
        return x > a->alpha ? x : 0;
    case OX_ACT_SCALED_TANH:
        return a->alpha * tanh(a->beta * x);
    case OX_ACT_HARD_SIGMOID:
        return fmin(fmax(a->alpha * x + a->beta, 0), 1);
    case OX_ACT_ELU:
        return x < 0 ? a->alpha * expm1(x) : x;
    case OX_ACT_SOFTSIGN:
        return x / (1 + fabs(x));
    default:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
}

static double clipped(const struct recurrent *r, double x) {
    double c = r->p->clip;
    return c > 0 ? fmin(fmax(x, -c), c) : x;
}

static double gate(const struct recurrent *r, const struct ox_activate *a, double x) {
    return activate(a, clipped(r, x));
}

/* row[i] += m[i] . v for `n` rows of `count` elements. The order of a sum is fixed by its length.
 */
#define DOTS_FN(T)                                                                                 \
    OX_CLONES static void gate_dots_##T(double *restrict row, const T *restrict m,                 \
                                        const double *restrict v, size_t count, size_t n) {        \
        for (size_t i = 0; i < n; i++, m += count) {                                               \
            double part[16] = {0}, sum = 0;                                                        \
            size_t k = 0;                                                                          \
            for (; k + 16 <= count; k += 16)                                                       \
                for (size_t l = 0; l < 16; l++)                                                    \
                    part[l] += (double)m[k + l] * v[k + l];                                        \
            for (size_t l = 0; k + l < count; l++)                                                 \
                part[l] += (double)m[k + l] * v[k + l];                                            \
            for (size_t l = 0; l < 16; l++)                                                        \
                sum += part[l];                                                                    \
            row[i] += sum;                                                                         \
        }                                                                                          \
    }
DOTS_FN(float)
DOTS_FN(double)
#undef DOTS_FN

/* Rows [first, first + n) of direction d of a weight. */
static void add_product(double *row, const ox_tensor *weight, size_t d, size_t first, size_t n,
                        const double *v) {
    size_t count = (size_t)weight->dims[2], at = (d * (size_t)weight->dims[1] + first) * count;
    if (weight->dtype == OX_FLOAT)
        gate_dots_float(row, (const float *)weight->data + at, v, count, n);
    else
        gate_dots_double(row, (const double *)weight->data + at, v, count, n);
}

static void step_rnn(const struct recurrent *r, int d, double *h, double *row) {
    add_product(row, r->r, (size_t)d, 0, r->hidden, h);
    for (size_t k = 0; k < r->hidden; k++)
        h[k] = gate(r, &r->p->act[d][0], row[k]);
}

/* row: X W + Wb of z, r, h; `other` gets H R + Rb. */
static void step_gru(const struct recurrent *r, int d, double *h, double *row, double *other) {
    size_t n = r->hidden, all = 3 * n;
    const struct ox_activate *f = &r->p->act[d][0], *g = &r->p->act[d][1];
    const double *rb = r->bias + ((size_t)d * 2 + 1) * all;
    memcpy(other, rb, all * sizeof *other);
    add_product(other, r->r, (size_t)d, 0, r->p->linear_reset ? all : 2 * n, h);
    for (size_t k = 0; k < n; k++) {
        row[k] = gate(r, f, row[k] + other[k]);             /* z */
        row[n + k] = gate(r, f, row[n + k] + other[n + k]); /* r */
    }
    if (!r->p->linear_reset) {
        for (size_t k = 0; k < n; k++)
            other[k] = row[n + k] * h[k];
        add_product(other + 2 * n, r->r, (size_t)d, 2 * n, n, other);
    }
    for (size_t k = 0; k < n; k++) {
        double reset = r->p->linear_reset ? row[n + k] : 1;
        double hidden = gate(r, g, row[2 * n + k] + reset * other[2 * n + k]);
        h[k] = (1 - row[k]) * hidden + row[k] * h[k];
    }
}

static void step_lstm(const struct recurrent *r, int d, double *h, double *c, double *row) {
    size_t n = r->hidden;
    const struct ox_activate *f = &r->p->act[d][0], *g = &r->p->act[d][1], *last = &r->p->act[d][2];
    const double *peep = r->peep ? r->peep + (size_t)d * 3 * n : NULL; /* i o f */
    add_product(row, r->r, (size_t)d, 0, 4 * n, h);
    for (size_t k = 0; k < n; k++) {
        double in = gate(r, f, row[k] + (peep ? peep[k] * c[k] : 0));
        double forget = r->p->input_forget
                            ? 1 - in
                            : gate(r, f, row[2 * n + k] + (peep ? peep[2 * n + k] * c[k] : 0));
        c[k] = forget * c[k] + in * gate(r, g, row[3 * n + k]);
        double out = gate(r, f, row[n + k] + (peep ? peep[n + k] * c[k] : 0));
        h[k] = out * activate(last, c[k]);
    }
}

/* Where the state of (direction, batch entry) stands in initial and final states. */
static size_t state_at(const struct recurrent *r, size_t d, size_t b) {
    size_t n = (size_t)r->p->directions;
    return (r->p->batch_first ? b * n + d : d * r->batch + b) * r->hidden;
}

static void run_entry(const struct recurrent *r, size_t d, size_t b) {
    size_t n = r->hidden, all = r->gates * n, dirs = (size_t)r->p->directions;
    double *h = r->scratch + (d * r->batch + b) * (2 * n + 2 * all), *c = h + n, *row = c + n,
           *other = row + all;
    size_t length = r->lengths ? (size_t)ox_tensor_int(r->lengths, b) : r->steps;
    bool backwards = d == 1 || r->p->backwards;
    for (size_t k = 0; k < n; k++) {
        h[k] = r->h0 ? r->h0[state_at(r, d, b) + k] : 0;
        c[k] = r->c0 ? r->c0[state_at(r, d, b) + k] : 0;
    }
    for (size_t s = 0; s < length; s++) {
        size_t t = backwards ? length - 1 - s : s;
        const double *x =
            r->x + (r->p->batch_first ? b * r->steps + t : t * r->batch + b) * r->width;
        const double *bias = r->bias + d * 2 * all;
        for (size_t k = 0; k < all; k++)
            row[k] = bias[k] + (r->p->cell == OX_CELL_GRU ? 0 : bias[all + k]);
        add_product(row, r->w, d, 0, all, x);
        switch (r->p->cell) {
        case OX_CELL_GRU:
            step_gru(r, (int)d, h, row, other);
            break;
        case OX_CELL_LSTM:
            step_lstm(r, (int)d, h, c, row);
            break;
        default:
            step_rnn(r, (int)d, h, row);
            break;
        }
        size_t at =
            r->p->batch_first ? (b * r->steps + t) * dirs + d : (t * dirs + d) * r->batch + b;
        if (r->y) memcpy(r->y + at * n, h, n * sizeof *h);
    }
    if (r->yh) memcpy(r->yh + state_at(r, d, b), h, n * sizeof *h);
    if (r->yc) memcpy(r->yc + state_at(r, d, b), c, n * sizeof *c);
}

static void run_entries(void *arg, size_t begin, size_t end) {
    const struct recurrent *r = arg;
    for (size_t i = begin; i < end; i++)
        run_entry(r, i / r->batch, i % r->batch);
}

/* ---- setting up ------------------------------------------------------------------------------ */

static ox_status expect_shape(const struct ox_call *call, size_t i, const ox_tensor *t, int rank,
                              const int64_t *dims) {
    bool same = t->rank == rank && (t->dtype == OX_DOUBLE ||
                                    (t->dtype == OX_FLOAT && i < 3)); /* as `widen` left them */
    for (int d = 0; same && d < rank; d++)
        same = t->dims[d] == dims[d];
    if (same) return OX_OK;
    return ox_bad_shape(call, "input %zu is %s %s, expected %s", i, ox_dtype_name(t->dtype),
                        ox_dims_text(t->rank, t->dims).text, ox_dims_text(rank, dims).text);
}

static ox_status check_lengths(const struct recurrent *r, const struct ox_call *call) {
    const ox_tensor *t = r->lengths;
    if (!t) return OX_OK;
    OX_TRY(ox_expect_index(call, 4, t->dtype));
    if (t->rank != 1 || (size_t)t->dims[0] != r->batch)
        return ox_bad_shape(call, "sequence_lens is %s for a batch of %zu",
                            ox_dims_text(t->rank, t->dims).text, r->batch);
    for (size_t i = 0; i < r->batch; i++)
        if (ox_tensor_int(t, i) < 0 || (uint64_t)ox_tensor_int(t, i) > r->steps)
            return ox_bad_shape(call, "sequence %zu has length %lld of at most %zu", i,
                                (long long)ox_tensor_int(t, i), r->steps);
    return OX_OK;
}

static const ox_tensor *input(const struct ox_call *call, const ox_tensor *const *in, size_t i) {
    return i < call->n_in ? in[i] : NULL;
}

static ox_status check_inputs(struct recurrent *r, const struct ox_call *call,
                              const ox_tensor *const *in) {
    static const size_t gates[OX_CELLS] = {1, 3, 4};
    const struct ox_recurrent_params *p = r->p;
    const ox_tensor *x = in[0], *h0 = input(call, in, 5), *c0 = input(call, in, 6),
                    *peep = input(call, in, 7);
    if (x->rank != 3 || in[2]->rank != 3)
        return ox_bad_shape(call, "inputs 0 and 2 must have 3 dims");
    int64_t dirs = p->directions, hidden = in[2]->dims[2], width = x->dims[2],
            batch = x->dims[!p->batch_first];
    if (p->hidden && p->hidden != hidden)
        return ox_bad_shape(call, "hidden_size is %lld and the weights have %lld",
                            (long long)p->hidden, (long long)hidden);
    /* The weights' tensor being there says nothing of its dims where one of them is 0. */
    if (hidden > INT64_MAX / 8)
        return ox_bad_shape(call, "the weights have the hidden size %lld", (long long)hidden);
    int64_t all = (int64_t)gates[p->cell] * hidden;
    const int64_t state[2][3] = {{dirs, batch, hidden}, {batch, dirs, hidden}};
    OX_TRY(expect_shape(call, 1, in[1], 3, (int64_t[]){dirs, all, width}));
    OX_TRY(expect_shape(call, 2, in[2], 3, (int64_t[]){dirs, all, hidden}));
    if (input(call, in, 3)) OX_TRY(expect_shape(call, 3, in[3], 2, (int64_t[]){dirs, 2 * all}));
    if (h0) OX_TRY(expect_shape(call, 5, h0, 3, state[p->batch_first]));
    if (c0) OX_TRY(expect_shape(call, 6, c0, 3, state[p->batch_first]));
    if (peep) OX_TRY(expect_shape(call, 7, peep, 2, (int64_t[]){dirs, 3 * hidden}));
    r->lengths = input(call, in, 4);
    r->x = x->data;
    r->h0 = h0 ? h0->data : NULL;
    r->c0 = c0 ? c0->data : NULL;
    r->peep = peep ? peep->data : NULL;
    r->steps = (size_t)x->dims[p->batch_first];
    r->batch = (size_t)batch;
    r->width = (size_t)width;
    r->hidden = (size_t)hidden;
    r->gates = gates[p->cell];
    return check_lengths(r, call);
}

static ox_status make_outputs(struct recurrent *r, const struct ox_call *call, ox_tensor **out) {
    int64_t steps = (int64_t)r->steps, dirs = r->p->directions, batch = (int64_t)r->batch,
            hidden = (int64_t)r->hidden;
    const int64_t all[2][4] = {{steps, dirs, batch, hidden}, {batch, steps, dirs, hidden}};
    const int64_t last[2][3] = {{dirs, batch, hidden}, {batch, dirs, hidden}};
    double **data[3] = {&r->y, &r->yh, &r->yc};
    for (size_t i = 0; i < call->n_out; i++)
        if (!call->wanted || call->wanted[i])
            OX_TRY(ox_new_doubles(data[i], call, out, i, i ? 3 : 4,
                                  i ? last[r->p->batch_first] : all[r->p->batch_first]));
    return OX_OK;
}

struct weights {
    const struct ox_recurrent_params *p;
    const ox_tensor *w, *r;
};

/* in[1] and in[2] are absent here: the weights come with `params`. */
static ox_status recurrent(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    const struct weights *weights = params;
    const ox_tensor *all_in[OX_DOUBLES_MAX_IN] = {NULL};
    struct recurrent r = {.p = weights->p, .w = weights->w, .r = weights->r};
    for (size_t i = 0; i < call->n_in && i < OX_DOUBLES_MAX_IN; i++)
        all_in[i] = in[i];
    all_in[1] = r.w;
    all_in[2] = r.r;
    OX_TRY(check_inputs(&r, call, all_in));
    OX_TRY(make_outputs(&r, call, out));
    size_t dirs = (size_t)r.p->directions, entries, all = r.gates * r.hidden, total;
    const ox_tensor *bias = input(call, in, 3);
    bool huge = ox_mul_size(&entries, dirs, r.batch);
    huge |= ox_mul_size(&total, entries, 2 * r.hidden + 2 * all);
    huge |= ox_add_size(&total, total, dirs * 2 * all);
    if (huge) return ox_bad_shape(call, "the state is too large");
    OX_TRY(ox_alloc(call->ctx, &r.bias, total, sizeof *r.bias));
    r.scratch = r.bias + dirs * 2 * all;
    if (bias && bias->size) memcpy(r.bias, bias->data, bias->size);
    ox_parallel(call->ctx, entries, 1, run_entries, &r);
    ox_free(call->ctx, r.bias);
    return OX_OK;
}

/* A weight as it is, or one of 16 bits as 32 bits, in *own. */
static ox_status widen(const ox_tensor **out, ox_tensor **own, const struct ox_call *call, size_t i,
                       const ox_tensor *t) {
    *out = t;
    OX_TRY(ox_expect_dtype(call, i, t->dtype, OX_FLOATS));
    if (t->dtype == OX_FLOAT || t->dtype == OX_DOUBLE) return OX_OK;
    OX_TRY(ox_tensor_cast(own, call->ctx, t, OX_FLOAT, true));
    *out = *own;
    return OX_OK;
}

ox_status ox_eval_recurrent(const struct ox_call *call, const void *params,
                            const ox_tensor *const *in, ox_tensor **out) {
    struct weights weights = {.p = params};
    ox_tensor *own[2] = {NULL};
    const ox_tensor *rest[OX_DOUBLES_MAX_IN] = {NULL};
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_FLOATS));
    for (size_t i = 0; i < call->n_in && i < OX_DOUBLES_MAX_IN; i++)
        rest[i] = i == 1 || i == 2 ? NULL : in[i];
    ox_status s = widen(&weights.w, &own[0], call, 1, in[1]);
    if (s == OX_OK) s = widen(&weights.r, &own[1], call, 2, in[2]);
    if (s == OX_OK) s = ox_eval_doubles(recurrent, call, &weights, rest, out, 7, in[0]->dtype);
    ox_tensor_unref(own[0]);
    ox_tensor_unref(own[1]);
    return s;
}
