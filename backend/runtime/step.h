/* backend/runtime/step.h - what a native step's kernel must do.
 *
 *   create    once per session and step: builds what does not depend on shapes (an operator
 * object); packed weights come from shared.h, so that all sessions have the same ones reshape
 * before the first run and whenever a shape or type of an operand differs from the last time:
 * checks the operands, tells the results' types and shapes, and how many bytes of workspace a run
 * needs run       computes; allocates nothing destroy   takes NULL
 *
 * The kinds, their records and how to add one stand in backend/blob/steps.def. A kernel may rely on
 * its record (the check function has proved it), on the constants having the types and dims that
 * the check function demanded, and on nothing else: shapes and types of computed operands may be
 * anything at all, and what does not fit is OX_INVALID from `reshape` ("shape-mismatch",
 * "wrong-type"), never a read outside. A shape with no elements is a shape; run is then called all
 * the same, with pointers that may be NULL.
 *
 * Layout: a slot holds a plain row-major tensor. Where the lowering has chosen channels last, the
 * slot's dims are those of the transposed tensor (N,H,W,C), and nothing at run time knows that it
 * was ever different. */
#ifndef OX_BACKEND_RUNTIME_STEP_H
#define OX_BACKEND_RUNTIME_STEP_H

#include "backend/blob/step_check.h"

struct pthreadpool; /* pthreadpool.h: pthreadpool_t is a pointer to it */
struct oxr_shared;

/* Every operand of a run, computed or constant, has this many readable bytes (of no particular
 * value) behind its last. */
enum { OXR_SLACK = 16 };

struct oxr_shape {
    ox_dtype dtype; /* OX_UNDEFINED: the operand is absent */
    int rank;
    int64_t dims[OX_STEP_RANK_MAX];
};

/* What a session lends its kernels. */
struct oxr_env {
    ox_ctx *ctx; /* the session's: its memory is recycled, so what is allocated in reshape costs
                    nothing later */
    struct pthreadpool *pool;  /* NULL: the calling thread alone */
    bool direct;               /* convolutions of floats must be direct sums */
    struct oxr_shared *shared; /* packed weights of the program: shared.h */
};

struct oxr_kernel {
    ox_status (*create)(void **state, const struct oxr_env *env, const struct ox_step *step);
    /* in: step->n_in entries, of constants too. out: step->n_out entries, preset to rank 0 and
     * OX_UNDEFINED. *workspace is preset to 0. A rank above OX_STEP_RANK_MAX never gets here: the
     * session refuses it. */
    ox_status (*reshape)(void *state, const struct oxr_env *env, const struct oxr_shape *in,
                         struct oxr_shape *out, size_t *workspace);
    /* Pointers are 64-byte aligned, except operands that the caller of the session has bound
     * (aligned to their elements). NULL: absent operand or unwanted result. The workspace is
     * 64-byte aligned, of no particular content. */
    ox_status (*run)(void *state, const struct oxr_env *env, const void *const *in,
                     void *const *out, void *workspace);
    void (*destroy)(void *state, const struct oxr_env *env);
    int in_place; /* i + 1: result 0 may lie where operand i lies, if both need the same bytes and
                     no other operand lies there; 0: never */
};

/* The kernel of a kind, or NULL. */
const struct oxr_kernel *oxr_kernel_find(unsigned kind);

#define STEP(number, NAME, name, min_in, max_in, min_out, max_out)                                 \
    extern const struct oxr_kernel oxr_kernel_##name;
#include "backend/blob/steps.def"
#undef STEP

#endif
