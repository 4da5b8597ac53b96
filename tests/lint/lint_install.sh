#!/bin/sh
# lint_install.sh BUILD CMAKE CC GENERATOR MODEL: what "cmake --install" puts down is enough to use
# the project: the tool and its manual page are there, and install_user.c, outside the tree, is
# built through the CMake package and through pkg-config and makes MODEL smaller. The program that
# README.md shows for the runtime is built the same two ways, is small, and runs MODEL compiled.
set -eu
usage="usage: lint_install.sh BUILD CMAKE CC GENERATOR MODEL"
build=${1:?$usage} cmake=$2 cc=$3 generator=$4 model=${5:?$usage}
source=$(cd "$(dirname "$0")" && pwd)/install_user.c
root=$(dirname "$source")/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

installed() { # NAME: the path it was installed under
    path=$(find "$work/prefix" ! -type d -name "$1" | head -n 1)
    [ -n "$path" ] || {
        echo "not installed: $1" >&2
        return 1
    }
    echo "$path"
}

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/log" || {
    cat "$work/log"
    exit 1
}
mkdir "$work/user" && cp "$source" "$work/user/user.c" && cd "$work/user"
library=$(installed 'libonnxopt.*')
package=$(installed onnxopt.pc)
tool=$(installed onnxopt)
page=$(installed onnxopt.1)
installed onnxoptConfig.cmake >/dev/null
LD_LIBRARY_PATH=$(dirname "$library")
PKG_CONFIG_PATH=$(dirname "$package")
export LD_LIBRARY_PATH PKG_CONFIG_PATH

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
./b/user "$model" by_cmake.onnx

flags=$(pkg-config --static --cflags --libs onnxopt)
# shellcheck disable=SC2086
"$cc" user.c -o user_pc $flags || {
    echo "the pkg-config file does not work"
    exit 1
}
./user_pc "$model" by_pc.onnx

# The program of the page, on its own.
awk '/^```c$/ { text = ""; on = 1; next } /^```$/ { if (on && text ~ /runtime\.h/) printf "%s", text; on = 0; next } on { text = text $0 "\n" }' \
    "$root/README.md" >runtime.c
[ -s runtime.c ] || { echo "README.md shows no program that uses runtime.h"; exit 1; }
"$tool" "$model" -o model.oxb --quiet
mkdir rt
cat >rt/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(rt C)
find_package(onnxopt 0.1 REQUIRED)
add_executable(rt ../runtime.c)
target_link_libraries(rt PRIVATE onnxopt::onnxopt_rt)
END
{ "$cmake" -S rt -B rt/b -G "$generator" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$work/prefix" && "$cmake" --build rt/b; } >log 2>&1 || {
    cat log
    echo "the CMake package of the runtime does not work"
    exit 1
}
flags=$(pkg-config --cflags --libs onnxopt_rt)
# shellcheck disable=SC2086
"$cc" -std=c11 -Wall -Wextra -Werror runtime.c -o rt_pc $flags
./rt/b/rt model.oxb >by_cmake.txt
./rt_pc model.oxb >by_pc.txt
cmp by_cmake.txt by_pc.txt
[ "$(grep -c '^[0-9]: -*[0-9.e+-]*$' by_pc.txt)" = 10 ] || {
    cat by_pc.txt
    echo "the program of README.md does not print ten scores"
    exit 1
}
! ./rt_pc by_pc.onnx 2>/dev/null || { echo "the program of README.md runs what is no program"; exit 1; }
[ "$(wc -c <rt_pc)" -le 6000000 ] || {
    ls -l rt_pc
    echo "a program with the runtime is larger than 6 MB"
    exit 1
}
# What operators need may come along (pictures, regular expressions), but no protobuf.
! ldd rt_pc | grep protobuf || { echo "the runtime brings along protobuf"; exit 1; }

# The tool does what the library does, and its page is about it.
"$tool" "$model" -o by_tool.onnx >log 2>&1 || {
    cat log
    echo "the installed tool does not work"
    exit 1
}
for other in by_pc.onnx by_tool.onnx; do
    cmp by_cmake.onnx $other
done
grep -q '^\.TH ONNXOPT 1' "$page" || {
    echo "$page is no manual page"
    exit 1
}
