#!/usr/bin/env node
// The reference executor beside ONNX Runtime, one thread each, in one run: the models of the official test data's `light` set
// (or the *.onnx of --folder), as they are and after the preset `default`. ONNX Runtime optimizes on loading in both.
//   ONNXOPT=build/bin/onnxopt bench_reference.mjs [--folder DIR] [--match REGEX] [--runs N] [--threads N]
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { sampleMakers } from '../oracle/samples.mjs';
import { readModel } from '../oracle/onnx_lite.mjs';
import { needOrt, Session } from '../oracle/ort.mjs';
import { fixed, geomean, machine, onnxopt, start, table } from './bench_common.mjs';

function lightFolder() {
  const cache = process.env.ONNXOPT_CACHE || path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'onnxopt');
  return path.join(cache, 'libonnx-testdata/usr/share/libonnx-testdata/data/light');
}

function ours(file, v, ...more) {
  const r = spawnSync(path.join(path.dirname(onnxopt()), 'time_runs'), [file, v.runs, v.threads, ...more], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`${path.basename(file)}: ${r.stderr.trim().split('\n').pop()}`);
  return JSON.parse(r.stdout).best_ms;
}

async function peers(file, v) {
  const session = await Session.open(file, { threads: Number(v.threads) });
  const model = readModel(file), inputs = sampleMakers(path.dirname(file), model)[0](0);
  await session.run(inputs);
  let best = Infinity;
  for (let i = 0; i < Number(v.runs); i++) {
    const t = process.hrtime.bigint();
    await session.run(inputs);
    best = Math.min(best, Number(process.hrtime.bigint() - t) / 1e6);
  }
  await session.close();
  return best;
}

await start('bench_reference', async () => {
  const { values: v } = parseArgs({ options: { folder: { type: 'string' }, match: { type: 'string' }, runs: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' } } });
  needOrt();
  const folder = v.folder ?? lightFolder(), re = new RegExp(v.match ?? '.');
  const files = fs.readdirSync(folder).filter((f) => f.endsWith('.onnx') && re.test(f)).sort();
  if (!files.length) throw new Error(`no models in ${folder}`);
  const rows = [], plain = [], optimized = [];
  for (const f of files) {
    const file = path.join(folder, f), theirs = await peers(file, v), a = ours(file, v), b = ours(file, v, 'optimize');
    plain.push(a / theirs);
    optimized.push(b / theirs);
    rows.push([f.replace(/\.onnx$/, ''), fixed(theirs, 1), fixed(a, 1), fixed(b, 1), fixed(a / theirs), fixed(b / theirs)]);
  }
  console.log(`${machine()}; ${v.threads} thread(s), best of ${v.runs}, ms\n`);
  console.log(table(['model', 'ONNX Runtime', 'as it is', 'optimized', 'ratio', 'ratio optimized'], rows));
  console.log(`\nGeometric mean: ${fixed(geomean(plain))} times ONNX Runtime's time as it is, ${fixed(geomean(optimized))} times optimized (bound: 4)`);
  return geomean(plain) <= 4 ? 0 : 1;
});
