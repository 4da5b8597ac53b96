/* backend/runtime/xnn_common.h - what the kernels that stand on XNNPACK share. XNNPACK's changing
 * interface is confined to the files xnn_*.c of this folder; one operator object a step and
 * session, its pool given anew at each reshape. */
#ifndef OX_BACKEND_RUNTIME_XNN_COMMON_H
#define OX_BACKEND_RUNTIME_XNN_COMMON_H

#include "backend/runtime/shared.h"

#include <pthreadpool.h>
#include <xnnpack.h>

_Static_assert(OXR_SLACK >= XNN_EXTRA_BYTES, "operands have the room behind that XNNPACK reads");

/* Finds out about the processor what XNNPACK will go by. False: it cannot be told. */
bool oxr_xnn_identify(void);
/* Starts XNNPACK, once in the process. */
OX_MUST_USE ox_status oxr_xnn_start(ox_ctx *ctx);
/* May AMX be used? What cpuinfo says, as for XNNPACK. */
bool oxr_xnn_amx(void);
/* A diagnostic where XNNPACK refuses. */
OX_MUST_USE ox_status oxr_xnn_try(ox_ctx *ctx, enum xnn_status status, const char *what);

/* Lends operators the packed weights of the program. Part of a kernel's state: it lives as long as
 * operators made with it. */
struct oxr_xnn_weights {
    struct xnn_weights_cache_provider provider;
    struct oxr_shared *shared;
    struct oxr_shared_key key;
    int stage;
    bool looked;   /* XNNPACK looks for these before it packs */
    size_t needed; /* bytes; 0: it has not said */
    void *room;
    const void *block;
};

/* Creates one operator: is called with &weights->provider (under the program's lock), possibly
 * twice. */
typedef enum xnn_status (*oxr_xnn_create_fn)(void *arg, xnn_weights_cache_t cache,
                                             xnn_operator_t *op);
/* Creates the operator of a part of a step with fn(arg). One `weights` may serve all parts of a
 * step. */
OX_MUST_USE ox_status oxr_xnn_create(xnn_operator_t *op, struct oxr_xnn_weights *weights,
                                     const struct oxr_env *env, size_t step, uint32_t part,
                                     oxr_xnn_create_fn fn, void *arg, const char *what);

/* Product of dims[from..to). False: it overflows. Dims are not negative. */
bool oxr_count(size_t *count, const struct oxr_shape *shape, int from, int to);

/* `a` must be of the type and dims of `b`. */
OX_MUST_USE ox_status oxr_like(const struct oxr_env *env, const struct oxr_shape *a,
                               const struct oxr_shape *b, const char *what);

/* XNNPACK's kernel for DENSE steps; its state may be NULL in destroy. */
extern const struct oxr_kernel oxr_xnn_dense;

#define oxr_bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define oxr_bad_type(env, shape, what)                                                             \
    ox_fail((env)->ctx, OX_INVALID, "wrong-type", NULL, "%s of %s", (what),                        \
            ox_dtype_name((shape)->dtype))

#endif
