/* tools/onnxopt/cmd_info.c - `info`: what a model contains. */
#include "info_native.h"

static json_t *port_json(const struct ox_port *p)
{
    return json_pack("{s:s, s:s}", "name", p->name, "type", p->type_text);
}

static ox_status ports_json(json_t *list, ox_model *model, size_t n, ox_status (*get)(struct ox_port *, ox_model *, size_t))
{
    struct ox_port port;
    for (size_t i = 0; i < n; i++) {
        ox_status s = get(&port, model, i);
        if (s != OX_OK) return s;
        json_array_append_new(list, port_json(&port));
    }
    return OX_OK;
}

static int info_json(struct cli *cli, ox_model *model, const struct ox_model_stats *s)
{
    json_t *inputs = json_array(), *outputs = json_array(), *ops = json_array();
    const char *domain, *type;
    size_t count;
    bool known;
    ox_status status = ports_json(inputs, model, ox_model_inputs(model), ox_model_input);
    if (status == OX_OK) status = ports_json(outputs, model, ox_model_outputs(model), ox_model_output);
    for (size_t i = 0; ox_model_op_count(&domain, &type, &count, &known, model, i); i++)
        json_array_append_new(ops, json_pack("{s:s, s:s, s:I, s:b}", "domain", domain, "operator", type, "count", (json_int_t)count, "known", known));
    json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "model", cli->args[0], "ir_version",
                             (json_int_t)s->ir_version, "opset", (json_int_t)s->opset, "nodes", (json_int_t)s->nodes, "constants",
                             (json_int_t)s->constants, "initializers", (json_int_t)s->initializers, "parameters", (json_int_t)s->parameters,
                             "weight_bytes", (json_int_t)s->weight_bytes, "macs", (json_int_t)s->macs, "macs_unknown", (json_int_t)s->macs_unknown,
                             "subgraphs", (json_int_t)s->subgraphs, "functions", (json_int_t)s->functions, "opaque_nodes",
                             (json_int_t)s->opaque_nodes, "inputs", inputs, "outputs", outputs, "operators", ops);
    if (status == OX_OK) return cli_print_json(cli, json);
    json_decref(json);
    return (int)status;
}

static ox_status print_ports(struct cli *cli, ox_model *model)
{
    struct ox_port port;
    for (size_t i = 0; i < ox_model_inputs(model); i++) {
        ox_status s = ox_model_input(&port, model, i);
        if (s != OX_OK) return s;
        fprintf(cli->out, "%-12s %s  %s\n", i ? "" : "inputs", port.name, port.type_text);
    }
    for (size_t i = 0; i < ox_model_outputs(model); i++) {
        ox_status s = ox_model_output(&port, model, i);
        if (s != OX_OK) return s;
        fprintf(cli->out, "%-12s %s  %s\n", i ? "" : "outputs", port.name, port.type_text);
    }
    return OX_OK;
}

static int info_text(struct cli *cli, ox_model *model, const struct ox_model_stats *s)
{
    const char *domain, *type;
    size_t count;
    bool known;
    FILE *f = cli->out;
    fprintf(f, "%-12s %s (IR %lld, opset %lld)\n", "model", cli->args[0], (long long)s->ir_version, (long long)s->opset);
    ox_status status = print_ports(cli, model);
    if (status != OX_OK) return (int)status;
    fprintf(f, "%-12s %zu", "nodes", s->nodes);
    if (s->constants) fprintf(f, ", and %zu Constant", s->constants);
    if (s->subgraphs) fprintf(f, ", in %zu subgraphs", s->subgraphs);
    if (s->functions) fprintf(f, ", %zu functions", s->functions);
    if (s->opaque_nodes) fprintf(f, ", %zu of unknown operators", s->opaque_nodes);
    fprintf(f, "\n%-12s %s in %zu tensors, %s\n", "parameters", cli_count((double)s->parameters).text, s->initializers + s->constants,
            cli_bytes((double)s->weight_bytes).text);
    fprintf(f, "%-12s %s", "MACs", cli_count((double)s->macs).text);
    if (s->macs_unknown) fprintf(f, ", without %zu nodes of unknown shape", s->macs_unknown);
    fputs("\noperators\n", f);
    for (size_t i = 0; ox_model_op_count(&domain, &type, &count, &known, model, i); i++)
        fprintf(f, "  %6zu  %s%s%s%s\n", count, domain, domain[0] ? "::" : "", type, known ? "" : "  (unknown)");
    return 0;
}

static int print_text(struct cli *cli, ox_model *model)
{
    char *text;
    size_t len;
    ox_status s = ox_model_text(&text, &len, model, 64);
    if (s != OX_OK) return (int)s;
    fwrite(text, 1, len, cli->out);
    ox_text_free(cli->ctx, text);
    return 0;
}

int cmd_info(struct cli *cli)
{
    ox_model *model;
    struct ox_model_stats stats;
    if (engine_is_native(cli->args[0])) return info_native(cli);
    ox_status s = cli_load(&model, cli, cli->args[0]);
    if (s != OX_OK) return (int)s;
    int code = (int)ox_model_stats(&stats, model);
    if (code == 0) code = cli->flag.text ? print_text(cli, model) : cli->flag.json ? info_json(cli, model, &stats) : info_text(cli, model, &stats);
    ox_model_free(model);
    return code;
}
