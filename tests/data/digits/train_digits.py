#!/usr/bin/python3
"""Train the small CNN that comes with the repository, and write it with its data.

    ./train_digits.py            train, write digits_cnn.onnx, digits_test.npz, digits_calib.npz and images/
    ./train_digits.py --check    measure the digits_cnn.onnx that lies here on the digits_test.npz that lies here

Data: the 1,797 digits of 8x8 pixels, 0 to 16 each, that scikit-learn ships. The model takes pixel / 16, that
is 0 to 1. The last third in file order is the test set: no image of it is seen in training, and no choice
here was made by its score. Needs numpy, and scikit-learn for training only. All randomness comes from SEED.

Layers work on [n, height, width, channel]; export() turns weights to ONNX's layout and writes the graph
the way a tracing exporter does, with nothing folded: that is what an optimizer meets in practice.
"""
import argparse
import os
import shutil
import struct
import sys
import zlib

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the order of a sum must not depend on the core count
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402

import onnx_mini  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SEED, EPOCHS, BATCH, RATE, DECAY, SMOOTHING = 1797, 60, 64, 4e-3, 1e-3, 0.05
TEST_FROM = 1198  # of 1797
CALIB = range(0, 1100, 11)  # 100 training images; 11 and 10 share no factor, so every digit comes in
IMAGES_PER_DIGIT = 2


# ---- layers: forward keeps what backward needs; backward leaves self.grads and returns the input's gradient

class Layer:
    def __init__(self):
        self.params, self.grads = {}, {}

    def layers(self):
        return [self]


def taps(kernel):
    return [(i, j) for i in range(kernel) for j in range(kernel)]


def shifted(x, kernel):
    """The windows of x, zero-padded to keep the size, one for each tap."""
    pad, (h, w) = kernel // 2, x.shape[1:3]
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return [x[:, i:i + h, j:j + w] for i, j in taps(kernel)]


def unshifted(windows, kernel):
    """The adjoint of shifted: add each window's gradient back where it came from."""
    pad, (n, h, w, c) = kernel // 2, windows[0].shape
    x = np.zeros((n, h + 2 * pad, w + 2 * pad, c), np.float32)
    for (i, j), window in zip(taps(kernel), windows):
        x[:, i:i + h, j:j + w] += window
    return x[:, pad:pad + h, pad:pad + w]


class Conv(Layer):
    def __init__(self, rng, cin, cout, kernel, bias=False):
        super().__init__()
        self.kernel, self.shape = kernel, (kernel * kernel, cin, cout)
        w = rng.standard_normal((kernel * kernel * cin, cout)) * (2.0 / (kernel * kernel * cin)) ** 0.5
        self.params["weight"] = w.astype(np.float32)
        if bias:
            self.params["bias"] = np.zeros(cout, np.float32)

    def forward(self, x, train):
        self.cols = np.concatenate(shifted(x, self.kernel), 3)
        n, h, w, k = self.cols.shape
        y = self.cols.reshape(-1, k) @ self.params["weight"] + self.params.get("bias", np.float32(0))
        return y.reshape(n, h, w, -1)

    def backward(self, dy):
        flat = dy.reshape(-1, dy.shape[3])
        self.grads["weight"] = self.cols.reshape(len(flat), -1).T @ flat
        if "bias" in self.params:
            self.grads["bias"] = flat.sum(0)
        cols = (flat @ self.params["weight"].T).reshape(self.cols.shape)
        return unshifted(np.split(cols, self.kernel ** 2, 3), self.kernel)

    def export(self, g, scope, name, x):
        k = self.kernel
        w = self.params["weight"].reshape(self.shape).transpose(2, 1, 0).reshape(self.shape[2], self.shape[1], k, k)
        return export_conv(g, scope, name, x, w, self.params.get("bias"), 1)


class DepthwiseConv(Layer):
    def __init__(self, rng, channels, kernel):
        super().__init__()
        self.kernel = kernel
        w = rng.standard_normal((kernel * kernel, channels)) * (2.0 / (kernel * kernel)) ** 0.5
        self.params["weight"] = w.astype(np.float32)

    def forward(self, x, train):
        self.windows = shifted(x, self.kernel)
        return sum(x * w for x, w in zip(self.windows, self.params["weight"]))

    def backward(self, dy):
        self.grads["weight"] = np.stack([(x * dy).sum((0, 1, 2)) for x in self.windows])
        return unshifted([dy * w for w in self.params["weight"]], self.kernel)

    def export(self, g, scope, name, x):
        w = self.params["weight"].T.reshape(-1, 1, self.kernel, self.kernel)
        return export_conv(g, scope, name, x, w, None, len(w))


