#!/usr/bin/env node
// Shows that check_models.mjs can fail: it must accept a tool that changes nothing and refuse each kind of broken one.
//   selftest.mjs MODEL.onnx        (default: the model that comes with the repository)
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const model = process.argv[2] ?? path.join(here, '../data/digits/digits_cnn.onnx');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'oracle-selftest-'));
fs.copyFileSync(model, path.join(dir, 'm.onnx'));

const CASES = [ // what the tool does, exit status that the check must have, what it must say
  ['', 0, /1 models: 1 ok/], ['weights', 1, /optimize: .*(differs|ONNX Runtime)/], ['names', 1, /optimize: .*outputs/], ['truncate', 1, /optimize:/],
  ['exit', 1, /optimize: .*error\[internal\]/], ['silent', 1, /optimize: output is not readable/], ['run', 1, /run: seed 0 differs by 3/],
  ['run-exit', 1, /run: seed 0/], ['quantize', 1, /quantize: .*not finite/],
];
let bad = 0;
for (const [fake, status, text] of CASES) {
  const r = spawnSync(process.execPath, [path.join(here, 'check_models.mjs'), '--onnxopt', path.join(here, 'fake_tool.mjs'), '--models', dir, '--seeds', '2'],
    { encoding: 'utf8', env: { ...process.env, FAKE: fake } });
  const ok = r.status === status && text.test(r.stdout);
  bad += !ok;
  console.log(`${ok ? 'ok  ' : 'FAIL'} tool: ${fake || 'honest'}`);
  if (!ok) console.log(r.stdout + r.stderr);
}
fs.rmSync(dir, { recursive: true, force: true });
process.exitCode = bad ? 1 : 0;
