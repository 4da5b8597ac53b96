/* tests/unit/test_op_quantize.c - QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear. */
#include "ir/base/bytes.h"
#include "ir/ops/convert.h"
#include "op_harness.h"

#include <math.h>
#include <stdio.h>

/* Range and signedness of the integer types. */
struct integer {
    ox_dtype dtype;
    int low, high;
};
static const struct integer integers[] = {
    {OX_UINT8, 0, 255}, {OX_INT8, -128, 127}, {OX_UINT16, 0, 65535}, {OX_INT16, -32768, 32767},
    {OX_UINT4, 0, 15},  {OX_INT4, -8, 7},     {OX_UINT2, 0, 3},      {OX_INT2, -2, 1},
};
enum { INTEGERS = sizeof integers / sizeof *integers };

static int get(const ox_tensor *t, size_t i) {
    const uint8_t *bytes = t->data;
    int bits = ox_dtype_bits(t->dtype);
    switch (t->dtype) {
    case OX_UINT8:
        return bytes[i];
    case OX_INT8:
        return ((const int8_t *)t->data)[i];
    case OX_UINT16:
        return ((const uint16_t *)t->data)[i];
    case OX_INT16:
        return ((const int16_t *)t->data)[i];
    default: {
        int per = 8 / bits,
            code = bytes[i / (size_t)per] >> ((int)(i % (size_t)per) * bits) & ((1 << bits) - 1);
        bool is_signed = t->dtype == OX_INT4 || t->dtype == OX_INT2;
        return is_signed && code >> (bits - 1) ? code - (1 << bits) : code;
    }
    }
}

static void put(void *data, ox_dtype dtype, size_t i, int v) {
    int bits = ox_dtype_bits(dtype);
    uint8_t *bytes = data;
    if (bits == 16) {
        ((uint16_t *)data)[i] = (uint16_t)v;
    } else if (bits == 8) {
        bytes[i] = (uint8_t)v;
    } else {
        int per = 8 / bits, shift = (int)(i % (size_t)per) * bits;
        bytes[i / (size_t)per] |= (uint8_t)((v & ((1 << bits) - 1)) << shift);
    }
}

static int expected_code(float x, float scale, int zp, const struct integer *type) {
    double y = rint((double)(x / scale)) + zp;
    return y < type->low ? type->low : y > type->high ? type->high : (int)y;
}

/* Element of the scale that position i of the data has. */
static size_t scale_at(const ox_tensor *x, const ox_tensor *s, int axis, int64_t block, size_t i) {
    if (s->count == 1) return 0;
    size_t at[OX_MAX_RANK], index = 0;
    for (int d = x->rank - 1; d >= 0; d--) {
        at[d] = i % (size_t)x->dims[d];
        i /= (size_t)x->dims[d];
    }
    if (block == 0) return at[axis];
    at[axis] /= (size_t)block;
    for (int d = 0; d < s->rank; d++)
        index = index * (size_t)s->dims[d] + at[d];
    return index;
}

