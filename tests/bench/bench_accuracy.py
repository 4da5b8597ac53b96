#!/usr/bin/env python3
"""What int8 costs in accuracy on labelled tasks: float, quantized with 100 calibration samples, quantized with none.

  ONNXOPT=build/bin/onnxopt ONNXOPT_MODELS=DIR [ORT_QUANTIZE="CMD"] bench_accuracy.py [--match RE] [--samples 100]
      [--limit N] [--json FILE] [--write-calib DIR] [--keep DIR] [--ways]

DIR has models/NAME/model.onnx, data/TASK/ and evaluate.py, the folder's scorer. Every model that has labelled data and no
operator outside the operator set is scored in ONNX Runtime. Top-1 tasks are scored here (acc_tasks.py), sample by sample, so
that the drop is paired and has a standard error; the others (mAP, mIoU, AP, PSNR, perplexity) by evaluate.py, whose
runner is replaced by ours.

No sample is scored by a model that was calibrated with it: the samples are split into folds (seeded), each fold is scored by
a model calibrated with 100 samples of the other folds, and the table says how many folds, and how many samples where the data
has fewer than 100 to spare. ORT_QUANTIZE is called as CMD IN OUT --calib FOLDER with the same folders; $ONNXOPT_FLAGS adds flags to
our own command. --ways scores the model calibrated with data two times more: compiled for the native path, and by the reference executor. --write-calib DIR only writes DIR/NAME/NNNNN.npz, 100 preprocessed samples of each model.

Needs numpy, Pillow and node with onnxruntime-node (tests/oracle/get_ort.sh).
"""
import argparse
import importlib.util
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import numpy as np

from acc_runner import HERE, Ort, Own, Recorder, Switcher
from acc_tasks import TASKS, predict

# What of evaluate.py's figures is the task's score; a sign of -1: less is better, and the drop is in percent.
SCORES = {"coco": ("mAP50_95", 1), "voc_seg": ("mIoU", 1), "face": ("AP50", 1), "superres": ("PSNR", 1), "lm": ("ppl", -1),
          "ocr_rec": ("exact", 1), "vad": ("acc", 1), "denoise": ("mean_gain_dB", 1), "sentsplit": ("F1", 1)}


def fold_count(n, samples):
    """Fewest folds that leave `samples` for calibration; at most 10; 4 where there is too little data for that."""
    for k in range(2, 11):
        if n - math.ceil(n / k) >= samples:
            return k
    return min(4, n)


def split(n, samples):
    """(fold of each sample, [indices to calibrate for fold f])."""
    k, order = fold_count(n, samples), np.random.default_rng(0).permutation(n)
    fold = np.empty(n, int)
    fold[order] = np.arange(n) % k
    pools = [[i for i in order if fold[i] != f] for f in range(k)]
    return fold, [sorted(p[:samples]) for p in pools]


class Top1:
    """A task scored here. A result is (hits, classes, outputs) over the samples."""

    def __init__(self, name, data, limit):
        self.task, loader = TASKS[name]
        labels, self.feed = loader(data)
        self.labels = labels[:limit]
        self.n, self.score_name, self.sign = len(self.labels), "top-1", 1

    def record(self, runner, folder):
        os.makedirs(folder, exist_ok=True)
        for i in range(self.n):
            np.savez(os.path.join(folder, "%05d.npz" % i), **{runner.inputs[0][0]: self.feed(i)})
        return self.evaluate(runner)

    def evaluate(self, runner):
        name = runner.inputs[0][0]
        classes = np.array([predict(runner.run({name: self.feed(i)})) for i in range(self.n)])
        return {"score": 100 * float(np.mean(classes == self.labels)), "classes": classes}

    def compare(self, want, got):
        d = 100.0 * ((want["classes"] == self.labels).astype(int) - (got["classes"] == self.labels).astype(int))
        return {"drop": float(d.mean()), "se": float(d.std(ddof=1) / math.sqrt(self.n)),
                "agree": 100 * float(np.mean(want["classes"] == got["classes"]))}


class ByScorer:
    """A task scored by the folder's evaluate.py."""

    def __init__(self, name, module, data, find):
        self.task, self.function = module.T[name]
        self.module, self.data, self.find = module, data, find
        self.score_name, self.sign = SCORES.get(self.task, (None, 1))

    def record(self, runner, folder):
        r = Recorder(runner, folder)
        result = self.evaluate(r)
        self.n = r.count
        return result

    def evaluate(self, runner):
        figures = self.function(runner, self.data + "/", self.find)
        if self.score_name is None:
            self.score_name = next(k for k in figures if k.startswith("top1"))
        return {"score": float(figures[self.score_name])}

    def compare(self, want, got):
        drop = want["score"] - got["score"] if self.sign > 0 else 100 * (got["score"] / want["score"] - 1)
        return {"drop": drop}


