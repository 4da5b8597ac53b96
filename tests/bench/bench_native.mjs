#!/usr/bin/env node
// The native path beside ONNX Runtime in one run: latency (best of many, by turns), time to a ready session, peak memory; float and int8, one and
// two threads. int8 models are made here by onnxopt from the same float model, with uint8 activations and with int8 ones: ONNX Runtime runs both
// and the better one counts, the native path compiles the second.
//   ONNXOPT=build/bin/onnxopt ONNXOPT_MODELS=DIR bench_native.mjs [--match REGEX] [--seconds N] [--rounds N] [--threads 1,2] [--only f32,int8] [--dim NAME=N,...] [--pack] [--json FILE]
// DIR/exported/*.onnx are measured. Symbolic dims are 1 on both sides, or what --dim says: --dim seq=64,past=64. --pack: with packed weights in the blob.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { readModel } from '../oracle/onnx_lite.mjs';
import { readTestData, sampleOfDims } from '../oracle/samples.mjs';
import { needOrt, Session } from '../oracle/ort.mjs';
import { fixed, geomean, machine, onnxopt, scratchDir, start, table } from './bench_common.mjs';

const SELF = fileURLToPath(import.meta.url);
const QUANTIZE = (type) => `upgrade,freeze,default,quantize{activations=${type};target_db=0;float_share=0;weights_only=no;search_work=0}`;

/** "seq=64,past=1" as an object. */
const sizes = (text) => Object.fromEntries((text || '').split(',').filter(Boolean).map((d) => [d.split('=')[0], Number(d.split('=')[1])]));

/** ONNX Runtime in a process of its own: its memory is measured, its threads end with it. */
async function peer(file, seconds, threads, dims) {
  const t0 = process.hrtime.bigint();
  const session = await Session.open(file, { threads });
  const open = Number(process.hrtime.bigint() - t0) / 1e6;
  const model = readModel(file), inputs = readTestData(path.dirname(file), model) ?? sampleOfDims(model, sizes(dims));
  let best = Infinity, first = 0;
  const end = Date.now() + seconds * 1000;
  for (let i = 0; i < 3 || Date.now() < end; i++) {
    const t = process.hrtime.bigint();
    await session.run(inputs);
    const ms = Number(process.hrtime.bigint() - t) / 1e6;
    if (i === 0) first = ms;
    else best = Math.min(best, ms);
  }
  console.log(JSON.stringify({ open_ms: open, first_ms: first, best_ms: best, peak_kb: process.resourceUsage().maxRSS }));
}

function json(cmd, args) {
  const r = spawnSync(cmd, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (r.status !== 0) throw new Error((r.stderr || 'failed').trim().split('\n').pop().slice(0, 200));
  return JSON.parse(r.stdout.trim().split('\n').pop());
}

/** The better of two measurements, figure by figure. */
const better = (a, b) => (a ? Object.fromEntries(Object.entries(b).map(([k, x]) => [k, /_ms$|_kb$/.test(k) ? Math.min(x, a[k]) : x])) : b);

function optimized(file, out, passes) {
  const args = passes ? ['--passes', passes] : [];
  const r = spawnSync(onnxopt(), [file, '-o', out, ...args], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(r.stderr.trim().split('\n').pop());
  return out;
}

/** One row: files for ONNX Runtime (the best counts) against one blob. */
function duel(theirs, blob, v, threads) {
  const helper = path.join(path.dirname(onnxopt()), 'time_native');
  let ours = null;
  const peers = theirs.map(() => null);
  for (let round = 0; round < Number(v.rounds); round++) {
    theirs.forEach((f, i) => { peers[i] = better(peers[i], json(process.execPath, [SELF, '--peer', f, v.seconds, String(threads), v.dim])); });
    const runs = Math.max(3, Math.round((1000 * Number(v.seconds)) / Math.min(...peers.map((p) => p.best_ms))));
    ours = better(ours, json(helper, [blob, String(runs), String(threads), ...(v.dim ? [`dims=${v.dim}`] : [])]));
  }
  const best = peers.reduce((a, b) => (b.best_ms < a.best_ms ? b : a));
  return { theirs: best, ours, ratio: best.best_ms / ours.best_ms, open: (best.open_ms + best.first_ms) / (ours.open_ms + ours.first_ms), memory: ours.peak_kb / best.peak_kb };
}

function prepare(file, kind, packs) {
  const dir = scratchDir(), name = path.basename(file, '.onnx'), blob = path.join(dir, `${name}.${kind}.oxb`);
  const helper = path.join(path.dirname(onnxopt()), 'time_native');
  if (kind === 'f32') {
    json(helper, [file, '0', '2', 'optimize', `save=${blob}`, ...packs]);
    return { theirs: [file], blob };
  }
  const theirs = ['uint8', 'int8'].map((t) => optimized(file, path.join(dir, `${name}.${t}.onnx`), QUANTIZE(t)));
  json(helper, [theirs[1], '0', '2', `save=${blob}`, ...packs]);
  return { theirs, blob };
}

async function main() {
  const { values: v } = parseArgs({ options: { match: { type: 'string', default: '.' }, seconds: { type: 'string', default: '2' }, rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1,2' }, only: { type: 'string', default: 'f32,int8' }, dim: { type: 'string', default: '' }, pack: { type: 'boolean' }, json: { type: 'string' } } });
  needOrt();
  if (!process.env.ONNXOPT_MODELS) throw new Error('set ONNXOPT_MODELS to a folder with exported/*.onnx');
  const folder = path.join(process.env.ONNXOPT_MODELS, 'exported'), re = new RegExp(v.match);
  const files = fs.readdirSync(folder).filter((f) => f.endsWith('.onnx') && re.test(f)).sort();
  const all = {};
  console.log(`${machine()}; best of ${v.rounds} rounds of ${v.seconds} s each, by turns; ms\n`);
  for (const kind of v.only.split(',')) {
    for (const threads of v.threads.split(',').map(Number)) {
      const rows = [], ratios = [], opens = [], memories = [];
      for (const f of files) {
        const name = f.replace(/\.onnx$/, '');
        try {
          const { theirs, blob } = prepare(path.join(folder, f), kind, v.pack ? ['pack'] : []), d = duel(theirs, blob, v, threads);
          for (const g of [...theirs.filter((x) => !x.startsWith(folder)), blob]) fs.rmSync(g, { force: true });
          ratios.push(d.ratio);
          opens.push(d.open);
          memories.push(d.memory);
          all[`${name} ${kind} ${threads}`] = d;
          rows.push([name, fixed(d.theirs.best_ms), fixed(d.ours.best_ms), fixed(d.ratio), fixed(d.open, 1), fixed(d.memory), `${d.ours.native}/${d.ours.steps}`]);
        } catch (e) {
          rows.push([name, '-', '-', e.message.slice(0, 60), '-', '-', '-']);
        }
        console.error(rows[rows.length - 1].join('  '));
      }
      rows.push(['geometric mean', '', '', fixed(geomean(ratios)), fixed(geomean(opens), 1), fixed(geomean(memories)), '']);
      console.log(`${kind}, ${threads} thread${threads > 1 ? 's' : ''}\n`);
      console.log(`${table(['model', 'ONNX Runtime', 'native', 'times faster', 'to first output, times faster', 'peak memory, part', 'native steps'], rows)}\n`);
    }
  }
  if (v.json) fs.writeFileSync(v.json, JSON.stringify(all, null, 1));
}

if (process.argv[2] === '--peer') await peer(process.argv[3], Number(process.argv[4]), Number(process.argv[5]), process.argv[6]);
else await start('bench_native', main);
