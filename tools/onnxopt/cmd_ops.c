/* tools/onnxopt/cmd_ops.c - `ops`: the operator table, as text, JSON or the Markdown page of what
 * is supported. */
#include "cli.h"

#include <onnxopt/save.h>

#include <string.h>

static const char *yes(bool b) {
    return b ? "yes" : "-";
}

/* Element types that go together in the standard, under one name. */
static const struct {
    const char *name;
    uint32_t types;
} groups[] = {
    {"all", (1u << OX_DTYPE_COUNT) - 2},
    {"floats", 1u << OX_FLOAT | 1u << OX_DOUBLE | 1u << OX_FLOAT16 | 1u << OX_BFLOAT16},
    {"integers", 1u << OX_INT8 | 1u << OX_INT16 | 1u << OX_INT32 | 1u << OX_INT64 | 1u << OX_UINT8 |
                     1u << OX_UINT16 | 1u << OX_UINT32 | 1u << OX_UINT64},
    {"float8", 1u << OX_FLOAT8E4M3FN | 1u << OX_FLOAT8E4M3FNUZ | 1u << OX_FLOAT8E5M2 |
                   1u << OX_FLOAT8E5M2FNUZ},
    {"int2 and int4", 1u << OX_INT2 | 1u << OX_UINT2 | 1u << OX_INT4 | 1u << OX_UINT4},
    {"complex", 1u << OX_COMPLEX64 | 1u << OX_COMPLEX128},
};

static void add_name(char *buf, size_t size, const char *name) {
    size_t n = strlen(buf);
    snprintf(buf + n, size - n, "%s%s", n ? ", " : "", name);
}

/* "floats, int32, int64, bool" */
static void types_text(char *buf, size_t size, uint32_t types) {
    buf[0] = 0;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if ((types & groups[i].types) != groups[i].types) continue;
        add_name(buf, size, groups[i].name);
        types &= ~groups[i].types;
    }
    for (int d = 1; d < OX_DTYPE_COUNT; d++)
        if (types >> d & 1) add_name(buf, size, ox_dtype_name((ox_dtype)d));
    if (!buf[0]) add_name(buf, size, "-");
}

static int ops_json(struct cli *cli) {
    struct ox_op_info op;
    json_t *list = json_array();
    for (size_t i = 0; ox_op_info(&op, i); i++) {
        json_t *types = json_array();
        for (int d = 1; d < OX_DTYPE_COUNT; d++)
            if (op.types >> d & 1)
                json_array_append_new(types, json_string(ox_dtype_name((ox_dtype)d)));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i, s:i, s:o, s:b, s:b, s:b, s:b}", "domain",
                                        op.domain, "operator", op.name, "since", op.since, "newest",
                                        op.newest, "types", types, "executable", op.executable,
                                        "foldable", op.foldable, "quantizable", op.quantizable,
                                        "native", ox_native_lowers(op.domain, op.name)));
    }
    return cli_print_json(cli, list);
}

int cmd_ops(struct cli *cli) {
    struct ox_op_info op;
    char opsets[32], types[200];
    const bool page = cli->flag.markdown;
    if (cli->flag.json) return ops_json(cli);
    fprintf(cli->out,
            page ? "| domain | operator | opsets | run | fold | quantize | native | types of the "
                   "first input |\n|---|---|---|---|---|---|---|---|\n"
                 : "%-24s %-28s %-8s %-5s %-5s %-9s %-7s %s\n",
            "domain", "operator", "opsets", "run", "fold", "quantize", "native",
            "types of the first input");
    for (size_t i = 0; ox_op_info(&op, i); i++) {
        snprintf(opsets, sizeof opsets, "%d-%d", op.since, op.newest);
        types_text(types, sizeof types, op.types);
        fprintf(cli->out,
                page ? "| %s | %s | %s | %s | %s | %s | %s | %s |\n"
                     : "%-24s %-28s %-8s %-5s %-5s %-9s %-7s %s\n",
                op.domain[0] ? op.domain : "ai.onnx", op.name, opsets, yes(op.executable),
                yes(op.foldable), yes(op.quantizable), yes(ox_native_lowers(op.domain, op.name)),
                types);
    }
    return 0;
}
