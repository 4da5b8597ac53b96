/* backend/blob/blob_check.c - records and flow of values; see blob_check.h. */
#include "backend/blob/blob_check.h"
#include "backend/blob/step_check.h"
#include "ir/ops/op.h"

struct checking {
    ox_ctx *ctx;
    const struct ox_blob *b;
    struct ox_place place;
    size_t n_slots;
    unsigned char *slot_state;  /* enum slot_state, by slot */
    unsigned char *frame_named; /* by frame */
};

enum slot_state { UNDEFINED, DEFINED, DROPPED };

#define BAD(c, ...) ox_fail((c)->ctx, OX_INVALID, "bad-blob", &(c)->place, __VA_ARGS__)

static bool inside(uint64_t first, uint64_t n, size_t total) {
    return n <= total && first <= total - n;
}

/* ---- records --------------------------------------------------------------------------------- */

static ox_status check_strings(const struct checking *c) {
    const struct ox_blob *b = c->b;
    if (b->n_strings < 1 || b->strings[0].len != 0) return BAD(c, "string 0 is not empty");
    for (size_t i = 0; i < b->n_strings; i++) {
        const struct ox_blob_string *s = &b->strings[i];
        if (!inside(s->at, (uint64_t)s->len + 1, b->n_chars) || b->chars[(size_t)s->at + s->len])
            return BAD(c, "string %zu is not in the section of characters", i);
    }
    return OX_OK;
}

static ox_status check_ports(const struct checking *c) {
    const struct ox_blob *b = c->b;
    for (size_t i = 0; i < b->n_ports; i++) {
        const struct ox_blob_port *p = &b->ports[i];
        size_t rank = p->rank > 0 ? (size_t)p->rank : 0;
        if (p->name >= b->n_strings || p->type >= b->n_strings ||
            (p->dtype && !ox_dtype_valid(p->dtype)) || p->rank < -1 || p->rank > OX_MAX_RANK ||
            !inside(p->dims, rank, b->n_dims) || !inside(p->symbols, rank, b->n_refs) ||
            p->fallback > b->n_consts || p->zero)
            return BAD(c, "port %zu is not well formed", i);
        for (size_t d = 0; d < rank; d++)
            if (b->dims[p->dims + d] < -1 || b->refs[p->symbols + d] >= b->n_strings)
                return BAD(c, "port %zu is not well formed", i);
    }
    return OX_OK;
}

static bool strings_fit(const struct ox_blob *b, const struct ox_blob_const *k, size_t count) {
    uint64_t head, before = 0, offset;
    if (count >= k->size / 8) return false;
    head = ((uint64_t)count + 1) * 8;
    for (size_t i = 0; i <= count; i++) {
        memcpy(&offset, b->data + k->at + 8 * i, 8);
        if (offset < before || (i == 0 && offset != 0)) return false;
        before = offset;
    }
    return before == k->size - head;
}

static ox_status check_consts(const struct checking *c) {
    const struct ox_blob *b = c->b;
    uint64_t text = 0; /* bytes of strings: not shared, so that reading them takes no longer than
                          the file is long */
    if (b->n_data < OX_BLOB_SLACK) return BAD(c, "the section of constants lacks its end");
    for (size_t i = 0; i < b->n_consts; i++) {
        const struct ox_blob_const *k = &b->consts[i];
        size_t count, size;
        if (k->dtype == OX_STRING) text += k->size;
        if (text > b->n_data || !ox_dtype_valid(k->dtype) || k->zero || k->rank > OX_MAX_RANK ||
            !inside(k->dims, k->rank, b->n_dims) || k->at % OX_BLOB_ALIGN ||
            !inside(k->at, k->size, b->n_data - OX_BLOB_SLACK) ||
            ox_shape_size(&count, &size, (ox_dtype)k->dtype, k->rank, b->dims + k->dims) ||
            (k->dtype == OX_STRING ? !strings_fit(b, k, count) : size != k->size))
            return BAD(c, "constant %zu is not well formed", i);
    }
    return OX_OK;
}

static ox_status check_attr(const struct checking *c, size_t i, uint64_t *refs, uint64_t *ints) {
    const struct ox_blob *b = c->b;
    const struct ox_blob_attr *a = &b->attrs[i];
    bool ok = a->name < b->n_strings && !a->zero;
    bool plural = a->type == OX_ATTR_FLOATS || a->type == OX_ATTR_INTS ||
                  a->type == OX_ATTR_STRINGS || a->type == OX_ATTR_TENSORS;
    if (!plural && a->count != 1) ok = false;
    switch (a->type) {
    case OX_ATTR_FLOAT:
    case OX_ATTR_INT:
    case OX_ATTR_TYPE_PROTO:
        break;
    case OX_ATTR_STRING:
        ok = ok && a->value < b->n_strings;
        break;
    case OX_ATTR_TENSOR:
        ok = ok && a->value < b->n_consts;
        break;
    case OX_ATTR_GRAPH:
        ok = ok && a->value < b->n_frames;
        break;
    case OX_ATTR_INTS:
        ok = ok && inside(a->value, a->count, b->n_dims);
        break;
    case OX_ATTR_FLOATS:
    case OX_ATTR_STRINGS:
    case OX_ATTR_TENSORS:
        ok = ok && inside(a->value, a->count, b->n_refs);
        break;
    default:
        ok = false;
        break;
    }
    if (a->type == OX_ATTR_INTS)
        *ints += a->count;
    else
        *refs += plural ? a->count : 0;
    if (*ints > b->n_dims || *refs > b->n_refs) return BAD(c, "lists overlap");
    for (size_t k = 0;
         ok && k < a->count && (a->type == OX_ATTR_STRINGS || a->type == OX_ATTR_TENSORS); k++)
        ok = b->refs[a->value + k] < (a->type == OX_ATTR_STRINGS ? b->n_strings : b->n_consts);
    return ok ? OX_OK : BAD(c, "attribute %zu is not well formed", i);
}

