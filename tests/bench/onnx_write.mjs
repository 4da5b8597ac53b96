// Writes small ONNX files for benchmarks: a builder over the few protobuf fields that are needed.
// Tensors are float32 or int64; attributes are integers, lists of integers, floats.
import fs from 'node:fs';

const FLOAT = 1, INT64 = 7;

function varint(v) {
  const out = [];
  let x = BigInt.asUintN(64, BigInt(v));
  do { const b = Number(x & 127n); x >>= 7n; out.push(x ? b | 128 : b); } while (x);
  return Buffer.from(out);
}
const int = (num, v) => Buffer.concat([varint(num << 3), varint(v)]);
const bytes = (num, b) => Buffer.concat([varint((num << 3) | 2), varint(b.length), b]);
const text = (num, s) => bytes(num, Buffer.from(s));
const f32 = (num, x) => { const b = Buffer.alloc(5); b[0] = (num << 3) | 5; b.writeFloatLE(x, 1); return b; };

function valueInfo(num, name, dims) {
  const shape = Buffer.concat(dims.map((d) => bytes(1, typeof d === 'string' ? text(2, d) : int(1, d))));
  return bytes(num, Buffer.concat([text(1, name), bytes(2, bytes(1, Buffer.concat([int(1, FLOAT), bytes(2, shape)])))]));
}

function attribute(name, v) {
  if (Array.isArray(v)) return bytes(5, Buffer.concat([text(1, name), ...v.map((x) => int(8, x)), int(20, 7)]));
  if (Number.isInteger(v)) return bytes(5, Buffer.concat([text(1, name), int(3, v), int(20, 2)]));
  return bytes(5, Buffer.concat([text(1, name), f32(2, v.float), int(20, 1)]));
}

export class Graph {
  constructor() { this.parts = []; this.count = 0; }

  /** Adds a node; an attribute that is a float is given as {float: x}. Returns the name of its first output. */
  node(op, inputs, attrs = {}, outputs = null) {
    const name = `n${this.count++}`, outs = outputs ?? [`t_${name}`];
    this.parts.push(bytes(1, Buffer.concat([...inputs.map((i) => text(1, i)), ...outs.map((o) => text(2, o)), text(3, name), text(4, op),
      ...Object.entries(attrs).map(([k, v]) => attribute(k, v))])));
    return outs[0];
  }

  floats(name, dims, values) {
    this.parts.push(bytes(5, Buffer.concat([...dims.map((d) => int(1, d)), int(2, FLOAT), text(8, name), bytes(9, Buffer.from(Float32Array.from(values).buffer))])));
    return name;
  }

  ints(name, dims, values) {
    this.parts.push(bytes(5, Buffer.concat([...dims.map((d) => int(1, d)), int(2, INT64), text(8, name), bytes(9, Buffer.from(BigInt64Array.from(values, BigInt).buffer))])));
    return name;
  }

  /** Writes the model of opset 17; inputs and outputs are pairs [name, dims], a dim being a number or a symbol. */
  save(file, inputs, outputs) {
    const graph = Buffer.concat([...this.parts, text(2, 'generated'), ...inputs.map(([n, d]) => valueInfo(11, n, d)), ...outputs.map(([n, d]) => valueInfo(12, n, d))]);
    fs.writeFileSync(file, Buffer.concat([int(1, 8), text(2, 'onnxopt-bench'), bytes(8, Buffer.concat([text(1, ''), int(2, 17)])), bytes(7, graph)]));
  }
}
