/* backend/runtime/plane.c - see plane.h. By small squares that fit in registers, and edges one by
 * one. */
#include "backend/runtime/plane.h"

#include <stdint.h>
#include <string.h>

static void edge8(uint8_t *out, const uint8_t *in, size_t rows, size_t cols, size_t r0, size_t r1,
                  size_t c0, size_t c1) {
    for (size_t c = c0; c < c1; c++)
        for (size_t r = r0; r < r1; r++)
            out[c * rows + r] = in[r * cols + c];
}

static void edge32(uint32_t *out, const uint32_t *in, size_t rows, size_t cols, size_t r0,
                   size_t r1, size_t c0, size_t c1) {
    for (size_t c = c0; c < c1; c++)
        for (size_t r = r0; r < r1; r++)
            out[c * rows + r] = in[r * cols + c];
}

#if defined(__SSE2__)
#include <immintrin.h>

/* Four times, each row is interleaved with the one half the square further: then byte i of row j is
 * byte j of row i. */
static void square8(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride) {
    __m128i a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = _mm_loadu_si128((const __m128i *)(const void *)(in + (size_t)i * in_stride));
    for (int stage = 0; stage < 4; stage++) {
        for (int i = 0; i < 8; i++) {
            b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
            b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < 16; i++)
        _mm_storeu_si128((__m128i *)(void *)(out + (size_t)i * out_stride), a[i]);
}

static void turn8(uint8_t *out, const uint8_t *in, size_t rows, size_t cols, size_t first,
                  size_t last) {
    const size_t whole_rows = rows / 16 * 16, whole_last = first + (last - first) / 16 * 16;
    for (size_t c = first; c < whole_last; c += 16)
        for (size_t r = 0; r < whole_rows; r += 16)
            square8(out + c * rows + r, rows, in + r * cols + c, cols);
    edge8(out, in, rows, cols, whole_rows, rows, first, whole_last);
    edge8(out, in, rows, cols, 0, rows, whole_last, last);
}

static __m128 load4(const float *at) {
    return _mm_loadu_ps(at);
}

static void square32(float *out, size_t out_stride, const float *in, size_t in_stride) {
    __m128 a = load4(in), b = load4(in + in_stride), c = load4(in + 2 * in_stride),
           d = load4(in + 3 * in_stride);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(out, a);
    _mm_storeu_ps(out + out_stride, b);
    _mm_storeu_ps(out + 2 * out_stride, c);
    _mm_storeu_ps(out + 3 * out_stride, d);
}

/* Three rows: the colours of an image. */
static void four_of_three(float *out, __m128 a, __m128 b, __m128 c) {
    _mm_storeu_ps(out, _mm_shuffle_ps(_mm_unpacklo_ps(a, b),
                                      _mm_shuffle_ps(c, a, _MM_SHUFFLE(1, 1, 0, 0)),
                                      _MM_SHUFFLE(2, 0, 1, 0)));
    _mm_storeu_ps(out + 4, _mm_shuffle_ps(_mm_shuffle_ps(b, c, _MM_SHUFFLE(1, 1, 1, 1)),
                                          _mm_shuffle_ps(a, b, _MM_SHUFFLE(2, 2, 2, 2)),
                                          _MM_SHUFFLE(2, 0, 2, 0)));
    _mm_storeu_ps(out + 8, _mm_shuffle_ps(_mm_shuffle_ps(c, a, _MM_SHUFFLE(3, 3, 2, 2)),
                                          _mm_shuffle_ps(b, c, _MM_SHUFFLE(3, 3, 3, 3)),
                                          _MM_SHUFFLE(2, 0, 2, 0)));
}

static void turn32(uint32_t *to, const uint32_t *from, size_t rows, size_t cols, size_t first,
                   size_t last) {
    float *out = (float *)(void *)to;
    const float *in = (const float *)(const void *)from;
    const size_t whole_rows = rows == 3 ? 3 : rows / 4 * 4,
                 whole_last = first + (last - first) / 4 * 4;
    for (size_t c = first; rows == 3 && c < whole_last; c += 4)
        four_of_three(out + c * 3, load4(in + c), load4(in + cols + c), load4(in + 2 * cols + c));
    for (size_t c = first; rows != 3 && c < whole_last; c += 4)
        for (size_t r = 0; r < whole_rows; r += 4)
            square32(out + c * rows + r, rows, in + r * cols + c, cols);
    edge32(to, from, rows, cols, whole_rows, rows, first, whole_last);
    edge32(to, from, rows, cols, 0, rows, whole_last, last);
}
#else
static void turn8(uint8_t *out, const uint8_t *in, size_t rows, size_t cols, size_t first,
                  size_t last) {
    edge8(out, in, rows, cols, 0, rows, first, last);
}

static void turn32(uint32_t *out, const uint32_t *in, size_t rows, size_t cols, size_t first,
                   size_t last) {
    edge32(out, in, rows, cols, 0, rows, first, last);
}
#endif

void oxr_plane_turn(void *out, const void *in, size_t size, size_t rows, size_t cols, size_t first,
                    size_t last) {
    if (size == 1)
        turn8(out, in, rows, cols, first, last);
    else
        turn32(out, in, rows, cols, first, last);
}
