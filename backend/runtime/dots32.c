/* backend/runtime/dots32.c - see dots32.h. */
#include "backend/runtime/dots32.h"

#include <string.h>

#define OX_ISA_IS 1
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/dots32.inc"
#undef OX_ISA_IS
#if OX_ISA_X86
#define OX_ISA_IS 2
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/dots32.inc"
#undef OX_ISA_IS
#define OX_ISA_IS 3
#include "ir/ops/kernel_isa.inc"
#include "backend/runtime/dots32.inc"
#undef OX_ISA_IS
#endif

void oxr_dots32(const struct oxr_dots32 *d, size_t begin, size_t end) {
#if OX_ISA_X86
    if (d->isa == OX_ISA_AVX512) {
        dots_avx512(d, begin, end);
        return;
    }
    if (d->isa == OX_ISA_AVX2) {
        dots_avx2(d, begin, end);
        return;
    }
#endif
    dots_plain(d, begin, end);
}
