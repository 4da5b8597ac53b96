/* onnxopt/save.h - models and tensors into files, whole or not at all.
 *
 * A file is written beside its target, without a name where the system can do that, and renamed
 * over the target once it is complete and on disk: at any time there is the old file or the new
 * one, and a killed process leaves nothing behind.
 *  - An existing file keeps its permissions; one that may not be written is refused, although it
 * could be replaced.
 *  - A symbolic link is followed, and the file it names is replaced; a link of another user (root
 * excepted) is refused.
 *  - A pipe, terminal or other character device is written to as it stands.
 *  - To stop a write half-way (a signal, say) let the progress hook return false: the call fails
 * with OX_CANCELLED and leaves nothing behind. SIGPIPE and SIGXFSZ are held back while writing and
 * become errors.
 */
#ifndef ONNXOPT_SAVE_H
#define ONNXOPT_SAVE_H

#include <onnxopt/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ox_save_options {
    size_t size;   /* sizeof(struct ox_save_options) */
    bool external; /* weights into a second file beside the model, PATH.<hash>.data; done by itself
                      above 2 GiB */
    size_t external_min; /* smallest tensor in bytes that goes there (1,024 when 0) */
};

/* Writes an ONNX file; the text form, weights included, where the name ends in .onnxtxt (then
 * without options). Same model and options, same bytes. *bytes (may be NULL) gets the bytes
 * written, external data included. */
OX_MUST_USE ox_status ox_model_save(ox_model *model, const char *path,
                                    const struct ox_save_options *options, uint64_t *bytes);
/* Writes to an open descriptor (a pipe, say); external data is refused. */
OX_MUST_USE ox_status ox_model_write(ox_model *model, int fd, uint64_t *bytes);

/* Compiles a model to a native file (.oxb), to be run by onnxopt/runtime.h. Any model that runs
 * with ox_session_run compiles; OX_UNSUPPORTED names the first node that does not. Same model, same
 * bytes. *bytes (may be NULL) gets the bytes written. */
OX_MUST_USE ox_status ox_native_save(ox_model *model, const char *path, uint64_t *bytes);
/* The same into memory, aligned to 64 bytes; the caller frees it with ox_native_free. */
OX_MUST_USE ox_status ox_native_build(void **data, size_t *size, ox_model *model);

struct ox_native_options {
    size_t size;     /* sizeof(struct ox_native_options) */
    bool exact_conv; /* convolutions of floats are sums of products and nothing else: without
                        Winograd's method, which makes 3x3 ones two to three times as fast and
                        rounds otherwise (backend/runtime/winograd.h) */
    size_t n_packed; /* packed weights, see below */
    const struct ox_packed *packed;
};
/* Both with options (NULL: none). */
OX_MUST_USE ox_status ox_native_save_with(ox_model *model, const char *path,
                                          const struct ox_native_options *options, uint64_t *bytes);
OX_MUST_USE ox_status ox_native_build_with(void **data, size_t *size, ox_model *model,
                                           const struct ox_native_options *options);
/* Both with packed weights, `count` blocks in ascending order of steps and parts, for one class of
 * processors: there the file opens without packing. They come from a program that was compiled from
 * this model without them (oxr_packed). */
OX_MUST_USE ox_status ox_native_save_packed(ox_model *model, const char *path, size_t count,
                                            const struct ox_packed *packed, uint64_t *bytes);
OX_MUST_USE ox_status ox_native_build_packed(void **data, size_t *size, ox_model *model,
                                             size_t count, const struct ox_packed *packed);
void ox_native_free(ox_ctx *ctx, void *data);
/* Has the native path steps of its own for this operator (where types and shapes suit)? All others
 * run there, too, by their reference kernel. */
bool ox_native_lowers(const char *domain, const char *op);

/* Writes named tensors as an .npz file (stored), with the same promise. */
OX_MUST_USE ox_status ox_npz_save(ox_ctx *ctx, const char *path, size_t count,
                                  const char *const *names, const ox_tensor *const *tensors);
/* Writes any bytes with the same promise (reports, tables). */
OX_MUST_USE ox_status ox_file_save(ox_ctx *ctx, const char *path, const void *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
