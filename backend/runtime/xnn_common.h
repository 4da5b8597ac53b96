/* backend/runtime/xnn_common.h - what the kernels that stand on XNNPACK share. XNNPACK's changing interface is confined to the files
 * xnn_*.c of this folder; one operator object a step and session, its pool given anew at each reshape. */
#ifndef OX_BACKEND_RUNTIME_XNN_COMMON_H
#define OX_BACKEND_RUNTIME_XNN_COMMON_H

#include "backend/runtime/step.h"

#include <pthreadpool.h>
#include <xnnpack.h>

_Static_assert(OXR_SLACK >= XNN_EXTRA_BYTES, "operands have the room behind that XNNPACK reads");

/* Starts XNNPACK, once in the process. */
OX_MUST_USE ox_status oxr_xnn_start(ox_ctx *ctx);
/* A diagnostic where XNNPACK refuses. */
OX_MUST_USE ox_status oxr_xnn_try(ox_ctx *ctx, enum xnn_status status, const char *what);

/* Product of dims[from..to). False: it overflows. Dims are not negative. */
bool oxr_count(size_t *count, const struct oxr_shape *shape, int from, int to);

/* `a` must be of the type and dims of `b`. */
OX_MUST_USE ox_status oxr_like(const struct oxr_env *env, const struct oxr_shape *a, const struct oxr_shape *b, const char *what);

/* XNNPACK's kernel for DENSE steps; its state may be NULL in destroy. */
extern const struct oxr_kernel oxr_xnn_dense;

#define oxr_bad_shape(env, ...) ox_fail((env)->ctx, OX_INVALID, "shape-mismatch", NULL, __VA_ARGS__)
#define oxr_bad_type(env, shape, what) \
    ox_fail((env)->ctx, OX_INVALID, "wrong-type", NULL, "%s of %s", (what), ox_dtype_name((shape)->dtype))

#endif
