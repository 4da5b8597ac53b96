/* tests/unit/test_op_cast.c - Cast and CastLike between all types. Expected values come from
 * formulas of this file, from long double arithmetic, or from the tables of the standard. */
#include "ir/base/bytes.h"
#include "ir/ops/convert.h"
#include "op_harness.h"

#include <math.h>

static void cast_to(struct oh *h, ox_dtype to) {
    oh_init(h, "Cast", 21, 1);
    oh_int(h, "to", to);
}

/* ---- the types that C has -------------------------------------------------------------------- */

/* Numbers that all these types hold must survive any cast. */
START_TEST(small_numbers_survive) {
    static const ox_dtype types[] = {
        OX_FLOAT,      OX_DOUBLE,       OX_FLOAT16,        OX_BFLOAT16,       OX_INT8,   OX_INT16,
        OX_INT32,      OX_INT64,        OX_UINT8,          OX_UINT16,         OX_UINT32, OX_UINT64,
        OX_FLOAT8E5M2, OX_FLOAT8E4M3FN, OX_FLOAT8E4M3FNUZ, OX_FLOAT8E5M2FNUZ, OX_UINT4,  OX_INT4};
    const int n_types = sizeof types / sizeof *types;
    const int64_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 4, 1, 0}, dims[] = {11};
    for (int from = 0; from < n_types; from++) {
        struct oh h, back;
        cast_to(&h, types[from]);
        oh_input_of(&h, OX_INT64, 1, dims, numbers);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        for (int to = 0; to < n_types; to++) {
            struct oh g;
            cast_to(&g, types[to]);
            oh_input_of(&g, types[from], 1, dims, h.out[0]->data);
            ck_assert_int_eq(oh_eval(&g, 1), OX_OK);
            ck_assert_int_eq(g.out[0]->dtype, types[to]);
            cast_to(&back, OX_INT64);
            oh_input_of(&back, types[to], 1, dims, g.out[0]->data);
            ck_assert_int_eq(oh_eval(&back, 1), OX_OK);
            ck_assert_msg(memcmp(back.out[0]->data, numbers, sizeof numbers) == 0, "%s to %s",
                          ox_dtype_name(types[from]), ox_dtype_name(types[to]));
            oh_fini(&back);
            oh_fini(&g);
        }
        oh_fini(&h);
    }
}
END_TEST

#define EXPECT(S, stype, D, dtype_, n, xs, ys)                                                     \
    do {                                                                                           \
        const S x[] = xs;                                                                          \
        const D y[] = ys;                                                                          \
        const int64_t dims[] = {n};                                                                \
        struct oh h;                                                                               \
        cast_to(&h, dtype_);                                                                       \
        oh_input_of(&h, stype, 1, dims, x);                                                        \
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);                                      \
        for (int k = 0; k < n; k++)                                                                \
            ck_assert_msg(memcmp((const D *)h.out[0]->data + k, y + k, sizeof(D)) == 0,            \
                          "%s to %s: element %d", ox_dtype_name(stype), ox_dtype_name(dtype_), k); \
        oh_fini(&h);                                                                               \
    } while (0)
#define L(...)                                                                                     \
    { __VA_ARGS__ }

START_TEST(integers_lose_high_bits) {
    EXPECT(int16_t, OX_INT16, int8_t, OX_INT8, 4, L(200, -129, 256, -1), L(-56, 127, 0, -1));
    EXPECT(int64_t, OX_INT64, int32_t, OX_INT32, 3, L(INT64_MIN, (int64_t)1 << 31, -5),
           L(0, INT32_MIN, -5));
    EXPECT(int32_t, OX_INT32, uint8_t, OX_UINT8, 3, L(-1, 256, 257), L(255, 0, 1));
    EXPECT(int8_t, OX_INT8, uint64_t, OX_UINT64, 2, L(-1, 5), L(UINT64_MAX, 5));
    EXPECT(uint64_t, OX_UINT64, int64_t, OX_INT64, 2, L(UINT64_MAX, 5), L(-1, 5));
    EXPECT(uint32_t, OX_UINT32, uint16_t, OX_UINT16, 2, L(65537, 65535), L(1, 65535));
}
END_TEST

