/* pb_build.c - see pb_build.h. */
#include "tests/badmodels/pb_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pb_free(struct pb *b) {
    free(b->data);
    *b = (struct pb){0};
}

void pb_raw(struct pb *b, const void *data, size_t len) {
    if (len > b->cap - b->len) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap - b->len < len)
            cap *= 2;
        b->data = realloc(b->data, cap);
        if (!b->data) exit(99);
        b->cap = cap;
    }
    if (len) memcpy(b->data + b->len, data, len);
    b->len += len;
}

void pb_varint(struct pb *b, uint64_t v) {
    unsigned char c[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        c[n++] = (unsigned char)(v | 0x80);
    c[n++] = (unsigned char)v;
    pb_raw(b, c, n);
}

void pb_tag(struct pb *b, uint32_t field, unsigned wire_type) {
    pb_varint(b, (uint64_t)field << 3 | wire_type);
}

void pb_int(struct pb *b, uint32_t field, int64_t v) {
    pb_tag(b, field, 0);
    pb_varint(b, (uint64_t)v);
}

void pb_float(struct pb *b, uint32_t field, float v) {
    pb_tag(b, field, 5);
    pb_raw(b, &v, sizeof v);
}

void pb_bytes(struct pb *b, uint32_t field, const void *data, size_t len) {
    pb_tag(b, field, 2);
    pb_varint(b, len);
    pb_raw(b, data, len);
}

void pb_str(struct pb *b, uint32_t field, const char *text) {
    pb_bytes(b, field, text, strlen(text));
}

void pb_msg(struct pb *b, uint32_t field, struct pb *message) {
    pb_bytes(b, field, message->data, message->len);
    pb_free(message);
}

void pb_packed(struct pb *b, uint32_t field, const int64_t *v, size_t n) {
    struct pb p = {0};
    for (size_t i = 0; i < n; i++)
        pb_varint(&p, (uint64_t)v[i]);
    pb_msg(b, field, &p);
}

/* ---- ONNX ------------------------------------------------------------------------------------ */

/* Calls pb_str for each word of a list. */
static void put_words(struct pb *b, uint32_t field, const char *words) {
    while (*words) {
        size_t n = strcspn(words, " ");
        if (n == 1 && *words == '-')
            pb_bytes(b, field, NULL, 0);
        else
            pb_bytes(b, field, words, n);
        words += n;
        words += strspn(words, " ");
    }
}

struct pb onnx_node(const char *op, const char *inputs, const char *outputs) {
    struct pb n = {0};
    const char *colons = strstr(op, "::");
    put_words(&n, NODE_IN, inputs);
    put_words(&n, NODE_OUT, outputs);
    pb_str(&n, NODE_OP, colons ? colons + 2 : op);
    if (colons) pb_bytes(&n, NODE_DOMAIN, op, (size_t)(colons - op));
    return n;
}

/* Calls one of the two for each part between commas. */
static void put_dims(struct pb *b, const char *dims,
                     void (*put)(struct pb *b, const char *part, size_t n)) {
    while (*dims) {
        size_t n = strcspn(dims, ",");
        put(b, dims, n);
        dims += n + (dims[n] == ',');
    }
}

static void put_shape_dim(struct pb *shape, const char *part, size_t n) {
    struct pb d = {0};
    char *end;
    long long v = strtoll(part, &end, 10);
    if (end == part + n)
        pb_int(&d, 1, v);
    else
        pb_bytes(&d, 2, part, n);
    pb_msg(shape, 1, &d);
}

static void put_tensor_dim(struct pb *tensor, const char *part, size_t n) {
    (void)n;
    pb_int(tensor, TENSOR_DIMS, strtoll(part, NULL, 10));
}

struct pb onnx_value(const char *name, int dtype, const char *dims) {
    struct pb v = {0}, type = {0}, tensor = {0}, shape = {0};
    pb_str(&v, 1, name);
    if (dtype) pb_int(&tensor, 1, dtype);
    if (dims) {
        put_dims(&shape, dims, put_shape_dim);
        pb_msg(&tensor, 2, &shape);
    }
    pb_msg(&type, 1, &tensor);
    pb_msg(&v, 2, &type);
    return v;
}

struct pb onnx_tensor(const char *name, int dtype, const char *dims) {
    struct pb t = {0};
    put_dims(&t, dims, put_tensor_dim);
    pb_int(&t, TENSOR_TYPE, dtype);
    if (*name) pb_str(&t, TENSOR_NAME, name);
    return t;
}

struct pb onnx_floats(const char *name, const char *dims, const float *data, size_t n) {
    struct pb t = onnx_tensor(name, 1, dims);
    pb_bytes(&t, TENSOR_RAW, data, n * sizeof *data);
    return t;
}

struct pb onnx_int64s(const char *name, const char *dims, const int64_t *data, size_t n) {
    struct pb t = onnx_tensor(name, 7, dims);
    pb_bytes(&t, TENSOR_RAW, data, n * sizeof *data);
    return t;
}

void onnx_external(struct pb *tensor, const char *key, const char *value) {
    struct pb e = {0};
    pb_str(&e, 1, key);
    pb_str(&e, 2, value);
    pb_msg(tensor, TENSOR_EXTERNAL, &e);
}

void onnx_attr_int(struct pb *node, const char *name, int64_t v) {
    struct pb a = {0};
    pb_str(&a, ATTR_NAME, name);
    pb_int(&a, ATTR_I, v);
    pb_int(&a, ATTR_TYPE, 2);
    pb_msg(node, NODE_ATTR, &a);
}

void onnx_attr_ints(struct pb *node, const char *name, const int64_t *v, size_t n) {
    struct pb a = {0};
    pb_str(&a, ATTR_NAME, name);
    for (size_t i = 0; i < n; i++)
        pb_int(&a, ATTR_INTS, v[i]);
    pb_int(&a, ATTR_TYPE, 7);
    pb_msg(node, NODE_ATTR, &a);
}

void onnx_attr_string(struct pb *node, const char *name, const char *v) {
    struct pb a = {0};
    pb_str(&a, ATTR_NAME, name);
    pb_str(&a, ATTR_S, v);
    pb_int(&a, ATTR_TYPE, 3);
    pb_msg(node, NODE_ATTR, &a);
}

void onnx_attr_msg(struct pb *node, const char *name, int type, uint32_t field,
                   struct pb *message) {
    struct pb a = {0};
    pb_str(&a, ATTR_NAME, name);
    pb_msg(&a, field, message);
    pb_int(&a, ATTR_TYPE, type);
    pb_msg(node, NODE_ATTR, &a);
}

struct pb onnx_opset(const char *domain, int64_t version) {
    struct pb o = {0};
    if (*domain) pb_str(&o, 1, domain);
    pb_int(&o, 2, version);
    return o;
}

struct pb onnx_model(int ir, int opset, struct pb *graph) {
    struct pb m = {0};
    if (ir) pb_int(&m, MODEL_IR, ir);
    if (opset) {
        struct pb o = onnx_opset("", opset);
        pb_msg(&m, MODEL_OPSET, &o);
    }
    pb_msg(&m, MODEL_GRAPH, graph);
    return m;
}
