/* tools/onnxopt/info_native.c - see info_native.h. */
#include "info_native.h"
#include "save_native.h"

#include <stdlib.h>
#include <string.h>

/* Steps of one operator on one kernel, generic ones for one reason. */
struct row {
    struct oxr_step_info step;
    size_t count;
};

static bool same_row(const struct oxr_step_info *a, const struct oxr_step_info *b) {
    return strcmp(a->op, b->op) == 0 && strcmp(a->kernel, b->kernel) == 0 &&
           strcmp(a->why, b->why) == 0;
}

static int by_kernel(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    int order = strcmp(x->step.kernel, y->step.kernel);
    if (order == 0) order = strcmp(x->step.op, y->step.op);
    return order ? order : strcmp(x->step.why, y->step.why);
}

static struct row *collect(size_t *n, const oxr_program *program, size_t steps) {
    struct row *rows = calloc(steps + 1, sizeof *rows);
    struct oxr_step_info info;
    *n = 0;
    for (size_t i = 0; rows && oxr_step_info(&info, program, i); i++) {
        size_t k = 0;
        while (k < *n && !same_row(&rows[k].step, &info))
            k++;
        if (k == *n) rows[(*n)++].step = info;
        rows[k].count++;
    }
    if (rows) qsort(rows, *n, sizeof *rows, by_kernel);
    return rows;
}

static json_t *ports(const oxr_program *program,
                     bool (*get)(struct ox_port *, const oxr_program *, size_t)) {
    json_t *list = json_array();
    struct ox_port port;
    for (size_t i = 0; get(&port, program, i); i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s}", "name", port.name, "type", port.type_text));
    return list;
}

static int as_json(struct cli *cli, const oxr_program *program, const struct oxr_program_stats *s) {
    json_t *steps = json_array(), *meta = json_object();
    struct oxr_step_info info;
    const char *key, *value;
    for (size_t i = 0; oxr_step_info(&info, program, i); i++)
        json_array_append_new(steps, json_pack("{s:I, s:s, s:s, s:s, s:s}", "graph",
                                               (json_int_t)info.graph, "operator", info.op, "node",
                                               info.name, "kernel", info.kernel, "why", info.why));
    for (size_t i = 0; oxr_metadata(&key, &value, program, i); i++)
        json_object_set_new(meta, key, json_string(value));
    return cli_print_json(
        cli, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
                       "program", cli->args[0], "bytes", (json_int_t)s->file_bytes, "weight_bytes",
                       (json_int_t)s->weight_bytes, "packed_bytes", (json_int_t)s->packed_file,
                       "packed_bytes_here", (json_int_t)s->packed_here, "arena_bytes",
                       (json_int_t)native_arena(cli, program), "graphs", (json_int_t)s->graphs,
                       "steps", (json_int_t)s->steps, "native_steps", (json_int_t)s->native,
                       "inputs", ports(program, oxr_input), "outputs", ports(program, oxr_output),
                       "metadata", meta, "step_list", steps));
}

static void print_ports(FILE *f, const char *what, const oxr_program *program,
                        bool (*get)(struct ox_port *, const oxr_program *, size_t)) {
    struct ox_port port;
    for (size_t i = 0; get(&port, program, i); i++)
        fprintf(f, "%-12s %s  %s\n", i ? "" : what, port.name, port.type_text);
}

static int as_text(struct cli *cli, const oxr_program *program, const struct oxr_program_stats *s) {
    FILE *f = cli->out;
    size_t n;
    struct row *rows = collect(&n, program, s->steps);
    if (!rows) return OX_NOMEM;
    fprintf(f, "%-12s %s (native)\n", "program", cli->args[0]);
    print_ports(f, "inputs", program, oxr_input);
    print_ports(f, "outputs", program, oxr_output);
    fprintf(f, "%-12s %s, %s of them weights\n", "size", cli_bytes((double)s->file_bytes).text,
            cli_bytes((double)s->weight_bytes).text);
    const uint64_t arena = native_arena(cli, program);
    if (arena) fprintf(f, "%-12s %s for a run\n", "memory", cli_bytes((double)arena).text);
    if (s->packed_file)
        fprintf(f, "%-12s %s%s\n", "packed", cli_bytes((double)s->packed_file).text,
                s->packed_here ? ", for this processor" : ", for other processors");
    fprintf(f, "%-12s %zu, %zu of them native", "steps", s->steps, s->native);
    if (s->graphs > 1) fprintf(f, ", in %zu graphs", s->graphs);
    fprintf(f, "\n%8s  %-20s %s\n", "count", "kernel", "operator");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%8zu  %-20s %s%s%s%s\n", rows[i].count, rows[i].step.kernel, rows[i].step.op,
                rows[i].step.why[0] ? "  (" : "", rows[i].step.why, rows[i].step.why[0] ? ")" : "");
    free(rows);
    return 0;
}

int info_native(struct cli *cli) {
    oxr_program *program;
    struct oxr_program_stats stats;
    ox_status s = oxr_program_open(&program, cli->ctx, cli->args[0], NULL);
    if (s != OX_OK) return (int)s;
    oxr_program_stats(&stats, program);
    int code = cli->flag.json ? as_json(cli, program, &stats) : as_text(cli, program, &stats);
    oxr_program_free(program);
    return code;
}
