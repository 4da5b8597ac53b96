#!/usr/bin/env node
// Stands in for the onnxopt binary in selftest.mjs: "optimizes" by copying, "runs" by asking ONNX Runtime, and breaks as
// $FAKE says: "" (nothing), "weights", "names", "truncate", "exit", "silent", "run", "run-exit", "quantize".
import fs from 'node:fs';
import { readModel } from './onnx_lite.mjs';
import { readArrays, writeNpz } from './npz.mjs';
import { Session } from './ort.mjs';

const fake = process.env.FAKE ?? '', args = process.argv.slice(2);

/** Changes 256 bytes in the middle of the file, which lie in weights: the file stays valid, the answers do not. */
function spoil(buf, change) {
  for (let i = buf.length >> 1; i < (buf.length >> 1) + 256; i++) buf[i] = change(buf[i]);
}

/** Renames the first output wherever it is a field of one of the messages (a length byte stands before it). */
function rename(buf, name) {
  const field = Buffer.concat([Buffer.from([name.length]), Buffer.from(name)]);
  for (let i = buf.indexOf(field); i >= 0; i = buf.indexOf(field, i + 1)) buf[i + name.length] ^= 1;
}

if (args[0] === 'run') {
  if (fake === 'run-exit') process.exit(1);
  const s = await Session.open(args[1], { level: 'basic' });
  const out = await s.run(readArrays(args[3]));
  if (fake === 'run') for (const a of out.values()) if (a.dtype === 'float32') a.data[0] += 3e-4 * (Math.max(...a.data) - Math.min(...a.data));
  writeNpz(args[5], out);
  await s.close();
} else {
  const buf = fs.readFileSync(args[0]), quantizing = args.includes('--quantize');
  if (fake === 'exit') { console.error('error[internal]: no'); process.exit(1); }
  if (fake === 'weights') spoil(buf, (b) => b ^ 0x80);
  if (fake === 'quantize' && quantizing) spoil(buf, () => 0x7f); // floats of 3e38, however they are aligned
  if (fake === 'names') rename(buf, readModel(args[0]).graph.outputs[0].name);
  if (fake !== 'silent') fs.writeFileSync(args[2], fake === 'truncate' ? buf.subarray(0, buf.length - 100) : buf);
}
