/* fuzz_wire.c - see fuzz_wire.h. The message is copied field by field; the field whose turn it is
 * gets changed on the way, and the lengths of the messages around it follow. */
#include "tests/fuzz/fuzz_wire.h"

#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 40, BUFFER = 1 << 16 };

/* libFuzzer's own; in a replay program nobody calls the mutator. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

struct copy {
    uint64_t seed;
    size_t turn; /* fields until the one to change */
    size_t fields;
    unsigned char last[512]; /* a field seen before, to be put in again */
    size_t last_len;
};

struct out {
    unsigned char *data;
    size_t len, cap;
    bool full;
};

static uint64_t next(struct copy *c) {
    c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
    return c->seed >> 33;
}

static void put(struct out *o, const void *data, size_t n) {
    if (n > o->cap - o->len) {
        o->full = true;
        return;
    }
    memcpy(o->data + o->len, data, n);
    o->len += n;
}

static void put_varint(struct out *o, uint64_t v) {
    unsigned char b[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        b[n++] = (unsigned char)(v | 0x80);
    b[n++] = (unsigned char)v;
    put(o, b, n);
}

static bool get_varint(uint64_t *out, const unsigned char **p, const unsigned char *end) {
    *out = 0;
    for (int i = 0; i < 10 && *p < end; i++) {
        unsigned char b = *(*p)++;
        *out |= (uint64_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) return true;
    }
    return false;
}

/* One field as it stands. */
struct field {
    const unsigned char *begin, *value, *end;
    uint64_t tag, number;
};

static bool get_field(struct field *f, const unsigned char **p, const unsigned char *end) {
    uint64_t length = 0;
    f->begin = *p;
    if (!get_varint(&f->tag, p, end)) return false;
    f->value = *p;
    switch (f->tag & 7) {
    case 0:
        if (!get_varint(&f->number, p, end)) return false;
        f->end = *p;
        return true;
    case 1:
        length = 8;
        break;
    case 5:
        length = 4;
        break;
    case 2:
        if (!get_varint(&length, p, end)) return false;
        f->value = *p;
        break;
    default:
        return false;
    }
    if (length > (uint64_t)(end - *p)) return false;
    f->end = *p += length;
    return true;
}

static uint64_t odd_number(struct copy *c, uint64_t old) {
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   3,
                                   7,
                                   8,
                                   16,
                                   17,
                                   64,
                                   65,
                                   255,
                                   1u << 16,
                                   0x7fffffff,
                                   0x80000000u,
                                   0xffffffffu,
                                   (uint64_t)1 << 32,
                                   (uint64_t)INT64_MAX,
                                   (uint64_t)INT64_MIN,
                                   UINT64_MAX,
                                   UINT64_MAX - 1};
    switch (next(c) % 4) {
    case 0:
        return old + 1;
    case 1:
        return old - 1;
    case 2:
        return next(c) % 32;
    default:
        return odd[next(c) % (sizeof odd / sizeof odd[0])];
    }
}

/* The field's content, changed. */
static void put_changed(struct out *o, struct copy *c, const struct field *f) {
    unsigned char bytes[4096];
    size_t n = (size_t)(f->end - f->value);
    put_varint(o, f->tag);
    if ((f->tag & 7) == 0) {
        put_varint(o, odd_number(c, f->number));
        return;
    }
    if (n > sizeof bytes / 2) n = sizeof bytes / 2;
    memcpy(bytes, f->value, n);
    if (LLVMFuzzerMutate) n = LLVMFuzzerMutate(bytes, n, (f->tag & 7) == 2 ? sizeof bytes : n);
    if ((f->tag & 7) == 2) put_varint(o, n);
    put(o, bytes, n);
}

static void change(struct out *o, struct copy *c, const struct field *f) {
    size_t whole = (size_t)(f->end - f->begin);
    switch (next(c) % 8) {
    case 0:
        break; /* left out */
    case 1:    /* twice */
        put(o, f->begin, whole);
        put(o, f->begin, whole);
        break;
    case 2: /* with another one before it */
        put(o, c->last, c->last_len);
        put(o, f->begin, whole);
        break;
    case 3: /* another one instead */
        put(o, c->last, c->last_len);
        break;
    case 4: /* under another number */
        put_varint(o, (f->tag & 7) | (next(c) % 30 + 1) << 3);
        if ((f->tag & 7) == 2) put_varint(o, (uint64_t)(f->end - f->value));
        put(o, f->value, (size_t)(f->end - f->value));
        break;
    default:
        put_changed(o, c, f);
    }
}

static const ProtobufCMessageDescriptor *message_of(const ProtobufCMessageDescriptor *desc,
                                                    uint64_t tag) {
    for (unsigned i = 0; i < desc->n_fields; i++)
        if (desc->fields[i].id == tag >> 3 && (tag & 7) == 2 &&
            desc->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            return desc->fields[i].descriptor;
    return NULL;
}

static bool copy_message(struct out *o, struct copy *c, const ProtobufCMessageDescriptor *desc,
                         const unsigned char *p, const unsigned char *end, int depth) {
    struct field f;
    while (p < end) {
        if (!get_field(&f, &p, end)) return false;
        const ProtobufCMessageDescriptor *inner = message_of(desc, f.tag);
        size_t whole = (size_t)(f.end - f.begin);
        bool turn = c->fields++ == c->turn;
        if (turn && (!inner || next(c) % 2)) {
            change(o, c, &f);
        } else if (inner && depth < DEPTH_MAX) {
            /* Room for a length of 5 bytes, filled in behind. */
            put_varint(o, f.tag);
            size_t at = o->len;
            put(o, "\x80\x80\x80\x80\x00", 5);
            if (o->full || !copy_message(o, c, inner, f.value, f.end, depth + 1) || o->full)
                return false;
            size_t n = o->len - at - 5;
            for (int i = 0; i < 5; i++, n >>= 7)
                o->data[at + (size_t)i] = (unsigned char)((n & 0x7f) | (i < 4 ? 0x80 : 0));
        } else {
            put(o, f.begin, whole);
        }
        if (whole <= sizeof c->last && next(c) % 4 == 0) {
            memcpy(c->last, f.begin, whole);
            c->last_len = whole;
        }
    }
    return true;
}

size_t fuzz_wire_mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed,
                        const ProtobufCMessageDescriptor *desc) {
    static unsigned char buffer[BUFFER];
    struct copy count = {.seed = seed, .turn = SIZE_MAX};
    struct out o = {buffer, 0, max_size < BUFFER ? max_size : BUFFER, false};
    if (!LLVMFuzzerMutate) return size;
    if (seed % 4 == 0 || !copy_message(&o, &count, desc, data, data + size, 0) || count.fields == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    struct copy c = {.seed = seed * 2654435761u, .last_len = count.last_len};
    memcpy(c.last, count.last, sizeof c.last);
    c.turn = next(&c) % count.fields;
    o.len = 0;
    if (!copy_message(&o, &c, desc, data, data + size, 0) || o.full)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(data, buffer, o.len);
    return o.len;
}
