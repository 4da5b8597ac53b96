/* onnxopt/save.h - models and tensors into files, whole or not at all. */
#ifndef ONNXOPT_SAVE_H
#define ONNXOPT_SAVE_H

#include <onnxopt/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ox_save_options {
    size_t size;             /* sizeof(struct ox_save_options) */
    bool external;           /* weights into a second file beside the model, PATH.<hash>.data; done by itself above 2 GiB */
    size_t external_min;     /* smallest tensor in bytes that goes there (1,024 when 0) */
};

/* Writes an ONNX file beside `path` and renames it over `path` once it is complete and on disk: at any time there is the old file or the new one.
 * Same model and options, same bytes. *bytes (may be NULL) gets the bytes written, external data included. */
OX_MUST_USE ox_status ox_model_save(ox_model *model, const char *path, const struct ox_save_options *options, uint64_t *bytes);
/* Writes to an open descriptor (a pipe, say); external data is refused. */
OX_MUST_USE ox_status ox_model_write(ox_model *model, int fd, uint64_t *bytes);

/* Writes named tensors as an .npz file (stored), with the same promise. */
OX_MUST_USE ox_status ox_npz_save(ox_ctx *ctx, const char *path, size_t count, const char *const *names, const ox_tensor *const *tensors);
/* Writes any bytes with the same promise (reports, tables). */
OX_MUST_USE ox_status ox_file_save(ox_ctx *ctx, const char *path, const void *data, size_t size);
/* Removes temporary files of this process; async-signal-safe, for a tool's signal handler. */
void ox_save_abandon(void);

#ifdef __cplusplus
}
#endif
#endif
