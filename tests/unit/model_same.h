/* tests/unit/model_same.h - whether two models are the same in everything that a file can say. */
#ifndef OX_TESTS_UNIT_MODEL_SAME_H
#define OX_TESTS_UNIT_MODEL_SAME_H

#include "ir/graph/graph.h"

/* NULL if they are, else a text (static storage, valid until the next call) that says what differs.
 */
const char *model_difference(const struct ox_model *a, const struct ox_model *b);

#endif
