/* bad_tensor.c - tensors whose shape, type and data do not agree; external data that leads astray.
 */
#include "tests/badmodels/badmodels.h"

#include <stdio.h>
#include <string.h>

static const float twelve[13] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

/* X[1,4] times this weight. */
static void weight(struct bad_dir *d, struct pb w) {
    struct pb g = bad_matmul(w);
    bad_model(d, &g);
}

static struct pb raw(int dtype, const char *dims, size_t size) {
    struct pb t = onnx_tensor("W", dtype, dims);
    pb_bytes(&t, TENSOR_RAW, twelve, size);
    return t;
}

static void t_dims_wrap_zero(struct bad_dir *d) {
    weight(d, raw(1, "4294967296,4294967296", 0));
}

static void t_neg_dim(struct bad_dir *d) {
    weight(d, raw(1, "-4,-3", 48));
}

static void t_dim_i64min(struct bad_dir *d) {
    weight(d, raw(1, "-9223372036854775808,2", 48));
}

static void t_zero_times_huge(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    bad_add(&g, GRAPH_INIT, onnx_tensor("W", 1, "0,9223372036854775807,9223372036854775807"));
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void t_raw_short(struct bad_dir *d) {
    weight(d, raw(1, "1000000", 4));
}

static void t_raw_long(struct bad_dir *d) {
    weight(d, raw(1, "4,3", 49));
}

static void t_no_data(struct bad_dir *d) {
    weight(d, onnx_tensor("W", 1, "4,3"));
}

static void t_two_storages(struct bad_dir *d) {
    struct pb t = raw(1, "4,3", 48);
    pb_bytes(&t, TENSOR_FLOATS, twelve, 48);
    weight(d, t);
}

static void t_floatdata_count(struct bad_dir *d) {
    struct pb t = onnx_tensor("W", 1, "4,3");
    pb_bytes(&t, TENSOR_FLOATS, twelve, 44);
    weight(d, t);
}

static void t_wrong_storage(struct bad_dir *d) {
    struct pb t = onnx_tensor("W", 1, "4,3");
    static const int64_t v[12];
    pb_packed(&t, TENSOR_INT64S, v, 12);
    weight(d, t);
}

static void t_dtype_undefined(struct bad_dir *d) {
    weight(d, raw(0, "4,3", 48));
}

static void t_dtype_999(struct bad_dir *d) {
    weight(d, raw(999, "4,3", 48));
}

static void t_dtype_negative(struct bad_dir *d) {
    weight(d, raw(-1, "4,3", 48));
}

static void t_string_weights(struct bad_dir *d) {
    struct pb t = onnx_tensor("W", 8, "4,3");
    for (int i = 0; i < 12; i++)
        pb_str(&t, TENSOR_STRINGS, "abc");
    weight(d, t);
}

static void t_string_raw(struct bad_dir *d) {
    weight(d, raw(8, "4,3", 48));
}

static void t_bool_2(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), t = onnx_tensor("C", 9, "4");
    pb_bytes(&t, TENSOR_RAW, "\0\1\2\xff", 4);
    pb_msg(&g, GRAPH_INIT, &t);
    bad_node(&g, "Where", "C X X", "Y");
    bad_model(d, &g);
}

static void t_int8_out_of_range(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), t = onnx_tensor("q", 3, "1,4");
    static const int64_t v[4] = {0, 1, 2, 1000};
    float scale = 1;
    pb_packed(&t, TENSOR_INT32S, v, 4);
    pb_msg(&g, GRAPH_INIT, &t);
    bad_add(&g, GRAPH_INIT, onnx_floats("s", "", &scale, 1));
    bad_node(&g, "DequantizeLinear", "q s", "f");
    bad_node(&g, "Add", "f X", "Y");
    bad_model(d, &g);
}

