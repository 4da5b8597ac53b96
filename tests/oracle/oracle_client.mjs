// The oracle as an object: a server process that is started at need and started again should a model kill it.
import { spawn } from 'node:child_process';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const SERVER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'ort_server.mjs');

export class Oracle {
  constructor({ threads = 2 } = {}) {
    this.threads = threads;
    this.child = null;
    this.waiting = null;
  }

  start() {
    const child = spawn(process.execPath, [SERVER], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.child = child;
    child.stdin.on('error', () => {}); // a dying server is reported by 'exit'
    readline.createInterface({ input: child.stdout }).on('line', (line) => this.settle(JSON.parse(line)));
    child.on('exit', (code, signal) => {
      if (this.child === child) this.child = null;
      this.settle({ ok: false, error: `ONNX Runtime ended: ${signal ?? `exit ${code}`}` });
    });
  }

  settle(answer) {
    const w = this.waiting;
    this.waiting = null;
    if (w) w(answer);
  }

  /** One request at a time; resolves to the answer, which says itself whether it is ok. */
  ask(request) {
    if (this.waiting) throw new Error('the oracle answers one request at a time');
    if (!this.child) this.start();
    return new Promise((resolve) => {
      this.waiting = resolve;
      this.child.stdin.write(JSON.stringify({ threads: this.threads, ...request }) + '\n');
    });
  }

  stop() {
    const c = this.child;
    this.child = null;
    if (c) c.stdin.end();
  }
}