START_TEST(floats_are_truncated_and_cut) {
    EXPECT(float, OX_FLOAT, int32_t, OX_INT32, 8,
           L(1.9f, -1.9f, 0.5f, 1e20f, -1e20f, NAN, INFINITY, -INFINITY),
           L(1, -1, 0, INT32_MAX, INT32_MIN, 0, INT32_MAX, INT32_MIN));
    EXPECT(float, OX_FLOAT, int64_t, OX_INT64, 5, L(9.3e18f, -9.3e18f, NAN, 1e10f, -0.9f),
           L(INT64_MAX, INT64_MIN, 0, 10000000000, 0));
    EXPECT(double, OX_DOUBLE, uint64_t, OX_UINT64, 5,
           L(1.9e19, -1, NAN, 18446744073709549568.0, 3.7),
           L(UINT64_MAX, 0, 0, 18446744073709549568u, 3));
    EXPECT(float, OX_FLOAT, uint8_t, OX_UINT8, 6, L(255.9f, 256, -0.5f, -1, 1e9f, NAN),
           L(255, 255, 0, 0, 255, 0));
    EXPECT(double, OX_DOUBLE, int8_t, OX_INT8, 4, L(127.9, 128, -128.9, -129),
           L(127, 127, -128, -128));
    EXPECT(float, OX_FLOAT, int16_t, OX_INT16, 3, L(40000, -40000, 7.9f), L(32767, -32768, 7));
    EXPECT(double, OX_DOUBLE, uint16_t, OX_UINT16, 2, L(70000, 7.9), L(65535, 7));
    EXPECT(double, OX_DOUBLE, uint32_t, OX_UINT32, 3, L(5e9, 7.9, -3), L(UINT32_MAX, 7, 0));
}
END_TEST

START_TEST(booleans) {
    EXPECT(float, OX_FLOAT, uint8_t, OX_BOOL, 6, L(0, -0.0f, 0.1f, NAN, -5, 1e-45f),
           L(0, 0, 1, 1, 1, 1));
    EXPECT(int64_t, OX_INT64, uint8_t, OX_BOOL, 3, L(0, 256, (int64_t)1 << 40), L(0, 1, 1));
    EXPECT(uint8_t, OX_BOOL, float, OX_FLOAT, 2, L(1, 0), L(1, 0));
    EXPECT(uint8_t, OX_BOOL, int64_t, OX_INT64, 2, L(1, 0), L(1, 0));
    EXPECT(uint16_t, OX_FLOAT16, uint8_t, OX_BOOL, 3, L(0, 0x8000, 1), L(0, 0, 1));
}
END_TEST

START_TEST(numbers_to_floats_round_to_nearest) {
    EXPECT(int64_t, OX_INT64, float, OX_FLOAT, 3, L(16777217, 16777219, INT64_MAX),
           L(16777216, 16777220, 0x1p63f));
    EXPECT(uint64_t, OX_UINT64, double, OX_DOUBLE, 2, L(UINT64_MAX, 9007199254740993u),
           L(0x1p64, 9007199254740992.0));
    EXPECT(double, OX_DOUBLE, float, OX_FLOAT, 4, L(1e300, -1e300, 1e-300, NAN),
           L(INFINITY, -INFINITY, 0, NAN));
}
END_TEST

/* ---- 16 bits: rounded once, from whatever type ------------------------------------------------
 */

/* The nearest float of `mantissa` bits (8 or 11) and the given least exponent to an exact number,
 * ties to even. */
static long double nearest(long double x, int mantissa, int least) {
    int e;
    frexpl(x, &e);
    int unit = (e > least ? e : least) - mantissa;
    return ldexpl(rintl(ldexpl(x, -unit)), unit);
}