def export_conv(g, scope, name, x, w, bias, group):
    inputs = [x, g.weight(name + ".weight", w)] + ([] if bias is None else [g.weight(name + ".bias", bias)])
    k = w.shape[2]
    return g.node(scope, "Conv", inputs, dilations=[1, 1], group=group, kernel_shape=[k, k],
                  pads=[k // 2] * 4, strides=[1, 1])


class BatchNorm(Layer):
    EPSILON, MOMENTUM = 1e-5, 0.1

    def __init__(self, channels):
        super().__init__()
        self.params["weight"] = np.ones(channels, np.float32)
        self.params["bias"] = np.zeros(channels, np.float32)
        self.mean, self.var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def forward(self, x, train):
        mean, var = self.mean, self.var
        if train:
            mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
            count = x.size // x.shape[3]
            self.mean = self.mean + self.MOMENTUM * (mean - self.mean)
            self.var = self.var + self.MOMENTUM * (var * (count / (count - 1)) - self.var)
        self.inv = 1 / np.sqrt(var + self.EPSILON)
        self.norm = (x - mean) * self.inv
        return self.norm * self.params["weight"] + self.params["bias"]

    def backward(self, dy):
        self.grads["weight"] = (dy * self.norm).sum((0, 1, 2))
        self.grads["bias"] = dy.sum((0, 1, 2))
        count = dy.size // dy.shape[3]
        centred = dy - (self.grads["bias"] + self.norm * self.grads["weight"]) / count
        return centred * (self.params["weight"] * self.inv)

    def export(self, g, scope, name, x):
        parts = [("weight", self.params["weight"]), ("bias", self.params["bias"]),
                 ("running_mean", self.mean), ("running_var", self.var)]
        inputs = [x] + [g.weight(f"{name}.{part}", value) for part, value in parts]
        # ONNX weighs the old statistics with its momentum, the training loop the new ones.
        return g.node(scope, "BatchNormalization", inputs, epsilon=self.EPSILON, momentum=1 - self.MOMENTUM,
                      training_mode=0)


class Relu(Layer):
    def __init__(self, high=None):
        super().__init__()
        self.high = high

    def forward(self, x, train):
        self.open = x > 0 if self.high is None else (x > 0) & (x < self.high)
        return np.maximum(x, 0) if self.high is None else np.clip(x, 0, self.high)

    def backward(self, dy):
        return dy * self.open

    def export(self, g, scope, name, x):
        if self.high is None:
            return g.node(scope, "Relu", [x])
        limits = [g.constant(scope, np.array(v, np.float32)) for v in (0, self.high)]
        return g.node(scope, "Clip", [x] + limits)


class MaxPool2(Layer):
    def forward(self, x, train):
        n, h, w, c = x.shape
        cells = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)
        self.best = cells.argmax(4)
        return cells.max(4)

    def backward(self, dy):
        n, h, w, c = dy.shape
        cells = (self.best[..., None] == np.arange(4)) * dy[..., None]
        return cells.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c)

    def export(self, g, scope, name, x):
        return g.node(scope, "MaxPool", [x], ceil_mode=0, dilations=[1, 1], kernel_shape=[2, 2], pads=[0] * 4,
                      strides=[2, 2])


class GlobalPoolFlatten(Layer):
    def forward(self, x, train):
        self.shape = x.shape
        return x.mean((1, 2))

    def backward(self, dy):
        return np.broadcast_to(dy[:, None, None] / (self.shape[1] * self.shape[2]), self.shape)

    def export(self, g, scope, name, x):
        """The flatten as a tracer writes x.view(x.size(0), -1)."""
        x = g.node(scope, "GlobalAveragePool", [x])
        size = g.node(scope, "Shape", [x])
        size = g.node(scope, "Gather", [size, g.constant(scope, np.array(0, np.int64))], axis=0)
        size = g.node(scope, "Unsqueeze", [size, g.constant(scope, np.array([0], np.int64))])
        shape = g.node(scope, "Concat", [size, g.constant(scope, np.array([-1], np.int64))], axis=0)
        return g.node(scope, "Reshape", [x, shape])


