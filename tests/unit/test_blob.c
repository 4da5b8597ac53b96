/* tests/unit/test_blob.c - the native format: what is written, and that nothing damaged or
 * malicious is believed.
 *
 * The exhaustive part of damage stands in test_blob_damage.c. */
#include "backend/blob/blob_check.h"
#include "backend/runtime/program_priv.h"
#include "tests/unit/blob_harness.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char last_id[64];

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    snprintf(last_id, sizeof last_id, "%s", d->id);
}

static ox_ctx *ctx;

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    last_id[0] = 0;
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
}

static void teardown(void) {
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

/* Outputs of the model on the reference executor and of its blob, on the same inputs. */
static void compare(const char *text) {
    struct ox_model *m = blob_model(ctx, text);
    unsigned char *data;
    size_t size, n_in = ox_model_inputs(m), n_out = ox_model_outputs(m);
    oxr_program *program;
    oxr_session *native;
    ox_session *reference;
    ox_tensor *in[8] = {0}, *a[8] = {0}, *b[8] = {0};
    struct ox_port port;
    blob_build(&data, &size, m);
    ck_assert_int_eq(oxr_program_open_memory(&program, ctx, data, size, NULL), OX_OK);
    ck_assert_uint_eq(oxr_inputs(program), n_in);
    ck_assert_uint_eq(oxr_outputs(program), n_out);
    for (size_t i = 0; i < n_in; i++) {
        struct ox_port here;
        ck_assert_int_eq(ox_model_input(&port, m, i), OX_OK);
        ck_assert(oxr_input(&here, program, i));
        ck_assert_str_eq(port.name, here.name);
        ck_assert_str_eq(port.type_text, here.type_text);
        for (int d = 0; d < port.rank; d++) {
            ck_assert_int_eq(port.dims[d], here.dims[d]);
            ck_assert((port.symbols[d] == NULL) == (here.symbols[d] == NULL));
        }
        if (!oxr_input_has_default(program, i)) in[i] = blob_input(ctx, &port, i + 1);
    }
    ck_assert_int_eq(ox_session_new(&reference, m), OX_OK);
    ck_assert_int_eq(oxr_session_new(&native, ctx, program, NULL), OX_OK);
    ck_assert_int_eq(ox_session_run(reference, (const ox_tensor *const *)in, a), OX_OK);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(oxr_call(native, (const ox_tensor *const *)in, b), OX_OK);
        for (size_t i = 0; i < n_out; i++) {
            ck_assert_int_eq(a[i]->dtype, b[i]->dtype);
            ck_assert_uint_eq(a[i]->count, b[i]->count);
            for (size_t k = 0; a[i]->dtype == OX_FLOAT && k < a[i]->count; k++)
                ck_assert_double_eq_tol((double)((const float *)a[i]->data)[k],
                                        (double)((const float *)b[i]->data)[k], 1e-4);
            if (a[i]->dtype != OX_FLOAT) ck_assert(ox_tensor_equal(a[i], b[i]));
            ox_tensor_unref(b[i]);
        }
    }
    for (size_t i = 0; i < n_in; i++)
        ox_tensor_unref(in[i]);
    for (size_t i = 0; i < n_out; i++)
        ox_tensor_unref(a[i]);
    ox_session_free(reference);
    oxr_session_free(native);
    oxr_program_free(program);
    ox_native_free(ctx, data);
    ox_model_free(m);
}

START_TEST(blobs_give_what_models_give) {
    compare(blob_texts[_i]);
}
END_TEST

START_TEST(same_model_same_bytes) {
    for (size_t i = 0; blob_texts[i]; i++) {
        struct ox_model *m = blob_model(ctx, blob_texts[i]),
                        *again = blob_model(ctx, blob_texts[i]);
        unsigned char *a, *b;
        size_t size_a, size_b;
        blob_build(&a, &size_a, m);
        blob_build(&b, &size_b, again);
        ck_assert_uint_eq(size_a, size_b);
        ck_assert_mem_eq(a, b, size_a);
        ox_native_free(ctx, a);
        ox_native_free(ctx, b);
        ox_model_free(m);
        ox_model_free(again);
    }
}
END_TEST

