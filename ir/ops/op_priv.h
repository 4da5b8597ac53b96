/* ir/ops/op_priv.h - what the operator families share: prototypes of every function that the table
 * names, sets of element types, and the name of a type for messages. For files of this folder only.
 */
#ifndef OX_IR_OPS_OP_PRIV_H
#define OX_IR_OPS_OP_PRIV_H

#include "ir/ops/params.h"

/* Each row declares its three functions, so that a name in the table that nobody defines is a link
 * error, and a definition that differs from the contract is a compile error. */
#define OP(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits, decode,   \
           infer, eval, quant, family)                                                             \
    ox_status ox_decode_##decode(const struct ox_call *call, void *params);                        \
    ox_status ox_infer_##infer(const struct ox_call *call, const void *params,                     \
                               struct ox_infer *io);                                               \
    ox_status ox_eval_##eval(const struct ox_call *call, const void *params,                       \
                             const ox_tensor *const *in, ox_tensor **out);
#include "ir/ops/ops.def"
#undef OP

/* States that are made once a node: op.h, ox_prepare_fn. */
#define OP(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits, decode,   \
           infer, eval, quant, family)
#define OP_PREPARED(domain, name, since, newest, types, min_in, max_in, min_out, max_out, traits,  \
                    decode, infer, eval, quant, family, prepare)                                   \
    ox_status ox_prepare_##prepare(const struct ox_call *call, const void *params, void **state);  \
    void ox_forget_##prepare(void *state, ox_ctx *ctx);
#include "ir/ops/ops.def"
#undef OP

/* For operators without parameters, and those of whose outputs nothing is known. */
ox_status ox_decode_none(const struct ox_call *call, void *params);
ox_status ox_infer_none(const struct ox_call *call, const void *params, struct ox_infer *io);

/* ---- sets of element types ------------------------------------------------------------------- */

typedef uint64_t ox_dtypes; /* bit d: the type with number d */
#define OX_BIT(dtype) ((ox_dtypes)1 << (dtype))
#define OX_FLOATS (OX_BIT(OX_FLOAT) | OX_BIT(OX_DOUBLE) | OX_BIT(OX_FLOAT16) | OX_BIT(OX_BFLOAT16))
#define OX_FLOAT8S                                                                                 \
    (OX_BIT(OX_FLOAT8E4M3FN) | OX_BIT(OX_FLOAT8E4M3FNUZ) | OX_BIT(OX_FLOAT8E5M2) |                 \
     OX_BIT(OX_FLOAT8E5M2FNUZ))
#define OX_SIGNEDS (OX_BIT(OX_INT8) | OX_BIT(OX_INT16) | OX_BIT(OX_INT32) | OX_BIT(OX_INT64))
#define OX_UNSIGNEDS (OX_BIT(OX_UINT8) | OX_BIT(OX_UINT16) | OX_BIT(OX_UINT32) | OX_BIT(OX_UINT64))
#define OX_INTEGERS (OX_SIGNEDS | OX_UNSIGNEDS)
#define OX_NUMBERS (OX_FLOATS | OX_INTEGERS)
#define OX_ANY_TYPE (~(ox_dtypes)1 & (OX_BIT(OX_DTYPE_COUNT) - 1))

/* OX_INVALID with a diagnostic unless input i's type is in the set; unknown types pass. */
OX_MUST_USE ox_status ox_expect_dtype(const struct ox_call *call, size_t i, ox_dtype dtype,
                                      ox_dtypes allowed);
/* OX_INVALID with a diagnostic unless both types are known to be equal or one is unknown. */
OX_MUST_USE ox_status ox_expect_same_dtype(const struct ox_call *call, size_t i, ox_dtype a,
                                           size_t j, ox_dtype b);

/* ---- dims in messages ------------------------------------------------------------------------ */

struct ox_dims_text {
    char text[120];
};
/* "[2,3,224,224]", cut with "..." where it would not fit. Use: ox_dims_text(rank, dims).text */
struct ox_dims_text ox_dims_text(int rank, const int64_t *dims);
struct ox_dims_text ox_sym_dims_text(int rank, const ox_dim *dims);

/* ---- inference helpers ----------------------------------------------------------------------- */

/* out_values[i] gets these elements (copied into the arena); does nothing where io has no room for
 * values. */
OX_MUST_USE ox_status ox_infer_value(struct ox_infer *io, size_t i, int rank, size_t count,
                                     const ox_dim *elems);
/* The same for results of arithmetic in `dtype`: nothing is said of types that are not tracked, nor
 * where an element is beyond the type's range, since there it wraps. */
OX_MUST_USE ox_status ox_infer_number(struct ox_infer *io, size_t i, ox_dtype dtype, int rank,
                                      size_t count, const ox_dim *elems);

#endif
