/* tests/unit/test_external.c - external data: what is found, and every way out of the model's
 * folder that must be shut. Each case is tried with the kernel's openat2 and with the walk for
 * systems that lack it. */
#include "frontend/external.h"
#include "tests/unit/file_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const float weights[4] = {1, 2, 3, 4};

/* The folder holds in/ (where the model lies) and out/secret.bin. */
static void begin(void) {
    front_begin();
    mkdir(front_path("in"), 0700);
    mkdir(front_path("in/sub"), 0700);
    mkdir(front_path("out"), 0700);
    front_write("out/secret.bin", weights, sizeof weights);
    front_write("in/w.bin", weights, sizeof weights);
    front_write("in/sub/w.bin", weights, sizeof weights);
}

struct ref {
    const char *location, *offset, *length;
};

/* Loads a model from in/ with one external float tensor of 4 elements. */
static ox_status load(struct ref r, const char *links_under) {
    struct pb g = {0}, t = onnx_tensor("w", 1, "4"), m;
    ox_model *model;
    pb_int(&t, TENSOR_LOCATION, 1);
    if (r.location) onnx_external(&t, "location", r.location);
    if (r.offset) onnx_external(&t, "offset", r.offset);
    if (r.length) onnx_external(&t, "length", r.length);
    pb_msg(&g, GRAPH_INIT, &t);
    m = onnx_model(8, 17, &g);
    front_write("in/m.onnx", m.data, m.len);
    pb_free(&m);
    struct ox_load_options o = {.size = sizeof o, .links_under = links_under};
    OX_TRY(ox_model_load(&model, front.ctx, front_path("in/m.onnx"), &o));
    ck_assert_mem_eq(model->graph->inits[0]->init->data, weights, sizeof weights);
    ck_assert_uint_ge(model->file_bytes, sizeof weights);
    ox_model_free(model);
    return OX_OK;
}

static void refuse(const char *location, ox_status status, const char *id) {
    ck_fails(load((struct ref){location, NULL, NULL}, NULL), status, id);
    int fd = open(front_path("in"), O_RDONLY | O_DIRECTORY);
    int slow = ox_open_beneath_slowly(fd, location);
    /* What the slow walk lets through must be something that the check of the descriptor refuses.
     */
    if (slow >= 0) {
        struct stat st;
        ck_assert_int_eq(fstat(slow, &st), 0);
        ck_assert_msg(!S_ISREG(st.st_mode) || st.st_nlink > 1, "the walk opens '%s'", location);
        close(slow);
    }
    close(fd);
}

START_TEST(files_beneath_the_folder_are_found) {
    ck_ok(load((struct ref){"w.bin", NULL, NULL}, NULL));
    ck_ok(load((struct ref){"w.bin", "0", "16"}, NULL));
    ck_ok(load((struct ref){"sub/w.bin", "0", NULL}, NULL));
    ck_ok(load((struct ref){"./sub//w.bin", NULL, "16"}, NULL));
    ck_fails(load((struct ref){"..w.bin", NULL, NULL}, NULL), OX_IO,
             "external-file"); /* a name like any other */
    static const char *const good[] = {"w.bin", "sub/w.bin", "./w.bin", "sub/./w.bin"};
    int fd = open(front_path("in"), O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < 4; i++) {
        int slow = ox_open_beneath_slowly(fd, good[i]);
        ck_assert_msg(slow >= 0, "%s", good[i]);
        close(slow);
    }
    close(fd);
}
END_TEST

START_TEST(no_way_leads_out) {
    char absolute[512];
    snprintf(absolute, sizeof absolute, "%s", front_path("out/secret.bin"));
    refuse(absolute, OX_INVALID, "external-outside");
    refuse("../out/secret.bin", OX_INVALID, "external-outside");
    refuse("sub/../../out/secret.bin", OX_INVALID, "external-outside");
    refuse("sub/../w.bin", OX_INVALID,
           "external-outside"); /* stays inside, but is refused as a rule */
    refuse("..", OX_INVALID, "external-outside");
    refuse("/", OX_INVALID, "external-outside");
    refuse("", OX_INVALID, "external-location");
    refuse("nothing.bin", OX_IO, "external-file");
    refuse("w.bin/x", OX_INVALID, "external-file");
    refuse("w.bin/", OX_INVALID, "external-file");
}
END_TEST

START_TEST(links_are_not_followed) {
    ck_assert_int_eq(symlink("../out/secret.bin", front_path("in/link.bin")), 0);
    ck_assert_int_eq(symlink("../out", front_path("in/folder")), 0);
    ck_assert_int_eq(symlink("w.bin", front_path("in/inside.bin")), 0);
    ck_assert_int_eq(link(front_path("out/secret.bin"), front_path("in/hard.bin")), 0);
    refuse("link.bin", OX_INVALID, "external-link");
    refuse("folder/secret.bin", OX_INVALID, "external-link");
    refuse("inside.bin", OX_INVALID, "external-link");
    refuse("hard.bin", OX_INVALID, "external-link");
}
END_TEST

