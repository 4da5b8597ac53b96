/* ir/ops/op_image.c - ImageDecoder: the bytes of an image file to [height, width, channels] of
 * uint8. */
#include "ir/codec/image.h"
#include "ir/ops/op_priv.h"

ox_status ox_decode_image_decoder(const struct ox_call *call, void *params) {
    static const char *const formats[] = {"RGB", "BGR", "Grayscale", NULL};
    int format;
    OX_TRY(ox_attr_choice(&format, call, "pixel_format", formats, OX_PIXELS_RGB));
    ((struct ox_image_decoder_params *)params)->format = (enum ox_pixel_format)format;
    return OX_OK;
}

ox_status ox_infer_image_decoder(const struct ox_call *call, const void *params,
                                 struct ox_infer *io) {
    const struct ox_image_decoder_params *p = params;
    int rank = ox_in_rank(io, 0);
    ox_dim dims[3];
    OX_TRY(ox_expect_dtype(call, 0, ox_in_dtype(io, 0), OX_BIT(OX_UINT8)));
    if (rank >= 0 && rank != 1)
        return ox_bad_shape(call, "the input has rank %d, expected the bytes of a file (rank 1)",
                            rank);
    OX_TRY(ox_dim_unknown(&dims[0], io->dims));
    OX_TRY(ox_dim_unknown(&dims[1], io->dims));
    io->why = "how large the image is stands in its bytes";
    dims[2] = ox_dim_const(p->format == OX_PIXELS_GREY ? 1 : 3);
    return ox_infer_tensor(io, 0, OX_UINT8, 3, dims);
}

ox_status ox_eval_image_decoder(const struct ox_call *call, const void *params,
                                const ox_tensor *const *in, ox_tensor **out) {
    const struct ox_image_decoder_params *p = params;
    struct ox_image image;
    OX_TRY(ox_expect_dtype(call, 0, in[0]->dtype, OX_BIT(OX_UINT8)));
    if (in[0]->rank != 1)
        return ox_bad_shape(call, "the input has rank %d, expected the bytes of a file (rank 1)",
                            in[0]->rank);
    OX_TRY(ox_image_read(&image, call->ctx, in[0]->data, in[0]->size, NULL));
    ox_status s = ox_image_set_channels(&image, call->ctx, p->format == OX_PIXELS_GREY ? 1 : 3);
    size_t bytes = image.width * image.height * image.channels;
    for (size_t i = 0; s == OX_OK && p->format == OX_PIXELS_BGR && i < bytes; i += 3) {
        unsigned char red = image.pixels[i];
        image.pixels[i] = image.pixels[i + 2];
        image.pixels[i + 2] = red;
    }
    const int64_t dims[3] = {(int64_t)image.height, (int64_t)image.width, (int64_t)image.channels};
    if (s == OX_OK) s = ox_tensor_copy(&out[0], call->ctx, OX_UINT8, 3, dims, image.pixels, bytes);
    ox_image_fini(&image, call->ctx);
    return s;
}
