#!/usr/bin/env node
// Judges the onnxopt binary by ONNX Runtime on a folder of models. For each model and 5 seeded inputs:
//   optimize   `onnxopt IN -o OUT`: OUT loads, and its outputs agree with the original's
//   run        `onnxopt run IN --input S.npz -o R.npz`: the reference executor agrees with ONNX Runtime
//   quantize   `onnxopt IN -o OUT --quantize int8`: OUT loads, runs and gives finite outputs (accuracy is tests/bench's subject)
// Agreement: the largest difference is at most 1e-4 of the output's range; other types than floats are equal.
//
//   check_models.mjs [--onnxopt BIN] [--models FOLDER] [--only optimize,run,quantize] [--match REGEX] [--seeds N]
//                    [--threads N] [--keep DIR] [--json FILE]
// FOLDER has models/NAME/model.onnx and exported/*.onnx, or is itself a folder of *.onnx. Defaults: $ONNXOPT, $ONNXOPT_MODELS.
// Exit: 0 all agree, 1 something failed, 2 wrong call or nothing to check.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { worst } from './compare.mjs';
import { readArrays, toNumbers, writeNpz } from './npz.mjs';
import { Oracle } from './oracle_client.mjs';
import { allNodes, DTYPES, nodeCount, readModel } from './onnx_lite.mjs';
import { needOrt } from './ort.mjs';
import { sampleMakers } from './samples.mjs';
import { outside } from './slice.mjs';

const TOLERANCE = 1e-4;
const LIMIT_MS = 600_000;

/** 'float' models must meet TOLERANCE. In the others one rounding step of the type itself is larger than that. */
function numericClass(model) {
  for (const n of allNodes(model)) if (/QuantizeLinear$|^QLinear|Integer$/.test(n.op)) return 'quantized';
  for (const t of [...model.graph.initializers.values(), ...model.graph.inputs]) if (DTYPES[t.type] === 'float16') return 'float16';
  return 'float';
}

function listModels(folder) {
  const out = [];
  const from = (dir) => {
    if (!fs.existsSync(dir)) return;
    for (const f of fs.readdirSync(dir).sort()) if (f.endsWith('.onnx')) out.push({ name: f.slice(0, -5), file: path.join(dir, f), folder: dir });
  };
  const models = path.join(folder, 'models');
  if (fs.existsSync(models)) {
    for (const m of fs.readdirSync(models).sort()) {
      const file = path.join(models, m, 'model.onnx');
      if (fs.existsSync(file)) out.push({ name: m, file, folder: path.join(models, m) });
    }
    from(path.join(folder, 'exported'));
  } else from(folder);
  return out;
}

function tool(bin, args) {
  const t = process.hrtime.bigint();
  const r = spawnSync(bin, args, { encoding: 'utf8', timeout: LIMIT_MS, maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'pipe'] });
  const seconds = Number(process.hrtime.bigint() - t) / 1e9;
  if (r.error) return { error: String(r.error.message), seconds };
  if (r.status === 0) return { seconds };
  const last = (r.stderr || r.stdout || '').trim().split('\n').pop();
  return { error: `${path.basename(bin)} ended with ${r.signal ?? r.status}: ${last.slice(0, 200)}`, seconds };
}

class Check {
  constructor(m, oracle, options) {
    Object.assign(this, { m, oracle, options });
    this.dir = path.join(options.work, m.name);
    fs.mkdirSync(this.dir, { recursive: true });
    this.row = { name: m.name, class: '', tol: TOLERANCE, failures: [], notes: [] };
  }

  fail(what) { this.row.failures.push(what); }
  at(f) { return path.join(this.dir, f); }

  async runOrt(model, inputs, output, extra = {}) {
    const a = await this.oracle.ask({ model, inputs, output, ...extra });
    return a.ok ? { outputs: readArrays(output) } : { error: a.error };
  }

  /** Inputs and the original's outputs for every seed, by the first plan of sizes that ONNX Runtime accepts for all. */
  async prepare() {
    let error = 'no inputs';
    for (const make of sampleMakers(this.m.folder, this.model)) {
      this.samples = [];
      error = null;
      for (let s = 0; s < this.options.seeds && !error; s++) {
        const inputs = this.at(`in${s}.npz`);
        try { writeNpz(inputs, make(s)); } catch (e) { return e.message; }
        const r = await this.runOrt(this.m.file, inputs, this.at(`want${s}.npz`));
        if (r.error) error = r.error;
        else this.samples.push({ inputs, want: r.outputs });
      }
      if (!error) break;
    }
    return error;
  }