START_TEST(only_regular_files_are_read) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_int_eq(mkfifo(front_path("in/fifo"), 0600), 0);
    ck_assert_int_eq(symlink("/dev/zero", front_path("in/zero")), 0);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", front_path("in/socket"));
    ck_assert_int_eq(bind(s, (const struct sockaddr *)&address, sizeof address), 0);
    refuse("fifo", OX_INVALID, "external-file"); /* and does not wait for a writer */
    refuse("sub", OX_INVALID, "external-file");
    refuse(".", OX_INVALID, "external-file");
    refuse("socket", OX_INVALID, "external-file");
    refuse("zero", OX_INVALID, "external-link");
    close(s);
}
END_TEST

START_TEST(links_beneath_a_folder_may_be_allowed) {
    /* as in a download cache: the model's folder has links into a folder beside it */
    mkdir(front_path("out/blobs"), 0700);
    front_write("out/blobs/123", weights, sizeof weights);
    ck_assert_int_eq(symlink("../out/blobs/123", front_path("in/link.bin")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", front_path("in/far.bin")), 0);
    char all[512], in[512], out[512];
    snprintf(all, sizeof all, "%s", front_path(""));
    snprintf(in, sizeof in, "%s", front_path("in"));
    snprintf(out, sizeof out, "%s", front_path("out"));
    ck_ok(load((struct ref){"link.bin", NULL, NULL}, all));
    ck_ok(load((struct ref){"w.bin", NULL, NULL}, in));
    ck_fails(load((struct ref){"link.bin", NULL, NULL}, in), OX_INVALID, "external-outside");
    ck_fails(load((struct ref){"far.bin", NULL, NULL}, all), OX_INVALID, "external-outside");
    ck_fails(load((struct ref){"../out/blobs/123", NULL, NULL}, all), OX_INVALID,
             "external-outside");
    ck_fails(load((struct ref){"link.bin", NULL, NULL}, out), OX_USAGE,
             "external-link"); /* in is not beneath it */
    mkdir(front_path("in2"), 0700);
    snprintf(out, sizeof out, "%s", front_path("in2"));
    snprintf(in, sizeof in, "%s", front_path("i"));
    mkdir(in, 0700); /* "i" is a prefix of "in", not its parent */
    ck_fails(load((struct ref){"w.bin", NULL, NULL}, in), OX_USAGE, "external-link");
}
END_TEST

START_TEST(ranges_are_checked) {
    static const struct ref bad[] = {
        {"w.bin", "-1", NULL},
        {"w.bin", "+0", NULL},
        {"w.bin", " 0", NULL},
        {"w.bin", "0x0", NULL},
        {"w.bin", "", NULL},
        {"w.bin", "1", NULL},
        {"w.bin", "16", NULL},
        {"w.bin", "17", NULL},
        {"w.bin", "18446744073709551615", NULL},
        {"w.bin", "18446744073709551616", NULL},
        {"w.bin", "18446744073709551608", "16"},
        {"w.bin", "0", "15"},
        {"w.bin", "0", "17"},
        {"w.bin", "0", "-16"},
        {"w.bin", "0", "18446744073709551632"},
        {"w.bin", "0", "16 "},
        {"w.bin", "99999999999999999999999", "16"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_fails(load(bad[i], NULL), OX_INVALID, "external-range");
    ck_fails(load((struct ref){NULL, "0", "16"}, NULL), OX_INVALID, "external-location");
    char longest[4098];
    memset(longest, 'a', sizeof longest - 1);
    longest[4097] = 0;
    ck_fails(load((struct ref){longest, NULL, NULL}, NULL), OX_INVALID, "external-location");
}
END_TEST

START_TEST(files_are_mapped_once) {
    struct ox_external x;
    struct ox_bytes *a, *b;
    size_t offset;
    ck_ok(ox_external_init(&x, front.ctx, front_path("in"), NULL));
    ck_ok(
        ox_external_find(&a, &offset, &x, &(struct ox_external_ref){"w.bin", "4", NULL}, 8, NULL));
    ck_assert_uint_eq(offset, 4);
    ck_ok(ox_external_find(&b, &offset, &x, &(struct ox_external_ref){"./w.bin", NULL, NULL}, 4,
                           NULL));
    ck_assert_ptr_eq(a, b); /* another spelling, the same file */
    ck_assert_uint_eq(x.mapped, sizeof weights);
    ox_bytes_unref(b);
    ck_ok(ox_external_find(&b, &offset, &x, &(struct ox_external_ref){"sub/w.bin", NULL, NULL}, 4,
                           NULL));
    ck_assert_ptr_ne(a, b);
    ox_external_fini(&x);
    ck_assert_mem_eq(a->data, weights, sizeof weights); /* outlives the opener */
    ox_bytes_unref(a);
    ox_bytes_unref(b);
}
END_TEST

START_TEST(overlaps_are_bounded) {
    static const unsigned char zeros[1 << 20];
    struct ox_external x;
    struct ox_bytes *b;
    size_t offset;
    ox_status s = OX_OK;
    int n = 0;
    front_write("in/big.bin", zeros, sizeof zeros);
    ck_ok(ox_external_init(&x, front.ctx, front_path("in"), NULL));
    for (; n < 200 && s == OX_OK; n++) {
        s = ox_external_find(&b, &offset, &x, &(struct ox_external_ref){"big.bin", NULL, NULL},
                             sizeof zeros, NULL);
        if (s == OX_OK) ox_bytes_unref(b);
    }
    ck_assert_int_eq(s, OX_NOMEM);
    ck_assert_int_eq(n, 16 + 64 + 1);
    ox_external_fini(&x);
}
END_TEST

START_TEST(models_in_memory_have_no_folder) {
    struct pb g = {0}, t = onnx_tensor("w", 1, "4"), m;
    ox_model *model;
    pb_int(&t, TENSOR_LOCATION, 1);
    onnx_external(&t, "location", "w.bin");
    pb_msg(&g, GRAPH_INIT, &t);
    m = onnx_model(8, 17, &g);
    ck_fails(ox_model_load_memory(&model, front.ctx, m.data, m.len, "memory", NULL, NULL),
             OX_INVALID, "external-refused");
    ck_ok(ox_model_load_memory(&model, front.ctx, m.data, m.len, "memory", front_path("in"), NULL));
    ox_model_free(model);
    pb_free(&m);
}
END_TEST

START_TEST(external_data_is_checked_in_every_place) {
    struct pb tensors[4], m;
    for (int i = 0; i < 4; i++) {
        tensors[i] = onnx_tensor("w", 1, "4");
        pb_int(&tensors[i], TENSOR_LOCATION, 1);
        onnx_external(&tensors[i], "location", "../out/secret.bin");
    }
    struct pb g = {0}, n = onnx_node("Constant", "", "y");
    onnx_attr_msg(&n, "value", 4, ATTR_T, &tensors[0]); /* an attribute */
    pb_msg(&g, GRAPH_NODE, &n);
    m = onnx_model(8, 17, &g);
    ck_fails(front_load(NULL, &m), OX_INVALID, "external-outside");
    struct pb inner = {0};
    pb_msg(&inner, GRAPH_INIT, &tensors[1]); /* a subgraph */
    n = onnx_node("t::If", "", "y");
    onnx_attr_msg(&n, "body", 5, ATTR_G, &inner);
    pb_msg(&g, GRAPH_NODE, &n);
    m = onnx_model(8, 17, &g);
    ck_fails(front_load(NULL, &m), OX_INVALID, "external-outside");
    struct pb f = {0};
    n = onnx_node("Constant", "", "b");
    onnx_attr_msg(&n, "value", 4, ATTR_T, &tensors[2]); /* a function */
    pb_str(&f, FUNCTION_NAME, "F");
    pb_str(&f, FUNCTION_OUTPUT, "b");
    pb_msg(&f, FUNCTION_NODE, &n);
    m = onnx_model(8, 17, &g);
    pb_msg(&m, MODEL_FUNCTION, &f);
    ck_fails(front_load(NULL, &m), OX_INVALID, "external-outside");
    struct pb sparse = {0}, index = onnx_int64s("", "4", (int64_t[]){0, 1, 2, 3}, 4);
    pb_msg(&sparse, 1, &tensors[3]); /* a sparse tensor */
    pb_msg(&sparse, 2, &index);
    pb_int(&sparse, 3, 9);
    pb_msg(&g, GRAPH_SPARSE, &sparse);
    m = onnx_model(8, 17, &g);
    ck_fails(front_load(NULL, &m), OX_INVALID, "external-outside");
}
END_TEST

int main(void) {
    Suite *s = suite_create("external");
    TCase *t = tcase_create("external");
    tcase_add_checked_fixture(t, begin, front_end);
    tcase_add_test(t, files_beneath_the_folder_are_found);
    tcase_add_test(t, no_way_leads_out);
    tcase_add_test(t, links_are_not_followed);
    tcase_add_test(t, only_regular_files_are_read);
    tcase_add_test(t, links_beneath_a_folder_may_be_allowed);
    tcase_add_test(t, ranges_are_checked);
    tcase_add_test(t, files_are_mapped_once);
    tcase_add_test(t, overlaps_are_bounded);
    tcase_add_test(t, models_in_memory_have_no_folder);
    tcase_add_test(t, external_data_is_checked_in_every_place);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
