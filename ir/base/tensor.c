/* ir/base/tensor.c - see onnxopt/tensor.h and bytes.h. A public ox_tensor is the first member of a
 * counted object. */
#include "ir/base/bytes.h"

#include "ir/base/element.h"

struct counted {
    struct ox_tensor t;
    ox_ctx *ctx;
    size_t refs;
    struct ox_bytes *bytes; /* what data lies in; NULL only for an empty tensor */
    size_t offset;          /* of data in bytes */
    int64_t dims[];
};

bool ox_dtype_valid(int64_t number) {
    return number > OX_UNDEFINED && number < OX_DTYPE_COUNT;
}

static bool is_list(ox_dtype dtype) {
    return dtype == OX_SEQUENCE || dtype == OX_OPTIONAL || dtype == OX_MAP;
}

int ox_dtype_bits(ox_dtype dtype) {
    static const unsigned char bits[OX_DTYPE_COUNT] = {
#define X(id, number, bits, text) bits,
        OX_DTYPE_LIST(X)
#undef X
    };
    if (is_list(dtype)) return (int)(8 * sizeof(ox_tensor *));
    return (unsigned)dtype < OX_DTYPE_COUNT ? bits[dtype] : 0;
}

const char *ox_dtype_name(ox_dtype dtype) {
    static const char *const names[OX_DTYPE_COUNT] = {
#define X(id, number, bits, text) text,
        OX_DTYPE_LIST(X)
#undef X
    };
    if (is_list(dtype))
        return dtype == OX_SEQUENCE ? "sequence" : dtype == OX_OPTIONAL ? "optional" : "map";
    return (unsigned)dtype < OX_DTYPE_COUNT ? names[dtype] : "invalid";
}

bool ox_dtype_is_integer(ox_dtype dtype) {
    switch (dtype) {
    case OX_UINT8:
    case OX_INT8:
    case OX_UINT16:
    case OX_INT16:
    case OX_UINT32:
    case OX_INT32:
    case OX_UINT64:
    case OX_INT64:
    case OX_UINT4:
    case OX_INT4:
    case OX_UINT2:
    case OX_INT2:
        return true;
    default:
        return false;
    }
}

bool ox_dtype_is_float(ox_dtype dtype) {
    switch (dtype) {
    case OX_FLOAT:
    case OX_DOUBLE:
    case OX_FLOAT16:
    case OX_BFLOAT16:
    case OX_FLOAT8E4M3FN:
    case OX_FLOAT8E4M3FNUZ:
    case OX_FLOAT8E5M2:
    case OX_FLOAT8E5M2FNUZ:
    case OX_FLOAT4E2M1:
    case OX_FLOAT8E8M0:
        return true;
    default:
        return false;
    }
}

static struct counted *counted_of(const ox_tensor *t) {
    return (struct counted *)(uintptr_t)t;
}

/* The object without data; count and size are filled in. */
static ox_status shell(struct counted **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                       const int64_t *dims) {
    size_t count, size;
    if (!ox_dtype_valid(dtype) && !is_list(dtype))
        return ox_fail(ctx, OX_INVALID, "wrong-type", NULL, "a tensor of data type %d", (int)dtype);
    if (ox_shape_size(&count, &size, dtype, rank, dims))
        return ox_fail(ctx, OX_INVALID, "bad-shape", NULL,
                       "a tensor of rank %d has a negative dimension or too many elements", rank);
    if (size > ox_ctx_limits(ctx)->max_tensor_bytes)
        return ox_fail(ctx, OX_NOMEM, "tensor-too-large", NULL,
                       "a tensor of %zu bytes is over the limit of %zu", size,
                       ox_ctx_limits(ctx)->max_tensor_bytes);
    struct counted *c;
    OX_TRY(ox_alloc(ctx, &c, 1, sizeof *c + (size_t)rank * sizeof c->dims[0]));
    if (rank) memcpy(c->dims, dims, (size_t)rank * sizeof c->dims[0]);
    c->t = (struct ox_tensor){
        .dtype = dtype, .rank = rank, .dims = c->dims, .count = count, .size = size};
    c->ctx = ctx;
    c->refs = 1;
    *out = c;
    return OX_OK;
}

/* Lets the shell stand on `bytes`, whose count it takes over. */
static ox_tensor *settle(struct counted *c, struct ox_bytes *bytes, size_t offset) {
    c->bytes = bytes;
    c->offset = offset;
    c->t.data = c->t.size ? bytes->data + offset : NULL;
    return &c->t;
}

