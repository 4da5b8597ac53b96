/* tools/onnxopt/cmd_compare.c - `compare`: two models on the same inputs, given or made up. */
#include "cli_inputs.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    struct cli *cli;
    struct engine a, b;
    size_t n_in, n_out;
    ox_tensor **in, **out_a, **out_b;
    struct difference *differences;
};

static ox_status same_ports(struct pair *p) {
    struct ox_port x, y;
    p->n_in = p->a.n_in;
    p->n_out = p->a.n_out;
    bool same = p->n_in == p->b.n_in && p->n_out == p->b.n_out;
    for (size_t i = 0; same && i < p->n_in; i++) {
        ox_status s = engine_input(&x, &p->a, i);
        if (s == OX_OK) s = engine_input(&y, &p->b, i);
        if (s != OX_OK) return s;
        same = strcmp(x.name, y.name) == 0 && x.dtype == y.dtype;
    }
    if (same) return OX_OK;
    fprintf(stderr,
            "onnxopt: error[other-interface]: the models differ in their inputs or outputs\n");
    return OX_INVALID;
}

static ox_status one_run(struct pair *p, uint64_t seed) {
    ox_status s = inputs_read(p->in, &p->a);
    if (s == OX_OK) s = inputs_random(p->in, &p->a, seed);
    if (s == OX_OK) s = engine_run(&p->a, (const ox_tensor *const *)p->in, p->out_a);
    if (s == OX_OK) s = engine_run(&p->b, (const ox_tensor *const *)p->in, p->out_b);
    for (size_t i = 0; i < p->n_out && s == OX_OK; i++)
        difference_add(&p->differences[i], p->out_a[i], p->out_b[i]);
    inputs_free(p->in, p->n_in);
    inputs_free(p->out_a, p->n_out);
    inputs_free(p->out_b, p->n_out);
    return s;
}

static int print(struct pair *p, int64_t runs) {
    struct ox_port port;
    json_t *list = p->cli->flag.json ? json_array() : NULL;
    if (!list)
        fprintf(p->cli->out, "%-32s %12s %12s %9s %9s\n", "output", "max |a-b|", "of range",
                "SQNR dB", "unequal");
    for (size_t i = 0; i < p->n_out; i++) {
        const struct difference *d = &p->differences[i];
        if (engine_output(&port, &p->a, i) != OX_OK) return OX_NOMEM;
        if (list)
            json_array_append_new(
                list, json_pack("{s:s, s:b, s:o, s:o, s:o, s:I, s:I}", "output", port.name,
                                "comparable", d->comparable, "max_abs", cli_json_number(d->max_abs),
                                "relative", cli_json_number(difference_relative(d)), "sqnr_db",
                                cli_json_number(difference_sqnr(d)), "unequal",
                                (json_int_t)d->unequal, "elements", (json_int_t)d->elements));
        else if (!d->comparable)
            fprintf(p->cli->out, "%-32s types or shapes differ\n", port.name);
        else
            fprintf(p->cli->out, "%-32s %12.4g %12.4g %9.1f %9zu\n", port.name, d->max_abs,
                    difference_relative(d), difference_sqnr(d), d->unequal);
    }
    if (list)
        return cli_print_json(p->cli,
                              json_pack("{s:I, s:o}", "runs", (json_int_t)runs, "outputs", list));
    fprintf(p->cli->out, "%lld run%s\n", (long long)runs, runs == 1 ? "" : "s");
    return 0;
}

static int compare(struct pair *p) {
    int64_t runs, seed;
    if (!cli_number(&runs, p->cli, "samples", p->cli->flag.samples, p->cli->n_inputs ? 1 : 5, 1,
                    1000000))
        return OX_USAGE;
    if (!cli_number(&seed, p->cli, "seed", p->cli->flag.seed, 1, 0, INT64_MAX / 2)) return OX_USAGE;
    ox_status s = same_ports(p);
    if (s != OX_OK) return (int)s;
    p->in = calloc(p->n_in + 1, sizeof(ox_tensor *));
    p->out_a = calloc(p->n_out + 1, sizeof(ox_tensor *));
    p->out_b = calloc(p->n_out + 1, sizeof(ox_tensor *));
    p->differences = calloc(p->n_out + 1, sizeof *p->differences);
    if (!p->in || !p->out_a || !p->out_b || !p->differences) return OX_NOMEM;
    for (size_t i = 0; i < p->n_out; i++)
        difference_init(&p->differences[i]);
    s = engine_prepare(&p->a);
    if (s == OX_OK) s = engine_prepare(&p->b);
    for (int64_t i = 0; i < runs && s == OX_OK; i++)
        s = one_run(p, (uint64_t)(seed + i));
    return s == OX_OK ? print(p, runs) : (int)s;
}

int cmd_compare(struct cli *cli) {
    struct pair p = {.cli = cli};
    ox_status s = engine_open(&p.a, cli, cli->args[0]);
    if (s == OX_OK) s = engine_open(&p.b, cli, cli->args[1]);
    int code = s == OX_OK ? compare(&p) : (int)s;
    free(p.in);
    free(p.out_a);
    free(p.out_b);
    free(p.differences);
    engine_close(&p.a);
    engine_close(&p.b);
    return code;
}
