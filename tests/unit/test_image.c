/* tests/unit/test_image.c - images into pixels, scaling, and preprocessing into tensors. The
 * expected pixels and scaled images are those of the Python Imaging Library (version 9.4). */
#include "frontend/preprocess.h"
#include "tests/unit/file_harness.h"
#include "tests/unit/image_samples.h"

#include <stdlib.h>
#include <zlib.h>

static unsigned checksum(const struct ox_image *i) {
    return (unsigned)crc32(0, i->pixels, (uInt)(i->width * i->height * i->channels));
}

START_TEST(images_are_decoded_exactly) {
    const struct sample *s = &samples[_i];
    struct ox_image im;
    ck_ok(ox_image_read(&im, front.ctx, s->data, s->size, NULL));
    ck_assert_uint_eq(im.width, s->width);
    ck_assert_uint_eq(im.height, s->height);
    ck_assert_uint_eq(im.channels, s->channels);
    ck_assert_msg(checksum(&im) == s->crc, "%s: 0x%08x", s->name, checksum(&im));
    ox_image_fini(&im, front.ctx);
}
END_TEST

START_TEST(images_that_are_cut_off_are_refused) {
    const struct sample *s = &samples[_i];
    for (unsigned n = 0; n < s->size - 2; n++) { /* a JPEG's last two bytes only say that it ends */
        struct ox_image im;
        unsigned char *exact = malloc(n ? n : 1);
        memcpy(exact, s->data, n);
        ck_fails(ox_image_read(&im, front.ctx, exact, n, NULL), OX_INVALID, "bad-image");
        free(exact);
    }
}
END_TEST

START_TEST(damaged_images_do_no_harm) {
    const struct sample *s = &samples[_i];
    unsigned char *bytes = malloc(s->size);
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) {
        struct ox_image im;
        memcpy(bytes, s->data, s->size);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1103515245u + 12345u;
            bytes[(seed >> 8) % s->size] ^= (unsigned char)(1u << (seed >> 28) % 8);
        }
        if (ox_image_read(&im, front.ctx, bytes, s->size, NULL) == OX_OK)
            ox_image_fini(&im, front.ctx);
    }
    free(bytes);
}
END_TEST

/* A PNG header that declares these dimensions, and nothing else. */
static size_t png_header(unsigned char *out, unsigned w, unsigned h, unsigned char colour) {
    static const unsigned char begin[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n',
                                          0,    0,   0,   13,  'I',  'H',  'D',  'R'};
    memcpy(out, begin, sizeof begin);
    for (int i = 0; i < 4; i++) {
        out[16 + i] = (unsigned char)(w >> (24 - 8 * i));
        out[20 + i] = (unsigned char)(h >> (24 - 8 * i));
    }
    out[24] = 8, out[25] = colour, out[26] = out[27] = out[28] = 0;
    unsigned crc = (unsigned)crc32(0, out + 12, 17);
    for (int i = 0; i < 4; i++)
        out[29 + i] = (unsigned char)(crc >> (24 - 8 * i));
    return 33;
}

START_TEST(dimensions_are_limited) {
    unsigned char bytes[64];
    struct ox_image im;
    static const unsigned sides[][2] = {
        {65535, 65535}, {8192, 8193}, {65537, 1}, {0, 5}, {0x7fffffff, 0x7fffffff}};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        size_t n = png_header(bytes, sides[i][0], sides[i][1], 2);
        size_t before = ox_ctx_memory_peak(front.ctx);
        ck_fails(ox_image_read(&im, front.ctx, bytes, n, NULL), OX_INVALID, "bad-image");
        ck_assert_uint_lt(ox_ctx_memory_peak(front.ctx), before + (1 << 20));
    }
    size_t n = png_header(bytes, 8, 8, 2);
    bytes[30] ^= 1; /* the header's checksum */
    ck_fails(ox_image_read(&im, front.ctx, bytes, n, NULL), OX_INVALID, "bad-image");
}
END_TEST

