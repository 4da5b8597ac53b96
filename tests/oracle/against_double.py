#!/usr/bin/env python3
"""Who is right where the reference executor and ONNX Runtime differ: both against double precision.

  ONNXOPT=build/bin/onnxopt ONNXOPT_ORT_NODE=DIR against_double.py MODEL.onnx INPUTS.npz...

The model is converted to double (weights, inputs, casts) and run by the reference executor's double kernels. Printed for each
output: the largest error of the executor in float, that of ONNX Runtime, and the distance between them, all relative to the
output's range. The exit status is 1 where the executor's own error is above 1e-4.

Needs numpy, Debian's python3-onnx, and node with onnxruntime-node (tests/oracle/get_ort.sh).
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
BOUND = 1e-4


def widen_tensor(tensor):
    if tensor.data_type == TensorProto.FLOAT:
        wide = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
        tensor.CopyFrom(wide)


def widen_graph(graph):
    for tensor in graph.initializer:
        widen_tensor(tensor)
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen_tensor(attribute.t)
            elif attribute.type == onnx.AttributeProto.GRAPH:
                widen_graph(attribute.g)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE


def run_ours(model, inputs, output):
    subprocess.run([os.environ["ONNXOPT"], "run", model, "--input", inputs, "-o", output, "--quiet"], check=True)
    return np.load(output)


def run_ort(model, inputs, output):
    request = json.dumps({"model": model, "inputs": inputs, "output": output, "threads": 1})
    answer = subprocess.run(["node", os.path.join(HERE, "ort_server.mjs")], input=request + "\n", text=True, check=True, stdout=subprocess.PIPE)
    if not json.loads(answer.stdout.splitlines()[0])["ok"]:
        sys.exit(f"ONNX Runtime: {answer.stdout}")
    return np.load(output)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    model, bad = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        wide = onnx.load(model)
        widen_graph(wide.graph)
        onnx.save(wide, at("wide.onnx"))
        print(f"{'inputs':24} {'output':24} {'range':>10} {'ours':>10} {'ORT':>10} {'between':>10}")
        for inputs in sys.argv[2:]:
            given = np.load(inputs)
            np.savez(at("wide.npz"), **{k: given[k].astype(np.float64) if given[k].dtype == np.float32 else given[k] for k in given.files})
            ours, truth = run_ours(model, inputs, at("ours.npz")), run_ours(at("wide.onnx"), at("wide.npz"), at("truth.npz"))
            ort = run_ort(model, inputs, at("ort.npz"))
            for name in truth.files:
                span = float(np.ptp(truth[name])) or 1.0
                far = lambda a, b: float(np.abs(a.astype(np.float64) - b).max()) / span
                error = far(ours[name], truth[name])
                bad += error > BOUND
                print(f"{os.path.basename(inputs):24} {name:24} {span:10.3g} {error:10.2e} {far(ort[name], truth[name]):10.2e} "
                      f"{far(ours[name], ort[name].astype(np.float64)):10.2e}")
    sys.exit(1 if bad else 0)


main()
