/* tests/unit/test_blob_damage.c - blobs cut at every length, with every bit flipped, and with
 * fields edited and all hashes made right again: the first two are always refused, the last may do
 * anything but harm (which sanitizers watch). */
#include "backend/blob/blob.h"
#include "tests/unit/blob_harness.h"

#include <check.h>
#include <onnxopt/load.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static ox_ctx *ctx;
static double until; /* when long work is told to stop */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool on_progress(void *user, const char *what, size_t done, size_t total) {
    (void)user, (void)what, (void)done, (void)total;
    return now() < until;
}

static void setup(void) {
    struct ox_ctx_options o = {
        .size = sizeof o, .threads = 1, .on_progress = on_progress, .limits.max_memory = 64 << 20};
    until = 1e12;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

/* The model that comes along, which makes a blob of nearly 64 kB. */
static unsigned char *digits(size_t *size) {
    ox_model *m;
    unsigned char *data;
    ck_assert_int_eq(
        ox_model_load(&m, ctx, OX_SOURCE_DIR "/tests/data/digits/digits_cnn.onnx", NULL), OX_OK);
    blob_build(&data, size, m);
    ox_model_free(m);
    return data;
}

START_TEST(every_truncation_is_refused) {
    size_t size;
    unsigned char *data = digits(&size);
    ck_assert_int_eq(blob_try(ctx, data, size), OX_OK);
    for (size_t n = 0; n < size; n++) {
        unsigned char *cut; /* its own block, so that a sanitizer sees reads beyond it */
        if (n > 4096 && n % 7) continue;
        ck_assert_int_eq(ox_alloc_raw(ctx, &cut, n, 1), OX_OK);
        memcpy(cut, data, n);
        ck_assert_msg(blob_try(ctx, cut, n) == OX_INVALID,
                      "the first %zu bytes are taken for a blob", n);
        ox_free(ctx, cut);
    }
    ox_native_free(ctx, data);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed) {
    size_t size, tried = 0;
    unsigned char *data = digits(&size);
    double end = now() + 20;
    /* In an order that covers all regions, should time run out in an instrumented build: steps of a
     * prime, coprime to the number of bits. */
    for (size_t i = 0, bit = 0; i < 8 * size && now() < end; i++, tried++) {
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_msg(blob_try(ctx, data, size) != OX_OK, "bit %zu flipped, and nobody notices",
                      bit);
        data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        bit = (bit + 100003) % (8 * size);
    }
    printf("%zu of %zu bits\n", tried, 8 * size);
    ck_assert_int_eq(blob_try(ctx, data, size), OX_OK);
    ox_native_free(ctx, data);
}
END_TEST

static uint64_t edited(uint64_t v, unsigned how, uint64_t size) {
    const uint64_t values[] = {0,          1,          v - 1,        v + 1,
                               size,       size + 1,   v ^ 1u << 31, v * 2,
                               0x7fffffff, 0xffffffff, v + 0x10000,  (uint64_t)1 << 63,
                               UINT64_MAX};
    return values[how];
}
enum { EDITS = 13 };

/* Every 4 and 8 bytes of header, table and sections but the weights; and of these, the first ones
 * of each constant. */
static void edit_everywhere(unsigned char *good, size_t size, double seconds) {
    const struct ox_blob_section *table = (const void *)(good + sizeof(struct ox_blob_header));
    size_t body = (size_t)table[OX_BLOB_DATA - 1].offset,
           n = (body + 256 < size ? body + 256 : size) / 4, accepted = 0, tried = 0;
    unsigned char *data;
    double end = now() + seconds;
    ck_assert_int_eq(ox_alloc_raw(ctx, &data, size, 1), OX_OK);
    size_t stride = 7919 % n ? 7919 : 7927;
    for (size_t i = 0, at = 0; i < n && now() < end; i++, at = (at + stride) % n) {
        for (unsigned how = 0; how < EDITS; how++) {
            uint64_t v = 0;
            size_t width = how >= EDITS - 2 && (at + 2) * 4 <= size ? 8 : 4;
            memcpy(data, good, size);
            memcpy(&v, data + 4 * at, width);
            v = edited(v, how, size);
            memcpy(data + 4 * at, &v, width);
            blob_seal(data, size);
            until = now() + 0.2;
            accepted += blob_try(ctx, data, size) == OX_OK;
            until = 1e12;
            tried++;
        }
    }
    printf("%zu edits, %zu of them still a program\n", tried, accepted);
    ck_assert_uint_gt(
        accepted,
        0); /* names, metadata and numbers may change: what is behind the hashes is reached */
    ox_free(ctx, data);
}

START_TEST(edited_fields_do_no_harm) {
    struct ox_model *m = blob_model(ctx, blob_texts[_i]);
    unsigned char *data;
    size_t size;
    blob_build(&data, &size, m);
    edit_everywhere(data, size, 6);
    ox_native_free(ctx, data);
    ox_model_free(m);
}
END_TEST

START_TEST(sections_cut_and_swapped_do_no_harm) {
    size_t size;
    unsigned char *good = digits(&size), *data;
    ck_assert_int_eq(ox_alloc_raw(ctx, &data, size, 1), OX_OK);
    for (size_t i = 0; i < OX_BLOB_N_PLAIN; i++) {
        for (size_t k = 0; k < OX_BLOB_N_PLAIN; k++) {
            memcpy(data, good, size);
            struct ox_blob_section *table = (void *)(data + sizeof(struct ox_blob_header)),
                                   former = table[i];
            if (i == k) {
                table[i].offset++; /* misaligned */
            } else {
                table[i].offset = table[k].offset; /* overlapping, then swapped */
                table[i].size = table[k].size;
                blob_seal(data, size);
                ck_assert_int_ne(blob_try(ctx, data, size), OX_OK);
                table[k].offset = former.offset;
                table[k].size = former.size;
            }
            blob_seal(data, size);
            ck_assert_int_ne(blob_try(ctx, data, size), OX_OK);
        }
    }
    ox_free(ctx, data);
    ox_native_free(ctx, good);
}
END_TEST

int main(void) {
    Suite *s = suite_create("blob damage");
    TCase *t = tcase_create("damage");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_truncation_is_refused);
    tcase_add_test(t, every_flipped_bit_is_noticed);
    tcase_add_loop_test(t, edited_fields_do_no_harm, 0, 5);
    tcase_add_test(t, sections_cut_and_swapped_do_no_harm);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
