/* ir/text/text_api.c - the text form in the public API (onnxopt/model.h). */
#include "ir/text/text.h"

#include <onnxopt/model.h>

ox_status ox_model_text(char **out, size_t *len, const ox_model *model, size_t max_elements) {
    struct ox_text_options options = {.max_elements = max_elements};
    return ox_text_print(out, len, model, &options);
}

void ox_text_free(ox_ctx *ctx, char *text) {
    ox_free(ctx, text);
}

ox_status ox_model_parse(ox_model **out, ox_ctx *ctx, const char *text, size_t len,
                         const char *name) {
    struct ox_model *model;
    OX_TRY(ox_text_parse(&model, ctx, text, len, name));
    ox_status status = ox_model_verify(model);
    if (status == OX_OK) status = ox_model_infer(model, NULL);
    if (status == OX_OK)
        *out = model;
    else
        ox_model_free(model);
    return status;
}
