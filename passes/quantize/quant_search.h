/* passes/quantize/quant_search.h - finds what hurts: how much each quantizer of a plan disturbs the
 * outputs, and which nodes to leave in float so that the least is lost. */
#ifndef OX_PASSES_QUANTIZE_QUANT_SEARCH_H
#define OX_PASSES_QUANTIZE_QUANT_SEARCH_H

#include "passes/quantize/quant_sim.h"

#include <onnxopt/dataset.h>

struct ox_qsearch_options {
    double target_db;   /* stop when the outputs are this good */
    double float_share; /* most of the cost that may go to float, 0 to 1 */
    double work;        /* about so many multiply-accumulates may be simulated */
    bool explain;       /* report the noisiest units as notes */
};

struct ox_qsearch_result {
    double before_db, after_db; /* of the outputs, in simulation */
    double float_share;         /* of the cost, in float because of the search */
    size_t floated;             /* nodes */
};

/* Settles the plan anew with what should be float not `wanted`. Parameters and weights must have
 * been chosen. */
OX_MUST_USE ox_status ox_qsearch(struct ox_qsearch_result *out, struct ox_qsim *sim,
                                 const struct ox_dataset *data, size_t samples,
                                 const struct ox_qsearch_options *options);

#endif
