/* backend/onnx/wire_out.c - see wire_out.h. */
#include "backend/onnx/wire_out.h"

enum {
    CHUNK = 64 * 1024,
    COPY_MAX = 4096 /* smaller payloads are copied: a piece of its own costs more */
};

void ox_wire_out_init(struct ox_wire_out *out, ox_ctx *ctx) {
    *out = (struct ox_wire_out){.ctx = ctx};
}

void ox_wire_out_fini(struct ox_wire_out *out) {
    for (size_t i = 0; i < out->n_chunks; i++)
        ox_free(out->ctx, out->chunks[i]);
    ox_free(out->ctx, out->chunks);
    ox_free(out->ctx, out->pieces);
    ox_wire_out_init(out, out->ctx);
}

static ox_status add_piece(struct ox_wire_out *out, const void *data, size_t size,
                           const ox_tensor *tensor) {
    OX_TRY(OX_GROW(out->ctx, out->pieces, out->n_pieces, out->cap_pieces));
    out->pieces[out->n_pieces++] = (struct ox_piece){data, size, tensor};
    return OX_OK;
}

/* Room for `size` bytes directly in front of what was put last, if that was our own. */
static ox_status take_room(unsigned char **at, struct ox_wire_out *out, size_t size) {
    if (size > out->room) {
        size_t want = size > CHUNK ? size : CHUNK;
        OX_TRY(OX_GROW(out->ctx, out->chunks, out->n_chunks, out->cap_chunks));
        OX_TRY(ox_alloc_raw(out->ctx, &out->chunks[out->n_chunks], want, 1));
        out->n_chunks++;
        out->room = want;
    }
    out->room -= size;
    *at = out->chunks[out->n_chunks - 1] + out->room;
    struct ox_piece *last = out->n_pieces ? &out->pieces[out->n_pieces - 1] : NULL;
    if (!last || last->data != *at + size || last->tensor) return add_piece(out, *at, size, NULL);
    last->data = *at;
    last->size += size;
    return OX_OK;
}

void ox_put_bytes(struct ox_wire_out *out, const void *data, size_t size) {
    unsigned char *at;
    if (out->status != OX_OK || size == 0) return;
    out->status = take_room(&at, out, size);
    if (out->status != OX_OK) return;
    memcpy(at, data, size);
    out->size += size;
}

static void put_varint(struct ox_wire_out *out, uint64_t value) {
    unsigned char buf[10];
    size_t n = 0;
    do {
        buf[n++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    ox_put_bytes(out, buf, n);
}

void ox_put_int(struct ox_wire_out *out, enum ox_wire_field field, int64_t value) {
    put_varint(out, (uint64_t)value);
    put_varint(out, field);
}

void ox_put_float(struct ox_wire_out *out, enum ox_wire_field field, float value) {
    ox_put_bytes(out, &value, 4); /* little-endian, as is the machine */
    put_varint(out, field);
}

void ox_put_message(struct ox_wire_out *out, enum ox_wire_field field, uint64_t mark) {
    put_varint(out, out->size - mark);
    put_varint(out, field);
}

void ox_put_string(struct ox_wire_out *out, enum ox_wire_field field, const void *data,
                   size_t size) {
    uint64_t mark = out->size;
    ox_put_bytes(out, data, size);
    ox_put_message(out, field, mark);
}

void ox_put_payload(struct ox_wire_out *out, enum ox_wire_field field, const ox_tensor *tensor) {
    uint64_t mark = out->size;
    if (tensor->size <= COPY_MAX) {
        ox_put_bytes(out, tensor->data, tensor->size);
    } else if (out->status == OX_OK) {
        out->status = add_piece(out, tensor->data, tensor->size, tensor);
        out->size += tensor->size;
    }
    ox_put_message(out, field, mark);
}
