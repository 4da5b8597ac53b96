/* conf_errata.c - cases that cannot pass, each with its proof: recorded outputs that are not the
 * standard's answer, and models that are broken. An entry counts only where its case fails. */
#include "conf.h"

/* Recorded outputs that are not the standard's answer: corrected in later releases, or noise larger
 * than the tolerance where the exact answer is 0. */
#define DFT_NOISE                                                                                  \
    "recorded in float: where the exact answer is 0 it has noise of up to 1.9e-7, more than the "  \
    "tolerance; ours is 3e-15"
#define WRAPS                                                                                      \
    "recorded -236 as 20: the result wraps where the standard saturates to -128; corrected in a "  \
    "later release of the data"
#define WRAPS_3D                                                                                   \
    "recorded -139 as 117: the result wraps where the standard saturates to -128; corrected in a " \
    "later release of the data"
static const struct {
    const char *name, *why;
} errata[] = {
    {"node/test_adam_multiple",
     "recorded with an epsilon of 0.01, which the model leaves at its default of 1e-6"},
    {"node/test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
     "recorded output counts cells beyond the padding; corrected in ONNX 1.18"},
    {"node/test_dft_inverse", DFT_NOISE},
    {"node/test_dft_inverse_opset19", DFT_NOISE},
    {"node/test_qlinearmatmul_2D_int8_float16", WRAPS},
    {"node/test_qlinearmatmul_2D_int8_float32", WRAPS},
    {"node/test_qlinearmatmul_3D_int8_float16", WRAPS_3D},
    {"node/test_qlinearmatmul_3D_int8_float32", WRAPS_3D},
    /* Not valid by the standard: refusing them is right. A name that ends in * stands for all that
       begin so. */
    {"crates/onnx-ir/tests/fixtures/mixed_rank_broadcasting", "not valid: Add of dims 4 and 3"},
    {"crates/onnx-ir/tests/fixtures/opset_compliance/opset_01",
     "not valid: Cast-1 spells its type out, here it is a number; Tile-1 has three inputs, here "
     "two"},
    {"crates/onnx-ir/tests/fixtures/opset_compliance/opset_18",
     "not valid: GroupNormalization-18 has one scale a group, here 4 for 2 groups"},
    {"crates/onnx-tests/tests/bitshift/*",
     "not valid: BitShift takes unsigned integers, here int32"},
    {"crates/onnx-tests/tests/if_op/if_conv2d",
     "not valid: a branch of If has no inputs, here one"},
    {"crates/onnx-tests/tests/sum/sum_int", "not valid: Sum takes floats, here int64"},
    {"onnxruntime/test/testdata/transform/fusion/embed_layer_norm_format4",
     "made for a pattern matcher: Attention of 1 channel with weights for 3"},
    {"onnxruntime/test/testdata/transform/fusion/fuse-matmul-bn-*",
     "made for a pattern matcher: BatchNormalization of dim 1 of 1 or 5 with 5 scales in the last"},
    {"onnxruntime/test/testdata/transform/fusion/"
     "reshape_fusion_multiple_values_in_initializer_tensor_1",
     "made for a pattern matcher: Reshape of 6000 elements to 4000"},
    {"tools/Polygraphy/tests/models/bad_graph_with_*", "broken on purpose, as the name says"},
    {"tools/Polygraphy/tests/models/capability", "broken on purpose: Add of double and float"},
    {"tools/Polygraphy/tests/models/ext_weights", "its external data is not there"},
    {"tools/Polygraphy/tests/models/weightless.*", "its weights have been left out on purpose"},
};

const char *conf_erratum(const char *name) {
    for (size_t i = 0; i < sizeof errata / sizeof errata[0]; i++) {
        size_t n = strlen(errata[i].name);
        bool prefix = errata[i].name[n - 1] == '*';
        if (prefix ? strncmp(name, errata[i].name, n - 1) == 0 : strcmp(name, errata[i].name) == 0)
            return errata[i].why;
    }
    return NULL;
}
