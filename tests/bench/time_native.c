/* tests/bench/time_native.c - the helper bench_native.mjs runs: a model through the native path,
 * many times in one process.
 *
 *   time_native MODEL RUNS THREADS [optimize] [check | each] [profile] [save=FILE.oxb [pack]]
 * [dims=NAME=N,...] MODEL is an .onnx file, compiled here, or an .oxb file. Prints one JSON line:
 * {"compile_ms":…,"open_ms":…,"first_ms":…,"best_ms":…,
 * "blob":bytes,"weights":bytes,"held":bytes,"peak_kb":…,"native":steps,"steps":steps,"worst":…}.
 * open_ms is up to a session that is ready, first_ms the first run; "check" compares with the
 * reference executor ("worst": largest difference of an output by its largest magnitude); "each"
 * says so output by output; "profile" lists the least times of steps on stderr: the slowest ones,
 * then sums by kind and operator. */
#include <onnxopt/load.h>
#include <onnxopt/passes.h>
#include <onnxopt/runtime.h>
#include <onnxopt/save.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define OX_TRY(call)                                                                               \
    do {                                                                                           \
        ox_status status_ = (call);                                                                \
        if (status_ != OX_OK) return status_;                                                      \
    } while (0)

enum { MAX_PORTS = 512, MAX_STEPS = 65536 };

struct options {
    const char *model, *save, *dims;
    long runs, threads;
    bool optimize, check, each, profile, pack;
};