static void t_rank_100k(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), t = {0};
    for (int i = 0; i < 100000; i++)
        pb_int(&t, TENSOR_DIMS, 1);
    pb_int(&t, TENSOR_TYPE, 1);
    pb_str(&t, TENSOR_NAME, "Z");
    pb_bytes(&t, TENSOR_RAW, twelve, 4);
    pb_msg(&g, GRAPH_INIT, &t);
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void t_input_dims_huge(struct bad_dir *d) {
    struct pb g = bad_graph("2147483648,2147483648,2147483648", "1");
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void t_value_info_lies(struct bad_dir *d) {
    struct pb g = bad_graph("1,1000000", "1,1000000");
    bad_node(&g, "Relu", "X", "h");
    bad_node(&g, "Neg", "h", "Y");
    bad_add(&g, GRAPH_INFO, onnx_value("h", 1, "1,4"));
    bad_model(d, &g);
}

static void t_sparse_index_oob(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), s = {0}, v = onnx_floats("S", "2", twelve, 2);
    struct pb x = onnx_int64s("", "2", (int64_t[]){3, 1000000}, 2);
    pb_msg(&s, 1, &v);
    pb_msg(&s, 2, &x);
    pb_int(&s, 3, 2);
    pb_int(&s, 3, 3);
    pb_msg(&g, GRAPH_SPARSE, &s);
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static const struct bad_case tensor_cases[] = {
    ONNX_CASE(t_dims_wrap_zero, REJECT, "2^32 x 2^32 elements, no bytes"),
    ONNX_CASE(t_neg_dim, REJECT, "dims -4 and -3"),
    ONNX_CASE(t_dim_i64min, REJECT, "the smallest integer as a dim"),
    ONNX_CASE(t_zero_times_huge, CLEAN, "dims 0, 2^63 - 1, 2^63 - 1"),
    ONNX_CASE(t_raw_short, REJECT, "4 bytes for 1,000,000 elements"),
    ONNX_CASE(t_raw_long, REJECT, "49 bytes for 12 elements"),
    ONNX_CASE(t_no_data, REJECT, "no data at all"),
    ONNX_CASE(t_two_storages, REJECT, "raw_data and float_data"),
    ONNX_CASE(t_floatdata_count, REJECT, "11 elements of 12"),
    ONNX_CASE(t_wrong_storage, REJECT, "floats in int64_data"),
    ONNX_CASE(t_dtype_undefined, REJECT, "data type 0"),
    ONNX_CASE(t_dtype_999, REJECT, "data type 999"),
    ONNX_CASE(t_dtype_negative, REJECT, "data type -1"),
    ONNX_CASE(t_string_weights, REJECT, "strings as weights"),
    ONNX_CASE(t_string_raw, REJECT, "strings in raw_data"),
    ONNX_CASE(t_bool_2, REJECT, "a bool that is neither 0 nor 1"),
    ONNX_CASE(t_int8_out_of_range, REJECT, "int8 of value 1000"),
    ONNX_CASE(t_rank_100k, CLEAN, "rank 100,000"),
    ONNX_CASE(t_input_dims_huge, REJECT, "an input of 2^93 elements"),
    ONNX_CASE(t_value_info_lies, CLEAN, "a declared shape that is wrong"),
    ONNX_CASE(t_sparse_index_oob, REJECT, "a sparse index out of range"),
};
const struct bad_list bad_tensor_cases = {tensor_cases,
                                          sizeof tensor_cases / sizeof tensor_cases[0]};

/* ---- external data --------------------------------------------------------------------------- */

/* A weight of 12 floats in a file; keys that are NULL are left out. */
static struct pb external(const char *dims, const char *location, const char *offset,
                          const char *length) {
    struct pb t = onnx_tensor("W", 1, dims);
    pb_int(&t, TENSOR_LOCATION, 1);
    if (location) onnx_external(&t, "location", location);
    if (offset) onnx_external(&t, "offset", offset);
    if (length) onnx_external(&t, "length", length);
    return t;
}

static void weights_bin(struct bad_dir *d, size_t size) {
    struct pb b = {0};
    static const unsigned char zeros[4096];
    for (size_t n = 0; n < size; n += sizeof zeros)
        pb_raw(&b, zeros, size - n < sizeof zeros ? size - n : sizeof zeros);
    bad_write(d, "weights.bin", &b);
}

/* The common case: 48 bytes in weights.bin. */
static void e_with(struct bad_dir *d, const char *location, const char *offset,
                   const char *length) {
    weights_bin(d, 48);
    weight(d, external("4,3", location, offset, length));
}

static void c_external(struct bad_dir *d) {
    weights_bin(d, 200);
    weight(d, external("4,3", "weights.bin", "64", "48"));
}

static void c_external_sub(struct bad_dir *d) {
    struct pb b = {0};
    bad_mkdir(d, "sub");
    pb_raw(&b, twelve, 48);
    bad_write(d, "sub/w.bin", &b);
    weight(d, external("4,3", "sub/w.bin", NULL, NULL));
}

static void e_dotdot(struct bad_dir *d) {
    e_with(d, "../outside/secret.bin", "0", "48");
}

static void e_nested_dotdot(struct bad_dir *d) {
    bad_mkdir(d, "sub");
    e_with(d, "sub/../../outside/secret.bin", "0", "48");
}

static void e_absolute(struct bad_dir *d) {
    e_with(d, bad_secret(d), "0", "48");
}

static void e_symlink(struct bad_dir *d) {
    bad_link(d, "weights.bin", "../outside/secret.bin", 0);
    weight(d, external("4,3", "weights.bin", NULL, "48"));
}

static void e_symlink_folder(struct bad_dir *d) {
    bad_link(d, "sub", "../outside", 0);
    weight(d, external("4,3", "sub/secret.bin", NULL, "48"));
}

static void e_hardlink(struct bad_dir *d) {
    bad_link(d, "weights.bin", "../outside/secret.bin", 1);
    weight(d, external("4,3", "weights.bin", NULL, "48"));
}

static void e_off_len_wrap(struct bad_dir *d) {
    e_with(d, "weights.bin", "18446744073709551608", "56");
}

static void e_offset_2_64(struct bad_dir *d) {
    e_with(d, "weights.bin", "18446744073709551616", "48");
}

static void e_len_past_eof(struct bad_dir *d) {
    weights_bin(d, 48);
    weight(d, external("4,256", "weights.bin", "0", "4096"));
}

static void e_negative_offset(struct bad_dir *d) {
    e_with(d, "weights.bin", "-1", "48");
}

static void e_offset_text(struct bad_dir *d) {
    e_with(d, "weights.bin", "0x0", "48");
}

static void e_length_mismatch(struct bad_dir *d) {
    e_with(d, "weights.bin", NULL, "44");
}

static void e_missing_file(struct bad_dir *d) {
    weight(d, external("4,3", "nope.bin", NULL, NULL));
}

static void e_no_location(struct bad_dir *d) {
    e_with(d, NULL, "0", "48");
}

static void e_empty_location(struct bad_dir *d) {
    e_with(d, "", "0", "48");
}

static void e_two_locations(struct bad_dir *d) {
    struct pb t = external("4,3", "weights.bin", NULL, NULL);
    onnx_external(&t, "location", "../outside/secret.bin");
    weights_bin(d, 48);
    weight(d, t);
}

static void e_dev_zero(struct bad_dir *d) {
    bad_link(d, "weights.bin", "/dev/zero", 0);
    weight(d, external("4,3", "weights.bin", NULL, NULL));
}

static void e_folder(struct bad_dir *d) {
    bad_mkdir(d, "weights.bin");
    weight(d, external("4,3", "weights.bin", NULL, NULL));
}

static void e_overlap_bomb(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4");
    weights_bin(d, 1 << 20);
    for (int i = 0; i < 4000; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        struct pb t = onnx_tensor(name, 1, "262144");
        pb_int(&t, TENSOR_LOCATION, 1);
        onnx_external(&t, "location", "weights.bin");
        pb_msg(&g, GRAPH_INIT, &t);
    }
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

/* A Constant node that reads the secret. */
static struct pb secret_constant(void) {
    struct pb n = onnx_node("Constant", "", "C"),
              t = external("12", "../outside/secret.bin", "0", "48");
    onnx_attr_msg(&n, "value", 4, ATTR_T, &t);
    return n;
}

static void e_in_attribute(struct bad_dir *d) {
    struct pb g = bad_graph("1,12", "1,12");
    bad_add(&g, GRAPH_NODE, secret_constant());
    bad_node(&g, "Add", "X C", "Y");
    bad_model(d, &g);
}

static void e_in_subgraph(struct bad_dir *d) {
    struct pb g = bad_graph("1,12", "12"), then = {0}, otherwise = {0},
              n = onnx_node("If", "c", "Y"), c = onnx_tensor("c", 9, "");
    bad_add(&then, GRAPH_NODE, secret_constant());
    bad_add(&then, GRAPH_OUTPUT, onnx_value("C", 1, "12"));
    bad_add(&otherwise, GRAPH_NODE, secret_constant());
    bad_add(&otherwise, GRAPH_OUTPUT, onnx_value("C", 1, "12"));
    onnx_attr_msg(&n, "then_branch", 5, ATTR_G, &then);
    onnx_attr_msg(&n, "else_branch", 5, ATTR_G, &otherwise);
    pb_bytes(&c, TENSOR_RAW, "\1", 1);
    pb_msg(&g, GRAPH_INIT, &c);
    pb_msg(&g, GRAPH_NODE, &n);
    bad_model(d, &g);
}

static void e_in_function(struct bad_dir *d) {
    struct pb g = bad_graph("1,12", "12"), m, f = {0}, o = onnx_opset("f", 1),
              fo = onnx_opset("", 17);
    bad_node(&g, "f::F", "", "Y");
    pb_str(&f, FUNCTION_NAME, "F");
    pb_str(&f, FUNCTION_DOMAIN, "f");
    pb_str(&f, FUNCTION_OUTPUT, "C");
    bad_add(&f, FUNCTION_NODE, secret_constant());
    pb_msg(&f, FUNCTION_OPSET, &fo);
    m = onnx_model(8, 17, &g);
    pb_msg(&m, MODEL_OPSET, &o);
    pb_msg(&m, MODEL_FUNCTION, &f);
    bad_write(d, "model.onnx", &m);
}

static void e_in_sparse(struct bad_dir *d) {
    struct pb g = bad_graph("1,4", "1,4"), s = {0},
              v = external("12", "../outside/secret.bin", "0", "48");
    struct pb x = onnx_int64s("", "12", (int64_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 12);
    pb_msg(&s, 1, &v);
    pb_msg(&s, 2, &x);
    pb_int(&s, 3, 12);
    pb_msg(&g, GRAPH_SPARSE, &s);
    bad_node(&g, "Relu", "X", "Y");
    bad_model(d, &g);
}

static void e_raw_too(struct bad_dir *d) {
    struct pb t = external("4,3", "weights.bin", NULL, NULL);
    pb_bytes(&t, TENSOR_RAW, twelve, 48);
    weights_bin(d, 48);
    weight(d, t);
}

static const struct bad_case external_cases[] = {
    ONNX_CASE(c_external, ACCEPT, "48 bytes at 64 of a file"),
    ONNX_CASE(c_external_sub, ACCEPT, "a file in a folder below"),
    ONNX_CASE(e_dotdot, REJECT, "a location with .."),
    ONNX_CASE(e_nested_dotdot, REJECT, "a location with .. further in"),
    ONNX_CASE(e_absolute, REJECT, "an absolute location"),
    ONNX_CASE(e_symlink, REJECT, "a symbolic link to the secret"),
    ONNX_CASE(e_symlink_folder, REJECT, "a folder that is a symbolic link"),
    ONNX_CASE(e_hardlink, REJECT, "a hard link to the secret"),
    ONNX_CASE(e_off_len_wrap, REJECT, "offset and length wrap around"),
    ONNX_CASE(e_offset_2_64, REJECT, "an offset of 2^64"),
    ONNX_CASE(e_len_past_eof, REJECT, "4096 bytes of a file of 48"),
    ONNX_CASE(e_negative_offset, REJECT, "offset -1"),
    ONNX_CASE(e_offset_text, REJECT, "offset 0x0"),
    ONNX_CASE(e_length_mismatch, REJECT, "a length that the dims do not need"),
    ONNX_CASE(e_missing_file, REJECT, "no such file"),
    ONNX_CASE(e_no_location, REJECT, "no location"),
    ONNX_CASE(e_empty_location, REJECT, "an empty location"),
    ONNX_CASE(e_two_locations, REJECT, "two locations"),
    ONNX_CASE(e_dev_zero, REJECT, "an endless device"),
    ONNX_CASE(e_folder, REJECT, "a folder as data"),
    ONNX_CASE(e_overlap_bomb, BOUND(512, 10), "4,000 tensors over the same MiB"),
    ONNX_CASE(e_in_attribute, REJECT, "the secret through an attribute"),
    ONNX_CASE(e_in_subgraph, REJECT, "the secret through a subgraph"),
    ONNX_CASE(e_in_function, REJECT, "the secret through a function"),
    ONNX_CASE(e_in_sparse, REJECT, "the secret through a sparse tensor"),
    ONNX_CASE(e_raw_too, REJECT, "external and raw data"),
};
const struct bad_list bad_external_cases = {external_cases,
                                            sizeof external_cases / sizeof external_cases[0]};
