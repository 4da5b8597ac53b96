/* tools/onnxopt/main.c - the command line tool: parse, open a context, run the command.
 *
 * Exit codes are those of ox_status (onnxopt/base.h): 0 done, 1 wrong use, 2 invalid input, 3
 * unsupported, 4 out of memory, 5 input/output, 6 internal error, 7 interrupted. `compare` and
 * `eval` exit 0 whatever they find. */
#include "cli.h"

static const struct command commands[] = {
#define COMMAND(name, arguments, summary) {#name, arguments, summary, cmd_##name},
#include "commands.def"
#undef COMMAND
    {NULL, NULL, NULL, NULL},
};

const struct command *cli_commands(void) {
    return commands;
}

int cmd_help(struct cli *cli) {
    return cli_help(cli);
}

int cmd_man(struct cli *cli) {
    return cli_man(cli);
}

int cmd_version(struct cli *cli) {
    fprintf(cli->out, "onnxopt %s\n", OX_VERSION_STRING);
    return 0;
}

int main(int argc, char **argv) {
    struct cli cli = {.out = stdout};
    int code = 0;
    if (!cli_parse(&cli, argc, argv, &code)) return code;
    code = cli_open(&cli);
    if (code == 0) code = cli.command->run(&cli);
    cli_close(&cli);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "onnxopt: error[write-failed]: cannot write to standard output\n");
        if (code == 0) code = OX_IO;
    }
    return code;
}
