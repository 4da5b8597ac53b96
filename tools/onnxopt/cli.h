/* tools/onnxopt/cli.h - what the commands share: parsed arguments, the context, printing. */
#ifndef ONNXOPT_CLI_H
#define ONNXOPT_CLI_H

#include <jansson.h>
#include <onnxopt/load.h>
#include <onnxopt/model.h>
#include <onnxopt/passes.h>
#include <onnxopt/save.h>
#include <stdio.h>

enum { REPEATS_MAX = 64 };

struct cli {
    const char *program;
    const struct command *command;
    const char *const *args; /* positional arguments */
    int n_args;
    struct {
#define FLAG(id, name, letter, argument, commands, help) const char *id; /* NULL: not given */
#include "flags.def"
#undef FLAG
    } flag;
    const char *dims[REPEATS_MAX], *inputs[REPEATS_MAX]; /* flags that may be repeated */
    int n_dims, n_inputs;
    ox_ctx *ctx;
    FILE *out; /* where reports go: standard output, unless that carries the model */
    bool progress_shown;
    double progress_since;
};

struct command {
    const char *name, *arguments, *summary;
    int (*run)(struct cli *cli);
};
const struct command *cli_commands(void); /* ends with a NULL name */

/* Fills the structure from argv; on a mistake one line on standard error and exit code 1
 * (*exit_code), false. */
bool cli_parse(struct cli *cli, int argc, char **argv, int *exit_code);
/* Numbers of flags: false after a message. */
bool cli_number(int64_t *out, const struct cli *cli, const char *flag, const char *text,
                int64_t dflt, int64_t min, int64_t max);
int cli_usage_error(const struct cli *cli, const char *format, ...) OX_PRINTF(2, 3);

int cli_help(struct cli *cli);
int cli_man(struct cli *cli);

/* Context with diagnostics to standard error, progress bar, interrupt handling. Returns an exit
 * code. */
int cli_open(struct cli *cli);
void cli_close(struct cli *cli);
void cli_progress_clear(struct cli *cli);
/* Seconds of a clock that only goes forward. */
double cli_now(void);

/* Loads a model ("-": standard input), with --dim applied. */
OX_MUST_USE ox_status cli_load(ox_model **out, struct cli *cli, const char *path);
/* Opens samples for a model, at most --samples (default `limit`, 0: all). */
OX_MUST_USE ox_status cli_dataset(struct ox_dataset *out, struct cli *cli, ox_model *model,
                                  const char *path, int64_t limit);
/* Prints JSON with a final newline and frees it; returns an exit code. */
int cli_print_json(struct cli *cli, json_t *json);
/* A number, or null where it is none that JSON can say. */
json_t *cli_json_number(double v);

/* "4.2 MB", "12.3 k": four buffers are used in turn. */
struct cli_text {
    char text[32];
};
struct cli_text cli_bytes(double bytes);
struct cli_text cli_count(double n);

#define COMMAND(name, arguments, summary) int cmd_##name(struct cli *cli);
#include "commands.def"
#undef COMMAND

#endif