/* Random problem: shape, granularity, type; both directions. */
static void one_problem(uint64_t *seed, const struct integer *type, bool with_zp) {
    int rank = 1 + (int)oh_pick(seed, 4), axis = (int)oh_pick(seed, (uint64_t)rank);
    int form = (int)oh_pick(seed, 3); /* per tensor, per axis, blocks */
    int64_t dims[4], scale_dims[4], block = form == 2 ? 1 + (int64_t)oh_pick(seed, 5) : 0;
    for (int d = 0; d < rank; d++)
        scale_dims[d] = dims[d] = 1 + (int64_t)oh_pick(seed, 9);
    int scale_rank = form == 0 ? (int)oh_pick(seed, 2) : form == 1 ? 1 : rank;
    if (form == 0) scale_dims[0] = 1;
    if (form == 1) scale_dims[0] = dims[axis];
    if (form == 2) scale_dims[axis] = (dims[axis] + block - 1) / block;
    struct oh h, back;
    oh_init(&h, "QuantizeLinear", 21, 1);
    oh_int(&h, "axis", oh_pick(seed, 2) ? axis : axis - rank);
    if (block) oh_int(&h, "block_size", block);
    float *x = oh_input(&h, OX_FLOAT, rank, dims);
    float *s = oh_input(&h, OX_FLOAT, scale_rank, scale_dims);
    for (size_t i = 0; i < h.in[1]->count; i++)
        s[i] = 0.01f + 0.2f * (oh_unit(seed) + 1);
    for (size_t i = 0; i < h.in[0]->count; i++)
        x[i] = oh_unit(seed) * (float)(type->high - type->low) * 0.2f;
    if (with_zp) {
        void *zp = oh_input(&h, type->dtype, scale_rank, scale_dims);
        for (size_t i = 0; i < h.in[2]->count; i++)
            put(zp, type->dtype, i,
                type->low + (int)oh_pick(seed, (uint64_t)(type->high - type->low + 1)));
    } else {
        oh_int(&h, "output_dtype", type->dtype);
    }
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    const ox_tensor *y = h.out[0];
    ck_assert_int_eq(y->dtype, type->dtype);
    for (size_t i = 0; i < y->count; i++) {
        size_t k = scale_at(h.in[0], h.in[1], axis, block, i);
        int zp = with_zp ? get(h.in[2], k) : 0, want = expected_code(x[i], s[k], zp, type);
        ck_assert_msg(get(y, i) == want, "%s: %g / %g + %d is %d, expected %d",
                      ox_dtype_name(type->dtype), (double)x[i], (double)s[k], zp, get(y, i), want);
    }
    oh_same_with_threads(&h, 3);

    oh_init(&back, "DequantizeLinear", 21, 1);
    oh_int(&back, "axis", axis);
    if (block) oh_int(&back, "block_size", block);
    oh_input_of(&back, type->dtype, rank, dims, y->data);
    oh_input_of(&back, OX_FLOAT, scale_rank, scale_dims, s);
    if (with_zp) oh_input_of(&back, type->dtype, scale_rank, scale_dims, h.in[2]->data);
    ck_assert_msg(oh_eval(&back, 1) == OX_OK, "%s", back.text);
    const float *z = back.out[0]->data;
    for (size_t i = 0; i < y->count; i++) {
        size_t k = scale_at(h.in[0], h.in[1], axis, block, i);
        float want = (float)(get(y, i) - (with_zp ? get(h.in[2], k) : 0)) * s[k];
        ck_assert_msg(z[i] == want, "%s: element %zu is %g, expected %g",
                      ox_dtype_name(type->dtype), i, (double)z[i], (double)want);
    }
    oh_fini(&back);
    oh_fini(&h);
}

START_TEST(all_granularities_of_all_integer_types) {
    uint64_t seed = 31 + (uint64_t)_i;
    for (int k = 0; k < 60; k++)
        one_problem(&seed, &integers[_i], k % 2);
}
END_TEST

START_TEST(ties_go_to_even_and_the_ends_saturate) {
    const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN};
    const int want[] = {0, 2, 2, 0, -2, 127, -128, 127, -128, -128}, zp = 0;
    const float scale = 1;
    const int64_t dims[] = {10};
    struct oh h;
    oh_init(&h, "QuantizeLinear", 13, 1);
    oh_input_of(&h, OX_FLOAT, 1, dims, x);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &scale);
    oh_input_of(&h, OX_INT8, 0, NULL, &zp);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(get(h.out[0], i), want[i]);
    oh_fini(&h);
}
END_TEST

START_TEST(default_type_is_uint8) {
    const float x[] = {-1, 3, 600}, scale = 2;
    const int64_t dims[] = {3};
    struct oh h;
    oh_init(&h, "QuantizeLinear", 10, 1);
    oh_input_of(&h, OX_FLOAT, 1, dims, x);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &scale);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_UINT8);
    ck_assert_mem_eq(h.out[0]->data, ((uint8_t[]){0, 2, 255}), 3);
    oh_fini(&h);
}
END_TEST

