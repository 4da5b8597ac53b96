/* backend/file/npz_out.c - named tensors as an .npz file: a ZIP archive of .npy members, stored,
 * without time stamps.
 *
 * Types that NumPy lacks are written as what is nearest: 4 and 2 bit integers as bytes with their
 * values, strings as fixed-length bytes (S), narrow floats other than float16 as opaque items (V1,
 * V2) with their bits. */
#include "backend/file/file_out.h"

#include <onnxopt/save.h>
#include <stdio.h>
#include <zlib.h>

enum { HEADER_MAX = 2048, BLOCK = 4096 };
#define ZIP64_FROM 0xffffffffu /* sizes and offsets from here on need the 64-bit fields */

/* What is known of a member when its data has been seen once. */
struct member {
    char header[HEADER_MAX]; /* of the .npy */
    size_t header_size;
    uint64_t data_size, offset;
    uint32_t crc;
};

/* ---- .npy ------------------------------------------------------------------------------------ */

/* The longest string, at least 1. */
static size_t longest(const ox_tensor *t) {
    const struct ox_str *s = t->data;
    size_t max = 1;
    for (size_t i = 0; i < t->count; i++)
        if (s[i].len > max) max = s[i].len;
    return max;
}

static void descr(char *out, size_t size, const ox_tensor *t) {
    /* clang-format off */
    static const struct { ox_dtype dtype; const char *text; } known[] = {
        {OX_FLOAT, "<f4"}, {OX_DOUBLE, "<f8"}, {OX_FLOAT16, "<f2"}, {OX_INT8, "|i1"}, {OX_INT16, "<i2"}, {OX_INT32, "<i4"},
        {OX_INT64, "<i8"}, {OX_UINT8, "|u1"}, {OX_UINT16, "<u2"}, {OX_UINT32, "<u4"}, {OX_UINT64, "<u8"}, {OX_BOOL, "|b1"},
        {OX_COMPLEX64, "<c8"}, {OX_COMPLEX128, "<c16"}, {OX_INT4, "|i1"}, {OX_INT2, "|i1"}, {OX_UINT4, "|u1"}, {OX_UINT2, "|u1"},
        {OX_BFLOAT16, "|V2"},
    };
    /* clang-format on */
    snprintf(out, size, "|V1");
    if (t->dtype == OX_STRING) snprintf(out, size, "|S%zu", longest(t));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].dtype == t->dtype) snprintf(out, size, "%s", known[i].text);
}

/* Magic, version 1.0, length, the dictionary, blanks up to a multiple of 64. */
static void npy_header(struct member *m, const ox_tensor *t) {
    char type[32];
    char *h = m->header;
    descr(type, sizeof type, t);
    size_t n = 10 + (size_t)snprintf(h + 10, HEADER_MAX - 10,
                                     "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(h + n, HEADER_MAX - n,
                              t->rank == 1 ? "%lld,"
                              : i          ? ", %lld"
                                           : "%lld",
                              (long long)t->dims[i]);
    n += (size_t)snprintf(h + n, HEADER_MAX - n, "), }");
    while ((n + 1) % 64)
        h[n++] = ' ';
    h[n++] = '\n';
    memcpy(h, "\x93NUMPY\x01\x00", 8);
    h[8] = (char)((n - 10) & 0xff);
    h[9] = (char)((n - 10) >> 8);
    m->header_size = n;
}

/* Where data goes: into the checksum at first, then into the file. */
struct sink {
    struct ox_file_out *out; /* NULL: only count */
    uLong crc;
    uint64_t size;
};

static ox_status drain(struct sink *s, const void *data, size_t size) {
    const unsigned char *p = data;
    s->size += size;
    if (s->out) return ox_file_out_write(s->out, data, size);
    for (size_t n; size; p += n, size -= n) {
        n = size < 1u << 30 ? size : 1u << 30;
        s->crc = crc32(s->crc, p, (uInt)n);
    }
    return OX_OK;
}

static ox_status drain_strings(struct sink *s, const ox_tensor *t) {
    static const char zeros[64];
    const struct ox_str *strings = t->data;
    size_t width = longest(t);
    for (size_t i = 0; i < t->count; i++) {
        OX_TRY(drain(s, strings[i].ptr, strings[i].len));
        for (size_t pad = width - strings[i].len, n; pad; pad -= n) {
            n = pad < sizeof zeros ? pad : sizeof zeros;
            OX_TRY(drain(s, zeros, n));
        }
    }
    return OX_OK;
}

