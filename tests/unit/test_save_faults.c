/* tests/unit/test_save_faults.c - saving when things go wrong: each system call failing in turn,
 * short and interrupted writes, the order in which a power loss would find things on disk, and
 * SIGKILL at any time.
 *
 * The calls are intercepted at link time (--wrap). Whatever happens, the old file or the new one is
 * there, whole, and nothing else. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- faults ---------------------------------------------------------------------------------- */

static struct {
    bool on;
    int calls;   /* so far */
    int fail_at; /* this call fails ... */
    bool sticky; /* ... and all after it */
    int error;
    bool trickle;     /* a write takes one byte, and every other one is interrupted */
    bool dirty[1024]; /* by descriptor: written to and not synced */
    int renames, unsynced;
} fault;

static bool fails(void) {
    if (!fault.on) return false;
    fault.calls++;
    if (!fault.fail_at ||
        (fault.sticky ? fault.calls < fault.fail_at : fault.calls != fault.fail_at))
        return false;
    errno = fault.error;
    return true;
}

static void note_naming(void) {
    for (size_t i = 0; i < sizeof fault.dirty / sizeof *fault.dirty; i++)
        fault.unsynced += fault.dirty[i];
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __real_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...);

ssize_t __wrap_write(int fd, const void *data, size_t size) {
    if (fails()) return -1;
    if (fault.on && fd < 1024) fault.dirty[fd] = true;
    if (fault.trickle && fault.calls % 2) {
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, data, fault.trickle && size ? 1 : size);
}

int __wrap_fsync(int fd) {
    if (fails()) return -1;
    if (fault.on && fd < 1024) fault.dirty[fd] = false;
    return __real_fsync(fd);
}

/* The descriptor is gone even if close fails. */
int __wrap_close(int fd) {
    bool failed = fails();
    int error = errno, result = __real_close(fd);
    if (failed) errno = error;
    return failed ? -1 : result;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to) {
    if (fails()) return -1;
    if (fault.on) note_naming();
    fault.renames++;
    return __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    if (fails()) return -1;
    if (fault.on) note_naming();
    return __real_linkat(from_dir, from, to_dir, to, flags);
}

int __wrap_fchmod(int fd, mode_t mode) {
    return fails() ? -1 : __real_fchmod(fd, mode);
}

int __wrap_openat(int dir, const char *name, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t); /* harmless where none was passed */
    va_end(args);
    return fails() ? -1 : __real_openat(dir, name, flags, mode);
}

/* ---- the folder ------------------------------------------------------------------------------ */

static char folder[64];
static ox_ctx *ctx;