START_TEST(other_float_types_and_int32) {
    const uint16_t x16[] = {0x3c00, 0xc000}, s16 = 0x3800; /* 1, -2; 0.5 */
    const int32_t x32[] = {100, -7};
    const int8_t zp = 3, codes[] = {5, -1};
    const float scale = 0.5f;
    const int64_t dims[] = {2};
    struct oh h;
    oh_init(&h, "QuantizeLinear", 21, 1);
    oh_input_of(&h, OX_FLOAT16, 1, dims, x16);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &s16);
    oh_input_of(&h, OX_INT8, 0, NULL, &zp);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_mem_eq(h.out[0]->data, ((int8_t[]){5, -1}), 2);
    oh_fini(&h);
    oh_init(&h, "QuantizeLinear", 21, 1);
    oh_input_of(&h, OX_INT32, 1, dims, x32);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &scale);
    oh_input_of(&h, OX_INT8, 0, NULL, &zp);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_mem_eq(h.out[0]->data, ((int8_t[]){127, -11}), 2);
    oh_fini(&h);
    oh_init(&h, "DequantizeLinear", 21, 1); /* the result has the scale's type */
    oh_input_of(&h, OX_INT8, 1, dims, codes);
    oh_input_of(&h, OX_FLOAT16, 0, NULL, &s16);
    oh_input_of(&h, OX_INT8, 0, NULL, &zp);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_FLOAT16);
    ck_assert_mem_eq(h.out[0]->data, ((uint16_t[]){0x3c00, 0xc000}), 4);
    oh_fini(&h);
    oh_init(&h, "DequantizeLinear", 13, 1);
    oh_input_of(&h, OX_INT32, 1, dims, x32);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &scale);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_floats(&h, 0, 2, ((double[]){50, -3.5}), 0);
    oh_fini(&h);
}
END_TEST

START_TEST(float8_codes) {
    static const ox_dtype types[] = {OX_FLOAT8E4M3FN, OX_FLOAT8E4M3FNUZ, OX_FLOAT8E5M2,
                                     OX_FLOAT8E5M2FNUZ};
    const float x[] = {0, 1, 2, 100000, 200, -0.3f}, scale = 2;
    const int64_t dims[] = {6};
    const uint8_t zp = 0;
    for (int k = 0; k < 4; k++) {
        struct oh h, back;
        oh_init(&h, "QuantizeLinear", 19, 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, x);
        oh_input_of(&h, OX_FLOAT, 0, NULL, &scale);
        oh_input_of(&h, types[k], 0, NULL, &zp);
        ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
        const uint8_t *y = h.out[0]->data;
        for (int i = 0; i < 6; i++)
            ck_assert_int_eq(y[i], ox_float_to_narrow(types[k], x[i] / scale, true));
        oh_init(&back, "DequantizeLinear", 19, 1);
        oh_input_of(&back, types[k], 1, dims, y);
        oh_input_of(&back, OX_FLOAT, 0, NULL, &scale);
        ck_assert_int_eq(oh_eval(&back, 1), OX_OK);
        const float *z = back.out[0]->data;
        ck_assert(z[0] == 0 && z[1] == 1 && z[2] == 2);
        oh_fini(&back);
        oh_fini(&h);
    }
}
END_TEST

START_TEST(empty_data) {
    const int64_t dims[] = {0, 4}, four[] = {4};
    struct oh h;
    oh_init(&h, "QuantizeLinear", 13, 1);
    oh_input(&h, OX_FLOAT, 2, dims);
    float *s = oh_input(&h, OX_FLOAT, 1, four);
    s[0] = s[1] = s[2] = s[3] = 1;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, 2, dims);
    oh_fini(&h);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

