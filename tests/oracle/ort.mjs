// ONNX Runtime (npm onnxruntime-node) for tests: finds the installed package, makes sessions, runs them.
// The package is a test-only tool: get_ort.sh installs the pinned version into a cache outside the tree.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';
import { dtypeKnown } from './npz.mjs';

export const ORT_VERSION = '1.30.0';

/** The folder whose node_modules has onnxruntime-node: $ONNXOPT_ORT_NODE, or the cache that get_ort.sh fills. */
export function ortFolder() {
  const cache = process.env.ONNXOPT_CACHE || path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'onnxopt');
  return process.env.ONNXOPT_ORT_NODE || path.join(cache, `ort-node-${ORT_VERSION}`);
}

/** Throws, with what to do about it, where ONNX Runtime is not installed; a check that needs it must not pass without. */
export function needOrt() {
  const dir = ortFolder();
  if (!fs.existsSync(path.join(dir, 'node_modules', 'onnxruntime-node'))) {
    throw new Error(`onnxruntime-node is not in ${dir}; run tests/oracle/get_ort.sh or set ONNXOPT_ORT_NODE`);
  }
  return dir;
}

export function loadOrt() {
  const dir = needOrt();
  return createRequire(path.join(path.resolve(dir), 'x.js'))('onnxruntime-node');
}

export class Session {
  /** level: ONNX Runtime's graph optimization level, 'disabled' | 'basic' | 'extended' | 'all'. */
  static async open(model, { threads = 1, level = 'all' } = {}) {
    const s = new Session();
    s.ort = loadOrt();
    s.session = await s.ort.InferenceSession.create(model, {
      executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1,
      graphOptimizationLevel: level, logSeverityLevel: 4,
    });
    // Only what a caller must feed: initializers that old models list as inputs are not among these.
    s.inputs = s.session.inputMetadata.map((m) => ({ name: m.name, dtype: m.isTensor ? m.type : null, dims: m.isTensor ? [...m.shape] : null }));
    s.outputs = [...s.session.outputNames];
    return s;
  }

  /** Map name -> array to Map name -> array, in the order of the graph's outputs. */
  async run(inputs) {
    const feeds = {};
    for (const [name, a] of inputs) {
      if (!dtypeKnown(a.dtype)) throw new Error(`input ${name}: dtype ${a.dtype} is not supported`);
      feeds[name] = new this.ort.Tensor(a.dtype, a.data, a.dims);
    }
    const got = await this.session.run(feeds);
    const out = new Map();
    for (const name of this.outputs) {
      const t = got[name];
      // An optional or sequence output has no tensor form in this binding.
      if (!t || !t.dims) throw new Error(`output ${name} is not a tensor`);
      out.set(name, { dtype: t.type, dims: [...t.dims], data: t.data });
    }
    return out;
  }

  async close() {
    if (this.session) await this.session.release();
    this.session = null;
  }
}

/** One session, at most; a change of model or options closes the one before. Keeps a long run's memory at one model. */
export class SessionCache {
  constructor() { this.key = null; this.session = null; }
  async get(model, options = {}) {
    const st = fs.statSync(model);
    const key = JSON.stringify([path.resolve(model), st.size, st.mtimeMs, st.ino, options]);
    if (key !== this.key) {
      await this.close();
      this.session = await Session.open(model, options);
      this.key = key;
    }
    return this.session;
  }
  async close() {
    if (this.session) await this.session.close();
    this.session = null;
    this.key = null;
  }
}
