/* ir/base/context.h - what every module inside the library may use of the context: memory, failing,
 * checked sizes, growable arrays, work sharing. The public half is onnxopt/base.h. */
#ifndef OX_IR_BASE_CONTEXT_H
#define OX_IR_BASE_CONTEXT_H

#include <onnxopt/base.h>
#include <onnxopt/tensor.h>
#include <stdarg.h>
#include <string.h>

/* For a large variable that is written before it is read: not even builds that clear all variables
 * clear it. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define OX_UNINITIALIZED __attribute__((uninitialized))
#endif
#endif
#ifndef OX_UNINITIALIZED
#define OX_UNINITIALIZED
#endif

/* ---- failing --------------------------------------------------------------------------------- */

/* Forwards a failure to the caller. */
#define OX_TRY(expr)                                                                               \
    do {                                                                                           \
        ox_status ox_try_status = (expr);                                                          \
        if (ox_try_status != OX_OK) return ox_try_status;                                          \
    } while (0)

/* Where a diagnostic belongs. Zero-initialize; absent parts stay NULL (offset: 0 means unknown). */
struct ox_place {
    const char *file;
    int64_t offset; /* byte offset + 1, so that zero-initialized means unknown */
    int line;
    const char *graph, *node, *op;
};

/* Records an error and returns `status`, so that `return ox_fail(...)` reads as one step. `place`
 * may be NULL. Bytes below 0x20 and 0x7f in the finished text are escaped; it is cut at 600 bytes.
 */
ox_status ox_fail(ox_ctx *ctx, ox_status status, const char *id, const struct ox_place *place,
                  const char *format, ...) OX_PRINTF(5, 6);
/* The returned status is the one given: saying so where the compiler sees it lets it know that
 * `return ox_fail(ctx, OX_INVALID, ...)` fails, and that what comes after success is initialized.
 */
static inline ox_status ox_as_given(ox_status returned, ox_status given) {
    (void)returned;
    return given;
}
#define ox_fail(ctx, status, ...) ox_as_given((ox_fail)((ctx), (status), __VA_ARGS__), (status))
/* Records a warning or note; work goes on. */
void ox_report(ox_ctx *ctx, enum ox_severity severity, const char *id, const struct ox_place *place,
               const char *format, ...) OX_PRINTF(5, 6);
/* A place that is added to diagnostics which have none of their own, until it is popped: the
 * executor and the inference driver push the node they are at, so kernels need no idea of graphs.
 * Returns the former place, to be restored with ox_place_set. */
const struct ox_place *ox_place_set(ox_ctx *ctx, const struct ox_place *place);
uint64_t ox_ctx_random_seed(const ox_ctx *ctx); /* struct ox_ctx_options */
/* While muted, diagnostics are dropped and not counted (a fold that is only tried). Nests. */
void ox_mute(ox_ctx *ctx, bool on);

/* A context of its own memory and workers that speaks through another: diagnostics, progress and
 * limits are the parent's, errors count in both. The allocator is copied. Ended by ox_ctx_free,
 * before the parent. */
OX_MUST_USE ox_status ox_ctx_child(ox_ctx **out, ox_ctx *parent,
                                   const struct ox_allocator *allocator, int threads);
const struct ox_limits *ox_ctx_limits(const ox_ctx *ctx); /* defaults filled in */
/* Sets limits.max_tensor_bytes and returns what it was, to be restored: for work that is only
 * tried. */
size_t ox_ctx_limit_tensor(ox_ctx *ctx, size_t bytes);
/* How often memory has been refused so far, by the system or by limits.max_memory: tells "too large
 * to be worth it" from "out of memory", which are both OX_NOMEM. */
size_t ox_ctx_refusals(const ox_ctx *ctx);
/* False: the caller wants the work cancelled. */
bool ox_progress(ox_ctx *ctx, const char *what, size_t done, size_t total);

/* ---- memory ---------------------------------------------------------------------------------- */

/* All report OX_NOMEM themselves. Sizes are count * size, checked. A count of 0 gives a valid
 * pointer. Behind every block are OX_ALLOC_SLACK bytes that may be read (not used): kernels that
 * load whole vectors do. */
enum { OX_ALLOC_SLACK = 16 };
OX_MUST_USE ox_status ox_alloc(ox_ctx *ctx, void *out_ptr, size_t count, size_t size); /* zeroed */
OX_MUST_USE ox_status ox_alloc_raw(ox_ctx *ctx, void *out_ptr, size_t count,
                                   size_t size); /* not zeroed, aligned to 64 */
OX_MUST_USE ox_status ox_resize(ox_ctx *ctx, void *inout_ptr, size_t old_count, size_t count,
                                size_t size);
void ox_free(ox_ctx *ctx, void *p);
/* `out_ptr` is the address of any object pointer: ox_alloc(ctx, &p, n, sizeof *p). */

/* Makes room for one more element in a growable array: pointer, length and capacity are three
 * fields. */
#define OX_GROW(ctx, ptr, len, cap) ox_grow((ctx), &(ptr), (len), &(cap), sizeof *(ptr))
OX_MUST_USE ox_status ox_grow(ox_ctx *ctx, void *inout_ptr, size_t len, size_t *cap, size_t size);

/* ---- sizes ----------------------------------------------------------------------------------- */
/* The one door for arithmetic on numbers that come from files. True: overflow, *out is unspecified.
 */
static inline bool ox_mul_size(size_t *out, size_t a, size_t b) {
    return __builtin_mul_overflow(a, b, out);
}
static inline bool ox_add_size(size_t *out, size_t a, size_t b) {
    return __builtin_add_overflow(a, b, out);
}
static inline bool ox_mul_i64(int64_t *out, int64_t a, int64_t b) {
    return __builtin_mul_overflow(a, b, out);
}
static inline bool ox_add_i64(int64_t *out, int64_t a, int64_t b) {
    return __builtin_add_overflow(a, b, out);
}

/* Elements and bytes of a shape. True: a dim is negative, rank is out of range or it overflows.
 * Dims are looked at before multiplying, so {0, 2^62, 2^62} is an empty tensor and {-4,-3} is an
 * error. */
bool ox_shape_size(size_t *count, size_t *bytes, ox_dtype dtype, int64_t rank, const int64_t *dims);

/* ---- work sharing ---------------------------------------------------------------------------- */

/* Calls fn(arg, begin, end) for disjoint ranges that cover [0, n), at most `threads` at a time,
 * each of at least `grain` items; returns when all are done. The ranges depend on n, grain and the
 * thread count only, and fn must compute each item independently of the others, so that results do
 * not depend on threads. fn must not call ox_fail or allocate through the context. Calls from
 * inside fn run serially. */
typedef void (*ox_range_fn)(void *arg, size_t begin, size_t end);
void ox_parallel(ox_ctx *ctx, size_t n, size_t grain, ox_range_fn fn, void *arg);
/* Lets somebody else share the work out, who keeps the contract above. For whoever has threads of
 * their own. */
typedef void (*ox_share_fn)(void *user, size_t n, size_t grain, ox_range_fn fn, void *arg);
void ox_ctx_share_work(ox_ctx *ctx, ox_share_fn share, void *user);

#endif
