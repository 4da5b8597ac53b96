/* tools/onnxopt/cmd_optimize.c - the main job: read, optimize, quantize on demand, write, report.
 */
#include "cli.h"
#include "native_runner.h"
#include "report.h"
#include "save_native.h"

#include <string.h>
#include <unistd.h>

static void after_pass(void *user, const char *pass, ox_model *model) {
    struct cli *cli = user;
    char *text;
    size_t len;
    if (!cli->flag.dump_after ||
        (strcmp(cli->flag.dump_after, "all") != 0 && strcmp(cli->flag.dump_after, pass) != 0))
        return;
    if (ox_model_text(&text, &len, model, 64) != OX_OK) return;
    fprintf(stderr, "// after %s\n%.*s\n", pass, (int)len, text);
    ox_text_free(cli->ctx, text);
}

static bool known_pass(const char *name) {
    struct ox_pass_info info;
    if (strcmp(name, "all") == 0) return true;
    for (size_t i = 0; ox_pass_info(&info, i); i++)
        if (strcmp(info.name, name) == 0) return true;
    return false;
}

/* The pipeline as text: what --passes says or the preset, then quantization as the flags ask for
 * it. */
static int pipeline_text(const struct cli *cli, char *out, size_t size) {
    bool quantize = cli->flag.quantize != NULL;
    const char *base = cli->flag.passes ? cli->flag.passes
                       : quantize       ? "upgrade,freeze,default"
                                        : "default";
    size_t n = (size_t)snprintf(out, size, "%s", base);
    if (!quantize && (cli->flag.calib || cli->flag.activations || cli->flag.calibrator))
        return cli_usage_error(cli, "--calib, --activations and --calibrator go with --quantize");
    if (quantize && strcmp(cli->flag.quantize, "int8") != 0)
        return cli_usage_error(cli, "--quantize %s: the only mode is int8", cli->flag.quantize);
    if (quantize && n < size)
        n +=
            (size_t)snprintf(out + n, size - n, ",quantize{mode=int8;activations=%s;calibrator=%s}",
                             cli->flag.activations ? cli->flag.activations : "uint8",
                             cli->flag.calibrator ? cli->flag.calibrator : "auto");
    return n < size ? 0 : cli_usage_error(cli, "--passes is too long");
}

static bool output_ends(const struct cli *cli, const char *ending) {
    size_t len = strlen(cli->flag.output), n = strlen(ending);
    return len > n && strcmp(cli->flag.output + len - n, ending) == 0;
}

static bool to_native(const struct cli *cli) {
    return output_ends(cli, ".oxb");
}

static ox_status write_model(struct cli *cli, ox_model *model, uint64_t *bytes, uint64_t *arena) {
    struct ox_save_options o = {.size = sizeof o, .external = cli->flag.external != NULL};
    if (to_native(cli)) return save_native(cli, model, bytes, arena);
    if (strcmp(cli->flag.output, "-") == 0) return ox_model_write(model, STDOUT_FILENO, bytes);
    return ox_model_save(model, cli->flag.output, &o, bytes);
}

static ox_status transform(struct cli *cli, ox_model *model, struct ox_optimize_options *o,
                           struct report *report) {
    ox_outcome *outcome = NULL;
    struct ox_dataset data = {0};
    ox_status s = ox_model_stats(&report->before, model);
    if (s == OX_OK && cli->flag.calib) s = cli_dataset(&data, cli, model, cli->flag.calib, 100);
    if (s == OX_OK) {
        if (data.self) o->calibration = &data;
        s = ox_optimize(model, o, &outcome);
    }
    if (s == OX_OK) s = ox_model_stats(&report->after, model);
    if (s == OX_OK) s = write_model(cli, model, &report->bytes_out, &report->arena);
    report->bytes_in = report->before.file_bytes;
    report->outcome = outcome;
    if (data.free) data.free(data.self);
    return s;
}

int cmd_optimize(struct cli *cli) {
    char pipeline[4096];
    int64_t seed, max_rewrites;
    double begin = cli_now();
    ox_model *model;
    if (!cli->flag.output) return cli_usage_error(cli, "no output given: -o FILE");
    if (cli->flag.output[0] == 0) return cli_usage_error(cli, "the output's name is empty");
    if (cli->flag.external && strcmp(cli->flag.output, "-") == 0)
        return cli_usage_error(cli, "--external needs a file, not standard output");
    if (cli->flag.external && (to_native(cli) || output_ends(cli, ".onnxtxt")))
        return cli_usage_error(cli, "--external is for .onnx files");
    if (cli->flag.pack && !to_native(cli))
        return cli_usage_error(cli, "--pack is for native files (.oxb)");
    if (cli->flag.dump_after && !known_pass(cli->flag.dump_after))
        return cli_usage_error(cli, "--dump-after %s: no such pass", cli->flag.dump_after);
    if (strcmp(cli->flag.output, "-") == 0) cli->out = stderr;
    int code = pipeline_text(cli, pipeline, sizeof pipeline);
    if (code) return code;
    if (!cli_number(&seed, cli, "seed", cli->flag.seed, 1, 0, INT64_MAX)) return OX_USAGE;
    if (!cli_number(&max_rewrites, cli, "max-rewrites", cli->flag.max_rewrites, 0, 1, INT64_MAX))
        return OX_USAGE;
    bool known;
    struct ox_model_runner runner;
    const struct ox_model_runner *chosen = native_runner(cli, &runner, &known);
    if (!known) return OX_USAGE;
    ox_status s = cli_load(&model, cli, cli->args[0]);
    if (s != OX_OK) return (int)s;
    struct ox_optimize_options o = {
        .size = sizeof o,
        .pipeline = pipeline,
        .no_verify = cli->flag.no_verify != NULL,
        .max_rewrites = (uint64_t)max_rewrites,
        .seed = (uint64_t)seed,
        .after_pass = after_pass,
        .user = cli,
        .explain = cli->flag.explain != NULL,
        .runner = chosen,
    };
    struct report report = {.in = cli->args[0], .out = cli->flag.output};
    s = transform(cli, model, &o, &report);
    cli_progress_clear(cli);
    report.seconds = cli_now() - begin;
    code = s == OX_OK ? report_print(cli, &report) : (int)s;
    ox_outcome_free((ox_outcome *)(uintptr_t)report.outcome);
    ox_model_free(model);
    return code;
}
