/* backend/runtime/depthwise8.c - see depthwise8.h.
 *
 * 64 channels at a time: interleaving the bytes of four taps puts the four of a channel side by
 * side, and one instruction multiplies and adds them to the channel's sum. It wants unsigned data,
 * so data is taken as q + 128; that, the zero point and the bias are constants of a channel and go
 * into where its sum starts. Taps are filled up to a multiple of four with weights of 0.
 *
 * With a stride of 1 the windows inside a row follow each other in memory as their results do:
 * pixels times channels are one long row of channels then, whose weights repeat. They are laid out
 * so often that they repeat every so many blocks of 64: no part of a block is idle. */
#include "backend/runtime/depthwise8.h"

enum { BLOCK = 64, GROUP = 4, REPEATED_MAX = 24 << 10 /* bytes of weights that stay near */ };

void oxr_depthwise8_release(struct oxr_depthwise8 *d, ox_ctx *ctx) {
    ox_free(ctx, d->weights);
    ox_free(ctx, d->bias);
    ox_free(ctx, d->factor);
    ox_free(ctx, d->zeros);
    *d = (struct oxr_depthwise8){0};
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

bool oxr_depthwise8_here(void) {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

TARGET static inline __m512i load(const int8_t *at, __mmask64 mask, bool whole) {
    const __m512i x = whole ? _mm512_loadu_si512(at) : _mm512_maskz_loadu_epi8(mask, at);
    return _mm512_xor_si512(x, _mm512_set1_epi8((char)0x80));
}

/* Adds four taps. Register i of sums has channels 4i to 4i + 3 of each quarter of a block: what two
 * interleavings leave, and two packings undo. */
TARGET static inline void add_taps(__m512i *sums, const int8_t *const *taps, size_t at,
                                   const int8_t *w, __mmask64 mask, bool whole) {
    const __m512i a = load(taps[0] + at, mask, whole), b = load(taps[1] + at, mask, whole),
                  c = load(taps[2] + at, mask, whole), d = load(taps[3] + at, mask, whole);
    const __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d),
                  ab2 = _mm512_unpackhi_epi8(a, b), cd2 = _mm512_unpackhi_epi8(c, d);
    sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(ab, cd), _mm512_loadu_si512(w));
    sums[1] =
        _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(ab, cd), _mm512_loadu_si512(w + 64));
    sums[2] =
        _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(ab2, cd2), _mm512_loadu_si512(w + 128));
    sums[3] =
        _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(ab2, cd2), _mm512_loadu_si512(w + 192));
}

/* Adds the last tap where it is alone in its group. */
TARGET static inline void add_tap(__m512i *sums, const int8_t *tap, const int8_t *w, __mmask64 mask,
                                  bool whole) {
    const __m512i a = load(tap, mask, whole), zero = _mm512_setzero_si512(),
                  low = _mm512_unpacklo_epi8(a, zero), high = _mm512_unpackhi_epi8(a, zero);
    sums[0] = _mm512_dpbusd_epi32(sums[0], _mm512_unpacklo_epi16(low, zero), _mm512_loadu_si512(w));
    sums[1] =
        _mm512_dpbusd_epi32(sums[1], _mm512_unpackhi_epi16(low, zero), _mm512_loadu_si512(w + 64));
    sums[2] = _mm512_dpbusd_epi32(sums[2], _mm512_unpacklo_epi16(high, zero),
                                  _mm512_loadu_si512(w + 128));
    sums[3] = _mm512_dpbusd_epi32(sums[3], _mm512_unpackhi_epi16(high, zero),
                                  _mm512_loadu_si512(w + 192));
}

TARGET static inline __m512i scaled(__m512i sum, const float *factor, __m512 top) {
    return _mm512_cvtps_epi32(
        _mm512_min_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(factor)), top));
}