static ox_status drain_packed(struct sink *s, const ox_tensor *t) {
    unsigned char block[BLOCK];
    size_t per = 8 / (size_t)ox_dtype_bits(t->dtype);
    for (size_t i = 0; i < t->count; i += BLOCK) {
        size_t n = t->count - i < BLOCK ? t->count - i : BLOCK;
        ox_unpack_bits(block, (const unsigned char *)t->data + i / per, n, t->dtype);
        OX_TRY(drain(s, block, n));
    }
    return OX_OK;
}

static ox_status drain_data(struct sink *s, const ox_tensor *t) {
    if (t->dtype == OX_STRING) return drain_strings(s, t);
    if (ox_dtype_bits(t->dtype) < 8) return drain_packed(s, t);
    if (!s->out) return drain(s, t->data, t->size);
    s->size += t->size;
    return ox_file_out_tensor(s->out, t);
}

/* ---- ZIP ------------------------------------------------------------------------------------- */

/* A record being put together: little-endian numbers one behind the other. */
struct record {
    unsigned char bytes[512];
    size_t size;
};

static void number(struct record *r, uint64_t value, size_t width) {
    for (size_t i = 0; i < width; i++)
        r->bytes[r->size++] = (unsigned char)(value >> (8 * i));
}

static uint64_t clamp32(uint64_t value) {
    return value < ZIP64_FROM ? value : ZIP64_FROM;
}

static bool is_large(const struct member *m) {
    return m->header_size + m->data_size >= ZIP64_FROM;
}

/* The fields that the local and the central header share: from the version to the length of the
 * name. */
static void common(struct record *r, const struct member *m, size_t name_len, bool zip64) {
    uint64_t size = m->header_size + m->data_size;
    number(r, zip64 ? 45 : 20, 2); /* version needed */
    number(r, 0x0800, 2);          /* names are UTF-8 */
    number(r, 0, 2);               /* stored */
    number(r, 0, 2);
    number(r, 0x21, 2); /* 1980-01-01, the earliest date there is */
    number(r, m->crc, 4);
    number(r, clamp32(size), 4);
    number(r, clamp32(size), 4);
    number(r, name_len, 2);
}

static ox_status put_local(struct ox_file_out *out, const struct member *m, const char *name,
                           size_t len) {
    struct record r = {.size = 0};
    uint64_t size = m->header_size + m->data_size;
    number(&r, 0x04034b50, 4);
    common(&r, m, len, is_large(m));
    number(&r, is_large(m) ? 20 : 0, 2);
    OX_TRY(ox_file_out_write(out, r.bytes, r.size));
    OX_TRY(ox_file_out_write(out, name, len));
    if (!is_large(m)) return OX_OK;
    r.size = 0;
    number(&r, 1, 2);
    number(&r, 16, 2);
    number(&r, size, 8);
    number(&r, size, 8);
    return ox_file_out_write(out, r.bytes, r.size);
}

static ox_status put_central(struct ox_file_out *out, const struct member *m, const char *name,
                             size_t len) {
    struct record r = {.size = 0}, extra = {.size = 0};
    uint64_t size = m->header_size + m->data_size;
    if (is_large(m)) number(&extra, size, 8), number(&extra, size, 8);
    if (m->offset >= ZIP64_FROM) number(&extra, m->offset, 8);
    number(&r, 0x02014b50, 4);
    number(&r, (extra.size ? 45 : 20) | 3 << 8, 2); /* made on Unix */
    common(&r, m, len, extra.size > 0);
    number(&r, extra.size ? extra.size + 4 : 0, 2);
    number(&r, 0, 2 + 2 + 2); /* comment, disk, internal attributes */
    number(&r, (uint64_t)0100644 << 16, 4);
    number(&r, clamp32(m->offset), 4);
    OX_TRY(ox_file_out_write(out, r.bytes, r.size));
    OX_TRY(ox_file_out_write(out, name, len));
    if (!extra.size) return OX_OK;
    r.size = 0;
    number(&r, 1, 2);
    number(&r, extra.size, 2);
    OX_TRY(ox_file_out_write(out, r.bytes, r.size));
    return ox_file_out_write(out, extra.bytes, extra.size);
}

