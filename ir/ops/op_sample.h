/* ir/ops/op_sample.h - parameters of the operators that sample images and choose boxes. */
#ifndef OX_IR_OPS_OP_SAMPLE_H
#define OX_IR_OPS_OP_SAMPLE_H

#include "ir/ops/op_args.h"

enum ox_grid_mode { OX_GRID_LINEAR, OX_GRID_NEAREST, OX_GRID_CUBIC };
enum ox_grid_padding { OX_GRID_ZEROS, OX_GRID_BORDER, OX_GRID_REFLECTION };

struct ox_grid_sample_params {
    enum ox_grid_mode mode;
    enum ox_grid_padding padding;
    bool align_corners;
};
struct ox_roi_align_params {
    bool max;        /* else average */
    bool half_pixel; /* boxes are shifted by half a pixel, and may be smaller than one */
    int64_t height, width, ratio;
    float scale;
};
struct ox_nms_params {
    bool center; /* boxes are centre and size, else two corners */
};

#endif
