/* badmodels.h - cases of malformed and malicious input, each a folder that a function fills.
 *
 * A case says how a tool must take it: accept (exit 0 and an output), reject (an exit code from 2
 * to 5, one line of message, no output), either of the two ("clean"), or either within limits of
 * memory and time. */
#ifndef OX_TESTS_BADMODELS_H
#define OX_TESTS_BADMODELS_H

#include "tests/badmodels/pb_build.h"

#define ACCEPT "accept"
#define REJECT "reject"
#define CLEAN "accept-or-reject-cleanly"
#define BOUND(mb, s) "must-not-use-more-than-" #mb "-MB/" #s "-seconds"

struct bad_dir; /* the case's folder */

struct bad_case {
    const char *name;
    const char *file; /* what the tool is given: "model.onnx", "data.npy", ... */
    const char *kind; /* onnx: a model; else calibration data for c_linear (npy, npz) or c_image
                         (png, jpg) */
    const char *expected;
    const char *note;
    void (*make)(struct bad_dir *dir);
};

#define ONNX_CASE(name, expected, note)                                                            \
    { #name, "model.onnx", "onnx", expected, note, name }

/* The case's file itself, or another one in its folder. Consumes the bytes. */
void bad_write(struct bad_dir *dir, const char *name, struct pb *bytes);
/* A symbolic or hard link in the folder; target is relative to the folder. */
void bad_link(struct bad_dir *dir, const char *name, const char *target, int hard);
void bad_mkdir(struct bad_dir *dir, const char *name);
/* Absolute path of a file outside of all cases, which holds the secret. */
const char *bad_secret(struct bad_dir *dir);
/* The graph as a model of IR version 8 and opset 17, written as model.onnx. Consumes it. */
void bad_model(struct bad_dir *dir, struct pb *graph);

/* ---- pieces that many cases are made of ---- */
/* A graph with input X and output Y (float, these dims). */
struct pb bad_graph(const char *x_dims, const char *y_dims);
void bad_add(struct pb *graph, uint32_t field, struct pb message);
void bad_node(struct pb *graph, const char *op, const char *in, const char *out);
/* An initializer of `n` floats 0.1, 0.2, ... */
void bad_weight(struct pb *graph, const char *name, const char *dims, size_t n);
/* X[1,4] times W[4,3] gives Y[1,3]; the weight is the caller's. */
struct pb bad_matmul(struct pb weight);
/* X[1,1,5,5], W[1,1,3,3]; the Conv node is the caller's. */
struct pb bad_conv(struct pb node);

struct bad_list {
    const struct bad_case *cases;
    size_t n;
};
extern const struct bad_list bad_wire_cases, bad_tensor_cases, bad_external_cases, bad_graph_cases,
    bad_operator_cases, bad_data_cases;

#endif
