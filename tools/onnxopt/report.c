/* tools/onnxopt/report.c - see report.h. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORST = 10 };

/* ---- the worst tensors ----------------------------------------------------------------------- */

static int by_sqnr(const void *a, const void *b) {
    const struct ox_quant_report *x = a, *y = b;
    if (x->sqnr_db != y->sqnr_db) return x->sqnr_db < y->sqnr_db ? -1 : 1;
    return strcmp(x->tensor, y->tensor);
}

/* Measured tensors, worst first; the caller frees the list. */
static struct ox_quant_report *measured(const ox_outcome *outcome, size_t *n) {
    struct ox_quant_report q, *list = NULL;
    size_t cap = 0;
    *n = 0;
    for (size_t i = 0; ox_outcome_quant(&q, outcome, i); i++) {
        if (isnan(q.sqnr_db) || !q.quantized) continue;
        if (*n == cap) {
            struct ox_quant_report *more = realloc(list, (cap = cap * 2 + 64) * sizeof *list);
            if (!more) break;
            list = more;
        }
        list[(*n)++] = q;
    }
    if (*n) qsort(list, *n, sizeof *list, by_sqnr);
    return list;
}

/* ---- table ----------------------------------------------------------------------------------- */

static void row(FILE *f, const char *what, const char *before, const char *after, double ratio) {
    fprintf(f, "  %-14s %12s %12s", what, before, after);
    if (isfinite(ratio)) fprintf(f, "   %5.1f %%", ratio * 100);
    fputc('\n', f);
}

static double ratio(double after, double before) {
    return before > 0 ? after / before : (double)NAN;
}

static void print_sizes(FILE *f, const struct report *r) {
    char a[32], b[32];
    fprintf(f, "  %-14s %12s %12s\n", "", "before", "after");
    snprintf(a, sizeof a, "%zu", r->before.nodes);
    snprintf(b, sizeof b, "%zu", r->after.nodes);
    row(f, "nodes", a, b, ratio((double)r->after.nodes, (double)r->before.nodes));
    row(f, "parameters", cli_count((double)r->before.parameters).text,
        cli_count((double)r->after.parameters).text,
        ratio((double)r->after.parameters, (double)r->before.parameters));
    if (r->bytes_in)
        row(f, "bytes", cli_bytes((double)r->bytes_in).text, cli_bytes((double)r->bytes_out).text,
            ratio((double)r->bytes_out, (double)r->bytes_in));
    if (r->arena)
        fprintf(f, "  %-14s %12s %12s\n", "run's memory", "", cli_bytes((double)r->arena).text);
    row(f, "MACs", cli_count((double)r->before.macs).text, cli_count((double)r->after.macs).text,
        ratio((double)r->after.macs, (double)r->before.macs));
}

static void print_passes(struct cli *cli, const struct report *r) {
    struct ox_pass_report p;
    fputs("\n  pass             rewrites\n", cli->out);
    for (size_t i = 0; ox_outcome_pass(&p, r->outcome, i); i++) {
        if (p.rewrites == 0 && !cli->flag.stats && !cli->flag.time_passes) continue;
        fprintf(cli->out, "  %-16s %8llu", p.name, (unsigned long long)p.rewrites);
        if (cli->flag.time_passes) fprintf(cli->out, "  %8.1f ms", p.seconds * 1e3);
        fputc('\n', cli->out);
        for (size_t c = 0; cli->flag.stats && c < p.n_counters; c++)
            if (p.counts[c])
                fprintf(cli->out, "    %-22s %llu\n", p.counters[c],
                        (unsigned long long)p.counts[c]);
    }
}

static bool is_activation(const struct ox_quant_report *q) {
    return strcmp(q->kind, "activation") == 0;
}

/* How many quantized activations have their range from this source, or by this calibrator. */
static size_t count_ranges(const ox_outcome *outcome, const char *source, const char *calibrator) {
    struct ox_quant_report q;
    size_t n = 0;
    for (size_t i = 0; ox_outcome_quant(&q, outcome, i); i++)
        n += q.quantized && is_activation(&q) && (!source || strcmp(q.source, source) == 0) &&
             (!calibrator || strcmp(q.calibrator, calibrator) == 0);
    return n;
}

/* "ranges of 41 activations: 38 from ..., 3 from ...; 30 by mse, 11 by minmax" */
static void print_ranges(FILE *f, const ox_outcome *outcome) {
    static const char *const sources[][2] = {
        {"data", "the calibration data"},
        {"batch-norm", "synthetic inputs matched to BatchNormalization statistics"},
        {"synthetic", "synthetic inputs alone"}};
    static const char *const calibrators[] = {"mse", "minmax", "percentile", "entropy"};
    size_t all = count_ranges(outcome, NULL, NULL);
    const char *before = ": ";
    if (!all) return;
    fprintf(f, "  ranges of %zu activations", all);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        size_t n = count_ranges(outcome, sources[i][0], NULL);
        if (n) fprintf(f, "%s%zu from %s", before, n, sources[i][1]), before = ", ";
    }
    before = "; ";
    for (size_t i = 0; i < sizeof calibrators / sizeof calibrators[0]; i++) {
        size_t n = count_ranges(outcome, NULL, calibrators[i]);
        if (n) fprintf(f, "%s%zu by %s", before, n, calibrators[i]), before = ", ";
    }
    fputc('\n', f);
}