class Dropout(Layer):
    def __init__(self, rng, ratio):
        super().__init__()
        self.rng, self.ratio = rng, ratio

    def forward(self, x, train):
        self.keep = np.float32(1)
        if train:
            self.keep = (self.rng.random_sample(x.shape) >= self.ratio).astype(np.float32) / (1 - self.ratio)
        return x * self.keep

    def backward(self, dy):
        return dy * self.keep

    def export(self, g, scope, name, x):
        ratio = g.constant(scope, np.array(self.ratio, np.float32))
        return g.node(scope, "Dropout", [x, ratio, g.constant(scope, np.array(False))])


class Linear(Layer):
    def __init__(self, rng, cin, cout):
        super().__init__()
        self.params["weight"] = (rng.standard_normal((cout, cin)) / cin ** 0.5).astype(np.float32)
        self.params["bias"] = np.zeros(cout, np.float32)

    def forward(self, x, train):
        self.x = x
        return x @ self.params["weight"].T + self.params["bias"]

    def backward(self, dy):
        self.grads["weight"], self.grads["bias"] = dy.T @ self.x, dy.sum(0)
        return dy @ self.params["weight"]

    def export(self, g, scope, name, x):
        inputs = [x] + [g.weight(f"{name}.{part}", self.params[part]) for part in ("weight", "bias")]
        return g.node(scope, "Gemm", inputs, output="logits", alpha=1.0, beta=1.0, transB=1)


class Chain(Layer):
    """Named layers in a row; residual adds the input to what they give."""

    def __init__(self, residual=False, **layers):
        super().__init__()
        self.residual, self.parts = residual, layers

    def layers(self):
        return [leaf for part in self.parts.values() for leaf in part.layers()]

    def forward(self, x, train):
        y = x
        for part in self.parts.values():
            y = part.forward(y, train)
        return x + y if self.residual else y

    def backward(self, dy):
        dx = dy
        for part in reversed(self.parts.values()):
            dx = part.backward(dx)
        return dx + dy if self.residual else dx

    def export(self, g, scope, name, x):
        y = x
        for key, part in self.parts.items():
            y = part.export(g, f"{scope}/{key}", f"{name}.{key}" if name else key, y)
        if not self.residual:
            return y
        return g.node(scope, "Add", [g.node(scope + "/shortcut", "Identity", [x]), y])


def network(rng):
    return Chain(
        stem=Chain(conv=Conv(rng, 1, 16, 3), norm=BatchNorm(16), act=Relu()),
        block1=Chain(residual=True,
                     depthwise=DepthwiseConv(rng, 16, 3), norm1=BatchNorm(16), act=Relu(6),
                     pointwise=Conv(rng, 16, 16, 1), norm2=BatchNorm(16)),
        pool=MaxPool2(),
        block2=Chain(conv=Conv(rng, 16, 32, 3, bias=True), norm=BatchNorm(32), act=Relu()),
        block3=Chain(residual=True,
                     expand=Conv(rng, 32, 64, 1), norm1=BatchNorm(64), act1=Relu(6),
                     depthwise=DepthwiseConv(rng, 64, 3), norm2=BatchNorm(64), act2=Relu(6),
                     project=Conv(rng, 64, 32, 1), norm3=BatchNorm(32)),
        head=Chain(conv=Conv(rng, 32, 64, 1), norm=BatchNorm(64), act=Relu(6)),
        flatten=GlobalPoolFlatten(),
        dropout=Dropout(rng, 0.2),
        classifier=Linear(rng, 64, 10))


# ---- training --------------------------------------------------------------------------------------------

def load():
    """All images as [1797, 1, 8, 8] in 0 to 1, and their labels."""
    from sklearn.datasets import load_digits
    digits = load_digits()
    return (digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64)


def jitter(rng, x):
    """Each image moved by at most one pixel each way."""
    h, w = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moves = rng.randint(0, 3, (len(x), 2))
    return np.stack([p[i:i + h, j:j + w] for p, (i, j) in zip(padded, moves)])


def loss_gradient(logits, labels):
    """Cross-entropy with smoothed labels: the mean loss and its gradient."""
    target = np.full(logits.shape, SMOOTHING / logits.shape[1], np.float32)
    target[np.arange(len(labels)), labels] += 1 - SMOOTHING
    shifted_logits = logits - logits.max(1, keepdims=True)
    log_sum = np.log(np.exp(shifted_logits).sum(1, keepdims=True))
    gradient = (np.exp(shifted_logits - log_sum) - target) / len(labels)
    return float((target * (log_sum - shifted_logits)).sum() / len(labels)), gradient


