/* frontend/reader_type.c - TypeProto to struct ox_type.
 *
 * A type is a chain (sequence of optional of ... tensor), so it is read without recursion: down to
 * the innermost message, then outwards. */
#include "frontend/reader_priv.h"

enum { TYPE_DEPTH = 128 }; /* more than wire.c lets through */

static ox_status read_dtype(ox_dtype *out, struct ox_reader *r, bool given, int32_t number) {
    *out = OX_UNDEFINED;
    if (!given || number == OX_UNDEFINED) return OX_OK;
    if (!ox_dtype_valid(number))
        return ox_reader_bad(r, "wrong-type", "a value has the element type %d", number);
    *out = (ox_dtype)number;
    return OX_OK;
}

static ox_status read_dim(ox_dim *out, struct ox_reader *r,
                          const Onnx__TensorShapeProto__Dimension *d) {
    struct ox_dims *dims = &r->model->dims;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
        if (d->dim_value == -1)
            return ox_dim_unknown(out, dims); /* not standard, but an old habit of exporters */
        if (d->dim_value < 0)
            return ox_reader_bad(r, "bad-shape", "a value has the dimension %lld",
                                 (long long)d->dim_value);
        *out = ox_dim_const(d->dim_value);
        return OX_OK;
    }
    ox_name name = NULL;
    if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
        OX_TRY(ox_read_name(&name, r, d->dim_param));
    return name ? ox_dim_symbol(out, dims, name) : ox_dim_unknown(out, dims);
}

/* A shape made of numbers must be one that a tensor can have. */
static ox_status check_size(struct ox_reader *r, ox_dtype dtype, size_t rank, const ox_dim *dims) {
    int64_t numbers[OX_MAX_RANK];
    for (size_t i = 0; i < rank; i++) {
        if (!ox_dim_is_const(dims[i])) return OX_OK;
        numbers[i] = dims[i].k;
    }
    if (ox_shape_size(NULL, NULL, dtype ? dtype : OX_UINT8, (int64_t)rank, numbers))
        return ox_reader_bad(r, "bad-shape", "a value has more elements than memory can hold");
    return OX_OK;
}

static ox_status read_shape(int *rank, const ox_dim **out, struct ox_reader *r, ox_dtype dtype,
                            const Onnx__TensorShapeProto *shape) {
    *rank = -1;
    *out = NULL;
    if (!shape) return OX_OK;
    if (shape->n_dim > OX_MAX_RANK)
        return ox_reader_bad(r, "bad-shape", "a value has rank %zu, more than %d", shape->n_dim,
                             OX_MAX_RANK);
    ox_dim *dims;
    OX_TRY(ox_arena_alloc(&r->model->arena, &dims, shape->n_dim, sizeof *dims));
    for (size_t i = 0; i < shape->n_dim; i++)
        OX_TRY(read_dim(&dims[i], r, shape->dim[i]));
    OX_TRY(check_size(r, dtype, shape->n_dim, dims));
    *rank = (int)shape->n_dim;
    *out = dims;
    return OX_OK;
}

/* One link of the chain, from what it contains. */
static ox_status read_link(struct ox_type *out, struct ox_reader *r, const Onnx__TypeProto *proto) {
    switch (proto->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: {
        const Onnx__TypeProto__Tensor *t = proto->tensor_type;
        out->kind = OX_TYPE_TENSOR;
        OX_TRY(read_dtype(&out->dtype, r, t->has_elem_type, t->elem_type));
        return read_shape(&out->rank, &out->dims, r, out->dtype, t->shape);
    }
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE: {
        const Onnx__TypeProto__SparseTensor *t = proto->sparse_tensor_type;
        out->kind = OX_TYPE_SPARSE;
        OX_TRY(read_dtype(&out->dtype, r, t->has_elem_type, t->elem_type));
        return read_shape(&out->rank, &out->dims, r, out->dtype, t->shape);
    }
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        out->kind = OX_TYPE_SEQUENCE;
        return OX_OK;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        out->kind = OX_TYPE_OPTIONAL;
        return OX_OK;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        out->kind = OX_TYPE_MAP;
        return read_dtype(&out->dtype, r, proto->map_type->has_key_type, proto->map_type->key_type);
    default:
        return OX_OK;
    }
}

