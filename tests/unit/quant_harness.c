/* tests/unit/quant_harness.c - see quant_harness.h. */
#include "tests/unit/quant_harness.h"

#include <check.h>

static double uniform(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static ox_status sample(void *self, size_t index, ox_tensor **inputs, int64_t *label) {
    const struct quant_world *w = self;
    const struct ox_type *t = w->model->graph->inputs[0]->type;
    int64_t dims[OX_MAX_RANK];
    if (label) *label = -1;
    for (int i = 0; i < t->rank; i++)
        dims[i] = t->dims[i].k;
    for (size_t i = 0; i < w->model->graph->n_inputs; i++)
        inputs[i] = NULL;
    return ox_tensor_copy(&inputs[0], w->ctx, OX_FLOAT, t->rank, dims, w->samples + index * w->size,
                          w->size * sizeof(float));
}

void quant_world_open(struct quant_world *w, const char *text) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = 2};
    *w = (struct quant_world){0};
    ck_assert_int_eq(ox_ctx_new(&w->ctx, &o), OX_OK);
    ck_assert_int_eq(ox_text_parse(&w->model, w->ctx, text, strlen(text), "test"), OX_OK);
    ck_assert_int_eq(ox_model_infer(w->model, NULL), OX_OK);
}

void quant_world_close(struct quant_world *w) {
    ox_qsim_fini(&w->sim);
    ox_qplan_free(w->plan);
    ox_free(w->ctx, w->samples);
    ox_model_free(w->model);
    ck_assert_uint_eq(ox_ctx_memory(w->ctx), 0);
    ox_ctx_free(w->ctx);
}

void quant_plan(struct quant_world *w) {
    struct ox_qoptions o = {.activations = OX_UINT8,
                            .calibrator = OX_CALIB_MINMAX,
                            .percentile = 99.99,
                            .per_channel = true,
                            .products = true};
    ck_assert_int_eq(ox_qplan_new(&w->plan, w->model, &o), OX_OK);
    ck_assert_int_eq(ox_qsim_init(&w->sim, w->plan), OX_OK);
}

void quant_samples(struct quant_world *w, size_t count) {
    const struct ox_type *t = w->model->graph->inputs[0]->type;
    uint64_t state = 1;
    w->size = 1;
    for (int i = 0; i < t->rank; i++)
        w->size *= (size_t)t->dims[i].k;
    ck_assert_int_eq(ox_alloc(w->ctx, &w->samples, count * w->size, sizeof(float)), OX_OK);
    for (size_t i = 0; i < count * w->size; i++) {
        double sum = -6;
        for (int k = 0; k < 12; k++)
            sum += uniform(&state);
        w->samples[i] = (float)sum;
    }
    w->data = (struct ox_dataset){
        .self = w, .count = count, .n_inputs = w->model->graph->n_inputs, .sample = sample};
}

void quant_calibrate(struct quant_world *w) {
    size_t used;
    ck_assert_int_eq(ox_qstats_collect(&w->sim, &w->data, NULL, &used), OX_OK);
    ck_assert_uint_eq(used, w->data.count);
    ox_qstats_costs(w->plan);
    ox_qplan_settle(w->plan);
    ox_qplan_group(w->plan);
    ck_assert_int_eq(ox_qstats_params(w->plan, OX_CALIB_MINMAX), OX_OK);
    ck_assert_int_eq(ox_qstats_weights(w->plan, false), OX_OK);
}

struct ox_value *quant_value(const struct quant_world *w, const char *name) {
    for (size_t i = 0; i < w->model->n_values; i++)
        if (w->model->values[i] && strcmp(ox_name_text(w->model->values[i]->name), name) == 0)
            return w->model->values[i];
    ck_abort_msg("no value '%s'", name);
}

struct ox_qvalue *quant_qvalue(const struct quant_world *w, const char *name) {
    return &w->plan->values[quant_value(w, name)->id];
}

struct ox_qnode *quant_qnode(const struct quant_world *w, const char *name) {
    const struct ox_value *v = quant_value(w, name);
    ck_assert_ptr_nonnull(v->def);
    return &w->plan->nodes[v->def->id];
}
