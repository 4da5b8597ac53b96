/* ir/codec/image_tiff.c - TIFF by libtiff, first picture only, through its RGBA interface: it knows
 * all photometric interpretations, depths and compressions.
 *
 * libtiff takes its memory from the system, so a single block is held below MEMORY_MAX. Its
 * messages come to handlers of this one file: none is global. */
#include "ir/codec/image_priv.h"

#include <stdio.h>
#include <tiffio.h>

#define MEMORY_MAX ((tmsize_t)512 << 20)

struct job {
    const struct ox_image_job *job;
    size_t at;
    char text[160]; /* the first error */
};

OX_PRINTF(4, 0)
static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
    struct job *j = user;
    (void)tiff;
    (void)module;
    if (!j->text[0]) vsnprintf(j->text, sizeof j->text, format, args);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list args) {
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static tmsize_t on_read(thandle_t user, void *to, tmsize_t size) {
    struct job *j = user;
    size_t left = j->job->size - j->at, n = size < 0              ? 0
                                            : (size_t)size < left ? (size_t)size
                                                                  : left;
    memcpy(to, j->job->data + j->at, n);
    j->at += n;
    return (tmsize_t)n;
}

static tmsize_t on_write(thandle_t user, void *from, tmsize_t size) {
    (void)user;
    (void)from;
    (void)size;
    return -1;
}

static toff_t on_seek(thandle_t user, toff_t offset, int whence) {
    struct job *j = user;
    uint64_t base = whence == SEEK_CUR ? j->at : whence == SEEK_END ? j->job->size : 0, to;
    if (__builtin_add_overflow(base, offset, &to) || to > j->job->size) return (toff_t)-1;
    j->at = (size_t)to;
    return to;
}

static int on_close(thandle_t user) {
    (void)user;
    return 0;
}

static toff_t on_size(thandle_t user) {
    return ((struct job *)user)->job->size;
}

static int on_map(thandle_t user, void **base, toff_t *size) {
    (void)user;
    (void)base;
    (void)size;
    return 0;
}

static void on_unmap(thandle_t user, void *base, toff_t size) {
    (void)user;
    (void)base;
    (void)size;
}

static TIFF *open_tiff(struct job *j) {
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o) return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, j);
    TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, j);
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, MEMORY_MAX);
    TIFF *tiff = TIFFClientOpenExt("image", "rm", j, on_read, on_write, on_seek, on_close, on_size,
                                   on_map, on_unmap, o);
    TIFFOpenOptionsFree(o);
    return tiff;
}

static ox_status decode(struct job *j, TIFF *tiff) {
    const struct ox_image_job *job = j->job;
    uint32_t width = 0, height = 0, *rgba;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    OX_TRY(ox_image_room(job, width, height, 16));
    OX_TRY(ox_image_init(job->out, job->ctx, width, height, 3, job->place));
    size_t n = job->out->width * job->out->height;
    OX_TRY(ox_alloc(job->ctx, &rgba, n, sizeof *rgba));
    int ok = TIFFReadRGBAImageOriented(tiff, width, height, rgba, ORIENTATION_TOPLEFT, 1);
    for (size_t i = 0; ok && i < n; i++) {
        unsigned char *to = job->out->pixels + 3 * i;
        to[0] = (unsigned char)TIFFGetR(rgba[i]);
        to[1] = (unsigned char)TIFFGetG(rgba[i]);
        to[2] = (unsigned char)TIFFGetB(rgba[i]);
    }
    ox_free(job->ctx, rgba);
    if (ok) return OX_OK;
    return ox_bad_image(job, "damaged TIFF: %s",
                        j->text[0] ? j->text : "its pixels cannot be decoded");
}

ox_status ox_image_read_tiff(const struct ox_image_job *job) {
    struct job j = {.job = job};
    TIFF *tiff = open_tiff(&j);
    if (!tiff) return ox_bad_image(job, "damaged TIFF: %s", j.text[0] ? j.text : "no header");
    ox_status s = decode(&j, tiff);
    TIFFClose(tiff);
    return s;
}
