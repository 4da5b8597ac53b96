/* ir/graph/notes.h - what a file says about a value, node, attribute or tensor that no pass needs,
 * kept for writing.
 *
 * Most things have nothing of the kind, so they hold a pointer that is NULL then. Notes are
 * immutable and live in the model's arena: what takes another thing's place may share its notes. */
#ifndef OX_IR_GRAPH_NOTES_H
#define OX_IR_GRAPH_NOTES_H

#include "ir/base/bytes.h"
#include "ir/base/name.h"

/* Ordered string pairs (metadata_props and the like). */
struct ox_pairs {
    size_t count;
    struct {
        ox_name key, value;
        struct ox_str unknown; /* unknown fields of the entry, raw wire bytes, as everywhere */
    } at[];
};

struct ox_dim_notes {
    ox_name denotation;
    struct ox_str unknown;
};

/* What a TypeProto says besides the type. */
struct ox_type_notes {
    ox_name denotation;
    struct ox_str unknown, kind_unknown,
        shape_unknown; /* of the TypeProto, of the message for its kind, of the shape */
    int rank;          /* of the shape; -1: none */
    const struct ox_dim_notes *dims;  /* rank entries, or NULL */
    const struct ox_type_notes *elem; /* of the type of the elements, or NULL */
};

/* What a tensor is called and what is said about it, where it is no value of its own. */
struct ox_label {
    ox_name name;
    const struct ox_notes *notes;
};

struct ox_notes {
    ox_name doc;
    const struct ox_pairs *meta; /* metadata_props, or NULL */
    struct ox_str unknown;       /* unknown fields of the message */
    /* Value, graph output: one, of the declared type. Attribute: one for each type it holds. NULL
     * as a whole, or where there is nothing to say. */
    const struct ox_type_notes *const *types;
    /* Attribute: one for each tensor it holds. Sparse tensor: of its values (their name is the
     * sparse tensor's) and indices. Input: one, of its default. NULL as a whole where there is
     * nothing to say. */
    const struct ox_label *labels;
};

/* Never NULL. */
static inline const struct ox_notes *ox_notes_of(const struct ox_notes *notes) {
    static const struct ox_notes none = {0};
    return notes ? notes : &none;
}

#endif
