/* ir/ops/op_quantized_lstm.c - DynamicQuantizeLSTM of com.microsoft: LSTM whose weights are codes
 * of 8 bits and whose data and hidden states are quantized when they are multiplied: the data as a
 * whole, the hidden state at each step.
 *
 * The products are those of DynamicQuantizeMatMul; the cell is LSTM itself, one step long, given
 * the sums of its gates as data with an identity for weights. A sequence that has ended keeps its
 * state and gives zeros. Running backwards is running forward over reversed sequences. */
#include "ir/ops/op_fused.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/op_recurrent.h"

enum { X, W, R, B, LENGTHS, H, C, P, W_SCALE, W_ZP, R_SCALE, R_ZP };

static ox_v at(struct ox_recipe *r, ox_v v, int64_t axis, int64_t i) {
    return v < 0 ? v : OX_RC(r, "Squeeze", ox_rc_slice(r, v, axis, i, i + 1), OX_RC_INTS(r, axis));
}

/* Scale or zero point of a direction: one number or one for each column. */
static ox_v of_direction(struct ox_recipe *r, size_t input, int64_t d) {
    ox_v v = ox_rc_in(r, input);
    if (v < 0) return v;
    int rank = ox_rc_rank(r, v);
    if (rank == 0) return v;
    if (rank > 2) ox_rc_expect_rank(r, input, v, 2);
    return at(r, v, 0, d);
}

/* Codes of x times the weights [K,N] of a direction, as floats. */
static ox_v product(struct ox_recipe *r, ox_v x, ox_v weights, ox_v scale, ox_v zp) {
    ox_v codes[3];
    ox_rc_run(r, ox_op_find("", "DynamicQuantizeLinear"), 1, &x, 3, codes);
    ox_v sums = OX_RC(r, "MatMulInteger", codes[0], weights, codes[2], zp);
    return OX_RC(r, "Mul", ox_rc_cast(r, sums, OX_FLOAT), OX_RC(r, "Mul", codes[1], scale));
}

/* The cell's attributes, its functions those of direction d. */
static void pass_cell(struct ox_recipe *r, int64_t d, int directions) {
    static const char *const whole[] = {"activation_alpha", "activation_beta"};
    ox_rc_pass(r, "clip");
    ox_rc_pass(r, "input_forget");
    for (int i = 0; i < 2; i++)
        if (directions > 1 && ox_attr_find(r->call, whole[i]))
            ox_rc_ok(r, ox_no_kernel(r->call, "%s in both directions with %s", r->call->op->name,
                                     whole[i]));
        else
            ox_rc_pass(r, whole[i]);
    if (!ox_attr_find(r->call, "activations")) return;
    ox_rc_pass(r, "activations");
    if (!ox_rc_ok(r, OX_OK)) return;
    struct ox_attr *functions = &r->attrs[r->n_attrs - 1];
    functions->v.strings += 3 * d;
    functions->count = 3;
}

struct direction {
    int64_t d;
    int count;
    ox_v recurrent, scale, zp; /* of R */
    ox_v identity, zeros, bias, peepholes;
    ox_v lengths; /* [batch,1], or absent */
};

/* One step from gates [batch,4H]; state: h and c, [1,batch,H]. Returns what the step gives. */
static ox_v step(struct ox_recipe *r, const struct direction *d, ox_v gates, int64_t t,
                 ox_v state[2]) {
    ox_v runs = OX_NO_V, hidden = at(r, state[0], 0, 0), out[3];
    if (d->lengths >=
        0) { /* what ended before the last step has no part in the range of the codes */
        runs = OX_RC(r, "Less", ox_rc_number(r, OX_INT32, (double)t), d->lengths);
        hidden = OX_RC(r, "Where",
                       OX_RC(r, "LessOrEqual", ox_rc_number(r, OX_INT32, (double)t), d->lengths),
                       hidden, ox_rc_number(r, OX_FLOAT, 0));
    }
    ox_v sums = product(r, hidden, d->recurrent, d->scale, d->zp);
    ox_v x = OX_RC(r, "Unsqueeze", OX_RC(r, "Add", gates, sums), OX_RC_INTS(r, 0));
    const ox_v in[8] = {x,       d->identity, d->zeros, d->bias,
                        OX_NO_V, state[0],    state[1], d->peepholes};
    pass_cell(r, d->d, d->count);
    ox_rc_run(r, ox_op_find("", "LSTM"), 8, in, 3, out);
    ox_v given = out[1];
    if (d->lengths >= 0) {
        given = OX_RC(r, "Where", runs, out[1], ox_rc_number(r, OX_FLOAT, 0));
        for (int i = 0; i < 2; i++)
            out[1 + i] = OX_RC(r, "Where", runs, out[1 + i], state[i]);
    }
    state[0] = out[1];
    state[1] = out[2];
    return given;
}