START_TEST(bad_scales_are_refused) {
    const float scales[] = {0, -1, NAN, INFINITY, -0.0f};
    for (size_t k = 0; k < 5; k++) {
        for (int d = 0; d < 2; d++) {
            struct oh h;
            oh_init(&h, d ? "DequantizeLinear" : "QuantizeLinear", 13, 1);
            oh_input(&h, d ? OX_UINT8 : OX_FLOAT, 0, NULL);
            oh_input_of(&h, OX_FLOAT, 0, NULL, &scales[k]);
            ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
            ck_assert_str_eq(h.id, "bad-scale");
            ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
            oh_fini(&h);
        }
    }
    const float vector[] = {1, 1, 0};
    const int64_t dims[] = {2, 3}, three[] = {3};
    struct oh h;
    oh_init(&h, "QuantizeLinear", 13, 1);
    oh_input(&h, OX_FLOAT, 2, dims);
    oh_input_of(&h, OX_FLOAT, 1, three, vector);
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    ck_assert_str_eq(
        h.text,
        "scale (input 1) of QuantizeLinear is 0 at element 2, expected a positive finite number");
    oh_fini(&h);
}
END_TEST

static void expect_shape_error(const char *op, int rank, const int64_t *dims, int scale_rank,
                               const int64_t *scale_dims, int zp_rank, const int64_t *zp_dims,
                               int64_t axis, int64_t block, const char *text) {
    struct oh h;
    oh_init(&h, op, 21, 1);
    oh_int(&h, "axis", axis);
    if (block) oh_int(&h, "block_size", block);
    oh_input(&h, op[0] == 'D' ? OX_INT8 : OX_FLOAT, rank, dims);
    float *s = oh_input(&h, OX_FLOAT, scale_rank, scale_dims);
    for (size_t i = 0; i < h.in[1]->count; i++)
        s[i] = 1;
    if (zp_dims) oh_input(&h, OX_INT8, zp_rank, zp_dims);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.text, text);
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
}

