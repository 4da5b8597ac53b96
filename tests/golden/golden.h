/* tests/golden/golden.h - reading golden files, and running their cases.
 *
 * A golden file is ONNX text with directives in its comments:
 *
 *     # case conv-bn: the scale goes into the weights
 *     # pipeline fuse_conv,dce          (default: the file's name without its ending)
 *     # tolerance 1e-6                  (default 1e-5 of the range of each output; 0: the same
 * bits) # fold-budget 100                 (and other options of ox_optimize: see directive()) #
 * skip-run why                    (the model cannot be executed) <ir_version: 8, opset_import: [""
 * : 17]> main (...) => (...) { ... } # gives <ir_version: 8, ...> ...
 *
 * Everything between "# gives" and the next "# case" is what must come out. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "ir/ir.h"

#include <onnxopt/passes.h>

struct golden_case {
    char name[100], pipeline[400], no_run[200];
    char *input, *expected; /* expected: NULL when the case has no "# gives" yet */
    size_t begin,
        head; /* what --bless keeps: bytes [begin, head) of the file, directives and input */
    double tolerance;
    struct ox_optimize_options options;
    int line;
};

struct golden_file {
    char *text;
    struct golden_case *cases;
    size_t n;
};

/* Aborts the program with a message where the file is not readable or malformed: this is test code.
 */
void golden_read(struct golden_file *out, const char *path);
void golden_free(struct golden_file *file);

/* Prints diagnostics to stderr. */
void golden_on_diag(void *user, const struct ox_diag *diag);

/* A random number in [0, 1) from a state. */
double golden_random(uint64_t *state);
/* Seeded inputs for the main graph of a model: floats in [-2, 2), integers 0 or 1, symbolic dims 2.
 * Entries of inputs that have a default are NULL. The caller frees with golden_unref_all. */
ox_status golden_inputs(ox_tensor ***out, struct ox_model *model, uint64_t seed);
void golden_unref_all(ox_ctx *ctx, ox_tensor **tensors, size_t count);
/* Runs the reference executor; *out from ox_alloc. */
ox_status golden_execute(ox_tensor ***out, struct ox_model *model, ox_tensor **inputs);
/* False with a line in `why` where two lists of outputs differ by more than tolerance times the
 * range of each output. */
bool golden_same(char *why, size_t size, ox_tensor **a, ox_tensor **b, size_t count,
                 double tolerance);

#endif
