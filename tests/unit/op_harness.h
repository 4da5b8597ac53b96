/* tests/unit/op_harness.h - calling one operator from a test.
 *
 * oh_eval also infers the outputs' types from what is known less and less well (all constants,
 * types only, symbolic dims, integers known in part) and compares them with what came out, so that
 * every test of a kernel is one of its inference too; and operators that prepare a state run with
 * one that is kept as well. */
#ifndef OX_TESTS_OP_HARNESS_H
#define OX_TESTS_OP_HARNESS_H

#include "ir/ops/op.h"
#include <check.h>

#define OH_MAX 24

struct oh {
    ox_ctx *ctx;
    struct ox_names names;
    const struct ox_op *op;
    int opset;
    struct ox_attr attrs[OH_MAX];
    size_t n_attrs;
    ox_tensor *in[OH_MAX];  /* owned; NULL: absent */
    ox_tensor *out[OH_MAX]; /* of the last oh_eval, owned */
    size_t n_in, n_out;
    unsigned unwanted; /* bit i: output i is not asked for */
    bool no_infer;     /* oh_eval does not compare types (operators whose output shapes depend on
                          values) */
    char id[64], text[700]; /* last diagnostic */
};

void oh_init(struct oh *h, const char *op, int opset, int threads);
void oh_fini(struct oh *h); /* fails the test if memory is left */

void oh_int(struct oh *h, const char *name, int64_t value);
void oh_float(struct oh *h, const char *name, float value);
void oh_string(struct oh *h, const char *name, const char *value);
/* The arrays must live until the call. */
void oh_ints(struct oh *h, const char *name, size_t n, const int64_t *values);
void oh_floats(struct oh *h, const char *name, size_t n, const float *values);
#define OH_INTS(h, name, ...)                                                                      \
    oh_ints(h, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})
#define OH_FLOATS(h, name, ...)                                                                    \
    oh_floats(h, name, sizeof((float[]){__VA_ARGS__}) / sizeof(float), (float[]){__VA_ARGS__})

/* Adds an input of zeros; returns its elements. */
void *oh_input(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims);
/* Adds an input with these elements (as many bytes as the shape needs). */
void oh_input_of(struct oh *h, ox_dtype dtype, int rank, const int64_t *dims, const void *data);
/* Adds a float input of seeded numbers in [-1, 1). */
float *oh_random(struct oh *h, uint64_t *seed, int rank, const int64_t *dims);
void oh_absent(struct oh *h);
#define OH_DIMS(...)                                                                               \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) {                       \
        __VA_ARGS__                                                                                \
    }

/* Arity and decode, with all inputs constant. */
ox_status oh_check(struct oh *h, size_t n_out);
/* Inference alone, with all inputs constant or (types_only) none. */
ox_status oh_infer(struct oh *h, size_t n_out, bool types_only);
ox_status oh_eval(struct oh *h, size_t n_out);
/* The same call in another context with so many threads gives the same bits. */
void oh_same_with_threads(struct oh *h, int threads);

/* Output i: rank and dims are these. */
void oh_expect_dims(const struct oh *h, size_t i, int rank, const int64_t *dims);
/* Output i is float and equals these numbers within tolerance * (1 + |expected|). */
void oh_expect_floats(const struct oh *h, size_t i, size_t n, const double *expected,
                      double tolerance);

/* Seeded numbers: [0, n), and a float in [-1, 1). */
uint64_t oh_pick(uint64_t *seed, uint64_t n);
float oh_unit(uint64_t *seed);

#endif
