/* backend/native/blob_write.c - records of a blob from a lowered program; see blob.h for what they
 * mean. */
#include "backend/native/blob_write.h"
#include "ir/base/hash64.h"

#include <stdlib.h>

typedef struct ox_blob_build build_t;

#define APPEND(b, name, ...)                                                                       \
    do {                                                                                           \
        OX_TRY(OX_GROW((b)->lo->ctx, (b)->name, (b)->n_##name, (b)->cap_##name));                  \
        (b)->name[(b)->n_##name++] = __VA_ARGS__;                                                  \
    } while (0)

static ox_status check_index(const build_t *b, size_t n) {
    return n < UINT32_MAX / 2 ? OX_OK
                              : ox_fail(b->lo->ctx, OX_UNSUPPORTED, "too-large", NULL,
                                        "the program has too many records for a blob");
}

/* ---- strings --------------------------------------------------------------------------------- */

static ox_status add_chars(uint32_t *out, build_t *b, const char *text, size_t len) {
    size_t end;
    if (ox_add_size(&end, b->n_chars, len + 1)) return OX_NOMEM;
    OX_TRY(check_index(b, end));
    if (end > b->cap_chars) {
        size_t cap = end * 2;
        OX_TRY(ox_resize(b->lo->ctx, &b->chars, b->n_chars, cap, 1));
        b->cap_chars = cap;
    }
    *out = (uint32_t)b->n_strings;
    APPEND(b, strings, (struct ox_blob_string){(uint32_t)b->n_chars, (uint32_t)len});
    if (len) memcpy(b->chars + b->n_chars, text, len);
    b->chars[b->n_chars + len] = 0;
    b->n_chars = end;
    return OX_OK;
}

static ox_status add_name(uint32_t *out, build_t *b, ox_name name) {
    *out = 0;
    if (!name || name->len == 0) return OX_OK;
    *out = ox_ptr_map_get(&b->names, name);
    if (*out) return OX_OK;
    OX_TRY(add_chars(out, b, name->text, name->len));
    return ox_ptr_map_set(&b->names, name, *out);
}

static ox_status add_text(uint32_t *out, build_t *b, const char *text) {
    ox_name name;
    *out = 0;
    if (!text || !*text) return OX_OK;
    OX_TRY(ox_model_name(&name, b->lo->model, text, strlen(text)));
    return add_name(out, b, name);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static ox_status add_refs(uint32_t *first, build_t *b, size_t n, const uint32_t *operands) {
    OX_TRY(check_index(b, b->n_refs + n));
    *first = (uint32_t)b->n_refs;
    for (size_t i = 0; i < n; i++)
        APPEND(b, refs, ox_lower_ref(b->lo, operands[i]));
    return OX_OK;
}

static ox_status add_dims(uint32_t *first, build_t *b, size_t n, const int64_t *dims) {
    OX_TRY(check_index(b, b->n_dims + n));
    *first = (uint32_t)b->n_dims;
    for (size_t i = 0; i < n; i++)
        APPEND(b, dims, dims[i]);
    return OX_OK;
}

/* ---- ports ----------------------------------------------------------------------------------- */

static ox_status add_port(build_t *b, ox_name name, const struct ox_type *type) {
    char text[512];
    struct ox_blob_port p = {.rank = -1};
    OX_TRY(add_name(&p.name, b, name));
    ox_type_print(text, sizeof text, type);
    OX_TRY(add_text(&p.type, b, text));
    if (type->kind == OX_TYPE_TENSOR) {
        p.dtype = (uint32_t)type->dtype;
        p.rank = type->rank <= OX_MAX_RANK ? type->rank : -1;
    }
    uint32_t symbols[OX_MAX_RANK];
    for (int i = 0; i < p.rank; i++)
        OX_TRY(add_name(&symbols[i], b, ox_dim_name(type->dims[i])));
    p.dims = (uint32_t)b->n_dims;
    p.symbols = (uint32_t)b->n_refs;
    for (int i = 0; i < p.rank; i++) {
        APPEND(b, dims, ox_dim_is_const(type->dims[i]) ? type->dims[i].k : -1);
        APPEND(b, refs, symbols[i]);
    }
    APPEND(b, ports, p);
    return OX_OK;
}

static const struct ox_type *out_type(const struct ox_graph *g, size_t i) {
    const struct ox_type *declared = g->outputs[i].type;
    return declared->kind == OX_TYPE_UNKNOWN ? g->ret->in[i].value->type : declared;
}

static ox_status add_main_ports(build_t *b) {
    const struct ox_graph *g = b->lo->model->graph;
    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct ox_value *v = g->inputs[i];
        ox_operand k;
        if (!ox_lower_is_port(v)) continue;
        OX_TRY(add_port(b, v->name, v->type));
        if (!v->init) continue;
        OX_TRY(ox_lower_const(&k, b->lo, ox_tensor_ref(v->init)));
        b->ports[b->n_ports - 1].fallback = 1 + (k.id & ~OX_BLOB_CONST_BIT);
    }
    for (size_t i = 0; i < g->ret->n_in; i++)
        OX_TRY(add_port(b, g->outputs[i].name, out_type(g, i)));
    return OX_OK;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static ox_status tensor_const(uint32_t *out, build_t *b, ox_tensor *t) {
    ox_operand k;
    OX_TRY(ox_lower_const(&k, b->lo, ox_tensor_ref(t)));
    *out = k.id & ~OX_BLOB_CONST_BIT;
    return OX_OK;
}

static ox_status add_str_list(build_t *b, const struct ox_attr *a) {
    for (size_t i = 0; i < a->count; i++) {
        uint32_t s;
        OX_TRY(add_chars(&s, b, a->v.strings[i].ptr, a->v.strings[i].len));
        APPEND(b, refs, s);
    }
    return OX_OK;
}

static ox_status add_tensor_list(build_t *b, const struct ox_attr *a) {
    for (size_t i = 0; i < a->count; i++) {
        uint32_t k;
        OX_TRY(tensor_const(&k, b, a->v.tensors[i]));
        APPEND(b, refs, k);
    }
    return OX_OK;
}

/* *frames points at the frame of the next graph attribute of the step. */
static ox_status attr_value(struct ox_blob_attr *out, build_t *b, const struct ox_attr *a,
                            const uint32_t **frames) {
    uint32_t bits = 0, at = (uint32_t)b->n_refs;
    switch (a->type) {
    case OX_ATTR_FLOAT:
        memcpy(&bits, &a->v.f, 4);
        break;
    case OX_ATTR_INT:
        memcpy(&out->value, &a->v.i, 8);
        return OX_OK;
    case OX_ATTR_STRING:
        OX_TRY(add_chars(&bits, b, a->v.s.ptr, a->v.s.len));
        break;
    case OX_ATTR_TENSOR:
        OX_TRY(tensor_const(&bits, b, a->v.t));
        break;
    case OX_ATTR_GRAPH:
        bits = *(*frames)++;
        break;
    case OX_ATTR_TYPE_PROTO:
        break;
    case OX_ATTR_INTS:
        OX_TRY(add_dims(&bits, b, a->count, a->v.ints));
        break;
    case OX_ATTR_FLOATS:
        for (size_t i = 0; i < a->count; i++) {
            memcpy(&bits, &a->v.floats[i], 4);
            APPEND(b, refs, bits);
        }
        bits = at;
        break;
    case OX_ATTR_STRINGS:
        OX_TRY(add_str_list(b, a));
        bits = at;
        break;
    case OX_ATTR_TENSORS:
        OX_TRY(add_tensor_list(b, a));
        bits = at;
        break;
    default:
        return ox_fail(b->lo->ctx, OX_UNSUPPORTED, "wrong-attribute", NULL,
                       "attribute '%s' is of a type that the native format does not carry",
                       ox_name_text(a->name));
    }
    out->value = bits;
    return check_index(b, b->n_refs);
}

static ox_status add_attrs(struct ox_blob_step *out, build_t *b, const struct ox_low_step *s) {
    const uint32_t *frames = s->frames;
    const struct ox_node *n = s->node;
    if (s->kind != OX_BLOB_GENERIC) return OX_OK;
    out->attrs = (uint32_t)b->n_attrs;
    for (size_t i = 0; i < n->n_attrs; i++) {
        const struct ox_attr *a = &n->attrs[i];
        struct ox_blob_attr r = {.type = (uint32_t)a->type, .count = (uint32_t)a->count};
        OX_TRY(add_name(&r.name, b, a->name));
        OX_TRY(attr_value(&r, b, a, &frames));
        APPEND(b, attrs, r);
    }
    out->n_attrs = (uint32_t)n->n_attrs;
    return OX_OK;
}

/* ---- steps and frames ------------------------------------------------------------------------ */

static ox_status add_params(struct ox_blob_step *out, build_t *b, const struct ox_low_step *s) {
    out->params = (uint32_t)b->n_params;
    out->params_size = (uint32_t)s->params_size;
    for (size_t at = 0; at < s->params_size; at += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)s->params + at,
               s->params_size - at < 8 ? s->params_size - at : 8);
        APPEND(b, params, word);
    }
    if (s->params_size == 0) out->params = 0;
    return OX_OK;
}

static ox_status step_names(struct ox_blob_step *out, build_t *b, const struct ox_low_step *s) {
    const struct ox_node *n = s->node;
    if (!n) return add_text(&out->op, b, "input");
    ox_name name = n->name && n->name->len ? n->name
                   : n->n_out && n->out[0] ? n->out[0]->name
                                           : NULL;
    OX_TRY(add_name(&out->name, b, name));
    if (n->op) OX_TRY(add_text(&out->domain, b, n->op->domain));
    OX_TRY(add_name(&out->op, b, n->type));
    OX_TRY(add_text(&out->why, b, s->why));
    int64_t opset = ox_node_opset(n);
    out->opset = opset > INT32_MAX ? INT32_MAX : (int32_t)opset;
    return OX_OK;
}

/* Slots by the step that drops them, in one sorted list a frame. */
static int by_last(const void *a, const void *b) {
    const struct ox_low_slot *x = *(const struct ox_low_slot *const *)a,
                             *y = *(const struct ox_low_slot *const *)b;
    if (x->last != y->last) return x->last < y->last ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static ox_status add_step(build_t *b, const struct ox_low_step *s,
                          const struct ox_low_slot *const **drops,
                          const struct ox_low_slot *const *end) {
    struct ox_blob_step r = {
        .kind = s->kind, .n_in = (uint32_t)s->n_in, .n_out = (uint32_t)s->n_out};
    OX_TRY(step_names(&r, b, s));
    OX_TRY(add_refs(&r.in, b, s->n_in, s->in));
    OX_TRY(add_refs(&r.out, b, s->n_out, s->out));
    r.drop = (uint32_t)b->n_refs;
    for (; *drops < end && (**drops)->last == s->at; ++*drops, r.n_drop++)
        APPEND(b, refs, (**drops)->number);
    OX_TRY(check_index(b, b->n_refs));
    OX_TRY(add_attrs(&r, b, s));
    OX_TRY(add_params(&r, b, s));
    APPEND(b, steps, r);
    return OX_OK;
}

static ox_status add_frame(build_t *b, const struct ox_low_frame *f,
                           const struct ox_low_slot *const *drops) {
    struct ox_blob_frame r = {.slot = f->slot,
                              .n_slots = f->n_slots,
                              .step = (uint32_t)b->n_steps,
                              .n_steps = (uint32_t)f->n_steps,
                              .n_in = (uint32_t)f->n_in,
                              .n_out = (uint32_t)f->n_out};
    const struct ox_low_slot *const *end = drops + f->n_slots;
    const struct ox_graph *g = f->graph;
    OX_TRY(add_name(&r.name, b, g->name));
    OX_TRY(add_refs(&r.in, b, f->n_in, f->in));
    OX_TRY(add_refs(&r.out, b, f->n_out, f->out));
    r.out_ports = (uint32_t)b->n_ports;
    for (size_t i = 0; i < f->n_out; i++)
        OX_TRY(add_port(b, g->outputs[i].name, g->ret->in[i].value->type));
    for (size_t i = 0; i < f->n_steps; i++)
        OX_TRY(add_step(b, f->steps[i], &drops, end));
    APPEND(b, frames, r);
    return check_index(b, b->n_steps);
}

static ox_status add_frames(build_t *b) {
    struct ox_lower *lo = b->lo;
    const struct ox_low_slot **sorted;
    OX_TRY(ox_alloc(lo->ctx, &sorted, lo->n_slots, sizeof *sorted));
    for (size_t i = 0; i < lo->n_slots; i++)
        sorted[lo->slots[i].number] = &lo->slots[i];
    ox_status s = OX_OK;
    for (size_t i = 0; i < lo->n_frames && s == OX_OK; i++) {
        const struct ox_low_frame *f = &lo->frames[i];
        if (f->n_slots) qsort(sorted + f->slot, f->n_slots, sizeof *sorted, by_last);
        s = add_frame(b, f, sorted + f->slot);
    }
    ox_free(lo->ctx, sorted);
    return s;
}

/* ---- constants and the rest ------------------------------------------------------------------ */

static uint64_t align_up(uint64_t at) {
    return (at + OX_BLOB_ALIGN - 1) / OX_BLOB_ALIGN * OX_BLOB_ALIGN;
}

static ox_status const_size(uint64_t *out, const build_t *b, const ox_tensor *t) {
    size_t size = t->size;
    if (t->dtype == OX_STRING) {
        const struct ox_str *s = t->data;
        if (ox_mul_size(&size, t->count + 1, 8)) return OX_NOMEM;
        for (size_t i = 0; i < t->count; i++)
            if (ox_add_size(&size, size, s[i].len))
                return ox_fail(b->lo->ctx, OX_UNSUPPORTED, "too-large", NULL,
                               "a constant is too large");
    }
    *out = size;
    return OX_OK;
}

static ox_status add_consts(build_t *b) {
    const struct ox_lower *lo = b->lo;
    uint64_t end = 0;
    for (size_t i = 0; i < lo->n_consts; i++) {
        const struct ox_low_const *k = &lo->consts[i];
        struct ox_blob_const r = {
            .dtype = (uint32_t)k->tensor->dtype, .rank = (uint32_t)k->tensor->rank, .at = end};
        OX_TRY(add_dims(&r.dims, b, (size_t)k->tensor->rank, k->tensor->dims));
        OX_TRY(const_size(&r.size, b, k->tensor));
        if (k->same != i) {
            r.at = b->consts[k->same].at;
        } else {
            b->info->weight_bytes += r.size;
            end = align_up(end + r.size);
        }
        APPEND(b, consts, r);
    }
    return OX_OK;
}

/* The class is one string for all: they are given in order for one. */
static ox_status add_packs(build_t *b) {
    uint64_t end = 0;
    uint32_t class;
    if (b->n_given) OX_TRY(add_text(&class, b, b->given[0].processors));
    for (size_t i = 0; i < b->n_given; i++) {
        const struct ox_packed *p = &b->given[i], *former = i ? p - 1 : NULL;
        if (p->step >= b->n_steps || b->steps[p->step].kind == OX_BLOB_GENERIC ||
            p->size > UINT64_MAX / 4 ||
            (former &&
             (former->step > p->step || (former->step == p->step && former->part >= p->part))))
            return ox_fail(b->lo->ctx, OX_USAGE, "wrong-packing", NULL,
                           "packed weights %zu are not of this program's steps, or not in order",
                           i);
        APPEND(b, packs,
               (struct ox_blob_pack){class, (uint32_t)p->step, p->part, p->layout, end, p->size});
        end = align_up(end + p->size + OX_BLOB_SLACK);
    }
    return OX_OK;
}

static ox_status add_pair(build_t *b, const char *key, ox_name value) {
    struct ox_blob_pair r;
    if (!value || value->len == 0) return OX_OK;
    OX_TRY(add_text(&r.key, b, key));
    OX_TRY(add_name(&r.value, b, value));
    APPEND(b, meta, r);
    return OX_OK;
}

static ox_status add_meta(build_t *b) {
    const struct ox_model *m = b->lo->model;
    OX_TRY(add_pair(b, ".producer", m->producer));
    OX_TRY(add_pair(b, ".producer_version", m->producer_version));
    OX_TRY(add_pair(b, ".domain", m->domain));
    for (size_t i = 0; m->meta && i < m->meta->count; i++)
        if (m->meta->at[i].key) OX_TRY(add_pair(b, m->meta->at[i].key->text, m->meta->at[i].value));
    return OX_OK;
}

static ox_status add_all(build_t *b) {
    const struct ox_lower *lo = b->lo;
    struct ox_blob_info info = {.n_slots = (uint32_t)lo->n_slots,
                                .n_inputs = (uint32_t)lo->frames[0].n_in,
                                .n_outputs = (uint32_t)lo->frames[0].n_out};
    uint32_t empty;
    OX_TRY(add_chars(&empty, b, "", 0));
    OX_TRY(add_name(&info.name, b, lo->model->graph->name));
    APPEND(b, info, info);
    OX_TRY(add_main_ports(b));
    OX_TRY(add_frames(b));
    OX_TRY(add_meta(b));
    OX_TRY(add_packs(b));
    return add_consts(b);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static ox_status put_zeros(ox_blob_put_fn put, void *user, uint64_t n) {
    static const unsigned char zeros[OX_BLOB_ALIGN + OX_BLOB_SLACK];
    return n ? put(user, zeros, (size_t)n, NULL) : OX_OK;
}

static ox_status put_strings(const ox_tensor *t, ox_blob_put_fn put, void *user) {
    const struct ox_str *s = t->data;
    uint64_t at = 0;
    for (size_t i = 0; i <= t->count; i++) {
        OX_TRY(put(user, &at, 8, NULL));
        if (i < t->count) at += s[i].len;
    }
    for (size_t i = 0; i < t->count; i++)
        if (s[i].len) OX_TRY(put(user, s[i].ptr, s[i].len, NULL));
    return OX_OK;
}

ox_status ox_blob_emit_data(const struct ox_blob_build *b, uint64_t *size, ox_blob_put_fn put,
                            void *user) {
    uint64_t at = 0;
    for (size_t i = 0; i < b->n_consts; i++) {
        const struct ox_low_const *k = &b->lo->consts[i];
        if (k->same != i) continue;
        OX_TRY(put_zeros(put, user, b->consts[i].at - at));
        if (k->tensor->dtype == OX_STRING)
            OX_TRY(put_strings(k->tensor, put, user));
        else if (k->tensor->size)
            OX_TRY(put(user, NULL, k->tensor->size, k->tensor));
        at = b->consts[i].at + b->consts[i].size;
    }
    *size = at + OX_BLOB_SLACK;
    return put_zeros(put, user, OX_BLOB_SLACK);
}

ox_status ox_blob_emit_packed(const struct ox_blob_build *b, uint64_t *size, ox_blob_put_fn put,
                              void *user) {
    *size = 0;
    for (size_t i = 0; i < b->n_packs; i++) {
        const struct ox_blob_pack *p = &b->packs[i];
        if (p->size) OX_TRY(put(user, b->given[i].data, (size_t)p->size, NULL));
        *size = align_up(p->at + p->size + OX_BLOB_SLACK);
        OX_TRY(put_zeros(put, user, *size - p->at - p->size));
    }
    return OX_OK;
}

static ox_status hash_put(void *user, const void *data, size_t size, const ox_tensor *tensor) {
    ox_hash64_add(user, tensor ? tensor->data : data, size);
    return OX_OK;
}

/* The table: sizes, places and hashes of all sections. */
static ox_status make_table(build_t *b) {
    const uint32_t n = b->n_packs ? OX_BLOB_N_SECTIONS : OX_BLOB_N_PLAIN;
    uint64_t at = sizeof b->header + n * sizeof b->table[0];
    struct ox_hash64 h;
    const void *data;
    uint64_t size;
#define X(number, NAME, name, type)                                                                \
    data = b->name;                                                                                \
    size = b->n_##name * sizeof(type);                                                             \
    ox_hash64_init(&h);                                                                            \
    if (number == OX_BLOB_DATA)                                                                    \
        OX_TRY(ox_blob_emit_data(b, &size, hash_put, &h));                                         \
    else if (number == OX_BLOB_PACKED)                                                             \
        OX_TRY(ox_blob_emit_packed(b, &size, hash_put, &h));                                       \
    else                                                                                           \
        ox_hash64_add(&h, data, (size_t)size);                                                     \
    if (number <= n) {                                                                             \
        at = align_up(at);                                                                         \
        b->table[number - 1] = (struct ox_blob_section){                                           \
            .id = number, .offset = at, .size = size, .hash = ox_hash64_end(&h)};                  \
        at += size;                                                                                \
    }
    OX_BLOB_SECTIONS(X)
#undef X
    b->header = (struct ox_blob_header){.version = OX_BLOB_VERSION,
                                        .flags = b->flags | (b->n_packs ? OX_BLOB_PACKED_FLAG : 0),
                                        .file_size = at,
                                        .n_sections = n};
    memcpy(b->header.magic, OX_BLOB_MAGIC, sizeof b->header.magic);
    ox_hash64_init(&h);
    ox_hash64_add(&h, &b->header, sizeof b->header);
    ox_hash64_add(&h, b->table, n * sizeof b->table[0]);
    b->header.hash = ox_hash64_end(&h);
    return OX_OK;
}

ox_status ox_blob_emit(const struct ox_blob_build *b, ox_blob_put_fn put, void *user) {
    const uint32_t n = b->header.n_sections;
    uint64_t at = sizeof b->header + n * sizeof b->table[0], size;
    OX_TRY(put(user, &b->header, sizeof b->header, NULL));
    OX_TRY(put(user, b->table, n * sizeof b->table[0], NULL));
#define X(number, NAME, name, type)                                                                \
    if (number <= n) {                                                                             \
        OX_TRY(put_zeros(put, user, b->table[number - 1].offset - at));                            \
        size = b->table[number - 1].size;                                                          \
        if (number == OX_BLOB_DATA)                                                                \
            OX_TRY(ox_blob_emit_data(b, &size, put, user));                                        \
        else if (number == OX_BLOB_PACKED)                                                         \
            OX_TRY(ox_blob_emit_packed(b, &size, put, user));                                      \
        else if (size)                                                                             \
            OX_TRY(put(user, b->name, (size_t)size, NULL));                                        \
        at = b->table[number - 1].offset + size;                                                   \
    }
    OX_BLOB_SECTIONS(X)
#undef X
    return OX_OK;
}

ox_status ox_blob_build(struct ox_blob_build *b, struct ox_lower *lo, uint32_t flags,
                        size_t n_packed, const struct ox_packed *packed) {
    *b = (struct ox_blob_build){.lo = lo, .flags = flags, .given = packed, .n_given = n_packed};
    ox_ptr_map_init(&b->names, lo->ctx);
    OX_TRY(add_all(b));
    return make_table(b);
}

void ox_blob_build_end(struct ox_blob_build *b) {
#define X(number, NAME, name, type) ox_free(b->lo->ctx, b->name);
    OX_BLOB_SECTIONS(X)
#undef X
    ox_ptr_map_fini(&b->names);
}
