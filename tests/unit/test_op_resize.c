/* tests/unit/test_op_resize.c - Resize and Upsample against the standard's formulas, sample by
 * sample. */
#include "op_harness.h"

#include <math.h>
#include <stdlib.h>

enum { RANK = 3 };
enum { NEAREST, LINEAR, CUBIC };
static const char *const modes[] = {"nearest", "linear", "cubic"};
static const char *const coords[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
enum { CROP = 6 };

struct problem {
    int mode, coord, rounding;
    bool antialias, exclude;
    float a, extrapolation;
    int64_t in[RANK], out[RANK];
    float scale[RANK], start[RANK], end[RANK];
};

/* x_original of the standard, in 32-bit floats as its scales are. */
static float original(const struct problem *p, int d, int64_t i) {
    float x = (float)i, in = (float)p->in[d], out = (float)p->out[d], s = p->scale[d];
    switch (p->coord) {
    case 0:
        return (x + 0.5f) / s - 0.5f;
    case 1:
        return in / 2 * (1 - out / (s * in)) + (x + 0.5f) / s - 0.5f;
    case 2:
        return p->out[d] > 1 ? (x + 0.5f) / s - 0.5f : 0;
    case 3: /* length_resized is what the scale makes of the length, not rounded down */
        if (fabs((double)s * (double)in - (double)out) > 1e-5 * (double)out) out = s * in;
        return p->out[d] > 1 ? x * (in - 1) / (out - 1) : 0;
    case 4:
        return x / s;
    case 5:
        return (x + 0.5f) / s;
    default:
        return p->out[d] > 1
                   ? p->start[d] * (in - 1) + x * (p->end[d] - p->start[d]) * (in - 1) / (out - 1)
                   : 0.5f * (p->start[d] + p->end[d]) * (in - 1);
    }
}

static double hat(const struct problem *p, double x) {
    double a = (double)p->a;
    if (p->mode == LINEAR) return x < 1 ? 1 - x : 0;
    return x <= 1  ? (a + 2) * x * x * x - (a + 3) * x * x + 1
           : x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a
                   : 0;
}

/* Weight of every input of dim d for one output; false: outside the cropped region. */
static bool weights(const struct problem *p, int d, int64_t i, double *w) {
    float x = original(p, d, i);
    int64_t n = p->in[d];
    for (int64_t k = 0; k < n; k++)
        w[k] = 0;
    if (p->coord == CROP && (x < 0 || x > (float)(n - 1))) return false;
    bool same = p->in[d] == p->out[d] && p->scale[d] == 1 && p->coord != CROP;
    if (p->mode == NEAREST || same) {
        float r = p->rounding == 0   ? ceilf(x - 0.5f)
                  : p->rounding == 1 ? floorf(x + 0.5f)
                  : p->rounding == 2 ? floorf(x)
                                     : ceilf(x);
        int64_t k = same ? i : r < 0 ? 0 : r > (float)(n - 1) ? n - 1 : (int64_t)r;
        w[k] = 1;
        return true;
    }
    double stretch = p->antialias && p->scale[d] < 1 ? 1 / (double)p->scale[d] : 1, sum = 0;
    int64_t reach = (int64_t)ceil(2 * stretch) + 2, middle = (int64_t)floor((double)x);
    for (int64_t k = middle - reach; k <= middle + reach; k++) {
        double v = hat(p, fabs((double)k - (double)x) / stretch);
        if (p->exclude && (k < 0 || k >= n)) continue;
        w[k < 0 ? 0 : k >= n ? n - 1 : k] += v; /* the border goes on outside */
        sum += v;
    }
    for (int64_t k = 0; k < n; k++)
        w[k] /= sum;
    return true;
}

static void check(const struct oh *h, const struct problem *p, double tolerance) {
    oh_expect_dims(h, 0, RANK, p->out);
    const float *x = h->in[0]->data, *y = h->out[0]->data;
    double w[RANK][64];
    for (int64_t i = 0; i < p->out[0]; i++)
        for (int64_t j = 0; j < p->out[1]; j++)
            for (int64_t k = 0; k < p->out[2]; k++) {
                bool inside = weights(p, 0, i, w[0]);
                inside = weights(p, 1, j, w[1]) && inside;
                inside = weights(p, 2, k, w[2]) && inside;
                double sum = 0;
                for (int64_t a = 0; a < p->in[0]; a++)
                    for (int64_t b = 0; b < p->in[1]; b++)
                        for (int64_t c = 0; c < p->in[2]; c++)
                            sum += w[0][a] * w[1][b] * w[2][c] *
                                   (double)x[(a * p->in[1] + b) * p->in[2] + c];
                if (!inside) sum = (double)p->extrapolation;
                double got = (double)y[(i * p->out[1] + j) * p->out[2] + k];
                ck_assert_msg(fabs(got - sum) <= tolerance,
                              "%s %s %s: [%lld,%lld,%lld] is %.9g, expected %.9g", modes[p->mode],
                              coords[p->coord], roundings[p->rounding], (long long)i, (long long)j,
                              (long long)k, got, sum);
            }
}

static void random_resize(uint64_t *seed) {
    struct problem p = {.mode = (int)oh_pick(seed, 3),
                        .coord = (int)oh_pick(seed, 7),
                        .rounding = (int)oh_pick(seed, 4),
                        .antialias = oh_pick(seed, 4) == 0,
                        .exclude = oh_pick(seed, 4) == 0,
                        .a = -0.75f,
                        .extrapolation = 7};
    bool by_sizes = oh_pick(seed, 2);
    if (p.coord == CROP) p.exclude = p.antialias = false;
    float roi[2 * RANK];
    int64_t sizes[RANK];
    struct oh h;
    oh_init(&h, "Resize", 19, 1);
    for (int d = 0; d < RANK; d++) {
        p.in[d] = 1 + (int64_t)oh_pick(seed, d == 2 ? 20 : 9);
        p.start[d] = 0, p.end[d] = 1;
        roi[d] = (float)oh_pick(seed, 5) / 8 - 0.1f;
        roi[RANK + d] = roi[d] + 0.25f + (float)oh_pick(seed, 5) / 8;
        if (p.coord == CROP) p.start[d] = roi[d], p.end[d] = roi[RANK + d];
        p.scale[d] = oh_pick(seed, 3) ? (float)(1 + oh_pick(seed, 24)) / 8 : 1;
        float extent = (float)p.in[d] * (p.coord == CROP ? p.end[d] - p.start[d] : 1);
        p.out[d] = (int64_t)floorf(extent * p.scale[d]);
        if (by_sizes) {
            sizes[d] = p.out[d] = 1 + (int64_t)oh_pick(seed, 30);
            p.scale[d] = (float)p.out[d] / (float)p.in[d];
        }
    }
    oh_random(&h, seed, RANK, p.in);
    if (p.coord == CROP)
        oh_input_of(&h, OX_FLOAT, OH_DIMS(2 * RANK), roi);
    else
        oh_absent(&h);
    if (by_sizes) {
        oh_absent(&h);
        oh_input_of(&h, OX_INT64, OH_DIMS(RANK), sizes);
    } else {
        oh_input_of(&h, OX_FLOAT, OH_DIMS(RANK), p.scale);
    }
    oh_string(&h, "mode", modes[p.mode]);
    oh_string(&h, "coordinate_transformation_mode", coords[p.coord]);
    oh_string(&h, "nearest_mode", roundings[p.rounding]);
    oh_int(&h, "antialias", p.antialias);
    oh_int(&h, "exclude_outside", p.exclude);
    oh_float(&h, "extrapolation_value", p.extrapolation);
    ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
    check(&h, &p, 2e-5);
    oh_same_with_threads(&h, 2);
    oh_same_with_threads(&h, 3);
    oh_fini(&h);
}

START_TEST(random_resizes) {
    uint64_t seed = 80 + (uint64_t)_i;
    for (int i = 0; i < 200; i++)
        random_resize(&seed);
}
END_TEST

/* ---- forms of the inputs --------------------------------------------------------------------- */

static const float square[] = {1, 2, 3, 4}, twice[] = {1, 1, 2, 2};

START_TEST(upsample_of_all_versions) {
    const double nearest[] = {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4};
    const double linear[] = {1, 1.5, 2, 2, 2, 2.5, 3, 3, 3, 3.5, 4, 4, 3, 3.5, 4, 4};
    for (int opset = 1; opset <= 9; opset += opset == 1 ? 6 : 2) { /* 1, 7, 9 */
        for (int mode = 0; mode < 2; mode++) {
            struct oh h;
            oh_init(&h, "Upsample", opset, 1);
            oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 2), square);
            if (opset == 9) oh_input_of(&h, OX_FLOAT, OH_DIMS(4), twice);
            if (opset == 7) oh_floats(&h, "scales", 4, twice); /* a literal would end here */
            if (opset == 1) oh_float(&h, "height_scale", 2), oh_float(&h, "width_scale", 2);
            oh_string(&h, "mode", mode == 0 ? "nearest" : opset == 1 ? "bilinear" : "linear");
            ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
            oh_expect_dims(&h, 0, OH_DIMS(1, 1, 4, 4));
            oh_expect_floats(&h, 0, 16, mode ? linear : nearest, 1e-6);
            oh_fini(&h);
        }
    }
}
END_TEST

