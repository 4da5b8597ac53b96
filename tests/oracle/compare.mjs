// How far two sets of outputs are apart.
import { count, toNumbers } from './npz.mjs';

/**
 * Differences of float32 up to its step at 1.0 are none: ONNX Runtime's logistic function is accurate in that absolute sense only
 * (against double precision it is off by 6e-8 where the result itself is 5e-5), so outputs of tiny range would measure its error, not ours.
 */
const STEP = { float32: 2 ** -23, float16: 0, float64: 0 };

/** Largest difference relative to the range of `want`, Infinity where shape, type, NaN or infinity differ. */
export function distance(want, got) {
  if (want.dtype !== got.dtype) return { rel: Infinity, why: `type ${got.dtype}, not ${want.dtype}` };
  if (want.dims.join() !== got.dims.join()) return { rel: Infinity, why: `shape [${got.dims}], not [${want.dims}]` };
  const n = count(want.dims), a = toNumbers(want), b = toNumbers(got);
  if (!want.dtype.startsWith('float')) {
    for (let i = 0; i < n; i++) if (a[i] !== b[i]) return { rel: Infinity, why: `element ${i} is ${b[i]}, not ${a[i]}` };
    return { rel: 0, why: '' };
  }
  let lo = Infinity, hi = -Infinity, most = 0, noise = 0, signal = 0;
  for (let i = 0; i < n; i++) {
    const x = a[i], y = b[i];
    if (Object.is(x, y) || x === y) { if (Number.isFinite(x)) { lo = Math.min(lo, x); hi = Math.max(hi, x); signal += x * x; } continue; }
    if (Number.isNaN(x) && Number.isNaN(y)) continue;
    if (!Number.isFinite(x) || !Number.isFinite(y)) return { rel: Infinity, why: `element ${i} is ${y}, not ${x}` };
    lo = Math.min(lo, x); hi = Math.max(hi, x);
    const d = Math.abs(x - y);
    if (d > STEP[want.dtype]) most = Math.max(most, d);
    noise += d * d; signal += x * x;
  }
  if (most === 0) return { rel: 0, why: '', sqnr: Infinity };
  // A constant output has no range; its own size stands in.
  const range = hi - lo || Math.max(Math.abs(hi), Math.abs(lo)) || 1;
  return { rel: most / range, why: '', sqnr: 10 * Math.log10(signal / noise) };
}

/** The worst over all outputs, which must be the same set of names in the same order. */
export function worst(want, got) {
  const names = [...want.keys()];
  if (names.join('\n') !== [...got.keys()].join('\n')) return { rel: Infinity, why: `outputs ${[...got.keys()]}, not ${names}`, sqnr: -Infinity };
  let w = { rel: 0, why: '', sqnr: Infinity };
  for (const name of names) {
    const d = distance(want.get(name), got.get(name));
    if (d.rel > w.rel) { w.rel = d.rel; w.why = d.why ? `${name}: ${d.why}` : name; }
    w.sqnr = Math.min(w.sqnr, d.sqnr ?? (d.rel ? -Infinity : Infinity));
  }
  return w;
}
