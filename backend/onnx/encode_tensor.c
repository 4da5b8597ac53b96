/* backend/onnx/encode_tensor.c - types and tensors. */
#include "backend/onnx/encode_priv.h"

#include <stdio.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data and floats are written as they lie in memory, which needs a little-endian machine"
#endif

/* ---- types ----------------------------------------------------------------------------------- */

static void put_dim(struct ox_encoder *e, ox_dim d, const struct ox_dim_notes *notes) {
    char buf[512];
    uint64_t mark = e->out->size;
    size_t len = 0;
    ox_name name = ox_dim_name(d);
    if (notes) {
        ox_encode_raw(e, notes->unknown);
        ox_encode_name(e, OX_F_DIM_DENOTATION, notes->denotation);
    }
    if (ox_dim_is_const(d)) {
        ox_put_int(e->out, OX_F_DIM_VALUE, d.k);
    } else if (name) {
        ox_encode_name(e, OX_F_DIM_PARAM, name);
    } else if (ox_dim_is_known(d) && (len = ox_dim_print(buf, sizeof buf, d)) < sizeof buf) {
        ox_put_string(e->out, OX_F_DIM_PARAM, buf,
                      len); /* an expression; readers take it for one symbol */
    }
    ox_put_message(e->out, OX_F_SHAPE_DIM, mark);
}

/* Tensor and SparseTensor have the same two fields. */
static void put_dense(struct ox_encoder *e, const struct ox_type *t,
                      const struct ox_type_notes *notes, enum ox_wire_field elem,
                      enum ox_wire_field shape) {
    if (t->rank >= 0) {
        uint64_t mark = e->out->size;
        const struct ox_dim_notes *dims = notes->rank == t->rank ? notes->dims : NULL;
        ox_encode_raw(e, notes->shape_unknown);
        for (int i = t->rank; i-- > 0;)
            put_dim(e, t->dims[i], dims ? &dims[i] : NULL);
        ox_put_message(e->out, shape, mark);
    }
    ox_put_int(e->out, elem, t->dtype);
}

/* The one field of a TypeProto that says what it is. Recursion is bounded by how deep readers let
 * types nest. */
static void put_kind(struct ox_encoder *e, const struct ox_type *t,
                     const struct ox_type_notes *notes) {
    uint64_t mark = e->out->size;
    ox_encode_raw(e, notes->kind_unknown);
    switch (t->kind) {
    case OX_TYPE_UNKNOWN:
        break;
    case OX_TYPE_TENSOR:
        put_dense(e, t, notes, OX_F_TYPE_TENSOR_ELEM, OX_F_TYPE_TENSOR_SHAPE);
        ox_put_message(e->out, OX_F_TYPE_TENSOR, mark);
        break;
    case OX_TYPE_SPARSE:
        put_dense(e, t, notes, OX_F_TYPE_SPARSE_ELEM, OX_F_TYPE_SPARSE_SHAPE);
        ox_put_message(e->out, OX_F_TYPE_SPARSE, mark);
        break;
    case OX_TYPE_SEQUENCE:
        ox_encode_type(e, OX_F_TYPE_SEQUENCE_ELEM, t->elem, notes->elem);
        ox_put_message(e->out, OX_F_TYPE_SEQUENCE, mark);
        break;
    case OX_TYPE_OPTIONAL:
        ox_encode_type(e, OX_F_TYPE_OPTIONAL_ELEM, t->elem, notes->elem);
        ox_put_message(e->out, OX_F_TYPE_OPTIONAL, mark);
        break;
    case OX_TYPE_MAP:
        ox_encode_type(e, OX_F_TYPE_MAP_VALUE, t->elem, notes->elem);
        ox_put_int(e->out, OX_F_TYPE_MAP_KEY, t->dtype);
        ox_put_message(e->out, OX_F_TYPE_MAP, mark);
        break;
    }
}

/* Readers refuse a tensor type without an element type, so a type that is known in part only is
 * better left out. */
static bool is_complete(const struct ox_type *t) {
    bool complete = t != NULL;
    for (; t && complete; t = t->elem) {
        bool elements =
            t->kind == OX_TYPE_SEQUENCE || t->kind == OX_TYPE_OPTIONAL || t->kind == OX_TYPE_MAP;
        bool dtype =
            t->kind == OX_TYPE_TENSOR || t->kind == OX_TYPE_SPARSE || t->kind == OX_TYPE_MAP;
        complete = t->kind != OX_TYPE_UNKNOWN && !(elements && !t->elem) &&
                   !(dtype && t->dtype == OX_UNDEFINED);
    }
    return complete;
}

