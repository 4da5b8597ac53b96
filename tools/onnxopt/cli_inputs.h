/* tools/onnxopt/cli_inputs.h - tensors to run a model on: from files, or made up from a seed; and
 * comparing outputs. */
#ifndef ONNXOPT_CLI_INPUTS_H
#define ONNXOPT_CLI_INPUTS_H

#include "engine.h"

/* One tensor per input of the model, from the files of --input. `in` has room for all inputs,
 * zeroed; the caller unrefs. */
OX_MUST_USE ox_status inputs_read(ox_tensor **in, const struct engine *e);
/* Seeded tensors: floats about normally distributed, integers in 0..9, symbolic dims as --dim says,
 * else 1. */
OX_MUST_USE ox_status inputs_random(ox_tensor **in, const struct engine *e, uint64_t seed);
void inputs_free(ox_tensor **in, size_t n);

/* How far `b` is from `a`, summed over calls. */
struct difference {
    double max_abs, max_ref;  /* largest |a - b|, largest |a| */
    double signal, noise;     /* sums of a^2 and (a - b)^2 */
    double low, high;         /* range of a */
    size_t elements, unequal; /* unequal: other integers, strings, or NaN in other places */
    bool comparable;          /* same type and shape throughout */
};
void difference_init(struct difference *d);
void difference_add(struct difference *d, const ox_tensor *a, const ox_tensor *b);
double difference_sqnr(const struct difference *d);     /* dB; infinity when equal */
double difference_relative(const struct difference *d); /* max_abs over the range of a */
/* Index of the largest element, -1 for an empty or non-numeric tensor; rank k: how many elements
 * are larger than element `of`. */
int64_t tensor_argmax(const ox_tensor *t);
size_t tensor_rank_of(const ox_tensor *t, size_t of);

#endif
