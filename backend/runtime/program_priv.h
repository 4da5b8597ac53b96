/* backend/runtime/program_priv.h - a program and a session from inside, for the files of this
 * folder. */
#ifndef OX_BACKEND_RUNTIME_PROGRAM_PRIV_H
#define OX_BACKEND_RUNTIME_PROGRAM_PRIV_H

#include "backend/blob/blob.h"
#include "backend/runtime/pool.h"
#include "backend/runtime/shared.h"
#include "backend/runtime/workers.h"
#include "ir/base/name.h"
#include "ir/ops/op.h"

#include <onnxopt/runtime.h>

/* What has been made ready of a step; the rest stands in the blob. */
struct oxr_plan {
    const struct ox_op *op;          /* generic steps */
    const struct oxr_kernel *kernel; /* native steps */
    const bool *present, *wanted;    /* n_in, n_out */
    void *prepared;                  /* generic steps: struct ox_call's, shared by all sessions */
    const ox_tensor *const *consts;  /* native steps: n_in */
    const char *text;                /* operator, with its domain where it is not the standard's */
};

/* Nothing in here changes after oxr_program_open, and counts of tensors in here are not touched by
 * sessions. */
struct oxr_program {
    ox_ctx *ctx;
    struct ox_arena arena;
    struct ox_names names;
    struct ox_bytes *bytes; /* the file; lent where it is the caller's memory */
    struct ox_bytes *data;  /* its section DATA, lent */
    char *file;             /* or NULL */
    struct ox_blob b;
    ox_tensor **consts;
    struct ox_attr *attrs;  /* those of all steps */
    struct oxr_plan *plans; /* by step */
    struct ox_port *ports;  /* inputs, then outputs */
    size_t widest;          /* operands or results of a step */
    struct oxr_shared *shared;
};

static inline const char *oxr_text(const struct oxr_program *p, uint32_t string) {
    return p->b.chars + p->b.strings[string].at;
}

/* Tensors over the constants in `data` (which lends DATA), and attributes that stand on them, with
 * counts of `ctx`'s own. `consts` has room for all. On failure the caller gives up what is there.
 */
OX_MUST_USE ox_status oxr_consts_make(ox_tensor **consts, ox_ctx *ctx, const struct ox_blob *b,
                                      struct ox_bytes *data);
/* Lets attributes that are tensors be those in `consts`. */
void oxr_attrs_stand_on(struct ox_attr *attrs, ox_tensor ***lists, const struct ox_blob *b,
                        ox_tensor *const *consts);

/* Fills in what oxr_input, oxr_output and oxr_step_info tell. */
OX_MUST_USE ox_status oxr_program_describe(struct oxr_program *p);

/* A native step in a session. */
struct oxr_native {
    void *state;
    struct oxr_shape *in, *out; /* of the last reshape */
    size_t workspace;
    bool shaped;
};

struct oxr_session {
    ox_ctx *outer, *ctx; /* the caller's; our own, whose memory is `pool` */
    struct oxr_pool pool;
    const struct oxr_program *p;
    struct ox_bytes *data;
    ox_tensor **consts;
    struct ox_attr *attrs;
    ox_tensor **attr_lists; /* what plural tensor attributes point into */
    ox_tensor **slots;
    uint64_t bodies;            /* times that a subgraph has been entered in this run */
    struct oxr_native *natives; /* by step */
    ox_tensor **bound, **results;
    int64_t *key;         /* shapes of inputs, as the pool knows runs by */
    const ox_tensor **in; /* operands of the plain step at hand */
    ox_tensor **out;
    const void **in_data;
    void **out_data;
    struct oxr_shape *shapes;
    struct oxr_workers workers;
    struct oxr_env env;
    oxr_profile_fn profile;
    void *profile_user;
};

/* Runs the main frame with the counts in `in` taken over. */
OX_MUST_USE ox_status oxr_run_main(struct oxr_session *s, ox_tensor **in, ox_tensor **out);
OX_MUST_USE ox_status oxr_native_init(struct oxr_session *s);
void oxr_native_fini(struct oxr_session *s);
/* Runs native step `step`: results are put into s->out. */
OX_MUST_USE ox_status oxr_native_run(struct oxr_session *s, size_t step);
/* The tensor an operand stands for, borrowed; NULL: absent. */
static inline const ox_tensor *oxr_operand(const struct oxr_session *s, uint32_t ref) {
    if (ref == OX_BLOB_NONE) return NULL;
    return ref & OX_BLOB_CONST_BIT ? s->consts[ref & ~OX_BLOB_CONST_BIT] : s->slots[ref];
}

#endif
