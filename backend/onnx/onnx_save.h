/* backend/onnx/onnx_save.h - saving with the size limit of protobuf as a parameter, so that tests
 * can lower it. */
#ifndef OX_BACKEND_ONNX_ONNX_SAVE_H
#define OX_BACKEND_ONNX_ONNX_SAVE_H

#include <onnxopt/save.h>

#define OX_ONNX_SIZE_MAX ((uint64_t)INT32_MAX) /* protobuf readers refuse larger messages */

/* As ox_model_save; a message of more than `limit` bytes gets external data. */
OX_MUST_USE ox_status ox_onnx_save(ox_model *model, const char *path,
                                   const struct ox_save_options *options, uint64_t limit,
                                   uint64_t *bytes);

#endif
