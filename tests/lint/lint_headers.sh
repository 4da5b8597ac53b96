#!/bin/sh
# lint_headers.sh ROOT CC [CXX]: each public header compiles alone and twice, as C11 and as C++17,
# sees nothing but public headers, and declares its functions extern "C".
set -eu
root=${1:?usage: lint_headers.sh ROOT CC [CXX]}
cc=$2 cxx=${3:-}
cd "$root"
headers=$(find ir frontend passes backend -path '*/include/onnxopt/*.h' 2>/dev/null | sort)
[ -n "$headers" ] || { echo "no public headers"; exit 1; }
includes=$(printf '%s\n' "$headers" | sed 's,/onnxopt/[^/]*$,,' | sort -u | sed 's/^/-I/')
bad=0
compile() { # LANGUAGE COMPILER STANDARD HEADER
    # $includes is a list of words; paths of this tree have no blanks
    # shellcheck disable=SC2086
    if ! printf '#include <%s>\n#include <%s>\n' "$4" "$4" |
        "$2" -x "$1" "-std=$3" -Wall -Wextra -Wundef -pedantic -Werror -fsyntax-only $includes - 2>&1; then
        echo "$header: not self-sufficient as $3"
        bad=1
    fi
}
for header in $headers; do
    name=onnxopt/${header##*/include/onnxopt/}
    compile c "$cc" c11 "$name"
    [ -z "$cxx" ] || compile c++ "$cxx" c++17 "$name"
    if grep -qE '^[^#/*]*\box_[a-z0-9_]+ *\(' "$header" && ! grep -q 'extern "C"' "$header"; then
        echo "$header: declares functions without extern \"C\""
        bad=1
    fi
done
exit $bad
