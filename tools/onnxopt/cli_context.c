/* tools/onnxopt/cli_context.c - the context of a command: diagnostics to standard error, a progress
 * bar on a terminal for what takes over a second, Ctrl-C as a request to stop, and loading with the
 * flags that all commands share. */
#include "cli.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

/* The first signal asks the library to stop at the next occasion; the second one kills, which
 * leaves no half-written file either. */
static void on_signal(int number) {
    interrupted = 1;
    signal(number, SIG_DFL);
}

double cli_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cli_progress_clear(struct cli *cli) {
    if (cli->progress_shown) fputs("\r\033[K", stderr);
    cli->progress_shown = false;
}

static bool on_progress(void *user, const char *what, size_t done, size_t total) {
    struct cli *cli = user;
    enum { WIDTH = 30 };
    if (interrupted) return false;
    if (total == 0 || cli->flag.quiet || cli->flag.json || !isatty(STDERR_FILENO)) return true;
    double t = cli_now();
    if (done == 0 || cli->progress_since == 0) cli->progress_since = t;
    if (t - cli->progress_since < 1 && !cli->progress_shown) return true;
    int filled = total ? (int)((double)done / (double)total * WIDTH) : 0;
    fprintf(stderr, "\r%-12s [%.*s%*s] %zu/%zu\033[K", what, filled,
            "##############################", WIDTH - filled, "", done, total);
    fflush(stderr);
    cli->progress_shown = true;
    if (done == total) {
        cli_progress_clear(cli);
        cli->progress_since = 0;
    }
    return true;
}

static void on_diag(void *user, const struct ox_diag *d) {
    static const char *const severity[] = {"note", "warning", "error"};
    struct cli *cli = user;
    if (cli->flag.quiet && d->severity != OX_ERROR) return;
    cli_progress_clear(cli);
    fprintf(stderr, "%s", d->file ? d->file : "onnxopt");
    if (d->line) fprintf(stderr, ":%d", d->line);
    fprintf(stderr, ": %s[%s]: ", severity[d->severity], d->id);
    if (d->op) fprintf(stderr, "%s", d->op);
    if (d->node) fprintf(stderr, "%s'%s'", d->op ? " " : "", d->node);
    if (d->op || d->node) fputs(": ", stderr);
    fputs(d->text, stderr);
    bool in_graph = d->graph && d->graph[0];
    if (in_graph) fprintf(stderr, " (graph '%s'", d->graph);
    if (d->offset >= 0 && !d->line)
        fprintf(stderr, "%sbyte %lld", in_graph ? ", " : " (", (long long)d->offset);
    if (in_graph || (d->offset >= 0 && !d->line)) fputc(')', stderr);
    fputc('\n', stderr);
}

int cli_open(struct cli *cli) {
    int64_t threads, memory, seed;
    if (!cli_number(&threads, cli, "threads", cli->flag.threads, 0, 1, 1024)) return OX_USAGE;
    if (!cli_number(&memory, cli, "max-memory", cli->flag.max_memory, 0, 1, (int64_t)1 << 40))
        return OX_USAGE;
    if (!cli_number(&seed, cli, "seed", cli->flag.seed, 0, 0, INT64_MAX)) return OX_USAGE;
    struct ox_ctx_options o = {
        .size = sizeof o,
        .on_diag = on_diag,
        .diag_user = cli,
        .on_progress = on_progress,
        .progress_user = cli,
        .threads = (int)threads,
        .limits.max_memory = (size_t)memory << 20,
        .random_seed = (uint64_t)seed,
    };
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    return (int)ox_ctx_new(&cli->ctx, &o);
}

void cli_close(struct cli *cli) {
    cli_progress_clear(cli);
    ox_ctx_free(cli->ctx);
}

/* ---- models ---------------------------------------------------------------------------------- */

static ox_status read_stdin(ox_model **out, struct cli *cli,
                            const struct ox_load_options *options) {
    size_t size = 0, cap = 1 << 20;
    char *data = malloc(cap);
    for (size_t n = 1; data && n > 0; size += n) {
        if (size == cap) {
            char *more = realloc(data, cap *= 2);
            if (!more) free(data);
            data = more;
        }
        n = data ? fread(data + size, 1, cap - size, stdin) : 0;
    }
    ox_status s = OX_NOMEM;
    if (!data)
        fprintf(stderr, "onnxopt: error[out-of-memory]: no memory for standard input\n");
    else
        s = ox_model_load_memory(out, cli->ctx, data, size, "<stdin>", NULL, options);
    free(data);
    return s;
}

static ox_status apply_dims(struct cli *cli, ox_model *model) {
    for (int i = 0; i < cli->n_dims; i++) {
        const char *equals = strchr(cli->dims[i], '=');
        char name[256];
        int64_t value;
        size_t len = equals ? (size_t)(equals - cli->dims[i]) : 0;
        if (len == 0 || len >= sizeof name) {
            cli_usage_error(cli, "--dim %s: expected NAME=N", cli->dims[i]);
            return OX_USAGE;
        }
        memcpy(name, cli->dims[i], len);
        name[len] = 0;
        if (!cli_number(&value, cli, "dim", equals + 1, 0, 0, INT64_MAX)) return OX_USAGE;
        ox_status s = ox_model_set_dim(model, name, value);
        if (s != OX_OK) return s;
    }
    return OX_OK;
}

ox_status cli_load(ox_model **out, struct cli *cli, const char *path) {
    struct ox_load_options o = {.size = sizeof o, .links_under = cli->flag.links_under};
    ox_model *model;
    ox_status s = strcmp(path, "-") == 0 ? read_stdin(&model, cli, &o)
                                         : ox_model_load(&model, cli->ctx, path, &o);
    if (s != OX_OK) return s;
    s = apply_dims(cli, model);
    if (s == OX_OK)
        *out = model;
    else
        ox_model_free(model);
    return s;
}

ox_status cli_dataset(struct ox_dataset *out, struct cli *cli, ox_model *model, const char *path,
                      int64_t limit) {
    struct ox_preprocess p = {.size = sizeof p, .spec = cli->flag.preprocess};
    int64_t n;
    if (!cli_number(&n, cli, "samples", cli->flag.samples, limit, 1, INT32_MAX)) return OX_USAGE;
    return ox_dataset_open(out, model, path, &p, (size_t)n);
}

/* ---- printing -------------------------------------------------------------------------------- */

int cli_print_json(struct cli *cli, json_t *json) {
    int bad = json ? json_dumpf(json, cli->out,
                                JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9))
                   : -1;
    json_decref(json);
    if (bad) {
        fprintf(stderr, "onnxopt: error[json]: the report could not be written\n");
        return OX_IO;
    }
    fputc('\n', cli->out);
    return OX_OK;
}

json_t *cli_json_number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static struct cli_text scaled(double v, double step, const char *const *units) {
    struct cli_text t;
    int i = 0;
    for (; v >= step && units[i + 1]; i++)
        v /= step;
    snprintf(t.text, sizeof t.text,
             i == 0   ? "%.0f%s%s"
             : v < 10 ? "%.2f%s%s"
                      : "%.1f%s%s",
             v, units[i][0] ? " " : "", units[i]);
    return t;
}

struct cli_text cli_bytes(double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", NULL};
    return scaled(bytes, 1000, units);
}

struct cli_text cli_count(double n) {
    static const char *const units[] = {"", "k", "M", "G", "T", NULL};
    return scaled(n, 1000, units);
}
