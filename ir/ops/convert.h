/* ir/ops/convert.h - conversion between element types, as Cast does it; for kernels that work in
 * float and for quantization. */
#ifndef OX_IR_OPS_CONVERT_H
#define OX_IR_OPS_CONVERT_H

#include "ir/base/bytes.h"

/* Elements of one of the float types (float, double, float16, bfloat16, float8*) to float and back.
 * Narrowing rounds to nearest even; beyond the range it follows Cast's default (`saturate` for
 * float8). */
void ox_load_floats(float *to, ox_dtype dtype, const void *from, size_t n);
void ox_store_floats(void *to, ox_dtype dtype, const float *from, size_t n);

/* One element of float8, float4 (code in the low bits) or float8e8m0. */
float ox_narrow_to_float(ox_dtype dtype, uint8_t code);
uint8_t ox_float_to_narrow(ox_dtype dtype, float f, bool saturate);

/* float8e8m0 has powers of two only; which one stands for what lies between two of them. */
enum ox_e8m0_round { OX_E8M0_UP, OX_E8M0_DOWN, OX_E8M0_NEAREST };
uint8_t ox_float_to_e8m0(float f, bool saturate, enum ox_e8m0_round round);

/* What Cast's attributes and opset decide; zero: as before opset 19. */
struct ox_cast_rules {
    bool saturate; /* float8: beyond the range is the largest number */
    bool wraps;    /* floats to integers below 8 bits: cut to an integer, whose high bits are lost;
                      else rounded, and    beyond the range the nearest number. The standard leaves
                      both    open; so the official results are,    from opset 24 on and before. */
    enum ox_e8m0_round round;
};

/* A new tensor with the elements converted to another type. Every pair but the complex types; `ctx`
 * gets the diagnostic where a string is not a number or a pair is not possible. `saturate`: Cast's
 * attribute. `tensor` may lie unaligned in a file; the result is aligned. */
OX_MUST_USE ox_status ox_tensor_cast(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                     ox_dtype dtype, bool saturate);
OX_MUST_USE ox_status ox_tensor_cast_by(ox_tensor **out, ox_ctx *ctx, const ox_tensor *tensor,
                                        ox_dtype dtype, const struct ox_cast_rules *rules);

#endif