START_TEST(channels_are_converted) {
    struct ox_image im;
    ck_ok(ox_image_init(&im, front.ctx, 2, 1, 3, NULL));
    memcpy(im.pixels, "\x0a\xc8\x1e\xff\xff\xff", 6);
    ck_ok(ox_image_set_channels(&im, front.ctx, 1));
    ck_assert_int_eq(im.pixels[0], 124); /* .299 * 10 + .587 * 200 + .114 * 30 = 123.81 */
    ck_assert_int_eq(im.pixels[1], 255);
    ck_ok(ox_image_set_channels(&im, front.ctx, 3));
    ck_assert_mem_eq(im.pixels, "\x7c\x7c\x7c\xff\xff\xff", 6);
    ox_image_fini(&im, front.ctx);
}
END_TEST

/* ---- scaling --------------------------------------------------------------------------------- */

/* clang-format off */
static const struct { unsigned w, h, c, to_w, to_h; enum ox_filter filter; unsigned crc; } scaled[] = {
    {37,23,3,10,7,OX_FILTER_BILINEAR,0xe4fc93cc},
    {37,23,3,10,7,OX_FILTER_BICUBIC,0xaaa15999},
    {37,23,3,10,7,OX_FILTER_LANCZOS,0x0aeb45a1},
    {37,23,3,10,7,OX_FILTER_BOX,0x6d5bb7d5},
    {37,23,3,10,7,OX_FILTER_NEAREST,0xbf6803ed},
    {37,23,3,64,50,OX_FILTER_BILINEAR,0x7304d843},
    {37,23,3,64,50,OX_FILTER_BICUBIC,0x39d0b1da},
    {37,23,3,64,50,OX_FILTER_LANCZOS,0x230d559a},
    {37,23,3,64,50,OX_FILTER_BOX,0x37432f2e},
    {37,23,3,64,50,OX_FILTER_NEAREST,0x37432f2e},
    {37,23,3,37,11,OX_FILTER_BILINEAR,0xc5b693f3},
    {37,23,3,37,11,OX_FILTER_BICUBIC,0xe2348e9c},
    {37,23,3,37,11,OX_FILTER_LANCZOS,0xf978331b},
    {37,23,3,37,11,OX_FILTER_BOX,0x684ee113},
    {37,23,3,37,11,OX_FILTER_NEAREST,0x112bfa5a},
    {37,23,3,5,23,OX_FILTER_BILINEAR,0x0349fe0d},
    {37,23,3,5,23,OX_FILTER_BICUBIC,0xd5b193c8},
    {37,23,3,5,23,OX_FILTER_LANCZOS,0xfec8b7d6},
    {37,23,3,5,23,OX_FILTER_BOX,0xfa0605b1},
    {37,23,3,5,23,OX_FILTER_NEAREST,0x46d28499},
    {19,40,1,10,7,OX_FILTER_BILINEAR,0x33af1fc9},
    {19,40,1,10,7,OX_FILTER_BICUBIC,0xdb097c8c},
    {19,40,1,10,7,OX_FILTER_LANCZOS,0x5e675b5a},
    {19,40,1,10,7,OX_FILTER_BOX,0x5db6e8c2},
    {19,40,1,10,7,OX_FILTER_NEAREST,0xc18e382b},
    {19,40,1,64,50,OX_FILTER_BILINEAR,0x5fa04020},
    {19,40,1,64,50,OX_FILTER_BICUBIC,0x2c85abd5},
    {19,40,1,64,50,OX_FILTER_LANCZOS,0x1470e00d},
    {19,40,1,64,50,OX_FILTER_BOX,0x2bc0492a},
    {19,40,1,64,50,OX_FILTER_NEAREST,0x0911b203},
    {19,40,1,37,11,OX_FILTER_BILINEAR,0x93eb58f9},
    {19,40,1,37,11,OX_FILTER_BICUBIC,0x29adc217},
    {19,40,1,37,11,OX_FILTER_LANCZOS,0xc4c20939},
    {19,40,1,37,11,OX_FILTER_BOX,0x772a5cf8},
    {19,40,1,37,11,OX_FILTER_NEAREST,0xf3b8ec9b},
    {19,40,1,5,23,OX_FILTER_BILINEAR,0x89786677},
    {19,40,1,5,23,OX_FILTER_BICUBIC,0xb0da82a0},
    {19,40,1,5,23,OX_FILTER_LANCZOS,0xb5ac4f24},
    {19,40,1,5,23,OX_FILTER_BOX,0x2cff5b61},
    {19,40,1,5,23,OX_FILTER_NEAREST,0x4a7b53ca},
};
/* clang-format on */

