/* onnxopt/tensor.h - element types and immutable tensors.
 *
 * A tensor is counted, contiguous, row-major (C order) and never changes once it is shared.
 * Elements narrower than a byte are packed, the first element in the low bits, as the ONNX standard
 * stores them (IR specification, "TensorProto.raw_data"). Strings are an array of ox_str.
 */
#ifndef ONNXOPT_TENSOR_H
#define ONNXOPT_TENSOR_H

#include <onnxopt/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OX_MAX_RANK 64

/* X(identifier, ONNX TensorProto.DataType number, bits per element, name in the ONNX text form).
 * The numbers are the standard's and ascend without a gap. */
#define OX_DTYPE_LIST(X)                                                                           \
    X(OX_UNDEFINED, 0, 0, "undefined")                                                             \
    X(OX_FLOAT, 1, 32, "float")                                                                    \
    X(OX_UINT8, 2, 8, "uint8")                                                                     \
    X(OX_INT8, 3, 8, "int8")                                                                       \
    X(OX_UINT16, 4, 16, "uint16")                                                                  \
    X(OX_INT16, 5, 16, "int16")                                                                    \
    X(OX_INT32, 6, 32, "int32")                                                                    \
    X(OX_INT64, 7, 64, "int64")                                                                    \
    X(OX_STRING, 8, 128, "string")                                                                 \
    X(OX_BOOL, 9, 8, "bool")                                                                       \
    X(OX_FLOAT16, 10, 16, "float16")                                                               \
    X(OX_DOUBLE, 11, 64, "double")                                                                 \
    X(OX_UINT32, 12, 32, "uint32")                                                                 \
    X(OX_UINT64, 13, 64, "uint64")                                                                 \
    X(OX_COMPLEX64, 14, 64, "complex64")                                                           \
    X(OX_COMPLEX128, 15, 128, "complex128")                                                        \
    X(OX_BFLOAT16, 16, 16, "bfloat16")                                                             \
    X(OX_FLOAT8E4M3FN, 17, 8, "float8e4m3fn")                                                      \
    X(OX_FLOAT8E4M3FNUZ, 18, 8, "float8e4m3fnuz")                                                  \
    X(OX_FLOAT8E5M2, 19, 8, "float8e5m2")                                                          \
    X(OX_FLOAT8E5M2FNUZ, 20, 8, "float8e5m2fnuz")                                                  \
    X(OX_UINT4, 21, 4, "uint4")                                                                    \
    X(OX_INT4, 22, 4, "int4")                                                                      \
    X(OX_FLOAT4E2M1, 23, 4, "float4e2m1")                                                          \
    X(OX_FLOAT8E8M0, 24, 8, "float8e8m0")                                                          \
    X(OX_UINT2, 25, 2, "uint2")                                                                    \
    X(OX_INT2, 26, 2, "int2")

typedef enum ox_dtype {
#define X(id, number, bits, text) id = number,
    OX_DTYPE_LIST(X)
#undef X
        OX_DTYPE_COUNT,
    /* What is not a tensor travels as a tensor of counted tensors (see ox_tensor_list). No file can
       name these. */
    OX_SEQUENCE = 32, /* rank 1, any length */
    OX_OPTIONAL = 33, /* rank 1, length 0 (empty) or 1 */
    OX_MAP = 34       /* rank 1, length 2: keys, and as many values */
} ox_dtype;

/* Weights as the native runtime's kernels lay them out for one class of processors: what oxr_packed
 * tells and ox_native_save_packed writes. */
struct ox_packed {
    const char *processors; /* the class */
    size_t step;
    uint32_t part, layout;
    const void *data;
    size_t size;
};

bool ox_dtype_valid(int64_t number);       /* 1 .. 26 */
int ox_dtype_bits(ox_dtype dtype);         /* 0 for OX_UNDEFINED */
const char *ox_dtype_name(ox_dtype dtype); /* "float", "int64", ... */
bool ox_dtype_is_integer(ox_dtype dtype);  /* signed or unsigned integers, not bool */
bool ox_dtype_is_float(ox_dtype dtype);    /* float, double, half, bfloat16, float8*, float4 */

/* Counted string: not NUL-terminated, may hold any byte. */
struct ox_str {
    const char *ptr;
    size_t len;
};

struct ox_tensor {
    ox_dtype dtype;
    int rank;
    const int64_t *dims; /* rank entries, all >= 0 */
    size_t count;        /* number of elements: the product of dims */
    size_t size;         /* bytes at data: ceil(count * bits / 8) */
    const void *data;    /* NULL only where size is 0; may be unaligned if it came from a file */
};
typedef struct ox_tensor ox_tensor;

/* A new tensor of zero bytes, data aligned to 64. *data (may be NULL) gets the writable elements:
 * write them before the tensor is shared. A negative dim, a rank above OX_MAX_RANK or a size that
 * overflows is OX_INVALID; above limits.max_tensor_bytes it is OX_NOMEM. */
OX_MUST_USE ox_status ox_tensor_new(ox_tensor **out, void **data, ox_ctx *ctx, ox_dtype dtype,
                                    int rank, const int64_t *dims);
/* The same, holding a copy of `size` bytes at `data`; `size` must be what dims need, else
 * OX_INVALID. */
OX_MUST_USE ox_status ox_tensor_copy(ox_tensor **out, ox_ctx *ctx, ox_dtype dtype, int rank,
                                     const int64_t *dims, const void *data, size_t size);
/* Element `index` as a double; NaN where the type has no numbers (strings, complex numbers) or is
 * narrower than a byte. */
double ox_tensor_at(const ox_tensor *tensor, size_t index);
/* A sequence, optional or map: `kind` is OX_SEQUENCE, OX_OPTIONAL or OX_MAP. Each item is counted
 * once more; items may be such lists themselves. data is an array of `count` pointers const
 * ox_tensor *. */
OX_MUST_USE ox_status ox_tensor_list(ox_tensor **out, ox_ctx *ctx, ox_dtype kind, size_t count,
                                     ox_tensor *const *items);
/* Item of such a list, borrowed; NULL when there is none. */
const ox_tensor *ox_tensor_item(const ox_tensor *list, size_t index);
ox_tensor *ox_tensor_ref(const ox_tensor *tensor); /* returns its argument, counted once more */
void ox_tensor_unref(ox_tensor *tensor);
/* Same type, dims and bits; lists: equal items. NaNs with equal bits are equal; 0 and -0 are not.
 */
bool ox_tensor_equal(const ox_tensor *a, const ox_tensor *b);

/* One input or output of a model. Strings and dims are borrowed from the model. */
struct ox_port {
    const char *name;
    ox_dtype dtype;             /* OX_UNDEFINED: unknown, or not a tensor */
    int rank;                   /* -1: unknown */
    const int64_t *dims;        /* rank entries; -1 where symbolic or unknown */
    const char *const *symbols; /* rank entries: name of a symbolic dim, or NULL */
    const char *type_text;      /* "float[N,3,224,224]" */
};

#ifdef __cplusplus
}
#endif
#endif
