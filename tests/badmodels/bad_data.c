/* bad_data.c - calibration data: arrays for the model of c_linear (X float[1,4]), images for that
 * of c_image (float[1,3,4,4]). */
#include "tests/badmodels/badmodels.h"

#include <string.h>
#include <zlib.h>

static void npy(struct bad_dir *d, const char *dict, const void *data, size_t size) {
    struct pb b = {0};
    size_t n = strlen(dict);
    unsigned char len[2] = {(unsigned char)n, (unsigned char)(n >> 8)};
    pb_raw(&b, "\x93NUMPY\1\0", 8);
    pb_raw(&b, len, 2);
    pb_raw(&b, dict, n);
    pb_raw(&b, data, size);
    bad_write(d, "data.npy", &b);
}

static const float four[4] = {1, 2, 3, 4};

static void n_ok(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }\n", four, 16);
}

static void n_shape_huge(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n", four, 16);
}

static void n_shape_wraps(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4, 1), }\n",
        four, 0);
}

static void n_hlen_4g(struct bad_dir *d) {
    struct pb b = {0};
    pb_raw(&b, "\x93NUMPY\2\0\xff\xff\xff\xff{", 13);
    bad_write(d, "data.npy", &b);
}

static void n_object(struct bad_dir *d) {
    npy(d, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        "\x80\3cos\nsystem\nX\4\0\0\0true\x85R.", 25);
}

static void n_expression(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (2**40,), }\n", four, 16);
}

static void n_parentheses(struct bad_dir *d) {
    char dict[9000] = "{'descr': '<f4', 'fortran_order': False, 'shape': ";
    size_t n = strlen(dict);
    memset(dict + n, '(', sizeof dict - n - 1);
    npy(d, dict, four, 16);
}

static void n_truncated(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }\n", four, 15);
}

static void n_wrong_shape(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n", four, 8);
}

static void n_wrong_type(struct bad_dir *d) {
    npy(d, "{'descr': '<i4', 'fortran_order': False, 'shape': (1, 4), }\n", four, 16);
}

static void n_empty(struct bad_dir *d) {
    npy(d, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }\n", four, 0);
}

/* ---- images ---------------------------------------------------------------------------------- */

static void big(struct pb *b, uint32_t v) {
    unsigned char c[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                          (unsigned char)(v >> 8), (unsigned char)v};
    pb_raw(b, c, 4);
}

static void chunk(struct pb *b, const char *type, const void *data, size_t n, uint32_t wrong) {
    struct pb c = {0};
    pb_raw(&c, type, 4);
    pb_raw(&c, data, n);
    big(b, (uint32_t)n);
    pb_raw(b, c.data, c.len);
    big(b, (uint32_t)crc32(0, c.data, (uInt)c.len) + wrong);
    pb_free(&c);
}

/* A PNG that declares these dimensions and holds `n` compressed zero bytes; wrong is added to the
 * header's checksum. */
static void png(struct bad_dir *d, uint32_t width, uint32_t height, size_t n, uint32_t wrong) {
    struct pb b = {0}, head = {0}, pixels = {0};
    static unsigned char out[1 << 20];
    static const unsigned char zeros[1 << 16];
    uLongf packed = sizeof out;
    for (size_t at = 0; at < n; at += sizeof zeros)
        pb_raw(&pixels, zeros, n - at < sizeof zeros ? n - at : sizeof zeros);
    compress2(out, &packed, pixels.data ? pixels.data : zeros, n, 9);
    pb_free(&pixels);
    big(&head, width);
    big(&head, height);
    pb_raw(&head, "\x08\x02\0\0\0", 5);
    pb_raw(&b, "\x89PNG\r\n\x1a\n", 8);
    chunk(&b, "IHDR", head.data, head.len, wrong);
    chunk(&b, "IDAT", out, packed, 0);
    chunk(&b, "IEND", "", 0, 0);
    pb_free(&head);
    bad_write(d, "data.png", &b);
}

static void i_png_ok(struct bad_dir *d) {
    png(d, 4, 4, 4 * 13, 0);
}

static void i_png_bomb(struct bad_dir *d) {
    png(d, 65535, 65535, 1000, 0);
}

static void i_png_bomb_filled(struct bad_dir *d) {
    png(d, 30000, 30000, 64 << 20, 0); /* 2.7 GB decoded, 64 MB of it there */
}

static void i_png_bad_crc(struct bad_dir *d) {
    png(d, 4, 4, 4 * 13, 1);
}

static void i_png_short(struct bad_dir *d) {
    png(d, 4, 4, 20, 0);
}

static void i_png_zero(struct bad_dir *d) {
    png(d, 0, 4, 20, 0);
}

static void i_jpg_bomb(struct bad_dir *d) {
    /* a header of 65500 x 65500 in three components, and no data */
    static const unsigned char bytes[] = {
        0xff, 0xd8, 0xff, 0xc2, 0, 17, 8, 0xff, 0xdc, 0xff, 0xdc, 3, 1, 0x22, 0, 2, 0x11, 0,   3,
        0x11, 0,    0xff, 0xda, 0, 12, 3, 1,    0,    2,    0,    3, 0, 0,    0, 0, 0xff, 0xd9};
    struct pb b = {0};
    pb_raw(&b, bytes, sizeof bytes);
    bad_write(d, "data.jpg", &b);
}

#define DATA_CASE(name, file, kind, expected, note)                                                \
    { #name, file, kind, expected, note, name }

static const struct bad_case cases[] = {
    DATA_CASE(n_ok, "data.npy", "npy", ACCEPT, "a float array [1,4]"),
    DATA_CASE(n_shape_huge, "data.npy", "npy", REJECT, "2^40 elements, 16 bytes"),
    DATA_CASE(n_shape_wraps, "data.npy", "npy", REJECT, "2^64 elements, no bytes"),
    DATA_CASE(n_hlen_4g, "data.npy", "npy", REJECT, "a header of 4 GiB"),
    DATA_CASE(n_object, "data.npy", "npy", REJECT, "a pickled object"),
    DATA_CASE(n_expression, "data.npy", "npy", REJECT, "an expression in the header"),
    DATA_CASE(n_parentheses, "data.npy", "npy", REJECT, "9,000 parentheses"),
    DATA_CASE(n_truncated, "data.npy", "npy", REJECT, "15 bytes of 16"),
    DATA_CASE(n_wrong_shape, "data.npy", "npy", REJECT, "an array [1,2]"),
    DATA_CASE(n_wrong_type, "data.npy", "npy", REJECT, "an array of int32"),
    DATA_CASE(n_empty, "data.npy", "npy", REJECT, "no samples"),
    DATA_CASE(i_png_ok, "data.png", "png", CLEAN, "4 x 4 pixels"),
    DATA_CASE(i_png_bomb, "data.png", "png", BOUND(512, 10), "65535 x 65535 pixels, 1 KB"),
    DATA_CASE(i_png_bomb_filled, "data.png", "png", BOUND(512, 10), "30000 x 30000 pixels, 64 KB"),
    DATA_CASE(i_png_bad_crc, "data.png", "png", REJECT, "a wrong checksum of the header"),
    DATA_CASE(i_png_short, "data.png", "png", REJECT, "20 bytes of pixels of 52"),
    DATA_CASE(i_png_zero, "data.png", "png", REJECT, "no width"),
    DATA_CASE(i_jpg_bomb, "data.jpg", "png", BOUND(512, 10),
              "65500 x 65500 pixels, progressive, no data"),
};
const struct bad_list bad_data_cases = {cases, sizeof cases / sizeof cases[0]};