static void setup(void) {
    struct ox_ctx_options o = {.size = sizeof o, .threads = 1};
    memset(&fault, 0, sizeof fault);
    ck_assert_int_eq(ox_ctx_new(&ctx, &o), OX_OK);
    snprintf(folder, sizeof folder, "ox_faults_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *at(const char *name) {
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int count_files(const char *path, bool remove_them) {
    int n = 0;
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        n++;
        if (remove_them) ck_assert_int_eq(unlink(at(e->d_name)), 0);
    }
    closedir(dir);
    return n;
}

static void teardown(void) {
    fault.on = false;
    count_files(folder, true);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_uint_eq(ox_ctx_memory(ctx), 0);
    ox_ctx_free(ctx);
}

static int open_descriptors(void) {
    return count_files("/proc/self/fd", false);
}

enum content { OLD, NEW, BROKEN };

static enum content content_of(const char *path, const char *old_text, const char *new_text) {
    char buf[100] = "";
    FILE *f = fopen(path, "rb");
    if (!f) return BROKEN;
    size_t n = fread(buf, 1, sizeof buf - 1, f);
    fclose(f);
    if (n == strlen(new_text) && memcmp(buf, new_text, n) == 0) return NEW;
    return n == strlen(old_text) && memcmp(buf, old_text, n) == 0 ? OLD : BROKEN;
}

/* ---- one file -------------------------------------------------------------------------------- */

#define TEXT_OLD "what was there before"
#define TEXT_NEW "what is there now, which is longer"

static ox_status save_with_fault(int fail_at, bool sticky, int error) {
    fault.on = false;
    ck_assert_int_eq(ox_file_save(ctx, at("f"), TEXT_OLD, strlen(TEXT_OLD)), OX_OK);
    memset(&fault, 0, sizeof fault);
    fault.fail_at = fail_at;
    fault.sticky = sticky;
    fault.error = error;
    fault.on = true;
    ox_status status = ox_file_save(ctx, at("f"), TEXT_NEW, strlen(TEXT_NEW));
    fault.on = false;
    return status;
}

START_TEST(every_call_may_fail) {
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    ck_assert_int_eq(save_with_fault(0, false, 0), OX_OK);
    int calls = fault.calls, failed = 0, descriptors = open_descriptors();
    ck_assert_int_ge(
        calls,
        8); /* two folders and a file opened, chmod, write, 2 x fsync, link, close, rename ... */
    for (int at_call = 1; at_call <= calls; at_call++)
        for (int i = 0; i < 6; i++) {
            ox_status status = save_with_fault(at_call, i % 2, errors[i / 2]);
            enum content is = content_of(at("f"), TEXT_OLD, TEXT_NEW);
            ck_assert_msg(is != BROKEN, "call %d", at_call);
            ck_assert_msg(status != OX_OK || is == NEW, "call %d: said to be written, and is not",
                          at_call);
            ck_assert_msg(status == OX_OK || status == OX_IO, "call %d: status %d", at_call,
                          (int)status);
            ck_assert_msg(count_files(folder, false) == 1, "call %d: files are left", at_call);
            ck_assert_int_eq(open_descriptors(), descriptors);
            failed += status != OX_OK;
        }
    ck_assert_int_gt(failed, calls * 3);
}
END_TEST

START_TEST(short_and_interrupted_writes_are_continued) {
    memset(&fault, 0, sizeof fault);
    fault.on = fault.trickle = true;
    ck_assert_int_eq(ox_file_save(ctx, at("f"), TEXT_NEW, strlen(TEXT_NEW)), OX_OK);
    fault.on = false;
    ck_assert_int_eq(content_of(at("f"), TEXT_OLD, TEXT_NEW), NEW);
    ck_assert_int_gt(fault.calls, 2 * (int)strlen(TEXT_NEW));
}
END_TEST

START_TEST(bytes_are_on_disk_before_they_get_a_name) {
    ck_assert_int_eq(save_with_fault(0, false, 0), OX_OK);
    ck_assert_int_eq(fault.renames, 1);
    ck_assert_int_eq(fault.unsynced, 0);
}
END_TEST

/* ---- a model with external data -------------------------------------------------------------- */

static struct ox_model *model(float value) {
    const char *text = "g (x) => (y) { y = com.x.Foo (x) }";
    struct ox_model *m = NULL;
    void *data;
    ox_tensor *t;
    struct ox_value *v;
    const int64_t dims[] = {500};
    ck_assert_int_eq(ox_text_parse(&m, ctx, text, strlen(text), "test"), OX_OK);
    ck_assert_int_eq(ox_tensor_new(&t, &data, ctx, OX_FLOAT, 1, dims), OX_OK);
    for (int i = 0; i < 500; i++)
        ((float *)data)[i] = value;
    ck_assert_int_eq(ox_model_name(&m->producer, m, "w", 1), OX_OK);
    ck_assert_int_eq(ox_graph_add_init(&v, m->graph, m->producer, t), OX_OK);
    ck_assert_int_eq(ox_node_add_input(m->graph->first, v), OX_OK);
    return m;
}

static bool file_holds(const char *path, const struct ox_model *expected) {
    ox_model *m = NULL;
    struct ox_load_options o = {.size = sizeof o, .no_check = true};
    bool same = ox_model_load(&m, ctx, path, &o) == OX_OK && !model_difference(expected, m);
    ox_model_free(m);
    return same;
}

START_TEST(two_files_are_exchanged_as_one) {
    struct ox_model *was = model(1), *is = model(2);
    struct ox_save_options o = {.size = sizeof o, .external = true};
    int calls = 1;
    for (int at_call = 0; at_call <= calls; at_call++)
        for (int sticky = 0; sticky < 2; sticky++) {
            fault.on = false;
            count_files(folder, true);
            ck_assert_int_eq(ox_model_save(was, at("m.onnx"), &o, NULL), OX_OK);
            ck_assert_int_eq(count_files(folder, false), 2);
            memset(&fault, 0, sizeof fault);
            fault.fail_at = at_call;
            fault.sticky = sticky;
            fault.error = ENOSPC;
            fault.on = true;
            ox_status status = ox_model_save(is, at("m.onnx"), &o, NULL);
            fault.on = false;
            if (at_call == 0) {
                calls = fault.calls;
                ck_assert_int_eq(status, OX_OK);
                ck_assert_int_eq(fault.renames, 2);
                ck_assert_int_eq(fault.unsynced, 0);
            }
            bool old_there = file_holds(at("m.onnx"), was),
                 new_there = file_holds(at("m.onnx"), is);
            ck_assert_msg(old_there != new_there, "call %d: neither the old model nor the new one",
                          at_call);
            ck_assert_msg(status != OX_OK || new_there, "call %d: said to be written, and is not",
                          at_call);
            ck_assert_msg(status == OX_OK || status == OX_IO, "call %d: status %d", at_call,
                          (int)status);
            ck_assert_msg(count_files(folder, false) == (new_there ? 3 : 2),
                          "call %d: files are left", at_call);
        }
    ck_assert_int_gt(calls, 12);
    ox_model_free(was);
    ox_model_free(is);
}
END_TEST

/* ---- out of memory --------------------------------------------------------------------------- */

struct scarce {
    size_t calls, fail_at;
    bool sticky;
};

static void *scarce_alloc(void *user, size_t size) {
    struct scarce *s = user;
    s->calls++;
    bool fail = s->fail_at && (s->sticky ? s->calls >= s->fail_at : s->calls == s->fail_at);
    return fail ? NULL : malloc(size);
}

static void *scarce_resize(void *user, void *p, size_t size) {
    (void)user;
    return realloc(p, size);
}

static void scarce_free(void *user, void *p) {
    (void)user;
    free(p);
}

static const char model_text[] =
    "<ir_version: 8, opset_import: [\"\" : 17, \"com.x\" : 1], metadata_props: [\"k\" : \"v\"]>\n"
    "g (bool c, float[N,3] x) => (float[N,3] y)\n"
    "<float[300] w = {WEIGHTS}, string[1] s = {\"a\\\"\"}>\n"
    "{ t, \"\", u = com.x.Foo <a = [1, 2.5], b = [\"p\"], d = [float {1}], f = float[2,N]> (x, , "
    "w)\n"
    "  y = If (c) <then_branch = g () => (r) { r = Neg (t) }> }\n"
    "<domain: \"com.x\", opset_import: [\"\" : 17]> Foo <z, a : ints = [1]> (p, q, o) => (v, h, "
    "i)\n"
    "{ v = Neg (p) h = Neg (v) i = Neg (h) }\n";

static char *weighty_text(void) {
    char *text = malloc(10000), *put = text;
    const char *gap = strstr(model_text, "WEIGHTS");
    memcpy(put, model_text, (size_t)(gap - model_text));
    put += gap - model_text;
    for (int i = 0; i < 300; i++)
        put += snprintf(put, 10, i ? ", %d" : "%d", i);
    snprintf(put, 2000, "%s", gap + 7);
    return text;
}

/* Text to model, to text, to a file with and without external data. */
static ox_status whole_way(ox_ctx *c, const char *text) {
    struct ox_model *m = NULL;
    char *printed = NULL;
    struct ox_save_options external = {.size = sizeof external, .external = true};
    ox_status status = ox_text_parse(&m, c, text, strlen(text), "text");
    if (status == OX_OK) status = ox_text_print(&printed, NULL, m, NULL);
    if (status == OX_OK) status = ox_model_save(m, at("f"), NULL, NULL);
    if (status == OX_OK) status = ox_model_save(m, at("m.onnx"), &external, NULL);
    ox_free(c, printed);
    ox_model_free(m);
    return status;
}

static ox_status way_with(struct scarce *s, const char *text) {
    struct ox_allocator a = {s, scarce_alloc, scarce_resize, scarce_free};
    struct ox_ctx_options o = {.size = sizeof o, .threads = 1, .allocator = &a};
    ox_ctx *c;
    s->calls = 0;
    ox_status status = ox_ctx_new(&c, &o);
    if (status != OX_OK) return status;
    status = whole_way(c, text);
    ck_assert_uint_eq(ox_ctx_memory(c), 0);
    ox_ctx_free(c);
    return status;
}

START_TEST(every_allocation_may_fail) {
    char *text = weighty_text();
    int descriptors = open_descriptors();
    struct scarce s = {0};
    ck_assert_int_eq(way_with(&s, text), OX_OK);
    size_t n = s.calls;
    ck_assert_uint_gt(n, 100);
    for (s.fail_at = 1; s.fail_at <= n; s.fail_at++)
        for (int sticky = 0; sticky < 2; sticky++) {
            s.sticky = sticky;
            ck_assert_int_eq(way_with(&s, text), OX_NOMEM);
            ck_assert_int_eq(open_descriptors(), descriptors);
            ck_assert_int_eq(count_files(folder, false), 3); /* those of the first run */
        }
    free(text);
}
END_TEST

/* ---- killed ---------------------------------------------------------------------------------- */

enum { ROUNDS = 200, SIZE = 300000 };

/* Saves one content after the other until it is killed. */
static void save_for_ever(const char *path) {
    unsigned char *data = malloc(SIZE);
    if (!data) _exit(1);
    for (unsigned i = 0;; i++) {
        size_t size = i % 2 ? SIZE : SIZE / 2;
        memset(data, i % 2 ? 'n' : 'o', size);
        if (ox_file_save(ctx, path, data, size) != OX_OK) _exit(1);
    }
}

static bool is_whole(const char *path) {
    static unsigned char data[SIZE + 1];
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    if (n != SIZE && n != SIZE / 2) return false;
    for (size_t i = 0; i < n; i++)
        if (data[i] != (n == SIZE ? 'n' : 'o')) return false;
    return true;
}

START_TEST(killed_at_any_time_a_whole_file_is_there) {
    unsigned seed = 12345;
    int left = 0;
    unsigned char *data = calloc(1, SIZE);
    memset(data, 'n', SIZE);
    ck_assert_int_eq(ox_file_save(ctx, at("f"), data, SIZE), OX_OK);
    free(data);
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child = fork();
        /* Before any check: each check reports to the test runner through a shared file, and a
         * child killed halfway through its report would garble it. */
        if (child == 0) save_for_ever(at("f"));
        ck_assert_int_gt(child, 0);
        seed = seed * 1664525u + 1013904223u;
        nanosleep(&(struct timespec){0, (long)(seed >> 8) % 12000000}, NULL);
        int status;
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "saving failed in round %d", i);
        ck_assert_msg(is_whole(at("f")), "round %d", i);
    }
    left = count_files(folder, false) - 1;
#ifdef __linux__
    /* Only a kill between two neighbouring calls leaves a name behind (file systems without
     * O_TMPFILE aside). */
    if (left > ROUNDS / 10) fprintf(stderr, "%d of %d kills left a file\n", left, ROUNDS);
#endif
    ck_assert_int_le(left, ROUNDS);
}
END_TEST

int main(void) {
    Suite *s = suite_create("save_faults");
    TCase *c = tcase_create("save_faults");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, every_call_may_fail);
    tcase_add_test(c, short_and_interrupted_writes_are_continued);
    tcase_add_test(c, bytes_are_on_disk_before_they_get_a_name);
    tcase_add_test(c, two_files_are_exchanged_as_one);
    tcase_add_test(c, every_allocation_may_fail);
    tcase_add_test(c, killed_at_any_time_a_whole_file_is_there);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
