/* tests/unit/test_dataset.c - files and folders into samples: counting, cutting, labels, limits,
 * and what does not fit. */
#include "tests/unit/file_harness.h"
#include "tests/unit/image_samples.h"

#include <onnxopt/save.h>
#include <stdio.h>
#include <sys/stat.h>

static ox_model *model;
static struct ox_dataset data;

/* A model with inputs as said ("name:dtype:dims ..."). */
static void use_model(const char *inputs) {
    struct pb g = {0}, m;
    char text[256], name[32], dims[64];
    snprintf(text, sizeof text, "%s", inputs);
    for (char *p = text, *end; *p; p = end) {
        end = p + strcspn(p, " ");
        if (*end) *end++ = 0;
        char *colon = strchr(p, ':');
        snprintf(name, sizeof name, "%.*s", (int)(colon - p), p);
        snprintf(dims, sizeof dims, "%s", strchr(colon + 1, ':') + 1);
        struct pb v = onnx_value(name,
                                 colon[1] == 'f'   ? OX_FLOAT
                                 : colon[1] == 'b' ? OX_UINT8
                                                   : OX_INT64,
                                 dims);
        pb_msg(&g, GRAPH_INPUT, &v);
    }
    m = onnx_model(8, 17, &g);
    ck_ok(front_load(&model, &m));
}

static void begin(void) {
    front_begin();
    model = NULL;
}

static void end(void) {
    ox_model_free(model);
    front_end();
}

static ox_status open_data(const char *name, const char *spec, size_t limit) {
    char path[512];
    snprintf(path, sizeof path, "%s", front_path(name));
    return ox_dataset_open(
        &data, model, path,
        &(struct ox_preprocess){.size = sizeof(struct ox_preprocess), .spec = spec}, limit);
}

/* An .npy file of numbers 0, 1, 2, ... */
static void write_npy(const char *name, const char *descr, const char *shape, size_t count) {
    struct pb b = {0};
    char dict[128];
    int n = snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (%s)}",
                     descr, shape);
    pb_raw(&b, "\x93NUMPY\1\0", 8);
    pb_raw(&b, &(unsigned char[]){(unsigned char)n, 0}, 2);
    pb_raw(&b, dict, (size_t)n);
    for (size_t i = 0; i < count; i++) {
        float f = (float)i;
        int64_t l = (int64_t)i;
        if (descr[1] == 'f')
            pb_raw(&b, &f, sizeof f);
        else
            pb_raw(&b, &l, (size_t)(descr[2] - '0'));
    }
    front_write(name, b.data, b.len);
    pb_free(&b);
}

/* Checks sample `index`: label, rank and first number of its first input. */
static void check_sample(size_t index, int64_t label, int rank, double first) {
    ox_tensor *t[4] = {NULL};
    int64_t l = -2;
    ck_ok(data.sample(data.self, index, t, &l));
    ck_assert_int_eq(l, label);
    ck_assert_int_eq(t[0]->rank, rank);
    float f;
    int64_t v = 0;
    memcpy(&f, t[0]->data, sizeof f < t[0]->size ? sizeof f : t[0]->size);
    memcpy(&v, t[0]->data, t[0]->dtype == OX_INT64 ? 8 : 1);
    ck_assert_msg((t[0]->dtype == OX_FLOAT ? (double)f : (double)v) == first,
                  "sample %zu begins with %g", index,
                  t[0]->dtype == OX_FLOAT ? (double)f : (double)v);
    for (size_t i = 0; i < data.n_inputs; i++)
        ox_tensor_unref(t[i]);
}

START_TEST(an_array_is_cut_along_its_first_dim) {
    use_model("x:f:N,3");
    write_npy("a.npy", "<f4", "4, 3", 12);
    ck_ok(open_data("a.npy", NULL, 0));
    ck_assert_uint_eq(data.count, 4);
    ck_assert_uint_eq(data.n_inputs, 1);
    for (size_t i = 0; i < 4; i++)
        check_sample(i, -1, 2, (double)(3 * i));
    data.free(data.self);
    ck_ok(open_data("a.npy", NULL, 2)); /* evenly spread */
    ck_assert_uint_eq(data.count, 2);
    check_sample(0, -1, 2, 0);
    check_sample(1, -1, 2, 6);
    ox_tensor *t;
    ck_fails(data.sample(data.self, 2, &t, NULL), OX_USAGE, "no-samples");
    data.free(data.self);
}
END_TEST

