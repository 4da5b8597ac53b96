#!/bin/sh
# lint_selftest.sh LINT-FOLDER CC [CXX]: shows that every lint can fail. A small tree that is in
# order passes them all; then one violation at a time is planted, and the lint in charge must
# refuse it and name it.
set -eu
lint=${1:?usage: lint_selftest.sh LINT-FOLDER CC [CXX]}
lint=$(cd "$lint" && pwd)
cc=$2 cxx=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cases=0 failures=0 twin=

clean_tree() {
    rm -rf "$work/tree" && mkdir -p "$work/tree" && cd "$work/tree"
    mkdir -p ir/include/onnxopt ir/base ir/ops ir/graph frontend passes backend/onnx tools \
        tests/unit tests/golden tests/conformance
    cat >ir/include/onnxopt/thing.h <<'END'
#ifndef ONNXOPT_THING_H
#define ONNXOPT_THING_H
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
size_t ox_thing(size_t n);
#ifdef __cplusplus
}
#endif
#endif
END
    echo '#include <onnxopt/thing.h>' >ir/base/thing_priv.h
    cat >ir/base/thing.c <<'END'
#include "ir/base/thing_priv.h"
#include <assert.h>
#include <stdlib.h>
/* a comment may say printf("x") */
static const int limit = 3; // exit(1)
size_t ox_thing(size_t n) {
    const char *text = "malloc(\"";
    assert(n != 7 && text[0] == 'm');
    void *p = malloc(n);
    free(p);
    return n + (size_t)limit;
}
END
    echo '#include "ir/base/stuff.h"' >ir/ops/op.h
    cp ir/include/onnxopt/thing.h ir/base/stuff.h
    sed -i 's/ONNXOPT_THING_H/OX_STUFF_H/' ir/base/stuff.h
    printf '#include "ir/ops/op.h"\n#include "ir/base/stuff.h"\n' >passes/pass.c
    printf '#include <onnxopt/thing.h>\n#include <stdio.h>\n' >tools/main.c
    cat >ir/ops/ops.def <<'END'
/* OP(domain, name, ...) and
 * OP_UNARY(name, ...) */
#define OP_UNARY(name, a, b) \
    OP(ONNX, name, a, b)
/* a comment */
OP(ONNX, Conv, 1, 22)
OP_UNARY(Sigmoid, 6, 13)
OP(ONNX, ReduceSum, 1, 13)
END
    echo 'PASS(fold, "folds", run)' >passes/passes.def
    echo 'y = Conv <group=1> (x, w)' >tests/golden/fold.onnxtxt
    echo 'node/test_reduce_sum_default pass' >tests/conformance/cases.txt
    echo 'static const char *op = "Sigmoid";' >tests/unit/test_thing.c
}

run() { # LINT
    case $1 in
    headers) sh "$lint/lint_headers.sh" . "$cc" "$cxx" ;;
    symbols)
        rm -f lib.a
        "$cc" -O2 -DNDEBUG -fPIC -I. -Iir/include -c ir/base/thing.c -o thing.o &&
            cp thing.o again.o && ar rc lib.a thing.o ${twin:+again.o} &&
            rm thing.o again.o && sh "$lint/lint_symbols.sh" lib.a
        ;;
    *) sh "$lint/lint_$1.sh" . ;;
    esac
}

plant() { # LINT EXPECTED-TEXT COMMAND
    clean_tree
    eval "$3"
    cases=$((cases + 1))
    if out=$(run "$1" 2>&1); then
        echo "lint_$1 accepts: $3"
        failures=$((failures + 1))
    elif ! printf '%s' "$out" | grep -qF -e "$2"; then
        echo "lint_$1 refuses, but does not say '$2': $3"
        printf '%s\n' "$out"
        failures=$((failures + 1))
    fi
}

clean_tree
for l in layers calls symbols headers files tables; do
    cases=$((cases + 1))
    run $l >"$work/out" 2>&1 || {
        echo "lint_$l refuses a tree that is in order:"
        cat "$work/out"
        failures=$((failures + 1))
    }
done

plant layers 'passes must not include frontend/read.h' \
    'echo >frontend/read.h; echo "#include \"frontend/read.h\"" >>passes/pass.c'
plant layers 'ir/ops must not include ir/graph/graph.h' \
    'echo >ir/graph/graph.h; echo "  #  include \"ir/graph/graph.h\"" >>ir/ops/op.h'
plant layers 'thing_priv.h is private to ir/base/' \
    'echo "#include \"ir/base/thing_priv.h\"" >>ir/ops/op.h'
