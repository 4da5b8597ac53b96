/* passes/quantize/quant_weight.c - choosing the scales of weights. See quant_weight.h. */
#include "passes/quantize/quant_weight.h"

#include <math.h>

/* Scales tried are those of the largest weight times 1, 0.98, 0.96, ...: clipping the few largest
 * weights of a channel sometimes leaves less error than rounding all others more coarsely. */
enum { TRIES = 22, LANES = 16 };
#define TRY_STEP 0.02
#define SCALE_OF_ZEROS (1.0f / 1048576)

struct job {
    const float *w;
    const struct ox_qlayout *layout;
    const double *power;
    bool search, whole; /* whole: one scale for all channels */
    float *scale, *largest;
    float *scratch; /* LANES x 2 x column */
    size_t column;  /* weights of a channel */
    size_t lanes;
};

static float tame(float w) {
    if (!(w == w)) return 0;
    return w > FLT_MAX ? FLT_MAX : w < -FLT_MAX ? -FLT_MAX : w;
}

static float quantized(float w, float scale) {
    float q = rintf(w / scale);
    q = q > -127 ? q : -127;
    return q < 127 ? q : 127;
}

static double error_of(const float *w, const float *power, size_t n, float scale) {
    double sum = 0;
    for (size_t begin = 0; begin < n; begin += 256) {
        size_t end = begin + 256 < n ? begin + 256 : n;
        float part = 0;
        for (size_t i = begin; i < end; i++) {
            float d = w[i] / scale -
                      quantized(w[i], scale); /* in steps: squares of tiny weights would vanish */
            part += d * d * power[i];
        }
        sum += part;
    }
    return sum * (double)scale * scale;
}

/* Copies a channel and the weights of its errors, whose mean is 1, so that sums of squares stay
 * within a float. */
static float gather(const struct job *job, size_t c, float *w, float *power) {
    const struct ox_qlayout *l = job->layout;
    float largest = 0;
    double sum = 0;
    size_t n = 0;
    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0; i < l->inner; i++, n++) {
            w[n] = tame(job->w[(o * l->channels + c) * l->inner + i]);
            double p = job->power ? job->power[ox_qlayout_input(l, o, c, i)] : 1;
            sum += p;
            largest = fmaxf(largest, fabsf(w[n]));
        }
    double mean = sum / (double)(n ? n : 1);
    bool sane = mean > 0 && mean < INFINITY;
    n = 0;
    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0; i < l->inner; i++, n++)
            power[n] =
                job->power && sane ? (float)(job->power[ox_qlayout_input(l, o, c, i)] / mean) : 1;
    return largest;
}

static float best_scale(const float *w, const float *power, size_t n, float largest) {
    float widest = ox_scale_legal((double)largest / 127), best = widest;
    double least = error_of(w, power, n, widest);
    for (int t = 1; t < TRIES; t++) {
        float scale = ox_scale_legal((double)largest / 127 * (1 - TRY_STEP * t));
        double error = error_of(w, power, n, scale);
        if (error > 4 * least) break; /* ever more is cut off */
        if (error < least) {
            least = error;
            best = scale;
        }
    }
    return best;
}

/* Lane k takes channels k, k + lanes, ... */
static void choose(void *arg, size_t first, size_t last) {
    const struct job *job = arg;
    for (size_t lane = first; lane < last; lane++) {
        float *w = job->scratch + lane * 2 * job->column, *power = w + job->column;
        for (size_t c = lane; c < job->layout->channels; c += job->lanes) {
            float largest = gather(job, c, w, power);
            job->largest[c] = largest;
            if (job->whole || !(largest > 0))
                job->scale[c] = 1;
            else
                job->scale[c] = job->search ? best_scale(w, power, job->column, largest)
                                            : ox_scale_legal((double)largest / 127);
        }
    }
}

/* A channel of zeros has whatever scale suits its bias: the finest of the others. */
static void settle_zeros(const struct job *job, size_t channels) {
    float largest = 0, finest = INFINITY;
    for (size_t c = 0; c < channels; c++) {
        largest = fmaxf(largest, job->largest[c]);
        if (job->largest[c] > 0) finest = fminf(finest, job->scale[c]);
    }
    for (size_t c = 0; c < channels; c++)
        if (!(job->largest[c] > 0)) job->scale[c] = largest > 0 ? finest : SCALE_OF_ZEROS;
    if (job->whole)
        job->scale[0] = largest > 0 ? ox_scale_legal((double)largest / 127) : SCALE_OF_ZEROS;
}

static ox_status run_job(struct job *job, ox_ctx *ctx, struct ox_qweight *out) {
    size_t channels = job->layout->channels, floats;
    job->lanes = channels < LANES ? channels : LANES;
    if (ox_mul_size(&floats, job->lanes * 2, job->column))
        return ox_fail(ctx, OX_NOMEM, "too-large", NULL, "a weight is too large");
    OX_TRY(ox_alloc(ctx, &out->scale, channels ? channels : 1, sizeof *out->scale));
    OX_TRY(ox_alloc(ctx, &job->largest, channels, sizeof *job->largest));
    OX_TRY(ox_alloc(ctx, &job->scratch, floats, sizeof *job->scratch));
    job->scale = out->scale;
    ox_parallel(ctx, job->lanes, 1, choose, job);
    settle_zeros(job, channels);
    return OX_OK;
}

ox_status ox_qweight_init(struct ox_qweight *out, ox_ctx *ctx, const float *w,
                          struct ox_qlayout layout, int axis,
                          const struct ox_qweight_options *options) {
    struct job job = {.w = w,
                      .layout = &layout,
                      .power = options->power,
                      .search = options->search,
                      .whole = axis < 0,
                      .column = layout.outer * layout.inner};
    *out = (struct ox_qweight){.layout = layout, .axis = axis, .n = axis < 0 ? 1 : layout.channels};
    ox_status s = run_job(&job, ctx, out);
    ox_free(ctx, job.largest);
    ox_free(ctx, job.scratch);
    if (s != OX_OK) ox_qweight_fini(ctx, out);
    return s;
}

void ox_qweight_fini(ox_ctx *ctx, struct ox_qweight *weight) {
    ox_free(ctx, weight->scale);
    *weight = (struct ox_qweight){0};
}

struct apply {
    const struct ox_qweight *weight;
    const float *w;
    int8_t *q;
    float *real;
};

static void apply_rows(void *arg, size_t first, size_t last) {
    const struct apply *a = arg;
    const struct ox_qlayout *l = &a->weight->layout;
    for (size_t row = first; row < last; row++) {
        float scale = a->weight->scale[a->weight->axis < 0 ? 0 : row % l->channels];
        for (size_t i = row * l->inner; i < (row + 1) * l->inner; i++) {
            float q = quantized(tame(a->w[i]), scale);
            if (a->q) a->q[i] = (int8_t)q;
            if (a->real) a->real[i] = q * scale;
        }
    }
}

void ox_qweight_apply(ox_ctx *ctx, const struct ox_qweight *weight, const float *w, int8_t *q,
                      float *real) {
    struct apply a = {weight, w, q, real};
    const struct ox_qlayout *l = &weight->layout;
    ox_parallel(ctx, l->outer * l->channels, 1 + 4096 / (l->inner + 1), apply_rows, &a);
}
