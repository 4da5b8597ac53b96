/* ir/base/bytes.c - see bytes.h. */
#include "ir/base/bytes.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

ox_status ox_bytes_new_raw(struct ox_bytes **out, ox_ctx *ctx, size_t size) {
    struct ox_bytes *b;
    OX_TRY(ox_alloc(ctx, &b, 1, sizeof *b));
    ox_status s = ox_alloc_raw(ctx, &b->data, size, 1);
    if (s != OX_OK) {
        ox_free(ctx, b);
        return s;
    }
#ifndef NDEBUG
    memset(b->data, 0xa5, size);
#endif
    b->ctx = ctx;
    b->refs = 1;
    b->size = size;
    *out = b;
    return OX_OK;
}

ox_status ox_bytes_new(struct ox_bytes **out, ox_ctx *ctx, size_t size) {
    OX_TRY(ox_bytes_new_raw(out, ctx, size));
    memset((*out)->data, 0, size);
    return OX_OK;
}

ox_status ox_bytes_map(struct ox_bytes **out, ox_ctx *ctx, int fd, size_t size, const char *path) {
    struct ox_bytes *b;
    struct ox_place place = {.file = path};
    size_t len = strlen(path) + 1;
    OX_TRY(ox_alloc(ctx, &b, 1, sizeof *b));
    ox_status s = ox_alloc(ctx, &b->path, len, 1);
    if (s != OX_OK) {
        ox_free(ctx, b);
        return s;
    }
    memcpy(b->path, path, len);
    b->ctx = ctx;
    b->refs = 1;
    b->size = size;
    b->mapped = true;
    if (size > 0) {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            s = ox_fail(ctx, errno == ENOMEM ? OX_NOMEM : OX_IO, "cannot-map", &place,
                        "cannot map the file: %s", strerror(errno));
            ox_free(ctx, b->path);
            ox_free(ctx, b);
            return s;
        }
        b->data = p;
    }
    *out = b;
    return OX_OK;
}

ox_status ox_bytes_lend(struct ox_bytes **out, ox_ctx *ctx, const void *data, size_t size) {
    struct ox_bytes *b;
    OX_TRY(ox_alloc(ctx, &b, 1, sizeof *b));
    *b = (struct ox_bytes){.ctx = ctx,
                           .refs = 1,
                           .data = (unsigned char *)(uintptr_t)data,
                           .size = size,
                           .lent = true};
    *out = b;
    return OX_OK;
}

struct ox_bytes *ox_bytes_ref(struct ox_bytes *bytes) {
    if (bytes) bytes->refs++;
    return bytes;
}

void ox_bytes_unref(struct ox_bytes *bytes) {
    if (!bytes || --bytes->refs > 0) return;
    if (bytes->lent)
        bytes->data = NULL;
    else if (!bytes->mapped)
        ox_free(bytes->ctx, bytes->data);
    else if (bytes->data)
        munmap(bytes->data, bytes->size);
    ox_free(bytes->ctx, bytes->path);
    ox_free(bytes->ctx, bytes);
}

void ox_bytes_drop(struct ox_bytes *bytes, size_t offset, size_t size) {
    if (!bytes->mapped || size == 0) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (offset + page - 1) / page * page, end = (offset + size) / page * page;
    if (begin < end) (void)madvise(bytes->data + begin, end - begin, MADV_DONTNEED);
}

void ox_unpack_bits(void *bytes, const void *packed, size_t count, ox_dtype dtype) {
    unsigned width = (unsigned)ox_dtype_bits(dtype), per = 8 / width, mask = (1u << width) - 1;
    bool sign = dtype == OX_INT4 || dtype == OX_INT2;
    unsigned top = 1u << (width - 1);
    const unsigned char *in = packed;
    unsigned char *out = bytes;
    for (size_t i = 0; i < count; i++) {
        unsigned v = in[i / per] >> (i % per * width) & mask;
        out[i] = (unsigned char)(sign && (v & top) ? v | ~mask : v);
    }
}

void ox_pack_bits(void *packed, const void *bytes, size_t count, ox_dtype dtype) {
    unsigned width = (unsigned)ox_dtype_bits(dtype), per = 8 / width, mask = (1u << width) - 1;
    const unsigned char *in = bytes;
    unsigned char *out = packed;
    memset(out, 0, (count + per - 1) / per);
    for (size_t i = 0; i < count; i++)
        out[i / per] = (unsigned char)(out[i / per] | (in[i] & mask) << (i % per * width));
}