START_TEST(version_ten_shrinks_upwards) {
    struct oh h;
    oh_init(&h, "Resize", 10, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 4), (float[]){1, 2, 3, 4, 5, 6, 7, 8});
    oh_input_of(&h, OX_FLOAT, OH_DIMS(4), (float[]){1, 1, 0.6f, 0.6f});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(1, 1, 1, 2));
    oh_expect_floats(&h, 0, 2, (double[]){1, 3}, 0);
    oh_fini(&h);
}
END_TEST

START_TEST(axes_and_policies) {
    static const struct {
        const char *policy;
        int64_t sizes[2], out[2];
    } cases[] = {{"stretch", {7, 4}, {7, 4}},
                 {"not_larger", {7, 8}, {7, 7}},
                 {"not_smaller", {7, 8}, {8, 8}}};
    for (int i = 0; i < 3; i++) {
        struct oh h;
        oh_init(&h, "Resize", 18, 1);
        oh_input(&h, OX_FLOAT, OH_DIMS(2, 1, 2, 3));
        oh_absent(&h), oh_absent(&h);
        oh_input_of(&h, OX_INT64, OH_DIMS(2), cases[i].sizes);
        OH_INTS(&h, "axes", -2, 0); /* both dims are 2 long */
        oh_string(&h, "keep_aspect_ratio_policy", cases[i].policy);
        ck_assert_msg(oh_eval(&h, 1) == OX_OK, "%s", h.text);
        oh_expect_dims(&h, 0, OH_DIMS(cases[i].out[1], 1, cases[i].out[0], 3));
        oh_fini(&h);
    }
    struct oh h; /* halves round up: 3 * 3/2 = 4.5 */
    oh_init(&h, "Resize", 19, 1);
    oh_input(&h, OX_FLOAT, OH_DIMS(2, 3));
    oh_absent(&h), oh_absent(&h);
    oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){3, 9});
    oh_string(&h, "keep_aspect_ratio_policy", "not_larger");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    oh_expect_dims(&h, 0, OH_DIMS(3, 5));
    oh_fini(&h);
}
END_TEST

