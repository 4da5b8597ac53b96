/* ir/codec/image_bmp.c - BMP of all the usual kinds: 1, 2, 4 and 8 bits with a palette (plain or
 * run-length coded), 16, 24 and 32 bits (with bit masks), rows bottom up or top down. Always RGB;
 * alpha is dropped. */
#include "ir/codec/image_priv.h"

enum { RGB, RLE8, RLE4, BITFIELDS, ALPHABITFIELDS = 6 };

struct bmp {
    const struct ox_image_job *job;
    size_t width, height, bits;
    bool top_down;
    uint32_t compression, masks[3];
    unsigned char palette[256][3]; /* red, green, blue; missing entries are black */
    const unsigned char *at, *end; /* the pixels */
};

static unsigned char *row_of(const struct bmp *b, size_t y) {
    return b->job->out->pixels + 3 * b->width * (b->top_down ? y : b->height - 1 - y);
}

/* ---- header ---------------------------------------------------------------------------------- */

static ox_status read_palette(struct bmp *b, const unsigned char *from, const unsigned char *end,
                              size_t count, size_t entry) {
    size_t n = count ? count : (size_t)1 << b->bits;
    if (n > 256 || (size_t)(end - from) < n * entry)
        return ox_bad_image(b->job, "damaged BMP: a palette of %zu colours", n);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            b->palette[i][c] = from[i * entry + 2 - c];
    return OX_OK;
}

static ox_status read_size(struct bmp *b, const unsigned char *h, size_t header) {
    if (header == 12) {
        b->width = ox_le16(h + 4);
        b->height = ox_le16(h + 6);
        b->bits = ox_le16(h + 10);
    } else {
        int32_t width = (int32_t)ox_le32(h + 4), height = (int32_t)ox_le32(h + 8);
        if (width < 1 || height == 0 || height == INT32_MIN)
            return ox_bad_image(b->job, "damaged BMP: %ld x %ld pixels", (long)width, (long)height);
        b->top_down = height < 0;
        b->width = (size_t)width;
        b->height = (size_t)(height < 0 ? -height : height);
        b->bits = ox_le16(h + 14);
        b->compression = ox_le32(h + 16);
    }
    bool fits = b->compression == RGB    ? true
                : b->compression == RLE8 ? b->bits == 8 && !b->top_down
                : b->compression == RLE4 ? b->bits == 4 && !b->top_down
                : b->compression == BITFIELDS || b->compression == ALPHABITFIELDS
                    ? b->bits == 16 || b->bits == 32
                    : false;
    bool known = b->bits == 1 || b->bits == 2 || b->bits == 4 || b->bits == 8 || b->bits == 16 ||
                 b->bits == 24 || b->bits == 32;
    if (known && fits) return OX_OK;
    return ox_bad_image(b->job, "a BMP of %zu bits a pixel and compression %lu is not read",
                        b->bits, (unsigned long)b->compression);
}

