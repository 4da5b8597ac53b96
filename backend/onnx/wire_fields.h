/* backend/onnx/wire_fields.h - the numbers of the ONNX schema that the writer uses, in one table.
 *
 *   X(constant, message as protobuf-c names its descriptor, field, number, wire type)
 *
 * A unit test compares every row with the descriptors generated from the schema. */
#ifndef OX_BACKEND_ONNX_WIRE_FIELDS_H
#define OX_BACKEND_ONNX_WIRE_FIELDS_H

enum ox_wire_type { OX_WT_VARINT = 0, OX_WT_LEN = 2, OX_WT_32 = 5 };

/* clang-format off */
#define OX_WIRE_FIELDS(X)                                                               \
    X(MODEL_IR_VERSION,       model_proto, ir_version,            1, OX_WT_VARINT)      \
    X(MODEL_PRODUCER,         model_proto, producer_name,         2, OX_WT_LEN)         \
    X(MODEL_PRODUCER_VERSION, model_proto, producer_version,      3, OX_WT_LEN)         \
    X(MODEL_DOMAIN,           model_proto, domain,                4, OX_WT_LEN)         \
    X(MODEL_VERSION,          model_proto, model_version,         5, OX_WT_VARINT)      \
    X(MODEL_DOC,              model_proto, doc_string,            6, OX_WT_LEN)         \
    X(MODEL_GRAPH,            model_proto, graph,                 7, OX_WT_LEN)         \
    X(MODEL_OPSET,            model_proto, opset_import,          8, OX_WT_LEN)         \
    X(MODEL_META,             model_proto, metadata_props,       14, OX_WT_LEN)         \
    X(MODEL_FUNCTION,         model_proto, functions,            25, OX_WT_LEN)         \
    X(OPSET_DOMAIN,           operator_set_id_proto, domain,      1, OX_WT_LEN)         \
    X(OPSET_VERSION,          operator_set_id_proto, version,     2, OX_WT_VARINT)      \
    X(PAIR_KEY,               string_string_entry_proto, key,     1, OX_WT_LEN)         \
    X(PAIR_VALUE,             string_string_entry_proto, value,   2, OX_WT_LEN)         \
    X(GRAPH_NODE,             graph_proto, node,                  1, OX_WT_LEN)         \
    X(GRAPH_NAME,             graph_proto, name,                  2, OX_WT_LEN)         \
    X(GRAPH_INITIALIZER,      graph_proto, initializer,           5, OX_WT_LEN)         \
    X(GRAPH_DOC,              graph_proto, doc_string,           10, OX_WT_LEN)         \
    X(GRAPH_INPUT,            graph_proto, input,                11, OX_WT_LEN)         \
    X(GRAPH_OUTPUT,           graph_proto, output,               12, OX_WT_LEN)         \
    X(GRAPH_VALUE_INFO,       graph_proto, value_info,           13, OX_WT_LEN)         \
    X(GRAPH_SPARSE,           graph_proto, sparse_initializer,   15, OX_WT_LEN)         \
    X(GRAPH_META,             graph_proto, metadata_props,       16, OX_WT_LEN)         \
    X(NODE_INPUT,             node_proto, input,                  1, OX_WT_LEN)         \
    X(NODE_OUTPUT,            node_proto, output,                 2, OX_WT_LEN)         \
    X(NODE_NAME,              node_proto, name,                   3, OX_WT_LEN)         \
    X(NODE_OP_TYPE,           node_proto, op_type,                4, OX_WT_LEN)         \
    X(NODE_ATTRIBUTE,         node_proto, attribute,              5, OX_WT_LEN)         \
    X(NODE_DOC,               node_proto, doc_string,             6, OX_WT_LEN)         \
    X(NODE_DOMAIN,            node_proto, domain,                 7, OX_WT_LEN)         \
    X(NODE_OVERLOAD,          node_proto, overload,               8, OX_WT_LEN)         \
    X(NODE_META,              node_proto, metadata_props,         9, OX_WT_LEN)         \
    X(ATTR_NAME,              attribute_proto, name,              1, OX_WT_LEN)         \
    X(ATTR_F,                 attribute_proto, f,                 2, OX_WT_32)          \
    X(ATTR_I,                 attribute_proto, i,                 3, OX_WT_VARINT)      \
    X(ATTR_S,                 attribute_proto, s,                 4, OX_WT_LEN)         \
    X(ATTR_T,                 attribute_proto, t,                 5, OX_WT_LEN)         \
    X(ATTR_G,                 attribute_proto, g,                 6, OX_WT_LEN)         \
    X(ATTR_FLOATS,            attribute_proto, floats,            7, OX_WT_32)          \
    X(ATTR_INTS,              attribute_proto, ints,              8, OX_WT_VARINT)      \
    X(ATTR_STRINGS,           attribute_proto, strings,           9, OX_WT_LEN)         \
    X(ATTR_TENSORS,           attribute_proto, tensors,          10, OX_WT_LEN)         \
    X(ATTR_GRAPHS,            attribute_proto, graphs,           11, OX_WT_LEN)         \
    X(ATTR_DOC,               attribute_proto, doc_string,       13, OX_WT_LEN)         \
    X(ATTR_TP,                attribute_proto, tp,               14, OX_WT_LEN)         \
    X(ATTR_TYPE_PROTOS,       attribute_proto, type_protos,      15, OX_WT_LEN)         \
    X(ATTR_TYPE,              attribute_proto, type,             20, OX_WT_VARINT)      \
    X(ATTR_REF,               attribute_proto, ref_attr_name,    21, OX_WT_LEN)         \
    X(ATTR_SPARSE,            attribute_proto, sparse_tensor,    22, OX_WT_LEN)         \
    X(ATTR_SPARSES,           attribute_proto, sparse_tensors,   23, OX_WT_LEN)         \
    X(TENSOR_DIMS,            tensor_proto, dims,                 1, OX_WT_VARINT)      \
    X(TENSOR_DATA_TYPE,       tensor_proto, data_type,            2, OX_WT_VARINT)      \
    X(TENSOR_STRING_DATA,     tensor_proto, string_data,          6, OX_WT_LEN)         \
    X(TENSOR_NAME,            tensor_proto, name,                 8, OX_WT_LEN)         \
    X(TENSOR_RAW_DATA,        tensor_proto, raw_data,             9, OX_WT_LEN)         \
    X(TENSOR_DOC,             tensor_proto, doc_string,          12, OX_WT_LEN)         \
    X(TENSOR_EXTERNAL_DATA,   tensor_proto, external_data,       13, OX_WT_LEN)         \
    X(TENSOR_LOCATION,        tensor_proto, data_location,       14, OX_WT_VARINT)      \
    X(TENSOR_META,            tensor_proto, metadata_props,      16, OX_WT_LEN)         \
    X(SPARSE_VALUES,          sparse_tensor_proto, values,        1, OX_WT_LEN)         \
    X(SPARSE_INDICES,         sparse_tensor_proto, indices,       2, OX_WT_LEN)         \
    X(SPARSE_DIMS,            sparse_tensor_proto, dims,          3, OX_WT_VARINT)      \
    X(INFO_NAME,              value_info_proto, name,             1, OX_WT_LEN)         \
    X(INFO_TYPE,              value_info_proto, type,             2, OX_WT_LEN)         \
    X(INFO_DOC,               value_info_proto, doc_string,       3, OX_WT_LEN)         \
    X(INFO_META,              value_info_proto, metadata_props,   4, OX_WT_LEN)         \
    X(TYPE_TENSOR,            type_proto, tensor_type,            1, OX_WT_LEN)         \
    X(TYPE_SEQUENCE,          type_proto, sequence_type,          4, OX_WT_LEN)         \
    X(TYPE_MAP,               type_proto, map_type,               5, OX_WT_LEN)         \
    X(TYPE_DENOTATION,        type_proto, denotation,             6, OX_WT_LEN)         \
    X(TYPE_SPARSE,            type_proto, sparse_tensor_type,     8, OX_WT_LEN)         \
    X(TYPE_OPTIONAL,          type_proto, optional_type,          9, OX_WT_LEN)         \
    X(TYPE_TENSOR_ELEM,       type_proto__tensor, elem_type,      1, OX_WT_VARINT)      \
    X(TYPE_TENSOR_SHAPE,      type_proto__tensor, shape,          2, OX_WT_LEN)         \
    X(TYPE_SPARSE_ELEM,       type_proto__sparse_tensor, elem_type, 1, OX_WT_VARINT)    \
    X(TYPE_SPARSE_SHAPE,      type_proto__sparse_tensor, shape,   2, OX_WT_LEN)         \
    X(TYPE_SEQUENCE_ELEM,     type_proto__sequence, elem_type,    1, OX_WT_LEN)         \
    X(TYPE_OPTIONAL_ELEM,     type_proto__optional, elem_type,    1, OX_WT_LEN)         \
    X(TYPE_MAP_KEY,           type_proto__map, key_type,          1, OX_WT_VARINT)      \
    X(TYPE_MAP_VALUE,         type_proto__map, value_type,        2, OX_WT_LEN)         \
    X(SHAPE_DIM,              tensor_shape_proto, dim,            1, OX_WT_LEN)         \
    X(DIM_VALUE,              tensor_shape_proto__dimension, dim_value, 1, OX_WT_VARINT) \
    X(DIM_PARAM,              tensor_shape_proto__dimension, dim_param, 2, OX_WT_LEN)   \
    X(DIM_DENOTATION,         tensor_shape_proto__dimension, denotation, 3, OX_WT_LEN)  \
    X(FUNCTION_NAME,          function_proto, name,               1, OX_WT_LEN)         \
    X(FUNCTION_INPUT,         function_proto, input,              4, OX_WT_LEN)         \
    X(FUNCTION_OUTPUT,        function_proto, output,             5, OX_WT_LEN)         \
    X(FUNCTION_ATTRIBUTE,     function_proto, attribute,          6, OX_WT_LEN)         \
    X(FUNCTION_NODE,          function_proto, node,               7, OX_WT_LEN)         \
    X(FUNCTION_DOC,           function_proto, doc_string,         8, OX_WT_LEN)         \
    X(FUNCTION_OPSET,         function_proto, opset_import,       9, OX_WT_LEN)         \
    X(FUNCTION_DOMAIN,        function_proto, domain,            10, OX_WT_LEN)         \
    X(FUNCTION_DEFAULT,       function_proto, attribute_proto,   11, OX_WT_LEN)         \
    X(FUNCTION_OVERLOAD,      function_proto, overload,          13, OX_WT_LEN)         \
    X(FUNCTION_META,          function_proto, metadata_props,    14, OX_WT_LEN)
/* clang-format on */

/* OX_F_<constant>: tag of the field, that is its number and wire type. */
enum ox_wire_field {
#define X(constant, message, field, number, type) OX_F_##constant = (number) << 3 | (type),
    OX_WIRE_FIELDS(X)
#undef X
};

#endif
