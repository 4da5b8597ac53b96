// .npy and .npz files, both ways, for the test oracle: what NumPy writes is read (stored and deflated
// members, zip64), what this writes NumPy reads. An array is {dtype, dims, data}: dtype is ONNX Runtime's
// name of the type, dims an array of integers, data the matching typed array (an array of strings for
// "string"). float16 is carried as its bits in a Uint16Array.
import fs from 'node:fs';
import zlib from 'node:zlib';

const TYPES = [
  // onnxruntime  npy    array
  ['float32', 'f4', Float32Array],
  ['float64', 'f8', Float64Array],
  ['float16', 'f2', Uint16Array],
  ['int8', 'i1', Int8Array],
  ['uint8', 'u1', Uint8Array],
  ['int16', 'i2', Int16Array],
  ['uint16', 'u2', Uint16Array],
  ['int32', 'i4', Int32Array],
  ['uint32', 'u4', Uint32Array],
  ['int64', 'i8', BigInt64Array],
  ['uint64', 'u8', BigUint64Array],
  ['bool', 'b1', Uint8Array],
];
const BY_NAME = new Map(TYPES.map((t) => [t[0], t]));
const BY_NPY = new Map(TYPES.map((t) => [t[1], t]));

export function arrayType(dtype) {
  const t = BY_NAME.get(dtype);
  if (!t) throw new Error(`dtype ${dtype} has no array form`);
  return t[2];
}

export function dtypeKnown(dtype) {
  return BY_NAME.has(dtype) || dtype === 'string';
}

export function count(dims) {
  return dims.reduce((a, d) => a * d, 1);
}

// ---- .npy --------------------------------------------------------------------------------------

/** Text of a header's dictionary entry; the header is a Python literal, of which numpy writes this subset. */
function headerField(text, key, pattern) {
  const m = new RegExp(`['"]${key}['"]\\s*:\\s*${pattern}`).exec(text);
  if (!m) throw new Error(`npy header has no ${key}: ${text.trim()}`);
  return m[1];
}

/** C order from Fortran order, for the few arrays that come so. */
function fromFortran(data, dims) {
  const out = new data.constructor(data.length);
  const n = dims.length;
  const idx = new Array(n).fill(0);
  const stride = new Array(n);
  for (let k = 0, s = 1; k < n; k++) { stride[k] = s; s *= dims[k]; }
  for (let i = 0; i < data.length; i++) {
    let src = 0;
    for (let k = 0; k < n; k++) src += idx[k] * stride[k];
    out[i] = data[src];
    for (let k = n - 1; k >= 0 && ++idx[k] === dims[k]; k--) idx[k] = 0;
  }
  return out;
}

function decodeUnicode(buf, chars, n) {
  const out = [];
  for (let i = 0; i < n; i++) {
    let s = '';
    for (let c = 0; c < chars; c++) {
      const cp = buf.readUInt32LE((i * chars + c) * 4);
      if (cp) s += String.fromCodePoint(cp);
    }
    out.push(s);
  }
  return out;
}