plant layers 'tools must not include ir/ops/op.h' 'echo "#include \"ir/ops/op.h\"" >>tools/main.c'
plant layers 'passes must not include onnx-ml.pb-c.h' \
    'echo "#include \"onnx-ml.pb-c.h\"" >>passes/pass.c'
plant layers 'api must not include ir/base/stuff.h' \
    'echo "#include \"ir/base/stuff.h\"" >>ir/include/onnxopt/thing.h'
plant layers 'unknown header xnn.h' 'echo "#include <xnn.h>" >>passes/pass.c'
plant layers 'no layer is declared for backend/new' 'mkdir backend/new; echo "#include <stdio.h>" >backend/new/a.c'

plant calls 'strcpy is not used' 'echo "void f(char *a){strcpy (a, a);}" >>tests/unit/test_thing.c'
plant calls 'printf is not for library code' 'echo "void f(void){ /* \" */ printf(\"x\");}" >>passes/pass.c'
plant calls 'abort is not for library code' 'echo "void f(void){char c=\"\\\"\"[0];abort();}" >>ir/base/thing.c'
plant calls 'malloc: memory comes' 'echo "void *f(void){return malloc(1);}" >>passes/pass.c'
plant calls 'side effect' 'echo "void f(int n){assert(n++ < 3);}" >>passes/pass.c'
plant calls 'side effect' 'echo "void f(int n){assert((n = 3));}" >>passes/pass.c'

plant symbols 'uses exit' 'echo "void ox_f(void){exit(1);}" >>ir/base/thing.c'
plant symbols 'uses stderr' 'echo "extern void *stderr; void *ox_f(void){return stderr;}" >>ir/base/thing.c'
plant symbols 'counter is writable data' 'echo "static int counter; int ox_f(void); int ox_f(void){return ++counter;}" >>ir/base/thing.c'
plant symbols 'writable data' 'echo "int ox_f(void){static int calls = 5; return ++calls;}" >>ir/base/thing.c'
plant symbols 'writable data' 'echo "int ox_f(void){static _Thread_local int t; return ++t;}" >>ir/base/thing.c'
plant symbols 'ox_table is writable data' 'echo "const char *ox_table[] = {\"a\"};" >>ir/base/thing.c'
plant symbols 'ox_gone is defined nowhere' 'echo "int ox_gone(void); int ox_f(void){return ox_gone();}" >>ir/base/thing.c'
plant symbols 'external name helper' 'echo "int helper(void){return 1;}" >>ir/base/thing.c'

# Only clang makes such names; an assembler label stands for them.
plant symbols 'also in thing.o' 'twin=1; echo "__asm__(\".globl sum.resolver; sum.resolver:\");" >>ir/base/thing.c'
twin=

plant headers 'not self-sufficient as c11' 'sed -i /stddef/d ir/include/onnxopt/thing.h'
plant headers 'not self-sufficient as c11' 'sed -i /^#ifndef/d\;/^#define/d\;\$d ir/include/onnxopt/thing.h; echo "struct ox_t { int a; };" >>ir/include/onnxopt/thing.h'
plant headers 'without extern "C"' 'sed -i /extern/,/endif/d ir/include/onnxopt/thing.h'
[ -z "$cxx" ] || plant headers 'not self-sufficient as c++17' \
    'echo "static inline int ox_new(int new) { return new; }" >>ir/include/onnxopt/thing.h'

plant files 'more than 1,000 lines' 'yes "/* */" | head -n 1001 >ir/base/long.c'
plant files 'same file name twice' 'echo >passes/thing.c'
plant files 'same file name twice' 'mv ir/base/stuff.h ir/base/thing.h'
plant files 'package mirror' 'echo "see deb.""debian.org" >README.md'
plant files 'an address on the net' 'echo "/* http"":/""/example.org */" >>passes/pass.c'
plant files 'a path into one machine' 'echo "cd /""home/me" >tools/a.sh'

plant tables 'no test names operator Sigmoid' 'rm tests/unit/test_thing.c'
plant tables 'no test names operator Conv' 'echo "y = Convolve(x)" >tests/golden/fold.onnxtxt'
plant tables 'no test names operator ReduceSum' 'echo "node/test_reduce_sum_default skip slow" >tests/conformance/cases.txt'
plant tables 'pass cse has no' 'echo "PASS (cse, 1)" >>passes/passes.def'

echo "$cases cases, $failures failures"
[ "$failures" = 0 ]