START_TEST(other_types) {
    static const ox_dtype types[] = {OX_UINT8,  OX_INT8,  OX_UINT16, OX_INT16,
                                     OX_UINT32, OX_INT32, OX_UINT64, OX_INT64};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (int mode = 0; mode < 2; mode++) {
            struct oh h;
            oh_init(&h, "Resize", 13, 1);
            unsigned char *x = oh_input(&h, types[i], OH_DIMS(1, 2));
            size_t size = h.in[0]->size / 2;
            x[0] = 10, x[size] = 15;
            oh_absent(&h);
            oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){1, 2});
            oh_string(&h, "mode", modes[mode]);
            ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
            const unsigned char expected[2][4] = {{10, 10, 15, 15},
                                                  {10, 11, 13, 15}}; /* 11.25 and 13.75 are cut */
            for (size_t k = 0; k < 4; k++)
                ck_assert_uint_eq(((const unsigned char *)h.out[0]->data)[k * size],
                                  expected[mode][k]);
            oh_fini(&h);
        }
    }
    struct oh h;
    oh_init(&h, "Resize", 13, 1);
    oh_input_of(&h, OX_FLOAT16, OH_DIMS(2), (uint16_t[]){0x3c00, 0x4000});
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){2});
    oh_string(&h, "mode", "linear");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(((const uint16_t *)h.out[0]->data)[1], 0x3d00); /* 1.25 */
    oh_fini(&h);
    oh_init(&h, "Resize", 13, 1);
    oh_input_of(&h, OX_BOOL, OH_DIMS(2), (uint8_t[]){1, 0});
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){2});
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_int_eq(memcmp(h.out[0]->data, (uint8_t[]){1, 1, 0, 0}, 4), 0);
    oh_fini(&h);
    oh_init(&h, "Resize", 13, 1); /* cubic overshoots: cut to the type's range */
    oh_input_of(&h, OX_UINT8, OH_DIMS(4), (uint8_t[]){0, 255, 255, 0});
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){2});
    oh_string(&h, "mode", "cubic");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_uint_eq(((const uint8_t *)h.out[0]->data)[0], 0);
    ck_assert_uint_eq(((const uint8_t *)h.out[0]->data)[3], 255);
    oh_fini(&h);
}
END_TEST

START_TEST(nothing_to_do_is_the_input) {
    struct oh h;
    oh_init(&h, "Resize", 13, 1);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2, 2), square);
    oh_absent(&h);
    oh_input_of(&h, OX_FLOAT, OH_DIMS(2), (float[]){1, 1});
    oh_string(&h, "mode", "cubic");
    ck_assert_int_eq(oh_eval(&h, 1), OX_OK);
    ck_assert_ptr_eq(h.out[0], h.in[0]);
    oh_fini(&h);
}
END_TEST

