/* ir/ops/op_training.c - Adagrad, Adam and Momentum: one step of training; what can be said of
 * Gradient without its graph.
 *
 * Inputs are the learning rate R, the step's number T, then for n tensors all values X, all
 * gradients G, and all of each state that the method keeps (V, H); outputs are all new X, then all
 * of each new state. */
#include "ir/ops/op_priv.h"
#include "ir/ops/op_training.h"
#include "ir/ops/wide.h"
#include <math.h>

const enum ox_step_kind ox_step_kinds[OX_STEP_KINDS] = {OX_STEP_ADAGRAD, OX_STEP_ADAM,
                                                        OX_STEP_MOMENTUM};

#define REALS (OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE))

static enum ox_step_kind kind_of(const struct ox_call *call) {
    return *(const enum ox_step_kind *)call->op->family;
}

static size_t states_of(const struct ox_call *call) {
    return kind_of(call) == OX_STEP_ADAM ? 2 : 1;
}

/* Tensors that are trained. */
static size_t group_of(const struct ox_call *call) {
    return (call->n_in - 2) / (2 + states_of(call));
}

ox_status ox_decode_training(const struct ox_call *call, void *params) {
    static const char *const modes[] = {"standard", "nesterov", NULL};
    struct ox_training_params *p = params;
    int mode = 0;
    OX_TRY(ox_attr_float(&p->alpha, call, "alpha", 0.9f));
    OX_TRY(ox_attr_float(&p->beta, call, "beta", 0.999f));
    OX_TRY(ox_attr_float(&p->epsilon, call, "epsilon", 1e-6f));
    OX_TRY(ox_attr_float(&p->decay, call, "decay_factor", 0));
    OX_TRY(ox_attr_float(&p->norm, call, "norm_coefficient", 0));
    OX_TRY(ox_attr_float(&p->norm_post, call, "norm_coefficient_post", 0));
    if (kind_of(call) == OX_STEP_MOMENTUM) {
        static const char *const needed[] = {"alpha", "beta", "mode", "norm_coefficient"};
        for (size_t i = 0; i < 4; i++)
            if (!ox_attr_find(call, needed[i]))
                return ox_bad_attr(call, "attribute '%s' is missing", needed[i]);
        OX_TRY(ox_attr_choice(&mode, call, "mode", modes, 0));
    }
    p->nesterov = mode == 1;
    size_t n = group_of(call), states = states_of(call);
    if (call->n_in == 2 + n * (2 + states) && call->n_out <= n * (1 + states)) return OX_OK;
    return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                   "%s has %zu inputs and %zu outputs; after R and T there are %zu inputs and %zu "
                   "outputs for each tensor",
                   call->op->name, call->n_in, call->n_out, 2 + states, 1 + states);
}

/* Input that has the old value of output o: the gradients lie between values and states. */
static size_t source_of(const struct ox_call *call, size_t o) {
    size_t n = group_of(call);
    return 2 + (o < n ? o : o + n);
}

ox_status ox_infer_training(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), REALS));
    OX_TRY(ox_expect_dtype(call, 1, ox_in_dtype(io, 1), OX_BIT(OX_INT64)));
    for (size_t i = 2; i < call->n_in; i++)
        OX_TRY(ox_expect_dtype(call, i, ox_in_dtype(io, i), REALS));
    for (size_t o = 0; o < call->n_out; o++)
        OX_TRY(ox_infer_same(io, o, source_of(call, o)));
    return OX_OK;
}

struct step {
    enum ox_step_kind kind;
    const struct ox_training_params *p;
    double rate, t;
};

/* One element: its value and states change in place. */
static void train(const struct step *s, double *x, double g, double *v, double *h) {
    const struct ox_training_params *p = s->p;
    double alpha = (double)p->alpha, beta = (double)p->beta, rate = s->rate;
    g += (double)p->norm * *x;
    switch (s->kind) {
    case OX_STEP_ADAGRAD:
        *h += g * g;
        *x -= rate / (1 + s->t * (double)p->decay) * g / (sqrt(*h) + (double)p->epsilon);
        return;
    case OX_STEP_ADAM:
        *v = alpha * *v + (1 - alpha) * g;
        *h = beta * *h + (1 - beta) * g * g;
        if (s->t > 0) rate *= sqrt(1 - pow(beta, s->t)) / (1 - pow(alpha, s->t));
        *x -= rate * *v / (sqrt(*h) + (double)p->epsilon);
        *x *= 1 - (double)p->norm_post;
        return;
    default: /* the first gradient counts in full */
        *v = alpha * *v + (s->t > 0 ? beta : 1) * g;
        *x -= rate * (p->nesterov ? g + alpha * *v : *v);
    }
}