/* 64 channels, or those of mask. */
TARGET static inline void block(const struct oxr_depthwise8 *d,
                                const struct ox_step_conv_s8_params *p, const int8_t *const *taps,
                                size_t at, size_t number, int8_t *out, __mmask64 mask, bool whole) {
    const int8_t *w = d->weights + number * d->groups * BLOCK * GROUP;
    const int32_t *bias = d->bias + number * BLOCK;
    const float *factor = d->factor + number * BLOCK;
    const __m512 top = _mm512_set1_ps((float)(p->high - p->out.zero));
    const __m512i zero = _mm512_set1_epi16((short)p->out.zero);
    __m512i sums[4];
    for (int i = 0; i < 4; i++)
        sums[i] = _mm512_loadu_si512(bias + 16 * i);
    size_t g = 0;
    for (; g < d->taps / GROUP; g++, w += BLOCK * GROUP)
        add_taps(sums, taps + g * GROUP, at, w, mask, whole);
    if (d->taps % GROUP == 1)
        add_tap(sums, taps[g * GROUP] + at, w, mask, whole);
    else if (d->taps % GROUP)
        add_taps(sums, taps + g * GROUP, at, w, mask, whole);
    const __m512i a =
        _mm512_packs_epi32(scaled(sums[0], factor, top), scaled(sums[1], factor + 16, top));
    const __m512i b =
        _mm512_packs_epi32(scaled(sums[2], factor + 32, top), scaled(sums[3], factor + 48, top));
    const __m512i q = _mm512_packs_epi16(_mm512_adds_epi16(a, zero), _mm512_adds_epi16(b, zero));
    _mm512_mask_storeu_epi8(out, mask, _mm512_max_epi8(q, _mm512_set1_epi8((char)p->low)));
}

/* `count` channels in a row from where the taps point at, the first being channel 0. */
TARGET static void row_of_channels(const struct oxr_depthwise8 *d,
                                   const struct ox_step_conv_s8_params *p,
                                   const int8_t *const *taps, size_t count, int8_t *out) {
    size_t at = 0, number = 0;
    for (; at + BLOCK <= count; at += BLOCK) {
        block(d, p, taps, at, number, out + at, ~(__mmask64)0, true);
        if (++number == d->blocks) number = 0;
    }
    if (at < count)
        block(d, p, taps, at, number, out + at, ((__mmask64)1 << (count - at)) - 1, false);
}
#else
bool oxr_depthwise8_here(void) {
    return false;
}

static void row_of_channels(const struct oxr_depthwise8 *d, const struct ox_step_conv_s8_params *p,
                            const int8_t *const *taps, size_t count, int8_t *out) {
    (void)d, (void)p, (void)taps, (void)count, (void)out;
}
#endif

