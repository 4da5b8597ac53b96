/* passes/quantize/synthetic.c - made-up samples. See synthetic.h.
 *
 * Photographs have little energy in high frequencies (their amplitude falls as 1/f), and what
 * convolutions give for them is very different from what they give for white noise. So images are
 * sums of octaves of smooth random fields, one for brightness and a fainter one for each channel.
 */
#include "passes/quantize/synthetic.h"

#include <math.h>

enum { OCTAVES = 7, GRID_MAX = (1 << OCTAVES) + 2, IMAGE_SIDE = 224, LENGTH = 32, HOPS = 8 };

struct synthetic {
    struct ox_model *model;
    uint64_t seed;
    double amplitude;
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

/* Sum of uniforms: no libm, so the same everywhere. Mean 0, variance 1, at most 6. */
static double normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform(state);
    return sum;
}

/* ---- images
 * -------------------------------------------------------------------------------------- */

struct image {
    float *data;
    size_t channels, height, width;
    bool last; /* channels are the last dim */
};

static void add_field(const struct image *im, size_t from, size_t to, double weight, float *grid,
                      uint64_t *state) {
    for (int octave = 1; octave <= OCTAVES; octave++) {
        size_t cells = (size_t)1 << octave, side = cells + 1;
        double amplitude = weight / (double)cells;
        for (size_t i = 0; i < side * side; i++)
            grid[i] = (float)(normal(state) * amplitude * 2);
        for (size_t y = 0; y < im->height; y++)
            for (size_t x = 0; x < im->width; x++) {
                float fy = (float)y * (float)cells / (float)im->height,
                      fx = (float)x * (float)cells / (float)im->width;
                size_t gy = (size_t)fy, gx = (size_t)fx;
                float ty = fy - (float)gy, tx = fx - (float)gx;
                const float *g = grid + gy * side + gx;
                float v = (g[0] * (1 - tx) + g[1] * tx) * (1 - ty) +
                          (g[side] * (1 - tx) + g[side + 1] * tx) * ty;
                for (size_t c = from; c < to; c++)
                    im->data[im->last ? (y * im->width + x) * im->channels + c
                                      : (c * im->height + y) * im->width + x] += v;
            }
    }
}

/* A rectangle of another brightness: photographs have edges. */
static void add_box(const struct image *im, uint64_t *state) {
    size_t y0 = (size_t)(uniform(state) * (double)im->height),
           x0 = (size_t)(uniform(state) * (double)im->width);
    size_t y1 = y0 + (size_t)(uniform(state) * (double)im->height / 2),
           x1 = x0 + (size_t)(uniform(state) * (double)im->width / 2);
    for (size_t c = 0; c < im->channels; c++) {
        float shift = (float)normal(state);
        for (size_t y = y0; y < y1 && y < im->height; y++)
            for (size_t x = x0; x < x1 && x < im->width; x++)
                im->data[im->last ? (y * im->width + x) * im->channels + c
                                  : (c * im->height + y) * im->width + x] += shift;
    }
}

static ox_status fill_image(const struct synthetic *s, const ox_tensor *t, float *data,
                            size_t index, uint64_t *state) {
    float *grid;
    bool last = t->dims[3] <= 4 && t->dims[1] > 4;
    struct image im = {.channels = (size_t)t->dims[last ? 3 : 1],
                       .height = (size_t)t->dims[last ? 1 : 2],
                       .width = (size_t)t->dims[last ? 2 : 3],
                       .last = last};
    size_t each = im.channels * im.height * im.width;
    OX_TRY(ox_alloc_raw(s->model->ctx, &grid, GRID_MAX * GRID_MAX, sizeof *grid));
    for (size_t n = 0; each && n < t->count / each; n++) {
        im.data = data + n * each;
        add_field(&im, 0, im.channels, 1, grid, state);
        for (size_t c = 0; c < im.channels; c++)
            add_field(&im, c, c + 1, 0.3, grid, state);
        for (int k = 0; k < 6; k++)
            add_box(&im, state);
    }
    ox_free(s->model->ctx, grid);
    /* Inputs are centred or positive: half of the samples each. */
    double spread = 0.5, centre = index % 2 ? 0.5 : 0, low = index % 2 ? 0 : -2.5,
           high = index % 2 ? 1 : 2.5;
    if (index % 4 == 2) spread = 1;
    if (index % 2) spread = 0.25;
    if (s->amplitude > 1)
        centre *= 255 / s->amplitude, high = index % 2 ? 255 / s->amplitude : 2,
                                      low = index % 2 ? 0 : -2, spread = 0.9;
    for (size_t i = 0; i < t->count; i++) {
        double v = centre + spread * (double)data[i] + 0.02 * normal(state);
        data[i] = (float)(s->amplitude * fmin(fmax(v, low), high));
    }
    return OX_OK;
}

