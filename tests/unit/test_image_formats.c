/* tests/unit/test_image_formats.c - images other than PNG and JPEG: exact pixels, damaged and
 * hostile files. */
#include "ir/codec/image.h"
#include "tests/unit/file_harness.h"
#include "tests/unit/image_formats.h"

#include <stdlib.h>
#include <zlib.h>

enum { SAMPLES = sizeof format_samples / sizeof *format_samples };

START_TEST(formats_are_decoded_exactly) {
    const struct format_sample *s = &format_samples[_i];
    struct ox_image im;
    ck_assert_msg(ox_image_read(&im, front.ctx, s->data, s->size, NULL) == OX_OK, "%s: %s", s->name,
                  front.text);
    ck_assert_uint_eq(im.width, s->width);
    ck_assert_uint_eq(im.height, s->height);
    ck_assert_uint_eq(im.channels, s->channels);
    unsigned crc = (unsigned)crc32(0, im.pixels, (uInt)(im.width * im.height * im.channels));
    ck_assert_msg(crc == s->crc, "%s: 0x%08x", s->name, crc);
    ox_image_fini(&im, front.ctx);
}
END_TEST

/* Whatever is cut off, the reader ends, and what it takes it gives back. The first half of a file
 * is never an image. */
START_TEST(formats_that_are_cut_off_do_no_harm) {
    const struct format_sample *s = &format_samples[_i];
    for (unsigned n = 0; n < s->size; n++) {
        struct ox_image im;
        unsigned char *exact = malloc(n ? n : 1);
        memcpy(exact, s->data, n);
        ox_status status = ox_image_read(&im, front.ctx, exact, n, NULL);
        if (n < s->size / 2)
            ck_assert_msg(status == OX_INVALID, "%s: %u bytes are enough", s->name, n);
        if (status == OX_OK) ox_image_fini(&im, front.ctx);
        free(exact);
    }
}
END_TEST

START_TEST(damaged_formats_do_no_harm) {
    const struct format_sample *s = &format_samples[_i];
    unsigned char *bytes = malloc(s->size);
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) {
        struct ox_image im;
        memcpy(bytes, s->data, s->size);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1103515245u + 12345u;
            bytes[(seed >> 8) % (s->size < 120 ? s->size : 120)] ^=
                (unsigned char)(1u << (seed >> 28) % 8);
        }
        if (ox_image_read(&im, front.ctx, bytes, s->size, NULL) == OX_OK)
            ox_image_fini(&im, front.ctx);
    }
    free(bytes);
}
END_TEST

/* A few bytes that ask for a billion pixels are refused before anything is decoded. */
START_TEST(bombs_are_refused) {
    static const char ppm[] = "P6 60000 60000 255\n", pgm[] = "P5 99999999999 1 255\n",
                      zero[] = "P6 0 5 255\n";
    static const unsigned char bmp[] = {'B', 'M', 0, 0, 0, 0, 0, 0,    0, 0, 54, 0,    0, 0,
                                        40,  0,   0, 0, 0, 0, 0, 0x40, 0, 0, 0,  0x40, 1, 0,
                                        24,  0,   0, 0, 0, 0, 0, 0,    0, 0, 0,  0,    0, 0,
                                        0,   0,   0, 0, 0, 0, 0, 0,    0, 0, 0,  0,    0};
    struct ox_image im;
    ck_fails(ox_image_read(&im, front.ctx, ppm, sizeof ppm, NULL), OX_INVALID, "bad-image");
    ck_fails(ox_image_read(&im, front.ctx, pgm, sizeof pgm, NULL), OX_INVALID, "bad-image");
    ck_fails(ox_image_read(&im, front.ctx, zero, sizeof zero, NULL), OX_INVALID, "bad-image");
    ck_fails(ox_image_read(&im, front.ctx, bmp, sizeof bmp, NULL), OX_INVALID, "bad-image");
    ck_fails(ox_image_read(&im, front.ctx, "GIF89a", 6, NULL), OX_INVALID, "bad-image");
    ck_fails(ox_image_read(&im, front.ctx, NULL, 0, NULL), OX_INVALID, "bad-image");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("image_formats");
    TCase *t = tcase_create("formats");
    tcase_add_checked_fixture(t, front_begin, front_end);
    tcase_add_loop_test(t, formats_are_decoded_exactly, 0, SAMPLES);
    tcase_add_loop_test(t, formats_that_are_cut_off_do_no_harm, 0, SAMPLES);
    tcase_add_loop_test(t, damaged_formats_do_no_harm, 0, SAMPLES);
    tcase_add_test(t, bombs_are_refused);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