#define HEAD "<ir_version: 8, opset_import: [\"\" : 21]> g "

START_TEST(equal_constants_are_stored_once_and_aligned) {
    struct ox_model *m = blob_model(
        ctx, HEAD "(float[3] x) => (float[3] y, float[1,3] z, int4[5] p) <float[3] a = {1,2,3}, "
                  "float[3] b = {1,2,3}, float[1,3] c = {1,2,3}, int4[5] packed = {1,2,3,4,5}> "
                  "{ s = Mod <fmod = 1> (x, a)  y = Mod <fmod = 1> (s, b)  z = Mod <fmod = 1> (y, "
                  "c)  p = Identity(packed) }");
    unsigned char *data;
    size_t size;
    struct ox_blob b;
    blob_build(&data, &size, m);
    ck_assert_int_eq(ox_blob_open(&b, ctx, data, size, NULL, true), OX_OK);
    ck_assert_int_eq(ox_blob_check(ctx, &b, NULL), OX_OK);
    ck_assert_uint_eq(
        b.n_consts, 3); /* a and b are one; c is the same bytes in another shape; p stays packed */
    ck_assert_uint_eq(b.info->weight_bytes, 12 + 3);
    for (size_t i = 0; i < b.n_consts; i++)
        ck_assert_uint_eq((b.data - data + b.consts[i].at) % OX_BLOB_ALIGN, 0);
    ck_assert_uint_eq(b.n_data, OX_BLOB_ALIGN + 12 + OX_BLOB_SLACK);
    ox_native_free(ctx, data);
    ox_model_free(m);
}
END_TEST

START_TEST(nothing_unwanted_is_emitted) {
    struct ox_model *m = blob_model(
        ctx,
        HEAD "(float[3] x) => (float[3] y) { dead = Exp(x)  deader = Log(dead)  y = Cosh(x) }");
    unsigned char *data;
    size_t size;
    struct ox_blob b;
    blob_build(&data, &size, m);
    ck_assert_int_eq(ox_blob_open(&b, ctx, data, size, NULL, true), OX_OK);
    ck_assert_uint_eq(b.n_steps, 1);
    ck_assert_uint_eq(b.info->n_slots, 2);
    ox_native_free(ctx, data);
    ox_model_free(m);
}
END_TEST

START_TEST(what_cannot_run_does_not_compile) {
    struct ox_model *m =
        blob_model(ctx, "<ir_version: 8, opset_import: [\"\" : 17, \"com.evil\" : 1]> g (float[3] "
                        "x) => (float[3] y) { y = com.evil.Pwn(x) }");
    void *data;
    size_t size;
    ck_assert_int_eq(ox_native_build(&data, &size, m), OX_UNSUPPORTED);
    ck_assert_str_eq(last_id, "cannot-run");
    ox_model_free(m);
}
END_TEST

START_TEST(files_open_mapped_and_copied) {
    char path[] = "/tmp/ox_blob_XXXXXX";
    int fd = mkstemp(path);
    struct ox_model *m = blob_model(ctx, blob_texts[0]);
    struct oxr_program_stats stats;
    uint64_t bytes;
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(ox_native_save(m, path, &bytes), OX_OK);
    for (int i = 0; i < 4; i++) {
        struct oxr_open_options o = {
            .size = sizeof o, .private_copy = i & 1, .trust_weights = i & 2};
        oxr_program *program;
        const char *key, *value;
        ck_assert_int_eq(oxr_program_open(&program, ctx, path, &o), OX_OK);
        oxr_program_stats(&stats, program);
        ck_assert_uint_eq(stats.file_bytes, bytes);
        ck_assert_str_eq(stats.name, "net");
        ck_assert(oxr_metadata(&key, &value, program, 0) && strcmp(key, ".producer") == 0 &&
                  strcmp(value, "test") == 0);
        ck_assert(oxr_metadata(&key, &value, program, 1) && strcmp(key, "key") == 0 &&
                  strcmp(value, "value") == 0);
        ck_assert(!oxr_metadata(&key, &value, program, 2));
        oxr_program_free(program);
    }
    unlink(path);
    oxr_program *none;
    ck_assert_int_eq(oxr_program_open(&none, ctx, path, NULL), OX_IO);
    ck_assert_int_eq(oxr_program_open(&none, ctx, "/dev/null", NULL), OX_IO);
    ox_model_free(m);
}
END_TEST

