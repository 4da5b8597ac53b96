// Deterministic test data: the same seed gives the same array on every machine and version.
import { count, fromNumbers } from './npz.mjs';

/** SplitMix-style 32-bit generator; returns a function giving uniforms in [0, 1). */
export function generator(seed) {
  let s = (seed * 0x9e3779b9 + 0x7f4a7c15) >>> 0;
  return () => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 4294967296;
  };
}

export function normal(uniform) {
  return Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Floats: standard normal, or uniform in [low, high) where given. Integers: uniform in [low, high), by default [0, 2). */
export function seededArray({ seed = 0, dtype, dims, low, high }) {
  const n = count(dims), u = generator(seed), out = new Array(n);
  const real = dtype.startsWith('float');
  const lo = low ?? 0, hi = high ?? (real ? 1 : 2);
  for (let i = 0; i < n; i++) {
    if (!real) out[i] = Math.floor(lo + u() * (hi - lo));
    else out[i] = low === undefined && high === undefined ? normal(u) : lo + u() * (hi - lo);
  }
  return fromNumbers(dtype, dims, out);
}
