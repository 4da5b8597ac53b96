/* backend/runtime/conv32.h - the ways in which float convolutions are computed. step_conv.c asks
 * them in turn; the first that suits a step is used for it. To add one: its row there, before those
 * it is better than; its rule, as measured, in a comment of its `suits`. */
#ifndef OX_BACKEND_RUNTIME_CONV32_H
#define OX_BACKEND_RUNTIME_CONV32_H

#include "backend/runtime/act32.h"
#include "backend/runtime/step.h"

/* What a step says, for as long as its state lives. */
struct oxr_conv32 {
    const struct ox_step_conv_params *p;
    size_t channels, outputs;    /* of all groups */
    const float *filter, *bias;  /* see step_params.h; bias: NULL, or one for each output */
    size_t step;                 /* its number, by which packed weights are found */
    bool direct;                 /* must be a direct sum */
    bool adds;                   /* a tensor like the result is added before the clamp */
    const struct oxr_act32 *act; /* what the sums go through, if the way is to do it; else NULL */
};

/* N,H,W of the data, H,W of the result; none is 0. */
struct oxr_conv_shape {
    size_t images, height, width, out_height, out_width;
};

struct oxr_conv32_way {
    bool acts; /* it sees to what->act; else that is NULL, and the step does it afterwards */
    bool (*suits)(const struct oxr_conv32 *c);
    /* As those of a kernel (step.h). `add` is NULL where nothing is added; it may be `out` itself.
     */
    ox_status (*create)(void **state, const struct oxr_env *env, const struct oxr_conv32 *c);
    ox_status (*reshape)(void *state, const struct oxr_env *env, const struct oxr_conv_shape *shape,
                         size_t *workspace);
    ox_status (*run)(void *state, const struct oxr_env *env, const float *in, const float *add,
                     float *out, void *workspace);
    void (*destroy)(void *state, const struct oxr_env *env);
};

extern const struct oxr_conv32_way
    oxr_conv32_winograd; /* winograd.h; leaves what does not win to the direct way */
extern const struct oxr_conv32_way oxr_conv32_gemm;      /* a product of rows of pixels */
extern const struct oxr_conv32_way oxr_conv32_depthrow;  /* depthwise, rows of 3, 5 or 7 */
extern const struct oxr_conv32_way oxr_conv32_depthwise; /* depthwise32.h */
extern const struct oxr_conv32_way oxr_conv32_xnn;       /* suits always */

/* The best way that sums products directly. */
const struct oxr_conv32_way *oxr_conv32_direct(const struct oxr_conv32 *c);

/* The result's shape for data N,H,W,C or N,L,C of any shape, or a diagnostic; *empty: it has no
 * elements, or depends on none, and *shape is not set. */
OX_MUST_USE ox_status oxr_conv_reshape(struct oxr_conv_shape *shape, bool *empty,
                                       struct oxr_shape *out, const struct oxr_env *env,
                                       const struct oxr_shape *in, const struct ox_step_window *w,
                                       size_t channels, size_t outputs);

#endif
