#!/usr/bin/env node
// Synthetic models of N nodes in one line, as ONNX files, for measuring how time grows with size.
//   gen_chain.mjs KIND N OUT.onnx
// Kinds, by what an optimizer finds in them:
//   keep     Sigmoid, Tanh, Sigmoid …: nothing to do
//   drop     Identity and Neg by turns: every Identity goes, and pairs of Neg may
//   cancel   pairs of Transposes that undo each other: all go
//   fold     Add of two constants, its result Added to a constant, …, at last added to the input: one node is left
//   fuse     Conv, BatchNormalization, Relu …: two nodes a block are left
//   share    N/2 equal Sigmoids of the input, summed up in a line: one Sigmoid is left
import { pathToFileURL } from 'node:url';
import { Graph } from './onnx_write.mjs';

/** A line of n one-input nodes from x to y; `make(k, from, to)` adds node k. */
function line(n, make) {
  for (let k = 0; k < n; k++) make(k, k ? `t${k - 1}` : 'x', k === n - 1 ? 'y' : `t${k}`);
}

// Each adds its nodes to g and returns the dims of x and y.
const KINDS = {
  keep(g, n) {
    line(n, (k, a, b) => g.node(k % 2 ? 'Tanh' : 'Sigmoid', [a], {}, [b]));
    return [1, 4];
  },
  drop(g, n) {
    line(n, (k, a, b) => g.node(k % 2 ? 'Neg' : 'Identity', [a], {}, [b]));
    return [1, 4];
  },
  cancel(g, n) {
    line(n - (n % 2), (k, a, b) => g.node('Transpose', [a], { perm: [1, 0] }, [b]));
    return [2, 3];
  },
  fold(g, n) {
    g.floats('c', [1, 4], [1, 2, 3, 4]);
    g.node('Add', ['c', 'c'], {}, ['f0']);
    for (let k = 1; k < n - 1; k++) g.node('Add', [`f${k - 1}`, 'c'], {}, [`f${k}`]);
    g.node('Add', ['x', `f${n - 2}`], {}, ['y']);
    return [1, 4];
  },
  fuse(g, n) {
    ['s', 'b', 'm', 'v'].forEach((name, k) => g.floats(name, [4], [1, 2, 3, 4].map((q) => (q + k) / 4)));
    line(n - (n % 3), (k, a, b) => {
      if (k % 3 === 1) g.node('BatchNormalization', [a, 's', 'b', 'm', 'v'], { epsilon: { float: 1e-5 } }, [b]);
      else if (k % 3 === 2) g.node('Relu', [a], {}, [b]);
      else g.node('Conv', [a, g.floats(`w${k}`, [4, 4, 1, 1], Array.from({ length: 16 }, (_, q) => ((q * 7 + k) % 11) / 20 - 0.25))], {}, [b]);
    });
    return [1, 4, 2, 2];
  },
  share(g, n) {
    const h = Math.max(2, Math.floor(n / 2));
    for (let k = 0; k < h; k++) g.node('Sigmoid', ['x'], {}, [`s${k}`]);
    for (let k = 0; k < h - 1; k++) g.node('Add', [k ? `a${k - 1}` : 's0', `s${k + 1}`], {}, [k === h - 2 ? 'y' : `a${k}`]);
    return [1, 4];
  },
};

export const kinds = Object.keys(KINDS);

/** Writes the model; every kind maps input x to output y of the same shape. */
export function makeChain(kind, n, file) {
  if (!KINDS[kind]) throw new Error(`unknown kind ${kind}; there are ${kinds.join(', ')}`);
  const g = new Graph(), dims = KINDS[kind](g, n);
  g.save(file, [['x', dims]], [['y', dims]]);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [kind, n, out] = process.argv.slice(2);
  if (!out) { console.error(`usage: gen_chain.mjs ${kinds.join('|')} N OUT.onnx`); process.exit(2); }
  makeChain(kind, Number(n), out);
}
