/* tests/golden/golden.c - see golden.h. */
#include "tests/golden/golden.h"

#include "passes/rules/consts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void die(const char *path, int line, const char *what) {
    fprintf(stderr, "%s:%d: %s\n", path, line, what);
    exit(2);
}

static char *slurp(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) die(path, 0, "cannot be read");
    long size = ftell(f);
    rewind(f);
    char *text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) die(path, 0, "cannot be read");
    fclose(f);
    text[size] = 0;
    return text;
}

static void copy_text(char *out, size_t size, const char *from, size_t len, const char *path,
                      int line) {
    if (len >= size) die(path, line, "directive too long");
    memcpy(out, from, len);
    out[len] = 0;
}

/* "# word rest" at the beginning of a line? */
static bool directive(const char *line, const char *word, const char **rest) {
    size_t n = strlen(word);
    if (strncmp(line, "# ", 2) != 0 || strncmp(line + 2, word, n) != 0) return false;
    if (line[2 + n] != ' ' && line[2 + n] != '\n' && line[2 + n] != 0) return false;
    *rest = line + 2 + n;
    while (**rest == ' ')
        ++*rest;
    return true;
}

static char *duplicate(const char *text, size_t len) {
    char *copy = malloc(len + 1);
    if (!copy) abort();
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

static void read_option(struct golden_case *c, const char *line, size_t len, const char *path,
                        int number) {
    const char *rest;
    size_t left;
    if (directive(line, "pipeline", &rest)) {
        left = len - (size_t)(rest - line);
        copy_text(c->pipeline, sizeof c->pipeline, rest, left, path, number);
    } else if (directive(line, "skip-run", &rest)) {
        left = len - (size_t)(rest - line);
        copy_text(c->no_run, sizeof c->no_run, rest, left, path, number);
    } else if (directive(line, "tolerance", &rest)) {
        c->tolerance = strtod(rest, NULL);
    } else if (directive(line, "fold-budget", &rest)) {
        c->options.fold_budget = strtoull(rest, NULL, 10);
    } else if (directive(line, "max-rewrites", &rest)) {
        c->options.max_rewrites = strtoull(rest, NULL, 10);
    }
}

static struct golden_case *new_case(struct golden_file *f, const char *line, size_t len,
                                    const char *path, int number) {
    const char *rest, *stem = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    f->cases = realloc(f->cases, (f->n + 1) * sizeof *f->cases);
    if (!f->cases) abort();
    struct golden_case *c = &f->cases[f->n++];
    *c = (struct golden_case){.tolerance = 1e-5, .line = number, .begin = (size_t)(line - f->text)};
    c->options.size = sizeof c->options;
    copy_text(c->pipeline, sizeof c->pipeline, stem, strcspn(stem, "."), path, number);
    (void)directive(line, "case", &rest);
    size_t n = len - (size_t)(rest - line), colon = strcspn(rest, ":\n");
    copy_text(c->name, sizeof c->name, rest, colon < n ? colon : n, path, number);
    return c;
}

void golden_read(struct golden_file *out, const char *path) {
    const char *rest;
    *out = (struct golden_file){.text = slurp(path)};
    struct golden_case *c = NULL;
    const char *begin = NULL; /* of the text being collected */
    int number = 1;
    for (const char *line = out->text; *line; number++) {
        size_t len = strcspn(line, "\n");
        const char *next = line + len + (line[len] == '\n');
        if (directive(line, "case", &rest)) {
            if (c && !c->input)
                c->input = duplicate(begin, (size_t)(line - begin)),
                c->head = (size_t)(line - out->text);
            else if (c)
                c->expected = duplicate(begin, (size_t)(line - begin));
            c = new_case(out, line, len, path, number);
            begin = next;
        } else if (directive(line, "gives", &rest)) {
            if (!c || c->input) die(path, number, "'# gives' without a case");
            c->input = duplicate(begin, (size_t)(line - begin));
            c->head = (size_t)(line - out->text);
            begin = next;
        } else if (c && !c->input && *line == '#') {
            read_option(c, line, len, path, number);
        }
        line = next;
    }
    if (!c) die(path, 1, "no case");
    size_t left = strlen(begin);
    if (!c->input) {
        c->input = duplicate(begin, left);
        c->head = strlen(out->text);
    } else {
        c->expected = duplicate(begin, left);
    }
}

void golden_free(struct golden_file *file) {
    for (size_t i = 0; i < file->n; i++) {
        free(file->cases[i].input);
        free(file->cases[i].expected);
    }
    free(file->cases);
    free(file->text);
}

void golden_on_diag(void *user, const struct ox_diag *diag) {
    static const char *const words[] = {"note", "warning", "error"};
    const char *name = user;
    fprintf(stderr, "  %s: %s[%s]: %s%s%s%s%s", name ? name : "", words[diag->severity], diag->id,
            diag->op ? diag->op : "", diag->node ? " '" : "", diag->node ? diag->node : "",
            diag->node ? "': "
            : diag->op ? ": "
                       : "",
            diag->text);
    if (diag->line) fprintf(stderr, " (line %d)", diag->line);
    fputc('\n', stderr);
}

/* ---- running --------------------------------------------------------------------------------- */

double golden_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

static ox_status random_tensor(ox_tensor **out, ox_ctx *ctx, const struct ox_type *type,
                               uint64_t *state) {
    int64_t dims[OX_MAX_RANK];
    if (!ox_type_is_tensor(type) || type->rank < 0 || !ox_const_readable(type->dtype))
        return ox_fail(ctx, OX_UNSUPPORTED, "no-input", NULL,
                       "an input is not of a type that the test can make up");
    size_t count, bytes;
    for (int i = 0; i < type->rank; i++)
        dims[i] = ox_dim_is_const(type->dims[i]) ? type->dims[i].k : 2;
    if (ox_shape_size(&count, &bytes, type->dtype, type->rank, dims))
        return ox_fail(ctx, OX_INVALID, "no-input", NULL, "an input is too large");
    double *elems;
    OX_TRY(ox_alloc(ctx, &elems, count, sizeof *elems));
    for (size_t i = 0; i < count; i++) {
        double r = golden_random(state);
        elems[i] = ox_dtype_is_float(type->dtype) ? r * 4 - 2 : (double)(r < 0.5);
    }
    ox_status s = ox_const_from_doubles(out, ctx, type->dtype, type->rank, dims, elems);
    ox_free(ctx, elems);
    return s;
}

ox_status golden_inputs(ox_tensor ***out, struct ox_model *model, uint64_t seed) {
    struct ox_graph *g = model->graph;
    ox_tensor **in;
    uint64_t state = seed;
    OX_TRY(ox_alloc(model->ctx, &in, g->n_inputs, sizeof(ox_tensor *)));
    for (size_t i = 0; i < g->n_inputs; i++) {
        ox_status s = g->inputs[i]->init
                          ? OX_OK
                          : random_tensor(&in[i], model->ctx, g->inputs[i]->type, &state);
        if (s != OX_OK) {
            golden_unref_all(model->ctx, in, g->n_inputs);
            return s;
        }
    }
    *out = in;
    return OX_OK;
}

void golden_unref_all(ox_ctx *ctx, ox_tensor **tensors, size_t count) {
    for (size_t i = 0; tensors && i < count; i++)
        ox_tensor_unref(tensors[i]);
    ox_free(ctx, tensors);
}

ox_status golden_execute(ox_tensor ***out, struct ox_model *model, ox_tensor **inputs) {
    struct ox_runner runner;
    ox_tensor **tensors;
    size_t n = model->graph->ret->n_in;
    OX_TRY(ox_alloc(model->ctx, &tensors, n, sizeof(ox_tensor *)));
    ox_status s = ox_exec_new(&runner, model);
    if (s == OX_OK) {
        s = runner.run(runner.self, (const ox_tensor *const *)inputs, tensors, NULL, NULL);
        runner.free(runner.self);
    }
    if (s == OX_OK)
        *out = tensors;
    else
        golden_unref_all(model->ctx, tensors, n);
    return s;
}

static bool same_tensor(char *why, size_t size, const ox_tensor *a, const ox_tensor *b,
                        double tolerance) {
    if (a->dtype != b->dtype || a->rank != b->rank || a->count != b->count ||
        (a->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) != 0)) {
        snprintf(why, size, "another type or shape");
        return false;
    }
    if (!ox_dtype_is_float(a->dtype) || !ox_const_readable(a->dtype)) {
        if (ox_tensor_equal(a, b)) return true;
        snprintf(why, size, "other elements");
        return false;
    }
    double low = INFINITY, high = -INFINITY, worst = 0;
    for (size_t i = 0; i < a->count; i++) {
        double x = ox_const_at(a, i), y = ox_const_at(b, i);
        if (isfinite(x)) low = fmin(low, x), high = fmax(high, x);
        if (isnan(x) || isnan(y) || isinf(x) || isinf(y)) {
            if (memcmp(&x, &y, sizeof x) != 0 && !(isnan(x) && isnan(y))) worst = INFINITY;
        } else {
            worst = fmax(worst, fabs(x - y));
        }
    }
    double range = high > low ? high - low : isfinite(high) ? fmax(1, fabs(high)) : 1;
    if (worst <= tolerance * range) return true;
    snprintf(why, size, "differs by %g, %g of its range", worst, worst / range);
    return false;
}

bool golden_same(char *why, size_t size, ox_tensor **a, ox_tensor **b, size_t count,
                 double tolerance) {
    char text[200];
    for (size_t i = 0; i < count; i++) {
        if (!a[i] != !b[i]) {
            snprintf(why, size, "output %zu is missing", i);
            return false;
        }
        if (!a[i] || same_tensor(text, sizeof text, a[i], b[i], tolerance)) continue;
        snprintf(why, size, "output %zu: %s", i, text);
        return false;
    }
    return true;
}
