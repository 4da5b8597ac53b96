/* ir/ops/convert.h - conversion between element types, as Cast does it; for kernels that work in
 * float and for quantization. */
#ifndef OX_IR_OPS_CONVERT_H
#define OX_IR_OPS_CONVERT_H

#include "ir/base/bytes.h"

/* Elements of one of the float types (float, double, float16, bfloat16, float8*) to float and back.
 * Narrowing rounds to nearest even; beyond the range it follows Cast's default (`saturate` for float8). */
void ox_load_floats(float *to, ox_dtype dtype, const void *from, size_t n);
void ox_store_floats(void *to, ox_dtype dtype, const float *from, size_t n);

/* One element of float8, float4 (code in the low bits) or float8e8m0. */
float ox_narrow_to_float(ox_dtype dtype, uint8_t code);
uint8_t ox_float_to_narrow(ox_dtype dtype, float f, bool saturate);

/* A new tensor with the elements converted to another type. Every pair but the complex types; `ctx` gets
 * the diagnostic where a string is not a number or a pair is not possible. `saturate`: Cast's attribute.
 * `tensor` may lie unaligned in a file; the result is aligned. */
OX_MUST_USE ox_status ox_tensor_cast(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                     ox_dtype dtype, bool saturate);

#endif