static ox_status put_end(struct ox_file_out *out, uint64_t count, uint64_t begin) {
    struct record r = {.size = 0};
    uint64_t end = out->written, size = end - begin;
    if (count >= 0xffff || begin >= ZIP64_FROM || size >= ZIP64_FROM) {
        number(&r, 0x06064b50, 4);
        number(&r, 44, 8);
        number(&r, 45 | 3 << 8, 2);
        number(&r, 45, 2);
        number(&r, 0, 8);
        number(&r, count, 8);
        number(&r, count, 8);
        number(&r, size, 8);
        number(&r, begin, 8);
        number(&r, 0x07064b50, 4);
        number(&r, 0, 4);
        number(&r, end, 8);
        number(&r, 1, 4);
    }
    number(&r, 0x06054b50, 4);
    number(&r, 0, 4);
    number(&r, count < 0xffff ? count : 0xffff, 2);
    number(&r, count < 0xffff ? count : 0xffff, 2);
    number(&r, clamp32(size), 4);
    number(&r, clamp32(begin), 4);
    number(&r, 0, 2);
    return ox_file_out_write(out, r.bytes, r.size);
}

/* ---- members --------------------------------------------------------------------------------- */

/* The name with ".npy", and nothing in it that leads out of the folder where somebody unpacks the
 * archive: a leading slash and the dots of a part ".." become '_'. */
static ox_status member_name(char **out, size_t *len, ox_ctx *ctx, const char *name) {
    char *text;
    size_t n = strlen(name);
    if (n == 0 || n > 60000)
        return ox_fail(ctx, OX_USAGE, "bad-name", NULL,
                       "a member of an .npz file needs a name of at most 60000 bytes");
    OX_TRY(ox_alloc(ctx, &text, n + 5, 1));
    memcpy(text, name, n);
    for (size_t i = 0; i < n; i++) {
        bool begins = i == 0 || text[i - 1] == '/';
        if (begins && text[i] == '/') text[i] = '_';
        if (begins && strncmp(text + i, "..", 2) == 0 && (text[i + 2] == '/' || !text[i + 2]))
            text[i] = text[i + 1] = '_';
        if (text[i] == '\\') text[i] = '_';
    }
    memcpy(text + n, ".npy", 4);
    *out = text;
    *len = n + 4;
    return OX_OK;
}

static ox_status put_member(struct ox_file_out *out, struct member *m, const ox_tensor *t,
                            const char *name, size_t len) {
    npy_header(m, t);
    struct sink count = {.crc = crc32(0, NULL, 0)};
    OX_TRY(drain(&count, m->header, m->header_size));
    OX_TRY(drain_data(&count, t));
    m->data_size = count.size - m->header_size;
    m->crc = (uint32_t)count.crc;
    m->offset = out->written;
    OX_TRY(put_local(out, m, name, len));
    OX_TRY(ox_file_out_write(out, m->header, m->header_size));
    struct sink file = {.out = out};
    return drain_data(&file, t);
}

static ox_status check_strings(ox_ctx *ctx, const ox_tensor *t) {
    size_t bytes;
    if (t->dtype != OX_STRING) return OX_OK;
    if (!ox_mul_size(&bytes, longest(t), t->count) && bytes <= ox_ctx_limits(ctx)->max_tensor_bytes)
        return OX_OK;
    return ox_fail(ctx, OX_UNSUPPORTED, "too-large", NULL,
                   "a string tensor is too large with all strings as long as the longest");
}

static ox_status put_archive(struct ox_file_out *out, struct member *members, size_t count,
                             const char *const *names, const ox_tensor *const *tensors) {
    char *name;
    size_t len;
    ox_status status = OX_OK;
    for (size_t i = 0; i < count; i++) {
        OX_TRY(check_strings(out->ctx, tensors[i]));
        OX_TRY(member_name(&name, &len, out->ctx, names[i]));
        status = put_member(out, &members[i], tensors[i], name, len);
        ox_free(out->ctx, name);
        OX_TRY(status);
    }
    uint64_t begin = out->written;
    for (size_t i = 0; i < count; i++) {
        OX_TRY(member_name(&name, &len, out->ctx, names[i]));
        status = put_central(out, &members[i], name, len);
        ox_free(out->ctx, name);
        OX_TRY(status);
    }
    return put_end(out, count, begin);
}

ox_status ox_npz_save(ox_ctx *ctx, const char *path, size_t count, const char *const *names,
                      const ox_tensor *const *tensors) {
    struct ox_file_out out;
    struct member *members;
    OX_TRY(ox_alloc(ctx, &members, count, sizeof *members));
    ox_status status = ox_file_out_open(&out, ctx, path);
    if (status == OX_OK) {
        for (size_t i = 0; i < count; i++)
            out.total += tensors[i]->size;
        status = put_archive(&out, members, count, names, tensors);
        if (status == OX_OK) status = ox_file_out_commit(&out, NULL);
        ox_file_out_abort(&out);
    }
    ox_free(ctx, members);
    return status;
}
