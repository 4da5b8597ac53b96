#!/usr/bin/env node
// Optimizing as a whole process, beside other simplifiers in the same run: seconds, peak memory, nodes left.
//   ONNXOPT=build/bin/onnxopt [ONNXOPT_MODELS=DIR] [ONNXSIM="CMD"] [ONNXSLIM="CMD"] bench_optimize.mjs [--match RE] [--repeat N]
//       [--limit SECONDS] [--strict] [--json FILE]
// CMD is called as CMD IN OUT. Models: DIR/exported/*.onnx, or DIR/*.onnx, else those of gen_nets.mjs. With --strict the exit status is 1 where more nodes
// are left than by the best portable peer of peers.tsv or memory is above 1.3 x the file + 32 MB; never because of time.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeCount, readModel } from '../oracle/onnx_lite.mjs';
import { fixed, geomean, machine, measure, onnxopt, peer, scratchDir, start, table } from './bench_common.mjs';
import { makeNet, nets } from './gen_nets.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** model -> {kind, best nodes of a portable peer, which}. */
function peerFigures() {
  const lines = fs.readFileSync(path.join(HERE, 'peers.tsv'), 'utf8').split('\n').filter((l) => l && !l.startsWith('#')).map((l) => l.split('\t'));
  const tools = lines[0].slice(3), out = new Map();
  for (const [model, kind, , ...nodes] of lines.slice(1)) {
    let best = Infinity, by = '';
    nodes.forEach((n, k) => { if (n !== '-' && Number(n) < best) { best = Number(n); by = tools[k]; } });
    out.set(model, { kind, best, by });
  }
  return out;
}

/** A folder of generated networks, for where no models are given. */
function generated() {
  const dir = path.join(scratchDir(), 'exported');
  fs.mkdirSync(dir);
  for (const n of nets) makeNet(n, path.join(dir, `generated_${n}.onnx`));
  return scratchDir();
}

function nodesOf(file) {
  try { return nodeCount(readModel(file)); } catch { return null; }
}

/** One peer on one model: seconds, MB, nodes and how often slower than ours. */
function runPeer(cmd, file, out, ours, limit) {
  if (!cmd) return null;
  fs.rmSync(out, { force: true });
  const m = measure([...cmd, file, out], { limit });
  return m.fails ? m : { ...m, nodes: nodesOf(out), ratio: m.wall / ours.wall };
}

const show = (p) => (p === null ? undefined : p.fails ? 'fails' : `${fixed(p.ratio, 1)}x (${fixed(p.wall)} s, ${fixed(p.mb, 0)} MB, ${p.nodes ?? '?'})`);

function bench(file, known, cmds, v) {
  const name = path.basename(file, '.onnx'), out = path.join(scratchDir(), 'out.onnx'), size = fs.statSync(file).size / 2 ** 20;
  const clean = () => { for (const f of fs.readdirSync(scratchDir())) if (f.startsWith('out.onnx')) fs.rmSync(path.join(scratchDir(), f), { recursive: true }); };
  const ours = measure([onnxopt(), file, '-o', out], { repeat: Number(v.repeat), limit: Number(v.limit), before: clean });
  const row = { name, size, nodes_in: nodesOf(file), kind: known?.kind, best: known?.best, by: known?.by, ours };
  if (!ours.fails) {
    row.nodes = nodesOf(out);
    row.allowed_mb = 1.3 * size + 32;
    row.memory_ok = ours.mb <= row.allowed_mb;
    row.nodes_ok = known ? row.nodes !== null && row.nodes <= known.best : null;
    for (const k of Object.keys(cmds)) { clean(); row[k] = runPeer(cmds[k], file, out, ours, Number(v.limit)); }
  }
  clean();
  return row;
}

function summary(rows, cmds) {
  const ran = rows.filter((r) => !r.ours.fails), cnn = rows.filter((r) => r.kind === 'cnn'), known = rows.filter((r) => r.best);
  const list = (rs) => (rs.length ? `; not: ${rs.map((r) => r.name).join(', ')}` : '');
  const of = (rs, key) => `${rs.filter((r) => r[key]).length} of ${rs.length}${list(rs.filter((r) => !r[key]))}`;
  console.log(`\nran: ${ran.length} of ${rows.length}${list(rows.filter((r) => r.ours.fails))}`);
  console.log(`nodes at most the best portable peer, CNN exports: ${of(cnn, 'nodes_ok')}`);
  console.log(`nodes at most the best portable peer, all exports: ${of(known, 'nodes_ok')}`);
  console.log(`peak memory at most 1.3 x file + 32 MB: ${of(ran, 'memory_ok')}`);
  for (const k of Object.keys(cmds)) {
    const xs = ran.map((r) => r[k]).filter((p) => p && !p.fails).map((p) => p.ratio);
    if (xs.length) console.log(`times faster than ${k}: ${fixed(Math.min(...xs), 1)} at least, ${fixed(geomean(xs), 1)} in the geometric mean, over ${xs.length} models that it completes`);
  }
  const failed = rows.filter((r) => r.ours.fails);
  for (const r of failed) console.log(`${r.name}: ${r.ours.fails}`);
  return failed.length + cnn.filter((r) => !r.nodes_ok).length + ran.filter((r) => !r.memory_ok).length;
}

await start('bench_optimize', () => {
  const { values: v } = parseArgs({ options: { match: { type: 'string', default: '' }, repeat: { type: 'string', default: '3' },
    limit: { type: 'string', default: '180' }, strict: { type: 'boolean', default: false }, json: { type: 'string' } } });
  const root = process.env.ONNXOPT_MODELS ?? generated(), re = new RegExp(v.match);
  const dir = fs.existsSync(path.join(root, 'exported')) ? path.join(root, 'exported') : root;
  const files = fs.readdirSync(dir).filter((f) => f.endsWith('.onnx') && re.test(f)).sort().map((f) => path.join(dir, f));
  if (!files.length) throw new Error(`no models in ${dir}`);
  const cmds = {};
  for (const [k, e] of [['onnxsim', 'ONNXSIM'], ['onnxslim', 'ONNXSLIM']]) { const c = peer(e); if (c) cmds[k] = c; }
  const figures = peerFigures(), rows = [];
  for (const f of files) {
    rows.push(bench(f, figures.get(path.basename(f, '.onnx')), cmds, v));
    console.error(`${rows.length}/${files.length} ${path.basename(f)}`);
  }
  console.log(`${machine()}; best of ${v.repeat}, peers once; whole processes\n`);
  const ks = Object.keys(cmds);
  console.log(table(['model', 'MB', 'nodes', 'left', 'best peer', 's', 'peak MB', 'allowed', ...ks.map((k) => `${k}: slower by (s, MB, nodes)`)],
    rows.map((r) => [r.name, fixed(r.size, 1), r.nodes_in, r.ours.fails ? 'fails' : r.nodes, r.best ? `${r.best} ${r.by}` : undefined, fixed(r.ours.wall, 3), fixed(r.ours.mb, 0),
      fixed(r.allowed_mb, 0), ...ks.map((k) => (r.ours.fails ? undefined : show(r[k])))])));
  const bad = summary(rows, cmds);
  if (v.json) fs.writeFileSync(v.json, JSON.stringify(rows, null, 1));
  return v.strict && bad ? 1 : 0;
});
