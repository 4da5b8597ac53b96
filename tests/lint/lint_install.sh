#!/bin/sh
# lint_install.sh BUILD CMAKE CC GENERATOR: what "cmake --install" puts down is enough to use the library: a
# program outside the tree is built through the CMake package and through pkg-config, and run.
set -eu
build=${1:?usage: lint_install.sh BUILD CMAKE CC GENERATOR} cmake=$2 cc=$3 generator=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/log" || {
    cat "$work/log"
    exit 1
}
mkdir "$work/user" && cd "$work/user"
cat >user.c <<'END'
#include <onnxopt/base.h>
#include <stdio.h>
int main(void) {
    ox_ctx *ctx = NULL;
    if (ox_ctx_new(&ctx, NULL) != OX_OK) return 1;
    int threads = ox_ctx_threads(ctx);
    ox_ctx_free(ctx);
    puts(ox_status_text(OX_OK));
    return threads < 1;
}
END
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(onnxopt 0.1 REQUIRED)
add_executable(user user.c)
target_link_libraries(user PRIVATE onnxopt::onnxopt)
END
{ "$cmake" -S . -B b -G "$generator" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$work/prefix" && "$cmake" --build b; } >log 2>&1 || {
    cat log
    echo "the CMake package does not work"
    exit 1
}
LD_LIBRARY_PATH=$(find "$work/prefix" -name 'libonnxopt.*' -exec dirname {} \; | head -n 1)
export LD_LIBRARY_PATH
./b/user

PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name onnxopt.pc)")
export PKG_CONFIG_PATH
flags=$(pkg-config --static --cflags --libs onnxopt)
# shellcheck disable=SC2086
"$cc" user.c -o user_pc $flags || {
    echo "the pkg-config file does not work"
    exit 1
}
./user_pc
