/* onnxopt/load.h - files into models, tensors and data sets. Every byte of a file is untrusted. */
#ifndef ONNXOPT_LOAD_H
#define ONNXOPT_LOAD_H

#include <onnxopt/dataset.h>
#include <onnxopt/model.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ox_load_options {
    size_t size;             /* sizeof(struct ox_load_options) */
    const char *links_under; /* external data may be reached through links that stay beneath this
                                folder; NULL: no links */
    bool no_check;           /* skip verification and type inference (for tools that only look) */
};

/* Reads an ONNX model: .onnx protobuf, or the text form when the name ends in .onnxtxt. Weights
 * stay in the mapped file, which must not change meanwhile. External data is looked for beneath the
 * file's folder only. The result is verified and its types are inferred. */
OX_MUST_USE ox_status ox_model_load(ox_model **out, ox_ctx *ctx, const char *path,
                                    const struct ox_load_options *options);
/* The same from memory, copied. `name` is for diagnostics; external data beneath `folder` (NULL:
 * refused). */
OX_MUST_USE ox_status ox_model_load_memory(ox_model **out, ox_ctx *ctx, const void *data,
                                           size_t size, const char *name, const char *folder,
                                           const struct ox_load_options *options);

/* A file of named tensors: .npy (one, unnamed), .npz, .pb (TensorProto; one), told apart by
 * content. */
typedef struct ox_tensor_file ox_tensor_file;
OX_MUST_USE ox_status ox_tensor_file_open(ox_tensor_file **out, ox_ctx *ctx, const char *path);
void ox_tensor_file_close(ox_tensor_file *file);
size_t ox_tensor_file_count(const ox_tensor_file *file);
const char *ox_tensor_file_name(const ox_tensor_file *file, size_t index); /* "" when unnamed */
/* Reads one (inflating and checking it). Counted for the caller. */
OX_MUST_USE ox_status ox_tensor_file_read(ox_tensor **out, ox_tensor_file *file, size_t index);

/* Reads a file that holds one value of this kind: OX_SEQUENCE, OX_OPTIONAL, OX_MAP (messages that
 * look alike, so it must be said), or any other for a TensorProto. Counted for the caller. */
OX_MUST_USE ox_status ox_value_file_read(ox_tensor **out, ox_ctx *ctx, const char *path,
                                         ox_dtype kind);

/* How images become input tensors, and how arrays are cut into samples. Zero-initialize for: taken
 * from the model's input. */
struct ox_preprocess {
    size_t size; /* sizeof(struct ox_preprocess) */
    const char *
        spec; /* "resize=256,crop=224,mean=0.485:0.456:0.406,std=0.229:0.224:0.225,scale=255,layout=nchw,colour=rgb";
                 NULL: defaults. Value of an element = (pixel / scale - mean) / std; see
                 frontend/README.md for all keys. */
};

/* Opens samples for a model: a folder (of images, .npy, .npz or .pb files; subfolders named by a
 * class index or in sorted order are classes) or one file (.npz with members named as the model's
 * inputs, or a single array for a single input, whose first dim counts samples; a member "labels",
 * "label" or "y" holds classes). At most `limit` samples (0: all), evenly spread. Types and shapes
 * are checked here against the model's inputs. */
OX_MUST_USE ox_status ox_dataset_open(struct ox_dataset *out, ox_model *model, const char *path,
                                      const struct ox_preprocess *preprocess, size_t limit);
/* The same for whatever has these inputs (a native program, say). optional: n_inputs entries,
 * whether the input has a default. Names of ports must live as long as the data set. */
OX_MUST_USE ox_status ox_dataset_open_ports(struct ox_dataset *out, ox_ctx *ctx, size_t n_inputs,
                                            const struct ox_port *ports, const bool *optional,
                                            const char *path,
                                            const struct ox_preprocess *preprocess, size_t limit);

#ifdef __cplusplus
}
#endif
#endif
