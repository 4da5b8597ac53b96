/* tools/onnxopt/cmd_info.c - `info`: what a model contains. */
#include "info_native.h"

static json_t *port_json(const struct ox_port *p) {
    return json_pack("{s:s, s:s}", "name", p->name, "type", p->type_text);
}

static ox_status ports_json(json_t *list, ox_model *model, size_t n,
                            ox_status (*get)(struct ox_port *, ox_model *, size_t)) {
    struct ox_port port;
    for (size_t i = 0; i < n; i++) {
        ox_status s = get(&port, model, i);
        if (s != OX_OK) return s;
        json_array_append_new(list, port_json(&port));
    }
    return OX_OK;
}

/* ---- what is not known -------------------------------------------------------------------------
 */

static void add_unknown(void *user, const struct ox_unknown *u) {
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "value", u->name, "graph",
                              u->graph, "type", u->type_text, "part", u->part, "reason", u->reason,
                              "text", u->text, "origin", u->origin);
    if (u->dim >= 0) json_object_set_new(entry, "dim", json_integer(u->dim));
    if (u->domain) json_object_set_new(entry, "domain", json_string(u->domain));
    if (u->op) json_object_set_new(entry, "operator", json_string(u->op));
    if (u->node) json_object_set_new(entry, "node", json_string(u->node));
    json_array_append_new(user, entry);
}

/* Values by reason, both in the order of the model. */
static void group_unknown(void *user, const struct ox_unknown *u) {
    json_t *groups = user;
    char reason[1200], value[800];
    const char *domain = u->domain ? u->domain : "";
    snprintf(reason, sizeof reason, "%s%s%s '%s': %s", domain, domain[0] ? "::" : "",
             u->op ? u->op : "input", u->op && u->node ? u->node : u->origin, u->text);
    snprintf(value, sizeof value, "%s  %s", u->name, u->type_text);
    if (!json_object_get(groups, reason)) json_object_set_new(groups, reason, json_array());
    json_array_append_new(json_object_get(groups, reason), json_string(value));
}

static ox_status print_unknowns(struct cli *cli, ox_model *model, const struct ox_model_stats *s) {
    const char *reason;
    json_t *values, *value;
    size_t i;
    if (s->unknown_values == 0) return OX_OK;
    fprintf(cli->out, "%-12s shapes of %zu of %zu values%s\n", "unknown", s->unknown_values,
            s->values, cli->flag.unknown ? "" : " (--unknown says which, and why)");
    if (!cli->flag.unknown) return OX_OK;
    json_t *groups = json_object();
    ox_status status = ox_model_unknowns(model, group_unknown, groups);
    json_object_foreach(groups, reason, values) {
        fprintf(cli->out, "  %s\n", reason);
        json_array_foreach(values, i, value)
            fprintf(cli->out, "         %s\n", json_string_value(value));
    }
    json_decref(groups);
    return status;
}

static int info_json(struct cli *cli, ox_model *model, const struct ox_model_stats *s) {
    json_t *inputs = json_array(), *outputs = json_array(), *ops = json_array(),
           *unknown = json_array();
    const char *domain, *type;
    size_t count;
    bool known;
    ox_status status = ports_json(inputs, model, ox_model_inputs(model), ox_model_input);
    if (status == OX_OK)
        status = ports_json(outputs, model, ox_model_outputs(model), ox_model_output);
    if (status == OX_OK && cli->flag.unknown)
        status = ox_model_unknowns(model, add_unknown, unknown);
    for (size_t i = 0; ox_model_op_count(&domain, &type, &count, &known, model, i); i++)
        json_array_append_new(ops, json_pack("{s:s, s:s, s:I, s:b}", "domain", domain, "operator",
                                             type, "count", (json_int_t)count, "known", known));
    json_t *json = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "model",
        cli->args[0], "ir_version", (json_int_t)s->ir_version, "opset", (json_int_t)s->opset,
        "nodes", (json_int_t)s->nodes, "constants", (json_int_t)s->constants, "initializers",
        (json_int_t)s->initializers, "parameters", (json_int_t)s->parameters, "weight_bytes",
        (json_int_t)s->weight_bytes, "macs", (json_int_t)s->macs, "macs_unknown",
        (json_int_t)s->macs_unknown, "subgraphs", (json_int_t)s->subgraphs, "functions",
        (json_int_t)s->functions, "opaque_nodes", (json_int_t)s->opaque_nodes, "inputs", inputs,
        "outputs", outputs, "operators", ops);
    json_object_set_new(json, "values", json_integer((json_int_t)s->values));
    json_object_set_new(json, "unknown_values", json_integer((json_int_t)s->unknown_values));
    if (cli->flag.unknown)
        json_object_set_new(json, "unknown", unknown);
    else
        json_decref(unknown);
    if (status == OX_OK) return cli_print_json(cli, json);
    json_decref(json);
    return (int)status;
}

static ox_status print_ports(struct cli *cli, ox_model *model) {
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

static int info_text(struct cli *cli, ox_model *model, const struct ox_model_stats *s) {
    const char *domain, *type;
    size_t count;
    bool known;
    FILE *f = cli->out;
    fprintf(f, "%-12s %s (IR %lld, opset %lld)\n", "model", cli->args[0], (long long)s->ir_version,
            (long long)s->opset);
    ox_status status = print_ports(cli, model);
    if (status != OX_OK) return (int)status;
    fprintf(f, "%-12s %zu", "nodes", s->nodes);
    if (s->constants) fprintf(f, ", and %zu Constant", s->constants);
    if (s->subgraphs) fprintf(f, ", in %zu subgraphs", s->subgraphs);
    if (s->functions) fprintf(f, ", %zu functions", s->functions);
    if (s->opaque_nodes) fprintf(f, ", %zu of unknown operators", s->opaque_nodes);
    fprintf(f, "\n%-12s %s in %zu tensors, %s\n", "parameters",
            cli_count((double)s->parameters).text, s->initializers + s->constants,
            cli_bytes((double)s->weight_bytes).text);
    fprintf(f, "%-12s %s", "MACs", cli_count((double)s->macs).text);
    if (s->macs_unknown) fprintf(f, ", without %zu nodes of unknown shape", s->macs_unknown);
    fputc('\n', f);
    status = print_unknowns(cli, model, s);
    if (status != OX_OK) return (int)status;
    fputs("operators\n", f);
    for (size_t i = 0; ox_model_op_count(&domain, &type, &count, &known, model, i); i++)
        fprintf(f, "  %6zu  %s%s%s%s\n", count, domain, domain[0] ? "::" : "", type,
                known ? "" : "  (unknown)");
    return 0;
}

static int print_text(struct cli *cli, ox_model *model) {
    char *text;
    size_t len;
    ox_status s = ox_model_text(&text, &len, model, 64);
    if (s != OX_OK) return (int)s;
    fwrite(text, 1, len, cli->out);
    ox_text_free(cli->ctx, text);
    return 0;
}

int cmd_info(struct cli *cli) {
    ox_model *model;
    struct ox_model_stats stats;
    if (engine_is_native(cli->args[0])) return info_native(cli);
    ox_status s = cli_load(&model, cli, cli->args[0]);
    if (s != OX_OK) return (int)s;
    int code = (int)ox_model_stats(&stats, model);
    if (code == 0)
        code = cli->flag.text   ? print_text(cli, model)
               : cli->flag.json ? info_json(cli, model, &stats)
                                : info_text(cli, model, &stats);
    ox_model_free(model);
    return code;
}
