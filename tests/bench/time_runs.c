/* tests/bench/time_runs.c - the helper bench_reference.mjs runs: a model, N times in one process on
 * seeded inputs.
 *
 *   time_runs MODEL RUNS THREADS [optimize]
 * Prints one JSON line: {"load_ms":…,"optimize_ms":…,"first_ms":…,"best_ms":…}. Loading and
 * optimizing are not part of the best. */
#include <onnxopt/load.h>
#include <onnxopt/passes.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void on_diag(void *user, const struct ox_diag *diag) {
    (void)user;
    if (diag->severity == OX_ERROR) fprintf(stderr, "time_runs: %s\n", diag->text);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Floats between -1 and 1 from a linear congruential generator; unknown dims are 1. */
static ox_tensor *make_input(ox_ctx *ctx, const struct ox_port *port) {
    int64_t dims[OX_MAX_RANK];
    if (port->rank < 0 || port->rank > OX_MAX_RANK || port->dtype != OX_FLOAT) return NULL;
    for (int i = 0; i < port->rank; i++)
        dims[i] = port->dims[i] < 0 ? 1 : port->dims[i];
    ox_tensor *t = NULL;
    void *data = NULL;
    size_t n = 1;
    if (ox_tensor_new(&t, &data, ctx, port->dtype, port->rank, dims) != OX_OK) return NULL;
    for (int i = 0; i < port->rank; i++)
        n *= (size_t)dims[i];
    float *p = data;
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (float)(state >> 8) / 8388608.0f - 1;
    }
    return t;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: time_runs MODEL RUNS THREADS [optimize]\n");
        return 2;
    }
    int status = 1;
    long runs = strtol(argv[2], NULL, 10);
    struct ox_ctx_options o = {
        .size = sizeof o, .on_diag = on_diag, .threads = (int)strtol(argv[3], NULL, 10)};
    ox_ctx *ctx = NULL;
    ox_model *model = NULL;
    ox_session *session = NULL;
    ox_tensor *in[16] = {0}, *out[16] = {0};
    double times[3] = {0}, best = 1e300;
    if (ox_ctx_new(&ctx, &o) != OX_OK) return 1;
    double t = now_ms();
    if (ox_model_load(&model, ctx, argv[1], NULL) != OX_OK) goto done;
    times[0] = now_ms() - t;
    t = now_ms();
    if (argc > 4 &&
        ox_optimize(model,
                    &(struct ox_optimize_options){.size = sizeof(struct ox_optimize_options)},
                    NULL) != OX_OK)
        goto done;
    times[1] = now_ms() - t;
    size_t n_in = ox_model_inputs(model), n_out = ox_model_outputs(model);
    if (n_in > 16 || n_out > 16 || ox_session_new(&session, model) != OX_OK) goto done;
    for (size_t i = 0; i < n_in; i++) {
        struct ox_port port;
        if (ox_model_input(&port, model, i) != OX_OK || !(in[i] = make_input(ctx, &port)))
            goto done;
    }
    for (long r = 0; r <= runs; r++) {
        t = now_ms();
        if (ox_session_run(session, (const ox_tensor *const *)in, out) != OX_OK) goto done;
        t = now_ms() - t;
        if (r == 0)
            times[2] = t;
        else if (t < best)
            best = t;
        for (size_t i = 0; i < n_out; i++)
            ox_tensor_unref(out[i]);
        memset(out, 0, sizeof out);
    }
    printf("{\"load_ms\":%.3f,\"optimize_ms\":%.3f,\"first_ms\":%.3f,\"best_ms\":%.3f}\n", times[0],
           times[1], times[2], runs > 0 ? best : times[2]);
    status = 0;
done:
    for (size_t i = 0; i < 16; i++)
        ox_tensor_unref(in[i]);
    ox_session_free(session);
    ox_model_free(model);
    ox_ctx_free(ctx);
    return status;
}
