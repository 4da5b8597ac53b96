/* tools/onnxopt/cli_help.c - help and the manual page, both from the tables of commands and flags.
 */
#include "cli.h"

#include <string.h>

static const struct {
    const char *name, *argument, *commands, *help;
    char letter;
} flags[] = {
#define FLAG(id, name, letter, argument, commands, help) {name, argument, commands, help, letter},
#include "flags.def"
#undef FLAG
};

static const struct {
    const char *command, *what;
} examples[] = {
    {"onnxopt model.onnx -o small.onnx", "fold, fuse and simplify; same results, fewer nodes"},
    {"onnxopt model.onnx -o int8.onnx --quantize int8 --calib images/ --preprocess "
     "resize=256,crop=224,scale=255",
     "quantize to int8, calibrated on a folder of images"},
    {"onnxopt model.onnx -o int8.onnx --quantize int8", "the same without data"},
    {"onnxopt eval int8.onnx labelled.npz --against model.onnx", "what it cost"},
    {"onnxopt info model.onnx", "what is in a model"},
};

static const struct {
    int code;
    const char *what;
} codes[] = {
    {0, "done"},
    {1, "wrong use: a flag, an argument"},
    {2, "invalid input: a broken or malicious file, data that does not fit the model"},
    {3, "unsupported: an opset or operator that is not known"},
    {4, "out of memory, or over a limit"},
    {5, "input or output failed"},
    {6, "internal error"},
    {7, "interrupted"},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Prints text indented and wrapped at 100 columns. */
static void wrap(FILE *f, size_t indent, const char *text) {
    size_t column = indent;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column + len > 99 && column > indent) {
            fprintf(f, "\n%*s", (int)indent, "");
            column = indent;
        }
        fprintf(f, "%.*s", (int)len, text);
        column += len;
        text += len;
        if (*text == ' ') {
            text++;
            if (column < 99 && *text) fputc(' ', f);
            column++;
        }
    }
    fputc('\n', f);
}

int cli_help(struct cli *cli) {
    FILE *f = cli->out;
    fprintf(f,
            "onnxopt %s - makes trained ONNX models small and fast, and shows that they still do "
            "what they did\n\n"
            "Usage: onnxopt IN.onnx -o OUT.onnx [flags]\n"
            "       onnxopt COMMAND [arguments] [flags]\n\nCommands:\n",
            OX_VERSION_STRING);
    for (const struct command *c = cli_commands(); c->name; c++) {
        char head[64];
        snprintf(head, sizeof head, "%s %s", c->name, c->arguments);
        fprintf(f, "  %-30s ", head);
        wrap(f, 33, c->summary);
    }
    fputs("\nFlags:\n", f);
    for (size_t i = 0; i < COUNT(flags); i++) {
        char head[64];
        snprintf(head, sizeof head, "%c%c%s --%s%s%s", flags[i].letter ? '-' : ' ',
                 flags[i].letter ? flags[i].letter : ' ', flags[i].letter ? "," : " ",
                 flags[i].name, flags[i].argument ? " " : "",
                 flags[i].argument ? flags[i].argument : "");
        fprintf(f, "  %-30s ", head);
        wrap(f, 33, flags[i].help);
        if (strcmp(flags[i].commands, "*") != 0) fprintf(f, "%33s(%s)\n", "", flags[i].commands);
    }
    fputs("\nExamples:\n", f);
    for (size_t i = 0; i < COUNT(examples); i++)
        fprintf(f, "  %s\n      %s\n", examples[i].command, examples[i].what);
    fputs("\nExit codes:\n", f);
    for (size_t i = 0; i < COUNT(codes); i++)
        fprintf(f, "  %d  %s\n", codes[i].code, codes[i].what);
    return 0;
}

/* Text for troff: hyphens of flags are literal, a dot at the line's start is no request. */
static void roff(FILE *f, const char *text) {
    if (*text == '.' || *text == '\'') fputs("\\&", f);
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", f);
        else if (*text == '\\')
            fputs("\\e", f);
        else
            fputc(*text, f);
    }
}

int cli_man(struct cli *cli) {
    FILE *f = cli->out;
    fprintf(f,
            ".TH ONNXOPT 1 \"\" \"onnxopt %s\" \"User Commands\"\n.SH NAME\nonnxopt \\- optimize "
            "and quantize ONNX models\n"
            ".SH SYNOPSIS\n.B onnxopt\n.I IN.onnx\n.B \\-o\n.I OUT.onnx\n[flags]\n.br\n.B "
            "onnxopt\n.I COMMAND\n[arguments] [flags]\n"
            ".SH DESCRIPTION\nMakes trained ONNX models small and fast, and shows that they still "
            "do what they did. "
            "A model is read, rewritten to fewer nodes with the same results, quantized on demand, "
            "and written whole or not at all.\n.SH COMMANDS\n",
            OX_VERSION_STRING);
    for (const struct command *c = cli_commands(); c->name; c++) {
        fprintf(f, ".TP\n.B %s\n.I ", c->name);
        roff(f, c->arguments);
        fputc('\n', f);
        roff(f, c->summary);
        fputs(".\n", f);
    }
    fputs(".SH OPTIONS\n", f);
    for (size_t i = 0; i < COUNT(flags); i++) {
        fputs(".TP\n.B ", f);
        if (flags[i].letter) fprintf(f, "\\-%c, ", flags[i].letter);
        fputs("\\-\\-", f);
        roff(f, flags[i].name);
        if (flags[i].argument) {
            fputc(' ', f);
            roff(f, flags[i].argument);
        }
        fputc('\n', f);
        roff(f, flags[i].help);
        fputs(".\n", f);
        if (strcmp(flags[i].commands, "*") != 0) fprintf(f, "Commands: %s.\n", flags[i].commands);
    }
    fputs(".SH EXIT STATUS\n", f);
    for (size_t i = 0; i < COUNT(codes); i++)
        fprintf(f, ".TP\n.B %d\n%s\n", codes[i].code, codes[i].what);
    fputs(".SH EXAMPLES\n", f);
    for (size_t i = 0; i < COUNT(examples); i++) {
        fputs(".TP\n.B ", f);
        roff(f, examples[i].command);
        fputc('\n', f);
        roff(f, examples[i].what);
        fputc('\n', f);
    }
    return 0;
}
