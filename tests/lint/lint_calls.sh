#!/bin/sh
# lint_calls.sh ROOT: functions that must not be called. Comments and strings do not count.
#   everywhere     unbounded writes, silent parsing, hidden state
#   the library    printing, leaving the process, the environment, signals
#   outside ir/base  the heap: all memory goes through the context's allocator
# An assert must be free of side effects, because a Release build drops it.
set -eu
cd "${1:?usage: lint_calls.sh ROOT}"
for d in ir frontend passes backend tools tests; do
    if [ -d "$d" ]; then find "$d" -name '*.[ch]' -o -name '*.inc'; fi
done | sort | awk '
function ban(where, names,    n, i, a) {
    n = split(names, a, " ")
    for (i = 1; i <= n; i++) banned[where, a[i]] = 1
}
BEGIN {
    ban("anywhere", "strcpy strcat stpcpy sprintf vsprintf gets alloca strtok atoi atol atoll " \
        "atof scanf fscanf sscanf vsscanf tmpnam tempnam mktemp rand srand random drand48 " \
        "setlocale")
    ban("library", "printf vprintf fprintf vfprintf puts fputs putchar fputc perror exit _exit " \
        "_Exit abort quick_exit atexit getenv secure_getenv setenv putenv signal sigaction " \
        "raise system popen fork")
    ban("above ir/base", "malloc calloc realloc reallocarray free strdup strndup aligned_alloc " \
        "posix_memalign asprintf vasprintf getline")
}
# The line without comments, with strings and characters emptied. in_comment lasts across lines.
function code(s,    out, n, c, q) {
    if (!in_comment && s !~ /["\x27\/]/) return s
    out = ""
    n = length(s)
    for (i = 1; i <= n; i++) {
        c = substr(s, i, 1)
        if (in_comment) {
            if (c == "*" && substr(s, i + 1, 1) == "/") { in_comment = 0; i++ }
        } else if (c == "/" && substr(s, i + 1, 1) == "*") { in_comment = 1; i++; out = out " " }
        else if (c == "/" && substr(s, i + 1, 1) == "/") break
        else if (c == "\"" || c == "\x27") {
            q = c
            for (i++; i <= n && (c = substr(s, i, 1)) != q; i++) if (c == "\\") i++
            out = out q q
        } else out = out c
    }
    return out
}
function complain(text) { print file ":" line ": " text; bad = 1 }
function call(name) {
    if (("anywhere", name) in banned) complain(name " is not used in this project")
    else if (library && (("library", name) in banned)) complain(name " is not for library code")
    else if (library && file !~ /^ir\/base\// && (("above ir/base", name) in banned))
        complain(name ": memory comes from the context (ox_alloc and its siblings)")
}
function scan(s,    before, name, rest) {
    while (match(s, /[A-Za-z_][A-Za-z_0-9]*[ \t]*\(/)) {
        before = substr(s, 1, RSTART - 1)
        name = substr(s, RSTART, RLENGTH)
        s = substr(s, RSTART + RLENGTH)
        sub(/[ \t]*\($/, "", name)
        if (before ~ /[A-Za-z_0-9]$/ || before ~ /(\.|->)$/) continue # a member of that name
        call(name)
        if (name == "assert") {
            rest = s
            gsub(/[=!<>]=/, "", rest)
            if (rest ~ /\+\+|--|=/) complain("assert with a side effect")
        }
    }
}
{
    file = $0
    library = file ~ /^(ir|frontend|passes|backend)\//
    line = in_comment = 0
    while ((getline text < file) > 0) { line++; scan(code(text)) }
    close(file)
}
END { exit bad }'
