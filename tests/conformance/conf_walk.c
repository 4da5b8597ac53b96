/* conf_walk.c - finds the cases beneath a folder.
 *
 * A folder with model.onnx and test_data_set_* is a case; so is every other .onnx file, by itself
 * (its inputs are made up), and light/light_X.onnx, whose input is a ramp and whose output lies
 * beside it. Folders with an EXPECT.tsv hold files that are broken on purpose: not ours. */
#include "conf.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 12 };

void *conf_realloc(void *p, size_t size) {
    p = realloc(p, size ? size : 1);
    if (!p) {
        fputs("conformance: out of memory\n", stderr);
        exit(4);
    }
    return p;
}

char *conf_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = conf_realloc(NULL, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

static bool exists(const char *folder, const char *name) {
    struct stat st;
    char *path = conf_format("%s/%s", folder, name);
    bool yes = stat(path, &st) == 0;
    free(path);
    return yes;
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

bool conf_chosen(const char *name, const char *only) {
    while (only && *only) {
        size_t n = strcspn(only, ",");
        if (n && strncmp(name, only, n) == 0) return true;
        only += n + (only[n] == ',');
    }
    return only == NULL;
}

/* Takes over name and model. */
static struct conf_case *add_case(struct conf_cases *cases, char *name, char *model) {
    if (cases->n == cases->cap) {
        cases->cap = cases->cap ? cases->cap * 2 : 256;
        cases->at = conf_realloc(cases->at, cases->cap * sizeof *cases->at);
    }
    struct conf_case *c = &cases->at[cases->n++];
    *c = (struct conf_case){.name = name, .model = model, .rtol = 1e-3, .atol = 1e-7};
    return c;
}

static double number_after(const char *json, const char *key, double dflt) {
    const char *at = strstr(json, key);
    if (!at || !(at = strchr(at, ':'))) return dflt;
    return strtod(at + 1, NULL);
}

/* A case may come with its own tolerance. */
static void read_tolerance(struct conf_case *c, const char *path) {
    char text[1024];
    FILE *f = fopen(path, "r");
    if (!f) return;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    c->rtol = number_after(text, "\"rtol\"", c->rtol);
    c->atol = number_after(text, "\"atol\"", c->atol);
}

static void add_file(struct conf_cases *cases, const char *root, const char *folder,
                     const char *file, const char *only) {
    bool standard = strcmp(file, "model.onnx") == 0 && exists(folder, "test_data_set_0");
    char *model = conf_format("%s/%s", folder, file), *name;
    const char *relative = folder + strlen(root);
    relative += *relative == '/';
    if (standard)
        name = conf_format("%s", relative);
    else
        name =
            conf_format("%s%s%.*s", relative, *relative ? "/" : "", (int)(strlen(file) - 5), file);
    if (!conf_chosen(name, only)) {
        free(name);
        free(model);
        return;
    }
    struct conf_case *c = add_case(cases, name, model);
    char *tolerance = NULL;
    if (standard) {
        c->data = conf_format("%s", folder);
        tolerance = conf_format("%s/data.json", folder);
    } else if (strncmp(file, "light_", 6) == 0) {
        c->light = conf_format("%.*s", (int)(strlen(model) - 5), model);
        tolerance = conf_format("%s/../real/test_%.*s/data.json", folder, (int)(strlen(file) - 11),
                                file + 6);
    }
    if (tolerance) read_tolerance(c, tolerance);
    free(tolerance);
}

static bool walk(struct conf_cases *cases, const char *root, const char *folder, const char *only,
                 int depth) {
    DIR *dir = depth < DEPTH_MAX ? opendir(folder) : NULL;
    if (!dir) return false;
    if (exists(folder, "EXPECT.tsv")) {
        closedir(dir);
        return true;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (e->d_name[0] == '.') continue;
        char *path = conf_format("%s/%s", folder, e->d_name);
        if (stat(path, &st) == 0) {
            if (S_ISDIR(st.st_mode))
                (void)walk(cases, root, path, only, depth + 1);
            else if (S_ISREG(st.st_mode) && ends_with(e->d_name, ".onnx"))
                add_file(cases, root, folder, e->d_name, only);
        }
        free(path);
    }
    closedir(dir);
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct conf_case *x = a, *y = b;
    return strcmp(x->name, y->name);
}

bool conf_walk(struct conf_cases *cases, const char *root, const char *only) {
    size_t first = cases->n;
    if (!walk(cases, root, root, only, 0)) return false;
    if (cases->n > first) qsort(cases->at + first, cases->n - first, sizeof *cases->at, by_name);
    return true;
}

void conf_cases_free(struct conf_cases *cases) {
    for (size_t i = 0; i < cases->n; i++) {
        struct conf_case *c = &cases->at[i];
        free(c->name);
        free(c->model);
        free(c->data);
        free(c->light);
        free(c->ops);
    }
    free(cases->at);
    *cases = (struct conf_cases){0};
}