def load_scorer(root):
    path = os.path.join(root, "evaluate.py")
    if not os.path.exists(path):
        return None
    spec = importlib.util.spec_from_file_location("evaluate", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make_runner = module.make_runner_raw = Ort  # further models that a task needs run in the same runtime
    return module


def outside(path):
    out = subprocess.run(["node", os.path.join(HERE, "..", "oracle", "slice.mjs"), path], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)["outside"]


def published(root):
    """{model: text} of the per-channel column of the static quantizer's table in the folder's README, where it has one."""
    path, found, columns = os.path.join(root, "README.md"), {}, None
    if not os.path.exists(path):
        return found
    for line in open(path, encoding="utf8"):
        cells = [c.strip() for c in line.strip().strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            columns = None
        elif "per-channel" in cells:
            columns = {c: k for k, c in enumerate(cells)}
        elif columns and not set(line) <= set("|- :\n"):
            value = cells[columns["per-channel"]]
            if value != "-":
                number = lambda t: (re.findall(r"-?\d+\.?\d*$", t) or ["?"])[0]
                found[cells[0]] = "%s -> %s" % (number(cells[columns["fp32"]]), number(value))
    return found


class Model:
    """One row of the table."""

    def __init__(self, name, path, task, options):
        self.name, self.path, self.task, self.options = name, path, task, options
        self.dir = os.path.join(options.work, name)
        self.feeds = os.path.join(self.dir, "feeds")
        os.makedirs(self.dir)

    def folder(self, indices, tag):
        """A calibration folder: links to the recorded feeds."""
        d = os.path.join(self.dir, "calib_" + tag)
        os.makedirs(d)
        for i in indices:
            os.link(os.path.join(self.feeds, "%05d.npz" % i), os.path.join(d, "%05d.npz" % i))
        return d

    def quantized(self, command, tag):
        out = os.path.join(self.dir, tag + ".onnx")
        r = subprocess.run([out if a == "OUT" else self.path if a == "IN" else a for a in command], capture_output=True, text=True,
                           timeout=self.options.timeout)
        if r.returncode or not os.path.exists(out):
            raise RuntimeError("%s: exit %d: %s" % (tag, r.returncode, ((r.stderr or r.stdout).strip().splitlines() or [""])[-1][:200]))
        return out

    def way(self, key, want, folds, native):
        """The models of variant `key` again, by our own runtime or the reference executor."""
        def own(k):
            path = os.path.join(self.dir, "%s_%d.onnx" % (key, k))
            like = Ort(path)
            like.close()
            return Own(self.options.onnxopt, path, like, native)

        return self.scored(lambda: map(own, range(max(folds) + 1)), want, folds)

    def variant(self, key, commands, want, folds=None):
        """Scores the models that the commands make (one a fold)."""
        return self.scored(lambda: (Ort(self.quantized(c, "%s_%d" % (key, k))) for k, c in enumerate(commands)), want, folds)

    def scored(self, make, want, folds):
        """What runners score; a failure is a result too."""
        runners = []
        try:
            for r in make():
                runners.append(r)
            got = self.task.evaluate(Switcher(runners, folds) if folds is not None else runners[0])
            return {"score": got["score"], **self.task.compare(want, got)}
        except (RuntimeError, subprocess.TimeoutExpired, AssertionError, ValueError) as e:
            return {"error": str(e)[:300]}
        finally:
            for r in runners:
                r.close()

    def all(self):
        o, row = self.options, {"model": self.name, "task": self.task.task}
        float_runner = Ort(self.path)
        want = self.task.record(float_runner, self.feeds)
        float_runner.close()
        fold, pools = split(self.task.n, o.samples)
        row.update(n=self.task.n, score_name=self.task.score_name, float=want["score"], folds=len(pools), samples=min(map(len, pools)))
        dirs = [self.folder(p, str(k)) for k, p in enumerate(pools)]
        ours = [o.onnxopt, "IN", "-o", "OUT", "--quantize", "int8", *o.flags]
        row["data"] = self.variant("data", [ours + ["--calib", d] for d in dirs], want, fold)
        if o.ways:
            for key in "native", "reference":
                row[key] = self.way("data", want, fold, key == "native")
                print("%s: %s %s" % (self.name, key, cell(row[key])), file=sys.stderr, flush=True)
        row["none"] = self.variant("none", [ours], want)
        if o.ort_quantize:
            row["ort"] = self.variant("ort", [[*o.ort_quantize, "IN", "OUT", "--calib", d] for d in dirs], want, fold)
        return row


def write_calibration(models, options):
    for m in models:
        runner = Ort(m.path)
        m.task.record(runner, m.feeds)
        runner.close()
        dst = os.path.join(options.write_calib, m.name)
        os.makedirs(dst, exist_ok=True)
        chosen = sorted(np.random.default_rng(0).permutation(m.task.n)[: options.samples])
        for i in chosen:
            shutil.copy(os.path.join(m.feeds, "%05d.npz" % i), dst)
        shutil.rmtree(m.dir)
        print("%s: %d samples" % (dst, len(chosen)), flush=True)


def cell(v):
    """score (drop ± standard error)"""
    if v is None:
        return "-"
    if "error" in v:
        return "fails"
    se = " ± %.2f" % v["se"] if "se" in v else ""
    return "%.2f (%+.2f%s)" % (v["score"], v["drop"], se)


def agree(v):
    return "%.1f" % v["agree"] if v and "agree" in v else "-"


def table(rows, figures):
    head = ["task", "model", "n", "score", "float", "int8, data: score (drop)", "agree %", "int8, no data", "agree %",
            "ORT quantize_static, this run", "its published figure", "calibration"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        how = "%d samples, %d folds" % (r["samples"], r["folds"])
        lines.append("| " + " | ".join([r["task"], r["model"], str(r["n"]), r["score_name"], "%.2f" % r["float"], cell(r["data"]), agree(r["data"]),
                                        cell(r["none"]), agree(r["none"]), cell(r.get("ort")), figures.get(r["model"], "-"), how]) + " |")
    return "\n".join(lines)


def summary(rows):
    for key, bound in (("data", 0.5), ("none", 1.5)):
        ok = [r for r in rows if r[key].get("drop", math.inf) <= bound]
        rest = ", ".join("%s %s" % (r["model"], "%+.2f" % r[key]["drop"] if "drop" in r[key] else "fails") for r in rows if r not in ok)
        print("%s: %d of %d within %.1f of float%s" % ({"data": "with data", "none": "without data"}[key], len(ok), len(rows), bound,
                                                       "; not: " + rest if rest else ""))
        for r in rows:
            if "error" in r[key]:
                print("  %s: %s" % (r["model"], r[key]["error"]))


def find_models(options, scorer):
    base = os.path.join(options.models, "models")
    find = lambda n: os.path.join(base, n, "model.onnx")
    data = os.path.join(options.models, "data")
    for name in sorted(os.listdir(base)):
        known = name in TASKS or (scorer and name in scorer.T)
        if not known or not re.search(options.match, name) or not os.path.exists(find(name)):
            continue
        beyond = outside(find(name))
        if beyond:
            print("%s: left out, operators outside the operator set: %s" % (name, ", ".join(beyond)), file=sys.stderr)
            continue
        task = Top1(name, data, options.limit) if name in TASKS else ByScorer(name, scorer, data, find)
        yield Model(name, find(name), task, options)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--match", default="")
    p.add_argument("--samples", type=int, default=100)
    p.add_argument("--limit", type=int)
    p.add_argument("--timeout", type=float, default=900)
    p.add_argument("--json")
    p.add_argument("--write-calib")
    p.add_argument("--keep")
    p.add_argument("--ways", action="store_true")
    o = p.parse_args()
    o.onnxopt, o.models = os.environ.get("ONNXOPT"), os.environ.get("ONNXOPT_MODELS")
    o.ort_quantize, o.flags = shlex.split(os.environ.get("ORT_QUANTIZE", "")), shlex.split(os.environ.get("ONNXOPT_FLAGS", ""))
    if not o.models or not (o.onnxopt or o.write_calib):
        p.error("set ONNXOPT and ONNXOPT_MODELS")
    o.work = o.keep or tempfile.mkdtemp(prefix="onnxopt-accuracy-")
    os.makedirs(o.work, exist_ok=True)
    try:
        models = find_models(o, load_scorer(o.models))
        if o.write_calib:
            return write_calibration(models, o)
        rows = []
        for m in models:
            rows.append(m.all())
            if not o.keep:
                shutil.rmtree(m.dir)
            r = rows[-1]
            print("%s: float %.2f, data %s, none %s" % (m.name, r["float"], cell(r["data"]), cell(r["none"])), file=sys.stderr, flush=True)
        if not rows:
            p.error("no scored model matches")
        print(table(rows, published(o.models)) + "\n")
        summary(rows)
        if o.json:
            with open(o.json, "w") as f:
                json.dump(rows, f, indent=1)
    finally:
        if not o.keep:
            shutil.rmtree(o.work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
