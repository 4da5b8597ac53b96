/* tools/onnxopt/engine.c - see engine.h. */
#include "engine.h"
#include "native_runner.h"

#include <stdlib.h>
#include <string.h>

bool engine_is_native(const char *path) {
    static const unsigned char magic[8] = {0x89, 'O', 'X', 'B', '\r', '\n', 0x1a, '\n'};
    unsigned char head[8];
    FILE *f = strcmp(path, "-") == 0 ? NULL : fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    return n == sizeof head && memcmp(head, magic, sizeof head) == 0;
}

static ox_status count(struct engine *e) {
    e->n_in = e->model ? ox_model_inputs(e->model) : oxr_inputs(e->program);
    e->n_out = e->model ? ox_model_outputs(e->model) : oxr_outputs(e->program);
    return OX_OK;
}

static ox_status open_file(struct engine *e, struct cli *cli, const char *path) {
    *e = (struct engine){.cli = cli};
    return engine_is_native(path) ? oxr_program_open(&e->program, cli->ctx, path, NULL)
                                  : cli_load(&e->model, cli, path);
}

static ox_status compile(struct engine *e, struct cli *cli) {
    const struct ox_native_options o = {.size = sizeof o,
                                        .exact_conv = cli->flag.exact_conv != NULL};
    size_t size;
    ox_status s = ox_native_build_with(&e->blob, &size, e->model, &o);
    if (s == OX_OK)
        s = oxr_program_open_memory(
            &e->program, cli->ctx, e->blob, size,
            &(struct oxr_open_options){.size = sizeof(struct oxr_open_options),
                                       .trust_weights = true});
    ox_model_free(e->model);
    e->model = NULL;
    return s;
}

ox_status engine_open(struct engine *e, struct cli *cli, const char *path) {
    struct ox_model_runner room;
    bool known;
    const struct ox_model_runner *runner = native_runner(cli, &room, &known);
    *e = (struct engine){.cli = cli};
    if (!known) return OX_USAGE;
    ox_status s = open_file(e, cli, path);
    if (s == OX_OK && runner && e->model) s = compile(e, cli);
    return s == OX_OK ? count(e) : s;
}

ox_status engine_open_native(struct engine *e, struct cli *cli, const char *path) {
    ox_status s = open_file(e, cli, path);
    if (s == OX_OK && e->model) {
        s = ox_optimize(e->model, NULL, NULL);
        if (s == OX_OK) s = compile(e, cli);
    }
    return s == OX_OK ? count(e) : s;
}

void engine_close(struct engine *e) {
    ox_session_free(e->session);
    oxr_session_free(e->native);
    oxr_program_free(e->program);
    if (e->blob) ox_native_free(e->cli->ctx, e->blob);
    ox_model_free(e->model);
    *e = (struct engine){.cli = e->cli};
}

ox_status engine_input(struct ox_port *out, const struct engine *e, size_t index) {
    if (e->model) return ox_model_input(out, e->model, index);
    return oxr_input(out, e->program, index) ? OX_OK : OX_INTERNAL;
}

ox_status engine_output(struct ox_port *out, const struct engine *e, size_t index) {
    if (e->model) return ox_model_output(out, e->model, index);
    return oxr_output(out, e->program, index) ? OX_OK : OX_INTERNAL;
}

ox_status engine_prepare(struct engine *e) {
    if (e->session || e->native) return OX_OK;
    return e->model ? ox_session_new(&e->session, e->model)
                    : oxr_session_new(&e->native, e->cli->ctx, e->program, NULL);
}

ox_status engine_run(struct engine *e, const ox_tensor *const *in, ox_tensor **out) {
    ox_status s = engine_prepare(e);
    if (s != OX_OK) return s;
    return e->session ? ox_session_run(e->session, in, out) : oxr_call(e->native, in, out);
}

ox_status engine_dataset(struct ox_dataset *out, struct engine *e, const char *path,
                         int64_t limit) {
    struct cli *cli = e->cli;
    if (e->model) return cli_dataset(out, cli, e->model, path, limit);
    struct ox_preprocess p = {.size = sizeof p, .spec = cli->flag.preprocess};
    int64_t n;
    if (!cli_number(&n, cli, "samples", cli->flag.samples, limit, 1, INT32_MAX)) return OX_USAGE;
    struct ox_port *ports = calloc(e->n_in + 1, sizeof *ports);
    bool *optional = calloc(e->n_in + 1, sizeof *optional);
    ox_status s = ports && optional ? OX_OK : OX_NOMEM;
    for (size_t i = 0; i < e->n_in && s == OX_OK; i++) {
        s = engine_input(&ports[i], e, i);
        optional[i] = oxr_input_has_default(e->program, i);
    }
    if (s == OX_OK)
        s = ox_dataset_open_ports(out, cli->ctx, e->n_in, ports, optional, path, &p, (size_t)n);
    free(ports);
    free(optional);
    return s;
}
