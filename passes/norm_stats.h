/* passes/norm_stats.h - what BatchNormalization says of activations, noted before passes fold it
 * away.
 *
 * Behind an inference BatchNormalization a channel has, over the data the model was trained on, its
 * `bias` as mean and the magnitude of its `scale` as standard deviation. Fusing keeps the name of
 * the value behind it (the convolution's output takes it over), so notes are kept by name; a value
 * that a rewrite replaced by another has another name, and its note is simply never asked for. */
#ifndef OX_PASSES_NORM_STATS_H
#define OX_PASSES_NORM_STATS_H

#include "ir/ir.h"

struct ox_norm_stat {
    ox_name value;      /* behind the BatchNormalization; channels are dim 1 */
    size_t n;           /* channels */
    double *mean, *dev; /* of each channel; dev >= 0, all finite */
};

struct ox_norm_stats {
    struct ox_norm_stat *list;
    size_t n, cap;
    bool any; /* there was a BatchNormalization, be its numbers constant or not */
};

/* Notes the main graph's. What is not constant, or not finite, is left out. On failure nothing is
 * left to free. */
OX_MUST_USE ox_status ox_norm_stats_collect(struct ox_norm_stats *out,
                                            const struct ox_model *model);
void ox_norm_stats_free(struct ox_norm_stats *stats, ox_ctx *ctx);
/* NULL where there is none. */
const struct ox_norm_stat *ox_norm_stats_find(const struct ox_norm_stats *stats, ox_name value);

#endif