START_TEST(a_fixed_batch_is_kept) {
    use_model("x:f:2,3");
    write_npy("a.npy", "<f4", "5, 3", 15);
    ck_ok(open_data("a.npy", NULL, 0));
    ck_assert_uint_eq(data.count, 2);
    check_sample(1, -1, 2, 6);
    data.free(data.self);
    write_npy("b.npy", "<f4", "3, 2, 3", 18); /* samples in a dimension of their own */
    ck_ok(open_data("b.npy", NULL, 0));
    ck_assert_uint_eq(data.count, 3);
    check_sample(2, -1, 2, 12);
    data.free(data.self);
    write_npy("c.npy", "<f4", "1, 3", 3);
    ck_fails(open_data("c.npy", NULL, 0), OX_INVALID, "wrong-sample");
}
END_TEST

START_TEST(arrays_that_do_not_fit_are_refused) {
    static const struct {
        const char *descr, *shape;
        size_t count;
    } bad[] = {{"<f4", "4, 4", 16},    {"<i8", "4, 3", 12}, {"<f4", "12,", 12},
               {"<f4", "4, 3, 1", 12}, {"<f4", "0, 3", 0},  {"<f4", "", 1}};
    use_model("x:f:N,3");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_npy("a.npy", bad[i].descr, bad[i].shape, bad[i].count);
        ck_fails(open_data("a.npy", NULL, 0), OX_INVALID, "wrong-sample");
        ck_assert_ptr_nonnull(strstr(front.file, "a.npy"));
    }
    write_npy("a.npy", "<i8", "4, 3", 12);
    ck_fails(open_data("a.npy", NULL, 0), OX_INVALID, "wrong-sample");
    ck_assert_ptr_nonnull(strstr(front.text, "int64[4,3]"));
    ck_assert_ptr_nonnull(strstr(front.text, "float[?,3]"));
    ck_ok(open_data("a.npy", "mean=1", 0)); /* a specification converts it */
    check_sample(1, -1, 2, 2);
    data.free(data.self);
    ck_fails(open_data("nothing.npy", NULL, 0), OX_IO, "cannot-open");
    ck_fails(open_data("a.npy", "mean=x", 0), OX_USAGE, "bad-preprocess");
}
END_TEST

/* a.npz with these members, each written as an .npy file before. */
static void write_npz(const char *const *names, size_t n) {
    ox_tensor *tensors[8];
    for (size_t i = 0; i < n; i++) {
        ox_tensor_file *f;
        char file[64];
        snprintf(file, sizeof file, "%s.npy", names[i]);
        ck_ok(ox_tensor_file_open(&f, front.ctx, front_path(file)));
        ck_ok(ox_tensor_file_read(&tensors[i], f, 0));
        ox_tensor_file_close(f);
    }
    ck_ok(ox_npz_save(front.ctx, front_path("a.npz"), n, names, (const ox_tensor *const *)tensors));
    for (size_t i = 0; i < n; i++)
        ox_tensor_unref(tensors[i]);
}

START_TEST(members_feed_inputs_by_name) {
    use_model("p:f:N,2 q:l: r:f:N,1");
    write_npy("p.npy", "<f4", "3, 2", 6);
    write_npy("q.npy", "<i8", "", 1);
    write_npy("r.npy", "<f4", "3, 1", 3);
    write_npy("labels.npy", "<i8", "3,", 3);
    write_npz((const char *const[]){"r", "labels", "p", "q"}, 4);
    ck_ok(open_data("a.npz", NULL, 0));
    ck_assert_uint_eq(data.count, 3);
    ox_tensor *t[3];
    int64_t label;
    ck_ok(data.sample(data.self, 2, t, &label));
    ck_assert_int_eq(label, 2);
    ck_assert_uint_eq(t[0]->count, 2);
    ck_assert_int_eq(t[1]->rank, 0);
    ck_assert_uint_eq(t[2]->count, 1);
    for (int i = 0; i < 3; i++)
        ox_tensor_unref(t[i]);
    data.free(data.self);
    write_npz((const char *const[]){"labels", "p", "q"}, 3);
    ck_fails(open_data("a.npz", NULL, 0), OX_INVALID, "wrong-sample");
    ck_assert_ptr_nonnull(strstr(front.text, "'r'"));
    write_npy("r.npy", "<f4", "2, 1", 2);
    write_npz((const char *const[]){"r", "p", "q"}, 3);
    ck_fails(open_data("a.npz", NULL, 0), OX_INVALID, "wrong-sample"); /* 3 and 2 samples */
    ck_fails(open_data("p.npy", NULL, 0), OX_INVALID,
             "wrong-sample"); /* one array for three inputs */
}
END_TEST