export function parseNpy(buf) {
  if (buf.length < 10 || buf.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error('not a .npy file');
  const wide = buf[6] >= 2;
  const hlen = wide ? buf.readUInt32LE(8) : buf.readUInt16LE(8);
  const start = (wide ? 12 : 10) + hlen;
  if (start > buf.length) throw new Error('npy header is cut short');
  const head = buf.toString('latin1', wide ? 12 : 10, start);
  const descr = headerField(head, 'descr', `['"]([^'"]*)['"]`);
  const fortran = headerField(head, 'fortran_order', '(True|False)') === 'True';
  const dims = headerField(head, 'shape', '\\(([^)]*)\\)').split(',').map((s) => s.trim()).filter(Boolean).map(Number);
  if (!dims.every((d) => Number.isSafeInteger(d) && d >= 0)) throw new Error(`npy shape is not understood: ${head.trim()}`);
  const n = count(dims);
  const text = /^[<=|]U(\d+)$/.exec(descr);
  if (text) {
    if (start + n * 4 * Number(text[1]) > buf.length) throw new Error('npy data is cut short');
    return { dtype: 'string', dims, data: decodeUnicode(buf.subarray(start), Number(text[1]), n) };
  }
  const t = BY_NPY.get(descr.replace(/^[<=|]/, ''));
  if (!t) throw new Error(`npy type ${descr} is not supported`);
  const bytes = n * t[2].BYTES_PER_ELEMENT;
  if (start + bytes > buf.length) throw new Error('npy data is cut short');
  const own = new Uint8Array(bytes);
  own.set(buf.subarray(start, start + bytes));
  const data = new t[2](own.buffer);
  return { dtype: t[0], dims, data: fortran && dims.length > 1 ? fromFortran(data, dims) : data };
}

export function formatNpy({ dtype, dims, data }) {
  let descr, body;
  if (dtype === 'string') {
    const pts = Array.from(data, (s) => Array.from(String(s), (c) => c.codePointAt(0)));
    const w = Math.max(1, ...pts.map((p) => p.length));
    body = Buffer.alloc(pts.length * w * 4);
    pts.forEach((p, i) => p.forEach((cp, c) => body.writeUInt32LE(cp, (i * w + c) * 4)));
    descr = `<U${w}`;
  } else {
    const t = BY_NAME.get(dtype);
    if (!t) throw new Error(`dtype ${dtype} cannot be written to .npy`);
    descr = (t[2].BYTES_PER_ELEMENT > 1 ? '<' : '|') + t[1];
    body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    if (body.length !== count(dims) * t[2].BYTES_PER_ELEMENT) throw new Error('array data does not match its dims');
  }
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const pad = (64 - ((10 + dict.length + 1) % 64)) % 64;
  const head = Buffer.alloc(10 + dict.length + pad + 1, ' ');
  head.write('\x93NUMPY\x01\x00', 0, 'latin1');
  head.writeUInt16LE(head.length - 10, 8);
  head.write(dict, 10, 'latin1');
  head[head.length - 1] = 10;
  return [head, body];
}

// ---- .npz: a zip file of .npy members ----------------------------------------------------------

const CRC = (() => {
  const t = new Int32Array(256);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    t[i] = c;
  }
  return t;
})();

function crc32(bufs) {
  if (zlib.crc32) return bufs.reduce((c, b) => zlib.crc32(b, c), 0) >>> 0;
  let c = -1;
  for (const b of bufs) for (let i = 0; i < b.length; i++) c = (c >>> 8) ^ CRC[(c ^ b[i]) & 255];
  return ~c >>> 0;
}

/** Sizes and offset of a central directory entry, from its zip64 field where the short ones are full. */
function zip64(entry, extra) {
  for (let p = 0; p + 4 <= extra.length; p += 4 + extra.readUInt16LE(p + 2)) {
    if (extra.readUInt16LE(p) !== 1) continue;
    let q = p + 4;
    for (const k of ['size', 'packed', 'offset']) {
      if (entry[k] === 0xffffffff) { entry[k] = Number(extra.readBigUInt64LE(q)); q += 8; }
    }
  }
}

function members(buf) {
  let e = buf.length - 22;
  while (e >= 0 && buf.readUInt32LE(e) !== 0x06054b50) e--;
  if (e < 0) throw new Error('not a zip file');
  let n = buf.readUInt16LE(e + 10), p = buf.readUInt32LE(e + 16);
  if ((n === 0xffff || p === 0xffffffff) && e >= 20 && buf.readUInt32LE(e - 20) === 0x07064b50) {
    const f = Number(buf.readBigUInt64LE(e - 20 + 8));
    n = Number(buf.readBigUInt64LE(f + 32));
    p = Number(buf.readBigUInt64LE(f + 48));
  }
  const out = [];
  for (let i = 0; i < n; i++) {
    if (buf.readUInt32LE(p) !== 0x02014b50) throw new Error('zip directory is damaged');
    const nl = buf.readUInt16LE(p + 28), xl = buf.readUInt16LE(p + 30), cl = buf.readUInt16LE(p + 32);
    const entry = {
      method: buf.readUInt16LE(p + 10), packed: buf.readUInt32LE(p + 20), size: buf.readUInt32LE(p + 24),
      offset: buf.readUInt32LE(p + 42), name: buf.toString('utf8', p + 46, p + 46 + nl),
    };
    zip64(entry, buf.subarray(p + 46 + nl, p + 46 + nl + xl));
    out.push(entry);
    p += 46 + nl + xl + cl;
  }
  return out;
}

