/* backend/runtime/depthwise8.c - see depthwise8.h.
 *
 * Sixteen channels at a time: the same sixteen bytes of four taps make a register, a permutation puts the four taps of a channel side by
 * side, and one instruction multiplies and adds all four to the channel's sum. It wants unsigned data, so data is taken as q + 128; that, the zero
 * point and the bias are constants of a channel and go into where its sum starts. Taps are filled up to a multiple of four with weights of 0. */
#include "backend/runtime/depthwise8.h"

enum { BLOCK = 16, GROUP = 4 };

void oxr_depthwise8_release(struct oxr_depthwise8 *d, ox_ctx *ctx)
{
    ox_free(ctx, d->weights);
    ox_free(ctx, d->bias);
    ox_free(ctx, d->factor);
    ox_free(ctx, d->zeros);
    *d = (struct oxr_depthwise8){0};
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

bool oxr_depthwise8_here(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")))

/* The same sixteen bytes of four pixels, as [channel][tap], unsigned. */
TARGET static inline __m512i gather(const int8_t *const *taps, size_t at, __mmask16 mask)
{
    const __m512i order = _mm512_set_epi8(63, 47, 31, 15, 62, 46, 30, 14, 61, 45, 29, 13, 60, 44, 28, 12, 59, 43, 27, 11, 58, 42, 26, 10, 57, 41, 25, 9, 56, 40, 24, 8, 55, 39, 23, 7,
                                          54, 38, 22, 6, 53, 37, 21, 5, 52, 36, 20, 4, 51, 35, 19, 3, 50, 34, 18, 2, 49, 33, 17, 1, 48, 32, 16, 0);
    const __m128i a = _mm_maskz_loadu_epi8(mask, taps[0] + at), b = _mm_maskz_loadu_epi8(mask, taps[1] + at);
    const __m128i c = _mm_maskz_loadu_epi8(mask, taps[2] + at), e = _mm_maskz_loadu_epi8(mask, taps[3] + at);
    __m512i x = _mm512_inserti32x4(_mm512_castsi128_si512(a), b, 1);
    x = _mm512_inserti32x4(x, c, 2);
    x = _mm512_inserti32x4(x, e, 3);
    return _mm512_xor_si512(_mm512_permutexvar_epi8(order, x), _mm512_set1_epi8((char)0x80));
}

TARGET static inline void finish(int8_t *out, __m512i sum, const float *factor, const struct ox_step_conv_s8_params *p, __mmask16 mask)
{
    __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(factor)));
    q = _mm512_add_epi32(q, _mm512_set1_epi32(p->out.zero));
    q = _mm512_max_epi32(_mm512_min_epi32(q, _mm512_set1_epi32(p->high)), _mm512_set1_epi32(p->low));
    _mm_mask_storeu_epi8(out, mask, _mm512_cvtepi32_epi8(q));
}

TARGET static void pixel(const struct oxr_depthwise8 *d, const struct ox_step_conv_s8_params *p, const int8_t *const *taps, int8_t *out)
{
    const int8_t *w = d->weights;
    for (size_t c = 0; c < d->channels; c += BLOCK) {
        const __mmask16 mask = d->channels - c >= BLOCK ? 0xffff : (__mmask16)((1u << (d->channels - c)) - 1);
        __m512i sum = _mm512_loadu_si512(d->bias + c), other = _mm512_setzero_si512();
        size_t g = 0;
        for (; g + 2 <= d->groups; g += 2, w += 2 * BLOCK * GROUP) {
            sum = _mm512_dpbusd_epi32(sum, gather(taps + g * GROUP, c, mask), _mm512_loadu_si512(w));
            other = _mm512_dpbusd_epi32(other, gather(taps + (g + 1) * GROUP, c, mask), _mm512_loadu_si512(w + BLOCK * GROUP));
        }
        if (g < d->groups) {
            sum = _mm512_dpbusd_epi32(sum, gather(taps + g * GROUP, c, mask), _mm512_loadu_si512(w));
            w += BLOCK * GROUP;
        }
        finish(out + c, _mm512_add_epi32(sum, other), d->factor + c, p, mask);
    }
}
#else
bool oxr_depthwise8_here(void)
{
    return false;
}

static void pixel(const struct oxr_depthwise8 *d, const struct ox_step_conv_s8_params *p, const int8_t *const *taps, int8_t *out)
{
    (void)d, (void)p, (void)taps, (void)out;
}
#endif

