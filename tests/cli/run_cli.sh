#!/bin/bash
# run_cli.sh BINARY DATA-FOLDER FILE.cli... [--bless]: runs transcripts of the command line.
#
# A .cli file holds cases. Lines begin with
#   ==   title of a case; it starts in an empty folder
#   @    name of a file; the lines after it that begin with two spaces are its content
#   $    a command for bash; `onnxopt` is the binary, $DATA the folder of test data
#   >    a line of expected standard output      (as many as there are; * matches anything, in a line of its own: any lines)
#   !    a line of expected standard error
#   ?    expected exit code (0 when there is no such line)
#   #    a comment
# --bless rewrites the files with what came out, leaving alone cases that pass.
set -u
bless=no
args=()
for a; do if [ "$a" = --bless ]; then bless=yes; else args+=("$a"); fi; done
binary=$(realpath "${args[0]}") DATA=$(realpath "${args[1]}")
export DATA LC_ALL=C
onnxopt() { "$binary" "$@"; }
export -f onnxopt
export binary
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cases=0 failed=0

matches() { # EXPECTED-FILE ACTUAL-FILE: line by line, each a pattern; a lone * stands for any number of lines
    awk -v actual="$2" '
        function glob(p,   r, i, c) {
            r = "^"
            for (i = 1; i <= length(p); i++) { c = substr(p, i, 1); r = r (c == "*" ? ".*" : c ~ /[][\\.^$()|+?{}]/ ? "\\" c : c) }
            return r "$"
        }
        function match_from(e, a,   k) {
            if (e > ne) return a > na
            if (exp_[e] == "*") { for (k = a; k <= na + 1; k++) if (match_from(e + 1, k)) return 1; return 0 }
            return a <= na && act[a] ~ glob(exp_[e]) && match_from(e + 1, a + 1)
        }
        { exp_[++ne] = $0 }
        END { while ((getline line < actual) > 0) act[++na] = line; exit !match_from(1, 1) }' "$1"
}

finish_command() {
    [ -n "$command" ] || return 0
    local code want=${expected_code:-0}
    (cd "$work/case" && timeout 60 bash -c "$command" >"$work/out" 2>"$work/err" </dev/null)
    code=$?
    local bad=
    matches "$work/want_out" "$work/out" || bad+=" stdout"
    matches "$work/want_err" "$work/err" || bad+=" stderr"
    [ "$code" = "$want" ] || bad+=" exit code $code, expected $want"
    cases=$((cases + 1))
    if [ -n "$bad" ]; then
        failed=$((failed + 1))
        printf '%s: %s: $ %s\n  differs in:%s\n' "$file" "$title" "$command" "$bad"
        sed 's/^/  > /' "$work/out"
        sed 's/^/  ! /' "$work/err"
        sed 's/^/> /' "$work/out" >>"$work/blessed"
        sed 's/^/! /' "$work/err" >>"$work/blessed"
        [ "$code" = 0 ] || echo "? $code" >>"$work/blessed"
    else
        cat "$work/expected" >>"$work/blessed"
    fi
    command=
    : >"$work/expected"
}

for file in "${args[@]:2}"; do
    command='' title='' target=''
    : >"$work/blessed"; : >"$work/expected"
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            '$ '*) finish_command; command=${line#'$ '} expected_code=''
                   : >"$work/want_out"; : >"$work/want_err"; echo "$line" >>"$work/blessed" ;;
            '>'*) line_=${line#>}; echo "${line_# }" >>"$work/want_out"; echo "$line" >>"$work/expected" ;;
            '!'*) line_=${line#!}; echo "${line_# }" >>"$work/want_err"; echo "$line" >>"$work/expected" ;;
            '? '*) expected_code=${line#'? '}; echo "$line" >>"$work/expected" ;;
            '=='*) finish_command; title=${line#== }; rm -rf "$work/case"; mkdir "$work/case"; echo "$line" >>"$work/blessed" ;;
            '@ '*) finish_command; target=$work/case/${line#@ }; mkdir -p "$(dirname "$target")"; : >"$target"; echo "$line" >>"$work/blessed" ;;
            '  '*) [ -z "$target" ] || printf '%s\n' "${line#  }" >>"$target"; echo "$line" >>"$work/blessed" ;;
            *) finish_command; echo "$line" >>"$work/blessed" ;;
        esac
    done <"$file"
    finish_command
    [ $bless = no ] || cmp -s "$work/blessed" "$file" || cp "$work/blessed" "$file"
done
echo "$cases commands, $failed failed"
[ $bless = yes ] || [ $failed = 0 ]
