/* tests/unit/quant_harness.h - a model from text, a plan of it, and samples, for the tests of
 * quantization. Everything is checked here: a test that gets something back can rely on it. */
#ifndef QUANT_HARNESS_H
#define QUANT_HARNESS_H

#include "passes/quantize/quant_search.h"
#include "passes/quantize/quant_stats.h"

struct quant_world {
    ox_ctx *ctx;
    struct ox_model *model;
    struct ox_qplan *plan;
    struct ox_qsim sim;
    struct ox_dataset data; /* of the first input only; others have defaults */
    float *samples;
    size_t size; /* elements of a sample */
};

void quant_world_open(struct quant_world *w, const char *text);
void quant_world_close(struct quant_world *w);
/* The plan: nodes may be on as their roles say, nothing is calibrated. */
void quant_plan(struct quant_world *w);
/* `count` samples of normal numbers, and what calibration makes of them: statistics, roles settled,
 * groups, min-max ranges, scales of weights. */
void quant_samples(struct quant_world *w, size_t count);
void quant_calibrate(struct quant_world *w);

struct ox_value *quant_value(const struct quant_world *w, const char *name);
struct ox_qvalue *quant_qvalue(const struct quant_world *w, const char *name);
/* Of the node that makes the value. */
struct ox_qnode *quant_qnode(const struct quant_world *w, const char *name);

#endif
