#!/bin/sh
# lint_symbols.sh ARCHIVE: what the compiled library really needs and holds.
#   - no reference to the standard streams or to functions that print or end the process
#   - no writable data: nothing in .data, .bss or thread-local storage
#   - every external name has our prefix (the generated ONNX messages have theirs)
#   - every function of ours that is called exists
# Only for a Release build: assert and sanitizers bring such symbols with them.
set -eu
archive=${1:?usage: lint_symbols.sh ARCHIVE}
${NM:-nm} -f sysv "$archive" | awk '
BEGIN {
    n = split("stdin stdout stderr printf __printf_chk vprintf __vprintf_chk puts putchar " \
              "perror exit _exit _Exit abort quick_exit __assert_fail getenv secure_getenv " \
              "setlocale rand srand random strtok gets strcpy strcat sprintf signal sigaction " \
              "system popen environ", a, " ")
    for (i = 1; i <= n; i++) banned[a[i]] = 1
    FS = "|"
}
/^Symbols from / { object = $0; sub(/.*\[/, "", object); sub(/\].*/, "", object); objects++; next }
NF >= 7 {
    for (i = 1; i <= 7; i++) gsub(/^[ \t]+|[ \t\r]+$/, "", $i)
    name = $1; class = $3; type = $4; section = $7
    if (section == "*UND*") {
        if (name ~ /^oxr?_/) wanted[name] = object
        if (name in banned) { print object ": uses " name; bad = 1 }
        next
    }
    symbols++
    if (class ~ /^[A-Zi]$/) defined[name] = 1 # i: chosen at load time among variants for several processors
    if (type == "SECTION" || type == "FILE") next
    if ((section ~ /^\.(data|bss|tdata|tbss)/ && section !~ /^\.data\.rel\.ro/) || section == "*COM*") {
        print object ": " name " is writable data (" section ")"
        bad = 1
    }
    # clang merges the resolvers of target_clones by name, even those of static functions: two
    # files with the same name would silently share one of the two functions
    if (name ~ /\.resolver$/ && (name in resolver) && resolver[name] != object) {
        print object ": " name " also in " resolver[name]
        bad = 1
    }
    if (name ~ /\.resolver$/) resolver[name] = object
    # a small letter is a local symbol; a dot stands in names made by the compiler
    if (class ~ /^[A-Z]$/ && name !~ /\./ && name !~ /^oxr?_/ && name !~ /^onnx__/) {
        print object ": external name " name " without the prefix ox_ or oxr_"
        bad = 1
    }
}
END {
    if (!objects || !symbols) { print "no symbols read"; exit 1 }
    for (name in wanted) if (!(name in defined)) {
        print wanted[name] ": " name " is defined nowhere"
        bad = 1
    }
    exit bad
}'
