/* gen_badmodels.c - writes all cases below a folder: gen_badmodels FOLDER. The same bytes every
 * time.
 *
 *   FOLDER/index.tsv          name, file, expected, kind, note
 *   FOLDER/outside/secret.bin what no case may get at
 *   FOLDER/<case>/...         */
#include "tests/badmodels/badmodels.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bad_dir {
    char path[512]; /* of the case */
    char root[512];
};

static void fail(const char *path) {
    fprintf(stderr, "gen_badmodels: %s: %s\n", path, strerror(errno));
    exit(1);
}

static void join(char *out, size_t size, const char *folder, const char *name) {
    int n = snprintf(out, size, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= size) fail(folder);
}

void bad_write(struct bad_dir *dir, const char *name, struct pb *bytes) {
    char path[1024];
    join(path, sizeof path, dir->path, name);
    FILE *f = fopen(path, "wb");
    if (!f || (bytes->len && fwrite(bytes->data, 1, bytes->len, f) != bytes->len) || fclose(f) != 0)
        fail(path);
    pb_free(bytes);
}

void bad_link(struct bad_dir *dir, const char *name, const char *target, int hard) {
    char path[1024], from[1024];
    join(path, sizeof path, dir->path, name);
    join(from, sizeof from, dir->path, target);
    unlink(path);
    if ((hard ? link(from, path) : symlink(target, path)) != 0) fail(path);
}

void bad_mkdir(struct bad_dir *dir, const char *name) {
    char path[1024];
    join(path, sizeof path, dir->path, name);
    if (mkdir(path, 0755) != 0 && errno != EEXIST) fail(path);
}

const char *bad_secret(struct bad_dir *dir) {
    static char path[1024];
    join(path, sizeof path, dir->root, "outside/secret.bin");
    return path;
}

void bad_model(struct bad_dir *dir, struct pb *graph) {
    struct pb m = onnx_model(8, 17, graph);
    bad_write(dir, "model.onnx", &m);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

void bad_add(struct pb *graph, uint32_t field, struct pb message) {
    pb_msg(graph, field, &message);
}

void bad_node(struct pb *graph, const char *op, const char *in, const char *out) {
    bad_add(graph, GRAPH_NODE, onnx_node(op, in, out));
}

struct pb bad_graph(const char *x_dims, const char *y_dims) {
    struct pb g = {0};
    pb_str(&g, GRAPH_NAME, "g");
    bad_add(&g, GRAPH_INPUT, onnx_value("X", 1, x_dims));
    bad_add(&g, GRAPH_OUTPUT, onnx_value("Y", 1, y_dims));
    return g;
}

void bad_weight(struct pb *graph, const char *name, const char *dims, size_t n) {
    float *v = malloc(n * sizeof *v);
    if (!v) fail("memory");
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(i % 10 + 1) / 10;
    bad_add(graph, GRAPH_INIT, onnx_floats(name, dims, v, n));
    free(v);
}

struct pb bad_matmul(struct pb weight) {
    struct pb g = bad_graph("1,4", "1,3");
    pb_msg(&g, GRAPH_INIT, &weight);
    bad_node(&g, "MatMul", "X W", "Y");
    return g;
}

struct pb bad_conv(struct pb node) {
    struct pb g = bad_graph("1,1,5,5", NULL);
    bad_weight(&g, "W", "1,1,3,3", 9);
    pb_msg(&g, GRAPH_NODE, &node);
    return g;
}

/* ---- main ------------------------------------------------------------------------------------ */

static void write_secret(const char *root) {
    struct bad_dir d;
    struct pb b = {0};
    join(d.path, sizeof d.path, root, "outside");
    if (mkdir(d.path, 0755) != 0 && errno != EEXIST) fail(d.path);
    for (int i = 0; i < 4096; i++)
        pb_raw(&b, "THE-SECRET-THAT-MUST-NOT-LEAVE..", 32);
    bad_write(&d, "secret.bin", &b);
}

int main(int argc, char **argv) {
    static const struct bad_list *const lists[] = {&bad_wire_cases,     &bad_tensor_cases,
                                                   &bad_external_cases, &bad_graph_cases,
                                                   &bad_operator_cases, &bad_data_cases};
    struct bad_dir d;
    char path[PATH_MAX];
    if (argc != 2) {
        fprintf(stderr, "usage: gen_badmodels FOLDER\n");
        return 1;
    }
    if (mkdir(argv[1], 0755) != 0 && errno != EEXIST) fail(argv[1]);
    if (!realpath(argv[1], path) || strlen(path) >= sizeof d.root) fail(argv[1]);
    memcpy(d.root, path, strlen(path) + 1);
    write_secret(d.root);
    join(path, sizeof path, d.root, "index.tsv");
    FILE *index = fopen(path, "w");
    if (!index) fail(path);
    fprintf(index, "name\tfile\texpected\tkind\tnote\n");
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (size_t j = 0; j < lists[i]->n; j++) {
            const struct bad_case *c = &lists[i]->cases[j];
            join(d.path, sizeof d.path, d.root, c->name);
            if (mkdir(d.path, 0755) != 0 && errno != EEXIST) fail(d.path);
            c->make(&d);
            fprintf(index, "%s\t%s/%s\t%s\t%s\t%s\n", c->name, c->name, c->file, c->expected,
                    c->kind, c->note);
        }
    if (fclose(index) != 0) fail(path);
    return 0;
}