static ox_v reversed(struct ox_recipe *r, ox_v v, ox_v lengths, int64_t steps, int64_t batch) {
    ox_v all = OX_RC(r, "Expand", ox_rc_number(r, OX_INT64, (double)steps), OX_RC_INTS(r, batch));
    if (lengths >= 0) all = ox_rc_cast(r, lengths, OX_INT64);
    ox_rc_int(r, "batch_axis", 1);
    ox_rc_int(r, "time_axis", 0);
    return OX_RC(r, "ReverseSequence", v, all);
}

/* Initial state, or zeros: [1,batch,H]. */
static ox_v initial(struct ox_recipe *r, size_t input, int64_t d, int64_t batch, int64_t hidden) {
    ox_v v = ox_rc_in(r, input);
    if (v >= 0) return ox_rc_slice(r, v, 0, d, d + 1);
    return OX_RC(r, "Expand", ox_rc_number(r, OX_FLOAT, 0), OX_RC_INTS(r, 1, batch, hidden));
}

/* y: [steps,1,batch,H], h, c: [1,batch,H]. */
static void run_direction(struct ox_recipe *r, int64_t d, int count, bool backwards, ox_v out[3]) {
    ox_v x = ox_rc_in(r, X), lengths = ox_rc_in(r, LENGTHS);
    int64_t steps = ox_rc_dim(r, x, 0).k, batch = ox_rc_dim(r, x, 1).k,
            hidden = ox_rc_dim(r, ox_rc_in(r, R), 1).k;
    struct direction v = {.d = d,
                          .count = count,
                          .recurrent = at(r, ox_rc_in(r, R), 0, d),
                          .scale = of_direction(r, R_SCALE, d),
                          .zp = of_direction(r, R_ZP, d),
                          .bias = ox_rc_slice(r, ox_rc_in(r, B), 0, d, d + 1),
                          .peepholes = ox_rc_slice(r, ox_rc_in(r, P), 0, d, d + 1),
                          .lengths = OX_NO_V};
    v.identity = OX_RC(r, "Unsqueeze",
                       OX_RC(r, "EyeLike",
                             OX_RC(r, "Expand", ox_rc_number(r, OX_FLOAT, 0),
                                   OX_RC_INTS(r, 4 * hidden, 4 * hidden))),
                       OX_RC_INTS(r, 0));
    v.zeros =
        OX_RC(r, "Expand", ox_rc_number(r, OX_FLOAT, 0), OX_RC_INTS(r, 1, 4 * hidden, hidden));
    if (lengths >= 0)
        v.lengths = OX_RC(r, "Unsqueeze", ox_rc_cast(r, lengths, OX_INT32), OX_RC_INTS(r, 1));
    if (backwards) x = reversed(r, x, lengths, steps, batch);
    ox_v gates = product(r, x, at(r, ox_rc_in(r, W), 0, d), of_direction(r, W_SCALE, d),
                         of_direction(r, W_ZP, d));
    ox_v keep[3] = {
        initial(r, H, d, batch, hidden), initial(r, C, d, batch, hidden),
        OX_RC(r, "Expand", ox_rc_number(r, OX_FLOAT, 0), OX_RC_INTS(r, 0, batch, hidden))};
    int mark = r->n;
    for (int64_t t = 0; t < steps && ox_rc_ok(r, OX_OK); t++) {
        ox_v given = step(r, &v, at(r, gates, 0, t), t, keep);
        keep[2] = ox_rc_concat(r, 0, 2, (ox_v[]){keep[2], given});
        if (ox_rc_ok(r, OX_OK)) ox_rc_keep(r, mark, 3, keep);
    }
    out[0] =
        OX_RC(r, "Unsqueeze", backwards ? reversed(r, keep[2], lengths, steps, batch) : keep[2],
              OX_RC_INTS(r, 1));
    out[1] = keep[0];
    out[2] = keep[1];
}

