/* tools/onnxopt/cmd_run.c - `run`: a model on given tensors, outputs into an .npz file. */
#include "cli_inputs.h"

#include <stdlib.h>

static ox_status save(struct cli *cli, ox_model *model, ox_tensor *const *out, size_t n)
{
    const char **names = calloc(n ? n : 1, sizeof *names);
    struct ox_port port;
    ox_status s = names ? OX_OK : OX_NOMEM;
    for (size_t i = 0; i < n && s == OX_OK; i++) {
        s = ox_model_output(&port, model, i);
        names[i] = port.name;
    }
    if (s == OX_OK) s = ox_npz_save(cli->ctx, cli->flag.output, n, names, (const ox_tensor *const *)out);
    free(names);
    return s;
}

static void print_output(struct cli *cli, const char *name, const ox_tensor *t)
{
    fprintf(cli->out, "%s: %s[", name, ox_dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++) fprintf(cli->out, "%s%lld", d ? "," : "", (long long)t->dims[d]);
    fputc(']', cli->out);
    struct difference range;
    difference_init(&range);
    difference_add(&range, t, t);
    if (range.low <= range.high) fprintf(cli->out, "  min %.6g  max %.6g", range.low, range.high);
    fputc('\n', cli->out);
}

static ox_status run(struct cli *cli, ox_model *model, ox_tensor **in, ox_tensor **out)
{
    ox_session *session;
    struct ox_port port;
    size_t n = ox_model_outputs(model);
    ox_status s = inputs_read(in, cli, model);
    if (s != OX_OK) return s;
    s = ox_session_new(&session, model);
    if (s != OX_OK) return s;
    s = ox_session_run(session, (const ox_tensor *const *)in, out);
    ox_session_free(session);
    if (s == OX_OK && cli->flag.output) s = save(cli, model, out, n);
    for (size_t i = 0; i < n && s == OX_OK && !cli->flag.quiet; i++) {
        s = ox_model_output(&port, model, i);
        if (s == OX_OK) print_output(cli, port.name, out[i]);
    }
    return s;
}

int cmd_run(struct cli *cli)
{
    ox_model *model;
    ox_status s = cli_load(&model, cli, cli->args[0]);
    if (s != OX_OK) return (int)s;
    size_t n_in = ox_model_inputs(model), n_out = ox_model_outputs(model);
    ox_tensor **in = calloc(n_in + 1, sizeof *in), **out = calloc(n_out + 1, sizeof *out);
    s = in && out ? run(cli, model, in, out) : OX_NOMEM;
    if (in) inputs_free(in, n_in);
    if (out) inputs_free(out, n_out);
    free(in);
    free(out);
    ox_model_free(model);
    return (int)s;
}