START_TEST(a_single_input_takes_any_name) {
    use_model("x:f:N,2");
    write_npy("images.npy", "<f4", "3, 2", 6);
    write_npy("y.npy", "<i8", "3, 1", 3);
    write_npz((const char *const[]){"images", "y"}, 2);
    ck_ok(open_data("a.npz", NULL, 0));
    check_sample(1, 1, 2, 2);
    data.free(data.self);
    write_npy("other.npy", "<f4", "3, 2", 6);
    write_npz((const char *const[]){"images", "other"}, 2);
    ck_fails(open_data("a.npz", NULL, 0), OX_INVALID, "wrong-sample");
    write_npy("y.npy", "<i8", "2,", 2);
    write_npz((const char *const[]){"images", "y"}, 2);
    ck_fails(open_data("a.npz", NULL, 0), OX_INVALID,
             "wrong-sample"); /* fewer labels than samples */
}
END_TEST

START_TEST(an_unpacked_archive_is_a_folder) {
    use_model("x:f:N,2");
    mkdir(front_path("d"), 0700);
    write_npy("d/images.npy", "<f4", "3, 2", 6);
    write_npy("d/labels_u8.npy", "|u1", "3,", 3);
    front_write("d/README.txt", "x", 1);
    ck_ok(open_data("d", NULL, 0));
    ck_assert_uint_eq(data.count, 3);
    check_sample(2, 2, 2, 4);
    data.free(data.self);
}
END_TEST

START_TEST(several_array_files_follow_each_other) {
    use_model("x:f:N,2");
    mkdir(front_path("d"), 0700);
    write_npy("d/b.npy", "<f4", "1, 2", 2);
    write_npy("d/a.npy", "<f4", "3, 2", 6);
    ck_ok(open_data("d", NULL, 0));
    ck_assert_uint_eq(data.count, 4);
    check_sample(2, -1, 2, 4);
    check_sample(3, -1, 2, 0);
    check_sample(0, -1, 2, 0);
    data.free(data.self);
}
END_TEST

START_TEST(test_data_sets_are_samples) {
    use_model("x:f:1,2 z:f:2");
    for (int i = 0; i < 2; i++) {
        char name[64];
        float v[2] = {(float)(i + 5), 0};
        snprintf(name, sizeof name, "test_data_set_%d", i);
        mkdir(front_path(name), 0700);
        for (int k = 0; k < 2; k++) {
            struct pb t = onnx_floats("", k ? "2" : "1,2", v, 2);
            snprintf(name, sizeof name, "test_data_set_%d/input_%d.pb", i, k);
            front_write(name, t.data, t.len);
            pb_free(&t);
        }
    }
    front_write("test_data_set_0/output_0.pb", "", 0);
    ck_ok(open_data("", NULL, 0));
    ck_assert_uint_eq(data.count, 2);
    check_sample(1, -1, 2, 6);
    data.free(data.self);
    ck_ok(open_data("test_data_set_0", NULL, 0));
    ck_assert_uint_eq(data.count, 1);
    data.free(data.self);
    struct pb t = onnx_floats("", "3", (float[]){1, 2, 3}, 3);
    front_write("test_data_set_1/input_1.pb", t.data, t.len);
    pb_free(&t);
    ck_fails(open_data("", NULL, 0), OX_INVALID, "wrong-sample");
}
END_TEST

/* ---- images ---------------------------------------------------------------------------------- */

