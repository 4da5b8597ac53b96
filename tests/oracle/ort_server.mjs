#!/usr/bin/env node
// A persistent ONNX Runtime for tests: one JSON request a line on stdin, one JSON answer a line on stdout.
//   {"id":1, "model":"m.onnx", "inputs":"in.npz", "output":"out.npz", "threads":1}
//   {"id":2, "model":"m.onnx", "inputs":{"x":"x.npy","ids":{"seed":7,"dtype":"int64","dims":[1,16],"low":0,"high":100}}}
//   {"id":3, "op":"info", "model":"m.onnx"}        {"op":"close"}        {"op":"quit"}
// "inputs" may be absent: then every input is made from "seed" (0), symbolic dims taken as "dim" (1).
// Answers: {"id":1,"ok":true,"outputs":{"y":{"dtype":"float32","dims":[1,10],"min":…,"max":…}},"ms":…} or
// {"id":1,"ok":false,"error":"…"}. Whatever a request does wrong is answered, and the server lives on.
import readline from 'node:readline';
import { SessionCache } from './ort.mjs';
import { readArrays, writeNpz, toNumbers } from './npz.mjs';
import { seededArray } from './seeded.mjs';

function gather(session, req) {
  const out = new Map();
  if (typeof req.inputs === 'string') {
    // A lone .npy, or an .npz whose one member has numpy's default name, is the model's one input.
    const got = readArrays(req.inputs), names = session.inputs.map((i) => i.name);
    if (got.size === 1 && names.length === 1 && !got.has(names[0])) return new Map([[names[0], [...got.values()][0]]]);
    for (const [n, a] of got) if (names.includes(n)) out.set(n, a);
    for (const n of names) if (!out.has(n)) throw new Error(`no array for input ${n} in ${req.inputs} (it has ${[...got.keys()].join(', ')})`);
    return out;
  }
  const given = req.inputs || {};
  session.inputs.forEach((input, k) => {
    const g = given[input.name];
    if (typeof g === 'string') {
      const got = readArrays(g, input.name);
      out.set(input.name, got.get(input.name) ?? [...got.values()][0]);
      return;
    }
    if (!input.dtype) throw new Error(`input ${input.name} is not a tensor`);
    const dims = g?.dims || input.dims.map((d) => (typeof d === 'number' && d >= 0 ? d : req.dim ?? 1));
    out.set(input.name, seededArray({ seed: (req.seed ?? 0) + k, dtype: input.dtype, ...g, dims }));
  });
  return out;
}

function summary(outputs) {
  const o = {};
  for (const [name, a] of outputs) {
    const e = { dtype: a.dtype, dims: a.dims };
    if (a.dtype !== 'string' && a.data.length) {
      let lo = Infinity, hi = -Infinity, nan = 0;
      for (const x of toNumbers(a)) {
        if (Number.isNaN(x)) nan++;
        else { if (x < lo) lo = x; if (x > hi) hi = x; }
      }
      // JSON has no infinities; as text they stay visible.
      e.min = Number.isFinite(lo) ? lo : String(lo);
      e.max = Number.isFinite(hi) ? hi : String(hi);
      if (nan) e.nan = nan;
    }
    o[name] = e;
  }
  return o;
}

async function serve(cache, req) {
  if (req.op === 'close') { await cache.close(); return {}; }
  if (typeof req.model !== 'string') throw new Error('request has no model');
  const options = { threads: req.threads ?? 1, level: req.level ?? 'all' };
  const session = await cache.get(req.model, options);
  if (req.op === 'info') return { inputs: session.inputs, outputs: session.outputs };
  if (req.op !== undefined && req.op !== 'run') throw new Error(`unknown op ${req.op}`);
  const inputs = gather(session, req);
  const repeat = Math.max(1, req.repeat ?? 1);
  let best = Infinity, outputs;
  for (let i = 0; i < repeat; i++) {
    const t = process.hrtime.bigint();
    outputs = await session.run(inputs);
    best = Math.min(best, Number(process.hrtime.bigint() - t) / 1e6);
  }
  if (req.inputs_output) writeNpz(req.inputs_output, inputs);
  if (req.output) writeNpz(req.output, outputs);
  return { outputs: summary(outputs), ms: best };
}

const cache = new SessionCache();
for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (!line.trim()) continue;
  let req = null, answer;
  try {
    req = JSON.parse(line);
    if (req.op === 'quit') break;
    answer = { id: req.id, ok: true, ...(await serve(cache, req)) };
  } catch (e) {
    answer = { id: req?.id, ok: false, error: String(e?.message ?? e) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
await cache.close();
