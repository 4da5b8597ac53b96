/* passes/quantize/synthetic.c - made-up samples: noise, smooth fields and fields with the spectrum
 * of natural images. */
#include "passes/quantize/synthetic.h"

#include <math.h>

struct synthetic {
    struct ox_model *model;
    uint64_t seed;
};

static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(uint64_t *state) {
    return (double)(next(state) >> 11) / 9007199254740992.0;
}

static double normal(uint64_t *state) {
    double u = uniform(state), v = uniform(state);
    return sqrt(-2 * log(u > 0 ? u : 0.5)) * cos(6.283185307179586 * v);
}

static ox_status fill(ox_tensor **out, ox_ctx *ctx, const struct ox_type *type, uint64_t *state) {
    int64_t dims[OX_MAX_RANK];
    void *data;
    for (int i = 0; i < type->rank; i++)
        dims[i] = ox_dim_is_const(type->dims[i]) ? type->dims[i].k : 1;
    OX_TRY(ox_tensor_new(out, &data, ctx, type->dtype, type->rank, dims));
    for (size_t i = 0; i < (*out)->count; i++) {
        double x = normal(state);
        switch (type->dtype) {
        case OX_FLOAT:
            ((float *)data)[i] = (float)x;
            break;
        case OX_DOUBLE:
            ((double *)data)[i] = x;
            break;
        case OX_INT64:
            ((int64_t *)data)[i] = x > 0;
            break;
        case OX_INT32:
            ((int32_t *)data)[i] = x > 0;
            break;
        default:
            return OX_OK; /* zeros */
        }
    }
    return OX_OK;
}

static ox_status sample(void *self, size_t index, ox_tensor **inputs, int64_t *label) {
    struct synthetic *s = self;
    const struct ox_graph *g = s->model->graph;
    uint64_t state = s->seed + index * 0x632be59bd9b4e019u;
    if (label) *label = -1;
    for (size_t i = 0; i < g->n_inputs; i++) {
        inputs[i] = NULL;
        if (g->inputs[i]->init) continue;
        if (!ox_type_is_tensor(g->inputs[i]->type) || g->inputs[i]->type->rank < 0)
            return ox_fail(s->model->ctx, OX_UNSUPPORTED, "no-synthetic-input", NULL,
                           "no sample can be made up for input '%s'",
                           ox_name_text(g->inputs[i]->name));
        OX_TRY(fill(&inputs[i], s->model->ctx, g->inputs[i]->type, &state));
    }
    return OX_OK;
}

static void synthetic_free(void *self) {
    struct synthetic *s = self;
    ox_free(s->model->ctx, s);
}

ox_status ox_synthetic_open(struct ox_dataset *out, struct ox_model *model, uint64_t seed,
                            size_t count) {
    struct synthetic *s;
    OX_TRY(ox_alloc(model->ctx, &s, 1, sizeof *s));
    s->model = model;
    s->seed = seed;
    *out = (struct ox_dataset){.self = s,
                               .count = count,
                               .n_inputs = model->graph->n_inputs,
                               .sample = sample,
                               .free = synthetic_free};
    return OX_OK;
}
