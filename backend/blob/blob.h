/* backend/blob/blob.h - the native format, version 1: what lies in a .oxb file. Specified in
 * backend/native/FORMAT.md.
 *
 * All numbers are little-endian; records are arrays of fixed size; nothing is a pointer. An index
 * is an index into the array of another section. What is here describes; what a reader must prove
 * before it believes any of it stands in blob_check.h. */
#ifndef OX_BACKEND_BLOB_BLOB_H
#define OX_BACKEND_BLOB_BLOB_H

#include "ir/base/context.h"

#define OX_BLOB_MAGIC "\x89OXB\r\n\x1a\n"
enum {
    OX_BLOB_VERSION = 1,
    OX_BLOB_PACKED_FLAG = 1, /* sections 14 and 15 are there */
    OX_BLOB_DIRECT_FLAG =
        2, /* convolutions of floats are direct sums: no method that rounds otherwise */
    OX_BLOB_FLAGS = OX_BLOB_PACKED_FLAG | OX_BLOB_DIRECT_FLAG, /* features a reader must know */
    OX_BLOB_ALIGN = 64, /* of sections in the file, and of constants in the section DATA */
    OX_BLOB_SLACK =
        64 /* zero bytes behind the last constant, so that kernels may read beyond any of them */
};

struct ox_blob_header {
    char magic[8];
    uint32_t version, flags;
    uint64_t file_size;
    uint32_t n_sections, zero;
    uint64_t hash; /* of this header with 0 here, and the section table */
    uint64_t zeros[3];
};

/* X(number, NAME, name, record type, bytes a record). In the file in this order. */
#define OX_BLOB_SECTIONS(X)                                                                        \
    X(1, INFO, info, struct ox_blob_info)                                                          \
    X(2, STRINGS, strings, struct ox_blob_string)                                                  \
    X(3, CHARS, chars, char)                                                                       \
    X(4, DIMS, dims, int64_t)                                                                      \
    X(5, REFS, refs, uint32_t)                                                                     \
    X(6, PORTS, ports, struct ox_blob_port)                                                        \
    X(7, CONSTS, consts, struct ox_blob_const)                                                     \
    X(8, FRAMES, frames, struct ox_blob_frame)                                                     \
    X(9, STEPS, steps, struct ox_blob_step)                                                        \
    X(10, ATTRS, attrs, struct ox_blob_attr)                                                       \
    X(11, PARAMS, params, uint64_t)                                                                \
    X(12, META, meta, struct ox_blob_pair)                                                         \
    X(13, DATA, data, unsigned char)                                                               \
    X(14, PACKS, packs, struct ox_blob_pack)                                                       \
    X(15, PACKED, packed, unsigned char)

enum {
#define X(number, NAME, name, type) OX_BLOB_##NAME = number,
    OX_BLOB_SECTIONS(X)
#undef X
        OX_BLOB_N_SECTIONS = 15,
    OX_BLOB_N_PLAIN = 13 /* of a file without packed weights */
};

struct ox_blob_section {
    uint32_t id, zero;
    uint64_t offset, size; /* in the file; offset is a multiple of OX_BLOB_ALIGN */
    uint64_t hash;         /* XXH64 of its bytes */
};

struct ox_blob_info {
    uint32_t n_slots, n_inputs,
        n_outputs;         /* ports: inputs first, then outputs, then those of frames */
    uint32_t name;         /* string: of the model's graph */
    uint64_t weight_bytes; /* of the constants, each counted once */
    uint64_t zero;
};

/* Text in CHARS; a NUL follows it there. String 0 is empty. */
struct ox_blob_string {
    uint32_t at, len;
};

/* A value as seen from outside, or a result of a frame. */
struct ox_blob_port {
    uint32_t name, type;    /* strings; type as people read it: "float[N,3]" */
    uint32_t dtype;         /* 0: unknown or not a tensor */
    int32_t rank;           /* -1: unknown */
    uint32_t dims, symbols; /* first of `rank` entries in DIMS (-1: not a number) and in REFS
                               (strings; 0: no name) */
    uint32_t fallback;      /* of an input: 1 + the constant it has when nobody gives it; 0: none */
    uint32_t zero;
};

