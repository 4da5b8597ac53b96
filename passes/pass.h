/* passes/pass.h - what a pass is: a row in passes.def, a file of the same name, and this contract.
 *
 * A pass changes the model in place through the primitives of ir/graph/graph.h, counts what it did,
 * and leaves the model valid: the pipeline verifies it afterwards and names the pass if it is not.
 * It asks ox_rewrite_allowed before each change, so that --max-rewrites can stop between any two,
 * and passes every change through ox_rewrite_done. To add one: its row, its file, its golden file.
 */
#ifndef OX_PASSES_PASS_H
#define OX_PASSES_PASS_H

#include "ir/ir.h"
#include "passes/norm_stats.h"

#include <onnxopt/passes.h>

struct ox_pass;
struct ox_outcome;

/* What a running pass is given. */
struct ox_pass_run {
    struct ox_model *model;
    ox_ctx *ctx;
    const struct ox_pass *pass;
    const struct ox_optimize_options *options; /* of the whole pipeline, defaults filled in */
    const struct ox_pass_arg *args; /* options of this pass as written in the pipeline text */
    size_t n_args;
    struct ox_outcome *outcome;
    const ox_name
        *input_names; /* of what samples of options->calibration hold: the inputs before any pass */
    size_t n_input_names;
    const struct ox_norm_stats
        *norms; /* of the model as it came: BatchNormalization ties activations to a scale */
    struct ox_shapes *shapes; /* see ox_pass_shapes_now */
    uint64_t shapes_stamp;
    uint64_t *counts;        /* one per counter of the row */
    uint64_t rewrites;       /* made by this run of the pass */
    uint64_t *rewrites_left; /* of the whole pipeline */
    int64_t *growth_left;    /* bytes by which the file may still grow, in the whole pipeline */
};

struct ox_pass_arg {
    ox_name key, value;
};

typedef ox_status (*ox_pass_fn)(struct ox_pass_run *run);

struct ox_pass {
    const char *name, *summary, *options;
    const char *const *counters;
    size_t n_counters;
    ox_pass_fn run;
};

/* The function of each row. */
#define PASS(name, summary, options, ...) ox_status ox_pass_##name(struct ox_pass_run *run);
#define PRESET(name, summary, pipeline)
#include "passes/passes.def"
#undef PASS
#undef PRESET

/* May one more rewrite be made? */
bool ox_rewrite_allowed(const struct ox_pass_run *run);
/* One was made: counts it, under `counter` (index of the row's counters). */
void ox_rewrite_done(struct ox_pass_run *run, size_t counter);
/* A constant of so many bytes was made, or let go (negative): what is let go may be used for
 * folding again. */
static inline void ox_rewrite_grew(const struct ox_pass_run *run, int64_t bytes) {
    *run->growth_left -= bytes;
}
/* Why a rewrite that nearly applied was not made; a note when options->explain. */
void ox_rewrite_missed(const struct ox_pass_run *run, const struct ox_node *node,
                       const char *format, ...) OX_PRINTF(3, 4);

/* What inference knows of the model as it is; the pipeline's, good until the end of the pass. It is
 * worked out anew only where the model has changed since it was last. */
OX_MUST_USE ox_status ox_pass_shapes_now(const struct ox_shapes **out, struct ox_pass_run *run);

/* Options in the pipeline text: default when absent, OX_USAGE with a diagnostic when malformed. */
OX_MUST_USE ox_status ox_pass_arg_text(const char **out, const struct ox_pass_run *run,
                                       const char *key, const char *dflt);
OX_MUST_USE ox_status ox_pass_arg_int(int64_t *out, const struct ox_pass_run *run, const char *key,
                                      int64_t dflt, int64_t min, int64_t max);
OX_MUST_USE ox_status ox_pass_arg_float(double *out, const struct ox_pass_run *run, const char *key,
                                        double dflt);
OX_MUST_USE ox_status ox_pass_arg_choice(int *out, const struct ox_pass_run *run, const char *key,
                                         const char *const *allowed, int dflt);

/* Adds to the report of quantization; strings are copied. */
OX_MUST_USE ox_status ox_outcome_add_quant(struct ox_outcome *outcome,
                                           const struct ox_quant_report *entry);
OX_MUST_USE ox_status ox_outcome_set_quant_summary(struct ox_outcome *outcome,
                                                   const struct ox_quant_summary *summary);

#endif
