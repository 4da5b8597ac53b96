/* tests/lint/install_user.c - what a program outside the tree does with an installed libonnxopt:
 * loads a model, optimizes it, saves it and reads it back. Built by lint_install.sh alone. */
#include <onnxopt/load.h>
#include <onnxopt/passes.h>
#include <onnxopt/save.h>
#include <stdio.h>

static void tell(void *user, const struct ox_diag *diag) {
    (void)user;
    fprintf(stderr, "%s: %s\n", diag->id, diag->text);
}

static ox_status count_nodes(size_t *nodes, ox_model *model) {
    struct ox_model_stats stats;
    ox_status status = ox_model_stats(&stats, model);
    if (status == OX_OK) *nodes = stats.nodes;
    return status;
}

/* Nodes before, nodes after, and nodes that came back from the saved file. */
static ox_status make_smaller(ox_ctx *ctx, const char *from, const char *to, size_t nodes[3]) {
    ox_model *model = NULL, *again = NULL;
    ox_status status = ox_model_load(&model, ctx, from, NULL);
    if (status == OX_OK) status = count_nodes(&nodes[0], model);
    if (status == OX_OK) status = ox_optimize(model, NULL, NULL);
    if (status == OX_OK) status = count_nodes(&nodes[1], model);
    if (status == OX_OK) status = ox_model_save(model, to, NULL, NULL);
    if (status == OX_OK) status = ox_model_load(&again, ctx, to, NULL);
    if (status == OX_OK) status = count_nodes(&nodes[2], again);
    ox_model_free(model);
    ox_model_free(again);
    return status;
}

int main(int argc, char **argv) {
    struct ox_ctx_options options = {.size = sizeof options, .on_diag = tell};
    ox_ctx *ctx = NULL;
    size_t nodes[3] = {0, 0, 0};
    if (argc != 3 || ox_ctx_new(&ctx, &options) != OX_OK) return 1;
    ox_status status = make_smaller(ctx, argv[1], argv[2], nodes);
    ox_ctx_free(ctx);
    printf("%s: %zu nodes, optimized %zu, read back %zu\n", ox_status_text(status), nodes[0],
           nodes[1], nodes[2]);
    return status != OX_OK || nodes[1] == 0 || nodes[1] >= nodes[0] || nodes[2] != nodes[1];
}
