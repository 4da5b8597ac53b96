/* conf_native.c - the check `native`: the model compiled to a blob in memory, and run from there.
 */
#include "conf.h"

#include <onnxopt/runtime.h>
#include <onnxopt/save.h>
#include <stdlib.h>

static ox_status run_program(struct conf_tensors *out, ox_ctx *ctx, const oxr_program *program,
                             const struct conf_tensors *in) {
    oxr_session *session = NULL;
    const ox_tensor **given = conf_realloc(NULL, (oxr_inputs(program) + 1) * sizeof *given);
    for (size_t i = 0; i < oxr_inputs(program); i++)
        given[i] = i < in->n ? in->at[i] : NULL;
    out->n = out->cap = oxr_outputs(program);
    out->at = conf_realloc(NULL, (out->n + 1) * sizeof(ox_tensor *));
    memset(out->at, 0, out->n * sizeof(ox_tensor *));
    ox_status s = oxr_session_new(&session, ctx, program, NULL);
    if (s == OX_OK) s = oxr_call(session, given, out->at);
    oxr_session_free(session);
    free(given);
    return s;
}

ox_status conf_native_run(struct conf_tensors *out, struct ox_model *model,
                          const struct conf_tensors *in) {
    oxr_program *program = NULL;
    void *blob = NULL;
    size_t size = 0;
    ox_status s = ox_native_build(&blob, &size, model);
    if (s == OX_OK) s = oxr_program_open_memory(&program, model->ctx, blob, size, NULL);
    if (s == OX_OK) s = run_program(out, model->ctx, program, in);
    oxr_program_free(program);
    ox_native_free(model->ctx, blob);
    return s;
}
