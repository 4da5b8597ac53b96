/* file_harness.c - see file_harness.h. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "tests/unit/file_harness.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct front front;

static void on_diag(void *user, const struct ox_diag *d) {
    (void)user;
    front.count++;
    if (d->severity != OX_ERROR) return;
    snprintf(front.id, sizeof front.id, "%s", d->id);
    snprintf(front.text, sizeof front.text, "%s", d->text);
    snprintf(front.file, sizeof front.file, "%s", d->file ? d->file : "");
    snprintf(front.node, sizeof front.node, "%s", d->node ? d->node : "");
    snprintf(front.op, sizeof front.op, "%s", d->op ? d->op : "");
    snprintf(front.graph, sizeof front.graph, "%s", d->graph ? d->graph : "");
    front.offset = (long long)d->offset;
}

void front_begin_with(const struct ox_limits *limits) {
    memset(&front, 0, sizeof front);
    struct ox_ctx_options o = {.size = sizeof o, .on_diag = on_diag, .threads = 1};
    if (limits) o.limits = *limits;
    ck_assert_int_eq(ox_ctx_new(&front.ctx, &o), OX_OK);
    const char *tmp = getenv("TMPDIR");
    snprintf(front.folder, sizeof front.folder, "%s/ox_test_XXXXXX",
             tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(front.folder));
}

void front_begin(void) {
    front_begin_with(NULL);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void front_end(void) {
    nftw(front.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    ck_assert_uint_eq(ox_ctx_memory(front.ctx), 0);
    ox_ctx_free(front.ctx);
}

const char *front_path(const char *name) {
    static char paths[4][512];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", front.folder, name);
    return p;
}

void front_write(const char *name, const void *data, size_t size) {
    FILE *f = fopen(front_path(name), "wb");
    ck_assert_ptr_nonnull(f);
    if (size) ck_assert_uint_eq(fwrite(data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

static ox_status load(ox_model **out, struct pb *model, bool no_check) {
    struct ox_load_options o = {.size = sizeof o, .no_check = no_check};
    ox_model *m = NULL;
    ox_status s =
        ox_model_load_memory(&m, front.ctx, model->data, model->len, "test.onnx", front.folder, &o);
    pb_free(model);
    if (out)
        *out = m;
    else
        ox_model_free(m);
    return s;
}

ox_status front_load(ox_model **out, struct pb *model) {
    return load(out, model, false);
}

ox_status front_read(ox_model **out, struct pb *model) {
    return load(out, model, true);
}
