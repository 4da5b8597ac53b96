/* ir/codec/image_jpeg.c - JPEG by libjpeg (-turbo).
 *
 * The library leaves a failing call by longjmp. So everything that must survive lives in `struct
 * job`, which is not a local of the function that calls setjmp, and that function only sequences
 * calls. */
#include "ir/codec/image_priv.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs it */
#include <jpeglib.h>
#include <jerror.h>

enum { SCANS_MAX = 100 }; /* a progressive file may ask for any number of passes over all pixels */
#define MEMORY_MAX                                                                                 \
    (512l << 20) /* of libjpeg itself, which keeps all coefficients of a progressive file */

struct job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    ox_ctx *ctx;
    const struct ox_place *place;
    struct ox_image *out;
    const unsigned char *data;
    size_t size;
    unsigned char *row; /* of a CMYK file */
    bool cut_off;
    ox_status status;
};

static struct job *job_of(j_common_ptr jpeg) {
    return jpeg->client_data;
}

static void on_error(j_common_ptr jpeg) {
    struct job *j = job_of(jpeg);
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    if (j->status == OX_OK) {
        bool memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY ||
                      jpeg->err->msg_code == JERR_NO_BACKING_STORE;
        j->status = ox_fail(j->ctx, memory ? OX_NOMEM : OX_INVALID, "bad-image", j->place,
                            "damaged JPEG: %s", text);
    }
    longjmp(j->failed, 1);
}

/* Warnings are dropped, but for the one that means that pixels were made up. */
static void on_message(j_common_ptr jpeg, int level) {
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) job_of(jpeg)->cut_off = true;
}

static void on_output(j_common_ptr jpeg) {
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg) {
    if (!jpeg->is_decompressor || ((j_decompress_ptr)jpeg)->input_scan_number <= SCANS_MAX) return;
    struct job *j = job_of(jpeg);
    j->status = ox_fail(j->ctx, OX_INVALID, "bad-image", j->place, "a JPEG of more than %d scans",
                        SCANS_MAX);
    longjmp(j->failed, 1);
}

/* Adobe's CMYK is stored inverted. */
static void cmyk_to_rgb(unsigned char *to, const unsigned char *from, size_t n, bool inverted) {
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++) {
            unsigned ink = from[4 * i + c], black = from[4 * i + 3];
            if (!inverted) ink = 255 - ink, black = 255 - black;
            to[3 * i + c] = (unsigned char)((ink * black + 127) / 255);
        }
}

static void choose_output(struct job *j) {
    J_COLOR_SPACE from = j->jpeg.jpeg_color_space;
    if (from == JCS_GRAYSCALE)
        j->jpeg.out_color_space = JCS_GRAYSCALE;
    else if (from == JCS_CMYK || from == JCS_YCCK)
        j->jpeg.out_color_space = JCS_CMYK;
    else
        j->jpeg.out_color_space = JCS_RGB;
}

/* An error inside libjpeg ends here early; j->status says so. */
static void decode(struct job *j) {
    struct jpeg_decompress_struct *jpeg = &j->jpeg;
    if (setjmp(j->failed)) return;
    jpeg_create_decompress(jpeg);
    jpeg->client_data = j;
    jpeg->progress = &j->progress;
    jpeg->mem->max_memory_to_use = MEMORY_MAX;
    jpeg_mem_src(jpeg, j->data, j->size);
    jpeg_read_header(jpeg, TRUE);
    choose_output(j);
    bool cmyk = jpeg->out_color_space == JCS_CMYK;
    j->status = ox_image_init(j->out, j->ctx, jpeg->image_width, jpeg->image_height,
                              jpeg->out_color_space == JCS_GRAYSCALE ? 1 : 3, j->place);
    if (j->status == OX_OK && cmyk) j->status = ox_alloc(j->ctx, &j->row, jpeg->image_width, 4);
    if (j->status != OX_OK) return;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *to =
            j->out->pixels + jpeg->output_scanline * j->out->width * j->out->channels;
        JSAMPROW row = cmyk ? j->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (cmyk) cmyk_to_rgb(to, j->row, j->out->width, jpeg->saw_Adobe_marker);
    }
    jpeg_finish_decompress(jpeg);
    if (j->cut_off)
        j->status =
            ox_fail(j->ctx, OX_INVALID, "bad-image", j->place, "damaged JPEG: the file is cut off");
}

ox_status ox_image_read_jpeg(const struct ox_image_job *job) {
    struct job *j;
    OX_TRY(ox_alloc(job->ctx, &j, 1, sizeof *j));
    j->ctx = job->ctx;
    j->place = job->place;
    j->out = job->out;
    j->data = job->data;
    j->size = job->size;
    j->jpeg.err = jpeg_std_error(&j->errors);
    j->jpeg.client_data = j;
    j->errors.error_exit = on_error;
    j->errors.emit_message = on_message;
    j->errors.output_message = on_output;
    j->progress.progress_monitor = on_progress;
    decode(j);
    jpeg_destroy_decompress(&j->jpeg);
    ox_status s = j->status;
    ox_free(job->ctx, j->row);
    ox_free(job->ctx, j);
    return s;
}
