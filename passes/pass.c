/* passes/pass.c - the table of passes, and what pass.h offers to a running pass. */
#include "passes/pass.h"

#include "passes/pass_table.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PASS(name, summary, options, ...)                                                          \
    static const char *const counters_##name[] = {__VA_ARGS__};
#define PRESET(name, summary, pipeline)
#include "passes/passes.def"
#undef PASS
#undef PRESET

static const struct ox_pass passes[] = {
#define PASS(name, summary, options, ...)                                                          \
    {#name,                                                                                        \
     summary,                                                                                      \
     options,                                                                                      \
     counters_##name,                                                                              \
     sizeof counters_##name / sizeof counters_##name[0],                                           \
     ox_pass_##name},
#define PRESET(name, summary, pipeline)
#include "passes/passes.def"
#undef PASS
#undef PRESET
};

static const struct {
    const char *name, *summary, *pipeline;
} presets[] = {
#define PASS(name, summary, options, ...)
#define PRESET(name, summary, pipeline) {#name, summary, pipeline},
#include "passes/passes.def"
#undef PASS
#undef PRESET
};

enum {
    N_PASSES = sizeof passes / sizeof passes[0],
    N_PRESETS = sizeof presets / sizeof presets[0]
};

const struct ox_pass *ox_pass_find(const char *name, size_t len) {
    for (size_t i = 0; i < N_PASSES; i++)
        if (strlen(passes[i].name) == len && memcmp(passes[i].name, name, len) == 0)
            return &passes[i];
    return NULL;
}

const char *ox_preset_find(const char *name, size_t len) {
    for (size_t i = 0; i < N_PRESETS; i++)
        if (strlen(presets[i].name) == len && memcmp(presets[i].name, name, len) == 0)
            return presets[i].pipeline;
    return NULL;
}

bool ox_pass_info(struct ox_pass_info *out, size_t index) {
    if (index >= N_PASSES) return false;
    *out = (struct ox_pass_info){passes[index].name, passes[index].summary, passes[index].options};
    return true;
}

bool ox_preset_info(const char **name, const char **pipeline, const char **summary, size_t index) {
    if (index >= N_PRESETS) return false;
    *name = presets[index].name;
    *pipeline = presets[index].pipeline;
    *summary = presets[index].summary;
    return true;
}

/* ---- rewrites -------------------------------------------------------------------------------- */

bool ox_rewrite_allowed(const struct ox_pass_run *run) {
    return *run->rewrites_left > 0;
}

void ox_rewrite_done(struct ox_pass_run *run, size_t counter) {
    run->rewrites++;
    run->counts[counter]++;
    --*run->rewrites_left;
}

void ox_rewrite_missed(const struct ox_pass_run *run, const struct ox_node *node,
                       const char *format, ...) {
    if (!run->options->explain) return;
    char text[400];
    struct ox_place place;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ox_node_place(&place, node);
    ox_report(run->ctx, OX_NOTE, "not-rewritten", &place, "%s: %s", run->pass->name, text);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* Changes with every rewrite and every node or value that is made. */
static uint64_t stamp_of(const struct ox_pass_run *run) {
    return UINT64_MAX - *run->rewrites_left + run->model->n_nodes + run->model->n_values;
}

ox_status ox_pass_shapes_now(const struct ox_shapes **out, struct ox_pass_run *run) {
    if (!run->shapes || run->shapes_stamp != stamp_of(run)) {
        ox_shapes_free(run->shapes);
        run->shapes = NULL;
        OX_TRY(ox_model_infer(run->model, &run->shapes));
        run->shapes_stamp = stamp_of(run);
    }
    *out = run->shapes;
    return OX_OK;
}

/* ---- options --------------------------------------------------------------------------------- */

static const char *find_arg(const struct ox_pass_run *run, const char *key) {
    for (size_t i = 0; i < run->n_args; i++)
        if (ox_name_is(run->args[i].key, key)) return ox_name_text(run->args[i].value);
    return NULL;
}

static ox_status bad_arg(const struct ox_pass_run *run, const char *key, const char *text,
                         const char *expected) {
    return ox_fail(run->ctx, OX_USAGE, "bad-option", NULL,
                   "option '%s=%s' of pass '%s': expected %s", key, text, run->pass->name,
                   expected);
}

ox_status ox_pass_arg_text(const char **out, const struct ox_pass_run *run, const char *key,
                           const char *dflt) {
    const char *text = find_arg(run, key);
    *out = text ? text : dflt;
    return OX_OK;
}

ox_status ox_pass_arg_int(int64_t *out, const struct ox_pass_run *run, const char *key,
                          int64_t dflt, int64_t min, int64_t max) {
    const char *text = find_arg(run, key);
    char *end, range[64];
    *out = dflt;
    if (!text) return OX_OK;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < min || v > max) {
        snprintf(range, sizeof range, "an integer from %lld to %lld", (long long)min,
                 (long long)max);
        return bad_arg(run, key, text, range);
    }
    *out = v;
    return OX_OK;
}

ox_status ox_pass_arg_float(double *out, const struct ox_pass_run *run, const char *key,
                            double dflt) {
    const char *text = find_arg(run, key);
    char *end;
    *out = dflt;
    if (!text) return OX_OK;
    double v = strtod(text, &end);
    if (end == text || *end || !(v - v == 0)) return bad_arg(run, key, text, "a finite number");
    *out = v;
    return OX_OK;
}

ox_status ox_pass_arg_choice(int *out, const struct ox_pass_run *run, const char *key,
                             const char *const *allowed, int dflt) {
    const char *text = find_arg(run, key);
    char list[200];
    size_t n = 0;
    *out = dflt;
    if (!text) return OX_OK;
    list[0] = 0;
    for (int i = 0; allowed[i]; i++) {
        if (strcmp(allowed[i], text) == 0) {
            *out = i;
            return OX_OK;
        }
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "one of ",
                                  allowed[i]);
    }
    return bad_arg(run, key, text, list);
}
