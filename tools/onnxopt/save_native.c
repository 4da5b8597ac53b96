/* tools/onnxopt/save_native.c - see save_native.h. */
#include "save_native.h"

#include <onnxopt/save.h>
#include <stdlib.h>

static ox_status save_packed(struct cli *cli, ox_model *model, const oxr_program *program, uint64_t *bytes)
{
    size_t n = 0;
    struct ox_packed one, *list;
    while (oxr_packed(&one, program, n)) n++;
    list = calloc(n + 1, sizeof *list);
    if (!list) return OX_NOMEM;
    for (size_t i = 0; i < n; i++) (void)oxr_packed(&list[i], program, i);
    ox_status s = ox_native_save_packed(model, cli->flag.output, n, list, bytes);
    free(list);
    return s;
}

ox_status save_native(struct cli *cli, ox_model *model, uint64_t *bytes)
{
    void *blob;
    size_t size;
    oxr_program *program = NULL;
    oxr_session *session = NULL;
    if (!cli->flag.pack) return ox_native_save(model, cli->flag.output, bytes);
    ox_status s = ox_native_build(&blob, &size, model);
    if (s != OX_OK) return s;
    s = oxr_program_open_memory(&program, cli->ctx, blob, size, &(struct oxr_open_options){.size = sizeof(struct oxr_open_options), .trust_weights = true});
    if (s == OX_OK) s = oxr_session_new(&session, cli->ctx, program, NULL);
    if (s == OX_OK) s = oxr_rehearse(session, NULL);
    if (s == OX_OK || s == OX_UNSUPPORTED) s = save_packed(cli, model, program, bytes);
    oxr_session_free(session);
    oxr_program_free(program);
    ox_native_free(cli->ctx, blob);
    return s;
}
