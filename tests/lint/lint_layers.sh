#!/bin/sh
# lint_layers.sh ROOT: who may include whom. Reads every #include line of the library and the
# tool and compares it with the table below. A private header (*_priv.h) stays in its folder.
set -eu
cd "${1:?usage: lint_layers.sh ROOT}"
for d in ir frontend passes backend tools; do
    if [ -d "$d" ]; then find "$d" -name '*.[ch]' -o -name '*.def' -o -name '*.inc'; fi
done | sort | awk '
function rule(layer, allowed,    n, i, a) {
    n = split(allowed, a, " ")
    for (i = 1; i <= n; i++) may[layer, a[i]] = 1
    known[layer] = 1
}
BEGIN {
    # Layers are folders. "api" is any include/onnxopt; "libc" the C library and POSIX; "ir" the
    # files that stand directly in ir/, its interface to the modules above.
    ir = "libc api ir/base ir/codec ir/ops ir/graph ir/text ir"
    rule("api", "libc api")
    rule("ir/base", "libc api ir/base")
    rule("ir/codec", "libc api ir/base ir/codec image pattern")
    rule("ir/ops", "libc api ir/base ir/codec ir/ops")
    rule("ir/graph", "libc api ir/base ir/ops ir/graph ir")
    rule("ir/text", ir)
    rule("ir", ir)
    rule("frontend", ir " frontend protobuf-c zlib")
    rule("passes", ir " passes")
    rule("backend/file", ir " backend/file zlib")
    rule("backend/onnx", ir " backend/onnx backend/file protobuf-c")
    rule("backend/blob", "libc api ir/base ir/ops backend/blob")
    rule("backend/native", ir " backend/native backend/blob backend/file")
    rule("backend/runtime", "libc api ir/base ir/codec ir/ops backend/blob backend/runtime xnnpack")
    rule("tools", "libc api tools json")

    n = split("assert ctype errno fenv float inttypes iso646 limits locale math setjmp stdalign " \
              "stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string time " \
              "dirent endian fcntl glob poll pthread sched signal strings unistd", a, " ")
    for (i = 1; i <= n; i++) foreign[a[i] ".h"] = "libc"
    foreign["linux/openat2.h"] = foreign["immintrin.h"] = foreign["arm_neon.h"] = foreign["cpuid.h"] = "libc"
    foreign["protobuf-c/protobuf-c.h"] = foreign["onnx-ml.pb-c.h"] = "protobuf-c"
    foreign["png.h"] = foreign["jpeglib.h"] = foreign["jerror.h"] = "image"
    foreign["tiffio.h"] = foreign["webp/decode.h"] = foreign["openjpeg.h"] = "image"
    foreign["pcre2.h"] = "pattern"
    foreign["zlib.h"] = "zlib"
    foreign["jansson.h"] = "json"
    foreign["getopt.h"] = "libc"
    foreign["xnnpack.h"] = foreign["pthreadpool.h"] = foreign["cpuinfo.h"] = "xnnpack"
}
function layer(path,    p, n) {
    if (path ~ /(^|\/)include\/onnxopt\//) return "api"
    n = split(path, p, "/")
    if (p[1] == "ir" || p[1] == "backend") return n == 2 ? p[1] : p[1] "/" p[2]
    return p[1]
}
function dirname(path) { sub(/\/[^\/]*$/, "", path); return path }
function basename(path) { sub(/.*\//, "", path); return path }
# The file of this tree that an include names, or "".
function resolve(from, name) {
    if (name ~ /^onnxopt\//) return (name in public) ? public[name] : ""
    if (name in tree) return name
    if ((dirname(from) "/" name) in tree) return dirname(from) "/" name
    return ""
}
function complain(text) { print file ":" line ": " text; bad = 1 }
function check(name,    to, target, us) {
    us = layer(file)
    if (!(us in known)) { complain("no layer is declared for " us "/"); return }
    to = resolve(file, name)
    if (to != "") {
        target = layer(to)
        if (name ~ /_priv\.h$/ && dirname(to) != dirname(file))
            complain(name " is private to " dirname(to) "/")
    } else if (name in foreign) target = foreign[name]
    else if (name ~ /^(sys|linux)\/[a-z0-9]+\.h$/) target = "libc"
    else { complain("unknown header " name); return }
    if (!((us, target) in may)) complain(us " must not include " name " (" target ")")
}
{
    tree[$0] = 1
    files[++count] = $0
    if ($0 ~ /\/include\/onnxopt\//) public["onnxopt/" basename($0)] = $0
}
END {
    for (k = 1; k <= count; k++) {
        file = files[k]
        line = 0
        while ((getline text < file) > 0) {
            line++
            if (text !~ /^[ \t]*#[ \t]*include[ \t]*["<]/) continue
            sub(/^[^"<]*["<]/, "", text)
            sub(/[">].*$/, "", text)
            check(text)
        }
        close(file)
    }
    exit bad
}'
