/* backend/onnx/onnx_save.c - models into files: ox_model_save and ox_model_write.
 *
 * With external data there are two files. The data file is written first, because the model names
 * it by its content; both are on disk before either gets its name; the data file gets its name
 * first. So the old model with its old data stays whole until the new model replaces it, and a data
 * file is never changed, only replaced by its equal. */
#include "backend/onnx/onnx_save.h"

#include "backend/file/file_out.h"
#include "backend/onnx/encode.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { EXTERNAL_MIN = 1024 };

struct saver {
    struct ox_model *model;
    struct ox_naming naming;
    struct ox_wire_out wire;
    struct ox_external_plan plan;
    struct ox_file_out file, data;
    uint64_t limit;
    size_t external_min;
};

static ox_status encode(struct saver *s, const struct ox_external_plan *plan) {
    ox_wire_out_fini(&s->wire);
    return ox_encode_model(&s->wire, s->model, &s->naming, plan);
}

static ox_status write_message(struct saver *s) {
    for (size_t i = s->wire.n_pieces; i-- > 0;) {
        const struct ox_piece *p = &s->wire.pieces[i];
        if (p->tensor)
            OX_TRY(ox_file_out_tensor(&s->file, p->tensor));
        else
            OX_TRY(ox_file_out_write(&s->file, p->data, p->size));
    }
    return OX_OK;
}

/* ---- external data --------------------------------------------------------------------------- */

/* BASE.<hash>.data. The name is ours to choose, so it is plain ASCII that any system and any reader
 * takes; it never comes from the input model. */
static ox_status name_data(struct saver *s, uint64_t hash) {
    size_t size = OX_FILE_NAME_MAX + 1;
    OX_TRY(ox_alloc(s->model->ctx, &s->plan.location, size, 1));
    snprintf(s->plan.location, size, "%.200s.%016" PRIx64 ".data", s->file.base, hash);
    for (char *c = s->plan.location; *c; c++)
        if (*c < 0x20 || *c == 0x7f || *c == '\\' || *c == ':' || (unsigned char)*c >= 0x80)
            *c = '_';
    return OX_OK;
}

static ox_status write_data(struct saver *s) {
    struct ox_hash64 hash;
    OX_TRY(ox_file_out_beside(&s->data, &s->file));
    ox_hash64_init(&hash);
    s->data.hash = &hash;
    s->data.total = s->plan.size;
    for (size_t i = 0; i < s->plan.n_places; i++) {
        OX_TRY(ox_file_out_zeros(&s->data, s->plan.places[i].offset - s->data.written));
        OX_TRY(ox_file_out_tensor(&s->data, s->plan.places[i].tensor));
    }
    s->data.hash = NULL;
    return name_data(s, ox_hash64_end(&hash));
}

/* Names both files, data first. A data file that was not there before is taken away again if the
 * model fails. */
static ox_status commit_both(struct saver *s) {
    struct stat st;
    int dir = fcntl(s->file.dir, F_DUPFD_CLOEXEC, 0);
    if (dir < 0) return ox_fail(s->model->ctx, OX_IO, "file", NULL, "no descriptor is free");
    bool is_new = fstatat(dir, s->plan.location, &st, AT_SYMLINK_NOFOLLOW) != 0;
    ox_status status = ox_file_out_sync(&s->data);
    if (status == OX_OK) status = ox_file_out_sync(&s->file);
    if (status == OX_OK) status = ox_file_out_commit(&s->data, s->plan.location);
    if (status == OX_OK) status = ox_file_out_commit(&s->file, NULL);
    if (is_new && s->data.named && !s->file.named) (void)unlinkat(dir, s->plan.location, 0);
    close(dir);
    return status;
}

static ox_status save_external(struct saver *s, uint64_t *bytes) {
    if (s->file.stream)
        return ox_fail(s->model->ctx, OX_UNSUPPORTED, "external-data",
                       &(struct ox_place){.file = s->file.path},
                       "a pipe or device cannot carry external data");
    OX_TRY(write_data(s));
    OX_TRY(encode(s, &s->plan));
    if (s->wire.size > s->limit)
        return ox_fail(s->model->ctx, OX_UNSUPPORTED, "too-large", NULL,
                       "the model has %" PRIu64
                       " bytes without its weights, which is too much for protobuf",
                       s->wire.size);
    s->file.total = s->wire.size;
    OX_TRY(write_message(s));
    *bytes = s->plan.size + s->wire.size;
    return commit_both(s);
}

