/* tools/onnxopt/cmd_bench.c - `bench`: how long a run takes, which operators it is spent in, and
 * how much memory it needs.
 *
 * Two models (--vs) run in turn, so that both see the same machine. Timed runs have no profiler;
 * the table comes from one more run. */
#include "cli_inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_RUNS = 10, MOST_RUNS = 10000 };
#define SECONDS 2.0

struct times {
    double *at; /* seconds, sorted in the end */
    size_t n;
};

struct profile {
    double *seconds; /* by step, of one run */
    json_t *trace;   /* or NULL */
    const oxr_program *program;
    int64_t first;
};

struct bench {
    struct cli *cli;
    const char *path;
    struct engine engine;
    struct times times;
    double first; /* seconds of the first run, session made new */
};

/* ---- timing ---------------------------------------------------------------------------------- */

static ox_status bind(struct bench *b, ox_tensor *const *in) {
    ox_status s = engine_prepare(&b->engine);
    for (size_t i = 0; i < b->engine.n_in && s == OX_OK; i++)
        s = oxr_bind(b->engine.native, i, in[i]);
    return s;
}

static ox_status one(struct bench *b) {
    double begin = cli_now();
    ox_status s = oxr_run(b->engine.native);
    if (b->times.at) b->times.at[b->times.n++] = cli_now() - begin;
    return s;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Nearest rank. */
static double quantile(const struct times *t, double q) {
    size_t rank = (size_t)ceil(q * (double)t->n);
    return t->at[rank ? rank - 1 : 0];
}

static ox_status time_runs(struct bench *list, size_t n, int64_t warmup, int64_t runs) {
    ox_status s = OX_OK;
    for (int64_t i = 0; i < warmup && s == OX_OK; i++)
        for (size_t k = 0; k < n && s == OX_OK; k++)
            s = one(&list[k]);
    int64_t most = runs ? runs : MOST_RUNS;
    for (size_t k = 0; k < n && s == OX_OK; k++)
        if (!(list[k].times.at = calloc((size_t)most, sizeof(double)))) s = OX_NOMEM;
    double end = cli_now() + SECONDS;
    for (int64_t i = 0; i < most && s == OX_OK; i++) {
        if (!runs && i >= LEAST_RUNS && cli_now() > end) break;
        for (size_t k = 0; k < n && s == OX_OK; k++)
            s = one(&list[k]);
    }
    for (size_t k = 0; k < n && s == OX_OK; k++)
        qsort(list[k].times.at, list[k].times.n, sizeof(double), ascending);
    return s;
}

/* ---- by operator ----------------------------------------------------------------------------- */

static void on_step(void *user, const struct oxr_event *e) {
    struct profile *p = user;
    struct oxr_step_info info;
    p->seconds[e->step] += (double)(e->end - e->start) * 1e-9;
    if (!p->trace || !oxr_step_info(&info, p->program, e->step)) return;
    if (json_array_size(p->trace) == 0) p->first = e->start;
    json_array_append_new(p->trace, json_pack("{s:s, s:s, s:s, s:f, s:f, s:i, s:i, s:{s:s, s:s}}",
                                              "name", info.op, "cat", info.kernel, "ph", "X", "ts",
                                              (double)(e->start - p->first) * 1e-3, "dur",
                                              (double)(e->end - e->start) * 1e-3, "pid", 1, "tid",
                                              1, "args", "node", info.name, "why", info.why));
}

struct op_row {
    struct oxr_step_info step;
    size_t count;
    double seconds;
};

static int slowest_first(const void *a, const void *b) {
    const struct op_row *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds > y->seconds ? -1 : 1;
    int order = strcmp(x->step.op, y->step.op);
    return order ? order : strcmp(x->step.kernel, y->step.kernel);
}

static struct op_row *by_operator(size_t *n, const oxr_program *program, const double *seconds,
                                  size_t steps) {
    struct op_row *rows = calloc(steps + 1, sizeof *rows);
    struct oxr_step_info info;
    *n = 0;
    for (size_t i = 0; rows && oxr_step_info(&info, program, i); i++) {
        size_t k = 0;
        while (k < *n && (strcmp(rows[k].step.op, info.op) != 0 ||
                          strcmp(rows[k].step.kernel, info.kernel) != 0))
            k++;
        if (k == *n) rows[(*n)++].step = info;
        rows[k].count++;
        rows[k].seconds += seconds[i];
    }
    if (rows) qsort(rows, *n, sizeof *rows, slowest_first);
    return rows;
}

/* ---- reports --------------------------------------------------------------------------------- */

static json_t *bench_json(const struct bench *b, const struct op_row *rows, size_t n) {
    struct oxr_memory m;
    json_t *list = json_array();
    oxr_session_memory(&m, b->engine.native);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:f}", "operator", rows[i].step.op,
                                        "kernel", rows[i].step.kernel, "count",
                                        (json_int_t)rows[i].count, "ms", rows[i].seconds * 1e3));
    return json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o}", "model", b->path, "runs",
                     (json_int_t)b->times.n, "first_ms", b->first * 1e3, "min_ms",
                     b->times.at[0] * 1e3, "median_ms", quantile(&b->times, 0.5) * 1e3, "p90_ms",
                     quantile(&b->times, 0.9) * 1e3, "p99_ms", quantile(&b->times, 0.99) * 1e3,
                     "max_ms", b->times.at[b->times.n - 1] * 1e3, "peak_bytes", (json_int_t)m.peak,
                     "operators", list);
}

