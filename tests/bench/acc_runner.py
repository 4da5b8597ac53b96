"""ONNX Runtime for the accuracy benchmark, through tests/oracle/ort_server.mjs, and our own two ways of running a model: numpy arrays in, numpy
arrays out.

A runner is what a scorer sees: `.inputs` [(name, type text, dims)], `.outputs` [name], `.run(feeds) -> [array]`.
"""
import json
import os
import shutil
import subprocess
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = os.path.join(HERE, "..", "oracle", "ort_server.mjs")
TYPE_TEXT = {"float32": "float", "float64": "double"}


def scratch():
    """A new folder for passing arrays, in memory where the system has such a place."""
    return tempfile.mkdtemp(prefix="onnxopt-acc-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


class Ort:
    """One model in one server process."""

    def __init__(self, model, threads=2):
        self.model, self.threads, self.dir = model, threads, scratch()
        self.server = subprocess.Popen(["node", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        try:
            info = self.ask(op="info")
        except RuntimeError:
            self.close()
            raise
        self.inputs = [(i["name"], "tensor(%s)" % TYPE_TEXT.get(i["dtype"], i["dtype"]), i["dims"]) for i in info["inputs"]]
        self.outputs = info["outputs"]

    def ask(self, **request):
        request.update(model=self.model, threads=self.threads)
        self.server.stdin.write(json.dumps(request) + "\n")
        line = self.server.stdout.readline()
        answer = json.loads(line) if line else {"ok": False, "error": "ONNX Runtime ended"}
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer

    def run(self, feeds):
        src, dst = os.path.join(self.dir, "in.npz"), os.path.join(self.dir, "out.npz")
        np.savez(src, **feeds)
        self.ask(inputs=src, output=dst)
        with np.load(dst) as z:
            return [z[name] for name in self.outputs]

    def close(self):
        if not self.server.stdin.closed:
            self.server.stdin.close()
        self.server.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Own:
    """One model by `onnxopt run`, a process a sample: by the reference executor, or compiled for the native path."""

    def __init__(self, onnxopt, model, like, native):
        self.onnxopt, self.model, self.dir = onnxopt, model, scratch()
        self.inputs, self.outputs = like.inputs, like.outputs
        if native:
            self.model = os.path.join(self.dir, "model.oxb")
            self.call(model, "-o", self.model, "--passes", "dce")

    def call(self, *args):
        r = subprocess.run([self.onnxopt, *args], capture_output=True, text=True)
        if r.returncode:
            raise RuntimeError(((r.stderr or r.stdout).strip().splitlines() or [""])[-1][:200])

    def run(self, feeds):
        src, dst = os.path.join(self.dir, "in.npz"), os.path.join(self.dir, "out.npz")
        np.savez(src, **feeds)
        self.call("run", self.model, "--input", src, "-o", dst)
        with np.load(dst) as z:
            return [z[name] for name in self.outputs]

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Recorder:
    """A runner that writes what a scorer feeds to FOLDER/NNNNN.npz: calibration data with the scorer's own preprocessing."""

    def __init__(self, inner, folder):
        self.inner, self.folder, self.count = inner, folder, 0
        self.inputs, self.outputs = inner.inputs, inner.outputs
        os.makedirs(folder, exist_ok=True)

    def run(self, feeds):
        np.savez(os.path.join(self.folder, "%05d.npz" % self.count), **feeds)
        self.count += 1
        return self.inner.run(feeds)


class Switcher:
    """A runner that gives call i to runner[fold[i]], so that no sample is scored by a model calibrated with it."""

    def __init__(self, runners, folds):
        self.runners, self.folds, self.count = runners, folds, 0
        self.inputs, self.outputs = runners[0].inputs, runners[0].outputs

    def run(self, feeds):
        r = self.runners[self.folds[self.count]]
        self.count += 1
        return r.run(feeds)