/* What a reader must refuse although all hashes are right. */
static void refuse(unsigned char *data, size_t size, const char *what) {
    blob_seal(data, size);
    ck_assert_msg(blob_try(ctx, data, size) != OX_OK, "%s was accepted", what);
}

START_TEST(lies_with_right_hashes_are_refused) {
    struct ox_model *m = blob_model(ctx, blob_texts[1]);
    unsigned char *good, *data;
    size_t size;
    struct ox_blob b;
    blob_build(&good, &size, m);
    ck_assert_int_eq(ox_alloc_raw(ctx, &data, size, 1), OX_OK);
    ck_assert_int_eq(ox_blob_open(&b, ctx, data, size, NULL, true),
                     OX_INVALID); /* nothing there yet */
#define LIE(what, ...)                                                                             \
    do {                                                                                           \
        memcpy(data, good, size);                                                                  \
        ck_assert_int_eq(ox_blob_open(&b, ctx, data, size, NULL, true), OX_OK);                    \
        struct ox_blob_step *steps = (void *)(uintptr_t)b.steps;                                   \
        struct ox_blob_frame *frames = (void *)(uintptr_t)b.frames;                                \
        struct ox_blob_attr *attrs = (void *)(uintptr_t)b.attrs;                                   \
        struct ox_blob_header *head = (void *)data;                                                \
        uint32_t *refs = (void *)(uintptr_t)b.refs;                                                \
        (void)steps, (void)frames, (void)attrs, (void)head, (void)refs;                            \
        __VA_ARGS__;                                                                               \
        refuse(data, size, what);                                                                  \
    } while (0)
    LIE("a newer version", head->version++);
    LIE("an unknown feature", head->flags = 1);
    LIE("an operand that is not defined yet", refs[steps[0].in] = refs[steps[1].out]);
    LIE("a slot of a graph inside", refs[frames[0].out] = frames[1].slot);
    LIE("a slot defined twice", refs[steps[1].out] = refs[steps[0].out]);
    size_t plain = 0;
    while (b.steps[plain].kind != OX_BLOB_GENERIC)
        plain++;
    LIE("an operator without kernel", steps[plain].op = 0);
    LIE("an unknown kind of step", steps[plain].kind = 9999);
    LIE("an opset before the operator", steps[plain].opset = 0);
    LIE("frames that overlap", frames[1].slot--);
    LIE("a result that is nothing", refs[frames[0].out] = OX_BLOB_NONE);
    for (size_t i = 0; i < b.n_attrs; i++)
        if (b.attrs[i].type == 5 /* a graph */) {
            LIE("a graph that contains itself", attrs[i].value = 0);
            LIE("a graph in two places", attrs[i].value = attrs[i].value == 1 ? 2 : 1);
            break;
        }
    ox_free(ctx, data);
    ox_native_free(ctx, good);
    ox_model_free(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("blob");
    TCase *t = tcase_create("blob");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, blobs_give_what_models_give, 0, 5);
    tcase_add_test(t, same_model_same_bytes);
    tcase_add_test(t, equal_constants_are_stored_once_and_aligned);
    tcase_add_test(t, nothing_unwanted_is_emitted);
    tcase_add_test(t, what_cannot_run_does_not_compile);
    tcase_add_test(t, files_open_mapped_and_copied);
    tcase_add_test(t, lies_with_right_hashes_are_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
