"""The least of ONNX that the digits model needs: write a file, read it back, run it with numpy.

The writer emits the protobuf wire format by hand (numbers of fields as in onnx.proto), so neither the
onnx nor a protobuf package is needed. The reader and the runner share nothing with the training code:
they take only what stands in the file, so an accuracy measured through them is one of the file.

Invariants: fields are written in a fixed order and nothing depends on time or hashing, so equal inputs
give equal bytes. The runner knows exactly the forms the digits model uses and raises on any other.
"""
import struct

import numpy as np

FLOAT, INT64, BOOL = 1, 7, 9
DTYPES = {FLOAT: np.dtype("<f4"), INT64: np.dtype("<i8"), BOOL: np.dtype("?")}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
A_FLOAT, A_INT, A_TENSOR, A_INTS = 1, 2, 4, 7


# ---- wire format -----------------------------------------------------------------------------------------

def varint(n):
    """n as a base-128 varint; a negative number is its 64-bit two's complement."""
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    """One field: an int as varint, a float as 32 bits, text, bytes or an encoded message with its length."""
    if isinstance(value, (int, np.integer)):
        return varint(number << 3 | VARINT) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | FIXED32) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def message(*pairs):
    """A message from (number, value) pairs; None leaves a field out, a list repeats it."""
    out = b""
    for number, value in pairs:
        for v in value if isinstance(value, list) else [value]:
            out += b"" if v is None else field(number, v)
    return out


def fields(data):
    """The fields of an encoded message as {number: [values]}, in file order."""
    out, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(data):
        key = number()
        wire = key & 7
        if wire == VARINT:
            value = number()
            value -= (1 << 64) if value >> 63 else 0
        elif wire == FIXED32:
            value = struct.unpack_from("<f", data, at)[0]
            at += 4
        elif wire == BYTES:
            size = number()
            value = data[at:at + size]
            at += size
        else:
            raise ValueError(f"wire type {wire}")
        out.setdefault(key >> 3, []).append(value)
    return out


# ---- writing ---------------------------------------------------------------------------------------------

def tensor(array, name=None):
    array = np.asarray(array)
    code = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64, np.dtype(bool): BOOL}[array.dtype]
    data = np.ascontiguousarray(array).astype(DTYPES[code], copy=False).tobytes()
    return message((1, list(array.shape)), (2, code), (8, name), (9, data))


def attribute(name, value):
    if isinstance(value, float):
        return message((1, name), (2, value), (20, A_FLOAT))
    if isinstance(value, int):
        return message((1, name), (3, value), (20, A_INT))
    if isinstance(value, np.ndarray):
        return message((1, name), (5, tensor(value)), (20, A_TENSOR))
    return message((1, name), (8, list(value)), (20, A_INTS))


def value_info(name, shape, doc):
    """A float tensor; a dimension that is text is symbolic."""
    dims = [message((2, d) if isinstance(d, str) else (1, d)) for d in shape]
    return message((1, name), (2, message((1, message((1, FLOAT), (2, message((1, dims))))))), (3, doc))


class Graph:
    """Collects nodes and initializers under the scoped names that training frameworks export."""

    def __init__(self):
        self.nodes, self.initializers, self.names = [], [], set()

    def weight(self, name, array):
        self.initializers.append(tensor(array, name))
        return name

    def node(self, scope, op, inputs, output=None, **attrs):
        """Append a node and return the name of its output."""
        base = name = f"{scope}/{op}"
        count = 0
        while name in self.names:
            count += 1
            name = f"{base}_{count}"
        self.names.add(name)
        output = output or f"{name}_output_0"
        encoded = [attribute(k, v) for k, v in sorted(attrs.items())]
        self.nodes.append(message((1, list(inputs)), (2, output), (3, name), (4, op), (5, encoded)))
        return output

    def constant(self, scope, array):
        return self.node(scope, "Constant", [], value=array)

    def model(self, inputs, outputs, name, doc, producer, metadata, ir=8, opset=17):
        """The whole file; inputs and outputs are (name, shape, doc)."""
        graph = message((1, self.nodes), (2, name), (5, self.initializers), (10, doc),
                        (11, [value_info(*v) for v in inputs]), (12, [value_info(*v) for v in outputs]))
        props = [message((1, k), (2, v)) for k, v in metadata]
        return message((1, ir), (2, producer[0]), (3, producer[1]), (6, doc), (7, graph),
                       (8, message((1, ""), (2, opset))), (14, props))