static ox_status check_step(const struct checking *c, size_t i, uint64_t *refs, uint64_t *attrs) {
    const struct ox_blob *b = c->b;
    const struct ox_blob_step *s = &b->steps[i];
    if (s->name >= b->n_strings || s->domain >= b->n_strings || s->op >= b->n_strings ||
        s->why >= b->n_strings || !inside(s->in, s->n_in, b->n_refs) ||
        !inside(s->out, s->n_out, b->n_refs) || !inside(s->drop, s->n_drop, b->n_refs) ||
        !inside(s->attrs, s->n_attrs, b->n_attrs))
        return BAD(c, "step %zu is not well formed", i);
    *refs += (uint64_t)s->n_in + s->n_out + s->n_drop;
    *attrs += s->n_attrs;
    if (s->kind == OX_BLOB_GENERIC)
        return s->params_size == 0 && s->params == 0 ? OX_OK
                                                     : BAD(c, "step %zu is not well formed", i);
    const struct ox_step_kind_info *info = ox_step_kind_find(s->kind);
    if (!info)
        return ox_fail(c->ctx, OX_UNSUPPORTED, "newer-blob", &c->place,
                       "step %zu is of kind %u, which is not known here", i, s->kind);
    if (s->n_attrs || s->params_size != info->params_size ||
        !inside(s->params, (s->params_size + 7) / 8, b->n_params))
        return BAD(c, "step %zu is not well formed", i);
    return OX_OK;
}

static ox_status check_frames(const struct checking *c) {
    const struct ox_blob *b = c->b;
    uint64_t slots = 0, steps = 0, refs = 0, attrs = 0;
    if (b->n_frames < 1) return BAD(c, "there is no main graph");
    for (size_t i = 0; i < b->n_frames; i++) {
        const struct ox_blob_frame *f = &b->frames[i];
        if (f->name >= b->n_strings || f->slot != slots || f->step != steps || f->zero[0] ||
            f->zero[1] || !inside(f->in, f->n_in, b->n_refs) ||
            !inside(f->out, f->n_out, b->n_refs) || !inside(f->out_ports, f->n_out, b->n_ports))
            return BAD(c, "graph %zu is not well formed", i);
        slots += f->n_slots;
        steps += f->n_steps;
        refs += (uint64_t)f->n_in + f->n_out;
    }
    if (slots != c->n_slots || steps != b->n_steps)
        return BAD(c, "graphs do not divide slots and steps among them");
    for (size_t i = 0; i < b->n_steps; i++)
        OX_TRY(check_step(c, i, &refs, &attrs));
    /* Nothing is shared, so the work of everybody who walks the lists is bounded by the size of the
     * file. */
    if (refs > b->n_refs || attrs > b->n_attrs || slots > b->n_refs) return BAD(c, "lists overlap");
    return OX_OK;
}

/* Where each block of packed weights must begin, and where the section ends. */
static ox_status check_packs(const struct checking *c) {
    const struct ox_blob *b = c->b;
    uint64_t at = 0;
    for (size_t i = 0; i < b->n_packs; i++) {
        const struct ox_blob_pack *p = &b->packs[i], *former = i ? p - 1 : NULL;
        const bool ascends =
            !former || former->class < p->class ||
            (former->class == p->class &&
             (former->step < p->step || (former->step == p->step && former->part < p->part)));
        if (!ascends || p->class >= b->n_strings || p->step >= b->n_steps ||
            b->steps[p->step].kind == OX_BLOB_GENERIC || p->at != at ||
            !inside(p->at, OX_BLOB_SLACK, b->n_packed) ||
            !inside(p->at, p->size, b->n_packed - OX_BLOB_SLACK))
            return BAD(c, "packed weights %zu are not well formed", i);
        at = (p->at + p->size + OX_BLOB_SLACK + OX_BLOB_ALIGN - 1) / OX_BLOB_ALIGN * OX_BLOB_ALIGN;
    }
    return at == b->n_packed ? OX_OK : BAD(c, "packed weights do not end where they must");
}

/* ---- flow of values -------------------------------------------------------------------------- */

