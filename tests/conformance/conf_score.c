/* conf_score.c - the scoreboard: by set and by operator, as Markdown between two marks of a page.
 */
#include "conf.h"

#include <stdlib.h>

static const char begin_mark[] = "<!-- scoreboard -->\n",
                  end_mark[] = "<!-- end of scoreboard -->\n";

struct row {
    char name[100];
    int oldest, newest; /* opsets of the cases */
    size_t cases, verdicts[3];
};

struct rows {
    struct row *at;
    size_t n, cap;
};

static struct row *row_for(struct rows *rows, const char *name) {
    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(rows->at[i].name, name) == 0) return &rows->at[i];
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? rows->cap * 2 : 128;
        rows->at = conf_realloc(rows->at, rows->cap * sizeof *rows->at);
    }
    struct row *r = &rows->at[rows->n++];
    *r = (struct row){0};
    snprintf(r->name, sizeof r->name, "%s", name);
    return r;
}

static void count(struct row *r, const struct conf_case *c, int opset) {
    if (r->cases == 0 || opset < r->oldest) r->oldest = opset;
    if (r->cases == 0 || opset > r->newest) r->newest = opset;
    r->cases++;
    r->verdicts[c->verdict]++;
}

static int by_name(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void print_operators(FILE *f, const struct conf_cases *cases) {
    struct rows rows = {0};
    for (size_t i = 0; i < cases->n; i++) {
        const struct conf_case *c = &cases->at[i];
        for (size_t o = 0; o < c->n_ops; o++) {
            char name[100];
            snprintf(name, sizeof name, "%s%s%s", c->ops[o].domain, c->ops[o].domain[0] ? "." : "",
                     c->ops[o].name);
            count(row_for(&rows, name), c, c->ops[o].opset);
        }
    }
    if (rows.n) qsort(rows.at, rows.n, sizeof *rows.at, by_name);
    fputs("\nCases that contain an operator, and the opsets of their models:\n\n| operator | "
          "opsets | cases | pass | skip | fail |\n|---|---|---|---|---|---|\n",
          f);
    for (size_t i = 0; i < rows.n; i++) {
        const struct row *r = &rows.at[i];
        char opsets[32];
        snprintf(opsets, sizeof opsets, r->oldest == r->newest ? "%d" : "%d to %d", r->oldest,
                 r->newest);
        fprintf(f, "| %s | %s | %zu | %zu | %zu | %zu |\n", r->name, opsets, r->cases,
                r->verdicts[CONF_PASS], r->verdicts[CONF_SKIP], r->verdicts[CONF_FAIL]);
    }
    free(rows.at);
}

static void print_sets(FILE *f, const struct conf_cases *cases) {
    struct rows rows = {0};
    size_t held[CONF_CHECKS] = {0};
    for (size_t i = 0; i < cases->n; i++) {
        const struct conf_case *c = &cases->at[i];
        char name[100];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(c->name, "/"), c->name);
        count(row_for(&rows, name), c, 0);
        count(row_for(&rows, "~all"), c, 0);
        for (unsigned k = 0; k < CONF_CHECKS; k++)
            held[k] += (c->checks >> k) & 1;
    }
    if (rows.n) qsort(rows.at, rows.n, sizeof *rows.at, by_name);
    fputs("\n| set | cases | pass | skip | fail |\n|---|---|---|---|---|\n", f);
    for (size_t i = 0; i < rows.n; i++) {
        const struct row *r = &rows.at[i];
        fprintf(f, "| %s | %zu | %zu | %zu | %zu |\n", r->name[0] == '~' ? "**all**" : r->name,
                r->cases, r->verdicts[CONF_PASS], r->verdicts[CONF_SKIP], r->verdicts[CONF_FAIL]);
    }
    fprintf(f,
            "\nThe checks hold for so many cases: types %zu, text %zu, write %zu, default %zu, "
            "native %zu.\n",
            held[0], held[1], held[2], held[3], held[4]);
    free(rows.at);
}

bool conf_score_write(const char *path, const struct conf_cases *cases) {
    static char page[1 << 20];
    FILE *f = fopen(path, "r");
    if (!f) return false;
    size_t n = fread(page, 1, sizeof page - 1, f);
    fclose(f);
    page[n] = 0;
    char *begin = strstr(page, begin_mark), *end = strstr(page, end_mark);
    if (!begin || !end || end < begin) return false;
    f = fopen(path, "w");
    if (!f) return false;
    fwrite(page, 1, (size_t)(begin - page), f);
    fputs(begin_mark, f);
    print_sets(f, cases);
    print_operators(f, cases);
    fprintf(f, "\n%s", end);
    return fclose(f) == 0;
}