/* The picture that the table was made from. */
static struct ox_image picture(unsigned w, unsigned h, unsigned c) {
    struct ox_image im;
    size_t n = 0;
    ck_ok(ox_image_init(&im, front.ctx, w, h, c, NULL));
    for (unsigned y = 0; y < h; y++)
        for (unsigned x = 0; x < w; x++)
            for (unsigned k = 0; k < c; k++)
                im.pixels[n++] = (unsigned char)(x * 37 + y * 59 + k * 101 + x * y % 17 * 13);
    return im;
}

START_TEST(scaling_is_exact) {
    struct ox_image im = picture(scaled[_i].w, scaled[_i].h, scaled[_i].c);
    ck_ok(ox_image_resize(&im, front.ctx, scaled[_i].to_w, scaled[_i].to_h, scaled[_i].filter));
    ck_assert_uint_eq(im.width, scaled[_i].to_w);
    ck_assert_uint_eq(im.height, scaled[_i].to_h);
    ck_assert_uint_eq(checksum(&im), scaled[_i].crc);
    ox_image_fini(&im, front.ctx);
}
END_TEST

START_TEST(scaling_to_one_pixel_and_back) {
    for (int f = 0; f < OX_FILTER_COUNT; f++) {
        struct ox_image im = picture(31, 17, 3);
        memset(im.pixels, 77, 31 * 17 * 3);
        ck_ok(ox_image_resize(&im, front.ctx, 1, 1, (enum ox_filter)f));
        ck_ok(ox_image_resize(&im, front.ctx, 40, 3, (enum ox_filter)f));
        for (size_t i = 0; i < 40 * 3 * 3; i++)
            ck_assert_int_eq(im.pixels[i], 77);
        ox_image_fini(&im, front.ctx);
    }
}
END_TEST

/* ---- preprocessing --------------------------------------------------------------------------- */

static struct ox_prep_target target(ox_dtype dtype, int rank, int64_t a, int64_t b, int64_t c,
                                    int64_t d) {
    return (struct ox_prep_target){
        .name = "in", .dtype = dtype, .rank = rank, .dims = {a, b, c, d}};
}

/* What a specification makes of picture(w, h, c). */
static ox_status make(ox_tensor **out, const char *spec, struct ox_prep_target t, unsigned w,
                      unsigned h, unsigned c) {
    struct ox_prep p;
    OX_TRY(ox_prep_parse(&p, front.ctx, spec));
    OX_TRY(ox_prep_plan(&t, front.ctx, &p));
    struct ox_image im = picture(w, h, c);
    return ox_prep_image(out, front.ctx, &p, &t, &im, NULL);
}

static float at(const ox_tensor *t, size_t i) {
    return ((const float *)t->data)[i];
}

