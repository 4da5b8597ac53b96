/* frontend/wire.c - see wire.h.
 *
 * What a file must satisfy before protobuf-c sees anything of it:
 *  - varints have at most 10 bytes and fit 64 bits; a length never leaves its message; there is no
 *    field 0 and no group; the last field ends where its message ends;
 *  - the wire type is one that the schema allows for the field (packed or not);
 *  - messages are nested at most limits.max_message_depth deep; at most limits.max_nodes nodes;
 *  - a singular message, a payload and a oneof are given at most once (of scalars and strings the
 *    last one counts);
 *  - no NUL in strings, no name longer than limits.max_name_bytes (other texts may be longer);
 *  - the memory that protobuf-c is going to take, computed from its own structure sizes, is within
 *    the budget.
 *
 * The skeleton is written in a form that keeps protobuf-c away from its own weak places: tags are
 * canonical, nothing is 2 GiB or more, an empty packed field is left out. Lengths of messages are
 * padded to 5 bytes, so that they can be filled in when the end is known, and one pass is enough. A
 * message that has cuts, a node and a tensor end with a field NOTE that holds an index into the
 * notes; fields of the file cannot be mistaken for it, since unknown ones are cut. */
#include "frontend/wire.h"

#include <onnx-ml.pb-c.h>

#define NOTE 0x1fffffffu /* largest field number there is */
#define FIELD_MAX 0x1fffffffu

