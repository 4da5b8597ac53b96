/* backend/file/file_save.c - ox_file_save of onnxopt/save.h. */
#include "backend/file/file_out.h"

#include <onnxopt/save.h>

ox_status ox_file_save(ox_ctx *ctx, const char *path, const void *data, size_t size) {
    struct ox_file_out out;
    OX_TRY(ox_file_out_open(&out, ctx, path));
    out.total = size;
    ox_status status = ox_file_out_write(&out, data, size);
    if (status == OX_OK) status = ox_file_out_commit(&out, NULL);
    ox_file_out_abort(&out);
    return status;
}
