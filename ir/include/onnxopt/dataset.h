/* onnxopt/dataset.h - samples to calibrate with or to score on: an interface that whoever has data
 * implements.
 *
 * A sample is one tensor per input of a model, in the model's input order, each with the model's
 * dtype and a shape that the input accepts. Samples are made on demand and not kept, so memory does
 * not grow with their number. */
#ifndef ONNXOPT_DATASET_H
#define ONNXOPT_DATASET_H

#include <onnxopt/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ox_dataset {
    void *self;
    size_t count;    /* samples */
    size_t n_inputs; /* tensors a sample */
    /* Makes sample `index`: inputs gets n_inputs counted tensors (NULL: the input has no data and
     * keeps its default). *label (may be NULL) gets the class of the sample, -1 where there is
     * none. */
    ox_status (*sample)(void *self, size_t index, ox_tensor **inputs, int64_t *label);
    void (*free)(void *self);
};

#ifdef __cplusplus
}
#endif
#endif
