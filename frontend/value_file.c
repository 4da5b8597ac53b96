/* frontend/value_file.c - one recorded value: a tensor, or a sequence, an optional or a map of them
 * (SequenceProto, OptionalProto, MapProto). A file does not say which it is; who reads it must
 * know.
 *
 * A map becomes a list of two tensors of rank 1, its keys and as many values. */
#include "frontend/reader_priv.h"
#include <onnxopt/load.h>

enum { DEPTH_MAX = 8 };
/* Numbers of fields, the same in SequenceProto and OptionalProto; and of MapProto. */
enum { FIELD_TENSOR = 3, FIELD_SEQUENCE = 5, FIELD_MAP = 6, FIELD_OPTIONAL = 7 };
enum { MAP_KEY_TYPE = 2, MAP_KEYS = 3, MAP_STRING_KEYS = 4, MAP_VALUES = 5 };

struct span {
    const unsigned char *at, *end;
};

struct field {
    uint64_t number, value; /* value: of a varint */
    bool is_span;
    struct span span;
};

struct list {
    ox_ctx *ctx;
    const struct ox_place *place;
    ox_tensor **at;
    size_t n, cap;
};

static bool varint(uint64_t *out, struct span *s) {
    *out = 0;
    for (unsigned shift = 0; s->at < s->end && shift < 64; shift += 7) {
        unsigned char byte = *s->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

/* The next field, which must be a varint or length-delimited; false: none, or broken (then at is
 * not the end). */
static bool next_field(struct field *f, struct span *s) {
    struct span rest = *s;
    uint64_t tag;
    if (rest.at == rest.end || !varint(&tag, &rest) || !varint(&f->value, &rest)) return false;
    f->number = tag >> 3;
    f->is_span = (tag & 7) == 2;
    if (f->is_span) {
        if (f->value > (uint64_t)(rest.end - rest.at)) return false;
        f->span = (struct span){rest.at, rest.at + f->value};
        rest.at += f->value;
    } else if ((tag & 7) != 0) {
        return false;
    }
    *s = rest;
    return true;
}

static ox_status broken(const struct list *l, const char *what) {
    return ox_fail(l->ctx, OX_INVALID, "bad-value", l->place, "a recorded %s is broken", what);
}

static ox_status read_tensor(ox_tensor **out, const struct list *l, struct span s) {
    struct ox_bytes *bytes;
    struct ox_wire wire;
    struct ox_external external;
    size_t size = (size_t)(s.end - s.at);
    OX_TRY(ox_bytes_new(&bytes, l->ctx, size));
    if (size) memcpy(bytes->data, s.at, size);
    ox_status status = ox_external_init(&external, l->ctx, NULL, NULL);
    if (status == OX_OK) {
        status = ox_wire_unpack(&wire, l->ctx, &onnx__tensor_proto__descriptor, bytes->data, size,
                                l->place->file);
        if (status == OX_OK) {
            const struct ox_tensor_source source = {l->ctx, &wire, bytes, &external, l->place};
            status = ox_read_tensor(out, &source, (const Onnx__TensorProto *)wire.root);
            ox_wire_fini(&wire);
        }
        ox_external_fini(&external);
    }
    ox_bytes_unref(bytes);
    return status;
}

/* ---- maps ------------------------------------------------------------------------------------ */

struct keys {
    int64_t *ints;
    struct ox_str *strings; /* in the file's bytes */
    size_t n_ints, cap_ints, n_strings, cap_strings;
    struct span values;
};

static ox_status add_key(struct keys *k, const struct list *l, uint64_t value) {
    OX_TRY(OX_GROW(l->ctx, k->ints, k->n_ints, k->cap_ints));
    k->ints[k->n_ints++] = (int64_t)value;
    return OX_OK;
}

static ox_status read_keys(struct keys *k, const struct list *l, struct span s) {
    struct field f;
    while (next_field(&f, &s)) {
        if (f.number == MAP_KEY_TYPE && !f.is_span && f.value != OX_INT64 && f.value != OX_STRING)
            return ox_fail(l->ctx, OX_UNSUPPORTED, "no-reader", l->place,
                           "a map with keys that are neither int64 nor strings");
        if (f.number == MAP_KEYS && !f.is_span) OX_TRY(add_key(k, l, f.value));
        while (f.number == MAP_KEYS && f.is_span && f.span.at < f.span.end) {
            if (!varint(&f.value, &f.span)) return broken(l, "map");
            OX_TRY(add_key(k, l, f.value));
        }
        if (f.number == MAP_STRING_KEYS && f.is_span) {
            OX_TRY(OX_GROW(l->ctx, k->strings, k->n_strings, k->cap_strings));
            k->strings[k->n_strings++] =
                (struct ox_str){(const char *)f.span.at, (size_t)(f.span.end - f.span.at)};
        }
        if (f.number == MAP_VALUES && f.is_span) k->values = f.span;
    }
    return s.at == s.end && !(k->n_ints && k->n_strings) ? OX_OK : broken(l, "map");
}

/* Tensors of one element each, or a single one with all of them, as a vector. */
static ox_status join(ox_tensor **out, const struct list *l, size_t n) {
    const ox_tensor *first = l->n ? l->at[0] : NULL;
    int64_t dims = (int64_t)n;
    if (!first) return n ? broken(l, "map") : ox_tensor_new(out, NULL, l->ctx, OX_FLOAT, 1, &dims);
    bool one = l->n == 1 && first->count == n, each = l->n == n;
    for (size_t i = 0; i < l->n; i++)
        each = each && ox_dtype_valid(l->at[i]->dtype) && l->at[i]->dtype == first->dtype &&
               l->at[i]->count == 1;
    if ((!one && !each) || !ox_dtype_valid(first->dtype) || ox_dtype_bits(first->dtype) < 8)
        return first->dtype == OX_STRING && each ? broken(l, "map of strings") : broken(l, "map");
    size_t size =
        first->dtype == OX_STRING ? sizeof(struct ox_str) : (size_t)ox_dtype_bits(first->dtype) / 8;
    unsigned char *all;
    OX_TRY(ox_alloc(l->ctx, &all, n, size));
    for (size_t i = 0; i < l->n && n; i++)
        memcpy(all + i * size, l->at[i]->data, one ? n * size : size);
    ox_status s =
        first->dtype == OX_STRING
            ? ox_tensor_strings(out, l->ctx, 1, &dims, (const struct ox_str *)(const void *)all)
            : ox_tensor_copy(out, l->ctx, first->dtype, 1, &dims, all, n * size);
    ox_free(l->ctx, all);
    return s;
}

static ox_status read_items(struct list *l, struct span s, int depth);

static void drop(struct list *l) {
    for (size_t i = 0; i < l->n; i++)
        ox_tensor_unref(l->at[i]);
    ox_free(l->ctx, l->at);
}

static ox_status read_map(ox_tensor **out, const struct list *outer, struct span s, int depth) {
    struct keys k = {0};
    struct list values = {.ctx = outer->ctx, .place = outer->place};
    ox_tensor *parts[2] = {NULL, NULL};
    ox_status status = read_keys(&k, outer, s);
    int64_t n = (int64_t)(k.n_ints + k.n_strings);
    if (status == OX_OK && k.values.at) status = read_items(&values, k.values, depth + 1);
    if (status == OX_OK)
        status = k.n_strings ? ox_tensor_strings(&parts[0], outer->ctx, 1, &n, k.strings)
                             : ox_tensor_copy(&parts[0], outer->ctx, OX_INT64, 1, &n,
                                              k.ints ? (const void *)k.ints : "",
                                              k.n_ints * sizeof *k.ints);
    if (status == OX_OK) status = join(&parts[1], &values, (size_t)n);
    if (status == OX_OK) status = ox_tensor_list(out, outer->ctx, OX_MAP, 2, parts);
    ox_tensor_unref(parts[0]);
    ox_tensor_unref(parts[1]);
    drop(&values);
    ox_free(outer->ctx, k.ints);
    ox_free(outer->ctx, k.strings);
    return status;
}

/* ---- sequences and optionals ----------------------------------------------------------------- */

static ox_status read_kind(ox_tensor **out, const struct list *outer, ox_dtype kind, struct span s,
                           int depth) {
    if (depth >= DEPTH_MAX)
        return ox_fail(outer->ctx, OX_INVALID, "bad-value", outer->place,
                       "lists in lists, more than %d deep", DEPTH_MAX);
    if (kind == OX_MAP) return read_map(out, outer, s, depth);
    if (kind != OX_SEQUENCE && kind != OX_OPTIONAL) return read_tensor(out, outer, s);
    struct list items = {.ctx = outer->ctx, .place = outer->place};
    ox_status status = read_items(&items, s, depth + 1);
    if (status == OX_OK && kind == OX_OPTIONAL && items.n > 1) status = broken(outer, "optional");
    if (status == OX_OK) status = ox_tensor_list(out, outer->ctx, kind, items.n, items.at);
    drop(&items);
    return status;
}

static ox_status read_items(struct list *l, struct span s, int depth) {
    struct field f;
    while (next_field(&f, &s)) {
        ox_dtype kind = f.number == FIELD_SEQUENCE   ? OX_SEQUENCE
                        : f.number == FIELD_OPTIONAL ? OX_OPTIONAL
                        : f.number == FIELD_MAP      ? OX_MAP
                                                     : OX_UNDEFINED;
        if (!f.is_span || (f.number != FIELD_TENSOR && kind == OX_UNDEFINED)) continue;
        OX_TRY(OX_GROW(l->ctx, l->at, l->n, l->cap));
        OX_TRY(read_kind(&l->at[l->n], l, kind, f.span, depth)); /* as deep as DEPTH_MAX */
        l->n++;
    }
    return s.at == s.end ? OX_OK : broken(l, "sequence");
}

ox_status ox_value_file_read(ox_tensor **out, ox_ctx *ctx, const char *path, ox_dtype kind) {
    struct ox_bytes *bytes;
    const struct ox_place place = {.file = path};
    const struct list top = {.ctx = ctx, .place = &place};
    OX_TRY(ox_file_map(&bytes, ctx, path, ox_ctx_limits(ctx)->max_file_bytes));
    ox_status s =
        read_kind(out, &top, kind, (struct span){bytes->data, bytes->data + bytes->size}, 0);
    ox_bytes_unref(bytes);
    return s;
}
