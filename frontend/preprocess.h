/* frontend/preprocess.h - images (and arrays that need converting) into input tensors.
 *
 *   image -> channels -> size (resize, fit, crop) -> (pixel / scale - mean) / std -> layout ->
 * element type
 *
 * The keys of a specification are listed in README.md beside this file and, with their parser, in
 * preprocess.c. */
#ifndef OX_FRONTEND_PREPROCESS_H
#define OX_FRONTEND_PREPROCESS_H

#include "frontend/resize.h"

enum { OX_PREP_CHANNELS = 4 };

struct ox_prep_size {
    size_t height, width; /* 0: not given; width 0 with a height: the shorter side */
};

struct ox_prep {
    struct ox_prep_size resize, fit, crop;
    enum ox_filter filter;
    int pad;      /* grey level around what does not fill its place */
    double scale; /* 0: 255 for pixels, 1 for other arrays and for integer inputs */
    double mean[OX_PREP_CHANNELS], std[OX_PREP_CHANNELS];
    size_t n_mean, n_std; /* 0: not given, 1: for all channels */
    enum { OX_LAYOUT_AUTO, OX_LAYOUT_NCHW, OX_LAYOUT_NHWC } layout;
    enum { OX_COLOUR_AUTO, OX_COLOUR_RGB, OX_COLOUR_BGR, OX_COLOUR_GREY } colour;
};

OX_MUST_USE ox_status ox_prep_parse(struct ox_prep *out, ox_ctx *ctx,
                                    const char *spec); /* NULL or "": defaults */

/* What an input tensor must be. Dims of a sample, -1 where any number will do. */
struct ox_prep_target {
    const char *name; /* of the input, for diagnostics */
    ox_dtype dtype;
    int rank; /* -1: unknown */
    int64_t dims[OX_MAX_RANK];
    /* Filled in by ox_prep_plan: */
    bool nhwc;
    size_t channels, height, width; /* 0: as the image has it */
};

/* Works out layout, channels and size from the target's dims and the specification; what cannot be
 * is OX_INVALID. */
OX_MUST_USE ox_status ox_prep_plan(struct ox_prep_target *target, ox_ctx *ctx,
                                   const struct ox_prep *prep);
/* Consumes the image. */
OX_MUST_USE ox_status ox_prep_image(ox_tensor **out, ox_ctx *ctx, const struct ox_prep *prep,
                                    const struct ox_prep_target *target, struct ox_image *image,
                                    const struct ox_place *place);
/* The same from one array: [H,W], [H,W,C] or [C,H,W] of 8-bit pixels, or numbers of any kind, which
 * are not resized. */
OX_MUST_USE ox_status ox_prep_array(ox_tensor **out, ox_ctx *ctx, const struct ox_prep *prep,
                                    const struct ox_prep_target *target, const ox_tensor *array,
                                    const struct ox_place *place);

#endif