START_TEST(doubles_to_halves_round_once) {
    uint64_t seed = 4;
    const int64_t dims[] = {4000};
    for (int which = 0; which < 2; which++) {
        struct oh h;
        cast_to(&h, which ? OX_BFLOAT16 : OX_FLOAT16);
        double *x = oh_input(&h, OX_DOUBLE, 1, dims);
        for (int i = 0; i < 4000; i++) {
            /* Near the middle of two neighbours, on either side by less than a float tells. */
            double base =
                ldexp(1 + (double)oh_pick(&seed, 1024) / 1024, (int)oh_pick(&seed, 20) - 10);
            double half = ldexp(base, which ? -9 : -12);
            x[i] = base + half + (double)((int)oh_pick(&seed, 3) - 1) * ldexp(base, -40);
            if (oh_pick(&seed, 2)) x[i] = -x[i];
        }
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const uint16_t *y = h.out[0]->data;
        for (int i = 0; i < 4000; i++) {
            double got = (double)(which ? ox_bfloat16_to_float(y[i]) : ox_half_to_float(y[i]));
            double want = (double)nearest(x[i], which ? 8 : 11, which ? -125 : -13);
            ck_assert_msg(got == want, "%a is %a, expected %a", x[i], got, want);
        }
        oh_fini(&h);
    }
}
END_TEST

START_TEST(large_integers_to_bfloat16_round_once) {
    uint64_t seed = 6;
    const int64_t dims[] = {2000};
    struct oh h;
    cast_to(&h, OX_BFLOAT16);
    int64_t *x = oh_input(&h, OX_INT64, 1, dims);
    for (int i = 0; i < 2000; i++) {
        int shift = (int)oh_pick(&seed, 55);
        int64_t base = (int64_t)(128 + oh_pick(&seed, 128)) << shift;
        x[i] = base + (shift ? ((int64_t)1 << (shift - 1)) + (int64_t)oh_pick(&seed, 3) - 1 : 0);
        if (oh_pick(&seed, 2)) x[i] = -x[i];
    }
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    for (int i = 0; i < 2000; i++) {
        float got = ox_bfloat16_to_float(((const uint16_t *)h.out[0]->data)[i]);
        float want = (float)nearest(x[i], 8, -125);
        ck_assert_msg(got == want, "%lld is %a, expected %a", (long long)x[i], (double)got,
                      (double)want);
    }
    oh_fini(&h);
}
END_TEST

/* In bulk and one by one must agree, for every half and many floats. */
START_TEST(bulk_conversion_of_halves) {
    enum { N = 65536 };
    static uint16_t codes[N], back[N];
    static float floats[N];
    for (int i = 0; i < N; i++)
        codes[i] = (uint16_t)i;
    ox_load_floats(floats, OX_FLOAT16, codes, N);
    for (int i = 0; i < N; i++) {
        float want = ox_half_to_float((uint16_t)i);
        ck_assert_mem_eq(&floats[i], &want, 4);
    }
    for (uint32_t block = 0; block < 64; block++) {
        for (uint32_t i = 0; i < N; i++) {
            uint32_t bits = (block * N + i) * 1021u;
            memcpy(&floats[i], &bits, 4);
        }
        ox_store_floats(back, OX_FLOAT16, floats, N);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(back[i], ox_float_to_half(floats[i]));
        ox_store_floats(back, OX_BFLOAT16, floats, N);
        for (int i = 0; i < N; i++)
            ck_assert_int_eq(back[i], ox_float_to_bfloat16(floats[i]));
    }
}
END_TEST

/* ---- 8 bits ---------------------------------------------------------------------------------- */

struct format {
    ox_dtype dtype;
    int mantissa, bias;
    bool fnuz, ieee;
    double max;
};
static const struct format formats[] = {
    {OX_FLOAT8E4M3FN, 3, 7, false, false, 448},
    {OX_FLOAT8E4M3FNUZ, 3, 8, true, false, 240},
    {OX_FLOAT8E5M2, 2, 15, false, true, 57344},
    {OX_FLOAT8E5M2FNUZ, 2, 16, true, false, 57344},
};

/* What a code stands for, by the standard's description of the formats. */
static double value_of(const struct format *f, int code) {
    int sign = code >> 7, exponent = (code & 127) >> f->mantissa,
        fraction = code & ((1 << f->mantissa) - 1);
    if (f->fnuz && code == 0x80) return NAN;
    if (f->dtype == OX_FLOAT8E4M3FN && (code & 127) == 127) return NAN;
    if (f->ieee && exponent == 31) return fraction ? NAN : sign ? -INFINITY : INFINITY;
    double m = (double)fraction / (1 << f->mantissa);
    double v = exponent ? ldexp(1 + m, exponent - f->bias) : ldexp(m, 1 - f->bias);
    return sign ? -v : v;
}

