#!/bin/sh
# run_badmodels.sh GENERATOR JUDGE TOOL FOLDER [--slow]: makes the cases anew and has the tool judged on them, and on
# those of the folders in ONNXOPT_BADMODELS ('-' between several is not possible in paths, so ':' is).
set -eu
gen=$1 judge=$2 tool=$3 cases=$4
slow=${5:-}
rm -rf "$cases"
mkdir -p "${cases%/*}"
"$gen" "$cases"
set -- "$cases"
IFS=:
for more in ${ONNXOPT_BADMODELS:-}; do
    set -- "$@" "$more"
done
unset IFS
exec "$judge" ${slow:+"$slow"} --image-model "$cases/c_image/model.onnx" "$tool" "$@"