ox_status ox_tensor_new_raw(ox_tensor **out, void **data, ox_ctx *ctx, ox_dtype dtype, int rank,
                            const int64_t *dims) {
    struct counted *c;
    struct ox_bytes *bytes;
    OX_TRY(shell(&c, ctx, dtype, rank, dims));
    ox_status s = ox_bytes_new_raw(&bytes, ctx, c->t.size);
    if (s != OX_OK) {
        ox_free(ctx, c);
        return s;
    }
    *out = settle(c, bytes, 0);
    if (data) *data = bytes->data;
    return OX_OK;
}

ox_status ox_tensor_new(ox_tensor **out, void **data, ox_ctx *ctx, ox_dtype dtype, int rank,
                        const int64_t *dims) {
    void *bytes;
    OX_TRY(ox_tensor_new_raw(out, &bytes, ctx, dtype, rank, dims));
    memset(bytes, 0, (*out)->size);
    if (data) *data = bytes;
    return OX_OK;
}

ox_status ox_tensor_copy(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                         const int64_t *dims, const void *data, size_t size) {
    ox_tensor *t;
    void *p;
    if (is_list(dtype)) return ox_tensor_list(out, ctx, dtype, size / sizeof(ox_tensor *), data);
    if (dtype == OX_STRING) {
        size_t count;
        if (ox_shape_size(&count, NULL, dtype, rank, dims) || count != size / sizeof(struct ox_str))
            return ox_fail(ctx, OX_INVALID, "tensor-size", NULL,
                           "the number of strings does not fit the shape");
        return ox_tensor_strings(out, ctx, rank, dims, data);
    }
    OX_TRY(ox_tensor_new(&t, &p, ctx, dtype, rank, dims));
    if (t->size != size) {
        ox_status s = ox_fail(ctx, OX_INVALID, "tensor-size", NULL,
                              "a %s tensor of %zu elements needs %zu bytes, not %zu",
                              ox_dtype_name(dtype), t->count, t->size, size);
        ox_tensor_unref(t);
        return s;
    }
    if (size) memcpy(p, data, size);
    *out = t;
    return OX_OK;
}

/* Lists in lists are as deep as types have use for: what counts them down is recursive. */
enum { LIST_DEPTH_MAX = 8 };

static bool deeper_than(int limit, const ox_tensor *t) {
    if (!t || !is_list(t->dtype)) return false;
    if (limit == 0) return true;
    for (size_t i = 0; i < t->count; i++)
        if (deeper_than(limit - 1, ((ox_tensor *const *)t->data)[i])) return true;
    return false;
}

ox_status ox_tensor_list(ox_tensor **out, ox_ctx *ctx, ox_dtype kind, size_t count,
                         ox_tensor *const *items) {
    void *data;
    if (!is_list(kind) || (kind == OX_OPTIONAL && count > 1) || (kind == OX_MAP && count != 2))
        return ox_fail(ctx, OX_INVALID, "wrong-type", NULL, "%s of %zu items", ox_dtype_name(kind),
                       count);
    for (size_t i = 0; i < count; i++)
        if (deeper_than(LIST_DEPTH_MAX - 1, items[i]))
            return ox_fail(ctx, OX_INVALID, "limit-exceeded", NULL,
                           "lists in lists, more than %d deep", LIST_DEPTH_MAX);
    OX_TRY(ox_tensor_new(out, &data, ctx, kind, 1, (int64_t[]){(int64_t)count}));
    for (size_t i = 0; i < count; i++)
        ((ox_tensor **)data)[i] = ox_tensor_ref(items[i]);
    return OX_OK;
}

const ox_tensor *ox_tensor_item(const ox_tensor *list, size_t index) {
    return is_list(list->dtype) && index < list->count ? ((ox_tensor *const *)list->data)[index]
                                                       : NULL;
}

ox_status ox_tensor_slice(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                          const int64_t *dims, struct ox_bytes *bytes, size_t offset, size_t size) {
    struct counted *c;
    if (!ox_dtype_valid(dtype) || dtype == OX_STRING)
        return ox_fail(ctx, OX_INVALID, "wrong-type", NULL, "a %s tensor cannot hold raw bytes",
                       ox_dtype_name(dtype));
    OX_TRY(shell(&c, ctx, dtype, rank, dims));
    if (c->t.size != size || offset > bytes->size || size > bytes->size - offset) {
        ox_status s = ox_fail(ctx, OX_INVALID, "tensor-size", NULL,
                              "a %s tensor of %zu elements needs %zu bytes, not %zu",
                              ox_dtype_name(dtype), c->t.count, c->t.size, size);
        ox_free(ctx, c);
        return s;
    }
    *out = settle(c, ox_bytes_ref(bytes), offset);
    return OX_OK;
}

