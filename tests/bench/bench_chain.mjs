#!/usr/bin/env node
// How the time of `onnxopt IN -o OUT` grows with the number of nodes: chains of 1,000, 10,000 and 100,000 nodes of several kinds.
//   ONNXOPT=build/bin/onnxopt bench_chain.mjs [--kinds keep,drop,…] [--sizes 1000,10000,100000] [--repeat N] [--instructions] [--strict]
// The exponent is the slope of log(processor seconds) over log(nodes) by least squares, after taking off what the process costs on
// a chain of 10 nodes; the last step's slope stands beside it, because it is the one that hides nothing. Each time is the best of
// several runs, and the sizes take turns, so that what else the machine does hits none of them alone. Time per node also holds
// what caches that other processes use cost; --instructions counts instructions (with valgrind, slow) in a second table, which
// nothing disturbs. With --strict the exit status is 1 where an exponent is above 1.1.
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
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

/** Exponents of a cost over sizes, given what a process costs; floored, so that no run gives a logarithm of nothing. */
function exponents(sizes, costs, base, floor) {
  const net = sizes.map((n, i) => [Math.log(n), Math.log(Math.max(floor, costs[i] - base))]);
  return { exponent: slope(net), last: slope(net.slice(-2)) };
}

const TINY = 10; // nodes of the chain that costs as much as the process itself

/** Calls fn(file, n) with a chain of each size, the tiny one first; the files live as long as the call. */
function withChains(kind, sizes, fn) {
  const dir = scratchDir(), all = [TINY, ...sizes], file = (n) => path.join(dir, `${kind}.${n}.onnx`), out = path.join(dir, 'out.onnx');
  for (const n of all) makeChain(kind, n, file(n));
  const result = fn((n) => file(n), all, out);
  for (const f of [...all.map(file), out]) fs.rmSync(f, { force: true });
  return result;
}

function benchKind(kind, sizes, v) {
  return withChains(kind, sizes, (file, all, out) => {
    const best = new Map();
    for (let round = 0; round < Number(v.repeat); round++)
      for (const n of all) {
        const m = measure([onnxopt(), file(n), '-o', out], { repeat: n <= 10000 ? 6 : 1, limit: Number(v.limit) }); // short runs are noisy and cheap
        if (m.fails) return { kind, fails: `${n} nodes: ${m.fails}` };
        const b = best.get(n);
        best.set(n, b ? { ...b, cpu: Math.min(b.cpu, m.cpu), mb: Math.min(b.mb, m.mb) } : { ...m, left: nodeCount(readModel(out)) });
      }
    const runs = sizes.map((n) => best.get(n));
    return { kind, runs, ...exponents(sizes, runs.map((r) => r.cpu), best.get(TINY).cpu, 1e-4) };
  });
}

/** Instructions of one run, counted by valgrind. */
function instructions(argv) {
  const r = spawnSync('valgrind', ['--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null', ...argv], { encoding: 'utf8', maxBuffer: 1 << 27 });
  const found = /I\s+refs:\s+([\d,]+)/.exec(r.stderr ?? '');
  if (r.status !== 0 || !found) throw new Error(`valgrind: ${(r.stderr || String(r.error)).trim().split('\n').pop()}`);
  return Number(found[1].replaceAll(',', ''));
}

function countKind(kind, sizes) {
  return withChains(kind, sizes, (file, all, out) => {
    const [base, ...counts] = all.map((n) => instructions([onnxopt(), file(n), '-o', out]));
    return [kind, ...counts.map((c, i) => fixed((c - base) / sizes[i] / 1000, 1)), ...Object.values(exponents(sizes, counts, base, 1)).map((x) => fixed(x, 3))];
  });
}

await start('bench_chain', () => {
  const { values: v } = parseArgs({ options: { kinds: { type: 'string', default: kinds.join(',') }, sizes: { type: 'string', default: '1000,10000,100000' },
    repeat: { type: 'string', default: '5' }, limit: { type: 'string', default: '120' }, instructions: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false } } });
  const sizes = v.sizes.split(',').map(Number), rows = v.kinds.split(',').map((k) => benchKind(k, sizes, v));
  console.log(`${machine()}; processor seconds, user and system (peak MB) -> nodes left; best of ${v.repeat} rounds\n`);
  console.log(table(['chain', ...sizes.map((n) => `${n} nodes`), 'exponent', 'last step'],
    rows.map((r) => (r.fails ? [r.kind, `fails: ${r.fails}`, ...sizes.slice(1).map(() => ''), '', '']
      : [r.kind, ...r.runs.map((m) => `${fixed(m.cpu, 3)} (${fixed(m.mb, 0)}) -> ${m.left}`), fixed(r.exponent), fixed(r.last)]))));
  const bad = rows.filter((r) => r.fails || !(r.exponent <= BOUND && r.last <= BOUND));
  console.log(`\nexponent at most ${BOUND}: ${rows.length - bad.length} of ${rows.length}${bad.length ? `; not: ${bad.map((r) => r.kind).join(', ')}` : ''}`);
  if (v.instructions) {
    console.log('\nthousands of instructions a node\n');
    console.log(table(['chain', ...sizes.map((n) => `${n} nodes`), 'exponent', 'last step'], v.kinds.split(',').map((k) => countKind(k, sizes))));
  }
  return v.strict && bad.length ? 1 : 0;
});
