/* backend/runtime/math32.c - see math32.h. */
#include "backend/runtime/math32.h"

#include <string.h>

#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/math32.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/math32.inc"
#undef OX_ISA_IS
#endif

ox_loop_fn oxr_math32_loop(enum ox_isa isa, enum ox_unary_op op) {
#if OX_ISA_X86
    if (isa == OX_ISA_AVX512) return loop_avx512(op);
    if (isa == OX_ISA_AVX2) return loop_avx2(op);
#endif
    (void)isa, (void)op;
    return NULL;
}
