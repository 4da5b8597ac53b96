/* tests/fuzz/fuzz_text.c - any bytes as the text form. What parses must print, the print must parse
 * to the same print, and a model that verifies must be written to ONNX, be read, and be written
 * again to the same bytes. */
#include "ir/text/text.h"
#include "tests/fuzz/fuzz_write.h"
#include <onnxopt/load.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) abort();
}

static void check_writing(ox_ctx *ctx, struct ox_model *m) {
    size_t size = 0, size_again = 0;
    ox_model *back = NULL;
    struct ox_load_options o = {.size = sizeof o, .no_check = true};
    unsigned char *once = fuzz_write_model(&size, m);
    if (once && ox_model_load_memory(&back, ctx, once, size, "written", NULL, &o) == OX_OK) {
        unsigned char *twice = fuzz_write_model(&size_again, back);
        require(twice && size == size_again && memcmp(once, twice, size) == 0);
        free(twice);
        ox_model_free(back);
    }
    free(once);
}

static void check_printing(ox_ctx *ctx, const struct ox_model *m) {
    char *text, *again;
    size_t len, len_again;
    struct ox_model *back = NULL;
    if (ox_text_print(&text, &len, m, NULL) != OX_OK) return; /* names clash */
    if (!strstr(text, "{...}")) {
        require(ox_text_parse(&back, ctx, text, len, "printed") == OX_OK);
        require(ox_text_print(&again, &len_again, back, NULL) == OX_OK);
        require(len == len_again && memcmp(text, again, len) == 0);
        ox_free(ctx, again);
        ox_model_free(back);
    }
    ox_free(ctx, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ox_ctx *ctx;
    struct ox_model *m = NULL;
    struct ox_ctx_options o = {
        .size = sizeof o, .threads = 1, .limits.max_memory = (size_t)256 << 20};
    if (ox_ctx_new(&ctx, &o) != OX_OK) return 0;
    if (ox_text_parse(&m, ctx, (const char *)data, size, "fuzz") == OX_OK) {
        check_printing(ctx, m);
        if (ox_model_verify(m) == OX_OK) check_writing(ctx, m);
        ox_model_free(m);
        m = NULL;
    }
    if (ox_text_parse_body(&m, ctx, (const char *)data, size, 17, "fuzz") == OX_OK)
        ox_model_free(m);
    require(ox_ctx_memory(ctx) == 0);
    ox_ctx_free(ctx);
    return 0;
}
