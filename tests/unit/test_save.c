/* tests/unit/test_save.c - files: whole or not at all, wherever the path leads. */
#include "backend/file/file_out.h"
#include "backend/onnx/onnx_save.h"
#include "ir/text/text.h"
#include "model_same.h"
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <onnxopt/load.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], error_text[700];
static ox_ctx *ctx;
static size_t progress_calls, cancel_at;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    if (d->severity == OX_ERROR) snprintf(error_text, sizeof error_text, "%s", d->text);
}

static bool on_progress(void *user, const char *what, size_t done, size_t total) {
    (void)user;
    ck_assert_str_eq(what, "write");
    ck_assert_uint_le(done, total);
    return ++progress_calls != cancel_at;
}

static void setup(void) {
    struct ox_ctx_options o = {
        .size = sizeof o, .on_diag = on_diag, .on_progress = on_progress, .threads = 1};
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    snprintf(folder, sizeof folder, "ox_save_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    error_text[0] = 0;
    progress_calls = cancel_at = 0;
}

static const char *at(const char *name) {
    static char paths[8][400];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Names in the folder, without the hidden ones when `all` is false; removes them when `remove` is
 * true. */
static int entries(bool remove_them) {
    int n = 0;
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        n++;
        if (remove_them && unlink(at(e->d_name)) != 0) ck_assert_int_eq(rmdir(at(e->d_name)), 0);
    }
    closedir(dir);
    return n;
}

static void teardown(void) {
    ck_assert_int_eq(chmod(folder, 0700), 0);
    entries(true);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static void put_file(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    ck_assert_int_eq(fclose(f), 0);
}

static void check_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is not there", path);
    char *buf = malloc(size + 2);
    ck_assert_uint_eq(fread(buf, 1, size + 2, f), size);
    if (size) ck_assert_mem_eq(buf, data, size);
    free(buf);
    fclose(f);
}

static ox_status save(const char *path, const char *text) {
    error_text[0] = 0;
    return ox_file_save(ctx, path, text, strlen(text));
}

static void check_fails(const char *path, ox_status status, const char *what) {
    ck_assert_int_eq(save(path, "new"), status);
    ck_assert_msg(strstr(error_text, what) != NULL, "expected '%s' in '%s'", what, error_text);
}

/* ---- one file -------------------------------------------------------------------------------- */

START_TEST(a_file_is_made_and_replaced) {
    struct stat st;
    mode_t mask = umask(027);
    ck_assert_int_eq(save(at("f"), "one"), OX_OK);
    check_file(at("f"), "one", 3);
    ck_assert_int_eq(stat(at("f"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
    ck_assert_int_eq(chmod(at("f"), 0600), 0);
    ck_assert_int_eq(save(at("f"), "two is longer"), OX_OK);
    check_file(at("f"), "two is longer", 13);
    ck_assert_int_eq(stat(at("f"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(save(at("f"), ""), OX_OK);
    check_file(at("f"), "", 0);
    umask(mask);
    ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(large_files_come_whole) {
    size_t size = (20 << 20) + 17;
    unsigned char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 24);
    ck_assert_int_eq(ox_file_save(ctx, at("f"), data, size), OX_OK);
    check_file(at("f"), data, size);
    ck_assert_uint_ge(progress_calls, 3);
    free(data);
}
END_TEST

START_TEST(links_are_followed) {
    struct stat st;
    ck_assert_int_eq(mkdir(at("sub"), 0700), 0);
    put_file(at("sub/real"), "old");
    ck_assert_int_eq(symlink("sub/second", at("link")), 0);
    ck_assert_int_eq(symlink("real", at("sub/second")), 0);
    ck_assert_int_eq(save(at("link"), "new"), OX_OK);
    check_file(at("sub/real"), "new", 3);
    ck_assert_int_eq(lstat(at("link"), &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    ck_assert_int_eq(unlink(at("sub/real")), 0); /* a link that leads nowhere: the file is made */
    ck_assert_int_eq(save(at("link"), "again"), OX_OK);
    check_file(at("sub/real"), "again", 5);
    ck_assert_int_eq(unlink(at("link")), 0);
    ck_assert_int_eq(symlink("link", at("link")), 0);
    check_fails(at("link"), OX_IO, "Too many levels");
    if (geteuid() == 0) { /* only root can make a link of somebody else */
        ck_assert_int_eq(unlink(at("link")), 0);
        ck_assert_int_eq(symlink("sub/real", at("link")), 0);
        ck_assert_int_eq(lchown(at("link"), 12345, 12345), 0);
        check_fails(at("link"), OX_IO, "belongs to another user");
        check_file(at("sub/real"), "again", 5);
    }
    ck_assert_int_eq(unlink(at("sub/real")), 0);
    ck_assert_int_eq(unlink(at("sub/second")), 0);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused_and_left_alone) {
    ck_assert_int_eq(mkdir(at("dir"), 0700), 0);
    put_file(at("dir/x"), "x");
    check_fails(at("dir"), OX_IO, "it is a folder");
    check_fails(at("dir/"), OX_IO, "it is a folder");
    check_fails(at("dir/."), OX_IO, "it is a folder");
    check_fails(at("none/f"), OX_IO, "cannot open its folder");
    check_fails(at("dir/x/f"), OX_IO, "cannot open its folder");
    check_fails("", OX_USAGE, "is empty");
    char name[400];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    check_fails(path, OX_IO, "too long");
    ck_assert_int_eq(unlink(at("dir/x")), 0);
}
END_TEST

/* Root may write anywhere, so it becomes somebody else for this. */
START_TEST(permissions_are_respected) {
    bool root = geteuid() == 0;
    if (root) ck_assert_int_eq(chown(folder, 65534, 65534), 0);
    if (root) ck_assert_int_eq(seteuid(65534), 0);
    put_file(at("f"), "old");
    ck_assert_int_eq(chmod(at("f"), 0444), 0);
    check_fails(at("f"), OX_IO, "write-protected");
    ck_assert_int_eq(chmod(at("f"), 0644), 0);
    ck_assert_int_eq(chmod(folder, 0500), 0);
    check_fails(at("f"), OX_IO, "cannot create a file beside it");
    check_fails(at("g"), OX_IO, "cannot create a file beside it");
    ck_assert_int_eq(chmod(folder, 0700), 0);
    check_file(at("f"), "old", 3);
    ck_assert_int_eq(entries(false), 1);
    if (root) ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(devices_and_pipes_are_written_to) {
    ck_assert_int_eq(save("/dev/null", "x"), OX_OK);
    check_fails("/dev/full", OX_IO, "No space left");
    struct stat st;
    ck_assert_int_eq(stat("/dev/full", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
    int fd[2];
    char path[40], buf[8] = "";
    ck_assert_int_eq(pipe(fd), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[1]);
    ck_assert_msg(save(path, "piped") == OX_OK, "%s", error_text);
    ck_assert_int_eq(read(fd[0], buf, sizeof buf), 5);
    ck_assert_str_eq(buf, "piped");
    close(fd[0]); /* nobody reads any more: an error, not a signal */
    check_fails(path, OX_IO, "Broken pipe");
    sigset_t pending;
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
    close(fd[1]);
    ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
    int reader = open(at("fifo"), O_RDONLY | O_NONBLOCK);
    ck_assert_int_eq(save(at("fifo"), "through"), OX_OK);
    ck_assert_int_eq(read(reader, buf, sizeof buf), 7);
    close(reader);
    ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(a_limit_on_file_size_is_an_error) {
    struct rlimit old, small = {100000, 100000};
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    put_file(at("f"), "old");
    char *data = calloc(1, 1 << 20);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    error_text[0] = 0;
    ck_assert_int_eq(ox_file_save(ctx, at("f"), data, 1 << 20), OX_IO);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_ptr_nonnull(strstr(error_text, "File too large"));
    free(data);
    check_file(at("f"), "old", 3);
    ck_assert_int_eq(entries(false), 1);
}
END_TEST

START_TEST(cancelling_leaves_nothing) {
    char *data = calloc(1, 40 << 20);
    put_file(at("f"), "old");
    for (cancel_at = 1; cancel_at <= 3; cancel_at++) {
        progress_calls = 0;
        ck_assert_int_eq(ox_file_save(ctx, at("f"), data, 40 << 20), OX_CANCELLED);
        check_file(at("f"), "old", 3);
        ck_assert_int_eq(entries(false), 1);
    }
    free(data);
}
END_TEST

/* ---- models ---------------------------------------------------------------------------------- */

static struct ox_model *parse(const char *text) {
    struct ox_model *m = NULL;
    error_text[0] = 0;
    ck_assert_msg(ox_text_parse(&m, ctx, text, strlen(text), "test") == OX_OK, "%s", error_text);
    return m;
}

static ox_model *load(const char *path) {
    ox_model *m = NULL;
    struct ox_load_options o = {.size = sizeof o, .no_check = true};
    ck_assert_msg(ox_model_load(&m, ctx, path, &o) == OX_OK, "%s", error_text);
    return m;
}

static void check_same(const struct ox_model *a, const struct ox_model *b) {
    const char *d = model_difference(a, b);
    ck_assert_msg(!d, "%s", d);
}

static uint64_t file_size(const char *path) {
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

START_TEST(a_model_is_saved_and_loaded) {
    struct ox_model *m =
        parse("g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add (x, w) }");
    uint64_t bytes = 0;
    ck_assert_int_eq(ox_model_save(m, at("m.onnx"), NULL, &bytes), OX_OK);
    ck_assert_uint_eq(bytes, file_size(at("m.onnx")));
    ox_model *back = load(at("m.onnx"));
    check_same(m, back);
    /* Over the file whose mapping is being written. */
    ck_assert_int_eq(ox_model_save(back, at("m.onnx"), NULL, NULL), OX_OK);
    ox_model *again = load(at("m.onnx"));
    check_same(m, again);
    int fd = open(at("stream"), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(ox_model_write(m, fd, &bytes), OX_OK);
    ck_assert_uint_eq(file_size(at("stream")), bytes);
    close(fd);
    ox_model_free(m);
    ox_model_free(back);
    ox_model_free(again);
}
END_TEST

/* A model with large tensors in all places: initializers (two over the same bytes), an input's
 * default, a Constant node, a Constant in a subgraph, and small ones. */
static struct ox_model *weighty(void) {
    struct ox_model *m =
        parse("g (bool c, float[N] x, float[2] d = {1, 2}) => (y) <float[2] small = {1, 2}> {\n"
              "k = Constant <value = float {0}> ()\n"
              "z = If (c) <then_branch = t () => (r) { q = Constant <value = float {0}> () r = Neg "
              "(q) }> \n"
              "u = my.f (x, d) y = com.x.Foo (u, k, small, z) }\n"
              "<domain: \"my\", opset_import: [\"\" : 20]> f (a, b) => (r) { q = Constant <value = "
              "float {5}> () r = Add (a, q) }");
    static const int64_t sizes[] = {1000, 300000, 257, 64};
    for (size_t i = 0; i < 4; i++) {
        void *data;
        ox_tensor *t, *other;
        struct ox_value *v;
        char name[8];
        ox_name n;
        ck_assert_int_eq(ox_tensor_new(&t, &data, ctx, OX_FLOAT, 1, &sizes[i]), OX_OK);
        for (int64_t j = 0; j < sizes[i]; j++)
            ((float *)data)[j] = (float)(i * 1000 + (size_t)j % 997);
        snprintf(name, sizeof name, "w%zu", i);
        ck_assert_int_eq(ox_model_name(&n, m, name, strlen(name)), OX_OK);
        if (i == 2) { /* the Constant nodes */
            const int64_t dims[] = {1, 257};
            struct ox_node *k = m->graph->first, *q = k->next->attrs[0].v.g->first;
            ck_assert_int_eq(ox_tensor_reshape(&other, ctx, t, 2, dims), OX_OK);
            ox_tensor_unref(k->attrs[0].v.t);
            ox_tensor_unref(q->attrs[0].v.t);
            k->attrs[0].v.t = t;
            q->attrs[0].v.t = other;
            continue;
        }
        ck_assert_int_eq(ox_graph_add_init(&v, m->graph, n, t), OX_OK);
        ck_assert_int_eq(ox_node_add_input(m->graph->ret->prev, v), OX_OK);
    }
    return m;
}

/* The one data file that belongs to a model in the folder; "" if there is none. */
static const char *data_file(const char *base) {
    static char name[300];
    name[0] = 0;
    DIR *dir = opendir(folder);
    size_t n = strlen(base);
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, base, n) == 0 && strlen(e->d_name) == n + 22 &&
            strcmp(e->d_name + n + 17, ".data") == 0)
            snprintf(name, sizeof name, "%s", e->d_name);
    closedir(dir);
    return name;
}

START_TEST(weights_go_to_a_second_file_on_demand) {
    struct ox_model *m = weighty();
    struct ox_save_options o = {.size = sizeof o, .external = true};
    uint64_t bytes, again_bytes;
    ck_assert_int_eq(ox_model_save(m, at("m.onnx"), &o, &bytes), OX_OK);
    ck_assert_int_eq(entries(false), 2);
    const char *data = data_file("m.onnx");
    ck_assert_str_ne(data, "");
    uint64_t data_bytes = file_size(at(data));
    ck_assert_uint_eq(bytes, file_size(at("m.onnx")) + data_bytes);
    /* Everything is there, the constants as initializers, the shared bytes once. */
    ox_model *back = load(at("m.onnx"));
    ck_assert_uint_eq(back->graph->n_inits, m->graph->n_inits + 1);
    size_t off1 = 1, off2 = 1, off3 = 1;
    ox_tensor *k = NULL;
    for (size_t i = 0; i < back->graph->n_inits; i++) {
        const struct ox_value *v = back->graph->inits[i];
        if (ox_name_is(v->name, "w1")) ox_tensor_bytes(v->init, &off1);
        if (ox_name_is(v->name, "k")) k = v->init;
    }
    ck_assert_ptr_nonnull(k);
    ck_assert_uint_eq(off1 % 4096, 0);
    ck_assert(ox_tensor_equal(k, m->graph->first->attrs[0].v.t));
    const struct ox_graph *then = back->graph->first->attrs[0].v.g;
    ck_assert_uint_eq(then->n_inits, 1);
    ck_assert_ptr_eq(ox_tensor_bytes(then->inits[0]->init, &off2), ox_tensor_bytes(k, &off3));
    ck_assert_uint_eq(off2, off3);
    /* The same model gives the same two files; what was read gives them, too. */
    ck_assert_int_eq(ox_model_save(m, at("n.onnx"), &o, NULL), OX_OK);
    ck_assert_str_eq(data_file("n.onnx") + 7, data + 7);
    ck_assert_int_eq(ox_model_save(back, at("m.onnx"), &o, &again_bytes), OX_OK);
    ck_assert_uint_eq(bytes, again_bytes);
    ck_assert_int_eq(entries(false), 4);
    ox_model *again = load(at("m.onnx"));
    check_same(back, again);
    /* And without external data all is inside. */
    ck_assert_int_eq(ox_model_save(back, at("inside.onnx"), NULL, NULL), OX_OK);
    ox_model *inside = load(at("inside.onnx"));
    check_same(back, inside);
    ox_model_free(m);
    ox_model_free(back);
    ox_model_free(again);
    ox_model_free(inside);
}
END_TEST

START_TEST(a_model_too_large_for_protobuf_gets_a_second_file) {
    struct ox_model *m = weighty();
    uint64_t bytes;
    ck_assert_int_eq(ox_model_save(m, at("m.onnx"), NULL, &bytes), OX_OK);
    ck_assert_str_eq(data_file("m.onnx"), "");
    ck_assert_int_eq(ox_onnx_save(m, at("m.onnx"), NULL, bytes, NULL), OX_OK);
    ck_assert_str_eq(data_file("m.onnx"), "");
    ck_assert_int_eq(ox_onnx_save(m, at("m.onnx"), NULL, bytes - 1, NULL), OX_OK);
    ck_assert_str_ne(data_file("m.onnx"), "");
    /* A message that is too large even so. */
    struct stat st;
    ck_assert_int_eq(stat(at("m.onnx"), &st), 0);
    ck_assert_int_eq(ox_onnx_save(m, at("m.onnx"), NULL, (uint64_t)st.st_size - 1, NULL),
                     OX_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error_text, "too much for protobuf"));
    ck_assert_int_eq(entries(false), 2);
    ck_assert_int_eq(ox_onnx_save(m, "/dev/null", NULL, bytes - 1, NULL), OX_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error_text, "cannot carry external data"));
    ox_model_free(m);
}
END_TEST

START_TEST(data_files_have_harmless_names) {
    struct ox_model *m = weighty();
    struct ox_save_options o = {.size = sizeof o, .external = true};
    ck_assert_int_eq(ox_model_save(m, at("a\n\\\xc3\xa9:b"), &o, NULL), OX_OK);
    ck_assert_str_ne(data_file("a_____b"), "");
    ox_model *back = load(at("a\n\\\xc3\xa9:b"));
    ck_assert_uint_eq(back->graph->n_inits, m->graph->n_inits + 1);
    ox_model_free(m);
    ox_model_free(back);
}
END_TEST

/* The most memory the process has had, mapped pages included, in bytes. */
static size_t peak(void) {
    struct rusage usage;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return (size_t)usage.ru_maxrss * 1024;
}

/* Weights in a mapped file: of 96 MiB no more than a few steps of the writer are in memory at a
 * time. */
START_TEST(weights_are_streamed) {
    enum { TENSORS = 3 };
    const size_t each = (size_t)32 << 20;
    struct ox_bytes *bytes;
    int fd = open(at("weights"), O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(ftruncate(fd, (off_t)(each * TENSORS)), 0);
    ck_assert_int_eq(ox_bytes_map(&bytes, ctx, fd, each * TENSORS, "weights"), OX_OK);
    close(fd);
    struct ox_model *m = parse("g (x) => (y) { y = Foo (x) }");
    for (size_t i = 0; i < TENSORS; i++) {
        const int64_t dims[] = {(int64_t)(each / 4)};
        ox_tensor *t;
        struct ox_value *v;
        ck_assert_int_eq(ox_tensor_slice(&t, ctx, OX_FLOAT, 1, dims, bytes, i * each, each), OX_OK);
        ck_assert_int_eq(ox_graph_add_init(&v, m->graph, NULL, t), OX_OK);
        ck_assert_int_eq(ox_node_add_input(m->graph->first, v), OX_OK);
    }
    ox_bytes_unref(bytes);
    uint64_t written = 0;
    size_t heap = ox_ctx_memory(ctx), all = peak();
    ck_assert_int_eq(ox_model_save(m, at("m.onnx"), NULL, &written), OX_OK);
    ck_assert_uint_gt(written, each * TENSORS);
    ck_assert_uint_lt(ox_ctx_memory_peak(ctx) - heap, 1 << 20);
    ck_assert_uint_lt(peak() - all, each);
    ox_model_free(m);
}
END_TEST

/* ---- .npz ------------------------------------------------------------------------------------ */

START_TEST(tensors_come_back_from_npz) {
    struct ox_model *m = parse("g () => () <float[2,3] f = {1,2,3,4,5,6}, int64 i = {-7}, bool[3] "
                               "b = {1,0,1}, float16[1] h = {1.5}, uint8[0,2] e = {},\n"
                               "double[1,1,1,1] d = {0.1}> { }");
    const char *names[6];
    const ox_tensor *tensors[6];
    for (size_t i = 0; i < 6; i++) {
        names[i] = m->graph->inits[i]->name->text;
        tensors[i] = m->graph->inits[i]->init;
    }
    names[1] = "a/../x:0";
    ck_assert_int_eq(ox_npz_save(ctx, at("t.npz"), 6, names, tensors), OX_OK);
    ck_assert_int_eq(entries(false), 1);
    ox_tensor_file *file;
    ck_assert_msg(ox_tensor_file_open(&file, ctx, at("t.npz")) == OX_OK, "%s", error_text);
    ck_assert_uint_eq(ox_tensor_file_count(file), 6);
    names[1] = "a/__/x:0";
    for (size_t i = 0; i < 6; i++) {
        ox_tensor *t;
        ck_assert_str_eq(ox_tensor_file_name(file, i), names[i]);
        ck_assert_int_eq(ox_tensor_file_read(&t, file, i), OX_OK);
        ck_assert(ox_tensor_equal(t, tensors[i]));
        ox_tensor_unref(t);
    }
    ox_tensor_file_close(file);
    ox_model_free(m);
}
END_TEST

START_TEST(hashes_are_those_of_the_specification) {
    static const struct {
        const char *text;
        uint64_t hash;
    } known[] = {
        {"", 0xEF46DB3751D8E999u},
        {"a", 0xD24EC4F1A98C6E5Bu},
        {"abc", 0x44BC2CF5AD770999u},
    };
    struct ox_hash64 h, parts;
    for (size_t i = 0; i < 3; i++) {
        ox_hash64_init(&h);
        ox_hash64_add(&h, known[i].text, strlen(known[i].text));
        ck_assert_uint_eq(ox_hash64_end(&h), known[i].hash);
    }
    unsigned char data[1000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    ox_hash64_init(&h);
    ox_hash64_add(&h, data, sizeof data);
    for (size_t step = 1; step < 70; step++) {
        ox_hash64_init(&parts);
        for (size_t i = 0; i < sizeof data; i += step)
            ox_hash64_add(&parts, data + i, sizeof data - i < step ? sizeof data - i : step);
        ck_assert_uint_eq(ox_hash64_end(&parts), ox_hash64_end(&h));
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("save");
    TCase *c = tcase_create("save");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_file_is_made_and_replaced);
    tcase_add_test(c, large_files_come_whole);
    tcase_add_test(c, links_are_followed);
    tcase_add_test(c, what_cannot_be_written_is_refused_and_left_alone);
    tcase_add_test(c, permissions_are_respected);
    tcase_add_test(c, devices_and_pipes_are_written_to);
    tcase_add_test(c, a_limit_on_file_size_is_an_error);
    tcase_add_test(c, cancelling_leaves_nothing);
    tcase_add_test(c, a_model_is_saved_and_loaded);
    tcase_add_test(c, weights_go_to_a_second_file_on_demand);
    tcase_add_test(c, a_model_too_large_for_protobuf_gets_a_second_file);
    tcase_add_test(c, data_files_have_harmless_names);
    tcase_add_test(c, weights_are_streamed);
    tcase_add_test(c, tensors_come_back_from_npz);
    tcase_add_test(c, hashes_are_those_of_the_specification);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