START_TEST(float8_codes_stand_for_their_numbers) {
    const struct format *f = &formats[_i];
    double most = 0;
    for (int code = 0; code < 256; code++) {
        double got = (double)ox_narrow_to_float(f->dtype, (uint8_t)code), want = value_of(f, code);
        ck_assert_msg(got == want || (isnan(got) && isnan(want)), "%s %02x is %g, expected %g",
                      ox_dtype_name(f->dtype), (unsigned)code, got, want);
        if (isfinite(want) && want > most) most = want;
        if (isnan(want)) continue;
        if (!isinf(want)) ck_assert_int_eq(ox_float_to_narrow(f->dtype, (float)want, true), code);
    }
    ck_assert_double_eq(most, f->max);
}
END_TEST

/* The nearest code by search: the one of least distance, of two such the even one. */
static double nearest_value(const struct format *f, double x) {
    double best = NAN;
    int best_code = 0;
    for (int code = 0; code < 128; code++) {
        double v = value_of(f, code);
        if (!isfinite(v)) continue;
        double d = fabs(v - fabs(x)), b = fabs(best - fabs(x));
        if (isnan(best) || d < b || (d == b && code % 2 == 0 && best_code % 2)) {
            best = v;
            best_code = code;
        }
    }
    return x < 0 ? -best : best;
}

START_TEST(floats_to_float8_round_to_nearest_even) {
    const struct format *f = &formats[_i];
    uint64_t seed = 12;
    for (int k = 0; k < 20000; k++) {
        float x = ldexpf(1 + (float)oh_pick(&seed, 64) / 64, (int)oh_pick(&seed, 36) - 20);
        if (oh_pick(&seed, 2)) x = -x;
        if (k == 0) x = 0;
        double got = (double)ox_narrow_to_float(f->dtype, ox_float_to_narrow(f->dtype, x, true));
        double want = nearest_value(f, (double)x);
        ck_assert_msg(got == want, "%s of %a is %a, expected %a", ox_dtype_name(f->dtype),
                      (double)x, got, want);
    }
}
END_TEST

START_TEST(float8_beyond_the_range) {
    const struct format *f = &formats[_i];
    const float big = (float)f->max * 1.5f;
    const double max = f->max;
    struct {
        float x;
        double saturated, other;
    } cases[] = {{big, max, f->ieee ? INFINITY : NAN},
                 {-big, -max, f->ieee ? -INFINITY : NAN},
                 {INFINITY, max, f->ieee ? INFINITY : NAN},
                 {-INFINITY, -max, f->ieee ? -INFINITY : NAN},
                 {NAN, NAN, NAN},
                 {1, 1, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (int saturate = 0; saturate < 2; saturate++) {
            const int64_t dims[] = {1};
            struct oh h;
            cast_to(&h, f->dtype);
            oh_int(&h, "saturate", saturate);
            oh_input_of(&h, OX_FLOAT, 1, dims, &cases[k].x);
            ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
            double got = value_of(f, *(const uint8_t *)h.out[0]->data);
            double want = saturate ? cases[k].saturated : cases[k].other;
            ck_assert_msg(got == want || (isnan(got) && isnan(want)), "%s of %g is %g",
                          ox_dtype_name(f->dtype), (double)cases[k].x, got);
            oh_fini(&h);
        }
    }
    /* Only the formats with a signed zero keep it. */
    ck_assert_int_eq(ox_float_to_narrow(f->dtype, -0.0f, true), f->fnuz ? 0 : 0x80);
}
END_TEST

START_TEST(powers_of_two) {
    ck_assert(ox_narrow_to_float(OX_FLOAT8E8M0, 127) == 1.0f);
    ck_assert(ox_narrow_to_float(OX_FLOAT8E8M0, 0) == 0x1p-127f);
    ck_assert(isnan(ox_narrow_to_float(OX_FLOAT8E8M0, 255)));
    for (int code = 0; code < 255; code++)
        ck_assert_int_eq(ox_float_to_narrow(OX_FLOAT8E8M0, ldexpf(1, code - 127), true), code);
    ck_assert_int_eq(ox_float_to_narrow(OX_FLOAT8E8M0, 1.1f, true), 128); /* up */
    ck_assert_int_eq(ox_float_to_narrow(OX_FLOAT8E8M0, INFINITY, true), 254);
    ck_assert_int_eq(ox_float_to_narrow(OX_FLOAT8E8M0, NAN, true), 255);
}
END_TEST

/* ---- 4 bits ---------------------------------------------------------------------------------- */

/* n elements that share one byte of the result. */
static void expect_packed(ox_dtype from, const void *x, int64_t n, ox_dtype to, int byte) {
    struct oh h;
    cast_to(&h, to);
    oh_input_of(&h, from, 1, &n, x);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(h.out[0]->size, 1);
    ck_assert_int_eq(*(const uint8_t *)h.out[0]->data, byte);
    oh_fini(&h);
}

START_TEST(four_bits) {
    const float x[] = {-9, -8.4f, -0.5f, 0.5f, 1.5f, 2.5f, 7.6f, 100, NAN};
    const int8_t want_signed[] = {-8, -8, 0, 0, 2, 2, 7, 7, 0};
    const uint8_t want_unsigned[] = {0, 0, 0, 0, 2, 2, 8, 15, 0};
    const int64_t dims[] = {9};
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        struct oh h, back;
        cast_to(&h, is_signed ? OX_INT4 : OX_UINT4);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        ck_assert_uint_eq(h.out[0]->size, 5);
        cast_to(&back, is_signed ? OX_INT8 : OX_UINT8);
        oh_input_of(&back, is_signed ? OX_INT4 : OX_UINT4, 1, dims, h.out[0]->data);
        ck_assert_int_eq(oh_eval(&back, 1), OX_OK);
        ck_assert_mem_eq(back.out[0]->data,
                         is_signed ? (const void *)want_signed : (const void *)want_unsigned, 9);
        oh_fini(&back);
        oh_fini(&h);
    }
    expect_packed(OX_INT32, (int32_t[]){9, -1}, 2, OX_INT4, 0xf9);
}
END_TEST

