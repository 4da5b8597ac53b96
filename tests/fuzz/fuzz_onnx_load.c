/* fuzz_onnx_load.c - a model from hostile bytes: read, verify, infer; what is accepted is written
 * and read again and again, with the same bytes. Leaks and unbounded memory are failures too. */
#include "tests/fuzz/fuzz_wire.h"
#include "tests/fuzz/fuzz_write.h"

#include <onnx-ml.pb-c.h>
#include <onnxopt/load.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static void must(bool ok) {
    if (!ok) abort();
}

/* The model that these bytes are; frees them. */
static ox_model *read_again(ox_ctx *ctx, unsigned char *bytes, size_t size) {
    ox_model *model;
    struct ox_load_options options = {.size = sizeof options, .no_check = true};
    must(ox_model_load_memory(&model, ctx, bytes, size, "written", NULL, &options) == OX_OK);
    free(bytes);
    return model;
}

/* What was read is written and read again. The first writing may bring things to their usual place
 * (the documentation of an initializer that old models list as an input), and adds an Identity
 * where a name is listed as an output twice; from then on the bytes must stay the same. */
static void round_trip(ox_ctx *ctx, ox_model *model) {
    size_t size = 0, size_again = 0;
    struct ox_model_stats a, b;
    unsigned char *bytes = fuzz_write_model(&size, model), *again;
    if (!bytes) return;
    ox_model *second = read_again(ctx, bytes, size), *third;
    must(ox_model_stats(&a, model) == OX_OK && ox_model_stats(&b, second) == OX_OK);
    must(a.nodes <= b.nodes && a.constants == b.constants && a.parameters == b.parameters);
    must(a.subgraphs == b.subgraphs && a.functions == b.functions);
    bytes = fuzz_write_model(&size, second);
    must(bytes != NULL);
    again = malloc(size + 1);
    memcpy(again, bytes, size);
    third = read_again(ctx, bytes, size);
    bytes = fuzz_write_model(&size_again, third);
    must(bytes && size == size_again && memcmp(bytes, again, size) == 0);
    free(bytes);
    free(again);
    ox_model_free(second);
    ox_model_free(third);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ox_ctx_options options = {
        .size = sizeof options, .threads = 1, .limits.max_memory = (size_t)1 << 30};
    ox_ctx *ctx;
    ox_model *model;
    must(ox_ctx_new(&ctx, &options) == OX_OK);
    if (ox_model_load_memory(&model, ctx, data, size, "fuzz", NULL, NULL) == OX_OK) {
        round_trip(ctx, model);
        ox_model_free(model);
    }
    must(ox_ctx_memory(ctx) == 0);
    ox_ctx_free(ctx);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    return fuzz_wire_mutate(data, size, max_size, seed, &onnx__model_proto__descriptor);
}
