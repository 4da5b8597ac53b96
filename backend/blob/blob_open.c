/* backend/blob/blob_open.c - the container: header, section table, hashes. See blob_check.h. */
#include "backend/blob/blob_check.h"
#include "ir/base/hash64.h"

struct opening {
    ox_ctx *ctx;
    struct ox_place place;
    const unsigned char *data;
    size_t size;
};

static ox_status bad(const struct opening *o, const char *what) {
    return ox_fail(o->ctx, OX_INVALID, "bad-blob", &o->place, "%s", what);
}

static uint64_t hash_of(const void *data, size_t size) {
    struct ox_hash64 h;
    ox_hash64_init(&h);
    ox_hash64_add(&h, data, size);
    return ox_hash64_end(&h);
}

static bool all_zero(const unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

static uint32_t sections_of(const struct ox_blob_header *h) {
    return h->flags & OX_BLOB_PACKED_FLAG ? OX_BLOB_N_SECTIONS : OX_BLOB_N_PLAIN;
}

static ox_status check_header(const struct opening *o, const struct ox_blob_header *h) {
    if (o->size < sizeof *h || memcmp(h->magic, OX_BLOB_MAGIC, sizeof h->magic) != 0)
        return bad(o, "this is not a native model (.oxb)");
    if (h->version == 0 || h->version > OX_BLOB_VERSION)
        return ox_fail(o->ctx, OX_UNSUPPORTED, "newer-blob", &o->place,
                       "format version %u is newer than %d, the newest known here", h->version,
                       OX_BLOB_VERSION);
    if (h->flags & ~(uint32_t)OX_BLOB_FLAGS)
        return ox_fail(o->ctx, OX_UNSUPPORTED, "newer-blob", &o->place,
                       "the file needs features (%#x) not known here", h->flags);
    if (h->file_size != o->size)
        return ox_fail(o->ctx, OX_INVALID, "bad-blob", &o->place,
                       "the file says it has %llu bytes and has %zu",
                       (unsigned long long)h->file_size, o->size);
    if (h->n_sections != sections_of(h) || h->zero || h->zeros[0] || h->zeros[1] || h->zeros[2])
        return bad(o, "the header is damaged");
    if (o->size - sizeof *h < sizeof(struct ox_blob_section) * h->n_sections)
        return bad(o, "the section table is cut off");
    struct ox_blob_header plain = *h;
    struct ox_hash64 sum;
    plain.hash = 0;
    ox_hash64_init(&sum);
    ox_hash64_add(&sum, &plain, sizeof plain);
    ox_hash64_add(&sum, h + 1, sizeof(struct ox_blob_section) * h->n_sections);
    return ox_hash64_end(&sum) == h->hash
               ? OX_OK
               : bad(o, "the header does not have the hash it says: the file is damaged");
}

/* Section i follows the one before it at the next multiple of the alignment, zeros between them. */
static ox_status check_section(const struct opening *o, const struct ox_blob_section *s,
                               uint32_t id, size_t *end, bool hash) {
    size_t at = (*end + OX_BLOB_ALIGN - 1) / OX_BLOB_ALIGN * OX_BLOB_ALIGN;
    if (s->id != id || s->zero || s->offset != at || at > o->size || s->size > o->size - at)
        return ox_fail(o->ctx, OX_INVALID, "bad-blob", &o->place,
                       "section %u does not lie where it must", id);
    if (!all_zero(o->data + *end, at - *end)) return bad(o, "bytes between sections are not zero");
    if (hash && hash_of(o->data + at, (size_t)s->size) != s->hash)
        return ox_fail(o->ctx, OX_INVALID, "bad-blob", &o->place,
                       "section %u does not have the hash it says: the file is damaged", id);
    *end = at + (size_t)s->size;
    return OX_OK;
}

ox_status ox_blob_open(struct ox_blob *out, ox_ctx *ctx, const void *data, size_t size,
                       const char *file, bool weights) {
    struct opening o = {.ctx = ctx, .place = {.file = file}, .data = data, .size = size};
    const struct ox_blob_header *h = data;
    OX_TRY(check_header(&o, h));
    const struct ox_blob_section *s = (const void *)(h + 1);
    size_t end = sizeof *h + sizeof *s * h->n_sections;
    *out = (struct ox_blob){.flags = h->flags};
#define X(number, NAME, name, type)                                                                \
    if (number <= h->n_sections) {                                                                 \
        OX_TRY(check_section(&o, s, number, &end,                                                  \
                             (number != OX_BLOB_DATA && number != OX_BLOB_PACKED) || weights));    \
        if (s->size % sizeof(type))                                                                \
            return bad(&o, "a section is no whole number of records long");                        \
        out->name = (const void *)(o.data + s->offset);                                            \
        out->n_##name = (size_t)s->size / sizeof(type);                                            \
        s++;                                                                                       \
    }
    OX_BLOB_SECTIONS(X)
#undef X
    return end == size ? OX_OK : bad(&o, "bytes follow the last section");
}
