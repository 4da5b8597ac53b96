/* tools/onnxopt/cmd_run.c - `run`: a model on given tensors, outputs into an .npz file. */
#include "cli_inputs.h"

#include <stdlib.h>

static ox_status save(const struct engine *e, ox_tensor *const *out, size_t n) {
    const char **names = calloc(n ? n : 1, sizeof *names);
    struct ox_port port;
    ox_status s = names ? OX_OK : OX_NOMEM;
    for (size_t i = 0; i < n && s == OX_OK; i++) {
        s = engine_output(&port, e, i);
        names[i] = port.name;
    }
    if (s == OX_OK)
        s = ox_npz_save(e->cli->ctx, e->cli->flag.output, n, names, (const ox_tensor *const *)out);
    free(names);
    return s;
}

static void print_output(struct cli *cli, const char *name, const ox_tensor *t) {
    fprintf(cli->out, "%s: %s[", name, ox_dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++)
        fprintf(cli->out, "%s%lld", d ? "," : "", (long long)t->dims[d]);
    fputc(']', cli->out);
    struct difference range;
    difference_init(&range);
    difference_add(&range, t, t);
    if (range.low <= range.high) fprintf(cli->out, "  min %.6g  max %.6g", range.low, range.high);
    fputc('\n', cli->out);
}

static ox_status run(struct engine *e, ox_tensor **in, ox_tensor **out) {
    struct cli *cli = e->cli;
    struct ox_port port;
    ox_status s = inputs_read(in, e);
    if (s == OX_OK) s = engine_run(e, (const ox_tensor *const *)in, out);
    if (s == OX_OK && cli->flag.output) s = save(e, out, e->n_out);
    for (size_t i = 0; i < e->n_out && s == OX_OK && !cli->flag.quiet; i++) {
        s = engine_output(&port, e, i);
        if (s == OX_OK) print_output(cli, port.name, out[i]);
    }
    return s;
}

int cmd_run(struct cli *cli) {
    struct engine e;
    ox_status s = engine_open(&e, cli, cli->args[0]);
    ox_tensor **in = calloc(e.n_in + 1, sizeof *in), **out = calloc(e.n_out + 1, sizeof *out);
    if (s == OX_OK) s = in && out ? run(&e, in, out) : OX_NOMEM;
    if (in) inputs_free(in, e.n_in);
    if (out) inputs_free(out, e.n_out);
    free(in);
    free(out);
    engine_close(&e);
    return (int)s;
}