enum { DEPTH_CAP = 256, LENGTH_BYTES = 5, FIELDS_MAX = 64 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* What protobuf-c takes for each thing on top of its content; arena rounding included. */
enum {
    COST_ALLOC = 16,
    COST_SCANNED = 80,
    COST_NOTE = sizeof(ProtobufCMessageUnknownField) + 2 * COST_ALLOC
};

struct frame {
    const ProtobufCMessageDescriptor *desc;
    size_t start, end;    /* in the file */
    size_t length_at;     /* where in the skeleton its length goes */
    uint64_t seen;        /* bit i: fields[i] was given, where it may be given only once */
    uint32_t first, last; /* its cuts: index + 1 */
    bool silent;          /* is inside a cut: checked, but nothing is written */
};

struct walk {
    struct ox_wire *wire;
    size_t pos;
    unsigned char *out; /* skeleton */
    size_t n_out, cap_out;
    size_t nodes;
    size_t heap, heap_max;
    int depth, depth_max;
    struct frame stack[DEPTH_CAP];
};

/* One field as it stands in the file. */
struct field {
    size_t tag_at;  /* offset of its tag */
    size_t at, end; /* offset of its content and of what follows */
    uint32_t number;
    unsigned wire_type;
    uint64_t varint; /* WIRE_VARINT: the value */
};

enum cut_kind { CUT_NOT, CUT_PAYLOAD, CUT_WHOLE };

static enum cut_kind cut_kind(const ProtobufCMessageDescriptor *desc, uint32_t number) {
    static const struct {
        const ProtobufCMessageDescriptor *desc;
        uint32_t number;
        enum cut_kind kind;
    } cuts[] = {
        {&onnx__tensor_proto__descriptor, 4, CUT_PAYLOAD},  /* float_data */
        {&onnx__tensor_proto__descriptor, 9, CUT_PAYLOAD},  /* raw_data */
        {&onnx__tensor_proto__descriptor, 10, CUT_PAYLOAD}, /* double_data */
        {&onnx__model_proto__descriptor, 20, CUT_WHOLE},    /* training_info */
        {&onnx__graph_proto__descriptor, 14, CUT_WHOLE},    /* quantization_annotation */
        {&onnx__function_proto__descriptor, 12, CUT_WHOLE}, /* value_info */
    };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
        if (cuts[i].desc == desc && cuts[i].number == number) return cuts[i].kind;
    return CUT_NOT;
}

/* ---- failing --------------------------------------------------------------------------------- */

#define bad(w, at, ...) bad_at((w), (at), OX_INVALID, "bad-protobuf", __VA_ARGS__)
#define over_limit(w, at, ...) bad_at((w), (at), OX_INVALID, "over-limit", __VA_ARGS__)
#define bad_at(w, at, status, id, ...)                                                             \
    ox_fail((w)->wire->ctx, (status), (id),                                                        \
            &(struct ox_place){.file = (w)->wire->file, .offset = (int64_t)(at) + 1}, __VA_ARGS__)

/* Books memory that protobuf-c will take. */
static ox_status book(struct walk *w, size_t bytes) {
    if (bytes <= w->heap_max && w->heap <= w->heap_max - bytes) {
        w->heap += bytes;
        return OX_OK;
    }
    return bad_at(
        w, w->pos, OX_NOMEM, "over-budget",
        "reading this file would take more than %zu bytes of memory (limit max_heap_per_file)",
        w->heap_max);
}

/* ---- the skeleton ---------------------------------------------------------------------------- */

static ox_status put(struct walk *w, const void *bytes, size_t n) {
    if (n > (size_t)INT32_MAX - w->n_out)
        return bad_at(w, w->pos, OX_NOMEM, "over-budget",
                      "the file has 2 GiB or more besides its weights");
    if (n > w->cap_out - w->n_out) {
        size_t cap = w->cap_out ? w->cap_out : 4096;
        while (cap - w->n_out < n)
            cap *= 2;
        OX_TRY(ox_resize(w->wire->ctx, &w->out, w->n_out, cap, 1));
        w->cap_out = cap;
    }
    if (n) memcpy(w->out + w->n_out, bytes, n);
    w->n_out += n;
    return OX_OK;
}

static ox_status put_varint(struct walk *w, uint64_t v) {
    unsigned char b[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        b[n++] = (unsigned char)(v | 0x80);
    b[n++] = (unsigned char)v;
    return put(w, b, n);
}

static ox_status put_tag(struct walk *w, uint32_t number, unsigned wire_type) {
    return put_varint(w, (uint64_t)number << 3 | wire_type);
}

/* Fills in a length for which LENGTH_BYTES were left. */
static void patch_length(struct walk *w, size_t at, size_t length) {
    for (int i = 0; i < LENGTH_BYTES; i++, length >>= 7)
        w->out[at + (size_t)i] =
            (unsigned char)((length & 0x7f) | (i + 1 < LENGTH_BYTES ? 0x80 : 0));
}

static ox_status add_cut(struct walk *w, struct frame *f, uint32_t number, size_t offset,
                         size_t size) {
    if (f->silent) return OX_OK;
    struct ox_wire *wire = w->wire;
    OX_TRY(book(w, sizeof(struct ox_wire_cut)));
    OX_TRY(OX_GROW(wire->ctx, wire->cuts, wire->n_cuts, wire->cap_cuts));
    wire->cuts[wire->n_cuts] = (struct ox_wire_cut){offset, size, number, 0};
    uint32_t index = (uint32_t)++wire->n_cuts; /* the budget keeps it small */
    if (f->last)
        wire->cuts[f->last - 1].next = index;
    else
        f->first = index;
    f->last = index;
    return OX_OK;
}

static ox_status put_note(struct walk *w, const struct frame *f) {
    struct ox_wire *wire = w->wire;
    OX_TRY(book(w, COST_NOTE + sizeof(struct ox_wire_note)));
    OX_TRY(OX_GROW(wire->ctx, wire->notes, wire->n_notes, wire->cap_notes));
    wire->notes[wire->n_notes] = (struct ox_wire_note){f->start, f->first};
    uint64_t index = wire->n_notes++;
    OX_TRY(put_tag(w, NOTE, WIRE_64));
    return put(w, &index, sizeof index);
}

/* ---- reading the wire ------------------------------------------------------------------------ */

/* A varint that ends before `end`; w->pos moves behind it. */
static ox_status varint(uint64_t *out, struct walk *w, size_t end) {
    const unsigned char *data = w->wire->data;
    uint64_t v = 0;
    for (size_t i = 0; i < 10; i++) {
        if (w->pos + i >= end)
            return bad(w, w->pos, "a number is cut off by the end of its message");
        unsigned char b = data[w->pos + i];
        if (i == 9 && b > 1) return bad(w, w->pos, "a number does not fit 64 bits");
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            w->pos += i + 1;
            *out = v;
            return OX_OK;
        }
    }
    return bad(w, w->pos, "a number is longer than 10 bytes");
}

/* Reads a field's tag and finds where it ends; w->pos moves to its content. */
static ox_status read_field(struct field *out, struct walk *w, const struct frame *f) {
    uint64_t tag, length;
    *out = (struct field){.tag_at = w->pos};
    OX_TRY(varint(&tag, w, f->end));
    if (tag >> 3 == 0 || tag >> 3 > FIELD_MAX)
        return bad(w, out->tag_at, "%s has a field with the impossible number %llu",
                   f->desc->short_name, (unsigned long long)(tag >> 3));
    out->number = (uint32_t)(tag >> 3);
    out->wire_type = (unsigned)(tag & 7);
    out->at = w->pos;
    size_t left = f->end - w->pos;
    switch (out->wire_type) {
    case WIRE_VARINT: {
        OX_TRY(varint(&out->varint, w, f->end));
        out->end = w->pos;
        w->pos = out->at;
        return OX_OK;
    }
    case WIRE_64:
        length = 8;
        break;
    case WIRE_32:
        length = 4;
        break;
    case WIRE_BYTES:
        OX_TRY(varint(&length, w, f->end));
        out->at = w->pos;
        left = f->end - w->pos;
        break;
    default:
        return bad(w, out->tag_at, "%s field %u has wire type %u, which is not allowed",
                   f->desc->short_name, out->number, out->wire_type);
    }
    if (length > left)
        return bad(w, out->tag_at, "%s field %u is %llu bytes long, but only %zu are left",
                   f->desc->short_name, out->number, (unsigned long long)length, left);
    out->end = out->at + (size_t)length;
    return OX_OK;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *desc,
                                                  uint32_t number) {
    unsigned low = 0, high = desc->n_fields;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (desc->fields[mid].id == number) return &desc->fields[mid];
        if (desc->fields[mid].id < number)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* Wire type of one element of a scalar field, and its size in protobuf-c's arrays. */
static unsigned element_wire_type(ProtobufCType type, size_t *size) {
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        *size = 4;
        return WIRE_32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        *size = 8;
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
        *size = sizeof(char *);
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_BYTES:
        *size = sizeof(ProtobufCBinaryData);
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        *size = sizeof(void *);
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
        *size = 8;
        return WIRE_VARINT;
    default:
        *size = 4;
        return WIRE_VARINT;
    }
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* Marks a field that may be given once; a oneof counts as one field. */
static ox_status once(struct walk *w, struct frame *f, const ProtobufCFieldDescriptor *fd,
                      const struct field *x) {
    unsigned index = (unsigned)(fd - f->desc->fields);
    if (fd->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        while (index > 0 && (f->desc->fields[index - 1].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
               f->desc->fields[index - 1].quantifier_offset == fd->quantifier_offset)
            index--;
    uint64_t bit = (uint64_t)1 << index;
    if (f->seen & bit)
        return bad(w, x->tag_at, "%s gives '%s' more than once", f->desc->short_name, fd->name);
    f->seen |= bit;
    return OX_OK;
}

static ox_status push(struct walk *w, const ProtobufCMessageDescriptor *desc, size_t end,
                      bool silent) {
    if (w->depth >= w->depth_max)
        return over_limit(w, w->pos, "messages are nested deeper than %d (limit max_message_depth)",
                          w->depth_max);
    if (desc->n_fields > FIELDS_MAX)
        return ox_fail(w->wire->ctx, OX_INTERNAL, "schema", NULL,
                       "%s has too many fields for the reader", desc->name);
    size_t max_nodes = ox_ctx_limits(w->wire->ctx)->max_nodes;
    if (desc == &onnx__node_proto__descriptor && ++w->nodes > max_nodes)
        return over_limit(w, w->pos, "there are more than %zu nodes (limit max_nodes)", max_nodes);
    OX_TRY(book(w, desc->sizeof_message + COST_ALLOC));
    w->stack[w->depth] =
        (struct frame){.desc = desc, .start = w->pos, .end = end, .silent = silent};
    if (w->depth > 0 && !silent) {
        static const unsigned char room[LENGTH_BYTES] = {0};
        w->stack[w->depth].length_at = w->n_out;
        OX_TRY(put(w, room, sizeof room));
    }
    w->depth++;
    return OX_OK;
}

static ox_status pop(struct walk *w) {
    struct frame *f = &w->stack[w->depth - 1];
    if (!f->silent) {
        bool noted = f->first || f->desc == &onnx__node_proto__descriptor ||
                     f->desc == &onnx__tensor_proto__descriptor;
        if (noted) OX_TRY(put_note(w, f));
        if (w->depth > 1) patch_length(w, f->length_at, w->n_out - f->length_at - LENGTH_BYTES);
    }
    w->depth--;
    return OX_OK;
}

static ox_status message_field(struct walk *w, struct frame *f, const ProtobufCFieldDescriptor *fd,
                               const struct field *x) {
    bool silent = f->silent;
    if (fd->label != PROTOBUF_C_LABEL_REPEATED) OX_TRY(once(w, f, fd, x));
    if (cut_kind(f->desc, x->number) == CUT_WHOLE) {
        OX_TRY(add_cut(w, f, x->number, x->tag_at, x->end - x->tag_at));
        silent = true;
    }
    if (!silent) OX_TRY(put_tag(w, x->number, WIRE_BYTES));
    w->pos = x->at;
    return push(w, fd->descriptor, x->end, silent);
}

static ox_status string_field(struct walk *w, const struct frame *f,
                              const ProtobufCFieldDescriptor *fd, const struct field *x) {
    size_t length = x->end - x->at, max = ox_ctx_limits(w->wire->ctx)->max_name_bytes;
    bool is_name = strcmp(fd->name, "doc_string") != 0 && strcmp(fd->name, "value") != 0;
    if (is_name && length > max)
        return over_limit(w, x->at,
                          "%s has a %s of %zu bytes, more than %zu (limit max_name_bytes)",
                          f->desc->short_name, fd->name, length, max);
    if (length && memchr(w->wire->data + x->at, 0, length))
        return bad(w, x->at, "%s has a %s with a zero byte in it", f->desc->short_name, fd->name);
    return OX_OK;
}

/* Checks the elements of a packed field. */
static ox_status packed_field(size_t *count, struct walk *w, const struct frame *f,
                              const ProtobufCFieldDescriptor *fd, const struct field *x) {
    size_t size, length = x->end - x->at;
    unsigned wire_type = element_wire_type(fd->type, &size);
    *count = 0;
    if (wire_type != WIRE_VARINT) {
        if (length % size)
            return bad(w, x->at, "%s has %zu bytes of '%s', not a multiple of %zu",
                       f->desc->short_name, length, fd->name, size);
        *count = length / size;
        return OX_OK;
    }
    for (w->pos = x->at; w->pos < x->end; ++*count) {
        uint64_t value;
        OX_TRY(varint(&value, w, x->end));
    }
    return OX_OK;
}

/* A scalar, string, bytes or packed field: checked, booked, and copied or cut. */
static ox_status scalar_field(struct walk *w, struct frame *f, const ProtobufCFieldDescriptor *fd,
                              const struct field *x) {
    size_t size, count = 1, length = x->end - x->at;
    unsigned expected = element_wire_type(fd->type, &size);
    bool repeated = fd->label == PROTOBUF_C_LABEL_REPEATED;
    bool packed = repeated && expected != WIRE_BYTES && x->wire_type == WIRE_BYTES;
    if (x->wire_type != expected && !packed)
        return bad(w, x->tag_at, "%s field '%s' has wire type %u instead of %u",
                   f->desc->short_name, fd->name, x->wire_type, expected);
    if (fd->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) OX_TRY(once(w, f, fd, x));
    if (fd->type == PROTOBUF_C_TYPE_STRING) OX_TRY(string_field(w, f, fd, x));
    if (packed) OX_TRY(packed_field(&count, w, f, fd, x));
    w->pos = x->end;
    if (cut_kind(f->desc, x->number) == CUT_PAYLOAD) {
        if (!repeated) OX_TRY(once(w, f, fd, x));
        return add_cut(w, f, x->number, x->at, length);
    }
    if (f->silent || count == 0) return OX_OK;
    if (repeated) OX_TRY(book(w, count * size)); /* at most 8 times the file's size */
    if (expected == WIRE_BYTES) OX_TRY(book(w, length + COST_ALLOC));
    OX_TRY(put_tag(w, x->number, x->wire_type));
    if (x->wire_type == WIRE_VARINT) return put_varint(w, x->varint);
    if (x->wire_type == WIRE_BYTES) OX_TRY(put_varint(w, length));
    return put(w, w->wire->data + x->at, length);
}

static ox_status step(struct walk *w) {
    struct frame *f = &w->stack[w->depth - 1];
    if (w->pos == f->end) return pop(w);
    struct field x;
    OX_TRY(read_field(&x, w, f));
    OX_TRY(book(w, COST_SCANNED));
    const ProtobufCFieldDescriptor *fd = find_field(f->desc, x.number);
    if (!fd) {
        w->pos = x.end;
        return add_cut(w, f, OX_WIRE_UNKNOWN, x.tag_at, x.end - x.tag_at);
    }
    if (fd->type != PROTOBUF_C_TYPE_MESSAGE) return scalar_field(w, f, fd, &x);
    if (x.wire_type != WIRE_BYTES)
        return bad(w, x.tag_at, "%s field '%s' is not a message but has wire type %u",
                   f->desc->short_name, fd->name, x.wire_type);
    if (fd->label == PROTOBUF_C_LABEL_REPEATED) OX_TRY(book(w, sizeof(void *)));
    return message_field(w, f, fd, &x);
}

/* ---- unpacking ------------------------------------------------------------------------------- */

/* Messages live in the arena: freed all at once, and no walk over them to do it. */
static void *arena_alloc(void *arena, size_t size) {
    void *p;
    return ox_arena_alloc(arena, &p, size ? size : 1, 1) == OX_OK ? p : NULL;
}

static void arena_free(void *arena, void *p) {
    (void)arena;
    (void)p;
}

static ox_status unpack(struct ox_wire *wire, const ProtobufCMessageDescriptor *desc,
                        const struct walk *w) {
    size_t errors = ox_ctx_errors(wire->ctx);
    ProtobufCAllocator allocator = {arena_alloc, arena_free, &wire->arena};
    static const unsigned char nothing = 0;
    wire->root =
        protobuf_c_message_unpack(desc, &allocator, w->n_out, w->n_out ? w->out : &nothing);
    if (wire->root) return OX_OK;
    if (ox_ctx_errors(wire->ctx) > errors) return OX_NOMEM; /* the arena has said so */
    return ox_fail(wire->ctx, OX_INTERNAL, "bad-protobuf", &(struct ox_place){.file = wire->file},
                   "protobuf-c does not accept the message");
}

static ox_status walk_and_unpack(struct ox_wire *wire, struct walk *w,
                                 const ProtobufCMessageDescriptor *desc) {
    const struct ox_limits *limits = ox_ctx_limits(wire->ctx);
    w->wire = wire;
    w->depth_max = limits->max_message_depth < DEPTH_CAP ? limits->max_message_depth : DEPTH_CAP;
    w->heap_max = limits->max_heap_per_file;
    if (!w->heap_max && (ox_mul_size(&w->heap_max, wire->size, 48) ||
                         ox_add_size(&w->heap_max, w->heap_max, 64 << 20)))
        w->heap_max = SIZE_MAX;
    if (wire->size > limits->max_file_bytes)
        return over_limit(w, 0, "the file has more than %zu bytes (limit max_file_bytes)",
                          limits->max_file_bytes);
    OX_TRY(push(w, desc, wire->size, false));
    while (w->depth > 0)
        OX_TRY(step(w));
    return unpack(wire, desc, w);
}

ox_status ox_wire_unpack(struct ox_wire *out, ox_ctx *ctx, const ProtobufCMessageDescriptor *desc,
                         const void *data, size_t size, const char *file) {
    struct walk *w;
    OX_TRY(ox_alloc(ctx, &w, 1, sizeof *w));
    *out = (struct ox_wire){.ctx = ctx, .data = data, .size = size, .file = file};
    ox_arena_init(&out->arena, ctx);
    ox_status s = walk_and_unpack(out, w, desc);
    ox_free(ctx, w->out);
    ox_free(ctx, w);
    if (s != OX_OK) ox_wire_fini(out);
    return s;
}

void ox_wire_fini(struct ox_wire *wire) {
    ox_arena_fini(&wire->arena);
    ox_free(wire->ctx, wire->cuts);
    ox_free(wire->ctx, wire->notes);
    wire->cuts = NULL;
    wire->notes = NULL;
    wire->root = NULL;
    wire->n_cuts = wire->cap_cuts = wire->n_notes = wire->cap_notes = 0;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

static const struct ox_wire_note *note_of(const struct ox_wire *wire,
                                          const ProtobufCMessage *message) {
    if (message->n_unknown_fields != 1) return NULL;
    uint64_t index;
    memcpy(&index, message->unknown_fields[0].data, sizeof index);
    return &wire->notes[index];
}

static const struct ox_wire_cut *find_cut(const struct ox_wire *wire, uint32_t index,
                                          uint32_t field) {
    for (; index; index = wire->cuts[index - 1].next)
        if (wire->cuts[index - 1].field == field) return &wire->cuts[index - 1];
    return NULL;
}

const struct ox_wire_cut *ox_wire_first(const struct ox_wire *wire, const ProtobufCMessage *message,
                                        uint32_t field) {
    const struct ox_wire_note *note = note_of(wire, message);
    return note ? find_cut(wire, note->first, field) : NULL;
}

const struct ox_wire_cut *ox_wire_next(const struct ox_wire *wire, const struct ox_wire_cut *cut) {
    return find_cut(wire, cut->next, cut->field);
}

int64_t ox_wire_offset(const struct ox_wire *wire, const ProtobufCMessage *message) {
    const struct ox_wire_note *note = note_of(wire, message);
    return note ? (int64_t)note->offset + 1 : 0;
}

ox_status ox_wire_copy(struct ox_str *out, const struct ox_wire *wire, struct ox_arena *arena,
                       const ProtobufCMessage *message, uint32_t field) {
    size_t size = 0;
    *out = (struct ox_str){NULL, 0};
    /* Cuts do not overlap, so their sum is at most the file's size. */
    for (const struct ox_wire_cut *c = ox_wire_first(wire, message, field); c;
         c = ox_wire_next(wire, c))
        size += c->size;
    if (size == 0) return OX_OK;
    char *bytes;
    OX_TRY(ox_arena_alloc(arena, &bytes, size, 1));
    size_t n = 0;
    for (const struct ox_wire_cut *c = ox_wire_first(wire, message, field); c;
         c = ox_wire_next(wire, c)) {
        memcpy(bytes + n, wire->data + c->offset, c->size);
        n += c->size;
    }
    *out = (struct ox_str){bytes, size};
    return OX_OK;
}
