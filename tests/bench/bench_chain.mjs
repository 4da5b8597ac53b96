#!/usr/bin/env node
// How the time of `onnxopt IN -o OUT` grows with the number of nodes: chains of 1,000, 10,000 and 100,000 nodes of several kinds.
//   ONNXOPT=build/bin/onnxopt bench_chain.mjs [--kinds keep,drop,…] [--sizes 1000,10000,100000] [--repeat N] [--strict]
// The exponent is the slope of log(processor seconds) over log(nodes) by least squares, after taking off what the process costs on
// a chain of 10 nodes; the last step's slope stands beside it, because it is the one that hides nothing. Short runs are noisy: each
// is the best of N, and of more where it is short. With --strict the exit status is 1 where an exponent is above 1.1.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { nodeCount, readModel } from '../oracle/onnx_lite.mjs';
import { fixed, machine, measure, onnxopt, scratchDir, start, table } from './bench_common.mjs';
import { kinds, makeChain } from './gen_chain.mjs';

const BOUND = 1.1;

function slope(points) {
  const n = points.length, mx = points.reduce((a, p) => a + p[0], 0) / n, my = points.reduce((a, p) => a + p[1], 0) / n;
  let xy = 0, xx = 0;
  for (const [x, y] of points) { xy += (x - mx) * (y - my); xx += (x - mx) ** 2; }
  return xy / xx;
}

function benchKind(kind, sizes, v) {
  const dir = scratchDir(), out = path.join(dir, 'out.onnx');
  const cost = (n, repeat) => {
    const file = path.join(dir, `${kind}.${n}.onnx`);
    makeChain(kind, n, file);
    const m = measure([onnxopt(), file, '-o', out], { repeat, limit: Number(v.limit) });
    const left = m.fails ? null : nodeCount(readModel(out));
    fs.rmSync(file);
    fs.rmSync(out, { force: true });
    return { ...m, n, left };
  };
  const repeats = (n) => Math.max(Number(v.repeat), Math.min(20, Math.round(20000 / n))); // short runs are noisy and cheap
  const base = cost(10, 20), runs = sizes.map((n) => cost(n, repeats(n)));
  const fail = [base, ...runs].find((r) => r.fails);
  if (fail) return { kind, fails: `${fail.n} nodes: ${fail.fails}` };
  // A floor of 0.1 ms keeps a run that costs no more than the process itself from giving a logarithm of nothing.
  const net = runs.map((r) => [Math.log(r.n), Math.log(Math.max(1e-4, r.cpu - base.cpu))]);
  return { kind, runs, exponent: slope(net), last: slope(net.slice(-2)) };
}

await start('bench_chain', () => {
  const { values: v } = parseArgs({ options: { kinds: { type: 'string', default: kinds.join(',') }, sizes: { type: 'string', default: '1000,10000,100000' },
    repeat: { type: 'string', default: '3' }, limit: { type: 'string', default: '120' }, strict: { type: 'boolean', default: false } } });
  const sizes = v.sizes.split(',').map(Number), rows = v.kinds.split(',').map((k) => benchKind(k, sizes, v));
  console.log(`${machine()}; processor seconds (peak MB) -> nodes left; best of ${v.repeat}\n`);
  console.log(table(['chain', ...sizes.map((n) => `${n} nodes`), 'exponent', 'last step'],
    rows.map((r) => (r.fails ? [r.kind, `fails: ${r.fails}`, ...sizes.slice(1).map(() => ''), '', '']
      : [r.kind, ...r.runs.map((m) => `${fixed(m.cpu, 3)} (${fixed(m.mb, 0)}) -> ${m.left}`), fixed(r.exponent), fixed(r.last)]))));
  const bad = rows.filter((r) => r.fails || !(r.exponent <= BOUND && r.last <= BOUND));
  console.log(`\nexponent at most ${BOUND}: ${rows.length - bad.length} of ${rows.length}${bad.length ? `; not: ${bad.map((r) => r.kind).join(', ')}` : ''}`);
  return v.strict && bad.length ? 1 : 0;
});
