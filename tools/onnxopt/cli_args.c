/* tools/onnxopt/cli_args.c - the command line into struct cli, through getopt_long and the table of
 * flags. */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum flag_id {
#define FLAG(id, name, letter, argument, commands, help) FLAG_##id,
#include "flags.def"
#undef FLAG
    N_FLAGS
};

static const struct {
    const char *name, *argument, *commands;
    char letter;
} flags[] = {
#define FLAG(id, name, letter, argument, commands, help) {name, argument, commands, letter},
#include "flags.def"
#undef FLAG
};

int cli_usage_error(const struct cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("onnxopt: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (see `%s --help`)\n", cli->program ? cli->program : "onnxopt");
    return OX_USAGE;
}

/* How many edits lie between two words, for words of up to 31 letters. */
static int distance(const char *a, const char *b) {
    int row[33], n = (int)strlen(b);
    if (strlen(a) > 31 || n > 31) return 99;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < change) change = row[j] + 1;
            if (row[j - 1] + 1 < change) change = row[j - 1] + 1;
            row[j] = change;
        }
    }
    return row[n];
}

static int unknown_flag(const struct cli *cli, const char *given) {
    const char *word = given + strspn(given, "-"), *best = NULL;
    int least = 4;
    for (int i = 0; i < N_FLAGS; i++) {
        int d = distance(word, flags[i].name);
        if (d < least) {
            least = d;
            best = flags[i].name;
        }
    }
    if (best) return cli_usage_error(cli, "unknown flag '%s'; did you mean --%s?", given, best);
    return cli_usage_error(cli, "unknown flag '%s'", given);
}

/* Is the word in a list separated by spaces? */
static bool listed(const char *list, const char *word) {
    size_t len = strlen(word);
    if (strcmp(list, "*") == 0) return true;
    for (const char *p = list; (p = strstr(p, word)) != NULL; p += len)
        if ((p == list || p[-1] == ' ') && (p[len] == ' ' || p[len] == 0)) return true;
    return false;
}

static bool store(struct cli *cli, int id, const char *value) {
    if (!value) value = "";
    switch (id) {
#define FLAG(id, name, letter, argument, commands, help)                                           \
    case FLAG_##id:                                                                                \
        cli->flag.id = value;                                                                      \
        break;
#include "flags.def"
#undef FLAG
    default:
        return false;
    }
    if (id == FLAG_dim) {
        if (cli->n_dims == REPEATS_MAX) return false;
        cli->dims[cli->n_dims++] = value;
    }
    if (id == FLAG_input) {
        if (cli->n_inputs == REPEATS_MAX) return false;
        cli->inputs[cli->n_inputs++] = value;
    }
    return true;
}

static bool parse_flags(struct cli *cli, int argc, char **argv, bool seen[N_FLAGS],
                        int *exit_code) {
    struct option options[N_FLAGS + 1] = {{0}};
    char letters[3 * N_FLAGS + 2] = ":";
    size_t n = 1;
    for (int i = 0; i < N_FLAGS; i++) {
        options[i] = (struct option){
            flags[i].name, flags[i].argument ? required_argument : no_argument, NULL, 256 + i};
        if (!flags[i].letter) continue;
        letters[n++] = flags[i].letter;
        if (flags[i].argument) letters[n++] = ':';
    }
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        const char *given = argv[optind - 1];
        int id = c - 256;
        if (c == '?' || c == ':') {
            *exit_code = c == ':' ? cli_usage_error(cli, "flag '%s' needs an argument", given)
                                  : unknown_flag(cli, given);
            return false;
        }
        for (int i = 0; c < 256 && i < N_FLAGS; i++)
            if (flags[i].letter == c) id = i;
        seen[id] = true;
        if (!store(cli, id, optarg)) {
            *exit_code = cli_usage_error(cli, "--%s is given too often", flags[id].name);
            return false;
        }
    }
    return true;
}

static const struct command *find_command(const char *word) {
    for (const struct command *c = cli_commands(); c->name; c++)
        if (strcmp(c->name, word) == 0) return c;
    return NULL;
}

static int words(const char *text) {
    int n = 0;
    for (const char *p = text; *p;) {
        p += strspn(p, " ");
        if (*p == 0 || *p == '-') break; /* flags in the synopsis */
        n++;
        p += strcspn(p, " ");
    }
    return n;
}

bool cli_parse(struct cli *cli, int argc, char **argv, int *exit_code) {
    bool seen[N_FLAGS] = {false};
    cli->program = "onnxopt";
    *exit_code = 0;
    if (!parse_flags(cli, argc, argv, seen, exit_code)) return false;
    cli->args = (const char *const *)&argv[optind];
    cli->n_args = argc - optind;
    cli->command = cli->n_args > 0 ? find_command(cli->args[0]) : NULL;
    if (cli->command) {
        cli->args++;
        cli->n_args--;
    } else {
        cli->command = find_command("optimize");
    }
    if (cli->flag.help) cli->command = find_command("help");
    if (cli->flag.version) cli->command = find_command("version");
    if (argc <= 1) {
        *exit_code = cli_usage_error(cli, "no model given");
        return false;
    }
    if (cli->flag.help || cli->flag.version) return true;
    for (int i = 0; i < N_FLAGS; i++)
        if (seen[i] && !listed(flags[i].commands, cli->command->name)) {
            *exit_code = cli_usage_error(cli, "--%s has no meaning for `%s`", flags[i].name,
                                         cli->command->name);
            return false;
        }
    int want = words(cli->command->arguments);
    if (cli->n_args != want) {
        *exit_code = cli_usage_error(cli, "`%s` takes %d argument%s: %s", cli->command->name, want,
                                     want == 1 ? "" : "s", want ? cli->command->arguments : "none");
        return false;
    }
    return true;
}

bool cli_number(int64_t *out, const struct cli *cli, const char *flag, const char *text,
                int64_t dflt, int64_t min, int64_t max) {
    char *end;
    *out = dflt;
    if (!text) return true;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == 0 && v >= min && v <= max) {
        *out = v;
        return true;
    }
    cli_usage_error(cli, "--%s %s: expected an integer from %lld to %lld", flag, text,
                    (long long)min, (long long)max);
    return false;
}
