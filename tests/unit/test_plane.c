/* tests/unit/test_plane.c - backend/runtime/plane.h on all small shapes, whole and in ranges: every
 * element where it belongs, nothing else written. */
#include "backend/runtime/plane.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint32_t value(size_t r, size_t c) {
    return (uint32_t)(r * 2654435761u + c * 40503u + 17);
}

static void fill(unsigned char *in, size_t size, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) {
            const uint32_t v = value(r, c);
            memcpy(in + (r * cols + c) * size, &v, size);
        }
}

static void check_range(const unsigned char *in, unsigned char *out, size_t size, size_t rows,
                        size_t cols, size_t first, size_t last) {
    memset(out, 0xee, (rows * cols + 1) * size);
    oxr_plane_turn(out, in, size, rows, cols, first, last);
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < rows; r++) {
            uint32_t want = c < first || c >= last ? 0xeeeeeeee : value(r, c);
            ck_assert_msg(memcmp(out + (c * rows + r) * size, &want, size) == 0,
                          "%zu x %zu of %zu bytes, columns %zu to %zu: at %zu, %zu", rows, cols,
                          size, first, last, r, c);
        }
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(out[rows * cols * size + i], 0xee);
}

START_TEST(turns) {
    static const size_t extents[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 19, 32, 33, 50};
    const size_t n = sizeof extents / sizeof *extents, size = _i ? 4 : 1;
    unsigned char *in = malloc(50 * 50 * size), *out = malloc((50 * 50 + 1) * size);
    ck_assert(in && out);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            const size_t rows = extents[i], cols = extents[j];
            fill(in, size, rows, cols);
            check_range(in, out, size, rows, cols, 0, cols);
            check_range(in, out, size, rows, cols, cols / 3, cols);
            check_range(in, out, size, rows, cols, cols / 4, cols / 4 + cols / 2);
        }
    free(in);
    free(out);
}
END_TEST

int main(void) {
    Suite *s = suite_create("plane");
    TCase *t = tcase_create("turns");
    tcase_add_loop_test(t, turns, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
