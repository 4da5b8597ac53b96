#!/usr/bin/env node
// Quantizing MobileNetV2 with 32 calibration samples as a whole process, beside another quantizer in the same run.
//   ONNXOPT=build/bin/onnxopt [ORT_QUANTIZE="CMD"] [ONNXOPT_MODELS=DIR] bench_quantize.mjs [--model FILE] [--samples N] [--repeat N]
//       [--threads N]
// CMD is called as CMD IN OUT --calib FOLDER; the folder has one .npz a sample, members named after the model's inputs. The model
// is DIR/exported/mobilenet_v2.tsraw.onnx, or else one of that topology with seeded weights. Both results are run in
// ONNX Runtime on four other samples: the SQNR against the float model shows that neither gets its speed by doing less.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { worst } from '../oracle/compare.mjs';
import { readArrays } from '../oracle/npz.mjs';
import { Oracle } from '../oracle/oracle_client.mjs';
import { needOrt } from '../oracle/ort.mjs';
import { fixed, machine, measure, onnxopt, peer, sampleFolder, scratchDir, start, table } from './bench_common.mjs';
import { makeNet } from './gen_nets.mjs';

function chooseModel(v) {
  if (v.model) return v.model;
  const given = process.env.ONNXOPT_MODELS && path.join(process.env.ONNXOPT_MODELS, 'exported', 'mobilenet_v2.tsraw.onnx');
  if (given && fs.existsSync(given)) return given;
  const file = path.join(scratchDir(), 'mobilenet_v2.onnx');
  makeNet('mobilenet_v2', file);
  return file;
}

/** Smallest SQNR of a quantized model over the samples of a folder, in dB, or what ONNX Runtime says against it. */
async function sqnr(oracle, float, quantized, folder) {
  const ask = async (model, f, out) => {
    const a = await oracle.ask({ model, inputs: path.join(folder, f), output: path.join(scratchDir(), out) });
    if (!a.ok) throw new Error(a.error);
    return readArrays(path.join(scratchDir(), out));
  };
  let low = Infinity;
  try {
    for (const f of fs.readdirSync(folder)) low = Math.min(low, worst(await ask(float, f, 'want.npz'), await ask(quantized, f, 'got.npz')).sqnr);
  } catch (e) { return e.message.slice(0, 60); }
  return `${fixed(low, 1)} dB`;
}

await start('bench_quantize', async () => {
  const { values: v } = parseArgs({ options: { model: { type: 'string' }, samples: { type: 'string', default: '32' }, repeat: { type: 'string', default: '3' },
    threads: { type: 'string' }, limit: { type: 'string', default: '300' } } });
  needOrt();
  const model = chooseModel(v), dir = scratchDir(), all = sampleFolder(model, Number(v.samples) + 4, path.join(dir, 'calib')), rest = path.join(dir, 'other');
  fs.mkdirSync(rest);
  for (const f of fs.readdirSync(all).sort().slice(-4)) fs.renameSync(path.join(all, f), path.join(rest, f));
  const ourOut = path.join(dir, 'ours.onnx'), theirOut = path.join(dir, 'theirs.onnx'), theirs = peer('ORT_QUANTIZE'), oracle = new Oracle();
  const runs = [['onnxopt', [onnxopt(), model, '-o', ourOut, '--quantize', 'int8', '--calib', all, ...(v.threads ? ['--threads', v.threads] : [])], ourOut]];
  if (theirs) runs.push(['ORT_QUANTIZE', [...theirs, model, theirOut, '--calib', all], theirOut]);
  const rows = [], done = [];
  for (const [name, argv, out] of runs) {
    const m = measure(argv, { repeat: Number(v.repeat), limit: Number(v.limit) });
    if (m.fails) { rows.push([name, m.fails]); continue; }
    done.push({ name, ...m });
    rows.push([name, fixed(m.wall), fixed(m.cpu), fixed(m.mb, 0), fixed(fs.statSync(out).size / 2 ** 20, 1), await sqnr(oracle, model, out, rest)]);
  }
  oracle.stop();
  console.log(`${machine()}; ${path.basename(model)}, ${v.samples} samples; best of ${v.repeat}; whole processes\n`);
  console.log(table(['quantizer', 's', 'cpu s', 'peak MB', 'MB out', 'worst SQNR'], rows.map((r) => [...r, ...Array(6 - r.length).fill('')])));
  if (done.length === 2) {
    const [a, b] = done;
    console.log(`\nonnxopt takes ${fixed(a.wall / b.wall)} of the time and ${fixed(a.mb / b.mb)} of the memory (goals: below 1, below 0.5)`);
  }
  return done.length === runs.length ? 0 : 1;
});