static size_t common_divisor(size_t a, size_t b) {
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

ox_status oxr_depthwise8_pack(struct oxr_depthwise8 *d, ox_ctx *ctx, const struct ox_step *step) {
    const struct ox_step_conv_s8_params *p = step->params;
    const size_t channels = (size_t)step->consts[1]->dims[3],
                 taps = (size_t)p->window.kernel[0] * p->window.kernel[1];
    const size_t blocks = (channels + BLOCK - 1) / BLOCK, groups = (taps + GROUP - 1) / GROUP,
                 repeated = channels / common_divisor(channels, BLOCK);
    const int8_t *w = step->consts[1]->data;
    const float *scale = step->consts[2]->data;
    const int32_t *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    d->channels = channels;
    d->taps = taps;
    d->groups = groups;
    d->joins = p->window.stride[1] == 1 &&
               (repeated == blocks || repeated * groups * BLOCK * GROUP <= REPEATED_MAX);
    d->blocks = d->joins ? repeated : blocks;
    OX_TRY(ox_alloc_raw(ctx, &d->weights, d->blocks * groups, BLOCK * GROUP)); /* aligned */
    memset(d->weights, 0, d->blocks * groups * BLOCK * GROUP);
    OX_TRY(ox_alloc(ctx, &d->bias, d->blocks * BLOCK, sizeof *d->bias));
    OX_TRY(ox_alloc(ctx, &d->factor, d->blocks * BLOCK, sizeof *d->factor));
    OX_TRY(ox_alloc(ctx, &d->zeros, blocks * BLOCK, 1));
    memset(d->zeros, p->in.zero, blocks * BLOCK);
    for (size_t n = 0; n < d->blocks * BLOCK; n++) {
        /* Where the sum of channel n % BLOCK of a block is: see add_taps. */
        const size_t lane = n % BLOCK / 16, of_lane = n % 16,
                     at = n / BLOCK * BLOCK + of_lane / 4 * 16 + lane * 4 + of_lane % 4,
                     c = n % channels;
        int64_t sum = 0;
        if (!d->joins && n >= channels) continue;
        for (size_t t = 0; t < taps; t++) {
            d->weights[(n / BLOCK * groups + t / GROUP) * BLOCK * GROUP + at % BLOCK * GROUP +
                       t % GROUP] = w[t * channels + c];
            sum += w[t * channels + c];
        }
        d->bias[at] = (int32_t)((bias ? bias[c] : 0) -
                                sum * (p->in.zero + 128)); /* modulo 2^32, as the sums are */
        d->factor[at] = p->in.scale * scale[c] / p->out.scale;
    }
    return OX_OK;
}

/* Where each tap of an output pixel lies. */
static void find_taps(const int8_t **taps, const struct oxr_depthwise8_job *j, const int8_t *image,
                      size_t oy, size_t ox) {
    const struct ox_step_window *w = &j->p->window;
    size_t t = 0;
    for (uint32_t ky = 0; ky < w->kernel[0]; ky++) {
        const int64_t y = (int64_t)oy * w->stride[0] + (int64_t)ky * w->dilation[0] - w->top;
        for (uint32_t kx = 0; kx < w->kernel[1]; kx++, t++) {
            const int64_t x = (int64_t)ox * w->stride[1] + (int64_t)kx * w->dilation[1] - w->left;
            const bool inside = y >= 0 && y < (int64_t)j->height && x >= 0 && x < (int64_t)j->width;
            taps[t] =
                inside ? image + ((size_t)y * j->width + (size_t)x) * j->d->channels : j->d->zeros;
        }
    }
    for (; t < j->d->groups * GROUP; t++)
        taps[t] = j->d->zeros;
}

/* Output columns [*first, *last) whose windows lie inside from left to right. */
static void inside(size_t *first, size_t *last, const struct oxr_depthwise8_job *j) {
    const struct ox_step_window *w = &j->p->window;
    const int64_t reach = (int64_t)(w->kernel[1] - 1) * w->dilation[1],
                  room = (int64_t)j->width - 1 + w->left - reach;
    const int64_t from = ((int64_t)w->left + w->stride[1] - 1) / w->stride[1],
                  to = room < 0 ? 0 : room / w->stride[1] + 1;
    *first = (size_t)from;
    *last = to > (int64_t)j->out_width ? j->out_width : (size_t)to;
}

/* Does an output row meet no padding above and below? */
static bool all_inside(const struct oxr_depthwise8_job *j, size_t oy) {
    const struct ox_step_window *w = &j->p->window;
    const int64_t y = (int64_t)oy * w->stride[0] - w->top;
    return y >= 0 && y + (int64_t)(w->kernel[0] - 1) * w->dilation[0] < (int64_t)j->height;
}

void oxr_depthwise8_rows(const struct oxr_depthwise8_job *j, size_t begin, size_t end) {
    const int8_t *taps[OXR_DEPTHWISE8_TAPS + GROUP];
    size_t steps[OXR_DEPTHWISE8_TAPS + GROUP], first, last;
    const size_t c = j->d->channels, n = j->d->groups * GROUP;
    inside(&first, &last, j);
    for (size_t row = begin; row < end; row++) {
        const int8_t *image = j->in + row / j->out_height * j->height * j->width * c;
        int8_t *out = j->out + row * j->out_width * c;
        for (size_t x = 0; x < j->out_width; x++) {
            if (x > first && x < last) { /* all windows of the run move by the same */
                for (size_t t = 0; t < n; t++)
                    taps[t] += steps[t];
            } else {
                find_taps(taps, j, image, row % j->out_height, x);
                for (size_t t = 0; x == first && t < n; t++)
                    steps[t] = taps[t] == j->d->zeros ? 0 : j->p->window.stride[1] * c;
            }
            const bool run =
                x == first && last > first + 1 && j->d->joins && all_inside(j, row % j->out_height);
            row_of_channels(j->d, j->p, taps, run ? (last - first) * c : c, out + x * c);
            if (run) x = last - 1;
        }
    }
}
