/* ir/codec/image_png.c - PNG by libpng.
 *
 * libpng leaves a failing call by longjmp. So everything that must survive lives in `struct job`,
 * which is not a local of the function that calls setjmp, and that function only sequences calls.
 */
#include "ir/codec/image_priv.h"

#include <png.h>
#include <setjmp.h>

enum { SIDE_MAX = 1 << 16 }; /* libpng holds rows of its own */

struct job {
    ox_ctx *ctx;
    const struct ox_place *place;
    struct ox_image *out;
    const unsigned char *at, *end;
    png_structp png;
    png_infop info;
    png_bytep *rows;
    ox_status status;
};

static void on_error(png_structp png, png_const_charp text) {
    struct job *j = png_get_error_ptr(png);
    if (j->status == OX_OK)
        j->status = ox_fail(j->ctx, OX_INVALID, "bad-image", j->place, "damaged PNG: %s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static png_voidp png_take(png_structp png, png_alloc_size_t size) {
    struct job *j = png_get_mem_ptr(png);
    void *p;
    ox_status s = ox_alloc(j->ctx, &p, size, 1);
    if (s == OX_OK) return p;
    j->status = s; /* reported already */
    return NULL;
}

static void png_give(png_structp png, png_voidp p) {
    struct job *j = png_get_mem_ptr(png);
    ox_free(j->ctx, p);
}

static void on_read(png_structp png, png_bytep to, size_t size) {
    struct job *j = png_get_io_ptr(png);
    if (size > (size_t)(j->end - j->at)) png_error(png, "the file is cut off");
    memcpy(to, j->at, size);
    j->at += size;
}

/* Everything to 8 bits, grey or RGB. */
static void set_transforms(struct job *j) {
    int colour = png_get_color_type(j->png, j->info);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(j->png);
    if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(j->png);
    if (png_get_bit_depth(j->png, j->info) == 16) png_set_scale_16(j->png);
    png_set_strip_alpha(j->png);
    png_set_interlace_handling(j->png);
    png_read_update_info(j->png, j->info);
}

/* An error inside libpng ends here early; j->status says so. */
static void decode(struct job *j) {
    if (setjmp(png_jmpbuf(j->png))) return;
    png_set_read_fn(j->png, j, on_read);
    png_set_user_limits(j->png, SIDE_MAX, SIDE_MAX);
    png_set_chunk_malloc_max(j->png, 8 << 20);
    png_set_chunk_cache_max(j->png, 128);
    png_set_crc_action(j->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(j->png, j->info);
    size_t width = png_get_image_width(j->png, j->info),
           height = png_get_image_height(j->png, j->info);
    size_t channels = png_get_color_type(j->png, j->info) & PNG_COLOR_MASK_COLOR ? 3 : 1;
    j->status = ox_image_init(j->out, j->ctx, width, height, channels, j->place);
    if (j->status != OX_OK) return;
    set_transforms(j);
    if (png_get_rowbytes(j->png, j->info) != width * j->out->channels)
        j->status = ox_fail(j->ctx, OX_INTERNAL, "bad-image", j->place,
                            "libpng gives rows of an unexpected size");
    if (j->status == OX_OK) j->status = ox_alloc(j->ctx, &j->rows, height, sizeof(png_bytep));
    if (j->status != OX_OK) return;
    for (size_t y = 0; y < height; y++)
        j->rows[y] = j->out->pixels + y * width * j->out->channels;
    png_read_image(j->png, j->rows);
    png_read_end(j->png, NULL);
}

ox_status ox_image_read_png(const struct ox_image_job *job) {
    struct job j = {.ctx = job->ctx,
                    .place = job->place,
                    .out = job->out,
                    .at = job->data,
                    .end = job->data + job->size};
    j.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning, &j, png_take,
                                     png_give);
    if (j.png) j.info = png_create_info_struct(j.png);
    if (j.info)
        decode(&j);
    else if (j.status == OX_OK)
        j.status = ox_fail(j.ctx, OX_NOMEM, "out-of-memory", j.place, "no memory for libpng");
    png_destroy_read_struct(&j.png, &j.info, NULL);
    ox_free(j.ctx, j.rows);
    return j.status;
}
