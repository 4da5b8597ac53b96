#!/bin/sh
# lint_files.sh ROOT: what holds for files as such.
#   - at most 1,000 lines (data and golden cases excepted)
#   - file names are unique in the tree (README.md and CMakeLists.txt excepted)
#   - no address on the net outside documents, none of a package mirror or registry anywhere
#   - no absolute path into somebody's own machine
set -eu
cd "${1:?usage: lint_files.sh ROOT}"
list() {
    find . \( -path './.git' -o -path './build*' -o -path ./tests/data -o -path '*/corpus' \
        -o -name node_modules -o -name __pycache__ \) -prune -o -type f -print |
        sed 's,^\./,,' | grep -vE '^(\.git$|compile_commands\.json$)' | sort
}
report() { awk -v text="$1" '{ print $0 ": " text }'; } # each line of stdin is a violation

lines() {
    list | grep -vE '(\.onnxtxt|/conformance/[a-z]*\.txt|^LICENSE)$' | while read -r f; do
        awk -v f="$f" 'END { if (NR > 1000) print f " (" NR ")" }' "$f"
    done | report "more than 1,000 lines"
}

names() {
    list | awk -F/ '{
        name = $NF
        if (name == "README.md" || name == "CMakeLists.txt") next
        if (name in seen) print $0 " and " seen[name]
        seen[name] = $0
    }' | report "same file name twice"
}

matches() { # PATTERN: file:line:text of the listed files on stdin
    while read -r f; do
        grep -nIE "$1" "$f" | sed "s,^,$f:," || true
    done
}
# The patterns are spelled so that this file does not find itself.
places() {
    list | matches '(deb|ftp|security|snapshot|archive|ports)[.](debian|ubuntu)[.](org|com)|registry[.]npmjs|files[.]pythonhosted|pypi[.]org|proxy[.]golang' |
        report "names a package mirror or registry"
    list | grep -vE '(\.md|^LICENSE)$' | matches 'https?:[/][/]' | report "an address on the net"
    list | matches '(^|[^A-Za-z0-9._})*])[/](home|root|work|mnt|media|Users)[/]' |
        report "a path into one machine"
}

found=$(lines; names; places)
[ -z "$found" ] || {
    printf '%s\n' "$found"
    exit 1
}
