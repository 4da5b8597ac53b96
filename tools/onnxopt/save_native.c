/* tools/onnxopt/save_native.c - see save_native.h. */
#include "save_native.h"

#include <onnxopt/save.h>
#include <stdlib.h>

static struct ox_native_options options(const struct cli *cli) {
    return (struct ox_native_options){.size = sizeof(struct ox_native_options),
                                      .exact_conv = cli->flag.exact_conv != NULL};
}

static ox_status save_packed(struct cli *cli, ox_model *model, const oxr_program *program,
                             uint64_t *bytes) {
    size_t n = 0;
    struct ox_packed one, *list;
    while (oxr_packed(&one, program, n))
        n++;
    list = calloc(n + 1, sizeof *list);
    if (!list) return OX_NOMEM;
    for (size_t i = 0; i < n; i++)
        (void)oxr_packed(&list[i], program, i);
    struct ox_native_options o = options(cli);
    o.n_packed = n;
    o.packed = list;
    ox_status s = ox_native_save_with(model, cli->flag.output, &o, bytes);
    free(list);
    return s;
}

static uint64_t rehearse(ox_status *status, oxr_session *session) {
    struct oxr_memory m;
    bool fixed;
    *status = oxr_rehearse(session, &fixed);
    if (*status != OX_OK || !fixed) return 0;
    oxr_session_memory(&m, session);
    return m.planned;
}

uint64_t native_arena(struct cli *cli, const oxr_program *program) {
    oxr_session *session = NULL;
    ox_status s = oxr_session_new(&session, cli->ctx, program, NULL);
    uint64_t arena = s == OX_OK ? rehearse(&s, session) : 0;
    oxr_session_free(session);
    return arena;
}

static ox_status save_with_packed(struct cli *cli, ox_model *model, uint64_t *bytes,
                                  uint64_t *arena) {
    void *blob;
    size_t size;
    oxr_program *program = NULL;
    oxr_session *session = NULL;
    struct ox_native_options o = options(cli);
    ox_status s = ox_native_build_with(&blob, &size, model, &o);
    if (s != OX_OK) return s;
    s = oxr_program_open_memory(
        &program, cli->ctx, blob, size,
        &(struct oxr_open_options){.size = sizeof(struct oxr_open_options), .trust_weights = true});
    if (s == OX_OK) s = oxr_session_new(&session, cli->ctx, program, NULL);
    if (s == OX_OK) *arena = rehearse(&s, session);
    if (s == OX_OK || s == OX_UNSUPPORTED)
        s = save_packed(cli, model, program,
                        bytes); /* what does not run has packed what a session packs before */
    oxr_session_free(session);
    oxr_program_free(program);
    ox_native_free(cli->ctx, blob);
    return s;
}

ox_status save_native(struct cli *cli, ox_model *model, uint64_t *bytes, uint64_t *arena) {
    oxr_program *program;
    if (cli->flag.pack) return save_with_packed(cli, model, bytes, arena);
    struct ox_native_options o = options(cli);
    ox_status s = ox_native_save_with(model, cli->flag.output, &o, bytes);
    if (s != OX_OK || cli->flag.quiet) return s;
    if (oxr_program_open(&program, cli->ctx, cli->flag.output,
                         &(struct oxr_open_options){.size = sizeof(struct oxr_open_options),
                                                    .trust_weights = true}) != OX_OK)
        return s;
    *arena = native_arena(cli, program);
    oxr_program_free(program);
    return s;
}