static ox_status read_operand(const struct checking *c, uint32_t ref, size_t step) {
    if (ref == OX_BLOB_NONE) return OX_OK;
    if (ref & OX_BLOB_CONST_BIT ? (ref & ~OX_BLOB_CONST_BIT) < c->b->n_consts
                                : ref < c->n_slots && c->slot_state[ref] == DEFINED)
        return OX_OK;
    return BAD(c, "step %zu reads what is not there", step);
}

static ox_status define(const struct checking *c, const struct ox_blob_frame *f, uint32_t slot) {
    if (slot < f->slot || slot - f->slot >= f->n_slots || c->slot_state[slot] != UNDEFINED)
        return BAD(c, "slot %u is not its graph's, or defined twice", slot);
    c->slot_state[slot] = DEFINED;
    return OX_OK;
}

static ox_status walk_frame(const struct checking *c, size_t index, int depth);

static ox_status walk_step(const struct checking *c, size_t frame, const struct ox_blob_step *s,
                           int depth) {
    const struct ox_blob *b = c->b;
    const struct ox_blob_frame *f = &b->frames[frame];
    size_t at = (size_t)(s - b->steps);
    for (size_t i = 0; i < s->n_in; i++)
        OX_TRY(read_operand(c, b->refs[s->in + i], at));
    for (size_t i = 0; i < s->n_attrs; i++) {
        const struct ox_blob_attr *a = &b->attrs[s->attrs + i];
        if (a->type != OX_ATTR_GRAPH) continue;
        if (a->value <= frame || c->frame_named[a->value]++)
            return BAD(c, "step %zu names graph %llu, which is not its own", at,
                       (unsigned long long)a->value);
        OX_TRY(walk_frame(c, (size_t)a->value, depth + 1));
    }
    for (size_t i = 0; i < s->n_out; i++)
        if (b->refs[s->out + i] != OX_BLOB_NONE) OX_TRY(define(c, f, b->refs[s->out + i]));
    for (size_t i = 0; i < s->n_drop; i++) {
        uint32_t slot = b->refs[s->drop + i];
        if (slot < f->slot || slot - f->slot >= f->n_slots || c->slot_state[slot] != DEFINED)
            return BAD(c, "step %zu drops what is not there", at);
        c->slot_state[slot] = DROPPED;
    }
    return OX_OK;
}

static ox_status walk_frame(const struct checking *c, size_t index, int depth) {
    const struct ox_blob *b = c->b;
    const struct ox_blob_frame *f = &b->frames[index];
    if (depth > ox_ctx_limits(c->ctx)->max_subgraph_depth)
        return BAD(c, "graphs are nested more than %d deep",
                   ox_ctx_limits(c->ctx)->max_subgraph_depth);
    for (size_t i = 0; i < f->n_in; i++)
        OX_TRY(define(c, f, b->refs[f->in + i]));
    for (size_t i = 0; i < f->n_steps; i++)
        OX_TRY(walk_step(c, index, &b->steps[f->step + i], depth));
    for (size_t i = 0; i < f->n_out; i++) {
        uint32_t ref = b->refs[f->out + i];
        if (ref == OX_BLOB_NONE) return BAD(c, "graph %zu has an empty result", index);
        OX_TRY(read_operand(c, ref, f->step));
    }
    memset(c->slot_state + f->slot, UNDEFINED, f->n_slots);
    return OX_OK;
}

static ox_status check_flow(struct checking *c) {
    OX_TRY(ox_alloc(c->ctx, &c->slot_state, c->n_slots, 1));
    OX_TRY(ox_alloc(c->ctx, &c->frame_named, c->b->n_frames, 1));
    OX_TRY(walk_frame(c, 0, 0));
    for (size_t i = 1; i < c->b->n_frames; i++)
        if (!c->frame_named[i]) return BAD(c, "graph %zu belongs to no step", i);
    return OX_OK;
}

ox_status ox_blob_check(ox_ctx *ctx, const struct ox_blob *b, const char *file) {
    struct checking c = {.ctx = ctx, .b = b, .place = {.file = file}};
    if (b->n_info != 1) return BAD(&c, "there is no description of the program");
    c.n_slots = b->info->n_slots;
    OX_TRY(check_strings(&c));
    OX_TRY(check_ports(&c));
    if (b->info->name >= b->n_strings ||
        !inside(b->info->n_inputs, b->info->n_outputs, b->n_ports) || b->info->zero)
        return BAD(&c, "the description is not well formed");
    OX_TRY(check_consts(&c));
    uint64_t refs = 0, ints = 0;
    for (size_t i = 0; i < b->n_attrs; i++)
        OX_TRY(check_attr(&c, i, &refs, &ints));
    for (size_t i = 0; i < b->n_meta; i++)
        if (b->meta[i].key >= b->n_strings || b->meta[i].value >= b->n_strings)
            return BAD(&c, "metadata is not well formed");
    OX_TRY(check_frames(&c));
    OX_TRY(check_packs(&c));
    if (b->frames[0].n_in != b->info->n_inputs || b->frames[0].n_out != b->info->n_outputs)
        return BAD(&c, "the main graph has other inputs or outputs than described");
    ox_status s = check_flow(&c);
    ox_free(ctx, c.slot_state);
    ox_free(ctx, c.frame_named);
    return s;
}