static ox_status read_header(struct bmp *b) {
    const unsigned char *data = b->job->data;
    size_t size = b->job->size, header = size < 26 ? 0 : ox_le32(data + 14);
    if (size < 26 || (header != 12 && header < 40) || header > size - 14)
        return ox_bad_image(b->job, "damaged BMP: no header of a known kind");
    size_t offset = ox_le32(data + 10), after = 14 + header;
    OX_TRY(read_size(b, data + 14, header));
    if (b->compression == BITFIELDS || b->compression == ALPHABITFIELDS) {
        if (size < 14 + 40 + 12) return ox_bad_image(b->job, "damaged BMP: no bit masks");
        for (size_t c = 0; c < 3; c++)
            b->masks[c] = ox_le32(data + 14 + 40 + 4 * c);
        if (header == 40) after += 12;
    } else if (b->bits == 16) {
        b->masks[0] = 0x7c00, b->masks[1] = 0x3e0, b->masks[2] = 0x1f;
    } else {
        b->masks[0] = 0xff0000, b->masks[1] = 0xff00, b->masks[2] = 0xff;
    }
    if (b->bits <= 8)
        OX_TRY(read_palette(b, data + after, data + size,
                            header == 12 ? 0 : ox_le32(data + 14 + 32), header == 12 ? 3 : 4));
    if (offset > size) return ox_bad_image(b->job, "damaged BMP: the file is cut off");
    b->at = data + offset;
    b->end = data + size;
    return OX_OK;
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* The bits under a mask as a number from 0 to 255. */
static unsigned char masked(uint32_t v, uint32_t mask) {
    if (mask == 0) return 0;
    int shift = __builtin_ctz(mask);
    uint64_t max = mask >> shift, x = (v & mask) >> shift;
    return (unsigned char)((2 * 255 * x + max) / (2 * max));
}

static void plain_row(const struct bmp *b, unsigned char *to, const unsigned char *from) {
    size_t per_byte = b->bits < 8 ? 8 / b->bits : 1;
    for (size_t x = 0; x < b->width; x++, to += 3) {
        if (b->bits <= 8) {
            unsigned shift = (unsigned)(8 - b->bits - x % per_byte * b->bits);
            memcpy(to, b->palette[from[x / per_byte] >> shift & ((1u << b->bits) - 1)], 3);
        } else if (b->bits == 24) {
            for (size_t c = 0; c < 3; c++)
                to[c] = from[3 * x + 2 - c];
        } else {
            uint32_t v = b->bits == 16 ? ox_le16(from + 2 * x) : ox_le32(from + 4 * x);
            for (size_t c = 0; c < 3; c++)
                to[c] = masked(v, b->masks[c]);
        }
    }
}

static ox_status plain(struct bmp *b) {
    size_t stride = (b->width * b->bits + 31) / 32 *
                    4; /* width is below 2^26: it has been held against the budget */
    if ((size_t)(b->end - b->at) / stride < b->height) {
        /* The last row may go without its padding. */
        size_t need = stride * (b->height - 1) + (b->width * b->bits + 7) / 8;
        if ((size_t)(b->end - b->at) < need)
            return ox_bad_image(b->job, "damaged BMP: the file is cut off");
    }
    for (size_t y = 0; y < b->height; y++)
        plain_row(b, row_of(b, y), b->at + y * stride);
    return OX_OK;
}

static void put(const struct bmp *b, size_t x, size_t y, unsigned index) {
    if (x < b->width && y < b->height) memcpy(row_of(b, y) + 3 * x, b->palette[index], 3);
}

/* Index k of a run's byte or of literal bytes: 8 bits, or 4 with the first in the high half. */
static unsigned index_at(const struct bmp *b, const unsigned char *from, size_t k) {
    return b->bits == 8 ? from[k] : from[k / 2] >> (k % 2 ? 0 : 4) & 15;
}

/* Pairs (count, byte); a count of 0 escapes: end of line, end of image, a move, or literal pixels
 * padded to 16 bits. What is not covered keeps colour 0. */
static ox_status run_length(struct bmp *b) {
    size_t x = 0, y = 0;
    for (size_t i = 0; i < b->width * b->height; i++)
        memcpy(b->job->out->pixels + 3 * i, b->palette[0], 3);
    while (b->end - b->at >= 2) {
        unsigned count = b->at[0], code = b->at[1];
        const unsigned char *from = b->at + 1;
        b->at += 2;
        if (count > 0) {
            unsigned char two[2] = {*from, *from};
            for (unsigned k = 0; k < count; k++)
                put(b, x++, y, index_at(b, two, b->bits == 8 ? 0 : k % 2));
        } else if (code == 0) {
            x = 0;
            y++;
        } else if (code == 1) {
            return OX_OK;
        } else if (code == 2) {
            if (b->end - b->at < 2) break;
            x += b->at[0];
            y += b->at[1];
            b->at += 2;
        } else {
            size_t bytes = b->bits == 8 ? code : (code + 1) / 2, padded = (bytes + 1) / 2 * 2;
            if ((size_t)(b->end - b->at) < bytes) break;
            for (unsigned k = 0; k < code; k++)
                put(b, x++, y, index_at(b, b->at, k));
            b->at += padded < (size_t)(b->end - b->at) ? padded : (size_t)(b->end - b->at);
        }
        if (y >= b->height) return OX_OK;
    }
    return ox_bad_image(b->job, "damaged BMP: the file is cut off");
}

ox_status ox_image_read_bmp(const struct ox_image_job *job) {
    struct bmp b = {.job = job};
    OX_TRY(read_header(&b));
    OX_TRY(ox_image_init(job->out, job->ctx, b.width, b.height, 3, job->place));
    return b.compression == RLE8 || b.compression == RLE4 ? run_length(&b) : plain(&b);
}
