/* ir/ops/kernel_isa.h - which vector instructions the inner loops may use.
 *
 * A kernel's inner loops stand once, in a file <kernel>.inc, written with the words of
 * kernel_isa.inc (VF, V_LOAD, V_FMA, ...), and the kernel's source includes that file once per
 * instruction set. What to run is asked of the processor at each call, so that one library serves
 * every machine of its architecture. The sets that have a fused multiply-add give the same bits as
 * each other; the plain one multiplies and adds in two roundings where the processor cannot do it
 * in one. */
#ifndef OX_IR_OPS_KERNEL_ISA_H
#define OX_IR_OPS_KERNEL_ISA_H

#if defined(__x86_64__) && defined(__GNUC__)
#define OX_ISA_X86 1
#include <immintrin.h>
#else
#define OX_ISA_X86 0
#if defined(__aarch64__)
#include <arm_neon.h>
#endif
#endif

enum ox_isa {
    OX_ISA_BEST, /* the best that the processor has */
    OX_ISA_PLAIN,
    OX_ISA_AVX2, /* with FMA */
    OX_ISA_AVX512
};

/* The set to use when `most` is the best one allowed. */
static inline enum ox_isa ox_isa_pick(enum ox_isa most) {
#if OX_ISA_X86
    if (most == OX_ISA_BEST) most = OX_ISA_AVX512;
    if (most >= OX_ISA_AVX512 && __builtin_cpu_supports("avx512f")) return OX_ISA_AVX512;
    if (most >= OX_ISA_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return OX_ISA_AVX2;
#else
    (void)most;
#endif
    return OX_ISA_PLAIN;
}

#endif
