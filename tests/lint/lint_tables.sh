#!/bin/sh
# lint_tables.sh ROOT: every row has a test.
#   operators  a row of ir/ops/ops.def is called by name in a golden case, a unit or property
#              test, or a conformance case of that name is in a list and not skipped
#   passes     a row of passes/passes.def has tests/golden/<pass>.onnxtxt with a case in it
set -eu
cd "${1:?usage: lint_tables.sh ROOT}"
bad=0
rows() { # FILE: names of rows; OP has the domain before the name, short forms have not
    awk '
    { macro = continued || /^[ \t]*#/; continued = /\\$/ }
    /^[ \t]*\/\*/ { comment = 1 }
    !comment && !macro && /^[ \t]*[A-Z_]+[ \t]*\(/ {
        form = args = $0
        sub(/[ \t]*\(.*/, "", form)
        sub(/^[ \t]*/, "", form)
        sub(/^[^(]*\(/, "", args)
        sub(/\).*/, "", args)
        n = split(args, a, ",")
        column = form == "OP" || form == "OP_PREPARED" ? 2 : 1
        if (n >= column) {
            gsub(/[" \t]/, "", a[column])
            print a[column]
        }
    }
    /\*\// { comment = 0 }' "$1"
}

# Operators that tests call: Name(, Name< or "Name" in cases and C sources.
called() {
    find tests/golden tests/unit tests/property \( -name '*.onnxtxt' -o -name '*.c' -o -name '*.inc' \) \
        -exec cat {} + 2>/dev/null | awk '{
        while (match($0, /[A-Z][A-Za-z0-9]* *[(<"]/)) {
            name = substr($0, RSTART, RLENGTH)
            gsub(/[ (<"]/, "", name)
            $0 = substr($0, RSTART + RLENGTH)
            print name
        }
    }'
}
# What passing conformance cases may be about: test_reduce_sum_x gives reduce, reducesum, reducesumx.
covered() {
    [ -f tests/conformance/cases.txt ] || return 0
    cat tests/conformance/*.txt | awk '$0 !~ /skip/ && match($0, /test_[a-z0-9_]+/) {
        n = split(substr($0, RSTART + 5, RLENGTH - 5), p, "_")
        word = ""
        for (i = 1; i <= n; i++) print (word = word p[i])
    }'
}

if [ -f ir/ops/ops.def ]; then
    tested=$(called | sort -u)
    conforms=$(covered | sort -u)
    for op in $(rows ir/ops/ops.def); do
        printf '%s\n' "$tested" | grep -qx "$op" && continue
        word=$(printf '%s' "$op" | tr '[:upper:]' '[:lower:]')
        printf '%s\n' "$conforms" | grep -qx "$word" && continue
        echo "ir/ops/ops.def: no test names operator $op"
        bad=1
    done
fi

if [ -f passes/passes.def ]; then
    for pass in $(rows passes/passes.def); do
        [ -s "tests/golden/$pass.onnxtxt" ] || {
            echo "passes/passes.def: pass $pass has no tests/golden/$pass.onnxtxt"
            bad=1
        }
    done
fi
exit $bad
