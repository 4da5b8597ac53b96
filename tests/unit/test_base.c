/* tests/unit/test_base.c - context, memory, names, bytes, tensors and work sharing. */
#include "ir/base/bytes.h"
#include "ir/base/name.h"
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct seen {
    int count;
    char id[64], text[700], node[256];
};

static void on_diag(void *user, const struct ox_diag *d) {
    struct seen *s = user;
    s->count++;
    snprintf(s->id, sizeof s->id, "%s", d->id);
    snprintf(s->text, sizeof s->text, "%s", d->text);
    snprintf(s->node, sizeof s->node, "%s", d->node ? d->node : "");
}

static ox_ctx *new_ctx(struct seen *seen, int threads, size_t max_memory) {
    struct ox_ctx_options o = {.size = sizeof o,
                               .on_diag = on_diag,
                               .diag_user = seen,
                               .threads = threads,
                               .limits.max_memory = max_memory};
    ox_ctx *ctx;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    return ctx;
}

START_TEST(diagnostics_are_escaped_cut_and_placed) {
    struct seen seen = {0};
    ox_ctx *ctx = new_ctx(&seen, 1, 0);
    char name[2000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    memcpy(name, "a\nb\x1b", 4);
    struct ox_place place = {.node = name};
    const struct ox_place *former = ox_place_set(ctx, &place);
    ck_assert_ptr_null(former);
    ck_assert_int_eq(ox_fail(ctx, OX_INVALID, "some-id", NULL, "%s", name), OX_INVALID);
    ck_assert_str_eq(seen.id, "some-id");
    ck_assert_int_eq(strncmp(seen.text, "a\\x0ab\\x1bxxx", 12), 0);
    ck_assert_uint_lt(strlen(seen.text), 601);
    ck_assert_uint_lt(strlen(seen.node), 204);
    ck_assert_str_eq(seen.text + strlen(seen.text) - 3, "...");
    ox_mute(ctx, true);
    (void)ox_fail(ctx, OX_INVALID, "muted", NULL, "x");
    ox_mute(ctx, false);
    ck_assert_int_eq(seen.count, 1);
    ck_assert_uint_eq(ox_ctx_errors(ctx), 1);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(memory_is_counted_and_bounded) {
    struct seen seen = {0};
    ox_ctx *ctx = new_ctx(&seen, 1, 1000);
    char *p, *q;
    ck_assert_int_eq(ox_alloc(ctx, &p, 100, 6), OX_OK);
    ck_assert_uint_eq((uintptr_t)p % 64, 0);
    for (int i = 0; i < 600; i++)
        ck_assert_int_eq(p[i], 0);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 600);
    ck_assert_int_eq(ox_alloc(ctx, &q, 100, 6), OX_NOMEM);
    ck_assert_str_eq(seen.id, "out-of-memory");
    ck_assert_int_eq(ox_alloc(ctx, &q, SIZE_MAX / 2, 3), OX_NOMEM);
    memset(p, 7, 600);
    ox_free(ctx, p);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ck_assert_uint_eq(ox_ctx_memory_peak(ctx), 600);
    size_t cap = 0, n = 0;
    int *v = NULL;
    for (; n < 50; n++) {
        ck_assert_int_eq(OX_GROW(ctx, v, n, cap), OX_OK);
        v[n] = (int)n;
    }
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(v[i], i);
    ox_free(ctx, v);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(names_are_interned) {
    struct seen seen = {0};
    ox_ctx *ctx = new_ctx(&seen, 1, 0);
    struct ox_names names;
    ox_names_init(&names, ctx);
    ox_name first[1000], n;
    for (int i = 0; i < 1000; i++) {
        char t[20];
        int len = snprintf(t, sizeof t, "name_%d", i);
        ck_assert_ptr_null(ox_name_find(&names, t, (size_t)len));
        ck_assert_int_eq(ox_name_get(&first[i], &names, t, (size_t)len), OX_OK);
        ck_assert_str_eq(first[i]->text, t);
    }
    for (int i = 0; i < 1000; i++) {
        char t[20];
        int len = snprintf(t, sizeof t, "name_%d", i);
        ck_assert_int_eq(ox_name_get(&n, &names, t, (size_t)len), OX_OK);
        ck_assert_ptr_eq(n, first[i]);
    }
    ck_assert_int_eq(ox_name_get(&n, &names, "", 0), OX_OK);
    ck_assert_str_eq(ox_name_text(n), "");
    ck_assert_int_eq(ox_name_get(&n, &names, "a\0b", 3), OX_INVALID);
    ox_names_fini(&names);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(shapes_are_checked_before_multiplying) {
    size_t count, bytes;
    ck_assert(!ox_shape_size(&count, &bytes, OX_FLOAT, 0, NULL));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(bytes, 4);
    ck_assert(!ox_shape_size(&count, &bytes, OX_FLOAT, 3, (int64_t[]){0, INT64_MAX, INT64_MAX}));
    ck_assert_uint_eq(count, 0);
    ck_assert(ox_shape_size(&count, &bytes, OX_FLOAT, 2, (int64_t[]){-4, -3}));
    ck_assert(ox_shape_size(&count, &bytes, OX_FLOAT, 2, (int64_t[]){0, -1}));
    ck_assert(ox_shape_size(&count, &bytes, OX_FLOAT, 2,
                            (int64_t[]){(int64_t)1 << 32, (int64_t)1 << 32}));
    ck_assert(ox_shape_size(&count, &bytes, OX_FLOAT, 65, NULL));
    ck_assert(!ox_shape_size(&count, &bytes, OX_INT4, 1, (int64_t[]){5}));
    ck_assert_uint_eq(bytes, 3);
}
END_TEST

START_TEST(tensors_share_bytes) {
    struct seen seen = {0};
    ox_ctx *ctx = new_ctx(&seen, 1, 0);
    ox_tensor *t, *u, *v;
    float data[6] = {1, 2, 3, 4, 5, 6};
    ck_assert_int_eq(ox_tensor_copy(&t, ctx, OX_FLOAT, 2, (int64_t[]){2, 3}, data, sizeof data),
                     OX_OK);
    ck_assert_int_eq(ox_tensor_copy(&u, ctx, OX_FLOAT, 2, (int64_t[]){2, 3}, data, 20), OX_INVALID);
    ck_assert_int_eq(ox_tensor_reshape(&u, ctx, t, 1, (int64_t[]){6}), OX_OK);
    ck_assert_ptr_eq(u->data, t->data);
    ck_assert(!ox_tensor_equal(t, u));
    size_t offset;
    struct ox_bytes *bytes = ox_tensor_bytes(t, &offset);
    ck_assert_int_eq(ox_tensor_slice(&v, ctx, OX_FLOAT, 1, (int64_t[]){2}, bytes, 20, 8),
                     OX_INVALID);
    ck_assert_int_eq(ox_tensor_slice(&v, ctx, OX_UINT8, 1, (int64_t[]){5}, bytes, 1, 5), OX_OK);
    ox_tensor_unref(t);
    ox_tensor_unref(u);
    ck_assert_int_eq(memcmp(v->data, (char *)data + 1, 5), 0);
    ox_tensor_unref(v);
    struct ox_str s[2] = {{"ab", 2}, {"", 0}};
    ck_assert_int_eq(ox_tensor_copy(&t, ctx, OX_STRING, 1, (int64_t[]){2}, s, sizeof s), OX_OK);
    ck_assert_int_eq(ox_tensor_strings(&u, ctx, 1, (int64_t[]){2}, s), OX_OK);
    ck_assert(ox_tensor_equal(t, u));
    ox_tensor_unref(t);
    ox_tensor_unref(u);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(mapped_slices_outlive_the_file_handle) {
    struct seen seen = {0};
    ox_ctx *ctx = new_ctx(&seen, 1, 0);
    char path[] = "/tmp/ox_test_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    char block[10000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)i;
    ck_assert_int_eq(write(fd, block, sizeof block), (int)sizeof block);
    struct ox_bytes *b;
    ck_assert_int_eq(ox_bytes_map(&b, ctx, fd, sizeof block, path), OX_OK);
    close(fd);
    unlink(path);
    ox_tensor *t, *a;
    ck_assert_int_eq(ox_tensor_slice(&t, ctx, OX_INT32, 1, (int64_t[]){2000}, b, 1, 8000), OX_OK);
    ox_bytes_unref(b);
    ck_assert_int_eq(ox_tensor_aligned(&a, ctx, t), OX_OK);
    ck_assert_ptr_ne(a->data, t->data);
    ck_assert_int_eq(memcmp(a->data, block + 1, 8000), 0);
    ox_tensor_unref(a);
    ox_tensor_unref(t);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}
END_TEST

START_TEST(half_floats_round_trip_and_round) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = ox_half_to_float((uint16_t)h);
        if (isnan(f))
            ck_assert(isnan(ox_half_to_float(ox_float_to_half(f))));
        else
            ck_assert_uint_eq(ox_float_to_half(f), h);
    }
    /* Halfway cases go to even; one binary32 ulp to either side decides. */
    for (uint32_t h = 0; h < 0x7bff; h++) {
        double mid =
            ((double)ox_half_to_float((uint16_t)h) + (double)ox_half_to_float((uint16_t)(h + 1))) /
            2;
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        ck_assert_uint_eq(ox_float_to_half((float)mid), even);
        ck_assert_uint_eq(ox_float_to_half(nextafterf((float)mid, 0)), h);
        ck_assert_uint_eq(ox_float_to_half(nextafterf((float)mid, 1e9f)), h + 1);
    }
    ck_assert_uint_eq(ox_float_to_half(65519.99f), 0x7bff);
    ck_assert_uint_eq(ox_float_to_half(65520.0f), 0x7c00);
    ck_assert_uint_eq(ox_float_to_bfloat16(1.00390625f), 0x3f80);
    ck_assert_uint_eq(ox_float_to_bfloat16(1.01171875f), 0x3f82);
}
END_TEST

START_TEST(narrow_integers_pack_low_bits_first) {
    unsigned char bytes[5] = {1, 0xf8, 7, 0xff, 3}, packed[3], back[5];
    ox_pack_bits(packed, bytes, 5, OX_INT4);
    ck_assert_uint_eq(packed[0], 0x81);
    ck_assert_uint_eq(packed[1], 0xf7);
    ck_assert_uint_eq(packed[2], 0x03);
    ox_unpack_bits(back, packed, 5, OX_INT4);
    ck_assert_int_eq(memcmp(bytes, back, 5), 0);
}
END_TEST

static void square(void *arg, size_t begin, size_t end) {
    double *v = arg;
    for (size_t i = begin; i < end; i++)
        v[i] += (double)i * (double)i;
}

START_TEST(parallel_covers_each_item_once) {
    for (int threads = 1; threads <= 5; threads++) {
        struct seen seen = {0};
        ox_ctx *ctx = new_ctx(&seen, threads, 0);
        for (size_t n = 0; n < 3000; n = n * 3 + 1) {
            double *v = calloc(n + 1, sizeof *v);
            ox_parallel(ctx, n, n % 7, square, v);
            for (size_t i = 0; i < n; i++)
                ck_assert_double_eq(v[i], (double)i * (double)i);
            free(v);
        }
        ox_ctx_free(ctx);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("base");
    TCase *t = tcase_create("base");
    tcase_add_test(t, diagnostics_are_escaped_cut_and_placed);
    tcase_add_test(t, memory_is_counted_and_bounded);
    tcase_add_test(t, names_are_interned);
    tcase_add_test(t, shapes_are_checked_before_multiplying);
    tcase_add_test(t, tensors_share_bytes);
    tcase_add_test(t, mapped_slices_outlive_the_file_handle);
    tcase_add_test(t, half_floats_round_trip_and_round);
    tcase_add_test(t, narrow_integers_pack_low_bits_first);
    tcase_add_test(t, parallel_covers_each_item_once);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
