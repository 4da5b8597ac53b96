/* onnxopt/base.h - status codes, diagnostics and the context every call takes.
 *
 * Conventions of the whole API
 *  - A function that can fail returns a must-use ox_status; results come back through
 * out-parameters, which stand first and are untouched on failure unless a comment says otherwise.
 *  - The reason of a failure is told once, through the context's diagnostic callback, before the
 * status is returned. The library never prints, exits or aborts.
 *  - `new`/`free`, `ref`/`unref`, `init`/`fini` come in pairs; free and unref take NULL.
 *  - "Borrowed" means: valid as long as the object it was taken from.
 *  - An ox_ctx and all objects made with it belong to one thread at a time; different contexts are
 *    independent. The library itself starts at most `threads - 1` workers inside a call.
 */
#ifndef ONNXOPT_BASE_H
#define ONNXOPT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OX_VERSION_MAJOR 0
#define OX_VERSION_MINOR 1
#define OX_VERSION_PATCH 0
#define OX_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define OX_MUST_USE __attribute__((warn_unused_result))
#define OX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OX_MUST_USE
#define OX_PRINTF(fmt, args)
#endif

/* Status codes: X(identifier, exit code of the tool, text). The exit codes are part of the
 * interface. */
#define OX_STATUS_LIST(X)                                                                          \
    X(OX_OK, 0, "ok")                                                                              \
    X(OX_USAGE, 1, "wrong use")                                                                    \
    X(OX_INVALID, 2, "invalid input")                                                              \
    X(OX_UNSUPPORTED, 3, "unsupported")                                                            \
    X(OX_NOMEM, 4, "out of memory or over budget")                                                 \
    X(OX_IO, 5, "input/output error")                                                              \
    X(OX_INTERNAL, 6, "internal error")                                                            \
    X(OX_CANCELLED, 7, "cancelled") /* the progress hook said so */

typedef enum ox_status {
#define X(id, code, text) id = code,
    OX_STATUS_LIST(X)
#undef X
} ox_status;

/* Short English text of a status; never NULL. */
const char *ox_status_text(ox_status status);

enum ox_severity { OX_NOTE, OX_WARNING, OX_ERROR };

/* One diagnostic. Strings are borrowed for the duration of the callback; absent parts are NULL
 * (offset: -1). `text` is already free of control bytes and cut to a sensible length. */
struct ox_diag {
    enum ox_severity severity;
    const char *id;   /* stable kebab-case identifier, such as "shape-mismatch" */
    const char *text; /* one sentence, no final newline */
    const char *file; /* file the trouble is in */
    int64_t offset;   /* byte offset in the file, or line number for text (see `line`) */
    int line;         /* 1-based line for text inputs, 0 otherwise */
    const char *graph;
    const char *node;
    const char *op; /* operator type, "Conv" */
};

typedef void (*ox_diag_fn)(void *user, const struct ox_diag *diag);

/* Memory hooks. All heap memory of the library goes through them; `size` is never 0. */
struct ox_allocator {
    void *user;
    void *(*alloc)(void *user, size_t size);           /* NULL when out of memory */
    void *(*resize)(void *user, void *p, size_t size); /* like realloc, p not NULL */
    void (*release)(void *user, void *p);
};

/* Progress hook: `what` names the step ("calibrate"), done <= total. Return false to cancel. */
typedef bool (*ox_progress_fn)(void *user, const char *what, size_t done, size_t total);

/* Limits on what a file may make us do; 0 in any field means the default in parentheses. */
struct ox_limits {
    size_t max_file_bytes;    /* protobuf part of a model (2^40) */
    size_t max_heap_per_file; /* parsed heap: 64 MiB + 48 x file size when 0 (numbers that are not
                                 packed take as much) */
    int max_message_depth;    /* nested protobuf messages (100) */
    int max_subgraph_depth;   /* (32) */
    size_t max_nodes;         /* (1,000,000) */
    size_t max_node_io;       /* inputs or outputs of one node (65,536) */
    size_t max_name_bytes;    /* (65,536) */
    size_t max_functions;     /* (10,000) */
    size_t max_tensor_bytes;  /* one tensor made while executing or folding (8 GiB) */
    size_t max_memory;        /* all heap memory of the context, 0: no limit */
};

struct ox_ctx_options {
    size_t size; /* sizeof(struct ox_ctx_options): lets the struct grow */
    ox_diag_fn on_diag;
    void *diag_user;
    ox_progress_fn on_progress;
    void *progress_user;
    const struct ox_allocator *allocator; /* copied; NULL: malloc */
    int threads;                          /* 0: one per online CPU */
    struct ox_limits limits;
    uint64_t random_seed; /* gives random operators that have no seed of their own other numbers;
                             the same ones each time */
};

typedef struct ox_ctx ox_ctx;

/* Makes a context. `options` may be NULL. Fails with OX_NOMEM only. */
OX_MUST_USE ox_status ox_ctx_new(ox_ctx **out, const struct ox_ctx_options *options);
/* All objects made with the context must have been freed. */
void ox_ctx_free(ox_ctx *ctx);
int ox_ctx_threads(const ox_ctx *ctx);
/* Errors reported so far. */
size_t ox_ctx_errors(const ox_ctx *ctx);
/* Heap bytes in use, and the most that ever were. */
size_t ox_ctx_memory(const ox_ctx *ctx);
size_t ox_ctx_memory_peak(const ox_ctx *ctx);

#ifdef __cplusplus
}
#endif
#endif