START_TEST(float4_and_two_bits) {
    const float x[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -6, -0.5f, 5, 100, 0.25f};
    const float want[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -6, -0.5f, 4, 6, 0};
    const int64_t dims[] = {13};
    struct oh h, back;
    cast_to(&h, OX_FLOAT4E2M1);
    oh_input_of(&h, OX_FLOAT, 1, dims, x);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(h.out[0]->size, 7);
    cast_to(&back, OX_FLOAT);
    oh_input_of(&back, OX_FLOAT4E2M1, 1, dims, h.out[0]->data);
    ck_assert_int_eq(oh_eval(&back, 1), OX_OK);
    for (int i = 0; i < 13; i++)
        ck_assert(((const float *)back.out[0]->data)[i] == want[i]);
    oh_fini(&back);
    oh_fini(&h);
    expect_packed(OX_FLOAT, (float[]){-5, -1, 0.6f, 9}, 4, OX_INT2, 0x5e); /* -2, -1, 1, 1 */
}
END_TEST

/* Long enough for several blocks, with a last one that is not whole. */
START_TEST(many_packed_elements) {
    const int64_t dims[] = {100001};
    struct oh h;
    cast_to(&h, OX_INT4);
    int8_t *x = oh_input(&h, OX_INT8, 1, dims);
    for (int i = 0; i < 100001; i++)
        x[i] = (int8_t)(i % 16 - 8);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    const uint8_t *y = h.out[0]->data;
    for (int i = 0; i < 100001; i++)
        ck_assert_int_eq((y[i / 2] >> (i % 2 * 4)) & 15, x[i] & 15);
    oh_same_with_threads(&h, 4);
    oh_fini(&h);
}
END_TEST

/* ---- strings --------------------------------------------------------------------------------- */

static void expect_text(ox_dtype from, const void *element, const char *text) {
    const int64_t dims[] = {1};
    struct oh h;
    cast_to(&h, OX_STRING);
    oh_input_of(&h, from, 1, dims, element);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    const struct ox_str *s = h.out[0]->data;
    ck_assert_msg(s->len == strlen(text) && memcmp(s->ptr, text, s->len) == 0,
                  "'%.*s', expected '%s'", (int)s->len, s->ptr, text);
    oh_fini(&h);
}