/* ---- wrong inputs ---------------------------------------------------------------------------- */

static void expect(struct oh *h, ox_status eval, ox_status infer) {
    ck_assert_msg(oh_eval(h, 1) == eval, "eval: %s", h->text);
    ck_assert_msg(oh_infer(h, 1, false) == infer, "infer: %s", h->text);
    oh_fini(h);
}

static void start(struct oh *h, int opset) {
    oh_init(h, "Resize", opset, 1);
    oh_input(h, OX_FLOAT, OH_DIMS(2, 2));
    oh_absent(h);
}

static void with_scales(struct oh *h, float a, float b) {
    start(h, 13);
    oh_input_of(h, OX_FLOAT, OH_DIMS(2), (float[]){a, b});
}

static void with_sizes(struct oh *h, int64_t a, int64_t b) {
    start(h, 18);
    oh_absent(h);
    oh_input_of(h, OX_INT64, OH_DIMS(2), (int64_t[]){a, b});
}

START_TEST(wrong_inputs) {
    struct oh h;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 0, -1, 1e20f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        with_scales(&h, 1, bad[i]);
        ck_assert_int_eq(oh_check(&h, 1), OX_INVALID);
        expect(&h, OX_INVALID, OX_INVALID);
    }
    with_scales(&h, 1e14f, 1e14f), expect(&h, OX_INVALID, OX_INVALID);
    start(&h, 13), oh_input(&h, OX_FLOAT, OH_DIMS(3)), expect(&h, OX_INVALID, OX_INVALID);
    start(&h, 13), expect(&h, OX_INVALID, OX_INVALID); /* neither */
    start(&h, 13), oh_input(&h, OX_FLOAT, OH_DIMS(0)), expect(&h, OX_INVALID, OX_INVALID);
    start(&h, 13), oh_input(&h, OX_INT64, OH_DIMS(2)), expect(&h, OX_INVALID, OX_INVALID);
    with_scales(&h, 1, 2), oh_input_of(&h, OX_INT64, OH_DIMS(2), (int64_t[]){2, 4}),
        expect(&h, OX_INVALID, OX_INVALID);
    with_scales(&h, 1, 2), oh_string(&h, "mode", "lanczos"), expect(&h, OX_INVALID, OX_INVALID);
    with_scales(&h, 1, 2), oh_string(&h, "coordinate_transformation_mode", "tf_crop_and_resize");
    expect(&h, OX_INVALID, OX_INVALID); /* no roi */
    with_scales(&h, 1, 2), OH_INTS(&h, "axes", 0, 2), expect(&h, OX_INVALID, OX_INVALID);
    with_scales(&h, 1, 2), OH_INTS(&h, "axes", 1, -1), expect(&h, OX_INVALID, OX_INVALID);
    with_sizes(&h, 2, -1), expect(&h, OX_INVALID, OX_INVALID);
    with_sizes(&h, INT64_MAX, INT64_MAX), expect(&h, OX_INVALID, OX_INVALID);
    with_sizes(&h, (int64_t)1 << 40, (int64_t)1 << 40), expect(&h, OX_INVALID, OX_INVALID);
    with_sizes(&h, 2, (int64_t)1 << 40), oh_string(&h, "keep_aspect_ratio_policy", "not_smaller");
    expect(&h, OX_INVALID, OX_INVALID);
    oh_init(&h, "Upsample", 10, 1), oh_input(&h, OX_FLOAT, OH_DIMS(2)),
        oh_input_of(&h, OX_FLOAT, OH_DIMS(1), (float[]){2});
    expect(&h, OX_INVALID, OX_INVALID);
    oh_init(&h, "Upsample", 7, 1), oh_input(&h, OX_FLOAT, OH_DIMS(2)),
        OH_FLOATS(&h, "scales", 2, 2);
    expect(&h, OX_INVALID, OX_INVALID);
    oh_init(&h, "Upsample", 1, 1), oh_input(&h, OX_FLOAT, OH_DIMS(1, 1, 2, 2)),
        expect(&h, OX_INVALID, OX_INVALID);
}
END_TEST

int main(void) {
    Suite *s = suite_create("op_resize");
    TCase *t = tcase_create("op_resize");
    tcase_add_loop_test(t, random_resizes, 0, 4);
    tcase_add_test(t, upsample_of_all_versions);
    tcase_add_test(t, version_ten_shrinks_upwards);
    tcase_add_test(t, axes_and_policies);
    tcase_add_test(t, other_types);
    tcase_add_test(t, nothing_to_do_is_the_input);
    tcase_add_test(t, wrong_inputs);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