/* Types are LSTM's with weights the other way round; its inference checks ranks too. */
static void infer(struct ox_recipe *r) {
    ox_v in[8], out[3];
    size_t n_out = r->call->n_out;
    for (size_t i = 0; i < 8; i++)
        in[i] = ox_rc_in(r, i);
    for (int i = W; i <= R; i++)
        in[i] = OX_RC_TRANSPOSE(r, ox_rc_cast(r, in[i], OX_FLOAT), 0, 2, 1);
    static const char *const passed[] = {"activations", "activation_alpha", "activation_beta",
                                         "clip",        "direction",        "hidden_size",
                                         "input_forget"};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        ox_rc_pass(r, passed[i]);
    ox_rc_run(r, ox_op_find("", "LSTM"), 8, in, n_out, out);
    for (size_t i = 0; i < n_out; i++)
        ox_rc_out(r, i, out[i]);
}

/* What the loop relies on; its steps check the rest. */
static void check(struct ox_recipe *r, int directions) {
    ox_v x = ox_rc_in(r, X), w = ox_rc_in(r, W), rec = ox_rc_in(r, R);
    ox_rc_need(r, W_SCALE);
    ox_rc_need(r, R_SCALE);
    for (size_t i = X; i <= R; i++)
        ox_rc_expect_rank(r, i, ox_rc_in(r, i), 3);
    ox_rc_expect_rank(r, B, ox_rc_in(r, B), 2);
    ox_rc_expect_rank(r, LENGTHS, ox_rc_in(r, LENGTHS), 1);
    ox_rc_expect_rank(r, H, ox_rc_in(r, H), 3);
    ox_rc_expect_rank(r, C, ox_rc_in(r, C), 3);
    ox_rc_expect_rank(r, P, ox_rc_in(r, P), 2);
    if (!ox_rc_ok(r, OX_OK) || r->io) return;
    int64_t hidden = ox_rc_dim(r, rec, 1).k, gates = ox_rc_dim(r, rec, 2).k;
    bool fit = ox_rc_dim(r, w, 0).k == directions && ox_rc_dim(r, rec, 0).k == directions &&
               gates == ox_rc_dim(r, w, 2).k && gates % 4 == 0 && gates / 4 == hidden &&
               ox_rc_dim(r, x, 2).k == ox_rc_dim(r, w, 1).k;
    if (!fit)
        ox_rc_ok(r, ox_bad_shape(r->call, "data, weights and recurrent weights of %s do not fit",
                                 r->call->op->name));
}

static void body(struct ox_recipe *r, const void *params) {
    const struct ox_recurrent_params *p = params;
    ox_v out[2][3];
    check(r, p->directions);
    if (p->batch_first) ox_rc_ok(r, ox_no_kernel(r->call, "%s with layout 1", r->call->op->name));
    if (r->io) infer(r);
    if (r->io || !ox_rc_ok(r, OX_OK)) return;
    for (int d = 0; d < p->directions && ox_rc_ok(r, OX_OK); d++)
        run_direction(r, d, p->directions, d == 1 || p->backwards, out[d]);
    for (size_t i = 0; i < 3 && ox_rc_ok(r, OX_OK); i++)
        ox_rc_out(r, i,
                  p->directions == 1 ? out[0][i]
                                     : ox_rc_concat(r, i == 0, 2, (ox_v[]){out[0][i], out[1][i]}));
}

const struct ox_recipe_kind ox_lstm_recipe = {body, 0};

ox_status ox_decode_quantized_lstm(const struct ox_call *call, void *params) {
    struct ox_op lstm = *call->op;
    struct ox_call as_lstm = *call;
    lstm.family = &ox_cells[OX_CELL_LSTM];
    as_lstm.op = &lstm;
    return ox_decode_recurrent(&as_lstm, params);
}
