/* ir/codec/image_pnm.c - PBM, PGM and PPM, plain (P1 to P3) and raw (P4 to P6). A bit of 1 is
 * black; samples are scaled from [0, maxval] to [0, 255]. */
#include "ir/codec/image_priv.h"

struct text {
    const unsigned char *at, *end;
};

static bool is_space(unsigned char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space and comments, which run from # to the end of the line. */
static void skip(struct text *t) {
    for (; t->at < t->end; t->at++) {
        if (*t->at == '#')
            while (t->at + 1 < t->end && *t->at != '\n')
                t->at++;
        else if (!is_space(*t->at))
            return;
    }
}

/* The next decimal number; -1 where there is none or it is above max. */
static long number(struct text *t, long max) {
    long v = 0;
    skip(t);
    if (t->at == t->end || *t->at < '0' || *t->at > '9') return -1;
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++) {
        v = 10 * v + (*t->at - '0');
        if (v > max) return -1;
    }
    return v;
}

static unsigned char scaled(unsigned long v, unsigned long max) {
    return (unsigned char)(v >= max ? 255 : (2 * 255 * v + max) / (2 * max));
}

static bool plain_samples(unsigned char *to, struct text *t, size_t n, bool bits,
                          unsigned long max) {
    for (size_t i = 0; i < n; i++) {
        if (bits) { /* digits need no space between them */
            skip(t);
            if (t->at == t->end || (*t->at != '0' && *t->at != '1')) return false;
            to[i] = *t->at++ == '0' ? 255 : 0;
        } else {
            long v = number(t, 65535);
            if (v < 0) return false;
            to[i] = scaled((unsigned long)v, max);
        }
    }
    return true;
}

static bool raw_samples(unsigned char *to, const struct text *t, size_t row, size_t rows, bool bits,
                        unsigned long max) {
    size_t stride = bits ? (row + 7) / 8 : max > 255 ? 2 * row : row;
    if ((size_t)(t->end - t->at) / stride < rows) return false;
    for (size_t y = 0; y < rows; y++) {
        const unsigned char *from = t->at + y * stride;
        for (size_t x = 0; x < row; x++, to++) {
            if (bits)
                *to = from[x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
            else if (max > 255)
                *to = scaled((unsigned long)from[2 * x] << 8 | from[2 * x + 1], max);
            else
                *to = max == 255 ? from[x] : scaled(from[x], max);
        }
    }
    return true;
}

ox_status ox_image_read_pnm(const struct ox_image_job *job) {
    struct text t = {job->data + 2, job->data + job->size};
    int kind = job->data[1] - '0';
    bool bits = kind == 1 || kind == 4, raw = kind > 3;
    size_t channels = kind == 3 || kind == 6 ? 3 : 1;
    long width = number(&t, INT32_MAX), height = number(&t, INT32_MAX);
    long max = bits ? 1 : number(&t, 65535);
    if (width < 1 || height < 1 || max < 1 || t.at == t.end || !is_space(*t.at))
        return ox_bad_image(job, "damaged PNM: the header says no size");
    t.at++; /* one white space ends the header */
    OX_TRY(ox_image_init(job->out, job->ctx, (size_t)width, (size_t)height, channels, job->place));
    size_t row = (size_t)width * channels, rows = (size_t)height;
    unsigned char *to = job->out->pixels;
    bool ok = raw ? raw_samples(to, &t, row, rows, bits, (unsigned long)max)
                  : plain_samples(to, &t, row * rows, bits, (unsigned long)max);
    return ok ? OX_OK : ox_bad_image(job, "damaged PNM: the file is cut off");
}
