/* passes/quantize/calibrate_range.c - the calibrators: from a histogram to a range. See
 * histogram.h. */
#include "passes/quantize/histogram.h"

#include <math.h>

/* Steps in which a bound is tried, from everything seen down to one step. */
enum { STEPS = 128 };

static double width_of(const struct ox_hist *h) {
    return ldexp(1.0, h->exponent);
}

static double low_edge(const struct ox_hist *h, int64_t i) {
    return (double)(h->base + i) * width_of(h);
}

/* Expected square of a value that is anywhere in [a, b) with equal chance. */
static double square_in(double a, double b) {
    return (a * a + a * b + b * b) / 3;
}

/* Part of [a, b) that is above `cut`, 0 to 1. */
static double part_above(double a, double b, double cut) {
    if (cut <= a) return 1;
    if (cut >= b) return 0;
    return (b - cut) / (b - a);
}

double ox_hist_error(const struct ox_hist *h, struct ox_range r, int levels) {
    if (!h->count) return 0;
    double width = width_of(h), step = ((double)r.max - r.min) / (levels - 1), cut = 0, inside = 0;
    for (int64_t i = 0; i < OX_HIST_BINS; i++) {
        if (!h->bins[i]) continue;
        double a = low_edge(h, i), b = a + width, n = (double)h->bins[i];
        double above = part_above(a, b, r.max), below = 1 - part_above(a, b, r.min);
        if (above > 0) cut += n * above * square_in(fmax(a, r.max) - r.max, b - r.max);
        if (below > 0) cut += n * below * square_in(r.min - fmin(b, r.min), r.min - a);
        inside += n * fmax(0, 1 - above - below);
    }
    return (cut + inside * step * step / 12) / (double)(h->count + h->zeros);
}

double ox_hist_power(const struct ox_hist *h) {
    if (!h->count) return 0;
    double sum = 0, width = width_of(h);
    for (int64_t i = 0; i < OX_HIST_BINS; i++)
        if (h->bins[i])
            sum += (double)h->bins[i] * square_in(low_edge(h, i), low_edge(h, i) + width);
    return sum / (double)(h->count + h->zeros);
}

static struct ox_range everything(const struct ox_hist *h) {
    return (struct ox_range){fminf(h->min, 0), fmaxf(h->max, 0)};
}

static struct ox_range mirrored(struct ox_range r) {
    float m = fmaxf(-r.min, r.max);
    return (struct ox_range){-m, m};
}

/* ---- percentile --------------------------------------------------------------------------------
 */

/* Value that `rank` of all finite values are below; zeros sit in the bin that begins at 0. */
static double quantile(const struct ox_hist *h, double rank) {
    double before = 0;
    for (int64_t i = 0; i < OX_HIST_BINS; i++) {
        double n = (double)h->bins[i] + (h->base + i == 0 ? (double)h->zeros : 0);
        if (n > 0 && before + n >= rank)
            return low_edge(h, i) + width_of(h) * ((rank - before) / n);
        before += n;
    }
    return h->max;
}

static struct ox_range percentile_range(const struct ox_hist *h, double percentile) {
    double total = (double)(h->count + h->zeros), tail = (100 - percentile) / 200;
    struct ox_range all = everything(h), r;
    r.min = fminf(0, fmaxf(all.min, (float)quantile(h, tail * total)));
    r.max = fmaxf(0, fminf(all.max, (float)quantile(h, (1 - tail) * total)));
    return r;
}

/* ---- mean square error -------------------------------------------------------------------------
 */

/* The error is a sum of a part of each bound and of the step, so once the parts are known every
 * pair of bounds costs nothing: cut[k] is the square error that bound k leaves outside, mass[k] how
 * many values. Bounds lie closer together towards zero, where long tails have theirs. */
struct side {
    float bound[STEPS];
    double cut[STEPS], mass[STEPS];
};

/* Sums over bins i and beyond, of values, their squares and their number. */
struct suffix {
    double n, x, xx;
};

static void sum_up(struct suffix *sums, const struct ox_hist *h, bool upper) {
    double width = width_of(h);
    sums[OX_HIST_BINS] = (struct suffix){0};
    for (int64_t k = OX_HIST_BINS - 1; k >= 0; k--) {
        int64_t i = upper ? k : OX_HIST_BINS - 1 - k;
        double n = (double)h->bins[i], a = low_edge(h, i), b = a + width;
        sums[k] = sums[k + 1];
        sums[k].n += n;
        sums[k].x += n * (upper ? a + b : -a - b) / 2;
        sums[k].xx += n * square_in(a, b);
    }
}

/* The lower side is the upper one of the mirrored histogram. */
static void measure_side(struct side *side, struct suffix *sums, const struct ox_hist *h,
                         double all, bool upper) {
    double width = width_of(h), first = upper ? low_edge(h, 0) : -low_edge(h, OX_HIST_BINS);
    sum_up(sums, h, upper);
    for (int k = 0; k < STEPS; k++) {
        double part = (double)(k + 1) / STEPS, bound = all * part * part,
               inside = (bound - first) / width;
        int64_t i = inside < 0 ? 0 : inside > OX_HIST_BINS - 1 ? OX_HIST_BINS - 1 : (int64_t)inside;
        double a = first + (double)i * width, b = a + width,
               above = part_above(a, b, bound) * (sums[i].n - sums[i + 1].n);
        const struct suffix *s = &sums[i + 1];
        side->bound[k] = (float)bound;
        side->mass[k] = s->n + above;
        side->cut[k] = fmax(0, s->xx - 2 * bound * s->x + bound * bound * s->n) +
                       above * square_in(fmax(a, bound) - bound, b - bound);
    }
    side->bound[STEPS - 1] = (float)all; /* everything: the last bin is not full to its edge */
    side->mass[STEPS - 1] = side->cut[STEPS - 1] = 0;
}

