// Expected values of the conformance cases, held against what came.

/** Nothing if `got` is as expected, else what is not. */
export function mismatch(expected, got, tolerance, at = 'value') {
  if (expected !== null && typeof expected === 'object' && !Array.isArray(expected)) {
    return special(expected, got, tolerance, at) ?? object(expected, got, tolerance, at);
  }
  if (Array.isArray(expected)) {
    if (!isList(got)) return `${at}: expected a list, got ${shown(got)}`;
    if (got.length !== expected.length) return `${at}: expected ${expected.length} items, got ${got.length}: ${shown(got)}`;
    return first(expected.map((item, i) => () => mismatch(item, got[i], tolerance, `${at}[${i}]`)));
  }
  const value = typeof got === 'bigint' ? Number(got) : typeof got === 'boolean' && typeof expected === 'number' ? Number(got) : got;
  if (typeof expected === 'number' && typeof value === 'number') {
    const allowed = tolerance ?? (Number.isInteger(expected) && Number.isInteger(value) ? 0 : Math.abs(expected) * 1e-9);
    return Math.abs(expected - value) <= allowed ? undefined : `${at}: expected ${expected}, got ${value}`;
  }
  return expected === (value ?? null) ? undefined : `${at}: expected ${shown(expected)}, got ${shown(got)}`;
}

function object(expected, got, tolerance, at) {
  if (got === null || typeof got !== 'object') return `${at}: expected an object, got ${shown(got)}`;
  return first(Object.keys(expected).map((key) => () => mismatch(expected[key], got[key], tolerance, `${at}.${key}`)));
}

function special(expected, got, tolerance, at) {
  if ('$any' in expected) return got === null || got === undefined ? `${at}: expected anything, got nothing` : '';
  if ('$first' in expected) {
    if (!isList(got)) return `${at}: expected a list, got ${shown(got)}`;
    return mismatch(expected.$first, got.slice(0, expected.$first.length), tolerance, at) ?? '';
  }
  if ('$min' in expected) return got >= expected.$min ? '' : `${at}: expected at least ${expected.$min}, got ${shown(got)}`;
  if ('$start' in expected) return `${got}`.startsWith(expected.$start) ? '' : `${at}: expected ${expected.$start}…, got ${shown(got)}`;
  if ('$has' in expected) {
    const lacking = expected.$has.filter((part) => !(got instanceof Uint8Array ? Buffer.from(got) : `${got}`).includes(part));
    return lacking.length === 0 ? '' : `${at}: expected ${lacking} within ${shown(got)}`;
  }
  return undefined;
}

function first(checks) {
  for (const check of checks) {
    const found = check();
    if (found) return found;
  }
  return undefined;
}

const isList = (value) => Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

function shown(value) {
  const text = JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : ArrayBuffer.isView(v) ? [...v].slice(0, 20).map(Number) : v));
  return text === undefined ? 'nothing' : text.slice(0, 400);
}
