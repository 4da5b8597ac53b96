/* tools/onnxopt/engine.h - something to run: a model on the reference executor, or a native program
 * on the runtime.
 *
 * The commands that run things (run, eval, compare, bench) take either, by what the file begins
 * with. */
#ifndef ONNXOPT_ENGINE_H
#define ONNXOPT_ENGINE_H

#include "cli.h"

#include <onnxopt/runtime.h>

struct engine {
    struct cli *cli;
    ox_model *model; /* one of the two is there */
    oxr_program *program;
    ox_session *session; /* made by the first run */
    oxr_session *native;
    void *blob; /* what a program compiled here stands on */
    size_t n_in, n_out;
};

/* Is the file a native program? */
bool engine_is_native(const char *path);
OX_MUST_USE ox_status engine_open(struct engine *out, struct cli *cli, const char *path);
/* The same, but a model is optimized (preset default) and compiled first. With --runner native
 * engine_open compiles it, too, as it is. */
OX_MUST_USE ox_status engine_open_native(struct engine *out, struct cli *cli, const char *path);
void engine_close(struct engine *e);
OX_MUST_USE ox_status engine_input(struct ox_port *out, const struct engine *e, size_t index);
OX_MUST_USE ox_status engine_output(struct ox_port *out, const struct engine *e, size_t index);
/* Makes the session now, so that trouble shows before any work. */
OX_MUST_USE ox_status engine_prepare(struct engine *e);
/* in: n_in tensors (NULL: the default); out: n_out, counted for the caller. */
OX_MUST_USE ox_status engine_run(struct engine *e, const ox_tensor *const *in, ox_tensor **out);
/* Samples for its inputs, at most --samples (default `limit`, 0: all). */
OX_MUST_USE ox_status engine_dataset(struct ox_dataset *out, struct engine *e, const char *path,
                                     int64_t limit);

#endif
