/* tools/onnxopt/cmd_tables.c - `ops` and `passes`: the library's tables. */
#include "cli.h"

static const char *yes(bool b)
{
    return b ? "yes" : "-";
}

int cmd_ops(struct cli *cli)
{
    struct ox_op_info op;
    json_t *list = cli->flag.json ? json_array() : NULL;
    if (!list) fprintf(cli->out, "%-16s %-28s %-8s %-5s %-5s %s\n", "domain", "operator", "opsets", "run", "fold", "quantize");
    for (size_t i = 0; ox_op_info(&op, i); i++) {
        char opsets[32];
        snprintf(opsets, sizeof opsets, "%d-%d", op.since, op.newest);
        if (list)
            json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:b, s:b, s:b}", "domain", op.domain, "operator", op.name, "since", op.since,
                                                  "newest", op.newest, "executable", op.executable, "foldable", op.foldable, "quantizable", op.quantizable));
        else
            fprintf(cli->out, "%-16s %-28s %-8s %-5s %-5s %s\n", op.domain[0] ? op.domain : "ai.onnx", op.name, opsets, yes(op.executable),
                    yes(op.foldable), yes(op.quantizable));
    }
    return list ? cli_print_json(cli, list) : 0;
}

int cmd_passes(struct cli *cli)
{
    struct ox_pass_info pass;
    const char *name, *pipeline, *summary;
    if (cli->flag.json) {
        json_t *passes = json_array(), *presets = json_array();
        for (size_t i = 0; ox_pass_info(&pass, i); i++)
            json_array_append_new(passes, json_pack("{s:s, s:s, s:s}", "name", pass.name, "summary", pass.summary, "options", pass.options));
        for (size_t i = 0; ox_preset_info(&name, &pipeline, &summary, i); i++)
            json_array_append_new(presets, json_pack("{s:s, s:s, s:s}", "name", name, "summary", summary, "pipeline", pipeline));
        return cli_print_json(cli, json_pack("{s:o, s:o}", "passes", passes, "presets", presets));
    }
    fputs("Passes:\n", cli->out);
    for (size_t i = 0; ox_pass_info(&pass, i); i++) {
        fprintf(cli->out, "  %-14s %s\n", pass.name, pass.summary);
        if (pass.options[0]) fprintf(cli->out, "  %-14s {%s}\n", "", pass.options);
    }
    fputs("\nPresets:\n", cli->out);
    for (size_t i = 0; ox_preset_info(&name, &pipeline, &summary, i); i++)
        fprintf(cli->out, "  %-14s %s\n  %-14s = %s\n", name, summary, "", pipeline);
    fputs("\nA pipeline is passes and presets separated by commas, with options in braces, and loops that run until nothing\n"
          "changes:  --passes 'constants,loop(fold,cse,dce)'\n", cli->out);
    return 0;
}
