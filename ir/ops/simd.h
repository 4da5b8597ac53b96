/* ir/ops/simd.h - compiling a loop for several instruction sets, chosen when the program starts.
 *
 * Only the width of the vectors differs: contraction to FMA is off for the whole build, and nothing is
 * reassociated, so results are the same bits on every machine. */
#ifndef OX_IR_OPS_SIMD_H
#define OX_IR_OPS_SIMD_H

/* The choice is made by an indirect function, which runs before a sanitizer is ready. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OX_NO_CLONES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OX_NO_CLONES 1
#endif
#endif

#if !defined(OX_NO_CLONES) && defined(__x86_64__) && defined(__gnu_linux__) && defined(__GLIBC__)
#if defined(__has_attribute)
#if __has_attribute(target_clones)
#define OX_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#endif
#ifndef OX_CLONES
#define OX_CLONES
#endif

#endif
