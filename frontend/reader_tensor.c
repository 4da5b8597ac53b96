/* frontend/reader_tensor.c - TensorProto to ox_tensor.
 *
 * Bytes that lie in a file as the machine wants them (raw_data, float_data, double_data, external
 * data) become a slice of the mapping; arrays of varints become a block of their own. A tensor has
 * exactly one storage, of the kind its data type asks for, and exactly as many elements as its dims
 * say. */
#include "frontend/reader_priv.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "slices of a file are used in place, which needs a little-endian machine"
#endif

#define bad(s, id, ...) ox_fail((s)->ctx, OX_INVALID, (id), (s)->place, __VA_ARGS__)

enum { FLOAT_DATA = 4, RAW_DATA = 9, DOUBLE_DATA = 10 }; /* numbers of the cut fields */

enum storage {
    ST_NONE,
    ST_RAW,
    ST_EXTERNAL,
    ST_FLOAT,
    ST_DOUBLE,
    ST_INT32,
    ST_INT64,
    ST_UINT64,
    ST_STRING
};

static const char *storage_name(enum storage s) {
    static const char *const names[] = {"no data",    "raw_data",    "external data",
                                        "float_data", "double_data", "int32_data",
                                        "int64_data", "uint64_data", "string_data"};
    return names[s];
}

/* The typed array that the standard prescribes for a data type. */
static enum storage typed_storage(ox_dtype dtype) {
    switch (dtype) {
    case OX_FLOAT:
    case OX_COMPLEX64:
        return ST_FLOAT;
    case OX_DOUBLE:
    case OX_COMPLEX128:
        return ST_DOUBLE;
    case OX_INT64:
        return ST_INT64;
    case OX_UINT32:
    case OX_UINT64:
        return ST_UINT64;
    case OX_STRING:
        return ST_STRING;
    default:
        return ST_INT32;
    }
}

static size_t cut_size(const struct ox_tensor_source *s, const Onnx__TensorProto *p,
                       uint32_t field) {
    size_t size = 0;
    for (const struct ox_wire_cut *c = ox_wire_first(s->wire, &p->base, field); c;
         c = ox_wire_next(s->wire, c))
        size += c->size;
    return size;
}

/* The storage that is there. Empty arrays are as good as absent ones. */
static ox_status find_storage(enum storage *out, const struct ox_tensor_source *s,
                              const Onnx__TensorProto *p) {
    bool external = p->has_data_location &&
                    (int)p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    if (p->has_data_location && !external &&
        (int)p->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT)
        return bad(s, "bad-tensor", "a tensor has the unknown data_location %d",
                   (int)p->data_location);
    if (!external && p->n_external_data > 0)
        return bad(s, "bad-tensor",
                   "a tensor names external data, but its data_location is not EXTERNAL");
    const struct {
        enum storage storage;
        size_t size;
    } all[] = {
        {ST_RAW, cut_size(s, p, RAW_DATA)},
        {ST_EXTERNAL, external},
        {ST_FLOAT, cut_size(s, p, FLOAT_DATA)},
        {ST_DOUBLE, cut_size(s, p, DOUBLE_DATA)},
        {ST_INT32, p->n_int32_data},
        {ST_INT64, p->n_int64_data},
        {ST_UINT64, p->n_uint64_data},
        {ST_STRING, p->n_string_data},
    };
    *out = ST_NONE;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].size == 0) continue;
        if (*out != ST_NONE)
            return bad(s, "bad-tensor", "a tensor has both %s and %s", storage_name(*out),
                       storage_name(all[i].storage));
        *out = all[i].storage;
    }
    return OX_OK;
}

/* ---- bytes as they lie in a file ------------------------------------------------------------- */

static ox_status wrong_size(const struct ox_tensor_source *s, ox_dtype dtype, enum storage storage,
                            size_t have, size_t need) {
    return bad(s, "tensor-size", "a %s tensor has %zu bytes of %s, but its dims need %zu",
               ox_dtype_name(dtype), have, storage_name(storage), need);
}

static ox_status read_cut(ox_tensor **out, const struct ox_tensor_source *s,
                          const Onnx__TensorProto *p, ox_dtype dtype, enum storage storage,
                          size_t need) {
    uint32_t field = storage == ST_RAW ? RAW_DATA : storage == ST_FLOAT ? FLOAT_DATA : DOUBLE_DATA;
    size_t have = cut_size(s, p, field);
    if (have != need) return wrong_size(s, dtype, storage, have, need);
    const struct ox_wire_cut *c = ox_wire_first(s->wire, &p->base, field);
    if (c->size == need)
        return ox_tensor_slice(out, s->ctx, dtype, (int)p->n_dims, p->dims, s->bytes, c->offset,
                               need);
    unsigned char *data;
    OX_TRY(ox_tensor_new(out, (void **)&data, s->ctx, dtype, (int)p->n_dims, p->dims));
    for (; c; c = ox_wire_next(s->wire, c)) {
        memcpy(data, s->wire->data + c->offset, c->size);
        data += c->size;
    }
    return OX_OK;
}