struct ox_blob_const {
    uint32_t dtype, rank;
    uint32_t dims, zero; /* first of `rank` entries in DIMS */
    uint64_t at, size;   /* in DATA. Strings: (count + 1) uint64_t offsets from the first character,
                            ascending from 0, then characters */
};

/* A graph. Frame 0 is the main one; each other is named by one attribute of one step of an earlier
 * frame. */
struct ox_blob_frame {
    uint32_t name;
    uint32_t slot, n_slots; /* its own; frames follow each other without gaps */
    uint32_t step, n_steps; /* the same */
    uint32_t in, n_in;      /* REFS: slots of its inputs */
    uint32_t out, n_out;    /* REFS: operands that are its results */
    uint32_t out_ports;     /* first of n_out entries in PORTS */
    uint32_t zero[2];
};

/* An operand is a slot number, a constant's number with the top bit set, or OX_BLOB_NONE. */
#define OX_BLOB_NONE UINT32_MAX
#define OX_BLOB_CONST_BIT 0x80000000u

/* Kinds that are no native steps (those begin at 16: steps.def). */
enum { OX_BLOB_GENERIC = 1 /* a row of the operator table, control flow included */ };

struct ox_blob_step {
    uint32_t kind;
    uint32_t name, domain, op; /* strings: of the node, and the operator it was */
    uint32_t why; /* string: why it is not a native step; 0: it is one, or nobody asked */
    int32_t opset;
    uint32_t in, n_in;       /* REFS: operands */
    uint32_t out, n_out;     /* REFS: slots, or OX_BLOB_NONE where a result is not wanted */
    uint32_t drop, n_drop;   /* REFS: slots of its own frame that nobody reads after it */
    uint32_t attrs, n_attrs; /* generic steps */
    uint32_t params;         /* native steps: first of the record's uint64_t in PARAMS */
    uint32_t params_size;    /* bytes */
};

struct ox_blob_attr {
    uint32_t name;
    uint32_t type;  /* enum ox_attr_type */
    uint32_t count; /* of the plural types, else 1 */
    uint32_t zero;
    uint64_t value; /* FLOAT: its bits; INT: the number; STRING: string; TENSOR: constant; GRAPH:
                     * frame; FLOATS: first of its bits in REFS; INTS: first in DIMS; STRINGS,
                     * TENSORS: first in REFS */
};

/* Metadata of the model: producer and the like under keys that begin with a dot, metadata_props
 * under their own. */
struct ox_blob_pair {
    uint32_t key, value; /* strings */
};

/* Packed weights of a native step, for one class of processors. Sorted by class, step and part,
 * each once. */
struct ox_blob_pack {
    uint32_t class;      /* string */
    uint32_t step, part; /* parts of a step are numbered by its kernel */
    uint32_t layout;     /* the kernel's */
    uint64_t at, size;   /* in PACKED; in the same order, each at the next multiple of OX_BLOB_ALIGN
                          * that leaves OX_BLOB_SLACK bytes   behind the one before */
};

#define X(number, NAME, name, type) _Static_assert(sizeof(type) <= 64, "records are small");
OX_BLOB_SECTIONS(X)
#undef X
_Static_assert(sizeof(struct ox_blob_header) == 64 && sizeof(struct ox_blob_section) == 32,
               "part of the format");
_Static_assert(sizeof(struct ox_blob_info) == 32 && sizeof(struct ox_blob_string) == 8 &&
                   sizeof(struct ox_blob_port) == 32,
               "part of the format");
_Static_assert(sizeof(struct ox_blob_const) == 32 && sizeof(struct ox_blob_frame) == 48 &&
                   sizeof(struct ox_blob_step) == 64,
               "part of the format");
_Static_assert(sizeof(struct ox_blob_attr) == 24 && sizeof(struct ox_blob_pair) == 8 &&
                   sizeof(struct ox_blob_pack) == 32,
               "part of the format");

/* The sections of a blob in memory: arrays and their lengths. */
struct ox_blob {
    uint32_t flags; /* of the header */
#define X(number, NAME, name, type)                                                                \
    const type *name;                                                                              \
    size_t n_##name;
    OX_BLOB_SECTIONS(X)
#undef X
};

#endif