/* All elements as doubles. From ox_alloc. */
static ox_status as_doubles(double **out, const struct ox_call *call, const ox_tensor *t) {
    union ox_wide *values;
    OX_TRY(ox_alloc_raw(call->ctx, &values, t->count, sizeof *values));
    if (t->count) ox_wide_load(values, t->dtype, t->data, 1, t->count);
    *out = &values->f;
    return OX_OK;
}

static ox_status store(ox_tensor **out, const struct ox_call *call, const double *values,
                       const ox_tensor *like) {
    void *data;
    OX_TRY(ox_tensor_new(out, &data, call->ctx, like->dtype, like->rank, like->dims));
    if (like->count) ox_wide_store(data, like->dtype, (const union ox_wide *)values, like->count);
    return OX_OK;
}

/* Tensor i of the group. parts: X, G and the states, as doubles. */
static ox_status train_tensor(const struct step *s, const struct ox_call *call, size_t i,
                              const ox_tensor *const *in, ox_tensor **out, double **parts) {
    size_t n = group_of(call), states = states_of(call);
    const ox_tensor *x = in[2 + i];
    for (size_t k = 0; k < 2 + states; k++) {
        const ox_tensor *t = in[2 + k * n + i];
        OX_TRY(ox_expect_dtype(call, 2 + k * n + i, t->dtype, REALS));
        if (t->rank != x->rank || memcmp(t->dims, x->dims, (size_t)x->rank * 8) != 0)
            return ox_bad_shape(call, "input %zu is %s, expected %s", 2 + k * n + i,
                                ox_dims_text(t->rank, t->dims).text,
                                ox_dims_text(x->rank, x->dims).text);
        OX_TRY(as_doubles(&parts[k], call, t));
    }
    for (size_t e = 0; e < x->count; e++)
        train(s, &parts[0][e], parts[1][e], &parts[2][e], &parts[1 + states][e]);
    for (size_t k = 0; k < 1 + states; k++) {
        size_t o = k * n + i;
        if (o >= call->n_out || (call->wanted && !call->wanted[o])) continue;
        OX_TRY(store(&out[o], call, parts[k ? k + 1 : 0], in[source_of(call, o)]));
    }
    return OX_OK;
}

ox_status ox_eval_training(const struct ox_call *call, const void *params,
                           const ox_tensor *const *in, ox_tensor **out) {
    struct step s = {.kind = kind_of(call), .p = params};
    union ox_wide rate;
    int64_t t;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, REALS));
    OX_TRY(ox_expect_dtype(call, 1, in[1]->dtype, OX_BIT(OX_INT64)));
    if (in[0]->count != 1) return ox_bad_shape(call, "R has %zu elements", in[0]->count);
    OX_TRY(ox_scalar_int(&t, call, "T", in[1]));
    ox_wide_load(&rate, in[0]->dtype, in[0]->data, 1, 1);
    s.rate = rate.f;
    s.t = (double)t;
    ox_status status = OX_OK;
    for (size_t i = 0; status == OX_OK && i < group_of(call); i++) {
        double *parts[4] = {NULL};
        status = train_tensor(&s, call, i, in, out, parts);
        for (size_t k = 0; k < 4; k++)
            ox_free(call->ctx, parts[k]);
    }
    return status;
}

/* ---- Gradient -------------------------------------------------------------------------------- */

static ox_status count_names(size_t *n, const struct ox_call *call, const char *name, bool needed) {
    const struct ox_attr *attr = ox_attr_find(call, name);
    *n = 0;
    if (!attr && needed) return ox_bad_attr(call, "attribute '%s' is missing", name);
    if (attr && attr->type != OX_ATTR_STRINGS)
        return ox_bad_attr(call, "attribute '%s' is not a list of strings", name);
    if (attr) *n = attr->count;
    return OX_OK;
}

ox_status ox_decode_gradient(const struct ox_call *call, void *params) {
    struct ox_gradient_params *p = params;
    struct ox_str y;
    size_t zs;
    OX_TRY(count_names(&p->n_xs, call, "xs", true));
    OX_TRY(count_names(&zs, call, "zs", false));
    OX_TRY(ox_attr_string(&y, call, "y", NULL));
    if (!y.ptr) return ox_bad_attr(call, "attribute 'y' is missing");
    if (call->n_in == p->n_xs + zs && call->n_out <= p->n_xs) return OX_OK;
    return ox_fail(call->ctx, OX_INVALID, "wrong-arity", NULL,
                   "Gradient has %zu inputs and %zu outputs; xs names %zu tensors, zs %zu",
                   call->n_in, call->n_out, p->n_xs, zs);
}

ox_status ox_infer_gradient(const struct ox_call *call, const void *params, struct ox_infer *io) {
    (void)params;
    for (size_t i = 0; i < call->n_out; i++)
        OX_TRY(ox_infer_same(io, i, i));
    return OX_OK;
}
