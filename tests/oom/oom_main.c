/* tests/oom/oom_main.c - golden cases with one allocation failing: the first, the second, the third
 * ...
 *
 *     test_oom FILE...
 *
 * For each case and each n until nothing fails any more, allocation number n of ox_optimize fails
 * once. The pipeline must then either say OX_NOMEM or not have needed it, and give back every byte.
 */
#include "tests/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

struct heap {
    long live; /* blocks that are not freed */
    long left; /* allocations until one fails; negative: none does */
    bool failed;
};

static bool fails(struct heap *h) {
    if (h->left < 0 || h->left-- > 0) return false;
    h->failed = true;
    return true;
}

static void *heap_alloc(void *user, size_t size) {
    struct heap *h = user;
    void *p = fails(h) ? NULL : malloc(size);
    if (p) h->live++;
    return p;
}

static void *heap_resize(void *user, void *p, size_t size) {
    return fails(user) ? NULL : realloc(p, size);
}

static void heap_release(void *user, void *p) {
    struct heap *h = user;
    if (p) h->live--;
    free(p);
}

/* One run in which allocation n of the optimizer fails. False: something is wrong. *again: the
 * failure was reached. */
static bool run(const char *path, const struct golden_case *c, long n, bool *again) {
    struct heap heap = {.left = -1};
    struct ox_allocator allocator = {&heap, heap_alloc, heap_resize, heap_release};
    struct ox_ctx_options options = {.size = sizeof options, .allocator = &allocator, .threads = 1};
    struct ox_optimize_options opt = c->options;
    struct ox_model *model;
    ox_ctx *ctx;
    opt.pipeline = c->pipeline;
    if (ox_ctx_new(&ctx, &options) != OX_OK) abort();
    if (ox_text_parse(&model, ctx, c->input, strlen(c->input), c->name) != OX_OK ||
        ox_model_infer(model, NULL) != OX_OK)
        abort();
    heap.left = n;
    ox_status s = ox_optimize(model, &opt, NULL);
    heap.left = -1;
    ox_model_free(model);
    ox_ctx_free(ctx);
    *again = heap.failed;
    bool ok = (s == OX_OK || (heap.failed && s == OX_NOMEM)) && heap.live == 0;
    if (!ok)
        fprintf(stderr, "%s: case '%s', allocation %ld: %s, %ld blocks left\n", path, c->name, n,
                ox_status_text(s), heap.live);
    return ok;
}

int main(int argc, char **argv) {
    long total = 0, failures = 0;
    for (int i = 1; i < argc; i++) {
        struct golden_file file;
        golden_read(&file, argv[i]);
        for (size_t k = 0; k < file.n; k++) {
            bool again = true;
            for (long n = 0; again && failures < 20; n++, total++)
                if (!run(argv[i], &file.cases[k], n, &again)) failures++;
        }
        golden_free(&file);
    }
    printf("%ld runs, %ld wrong\n", total, failures);
    return failures > 0 || total == 0;
}