  /**
   * Models in half precision or quantized: a last-bit difference of the arithmetic moves a value by a whole step of the type. What
   * such a model may differ by, from the nearer of the two, is measured: twice what ONNX Runtime differs from itself with its fusions off and on, since each of two roundings of
   * the same sum may be that far from it, on either side.
   */
  async widenByOwnSpread() {
    let spread = 0;
    for (const [s, sample] of this.samples.entries()) {
      const r = await this.runOrt(this.m.file, sample.inputs, this.at('plain.npz'), { level: 'disabled' });
      if (r.error) { this.row.notes.push('ONNX Runtime runs it only optimized'); return; }
      spread = Math.max(spread, worst(sample.want, r.outputs).rel);
      this.samples[s].plain = r.outputs;
    }
    this.row.tol = Math.max(TOLERANCE, 2 * spread);
    this.row.notes.push(`${this.row.class}: tolerance ${this.row.tol.toExponential(1)}`);
  }

  /** Distance to the outputs that ONNX Runtime gives for the original; to the nearer of its two forms where there are two. */
  distance(sample, got) {
    const a = worst(sample.want, got);
    if (!sample.plain) return a;
    const b = worst(sample.plain, got);
    return b.rel < a.rel ? b : a;
  }

  async optimize() {
    const out = this.at('optimized.onnx'), t = tool(this.options.onnxopt, [this.m.file, '-o', out]);
    this.row.optimize_s = t.seconds;
    if (t.error) return this.fail(`optimize: ${t.error}`);
    try { this.row.nodes_after = nodeCount(readModel(out)); } catch (e) { return this.fail(`optimize: output is not readable: ${e.message}`); }
    this.row.optimize = 0;
    for (const [s, sample] of this.samples.entries()) {
      const r = await this.runOrt(out, sample.inputs, this.at('got.npz'));
      if (r.error) return this.fail(`optimize: ONNX Runtime, seed ${s}: ${r.error.slice(0, 200)}`);
      const d = this.distance(sample, r.outputs);
      this.row.optimize = Math.max(this.row.optimize, d.rel);
      if (!(d.rel <= this.row.tol)) return this.fail(`optimize: seed ${s} differs by ${d.rel.toExponential(2)} ${d.why}`);
    }
  }

  run() {
    this.row.run = 0;
    this.row.run_s = 0;
    for (const [s, sample] of this.samples.entries()) {
      const out = this.at('run.npz');
      fs.rmSync(out, { force: true });
      const t = tool(this.options.onnxopt, ['run', this.m.file, '--input', sample.inputs, '-o', out]);
      this.row.run_s = Math.max(this.row.run_s, t.seconds);
      if (t.error) return this.fail(`run: seed ${s}: ${t.error}`);
      let got;
      try { got = readArrays(out); } catch (e) { return this.fail(`run: output is not readable: ${e.message}`); }
      const d = this.distance(sample, new Map([...sample.want.keys()].filter((k) => got.has(k)).map((k) => [k, got.get(k)])));
      this.row.run = Math.max(this.row.run, d.rel);
      if (!(d.rel <= this.row.tol)) return this.fail(`run: seed ${s} differs by ${d.rel.toExponential(2)} ${d.why}`);
    }
  }

  async quantize() {
    const out = this.at('int8.onnx'), t = tool(this.options.onnxopt, [this.m.file, '-o', out, '--quantize', 'int8']);
    this.row.quantize_s = t.seconds;
    if (t.error) return this.fail(`quantize: ${t.error}`);
    this.row.sqnr = Infinity;
    for (const [s, sample] of this.samples.entries()) {
      const r = await this.runOrt(out, sample.inputs, this.at('got.npz'));
      if (r.error) return this.fail(`quantize: ONNX Runtime, seed ${s}: ${r.error.slice(0, 200)}`);
      for (const [name, a] of r.outputs) {
        const had = toNumbers(sample.want.get(name)).every(Number.isFinite);
        if (had && !toNumbers(a).every(Number.isFinite)) return this.fail(`quantize: seed ${s}: output ${name} is not finite`);
      }
      this.row.sqnr = Math.min(this.row.sqnr, worst(sample.want, r.outputs).sqnr);
    }
    try {
      this.row.quant_nodes = [...allNodes(readModel(out))].filter((n) => n.op === 'QuantizeLinear' || n.op === 'DequantizeLinear').length;
    } catch (e) { this.fail(`quantize: output is not readable: ${e.message}`); }
  }

