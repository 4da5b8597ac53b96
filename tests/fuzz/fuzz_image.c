/* fuzz_image.c - images from hostile bytes, and what preprocessing makes of them. Little memory,
 * because a few bytes can ask for many pixels and filling them only takes time. */
#include "frontend/preprocess.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ox_ctx_options options = {
        .size = sizeof options, .threads = 1, .limits.max_memory = (size_t)4 << 20};
    struct ox_prep_target target = {
        .name = "x", .dtype = OX_FLOAT, .rank = 4, .dims = {1, 3, 8, 8}};
    ox_ctx *ctx;
    struct ox_image image;
    struct ox_prep prep;
    ox_tensor *t;
    must(ox_ctx_new(&ctx, &options) == OX_OK);
    must(ox_prep_parse(&prep, ctx, "resize=9,crop=8,mean=1:2:3") == OX_OK &&
         ox_prep_plan(&target, ctx, &prep) == OX_OK);
    if (ox_image_read(&image, ctx, data, size, NULL) == OX_OK) {
        must(image.width * image.height <= OX_IMAGE_PIXELS_MAX &&
             (image.channels == 1 || image.channels == 3));
        if (ox_prep_image(&t, ctx, &prep, &target, &image, NULL) == OX_OK) ox_tensor_unref(t);
    }
    must(ox_ctx_memory(ctx) == 0);
    ox_ctx_free(ctx);
    return 0;
}