static void print_worst(FILE *f, const ox_outcome *outcome) {
    size_t n;
    struct ox_quant_report *list = measured(outcome, &n);
    if (n) fprintf(f, "\n  worst tensors                             SQNR dB  scale        zero\n");
    for (size_t i = 0; i < n && i < WORST; i++) {
        const struct ox_quant_report *q = &list[i];
        fprintf(f, "  %-40.40s %8.1f  %-11.5g %5d  ", q->tensor, q->sqnr_db, (double)q->scale,
                q->zero_point);
        if (is_activation(q))
            fprintf(f, "%s\n", q->op[0] ? q->op : "input");
        else
            fprintf(f, "%s of %s\n", q->kind, q->op);
    }
    free(list);
}

static void print_quant(struct cli *cli, const struct report *r) {
    struct ox_quant_summary s;
    FILE *f = cli->out;
    ox_outcome_quant_summary(&s, r->outcome);
    if (!s.ran) return;
    if (strcmp(s.calibrator, "none") == 0) {
        fputs("\n  int8: nothing was quantized; the diagnostic says why\n", f);
        return;
    }
    fprintf(f, "\n  int8: %zu of %zu operators quantized, ranges by %s over %zu %s samples\n",
            s.ops_quantized, s.ops_quantized + s.ops_float, s.calibrator, s.samples,
            s.synthetic ? "synthetic" : "calibration");
    if (s.ops_weight_only)
        fprintf(f, "  %zu operators compute in float on int8 weights\n", s.ops_weight_only);
    if (s.synthetic)
        fputs("  no calibration data was given: ranges come from seeded synthetic inputs, matched "
              "to what BatchNormalization tells of the\n"
              "  real ones; where nothing tells the scale of inputs only weights are quantized; "
              "give --calib for a faster and better model\n",
              f);
    print_ranges(f, r->outcome);
    if (!isnan(s.output_sqnr_db))
        fprintf(f, "  outputs keep %.1f dB of signal to quantization noise on these samples\n",
                s.output_sqnr_db);
    print_worst(f, r->outcome);
    struct ox_quant_report q;
    bool head = false;
    for (size_t i = 0, shown = 0; ox_outcome_quant(&q, r->outcome, i) && shown < WORST; i++) {
        if (q.quantized || !q.reason[0]) continue;
        if (!head) fputs("\n  left in float\n", f);
        head = true;
        fprintf(f, "  %-40.40s %s\n", q.tensor, q.reason);
        shown++;
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *real_or_null(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *stats_json(const struct ox_model_stats *s, uint64_t bytes) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "nodes", (json_int_t)s->nodes,
                     "constants", (json_int_t)s->constants, "initializers",
                     (json_int_t)s->initializers, "parameters", (json_int_t)s->parameters,
                     "weight_bytes", (json_int_t)s->weight_bytes, "macs", (json_int_t)s->macs,
                     "bytes", (json_int_t)bytes);
}

static json_t *passes_json(const ox_outcome *outcome) {
    json_t *list = json_array();
    struct ox_pass_report p;
    for (size_t i = 0; ox_outcome_pass(&p, outcome, i); i++) {
        json_t *counts = json_object();
        for (size_t c = 0; c < p.n_counters; c++)
            json_object_set_new(counts, p.counters[c], json_integer((json_int_t)p.counts[c]));
        json_array_append_new(list, json_pack("{s:s, s:I, s:f, s:o}", "name", p.name, "rewrites",
                                              (json_int_t)p.rewrites, "seconds", p.seconds,
                                              "counts", counts));
    }
    return list;
}

static json_t *quant_json(const ox_outcome *outcome) {
    struct ox_quant_summary s;
    struct ox_quant_report q;
    json_t *tensors = json_array();
    ox_outcome_quant_summary(&s, outcome);
    for (size_t i = 0; ox_outcome_quant(&q, outcome, i); i++)
        json_array_append_new(
            tensors,
            json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:I, s:o, s:i, s:o, s:o, s:o}", "tensor",
                      q.tensor, "op", q.op, "kind", q.kind, "quantized", q.quantized, "reason",
                      q.reason, "source", q.source, "calibrator", q.calibrator, "scales",
                      (json_int_t)q.n_scales, "scale", real_or_null((double)q.scale), "zero_point",
                      (int)q.zero_point, "min", real_or_null((double)q.range_min), "max",
                      real_or_null((double)q.range_max), "sqnr_db", real_or_null(q.sqnr_db)));
    return json_pack("{s:I, s:b, s:s, s:I, s:I, s:I, s:o, s:o}", "samples", (json_int_t)s.samples,
                     "synthetic", s.synthetic, "calibrator", s.calibrator, "ops_quantized",
                     (json_int_t)s.ops_quantized, "ops_float", (json_int_t)s.ops_float,
                     "ops_weight_only", (json_int_t)s.ops_weight_only, "output_sqnr_db",
                     real_or_null(s.output_sqnr_db), "tensors", tensors);
}

static int report_json(struct cli *cli, const struct report *r) {
    struct ox_quant_summary s;
    json_t *json =
        json_pack("{s:s, s:s, s:f, s:o, s:o, s:o}", "in", r->in, "out", r->out, "seconds",
                  r->seconds, "before", stats_json(&r->before, r->bytes_in), "after",
                  stats_json(&r->after, r->bytes_out), "passes", passes_json(r->outcome));
    if (json && r->arena)
        json_object_set_new(json, "arena_bytes", json_integer((json_int_t)r->arena));
    ox_outcome_quant_summary(&s, r->outcome);
    if (json && s.ran) json_object_set_new(json, "quantization", quant_json(r->outcome));
    return cli_print_json(cli, json);
}

int report_print(struct cli *cli, const struct report *r) {
    if (cli->flag.json) return report_json(cli, r);
    if (cli->flag.quiet) return 0;
    fprintf(cli->out, "%s -> %s in %.2f s\n\n", r->in, r->out, r->seconds);
    print_sizes(cli->out, r);
    print_passes(cli, r);
    print_quant(cli, r);
    return 0;
}