static ox_status read_external(ox_tensor **out, const struct ox_tensor_source *s,
                               const Onnx__TensorProto *p, ox_dtype dtype, size_t need) {
    struct ox_external_ref ref = {NULL, NULL, NULL};
    for (size_t i = 0; i < p->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = p->external_data[i];
        const char *key = e->key ? e->key : "";
        const char **to = strcmp(key, "location") == 0 ? &ref.location
                          : strcmp(key, "offset") == 0 ? &ref.offset
                          : strcmp(key, "length") == 0 ? &ref.length
                                                       : NULL;
        if (!to) {
            if (strcmp(key, "checksum") != 0)
                ox_report(s->ctx, OX_WARNING, "external-key", s->place,
                          "external data has the unknown key '%.64s'", key);
            continue;
        }
        if (*to) return bad(s, "external-location", "external data gives '%s' more than once", key);
        *to = e->value ? e->value : "";
    }
    struct ox_bytes *bytes;
    size_t offset;
    OX_TRY(ox_external_find(&bytes, &offset, s->external, &ref, need, s->place));
    ox_status status =
        ox_tensor_slice(out, s->ctx, dtype, (int)p->n_dims, p->dims, bytes, offset, need);
    ox_bytes_unref(bytes);
    return status;
}

/* Bytes that came as they are could hold a bool that is neither true nor false. */
static ox_status check_bools(const struct ox_tensor_source *s, const ox_tensor *t) {
    const unsigned char *b = t->data;
    unsigned char all = 0;
    for (size_t i = 0; i < t->count; i++)
        all |= b[i];
    return all > 1 ? bad(s, "bad-tensor", "a bool tensor has bytes other than 0 and 1") : OX_OK;
}

/* ---- typed arrays ---------------------------------------------------------------------------- */

static ox_status wrong_count(const struct ox_tensor_source *s, ox_dtype dtype, enum storage storage,
                             size_t have, size_t need) {
    return bad(s, "tensor-size", "a %s tensor has %zu elements of %s, but its dims need %zu",
               ox_dtype_name(dtype), have, storage_name(storage), need);
}

/* What one element of int32_data may be for a data type, and how many bytes of the tensor it makes.
 */
static size_t int32_range(int32_t *low, int32_t *high, ox_dtype dtype) {
    *low = 0;
    switch (dtype) {
    case OX_INT32:
        *low = INT32_MIN, *high = INT32_MAX;
        return 4;
    case OX_INT16:
        *low = INT16_MIN, *high = INT16_MAX;
        return 2;
    case OX_INT8:
        *low = INT8_MIN, *high = INT8_MAX;
        return 1;
    case OX_UINT16:
    case OX_FLOAT16:
    case OX_BFLOAT16:
        *high = UINT16_MAX;
        return 2;
    case OX_BOOL:
        *high = 1;
        return 1;
    case OX_INT4:
    case OX_INT2:
        *low = INT8_MIN, *high = UINT8_MAX;
        return 1; /* packed: a byte of several elements, signed or not */
    default:
        *high = UINT8_MAX;
        return 1;
    }
}

static ox_status read_int32s(void *data, const struct ox_tensor_source *s,
                             const Onnx__TensorProto *p, const ox_tensor *t) {
    int32_t low, high;
    size_t width = int32_range(&low, &high, t->dtype);
    if (p->n_int32_data != t->size / width)
        return wrong_count(s, t->dtype, ST_INT32, p->n_int32_data, t->size / width);
    unsigned char *to = data;
    for (size_t i = 0; i < p->n_int32_data; i++) {
        int32_t v = p->int32_data[i];
        if (v < low || v > high)
            return bad(s, "bad-tensor", "a %s tensor has the value %d in int32_data",
                       ox_dtype_name(t->dtype), v);
        memcpy(to + i * width, &v, width); /* little-endian: the low bytes */
    }
    return OX_OK;
}

static ox_status read_uint64s(void *data, const struct ox_tensor_source *s,
                              const Onnx__TensorProto *p, const ox_tensor *t) {
    if (p->n_uint64_data != t->count)
        return wrong_count(s, t->dtype, ST_UINT64, p->n_uint64_data, t->count);
    if (t->dtype == OX_UINT64) {
        memcpy(data, p->uint64_data, t->size);
        return OX_OK;
    }
    uint32_t *to = data;
    for (size_t i = 0; i < t->count; i++) {
        if (p->uint64_data[i] > UINT32_MAX)
            return bad(s, "bad-tensor", "a uint32 tensor has the value %llu",
                       (unsigned long long)p->uint64_data[i]);
        to[i] = (uint32_t)p->uint64_data[i];
    }
    return OX_OK;
}

