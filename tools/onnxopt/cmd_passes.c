/* tools/onnxopt/cmd_passes.c - `passes`: the passes and presets of the library. */
#include "cli.h"

int cmd_passes(struct cli *cli) {
    struct ox_pass_info pass;
    const char *name, *pipeline, *summary;
    if (cli->flag.json) {
        json_t *passes = json_array(), *presets = json_array();
        for (size_t i = 0; ox_pass_info(&pass, i); i++)
            json_array_append_new(passes, json_pack("{s:s, s:s, s:s}", "name", pass.name, "summary",
                                                    pass.summary, "options", pass.options));
        for (size_t i = 0; ox_preset_info(&name, &pipeline, &summary, i); i++)
            json_array_append_new(presets, json_pack("{s:s, s:s, s:s}", "name", name, "summary",
                                                     summary, "pipeline", pipeline));
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
    fputs("\nA pipeline is passes and presets separated by commas, with options in braces, and "
          "loops that run until nothing\n"
          "changes:  --passes 'constants,loop(fold,cse,dce)'\n",
          cli->out);
    return 0;
}