ox_status ox_tensor_strings(ox_tensor **out, ox_ctx *ctx, int rank, const int64_t *dims,
                            const struct ox_str *strings) {
    struct counted *c;
    struct ox_bytes *bytes;
    OX_TRY(shell(&c, ctx, OX_STRING, rank, dims));
    size_t total = c->t.size;
    ox_status s = OX_OK;
    for (size_t i = 0; i < c->t.count && s == OX_OK; i++)
        if (ox_add_size(&total, total, strings[i].len)) s = OX_NOMEM;
    if (s == OX_OK) s = ox_bytes_new(&bytes, ctx, total);
    if (s != OX_OK) {
        ox_free(ctx, c);
        return s;
    }
    struct ox_str *table = (void *)bytes->data;
    char *text = (char *)bytes->data + c->t.size;
    for (size_t i = 0; i < c->t.count; i++) {
        table[i] = (struct ox_str){text, strings[i].len};
        if (strings[i].len) memcpy(text, strings[i].ptr, strings[i].len);
        text += strings[i].len;
    }
    *out = settle(c, bytes, 0);
    return OX_OK;
}

ox_tensor *ox_tensor_ref(const ox_tensor *tensor) {
    struct counted *c = counted_of(tensor);
    if (c) c->refs++;
    return c ? &c->t : NULL;
}

void ox_tensor_unref(ox_tensor *tensor) {
    struct counted *c = counted_of(tensor);
    if (!c || --c->refs > 0) return;
    /* Lists nest no deeper than the types of a model, which are bounded when read. */
    for (size_t i = 0; is_list(c->t.dtype) && i < c->t.count; i++)
        ox_tensor_unref(((ox_tensor *const *)c->t.data)[i]);
    if (c->bytes) {
        ox_bytes_drop(c->bytes, c->offset, c->t.size);
        ox_bytes_unref(c->bytes);
    }
    ox_free(c->ctx, c);
}

bool ox_tensor_equal(const ox_tensor *a, const ox_tensor *b) {
    if (a == b) return true;
    if (a->dtype != b->dtype || a->rank != b->rank || a->size != b->size) return false;
    if (a->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) != 0) return false;
    if (a->size == 0 || a->data == b->data) return true;
    if (is_list(a->dtype)) {
        for (size_t i = 0; i < a->count; i++)
            if (!ox_tensor_equal(ox_tensor_item(a, i), ox_tensor_item(b, i))) return false;
        return true;
    }
    if (a->dtype != OX_STRING) return memcmp(a->data, b->data, a->size) == 0;
    const struct ox_str *x = a->data, *y = b->data;
    for (size_t i = 0; i < a->count; i++)
        if (x[i].len != y[i].len || (x[i].len && memcmp(x[i].ptr, y[i].ptr, x[i].len) != 0))
            return false;
    return true;
}

bool ox_tensor_sole(const ox_tensor *tensor) {
    const struct counted *c = counted_of(tensor);
    return c->refs == 1 && c->bytes && c->bytes->refs == 1 && !c->bytes->mapped &&
           !c->bytes->lent && !is_list(tensor->dtype);
}

struct ox_bytes *ox_tensor_bytes(const ox_tensor *tensor, size_t *offset) {
    struct counted *c = counted_of(tensor);
    *offset = c->offset;
    return c->t.dtype == OX_STRING ? NULL : c->bytes;
}

ox_status ox_tensor_reshape(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor, int rank,
                            const int64_t *dims) {
    struct counted *old = counted_of(tensor), *c;
    if (is_list(tensor->dtype))
        return ox_fail(ctx, OX_INVALID, "wrong-type", NULL, "a %s has no shape",
                       ox_dtype_name(tensor->dtype));
    OX_TRY(shell(&c, ctx, tensor->dtype, rank, dims));
    if (c->t.count != tensor->count) {
        ox_status s = ox_fail(ctx, OX_INVALID, "shape-mismatch", NULL,
                              "%zu elements do not fit a shape of %zu", tensor->count, c->t.count);
        ox_free(ctx, c);
        return s;
    }
    *out = settle(c, ox_bytes_ref(old->bytes), old->offset);
    return OX_OK;
}

ox_status ox_tensor_aligned(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor) {
    size_t bytes = (size_t)ox_dtype_bits(tensor->dtype) / 8;
    if (tensor->dtype == OX_STRING || is_list(tensor->dtype) || bytes <= 1 ||
        (uintptr_t)tensor->data % (bytes > 8 ? 8 : bytes) == 0) {
        *out = ox_tensor_ref(tensor);
        return OX_OK;
    }
    return ox_tensor_copy(out, ctx, tensor->dtype, tensor->rank, tensor->dims, tensor->data,
                          tensor->size);
}

double ox_tensor_at(const ox_tensor *tensor, size_t index) {
    return ox_element_read(tensor->data, tensor->dtype, index);
}