static ox_status read_array(ox_tensor **out, const struct ox_tensor_source *s,
                            const Onnx__TensorProto *p, ox_dtype dtype, enum storage storage) {
    void *data;
    ox_status status = OX_OK;
    OX_TRY(ox_tensor_new(out, &data, s->ctx, dtype, (int)p->n_dims, p->dims));
    const ox_tensor *t = *out;
    if (storage == ST_INT32)
        status = read_int32s(data, s, p, t);
    else if (storage == ST_UINT64)
        status = read_uint64s(data, s, p, t);
    else if (p->n_int64_data != t->count)
        status = wrong_count(s, dtype, storage, p->n_int64_data, t->count);
    else
        memcpy(data, p->int64_data, t->size);
    if (status != OX_OK) {
        ox_tensor_unref(*out);
        *out = NULL;
    }
    return status;
}

static ox_status read_strings(ox_tensor **out, const struct ox_tensor_source *s,
                              const Onnx__TensorProto *p, size_t count) {
    struct ox_str *strings;
    if (p->n_string_data != count)
        return wrong_count(s, OX_STRING, ST_STRING, p->n_string_data, count);
    OX_TRY(ox_alloc(s->ctx, &strings, count, sizeof *strings));
    for (size_t i = 0; i < count; i++)
        strings[i] = (struct ox_str){(const char *)p->string_data[i].data, p->string_data[i].len};
    ox_status status = ox_tensor_strings(out, s->ctx, (int)p->n_dims, p->dims, strings);
    ox_free(s->ctx, strings);
    return status;
}

/* ---- the tensor ------------------------------------------------------------------------------ */

static ox_status read_data(ox_tensor **out, const struct ox_tensor_source *s,
                           const Onnx__TensorProto *p, ox_dtype dtype, size_t count, size_t size) {
    enum storage storage;
    OX_TRY(find_storage(&storage, s, p));
    bool plain = storage == ST_RAW || storage == ST_EXTERNAL;
    if (plain && dtype == OX_STRING)
        return bad(s, "bad-tensor", "a string tensor has %s", storage_name(storage));
    if (!plain && storage != ST_NONE && storage != typed_storage(dtype))
        return bad(s, "bad-tensor", "a %s tensor has its elements in %s", ox_dtype_name(dtype),
                   storage_name(storage));
    switch (storage) {
    case ST_NONE:
        if (count > 0)
            return bad(s, "tensor-size", "a %s tensor of %zu elements has no data",
                       ox_dtype_name(dtype), count);
        return ox_tensor_new(out, NULL, s->ctx, dtype, (int)p->n_dims, p->dims);
    case ST_RAW:
    case ST_FLOAT:
    case ST_DOUBLE:
        return read_cut(out, s, p, dtype, storage, size);
    case ST_EXTERNAL:
        return read_external(out, s, p, dtype, size);
    case ST_STRING:
        return read_strings(out, s, p, count);
    default:
        return read_array(out, s, p, dtype, storage);
    }
}

ox_status ox_read_tensor(ox_tensor **out, const struct ox_tensor_source *s,
                         const Onnx__TensorProto *p) {
    size_t count, size;
    ox_tensor *t = NULL;
    if (!p->has_data_type || !ox_dtype_valid(p->data_type))
        return bad(s, "wrong-type", "a tensor has the data type %d",
                   p->has_data_type ? p->data_type : 0);
    ox_dtype dtype = (ox_dtype)p->data_type;
    if (p->n_dims > OX_MAX_RANK)
        return bad(s, "bad-shape", "a tensor has rank %zu, more than %d", p->n_dims, OX_MAX_RANK);
    for (size_t i = 0; i < p->n_dims; i++)
        if (p->dims[i] < 0)
            return bad(s, "bad-shape", "a tensor has the dimension %lld", (long long)p->dims[i]);
    if (ox_shape_size(&count, &size, dtype, (int64_t)p->n_dims, p->dims))
        return bad(s, "bad-shape", "a tensor has more elements than memory can hold");
    if (p->segment)
        return ox_fail(s->ctx, OX_UNSUPPORTED, "bad-tensor", s->place,
                       "tensors in segments are not supported");
    OX_TRY(read_data(&t, s, p, dtype, count, size));
    ox_status status = dtype == OX_BOOL ? check_bools(s, t) : OX_OK;
    if (status != OX_OK)
        ox_tensor_unref(t);
    else
        *out = t;
    return status;
}