START_TEST(numbers_to_strings) {
    expect_text(OX_FLOAT, &(float){0.47892547f}, "0.47892547");
    expect_text(OX_FLOAT, &(float){3.0f}, "3");
    expect_text(OX_FLOAT, &(float){NAN}, "NaN");
    expect_text(OX_FLOAT, &(float){INFINITY}, "INF");
    expect_text(OX_FLOAT, &(float){-INFINITY}, "-INF");
    expect_text(OX_DOUBLE, &(double){0.1}, "0.1");
    expect_text(OX_DOUBLE, &(double){1e300}, "1e+300");
    expect_text(OX_INT64, &(int64_t){INT64_MIN}, "-9223372036854775808");
    expect_text(OX_UINT64, &(uint64_t){UINT64_MAX}, "18446744073709551615");
    expect_text(OX_INT8, &(int8_t){-5}, "-5");
    expect_text(OX_BOOL, &(uint8_t){1}, "True");
    expect_text(OX_FLOAT16, &(uint16_t){0x2e66}, "0.1");
}
END_TEST

START_TEST(strings_to_numbers) {
    const struct ox_str s[] = {{"3.14", 4}, {"1e-5", 4}, {"+INF", 4},
                               {"-inf", 4}, {"NaN", 3},  {"-7", 2}};
    const double want[] = {3.14, 1e-5, INFINITY, -INFINITY, NAN, -7};
    const int64_t dims[] = {6}, one[] = {1};
    struct oh h;
    cast_to(&h, OX_FLOAT);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, dims, s), OX_OK);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 6, want, 1e-7);
    oh_fini(&h);

    const struct {
        const char *text;
        ox_dtype to;
        bool good;
        int64_t value;
    } cases[] = {{"9223372036854775807", OX_INT64, true, INT64_MAX},
                 {"100.5", OX_INT64, true, 100},
                 {"18446744073709551615", OX_UINT64, true, -1},
                 {"1E3", OX_INT64, true, 1000},
                 {"Hello World!", OX_INT64, false, 0},
                 {"0x10", OX_INT64, false, 0},
                 {"", OX_INT64, false, 0},
                 {"1e99", OX_INT64, false, 0},
                 {"12abc", OX_DOUBLE, false, 0},
                 {"nan(1)", OX_DOUBLE, false, 0},
                 {"infinity", OX_DOUBLE, false, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct ox_str text = {cases[k].text, strlen(cases[k].text)};
        cast_to(&h, cases[k].to);
        ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, one, &text), OX_OK);
        ox_status status = oh_eval(&h, 1);
        ck_assert_msg(status == (cases[k].good ? OX_OK : OX_INVALID), "'%s': %d", cases[k].text,
                      status);
        if (cases[k].good) ck_assert_mem_eq(h.out[0]->data, &cases[k].value, 8);
        if (!cases[k].good) ck_assert_str_eq(h.id, "not-a-number");
        oh_fini(&h);
    }
}
END_TEST

START_TEST(long_strings_are_refused_not_cut) {
    char text[400];
    const int64_t one[] = {1};
    memset(text, '1', sizeof text);
    struct ox_str s = {text, sizeof text};
    struct oh h;
    cast_to(&h, OX_FLOAT);
    ck_assert_int_eq(ox_tensor_strings(&h.in[h.n_in++], h.ctx, 1, one, &s), OX_OK);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

/* ---- attributes ------------------------------------------------------------------------------ */

START_TEST(target_type_is_checked) {
    static const int64_t bad[] = {0, -1, 999, INT64_MIN, OX_COMPLEX64};
    struct oh h;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        oh_init(&h, "Cast", 13, 1);
        oh_int(&h, "to", bad[k]);
        oh_input(&h, OX_FLOAT, 0, NULL);
        ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
        ck_assert_str_eq(h.id, "wrong-attribute");
        oh_fini(&h);
    }
    oh_init(&h, "Cast", 13, 1);
    oh_input(&h, OX_FLOAT, 0, NULL);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, "Cast needs the attribute 'to'");
    oh_fini(&h);
}
END_TEST