static const Onnx__TypeProto *element(const Onnx__TypeProto *proto) {
    switch (proto->value_case) {
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return proto->sequence_type->elem_type;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return proto->optional_type->elem_type;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        return proto->map_type->value_type;
    default:
        return NULL;
    }
}

ox_status ox_read_type(const struct ox_type **out, struct ox_reader *r,
                       const Onnx__TypeProto *proto) {
    const Onnx__TypeProto *chain[TYPE_DEPTH];
    size_t n = 0;
    for (; proto; proto = element(proto)) {
        if (n == TYPE_DEPTH) return ox_reader_bad(r, "over-limit", "a type is nested too deeply");
        chain[n++] = proto;
    }
    const struct ox_type *inner = NULL;
    struct ox_type *t;
    do { /* at least once: no message at all is the unknown type */
        OX_TRY(ox_arena_alloc(&r->model->arena, &t, 1, sizeof *t));
        t->rank = -1;
        t->elem = inner;
        if (n == 0) break;
        OX_TRY(read_link(t, r, chain[n - 1]));
        inner = t;
    } while (--n > 0);
    *out = t;
    return OX_OK;
}

/* ---- what else is said ----------------------------------------------------------------------- */

/* The message for the kind of a type, and its shape; either may be NULL. */
static const ProtobufCMessage *kind_message(const Onnx__TensorShapeProto **shape,
                                            const Onnx__TypeProto *p) {
    *shape = NULL;
    switch (p->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        *shape = p->tensor_type->shape;
        return &p->tensor_type->base;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        *shape = p->sparse_tensor_type->shape;
        return &p->sparse_tensor_type->base;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return &p->sequence_type->base;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return &p->optional_type->base;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        return &p->map_type->base;
    default:
        return NULL;
    }
}

static ox_status note_dims(struct ox_type_notes *out, struct ox_reader *r,
                           const Onnx__TensorShapeProto *shape) {
    struct ox_dim_notes *dims = NULL;
    OX_TRY(ox_read_unknown(&out->shape_unknown, r, &shape->base));
    for (size_t i = 0; i < shape->n_dim; i++) {
        struct ox_dim_notes d = {0};
        OX_TRY(ox_read_name(&d.denotation, r, shape->dim[i]->denotation));
        OX_TRY(ox_read_unknown(&d.unknown, r, &shape->dim[i]->base));
        if (!d.denotation && !d.unknown.len) continue;
        if (!dims) OX_TRY(ox_arena_alloc(&r->model->arena, &dims, shape->n_dim, sizeof *dims));
        dims[i] = d;
    }
    out->rank = (int)shape->n_dim;
    out->dims = dims;
    return OX_OK;
}

static ox_status note_link(struct ox_type_notes *out, struct ox_reader *r,
                           const Onnx__TypeProto *p) {
    const Onnx__TensorShapeProto *shape;
    const ProtobufCMessage *kind = kind_message(&shape, p);
    out->rank = -1;
    OX_TRY(ox_read_name(&out->denotation, r, p->denotation));
    OX_TRY(ox_read_unknown(&out->unknown, r, &p->base));
    if (kind) OX_TRY(ox_read_unknown(&out->kind_unknown, r, kind));
    return shape ? note_dims(out, r, shape) : OX_OK;
}

ox_status ox_read_type_notes(const struct ox_type_notes **out, struct ox_reader *r,
                             const Onnx__TypeProto *proto) {
    const Onnx__TypeProto *chain[TYPE_DEPTH];
    size_t n = 0;
    *out = NULL;
    for (; proto && n < TYPE_DEPTH; proto = element(proto)) /* deeper ones have been refused */
        chain[n++] = proto;
    while (n-- > 0) {
        struct ox_type_notes *kept, t = {.elem = *out};
        OX_TRY(note_link(&t, r, chain[n]));
        if (!t.denotation && !t.unknown.len && !t.kind_unknown.len && !t.shape_unknown.len &&
            !t.dims && !t.elem)
            continue;
        OX_TRY(ox_arena_alloc(&r->model->arena, &kept, 1, sizeof *kept));
        *kept = t;
        *out = kept;
    }
    return OX_OK;
}
