/* passes/quantize/histogram.c - filling histograms. See histogram.h for the invariants. */
#include "passes/quantize/histogram.h"

#include <float.h>
#include <math.h>

/* Values are binned in pieces of which each has counts of its own, added up afterwards: integers,
 * so order is no matter. */
enum { PIECES = 8, PIECE_MIN = 1 << 15 };

void ox_hist_fini(ox_ctx *ctx, struct ox_hist *hist) {
    ox_free(ctx, hist->bins);
    *hist = (struct ox_hist){0};
}

static int64_t bin_of(double value, int exponent) {
    return (int64_t)floor(ldexp(value, -exponent));
}

/* Smallest width at which [min, max] fits. Both are finite and not both zero, so exponents stay
 * within a float's. */
static int exponent_for(double min, double max) {
    int e;
    frexp(fmax(fabs(min), fabs(max)), &e); /* magnitude < 2^e */
    e -= 12;                               /* certainly narrow enough: 2^12 bins a side */
    while (bin_of(max, e) - bin_of(min, e) >= OX_HIST_BINS)
        e++;
    return e;
}

/* Brings the bins to a layout in which [min, max] fits as well as what is there, and zero: it is in
 * every quantizer's range, and so whether zeros were seen does not matter. */
static ox_status make_room(ox_ctx *ctx, struct ox_hist *h, double min, double max) {
    double low = fmin(fmin(min, 0), h->min), high = fmax(fmax(max, 0), h->max);
    if (h->bins && bin_of(low, h->exponent) >= h->base &&
        bin_of(high, h->exponent) < h->base + OX_HIST_BINS)
        return OX_OK;
    int e = exponent_for(low, high);
    int64_t base = bin_of(low, e);
    uint64_t *bins;
    OX_TRY(ox_alloc(ctx, &bins, OX_HIST_BINS, sizeof *bins));
    for (int64_t i = 0; h->bins && i < OX_HIST_BINS; i++) {
        if (!h->bins[i]) continue;
        int shift = e - h->exponent > 62 ? 62 : e - h->exponent;
        bins[((h->base + i) >> shift) - base] +=
            h->bins[i]; /* >> rounds down: the wider bin that holds this one */
    }
    ox_free(ctx, h->bins);
    h->bins = bins;
    h->exponent = e;
    h->base = base;
    return OX_OK;
}

/* ---- one piece of the values -------------------------------------------------------------------
 */

struct piece {
    uint64_t bins[OX_HIST_BINS];
    uint64_t zeros, nonfinite;
    float min, max; /* of finite values */
};

struct job {
    const float *values;
    size_t n, pieces;
    struct piece *piece;
    double inverse; /* 1 / width */
    int64_t base;
};

static void span(const struct job *job, size_t piece, size_t *begin, size_t *end) {
    size_t each = job->n / job->pieces;
    *begin = piece * each;
    *end = piece + 1 == job->pieces ? job->n : *begin + each;
}

static void measure(void *arg, size_t first, size_t last) {
    const struct job *job = arg;
    for (size_t p = first; p < last; p++) {
        size_t begin, end, zeros = 0, finite = 0;
        float min = INFINITY, max = -INFINITY;
        span(job, p, &begin, &end);
        for (size_t i = begin; i < end; i++) {
            float x = job->values[i];
            bool good = fabsf(x) <= FLT_MAX; /* false for NaN too */
            finite += good;
            zeros += x == 0.0f;
            if (good && x < min) min = x;
            if (good && x > max) max = x;
        }
        job->piece[p].zeros = zeros;
        job->piece[p].nonfinite = end - begin - finite;
        job->piece[p].min = min;
        job->piece[p].max = max;
    }
}

static void fill(void *arg, size_t first, size_t last) {
    const struct job *job = arg;
    for (size_t p = first; p < last; p++) {
        size_t begin, end;
        uint64_t *bins = job->piece[p].bins;
        span(job, p, &begin, &end);
        for (size_t i = begin; i < end; i++) {
            float x = job->values[i];
            if (x == 0.0f || !(fabsf(x) <= FLT_MAX)) continue;
            double scaled = (double)x * job->inverse;
            int64_t bin = (int64_t)scaled;
            bins[bin - (scaled < (double)bin) - job->base]++;
        }
    }
}

static ox_status add_pieces(ox_ctx *ctx, struct ox_hist *h, struct job *job) {
    ox_parallel(ctx, job->pieces, 1, measure, job);
    float min = INFINITY, max = -INFINITY;
    uint64_t zeros = 0, nonfinite = 0;
    for (size_t p = 0; p < job->pieces; p++) {
        min = fminf(min, job->piece[p].min);
        max = fmaxf(max, job->piece[p].max);
        zeros += job->piece[p].zeros;
        nonfinite += job->piece[p].nonfinite;
    }
    uint64_t counted = job->n - zeros - nonfinite;
    if (counted) {
        OX_TRY(make_room(ctx, h, min, max));
        job->inverse = ldexp(1.0, -h->exponent);
        job->base = h->base;
        ox_parallel(ctx, job->pieces, 1, fill, job);
        for (size_t p = 0; p < job->pieces; p++)
            for (size_t i = 0; i < OX_HIST_BINS; i++)
                h->bins[i] += job->piece[p].bins[i];
    }
    bool empty = h->count + h->zeros == 0;
    if (zeros + counted) {
        h->min = empty ? min : fminf(h->min, min);
        h->max = empty ? max : fmaxf(h->max, max);
    }
    h->count += counted;
    h->zeros += zeros;
    h->nonfinite += nonfinite;
    return OX_OK;
}

ox_status ox_hist_add(ox_ctx *ctx, struct ox_hist *hist, const float *values, size_t n) {
    if (n == 0) return OX_OK;
    struct job job = {.values = values, .n = n, .pieces = n < 2 * PIECE_MIN ? 1 : PIECES};
    OX_TRY(ox_alloc(ctx, &job.piece, job.pieces, sizeof *job.piece));
    ox_status s = add_pieces(ctx, hist, &job);
    ox_free(ctx, job.piece);
    return s;
}

ox_status ox_hist_merge(ox_ctx *ctx, struct ox_hist *hist, const struct ox_hist *other) {
    bool empty = hist->count + hist->zeros == 0;
    if (other->count) {
        OX_TRY(make_room(ctx, hist, other->min, other->max));
        for (int64_t i = 0; i < OX_HIST_BINS; i++) {
            if (!other->bins[i]) continue;
            int shift =
                hist->exponent - other->exponent > 62 ? 62 : hist->exponent - other->exponent;
            hist->bins[((other->base + i) >> shift) - hist->base] += other->bins[i];
        }
    }
    if (other->count + other->zeros) {
        hist->min = empty ? other->min : fminf(hist->min, other->min);
        hist->max = empty ? other->max : fmaxf(hist->max, other->max);
    }
    hist->count += other->count;
    hist->zeros += other->zeros;
    hist->nonfinite += other->nonfinite;
    return OX_OK;
}
