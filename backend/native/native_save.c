/* backend/native/native_save.c - compiling a model to a native file, or to the same bytes in
 * memory. */
#include "backend/file/file_out.h"
#include "backend/native/blob_write.h"

#include <onnxopt/save.h>

static struct ox_native_options options_of(const struct ox_native_options *given) {
    struct ox_native_options o = {0};
    if (given) memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    return o;
}

static ox_status with_program(ox_model *model, const struct ox_native_options *given,
                              ox_status (*use)(const struct ox_blob_build *build, void *user),
                              void *user) {
    struct ox_lower lo;
    const struct ox_native_options o = options_of(given);
    struct ox_blob_build build = {.lo = &lo};
    ox_status s = ox_lower_open(&lo, model);
    if (s == OX_OK) s = ox_lower_run(&lo);
    if (s == OX_OK) s = ox_lower_settle(&lo);
    if (s == OX_OK) {
        s = ox_blob_build(&build, &lo, o.exact_conv ? OX_BLOB_DIRECT_FLAG : 0, o.n_packed,
                          o.packed);
        if (s == OX_OK) s = use(&build, user);
        ox_blob_build_end(&build);
    }
    ox_lower_close(&lo);
    return s;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct to_file {
    const char *path;
    uint64_t bytes;
};

static ox_status put_file(void *user, const void *data, size_t size, const ox_tensor *tensor) {
    return tensor ? ox_file_out_tensor(user, tensor) : ox_file_out_write(user, data, size);
}

static ox_status use_file(const struct ox_blob_build *build, void *user) {
    struct to_file *to = user;
    struct ox_file_out out;
    OX_TRY(ox_file_out_open(&out, build->lo->ctx, to->path));
    out.total = to->bytes = build->header.file_size;
    ox_status s = ox_blob_emit(build, put_file, &out);
    if (s == OX_OK) s = ox_file_out_commit(&out, NULL);
    ox_file_out_abort(&out);
    return s;
}

ox_status ox_native_save_with(ox_model *model, const char *path,
                              const struct ox_native_options *options, uint64_t *bytes) {
    struct to_file to = {.path = path};
    OX_TRY(with_program(model, options, use_file, &to));
    if (bytes) *bytes = to.bytes;
    return OX_OK;
}

ox_status ox_native_save(ox_model *model, const char *path, uint64_t *bytes) {
    return ox_native_save_with(model, path, NULL, bytes);
}

ox_status ox_native_save_packed(ox_model *model, const char *path, size_t count,
                                const struct ox_packed *packed, uint64_t *bytes) {
    return ox_native_save_with(model, path,
                               &(struct ox_native_options){.size = sizeof(struct ox_native_options),
                                                           .n_packed = count,
                                                           .packed = packed},
                               bytes);
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct to_memory {
    unsigned char *data;
    size_t size, at;
};

static ox_status put_memory(void *user, const void *data, size_t size, const ox_tensor *tensor) {
    struct to_memory *to = user;
    memcpy(to->data + to->at, tensor ? tensor->data : data, size);
    to->at += size;
    return OX_OK;
}

static ox_status use_memory(const struct ox_blob_build *build, void *user) {
    struct to_memory *to = user;
    to->size = (size_t)build->header.file_size;
    OX_TRY(ox_alloc_raw(build->lo->ctx, &to->data, to->size, 1));
    ox_status s = ox_blob_emit(build, put_memory, to);
    if (s == OX_OK) return OX_OK;
    ox_free(build->lo->ctx, to->data);
    return s;
}

ox_status ox_native_build_with(void **data, size_t *size, ox_model *model,
                               const struct ox_native_options *options) {
    struct to_memory to = {0};
    OX_TRY(with_program(model, options, use_memory, &to));
    *data = to.data;
    *size = to.size;
    return OX_OK;
}

ox_status ox_native_build(void **data, size_t *size, ox_model *model) {
    return ox_native_build_with(data, size, model, NULL);
}

ox_status ox_native_build_packed(void **data, size_t *size, ox_model *model, size_t count,
                                 const struct ox_packed *packed) {
    return ox_native_build_with(
        data, size, model,
        &(struct ox_native_options){
            .size = sizeof(struct ox_native_options), .n_packed = count, .packed = packed});
}

void ox_native_free(ox_ctx *ctx, void *data) {
    ox_free(ctx, data);
}
