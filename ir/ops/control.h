/* ir/ops/control.h - running If, Loop, Scan and SequenceMap over bodies that somebody else runs:
 * one engine for the reference executor and the runtime.
 *
 * A body is what stands in a graph attribute. This layer cannot look into it and asks through
 * struct ox_bodies. */
#ifndef OX_IR_OPS_CONTROL_H
#define OX_IR_OPS_CONTROL_H

#include "ir/ops/op.h"

/* What is known of a body's output before it has ever run. */
struct ox_body_out {
    ox_dtype dtype;            /* OX_UNDEFINED: unknown */
    int rank;                  /* -1: unknown */
    int64_t dims[OX_MAX_RANK]; /* rank entries, -1 where unknown */
};

struct ox_bodies {
    void *self;
    size_t (*n_in)(void *self, const struct ox_graph *body);
    size_t (*n_out)(void *self, const struct ox_graph *body);
    void (*out_type)(struct ox_body_out *type, void *self, const struct ox_graph *body,
                     size_t index);
    /* Runs a body once. in: n_in tensors whose counts are taken over (also on failure) and which
     * are NULL afterwards; out: n_out entries, counted for the caller, NULL on failure. */
    ox_status (*run)(void *self, const struct ox_graph *body, ox_tensor **in, ox_tensor **out);
};

/* Runs a call of an operator with the trait CONTROL. The arrays consts, present and wanted of the
 * call are looked at before a body runs and not after. in: n_in entries, valid until this returns.
 * out: n_out entries, NULL before, counted for the caller; on failure the caller gives up what is
 * there. */
OX_MUST_USE ox_status ox_control_run(const struct ox_call *call, const struct ox_bodies *bodies,
                                     const ox_tensor *const *in, ox_tensor **out);

#endif
