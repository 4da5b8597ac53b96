#!/bin/bash
# xnnpack_corrections.sh SOURCES: corrects, in an unpacked XNNPACK of 2024-11-08, what gives wrong
# results on CPUs with AMX or AVX512-FP16, and lets gcc 12 build the kernels for those CPUs (they
# are right once corrected; upstream asks for gcc 13). Fails where a correction finds nothing to
# correct, so that another version is not built half corrected. The differential tests
# (tests/unit/test_xnnpack_*.c) tell when one of those is left out that our operators meet.
set -euo pipefail
cd "${1:?usage: xnnpack_corrections.sh SOURCES}"

edit() { # PATTERN SED-SCRIPT FILE...: edits the files that contain the pattern
    local pattern=$1 script=$2 files
    shift 2
    mapfile -t files < <(grep -lE -- "$pattern" "$@" || true)
    [ ${#files[@]} -gt 0 ] || {
        echo "xnnpack_corrections.sh: nothing matches $pattern" >&2
        exit 1
    }
    sed -i -E "$script" "${files[@]}"
}
shopt -s globstar
amx=(src/**/*avx512amx*.c)

# Half precision, 64 columns wide: the upper 32 belong 32 elements behind the first, not 1.
half=(src/f16-gemm/gen/*avx512fp16* src/f16-igemm/gen/*avx512fp16*)
edit '\(uint16_t\*\) c[0-9]+ \+ 1, vacc' \
    's/(\(uint16_t\*\) c[0-9]+) \+ 1, vacc/\1 + 32, vacc/' "${half[@]}"

# gcc's _tile_loadd does not say that it reads memory, so stores into a buffer that only tiles are
# loaded from may be dropped. A compiler barrier before each such load keeps them.
edit '_tile_loadd\([0-9], (vintile|weight_buffer),' \
    's/^( *)(_tile_loadd\([0-9], (vintile|weight_buffer),)/\1__asm__ volatile("" ::: "memory"); \2/' \
    "${amx[@]}"

# The tallest kernel of dynamically quantized int4 blocks has 14 rows and reads parameters of all
# of them, whatever the number of rows that are left: up to 13 beyond the last.
edit '^#define XNN_EXTRA_QUANTIZATION_PARAMS 10$' \
    's/^(#define XNN_EXTRA_QUANTIZATION_PARAMS) 10$/\1 16/' include/xnnpack.h

# Indirect GEMM on AMX, one row left: the row that is read is the first, so the first pointer must
# advance, not that of the tile's last row.
edit 'Directly load input for mr=1' \
    '/Directly load input for mr=1/{n;s/a[0-9]+ \+= 64;/a0 += 64;/}' "${amx[@]}"

edit 'VERSION_LESS "13"' \
    '/XNNPACK_ENABLE_AVX512(AMX|FP16)/,/ENDIF/s/VERSION_LESS "13"/VERSION_LESS "12"/' CMakeLists.txt
