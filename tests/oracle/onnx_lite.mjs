// Just enough of ONNX's protobuf for tests to look at a model independently of the project's own reader: operators,
// node counts, graph inputs, shapes of initializers, integer attributes, and .pb tensors.
// It trusts its input (the test's own models) and leaves weights where they are in the buffer.
import fs from 'node:fs';
import { arrayType, count } from './npz.mjs';

/** ONNX's data_type numbers as ONNX Runtime names them; only those that have an array form here. */
export const DTYPES = {
  1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 8: 'string', 9: 'bool',
  10: 'float16', 11: 'float64', 12: 'uint32', 13: 'uint64',
};

/** Fields of a message: {num, int} for varints (BigInt), {num, bytes} otherwise. */
function* fields(buf) {
  let p = 0;
  const varint = () => {
    let v = 0n, shift = 0n;
    for (;;) {
      if (p >= buf.length) throw new Error('protobuf is cut short');
      const b = buf[p++];
      v |= BigInt(b & 127) << shift;
      if (b < 128) return v;
      shift += 7n;
    }
  };
  while (p < buf.length) {
    const key = Number(varint()), num = key >>> 3, wire = key & 7;
    if (wire === 0) { yield { num, int: varint() }; continue; }
    let n;
    if (wire === 2) n = Number(varint());
    else if (wire === 5) n = 4;
    else if (wire === 1) n = 8;
    else throw new Error(`protobuf wire type ${wire}`);
    if (p + n > buf.length) throw new Error('protobuf is cut short');
    yield { num, wire, bytes: buf.subarray(p, p + n) };
    p += n;
  }
}

const text = (b) => Buffer.from(b.buffer, b.byteOffset, b.length).toString('utf8');
const signed = (v) => Number(BigInt.asIntN(64, v));

/** A repeated integer field, packed or not. */
function pushInts(list, f) {
  if (f.int !== undefined) { list.push(BigInt.asIntN(64, f.int)); return; }
  let v = 0n, shift = 0n;
  for (const b of f.bytes) {
    v |= BigInt(b & 127) << shift;
    shift += 7n;
    if (b < 128) { list.push(BigInt.asIntN(64, v)); v = 0n; shift = 0n; }
  }
}

/** {name, type (ONNX number), dims, raw, ints, floats (bytes), external}: the header of a TensorProto and where its data is. */
export function tensorHeader(buf) {
  const t = { name: '', type: 0, dims: [], raw: null, ints: [], floats: [], doubles: [], strings: [], external: false };
  for (const f of fields(buf)) {
    if (f.num === 1) pushInts(t.dims, f);
    else if (f.num === 2) t.type = Number(f.int);
    else if (f.num === 8) t.name = text(f.bytes);
    else if (f.num === 9) t.raw = f.bytes;
    else if (f.num === 4) t.floats.push(f.bytes);
    else if (f.num === 10) t.doubles.push(f.bytes);
    else if (f.num === 5 || f.num === 7 || f.num === 11) pushInts(t.ints, f);
    else if (f.num === 6) t.strings.push(text(f.bytes));
    else if (f.num === 14) t.external = Number(f.int) === 1;
  }
  t.dims = t.dims.map(Number);
  return t;
}

/** The array of a TensorProto (as in test_data_set_0/input_0.pb), with its name. */
export function tensorArray(buf) {
  const t = tensorHeader(buf), dtype = DTYPES[t.type];
  if (!dtype || t.external) throw new Error(`tensor ${t.name}: type ${t.type} is not read here`);
  if (dtype === 'string') return { name: t.name, dtype, dims: t.dims, data: t.strings };
  const T = arrayType(dtype), n = count(t.dims);
  const bytes = t.raw ?? (t.floats.length ? Buffer.concat(t.floats) : t.doubles.length ? Buffer.concat(t.doubles) : null);
  if (bytes) {
    const own = new Uint8Array(n * T.BYTES_PER_ELEMENT);
    own.set(bytes.subarray(0, own.length));
    return { name: t.name, dtype, dims: t.dims, data: new T(own.buffer) };
  }
  const data = new T(n), wide = T === BigInt64Array || T === BigUint64Array;
  for (let i = 0; i < n; i++) data[i] = wide ? (t.ints[i] ?? 0n) : Number(t.ints[i] ?? 0n);
  return { name: t.name, dtype, dims: t.dims, data };
}

function readValueInfo(buf) {
  const v = { name: '', type: 0, dims: null };
  for (const f of fields(buf)) {
    if (f.num === 1) v.name = text(f.bytes);
    if (f.num !== 2) continue;
    for (const t of fields(f.bytes)) {
      if (t.num !== 1) continue;
      for (const e of fields(t.bytes)) {
        if (e.num === 1) v.type = Number(e.int);
        if (e.num !== 2) continue;
        v.dims = [];
        for (const d of fields(e.bytes)) {
          let dim = null;
          for (const x of fields(d.bytes)) dim = x.num === 1 ? signed(x.int) : x.num === 2 ? text(x.bytes) : dim;
          v.dims.push(dim);
        }
      }
    }
  }
  return v;
}

