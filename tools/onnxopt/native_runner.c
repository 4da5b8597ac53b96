/* tools/onnxopt/native_runner.c - see native_runner.h. */
#include "native_runner.h"

#include <onnxopt/runtime.h>
#include <stdlib.h>
#include <string.h>

struct opened {
    ox_ctx *ctx;
    void *blob;
    oxr_program *program;
    oxr_session *session;
};

static void close_model(void *opened) {
    struct opened *o = opened;
    oxr_session_free(o->session);
    oxr_program_free(o->program);
    ox_native_free(o->ctx, o->blob);
    free(o);
}

static ox_status open_model(void **opened, void *user, ox_model *model) {
    struct cli *cli = user;
    struct opened *o = calloc(1, sizeof *o);
    size_t size;
    if (!o) return OX_NOMEM;
    o->ctx = cli->ctx;
    const struct ox_native_options exact = {.size = sizeof exact, .exact_conv = true};
    ox_status s = ox_native_build_with(&o->blob, &size, model, &exact);
    if (s == OX_OK)
        s = oxr_program_open_memory(
            &o->program, cli->ctx, o->blob, size,
            &(struct oxr_open_options){.size = sizeof(struct oxr_open_options),
                                       .trust_weights = true});
    if (s == OX_OK) s = oxr_session_new(&o->session, cli->ctx, o->program, NULL);
    if (s == OX_OK)
        *opened = o;
    else
        close_model(o);
    return s;
}

static ox_status run_model(void *opened, const ox_tensor *const *in, const ox_tensor **out) {
    struct opened *o = opened;
    ox_status s = OX_OK;
    for (size_t i = 0; i < oxr_inputs(o->program) && s == OX_OK; i++)
        s = oxr_bind(o->session, i, in[i]);
    if (s == OX_OK) s = oxr_run(o->session);
    for (size_t i = 0; i < oxr_outputs(o->program) && s == OX_OK; i++)
        out[i] = oxr_result(o->session, i);
    return s;
}

const struct ox_model_runner *native_runner(struct cli *cli, struct ox_model_runner *room,
                                            bool *ok) {
    const char *name = cli->flag.runner ? cli->flag.runner : "reference";
    *room = (struct ox_model_runner){cli, open_model, run_model, close_model};
    *ok = strcmp(name, "native") == 0 || strcmp(name, "reference") == 0;
    if (!*ok) (void)cli_usage_error(cli, "--runner %s: either reference or native", name);
    return *ok && strcmp(name, "native") == 0 ? room : NULL;
}
