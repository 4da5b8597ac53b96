#!/usr/bin/env node
// Which models the checks and the accuracy table take in full: those without an operator outside the operator set.
//   slice.mjs MODEL.onnx...      prints a line of JSON a model: {"model", "nodes", "ops": {name: count}, "outside": [name, ...]}
import { pathToFileURL } from 'node:url';
import { allNodes, nodeCount, opHistogram, opName, readModel } from './onnx_lite.mjs';

// What the current operator set leaves out: such a model is still optimized and compared (the operator must survive),
// but not run by the reference executor and not quantized. Operators of other domains are outside too.
const OUTSIDE = new Set(['LSTM', 'GRU', 'RNN', 'If', 'Loop', 'Scan', // recurrent and control flow
  'Affine', 'Crop', 'ImageScaler']); // experimental operators that the standard dropped in opset 8

/** The operators of a model that are outside, by name. */
export function outside(model) {
  const found = new Set();
  for (const n of allNodes(model)) if (n.domain || OUTSIDE.has(n.op)) found.add(opName(n));
  return [...found];
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const file of process.argv.slice(2)) {
    const m = readModel(file);
    console.log(JSON.stringify({ model: file, nodes: nodeCount(m), ops: Object.fromEntries(opHistogram(m)), outside: outside(m) }));
  }
}