static void on_diag(void *user, const struct ox_diag *diag) {
    (void)user;
    if (diag->severity == OX_ERROR) fprintf(stderr, "time_native: %s: %s\n", diag->id, diag->text);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What "seq=64,past=1" says of a dim, or 1. */
static int64_t size_of(const char *dims, const char *symbol) {
    const size_t n = symbol ? strlen(symbol) : 0;
    for (const char *at = dims; at && n; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (strncmp(at, symbol, n) == 0 && at[n] == '=') return strtol(at + n + 1, NULL, 10);
    return 1;
}

/* Seeded: floats between -1 and 1, integers 0 to 63; masks of integers are all 1. */
static ox_tensor *make_input(ox_ctx *ctx, const struct ox_port *port, const char *sizes) {
    int64_t dims[OX_MAX_RANK];
    ox_tensor *t = NULL;
    void *data = NULL;
    uint32_t state = 1;
    if (port->rank < 0 || port->rank > OX_MAX_RANK) return NULL;
    for (int i = 0; i < port->rank; i++)
        dims[i] = port->dims[i] < 0 ? size_of(sizes, port->symbols[i]) : port->dims[i];
    if (ox_tensor_new(&t, &data, ctx, port->dtype, port->rank, dims) != OX_OK) return NULL;
    for (size_t i = 0; i < t->count; i++) {
        state = state * 1664525u + 1013904223u;
        if (port->dtype == OX_FLOAT)
            ((float *)data)[i] = (float)(state >> 8) / 8388608.0f - 1;
        else if (port->dtype == OX_INT64)
            ((int64_t *)data)[i] = strstr(port->name, "mask") ? 1 : state >> 16 & 63;
    }
    return t;
}

/* ---- where the time goes -----------------------------------------------------------------------
 */

struct times {
    double *step; /* least ms by step; 0: not seen */
    size_t n;
};

static void on_step(void *user, const struct oxr_event *event) {
    struct times *t = user;
    double ms = (double)(event->end - event->start) / 1e6 + 1e-9;
    if (event->step < t->n && (t->step[event->step] == 0 || ms < t->step[event->step]))
        t->step[event->step] = ms;
}

static void print_times(struct times *t, const oxr_program *program) {
    static char keys[512][96];
    static double sums[512];
    size_t counts[512] = {0}, n = 0;
    double total = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct oxr_step_info info;
        char key[96];
        size_t k = 0;
        if (!oxr_step_info(&info, program, i)) break;
        snprintf(key, sizeof key, "%-12s %-24s", info.kernel, info.op);
        while (k < n && strcmp(keys[k], key) != 0)
            k++;
        if (k == 512) continue;
        if (k == n) memcpy(keys[n++], key, sizeof key);
        sums[k] += t->step[i];
        counts[k]++;
        total += t->step[i];
    }
    fprintf(stderr, "%9.3f ms\n", total);
    for (int most = 0; most < 8; most++) {
        struct oxr_step_info info;
        size_t at = t->n;
        for (size_t i = 0; i < t->n; i++)
            if (t->step[i] > 0 && (at == t->n || t->step[i] > t->step[at])) at = i;
        if (at == t->n || !oxr_step_info(&info, program, at)) break;
        fprintf(stderr, "%9.3f ms         step %3zu  %-12s %-16s %s\n", t->step[at], at,
                info.kernel, info.op, info.name);
        t->step[at] = 0;
    }
    for (;;) {
        size_t best = 512;
        for (size_t k = 0; k < n; k++)
            if (sums[k] >= 0 && (best == 512 || sums[k] > sums[best])) best = k;
        if (best == 512) break;
        fprintf(stderr, "%9.3f ms %5.1f %% %4zu x %s\n", sums[best], 100 * sums[best] / total,
                counts[best], keys[best]);
        sums[best] = -1;
    }
}

/* ---- one model ---------------------------------------------------------------------------------
 */

struct work {
    ox_ctx *ctx;
    ox_model *model;
    oxr_program *program;
    oxr_session *session;
    void *blob;
    size_t blob_size, n_in, n_out;
    ox_tensor *in[MAX_PORTS], *out[MAX_PORTS];
    double compile, open, first, best, worst;
    struct times times;
};

static ox_status prepare(struct work *w, const struct options *o) {
    const char *dot = strrchr(o->model, '.');
    double t = now_ms();
    if (dot && strcmp(dot, ".oxb") == 0) {
        OX_TRY(
            oxr_program_open(&w->program, w->ctx, o->model,
                             &(struct oxr_open_options){.size = sizeof(struct oxr_open_options)}));
    } else {
        OX_TRY(ox_model_load(&w->model, w->ctx, o->model, NULL));
        if (o->optimize) OX_TRY(ox_optimize(w->model, NULL, NULL));
        if (o->save) OX_TRY(ox_native_save(w->model, o->save, NULL));
        OX_TRY(ox_native_build(&w->blob, &w->blob_size, w->model));
        w->compile = now_ms() - t;
        t = now_ms();
        OX_TRY(oxr_program_open_memory(&w->program, w->ctx, w->blob, w->blob_size, NULL));
    }
    struct oxr_session_options so = {.size = sizeof so, .threads = (int)o->threads};
    OX_TRY(oxr_session_new(&w->session, w->ctx, w->program, &so));
    w->open = now_ms() - t;
    return OX_OK;
}

static double number_at(const ox_tensor *t, size_t i) {
    switch (t->dtype) {
    case OX_FLOAT:
        return (double)((const float *)t->data)[i];
    case OX_INT8:
        return ((const int8_t *)t->data)[i];
    case OX_UINT8:
        return ((const uint8_t *)t->data)[i];
    case OX_INT64:
        return (double)((const int64_t *)t->data)[i];
    default:
        return 0;
    }
}

/* Once more with the weights that the session has packed. */
static ox_status save_packed(struct work *w, const char *path) {
    static struct ox_packed list[MAX_STEPS];
    size_t n = 0;
    while (n < MAX_STEPS && oxr_packed(&list[n], w->program, n))
        n++;
    return ox_native_save_packed(w->model, path, n, list, NULL);
}

static ox_status compare(struct work *w, bool each) {
    ox_session *reference = NULL;
    ox_tensor *want[MAX_PORTS] = {NULL};
    ox_status s = ox_session_new(&reference, w->model);
    if (s == OX_OK) s = ox_session_run(reference, (const ox_tensor *const *)w->in, want);
    for (size_t i = 0; s == OX_OK && i < w->n_out; i++) {
        const ox_tensor *a = want[i], *b = oxr_result(w->session, i);
        double worst = 0, most = 1e-30;
        if (!a || !b || a->dtype != b->dtype || a->count != b->count) {
            w->worst = INFINITY;
            continue;
        }
        for (size_t k = 0; k < a->count; k++) {
            double x = number_at(a, k), d = fabs(x - number_at(b, k));
            if (!(d <= worst)) worst = d;
            if (fabs(x) > most) most = fabs(x);
        }
        if (!(worst / most <= w->worst)) w->worst = worst / most;
        if (each)
            fprintf(stderr, "output %3zu %-8s off by %-12g of %g\n", i, ox_dtype_name(a->dtype),
                    worst, most);
    }
    for (size_t i = 0; i < w->n_out; i++)
        ox_tensor_unref(want[i]);
    ox_session_free(reference);
    return s;
}

static ox_status measure(struct work *w, const struct options *o) {
    w->n_in = oxr_inputs(w->program);
    w->n_out = oxr_outputs(w->program);
    if (w->n_in > MAX_PORTS || w->n_out > MAX_PORTS) return OX_UNSUPPORTED;
    for (size_t i = 0; i < w->n_in; i++) {
        struct ox_port port;
        if (oxr_input_has_default(w->program, i)) continue;
        if (!oxr_input(&port, w->program, i) || !(w->in[i] = make_input(w->ctx, &port, o->dims)))
            return OX_UNSUPPORTED;
        OX_TRY(oxr_bind(w->session, i, w->in[i]));
    }
    w->best = INFINITY;
    for (long r = 0; r <= o->runs; r++) {
        double t = now_ms();
        OX_TRY(oxr_run(w->session));
        t = now_ms() - t;
        if (r == 0) {
            w->first = t;
            if (o->profile) oxr_profile(w->session, on_step, &w->times);
        } else if (t < w->best) {
            w->best = t;
        }
    }
    return OX_OK;
}

int main(int argc, char **argv) {
    struct options o = {0};
    struct work w = {.worst = 0};
    if (argc < 4) {
        fprintf(stderr, "usage: time_native MODEL RUNS THREADS [optimize] [check | each] [profile] "
                        "[save=FILE] [dims=NAME=N,...]\n");
        return 2;
    }
    o.model = argv[1];
    o.runs = strtol(argv[2], NULL, 10);
    o.threads = strtol(argv[3], NULL, 10);
    for (int i = 4; i < argc; i++) {
        o.optimize = o.optimize || strcmp(argv[i], "optimize") == 0;
        o.each = o.each || strcmp(argv[i], "each") == 0;
        o.check = o.check || o.each || strcmp(argv[i], "check") == 0;
        o.pack = o.pack || strcmp(argv[i], "pack") == 0;
        o.profile = o.profile || strcmp(argv[i], "profile") == 0;
        if (strncmp(argv[i], "save=", 5) == 0) o.save = argv[i] + 5;
        if (strncmp(argv[i], "dims=", 5) == 0) o.dims = argv[i] + 5;
    }
    struct ox_ctx_options co = {.size = sizeof co, .on_diag = on_diag, .threads = (int)o.threads};
    static double by_step[MAX_STEPS];
    w.times = (struct times){by_step, MAX_STEPS};
    if (ox_ctx_new(&w.ctx, &co) != OX_OK) return 1;
    ox_status status = prepare(&w, &o);
    if (status == OX_OK) status = measure(&w, &o);
    if (status == OX_OK && o.pack && o.save && w.model) status = save_packed(&w, o.save);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (status == OX_OK && o.check && w.model) status = compare(&w, o.each);
    if (status == OX_OK) {
        struct oxr_program_stats stats;
        struct oxr_memory memory;
        oxr_program_stats(&stats, w.program);
        oxr_session_memory(&memory, w.session);
        if (o.profile) print_times(&w.times, w.program);
        printf("{\"compile_ms\":%.3f,\"open_ms\":%.3f,\"first_ms\":%.3f,\"best_ms\":%.3f,\"blob\":%"
               "llu,\"weights\":%llu,\"held\":%zu,\"peak_kb\":%ld,\"native\":%zu,\"steps\":%zu,"
               "\"worst\":%.3g}\n",
               w.compile, w.open, w.first, o.runs > 0 ? w.best : w.first,
               (unsigned long long)stats.file_bytes, (unsigned long long)stats.weight_bytes,
               memory.peak, usage.ru_maxrss, stats.native, stats.steps, w.worst);
    }
    oxr_session_free(w.session);
    oxr_program_free(w.program);
    for (size_t i = 0; i < MAX_PORTS; i++)
        ox_tensor_unref(w.in[i]);
    if (w.blob) ox_native_free(w.ctx, w.blob);
    ox_model_free(w.model);
    ox_ctx_free(w.ctx);
    return status == OX_OK ? 0 : 1;
}
