/* frontend/npz.c - see npz.h. The format is PKWARE's APPNOTE; numbers are little-endian. */
#include "frontend/npz.h"

#include "frontend/npy.h"
#include <zlib.h>

#define bad(z, ...) ox_fail((z)->ctx, OX_INVALID, "bad-npz", (z)->place, __VA_ARGS__)

enum {
    END = 22, /* end of central directory */
    END64_LOCATOR = 20,
    END64 = 56,
    ENTRY = 46, /* of the central directory */
    LOCAL = 30, /* header in front of a member */
    COMMENT_MAX = 0xffff,
    DEFLATE_RATIO = 1032 /* deflate cannot expand more */
};

static uint64_t get(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static bool is(const unsigned char *p, const char *magic) {
    return memcmp(p, magic, 4) == 0;
}

bool ox_npz_magic(const void *data, size_t size) {
    return size >= 4 && (is(data, "PK\3\4") || is(data, "PK\5\6"));
}

/* ---- the directory --------------------------------------------------------------------------- */

struct directory {
    uint64_t count, size, offset;
};

/* The record at the end of the file; a comment may follow it, which must end where the file ends.
 */
static bool find_end(size_t *out, const struct ox_npz *z) {
    const unsigned char *data = z->bytes->data;
    size_t size = z->bytes->size;
    if (size < END) return false;
    size_t lowest = size - END > COMMENT_MAX ? size - END - COMMENT_MAX : 0;
    for (size_t at = size - END + 1; at-- > lowest;)
        if (is(data + at, "PK\5\6") && get(data + at + 20, 2) == size - END - at) {
            *out = at;
            return true;
        }
    return false;
}

static ox_status read_end(struct directory *d, struct ox_npz *z) {
    const unsigned char *data = z->bytes->data;
    size_t end;
    if (!find_end(&end, z)) return bad(z, "not a ZIP archive, or cut off: it has no directory");
    *d = (struct directory){get(data + end + 10, 2), get(data + end + 12, 4),
                            get(data + end + 16, 4)};
    if (d->count == 0xffff || d->size == 0xffffffff || d->offset == 0xffffffff) {
        if (end < END64_LOCATOR || !is(data + end - END64_LOCATOR, "PK\6\7"))
            return bad(z, "the ZIP64 directory is missing");
        uint64_t at = get(data + end - END64_LOCATOR + 8, 8);
        if (at > end - END64_LOCATOR || end - END64_LOCATOR - at < END64 ||
            !is(data + at, "PK\6\6"))
            return bad(z, "the ZIP64 directory is missing");
        *d = (struct directory){get(data + at + 32, 8), get(data + at + 40, 8),
                                get(data + at + 48, 8)};
        end = (size_t)at;
    }
    if (d->offset > end || d->size > end - d->offset)
        return bad(z, "the ZIP directory lies outside the file");
    return OX_OK;
}

/* Replaces sizes and offset that do not fit 32 bits by those of the entry's ZIP64 field. */
static ox_status read_zip64(struct ox_npz *z, const unsigned char *extra, size_t size,
                            uint64_t *numbers) {
    while (size >= 4) {
        size_t length = (size_t)get(extra + 2, 2), at = 4;
        if (length > size - 4) break;
        if (get(extra, 2) != 1) {
            extra += 4 + length;
            size -= 4 + length;
            continue;
        }
        for (size_t i = 0; i < 3; i++) {
            if (numbers[i] != 0xffffffff) continue;
            if (at + 8 > 4 + length) return bad(z, "a ZIP64 entry is cut off");
            numbers[i] = get(extra + at, 8);
            at += 8;
        }
        return OX_OK;
    }
    for (size_t i = 0; i < 3; i++)
        if (numbers[i] == 0xffffffff) return bad(z, "a ZIP64 entry is missing");
    return OX_OK;
}

static ox_status check_member(struct ox_npz *z, const struct ox_npz_member *m,
                              const uint64_t *numbers) {
    for (size_t i = 0; i < z->n_members; i++)
        if (z->members[i].full_len == m->full_len &&
            memcmp(z->members[i].name, m->name, m->full_len) == 0)
            return bad(z, "member '%.*s' is there twice", (int)m->name_len, m->name);
    if (numbers[2] > z->directory || z->directory - numbers[2] < LOCAL ||
        numbers[1] > z->directory - numbers[2] - LOCAL)
        return bad(z, "member '%.*s' lies outside the file", (int)m->name_len, m->name);
    if (m->method != 0 && m->method != 8)
        return ox_fail(z->ctx, OX_UNSUPPORTED, "bad-npz", z->place,
                       "member '%.*s' is packed by method %u", (int)m->name_len, m->name,
                       m->method);
    if (m->method == 0 ? numbers[0] != numbers[1] : numbers[0] / DEFLATE_RATIO > numbers[1])
        return bad(z, "member '%.*s' declares an impossible size", (int)m->name_len, m->name);
    return OX_OK;
}

/* One entry; other files than arrays are passed over. */
static ox_status read_entry(struct ox_npz *z, const unsigned char *e, size_t name_len,
                            size_t extra_len) {
    enum { SUFFIX = 4, NAME_MAX_LEN = 4096, MEMBERS_MAX = 4096 };
    uint64_t numbers[3] = {get(e + 24, 4), get(e + 20, 4),
                           get(e + 42, 4)}; /* size, packed, offset */
    const char *name = (const char *)e + ENTRY;
    if (name_len <= SUFFIX || memcmp(name + name_len - SUFFIX, ".npy", SUFFIX) != 0) return OX_OK;
    if (name_len > NAME_MAX_LEN || memchr(name, 0, name_len))
        return bad(z, "a member has an impossible name");
    if (get(e + 8, 2) & 1)
        return ox_fail(z->ctx, OX_UNSUPPORTED, "bad-npz", z->place, "the archive is encrypted");
    if (z->n_members == MEMBERS_MAX)
        return bad(z, "the archive has more than %d arrays", MEMBERS_MAX);
    OX_TRY(read_zip64(z, e + ENTRY + name_len, extra_len, numbers));
    struct ox_npz_member m = {
        .name = name,
        .name_len = name_len - SUFFIX,
        .full_len = name_len,
        .method = (unsigned)get(e + 10, 2),
        .crc = (uint32_t)get(e + 16, 4),
        .packed = (size_t)numbers[1],
        .size = (size_t)numbers[0],
        .header = (size_t)numbers[2],
    };
    OX_TRY(check_member(z, &m, numbers));
    OX_TRY(OX_GROW(z->ctx, z->members, z->n_members, z->cap_members));
    z->members[z->n_members++] = m;
    return OX_OK;
}

static ox_status read_directory(struct ox_npz *z) {
    struct directory d;
    OX_TRY(read_end(&d, z));
    z->directory = (size_t)d.offset;
    const unsigned char *e = z->bytes->data + d.offset;
    size_t left = (size_t)d.size;
    for (uint64_t i = 0; i < d.count; i++) {
        if (left < ENTRY || !is(e, "PK\1\2")) return bad(z, "the ZIP directory is damaged");
        size_t name_len = (size_t)get(e + 28, 2), extra_len = (size_t)get(e + 30, 2),
               comment_len = (size_t)get(e + 32, 2);
        size_t length = ENTRY + name_len + extra_len + comment_len;
        if (length > left) return bad(z, "the ZIP directory is damaged");
        OX_TRY(read_entry(z, e, name_len, extra_len));
        e += length;
        left -= length;
    }
    return OX_OK;
}

ox_status ox_npz_open(struct ox_npz *out, ox_ctx *ctx, struct ox_bytes *bytes,
                      const struct ox_place *place) {
    *out = (struct ox_npz){.ctx = ctx, .bytes = ox_bytes_ref(bytes), .place = place};
    ox_status s = read_directory(out);
    if (s != OX_OK) ox_npz_close(out);
    return s;
}

void ox_npz_close(struct ox_npz *npz) {
    ox_free(npz->ctx, npz->members);
    ox_bytes_unref(npz->bytes);
    *npz = (struct ox_npz){.ctx = npz->ctx};
}

/* ---- members --------------------------------------------------------------------------------- */

static ox_status find_data(size_t *out, const struct ox_npz *z, const struct ox_npz_member *m) {
    const unsigned char *h = z->bytes->data + m->header; /* check_member: LOCAL bytes are there */
    size_t room = z->directory - m->header - LOCAL, name_len = (size_t)get(h + 26, 2),
           extra_len = (size_t)get(h + 28, 2);
    if (!is(h, "PK\3\4") || name_len != m->full_len || name_len + extra_len > room ||
        memcmp(h + LOCAL, m->name, name_len) != 0)
        return bad(z, "member '%.*s' is not where the directory says", (int)m->name_len, m->name);
    if (m->packed > room - name_len - extra_len)
        return bad(z, "member '%.*s' lies outside the file", (int)m->name_len, m->name);
    *out = m->header + LOCAL + name_len + extra_len;
    return OX_OK;
}

static void *zlib_alloc(void *ctx, unsigned count, unsigned size) {
    void *p;
    return ox_alloc(ctx, &p, count, size) == OX_OK ? p : NULL;
}

static void zlib_free(void *ctx, void *p) {
    ox_free(ctx, p);
}

/* Feeds zlib, whose counters are narrower than ours. Exactly m->packed bytes must give exactly
 * m->size. */
static bool inflate_all(z_stream *s, const unsigned char *in, const struct ox_npz_member *m,
                        unsigned char *to) {
    enum { PIECE = 1 << 30 };
    size_t left_in = m->packed, left_out = m->size;
    unsigned char beyond; /* room for one byte too many, so that zlib can tell */
    int rc = Z_OK;
    s->next_in = (z_const Bytef *)(uintptr_t)in;
    s->next_out = to;
    while (rc == Z_OK) {
        s->avail_in = left_in > PIECE ? PIECE : (uInt)left_in;
        s->avail_out = left_out > PIECE ? PIECE : (uInt)left_out;
        if (left_out == 0) {
            s->next_out = &beyond;
            s->avail_out = 1;
        }
        uInt given_in = s->avail_in, given_out = s->avail_out;
        rc = inflate(s, Z_NO_FLUSH);
        if (left_out == 0 && s->avail_out != given_out) return false;
        left_in -= given_in - s->avail_in;
        if (left_out > 0) left_out -= given_out - s->avail_out;
        if (given_in == s->avail_in && given_out == s->avail_out && rc == Z_OK)
            return false; /* no progress */
    }
    return rc == Z_STREAM_END && left_in == 0 && left_out == 0;
}

static ox_status inflate_member(struct ox_bytes **out, const struct ox_npz *z,
                                const struct ox_npz_member *m, size_t at) {
    z_stream s = {.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = z->ctx};
    struct ox_bytes *bytes;
    if (m->size > ox_ctx_limits(z->ctx)->max_tensor_bytes)
        return ox_fail(z->ctx, OX_NOMEM, "tensor-too-large", z->place,
                       "member '%.*s' is over the limit of %zu bytes", (int)m->name_len, m->name,
                       ox_ctx_limits(z->ctx)->max_tensor_bytes);
    OX_TRY(ox_bytes_new(&bytes, z->ctx, m->size));
    ox_status status = OX_OK;
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) {
        status = ox_fail(z->ctx, OX_NOMEM, "out-of-memory", z->place, "no memory to unpack '%.*s'",
                         (int)m->name_len, m->name);
    } else {
        if (!inflate_all(&s, z->bytes->data + at, m, bytes->data))
            status = bad(z, "member '%.*s' does not unpack to its size", (int)m->name_len, m->name);
        inflateEnd(&s);
    }
    if (status != OX_OK)
        ox_bytes_unref(bytes);
    else
        *out = bytes;
    return status;
}

ox_status ox_npz_read(ox_tensor **out, const struct ox_npz *z, size_t index) {
    const struct ox_npz_member *m = &z->members[index];
    struct ox_bytes *bytes = NULL;
    size_t at;
    OX_TRY(find_data(&at, z, m));
    if (m->method == 8) {
        OX_TRY(inflate_member(&bytes, z, m, at));
        at = 0;
    } else {
        bytes = ox_bytes_ref(z->bytes);
    }
    ox_status s;
    if (crc32_z(0, bytes->data + at, m->size) != m->crc)
        s = bad(z, "member '%.*s' is damaged: its checksum differs", (int)m->name_len, m->name);
    else
        s = ox_npy_read(out, z->ctx, bytes, at, m->size, z->place);
    ox_bytes_drop(bytes, at, m->size); /* was read for the checksum, may not be needed soon */
    ox_bytes_unref(bytes);
    return s;
}
