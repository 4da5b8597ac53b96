/* ir/ops/simd.h - compiling a loop for several instruction sets, chosen when the program starts.
 *
 * Only the width of the vectors differs: contraction to FMA is off for the whole build, and nothing
 * is reassociated, so results are the same bits on every machine. */
#ifndef OX_IR_OPS_SIMD_H
#define OX_IR_OPS_SIMD_H

#include <stdint.h> /* tells whether the C library is glibc, which can choose functions at start */

/* The choice is made by an indirect function, which runs before a sanitizer is ready. clang 14
 * makes clones that other files cannot call: there, loops are compiled once, for the plain
 * instruction set. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__) && defined(__GNUC__) &&    \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OX_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#ifndef OX_CLONES
#define OX_CLONES
#endif

#endif
