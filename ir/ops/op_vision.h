/* ir/ops/op_vision.h - parameters of the rarer operators on images: cropping, folding, unpooling,
 * pooling of regions, deformable convolution. */
#ifndef OX_IR_OPS_OP_VISION_H
#define OX_IR_OPS_OP_VISION_H

#include "ir/ops/op_args.h"
#include "ir/ops/op_window.h"

struct ox_center_crop_params {
    struct ox_ints axes; /* not given: all */
};

/* Col2Im: the kernel is input 2. */
struct ox_fold_params {
    struct ox_window window;
};

struct ox_unpool_params {
    struct ox_window window; /* the kernel is always known */
};

struct ox_roi_pool_params {
    int64_t height, width; /* of the output */
    float scale;
};

struct ox_deform_conv_params {
    struct ox_window window;
    int64_t group, offset_group; /* both >= 1 */
};

#endif