  async all() {
    const { only } = this.options;
    this.model = readModel(this.m.file);
    this.row.nodes = nodeCount(this.model);
    this.row.class = numericClass(this.model);
    const out = outside(this.model);
    const error = await this.prepare();
    if (error) {
      this.row.skip = `ONNX Runtime does not run the original: ${error.slice(0, 120)}`;
      return this.row;
    }
    if (this.row.class !== 'float') await this.widenByOwnSpread();
    if (out.length) this.row.skip = `run and quantize: outside the slice: ${out.join(', ')}`;
    if (only.has('optimize')) await this.optimize();
    if (only.has('run') && !out.length) this.run();
    if (only.has('quantize') && !out.length) await this.quantize();
    return this.row;
  }
}

const f = (x, w, how) => (x === undefined ? '-' : how(x)).padStart(w);
function line(r) {
  const exp = (x) => (Number.isFinite(x) ? x.toExponential(1) : 'inf');
  const verdict = r.failures.length ? 'FAIL' : r.skip ? 'skip' : 'ok';
  return [r.name.padEnd(30), f(r.nodes, 6, String), f(r.nodes_after, 6, String), f(r.optimize, 9, exp), f(r.optimize_s, 8, (x) => x.toFixed(2)),
    f(r.run, 9, exp), f(r.run_s, 8, (x) => x.toFixed(2)), f(r.sqnr, 8, (x) => x.toFixed(1)), f(r.quantize_s, 8, (x) => x.toFixed(2)), ` ${verdict}`].join('');
}

async function main() {
  const { values: v } = parseArgs({ options: {
    onnxopt: { type: 'string', default: process.env.ONNXOPT }, models: { type: 'string', default: process.env.ONNXOPT_MODELS },
    only: { type: 'string', default: 'optimize,run,quantize' }, match: { type: 'string', default: '' }, seeds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' }, keep: { type: 'string' }, json: { type: 'string' },
  } });
  if (!v.onnxopt || !v.models) throw new Error('needs --onnxopt BIN and --models FOLDER (or $ONNXOPT and $ONNXOPT_MODELS)');
  needOrt();
  const work = v.keep ?? fs.mkdtempSync(path.join(os.tmpdir(), 'check_models-'));
  const options = { onnxopt: path.resolve(v.onnxopt), seeds: Number(v.seeds), only: new Set(v.only.split(',')), work };
  const oracle = new Oracle({ threads: Number(v.threads) }), rows = [];
  const re = new RegExp(v.match);
  console.log(`${'model'.padEnd(30)} nodes after optimize    sec      run sec/run    SQNR     sec`);
  for (const m of listModels(v.models).filter((x) => re.test(x.name))) {
    const c = new Check(m, oracle, options);
    let row;
    try { row = await c.all(); } catch (e) { row = { ...c.row, failures: [...c.row.failures, e.message] }; }
    rows.push(row);
    console.log(line(row));
    for (const x of [...row.failures, ...(row.skip ? [row.skip] : []), ...row.notes]) console.log(`    ${x}`);
    if (!v.keep) fs.rmSync(c.dir, { recursive: true, force: true });
  }
  oracle.stop();
  if (!v.keep) fs.rmSync(work, { recursive: true, force: true });
  if (v.json) fs.writeFileSync(v.json, JSON.stringify(rows, null, 1));
  const failed = rows.filter((r) => r.failures.length), skipped = rows.filter((r) => r.skip && !r.failures.length);
  console.log(`${rows.length} models: ${rows.length - failed.length - skipped.length} ok, ${skipped.length} checked in part or not at all, ${failed.length} failed`);
  if (rows.length === skipped.length) { console.log('nothing was checked in full'); return failed.length ? 1 : 2; }
  return failed.length ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (e) {
  console.error(`check_models: ${e.message}`);
  process.exitCode = 2;
}