START_TEST(shapes_that_do_not_fit_are_refused) {
    const int64_t x[] = {1, 128}, two[] = {2}, many[] = {300}, one[] = {1}, matrix[] = {1, 128},
                  blocks[] = {1, 3};
    const char *const ops[] = {"QuantizeLinear", "DequantizeLinear"};
    for (int k = 0; k < 2; k++) {
        char text[200];
        snprintf(text, sizeof text,
                 "scale of %s is [2], which does not fit data of [1,128] along axis 1", ops[k]);
        expect_shape_error(ops[k], 2, x, 1, two, 0, NULL, 1, 0, text);
        snprintf(text, sizeof text,
                 "zero point (input 2) of %s is [300], its scale (input 1) is [1]", ops[k]);
        expect_shape_error(ops[k], 2, x, 1, one, 1, many, 1, 0, text);
        expect_shape_error(ops[k], 2, x, 1, two, 0, NULL, 2, 0,
                           "axis is 2, out of range for rank 2");
        expect_shape_error(ops[k], 2, x, 1, two, 0, NULL, INT64_MIN, 0,
                           "axis is -9223372036854775808, out of range for rank 2");
    }
    struct oh h;
    oh_init(&h, "QuantizeLinear", 21, 1); /* a matrix of scales needs blocks */
    oh_input(&h, OX_FLOAT, 2, x);
    float *s = oh_input(&h, OX_FLOAT, 2, matrix);
    for (int i = 0; i < 128; i++)
        s[i] = 1;
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "QuantizeLinear", 21, 1); /* 128 in blocks of 50 are 3, of 10 are 13 */
    oh_int(&h, "block_size", 50);
    oh_input(&h, OX_FLOAT, 2, x);
    s = oh_input(&h, OX_FLOAT, 2, blocks);
    s[0] = s[1] = s[2] = 1;
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    h.attrs[0].v.i = 10;
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    h.attrs[0].v.i = -1;
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(types_that_do_not_fit_are_refused) {
    const float one = 1;
    struct oh h;
    oh_init(&h, "QuantizeLinear", 13, 1);
    oh_input(&h, OX_STRING, 0, NULL);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "QuantizeLinear", 13, 1); /* zero point of no quantized type */
    oh_input(&h, OX_FLOAT, 0, NULL);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    oh_input(&h, OX_INT64, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_int_eq(oh_infer(&h, 1, true), OX_INVALID);
    oh_fini(&h);
    oh_init(&h, "DequantizeLinear", 13, 1); /* data and zero point differ */
    oh_input(&h, OX_INT8, 0, NULL);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    oh_input(&h, OX_UINT8, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(
        h.text,
        "inputs 0 and 2 of DequantizeLinear are of types int8 and uint8, expected the same");
    oh_fini(&h);
    oh_init(&h, "QuantizeLinear", 21, 1); /* attribute and zero point differ */
    oh_int(&h, "output_dtype", OX_INT16);
    oh_input(&h, OX_FLOAT, 0, NULL);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &one);
    oh_input(&h, OX_UINT8, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    h.attrs[0].v.i = 999;
    ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
    oh_fini(&h);
}
END_TEST

START_TEST(contrib_domain_is_the_same) {
    const float x = 3, scale = 2;
    struct oh h;
    oh_init(&h, "QuantizeLinear", 1, 1);
    h.op = ox_op_find("com.microsoft", "QuantizeLinear");
    oh_input_of(&h, OX_FLOAT, 0, NULL, &x);
    oh_input_of(&h, OX_FLOAT, 0, NULL, &scale);
    oh_input(&h, OX_UINT16, 0, NULL);
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(h.out[0]->dtype, OX_UINT16);
    ck_assert_int_eq(get(h.out[0], 0), 2);
    oh_fini(&h);
}
END_TEST

/* ---- DynamicQuantizeLinear ------------------------------------------------------------------- */

START_TEST(dynamic_quantization) {
    static const int64_t sizes[] = {0, 1, 15, 16, 17, 1000};
    uint64_t seed = 17;
    for (int k = 0; k < 18; k++) {
        struct oh h;
        float offset = k % 3 == 0 ? 0 : k % 3 == 1 ? 5 : -5, low = 0, high = 0;
        oh_init(&h, "DynamicQuantizeLinear", 11, 1);
        float *x = oh_random(&h, &seed, 1, &sizes[k / 3]);
        for (size_t i = 0; i < h.in[0]->count; i++) {
            x[i] += offset;
            low = fminf(low, x[i]);
            high = fmaxf(high, x[i]);
        }
        ck_assert_msg(oh_eval(&h, 3) == OX_OK, "%s", h.text);
        float scale = *(const float *)h.out[1]->data, want = (high - low) / 255;
        if (want == 0) want = 1;
        int zp = *(const uint8_t *)h.out[2]->data;
        ck_assert(scale == want);
        ck_assert_int_eq(zp, (int)rintf(0 - low / want));
        for (size_t i = 0; i < h.in[0]->count; i++)
            ck_assert_int_eq(get(h.out[0], i), expected_code(x[i], scale, zp, &integers[0]));
        oh_fini(&h);
    }
}
END_TEST

START_TEST(dynamic_quantization_of_odd_numbers) {
    const float odd[][3] = {{NAN, 1, 2}, {INFINITY, 1, 2},   {-INFINITY, 1, 2},
                            {0, 0, 0},   {3e38f, -3e38f, 0}, {1e-45f, 0, 0}};
    const int64_t dims[] = {3};
    for (size_t k = 0; k < 6; k++) {
        struct oh h;
        oh_init(&h, "DynamicQuantizeLinear", 11, 1);
        oh_input_of(&h, OX_FLOAT, 1, dims, odd[k]);
        ck_assert_int_eq(oh_eval(&h, 3), OX_OK);
        float scale = *(const float *)h.out[1]->data;
        ck_assert(scale > 0 && scale < INFINITY);
        oh_fini(&h);
    }
}
END_TEST

/* 2.505 is 2.5 in bfloat16 and 2.5005 is so in float16 too: ties then, that go to 2. */
START_TEST(precision_is_where_the_division_rounds) {
    static const struct {
        int opset, precision;
        ox_dtype scale;
        uint8_t codes[2];
    } cases[] = {
        {21, 0, OX_FLOAT16, {3, 3}},         {23, 0, OX_FLOAT16, {3, 2}},
        {23, OX_FLOAT, OX_FLOAT16, {3, 3}},  {23, 0, OX_BFLOAT16, {2, 2}},
        {23, 0, OX_FLOAT, {3, 3}},           {25, OX_FLOAT16, OX_FLOAT, {3, 2}},
        {25, OX_BFLOAT16, OX_FLOAT, {2, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct oh h;
        const float one = 1;
        const uint16_t half = 0x3c00, brain = 0x3f80;
        oh_init(&h, "QuantizeLinear", cases[i].opset, 1);
        if (cases[i].precision) oh_int(&h, "precision", cases[i].precision);
        oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){2.505f, 2.5005f});
        oh_input_of(&h, cases[i].scale, 0, NULL,
                    cases[i].scale == OX_FLOAT     ? (const void *)&one
                    : cases[i].scale == OX_FLOAT16 ? &half
                                                   : &brain);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        ck_assert_msg(memcmp(h.out[0]->data, cases[i].codes, 2) == 0, "case %zu: %d %d", i,
                      get(h.out[0], 0), get(h.out[0], 1));
        oh_fini(&h);
    }
}
END_TEST

/* Scales in blocks, the last one shorter, with zero points: as in float where nothing is on an
 * edge. */
START_TEST(precision_with_blocks) {
    struct oh h;
    oh_init(&h, "QuantizeLinear", 23, 1);
    oh_int(&h, "precision", OX_FLOAT16);
    oh_int(&h, "axis", 0);
    oh_int(&h, "block_size", 2);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(3), (float[]){1, -3, 5});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){0.5f, 2});
    oh_input_of(&h, OX_INT8, OH_DIMS(2), (int8_t[]){1, -1});
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    ck_assert_mem_eq(h.out[0]->data, ((int8_t[]){3, -5, 1}), 3); /* 2 + 1, -6 + 1, 2 (a tie) - 1 */
    oh_fini(&h);
    oh_init(&h, "QuantizeLinear", 23, 1);
    oh_int(&h, "precision", OX_DOUBLE);
    oh_input(&h, OX_FLOAT, OH_DIMS(3));
    oh_input_of(&h, OX_FLOAT, 0, NULL, (float[]){1});
    ck_assert_int_eq(oh_eval(&h, 1), OX_INVALID);
    ck_assert_str_eq(h.id, "wrong-attribute");
    oh_fini(&h);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("op_quantize");
    TCase *tests = tcase_create("quantize");
    tcase_add_loop_test(tests, all_granularities_of_all_integer_types, 0, INTEGERS);
    tcase_add_test(tests, ties_go_to_even_and_the_ends_saturate);
    tcase_add_test(tests, default_type_is_uint8);
    tcase_add_test(tests, other_float_types_and_int32);
    tcase_add_test(tests, float8_codes);
    tcase_add_test(tests, empty_data);
    tcase_add_test(tests, bad_scales_are_refused);
    tcase_add_test(tests, shapes_that_do_not_fit_are_refused);
    tcase_add_test(tests, types_that_do_not_fit_are_refused);
    tcase_add_test(tests, contrib_domain_is_the_same);
    tcase_add_test(tests, precision_is_where_the_division_rounds);
    tcase_add_test(tests, precision_with_blocks);
    tcase_add_test(tests, dynamic_quantization);
    tcase_add_test(tests, dynamic_quantization_of_odd_numbers);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
