/* onnxopt/passes.h - optimizing and quantizing a model, and what came of it. */
#ifndef ONNXOPT_PASSES_H
#define ONNXOPT_PASSES_H

#include <onnxopt/dataset.h>
#include <onnxopt/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What runs a model where a pass must (quantize: calibration), in place of the reference executor:
 * the native runtime, say. */
struct ox_model_runner {
    void *user;
    /* Makes ready what runs the model as it is now: the model changes afterwards. Where this fails
     * the reference executor runs. */
    ox_status (*open)(void **opened, void *user, ox_model *model);
    /* in: one tensor per input, NULL: its default; out: one per output, borrowed until the next run
     * or the end. */
    ox_status (*run)(void *opened, const ox_tensor *const *in, const ox_tensor **out);
    void (*close)(void *opened);
};

/* Text of a pipeline: passes separated by commas, options in braces, loops until nothing changes:
 *     constants,loop(fold,cse,identity,dce),quantize{calibrator=mse;activations=uint8}
 * A preset ("default", "int8") is only a name for such a text. */
struct ox_optimize_options {
    size_t size;           /* sizeof(struct ox_optimize_options) */
    const char *pipeline;  /* NULL: the preset "default" */
    bool no_verify;        /* do not verify the model after every pass */
    uint64_t max_rewrites; /* stop changing the model after so many rewrites (to bisect a wrong
                              answer); 0: no limit */
    uint64_t fold_budget;  /* bytes by which folding may make the file larger in all; 0: 64 KiB */
    const struct ox_dataset *calibration; /* borrowed; NULL: none given, ranges come from statistics
                                             and synthetic inputs */
    uint64_t seed;                        /* of synthetic inputs */
    /* After each pass; `model` may be looked at (ox_model_text), not changed. */
    void (*after_pass)(void *user, const char *pass, ox_model *model);
    void *user;
    bool explain; /* report (as notes) why rules that matched in part did not fire */
    /* Borrowed; NULL: the reference executor, with which a model and samples give the same bytes on
     * every machine. With another one they do where its results are the same bits. */
    const struct ox_model_runner *runner;
};

typedef struct ox_outcome ox_outcome;

/* Runs the pipeline over the model, in place. On failure the model is valid only for ox_model_free.
 * *outcome may be NULL. */
OX_MUST_USE ox_status ox_optimize(ox_model *model, const struct ox_optimize_options *options,
                                  ox_outcome **outcome);
void ox_outcome_free(ox_outcome *outcome);

/* One pass that ran; loops give one entry per pass, summed over their rounds. */
struct ox_pass_report {
    const char *name;
    uint64_t rewrites;
    double seconds;
    size_t n_counters;
    const char *const *counters; /* names ("conv-bn", "nodes-removed") */
    const uint64_t *counts;
};
bool ox_outcome_pass(struct ox_pass_report *out, const ox_outcome *outcome,
                     size_t index); /* false past the end */

/* One tensor that was quantized, or considered and left in float. */
struct ox_quant_report {
    const char *tensor; /* its name in the model before quantization */
    const char *op;   /* type of the operator that produces it, of one that reads it for weights and
                         biases; "" for inputs */
    const char *kind; /* "activation", "weight", "bias" */
    bool quantized;
    const char *reason;     /* why not, when it was left in float */
    const char *source;     /* of the range: "data", "batch-norm" (made-up samples, matched to its
                               statistics), "synthetic" (made-up samples     alone), "weights" */
    const char *calibrator; /* that chose the range: "mse", ...; "" for weights and biases */
    ox_dtype dtype;
    size_t n_scales; /* 1: per tensor */
    float scale;     /* the first */
    int32_t zero_point;
    float range_min, range_max;
    double sqnr_db; /* signal to quantization noise, 10 log10(sum x^2 / sum (x - q)^2): of
                       activations on the calibration samples, in the quantized model against the
                       float one; of weights and biases, what rounding them costs; 200: exact; NaN
                       where not measured */
};
bool ox_outcome_quant(struct ox_quant_report *out, const ox_outcome *outcome, size_t index);
struct ox_quant_summary {
    bool ran;
    size_t samples;                  /* calibration samples used */
    bool synthetic;                  /* they were made up: no calibration data was given */
    const char *calibrator;          /* "mse", "minmax", ... */
    size_t ops_quantized, ops_float; /* of those that could be */
    size_t ops_weight_only; /* of ops_float: computed in float, on weights stored as int8 */
    double output_sqnr_db;  /* worst graph output; NaN where not measured */
};
void ox_outcome_quant_summary(struct ox_quant_summary *out, const ox_outcome *outcome);

/* The table of passes and presets, for help and documentation. False past the end. */
struct ox_pass_info {
    const char *name, *summary, *options; /* options: "key=default: what; ..." */
};
bool ox_pass_info(struct ox_pass_info *out, size_t index);
bool ox_preset_info(const char **name, const char **pipeline, const char **summary, size_t index);

#ifdef __cplusplus
}
#endif
#endif
