/* fuzz_tensor_file.c - arrays from hostile bytes: .npy, .npz and TensorProto, told apart by content
 * as in a file. */
#include "frontend/npy.h"
#include "frontend/npz.h"
#include "frontend/reader_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

/* Every byte that a tensor claims to have is read. */
static void touch(ox_tensor *t) {
    volatile unsigned char sum = 0;
    for (size_t i = 0; i<t->size; i += t->size> 4096 ? 61 : 1)
        sum = (unsigned char)(sum + ((const unsigned char *)t->data)[i]);
    if (t->size) sum = (unsigned char)(sum + ((const unsigned char *)t->data)[t->size - 1]);
    ox_tensor_unref(t);
}

static void read_npz(ox_ctx *ctx, struct ox_bytes *bytes) {
    struct ox_npz z;
    ox_tensor *t;
    if (ox_npz_open(&z, ctx, bytes, NULL) != OX_OK) return;
    for (size_t i = 0; i < z.n_members; i++)
        if (ox_npz_read(&t, &z, i) == OX_OK) touch(t);
    ox_npz_close(&z);
}

static void read_pb(ox_ctx *ctx, struct ox_bytes *bytes) {
    struct ox_wire wire;
    struct ox_external external;
    ox_tensor *t;
    if (ox_wire_unpack(&wire, ctx, &onnx__tensor_proto__descriptor, bytes->data, bytes->size,
                       "fuzz") != OX_OK)
        return;
    must(ox_external_init(&external, ctx, NULL, NULL) == OX_OK);
    const struct ox_tensor_source source = {ctx, &wire, bytes, &external, NULL};
    if (ox_read_tensor(&t, &source, (const Onnx__TensorProto *)wire.root) == OX_OK) touch(t);
    ox_external_fini(&external);
    ox_wire_fini(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ox_ctx_options options = {
        .size = sizeof options, .threads = 1, .limits.max_memory = (size_t)256 << 20};
    ox_ctx *ctx;
    struct ox_bytes *bytes;
    ox_tensor *t;
    must(ox_ctx_new(&ctx, &options) == OX_OK);
    must(ox_bytes_new(&bytes, ctx, size) == OX_OK);
    if (size) memcpy(bytes->data, data, size);
    if (ox_npz_magic(data, size)) {
        read_npz(ctx, bytes);
    } else if (ox_npy_magic(data, size)) {
        if (ox_npy_read(&t, ctx, bytes, 0, size, NULL) == OX_OK) touch(t);
    } else {
        read_pb(ctx, bytes);
    }
    ox_bytes_unref(bytes);
    must(ox_ctx_memory(ctx) == 0);
    ox_ctx_free(ctx);
    return 0;
}
