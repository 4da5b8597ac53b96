#!/bin/sh
# run.sh ONNXOPT_BINARY: installs ONNX Runtime at need, shows that the check can fail, then checks the binary on the
# model that comes with the repository and, where $ONNXOPT_MODELS names a folder of models, on those.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: run.sh ONNXOPT_BINARY" >&2; exit 2; }
command -v node >/dev/null || { echo "run.sh: needs node (Debian: package nodejs)" >&2; exit 2; }
ONNXOPT_ORT_NODE=$("$here/get_ort.sh")
export ONNXOPT_ORT_NODE
node "$here/selftest.mjs"
node "$here/check_models.mjs" --onnxopt "$1" --models "$here/../data/digits"
[ -z "${ONNXOPT_MODELS:-}" ] || node "$here/check_models.mjs" --onnxopt "$1"