function readNode(buf) {
  const n = { op: '', domain: '', name: '', inputs: [], outputs: [], attrs: {}, graphs: [], tensors: {} };
  for (const f of fields(buf)) {
    if (f.num === 1) n.inputs.push(text(f.bytes));
    else if (f.num === 2) n.outputs.push(text(f.bytes));
    else if (f.num === 3) n.name = text(f.bytes);
    else if (f.num === 4) n.op = text(f.bytes);
    else if (f.num === 7) n.domain = text(f.bytes);
    else if (f.num === 5) {
      let key = '', value = null;
      for (const a of fields(f.bytes)) {
        if (a.num === 1) key = text(a.bytes);
        else if (a.num === 3) value = signed(a.int);
        else if (a.num === 5) value = { tensor: tensorHeader(a.bytes) };
        else if (a.num === 6 || a.num === 11) n.graphs.push(readGraph(a.bytes));
      }
      n.attrs[key] = value;
    }
  }
  if (n.domain === 'ai.onnx') n.domain = '';
  return n;
}

function readGraph(buf) {
  const g = { nodes: [], inputs: [], outputs: [], initializers: new Map() };
  for (const f of fields(buf)) {
    if (f.num === 1) g.nodes.push(readNode(f.bytes));
    else if (f.num === 5) { const t = tensorHeader(f.bytes); g.initializers.set(t.name, t); }
    else if (f.num === 11) g.inputs.push(readValueInfo(f.bytes));
    else if (f.num === 12) g.outputs.push(readValueInfo(f.bytes));
  }
  return g;
}

/** The model's graph, opsets and functions. */
export function readModel(file) {
  const m = { ir: 0, opsets: {}, graph: null, functions: [] };
  for (const f of fields(fs.readFileSync(file))) {
    if (f.num === 1) m.ir = Number(f.int);
    else if (f.num === 7) m.graph = readGraph(f.bytes);
    else if (f.num === 8) {
      let domain = '', version = 0;
      for (const o of fields(f.bytes)) { if (o.num === 1) domain = text(o.bytes); else if (o.num === 2) version = signed(o.int); }
      m.opsets[domain === 'ai.onnx' ? '' : domain] = version;
    } else if (f.num === 25) {
      const fn = { nodes: [] };
      for (const o of fields(f.bytes)) if (o.num === 7) fn.nodes.push(readNode(o.bytes));
      m.functions.push(fn);
    }
  }
  if (!m.graph) throw new Error(`${file}: no graph`);
  return m;
}

/** Every node, those of subgraphs and functions included. */
export function* allNodes(model) {
  const walk = function* (nodes) {
    for (const n of nodes) { yield n; for (const g of n.graphs) yield* walk(g.nodes); }
  };
  yield* walk(model.graph.nodes);
  for (const f of model.functions) yield* walk(f.nodes);
}

/** Nodes of all graphs that are not Constant: the figure that peers are compared by. */
export function nodeCount(model) {
  let n = 0;
  for (const node of allNodes(model)) n += node.op !== 'Constant';
  return n;
}

export const opName = (n) => (n.domain ? `${n.domain}::${n.op}` : n.op);

/** Map operator -> how many, over all graphs. */
export function opHistogram(model) {
  const h = new Map();
  for (const n of allNodes(model)) h.set(opName(n), (h.get(opName(n)) ?? 0) + 1);
  return h;
}

/**
 * For a graph input of integers: the number of rows of the smallest table that it indexes (a Gather from constant data),
 * followed through operators that keep the values; null where it indexes nothing known.
 */
export function indexLimit(graph, inputName) {
  const keeps = new Set(['Cast', 'Identity', 'Reshape', 'Unsqueeze', 'Squeeze', 'Flatten', 'Transpose', 'Expand', 'Tile', 'Slice', 'Concat']);
  const shape = new Map([...graph.initializers].map(([k, t]) => [k, t.dims]));
  for (const n of graph.nodes) if (n.op === 'Constant' && n.attrs.value?.tensor) shape.set(n.outputs[0], n.attrs.value.tensor.dims);
  const carries = new Set([inputName]);
  let limit = null;
  for (const n of graph.nodes) {
    if (n.op === 'Gather' && carries.has(n.inputs[1]) && shape.has(n.inputs[0])) {
      const dims = shape.get(n.inputs[0]), axis = n.attrs.axis ?? 0;
      const rows = dims[axis < 0 ? axis + dims.length : axis];
      limit = limit === null ? rows : Math.min(limit, rows);
    }
    // An index of 0 or above stays so through Slice or Concat; only operand 0 carries values for the shape operators.
    if (keeps.has(n.op) && (carries.has(n.inputs[0]) || (n.op === 'Concat' && n.inputs.some((x) => carries.has(x))))) carries.add(n.outputs[0]);
  }
  return limit;
}