class Adam:
    """Adam with decoupled weight decay on matrices only."""

    def __init__(self, layers):
        self.slots = [(layer, key, np.zeros_like(value), np.zeros_like(value))
                      for layer in layers for key, value in layer.params.items()]
        self.step = 0

    def update(self, rate):
        self.step += 1
        for layer, key, first, second in self.slots:
            value, grad = layer.params[key], layer.grads[key]
            first += 0.1 * (grad - first)
            second += 0.001 * (grad * grad - second)
            if value.ndim > 1:
                value *= 1 - rate * DECAY
            value -= rate * (first / (1 - 0.9 ** self.step)) / (np.sqrt(second / (1 - 0.999 ** self.step)) + 1e-8)


def train(images, labels):
    rng = np.random.RandomState(SEED)  # the legacy generator: its stream is frozen across numpy versions
    net = network(rng)
    adam, x, steps = Adam(net.layers()), images.transpose(0, 2, 3, 1), len(images) // BATCH
    for epoch in range(EPOCHS):
        order, total = rng.permutation(len(x)), 0.0
        for step in range(steps):
            pick = order[step * BATCH:(step + 1) * BATCH]
            loss, gradient = loss_gradient(net.forward(jitter(rng, x[pick]), True), labels[pick])
            net.backward(gradient)
            done = (epoch + step / steps) / EPOCHS
            adam.update(RATE * min(1.0, done * 20) * 0.5 * (1 + float(np.cos(np.pi * done))))
            total += loss
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}  loss {total / steps:.4f}", flush=True)
    return net


# ---- results ---------------------------------------------------------------------------------------------

def export(net):
    g = onnx_mini.Graph()
    net.export(g, "", "", "input")
    return g.model(
        [("input", ["N", 1, 8, 8], "grey image, pixel / 16, ink 1, paper 0")],
        [("logits", ["N", 10], "one score for each digit")],
        "digits_cnn", "Small CNN for handwritten digits of 8x8 pixels", ("train_digits.py", "1"),
        [("task", "image classification"), ("classes", "0,1,2,3,4,5,6,7,8,9"),
         ("dataset", "UCI Optical Recognition of Handwritten Digits, as in scikit-learn"),
         ("input_scale", "0.0625")])


def write_png(path, grey):
    """An 8-bit grey PNG from [height, width] bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) +
                chunk(b"IEND", b""))


def write_images(folder, images, labels):
    """The first few of each digit as folder/<label>/<index in the test set>.png, white for full ink."""
    shutil.rmtree(folder, ignore_errors=True)
    for digit in range(10):
        os.makedirs(os.path.join(folder, str(digit)))
        for i in np.flatnonzero(labels == digit)[:IMAGES_PER_DIGIT]:
            write_png(os.path.join(folder, str(digit), f"{i}.png"), np.rint(images[i, 0] * 255).astype(np.uint8))


def check(folder):
    """Top-1 of the model file in folder on its test set, by numpy."""
    with open(os.path.join(folder, "digits_cnn.onnx"), "rb") as f:
        data = f.read()
    with np.load(os.path.join(folder, "digits_test.npz")) as test:
        images, labels = test["images"], test["labels"]
    model = onnx_mini.Model(data)
    right = int((model.run(images).argmax(1) == labels).sum())
    parameters = sum(a.size for a in model.initializers.values())
    print(f"digits_cnn.onnx: {len(data)} bytes, {len(model.nodes)} nodes, {parameters} parameters")
    print(f"top-1 {100 * right / len(labels):.2f} % ({right} of {len(labels)})")


def main():
    parser = argparse.ArgumentParser(description="Train the digits CNN and write it with its data.")
    parser.add_argument("--check", action="store_true", help="only measure the model that is there")
    parser.add_argument("--out", default=HERE, help="folder to write to and to check (default: this script's)")
    args = parser.parse_args()
    if not args.check:
        images, labels = load()
        net = train(images[:TEST_FROM], labels[:TEST_FROM])
        os.makedirs(args.out, exist_ok=True)
        with open(os.path.join(args.out, "digits_cnn.onnx"), "wb") as f:
            f.write(export(net))
        np.savez_compressed(os.path.join(args.out, "digits_test.npz"),
                            images=images[TEST_FROM:], labels=labels[TEST_FROM:])
        np.savez_compressed(os.path.join(args.out, "digits_calib.npz"), input=images[:TEST_FROM][CALIB])
        write_images(os.path.join(args.out, "images"), images[TEST_FROM:], labels[TEST_FROM:])
    check(args.out)


if __name__ == "__main__":
    main()
