/* backend/runtime/program_info.c - what a program tells about itself. */
#include "backend/runtime/program_priv.h"

#include <stdio.h>

static ox_status describe(struct oxr_program *p, struct ox_port *out,
                          const struct ox_blob_port *port) {
    const char **symbols;
    *out = (struct ox_port){
        .name = oxr_text(p, port->name),
        .dtype = (ox_dtype)port->dtype,
        .rank = port->rank,
        .type_text = oxr_text(p, port->type),
    };
    if (port->rank <= 0) return OX_OK;
    OX_TRY(ox_arena_alloc(&p->arena, &symbols, (size_t)port->rank, sizeof *symbols));
    for (size_t i = 0; i < (size_t)port->rank; i++) {
        uint32_t symbol = p->b.refs[port->symbols + i];
        symbols[i] = symbol ? oxr_text(p, symbol) : NULL;
    }
    out->dims = p->b.dims + port->dims;
    out->symbols = symbols;
    return OX_OK;
}

static ox_status op_text(struct oxr_program *p, size_t i) {
    const char *domain = oxr_text(p, p->b.steps[i].domain), *op = oxr_text(p, p->b.steps[i].op);
    char *text;
    p->plans[i].text = op;
    if (!domain[0]) return OX_OK;
    size_t size = strlen(domain) + strlen(op) + 3;
    OX_TRY(ox_arena_alloc(&p->arena, &text, size, 1));
    snprintf(text, size, "%s::%s", domain, op);
    p->plans[i].text = text;
    return OX_OK;
}

ox_status oxr_program_describe(struct oxr_program *p) {
    size_t n = (size_t)p->b.info->n_inputs + p->b.info->n_outputs;
    OX_TRY(ox_arena_alloc(&p->arena, &p->ports, n, sizeof *p->ports));
    for (size_t i = 0; i < n; i++)
        OX_TRY(describe(p, &p->ports[i], &p->b.ports[i]));
    for (size_t i = 0; i < p->b.n_steps; i++)
        OX_TRY(op_text(p, i));
    return OX_OK;
}

size_t oxr_inputs(const oxr_program *p) {
    return p->b.info->n_inputs;
}

size_t oxr_outputs(const oxr_program *p) {
    return p->b.info->n_outputs;
}

bool oxr_input(struct ox_port *out, const oxr_program *p, size_t index) {
    if (index >= oxr_inputs(p)) return false;
    *out = p->ports[index];
    return true;
}

bool oxr_output(struct ox_port *out, const oxr_program *p, size_t index) {
    if (index >= oxr_outputs(p)) return false;
    *out = p->ports[oxr_inputs(p) + index];
    return true;
}

bool oxr_input_has_default(const oxr_program *p, size_t index) {
    return index < oxr_inputs(p) && p->b.ports[index].fallback != 0;
}

void oxr_program_stats(struct oxr_program_stats *out, const oxr_program *p) {
    *out = (struct oxr_program_stats){
        .file_bytes = p->bytes->size,
        .weight_bytes = p->b.info->weight_bytes,
        .graphs = p->b.n_frames,
        .steps = p->b.n_steps,
        .name = oxr_text(p, p->b.info->name),
        .packed_here = oxr_shared_filed(p->shared),
        .packed = oxr_shared_made(p->shared),
    };
    for (size_t i = 0; i < p->b.n_packs; i++)
        out->packed_file += p->b.packs[i].size;
    for (size_t i = 0; i < p->b.n_steps; i++)
        out->native += p->b.steps[i].kind != OX_BLOB_GENERIC;
}

bool oxr_step_info(struct oxr_step_info *out, const oxr_program *p, size_t index) {
    if (index >= p->b.n_steps) return false;
    const struct ox_blob_step *s = &p->b.steps[index];
    const struct ox_step_kind_info *kind = ox_step_kind_find(s->kind);
    *out = (struct oxr_step_info){
        .kernel = kind ? kind->name : "generic",
        .op = p->plans[index].text,
        .name = oxr_text(p, s->name),
        .why = oxr_text(p, s->why),
        .n_in = s->n_in,
        .n_out = s->n_out,
    };
    while (index >= (size_t)p->b.frames[out->graph].step + p->b.frames[out->graph].n_steps)
        out->graph++;
    return true;
}

bool oxr_packed(struct ox_packed *out, const oxr_program *p, size_t index) {
    struct oxr_shared_block block;
    for (size_t i = 0; i <= index; i++)
        if (!oxr_shared_next(&block, p->shared, i ? &block.key : NULL)) return false;
    *out = (struct ox_packed){oxr_shared_here(p->shared), block.key.step, block.key.part,
                              block.key.layout,           block.data,     block.size};
    return true;
}

bool oxr_metadata(const char **key, const char **value, const oxr_program *p, size_t index) {
    if (index >= p->b.n_meta) return false;
    *key = oxr_text(p, p->b.meta[index].key);
    *value = oxr_text(p, p->b.meta[index].value);
    return true;
}