START_TEST(folders_of_images_are_classes) {
    use_model("x:b:1,3,10,12");
    static const char *const names[] = {"7/a.png", "7/b.JPG", "10/c.png", "d.png"};
    mkdir(front_path("7"), 0700);
    mkdir(front_path("10"), 0700);
    for (int i = 0; i < 4; i++) {
        const struct sample *s = &samples[i == 1 ? 7 : 0];
        front_write(names[i], s->data, s->size);
    }
    front_write("notes.txt", "x", 1);
    front_write("7/.hidden.png", "x", 1);
    ck_ok(open_data("", NULL, 0));
    ck_assert_uint_eq(data.count, 4);
    check_sample(0, 10, 4, 0); /* in the order of names: "10", "7", then files */
    check_sample(1, 7, 4, 0);
    check_sample(3, -1, 4, 0);
    data.free(data.self);
    mkdir(front_path("cats"), 0700); /* now not all of them are numbers */
    ck_ok(open_data("", NULL, 0));
    check_sample(0, 0, 4, 0);
    check_sample(1, 1, 4, 0);
    data.free(data.self);
    ck_ok(open_data("d.png", NULL, 0));
    ck_assert_uint_eq(data.count, 1);
    data.free(data.self);
    front_write("10/c.png", "not an image", 12);
    ck_ok(open_data("10", NULL, 0));
    ox_tensor *t;
    ck_fails(data.sample(data.self, 0, &t, NULL), OX_INVALID, "bad-image");
    ck_assert_ptr_nonnull(strstr(front.file, "c.png"));
    data.free(data.self);
}
END_TEST

START_TEST(image_arrays_are_preprocessed) {
    use_model("x:f:N,1,2,2");
    write_npy("a.npy", "|u1", "3, 2, 2", 12);
    ck_fails(open_data("a.npy", NULL, 0), OX_INVALID, "wrong-sample"); /* only when asked */
    ck_ok(open_data("a.npy", "scale=1", 0));
    ck_assert_uint_eq(data.count, 3);
    check_sample(2, -1, 4, 8);
    data.free(data.self);
    write_npy("a.npy", "|u1", "2, 2, 2, 3", 24);
    ck_ok(open_data("a.npy", "scale=1,colour=grey", 0));
    ck_assert_uint_eq(data.count, 2);
    data.free(data.self);
    write_npy("a.npy", "|u1", "2, 2, 3", 12); /* one image in colour */
    ck_ok(open_data("a.npy", "scale=1", 0));
    ck_assert_uint_eq(data.count, 1);
    data.free(data.self);
}
END_TEST

START_TEST(nothing_to_read) {
    use_model("x:f:1,3,10,12");
    mkdir(front_path("empty"), 0700);
    ck_fails(open_data("empty", NULL, 0), OX_INVALID, "no-samples");
    ck_fails(open_data("missing", NULL, 0), OX_IO, "cannot-open");
}
END_TEST

START_TEST(the_digits_that_come_with_the_project) {
    ck_ok(
        ox_model_load(&model, front.ctx, OX_SOURCE_DIR "/tests/data/digits/digits_cnn.onnx", NULL));
    ck_ok(ox_dataset_open(&data, model, OX_SOURCE_DIR "/tests/data/digits/digits_test.npz", NULL,
                          100));
    ck_assert_uint_eq(data.count, 100);
    ox_tensor *t;
    int64_t label;
    for (size_t i = 0; i < 100; i++) {
        ck_ok(data.sample(data.self, i, &t, &label));
        ck_assert_uint_eq(t->count, 64);
        ck_assert(label >= 0 && label < 10);
        ox_tensor_unref(t);
    }
    data.free(data.self);
    ck_ok(ox_dataset_open(&data, model, OX_SOURCE_DIR "/tests/data/digits/images", NULL, 0));
    ck_assert_uint_eq(data.count, 20);
    for (size_t i = 0; i < 20; i++) {
        ck_ok(data.sample(data.self, i, &t, &label));
        ck_assert_int_eq(label, (int64_t)(i / 2));
        ck_assert_uint_eq(t->count, 64);
        ox_tensor_unref(t);
    }
    data.free(data.self);
}
END_TEST

int main(void) {
    Suite *s = suite_create("dataset");
    TCase *t = tcase_create("dataset");
    tcase_add_checked_fixture(t, begin, end);
    tcase_add_test(t, an_array_is_cut_along_its_first_dim);
    tcase_add_test(t, a_fixed_batch_is_kept);
    tcase_add_test(t, arrays_that_do_not_fit_are_refused);
    tcase_add_test(t, members_feed_inputs_by_name);
    tcase_add_test(t, a_single_input_takes_any_name);
    tcase_add_test(t, an_unpacked_archive_is_a_folder);
    tcase_add_test(t, several_array_files_follow_each_other);
    tcase_add_test(t, test_data_sets_are_samples);
    tcase_add_test(t, folders_of_images_are_classes);
    tcase_add_test(t, image_arrays_are_preprocessed);
    tcase_add_test(t, nothing_to_read);
    tcase_add_test(t, the_digits_that_come_with_the_project);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