export function parseNpz(buf) {
  const out = new Map();
  for (const m of members(buf)) {
    if (!m.name.endsWith('.npy')) continue;
    const start = m.offset + 30 + buf.readUInt16LE(m.offset + 26) + buf.readUInt16LE(m.offset + 28);
    const packed = buf.subarray(start, start + m.packed);
    if (m.method !== 0 && m.method !== 8) throw new Error(`zip method ${m.method} is not supported`);
    out.set(m.name.slice(0, -4), parseNpy(m.method ? zlib.inflateRawSync(packed) : packed));
  }
  return out;
}

/** Writes the members of a Map (or pairs) name -> array, stored, to a file. The time stamp is fixed: equal arrays, equal bytes. */
export function writeNpz(file, arrays) {
  const fd = fs.openSync(file, 'w');
  try {
    const dir = [];
    let at = 0, n = 0;
    const put = (b) => { for (let o = 0; o < b.length;) o += fs.writeSync(fd, b, o); at += b.length; };
    for (const [name, a] of arrays) {
      const body = formatNpy(a), size = body[0].length + body[1].length, id = Buffer.from(name + '.npy', 'utf8');
      if (at + size > 0xfffffffe) throw new Error(`${file}: archives over 4 GB are not written`);
      const fix = Buffer.alloc(26);
      fix.writeUInt16LE(20, 0); fix.writeUInt16LE(0x0800, 2); fix.writeUInt16LE(33, 8);
      fix.writeUInt32LE(crc32(body), 10); fix.writeUInt32LE(size, 14); fix.writeUInt32LE(size, 18); fix.writeUInt16LE(id.length, 22);
      const tail = Buffer.alloc(14);
      tail.writeUInt32LE(at, 10);
      dir.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fix, tail, id);
      put(Buffer.from('PK\x03\x04', 'latin1')); put(fix); put(id); put(body[0]); put(body[1]);
      n++;
    }
    const start = at, list = Buffer.concat(dir), end = Buffer.alloc(22);
    put(list);
    end.write('PK\x05\x06', 'latin1'); end.writeUInt16LE(n, 8); end.writeUInt16LE(n, 10);
    end.writeUInt32LE(list.length, 12); end.writeUInt32LE(start, 16);
    put(end);
  } finally {
    fs.closeSync(fd);
  }
}

/** A .npz as its Map; a .npy as a Map with the one member `name`. */
export function readArrays(file, name = 'arr_0') {
  const buf = fs.readFileSync(file);
  if (buf.length >= 2 && buf.toString('latin1', 0, 2) === 'PK') return parseNpz(buf);
  return new Map([[name, parseNpy(buf)]]);
}

// ---- numbers -----------------------------------------------------------------------------------

const F32 = new Float32Array(1), U32 = new Uint32Array(F32.buffer);

export function halfToNumber(h) {
  const s = h & 0x8000 ? -1 : 1, e = (h >> 10) & 31, m = h & 1023;
  if (e === 31) return m ? NaN : s * Infinity;
  return e ? s * 2 ** (e - 15) * (1 + m / 1024) : s * 2 ** -24 * m;
}

/** Nearest half, ties to even. */
export function numberToHalf(x) {
  F32[0] = x;
  const u = U32[0], s = (u >>> 16) & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000) return s | 0x7e00;
  const v = Math.abs(F32[0]);
  if (v >= 65520) return s | 0x7c00;
  const e = Math.max(-14, Math.floor(Math.log2(v || 2 ** -24)));
  const q = v / 2 ** (e - 10), f = Math.floor(q), d = q - f;
  const r = f + (d > 0.5 || (d === 0.5 && f % 2) ? 1 : 0);
  return s | (r >= 1024 ? ((e + 15) << 10) + (r - 1024) : r);
}

/** The elements as a Float64Array (or the strings themselves). 64-bit integers beyond 2^53 are rounded. */
export function toNumbers(a) {
  if (a.dtype === 'string') return a.data;
  const out = new Float64Array(a.data.length);
  const f = a.dtype === 'float16' ? halfToNumber : Number;
  for (let i = 0; i < out.length; i++) out[i] = f(a.data[i]);
  return out;
}

/** The array of `dtype` with these numbers. */
export function fromNumbers(dtype, dims, numbers) {
  const T = arrayType(dtype), data = new T(numbers.length);
  const f = dtype === 'float16' ? numberToHalf : dtype.endsWith('int64') ? (x) => BigInt(Math.trunc(x)) : dtype === 'bool' ? (x) => (x ? 1 : 0) : (x) => x;
  for (let i = 0; i < data.length; i++) data[i] = f(numbers[i]);
  return { dtype, dims, data };
}
