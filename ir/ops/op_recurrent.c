/* ir/ops/op_recurrent.c - RNN, GRU and LSTM: what their attributes say and what shapes come out.
 * The kernel is op_recurrent_eval.c. */
#include "ir/ops/op_args.h"
#include "ir/ops/op_priv.h"
#include "ir/ops/op_recurrent.h"

const enum ox_cell ox_cells[OX_CELLS] = {OX_CELL_RNN, OX_CELL_GRU, OX_CELL_LSTM};

/* alpha and beta where they are not given; uses: which of the two the function has. */
static const struct {
    const char *name;
    double alpha, beta;
    int uses;
} functions[] = {{"Relu", 0, 0, 0},         {"Tanh", 0, 0, 0},
                 {"Sigmoid", 0, 0, 0},      {"Affine", 1, 0, 2},
                 {"LeakyRelu", 0.01, 0, 1}, {"ThresholdedRelu", 1, 0, 1},
                 {"ScaledTanh", 1, 1, 2},   {"HardSigmoid", 0.2, 0.5, 2},
                 {"Elu", 1, 0, 1},          {"Softsign", 0, 0, 0},
                 {"Softplus", 0, 0, 0}};

/* Older exporters write the names in lower case. */
static bool same_word(struct ox_str s, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; s.len == n && i < n; i++)
        if ((s.ptr[i] | 32) != (word[i] | 32)) return false;
    return s.len == n;
}

static ox_status find_function(struct ox_activate *out, int *uses, const struct ox_call *call,
                               struct ox_str name) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (!same_word(name, functions[i].name)) continue;
        *out = (struct ox_activate){(enum ox_activation)i, functions[i].alpha, functions[i].beta};
        *uses = functions[i].uses;
        return OX_OK;
    }
    return ox_bad_attr(call, "there is no activation '%.*s'", (int)(name.len < 40 ? name.len : 40),
                       name.ptr);
}

/* The functions of all directions, with the parameters that activation_alpha and activation_beta
 * give, in order, to those that have any. */
static ox_status decode_activations(struct ox_recurrent_params *p, const struct ox_call *call) {
    static const struct ox_activate tanh_act = {OX_ACT_TANH, 0, 0},
                                    sigmoid = {OX_ACT_SIGMOID, 0, 0};
    static const int counts[OX_CELLS] = {1, 2, 3};
    const struct ox_attr *names = ox_attr_find(call, "activations");
    const float *alpha, *beta;
    size_t n_alpha, n_beta, a = 0, b = 0, count = (size_t)counts[p->cell];
    OX_TRY(ox_attr_floats(&alpha, &n_alpha, call, "activation_alpha"));
    OX_TRY(ox_attr_floats(&beta, &n_beta, call, "activation_beta"));
    if (n_alpha == SIZE_MAX) n_alpha = 0;
    if (n_beta == SIZE_MAX) n_beta = 0;
    if (names && (names->type != OX_ATTR_STRINGS || names->ref ||
                  names->count != count * (size_t)p->directions))
        return ox_bad_attr(call, "activations: %zu strings are needed",
                           count * (size_t)p->directions);
    for (int d = 0; d < p->directions; d++)
        for (size_t i = 0; i < count; i++) {
            int uses = 0;
            p->act[d][i] = p->cell != OX_CELL_RNN && i == 0 ? sigmoid : tanh_act;
            if (names)
                OX_TRY(find_function(&p->act[d][i], &uses, call,
                                     names->v.strings[(size_t)d * count + i]));
            if (uses >= 1 && a < n_alpha) p->act[d][i].alpha = (double)alpha[a++];
            if (uses >= 2 && b < n_beta) p->act[d][i].beta = (double)beta[b++];
        }
    return OX_OK;
}

ox_status ox_decode_recurrent(const struct ox_call *call, void *params) {
    static const char *const words[] = {"forward", "reverse", "bidirectional", NULL};
    struct ox_recurrent_params *p = params;
    int direction;
    int64_t flag;
    float clip;
    *p = (struct ox_recurrent_params){.cell = *(const enum ox_cell *)call->op->family};
    OX_TRY(ox_attr_choice(&direction, call, "direction", words, 0));
    p->directions = direction == 2 ? 2 : 1;
    p->backwards = direction == 1;
    OX_TRY(ox_attr_int(&p->hidden, call, "hidden_size", 0));
    if (p->hidden < 0) return ox_bad_attr(call, "hidden_size is %lld", (long long)p->hidden);
    OX_TRY(ox_attr_float(&clip, call, "clip", 0));
    if (!(clip >= 0)) return ox_bad_attr(call, "clip is %g", (double)clip);
    p->clip = (double)clip;
    OX_TRY(ox_attr_int(&flag, call, "layout", 0));
    p->batch_first = flag != 0;
    OX_TRY(ox_attr_int(&flag, call, "input_forget", 0));
    p->input_forget = p->cell == OX_CELL_LSTM && flag != 0;
    OX_TRY(ox_attr_int(&flag, call, "linear_before_reset", 0));
    p->linear_reset = p->cell == OX_CELL_GRU && flag != 0;
    return decode_activations(p, call);
}

ox_status ox_infer_recurrent(const struct ox_call *call, const void *params, struct ox_infer *io) {
    const struct ox_recurrent_params *p = params;
    ox_dtype dtype = ox_in_dtype(io, 0);
    int rank = ox_in_rank(io, 0), r_rank = ox_in_rank(io, 2);
    ox_dim steps, batch, hidden, directions = ox_dim_const(p->directions);
    OX_TRY(ox_expect_dtype(call, 0, dtype, OX_FLOATS));
    for (size_t i = 0; i < 3; i++)
        OX_TRY(ox_expect_rank(call, i, ox_in_rank(io, i), 3, 3));
    OX_TRY(ox_dim_unknown(&steps, io->dims));
    OX_TRY(ox_dim_unknown(&batch, io->dims));
    OX_TRY(ox_dim_unknown(&hidden, io->dims));
    if (rank == 3) {
        steps = io->in[0]->dims[p->batch_first];
        batch = io->in[0]->dims[!p->batch_first];
    }
    if (r_rank == 3) hidden = io->in[2]->dims[2];
    if (p->hidden) {
        ox_dim given = ox_dim_const(p->hidden);
        OX_TRY(ox_dim_unify(&given, call, hidden));
        hidden = given;
    }
    const ox_dim all[2][4] = {{steps, directions, batch, hidden},
                              {batch, steps, directions, hidden}};
    const ox_dim last[2][3] = {{directions, batch, hidden}, {batch, directions, hidden}};
    if (call->n_out > 0) OX_TRY(ox_infer_tensor(io, 0, dtype, 4, all[p->batch_first]));
    for (size_t i = 1; i < call->n_out; i++)
        OX_TRY(ox_infer_tensor(io, i, dtype, 3, last[p->batch_first]));
    return OX_OK;
}
