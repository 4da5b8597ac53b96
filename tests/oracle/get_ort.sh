#!/bin/sh
# Installs the pinned onnxruntime-node into a cache outside the source tree, through npm as configured, and
# prints the folder. Its install script is not run: that would only fetch GPU libraries.
set -eu
version=1.30.0
dir=${ONNXOPT_ORT_NODE:-${ONNXOPT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/onnxopt}/ort-node-$version}
if [ ! -e "$dir/node_modules/onnxruntime-node/package.json" ]; then
    mkdir -p "$dir"
    npm install --prefix "$dir" --ignore-scripts --no-audit --no-fund --no-package-lock --no-save \
        "onnxruntime-node@$version" >&2
fi
echo "$dir"
