/* ir/codec/image_jp2.c - JPEG 2000 by OpenJPEG: JP2 files and bare code streams.
 *
 * Components may be of any depth and coarser than the picture (they are repeated); one or two are
 * grey, three or four RGB or YCC. The library takes its memory from the system: about ROOM bytes a
 * pixel, held against the context's limit before decoding. */
#include "ir/codec/image_priv.h"

#include <openjpeg.h>

enum { COMPONENTS_MAX = 4, ROOM = 40, STREAM = 1 << 16 };

struct job {
    const struct ox_image_job *job;
    size_t at;
};

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T size, void *user) {
    struct job *j = user;
    size_t left = j->job->size - j->at, n = size < left ? size : left;
    if (n == 0) return (OPJ_SIZE_T)-1;
    memcpy(to, j->job->data + j->at, n);
    j->at += n;
    return n;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *user) {
    struct job *j = user;
    size_t left = j->job->size - j->at;
    if (n < 0 || left == 0) return -1;
    if ((uint64_t)n > left) n = (OPJ_OFF_T)left;
    j->at += (size_t)n;
    return n;
}

static OPJ_BOOL on_seek(OPJ_OFF_T at, void *user) {
    struct job *j = user;
    if (at < 0 || (uint64_t)at > j->job->size) return OPJ_FALSE;
    j->at = (size_t)at;
    return OPJ_TRUE;
}

static opj_stream_t *open_stream(struct job *j) {
    opj_stream_t *stream = opj_stream_create(STREAM, OPJ_TRUE);
    if (!stream) return NULL;
    opj_stream_set_user_data(stream, j, NULL);
    opj_stream_set_user_data_length(stream, j->job->size);
    opj_stream_set_read_function(stream, on_read);
    opj_stream_set_skip_function(stream, on_skip);
    opj_stream_set_seek_function(stream, on_seek);
    return stream;
}

/* ---- samples to pixels ----------------------------------------------------------------------- */

/* Sample of component c at a pixel, as 8 bits. */
static unsigned char sample(const opj_image_t *image, size_t c, size_t x, size_t y) {
    const opj_image_comp_t *comp = &image->comps[c];
    size_t cx = x / comp->dx, cy = y / comp->dy;
    if (cx >= comp->w) cx = comp->w - 1;
    if (cy >= comp->h) cy = comp->h - 1;
    int64_t v = comp->data[cy * comp->w + cx], max = ((int64_t)1 << comp->prec) - 1;
    if (comp->sgnd) v += (int64_t)1 << (comp->prec - 1);
    v = v < 0 ? 0 : v > max ? max : v;
    return (unsigned char)(comp->prec > 8 ? v >> (comp->prec - 8)
                                          : (2 * 255 * v + max) / (2 * max));
}

static unsigned char clamped(double v) {
    return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : (int)(v + .5));
}

static void ycc_to_rgb(unsigned char *p) {
    double y = p[0], cb = p[1] - 128., cr = p[2] - 128.;
    p[0] = clamped(y + 1.402 * cr);
    p[1] = clamped(y - .344136 * cb - .714136 * cr);
    p[2] = clamped(y + 1.772 * cb);
}

/* Fills the pixels from components that have been checked. */
static void fill(struct ox_image *out, const opj_image_t *image) {
    unsigned char *to = out->pixels;
    bool ycc = image->color_space == OPJ_CLRSPC_SYCC || image->color_space == OPJ_CLRSPC_EYCC;
    for (size_t y = 0; y < out->height; y++)
        for (size_t x = 0; x < out->width; x++, to += out->channels) {
            for (size_t c = 0; c < out->channels; c++)
                to[c] = sample(image, c, x, y);
            if (ycc && out->channels == 3) ycc_to_rgb(to);
        }
}

static ox_status check_components(const struct ox_image_job *job, const opj_image_t *image,
                                  bool decoded) {
    if (image->numcomps < 1 || image->numcomps > COMPONENTS_MAX)
        return ox_bad_image(job, "a JPEG 2000 image of %u components", image->numcomps);
    if (image->color_space == OPJ_CLRSPC_CMYK)
        return ox_bad_image(job, "a JPEG 2000 image of inks (CMYK) is not read");
    for (size_t c = 0; c < image->numcomps; c++) {
        const opj_image_comp_t *comp = &image->comps[c];
        bool ok = comp->dx > 0 && comp->dy > 0 && comp->prec > 0 && comp->prec <= 31;
        if (ok && decoded) ok = comp->data && comp->w > 0 && comp->h > 0;
        if (!ok) return ox_bad_image(job, "damaged JPEG 2000: component %zu has no samples", c);
    }
    return OX_OK;
}

static ox_status decode(const struct ox_image_job *job, opj_codec_t *codec, opj_stream_t *stream,
                        opj_image_t **image) {
    opj_dparameters_t p;
    opj_set_default_decoder_parameters(&p);
    if (!opj_setup_decoder(codec, &p) || !opj_read_header(stream, codec, image))
        return ox_bad_image(job, "damaged JPEG 2000: no header");
    const opj_image_t *im = *image;
    if (im->x1 <= im->x0 || im->y1 <= im->y0)
        return ox_bad_image(job, "damaged JPEG 2000: it is empty");
    size_t width = im->x1 - im->x0, height = im->y1 - im->y0;
    OX_TRY(check_components(job, im, false));
    OX_TRY(ox_image_room(job, width, height, ROOM));
    OX_TRY(ox_image_init(job->out, job->ctx, width, height, im->numcomps < 3 ? 1 : 3, job->place));
    if (!opj_decode(codec, stream, *image) || !opj_end_decompress(codec, stream))
        return ox_bad_image(job, "damaged JPEG 2000: its pixels cannot be decoded");
    OX_TRY(check_components(job, *image, true));
    if ((*image)->numcomps < job->out->channels)
        return ox_bad_image(job, "damaged JPEG 2000: components are missing");
    fill(job->out, *image);
    return OX_OK;
}

ox_status ox_image_read_jp2(const struct ox_image_job *job) {
    struct job j = {.job = job};
    opj_image_t *image = NULL;
    opj_stream_t *stream = open_stream(&j);
    opj_codec_t *codec =
        opj_create_decompress(job->data[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    ox_status s = stream && codec ? decode(job, codec, stream, &image)
                                  : ox_fail(job->ctx, OX_NOMEM, "out-of-memory", job->place,
                                            "no memory for OpenJPEG");
    if (image) opj_image_destroy(image);
    if (codec) opj_destroy_codec(codec);
    if (stream) opj_stream_destroy(stream);
    return s;
}
