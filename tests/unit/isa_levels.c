/* tests/unit/isa_levels.c - see isa_levels.h. */
#include "tests/unit/isa_levels.h"

#include <stddef.h>

/* Class of the program: what its clones are at best. 0: all classes in one program, since there are
 * no clones, or nothing is known of them; 3: AVX-512, 2: AVX2, 1: none of them. */
#ifndef ISA_CLASS
#define ISA_CLASS 0
#endif

#if OX_XNNPACK
#include <cpuinfo.h>
#else
#define CPUINFO_ARCH_X86_64 0
#endif

#if defined(__x86_64__) && defined(__GNUC__)
/* What __builtin_cpu_supports reads, in the compiler's library; bits as in its ABI (they never
 * change). */
extern struct { unsigned vendor, type, subtype, features[1]; } __cpu_model;
extern unsigned __cpu_features2[];

enum {
    BIT_AVX = 9,
    BIT_AVX2 = 10,
    BIT_FMA = 14,
    BIT_AVX512F = 15,
    BIT_AVX512_FIRST = 20,
    BIT_AVX512_LAST = 31,
    BIT_GFNI = 32,
    BIT_VPCLMULQDQ = 33,
    BIT_AVX512VNNI = 34,
    BIT_AVX512_2_LAST = 37,
    BIT_VBMI = 26
};

static void forget(int first, int last) {
    for (int bit = first; bit <= last; bit++) {
        if (bit < 32)
            __cpu_model.features[0] &= ~(1u << bit);
        else
            __cpu_features2[bit / 32 - 1] &= ~(1u << bit % 32);
    }
}

static void forget_vnni(void) {
    forget(BIT_AVX512VNNI, BIT_AVX512VNNI);
    forget(BIT_VBMI, BIT_VBMI);
    forget(BIT_GFNI, BIT_GFNI);
}

static void forget_avx512(void) {
    forget(BIT_AVX512F, BIT_AVX512F);
    forget(BIT_AVX512_FIRST, BIT_AVX512_LAST);
    forget(BIT_GFNI, BIT_AVX512_2_LAST);
}

static void forget_avx2(void) {
    forget(BIT_AVX2, BIT_AVX2);
    forget(BIT_FMA, BIT_FMA);
}

#if ISA_CLASS
/* Linked with --wrap: all code that asks for the features of the CPU comes through here, clones
 * before anything else. Nothing may be called that is resolved when the program is loaded. */
int __real___cpu_indicator_init(void);
int __wrap___cpu_indicator_init(void);
int __wrap___cpu_indicator_init(void) {
    int s = __real___cpu_indicator_init();
    if (ISA_CLASS < 3) forget_avx512();
    if (ISA_CLASS < 2) forget_avx2();
    return s;
}
#endif
#else
static void forget_vnni(void) {}
static void forget_avx512(void) {}
static void forget_avx2(void) {}
#endif

#if CPUINFO_ARCH_X86_64
static void no_amx(void) {
    cpuinfo_isa.amx_int8 = cpuinfo_isa.amx_tile = false;
}
static void no_vnni(void) {
    cpuinfo_isa.avx512vnni = cpuinfo_isa.gfni = cpuinfo_isa.avx512vbmi = false;
    cpuinfo_isa.avx512fp16 = false;
    forget_vnni();
}
static void no_avx512(void) {
    cpuinfo_isa.avx512f = cpuinfo_isa.avx512bw = cpuinfo_isa.avx512dq = false;
    cpuinfo_isa.avx512vl = cpuinfo_isa.avx512cd = false;
    forget_avx512();
}
static void no_avxvnni(void) {
    cpuinfo_isa.avxvnni = false;
}
static void no_avx2(void) {
    cpuinfo_isa.avx2 = cpuinfo_isa.fma3 = cpuinfo_isa.f16c = false;
    forget_avx2();
}
static void no_avx(void) {
    cpuinfo_isa.avx = false;
}
static void no_sse4(void) {
    cpuinfo_isa.sse4_1 = cpuinfo_isa.sse4_2 = cpuinfo_isa.ssse3 = false;
}
static bool has_amx(void) {
    return cpuinfo_isa.amx_int8;
}
static bool has_vnni(void) {
    return cpuinfo_isa.avx512vnni;
}
static bool has_avx512(void) {
    return cpuinfo_isa.avx512f && cpuinfo_isa.avx512bw;
}
static bool has_avxvnni(void) {
    return cpuinfo_isa.avxvnni;
}
static bool has_avx2(void) {
    return cpuinfo_isa.avx2;
}
static bool has_avx(void) {
    return cpuinfo_isa.avx;
}
static bool has_sse4(void) {
    return cpuinfo_isa.sse4_1;
}

/* Each level is the one before without what tells it apart. */
static const struct {
    const char *name;
    int class;
    bool (*has)(void);
    void (*forget)(void);
} levels[] = {
    {"amx", 3, has_amx, no_amx},          {"avx512vnni", 3, has_vnni, no_vnni},
    {"avx512", 3, has_avx512, no_avx512}, {"avxvnni", 2, has_avxvnni, no_avxvnni},
    {"avx2", 2, has_avx2, no_avx2},       {"avx", 1, has_avx, no_avx},
    {"sse4", 1, has_sse4, no_sse4},       {"sse2", 1, NULL, NULL},
};

bool isa_level_set(int level) {
    if (ISA_CLASS && levels[level].class != ISA_CLASS) return false;
    if (levels[level].has && !levels[level].has()) return false;
    for (int i = 0; i < level; i++)
        levels[i].forget();
    return true;
}
#else
/* Without cpuinfo there is only our own choice. */
static const struct {
    const char *name;
    int class;
    void (*forget)(void);
} levels[] = {{"best", 3, forget_vnni},
              {"avx512", 3, forget_avx512},
              {"avx2", 2, forget_avx2},
              {"plain", 1, NULL}};

bool isa_level_set(int level) {
    if (ISA_CLASS && levels[level].class != ISA_CLASS) return false;
    for (int i = 0; i < level; i++)
        levels[i].forget();
    return true;
}
#endif

int isa_levels(void) {
    return (int)(sizeof levels / sizeof *levels);
}

const char *isa_level_name(int level) {
    return levels[level].name;
}
