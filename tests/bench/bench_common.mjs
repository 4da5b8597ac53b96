// What the benchmarks share: the measured command, its best run, tables, seeded folders of samples.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeNpz } from '../oracle/npz.mjs';
import { readModel } from '../oracle/onnx_lite.mjs';
import { sampleMakers } from '../oracle/samples.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** The onnxopt binary that $ONNXOPT names. */
export function onnxopt() {
  const bin = process.env.ONNXOPT;
  if (!bin || !fs.existsSync(bin)) throw new Error('set ONNXOPT to the onnxopt binary (a Release build)');
  return path.resolve(bin);
}

/** A command from the environment as argv, or null: ONNXSIM="python3 -m onnxsim". */
export function peer(variable) {
  const text = (process.env[variable] ?? '').trim();
  return text ? text.split(/\s+/) : null;
}

let scratch = null;

/** A folder of this process, removed when it ends. */
export function scratchDir() {
  if (!scratch) {
    scratch = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'onnxopt-bench-'));
    process.on('exit', () => fs.rmSync(scratch, { recursive: true, force: true }));
    for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(130));
  }
  return scratch;
}

/** The measuring helper: $MEASURE, or the one built beside the binary, or compiled here from measure.c. */
function helper() {
  const beside = process.env.ONNXOPT ? path.join(path.dirname(process.env.ONNXOPT), 'measure') : '';
  for (const f of [process.env.MEASURE, beside]) if (f && fs.existsSync(f)) return f;
  const out = path.join(scratchDir(), 'measure');
  const r = spawnSync(process.env.CC ?? 'cc', ['-O2', '-D_DEFAULT_SOURCE', path.join(HERE, 'measure.c'), '-o', out], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`cannot build measure.c: ${r.stderr}`);
  process.env.MEASURE = out;
  return out;
}

/**
 * Runs argv `repeat` times as whole processes; wall, user, processor time (user and system of one run) and peak memory are each
 * the best run's. {fails} where a run did not end well.
 */
export function measure(argv, { repeat = 1, limit = 300, before = () => {} } = {}) {
  let best = null;
  for (let i = 0; i < repeat; i++) {
    before();
    const r = spawnSync(helper(), ['-t', String(limit), ...argv], { encoding: 'utf8', maxBuffer: 1 << 27 });
    if (r.status !== 0) return { fails: (r.stderr || 'not started').trim().split('\n').pop() };
    const m = JSON.parse(r.stdout);
    if (m.timed_out) return { fails: `over ${limit} s` };
    if (m.exit !== 0) return { fails: `exit ${m.exit} signal ${m.signal}: ${r.stderr.trim().split('\n').pop().slice(0, 160)}` };
    m.cpu = m.user + m.sys;
    m.mb = m.maxrss_kb / 1024;
    best = best === null ? m : { ...m, ...Object.fromEntries(['wall', 'user', 'cpu', 'mb'].map((k) => [k, Math.min(best[k], m[k])])) };
  }
  return best;
}

/** Rows of text as a Markdown table, columns aligned; the first column to the left. */
export function table(head, rows) {
  const all = [head, ...rows].map((r) => r.map((c) => (c === undefined || c === null ? '-' : String(c))));
  const width = head.map((_, k) => Math.max(3, ...all.map((r) => [...r[k]].length)));
  const cell = (c, k) => (k ? c.padStart(width[k]) : c.padEnd(width[k]));
  const line = (r) => `| ${r.map(cell).join(' | ')} |`;
  const rule = `|${width.map((w, k) => (k ? '-'.repeat(w + 1) + ':' : '-'.repeat(w + 2))).join('|')}|`;
  return [line(all[0]), rule, ...all.slice(1).map(line)].join('\n');
}

export const fixed = (x, d = 2) => (Number.isFinite(x) ? x.toFixed(d) : '-');
export const geomean = (xs) => Math.exp(xs.reduce((a, x) => a + Math.log(x), 0) / xs.length);

/** A folder of `n` seeded samples for a model, one .npz a sample, members named after the inputs. */
export function sampleFolder(modelFile, n, dir) {
  const model = readModel(modelFile), make = sampleMakers(path.dirname(modelFile), model).at(1) ?? sampleMakers(path.dirname(modelFile), model)[0];
  fs.mkdirSync(dir, { recursive: true });
  // Seeds that are multiples of five draw floats from the unit normal, as an image does after the usual normalization.
  for (let i = 0; i < n; i++) writeNpz(path.join(dir, `${String(i).padStart(4, '0')}.npz`), make(5 * i));
  return dir;
}

/** Prints the machine once, so that a pasted table says where it comes from. */
export function machine() {
  const cpu = os.cpus()[0]?.model ?? 'unknown processor';
  return `${os.cpus().length} × ${cpu}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}`;
}

/** Runs main and turns an exception into one line and exit status 2. */
export async function start(name, main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (e) {
    console.error(`${name}: ${e.message}`);
    process.exitCode = 2;
  }
}
