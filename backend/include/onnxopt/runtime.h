/* onnxopt/runtime.h - running native models (.oxb): libonnxopt_rt.
 *
 *   program   what a file holds; immutable. Opened once, used by any number of sessions, in any
 * threads, as long as it lives. session   the state of running it; belongs to one thread at a time,
 * as its context does.
 *
 *   oxr_program_open(&program, ctx, "model.oxb", NULL);
 *   oxr_session_new(&session, ctx, program, NULL);
 *   oxr_bind(session, 0, input);  oxr_run(session);  output = oxr_result(session, 0);
 *
 * A session keeps the memory it has used: once it has run with inputs of some shapes, running with
 * such shapes again takes nothing from the allocator, as long as what the model computes does not
 * make sizes differ. Contexts, tensors, status codes and diagnostics are those of onnxopt/base.h
 * and onnxopt/tensor.h. Results do not depend on the number of threads. */
#ifndef ONNXOPT_RUNTIME_H
#define ONNXOPT_RUNTIME_H

#include <onnxopt/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oxr_program oxr_program;
typedef struct oxr_session oxr_session;

/* ---- programs -------------------------------------------------------------------------------- */

struct oxr_open_options {
    size_t size;       /* sizeof(struct oxr_open_options) */
    bool private_copy; /* read the file into memory instead of mapping it: a mapped file must not be
                        * cut short or changed while the program lives (the system ends the process
                        * with SIGBUS); weights are then not shared with other processes */
    bool trust_weights; /* do not check the hash of the weights, so that opening does not read them
                         */
};

/* Opens a file. Everything in it is verified before it is used; a damaged or malicious file is
 * OX_INVALID, a file that needs a newer runtime OX_UNSUPPORTED. `options` may be NULL. */
OX_MUST_USE ox_status oxr_program_open(oxr_program **out, ox_ctx *ctx, const char *path,
                                       const struct oxr_open_options *options);
/* The same for a file in memory. `data` is used in place if it is aligned to 64 bytes, and must
 * then stay as it is as long as the program lives; else, and with private_copy, it is copied. */
OX_MUST_USE ox_status oxr_program_open_memory(oxr_program **out, ox_ctx *ctx, const void *data,
                                              size_t size, const struct oxr_open_options *options);
/* After all its sessions, in the thread of the context it was opened with. */
void oxr_program_free(oxr_program *program);

size_t oxr_inputs(const oxr_program *program);
size_t oxr_outputs(const oxr_program *program);
/* Name, type and dims, borrowed from the program. False when index is past the end. */
bool oxr_input(struct ox_port *out, const oxr_program *program, size_t index);
bool oxr_output(struct ox_port *out, const oxr_program *program, size_t index);
/* May the input be left out? Then it has a default. */
bool oxr_input_has_default(const oxr_program *program, size_t index);

struct oxr_program_stats {
    uint64_t file_bytes, weight_bytes;
    size_t graphs;        /* the main one and subgraphs */
    size_t steps, native; /* all, and of these those with a kernel of the runtime's own */
    const char *name;     /* of the model's graph */
    uint64_t packed_file; /* bytes of packed weights in the file, for all classes of processors */
    uint64_t packed_here; /* of these, for this processor */
    uint64_t packed; /* bytes of weights packed since the program was opened: by all its sessions
                        together */
};
void oxr_program_stats(struct oxr_program_stats *out, const oxr_program *program);

struct oxr_step_info {
    size_t graph;       /* 0: the main one */
    const char *kernel; /* "generic", or the kind of native step */
    const char *op;     /* operator it was made from, "com.microsoft::" in front where it is not the
                           standard's */
    const char *name;   /* of the node; "" */
    const char *why;    /* why it is generic; "" where nothing is known */
    size_t n_in, n_out;
};
/* In order of execution, graph by graph. False when index is past the end. */
bool oxr_step_info(struct oxr_step_info *out, const oxr_program *program, size_t index);
/* Weights that sessions of the program have packed for this processor, once one has been made:
 * block `index` of those that a file can have (ox_native_save_packed), borrowed from the program.
 * False when index is past the end. */
bool oxr_packed(struct ox_packed *out, const oxr_program *program, size_t index);
/* Metadata of the model. False when index is past the end. */
bool oxr_metadata(const char **key, const char **value, const oxr_program *program, size_t index);

/* ---- sessions -------------------------------------------------------------------------------- */

struct oxr_session_options {
    size_t size; /* sizeof(struct oxr_session_options) */
    int threads; /* 0: as many as the context has */
};

/* Diagnostics, limits and memory are the context's. */
OX_MUST_USE ox_status oxr_session_new(oxr_session **out, ox_ctx *ctx, const oxr_program *program,
                                      const struct oxr_session_options *options);
void oxr_session_free(oxr_session *session);
/* The tensor that input `index` has from now on (counted once more; NULL: its default again). Wrong
 * type or shape is OX_INVALID and names the input. The tensor is not copied where it need not be.
 */
OX_MUST_USE ox_status oxr_bind(oxr_session *session, size_t index, const ox_tensor *tensor);
/* Runs with what is bound. After a failure there are no results; the session can be used again. */
OX_MUST_USE ox_status oxr_run(oxr_session *session);
/* Runs once with zeros, so that what is made at the first run has been made, and the memory that a
 * run takes is known (oxr_session_memory). Dims that are not fixed are 1; *fixed (may be NULL):
 * there are none. Inputs are unbound afterwards, and there are no results. OX_UNSUPPORTED, without
 * a diagnostic: an input's type is not known, or the model does not run on zeros. */
OX_MUST_USE ox_status oxr_rehearse(oxr_session *session, bool *fixed);
/* Output `index` of the last run: borrowed until the next run, bind or the session's end. NULL:
 * there is none. */
const ox_tensor *oxr_result(const oxr_session *session, size_t index);
/* Binds, runs, and copies the outputs into tensors of the context, counted for the caller. in:
 * oxr_inputs entries, NULL: the default; out: oxr_outputs entries, all NULL on failure. */
OX_MUST_USE ox_status oxr_call(oxr_session *session, const ox_tensor *const *in, ox_tensor **out);

/* Told after each step while running. Steps of subgraphs come before the step that ran them. Times
 * in nanoseconds of one clock. */
struct oxr_event {
    size_t step; /* of oxr_step_info */
    int64_t start, end;
};
typedef void (*oxr_profile_fn)(void *user, const struct oxr_event *event);
/* NULL: no longer. */
void oxr_profile(oxr_session *session, oxr_profile_fn fn, void *user);

struct oxr_memory {
    size_t held;     /* bytes taken from the context, weights not counted */
    size_t used;     /* of these, in use right now */
    size_t peak;     /* most that were in use at a time */
    size_t requests; /* how often memory was taken from the context's allocator */
    size_t planned;  /* bytes of the arena in which everything of the last run lies (1 KB blocks and
                      * smaller ones not counted), as planned for its shapes; 0: requests  were not
                      * the same ones as before, and there is no plan */
};
void oxr_session_memory(struct oxr_memory *out, const oxr_session *session);

#ifdef __cplusplus
}
#endif
#endif
