/* tests/golden/golden_main.c - golden cases: text in, passes, text out; executed before and after
 * and compared.
 *
 *     test_golden [--bless] [--only CASE] FILE...
 *
 * A case passes if the model that comes out prints as the file says, passes the verifier, gives the
 * same outputs as before on seeded inputs, prints and parses to the same text, and is not changed
 * by the same pipeline once more. --bless writes what came out into the files; the other checks
 * hold then, too. */
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

struct run {
    const char *path;
    const struct golden_case *c;
    bool bless;
    ox_ctx *ctx;
    char *got;
};

static bool failed(const struct run *r, const char *what) {
    fprintf(stderr, "%s:%d: case '%s': %s\n", r->path, r->c->line, r->c->name, what);
    return false;
}

static bool parse(struct ox_model **out, struct run *r, const char *text) {
    if (ox_text_parse(out, r->ctx, text, strlen(text), r->c->name) != OX_OK)
        return failed(r, "does not parse");
    if (ox_model_verify(*out) == OX_OK && ox_model_infer(*out, NULL) == OX_OK) return true;
    ox_model_free(*out);
    return failed(r, "is not valid");
}

static bool optimize(struct run *r, struct ox_model *model) {
    struct ox_optimize_options options = r->c->options;
    options.pipeline = r->c->pipeline;
    return ox_optimize(model, &options, NULL) == OX_OK || failed(r, "cannot be optimized");
}

static char *print(struct run *r, struct ox_model *model) {
    char *text;
    size_t len;
    struct ox_text_options options = {0};
    if (ox_text_print(&text, &len, model, &options) == OX_OK) return text;
    failed(r, "does not print");
    return NULL;
}

/* Outputs of the model before and after, on three seeds. */
static bool same_answers(struct run *r, struct ox_model *before, struct ox_model *after) {
    char why[300];
    bool ok = true;
    for (uint64_t seed = 1; seed <= 3 && ok; seed++) {
        ox_tensor **in, **a = NULL, **b = NULL;
        size_t n = before->graph->ret->n_in;
        if (golden_inputs(&in, before, seed) != OX_OK) return failed(r, "no inputs");
        ok = golden_execute(&a, before, in) == OX_OK ||
             failed(r, "the model before cannot be executed");
        ok = ok && (golden_execute(&b, after, in) == OX_OK ||
                    failed(r, "the model after cannot be executed"));
        if (ok && !golden_same(why, sizeof why, a, b, n, r->c->tolerance)) ok = failed(r, why);
        golden_unref_all(r->ctx, in, before->graph->n_inputs);
        golden_unref_all(r->ctx, a, n);
        golden_unref_all(r->ctx, b, n);
    }
    return ok;
}

/* What was printed parses, prints the same again, and is left alone by the same pipeline. */
static bool stable(struct run *r) {
    struct ox_model *again;
    if (!parse(&again, r, r->got)) return false;
    char *text = print(r, again);
    bool ok = text != NULL;
    if (ok && strcmp(text, r->got) != 0) ok = failed(r, "does not print as it was parsed");
    ox_free(r->ctx, text);
    ok = ok && optimize(r, again);
    text = ok ? print(r, again) : NULL;
    if (ok && text && strcmp(text, r->got) != 0) {
        failed(r, "the same pipeline changes the result again, to:");
        fputs(text, stderr);
        ok = false;
    }
    ox_free(r->ctx, text);
    ox_model_free(again);
    return ok;
}

static bool run_case(struct run *r) {
    struct ox_model *before = NULL, *after = NULL;
    bool ok = parse(&before, r, r->c->input) && parse(&after, r, r->c->input) && optimize(r, after);
    ok = ok && (ox_model_verify(after) == OX_OK || failed(r, "the result is not valid"));
    ok = ok && (r->c->no_run[0] || same_answers(r, before, after));
    r->got = ok ? print(r, after) : NULL;
    ok = ok && r->got && stable(r);
    ox_model_free(before);
    ox_model_free(after);
    return ok;
}

/* Blank space around the text does not count. */
static bool same_text(const char *a, const char *b) {
    while (*a == '\n')
        a++;
    while (*b == '\n')
        b++;
    size_t n = strlen(a), k = strlen(b);
    while (n && a[n - 1] == '\n')
        n--;
    while (k && b[k - 1] == '\n')
        k--;
    return n == k && memcmp(a, b, n) == 0;
}

static void bless(const char *path, const struct golden_file *file, char **got) {
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(2);
    }
    fwrite(file->text, 1, file->cases[0].begin, f);
    for (size_t i = 0; i < file->n; i++) {
        const struct golden_case *c = &file->cases[i];
        const char *text = got[i] ? got[i] : c->expected ? c->expected : "";
        size_t end = c->head, len = strlen(text);
        while (end > c->begin && file->text[end - 1] == '\n')
            end--;
        while (len && text[len - 1] == '\n')
            len--;
        fwrite(file->text + c->begin, 1, end - c->begin, f);
        fprintf(f, "\n# gives\n%.*s\n%s", (int)len, text, i + 1 < file->n ? "\n" : "");
    }
    fclose(f);
}

static int run_file(const char *path, bool blessing, const char *only) {
    struct golden_file file;
    int failures = 0;
    golden_read(&file, path);
    char **got = calloc(file.n, sizeof *got);
    if (!got) abort();
    for (size_t i = 0; i < file.n; i++) {
        struct run r = {.path = path, .c = &file.cases[i]};
        struct ox_ctx_options options = {
            .size = sizeof options, .on_diag = golden_on_diag, .diag_user = file.cases[i].name};
        if (only && strcmp(only, r.c->name) != 0) continue;
        if (ox_ctx_new(&r.ctx, &options) != OX_OK) abort();
        bool ok = run_case(&r);
        if (ok && !blessing && !(r.c->expected && same_text(r.c->expected, r.got))) {
            ok = failed(&r, "gives:");
            fputs(r.got, stderr);
        }
        if (ok) got[i] = strdup(r.got);
        failures += !ok;
        ox_free(r.ctx, r.got);
        ox_ctx_free(r.ctx);
    }
    if (blessing) bless(path, &file, got);
    printf("%s: %zu cases, %d failed\n", path, file.n, failures);
    for (size_t i = 0; i < file.n; i++)
        free(got[i]);
    free(got);
    golden_free(&file);
    return failures;
}

int main(int argc, char **argv) {
    bool blessing = false;
    const char *only = NULL;
    int failures = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bless") == 0) {
            blessing = true;
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else {
            failures += run_file(argv[i], blessing, only);
            files++;
        }
    }
    if (!files) fprintf(stderr, "usage: test_golden [--bless] [--only CASE] FILE...\n");
    return failures > 0 || !files;
}
