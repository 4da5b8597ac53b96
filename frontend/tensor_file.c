/* frontend/tensor_file.c - files of named tensors: .npy, .npz, and .pb (one TensorProto), told
 * apart by content. */
#include "frontend/npy.h"
#include "frontend/npz.h"
#include "frontend/reader_priv.h"
#include <onnxopt/load.h>

enum kind { KIND_NPY, KIND_NPZ, KIND_PB };

struct ox_tensor_file {
    ox_ctx *ctx;
    enum kind kind;
    char *path;
    struct ox_place place;
    struct ox_bytes *bytes;
    struct ox_npz npz;
    ox_tensor *tensor; /* KIND_PB: read when opened */
    char **names;      /* n_names entries */
    size_t n_names;
};

static ox_status add_name(struct ox_tensor_file *f, const char *text, size_t len) {
    OX_TRY(ox_alloc(f->ctx, &f->names[f->n_names], len + 1, 1));
    if (len) memcpy(f->names[f->n_names], text, len);
    f->n_names++;
    return OX_OK;
}

static ox_status open_npz(struct ox_tensor_file *f) {
    OX_TRY(ox_npz_open(&f->npz, f->ctx, f->bytes, &f->place));
    OX_TRY(ox_alloc(f->ctx, &f->names, f->npz.n_members, sizeof *f->names));
    for (size_t i = 0; i < f->npz.n_members; i++)
        OX_TRY(add_name(f, f->npz.members[i].name, f->npz.members[i].name_len));
    return OX_OK;
}

static ox_status open_pb(struct ox_tensor_file *f) {
    struct ox_wire wire;
    struct ox_external external;
    OX_TRY(ox_alloc(f->ctx, &f->names, 1, sizeof *f->names));
    OX_TRY(ox_external_init(&external, f->ctx, NULL, NULL));
    ox_status s = ox_wire_unpack(&wire, f->ctx, &onnx__tensor_proto__descriptor, f->bytes->data,
                                 f->bytes->size, f->path);
    if (s == OX_OK) {
        const Onnx__TensorProto *p = (const Onnx__TensorProto *)wire.root;
        const struct ox_tensor_source source = {f->ctx, &wire, f->bytes, &external, &f->place};
        s = ox_read_tensor(&f->tensor, &source, p);
        if (s == OX_OK) s = add_name(f, p->name, p->name ? strlen(p->name) : 0);
        ox_wire_fini(&wire);
    }
    ox_external_fini(&external);
    return s;
}

static ox_status open_content(struct ox_tensor_file *f, const char *path) {
    size_t len = strlen(path);
    OX_TRY(ox_alloc(f->ctx, &f->path, len + 1, 1));
    memcpy(f->path, path, len);
    f->place.file = f->path;
    OX_TRY(ox_file_map(&f->bytes, f->ctx, path, ox_ctx_limits(f->ctx)->max_file_bytes));
    const unsigned char *data = f->bytes->data;
    size_t size = f->bytes->size;
    if (ox_npz_magic(data, size)) {
        f->kind = KIND_NPZ;
        return open_npz(f);
    }
    if (ox_npy_magic(data, size)) {
        f->kind = KIND_NPY;
        OX_TRY(ox_alloc(f->ctx, &f->names, 1, sizeof *f->names));
        return add_name(f, "", 0);
    }
    if (size == 0) return ox_fail(f->ctx, OX_INVALID, "bad-tensor", &f->place, "the file is empty");
    f->kind = KIND_PB;
    return open_pb(f);
}

ox_status ox_tensor_file_open(ox_tensor_file **out, ox_ctx *ctx, const char *path) {
    struct ox_tensor_file *f;
    OX_TRY(ox_alloc(ctx, &f, 1, sizeof *f));
    f->ctx = ctx;
    f->npz.ctx = ctx;
    ox_status s = open_content(f, path);
    if (s != OX_OK)
        ox_tensor_file_close(f);
    else
        *out = f;
    return s;
}

void ox_tensor_file_close(ox_tensor_file *f) {
    if (!f) return;
    for (size_t i = 0; i < f->n_names; i++)
        ox_free(f->ctx, f->names[i]);
    ox_free(f->ctx, f->names);
    ox_tensor_unref(f->tensor);
    ox_npz_close(&f->npz);
    ox_bytes_unref(f->bytes);
    ox_free(f->ctx, f->path);
    ox_free(f->ctx, f);
}

size_t ox_tensor_file_count(const ox_tensor_file *file) {
    return file->n_names;
}

const char *ox_tensor_file_name(const ox_tensor_file *file, size_t index) {
    return index < file->n_names ? file->names[index] : "";
}

ox_status ox_tensor_file_read(ox_tensor **out, ox_tensor_file *f, size_t index) {
    if (index >= f->n_names)
        return ox_fail(f->ctx, OX_USAGE, "bad-tensor", &f->place, "the file has no tensor %zu",
                       index);
    switch (f->kind) {
    case KIND_NPZ:
        return ox_npz_read(out, &f->npz, index);
    case KIND_NPY:
        return ox_npy_read(out, f->ctx, f->bytes, 0, f->bytes->size, &f->place);
    case KIND_PB:
        *out = ox_tensor_ref(f->tensor);
        return OX_OK;
    }
    return OX_INTERNAL;
}
