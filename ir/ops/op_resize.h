/* ir/ops/op_resize.h - parameters of Resize and Upsample. */
#ifndef OX_IR_OPS_OP_RESIZE_H
#define OX_IR_OPS_OP_RESIZE_H

#include "ir/ops/op.h"

enum ox_resize_mode { OX_RESIZE_NEAREST, OX_RESIZE_LINEAR, OX_RESIZE_CUBIC };
enum ox_resize_coords {
    OX_COORDS_HALF_PIXEL,
    OX_COORDS_HALF_PIXEL_SYMMETRIC,
    OX_COORDS_PYTORCH_HALF_PIXEL,
    OX_COORDS_ALIGN_CORNERS,
    OX_COORDS_ASYMMETRIC,
    OX_COORDS_TF_HALF_PIXEL_FOR_NN,
    OX_COORDS_TF_CROP_AND_RESIZE
};
enum ox_resize_nearest {
    OX_NEAREST_ROUND_PREFER_FLOOR,
    OX_NEAREST_ROUND_PREFER_CEIL,
    OX_NEAREST_FLOOR,
    OX_NEAREST_CEIL,
    OX_NEAREST_SIMPLE /* version 10 and Upsample: down when growing, up when shrinking */
};
enum ox_resize_policy { OX_RESIZE_STRETCH, OX_RESIZE_NOT_LARGER, OX_RESIZE_NOT_SMALLER };

struct ox_resize_params {
    int mode, coords, nearest, policy; /* of the enums above */
    bool antialias, exclude_outside;
    float cubic_a, extrapolation;
    const int64_t *axes; /* borrowed; NULL: all dims */
    size_t n_axes;
    int roi_at, scales_at, sizes_at; /* numbers of inputs, or -1 */
    const float *scales;             /* scales that are an attribute, else NULL */
    size_t n_scales;
    float two_scales[4]; /* Upsample 1: what scales points to */
};

/* What a call does along each dim of its data, in numbers. */
struct ox_resize_plan {
    int rank;
    int64_t in[OX_MAX_RANK], out[OX_MAX_RANK];
    float scale[OX_MAX_RANK];                           /* 1 for dims that are not resized */
    float roi_start[OX_MAX_RANK], roi_end[OX_MAX_RANK]; /* 0 and 1 but with tf_crop_and_resize */
};

/* Fills a plan. scales, sizes and roi are tensors or NULL; OX_INVALID for numbers that make no
 * sense. */
OX_MUST_USE ox_status ox_resize_plan(struct ox_resize_plan *plan, const struct ox_call *call,
                                     const struct ox_resize_params *p, int rank,
                                     const int64_t *dims, const ox_tensor *roi,
                                     const ox_tensor *scales, const ox_tensor *sizes);

#endif