START_TEST(values_and_layouts) {
    ox_tensor *t;
    /* pixel (x=1, y=0): channels 37, 138, 239; the picture is 2 wide and 2 high */
    ck_ok(make(&t, "mean=0.5:0.25:0.125,std=0.5:0.25:2", target(OX_FLOAT, 4, 1, 3, 2, 2), 2, 2, 3));
    ck_assert_int_eq(t->rank, 4);
    ck_assert(at(t, 1) == (float)((37 / 255.0 - 0.5) / 0.5));
    ck_assert(at(t, 4 + 1) == (float)((138 / 255.0 - 0.25) / 0.25));
    ck_assert(at(t, 8 + 1) == (float)((239 / 255.0 - 0.125) / 2));
    ox_tensor_unref(t);
    ck_ok(make(&t, "scale=1,mean=3,layout=nhwc", target(OX_FLOAT, 4, -1, 2, 2, 3), 2, 2, 3));
    ck_assert(at(t, 3) == 34 && at(t, 4) == 135 && at(t, 5) == 236);
    ox_tensor_unref(t);
    ck_ok(make(&t, "scale=1,colour=bgr", target(OX_FLOAT, 4, 1, 3, 2, 2), 2, 2, 3));
    ck_assert(at(t, 1) == 239 && at(t, 9) == 37);
    ox_tensor_unref(t);
    ck_ok(make(&t, "scale=1", target(OX_FLOAT, 4, 1, 1, 2, 2), 2, 2, 3)); /* the input says grey */
    ck_assert_uint_eq(t->count, 4);
    ox_tensor_unref(t);
    ck_ok(make(&t, "scale=1", target(OX_FLOAT, 4, 1, 3, 2, 2), 2, 2,
               1)); /* and the input says colour */
    ck_assert(at(t, 1) == 37 && at(t, 5) == 37);
    ox_tensor_unref(t);
    ck_ok(make(&t, NULL, target(OX_UINT8, 4, 1, 3, 2, 2), 2, 2, 3)); /* integers: not divided */
    ck_assert_int_eq(((const unsigned char *)t->data)[1], 37);
    ox_tensor_unref(t);
    ck_ok(make(&t, NULL, target(OX_FLOAT16, 4, 1, 3, 2, 2), 2, 2, 3));
    ck_assert_int_eq(((const uint16_t *)t->data)[1], ox_float_to_half((float)(37 / 255.0)));
    ox_tensor_unref(t);
}
END_TEST

