/* ir/text/text_out.c - see text_out.h. */
#include "ir/text/text_out.h"

#include <stdio.h>

/* ---- bytes ----------------------------------------------------------------------------------- */

void ox_out_bytes(struct ox_text_out *o, const char *text, size_t len) {
    if (o->status != OX_OK || len == 0) return;
    if (len > o->cap - o->len) {
        size_t cap = o->cap * 2 > o->len + len ? o->cap * 2 : o->len + len + 256;
        o->status = ox_resize(o->ctx, &o->buf, o->len, cap, 1);
        if (o->status != OX_OK) return;
        o->cap = cap;
    }
    memcpy(o->buf + o->len, text, len);
    o->len += len;
}

void ox_out(struct ox_text_out *o, const char *text) {
    ox_out_bytes(o, text, strlen(text));
}

void ox_out_int(struct ox_text_out *o, int64_t value) {
    char buf[OX_TEXT_NUMBER_MAX];
    ox_out_bytes(o, buf, (size_t)snprintf(buf, sizeof buf, "%lld", (long long)value));
}

static void put_uint(struct ox_text_out *o, uint64_t value) {
    char buf[OX_TEXT_NUMBER_MAX];
    ox_out_bytes(o, buf, (size_t)snprintf(buf, sizeof buf, "%llu", (unsigned long long)value));
}

void ox_out_line(struct ox_text_out *o) {
    ox_out(o, "\n");
    for (int i = 0; i < o->indent; i++)
        ox_out(o, "   ");
}

void ox_out_quoted(struct ox_text_out *o, const char *text, size_t len) {
    ox_out(o, "\"");
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && text[i] != '"' && text[i] != '\\') continue;
        ox_out_bytes(o, text + from, i - from);
        if (i < len) ox_out(o, "\\");
        from = i;
    }
    ox_out(o, "\"");
}

void ox_out_name(struct ox_text_out *o, ox_name name) {
    const char *text = ox_name_text(name);
    size_t len = name ? name->len : 0;
    if (ox_text_is_identifier(text, len) && !ox_text_is_type_word(text, len) &&
        !ox_text_is_float_word(text, len))
        ox_out_bytes(o, text, len);
    else
        ox_out_quoted(o, text, len);
}

/* ---- types ----------------------------------------------------------------------------------- */

bool ox_out_has_type(const struct ox_type *t) {
    if (!t) return false;
    for (; t; t = t->elem) {
        if (t->kind == OX_TYPE_UNKNOWN) return false;
        if ((t->kind == OX_TYPE_TENSOR || t->kind == OX_TYPE_SPARSE || t->kind == OX_TYPE_MAP) &&
            t->dtype == OX_UNDEFINED)
            return false;
        if (t->kind != OX_TYPE_TENSOR && t->kind != OX_TYPE_SPARSE && !t->elem) return false;
    }
    return true;
}

static void put_dim(struct ox_text_out *o, ox_dim d) {
    char buf[256];
    if (ox_dim_is_const(d)) {
        ox_out_int(o, d.k);
    } else if (ox_dim_name(d)) {
        ox_out_name(o, ox_dim_name(d));
    } else {
        size_t len = ox_dim_print(buf, sizeof buf, d);
        if (ox_dim_is_known(d) && len < sizeof buf)
            ox_out_quoted(o, buf, len); /* an expression, read back as one symbol */
        else
            ox_out(o, "?");
    }
}

void ox_out_type(struct ox_text_out *o, const struct ox_type *t) {
    size_t open = 0;
    for (; t->kind >= OX_TYPE_SEQUENCE; t = t->elem, open++) {
        ox_out(o, t->kind == OX_TYPE_SEQUENCE ? "seq("
                  : t->kind == OX_TYPE_MAP    ? "map("
                                              : "optional(");
        if (t->kind != OX_TYPE_MAP) continue;
        ox_out(o, ox_dtype_name(t->dtype));
        ox_out(o, ", ");
    }
    if (t->kind == OX_TYPE_SPARSE) ox_out(o, "sparse_tensor("), open++;
    ox_out(o, ox_dtype_name(t->dtype));
    if (t->rank < 0) ox_out(o, "[]");
    for (int i = 0; i < t->rank; i++) {
        ox_out(o, i ? "," : "[");
        put_dim(o, t->dims[i]);
    }
    if (t->rank > 0) ox_out(o, "]");
    while (open--)
        ox_out(o, ")");
}

