/* fuzz_blob.c - native programs from hostile bytes. The first byte says how: as they are, or with
 * all hashes made right first, so that what is behind them is reached. What opens is run, with
 * little memory and a time after which long work is told to stop. */
#include "tests/unit/blob_harness.h"

#include "backend/blob/blob.h"

#include <stdlib.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool in_time(void *user, const char *what, size_t done, size_t total) {
    (void)what, (void)done, (void)total;
    return now() < *(const double *)user;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    double until = now() + 1;
    struct ox_ctx_options options = {.size = sizeof options,
                                     .threads = 1,
                                     .limits.max_memory = (size_t)64 << 20,
                                     .on_progress = in_time,
                                     .progress_user = &until};
    unsigned char *copy;
    ox_ctx *ctx;
    if (size < 1) return 0;
    if (ox_ctx_new(&ctx, &options) != OX_OK || ox_alloc_raw(ctx, &copy, size - 1, 1) != OX_OK)
        abort();
    if (size > 1) memcpy(copy, data + 1, size - 1);
    if ((data[0] & 1) && size - 1 >= sizeof(struct ox_blob_header) +
                                         OX_BLOB_N_PLAIN * sizeof(struct ox_blob_section)) {
        ((struct ox_blob_header *)copy)->file_size = size - 1;
        blob_seal(copy, size - 1);
    }
    (void)ox_as_given(blob_try(ctx, copy, size - 1), OX_OK);
    ox_free(ctx, copy);
    if (ox_ctx_memory(ctx) != 0) abort();
    ox_ctx_free(ctx);
    return 0;
}