# ---- reading and running ---------------------------------------------------------------------------------

def read_tensor(data):
    f = fields(data)
    array = np.frombuffer(f[9][0], DTYPES[f[2][0]]).reshape(f.get(1, []))
    return f.get(8, [b""])[0].decode(), array


def read_attribute(data):
    f = fields(data)
    kind = f[20][0]
    value = {A_FLOAT: 2, A_INT: 3, A_TENSOR: 5, A_INTS: 8}[kind]
    value = f[value] if kind == A_INTS else f[value][0]
    return f[1][0].decode(), read_tensor(value)[1] if kind == A_TENSOR else value


class Model:
    """A file as read: nodes as (op, inputs, outputs, attributes), initializers by name."""

    def __init__(self, data):
        graph = fields(fields(data)[7][0])
        self.initializers = dict(read_tensor(t) for t in graph[5])
        self.input = fields(graph[11][0])[1][0].decode()
        self.output = fields(graph[12][0])[1][0].decode()
        self.nodes = []
        for node in map(fields, graph[1]):
            names = [[s.decode() for s in node.get(k, [])] for k in (1, 2)]
            self.nodes.append((node[4][0].decode(), *names, dict(map(read_attribute, node.get(5, [])))))

    def run(self, x):
        """The output for one input, every node in file order by numpy."""
        values = dict(self.initializers)
        values[self.input] = x
        for op, inputs, outputs, attrs in self.nodes:
            values[outputs[0]] = KERNELS[op](attrs, *[values[i] for i in inputs])
        return values[self.output]


def conv(a, x, w, b=None):
    if set(a["strides"]) != {1} or set(a["dilations"]) != {1} or a["group"] not in (1, len(w)):
        raise ValueError("a form of Conv that the digits model does not use")
    top, left, bottom, right = a["pads"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    y = np.zeros((len(x), len(w), height, width), np.float32)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            window = x[:, :, i:i + height, j:j + width]
            if a["group"] == 1:
                y += np.tensordot(window, w[:, :, i, j], (1, 1)).transpose(0, 3, 1, 2)
            else:
                y += window * w[None, :, 0, i, j, None, None]
    return y if b is None else y + b[None, :, None, None]


def batch_normalization(a, x, scale, bias, mean, var):
    if a["training_mode"]:
        raise ValueError("BatchNormalization in training mode")
    scale, bias, mean, var = (v[None, :, None, None] for v in (scale, bias, mean, var))
    return ((x - mean) / np.sqrt(var + np.float32(a["epsilon"])) * scale + bias).astype(np.float32)


def max_pool(a, x):
    if a["kernel_shape"] != [2, 2] or a["strides"] != [2, 2] or any(a["pads"]):
        raise ValueError("a form of MaxPool that the digits model does not use")
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def dropout(a, x, ratio, training):
    if training:
        raise ValueError("Dropout in training mode")
    return x


def gemm(a, x, w, b):
    if a["alpha"] != 1 or a["beta"] != 1 or not a["transB"]:
        raise ValueError("a form of Gemm that the digits model does not use")
    return x @ w.T + b


def unsqueeze(a, x, axes):
    return np.expand_dims(x, tuple(int(i) for i in axes))


KERNELS = {
    "Add": lambda a, x, y: x + y,
    "BatchNormalization": batch_normalization,
    "Clip": lambda a, x, low, high: np.clip(x, low, high),
    "Concat": lambda a, *xs: np.concatenate(xs, a["axis"]),
    "Constant": lambda a: a["value"],
    "Conv": conv,
    "Dropout": dropout,
    "Gather": lambda a, x, i: np.take(x, i, a["axis"]),
    "Gemm": gemm,
    "GlobalAveragePool": lambda a, x: x.mean((2, 3), keepdims=True),
    "Identity": lambda a, x: x,
    "MaxPool": max_pool,
    "Relu": lambda a, x: np.maximum(x, 0),
    "Reshape": lambda a, x, shape: x.reshape(shape),
    "Shape": lambda a, x: np.array(x.shape, np.int64),
    "Unsqueeze": unsqueeze,
}
