/* backend/onnx/wire_out.h - a protobuf message built from its end to its beginning.
 *
 * A length-delimited field begins with the length of what follows, which is known only when that
 * has been written. Going backwards it has been: an encoder writes a message's fields in descending
 * order, then closes it with its tag. Payloads of tensors are not copied: they are pieces that
 * refer to the tensor's bytes, so that building a message takes memory for the small things only.
 * Failing is sticky: put functions return nothing, the first failure stays in `status` and later
 * puts do nothing. */
#ifndef OX_BACKEND_ONNX_WIRE_OUT_H
#define OX_BACKEND_ONNX_WIRE_OUT_H

#include "backend/onnx/wire_fields.h"
#include "ir/base/bytes.h"

/* A run of bytes of the message. */
struct ox_piece {
    const void *data;
    size_t size;
    const ox_tensor *tensor; /* whose payload it is (borrowed), or NULL: bytes of our own */
};

struct ox_wire_out {
    ox_ctx *ctx;
    ox_status status;
    uint64_t size;           /* of all that has been put */
    struct ox_piece *pieces; /* from the end of the message to its beginning */
    size_t n_pieces, cap_pieces;
    unsigned char *
        *chunks; /* blocks of our own bytes, each filled from its end; the last one is in use */
    size_t n_chunks, cap_chunks;
    size_t room; /* bytes free at the beginning of the last chunk */
};

void ox_wire_out_init(struct ox_wire_out *out, ox_ctx *ctx);
void ox_wire_out_fini(struct ox_wire_out *out);

/* All put in front of what is there. */
void ox_put_bytes(struct ox_wire_out *out, const void *data,
                  size_t size); /* copied, without a tag */
void ox_put_int(struct ox_wire_out *out, enum ox_wire_field field, int64_t value);
void ox_put_float(struct ox_wire_out *out, enum ox_wire_field field, float value);
void ox_put_string(struct ox_wire_out *out, enum ox_wire_field field, const void *data,
                   size_t size);
/* The payload of a tensor (not of strings). Borrowed until fini if it is large. */
void ox_put_payload(struct ox_wire_out *out, enum ox_wire_field field, const ox_tensor *tensor);
/* Closes a message (or any field of bytes) that was begun when out->size was `mark`. */
void ox_put_message(struct ox_wire_out *out, enum ox_wire_field field, uint64_t mark);

#endif
