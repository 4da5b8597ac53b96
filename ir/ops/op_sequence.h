/* ir/ops/op_sequence.h - parameters of the operators on sequences and optionals. */
#ifndef OX_IR_OPS_OP_SEQUENCE_H
#define OX_IR_OPS_OP_SEQUENCE_H

#include "ir/ops/op.h"

struct ox_sequence_empty_params {
    ox_dtype dtype;
};
struct ox_split_to_sequence_params {
    int64_t axis;
    bool keepdims;
};
struct ox_concat_from_sequence_params {
    int64_t axis;
    bool new_axis;
};
struct ox_optional_params {
    const struct ox_type *type; /* NULL: of the input */
};

#endif
