#!/usr/bin/env node
// Well-known topologies with seeded weights, in the form that a training framework's exporter gives them without folding
// (BatchNormalization apart, bounds of Clip and shapes as inputs), so that the benchmarks run without any downloaded model.
//   gen_nets.mjs mobilenet_v2|resnet18|encoder OUT.onnx
// Weights are normal with the variance that keeps activations of one size (He); BatchNormalization statistics vary by channel.
import { pathToFileURL } from 'node:url';
import { generator, normal } from '../oracle/seeded.mjs';
import { Graph } from './onnx_write.mjs';

class Net extends Graph {
  constructor(seed) { super(); this.u = generator(seed); this.k = 0; }

  random(dims, sd, mean = 0) {
    const n = dims.reduce((a, d) => a * d, 1);
    return this.floats(`w${this.k++}`, dims, Array.from({ length: n }, () => mean + sd * normal(this.u)));
  }

  conv(x, cin, cout, k, stride = 1, group = 1) {
    const pad = (k - 1) >> 1, w = this.random([cout, cin / group, k, k], Math.sqrt(2 / ((cin / group) * k * k)));
    return this.node('Conv', [x, w], { group, kernel_shape: [k, k], pads: [pad, pad, pad, pad], strides: [stride, stride] });
  }

  norm(x, c) {
    const variance = this.floats(`w${this.k++}`, [c], Array.from({ length: c }, () => 0.5 + this.u()));
    return this.node('BatchNormalization', [x, this.random([c], 0.1, 1), this.random([c], 0.1), this.random([c], 0.1), variance], { epsilon: { float: 1e-5 } });
  }

  relu6(x) {
    if (!this.bounds) this.bounds = [this.floats('zero', [], [0]), this.floats('six', [], [6])];
    return this.node('Clip', [x, ...this.bounds]);
  }

  gemm(x, cin, cout, out) {
    return this.node('Gemm', [x, this.random([cout, cin], Math.sqrt(1 / cin)), this.random([cout], 0.01)], { transB: 1 }, [out]);
  }

  linear(x, cin, cout) {
    return this.node('Add', [this.node('MatMul', [x, this.random([cin, cout], Math.sqrt(1 / cin))]), this.random([cout], 0.01)]);
  }
}

function mobilenetV2(file) {
  const g = new Net(2);
  let x = g.relu6(g.norm(g.conv('input', 3, 32, 3, 2), 32)), c = 32;
  for (const [t, out, repeat, stride] of [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]) {
    for (let i = 0; i < repeat; i++) {
      const hidden = c * t, s = i ? 1 : stride;
      let y = t > 1 ? g.relu6(g.norm(g.conv(x, c, hidden, 1), hidden)) : x;
      y = g.relu6(g.norm(g.conv(y, hidden, hidden, 3, s, hidden), hidden));
      y = g.norm(g.conv(y, hidden, out, 1), out);
      x = s === 1 && c === out ? g.node('Add', [x, y]) : y;
      c = out;
    }
  }
  x = g.relu6(g.norm(g.conv(x, c, 1280, 1), 1280));
  g.gemm(g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 }), 1280, 1000, 'output');
  g.save(file, [['input', ['batch', 3, 224, 224]]], [['output', ['batch', 1000]]]);
}

function resnet18(file) {
  const g = new Net(18);
  let x = g.node('Relu', [g.norm(g.conv('input', 3, 64, 7, 2), 64)]), c = 64;
  x = g.node('MaxPool', [x], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] });
  for (const [out, stride] of [[64, 1], [128, 2], [256, 2], [512, 2]]) {
    for (let i = 0; i < 2; i++) {
      const s = i ? 1 : stride;
      const y = g.norm(g.conv(g.node('Relu', [g.norm(g.conv(x, c, out, 3, s), out)]), out, out, 3), out);
      const side = s > 1 || c !== out ? g.norm(g.conv(x, c, out, 1, s), out) : x;
      x = g.node('Relu', [g.node('Add', [y, side])]);
      c = out;
    }
  }
  g.gemm(g.node('Flatten', [g.node('GlobalAveragePool', [x])], { axis: 1 }), 512, 1000, 'output');
  g.save(file, [['input', ['batch', 3, 224, 224]]], [['output', ['batch', 1000]]]);
}

/** Four transformer blocks over [batch, sequence, 256], whose shapes are computed in the graph as exporters do. */
function encoder(file) {
  const g = new Net(4), d = 256, heads = 4, one = (k) => g.ints(`i${k}`, [1], [k]);
  const axis0 = g.ints('axis0', [1], [0]), idx = [g.ints('idx0', [], [0]), g.ints('idx1', [], [1])], nheads = one(heads), size = one(d / heads), width = one(d);
  let x = 'input';
  for (let b = 0; b < 4; b++) {
    const dim = (v, k) => g.node('Unsqueeze', [g.node('Gather', [g.node('Shape', [v]), idx[k]], { axis: 0 }), axis0]);
    const norm = (v) => g.node('LayerNormalization', [v, g.random([d], 0.1, 1), g.random([d], 0.1)], { axis: -1, epsilon: { float: 1e-5 } });
    const y = norm(x);
    const split = (v, perm) => g.node('Transpose', [g.node('Reshape', [v, g.node('Concat', [dim(x, 0), dim(x, 1), nheads, size], { axis: 0 })])], { perm });
    const q = split(g.linear(y, d, d), [0, 2, 1, 3]), k = split(g.linear(y, d, d), [0, 2, 3, 1]), v = split(g.linear(y, d, d), [0, 2, 1, 3]);
    const score = g.node('Div', [g.node('MatMul', [q, k]), g.floats(`scale${b}`, [], [Math.sqrt(d / heads)])]);
    const mixed = g.node('Transpose', [g.node('MatMul', [g.node('Softmax', [score], { axis: -1 }), v])], { perm: [0, 2, 1, 3] });
    x = g.node('Add', [x, g.linear(g.node('Reshape', [mixed, g.node('Concat', [dim(x, 0), dim(x, 1), width], { axis: 0 })]), d, d)]);
    const h = g.linear(norm(x), d, 4 * d), half = g.floats(`half${b}`, [], [0.5]), root2 = g.floats(`root${b}`, [], [Math.SQRT2]), unit = g.floats(`unit${b}`, [], [1]);
    const gelu = g.node('Mul', [g.node('Mul', [h, g.node('Add', [g.node('Erf', [g.node('Div', [h, root2])]), unit])]), half]);
    x = g.node('Add', [x, g.linear(gelu, 4 * d, d)]);
  }
  g.node('Identity', [x], {}, ['output']);
  g.save(file, [['input', ['batch', 'sequence', d]]], [['output', ['batch', 'sequence', d]]]);
}

const NETS = { mobilenet_v2: mobilenetV2, resnet18, encoder };
export const nets = Object.keys(NETS);

export function makeNet(name, file) {
  if (!NETS[name]) throw new Error(`unknown network ${name}; there are ${nets.join(', ')}`);
  NETS[name](file);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [name, out] = process.argv.slice(2);
  if (!out) { console.error(`usage: gen_nets.mjs ${nets.join('|')} OUT.onnx`); process.exit(2); }
  makeNet(name, out);
}