/* ---- what integers mean
 * -------------------------------------------------------------------------- */

/* Upper bound of sensible values of an integer input: rows of the table that it indexes; 256 for
 * what is compared with constants, as characters are; 2 elsewhere (a mask). */
static int64_t bound_of(const struct ox_value *v, int hops) {
    int64_t bound = 2;
    for (const struct ox_use *u = v->uses; u && hops > 0; u = u->next) {
        const struct ox_node *n = u->user;
        const struct ox_value *table = ox_node_in(n, 0);
        if (ox_node_is(n, "Gather") && ox_use_index(u) == 1 && ox_type_is_tensor(table->type) &&
            table->type->rank > 0 && ox_dim_is_const(table->type->dims[0]))
            return table->type->dims[0].k;
        if (ox_node_is(n, "Equal") || ox_node_is(n, "OneHot")) return 256;
        bool passes = n->op && (n->op->traits & (OX_MOVES | OX_ELTWISE)) && n->n_out && n->out[0];
        int64_t found = passes ? bound_of(n->out[0], hops - 1) : 2;
        if (found > bound) bound = found;
    }
    return bound;
}

static ox_status fill(const struct synthetic *s, ox_tensor *t, void *data, const struct ox_value *v,
                      size_t index, uint64_t *state) {
    bool image = t->rank == 4 && t->dtype == OX_FLOAT && t->count && t->dims[2] > 4;
    if (image) return fill_image(s, t, data, index, state);
    int64_t bound = bound_of(v, HOPS), ones = bound == 2;
    for (size_t i = 0; i < t->count; i++) {
        double x = normal(state) * s->amplitude;
        int64_t k = ones ? 1 : (int64_t)(uniform(state) * (double)bound);
        switch (t->dtype) {
        case OX_FLOAT:
            ((float *)data)[i] = (float)x;
            break;
        case OX_DOUBLE:
            ((double *)data)[i] = x;
            break;
        case OX_INT64:
            ((int64_t *)data)[i] = k;
            break;
        case OX_INT32:
            ((int32_t *)data)[i] = (int32_t)k;
            break;
        case OX_UINT8:
            ((uint8_t *)data)[i] = (uint8_t)next(state);
            break;
        case OX_BOOL:
            ((uint8_t *)data)[i] = 1;
            break;
        default:
            return OX_OK; /* zeros */
        }
    }
    return OX_OK;
}

static int64_t size_of_dim(const struct ox_type *t, int i) {
    if (ox_dim_is_const(t->dims[i])) return t->dims[i].k;
    if (i == 0) return 1;
    if (t->rank == 4 && t->dtype == OX_FLOAT)
        return i == 1 && !(ox_dim_is_const(t->dims[3]) && t->dims[3].k <= 4) ? 3 : IMAGE_SIDE;
    return LENGTH;
}

static ox_status sample(void *self, size_t index, ox_tensor **inputs, int64_t *label) {
    struct synthetic *s = self;
    const struct ox_graph *g = s->model->graph;
    uint64_t state = s->seed + index * 0x632be59bd9b4e019u;
    if (label) *label = -1;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct ox_type *type = g->inputs[i]->type;
        int64_t dims[OX_MAX_RANK];
        void *data;
        inputs[i] = NULL;
        if (g->inputs[i]->init) continue;
        if (!ox_type_is_tensor(type) || type->rank < 0 || type->dtype == OX_STRING ||
            type->dtype == OX_UNDEFINED)
            return ox_fail(s->model->ctx, OX_UNSUPPORTED, "no-synthetic-input", NULL,
                           "no sample can be made up for input '%s'",
                           ox_name_text(g->inputs[i]->name));
        for (int d = 0; d < type->rank; d++)
            dims[d] = size_of_dim(type, d);
        OX_TRY(ox_tensor_new(&inputs[i], &data, s->model->ctx, type->dtype, type->rank, dims));
        OX_TRY(fill(s, inputs[i], data, g->inputs[i], index, &state));
    }
    return OX_OK;
}

static void synthetic_free(void *self) {
    struct synthetic *s = self;
    ox_free(s->model->ctx, s);
}

ox_status ox_synthetic_open(struct ox_dataset *out, struct ox_model *model, uint64_t seed,
                            size_t count, double amplitude) {
    struct synthetic *s;
    OX_TRY(ox_alloc(model->ctx, &s, 1, sizeof *s));
    *s = (struct synthetic){model, seed, amplitude};
    *out = (struct ox_dataset){.self = s,
                               .count = count,
                               .n_inputs = model->graph->n_inputs,
                               .sample = sample,
                               .free = synthetic_free};
    return OX_OK;
}