START_TEST(shapes_of_inputs) {
    static const struct {
        int rank;
        int64_t dims[4];
        unsigned w, h, c;
        const char *spec;
        int64_t out[4];
    } cases[] = {
        {4, {-1, 3, -1, -1}, 5, 4, 3, NULL, {1, 3, 4, 5}}, /* the image's own size */
        {4, {-1, -1, -1, -1}, 5, 4, 3, NULL, {1, 3, 4, 5}},
        {4, {1, -1, -1, 3}, 5, 4, 3, NULL, {1, 4, 5, 3}}, /* NHWC by its last dim */
        {3, {3, 4, 5, 0}, 5, 4, 3, NULL, {3, 4, 5, 0}},
        {3, {4, 5, 3, 0}, 5, 4, 3, NULL, {4, 5, 3, 0}},
        {3, {-1, 4, 5, 0}, 5, 4, 1, NULL, {1, 4, 5, 0}},
        {2, {-1, 20, 0, 0}, 5, 4, 1, NULL, {1, 20, 0, 0}}, /* flat */
        {2, {1, 15, 0, 0}, 9, 9, 3, "resize=3x5,colour=grey", {1, 15, 0, 0}},
        {4, {1, 3, 2, 2}, 5, 4, 3, NULL, {1, 3, 2, 2}}, /* cover and cut */
        {4, {1, 3, 2, 2}, 5, 4, 3, "resize=3,crop=2", {1, 3, 2, 2}},
        {4, {1, 3, 6, 7}, 5, 4, 3, "fit=6x7,pad=114", {1, 3, 6, 7}},
        {-1, {0}, 5, 4, 3, NULL, {1, 3, 4, 5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ox_tensor *t;
        const int64_t *d = cases[i].dims;
        ck_ok(make(&t, cases[i].spec, target(OX_FLOAT, cases[i].rank, d[0], d[1], d[2], d[3]),
                   cases[i].w, cases[i].h, cases[i].c));
        for (int k = 0; k < t->rank; k++)
            ck_assert_int_eq(t->dims[k], cases[i].out[k]);
        ox_tensor_unref(t);
    }
    ox_tensor *t;
    ck_fails(make(&t, "crop=3", target(OX_FLOAT, 4, 1, 3, 2, 2), 5, 4, 3), OX_INVALID,
             "wrong-sample");
    ck_fails(make(&t, "colour=grey", target(OX_FLOAT, 4, 1, 3, 2, 2), 5, 4, 3), OX_INVALID,
             "wrong-sample");
    ck_fails(make(&t, "mean=1:2", target(OX_FLOAT, 4, 1, 3, 2, 2), 5, 4, 3), OX_INVALID,
             "wrong-sample");
    ck_fails(make(&t, "resize=3", target(OX_FLOAT, 4, 1, 3, 2, 2), 5, 4, 3), OX_INVALID,
             "wrong-sample");
    ck_fails(make(&t, NULL, target(OX_FLOAT, 4, 1, 5, 2, 2), 5, 4, 3), OX_INVALID, "wrong-sample");
    ck_fails(make(&t, NULL, target(OX_STRING, 4, 1, 3, 2, 2), 5, 4, 3), OX_INVALID, "wrong-sample");
    ck_fails(make(&t, NULL, target(OX_FLOAT, 2, 1, 7, 0, 0), 5, 4, 3), OX_INVALID, "wrong-sample");
}
END_TEST

START_TEST(placing_and_padding) {
    ox_tensor *t;
    /* 2 x 2 cut out of the middle of 4 x 4: its first pixel is (1,1) = 37 + 59 + 13 */
    ck_ok(make(&t, "scale=1,crop=2", target(OX_FLOAT, 4, 1, 1, 2, 2), 4, 4, 1));
    ck_assert(at(t, 0) == 109);
    ox_tensor_unref(t);
    /* a 2 x 2 picture in the middle of 4 x 4 */
    ck_ok(make(&t, "scale=1,crop=4,pad=9", target(OX_FLOAT, 4, 1, 1, 4, 4), 2, 2, 1));
    ck_assert(at(t, 0) == 9 && at(t, 4) == 9 && at(t, 5) == 0 && at(t, 6) == 37 && at(t, 15) == 9);
    ox_tensor_unref(t);
    /* 2 wide, 4 high, fitted into 4 x 4: as it is, in the upper left corner */
    ck_ok(make(&t, "scale=1,fit=4,pad=7", target(OX_FLOAT, 4, 1, 1, 4, 4), 2, 4, 1));
    ck_assert(at(t, 0) == 0 && at(t, 1) == 37 && at(t, 2) == 7 && at(t, 3) == 7 && at(t, 4) == 59);
    ox_tensor_unref(t);
}
END_TEST

START_TEST(specifications_that_are_wrong) {
    static const char *const bad[] = {
        "resize",         "resize=",        "resize=0",     "resize=70000",
        "resize=3x",      "resize=x3",      "resize=3x4x5", "resize=-3",
        "crop=2.5",       "mean=",          "mean=a",       "mean=1:",
        "mean=1:2:3:4:5", "mean=1e400",     "mean=nan",     "std=0",
        "std=1:0:1",      "scale=0",        "scale=1:2",    "pad=256",
        "pad=-1",         "layout=chw",     "colour=red",   "filter=cubic",
        "what=1",         "resize=3,fit=4", "=3",           "mean=0.1234567890123456"};
    struct ox_prep p;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_fails(ox_prep_parse(&p, front.ctx, bad[i]), OX_USAGE, "bad-preprocess");
    ck_ok(ox_prep_parse(
        &p, front.ctx,
        "mean=0.485:.456:-406,std=0.229,scale=255,color=gray,layout=nhwc,filter=lanczos,"));
    ck_assert(p.mean[0] == 0.485 && p.mean[1] == .456 && p.mean[2] == -406 && p.n_mean == 3);
    ck_assert(p.std[0] == 0.229 && p.n_std == 1 && p.scale == 255);
    ck_assert_int_eq(p.colour, OX_COLOUR_GREY);
    ck_assert_int_eq(p.filter, OX_FILTER_LANCZOS);
}
END_TEST

START_TEST(arrays_are_preprocessed) {
    struct ox_prep p;
    ox_tensor *a, *t;
    void *data;
    struct ox_prep_target in = target(OX_FLOAT, 4, 1, 1, 2, 3);
    ck_ok(ox_prep_parse(&p, front.ctx, "mean=83,std=2"));
    ck_ok(ox_prep_plan(&in, front.ctx, &p));
    ck_ok(ox_tensor_new(&a, &data, front.ctx, OX_INT8, 2, (int64_t[]){2, 3}));
    memcpy(data, "\x00\x01\x53\xff\x80\x7f", 6);
    ck_ok(ox_prep_array(&t, front.ctx, &p, &in, a, NULL)); /* numbers: not divided by 255 */
    ck_assert(at(t, 0) == -41.5f && at(t, 1) == -41 && at(t, 2) == 0 && at(t, 3) == -42 &&
              at(t, 4) == -105.5f && at(t, 5) == 22);
    ox_tensor_unref(t);
    ox_tensor_unref(a);
    in = target(OX_FLOAT, 4, 1, 3, 1, 2);
    ck_ok(ox_prep_parse(&p, front.ctx, "scale=1"));
    ck_ok(ox_prep_plan(&in, front.ctx, &p));
    ck_ok(ox_tensor_new(&a, &data, front.ctx, OX_UINT8, 3, (int64_t[]){1, 2, 3})); /* H, W, C */
    memcpy(data, "\1\2\3\4\5\6", 6);
    ck_ok(ox_prep_array(&t, front.ctx, &p, &in, a, NULL));
    ck_assert(at(t, 0) == 1 && at(t, 1) == 4 && at(t, 2) == 2 && at(t, 5) == 6);
    ox_tensor_unref(t);
    ox_tensor_unref(a);
    ck_ok(ox_tensor_new(&a, &data, front.ctx, OX_UINT8, 3, (int64_t[]){3, 1, 2})); /* C, H, W */
    memcpy(data, "\1\2\3\4\5\6", 6);
    ck_ok(ox_prep_array(&t, front.ctx, &p, &in, a, NULL));
    for (int i = 0; i < 6; i++)
        ck_assert(at(t, (size_t)i) == i + 1);
    ox_tensor_unref(t);
    ox_tensor_unref(a);
}
END_TEST

int main(void) {
    Suite *s = suite_create("image");
    TCase *t = tcase_create("image");
    const int n = sizeof samples / sizeof samples[0];
    tcase_add_checked_fixture(t, front_begin, front_end);
    tcase_add_loop_test(t, images_are_decoded_exactly, 0, n);
    tcase_add_loop_test(t, images_that_are_cut_off_are_refused, 0, n);
    tcase_add_loop_test(t, damaged_images_do_no_harm, 0, n);
    tcase_add_test(t, dimensions_are_limited);
    tcase_add_test(t, channels_are_converted);
    tcase_add_loop_test(t, scaling_is_exact, 0, (int)(sizeof scaled / sizeof scaled[0]));
    tcase_add_test(t, scaling_to_one_pixel_and_back);
    tcase_add_test(t, values_and_layouts);
    tcase_add_test(t, shapes_of_inputs);
    tcase_add_test(t, placing_and_padding);
    tcase_add_test(t, specifications_that_are_wrong);
    tcase_add_test(t, arrays_are_preprocessed);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
