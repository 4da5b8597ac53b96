/* pb_build.h - writes protobuf messages by hand, well-formed or not, for tests that need exact
 * bytes.
 *
 * A struct pb is a growing buffer. pb_msg appends a finished message as a field of another one and
 * empties it. The onnx_* helpers build the messages that most tests are made of; each returns a
 * buffer that pb_msg consumes. Running out of memory ends the program: these are tests. */
#ifndef OX_TESTS_PB_BUILD_H
#define OX_TESTS_PB_BUILD_H

#include <stddef.h>
#include <stdint.h>

struct pb {
    unsigned char *data;
    size_t len, cap;
};

void pb_free(struct pb *b);
void pb_raw(struct pb *b, const void *data, size_t len);
void pb_varint(struct pb *b, uint64_t v);
void pb_tag(struct pb *b, uint32_t field, unsigned wire_type);
void pb_int(struct pb *b, uint32_t field, int64_t v);
void pb_float(struct pb *b, uint32_t field, float v);
void pb_bytes(struct pb *b, uint32_t field, const void *data, size_t len);
void pb_str(struct pb *b, uint32_t field, const char *text);
void pb_msg(struct pb *b, uint32_t field, struct pb *message);
/* Packed int64 numbers. */
void pb_packed(struct pb *b, uint32_t field, const int64_t *v, size_t n);

/* ---- ONNX ---- */

/* Field numbers that tests use. */
enum {
    MODEL_IR = 1,
    MODEL_PRODUCER = 2,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_META = 14,
    MODEL_TRAINING = 20,
    MODEL_FUNCTION = 25,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INIT = 5,
    GRAPH_DOC = 10,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_INFO = 13,
    GRAPH_QUANT = 14,
    GRAPH_SPARSE = 15,
    NODE_IN = 1,
    NODE_OUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTR = 5,
    NODE_DOC = 6,
    NODE_DOMAIN = 7,
    ATTR_NAME = 1,
    ATTR_F = 2,
    ATTR_I = 3,
    ATTR_S = 4,
    ATTR_T = 5,
    ATTR_G = 6,
    ATTR_FLOATS = 7,
    ATTR_INTS = 8,
    ATTR_STRINGS = 9,
    ATTR_TYPE = 20,
    ATTR_REF = 21,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_FLOATS = 4,
    TENSOR_INT32S = 5,
    TENSOR_STRINGS = 6,
    TENSOR_INT64S = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10,
    TENSOR_UINT64S = 11,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14,
    FUNCTION_NAME = 1,
    FUNCTION_INPUT = 4,
    FUNCTION_OUTPUT = 5,
    FUNCTION_ATTR = 6,
    FUNCTION_NODE = 7,
    FUNCTION_OPSET = 9,
    FUNCTION_DOMAIN = 10
};

/* "X" or "a b" (names with blanks between them; "-" is the empty name). op may be "domain::Op". */
struct pb onnx_node(const char *op, const char *inputs, const char *outputs);
/* dims as text: "1,4" or "N,3"; "" is a scalar, NULL no shape at all. dtype 0: none. */
struct pb onnx_value(const char *name, int dtype, const char *dims);
/* A tensor without data; dims as numbers. */
struct pb onnx_tensor(const char *name, int dtype, const char *dims);
struct pb onnx_floats(const char *name, const char *dims, const float *data,
                      size_t n); /* raw_data */
struct pb onnx_int64s(const char *name, const char *dims, const int64_t *data, size_t n);
void onnx_external(struct pb *tensor, const char *key, const char *value);
void onnx_attr_int(struct pb *node, const char *name, int64_t v);
void onnx_attr_ints(struct pb *node, const char *name, const int64_t *v, size_t n);
void onnx_attr_string(struct pb *node, const char *name, const char *v);
void onnx_attr_msg(struct pb *node, const char *name, int type, uint32_t field, struct pb *message);
/* Consumes the graph. opset 0: none. */
struct pb onnx_model(int ir, int opset, struct pb *graph);
struct pb onnx_opset(const char *domain, int64_t version);

#endif
