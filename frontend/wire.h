/* frontend/wire.h - protobuf messages from hostile bytes: checked, cut, and only then unpacked.
 *
 * protobuf-c has no limit on nesting, merges repeated singular messages in quadratic time, expands
 * a few bytes to hundreds, and copies weights. So it never sees a file. A walker goes over the wire
 * once, without recursion, checks all that is listed in wire.c, and writes a skeleton: the same
 * message without
 *   - payloads: raw_data, float_data and double_data of every TensorProto;
 *   - fields that are carried as they are (training_info, quantization_annotation, a function's
 * value_info);
 *   - unknown fields.
 * What is left out is recorded as cuts: places in the file, kept per message. Weights are then
 * slices of the mapped file, whatever their size, and protobuf-c unpacks the skeleton only.
 *
 * Usage: ox_wire_unpack; read messages and cuts; ox_wire_fini. Messages and cuts live until then.
 */
#ifndef OX_FRONTEND_WIRE_H
#define OX_FRONTEND_WIRE_H

#include "ir/base/arena.h"
#include <protobuf-c/protobuf-c.h>

enum { OX_WIRE_UNKNOWN = 0 }; /* field number of the cuts of all unknown fields together */

/* A piece of the file that was left out of a message: of a payload its content, of other fields the
 * whole field with its tag. */
struct ox_wire_cut {
    size_t offset, size;
    uint32_t field;
    uint32_t next; /* index of the message's next cut + 1; 0: none */
};

/* What is known of a message besides its fields. */
struct ox_wire_note {
    size_t offset;  /* of its first byte in the file */
    uint32_t first; /* index of its first cut + 1; 0: none */
};

struct ox_wire {
    ox_ctx *ctx;
    const unsigned char *data; /* the file, borrowed */
    size_t size;
    const char *file;      /* name for diagnostics, borrowed */
    struct ox_arena arena; /* of the unpacked messages */
    ProtobufCMessage *root;
    struct ox_wire_cut *cuts;
    size_t n_cuts, cap_cuts;
    struct ox_wire_note *notes;
    size_t n_notes, cap_notes;
};

/* Unpacks the message of type `desc` that `data` holds. Malformed or ambiguous bytes are
 * OX_INVALID, too much memory for the size of the file (limits.max_heap_per_file) is OX_NOMEM. On
 * failure *out needs no fini. */
OX_MUST_USE ox_status ox_wire_unpack(struct ox_wire *out, ox_ctx *ctx,
                                     const ProtobufCMessageDescriptor *desc, const void *data,
                                     size_t size, const char *file);
void ox_wire_fini(struct ox_wire *wire);

/* Cuts of one field of a message, in the file's order; NULL: no more. */
const struct ox_wire_cut *ox_wire_first(const struct ox_wire *wire, const ProtobufCMessage *message,
                                        uint32_t field);
const struct ox_wire_cut *ox_wire_next(const struct ox_wire *wire, const struct ox_wire_cut *cut);
/* Offset + 1 of a message's first byte, 0 if it was not noted. Nodes and tensors always are. */
int64_t ox_wire_offset(const struct ox_wire *wire, const ProtobufCMessage *message);
/* All cuts of one field put together, copied to an arena. */
OX_MUST_USE ox_status ox_wire_copy(struct ox_str *out, const struct ox_wire *wire,
                                   struct ox_arena *arena, const ProtobufCMessage *message,
                                   uint32_t field);

#endif
