/* ir/ops/op_attr.c - typed readers of attributes, for decode functions.
 *
 * A reader gives the default where the attribute is absent and fails where its type is another than
 * the operator's, so that decode functions read as a list of what an operator has. */
#include "ir/ops/op_priv.h"
#include <stdio.h>

const struct ox_attr *ox_attr_find(const struct ox_call *call, const char *name) {
    for (size_t i = 0; i < call->n_attrs; i++)
        if (ox_name_is(call->attrs[i].name, name)) return &call->attrs[i];
    return NULL;
}

static const char *type_text(enum ox_attr_type type) {
    static const char *const texts[] = {
        "undefined", "float",   "int",    "string", "tensor",         "graph", "floats", "ints",
        "strings",   "tensors", "graphs", "sparse", "sparse tensors", "type",  "types"};
    return (size_t)type < sizeof texts / sizeof *texts ? texts[type] : "unknown";
}

/* *out is the attribute if it is there with the right type, NULL if it is not there. */
static ox_status typed(const struct ox_attr **out, const struct ox_call *call, const char *name,
                       enum ox_attr_type type) {
    const struct ox_attr *attr = ox_attr_find(call, name);
    if (attr && attr->ref)
        return ox_bad_attr(call, "attribute '%s' refers to '%s' of a function that is not expanded",
                           name, ox_name_text(attr->ref));
    if (attr && attr->type != type)
        return ox_bad_attr(call, "attribute '%s' is of type %s, expected %s", name,
                           type_text(attr->type), type_text(type));
    *out = attr;
    return OX_OK;
}

ox_status ox_attr_int(int64_t *out, const struct ox_call *call, const char *name, int64_t dflt) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_INT));
    *out = attr ? attr->v.i : dflt;
    return OX_OK;
}

ox_status ox_attr_float(float *out, const struct ox_call *call, const char *name, float dflt) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_FLOAT));
    *out = attr ? attr->v.f : dflt;
    return OX_OK;
}

ox_status ox_attr_string(struct ox_str *out, const struct ox_call *call, const char *name,
                         const char *dflt) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_STRING));
    *out = attr ? attr->v.s : (struct ox_str){dflt, dflt ? strlen(dflt) : 0};
    return OX_OK;
}

ox_status ox_attr_ints(const int64_t **ints, size_t *count, const struct ox_call *call,
                       const char *name) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_INTS));
    *ints = attr ? attr->v.ints : NULL;
    *count = attr ? attr->count : SIZE_MAX;
    return OX_OK;
}

ox_status ox_attr_floats(const float **floats, size_t *count, const struct ox_call *call,
                         const char *name) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_FLOATS));
    *floats = attr ? attr->v.floats : NULL;
    *count = attr ? attr->count : SIZE_MAX;
    return OX_OK;
}

ox_status ox_attr_strings(const struct ox_str **strings, size_t *count, const struct ox_call *call,
                          const char *name) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_STRINGS));
    *strings = attr ? attr->v.strings : NULL;
    *count = attr ? attr->count : SIZE_MAX;
    return OX_OK;
}

ox_status ox_attr_tensor(const ox_tensor **out, const struct ox_call *call, const char *name) {
    const struct ox_attr *attr;
    OX_TRY(typed(&attr, call, name, OX_ATTR_TENSOR));
    *out = attr ? attr->v.t : NULL;
    return OX_OK;
}

static bool str_is(struct ox_str s, const char *text) {
    size_t len = strlen(text);
    return s.len == len && (len == 0 || memcmp(s.ptr, text, len) == 0);
}

ox_status ox_attr_choice(int *out, const struct ox_call *call, const char *name,
                         const char *const *allowed, int dflt) {
    struct ox_str s;
    OX_TRY(ox_attr_string(&s, call, name, NULL));
    if (!s.ptr && !ox_attr_find(call, name)) {
        *out = dflt;
        return OX_OK;
    }
    for (int i = 0; allowed[i]; i++) {
        if (str_is(s, allowed[i])) {
            *out = i;
            return OX_OK;
        }
    }
    char words[200] = "";
    size_t len = 0;
    for (int i = 0; allowed[i] && len < sizeof words; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i ? ", " : "", allowed[i]);
    return ox_bad_attr(call, "attribute '%s' is '%.*s', expected one of: %s", name,
                       s.len > 40 ? 40 : (int)s.len, s.ptr ? s.ptr : "", words);
}

ox_status ox_axis(int *out, const struct ox_call *call, const char *what, int64_t axis, int rank) {
    if (axis < -(int64_t)rank || axis >= rank)
        return ox_bad_attr(call, "%s is %lld, out of range for rank %d", what, (long long)axis,
                           rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OX_OK;
}

ox_status ox_tensor_ints(int64_t **out, size_t *count, ox_ctx *ctx, const ox_tensor *tensor) {
    if (tensor->dtype != OX_INT64 && tensor->dtype != OX_INT32)
        return ox_fail(ctx, OX_INVALID, "wrong-type", NULL,
                       "expected a tensor of int64 or int32, found %s",
                       ox_dtype_name(tensor->dtype));
    if (tensor->rank > 1)
        return ox_fail(ctx, OX_INVALID, "shape-mismatch", NULL,
                       "expected a vector of integers, found a tensor of rank %d", tensor->rank);
    int64_t *ints;
    OX_TRY(ox_alloc(ctx, &ints, tensor->count, sizeof *ints));
    const unsigned char *data = tensor->data; /* may be unaligned: it may be a slice of a file */
    for (size_t i = 0; i < tensor->count; i++) {
        if (tensor->dtype == OX_INT64) {
            memcpy(&ints[i], data + 8 * i, 8);
        } else {
            int32_t narrow;
            memcpy(&narrow, data + 4 * i, 4);
            ints[i] = narrow;
        }
    }
    *out = ints;
    *count = tensor->count;
    return OX_OK;
}