ox_status oxr_depthwise8_pack(struct oxr_depthwise8 *d, ox_ctx *ctx, const struct ox_step *step)
{
    const struct ox_step_conv_s8_params *p = step->params;
    const size_t channels = (size_t)step->consts[1]->dims[3], taps = (size_t)p->window.kernel[0] * p->window.kernel[1];
    const size_t blocks = (channels + BLOCK - 1) / BLOCK, groups = (taps + GROUP - 1) / GROUP;
    const int8_t *w = step->consts[1]->data;
    const float *scale = step->consts[2]->data;
    const int32_t *bias = step->n_in > 3 && step->consts[3] ? step->consts[3]->data : NULL;
    d->channels = channels;
    d->taps = taps;
    d->groups = groups;
    OX_TRY(ox_alloc(ctx, &d->weights, blocks * groups, BLOCK * GROUP));
    OX_TRY(ox_alloc(ctx, &d->bias, blocks * BLOCK, sizeof *d->bias));
    OX_TRY(ox_alloc(ctx, &d->factor, blocks * BLOCK, sizeof *d->factor));
    OX_TRY(ox_alloc(ctx, &d->zeros, blocks * BLOCK, 1));
    memset(d->zeros, p->in.zero, blocks * BLOCK);
    for (size_t c = 0; c < channels; c++) {
        int64_t sum = 0;
        for (size_t t = 0; t < taps; t++) {
            d->weights[((c / BLOCK * groups + t / GROUP) * BLOCK + c % BLOCK) * GROUP + t % GROUP] = w[t * channels + c];
            sum += w[t * channels + c];
        }
        d->bias[c] = (int32_t)((bias ? bias[c] : 0) - sum * (p->in.zero + 128)); /* modulo 2^32, as the sums are */
        d->factor[c] = p->in.scale * scale[c] / p->out.scale;
    }
    return OX_OK;
}

/* Where each tap of an output pixel lies. */
static void find_taps(const int8_t **taps, const struct oxr_depthwise8_job *j, const int8_t *image, size_t oy, size_t ox)
{
    const struct ox_step_window *w = &j->p->window;
    size_t t = 0;
    for (uint32_t ky = 0; ky < w->kernel[0]; ky++) {
        const int64_t y = (int64_t)oy * w->stride[0] + (int64_t)ky * w->dilation[0] - w->top;
        for (uint32_t kx = 0; kx < w->kernel[1]; kx++, t++) {
            const int64_t x = (int64_t)ox * w->stride[1] + (int64_t)kx * w->dilation[1] - w->left;
            const bool inside = y >= 0 && y < (int64_t)j->height && x >= 0 && x < (int64_t)j->width;
            taps[t] = inside ? image + ((size_t)y * j->width + (size_t)x) * j->d->channels : j->d->zeros;
        }
    }
    for (; t < j->d->groups * GROUP; t++) taps[t] = j->d->zeros;
}

/* Output columns [*first, *last) whose windows lie inside from left to right. */
static void inside(size_t *first, size_t *last, const struct oxr_depthwise8_job *j)
{
    const struct ox_step_window *w = &j->p->window;
    const int64_t reach = (int64_t)(w->kernel[1] - 1) * w->dilation[1], room = (int64_t)j->width - 1 + w->left - reach;
    const int64_t from = ((int64_t)w->left + w->stride[1] - 1) / w->stride[1], to = room < 0 ? 0 : room / w->stride[1] + 1;
    *first = (size_t)from;
    *last = to > (int64_t)j->out_width ? j->out_width : (size_t)to;
}

void oxr_depthwise8_rows(const struct oxr_depthwise8_job *j, size_t begin, size_t end)
{
    const int8_t *taps[OXR_DEPTHWISE8_TAPS + GROUP];
    size_t steps[OXR_DEPTHWISE8_TAPS + GROUP], first, last;
    const size_t c = j->d->channels, n = j->d->groups * GROUP;
    inside(&first, &last, j);
    for (size_t row = begin; row < end; row++) {
        const int8_t *image = j->in + row / j->out_height * j->height * j->width * c;
        int8_t *out = j->out + row * j->out_width * c;
        for (size_t x = 0; x < j->out_width; x++, out += c) {
            if (x > first && x < last) { /* all windows of the run move by the same */
                for (size_t t = 0; t < n; t++) taps[t] += steps[t];
            } else {
                find_taps(taps, j, image, row % j->out_height, x);
                for (size_t t = 0; x == first && t < n; t++) steps[t] = taps[t] == j->d->zeros ? 0 : j->p->window.stride[1] * c;
            }
            pixel(j->d, j->p, taps, out);
        }
    }
}