static ox_status save_inline(struct saver *s, uint64_t *bytes) {
    s->file.total = *bytes = s->wire.size;
    OX_TRY(write_message(s));
    return ox_file_out_commit(&s->file, NULL);
}

/* ---- saving ---------------------------------------------------------------------------------- */

static ox_status save(struct saver *s, bool external, uint64_t *bytes) {
    if (!external) {
        OX_TRY(encode(s, NULL));
        if (s->wire.size <= s->limit) return save_inline(s, bytes);
        ox_report(s->model->ctx, OX_NOTE, "external-data", NULL,
                  "the model has %" PRIu64 " bytes, so its weights go to a second file",
                  s->wire.size);
    }
    OX_TRY(ox_external_plan_init(&s->plan, s->model, s->external_min));
    if (s->plan.n_places) return save_external(s, bytes);
    OX_TRY(encode(s, NULL)); /* no tensor is large enough */
    if (s->wire.size <= s->limit) return save_inline(s, bytes);
    return ox_fail(s->model->ctx, OX_UNSUPPORTED, "too-large", NULL,
                   "the model has %" PRIu64 " bytes, which is too much for protobuf", s->wire.size);
}

static ox_status saver_init(struct saver *s, struct ox_model *model, uint64_t limit,
                            size_t external_min) {
    *s = (struct saver){.model = model,
                        .limit = limit,
                        .external_min = external_min,
                        .data = {.ctx = model->ctx, .dir = -1, .fd = -1}};
    s->plan.ctx = model->ctx;
    ox_wire_out_init(&s->wire, model->ctx);
    ox_ptr_map_init(&s->plan.by_data, model->ctx);
    return ox_naming_init(&s->naming, model);
}

static void saver_fini(struct saver *s) {
    ox_naming_fini(&s->naming);
    ox_wire_out_fini(&s->wire);
    ox_external_plan_fini(&s->plan);
    ox_file_out_abort(&s->data);
    ox_file_out_abort(&s->file);
}

ox_status ox_onnx_save(ox_model *model, const char *path, const struct ox_save_options *options,
                       uint64_t limit, uint64_t *bytes) {
    struct ox_save_options o = {0};
    struct saver s;
    uint64_t total = 0;
    if (options) memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    OX_TRY(saver_init(&s, model, limit, o.external_min ? o.external_min : EXTERNAL_MIN));
    ox_status status = ox_file_out_open(&s.file, model->ctx, path);
    if (status == OX_OK) status = save(&s, o.external, &total);
    saver_fini(&s);
    if (status == OX_OK && bytes) *bytes = total;
    return status;
}

static ox_status save_text(ox_model *model, const char *path, uint64_t *bytes) {
    char *text;
    size_t len;
    OX_TRY(ox_model_text(&text, &len, model, 0));
    ox_status status = ox_file_save(model->ctx, path, text, len);
    ox_text_free(model->ctx, text);
    if (status == OX_OK && bytes) *bytes = len;
    return status;
}

ox_status ox_model_save(ox_model *model, const char *path, const struct ox_save_options *options,
                        uint64_t *bytes) {
    static const char ending[] = ".onnxtxt";
    size_t len = strlen(path);
    if (len >= sizeof ending - 1 && strcmp(path + len - (sizeof ending - 1), ending) == 0)
        return save_text(model, path, bytes);
    return ox_onnx_save(model, path, options, OX_ONNX_SIZE_MAX, bytes);
}

ox_status ox_model_write(ox_model *model, int fd, uint64_t *bytes) {
    struct saver s;
    uint64_t total = 0;
    OX_TRY(saver_init(&s, model, OX_ONNX_SIZE_MAX, EXTERNAL_MIN));
    ox_status status = ox_file_out_stream(&s.file, model->ctx, fd, "standard output");
    if (status == OX_OK) status = save(&s, false, &total);
    saver_fini(&s);
    if (status == OX_OK && bytes) *bytes = total;
    return status;
}
