/* frontend/dataset_priv.h - what dataset.c (files and folders into samples) and dataset_arrays.c
 * (arrays into samples) share. */
#ifndef OX_FRONTEND_DATASET_PRIV_H
#define OX_FRONTEND_DATASET_PRIV_H

#include "frontend/preprocess.h"
#include "ir/graph/graph.h"
#include <onnxopt/load.h>

/* The inputs that samples are made for, and how. */
struct ox_feed {
    ox_ctx *ctx;
    size_t n_inputs;
    struct ox_prep_target *targets; /* n_inputs; planned for images once `planned` is set */
    bool *optional;                 /* n_inputs: has a default */
    struct ox_prep prep;
    bool has_spec; /* the user gave one: arrays of another type or layout are converted by it */
    bool planned;
};

/* Plans all that images need to know of the target; at most once. */
OX_MUST_USE ox_status ox_feed_plan(struct ox_feed *feed, size_t input);
/* The only input that has no default, for data without names. */
OX_MUST_USE ox_status ox_feed_single(size_t *input, const struct ox_feed *feed,
                                     const struct ox_place *place);

/* How an array gives samples. */
enum ox_cut {
    OX_CUT_WHOLE,   /* the same for every sample */
    OX_CUT_BATCH,   /* `batch` rows along its first dim, which the input has too */
    OX_CUT_ITEM,    /* one row, without the first dim */
    OX_CUT_CONVERT, /* one row, preprocessed */
    OX_CUT_CONVERT_WHOLE
};

struct ox_array {
    ox_tensor *tensor; /* NULL: this input keeps its default */
    enum ox_cut cut;
    size_t batch, samples;
};

/* All arrays of one file or folder, matched to the inputs. */
struct ox_arrays {
    struct ox_array *inputs; /* n_inputs */
    ox_tensor *labels;       /* or NULL */
    size_t samples;
};

/* files: one .npy, .npz or .pb, or several .npy whose names (without folder and ending) are
 * members' names. */
OX_MUST_USE ox_status ox_arrays_open(struct ox_arrays *out, struct ox_feed *feed,
                                     char *const *files, size_t n_files);
/* The files are the inputs in order, each one whole sample (input_0.pb, input_1.pb, ...). */
OX_MUST_USE ox_status ox_arrays_open_set(struct ox_arrays *out, struct ox_feed *feed,
                                         char *const *files, size_t n_files);
void ox_arrays_close(struct ox_arrays *arrays, const struct ox_feed *feed);
OX_MUST_USE ox_status ox_arrays_sample(ox_tensor **inputs, int64_t *label,
                                       const struct ox_arrays *arrays, struct ox_feed *feed,
                                       size_t index);
/* True for names of members that hold classes: "labels", "label", "y", or beginning with "label".
 */
bool ox_is_label_name(const char *name);

#endif
