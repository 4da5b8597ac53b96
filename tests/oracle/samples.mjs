// Seeded inputs for a model.
//
// Where the model comes with test_data_set_0, seed 0 is that set; seeds 1 and up perturb it: floats get noise of a tenth
// of the array's standard deviation (or of 0.1, where it is constant), integers and bools are shuffled, so that token ids,
// masks and flags stay legal. Otherwise floats are drawn from a distribution that changes with the seed (unit normal, pixels
// of 0..255, 0..1, -1..1, a wide normal), and integers from the rows of the table they index, else bytes, else 0..1.
// Symbolic dims get small sizes: plans are tried in turn until ONNX Runtime accepts the original model with them.
import fs from 'node:fs';
import path from 'node:path';
import { fromNumbers, toNumbers } from './npz.mjs';
import { DTYPES, indexLimit, tensorArray } from './onnx_lite.mjs';
import { generator, normal, seededArray } from './seeded.mjs';

const FLOAT_RANGES = [{}, { low: 0, high: 255 }, { low: 0, high: 1 }, { low: -1, high: 1 }, { scale: 3 }];

/** Sizes of symbolic dims: of the batch (axis 0) by seed, of sequences, of image sides. */
const PLANS = [
  { batch: (s) => 1 + (s % 3), sequence: (s) => 8 + 4 * (s % 3), side: () => 64 },
  { batch: () => 1, sequence: (s) => 8 + 4 * (s % 3), side: () => 64 },
  { batch: () => 1, sequence: () => 16, side: () => 224 },
  { batch: () => 1, sequence: () => 1, side: () => 32 },
  { batch: () => 1, sequence: () => 512, side: () => 96 },
];

/** The graph's real inputs: older files list initializers among them. */
export function realInputs(model) {
  return model.graph.inputs.filter((v) => !model.graph.initializers.has(v.name));
}

function dimsOf(input, plan, seed) {
  return (input.dims ?? []).map((d, axis) => {
    if (typeof d === 'number' && d >= 0) return d;
    // One symbolic name is one size in all inputs, because the size depends on the role alone.
    if (axis === 0) return plan.batch(seed);
    return input.dims.length === 4 && axis >= 2 && input.dims[1] > 0 && input.dims[1] <= 4 ? plan.side(seed) : plan.sequence(seed);
  });
}

function fromScratch(model, plan, seed) {
  const out = new Map();
  realInputs(model).forEach((input, k) => {
    const dtype = DTYPES[input.type];
    if (!dtype || dtype === 'string') throw new Error(`input ${input.name} has a type that is not generated`);
    const spec = { seed: 1000 * (seed + 1) + k, dtype, dims: dimsOf(input, plan, seed) };
    if (dtype.startsWith('float')) {
      const { scale = 1, ...range } = FLOAT_RANGES[seed % FLOAT_RANGES.length];
      const a = seededArray({ ...spec, ...range });
      out.set(input.name, scale === 1 ? a : fromNumbers(dtype, a.dims, toNumbers(a).map((x) => x * scale)));
    } else {
      const high = indexLimit(model.graph, input.name) ?? (dtype === 'uint8' ? 256 : 2);
      out.set(input.name, seededArray({ ...spec, low: 0, high }));
    }
  });
  return out;
}

/** The arrays of test_data_set_0, or null. Files are numbered in the order of the inputs. */
export function readTestData(folder, model) {
  const dir = path.join(folder, 'test_data_set_0');
  if (!fs.existsSync(dir)) return null;
  const out = new Map();
  for (const [k, input] of realInputs(model).entries()) {
    const file = path.join(dir, `input_${k}.pb`);
    if (!fs.existsSync(file)) return null;
    const { dtype, dims, data } = tensorArray(fs.readFileSync(file));
    out.set(input.name, { dtype, dims, data });
  }
  return out;
}

function shuffled(a, u) {
  const data = a.data.slice();
  for (let i = data.length - 1; i > 0; i--) {
    const j = Math.floor(u() * (i + 1));
    [data[i], data[j]] = [data[j], data[i]];
  }
  return { ...a, data };
}

function noisy(a, u) {
  const x = toNumbers(a);
  let sum = 0, square = 0;
  for (const v of x) { sum += v; square += v * v; }
  const n = Math.max(1, x.length), sd = Math.sqrt(Math.max(0, square / n - (sum / n) ** 2)), amp = sd > 0 ? 0.1 * sd : 0.1;
  return fromNumbers(a.dtype, a.dims, x.map((v) => v + amp * normal(u)));
}

function perturbed(base, seed) {
  if (seed === 0) return base;
  const out = new Map();
  let k = 0;
  for (const [name, a] of base) {
    const u = generator(1000 * (seed + 1) + k++);
    out.set(name, a.dtype.startsWith('float') ? noisy(a, u) : shuffled(a, u));
  }
  return out;
}

/** Inputs of seed 0 where the symbolic dims have these sizes by name ({seq: 64}); others are 1. */
export function sampleOfDims(model, sizes) {
  const named = new Map(realInputs(model).map((v) => [v, (v.dims ?? []).map((d) => (typeof d === 'number' && d >= 0 ? d : sizes[d] ?? 1))]));
  const inputs = realInputs(model).map((v) => ({ ...v, dims: named.get(v) }));
  return fromScratch({ graph: { ...model.graph, inputs } }, PLANS[0], 0);
}

/** Ways to make the inputs of `seed`, most wanted first, as functions. */
export function sampleMakers(folder, model) {
  const base = readTestData(folder, model);
  if (base) return [(seed) => perturbed(base, seed)];
  return PLANS.map((plan) => (seed) => fromScratch(model, plan, seed));
}