void ox_encode_type(struct ox_encoder *e, enum ox_wire_field field, const struct ox_type *type,
                    const struct ox_type_notes *notes) {
    static const struct ox_type_notes none = {.rank = -1};
    uint64_t mark = e->out->size;
    bool unknown = !type || type->kind == OX_TYPE_UNKNOWN;
    if (!is_complete(type) && !(unknown && notes)) return;
    if (!notes) notes = &none;
    ox_encode_raw(e, notes->unknown);
    bool behind = !unknown && (type->kind == OX_TYPE_SPARSE || type->kind == OX_TYPE_OPTIONAL);
    if (behind) put_kind(e, type, notes);
    ox_encode_name(e, OX_F_TYPE_DENOTATION, notes->denotation);
    if (!behind && !unknown) put_kind(e, type, notes);
    ox_put_message(e->out, field, mark);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static void put_pair(struct ox_encoder *e, enum ox_wire_field field, const char *key,
                     const char *value) {
    uint64_t mark = e->out->size;
    ox_put_string(e->out, OX_F_PAIR_VALUE, value, strlen(value));
    ox_put_string(e->out, OX_F_PAIR_KEY, key, strlen(key));
    ox_put_message(e->out, field, mark);
}

static void put_place(struct ox_encoder *e, const struct ox_external_place *place) {
    enum { EXTERNAL = 1 };
    char number[24];
    ox_put_int(e->out, OX_F_TENSOR_LOCATION, EXTERNAL);
    snprintf(number, sizeof number, "%zu", place->tensor->size);
    put_pair(e, OX_F_TENSOR_EXTERNAL_DATA, "length", number);
    snprintf(number, sizeof number, "%llu", (unsigned long long)place->offset);
    put_pair(e, OX_F_TENSOR_EXTERNAL_DATA, "offset", number);
    put_pair(e, OX_F_TENSOR_EXTERNAL_DATA, "location", e->plan->location);
}

void ox_encode_tensor(struct ox_encoder *e, enum ox_wire_field field, const ox_tensor *tensor,
                      const struct ox_label *label) {
    const struct ox_external_place *place = ox_external_place(e->plan, tensor);
    const struct ox_notes *notes = ox_notes_of(label ? label->notes : NULL);
    uint64_t mark = e->out->size;
    ox_encode_raw(e, notes->unknown);
    ox_encode_pairs(e, OX_F_TENSOR_META, notes->meta);
    if (place) put_place(e, place);
    ox_encode_name(e, OX_F_TENSOR_DOC, notes->doc);
    if (!place && tensor->dtype != OX_STRING) ox_put_payload(e->out, OX_F_TENSOR_RAW_DATA, tensor);
    ox_encode_name(e, OX_F_TENSOR_NAME, label ? label->name : NULL);
    if (tensor->dtype == OX_STRING) {
        const struct ox_str *strings = tensor->data;
        for (size_t i = tensor->count; i-- > 0;)
            ox_put_string(e->out, OX_F_TENSOR_STRING_DATA, strings[i].ptr, strings[i].len);
    }
    ox_put_int(e->out, OX_F_TENSOR_DATA_TYPE, tensor->dtype);
    for (int i = tensor->rank; i-- > 0;)
        ox_put_int(e->out, OX_F_TENSOR_DIMS, tensor->dims[i]);
    ox_put_message(e->out, field, mark);
}

void ox_encode_sparse(struct ox_encoder *e, enum ox_wire_field field,
                      const struct ox_sparse *sparse, ox_name name) {
    const struct ox_notes *notes = ox_notes_of(sparse->notes);
    const struct ox_label *labels = notes->labels;
    uint64_t mark = e->out->size;
    ox_encode_raw(e, notes->unknown);
    for (int i = sparse->rank; i-- > 0;)
        ox_put_int(e->out, OX_F_SPARSE_DIMS, sparse->dims[i]);
    ox_encode_tensor(e, OX_F_SPARSE_INDICES, sparse->indices, labels ? &labels[1] : NULL);
    ox_encode_tensor(e, OX_F_SPARSE_VALUES, sparse->values,
                     &(struct ox_label){name, labels ? labels[0].notes : NULL});
    ox_put_message(e->out, field, mark);
}
