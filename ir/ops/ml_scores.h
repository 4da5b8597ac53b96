/* ir/ops/ml_scores.h - what the classifiers and regressors of ai.onnx.ml share: rows of numbers,
 * lists of labels, the transforms of scores.
 *
 * Where the standard says nothing, ONNX Runtime's choices are taken: one score alone is changed by
 * PROBIT only; a classifier of two classes with one score makes two of it (ox_post_binary); the
 * first of equal scores wins. */
#ifndef OX_IR_OPS_ML_SCORES_H
#define OX_IR_OPS_ML_SCORES_H

#include "ir/ops/op_args.h"
#include "ir/ops/op_ml.h"

/* Float, double, int32, int64: what these operators compute with. */
#define OX_ML_NUMBERS (OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE) | OX_BIT(OX_INT32) | OX_BIT(OX_INT64))

OX_MUST_USE ox_status ox_post_attr(enum ox_post *out, const struct ox_call *call);
/* Scores of one row, in place. */
void ox_post_transform(double *scores, size_t n, enum ox_post post);
/* Scores of the two classes from the one that speaks for the second. mixed: its sign decides, else
 * whether it is above 1/2. */
void ox_post_binary(double *two, double score, bool mixed, enum ox_post post);
double ox_logistic(double x);
/* Position of the greatest; the first of equal ones. */
size_t ox_argmax(const double *scores, size_t n);

/* A matrix [n, width], of an input [N,F] or [F] (one row), as floats or (double_too) doubles. */
struct ox_ml_rows {
    ox_tensor *tensor; /* of doubles */
    const double *data;
    size_t n, width;
};
OX_MUST_USE ox_status ox_ml_rows_open(struct ox_ml_rows *rows, const struct ox_call *call,
                                      const ox_tensor *x);
void ox_ml_rows_close(struct ox_ml_rows *rows);

/* ints or strings of whichever of two attributes is there; neither: n is 0. Both are OX_INVALID. */
OX_MUST_USE ox_status ox_ml_list_attr(struct ox_ml_list *list, const struct ox_call *call,
                                      const char *ints, const char *strings);
/* Element i of a list as a key. */
struct ox_key ox_ml_key(const struct ox_ml_list *list, size_t i);
/* [n] labels, ids[i] of the list; SIZE_MAX - 0 and SIZE_MAX - 1 stand for the labels 0 ("") and 1
 * of one-class models. */
OX_MUST_USE ox_status ox_ml_labels(ox_tensor **out, const struct ox_call *call,
                                   const struct ox_ml_list *list, const size_t *ids, size_t n);
#define OX_LABEL_NONE SIZE_MAX
#define OX_LABEL_ONE (SIZE_MAX - 1)
/* [n, width] doubles as a tensor of floats (or of `dtype`). */
OX_MUST_USE ox_status ox_ml_matrix(ox_tensor **out, const struct ox_call *call, ox_dtype dtype,
                                   const double *data, size_t n, size_t width);

/* Types of input 0 checked; out[i] gets [N] or [N, width] (width < 0: [N]). */
OX_MUST_USE ox_status ox_ml_infer_rows(const struct ox_call *call, struct ox_infer *io, size_t i,
                                       ox_dtype dtype, int64_t width);

#endif