struct mse_scratch {
    struct side low, high;
    struct suffix sums[OX_HIST_BINS + 1];
};

static struct ox_range best_pair(const struct mse_scratch *s, const struct ox_hist *h, int levels,
                                 bool symmetric) {
    double best = INFINITY;
    int best_low = STEPS - 1, best_high = STEPS - 1;
    bool has_low = s->low.bound[STEPS - 1] > 0, has_high = s->high.bound[STEPS - 1] > 0;
    for (int i = has_low ? 0 : STEPS - 1; i < STEPS; i++)
        for (int j = has_high ? 0 : STEPS - 1; j < STEPS; j++) {
            double low = s->low.bound[i], high = s->high.bound[j],
                   span = symmetric ? 2 * fmax(low, high) : low + high;
            double step = span / (levels - 1),
                   inside = (double)h->count - s->low.mass[i] - s->high.mass[j];
            double error = s->low.cut[i] + s->high.cut[j] + inside * step * step / 12;
            if (error < best || (error == best && i + j > best_low + best_high)) {
                best = error;
                best_low = i;
                best_high = j;
            }
        }
    return (struct ox_range){-s->low.bound[best_low], s->high.bound[best_high]};
}

static ox_status mse_range(struct ox_range *out, ox_ctx *ctx, const struct ox_hist *h, int levels,
                           bool symmetric) {
    struct mse_scratch *s;
    struct ox_range all = everything(h);
    OX_TRY(ox_alloc(ctx, &s, 1, sizeof *s));
    measure_side(&s->low, s->sums, h, -(double)all.min, false);
    measure_side(&s->high, s->sums, h, all.max, true);
    *out = best_pair(s, h, levels, symmetric);
    ox_free(ctx, s);
    return OX_OK;
}

/* ---- entropy -----------------------------------------------------------------------------------
 */

/* Divergence of the distribution that `levels` equal cells leave of bins [first, last], whose outer
 * ones also hold what is beyond them, from the distribution itself. Each cell spreads its mass
 * evenly over its occupied bins. */
static double divergence(const struct ox_hist *h, int64_t first, int64_t last, int levels) {
    double total = (double)h->count, inner = 0, outside_low = 0, outside_high = 0;
    for (int64_t i = 0; i < OX_HIST_BINS; i++) {
        double n = (double)h->bins[i];
        if (i < first)
            outside_low += n;
        else if (i > last)
            outside_high += n;
        else
            inner += n;
    }
    if (inner <= 0) return INFINITY;
    double sum = 0, n_bins = (double)(last - first + 1);
    int64_t i = first;
    for (int cell = 0; cell < levels && i <= last; cell++) {
        int64_t end = first + (int64_t)ceil(n_bins * (cell + 1) / levels), from = i;
        double mass = 0, occupied = 0;
        for (; i < end && i <= last; i++) {
            mass += (double)h->bins[i];
            occupied += h->bins[i] > 0;
        }
        for (int64_t k = from; k < i; k++) {
            double p = (double)h->bins[k] + (k == first ? outside_low : 0) +
                       (k == last ? outside_high : 0);
            double q = h->bins[k] ? mass / occupied : 0;
            if (p <= 0) continue;
            if (q <= 0) q = 1e-4; /* a bound on an empty bin: nearly impossible, not impossible */
            sum += p / total * log((p / total) / (q / inner));
        }
    }
    return sum;
}

static struct ox_range entropy_range(const struct ox_hist *h, int levels) {
    struct ox_range all = everything(h), best_range = all;
    double most = fmax(-(double)all.min, all.max), best = INFINITY, width = width_of(h);
    for (int k = STEPS - 1; k >= STEPS / 16; k--) {
        double t = most * (k + 1) / STEPS, low = fmax(all.min, -t), high = fmin(all.max, t);
        int64_t first = (int64_t)floor(low / width) - h->base,
                last = (int64_t)floor(high / width) - h->base;
        if (first < 0) first = 0;
        if (last >= OX_HIST_BINS) last = OX_HIST_BINS - 1;
        double d = divergence(h, first, last, levels);
        if (d < best) {
            best = d;
            best_range = (struct ox_range){(float)low, (float)high};
        }
    }
    return best_range;
}

ox_status ox_hist_range(struct ox_range *out, ox_ctx *ctx, const struct ox_hist *hist,
                        const struct ox_calibrate_options *options) {
    *out = everything(hist);
    if (!hist->count) return OX_OK;
    switch (options->calibrator) {
    case OX_CALIB_MINMAX:
        break;
    case OX_CALIB_PERCENTILE:
        *out = percentile_range(hist, options->percentile);
        break;
    case OX_CALIB_ENTROPY:
        *out = entropy_range(hist, options->levels);
        break;
    case OX_CALIB_MSE:
        OX_TRY(mse_range(out, ctx, hist, options->levels, options->symmetric));
        break;
    }
    if (options->symmetric) *out = mirrored(*out);
    return OX_OK;
}