static void print_times(const struct bench *b) {
    struct oxr_memory m;
    oxr_session_memory(&m, b->engine.native);
    fprintf(b->cli->out,
            "%s: %zu runs, ms: min %.4g  median %.4g  p90 %.4g  p99 %.4g  first %.4g; peak memory "
            "%s besides weights\n",
            b->path, b->times.n, b->times.at[0] * 1e3, quantile(&b->times, 0.5) * 1e3,
            quantile(&b->times, 0.9) * 1e3, quantile(&b->times, 0.99) * 1e3, b->first * 1e3,
            cli_bytes((double)m.peak).text);
}

static void print_rows(FILE *f, const struct op_row *rows, size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += rows[i].seconds;
    fprintf(f, "%10s %6s %6s  %-20s %s\n", "ms", "share", "count", "kernel", "operator");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%10.4g %5.1f%% %6zu  %-20s %s\n", rows[i].seconds * 1e3,
                total > 0 ? 100 * rows[i].seconds / total : 0, rows[i].count, rows[i].step.kernel,
                rows[i].step.op);
}

static ox_status write_trace(struct cli *cli, json_t *trace) {
    json_t *root = json_pack("{s:O}", "traceEvents", trace);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    ox_status s = text ? ox_file_save(cli->ctx, cli->flag.trace, text, strlen(text)) : OX_NOMEM;
    free(text);
    json_decref(root);
    return s;
}

/* One more run, told step by step. */
static ox_status profile(struct bench *b, struct op_row **rows, size_t *n) {
    struct oxr_program_stats stats;
    oxr_program_stats(&stats, b->engine.program);
    struct profile p = {.seconds = calloc(stats.steps + 1, sizeof(double)),
                        .trace = b->cli->flag.trace ? json_array() : NULL,
                        .program = b->engine.program};
    ox_status s = p.seconds ? OX_OK : OX_NOMEM;
    oxr_profile(b->engine.native, on_step, &p);
    if (s == OX_OK) s = oxr_run(b->engine.native);
    oxr_profile(b->engine.native, NULL, NULL);
    if (s == OX_OK && p.trace) s = write_trace(b->cli, p.trace);
    if (s == OX_OK && !(*rows = by_operator(n, b->engine.program, p.seconds, stats.steps)))
        s = OX_NOMEM;
    json_decref(p.trace);
    free(p.seconds);
    return s;
}

static int report(struct bench *list, size_t n) {
    struct cli *cli = list->cli;
    struct op_row *rows = NULL;
    size_t n_rows = 0;
    ox_status s = profile(&list[0], &rows, &n_rows);
    if (s != OX_OK) return (int)s;
    double ratio = n > 1 ? quantile(&list[1].times, 0.5) / quantile(&list[0].times, 0.5) : 0;
    if (cli->flag.json) {
        json_t *json = bench_json(&list[0], rows, n_rows);
        if (n > 1) json_object_set_new(json, "vs", bench_json(&list[1], NULL, 0));
        if (n > 1) json_object_set_new(json, "vs_ratio", cli_json_number(ratio));
        free(rows);
        return cli_print_json(cli, json);
    }
    for (size_t i = 0; i < n; i++)
        print_times(&list[i]);
    if (n > 1) fprintf(cli->out, "%s takes %.3g times as long (median)\n", list[1].path, ratio);
    print_rows(cli->out, rows, n_rows);
    free(rows);
    return 0;
}

static ox_status start(struct bench *b, ox_tensor *const *in) {
    double begin = cli_now();
    ox_status s = bind(b, in);
    if (s == OX_OK) s = oxr_run(b->engine.native);
    b->first = cli_now() - begin;
    return s;
}

static int bench(struct bench *list, size_t n, ox_tensor **in) {
    struct cli *cli = list->cli;
    int64_t seed, runs, warmup;
    if (!cli_number(&seed, cli, "seed", cli->flag.seed, 1, 0, INT64_MAX)) return OX_USAGE;
    if (!cli_number(&runs, cli, "runs", cli->flag.runs, 0, 1, MOST_RUNS)) return OX_USAGE;
    if (!cli_number(&warmup, cli, "warmup", cli->flag.warmup, 3, 0, MOST_RUNS)) return OX_USAGE;
    ox_status s = inputs_read(in, &list[0].engine);
    if (s == OX_OK) s = inputs_random(in, &list[0].engine, (uint64_t)seed);
    for (size_t i = 0; i < n && s == OX_OK; i++)
        s = start(&list[i], in);
    if (s == OX_OK) s = time_runs(list, n, warmup, runs);
    return s == OX_OK ? report(list, n) : (int)s;
}

int cmd_bench(struct cli *cli) {
    struct bench list[2] = {{.cli = cli, .path = cli->args[0]}, {.cli = cli, .path = cli->flag.vs}};
    size_t n = cli->flag.vs ? 2 : 1;
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++)
        code = (int)engine_open_native(&list[i].engine, cli, list[i].path);
    if (code == 0 && n > 1 && list[0].engine.n_in != list[1].engine.n_in) {
        fprintf(stderr, "onnxopt: error[other-interface]: the models differ in their inputs\n");
        code = OX_INVALID;
    }
    ox_tensor **in = calloc(list[0].engine.n_in + 1, sizeof *in);
    if (code == 0) code = in ? bench(list, n, in) : OX_NOMEM;
    if (in) inputs_free(in, list[0].engine.n_in);
    free(in);
    for (size_t i = 0; i < n; i++) {
        engine_close(&list[i].engine);
        free(list[i].times.at);
    }
    return code;
}