START_TEST(old_opsets_spell_the_type) {
    const float x = 2.5f;
    struct oh h;
    oh_init(&h, "Cast", 1, 1);
    oh_string(&h, "to", "INT32");
    oh_input_of(&h, OX_FLOAT, 0, NULL, &x);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_INT32);
    ck_assert_int_eq(*(const int32_t *)h.out[0]->data, 2);
    oh_fini(&h);
    oh_init(&h, "Cast", 1, 1);
    oh_string(&h, "to", "INTEGER");
    oh_input_of(&h, OX_FLOAT, 0, NULL, &x);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(castlike_takes_the_other_type) {
    const float x = -2.5f;
    struct oh h;
    oh_init(&h, "CastLike", 15, 1);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &x);
    oh_input(&h, OX_INT16, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_INT16);
    ck_assert_int_eq(*(const int16_t *)h.out[0]->data, -2);
    oh_fini(&h);
}
END_TEST

START_TEST(same_type_is_not_copied) {
    struct oh h;
    cast_to(&h, OX_FLOAT);
    oh_input(&h, OX_FLOAT, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_ptr_eq(h.in[0], h.out[0]);
    oh_fini(&h);
}
END_TEST

/* From opset 24 on, floats lose high bits where they do not fit a few bits; and e8m0 rounds as it
 * is told. */
START_TEST(rules_of_opset_24) {
    static const float x[] = {-9, 8, 7.9f, -0.5f, 19};
    static const float scales[] = {1.4f, 1.6f, 3};
    struct oh h;
    oh_init(&h, "Cast", 24, 1);
    oh_int(&h, "to", OX_INT4);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(5), x);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    const unsigned char *y = h.out[0]->data;
    ck_assert_int_eq(y[0], 0x87);
    ck_assert_int_eq(y[1], 0x07);
    ck_assert_int_eq(y[2], 0x03);
    oh_fini(&h);
    static const char *const modes[] = {"up", "down", "nearest"};
    static const uint8_t codes[3][3] = {{128, 128, 129}, {127, 127, 128}, {127, 128, 129}};
    for (size_t m = 0; m < 3; m++) {
        oh_init(&h, "Cast", 25, 1);
        oh_int(&h, "to", OX_FLOAT8E8M0);
        oh_string(&h, "round_mode", modes[m]);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(3), scales);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        ck_assert_mem_eq(h.out[0]->data, codes[m], 3);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(bitcast_keeps_bits) {
    static const float x[] = {1, -2, 0};
    static const uint32_t bits[] = {0x3f800000u, 0xc0000000u, 0};
    struct oh h;
    oh_init(&h, "BitCast", 26, 1);
    oh_int(&h, "to", _i ? OX_INT16 : OX_UINT32);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), x);
    ck_assert_int_eq(oh_eval(&h, 1), _i ? OX_INVALID : OX_OK);
    if (_i)
        ck_assert_str_eq(h.id, "wrong-type");
    else
        ck_assert_mem_eq(h.out[0]->data, bits, sizeof bits);
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_cast");
    TCase *tests = tcase_create("cast");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, small_numbers_survive);
    tcase_add_test(tests, integers_lose_high_bits);
    tcase_add_test(tests, floats_are_truncated_and_cut);
    tcase_add_test(tests, booleans);
    tcase_add_test(tests, numbers_to_floats_round_to_nearest);
    tcase_add_test(tests, doubles_to_halves_round_once);
    tcase_add_test(tests, large_integers_to_bfloat16_round_once);
    tcase_add_test(tests, bulk_conversion_of_halves);
    tcase_add_loop_test(tests, float8_codes_stand_for_their_numbers, 0, 4);
    tcase_add_loop_test(tests, floats_to_float8_round_to_nearest_even, 0, 4);
    tcase_add_loop_test(tests, float8_beyond_the_range, 0, 4);
    tcase_add_test(tests, powers_of_two);
    tcase_add_test(tests, rules_of_opset_24);
    tcase_add_loop_test(tests, bitcast_keeps_bits, 0, 2);
    tcase_add_test(tests, four_bits);
    tcase_add_test(tests, float4_and_two_bits);
    tcase_add_test(tests, many_packed_elements);
    tcase_add_test(tests, numbers_to_strings);
    tcase_add_test(tests, strings_to_numbers);
    tcase_add_test(tests, long_strings_are_refused_not_cut);
    tcase_add_test(tests, target_type_is_checked);
    tcase_add_test(tests, old_opsets_spell_the_type);
    tcase_add_test(tests, castlike_takes_the_other_type);
    tcase_add_test(tests, same_type_is_not_copied);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