void ox_out_info(struct ox_text_out *o, const struct ox_type *type, ox_name name) {
    if (type && ox_out_has_type(type)) {
        ox_out_type(o, type);
        ox_out(o, " ");
    }
    ox_out_name(o, name);
}

/* ---- tensors --------------------------------------------------------------------------------- */

void ox_out_float(struct ox_text_out *o, const void *at) {
    char buf[OX_TEXT_NUMBER_MAX];
    float f;
    memcpy(&f, at, 4);
    ox_out_bytes(o, buf, ox_text_print_float(buf, o->locale, f));
}

static void put_double(struct ox_text_out *o, const void *at) {
    char buf[OX_TEXT_NUMBER_MAX];
    double d;
    memcpy(&d, at, 8);
    ox_out_bytes(o, buf, ox_text_print_double(buf, o->locale, d));
}

/* An integer of 8 to 64 bits, or the bit pattern of a narrow float. */
static void put_integer(struct ox_text_out *o, ox_dtype dtype, const void *at) {
    int64_t i64;
    uint64_t u64;
    int32_t i32;
    uint32_t u32;
    int16_t i16;
    uint16_t u16;
    switch (dtype) {
    case OX_INT64:
        memcpy(&i64, at, 8);
        ox_out_int(o, i64);
        break;
    case OX_UINT64:
        memcpy(&u64, at, 8);
        put_uint(o, u64);
        break;
    case OX_INT32:
        memcpy(&i32, at, 4);
        ox_out_int(o, i32);
        break;
    case OX_UINT32:
        memcpy(&u32, at, 4);
        ox_out_int(o, u32);
        break;
    case OX_INT16:
        memcpy(&i16, at, 2);
        ox_out_int(o, i16);
        break;
    case OX_UINT16:
    case OX_FLOAT16:
    case OX_BFLOAT16:
        memcpy(&u16, at, 2);
        ox_out_int(o, u16);
        break;
    case OX_INT8:
        ox_out_int(o, *(const signed char *)at);
        break;
    default:
        ox_out_int(o, *(const unsigned char *)at);
        break;
    }
}

/* Element i, which for types narrower than a byte shares it with others. */
static void put_packed(struct ox_text_out *o, const ox_tensor *t, size_t i) {
    size_t per = 8 / (size_t)ox_dtype_bits(t->dtype), width = 8 / per, start = i % per;
    unsigned char byte = ((const unsigned char *)t->data)[i / per], all[8];
    byte = (unsigned char)(byte >> start * width);
    ox_unpack_bits(all, &byte, 1, t->dtype);
    put_integer(o, t->dtype == OX_INT4 || t->dtype == OX_INT2 ? OX_INT8 : OX_UINT8, all);
}

static void put_element(struct ox_text_out *o, const ox_tensor *t, size_t i) {
    const char *data = t->data;
    const struct ox_str *strings = t->data;
    int bits = ox_dtype_bits(t->dtype);
    const char *at = data + i * (size_t)bits / 8;
    switch (t->dtype) {
    case OX_STRING:
        ox_out_quoted(o, strings[i].ptr, strings[i].len);
        break;
    case OX_FLOAT:
        ox_out_float(o, at);
        break;
    case OX_DOUBLE:
        put_double(o, at);
        break;
    case OX_COMPLEX64:
        ox_out_float(o, at);
        ox_out(o, ", ");
        ox_out_float(o, at + 4);
        break;
    case OX_COMPLEX128:
        put_double(o, at);
        ox_out(o, ", ");
        put_double(o, at + 8);
        break;
    default:
        if (bits < 8)
            put_packed(o, t, i);
        else
            put_integer(o, t->dtype, at);
    }
}

void ox_out_elements(struct ox_text_out *o, const ox_tensor *t) {
    if (o->options.max_elements && t->count > o->options.max_elements) {
        ox_out(o, "{...}");
        return;
    }
    ox_out(o, "{");
    for (size_t i = 0; i < t->count && o->status == OX_OK; i++) {
        ox_out(o, ox_out_separator(i));
        put_element(o, t, i);
    }
    ox_out(o, "}");
}

void ox_out_tensor(struct ox_text_out *o, const ox_tensor *t, ox_name name) {
    ox_out(o, ox_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        ox_out(o, i ? "," : "[");
        ox_out_int(o, t->dims[i]);
    }
    ox_out(o, t->rank ? "] " : " ");
    if (name) ox_out_name(o, name);
    if (name) ox_out(o, " = ");
    ox_out_elements(o, t);
}
